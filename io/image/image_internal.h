/* image_internal.h - what the formats share. Internal to io. */
#ifndef VOLT_IO_IMAGE_IMAGE_INTERNAL_H
#define VOLT_IO_IMAGE_IMAGE_INTERNAL_H
#include "io/image.h"

/* Adds one sentence to the header's warnings. */
VOLT_MUST_USE volt_status volt_image_note(volt_image_header *header, const char *fmt, ...)
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
volt_status volt_image_not_label(const char *path, const volt_grid *grid, int64_t at,
                                 double value, volt_dtype to);

/* Fills grid.to_world from `place`. */
void volt_image_take_place(volt_image_header *header);

/* Frees a header's NIfTI part; NULL is allowed. */
void volt_nifti_raw_free(struct volt_nifti_raw *raw);

/* -- PNG: as the calls without png_ -- */
VOLT_MUST_USE volt_status volt_png_image_read(volt_volume **out, volt_image_header **header,
                                              const char *path,
                                              const volt_image_read_options *options);
VOLT_MUST_USE volt_status volt_png_image_write(const char *path, const volt_volume *volume,
                                               const volt_image_write_options *options);

/* -- What volt-itk reads and writes (io/itk/protocol.h): as the calls without itk_ -- */
VOLT_MUST_USE volt_status volt_itk_info(volt_image_header **out, const char *path);
VOLT_MUST_USE volt_status volt_itk_read(volt_volume **out, volt_image_header **header,
                                        const char *path,
                                        const volt_image_read_options *options);
VOLT_MUST_USE volt_status volt_itk_write(const char *path, const volt_volume *volume,
                                         const volt_image_header *source,
                                         const volt_image_write_options *options);

#endif
