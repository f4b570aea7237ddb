/* Preprocesses a data set, case by case. */
#include "nets3d/preprocess.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/core/options.h"
#include "base/core/plural.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/random/mersenne.h"
#include "base/system/tasks.h"
#include "base/threads.h"
#include "io/store/case_store_internal.h"
#include "io/store/case_key.h"
#include "io/dataset/case_workers.h"
#include "nets3d/data/preprocess_case.h"
#include "nets3d/plan/data_key.h"

enum {
    METHOD = 3,            /* increased whenever the same plan gives other voxels */
    MIN_LOCATIONS = 10000, /* of a class that has as many voxels */
    LOCATION_SEED = 1234
};
static const double location_fraction = 0.01; /* of its voxels, at least */

/* ---- the key of a case ---- */

static void mix_resampling(uint64_t *hash, const volt_plan_resampling *r)
{
    volt_key_mix_int(hash, r->order);
    volt_key_mix_int(hash, r->separate_z);
}

/* Hash of everything in `plan` that determines the preprocessed voxels. */
static uint64_t hash_of_plan(const volt_plan *plan, const volt_plan_config *config)
{
    uint64_t hash = VOLT_KEY_START;

    volt_key_mix_int(&hash, METHOD);
    volt_key_mix_int(&hash, plan->channels);
    volt_key_mix_int(&hash, plan->classes);
    volt_key_mix_int(&hash, config->axes);
    for (int a = 0; a < 3; a++) {
        volt_key_mix_int(&hash, config->transpose_forward[a]);
        volt_key_mix(&hash, &config->spacing[a], sizeof config->spacing[a]);
    }
    for (int c = 0; c < plan->channels; c++) {
        const volt_foreground_stats *s = &plan->intensities[c];
        const double used[4] = {s->mean, s->std, s->percentile_00_5, s->percentile_99_5};
        volt_key_mix_int(&hash, config->norm[c]);
        volt_key_mix_int(&hash, config->use_mask_for_norm[c]);
        if (config->norm[c] == VOLT_NORMALIZE_CT)
            volt_key_mix(&hash, used, sizeof used);
    }
    mix_resampling(&hash, &config->data);
    mix_resampling(&hash, &config->seg);
    return hash;
}

static volt_status key_of(uint64_t *out, uint64_t plan_hash, const volt_case *c)
{
    uint64_t key = plan_hash;
    volt_status st = VOLT_OK;

    for (int i = 0; i < c->files && st == VOLT_OK; i++)
        st = volt_key_mix_file(&key, c->file[i]);
    if (st == VOLT_OK && c->label_file)
        st = volt_key_mix_file(&key, c->label_file);
    if (st == VOLT_OK)
        *out = key;
    return st;
}

/* ---- locations of the classes ---- */

/* One class while its locations are drawn. */
typedef struct drawing {
    uint32_t *chosen; /* which of its voxels are stored, ascending */
    uint64_t *location;
    int64_t wanted; /* locations */
    int64_t taken, seen;
} drawing;

static int label_at(const volt_volume *labels, int64_t i)
{
    return labels->dtype == VOLT_I8 ? ((const int8_t *)labels->data)[i]
                                    : ((const int16_t *)labels->data)[i];
}

/* The class's next voxel. */
static void offer(drawing *d, int64_t voxel)
{
    if (d->taken < d->wanted && d->chosen[d->taken] == d->seen)
        d->location[d->taken++] = (uint64_t)voxel;
    d->seen++;
}

/* Voxels per class; -1 counts as background. Labels must be -1, a class, or the ignore label.
 */
static volt_status count_classes(int64_t *voxels, const volt_volume *labels,
                                 const volt_dataset_info *info, const volt_case *c)
{
    const int64_t n = volt_grid_voxels(&labels->grid);

    for (int64_t i = 0; i < n; i++) {
        const int label = label_at(labels, i);
        if (label == -1)
            voxels[0]++;
        else if (label >= 0 && label < info->labels)
            voxels[label]++;
        else if (label != info->ignore_label)
            return volt_fail(VOLT_EDATA, "%s has label %d; dataset.json lists 0 to %d",
                             c->label_file, label, info->labels - 1);
    }
    return VOLT_OK;
}

/* With an ignore label every annotated voxel counts, so locations of the background are stored
 * too. */
static int first_located(const volt_dataset_info *info)
{
    return info->ignore_label >= 0 ? 0 : 1;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Chooses among `voxels` voxels of label l: the beginning of a random permutation, as numpy's
 * choice without replacement. */
static volt_status choose(drawing *d, volt_class_locations *out, int l, int64_t voxels,
                          volt_mersenne *random)
{
    const int64_t least = (int64_t)ceil((double)voxels * location_fraction);
    uint32_t *order = NULL;
    volt_status st;

    if (voxels > UINT32_MAX)
        return volt_fail(VOLT_ENOTSUP,
                         "%lld voxels of label %d in one case; %lld are supported",
                         (long long)voxels, l, (long long)UINT32_MAX);
    d->wanted = voxels < MIN_LOCATIONS ? voxels : MIN_LOCATIONS;
    d->wanted = d->wanted < least ? least : d->wanted;
    *out = (volt_class_locations){.label = l, .voxels = voxels, .count = d->wanted};
    VOLT_TRY(
        st, done,
        volt_alloc(&d->location, (size_t)d->wanted * sizeof *d->location, "class locations"));
    out->location = d->location;
    VOLT_TRY(st, done,
             volt_alloc(&d->chosen, (size_t)d->wanted * sizeof *d->chosen, "class locations"));
    VOLT_TRY(st, done,
             volt_alloc(&order, (size_t)voxels * sizeof *order, "an order of class locations"));
    volt_mersenne_permutation(random, order, voxels);
    memcpy(d->chosen, order, (size_t)d->wanted * sizeof *order);
    qsort(d->chosen, (size_t)d->wanted, sizeof *d->chosen, compare_numbers);
done:
    volt_free(order);
    return st;
}

/* Locations of the classes from first_located to info->labels - 1; voxels outside the non-zero
 * mask count as background. As in nnU-Net, one RandomState(1234) per case serves one class
 * after the other; the background, which nnU-Net draws together with the classes, comes last.
 * The caller owns the arrays in out[].location. */
static volt_status draw_locations(volt_class_locations *out, const volt_volume *labels,
                                  const volt_dataset_info *info, const volt_case *c)
{
    const int64_t n = volt_grid_voxels(&labels->grid);
    const int first = first_located(info);
    volt_mersenne random;
    drawing *drawings = NULL;
    int64_t *voxels = NULL;
    volt_status st;

    volt_mersenne_seed(&random, LOCATION_SEED);
    VOLT_TRY(st, done,
             volt_alloc_zero(&voxels, (size_t)info->labels, sizeof *voxels, "class locations"));
    VOLT_TRY(
        st, done,
        volt_alloc_zero(&drawings, (size_t)info->labels, sizeof *drawings, "class locations"));
    VOLT_TRY(st, done, count_classes(voxels, labels, info, c));
    for (int l = 1; l < info->labels; l++)
        VOLT_TRY(st, done, choose(&drawings[l], &out[l - first], l, voxels[l], &random));
    if (first == 0)
        VOLT_TRY(st, done, choose(&drawings[0], &out[0], 0, voxels[0], &random));
    for (int64_t i = 0; i < n; i++) {
        const int label = label_at(labels, i) < 0 ? 0 : label_at(labels, i);
        if (label >= first && label < info->labels)
            offer(&drawings[label], i);
    }
done:
    for (int l = 0; drawings && l < info->labels; l++)
        volt_free(drawings[l].chosen);
    volt_free(drawings);
    volt_free(voxels);
    return st;
}

/* ---- one case ---- */

typedef struct preprocessing {
    const char *folder;
    const volt_dataset *ds;
    const volt_plan *plan;
    const volt_plan_config *config;
    uint64_t plan_hash;
    bool overwrite;
    int64_t first, step; /* among the cases */
    pthread_mutex_t lock;
    volt_preprocess_result result; /* under the lock */
} preprocessing;

static volt_status store(const char *path, const volt_preprocessed *p, const volt_case *c,
                         const volt_dataset_info *info, uint64_t key)
{
    volt_stored_case stored = {.key = key,
                               .channels = p->image->grid.channels,
                               .data = p->image->data,
                               .label_dtype = p->labels->dtype,
                               .labels = p->labels->data,
                               .source = p->source,
                               .crop = p->crop,
                               .classes = info->labels - first_located(info)};
    volt_class_locations *locations = NULL;
    volt_status st;

    memcpy(stored.shape, p->image->grid.n, sizeof stored.shape);
    memcpy(stored.spacing, p->spacing, sizeof stored.spacing);
    memcpy(stored.transpose_forward, p->transpose_forward, sizeof stored.transpose_forward);
    VOLT_TRY(st, done,
             volt_alloc_zero(&locations, (size_t)stored.classes, sizeof *locations,
                             "class locations"));
    VOLT_TRY(st, done, draw_locations(locations, p->labels, info, c));
    stored.locations = locations;
    st = volt_stored_case_write(path, &stored);
done:
    for (int k = 0; locations && k < stored.classes; k++)
        volt_free((void *)locations[k].location);
    volt_free(locations);
    return st;
}

static volt_status make_case(const preprocessing *w, const volt_case *c, const char *path,
                             uint64_t key, int threads)
{
    volt_case_data d = {0};
    volt_preprocessed p = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_case_read(&d, c, &w->ds->info, threads));
    if (d.shifted && !w->ds->info.allow_shift) {
        st = volt_fail(VOLT_EDATA, "%s lies %.4g mm away from %s", c->file[d.shifted],
                       d.shift_mm, c->file[0]);
        goto done;
    }
    VOLT_TRY(
        st, done,
        volt_preprocess_case(&p, &d.image, &d.labels, w->plan, w->config, c->file[0], threads));
    st = store(path, &p, c, &w->ds->info, key);
done:
    volt_preprocessed_clear(&p);
    volt_case_data_clear(&d);
    return st;
}

static volt_status do_case(void *context, int64_t index, int threads)
{
    preprocessing *w = context;
    const volt_case *c = &w->ds->cases.item[w->first + index * w->step];
    uint64_t key = 0, found = 0;
    char *path = NULL;
    bool kept;
    volt_status st;

    if (!c->label_file)
        return volt_fail(VOLT_EDATA, "%s: case %s has no labels", w->ds->folder, c->id);
    VOLT_TRY(st, done, key_of(&key, w->plan_hash, c));
    VOLT_TRY(st, done, volt_preprocessed_path(&path, w->folder, c->id));
    kept = !w->overwrite && volt_path_exists(path) &&
           volt_stored_case_key(&found, path) == VOLT_OK && found == key;
    if (!kept)
        VOLT_TRY(st, done, make_case(w, c, path, key, threads));
    pthread_mutex_lock(&w->lock);
    w->result.kept += kept;
    w->result.created += !kept;
    pthread_mutex_unlock(&w->lock);
done:
    volt_free(path);
    return st;
}

/* The labels of dataset.json must be the plan's classes, 0 to classes - 1. */
static volt_status check_classes(const volt_dataset *ds, const volt_plan *plan)
{
    const volt_dataset_info *info = &ds->info;

    if (plan->channels != info->channels || plan->classes != info->labels)
        return volt_fail(VOLT_EINVAL,
                         "the plan has %d channel%s and %d label%s; %s has %d and %d",
                         plan->channels, volt_s(plan->channels), plan->classes,
                         volt_s(plan->classes), ds->folder, info->channels, info->labels);
    if (info->label[info->labels - 1].value != info->labels - 1)
        return volt_fail(VOLT_EDATA,
                         "%s/dataset.json: labels are not consecutive: the highest "
                         "of %d is %d",
                         ds->folder, info->labels, info->label[info->labels - 1].value);
    return VOLT_OK;
}

void volt_preprocess_options_init(volt_preprocess_options *o, size_t size)
{
    const volt_preprocess_options defaults = {.overwrite = false};

    volt_options_init(o, size, &defaults, sizeof defaults);
}

/* Threads of this rank and how many cases it works on at a time. Ranks of a host share its
 * processors, unless the launcher has bound them, and its memory: if that is too small for a
 * case of each, the last ones have nothing to do. */
static volt_status find_workers(volt_tasks *tasks, const volt_dataset *ds,
                                const volt_case_cost *cost, const volt_preprocess_options *o)
{
    const int ranks = volt_comm_host_ranks(o->comm);
    const int processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    const int each = processors > ranks ? processors / ranks : 1;
    int threads = volt_threads_or_default(o->threads), all;
    volt_status st;

    if (o->threads == 0 && ranks > 1 && threads > each)
        threads = each;
    VOLT_TRY(st, done, volt_case_workers(&all, ds, cost, threads * ranks));
    tasks->threads = threads;
    tasks->workers = all / ranks + (volt_comm_host_index(o->comm) < all % ranks);
    if (tasks->workers == 0)
        tasks->count = 0;
done:
    return st;
}

volt_status volt_preprocess(volt_preprocess_result *result, const char *folder,
                            const volt_dataset *ds, const volt_plan *plan,
                            const volt_plan_config *config,
                            const volt_preprocess_options *options)
{
    volt_preprocess_options o = volt_preprocess_defaults();
    preprocessing w = {.folder = folder,
                       .ds = ds,
                       .plan = plan,
                       .config = config,
                       .plan_hash = hash_of_plan(plan, config),
                       .lock = PTHREAD_MUTEX_INITIALIZER};
    volt_tasks tasks = {.run = do_case, .context = &w, .what = "cases"};
    double target[3];
    /* image and resampled image, each with a temporary copy; labels and masks */
    const volt_case_cost cost = {.image_copies = 3, .label_bytes = 8, .target = target};
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_preprocess_options"));
    w.overwrite = o.overwrite;
    w.first = volt_comm_rank(o.comm);
    w.step = volt_comm_size(o.comm);
    tasks.count = w.result.cases = (ds->cases.count - w.first + w.step - 1) / w.step;
    tasks.callbacks = o.callbacks;
    volt_key_mix_reading(&w.plan_hash, &ds->info);
    if (ds->info.ignore_label >= 0) /* then locations of the background are stored */
        volt_key_mix_int(&w.plan_hash, ds->info.ignore_label);
    VOLT_TRY(st, done, check_classes(ds, plan));
    for (int a = 0; a < 3; a++) /* in the files' order of axes */
        target[config->transpose_forward[a]] = config->spacing[a];
    VOLT_TRY(st, done, find_workers(&tasks, ds, &cost, &o));
    VOLT_TRY(st, done, volt_make_dirs(folder));
    VOLT_TRY(st, done, volt_tasks_run(&tasks));
    if (result)
        *result = w.result;
done:
    pthread_mutex_destroy(&w.lock);
    return st;
}
