/* The geometry that images and label maps share: source positions and weights per axis, the
 * grid of the result, and which kernels this machine runs. */
#include "volume/resample/resample_internal.h"

#include <math.h>

#include "base/core/alloc.h"
#include "base/threads.h"

double volt_taps_position(int64_t i, int64_t from, int64_t to)
{
    /* In this order: ties of labels depend on the last bit (scipy's zoom does the same). */
    return ((double)i + 0.5) * ((double)from / (double)to) - 0.5;
}

volt_grid volt_resample_grid(const volt_grid *grid, const int64_t shape[3])
{
    volt_grid g = *grid;
    double first[3], origin[3];

    for (int a = 0; a < 3; a++) {
        const double ratio = (double)grid->n[a] / (double)shape[a];
        g.n[a] = shape[a];
        first[a] = volt_taps_position(0, grid->n[a], shape[a]);
        for (int r = 0; r < 3; r++)
            g.to_world[r][2 - a] = grid->to_world[r][2 - a] * ratio;
    }
    volt_grid_world(origin, grid, first);
    for (int r = 0; r < 3; r++)
        g.to_world[r][3] = origin[r];
    return g;
}

volt_status volt_resample_check(const int64_t shape[3], volt_interpolation order,
                                int separate_axis)
{
    for (int a = 0; a < 3; a++) {
        if (shape[a] < 1 || shape[a] > VOLT_RESAMPLE_MAX_EXTENT)
            return volt_fail(VOLT_EINVAL, "cannot resample an extent of %lld along %c",
                             (long long)shape[a], "zyx"[a]);
    }
    if (order != VOLT_NEAREST && order != VOLT_LINEAR && order != VOLT_CUBIC)
        return volt_fail(VOLT_EINVAL, "interpolation order %d is not 0, 1 or 3", (int)order);
    if (separate_axis < VOLT_NO_AXIS || separate_axis > 2)
        return volt_fail(VOLT_EINVAL, "separate axis %d is not 0, 1, 2 or -1", separate_axis);
    return VOLT_OK;
}

static void make_cubic(volt_taps *t)
{
    for (int64_t i = 0; i < t->to; i++) {
        const double u = volt_taps_position(i, t->from, t->to), whole = floor(u);
        const double y = u - whole, z = 1 - y;
        float *w = t->weight + 4 * i;
        const double first = z * z * z / 6, second = (y * y * (y - 2) * 3 + 4) / 6,
                     third = (z * z * (z - 2) * 3 + 4) / 6;
        t->at[i] = (int32_t)whole - 1 + VOLT_SPLINE_MARGIN;
        w[0] = (float)first;
        w[1] = (float)second;
        w[2] = (float)third;
        w[3] = (float)(1 - first - second - third);
    }
}

static void make_linear(volt_taps *t)
{
    for (int64_t i = 0; i < t->to; i++) {
        const double u = volt_taps_position(i, t->from, t->to);
        const double inside = fmin(fmax(u, 0), (double)(t->from - 1)), whole = floor(inside);
        t->at[i] = (int32_t)whole;
        t->next[i] = t->at[i] + (t->at[i] + 1 < t->from);
        t->weight[i] = (float)(1 - (inside - whole));
        t->weight[t->to + i] = (float)(inside - whole);
    }
}

static void make_nearest(volt_taps *t)
{
    for (int64_t i = 0; i < t->to; i++) {
        const double u = floor(volt_taps_position(i, t->from, t->to) + 0.5);
        t->at[i] = t->next[i] = (int32_t)fmin(fmax(u, 0), (double)(t->from - 1));
        t->weight[i] = 1;
        t->weight[t->to + i] = 0;
    }
}

volt_status volt_taps_make(volt_taps *out, int64_t from, int64_t to, volt_interpolation order)
{
    volt_taps t = {VOLT_TAPS_KEEP, from, to, NULL, NULL, NULL};
    char *memory;
    volt_status st = volt_alloc(&memory, (size_t)to * (2 * sizeof *t.at + 4 * sizeof(float)),
                                "resampling taps");

    if (st != VOLT_OK)
        return st;
    t.at = (int32_t *)(void *)memory;
    t.next = t.at + to;
    t.weight = (float *)(void *)(t.next + to);
    if (from == to || order == VOLT_NEAREST) {
        t.kind = from == to ? VOLT_TAPS_KEEP : VOLT_TAPS_NEAREST;
        make_nearest(&t);
    } else if (order == VOLT_LINEAR) {
        t.kind = VOLT_TAPS_LINEAR;
        make_linear(&t);
    } else {
        t.kind = VOLT_TAPS_CUBIC;
        make_cubic(&t);
    }
    *out = t;
    return VOLT_OK;
}

void volt_taps_free(volt_taps *t)
{
    volt_free(t->at);
    t->at = t->next = NULL;
    t->weight = NULL;
}

volt_status volt_taps_make_all(volt_taps out[3], const int64_t from[3], const int64_t to[3],
                               volt_interpolation order, int separate_axis)
{
    volt_taps t[3] = {{.at = NULL}, {.at = NULL}, {.at = NULL}};
    volt_status st = VOLT_OK;

    for (int a = 0; a < 3 && st == VOLT_OK; a++)
        st = volt_taps_make(&t[a], from[a], to[a], a == separate_axis ? VOLT_NEAREST : order);
    for (int a = 0; a < 3; a++) {
        if (st == VOLT_OK)
            out[a] = t[a];
        else
            volt_taps_free(&t[a]);
    }
    return st;
}

void volt_taps_free_all(volt_taps t[3])
{
    for (int a = 0; a < 3; a++)
        volt_taps_free(&t[a]);
}

size_t volt_taps_bytes(const int64_t to[3])
{
    return (size_t)(to[0] + to[1] + to[2]) * (2 * sizeof(int32_t) + 4 * sizeof(float));
}

extern const volt_resample_kernels volt_resample_kernels_base;
#if defined(__x86_64__)
extern const volt_resample_kernels volt_resample_kernels_avx2, volt_resample_kernels_avx512;
#endif

const volt_resample_kernels *volt_resample_kernels_here(void)
{
#if defined(__x86_64__)
    switch (volt_cpu_isa()) {
    case VOLT_ISA_AVX512:
        return &volt_resample_kernels_avx512;
    case VOLT_ISA_AVX2:
        return &volt_resample_kernels_avx2;
    default:
        break;
    }
#endif
    return &volt_resample_kernels_base;
}

int64_t volt_spline_work(int64_t from, int64_t to)
{
    return (from + 2 * VOLT_SPLINE_MARGIN + to) * VOLT_SPLINE_LANES;
}
