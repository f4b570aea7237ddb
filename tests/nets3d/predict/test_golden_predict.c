/* A network that nnU-Net trained, on three of its scans: the masks are nnU-Net's own but for
 * near-ties (its README: at most 2e-4 of the voxels), the softmax within 2e-3. Skipped without
 * the shared data. */
#include "base/core/alloc.h"
#include "io/image/nifti.h"
#include "tests/kit/golden.h"
#include "nets3d/import_model.h"
#include "tests/kit/foreign.h"
#include "tests/kit/predict_fixture.h"

#define SCANS VOLT_SHARED_DATA "/msd_hippocampus/imagesTr"
#define RUN   "golden-run"
#define OUT   "golden-out"

/* By import of nnU-Net's results folder. */
static void make_run(void)
{
    volt_model_import_result r = {0};

    remove_tree(RUN);
    assert_ok(volt_import_model(GOLDEN "/model", RUN, NULL, NULL, &r));
    assert_int_equal(r.folds, 1);
    assert_int_equal(r.parameters, 5603177);
    assert_string_equal(r.configuration, "3d_fullres");
}

static void compare(const char *name, const char *kind, double tolerance)
{
    volt_volume *ours = NULL, *theirs = NULL;
    char *path = NULL;
    int64_t differ = 0, voxels;

    assert_ok(volt_format(&path, OUT "/%s.nii.gz", name));
    assert_ok(volt_nifti_read(&ours, NULL, path, NULL));
    volt_free(path);
    assert_ok(volt_format(&path, GOLDEN "/model/%s/%s.nii.gz", kind, name));
    assert_ok(volt_nifti_read(&theirs, NULL, path, NULL));
    volt_free(path);
    assert_int_equal(ours->dtype, VOLT_U8);
    assert_int_equal(theirs->dtype, VOLT_U8);
    assert_memory_equal(ours->grid.n, theirs->grid.n, sizeof ours->grid.n);
    assert_true(volt_grid_same(&ours->grid, &theirs->grid, 1e-5));
    voxels = volt_grid_voxels(&ours->grid);
    for (int64_t i = 0; i < voxels; i++)
        differ += ((const uint8_t *)ours->data)[i] != ((const uint8_t *)theirs->data)[i];
    print_message("%s %s: %lld of %lld voxels differ\n", kind, name, (long long)differ,
                  (long long)voxels);
    assert_true((double)differ <= tolerance * (double)voxels);
    volt_volume_free(theirs);
    volt_volume_free(ours);
}

/* All three scans with and without mirroring. */
static void predict_like(const char *kind, volt_precision precision, double tolerance)
{
    static const char *const names[3] = {"hippocampus_125", "hippocampus_160",
                                         "hippocampus_336"};
    const char *inputs[3] = {SCANS "/hippocampus_125.nii.gz", SCANS "/hippocampus_160.nii.gz",
                             SCANS "/hippocampus_336.nii.gz"};
    volt_predict_options o = volt_predict_defaults();
    volt_predict_output output = volt_predict_output_defaults();
    volt_predict_result r = {0};
    volt_case_list cases = {0};
    volt_predictor *p = NULL;

    output.folder = OUT;
    output.probability_nifti = true;
    o.precision = precision;
    o.mirror = strcmp(kind, "mirror") == 0;
    o.threads = 2;
    remove_tree(OUT);
    assert_ok(volt_predictor_open(&p, (const char *[]){RUN}, 1, &o, NULL));
    assert_ok(volt_inputs_list(&cases, inputs, 3, 1, NULL));
    assert_ok(volt_predict(p, &cases, &output, NULL, &r));
    assert_true(r.peak_bytes <= r.announced_bytes);
    print_message("%s: %.2f s, network %.2f s; %.0f MiB of %.0f MiB announced\n", kind,
                  r.seconds, r.network_s, (double)r.peak_bytes / (1 << 20),
                  (double)r.announced_bytes / (1 << 20));
    for (int i = 0; i < 3; i++) {
        char *softmax = NULL;
        compare(names[i], kind, tolerance);
        assert_ok(volt_format(&softmax, GOLDEN "/model/%s/%s.npz", kind, names[i]));
        compare_softmax(OUT, names[i], softmax);
        volt_free(softmax);
    }
    volt_case_list_clear(&cases);
    volt_predictor_free(p);
    remove_tree(OUT);
}

static void plain_masks_are_nnunets(void **state)
{
    (void)state;
    predict_like("plain", VOLT_FP32, 2e-4);
}

static void mirrored_masks_are_nnunets(void **state)
{
    (void)state;
    predict_like("mirror", VOLT_FP32, 2e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_masks_are_nnunets),
        cmocka_unit_test(mirrored_masks_are_nnunets),
    };
    int failed;

    if (!has_shared(GOLDEN_SHARED) || !has_shared("msd_hippocampus"))
        return VOLT_TEST_SKIP;
    make_run();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_tree(RUN);
    return failed;
}
