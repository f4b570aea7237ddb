#include "volume/resample_to_grid.h"

#include <math.h>
#include <string.h>
#include "base/core/checked.h"
#include "base/threads.h"

/* index_src = map * (x, y, z, 1) of the target; rows and columns in x, y, z order. */
static void index_map(double map[3][4], const volt_grid *src, const volt_grid *target)
{
    const double(*a)[4] = src->to_world;
    double inverse[3][3], determinant = 0;

    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            int r = (j + 1) % 3, s = (j + 2) % 3, c = (i + 1) % 3, d = (i + 2) % 3;

            inverse[i][j] = a[r][c] * a[s][d] - a[r][d] * a[s][c]; /* adjugate */
        }
    }
    for (int i = 0; i < 3; i++)
        determinant += a[0][i] * inverse[i][0];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 4; j++) {
            double sum = 0;

            for (int k = 0; k < 3; k++)
                sum += inverse[i][k] * (target->to_world[k][j] - (j == 3 ? a[k][3] : 0));
            map[i][j] = sum / determinant;
        }
    }
}

/* Source position of one target voxel: fractional index along z, y, x. */
static void source_index(double out[3], const double (*map)[4], int64_t z, int64_t y, int64_t x)
{
    for (int i = 0; i < 3; i++) {
        double u =
            map[i][0] * (double)x + map[i][1] * (double)y + map[i][2] * (double)z + map[i][3];
        double whole = round(u);

        out[2 - i] = fabs(u - whole) < 1e-6 ? whole : u;
    }
}

/* Whether a position is within half a voxel of a voxel's centre. */
static bool is_inside(const double u[3], const int64_t n[3])
{
    for (int a = 0; a < 3; a++) {
        if (!(u[a] >= -0.5 && u[a] < (double)n[a] - 0.5))
            return false;
    }
    return true;
}

static int64_t nearest(const double u[3], const int64_t n[3])
{
    int64_t i[3];

    for (int a = 0; a < 3; a++)
        i[a] = volt_clamp_i64((int64_t)floor(u[a] + 0.5), 0, n[a] - 1);
    return (i[0] * n[1] + i[1]) * n[2] + i[2];
}

static float linear(const float *data, const double u[3], const int64_t n[3])
{
    int64_t low[3], high[3];
    double f[3], sum = 0;

    for (int a = 0; a < 3; a++) {
        double whole = floor(u[a]);

        f[a] = u[a] - whole;
        low[a] = volt_clamp_i64((int64_t)whole, 0, n[a] - 1);
        high[a] = volt_clamp_i64((int64_t)whole + 1, 0, n[a] - 1);
    }
    for (int corner = 0; corner < 8; corner++) {
        int64_t z = corner & 4 ? high[0] : low[0], y = corner & 2 ? high[1] : low[1];
        int64_t x = corner & 1 ? high[2] : low[2];
        double weight = (corner & 4 ? f[0] : 1 - f[0]) * (corner & 2 ? f[1] : 1 - f[1]) *
                        (corner & 1 ? f[2] : 1 - f[2]);

        if (weight > 0) /* 0 * NaN is NaN */
            sum += weight * (double)data[(z * n[1] + y) * n[2] + x];
    }
    return (float)sum;
}

/* `outside` as one element of the result. */
static volt_status outside_element(unsigned char *element, double outside, volt_dtype dtype)
{
    volt_grid one = volt_grid_make((int64_t[3]){1, 1, 1}, 1, (double[3]){1, 1, 1});
    volt_volume *wide = NULL, *narrow = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_volume_create(&wide, &one, VOLT_F64));
    *(double *)wide->data = outside;
    VOLT_TRY(st, done, volt_volume_convert(&narrow, wide, dtype, NULL, 1));
    memcpy(element, narrow->data, volt_dtype_bytes(dtype));
done:
    volt_volume_free(narrow);
    volt_volume_free(wide);
    return st;
}

typedef struct job {
    const volt_volume *src;
    volt_volume *dst;
    double map[3][4];
    bool linear;
    unsigned char outside[8]; /* one element */
} job;

/* One row along x, all channels. */
static void sample_row(const job *j, int64_t z, int64_t y)
{
    const int64_t *n = j->src->grid.n, *m = j->dst->grid.n;
    size_t bytes = volt_dtype_bytes(j->src->dtype);
    size_t from_channel = (size_t)volt_grid_voxels(&j->src->grid) * bytes;
    size_t to_channel = (size_t)volt_grid_voxels(&j->dst->grid) * bytes;

    for (int64_t x = 0; x < m[2]; x++) {
        unsigned char *to =
            (unsigned char *)j->dst->data + (size_t)((z * m[1] + y) * m[2] + x) * bytes;
        const unsigned char *from = j->src->data;
        double u[3];
        bool inside;

        source_index(u, j->map, z, y, x);
        inside = is_inside(u, n);
        for (int c = 0; c < j->dst->grid.channels; c++) {
            if (!inside) {
                memcpy(to, j->outside, bytes);
            } else if (j->linear) {
                float value = linear((const float *)(const void *)from, u, n);

                memcpy(to, &value, bytes);
            } else {
                memcpy(to, from + (size_t)nearest(u, n) * bytes, bytes);
            }
            to += to_channel;
            from += from_channel;
        }
    }
}

volt_status volt_resample_to_grid(volt_volume **out, const volt_volume *src,
                                  const volt_grid *grid, volt_interpolation order,
                                  double outside, int threads)
{
    job j = {.src = src, .linear = order == VOLT_LINEAR};
    volt_grid target = *grid;
    int64_t rows = grid->n[0] * grid->n[1];
    volt_status st;

    if (order != VOLT_NEAREST && !(order == VOLT_LINEAR && src->dtype == VOLT_F32))
        return volt_fail(
            VOLT_EINVAL,
            "resampling to a grid is nearest, or linear for float32; not order %d for %s",
            (int)order, volt_dtype_name(src->dtype));
    target.channels = src->grid.channels;
    threads = volt_threads_or_default(threads);
    VOLT_TRY(st, done, volt_grid_check(&target, "the new grid"));
    VOLT_TRY(st, done, outside_element(j.outside, outside, src->dtype));
    VOLT_TRY(st, done, volt_volume_create(&j.dst, &target, src->dtype));
    index_map(j.map, &src->grid, grid);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++)
        sample_row(&j, row / grid->n[1], row % grid->n[1]);
    *out = j.dst;
    j.dst = NULL;
done:
    volt_volume_free(j.dst);
    return st;
}
