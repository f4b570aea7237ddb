/* augment_internal.h - declarations that the augmentation files share, and the inner loops,
 * one set per instruction set.
 *
 * The last bits depend on the instruction set: some multiply and add with one rounding.
 */
#ifndef VOLT_VOLUME_AUGMENT_AUGMENT_INTERNAL_H
#define VOLT_VOLUME_AUGMENT_AUGMENT_INTERNAL_H
#include <stdbool.h>
#include <stdint.h>
#include "volume/augment.h"

/* A copy of the caller's rules; fields that an older caller lacks are off. VOLT_EINVAL: `size`
 * is not set, or a newer caller sets a field that this library lacks. */
VOLT_MUST_USE volt_status volt_augment_rules_take(volt_augment_rules *out,
                                                  const volt_augment_rules *given);
/* The same for calls that cannot fail: rules that volt_augment_apply would refuse become empty.
 */
volt_augment_rules volt_augment_rules_known(const volt_augment_rules *given);

typedef struct augment_moments {
    double mean, sd; /* sd with n - 1 */
    float min, max;
} augment_moments;

/* Source positions of one row of samples: the lower corner voxel and, per axis, the weight of
 * the next one. */
typedef struct augment_row {
    int32_t *base;
    float *weight[3]; /* z, y, x */
} augment_row;

/* The line through the source that a row of the patch reads: position = start + x * step,
 * voxels. */
typedef struct augment_line {
    double start[3], step[3];
    int64_t shape[3];
    int32_t stride[3]; /* to the next voxel along an axis; 0 if the axis has only one */
    bool in_slice;     /* stays in slice start[0]; step[0] is 0 */
} augment_line;

typedef struct augment_kernels {
    /* out[i] = in[n - 1 - i] */
    void (*reverse)(float *out, const float *in, int64_t n);
    void (*reverse_labels)(int16_t *out, const int16_t *in, int64_t n);
    /* Samples first <= x < last of the line, all inside the source. */
    void (*locate)(const augment_row *row, const augment_line *line, int64_t first,
                   int64_t last);
    void (*interpolate)(float *out, const float *source, const augment_row *row,
                        const augment_line *line, int64_t first, int64_t last);
    /* x[i] += sd * normal number i of the Philox stream; four per counter. */
    void (*add_noise)(float *x, int64_t n, float sd, const uint32_t key[2],
                      const uint32_t counter[4]);
    /* out[i] = sum over k of weight[k] * in[k][i], 0 <= k < taps. */
    void (*weigh)(float *out, const float *const *in, const float *weight, int taps, int64_t n);
    /* out[i] = in[low[i]] + weight[i] * (in[high[i]] - in[low[i]]) */
    void (*stretch)(float *out, const float *in, const int32_t *low, const int32_t *high,
                    const float *weight, int64_t n);
    augment_moments (*moments)(const float *x, int64_t n);
    /* x = clamp(scale * x + offset, min, max) */
    void (*affine)(float *x, int64_t n, float scale, float offset, float min, float max);
    /* x = range * ((sign * x - low) * reciprocal)^gamma + low; no sign * x is below low */
    void (*power)(float *x, int64_t n, float sign, float low, float reciprocal, float range,
                  float gamma);
} augment_kernels;

const augment_kernels *volt_augment_kernels_base(void);
const augment_kernels *volt_augment_kernels_avx2(void);
const augment_kernels *volt_augment_kernels_avx512(void);

#endif
