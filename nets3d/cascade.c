#include "nets3d/cascade.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/tasks.h"
#include "nets3d/case_key.h"
#include "nets3d/case_workers.h"
#include "nets3d/predictor_parts.h"
#include "nets3d/preprocess.h"
#include "nets3d/run_folder.h"
#include "nets3d/splits.h"
#include "volume/orient.h"

enum { METHOD = 1 }; /* raised whenever the same mask gives other voxels */

typedef struct preparing {
    const char *folder, *masks, *store;
    const volt_dataset *ds;
    const volt_plan *plan;
    const volt_plan_config *config;
    bool overwrite;
} preparing;

volt_status volt_cascade_mask_path(char **out, const char *masks, const char *id)
{
    char *path;
    const volt_status st = volt_image_find(&path, masks, id);

    if (st != VOLT_OK)
        return st;
    if (path) {
        *out = path;
        return VOLT_OK;
    }
    return volt_fail(VOLT_EIO, "%s has no mask of case %s (%s.nii.gz)", masks, id, id);
}

/* How a stored case was prepared, without its voxels. */
static volt_status frame_of(volt_prepared *out, const volt_stored_case *c)
{
    volt_orientation o;
    volt_grid turned;
    volt_status st = volt_orientation_transpose(&o, c->transpose_forward);

    if (st != VOLT_OK)
        return st;
    turned = volt_orientation_grid(o, &c->source);
    *out = (volt_prepared){.source = c->source, .crop = c->crop};
    memcpy(out->transpose_forward, c->transpose_forward, sizeof out->transpose_forward);
    memcpy(out->shape_before_crop, turned.n, sizeof out->shape_before_crop);
    memcpy(out->spacing, c->spacing, sizeof out->spacing);
    volt_grid_spacing(out->spacing_before, &turned);
    return VOLT_OK;
}

volt_status volt_cascade_case_read(volt_case_data *out, const volt_case *c, const char *mask,
                                   const volt_dataset_info *info, int threads)
{
    volt_dataset_info as_labels = *info; /* borrowed */
    volt_case with_mask = *c;

    as_labels.thresholds = 0; /* a mask holds labels, whatever the truth's files do */
    with_mask.label_file = (char *)(uintptr_t)mask;
    return volt_case_read(out, &with_mask, &as_labels, threads);
}

static volt_status make_mask(const preparing *w, const volt_stored_case *c,
                             const volt_case *scan, const char *mask, const char *path,
                             uint64_t key, int threads)
{
    volt_stored_case stored = *c;
    volt_case_data data = {0};
    volt_prepared frame;
    volt_volume *v = NULL;
    volt_status st;

    VOLT_TRY(st, done, frame_of(&frame, c));
    VOLT_TRY(st, done, volt_cascade_case_read(&data, scan, mask, &w->ds->info, threads));
    v = data.labels;
    data.labels = NULL;
    volt_case_data_clear(&data); /* the image served its grid */
    VOLT_TRY(
        st, done,
        volt_prepare_mask(&v, &frame, c->shape, w->config, w->plan->classes, mask, threads));
    stored.key = key;
    stored.channels = 0;
    stored.data = NULL;
    stored.label_dtype = v->dtype;
    stored.labels = v->data;
    stored.classes = 0;
    stored.locations = NULL;
    st = volt_stored_case_write(path, &stored);
done:
    volt_volume_free(v);
    volt_case_data_clear(&data);
    return st;
}

static volt_status do_case(void *context, int64_t index, int threads)
{
    const preparing *w = context;
    const char *id = w->ds->cases.item[index].id;
    const volt_stored_case *c = NULL;
    char *from = NULL, *path = NULL, *mask = NULL;
    uint64_t key = VOLT_KEY_START, found;
    volt_status st;

    VOLT_TRY(st, done, volt_cascade_mask_path(&mask, w->masks, id));
    VOLT_TRY(st, done, volt_preprocessed_path(&from, w->store, id));
    VOLT_TRY(st, done, volt_preprocessed_path(&path, w->folder, id));
    VOLT_TRY(st, done, volt_stored_case_open(&c, from));
    volt_key_mix_int(&key, METHOD);
    volt_key_mix(&key, &c->key, sizeof c->key);
    VOLT_TRY(st, done, volt_key_mix_file(&key, mask));
    if (w->overwrite || !volt_path_exists(path) ||
        volt_stored_case_key(&found, path) != VOLT_OK || found != key)
        st = make_mask(w, c, &w->ds->cases.item[index], mask, path, key, threads);
done:
    volt_stored_case_close(c);
    volt_free(mask);
    volt_free(path);
    volt_free(from);
    return st;
}

/* -- Masks by the first network ------------------------------------------------------------ */

/* Which checkpoints would be used, as a number. */
static volt_status key_of_runs(uint64_t *out, const volt_names *runs)
{
    uint64_t key = VOLT_KEY_START;
    char *path = NULL;
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < runs->count; i++) {
        VOLT_TRY(st, done, volt_run_checkpoint(&path, runs->name[i], NULL));
        volt_key_mix(&key, path, strlen(path) + 1);
        VOLT_TRY(st, done, volt_key_mix_file(&key, path));
        volt_free(path);
        path = NULL;
    }
    *out = key;
done:
    volt_free(path);
    return st;
}

typedef struct segmenting {
    const char *masks;
    const volt_names *runs;
    const volt_dataset *ds;
    const volt_plan_config *config;
    const volt_cascade_options *options;
    volt_case *cases; /* room for all */
    bool *done;       /* per case */
} segmenting;

/* The first `count` of s->cases by the networks of `runs`. */
static volt_status segment(const segmenting *s, const char *const *runs, int networks,
                           int64_t count)
{
    const volt_case_list list = {.item = s->cases, .count = count};
    const volt_predict_output output = {.folder = s->masks, .skip_existing = true};
    volt_predict_options o = volt_predict_defaults();
    volt_predictor *p = NULL;
    volt_status st;

    if (count == 0)
        return VOLT_OK;
    o.threads = s->options->threads;
    VOLT_TRY(st, done, volt_predictor_open(&p, runs, networks, &o, s->options->callbacks));
    for (int g = 0; g < p->groups; g++) {
        const char *name = p->group[g].config->name;
        if (strcmp(name, s->config->previous_stage) == 0)
            continue;
        st = volt_fail(VOLT_EDATA, "%s was trained as %s; %s refines the masks of %s", runs[0],
                       name, s->config->name, s->config->previous_stage);
        goto done;
    }
    st = volt_predict(p, &list, &output, s->options->callbacks, NULL);
done:
    volt_predictor_free(p);
    return st;
}

/* Cases that a fold's network was validated on, by that network. */
static volt_status segment_by_folds(segmenting *s, const char *splits)
{
    volt_split split = {0};
    volt_status st = VOLT_OK;

    for (size_t r = 0; r < s->runs->count; r++) {
        const int fold = volt_fold_number(s->runs->name[r]);
        int64_t count = 0;
        if (fold < 0)
            continue;
        VOLT_TRY(st, done, volt_split_for_fold(&split, s->ds, splits, fold));
        for (int64_t i = 0; i < split.vals; i++) {
            if (!s->done[split.val[i]])
                s->cases[count++] = s->ds->cases.item[split.val[i]];
            s->done[split.val[i]] = true;
        }
        volt_split_clear(&split);
        VOLT_TRY(st, done, segment(s, (const char *const *)&s->runs->name[r], 1, count));
    }
done:
    volt_split_clear(&split);
    return st;
}

static volt_status segment_rest(segmenting *s)
{
    int64_t count = 0;

    for (int64_t i = 0; i < s->ds->cases.count; i++) {
        if (!s->done[i])
            s->cases[count++] = s->ds->cases.item[i];
    }
    if (count > 0)
        volt_report(s->options->callbacks, VOLT_LOG_WARNING,
                    "%lld cases have no network of %s that has not learned from them: their "
                    "masks are better than those of unseen cases (train %s with --folds 0-4)",
                    (long long)count, s->config->previous_stage, s->config->previous_stage);
    return segment(s, (const char *const *)s->runs->name, (int)s->runs->count, count);
}

volt_status volt_cascade_segment(char **masks, const char *work, const char *run,
                                 const char *splits, const volt_dataset *ds,
                                 const volt_plan_config *config,
                                 const volt_cascade_options *options)
{
    const size_t count = (size_t)ds->cases.count;
    volt_names runs = {0};
    segmenting s = {.runs = &runs, .ds = ds, .config = config, .options = options};
    char *folder = NULL;
    uint64_t key;
    volt_status st;

    VOLT_TRY(st, done, volt_run_folds(&runs, run));
    VOLT_TRY(st, done, key_of_runs(&key, &runs));
    VOLT_TRY(st, done,
             volt_format(&folder, "%s/%s_masks_%016llx", work, config->previous_stage,
                         (unsigned long long)key));
    s.masks = folder;
    VOLT_TRY(st, done, volt_alloc_zero(&s.cases, count, sizeof *s.cases, "a cascade"));
    VOLT_TRY(st, done, volt_alloc_zero(&s.done, count, sizeof *s.done, "a cascade"));
    volt_report(options->callbacks, VOLT_LOG_INFO, "masks of %s: %s", config->previous_stage,
                folder);
    VOLT_TRY(st, done, segment_by_folds(&s, splits));
    VOLT_TRY(st, done, segment_rest(&s));
    *masks = folder;
    folder = NULL;
done:
    volt_free(s.done);
    volt_free(s.cases);
    volt_free(folder);
    volt_names_free(&runs);
    return st;
}

/* -- Masks prepared for training ----------------------------------------------------------- */

volt_status volt_cascade_prepare(const char *folder, const char *masks, const char *store,
                                 const volt_dataset *ds, const volt_plan *plan,
                                 const volt_plan_config *config,
                                 const volt_cascade_options *options)
{
    preparing w = {.folder = folder,
                   .masks = masks,
                   .store = store,
                   .ds = ds,
                   .plan = plan,
                   .config = config,
                   .overwrite = options->overwrite};
    volt_tasks tasks = {.run = do_case,
                        .context = &w,
                        .count = ds->cases.count,
                        .threads = options->threads,
                        .what = "cases",
                        .callbacks = options->callbacks};
    double target[3];
    volt_status st = volt_make_dirs(folder);

    if (st != VOLT_OK)
        return st;
    for (int a = 0; a < 3; a++) /* in the files' order of axes */
        target[config->transpose_forward[a]] = config->spacing[a];
    /* the scan, and the mask as int16 and smaller, before and after resampling */
    tasks.workers = volt_case_workers(ds, 1, 8, target, options->threads);
    return volt_tasks_run(&tasks);
}
