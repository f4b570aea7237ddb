#include "nets3d/postprocess.h"

#include <stdio.h>
#include <string.h>

#include "base/core/plural.h"
#include "base/system/file.h"
#include "base/system/owner.h"
#include "base/core/alloc.h"
#include "base/system/tasks.h"
#include "io/dataset.h"
#include "io/dataset/mask_folder.h"
#include "io/image/label_files.h"
#include "io/image/names.h"
#include "io/json/json.h"
#include "io/image.h"
#include "io/nnunet_summary.h"
#include "io/scores/numbering.h"
#include "nets3d/jobs/classes.h"
#include "nets3d/jobs/postprocess_score.h"
#include "volume/components.h"
#include "volume/metrics.h"

#define FUNCTION "remove_all_but_largest_component_from_segmentation"

void volt_postprocess_clear(volt_postprocess *p)
{
    for (int i = 0; i < p->count; i++)
        volt_free(p->step[i].label);
    volt_free(p->step);
    *p = (volt_postprocess){0};
}

void volt_postprocess_result_clear(volt_postprocess_result *r)
{
    for (int i = 0; i < r->trials; i++)
        volt_free(r->trial[i].name);
    volt_free(r->trial);
    volt_postprocess_clear(&r->steps);
    *r = (volt_postprocess_result){0};
}

/* Adds a copy of the list. */
static volt_status add_step(volt_postprocess *p, const int32_t *label, int count)
{
    volt_postprocess_step step = {.count = count};
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc(&step.label, (size_t)count * sizeof *step.label, "post-processing"));
    memcpy(step.label, label, (size_t)count * sizeof *label);
    VOLT_TRY(st, done,
             volt_realloc(&p->step, (size_t)p->count * sizeof *p->step,
                          ((size_t)p->count + 1) * sizeof *p->step, "post-processing"));
    p->step[p->count++] = step;
    step.label = NULL;
done:
    volt_free(step.label);
    return st;
}

static void drop_last_step(volt_postprocess *p)
{
    volt_free(p->step[--p->count].label);
}

/* ---- one mask ---- */

static void mark(uint8_t *mask, const volt_volume *labels, const volt_postprocess_step *s)
{
    for (int64_t i = 0; i < volt_grid_voxels(&labels->grid); i++) {
        const int64_t label = (int64_t)volt_voxel_value(labels, i);
        bool is_in = false;
        for (int k = 0; k < s->count; k++)
            is_in = is_in || label == s->label[k];
        mask[i] = is_in;
    }
}

static volt_status apply_step(volt_volume *labels, const volt_postprocess_step *s, int threads)
{
    volt_components_options o = volt_components_defaults();
    const volt_component *table;
    volt_volume *mask = NULL;
    volt_components *found = NULL;
    bool *keep = NULL;
    int64_t count, largest = 0;
    volt_status st;

    o.binary = true;
    o.threads = threads;
    VOLT_TRY(st, done, volt_volume_create(&mask, &labels->grid, VOLT_U8));
    mark(mask->data, labels, s);
    VOLT_TRY(st, done, volt_components_find(&found, mask, &o));
    count = volt_components_count(found);
    table = volt_components_table(found);
    VOLT_TRY(st, done, volt_alloc_zero(&keep, (size_t)count + 1, sizeof *keep, "components"));
    for (int64_t i = 0; i < count; i++)
        largest = table[i].voxels > largest ? table[i].voxels : largest;
    for (int64_t i = 0; i < count; i++)
        keep[i] = table[i].voxels == largest;
    st = volt_components_keep(labels, found, keep, threads);
done:
    volt_free(keep);
    volt_components_free(found);
    volt_volume_free(mask);
    return st;
}

volt_status volt_postprocess_apply(volt_volume *labels, const volt_postprocess *p, int threads)
{
    volt_status st = VOLT_OK;

    if (labels->grid.channels != 1 || labels->dtype < VOLT_U8 || labels->dtype > VOLT_I32)
        return volt_fail(VOLT_EINVAL, "labels of type %s with %d channel%s are not a mask",
                         volt_dtype_name(labels->dtype), (int)labels->grid.channels,
                         volt_s(labels->grid.channels));
    for (int i = 0; i < p->count && st == VOLT_OK; i++)
        st = apply_step(labels, &p->step[i], threads);
    return st;
}

/* ---- folders ---- */

static volt_status list_masks(volt_names *out, const char *folder)
{
    volt_names names = {0};
    volt_status st = volt_image_list(&names, folder);

    if (st != VOLT_OK)
        return st;
    if (names.count == 0) {
        volt_names_free(&names);
        return volt_fail(VOLT_EDATA, "%s contains no masks", folder);
    }
    *out = names;
    return VOLT_OK;
}

/* A mask, and its header if wanted. */
static volt_status read_mask(volt_volume **out, volt_image_header **header, const char *folder,
                             const char *name, int threads)
{
    const volt_image_read_options read = volt_image_read_as(VOLT_I16, threads);
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, folder, name));
    st = volt_image_read(out, header, path, &read);
done:
    volt_free(path);
    return st;
}

typedef struct folder_job {
    const char *from, *to;
    const volt_names *names;
    const volt_postprocess *steps;
} folder_job;

static volt_status process_mask(void *context, int64_t index, int threads)
{
    const folder_job *j = context;
    volt_image_write_options options = volt_image_write_labels(threads);
    volt_image_header *header = NULL;
    volt_label_table names = {0};
    volt_volume *labels = NULL;
    char *from = NULL, *path = NULL, *table = NULL;
    volt_status st;

    VOLT_TRY(st, done, read_mask(&labels, &header, j->from, j->names->name[index], threads));
    VOLT_TRY(st, done, volt_postprocess_apply(labels, j->steps, threads));
    VOLT_TRY(st, done, volt_path_join(&from, j->from, j->names->name[index]));
    VOLT_TRY(st, done, volt_path_join(&path, j->to, j->names->name[index]));
    st = volt_label_table_read(from, &names);
    if (st != VOLT_OK && st != VOLT_EFORMAT) /* a damaged table is no reason to lose masks */
        goto done;
    options.names = names.count ? &names : NULL;
    VOLT_TRY(st, done, volt_label_table_accompany(&table, path, &names));
    st = volt_image_write(path, labels, header, &options);
done:
    volt_label_table_clear(&names);
    volt_free(table);
    volt_free(path);
    volt_free(from);
    volt_volume_free(labels);
    volt_image_header_free(header);
    return st;
}

volt_status volt_postprocess_folder(int64_t *cases, const char *from, const char *to,
                                    const volt_postprocess *p, int threads,
                                    const volt_callbacks *cb)
{
    volt_names names = {0};
    folder_job job = {from, to, &names, p};
    volt_tasks tasks = {.run = process_mask,
                        .context = &job,
                        .threads = threads,
                        .what = "cases",
                        .callbacks = cb};
    volt_owner *owner = NULL;
    volt_status st;

    VOLT_TRY(st, done, list_masks(&names, from));
    VOLT_TRY(st, done, volt_mask_folder_check(to));
    VOLT_TRY(st, done, volt_owner_take(&owner, to, VOLT_OWNER_REFUSE, cb));
    tasks.count = (int64_t)names.count;
    VOLT_TRY(st, done, volt_label_files_copy(from, to));
    VOLT_TRY(st, done, volt_tasks_run(&tasks));
    if (cases)
        *cases = (int64_t)names.count;
done:
    volt_owner_release(&owner);
    volt_names_free(&names);
    return st;
}

/* ---- scoring ---- */

typedef struct score_job {
    const volt_postprocess *steps; /* NULL = none */
    volt_mask_pairs pairs;
    volt_classes classes;
    volt_metrics *metrics; /* (cases, classes) */
} score_job;

static volt_metrics_options metrics_options(const score_job *s, int threads)
{
    volt_metrics_options o = volt_metrics_defaults();

    o.surface = false;
    o.threads = threads;
    o.has_ignore_label = s->classes.ignore >= 0;
    o.ignore_label = s->classes.ignore;
    return o;
}

static volt_status score_case(void *context, int64_t index, int threads)
{
    score_job *s = context;
    const volt_metrics_options o = metrics_options(s, threads);
    const volt_mask_pair *pair = &s->pairs.item[index];
    volt_volume *labels = NULL, *truth = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_pair_read_mask(&labels, pair->pred, threads));
    VOLT_TRY(st, done, volt_pair_check_values(&s->pairs, labels, pair->pred));
    if (s->steps)
        VOLT_TRY(st, done, volt_postprocess_apply(labels, s->steps, threads));
    VOLT_TRY(st, done, volt_pair_read_truth(&truth, &s->pairs, pair->truth, threads));
    VOLT_TRY(st, done, volt_pair_check_values(&s->pairs, truth, pair->truth));
    st = volt_metrics_evaluate(s->metrics + index * s->classes.count, labels, truth,
                               s->classes.region, s->classes.count, &o);
done:
    volt_volume_free(truth);
    volt_volume_free(labels);
    return st;
}

/* The masks of a folder with the files of the same name in the other, and the values that both
 * may have. */
static volt_status make_pairs(score_job *s, const char *predictions, const char *truth,
                              const volt_dataset_info *info, int threads,
                              const volt_callbacks *cb)
{
    const volt_classes *k = &s->classes;
    volt_names names = {0};
    int32_t *labels = NULL;
    int count = k->foreground_count;
    volt_status st;

    VOLT_TRY(st, done, list_masks(&names, predictions));
    VOLT_TRY(st, done,
             volt_alloc_zero(&s->pairs.item, names.count, sizeof *s->pairs.item, "paths"));
    for (size_t i = 0; i < names.count; i++) {
        volt_mask_pair *pair = &s->pairs.item[s->pairs.count++];
        VOLT_TRY(st, done, volt_path_join(&pair->pred, predictions, names.name[i]));
        VOLT_TRY(st, done, volt_path_join(&pair->truth, truth, names.name[i]));
    }
    VOLT_TRY(st, done, volt_mask_pairs_follow(&s->pairs, info, threads, cb));
    VOLT_TRY(st, done, volt_alloc(&labels, ((size_t)count + 2) * sizeof *labels, "labels"));
    memcpy(labels, k->foreground, (size_t)count * sizeof *labels);
    labels[count++] = info->stored ? info->stored[0] : 0;
    if (k->ignore >= 0)
        labels[count++] = k->ignore;
    st = volt_mask_pairs_expect(&s->pairs, labels, count, "the data set");
done:
    volt_free(labels);
    volt_names_free(&names);
    return st;
}

volt_status volt_postprocess_score(volt_summary **out, const char *predictions,
                                   const char *truth, const volt_dataset_info *info,
                                   const volt_postprocess *steps, int threads,
                                   const volt_callbacks *cb)
{
    score_job s = {.steps = steps};
    volt_tasks tasks = {
        .run = score_case, .context = &s, .threads = threads, .what = "cases", .callbacks = cb};
    volt_summary *summary = NULL;
    volt_metrics_options o;
    volt_status st;

    VOLT_TRY(st, done, volt_classes_of(&s.classes, info));
    VOLT_TRY(st, done, make_pairs(&s, predictions, truth, info, threads, cb));
    o = metrics_options(&s, threads);
    VOLT_TRY(st, done,
             volt_alloc(&s.metrics,
                        (size_t)s.pairs.count * (size_t)s.classes.count * sizeof *s.metrics,
                        "scores"));
    tasks.count = s.pairs.count;
    VOLT_TRY(st, done, volt_tasks_run(&tasks));
    VOLT_TRY(st, done, volt_summary_create(&summary, s.classes.region, s.classes.count, &o));
    for (int64_t i = 0; i < tasks.count; i++)
        VOLT_TRY(st, done,
                 volt_summary_add(summary, s.pairs.item[i].pred, s.pairs.item[i].truth,
                                  s.metrics + i * s.classes.count));
    volt_summary_finish(summary);
    *out = summary;
    summary = NULL;
done:
    volt_summary_free(summary);
    volt_free(s.metrics);
    volt_classes_clear(&s.classes);
    volt_mask_pairs_clear(&s.pairs);
    return st;
}

/* ---- finding ---- */

/* The state of the search. */
typedef struct search {
    const char *predictions, *truth;
    const volt_dataset_info *info;
    int threads;
    const volt_callbacks *cb;
    volt_classes classes;
    volt_postprocess steps; /* taken, and last the one being tried */
    volt_postprocess_result *result;
} search;

/* Scores the masks of `folder`, with the steps as they are or without any. */
static volt_status score(volt_summary **out, const search *s, const char *folder, bool steps)
{
    return volt_postprocess_score(out, folder, s->truth, s->info, steps ? &s->steps : NULL,
                                  s->threads, s->cb);
}

static double dice(const volt_summary *s, int class)
{
    return class < 0 ? s->foreground_mean[VOLT_SCORE_DICE] : s->mean[class][VOLT_SCORE_DICE];
}

/* Tries a step on top of those taken: `class` is the one that decides, -1 = all together.
 * *best is the summary of what was taken so far, and is replaced when this is. */
static volt_status try_step(search *s, const char *name, const int32_t *label, int count,
                            int class, volt_summary **best)
{
    volt_postprocess_result *r = s->result;
    volt_postprocess_trial trial = {0};
    volt_summary *now = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_strdup(&trial.name, name));
    VOLT_TRY(st, done, add_step(&s->steps, label, count));
    VOLT_TRY(st, done, score(&now, s, s->predictions, true));
    trial.before = dice(*best, class);
    trial.after = dice(now, class);
    trial.taken = trial.after > trial.before;
    for (int c = 0; class < 0 && c < s->classes.count; c++)
        trial.taken = trial.taken && !(dice(now, c) < dice(*best, c));
    if (trial.taken) {
        volt_summary_free(*best);
        *best = now;
        now = NULL;
    } else {
        drop_last_step(&s->steps);
    }
    r->trial[r->trials++] = trial;
    trial.name = NULL;
done:
    volt_free(trial.name);
    volt_summary_free(now);
    return st;
}

static volt_status try_all(search *s, volt_summary **best)
{
    const volt_classes *c = &s->classes;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&s->result->trial, (size_t)c->count + 1, sizeof *s->result->trial,
                             "trials"));
    VOLT_TRY(st, done,
             try_step(s, "all foreground", c->foreground, c->foreground_count, -1, best));
    for (int i = 0; c->count > 1 && i < c->count; i++)
        VOLT_TRY(
            st, done,
            try_step(s, c->region[i].name, c->region[i].labels, c->region[i].count, i, best));
done:
    return st;
}

/* ---- files ---- */

/* nnU-Net's scores of a summary: without the cases. */
static json_t *scores_object(const volt_summary *s)
{
    static const volt_score scores[] = {VOLT_SCORE_DICE,   VOLT_SCORE_FN,   VOLT_SCORE_FP,
                                        VOLT_SCORE_IOU,    VOLT_SCORE_TN,   VOLT_SCORE_TP,
                                        VOLT_SCORE_N_PRED, VOLT_SCORE_N_REF};
    json_t *mean = json_object(), *all = json_object();

    for (int c = -1; c < s->regions; c++) {
        json_t *one = json_object();
        const double *values = c < 0 ? s->foreground_mean : s->mean[c];
        for (size_t i = 0; i < sizeof scores / sizeof *scores; i++)
            json_object_set_new(one, volt_score_name(scores[i]),
                                volt_json_number(values[scores[i]]));
        if (c < 0)
            json_object_set_new(all, "foreground_mean", one);
        else
            volt_json_set(mean, s->region_names[c], one);
    }
    json_object_set_new(all, "mean", mean);
    return all;
}

static volt_status write_steps(const char *path, const volt_postprocess *p,
                               const volt_summary *before, const volt_summary *after)
{
    json_t *root = json_object(), *functions = json_array(), *arguments = json_array();
    volt_status st;

    for (int i = 0; i < p->count; i++) {
        const volt_postprocess_step *s = &p->step[i];
        json_t *labels = json_array();
        for (int k = 0; k < s->count; k++)
            json_array_append_new(labels, json_integer(s->label[k]));
        json_array_append_new(functions, json_string(FUNCTION));
        if (s->count == 1 &&
            i + p->count > 1) { /* nnU-Net writes a single class without a list */
            json_decref(labels);
            labels = json_integer(s->label[0]);
        }
        json_array_append_new(arguments, json_pack("{s:o}", "labels_or_regions", labels));
    }
    json_object_set_new(root, "input_folder", scores_object(before));
    json_object_set_new(root, "postprocessed", scores_object(after));
    json_object_set_new(root, "postprocessing_fns", functions);
    json_object_set_new(root, "postprocessing_kwargs", arguments);
    st = volt_json_save(path, root);
    json_decref(root);
    return st;
}

static volt_status read_labels(volt_postprocess *out, const volt_json_at *at)
{
    int32_t label[VOLT_MAX_LABELS];
    size_t count = 1;
    int64_t value;
    volt_status st;

    if (json_is_array(at->value))
        VOLT_TRY(st, done, volt_json_length(&count, at, 1, VOLT_MAX_LABELS));
    for (size_t i = 0; i < count; i++) {
        volt_json_at item = *at;
        if (json_is_array(at->value))
            VOLT_TRY(st, done, volt_json_item(&item, at, i));
        VOLT_TRY(st, done, volt_json_int(&value, &item, 0, INT16_MAX));
        label[i] = (int32_t)value;
    }
    st = add_step(out, label, (int)count);
done:
    return st;
}

volt_status volt_postprocess_read(volt_postprocess *out, const char *path)
{
    volt_json doc = {0};
    volt_json_at root, functions, arguments, at;
    volt_postprocess p = {0};
    const char *name;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_load(&doc, path));
    root = volt_json_root(&doc);
    VOLT_TRY(st, done, volt_json_member(&functions, &root, "postprocessing_fns"));
    VOLT_TRY(st, done, volt_json_member(&arguments, &root, "postprocessing_kwargs"));
    VOLT_TRY(st, done, volt_json_length(&count, &functions, 0, VOLT_MAX_LABELS));
    VOLT_TRY(st, done, volt_json_length(&count, &arguments, count, count));
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_json_item(&at, &functions, i));
        VOLT_TRY(st, done, volt_json_text(&name, &at, 256));
        if (strcmp(name, FUNCTION) != 0) {
            st = volt_fail(VOLT_ENOTSUP, "%s: function '%s'; only " FUNCTION " is supported",
                           path, name);
            goto done;
        }
        VOLT_TRY(st, done, volt_json_item(&at, &arguments, i));
        VOLT_TRY(st, done, volt_json_member(&at, &at, "labels_or_regions"));
        VOLT_TRY(st, done, read_labels(&p, &at));
    }
    *out = p;
    p = (volt_postprocess){0};
done:
    volt_postprocess_clear(&p);
    volt_json_close(&doc);
    return st;
}

/* The processed masks, their summary and the steps. */
static volt_status write_all(search *s, const volt_summary *before)
{
    char *folder = NULL, *path = NULL;
    volt_summary *after = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&folder, s->predictions, "postprocessed"));
    VOLT_TRY(
        st, done,
        volt_postprocess_folder(NULL, s->predictions, folder, &s->steps, s->threads, s->cb));
    VOLT_TRY(st, done, score(&after, s, folder, false));
    VOLT_TRY(st, done, volt_path_join(&path, folder, "summary.json"));
    VOLT_TRY(st, done, volt_summary_write(path, after));
    volt_free(path);
    path = NULL;
    VOLT_TRY(st, done, volt_path_join(&path, s->predictions, "summary.json"));
    VOLT_TRY(st, done, volt_summary_write(path, before));
    volt_free(path);
    path = NULL;
    VOLT_TRY(st, done, volt_path_join(&path, s->predictions, "postprocessing.json"));
    st = write_steps(path, &s->steps, before, after);
    s->result->after = dice(after, -1);
done:
    volt_summary_free(after);
    volt_free(path);
    volt_free(folder);
    return st;
}

volt_status volt_postprocess_find(volt_postprocess_result *out, const char *predictions,
                                  const char *truth, const volt_dataset_info *info, int threads,
                                  const volt_callbacks *cb)
{
    volt_postprocess_result r = {0};
    search s = {.predictions = predictions,
                .truth = truth,
                .info = info,
                .threads = threads,
                .cb = cb,
                .result = &r};
    volt_summary *before = NULL, *best = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_classes_of(&s.classes, info));
    VOLT_TRY(st, done, score(&before, &s, predictions, false));
    VOLT_TRY(st, done, score(&best, &s, predictions, false));
    r.cases = before->count;
    r.before = dice(before, -1);
    VOLT_TRY(st, done, try_all(&s, &best));
    VOLT_TRY(st, done, write_all(&s, before));
    r.steps = s.steps;
    s.steps = (volt_postprocess){0};
    *out = r;
    r = (volt_postprocess_result){0};
done:
    volt_postprocess_clear(&s.steps);
    volt_postprocess_result_clear(&r);
    volt_summary_free(best);
    volt_summary_free(before);
    volt_classes_clear(&s.classes);
    return st;
}
