/* distance.h - exact Euclidean distances and boundaries of masks.
 *
 * Masks    uint8_t, (Z, Y, X), X fastest, non-zero = inside.
 * Shape    n[3] and spacing[3] (mm, > 0) are along z, y, x; each extent is 1..65534.
 * Method   separable lower envelopes (Felzenszwalb, Huttenlocher 2012) on integer offsets, so
 *          the squared distance is computed once, in double: exact but for its own rounding.
 * Threads  `threads` 0 = default; same bits for any number.
 */
#ifndef VOLT_VOLUME_DISTANCE_H
#define VOLT_VOLUME_DISTANCE_H
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

/* Distance in mm of every voxel to the nearest voxel of the mask: 0 inside, INFINITY when the
 * mask is empty. `out` has the mask's shape; no other memory of that size is taken.
 * VOLT_EINVAL: extent or spacing; VOLT_ENOMEM. */
VOLT_CALL volt_distance_to(float *out, const uint8_t *mask, const int64_t n[3],
                           const double spacing[3], int threads);
/* The same at chosen voxels, in double: distance[i] belongs to the i-th non-zero voxel of `at`
 * in raster order; the caller provides as many doubles as `at` has such voxels. */
VOLT_CALL volt_distance_at(double *distance, const uint8_t *at, const uint8_t *mask,
                           const int64_t n[3], const double spacing[3], int threads);
/* Voxels of the mask with a face neighbour outside it (mask xor its erosion by the 6-connected
 * cross; beyond the border counts as outside, as in scipy). 1 or 0. `out` may not be `mask`.
 * Returns how many. */
VOLT_API int64_t volt_boundary(uint8_t *out, const uint8_t *mask, const int64_t n[3],
                               int threads);

VOLT_END_DECLS
#endif
