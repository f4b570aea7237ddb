#include "tests/kit/layout_kit.h"

void make_folders(const char *top, const char *const *inside)
{
    char path[300];

    snprintf(path, sizeof path, "rm -rf '%s'", top);
    assert_int_equal(system(path), 0);
    assert_ok(volt_make_dirs(top));
    for (; *inside; inside++) {
        snprintf(path, sizeof path, "%s/%s", top, *inside);
        assert_ok(volt_make_dirs(path));
    }
}

bool noted(const volt_dataset *ds, const char *words)
{
    for (int64_t i = 0; i < ds->notes; i++) {
        if (strstr(ds->note[i], words))
            return true;
    }
    return false;
}

bool found(const volt_findings *f, volt_severity severity, const char *words)
{
    for (int64_t i = 0; i < f->count; i++) {
        if (f->item[i].severity == severity && strstr(f->item[i].sentence, words))
            return true;
    }
    return false;
}

void write_labels(const char *path, const float *values, int count)
{
    const int64_t n[3] = {4, 5, 6};
    const double mm[3] = {1.5, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    volt_volume *v = NULL;

    assert_ok(volt_volume_create(&v, &grid, VOLT_F32));
    for (int64_t i = 0; i < volt_grid_voxels(&grid); i++)
        ((float *)v->data)[i] = values[i % count];
    assert_ok(volt_nifti_write(path, v, NULL, NULL));
    volt_volume_free(v);
}

void brats_case(const char *folder, const char *id, const char *const names[4], const char *seg,
                const float values[4])
{
    char path[1000];

    for (int m = 0; m < 4; m++) {
        snprintf(path, sizeof path, "%s/%s%s.nii.gz", folder, id, names[m]);
        kit_write(path, (kit_scan){.base = (float)(10 * m + 1)});
    }
    snprintf(path, sizeof path, "%s/%s", folder, seg ? seg : "");
    if (seg)
        write_labels(path, values, 4);
}

static const char *const until_2021[] = {"_t1", "_t1ce", "_t2", "_flair"};
static const float labels_2021[] = {0, 1, 2, 4};

void make_brats(void)
{
    static const char *const folders[] = {
        "MICCAI_BraTS2020_TrainingData/BraTS20_Training_001",
        "MICCAI_BraTS2020_TrainingData/BraTS20_Training_355",
        "MICCAI_BraTS2020_ValidationData/BraTS20_Validation_001", "volt", NULL};

    make_folders(TOP, folders);
    brats_case(TRAIN "/BraTS20_Training_001", "BraTS20_Training_001", until_2021,
               "BraTS20_Training_001_seg.nii.gz", labels_2021);
    brats_case(TRAIN "/BraTS20_Training_355", "BraTS20_Training_355", until_2021,
               "W39_1998.09.19_Segm.nii", labels_2021);
    brats_case(TOP "/MICCAI_BraTS2020_ValidationData/BraTS20_Validation_001",
               "BraTS20_Validation_001", until_2021, NULL, NULL);
    kit_text(TRAIN "/name_mapping.csv", "Grade,ID\n");
}

void make_lits(void)
{
    static const char *const folders[] = {"Training Batch 1", "Training Batch 2", NULL};

    make_folders(LITS, folders);
    kit_write(LITS "/Training Batch 1/volume-0.nii", (kit_scan){.base = -50});
    kit_write(LITS "/Training Batch 1/segmentation-0.nii", (kit_scan){.label_high = 2});
    kit_write(LITS "/Training Batch 2/volume-28.nii", (kit_scan){.identity = true});
    kit_write(LITS "/Training Batch 2/segmentation-28.nii",
              (kit_scan){.label_high = 2, .spacing = {3, 1, 1}});
    kit_write(LITS "/Training Batch 2/volume-53.nii", (kit_scan){.base = 5});
    kit_write(LITS "/Training Batch 2/segmentation-53.nii",
              (kit_scan){.label_high = 2, .identity = true});
    kit_write(LITS "/test-volume-3.nii", (kit_scan){.base = 5});
}
