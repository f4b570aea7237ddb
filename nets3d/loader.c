#include "nets3d/loader.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/case_store.h"
#include "volume/patch.h"

/* One stored case and the classes that samples can be forced to. */
typedef struct loader_case {
    const volt_stored_case *stored;
    char *name;
    int *foreground; /* indices of its locations: label > 0, at least one voxel */
    int foregrounds;
    atomic_bool verified;
} loader_case;

/* One place of the ring. */
typedef struct slot {
    float *image;
    int16_t *labels;
    const char **name;
    int64_t (*corner)[3];
    int64_t done; /* samples */
} slot;

/* What one loader thread owns. */
typedef struct worker {
    volt_loader *loader;
    pthread_t thread;
    bool started;
    float *image;    /* (channels, largest source) */
    int16_t *labels; /* (largest source) */
    void *scratch;
} worker;

struct volt_loader {
    volt_loader_options options;
    loader_case *cases;
    slot *ring;
    worker *workers;
    int64_t initial[3]; /* source of a spatially changed sample */
    int64_t sample_voxels;

    pthread_mutex_t lock;
    pthread_cond_t work, ready;
    bool synchronised; /* the three above exist */
    int64_t next_task; /* samples handed out, from the first batch on */
    int64_t released;  /* batches the caller is done with, from the first on */
    bool lent;         /* batch `released` is at the caller */
    bool stop;
    volt_status failure;
    char sentence[1024];
    double waited;
};

static int64_t voxels_of(const int64_t shape[3])
{
    return shape[0] * shape[1] * shape[2];
}

/* Elements of the largest source a worker reads. */
static int64_t source_voxels(const volt_loader_options *o)
{
    int64_t initial[3];

    volt_augment_initial_patch(initial, &o->rules);
    for (int a = 0; a < 3; a++) {
        if (initial[a] < o->rules.patch[a])
            initial[a] = o->rules.patch[a];
    }
    return voxels_of(initial);
}

size_t volt_loader_bytes(const volt_loader_options *o)
{
    const size_t voxel = (size_t)o->rules.channels * sizeof(float) + sizeof(int16_t);
    const size_t batch = (size_t)o->batch * ((size_t)voxels_of(o->rules.patch) * voxel +
                                             sizeof(char *) + 3 * sizeof(int64_t));
    const size_t one_worker =
        (size_t)source_voxels(o) * voxel + volt_augment_scratch_bytes(&o->rules);

    return (size_t)o->ring * batch + (size_t)o->threads * one_worker;
}

/* ---- one sample ---- */

/* Where a box of `shape` may start: as nnU-Net, a case smaller than the box is centred in it,
 * and a box with margin may reach out by the margin. Inclusive. */
static void corner_range(int64_t low[3], int64_t high[3], const int64_t extent[3],
                         const int64_t box[3], const int64_t patch[3])
{
    for (int a = 0; a < 3; a++) {
        int64_t pad = box[a] - patch[a];
        if (pad + extent[a] < box[a])
            pad = box[a] - extent[a];
        low[a] = -(pad / 2 + pad % 2);
        high[a] = extent[a] + pad / 2 + pad % 2 - box[a];
    }
}

/* The lower corner of a sample's box with margin. */
static void draw_corner(int64_t corner[3], const volt_loader *l, const loader_case *c,
                        bool forced, volt_rng *rng)
{
    const int64_t *extent = c->stored->shape;
    int64_t low[3], high[3];

    corner_range(low, high, extent, l->initial, l->options.rules.patch);
    if (forced && c->foregrounds) {
        const volt_class_locations *chosen =
            &c->stored->locations[c->foreground[volt_rng_below(rng, c->foregrounds)]];
        const int64_t at = (int64_t)chosen->location[volt_rng_below(rng, chosen->count)];
        const int64_t voxel[3] = {at / (extent[1] * extent[2]), at / extent[2] % extent[1],
                                  at % extent[2]};
        for (int a = 0; a < 3; a++) {
            corner[a] = voxel[a] - l->initial[a] / 2;
            if (corner[a] < low[a])
                corner[a] = low[a];
        }
        return;
    }
    for (int a = 0; a < 3; a++)
        corner[a] = low[a] + volt_rng_below(rng, high[a] - low[a] + 1);
}

/* Reads the box of image and labels, 0 and -1 outside the case. */
static volt_status read_box(worker *w, const loader_case *c, volt_box box)
{
    const volt_stored_case *stored = c->stored;
    const volt_loader_options *o = &w->loader->options;
    volt_volume image = {.dtype = VOLT_F32, .data = (void *)stored->data};
    volt_volume labels = {.dtype = stored->label_dtype, .data = (void *)stored->labels};
    volt_status st;

    for (int a = 0; a < 3; a++)
        image.grid.n[a] = labels.grid.n[a] = stored->shape[a];
    image.grid.channels = stored->channels;
    labels.grid.channels = 1;
    VOLT_TRY(st, done, volt_patch_read(w->image, box, &image, 0));
    VOLT_TRY(st, done, volt_patch_read_labels(w->labels, box, &labels, -1));
    for (int64_t i = 0; i < volt_box_voxels(box); i++) {
        const int v = w->labels[i];
        if (v < -1 || (v >= o->classes && v != o->ignore))
            return volt_fail(VOLT_EDATA, "case %s: label %d is none of the %lld classes",
                             c->name, v, (long long)o->classes);
    }
done:
    return st;
}

static volt_status verify_once(loader_case *c)
{
    volt_status st = VOLT_OK;

    if (!atomic_load(&c->verified)) {
        st = volt_stored_case_verify(c->stored);
        atomic_store(&c->verified, st == VOLT_OK);
    }
    return st;
}

/* Cuts the box that `draw` needs out of the case and makes sample `k` of `to`. */
static volt_status cut_and_augment(slot *to, int64_t k, worker *w, loader_case *c,
                                   const int64_t corner[3], const volt_augment_draw *draw)
{
    const volt_loader *l = w->loader;
    const volt_augment_rules *rules = &l->options.rules;
    volt_augment_source source = {.image = w->image, .labels = w->labels};
    const int64_t voxels = l->sample_voxels;
    int64_t low[3];
    volt_status st;

    volt_augment_source_shape(source.shape, rules, draw);
    for (int a = 0; a < 3; a++) {
        low[a] = corner[a] + l->initial[a] / 2 - source.shape[a] / 2;
        to->corner[k][a] = corner[a] + l->initial[a] / 2 - rules->patch[a] / 2;
    }
    st = read_box(w, c, volt_box_at(low, source.shape));
    if (st != VOLT_OK)
        return st;
    return volt_augment_apply(to->image + k * rules->channels * voxels, to->labels + k * voxels,
                              &source, rules, draw, w->scratch);
}

/* Makes sample `k` of batch `number`: all randomness starts here. */
static volt_status make_sample(slot *to, int64_t number, int64_t k, worker *w)
{
    const volt_loader *l = w->loader;
    const volt_loader_options *o = &l->options;
    const uint32_t epoch = (uint32_t)number | (o->validation ? 1u << 31 : 0);
    volt_rng where = volt_rng_open(o->seed, epoch, (uint32_t)k, VOLT_RNG_CASE);
    volt_rng change = volt_rng_open(o->seed, epoch, (uint32_t)k, VOLT_RNG_AUGMENT);
    const volt_rng noise = volt_rng_open(o->seed, epoch, (uint32_t)k, VOLT_RNG_NOISE);
    const bool forced = k >= (int64_t)rint((double)o->batch * (1 - o->foreground));
    loader_case *c = &l->cases[volt_rng_below(&where, o->cases)];
    volt_augment_draw draw;
    int64_t corner[3];
    volt_status st = verify_once(c);

    if (st != VOLT_OK)
        return st;
    draw_corner(corner, l, c, forced, &where);
    volt_augment_draw_make(&draw, &o->rules, &change, &noise);
    to->name[k] = c->name;
    return cut_and_augment(to, k, w, c, corner, &draw);
}

/* ---- the threads ---- */

/* The next sample to make, as soon as its place is free; false when the loader stops. */
static bool take_task(volt_loader *l, int64_t *batch, int64_t *sample)
{
    bool go;

    pthread_mutex_lock(&l->lock);
    while (!l->stop && l->next_task / l->options.batch >= l->released + l->options.ring)
        pthread_cond_wait(&l->work, &l->lock);
    go = !l->stop;
    if (go) {
        *batch = l->next_task / l->options.batch;
        *sample = l->next_task % l->options.batch;
        l->next_task++;
    }
    pthread_mutex_unlock(&l->lock);
    return go;
}

static void finish_task(volt_loader *l, slot *s, volt_status st)
{
    pthread_mutex_lock(&l->lock);
    s->done++;
    if (st != VOLT_OK && l->failure == VOLT_OK) {
        l->failure = st;
        snprintf(l->sentence, sizeof l->sentence, "%s", volt_last_error());
        l->stop = true;
        pthread_cond_broadcast(&l->work);
    }
    if (l->failure != VOLT_OK || s->done == l->options.batch)
        pthread_cond_signal(&l->ready);
    pthread_mutex_unlock(&l->lock);
}

static void *work(void *argument)
{
    worker *w = argument;
    volt_loader *l = w->loader;
    int64_t batch, sample;

    while (take_task(l, &batch, &sample)) {
        slot *s = &l->ring[batch % l->options.ring];
        finish_task(l, s, make_sample(s, l->options.first + batch, sample, w));
    }
    return NULL;
}

volt_status volt_loader_next(volt_loader *l, volt_batch *out)
{
    const double start = volt_seconds();
    volt_status st;
    slot *s;

    pthread_mutex_lock(&l->lock);
    if (l->lent) {
        l->ring[l->released % l->options.ring].done = 0;
        l->released++;
        l->lent = false;
        pthread_cond_broadcast(&l->work);
    }
    s = &l->ring[l->released % l->options.ring];
    while (l->failure == VOLT_OK && s->done < l->options.batch)
        pthread_cond_wait(&l->ready, &l->lock);
    st = l->failure;
    if (st == VOLT_OK)
        l->lent = true;
    else
        volt_set_last_error(l->sentence);
    pthread_mutex_unlock(&l->lock);
    l->waited += volt_seconds() - start;
    if (st == VOLT_OK)
        *out = (volt_batch){.number = l->options.first + l->released,
                            .image = s->image,
                            .labels = s->labels,
                            .name = s->name,
                            .corner = (const int64_t(*)[3])s->corner};
    return st;
}

double volt_loader_waited(const volt_loader *l)
{
    return l->waited;
}

/* ---- opening and closing ---- */

static volt_status open_case(loader_case *c, const volt_loader_options *o, const char *name)
{
    const volt_stored_case *s;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_strdup(&c->name, name));
    VOLT_TRY(st, done, volt_format(&path, "%s/%s" VOLT_CASE_SUFFIX, o->store, name));
    VOLT_TRY(st, done, volt_stored_case_open(&c->stored, path));
    s = c->stored;
    if (s->channels != o->rules.channels) {
        st = volt_fail(VOLT_EDATA, "%s has %d channels; the network takes %d", path,
                       s->channels, (int)o->rules.channels);
        goto done;
    }
    if (!s->labels) {
        st = volt_fail(VOLT_EDATA, "%s has no labels to learn from", path);
        goto done;
    }
    VOLT_TRY(st, done,
             volt_alloc_zero(&c->foreground, (size_t)s->classes + 1, sizeof *c->foreground,
                             "classes of a case"));
    for (int i = 0; i < s->classes; i++) {
        if (s->locations[i].label > 0 && s->locations[i].label != o->ignore &&
            s->locations[i].count > 0)
            c->foreground[c->foregrounds++] = i;
    }
done:
    volt_free(path);
    return st;
}

static volt_status open_slot(slot *s, const volt_loader *l)
{
    const volt_loader_options *o = &l->options;
    const size_t voxels = (size_t)o->batch * (size_t)l->sample_voxels;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&s->image, voxels * (size_t)o->rules.channels, sizeof *s->image,
                             "a batch of images"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&s->labels, voxels, sizeof *s->labels, "a batch of labels"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&s->name, (size_t)o->batch, sizeof *s->name, "a batch's names"));
    VOLT_TRY(
        st, done,
        volt_alloc_zero(&s->corner, (size_t)o->batch, sizeof *s->corner, "a batch's corners"));
done:
    return st;
}

static volt_status open_worker(worker *w, volt_loader *l)
{
    const size_t voxels = (size_t)source_voxels(&l->options);
    const volt_augment_rules *rules = &l->options.rules;
    volt_status st;

    w->loader = l;
    VOLT_TRY(st, done,
             volt_alloc_zero(&w->image, voxels * (size_t)rules->channels, sizeof *w->image,
                             "a sample with margin"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&w->labels, voxels, sizeof *w->labels, "a sample with margin"));
    VOLT_TRY(
        st, done,
        volt_alloc(&w->scratch, volt_augment_scratch_bytes(rules), "scratch of augmentation"));
done:
    return st;
}

static volt_status start_threads(volt_loader *l)
{
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    l->synchronised = true;
    for (int i = 0; i < l->options.threads; i++) {
        const int error = pthread_create(&l->workers[i].thread, NULL, work, &l->workers[i]);
        if (error)
            return volt_fail(VOLT_ENOMEM, "cannot start loader thread %d: %s", i,
                             strerror(error));
        l->workers[i].started = true;
    }
    return VOLT_OK;
}

static volt_status check_options(const volt_loader_options *o)
{
    int64_t voxels;

    if (o->cases < 1 || o->batch < 1 || o->threads < 1 || o->ring < 1 || o->first < 0 ||
        o->classes < 2 || o->rules.channels < 1 ||
        o->rules.channels > VOLT_AUGMENT_MAX_CHANNELS || !(o->foreground >= 0) ||
        !(o->foreground <= 1))
        return volt_fail(VOLT_EINVAL,
                         "loader: %lld cases, batch %lld, %d threads, ring of %d, first batch "
                         "%lld, %lld classes, %d channels, foreground %g: one is out of range",
                         (long long)o->cases, (long long)o->batch, o->threads, o->ring,
                         (long long)o->first, (long long)o->classes, (int)o->rules.channels,
                         o->foreground);
    voxels = o->batch * o->rules.channels;
    for (int a = 0; a < 3; a++) {
        if (o->rules.patch[a] < 1 || volt_mul_i64(&voxels, voxels, o->rules.patch[a]) ||
            voxels > INT64_MAX / 1024)
            return volt_fail(VOLT_EINVAL, "loader: patch extent %lld along axis %d",
                             (long long)o->rules.patch[a], a);
    }
    return VOLT_OK;
}

volt_status volt_loader_open(volt_loader **out, const volt_loader_options *options)
{
    volt_loader *l = NULL;
    volt_status st;

    VOLT_TRY(st, done, check_options(options));
    VOLT_TRY(st, done, volt_alloc_zero(&l, 1, sizeof *l, "a loader"));
    l->options = *options;
    l->sample_voxels = voxels_of(options->rules.patch);
    volt_augment_initial_patch(l->initial, &options->rules);
    VOLT_TRY(st, done,
             volt_alloc_zero(&l->cases, (size_t)options->cases, sizeof *l->cases,
                             "the list of cases"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&l->ring, (size_t)options->ring, sizeof *l->ring,
                             "the ring of batches"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&l->workers, (size_t)options->threads, sizeof *l->workers,
                             "loader threads"));
    for (int64_t i = 0; i < options->cases; i++)
        VOLT_TRY(st, done, open_case(&l->cases[i], options, options->names[i]));
    for (int i = 0; i < options->ring; i++)
        VOLT_TRY(st, done, open_slot(&l->ring[i], l));
    for (int i = 0; i < options->threads; i++)
        VOLT_TRY(st, done, open_worker(&l->workers[i], l));
    VOLT_TRY(st, done, start_threads(l));
    l->options.store = NULL; /* borrowed only until here */
    l->options.names = NULL;
    *out = l;
    l = NULL;
done:
    volt_loader_close(l);
    return st;
}

static void stop_threads(volt_loader *l)
{
    if (!l->synchronised)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->options.threads; i++) {
        if (l->workers[i].started)
            pthread_join(l->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&l->ready);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
}

void volt_loader_close(volt_loader *l)
{
    if (!l)
        return;
    stop_threads(l);
    for (int i = 0; l->workers && i < l->options.threads; i++) {
        volt_free(l->workers[i].scratch);
        volt_free(l->workers[i].labels);
        volt_free(l->workers[i].image);
    }
    for (int i = 0; l->ring && i < l->options.ring; i++) {
        volt_free(l->ring[i].corner);
        volt_free((void *)l->ring[i].name);
        volt_free(l->ring[i].labels);
        volt_free(l->ring[i].image);
    }
    for (int64_t i = 0; l->cases && i < l->options.cases; i++) {
        volt_free(l->cases[i].foreground);
        volt_stored_case_close(l->cases[i].stored);
        volt_free(l->cases[i].name);
    }
    volt_free(l->workers);
    volt_free(l->ring);
    volt_free(l->cases);
    volt_free(l);
}
