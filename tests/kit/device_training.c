#include "base/core/alloc.h"
#include "tests/kit/device_training.h"
#include "tests/kit/device_compare.h"

typedef struct loss_case {
    int64_t n, c, d, h, w;
    int levels, batch_dice, ignore;
    double weight_ce, weight_dice;
    int sigmoid;
    const double *class_weight;
    const uint8_t *regions; /* of `values` labels */
    int values;
} loss_case;

/* Labels 0..4 in three regions, the second within the first. */
static const uint8_t loss_regions[5 * 3] = {0, 0, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 1};
static const double loss_weights[8] = {0.5, 1, 3, 0, 2, 1, 1, 4};

/* What a device made of a loss_case. */
typedef struct loss_result {
    float *logits[4];
    double value[4];
    int64_t hits[3][8];
} loss_result;

static int64_t level_extent(int64_t full, int level)
{
    const int64_t e = full >> level;

    return e > 0 ? e : 1;
}

static void run_loss(const volt_device *dev, const loss_case *k, const int16_t *labels,
                     loss_result *r, int threads, bool gradient)
{
    volt_loss_call call = {.n = k->n,
                           .c = k->c,
                           .labels = labels,
                           .d = k->d,
                           .h = k->h,
                           .w = k->w,
                           .levels = k->levels,
                           .weight_ce = k->weight_ce,
                           .weight_dice = k->weight_dice,
                           .smooth = 1e-5,
                           .batch_dice = k->batch_dice,
                           .ignore = k->ignore,
                           .sigmoid = k->sigmoid,
                           .regions = k->regions,
                           .values = k->values,
                           .class_weight = k->class_weight,
                           .gradient = gradient,
                           .threads = threads,
                           .value = r->value,
                           .tp = r->hits[0],
                           .fp = r->hits[1],
                           .fn = r->hits[2]};
    suite_block scratch;

    for (int i = 0; i < k->levels; i++)
        call.level[i] =
            (volt_loss_level){r->logits[i], level_extent(k->d, i), level_extent(k->h, i),
                              level_extent(k->w, i), 1.0 / (1 << i)};
    scratch = suite_alloc(dev->loss_scratch(dev, &call), 0);
    call.scratch = scratch.data;
    assert_ok(dev->loss(dev, &call));
    suite_check_guards(&scratch, "loss", -1);
    volt_free(scratch.base);
}

static int64_t level_count(const loss_case *k, int level)
{
    return k->n * k->c * level_extent(k->d, level) * level_extent(k->h, level) *
           level_extent(k->w, level);
}

/* Runs and compares; `logits` are what all runs start from. */
static void compare_loss(const loss_case *k, const int16_t *labels, float *const *logits,
                         bool gradient)
{
    loss_result r[3] = {0}; /* device with 1 and 2 threads, reference */

    for (int run = 0; run < 3; run++) {
        for (int i = 0; i < k->levels; i++) {
            r[run].logits[i] = suite_floats(level_count(k, i));
            memcpy(r[run].logits[i], logits[i], (size_t)level_count(k, i) * sizeof(float));
        }
        run_loss(run == 2 ? suite_reference : suite_device, k, labels, &r[run],
                 run == 1 ? 2 : 1, gradient);
    }
    for (int i = 0; i < k->levels; i++) {
        const int64_t count = level_count(k, i);
        assert_true(fabs(r[0].value[i] - r[2].value[i]) <= 1e-5 * (1 + fabs(r[2].value[i])));
        assert_memory_equal(&r[0].value[i], &r[1].value[i], sizeof r[0].value[i]);
        suite_compare("loss", i, r[0].logits[i], r[2].logits[i], count, gradient ? 1e-4 : 0);
        suite_compare("loss with 2 threads", i, r[1].logits[i], r[0].logits[i], count, 0);
    }
    for (int kind = 0; kind < 3; kind++)
        assert_memory_equal(r[0].hits[kind], r[2].hits[kind],
                            (size_t)k->c * sizeof **r[0].hits);
    for (int run = 0; run < 3; run++) {
        for (int i = 0; i < k->levels; i++)
            volt_free(r[run].logits[i]);
    }
}

/* Factors follow from the stream alone: those of later samples need not be drawn from the
 * first on. */
void factors(void **state)
{
    static const double zeroed[] = {0, 0.25, 0.9};
    static const int64_t firsts[] = {0, 1, 2, 5, 320, 4099};
    const int64_t count = 333;
    float *got = suite_floats(count);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(zeroed) * COUNT_OF(firsts); i++) {
        const double p = zeroed[i % COUNT_OF(zeroed)];
        volt_rng rng = volt_rng_open(~0ull - i, 7, 9, VOLT_RNG_DROPOUT);
        const volt_factors_call call = {.factors = got,
                                        .count = count,
                                        .first = firsts[i / COUNT_OF(zeroed)],
                                        .p = p,
                                        .stream = rng};

        assert_ok(suite_device->draw_factors(suite_device, &call));
        for (int64_t j = 0; j < call.first; j++)
            (void)volt_rng_uniform(&rng);
        for (int64_t j = 0; j < count; j++) {
            const float want = volt_rng_uniform(&rng) < p ? 0 : (float)(1 / (1 - p));
            assert_true(got[j] == want);
        }
        suite_comparisons += count;
    }
    volt_free(got);
}

void losses(void **state)
{
    static const loss_case cases[] = {
        {1, 2, 4, 5, 6, 1, 1, -1, .weight_ce = 1, .weight_dice = 1},
        {2, 3, 6, 8, 10, 3, 0, -1, .weight_ce = 1, .weight_dice = 1},
        {3, 4, 1, 9, 7, 2, 1, -1, .weight_ce = 1, .weight_dice = 1},
        {2, 5, 5, 7, 3, 2, 0, 5, .weight_ce = 1, .weight_dice = 1},
        {1, 8, 12, 16, 33, 4, 1, 2, .weight_ce = 1, .weight_dice = 1},
        {1, 3, 20, 24, 28, 3, 1, -1, .weight_ce = 0.5, .weight_dice = 2},
        {2, 3, 4, 4, 4, 1, 0, -1, .weight_ce = 1, .weight_dice = 0},
        {2, 3, 4, 4, 4, 1, 1, -1, .weight_ce = 0, .weight_dice = 1},
        {2, 4, 9, 17, 33, 3, 1, 4, .weight_ce = 1, .weight_dice = 1, .sigmoid = 0,
         .class_weight = loss_weights},
        {2, 4, 9, 17, 33, 3, 0, -1, .weight_ce = 1, .weight_dice = 1, .sigmoid = 1,
         .class_weight = loss_weights},
        {2, 3, 9, 17, 33, 3, 0, -1, .weight_ce = 1, .weight_dice = 1, .sigmoid = 1,
         .class_weight = NULL, .regions = loss_regions, .values = 5},
        {3, 3, 10, 18, 35, 4, 1, 5, .weight_ce = 0.5, .weight_dice = 2, .sigmoid = 1,
         .class_weight = loss_weights, .regions = loss_regions, .values = 5},
        {1, 3, 1, 31, 29, 2, 0, 5, .weight_ce = 1, .weight_dice = 1, .sigmoid = 1,
         .class_weight = NULL, .regions = loss_regions, .values = 5},
    };

    (void)state;
    for (size_t j = 0; j < COUNT_OF(cases); j++) {
        const loss_case *k = &cases[j];
        const int64_t voxels = k->n * k->d * k->h * k->w;
        const int64_t values = k->regions ? k->values : k->c;
        float *logits[4] = {NULL};
        int16_t *labels;

        assert_ok(volt_alloc(&labels, (size_t)voxels * sizeof *labels, "labels"));
        for (int64_t i = 0; i < voxels; i++)
            labels[i] = (int16_t)volt_rng_below(&suite_rng, values + (k->ignore == values));
        for (int i = 0; i < k->levels; i++) {
            logits[i] = suite_floats(level_count(k, i));
            suite_fill_normal(logits[i], level_count(k, i), VOLT_F32);
            for (int64_t v = 0; v < level_count(k, i); v++)
                logits[i][v] *= 3;
        }
        compare_loss(k, labels, logits, true);
        compare_loss(k, labels, logits, false);
        for (int64_t i = 0; i < voxels && k->ignore >= 0; i++)
            labels[i] = (int16_t)k->ignore; /* nothing left to learn from */
        compare_loss(k, labels, logits, true);
        for (int i = 0; i < k->levels; i++)
            volt_free(logits[i]);
        volt_free(labels);
    }
}

void losses_refuse_labels_out_of_range(void **state)
{
    float logits[2] = {0};
    int16_t labels[1] = {2};
    double value, scratch[512];
    volt_loss_call call = {.n = 1,
                           .c = 2,
                           .labels = labels,
                           .d = 1,
                           .h = 1,
                           .w = 1,
                           .levels = 1,
                           .level = {{logits, 1, 1, 1, 1}},
                           .weight_ce = 1,
                           .ignore = VOLT_NO_IGNORE_LABEL,
                           .threads = 1,
                           .value = &value,
                           .scratch = scratch};

    (void)state;
    assert_true(suite_device->loss_scratch(suite_device, &call) <= sizeof scratch);
    assert_fails(suite_device->loss(suite_device, &call), VOLT_EINVAL, "label 2");
    labels[0] = -1;
    assert_fails(suite_device->loss(suite_device, &call), VOLT_EINVAL, "label -1");
}

#define UPDATE_COUNT 10007

/* weights, gradients and two states, for the device with 1 and 2 threads and the reference. */
void updates(void **state)
{
    float *x[3][4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        x[0][i] = suite_floats(UPDATE_COUNT);
        suite_fill_normal(x[0][i], UPDATE_COUNT, VOLT_F32);
        for (int64_t j = 0; i == 3 && j < UPDATE_COUNT; j++)
            x[0][i][j] = fabsf(x[0][i][j]); /* a mean of squares */
        for (int run = 1; run < 3; run++) {
            x[run][i] = suite_floats(UPDATE_COUNT);
            memcpy(x[run][i], x[0][i], UPDATE_COUNT * sizeof(float));
        }
    }
    for (int step = 1; step <= 3; step++) {
        for (int run = 0; run < 3; run++) {
            const volt_device *dev = run == 2 ? suite_reference : suite_device;
            const volt_sgd_call sgd = {.weights = x[run][0],
                                       .momentum = x[run][2],
                                       .gradients = x[run][1],
                                       .count = UPDATE_COUNT,
                                       .lr = 0.01,
                                       .mu = 0.99,
                                       .weight_decay = 3e-5,
                                       .gradient_scale = 0.7,
                                       .threads = run == 1 ? 2 : 1};
            const volt_adam_call adam = {.weights = x[run][0],
                                         .m = x[run][2],
                                         .v = x[run][3],
                                         .gradients = x[run][1],
                                         .count = UPDATE_COUNT,
                                         .step = step,
                                         .lr = 0.01,
                                         .beta1 = 0.9,
                                         .beta2 = 0.999,
                                         .eps = 1e-8,
                                         .weight_decay = 0.01,
                                         .decoupled = step % 2,
                                         .gradient_scale = 1.5,
                                         .threads = run == 1 ? 2 : 1};
            assert_ok(dev->sgd(dev, &sgd));
            assert_ok(dev->adam(dev, &adam));
        }
    }
    for (int i = 0; i < 4; i++) {
        suite_compare("update", i, x[0][i], x[2][i], UPDATE_COUNT, 1e-5);
        suite_compare("update with 2 threads", i, x[1][i], x[0][i], UPDATE_COUNT, 0);
        for (int run = 0; run < 3; run++)
            volt_free(x[run][i]);
    }
}

void accumulation(void **state)
{
    float *x = suite_floats(UPDATE_COUNT), *got = suite_floats(UPDATE_COUNT);
    float *again = suite_floats(UPDATE_COUNT), *want = suite_floats(UPDATE_COUNT);

    (void)state;
    for (int64_t i = 0; i < UPDATE_COUNT; i++)
        got[i] = again[i] = want[i] = NAN; /* the first call must not read them */
    for (int i = 0; i < 3; i++) {
        suite_fill_normal(x, UPDATE_COUNT, VOLT_F32);
        assert_ok(suite_device->accumulate(suite_device, got, x, UPDATE_COUNT, 0.3, i == 0, 1));
        assert_ok(
            suite_device->accumulate(suite_device, again, x, UPDATE_COUNT, 0.3, i == 0, 2));
        assert_ok(suite_reference->accumulate(suite_reference, want, x, UPDATE_COUNT, 0.3,
                                              i == 0, 1));
    }
    suite_compare("accumulate", 0, got, want, UPDATE_COUNT, 1e-5);
    suite_compare("accumulate with 2 threads", 0, again, got, UPDATE_COUNT, 0);
    volt_free(x);
    volt_free(got);
    volt_free(again);
    volt_free(want);
}

void sums_of_squares(void **state)
{
    float *x = suite_floats(UPDATE_COUNT);
    double got, again, want;

    (void)state;
    suite_fill_normal(x, UPDATE_COUNT, VOLT_F32);
    assert_ok(suite_device->sum_squares(suite_device, &got, x, UPDATE_COUNT, 1));
    assert_ok(suite_device->sum_squares(suite_device, &again, x, UPDATE_COUNT, 2));
    assert_ok(suite_reference->sum_squares(suite_reference, &want, x, UPDATE_COUNT, 1));
    assert_true(got == again && fabs(got - want) <= 1e-9 * want);
    for (int i = 0; i < 3; i++) {
        x[UPDATE_COUNT - 5] = (float[]){NAN, INFINITY, -INFINITY}[i];
        assert_ok(suite_device->sum_squares(suite_device, &got, x, UPDATE_COUNT, 2));
        assert_false(isfinite(got));
    }
    volt_free(x);
}
