#include "show/render.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/checked.h"
#include "base/core/options.h"
#include "base/core/plural.h"
#include "show/pictures/page.h"
#include "show/pictures/text.h"

#define FILL        0.45 /* opacity */
#define MOST_IN_ROW 8    /* columns of a figure */

static const volt_render_options defaults = {
    .size = sizeof defaults,
    .slice = {VOLT_SLICE_AUTO, VOLT_SLICE_AUTO, VOLT_SLICE_AUTO},
    .plane = VOLT_PLANE_AXIAL,
    .view = 420,
    .under = VOLT_LAST_COLUMN,
    .crosshair = true};

void volt_render_options_init(volt_render_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

/* ---- options ---- */

static volt_status check_channel(const volt_volume *image, int32_t channel)
{
    const int32_t channels = image->grid.channels;

    if (channel == VOLT_CHANNEL_RGB && channels < 3)
        return volt_fail(VOLT_EINVAL, "colours need three channels, the image has %d",
                         channels);
    if (channel < VOLT_CHANNEL_RGB || channel >= channels)
        return volt_fail(VOLT_EINVAL, "channel %d of an image with %d channel%s", channel,
                         channels, volt_s(channels));
    return VOLT_OK;
}

static volt_status check_size(const volt_volume *v, const volt_volume *image, const char *what,
                              int number)
{
    const int64_t *k = v->grid.n, *n = image->grid.n;

    if (k[0] == n[0] && k[1] == n[1] && k[2] == n[2])
        return VOLT_OK;
    return volt_fail(
        VOLT_EDATA,
        "%s %d has %lld x %lld x %lld voxels (x, y, z), the image %lld x %lld x %lld", what,
        number, (long long)k[2], (long long)k[1], (long long)k[0], (long long)n[2],
        (long long)n[1], (long long)n[0]);
}

static volt_status check_options(const volt_volume *image, const volt_render_options *o)
{
    const int64_t *n = image->grid.n;
    volt_status st;

    VOLT_TRY(st, done, check_channel(image, o->channel));
    if (o->plane < VOLT_PLANE_AXIAL || o->plane > VOLT_PLANE_SAGITTAL)
        return volt_fail(VOLT_EINVAL, "plane %d is not axial, coronal or sagittal", o->plane);
    if (o->view < 64 || o->view > 2048 || o->sheet < 0 || o->sheet > 400)
        return volt_fail(VOLT_EINVAL,
                         "views of %lld pixel%s (64..2048) and a sheet of %d slice%s (0..400) "
                         "cannot be drawn",
                         (long long)o->view, volt_s(o->view), o->sheet, volt_s(o->sheet));
    if (o->columns < 0 || o->columns > 1000 || o->under < VOLT_LAST_COLUMN ||
        (o->columns > 0 && o->under >= o->columns))
        return volt_fail(VOLT_EINVAL, "column %d of %d image%s", o->under, o->columns,
                         volt_s(o->columns));
    for (int a = 0; a < 3; a++) {
        if (o->slice[a] < VOLT_SLICE_AUTO || o->slice[a] >= n[a])
            return volt_fail(VOLT_EINVAL, "slice %lld along %c is not in 0..%lld",
                             (long long)o->slice[a], "zyx"[a], (long long)n[a] - 1);
    }
    for (int m = 0; m < o->mask_count; m++)
        VOLT_TRY(st, done, check_size(o->masks[m], image, "mask", m + 1));
    for (int i = 0; i < o->columns; i++) {
        VOLT_TRY(st, done, check_size(o->column[i].image, image, "image", i + 1));
        VOLT_TRY(st, done, check_channel(o->column[i].image, o->column[i].channel));
    }
done:
    return st;
}

/* ---- slices ---- */

/* Of several slices with the largest section the middle one. */
static int64_t pick_slice(const volt_page *p, int axis)
{
    const int64_t n = p->image->grid.n[axis], *count = p->facts.per_slice[axis];
    int64_t most = 0, equal = 0;

    if (p->o->slice[axis] >= 0)
        return p->o->slice[axis];
    for (int64_t i = 0; i < n; i++) {
        equal = count[i] > most ? 1 : equal + (count[i] == most);
        most = volt_max_i64(most, count[i]);
    }
    if (most == 0)
        return n / 2;
    equal = (equal + 1) / 2;
    for (int64_t i = 0; i < n; i++) {
        equal -= count[i] == most;
        if (equal == 0)
            return i;
    }
    return n / 2;
}

/* First and last slice along `axis` that a mask touches, else the whole image. */
static void mask_extent(int64_t range[2], const volt_page *p, int axis)
{
    int64_t n = p->image->grid.n[axis], first = 0, last = n - 1;

    while (first < n && !p->facts.per_slice[axis][first])
        first++;
    while (last >= 0 && !p->facts.per_slice[axis][last])
        last--;
    range[0] = first <= last ? first : 0;
    range[1] = first <= last ? last : n - 1;
}

static int64_t voxel_index(const volt_grid *g, const int64_t at[3])
{
    return (at[0] * g->n[1] + at[1]) * g->n[2] + at[2];
}

/* The labelled voxel next to the centre of the section that a view shows: where the figure of a
 * case has its crosshairs. */
static void find_centre(volt_page *p, const volt_view *v)
{
    const volt_grid *g = &p->image->grid;
    double sum[2] = {0, 0}, nearest = INFINITY;
    int64_t voxels = 0, at[3];

    at[v->through] = v->slice;
    for (int m = 0; m < p->o->mask_count && voxels == 0; m++) {
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t i = 0; i < g->n[v->across] * g->n[v->down]; i++) {
                at[v->across] = i % g->n[v->across];
                at[v->down] = i / g->n[v->across];
                if (volt_voxel_value(p->o->masks[m], voxel_index(g, at)) == 0)
                    continue;
                if (pass == 0) {
                    sum[0] += (double)at[v->across];
                    sum[1] += (double)at[v->down];
                    voxels++;
                } else if (hypot((double)at[v->across] - sum[0] / (double)voxels,
                                 (double)at[v->down] - sum[1] / (double)voxels) < nearest) {
                    nearest = hypot((double)at[v->across] - sum[0] / (double)voxels,
                                    (double)at[v->down] - sum[1] / (double)voxels);
                    memcpy(p->voxel, at, sizeof at);
                }
            }
        }
    }
    p->has_voxel = p->has_voxel || voxels > 0;
}

static void find_voxel(volt_page *p)
{
    p->has_voxel = false;
    for (int a = 0; a < 3; a++) {
        p->voxel[a] = pick_slice(p, a);
        p->has_voxel = p->has_voxel || p->o->slice[a] >= 0;
    }
    if (p->o->columns > 0 && !p->has_voxel)
        find_centre(p, &p->cells[0].view);
    p->has_voxel = (p->has_voxel || p->facts.labels > 0) && p->o->crosshair && !p->o->sheet;
}

/* ---- the figure of a case ---- */

/* Widens low..high to the voxels that differ from a constant margin. True if there is one. */
static bool find_content(int64_t low[3], int64_t high[3], const volt_volume *image,
                         int32_t channel)
{
    const volt_grid *g = &image->grid;
    const int64_t base = channel * volt_grid_voxels(g);
    const double margin = volt_voxel_value(image, base);
    int64_t at[3], i = 0;

    for (int corner = 1; corner < 8; corner++) {
        for (int a = 0; a < 3; a++)
            at[a] = corner >> a & 1 ? g->n[a] - 1 : 0;
        if (volt_voxel_value(image, base + voxel_index(g, at)) != margin)
            return false;
    }
    for (at[0] = 0; at[0] < g->n[0]; at[0]++) {
        for (at[1] = 0; at[1] < g->n[1]; at[1]++) {
            for (at[2] = 0; at[2] < g->n[2]; at[2]++, i++) {
                if (volt_voxel_value(image, base + i) == margin)
                    continue;
                for (int a = 0; a < 3; a++) {
                    low[a] = volt_min_i64(low[a], at[a]);
                    high[a] = volt_max_i64(high[a], at[a] + 1);
                }
            }
        }
    }
    return true;
}

/* The voxels that the views show: all of them, unless every image has a margin. */
static void crop_of(int64_t low[3], int64_t high[3], const volt_page *p)
{
    const volt_render_column alone = {.image = p->image, .channel = p->o->channel};
    const volt_render_column *column = p->o->columns ? p->o->column : &alone;
    const int columns = p->o->columns ? p->o->columns : 1;
    const int64_t *n = p->image->grid.n;
    bool crop = true;

    for (int a = 0; a < 3; a++) {
        low[a] = n[a];
        high[a] = 0;
    }
    for (int i = 0; i < columns && crop; i++)
        crop = column[i].channel != VOLT_CHANNEL_RGB &&
               find_content(low, high, column[i].image, column[i].channel);
    for (int m = 0; m < p->o->mask_count && crop; m++)
        crop = find_content(low, high, p->o->masks[m], 0);
    for (int a = 0; a < 3; a++) {
        const int64_t room = 2 + n[a] / 50;

        if (!crop || low[a] >= high[a]) {
            low[a] = 0;
            high[a] = n[a];
        }
        if (p->o->slice[a] >= 0) { /* what was asked for is shown */
            low[a] = volt_min_i64(low[a], p->o->slice[a]);
            high[a] = volt_max_i64(high[a], p->o->slice[a] + 1);
        }
        low[a] = volt_max_i64(low[a] - room, 0);
        high[a] = volt_min_i64(high[a] + room, n[a]);
    }
}

static volt_status window_of(double window[2], const volt_page *p, const volt_volume *image,
                             int32_t channel)
{
    memcpy(window, p->o->window, sizeof p->o->window);
    if (p->o->has_window)
        return VOLT_OK;
    if (channel == VOLT_CHANNEL_RGB) {
        window[0] = 0;
        window[1] = image->dtype == VOLT_U16 ? 65535 : 255;
        return VOLT_OK;
    }
    return volt_window_choose(window, image, channel);
}

static void mask_name(char *out, size_t bytes, const volt_page *p, int m)
{
    const char *name = p->o->mask_names ? p->o->mask_names[m] : "";
    const char *slash = strrchr(name, '/');

    snprintf(out, bytes, "%s", *name ? (slash ? slash + 1 : name) : "mask");
}

static volt_status make_figure(volt_page *p)
{
    const volt_grid *g = &p->image->grid;
    const int images = p->o->columns,
              rows = (images + p->o->mask_count + MOST_IN_ROW - 1) / MOST_IN_ROW;
    int64_t low[3], high[3];
    double spacing[3];
    volt_view view = volt_view_of(g, p->o->plane, 1);
    volt_status st;

    p->count = images + p->o->mask_count;
    p->columns = (p->count + rows - 1) / rows;
    st = volt_alloc_zero(&p->cells, (size_t)p->count, sizeof *p->cells, "views");
    if (st != VOLT_OK)
        return st;
    crop_of(low, high, p);
    volt_grid_spacing(spacing, g);
    view = volt_view_of(
        g, p->o->plane,
        (double)p->o->view /
            fmax((double)(high[view.across] - low[view.across]) * spacing[view.across],
                 (double)(high[view.down] - low[view.down]) * spacing[view.down]));
    volt_view_crop(&view, g, low, high);
    view.slice = pick_slice(p, view.through);
    for (int i = 0; i < p->count && st == VOLT_OK; i++) {
        const int m = i - images;
        const volt_render_column *from = &p->o->column[m < 0              ? i
                                                       : p->o->under >= 0 ? p->o->under
                                                                          : images - 1];
        volt_cell *c = &p->cells[i];

        *c = (volt_cell){.view = view,
                         .image = from->image,
                         .channel = from->channel,
                         .fill = m < 0 ? -1 : 0,
                         .first = m < 0 ? 0 : m,
                         .last = m < 0 || (m == 0 && p->o->mask_count > 1) ? 0 : m + 1};
        if (m < 0)
            snprintf(c->caption, sizeof c->caption, "%s", from->name);
        else
            mask_name(c->caption, sizeof c->caption, p, m);
        st = window_of(c->window, p, c->image, c->channel);
    }
    return st;
}

/* ---- three planes, or a sheet ---- */

/* Planes that are more than one voxel wide both ways; axial alone when there is none. */
static int useful_planes(volt_plane out[3], const volt_grid *g)
{
    int count = 0;

    for (volt_plane plane = VOLT_PLANE_AXIAL; plane <= VOLT_PLANE_SAGITTAL; plane++) {
        volt_view v = volt_view_of(g, plane, 1);

        if (g->n[v.across] > 1 && g->n[v.down] > 1)
            out[count++] = plane;
    }
    if (count == 0)
        out[count++] = VOLT_PLANE_AXIAL;
    return count;
}

static volt_status make_views(volt_page *p)
{
    const volt_grid *g = &p->image->grid;
    volt_plane planes[3] = {VOLT_PLANE_AXIAL};
    int used = p->o->sheet ? 1 : useful_planes(planes, g);
    int64_t range[2], slices, low[3], high[3];
    double largest = 0, spacing[3], scale, window[2];
    volt_status st;

    if (p->o->sheet)
        planes[0] = p->o->plane;
    crop_of(low, high, p);
    volt_grid_spacing(spacing, g);
    for (int i = 0; i < used; i++) {
        const volt_view v = volt_view_of(g, planes[i], 1);

        largest = fmax(largest, (double)(high[v.across] - low[v.across]) * spacing[v.across]);
        largest = fmax(largest, (double)(high[v.down] - low[v.down]) * spacing[v.down]);
    }
    scale = (double)p->o->view / largest;
    mask_extent(range, p, volt_view_of(g, planes[0], scale).through);
    slices = range[1] - range[0] + 1;
    p->count = p->o->sheet ? (int)fmin(p->o->sheet, (double)slices) : used;
    p->columns = p->o->sheet ? (int)ceil(sqrt(1.6 * p->count)) : used;
    VOLT_TRY(st, done, window_of(window, p, p->image, p->o->channel));
    VOLT_TRY(st, done, volt_alloc_zero(&p->cells, (size_t)p->count, sizeof *p->cells, "views"));
    for (int i = 0; i < p->count; i++) {
        volt_cell *c = &p->cells[i];

        *c = (volt_cell){.view = volt_view_of(g, planes[p->o->sheet ? 0 : i], scale),
                         .image = p->image,
                         .channel = p->o->channel,
                         .window = {window[0], window[1]},
                         .fill = p->o->mask_count > 1 ? 0 : -1,
                         .first = p->o->mask_count > 1,
                         .last = p->o->mask_count};
        volt_view_crop(&c->view, g, low, high);
        /* In a sheet the middles of `count` equal parts of the range. */
        c->view.slice = p->o->sheet ? range[0] + (2 * i + 1) * slices / (2 * p->count)
                                    : pick_slice(p, c->view.through);
        volt_page_place(c->caption, sizeof c->caption, p, &c->view);
    }
done:
    return st;
}

/* ---- layout ---- */

static int64_t cell_width(const volt_page *p, const volt_cell *c)
{
    const int64_t text = (int64_t)ceil(volt_text_width(c->caption, p->font));

    return p->o->columns ? c->view.width : volt_max_i64(text, c->view.width);
}

/* Of three planes the second and third stand above one another where that saves room. */
static bool place_stacked(volt_page *p, int64_t *right, int64_t *bottom)
{
    volt_cell *c = p->cells;
    int64_t x, width;

    if (p->o->sheet || p->o->columns || p->count != 3 ||
        c[1].view.height + c[2].view.height + p->line + p->margin > c[0].view.height * 5 / 4)
        return false;
    x = 2 * p->margin + cell_width(p, &c[0]);
    width = volt_max_i64(cell_width(p, &c[1]), cell_width(p, &c[2]));
    c[0].x = p->margin;
    c[1].x = c[2].x = x;
    c[0].y = c[1].y = p->body;
    c[2].y = p->body + c[1].view.height + p->line + p->margin;
    *right = x + width;
    *bottom = volt_max_i64(c[0].y + c[0].view.height, c[2].y + c[2].view.height) + p->line;
    return true;
}

/* Lines of the longest caption, above the columns of a figure. */
static int64_t heading_height(const volt_page *p)
{
    int64_t most = 0;

    for (int i = 0; i < p->count && p->o->columns; i++)
        most = volt_max_i64(most, volt_page_text(NULL, p, 0, 0, p->cells[i].view.width, p->ink,
                                                 p->cells[i].caption));
    return most;
}

static void place_rows(volt_page *p, int64_t *right, int64_t *bottom)
{
    const int64_t heading = heading_height(p);
    const int64_t below = p->o->columns || !*p->cells[0].caption ? 0 : p->line;
    int64_t y = p->body, x = p->margin, tall = 0;

    *right = 0;
    for (int i = 0; i < p->count; i++) {
        volt_cell *c = &p->cells[i];

        if (i > 0 && i % p->columns == 0) {
            y += heading + tall + below + p->margin;
            x = p->margin;
            tall = 0;
        }
        c->x = x;
        c->y = y + heading;
        x += cell_width(p, c) + p->margin;
        tall = volt_max_i64(tall, c->view.height);
        *right = volt_max_i64(*right, x - p->margin);
    }
    *bottom = y + heading + tall + below;
}

static void place_views(volt_page *p)
{
    const int64_t narrowest = (int64_t)(26 * p->font);
    int64_t right, bottom, shift;

    /* The width decides about the title's lines, which decide where the views begin. */
    p->body = 0;
    if (!place_stacked(p, &right, &bottom))
        place_rows(p, &right, &bottom);
    p->width =
        volt_max_i64(volt_max_i64(right + p->margin, narrowest), volt_page_legend_width(p));
    shift = p->margin;
    if (p->o->title)
        shift = volt_page_text(NULL, p, 0, p->margin, p->width - 2 * p->margin, p->ink,
                               p->o->title) +
                p->margin / 3;
    for (int i = 0; i < p->count; i++)
        p->cells[i].y += shift;
    p->legend_y = bottom + shift + p->margin;
}

/* ---- drawing ---- */

static void draw_caption(volt_picture *to, const volt_page *p, const volt_cell *c)
{
    const char *text = c->caption;
    int64_t y = c->y + c->view.height + (int64_t)(0.45 * p->font);

    if (!p->o->columns) {
        volt_picture_text(to, (double)c->x, (double)y, p->font, p->ink, text);
        return;
    }
    /* Centred above the view, the last line next to it. */
    y = c->y - volt_page_text(NULL, p, 0, 0, c->view.width, p->ink, text);
    while (*text) {
        const size_t bytes = volt_text_fit(text, p->font, (double)c->view.width);
        char line[512];

        snprintf(line, sizeof line, "%.*s", (int)bytes, text);
        volt_picture_text(
            to, (double)c->x + ((double)c->view.width - volt_text_width(line, p->font)) / 2,
            (double)y, p->font, p->ink, line);
        y += p->line;
        text += bytes;
    }
}

static volt_status draw_cell(volt_picture *to, const volt_page *p, int number)
{
    static const volt_outline styles[] = {VOLT_OUTLINE_SOLID, VOLT_OUTLINE_DASHED,
                                          VOLT_OUTLINE_DOTTED};
    const volt_cell *c = &p->cells[number];
    const volt_label_map map = {p->facts.value, p->facts.color, p->facts.labels};
    volt_status st;

    VOLT_TRY(st, done,
             volt_view_draw(to, c->x, c->y, &c->view, c->image, c->channel, c->window));
    if (c->fill >= 0)
        VOLT_TRY(st, done,
                 volt_view_fill(to, c->x, c->y, &c->view, p->o->masks[c->fill], &map, FILL));
    for (int m = c->first; m < c->last; m++)
        VOLT_TRY(st, done,
                 volt_view_contours(to, c->x, c->y, &c->view, p->o->masks[m], &map,
                                    styles[(m > 0 ? m - 1 : 0) % 3]));
    if (p->has_voxel)
        volt_view_crosshair(to, c->x, c->y, &c->view, p->voxel);
    if (!p->o->unknown_sides)
        volt_view_letters(to, c->x, c->y, &c->view, p->font);
    if (number == 0)
        volt_view_scale_bar(to, c->x, c->y, &c->view, p->font,
                            p->o->amount != VOLT_AMOUNT_PIXELS);
    draw_caption(to, p, c);
done:
    return st;
}

static volt_status draw_page(volt_picture **out, const volt_page *p)
{
    volt_picture *picture = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_picture_create(&picture, p->width, p->height, p->paper));
    if (p->o->title)
        volt_page_text(picture, p, p->margin, p->margin, p->width - 2 * p->margin, p->ink,
                       p->o->title);
    for (int i = 0; i < p->count; i++)
        VOLT_TRY(st, done, draw_cell(picture, p, i));
    volt_page_legend(picture, p);
    *out = picture;
    picture = NULL;
done:
    volt_picture_free(picture);
    return st;
}

volt_status volt_render(volt_picture **out, const volt_volume *image,
                        const volt_render_options *options)
{
    volt_render_options o = defaults;
    volt_page p = {.image = image, .o = &o};
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_render_options"));
    VOLT_TRY(st, done, check_options(image, &o));
    p.paper = o.white ? (volt_color){255, 255, 255} : (volt_color){18, 18, 20};
    p.ink = o.white ? (volt_color){20, 20, 20} : (volt_color){228, 228, 228};
    p.faint = o.white ? (volt_color){100, 100, 104} : (volt_color){160, 160, 166};
    p.font = fmin(32, fmax(13, round((double)o.view * 0.031)));
    p.margin = (int64_t)(0.9 * p.font);
    p.line = (int64_t)(1.4 * p.font);
    VOLT_TRY(st, done, volt_mask_facts_find(&p.facts, &o, &image->grid));
    VOLT_TRY(st, done, o.columns ? make_figure(&p) : make_views(&p));
    find_voxel(&p);
    place_views(&p);
    p.height = volt_page_legend(NULL, &p) + p.margin / 2;
    st = draw_page(out, &p);
done:
    volt_free(p.cells);
    volt_mask_facts_clear(&p.facts);
    return st;
}
