/* mersenne.h - the random numbers of numpy's RandomState(seed), for results that must equal
 * nnU-Net's. Everything else draws from base/rng.h.
 *
 * MT19937 (Matsumoto and Nishimura, 1998), and numpy's legacy method for integers: it masks a
 * word to the bits of the largest value and rejects what is above it. A fingerprint draws 1e8
 * numbers twice for each channel, so the loops exist for each instruction set.
 */
#ifndef VOLT_BASE_RANDOM_MERSENNE_H
#define VOLT_BASE_RANDOM_MERSENNE_H
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

/* Plain value; copy freely. */
typedef struct volt_mersenne {
    uint32_t state[624];
    uint32_t ready[624]; /* the state's output */
    int next;            /* first unread word of `ready` */
} volt_mersenne;

void volt_mersenne_seed(volt_mersenne *m, uint32_t seed);
uint32_t volt_mersenne_u32(volt_mersenne *m);
/* randint(0, max + 1, count): `count` unbiased draws of 0..max; max = 0 consumes no word. */
void volt_mersenne_draws(volt_mersenne *m, uint32_t *out, int64_t count, uint32_t max);
/* permutation(count): 0..count-1 in random order; 0 <= count <= UINT32_MAX. */
void volt_mersenne_permutation(volt_mersenne *m, uint32_t *out, int64_t count);

VOLT_END_DECLS
#endif
