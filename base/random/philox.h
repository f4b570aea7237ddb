/* philox.h - the block function of base/rng.h, for code that numbers its blocks itself. */
#ifndef VOLT_BASE_RANDOM_PHILOX_H
#define VOLT_BASE_RANDOM_PHILOX_H
#include <stdint.h>

/* One Philox4x32-10 block: out = f(counter, key). */
void volt_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

#endif
