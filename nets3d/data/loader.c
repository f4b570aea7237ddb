#include "nets3d/data/loader.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/system/thread_start.h"
#include "nets3d/data/sampler.h"
#include "nets3d/device/stream.h"

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/* How it works: tasks are single samples, numbered through all batches, and any thread takes
 * the next one. A part of a batch is delivered like a batch; "batch" is what is delivered,
 * except in the random streams. A task may start when its batch has a slot in the ring, that is
 * when it is less than `ring` batches after the one the caller holds. The caller waits until
 * all samples of its batch are done and returns the slot with its next call, when its device
 * has read it. Which thread makes a sample, and when, has no effect on it: sample k of batch b
 * draws from random streams keyed by (seed, b, k). So the loader needs no state in checkpoints;
 * it is reopened at the next batch's number, and loaders of several ranks need no messages to
 * share a batch's samples or to take turns.
 *
 * One lock guards the counters. Samples are written outside of it: a slot belongs to the
 * threads that hold its tasks until its `done` is complete, and then to the caller. */

/* One slot of the ring. */
typedef struct slot {
    float *image;
    int16_t *labels;
    const char **name;
    int64_t (*corner)[3];
    int64_t done;     /* samples */
    volt_event *read; /* by the device; NULL where it reads at once */
} slot;

/* One loader thread. */
typedef struct worker {
    volt_loader *loader;
    pthread_t thread;
    bool started;
    volt_sampler *sampler;
} worker;

struct volt_loader {
    volt_loader_options
        options;  /* 0 replaced: parts, samples, turns; ring is 1 without threads */
    int64_t from; /* number of the first part to deliver, from batch 0 on */
    volt_sample_case **cases;
    slot *ring;
    worker *workers;
    int64_t sample_voxels, channels; /* of a sample, as the network sees it */

    pthread_mutex_t lock;
    pthread_cond_t work, ready;
    bool synchronized; /* the three above exist */
    int64_t next_task; /* samples handed out, from the first batch on */
    int64_t released;  /* batches that the caller has returned, from the first on */
    bool lent;         /* the caller holds batch `released` */
    bool stop;
    volt_status failure;
    char sentence[1024];
    double waited;
};

static int64_t voxels_of(const int64_t shape[3])
{
    return shape[0] * shape[1] * shape[2];
}

static volt_sampler_options sampler_options(const volt_loader_options *o)
{
    return (volt_sampler_options){.rules = o->rules,
                                  .classes = o->classes,
                                  .ignore = o->ignore,
                                  .regions = o->regions,
                                  .region_count = o->region_count,
                                  .slices = o->slices,
                                  .part = o->part,
                                  .whole = o->whole};
}

int64_t volt_loader_channels(const volt_loader_options *options)
{
    const volt_sampler_options sampler = sampler_options(options);

    return volt_sampler_channels(&sampler);
}

bool volt_loader_only_cuts(const volt_loader_options *options)
{
    const volt_sampler_options sampler = sampler_options(options);

    return volt_sampler_only_cuts(&sampler);
}

/* The options with what their zeros stand for. */
static volt_loader_options complete(const volt_loader_options *options)
{
    volt_loader_options o = *options;

    o.parts = o.parts > 0 ? o.parts : 1;
    o.turns = o.turns > 0 ? o.turns : 1;
    o.samples = o.samples > 0 ? o.samples : o.batch - o.sample;
    o.ring = o.threads > 0 ? o.ring : 1;
    return o;
}

/* Samplers: one per thread, or that of the calling thread. */
static int workers_of(const volt_loader_options *o)
{
    return o->threads > 0 ? o->threads : 1;
}

static int64_t sample_voxels(const volt_loader_options *o)
{
    const volt_sampler_options sampler = sampler_options(o);

    return volt_sampler_voxels(&sampler);
}

size_t volt_loader_bytes(const volt_loader_options *options)
{
    const volt_loader_options o = complete(options);
    const volt_sampler_options sampler = sampler_options(&o);
    const size_t voxel =
        (size_t)volt_sampler_channels(&sampler) * sizeof(float) + sizeof(int16_t);
    const size_t batch = (size_t)o.samples * ((size_t)volt_sampler_voxels(&sampler) * voxel +
                                              sizeof(char *) + 3 * sizeof(int64_t));

    return (size_t)o.ring * batch + (size_t)workers_of(&o) * volt_sampler_bytes(&sampler);
}

/* The random streams of a sample start here, with its index in the whole batch. */
static volt_rng open_stream(const volt_loader_options *o, int64_t number, int64_t index,
                            volt_rng_purpose purpose)
{
    const uint32_t epoch = (uint32_t)number | (o->validation ? 1u << 31 : 0);

    return volt_rng_open(o->seed, epoch, (uint32_t)index, purpose);
}

/* The number of the `delivered`th part, counted from the first of batch 0. */
static int64_t part_at(const volt_loader *l, int64_t delivered)
{
    return l->from + delivered * l->options.turns;
}

/* Makes the loader's `k`th sample of the `delivered`th batch. */
static volt_status make_sample(slot *to, int64_t delivered, int64_t k, worker *w)
{
    const volt_loader *l = w->loader;
    const volt_loader_options *o = &l->options;
    const int64_t part = part_at(l, delivered), number = part / o->parts;
    const int64_t index = part % o->parts * o->batch + o->sample + k;
    volt_sample_draw draw = {
        .where = open_stream(o, number, index, VOLT_RNG_CASE),
        .change = open_stream(o, number, index, VOLT_RNG_AUGMENT),
        .noise = open_stream(o, number, index, VOLT_RNG_NOISE),
        .forced = (double)index >= rint((double)(o->batch * o->parts) * (1 - o->foreground))};
    volt_sample_case *c = l->cases[volt_rng_below(&draw.where, o->cases)];

    to->name[k] = volt_sample_case_name(c);
    return volt_sampler_make(w->sampler, to->image + k * l->channels * l->sample_voxels,
                             to->labels + k * l->sample_voxels, to->corner[k], c, &draw);
}

/* ---- the threads ---- */

/* The next sample to make, as soon as its slot is free; false if the loader is stopping. */
static bool take_task(volt_loader *l, int64_t *batch, int64_t *sample)
{
    bool go;

    pthread_mutex_lock(&l->lock);
    while (!l->stop && l->next_task / l->options.samples >= l->released + l->options.ring)
        pthread_cond_wait(&l->work, &l->lock);
    go = !l->stop;
    if (go) {
        *batch = l->next_task / l->options.samples;
        *sample = l->next_task % l->options.samples;
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
    if (l->failure != VOLT_OK || s->done == l->options.samples)
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
        finish_task(l, s, make_sample(s, batch, sample, w));
    }
    return NULL;
}

/* The slot of the batch that the caller holds, or gets next. */
static slot *lent_slot(const volt_loader *l)
{
    return &l->ring[l->released % l->options.ring];
}

volt_status volt_loader_uploaded(volt_loader *l, volt_stream *stream)
{
    return volt_event_record(l->options.device, lent_slot(l)->read, stream);
}

/* Without threads: makes the samples of the next batch here. */
static void make_batch(volt_loader *l)
{
    slot *s = lent_slot(l);

    while (l->failure == VOLT_OK && s->done < l->options.samples)
        finish_task(l, s, make_sample(s, l->released, s->done, &l->workers[0]));
}

/* Returns the batch that the caller holds. */
static volt_status take_back(volt_loader *l)
{
    const volt_status st =
        l->lent ? volt_event_sync(l->options.device, lent_slot(l)->read) : VOLT_OK;

    if (st != VOLT_OK)
        return st;
    pthread_mutex_lock(&l->lock);
    if (l->lent) {
        lent_slot(l)->done = 0;
        l->released++;
        l->lent = false;
        pthread_cond_broadcast(&l->work);
    }
    pthread_mutex_unlock(&l->lock);
    return VOLT_OK;
}

volt_status volt_loader_release(volt_loader *l)
{
    return take_back(l);
}

volt_status volt_loader_next(volt_loader *l, volt_batch *out)
{
    const double start = volt_seconds();
    int64_t part;
    volt_status st = take_back(l);
    slot *s;

    if (st != VOLT_OK)
        return st;
    if (l->options.threads == 0)
        make_batch(l);
    pthread_mutex_lock(&l->lock);
    s = lent_slot(l);
    while (l->failure == VOLT_OK && s->done < l->options.samples)
        pthread_cond_wait(&l->ready, &l->lock);
    st = l->failure;
    if (st == VOLT_OK)
        l->lent = true;
    else
        volt_set_last_error(l->sentence);
    pthread_mutex_unlock(&l->lock);
    l->waited += volt_seconds() - start;
    part = part_at(l, l->released);
    if (st == VOLT_OK)
        *out = (volt_batch){.number = part / l->options.parts,
                            .part = part % l->options.parts,
                            .image = s->image,
                            .labels = s->labels,
                            .name = s->name,
                            .corner = (const int64_t(*)[3])s->corner};
    return st;
}

const char *volt_loader_case(const volt_loader *l, int64_t number, int64_t index)
{
    volt_rng where = open_stream(&l->options, number, index, VOLT_RNG_CASE);

    return volt_sample_case_name(l->cases[volt_rng_below(&where, l->options.cases)]);
}

double volt_loader_waited(const volt_loader *l)
{
    return l->waited;
}

/* ---- opening and closing ---- */

static volt_status open_case(volt_sample_case **out, const volt_loader_options *o,
                             const char *name)
{
    const volt_sampler_options options = sampler_options(o);
    char *path = NULL, *prior = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/%s" VOLT_CASE_SUFFIX, o->store, name));
    if (o->prior_masks)
        VOLT_TRY(st, done, volt_format(&prior, "%s/%s" VOLT_CASE_SUFFIX, o->prior_masks, name));
    st = volt_sample_case_open(out, path, prior, name, &options);
done:
    volt_free(prior);
    volt_free(path);
    return st;
}

static volt_status open_slot(slot *s, const volt_loader *l)
{
    const volt_loader_options *o = &l->options;
    const size_t samples = (size_t)o->samples, voxels = samples * (size_t)l->sample_voxels;
    volt_status st;

    VOLT_TRY(st, done,
             volt_pinned_alloc((void **)&s->image, o->device,
                               voxels * (size_t)l->channels * sizeof *s->image,
                               "a batch of images"));
    VOLT_TRY(st, done,
             volt_pinned_alloc((void **)&s->labels, o->device, voxels * sizeof *s->labels,
                               "a batch of labels"));
    VOLT_TRY(st, done, volt_event_create(&s->read, o->device));
    VOLT_TRY(st, done, volt_alloc_zero(&s->name, samples, sizeof *s->name, "a batch's names"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&s->corner, samples, sizeof *s->corner, "a batch's corners"));
done:
    return st;
}

static volt_status open_worker(worker *w, volt_loader *l)
{
    const volt_sampler_options options = sampler_options(&l->options);

    w->loader = l;
    return volt_sampler_open(&w->sampler, &options);
}

static volt_status start_threads(volt_loader *l)
{
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    l->synchronized = true;
    for (int i = 0; i < l->options.threads; i++) {
        volt_status st = volt_thread_start(&l->workers[i].thread, work, &l->workers[i]);
        if (st != VOLT_OK)
            return st;
        l->workers[i].started = true;
    }
    return VOLT_OK;
}

static volt_status check_options(const volt_loader_options *o)
{
    const volt_sampler_options sampler = sampler_options(o);
    int64_t bytes = 0;
    volt_status st;

    if (o->cases < 1 || o->batch < 1 || o->threads < 0 || o->ring < 1 || o->first < 0 ||
        !(o->foreground >= 0) || !(o->foreground <= 1))
        return volt_fail(VOLT_EINVAL,
                         "loader: cases %lld, batch %lld, threads %d, ring %d, first batch "
                         "%lld, foreground %g: one is out of range",
                         (long long)o->cases, (long long)o->batch, o->threads, o->ring,
                         (long long)o->first, o->foreground);
    if (o->sample < 0 || o->sample >= o->batch || o->samples < 0 ||
        o->samples > o->batch - o->sample)
        return volt_fail(VOLT_EINVAL, "loader: %lld samples from number %lld of %lld",
                         (long long)o->samples, (long long)o->sample, (long long)o->batch);
    if (o->turn < 0 || o->turns < 0 || (o->turn > 0 && o->turn >= o->turns))
        return volt_fail(VOLT_EINVAL, "loader: turn %lld of %lld", (long long)o->turn,
                         (long long)o->turns);
    st = volt_sampler_check(&sampler);
    if (st == VOLT_OK &&
        (volt_mul_i64(&bytes, voxels_of(o->rules.patch), volt_sampler_channels(&sampler)) ||
         volt_mul_i64(&bytes, bytes, o->batch) || bytes > INT64_MAX / 1024))
        st =
            volt_fail(VOLT_EINVAL, "loader: a batch of %lld is too large", (long long)o->batch);
    return st;
}

volt_status volt_loader_check_cases(uint64_t *key, const volt_loader_options *options)
{
    uint64_t all = FNV_BASIS;
    volt_status st = check_options(options);

    for (int64_t i = 0; st == VOLT_OK && i < options->cases; i++) {
        volt_sample_case *c = NULL;
        st = open_case(&c, options, options->names[i]);
        if (st == VOLT_OK)
            all = (all ^ volt_sample_case_key(c)) * FNV_PRIME;
        volt_sample_case_close(c);
    }
    if (st == VOLT_OK && key)
        *key = all;
    return st;
}

/* The first part, at or after the first of batch `first`, whose turn it is. */
static int64_t first_part(const volt_loader_options *o)
{
    const int64_t part = o->first * o->parts, ahead = o->turn - part % o->turns;

    return part + (ahead >= 0 ? ahead : ahead + o->turns);
}

volt_status volt_loader_open(volt_loader **out, const volt_loader_options *options)
{
    volt_loader *l = NULL;
    volt_status st;

    VOLT_TRY(st, done, check_options(options));
    VOLT_TRY(st, done, volt_alloc_zero(&l, 1, sizeof *l, "a loader"));
    l->options = complete(options);
    l->from = first_part(&l->options);
    l->sample_voxels = sample_voxels(options);
    l->channels = volt_loader_channels(options);
    VOLT_TRY(st, done,
             volt_alloc_zero(&l->cases, (size_t)options->cases, sizeof *l->cases,
                             "the list of cases"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&l->ring, (size_t)l->options.ring, sizeof *l->ring,
                             "the ring of batches"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&l->workers, (size_t)workers_of(options), sizeof *l->workers,
                             "loader threads"));
    for (int64_t i = 0; i < options->cases; i++)
        VOLT_TRY(st, done, open_case(&l->cases[i], options, options->names[i]));
    for (int i = 0; i < l->options.ring; i++)
        VOLT_TRY(st, done, open_slot(&l->ring[i], l));
    for (int i = 0; i < workers_of(options); i++)
        VOLT_TRY(st, done, open_worker(&l->workers[i], l));
    VOLT_TRY(st, done, start_threads(l));
    l->options.store = l->options.prior_masks = NULL; /* borrowed only until here */
    l->options.names = NULL;
    *out = l;
    l = NULL;
done:
    volt_loader_close(l);
    return st;
}

static void stop_threads(volt_loader *l)
{
    if (!l->synchronized)
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
    for (int i = 0; l->workers && i < workers_of(&l->options); i++)
        volt_sampler_close(l->workers[i].sampler);
    for (int i = 0; l->ring && i < l->options.ring; i++) {
        volt_free(l->ring[i].corner);
        volt_free((void *)l->ring[i].name);
        volt_pinned_free(l->options.device, l->ring[i].labels);
        volt_pinned_free(l->options.device, l->ring[i].image);
        volt_event_destroy(l->options.device, l->ring[i].read);
    }
    for (int64_t i = 0; l->cases && i < l->options.cases; i++)
        volt_sample_case_close(l->cases[i]);
    volt_free(l->workers);
    volt_free(l->ring);
    volt_free(l->cases);
    volt_free(l);
}
