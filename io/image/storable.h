/* storable.h - what a format cannot store of a volume's geometry.
 *
 * GIPL      stores spacing and origin along LPS axes, no directions.
 * Pictures  (PNG, TIFF, JPEG, BMP) store nothing of it; a TIFF file of several pages gets its
 *           spacing in a JSON file.
 * Others    store everything.
 */
#ifndef VOLT_IO_IMAGE_STORABLE_H
#define VOLT_IO_IMAGE_STORABLE_H
#include "io/image.h"

typedef enum volt_image_loss {
    VOLT_LOSS_NONE = 0,
    VOLT_LOSS_ORIENTATION, /* only axes along LPS keep their place */
    VOLT_LOSS_GEOMETRY     /* spacing, position or orientation is lost in any case */
} volt_image_loss;

/* What is lost when a volume on `grid` is written as `path`. `source` (NULL is allowed) is the
 * header of the image it was derived from: what that did not know cannot be lost. Without a
 * source, 1 mm along RAS at the origin is the grid of a volume without geometry. */
volt_image_loss volt_image_loss_of(const char *path, const volt_grid *grid,
                                   const volt_image_header *source);
/* True if every axis runs along the world's axis of the same name, to left, posterior and
 * superior. */
bool volt_grid_is_lps(const volt_grid *grid);
/* True when the header knows which side is left; when it knows the spacing. */
bool volt_image_knows_orientation(const volt_image_header *header);
bool volt_image_knows_spacing(const volt_image_header *header);
/* "PNG", "GIPL", ...: the format of the name's ending. */
const char *volt_image_format_name(const char *path);

#endif
