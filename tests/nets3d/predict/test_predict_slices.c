/* Prediction slice by slice (2d, 2p5d across each axis) and in one piece (3d_whole), against a
 * slow computation of the same scores. */
#include "tests/kit/loss_call.h"
#include "base/core/alloc.h"
#include "nets3d/predictor.h"

#include "nets3d/models/model_internal.h"
#include "tests/kit/measure.h"
#include "tests/kit/predict_fixture.h"
#include "volume/orient.h"
#include "volume/tiles.h"

#define RUN "slices-run"

static volt_dataset_info info;

/* The fixture's plan as a 2-D one of `slices` slices across the files' axis `axis`, or, with
 * slices 0, as one of whole cases. */
static void make_run(int slices, int axis)
{
    char text[8192];
    const int length =
        snprintf(text, sizeof text, fixture_plan, "0, 1, 2", "0, 1, 2", "8, 8, 8", "1, 1, 1");
    volt_plan *plan = NULL;
    volt_plan_config *c;
    volt_spec *spec;
    char *changed = NULL;

    assert_true(length > 0 && (size_t)length < sizeof text);
    assert_ok(volt_plan_parse(&plan, text, strlen(text), "plans.json", &info));
    c = &plan->config[0];
    spec = volt_network_spec(&c->net);
    c->whole = slices == 0;
    if (slices > 0) {
        c->axes = 2;
        c->patch[0] = 1;
        c->spacing[0] = 0;
        c->slices = slices;
        spec->in_channels = slices;
        for (int s = 0; s < spec->stages; s++)
            spec->kernel[s][0] = spec->stride[s][0] = 1;
        for (int a = 0, next = 1; a < 3; a++) {
            const int place = a == axis ? 0 : next++;
            c->transpose_forward[place] = a;
            c->transpose_backward[a] = place;
        }
    }
    assert_ok(volt_plan_text(&changed, plan));
    write_random_run(RUN, changed, &info);
    volt_free(changed);
    volt_plan_free(plan);
}

/* One voxel of the prepared scan; slices beyond its ends are the ends', else 0 outside. */
static float voxel(const volt_volume *image, int64_t z, int64_t y, int64_t x, bool repeat)
{
    const int64_t *n = image->grid.n;

    if (repeat)
        z = z < 0 ? 0 : z >= n[0] ? n[0] - 1 : z;
    if (z < 0 || y < 0 || x < 0 || z >= n[0] || y >= n[1] || x >= n[2])
        return 0;
    return ((const float *)image->data)[(z * n[1] + y) * n[2] + x];
}

typedef struct slow {
    const volt_volume *image;
    int64_t patch[3];
    int slices;
    const float *weight;
    double *sum, *total; /* (3, voxels), (voxels) */
} slow;

/* Adds one tile's weighted logits, for one mirroring. */
static void add_tile(slow *s, volt_program *program, const int64_t low[3], int flips)
{
    const int64_t *n = s->image->grid.n, *p = s->patch;
    const int64_t count = p[0] * p[1] * p[2], voxels = n[0] * n[1] * n[2];
    float *logits = NULL, *input;

    assert_ok(volt_alloc(&input, (size_t)(count * s->slices) * sizeof *input, "a test"));
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t v = 0; v < count; v++) {
            int64_t own[3] = {v / (p[1] * p[2]), v / p[2] % p[1], v % p[2]}, at[3];
            bool inside = true;
            for (int a = 0; a < 3; a++) {
                own[a] = flips >> a & 1 ? p[a] - 1 - own[a] : own[a];
                at[a] = low[a] + own[a];
                inside = inside && at[a] >= 0 && at[a] < n[a];
            }
            for (int k = 0; pass == 0 && k < s->slices; k++)
                input[k * count + v] =
                    voxel(s->image, at[0] + k - s->slices / 2, at[1], at[2], s->slices > 1);
            if (pass == 0 || !inside)
                continue;
            const int64_t i = (at[0] * n[1] + at[1]) * n[2] + at[2];
            const double w = s->weight[(own[0] * p[1] + own[1]) * p[2] + own[2]];
            s->total[i] += w;
            for (int c = 0; c < 3; c++)
                s->sum[c * voxels + i] += w * logits[c * count + v];
        }
        if (pass == 0) {
            assert_ok(volt_program_forward(program, input, 0));
            logits = program_output(program, 0, NULL);
        }
    }
    volt_free(logits);
    volt_free(input);
}

/* Every tile, every mirroring. A whole scan is one tile of the next multiple of 2. */
static void add_tiles(slow *s, volt_predictor *p, bool mirror)
{
    const bool whole = p->stage->set[0].config->whole;
    volt_tiles tiles;
    float *weight;

    for (int a = 0; a < 3; a++)
        s->patch[a] = whole ? (s->image->grid.n[a] + 1) / 2 * 2 : a == 0 ? 1 : 8;
    assert_memory_equal(p->stage->set[0].patch, s->patch, sizeof s->patch);
    assert_ok(
        volt_alloc(&weight, (size_t)(s->patch[0] * s->patch[1] * s->patch[2]) * 4, "a test"));
    assert_ok(volt_importance_map(weight, s->patch, VOLT_TILES_NNUNET));
    s->weight = weight;
    assert_ok(volt_tiles_plan(&tiles, s->image->grid.n, s->patch, 0.5, VOLT_TILES_NNUNET));
    assert_true(!whole || tiles.count == 1);
    for (int64_t t = 0; t < tiles.count; t++) {
        for (int f = 0; f < (mirror ? 8 : 1); f++) {
            if (!(f & 1) || whole) /* slices are not mirrored across */
                add_tile(s, p->stage->set[0].program, volt_tiles_box(&tiles, t).low, f);
        }
    }
    volt_tiles_free(&tiles);
    volt_free(weight);
}

/* The mask, brought to the prepared scan's order of axes, is the scores' arg-max. */
static void compare(const int64_t n[3], bool mirror)
{
    volt_predict_options o = volt_predict_defaults();
    const double spacing[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, spacing);
    volt_volume *scan = NULL, *copy = NULL, *labels = NULL, *turned = NULL;
    volt_predictor *p = NULL;
    volt_preprocessed prepared = {0};
    volt_orientation turn;
    const char *run = RUN;
    slow s = {0};
    int found[3] = {0};

    o.device = "reference";
    o.precision = VOLT_FP32;
    o.threads = 2;
    o.mirror = mirror;
    o.batch = 1;
    assert_ok(volt_volume_create(&scan, &grid, VOLT_F32));
    fixture_voxels(scan->data, NULL, n, 1);
    assert_ok(volt_predictor_open(&p, &run, 1, &o, NULL));
    assert_ok(volt_predictor_run(p, scan, &labels, NULL));
    assert_ok(volt_volume_convert(&copy, scan, VOLT_F32, NULL, 1));
    assert_ok(volt_preprocess_case(&prepared, &copy, NULL, p->stage->set[0].plan,
                                   p->stage->set[0].config, "a test", 1));
    assert_ok(volt_orientation_transpose(&turn, prepared.transpose_forward));
    assert_ok(volt_volume_reorient(&turned, labels, turn, 1));
    assert_memory_equal(turned->grid.n, prepared.image->grid.n, sizeof turned->grid.n);
    const int64_t voxels = n[0] * n[1] * n[2];
    s.image = prepared.image;
    s.slices = p->stage->set[0].config->slices;
    assert_ok(volt_alloc_zero(&s.sum, 3 * (size_t)voxels, sizeof *s.sum, "a test"));
    assert_ok(volt_alloc_zero(&s.total, (size_t)voxels, sizeof *s.total, "a test"));
    add_tiles(&s, p, mirror);
    for (int64_t i = 0; i < voxels; i++) {
        const int label = ((const uint8_t *)turned->data)[i];
        double best = -1e30;

        found[label]++;
        for (int c = 0; c < 3; c++)
            best = fmax(best, s.sum[c * voxels + i]);
        if (s.sum[label * voxels + i] < best - 1e-4 * s.total[i])
            fail_msg("voxel %lld is %d: score %g, the best is %g", (long long)i, label,
                     s.sum[label * voxels + i], best);
    }
    assert_true((found[0] > 0) + (found[1] > 0) + (found[2] > 0) > 1);
    volt_free(s.total);
    volt_free(s.sum);
    volt_preprocessed_clear(&prepared);
    volt_volume_free(turned);
    volt_volume_free(labels);
    volt_volume_free(scan);
    volt_predictor_free(p);
}

static void slices_agree_with_a_slow_computation(void **state)
{
    const int64_t n[3] = {7, 11, 9}, thin[3] = {2, 8, 5};

    (void)state;
    make_run(1, 0);
    compare(n, true);
    for (int axis = 0; axis < 3; axis++) {
        make_run(3, axis);
        compare(n, axis == 1);
    }
    make_run(5, 0); /* more slices than the scan has */
    compare(thin, true);
}

static void whole_scans_agree_with_a_slow_computation(void **state)
{
    const int64_t odd[3] = {13, 10, 17}, small[3] = {4, 5, 6};

    (void)state;
    make_run(0, 0);
    compare(odd, false);
    compare(small, true);
}

/* Tiles at a time, and leftovers of a batch, change nothing. */
static void batches_of_slices_give_the_same_mask(void **state)
{
    const int64_t n[3] = {5, 20, 13};
    const double spacing[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, spacing);
    volt_volume *scan = NULL, *first = NULL;
    const char *run = RUN;

    (void)state;
    make_run(3, 0);
    assert_ok(volt_volume_create(&scan, &grid, VOLT_F32));
    fixture_voxels(scan->data, NULL, n, 3);
    for (int batch = 1; batch < 6; batch++) {
        volt_predict_options o = volt_predict_defaults();
        volt_predictor *p = NULL;
        volt_volume *labels = NULL;

        o.device = "reference";
        o.precision = VOLT_FP32;
        o.batch = batch;
        assert_ok(volt_predictor_open(&p, &run, 1, &o, NULL));
        assert_int_equal(p->stage->set[0].batch, batch);
        assert_ok(volt_predictor_run(p, scan, &labels, NULL));
        if (!first) {
            first = labels;
        } else {
            assert_memory_equal(labels->data, first->data, volt_volume_bytes(first));
            volt_volume_free(labels);
        }
        volt_predictor_free(p);
    }
    volt_volume_free(first);
    volt_volume_free(scan);
}

/* What is announced is met: the input holds all slices of all channels. */
static void memory_of_slices_is_kept_as_announced(void **state)
{
    const int64_t n[3] = {9, 30, 40};
    const double spacing[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, spacing);
    volt_volume *scan = NULL;
    const char *run = RUN;

    (void)state;
    assert_ok(volt_volume_create(&scan, &grid, VOLT_F32));
    fixture_voxels(scan->data, NULL, n, 2);
    for (int k = 0; k < 3; k++) {
        volt_predict_options o = volt_predict_defaults();
        const size_t before = volt_mem_current();
        volt_predictor *p = NULL;
        volt_volume *labels = NULL;
        size_t announced;

        make_run(k == 2 ? 0 : 1 + 8 * k, k); /* 1 slice, 9 slices, whole */
        o.threads = 2;
        o.batch = k == 0 ? 0 : 3;
        assert_ok(volt_predictor_open(&p, &run, 1, &o, NULL));
        assert_int_equal(p->stage->set[0].batch, k == 0 ? 8 : 3); /* 8 x 8 pixels are few */
        assert_ok(volt_predictor_memory(p, &scan->grid, &announced));
        measure_start();
        assert_ok(volt_predictor_run(p, scan, &labels, NULL));
        if (measure_peak() - before > announced)
            fail_msg("%d: %zu bytes announced, %zu used", k, announced,
                     measure_peak() - before);
        volt_volume_free(labels);
        volt_predictor_free(p);
    }
    volt_volume_free(scan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_agree_with_a_slow_computation),
        cmocka_unit_test(whole_scans_agree_with_a_slow_computation),
        cmocka_unit_test(batches_of_slices_give_the_same_mask),
        cmocka_unit_test(memory_of_slices_is_kept_as_announced),
    };
    int failed;

    if (volt_dataset_info_parse(&info, fixture_dataset, strlen(fixture_dataset),
                                "dataset.json") != VOLT_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_folder(RUN);
    volt_dataset_info_clear(&info);
    return failed;
}
