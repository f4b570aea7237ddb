/* import.c - converting a data set to nnU-Net raw. */
#include "io/import_dataset.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/core/options.h"
#include "base/core/plural.h"
#include "base/system/file.h"
#include "base/system/owner.h"
#include "base/core/alloc.h"
#include "base/system/tasks.h"
#include "io/dataset/dataset_internal.h"
#include "io/image/names.h"

static const double same_grid_mm = 1e-3;

typedef struct importing {
    const volt_dataset *ds;
    const char *folder, *ending;
    volt_dataset_info info; /* ds->info, borrowed, without an orientation */
    bool copy;
    pthread_mutex_t lock;
    volt_dataset_import_result result; /* under the lock */
} importing;

static void count_files(importing *w, int64_t taken, int64_t written)
{
    pthread_mutex_lock(&w->lock);
    w->result.taken += taken;
    w->result.written += written;
    pthread_mutex_unlock(&w->lock);
}

/* -- Unchanged files -------------------------------------------------------------------- */

static volt_status copy_file(const char *from, const char *to)
{
    volt_map map = {0};
    volt_status st = volt_map_open(&map, from);

    if (st == VOLT_OK)
        st = volt_write_file(to, map.data, map.bytes);
    if (st == VOLT_OK && (st = volt_map_check(map.data, from)) != VOLT_OK)
        (void)unlink(to);
    volt_map_close(&map);
    return st;
}

static volt_status link_file(const char *from, const char *to)
{
    char *real = realpath(from, NULL);
    volt_status st = VOLT_OK;

    if (!real)
        return volt_fail(VOLT_EIO, "cannot open %s: %s", from, strerror(errno));
    if ((unlink(to) != 0 && errno != ENOENT) || symlink(real, to) != 0)
        st = volt_fail(VOLT_EIO, "cannot create the link %s: %s", to, strerror(errno));
    free(real);
    return st;
}

static volt_status take_file(importing *w, const char *from, const char *to)
{
    const volt_status st = w->copy ? copy_file(from, to) : link_file(from, to);

    if (st == VOLT_OK)
        count_files(w, 1, 0);
    return st;
}

/* -- What need not change
 * ------------------------------------------------------------------------ */

static bool ends_right(const importing *w, const char *path)
{
    return strcmp(volt_image_ending(path), w->ending) == 0;
}

/* Whether the images are one 3-D file per channel on one grid; *grid is that of the first. */
static volt_status images_can_stay(bool *stay, volt_grid *grid, const importing *w,
                                   const volt_case *c)
{
    *stay = c->files == w->info.channels;
    for (int i = 0; i < c->files; i++) {
        volt_image_header *header = NULL;
        const volt_status st = volt_image_info(&header, c->file[i]);
        if (st != VOLT_OK)
            return st;
        if (i == 0)
            *grid = header->grid;
        *stay =
            *stay && ends_right(w, c->file[i]) && header->grid.channels == 1 &&
            (!w->info.resample_channels || volt_grid_same(grid, &header->grid, same_grid_mm));
        volt_image_header_free(header);
    }
    return VOLT_OK;
}

/* Whether the labels are stored as integers with the values of training, on the image's grid.
 */
static volt_status labels_can_stay(bool *stay, const importing *w, const volt_case *c,
                                   const volt_grid *image)
{
    volt_image_header *header = NULL;
    volt_status st = VOLT_OK;

    *stay = !w->info.stored && !w->info.thresholds && ends_right(w, c->label_file) &&
            !volt_labels_lack_geometry(c->label_file);
    if (*stay)
        st = volt_image_info(&header, c->label_file);
    if (st == VOLT_OK && *stay)
        *stay = !header->scaled && header->dtype != VOLT_F32 && header->dtype != VOLT_F64 &&
                volt_grid_same(image, &header->grid, same_grid_mm);
    volt_image_header_free(header);
    return st;
}

/* -- Converted files ---------------------------------------------------------------------- */

static volt_status image_name(char **out, const importing *w, const volt_case *c, int channel)
{
    return volt_format(out, "%s/%s/%s_%04d%s", w->folder,
                       c->label_file ? "imagesTr" : "imagesTs", c->id, channel, w->ending);
}

static volt_status label_name(char **out, const importing *w, const volt_case *c)
{
    return volt_format(out, "%s/labelsTr/%s%s", w->folder, c->id, w->ending);
}

static volt_status write_images(importing *w, const volt_case *c, const volt_case_data *d,
                                int threads)
{
    const volt_image_write_options options = volt_image_write_with(threads);
    const int64_t voxels = volt_grid_voxels(&d->image->grid);
    volt_volume one = *d->image;
    volt_status st = VOLT_OK;

    one.grid.channels = 1;
    for (int i = 0; i < w->info.channels; i++) {
        char *path;
        VOLT_TRY(st, done, image_name(&path, w, c, i));
        one.data = (float *)d->image->data + i * voxels;
        st = volt_image_write(path, &one, d->header, &options);
        volt_free(path);
        if (st != VOLT_OK)
            goto done;
        count_files(w, 0, 1);
    }
done:
    return st;
}

static volt_status write_labels(importing *w, const volt_case *c, const volt_case_data *d,
                                int threads)
{
    const volt_image_write_options options = volt_image_write_labels(threads);
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, label_name(&path, w, c));
    VOLT_TRY(st, done, volt_image_write(path, d->labels, d->header, &options));
    count_files(w, 0, 1);
done:
    volt_free(path);
    return st;
}

static volt_status take_images(importing *w, const volt_case *c)
{
    volt_status st = VOLT_OK;

    for (int i = 0; i < c->files && st == VOLT_OK; i++) {
        char *path = NULL;
        st = image_name(&path, w, c, i);
        if (st == VOLT_OK)
            st = take_file(w, c->file[i], path);
        volt_free(path);
    }
    return st;
}

/* -- One case ----------------------------------------------------------------------------- */

static volt_status import_case(importing *w, const volt_case *c, int threads)
{
    volt_case_data d = {0};
    bool images_stay, labels_stay = true;
    char *path = NULL;
    volt_grid grid;
    volt_status st;

    if (c->files < 1)
        return volt_fail(VOLT_EDATA, "case %s has no image", c->id);
    VOLT_TRY(st, done, images_can_stay(&images_stay, &grid, w, c));
    if (c->label_file)
        VOLT_TRY(st, done, labels_can_stay(&labels_stay, w, c, &grid));
    if (!images_stay || !labels_stay)
        VOLT_TRY(st, done, volt_case_read(&d, c, &w->info, threads));
    if (images_stay)
        VOLT_TRY(st, done, take_images(w, c));
    else
        VOLT_TRY(st, done, write_images(w, c, &d, threads));
    if (!c->label_file)
        goto done;
    VOLT_TRY(st, done, label_name(&path, w, c));
    st = labels_stay ? take_file(w, c->label_file, path) : write_labels(w, c, &d, threads);
done:
    volt_free(path);
    volt_case_data_clear(&d);
    return st;
}

/* Training cases first, then those to predict. */
static volt_status run_case(void *context, int64_t index, int threads)
{
    importing *w = context;
    const int64_t cases = w->ds->cases.count;

    return import_case(
        w, index < cases ? &w->ds->cases.item[index] : &w->ds->tests.item[index - cases],
        threads);
}

/* -- The folder --------------------------------------------------------------------------- */

/* The ending of all files if that is .nii or .nii.gz; else the latter. */
static const char *common_ending(const volt_dataset *ds)
{
    static const char *const allowed[] = {".nii", ".nii.gz"};

    for (int e = 0; e < 2; e++) {
        bool all = true;
        for (int64_t i = 0; all && i < ds->cases.count; i++) {
            const volt_case *c = &ds->cases.item[i];
            for (int f = 0; all && f < c->files; f++)
                all = strcmp(volt_image_ending(c->file[f]), allowed[e]) == 0;
        }
        if (all && ds->cases.count > 0)
            return allowed[e];
    }
    return ".nii.gz";
}

static bool is_ours(const char *name)
{
    return strcmp(name, "imagesTr") == 0 || strcmp(name, "labelsTr") == 0 ||
           strcmp(name, "imagesTs") == 0;
}

/* Allows an empty folder or an unfinished import. */
static volt_status check_target(const char *folder)
{
    volt_names names = {0};
    volt_status st;

    if (!volt_path_exists(folder))
        return VOLT_OK;
    VOLT_TRY(st, done, volt_list_dir(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        if (!is_ours(names.name[i])) {
            st = volt_fail(VOLT_EDATA, "%s already holds %s; give an empty or new folder",
                           folder, names.name[i]);
            goto done;
        }
    }
done:
    volt_names_free(&names);
    return st;
}

static volt_status make_folder(const char *folder, const char *name)
{
    char *path = NULL;
    volt_status st = volt_path_join(&path, folder, name);

    if (st == VOLT_OK)
        st = volt_make_dirs(path);
    volt_free(path);
    return st;
}

/* Other files would become cases of the data set. */
static volt_status check_count(const char *folder, const char *name, int64_t expected)
{
    volt_names names = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, folder, name));
    if (!volt_path_is_dir(path))
        goto done;
    VOLT_TRY(st, done, volt_list_dir(&names, path));
    if ((int64_t)names.count != expected)
        st = volt_fail(
            VOLT_EDATA,
            "%s holds %zu file%s, %lld of them from this data set; give an empty or new folder",
            path, names.count, volt_s((int64_t)names.count), (long long)expected);
done:
    volt_names_free(&names);
    volt_free(path);
    return st;
}

static volt_status write_info(const importing *w)
{
    volt_dataset_info info = w->info; /* borrows all of it */
    char *path = NULL, ending[16];
    volt_status st;

    info.stored = NULL;
    info.thresholds = 0;
    info.labels_follow_image = info.resample_channels = false;
    memset(info.label_flip, 0, sizeof info.label_flip);
    info.num_training = w->result.cases;
    snprintf(ending, sizeof ending, "%s", w->ending);
    info.file_ending = ending;
    VOLT_TRY(st, done, volt_path_join(&path, w->folder, "dataset.json"));
    st = volt_dataset_info_write(path, &info);
done:
    volt_free(path);
    return st;
}

static volt_status finish(importing *w)
{
    const int channels = w->info.channels;
    volt_status st;

    VOLT_TRY(st, done, check_count(w->folder, "imagesTr", w->result.cases * channels));
    VOLT_TRY(st, done, check_count(w->folder, "labelsTr", w->result.cases));
    VOLT_TRY(st, done, check_count(w->folder, "imagesTs", w->result.tests * channels));
    st = write_info(w);
done:
    return st;
}

static const volt_dataset_import_options defaults = {.size = sizeof defaults};

void volt_dataset_import_options_init(volt_dataset_import_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

static volt_status import(const volt_dataset *ds, const char *folder,
                          const volt_dataset_import_options *o,
                          volt_dataset_import_result *result)
{
    importing w = {.ds = ds,
                   .folder = folder,
                   .ending = common_ending(ds),
                   .info = ds->info,
                   .copy = o->copy,
                   .lock = PTHREAD_MUTEX_INITIALIZER};
    const volt_tasks tasks = {.run = run_case,
                              .context = &w,
                              .count = ds->cases.count + ds->tests.count,
                              .threads = o->threads,
                              .what = "cases",
                              .callbacks = o->callbacks};
    volt_owner *owner = NULL;
    volt_status st;

    memset(w.info.orientation, 0, sizeof w.info.orientation);
    for (int64_t i = 0; i < ds->cases.count; i++)
        w.result.cases += ds->cases.item[i].label_file != NULL;
    w.result.tests = tasks.count - w.result.cases;
    VOLT_TRY(st, done, volt_owner_check(folder));
    VOLT_TRY(st, done, check_target(folder)); /* an occupied folder stays untouched */
    VOLT_TRY(st, done, volt_owner_take(&owner, folder, VOLT_OWNER_REFUSE, o->callbacks));
    VOLT_TRY(st, done, check_target(folder));
    VOLT_TRY(st, done, make_folder(folder, "imagesTr"));
    VOLT_TRY(st, done, make_folder(folder, "labelsTr"));
    if (w.result.tests)
        VOLT_TRY(st, done, make_folder(folder, "imagesTs"));
    VOLT_TRY(st, done, volt_tasks_run(&tasks));
    VOLT_TRY(st, done, finish(&w));
    if (result)
        *result = w.result;
done:
    volt_owner_release(&owner);
    pthread_mutex_destroy(&w.lock);
    return st;
}

volt_status volt_dataset_import(const volt_dataset *ds, const char *folder,
                                const volt_dataset_import_options *options,
                                volt_dataset_import_result *result)
{
    volt_dataset_import_options o = defaults;
    const volt_status st =
        volt_options_take(&o, sizeof o, options, "volt_dataset_import_options");

    return st == VOLT_OK ? import(ds, folder, &o, result) : st;
}
