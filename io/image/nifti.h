/* nifti.h - NIfTI-1 and NIfTI-2: .nii, .nii.gz, .hdr/.img(.gz), both byte orders.
 *
 * Files    what a file is follows from its bytes, never from its name; only a pair's other half
 *          is looked for by name, in the same folder. Everything read is hostile: sizes are
 *          checked against the file before anything is allocated.
 * Shape    dim[1..3] become x, y, z; the one further axis that is longer than 1 becomes the
 *          channels (so 4-D, and 5-D with a single time point). 2-D has nz = 1.
 * World    the sform when its code is above 0, else the qform, else what nibabel assumes
 *          (LAS axes, centred), which is noted as an warning. Micrometres and metres become mm.
 * Values   stored * scl_slope + scl_inter, computed in double. Slope 0 or not finite means no
 *          scaling; a usable slope with an intercept that is not finite is refused. NaN and
 *          infinite voxels are kept.
 * Refused  (VOLT_ENOTSUP) ANALYZE 7.5 (it does not say which side is left), complex, RGB(A),
 *          float128, 1-bit voxels, two or more axes beyond z; (VOLT_EFORMAT) damaged files.
 */
#ifndef VOLT_IO_IMAGE_NIFTI_H
#define VOLT_IO_IMAGE_NIFTI_H
#include "io/image.h"
VOLT_BEGIN_DECLS

/* As volt_image_info, volt_image_read and volt_image_write, for NIfTI files. Reading converts
 * in place: the peak is the result. Written are PATH.nii and PATH.nii.gz (VOLT_EINVAL for other
 * endings); where the volume lies on the source's grid the geometry fields are copied
 * untouched, so that every reader finds the same matrix, to the bit; else qform and sform are
 * both moved along, units become mm, and slice timing fields are cleared. Voxels are written as
 * they are (slope 1, intercept 0). NIfTI-2 is used when an extent exceeds 32767, or as the
 * source. VOLT_ENOTSUP: bfloat16. */
VOLT_MUST_USE volt_status volt_nifti_info(volt_image_header **out, const char *path);
VOLT_MUST_USE volt_status volt_nifti_read(volt_volume **out, volt_image_header **header,
                                          const char *path,
                                          const volt_image_read_options *options);
VOLT_MUST_USE volt_status volt_nifti_write(const char *path, const volt_volume *volume,
                                           const volt_image_header *source,
                                           const volt_image_write_options *options);

VOLT_END_DECLS
#endif
