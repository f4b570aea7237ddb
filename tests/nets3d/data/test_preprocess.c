#include "tests/kit/measure.h"
#include "tests/kit/dataset_kit.h"
#include "tests/kit/fixture.h"
#include "tests/kit/shared.h"
#include "base/mem.h"
#include "io/dataset.h"
#include "io/json/json.h"
#include "io/case_store.h"
#include "nets3d/data/preprocess_case.h"
#include "nets3d/preprocess.h"

#include <unistd.h>

#define SET "preprocess-set"

/* -- One scan ----------------------------------------------------------------------------- */

/* testdata's made-up scan as volumes. */
static void made_up_scan(volt_volume **image, volt_volume **labels)
{
    const npy i = npy_read("prepare/image", "<f4"), l = npy_read("prepare/labels", "<i2");
    const double spacing[3] = {0.8, 1.0, 3.5};
    const volt_grid grid = volt_grid_make(i.shape + 1, (int32_t)i.shape[0], spacing);
    volt_grid one = grid;

    one.channels = 1;
    assert_ok(volt_volume_create(image, &grid, VOLT_F32));
    assert_ok(volt_volume_create(labels, &one, VOLT_I16));
    memcpy((*image)->data, i.data, (size_t)i.count * 4);
    memcpy((*labels)->data, l.data, (size_t)l.count * 2);
    free(i.data);
    free(l.data);
}

/* The plan that make_prepare.py follows. */
typedef struct made_up_plan {
    volt_plan plan;
    volt_plan_config config;
    volt_normalization norm[2];
    bool use_mask[2];
    volt_foreground_stats stats[2];
} made_up_plan;

static void made_up_plan_open(made_up_plan *m)
{
    *m = (made_up_plan){
        .plan = {.transpose_forward = {2, 0, 1},
                 .transpose_backward = {1, 2, 0},
                 .channels = 2,
                 .classes = 3,
                 .intensities = m->stats},
        .config = {.axes = 3,
                   .transpose_forward = {2, 0, 1},
                   .transpose_backward = {1, 2, 0},
                   .slices = 1,
                   .spacing = {4.5, 1.1, 0.9},
                   .norm = m->norm,
                   .use_mask_for_norm = m->use_mask,
                   .data = {.order = VOLT_CUBIC, .separate_z = VOLT_SEPARATE_Z_AUTO},
                   .seg = {.order = VOLT_LINEAR, .separate_z = VOLT_SEPARATE_Z_AUTO}},
        .norm = {VOLT_NORMALIZE_ZSCORE, VOLT_NORMALIZE_CT},
        .use_mask = {true, false},
        .stats = {{0}, {.mean = 20, .std = 35, .percentile_00_5 = -40, .percentile_99_5 = 90}}};
}

/* Largest difference of the image and number of labels that differ from the fixture NAME. */
static void compare(const volt_preprocessed *p, const char *name, double *worst, int64_t *wrong)
{
    char file[100];
    npy i, l;

    snprintf(file, sizeof file, "%s_image", name);
    i = npy_read(file, "<f4");
    snprintf(file, sizeof file, "%s_labels", name);
    l = npy_read(file, "|i1");
    assert_int_equal(p->image->grid.channels, i.shape[0]);
    for (int a = 0; a < 3; a++)
        assert_int_equal(p->image->grid.n[a], i.shape[a + 1]);
    assert_int_equal(p->labels->dtype, VOLT_I8);
    assert_int_equal(volt_grid_voxels(&p->labels->grid), l.count);
    *worst = 0;
    *wrong = 0;
    for (int64_t k = 0; k < i.count; k++)
        *worst = fmax(*worst, fabs(((float *)p->image->data)[k] - ((float *)i.data)[k]));
    for (int64_t k = 0; k < l.count; k++)
        *wrong += ((int8_t *)p->labels->data)[k] != ((int8_t *)l.data)[k];
    free(i.data);
    free(l.data);
}

static void a_scan_is_prepared_as_the_reference_does(void **state)
{
    static const char *const names[] = {"prepare/separate", "prepare/joint"};
    const npy box = npy_read("prepare/box", "<i4");

    (void)state;
    for (int joint = 0; joint < 2; joint++) {
        volt_volume *image = NULL, *labels = NULL;
        volt_preprocessed p = {0};
        made_up_plan m;
        double worst;
        int64_t wrong;

        made_up_plan_open(&m);
        if (joint)
            m.config.data.separate_z = m.config.seg.separate_z = VOLT_SEPARATE_Z_NEVER;
        made_up_scan(&image, &labels);
        assert_ok(volt_preprocess_case(&p, &image, &labels, &m.plan, &m.config, "scan", 2));
        assert_null(image);
        assert_null(labels);
        for (int a = 0; a < 3; a++) {
            assert_int_equal(p.crop.low[a], ((int32_t *)box.data)[2 * a]);
            assert_int_equal(p.crop.high[a], ((int32_t *)box.data)[2 * a + 1]);
        }
        assert_int_equal(p.shape_before_crop[0], 9);
        assert_true(p.spacing_before[0] == 3.5 && p.spacing[0] == 4.5);
        assert_int_equal(p.source.n[0], 14);
        compare(&p, names[joint], &worst, &wrong);
        print_message("%s: %.2g off, %lld labels differ\n", names[joint], worst,
                      (long long)wrong);
        assert_true(worst < 2e-5);
        assert_int_equal(wrong, 0);
        volt_preprocessed_clear(&p);
    }
    free(box.data);
}

static void threads_change_no_bit(void **state)
{
    volt_preprocessed p[2] = {{0}, {0}};
    made_up_plan m;

    (void)state;
    made_up_plan_open(&m);
    for (int i = 0; i < 2; i++) {
        volt_volume *image = NULL, *labels = NULL;
        made_up_scan(&image, &labels);
        assert_ok(volt_preprocess_case(&p[i], &image, &labels, &m.plan, &m.config, "scan",
                                       1 + 3 * i));
    }
    assert_memory_equal(p[0].image->data, p[1].image->data, volt_volume_bytes(p[0].image));
    assert_memory_equal(p[0].labels->data, p[1].labels->data, volt_volume_bytes(p[0].labels));
    volt_preprocessed_clear(&p[0]);
    volt_preprocessed_clear(&p[1]);
}

static void scans_that_do_not_fit_are_refused_and_freed(void **state)
{
    const size_t before = volt_mem_current();
    volt_volume *image = NULL, *labels = NULL;
    volt_preprocessed p = {0};
    made_up_plan m;

    (void)state;
    made_up_plan_open(&m);
    made_up_scan(&image, &labels);
    ((float *)image->data)[5] = NAN;
    assert_fails(volt_preprocess_case(&p, &image, &labels, &m.plan, &m.config, "scan", 1),
                 VOLT_EDATA, "scan is NaN or infinite in 1 voxel");
    assert_null(image);
    m.plan.channels = 3;
    made_up_scan(&image, &labels);
    assert_fails(volt_preprocess_case(&p, &image, &labels, &m.plan, &m.config, "scan", 1),
                 VOLT_EDATA, "2 channels; the plan has 3");
    assert_int_equal(volt_mem_current(), before);
}

/* -- Whole data sets ---------------------------------------------------------------------- */

static void make_set(void)
{
    char path[100];

    kit_folder(SET);
    kit_text(SET "/dataset.json", KIT_JSON("\"0\": \"CT\", \"1\": \"T2\"", "4"));
    for (int i = 0; i < 4; i++) {
        for (int c = 0; c < 2; c++) {
            snprintf(path, sizeof path, SET "/imagesTr/c%d_%04d.nii.gz", i, c);
            kit_write(path, (kit_scan){.n = {9, 10, 11 + i}, .base = (float)(i + 1)});
        }
        snprintf(path, sizeof path, SET "/labelsTr/c%d.nii.gz", i);
        kit_write(path, (kit_scan){.n = {9, 10, 11 + i}, .label_high = 2});
    }
}

typedef struct stop_at {
    int64_t at, seen;
} stop_at;

static void count_cases(void *user, const char *what, int64_t done, int64_t total)
{
    stop_at *s = user;

    assert_string_equal(what, "cases");
    assert_int_equal(total, 4);
    s->seen = done;
}

static bool is_enough(void *user)
{
    const stop_at *s = user;

    return s->seen >= s->at;
}

static void a_set_is_prepared_once_and_continued(void **state)
{
    stop_at stop = {.at = 2};
    const volt_callbacks cb = {.user = &stop, .progress = count_cases, .cancelled = is_enough};
    volt_preprocess_options o = volt_preprocess_defaults();
    volt_preprocess_result r = {0};
    const volt_stored_case *c = NULL;
    volt_dataset *ds = NULL;
    volt_names names = {0};
    made_up_plan m;

    o.threads = 1;
    o.callbacks = &cb;
    (void)state;
    make_set();
    assert_int_equal(system("rm -rf preprocess-out"), 0);
    made_up_plan_open(&m);
    assert_ok(volt_dataset_open(&ds, SET, NULL));
    assert_int_equal(volt_preprocess(&r, "preprocess-out", ds, &m.plan, &m.config, &o),
                     VOLT_ECANCELLED);
    assert_ok(volt_list_dir(&names, "preprocess-out"));
    assert_int_equal(names.count, 2);
    volt_names_free(&names);
    stop.at = 100;
    assert_ok(volt_preprocess(&r, "preprocess-out", ds, &m.plan, &m.config, &o));
    assert_int_equal(r.kept, 2);
    assert_int_equal(r.created, 2);
    assert_ok(volt_preprocess(&r, "preprocess-out", ds, &m.plan, &m.config, &o));
    assert_int_equal(r.kept, 4);

    m.config.spacing[1] = 1.3; /* another plan */
    assert_ok(volt_preprocess(&r, "preprocess-out", ds, &m.plan, &m.config, &o));
    assert_int_equal(r.created, 4);
    kit_write(SET "/imagesTr/c1_0000.nii.gz", (kit_scan){.n = {9, 10, 12}, .base = 50});
    kit_text("preprocess-out/c2.voltcase", "damaged");
    assert_ok(volt_preprocess(&r, "preprocess-out", ds, &m.plan, &m.config, &o));
    assert_int_equal(r.created, 2);

    assert_ok(volt_stored_case_open(&c, "preprocess-out/c3.voltcase"));
    assert_ok(volt_stored_case_verify(c));
    assert_int_equal(c->channels, 2);
    assert_int_equal(c->classes, 2);
    assert_int_equal(c->source.n[2], 14);
    assert_true(c->spacing[1] == 1.3);
    for (int k = 0; k < c->classes; k++) {
        const volt_class_locations *l = &c->locations[k];
        assert_int_equal(l->label, k + 1);
        assert_true(l->count == l->voxels && l->count > 0);
        for (int64_t i = 0; i < l->count; i++)
            assert_int_equal(((const int8_t *)c->labels)[l->location[i]], k + 1);
    }
    volt_stored_case_close(c);
    volt_dataset_close(ds);
}

static void the_first_broken_case_is_named(void **state)
{
    volt_preprocess_options o = volt_preprocess_defaults();
    volt_dataset *ds = NULL;
    made_up_plan m;

    o.threads = 2;
    (void)state;
    make_set();
    made_up_plan_open(&m);
    assert_ok(volt_dataset_open(&ds, SET, NULL));
    kit_write(SET "/labelsTr/c0.nii.gz", (kit_scan){.n = {9, 10, 11}, .label_high = 4});
    assert_fails(volt_preprocess(NULL, "preprocess-bad", ds, &m.plan, &m.config, &o),
                 VOLT_EDATA, "c0.nii.gz has label 3");
    kit_text(SET "/imagesTr/c0_0001.nii.gz", "nothing");
    assert_fails(volt_preprocess(NULL, "preprocess-bad", ds, &m.plan, &m.config, &o),
                 VOLT_EFORMAT, "c0_0001");
    m.plan.classes = 4;
    assert_fails(volt_preprocess(NULL, "preprocess-bad", ds, &m.plan, &m.config, &o),
                 VOLT_EINVAL, "4 labels");
    assert_false(volt_path_exists("preprocess-bad/c0.voltcase"));
    volt_dataset_close(ds);
}

/* Locations as count, sum and sum of squares of their numbers, which only the same have. */
static void assert_located(const volt_class_locations *l, const json_t *numbers)
{
    int64_t sum = 0, squares = 0;

    assert_int_equal(json_array_size(numbers), 3);
    for (int64_t i = 0; i < l->count; i++) {
        sum += (int64_t)l->location[i];
        squares += (int64_t)(l->location[i] * l->location[i]);
    }
    assert_int_equal(l->count, json_integer_value(json_array_get(numbers, 0)));
    assert_true(sum == json_integer_value(json_array_get(numbers, 1)));
    assert_true(squares == json_integer_value(json_array_get(numbers, 2)));
}

/* large() of testdata/scripts/make_preprocess.py. */
static uint8_t large_label(int64_t i)
{
    return i % 211 == 0 ? 2 : i % 70001 == 0 ? 3 : i % 7 < 5;
}

static void locations_are_nnunets(void **state)
{
    const int64_t n[3] = {110, 120, 130};
    const volt_grid grid = volt_grid_make(n, 1, (double[]){1, 1, 1});
    volt_preprocess_options o = volt_preprocess_defaults();
    const volt_stored_case *c = NULL;
    volt_volume *labels = NULL;
    volt_dataset *ds = NULL;
    volt_json cases = {0};
    made_up_plan m;

    o.threads = 1;
    (void)state;
    kit_folder(SET);
    kit_text(SET "/dataset.json",
             "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, \"a\": 1, "
             "\"b\": 2, \"c\": 3}, \"numTraining\": 1, \"file_ending\": \".nii.gz\"}");
    kit_write(SET "/imagesTr/big_0000.nii.gz",
              (kit_scan){.n = {110, 120, 130}, .base = 1, .spacing = {1, 1, 1}});
    assert_ok(volt_volume_create(&labels, &grid, VOLT_U8));
    for (int64_t i = 0; i < volt_grid_voxels(&grid); i++)
        ((uint8_t *)labels->data)[i] = large_label(i);
    assert_ok(volt_nifti_write(SET "/labelsTr/big.nii.gz", labels, NULL, NULL));
    volt_volume_free(labels);
    made_up_plan_open(&m);
    m.plan.channels = 1;
    m.plan.classes = 4;
    for (int a = 0; a < 3; a++) {
        m.config.spacing[a] = 1;
        m.config.transpose_forward[a] = a;
    }
    assert_ok(volt_dataset_open(&ds, SET, NULL));
    assert_ok(volt_preprocess(NULL, "preprocess-big", ds, &m.plan, &m.config, &o));
    assert_ok(volt_stored_case_open(&c, "preprocess-big/big.voltcase"));
    assert_ok(volt_json_load(&cases, VOLT_TESTDATA "/preprocess/cases.json"));
    assert_int_equal(c->classes, 3);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(c->locations[k].label, k + 1);
        assert_located(&c->locations[k],
                       json_object_get(json_object_get(cases.root, "locations"),
                                       (const char *[]){"1", "2", "3"}[k]));
    }
    volt_json_close(&cases);
    volt_stored_case_close(c);
    volt_dataset_close(ds);
}

/* From the file to the case store, with labels: less than 2.5 times the float32 image before or
 * after resampling, whichever is larger; also where the axes turn, for the plan or for the data
 * set. */
static void memory_stays_below_two_and_a_half_images(void **state)
{
    static const int orders[2][3] = {{0, 1, 2}, {2, 0, 1}};
    static const double spacings[2][3] = {{1.1, 0.9, 0.9}, {2, 2, 2}};
    const int64_t n[3] = {120, 150, 140};
    const double mm[3] = {1.5, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    const size_t base = volt_mem_current();
    volt_volume *labels = NULL;
    volt_preprocess_options o = volt_preprocess_defaults();
    volt_dataset *ds = NULL;
    made_up_plan m;
    int compared = 0;

    o.threads = 1;
    o.overwrite = true;
    (void)state;
    kit_folder(SET);
    kit_text(SET "/dataset.json", KIT_JSON("\"0\": \"CT\"", "1"));
    kit_write(SET "/imagesTr/big_0000.nii.gz", (kit_scan){.n = {120, 150, 140}, .base = 1});
    assert_ok(volt_volume_create(&labels, &grid, VOLT_F64)); /* as nibabel likes to */
    for (int64_t i = 0; i < volt_grid_voxels(&grid); i++)
        ((double *)labels->data)[i] = (double)(i % 3);
    assert_ok(volt_nifti_write(SET "/labelsTr/big.nii.gz", labels, NULL, NULL));
    volt_volume_free(labels);
    made_up_plan_open(&m);
    m.plan.channels = 1;
    assert_ok(volt_dataset_open(&ds, SET, NULL));
    for (int i = 0; i < 8; i++) {
        const volt_stored_case *c = NULL;
        double largest = 4.0 * (double)(n[0] * n[1] * n[2]), after = 4;

        memcpy(m.config.transpose_forward, orders[i / 2 % 2], sizeof orders[0]);
        strcpy(ds->info.orientation, i / 4 ? "SPL" : "");
        memcpy(m.config.spacing, spacings[i % 2], sizeof spacings[0]);
        measure_start();
        assert_ok(volt_preprocess(NULL, "preprocess-big", ds, &m.plan, &m.config, &o));
        assert_ok(volt_stored_case_open(&c, "preprocess-big/big.voltcase"));
        for (int a = 0; a < 3; a++)
            after *= (double)c->shape[a];
        volt_stored_case_close(c);
        largest = fmax(largest, after);
        compared++;
        print_message("%.2f times the larger image\n",
                      (double)(measure_peak() - base) / largest);
        assert_true((double)(measure_peak() - base) < 2.5 * largest);
    }
    assert_int_equal(compared, 8);
    volt_dataset_close(ds);
}

/* -- nnU-Net's own cases ------------------------------------------------------------------ */

static void golden_cases_come_out(void **state)
{
    static const char *const cases[] = {"hippocampus_125", "hippocampus_160",
                                        "hippocampus_336"};
    const volt_plan_config *config;
    volt_dataset *ds = NULL;
    volt_plan *plan = NULL;

    (void)state;
    if (!has_shared("msd_hippocampus"))
        skip();
    assert_ok(volt_dataset_open(&ds, VOLT_SHARED_DATA "/msd_hippocampus", NULL));
    assert_int_equal(ds->cases.count, 195);
    assert_ok(volt_plan_read(&plan, VOLT_TESTDATA "/hippocampus/nnUNetPlans.json", &ds->info));
    assert_ok(volt_plan_find(&config, plan, "3d_fullres"));
    for (int i = 0; i < 3; i++) {
        const volt_case *c = &ds->cases.item[volt_dataset_find(ds, cases[i])];
        volt_case_data d = {0};
        volt_preprocessed p = {0};
        char name[100];
        double worst;
        int64_t wrong;

        snprintf(name, sizeof name, "hippocampus/%s", cases[i]);
        assert_ok(volt_case_read(&d, c, &ds->info, 0));
        assert_ok(volt_preprocess_case(&p, &d.image, &d.labels, plan, config, c->id, 0));
        compare(&p, name, &worst, &wrong);
        print_message("%s: %.2g off\n", cases[i], worst);
        assert_true(worst < 1e-5);
        assert_int_equal(wrong, 0);
        volt_preprocessed_clear(&p);
        volt_case_data_clear(&d);
    }
    volt_plan_free(plan);
    volt_dataset_close(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scan_is_prepared_as_the_reference_does),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(scans_that_do_not_fit_are_refused_and_freed),
        cmocka_unit_test(a_set_is_prepared_once_and_continued),
        cmocka_unit_test(the_first_broken_case_is_named),
        cmocka_unit_test(locations_are_nnunets),
        cmocka_unit_test(memory_stays_below_two_and_a_half_images),
        cmocka_unit_test(golden_cases_come_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
