/* rng.h - counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011).
 *
 * A stream is identified by (seed, epoch, sample, purpose) and has the same numbers on any
 * thread, rank or device, so there is no state to save when a run is resumed.
 *
 * Threads   a stream belongs to one thread; different streams are independent.
 */
#ifndef VOLT_BASE_RNG_H
#define VOLT_BASE_RNG_H
#include <stdint.h>
#include "status.h"
VOLT_BEGIN_DECLS

/* What a stream is for. In no file, but part of every result: append, never renumber. */
typedef enum volt_rng_purpose {
    VOLT_RNG_INIT = 1,    /* weight initialization; sample = parameter index */
    VOLT_RNG_CASE = 2,    /* case and position of a sample */
    VOLT_RNG_AUGMENT = 3, /* augmentation parameters of a sample */
    VOLT_RNG_NOISE = 4,   /* voxel noise of a sample */
    VOLT_RNG_DROPOUT = 5, /* dropout masks; sample = step index */
    VOLT_RNG_PHANTOM = 6, /* synthetic cases; sample = case number */
    VOLT_RNG_SPLIT = 7,
    VOLT_RNG_TEST = 9,
    VOLT_RNG_LAYOUT = 10,   /* order in which a program's buffers are placed */
    VOLT_RNG_BOOTSTRAP = 11 /* cases drawn for an interval; sample = number of the resample */
} volt_rng_purpose;

/* Plain value; copy freely. */
typedef struct volt_rng {
    uint32_t key[2];
    uint32_t counter[4]; /* {index, purpose, sample, epoch} */
    uint32_t block[4];
    int left; /* unread words of `block` */
} volt_rng;

/* The start of a stream. */
VOLT_API volt_rng volt_rng_open(uint64_t seed, uint32_t epoch, uint32_t sample,
                                volt_rng_purpose purpose);
VOLT_API uint32_t volt_rng_u32(volt_rng *rng);
/* Leaves out so many words of 32 bits; a uniform number takes two. Takes no time. */
VOLT_API void volt_rng_skip(volt_rng *rng, uint64_t words);
VOLT_API double volt_rng_uniform(volt_rng *rng);                        /* [0, 1), 53 bits */
VOLT_API double volt_rng_range(volt_rng *rng, double low, double high); /* [low, high) */
VOLT_API int64_t volt_rng_below(volt_rng *rng, int64_t n); /* 0..n-1 unbiased; n >= 1 */
VOLT_API double volt_rng_normal(volt_rng *rng);            /* mean 0, sd 1 (Box-Muller) */

VOLT_END_DECLS
#endif
