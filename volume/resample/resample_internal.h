/* resample_internal.h - declarations that the resampling files share.
 *
 * Taps are the source positions and weights of every voxel along one axis; kernels apply them
 * to blocks of lines. Lines are independent, so any thread may take any block.
 */
#ifndef VOLT_VOLUME_RESAMPLE_RESAMPLE_INTERNAL_H
#define VOLT_VOLUME_RESAMPLE_RESAMPLE_INTERNAL_H
#include <stdbool.h>
#include <stdint.h>
#include "volume/resample.h"

/* Positions are stored as int32_t, with a margin added. */
#define VOLT_RESAMPLE_MAX_EXTENT ((int64_t)INT32_MAX - 16)
/* Lines filtered at once: four AVX-512 vectors hide the latency of the recursion. */
#define VOLT_SPLINE_LANES 64
/* Coefficients beyond each end that positions within half a voxel of the border read. */
#define VOLT_SPLINE_MARGIN 2

typedef enum volt_tap_kind {
    VOLT_TAPS_KEEP,    /* unchanged extent: nothing to do */
    VOLT_TAPS_NEAREST, /* at: the voxel */
    VOLT_TAPS_LINEAR,  /* at, next: the two voxels; weight[i], weight[to + i]: theirs */
    VOLT_TAPS_CUBIC    /* at: first of 4 coefficients, margin included; weight[4 * i]: theirs */
} volt_tap_kind;

typedef struct volt_taps {
    volt_tap_kind kind;
    int64_t from, to; /* voxels before and after */
    int32_t *at, *next;
    float *weight;
} volt_taps;

/* Taps of `order` for one axis; KEEP and NEAREST have the arrays of LINEAR too, so that they
 * can be applied as such. Release with volt_taps_free. VOLT_ENOMEM. */
volt_status volt_taps_make(volt_taps *out, int64_t from, int64_t to, volt_interpolation order);
void volt_taps_free(volt_taps *t);
/* All three axes; nearest along `separate_axis`. */
volt_status volt_taps_make_all(volt_taps out[3], const int64_t from[3], const int64_t to[3],
                               volt_interpolation order, int separate_axis);
void volt_taps_free_all(volt_taps t[3]);
size_t volt_taps_bytes(const int64_t to[3]); /* of all three */
/* Position of voxel i of `to` among `from`, not clamped. */
double volt_taps_position(int64_t i, int64_t from, int64_t to);

/* `grid` with other extents over the same field of view: outer faces stay where they are. */
volt_grid volt_resample_grid(const volt_grid *grid, const int64_t shape[3]);
/* VOLT_EINVAL unless `shape`, order and axis can be resampled to; `what` names the volume. */
volt_status volt_resample_check(const int64_t shape[3], volt_interpolation order,
                                int separate_axis);

/* Up to VOLT_SPLINE_LANES lines. The stride leads from one sample of a column to the next, or
 * from one row to the next. */
typedef struct volt_spline_block {
    const float *src;
    float *dst; /* may be the same memory: all is read before the first write */
    int64_t src_stride, dst_stride;
    int64_t lines;
} volt_spline_block;

typedef struct volt_resample_kernels {
    /* Cubic taps along columns (lines adjacent in memory, samples a stride apart) and along
     * rows (samples adjacent, lines a stride apart). `work` has volt_spline_work() floats. */
    void (*columns)(const volt_spline_block *block, const volt_taps *taps, float *work);
    void (*rows)(const volt_spline_block *block, const volt_taps *taps, float *work);
    /* out[i] = sum of weight[k] * rows[k][i] over four rows. */
    void (*blend)(float *out, const float *const rows[4], const float weight[4], int64_t n);
    /* out[i] = the row at the linear taps of i. */
    void (*linear)(float *out, const float *row, const volt_taps *taps);
    /* Where value[i] > best[i]: best[i] = value[i], which[i] = label. */
    void (*larger)(float *best, uint16_t *which, const float *value, uint16_t label, int64_t n);
    /* Half precision to float32 and back, as volume/grid/half.h. */
    void (*widen)(float *out, const uint16_t *in, int64_t n);
    void (*narrow)(uint16_t *out, const float *in, int64_t n);
} volt_resample_kernels;

/* The kernels for this machine. */
const volt_resample_kernels *volt_resample_kernels_here(void);
/* Floats of scratch that `rows` and `columns` need for these taps. */
int64_t volt_spline_work(int64_t from, int64_t to);

/* Resamples all channels, cubically along axes that have cubic taps. `dst` has
 * volt_resample_room() floats, which may be more than the result. VOLT_ENOMEM. */
volt_status volt_resample_cubic(float *dst, const volt_volume *src, const volt_taps taps[3],
                                int separate_axis, int threads);
int64_t volt_resample_room(const volt_taps taps[3], int64_t channels);
size_t volt_resample_cubic_bytes(const int64_t from[3], const int64_t to[3], int threads);

/* The same with nearest and linear taps; `dst` has the size of the result. */
volt_status volt_resample_linear(float *dst, const volt_volume *src, const volt_taps taps[3],
                                 int threads);
/* Scratch of volt_resample_linear. */
size_t volt_resample_linear_bytes(const int64_t from[3], int threads);
/* Row (z, y) of the result from one channel at `image`. Returns `out` (taps[2].to floats), or
 * the source's row if it is unchanged. `mixed` is scratch memory of taps[2].from floats. */
const float *volt_linear_row(const volt_resample_kernels *k, float *out, float *mixed,
                             const float *image, const volt_taps taps[3], int64_t z, int64_t y);
size_t volt_resample_labels_bytes(const int64_t to[3]);
/* What volt_resample_image allocates at most at a time, its result included, where the shapes
 * differ. */
size_t volt_resample_image_bytes(const int64_t from[3], const int64_t to[3], int channels,
                                 volt_interpolation order, int separate_axis, int threads);

#endif
