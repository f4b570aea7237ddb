/* header.h - what the formats share: headers with their warnings, and the voxels to write. */
#ifndef VOLT_IO_IMAGE_HEADER_H
#define VOLT_IO_IMAGE_HEADER_H
#include "io/image.h"

/* Adds one sentence to the header's warnings. */
VOLT_MUST_USE volt_status volt_image_warn(volt_image_header *header, const char *fmt, ...)
    VOLT_PRINTF(2, 3);

/* The voxels to write: `volume` itself, or a copy in another type that the caller owns through
 * *converted. Labels get the first of `label_types` that holds them all. VOLT_EINVAL: the grid
 * breaks a rule, options that contradict each other, labels that are not whole or that no type
 * holds; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_image_voxels(const volt_volume **out, volt_volume **converted,
                                            const char *path, const volt_volume *volume,
                                            const volt_dtype *label_types, size_t types,
                                            const volt_image_write_options *options);

/* VOLT_EFORMAT: the value of element `at` is none of an integer type. */
volt_status volt_image_fail_label(const char *path, const volt_grid *grid, int64_t at,
                                  double value, volt_dtype to);

/* Fills grid.to_world from `place`. */
void volt_image_apply_geometry(volt_image_header *header);

#endif
