/* winograd_internal.h - the kernels of winograd.isa.c, per instruction set.
 *
 * A tile is 4^3 inputs and 2^3 outputs; tiles are numbered in the order n, d, h, w. In the
 * transformed domain a tile has 64 points; arrays there are [point][row][channel], one row per
 * tile, points winograd_point_stride() floats apart.
 */
#ifndef VOLT_NETS3D_CPU_WINOGRAD_INTERNAL_H
#define VOLT_NETS3D_CPU_WINOGRAD_INTERNAL_H
#include "nets3d/cpu/winograd.h"

#define WINOGRAD_POINTS 64
#define WINOGRAD_ROWS   12 /* rows come in multiples of this */

typedef struct winograd_tiling {
    int64_t count[3], total; /* d, h, w of one sample; all samples together */
} winograd_tiling;

/* A range of tiles and where their rows lie. */
typedef struct winograd_rows {
    const winograd_tiling *tiling;
    int64_t first, count; /* tiles */
    int64_t rows;         /* rows of the array: fixes the stride of points */
    int64_t row;          /* row of tile `first` */
} winograd_rows;

/* Floats from one row to the next. Wide rows get an extra line: without it, one column of
 * channels would use few sets of the first cache. */
static inline int64_t winograd_row_stride(int64_t channels)
{
    return channels < 128 ? channels : channels + 16;
}

/* The extra line keeps the 64 points of one tile out of the same cache sets. */
static inline int64_t winograd_point_stride(int64_t rows, int64_t channels)
{
    return rows * winograd_row_stride(channels) + 16;
}

typedef struct winograd_kernels {
    int64_t block;
    void (*pack)(float *packed, const volt_winograd_shape *s, const float *weights,
                 int64_t oc_real, int64_t ic_real, bool backward);
    void (*transform_input)(float *v, const volt_winograd_shape *s,
                            const volt_winograd_tensor *src, const winograd_rows *r);
    /* m (rows, oc) = v (rows, ic) * u (packed, one point). */
    void (*multiply)(float *m, const float *v, const float *u, int64_t rows, int64_t ic,
                     int64_t oc);
    void (*transform_output)(const volt_winograd_tensor *dst, const volt_winograd_shape *s,
                             const float *m, const float *bias, const winograd_rows *r);
    void (*transform_gradient)(float *d, const volt_winograd_shape *s,
                               const volt_winograd_tensor *diff_dst, const winograd_rows *r);
    /* du (ic, oc) = [du +] v^T (ic, rows) * d (rows, oc), one point. */
    void (*accumulate)(float *du, const float *v, const float *d, int64_t rows, int64_t ic,
                       int64_t oc, bool fresh);
    /* du[64][ic][oc] -> plain (oc_real, ic_real, 27), for one input channel. */
    void (*unpack)(float *diff_weights, const float *du, const volt_winograd_shape *s,
                   int64_t oc_real, int64_t ic_real, int64_t ic);
} winograd_kernels;

const winograd_kernels *volt_winograd_kernels_base(void);
const winograd_kernels *volt_winograd_kernels_avx2(void);
const winograd_kernels *volt_winograd_kernels_avx512(void);

#endif
