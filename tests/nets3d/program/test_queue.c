/* Programs on a device that runs its calls later, in memory that the host cannot touch
 * (kit/queue_device.h): the same bits as where every call runs at once, and no faults. Then the
 * queue device itself, which must find the faults it is there for. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/core/alloc.h"
#include "base/rng.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"
#include "tests/kit/loss_call.h"
#include "tests/kit/networks.h"
#include "tests/kit/queue_device.h"

/* ---- programs ---- */

/* What a program gave, in the order it gave it. */
typedef struct bytes {
    unsigned char *at;
    size_t count, room;
} bytes;

static void *more(bytes *b, size_t count)
{
    if (b->count + count > b->room) {
        b->room = 2 * (b->count + count);
        b->at = realloc(b->at, b->room);
        assert_non_null(b->at);
    }
    b->count += count;
    return b->at + b->count - count;
}

typedef struct run {
    const network *net;
    const volt_graph *graph;
    const float *weights, *input;
    const int16_t *labels;
    volt_precision precision;
    int threads;
} run;

static volt_program *program_of(const run *r, const volt_device *dev, volt_mode mode)
{
    volt_program_options o = volt_program_defaults();
    volt_program *p = NULL;

    o.n = r->net->n;
    o.precision = r->precision;
    o.mode = mode;
    o.threads = r->threads;
    o.seed = 5;
    memcpy(o.extent, r->net->extent, sizeof o.extent);
    if (mode == VOLT_TRAIN) {
        o.keep_forms = dev->keeps_forms;
        o.arenas = 2;
        o.accumulate = true;
    }
    assert_ok(volt_program_create(&p, r->graph, dev, &o));
    assert_ok(volt_program_load(p, r->weights));
    return p;
}

static void download_outputs(bytes *out, volt_program *p, const run *r)
{
    for (int i = 0; i < volt_graph_output_count(r->graph); i++) {
        int64_t s[5];
        assert_ok(volt_program_output_shape(p, i, s));
        const size_t count = (size_t)(s[0] * s[1] * s[2] * s[3] * s[4]) * sizeof(float);
        assert_ok(volt_program_download(p, i, more(out, count)));
    }
}

static volt_loss_options loss_of(const run *r)
{
    /* Host arrays that do not outlive the call. */
    volt_loss_options o = volt_loss_nnunet(volt_graph_output_count(r->graph), true);

    o.level_weight[0] = 1;
    return o;
}

/* Two parts, each in an arena of its own, both forward before the first goes backward. */
static void train_step(bytes *out, volt_program *p, volt_optimizer *opt, const run *r, int step)
{
    const int64_t c = volt_graph_channels(r->graph, volt_graph_output_value(r->graph, 0));
    volt_loss_result result = {0};
    double *class_weight = malloc((size_t)c * sizeof *class_weight);
    volt_loss_options o = loss_of(r);

    assert_non_null(class_weight);
    result.tp = more(out, (size_t)c * sizeof *result.tp);
    for (int part = 0; part < 2; part++) {
        assert_ok(volt_program_use(p, part));
        volt_program_set_first_sample(p, part * r->net->n);
        assert_ok(volt_program_forward(p, r->input, (uint32_t)step));
    }
    for (int part = 0; part < 2; part++) {
        for (int64_t k = 0; k < c; k++)
            class_weight[k] = 1 + (double)k / 8;
        o.class_weight = class_weight;
        assert_ok(volt_program_use(p, part));
        assert_ok(volt_program_loss(p, &o, r->labels, true));
        for (int64_t k = 0; k < c; k++) /* was read */
            class_weight[k] = NAN;
        assert_ok(volt_program_backward(p));
        assert_ok(volt_program_accumulate(p, part, 2));
    }
    assert_ok(volt_optimizer_step(opt, 0.01));
    assert_ok(volt_program_pack(p));
    assert_ok(volt_program_loss_result(p, &result));
    memcpy(more(out, sizeof result.total), &result.total, sizeof result.total);
    free(class_weight);
}

static void train(bytes *out, const volt_device *dev, const run *r, volt_optimizer_kind kind)
{
    volt_optimizer_settings settings = volt_optimizer_usual(kind);
    volt_program *p = program_of(r, dev, VOLT_TRAIN);
    const size_t all = (size_t)volt_graph_param_elements(r->graph) * sizeof(float);
    volt_loss_result result = {0};
    volt_optimizer *opt = NULL;
    double norm = 0;
    float *saved;

    assert_ok(volt_optimizer_create(&opt, volt_program_parameters(p), &settings));
    for (int step = 0; step < 3; step++) {
        train_step(out, p, opt, r, step);
        assert_ok(volt_program_evaluate(p, r->input));
        download_outputs(out, p, r);
    }
    assert_ok(volt_optimizer_norm(opt, &norm));
    memcpy(more(out, sizeof norm), &norm, sizeof norm);
    /* Evaluation, and parameters there and back. */
    assert_ok(volt_program_evaluate(p, r->input));
    download_outputs(out, p, r);
    assert_ok(volt_program_loss(p, NULL, r->labels, false));
    assert_ok(volt_program_loss_result(p, &result));
    memcpy(more(out, sizeof result.total), &result.total, sizeof result.total);
    saved = more(out, all);
    assert_ok(volt_program_save(p, saved));
    assert_ok(volt_program_load(p, saved));
    assert_ok(volt_program_evaluate(p, r->input));
    download_outputs(out, p, r);
    volt_optimizer_free(opt);
    volt_program_free(p);
}

static void predict(bytes *out, const volt_device *dev, const run *r)
{
    volt_program *p = program_of(r, dev, VOLT_INFER);

    for (int i = 0; i < 2; i++) {
        assert_ok(volt_program_forward(p, r->input, 0));
        download_outputs(out, p, r);
    }
    volt_program_free(p);
}

/* Everything on one device. */
static bytes all_of(const volt_device *dev, const run *r, volt_optimizer_kind kind)
{
    bytes out = {0};

    train(&out, dev, r, kind);
    predict(&out, dev, r);
    return out;
}

static void assert_no_faults(const volt_device *dev)
{
    const queue_counts c = queue_device_counts(dev);

    if (c.faults)
        fail_msg("%lld faults, the first: %s", (long long)c.faults, c.fault);
}

static bool every_precision(const volt_device *dev, volt_precision precision)
{
    (void)dev;
    (void)precision;
    return true;
}

/* The operators of the reference know the precisions of GPUs, too. */
static volt_device *open_for(const run *r, const char *name)
{
    volt_device *dev = NULL;

    assert_ok(volt_device_open(&dev, name));
    if (r->precision == VOLT_FP16_MIXED || r->precision == VOLT_TF32)
        dev->supports = every_precision;
    return dev;
}

/* The run on `name`, at once and queued in several orders. */
static void compare(const run *r, const char *name)
{
    static const queue_options orders[] = {
        {.seed = 0, .keeps_forms = true},
        {.seed = 1},
        {.seed = 2, .no_capture = true, .keeps_forms = true}};
    const volt_optimizer_kind kind = r->threads == 1 ? VOLT_SGD : VOLT_ADAMW;
    volt_device *plain = open_for(r, name);
    bytes want;

    want = all_of(plain, r, kind);
    volt_device_close(plain);
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        volt_device *dev = open_for(r, name);
        bytes got;

        queue_device_open(&dev, orders[i]);
        got = all_of(dev, r, kind);
        assert_no_faults(dev);
        assert_true(queue_device_counts(dev).deferred > 10);
        assert_true((queue_device_counts(dev).launches > 0) == !orders[i].no_capture);
        assert_int_equal(got.count, want.count);
        if (memcmp(got.at, want.at, want.count) != 0)
            fail_msg("%s on %s has other bits in order %zu", r->net->name, name, i);
        free(got.at);
        volt_device_close(dev);
    }
    free(want.at);
}

static void networks_have_their_bits_in_a_queue(void **state)
{
    (void)state;
    for (size_t i = 0; i < NETWORK_COUNT; i++) {
        volt_safetensors *f = open_fixture(networks[i].name);
        volt_graph *g = networks[i].build();
        float *weights = fixture_parameters(f, "w.", g);
        run r = {.net = &networks[i],
                 .graph = g,
                 .weights = weights,
                 .input = fixture_view(f, "input", "")->data,
                 .labels = fixture_view(f, "labels", "")->data,
                 .precision = VOLT_FP32,
                 .threads = 1};

        compare(&r, "reference");
        r.threads = 2;
        compare(&r, "cpu");
        r.precision = VOLT_BF16_MIXED;
        compare(&r, "reference");
        for (r.precision = VOLT_FP16_MIXED; i == 0 && r.precision <= VOLT_TF32; r.precision++)
            compare(&r, "reference");
        volt_free(weights);
        volt_graph_free(g);
        volt_safetensors_close(f);
    }
}

static double cosine(const float *a, const float *b, int64_t count)
{
    double ab = 0, aa = 0, bb = 0;

    for (int64_t i = 0; i < count; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

/* Logits and gradients in tf32 and fp16 are near those in fp32, and others. */
static void precisions_of_gpus_are_near_fp32(void **state)
{
    static const volt_precision precisions[] = {VOLT_FP32, VOLT_TF32, VOLT_FP16_MIXED};
    volt_safetensors *f = open_fixture(networks[0].name);
    volt_graph *g = networks[0].build();
    const int64_t count = volt_graph_param_elements(g);
    float *weights = fixture_parameters(f, "w.", g), *logits[3], *gradients[3];
    run r = {.net = &networks[0],
             .graph = g,
             .weights = weights,
             .input = fixture_view(f, "input", "")->data,
             .labels = fixture_view(f, "labels", "")->data,
             .threads = 1};
    int64_t s[5], voxels = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        volt_device *dev;
        r.precision = precisions[i];
        dev = open_for(&r, "reference");
        volt_program *p = program_of(&r, dev, VOLT_TRAIN);
        const volt_loss_options loss = loss_of(&r);
        volt_loss_result result = {0};
        assert_ok(volt_program_forward(p, r.input, 0));
        logits[i] = program_output(p, 0, s);
        voxels = s[0] * s[1] * s[2] * s[3] * s[4];
        assert_ok(program_loss(p, &loss, r.labels, true, &result));
        assert_ok(volt_program_backward(p));
        assert_ok(volt_program_accumulate(p, 0, 1));
        gradients[i] = malloc((size_t)count * sizeof **gradients);
        assert_non_null(gradients[i]);
        memcpy(gradients[i], volt_program_parameters(p).gradients,
               (size_t)count * sizeof **gradients);
        volt_program_free(p);
        volt_device_close(dev);
        assert_near("logits", logits[i], logits[0], voxels, 1e-2, 0);
        assert_true(cosine(gradients[i], gradients[0], count) > 0.999);
        assert_true((memcmp(logits[i], logits[0], (size_t)voxels * 4) == 0) == (i == 0));
        assert_true((memcmp(gradients[i], gradients[0], (size_t)count * 4) == 0) == (i == 0));
    }
    for (int i = 0; i < 3; i++) {
        volt_free(logits[i]);
        free(gradients[i]);
    }
    volt_free(weights);
    volt_graph_free(g);
    volt_safetensors_close(f);
}

/* Evaluation leaves out steps of training, and the other way round; running statistics are
 * updated behind the last pass. */
static void batch_norms_have_their_bits_in_a_queue(void **state)
{
    volt_safetensors *f = open_fixture("batch_norm");
    volt_graph *g = build_batch_norm();
    float *weights = fixture_parameters(f, "w.", g);
    run r = {.net = &batch_norm_net,
             .graph = g,
             .weights = weights,
             .input = fixture_view(f, "input", "")->data,
             .labels = fixture_view(f, "labels", "")->data,
             .precision = VOLT_FP32,
             .threads = 1};

    (void)state;
    compare(&r, "reference");
    r.threads = 2;
    compare(&r, "cpu");
    r.precision = VOLT_BF16_MIXED;
    compare(&r, "reference");
    volt_free(weights);
    volt_graph_free(g);
    volt_safetensors_close(f);
}

/* Dropout in each block, whose factors come from the host. */
static volt_graph *build_dropout(void)
{
    volt_unet_spec spec = {.base = {.stages = 2,
                                    .in_channels = 2,
                                    .out_channels = 3,
                                    .features = {8, 16},
                                    .kernel = {{3, 3, 3}, {3, 3, 3}},
                                    .stride = {{1, 1, 1}, {2, 2, 2}},
                                    .dropout = 0.25},
                           .convs_encoder = {2, 1},
                           .convs_decoder = {1},
                           .slope = 0.01,
                           .bias = true};
    return built(&volt_model_plain_unet, &spec, true);
}

typedef struct drawn {
    volt_graph *graph;
    float *weights, input[2 * 2 * 4 * 6 * 8];
    int16_t labels[2 * 4 * 6 * 8];
} drawn;

static const network dropout_net = {"dropout", build_dropout, 2, {4, 6, 8}, 0, 0};

static run draw(drawn *d)
{
    volt_rng rng = volt_rng_open(9, 0, 0, VOLT_RNG_TEST);

    d->graph = build_dropout();
    for (size_t i = 0; i < sizeof d->input / sizeof *d->input; i++)
        d->input[i] = (float)volt_rng_normal(&rng);
    for (size_t i = 0; i < sizeof d->labels / sizeof *d->labels; i++)
        d->labels[i] = (int16_t)volt_rng_below(&rng, 3);
    assert_ok(
        volt_alloc(&d->weights, (size_t)volt_graph_param_elements(d->graph) * 4, "weights"));
    volt_init_parameters(d->weights, d->graph, 4);
    return (run){.net = &dropout_net,
                 .graph = d->graph,
                 .weights = d->weights,
                 .input = d->input,
                 .labels = d->labels,
                 .precision = VOLT_FP32,
                 .threads = 2};
}

static void clear(drawn *d)
{
    volt_free(d->weights);
    volt_graph_free(d->graph);
}

static void dropout_has_its_bits_in_a_queue(void **state)
{
    drawn d;
    const run r = draw(&d);

    (void)state;
    compare(&r, "reference");
    compare(&r, "cpu");
    clear(&d);
}

/* One rule for evaluation: what a training program evaluates is, to the bit, what an inference
 * program gives, whatever training draws or has drawn. */
static void evaluation_is_prediction(void **state)
{
    static const char *const names[] = {"reference", "cpu"};
    drawn d;
    run r = draw(&d);
    int compared = 0;

    (void)state;
    for (int i = 0; i < 4; i++) {
        volt_device *dev = NULL;
        bytes outputs[2] = {{0}, {0}}, drawn_too = {0};

        assert_ok(volt_device_open(&dev, names[i % 2]));
        r.precision = i / 2 ? VOLT_BF16_MIXED : VOLT_FP32;
        if (dev->supports(dev, r.precision)) {
            for (volt_mode mode = VOLT_INFER; mode <= VOLT_TRAIN; mode++) {
                volt_program *p = program_of(&r, dev, mode);
                if (mode == VOLT_TRAIN) { /* leaves factors of dropout behind */
                    assert_ok(volt_program_forward(p, r.input, 3));
                    download_outputs(&drawn_too, p, &r);
                }
                if (mode == VOLT_TRAIN)
                    assert_ok(volt_program_evaluate(p, r.input));
                else
                    assert_ok(volt_program_forward(p, r.input, 7));
                download_outputs(&outputs[mode == VOLT_TRAIN], p, &r);
                volt_program_free(p);
            }
            assert_int_equal(outputs[0].count, outputs[1].count);
            assert_memory_equal(outputs[0].at, outputs[1].at, outputs[0].count);
            assert_true(memcmp(outputs[0].at, drawn_too.at, outputs[0].count) != 0);
            compared++;
        }
        free(drawn_too.at);
        free(outputs[0].at);
        free(outputs[1].at);
        volt_device_close(dev);
    }
    assert_true(compared >= 3);
    clear(&d);
}

/* ---- the device ---- */

enum { COUNT = 1000 };

static volt_device *queued(uint64_t seed)
{
    volt_device *dev = NULL;

    assert_ok(volt_device_open(&dev, "reference"));
    queue_device_open(&dev, (queue_options){.seed = seed});
    return dev;
}

static float *device_floats(const volt_device *dev, float value)
{
    float host[COUNT];
    float *p = NULL;

    for (int i = 0; i < COUNT; i++)
        host[i] = value;
    assert_ok(dev->alloc(dev, (void **)&p, sizeof host, "a test"));
    assert_ok(dev->upload(dev, p, host, sizeof host, NULL));
    return p;
}

/* x = 2 x in stream a, y += x in stream b; with an event in between or not. */
static float over_two_streams(bool ordered, uint64_t seed, int64_t *faults)
{
    volt_device *dev = queued(seed);
    float *x = device_floats(dev, 1), *y = device_floats(dev, 10), host[COUNT];
    volt_stream *a = NULL, *b = NULL;
    volt_event *e = NULL;

    assert_ok(volt_stream_create(&a, dev));
    assert_ok(volt_stream_create(&b, dev));
    assert_ok(volt_event_create(&e, dev));
    assert_ok(volt_event_wait(dev, e, b)); /* never recorded: no wait */
    for (int i = 0; i < 3; i++) {
        assert_ok(dev->accumulate(dev, x, x, COUNT, 1, false, 1, a));
        if (ordered) {
            assert_ok(volt_event_record(dev, e, a));
            assert_ok(volt_event_wait(dev, e, b));
        }
        assert_ok(dev->accumulate(dev, y, x, COUNT, 1, false, 1, b));
        if (ordered) {
            assert_ok(volt_event_record(dev, e, b));
            assert_ok(volt_event_wait(dev, e, a));
        }
    }
    assert_ok(dev->download(dev, host, y, sizeof host, b));
    *faults = queue_device_counts(dev).faults;
    volt_event_destroy(dev, e);
    volt_stream_destroy(dev, a);
    volt_stream_destroy(dev, b);
    dev->release(dev, x);
    dev->release(dev, y);
    volt_device_close(dev);
    return host[COUNT - 1];
}

static void events_order_streams(void **state)
{
    int wrong = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        int64_t faults;

        assert_true(over_two_streams(true, seed, &faults) == 10 + 2 + 4 + 8);
        assert_int_equal(faults, 0);
        wrong += over_two_streams(false, seed, &faults) != 10 + 2 + 4 + 8;
        assert_true(faults > 0);
    }
    assert_true(wrong > 0); /* some order shows the fault */
}

static void syncs_order_streams_too(void **state)
{
    volt_device *dev = queued(1);
    float *x = device_floats(dev, 1), host[COUNT];
    volt_stream *a = NULL, *b = NULL;

    (void)state;
    assert_ok(volt_stream_create(&a, dev));
    assert_ok(volt_stream_create(&b, dev));
    assert_ok(dev->accumulate(dev, x, x, COUNT, 1, false, 1, a));
    assert_ok(volt_stream_sync(dev, a));
    assert_ok(dev->accumulate(dev, x, x, COUNT, 1, false, 1, b));
    assert_ok(volt_stream_sync(dev, b));
    assert_ok(dev->download(dev, host, x, sizeof host, NULL));
    assert_true(host[0] == 4);
    assert_no_faults(dev);
    assert_ok(dev->accumulate(dev, x, x, COUNT, 1, false, 1, a));
    (void)dev->download(dev, host, x, sizeof host, NULL); /* waits for no stream */
    assert_true(queue_device_counts(dev).faults == 1);
    volt_stream_destroy(dev, a);
    volt_stream_destroy(dev, b);
    dev->release(dev, x);
    volt_device_close(dev);
}

static void pinned_memory_is_read_later(void **state)
{
    volt_device *dev = queued(0);
    float *x = device_floats(dev, 1), *to = NULL, *from = NULL;
    volt_stream *s = NULL;
    volt_event *read = NULL;

    (void)state;
    assert_ok(volt_stream_create(&s, dev));
    assert_ok(volt_pinned_alloc((void **)&to, dev, COUNT * sizeof *to, "a test"));
    assert_ok(volt_pinned_alloc((void **)&from, dev, COUNT * sizeof *from, "a test"));
    for (int i = 0; i < COUNT; i++)
        from[i] = (float)i;
    assert_ok(dev->upload(dev, x, from, COUNT * sizeof *from, s));
    assert_ok(dev->download(dev, to, x, COUNT * sizeof *to, s));
    assert_true(isnan(to[7])); /* not yet */
    assert_ok(volt_stream_sync(dev, s));
    assert_memory_equal(to, from, COUNT * sizeof *to);
    assert_ok(volt_event_create(&read, dev));
    assert_ok(volt_event_sync(dev, read)); /* never recorded */
    assert_ok(dev->upload(dev, x, from, COUNT * sizeof *from, s));
    assert_ok(volt_event_record(dev, read, s));
    assert_ok(volt_event_sync(dev, read));
    from[3] = -2;
    assert_ok(volt_stream_sync(dev, s));
    volt_event_destroy(dev, read);
    assert_no_faults(dev);
    assert_ok(dev->upload(dev, x, from, COUNT * sizeof *from, s));
    from[3] = -1;
    assert_int_equal(volt_stream_sync(dev, s), VOLT_EINTERNAL);
    assert_true(queue_device_counts(dev).faults == 1);
    volt_stream_destroy(dev, s);
    volt_pinned_free(dev, to);
    volt_pinned_free(dev, from);
    dev->release(dev, x);
    volt_device_close(dev);
}

static void captures_are_launched_many_times(void **state)
{
    volt_device *dev = queued(0);
    const volt_stream_table *t = dev->streams;
    float *x = device_floats(dev, 1), host[COUNT] = {0};
    volt_capture *c = NULL;
    volt_stream *s = NULL;

    (void)state;
    assert_true(volt_device_captures(dev));
    assert_ok(volt_stream_create(&s, dev));
    assert_ok(t->capture_begin(dev, s));
    assert_ok(dev->accumulate(dev, x, x, COUNT, 1, false, 1, s));
    assert_ok(dev->accumulate(dev, x, x, COUNT, 1, false, 1, s));
    assert_ok(t->capture_end(dev, s, &c));
    assert_ok(volt_stream_sync(dev, s));
    assert_ok(dev->download(dev, host, x, sizeof host, s));
    assert_true(host[0] == 1); /* recorded, not run */
    for (int i = 0; i < 2; i++)
        assert_ok(t->capture_launch(dev, c, s));
    assert_ok(dev->download(dev, host, x, sizeof host, s));
    assert_true(host[0] == 16);
    t->capture_free(dev, c);
    assert_no_faults(dev);
    c = NULL;
    assert_ok(t->capture_begin(dev, s));
    assert_ok(dev->upload(dev, x, host, sizeof host, s)); /* the host's bytes of one day */
    assert_int_equal(t->capture_end(dev, s, &c), VOLT_EINTERNAL);
    assert_null(c);
    volt_stream_destroy(dev, s);
    dev->release(dev, x);
    volt_device_close(dev);
}

/* Addresses of the wrong side: a crash in the host, a failure in the device. */
static void the_host_cannot_touch_the_device(void **state)
{
    volt_device *dev = queued(0);
    float *x = device_floats(dev, 1), host[COUNT] = {0};

    (void)state;
    for (int write = 0; write < 2; write++) {
        const pid_t child = fork();
        int status = 0;

        if (child == 0) {
            signal(SIGSEGV, SIG_DFL); /* cmocka's would report it */
            if (write)
                *(volatile float *)x = 2;
            else
                _exit(*(volatile float *)x > 3);
            _exit(0);
        }
        assert_true(child > 0 && waitpid(child, &status, 0) == child);
        assert_true(!WIFEXITED(status) || WEXITSTATUS(status) > 1); /* a sanitizer exits */
    }
    assert_fails(dev->accumulate(dev, x, host, COUNT, 1, false, 1, NULL), VOLT_EINTERNAL,
                 "no memory of the device");
    assert_fails(dev->accumulate(dev, x, x + 1, COUNT, 1, false, 1, NULL), VOLT_EINTERNAL,
                 "leave their memory");
    dev->release(dev, x);
    volt_device_close(dev);
}

/* A device without streams: all of it does nothing, and costs no call. */
static void no_streams_are_no_work(void **state)
{
    static const char *const names[] = {"cpu", "reference"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        volt_device *dev = NULL;
        volt_stream *s = (volt_stream *)1;
        volt_event *e = (volt_event *)1;
        void *p = NULL;

        assert_ok(volt_device_open(&dev, names[i]));
        assert_true(dev->host_memory && !dev->streams);
        assert_false(volt_device_captures(dev));
        assert_ok(volt_stream_create(&s, dev));
        assert_ok(volt_event_create(&e, dev));
        assert_null(s);
        assert_null(e);
        assert_ok(volt_event_record(dev, e, s));
        assert_ok(volt_event_wait(dev, e, s));
        assert_ok(volt_event_sync(dev, e));
        assert_ok(volt_stream_sync(dev, s));
        volt_event_destroy(dev, e);
        volt_stream_destroy(dev, s);
        assert_ok(volt_pinned_alloc(&p, dev, 100, "a test"));
        memset(p, 1, 100);
        volt_pinned_free(dev, p);
        volt_pinned_free(dev, NULL);
        volt_device_close(dev);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_streams_are_no_work),
        cmocka_unit_test(events_order_streams),
        cmocka_unit_test(syncs_order_streams_too),
        cmocka_unit_test(pinned_memory_is_read_later),
        cmocka_unit_test(captures_are_launched_many_times),
        cmocka_unit_test(the_host_cannot_touch_the_device),
        cmocka_unit_test(evaluation_is_prediction),
        cmocka_unit_test(batch_norms_have_their_bits_in_a_queue),
        cmocka_unit_test(dropout_has_its_bits_in_a_queue),
        cmocka_unit_test(networks_have_their_bits_in_a_queue),
        cmocka_unit_test(precisions_of_gpus_are_near_fp32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
