/* mersenne_kernels.h - the two loops that draw millions of numbers, per instruction set. */
#ifndef VOLT_BASE_RANDOM_MERSENNE_KERNELS_H
#define VOLT_BASE_RANDOM_MERSENNE_KERNELS_H
#include "base/random/mersenne.h"

enum { VOLT_MERSENNE_WORDS = 624 };

typedef struct volt_mersenne_kernels {
    /* The next 624 words. */
    void (*refill)(volt_mersenne *m);
    /* Masks `count` words and writes those of them up to `max` to out, which has room for all
     * `count`. Returns their number. */
    int64_t (*choose)(uint32_t *out, const uint32_t *words, int64_t count, uint32_t mask,
                      uint32_t max);
} volt_mersenne_kernels;

/* Those of this processor. */
const volt_mersenne_kernels *volt_mersenne_kernels_here(void);

#endif
