/* Cascades that nnU-Net itself trained, stored and applied (testdata/scripts/make_cascade.py):
 * the masks the second stage is trained on, predictions of both stages, and the same in memory.
 */
#include "base/core/alloc.h"
#include "tests/kit/measure.h"
#include "tests/kit/test.h"

#include "io/case_store.h"
#include "io/dataset.h"
#include "io/workspace.h"
#include "nets3d/cascade.h"
#include "nets3d/import_model.h"
#include "nets3d/pipeline.h"
#include "parallel/ranks.h"
#include "tests/kit/foreign.h"

#define TOP  "cascade-test"
#define LOW  TOP "/low"
#define FINE TOP "/fine"
#define WORK TOP "/work"
#define OUT  TOP "/out"

static const char *const kinds[2] = {"plain", "mirror"};

/* testdata/cascade/NAME/FILE; owned. */
static char *golden(const char *name, const char *file)
{
    char *path = NULL;

    assert_ok(volt_format(&path, VOLT_TESTDATA "/cascade/%s/%s", name, file));
    return path;
}

static void import_stage(const char *name, const char *stage, const char *run)
{
    char *source = golden(name, stage);

    assert_ok(volt_import_model(source, run, NULL, NULL, NULL));
    volt_free(source);
}

static void copy_text(const char *from, const char *to)
{
    char *text;
    size_t bytes;

    assert_ok(volt_read_file(&text, &bytes, from, (size_t)1 << 20));
    assert_ok(volt_write_file(to, text, bytes));
    volt_free(text);
}

/* Both runs, and a work folder with nnU-Net's plan. */
static void set_up(const char *name)
{
    char *plans = golden(name, "fine/plans.json");

    remove_tree(TOP);
    assert_ok(volt_make_dirs(WORK));
    import_stage(name, "low", LOW "/fold_0");
    import_stage(name, "fine", FINE "/fold_0");
    copy_text(plans, WORK "/" VOLT_WORK_PLANS);
    volt_free(plans);
}

static volt_predictor *open_fine(const char *run, const char *previous, bool mirror)
{
    volt_predict_options o = volt_predict_defaults();
    volt_predictor *p = NULL;

    o.precision = VOLT_FP32;
    o.mirror = mirror;
    o.previous_stage = previous;
    o.threads = 2;
    assert_ok(volt_predictor_open(&p, &run, 1, &o, NULL));
    return p;
}

/* The case "scan" of NAME; volt_dataset_close. */
static volt_dataset *open_data(const char *name)
{
    volt_dataset *ds = NULL;
    char *raw = golden(name, "raw");

    assert_ok(volt_dataset_open(&ds, raw, NULL));
    volt_free(raw);
    assert_int_equal(ds->cases.count, 2);
    assert_string_equal(ds->cases.item[1].id, "scan");
    return ds;
}

static void predict_scan(volt_predictor *p, const char *name)
{
    volt_predict_output output = volt_predict_output_defaults();
    volt_dataset *ds = open_data(name);
    const volt_case_list scan = {.item = &ds->cases.item[1], .count = 1};
    volt_predict_result r = {0};

    output.folder = OUT;
    output.probability_nifti = true;
    assert_ok(volt_predict(p, &scan, &output, NULL, &r));
    assert_int_equal(r.cases, 1);
    assert_true(r.peak_bytes <= r.announced_bytes);
    volt_dataset_close(ds);
}

static void compare_with(const char *name, const char *kind, const char *mask)
{
    char *theirs = NULL, *softmax = NULL;

    assert_ok(volt_format(&theirs, VOLT_TESTDATA "/cascade/%s/%s.nii.gz", name, mask));
    assert_ok(volt_format(&softmax, VOLT_TESTDATA "/cascade/%s/%s.npz", name, kind));
    compare_masks(OUT "/scan.nii.gz", theirs, softmax, strcmp(name, "regions") == 0);
    compare_softmax(OUT, "scan", softmax);
    volt_free(softmax);
    volt_free(theirs);
}

/* Voxels of two masks that differ; their extents must not. */
static int64_t differences(const char *a_path, const char *b_path)
{
    volt_volume *a = NULL, *b = NULL;
    int64_t differ = 0, labelled = 0;

    assert_ok(volt_nifti_read(&a, NULL, a_path, NULL));
    assert_ok(volt_nifti_read(&b, NULL, b_path, NULL));
    assert_memory_equal(a->grid.n, b->grid.n, sizeof a->grid.n);
    assert_true(a->dtype == VOLT_U8 && b->dtype == VOLT_U8);
    for (int64_t i = 0; i < volt_grid_voxels(&a->grid); i++) {
        differ += ((const uint8_t *)a->data)[i] != ((const uint8_t *)b->data)[i];
        labelled += ((const uint8_t *)b->data)[i] > 0;
    }
    assert_true(labelled > 50);
    volt_volume_free(b);
    volt_volume_free(a);
    return differ;
}

/* ---- training ---- */

/* What nnU-Net left in predicted_next_stage: every voxel. */
static void compare_next_stage(const char *name, const char *path)
{
    const volt_stored_case *ours = NULL;
    volt_volume *theirs = NULL;
    char *file = golden(name, "next_stage.nii.gz");
    int64_t differ = 0, found[3] = {0};

    assert_ok(volt_stored_case_open(&ours, path));
    assert_ok(volt_stored_case_verify(ours));
    assert_ok(volt_nifti_read(&theirs, NULL, file, NULL));
    assert_memory_equal(ours->shape, theirs->grid.n, sizeof ours->shape);
    assert_int_equal(ours->label_dtype, VOLT_I8);
    for (int64_t i = 0; i < volt_grid_voxels(&theirs->grid); i++) {
        const int label = ((const uint8_t *)theirs->data)[i];
        assert_in_range(label, 0, 2);
        found[label]++;
        differ += ((const int8_t *)ours->labels)[i] != label;
    }
    print_message("%s: next stage %lld + %lld + %lld voxels, %lld differ\n", name,
                  (long long)found[0], (long long)found[1], (long long)found[2],
                  (long long)differ);
    assert_true(found[1] > 50 && found[2] > 50);
    assert_int_equal(differ, 0);
    volt_volume_free(theirs);
    volt_stored_case_close(ours);
    volt_free(file);
}

/* A run in fp32 measures no precision, for no stage. */
static void expect_fp32(void *user, volt_log_level level, const char *line)
{
    (void)user;
    (void)level;
    if (strstr(line, "precision:") || strstr(line, "bf16"))
        fail_msg("not in fp32: %s", line);
}

static void trains_on(const char *name)
{
    const volt_callbacks cb = {.log = expect_fp32};
    char *raw = golden(name, "raw");
    volt_pipeline_options o = volt_pipeline_defaults();
    const volt_stored_case *image = NULL, *mask = NULL;
    volt_pipeline p = {0};

    o.dataset = raw;
    o.work = WORK;
    o.configuration = "3d_cascade_fullres";
    o.previous_stage = LOW;
    o.precision = VOLT_FP32;
    o.callbacks = &cb;
    o.until = VOLT_STAGE_PREPROCESS;
    o.threads = 2;
    set_up(name);
    assert_ok(volt_pipeline_run(&p, &o));
    compare_next_stage(name, WORK "/3d_cascade_fullres_previous/scan.voltcase");
    /* The other case is not fold 0's to validate; it has the grid of its preprocessed image all
     * the same.
     */
    assert_ok(volt_stored_case_open(&image, WORK "/full/other.voltcase"));
    assert_ok(volt_stored_case_open(&mask, WORK "/3d_cascade_fullres_previous/other.voltcase"));
    assert_memory_equal(image->shape, mask->shape, sizeof image->shape);
    assert_memory_equal(image->transpose_forward, mask->transpose_forward,
                        sizeof image->transpose_forward);
    assert_memory_equal(&image->crop, &mask->crop, sizeof image->crop);
    volt_stored_case_close(mask);
    volt_stored_case_close(image);
    volt_pipeline_clear(&p);
    volt_free(raw);
    remove_tree(TOP);
}

static void the_next_stage_is_trained_on_nnunets_voxels(void **state)
{
    (void)state;
    trains_on("turned");
    trains_on("regions");
}

/* nnU-Net's validation of the second stage reads what training reads. */
static void validates_as_nnunet(const char *name)
{
    volt_cascade_options cascade = volt_cascade_defaults();
    volt_dataset *ds = open_data(name);
    volt_predictor *p;

    cascade.precision = VOLT_FP32;
    cascade.threads = 2;
    set_up(name);
    p = open_fine(FINE "/fold_0", LOW, true);
    assert_ok(volt_cascade_for_validation(p, WORK, WORK "/splits_final.json", ds, &cascade));
    predict_scan(p, name);
    compare_with(name, "validation", "validation");
    assert_false(volt_path_exists(OUT "/previous_stage"));
    volt_predictor_free(p);
    volt_dataset_close(ds);
    remove_tree(TOP);
}

static void validation_is_nnunets(void **state)
{
    (void)state;
    validates_as_nnunet("turned");
    validates_as_nnunet("regions");
}

/* ---- prediction ---- */

static void predicts(const char *name)
{
    set_up(name);
    for (int m = 0; m < 2; m++) {
        char *low = NULL;
        volt_predictor *p = open_fine(FINE, LOW, m == 1);

        predict_scan(p, name);
        volt_predictor_free(p);
        assert_ok(volt_format(&low, VOLT_TESTDATA "/cascade/%s/low_%s.nii.gz", name, kinds[m]));
        assert_int_equal(differences(OUT "/previous_stage/scan.nii.gz", low), 0);
        compare_with(name, kinds[m], kinds[m]);
        /* the same from the folder of those masks */
        p = open_fine(FINE, OUT "/previous_stage", m == 1);
        predict_scan(p, name);
        volt_predictor_free(p);
        compare_with(name, kinds[m], kinds[m]);
        volt_free(low);
        remove_tree(OUT);
    }
    remove_tree(TOP);
}

static void predictions_are_nnunets(void **state)
{
    (void)state;
    predicts("turned");
    predicts("regions");
}

/* ---- several ranks ---- */

/* One rank: both stages of the case into OUT, then of its voxels. */
static volt_status predict_rank(volt_comm *comm, void *context)
{
    const bool first = volt_comm_rank(comm) == 0;
    volt_predict_options o = volt_predict_defaults();
    volt_predict_output output = volt_predict_output_defaults();
    const char *fine = FINE;
    volt_predictor *p = NULL;
    volt_case_data data = {0};
    volt_volume *labels = NULL, *file = NULL;
    volt_dataset *ds = open_data("turned");
    const volt_case_list scan = {.item = &ds->cases.item[1], .count = 1};
    volt_status st;

    o.precision = VOLT_FP32;
    o.mirror = false;
    o.previous_stage = LOW;
    o.threads = 1;
    o.comm = comm;
    o.mesh = context;
    output.folder = OUT;
    output.probability_nifti = true;
    VOLT_TRY(st, done, volt_predictor_open(&p, &fine, 1, &o, NULL));
    VOLT_TRY(st, done, volt_predict(p, &scan, &output, NULL, NULL));
    if (first || strcmp(context, "cases") == 0)
        VOLT_TRY(st, done, volt_case_read(&data, &ds->cases.item[1], &ds->info, 1));
    VOLT_TRY(st, done, volt_predictor_run(p, data.image, &labels, NULL));
    if (!first && strcmp(context, "cases") != 0 && labels)
        st = volt_fail(VOLT_EINTERNAL, "another rank than the first has labels");
    if (!labels)
        goto done;
    VOLT_TRY(st, done, volt_nifti_read(&file, NULL, OUT "/scan.nii.gz", NULL));
    if (memcmp(file->data, labels->data, volt_volume_bytes(file)) != 0)
        st = volt_fail(VOLT_EINTERNAL, "other labels than in the file");
done:
    volt_volume_free(file);
    volt_volume_free(labels);
    volt_case_data_clear(&data);
    volt_predictor_free(p);
    volt_dataset_close(ds);
    return st;
}

static void ranks_go_through_both_stages(void **state)
{
    char cases[] = "cases", tiles[] = "tiles";
    char *low = NULL, *const mesh[2] = {cases, tiles};

    (void)state;
    set_up("turned");
    assert_ok(volt_format(&low, VOLT_TESTDATA "/cascade/turned/low_plain.nii.gz"));
    for (int i = 0; i < 2; i++) {
        assert_ok(volt_ranks_run(2, predict_rank, mesh[i]));
        assert_int_equal(differences(OUT "/previous_stage/scan.nii.gz", low), 0);
        compare_with("turned", "plain", "plain");
        remove_tree(OUT);
    }
    volt_free(low);
    remove_tree(TOP);
}

/* Both stages take the whole scan, which ranks split. */
static void ranks_split_the_scans_of_both_stages(void **state)
{
    char one[] = "z=1", meshes[3][8] = {"z=2", "x=3", "z=2,y=2"};
    static const int ranks[3] = {2, 3, 4};

    (void)state;
    set_up("turned");
    assert_ok(volt_ranks_run(1, predict_rank, one));
    assert_int_equal(rename(OUT, TOP "/whole"), 0);
    for (int i = 0; i < 3; i++) {
        assert_ok(volt_ranks_run(ranks[i], predict_rank, meshes[i]));
        assert_int_equal(differences(OUT "/previous_stage/scan.nii.gz",
                                     TOP "/whole/previous_stage/scan.nii.gz"),
                         0);
        assert_int_equal(differences(OUT "/scan.nii.gz", TOP "/whole/scan.nii.gz"), 0);
        remove_tree(OUT);
    }
    remove_tree(TOP);
}

/* ---- in memory ---- */

static void assert_same_labels(const volt_volume *a, const volt_volume *b)
{
    assert_int_equal(a->dtype, b->dtype);
    assert_memory_equal(a->grid.n, b->grid.n, sizeof a->grid.n);
    assert_memory_equal(a->data, b->data, volt_volume_bytes(a));
}

/* Both stages by one call, and one after the other with the mask in hand. */
static void voxels_in_memory_go_through_both_stages(void **state)
{
    volt_dataset *ds = open_data("turned");
    volt_case_data data = {0};
    volt_volume *both = NULL, *mask = NULL, *refined = NULL, *file = NULL;
    const char *low = LOW;
    volt_predict_options o = volt_predict_defaults();
    volt_predictor *p, *first = NULL;
    size_t announced;

    (void)state;
    set_up("turned");
    o.precision = VOLT_FP32;
    o.mirror = false;
    o.threads = 2;
    assert_ok(volt_case_read(&data, &ds->cases.item[1], &ds->info, 2));
    p = open_fine(FINE, LOW, false);
    assert_ok(volt_predictor_memory(p, &data.image->grid, &announced));
    measure_start();
    assert_ok(volt_predictor_run(p, data.image, &both, NULL));
    print_message("peak %zu, announced %zu\n", measure_peak(), announced);
    assert_true(measure_peak() <= announced + volt_volume_bytes(data.image) + (1 << 18));

    assert_ok(volt_predictor_open(&first, &low, 1, &o, NULL));
    assert_ok(volt_predictor_run(first, data.image, &mask, NULL));
    assert_ok(volt_predictor_run_with_prior(p, data.image, mask, &refined, NULL));
    assert_same_labels(refined, both);
    predict_scan(p, "turned");
    assert_ok(volt_nifti_read(&file, NULL, OUT "/scan.nii.gz", NULL));
    assert_same_labels(file, both);

    /* another mask changes what is found */
    memset(mask->data, 0, volt_volume_bytes(mask));
    volt_volume_free(refined);
    refined = NULL;
    assert_ok(volt_predictor_run_with_prior(p, data.image, mask, &refined, NULL));
    assert_memory_not_equal(refined->data, both->data, volt_volume_bytes(both));
    volt_predictor_free(first);
    volt_predictor_free(p);
    volt_volume_free(file);
    volt_volume_free(refined);
    volt_volume_free(mask);
    volt_volume_free(both);
    volt_case_data_clear(&data);
    volt_dataset_close(ds);
    remove_tree(TOP);
}

static void what_does_not_fit_is_named(void **state)
{
    volt_dataset *ds = open_data("turned");
    volt_case_data data = {0};
    volt_volume *out = NULL, *mask = NULL;
    volt_predict_options o = volt_predict_defaults();
    const char *run = FINE, *low = LOW;
    volt_predictor *p = NULL;
    volt_grid grid;

    (void)state;
    set_up("turned");
    assert_ok(volt_case_read(&data, &ds->cases.item[1], &ds->info, 2));
    grid = data.image->grid;
    /* no previous stage, a folder of masks, another network in its place */
    p = open_fine(FINE, NULL, false);
    assert_fails(volt_predictor_run(p, data.image, &out, NULL), VOLT_EINVAL,
                 "or a folder of its masks is needed");
    volt_predictor_free(p);
    p = open_fine(FINE, TOP, false);
    assert_fails(volt_predictor_run(p, data.image, &out, NULL), VOLT_EINVAL,
                 "volt_predictor_run_with_prior");
    o.previous_stage = FINE;
    assert_fails(volt_predictor_open(&p, &run, 1, &o, NULL), VOLT_EDATA, "3d_lowres");
    o.previous_stage = LOW;
    assert_fails(volt_predictor_open(&p, &low, 1, &o, NULL), VOLT_EINVAL, "no network refines");
    /* masks that are none of this image's */
    assert_ok(volt_volume_create(&mask, &grid, VOLT_U8));
    ((uint8_t *)mask->data)[7] = 3;
    assert_fails(volt_predictor_run_with_prior(p, data.image, mask, &out, NULL), VOLT_EDATA,
                 "0 to 2");
    volt_volume_free(mask);
    grid.n[1]--;
    assert_ok(volt_volume_create(&mask, &grid, VOLT_U8));
    assert_fails(volt_predictor_run_with_prior(p, data.image, mask, &out, NULL), VOLT_EINVAL,
                 "mask");
    volt_volume_free(mask);
    volt_predictor_free(p);
    volt_case_data_clear(&data);
    volt_dataset_close(ds);
    remove_tree(TOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_stage_is_trained_on_nnunets_voxels),
        cmocka_unit_test(validation_is_nnunets),
        cmocka_unit_test(predictions_are_nnunets),
        cmocka_unit_test(ranks_go_through_both_stages),
        cmocka_unit_test(ranks_split_the_scans_of_both_stages),
        cmocka_unit_test(voxels_in_memory_go_through_both_stages),
        cmocka_unit_test(what_does_not_fit_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
