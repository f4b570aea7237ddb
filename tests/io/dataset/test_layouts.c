/* Data sets as their sites give them: found out, listed, read, written back. */
#include "tests/kit/layout_kit.h"
#include "base/core/alloc.h"
#include "io/image.h"
#include "io/image.h"
#include "io/png.h"

#include <math.h>
#include <unistd.h>

/* -- BraTS -------------------------------------------------------------------------------- */

static void brats_is_found_with_its_odd_case(void **state)
{
    volt_dataset *ds = NULL;
    volt_findings f = {0};
    const volt_dataset_info *info;

    (void)state;
    make_brats();
    assert_ok(volt_dataset_open(&ds, TOP, NULL));
    info = &ds->info;
    assert_string_equal(ds->layout, "BraTS 2018-2021");
    assert_string_equal(info->name, TOP);
    assert_int_equal(ds->cases.count, 2);
    assert_string_equal(ds->cases.item[0].id, "BraTS20_Training_001");
    assert_string_equal(ds->cases.item[0].file[1],
                        TRAIN "/BraTS20_Training_001/BraTS20_Training_001_t1ce.nii.gz");
    assert_string_equal(ds->cases.item[1].label_file,
                        TRAIN "/BraTS20_Training_355/W39_1998.09.19_Segm.nii");
    assert_true(noted(ds, "W39_1998.09.19_Segm.nii"));
    assert_int_equal(ds->tests.count, 1);
    assert_true(noted(ds, "1 case without labels"));
    assert_string_equal(info->channel_name[3], "Flair");
    assert_int_equal(volt_dataset_info_outputs(info), 3);
    assert_string_equal(info->region[0].name, "whole tumor");
    assert_int_equal(info->region[1].values, 2);
    assert_int_equal(info->region[2].painted, 3);
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_int_equal(f.count, 0);
    volt_findings_clear(&f);
    volt_dataset_close(ds);
}

static void brats_labels_are_translated_and_restored(void **state)
{
    static const int16_t trained[] = {0, 2, 1, 3}; /* of 0, 1, 2, 4 */
    static const uint8_t stored[] = {0, 1, 2, 4};
    volt_dataset *ds = NULL;
    volt_case_data d = {0};
    volt_volume *mask = NULL;

    (void)state;
    make_brats();
    assert_ok(volt_dataset_open(&ds, TOP, NULL));
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1));
    assert_memory_equal(d.labels->data, trained, sizeof trained);
    assert_int_equal(((const float *)d.image->data)[3 * volt_grid_voxels(&d.image->grid)], 31);
    assert_ok(volt_volume_convert(&mask, d.labels, VOLT_U8, NULL, 1));
    assert_ok(volt_mask_restore(&mask, &ds->info, d.header, 1));
    assert_memory_equal(mask->data, stored, sizeof stored);
    volt_volume_free(mask);
    volt_case_data_clear(&d);
    write_labels(TRAIN "/BraTS20_Training_001/BraTS20_Training_001_seg.nii.gz",
                 (const float[]){0, 3}, 2);
    assert_fails(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1), VOLT_EDATA, "label 3");
    volt_dataset_close(ds);
}

static void what_brats_cases_lack_is_named(void **state)
{
    volt_dataset *ds = NULL;
    volt_findings f = {0};

    (void)state;
    make_brats();
    unlink(TRAIN "/BraTS20_Training_001/BraTS20_Training_001_t2.nii.gz");
    unlink(TRAIN "/BraTS20_Training_355/W39_1998.09.19_Segm.nii");
    assert_ok(volt_dataset_open(&ds, TOP, NULL));
    assert_int_equal(ds->cases.count, 2);
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_true(found(&f, VOLT_ERROR, "BraTS20_Training_001_t2.nii.gz"));
    assert_true(found(&f, VOLT_ERROR, "BraTS20_Training_355 has no labels"));
    volt_findings_clear(&f);
    volt_dataset_close(ds);
    ds = NULL;
    kit_write(TRAIN "/BraTS20_Training_001/BraTS20_Training_001_t1.nii", (kit_scan){0});
    assert_fails(volt_dataset_open(&ds, TOP, NULL), VOLT_EFORMAT, "both modality t1: keep one");
    make_brats();
    kit_write(TRAIN "/BraTS20_Training_355/other_SEG.nii", (kit_scan){.label_high = 1});
    assert_fails(volt_dataset_open(&ds, TOP, NULL), VOLT_EFORMAT, "both be the labels");
    assert_null(ds);
}

static const char *const since_2023[] = {"-t1n", "-t1c", "-t2w", "-t2f"};
static const float labels_2023[] = {0, 1, 2, 3};

static void later_brats_years_are_told_apart(void **state)
{
    static const char *const folders[] = {"BraTS-GLI-00001-000", "BraTS-GLI-00005-101", NULL};
    static const float treated[] = {0, 1, 3, 4};
    volt_dataset_options plain = volt_dataset_defaults();
    volt_dataset_options paediatric = volt_dataset_defaults();
    volt_dataset *ds = NULL;
    volt_findings f = {0};

    (void)state;
    plain.target = VOLT_TARGET_LABELS;
    paediatric.layout = "brats-ped2024";
    make_folders("layout-2023", folders);
    brats_case("layout-2023/BraTS-GLI-00001-000", "BraTS-GLI-00001-000", since_2023,
               "BraTS-GLI-00001-000-seg.nii.gz", labels_2023);
    assert_ok(volt_dataset_open(&ds, "layout-2023", NULL));
    assert_string_equal(ds->layout, "BraTS 2023");
    assert_int_equal(ds->info.labels, 4);
    assert_int_equal(ds->info.stored[3], 3);
    volt_dataset_close(ds);
    assert_ok(volt_dataset_open(&ds, "layout-2023", &plain));
    assert_int_equal(ds->info.regions, 0);
    assert_int_equal(volt_dataset_info_outputs(&ds->info), 4);
    volt_dataset_close(ds);

    make_folders("layout-2023", folders);
    brats_case("layout-2023/BraTS-GLI-00005-101", "BraTS-GLI-00005-101", since_2023,
               "BraTS-GLI-00005-101-seg.nii.gz", treated);
    assert_ok(volt_dataset_open(&ds, "layout-2023", NULL));
    assert_string_equal(ds->layout, "BraTS 2024");
    assert_string_equal(ds->info.region[3].name, "resection cavity");
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_int_equal(f.errors, 0);
    volt_findings_clear(&f);
    volt_dataset_close(ds);
    assert_ok(volt_dataset_open(&ds, "layout-2023", &paediatric));
    assert_int_equal(ds->info.stored[1], 4);
    assert_int_equal(ds->info.stored[4], 1);
    volt_dataset_close(ds);
}

/* One case in a folder of that name, and what it is taken for. */
static void a_set_is_told_by_its_names(void **state)
{
    static const struct {
        const char *folder, *id, *layout, *note;
    } rows[] = {
        {"ASNR-MICCAI-BraTS2023-PED-Challenge", "BraTS-PED-02024-000", "BraTS 2023", NULL},
        {"BraTS-PEDs2024_Training", "BraTS-PED-00001-000", "BraTS 2024, paediatric",
         "a paediatric set since 2024: 1 enhancing"},
        {"BraTS-PEDs-v1", "BraTS-PED-00001-000", "BraTS 2024, paediatric", "since 2024"},
        {"BraTS26_PED_training", "BraTS-PED-00001-000", "BraTS 2024, paediatric", "since 2024"},
        {"mine2024", "BraTS-PED-00001-000", "BraTS 2023", "no folder name gives the year"},
        {"MICCAI2024-BraTS-GoAT-TrainingData", "BraTS-GoAT-02489", "BraTS 2023", NULL},
        {"BraTS2024-BraTS-GLI", "BraTS-GLI-00005-000", "BraTS 2024", "by its folder's name"},
        {"cases", "BraTS-GLI-00005-101", "BraTS 2024", "by its time point"},
        {"MICCAI-BraTS2025-MET", "BraTS-MET-00110-000", "BraTS 2024", "resection cavity"},
        {"ASNR-MICCAI-BraTS2023-MET", "BraTS-MET-00110-001", "BraTS 2023", NULL},
        {"BraTS-MEN-Train", "BraTS-MEN-00004-000", "BraTS 2023", NULL},
        {"BraTS-Africa", "BraTS-SSA-00002-000", "BraTS 2023", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char inside[200], path[220], labels[100];
        volt_dataset *ds = NULL;
        snprintf(inside, sizeof inside, "%s/%s", rows[i].folder, rows[i].id);
        make_folders("layout-sets", (const char *[]){inside, NULL});
        snprintf(path, sizeof path, "layout-sets/%s", inside);
        snprintf(labels, sizeof labels, "%s-seg.nii.gz", rows[i].id);
        brats_case(path, rows[i].id, since_2023, labels, labels_2023);
        assert_ok(volt_dataset_open(&ds, "layout-sets", NULL));
        assert_string_equal(ds->layout, rows[i].layout);
        assert_int_equal(ds->cases.count, 1);
        assert_true(rows[i].note ? noted(ds, rows[i].note) : ds->notes == 0);
        volt_dataset_close(ds);
    }
}

static void a_radiotherapy_set_has_one_channel(void **state)
{
    static const char *const folders[] = {"train/BraTS-MEN-RT-0002-1",
                                          "val/BraTS-MEN-RT-0010-1", NULL};
    static const float target[] = {0, 1};
    volt_dataset *ds = NULL;
    volt_findings f = {0};

    (void)state;
    make_folders("layout-rt", folders);
    kit_write("layout-rt/train/BraTS-MEN-RT-0002-1/BraTS-MEN-RT-0002-1_t1c.nii.gz",
              (kit_scan){.base = 1});
    write_labels("layout-rt/train/BraTS-MEN-RT-0002-1/BraTS-MEN-RT-0002-1_gtv.nii.gz", target,
                 2);
    kit_write("layout-rt/val/BraTS-MEN-RT-0010-1/BraTS-MEN-RT-0010-1_t1c.nii.gz",
              (kit_scan){.base = 1});
    assert_ok(volt_dataset_open(&ds, "layout-rt", NULL));
    assert_string_equal(ds->layout, "BraTS 2024, meningioma radiotherapy");
    assert_int_equal(ds->info.channels, 1);
    assert_int_equal(ds->info.labels, 2);
    assert_int_equal(ds->info.regions, 0);
    assert_int_equal(ds->cases.count, 1);
    assert_string_equal(ds->cases.item[0].id, "BraTS-MEN-RT-0002-1");
    assert_int_equal(ds->tests.count, 1);
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_int_equal(f.errors, 0);
    volt_findings_clear(&f);
    volt_dataset_close(ds);
}

/* -- LiTS --------------------------------------------------------------------------------- */

static void lits_labels_follow_their_volume(void **state)
{
    volt_dataset_options nested = volt_dataset_defaults();
    const size_t before = volt_mem_current();
    volt_dataset *ds = NULL;
    volt_findings f = {0};
    volt_case_data d = {0};
    volt_grid grid;

    (void)state;
    nested.target = VOLT_TARGET_REGIONS;
    make_lits();
    assert_ok(volt_dataset_open(&ds, LITS, NULL));
    assert_string_equal(ds->layout, "LiTS");
    assert_int_equal(ds->cases.count, 3);
    assert_string_equal(ds->cases.item[2].id, "volume-53");
    assert_int_equal(ds->tests.count, 1);
    assert_string_equal(ds->tests.item[0].id, "test-volume-3");
    assert_int_equal(ds->info.regions, 0);
    assert_string_equal(ds->info.label[2].name, "tumor");
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_int_equal(f.errors, 0);
    assert_true(found(&f, VOLT_WARNING, "volume-28.nii has the identity"));
    assert_true(found(&f, VOLT_WARNING, "segmentation-28.nii has another matrix"));
    assert_true(found(&f, VOLT_WARNING, "mm, the identity) than"));
    assert_true(found(&f, VOLT_WARNING, "voxel by voxel"));
    volt_findings_clear(&f);
    assert_ok(volt_case_read(&d, &ds->cases.item[2], &ds->info, 1));
    grid = d.image->grid;
    assert_true(volt_grid_same(&grid, &d.labels->grid, 0));
    volt_case_data_clear(&d);
    volt_dataset_close(ds);

    assert_ok(volt_dataset_open(&ds, LITS, &nested));
    assert_int_equal(ds->info.regions, 2);
    assert_int_equal(ds->info.region[0].values, 2);
    assert_int_equal(ds->info.region[1].painted, 2);
    volt_dataset_close(ds);
    assert_int_equal(volt_mem_current(), before);
}

static void lits_files_that_do_not_fit_are_errors(void **state)
{
    volt_dataset *ds = NULL;
    volt_findings f = {0};

    (void)state;
    make_lits();
    unlink(LITS "/Training Batch 1/volume-0.nii");
    unlink(LITS "/Training Batch 2/segmentation-53.nii");
    kit_write(LITS "/Training Batch 2/segmentation-28.nii",
              (kit_scan){.label_high = 2, .n = {5, 5, 6}});
    assert_ok(volt_dataset_open(&ds, LITS, NULL));
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_true(found(&f, VOLT_ERROR, "volume-0.nii"));
    assert_true(found(&f, VOLT_ERROR, "volume-53 has no labels"));
    assert_true(found(&f, VOLT_ERROR, "5 voxels along z"));
    volt_findings_clear(&f);
    volt_dataset_close(ds);
    ds = NULL;
    kit_write(LITS "/volume-28.nii", (kit_scan){0});
    assert_fails(volt_dataset_open(&ds, LITS, NULL), VOLT_EFORMAT, "same number: keep one");
}

/* -- Folders of images and labels --------------------------------------------------------- */

#define PAIRS "layout-pairs"

static volt_dataset_options pairs(void)
{
    volt_dataset_options o = volt_dataset_defaults();

    o.images = PAIRS "/img";
    o.labels = PAIRS "/lab";
    return o;
}

static void make_pairs(void)
{
    static const char *const folders[] = {"img", "lab", NULL};
    static const float odd[] = {0, 7, 2};

    make_folders(PAIRS, folders);
    kit_write(PAIRS "/img/scan-1.nii.gz", (kit_scan){.base = 1});
    kit_write(PAIRS "/img/scan-12.nii", (kit_scan){.base = 2});
    kit_write(PAIRS "/img/scan-2.nii.gz", (kit_scan){.base = 3});
    write_labels(PAIRS "/lab/mask_1_seg.nii", odd, 3);
    write_labels(PAIRS "/lab/mask_12_seg.nii.gz", odd, 2);
    write_labels(PAIRS "/lab/mask_2_seg.nii.gz", odd, 3);
}

static void images_and_labels_are_matched_by_name(void **state)
{
    static const int16_t trained[] = {0, 2, 1}; /* of 0, 7, 2 */
    const volt_dataset_options o = pairs();
    volt_dataset *ds = NULL;
    volt_case_data d = {0};

    (void)state;
    make_pairs();
    assert_ok(volt_dataset_open(&ds, NULL, &o));
    assert_int_equal(ds->cases.count, 3);
    assert_string_equal(ds->cases.item[1].id, "scan-12");
    assert_string_equal(ds->cases.item[1].label_file, PAIRS "/lab/mask_12_seg.nii.gz");
    assert_true(noted(ds, "matched by what distinguishes them"));
    assert_true(noted(ds, "0, 2, 7; they are numbered"));
    assert_int_equal(ds->info.labels, 3);
    assert_string_equal(ds->info.label[2].name, "label 7");
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1));
    assert_memory_equal(d.labels->data, trained, sizeof trained);
    volt_case_data_clear(&d);
    volt_dataset_close(ds);
}

static void names_without_partner_are_refused(void **state)
{
    volt_dataset_options o = pairs();
    volt_dataset *ds = NULL;

    (void)state;
    make_pairs();
    kit_write(PAIRS "/lab/mask_9_seg.nii", (kit_scan){.label_high = 1});
    assert_fails(volt_dataset_open(&ds, NULL, &o), VOLT_EDATA, "mask_9_seg.nii has no image");
    unlink(PAIRS "/lab/mask_12_seg.nii.gz");
    assert_fails(volt_dataset_open(&ds, NULL, &o), VOLT_EDATA, "scan-12.nii has no file");
    o.labels = NULL;
    assert_fails(volt_dataset_open(&ds, NULL, &o), VOLT_EINVAL, "without a folder of labels");
    o = pairs();
    o.layout = "lits";
    assert_fails(volt_dataset_open(&ds, NULL, &o), VOLT_EINVAL, "not lits");
    o.layout = "pairs";
    o.images = o.labels = NULL;
    assert_fails(volt_dataset_open(&ds, PAIRS, &o), VOLT_EINVAL, "layout pairs needs");
    o.layout = "dicom";
    assert_fails(volt_dataset_open(&ds, PAIRS, &o), VOLT_EINVAL,
                 "unknown layout 'dicom'; the layouts are ");
    assert_fails(volt_dataset_open(&ds, PAIRS, NULL), VOLT_EDATA, "no BraTS case");
    assert_fails(volt_dataset_open(&ds, NULL, NULL), VOLT_EINVAL, "no data set");
    assert_null(ds);
}

static void a_label_table_names_odd_values(void **state)
{
    static const struct {
        const char *table, *words;
    } wrong[] = {
        {"0=bg", "has 1 label;"},
        {"0=bg,7", "'7'"},
        {"0=bg,0=a", "value 0 twice"},
        {"0=bg,7=bg", "name bg twice"},
        {"0=bg,-3=a", "'-3=a'"},
        {"0=bg,99999=a", "'99999=a'"},
        {"0=bg,x=a", "'x=a'"},
        {"0=bg,7=,2=b", "'7='"},
        {"0=bg,1=a,7=ignore,8=ignore", "two ignore"},
    };
    static const int16_t trained[] = {0, 1, 2};
    volt_dataset_options o = pairs();
    volt_dataset *ds = NULL;
    volt_findings f = {0};
    volt_case_data d = {0};

    (void)state;
    make_pairs();
    o.label_table = "0=background,7=organ,2=ignore";
    assert_ok(volt_dataset_open(&ds, NULL, &o));
    assert_int_equal(ds->info.labels, 2);
    assert_string_equal(ds->info.label[1].name, "organ");
    assert_int_equal(ds->info.ignore_label, 2);
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_int_equal(f.errors, 0);
    volt_findings_clear(&f);
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1));
    assert_memory_equal(d.labels->data, trained, sizeof trained);
    volt_case_data_clear(&d);
    volt_dataset_close(ds);
    ds = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        o.label_table = wrong[i].table;
        assert_fails(volt_dataset_open(&ds, NULL, &o), VOLT_EINVAL, wrong[i].words);
    }
    o.label_table = "0=background,7=organ";
    o.target = VOLT_TARGET_REGIONS;
    assert_fails(volt_dataset_open(&ds, NULL, &o), VOLT_EINVAL, "no regions");
    o.channel_names = "CT,MR";
    assert_fails(volt_dataset_open(&ds, NULL, &o), VOLT_EINVAL, "names 2 channels");
    o.channel_names = "CT";
    o.target = VOLT_TARGET_DEFAULT;
    assert_ok(volt_dataset_open(&ds, NULL, &o));
    assert_string_equal(ds->info.channel_name[0], "CT");
    volt_dataset_close(ds);
    ds = NULL;
    o.label_flip = "zz";
    assert_fails(volt_dataset_open(&ds, NULL, &o), VOLT_EINVAL, "along 'zz'");
}

/* -- Grey values -------------------------------------------------------------------------- */

static const double liver_grey[] = {40, 230};

static void grey_values_become_labels(void **state)
{
    static const float grey[] = {0, 39.5f, 40, 63, 229, 230, 255};
    static const int16_t wanted[] = {0, 0, 1, 1, 1, 2, 2};
    volt_dataset_options o = pairs();
    volt_dataset *ds = NULL;
    volt_dataset_info copy = {0};
    volt_case_data d = {0};
    char *text = NULL;

    (void)state;
    make_pairs();
    write_labels(PAIRS "/lab/mask_1_seg.nii", grey, 7);
    o.threshold = liver_grey;
    o.thresholds = 2;
    assert_ok(volt_dataset_open(&ds, NULL, &o));
    assert_int_equal(ds->info.labels, 3);
    assert_ok(volt_dataset_info_text(&text, &ds->info));
    assert_ok(volt_dataset_info_parse(&copy, text, strlen(text), "text"));
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &copy, 1));
    assert_memory_equal(d.labels->data, wanted, sizeof wanted);
    volt_case_data_clear(&d);
    volt_dataset_info_clear(&copy);
    volt_free(text);
    volt_dataset_close(ds);
    ds = NULL;
    o.label_table = "0=background,1=liver";
    assert_fails(volt_dataset_open(&ds, NULL, &o), VOLT_EINVAL, "2 label thresholds define 3");
    o = pairs();
    o.threshold = (const double[]){40, 40};
    o.thresholds = 2;
    assert_fails(volt_dataset_open(&ds, NULL, &o), VOLT_EINVAL, "must ascend");
}

static void png_slices_are_labels(void **state)
{
    static const char *const folders[] = {"img", "lab/scan", NULL};
    volt_dataset_options o = pairs();
    volt_dataset *ds = NULL;
    volt_case_data d = {0};
    volt_findings f = {0};
    volt_volume *v = NULL;
    uint8_t pixels[3 * 30];
    char path[100];

    (void)state;
    make_folders(PAIRS, folders);
    kit_write(PAIRS "/img/scan.nii.gz", (kit_scan){.n = {11, 5, 6}});
    for (int z = 0; z < 11; z++) { /* 2 must come before 10 */
        memset(pixels, z == 10 ? 240 : 20 * z, 30);
        pixels[7] = 100;
        snprintf(path, sizeof path, PAIRS "/lab/scan/results%d.png", z);
        assert_ok(volt_png_write(path, pixels, 6, 5, 1));
    }
    kit_text(PAIRS "/lab/scan/Thumbs.db", "litter");
    o.threshold = liver_grey;
    o.thresholds = 2;
    assert_ok(volt_dataset_open(&ds, NULL, &o));
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_int_equal(f.count, 0);
    volt_findings_clear(&f);
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1));
    for (int z = 0; z < 11; z++) {
        const int16_t *slice = (const int16_t *)d.labels->data + (int64_t)z * 30;
        assert_int_equal(slice[0], z == 10 ? 2 : z >= 2);
        assert_int_equal(slice[7], 1);
    }
    volt_case_data_clear(&d);
    ds->info.label_flip[0] = ds->info.label_flip[2] = true;
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1));
    assert_int_equal(((const int16_t *)d.labels->data)[0], 2);
    assert_int_equal(((const int16_t *)d.labels->data)[10], 1); /* column 1 of row 1 */
    assert_int_equal(((const int16_t *)d.labels->data)[300], 0);
    volt_case_data_clear(&d);
    ds->info.label_flip[0] = ds->info.label_flip[2] = false;

    for (int i = 0; i < 90; i++)
        pixels[i] = (uint8_t)i;
    assert_ok(volt_png_write(PAIRS "/lab/scan/results3.png", pixels, 6, 5, 3));
    assert_fails(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1), VOLT_EFORMAT, "colours");
    assert_ok(volt_png_write(PAIRS "/lab/scan/results3.png", pixels, 5, 5, 1));
    assert_fails(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1), VOLT_EDATA,
                 "5 pixels along x");
    kit_text(PAIRS "/lab/scan/results3.png", "\x89PNG\r\n\x1a\n and no more");
    assert_fails(volt_image_read(&v, NULL, PAIRS "/lab/scan/results3.png", NULL), VOLT_EFORMAT,
                 "damaged");
    kit_text(PAIRS "/lab/scan/results3.png", "no image");
    assert_fails(volt_image_read(&v, NULL, PAIRS "/lab/scan/results3.png", NULL), VOLT_EFORMAT,
                 "not a PNG");
    assert_null(v);
    volt_dataset_close(ds);
}

/* -- Grids that differ -------------------------------------------------------------------- */

static void mixed_orientations_are_turned_and_restored(void **state)
{
    const volt_image_read_options bytes = volt_image_read_as(VOLT_U8, 0);
    volt_dataset *ds = NULL;
    volt_case_data ras = {0}, lps = {0};
    volt_volume *mask = NULL;

    (void)state;
    kit_folder("layout-mixed");
    kit_text("layout-mixed/dataset.json", KIT_JSON("\"0\": \"CT\"", "3"));
    kit_write("layout-mixed/imagesTr/a_0000.nii.gz", (kit_scan){0});
    kit_write("layout-mixed/labelsTr/a.nii.gz", (kit_scan){.label_high = 2});
    kit_write("layout-mixed/imagesTr/b_0000.nii.gz", (kit_scan){.codes = "SLP"});
    kit_write("layout-mixed/labelsTr/b.nii.gz", (kit_scan){.label_high = 2, .codes = "SLP"});
    kit_write("layout-mixed/imagesTr/c_0000.nii.gz", (kit_scan){0});
    kit_write("layout-mixed/labelsTr/c.nii.gz", (kit_scan){.label_high = 2});
    assert_ok(volt_dataset_open(&ds, "layout-mixed", NULL));
    assert_string_equal(ds->info.orientation, "RAS");
    assert_true(noted(ds, "2 RAS (a), 1 SLP (b)"));
    assert_ok(volt_case_read(&ras, &ds->cases.item[0], &ds->info, 1));
    assert_ok(volt_case_read(&lps, &ds->cases.item[1], &ds->info, 1));
    assert_true(volt_grid_same(&ras.image->grid, &lps.image->grid, 1e-5));
    assert_memory_equal(ras.image->data, lps.image->data, volt_volume_bytes(ras.image));
    assert_memory_equal(ras.labels->data, lps.labels->data, volt_volume_bytes(ras.labels));
    assert_ok(volt_volume_convert(&mask, lps.labels, VOLT_U8, NULL, 1));
    assert_ok(volt_mask_restore(&mask, &ds->info, lps.header, 1));
    assert_true(volt_grid_same(&mask->grid, &lps.header->grid, 0));
    assert_ok(volt_nifti_write("layout-mixed/mask.nii.gz", mask, lps.header, NULL));
    volt_volume_free(mask);
    volt_case_data_clear(&lps);
    assert_ok(volt_nifti_read(&mask, NULL, "layout-mixed/labelsTr/b.nii.gz", &bytes));
    {
        volt_volume *again = NULL;
        assert_ok(volt_nifti_read(&again, NULL, "layout-mixed/mask.nii.gz", NULL));
        assert_memory_equal(again->data, mask->data, volt_volume_bytes(mask));
        volt_volume_free(again);
    }
    volt_volume_free(mask);
    volt_case_data_clear(&ras);
    volt_dataset_close(ds);
}

static void channels_on_other_grids_are_resampled(void **state)
{
    volt_dataset_options asked = volt_dataset_defaults();
    volt_dataset *ds = NULL;
    volt_findings f = {0};
    volt_case_data d = {0};

    (void)state;
    asked.resample_channels = true;
    kit_folder("layout-grids");
    kit_text("layout-grids/dataset.json", KIT_JSON("\"0\": \"T1\", \"1\": \"T2\"", "1"));
    kit_write("layout-grids/imagesTr/a_0000.nii.gz", (kit_scan){.base = 1});
    kit_write("layout-grids/imagesTr/a_0001.nii.gz",
              (kit_scan){.n = {2, 5, 6}, .spacing = {3, 1, 1}});
    kit_write("layout-grids/labelsTr/a.nii.gz", (kit_scan){.label_high = 2});
    assert_ok(volt_dataset_open(&ds, "layout-grids", NULL));
    assert_fails(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1), VOLT_EDATA,
                 "2 voxels along z");
    volt_dataset_close(ds);
    assert_ok(volt_dataset_open(&ds, "layout-grids", &asked));
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_int_equal(f.errors, 0);
    assert_true(found(&f, VOLT_WARNING, "onto which it is resampled"));
    volt_findings_clear(&f);
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1));
    assert_int_equal(d.image->grid.n[0], 4);
    { /* between the two slices of the channel: their mean */
        const float *second = (const float *)d.image->data + 120;
        assert_true(fabsf(second[30] - (0.5f * 0 + 0.5f * 2)) < 1e-5f);
        assert_true(second[0] == 0 && second[60] == 2);
    }
    volt_case_data_clear(&d);
    volt_dataset_close(ds);
}

/* -- nnU-Net and Decathlon ---------------------------------------------------------------- */

static void other_endings_and_tests_are_found(void **state)
{
    volt_dataset *ds = NULL;

    (void)state;
    kit_folder("layout-raw");
    kit_text("layout-raw/dataset.json", KIT_JSON("\"0\": \"CT\"", "1"));
    kit_write("layout-raw/imagesTr/a_0000.nii", (kit_scan){0});
    kit_write("layout-raw/labelsTr/a.nii.gz", (kit_scan){.label_high = 2});
    assert_ok(volt_make_dirs("layout-raw/imagesTs"));
    kit_write("layout-raw/imagesTs/t_0000.nii", (kit_scan){0});
    assert_ok(volt_dataset_open(&ds, "layout-raw", NULL));
    assert_true(noted(ds, "\".nii.gz\", the images end in \".nii\""));
    assert_string_equal(ds->cases.item[0].file[0], "layout-raw/imagesTr/a_0000.nii");
    assert_string_equal(ds->cases.item[0].label_file, "layout-raw/labelsTr/a.nii.gz");
    assert_int_equal(ds->tests.count, 1);
    assert_string_equal(ds->tests.item[0].id, "t");
    volt_dataset_close(ds);
}

static void decathlon_oddities_are_noted(void **state)
{
    volt_dataset_options nested = volt_dataset_defaults();
    volt_dataset *ds = NULL;

    (void)state;
    nested.target = VOLT_TARGET_REGIONS;
    kit_folder("layout-msd");
    kit_text(
        "layout-msd/dataset.json",
        "{\"name\": \"BRATS\", \"relase\": \"1.0\", \"modality\": {\"0\": \"FLAIR\", \"1\": "
        "\"T1w\", \"2\": \"t1gd\", \"3\": \"T2w\"}, \"labels\": {\"0\": \"background\", "
        "\"1\": \"edema\", \"2\": \"non-enhancing tumor\", \"3\": \"enhancing tumour\"}, "
        "\"numTraining\": 1, \"training\": [{\"image\": \"./imagesTr/a.nii.gz\", "
        "\"label\": \"./labelsTr/a.nii.gz\"}], \"test\": [\"./imagesTs/b.nii.gz\"]}");
    assert_ok(volt_dataset_open(&ds, "layout-msd", NULL));
    assert_true(noted(ds, "relase"));
    assert_true(noted(ds, "not as in BraTS"));
    assert_int_equal(ds->info.regions, 0);
    assert_int_equal(ds->tests.count, 1);
    assert_string_equal(ds->tests.item[0].id, "b");
    volt_dataset_close(ds);
    assert_ok(volt_dataset_open(&ds, "layout-msd", &nested));
    assert_int_equal(ds->info.regions, 3);
    volt_dataset_close(ds);
}

static void regions_out_of_order_are_warned_of(void **state)
{
    volt_dataset *ds = NULL;
    volt_findings f = {0};

    (void)state;
    kit_folder("layout-order");
    kit_text("layout-order/dataset.json",
             "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, \"core\": "
             "[2], \"whole\": [1, 2], \"ignore\": 5}, \"regions_class_order\": [2, 1], "
             "\"numTraining\": 1, \"file_ending\": \".nii.gz\"}");
    kit_write("layout-order/imagesTr/a_0000.nii.gz", (kit_scan){0});
    kit_write("layout-order/labelsTr/a.nii.gz", (kit_scan){.label_high = 2});
    assert_ok(volt_dataset_open(&ds, "layout-order", NULL));
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_true(found(&f, VOLT_WARNING, "\"whole\" covers all of \"core\""));
    assert_true(
        found(&f, VOLT_ERROR, "ignore label is 5; it must follow the highest label, 2"));
    volt_findings_clear(&f);
    volt_dataset_close(ds);
}

/* -- Memory ------------------------------------------------------------------------------- */

static void running_out_of_memory_leaks_nothing(void **state)
{
    static const char *const tops[] = {TOP, LITS, NULL};
    const volt_dataset_options o = pairs();
    const size_t before = volt_mem_current();
    int tries = 0;

    (void)state;
    make_brats();
    make_lits();
    make_pairs();
    for (int t = 0; t < 3; t++) {
        volt_status st = VOLT_ENOMEM;
        for (int64_t n = 1; st == VOLT_ENOMEM && n < 10000; n++, tries++) {
            volt_dataset *ds = NULL;
            volt_mem_fail_after(n);
            st = volt_dataset_open(&ds, tops[t], tops[t] ? NULL : &o);
            volt_mem_fail_after(0);
            volt_dataset_close(ds);
            assert_int_equal(volt_mem_current(), before);
        }
        assert_int_equal(st, VOLT_OK);
    }
    assert_true(tries > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brats_is_found_with_its_odd_case),
        cmocka_unit_test(brats_labels_are_translated_and_restored),
        cmocka_unit_test(what_brats_cases_lack_is_named),
        cmocka_unit_test(later_brats_years_are_told_apart),
        cmocka_unit_test(a_set_is_told_by_its_names),
        cmocka_unit_test(a_radiotherapy_set_has_one_channel),
        cmocka_unit_test(lits_labels_follow_their_volume),
        cmocka_unit_test(lits_files_that_do_not_fit_are_errors),
        cmocka_unit_test(images_and_labels_are_matched_by_name),
        cmocka_unit_test(names_without_partner_are_refused),
        cmocka_unit_test(a_label_table_names_odd_values),
        cmocka_unit_test(grey_values_become_labels),
        cmocka_unit_test(png_slices_are_labels),
        cmocka_unit_test(mixed_orientations_are_turned_and_restored),
        cmocka_unit_test(channels_on_other_grids_are_resampled),
        cmocka_unit_test(other_endings_and_tests_are_found),
        cmocka_unit_test(decathlon_oddities_are_noted),
        cmocka_unit_test(regions_out_of_order_are_warned_of),
        cmocka_unit_test(running_out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
