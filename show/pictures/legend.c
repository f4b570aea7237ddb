/* The legend of a rendered picture, and the lines below it. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/core/checked.h"
#include "base/core/plural.h"
#include "show/pictures/page.h"
#include "show/pictures/text.h"
#include "volume/orient.h"

#define MASKS_MOST   64 /* that a legend has columns for */
#define ROWS_MOST    40 /* of a block; a picture becomes wider for further blocks */
#define BLOCK_GAP(p) ((int64_t)(3.2 * (p)->font))

static int64_t width_of(const volt_page *p, const char *text)
{
    return (int64_t)ceil(volt_text_width(text, p->font)) + 1;
}

/* ---- the texts of a row ---- */

static void label_text(char *out, size_t bytes, const volt_page *p, int i)
{
    for (int64_t l = 0; l < p->o->label_count; l++) {
        if (p->o->labels[l].value == p->facts.value[i]) {
            if (!volt_text_readable(p->o->labels[l].name))
                break;
            snprintf(out, bytes, "%s", p->o->labels[l].name);
            return;
        }
    }
    snprintf(out, bytes, "label %lld", (long long)p->facts.value[i]);
}

static const char *unit_of(const volt_page *p)
{
    static const char *const units[] = {"ml", "mm\xc2\xb2", "px"};

    return units[p->o->amount];
}

/* The amount of label i in mask m. */
static void amount_text(char *out, size_t bytes, const volt_page *p, int m, int i)
{
    const volt_grid *g = &p->image->grid;
    double spacing[3], amount = (double)p->facts.voxels[m * p->facts.labels + i];

    volt_grid_spacing(spacing, g);
    if (p->o->amount == VOLT_AMOUNT_ML)
        amount *= spacing[0] * spacing[1] * spacing[2] / 1000;
    else if (p->o->amount == VOLT_AMOUNT_MM2)
        amount *= spacing[1] * spacing[2];
    if (p->o->amount == VOLT_AMOUNT_PIXELS || amount == 0)
        snprintf(out, bytes, "%.0f", amount);
    else if (amount < 0.001 || amount >= 1e7)
        snprintf(out, bytes, "%.1e", amount);
    else
        snprintf(out, bytes, "%.*f",
                 amount < 0.1    ? 4
                 : amount < 10   ? 2
                 : amount < 1000 ? 1
                                 : 0,
                 amount);
}

static void dice_text(char *out, size_t bytes, const volt_page *p, int m, int i)
{
    const int n = p->facts.labels;
    const int64_t sum = p->facts.voxels[i] + p->facts.voxels[m * n + i];

    if (sum == 0) /* in neither mask */
        snprintf(out, bytes, "\xe2\x80\x93");
    else
        snprintf(out, bytes, "%.3f", 2 * (double)p->facts.common[m * n + i] / (double)sum);
}

/* What a mask is called in the table: its file's name if that is short and unique. */
static void short_name(char *out, size_t bytes, const volt_page *p, int m)
{
    const char *name = p->o->mask_names ? p->o->mask_names[m] : NULL;

    if (name && strrchr(name, '/'))
        name = strrchr(name, '/') + 1;
    for (int k = 0; name && k < p->o->mask_count; k++) {
        const char *other = p->o->mask_names[k], *slash = strrchr(other, '/');

        if (k != m && strcmp(slash ? slash + 1 : other, name) == 0)
            name = NULL;
    }
    if (name && volt_text_width(name, p->font) <= 13 * p->font)
        snprintf(out, bytes, "%s", name);
    else
        snprintf(out, bytes, "mask %d", m + 1);
}

/* ---- the table ---- */

/* Widths in pixels. The first columns of numbers are the masks' amounts, then come the Dice of
 * the masks after the first. */
typedef struct table {
    int64_t swatch, name, number[2 * MASKS_MOST];
    int masks, numbers, blocks, rows;
    int64_t width; /* of one block */
} table;

static void number_text(char *out, size_t bytes, const volt_page *p, const table *t, int column,
                        int i)
{
    if (column >= t->masks) {
        dice_text(out, bytes, p, column - t->masks + 1, i);
        return;
    }
    amount_text(out, bytes, p, column, i);
    if (t->masks == 1)
        snprintf(out + strlen(out), bytes - strlen(out), " %s", unit_of(p));
}

/* The heading has two lines. */
static void heading_text(char *first, char *second, size_t bytes, const volt_page *p,
                         const table *t, int column)
{
    const bool dice = column >= t->masks;

    first[0] = second[0] = '\0';
    if (t->masks == 1)
        return;
    if (!dice || t->masks > 2)
        short_name(first, bytes, p, dice ? column - t->masks + 1 : column);
    snprintf(second, bytes, "%s", dice ? "Dice" : unit_of(p));
}

static table table_of(const volt_page *p)
{
    const int64_t gap = (int64_t)(1.6 * p->font);
    table t = {.swatch = (int64_t)(1.9 * p->font),
               .masks = (int)volt_min_i64(p->o->mask_count, MASKS_MOST)};
    char text[512], second[64];

    t.numbers = 2 * t.masks - 1;
    for (int i = 0; i < p->facts.labels; i++) {
        label_text(text, sizeof text, p, i);
        t.name = volt_max_i64(t.name, width_of(p, text));
    }
    t.name = volt_min_i64(t.name, (int64_t)(24 * p->font));
    t.width = t.swatch + t.name;
    for (int c = 0; c < t.numbers; c++) {
        heading_text(text, second, sizeof second, p, &t, c);
        t.number[c] = volt_max_i64(width_of(p, text), width_of(p, second));
        for (int i = 0; i < p->facts.labels; i++) {
            number_text(text, sizeof text, p, &t, c, i);
            t.number[c] = volt_max_i64(t.number[c], width_of(p, text));
        }
        t.number[c] += gap;
        t.width += t.number[c];
    }
    t.blocks = 1;
    if (p->width > 0)
        t.blocks =
            (int)volt_max_i64(1, (p->width - 2 * p->margin + 2 * gap) / (t.width + 2 * gap));
    t.blocks = (int)volt_min_i64(t.blocks, (p->facts.labels + 3) / 4);
    t.rows = t.blocks > 0 ? (p->facts.labels + t.blocks - 1) / t.blocks : 0;
    return t;
}

int64_t volt_page_legend_width(const volt_page *p)
{
    const int64_t blocks = (p->facts.labels + ROWS_MOST - 1) / ROWS_MOST;

    if (blocks == 0)
        return 0;
    return blocks * (table_of(p).width + BLOCK_GAP(p)) - BLOCK_GAP(p) + 2 * p->margin;
}

/* A box as fills and contours show the label. */
static void draw_swatch(volt_picture *to, const volt_page *p, int64_t x, int64_t y,
                        volt_color c, double inside)
{
    const int64_t size = (int64_t)(0.95 * p->font), top = y - size / 8;

    volt_picture_box(to, x, top, size, size, c);
    for (int64_t v = 2; v < size - 2; v++) {
        for (int64_t u = 2; u < size - 2; u++)
            volt_picture_blend(to, x + u, top + v, p->paper, 1 - inside);
    }
}

static void draw_right(volt_picture *to, const volt_page *p, int64_t right, int64_t y,
                       volt_color c, const char *text)
{
    volt_picture_text(to, (double)right - volt_text_width(text, p->font), (double)y, p->font, c,
                      text);
}

static int64_t draw_heading(volt_picture *to, const volt_page *p, const table *t, int64_t x,
                            int64_t y)
{
    char first[512], second[512];

    if (t->masks == 1)
        return y;
    x += t->swatch + t->name;
    for (int c = 0; c < t->numbers; c++) {
        heading_text(first, second, sizeof first, p, t, c);
        x += t->number[c];
        if (to) {
            draw_right(to, p, x, y, p->faint, first);
            draw_right(to, p, x, y + p->line, p->faint, second);
        }
    }
    return y + 2 * p->line;
}

static int64_t draw_row(volt_picture *to, const volt_page *p, const table *t, int i, int64_t x,
                        int64_t y)
{
    char text[512];
    int64_t right = x + t->swatch + t->name;

    label_text(text, sizeof text, p, i);
    if (to) {
        draw_swatch(to, p, x, y, p->facts.color[i], 0.5);
        for (int c = 0; c < t->numbers; c++) {
            char number[64];

            number_text(number, sizeof number, p, t, c, i);
            right += t->number[c];
            draw_right(to, p, right, y, p->ink, number);
        }
    }
    return volt_max_i64(y + p->line,
                        volt_page_text(to, p, x + t->swatch, y, t->name + 1, p->ink, text));
}

static int64_t draw_table(volt_picture *to, const volt_page *p, int64_t y)
{
    const table t = table_of(p);
    int64_t end = y;

    for (int b = 0; b < t.blocks; b++) {
        const int64_t x = p->margin + b * (t.width + BLOCK_GAP(p));
        int64_t at = draw_heading(to, p, &t, x, y);

        for (int i = b * t.rows; i < (b + 1) * t.rows && i < p->facts.labels; i++)
            at = draw_row(to, p, &t, i, x, at);
        end = volt_max_i64(end, at);
    }
    return end;
}

/* ---- lines below the table ---- */

/* Mask m is filled; the contours of the others are interrupted as in the views. */
static void draw_style(volt_picture *to, const volt_page *p, int64_t y, int m)
{
    const int64_t size = (int64_t)(0.95 * p->font), top = y - size / 8;
    const int kind = m == 0 ? 0 : (m - 1) % 3; /* solid, dashed, dotted */

    draw_swatch(to, p, p->margin, y, p->faint, m == 0 ? 1 : 0);
    for (int64_t v = 0; v < size; v++) {
        for (int64_t u = 0; u < size; u++) {
            if ((kind == 1 && (u + v) / 4 % 2) || (kind == 2 && (u + v) / 2 % 3))
                volt_picture_blend(to, p->margin + u, top + v, p->paper, 1);
        }
    }
}

static bool is_empty(const volt_page *p, int m)
{
    for (int i = 0; i < p->facts.labels; i++) {
        if (p->facts.voxels[m * p->facts.labels + i])
            return false;
    }
    return true;
}

/* Which mask is drawn how, with its full name. */
static int64_t draw_styles(volt_picture *to, const volt_page *p, int64_t y)
{
    static const char *const styles[] = {"solid contour", "dashed contour", "dotted contour"};
    char text[2048], name[512];

    for (int m = 0; m < p->o->mask_count; m++) {
        const char *style = is_empty(p, m) ? "empty" : m == 0 ? "filled" : styles[(m - 1) % 3];
        const char *full = p->o->mask_files   ? p->o->mask_files[m]
                           : p->o->mask_names ? p->o->mask_names[m]
                                              : "";

        short_name(name, sizeof name, p, m);
        if (!*full || strcmp(full, name) == 0)
            snprintf(text, sizeof text, "%s: %s", name, style);
        else
            snprintf(text, sizeof text, "%s: %s (%s)", name, style, full);
        if (to)
            draw_style(to, p, y, m);
        y = volt_page_text(to, p, p->margin + (int64_t)(1.9 * p->font), y,
                           p->width - 2 * p->margin - (int64_t)(1.9 * p->font), p->ink, text);
    }
    return y;
}

/* The largest angle between a voxel axis and the patient's axis next to it, degrees. */
static double tilt_of(const volt_grid *g)
{
    volt_orientation o;
    double spacing[3], tilt = 0;

    if (volt_orientation_to(&o, g, "RAS") != VOLT_OK)
        return 0;
    volt_grid_spacing(spacing, g);
    for (int world = 0; world < 3; world++) {
        const int axis = o.from[2 - world];
        const double along = fabs(g->to_world[world][2 - axis]) / spacing[axis];

        tilt = fmax(tilt, acos(fmin(1, along)) * 180 / acos(-1));
    }
    return tilt;
}

static void window_text(char *out, size_t bytes, const volt_page *p)
{
    const volt_cell *c = &p->cells[0];
    const int digits = c->window[1] - c->window[0] >= 50 ? 0 : 2;
    bool one = true;

    for (int i = 1; i < p->count; i++)
        one = one && memcmp(p->cells[i].window, c->window, sizeof c->window) == 0;
    out[0] = '\0';
    if (!one)
        snprintf(out, bytes, "each image has its own window; ");
    else if (c->channel != VOLT_CHANNEL_RGB)
        snprintf(out, bytes, "window %.*f to %.*f; ", digits, c->window[0], digits,
                 c->window[1]);
}

static void sides_text(char *out, size_t bytes, const volt_page *p)
{
    bool right_left = false;

    if (p->o->unknown_sides) {
        snprintf(out, bytes, "orientation unknown");
        return;
    }
    for (int i = 0; i < p->count; i++)
        right_left = right_left || p->cells[i].view.plane != VOLT_PLANE_SAGITTAL;
    snprintf(out, bytes, "radiological: %s",
             right_left ? "the patient's right is on the left" : "anterior is on the left");
    if (tilt_of(&p->image->grid) >= 1)
        snprintf(out + strlen(out), bytes - strlen(out),
                 "; voxel axes tilted by up to %.0f\xc2\xb0", tilt_of(&p->image->grid));
}

static int64_t draw_notes(volt_picture *to, const volt_page *p, int64_t y)
{
    char text[512];

    text[0] = '\0';
    if (p->o->columns) {
        volt_page_place(text, sizeof text, p, &p->cells[0].view);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s", *text ? "; " : "");
    }
    window_text(text + strlen(text), sizeof text - strlen(text), p);
    sides_text(text + strlen(text), sizeof text - strlen(text), p);
    return volt_page_text(to, p, p->margin, y, p->width - 2 * p->margin, p->faint, text);
}

int64_t volt_page_legend(volt_picture *to, const volt_page *p)
{
    const int64_t gap = p->line / 3;
    int64_t y = p->legend_y;

    if (p->facts.labels)
        y = draw_table(to, p, y) + gap;
    if (p->o->mask_count > 1 || (p->o->mask_count == 1 && is_empty(p, 0)))
        y = draw_styles(to, p, y) + gap;
    return draw_notes(to, p, y);
}
