/* format.h - one image format: a reader and a writer, reached through a descriptor alone.
 *
 * A new format is a file with a descriptor, declared here, a row of the table in formats.c, and
 * its endings in names.c.
 */
#ifndef VOLT_IO_IMAGE_FORMAT_H
#define VOLT_IO_IMAGE_FORMAT_H
#include "io/image.h"

/* The contracts are those of volt_image_info, _read and _write. */
typedef struct volt_image_format {
    volt_status (*info)(volt_image_header **out, const char *path);
    volt_status (*read)(volt_volume **out, volt_image_header **header, const char *path,
                        const volt_image_read_options *options);
    volt_status (*write)(const char *path, const volt_volume *volume,
                         const volt_image_header *source,
                         const volt_image_write_options *options);
} volt_image_format;

/* The format of a file of this name. */
const volt_image_format *volt_image_format_of(const char *path);

extern const volt_image_format volt_format_nifti;
extern const volt_image_format volt_format_png;
extern const volt_image_format volt_format_bmp;
extern const volt_image_format volt_format_gif;
extern const volt_image_format volt_format_jpeg;
extern const volt_image_format volt_format_itk;   /* what volt-itk reads and writes */
extern const volt_image_format volt_format_stack; /* folders of pictures, to read */

#endif
