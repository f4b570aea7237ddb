/* What masks hold, and whether a volume is one. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/checked.h"
#include "base/core/plural.h"
#include "show/pictures/page.h"

/* Different values in ascending order. */
typedef struct values {
    int64_t *v;
    int count, most;
} values;

/* False: there is no room for another one. */
static bool add_value(values *s, int64_t value)
{
    int at = s->count;

    while (at > 0 && s->v[at - 1] > value)
        at--;
    if (at > 0 && s->v[at - 1] == value)
        return true;
    if (s->count == s->most)
        return false;
    memmove(s->v + at + 1, s->v + at, (size_t)(s->count - at) * sizeof *s->v);
    s->v[at] = value;
    s->count++;
    return true;
}

static bool known(const values *s, int64_t value)
{
    const volt_label_map map = {.value = s->v, .count = s->count};

    return volt_label_find(&map, value) >= 0;
}

static volt_status list_labels(values *s, const volt_render_options *o)
{
    for (int m = 0; m < o->mask_count; m++) {
        const int64_t voxels = volt_grid_voxels(&o->masks[m]->grid);
        int64_t last = 0;

        for (int64_t i = 0; i < voxels; i++) {
            const int64_t label = (int64_t)volt_voxel_value(o->masks[m], i);

            if (label == last)
                continue;
            last = label;
            if (label != 0 && !known(s, label) && !add_value(s, label))
                return volt_fail(VOLT_EDATA, "mask %d has more than %d different labels", m + 1,
                                 VOLT_PAGE_LABELS);
        }
    }
    return VOLT_OK;
}

static int64_t count_slices(volt_mask_facts *f, const volt_volume *mask)
{
    const int64_t *n = mask->grid.n;
    int64_t i = 0, labelled = 0;

    for (int64_t z = 0; z < n[0]; z++) {
        for (int64_t y = 0; y < n[1]; y++) {
            for (int64_t x = 0; x < n[2]; x++, i++) {
                if (volt_voxel_value(mask, i) == 0)
                    continue;
                f->per_slice[0][z]++;
                f->per_slice[1][y]++;
                f->per_slice[2][x]++;
                labelled++;
            }
        }
    }
    return labelled;
}

static void count_voxels(volt_mask_facts *f, const volt_render_options *o)
{
    const volt_label_map map = {.value = f->value, .count = f->labels};
    const int64_t voxels = volt_grid_voxels(&o->masks[0]->grid);

    for (int m = 0; m < o->mask_count; m++) {
        int64_t last = 0;
        int entry = -1;

        for (int64_t i = 0; i < voxels; i++) {
            const int64_t label = (int64_t)volt_voxel_value(o->masks[m], i);

            if (label == 0)
                continue;
            if (label != last)
                entry = volt_label_find(&map, label);
            last = label;
            f->voxels[m * f->labels + entry]++;
            f->common[m * f->labels + entry] +=
                m == 0 || (int64_t)volt_voxel_value(o->masks[0], i) == label;
        }
    }
}

/* Colours depend on the named labels and on those that occur, so that all cases of a data set
 * have the same. */
static volt_status choose_colors(volt_mask_facts *f, const volt_render_options *o)
{
    const size_t room = (size_t)f->labels + (size_t)o->label_count;
    values all = {.most = (int)room};
    volt_label_map map = {0};
    volt_color *color = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&all.v, room * sizeof *all.v, "colours"));
    VOLT_TRY(st, done, volt_alloc(&color, room * sizeof *color, "colours"));
    for (int i = 0; i < f->labels; i++)
        add_value(&all, f->value[i]);
    for (int64_t i = 0; i < o->label_count; i++) {
        if (o->labels[i].value != 0)
            add_value(&all, o->labels[i].value);
    }
    volt_label_colors(color, all.v, all.count);
    map = (volt_label_map){all.v, color, all.count};
    for (int i = 0; i < f->labels; i++)
        f->color[i] = color[volt_label_find(&map, f->value[i])];
done:
    volt_free(color);
    volt_free(all.v);
    return st;
}

volt_status volt_mask_facts_find(volt_mask_facts *f, const volt_render_options *o,
                                 const volt_grid *grid)
{
    values found = {.most = VOLT_PAGE_LABELS};
    size_t entries;
    volt_status st = VOLT_OK;

    for (int a = 0; a < 3; a++)
        VOLT_TRY(st, done,
                 volt_alloc_zero(&f->per_slice[a], (size_t)grid->n[a], sizeof(int64_t),
                                 "slice counts"));
    if (o->mask_count == 0)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_alloc(&found.v, VOLT_PAGE_LABELS * sizeof *found.v, "labels"));
    f->value = found.v;
    VOLT_TRY(st, done, list_labels(&found, o));
    f->labels = found.count;
    if (f->labels == 0)
        return VOLT_OK;
    entries = (size_t)f->labels * (size_t)o->mask_count;
    VOLT_TRY(st, done, volt_alloc(&f->color, (size_t)f->labels * sizeof *f->color, "labels"));
    VOLT_TRY(st, done, volt_alloc_zero(&f->voxels, entries, sizeof *f->voxels, "labels"));
    VOLT_TRY(st, done, volt_alloc_zero(&f->common, entries, sizeof *f->common, "labels"));
    VOLT_TRY(st, done, choose_colors(f, o));
    count_voxels(f, o);
    for (int m = 0; m < o->mask_count; m++) {
        if (count_slices(f, o->masks[m]) > 0)
            break;
    }
done:
    return st;
}

void volt_mask_facts_clear(volt_mask_facts *f)
{
    for (int a = 0; a < 3; a++)
        volt_free(f->per_slice[a]);
    volt_free(f->value);
    volt_free(f->color);
    volt_free(f->voxels);
    volt_free(f->common);
    *f = (volt_mask_facts){0};
}

/* ---- is it a mask? ---- */

#define FEW_VALUES 24  /* a scan has more */
#define ROUGH      0.2 /* in a mask fewer labelled neighbours differ */

/* A scan of few values has more than these, and rougher neighbours that differ by a small part
 * of the range; those of a poor mask differ by a third of it on average. */
#define SOME_VALUES 8
#define ROUGHER     0.4
#define SMALL_STEP  (1.0 / 6)

/* Small labels look scattered. They are numbered 1, 2, 3, ..., each lies in one place, which
 * has few corners; and they are no ramp, which fills most of an image with neighbours that
 * differ by 1. */
#define CORNERS 8

static bool reject(char *why, size_t bytes, const char *fmt, ...) VOLT_PRINTF(3, 4);
static bool reject(char *why, size_t bytes, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (why)
        vsnprintf(why, bytes, fmt, args);
    va_end(args);
    return false;
}

/* True for the values 1..n, with or without 0, up to as many as have colours of their own. */
static bool consecutive(const values *s)
{
    const int64_t first = s->count > 0 ? s->v[0] : 0, last = s->count + first - 1;

    return (first == 0 || first == 1) && last <= VOLT_LABEL_COLORS &&
           s->v[s->count - 1] == last;
}

/* Whether each of `labels` values lies in one place, in no order of a ramp. */
static bool compact(const volt_volume *v, int labels)
{
    const int64_t *n = v->grid.n, stride[3] = {n[1] * n[2], n[2], 1};
    int64_t i = 0, corners = 0, labelled = 0;
    bool ramp = true;

    for (int64_t z = 0; z < n[0]; z++) {
        for (int64_t y = 0; y < n[1]; y++) {
            for (int64_t x = 0; x < n[2]; x++, i++) {
                const int64_t at[3] = {z, y, x};
                const double value = round(volt_voxel_value(v, i));
                bool corner = value != 0; /* no neighbour before it has its value */

                for (int a = 0; a < 3; a++) {
                    const double other =
                        at[a] > 0 ? round(volt_voxel_value(v, i - stride[a])) : 0;

                    corner = corner && value != other;
                    ramp = ramp && (value == 0 || other == 0 || fabs(value - other) <= 1);
                }
                corners += corner;
                labelled += value != 0;
            }
        }
    }
    return !(ramp && 2 * labelled > i) && corners <= (int64_t)CORNERS * labels;
}

bool volt_looks_like_mask(const volt_volume *v, bool declared, char *why, size_t bytes)
{
    const int64_t voxels = volt_grid_voxels(&v->grid), row = v->grid.n[2];
    int64_t store[VOLT_PAGE_LABELS], pairs = 0, differ = 0;
    values seen = {.v = store, .most = VOLT_PAGE_LABELS};
    double last = 0, low = INFINITY, high = -INFINITY, steps = 0;

    if (v->grid.channels != 1)
        return reject(why, bytes, "%d channels", v->grid.channels);
    for (int64_t i = 0; i < voxels; i++) {
        const double value = volt_voxel_value(v, i);

        if (!(fabs(value - round(value)) <= 1e-3) || fabs(value) > 9e15)
            return reject(why, bytes, "the value %g, which is no label", value);
        if (i % row != 0 && value != 0 && last != 0) {
            pairs++;
            differ += value != last;
            steps += fabs(value - last);
            low = fmin(low, value);
            high = fmax(high, value);
        }
        if ((i == 0 || value != last) && !known(&seen, (int64_t)round(value)) &&
            !add_value(&seen, (int64_t)round(value)))
            return reject(why, bytes, "more than %d different values", VOLT_PAGE_LABELS);
        last = value;
    }
    if (declared || (consecutive(&seen) && seen.count > SOME_VALUES && compact(v, seen.count)))
        return true;
    if ((seen.count > FEW_VALUES && (double)differ > ROUGH * (double)pairs) ||
        (seen.count > SOME_VALUES && (double)differ > ROUGHER * (double)pairs &&
         steps < SMALL_STEP * (high - low) * (double)differ))
        return reject(why, bytes, "%d different values, scattered as in a scan", seen.count);
    return true;
}
