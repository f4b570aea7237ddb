/* Label maps. Every label is interpolated as a 0/1 image, but no such image is made: a voxel
 * reads eight source voxels, so the largest value belongs to one of their labels, and most
 * voxels read eight equal ones. */
#include "volume/resample/resample_internal.h"

#include <math.h>

#include "base/core/alloc.h"
#include "base/threads.h"

typedef struct label_tap {
    int64_t at[2];
    double weight[2];
    int nearest; /* of the two */
} label_tap;

size_t volt_resample_labels_bytes(const int64_t to[3])
{
    return (size_t)(to[0] + to[1] + to[2]) * sizeof(label_tap);
}

/* Weights as scipy computes them: the second is 1 minus the first. */
static void make_taps(label_tap *taps, int64_t from, int64_t to, volt_interpolation order)
{
    const double end = (double)(from - 1);

    for (int64_t i = 0; i < to; i++) {
        const double u = volt_taps_position(i, from, to);
        const double at = order == VOLT_LINEAR ? u : floor(u + 0.5);
        const double inside = fmin(fmax(at, 0), end), whole = floor(inside);
        label_tap *t = &taps[i];
        t->at[0] = (int64_t)whole;
        t->at[1] = t->at[0] + (t->at[0] + 1 < from);
        t->weight[0] = 1 - (inside - whole);
        t->weight[1] = 1 - t->weight[0];
        t->nearest = fmin(fmax(floor(u + 0.5), 0), end) > whole;
    }
}

/* The label with the largest weight of eight voxels; of several such labels that of voxel
 * `nearest` if it is among them, else the smallest. Weights are added in the order of the
 * voxels, as scipy does, since ties depend on it. */
static int32_t strongest(const int32_t label[8], const double weight[8], int nearest)
{
    int32_t best = label[0];
    double most = 0, of_nearest = 0;

    for (int i = 0; i < 8; i++) {
        double sum = 0;
        for (int k = 0; k < 8; k++)
            sum += label[k] == label[i] ? weight[k] : 0;
        if (sum > most || (sum == most && label[i] < best)) {
            best = label[i];
            most = sum;
        }
        if (i == nearest)
            of_nearest = sum;
    }
    return of_nearest == most ? label[nearest] : best;
}

/* One row of the result from the four rows around it. */
#define LABEL_ROW(name, T)                                                                     \
    static void name(void *out, const void *const in[4], const double weight[4], int nearest,  \
                     const label_tap *x, int64_t n)                                            \
    {                                                                                          \
        T *dst = out;                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                      \
            int32_t label[8];                                                                  \
            double w[8];                                                                       \
            int32_t differs = 0;                                                               \
            for (int k = 0; k < 8; k++) {                                                      \
                label[k] = +((const T *)in[k / 2])[x[i].at[k % 2]];                            \
                differs |= label[k] ^ label[0];                                                \
            }                                                                                  \
            if (differs) {                                                                     \
                for (int k = 0; k < 8; k++)                                                    \
                    w[k] = weight[k / 2] * x[i].weight[k % 2];                                 \
                label[0] = strongest(label, w, 2 * nearest + x[i].nearest);                    \
            }                                                                                  \
            dst[i] = (T)label[0];                                                              \
        }                                                                                      \
    }

LABEL_ROW(row_u8, uint8_t)
LABEL_ROW(row_i8, int8_t)
LABEL_ROW(row_u16, uint16_t)
LABEL_ROW(row_i16, int16_t)

static void resample(volt_volume *dst, const volt_volume *src, label_tap *const taps[3],
                     int threads)
{
    static void (*const rows[])(void *, const void *const[4], const double[4], int,
                                const label_tap *, int64_t) = {
        [VOLT_U8] = row_u8, [VOLT_I8] = row_i8, [VOLT_U16] = row_u16, [VOLT_I16] = row_i16};
    const int64_t *n = dst->grid.n, *from = src->grid.n;
    const int64_t bytes = (int64_t)volt_dtype_bytes(src->dtype);

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < n[0] * n[1]; r++) {
        const label_tap *z = &taps[0][r / n[1]], *y = &taps[1][r % n[1]];
        const void *in[4];
        double weight[4];
        for (int i = 0; i < 4; i++) {
            in[i] = (const char *)src->data +
                    (z->at[i / 2] * from[1] + y->at[i % 2]) * from[2] * bytes;
            weight[i] = z->weight[i / 2] * y->weight[i % 2];
        }
        rows[src->dtype]((char *)dst->data + r * n[2] * bytes, in, weight,
                         2 * z->nearest + y->nearest, taps[2], n[2]);
    }
}

volt_status volt_resample_labels(volt_volume **out, const volt_volume *src,
                                 const int64_t shape[3], volt_interpolation order,
                                 int separate_axis, int threads)
{
    volt_volume *v = NULL;
    label_tap *taps[3] = {NULL, NULL, NULL};
    volt_grid grid;
    volt_status st;

    if ((src->dtype != VOLT_U8 && src->dtype != VOLT_I8 && src->dtype != VOLT_U16 &&
         src->dtype != VOLT_I16) ||
        src->grid.channels != 1)
        return volt_fail(VOLT_EINVAL,
                         "labels are (u)int8 or (u)int16 with 1 channel, not %s with %d",
                         volt_dtype_name(src->dtype), (int)src->grid.channels);
    if (order == VOLT_CUBIC)
        return volt_fail(
            VOLT_EINVAL,
            "labels can be resampled linearly or to the nearest voxel, not cubically");
    VOLT_TRY(st, done, volt_resample_check(src->grid.n, order, separate_axis));
    VOLT_TRY(st, done, volt_resample_check(shape, order, separate_axis));
    VOLT_TRY(st, done, volt_alloc(&taps[0], volt_resample_labels_bytes(shape), "label taps"));
    taps[1] = taps[0] + shape[0];
    taps[2] = taps[1] + shape[1];
    for (int a = 0; a < 3; a++)
        make_taps(taps[a], src->grid.n[a], shape[a], a == separate_axis ? VOLT_NEAREST : order);
    grid = volt_resample_grid(&src->grid, shape);
    VOLT_TRY(st, done, volt_volume_create(&v, &grid, src->dtype));
    resample(v, src, taps, volt_threads_or_default(threads));
    *out = v;
done:
    volt_free(taps[0]);
    return st;
}
