/* text_header.h - what the text headers of MetaImage and NRRD say, read by VOLT itself.
 *
 * volt-itk reads the voxels of these formats, but it does not decide which files it may open
 * nor where an NRRD lies: ITK 5.2 misreads one of NRRD's spaces and takes the spaces with time
 * for LPS. Everything here is checked before the helper starts.
 *
 * Files     names of voxel files as the header gives them, without a leading "./". They lie
 * next to the header: a name with a folder is refused. World     mm, LPS, as in
 * volt_image_geometry. Threads   no shared state.
 */
#ifndef VOLT_IO_IMAGE_TEXT_HEADER_H
#define VOLT_IO_IMAGE_TEXT_HEADER_H
#include "base/system/file.h"
#include "io/image.h"

#define VOLT_TEXT_MAX_AXES  4                 /* three in space and one of channels */
#define VOLT_TEXT_MAX_BYTES ((size_t)1 << 20) /* of a header */

typedef struct volt_text_header {
    bool compressed;
    bool local;   /* the voxels are in the header's own file */
    bool bounded; /* raw or gzip: the file's size limits the voxels */
    int axes;     /* as in the file, channels included */
    int64_t n[VOLT_TEXT_MAX_AXES];
    volt_names files;
    /* NRRD only. */
    bool has_geometry;
    volt_image_geometry geometry;
    volt_geometry_source source;
    char *warnings[4]; /* sentences */
    int warning_count;
} volt_text_header;

/* Parses the first `bytes` of a file, which may end anywhere after the header. `path` is for
 * messages and selects the format: .mha, .mhd, .nrrd, .nhdr. The caller owns *out
 * (volt_text_header_clear). VOLT_EFORMAT: damaged, or its voxels are elsewhere; VOLT_ENOTSUP:
 * more than 4 axes; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_text_header_parse(volt_text_header *out, const char *text,
                                                 size_t bytes, const char *path);
/* The same for the file `path`; also VOLT_EIO. */
VOLT_MUST_USE volt_status volt_text_header_read(volt_text_header *out, const char *path);
void volt_text_header_clear(volt_text_header *h);
/* True for the endings of formats with a text header. */
bool volt_text_header_is(const char *path);

#endif
