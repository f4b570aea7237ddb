#include "show/pictures/view.h"

#include <assert.h>
#include <math.h>
#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "volume/orient.h"

/* For each world axis (0 R, 1 A, 2 S) the nearest memory axis, and whether its index increases
 * towards R, A, S. */
static void nearest_axes(int axis[3], bool grows[3], const volt_grid *grid)
{
    volt_orientation o;
    volt_status st = volt_orientation_to(&o, grid, "RAS");

    assert(st == VOLT_OK);
    (void)st;
    for (int world = 0; world < 3; world++) {
        axis[world] = o.from[2 - world]; /* axes of a RAS volume in memory order are S, A, R */
        grows[world] = !o.flip[2 - world];
    }
}

/* World axes across the plane and along the screen's x and y, and the sides of the screen. */
static const struct {
    int through, across, down;
    const char *left, *right, *top, *bottom;
} planes[] = {
    [VOLT_PLANE_AXIAL] = {2, 0, 1, "R", "L", "A", "P"},
    [VOLT_PLANE_CORONAL] = {1, 0, 2, "R", "L", "S", "I"},
    [VOLT_PLANE_SAGITTAL] = {0, 1, 2, "A", "P", "S", "I"},
};

static int64_t pixels(double mm, double scale)
{
    double n = round(mm * scale);

    return n < 1 ? 1 : (int64_t)n;
}

void volt_view_extent(double out[2], const volt_grid *grid, volt_plane plane)
{
    double spacing[3];
    int axis[3];
    bool grows[3];

    nearest_axes(axis, grows, grid);
    volt_grid_spacing(spacing, grid);
    for (int i = 0; i < 2; i++) {
        int m = axis[i ? planes[plane].down : planes[plane].across];

        out[i] = (double)grid->n[m] * spacing[m];
    }
}

volt_view volt_view_of(const volt_grid *grid, volt_plane plane, double scale)
{
    double extent[2];
    int axis[3];
    bool grows[3];
    volt_view v = {.plane = plane};

    nearest_axes(axis, grows, grid);
    volt_view_extent(extent, grid, plane);
    v.through = axis[planes[plane].through];
    v.across = axis[planes[plane].across];
    v.down = axis[planes[plane].down];
    /* The screen's x runs towards L or P, its y towards P or I: against the world's axes. */
    v.flip_across = grows[planes[plane].across];
    v.flip_down = grows[planes[plane].down];
    v.width = pixels(extent[0], scale);
    v.height = pixels(extent[1], scale);
    v.left = planes[plane].left;
    v.right = planes[plane].right;
    v.top = planes[plane].top;
    v.bottom = planes[plane].bottom;
    return v;
}

/* Fractional voxel coordinate of the centre of pixel i of `count`. */
static double voxel_of_pixel(int64_t i, int64_t count, int64_t n, bool flip)
{
    double u = ((double)i + 0.5) * (double)n / (double)count - 0.5;

    return flip ? (double)(n - 1) - u : u;
}

/* Distance in elements between neighbours along a memory axis. */
static int64_t stride_of(const volt_grid *grid, int axis)
{
    return axis == 2 ? 1 : axis == 1 ? grid->n[2] : grid->n[1] * grid->n[2];
}

void volt_view_draw(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                    const volt_volume *image, int32_t channel, const double window[2])
{
    const volt_grid *g = &image->grid;
    int64_t across = stride_of(g, view->across), down = stride_of(g, view->down);
    int64_t n_across = g->n[view->across], n_down = g->n[view->down];
    int64_t base = channel * volt_grid_voxels(g) + view->slice * stride_of(g, view->through);

    for (int64_t py = 0; py < view->height; py++) {
        double v = voxel_of_pixel(py, view->height, n_down, view->flip_down);
        int64_t v0 = (int64_t)floor(v);
        double fv = v - (double)v0;
        int64_t low = base + volt_clamp_i64(v0, 0, n_down - 1) * down;
        int64_t high = base + volt_clamp_i64(v0 + 1, 0, n_down - 1) * down;

        for (int64_t px = 0; px < view->width; px++) {
            double u = voxel_of_pixel(px, view->width, n_across, view->flip_across);
            int64_t u0 = (int64_t)floor(u);
            double fu = u - (double)u0, value, grey;
            int64_t a = volt_clamp_i64(u0, 0, n_across - 1) * across,
                    b = volt_clamp_i64(u0 + 1, 0, n_across - 1) * across;

            value = (1 - fv) * ((1 - fu) * volt_voxel_value(image, low + a) +
                                fu * volt_voxel_value(image, low + b)) +
                    fv * ((1 - fu) * volt_voxel_value(image, high + a) +
                          fu * volt_voxel_value(image, high + b));
            grey = 255 * (value - window[0]) / (window[1] - window[0]);
            grey = grey > 0 ? fmin(grey, 255) : 0; /* NaN becomes black, too */
            volt_picture_set(p, x + px, y + py,
                             (volt_color){(uint8_t)grey, (uint8_t)grey, (uint8_t)grey});
        }
    }
}

/* Labels of all pixels of a view, nearest voxel. The caller owns *out. */
static volt_status view_labels(int64_t **out, const volt_view *view, const volt_volume *mask)
{
    const volt_grid *g = &mask->grid;
    int64_t base = view->slice * stride_of(g, view->through);
    int64_t across = stride_of(g, view->across), down = stride_of(g, view->down);
    int64_t *labels = NULL;
    volt_status st =
        volt_alloc(&labels, (size_t)(view->width * view->height) * sizeof *labels, "contours");

    if (st != VOLT_OK)
        return st;
    for (int64_t py = 0; py < view->height; py++) {
        double v = voxel_of_pixel(py, view->height, g->n[view->down], view->flip_down);
        int64_t row =
            base + volt_clamp_i64((int64_t)floor(v + 0.5), 0, g->n[view->down] - 1) * down;

        for (int64_t px = 0; px < view->width; px++) {
            double u = voxel_of_pixel(px, view->width, g->n[view->across], view->flip_across);
            int64_t column =
                volt_clamp_i64((int64_t)floor(u + 0.5), 0, g->n[view->across] - 1) * across;

            labels[py * view->width + px] = (int64_t)volt_voxel_value(mask, row + column);
        }
    }
    *out = labels;
    return VOLT_OK;
}

/* Whether a pixel at distance `t` along an axis has another label. The view's own border does
 * not count. */
static bool on_border(const int64_t *labels, const volt_view *view, int64_t x, int64_t y,
                      int64_t t)
{
    int64_t own = labels[y * view->width + x];

    return labels[y * view->width + volt_clamp_i64(x - t, 0, view->width - 1)] != own ||
           labels[y * view->width + volt_clamp_i64(x + t, 0, view->width - 1)] != own ||
           labels[volt_clamp_i64(y - t, 0, view->height - 1) * view->width + x] != own ||
           labels[volt_clamp_i64(y + t, 0, view->height - 1) * view->width + x] != own;
}

volt_status volt_view_contours(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                               const volt_volume *mask, bool dashed)
{
    int64_t zoom = view->width / mask->grid.n[view->across];
    int64_t thick = zoom >= 5 ? 2 : 1;
    int64_t *labels = NULL;
    volt_status st = view_labels(&labels, view, mask);

    if (st != VOLT_OK)
        return st;
    for (int64_t py = 0; py < view->height; py++) {
        for (int64_t px = 0; px < view->width; px++) {
            int64_t label = labels[py * view->width + px];

            if (label > 0 && on_border(labels, view, px, py, thick) &&
                !(dashed && (px + py) / 4 % 2))
                volt_picture_set(p, x + px, y + py, volt_label_color(label));
        }
    }
    volt_free(labels);
    return VOLT_OK;
}

void volt_view_letters(volt_picture *p, int64_t x, int64_t y, const volt_view *view)
{
    static const volt_color ink = {240, 230, 120}, shade = {0, 0, 0};
    int64_t middle_x = x + view->width / 2 - 5, middle_y = y + view->height / 2 - 7;
    const struct {
        const char *text;
        int64_t x, y;
    } letters[] = {{view->left, x + 5, middle_y},
                   {view->right, x + view->width - 15, middle_y},
                   {view->top, middle_x, y + 5},
                   {view->bottom, middle_x, y + view->height - 19}};

    if (view->width < 60 || view->height < 60)
        return; /* the letters would hide the image */
    for (int i = 0; i < 4; i++) {
        volt_picture_text(p, letters[i].x + 1, letters[i].y + 1, 2, shade, letters[i].text);
        volt_picture_text(p, letters[i].x, letters[i].y, 2, ink, letters[i].text);
    }
}
