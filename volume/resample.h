/* resample.h - resampling of a volume to another shape, as in nnU-Net v2.
 *
 * Mapping   voxel i of n' reads position u = (i + 1/2) * n / n' - 1/2 of n (half-pixel
 *           centres). Beyond the border the edge value continues. No smoothing precedes
 *           downsampling.
 * Cubic     interpolating cubic B-spline (prefilter of Unser, Aldroubi, Eden 1993), clipped to
 *           the input's range: skimage.transform.resize(order=3, mode="edge",
 *           anti_aliasing=False), in float32 instead of float64.
 * Separate  the low-resolution axis of an anisotropic volume is not interpolated: images are
 *           resampled slice by slice across it, clipped per slice, and the nearest slice is
 *           taken (half rounds up).
 * Results   have the same bits for any thread count; other instruction sets differ in the last
 *           bits.
 * Threads   no shared state. Calls may share sources.
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

/* Extents (z, y, x) after a change of spacing (mm): round(spacing / target * shape), half to
 * even, at least 1. VOLT_EINVAL: a spacing that is not positive, a result beyond 2^31. */
VOLT_CALL volt_resample_shape(int64_t out[3], const int64_t shape[3], const double spacing[3],
                              const double target[3]);
/* The separate axis (0 z, 1 y, 2 x) or VOLT_NO_AXIS. A spacing is anisotropic when its largest
 * value exceeds 3 times its smallest; the axis with the largest value is then separate, unless
 * two axes share it. The target's spacing decides if the current one is not anisotropic. */
VOLT_API int volt_resample_separate_axis(const double spacing[3], const double target[3]);

/* Resamples an image (VOLT_F32, any channels) to `shape` (z, y, x); the outer faces of the
 * volume stay where they are. Equal shapes give a copy. The caller owns *out
 * (volt_volume_free). Peak memory: `src`, the larger of `src` and the result, and
 * volt_resample_scratch_bytes(). VOLT_EINVAL: type, or extents below 1 or too large;
 * VOLT_EDATA: NaN or infinite voxels (a spline would spread them everywhere); VOLT_ENOMEM. */
VOLT_CALL volt_resample_image(volt_volume **out, const volt_volume *src, const int64_t shape[3],
                              volt_interpolation order, int separate_axis, int threads);

/* Resamples a label map (VOLT_U8, VOLT_I8, VOLT_U16 or VOLT_I16; one channel) to `shape`.
 *
 * VOLT_LINEAR: every label, -1 included, is interpolated as a 0/1 image, and a voxel takes the
 * label with the largest value; of several equal ones the nearest voxel's if it is among them,
 * else the smallest (batchgenerators 0.25.5). Arithmetic is in double, in scipy's order, so
 * that ties are resolved as there. VOLT_NEAREST: the nearest voxel along all axes.
 *
 * The caller owns *out (volt_volume_free). VOLT_EINVAL, VOLT_ENOMEM. */
VOLT_CALL volt_resample_labels(volt_volume **out, const volt_volume *src,
                               const int64_t shape[3], volt_interpolation order,
                               int separate_axis, int threads);

/* Upper bound of what the two calls above allocate in addition to their result, for shapes
 * (z, y, x) up to `from` and `to`. Small compared with the volume, unless that is one slice. */
VOLT_API size_t volt_resample_scratch_bytes(const int64_t from[3], const int64_t to[3],
                                            int threads);

VOLT_END_DECLS
#endif
