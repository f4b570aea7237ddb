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
 * in place: peak memory is the result. Only .nii and .nii.gz are written (else VOLT_EINVAL).
 * What becomes of the source's fields when a volume is written with its header:
 *
 *   always        kept: intent, descrip, aux_file, toffset, unit of time, extensions,
 * data_type, db_name, extents, session_error, NIfTI version (2 when an extent exceeds 32767).
 * Computed: sizeof_hdr, datatype, bitpix, vox_offset, magic, regular
 *                 ('r'), scl_slope 1 and scl_inter 0, because values are stored unscaled.
 *   same grid     all of the geometry kept bit by bit, so that every reader gets the same
 * matrix: pixdim, qform, sform, units, dim_info, slice fields. other grid    dim[1..3],
 * pixdim[0..3], qform and sform computed, both with their codes; the unit of length becomes mm.
 * dim_info follows its axes, and is cleared where the new axes are not parallel to them.
 * slice_start, slice_end and slice_code are counted from the other side when slices are
 * reversed, and cleared, with slice_duration, when the slices are others than the source's.
 *   same number of channels   dim[0], dim[4..7] and pixdim[4..7] (the repetition time) kept.
 *   other number  computed; pixdim[4] is 1 with channels, else pixdim[4..7] are 0.
 *   as labels     cal_min, cal_max, glmin, glmax cleared, since they describe other values;
 * else kept.
 *
 * VOLT_ENOTSUP: bfloat16. */
VOLT_MUST_USE volt_status volt_nifti_info(volt_image_header **out, const char *path);
VOLT_MUST_USE volt_status volt_nifti_read(volt_volume **out, volt_image_header **header,
                                          const char *path,
                                          const volt_image_read_options *options);
VOLT_MUST_USE volt_status volt_nifti_write(const char *path, const volt_volume *volume,
                                           const volt_image_header *source,
                                           const volt_image_write_options *options);

VOLT_END_DECLS
#endif
