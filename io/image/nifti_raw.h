/* nifti_raw.h - shared by the parts of the NIfTI module.
 *
 * Only libnifti2's header structs, byte swapping and quaternion arithmetic are used, nothing
 * that opens, prints or allocates: it checks neither files nor fields.
 */
#ifndef VOLT_IO_IMAGE_NIFTI_RAW_H
#define VOLT_IO_IMAGE_NIFTI_RAW_H
#include <nifti2_io.h>
#include "io/image/convert.h"
#include "io/image/header.h"
#include "io/image/nifti.h"

#define VOLT_NIFTI1_HEADER    348
#define VOLT_NIFTI2_HEADER    540
#define VOLT_NIFTI_EXTENDER   4 /* bytes after the header that announce extensions */
#define VOLT_NIFTI_MAX_EXTRAS ((size_t)16 << 20) /* bytes of extensions preserved */

/* Fields that NIfTI-1 took over from ANALYZE and does not use. Programs leave notes in them. */
typedef struct volt_nifti_unused {
    char data_type[10], db_name[18];
    int extents, glmax, glmin;
    short session_error;
} volt_nifti_unused;

struct volt_nifti_raw {
    /* In native byte order. Version 1 headers are stored here too: their fields are a subset,
     * and floats survive the way to double and back. */
    nifti_2_header h;
    size_t stored_bytes; /* of all voxels in the file */
    volt_nifti_unused unused;
    unsigned char *extensions; /* a valid chain in native byte order; NULL if none */
    size_t extension_bytes;
};

/* NULL is allowed. */
void volt_nifti_raw_free(struct volt_nifti_raw *raw);

/* Parses and checks a header of `got` bytes (540 unless the file is shorter). `path` is for
 * messages, and to recognize a single file that is marked as a pair. The caller owns *out. */
volt_status volt_nifti_parse(volt_image_header **out, const unsigned char *bytes, size_t got,
                             const char *path);

/* True if `text` is longer than `end` and ends in it, in any case. */
bool volt_nifti_ends_with(const char *text, const char *end);

/* NIfTI's code for `dtype`; 0: none. */
int volt_nifti_datatype(volt_dtype dtype);

/* Fills the grid (but n and channels), geometry_source, codes and unit from raw->h. */
VOLT_MUST_USE volt_status volt_nifti_read_geometry(volt_image_header *header, const char *path);

/* Sets pixdim, qform, sform and units of `h` for `grid`. `source` (NULL is allowed) is the
 * header that the fields of `h` were copied from. */
void volt_nifti_write_geometry(nifti_2_header *h, const volt_grid *grid,
                               const volt_image_header *source);

/* Carries the fields about slices and encoding of `h`, copied from `source`, to `grid`, which
 * is not the source's: axes are renumbered, reversed slices are counted from the other side,
 * and what the new axes do not have is cleared. */
void volt_nifti_move_slices(nifti_2_header *h, const volt_grid *grid,
                            const volt_image_header *source);

#endif
