#include "volume/resample.h"

#include <math.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "volume/resample/resample_internal.h"

/* Ratio of spacings above which an axis is not interpolated (nnU-Net). */
#define ANISOTROPY 3.0

volt_status volt_resample_shape(int64_t out[3], const int64_t shape[3], const double spacing[3],
                                const double target[3])
{
    int64_t n[3];

    for (int a = 0; a < 3; a++) {
        double voxels;
        if (!(spacing[a] > 0) || !(target[a] > 0) || isinf(spacing[a]) || isinf(target[a]))
            return volt_fail(VOLT_EINVAL,
                             "cannot resample from %g to %g mm along %c: spacings must be "
                             "positive",
                             spacing[a], target[a], "zyx"[a]);
        voxels = nearbyint(spacing[a] / target[a] * (double)shape[a]); /* half to even */
        if (!(voxels <= (double)VOLT_RESAMPLE_MAX_EXTENT))
            return volt_fail(VOLT_EINVAL,
                             "resampling from %g to %g mm changes the extent along %c from "
                             "%lld to %g voxels",
                             spacing[a], target[a], "zyx"[a], (long long)shape[a], voxels);
        n[a] = voxels < 1 ? 1 : (int64_t)voxels;
    }
    memcpy(out, n, sizeof n);
    return VOLT_OK;
}

/* The axis with the largest spacing, if it is the only one and anisotropic. */
static int coarse_axis(const double spacing[3], bool *anisotropic)
{
    const double most = fmax(spacing[0], fmax(spacing[1], spacing[2]));
    const double least = fmin(spacing[0], fmin(spacing[1], spacing[2]));
    int axis = VOLT_NO_AXIS, count = 0;

    for (int a = 0; a < 3; a++) {
        if (spacing[a] == most) {
            axis = a;
            count++;
        }
    }
    *anisotropic = most / least > ANISOTROPY;
    return *anisotropic && count == 1 ? axis : VOLT_NO_AXIS;
}

int volt_resample_separate_axis(const double spacing[3], const double target[3])
{
    bool anisotropic;
    const int axis = coarse_axis(spacing, &anisotropic);

    return anisotropic ? axis : coarse_axis(target, &anisotropic);
}

static volt_status check_finite(const volt_volume *v, int threads)
{
    const int64_t n = volt_grid_voxels(&v->grid) * v->grid.channels;
    const float *x = v->data;
    int64_t bad = 0;

#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : bad)
    for (int64_t i = 0; i < n; i++)
        bad += !(fabsf(x[i]) <= 3.402823466e38f);
    if (bad)
        return volt_fail(
            VOLT_EDATA,
            "the image is NaN or infinite in %lld of %lld voxel%s and cannot be interpolated",
            (long long)bad, (long long)n, volt_s(n));
    return VOLT_OK;
}

volt_status volt_resample_image(volt_volume **out, const volt_volume *src,
                                const int64_t shape[3], volt_interpolation order,
                                int separate_axis, int threads)
{
    volt_taps taps[3] = {{.at = NULL}, {.at = NULL}, {.at = NULL}};
    const int64_t *from = src->grid.n;
    volt_volume *v = NULL;
    volt_status st;

    if (src->dtype != VOLT_F32)
        return volt_fail(VOLT_EINVAL, "images are resampled as float32, not %s",
                         volt_dtype_name(src->dtype));
    threads = volt_threads_or_default(threads);
    VOLT_TRY(st, done, volt_resample_check(from, order, separate_axis));
    VOLT_TRY(st, done, volt_resample_check(shape, order, separate_axis));
    VOLT_TRY(st, done, check_finite(src, threads));
    if (memcmp(shape, from, sizeof src->grid.n) == 0)
        return volt_volume_convert(out, src, VOLT_F32, NULL, threads);

    VOLT_TRY(st, done, volt_alloc_zero(&v, 1, sizeof *v, "a volume"));
    v->grid = volt_resample_grid(&src->grid, shape);
    v->dtype = VOLT_F32;
    VOLT_TRY(st, done, volt_grid_check(&v->grid, "resampled volume"));
    VOLT_TRY(st, done, volt_taps_make_all(taps, from, shape, order, separate_axis));
    /* The cubic passes may need more room than the result. */
    VOLT_TRY(st, done,
             volt_alloc(&v->data,
                        (size_t)volt_resample_room(taps, src->grid.channels) * sizeof(float),
                        "a resampled volume"));
    if (order == VOLT_CUBIC)
        VOLT_TRY(st, done, volt_resample_cubic(v->data, src, taps, separate_axis, threads));
    else
        VOLT_TRY(st, done, volt_resample_linear(v->data, src, taps, threads));
    volt_shrink(v->data, volt_volume_bytes(v));
    *out = v;
    v = NULL;
done:
    volt_taps_free_all(taps);
    volt_volume_free(v);
    return st;
}

size_t volt_resample_image_bytes(const int64_t from[3], const int64_t to[3], int channels,
                                 volt_interpolation order, int separate_axis, int threads)
{
    const bool cubic = order == VOLT_CUBIC;
    volt_taps taps[3];
    size_t work;

    for (int a = 0; a < 3; a++)
        taps[a] = (volt_taps){.kind = from[a] == to[a]               ? VOLT_TAPS_KEEP
                                      : a == separate_axis || !cubic ? VOLT_TAPS_NEAREST
                                                                     : VOLT_TAPS_CUBIC,
                              .from = from[a],
                              .to = to[a]};
    threads = volt_threads_or_default(threads);
    work = cubic ? volt_resample_cubic_bytes(from, to, threads)
                 : volt_resample_linear_bytes(from, threads);
    return (size_t)volt_resample_room(taps, channels) * sizeof(float) + volt_taps_bytes(to) +
           work + sizeof(volt_volume);
}

size_t volt_resample_scratch_bytes(const int64_t from[3], const int64_t to[3], int threads)
{
    size_t most = volt_resample_labels_bytes(to), rows;

    threads = volt_threads_or_default(threads);
    rows = volt_taps_bytes(to) + volt_resample_linear_bytes(from, threads);
    most = volt_max_size(rows, most);
    rows = volt_taps_bytes(to) + volt_resample_cubic_bytes(from, to, threads);
    return volt_max_size(rows, most) + sizeof(volt_volume);
}
