/* image.h - scans and label maps on disk, whatever their format.
 *
 * Formats  NIfTI (io/nifti.h) and PNG (io/png.h) are read and written here. MetaImage (.mha,
 *          .mhd), NRRD (.nrrd, .nhdr), TIFF (.tif, .tiff), JPEG (.jpg, .jpeg), BMP (.bmp) and
 *          GIPL (.gipl, .gipl.gz) are ITK's matter, in a program of its own, volt-itk
 *          (io/itk/protocol.h), because damaged files crash some of its readers. The name's
 *          ending decides, here and nowhere else; a name with none of these is taken for NIfTI.
 * Shape    axes x, y, z; a fourth axis, colours and vectors become the channels. Files with two
 *          axes have nz = 1 and are flat.
 * World    mm, RAS+; ITK's LPS is turned. Files with two axes lie in z = 0, one mm thick.
 *          Pictures (PNG, TIFF, JPEG, BMP) do not say where they lie: pixels of 1 mm, rows
 *          run to the back, columns to the left, as ITK has it. A TIFF with pages takes its
 *          spacing from CASE.json beside CASE.tif or CASE_0000.tif ({"spacing": [z, y, x]}, as
 *          nnU-Net's Tiff3DIO) and is written with one.
 * Hostile  everything read is; a reader that crashes or hangs costs a sentence, not the
 * program.
 */
#ifndef VOLT_IO_IMAGE_H
#define VOLT_IO_IMAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/names.h"
#include "../base/status.h"
#include "../volume/volume.h"
VOLT_BEGIN_DECLS

typedef enum volt_image_geometry {
    VOLT_NIFTI_SFORM = 1,
    VOLT_NIFTI_QFORM = 2,
    VOLT_NIFTI_NOFORM = 3,   /* orientation unknown: nibabel's assumption */
    VOLT_IMAGE_PLACED = 4,   /* another format, which says where it lies */
    VOLT_IMAGE_UNPLACED = 5, /* one that does not */
} volt_image_geometry;

/* ITK's numbers for where a scan lies: axes x, y, z; world LPS, mm. */
typedef struct volt_image_place {
    int axes; /* of the file's space: 2 or 3; 0: not known */
    double spacing[3], origin[3];
    double direction[9]; /* rows of the matrix whose columns are the axes */
} volt_image_place;

/* What a file said about itself. Fields are for reading; the caller owns it
 * (volt_image_header_free). Handed to volt_image_write it carries everything the source knew:
 * place, codes, units, description, intent, extensions. */
typedef struct volt_image_header {
    char format[40];     /* "NIfTI-1", "PNG", "MetaImage", "NRRD", ... */
    int version;         /* of NIfTI: 1 or 2; 0: another format */
    bool pair;           /* .hdr and .img */
    bool gzip;           /* the voxels are */
    bool swapped;        /* byte order is not this machine's */
    int64_t dim[8];      /* as in the file, x first; entries beyond dim[0] are 1 */
    bool flat;           /* the file has two axes of space: no thickness */
    volt_dtype dtype;    /* stored type */
    bool scaled;         /* values are stored * slope + inter */
    double slope, inter; /* 1 and 0 unless scaled */
    volt_grid grid;      /* mm, RAS+, checked */
    volt_image_geometry geometry;
    int qform_code, sform_code;
    double unit_mm;       /* mm per unit of length in the file: 1, 1e-3, 1e3 */
    char description[81]; /* descrip, always terminated */
    char intent_name[17];
    int intent_code;
    char **warnings; /* one sentence each, without the file's name */
    size_t warning_count;
    volt_image_place place;     /* of formats that ITK reads, for writing the same again */
    struct volt_nifti_raw *raw; /* of NIfTI, for writing the same again; else NULL */
} volt_image_header;

VOLT_API void volt_image_header_free(volt_image_header *header); /* NULL is allowed */

/* True when the name ends as scans do, in any case: for listing folders and choosing where to
 * write. */
VOLT_API bool volt_image_named(const char *path);
/* That ending (".nii.gz", ".nrrd", ...), a part of `name`; "" when it has none. */
VOLT_API const char *volt_image_ending(const char *name);
/* True for the names of pictures (PNG, TIFF, JPEG, BMP), which do not say where they lie. */
VOLT_API bool volt_image_is_picture(const char *path);
/* True when masks can be written under this ending without loss. */
VOLT_API bool volt_image_holds_masks(const char *ending);

/* The scans in `folder`, sorted, without litter (names that start with a dot); pictures only
 * where nothing else is there. VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_image_list(volt_names *out, const char *folder);
/* FOLDER/ID.* of the first ending under which masks are written; *out is NULL when there is
 * none. The caller owns *out. VOLT_ENOMEM. */
VOLT_CALL volt_image_find(char **out, const char *folder, const char *id);

/* Reads the header alone and judges it (does not touch the voxels; of a NIfTI file that is not
 * compressed it checks that they are there). The caller owns *out. VOLT_EIO, VOLT_EFORMAT,
 * VOLT_ENOMEM; VOLT_ENOTSUP, also where volt-itk is needed and is not there. */
VOLT_CALL volt_image_info(volt_image_header **out, const char *path);

typedef struct volt_image_read_options {
    /* 0: the stored type; where values are scaled float32, or float64 when 32-bit and wider
     *    integers or float64 are stored.
     * VOLT_F32, VOLT_F64: converted.
     * An integer type: for label maps. Every value must be a whole number (within 1e-3, for
     *    labels that passed through float scaling) of that type's range: else VOLT_EFORMAT
     *    names the value and the voxel. */
    volt_dtype dtype;
    int threads; /* 0 = default */
} volt_image_read_options;

/* Reads a volume. The caller owns *out and *header (NULL: not wanted). `options` NULL means
 * all 0. Label maps in PNG are grey values or palette indices. Errors as volt_image_info. */
VOLT_CALL volt_image_read(volt_volume **out, volt_image_header **header, const char *path,
                          const volt_image_read_options *options);

typedef struct volt_image_write_options {
    volt_dtype dtype; /* 0: the volume's; values that do not fit saturate (volume.h) */
    bool labels;      /* smallest integer type that holds every value, uint8 up to 254 as
                       * nnU-Net; dtype must be 0. VOLT_EINVAL when a value is not whole */
    int level;        /* gzip, as volt_gzip_write */
    int threads;      /* 0 = default */
} volt_image_write_options;

/* Writes `volume` in the format of the name's ending, whole or not at all. `source` (NULL
 * allowed) is the header of the scan it came from: on its grid every reader finds the same
 * place, to the bit, where source and target are both NIfTI or both ITK's. VOLT_EINVAL: a name
 * that ends otherwise, a volume that the format does not hold; VOLT_EIO; VOLT_ENOTSUP;
 * VOLT_ENOMEM. */
VOLT_CALL volt_image_write(const char *path, const volt_volume *volume,
                           const volt_image_header *source,
                           const volt_image_write_options *options);

VOLT_END_DECLS
#endif
