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
#include "volume/volume.h"

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
    int32_t first;     /* offset of the source's first voxel; in_slice: of its slice start[0] */
    int32_t stride[3]; /* to the next voxel along an axis; 0 if the axis has only one */
    bool in_slice;     /* stays in slice start[0]; step[0] is 0 */
} augment_line;

typedef struct augment_kernels {
    /* out[i] = in[n - 1 - i] */
    void (*reverse)(float *out, const float *in, int64_t n);
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

/* The labels or the prior mask of a window's volume: VOLT_I8 or VOLT_I16; data NULL = none. */
typedef struct augment_voxels {
    const void *data;
    volt_dtype dtype;
} augment_voxels;

/* A source that is read in place: a box of a volume. It may reach beyond the volume, where
 * images are 0 and labels -1. */
typedef struct augment_window {
    const float *image;        /* (channels, extent) */
    augment_voxels labels;     /* (extent) */
    augment_voxels prior_mask; /* (extent); none without cascade */
    int64_t extent[3];         /* of the volume */
    int64_t low[3];            /* the box's first voxel */
    int64_t shape[3];          /* of the box */
    bool repeat;               /* slices beyond the volume repeat its first or last */
} augment_window;

/* As volt_augment_apply; the bits are those of a copy of the box. */
VOLT_MUST_USE volt_status augment_apply_window(float *image, int16_t *labels,
                                               const augment_window *window,
                                               const volt_augment_rules *rules,
                                               const volt_augment_draw *draw, void *scratch);
/* Scratch memory for what volt_augment_draw_make draws from the rules. */
size_t augment_drawn_scratch_bytes(const volt_augment_rules *rules);

/* A label map that is cropped or resampled along with the image. */
typedef struct augment_map {
    augment_voxels in; /* of the window's volume */
    int16_t *out;      /* of the patch */
} augment_map;

/* One sample: its inputs, the patch, and scratch memory. */
typedef struct augment_job {
    const struct augment_kernels *k;
    const augment_window *source;
    const volt_augment_rules *rules;
    const volt_augment_draw *draw;
    const int64_t *n; /* the patch: z, y, x */
    int64_t voxels;
    float *image;
    augment_map map[2]; /* the labels, the prior mask */
    int maps;
    float *scratch; /* at least 4 rows */
} augment_job;

/* Rotation, scaling and mirroring (sample.c): fills the image and the maps. */
void augment_sample(const augment_job *job);

const augment_kernels *volt_augment_kernels_base(void);
const augment_kernels *volt_augment_kernels_avx2(void);
const augment_kernels *volt_augment_kernels_avx512(void);

#endif
