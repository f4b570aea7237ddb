/* view.h - one slice of a scan as pixels, from which rendered pictures are composed.
 *
 * Axes are memory axes (0 z, 1 y, 2 x) unless called world axes (0 R, 1 A, 2 S).
 */
#ifndef VOLT_SHOW_PICTURES_VIEW_H
#define VOLT_SHOW_PICTURES_VIEW_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "show/pictures/draw.h"
#include "show/render.h"
#include "volume/volume.h"
VOLT_BEGIN_DECLS

/* Where a plane's slice lies in the volume and how large it is on the picture. */
typedef struct volt_view {
    volt_plane plane;
    int through, across, down;   /* memory axes: of the slice index, of the screen's x and y */
    bool flip_across, flip_down; /* the index falls along the screen's axis */
    int64_t slice;               /* index along `through` */
    int64_t width, height;       /* pixels */
    const char *left, *right, *top, *bottom; /* sides of the patient: "R", "L", ... */
} volt_view;

/* The view of `plane` along the voxel axes nearest to it, at `scale` pixels per mm, of slice
 * 0. */
volt_view volt_view_of(const volt_grid *grid, volt_plane plane, double scale);
/* Extent of the view of `plane` in mm, across and down. */
void volt_view_extent(double out[2], const volt_grid *grid, volt_plane plane);
/* Grey values of one channel, bilinear within the slice; NaN is black. */
void volt_view_draw(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                    const volt_volume *image, int32_t channel, const double window[2]);
/* The inner border of every label; `dashed` leaves gaps. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_view_contours(volt_picture *p, int64_t x, int64_t y,
                                             const volt_view *view, const volt_volume *mask,
                                             bool dashed);
/* The four letters of the patient's sides. */
void volt_view_letters(volt_picture *p, int64_t x, int64_t y, const volt_view *view);

VOLT_END_DECLS
#endif
