/* Several networks, other tiles, whole scans, regions of interest, and what is written. */
#include "tests/kit/loss_call.h"
#include "base/core/alloc.h"
#include "io/image/nifti.h"
#include "io/tensors/npz.h"
#include "nets3d/ensemble.h"
#include "nets3d/run.h"
#include "nets3d/interop/weights.h"
#include "io/tensors/safetensors.h"
#include "tests/kit/predict_fixture.h"
#include "volume/tiles.h"

#define PARENT "ensemble-parent"
#define OTHER  "ensemble-other"
#define IN     "ensemble-in"
#define OUT    "ensemble-out"

static volt_dataset_info info;

/* A plan of this patch and spacing; both lists d, h, w. */
static void plan_text(char out[8192], const char *turn[2], const char *patch,
                      const char *spacing)
{
    const int length = snprintf(out, 8192, fixture_plan, turn[0], turn[1], patch, spacing);

    assert_true(length > 0 && length < 8192);
}

static const char *straight[2] = {"0, 1, 2", "0, 1, 2"}, *turned[2] = {"2, 0, 1", "1, 2, 0"};

static void remove_runs(void)
{
    assert_int_equal(system("rm -rf " PARENT " " OTHER " " IN " " OUT), 0);
}

/* PARENT/fold_0 .. of `folds` networks, PARENT/fold_all, and OTHER of another configuration. */
static void make_runs(int folds, const char *turn[2])
{
    char text[8192], run[64];

    remove_runs();
    plan_text(text, turn, "8, 8, 8", "1, 1.2, 0.9");
    for (int i = 0; i < folds; i++) {
        snprintf(run, sizeof run, PARENT "/fold_%d", i);
        write_seeded_run(run, text, &info, (uint64_t)(10 + i));
    }
    write_seeded_run(PARENT "/fold_all", text, &info, 99);
    plan_text(text, turn, "6, 8, 10", "1.5, 1, 1");
    write_seeded_run(OTHER, text, &info, 50);
}

static volt_predict_options options(void)
{
    volt_predict_options o = volt_predict_defaults();

    o.device = "cpu";
    o.precision = VOLT_FP32;
    o.mirror = false;
    o.threads = 2;
    return o;
}

static volt_predictor *open_runs(const char *const *runs, int count,
                                 const volt_predict_options *o)
{
    volt_predictor *p = NULL;

    assert_ok(volt_predictor_open(&p, runs, count, o, NULL));
    return p;
}

/* Scores need resampling: the spacing is not the plans'. Two empty slices are cropped. */
static volt_volume *make_scan(void)
{
    const int64_t n[3] = {21, 14, 17};
    const volt_grid grid = volt_grid_make(n, 1, (double[]){1, 1.1, 1});
    volt_volume *v = NULL;

    assert_ok(volt_volume_create(&v, &grid, VOLT_F32));
    fixture_voxels(v->data, NULL, n, 1);
    memset(v->data, 0, 2 * 14 * 17 * sizeof(float));
    return v;
}

/* Everything about a scan. */
static void segment(volt_segmentation *out, volt_predictor *p,
                    const volt_segment_request *wanted)
{
    volt_volume *scan = make_scan();
    volt_preprocessed_scan scans = {0};

    assert_ok(volt_preprocess_scan(&scans, p->stage, &scan, NULL, "a test", 1));
    assert_null(scan);
    assert_ok(volt_segmenter_run(p->stage, out, &scans, wanted, "a test", NULL));
}

static volt_volume *labels_of(volt_predictor *p)
{
    volt_volume *scan = make_scan(), *labels = NULL;

    assert_ok(volt_predictor_run(p, scan, &labels, NULL));
    volt_volume_free(scan);
    return labels;
}

/* (3, voxels) of one run alone. */
static float *probabilities_of(const char *run, const volt_predict_options *o)
{
    volt_predictor *p = open_runs(&run, 1, o);
    const volt_segment_request wanted = {.probabilities = true};
    volt_segmentation f = {0};
    float *all = NULL;

    segment(&f, p, &wanted);
    for (int64_t c = 0; c < 3; c++) {
        volt_volume *v = NULL;
        assert_ok(volt_export_probability(&v, p->stage, &f, c));
        const size_t bytes = volt_volume_bytes(v);
        if (!all)
            assert_ok(volt_alloc(&all, 3 * bytes, "a test"));
        memcpy((char *)all + (size_t)c * bytes, v->data, bytes);
        volt_volume_free(v);
    }
    volt_segmentation_clear(&f);
    volt_predictor_free(p);
    return all;
}

/* Labels are where the largest of `mean` (3, voxels) is, but for near-ties. */
static void check_labels(const volt_volume *labels, const float *mean)
{
    const int64_t voxels = volt_grid_voxels(&labels->grid);
    int64_t classes[3] = {0, 0, 0};

    for (int64_t i = 0; i < voxels; i++) {
        const int label = ((const uint8_t *)labels->data)[i];
        float best = 0;
        for (int c = 0; c < 3; c++)
            best = fmaxf(best, mean[c * voxels + i]);
        if (mean[label * voxels + i] < best - 1e-5f)
            fail_msg("voxel %lld is %d: %g, the best is %g", (long long)i, label,
                     (double)mean[label * voxels + i], (double)best);
        classes[label]++;
    }
    assert_true(classes[0] < voxels && classes[1] + classes[2] > 0);
}

/* ---- ensembles ---- */

/* Turn 0: the files' order of axes, 1: another, 2: two different ones, 3: two others. */
static void configurations_average_probabilities(void **state)
{
    static const char *other[2] = {"1, 0, 2", "1, 0, 2"};
    const char *runs[2] = {PARENT "/fold_0", OTHER};
    char text[8192];

    (void)state;
    for (int turn = 0; turn < 4; turn++) {
        volt_predict_options o = options();
        make_runs(1, turn % 2 ? turned : straight);
        if (turn >= 2) {
            plan_text(text, turn == 2 ? turned : other, "6, 8, 10", "1.5, 1, 4");
            write_seeded_run(OTHER, text, &info, 50);
        }
        float *a = probabilities_of(runs[0], &o), *b = probabilities_of(runs[1], &o);
        volt_predictor *p = open_runs(runs, 2, &o);
        assert_int_equal(volt_predictor_networks(p), 2);
        assert_int_equal(p->stage->sets, 2);
        volt_volume *labels = labels_of(p);
        const int64_t voxels = volt_grid_voxels(&labels->grid);
        for (int64_t i = 0; i < voxels; i++) {
            const float sum = a[i] + a[voxels + i] + a[2 * voxels + i];
            assert_true(fabsf(sum - 1) < 1e-5f);
        }
        for (int64_t i = 0; i < 2 * 14 * 17; i++)
            assert_true(a[i] == 1 && a[voxels + i] == 0); /* cropped: background */
        for (int64_t i = 0; i < 3 * voxels; i++)
            a[i] = 0.5f * (a[i] + b[i]);
        check_labels(labels, a);
        volt_volume_free(labels);
        volt_predictor_free(p);
        volt_free(b);
        volt_free(a);
    }
}

/* Folds share a grid: with one class against another the difference of mean logits is the mean
 * of the differences of log-probabilities. */
static void folds_average_logits(void **state)
{
    volt_predict_options o = options();
    const char *parent = PARENT, *alone = OTHER;
    float *mean = NULL;
    char run[64];

    (void)state;
    make_runs(3, straight);
    volt_predictor *p = open_runs(&parent, 1, &o);
    assert_int_equal(volt_predictor_networks(p), 3); /* not fold_all */
    assert_int_equal(p->stage->sets, 1);
    volt_volume *labels = labels_of(p);
    const int64_t values = 3 * volt_grid_voxels(&labels->grid);
    for (int k = 0; k < 3; k++) {
        snprintf(run, sizeof run, PARENT "/fold_%d", k);
        float *one = probabilities_of(run, &o);
        if (!mean)
            assert_ok(volt_alloc_zero(&mean, (size_t)values, sizeof *mean, "a test"));
        for (int64_t i = 0; i < values; i++)
            mean[i] += logf(fmaxf(one[i], 1e-30f)) / 3;
        volt_free(one);
    }
    for (int64_t i = 0; i < values; i++)
        mean[i] = expf(mean[i]); /* same order as the mean logits */
    check_labels(labels, mean);
    volt_free(mean);
    volt_volume_free(labels);
    volt_predictor_free(p);
    o.folds = "1,all";
    p = open_runs(&parent, 1, &o);
    assert_int_equal(volt_predictor_networks(p), 2);
    assert_non_null(strstr(p->stage->set[0].path[0], "fold_1"));
    assert_non_null(strstr(p->stage->set[0].path[1], "fold_all"));
    volt_predictor_free(p);
    o.folds = "7";
    assert_fails(volt_predictor_open(&p, &parent, 1, &o, NULL), VOLT_EIO, "no fold_7");
    o.folds = "0,7";
    assert_fails(volt_predictor_open(&p, &parent, 1, &o, NULL), VOLT_EIO, "no fold_7");
    o.folds = "0-7";
    assert_fails(volt_predictor_open(&p, &parent, 1, &o, NULL), VOLT_EIO, "no fold_");
    o.folds = "first";
    assert_fails(volt_predictor_open(&p, &parent, 1, &o, NULL), VOLT_EINVAL, "'first'");
    o.folds = "0,";
    assert_fails(volt_predictor_open(&p, &parent, 1, &o, NULL), VOLT_EINVAL, "'0,'");
    o.folds = "0-1";
    assert_int_equal(volt_predictor_networks(p = open_runs(&parent, 1, &o)), 2);
    volt_predictor_free(p);
    o.folds = "0";
    assert_fails(volt_predictor_open(&p, &alone, 1, &o, NULL), VOLT_EINVAL,
                 "it has no folds 0");
    assert_true(volt_is_run(PARENT) && volt_is_run(OTHER));
    assert_false(volt_is_run(IN));
}

/* A copy, by way of text as in a checkpoint. */
static void copy_info(volt_dataset_info *out, const volt_dataset_info *from)
{
    char *text = NULL;

    assert_ok(volt_dataset_info_text(&text, from));
    assert_ok(volt_dataset_info_parse(out, text, strlen(text), "copy"));
    volt_free(text);
}

static void networks_of_other_data_are_refused(void **state)
{
    const char *runs[2] = {PARENT "/fold_0", OTHER};
    volt_predict_options o = options();
    volt_dataset_info other;
    volt_predictor *p = NULL;
    char text[8192];

    (void)state;
    make_runs(1, straight);
    copy_info(&other, &info);
    other.label[1].name[0] = 'x';
    plan_text(text, straight, "8, 8, 8", "1, 1, 1");
    write_seeded_run(OTHER, text, &other, 1);
    volt_dataset_info_clear(&other);
    assert_fails(volt_predictor_open(&p, runs, 2, &o, NULL), VOLT_EDATA, "a label differs");
    assert_null(p);
}

/* ---- one network, other ways ---- */

static void slabs_batches_and_threads_change_nothing(void **state)
{
    const volt_segment_request scores = {.probabilities = true};
    const char *run = PARENT "/fold_0";
    volt_predict_options o = options();
    volt_segmentation f = {0};

    (void)state;
    make_runs(1, turned);
    o.mirror = true;
    volt_predictor *p = open_runs(&run, 1, &o);
    volt_volume *rolling = labels_of(p);
    segment(&f, p, &scores); /* all scores are held */
    assert_memory_equal(f.labels->data, rolling->data, volt_volume_bytes(rolling));
    volt_segmentation_clear(&f);
    volt_predictor_free(p);
    for (o.batch = 3; o.batch <= 64; o.batch += 61) {
        p = open_runs(&run, 1, &o);
        volt_volume *other = labels_of(p);
        assert_memory_equal(other->data, rolling->data, volt_volume_bytes(rolling));
        volt_volume_free(other);
        volt_predictor_free(p);
    }
    volt_volume_free(rolling);
}

/* One pass over everything is what the network itself says of the padded scan. */
static void a_whole_scan_goes_in_one_pass(void **state)
{
    const char *run = PARENT "/fold_0";
    volt_predict_options o = options();
    volt_volume *copy = make_scan(), *labels;
    volt_preprocessed_scan scans = {0};
    float *scores;
    int64_t differ = 0;
    char text[8192];

    (void)state;
    make_runs(1, straight);
    plan_text(text, straight, "8, 8, 8", "1, 1.1, 1"); /* no resampling */
    write_seeded_run(run, text, &info, 7);
    o.whole = true;
    volt_predictor *p = open_runs(&run, 1, &o);
    labels = labels_of(p);
    assert_int_equal(p->stage->set[0].patch[0], 20); /* 19 slices after the crop, and even */
    assert_int_equal(p->stage->set[0].patch[1], 14);
    assert_int_equal(p->stage->set[0].patch[2], 18);
    assert_ok(volt_preprocess_scan(&scans, p->stage, &copy, NULL, "a test", 1));
    const float *image = scans.set[0].image->data;
    float *input;
    assert_ok(volt_alloc_zero(&input, 20 * 14 * 18, sizeof *input, "a test"));
    for (int64_t i = 0; i < 19 * 14 * 17; i++)
        input[(i / 238 * 14 + i / 17 % 14) * 18 + i % 17] = image[i];
    assert_ok(volt_program_forward(p->stage->set[0].program, input, 0));
    scores = program_output(p->stage->set[0].program, 0, NULL);
    for (int64_t i = 0; i < 19 * 14 * 17; i++) {
        const float *at = scores + (i / 238 * 14 + i / 17 % 14) * 18 + i % 17;
        int best = 0;
        for (int c = 1; c < 3; c++)
            best = at[c * 5040] > at[best * 5040] ? c : best;
        differ += ((uint8_t *)labels->data)[2 * 14 * 17 + i] != best;
    }
    assert_true(differ <= 2);
    volt_free(scores);
    volt_free(input);
    volt_preprocessed_scan_clear(&scans, p->stage);
    volt_volume_free(labels);
    volt_predictor_free(p);
}

/* ---- MONAI ---- */

#define MONAI VOLT_TESTDATA "/nets3d/monai.safetensors"

/* A run with the weights of the fixture; the fixture's scan. */
static volt_volume *make_monai(const char *run, const volt_safetensors *file)
{
    const int64_t n[3] = {13, 10, 21};
    const volt_grid grid = volt_grid_make(n, 1, (double[]){1, 1, 1});
    volt_weights_report report = {0};
    const volt_plan_config *config;
    volt_weights *weights = NULL;
    volt_volume *scan = NULL;
    volt_plan *plan = NULL;
    volt_graph *g = NULL;
    char text[8192], *path = NULL;
    float *flat;

    plan_text(text, straight, "8, 8, 8", "1, 1, 1");
    assert_ok(volt_plan_parse(&plan, text, strlen(text), "plans.json", &info));
    assert_ok(volt_plan_find(&config, plan, "3d_fullres"));
    assert_ok(volt_network_build(&g, &config->net, false));
    assert_ok(volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * sizeof *flat, "a test"));
    assert_ok(volt_weights_open(&weights, MONAI));
    assert_ok(volt_weights_fill(flat, &report, weights, g, NULL));
    assert_ok(volt_make_dirs(run));
    assert_ok(volt_format(&path, "%s/checkpoint_latest.safetensors", run));
    write_model(path, plan, &info, g, flat);
    assert_ok(volt_volume_create(&scan, &grid, VOLT_F32));
    assert_ok(volt_safetensors_copy(scan->data, file, "scan", VOLT_TENSOR_F32, 3, n));
    volt_weights_report_clear(&report);
    volt_weights_close(weights);
    volt_free(path);
    volt_free(flat);
    volt_graph_free(g);
    volt_plan_free(plan);
    return scan;
}

/* The stitched logits are those of sliding_window_inference with the same weights. */
static void monais_tiles_give_monais_logits(void **state)
{
    static const struct {
        const char *mode;
        bool constant;
        double step;
    } ways[2] = {{"constant", true, 1 - 0.25}, {"gaussian", false, 1 - 0.5}};
    const int64_t shape[4] = {3, 13, 10, 21}, voxels = 13 * 10 * 21;
    const volt_segment_request wanted = {.probabilities = true};
    const char *run = PARENT "/fold_0";
    volt_safetensors *file = NULL;
    float *want;

    (void)state;
    remove_runs();
    assert_ok(volt_safetensors_open(&file, MONAI));
    volt_volume_free(make_monai(run, file));
    assert_ok(volt_alloc(&want, (size_t)(3 * voxels) * sizeof *want, "a test"));
    for (int k = 0; k < 2; k++) {
        volt_predict_options o = options();
        volt_volume *scan = make_monai(run, file);
        volt_preprocessed_scan scans = {0};
        volt_segmentation f = {0};
        double worst = 0, largest = 0;
        o.tiles = VOLT_TILES_MONAI;
        o.constant = ways[k].constant;
        o.step = ways[k].step;
        volt_predictor *p = open_runs(&run, 1, &o);
        assert_ok(volt_preprocess_scan(&scans, p->stage, &scan, NULL, "a test", 1));
        assert_ok(volt_segmenter_run(p->stage, &f, &scans, &wanted, "a test", NULL));
        assert_ok(volt_safetensors_copy(want, file, ways[k].mode, VOLT_TENSOR_F32, 4, shape));
        for (int64_t i = 0; i < 3 * voxels; i++) {
            worst = fmax(worst, fabs((double)f.logits[0].sum[i] - (double)want[i]));
            largest = fmax(largest, fabs((double)want[i]));
        }
        print_message("%s: off by %.1e of %.1f\n", ways[k].mode, worst, largest);
        assert_true(largest > 0.5 && worst < 2e-5 * largest);
        volt_segmentation_clear(&f);
        volt_predictor_free(p);
    }
    volt_free(want);
    volt_safetensors_close(file);
}

static bool is_in(volt_box box, int64_t voxel)
{
    const int64_t at[3] = {voxel / 238, voxel / 17 % 14, voxel % 17};

    return volt_box_contains(box, volt_box_at(at, (int64_t[]){1, 1, 1}));
}

/* Labels, and probabilities if asked for, inside and outside of `box`. */
static void check_roi(volt_predictor *p, volt_box box, bool probabilities)
{
    const volt_segment_request whole = {.probabilities = probabilities},
                               part = {.roi = &box, .probabilities = probabilities};
    volt_segmentation all = {0}, f = {0};

    segment(&all, p, &whole);
    segment(&f, p, &part);
    for (int64_t i = 0; i < 21 * 14 * 17; i++)
        assert_int_equal(((uint8_t *)f.labels->data)[i],
                         is_in(box, i) ? ((uint8_t *)all.labels->data)[i] : 0);
    for (int c = 0; probabilities && c < 3; c++) {
        volt_volume *want = NULL, *found = NULL;
        assert_ok(volt_export_probability(&want, p->stage, &all, c));
        assert_ok(volt_export_probability(&found, p->stage, &f, c));
        for (int64_t i = 0; i < 21 * 14 * 17; i++)
            assert_true(((float *)found->data)[i] ==
                        (is_in(box, i) ? ((float *)want->data)[i] : (float)(c == 0)));
        volt_volume_free(found);
        volt_volume_free(want);
    }
    volt_segmentation_clear(&f);
    volt_segmentation_clear(&all);
}

static void inside_a_region_of_interest_nothing_changes(void **state)
{
    static const volt_box boxes[4] = {{{4, 3, 2}, {9, 14, 11}},
                                      {{0, 0, 16}, {21, 14, 17}},
                                      {{0, 0, 0}, {2, 3, 3}}, /* beside the crop */
                                      {{0, 5, 6}, {8, 6, 7}}};
    const char *runs[2] = {PARENT, OTHER};

    (void)state;
    for (int turn = 0; turn < 3; turn++) {
        make_runs(2, turn == 1 ? turned : straight);
        if (turn == 2) { /* two orders of axes */
            char text[8192];
            plan_text(text, turned, "6, 8, 10", "1.5, 1, 1");
            write_seeded_run(OTHER, text, &info, 50);
        }
        for (int count = 1; count <= 2; count++) {
            volt_predict_options o = options();
            volt_predictor *p = open_runs(runs, count, &o);
            for (int k = 0; k < 4; k++)
                check_roi(p, boxes[k], k % 2 == turn % 2);
            volt_predictor_free(p);
        }
    }
}

static void count_tiles(void *user, const char *what, int64_t done, int64_t total)
{
    int64_t *seen = user;

    assert_string_equal(what, "tiles");
    assert_true(done <= total);
    seen[0] = done;
    seen[1] = total;
}

static void a_region_of_interest_takes_fewer_tiles(void **state)
{
    const char *run = PARENT "/fold_0";
    const volt_box corner = {{3, 0, 0}, {5, 3, 3}};
    const volt_segment_request wanted[2] = {{0}, {.roi = &corner}};
    volt_predict_options o = options();
    int64_t tiles[2][2];

    (void)state;
    make_runs(1, straight);
    volt_predictor *p = open_runs(&run, 1, &o);
    for (int i = 0; i < 2; i++) {
        const volt_callbacks cb = {.user = tiles[i], .progress = count_tiles};
        volt_volume *scan = make_scan();
        volt_preprocessed_scan scans = {0};
        volt_segmentation f = {0};
        assert_ok(volt_preprocess_scan(&scans, p->stage, &scan, NULL, "a test", 1));
        assert_ok(volt_segmenter_run(p->stage, &f, &scans, &wanted[i], "a test", &cb));
        assert_int_equal(tiles[i][0], tiles[i][1]);
        volt_segmentation_clear(&f);
    }
    assert_true(tiles[1][0] * 4 <= tiles[0][0] && tiles[1][0] >= 1);
    volt_predictor_free(p);
}

/* ---- regions ---- */

/* Overlapping regions: whole {1, 2} paints 1, core {2} paints 2, in this order. */
static const char region_dataset[] =
    "{\"channel_names\": {\"0\": \"MRI\"}, \"labels\": {\"background\": 0, \"whole\": [1, 2], "
    "\"core\": [2]}, \"regions_class_order\": [1, 2], \"numTraining\": 6, \"file_ending\": "
    "\".nii.gz\"}";

static void regions_are_painted_in_their_order(void **state)
{
    const char *run = PARENT "/fold_0";
    const volt_segment_request wanted = {.regions = true, .probabilities = true};
    volt_predict_options o = options();
    volt_dataset_info regions;
    volt_segmentation f = {0};
    int64_t counts[4] = {0};
    char text[8192];

    (void)state;
    remove_runs();
    assert_ok(volt_dataset_info_parse(&regions, region_dataset, strlen(region_dataset),
                                      "dataset.json"));
    plan_text(text, turned, "8, 8, 8", "1, 1.2, 0.9");
    write_seeded_run(run, text, &regions, 12);
    volt_dataset_info_clear(&regions);
    volt_predictor *p = open_runs(&run, 1, &o);
    assert_int_equal(p->stage->outputs, 2);
    segment(&f, p, &wanted);
    volt_volume *whole = NULL, *core = NULL, *alone = labels_of(p);
    assert_ok(volt_export_probability(&whole, p->stage, &f, 0));
    assert_ok(volt_export_probability(&core, p->stage, &f, 1));
    const int64_t voxels = volt_grid_voxels(&f.labels->grid);
    for (int64_t i = 0; i < voxels; i++) {
        const float w = ((float *)whole->data)[i], k = ((float *)core->data)[i];
        const int label = ((uint8_t *)f.labels->data)[i];
        if (fabsf(w - 0.5f) < 1e-6f || fabsf(k - 0.5f) < 1e-6f)
            continue;
        assert_int_equal(label, k > 0.5f ? 2 : w > 0.5f ? 1 : 0);
        assert_int_equal(((uint8_t *)f.regions->data)[i], w > 0.5f);
        assert_int_equal(((uint8_t *)f.regions->data)[voxels + i], k > 0.5f);
        counts[(k > 0.5f) * 2 + (w > 0.5f)]++;
    }
    assert_memory_equal(alone->data, f.labels->data, volt_volume_bytes(alone));
    for (int i = 0; i < 4; i++)
        assert_true(counts[i] > 0); /* neither, each alone, both */
    volt_volume_free(alone);
    volt_volume_free(core);
    volt_volume_free(whole);
    volt_segmentation_clear(&f);
    volt_predictor_free(p);
}

/* ---- files ---- */

static void write_scans(int count)
{
    volt_volume *v = make_scan();

    assert_ok(volt_make_dirs(IN));
    for (int i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof path, IN "/case%d_0000.nii.gz", i);
        ((float *)v->data)[2500] += 1;
        assert_ok(volt_nifti_write(path, v, NULL, NULL));
    }
    volt_volume_free(v);
}

static void list_scans(volt_case_list *out)
{
    assert_ok(volt_inputs_list(out, (const char *[]){IN}, 1, 1, NULL));
}

/* Peaks of ensembles, whole scans, kept scores: never above what was said, seldom far below. */
static void ensembles_keep_the_announced_memory(void **state)
{
    const char *runs[2] = {PARENT, OTHER};

    (void)state;
    for (int way = 0; way < 8; way++) {
        const int count = 1 + (way & 1);
        volt_predict_options o = options();
        volt_predict_output out = volt_predict_output_defaults();
        volt_predict_result r = {0};
        volt_case_list cases = {0};
        const size_t before = volt_mem_current();

        out.folder = OUT;
        out.probability_nifti = way & 2;
        o.device = "cpu";
        o.whole = way & 4;
        make_runs(2, way == 3 ? turned : straight);
        if (way == 5) { /* two orders of axes */
            char text[8192];
            plan_text(text, turned, "6, 8, 10", "1.5, 1, 1");
            write_seeded_run(OTHER, text, &info, 50);
        }
        write_scans(2);
        volt_predictor *p = open_runs(runs, count, &o);
        list_scans(&cases);
        assert_ok(volt_predict(p, &cases, &out, NULL, &r));
        assert_int_equal(r.cases, 2);
        if (r.peak_bytes > r.announced_bytes ||
            r.peak_bytes + ((size_t)8 << 20) < r.announced_bytes)
            fail_msg("way %d: %zu bytes announced, %zu used", way, r.announced_bytes,
                     r.peak_bytes);
        volt_case_list_clear(&cases);
        volt_predictor_free(p);
        assert_int_equal(volt_mem_current(), before);
    }
}

/* Of one larger scan, turned for the network: what is packed and turned back counts. */
static void what_is_written_is_announced(void **state)
{
    const char *run = OTHER;
    const int64_t n[3] = {72, 80, 76};
    const volt_grid grid = volt_grid_make(n, 1, (double[]){1, 1.1, 1});
    volt_predict_options o = options();
    volt_predict_result r = {0};
    volt_case_list cases = {0};
    volt_volume *v = NULL;

    (void)state;
    o.step = 1;
    make_runs(1, straight);
    assert_ok(volt_make_dirs(IN));
    assert_ok(volt_volume_create(&v, &grid, VOLT_F32));
    fixture_voxels(v->data, NULL, n, 1);
    assert_ok(volt_nifti_write(IN "/large_0000.nii.gz", v, NULL, NULL));
    volt_volume_free(v);
    list_scans(&cases);
    volt_predictor *p = open_runs(&run, 1, &o);
    for (int way = 0; way < 8; way++) {
        volt_predict_output out = volt_predict_output_defaults();
        out.folder = OUT;
        out.regions = way & 1;
        out.probabilities = way & 2;
        out.probability_nifti = way & 2;
        strcpy(p->stage->info.orientation, way & 4 ? "LPS" : "");
        assert_ok(volt_predict(p, &cases, &out, NULL, &r));
        if (r.peak_bytes > r.announced_bytes)
            fail_msg("way %d: %zu bytes announced, %zu used", way, r.announced_bytes,
                     r.peak_bytes);
    }
    volt_case_list_clear(&cases);
    volt_predictor_free(p);
}

static void finished_cases_are_skipped(void **state)
{
    const char *run = PARENT "/fold_0";
    volt_predict_output out = volt_predict_output_defaults();
    volt_predict_options o = options();
    volt_predict_result r = {0};
    volt_case_list cases = {0};

    out.folder = OUT;
    out.regions = true;
    out.skip_existing = true;
    (void)state;
    make_runs(1, straight);
    write_scans(3);
    volt_predictor *p = open_runs(&run, 1, &o);
    list_scans(&cases);
    assert_ok(volt_predict(p, &cases, &out, NULL, &r));
    assert_true(r.cases == 3 && r.skipped == 0);
    assert_true(volt_path_exists(OUT "/ball/case2.nii.gz"));
    assert_true(volt_path_exists(OUT "/dataset.json") && volt_path_exists(OUT "/plans.json"));
    assert_int_equal(remove(OUT "/case0.nii.gz"), 0);
    assert_int_equal(remove(OUT "/cube/case2.nii.gz"), 0);
    assert_ok(volt_predict(p, &cases, &out, NULL, &r));
    assert_true(r.cases == 2 && r.skipped == 1);
    assert_ok(volt_predict(p, &cases, &out, NULL, &r));
    assert_true(r.cases == 0 && r.skipped == 3);
    /* Masks of labels are where the labels are. */
    volt_volume *labels = NULL, *mask = NULL;
    assert_ok(volt_nifti_read(&labels, NULL, OUT "/case2.nii.gz", NULL));
    assert_ok(volt_nifti_read(&mask, NULL, OUT "/cube/case2.nii.gz", NULL));
    for (int64_t i = 0; i < volt_grid_voxels(&labels->grid); i++)
        assert_int_equal(((uint8_t *)mask->data)[i], ((uint8_t *)labels->data)[i] == 2);
    volt_volume_free(mask);
    volt_volume_free(labels);
    volt_case_list_clear(&cases);
    volt_predictor_free(p);
}

/* The saved probabilities are those on the scan's grid, and averaging one run gives its mask.
 */
static void saved_probabilities_make_the_same_mask(void **state)
{
    const char *run = PARENT "/fold_0", *folder = OUT;
    volt_predict_output out = volt_predict_output_defaults();
    const volt_ensemble_member member = {&folder, 1};
    volt_ensemble_options again = volt_ensemble_defaults();
    volt_predict_options o = options();
    volt_case_list cases = {0};
    volt_npz_array a = {0}, b = {0};
    volt_volume *first = NULL, *second = NULL;
    volt_ensemble_result averaged = {0};

    again.output = OUT "/again";
    again.info = &info;
    again.probabilities = true;
    out.folder = OUT;
    out.probabilities = true;
    (void)state;
    make_runs(1, turned);
    write_scans(2);
    volt_predictor *p = open_runs(&run, 1, &o);
    list_scans(&cases);
    assert_ok(volt_predict(p, &cases, &out, NULL, NULL));
    assert_true(volt_path_exists(OUT "/case1.json"));
    assert_ok(volt_ensemble(&averaged, &member, 1, &again, NULL));
    assert_int_equal(averaged.cases, 2);
    assert_ok(volt_npz_read(&a, OUT "/case1.npz", "probabilities", 4));
    assert_ok(volt_npz_read(&b, OUT "/again/case1.npz", "probabilities", 4));
    assert_true(a.shape[0] == 3 && a.shape[1] == 21 && a.shape[2] == 14 && a.shape[3] == 17);
    assert_memory_equal(a.data, b.data, 3 * 21 * 14 * 17 * sizeof(float));
    assert_ok(volt_nifti_read(&first, NULL, OUT "/case1.nii.gz", NULL));
    assert_ok(volt_nifti_read(&second, NULL, OUT "/again/case1.nii.gz", NULL));
    assert_memory_equal(first->data, second->data, volt_volume_bytes(first));
    check_labels(first, a.data);
    volt_volume_free(second);
    volt_volume_free(first);
    volt_free(b.data);
    volt_free(a.data);
    volt_case_list_clear(&cases);
    volt_predictor_free(p);
}

static int remove_all(void **state)
{
    (void)state;
    remove_runs();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations_average_probabilities),
        cmocka_unit_test(folds_average_logits),
        cmocka_unit_test(networks_of_other_data_are_refused),
        cmocka_unit_test(slabs_batches_and_threads_change_nothing),
        cmocka_unit_test(a_whole_scan_goes_in_one_pass),
        cmocka_unit_test(monais_tiles_give_monais_logits),
        cmocka_unit_test(inside_a_region_of_interest_nothing_changes),
        cmocka_unit_test(a_region_of_interest_takes_fewer_tiles),
        cmocka_unit_test(regions_are_painted_in_their_order),
        cmocka_unit_test(saved_probabilities_make_the_same_mask),
        cmocka_unit_test(ensembles_keep_the_announced_memory),
        cmocka_unit_test(what_is_written_is_announced),
        cmocka_unit_test(finished_cases_are_skipped),
    };
    int failed;

    if (volt_dataset_info_parse(&info, fixture_dataset, strlen(fixture_dataset),
                                "dataset.json") != VOLT_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, remove_all);
    volt_dataset_info_clear(&info);
    return failed;
}
