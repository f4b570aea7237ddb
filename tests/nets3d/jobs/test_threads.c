/* Programs, trainers and predictors in 1, 2 and 4 threads of one process: each has the bits it
 * has alone, its own figures and its own sentences, and callbacks come one at a time. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/core/alloc.h"
#include "io/image/nifti.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/graph/init.h"
#include "nets3d/predictor.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"
#include "tests/kit/networks.h"
#include "tests/kit/predict_fixture.h"
#include "tests/kit/train_compare.h"

#define MOST_THREADS 4
#define NETWORK_RUN  "threads-network"

static fixture data;
static atomic_int inside, calls; /* of callbacks: at this moment, and ever */
static atomic_bool met;          /* two at a time */

static void enter(void)
{
    if (atomic_fetch_add(&inside, 1) > 0)
        atomic_store(&met, true);
    atomic_fetch_add(&calls, 1);
    usleep(200); /* long enough to meet another one */
    atomic_fetch_sub(&inside, 1);
}

static void on_progress(void *user, const char *what, int64_t done, int64_t total)
{
    (void)user, (void)what, (void)done, (void)total;
    enter();
}

static void on_log(void *user, volt_log_level level, const char *line)
{
    (void)user, (void)level, (void)line;
    enter();
}

static void on_state(void *user, const char *line)
{
    (void)user, (void)line;
    enter();
}

static const volt_callbacks shared_callbacks = {
    .progress = on_progress, .log = on_log, .state = on_state};

/* One thread's work; cmocka's checks belong to the main thread, so it leaves what it found. */
typedef struct worker {
    int number; /* of the folders it writes; 0 = alone */
    volt_precision precision;
    volt_status st;
    char failure[256];
    float *weights; /* after training steps of a program */
    size_t weight_bytes, program_peak, program_bytes;
    volt_train_result trained;
    volt_predict_result predicted;
} worker;

/* ---- programs ---- */

static volt_status training_steps(volt_program *p, volt_optimizer *o, const float *input,
                                  const int16_t *labels)
{
    const volt_loss_options loss = volt_loss_nnunet(2, false);
    volt_status st = VOLT_OK;

    for (uint32_t step = 0; step < 3; step++) {
        VOLT_TRY(st, done, volt_program_forward(p, input, step));
        VOLT_TRY(st, done, volt_program_loss(p, &loss, labels, true));
        VOLT_TRY(st, done, volt_program_backward(p));
        VOLT_TRY(st, done, volt_optimizer_step(o, 1e-2));
    }
done:
    return st;
}

static void draw_batch(float *input, int16_t *labels, int64_t voxels)
{
    volt_rng rng = volt_rng_open(3, 0, 0, VOLT_RNG_TEST);

    for (int64_t i = 0; i < voxels; i++) {
        input[i] = (float)volt_rng_normal(&rng);
        labels[i] = (int16_t)volt_rng_below(&rng, 3);
    }
}

static volt_status run_program(worker *w)
{
    const volt_optimizer_settings sgd = volt_optimizer_nnunet();
    volt_program_options options = volt_program_defaults();
    const volt_plan_config *config = &data.plan->config[0];
    const int64_t voxels =
        config->batch * config->patch[0] * config->patch[1] * config->patch[2];
    volt_device *device = NULL;
    volt_graph *g = NULL;
    volt_program *p = NULL;
    volt_optimizer *optimizer = NULL;
    float *input = NULL;
    int16_t *labels = NULL;
    volt_program_memory m;
    volt_mem_scope scope;
    volt_status st;

    options.n = config->batch;
    options.mode = VOLT_TRAIN;
    options.precision = w->precision;
    options.threads = 1;
    memcpy(options.extent, config->patch, sizeof options.extent);
    VOLT_TRY(st, done, volt_alloc(&input, (size_t)voxels * sizeof *input, "input"));
    VOLT_TRY(st, done, volt_alloc(&labels, (size_t)voxels * sizeof *labels, "labels"));
    draw_batch(input, labels, voxels);
    VOLT_TRY(st, done, volt_device_open(&device, "cpu"));
    VOLT_TRY(st, done, volt_network_build(&g, &config->net, true));
    w->weight_bytes = (size_t)volt_graph_param_elements(g) * sizeof *w->weights;
    VOLT_TRY(st, done, volt_alloc(&w->weights, w->weight_bytes, "weights"));
    volt_init_parameters(w->weights, g, 1);
    VOLT_TRY(st, done, volt_program_create(&p, g, device, &options));
    volt_program_memory_of(p, &m);
    w->program_bytes = m.total;
    volt_mem_scope_enter(&scope);
    st = volt_program_load(p, w->weights);
    volt_mem_scope_leave(&scope);
    w->program_peak = volt_mem_scope_peak(&scope);
    if (st != VOLT_OK)
        goto done;
    VOLT_TRY(st, done, volt_optimizer_create(&optimizer, volt_program_parameters(p), &sgd));
    VOLT_TRY(st, done, training_steps(p, optimizer, input, labels));
    st = volt_program_save(p, w->weights);
done:
    volt_optimizer_free(optimizer);
    volt_program_free(p);
    volt_graph_free(g);
    volt_device_close(device);
    volt_free(labels);
    volt_free(input);
    return st;
}

/* ---- trainers and predictors ---- */

static volt_status run_trainer(worker *w)
{
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 2, 3);
    char run[64];

    snprintf(run, sizeof run, "threads-run-%d", w->number);
    o.device = "cpu";
    o.precision = w->precision;
    return volt_train(run, &data.data, &o, &shared_callbacks, &w->trained);
}

static volt_status run_predictor(worker *w)
{
    const char *const run = NETWORK_RUN, *const scan = "threads-scan";
    volt_predict_options o = volt_predict_defaults();
    volt_predict_output output = volt_predict_output_defaults();
    volt_case_list cases = {0};
    volt_predictor *p = NULL;
    char folder[64];
    volt_status st;

    snprintf(folder, sizeof folder, "threads-out-%d", w->number);
    o.precision = w->precision;
    o.mirror = false;
    o.threads = 1;
    output.folder = folder;
    VOLT_TRY(st, done, volt_predictor_open(&p, &run, 1, &o, &shared_callbacks));
    VOLT_TRY(st, done, volt_inputs_list(&cases, &scan, 1, 1, NULL));
    st = volt_predict(p, &cases, &output, &shared_callbacks, &w->predicted);
done:
    volt_case_list_clear(&cases);
    volt_predictor_free(p);
    return st;
}

/* Fails at a file of its own, and keeps the sentence. */
static void fail_once(worker *w)
{
    char path[64];
    char *text = NULL;

    snprintf(path, sizeof path, "threads-missing-%d", w->number);
    if (volt_read_file(&text, NULL, path, 100) == VOLT_OK)
        volt_free(text);
}

static void *work(void *argument)
{
    worker *w = argument;
    volt_status st;

    fail_once(w);
    VOLT_TRY(st, done, run_program(w));
    VOLT_TRY(st, done, run_trainer(w));
    st = run_predictor(w);
done:
    snprintf(w->failure, sizeof w->failure, "%s", volt_last_error());
    w->st = st;
    return NULL;
}

/* ---- comparison ---- */

static void same_file(const char *a, const char *b)
{
    char *text_a = NULL, *text_b = NULL;
    size_t bytes_a, bytes_b;

    assert_ok(volt_read_file(&text_a, &bytes_a, a, 1 << 20));
    assert_ok(volt_read_file(&text_b, &bytes_b, b, 1 << 20));
    assert_int_equal(bytes_a, bytes_b);
    assert_memory_equal(text_a, text_b, bytes_a);
    volt_free(text_a);
    volt_free(text_b);
}

static void compare(const worker *w, const worker *alone)
{
    char run[64], mask[64], missing[64];

    snprintf(missing, sizeof missing, "threads-missing-%d", w->number);
    if (w->st != VOLT_OK)
        fail_msg("worker %d: %s", w->number, w->failure);
    assert_non_null(strstr(w->failure, missing)); /* its own, the only one */
    assert_int_equal(w->weight_bytes, alone->weight_bytes);
    assert_memory_equal(w->weights, alone->weights, w->weight_bytes);
    assert_int_equal(w->program_bytes, alone->program_bytes);
    assert_int_equal(w->program_peak, w->program_bytes);
    snprintf(run, sizeof run, "threads-run-%d", w->number);
    assert_same_run(run, "threads-run-0");
    assert_int_equal(w->trained.memory.total, alone->trained.memory.total);
    assert_in_range(w->trained.peak_bytes, w->trained.memory.total - w->trained.memory.other,
                    w->trained.memory.total);
    assert_true(w->trained.train_loss == alone->trained.train_loss);
    snprintf(mask, sizeof mask, "threads-out-%d/scan.nii.gz", w->number);
    same_file(mask, "threads-out-0/scan.nii.gz");
    assert_int_equal(w->predicted.announced_bytes, alone->predicted.announced_bytes);
    assert_true(w->predicted.peak_bytes > 0 &&
                w->predicted.peak_bytes <= w->predicted.announced_bytes);
}

static void remove_results(int number)
{
    char folder[64];

    snprintf(folder, sizeof folder, "threads-run-%d", number);
    remove_folder(folder);
    snprintf(folder, sizeof folder, "threads-out-%d", number);
    remove_folder(folder);
}

static void threads_have_the_bits_and_figures_they_have_alone(volt_precision precision)
{
    worker alone = {.precision = precision};
    const size_t before = volt_mem_current();

    remove_results(0);
    work(&alone);
    compare(&alone, &alone);
    for (int count = 1; count <= MOST_THREADS; count *= 2) {
        worker w[MOST_THREADS] = {{0}};
        pthread_t thread[MOST_THREADS];

        for (int i = 0; i < count; i++) {
            w[i] = (worker){.number = i + 1, .precision = precision};
            remove_results(i + 1);
            assert_int_equal(pthread_create(&thread[i], NULL, work, &w[i]), 0);
        }
        for (int i = 0; i < count; i++)
            pthread_join(thread[i], NULL);
        for (int i = 0; i < count; i++) {
            compare(&w[i], &alone);
            volt_free(w[i].weights);
            remove_results(i + 1);
        }
    }
    volt_free(alone.weights);
    remove_results(0);
    assert_int_equal(volt_mem_current(), before);
    assert_true(atomic_load(&calls) > 0);
    assert_false(atomic_load(&met));
}

static void in_fp32(void **state)
{
    (void)state;
    threads_have_the_bits_and_figures_they_have_alone(VOLT_FP32);
}

static void in_bf16(void **state)
{
    volt_device *device = NULL;
    bool bf16;

    (void)state;
    assert_ok(volt_device_open(&device, "cpu"));
    bf16 = device->supports(device, VOLT_BF16_MIXED);
    volt_device_close(device);
    if (bf16)
        threads_have_the_bits_and_figures_they_have_alone(VOLT_BF16_MIXED);
    else
        skip();
}

static void write_scan(void)
{
    const int64_t n[3] = {12, 14, 16};
    const volt_image_write_options o = volt_image_write_with(1);
    volt_grid grid = volt_grid_make(n, 1, (const double[3]){1, 1, 1});
    volt_volume *v = NULL;

    assert_ok(volt_make_dirs("threads-scan"));
    assert_ok(volt_volume_create(&v, &grid, VOLT_F32));
    fixture_voxels(v->data, NULL, n, 1);
    assert_ok(volt_nifti_write("threads-scan/scan_0000.nii.gz", v, NULL, &o));
    volt_volume_free(v);
}

static int prepare(void **state)
{
    char text[8192];

    (void)state;
    snprintf(text, sizeof text, fixture_plan, "0, 1, 2", "0, 1, 2", "8, 8, 8", "1, 1, 1");
    fixture_open(&data, "threads-store");
    write_random_run(NETWORK_RUN, text, &data.info);
    write_scan();
    return 0;
}

static int clean(void **state)
{
    (void)state;
    fixture_close(&data);
    remove_folder(NETWORK_RUN);
    remove_folder("threads-scan");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_fp32),
        cmocka_unit_test(in_bf16),
    };

    return cmocka_run_group_tests(tests, prepare, clean);
}
