/* orient.h - orientation of a volume's axes in the patient, and exact reorientation.
 *
 * Codes     three letters for the voxel axes x, y, z in this order (as in files and nibabel),
 *           each the direction in which the index increases: R or L, A or P, S or I. "RAS" is
 *           the order of the world's axes, "LPS" DICOM's.
 * Oblique   axes are assigned to the world's by the closest rotation to the matrix, as
 *           nibabel's io_orientation does. Reorienting permutes and flips: voxels are never
 *           interpolated, and oblique or sheared matrices keep their columns, permuted and
 *           negated.
 * Threads   no shared state. Calls may share sources.
 */
#ifndef VOLT_VOLUME_ORIENT_H
#define VOLT_VOLUME_ORIENT_H
#include <stdbool.h>
#include "../base/status.h"
#include "volume.h"
VOLT_BEGIN_DECLS

/* An anatomical plane, independent of the voxel axes. */
typedef enum volt_plane {
    VOLT_PLANE_NONE = 0,
    VOLT_PLANE_AXIAL,
    VOLT_PLANE_CORONAL,
    VOLT_PLANE_SAGITTAL
} volt_plane;

/* A permutation with flips, as a plain value: axis i of the result is axis from[i] of the
 * source (0 = z, 1 = y, 2 = x), reversed if flip[i]. */
typedef struct volt_orientation {
    int from[3];
    bool flip[3];
} volt_orientation;

/* Codes of a valid grid (volt_grid_check) as a string, such as "LPS". */
VOLT_API void volt_orientation_codes(char out[4], const volt_grid *grid);
/* What turns `grid` into a volume with `codes` (upper or lower case). VOLT_EINVAL: `codes` does
 * not name each of the three axes once. */
VOLT_CALL volt_orientation_to(volt_orientation *out, const volt_grid *grid, const char *codes);
/* nnU-Net's transpose_forward: axis i of the result is axis order[i] of the source, no flip.
 * VOLT_EINVAL: `order` (z, y, x) is not a permutation of 0, 1, 2. */
VOLT_CALL volt_orientation_transpose(volt_orientation *out, const int order[3]);
VOLT_API volt_orientation volt_orientation_inverse(volt_orientation o);
VOLT_API bool volt_orientation_is_identity(volt_orientation o);

/* The grid of the result; every voxel keeps its position in the world. */
VOLT_API volt_grid volt_orientation_grid(volt_orientation o, const volt_grid *grid);
/* A copy of `src` (any type, any channels) in another orientation. The caller owns *out
 * (volt_volume_free). VOLT_ENOMEM. */
VOLT_CALL volt_volume_reorient(volt_volume **out, const volt_volume *src, volt_orientation o,
                               int threads);
/* Undoes volt_volume_reorient(o) for `v`, which may have other channels or another type (a
 * mask). `original` is the grid that `o` was created for: the result gets its matrix, bit for
 * bit. The caller owns *out (volt_volume_free). VOLT_EINVAL: the sizes do not match;
 * VOLT_ENOMEM. */
VOLT_CALL volt_volume_reorient_back(volt_volume **out, const volt_volume *v, volt_orientation o,
                                    const volt_grid *original, int threads);

VOLT_END_DECLS
#endif
