#include "tests/kit/loss_call.h"
#include "base/core/alloc.h"
#include "nets3d/predictor.h"

#include "io/image/nifti.h"
#include "tests/kit/measure.h"
#include "tests/kit/predict_fixture.h"
#include "volume/tiles.h"

#define RUN "predict-run"
#define IN  "predict-in"
#define OUT "predict-out"

static volt_dataset_info info;

static void plan_text(char *out, size_t bytes, const char *forward, const char *backward,
                      const char *spacing)
{
    const int length =
        snprintf(out, bytes, fixture_plan, forward, backward, "8, 8, 8", spacing);

    assert_true(length > 0 && (size_t)length < bytes);
}

static void make_run(const char *forward, const char *backward, const char *spacing)
{
    char text[8192];

    plan_text(text, sizeof text, forward, backward, spacing);
    write_random_run(RUN, text, &info);
}

static volt_predict_options options(void)
{
    volt_predict_options o = volt_predict_defaults();

    o.device = "reference";
    o.precision = VOLT_FP32;
    o.threads = 2;
    return o;
}

static volt_status open_run(volt_predictor **p, const char *run, const volt_predict_options *o)
{
    return volt_predictor_open(p, &run, 1, o, NULL);
}

static volt_status predict_to_out(volt_predictor *p, const volt_case_list *cases,
                                  volt_predict_result *r)
{
    volt_predict_output out = volt_predict_output_defaults();

    out.folder = OUT;
    return volt_predict(p, cases, &out, NULL, r);
}

/* A scan of the fixture's balls and cubes with a matrix of its own. */
static volt_volume *scan_of(const int64_t n[3], const double to_world[3][4], uint32_t number)
{
    volt_volume *v = NULL;
    volt_grid grid = {.n = {n[0], n[1], n[2]}, .channels = 1};

    memcpy(grid.to_world, to_world, sizeof grid.to_world);
    assert_ok(volt_volume_create(&v, &grid, VOLT_F32));
    fixture_voxels(v->data, NULL, n, number);
    return v;
}

static const double plain[3][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}};

static volt_volume *plain_scan(int64_t z, int64_t y, int64_t x, uint32_t number)
{
    const int64_t n[3] = {z, y, x};

    return scan_of(n, plain, number);
}

static void write_scan(const char *name, const volt_volume *v)
{
    const volt_image_write_options o = volt_image_write_with(1);
    char *path = NULL;

    assert_ok(volt_format(&path, IN "/%s", name));
    assert_ok(volt_nifti_write(path, v, NULL, &o));
    volt_free(path);
}

static int64_t count_label(const volt_volume *v, int label)
{
    int64_t count = 0;

    for (int64_t i = 0; i < volt_grid_voxels(&v->grid); i++)
        count += ((const uint8_t *)v->data)[i] == label;
    return count;
}

/* ---- the whole computed slowly ---- */

/* Sums of weighted logits in double, tile by tile, each mirroring read voxel by voxel. */
static double *slow_scores(volt_predictor *p, const volt_volume *image, bool mirror)
{
    const int64_t *n = image->grid.n;
    const int64_t voxels = n[0] * n[1] * n[2], patch[3] = {8, 8, 8};
    double *sum, *total;
    float weight[512], input[512];
    volt_tiles tiles;

    assert_ok(volt_alloc_zero(&sum, (size_t)(3 * voxels), sizeof *sum, "a test"));
    assert_ok(volt_alloc_zero(&total, (size_t)voxels, sizeof *total, "a test"));
    assert_ok(volt_importance_map(weight, patch, VOLT_TILES_NNUNET));
    assert_ok(volt_tiles_plan(&tiles, n, patch, 0.5, VOLT_TILES_NNUNET));
    for (int64_t t = 0; t < tiles.count; t++) {
        const volt_box box = volt_tiles_box(&tiles, t);
        for (int f = 0; f < (mirror ? 8 : 1); f++) {
            float *logits = NULL;
            for (int pass = 0; pass < 2; pass++) {
                for (int64_t v = 0; v < 512; v++) {
                    int64_t at[3] = {v / 64, v / 8 % 8, v % 8};
                    bool inside = true;
                    for (int a = 0; a < 3; a++) {
                        if (f >> a & 1)
                            at[a] = 7 - at[a];
                        at[a] += box.low[a];
                        inside = inside && at[a] >= 0 && at[a] < n[a];
                    }
                    const int64_t i = (at[0] * n[1] + at[1]) * n[2] + at[2];
                    if (pass == 0) {
                        input[v] = inside ? ((const float *)image->data)[i] : 0;
                    } else if (inside) {
                        const int64_t w = ((at[0] - box.low[0]) * 8 + at[1] - box.low[1]) * 8 +
                                          at[2] - box.low[2];
                        total[i] += weight[w];
                        for (int c = 0; c < 3; c++)
                            sum[c * voxels + i] += (double)weight[w] * logits[c * 512 + v];
                    }
                }
                if (pass == 0) {
                    assert_ok(volt_program_forward(p->stage->set[0].program, input, 0));
                    logits = program_output(p->stage->set[0].program, 0, NULL);
                }
            }
            volt_free(logits);
        }
    }
    for (int64_t i = 0; i < 3 * voxels; i++)
        sum[i] /= total[i % voxels];
    volt_tiles_free(&tiles);
    volt_free(total);
    return sum;
}

/* Without resampling the mask is the arg-max of those scores; only near-ties may differ. */
static void compare_with_slow(int64_t z, int64_t y, int64_t x, bool mirror)
{
    volt_volume *scan = plain_scan(z, y, x, 1), *copy = NULL, *labels = NULL;
    const int64_t voxels = z * y * x;
    volt_predict_options o = options();
    volt_predictor *p = NULL;
    volt_preprocessed prepared = {0};
    double *scores;

    o.mirror = mirror;
    assert_ok(open_run(&p, RUN, &o));
    assert_ok(volt_predictor_run(p, scan, &labels, NULL));
    assert_ok(volt_volume_convert(&copy, scan, VOLT_F32, NULL, 1));
    assert_ok(volt_preprocess_case(&prepared, &copy, NULL, p->stage->set[0].plan,
                                   p->stage->set[0].config, "a test", 1));
    assert_int_equal(volt_grid_voxels(&prepared.image->grid), voxels);
    scores = slow_scores(p, prepared.image, mirror);
    for (int64_t i = 0; i < voxels; i++) {
        const int label = ((const uint8_t *)labels->data)[i];
        double best = scores[i];
        for (int c = 1; c < 3; c++)
            best = fmax(best, scores[c * voxels + i]);
        if (scores[label * voxels + i] < best - 1e-4)
            fail_msg("voxel %lld is %d: score %g, the best is %g", (long long)i, label,
                     scores[label * voxels + i], best);
    }
    assert_true(count_label(labels, 0) < voxels); /* or this has shown nothing */
    volt_free(scores);
    volt_preprocessed_clear(&prepared);
    volt_volume_free(labels);
    volt_volume_free(scan);
    volt_predictor_free(p);
}

static void agrees_with_a_slow_computation(void **state)
{
    (void)state;
    make_run("0, 1, 2", "0, 1, 2", "1, 1, 1");
    compare_with_slow(13, 10, 17, false);
    compare_with_slow(9, 11, 8, true);
    compare_with_slow(5, 8, 11, true); /* smaller than the patch along z */
    compare_with_slow(3, 4, 5, true);
}

static void same_mask_for_any_threads(void **state)
{
    volt_volume *scan = plain_scan(9, 8, 11, 2), *first = NULL, *labels = NULL;
    volt_predict_options o = options();
    volt_predictor *p = NULL;

    (void)state;
    make_run("0, 1, 2", "0, 1, 2", "0.8, 0.9, 1.1");
    for (o.threads = 1; o.threads <= 4; o.threads++) {
        assert_ok(open_run(&p, RUN, &o));
        assert_ok(volt_predictor_run(p, scan, &labels, NULL));
        volt_predictor_free(p);
        if (!first) {
            first = labels;
            labels = NULL;
            continue;
        }
        assert_memory_equal(labels->data, first->data, volt_volume_bytes(first));
        volt_volume_free(labels);
        labels = NULL;
    }
    volt_volume_free(first);
    volt_volume_free(scan);
}

/* ---- where masks land ---- */

/* Anisotropic, flipped and oblique matrices; empty borders that are cropped; a plan that turns
 * the axes. The grid of the mask's file is bit-identical to the scan's. */
static void masks_lie_where_the_scans_lie(void **state)
{
    static const double matrices[4][3][4] = {
        {{1, 0, 0, -3}, {0, 1, 0, 7}, {0, 0, 3.5, 11}},
        {{-0.7, 0, 0, 90.25}, {0, -0.7, 0, 126}, {0, 0, 5, -72.1}},
        {{0, 0, 2, -20}, {-1.1, 0, 0, 55}, {0, 0.9, 0, 3}},
        {{0.9, -0.3, 0.1, 4}, {0.3, 0.9, -0.2, -8}, {-0.05, 0.2, 1.4, 100}},
    };
    static const char *const turns[2][2] = {{"0, 1, 2", "0, 1, 2"}, {"2, 0, 1", "1, 2, 0"}};
    const int64_t n[3] = {9, 21, 16};
    const char *inputs[1] = {IN};

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        volt_predict_options o = options();
        volt_case_list cases = {0};
        volt_predictor *p = NULL;
        volt_predict_result r = {0};

        o.device = "cpu";
        o.mirror = turn == 0;
        make_run(turns[turn][0], turns[turn][1], "1, 1.2, 0.9");
        remove_folder(IN);
        remove_folder(OUT);
        assert_ok(volt_make_dirs(IN));
        for (uint32_t m = 0; m < 4; m++) {
            volt_volume *scan = scan_of(n, matrices[m], m);
            char name[32];
            for (int64_t i = 0; i < 2 * 21 * 16; i++)
                ((float *)scan->data)[i] = 0; /* two empty slices */
            snprintf(name, sizeof name, "case%u_0000.nii.gz", (unsigned)m);
            write_scan(name, scan);
            volt_volume_free(scan);
        }
        assert_ok(open_run(&p, RUN, &o));
        assert_ok(volt_inputs_list(&cases, inputs, 1, 1, NULL));
        assert_int_equal(cases.count, 4);
        const size_t before = volt_mem_current();
        measure_start();
        assert_ok(predict_to_out(p, &cases, &r));
        assert_int_equal(r.cases, 4);
        assert_true(measure_peak() <= r.announced_bytes + before);
        assert_int_equal(volt_mem_current(), before);
        for (uint32_t m = 0; m < 4; m++) {
            volt_volume *scan = NULL, *mask = NULL, *again = NULL;
            char name[64];
            snprintf(name, sizeof name, IN "/case%u_0000.nii.gz", (unsigned)m);
            assert_ok(volt_nifti_read(&scan, NULL, name, NULL));
            snprintf(name, sizeof name, OUT "/case%u.nii.gz", (unsigned)m);
            assert_ok(volt_nifti_read(&mask, NULL, name, NULL));
            assert_int_equal(mask->dtype, VOLT_U8);
            assert_memory_equal(mask->grid.n, scan->grid.n, sizeof scan->grid.n);
            assert_memory_equal(mask->grid.to_world, scan->grid.to_world,
                                sizeof scan->grid.to_world);
            assert_true(count_label(mask, 0) < volt_grid_voxels(&mask->grid));
            for (int64_t i = 0; i < 2 * 21 * 16; i++) /* cropped: background */
                assert_int_equal(((const uint8_t *)mask->data)[i], 0);
            /* The call on voxels in memory gives the same. */
            assert_ok(volt_predictor_run(p, scan, &again, NULL));
            assert_memory_equal(again->data, mask->data, volt_volume_bytes(mask));
            volt_volume_free(again);
            volt_volume_free(mask);
            volt_volume_free(scan);
        }
        volt_case_list_clear(&cases);
        volt_predictor_free(p);
    }
    remove_folder(OUT);
    remove_folder(IN);
}

/* ---- memory, failures ---- */

static void predictors_keep_the_announced_memory(void **state)
{
    static const int64_t sizes[4][3] = {{30, 40, 35}, {8, 8, 8}, {60, 20, 15}, {12, 50, 40}};
    static const char *const spacings[3] = {"1, 1, 1", "0.7, 0.7, 0.7", "1.6, 2, 1.3"};

    (void)state;
    for (int s = 0; s < 3; s++) {
        volt_predict_options o = options();
        const size_t before = volt_mem_current();
        volt_predictor *p = NULL;

        o.device = "cpu";
        o.mirror = false;
        o.step = 1;
        make_run("1, 0, 2", "1, 0, 2", spacings[s]);
        assert_ok(open_run(&p, RUN, &o));
        for (int i = 0; i < 4; i++) {
            volt_volume *scan = plain_scan(sizes[i][0], sizes[i][1], sizes[i][2], 1);
            volt_volume *labels = NULL;
            size_t announced;
            assert_ok(volt_predictor_memory(p, &scan->grid, &announced));
            measure_start();
            assert_ok(volt_predictor_run(p, scan, &labels, NULL));
            const size_t used = measure_peak() - before - volt_volume_bytes(scan);
            if (used > announced || used + ((size_t)1 << 20) < announced)
                fail_msg("size %d, spacing %d: %zu bytes announced, %zu used", i, s, announced,
                         used);
            volt_volume_free(labels);
            volt_volume_free(scan);
        }
        volt_predictor_free(p);
        assert_int_equal(volt_mem_current(), before);
    }
}

static void bad_scans_are_refused_and_masks_before_stay(void **state)
{
    const char *inputs[1] = {IN};
    volt_predict_options o = options();
    volt_case_list cases = {0};
    volt_predictor *p = NULL;
    volt_volume *scan = plain_scan(9, 10, 11, 1), *labels = NULL;
    const size_t before = volt_mem_current();

    (void)state;
    make_run("0, 1, 2", "0, 1, 2", "1, 1, 1");
    remove_folder(IN);
    remove_folder(OUT);
    assert_ok(volt_make_dirs(IN));
    write_scan("a.nii.gz", scan);
    write_scan("b.nii.gz", scan);
    ((float *)scan->data)[5] = NAN;
    write_scan("c.nii.gz", scan);
    assert_ok(open_run(&p, RUN, &o));
    assert_ok(volt_inputs_list(&cases, inputs, 1, 1, NULL));
    assert_int_equal(predict_to_out(p, &cases, NULL), VOLT_EDATA);
    assert_non_null(strstr(volt_last_error(), "c"));
    assert_true(volt_path_exists(OUT "/a.nii.gz"));
    assert_true(volt_path_exists(OUT "/b.nii.gz"));
    assert_false(volt_path_exists(OUT "/c.nii.gz"));
    assert_int_equal(volt_predictor_run(p, scan, &labels, NULL), VOLT_EDATA);
    volt_case_list_clear(&cases);
    /* A damaged header is found before anything is computed. */
    assert_ok(volt_write_file(IN "/b.nii.gz", "no scan", 7));
    remove_folder(OUT);
    assert_ok(volt_inputs_list(&cases, inputs, 1, 1, NULL));
    assert_fails(predict_to_out(p, &cases, NULL), VOLT_EFORMAT, "b.nii.gz");
    assert_false(volt_path_exists(OUT "/a.nii.gz"));
    volt_case_list_clear(&cases);
    scan->grid.channels = 2; /* says so; is refused before it is read */
    assert_fails(volt_predictor_run(p, scan, &labels, NULL), VOLT_EINVAL, "2 channels");
    scan->grid.channels = 1;
    assert_null(labels);
    volt_predictor_free(p);
    assert_int_equal(volt_mem_current(), before);
    volt_volume_free(scan);
    remove_folder(OUT);
    remove_folder(IN);
}

static bool always(void *user)
{
    (void)user;
    return true;
}

static void stops_when_asked_and_when_memory_ends(void **state)
{
    const volt_callbacks cb = {.cancelled = always};
    volt_predict_options o = options();
    volt_predictor *p = NULL;
    volt_volume *scan = plain_scan(9, 10, 11, 1), *labels = NULL;
    size_t before;
    int failures = 0;

    (void)state;
    o.mirror = false;
    make_run("0, 2, 1", "0, 2, 1", "1, 1, 1.1");
    before = volt_mem_current();
    for (int64_t n = 1;; n++) {
        volt_mem_fail_after(n);
        volt_status st = open_run(&p, RUN, &o);
        if (st == VOLT_OK)
            st = volt_predictor_run(p, scan, &labels, NULL);
        volt_mem_fail_after(0);
        volt_predictor_free(p);
        p = NULL;
        volt_volume_free(labels);
        labels = NULL;
        assert_int_equal(volt_mem_current(), before);
        if (st == VOLT_OK)
            break;
        assert_int_equal(st, VOLT_ENOMEM);
        failures++;
    }
    assert_true(failures > 50);
    assert_ok(open_run(&p, RUN, &o));
    assert_int_equal(volt_predictor_run(p, scan, &labels, &cb), VOLT_ECANCELLED);
    assert_null(labels);
    volt_predictor_free(p);
    volt_volume_free(scan);
}

static void runs_that_are_none_are_refused(void **state)
{
    volt_predict_options o = options();
    volt_predictor *p = NULL;

    (void)state;
    assert_fails(open_run(&p, "nowhere", &o), VOLT_EIO, "nowhere");
    remove_folder(RUN);
    assert_ok(volt_make_dirs(RUN));
    assert_fails(open_run(&p, RUN, &o), VOLT_EDATA, "contains no checkpoint");
    assert_ok(volt_write_file(RUN "/checkpoint_latest.safetensors", "x", 1));
    assert_fails(open_run(&p, RUN, &o), VOLT_EFORMAT, "checkpoint_latest");
    o.step = 0;
    assert_fails(open_run(&p, RUN, &o), VOLT_EINVAL, "step");
    assert_null(p);
    remove_folder(RUN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_slow_computation),
        cmocka_unit_test(same_mask_for_any_threads),
        cmocka_unit_test(masks_lie_where_the_scans_lie),
        cmocka_unit_test(predictors_keep_the_announced_memory),
        cmocka_unit_test(bad_scans_are_refused_and_masks_before_stay),
        cmocka_unit_test(stops_when_asked_and_when_memory_ends),
        cmocka_unit_test(runs_that_are_none_are_refused),
    };
    int failed;

    if (volt_dataset_info_parse(&info, fixture_dataset, strlen(fixture_dataset),
                                "dataset.json") != VOLT_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    volt_dataset_info_clear(&info);
    return failed;
}
