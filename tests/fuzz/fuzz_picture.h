/* fuzz_picture.h - any bytes as a picture, as a scan and as a label map: refused, or as many
 * voxels as its header says. */
#ifndef VOLT_TESTS_FUZZ_PICTURE_H
#define VOLT_TESTS_FUZZ_PICTURE_H
#include "tests/fuzz/fuzz.h"

#include "io/image/format.h"

static inline int fuzz_picture(const volt_image_format *format, const uint8_t *data,
                               size_t size)
{
    const char *path = fuzz_file(data, size);
    volt_image_header *header = NULL, *alone = NULL;
    volt_volume *scan = NULL, *labels = NULL;
    const volt_image_read_options as_labels = volt_image_read_as(VOLT_I32, 1);

    if (format->read(&scan, &header, path, NULL) == VOLT_OK) {
        fuzz_require(format->info(&alone, path) == VOLT_OK);
        fuzz_require(memcmp(&alone->grid, &header->grid, sizeof alone->grid) == 0);
        fuzz_require(memcmp(&scan->grid, &header->grid, sizeof scan->grid) == 0);
        fuzz_require(scan->grid.n[0] == 1 && scan->grid.channels <= 4);
    } else {
        fuzz_require(!scan && !header && *volt_last_error());
    }
    if (format->read(&labels, NULL, path, &as_labels) == VOLT_OK) {
        fuzz_require(labels->dtype == VOLT_I32 && labels->grid.channels == 1);
        fuzz_require(!scan || volt_grid_voxels(&labels->grid) == volt_grid_voxels(&scan->grid));
    }
    volt_volume_free(labels);
    volt_volume_free(scan);
    volt_image_header_free(alone);
    volt_image_header_free(header);
    return 0;
}

#endif
