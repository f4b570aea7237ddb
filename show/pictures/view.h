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
    int64_t from[2], n[2];       /* voxels shown along across and down: first and number */
    int64_t width, height;       /* pixels */
    double scale;                /* pixels per mm */
    const char *left, *right, *top, *bottom; /* sides of the patient: "R", "L", ... */
} volt_view;

/* The view of `plane` along the voxel axes nearest to it, at `scale` pixels per mm, of slice 0
 * and all voxels. */
volt_view volt_view_of(const volt_grid *grid, volt_plane plane, double scale);
/* Shows only the voxels low..high - 1 along the memory axes across and down. */
void volt_view_crop(volt_view *view, const volt_grid *grid, const int64_t low[3],
                    const int64_t high[3]);
/* Extent of the view of `plane` in mm, across and down. */
void volt_view_extent(double out[2], const volt_grid *grid, volt_plane plane);

/* Grey values of one channel, or with VOLT_CHANNEL_RGB the first three as colours; bilinear
 * within the slice, averaged where pixels are larger than voxels; NaN is black. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_view_draw(volt_picture *p, int64_t x, int64_t y,
                                         const volt_view *view, const volt_volume *image,
                                         int32_t channel, const double window[2]);

/* Colours of labels; a label that is not listed is not drawn. */
typedef struct volt_label_map {
    const int64_t *value; /* ascending */
    const volt_color *color;
    int count;
} volt_label_map;
/* The entry of a label, or -1. */
int volt_label_find(const volt_label_map *map, int64_t label);

typedef enum volt_outline {
    VOLT_OUTLINE_SOLID,
    VOLT_OUTLINE_DASHED,
    VOLT_OUTLINE_DOTTED
} volt_outline;

/* Covers each label with its colour; `opacity` 0..1. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_view_fill(volt_picture *p, int64_t x, int64_t y,
                                         const volt_view *view, const volt_volume *mask,
                                         const volt_label_map *map, double opacity);
/* The inner border of every label, with a dark line inside it that sets it off from a fill of
 * the same colour. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_view_contours(volt_picture *p, int64_t x, int64_t y,
                                             const volt_view *view, const volt_volume *mask,
                                             const volt_label_map *map, volt_outline style);
/* The four letters of the patient's sides, where the view is large enough. */
void volt_view_letters(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                       double font);
/* Thin lines through a voxel (z, y, x), with a gap around it. */
void volt_view_crosshair(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                         const int64_t voxel[3]);
/* A bar of 1, 2 or 5 times a power of ten mm and its length as text, in the lower left corner.
 * `unit_mm` is false for pixels. */
void volt_view_scale_bar(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                         double font, bool unit_mm);
/* Light text with a dark rim, legible on every picture. */
void volt_view_text(volt_picture *p, double x, double y, double font, const char *text);

VOLT_END_DECLS
#endif
