/* resample.h - a volume on another number of voxels, the way nnU-Net v2 does it.
 *
 * Mapping  voxel i of n' reads position u = (i + 1/2) * n / n' - 1/2 of n (half-pixel centres);
 *          beyond the border the edge value goes on. No smoothing before shrinking.
 * Cubic    interpolating cubic B-spline (prefilter of Unser, Aldroubi, Eden 1993), then clipped
 *          to the input's smallest and largest value: what skimage.transform.resize(order=3,
 *          mode="edge", anti_aliasing=False) gives, in float32 instead of float64.
 * Separate axis  of anisotropic volumes the axis of low resolution is not interpolated: images
 *          are resampled slice by slice across it (and clipped per slice), then the nearest
 *          slice is taken (half rounds up).
 * Same bits for any thread count; other instruction sets differ in the last bits.
 */
#ifndef VOLT_VOLUME_RESAMPLE_H
#define VOLT_VOLUME_RESAMPLE_H
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "box.h"
#include "volume.h"
VOLT_BEGIN_DECLS

#define VOLT_NO_AXIS (-1) /* no separate axis */

typedef enum volt_interpolation {
    VOLT_NEAREST = 0,
    VOLT_LINEAR = 1,
    VOLT_CUBIC = 3
} volt_interpolation;

/* Voxels after a change of spacing (mm; z, y, x): round(spacing / target * shape), half to
 * even, at least 1. VOLT_EINVAL: a spacing that is not positive, a result beyond 2^31. */
VOLT_CALL volt_resample_shape(int64_t out[3], const int64_t shape[3], const double spacing[3],
                              const double target[3]);
/* The separate axis (0 z, 1 y, 2 x) or VOLT_NO_AXIS: where the largest spacing is more than 3
 * times the smallest - the current spacing is asked first, then the target - it is the axis
 * with the largest; none if two share it. */
VOLT_API int volt_resample_separate_axis(const double spacing[3], const double target[3]);

/* Resamples an image (VOLT_F32, any channels) to `shape` (z, y, x). Equal shapes give a copy.
 * The caller owns *out. While it runs, two copies of the volume are held at most: `src` and the
 * larger of `src` and the result, besides volt_resample_scratch_bytes().
 * VOLT_EINVAL: type, extents below 1 or too many; VOLT_EDATA: NaN or infinite voxels (a spline
 * would spread them everywhere); VOLT_ENOMEM. */
VOLT_CALL volt_resample_image(volt_volume **out, const volt_volume *src, const int64_t shape[3],
                              volt_interpolation order, int separate_axis, int threads);

/* Resamples a label map (VOLT_U8, VOLT_I8, VOLT_U16 or VOLT_I16; one channel) to `shape`.
 * VOLT_LINEAR: each label, -1 included, as a 0/1 image of its own, linear; a voxel takes the
 * label of largest value, of several equal ones the nearest voxel's where it is one of them,
 * else the smallest (batchgenerators 0.25.5). VOLT_NEAREST along all axes otherwise. Arithmetic
 * in double, in scipy's order, so that ties fall as they do there. The caller owns *out.
 * VOLT_EINVAL, VOLT_ENOMEM. */
VOLT_CALL volt_resample_labels(volt_volume **out, const volt_volume *src,
                               const int64_t shape[3], volt_interpolation order,
                               int separate_axis, int threads);

/* Bytes that the calls above allocate at most besides their result, for shapes (z, y, x) up to
 * `from` and `to`; small beside the volume unless that is one slice. */
VOLT_API size_t volt_resample_scratch_bytes(const int64_t from[3], const int64_t to[3],
                                            int threads);

VOLT_END_DECLS
#endif
