/* predict.c - scans from files to masks in files, three at a time: one is read and prepared,
 * one is in the network, one is written. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/nifti.h"
#include "nets3d/predictor_parts.h"

#define MIB (1.0 / (1 << 20))

/* One scan on its way. */
typedef struct item {
    int64_t index;
    volt_prepared scan;
    volt_nifti_header *header;
    volt_volume *labels;
} item;

static void item_clear(item *it)
{
    volt_volume_free(it->labels);
    volt_nifti_header_free(it->header);
    volt_prepared_clear(&it->scan);
    *it = (item){0};
}

/* A hand-over place between two threads: holds one item, or the producer's failure. */
typedef struct place {
    item held;
    bool full;
    bool busy; /* the consumer works on what it took */
    volt_status failure;
    char sentence[1024];
} place;

typedef struct job {
    volt_predictor *p;
    const volt_case_list *cases;
    const char *out;
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

/* ---- the work on one scan ---- */

static volt_status read_item(item *out, const job *j, int64_t index, int threads)
{
    const volt_case *c = &j->cases->item[index];
    const volt_predictor *p = j->p;
    volt_case_data data = {0};
    item it = {.index = index};
    volt_status st;

    VOLT_TRY(st, done, volt_case_read(&data, c, &p->info, threads));
    VOLT_TRY(st, done,
             volt_prepare(&it.scan, &data.image, NULL, p->plan, p->config, c->id, threads));
    it.header = data.header;
    data.header = NULL;
    *out = it;
done:
    volt_case_data_clear(&data);
    return st;
}

static volt_status write_item(const job *j, item *it, int threads)
{
    const volt_nifti_write_options options = {.threads = threads};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             volt_format(&path, "%s/%s.nii.gz", j->out, j->cases->item[it->index].id));
    VOLT_TRY(st, done, volt_mask_restore(&it->labels, &j->p->info, it->header, threads));
    st = volt_nifti_write(path, it->labels, it->header, &options);
done:
    volt_free(path);
    return st;
}

/* ---- reader and writer ---- */

/* While the network computes, reading and writing get a small share of the cores. */
static int side_threads(const job *j)
{
    return j->p->threads > 4 ? j->p->threads / 4 : 1;
}

static void note_failure(place *at, volt_status st)
{
    at->failure = st;
    snprintf(at->sentence, sizeof at->sentence, "%s", volt_last_error());
}

static void *read_all(void *argument)
{
    job *j = argument;

    for (int64_t i = 0; i < j->cases->count; i++) {
        item it = {0};
        volt_status st;
        bool stop;

        pthread_mutex_lock(&j->lock);
        while (j->read.full && !j->stop) /* so no more than one scan waits */
            pthread_cond_wait(&j->change, &j->lock);
        stop = j->stop;
        pthread_mutex_unlock(&j->lock);
        if (stop)
            break;
        st = read_item(&it, j, i, i == 0 ? j->p->threads : side_threads(j));
        pthread_mutex_lock(&j->lock);
        j->read.held = it;
        j->read.full = true;
        if (st != VOLT_OK)
            note_failure(&j->read, st);
        pthread_cond_broadcast(&j->change);
        pthread_mutex_unlock(&j->lock);
        if (st != VOLT_OK)
            break;
    }
    return NULL;
}

static void *write_all(void *argument)
{
    job *j = argument;

    for (;;) {
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

        st = write_item(j, &it, side_threads(j));
        item_clear(&it);
        pthread_mutex_lock(&j->lock);
        j->write.busy = false;
        if (st == VOLT_OK)
            j->result.cases++;
        else
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
        st = read_item(out, j, index, j->p->threads);
    } else {
        pthread_mutex_lock(&j->lock);
        while (!j->read.full)
            pthread_cond_wait(&j->change, &j->lock);
        st = taken_failure(&j->read);
        if (st == VOLT_OK) {
            *out = j->read.held;
            j->read.held = (item){0};
            j->read.full = false;
            pthread_cond_broadcast(&j->change);
        }
        pthread_mutex_unlock(&j->lock);
    }
    j->result.read_wait_s += volt_seconds() - start;
    return st;
}

/* Waits until the writer is idle and reports what happened to it. */
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

/* Writes `it`, or gives it to the writer (it is empty then). */
static volt_status pass_on(job *j, item *it)
{
    volt_status st;

    if (!j->overlap) {
        st = write_item(j, it, j->p->threads);
        j->result.cases += st == VOLT_OK;
        return st;
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

static volt_status predict_all(job *j)
{
    item it = {0};
    volt_status st = VOLT_OK;

    volt_report_progress(j->cb, "cases", 0, j->cases->count);
    for (int64_t i = 0; i < j->cases->count; i++) {
        VOLT_TRY(st, done, volt_check_cancelled(j->cb));
        VOLT_TRY(st, done, next_item(&it, j, i));
        VOLT_TRY(
            st, done,
            volt_predictor_segment(j->p, &it.labels, &it.scan, j->cases->item[i].id, j->cb));
        VOLT_TRY(st, done, pass_on(j, &it));
        item_clear(&it);
        volt_report_progress(j->cb, "cases", i + 1, j->cases->count);
    }
    if (j->overlap)
        st = writer_idle(j);
done:
    item_clear(&it);
    return st;
}

/* ---- memory ---- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The most that any of the scans needs in each stage, judged from the files' headers. */
static volt_status most_memory(volt_predict_memory *out, const job *j)
{
    volt_predict_memory most = {0};
    volt_nifti_header *header = NULL;
    volt_status st = VOLT_OK;

    for (int64_t i = 0; i < j->cases->count; i++) {
        const volt_case *c = &j->cases->item[i];
        volt_predict_memory m;
        volt_grid grid;
        VOLT_TRY(st, done, volt_nifti_info(&header, c->file[0]));
        grid = header->grid;
        grid.channels = j->p->info.channels;
        volt_nifti_header_free(header);
        header = NULL;
        VOLT_TRY(st, done, volt_predict_memory_of(&m, j->p, &grid, c->file[0]));
        most.network = m.network;
        most.prepare = larger(most.prepare, m.prepare);
        most.image = larger(most.image, m.image);
        most.compute = larger(most.compute, m.compute);
        most.mask = larger(most.mask, m.mask);
        most.write = larger(most.write, m.write);
    }
    *out = most;
done:
    return st;
}

/* Announces the peak; without room for three scans at a time they go one after the other. */
static volt_status announce(job *j)
{
    const size_t machine = volt_mem_machine();
    volt_predict_memory m;
    size_t alone, together;
    volt_status st = most_memory(&m, j);

    if (st != VOLT_OK)
        return st;
    alone = m.network + larger(larger(m.prepare, m.compute), m.mask + m.write);
    together = m.network + m.prepare + m.compute + 2 * m.mask + m.write;
    j->overlap = j->cases->count > 1 && (!machine || together <= machine);
    j->result.announced_bytes = j->overlap ? together : alone;
    volt_report(j->cb, VOLT_LOG_INFO, "memory: %.0f MiB at most (network %.0f, scans %.0f)",
                (double)j->result.announced_bytes * MIB, (double)m.network * MIB,
                (double)(j->result.announced_bytes - m.network) * MIB);
    if (machine && alone > machine)
        return volt_fail(VOLT_ENOMEM,
                         "prediction needs %.0f MiB for the largest scan, this machine has "
                         "%.0f MiB",
                         (double)alone * MIB, (double)machine * MIB);
    return VOLT_OK;
}

/* ---- all together ---- */

static volt_status start_thread(pthread_t *thread, bool *runs, void *(*work)(void *), job *j)
{
    const int error = pthread_create(thread, NULL, work, j);

    if (error)
        return volt_fail(VOLT_ENOMEM, "cannot start a thread: %s", strerror(error));
    *runs = true;
    return VOLT_OK;
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
    item_clear(&j->read.held);
    item_clear(&j->write.held);
}

volt_status volt_predict(volt_predictor *p, const volt_case_list *cases, const char *out,
                         const volt_callbacks *cb, volt_predict_result *result)
{
    job j = {.p = p, .cases = cases, .out = out, .cb = cb};
    const double start = volt_seconds(), network = p->network_s;
    const size_t others = volt_mem_current() - p->held_bytes;
    volt_status st;

    volt_mem_reset_peak();
    pthread_mutex_init(&j.lock, NULL);
    pthread_cond_init(&j.change, NULL);
    VOLT_TRY(st, done, announce(&j));
    VOLT_TRY(st, done, volt_make_dirs(out));
    if (j.overlap) {
        VOLT_TRY(st, done, start_thread(&j.reader, &j.reader_runs, read_all, &j));
        VOLT_TRY(st, done, start_thread(&j.writer, &j.writer_runs, write_all, &j));
    }
    st = predict_all(&j);
done:
    stop_threads(&j);
    pthread_cond_destroy(&j.change);
    pthread_mutex_destroy(&j.lock);
    j.result.seconds = volt_seconds() - start;
    j.result.network_s = p->network_s - network;
    j.result.peak_bytes = volt_mem_peak() - others;
    if (result && st == VOLT_OK)
        *result = j.result;
    return st;
}
