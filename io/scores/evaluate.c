#include "io/scores/mask_pairs.h"

#include <string.h>
#include "base/core/options.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/dataset.h"
#include "io/dataset/dataset_internal.h"
#include "io/dataset/layout.h"
#include "io/image.h"
#include "io/image/names.h"
#include "io/scores/numbering.h"
#include "io/scores/stacks.h"
#include "volume/grid/labels.h"

void volt_mask_pairs_clear(volt_mask_pairs *pairs)
{
    for (int64_t i = 0; i < pairs->count; i++) {
        volt_free(pairs->item[i].pred);
        volt_free(pairs->item[i].truth);
    }
    volt_free(pairs->item);
    volt_free(pairs->first_missing);
    volt_dataset_close(pairs->opened);
    volt_numbering_free(pairs->numbering);
    *pairs = (volt_mask_pairs){0};
}

/* The truth of a mask: in a folder, or in a data set. */
typedef struct truths {
    const char *folder;
    volt_names names;       /* of the folder */
    const volt_dataset *ds; /* NULL: a plain folder */
    bool grouped;           /* CASE_000.png, CASE_001.png, ... are one mask */
} truths;

/* Scans and labels of BraTS or LiTS side by side in one folder are a data set, too: there a
 * mask has the name of its scan, not of its truth. */
static volt_status open_mixed(truths *t, volt_dataset **opened, const volt_dataset_options *o)
{
    volt_dataset *ds = NULL;
    bool known, labels = false;
    volt_status st;

    VOLT_TRY(st, done, volt_layouts_know(&known, t->folder, false));
    if (!known)
        goto done;
    VOLT_TRY(st, done, volt_dataset_open(&ds, t->folder, o));
    for (int64_t i = 0; i < ds->cases.count; i++)
        labels = labels || ds->cases.item[i].label_file;
    if (labels) {
        t->ds = *opened = ds;
        ds = NULL;
    }
done:
    volt_dataset_close(ds);
    return st == VOLT_ENOMEM ? st : VOLT_OK; /* else a plain folder */
}

/* A folder without masks of its own must be a data set, which the caller then owns. */
static volt_status truths_open(truths *t, volt_dataset **opened, const char *folder,
                               const volt_dataset_options *o)
{
    const bool told = o->layout || o->images;
    volt_status st;

    *t = (truths){.folder = folder};
    if ((st = volt_masks_list(&t->names, folder, false)) != VOLT_OK)
        return st;
    if (!told && o->thresholds == 0 && t->names.count)
        return open_mixed(t, opened, o);
    if ((st = volt_dataset_open(opened, o->images ? NULL : folder, o)) == VOLT_OK)
        t->ds = *opened;
    if (st == VOLT_EDATA && !told && t->names.count)
        st = VOLT_OK; /* a plain folder of grey values */
    return st;
}

/* The mask of a plain folder that is case `id` under another name; *out is NULL: none. */
static volt_status find_case(char **out, const truths *t, const char *id)
{
    bool same = false;
    volt_status st = VOLT_OK;

    *out = NULL;
    for (size_t i = 0; i < t->names.count && !same && st == VOLT_OK; i++) {
        char *other = NULL;
        st = volt_mask_case(&other, t->names.name[i]);
        same = st == VOLT_OK && strcmp(other, id) == 0;
        volt_free(other);
        if (same)
            st = volt_path_join(out, t->folder, t->names.name[i]);
    }
    return st;
}

/* The path of the truth of the mask `pred` with the file name `name`. */
static volt_status find_truth(char **out, const truths *t, const char *pred, const char *name)
{
    char *path = NULL, *id = NULL;
    int64_t index;
    volt_status st;

    VOLT_TRY(st, done, volt_mask_case(&id, name));
    if (!t->ds) { /* the same name, else the same case in another format */
        VOLT_TRY(st, done, volt_path_join(&path, t->folder, name));
        if (volt_path_exists(path) && !t->grouped) {
            *out = path;
            path = NULL;
            goto done;
        }
        VOLT_TRY(st, done, volt_image_find(out, t->folder, id));
        if (!*out)
            VOLT_TRY(st, done, find_case(out, t, id));
        if (!*out)
            st = volt_fail(VOLT_EDATA, "%s has no truth: %s does not exist", pred, path);
        goto done;
    }
    index = volt_dataset_find(t->ds, id);
    for (int64_t i = 0; index < 0 && i < t->ds->cases.count; i++) { /* named as the truth is */
        const char *file = t->ds->cases.item[i].label_file;
        if (file && strcmp(volt_path_name(file), name) == 0)
            index = i;
    }
    if (index < 0 || !t->ds->cases.item[index].label_file)
        st = volt_fail(VOLT_EDATA, "%s has no truth: %s %s", pred, t->folder,
                       index < 0 ? "has no case of that name" : "has no labels for it");
    else
        st = volt_strdup(out, t->ds->cases.item[index].label_file);
done:
    volt_free(id);
    volt_free(path);
    return st;
}

/* Whether the sorted list of predictions has the case of the truth. */
static bool has_prediction(const volt_mask_pairs *p, const char *truth)
{
    for (int64_t i = 0; i < p->count; i++) {
        if (strcmp(p->item[i].truth, truth) == 0)
            return true;
    }
    return false;
}

static volt_status note_missing(volt_mask_pairs *p, const char *truth)
{
    if (has_prediction(p, truth))
        return VOLT_OK;
    return p->missing++ == 0 ? volt_strdup(&p->first_missing, truth) : VOLT_OK;
}

/* Counts the reference masks without a prediction. */
static volt_status count_missing(volt_mask_pairs *p, const truths *t)
{
    char *path = NULL;
    volt_status st = VOLT_OK;

    for (int64_t i = 0; t->ds && i < t->ds->cases.count; i++) {
        const char *file = t->ds->cases.item[i].label_file;

        if (file && (st = note_missing(p, file)) != VOLT_OK)
            return st;
    }
    for (size_t i = 0; !t->ds && i < t->names.count && st == VOLT_OK; i++) {
        st = volt_path_join(&path, t->folder, t->names.name[i]);
        if (st == VOLT_OK)
            st = note_missing(p, path);
        volt_free(path);
        path = NULL;
    }
    return st;
}

static volt_status pair_with(volt_mask_pairs *p, const char *pred, const truths *t)
{
    volt_names names = {0};
    volt_status st;

    p->dataset = t->ds;
    VOLT_TRY(st, done, volt_masks_list(&names, pred, t->grouped));
    VOLT_TRY(st, done, volt_alloc_zero(&p->item, names.count + 1, sizeof *p->item, "paths"));
    for (size_t i = 0; i < names.count; i++) {
        volt_mask_pair *pair = &p->item[p->count];

        p->count++; /* before the paths: clearing frees what is there */
        VOLT_TRY(st, done, volt_path_join(&pair->pred, pred, names.name[i]));
        VOLT_TRY(st, done, find_truth(&pair->truth, t, pair->pred, names.name[i]));
    }
    if (p->count == 0)
        st = volt_fail(VOLT_EDATA, "%s holds no masks", pred);
    else
        st = count_missing(p, t);
done:
    volt_names_free(&names);
    return st;
}

static volt_status pair_folders(volt_mask_pairs *p, const char *pred, const char *truth,
                                const volt_dataset_options *options)
{
    truths t = {0};
    volt_status st;

    VOLT_TRY(st, done, truths_open(&t, &p->opened, truth, options));
    st = pair_with(p, pred, &t);
done:
    volt_names_free(&t.names);
    return st;
}

static volt_status pair_files(volt_mask_pairs *p, const char *pred, const char *truth)
{
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&p->item, 1, sizeof *p->item, "paths"));
    p->count = 1;
    VOLT_TRY(st, done, volt_strdup(&p->item[0].pred, pred));
    st = volt_strdup(&p->item[0].truth, truth);
done:
    return st;
}

volt_status volt_mask_pairs_find(volt_mask_pairs *out, const char *pred, const char *truth,
                                 const volt_dataset_options *options)
{
    bool folder = volt_path_is_dir(pred);
    volt_dataset_options o;
    volt_mask_pairs p = {0};
    volt_status st;

    if ((st = volt_dataset_options_take(&o, options)) != VOLT_OK)
        return st;
    if (folder != volt_path_is_dir(truth) && volt_path_exists(pred) &&
        volt_path_exists(truth)) {
        if (!volt_image_is_stack(folder ? pred : truth))
            return volt_fail(VOLT_EINVAL, "%s and %s: give two folders or two files", pred,
                             truth);
        folder = false; /* the slices of one mask */
    }
    st = folder ? pair_folders(&p, pred, truth, &o) : pair_files(&p, pred, truth);
    if (st == VOLT_OK && !p.dataset && o.thresholds > 0)
        st = volt_mask_pairs_threshold(&p, o.threshold, o.thresholds);
    if (st == VOLT_OK)
        *out = p;
    else
        volt_mask_pairs_clear(&p);
    return st;
}

volt_status volt_mask_pairs_find_stacks(volt_mask_pairs *out, const char *pred,
                                        const char *truth)
{
    truths t = {.folder = truth, .grouped = true};
    volt_mask_pairs p = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_masks_list(&t.names, truth, true));
    VOLT_TRY(st, done, pair_with(&p, pred, &t));
    *out = p;
    p = (volt_mask_pairs){0};
done:
    volt_mask_pairs_clear(&p);
    volt_names_free(&t.names);
    return st;
}

volt_status volt_mask_pairs_of_dataset(volt_mask_pairs *out, const char *pred,
                                       const volt_dataset *ds)
{
    const truths t = {.folder = ds->folder, .ds = ds};
    volt_mask_pairs p = {0};
    const volt_status st = pair_with(&p, pred, &t);

    if (st == VOLT_OK)
        *out = p;
    else
        volt_mask_pairs_clear(&p);
    return st;
}

static volt_status fail_empty(const volt_mask_pairs *pairs)
{
    const volt_mask_pair *first = pairs->item;

    if (pairs->count == 0)
        return volt_fail(VOLT_EINVAL, "there are no masks to compare");
    if (pairs->count == 1)
        return volt_fail(VOLT_EDATA, "all voxels of %s and %s are background", first->pred,
                         first->truth);
    return volt_fail(VOLT_EDATA, "all voxels of %lld pairs are background, as in %s and %s",
                     (long long)pairs->count, first->pred, first->truth);
}

volt_status volt_mask_pairs_labels(int32_t **values, int32_t *count,
                                   const volt_mask_pairs *pairs, int threads,
                                   const volt_callbacks *callbacks)
{
    unsigned char *sides = NULL; /* bit 0: in a mask, bit 1: in a truth */
    int64_t *counts = NULL;
    int32_t *list = NULL, found = 0;
    volt_volume *v = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&sides, VOLT_LABEL_VALUES, 1, "labels"));
    VOLT_TRY(st, done, volt_alloc(&list, VOLT_LABEL_VALUES * sizeof *list, "labels"));
    for (int64_t i = 0; i < 2 * pairs->count; i++) {
        const volt_mask_pair *p = &pairs->item[i / 2];

        VOLT_TRY(st, done, volt_check_cancelled(callbacks));
        VOLT_TRY(st, done,
                 i % 2 ? volt_pair_read_truth(&v, pairs, p->truth, threads)
                       : volt_pair_read_mask(&v, p->pred, threads));
        VOLT_TRY(st, done,
                 volt_alloc_zero(&counts, VOLT_LABEL_VALUES, sizeof *counts, "labels"));
        VOLT_TRY(st, done, volt_pair_refuse_negative(v, i % 2 ? p->truth : p->pred));
        VOLT_TRY(st, done, volt_label_counts(counts, v));
        for (int32_t value = 1; value < VOLT_LABEL_VALUES; value++)
            sides[value] |= counts[value] ? 1 << i % 2 : 0;
        volt_free(counts);
        volt_volume_free(v);
        counts = NULL;
        v = NULL;
    }
    VOLT_TRY(st, done, volt_pair_compare_values(pairs, sides));
    for (int32_t value = 1; value < VOLT_LABEL_VALUES; value++) {
        if (sides[value])
            list[found++] = value;
    }
    if (found == 0) {
        st = fail_empty(pairs);
        goto done;
    }
    *values = list;
    *count = found;
    list = NULL;
done:
    volt_volume_free(v);
    volt_free(list);
    volt_free(counts);
    volt_free(sides);
    return st;
}

typedef struct scoring {
    volt_summary *s;
    volt_confusion *confusion; /* or NULL */
    volt_metrics *scores;      /* scratch for one case */
    const volt_mask_pairs *pairs;
    const volt_region *regions;
    const volt_metrics_options *o;
    const volt_callbacks *callbacks;
} scoring;

/* Without a warning for labels that follow their image, as in LiTS, and for pictures, which
 * have no spatial metadata: they take that of the other side, so that distances are in mm. */
static volt_status check_geometry(const scoring *w, volt_volume *pred, volt_volume *truth,
                                  const volt_mask_pair *p)
{
    const bool bare[2] = {volt_labels_lack_geometry(p->pred),
                          volt_labels_lack_geometry(p->truth)};
    const volt_dataset_info *info = w->pairs->dataset ? &w->pairs->dataset->info : NULL;
    const bool placed = !bare[0] && !bare[1] && !(info && info->labels_follow_image);
    double mm;

    for (int a = 0; a < 3; a++) {
        const int64_t p_n = pred->grid.n[a], t_n = truth->grid.n[a];
        const char axis = "zyx"[a];
        if (p_n != t_n)
            return volt_fail(VOLT_EDATA, "%s has %lld voxel%s along %c, %s has %lld", p->pred,
                             (long long)p_n, volt_s(p_n), axis, p->truth, (long long)t_n);
    }
    if (placed && w->pairs->refuse_shift && !(info && info->allow_shift) &&
        volt_grids_shifted(&mm, &truth->grid, &pred->grid))
        return volt_fail(VOLT_EDATA, "%s lies %.4g mm away from %s", p->pred, mm, p->truth);
    if (placed && !volt_grid_same(&pred->grid, &truth->grid, 1e-2))
        volt_report(w->callbacks, VOLT_LOG_WARNING,
                    "%s and %s differ in geometry; they are compared voxel by voxel", p->pred,
                    p->truth);
    if (bare[0] != bare[1])
        memcpy((bare[0] ? pred : truth)->grid.to_world, (bare[0] ? truth : pred)->grid.to_world,
               sizeof pred->grid.to_world);
    return VOLT_OK;
}

static volt_status score_pair(const scoring *w, const volt_mask_pair *p)
{
    const volt_metrics_options *o = w->o;
    volt_volume *pred = NULL, *truth = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_check_cancelled(w->callbacks));
    VOLT_TRY(st, done, volt_pair_read_mask(&pred, p->pred, o->threads));
    VOLT_TRY(st, done, volt_pair_read_truth(&truth, w->pairs, p->truth, o->threads));
    VOLT_TRY(st, done, check_geometry(w, pred, truth, p));
    VOLT_TRY(st, done, volt_pair_check_values(w->pairs, truth, p->truth));
    VOLT_TRY(st, done, volt_pair_check_values(w->pairs, pred, p->pred));
    VOLT_TRY(st, done,
             volt_metrics_evaluate(w->scores, pred, truth, w->regions, w->s->regions, o));
    if (w->confusion)
        VOLT_TRY(st, done,
                 volt_confusion_add(w->confusion, pred, truth,
                                    o->has_ignore_label ? &o->ignore_label : NULL, o->threads));
    st = volt_summary_add(w->s, p->pred, p->truth, w->scores);
done:
    volt_volume_free(truth);
    volt_volume_free(pred);
    return st;
}

volt_status volt_mask_pairs_score(volt_summary **out, volt_confusion *confusion,
                                  const volt_mask_pairs *pairs, const volt_region *regions,
                                  int32_t count, const volt_metrics_options *options,
                                  const volt_callbacks *callbacks)
{
    volt_metrics_options o = volt_metrics_defaults();
    scoring w = {NULL, confusion, NULL, pairs, regions, &o, callbacks};
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_metrics_options"));
    VOLT_TRY(st, done, volt_summary_create(&w.s, regions, count, &o));
    VOLT_TRY(st, done, volt_alloc_zero(&w.scores, (size_t)count, sizeof *w.scores, "scores"));
    for (int64_t i = 0; i < pairs->count; i++) {
        VOLT_TRY(st, done, score_pair(&w, &pairs->item[i]));
        volt_report_progress(callbacks, "cases", i + 1, pairs->count);
    }
    volt_summary_finish(w.s);
    *out = w.s;
    w.s = NULL;
done:
    volt_free(w.scores);
    volt_summary_free(w.s);
    return st;
}
