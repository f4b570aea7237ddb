#include "show/render.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/core/checked.h"
#include "base/core/options.h"
#include "base/core/plural.h"
#include "base/core/alloc.h"
#include "show/pictures/view.h"

static const volt_color paper = {18, 18, 20}, ink = {225, 225, 225}, faint = {150, 150, 155};
enum { MARGIN = 12, TEXT = 2, LINE = TEXT * VOLT_TEXT_HEIGHT + 6, LABELS_MAX = 256 };

/* Content of the masks: the labels of all, voxels per label of the first, and labelled voxels
 * per slice along each memory axis. */
typedef struct mask_facts {
    int64_t *per_slice[3];
    int labels;
    int64_t value[LABELS_MAX], voxels[LABELS_MAX];
} mask_facts;

/* A view and its position in the picture. */
typedef struct cell {
    volt_view view;
    int64_t x, y;
    char caption[64];
} cell;

typedef struct page {
    const volt_volume *image;
    const volt_render_options *o;
    mask_facts facts;
    double window[2];
    cell *cells;
    int count, columns;
    int64_t width, height, legend_y;
} page;

static const volt_render_options defaults = {
    .size = sizeof defaults,
    .slice = {VOLT_SLICE_AUTO, VOLT_SLICE_AUTO, VOLT_SLICE_AUTO},
    .plane = VOLT_PLANE_AXIAL,
    .view = 420};

void volt_render_options_init(volt_render_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

static volt_status check_options(const volt_volume *image, const volt_render_options *o)
{
    const int64_t *n = image->grid.n;

    if (o->channel < 0 || o->channel >= image->grid.channels)
        return volt_fail(VOLT_EINVAL, "channel %d of an image with %d channel%s", o->channel,
                         image->grid.channels, volt_s(image->grid.channels));
    if (o->plane < VOLT_PLANE_AXIAL || o->plane > VOLT_PLANE_SAGITTAL)
        return volt_fail(VOLT_EINVAL, "plane %d is not axial, coronal or sagittal", o->plane);
    if (o->view < 64 || o->view > 2048 || o->sheet < 0 || o->sheet > 400)
        return volt_fail(VOLT_EINVAL,
                         "views of %lld pixel%s (64..2048) and a sheet of %d slice%s (0..400) "
                         "cannot be drawn",
                         (long long)o->view, volt_s(o->view), o->sheet, volt_s(o->sheet));
    for (int a = 0; a < 3; a++) {
        if (o->slice[a] < VOLT_SLICE_AUTO || o->slice[a] >= n[a])
            return volt_fail(VOLT_EINVAL, "slice %lld along %c is not in 0..%lld",
                             (long long)o->slice[a], "zyx"[a], (long long)n[a] - 1);
    }
    for (int m = 0; m < o->mask_count; m++) {
        const int64_t *k = o->masks[m]->grid.n;

        if (k[0] != n[0] || k[1] != n[1] || k[2] != n[2])
            return volt_fail(
                VOLT_EDATA,
                "mask %d has %lld x %lld x %lld voxels (x, y, z), the image %lld x "
                "%lld x %lld",
                m + 1, (long long)k[2], (long long)k[1], (long long)k[0], (long long)n[2],
                (long long)n[1], (long long)n[0]);
    }
    return VOLT_OK;
}

static void count_label(mask_facts *f, int64_t label, int64_t voxels)
{
    int i = 0;

    while (i < f->labels && f->value[i] < label)
        i++;
    if (i == f->labels || f->value[i] != label) {
        if (f->labels == LABELS_MAX)
            return; /* the legend stops here; contours do not */
        memmove(f->value + i + 1, f->value + i, (size_t)(f->labels - i) * sizeof *f->value);
        memmove(f->voxels + i + 1, f->voxels + i, (size_t)(f->labels - i) * sizeof *f->voxels);
        f->value[i] = label;
        f->voxels[i] = 0;
        f->labels++;
    }
    f->voxels[i] += voxels;
}

/* One pass over a mask; voxel counts per label are those of the first. */
static void look_at_mask(mask_facts *f, const volt_volume *mask, bool first)
{
    const int64_t *n = mask->grid.n;
    int64_t i = 0, run = 0, last = 0;

    for (int64_t z = 0; z < n[0]; z++) {
        for (int64_t y = 0; y < n[1]; y++) {
            for (int64_t x = 0; x < n[2]; x++, i++) {
                int64_t label = (int64_t)volt_voxel_value(mask, i);

                if (label != last) {
                    if (last > 0)
                        count_label(f, last, first ? run : 0);
                    last = label;
                    run = 0;
                }
                run++;
                if (label > 0) {
                    f->per_slice[0][z]++;
                    f->per_slice[1][y]++;
                    f->per_slice[2][x]++;
                }
            }
        }
    }
    if (last > 0)
        count_label(f, last, first ? run : 0);
}

static volt_status look_at_masks(page *p)
{
    volt_status st;

    for (int a = 0; a < 3; a++) {
        st = volt_alloc_zero(&p->facts.per_slice[a], (size_t)p->image->grid.n[a],
                             sizeof(int64_t), "slice counts");
        if (st != VOLT_OK)
            return st;
    }
    for (int m = 0; m < p->o->mask_count; m++)
        look_at_mask(&p->facts, p->o->masks[m], m == 0);
    return VOLT_OK;
}

static int64_t pick_slice(const page *p, int axis)
{
    int64_t n = p->image->grid.n[axis], best = n / 2, most = 0;

    if (p->o->slice[axis] >= 0)
        return p->o->slice[axis];
    for (int64_t i = 0; i < n; i++) {
        if (p->facts.per_slice[axis][i] > most) {
            most = p->facts.per_slice[axis][i];
            best = i;
        }
    }
    return best;
}

/* First and last slice along `axis` that a mask touches, else the whole image. */
static void mask_extent(int64_t range[2], const page *p, int axis)
{
    int64_t n = p->image->grid.n[axis], first = 0, last = n - 1;

    while (first < n && !p->facts.per_slice[axis][first])
        first++;
    while (last >= 0 && !p->facts.per_slice[axis][last])
        last--;
    range[0] = first <= last ? first : 0;
    range[1] = first <= last ? last : n - 1;
}

/* "axial, z = 34 (S 12.5 mm)"; in a sheet "z = 34". */
static void write_caption(cell *c, const page *p)
{
    static const char *const names[] = {[VOLT_PLANE_AXIAL] = "axial",
                                        [VOLT_PLANE_CORONAL] = "coronal",
                                        [VOLT_PLANE_SAGITTAL] = "sagittal"};
    static const char sides[3][2] = {{'L', 'R'}, {'P', 'A'}, {'I', 'S'}};
    const volt_grid *g = &p->image->grid;
    int world = VOLT_PLANE_SAGITTAL - c->view.plane; /* axial cuts S, coronal A, sagittal R */
    double index[3], mm[3];

    for (int a = 0; a < 3; a++)
        index[a] = a == c->view.through ? (double)c->view.slice : (double)(g->n[a] - 1) / 2;
    volt_grid_world(mm, g, index);
    if (p->o->sheet)
        snprintf(c->caption, sizeof c->caption, "%c = %lld", "zyx"[c->view.through],
                 (long long)c -> view.slice);
    else
        snprintf(c->caption, sizeof c->caption, "%s, %c = %lld (%c %.1f mm)",
                 names[c->view.plane], "zyx"[c->view.through], (long long)c -> view.slice,
                 sides[world][mm[world] >= 0], fabs(mm[world]));
}

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

static volt_status choose_views(page *p)
{
    const volt_grid *g = &p->image->grid;
    volt_plane planes[3] = {VOLT_PLANE_AXIAL};
    int used = p->o->sheet ? 1 : useful_planes(planes, g);
    int64_t range[2], slices;
    double largest = 0, extent[2], scale;
    volt_status st;

    if (p->o->sheet)
        planes[0] = p->o->plane;
    for (int i = 0; i < used; i++) {
        volt_view_extent(extent, g, planes[i]);
        largest = fmax(largest, fmax(extent[0], extent[1]));
    }
    scale = (double)p->o->view / largest;
    mask_extent(range, p, volt_view_of(g, planes[0], scale).through);
    slices = range[1] - range[0] + 1;
    p->count = p->o->sheet ? (int)fmin(p->o->sheet, (double)slices) : used;
    p->columns = p->o->sheet ? (int)ceil(sqrt(1.6 * p->count)) : used;
    st = volt_alloc_zero(&p->cells, (size_t)p->count, sizeof *p->cells, "views");
    if (st != VOLT_OK)
        return st;
    for (int i = 0; i < p->count; i++) {
        cell *c = &p->cells[i];

        c->view = volt_view_of(g, planes[p->o->sheet ? 0 : i], scale);
        /* In a sheet the middles of `count` equal parts of the range. */
        c->view.slice = p->o->sheet ? range[0] + (2 * i + 1) * slices / (2 * p->count)
                                    : pick_slice(p, c->view.through);
        write_caption(c, p);
    }
    return VOLT_OK;
}

static int64_t cell_width(const cell *c)
{
    int64_t text = volt_picture_text_width(c->caption, TEXT);

    return volt_max_i64(text, c->view.width);
}

/* Of three planes the second and third stand above one another where that saves room. */
static bool place_stacked(page *p, int64_t y)
{
    cell *c = p->cells;
    int64_t x, width;

    if (p->o->sheet || p->count != 3 ||
        c[1].view.height + c[2].view.height + LINE + MARGIN > c[0].view.height * 5 / 4)
        return false;
    x = 2 * MARGIN + cell_width(&c[0]);
    width = cell_width(&c[1]) > cell_width(&c[2]) ? cell_width(&c[1]) : cell_width(&c[2]);
    c[0].x = MARGIN;
    c[1].x = c[2].x = x;
    c[0].y = c[1].y = y;
    c[2].y = y + c[1].view.height + LINE + MARGIN;
    if (x + width + MARGIN > p->width)
        p->width = x + width + MARGIN;
    y = c[2].y + c[2].view.height;
    if (c[0].y + c[0].view.height > y)
        y = c[0].y + c[0].view.height;
    p->legend_y = y + LINE + MARGIN;
    return true;
}

/* Places the views row by row; fills p->width and where the legend starts. */
static void place_views(page *p)
{
    int64_t y = MARGIN + (p->o->title ? LINE : 0);

    p->width = 640;
    if (place_stacked(p, y))
        return;
    for (int first = 0; first < p->count; first += p->columns) {
        int64_t x = MARGIN, tallest = 0;

        for (int i = first; i < p->count && i < first + p->columns; i++) {
            p->cells[i].x = x;
            p->cells[i].y = y;
            x += cell_width(&p->cells[i]) + MARGIN;
            if (p->cells[i].view.height > tallest)
                tallest = p->cells[i].view.height;
        }
        if (x > p->width)
            p->width = x;
        y += tallest + LINE + MARGIN / 2;
    }
    p->legend_y = y + MARGIN / 2;
}

static void label_text(char *out, size_t bytes, const page *p, int i)
{
    double spacing[3], ml;
    const char *name = NULL;
    char number[32];

    for (int64_t k = 0; k < p->o->label_count; k++) {
        if (p->o->labels[k].value == p->facts.value[i])
            name = p->o->labels[k].name;
    }
    snprintf(number, sizeof number, "label %lld", (long long)p->facts.value[i]);
    volt_grid_spacing(spacing, &p->image->grid);
    ml = (double)p->facts.voxels[i] * spacing[0] * spacing[1] * spacing[2] / 1000;
    snprintf(out, bytes, "%.100s: %.*f ml", name ? name : number, ml < 10 ? 2 : 0, ml);
}

/* Draws the legend, or with `to` NULL only measures it. Returns the y below it. */
static int64_t draw_legend(volt_picture *to, const page *p)
{
    int64_t x = MARGIN, y = p->legend_y, widest = 0;
    char text[160];

    for (int i = 0; i < p->facts.labels && p->facts.labels > 6; i++) {
        label_text(text, sizeof text, p, i);
        if (volt_picture_text_width(text, TEXT) > widest)
            widest = volt_picture_text_width(text, TEXT); /* many stand in columns */
    }
    for (int i = 0; i < p->facts.labels; i++) {
        int64_t width;

        label_text(text, sizeof text, p, i);
        width = widest ? widest : volt_picture_text_width(text, TEXT);
        width += 20 + 2 * MARGIN;
        if (x > MARGIN && x + width > p->width) {
            x = MARGIN;
            y += LINE;
        }
        if (to) {
            volt_picture_box(to, x, y, 14, 14, volt_label_color(p->facts.value[i]));
            volt_picture_text(to, x + 20, y, TEXT, ink, text);
        }
        x += width;
    }
    return p->facts.labels ? y + LINE : y;
}

/* Which mask is drawn how; of a path that is wider than the picture the end, which tells masks
 * apart. */
static void mask_text(char *out, size_t bytes, const page *p, int m)
{
    const char *kind = m ? "dashed" : "solid";
    const char *name = p->o->mask_names ? p->o->mask_names[m] : "mask";

    snprintf(out, bytes, "%s: %s", kind, name);
    while (*name && (volt_picture_text_width(out, TEXT) > p->width - 2 * MARGIN ||
                     strlen(out) + 1 == bytes)) {
        do {
            name++;
        } while (((unsigned char)*name & 0xC0) == 0x80); /* whole letters of UTF-8 */
        snprintf(out, bytes, "%s: ...%s", kind, name);
    }
}

/* Lines below the legend: which mask is which, window and convention. */
static int64_t draw_footer(volt_picture *to, const page *p, int64_t y)
{
    char text[256];
    int digits;

    for (int m = 0; m < p->o->mask_count && p->o->mask_count > 1; m++) {
        mask_text(text, sizeof text, p, m);
        if (to)
            volt_picture_text(to, MARGIN, y, TEXT, faint, text);
        y += LINE;
    }
    digits = p->window[1] - p->window[0] >= 50 ? 0 : 2;
    snprintf(text, sizeof text,
             "window %.*f to %.*f; radiological: the patient's right is on the left", digits,
             p->window[0], digits, p->window[1]);
    if (to)
        volt_picture_text(to, MARGIN, y, TEXT, faint, text);
    return y + LINE;
}

static volt_status draw_cell(volt_picture *to, const page *p, const cell *c)
{
    volt_view_draw(to, c->x, c->y, &c->view, p->image, p->o->channel, p->window);
    for (int m = 0; m < p->o->mask_count; m++) {
        volt_status st = volt_view_contours(to, c->x, c->y, &c->view, p->o->masks[m], m > 0);

        if (st != VOLT_OK)
            return st;
    }
    volt_view_letters(to, c->x, c->y, &c->view);
    volt_picture_text(to, c->x, c->y + c->view.height + 6, TEXT, ink, c->caption);
    return VOLT_OK;
}

volt_status volt_render(volt_picture **out, const volt_volume *image,
                        const volt_render_options *options)
{
    volt_render_options o = defaults;
    page p = {.image = image, .o = &o};
    volt_picture *picture = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_render_options"));
    VOLT_TRY(st, done, check_options(image, &o));
    memcpy(p.window, o.window, sizeof p.window);
    if (!o.has_window)
        VOLT_TRY(st, done, volt_window_choose(p.window, image, o.channel));
    VOLT_TRY(st, done, look_at_masks(&p));
    VOLT_TRY(st, done, choose_views(&p));
    place_views(&p);
    p.height = draw_footer(NULL, &p, draw_legend(NULL, &p)) + MARGIN / 2;
    VOLT_TRY(st, done, volt_picture_create(&picture, p.width, p.height, paper));
    if (o.title)
        volt_picture_text(picture, MARGIN, MARGIN, TEXT, ink, o.title);
    for (int i = 0; i < p.count; i++)
        VOLT_TRY(st, done, draw_cell(picture, &p, &p.cells[i]));
    draw_footer(picture, &p, draw_legend(picture, &p));
    *out = picture;
    picture = NULL;
done:
    volt_picture_free(picture);
    volt_free(p.cells);
    for (int a = 0; a < 3; a++)
        volt_free(p.facts.per_slice[a]);
    return st;
}
