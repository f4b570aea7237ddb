/* Training and prediction on a device that runs its calls later, in memory that the host cannot
 * touch (kit/queue_device.h): the same bits as where device and host are one, and no faults. */
#include <unistd.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image/nifti.h"
#include "tests/kit/loss_call.h"
#include "tests/kit/predict_fixture.h"
#include "tests/kit/queue_device.h"
#include "tests/kit/train_compare.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"
#include "nets3d/run.h"
#include "nets3d/run/found.h"

#define SCALARS 256 /* at least what an optimizer holds besides its announced state */

static enum { TOGETHER, APART, APART_WITH_SUMS, APART_KEEPING, APART_IN_FP16 } how;

static queue_counts seen;    /* of the devices that were closed */
static size_t device_memory; /* of the next ones; 0 = as much as the host has */

volt_status __real_volt_device_open(volt_device **out, const char *name);
volt_status __wrap_volt_device_open(volt_device **out, const char *name);
void __real_volt_device_close(volt_device *dev);
void __wrap_volt_device_close(volt_device *dev);

/* The linker leads all calls of volt_device_open here. */
volt_status __wrap_volt_device_open(volt_device **out, const char *name)
{
    const volt_status st = __real_volt_device_open(out, name);

    if (st == VOLT_OK && how != TOGETHER)
        queue_device_open(out, (queue_options){.seed = 1 + (uint64_t)how,
                                               .scores = how == APART_WITH_SUMS,
                                               .memory = device_memory,
                                               .keeps_forms = how >= APART_KEEPING,
                                               .fp16 = how == APART_IN_FP16});
    return st;
}

void __wrap_volt_device_close(volt_device *dev)
{
    if (dev && !dev->host_memory) {
        const queue_counts c = queue_device_counts(dev);
        if (c.faults)
            fail_msg("%lld faults, the first: %s", (long long)c.faults, c.fault);
        seen.deferred += c.deferred;
        seen.launches += c.launches;
        seen.scores += c.scores;
    }
    __real_volt_device_close(dev);
}

/* So large that gradients overflow, and no power of two, so that it is never the usual one. */
static double first_loss_scale; /* 0 = the usual one */
#define USUAL_LOSS_SCALE 65536.0
#define GROWTH           3 /* updates */

volt_status __real_volt_optimizer_set_loss_scale(volt_optimizer *o, double scale, int64_t age,
                                                 int64_t growth);
volt_status __wrap_volt_optimizer_set_loss_scale(volt_optimizer *o, double scale, int64_t age,
                                                 int64_t growth);
volt_status __wrap_volt_optimizer_set_loss_scale(volt_optimizer *o, double scale, int64_t age,
                                                 int64_t growth)
{
    if (first_loss_scale > 0)
        growth = GROWTH;
    if (first_loss_scale > 0 && scale == USUAL_LOSS_SCALE)
        scale = first_loss_scale;
    return __real_volt_optimizer_set_loss_scale(o, scale, age, growth);
}

/* Also with weights packed after each update, for parts of batches and with frozen parameters:
 * stopped, resumed, validated. */
static void training_is_the_same_to_the_bit(void **state)
{
    static const struct {
        volt_optimizer_kind kind;
        int64_t accumulate;
        const char *freeze;
    } recipes[] = {{VOLT_SGD, 1, NULL}, {VOLT_ADAMW, 1, NULL}, {VOLT_SGD, 2, "encoder.*"}};
    static const char *const runs[] = {"run-together", "run-apart", "run-keeping"};
    static const int ways[] = {TOGETHER, APART, APART_KEEPING};
    fixture f;

    (void)state;
    remove_folder("apart-store");
    fixture_open(&f, "apart-store");
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        volt_recipe recipe;
        volt_train_options o = fixture_options(&recipe, 2, 3);
        o.device = "cpu";
        o.threads = 2;
        recipe.optimizer = volt_optimizer_usual(recipes[i].kind);
        recipe.accumulate = recipes[i].accumulate;
        if (recipes[i].freeze)
            assert_ok(volt_recipe_freeze(&recipe, recipes[i].freeze));
        for (int w = 0; w < 3; w++) {
            how = ways[w];
            remove_folder(runs[w]);
            o.resume = false;
            stopper s = {.at = 4};
            const volt_callbacks cb = callbacks_of(&s);
            assert_fails(volt_train(runs[w], &f.data, &o, &cb, NULL), VOLT_ECANCELLED,
                         "stopped");
            o.resume = true; /* the state goes through the host */
            assert_ok(volt_train(runs[w], &f.data, &o, NULL, NULL));
            assert_same_run(runs[0], runs[w]);
        }
    }
    how = TOGETHER;
    for (int w = 0; w < 3; w++)
        remove_folder(runs[w]);
    fixture_close(&f);
}

/* In fp16 the loss is scaled, and the scale survives a pause. */
static void training_in_fp16_scales_the_loss(void **state)
{
    volt_train_result single, half, resumed;
    volt_recipe recipe;
    volt_run_found found = {0};
    fixture f;

    (void)state;
    remove_folder("apart-store");
    fixture_open(&f, "apart-store");
    volt_train_options o = fixture_options(&recipe, 2, 3);
    o.device = "reference";
    remove_folder("run-fp32");
    assert_ok(volt_train("run-fp32", &f.data, &o, NULL, &single));
    how = APART_IN_FP16;
    o.precision = VOLT_FP16_MIXED;
    remove_folder("run-fp16");
    assert_ok(volt_train("run-fp16", &f.data, &o, NULL, &half));
    stopper s = {.at = 4};
    const volt_callbacks cb = callbacks_of(&s);
    remove_folder("run-paused");
    assert_fails(volt_train("run-paused", &f.data, &o, &cb, NULL), VOLT_ECANCELLED, "stopped");
    assert_ok(volt_run_found_read(&found, "run-paused/" VOLT_RUN_LATEST));
    assert_true(found.state.loss_scale >= 1 && found.state.steps > 0);
    volt_run_found_clear(&found);
    o.resume = true;
    assert_ok(volt_train("run-paused", &f.data, &o, NULL, &resumed));
    how = TOGETHER;
    assert_same_run("run-fp16", "run-paused");
    assert_true(half.train_loss != single.train_loss);
    assert_true(fabs(half.train_loss - single.train_loss) < 0.02);
    remove_folder("run-paused");
    remove_folder("run-fp16");
    remove_folder("run-fp32");
    fixture_close(&f);
}

/* The state of the run's last checkpoint. */
static volt_train_state state_of(const char *run)
{
    volt_run_found found = {0};
    volt_train_state state;
    char *path = NULL;

    assert_ok(volt_path_join(&path, run, VOLT_RUN_LATEST));
    assert_ok(volt_run_found_read(&found, path));
    state = found.state;
    volt_run_found_clear(&found);
    volt_free(path);
    return state;
}

/* Trains fp16 with gradients that overflow at first, stopped after each of these iterations. */
static void train_overflowing(const char *run, const fixture *f, volt_train_options *o,
                              const int64_t *stops, fixture_log *log)
{
    const volt_callbacks listen = fixture_listen(log);

    remove_folder(run);
    o->resume = false;
    for (; *stops; stops++) {
        stopper s = {.at = *stops};
        const volt_callbacks cb = callbacks_of(&s);
        assert_fails(volt_train(run, &f->data, o, &cb, NULL), VOLT_ECANCELLED, "stopped");
        o->resume = true;
    }
    assert_ok(volt_train(run, &f->data, o, &listen, NULL));
}

/* Steps with gradients that overflow are left out, the loss scale halves until they fit and
 * grows again, training goes on and says so, and a pause at any point changes no bit. */
static void overflows_in_fp16_are_skipped(void **state)
{
    enum { EPOCHS = 2, ITERATIONS = 9 };
    const int64_t whole[] = {0}, paused[] = {2, 7, 11, 14, 0};
    fixture_log log = {.text = ""}, again = {.text = ""};
    volt_train_state end, first;
    volt_recipe recipe;
    fixture f;

    (void)state;
    remove_folder("apart-store");
    fixture_open(&f, "apart-store");
    volt_train_options o = fixture_options(&recipe, EPOCHS, ITERATIONS);
    o.device = "reference";
    o.precision = VOLT_FP16_MIXED;
    how = APART_IN_FP16;
    first_loss_scale = 3 * exp2(28);
    train_overflowing("run-overflow", &f, &o, whole, &log);
    end = state_of("run-overflow");
    assert_int_equal(end.iteration, EPOCHS * ITERATIONS);
    assert_true(end.steps >= ITERATIONS && end.steps < end.iteration - 2);
    assert_true(end.loss_scale < first_loss_scale && end.loss_scale > 1);
    assert_true(isfinite(end.train_loss));
    assert_non_null(strstr(log.text, "of 9 iterations were skipped, as gradients were too "
                                     "large for fp16; the loss scale is now "));
    assert_int_equal(log.warnings, 0);
    train_overflowing("run-paused", &f, &o, paused, &again);
    assert_same_run("run-overflow", "run-paused");

    /* Not one step of an epoch: that is a warning. */
    log = (fixture_log){.text = ""};
    recipe.epochs = 1;
    recipe.iterations = 2;
    train_overflowing("run-overflow", &f, &o, whole, &log);
    first = state_of("run-overflow");
    assert_true(first.steps == 0 && first.loss_scale == first_loss_scale / 4);
    assert_non_null(strstr(log.text, "2 of 2 iterations were skipped"));
    assert_int_equal(log.warnings, 1);
    how = TOGETHER;
    first_loss_scale = 0;
    remove_folder("run-paused");
    remove_folder("run-overflow");
    fixture_close(&f);
}

/* The device's bytes are compared with the device's memory: weights are packed in each pass
 * where there is too little to keep them, and with too little for that nothing begins. */
static void training_needs_the_devices_memory(void **state)
{
    volt_train_result kept, packed;
    volt_recipe recipe;
    fixture f;

    (void)state;
    remove_folder("apart-store");
    fixture_open(&f, "apart-store");
    volt_train_options o = fixture_options(&recipe, 1, 2);
    o.device = "cpu";
    how = APART_KEEPING;
    remove_folder("run-kept");
    remove_folder("run-packed");
    device_memory = (size_t)1 << 30;
    assert_ok(volt_train("run-kept", &f.data, &o, NULL, &kept));
    device_memory = kept.memory.program + kept.memory.optimizer - 1;
    assert_ok(volt_train("run-packed", &f.data, &o, NULL, &packed));
    assert_same_run("run-kept", "run-packed");
    assert_true(packed.memory.program < kept.memory.program);
    device_memory = packed.memory.program + packed.memory.optimizer + SCALARS;
    remove_folder("run-packed");
    assert_ok(volt_train("run-packed", &f.data, &o, NULL, &packed)); /* that is enough */
    remove_folder("run-packed");
    device_memory -= SCALARS + 1;
    assert_fails(volt_train("run-packed", &f.data, &o, NULL, NULL), VOLT_ENOMEM,
                 "training with batch 2 needs ");
    assert_non_null(strstr(volt_last_error(), "of memory on device cpu, but only "));
    assert_false(volt_path_exists("run-packed"));
    device_memory = 0;
    how = TOGETHER;
    remove_folder("run-kept");
    fixture_close(&f);
}

/* Labels of the scan by the network of `run`. */
static volt_volume *labels_of(const char *run, const volt_volume *scan)
{
    volt_predict_options o = volt_predict_defaults();
    volt_volume *labels = NULL;
    volt_predictor *p = NULL;

    o.precision = VOLT_FP32;
    o.threads = 2;
    assert_ok(volt_predictor_open(&p, &run, 1, &o, NULL));
    assert_ok(volt_predictor_run(p, scan, &labels, NULL));
    volt_predictor_free(p);
    return labels;
}

/* For labels and for regions. */
static void prediction_is_the_same_to_the_bit(void **state)
{
    const int64_t n[3] = {21, 14, 17};
    const volt_grid grid = volt_grid_make(n, 1, (const double[3]){1, 1.2, 1});
    const char *const dataset[] = {fixture_dataset, fixture_regions};
    volt_volume *scan = NULL;

    (void)state;
    assert_ok(volt_volume_create(&scan, &grid, VOLT_F32));
    fixture_voxels(scan->data, NULL, n, 3);
    for (int i = 0; i < 2; i++) {
        volt_volume *labels[3];
        volt_dataset_info info;
        char text[8192];
        int64_t found[256] = {0}, kinds = 0;

        assert_ok(volt_dataset_info_parse(&info, dataset[i], strlen(dataset[i]), "a test"));
        snprintf(text, sizeof text, fixture_plan, "0, 1, 2", "0, 1, 2", "8, 8, 8", "1, 1, 1");
        write_random_run("apart-net", text, &info);
        for (how = TOGETHER; how <= APART_WITH_SUMS; how++) {
            seen = (queue_counts){0};
            labels[how] = labels_of("apart-net", scan);
            assert_true((seen.scores > 10) == (how == APART_WITH_SUMS));
            assert_true((seen.deferred > 10 && seen.launches > 0) == (how != TOGETHER));
            assert_memory_equal(labels[how]->data, labels[0]->data, 21 * 14 * 17);
        }
        how = TOGETHER;
        for (int64_t v = 0; v < 21 * 14 * 17; v++)
            found[((uint8_t *)labels[0]->data)[v]]++;
        for (int k = 0; k < 256; k++)
            kinds += found[k] > 0;
        assert_true(kinds > 1);
        for (int k = 0; k < 3; k++)
            volt_volume_free(labels[k]);
        volt_dataset_info_clear(&info);
    }
    volt_volume_free(scan);
}

static volt_status predict_files(const volt_case_list *cases)
{
    volt_predict_options o = volt_predict_defaults();
    volt_predict_output output = volt_predict_output_defaults();
    const char *const run = "apart-net";
    volt_predictor *p = NULL;
    volt_status st;

    o.precision = VOLT_FP32;
    output.folder = "apart-out";
    VOLT_TRY(st, done, volt_predictor_open(&p, &run, 1, &o, NULL));
    st = volt_predict(p, cases, &output, NULL, NULL);
done:
    volt_predictor_free(p);
    return st;
}

/* The program is refused when it is loaded, sums of scores before the scan is read. */
static void prediction_needs_the_devices_memory(void **state)
{
    const int64_t n[3] = {21, 14, 17};
    const volt_grid grid = volt_grid_make(n, 1, (const double[3]){1, 1.2, 1});
    const volt_image_write_options w = volt_image_write_with(1);
    const char *const in = "apart-in";
    size_t low = 1000, high = (size_t)1 << 26;
    volt_case_list cases = {0};
    volt_volume *scan = NULL;
    volt_dataset_info info;
    char text[8192];

    (void)state;
    assert_ok(volt_volume_create(&scan, &grid, VOLT_F32));
    fixture_voxels(scan->data, NULL, n, 3);
    assert_ok(volt_make_dirs(in));
    assert_ok(volt_nifti_write("apart-in/scan_0000.nii.gz", scan, NULL, &w));
    assert_ok(volt_inputs_list(&cases, &in, 1, 1, NULL));
    assert_ok(
        volt_dataset_info_parse(&info, fixture_dataset, strlen(fixture_dataset), "a test"));
    snprintf(text, sizeof text, fixture_plan, "0, 1, 2", "0, 1, 2", "8, 8, 8", "1, 1, 1");
    write_random_run("apart-net", text, &info);
    how = APART_WITH_SUMS;
    while (high - low > 1) {
        device_memory = low + (high - low) / 2;
        if (predict_files(&cases) == VOLT_OK)
            high = device_memory;
        else
            low = device_memory;
    }
    device_memory = low;
    assert_fails(predict_files(&cases), VOLT_ENOMEM, "scan_0000.nii.gz: prediction needs ");
    assert_non_null(strstr(volt_last_error(), " of memory on device cpu, but only "));
    device_memory = 1000;
    assert_fails(predict_files(&cases), VOLT_ENOMEM, "the network needs ");
    assert_non_null(strstr(volt_last_error(), " of memory on device cpu, but only "));
    device_memory = 0;
    how = TOGETHER;
    volt_case_list_clear(&cases);
    volt_dataset_info_clear(&info);
    volt_volume_free(scan);
}

/* ---- operands in device memory ---- */

enum { VOXELS = 2 * 4 * 4 * 4, CLASSES = 3 };

/* A head on two channels. */
static volt_program *small_program(volt_graph **g, const volt_device *device)
{
    const volt_conv one = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    volt_program_options o = volt_program_defaults();
    float weights[2 * CLASSES + CLASSES];
    volt_program *p = NULL;
    volt_value v;

    assert_ok(volt_graph_create(g));
    assert_ok(volt_graph_input(*g, &v, 2));
    assert_ok(volt_graph_conv(*g, &v, v, "head", CLASSES, &one, true));
    assert_ok(volt_graph_output(*g, v));
    o.n = 2;
    o.mode = VOLT_TRAIN;
    o.threads = 1;
    for (int a = 0; a < 3; a++)
        o.extent[a] = 4;
    for (int i = 0; i < 2 * CLASSES + CLASSES; i++)
        weights[i] = (float)(i % 4) / 4 - 0.3f;
    assert_ok(volt_program_create(&p, *g, device, &o));
    assert_ok(volt_program_load(p, weights));
    return p;
}

static void *on_device(const volt_device *dev, const void *host, size_t bytes)
{
    void *p = NULL;

    assert_ok(dev->alloc(dev, &p, bytes, "a test"));
    if (host)
        assert_ok(dev->upload(dev, p, host, bytes, NULL));
    return p;
}

/* Inputs, labels and downloads, on either side: the same loss and the same weights after it. */
static void operands_may_lie_on_either_side(void **state)
{
    const volt_optimizer_settings settings = volt_optimizer_nnunet();
    float input[2 * VOXELS], scores[2][CLASSES * VOXELS], end[2][3 * CLASSES];
    int16_t labels[VOXELS];
    double total[2];

    (void)state;
    for (int i = 0; i < 2 * VOXELS; i++)
        input[i] = (float)(i * 7 % 13) / 6 - 1;
    for (int i = 0; i < VOXELS; i++)
        labels[i] = (int16_t)(i % CLASSES);
    for (int side = 0; side < 2; side++) {
        volt_loss_result r = {0};
        volt_device *dev = NULL;
        volt_optimizer *o = NULL;
        volt_graph *g = NULL;
        void *x = input, *y = labels, *z = scores[side];
        double norm = 0;

        how = APART;
        assert_ok(volt_device_open(&dev, "cpu"));
        how = TOGETHER;
        volt_program *p = small_program(&g, dev);
        assert_ok(volt_optimizer_create(&o, volt_program_parameters(p), &settings));
        if (side) {
            x = on_device(dev, input, sizeof input);
            y = on_device(dev, labels, sizeof labels);
            z = on_device(dev, NULL, sizeof scores[0]);
        }
        assert_ok(volt_program_forward(p, x, 0));
        assert_ok(volt_program_download(p, 0, z));
        assert_ok(volt_program_loss(p, NULL, y, true));
        assert_ok(volt_program_backward(p));
        assert_ok(volt_optimizer_step(o, 0.1));
        /* The next step may begin before the results of this one are read. */
        assert_ok(volt_program_evaluate(p, x));
        assert_ok(volt_program_loss_result(p, &r));
        assert_ok(volt_optimizer_norm(o, &norm));
        assert_true(isfinite(r.total) && norm > 0);
        total[side] = r.total;
        assert_ok(volt_program_save(p, end[side]));
        if (side) {
            assert_ok(dev->download(dev, scores[side], z, sizeof scores[side], NULL));
            dev->release(dev, x);
            dev->release(dev, y);
            dev->release(dev, z);
        }
        volt_optimizer_free(o);
        volt_program_free(p);
        volt_graph_free(g);
        volt_device_close(dev);
    }
    assert_memory_equal(scores[0], scores[1], sizeof scores[0]);
    assert_memory_equal(end[0], end[1], sizeof end[0]);
    assert_true(total[0] == total[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_may_lie_on_either_side),
        cmocka_unit_test(training_is_the_same_to_the_bit),
        cmocka_unit_test(training_in_fp16_scales_the_loss),
        cmocka_unit_test(overflows_in_fp16_are_skipped),
        cmocka_unit_test(prediction_is_the_same_to_the_bit),
        cmocka_unit_test(training_needs_the_devices_memory),
        cmocka_unit_test(prediction_needs_the_devices_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
