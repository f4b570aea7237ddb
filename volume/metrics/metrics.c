#include "volume/metrics.h"

#include <math.h>
#include <omp.h>
#include <string.h>
#include "base/core/options.h"
#include "base/core/alloc.h"
#include "base/threads.h"
#include "volume/box.h"
#include "volume/distance.h"
#include "volume/grid/labels.h"
#include "volume/metrics/lesions.h"
#include "volume/metrics/surface.h"

/* The regions of each label value: those of value[i] are region[first[i]] .. region[first[i +
 * 1] - 1], ascending. */
typedef struct membership {
    int32_t *value; /* ascending */
    int32_t *first, *region;
    int32_t values;
} membership;

/* Counts of a region, from one pass over both maps. */
typedef struct tally {
    int64_t n_pred, n_ref, tp;
    volt_box box; /* of both masks */
} tally;

typedef struct pair {
    const volt_volume *pred, *ref;
    const volt_metrics_options *opts;
    double spacing[3];
    int threads;
} pair;

static const volt_metrics_options defaults = {
    .size = sizeof defaults,
    .policy = VOLT_EMPTY_NNUNET,
    .surface = true,
    .lesion = {.dilation = 3, .min_mm3 = 50, .penalty_mm = 374},
    .nsd_tolerance_mm = 1};

void volt_metrics_options_init(volt_metrics_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_status volt_empty_policy_parse(volt_empty_policy *out, const char *name)
{
    static const char *const names[] = {"nnunet", "monai", "brats"};

    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (volt_empty_policy)i;
            return VOLT_OK;
        }
    }
    return volt_fail(VOLT_EINVAL, "empty-mask policy '%s' is not nnunet, monai or brats", name);
}

static bool region_has(const volt_region *r, int32_t value)
{
    for (int32_t i = 0; i < r->count; i++) {
        if (r->labels[i] == value)
            return true;
    }
    return false;
}

static void membership_free(membership *m)
{
    volt_free(m->value);
    volt_free(m->first);
    volt_free(m->region);
}

static volt_status membership_make(membership *m, const volt_region *regions, int32_t count)
{
    size_t labels = 0;
    int32_t used = 0;
    volt_status st;

    *m = (membership){0};
    for (int32_t r = 0; r < count; r++)
        labels += (size_t)regions[r].count;
    VOLT_TRY(st, failed, volt_alloc(&m->value, labels * sizeof *m->value, "label values"));
    VOLT_TRY(st, failed,
             volt_alloc(&m->first, (labels + 1) * sizeof *m->first, "label values"));
    VOLT_TRY(st, failed, volt_alloc(&m->region, labels * sizeof *m->region, "label values"));
    for (int32_t r = 0; r < count; r++) {
        memcpy(m->value + used, regions[r].labels, (size_t)regions[r].count * sizeof *m->value);
        used += regions[r].count;
    }
    m->values = volt_labels_unique(m->value, used);
    used = 0;
    for (int32_t i = 0; i < m->values; i++) {
        m->first[i] = used;
        for (int32_t r = 0; r < count; r++) {
            if (region_has(&regions[r], m->value[i]))
                m->region[used++] = r;
        }
    }
    m->first[m->values] = used;
    return VOLT_OK;
failed:
    membership_free(m);
    return st;
}

/* The regions of a label value; *end is past the last. */
static const int32_t *regions_of(const membership *m, int32_t value, const int32_t **end)
{
    const int32_t at = volt_labels_index(m->value, m->values, value);

    *end = at >= 0 ? m->region + m->first[at + 1] : NULL;
    return at >= 0 ? m->region + m->first[at] : NULL;
}

/* Adds voxels begin <= x < end of row (z, y), all with the labels p and r. */
static void tally_run(tally *t, const membership *m, int32_t p, int32_t r, volt_box run)
{
    const int64_t voxels = run.high[2] - run.low[2];
    const int32_t *pend, *rend, *pi = regions_of(m, p, &pend), *ri = regions_of(m, r, &rend);

    for (const int32_t *i = pi; i != pend; i++) {
        t[*i].n_pred += voxels;
        t[*i].box = volt_box_hull(t[*i].box, run);
    }
    for (const int32_t *i = ri; i != rend; i++) {
        t[*i].n_ref += voxels;
        t[*i].box = volt_box_hull(t[*i].box, run);
    }
    while (pi != pend && ri != rend) {
        if (*pi == *ri) {
            t[*pi].tp += voxels;
            pi++;
            ri++;
        } else if (*pi < *ri) {
            pi++;
        } else {
            ri++;
        }
    }
}

/* Returns the ignored voxels of the row. */
static int64_t tally_row(tally *t, const membership *m, const pair *d, int64_t row,
                         int32_t *scratch)
{
    const int64_t nx = d->ref->grid.n[2], z = row / d->ref->grid.n[1],
                  y = row % d->ref->grid.n[1];
    int32_t *p = scratch, *r = scratch + nx;
    int64_t ignored = 0;

    volt_label_row(p, d->pred, row * nx, nx);
    volt_label_row(r, d->ref, row * nx, nx);
    for (int64_t x = 0, end; x < nx; x = end) {
        for (end = x + 1; end < nx && p[end] == p[x] && r[end] == r[x]; end++)
            ;
        if (d->opts->has_ignore_label && r[x] == d->opts->ignore_label)
            ignored += end - x;
        else
            tally_run(t, m, p[x], r[x], (volt_box){{z, y, x}, {z + 1, y + 1, end}});
    }
    return ignored;
}

static const volt_box no_box = {{INT64_MAX, INT64_MAX, INT64_MAX},
                                {INT64_MIN, INT64_MIN, INT64_MIN}};

/* Counts all regions in one pass; tallies has `count` entries. */
static volt_status tally_all(tally *tallies, int64_t *ignored, const pair *d,
                             const volt_region *regions, int32_t count)
{
    const int64_t rows = d->ref->grid.n[0] * d->ref->grid.n[1], nx = d->ref->grid.n[2];
    const size_t per_thread = (size_t)count;
    membership m = {0};
    tally *part = NULL;
    int32_t *scratch = NULL;
    int64_t left_out = 0;
    volt_status st;

    VOLT_TRY(st, done, membership_make(&m, regions, count));
    VOLT_TRY(st, done,
             volt_alloc_zero(&part, per_thread * (size_t)d->threads, sizeof *part, "counts"));
    VOLT_TRY(st, done,
             volt_alloc(&scratch, (size_t)(2 * nx) * sizeof *scratch * (size_t)d->threads,
                        "rows of labels"));
    for (size_t i = 0; i < per_thread * (size_t)d->threads; i++)
        part[i].box = no_box;
#pragma omp parallel for num_threads(d->threads) schedule(static) reduction(+ : left_out)
    for (int64_t row = 0; row < rows; row++) {
        const int thread = omp_get_thread_num();

        left_out += tally_row(part + per_thread * (size_t)thread, &m, d, row,
                              scratch + 2 * nx * thread);
    }
    for (int32_t r = 0; r < count; r++) {
        tallies[r] = (tally){.box = no_box};
        for (int thread = 0; thread < d->threads; thread++) {
            const tally *t = &part[per_thread * (size_t)thread + (size_t)r];

            tallies[r].n_pred += t->n_pred;
            tallies[r].n_ref += t->n_ref;
            tallies[r].tp += t->tp;
            tallies[r].box = volt_box_hull(tallies[r].box, t->box);
        }
    }
    *ignored = left_out;
done:
    volt_free(scratch);
    volt_free(part);
    membership_free(&m);
    return st;
}

/* The region's voxels inside `box` as a mask; ignored voxels are outside. */
static volt_status cut_mask(uint8_t *mask, const volt_volume *v, const pair *d,
                            const volt_region *region, volt_box box)
{
    const int64_t *grid = d->ref->grid.n;
    int64_t n[3], rows;
    int32_t *scratch = NULL;
    volt_status st;

    volt_box_shape(n, box);
    rows = n[0] * n[1];
    st = volt_alloc(&scratch, (size_t)(2 * n[2]) * sizeof *scratch * (size_t)d->threads,
                    "rows of labels");
    if (st != VOLT_OK)
        return st;
#pragma omp parallel for num_threads(d->threads) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const int64_t z = box.low[0] + row / n[1], y = box.low[1] + row % n[1];
        const int64_t first = (z * grid[1] + y) * grid[2] + box.low[2];
        int32_t *a = scratch + 2 * n[2] * omp_get_thread_num(), *b = a + n[2];
        uint8_t *out = mask + row * n[2];

        volt_label_row(a, v, first, n[2]);
        memset(out, 0, (size_t)n[2]);
        for (int32_t i = 0; i < region->count; i++) {
            for (int64_t x = 0; x < n[2]; x++)
                out[x] |= a[x] == region->labels[i];
        }
        if (d->opts->has_ignore_label) {
            volt_label_row(b, d->ref, first, n[2]);
            for (int64_t x = 0; x < n[2]; x++)
                out[x] &= b[x] != d->opts->ignore_label;
        }
    }
    volt_free(scratch);
    return VOLT_OK;
}

/* Both masks have voxels, all of them inside `box`. */
static volt_status measure_surfaces(volt_metrics *out, const pair *d, const volt_region *region,
                                    volt_box box)
{
    const size_t voxels = (size_t)volt_box_voxels(box);
    uint8_t *mask = NULL, *pred = NULL, *ref = NULL;
    volt_surfaces s = {.spacing = {d->spacing[0], d->spacing[1], d->spacing[2]}};
    volt_surface_scores scores;
    volt_status st;

    volt_box_shape(s.n, box);
    VOLT_TRY(st, done, volt_alloc(&mask, voxels, "a mask"));
    VOLT_TRY(st, done, volt_alloc(&pred, voxels, "a surface"));
    VOLT_TRY(st, done, volt_alloc(&ref, voxels, "a surface"));
    VOLT_TRY(st, done, cut_mask(mask, d->pred, d, region, box));
    s.n_pred = volt_boundary(pred, mask, s.n, d->threads);
    VOLT_TRY(st, done, cut_mask(mask, d->ref, d, region, box));
    s.n_ref = volt_boundary(ref, mask, s.n, d->threads);
    s.pred = pred;
    s.ref = ref;
    VOLT_TRY(st, done,
             volt_surface_compare(&scores, &s, d->opts->nsd_tolerance_mm, d->threads));
    out->hd_mm = scores.hd_mm;
    out->hd95_mm = scores.hd95_mm;
    out->assd_mm = scores.assd_mm;
    out->nsd = scores.nsd;
done:
    volt_free(ref);
    volt_free(pred);
    volt_free(mask);
    return st;
}

/* Lesions merge and match by their dilations, so the box grows by as much. */
static volt_status measure_lesions(volt_metrics *out, const pair *d, const volt_region *region,
                                   volt_box box)
{
    const int64_t margin = d->opts->lesion.dilation;
    volt_lesion_masks m = {.spacing = {d->spacing[0], d->spacing[1], d->spacing[2]}};
    uint8_t *pred = NULL, *ref = NULL;
    size_t voxels;
    volt_status st;

    if (volt_box_is_empty(box))
        box = volt_box_of_shape((const int64_t[3]){1, 1, 1});
    box = volt_box_intersect(volt_box_grow(box, (const int64_t[3]){margin, margin, margin}),
                             volt_box_of_shape(d->ref->grid.n));
    volt_box_shape(m.n, box);
    voxels = (size_t)volt_box_voxels(box);
    VOLT_TRY(st, done, volt_alloc(&pred, voxels, "a mask"));
    VOLT_TRY(st, done, volt_alloc(&ref, voxels, "a mask"));
    VOLT_TRY(st, done, cut_mask(pred, d->pred, d, region, box));
    VOLT_TRY(st, done, cut_mask(ref, d->ref, d, region, box));
    m.pred = pred;
    m.ref = ref;
    st = volt_lesions_score(&out->lesion, &m, &d->opts->lesion, d->opts->surface, d->threads);
done:
    volt_free(ref);
    volt_free(pred);
    return st;
}

/* The surface metrics of an empty mask. */
static void score_missing_surface(volt_metrics *out, const pair *d)
{
    const bool both = out->n_pred == 0 && out->n_ref == 0;
    const int64_t *n = d->ref->grid.n;
    double diagonal = 0;

    switch (d->opts->policy) {
    case VOLT_EMPTY_BRATS:
        for (int i = 0; i < 3; i++)
            diagonal += (double)n[i] * d->spacing[i] * (double)n[i] * d->spacing[i];
        out->nsd = both;
        out->hd_mm = out->hd95_mm = out->assd_mm = both ? 0 : sqrt(diagonal);
        break;
    case VOLT_EMPTY_MONAI:
        out->nsd = both ? NAN : 0;
        out->hd_mm = out->hd95_mm = out->assd_mm = both ? NAN : INFINITY;
        break;
    case VOLT_EMPTY_NNUNET:
        out->nsd = both ? NAN : 0;
        break;
    }
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

static void score_overlap(volt_metrics *out, const tally *t, int64_t voxels, const pair *d)
{
    const double voxel_mm3 = d->spacing[0] * d->spacing[1] * d->spacing[2];
    const volt_empty_policy policy = d->opts->policy;

    *out = (volt_metrics){.tp = t->tp,
                          .fp = t->n_pred - t->tp,
                          .fn = t->n_ref - t->tp,
                          .n_pred = t->n_pred,
                          .n_ref = t->n_ref,
                          .hd_mm = NAN,
                          .hd95_mm = NAN,
                          .assd_mm = NAN,
                          .nsd = NAN,
                          .lesion = {.dice = NAN, .f1 = NAN, .hd95_mm = NAN}};
    out->tn = voxels - out->tp - out->fp - out->fn;
    out->dice = ratio(2 * (double)t->tp, (double)(t->n_pred + t->n_ref));
    out->iou = ratio((double)t->tp, (double)(out->tp + out->fp + out->fn));
    if (t->n_ref == 0 && policy == VOLT_EMPTY_MONAI)
        out->dice = out->iou = NAN;
    if (t->n_ref == 0 && t->n_pred == 0 && policy == VOLT_EMPTY_BRATS)
        out->dice = out->iou = 1;
    out->volume_pred_mm3 = (double)t->n_pred * voxel_mm3;
    out->volume_ref_mm3 = (double)t->n_ref * voxel_mm3;
    out->volume_difference_mm3 = fabs(out->volume_pred_mm3 - out->volume_ref_mm3);
    out->volume_difference_relative =
        ratio(fabs((double)(t->n_pred - t->n_ref)), (double)t->n_ref);
    out->volume_similarity =
        ratio(2 * (double)(t->n_pred - t->n_ref), (double)(t->n_pred + t->n_ref));
    out->precision = ratio((double)t->tp, (double)t->n_pred);
    out->sensitivity = ratio((double)t->tp, (double)t->n_ref);
    out->specificity = ratio((double)out->tn, (double)(out->tn + out->fp));
}

static volt_status check_regions(const volt_region *regions, int32_t count,
                                 const volt_metrics_options *o)
{
    if (count < 1)
        return volt_fail(VOLT_EINVAL, "no class to evaluate");
    for (int32_t i = 0; i < count; i++) {
        if (regions[i].count < 1)
            return volt_fail(VOLT_EINVAL, "class '%s' has no labels", regions[i].name);
    }
    if (!(o->nsd_tolerance_mm >= 0))
        return volt_fail(VOLT_EINVAL, "surface tolerance %g mm is negative",
                         o->nsd_tolerance_mm);
    return VOLT_OK;
}

volt_status volt_metrics_evaluate(volt_metrics *out, const volt_volume *pred,
                                  const volt_volume *ref, const volt_region *regions,
                                  int32_t count, const volt_metrics_options *options)
{
    volt_metrics_options o = defaults;
    pair d = {.pred = pred, .ref = ref, .opts = &o};
    tally *tallies = NULL;
    volt_metrics *scores = NULL;
    int64_t ignored = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_metrics_options"));
    d.threads = volt_threads_or_default(o.threads);
    VOLT_TRY(st, done, volt_labels_check_pair(pred, ref));
    VOLT_TRY(st, done, check_regions(regions, count, &o));
    volt_grid_spacing(d.spacing, &ref->grid);
    VOLT_TRY(st, done, volt_alloc(&tallies, (size_t)count * sizeof *tallies, "counts"));
    VOLT_TRY(st, done, volt_alloc(&scores, (size_t)count * sizeof *scores, "scores"));
    VOLT_TRY(st, done, tally_all(tallies, &ignored, &d, regions, count));
    for (int32_t i = 0; i < count; i++) {
        score_overlap(&scores[i], &tallies[i], volt_grid_voxels(&ref->grid) - ignored, &d);
        if (o.surface && scores[i].n_pred > 0 && scores[i].n_ref > 0)
            VOLT_TRY(st, done, measure_surfaces(&scores[i], &d, &regions[i], tallies[i].box));
        else if (o.surface)
            score_missing_surface(&scores[i], &d);
        if (o.lesions)
            VOLT_TRY(st, done, measure_lesions(&scores[i], &d, &regions[i], tallies[i].box));
    }
    memcpy(out, scores, (size_t)count * sizeof *scores);
done:
    volt_free(scores);
    volt_free(tallies);
    return st;
}
