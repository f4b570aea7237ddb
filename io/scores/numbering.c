#include "io/scores/numbering.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "io/dataset/dataset_internal.h"
#include "io/image.h"
#include "volume/grid/labels.h"

enum { ALL = 65536, SHOWN = 12 };

struct volt_numbering {
    double *threshold; /* of the truth's grey values */
    int thresholds;
    int32_t *from, *to; /* of the truth's values */
    int mapped;
    atomic_bool *met; /* (mapped): the value was found in a truth; set by any thread */
    int32_t *label;   /* that may occur; NULL: any */
    int32_t labels;
    char *source;        /* of `label` */
    atomic_bool foreign; /* a value that none of them is was found; set by any thread */
};

void volt_numbering_free(struct volt_numbering *n)
{
    if (!n)
        return;
    volt_free(n->threshold);
    volt_free(n->from);
    volt_free(n->to);
    volt_free(n->met);
    volt_free(n->label);
    volt_free(n->source);
    volt_free(n);
}

static volt_status need(volt_mask_pairs *pairs)
{
    return pairs->numbering ? VOLT_OK
                            : volt_alloc_zero(&pairs->numbering, 1, sizeof *pairs->numbering,
                                              "the numbering of labels");
}

static volt_status copy_values(int32_t **out, const int32_t *values, int count)
{
    const size_t bytes = (size_t)count * sizeof *values;
    int32_t *copy;
    const volt_status st = volt_alloc(&copy, bytes, "label values");

    if (st != VOLT_OK)
        return st;
    memcpy(copy, values, bytes);
    volt_free(*out);
    *out = copy;
    return VOLT_OK;
}

volt_status volt_mask_pairs_threshold(volt_mask_pairs *pairs, const double *threshold,
                                      int count)
{
    const size_t bytes = (size_t)(count > 0 ? count : 0) * sizeof *threshold;
    double *copy = NULL;
    volt_status st;

    for (int i = 0; i < count; i++) {
        if (!isfinite(threshold[i]) || (i && threshold[i] <= threshold[i - 1]))
            return volt_fail(VOLT_EINVAL, "label thresholds must ascend; number %d is %g",
                             i + 1, threshold[i]);
    }
    if (count < 1)
        return volt_fail(VOLT_EINVAL, "%d label thresholds; at least 1 is expected", count);
    VOLT_TRY(st, done, need(pairs));
    VOLT_TRY(st, done, volt_alloc(&copy, bytes, "thresholds"));
    memcpy(copy, threshold, bytes);
    volt_free(pairs->numbering->threshold);
    pairs->numbering->threshold = copy;
    pairs->numbering->thresholds = count;
done:
    return st;
}

volt_status volt_mask_pairs_map(volt_mask_pairs *pairs, const int32_t *from, const int32_t *to,
                                int count)
{
    atomic_bool *met = NULL;
    volt_status st;

    for (int i = 0; i < count; i++) {
        if (from[i] < INT16_MIN || from[i] > INT16_MAX || to[i] < 0 || to[i] > INT16_MAX)
            return volt_fail(VOLT_EINVAL,
                             "label %d cannot become %d; labels are integers up to %d", from[i],
                             to[i], INT16_MAX);
        for (int k = 0; k < i; k++) {
            if (from[k] == from[i])
                return volt_fail(VOLT_EINVAL, "label %d is to become %d and %d", from[i], to[k],
                                 to[i]);
        }
    }
    VOLT_TRY(st, done, need(pairs));
    VOLT_TRY(st, done, copy_values(&pairs->numbering->from, from, count));
    VOLT_TRY(st, done, copy_values(&pairs->numbering->to, to, count));
    VOLT_TRY(st, done, volt_alloc_zero(&met, (size_t)count, sizeof *met, "label values"));
    volt_free(pairs->numbering->met);
    pairs->numbering->met = met;
    pairs->numbering->mapped = count;
done:
    return st;
}

volt_status volt_mask_pairs_expect(volt_mask_pairs *pairs, const int32_t *labels, int count,
                                   const char *source)
{
    char *copy = NULL;
    volt_status st;

    VOLT_TRY(st, done, need(pairs));
    VOLT_TRY(st, done, volt_strdup(&copy, source));
    VOLT_TRY(st, done, copy_values(&pairs->numbering->label, labels, count));
    pairs->numbering->labels = volt_labels_unique(pairs->numbering->label, count);
    volt_free(pairs->numbering->source);
    pairs->numbering->source = copy;
    copy = NULL;
done:
    volt_free(copy);
    return st;
}

bool volt_mask_pairs_foreign(const volt_mask_pairs *pairs)
{
    return pairs->numbering && atomic_load(&pairs->numbering->foreign);
}

/* ---- reading ---- */

volt_status volt_pair_read_mask(volt_volume **out, const char *path, int threads)
{
    return volt_labels_load(out, path, NULL, threads);
}

static void map_values(volt_volume *v, const struct volt_numbering *n)
{
    const int64_t voxels = volt_grid_voxels(&v->grid) * v->grid.channels;
    int16_t *value = v->data;

    for (int64_t i = 0; i < voxels; i++) {
        for (int k = 0; k < n->mapped; k++) {
            if (value[i] == n->from[k]) {
                value[i] = (int16_t)n->to[k];
                if (!atomic_load_explicit(&n->met[k], memory_order_relaxed))
                    atomic_store_explicit(&n->met[k], true, memory_order_relaxed);
                break;
            }
        }
    }
}

volt_status volt_pair_read_truth(volt_volume **out, const volt_mask_pairs *pairs,
                                 const char *path, int threads)
{
    const struct volt_numbering *n = pairs->numbering;
    volt_dataset_info grey = {.ignore_label = VOLT_NO_IGNORE_LABEL};
    volt_status st;

    if (n && n->thresholds) {
        if (pairs->dataset)
            grey = pairs->dataset->info;
        grey.threshold = n->threshold; /* borrowed */
        grey.thresholds = n->thresholds;
        st = volt_labels_load(out, path, &grey, threads);
    } else if (pairs->dataset) {
        st = volt_labels_load(out, path, &pairs->dataset->info, threads);
    } else {
        st = volt_pair_read_mask(out, path, threads);
    }
    if (st == VOLT_OK && n && n->mapped)
        map_values(*out, n);
    return st;
}

volt_status volt_pair_refuse_negative(const volt_volume *v, const char *path)
{
    const int64_t voxels = volt_grid_voxels(&v->grid) * v->grid.channels;
    const int16_t *value = v->data;
    int lowest = 0;

    for (int64_t i = 0; i < voxels; i++)
        lowest = value[i] < lowest ? value[i] : lowest;
    if (lowest < 0)
        return volt_fail(VOLT_EDATA, "%s has the value %d; labels are not negative", path,
                         lowest);
    return VOLT_OK;
}

/* ---- values ---- */

/* "1, 2, 4 and 12 more" */
static void list_values(char *text, size_t room, const int32_t *value, int count)
{
    size_t at = 0;

    for (int i = 0; i < count && i < SHOWN; i++)
        at += (size_t)snprintf(text + at, room - at, "%s%d", i ? ", " : "", value[i]);
    if (count > SHOWN)
        snprintf(text + at, room - at, " and %d more", count - SHOWN);
}

volt_status volt_pair_check_values(const volt_mask_pairs *pairs, const volt_volume *v,
                                   const char *path)
{
    struct volt_numbering *n = pairs->numbering;
    const int64_t voxels = volt_grid_voxels(&v->grid) * v->grid.channels;
    const int16_t *value = v->data;
    char found[160], known[160];
    int32_t *foreign = NULL;
    bool *seen = NULL;
    int count = 0;
    volt_status st;

    if (!n || !n->label)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_alloc_zero(&seen, ALL, sizeof *seen, "label values"));
    VOLT_TRY(st, done, volt_alloc(&foreign, ALL * sizeof *foreign, "label values"));
    for (int64_t i = 0; i < voxels; i++)
        seen[value[i] - INT16_MIN] = true;
    for (int32_t k = 0; k < n->labels; k++) {
        if (n->label[k] >= INT16_MIN && n->label[k] <= INT16_MAX)
            seen[n->label[k] - INT16_MIN] = false;
    }
    for (int32_t k = 0; k < ALL; k++) {
        if (seen[k])
            foreign[count++] = k + INT16_MIN;
    }
    if (count) {
        list_values(found, sizeof found, foreign, count);
        list_values(known, sizeof known, n->label, n->labels);
        atomic_store(&n->foreign, true);
        st = volt_fail(VOLT_EDATA, "%s has the value%s %s; the labels of %s are %s", path,
                       volt_s(count), found, n->source, known);
    }
done:
    volt_free(foreign);
    volt_free(seen);
    return st;
}

/* The values whose `sides` are `side`. */
static int of_side(int32_t *out, const unsigned char *sides, unsigned side)
{
    int count = 0;

    for (int32_t value = 1; value < VOLT_LABEL_VALUES; value++) {
        if (sides[value] & side)
            out[count++] = value;
    }
    return count;
}

/* Whether the caller's map accounts for `value`, which only truths have: a map of values that
 * no truth has was meant for others. */
static bool is_accounted_for(const struct volt_numbering *n, int32_t value)
{
    bool target = false;

    for (int k = 0; n && k < n->mapped; k++) {
        if (!atomic_load(&n->met[k]))
            return false;
        target = target || n->to[k] == value;
    }
    return target;
}

volt_status volt_pair_compare_values(const volt_mask_pairs *pairs, const unsigned char *sides)
{
    bool only[3] = {false, false, false};
    char text[2][160];
    int32_t *values = NULL;
    int count[2];
    volt_status st;

    for (int32_t value = 1; value < VOLT_LABEL_VALUES; value++) {
        if (sides[value] == 1 ||
            (sides[value] == 2 && !is_accounted_for(pairs->numbering, value)))
            only[sides[value]] = true;
    }
    if (!only[1] || !only[2])
        return VOLT_OK;
    VOLT_TRY(st, done, volt_alloc(&values, VOLT_LABEL_VALUES * sizeof *values, "label values"));
    for (int side = 0; side < 2; side++) {
        count[side] = of_side(values, sides, 1U << side);
        list_values(text[side], sizeof text[side], values, count[side]);
    }
    if ((st = need((volt_mask_pairs *)pairs)) == VOLT_OK) {
        atomic_store(&pairs->numbering->foreign, true);
        st = volt_fail(VOLT_EDATA,
                       "the masks have the value%s %s, the %struth has %s: they seem to number "
                       "the labels differently",
                       volt_s(count[0]), text[0], pairs->numbering->mapped ? "translated " : "",
                       text[1]);
    }
done:
    volt_free(values);
    return st;
}

/* Whether a truth has other values than labels, and one that reaches the first threshold. */
static volt_status is_grey(bool *out, const volt_mask_pairs *pairs,
                           const volt_dataset_info *info, int threads,
                           const volt_callbacks *callbacks)
{
    const volt_image_read_options read = volt_image_read_as(VOLT_F32, threads);
    const float labels = (float)info->thresholds + 1, first = (float)info->threshold[0];
    bool other = false, reached = false;
    volt_volume *v = NULL;
    volt_status st = VOLT_OK;

    for (int64_t p = 0; p < pairs->count && !(other && reached); p++) {
        const float *value;
        int64_t voxels;

        VOLT_TRY(st, done, volt_check_cancelled(callbacks));
        VOLT_TRY(st, done, volt_image_read(&v, NULL, pairs->item[p].truth, &read));
        voxels = volt_grid_voxels(&v->grid) * v->grid.channels;
        value = v->data;
        for (int64_t i = 0; i < voxels; i++) {
            other =
                other || !(value[i] >= 0 && value[i] < labels && value[i] == floorf(value[i]));
            reached = reached || value[i] >= first;
        }
        volt_volume_free(v);
        v = NULL;
    }
    *out = other && reached;
done:
    volt_volume_free(v);
    return st;
}

volt_status volt_mask_pairs_follow(volt_mask_pairs *pairs, const volt_dataset_info *info,
                                   int threads, const volt_callbacks *callbacks)
{
    bool grey = false;
    volt_status st;

    if (info->thresholds == 0 || (pairs->numbering && pairs->numbering->thresholds) ||
        (pairs->dataset && pairs->dataset->info.thresholds))
        return VOLT_OK;
    st = is_grey(&grey, pairs, info, threads, callbacks);
    if (st == VOLT_OK && grey) {
        volt_report(callbacks, VOLT_LOG_INFO,
                    "the truth has grey values: label 1 from %g on, as in the data set of the "
                    "masks",
                    info->threshold[0]);
        st = volt_mask_pairs_threshold(pairs, info->threshold, info->thresholds);
    }
    return st;
}
