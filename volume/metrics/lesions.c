#include "volume/metrics/lesions.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/threads.h"
#include "volume/box.h"
#include "volume/components.h"
#include "volume/distance.h"
#include "volume/grid/labels.h"
#include "volume/metrics/surface.h"

#define MOST_DILATION 64

/* Both are numbered from 1. */
typedef struct match {
    int32_t lesion, part;
} match;

/* A lesion of the reference is a component of its dilation. */
typedef struct lesion {
    int64_t voxels, shared; /* of the reference; of these, predicted */
} lesion;

typedef struct work {
    const volt_lesion_masks *m;
    const volt_lesion_rule *options;
    bool surface;
    int threads;
    volt_components *grown, *parts; /* of the dilated reference, of the prediction */
    volt_volume *grown_map, *part_map;
    lesion *lesions;
    match *matches; /* ascending, without repetitions */
    int64_t count, room;
    bool *is_matched; /* per part; this and the next two are indexed by number */
    bool *chosen_part, *chosen_lesion;
    uint8_t *mask, *surfaces[2]; /* scratch for measuring a lesion */
    int32_t *numbers;
} work;

static void work_free(work *w)
{
    volt_free(w->numbers);
    volt_free(w->surfaces[1]);
    volt_free(w->surfaces[0]);
    volt_free(w->mask);
    volt_free(w->chosen_lesion);
    volt_free(w->chosen_part);
    volt_free(w->is_matched);
    volt_free(w->matches);
    volt_free(w->lesions);
    volt_volume_free(w->part_map);
    volt_volume_free(w->grown_map);
    volt_components_free(w->parts);
    volt_components_free(w->grown);
}

/* The row (z, y), or NULL beyond the border. */
static const uint8_t *row_at(const uint8_t *mask, const int64_t n[3], int64_t z, int64_t y)
{
    return z < 0 || y < 0 || z >= n[0] || y >= n[1] ? NULL : mask + (z * n[1] + y) * n[2];
}

static void or_row(uint8_t *restrict to, const uint8_t *restrict from, int64_t nx)
{
    for (int64_t x = 0; from && x < nx; x++)
        to[x] |= from[x];
}

/* One dilation by the 18-neighbourhood: rows that share a face widen, those that share an edge
 * do not. `wide` is scratch of nx bytes. */
static void dilate_row(uint8_t *restrict out, uint8_t *restrict wide, const uint8_t *mask,
                       const int64_t n[3], int64_t row)
{
    const int64_t nx = n[2], z = row / n[1], y = row % n[1];

    memcpy(wide, mask + row * nx, (size_t)nx);
    for (int side = -1; side <= 1; side += 2) {
        or_row(wide, row_at(mask, n, z + side, y), nx);
        or_row(wide, row_at(mask, n, z, y + side), nx);
    }
    memcpy(out, wide, (size_t)nx);
    or_row(out, wide + 1, nx - 1);
    or_row(out + 1, wide, nx - 1);
    for (int side = -1; side <= 1; side += 2) {
        or_row(out, row_at(mask, n, z - 1, y + side), nx);
        or_row(out, row_at(mask, n, z + 1, y + side), nx);
    }
}

/* `times` dilations of `mask`; the caller frees *out. */
static volt_status dilate(uint8_t **out, const uint8_t *mask, const int64_t n[3], int times,
                          int threads)
{
    const int64_t rows = n[0] * n[1];
    const size_t voxels = (size_t)(rows * n[2]);
    uint8_t *from = NULL, *to = NULL, *scratch = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&from, voxels, "a dilated mask"));
    VOLT_TRY(st, done, volt_alloc(&to, voxels, "a dilated mask"));
    VOLT_TRY(st, done, volt_alloc(&scratch, (size_t)(threads * n[2]), "rows of a mask"));
    memcpy(from, mask, voxels);
    for (int i = 0; i < times; i++) {
        uint8_t *const done = to;

#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t row = 0; row < rows; row++)
            dilate_row(done + row * n[2], scratch + omp_get_thread_num() * n[2], from, n, row);
        to = from;
        from = done;
    }
    *out = from;
    from = NULL;
done:
    volt_free(scratch);
    volt_free(to);
    volt_free(from);
    return st;
}

static volt_status find_components(volt_components **out, volt_volume **map,
                                   const uint8_t *mask, const work *w)
{
    const volt_volume v = {volt_grid_make(w->m->n, 1, w->m->spacing), VOLT_U8, (void *)mask};
    volt_components_options o = volt_components_defaults();
    volt_status st;

    o.binary = true;
    o.threads = w->threads;
    st = volt_components_find(out, &v, &o);
    if (st == VOLT_OK && volt_components_count(*out) >= INT32_MAX)
        st = volt_fail(VOLT_ENOTSUP, "a mask with %lld lesions is not supported",
                       (long long)volt_components_count(*out));
    return st == VOLT_OK ? volt_components_map(map, *out, w->threads) : st;
}

static int compare_matches(const void *a, const void *b)
{
    const match *x = a, *y = b;

    if (x->lesion != y->lesion)
        return (x->lesion > y->lesion) - (x->lesion < y->lesion);
    return (x->part > y->part) - (x->part < y->part);
}

/* Sorts the matches and keeps one of each. */
static void unique_matches(work *w)
{
    int64_t kept = 0;

    if (w->count > 0)
        qsort(w->matches, (size_t)w->count, sizeof *w->matches, compare_matches);
    for (int64_t i = 0; i < w->count; i++) {
        if (kept == 0 || compare_matches(&w->matches[kept - 1], &w->matches[i]) != 0)
            w->matches[kept++] = w->matches[i];
    }
    w->count = kept;
}

static volt_status add_match(work *w, match m)
{
    volt_status st = VOLT_OK;

    if (w->count > 0 && compare_matches(&w->matches[w->count - 1], &m) == 0)
        return VOLT_OK;
    if (w->count == w->room) {
        unique_matches(w);
        if (2 * w->count >= w->room) {
            w->room = w->room ? 2 * w->room : 1024;
            st = volt_realloc(&w->matches, (size_t)w->count * sizeof *w->matches,
                              (size_t)w->room * sizeof *w->matches, "matched lesions");
        }
    }
    if (st == VOLT_OK)
        w->matches[w->count++] = m;
    return st;
}

/* Counts each lesion's voxels and lists which parts of the prediction touch its dilation. */
static volt_status match_all(work *w)
{
    const int64_t nx = w->m->n[2], rows = w->m->n[0] * w->m->n[1];
    int32_t *grown = NULL, *part;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&grown, (size_t)(2 * nx) * sizeof *grown, "rows of labels"));
    part = grown + nx;
    for (int64_t row = 0; row < rows; row++) {
        const uint8_t *ref = w->m->ref + row * nx;

        volt_label_row(grown, w->grown_map, row * nx, nx);
        volt_label_row(part, w->part_map, row * nx, nx);
        for (int64_t x = 0; x < nx; x++) {
            lesion *l = &w->lesions[grown[x]];

            l->voxels += ref[x];
            l->shared += ref[x] && part[x];
            if (grown[x] && part[x])
                VOLT_TRY(st, done, add_match(w, (match){grown[x], part[x]}));
        }
    }
    unique_matches(w);
    for (int64_t i = 0; i < w->count; i++)
        w->is_matched[w->matches[i].part] = true;
done:
    volt_free(grown);
    return st;
}

/* Which numbers of a map make a mask; NULL `within` = all their voxels. */
typedef struct pick {
    const volt_volume *map;
    const bool *chosen; /* by number; [0] is false */
    const uint8_t *within;
} pick;

/* The surface of the picked voxels of `box`. Returns how many surface voxels there are. */
static int64_t cut_surface(uint8_t *surface, work *w, volt_box box, const pick *p)
{
    const int64_t *n = w->m->n;
    int64_t size[3];

    volt_box_shape(size, box);
#pragma omp parallel for num_threads(w->threads) schedule(static)
    for (int64_t row = 0; row < size[0] * size[1]; row++) {
        const int64_t z = box.low[0] + row / size[1], y = box.low[1] + row % size[1];
        const int64_t first = (z * n[1] + y) * n[2] + box.low[2];
        int32_t *number = w->numbers + omp_get_thread_num() * n[2];
        uint8_t *mask = w->mask + row * size[2];

        volt_label_row(number, p->map, first, size[2]);
        for (int64_t x = 0; x < size[2]; x++)
            mask[x] = p->chosen[number[x]] && (!p->within || p->within[first + x]);
    }
    return volt_boundary(surface, w->mask, size, w->threads);
}

/* HD95 between a lesion and the parts matched to it, count >= 1. */
static volt_status measure_lesion(double *hd95_mm, work *w, const match *list, int64_t count)
{
    volt_box box = volt_components_table(w->grown)[list[0].lesion - 1].box;
    volt_surfaces s = {.pred = w->surfaces[0], .ref = w->surfaces[1]};
    volt_surface_scores scores;
    volt_status st;

    for (int64_t i = 0; i < count; i++) {
        box = volt_box_hull(box, volt_components_table(w->parts)[list[i].part - 1].box);
        w->chosen_part[list[i].part] = true;
    }
    w->chosen_lesion[list[0].lesion] = true;
    volt_box_shape(s.n, box);
    memcpy(s.spacing, w->m->spacing, sizeof s.spacing);
    s.n_pred = cut_surface(w->surfaces[0], w, box, &(pick){w->part_map, w->chosen_part, NULL});
    s.n_ref =
        cut_surface(w->surfaces[1], w, box, &(pick){w->grown_map, w->chosen_lesion, w->m->ref});
    w->chosen_lesion[list[0].lesion] = false;
    for (int64_t i = 0; i < count; i++)
        w->chosen_part[list[i].part] = false;
    st = volt_surface_compare(&scores, &s, 0, w->threads);
    if (st == VOLT_OK)
        *hd95_mm = scores.hd95_mm;
    return st;
}

/* Adds lesion `number`, matched by list[0..count), to the sums in `out`. */
static volt_status add_lesion(volt_lesion_scores *out, work *w, int32_t number,
                              const match *list, int64_t count)
{
    const lesion *l = &w->lesions[number];
    const double voxel_mm3 = w->m->spacing[0] * w->m->spacing[1] * w->m->spacing[2];
    int64_t predicted = 0;
    double hd95 = w->options->penalty_mm;
    volt_status st = VOLT_OK;

    if ((double)l->voxels * voxel_mm3 <= w->options->min_mm3)
        return VOLT_OK;
    for (int64_t i = 0; i < count; i++)
        predicted += volt_components_table(w->parts)[list[i].part - 1].voxels;
    if (w->surface && count > 0)
        st = measure_lesion(&hd95, w, list, count);
    out->tp += count > 0;
    out->fn += count == 0;
    out->dice += 2 * (double)l->shared / (double)(predicted + l->voxels);
    out->hd95_mm += hd95;
    return st;
}

static volt_status score_all(volt_lesion_scores *out, work *w)
{
    const int64_t lesions = volt_components_count(w->grown);
    const int64_t parts = volt_components_count(w->parts);
    volt_lesion_scores sum = {0};
    double all;
    volt_status st;

    for (int64_t number = 1, at = 0; number <= lesions; number++) {
        int64_t end = at;

        while (end < w->count && w->matches[end].lesion == number)
            end++;
        st = add_lesion(&sum, w, (int32_t)number, w->matches + at, end - at);
        if (st != VOLT_OK)
            return st;
        at = end;
    }
    for (int64_t part = 1; part <= parts; part++)
        sum.fp += !w->is_matched[part];
    all = (double)(sum.tp + sum.fn + sum.fp);
    out->tp = sum.tp;
    out->fp = sum.fp;
    out->fn = sum.fn;
    out->dice = all > 0 ? sum.dice / all : 1;
    out->f1 = all > 0 ? 2 * (double)sum.tp / ((double)sum.tp + all) : 1;
    out->hd95_mm = all > 0 ? (sum.hd95_mm + (double)sum.fp * w->options->penalty_mm) / all : 0;
    if (!w->surface)
        out->hd95_mm = NAN;
    return VOLT_OK;
}

static volt_status check_options(const volt_lesion_rule *o)
{
    if (o->dilation < 0 || o->dilation > MOST_DILATION)
        return volt_fail(VOLT_EINVAL, "lesions: a dilation of %d voxels is not in 0..%d",
                         o->dilation, MOST_DILATION);
    if (!(o->min_mm3 >= 0) || !isfinite(o->penalty_mm))
        return volt_fail(VOLT_EINVAL, "lesions: smallest volume %g mm^3, penalty %g mm",
                         o->min_mm3, o->penalty_mm);
    return VOLT_OK;
}

/* The tables by number, and what measuring needs. */
static volt_status make_tables(work *w)
{
    const size_t lesions = (size_t)volt_components_count(w->grown) + 1;
    const size_t parts = (size_t)volt_components_count(w->parts) + 1;
    const int64_t *n = w->m->n;
    const size_t voxels = w->surface ? (size_t)(n[0] * n[1] * n[2]) : 0;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&w->lesions, lesions, sizeof *w->lesions, "lesions"));
    VOLT_TRY(st, done, volt_alloc_zero(&w->is_matched, parts, sizeof(bool), "lesions"));
    VOLT_TRY(st, done, volt_alloc_zero(&w->chosen_part, parts, sizeof(bool), "lesions"));
    VOLT_TRY(st, done, volt_alloc_zero(&w->chosen_lesion, lesions, sizeof(bool), "lesions"));
    VOLT_TRY(st, done, volt_alloc(&w->mask, voxels, "a mask"));
    VOLT_TRY(st, done, volt_alloc(&w->surfaces[0], voxels, "a surface"));
    VOLT_TRY(st, done, volt_alloc(&w->surfaces[1], voxels, "a surface"));
    st = volt_alloc(&w->numbers, (size_t)(w->threads * n[2]) * sizeof *w->numbers,
                    "rows of labels");
done:
    return st;
}

volt_status volt_lesions_score(volt_lesion_scores *out, const volt_lesion_masks *m,
                               const volt_lesion_rule *options, bool surface, int threads)
{
    work w = {.m = m, .options = options, .surface = surface};
    uint8_t *grown = NULL;
    volt_status st;

    w.threads = volt_threads_or_default(threads);
    VOLT_TRY(st, done, check_options(options));
    VOLT_TRY(st, done, dilate(&grown, m->ref, m->n, options->dilation, w.threads));
    VOLT_TRY(st, done, find_components(&w.grown, &w.grown_map, grown, &w));
    volt_free(grown);
    grown = NULL;
    VOLT_TRY(st, done, find_components(&w.parts, &w.part_map, m->pred, &w));
    VOLT_TRY(st, done, make_tables(&w));
    VOLT_TRY(st, done, match_all(&w));
    st = score_all(out, &w);
done:
    volt_free(grown);
    work_free(&w);
    return st;
}
