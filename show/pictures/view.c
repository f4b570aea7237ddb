#include "show/pictures/view.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "show/pictures/text.h"
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
    v.n[0] = grid->n[v.across];
    v.n[1] = grid->n[v.down];
    v.scale = scale;
    v.width = pixels(extent[0], scale);
    v.height = pixels(extent[1], scale);
    v.left = planes[plane].left;
    v.right = planes[plane].right;
    v.top = planes[plane].top;
    v.bottom = planes[plane].bottom;
    return v;
}

void volt_view_crop(volt_view *v, const volt_grid *grid, const int64_t low[3],
                    const int64_t high[3])
{
    double spacing[3];

    volt_grid_spacing(spacing, grid);
    v->from[0] = low[v->across];
    v->n[0] = high[v->across] - low[v->across];
    v->from[1] = low[v->down];
    v->n[1] = high[v->down] - low[v->down];
    v->width = pixels((double)v->n[0] * spacing[v->across], v->scale);
    v->height = pixels((double)v->n[1] * spacing[v->down], v->scale);
}

/* The voxels that a pixel shows along one axis: those that it covers, or its two neighbours
 * where it is smaller than a voxel. */
typedef struct taps {
    int64_t first, last; /* may lie outside the volume by one */
    double low, high;    /* the pixel, in voxels from the volume's edge */
    bool covers;
} taps;

static taps taps_of(const volt_view *v, int axis, int64_t pixel)
{
    const int64_t count = axis ? v->height : v->width;
    const bool flip = axis ? v->flip_down : v->flip_across;
    const double size = (double)v->n[axis] / (double)count;
    const int64_t i = flip ? count - 1 - pixel : pixel;
    taps t = {.low = (double)v->from[axis] + (double)i * size, .covers = size > 1};

    t.high = t.low + size;
    if (t.covers) {
        t.first = (int64_t)floor(t.low);
        t.last = (int64_t)ceil(t.high) - 1;
    } else {
        t.first = (int64_t)floor((t.low + t.high) / 2 - 0.5);
        t.last = t.first + 1;
    }
    return t;
}

static double weight_of(const taps *t, int64_t k)
{
    const double at = (t->low + t->high) / 2 - 0.5 - (double)t->first;

    if (t->covers)
        return fmax(0, fmin(t->high, (double)k + 1) - fmax(t->low, (double)k)) /
               (t->high - t->low);
    return k == t->first ? 1 - at : at;
}

/* Distance in elements between neighbours along a memory axis. */
static int64_t stride_of(const volt_grid *grid, int axis)
{
    return axis == 2 ? 1 : axis == 1 ? grid->n[2] : grid->n[1] * grid->n[2];
}

/* One row of pixels; `line` has room for the voxels shown across and one more on each side. */
static void sample_row(double *out, double *line, const volt_view *v, const volt_volume *image,
                       int32_t channel, int64_t row)
{
    const volt_grid *g = &image->grid;
    const int64_t across = stride_of(g, v->across), down = stride_of(g, v->down);
    const int64_t base = channel * volt_grid_voxels(g) + v->slice * stride_of(g, v->through);
    const taps rows = taps_of(v, 1, row);

    for (int64_t i = -1; i <= v->n[0]; i++) {
        const int64_t u = volt_clamp_i64(v->from[0] + i, 0, g->n[v->across] - 1);

        line[i + 1] = 0;
        for (int64_t k = rows.first; k <= rows.last; k++) {
            const double weight = weight_of(&rows, k);
            const int64_t w = volt_clamp_i64(k, 0, g->n[v->down] - 1);

            if (weight > 0)
                line[i + 1] += weight * volt_voxel_value(image, base + u * across + w * down);
        }
    }
    for (int64_t x = 0; x < v->width; x++) {
        const taps columns = taps_of(v, 0, x);

        out[x] = 0;
        for (int64_t k = columns.first; k <= columns.last; k++) {
            const double weight = weight_of(&columns, k);

            if (weight > 0)
                out[x] += weight * line[volt_clamp_i64(k - v->from[0], -1, v->n[0]) + 1];
        }
    }
}

static uint8_t level(double value, const double window[2])
{
    const double grey = 255 * (value - window[0]) / (window[1] - window[0]);

    return (uint8_t)(grey > 0 ? fmin(grey + 0.5, 255) : 0); /* NaN becomes black, too */
}

volt_status volt_view_draw(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                           const volt_volume *image, int32_t channel, const double window[2])
{
    const bool colors = channel == VOLT_CHANNEL_RGB;
    const int64_t width = view->width;
    double *row = NULL, *line = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&row, 3 * (size_t)width * sizeof *row, "view"));
    VOLT_TRY(st, done, volt_alloc(&line, (size_t)(view->n[0] + 2) * sizeof *line, "view"));
    for (int64_t v = 0; v < view->height; v++) {
        for (int32_t c = 0; c < (colors ? 3 : 1); c++)
            sample_row(row + c * width, line, view, image, colors ? c : channel, v);
        for (int64_t u = 0; u < width; u++) {
            volt_color out;

            out.r = level(row[u], window);
            out.g = colors ? level(row[width + u], window) : out.r;
            out.b = colors ? level(row[2 * width + u], window) : out.r;
            volt_picture_set(p, x + u, y + v, out);
        }
    }
done:
    volt_free(line);
    volt_free(row);
    return st;
}

int volt_label_find(const volt_label_map *map, int64_t label)
{
    int low = 0, high = map->count;

    while (low < high) {
        const int middle = (low + high) / 2;

        if (map->value[middle] < label)
            low = middle + 1;
        else
            high = middle;
    }
    return low < map->count && map->value[low] == label ? low : -1;
}

/* For all pixels of a view the entry of their label in `map`, or -1; nearest voxel. The caller
 * owns *out. */
static volt_status view_labels(int32_t **out, const volt_view *view, const volt_volume *mask,
                               const volt_label_map *map)
{
    const volt_grid *g = &mask->grid;
    const int64_t base = view->slice * stride_of(g, view->through);
    int64_t last = 0;
    int entry = -1;
    int32_t *labels = NULL;
    volt_status st =
        volt_alloc(&labels, (size_t)(view->width * view->height) * sizeof *labels, "contours");

    if (st != VOLT_OK)
        return st;
    for (int64_t v = 0; v < view->height; v++) {
        const taps rows = taps_of(view, 1, v);
        const int64_t row = base + volt_clamp_i64((int64_t)floor((rows.low + rows.high) / 2), 0,
                                                  g->n[view->down] - 1) *
                                       stride_of(g, view->down);

        for (int64_t u = 0; u < view->width; u++) {
            const taps columns = taps_of(view, 0, u);
            const int64_t column = volt_clamp_i64(
                (int64_t)floor((columns.low + columns.high) / 2), 0, g->n[view->across] - 1);
            const int64_t label =
                (int64_t)volt_voxel_value(mask, row + column * stride_of(g, view->across));

            if (label != last)
                entry = label ? volt_label_find(map, label) : -1;
            last = label;
            labels[v * view->width + u] = entry;
        }
    }
    *out = labels;
    return VOLT_OK;
}

volt_status volt_view_fill(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                           const volt_volume *mask, const volt_label_map *map, double opacity)
{
    int32_t *labels = NULL;
    volt_status st = view_labels(&labels, view, mask, map);

    if (st != VOLT_OK)
        return st;
    for (int64_t i = 0; i < view->width * view->height; i++) {
        if (labels[i] >= 0)
            volt_picture_blend(p, x + i % view->width, y + i / view->width,
                               map->color[labels[i]], opacity);
    }
    volt_free(labels);
    return VOLT_OK;
}

/* Whether all pixels have the same label: its only border is the view's. */
static bool is_uniform(const int32_t *labels, const volt_view *view)
{
    for (int64_t i = 1; i < view->width * view->height; i++) {
        if (labels[i] != labels[0])
            return false;
    }
    return true;
}

static bool is_at_edge(const volt_view *view, int64_t x, int64_t y, int64_t t)
{
    return x < t || y < t || x >= view->width - t || y >= view->height - t;
}

/* Whether a pixel at distance `t` along an axis has another label. The view's own border does
 * not count. */
static bool on_border(const int32_t *labels, const volt_view *view, int64_t x, int64_t y,
                      int64_t t)
{
    const int32_t own = labels[y * view->width + x];

    return labels[y * view->width + volt_clamp_i64(x - t, 0, view->width - 1)] != own ||
           labels[y * view->width + volt_clamp_i64(x + t, 0, view->width - 1)] != own ||
           labels[volt_clamp_i64(y - t, 0, view->height - 1) * view->width + x] != own ||
           labels[volt_clamp_i64(y + t, 0, view->height - 1) * view->width + x] != own;
}

static bool in_gap(int64_t x, int64_t y, int64_t thick, volt_outline style)
{
    if (style == VOLT_OUTLINE_SOLID)
        return false;
    if (style == VOLT_OUTLINE_DASHED)
        return (x + y) / (4 * thick) % 2;
    return (x + y) / (2 * thick) % 3;
}

#define CASING 0.6 /* opacity of the dark line inside a contour */

volt_status volt_view_contours(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                               const volt_volume *mask, const volt_label_map *map,
                               volt_outline style)
{
    const int64_t size = volt_min_i64(view->width, view->height);
    const bool large = size >= 250 || view->width >= 5 * view->n[0];
    const int64_t thick = large ? 2 + size / 800 : 1; /* pixels */
    int32_t *labels = NULL;
    bool uniform;
    volt_status st = view_labels(&labels, view, mask, map);

    if (st != VOLT_OK)
        return st;
    uniform = is_uniform(labels, view);
    for (int64_t v = 0; v < view->height; v++) {
        for (int64_t u = 0; u < view->width; u++) {
            const int32_t entry = labels[v * view->width + u];

            if (entry < 0 || in_gap(u, v, thick, style))
                continue;
            if (on_border(labels, view, u, v, thick) ||
                (uniform && is_at_edge(view, u, v, thick)))
                volt_picture_set(p, x + u, y + v, map->color[entry]);
            else if (on_border(labels, view, u, v, thick + (thick + 1) / 2))
                volt_picture_blend(p, x + u, y + v, (volt_color){0, 0, 0}, CASING);
        }
    }
    volt_free(labels);
    return VOLT_OK;
}

void volt_view_text(volt_picture *p, double x, double y, double font, const char *text)
{
    static const volt_color ink = {250, 240, 150}, shade = {0, 0, 0};

    for (int dy = -1; dy <= 1; dy++) {
        for (int dx = -1; dx <= 1; dx++)
            volt_picture_text(p, x + dx, y + dy, font, shade, text);
    }
    volt_picture_text(p, x, y, font, ink, text);
}

void volt_view_letters(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                       double font)
{
    const double width = (double)view->width, height = (double)view->height;
    const double tall = VOLT_TEXT_CAPITAL * font, left = (double)x, top = (double)y;

    if (width < 5 * font || height < 5 * font)
        return; /* the letters would hide the image */
    volt_view_text(p, left + 5, top + (height - tall) / 2, font, view->left);
    volt_view_text(p, left + width - 5 - volt_text_width(view->right, font),
                   top + (height - tall) / 2, font, view->right);
    volt_view_text(p, left + (width - volt_text_width(view->top, font)) / 2, top + 5, font,
                   view->top);
    volt_view_text(p, left + (width - volt_text_width(view->bottom, font)) / 2,
                   top + height - 5 - tall, font, view->bottom);
}

void volt_view_crosshair(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                         const int64_t voxel[3])
{
    static const volt_color line = {255, 255, 255}, shade = {0, 0, 0};
    const int axis[2] = {view->across, view->down};
    const bool flip[2] = {view->flip_across, view->flip_down};
    const int64_t size[2] = {view->width, view->height};
    const int64_t least = volt_min_i64(size[0], size[1]);
    const int64_t gap = volt_max_i64(least / 12, 6), thick = 1 + least / 700;
    int64_t at[2];

    for (int k = 0; k < 2; k++) {
        const double pixel = (double)size[k] / (double)view->n[k];
        const double centre = ((double)(voxel[axis[k]] - view->from[k]) + 0.5) * pixel;

        at[k] = volt_clamp_i64((int64_t)(flip[k] ? (double)size[k] - centre : centre), 0,
                               size[k] - 1);
    }
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < size[k]; i++) {
            if (i > at[k] - gap && i < at[k] + gap)
                continue;
            for (int64_t w = 0; w <= thick; w++) {
                const int64_t u = k ? at[0] + w : i, v = k ? i : at[1] + w;

                if (u < size[0] && v < size[1])
                    volt_picture_blend(p, x + u, y + v, w < thick ? line : shade,
                                       w < thick ? 0.45 : 0.25);
            }
        }
    }
}

void volt_view_scale_bar(volt_picture *p, int64_t x, int64_t y, const volt_view *view,
                         double font, bool unit_mm)
{
    static const volt_color ink = {250, 240, 150}, shade = {0, 0, 0};
    const double most = (double)view->width / 3 / view->scale; /* mm */
    const double power = pow(10, floor(log10(most)));
    const double length = most >= 5 * power ? 5 * power : most >= 2 * power ? 2 * power : power;
    const int64_t pixels_long = lround(length * view->scale);
    const int64_t thick = font > 20 ? 3 : 2, bottom = y + view->height - 8;
    char text[48];

    snprintf(text, sizeof text, "%g %s", length, unit_mm ? "mm" : "px");
    if (pixels_long < 8 || (!unit_mm && length < 1) ||
        view->width < volt_text_width(text, font) * 2.6 || (double)view->height < 6 * font)
        return;
    volt_picture_box(p, x + 7, bottom - thick - 1, pixels_long + 2, thick + 2, shade);
    volt_picture_box(p, x + 8, bottom - thick, pixels_long, thick, ink);
    volt_view_text(p, (double)x + 8, (double)(bottom - thick) - 5 - VOLT_TEXT_CAPITAL * font,
                   font, text);
}
