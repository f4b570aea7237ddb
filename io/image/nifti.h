/* nifti.h - NIfTI-1 and NIfTI-2: .nii, .nii.gz, .hdr/.img(.gz), both byte orders.
 *
 * Files     a file's bytes decide what it is, not its name; only the other file of a pair is
 *           found by name, in the same folder. Everything is untrusted: sizes are checked
 *           against the file before memory is allocated.
 * Shape     dim[1..3] are x, y, z; the one further axis longer than 1 is the channels (4-D, and
 *           5-D with a single time point). 2-D has nz = 1.
 * World     the sform if its code is above 0, else the qform, else nibabel's default (LAS axes,
 *           centred) with a warning. Micrometres and metres are converted to mm.
 * Values    stored * scl_slope + scl_inter, computed in double. A slope that is 0 or not finite
 *           means no scaling; a valid slope with an intercept that is not finite is refused.
 *           NaN and infinite voxels are preserved.
 * Refused   (VOLT_ENOTSUP) ANALYZE 7.5 (it does not define which side is left), complex,
 *           RGB(A), float128, 1-bit voxels, two or more axes beyond z; (VOLT_EFORMAT) damaged
 *           files.
 * Threads   different files may be read and written at the same time.
 */
#ifndef VOLT_IO_IMAGE_NIFTI_H
#define VOLT_IO_IMAGE_NIFTI_H
#include "io/image.h"
VOLT_BEGIN_DECLS

/* As volt_image_info, volt_image_read and volt_image_write, for NIfTI files. Reading converts
 * in place: peak memory is the result. Only .nii and .nii.gz are written (else VOLT_EINVAL). On
 * the source's grid the geometry fields are copied unchanged, so that every reader gets the
 * same matrix bit by bit; on another grid qform and sform are both moved, units become mm, and
 * slice timing fields are cleared. Voxels are written unscaled (slope 1, intercept 0). NIfTI-2
 * is used when an extent exceeds 32767 or the source has it. VOLT_ENOTSUP: bfloat16. */
VOLT_MUST_USE volt_status volt_nifti_info(volt_image_header **out, const char *path);
VOLT_MUST_USE volt_status volt_nifti_read(volt_volume **out, volt_image_header **header,
                                          const char *path,
                                          const volt_image_read_options *options);
VOLT_MUST_USE volt_status volt_nifti_write(const char *path, const volt_volume *volume,
                                           const volt_image_header *source,
                                           const volt_image_write_options *options);

VOLT_END_DECLS
#endif
