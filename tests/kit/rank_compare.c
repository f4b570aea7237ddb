#include "tests/kit/rank_compare.h"

#include <stdio.h>

#include "base/core/alloc.h"
#include "base/mem.h"
#include "base/rng.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"
#include "parallel/ranks.h"
#include "tests/kit/queue_device.h"

/* bf16: one value that rounds the other way is 4e-3 of it. */
const rank_tolerance rank_fp32 = {1e-5, 1e-5, 1e-4, 1e-3, 1e-4, 1e-4, 1e-3},
                     rank_bf16 = {1e-2, 1e-2, 2e-2, 1, 1e-2, 1e-2, 2e-2};

enum { USUAL_STEPS = 5 };

/* What all ranks of a training share. */
typedef struct training {
    const rank_case *c;
    const volt_device *dev;
    volt_precision precision;
    const char *mesh;
    const volt_graph *graph;
    const float *input, *weights;
    const int16_t *labels;
    rank_result *out; /* rank 0's, but for logits, which all write their part of */
    rank_result *each;
} training;

static int64_t volume_of(const int64_t extent[3])
{
    return extent[0] * extent[1] * extent[2];
}

/* Copies the box of each of `count` volumes between a whole and a part. */
static void cut(void *whole, void *part, size_t size, int64_t count, const int64_t extent[3],
                volt_box box, bool out)
{
    const size_t line = (size_t)(box.high[2] - box.low[2]) * size;
    char *own = part;

    for (int64_t i = 0; i < count; i++)
        for (int64_t d = box.low[0]; d < box.high[0]; d++)
            for (int64_t h = box.low[1]; h < box.high[1]; h++, own += line) {
                char *w =
                    (char *)whole +
                    (size_t)(((i * extent[0] + d) * extent[1] + h) * extent[2] + box.low[2]) *
                        size;
                memcpy(out ? own : w, out ? w : own, line);
            }
}

static volt_loss_options loss_of(const training *t)
{
    const rank_case *c = t->c;
    volt_loss_options o = volt_loss_nnunet(volt_graph_output_count(t->graph), c->batch_dice);

    o.sigmoid = c->regions != NULL;
    o.regions = c->regions;
    o.values = c->values;
    if (c->ignore)
        o.ignore = c->values;
    return o;
}

/* One rank's data. */
typedef struct shard {
    volt_program *p;
    volt_device *own_dev; /* NULL = one of all */
    const volt_device *dev;
    bool learns[256];
    float *input, *logits;
    int16_t *labels;
    volt_box box;
    int64_t n, first, channels, classes;
    int parts;
    bool has_outputs;
} shard;

/* Voxels of this rank's part of a batch. */
static int64_t own_voxels(const shard *s)
{
    return s->n * volt_box_voxels(s->box);
}

/* This rank's samples and box of all parts. */
static void fill_shard(shard *s, const training *t)
{
    const rank_case *c = t->c;
    const int64_t voxels = volume_of(c->extent);

    for (int i = 0; i < s->parts; i++) {
        const int64_t first = i * c->n + s->first;

        cut((void *)(t->input + first * s->channels * voxels),
            s->input + i * own_voxels(s) * s->channels, sizeof(float), s->n * s->channels,
            c->extent, s->box, true);
        cut((void *)(t->labels + first * voxels), s->labels + i * own_voxels(s),
            sizeof(int16_t), s->n, c->extent, s->box, true);
    }
}

static volt_status open_device(shard *s, const training *t)
{
    volt_status st = VOLT_OK;

    s->dev = t->dev;
    if (t->dev)
        return VOLT_OK;
    st = volt_device_open(&s->own_dev, "cpu");
    if (st == VOLT_OK)
        queue_device_open(&s->own_dev, (queue_options){.seed = 7});
    s->dev = s->own_dev;
    return st;
}

static volt_status make_shard(shard *s, const training *t, const volt_mesh *mesh)
{
    const rank_case *c = t->c;
    const int data = mesh ? mesh->size[VOLT_MESH_DATA] : 1;
    const int at = mesh ? mesh->at[VOLT_MESH_DATA] : 0;
    volt_program_options o = volt_program_defaults();
    volt_status st;

    VOLT_TRY(st, done, open_device(s, t));
    s->parts = c->parts ? c->parts : 1;
    s->channels = volt_graph_channels(t->graph, 0);
    s->has_outputs = !mesh || mesh->at[VOLT_MESH_STAGE] == mesh->size[VOLT_MESH_STAGE] - 1;
    for (int i = 0; i < 256; i++)
        s->learns[i] = i % 3 != 1;
    s->n = c->n / data + (at < c->n % data);
    o.n = s->n;
    memcpy(o.extent, c->extent, sizeof o.extent);
    memcpy(o.gather, c->gather, sizeof o.gather);
    o.mesh = mesh;
    o.precision = t->precision;
    o.mode = VOLT_TRAIN;
    o.threads = c->threads ? c->threads : 1;
    o.seed = 5;
    o.accumulate = c->parts > 0;
    o.arenas = c->together ? s->parts : 1;
    o.keep_forms = c->keep_forms;
    o.learns = c->frozen ? s->learns : NULL;
    VOLT_TRY(st, done, volt_program_create(&s->p, t->graph, s->dev, &o));
    VOLT_TRY(st, done, volt_program_load(s->p, t->weights));
    s->box = volt_program_box(s->p);
    s->first = volt_program_first_sample(s->p);
    s->classes = volt_graph_channels(t->graph, volt_graph_output_value(t->graph, 0));
    const size_t all = (size_t)(own_voxels(s) * s->parts);
    VOLT_TRY(st, done,
             volt_alloc(&s->input, all * (size_t)s->channels * sizeof(float), "a part"));
    VOLT_TRY(st, done, volt_alloc(&s->labels, all * sizeof(int16_t), "a part"));
    VOLT_TRY(st, done,
             volt_alloc(&s->logits, all * (size_t)s->classes * sizeof(float), "a part"));
    fill_shard(s, t);
done:
    return st;
}

static void free_shard(shard *s)
{
    volt_program_free(s->p);
    volt_device_close(s->own_dev);
    volt_free(s->input);
    volt_free(s->labels);
    volt_free(s->logits);
}

/* Those of frozen parameters, which are undefined, become 0. */
static volt_status copy_gradients(const training *t, shard *s, rank_result *own)
{
    const volt_parameters q = volt_program_parameters(s->p);
    const volt_status st = s->dev->download(s->dev, own->gradients, q.gradients,
                                            (size_t)q.count * sizeof(float), q.stream);

    for (int i = 0; t->c->frozen && i < volt_graph_param_count(t->graph); i++) {
        const volt_param *param = volt_graph_param(t->graph, i);
        if (!s->learns[i])
            memset(own->gradients + param->offset, 0, (size_t)param->count * sizeof(float));
    }
    return st;
}

/* The loss of part `part`, after a forward pass; `evaluate`: the pass before was one. */
static volt_status take_loss(const training *t, shard *s, int part, bool evaluate, double *loss,
                             rank_result *own)
{
    const volt_loss_options options = loss_of(t);
    volt_loss_result result = {
        .tp = own->counts, .fp = own->counts + 16, .fn = own->counts + 32};
    volt_status st;

    VOLT_TRY(st, done,
             volt_program_loss(s->p, &options, s->labels + part * own_voxels(s), !evaluate));
    VOLT_TRY(st, done, volt_program_loss_result(s->p, &result));
    *loss = result.total;
    own->voxels = result.voxels;
done:
    return st;
}

static volt_status forward(const training *t, shard *s, int i, int part)
{
    const rank_case *c = t->c;
    const float *input = s->input + part * own_voxels(s) * s->channels;
    volt_status st = VOLT_OK;

    if (c->together)
        VOLT_TRY(st, done, volt_program_use(s->p, part));
    volt_program_set_first_sample(s->p, part * c->n + s->first);
    VOLT_TRY(st, done, volt_program_forward(s->p, input, (uint32_t)i));
    if (i == 0 && part == 0 && s->has_outputs) {
        VOLT_TRY(st, done, volt_program_download(s->p, 0, s->logits));
        cut(t->out->logits + s->first * s->classes * volume_of(c->extent), s->logits,
            sizeof(float), s->n * s->classes, c->extent, s->box, false);
    }
done:
    return st;
}

static volt_status backward(const training *t, shard *s, int part)
{
    volt_status st = VOLT_OK;

    if (t->c->together)
        VOLT_TRY(st, done, volt_program_use(s->p, part));
    st = volt_program_backward(s->p);
    if (st == VOLT_OK && t->c->parts)
        st = volt_program_accumulate(s->p, part, t->c->parts);
done:
    return st;
}

static volt_status passes_together(const training *t, shard *s, int i, rank_result *own)
{
    volt_status st = VOLT_OK;

    for (int part = 0; part < s->parts; part++)
        VOLT_TRY(st, done, forward(t, s, i, part));
    for (int part = 0; part < s->parts; part++) {
        VOLT_TRY(st, done, volt_program_use(s->p, part));
        VOLT_TRY(st, done, take_loss(t, s, part, false, &own->loss[i], own));
    }
    for (int part = 0; part < s->parts; part++)
        VOLT_TRY(st, done, backward(t, s, part));
done:
    return st;
}

static volt_status passes(const training *t, shard *s, int i, rank_result *own)
{
    volt_status st = VOLT_OK;

    for (int part = 0; part < s->parts; part++) {
        VOLT_TRY(st, done, forward(t, s, i, part));
        VOLT_TRY(st, done, take_loss(t, s, part, false, &own->loss[i], own));
        VOLT_TRY(st, done, backward(t, s, part));
    }
done:
    return st;
}

static volt_status step(const training *t, shard *s, int i, volt_optimizer *optimizer,
                        rank_result *own)
{
    volt_status st;

    VOLT_TRY(st, done, t->c->together ? passes_together(t, s, i, own) : passes(t, s, i, own));
    if (i == 0)
        VOLT_TRY(st, done, copy_gradients(t, s, own));
    VOLT_TRY(st, done, volt_optimizer_step(optimizer, 0.01));
    VOLT_TRY(st, done, volt_optimizer_norm(optimizer, &own->norm[i]));
    st = volt_program_pack(s->p);
done:
    return st;
}

static volt_status evaluate(const training *t, shard *s, rank_result *own)
{
    volt_status st;

    VOLT_TRY(st, done, volt_program_evaluate(s->p, s->input));
    st = take_loss(t, s, 0, true, &own->loss[own->steps], own);
done:
    return st;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);

    return n >= m && !strcmp(name + n - m, end);
}

static void count_exchanges(const shard *s, rank_result *own)
{
    volt_program_memory memory;

    volt_program_memory_of(s->p, &memory);
    own->memory = memory.total;
    for (int i = 0; i < volt_program_step_count(s->p); i++) {
        volt_step_info info;

        volt_program_step(s->p, i, &info);
        own->gathers += strstr(info.name, " gather") && !strstr(info.name, " gather end");
        own->exchanges += info.sent > 0;
        own->overlaps += ends_with(info.name, " inside");
        own->kinds[0] += ends_with(info.name, " send") && !strstr(info.name, " gradient send");
        own->kinds[1] +=
            ends_with(info.name, " receive") && !strstr(info.name, " gradient receive");
        own->kinds[2] += ends_with(info.name, " gradient send");
        own->kinds[3] += ends_with(info.name, " gradient receive");
    }
}

/* Rates of parameters: frozen ones get no update. */
static volt_status open_optimizer(volt_optimizer **out, const training *t, const shard *s)
{
    volt_optimizer_settings settings = volt_optimizer_nnunet();
    double scale[256];
    volt_status st;

    settings.clip_norm = t->c->clip > 0 ? t->c->clip : settings.clip_norm;
    st = volt_optimizer_create(out, volt_program_parameters(s->p), &settings);

    for (int i = 0; i < 256; i++)
        scale[i] = !t->c->frozen || s->learns[i];
    return st == VOLT_OK ? volt_optimizer_set_scales(*out, t->graph, scale) : st;
}

static volt_status train_rank(volt_comm *comm, void *context)
{
    const training *t = context;
    rank_result *own = &t->each[volt_comm_rank(comm)];
    volt_optimizer *optimizer = NULL;
    volt_mesh *mesh = NULL;
    shard s = {0};
    int size[VOLT_MESH_AXES];
    volt_status st;

    if (*t->mesh) {
        VOLT_TRY(st, done, volt_mesh_parse(size, t->mesh, volt_comm_size(comm)));
        VOLT_TRY(st, done, volt_mesh_open(&mesh, comm, size));
    }
    VOLT_TRY(st, done, make_shard(&s, t, mesh));
    count_exchanges(&s, own);
    VOLT_TRY(st, done, open_optimizer(&optimizer, t, &s));
    for (int i = 0; i < own->steps; i++)
        VOLT_TRY(st, done, step(t, &s, i, optimizer, own));
    VOLT_TRY(st, done, evaluate(t, &s, own));
    if (s.own_dev && queue_device_counts(s.own_dev).faults)
        return volt_fail(VOLT_EDEVICE, "%s", queue_device_counts(s.own_dev).fault);
    st = volt_program_save(s.p, own->weights);
done:
    volt_optimizer_free(optimizer);
    free_shard(&s);
    volt_mesh_close(mesh);
    return st;
}

static void *zeros(int64_t count, size_t size)
{
    void *x;

    assert_ok(volt_alloc_zero(&x, (size_t)count, size, "numbers"));
    return x;
}

static void open_result(rank_result *r, const training *t)
{
    const volt_graph *g = t->graph;

    r->parameters = volt_graph_param_elements(g);
    r->logit_count = t->c->n * volume_of(t->c->extent) *
                     volt_graph_channels(g, volt_graph_output_value(g, 0));
    r->steps = t->c->steps ? t->c->steps : USUAL_STEPS;
    assert_in_range(r->steps, 1, RANK_MOST_STEPS);
    r->gradients = zeros(r->parameters, sizeof(float));
    r->weights = zeros(r->parameters, sizeof(float));
    r->logits = zeros(r->logit_count, sizeof(float));
}

void rank_result_free(rank_result *r)
{
    volt_free(r->logits);
    volt_free(r->gradients);
    volt_free(r->weights);
    memset(r, 0, sizeof *r);
}

/* Labels in blocks, as organs are, of different sizes along the axes. */
static void draw(const training *t, float *input, int16_t *labels, float *weights)
{
    const rank_case *c = t->c;
    const int64_t voxels = volume_of(c->extent), channels = volt_graph_channels(t->graph, 0);
    const int kinds = c->values + c->ignore, parts = c->parts ? c->parts : 1;
    volt_rng rng = volt_rng_open(3, 0, 0, VOLT_RNG_TEST);

    volt_init_parameters(weights, t->graph, 4);
    for (int64_t i = 0; i < parts * c->n * channels * voxels; i++)
        input[i] = (float)volt_rng_normal(&rng);
    for (int64_t i = 0; i < parts * c->n * voxels; i++) {
        const int64_t w = i % c->extent[2], h = i / c->extent[2] % c->extent[1];
        const int64_t d = i / c->extent[2] / c->extent[1];
        labels[i] = (int16_t)((d / 3 + h / 5 + w / 7 + (volt_rng_below(&rng, 8) == 0)) % kinds);
    }
}

void rank_train(rank_result *out, const rank_case *c, const volt_device *dev,
                volt_precision precision, const char *mesh)
{
    volt_graph *graph = c->build();
    training t = {.c = c, .dev = dev, .precision = precision, .mesh = mesh, .graph = graph};
    const int64_t voxels = (c->parts ? c->parts : 1) * c->n * volume_of(c->extent);
    float *input = zeros(voxels * volt_graph_channels(graph, 0), sizeof *input);
    float *weights = zeros(volt_graph_param_elements(graph), sizeof *weights);
    int16_t *labels = zeros(voxels, sizeof *labels);
    int size[VOLT_MESH_AXES], ranks = 1;

    if (*mesh) {
        assert_ok(volt_mesh_parse(size, mesh, 0));
        ranks = volt_mesh_ranks(size);
    }
    draw(&t, input, labels, weights);
    t.input = input;
    t.labels = labels;
    t.weights = weights;
    t.each = zeros(ranks, sizeof *t.each);
    for (int i = 0; i < ranks; i++)
        open_result(&t.each[i], &t);
    t.out = &t.each[0];
    if (volt_ranks_run(ranks, train_rank, &t) != VOLT_OK)
        fail_msg("%s on %s: %s", c->name, *mesh ? mesh : "one rank", volt_last_error());
    *out = t.each[0];
    for (int i = 1; i < ranks; i++) {
        t.each[i].logit_count = 0; /* rank 0 has those of all */
        assert_ranks_equal(mesh, &t.each[i], out);
        rank_result_free(&t.each[i]);
    }
    volt_free(t.each);
    volt_free(labels);
    volt_free(weights);
    volt_free(input);
    volt_graph_free(graph);
}

void assert_ranks_equal(const char *what, const rank_result *a, const rank_result *b)
{
    const size_t bytes = (size_t)b->parameters * sizeof(float);

    if (memcmp(a->loss, b->loss, sizeof a->loss) || memcmp(a->gradients, b->gradients, bytes) ||
        memcmp(a->weights, b->weights, bytes) || memcmp(a->norm, b->norm, sizeof a->norm) ||
        memcmp(a->counts, b->counts, sizeof a->counts) || a->voxels != b->voxels ||
        (a->logit_count &&
         memcmp(a->logits, b->logits, (size_t)b->logit_count * sizeof(float))))
        fail_msg("%s: ranks or runs differ", what);
}

static double norm_of(const float *a, const float *b, int64_t count)
{
    double sum = 0;

    for (int64_t i = 0; i < count; i++) {
        const double x = b ? (double)a[i] - b[i] : a[i];
        sum += x * x;
    }
    return sqrt(sum);
}

static void assert_norm(const char *what, const char *name, const float *a, const float *b,
                        int64_t count, double tolerance, double floor)
{
    const double error = norm_of(a, b, count), norm = norm_of(b, NULL, count);

    if (!(error <= tolerance * (norm + floor)))
        fail_msg("%s: %s is %g off, norm %g (floor %g)", what, name, error, norm, floor);
}

/* Every voxel that is not ignored is counted; its class may differ where two are as close. */
static void assert_counts(const char *what, const rank_result *a, const rank_result *b,
                          const rank_tolerance *t)
{
    const int64_t *p = a->counts, *q = b->counts;
    int64_t labelled = 0;

    assert_int_equal(a->voxels, b->voxels);
    for (int k = 0; k < 16; k++) {
        const int64_t most = 1 + (int64_t)(t->counts * (double)b->voxels);

        assert_int_equal(p[k] + p[32 + k], q[k] + q[32 + k]);
        labelled += q[k] + q[32 + k];
        if (llabs(p[k] - q[k]) > most || llabs(p[16 + k] - q[16 + k]) > most)
            fail_msg("%s: channel %d has %lld true and %lld false positives, expected %lld and "
                     "%lld",
                     what, k, (long long)p[k], (long long)p[16 + k], (long long)q[k],
                     (long long)q[16 + k]);
    }
    assert_true(labelled > 0);
}

static void assert_losses(const char *what, const rank_result *a, const rank_result *b,
                          const rank_tolerance *t)
{
    for (int i = 0; i <= b->steps; i++) {
        const bool late = i > USUAL_STEPS;
        const double most =
            late ? t->late * fmax(fabs(b->loss[i]), 0.1) : t->loss * fabs(b->loss[i]);

        if (!(fabs(a->loss[i] - b->loss[i]) <= most))
            fail_msg("%s: loss %d is %.9g, expected %.9g", what, i, a->loss[i], b->loss[i]);
    }
    if (!(fabs(a->norm[0] - b->norm[0]) <= t->gradient * b->norm[0]))
        fail_msg("%s: the gradients' norm is %.9g, expected %.9g", what, a->norm[0],
                 b->norm[0]);
}

void assert_ranks_near(const char *what, const rank_case *c, const rank_result *a,
                       const rank_result *b, const rank_tolerance *t)
{
    volt_graph *g = c->build();
    const double all = norm_of(b->gradients, NULL, b->parameters);

    assert_true(all > 0 && isfinite(all));
    assert_norm(what, "the array of logits", a->logits, b->logits, b->logit_count, t->logits,
                0);
    assert_losses(what, a, b, t);
    assert_counts(what, a, b, t);
    for (int i = 0; i < volt_graph_param_count(g); i++) {
        const volt_param *q = volt_graph_param(g, i);
        if (c->frozen && i % 3 == 1)
            continue;
        assert_norm(what, q->name, a->gradients + q->offset, b->gradients + q->offset, q->count,
                    t->gradient, t->floor * all);
    }
    for (int i = 0; c->clip > 0 && i < b->steps; i++)
        assert_true(b->norm[i] > c->clip);
    assert_norm(what, "the array of weights", a->weights, b->weights, b->parameters, t->weights,
                0);
    volt_graph_free(g);
}

/* The last trainings on one rank. */
static struct {
    rank_case c;
    const volt_device *dev;
    volt_precision precision;
    rank_result result;
} known[8];

enum { KNOWN = sizeof known / sizeof *known };

void forget_one_rank(void)
{
    for (int i = 0; i < KNOWN; i++)
        rank_result_free(&known[i].result);
}

static bool same_sums(const rank_case *a, const rank_case *b)
{
    return a->build == b->build && a->n == b->n &&
           memcmp(a->extent, b->extent, sizeof a->extent) == 0 && a->values == b->values &&
           a->regions == b->regions && a->ignore == b->ignore &&
           a->batch_dice == b->batch_dice && a->parts == b->parts && a->frozen == b->frozen &&
           a->threads == b->threads && a->steps == b->steps && a->clip == b->clip;
}

static const rank_result *on_one_rank(const rank_case *c, const volt_device *dev,
                                      volt_precision precision)
{
    static int next;
    int i = 0;

    while (i < KNOWN && !(known[i].result.parameters && same_sums(&known[i].c, c) &&
                          known[i].dev == dev && known[i].precision == precision))
        i++;
    if (i == KNOWN) {
        i = next;
        next = (next + 1) % KNOWN;
        rank_result_free(&known[i].result);
        rank_train(&known[i].result, c, dev, precision, "");
        known[i].c = *c;
        known[i].dev = dev;
        known[i].precision = precision;
    }
    return &known[i].result;
}

void check_meshes(const rank_case *c, const volt_device *dev, volt_precision precision,
                  const char *const *meshes)
{
    const rank_tolerance *t = precision == VOLT_FP32 ? &rank_fp32 : &rank_bf16;
    const rank_result *one = on_one_rank(c, dev, precision);
    rank_result many = {0}, again = {0};
    char what[128];

    for (int i = 0; meshes[i]; i++) {
        snprintf(what, sizeof what, "%s on %s", c->name, meshes[i]);
        rank_train(&many, c, dev, precision, meshes[i]);
        assert_ranks_near(what, c, &many, one, t);
        if (!meshes[i + 1]) {
            rank_train(&again, c, dev, precision, meshes[i]);
            assert_ranks_equal(what, &again, &many);
            rank_result_free(&again);
        }
        rank_result_free(&many);
    }
}
