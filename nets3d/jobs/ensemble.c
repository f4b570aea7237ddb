#include "nets3d/ensemble.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/options.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/system/owner.h"
#include "base/core/alloc.h"
#include "base/core/available.h"
#include "base/core/fail.h"
#include "base/threads.h"
#include "io/dataset/mask_folder.h"
#include "io/image.h"
#include "io/image/label_files.h"
#include "io/image/names.h"
#include "io/tensors/npz.h"

#define NPZ_LEVEL 1
#define SUFFIX    ".npz"

/* ---- which cases ---- */

/* One case, and the folder in which each member has it; the folders are borrowed. */
typedef struct entry {
    char *id;
    const char **folder; /* (members) */
} entry;

typedef struct entries {
    entry *item;
    int64_t count;
} entries;

static void entries_clear(entries *e)
{
    for (int64_t i = 0; i < e->count; i++) {
        volt_free(e->item[i].id);
        volt_free(e->item[i].folder);
    }
    volt_free(e->item);
    *e = (entries){0};
}

static entry *find_entry(entries *e, const char *id, size_t length)
{
    for (int64_t i = 0; i < e->count; i++) {
        if (strlen(e->item[i].id) == length && memcmp(e->item[i].id, id, length) == 0)
            return &e->item[i];
    }
    return NULL;
}

static volt_status add_entry(entry **out, entries *e, const char *id, size_t length,
                             int members)
{
    entry new = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_format(&new.id, "%.*s", (int)length, id));
    VOLT_TRY(st, done,
             volt_alloc_zero(&new.folder, (size_t)members, sizeof *new.folder, "a case"));
    VOLT_TRY(st, done,
             volt_realloc(&e->item, (size_t)e->count * sizeof *e->item,
                          ((size_t)e->count + 1) * sizeof *e->item, "cases"));
    e->item[e->count] = new;
    *out = &e->item[e->count++];
    new = (entry){0};
done:
    volt_free(new.folder);
    volt_free(new.id);
    return st;
}

/* The cases of one folder of member `m`. */
static volt_status add_folder(entries *e, const char *folder, int m, int members)
{
    volt_names names = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_list_dir(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        const size_t length = strlen(names.name[i]), end = strlen(SUFFIX);
        entry *at;
        if (names.name[i][0] == '.' || length <= end ||
            strcmp(names.name[i] + length - end, SUFFIX) != 0)
            continue;
        at = find_entry(e, names.name[i], length - end);
        if (!at)
            VOLT_TRY(st, done, add_entry(&at, e, names.name[i], length - end, members));
        if (at->folder[m]) {
            st = volt_fail(VOLT_EDATA, "case %s is in %s and in %s", at->id, at->folder[m],
                           folder);
            goto done;
        }
        at->folder[m] = folder;
    }
done:
    volt_names_free(&names);
    return st;
}

static volt_status list_cases(entries *out, const volt_ensemble_member *members, int count)
{
    entries e = {0};
    volt_status st = VOLT_OK;

    for (int m = 0; m < count; m++) {
        for (int f = 0; f < members[m].folders; f++)
            VOLT_TRY(st, done, add_folder(&e, members[m].folder[f], m, count));
    }
    for (int64_t i = 0; i < e.count; i++) {
        for (int m = 0; m < count; m++) {
            if (e.item[i].folder[m])
                continue;
            st = volt_fail(VOLT_EDATA, "%s has no " SUFFIX " of case %s", members[m].folder[0],
                           e.item[i].id);
            goto done;
        }
    }
    if (e.count == 0) {
        st = volt_fail(VOLT_EDATA, "%s contains no probabilities (CASE" SUFFIX ")",
                       members[0].folder[0]);
        goto done;
    }
    *out = e;
    e = (entries){0};
done:
    entries_clear(&e);
    return st;
}

/* ---- one case ---- */

#define PIECE_VOXELS       ((int64_t)1 << 18)  /* averaged at a time */
#define SMALL_BYTES        ((size_t)256 << 10) /* readers, headers, names, per member */
#define WRITE_THREAD_BYTES ((size_t)2 << 20)   /* gzip's buffers, per thread */
#define MIB                (1.0 / (1 << 20))

typedef struct job {
    const volt_ensemble_options *o;
    int members, threads;
    bool regions;
    int outputs;
    uint16_t *value;  /* (outputs) */
    volt_dtype dtype; /* of masks until they are written */
    const volt_callbacks *cb;
    volt_ensemble_result result;
} job;

/* One case being averaged. Its arrays are read class by class, a piece of a class at a time, so
 * that a voxel takes the memory of one label and one probability. */
typedef struct work {
    const entry *of;
    volt_npz_reader **member;  /* (members) */
    int64_t shape[4];          /* (classes, z, y, x) */
    volt_image_header *header; /* of the first member's mask: where the voxels lie */
    volt_volume *labels;
    float *best;   /* (z, y, x) the largest probability so far; NULL for regions */
    float *sum;    /* (z, y, x) of the classes and members, see weight(); NULL as above */
    float *pieces; /* (members, PIECE_VOXELS) */
    volt_zip_writer *zip; /* NULL: the mean is not written */
} work;

static void work_clear(work *w, const job *j)
{
    for (int m = 0; w->member && m < j->members; m++)
        volt_npz_close(w->member[m]);
    volt_free(w->member);
    volt_image_header_free(w->header);
    volt_volume_free(w->labels);
    volt_free(w->best);
    volt_free(w->sum);
    volt_free(w->pieces);
    volt_zip_abort(&w->zip);
    *w = (work){.member = NULL};
}

static volt_status open_member(volt_npz_reader **out, const char *folder, const char *id,
                               const job *j)
{
    volt_npz_reader *r = NULL;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/%s" SUFFIX, folder, id));
    VOLT_TRY(st, done, volt_npz_open(&r, path, "probabilities", 4));
    if (volt_npz_shape(r)[0] != j->outputs) {
        st = volt_fail(VOLT_EDATA, "%s has probabilities of %lld class%s; the labels need %d",
                       path, (long long)volt_npz_shape(r)[0],
                       volt_npz_shape(r)[0] == 1 ? "" : "es", j->outputs);
        goto done;
    }
    *out = r;
    r = NULL;
done:
    volt_npz_close(r);
    volt_free(path);
    return st;
}

/* The mask of the first member. */
static volt_status open_header(volt_image_header **out, const entry *e, const int64_t shape[4])
{
    volt_image_header *header = NULL;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_image_find(&path, e->folder[0], e->id));
    if (!path) {
        st = volt_fail(VOLT_EIO, "%s has no mask of case %s", e->folder[0], e->id);
        goto done;
    }
    VOLT_TRY(st, done, volt_image_info(&header, path));
    if (memcmp(header->grid.n, shape + 1, sizeof header->grid.n) != 0) {
        st = volt_fail(VOLT_EDATA,
                       "%s has %lld x %lld x %lld voxels (z, y, x), its "
                       "probabilities %lld x %lld x %lld",
                       path, (long long)header->grid.n[0], (long long)header->grid.n[1],
                       (long long)header->grid.n[2], (long long)shape[1], (long long)shape[2],
                       (long long)shape[3]);
        goto done;
    }
    *out = header;
    header = NULL;
done:
    volt_image_header_free(header);
    volt_free(path);
    return st;
}

/* Opens and checks the files of a case; no voxels are held yet. */
static volt_status work_open(work *out, const entry *e, const job *j)
{
    work w = {.of = e};
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&w.member, (size_t)j->members, sizeof *w.member, "a case"));
    for (int m = 0; m < j->members; m++) {
        const int64_t *shape;
        VOLT_TRY(st, done, open_member(&w.member[m], e->folder[m], e->id, j));
        shape = volt_npz_shape(w.member[m]);
        if (m == 0)
            memcpy(w.shape, shape, sizeof w.shape);
        if (memcmp(w.shape, shape, sizeof w.shape) != 0) {
            st = volt_fail(VOLT_EDATA,
                           "case %s has %lld x %lld x %lld voxels (z, y, x) in %s and "
                           "%lld x %lld x %lld in %s",
                           e->id, (long long)w.shape[1], (long long)w.shape[2],
                           (long long)w.shape[3], e->folder[0], (long long)shape[1],
                           (long long)shape[2], (long long)shape[3], e->folder[m]);
            goto done;
        }
    }
    VOLT_TRY(st, done, open_header(&w.header, e, w.shape));
    *out = w;
    w = (work){.member = NULL};
done:
    work_clear(&w, j);
    return st;
}

/* Peak bytes while the case is averaged and written. Its shape was checked against its files.
 */
static size_t work_bytes(const work *w, const job *j)
{
    const size_t voxels = (size_t)(w->shape[1] * w->shape[2] * w->shape[3]);
    const size_t labels = voxels * volt_dtype_bytes(j->dtype);
    const size_t stored = j->o->info->stored ? 2 * voxels : 0; /* in the data set's numbers */
    const size_t pieces = (size_t)(j->members * PIECE_VOXELS) * sizeof(float);

    return (size_t)(j->members + 1) * SMALL_BYTES +
           volt_max_size(labels + (j->regions ? 0 : 2 * voxels * sizeof(float)) + pieces,
                         volt_max_size(labels, stored) +
                             volt_max_size(stored, j->dtype == VOLT_U8 ? 0 : 2 * voxels) +
                             (size_t)j->threads * WRITE_THREAD_BYTES);
}

/* Members may store float16, which rounds: a probability may miss 0..1 by RANGE_SLACK, and
 * those of a voxel their sum of 1 by SUM_SLACK. */
#define RANGE_SLACK 1e-3f
#define SUM_SLACK   1e-2f

static volt_status fail_at(const work *w, int m, int64_t at, const char *what, double value)
{
    return volt_fail(
        VOLT_EDATA,
        "%s/%s" SUFFIX ": %s %.6g at voxel %lld, %lld, %lld (z, y, x); %s is expected",
        w->of->folder[m], w->of->id, what, value, (long long)(at / w->shape[3] / w->shape[2]),
        (long long)(at / w->shape[3] % w->shape[2]), (long long)(at % w->shape[3]),
        strstr(what, "sum") ? "1" : "0 to 1");
}

/* Reads the last `left` values of a member, so that a damaged file is found to be one. */
static volt_status read_rest(volt_npz_reader *r, int64_t left)
{
    float piece[1024];
    volt_status st = VOLT_OK;

    for (int64_t n; left > 0 && st == VOLT_OK; left -= n) {
        n = left < 1024 ? left : 1024;
        st = volt_npz_next(r, piece, (size_t)n);
    }
    return st;
}

/* Member `m`'s voxels `at` and the `count` - 1 after it of class `c`. */
static volt_status read_piece(work *w, int m, int c, int64_t at, int64_t count, int outputs)
{
    const int64_t voxels = w->shape[1] * w->shape[2] * w->shape[3];
    float *p = w->pieces + m * PIECE_VOXELS;
    volt_status st = volt_npz_next(w->member[m], p, (size_t)count);
    char what[64];
    int64_t i = 0;

    if (st != VOLT_OK)
        return st;
    while (i < count && p[i] >= -RANGE_SLACK && p[i] <= 1 + RANGE_SLACK)
        i++;
    if (i == count)
        return VOLT_OK;
    st = read_rest(w->member[m], (outputs - c) * voxels - at - count);
    if (st != VOLT_OK)
        return st;
    snprintf(what, sizeof what, "the probability of class %d is", c);
    return fail_at(w, m, at + i, what, (double)p[i]);
}

/* Members are weighted in w->sum, 1 to 2, so that deviations of two do not cancel. */
static float weight(int m)
{
    const float turns = (float)m * 0.618034f;

    return 1 + (turns - floorf(turns));
}

/* Adds the piece of every member to w->sum, before average() overwrites the first. */
static void add_to_sum(work *w, int64_t at, int64_t count, const job *j)
{
    for (int m = 0; m < j->members; m++) {
        const float *p = w->pieces + m * PIECE_VOXELS, by = weight(m);
        for (int64_t i = 0; i < count; i++)
            w->sum[at + i] += by * p[i];
    }
}

/* Reads member `m` again and judges the sum of each voxel; overwrites w->sum. */
static volt_status check_member(work *w, int m, int64_t voxels, const job *j)
{
    volt_npz_reader *r = NULL;
    volt_status st;

    VOLT_TRY(st, done, open_member(&r, w->of->folder[m], w->of->id, j));
    memset(w->sum, 0, (size_t)voxels * sizeof *w->sum);
    for (int c = 0; c < j->outputs; c++) {
        for (int64_t at = 0, count; at < voxels; at += count) {
            count = voxels - at < PIECE_VOXELS ? voxels - at : PIECE_VOXELS;
            VOLT_TRY(st, done, volt_npz_next(r, w->pieces, (size_t)count));
            for (int64_t i = 0; i < count; i++)
                w->sum[at + i] += w->pieces[i];
        }
    }
    for (int64_t i = 0; i < voxels; i++) {
        if (fabsf(w->sum[i] - 1) > SUM_SLACK) {
            st = fail_at(w, m, i, "the probabilities sum to", (double)w->sum[i]);
            break;
        }
    }
done:
    volt_npz_close(r);
    return st;
}

/* After the last class: every voxel's probabilities must sum to 1. Members are read again only
 * where the weighted sum shows that one of them may not. */
static volt_status check_sums(work *w, int64_t voxels, const job *j)
{
    float wanted = 0;
    int64_t i = 0;
    volt_status st = VOLT_OK;

    for (int m = 0; m < j->members; m++)
        wanted += weight(m);
    while (i < voxels && fabsf(w->sum[i] - wanted) <= SUM_SLACK)
        i++;
    for (int m = 0; m < j->members && i < voxels && st == VOLT_OK; m++)
        st = check_member(w, m, voxels, j);
    return st;
}

/* The mean of the members' next voxels, `at` and the `count` - 1 after it of class `c`, into
 * w->pieces; float32 sums in the order of the members, as nnU-Net. Members are read in
 * parallel. */
static volt_status average(work *w, int c, int64_t at, int64_t count, const job *j)
{
    float *mean = w->pieces;
    volt_status st = VOLT_OK;
    int failed = j->members;
    char sentence[1024] = "";

#pragma omp parallel for num_threads(j->threads) schedule(static)
    for (int m = 0; m < j->members; m++) {
        const volt_status own = read_piece(w, m, c, at, count, j->outputs);
        if (own == VOLT_OK)
            continue;
#pragma omp critical(volt_ensemble_member)
        if (m < failed) {
            failed = m;
            st = own;
            snprintf(sentence, sizeof sentence, "%s", volt_last_error());
        }
    }
    if (st != VOLT_OK) {
        volt_set_last_error(sentence);
        return st;
    }
    if (w->sum)
        add_to_sum(w, at, count, j);
    for (int m = 1; m < j->members; m++) {
        const float *more = w->pieces + m * PIECE_VOXELS;
        for (int64_t i = 0; i < count; i++)
            mean[i] += more[i];
    }
    for (int64_t i = 0; i < count; i++)
        mean[i] /= (float)j->members;
    return VOLT_OK;
}

#define DECODE(T)                                                                              \
    do {                                                                                       \
        T *label = (T *)w->labels->data + at;                                                  \
        for (int64_t i = 0; i < count && j->regions; i++)                                      \
            label[i] = p[i] > 0.5f ? value : label[i];                                         \
        for (int64_t i = 0; i < count && !j->regions; i++) {                                   \
            const bool wins = c == 0 || p[i] > w->best[at + i];                                \
            w->best[at + i] = wins ? p[i] : w->best[at + i];                                   \
            label[i] = wins ? value : label[i];                                                \
        }                                                                                      \
    } while (0)

/* Updates the labels from `at` on with class or region `c` of probability p[0 .. count). */
static void decode(work *w, const float *p, int c, int64_t at, int64_t count, const job *j)
{
    if (j->dtype == VOLT_U8) {
        const uint8_t value = (uint8_t)j->value[c];
        DECODE(uint8_t);
    } else {
        const uint16_t value = j->value[c];
        DECODE(uint16_t);
    }
}

static volt_status create_zip(work *w, const char *id, const job *j)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/%s" SUFFIX, j->o->output, id));
    VOLT_TRY(st, done, volt_zip_create(&w->zip, path));
    st = volt_npz_begin(w->zip, "probabilities", w->shape, 4, NPZ_LEVEL);
done:
    volt_free(path);
    return st;
}

/* Averages all classes into labels, and into the archive if there is one. */
static volt_status average_all(work *w, const job *j)
{
    const int64_t voxels = w->shape[1] * w->shape[2] * w->shape[3];
    volt_grid grid = w->header->grid;
    volt_status st;

    grid.channels = 1;
    VOLT_TRY(st, done, volt_volume_create(&w->labels, &grid, j->dtype));
    if (!j->regions) {
        VOLT_TRY(st, done,
                 volt_alloc(&w->best, (size_t)voxels * sizeof *w->best, "an ensemble's mean"));
        VOLT_TRY(
            st, done,
            volt_alloc_zero(&w->sum, (size_t)voxels, sizeof *w->sum, "sums of probabilities"));
    }
    VOLT_TRY(st, done,
             volt_alloc(&w->pieces, (size_t)(j->members * PIECE_VOXELS) * sizeof *w->pieces,
                        "an ensemble's mean"));
    for (int c = 0; c < j->outputs; c++) {
        VOLT_TRY(st, done, volt_check_cancelled(j->cb));
        for (int64_t at = 0, count; at < voxels; at += count) {
            count = voxels - at < PIECE_VOXELS ? voxels - at : PIECE_VOXELS;
            VOLT_TRY(st, done, average(w, c, at, count, j));
            decode(w, w->pieces, c, at, count, j);
            if (w->zip)
                VOLT_TRY(st, done,
                         volt_zip_write(w->zip, w->pieces, (size_t)count * sizeof *w->pieces));
        }
    }
    if (w->sum)
        VOLT_TRY(st, done, check_sums(w, voxels, j));
    volt_free(w->best);
    volt_free(w->sum);
    volt_free(w->pieces);
    w->best = w->sum = w->pieces = NULL;
done:
    return st;
}

/* `path` is the mask's. */
static volt_status make_case(const entry *e, const char *path, const job *j)
{
    volt_image_write_options options = volt_image_write_labels(j->threads);
    volt_dataset_info as_stored;
    volt_label_table names = {0};
    work w = {.member = NULL};
    volt_status st;

    VOLT_TRY(st, done, work_open(&w, e, j));
    if (j->o->probabilities)
        VOLT_TRY(st, done, create_zip(&w, e->id, j));
    VOLT_TRY(st, done, average_all(&w, j));
    if (w.zip) {
        VOLT_TRY(st, done, volt_zip_end(w.zip));
        VOLT_TRY(st, done, volt_zip_commit(&w.zip));
    }
    as_stored = *j->o->info; /* borrowed; the voxels have the files' orientation */
    as_stored.orientation[0] = '\0';
    VOLT_TRY(st, done, volt_mask_restore(&w.labels, &as_stored, w.header, j->threads));
    VOLT_TRY(st, done, volt_label_table_from(&names, j->o->info));
    VOLT_TRY(st, done,
             volt_label_files_mask(j->o->output, j->o->label_files, e->id, w.labels, &names,
                                   j->threads));
    options.names = &names;
    st = volt_image_write(path, w.labels, w.header, &options);
done:
    volt_label_table_clear(&names);
    work_clear(&w, j);
    return st;
}

/* ---- all ---- */

static volt_status open_job(job *j, const volt_ensemble_options *o, int members,
                            const volt_callbacks *cb)
{
    const volt_dataset_info *info = o->info;
    uint16_t most = 0;
    volt_status st;

    *j = (job){
        .o = o, .members = members, .threads = volt_threads_or_default(o->threads), .cb = cb};
    j->outputs = volt_dataset_info_outputs(info);
    j->regions = info->regions > 0;
    VOLT_TRY(st, done,
             volt_alloc(&j->value, (size_t)j->outputs * sizeof *j->value, "label values"));
    for (int i = 0; i < j->outputs; i++) {
        j->value[i] =
            (uint16_t)(info->regions ? info->region[i].painted : info->label[i].value);
        most = j->value[i] > most ? j->value[i] : most;
    }
    j->dtype = most < 255 ? VOLT_U8 : VOLT_U16;
done:
    return st;
}

/* Into the folder of a member, the masks and probabilities would replace its own. */
static volt_status check_output(const char *output, const volt_ensemble_member *members,
                                int count)
{
    for (int m = 0; m < count; m++) {
        for (int i = 0; i < members[m].folders; i++) {
            if (volt_path_is_same(output, members[m].folder[i]))
                return volt_fail(VOLT_EDATA,
                                 "%s holds predictions to be averaged, which the mean would "
                                 "replace; write into another folder",
                                 output);
        }
    }
    return volt_mask_folder_check(output);
}

static volt_status write_info(const volt_ensemble_options *o)
{
    volt_label_table names = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_make_dirs(o->output));
    VOLT_TRY(st, done, volt_label_table_from(&names, o->info));
    VOLT_TRY(st, done, volt_label_files_create(o->output, o->label_files, &names));
    VOLT_TRY(st, done, volt_path_join(&path, o->output, "dataset.json"));
    st = volt_dataset_info_write(path, o->info);
done:
    volt_label_table_clear(&names);
    volt_free(path);
    return st;
}

/* Path of a case's mask, which has the format of the first member's, and whether it is wanted.
 * The caller owns *path. */
static volt_status target_of(char **path, bool *wanted, const entry *e, const job *j)
{
    const char *ending = volt_mask_ending(j->o->info);
    char *first = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_image_find(&first, e->folder[0], e->id));
    if (j->o->ending)
        ending = j->o->ending;
    else if (first && volt_image_check_ending(first, true) == VOLT_OK)
        ending = volt_image_ending(first);
    VOLT_TRY(st, done, volt_format(path, "%s/%s%s", j->o->output, e->id, ending));
    *wanted = !j->o->skip_existing || !volt_path_exists(*path);
done:
    volt_free(first);
    return st;
}

/* Opens every case and looks where its mask goes before the first is written, and logs how much
 * memory the largest takes. */
static volt_status announce(job *j, const entries *e)
{
    size_t most = 0;
    volt_status st = VOLT_OK;

    for (int64_t i = 0; i < e->count; i++) {
        work w = {.member = NULL};
        char *path = NULL;
        bool wanted;
        VOLT_TRY(st, done, target_of(&path, &wanted, &e->item[i], j));
        st = volt_mask_folder_check_file(path);
        volt_free(path);
        if (st != VOLT_OK)
            goto done;
        if (!wanted)
            continue;
        VOLT_TRY(st, done, work_open(&w, &e->item[i], j));
        most = volt_max_size(most, work_bytes(&w, j));
        work_clear(&w, j);
    }
    if (most == 0)
        return VOLT_OK;
    j->result.announced_bytes = most;
    volt_report(j->cb, VOLT_LOG_INFO, "memory: %.0f MiB at most", (double)most * MIB);
    st = volt_mem_check(most, "averaging the largest case");
done:
    return st;
}

static volt_status make_all(job *j, const entries *e)
{
    char *path = NULL;
    bool wanted;
    volt_status st = VOLT_OK;

    volt_report_progress(j->cb, "cases", 0, e->count);
    for (int64_t i = 0; i < e->count; i++) {
        VOLT_TRY(st, done, volt_check_cancelled(j->cb));
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, target_of(&path, &wanted, &e->item[i], j));
        if (wanted) {
            VOLT_TRY(st, done, make_case(&e->item[i], path, j));
            j->result.cases++;
        }
        volt_report_progress(j->cb, "cases", i + 1, e->count);
    }
done:
    volt_free(path);
    return st;
}

static volt_status run(job *j, const entries *e, const volt_ensemble_options *options)
{
    volt_mem_scope scope;
    volt_status st;

    volt_mem_scope_enter(&scope);
    VOLT_TRY(st, done, announce(j, e));
    VOLT_TRY(st, done, write_info(options));
    VOLT_TRY(st, done, make_all(j, e));
    j->result.peak_bytes = volt_mem_scope_peak(&scope);
done:
    volt_mem_scope_leave(&scope);
    return st;
}

void volt_ensemble_options_init(volt_ensemble_options *o, size_t size)
{
    const volt_ensemble_options defaults = {.output = NULL};

    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_status volt_ensemble(volt_ensemble_result *result, const volt_ensemble_member *members,
                          int count, const volt_ensemble_options *options,
                          const volt_callbacks *cb)
{
    volt_ensemble_options o = volt_ensemble_defaults();
    volt_owner *owner = NULL;
    entries e = {0};
    job j = {0};
    volt_status st;

    if (count < 1)
        return volt_fail(VOLT_EINVAL, "an ensemble of %d models; at least 1 is expected",
                         count);
    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_ensemble_options"));
    if (o.ending && !volt_image_holds_masks(o.ending))
        return volt_fail(VOLT_EINVAL, "masks cannot be written as '%s'", o.ending);
    VOLT_TRY(st, done, list_cases(&e, members, count));
    VOLT_TRY(st, done, check_output(o.output, members, count));
    VOLT_TRY(st, done, open_job(&j, &o, count, cb));
    VOLT_TRY(st, done, volt_owner_take(&owner, o.output, VOLT_OWNER_REFUSE, cb));
    VOLT_TRY(st, done, run(&j, &e, &o));
    if (result)
        *result = j.result;
done:
    volt_owner_release(&owner);
    volt_free(j.value);
    entries_clear(&e);
    return st;
}
