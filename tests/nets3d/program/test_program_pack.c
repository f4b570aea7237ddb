/* Weights of training programs: packed once in a pass, in memory that nothing else uses, or
 * once after an update. */
#include "base/core/alloc.h"
#include "base/rng.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"
#include "nets3d/program/program_internal.h"
#include "tests/kit/networks.h"

#define MAX_PACKS 512

/* A device that notes what is packed. */
static const volt_device *noted; /* the one it passes everything to */
static volt_pack note[MAX_PACKS];
static int notes, calls;

static volt_status pack_and_note(const volt_device *dev, const volt_pack *packs, int count,
                                 volt_stream *stream)
{
    (void)dev;
    calls++;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < notes; j++)
            assert_false(note[j].weights == packs[i].weights &&
                         noted->op_same_form(note[j].op, packs[i].op));
        assert_true(notes < MAX_PACKS);
        note[notes++] = packs[i];
    }
    for (int i = 0; i < count; i++)
        assert_ok(noted->op_pack(packs[i].op, packs[i].packed, packs[i].weights, stream));
    return VOLT_OK;
}

static volt_status pack_alone(volt_op *op, void *packed, const float *weights,
                              volt_stream *stream)
{
    (void)stream;
    (void)op;
    (void)packed;
    (void)weights;
    fail_msg("%s", "weights are packed one by one");
    return VOLT_OK;
}

static volt_device noting(const volt_device *inner)
{
    volt_device dev = *inner;

    noted = inner;
    dev.op_pack = pack_alone;
    dev.op_pack_many = pack_and_note;
    return dev;
}

/* Whether what a step reads was packed since the notes began. */
static bool was_packed(const volt_program *p, const volt_step *s)
{
    for (int j = 0; j < s->operands; j++) {
        const volt_operand *o = &s->operand[j];
        const float *weights;

        if (o->kind != VOLT_OPERAND_WEIGHTS || !s->info.packed_bytes)
            continue;
        weights = p->weights + volt_graph_param(p->graph, o->index)->offset;
        for (int i = 0; i < notes; i++) {
            if (note[i].weights == weights && note[i].packed == s->pointer[j] &&
                noted->op_same_form(note[i].op, s->op))
                return true;
        }
        return false;
    }
    return true;
}

typedef struct sample {
    float *input;
    int16_t *labels;
} sample;

static sample draw(const volt_program *p)
{
    const int64_t *e = p->values[p->units[0].out].extent;
    const int64_t voxels = e[0] * e[2] * e[3] * e[4];
    volt_rng rng = volt_rng_open(2, 0, 0, VOLT_RNG_TEST);
    sample s;

    assert_int_equal(p->units[0].node->kind, VOLT_NODE_INPUT);
    assert_ok(volt_alloc(&s.input, (size_t)(voxels * e[1]) * sizeof *s.input, "input"));
    assert_ok(volt_alloc(&s.labels, (size_t)voxels * sizeof *s.labels, "labels"));
    for (int64_t i = 0; i < voxels * e[1]; i++)
        s.input[i] = (float)volt_rng_normal(&rng);
    for (int64_t i = 0; i < voxels; i++)
        s.labels[i] = (int16_t)volt_rng_below(&rng, 2);
    return s;
}

static void discard(sample *s)
{
    volt_free(s->input);
    volt_free(s->labels);
}

static void load(volt_program *p)
{
    float *flat = NULL;

    assert_ok(
        volt_alloc(&flat, (size_t)volt_graph_param_elements(p->graph) * sizeof *flat, "flat"));
    volt_init_parameters(flat, p->graph, 1);
    assert_ok(volt_program_load(p, flat));
    volt_free(flat);
}

static void forward_and_loss(volt_program *p, const sample *s)
{
    const volt_loss_options loss = volt_loss_nnunet(volt_graph_output_count(p->graph), false);

    assert_ok(volt_program_forward(p, s->input, 0));
    assert_ok(volt_program_loss(p, &loss, s->labels, true));
}

/* Of both passes of all networks. */
typedef struct totals {
    int users, packed, calls;
} totals;

static int users(const volt_program *p)
{
    int count = 0;

    for (int i = 0; i < p->step_count; i++) {
        const volt_step *s = &p->steps[i];
        count += s->kind == VOLT_STEP_OPERATOR && s->form >= 0;
    }
    return count;
}

static void each_form_once_a_pass(const volt_device *inner, const network *net, totals *t)
{
    const volt_device dev = noting(inner);
    volt_graph *g = net->build();
    volt_program *p = compiled(g, &dev, net, VOLT_TRAIN, VOLT_FP32, 2);
    volt_step_info first;
    sample s;
    int forward;

    volt_program_step(p, 0, &first);
    assert_string_equal(first.name, "forward pass pack");
    load(p);
    s = draw(p);
    for (int round = 0; round < 2; round++) {
        notes = calls = 0;
        forward_and_loss(p, &s);
        forward = notes;
        for (int i = 0; i < p->loss_step; i++)
            assert_true(was_packed(p, &p->steps[i]));
        memmove(note + MAX_PACKS / 2, note, (size_t)notes * sizeof *note);
        notes = 0;
        assert_ok(volt_program_backward(p));
        memcpy(note + notes, note + MAX_PACKS / 2, (size_t)forward * sizeof *note);
        notes += forward;
        for (int i = p->loss_step; i < p->step_count; i++)
            assert_true(was_packed(p, &p->steps[i]));
        t->users += users(p);
        t->packed += notes;
        t->calls += calls;
        notes = 0;
        assert_ok(volt_program_evaluate(p, s.input));
        assert_int_equal(notes, forward);
    }
    discard(&s);
    volt_program_free(p);
    volt_graph_free(g);
}

static void forms_are_packed_once_a_pass(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        volt_device *inner = NULL;
        totals t = {0};

        assert_ok(volt_device_open(&inner, d ? "cpu" : "reference"));
        for (int i = 0; i < NETWORK_COUNT; i++)
            each_form_once_a_pass(inner, &networks[i], &t);
        print_message("%s: %d operators read weights, %d forms are packed in %d calls\n",
                      inner->name, t.users, t.packed, t.calls);
        assert_true(t.packed < t.users && t.calls < t.packed);
        volt_device_close(inner);
    }
}

static float *gradients_of(const volt_program *p)
{
    const size_t bytes = (size_t)volt_graph_learned_elements(p->graph) * sizeof(float);
    float *copy = NULL;

    assert_ok(volt_alloc(&copy, bytes, "gradients"));
    memcpy(copy, p->gradients, bytes);
    return copy;
}

/* Whatever the memory held before a step, its results are the same. */
static void passes_do_not_depend_on_old_memory(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * 2 * NETWORK_COUNT; i++) {
        const volt_precision precision = i / 2 % 2 ? VOLT_BF16_MIXED : VOLT_FP32;
        volt_graph *g = networks[i / 4].build();
        volt_device *dev = NULL;
        volt_program *p;
        float *want, *got;
        sample s;

        assert_ok(volt_device_open(&dev, i % 2 ? "cpu" : "reference"));
        if (dev->supports(dev, precision)) {
            p = compiled(g, dev, &networks[i / 4], VOLT_TRAIN, precision, 2);
            load(p);
            s = draw(p);
            forward_and_loss(p, &s);
            assert_ok(volt_program_backward(p));
            want = gradients_of(p);
            memset(p->arenas, 0xff, p->memory.activations);
            memset(p->scratch, 0xff, p->memory.scratch);
            forward_and_loss(p, &s);
            assert_ok(volt_program_backward(p));
            got = gradients_of(p);
            assert_memory_equal(got, want,
                                (size_t)volt_graph_learned_elements(g) * sizeof *got);
            volt_free(want);
            volt_free(got);
            discard(&s);
            volt_program_free(p);
        }
        volt_device_close(dev);
        volt_graph_free(g);
    }
}

/* ---- kept forms ---- */

static volt_program *keeping(const volt_graph *g, const volt_device *dev, const network *net,
                             const bool *learns, bool keep)
{
    volt_program_options o = volt_program_defaults();
    volt_program *p = NULL;

    o.n = net->n;
    o.mode = VOLT_TRAIN;
    o.threads = 2;
    o.arenas = 2;
    o.learns = learns;
    o.keep_forms = keep;
    memcpy(o.extent, net->extent, sizeof o.extent);
    assert_ok(volt_program_create(&p, g, dev, &o));
    return p;
}

/* What is announced, and where forms lie: apart from one another and from everything else. */
static void check_memory(const volt_program *kept, const volt_program *packed)
{
    volt_program_memory m, other;
    size_t bytes = 0;

    volt_program_memory_of(kept, &m);
    volt_program_memory_of(packed, &other);
    assert_int_equal(other.packed, 0);
    assert_int_equal(m.activations, other.activations);
    assert_true(m.scratch <= other.scratch);
    assert_int_equal(m.total,
                     m.parameters + m.packed + m.gradients + m.activations + m.scratch);
    for (int i = 0; i < kept->form_count; i++) {
        volt_op_info info;

        kept->device->op_info(kept->forms[i].op, &info);
        assert_int_equal((uintptr_t)kept->packs[i].packed % 64, 0);
        assert_true((unsigned char *)kept->packs[i].packed == kept->packed + bytes);
        bytes += (info.packed_bytes + 63) / 64 * 64;
    }
    assert_int_equal(m.packed, bytes);
}

/* All forms when parameters are loaded; after an update those that learn, in one call; in
 * between none, whatever is run in whichever arena. */
static void each_form_once_an_update(const volt_device *inner, const network *net, int frozen,
                                     totals *t)
{
    const volt_device dev = noting(inner);
    volt_graph *g = net->build();
    const int params = volt_graph_param_count(g);
    bool *learns = calloc((size_t)params, sizeof *learns);
    volt_program *p, *other;
    volt_step_info last;
    int learning = 0;
    sample s;

    assert_non_null(learns);
    for (int i = 0; i < params; i++)
        learns[i] = frozen == 0 || (frozen == 1 && i % 3 > 0);
    p = keeping(g, &dev, net, learns, true);
    other = keeping(g, inner, net, learns, false);
    for (int i = 0; i < p->form_count; i++)
        learning += learns[p->forms[i].param];
    free(learns); /* was borrowed */
    notes = calls = 0;
    load(p);
    assert_int_equal(notes, p->form_count);
    assert_int_equal(calls, 1);
    check_memory(p, other);
    for (int i = 0; i < p->step_count; i++)
        assert_true(was_packed(p, &p->steps[i]));
    s = draw(p);
    for (int round = 0; round < 2; round++) {
        notes = calls = 0;
        for (int a = 0; a < 2; a++) {
            assert_ok(volt_program_use(p, a));
            forward_and_loss(p, &s);
            assert_ok(volt_program_backward(p));
            assert_ok(volt_program_evaluate(p, s.input));
        }
        assert_int_equal(calls, 0);
        assert_ok(volt_program_pack(p));
        assert_int_equal(calls, learning > 0);
        assert_int_equal(notes, learning);
        t->packed += notes;
        t->users += users(p);
    }
    volt_program_step(p, volt_program_step_count(p) - 1, &last);
    assert_true((strcmp(last.name, "update pack") == 0) == (learning > 0));
    assert_true((last.bytes > 0 && last.arena_bytes == 0) || !learning);
    discard(&s);
    volt_program_free(p);
    volt_program_free(other);
    volt_graph_free(g);
}

static void kept_forms_are_packed_once_an_update(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        volt_device *inner = NULL;
        totals t[3] = {{0}};

        assert_ok(volt_device_open(&inner, d ? "cpu" : "reference"));
        for (int i = 0; i < 3 * NETWORK_COUNT; i++)
            each_form_once_an_update(inner, &networks[i / 3], i % 3, &t[i % 3]);
        assert_true(t[0].packed < t[0].users);
        assert_true(0 < t[1].packed && t[1].packed < t[0].packed);
        assert_int_equal(t[2].packed, 0);
        volt_device_close(inner);
    }
}

/* Three steps either way. */
static void kept_forms_have_the_same_bits(void **state)
{
    const volt_optimizer_settings settings = volt_optimizer_usual(VOLT_ADAM);

    (void)state;
    for (int i = 0; i < 2 * NETWORK_COUNT; i++) {
        volt_graph *g = networks[i / 2].build();
        const size_t count = (size_t)volt_graph_param_elements(g);
        float *end[2] = {NULL, NULL};
        volt_device *dev = NULL;

        assert_ok(volt_device_open(&dev, i % 2 ? "cpu" : "reference"));
        for (int keep = 0; keep < 2; keep++) {
            volt_program *p = keeping(g, dev, &networks[i / 2], NULL, keep);
            volt_optimizer *o = NULL;
            sample s;

            assert_fails(volt_program_pack(p), VOLT_EINVAL, "no parameters");
            load(p);
            s = draw(p);
            assert_ok(volt_optimizer_create(&o, volt_program_parameters(p), &settings));
            for (int step = 0; step < 3; step++) {
                forward_and_loss(p, &s);
                assert_ok(volt_program_backward(p));
                assert_ok(volt_optimizer_step(o, 0.01));
                assert_ok(volt_program_pack(p));
            }
            assert_ok(volt_alloc(&end[keep], count * sizeof(float), "a test"));
            assert_ok(volt_program_save(p, end[keep]));
            discard(&s);
            volt_optimizer_free(o);
            volt_program_free(p);
        }
        assert_memory_equal(end[0], end[1], count * sizeof(float));
        volt_free(end[0]);
        volt_free(end[1]);
        volt_device_close(dev);
        volt_graph_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_packed_once_a_pass),
        cmocka_unit_test(kept_forms_are_packed_once_an_update),
        cmocka_unit_test(kept_forms_have_the_same_bits),
        cmocka_unit_test(passes_do_not_depend_on_old_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
