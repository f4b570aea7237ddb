#include "base/core/alloc.h"
#include "tests/kit/device_training.h"
#include "tests/kit/device_compare.h"
#include "tests/kit/loss_call.h"

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
    volt_loss_block *block;
} loss_result;

static int64_t level_extent(int64_t full, int level)
{
    const int64_t e = full >> level;

    return e > 0 ? e : 1;
}

static volt_loss_call call_of(const loss_case *k, const int16_t *labels, float *const *logits,
                              int threads, bool gradient)
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
                           .threads = threads};

    for (int i = 0; i < k->levels; i++)
        call.level[i] = (volt_loss_level){.logits = logits[i],
                                          .d = level_extent(k->d, i),
                                          .h = level_extent(k->h, i),
                                          .w = level_extent(k->w, i),
                                          .weight = 1.0 / (1 << i)};
    return call;
}

static int64_t level_count(const loss_case *k, int level)
{
    return k->n * k->c * level_extent(k->d, level) * level_extent(k->h, level) *
           level_extent(k->w, level);
}

static float *copy_of(const float *x, int64_t count)
{
    float *copy = suite_floats(count);

    memcpy(copy, x, (size_t)count * sizeof *x);
    return copy;
}

static void compare_blocks(const loss_case *k, const volt_loss_block *got,
                           const volt_loss_block *want)
{
    for (int i = 0; i < k->levels; i++)
        assert_true(fabs(got->value[i] - want->value[i]) <= 1e-5 * (1 + fabs(want->value[i])));
    assert_true(fabs(got->total - want->total) <= 2e-5 * (1 + fabs(want->total)));
    assert_int_equal(got->voxels, want->voxels);
    assert_int_equal(got->bad_labels, want->bad_labels);
    assert_int_equal(got->bad_voxel, want->bad_voxel);
    assert_int_equal(got->bad_label, want->bad_label);
    assert_memory_equal(got + 1, want + 1, 3 * (size_t)k->c * sizeof(int64_t));
}

/* Runs and compares; `logits` are what all runs start from. */
static void compare_loss(const loss_case *k, const int16_t *labels, float *const *logits,
                         bool gradient)
{
    loss_result r[3] = {0}; /* device with 1 and 2 threads, reference */

    for (int run = 0; run < 3; run++) {
        volt_loss_call call;
        for (int i = 0; i < k->levels; i++)
            r[run].logits[i] = copy_of(logits[i], level_count(k, i));
        call = call_of(k, labels, r[run].logits, run == 1 ? 2 : 1, gradient);
        r[run].block = loss_call_run(run == 2 ? suite_reference : suite_device, &call);
    }
    compare_blocks(k, r[0].block, r[2].block);
    assert_memory_equal(r[0].block->value, r[1].block->value,
                        (size_t)k->levels * sizeof *r[0].block->value);
    assert_memory_equal(&r[0].block->total, &r[1].block->total, sizeof r[0].block->total);
    for (int i = 0; i < k->levels; i++) {
        const int64_t count = level_count(k, i);
        suite_compare("loss", i, r[0].logits[i], r[2].logits[i], count, gradient ? 1e-4 : 0);
        suite_compare("loss with 2 threads", i, r[1].logits[i], r[0].logits[i], count, 0);
    }
    for (int run = 0; run < 3; run++) {
        for (int i = 0; i < k->levels; i++)
            volt_free(r[run].logits[i]);
        volt_free(r[run].block);
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
                                        .rng = rng};

        assert_ok(suite_device->draw_factors(suite_device, &call, NULL));
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

/* A part of the batch per sample, as ranks hold them: their sums added up give each the whole
 * batch's result, and its own part of the gradient. */
static void compare_parts(const volt_device *dev, const loss_case *k, const int16_t *labels,
                          float *const *logits)
{
    const double doubled = 2;
    loss_result all = {0}, part[3] = {0};
    volt_loss_call whole, call[3];
    double *sums;

    for (int i = 0; i < k->levels; i++)
        all.logits[i] = copy_of(logits[i], level_count(k, i));
    whole = call_of(k, labels, all.logits, 1, true);
    whole.loss_scale = &doubled;
    all.block = loss_call_run(dev, &whole);
    for (int n = 0; n < k->n; n++) {
        for (int i = 0; i < k->levels; i++) {
            const int64_t each = level_count(k, i) / k->n;
            part[n].logits[i] = copy_of(logits[i] + n * each, each);
        }
        call[n] = call_of(k, labels + n * k->d * k->h * k->w, part[n].logits, 1, true);
        call[n].n = 1;
        call[n].samples = k->n;
        call[n].first = n;
        call[n].loss_scale = &doubled;
        loss_call_sums(dev, &call[n]);
    }
    assert_ok(
        volt_alloc_zero(&sums, (size_t)volt_loss_sums_count(&call[0]), sizeof *sums, "sums"));
    for (int64_t i = 0; i < volt_loss_sums_count(&call[0]); i++)
        for (int n = 0; n < k->n; n++)
            sums[i] += call[n].sums[i];
    for (int n = 0; n < k->n; n++) {
        memcpy(call[n].sums, sums, (size_t)volt_loss_sums_count(&call[0]) * sizeof *sums);
        part[n].block = loss_call_gradient(dev, &call[n]);
        part[n].block->bad_voxel = all.block->bad_voxel;
        part[n].block->bad_label = all.block->bad_label;
        compare_blocks(k, part[n].block, all.block);
        for (int i = 0; i < k->levels; i++) {
            const int64_t each = level_count(k, i) / k->n;
            suite_compare("part of a loss", i, part[n].logits[i], all.logits[i] + n * each,
                          each, 1e-6);
            volt_free(part[n].logits[i]);
        }
        volt_free(part[n].block);
    }
    for (int i = 0; i < k->levels; i++)
        volt_free(all.logits[i]);
    volt_free(all.block);
    volt_free(sums);
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
        compare_parts(suite_device, k, labels, logits);
        compare_parts(suite_reference, k, labels, logits);
        for (int64_t i = 0; i < voxels && k->ignore >= 0; i++)
            labels[i] = (int16_t)k->ignore; /* nothing left to learn from */
        compare_loss(k, labels, logits, true);
        for (int i = 0; i < k->levels; i++)
            volt_free(logits[i]);
        volt_free(labels);
    }
}

/* Bad labels, and losses that are not finite, leave gradients that no update follows from. */
void bad_losses_leave_no_gradient(void **state)
{
    const volt_device *const devices[] = {suite_device, suite_reference};

    (void)state;
    for (int run = 0; run < 2 * 8; run++) {
        const bool sigmoid = run / 2 % 2, regions = run / 4 % 2, not_finite = run / 8;
        float logits[2][3 * 24];
        int16_t labels[24] = {0};
        volt_loss_block *r;
        volt_loss_call call = {.n = 2,
                               .c = 3,
                               .labels = labels,
                               .d = 2,
                               .h = 3,
                               .w = 2,
                               .levels = 2,
                               .level = {{logits[0], 2, 3, 2, 1}, {logits[1], 1, 1, 1, 0}},
                               .weight_ce = 1,
                               .weight_dice = 1,
                               .sigmoid = sigmoid || regions,
                               .regions = regions ? loss_regions : NULL,
                               .values = 5,
                               .ignore = 7,
                               .gradient = true,
                               .threads = 2};

        for (int i = 0; i < 3 * 24; i++)
            logits[0][i] = logits[1][i] = (float)i / 7;
        labels[3] = 7; /* ignored */
        if (not_finite) {
            logits[0][40] = NAN;
        } else {
            labels[17] = regions ? 5 : 3;
            labels[20] = -1;
        }
        r = loss_call_run(devices[run % 2], &call);
        assert_int_equal(r->bad_labels, not_finite ? 0 : 2);
        assert_int_equal(r->bad_voxel, not_finite ? -1 : 17);
        assert_int_equal(r->bad_label, not_finite ? -1 : regions ? 5 : 3);
        assert_true(!not_finite || !isfinite(r->total));
        for (int i = 0; i < 3 * 24; i++)
            assert_true(isnan(logits[0][i]));
        for (int i = 0; i < 2 * 3; i++)
            assert_true(isnan(logits[1][i]));
        volt_free(r);
    }
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
            const volt_update_scalars s = {.lr = 0.02, .scale = 0.7, .steps = step};
            const volt_sgd_call sgd = {.weights = x[run][0],
                                       .momentum = x[run][2],
                                       .gradients = x[run][1],
                                       .count = UPDATE_COUNT,
                                       .scalars = &s,
                                       .lr_scale = 0.5,
                                       .mu = 0.99,
                                       .weight_decay = 3e-5,
                                       .threads = run == 1 ? 2 : 1};
            const volt_adam_call adam = {.weights = x[run][0],
                                         .m = x[run][2],
                                         .v = x[run][3],
                                         .gradients = x[run][1],
                                         .count = UPDATE_COUNT,
                                         .scalars = &s,
                                         .lr_scale = 0.5,
                                         .beta1 = 0.9,
                                         .beta2 = 0.999,
                                         .eps = 1e-8,
                                         .weight_decay = 0.01,
                                         .decoupled = step % 2,
                                         .threads = run == 1 ? 2 : 1};
            assert_ok(dev->sgd(dev, &sgd, NULL));
            assert_ok(dev->adam(dev, &adam, NULL));
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
        assert_ok(
            suite_device->accumulate(suite_device, got, x, UPDATE_COUNT, 0.3, i == 0, 1, NULL));
        assert_ok(suite_device->accumulate(suite_device, again, x, UPDATE_COUNT, 0.3, i == 0, 2,
                                           NULL));
        assert_ok(suite_reference->accumulate(suite_reference, want, x, UPDATE_COUNT, 0.3,
                                              i == 0, 1, NULL));
    }
    suite_compare("accumulate", 0, got, want, UPDATE_COUNT, 1e-5);
    suite_compare("accumulate with 2 threads", 0, again, got, UPDATE_COUNT, 0);
    volt_free(x);
    volt_free(got);
    volt_free(again);
    volt_free(want);
}

/* What a device adds to 1. */
static double squares_of(const volt_device *dev, const float *x, int threads)
{
    double sum = 1;
    const volt_squares_call call = {&sum, x, UPDATE_COUNT, threads};

    assert_ok(dev->sum_squares(dev, &call, NULL));
    return sum - 1;
}

void sums_of_squares(void **state)
{
    float *x = suite_floats(UPDATE_COUNT);
    double got, want;

    (void)state;
    suite_fill_normal(x, UPDATE_COUNT, VOLT_F32);
    got = squares_of(suite_device, x, 1);
    want = squares_of(suite_reference, x, 1);
    assert_true(got == squares_of(suite_device, x, 2) && fabs(got - want) <= 1e-9 * want);
    for (int i = 0; i < 3; i++) {
        x[UPDATE_COUNT - 5] = (float[]){NAN, INFINITY, -INFINITY}[i];
        assert_false(isfinite(squares_of(suite_device, x, 2)));
    }
    volt_free(x);
}

static void begin(const volt_device *dev, volt_update_scalars *s, double squares, double clip,
                  int64_t growth)
{
    const volt_update_call call = {s, clip, growth};

    s->squares = squares;
    assert_ok(dev->update_begin(dev, &call, NULL));
    assert_true(s->squares == 0);
}

/* A step decides on the device: norm, clipping, steps, the loss scale, and that it is bad. */
void scalars_of_updates(void **state)
{
    const volt_device *const devices[] = {suite_device, suite_reference};

    (void)state;
    for (int i = 0; i < 2; i++) {
        const volt_device *dev = devices[i];
        volt_update_scalars s = {.lr = 0.1, .loss_scale = 1};
        float w[3] = {1, 2, 3}, m[3] = {1, 1, 1}, v[3] = {1, 1, 1}, g[3] = {1, 1, 1};
        const float w_before[3] = {1, 2, 3}, ones[3] = {1, 1, 1};
        const volt_sgd_call sgd = {w, m, g, 3, &s, 1, 0.9, 0, 1};
        const volt_adam_call adam = {w, m, v, g, 3, &s, 1, 0.9, 0.99, 1e-8, 0, false, 1};

        begin(dev, &s, 2500, 5, 0);
        assert_true(s.norm == 50 && fabs(s.scale - 0.1) < 1e-8 && s.steps == 1 && !s.bad);
        begin(dev, &s, 2500, 0, 0);
        assert_true(s.norm == 50 && s.scale == 1 && s.steps == 2);
        begin(dev, &s, 9, 5, 0);
        assert_true(s.norm == 3 && s.scale == 1 && s.steps == 3 && s.skipped == 0);
        for (int k = 0; k < 3; k++) {
            begin(dev, &s, (double[]){NAN, INFINITY, NAN}[k], 5, 0);
            assert_true(s.bad == 1 && s.steps == 3 && s.skipped == k + 1 && s.loss_scale == 1);
            assert_ok(dev->sgd(dev, &sgd, NULL));
            assert_ok(dev->adam(dev, &adam, NULL));
        }
        assert_memory_equal(w, w_before, sizeof w);
        assert_memory_equal(m, ones, sizeof m);
        assert_memory_equal(v, ones, sizeof v);
        s.loss_scale = 1024;
        begin(dev, &s, 9.0 * 1024 * 1024, 1.5, 2);
        assert_true(s.norm == 3 && fabs(s.scale * 1024 - 0.5) < 1e-6 && !s.bad);
        begin(dev, &s, 1, 1.5, 2);
        assert_true(s.steps == 5 && s.loss_scale == 2048 && s.since == 0);
        begin(dev, &s, INFINITY, 1.5, 2);
        assert_true(s.bad && s.loss_scale == 1024);
        begin(dev, &s, 1, 1.5, 2);
        assert_true(!s.bad && s.steps == 6 && s.loss_scale == 1024);
        assert_ok(dev->sgd(dev, &sgd, NULL));
        assert_true(w[0] != 1 && m[0] != 1);
    }
}

/* Running statistics become what the step has made of them; a bad step takes that back. */
void updates_of_state(void **state)
{
    const volt_device *const devices[] = {suite_device, suite_reference};

    (void)state;
    for (int i = 0; i < 2 && devices[i]->update_state; i++) {
        volt_update_scalars s = {.lr = 0, .loss_scale = 1};
        float now[33], next[33];
        const volt_state_call call = {now, next, 33, &s};

        for (int k = 0; k < 33; k++) {
            now[k] = (float)k;
            next[k] = (float)(100 + k);
        }
        next[7] = NAN;
        s.bad = 1;
        assert_ok(devices[i]->update_state(devices[i], &call, NULL));
        for (int k = 0; k < 33; k++)
            assert_true(now[k] == (float)k && next[k] == (float)k);
        next[32] = -1;
        s.bad = 0;
        assert_ok(devices[i]->update_state(devices[i], &call, NULL));
        for (int k = 0; k < 33; k++)
            assert_true(now[k] == (k < 32 ? (float)k : -1) && next[k] == now[k]);
        suite_comparisons += 66;
    }
}
