/* Losses of both devices against nnU-Net's own and PyTorch's (make_losses.py), and against
 * finite differences. */
#include "base/core/alloc.h"
#include "tests/kit/loss_call.h"
#include "tests/kit/networks.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/program/loss.h"

#define CHANNELS_MOST 4

/* Labels 0..3 in three nested regions. */
static const uint8_t nested[4 * 3] = {0, 0, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1};

static const char *const cases[] = {
    "regions",   "regions_batch",   "regions_ignore", "regions_ignore_batch",
    "ignore",    "weights",         "ignore_batch",   "weights_ignore",
    "scribbles", "regions_weights", "labels_sigmoid"};
#define CASES (sizeof cases / sizeof *cases)

/* A loss call with all the memory it needs. */
typedef struct problem {
    volt_loss_call call;
    float *logits[2]; /* as they were; the call's are copies */
    int64_t count[2];
    double weight[CHANNELS_MOST], value[2];
    int64_t counts[3 * CHANNELS_MOST], voxels; /* tp, fp, fn: (3, c) */
} problem;

static void problem_open(problem *p, const volt_safetensors *f, const char *name)
{
    const char *about = volt_safetensors_metadata(f, name);
    const volt_tensor_view *labels;
    char key[64];
    int batch_dice, sigmoid, at = 0;

    *p = (problem){0};
    p->call = (volt_loss_call){.levels = 2,
                               .weight_ce = 1,
                               .weight_dice = 1,
                               .smooth = 1e-5,
                               .gradient = true,
                               .threads = 1};
    assert_non_null(about);
    assert_int_equal(sscanf(about, "%d %d %d %d%n", &p->call.values, &p->call.ignore,
                            &batch_dice, &sigmoid, &at),
                     4);
    p->call.batch_dice = batch_dice;
    p->call.sigmoid = sigmoid;
    for (int k = 0, used; sscanf(about + at, "%lf%n", &p->weight[k], &used) == 1; k++) {
        p->call.class_weight = p->weight;
        at += used;
    }
    p->call.regions = p->call.values ? nested : NULL;
    p->call.values = 4;
    snprintf(key, sizeof key, "%s.", name);
    labels = fixture_view(f, key, "labels");
    p->call.labels = labels->data;
    p->call.n = labels->shape[0];
    p->call.d = labels->shape[1];
    p->call.h = labels->shape[2];
    p->call.w = labels->shape[3];
    for (int i = 0; i < 2; i++) {
        const volt_tensor_view *v;
        snprintf(key, sizeof key, "%s.logits.", name);
        v = fixture_view(f, key, i ? "1" : "0");
        p->call.c = v->shape[1];
        p->count[i] = (int64_t)(v->bytes / sizeof(float));
        p->call.level[i] = (volt_loss_level){
            .d = v->shape[2], .h = v->shape[3], .w = v->shape[4], .weight = i ? 0.3 : 0.7};
        assert_ok(volt_alloc(&p->logits[i], v->bytes, "a test"));
        assert_ok(volt_alloc(&p->call.level[i].logits, v->bytes, "a test"));
        memcpy(p->logits[i], v->data, v->bytes);
    }
}

static void problem_close(problem *p)
{
    for (int i = 0; i < 2; i++) {
        volt_free(p->call.level[i].logits);
        volt_free(p->logits[i]);
    }
}

/* Runs the call on fresh copies of the logits. Returns the weighted sum of both levels. */
static double problem_run(problem *p, const volt_device *device)
{
    volt_loss_block *r;

    for (int i = 0; i < 2; i++)
        memcpy(p->call.level[i].logits, p->logits[i], (size_t)p->count[i] * sizeof(float));
    r = loss_call_run(device, &p->call);
    memcpy(p->value, r->value, sizeof p->value);
    memcpy(p->counts, volt_loss_counts(r), 3 * (size_t)p->call.c * sizeof *p->counts);
    p->voxels = r->voxels;
    volt_free(r);
    return 0.7 * p->value[0] + 0.3 * p->value[1];
}

static void losses_match_nnunet(void **state)
{
    volt_safetensors *f = open_fixture("losses");
    int compared = 0;

    for (size_t k = 0; k < CASES; k++) {
        problem p;
        problem_open(&p, f, cases[k]);
        (void)problem_run(&p, *state);
        for (int i = 0; i < 2; i++) {
            char key[64];
            double want;
            snprintf(key, sizeof key, "%s.value.", cases[k]);
            want = fixture_number(f, key, i);
            if (!(fabs(p.value[i] - want) <= 2e-6 * (1 + fabs(want))))
                fail_msg("%s level %d: %.9g, %.9g expected", cases[k], i, p.value[i], want);
            snprintf(key, sizeof key, "%s.grad.", cases[k]);
            assert_near(cases[k], p.call.level[i].logits,
                        fixture_view(f, key, i ? "1" : "0")->data, p.count[i], 1e-5, 1e-9);
            compared++;
        }
        problem_close(&p);
    }
    assert_int_equal(compared, 2 * CASES);
    volt_safetensors_close(f);
}

/* The gradient against differences of the value, every few logits of both levels; weights of
 * the two terms as users set them. */
static void gradients_match_differences(void **state)
{
    static const double terms[3][2] = {{1, 1}, {1, 0}, {0, 1}};
    volt_safetensors *f = open_fixture("losses");
    int compared = 0;

    for (size_t k = 0; k < 3 * CASES; k++) {
        problem p;
        float *gradient[2];
        problem_open(&p, f, cases[k / 3]);
        p.call.weight_ce = terms[k % 3][0];
        p.call.weight_dice = terms[k % 3][1];
        (void)problem_run(&p, *state);
        for (int i = 0; i < 2; i++) {
            assert_ok(volt_alloc(&gradient[i], (size_t)p.count[i] * sizeof(float), "a test"));
            memcpy(gradient[i], p.call.level[i].logits, (size_t)p.count[i] * sizeof(float));
        }
        p.call.gradient = false;
        for (int i = 0; i < 2; i++) {
            for (int64_t j = k % 5; j < p.count[i]; j += 97) {
                const float at = p.logits[i][j];
                double high, low;
                p.logits[i][j] = at + 1e-2f;
                high = problem_run(&p, *state);
                p.logits[i][j] = at - 1e-2f;
                low = problem_run(&p, *state);
                p.logits[i][j] = at;
                if (!(fabs((high - low) / 2e-2 - gradient[i][j]) < 2e-5))
                    fail_msg("%s level %d logit %lld: %g, %g expected", cases[k / 3], i,
                             (long long)j, gradient[i][j], (high - low) / 2e-2);
                compared++;
            }
            volt_free(gradient[i]);
        }
        problem_close(&p);
    }
    assert_true(compared > 500);
    volt_safetensors_close(f);
}

/* Hard counts of regions and of labels, against a slow count; ignored voxels count nowhere. */
static void counts_leave_ignored_voxels_out(void **state)
{
    volt_safetensors *f = open_fixture("losses");

    for (size_t k = 0; k < CASES; k++) {
        int64_t counts[3 * CHANNELS_MOST] = {0}, *tp, *fp, *fn;
        int64_t voxels = 0, each;
        problem p;
        problem_open(&p, f, cases[k]);
        (void)problem_run(&p, *state);
        tp = counts;
        fp = tp + p.call.c;
        fn = fp + p.call.c;
        each = p.call.d * p.call.h * p.call.w;
        for (int64_t i = 0; i < p.call.n * each; i++) {
            const float *x = p.logits[0] + i / each * p.call.c * each + i % each;
            const int label = p.call.labels[i];
            int64_t best = 0;
            if (label == p.call.ignore)
                continue;
            voxels++;
            for (int64_t c = 1; c < p.call.c; c++)
                best = x[c * each] > x[best * each] ? c : best;
            for (int64_t c = 0; c < p.call.c; c++) {
                const bool truth = p.call.regions ? nested[label * 3 + c] : label == c;
                const bool found = p.call.regions ? x[c * each] > 0 : best == c;
                tp[c] += truth && found;
                fp[c] += !truth && found;
                fn[c] += truth && !found;
            }
        }
        assert_int_equal(p.voxels, voxels);
        assert_memory_equal(p.counts, counts, sizeof counts);
        problem_close(&p);
    }
    volt_safetensors_close(f);
}

/* Logits far out: nothing overflows, and the gradient is that of a saturated sigmoid. */
static void saturated_logits_stay_finite(void **state)
{
    static const float far[] = {-3e38f, -1000, -100, -50, 0, 50, 100, 1000, 3e38f};
    enum { COUNT = sizeof far / sizeof *far };
    int16_t labels[COUNT];
    float logits[3 * COUNT];
    const volt_device *device = *state;
    volt_loss_call call = {.n = 1,
                           .c = 3,
                           .labels = labels,
                           .d = 1,
                           .h = 1,
                           .w = COUNT,
                           .levels = 1,
                           .level = {{logits, 1, 1, COUNT, 1}},
                           .sigmoid = true,
                           .regions = nested,
                           .values = 4,
                           .weight_ce = 1,
                           .weight_dice = 1,
                           .smooth = 1e-5,
                           .ignore = VOLT_NO_IGNORE_LABEL,
                           .gradient = true,
                           .threads = 1};

    for (int truth = 0; truth < 4; truth += 3) {
        for (int i = 0; i < COUNT; i++) {
            labels[i] = (int16_t)truth;
            logits[i] = logits[COUNT + i] = logits[2 * COUNT + i] = far[i];
        }
        volt_loss_block *r = loss_call_run(device, &call);
        assert_true(isfinite(r->total) && r->total > 1e36);
        volt_free(r);
        for (int i = 0; i < 3 * COUNT; i++) {
            const float wrong = (far[i % COUNT] > 0 ? 1.0f : 0.0f) - (truth ? 1.0f : 0.0f);
            assert_true(isfinite(logits[i]));
            if (fabsf(far[i % COUNT]) >= 50)
                assert_true(fabsf(logits[i] - wrong / (3 * COUNT)) < 1e-6f);
        }
    }
}

static int open_reference(void **state)
{
    return volt_device_open((volt_device **)state, "reference") == VOLT_OK ? 0 : -1;
}

static int open_cpu(void **state)
{
    return volt_device_open((volt_device **)state, "cpu") == VOLT_OK ? 0 : -1;
}

static int close_device(void **state)
{
    volt_device_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_match_nnunet),
        cmocka_unit_test(gradients_match_differences),
        cmocka_unit_test(counts_leave_ignored_voxels_out),
        cmocka_unit_test(saturated_logits_stay_finite),
    };
    int failed = cmocka_run_group_tests_name("reference", tests, open_reference, close_device);

    failed += cmocka_run_group_tests_name("cpu", tests, open_cpu, close_device);
    return failed;
}
