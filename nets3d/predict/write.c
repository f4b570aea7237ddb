#include "nets3d/predict/write.h"

#include <stdio.h>
#include <string.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "io/dataset/mask_folder.h"
#include "io/image.h"
#include "io/image/label_files.h"
#include "io/json/json.h"
#include "io/store/case_key.h"
#include "io/tensors/npz.h"

#define NPZ_LEVEL 1 /* probabilities are noise except for zeros: higher levels save little */

/* Name of mask `i`: a region, or a label other than the background. */
static const char *mask_name(const volt_segmenter *seg, int i)
{
    return seg->info.regions ? seg->info.region[i].name : seg->info.label[i + 1].name;
}

static volt_status mix_networks(uint64_t *key, const volt_segmenter *seg)
{
    volt_status st = VOLT_OK;

    for (int g = 0; g < seg->sets; g++) {
        for (int i = 0; i < seg->set[g].networks && st == VOLT_OK; i++)
            st = volt_key_mix_file(key, seg->set[g].path[i]);
    }
    return st;
}

volt_status volt_predict_own_output(volt_owner **owner, const volt_segmenter *stage,
                                    const volt_segmenter *previous, const char *folder,
                                    const volt_callbacks *cb)
{
    uint64_t number = VOLT_KEY_START;
    char key[17];
    volt_status st;

    VOLT_TRY(st, done, mix_networks(&number, stage));
    if (previous)
        VOLT_TRY(st, done, mix_networks(&number, previous));
    snprintf(key, sizeof key, "%016llx", (unsigned long long)number);
    st = volt_owner_join(owner, folder, key, cb);
done:
    return st;
}

static const char *ending_of(const volt_predict_output *o, const volt_segmenter *seg)
{
    return o->ending ? o->ending : volt_mask_ending(&seg->info);
}

volt_status volt_predict_check_output(const volt_predict_output *o, const volt_segmenter *seg,
                                      const volt_case_list *cases)
{
    volt_status st;

    VOLT_TRY(st, done, volt_mask_folder_check(o->folder));
    st = volt_mask_folder_check_cases(o->folder, cases, ending_of(o, seg));
done:
    return st;
}

static int mask_count(const volt_segmenter *seg)
{
    return seg->info.regions ? seg->info.regions : seg->info.labels - 1;
}

static volt_status mask_folder(char **out, const volt_predict_output *o,
                               const volt_segmenter *seg, int i)
{
    const char *name = mask_name(seg, i);
    char *path = NULL;
    volt_status st = volt_format(&path, "%s/%s", o->folder, name);

    if (st != VOLT_OK)
        return st;
    for (char *at = path + strlen(o->folder) + 1; *at; at++) {
        if (*at == '/' || (unsigned char)*at < ' ')
            *at = '_'; /* a label's name is not a path */
    }
    if (name[0] == '.')
        path[strlen(o->folder) + 1] = '_';
    *out = path;
    return VOLT_OK;
}

volt_status volt_predict_describe(const volt_predict_output *o, const volt_segmenter *seg)
{
    volt_label_table names = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_label_table_from(&names, &seg->info));
    VOLT_TRY(st, done, volt_label_files_create(o->folder, o->label_files, &names));
    VOLT_TRY(st, done, volt_path_join(&path, o->folder, "dataset.json"));
    VOLT_TRY(st, done, volt_dataset_info_write(path, &seg->info));
    volt_free(path);
    path = NULL;
    VOLT_TRY(st, done, volt_path_join(&path, o->folder, "plans.json"));
    st = volt_plan_write(path, seg->set[0].plan);
done:
    volt_label_table_clear(&names);
    volt_free(path);
    return st;
}

volt_status volt_predict_create_output(const volt_predict_output *o, const volt_segmenter *seg)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_make_dirs(o->folder));
    for (int i = 0; o->regions && i < mask_count(seg); i++) {
        VOLT_TRY(st, done, mask_folder(&path, o, seg, i));
        VOLT_TRY(st, done, volt_make_dirs(path));
        volt_free(path);
        path = NULL;
    }
    if (o->probability_nifti) {
        VOLT_TRY(st, done, volt_path_join(&path, o->folder, "probabilities"));
        VOLT_TRY(st, done, volt_make_dirs(path));
    }
    if (!volt_path_is_writable_dir(o->folder))
        st = volt_fail(VOLT_EIO, "%s is not writable", o->folder);
done:
    volt_free(path);
    return st;
}

/* Reorients voxels that are not labels to the file's axes. */
static volt_status restore(volt_volume **v, const volt_segmenter *seg,
                           const volt_image_header *header, int threads)
{
    volt_dataset_info as_it_is = seg->info; /* borrowed */

    as_it_is.stored = NULL;
    return volt_mask_restore(v, &as_it_is, header, threads);
}

volt_status volt_predict_written(bool *out, const volt_predict_output *o,
                                 const volt_segmenter *seg, const char *id)
{
    char *path = NULL, *folder = NULL;
    bool there;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/%s%s", o->folder, id, ending_of(o, seg)));
    there = volt_path_exists(path);
    if (there && o->probabilities) {
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, volt_format(&path, "%s/%s.npz", o->folder, id));
        there = volt_path_exists(path);
    }
    if (there && o->probability_nifti) {
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done,
                 volt_format(&path, "%s/probabilities/%s_%04d.nii.gz", o->folder, id,
                             seg->outputs - 1));
        there = volt_path_exists(path);
    }
    for (int i = 0; there && o->regions && i < mask_count(seg); i++) {
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, mask_folder(&folder, o, seg, i));
        VOLT_TRY(st, done, volt_format(&path, "%s/%s%s", folder, id, ending_of(o, seg)));
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

/* The scan as SimpleITK describes it: axes x, y, z in LPS. */
static json_t *sitk_object(const volt_grid *g)
{
    double spacing[3], direction[9], origin[3], by_axis[3];

    volt_grid_spacing(by_axis, g);
    for (int row = 0; row < 3; row++) {
        const double sign = row < 2 ? -1 : 1;
        spacing[row] = by_axis[2 - row];
        origin[row] = sign * g->to_world[row][3] + 0.0; /* no -0 */
        for (int axis = 0; axis < 3; axis++)
            direction[3 * row + axis] = sign * g->to_world[row][axis] / by_axis[2 - axis] + 0.0;
    }
    return json_pack("{s:o, s:o, s:o}", "spacing", volt_json_array_of_doubles(spacing, 3),
                     "origin", volt_json_array_of_doubles(origin, 3), "direction",
                     volt_json_array_of_doubles(direction, 9));
}

/* nnU-Net's properties of a scan: axes z, y, x; crop and shapes are transposed. */
static volt_status write_properties(const char *folder, const char *id,
                                    const volt_preprocessed *f)
{
    int64_t crop[3], sides[3][2];
    double spacing[3];
    char *path = NULL;
    json_t *root;
    volt_status st;

    volt_box_shape(crop, f->crop);
    volt_grid_spacing(spacing, &f->source);
    for (int a = 0; a < 3; a++) {
        sides[a][0] = f->crop.low[a];
        sides[a][1] = f->crop.high[a];
    }
    root = json_pack("{s:o, s:o, s:o, s:[o, o, o], s:o}", "sitk_stuff", sitk_object(&f->source),
                     "spacing", volt_json_array_of_doubles(spacing, 3), "shape_before_cropping",
                     volt_json_array_of_ints(f->shape_before_crop, 3), "bbox_used_for_cropping",
                     volt_json_array_of_ints(sides[0], 2), volt_json_array_of_ints(sides[1], 2),
                     volt_json_array_of_ints(sides[2], 2),
                     "shape_after_cropping_and_before_resampling",
                     volt_json_array_of_ints(crop, 3));
    VOLT_TRY(st, done, volt_format(&path, "%s/%s.json", folder, id));
    st = volt_json_save(path, root);
done:
    volt_free(path);
    json_decref(root);
    return st;
}

static volt_status open_npz(volt_zip_writer **zip, const volt_predict_output *o,
                            const volt_segmenter *seg, const char *id, const volt_grid *source)
{
    const int64_t shape[4] = {seg->outputs, source->n[0], source->n[1], source->n[2]};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/%s.npz", o->folder, id));
    VOLT_TRY(st, done, volt_zip_create(zip, path));
    st = volt_npz_begin(*zip, "probabilities", shape, 4, NPZ_LEVEL);
done:
    volt_free(path);
    return st;
}

static volt_status write_channel(const volt_predict_output *o, const char *id, int c,
                                 const volt_volume *v, const volt_image_header *header,
                                 int threads)
{
    const volt_image_write_options options = volt_image_write_with(threads);
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&path, "%s/probabilities/%s_%04d.nii.gz", o->folder, id, c));
    st = volt_image_write(path, v, header, &options);
done:
    volt_free(path);
    return st;
}

volt_status volt_predict_write_probabilities(const volt_predict_output *o,
                                             const volt_segmenter *seg, const char *id,
                                             volt_segmentation *f,
                                             const volt_image_header *header)
{
    volt_zip_writer *zip = NULL;
    volt_volume *v = NULL;
    volt_status st = VOLT_OK;

    if (!o->probabilities && !o->probability_nifti)
        return VOLT_OK;
    if (o->probabilities) {
        VOLT_TRY(st, done, write_properties(o->folder, id, &f->frame));
        VOLT_TRY(st, done, open_npz(&zip, o, seg, id, &header->grid));
    }
    for (int c = 0; c < seg->outputs; c++) { /* one at a time, to save memory */
        VOLT_TRY(st, done, volt_export_probability(&v, seg, f, c));
        VOLT_TRY(st, done, restore(&v, seg, header, seg->threads));
        if (zip)
            VOLT_TRY(st, done, volt_zip_write(zip, v->data, volt_volume_bytes(v)));
        if (o->probability_nifti)
            VOLT_TRY(st, done, write_channel(o, id, c, v, header, seg->threads));
        volt_volume_free(v);
        v = NULL;
    }
    if (zip) {
        VOLT_TRY(st, done, volt_zip_end(zip));
        st = volt_zip_commit(&zip);
    }
done:
    volt_volume_free(v);
    volt_zip_abort(&zip);
    volt_segmentation_drop_logits(f);
    return st;
}

/* ---- masks ---- */

static volt_status write_mask(const char *folder, const char *id, const volt_volume *v,
                              const volt_label_table *names, const volt_predict_output *o,
                              const volt_segmenter *seg, const volt_image_header *header,
                              int threads)
{
    volt_image_write_options options = volt_image_write_with(threads);
    char *path = NULL;
    volt_status st;

    options.names = names;
    VOLT_TRY(st, done, volt_format(&path, "%s/%s%s", folder, id, ending_of(o, seg)));
    st = volt_image_write(path, v, header, &options);
done:
    volt_free(path);
    return st;
}

/* 1 where `labels` is `value`. */
static void pick(volt_volume *mask, const volt_volume *labels, uint16_t value, int threads)
{
    const int64_t voxels = volt_grid_voxels(&labels->grid);

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < voxels; i++)
        ((uint8_t *)mask->data)[i] =
            (labels->dtype == VOLT_U8 ? ((const uint8_t *)labels->data)[i]
                                      : ((const uint16_t *)labels->data)[i]) == value;
}

static volt_status write_masks(const volt_predict_output *o, const volt_segmenter *seg,
                               const char *id, const volt_segmentation *f,
                               const volt_image_header *header, int threads)
{
    const size_t voxels = (size_t)volt_grid_voxels(&f->labels->grid);
    volt_label_table names = {0};
    volt_volume *mask = NULL;
    char *folder = NULL;
    volt_status st = VOLT_OK;

    for (int i = 0; i < mask_count(seg); i++) {
        VOLT_TRY(st, done, volt_label_table_set(&names, 1, mask_name(seg, i)));
        VOLT_TRY(st, done, volt_volume_create(&mask, &f->labels->grid, VOLT_U8));
        if (f->regions)
            memcpy(mask->data, (const uint8_t *)f->regions->data + (size_t)i * voxels, voxels);
        else
            pick(mask, f->labels, (uint16_t)seg->info.label[i + 1].value, threads);
        VOLT_TRY(st, done, restore(&mask, seg, header, threads));
        VOLT_TRY(st, done, mask_folder(&folder, o, seg, i));
        VOLT_TRY(st, done, write_mask(folder, id, mask, &names, o, seg, header, threads));
        volt_free(folder);
        volt_volume_free(mask);
        folder = NULL;
        mask = NULL;
    }
done:
    volt_label_table_clear(&names);
    volt_free(folder);
    volt_volume_free(mask);
    return st;
}

volt_status volt_predict_note_old(const volt_predict_output *o, const volt_segmenter *seg,
                                  const volt_callbacks *cb)
{
    const volt_predict_failures *f = o->failures;
    char *first = NULL, *path = NULL;
    long long count = 0;
    volt_status st = VOLT_OK;

    for (int64_t i = 0; f && i < f->count; i++) {
        VOLT_TRY(st, done,
                 volt_format(&path, "%s/%s%s", o->folder, f->item[i].id, ending_of(o, seg)));
        if (volt_path_exists(path) && count++ == 0) {
            first = path;
            path = NULL;
        }
        volt_free(path);
        path = NULL;
    }
    if (count == 1)
        volt_report(cb, VOLT_LOG_WARNING,
                    "%s is of an earlier prediction: its case was not predicted now", first);
    else if (count > 1)
        volt_report(cb, VOLT_LOG_WARNING,
                    "%s and %lld more mask%s are of an earlier prediction: their cases were "
                    "not predicted now",
                    first, count - 1, volt_s(count - 1));
done:
    volt_free(path);
    volt_free(first);
    return st;
}

volt_status volt_predict_write(const volt_predict_output *o, const volt_segmenter *seg,
                               const char *id, volt_segmentation *f,
                               const volt_image_header *header, int threads)
{
    volt_label_table names = {0};
    volt_status st;

    if (o->regions)
        VOLT_TRY(st, done, write_masks(o, seg, id, f, header, threads));
    VOLT_TRY(st, done, volt_label_table_from(&names, &seg->info));
    VOLT_TRY(st, done, volt_mask_restore(&f->labels, &seg->info, header, threads));
    VOLT_TRY(st, done,
             volt_label_files_mask(o->folder, o->label_files, id, f->labels, &names, threads));
    st = write_mask(o->folder, id, f->labels, &names, o, seg, header, threads);
done:
    volt_label_table_clear(&names);
    return st;
}
