/* nifti.h - NIfTI-1 and NIfTI-2: .nii, .nii.gz, .hdr/.img(.gz), both byte orders.
 *
 * Files    what a file is follows from its bytes, never from its name; only a pair's other half
 *          is looked for by name, in the same folder. Everything read is hostile: sizes are
 *          checked against the file before anything is allocated.
 * Shape    dim[1..3] become x, y, z; the one further axis that is longer than 1 becomes the
 *          channels (so 4-D, and 5-D with a single time point). 2-D has nz = 1.
 * World    the sform when its code is above 0, else the qform, else what nibabel assumes
 *          (LAS axes, centred), which is noted as an oddity. Micrometres and metres become mm.
 * Values   stored * scl_slope + scl_inter, computed in double. Slope 0 or not finite means no
 *          scaling; a usable slope with an intercept that is not finite is refused. NaN and
 *          infinite voxels are kept.
 * Refused  (VOLT_ENOTSUP) ANALYZE 7.5 (it does not say which side is left), complex, RGB(A),
 *          float128, 1-bit voxels, two or more axes beyond z; (VOLT_EFORMAT) damaged files.
 */
#ifndef VOLT_IO_NIFTI_H
#define VOLT_IO_NIFTI_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "volume/volume.h"
VOLT_BEGIN_DECLS

typedef enum volt_nifti_geometry {
    VOLT_NIFTI_SFORM = 1,
    VOLT_NIFTI_QFORM = 2,
    VOLT_NIFTI_NOFORM = 3 /* orientation unknown: nibabel's assumption */
} volt_nifti_geometry;

/* What a file said about itself. Fields are for reading; the caller owns it
 * (volt_nifti_header_free). Handed to volt_nifti_write it carries everything the source knew:
 * codes, units, description, intent, extensions. */
typedef struct volt_nifti_header {
    int version;         /* 1 or 2 */
    bool pair;           /* .hdr and .img */
    bool gzip;           /* the voxels are */
    bool swapped;        /* byte order is not this machine's */
    int64_t dim[8];      /* as in the file; entries beyond dim[0] are 1 */
    volt_dtype dtype;    /* stored type */
    bool scaled;         /* values are stored * slope + inter */
    double slope, inter; /* 1 and 0 unless scaled */
    volt_grid grid;      /* mm, RAS+, checked */
    volt_nifti_geometry geometry;
    int qform_code, sform_code;
    double unit_mm;       /* mm per unit of length in the file: 1, 1e-3, 1e3 */
    char description[81]; /* descrip, always terminated */
    char intent_name[17];
    int intent_code;
    char **oddities; /* one sentence each, without the file's name */
    size_t oddity_count;
    struct volt_nifti_raw *raw; /* for volt_nifti_write */
} volt_nifti_header;

VOLT_API void volt_nifti_header_free(volt_nifti_header *header); /* NULL is allowed */

/* True when the name ends as NIfTI files do (.nii, .nii.gz, .hdr, .hdr.gz, .img, .img.gz; any
 * case): for listing folders and choosing where to write. */
VOLT_API bool volt_nifti_named(const char *path);

/* Reads the header alone and judges it (does not touch the voxels, but checks that a file that
 * is not compressed is long enough for them). The caller owns *out. VOLT_EIO, VOLT_EFORMAT,
 * VOLT_ENOTSUP, VOLT_ENOMEM. */
VOLT_CALL volt_nifti_info(volt_nifti_header **out, const char *path);

typedef struct volt_nifti_read_options {
    /* 0: the stored type; where values are scaled float32, or float64 when 32-bit and wider
     *    integers or float64 are stored.
     * VOLT_F32, VOLT_F64: converted.
     * An integer type: for label maps. Every value must be a whole number (within 1e-3, for
     *    labels that passed through float scaling) of that type's range: else VOLT_EFORMAT
     *    names the value and the voxel. */
    volt_dtype dtype;
    int threads; /* 0 = default */
} volt_nifti_read_options;

/* Reads a volume. The caller owns *out and *header (NULL: not wanted). `options` NULL means
 * all 0. Peak memory is the result plus, where types differ, nothing (converted in place).
 * VOLT_EIO, VOLT_EFORMAT, VOLT_ENOTSUP, VOLT_ENOMEM. */
VOLT_CALL volt_nifti_read(volt_volume **out, volt_nifti_header **header, const char *path,
                          const volt_nifti_read_options *options);

typedef struct volt_nifti_write_options {
    volt_dtype dtype; /* 0: the volume's; values that do not fit saturate (volume.h) */
    bool labels;      /* smallest integer type that holds every value; dtype must be 0.
                       * VOLT_EINVAL when a value is not whole */
    int level;        /* gzip, as volt_gzip_write */
    int threads;      /* 0 = default */
} volt_nifti_write_options;

/* Writes `volume` as PATH.nii or PATH.nii.gz (VOLT_EINVAL for other endings), whole or not at
 * all. `source` (NULL allowed) is the header of the scan it came from: its version and fields
 * are kept. Where the volume lies on the source's grid the geometry fields are copied
 * untouched, so that every reader finds the same matrix, to the bit; else qform and sform are
 * both moved along, units become mm, and slice timing fields are cleared. Voxels are written as
 * they are (slope 1, intercept 0). NIfTI-2 is used when an extent exceeds 32767, or as the
 * source. VOLT_EIO, VOLT_EINVAL, VOLT_ENOTSUP (bfloat16), VOLT_ENOMEM. */
VOLT_CALL volt_nifti_write(const char *path, const volt_volume *volume,
                           const volt_nifti_header *source,
                           const volt_nifti_write_options *options);

VOLT_END_DECLS
#endif
