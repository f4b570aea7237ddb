/* Batch norms against PyTorch: training mode with every gradient and ten optimizer steps,
 * evaluation mode; then what their running statistics follow and what they do not. */
#include "tests/kit/loss_call.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "nets3d/graph/init.h"
#include "nets3d/graph/params.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"
#include "nets3d/program/program_internal.h"
#include "tests/kit/devices.h"
#include "tests/kit/networks.h"

/* The fixture's network. */
typedef struct setup {
    volt_safetensors *f;
    volt_graph *g;
    int64_t count, learned; /* parameters; those from `learned` on are running statistics */
    float *weights;
    const float *input;
    const int16_t *labels;
} setup;

static setup begin(void)
{
    setup s = {.f = open_fixture("batch_norm"), .g = build_batch_norm()};

    s.count = volt_graph_param_elements(s.g);
    s.learned = volt_graph_learned_elements(s.g);
    s.weights = fixture_parameters(s.f, "w.", s.g);
    s.input = fixture_view(s.f, "input", "")->data;
    s.labels = fixture_view(s.f, "labels", "")->data;
    return s;
}

static void end(setup *s)
{
    volt_free(s->weights);
    volt_graph_free(s->g);
    volt_safetensors_close(s->f);
}

static volt_program *loaded(const setup *s, const volt_device *dev, volt_mode mode,
                            volt_precision precision, int threads)
{
    volt_program *p = compiled(s->g, dev, &batch_norm_net, mode, precision, threads);

    assert_ok(volt_program_verify(p));
    assert_ok(volt_program_load(p, s->weights));
    return p;
}

static void forward_and_back(const setup *s, volt_program *p, const float *input,
                             const int16_t *labels, double *loss)
{
    const volt_loss_options o = volt_loss_nnunet(1, true);
    volt_loss_result r = {0};

    assert_ok(volt_program_forward(p, input ? input : s->input, 0));
    assert_ok(volt_program_loss(p, &o, labels ? labels : s->labels, true));
    assert_ok(volt_program_backward(p));
    if (loss) {
        assert_ok(volt_program_loss_result(p, &r));
        *loss = r.total;
    }
}

/* All parameters as they are saved (volt_free). */
static float *saved(const setup *s, const volt_program *p)
{
    float *flat;

    assert_ok(volt_alloc(&flat, (size_t)s->count * sizeof *flat, "parameters"));
    assert_ok(volt_program_save(p, flat));
    return flat;
}

static size_t state_bytes(const setup *s)
{
    return (size_t)(s->count - s->learned) * sizeof(float);
}

static volt_optimizer *optimizer_of(const volt_program *p)
{
    const volt_optimizer_settings settings = volt_optimizer_nnunet();
    volt_optimizer *o = NULL;

    assert_ok(volt_optimizer_create(&o, volt_program_parameters(p), &settings));
    return o;
}

static void compare_params(const setup *s, const float *got, const char *prefix, bool learned,
                           bool state, double tolerance, double floor)
{
    int compared = 0;

    for (int i = 0; i < volt_graph_param_count(s->g); i++) {
        const volt_param *q = volt_graph_param(s->g, i);
        if (volt_param_learns(q) ? !learned : !state)
            continue;
        assert_near(q->name, got + q->offset, fixture_view(s->f, prefix, q->name)->data,
                    q->count, tolerance, floor);
        compared++;
    }
    assert_true(compared >= 10);
}

/* ---- PyTorch ---- */

static void the_first_step_matches_pytorch(void **state)
{
    setup s = begin();

    (void)state;
    for (int i = 0; i < 4; i++) {
        const volt_device *dev = devices[i % 2];
        const bool bf16 = i / 2;
        const double tolerance = bf16 ? 0.05 : 1e-4;
        volt_program *p;
        double loss;
        float *logits, next[200];

        if (!dev->supports(dev, bf16 ? VOLT_BF16_MIXED : VOLT_FP32))
            continue;
        p = loaded(&s, dev, VOLT_TRAIN, bf16 ? VOLT_BF16_MIXED : VOLT_FP32, 2);
        assert_ok(volt_program_forward(p, s.input, 0));
        logits = program_output(p, 0, NULL);
        assert_near("logits", logits, fixture_view(s.f, "logits", "")->data, 3 * 3 * 4 * 6 * 8,
                    tolerance, 0);
        volt_free(logits);
        /* What running statistics become; another forward pass would move them again. */
        assert_true(volt_program_parameters(p).state_count == s.count - s.learned);
        memcpy(next, volt_program_parameters(p).next_state, state_bytes(&s));
        compare_params(&s, next - s.learned, "s.", false, true, bf16 ? 0.01 : 1e-5, 0.01);
        assert_memory_equal(volt_program_parameters(p).state, s.weights + s.learned,
                            state_bytes(&s));
        forward_and_back(&s, p, NULL, NULL, &loss);
        assert_true(fabs(loss - fixture_number(s.f, "loss.", 0)) < (bf16 ? 0.02 : 1e-5));
        if (!bf16)
            compare_params(&s, volt_program_parameters(p).gradients, "g.", true, false, 2e-4,
                           1e-3);
        volt_program_free(p);
    }
    end(&s);
}

static void gradients_in_bf16_point_the_same_way(void **state)
{
    setup s = begin();

    (void)state;
    for (int i = 0; i < 2; i++) {
        double dot = 0, ours = 0, theirs = 0;
        const float *got;
        volt_program *p;

        if (!devices[i]->supports(devices[i], VOLT_BF16_MIXED))
            continue;
        p = loaded(&s, devices[i], VOLT_TRAIN, VOLT_BF16_MIXED, 2);
        forward_and_back(&s, p, NULL, NULL, NULL);
        got = volt_program_parameters(p).gradients;
        for (int k = 0; k < volt_graph_param_count(s.g); k++) {
            const volt_param *q = volt_graph_param(s.g, k);
            for (int64_t j = 0; volt_param_learns(q) && j < q->count; j++) {
                const double a = got[q->offset + j];
                const double b = ((const float *)fixture_view(s.f, "g.", q->name)->data)[j];
                dot += a * b;
                ours += a * a;
                theirs += b * b;
            }
        }
        print_message("%s in bf16: cosine %.5f, length %.4f\n", devices[i]->name,
                      dot / sqrt(ours * theirs), sqrt(ours / theirs));
        assert_true(dot / sqrt(ours * theirs) > batch_norm_net.bf16_cosine);
        assert_true(fabs(sqrt(ours / theirs) - 1) < 0.05);
        volt_program_free(p);
    }
    end(&s);
}

static void ten_steps_and_evaluation_match_pytorch(void **state)
{
    setup s = begin();

    (void)state;
    for (int i = 0; i < 2; i++) {
        volt_program *p = loaded(&s, devices[i], VOLT_TRAIN, VOLT_FP32, 2);
        volt_optimizer *o = optimizer_of(p);
        float *end_weights, *logits;

        for (int step = 0; step < batch_norm_net.training_steps; step++) {
            double loss, norm;

            forward_and_back(&s, p, NULL, NULL, &loss);
            assert_ok(volt_optimizer_step(o, 1e-2));
            assert_ok(volt_optimizer_norm(o, &norm));
            assert_true(fabs(loss - fixture_number(s.f, "loss.", step)) < 1e-4);
            assert_true(fabs(norm / fixture_number(s.f, "norm.", step) - 1) < 1e-3);
        }
        end_weights = saved(&s, p);
        compare_params(&s, end_weights, "f.", true, true, 2e-4, 0.01);
        assert_ok(volt_program_evaluate(p, s.input));
        logits = program_output(p, 0, NULL);
        assert_near("logits in evaluation", logits, fixture_view(s.f, "eval", "")->data,
                    3 * 3 * 4 * 6 * 8, 1e-3, 0);
        volt_free(logits);
        volt_free(end_weights);
        volt_optimizer_free(o);
        volt_program_free(p);
    }
    end(&s);
}

/* ---- evaluation ---- */

/* What a training program evaluates is what an inference program gives, to the bit, whatever
 * ran before; any batch is, sample by sample. */
static void norms_evaluate_as_they_predict(void **state)
{
    setup s = begin();
    const size_t bytes = 3 * 3 * 4 * 6 * 8 * sizeof(float);

    (void)state;
    for (int i = 0; i < 8; i++) {
        const volt_device *dev = devices[i % 2];
        const volt_precision precision = i / 2 % 2 ? VOLT_BF16_MIXED : VOLT_FP32;
        network alone = batch_norm_net;
        volt_program *trains, *infers;
        float *a, *b, *c;

        if (!dev->supports(dev, precision))
            continue;
        trains = loaded(&s, dev, VOLT_TRAIN, precision, 1 + i / 4);
        infers = loaded(&s, dev, VOLT_INFER, precision, 2 - i / 4);
        assert_ok(volt_program_forward(infers, s.input, 0));
        a = program_output(infers, 0, NULL);
        for (int k = 0; k < 2; k++) {
            assert_ok(volt_program_evaluate(k ? infers : trains, s.input));
            b = program_output(k ? infers : trains, 0, NULL);
            assert_memory_equal(a, b, bytes);
            volt_free(b);
        }
        assert_ok(volt_program_forward(trains, s.input, 0));
        c = program_output(trains, 0, NULL);
        assert_memory_not_equal(a, c, bytes);
        assert_ok(volt_program_evaluate(trains, s.input)); /* no step was made */
        b = program_output(trains, 0, NULL);
        assert_memory_equal(a, b, bytes);
        volt_free(b);
        volt_free(c);
        volt_program_free(infers);
        alone.n = 1;
        infers = compiled(s.g, dev, &alone, VOLT_INFER, precision, 1);
        assert_ok(volt_program_load(infers, s.weights));
        for (int n = 0; n < 3; n++) {
            assert_ok(volt_program_forward(infers, s.input + n * 2 * 4 * 6 * 8, 0));
            b = program_output(infers, 0, NULL);
            if (strcmp(dev->name, "reference") == 0)
                assert_memory_equal(a + n * 3 * 4 * 6 * 8, b, bytes / 3);
            else
                assert_near("a sample alone", b, a + n * 3 * 4 * 6 * 8, 3 * 4 * 6 * 8,
                            precision == VOLT_FP32 ? 1e-5 : 0.02, 0);
            volt_free(b);
        }
        volt_free(a);
        volt_program_free(infers);
        volt_program_free(trains);
    }
    end(&s);
}

/* Inference computes no statistics when it runs: those it needs are there when it is loaded. */
static void inference_computes_no_statistics(void **state)
{
    setup s = begin();
    int at_load = 0, of_instance_norm = 0;
    volt_program *p = loaded(&s, devices[0], VOLT_INFER, VOLT_FP32, 1);

    (void)state;
    for (int i = 0; i < p->step_count; i++) {
        const volt_step *step = &p->steps[i];
        assert_int_equal(step->when == VOLT_AT_LOAD, step->spec.kind == VOLT_OP_NORM_RUNNING);
        at_load += step->when == VOLT_AT_LOAD;
        of_instance_norm += step->spec.kind == VOLT_OP_NORM_FINISH;
        assert_true(step->when == VOLT_AT_LOAD || step->when == VOLT_ALWAYS);
    }
    assert_int_equal(at_load, 5);
    assert_int_equal(of_instance_norm, 1);
    volt_program_free(p);
    end(&s);
}

/* ---- running statistics ---- */

/* Each norm has one step that moves running statistics, however often its value is computed;
 * the activation behind it is part of the norm. */
static void recomputing_moves_nothing(void **state)
{
    setup s = begin();
    int finishes = 0, again = 0, activations = 0;
    volt_program *p = loaded(&s, devices[1], VOLT_TRAIN, VOLT_FP32, 1);

    (void)state;
    for (int i = 0; i < p->step_count; i++) {
        const volt_step *step = &p->steps[i];
        const bool batch = step->unit >= 0 && volt_unit_over_batch(&p->units[step->unit]);
        if (step->kind != VOLT_STEP_OPERATOR)
            continue;
        again += batch && step->again && step->spec.kind == VOLT_OP_NORM_ACT_FWD;
        activations += step->spec.kind == VOLT_OP_ACT_FWD && !step->again;
        if (batch && step->spec.kind == VOLT_OP_NORM_FINISH) {
            assert_true(step->when == VOLT_IN_TRAINING && !step->backward && !step->again);
            assert_true(step->spec.tensor[5].n == 1 && step->spec.count >= 3 * 2 * 3 * 4);
            finishes++;
        }
    }
    assert_int_equal(finishes, 5);
    assert_int_equal(activations, 1); /* behind the addition */
    assert_true(again >= 1);
    volt_program_free(p);
    end(&s);
}

/* A label that there is not (1) or a voxel that is not finite (2). */
static void bad_step(const setup *s, volt_program *p, int bad)
{
    float input[3 * 2 * 4 * 6 * 8];
    int16_t labels[3 * 4 * 6 * 8];

    memcpy(input, s->input, sizeof input);
    memcpy(labels, s->labels, sizeof labels);
    if (bad == 1)
        labels[7] = 99;
    if (bad == 2)
        input[7] = NAN;
    if (bad == 1)
        input[7] += 1; /* other statistics */
    forward_and_back(s, p, input, labels, NULL);
}

/* Good steps with bad ones before, between and after give the bits of good ones alone, running
 * statistics included. */
static void bad_steps_leave_running_statistics(void **state)
{
    static const int bad[] = {1, 0, 2, 1, 0, 2};
    setup s = begin();

    (void)state;
    for (int i = 0; i < 4; i++) {
        const volt_device *dev = devices[i % 2];
        const volt_precision precision = i / 2 ? VOLT_BF16_MIXED : VOLT_FP32;
        float *flat[2];

        if (!dev->supports(dev, precision))
            continue;
        for (int run = 0; run < 2; run++) {
            volt_program *p = loaded(&s, dev, VOLT_TRAIN, precision, 2);
            volt_optimizer *o = optimizer_of(p);
            volt_update_scalars scalars;

            for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
                if (run && bad[k])
                    continue;
                if (bad[k])
                    bad_step(&s, p, bad[k]);
                else
                    forward_and_back(&s, p, NULL, NULL, NULL);
                assert_ok(volt_optimizer_step(o, 0.01));
            }
            assert_ok(volt_optimizer_scalars(o, &scalars));
            assert_int_equal(scalars.skipped, run ? 0 : 4);
            flat[run] = saved(&s, p);
            volt_optimizer_free(o);
            volt_program_free(p);
        }
        assert_memory_equal(flat[0], flat[1], (size_t)s.count * sizeof(float));
        assert_memory_not_equal(flat[0] + s.learned, s.weights + s.learned, state_bytes(&s));
        volt_free(flat[0]);
        volt_free(flat[1]);
    }
    end(&s);
}

/* Statistics are those of each part of a batch, and the running ones move once per part. One
 * part that is not finite takes all of them back. */
static void parts_of_a_batch_move_them_in_turn(void **state)
{
    setup s = begin();
    volt_program_options o = volt_program_defaults();
    const volt_loss_options loss = volt_loss_nnunet(1, true);

    (void)state;
    o.n = 1;
    o.mode = VOLT_TRAIN;
    o.accumulate = true;
    o.threads = 1;
    memcpy(o.extent, batch_norm_net.extent, sizeof o.extent);
    for (int bad = 0; bad < 2; bad++) {
        float input[3 * 2 * 4 * 6 * 8], want[200], *flat;
        volt_optimizer *opt;
        volt_program *p = NULL;

        memcpy(input, s.input, sizeof input);
        if (bad)
            input[100] = INFINITY; /* of part 0 */
        memcpy(want, s.weights + s.learned, state_bytes(&s));
        assert_ok(volt_program_create(&p, s.g, devices[0], &o));
        for (int k = 0; k < 3 && !bad; k++) { /* part by part, each from where the last ended */
            memcpy(s.weights + s.learned, want, state_bytes(&s));
            assert_ok(volt_program_load(p, s.weights));
            assert_ok(volt_program_forward(p, input + k * 2 * 4 * 6 * 8, 0));
            memcpy(want, volt_program_parameters(p).next_state, state_bytes(&s));
        }
        volt_free(s.weights);
        s.weights = fixture_parameters(s.f, "w.", s.g);
        assert_ok(volt_program_load(p, s.weights));
        opt = optimizer_of(p);
        for (int k = 0; k < 3; k++) {
            assert_ok(volt_program_forward(p, input + k * 2 * 4 * 6 * 8, 0));
            assert_ok(volt_program_loss(p, &loss, s.labels + k * 4 * 6 * 8, true));
            assert_ok(volt_program_backward(p));
            assert_ok(volt_program_accumulate(p, k, 3));
        }
        flat = saved(&s, p);
        assert_memory_equal(flat, s.weights, (size_t)s.count * sizeof *flat);
        volt_free(flat);
        assert_ok(volt_optimizer_step(opt, 0.01));
        flat = saved(&s, p);
        assert_memory_equal(flat + s.learned, want, state_bytes(&s));
        assert_true((memcmp(want, s.weights + s.learned, state_bytes(&s)) == 0) == bad);
        volt_free(flat);
        volt_optimizer_free(opt);
        volt_program_free(p);
    }
    end(&s);
}

/* Frozen scale and shift: what learns keeps its gradients, and running statistics go on, also
 * where nothing runs backward. */
static void frozen_norms_go_on(void **state)
{
    setup s = begin();
    const int params = volt_graph_param_count(s.g);

    (void)state;
    for (int i = 0; i < 2 * 2; i++) {
        volt_program *all = loaded(&s, devices[i % 2], VOLT_TRAIN, VOLT_FP32, 1), *some = NULL;
        volt_program_options o = volt_program_defaults();
        bool learns[64];

        o.n = batch_norm_net.n;
        o.mode = VOLT_TRAIN;
        o.threads = 1;
        o.learns = learns;
        memcpy(o.extent, batch_norm_net.extent, sizeof o.extent);
        for (int k = 0; k < params; k++) { /* norms alone, or all but the last layer */
            const char *name = volt_graph_param(s.g, k)->name;
            learns[k] = i / 2 ? strncmp(name, "head.", 5) == 0 : !strstr(name, "n.");
        }
        assert_ok(volt_program_create(&some, s.g, devices[i % 2], &o));
        assert_ok(volt_program_load(some, s.weights));
        forward_and_back(&s, all, NULL, NULL, NULL);
        forward_and_back(&s, some, NULL, NULL, NULL);
        assert_memory_equal(volt_program_parameters(all).next_state,
                            volt_program_parameters(some).next_state, state_bytes(&s));
        assert_memory_not_equal(volt_program_parameters(some).next_state, s.weights + s.learned,
                                state_bytes(&s));
        for (int k = 0; k < params; k++) {
            const volt_param *q = volt_graph_param(s.g, k);
            if (learns[k] && volt_param_learns(q))
                assert_memory_equal(volt_program_parameters(all).gradients + q->offset,
                                    volt_program_parameters(some).gradients + q->offset,
                                    (size_t)q->count * 4);
        }
        volt_program_free(some);
        volt_program_free(all);
    }
    end(&s);
}

/* ---- several programs, one batch ---- */

/* Runs both programs to the next sums over the batch, adds those, and goes on. */
static void run_both(volt_program *const p[2], const float *const input[2], bool backward)
{
    int at[2], stop[2], end[2], sums = 0;

    for (int r = 0; r < 2; r++) {
        at[r] = backward ? p[r]->loss_step + 1 : 0;
        end[r] = backward ? p[r]->step_count : p[r]->loss_step;
    }
    for (;; at[0] = stop[0] + 1, at[1] = stop[1] + 1) {
        double *x[2];

        for (int r = 0; r < 2; r++) {
            stop[r] = at[r];
            while (stop[r] < end[r] && p[r]->steps[stop[r]].kind != VOLT_STEP_SUMS)
                stop[r]++;
            assert_ok(volt_program_run_part(p[r], at[r], stop[r], input[r]));
        }
        assert_true((stop[0] < end[0]) == (stop[1] < end[1]));
        if (stop[0] >= end[0])
            break;
        for (int r = 0; r < 2; r++) {
            const volt_step *s = &p[r]->steps[stop[r]];
            assert_true(s->over_batch && s->operand[0].tensor.n == 1);
            x[r] = s->pointer[0];
        }
        for (int64_t i = 0; i < volt_tensor_elements(&p[0]->steps[stop[0]].operand[0].tensor);
             i++)
            x[0][i] = x[1][i] = x[0][i] + x[1][i];
        sums++;
    }
    assert_int_equal(sums, 5);
}

/* One program with one sample and one with two, whose sums are added, give what a program with
 * all three does. */
static void sums_of_other_samples_are_added(void **state)
{
    setup s = begin();
    const int64_t in = 2 * 4 * 6 * 8, out = 3 * 4 * 6 * 8;
    volt_rng rng = volt_rng_open(3, 0, 0, VOLT_RNG_TEST);
    float slope[3 * 3 * 4 * 6 * 8];

    (void)state;
    for (int64_t i = 0; i < 3 * out; i++)
        slope[i] = (float)volt_rng_normal(&rng);
    for (int i = 0; i < 2; i++) {
        const float *const input[2] = {s.input, s.input + in};
        volt_program *p[3] = {NULL};
        float *logits[3], gradient[4096];
        volt_parameters q[3];

        for (int r = 0; r < 3; r++) {
            volt_program_options o = volt_program_defaults();
            o.n = r == 2 ? 3 : r + 1;
            o.norm_samples = r == 2 ? 0 : 3;
            o.mode = VOLT_TRAIN;
            o.threads = 2;
            memcpy(o.extent, batch_norm_net.extent, sizeof o.extent);
            assert_ok(volt_program_create(&p[r], s.g, devices[i], &o));
            assert_ok(volt_program_load(p[r], s.weights));
            q[r] = volt_program_parameters(p[r]);
        }
        run_both(p, input, false);
        assert_ok(volt_program_forward(p[2], s.input, 0));
        for (int r = 0; r < 3; r++) {
            const int64_t first = r == 1 ? 1 : 0, n = r == 2 ? 3 : r + 1;
            logits[r] = (float *)p[r]->steps[p[r]->loss_step - 1].pointer[3];
            if (r < 2)
                assert_near("logits", logits[r],
                            (float *)p[2]->steps[p[2]->loss_step - 1].pointer[3] + first * out,
                            n * out, 1e-5, 0);
        }
        for (int r = 0; r < 3; r++)
            memcpy(logits[r], slope + (r == 1) * out,
                   (size_t)((r == 2 ? 3 : r + 1) * out) * sizeof *slope);
        run_both(p, input, true);
        assert_ok(volt_program_run_part(p[2], p[2]->loss_step + 1, p[2]->step_count, NULL));
        for (int64_t k = 0; k < q[2].count; k++)
            gradient[k] = q[0].gradients[k] + q[1].gradients[k];
        assert_near("gradients", gradient, q[2].gradients, q[2].count, 1e-4, 1e-4);
        for (int r = 0; r < 2; r++)
            assert_near("running statistics", q[r].next_state, q[2].next_state,
                        q[2].state_count, 1e-6, 0);
        for (int r = 0; r < 3; r++)
            volt_program_free(p[r]);
    }
    end(&s);
}

/* ---- refusals ---- */

static volt_device *picky;
static unsigned refused;

static volt_status picky_create(const volt_device *dev, volt_op **out, const volt_op_spec *spec)
{
    const bool norm =
        spec->kind == VOLT_OP_NORM_BWD_SUMS || spec->kind == VOLT_OP_NORM_BWD_APPLY;

    (void)dev;
    if (((refused & VOLT_NO_CONV_SUMS) && spec->kind == VOLT_OP_CONV_FWD &&
         spec->tensor[4].n) ||
        ((refused & VOLT_NO_SECOND_GRADIENT) && norm && spec->tensor[6].n))
        return volt_fail(VOLT_ENOTSUP, "not in this form");
    return picky->op_create(picky, out, spec);
}

static void norms_do_without_shortcuts(void **state)
{
    setup s = begin();
    float *want = NULL;

    (void)state;
    picky = devices[0];
    for (refused = 0; refused < 64; refused++) {
        volt_device dev = *picky;
        volt_program *p;

        if (refused & ~(unsigned)(VOLT_NO_CONV_SUMS | VOLT_NO_SECOND_GRADIENT))
            continue;
        dev.op_create = picky_create;
        p = loaded(&s, &dev, VOLT_TRAIN, VOLT_FP32, 1);
        forward_and_back(&s, p, NULL, NULL, NULL);
        if (!want) {
            assert_ok(volt_alloc(&want, (size_t)s.learned * sizeof *want, "gradients"));
            memcpy(want, volt_program_parameters(p).gradients, (size_t)s.learned * 4);
        }
        assert_near("gradients", volt_program_parameters(p).gradients, want, s.learned, 1e-5,
                    0);
        volt_program_free(p);
    }
    volt_free(want);
    end(&s);
}

static void wrong_batch_norms_are_refused(void **state)
{
    volt_program_options o = volt_program_defaults();
    setup s = begin();
    volt_device dev = *devices[0];
    volt_program *p = NULL;
    volt_graph *g = NULL;
    volt_value v, w;

    (void)state;
    memcpy(o.extent, batch_norm_net.extent, sizeof o.extent);
    o.mode = VOLT_TRAIN;
    dev.update_state = NULL;
    assert_fails(volt_program_create(&p, s.g, &dev, &o), VOLT_ENOTSUP, "running statistics");
    o.mode = VOLT_INFER;
    assert_ok(volt_program_create(&p, s.g, &dev, &o));
    for (int k = 0; k < 2; k++) { /* files may hold anything */
        const volt_param *q =
            volt_graph_param(s.g, volt_graph_find_param(s.g, "bn.running_var"));
        const float kept = s.weights[q->offset + 2];

        s.weights[q->offset + 2] = k ? NAN : -1e-6f;
        assert_fails(volt_program_load(p, s.weights), VOLT_EINVAL,
                     k ? "bn.running_var has nan at channel 2" : "has -1e-06 at channel 2");
        s.weights[q->offset + 2] = kept;
    }
    volt_program_free(p);
    p = NULL;
    o.mode = VOLT_TRAIN;
    o.n = 3;
    o.norm_samples = 2;
    assert_fails(volt_program_create(&p, s.g, devices[0], &o), VOLT_EINVAL, "over 2 samples");

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, 2));
    assert_fails(volt_graph_batch_norm(g, &w, v, "n", 0, 0.1), VOLT_EINVAL, "eps is 0");
    assert_fails(volt_graph_batch_norm(g, &w, v, "n", 1e-5, 1.5), VOLT_EINVAL, "momentum");
    assert_fails(volt_graph_batch_norm(g, &w, v, "n", 1e-5, NAN), VOLT_EINVAL, "momentum");
    assert_fails(volt_graph_batch_norm(g, &w, 9, "n", 1e-5, 0.1), VOLT_EINVAL, "value 9");
    assert_int_equal(volt_graph_param_count(g), 0);
    assert_ok(volt_graph_batch_norm(g, &w, v, "n", 1e-5, 0));
    assert_fails(volt_graph_batch_norm(g, &w, v, "n", 1e-5, 1), VOLT_EINVAL, "twice");
    assert_int_equal(volt_graph_param_count(g), 4);
    assert_ok(volt_graph_output(g, w));
    o.n = 1;
    o.norm_samples = 0;
    o.extent[0] = o.extent[1] = o.extent[2] = 1;
    assert_fails(volt_program_create(&p, g, devices[0], &o), VOLT_EINVAL,
                 "n.weight: training a batch norm on one voxel");
    o.mode = VOLT_INFER;
    assert_ok(volt_program_create(&p, g, devices[0], &o));
    volt_program_free(p);
    o.mode = VOLT_TRAIN;
    o.norm_samples = 2;
    assert_ok(volt_program_create(&p, g, devices[0], &o));
    volt_program_free(p);
    volt_graph_free(g);
    end(&s);
}

/* Parameters have torch's names and starts, and follow the groups of a model. */
static void parameters_are_torchs(void **state)
{
    static const char *const names[] = {"weight", "bias", "running_mean", "running_var"};
    static const char *const head[] = {"head"};
    volt_graph *g = build_batch_norm();
    float flat[4096];

    (void)state;
    for (int grouped = 0; grouped < 2; grouped++) {
        int found = 0;

        if (grouped)
            assert_ok(volt_graph_group_params(g, head, 1));
        volt_init_parameters(flat, g, 1);
        for (int i = 0; i < volt_graph_node_count(g); i++) {
            const volt_node *n = volt_graph_node(g, i);
            const int index[] = {n->weight, n->bias, n->running_mean, n->running_var};

            if (n->kind != VOLT_NODE_BATCH_NORM) {
                assert_true(n->running_mean == -1 && n->running_var == -1);
                continue;
            }
            for (int k = 0; k < 4; k++) {
                const volt_param *q = volt_graph_param(g, index[k]);
                assert_string_equal(strchr(q->name, '.') + 1, names[k]);
                assert_int_equal(q->count, n->out_channels);
                assert_int_equal(volt_param_learns(q), k < 2);
                for (int64_t c = 0; c < q->count; c++)
                    assert_true(flat[q->offset + c] == (k == 0 || k == 3));
            }
            found++;
        }
        assert_int_equal(found, 5);
    }
    volt_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_step_matches_pytorch),
        cmocka_unit_test(gradients_in_bf16_point_the_same_way),
        cmocka_unit_test(ten_steps_and_evaluation_match_pytorch),
        cmocka_unit_test(norms_evaluate_as_they_predict),
        cmocka_unit_test(inference_computes_no_statistics),
        cmocka_unit_test(recomputing_moves_nothing),
        cmocka_unit_test(bad_steps_leave_running_statistics),
        cmocka_unit_test(parts_of_a_batch_move_them_in_turn),
        cmocka_unit_test(frozen_norms_go_on),
        cmocka_unit_test(sums_of_other_samples_are_added),
        cmocka_unit_test(norms_do_without_shortcuts),
        cmocka_unit_test(wrong_batch_norms_are_refused),
        cmocka_unit_test(parameters_are_torchs),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
