#include "nets3d/ensemble.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/threads.h"
#include "io/image.h"
#include "io/npz.h"

#define NPZ_LEVEL 1
#define SUFFIX    ".npz"

/* ---- which cases ---- */

/* One case and where each member has it; the folders are borrowed. */
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
        st = volt_fail(VOLT_EDATA,
                       "%s holds no probabilities (CASE" SUFFIX "): predict with "
                       "--save-probabilities",
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

typedef struct job {
    const volt_ensemble_options *o;
    int members, threads;
    bool regions;
    int outputs;
    uint16_t *value; /* (outputs) */
} job;

static volt_status read_member(volt_npz_array *out, const char *folder, const char *id,
                               const job *j)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/%s" SUFFIX, folder, id));
    VOLT_TRY(st, done, volt_npz_read(out, path, "probabilities", 4));
    if (out->shape[0] != j->outputs) {
        st = volt_fail(VOLT_EDATA, "%s holds probabilities of %lld classes; the labels make %d",
                       path, (long long)out->shape[0], j->outputs);
        volt_free(out->data);
        *out = (volt_npz_array){0};
    }
done:
    volt_free(path);
    return st;
}

static void add(float *restrict sum, const float *restrict more, int64_t count, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i++)
        sum[i] += more[i];
}

static void divide(float *sum, float by, int64_t count, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i++)
        sum[i] /= by;
}

/* The members' mean; float32 sums in the order of the members, as nnU-Net. */
static volt_status average(volt_npz_array *out, const entry *e, const job *j)
{
    volt_npz_array mean = {0}, one = {0};
    int64_t count;
    volt_status st;

    VOLT_TRY(st, done, read_member(&mean, e->folder[0], e->id, j));
    count = mean.shape[0] * mean.shape[1] * mean.shape[2] * mean.shape[3];
    for (int m = 1; m < j->members; m++) {
        VOLT_TRY(st, done, read_member(&one, e->folder[m], e->id, j));
        if (memcmp(mean.shape, one.shape, sizeof mean.shape) != 0) {
            st = volt_fail(VOLT_EDATA,
                           "case %s has %lld x %lld x %lld voxels (z, y, x) in %s and "
                           "%lld x %lld x %lld in %s",
                           e->id, (long long)mean.shape[1], (long long)mean.shape[2],
                           (long long)mean.shape[3], e->folder[0], (long long)one.shape[1],
                           (long long)one.shape[2], (long long)one.shape[3], e->folder[m]);
            goto done;
        }
        add(mean.data, one.data, count, j->threads);
        volt_free(one.data);
        one = (volt_npz_array){0};
    }
    divide(mean.data, (float)j->members, count, j->threads);
    *out = mean;
    mean.data = NULL;
done:
    volt_free(one.data);
    volt_free(mean.data);
    return st;
}

static void decode(uint16_t *labels, const volt_npz_array *mean, const job *j)
{
    const int64_t voxels = mean->shape[1] * mean->shape[2] * mean->shape[3];

#pragma omp parallel for num_threads(j->threads) schedule(static)
    for (int64_t i = 0; i < voxels; i++) {
        const float *p = mean->data + i;
        int best = 0;
        uint16_t painted = 0;
        for (int c = 0; c < j->outputs; c++) {
            painted = p[c * voxels] > 0.5f ? j->value[c] : painted;
            best = p[c * voxels] > p[best * voxels] ? c : best;
        }
        labels[i] = j->regions ? painted : j->value[best];
    }
}

/* The mask of the first member, which says where the voxels lie. */
static volt_status read_header(volt_image_header **out, const entry *e,
                               const volt_npz_array *mean)
{
    volt_image_header *header = NULL;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/%s.nii.gz", e->folder[0], e->id));
    VOLT_TRY(st, done, volt_image_info(&header, path));
    if (memcmp(header->grid.n, mean->shape + 1, sizeof header->grid.n) != 0) {
        st = volt_fail(VOLT_EDATA,
                       "%s has %lld x %lld x %lld voxels (z, y, x), its "
                       "probabilities %lld x %lld x %lld",
                       path, (long long)header->grid.n[0], (long long)header->grid.n[1],
                       (long long)header->grid.n[2], (long long)mean->shape[1],
                       (long long)mean->shape[2], (long long)mean->shape[3]);
        goto done;
    }
    *out = header;
    header = NULL;
done:
    volt_image_header_free(header);
    volt_free(path);
    return st;
}

static volt_status write_npz(const char *id, const volt_npz_array *mean, const job *j)
{
    const size_t count =
        (size_t)(mean->shape[0] * mean->shape[1] * mean->shape[2]) * (size_t)mean->shape[3];
    volt_zip_writer *zip = NULL;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/%s" SUFFIX, j->o->output, id));
    VOLT_TRY(st, done, volt_zip_create(&zip, path));
    VOLT_TRY(st, done, volt_npz_begin(zip, "probabilities", mean->shape, 4, NPZ_LEVEL));
    VOLT_TRY(st, done, volt_zip_write(zip, mean->data, count * sizeof(float)));
    VOLT_TRY(st, done, volt_zip_end(zip));
    st = volt_zip_commit(&zip);
done:
    volt_zip_abort(&zip);
    volt_free(path);
    return st;
}

/* `path` is the mask's. */
static volt_status make_case(const entry *e, const char *path, const job *j)
{
    const volt_image_write_options options = {.labels = true, .threads = j->threads};
    volt_npz_array mean = {0};
    volt_image_header *header = NULL;
    volt_volume *labels = NULL;
    volt_dataset_info as_they_lie;
    volt_grid grid;
    volt_status st;

    VOLT_TRY(st, done, average(&mean, e, j));
    VOLT_TRY(st, done, read_header(&header, e, &mean));
    grid = header->grid;
    grid.channels = 1;
    VOLT_TRY(st, done, volt_volume_create(&labels, &grid, VOLT_U16));
    decode(labels->data, &mean, j);
    as_they_lie = *j->o->info; /* borrowed; the voxels are those of the files */
    as_they_lie.orientation[0] = '\0';
    VOLT_TRY(st, done, volt_mask_restore(&labels, &as_they_lie, header, j->threads));
    if (j->o->probabilities)
        VOLT_TRY(st, done, write_npz(e->id, &mean, j));
    st = volt_image_write(path, labels, header, &options);
done:
    volt_volume_free(labels);
    volt_image_header_free(header);
    volt_free(mean.data);
    return st;
}

/* ---- all ---- */

static volt_status open_job(job *j, const volt_ensemble_options *o, int members)
{
    const volt_dataset_info *info = o->info;
    volt_status st;

    *j = (job){.o = o, .members = members, .threads = volt_threads_or_default(o->threads)};
    j->outputs = volt_dataset_info_outputs(info);
    j->regions = info->regions > 0;
    VOLT_TRY(st, done,
             volt_alloc(&j->value, (size_t)j->outputs * sizeof *j->value, "label values"));
    for (int i = 0; i < j->outputs; i++)
        j->value[i] =
            (uint16_t)(info->regions ? info->region[i].painted : info->label[i].value);
done:
    return st;
}

static volt_status write_info(const volt_ensemble_options *o)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_make_dirs(o->output));
    VOLT_TRY(st, done, volt_path_join(&path, o->output, "dataset.json"));
    st = volt_dataset_info_write(path, o->info);
done:
    volt_free(path);
    return st;
}

volt_status volt_ensemble(int64_t *cases, const volt_ensemble_member *members, int count,
                          const volt_ensemble_options *options, const volt_callbacks *cb)
{
    entries e = {0};
    job j = {0};
    char *path = NULL;
    int64_t written = 0;
    volt_status st;

    if (count < 1)
        return volt_fail(VOLT_EINVAL, "an ensemble of %d models", count);
    VOLT_TRY(st, done, list_cases(&e, members, count));
    VOLT_TRY(st, done, open_job(&j, options, count));
    VOLT_TRY(st, done, write_info(options));
    volt_report_progress(cb, "cases", 0, e.count);
    for (int64_t i = 0; i < e.count; i++) {
        VOLT_TRY(st, done, volt_check_cancelled(cb));
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, volt_format(&path, "%s/%s.nii.gz", options->output, e.item[i].id));
        if (!options->skip_existing || !volt_path_exists(path)) {
            VOLT_TRY(st, done, make_case(&e.item[i], path, &j));
            written++;
        }
        volt_report_progress(cb, "cases", i + 1, e.count);
    }
    if (cases)
        *cases = written;
done:
    volt_free(path);
    volt_free(j.value);
    entries_clear(&e);
    return st;
}
