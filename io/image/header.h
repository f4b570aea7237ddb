/* header.h - shared by the formats: headers with warnings, and the voxels to write. */
#ifndef VOLT_IO_IMAGE_HEADER_H
#define VOLT_IO_IMAGE_HEADER_H
#include "io/image.h"

/* Adds one sentence to the header's warnings. */
VOLT_MUST_USE volt_status volt_image_warn(volt_image_header *header, const char *fmt, ...)
    VOLT_PRINTF(2, 3);

/* The voxels to write: `volume` itself, or a converted copy that the caller owns through
 * *converted. Labels get the first of `label_types` that holds them all. VOLT_EINVAL: an
 * invalid grid, contradicting options, labels that are not integers or that no type holds;
 * VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_image_voxels(const volt_volume **out, volt_volume **converted,
                                            const char *path, const volt_volume *volume,
                                            const volt_dtype *label_types, size_t types,
                                            const volt_image_write_options *options);

/* VOLT_ENOMEM if there is no memory for the voxels of `path`, of type `to`, and for the helper
 * that reads them. */
VOLT_MUST_USE volt_status volt_image_check_memory(const volt_image_header *header,
                                                  volt_dtype to, const char *path);

/* Fails with VOLT_EFORMAT: the value of element `at` does not fit the integer type `to`. */
volt_status volt_image_fail_label(const char *path, const volt_grid *grid, int64_t at,
                                  double value, volt_dtype to);

/* Fills grid.to_world from `geometry`. */
void volt_image_apply_geometry(volt_image_header *header);

#endif
