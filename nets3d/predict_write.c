#include "nets3d/predict_write.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"

/* Name of what mask `i` shows: a region, or a label other than the background. */
static const char *mask_name(const volt_predictor *p, int i)
{
    return p->info.regions ? p->info.region[i].name : p->info.label[i + 1].name;
}

static int mask_count(const volt_predictor *p)
{
    return p->info.regions ? p->info.regions : p->info.labels - 1;
}

static volt_status mask_folder(char **out, const volt_predict_output *o,
                               const volt_predictor *p, int i)
{
    const char *name = mask_name(p, i);
    char *path = NULL;
    volt_status st = volt_format(&path, "%s/%s", o->folder, name);

    if (st != VOLT_OK)
        return st;
    for (char *at = path + strlen(o->folder) + 1; *at; at++) {
        if (*at == '/' || (unsigned char)*at < ' ')
            *at = '_'; /* a label's name is no path */
    }
    if (name[0] == '.')
        path[strlen(o->folder) + 1] = '_';
    *out = path;
    return VOLT_OK;
}

static volt_status write_description(const volt_predict_output *o, const volt_predictor *p)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, o->folder, "dataset.json"));
    VOLT_TRY(st, done, volt_dataset_info_write(path, &p->info));
    volt_free(path);
    path = NULL;
    VOLT_TRY(st, done, volt_path_join(&path, o->folder, "plans.json"));
    st = volt_plan_write(path, p->group[0].plan);
done:
    volt_free(path);
    return st;
}

volt_status volt_predict_begin(const volt_predict_output *o, const volt_predictor *p)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_make_dirs(o->folder));
    for (int i = 0; o->regions && i < mask_count(p); i++) {
        VOLT_TRY(st, done, mask_folder(&path, o, p, i));
        VOLT_TRY(st, done, volt_make_dirs(path));
        volt_free(path);
        path = NULL;
    }
    if (o->probability_nifti) {
        VOLT_TRY(st, done, volt_path_join(&path, o->folder, "probabilities"));
        VOLT_TRY(st, done, volt_make_dirs(path));
    }
    st = write_description(o, p);
done:
    volt_free(path);
    return st;
}

/* Turns voxels that are no labels back to the scan's own axes. */
static volt_status restore(volt_volume **v, const volt_predictor *p,
                           const volt_nifti_header *header, int threads)
{
    volt_dataset_info as_it_is = p->info; /* borrowed */

    as_it_is.stored = NULL;
    return volt_mask_restore(v, &as_it_is, header, threads);
}

volt_status volt_predict_written(bool *out, const volt_predict_output *o,
                                 const volt_predictor *p, const char *id)
{
    char *path = NULL, *folder = NULL;
    bool there;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/%s.nii.gz", o->folder, id));
    there = volt_path_exists(path);
    for (int i = 0; there && o->regions && i < mask_count(p); i++) {
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, mask_folder(&folder, o, p, i));
        VOLT_TRY(st, done, volt_format(&path, "%s/%s.nii.gz", folder, id));
        there = volt_path_exists(path);
        volt_free(folder);
        folder = NULL;
    }
    *out = there;
done:
    volt_free(folder);
    volt_free(path);
    return st;
}

/* ---- probabilities ---- */

static volt_status write_channel(const volt_predict_output *o, const char *id, int c,
                                 const volt_volume *v, const volt_nifti_header *header,
                                 int threads)
{
    const volt_nifti_write_options options = {.threads = threads};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/probabilities/%s_%04d.nii.gz", o->folder, id, c));
    st = volt_nifti_write(path, v, header, &options);
done:
    volt_free(path);
    return st;
}

volt_status volt_predict_write_scores(const volt_predict_output *o, const volt_predictor *p,
                                      const char *id, volt_finished *f,
                                      const volt_nifti_header *header)
{
    volt_volume *v = NULL;
    volt_status st = VOLT_OK;

    for (int c = 0; o->probability_nifti && c < p->scores; c++) { /* one at a time is held */
        VOLT_TRY(st, done, volt_export_probability(&v, p, f, c));
        VOLT_TRY(st, done, restore(&v, p, header, p->threads));
        VOLT_TRY(st, done, write_channel(o, id, c, v, header, p->threads));
        volt_volume_free(v);
        v = NULL;
    }
done:
    volt_volume_free(v);
    volt_finished_drop_scores(f);
    return st;
}

/* ---- masks ---- */

static volt_status write_mask(const char *folder, const char *id, const volt_volume *v,
                              const volt_nifti_header *header, int threads)
{
    const volt_nifti_write_options options = {.threads = threads};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/%s.nii.gz", folder, id));
    st = volt_nifti_write(path, v, header, &options);
done:
    volt_free(path);
    return st;
}

/* Voxel by voxel whether `labels` is `value`. */
static void pick(volt_volume *mask, const volt_volume *labels, uint16_t value, int threads)
{
    const int64_t voxels = volt_grid_voxels(&labels->grid);

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < voxels; i++)
        ((uint8_t *)mask->data)[i] =
            (labels->dtype == VOLT_U8 ? ((const uint8_t *)labels->data)[i]
                                      : ((const uint16_t *)labels->data)[i]) == value;
}

static volt_status write_masks(const volt_predict_output *o, const volt_predictor *p,
                               const char *id, const volt_finished *f,
                               const volt_nifti_header *header, int threads)
{
    const size_t voxels = (size_t)volt_grid_voxels(&f->labels->grid);
    volt_volume *mask = NULL;
    char *folder = NULL;
    volt_status st;

    for (int i = 0; i < mask_count(p); i++) {
        VOLT_TRY(st, done, volt_volume_create(&mask, &f->labels->grid, VOLT_U8));
        if (f->regions)
            memcpy(mask->data, (const uint8_t *)f->regions->data + (size_t)i * voxels, voxels);
        else
            pick(mask, f->labels, (uint16_t)p->info.label[i + 1].value, threads);
        VOLT_TRY(st, done, restore(&mask, p, header, threads));
        VOLT_TRY(st, done, mask_folder(&folder, o, p, i));
        VOLT_TRY(st, done, write_mask(folder, id, mask, header, threads));
        volt_free(folder);
        volt_volume_free(mask);
        folder = NULL;
        mask = NULL;
    }
done:
    volt_free(folder);
    volt_volume_free(mask);
    return st;
}

volt_status volt_predict_write(const volt_predict_output *o, const volt_predictor *p,
                               const char *id, volt_finished *f,
                               const volt_nifti_header *header, int threads)
{
    volt_status st;

    if (o->regions)
        VOLT_TRY(st, done, write_masks(o, p, id, f, header, threads));
    VOLT_TRY(st, done, volt_mask_restore(&f->labels, &p->info, header, threads));
    st = write_mask(o->folder, id, f->labels, header, threads);
done:
    return st;
}
