/* distance.h - exact Euclidean distances to masks, and boundaries of masks.
 *
 * Masks     uint8_t, (Z, Y, X), X fastest, non-zero = inside.
 * Shape     n[3] and spacing[3] (mm, > 0) are along z, y, x; each extent is 1..65534.
 * Method    separable lower envelopes of parabolas (Felzenszwalb, Huttenlocher 2012) over
 *           integer offsets; the squared distance is computed once, in double, so rounding is
 *           the only error.
 * Threads   no shared state. `threads` 0 = default; same bits for any number.
 */
#ifndef VOLT_VOLUME_DISTANCE_H
#define VOLT_VOLUME_DISTANCE_H
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

/* Distance in mm from every voxel to the nearest voxel of the mask: 0 inside, INFINITY if the
 * mask is empty. `out` has the mask's shape and is the only array of that size. VOLT_EINVAL:
 * extent or spacing; VOLT_ENOMEM. */
VOLT_CALL volt_distance_to(float *out, const uint8_t *mask, const int64_t n[3],
                           const double spacing[3], int threads);
/* The same at selected voxels, in double: distance[i] belongs to the i-th non-zero voxel of
 * `at` in raster order; the caller provides as many doubles as `at` has such voxels. */
VOLT_CALL volt_distance_at(double *distance, const uint8_t *at, const uint8_t *mask,
                           const int64_t n[3], const double spacing[3], int threads);
/* Marks the voxels of the mask that have a face neighbour outside it (mask xor its erosion by
 * the 6-connected cross; beyond the border is outside, as in scipy) by 1, others by 0. `out`
 * may not be `mask`. Returns how many are marked. */
VOLT_API int64_t volt_boundary(uint8_t *out, const uint8_t *mask, const int64_t n[3],
                               int threads);

VOLT_END_DECLS
#endif
