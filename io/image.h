/* image.h - images and label maps on disk, in any supported format.
 *
 * Formats   NIfTI, PNG, BMP and, if built in, JPEG and GIF are read and written by the
 *           library. MetaImage (.mha, .mhd), NRRD (.nrrd, .nhdr), TIFF (.tif, .tiff) and GIPL
 *           (.gipl, .gipl.gz) are handled by ITK in a separate program, volt-itk, because
 *           damaged files crash some of its readers. The file name's ending selects the format;
 *           a name without a known ending is read as NIfTI. A mask written as .seg.nrrd is a
 *           segmentation of 3D Slicer, also without ITK.
 * Shape     axes x, y, z; a fourth axis, colours and vector components become channels. 2-D
 *           files have nz = 1.
 * World     mm, RAS+; ITK's LPS is converted. 2-D files lie in the plane z = 0 and are 1 mm
 *           thick. Pictures (PNG, TIFF, JPEG, BMP, GIF) have no spatial metadata: pixels are 1
 *           mm wide, rows run to posterior, columns to the left, as in ITK. GIPL has no
 *           directions: LPS is taken. A multi-page TIFF takes its spacing from CASE.json next
 *           to CASE.tif or CASE_0000.tif ({"spacing": [z, y, x]}, as nnU-Net's Tiff3DIO), and
 *           one is written with it.
 * Stacks    volt_image_info and _read take a folder of pictures for the slices of one volume,
 *           in natural order of the names (2 before 10) along z; neither spacing nor
 *           orientation is known. All have one ending, size, number of channels and stored
 *           type, one page each; a number that is missing or there twice is an error
 *           (VOLT_EDATA).
 * Hostile   every file is untrusted; a reader that crashes or hangs becomes an error.
 * Threads   different files may be read and written at the same time; a header may be shared
 *           for reading.
 */
#ifndef VOLT_IO_IMAGE_H
#define VOLT_IO_IMAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "../volume/volume.h"
VOLT_BEGIN_DECLS

/* Where an image's grid comes from. */
typedef enum volt_geometry_source {
    VOLT_GEOMETRY_SFORM = 1,
    VOLT_GEOMETRY_QFORM = 2,
    VOLT_GEOMETRY_NOFORM = 3, /* spacing without orientation: a NIfTI file without either form
                               * (nibabel's default is taken), GIPL, an NRRD file without a
                               * patient's space, a TIFF file with a JSON file (LPS is taken) */
    VOLT_GEOMETRY_HEADER = 4, /* the spatial metadata of another format */
    VOLT_GEOMETRY_NONE = 5,   /* neither is known: 1 mm along LPS is taken */
} volt_geometry_source;

/* Spatial metadata as ITK stores it: axes x, y, z; world LPS, mm. */
typedef struct volt_image_geometry {
    int axes; /* spatial axes of the file: 2 or 3; 0: unknown */
    double spacing[3], origin[3];
    double direction[9]; /* row-major; its columns are the axes' directions */
} volt_image_geometry;

/* What a file says about itself. The fields are for reading; the caller owns the header
 * (volt_image_header_free). Passed to volt_image_write it carries everything known about the
 * source: geometry, codes, units, description, intent, extensions. */
typedef struct volt_image_header {
    char format[40];     /* "NIfTI-1", "PNG", "MetaImage", "NRRD", ... */
    int version;         /* NIfTI: 1 or 2; other formats: 0 */
    bool pair;           /* .hdr and .img */
    bool gzip;           /* the voxels are compressed */
    bool swapped;        /* the byte order is not this machine's */
    int64_t dim[8];      /* as in the file, x first; entries beyond dim[0] are 1 */
    bool is_2d;          /* the file has two spatial axes: no thickness */
    volt_dtype dtype;    /* stored type */
    bool scaled;         /* values are stored * slope + inter */
    double slope, inter; /* 1 and 0 unless scaled */
    volt_grid grid;      /* mm, RAS+, checked */
    volt_geometry_source geometry_source;
    int qform_code, sform_code;
    double unit_mm;       /* mm per unit of length in the file: 1, 1e-3, 1e3 */
    char description[81]; /* descrip, always terminated */
    char intent_name[17];
    int intent_code;
    size_t
        helper_bytes; /* that volt-itk needs to read the voxels, besides those read; else 0 */
    char **warnings;  /* one sentence each, without the file's name */
    size_t warning_count;
    volt_image_geometry geometry; /* of formats that ITK reads, for writing it back unchanged */
    struct volt_nifti_raw *raw;   /* of NIfTI, for writing it back unchanged; else NULL */
} volt_image_header;

VOLT_API void volt_image_header_free(volt_image_header *header); /* NULL is allowed */

/* True when the name has the ending of a format that can be read, in any case. */
VOLT_API bool volt_image_named(const char *path);

/* True for a stack, the slices of one volume, which is read like an image: a folder that holds
 * pictures and no other images, or FOLDER/CASE_*.png, its numbered pictures of that name, if
 * there is no such file. */
VOLT_API bool volt_image_is_stack(const char *path);

/* VOLT_EINVAL unless files are written under the ending of `path`, with `labels` without loss.
 * For callers that want to know before they compute. */
VOLT_CALL volt_image_check_ending(const char *path, bool labels);

/* Reads and checks the header alone; of an uncompressed NIfTI file also that the voxels are
 * present. The caller owns *out. VOLT_EIO, VOLT_EFORMAT, VOLT_ENOMEM; VOLT_ENOTSUP, also where
 * volt-itk is needed but not installed. */
VOLT_CALL volt_image_info(volt_image_header **out, const char *path);

/* True when the header knows which side is left; when it knows the spacing. */
VOLT_API bool volt_image_knows_orientation(const volt_image_header *header);
VOLT_API bool volt_image_knows_spacing(const volt_image_header *header);

typedef struct volt_image_read_options {
    size_t size; /* set by volt_image_read_defaults() */
    /* VOLT_AS_STORED: the stored type; for scaled values float32, or float64 when the file
     *    stores float64 or integers of 32 bits or more.
     * VOLT_F32, VOLT_F64: converted.
     * An integer type: for label maps. Every value must be an integer (within 1e-3, for labels
     *    that passed through float scaling) in that type's range; else VOLT_EFORMAT names the
     *    value and the voxel. */
    volt_dtype dtype;
    int threads; /* 0 = default */
} volt_image_read_options;
/* For other languages: fills in the defaults, VOLT_AS_STORED and default threads. */
VOLT_API void volt_image_read_options_init(volt_image_read_options *o, size_t size);
static inline volt_image_read_options volt_image_read_defaults(void)
{
    volt_image_read_options o;

    volt_image_read_options_init(&o, sizeof o);
    return o;
}

/* The defaults with this type and number of threads. */
static inline volt_image_read_options volt_image_read_as(volt_dtype dtype, int threads)
{
    volt_image_read_options o = volt_image_read_defaults();

    o.dtype = dtype;
    o.threads = threads;
    return o;
}

/* Reads a volume. The caller owns *out and *header (`header` may be NULL). `options` NULL: the
 * defaults. Pictures read as an integer type are label maps: one channel of the values stored,
 * as grey levels or palette indices; VOLT_EFORMAT: colours. Errors as volt_image_info. */
VOLT_CALL volt_image_read(volt_volume **out, volt_image_header **header, const char *path,
                          const volt_image_read_options *options);

/* What is lost of a volume's geometry when it is written. GIPL stores spacing and origin along
 * LPS axes. Pictures (PNG, TIFF, JPEG, BMP) store nothing; a TIFF file of several pages gets
 * its spacing in a JSON file. Other formats store everything. */
typedef enum volt_image_loss {
    VOLT_LOSS_NONE = 0,
    VOLT_LOSS_ORIENTATION, /* the axes are not along LPS; reoriented, nothing would be lost */
    VOLT_LOSS_GEOMETRY     /* spacing, position or orientation */
} volt_image_loss;
/* Of a volume on `grid` that is written as `path`. `source` (NULL is allowed) is the header of
 * the image it was derived from: what that does not know is not lost. Without a source, 1 mm
 * along RAS at the origin stands for no geometry. */
VOLT_API volt_image_loss volt_image_loss_of(const char *path, const volt_grid *grid,
                                            const volt_image_header *source);
/* "PNG", "GIPL", "NIfTI", ...: the format that the name's ending selects. */
VOLT_API const char *volt_image_format_name(const char *path);

typedef struct volt_image_write_options {
    size_t size;      /* set by volt_image_write_defaults() */
    volt_dtype dtype; /* VOLT_AS_STORED: the volume's; values out of range saturate */
    bool labels;      /* the smallest integer type that holds every value, uint8 up to 254 as
                       * in nnU-Net; dtype must be VOLT_AS_STORED. VOLT_EINVAL when a value is
                       * not an integer */
    /* Write pictures and GIPL also where their format cannot store where the image lies
     * (spacing, position, orientation), which is then lost; else such a volume is refused. */
    bool drop_geometry;
    int level;   /* of gzip, 1..12; 0 chooses 1 or 6 from the data */
    int threads; /* 0 = default */
    /* Of a mask, for viewers; borrowed; NULL: none. NIfTI files store it with intent code 1002,
     * .seg.nrrd as segments; other formats do not. */
    const struct volt_label_table *names;
} volt_image_write_options;
/* For other languages: fills in the defaults, all 0. */
VOLT_API void volt_image_write_options_init(volt_image_write_options *o, size_t size);
static inline volt_image_write_options volt_image_write_defaults(void)
{
    volt_image_write_options o;

    volt_image_write_options_init(&o, sizeof o);
    return o;
}

/* The defaults with this number of threads; for label maps, with `labels`. */
static inline volt_image_write_options volt_image_write_with(int threads)
{
    volt_image_write_options o = volt_image_write_defaults();

    o.threads = threads;
    return o;
}

static inline volt_image_write_options volt_image_write_labels(int threads)
{
    volt_image_write_options o = volt_image_write_with(threads);

    o.labels = true;
    return o;
}

/* Writes `volume` in the format of the name's ending, whole or not at all. `source` (NULL is
 * allowed) is the header of the image it was derived from: on the same grid its spatial
 * metadata is copied bit by bit when both formats are NIfTI or both are ITK's. `options` NULL:
 * the defaults. VOLT_EINVAL: an unknown ending, a volume or a geometry that the format cannot
 * hold (see drop_geometry); VOLT_EIO; VOLT_ENOTSUP; VOLT_ENOMEM. */
VOLT_CALL volt_image_write(const char *path, const volt_volume *volume,
                           const volt_image_header *source,
                           const volt_image_write_options *options);

VOLT_END_DECLS
#endif
