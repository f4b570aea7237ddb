/* Parts of a volume: programs that compute a box each, with the margins of their buffers filled
 * from one another after every step, give what one program gives for the whole. */
#include "base/core/alloc.h"
#include "base/rng.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/program_internal.h"
#include "tests/kit/devices.h"
#include "tests/kit/networks.h"

#define MOST_PARTS 8
#define CHANNELS   3
#define CLASSES    4

/* Channels of the finest level: blocks of 16 for the CPU, few for the reference, which takes
 * long. */
static int64_t width;

static volt_value conv_with(volt_graph *g, volt_value v, const char *name, int64_t channels,
                            int64_t k, int64_t stride, bool bias)
{
    const volt_conv c = {
        {k, k, k}, {stride, stride, stride}, {k / 2, k / 2, k / 2}, {k / 2, k / 2, k / 2}};

    assert_ok(volt_graph_conv(g, &v, v, name, channels, &c, bias));
    return v;
}

static volt_value conv(volt_graph *g, volt_value v, const char *name, int64_t channels,
                       int64_t k, int64_t stride)
{
    return conv_with(g, v, name, channels, k, stride, true);
}

static volt_value activated(volt_graph *g, volt_value v)
{
    assert_ok(volt_graph_activation(g, &v, v, 0.01));
    return v;
}

/* Norms, strides, pooling and upsampling, sums and concatenations; windows of 1, 3 and 5, of
 * one plane, and of transposed convolutions that are as wide as their stride or, with `wide`,
 * wider. */
static volt_graph *build(bool wide)
{
    const volt_conv plane = {{1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}};
    const volt_conv up = {.kernel = {2, 2, 2}, .stride = {2, 2, 2}};
    const volt_conv wider = {.kernel = {3, 3, 3}, .stride = {2, 2, 2}, .pad_low = {1, 1, 1}};
    const int64_t two[3] = {2, 2, 2};
    volt_value v, fine, coarse, deep;
    volt_graph *g = NULL;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, CHANNELS));
    fine = activated(g, conv(g, v, "fine", width, 3, 1));
    coarse = conv(g, fine, "coarse", 2 * width, 3, 2);
    assert_ok(volt_graph_instance_norm(g, &coarse, coarse, "coarse_norm", 1e-5));
    coarse = activated(g, coarse);
    assert_ok(volt_graph_conv(g, &v, coarse, "plane", 2 * width, &plane, true));
    assert_ok(volt_graph_add(g, &coarse, activated(g, v), coarse));
    assert_ok(volt_graph_pool(g, &deep, coarse, VOLT_NODE_AVERAGE_POOL, two, two));
    deep = activated(g, conv(g, deep, "deep", 2 * width, 5, 1));
    assert_ok(volt_graph_upsample(g, &deep, deep, VOLT_NODE_UPSAMPLE_NEAREST, two));
    assert_ok(volt_graph_add(g, &coarse, coarse, deep));
    assert_ok(volt_graph_tconv(g, &v, coarse, "up", width, wide ? &wider : &up, true));
    assert_ok(volt_graph_concat(g, &v, (volt_value[]){v, fine}, 2));
    v = conv(g, v, "last", width, 3, 1);
    assert_ok(volt_graph_instance_norm(g, &v, v, "last_norm", 1e-5));
    v = activated(g, v);
    v = conv(g, v, "head", CLASSES, 1, 1);
    assert_ok(volt_graph_output(g, v));
    return g;
}

/* Batch norms, whose sums and running statistics are those of all parts. Biases in front of
 * them have gradients of nothing but rounding errors. */
static volt_graph *build_batched(void)
{
    const volt_conv up = {.kernel = {2, 2, 2}, .stride = {2, 2, 2}};
    volt_graph *g = NULL;
    volt_value v, fine, coarse;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, CHANNELS));
    fine = conv_with(g, v, "fine", width, 3, 1, false);
    assert_ok(volt_graph_batch_norm(g, &fine, fine, "fine_norm", 1e-5, 0.1));
    fine = activated(g, fine);
    coarse = conv_with(g, fine, "coarse", 2 * width, 3, 2, false);
    assert_ok(volt_graph_batch_norm(g, &coarse, coarse, "coarse_norm", 1e-5, 0.3));
    assert_ok(volt_graph_tconv(g, &v, coarse, "up", width, &up, true));
    assert_ok(volt_graph_concat(g, &v, (volt_value[]){v, fine}, 2));
    v = conv_with(g, v, "last", width, 3, 1, false);
    assert_ok(volt_graph_instance_norm(g, &fine, v, "instance_norm", 1e-5));
    assert_ok(volt_graph_batch_norm(g, &coarse, v, "last_norm", 1e-5, 0.1));
    assert_ok(volt_graph_batch_norm(g, &v, v, "other_norm", 1e-5, 0.1)); /* the same sums */
    assert_ok(volt_graph_add(g, &v, v, activated(g, coarse)));
    assert_ok(volt_graph_add(g, &v, v, fine));
    v = conv(g, v, "head", CLASSES, 1, 1);
    assert_ok(volt_graph_output(g, v));
    return g;
}

/* What is split: extents that are no multiples of the strides need no way up again. */
typedef struct network_case {
    volt_graph *(*build)(void);
    int64_t extent[3];
} network_case;

static volt_graph *build_narrow(void)
{
    return build(false);
}

static volt_graph *build_wide(void)
{
    return build(true);
}

/* Linear upsampling along some axes and all, by 2 and by 4. */
static volt_graph *build_linear(void)
{
    const int64_t plane[3] = {1, 2, 4}, rest[3] = {2, 2, 1}, all[3] = {2, 4, 4};
    const volt_conv down = {{3, 5, 5}, {2, 4, 4}, {1, 2, 2}, {1, 2, 2}};
    volt_graph *g = NULL;
    volt_value v, fine, coarse, other;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, CHANNELS));
    fine = activated(g, conv(g, v, "fine", width, 3, 1));
    assert_ok(volt_graph_conv(g, &coarse, fine, "coarse", 2 * width, &down, true));
    coarse = activated(g, coarse);
    assert_ok(volt_graph_upsample(g, &v, coarse, VOLT_NODE_UPSAMPLE_LINEAR, plane));
    assert_ok(volt_graph_upsample(g, &v, v, VOLT_NODE_UPSAMPLE_LINEAR, rest));
    assert_ok(volt_graph_upsample(g, &other, coarse, VOLT_NODE_UPSAMPLE_LINEAR, all));
    assert_ok(volt_graph_add(g, &v, v, other));
    assert_ok(volt_graph_concat(g, &v, (volt_value[]){fine, v}, 2));
    v = activated(g, conv(g, v, "last", width, 3, 1));
    v = conv(g, v, "head", CLASSES, 1, 1);
    assert_ok(volt_graph_output(g, v));
    return g;
}

/* Down only: a window that reaches over small parts, max pooling, a stride at an odd end. */
static volt_graph *build_chain(void)
{
    const int64_t two[3] = {2, 2, 2};
    volt_graph *g = NULL;
    volt_value v;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, CHANNELS));
    v = activated(g, conv(g, v, "first", 5, 7, 1));
    v = activated(g, conv(g, v, "down", width, 3, 2));
    v = activated(g, conv(g, v, "middle", width, 3, 1));
    assert_ok(volt_graph_pool(g, &v, v, VOLT_NODE_MAX_POOL, two, two));
    v = activated(g, conv(g, v, "deep", width, 3, 1));
    v = conv(g, v, "head", CLASSES, 1, 1);
    assert_ok(volt_graph_output(g, v));
    return g;
}

static const network_case narrow = {build_narrow, {16, 12, 20}},
                          shallow = {build_narrow, {16, 12, 16}},
                          wide = {build_wide, {16, 12, 16}},
                          chain = {build_chain, {15, 11, 18}},
                          batched = {build_batched, {16, 12, 16}},
                          linear = {build_linear, {16, 12, 16}};

/* The programs of all parts, and what whole volumes they start from. */
typedef struct parts {
    int count;
    volt_program *p[MOST_PARTS];
    float *weights, *input, *slope; /* slope: d loss / d logits */
} parts;

static void run_box(const volt_device *dev, volt_op_kind kind, const volt_tensor *from,
                    const volt_tensor *to, volt_box box, void *src, void *dst)
{
    const volt_op_spec spec = {.kind = kind, .tensor = {*from, *to}, .box = box, .threads = 1};
    void *operands[2] = {src, dst};
    volt_op *op = NULL;

    assert_ok(dev->op_create(dev, &op, &spec));
    assert_ok(dev->op_run(op, operands, NULL, NULL));
    dev->op_free(op);
}

/* Voxels of part q's box that part r has margins for, at their steps. */
static void exchange(const parts *all, int r, const volt_step *s, int q, const volt_step *other)
{
    const volt_program *to = all->p[r], *from = all->p[q];
    const volt_box mine = to->values[s->value].box, theirs = from->values[s->value].box;
    const volt_tensor *t = &s->operand[0].tensor;
    volt_box reach = mine, face;
    int64_t shape[3], back[3];
    volt_tensor dense;
    void *message;

    for (int a = 0; a < 3; a++) {
        reach.low[a] -= t->margin_low[a];
        reach.high[a] += t->margin_high[a];
    }
    face = volt_box_intersect(reach, theirs);
    if (volt_box_is_empty(face))
        return;
    volt_box_shape(shape, face);
    dense = volt_tensor_make((int64_t[]){t->n, t->c, shape[0], shape[1], shape[2]}, t->dtype,
                             t->layout);
    assert_ok(volt_alloc(&message, to->device->buffer_bytes(to->device, &dense), "a message"));
    for (int a = 0; a < 3; a++)
        back[a] = -theirs.low[a];
    run_box(from->device, VOLT_OP_PACK_BOX, &other->operand[0].tensor, &dense,
            volt_box_shift(face, back), other->pointer[0], message);
    for (int a = 0; a < 3; a++)
        back[a] = -mine.low[a];
    run_box(to->device, VOLT_OP_UNPACK_BOX, &dense, t, volt_box_shift(face, back), message,
            s->pointer[0]);
    volt_free(message);
}

/* Copies the box of value `v` of a plain volume, batch 1, out or back. */
static void cut(float *whole, float *part, const volt_program_value *v, bool out)
{
    const int64_t c = v->extent[1], *extent = v->global;
    const volt_box box = v->box;

    for (int64_t k = 0; k < c; k++)
        for (int64_t d = box.low[0]; d < box.high[0]; d++)
            for (int64_t h = box.low[1]; h < box.high[1]; h++) {
                const size_t line = (size_t)(box.high[2] - box.low[2]);
                float *w =
                    whole + ((k * extent[0] + d) * extent[1] + h) * extent[2] + box.low[2];
                memcpy(out ? part : w, out ? w : part, line * sizeof *w);
                part += line;
            }
}

/* The first step from `at` on that asks for something of other parts, or `end`. */
static int next_exchange(const volt_program *p, int at, int end)
{
    while (at < end && p->steps[at].kind != VOLT_STEP_MARGINS &&
           p->steps[at].kind != VOLT_STEP_SUMS)
        at++;
    return at;
}

/* Every part gets the sums over all. */
static void add_sums(const parts *all, const int *step)
{
    const volt_tensor *t = &all->p[0]->steps[step[0]].operand[0].tensor;

    for (int64_t i = 0; i < volt_tensor_elements(t); i++) {
        double sum = 0;

        for (int r = 0; r < all->count; r++)
            sum += ((double *)all->p[r]->steps[step[r]].pointer[0])[i];
        for (int r = 0; r < all->count; r++)
            ((double *)all->p[r]->steps[step[r]].pointer[0])[i] = sum;
    }
}

/* Runs a pass of all parts, from one exchange to the next. */
static void run_all(parts *all, bool backward)
{
    float *local[MOST_PARTS];
    int at[MOST_PARTS] = {0}, end[MOST_PARTS] = {0};

    for (int r = 0; r < all->count; r++) {
        const volt_program *p = all->p[r];
        const int64_t count = CHANNELS * volt_box_voxels(p->values[0].box);

        assert_ok(volt_alloc(&local[r], (size_t)count * sizeof **local, "a part of the input"));
        cut(all->input, local[r], &p->values[0], true);
        at[r] = backward ? p->loss_step + 1 : 0;
        end[r] = backward ? p->step_count : p->loss_step;
    }
    for (bool more = true; more;) {
        int stop[MOST_PARTS] = {0};

        for (int r = 0; r < all->count; r++) {
            stop[r] = next_exchange(all->p[r], at[r], end[r]);
            assert_ok(volt_program_run_part(all->p[r], at[r], stop[r], local[r]));
            at[r] = stop[r] + 1;
            assert_true((stop[r] < end[r]) == (stop[0] < end[0]));
        }
        more = stop[0] < end[0];
        if (more && all->p[0]->steps[stop[0]].kind == VOLT_STEP_SUMS)
            add_sums(all, stop);
        for (int i = 0; more && i < all->count * all->count; i++) {
            const int r = i / all->count, q = i % all->count;
            const volt_step *s = &all->p[r]->steps[stop[r]];
            const volt_step *other = &all->p[q]->steps[stop[q]];

            assert_true(s->value == other->value && s->unit == other->unit);
            assert_true(s->kind == other->kind);
            if (r != q && s->kind == VOLT_STEP_MARGINS)
                exchange(all, r, s, q, other);
        }
    }
    for (int r = 0; r < all->count; r++)
        volt_free(local[r]);
}

/* One pass forward and one backward; logits of the whole, gradients summed over the parts, and
 * behind them what the running statistics become, of all parts alike. */
static void train(parts *all, float *logits, float *gradients)
{
    run_all(all, false);
    for (int r = 0; r < all->count; r++) {
        const volt_program *p = all->p[r];
        const volt_step *head = &p->steps[p->loss_step - 1];
        float *out = head->pointer[3]; /* dst */
        const volt_program_value *v = &p->values[volt_graph_output_value(p->graph, 0)];

        cut(logits, out, v, false);
        cut(all->slope, out, v, true);
    }
    run_all(all, true);
    for (int r = 0; r < all->count; r++) {
        const volt_parameters w = volt_program_parameters(all->p[r]);
        for (int64_t i = 0; i < w.count; i++)
            gradients[i] = (r ? gradients[i] : 0) + w.gradients[i];
        for (int64_t i = 0; i < w.state_count; i++) {
            assert_true(r == 0 || gradients[w.count + i] == w.next_state[i]);
            gradients[w.count + i] = w.next_state[i];
        }
    }
}

/* Cuts of each axis, ascending; 0 = no more. */
typedef struct cuts {
    int64_t at[3][2];
} cuts;

static void compile_parts(parts *all, const volt_graph *g, const volt_device *dev,
                          volt_precision precision, const int64_t extent[3], const cuts *c)
{
    int64_t edge[3][4];
    int count[3];

    for (int a = 0; a < 3; a++) {
        count[a] = 0;
        edge[a][0] = 0;
        for (int i = 0; c && i < 2 && c->at[a][i]; i++)
            edge[a][++count[a]] = c->at[a][i];
        edge[a][++count[a]] = extent[a];
    }
    all->count = 0;
    for (int i = 0; i < count[0] * count[1] * count[2]; i++) {
        const int at[3] = {i / count[2] / count[1], i / count[2] % count[1], i % count[2]};
        volt_program_options o = volt_program_defaults();

        memcpy(o.extent, extent, sizeof o.extent);
        o.precision = precision;
        o.mode = VOLT_TRAIN;
        o.threads = 2;
        for (int a = 0; a < 3; a++) {
            o.box.low[a] = edge[a][at[a]];
            o.box.high[a] = edge[a][at[a] + 1];
        }
        assert_ok(volt_program_create(&all->p[i], g, dev, &o));
        assert_ok(volt_program_verify(all->p[i]));
        assert_ok(volt_program_load(all->p[i], all->weights));
        all->count++;
    }
}

static float *random_floats(int64_t count, volt_rng *rng)
{
    float *x;

    assert_ok(volt_alloc(&x, (size_t)count * sizeof *x, "values"));
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)volt_rng_normal(rng);
    return x;
}

static const cuts ways[] = {
    {{{8}}}, {{{4, 12}}}, {{{0}, {4}}}, {{{0}, {0}, {12}}}, {{{8}, {8}, {8}}}, {{{4}, {4, 8}}},
};

#define ROUNDED   2.0 /* times the error of the whole's own rounding */
#define FP32_SUMS 1e-5
#define EVEN_WAYS 0x15u /* bits: numbers of ways */
#define ODD_WAYS  0x2au

/* Root mean square of a - b. */
static double rms_error(const float *a, const float *b, int64_t count)
{
    double squares = 0;

    for (int64_t i = 0; i < count; i++)
        squares += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(squares / (double)count);
}

/* The parts' values against the whole's. Where activations are rounded, cuts round in other
 * places, and small networks make much of that: there both are compared with `exact`, the
 * whole in fp32, and the parts' error may be `tolerance` times the whole's own, and a rounding
 * of sums in fp32. */
static void compare(const char *what, const float *cut_up, const float *whole,
                    const float *exact, int64_t count, double tolerance)
{
    double error, own, size = 0;

    if (!exact) {
        assert_near(what, cut_up, whole, count, tolerance, 0);
        return;
    }
    error = rms_error(cut_up, exact, count);
    own = rms_error(whole, exact, count);
    for (int64_t i = 0; i < count; i++)
        size += (double)exact[i] * exact[i];
    size = sqrt(size / (double)count);
    if (!(error <= tolerance * own + FP32_SUMS * size))
        fail_msg("%s: the parts' error is %g of %g, that of the whole %g", what, error, size,
                 own);
}

/* Logits and gradients of one way of cutting, NULL = the whole. */
static void run_cut(parts *all, const volt_graph *g, const volt_device *dev,
                    volt_precision precision, const network_case *net, const cuts *c,
                    float *logits, float *gradients, unsigned restrictions)
{
    compile_parts(all, g, dev, precision, net->extent, c);
    train(all, logits, gradients);
    for (int r = 0; r < all->count; r++) {
        assert_int_equal(all->p[r]->restrictions & ~restrictions, 0);
        volt_program_free(all->p[r]);
    }
}

/* These ways of cutting on `dev` against the whole on the same device. */
static void check_parts(const volt_device *dev, volt_precision precision,
                        const network_case *net, unsigned which, double tolerance,
                        unsigned restrictions)
{
    enum { WHOLE, PARTS, EXACT, RESULTS };
    const bool rounds = precision != VOLT_FP32;
    const int64_t voxels = net->extent[0] * net->extent[1] * net->extent[2];
    volt_rng rng = volt_rng_open(5, 0, 0, VOLT_RNG_TEST);
    volt_graph *g = net->build();
    const int64_t count = volt_graph_param_elements(g);
    float *logits[RESULTS], *gradients[RESULTS];
    parts all = {0};

    all.input = random_floats(CHANNELS * voxels, &rng);
    all.slope = random_floats(CLASSES * voxels, &rng);
    all.weights = random_floats(count, &rng);
    volt_init_parameters(all.weights, g, 4);
    for (int i = 0; i < RESULTS; i++) {
        assert_ok(volt_alloc_zero(&logits[i], (size_t)(CLASSES * voxels), sizeof **logits,
                                  "logits of the finest level"));
        gradients[i] = random_floats(count, &rng);
    }
    run_cut(&all, g, dev, precision, net, NULL, logits[WHOLE], gradients[WHOLE],
            VOLT_NO_CONV_SUMS);
    if (rounds)
        run_cut(&all, g, dev, VOLT_FP32, net, NULL, logits[EXACT], gradients[EXACT],
                VOLT_NO_CONV_SUMS);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (!(which >> i & 1))
            continue;
        run_cut(&all, g, dev, precision, net, &ways[i], logits[PARTS], gradients[PARTS],
                restrictions);
        compare("logits", logits[PARTS], logits[WHOLE], rounds ? logits[EXACT] : NULL,
                CLASSES * voxels, tolerance);
        for (int k = 0; k < volt_graph_param_count(g); k++) {
            const volt_param *q = volt_graph_param(g, k);
            compare(q->name, gradients[PARTS] + q->offset, gradients[WHOLE] + q->offset,
                    rounds ? gradients[EXACT] + q->offset : NULL, q->count,
                    rounds ? tolerance : 10 * tolerance);
        }
    }
    for (int i = 0; i < RESULTS; i++) {
        volt_free(logits[i]);
        volt_free(gradients[i]);
    }
    volt_free(all.weights);
    volt_free(all.slope);
    volt_free(all.input);
    volt_graph_free(g);
}

static void parts_equal_the_whole_on_the_reference(void **state)
{
    (void)state;
    width = 4;
    check_parts(reference, VOLT_FP32, &narrow, EVEN_WAYS, 1e-6, 0);
    check_parts(reference, VOLT_FP32, &wide, ODD_WAYS, 1e-6, 0);
    check_parts(reference, VOLT_FP32, &chain, EVEN_WAYS, 1e-6, 0);
    check_parts(reference, VOLT_FP32, &batched, EVEN_WAYS, 1e-6, 0);
    check_parts(reference, VOLT_FP32, &linear, ODD_WAYS, 1e-6, 0);
}

static void parts_equal_the_whole_on_the_cpu(void **state)
{
    (void)state;
    width = 16;
    check_parts(cpu, VOLT_FP32, &narrow, ODD_WAYS, 1e-5, VOLT_NO_MARGINS | VOLT_NO_CONV_SUMS);
    check_parts(cpu, VOLT_FP32, &wide, EVEN_WAYS, 1e-5, VOLT_NO_MARGINS | VOLT_NO_CONV_SUMS);
    check_parts(cpu, VOLT_FP32, &chain, ODD_WAYS, 1e-5, VOLT_NO_MARGINS | VOLT_NO_CONV_SUMS);
    check_parts(cpu, VOLT_FP32, &batched, ODD_WAYS, 1e-5, VOLT_NO_MARGINS | VOLT_NO_CONV_SUMS);
    check_parts(cpu, VOLT_FP32, &linear, EVEN_WAYS, 1e-5, VOLT_NO_MARGINS | VOLT_NO_CONV_SUMS);
    if (cpu->supports(cpu, VOLT_BF16_MIXED)) {
        const unsigned restrictions = VOLT_NO_MARGINS | VOLT_NO_CONV_SUMS;
        check_parts(cpu, VOLT_BF16_MIXED, &narrow, EVEN_WAYS, ROUNDED, restrictions);
        check_parts(cpu, VOLT_BF16_MIXED, &shallow, ODD_WAYS, ROUNDED, restrictions);
    }
}

/* The reference without margins in anything but copies. */
static volt_status refusing_create(const volt_device *dev, volt_op **out,
                                   const volt_op_spec *spec)
{
    (void)dev;
    for (int i = 0; i < VOLT_OP_MAX_TENSORS && spec->kind != VOLT_OP_COPY &&
                    spec->kind != VOLT_OP_PACK_BOX && spec->kind != VOLT_OP_UNPACK_BOX;
         i++) {
        if (volt_tensor_has_margins(&spec->tensor[i]))
            return volt_fail(VOLT_ENOTSUP, "no margins at operand %d", i);
    }
    return reference->op_create(reference, out, spec);
}

static void a_device_without_margins_copies(void **state)
{
    volt_device picky = *reference;

    (void)state;
    picky.op_create = refusing_create;
    width = 4;
    check_parts(&picky, VOLT_FP32, &narrow, EVEN_WAYS, 1e-6, VOLT_NO_MARGINS);
    check_parts(&picky, VOLT_FP32, &batched, 1u << 4, 1e-6, VOLT_NO_MARGINS);
}

static void assert_refused(volt_graph *g, int64_t low, int64_t high, volt_status want,
                           const char *text)
{
    volt_program_options o = volt_program_defaults();
    volt_program *p = NULL;

    memcpy(o.extent, narrow.extent, sizeof o.extent);
    o.box = volt_box_of_shape(o.extent);
    o.box.low[0] = low;
    o.box.high[0] = high;
    assert_fails(volt_program_create(&p, g, reference, &o), want, text);
    assert_null(p);
}

static void cuts_that_do_not_fit_are_refused(void **state)
{
    const int64_t three[3] = {3, 3, 3}, two[3] = {2, 2, 2};
    volt_graph *g;
    volt_value v;

    (void)state;
    width = 4;
    g = build(false);
    assert_refused(g, 0, 7, VOLT_EINVAL, "0..7 along d");
    assert_refused(g, 6, 16, VOLT_EINVAL, "multiples of the stride 2");
    assert_refused(g, 8, 17, VOLT_EINVAL, "leaves the patch");
    assert_refused(g, -1, 8, VOLT_EINVAL, "leaves the patch");
    assert_refused(g, 8, 8, VOLT_EINVAL, "empty");
    volt_graph_free(g);

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, 1));
    assert_ok(volt_graph_pool(g, &v, v, VOLT_NODE_MAX_POOL, three, two));
    assert_ok(volt_graph_output(g, v));
    assert_refused(g, 0, 8, VOLT_ENOTSUP, "overlap");
    volt_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_equal_the_whole_on_the_reference),
        cmocka_unit_test(parts_equal_the_whole_on_the_cpu),
        cmocka_unit_test(a_device_without_margins_copies),
        cmocka_unit_test(cuts_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
