/* Scans from files to masks in files, three at a time: one is read and preprocessed, one is in
 * the network, one is written. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/checked.h"
#include "base/core/plural.h"
#include "base/core/fail.h"
#include "base/system/thread_start.h"
#include "io/image.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/predict/failures.h"
#include "nets3d/predict/stage.h"
#include "nets3d/predict/prior_mask.h"
#include "nets3d/predict/reports.h"
#include "nets3d/predict/spread.h"
#include "nets3d/predict/write.h"
#include "volume/orient.h"

enum { REPORTED = 10 }; /* cases left out that are logged one by one */
#define MANY_PASSES 32  /* one more costs little from here on */
/* Scans that together need more than this are processed one after the other: the network then
 * takes minutes for each, reading and writing seconds. */
#define OVERLAP_BYTES ((size_t)3 << 30)
#define MIB           (1.0 / (1 << 20))

/* One scan being processed. */
typedef struct item {
    int64_t index;
    volt_box roi; /* in the scan as it was read; if asked for */
    volt_preprocessed_scan scan;
    volt_image_header *header;
    volt_segmentation result;
    bool writing; /* its probabilities */
} item;

static void item_clear(item *it, const volt_segmenter *seg)
{
    volt_segmentation_clear(&it->result);
    volt_image_header_free(it->header);
    volt_preprocessed_scan_clear(&it->scan, seg);
    *it = (item){0};
}

/* Passes items from one thread to another: holds one item, or the producer's failure. */
typedef struct place {
    item held;
    bool full;
    bool busy; /* the consumer works on the item it took */
    volt_status failure;
    char sentence[1024];
} place;

typedef struct job {
    volt_segmenter *seg;
    const char *masks; /* folder of prior masks; NULL = none are needed */
    const volt_case_list *cases;
    const volt_predict_output *out;
    volt_segment_request wanted;
    int64_t passes[VOLT_PREDICT_MAX_SETS]; /* of the network, for all cases */
    bool *skip;                            /* per case: its files exist, or it failed */
    int64_t *full;    /* per case: passes of all sets if nothing is cropped */
    int64_t reported; /* of out->failures, as warnings */
    bool described;   /* the output folder: once the first case is computed, so that nothing is
                       * there if all fail */
    struct {          /* the time in the network, corrected as cases go */
        bool on;
        double pass_s;          /* of a pass on average */
        int64_t full, passes;   /* of the cases so far: without cropping, as they are */
        double told_s, told_at; /* seconds left as last logged, and when that was */
    } time;
    const volt_callbacks *cb;
    volt_predict_result result;

    bool overlap;
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool stop;
    place read, write; /* read: failure of the reader; write: failure of the writer */
    pthread_t reader, writer;
    bool reader_runs, writer_runs;
} job;

/* For what one rank says for all. */
static const volt_callbacks *first_rank(const job *j)
{
    return j->seg->spread && j->seg->spread->rank > 0 ? NULL : j->cb;
}

/* ---- the work on one scan ---- */

static volt_status read_item(item *out, const job *j, int64_t index, int threads)
{
    const volt_case *c = &j->cases->item[index];
    const volt_segmenter *seg = j->seg;
    volt_case_data data = {0};
    volt_prior_mask prior = {NULL, NULL};
    item it = {.index = index};
    char *mask = NULL;
    bool preprocessed = false;
    volt_status st;

    if (j->masks)
        VOLT_TRY(st, done, volt_prior_mask_path(&mask, &preprocessed, j->masks, c->id));
    if (preprocessed)
        VOLT_TRY(st, done, volt_stored_case_open(&prior.stored, mask));
    if (mask && !preprocessed) {
        VOLT_TRY(st, done, volt_prior_mask_read(&data, c, mask, &seg->info, threads));
        prior.mask = data.labels;
    } else {
        VOLT_TRY(st, done, volt_case_read(&data, c, &seg->info, threads));
    }
    volt_report_orientation(j->cb, data.header, c->file[0]);
    if (data.shifted)
        volt_report(j->cb, VOLT_LOG_WARNING,
                    "%s lies %.4g mm away from %s; it is used voxel by voxel",
                    c->file[data.shifted], data.shift_mm, c->file[0]);
    if (j->out->roi)
        VOLT_TRY(st, done, volt_scan_roi(&it.roi, j->out->roi, seg, data.header, c->file[0]));
    VOLT_TRY(st, done, volt_case_check_finite(c, data.image, threads));
    VOLT_TRY(st, done,
             volt_preprocess_scan(&it.scan, seg, &data.image, &prior, c->file[0], threads));
    it.header = data.header;
    data.header = NULL;
    *out = it;
done:
    volt_stored_case_close(prior.stored);
    volt_free(mask);
    volt_case_data_clear(&data);
    return st;
}

static volt_status write_item(const job *j, item *it, int threads)
{
    return volt_predict_write(j->out, j->seg, j->cases->item[it->index].id, &it->result,
                              it->header, threads);
}

/* A failure of case `index`: noted, if it may be and the caller collects them; else returned.
 */
static volt_status failed_case(job *j, int64_t index, volt_status st, bool writing)
{
    volt_predict_failures *f = j->out->failures;

    if (st == VOLT_OK || !f || !volt_predict_may_go_on(st, writing))
        return st;
    pthread_mutex_lock(&j->lock);
    st = volt_predict_failures_add(f, j->cases->item[index].id, st);
    pthread_mutex_unlock(&j->lock);
    return st;
}

/* Callbacks are called from the calling thread, so the writer cannot do this. */
static void report_failures(job *j)
{
    const volt_predict_failures *f = j->out->failures;

    if (!f)
        return;
    pthread_mutex_lock(&j->lock);
    for (; j->reported < f->count && j->reported <= REPORTED && j->cases->count > 1;
         j->reported++) {
        if (j->reported < REPORTED)
            volt_report(j->cb, VOLT_LOG_INFO, "case %s is left out: %s",
                        f->item[j->reported].id, f->item[j->reported].sentence);
        else
            volt_report(j->cb, VOLT_LOG_INFO, "more cases are left out");
    }
    pthread_mutex_unlock(&j->lock);
}

/* The first case from `index` on that is not skipped. */
static int64_t next_index(const job *j, int64_t index)
{
    while (index < j->cases->count && j->skip[index])
        index++;
    return index;
}

/* ---- reader and writer ---- */

/* While the network computes, reading and writing get a fraction of the cores. */
static int side_threads(const job *j)
{
    return j->seg->threads > 4 ? j->seg->threads / 4 : 1;
}

static void note_failure(place *at, volt_status st)
{
    at->failure = st;
    snprintf(at->sentence, sizeof at->sentence, "%s", volt_last_error());
}

static void *read_all(void *argument)
{
    job *j = argument;

    for (int64_t i = next_index(j, 0); i < j->cases->count; i = next_index(j, i + 1)) {
        item it = {0};
        volt_status st;
        bool stop;

        pthread_mutex_lock(&j->lock);
        while (j->read.full && !j->stop) /* so at most one scan waits */
            pthread_cond_wait(&j->change, &j->lock);
        stop = j->stop;
        pthread_mutex_unlock(&j->lock);
        if (stop)
            break;
        st = read_item(&it, j, i, i == next_index(j, 0) ? j->seg->threads : side_threads(j));
        pthread_mutex_lock(&j->lock);
        j->read.held = it;
        j->read.full = true;
        if (st != VOLT_OK)
            note_failure(&j->read, st);
        pthread_cond_broadcast(&j->change);
        pthread_mutex_unlock(&j->lock);
        if (st != VOLT_OK && !(j->out->failures && volt_predict_may_go_on(st, false)))
            break;
    }
    return NULL;
}

static void *write_all(void *argument)
{
    job *j = argument;

    for (;;) {
        int64_t index, written;
        volt_status st;
        item it;

        pthread_mutex_lock(&j->lock);
        while (!j->write.full && !j->stop)
            pthread_cond_wait(&j->change, &j->lock);
        if (!j->write.full) {
            pthread_mutex_unlock(&j->lock);
            return NULL;
        }
        it = j->write.held;
        j->write.held = (item){0};
        j->write.full = false;
        j->write.busy = true;
        pthread_mutex_unlock(&j->lock);

        index = it.index;
        st = write_item(j, &it, side_threads(j));
        written = st == VOLT_OK;
        item_clear(&it, j->seg);
        st = failed_case(j, index, st, true);
        pthread_mutex_lock(&j->lock);
        j->write.busy = false;
        j->result.cases += written;
        if (st != VOLT_OK)
            note_failure(&j->write, st);
        pthread_cond_broadcast(&j->change);
        pthread_mutex_unlock(&j->lock);
    }
}

/* ---- the network's side ---- */

static volt_status taken_failure(const place *at)
{
    if (at->failure != VOLT_OK)
        volt_set_last_error(at->sentence);
    return at->failure;
}

static volt_status next_item(item *out, job *j, int64_t index)
{
    const double start = volt_seconds();
    volt_status st;

    if (!j->overlap) {
        st = read_item(out, j, index, j->seg->threads);
    } else {
        pthread_mutex_lock(&j->lock);
        while (!j->read.full)
            pthread_cond_wait(&j->change, &j->lock);
        st = taken_failure(&j->read);
        j->read.failure = VOLT_OK;
        *out = j->read.held; /* empty after a failure */
        j->read.held = (item){0};
        j->read.full = false;
        pthread_cond_broadcast(&j->change);
        pthread_mutex_unlock(&j->lock);
    }
    j->result.read_wait_s += volt_seconds() - start;
    return st;
}

/* Waits until the writer is idle and returns its failure, if any. */
static volt_status writer_idle(job *j)
{
    volt_status st;

    pthread_mutex_lock(&j->lock);
    while ((j->write.full || j->write.busy) && j->write.failure == VOLT_OK)
        pthread_cond_wait(&j->change, &j->lock);
    st = taken_failure(&j->write);
    pthread_mutex_unlock(&j->lock);
    return st;
}

/* Writes `it`, or passes it to the writer, which leaves it empty. */
static volt_status pass_on(job *j, item *it)
{
    volt_status st;

    if (!j->overlap) {
        st = write_item(j, it, j->seg->threads);
        j->result.cases += st == VOLT_OK;
        return failed_case(j, it->index, st, true);
    }
    if ((st = writer_idle(j)) != VOLT_OK)
        return st;
    pthread_mutex_lock(&j->lock);
    j->write.held = *it;
    j->write.full = true;
    *it = (item){0};
    pthread_cond_broadcast(&j->change);
    pthread_mutex_unlock(&j->lock);
    return VOLT_OK;
}

/* Everything for one case except reading it and writing its labels. */
static volt_status compute_item(job *j, item *it)
{
    const char *id = j->cases->item[it->index].id;
    volt_segment_request wanted = j->wanted;
    volt_status st;

    wanted.roi = j->out->roi ? &it->roi : NULL;
    st = volt_segmenter_run(j->seg, &it->result, &it->scan, &wanted, id, j->cb);
    if (st != VOLT_OK)
        return st;
    it->writing = true;
    if (!j->described && (st = volt_predict_describe(j->out, j->seg)) != VOLT_OK)
        return st;
    j->described = true;
    return volt_predict_write_probabilities(j->out, j->seg, id, &it->result, it->header);
}

/* ---- time ---- */

/* Passes of a preprocessed scan in all sets. */
static volt_status scan_passes(int64_t *out, const job *j, const volt_preprocessed_scan *scan)
{
    int64_t passes = 0, tiles;
    volt_status st = VOLT_OK;

    for (int i = 0; i < j->seg->sets; i++) {
        const volt_net_set *g = &j->seg->set[i];
        VOLT_TRY(st, done,
                 volt_net_set_tiles(&tiles, j->seg, g, scan->set[i].image->grid.n, NULL));
        passes += tiles * g->flips;
    }
    *out = passes;
done:
    return st;
}

/* Seconds of a pass, averaged over the sets as their passes are, from one on an empty tile of
 * each; time.on stays false if there are so few passes that this would matter. */
static volt_status measure_pass(job *j)
{
    const volt_spread *sp = j->seg->spread;
    double seconds = 0;
    int64_t passes = 0;
    volt_status st = VOLT_OK;

    if (sp && (sp->rank > 0 || sp->kind == VOLT_SPREAD_VOLUME))
        return VOLT_OK; /* rank 0 tells; passes of all ranks are not its own */
    for (int i = 0; i < j->seg->sets && !j->out->roi; i++) {
        const volt_net_set *g = &j->seg->set[i];
        double start;
        if (!g->program || g->loaded < 0 || j->passes[i] < MANY_PASSES * g->batch)
            return VOLT_OK;
        memset(g->input, 0,
               (size_t)(g->batch * volt_network_in_channels(&g->config->net) * g->patch[0] *
                        g->patch[1] * g->patch[2]) *
                   sizeof *g->input);
        start = volt_seconds();
        VOLT_TRY(st, done, volt_program_forward(g->program, g->input, 0));
        seconds += (volt_seconds() - start) / g->batch * (double)j->passes[i];
        passes += j->passes[i];
    }
    if (passes > 0) {
        j->time.pass_s = seconds / (double)passes / (volt_spread_is_joint(sp) ? sp->ranks : 1);
        j->time.on = true;
    }
done:
    return st;
}

/* Passes that are left from case `index` on: how much of earlier cases was cropped is taken as
 * the rule. */
static double passes_left(const job *j, int64_t index)
{
    double full = 0;

    for (int64_t i = next_index(j, index); i < j->cases->count; i = next_index(j, i + 1))
        full += (double)j->full[i];
    return j->time.full ? full * (double)j->time.passes / (double)j->time.full : full;
}

/* Once the first scan is cropped: how long it and the others will take. */
static volt_status announce_time(job *j, const item *it)
{
    double left;
    int64_t passes;
    volt_status st;

    if (!j->time.on)
        return VOLT_OK;
    if ((st = scan_passes(&passes, j, &it->scan)) != VOLT_OK)
        return st;
    j->time.full += j->full[it->index];
    j->time.passes += passes;
    if (j->time.told_at > 0)
        return VOLT_OK;
    left = (double)passes + passes_left(j, it->index + 1);
    j->time.told_s = left * j->time.pass_s;
    j->time.told_at = volt_seconds();
    volt_report(first_rank(j), VOLT_LOG_INFO, "time: about %.0f s in the network, %.0f pass%s",
                j->time.told_s, left, left == 1 ? "" : "es");
    return VOLT_OK;
}

#define WORTH_TELLING 0.2 /* of what was said before */
#define SHORT_S       10

/* After case `index`: says what is left where that differs from what was said. `network_s` is
 * what the network took so far. */
static void correct_time(job *j, int64_t index, double network_s)
{
    const double now = volt_seconds();
    double left, expected;

    if (!j->time.on || j->time.passes == 0)
        return;
    j->time.pass_s = network_s / (double)j->time.passes;
    left = passes_left(j, index + 1) * j->time.pass_s;
    expected = j->time.told_s - (now - j->time.told_at);
    if (left < SHORT_S ||
        (left > expected * (1 - WORTH_TELLING) && left < expected * (1 + WORTH_TELLING)))
        return;
    volt_report(first_rank(j), VOLT_LOG_INFO, "time: about %.0f s left in the network", left);
    j->time.told_s = left;
    j->time.told_at = now;
}

/* One case, from its place in the list to the writer. */
static volt_status predict_one(job *j, int64_t index)
{
    item it = {.index = index};
    volt_status st;

    VOLT_TRY(st, done, next_item(&it, j, index));
    VOLT_TRY(st, done, announce_time(j, &it));
    st = compute_item(j, &it);
done:
    if (!it.writing || j->described) /* a folder that cannot be described is no case's fault */
        st = failed_case(j, index, st, it.writing);
    /* A failed case has no labels. */
    if (st == VOLT_OK && it.result.labels)
        st = pass_on(j, &it);
    item_clear(&it, j->seg);
    return st;
}

static volt_status predict_all(job *j)
{
    const double before = j->seg->network_s;
    int64_t count = 0, done_cases = 0;
    volt_status st = VOLT_OK;

    for (int64_t i = next_index(j, 0); i < j->cases->count; i = next_index(j, i + 1))
        count++;
    volt_report_progress(j->cb, "cases", 0, count);
    for (int64_t i = next_index(j, 0); i < j->cases->count; i = next_index(j, i + 1)) {
        VOLT_TRY(st, done, volt_check_cancelled(j->cb));
        VOLT_TRY(st, done, predict_one(j, i));
        report_failures(j);
        volt_report_progress(j->cb, "cases", ++done_cases, count);
        correct_time(j, i, j->seg->network_s - before);
    }
    if (j->overlap)
        st = writer_idle(j);
done:
    report_failures(j);
    return st;
}

/* ---- memory ---- */

/* Counts the passes that a scan read on this grid takes, nothing cropped. */
static volt_status count_passes(job *j, int64_t index, const volt_grid *own)
{
    int64_t shape[3], before[3], tiles;
    volt_grid grid;
    bool turned;
    volt_status st;

    VOLT_TRY(st, done, volt_scan_grid(&grid, &turned, j->seg, own));
    for (int i = 0; i < j->seg->sets; i++) {
        const volt_net_set *g = &j->seg->set[i];
        VOLT_TRY(st, done, volt_net_set_shape(shape, before, g, &grid));
        VOLT_TRY(st, done, volt_net_set_tiles(&tiles, j->seg, g, shape, NULL));
        j->passes[i] += tiles * g->flips;
        j->full[index] += tiles * g->flips;
    }
done:
    return st;
}

/* A mesh that does not fit a scan: which one. All ranks say so, and none need be named. */
static volt_status name_case(const char *file)
{
    char why[1024];
    const char *plain = why, *rank = strstr(volt_last_error(), "): ");

    snprintf(why, sizeof why, "%s", volt_last_error());
    if (rank && strncmp(why, "rank ", 5) == 0)
        plain += rank - volt_last_error() + 3;
    return volt_fail(VOLT_EINVAL, "%s: %s", file, plain);
}

/* What one scan needs, by its header. VOLT_ENOMEM with *too_large: more than there is. */
static volt_status case_memory(volt_predict_memory *out, bool *too_large, job *j, int64_t index)
{
    const char *file = j->cases->item[index].file[0];
    const volt_spread *sp = j->seg->spread;
    volt_segment_request wanted = j->wanted;
    volt_image_header *header = NULL;
    volt_grid grid;
    volt_box roi;
    volt_status st;

    VOLT_TRY(st, done, volt_image_info(&header, file));
    grid = volt_case_grid(header);
    grid.channels = j->seg->info.channels;
    /* Whether there is such a region is found when the scan is read. */
    if (j->out->roi && volt_scan_roi(&roi, j->out->roi, j->seg, header, file) == VOLT_OK)
        wanted.roi = &roi;
    if (volt_spread_is_joint(sp))
        VOLT_TRY(st, done, volt_spread_ask_memory(sp, &grid, wanted.roi));
    st = volt_predict_memory_of(out, j->seg, &grid, &wanted, file);
    if (st == VOLT_EINVAL && sp && sp->kind == VOLT_SPREAD_VOLUME)
        st = name_case(file);
    if (st != VOLT_OK)
        goto done;
    out->preprocess +=
        header->helper_bytes; /* of volt-itk, which reads and writes some formats */
    out->write += header->helper_bytes;
    st = volt_predict_memory_check(j->seg, out, file);
    *too_large = st == VOLT_ENOMEM;
    if (st == VOLT_OK)
        st = count_passes(j, index, &grid);
done:
    volt_image_header_free(header);
    return st;
}

/* The maximum that any scan needs in each stage, and together; *others: of each rank that
 * follows this one, if any. */
static volt_status most_memory(volt_predict_memory *out, size_t *alone, size_t others[], job *j)
{
    const volt_spread *sp = j->seg->spread;
    volt_predict_memory most = {0};
    volt_status st = VOLT_OK;

    *alone = 0;
    volt_predict_memory_start(j->seg);
    for (int64_t i = next_index(j, 0); i < j->cases->count; i = next_index(j, i + 1)) {
        bool too_large = false;
        volt_predict_memory m;
        if ((st = case_memory(&m, &too_large, j, i)) != VOLT_OK) {
            j->skip[i] = true;
            if (too_large && j->out->failures)
                st = volt_predict_failures_add(j->out->failures, j->cases->item[i].id, st);
            else
                st = failed_case(j, i, st, false);
            if (st != VOLT_OK)
                goto done;
            continue;
        }
        most.device = volt_max_size(most.device, m.device);
        most.network = volt_max_size(most.network, m.network);
        most.preprocess = volt_max_size(most.preprocess, m.preprocess);
        most.compute = volt_max_size(most.compute, m.compute);
        most.ready = volt_max_size(most.ready, m.ready);
        most.write = volt_max_size(most.write, m.write);
        *alone = volt_max_size(*alone, volt_predict_memory_alone(&m));
        for (int r = 1; others && r < sp->ranks; r++)
            others[r] = volt_max_size(others[r], sp->need[r]);
    }
    *out = most;
done:
    return st;
}

/* Logs the peak. Scans go one after the other if three at a time would take too much. */
static volt_status announce(job *j)
{
    const volt_spread *sp = j->seg->spread;
    size_t alone, together, *others = NULL;
    volt_predict_memory m;
    volt_status st = VOLT_OK;

    if (volt_spread_is_joint(sp))
        VOLT_TRY(st, done,
                 volt_alloc_zero(&others, (size_t)sp->ranks, sizeof *others, "ranks"));
    VOLT_TRY(st, done, most_memory(&m, &alone, others, j));
    together = m.network + m.preprocess + m.compute + 2 * m.ready + m.write;
    j->overlap = j->cases->count > 1 && together <= OVERLAP_BYTES &&
                 together <= volt_predict_memory_left(j->seg);
    j->result.announced_bytes = m.device + (j->overlap ? together : alone);
    volt_report(first_rank(j), VOLT_LOG_INFO,
                "memory: %.0f MiB at most (network %.0f, scans %.0f)",
                (double)j->result.announced_bytes * MIB, (double)(m.network + m.device) * MIB,
                (double)(j->result.announced_bytes - m.network - m.device) * MIB);
    if (others)
        volt_predict_memory_report(j->cb, others, sp->ranks);
    st = measure_pass(j);
done:
    volt_free(others);
    return st;
}

/* ---- all cases ---- */

static volt_status start_thread(pthread_t *thread, bool *runs, void *(*work)(void *), job *j)
{
    volt_status st = volt_thread_start(thread, work, j);

    *runs = st == VOLT_OK;
    return st;
}

static void stop_threads(job *j)
{
    pthread_mutex_lock(&j->lock);
    j->stop = true;
    pthread_cond_broadcast(&j->change);
    pthread_mutex_unlock(&j->lock);
    if (j->reader_runs)
        pthread_join(j->reader, NULL);
    if (j->writer_runs)
        pthread_join(j->writer, NULL);
    item_clear(&j->read.held, j->seg);
    item_clear(&j->write.held, j->seg);
}

/* Marks the cases that need not be computed. */
static volt_status find_existing(job *j)
{
    const size_t room = (size_t)j->cases->count + 1;
    const volt_spread *sp = j->seg->spread;
    volt_status st = volt_alloc_zero(&j->skip, room, sizeof *j->skip, "a list of cases");

    if (st == VOLT_OK)
        st = volt_alloc_zero(&j->full, room, sizeof *j->full, "a list of cases");
    for (int64_t i = 0; st == VOLT_OK && j->out->failures && i < j->cases->count; i++)
        j->skip[i] = volt_predict_failures_have(j->out->failures, j->cases->item[i].id);
    for (int64_t i = 0; st == VOLT_OK && sp && sp->owner && i < j->cases->count; i++)
        j->skip[i] = j->skip[i] || sp->owner[i] != sp->rank; /* or failed on rank 0 */
    for (int64_t i = 0; st == VOLT_OK && j->out->skip_existing && i < j->cases->count; i++) {
        bool there;
        if (j->skip[i])
            continue;
        st = volt_predict_written(&there, j->out, j->seg, j->cases->item[i].id);
        j->skip[i] = st == VOLT_OK && there;
        j->result.skipped += j->skip[i];
    }
    if (j->result.skipped > 0)
        volt_report(
            first_rank(j), VOLT_LOG_INFO, "skipping %lld of %lld case%s: all files exist",
            (long long)j->result.skipped, (long long)j->cases->count, volt_s(j->cases->count));
    return st;
}

static volt_status run_job(job *j)
{
    volt_status st;

    VOLT_TRY(st, done, find_existing(j));
    VOLT_TRY(st, done, announce(j));
    if (next_index(j, 0) >= j->cases->count)
        goto done; /* no case is left */
    VOLT_TRY(st, done, volt_predict_create_output(j->out, j->seg));
    if (j->overlap) {
        VOLT_TRY(st, done, start_thread(&j->reader, &j->reader_runs, read_all, j));
        VOLT_TRY(st, done, start_thread(&j->writer, &j->writer_runs, write_all, j));
    }
    st = predict_all(j);
done:
    return st;
}

static volt_status predict_stage(volt_segmenter *seg, const char *masks,
                                 const volt_case_list *cases, const volt_predict_output *output,
                                 const volt_callbacks *cb, volt_predict_result *result)
{
    const bool probabilities = output->probabilities || output->probability_nifti;
    job j = {.seg = seg,
             .masks = masks,
             .cases = cases,
             .out = output,
             .wanted = {.regions = output->regions,
                        .probabilities = probabilities,
                        .packed = output->probability_nifti},
             .reported = output->failures ? output->failures->count : 0,
             /* Rank 0 does it where it writes all; else each, before a mask of its own. */
             .described = volt_spread_is_joint(seg->spread) && seg->spread->rank > 0,
             .cb = cb};
    const double start = volt_seconds(), network = seg->network_s;
    const bool joint = volt_spread_is_joint(seg->spread);
    const size_t held = seg->held_bytes;
    volt_mem_scope scope;
    volt_status st;

    volt_mem_scope_enter(&scope);
    pthread_mutex_init(&j.lock, NULL);
    pthread_cond_init(&j.change, NULL);
    if (joint && seg->spread->rank > 0) {
        st = volt_spread_follow(seg, &j.wanted, &j.result.announced_bytes, cb);
    } else {
        st = run_job(&j);
        stop_threads(&j);
    }
    if (joint && seg->spread->rank == 0)
        st = volt_spread_end(seg->spread, st);
    pthread_cond_destroy(&j.change);
    pthread_mutex_destroy(&j.lock);
    volt_free(j.full);
    volt_free(j.skip);
    j.result.seconds = volt_seconds() - start;
    j.result.network_s = seg->network_s - network;
    volt_mem_scope_leave(&scope);
    j.result.peak_bytes = held + volt_mem_scope_peak(&scope);
    if (st == VOLT_OK)
        *result = j.result;
    return st;
}

volt_status volt_predict_stage(volt_segmenter *seg, const char *masks,
                               const volt_case_list *cases, const volt_predict_output *output,
                               const volt_callbacks *cb, volt_predict_result *result)
{
    const volt_spread *sp = seg->spread;
    volt_reports *reports = NULL;
    volt_status st;

    if (!sp)
        return predict_stage(seg, masks, cases, output, cb, result);
    VOLT_TRY(st, done, volt_spread_measure(sp));
    if (volt_spread_is_joint(sp))
        return predict_stage(seg, masks, cases, output, cb, result);
    VOLT_TRY(st, done, volt_reports_open(&reports, sp, cb));
    st = predict_stage(seg, masks, cases, output, volt_reports_callbacks(reports), result);
    st = volt_reports_close(&reports, st);
done:
    return st;
}
