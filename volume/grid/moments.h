/* moments.h - mean and standard deviation of many values. */
#ifndef VOLT_VOLUME_GRID_MOMENTS_H
#define VOLT_VOLUME_GRID_MOMENTS_H
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_moments {
    double mean, std; /* population's: divided by the count; 0 and 0 without values */
    int64_t count;
} volt_moments;

/* Moments of n values, only where mask[i] != 0 if `mask` is not NULL (uint8, n entries). NaN
 * gives NaN. Sums are taken in double over fixed chunks: the same bits for any thread count.
 * VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_moments_of(volt_moments *out, const float *values,
                                          const uint8_t *mask, int64_t n, int threads);

VOLT_END_DECLS
#endif
