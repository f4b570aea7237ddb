/* nifti_raw.h - what the parts of the NIfTI module share. Internal to io.
 *
 * From libnifti2 we take the header structures, their byte swapping and the quaternion
 * arithmetic, nothing that opens, prints or allocates: it checks neither files nor fields.
 */
#ifndef VOLT_IO_IMAGE_NIFTI_RAW_H
#define VOLT_IO_IMAGE_NIFTI_RAW_H
#include <nifti2_io.h>
#include "io/image/convert.h"
#include "io/image/header.h"
#include "io/image/nifti.h"

#define VOLT_NIFTI1_HEADER    348
#define VOLT_NIFTI2_HEADER    540
#define VOLT_NIFTI_EXTENDER   4 /* bytes behind the header that tell of extensions */
#define VOLT_NIFTI_MAX_EXTRAS ((size_t)16 << 20) /* bytes of extensions kept */

struct volt_nifti_raw {
    /* This machine's byte order. A version 1 header is held here too: its fields are a subset,
     * and its floats become doubles and back without loss. */
    nifti_2_header h;
    size_t stored_bytes;       /* of all voxels in the file */
    unsigned char *extensions; /* a valid chain in this machine's order; NULL if none */
    size_t extension_bytes;
};

/* NULL is allowed. */
void volt_nifti_raw_free(struct volt_nifti_raw *raw);

/* Judges a header of `got` bytes (540 unless the file is shorter). `path` is for messages and
 * for telling a pair from a single file that was marked as one. The caller owns *out. */
volt_status volt_nifti_parse(volt_image_header **out, const unsigned char *bytes, size_t got,
                             const char *path);

/* Ends of names, in any case. */
bool volt_nifti_ends_with(const char *text, const char *end);

/* NIfTI's code for `dtype`; 0 when there is none. */
int volt_nifti_datatype(volt_dtype dtype);

/* Fills grid (n and channels are set already), geometry, codes and unit from raw->h. */
VOLT_MUST_USE volt_status volt_nifti_read_geometry(volt_image_header *header, const char *path);

/* Sets pixdim, qform, sform and units of `h` for `grid`. `source` may be NULL; its grid is
 * where the fields of `h` came from. */
void volt_nifti_write_geometry(nifti_2_header *h, const volt_grid *grid,
                               const volt_image_header *source);

#endif
