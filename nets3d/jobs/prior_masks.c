/* The prior masks of a data set, for training and validation. */
#include "nets3d/cascade.h"

#include <string.h>
#include <unistd.h>

#include "base/core/options.h"
#include "base/core/plural.h"
#include "base/core/alloc.h"
#include "base/core/report.h"
#include "base/mem.h"
#include "base/system/file.h"
#include "base/system/tasks.h"
#include "base/threads.h"
#include "io/image/names.h"
#include "io/store/case_key.h"
#include "io/dataset/case_workers.h"
#include "io/store/case_store_internal.h"
#include "nets3d/jobs/prior_masks.h"
#include "nets3d/predict/predictor_internal.h"
#include "nets3d/predict/prior_mask.h"
#include "nets3d/run/folder.h"
#include "nets3d/splits.h"
#include "volume/orient.h"
#include "volume/resample.h"

enum { METHOD = 2 }; /* increased whenever the same mask gives other voxels */

void volt_cascade_options_init(volt_cascade_options *o, size_t size)
{
    const volt_cascade_options defaults = {.overwrite = false};

    volt_options_init(o, size, &defaults, sizeof defaults);
}

/* Ranks of a host share its processors, unless the launcher has bound them. */
static int threads_of_rank(int threads, const volt_comm *comm)
{
    const int ranks = volt_comm_host_ranks(comm), usual = volt_default_threads();
    const int each = (int)sysconf(_SC_NPROCESSORS_ONLN) / ranks;

    if (threads > 0 || ranks == 1 || usual <= each)
        return threads;
    return each > 1 ? each : 1;
}

typedef struct preprocessing {
    const char *folder, *masks, *store;
    const volt_dataset *ds;
    const volt_plan *plan;
    const volt_plan_config *config;
    bool overwrite;
    int64_t first, step; /* among the cases */
} preprocessing;

volt_status volt_prior_masks_folder(char **out, const char *work,
                                    const volt_plan_config *config)
{
    return volt_format(out, "%s/%s_previous", work, config->name);
}

/* How a stored case was preprocessed, without its voxels. */
static volt_status frame_of(volt_preprocessed *out, const volt_stored_case *c)
{
    volt_orientation o;
    volt_grid permuted;
    volt_status st = volt_orientation_transpose(&o, c->transpose_forward);

    if (st != VOLT_OK)
        return st;
    permuted = volt_orientation_grid(o, &c->source);
    *out = (volt_preprocessed){.source = c->source, .crop = c->crop};
    memcpy(out->transpose_forward, c->transpose_forward, sizeof out->transpose_forward);
    memcpy(out->shape_before_crop, permuted.n, sizeof out->shape_before_crop);
    memcpy(out->spacing, c->spacing, sizeof out->spacing);
    volt_grid_spacing(out->spacing_before, &permuted);
    return VOLT_OK;
}

static volt_status make_mask(const preprocessing *w, const volt_stored_case *c,
                             const volt_case *scan, const char *mask, const char *path,
                             uint64_t key, int threads)
{
    volt_stored_case stored = *c;
    volt_case_data data = {0};
    volt_preprocessed frame;
    volt_volume *v = NULL;
    volt_status st;

    VOLT_TRY(st, done, frame_of(&frame, c));
    VOLT_TRY(st, done, volt_prior_mask_read(&data, scan, mask, &w->ds->info, threads));
    v = data.labels;
    data.labels = NULL;
    volt_case_data_clear(&data); /* only the image's grid was needed */
    VOLT_TRY(
        st, done,
        volt_preprocess_mask(&v, &frame, c->shape, w->config, w->plan->classes, mask, threads));
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
    const preprocessing *w = context;
    const volt_case *scan = &w->ds->cases.item[w->first + index * w->step];
    const char *id = scan->id;
    const volt_stored_case *c = NULL;
    char *from = NULL, *path = NULL, *mask = NULL;
    uint64_t key = VOLT_KEY_START, found;
    bool preprocessed;
    volt_status st;

    VOLT_TRY(st, done, volt_prior_mask_path(&mask, &preprocessed, w->masks, id));
    if (preprocessed) {
        st = volt_fail(VOLT_EINVAL,
                       "%s is a preprocessed case: give the run of the previous stage, or a "
                       "folder of masks %s.nii.gz",
                       mask, id);
        goto done;
    }
    VOLT_TRY(st, done, volt_preprocessed_path(&from, w->store, id));
    VOLT_TRY(st, done, volt_preprocessed_path(&path, w->folder, id));
    if (w->step > 1 && !volt_path_exists(from)) /* left out by this host, as the mask will be */
        goto done;
    VOLT_TRY(st, done, volt_stored_case_open(&c, from));
    volt_key_mix_int(&key, METHOD);
    volt_key_mix(&key, &c->key, sizeof c->key);
    VOLT_TRY(st, done, volt_key_mix_file(&key, mask));
    if (w->overwrite || !volt_path_exists(path) ||
        volt_stored_case_key(&found, path) != VOLT_OK || found != key)
        st = make_mask(w, c, scan, mask, path, key, threads);
done:
    volt_stored_case_close(c);
    volt_free(mask);
    volt_free(path);
    volt_free(from);
    return st;
}

/* ---- masks predicted by the previous stage ---- */

/* Key of the checkpoints that are used. */
static volt_status key_of_runs(uint64_t *out, char *const *runs, size_t count)
{
    uint64_t key = VOLT_KEY_START;
    char *path = NULL;
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_run_checkpoint(&path, runs[i], NULL));
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
    const char *folder;
    const volt_dataset *ds;
    const volt_plan_config *config;
    const volt_cascade_options *options;
    bool *seen;    /* per case */
    int64_t turns; /* cases so far, of all ranks */
    int64_t created, count;
} segmenting;

/* The networks that segment some of the cases. */
typedef struct assignment {
    char *const *runs;
    size_t networks;
    uint64_t key;        /* of their checkpoints */
    volt_segmenter *seg; /* opened for the first case that needs it */
} assignment;

static volt_status key_of_case(uint64_t *out, const segmenting *s, const assignment *by,
                               const volt_case *c)
{
    const volt_plan_config *k = s->config;
    uint64_t key = by->key;
    volt_status st = VOLT_OK;

    volt_key_mix_int(&key, METHOD);
    volt_key_mix(&key, k->spacing, sizeof k->spacing);
    volt_key_mix(&key, k->transpose_forward, sizeof k->transpose_forward);
    volt_key_mix(&key, s->ds->info.orientation, sizeof s->ds->info.orientation);
    for (int i = 0; i < c->files && st == VOLT_OK; i++)
        st = volt_key_mix_file(&key, c->file[i]);
    *out = key;
    return st;
}

static volt_status open_networks(assignment *by, const segmenting *s)
{
    volt_predict_options o = volt_predict_defaults();
    const volt_dataset_info *info;
    volt_status st;

    if (by->seg)
        return VOLT_OK;
    o.precision = s->options->precision;
    o.threads = threads_of_rank(s->options->threads, s->options->comm);
    VOLT_TRY(st, done,
             volt_segmenter_open(&by->seg, (const char *const *)by->runs, (int)by->networks, &o,
                                 s->options->callbacks));
    for (int g = 0; g < by->seg->sets; g++) {
        const char *name = by->seg->set[g].config->name;
        if (strcmp(name, s->config->previous_stage) == 0)
            continue;
        return volt_fail(VOLT_EDATA, "%s was trained as %s; %s refines the masks of %s",
                         by->runs[0], name, s->config->name, s->config->previous_stage);
    }
    info = &by->seg->info;
    if (info->channels != s->ds->info.channels || info->labels != s->ds->info.labels)
        return volt_fail(VOLT_EDATA, "%s has %d channel%s and %d label%s; %s has %d and %d",
                         by->runs[0], info->channels, volt_s(info->channels), info->labels,
                         volt_s(info->labels), s->ds->folder, s->ds->info.channels,
                         s->ds->info.labels);
    st = volt_segmenter_restore_programs(by->seg);
done:
    return st;
}

/* The frame of a preprocessed scan as `config` would have preprocessed it, with its own order
 * of axes: axis a of *out is axis from[a] of `p`. */
static volt_status frame_for(volt_stored_case *out, int from[3], const volt_preprocessed *p,
                             const volt_plan_config *config)
{
    double before[3];
    int64_t crop[3];

    *out = (volt_stored_case){.source = p->source};
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++) {
            if (p->transpose_forward[b] == config->transpose_forward[a])
                from[a] = b;
        }
        out->transpose_forward[a] = config->transpose_forward[a];
        out->crop.low[a] = p->crop.low[from[a]];
        out->crop.high[a] = p->crop.high[from[a]];
        before[a] = p->spacing_before[from[a]];
        out->spacing[a] = config->axes == 2 && a == 0 ? before[a] : config->spacing[a];
    }
    out->source.channels = 1;
    volt_box_shape(crop, out->crop);
    return volt_resample_shape(out->shape, crop, before, out->spacing);
}

static volt_status segment_case(const segmenting *s, const assignment *by, const volt_case *c,
                                const char *path, uint64_t key)
{
    const volt_callbacks *cb = s->options->callbacks;
    volt_case image = *c; /* borrowed */
    volt_case_data data = {0};
    volt_preprocessed_scan scan = {0};
    volt_stored_case stored;
    volt_orientation order;
    volt_volume *labels = NULL, *permuted = NULL;
    int64_t shape[3];
    int from[3];
    volt_status st;

    image.label_file = NULL;
    VOLT_TRY(st, done, volt_case_read(&data, &image, &s->ds->info, by->seg->threads));
    VOLT_TRY(st, done,
             volt_preprocess_scan(&scan, by->seg, &data.image, NULL, c->id, by->seg->threads));
    VOLT_TRY(st, done, frame_for(&stored, from, &scan.set[0], s->config));
    for (int a = 0; a < 3; a++)
        shape[from[a]] = stored.shape[a];
    VOLT_TRY(st, done, volt_segmenter_next_stage(&labels, by->seg, &scan, shape, c->id, cb));
    VOLT_TRY(st, done, volt_orientation_transpose(&order, from));
    VOLT_TRY(st, done, volt_volume_reorient(&permuted, labels, order, by->seg->threads));
    stored.key = key;
    stored.label_dtype = permuted->dtype;
    stored.labels = permuted->data;
    st = volt_stored_case_write(path, &stored);
done:
    volt_volume_free(permuted);
    volt_volume_free(labels);
    volt_preprocessed_scan_clear(&scan, by->seg);
    volt_case_data_clear(&data);
    return st;
}

/* Whether the host has room for the case on all of its ranks: else its first rank will segment
 * it when the others are done. */
static volt_status has_room(bool *out, const segmenting *s, const assignment *by,
                            const volt_case *c)
{
    const volt_comm *comm = s->options->comm;
    const volt_segment_request wanted = {.regions = false};
    volt_image_header *header = NULL;
    volt_predict_memory need;
    volt_grid grid;
    volt_status st;

    *out = true;
    if (volt_comm_host_ranks(comm) == 1 || volt_comm_host_index(comm) == 0)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_image_info(&header, c->file[0]));
    grid = header->grid;
    grid.channels = s->ds->info.channels;
    VOLT_TRY(st, done, volt_predict_memory_of(&need, by->seg, &grid, &wanted, c->id));
    *out = volt_predict_memory_alone(&need) <=
           volt_mem_available() / (size_t)volt_comm_host_ranks(comm);
done:
    volt_image_header_free(header);
    return st;
}

/* Segments case `index` unless its file is up to date, or it is another rank's turn. */
static volt_status segment(segmenting *s, assignment *by, int64_t index)
{
    const volt_case *c = &s->ds->cases.item[index];
    const volt_comm *comm = s->options->comm;
    char *path = NULL;
    uint64_t key = 0, found = 0;
    bool room;
    volt_status st;

    s->seen[index] = true;
    if (s->turns++ % volt_comm_size(comm) != volt_comm_rank(comm))
        return VOLT_OK;
    VOLT_TRY(st, done, volt_check_cancelled(s->options->callbacks));
    VOLT_TRY(st, done, key_of_case(&key, s, by, c));
    VOLT_TRY(st, done, volt_preprocessed_path(&path, s->folder, c->id));
    if (s->options->overwrite || !volt_path_exists(path) ||
        volt_stored_case_key(&found, path) != VOLT_OK || found != key) {
        VOLT_TRY(st, done, open_networks(by, s));
        VOLT_TRY(st, done, has_room(&room, s, by, c));
        if (room)
            VOLT_TRY(st, done, segment_case(s, by, c, path, key));
        s->created += room;
    }
    s->count++;
    volt_report_progress(s->options->callbacks, "cases", s->turns, s->ds->cases.count);
done:
    volt_free(path);
    return st;
}

/* Segments the cases that a fold's network was validated on with that network. */
static volt_status segment_by_folds(segmenting *s, const volt_names *runs, const char *splits)
{
    volt_split split = {0};
    assignment by = {.networks = 1};
    volt_status st = VOLT_OK;

    for (size_t r = 0; r < runs->count; r++) {
        const int fold = volt_fold_number(runs->name[r]);
        if (fold < 0)
            continue;
        by.runs = &runs->name[r];
        VOLT_TRY(st, done, key_of_runs(&by.key, by.runs, 1));
        VOLT_TRY(st, done,
                 volt_split_for_fold(&split, s->ds, splits, fold,
                                     s->options->comm ? NULL : s->options->callbacks));
        for (int64_t i = 0; i < split.vals; i++) {
            if (!s->seen[split.val[i]])
                VOLT_TRY(st, done, segment(s, &by, split.val[i]));
        }
        volt_split_clear(&split);
        volt_segmenter_free(by.seg);
        by.seg = NULL;
    }
done:
    volt_split_clear(&split);
    volt_segmenter_free(by.seg);
    return st;
}

/* Segments the other cases with all networks together. */
static volt_status segment_rest(segmenting *s, const volt_names *runs)
{
    assignment by = {.runs = runs->name, .networks = runs->count};
    int64_t count = 0;
    volt_status st = VOLT_OK;

    for (int64_t i = 0; i < s->ds->cases.count; i++)
        count += !s->seen[i];
    if (count == 0)
        return VOLT_OK;
    if (!s->options->comm)
        volt_report(
            s->options->callbacks, VOLT_LOG_WARNING,
            "%lld case%s: every network of %s was trained on %s, so the masks are better "
            "than those of unseen cases",
            (long long)count, volt_s(count), s->config->previous_stage,
            count == 1 ? "it" : "them");
    VOLT_TRY(st, done, key_of_runs(&by.key, by.runs, by.networks));
    for (int64_t i = 0; i < s->ds->cases.count; i++) {
        if (!s->seen[i])
            VOLT_TRY(st, done, segment(s, &by, i));
    }
done:
    volt_segmenter_free(by.seg);
    return st;
}

void volt_prior_masks_announce(const char *folder, const char *run,
                               const volt_plan_config *config, const volt_callbacks *cb)
{
    volt_report(cb, VOLT_LOG_INFO, "masks of %s, predicted by %s: %s", config->previous_stage,
                run, folder);
}

volt_status volt_prior_masks_segment(int64_t *created, const char *folder, const char *run,
                                     const char *splits, const volt_dataset *ds,
                                     const volt_plan_config *config,
                                     const volt_cascade_options *options)
{
    segmenting s = {.folder = folder, .ds = ds, .config = config, .options = options};
    const volt_callbacks *cb = options->comm ? NULL : options->callbacks;
    volt_names runs = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_run_folds(&runs, run));
    VOLT_TRY(st, done,
             volt_alloc_zero(&s.seen, (size_t)ds->cases.count, sizeof *s.seen, "a cascade"));
    VOLT_TRY(st, done, volt_make_dirs(folder));
    VOLT_TRY(st, done, segment_by_folds(&s, &runs, splits));
    VOLT_TRY(st, done, segment_rest(&s, &runs));
    if (created)
        *created = s.created += *created;
    volt_report(cb, VOLT_LOG_INFO, "%lld mask%s predicted, %lld up to date",
                (long long)s.created, volt_s(s.created), (long long)(s.count - s.created));
done:
    volt_free(s.seen);
    volt_names_free(&runs);
    return st;
}

volt_status volt_prior_masks_prepare(volt_precision *precision, const char *run,
                                     const char *splits, const volt_dataset *ds,
                                     const volt_plan_config *config,
                                     const volt_cascade_options *options)
{
    volt_cascade_options silent = *options;
    const segmenting s = {.ds = ds, .config = config, .options = &silent};
    volt_names runs = {0};
    volt_split split = {0};
    assignment by = {.networks = 1};
    volt_status st;

    silent.callbacks = NULL;
    *precision = options->precision;
    VOLT_TRY(st, done, volt_run_folds(&runs, run));
    for (size_t r = 0; r < runs.count; r++) {
        const int fold = volt_fold_number(runs.name[r]);
        if (fold < 0)
            continue;
        VOLT_TRY(st, done, volt_split_for_fold(&split, ds, splits, fold, NULL));
        break;
    }
    if (*precision != VOLT_PRECISION_AUTO)
        goto done;
    by.runs = runs.name;
    VOLT_TRY(st, done, open_networks(&by, &s));
    *precision = by.seg->set[0].precision;
done:
    volt_segmenter_free(by.seg);
    volt_split_clear(&split);
    volt_names_free(&runs);
    return st;
}

volt_status volt_cascade_for_validation(volt_predictor *p, const char *work, const char *splits,
                                        const volt_dataset *ds,
                                        const volt_cascade_options *options)
{
    volt_cascade_options o = volt_cascade_defaults();
    const volt_plan_config *config;
    char *folder = NULL;
    volt_status st = VOLT_OK;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_cascade_options"));
    if (!p->previous)
        return VOLT_OK;
    config = volt_segmenter_cascade(p->stage)->config;
    VOLT_TRY(st, done, volt_prior_masks_folder(&folder, work, config));
    volt_prior_masks_announce(folder, p->prior, config, o.callbacks);
    VOLT_TRY(st, done,
             volt_prior_masks_segment(NULL, folder, p->prior, splits, ds, config, &o));
    st = volt_predictor_set_prior(p, folder);
done:
    volt_free(folder);
    return st;
}

/* ---- masks from files ---- */

volt_status volt_prior_masks_preprocess(const char *folder, const char *masks,
                                        const char *store, const volt_dataset *ds,
                                        const volt_plan *plan, const volt_plan_config *config,
                                        const volt_cascade_options *options)
{
    preprocessing w = {.folder = folder,
                       .masks = masks,
                       .store = store,
                       .ds = ds,
                       .plan = plan,
                       .config = config,
                       .overwrite = options->overwrite};
    volt_tasks tasks = {
        .run = do_case, .context = &w, .what = "cases", .callbacks = options->callbacks};
    const int ranks = volt_comm_host_ranks(options->comm);
    double target[3];
    /* the scan, and the mask as int16 and smaller, before and after resampling */
    const volt_case_cost cost = {.image_copies = 1, .label_bytes = 8, .target = target};
    int all;
    volt_status st;

    w.first = volt_comm_rank(options->comm);
    w.step = volt_comm_size(options->comm);
    tasks.threads = volt_threads_or_default(threads_of_rank(options->threads, options->comm));
    tasks.count = (ds->cases.count - w.first + w.step - 1) / w.step;
    for (int a = 0; a < 3; a++) /* in the files' order of axes */
        target[config->transpose_forward[a]] = config->spacing[a];
    VOLT_TRY(st, done, volt_case_workers(&all, ds, &cost, tasks.threads * ranks));
    tasks.workers = all / ranks + (volt_comm_host_index(options->comm) < all % ranks);
    if (tasks.workers == 0) /* too little memory: left to others */
        tasks.count = 0;
    VOLT_TRY(st, done, volt_make_dirs(folder));
    st = volt_tasks_run(&tasks);
done:
    return st;
}
