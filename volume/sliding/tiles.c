#include "volume/tiles.h"

#include <math.h>
#include <string.h>
#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "volume/grid/half.h"

/* Distance between neighbouring tiles in voxels, at least one. MONAI rounds down. */
static double stride_of(int64_t patch, double step, volt_tile_rule rule)
{
    const double stride = (double)patch * step;

    return fmax(1, rule == VOLT_TILES_MONAI ? floor(stride) : stride);
}

/* Number of positions along one axis. */
static int64_t positions(int64_t image, int64_t patch, double stride)
{
    return image <= patch ? 1 : (int64_t)ceil((double)(image - patch) / stride) + 1;
}

static int64_t position(int64_t i, int64_t count, int64_t last, double stride,
                        volt_tile_rule rule)
{
    if (last <= 0)
        return -(-last / 2); /* extends beyond the image, by one voxel more at the high end */
    if (rule == VOLT_TILES_MONAI)
        return (int64_t)fmin((double)i * stride, (double)last);
    return llrint((double)last / (double)(count - 1) * (double)i);
}

volt_status volt_tiles_plan(volt_tiles *out, const int64_t image[3], const int64_t patch[3],
                            double step, volt_tile_rule rule)
{
    volt_tiles t = {.count = 1};
    volt_status st = VOLT_OK;

    if (!(step > 0 && step <= 1))
        return volt_fail(VOLT_EINVAL, "tile step %g is not in (0, 1]", step);
    for (int a = 0; a < 3; a++) {
        if (image[a] < 1 || patch[a] < 1 || image[a] > INT32_MAX || patch[a] > INT32_MAX) {
            st =
                volt_fail(VOLT_EINVAL, "tiles of %lld voxel%s in an image of %lld along %c",
                          (long long)patch[a], volt_s(patch[a]), (long long)image[a], "zyx"[a]);
            goto done;
        }
        const double stride = stride_of(patch[a], step, rule);
        t.patch[a] = patch[a];
        t.per_axis[a] = positions(image[a], patch[a], stride);
        VOLT_TRY(st, done,
                 volt_alloc(&t.start[a], (size_t)t.per_axis[a] * sizeof *t.start[a], "tiles"));
        for (int64_t i = 0; i < t.per_axis[a]; i++)
            t.start[a][i] = position(i, t.per_axis[a], image[a] - patch[a], stride, rule);
        if (volt_mul_i64(&t.count, t.count, t.per_axis[a])) {
            st = volt_fail(VOLT_EINVAL, "tile step %g gives too many tiles", step);
            goto done;
        }
    }
    *out = t;
    t = (volt_tiles){0};
done:
    volt_tiles_free(&t);
    return st;
}

void volt_tiles_free(volt_tiles *t)
{
    for (int a = 0; a < 3; a++)
        volt_free(t->start[a]);
    *t = (volt_tiles){0};
}

volt_box volt_tiles_box(const volt_tiles *t, int64_t i)
{
    const int64_t yx = t->per_axis[1] * t->per_axis[2];
    const int64_t low[3] = {t->start[0][i / yx], t->start[1][i % yx / t->per_axis[2]],
                            t->start[2][i % t->per_axis[2]]};

    return volt_box_at(low, t->patch);
}

/* The Gaussian-filtered unit impulse along one axis: scipy's kernel (cut at 4 sigma, sum 1) on
 * a line with a zero border. Filtering an impulse is separable, so the product of three such
 * profiles is the whole map. */
static void impulse_profile(double *out, int64_t n)
{
    const double sigma = (double)n / 8;
    const int64_t radius = (int64_t)(4 * sigma + 0.5), centre = n / 2;
    double sum = 0;

    for (int64_t i = -radius; i <= radius; i++)
        sum += exp(-0.5 / (sigma * sigma) * (double)(i * i));
    for (int64_t i = 0; i < n; i++) {
        const int64_t d = i - centre;
        out[i] =
            d < -radius || d > radius ? 0 : exp(-0.5 / (sigma * sigma) * (double)(d * d)) / sum;
    }
}

static void gaussian_profile(double *out, int64_t n)
{
    const double sigma = (double)n / 8;

    for (int64_t i = 0; i < n; i++) {
        const double d = (double)i - 0.5 * (double)(n - 1);
        out[i] = exp(-d * d / (2 * sigma * sigma));
    }
}

/* nnU-Net's steps after filtering: maximum 10, half precision, no zeros. */
static void finish_nnunet_map(float *map, const double *const profile[3], const int64_t n[3])
{
    const int64_t c[3] = {n[0] / 2, n[1] / 2, n[2] / 2};
    const double peak = profile[0][c[0]] * profile[1][c[1]] * profile[2][c[2]];
    const int64_t voxels = n[0] * n[1] * n[2];
    float smallest = INFINITY;

    for (int64_t i = 0; i < voxels; i++) {
        const double v =
            profile[0][i / (n[1] * n[2])] * profile[1][i / n[2] % n[1]] * profile[2][i % n[2]];
        map[i] = volt_round_to_half((float)(v / (peak / 10)));
        if (map[i] > 0 && map[i] < smallest)
            smallest = map[i];
    }
    for (int64_t i = 0; i < voxels; i++)
        map[i] = map[i] > 0 ? map[i] : smallest;
}

static void finish_monai_map(float *map, const double *const profile[3], const int64_t n[3])
{
    const double smallest = profile[0][0] * profile[1][0] * profile[2][0];
    const float least = (float)fmax(smallest, 1e-3);

    for (int64_t i = 0; i < n[0] * n[1] * n[2]; i++) {
        const float v = (float)(profile[0][i / (n[1] * n[2])] * profile[1][i / n[2] % n[1]] *
                                profile[2][i % n[2]]);
        map[i] = v > least ? v : least;
    }
}

volt_status volt_importance_map(float *out, const int64_t patch[3], volt_tile_rule rule)
{
    double *profile[3] = {NULL, NULL, NULL};
    volt_status st = VOLT_OK;

    for (int a = 0; a < 3; a++) {
        VOLT_TRY(
            st, done,
            volt_alloc(&profile[a], (size_t)patch[a] * sizeof *profile[a], "tile weights"));
        if (rule == VOLT_TILES_NNUNET)
            impulse_profile(profile[a], patch[a]);
        else
            gaussian_profile(profile[a], patch[a]);
    }
    if (rule == VOLT_TILES_NNUNET)
        finish_nnunet_map(out, (const double *const *)profile, patch);
    else
        finish_monai_map(out, (const double *const *)profile, patch);
done:
    for (int a = 0; a < 3; a++)
        volt_free(profile[a]);
    return st;
}

static void copy_row(float *restrict to, const float *restrict from, bool backwards, int64_t n)
{
    if (!backwards) {
        memcpy(to, from, (size_t)n * sizeof *to);
        return;
    }
    for (int64_t x = 0; x < n; x++)
        to[x] = from[n - 1 - x];
}

void volt_tile_read(float *out, volt_box tile, const float *image, int64_t channels,
                    const int64_t image_shape[3], const bool flip[3], int threads)
{
    const volt_box inside = volt_box_intersect(tile, volt_box_of_shape(image_shape));
    const int64_t ny = image_shape[1], nx = image_shape[2];
    const bool back[3] = {flip && flip[0], flip && flip[1], flip && flip[2]};
    int64_t n[3];

    volt_box_shape(n, tile);
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < channels * n[0] * n[1]; row++) {
        const int64_t c = row / (n[0] * n[1]), d = row / n[1] % n[0], h = row % n[1];
        const int64_t z = tile.low[0] + (back[0] ? n[0] - 1 - d : d);
        const int64_t y = tile.low[1] + (back[1] ? n[1] - 1 - h : h);
        float *to = out + row * n[2];

        if (volt_box_is_empty(inside) || z < inside.low[0] || z >= inside.high[0] ||
            y < inside.low[1] || y >= inside.high[1]) {
            memset(to, 0, (size_t)n[2] * sizeof *to);
            continue;
        }
        const int64_t width = inside.high[2] - inside.low[2];
        const int64_t before =
            back[2] ? tile.high[2] - inside.high[2] : inside.low[2] - tile.low[2];
        const float *from = image + ((c * image_shape[0] + z) * ny + y) * nx + inside.low[2];
        memset(to, 0, (size_t)before * sizeof *to);
        copy_row(to + before, from, back[2], width);
        memset(to + before + width, 0, (size_t)(n[2] - before - width) * sizeof *to);
    }
}
