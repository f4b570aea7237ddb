/* Programs on a mesh: what they tell, what they refuse, what happens when a rank fails; and
 * gradients against finite differences. */
#include <stdio.h>

#include "base/core/alloc.h"
#include "base/mem.h"
#include "base/rng.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"
#include "nets3d/program/on_device.h"
#include "parallel/ranks.h"
#include "tests/kit/devices.h"
#include "tests/kit/networks.h"
#include "tests/kit/queue_device.h"

#define CHANNELS   2
#define VALUES     3
#define MOST_RANKS 9

/* What a test runs on every rank, and what it is given. */
typedef struct job {
    const char *mesh;
    volt_program_options o; /* the same for all, but what `change` makes of it */
    void (*change)(volt_program_options *o, int rank);
    volt_status (*run)(struct job *job, volt_program *p, const volt_mesh *mesh);
    volt_graph *graph;
    const volt_device *device; /* NULL: of `devices` */
    const volt_device *devices[MOST_RANKS];
    float *weights, *input;
    int16_t *labels;
    volt_box boxes[MOST_RANKS];
    int64_t gathered[3];
    double loss[MOST_RANKS];
    volt_mem_scope scope[MOST_RANKS]; /* from before loading to after `run` */
    volt_program_memory memory[MOST_RANKS];
    float *gradients, *logits;
    char sentence[MOST_RANKS][256];
} job;

static job make_job(const char *mesh, int64_t n)
{
    job j = {.mesh = mesh, .graph = build_unet3d(), .device = cpu};
    const int64_t count = volt_graph_param_elements(j.graph);
    volt_rng rng = volt_rng_open(1, 0, 0, VOLT_RNG_TEST);
    int64_t voxels;

    j.o = volt_program_defaults();
    j.o.n = n;
    j.o.extent[0] = j.o.extent[1] = 16;
    j.o.extent[2] = 8;
    j.o.mode = VOLT_TRAIN;
    j.o.threads = 1;
    voxels = j.o.extent[0] * j.o.extent[1] * j.o.extent[2];
    assert_ok(volt_alloc(&j.weights, (size_t)count * sizeof(float), "weights"));
    assert_ok(volt_alloc(&j.gradients, (size_t)count * sizeof(float), "gradients"));
    assert_ok(volt_alloc(&j.input, (size_t)(n * CHANNELS * voxels) * sizeof(float), "input"));
    assert_ok(volt_alloc(&j.labels, (size_t)(n * voxels) * sizeof(int16_t), "labels"));
    volt_init_parameters(j.weights, j.graph, 4);
    for (int64_t i = 0; i < n * CHANNELS * voxels; i++)
        j.input[i] = (float)volt_rng_normal(&rng);
    for (int64_t i = 0; i < n * voxels; i++)
        j.labels[i] = (int16_t)(i / 37 % VALUES);
    return j;
}

static void free_job(job *j)
{
    volt_graph_free(j->graph);
    volt_free(j->weights);
    volt_free(j->gradients);
    volt_free(j->input);
    volt_free(j->labels);
}

static volt_status run_rank(volt_comm *comm, void *context)
{
    job *j = context;
    const int rank = volt_comm_rank(comm);
    const volt_device *dev = j->device ? j->device : j->devices[rank];
    volt_program_options o = j->o;
    volt_program *p = NULL;
    volt_mesh *mesh = NULL;
    int size[VOLT_MESH_AXES];
    volt_status st;

    VOLT_TRY(st, done, volt_mesh_parse(size, j->mesh, volt_comm_size(comm)));
    VOLT_TRY(st, done, volt_mesh_open(&mesh, comm, size));
    o.mesh = mesh;
    if (j->change)
        j->change(&o, rank);
    VOLT_TRY(st, done, volt_program_create(&p, j->graph, dev, &o));
    j->boxes[rank] = volt_program_box(p);
    if (rank == 0)
        volt_program_gathered(p, j->gathered);
    volt_program_memory_of(p, &j->memory[rank]);
    volt_mem_scope_enter(&j->scope[rank]);
    st = volt_program_load(p, j->weights);
    if (st == VOLT_OK && j->run)
        st = j->run(j, p, mesh);
    volt_mem_scope_leave(&j->scope[rank]);
done:
    if (st != VOLT_OK)
        snprintf(j->sentence[rank], sizeof j->sentence[rank], "%d %s", (int)st,
                 volt_last_error());
    volt_program_free(p);
    volt_mesh_close(mesh);
    return st;
}

static volt_status run_job(job *j)
{
    int size[VOLT_MESH_AXES];

    assert_ok(volt_mesh_parse(size, j->mesh, 0));
    return volt_ranks_run(volt_mesh_ranks(size), run_rank, j);
}

/* The part of an array (channels,d,h,w) of one sample that lies in the program's box. */
static void cut(void *part, const void *whole, size_t size, int64_t channels,
                const volt_program *p, const int64_t extent[3])
{
    const volt_box b = volt_program_box(p);
    const size_t line = (size_t)(b.high[2] - b.low[2]) * size;
    char *out = part;

    for (int64_t c = 0; c < channels; c++)
        for (int64_t d = b.low[0]; d < b.high[0]; d++)
            for (int64_t h = b.low[1]; h < b.high[1]; h++, out += line)
                memcpy(
                    out,
                    (const char *)whole +
                        (size_t)(((c * extent[0] + d) * extent[1] + h) * extent[2] + b.low[2]) *
                            size,
                    line);
}

/* Forward and loss of one sample. */
static volt_status forward_and_loss(const job *j, volt_program *p, double *loss, bool gradient)
{
    const int64_t voxels = volt_box_voxels(volt_program_box(p));
    const volt_loss_options o = volt_loss_nnunet(2, false);
    volt_loss_result result = {0};
    int16_t *labels = NULL;
    float *input = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc(&input, (size_t)(CHANNELS * voxels) * sizeof *input, "input"));
    VOLT_TRY(st, done, volt_alloc(&labels, (size_t)voxels * sizeof *labels, "labels"));
    cut(input, j->input, sizeof *input, CHANNELS, p, j->o.extent);
    cut(labels, j->labels, sizeof *labels, 1, p, j->o.extent);
    VOLT_TRY(st, done, volt_program_forward(p, input, 0));
    VOLT_TRY(st, done, volt_program_loss(p, &o, labels, gradient));
    VOLT_TRY(st, done, volt_program_loss_result(p, &result));
    *loss = result.total;
done:
    volt_free(input);
    volt_free(labels);
    return st;
}

static void ranks_get_boxes_of_the_volume(void **state)
{
    job j = make_job("z=3,x=2", 1);
    int64_t voxels = 0;

    (void)state;
    for (int a = 0; a < 3; a++)
        j.o.gather[a] = 64;
    assert_ok(run_job(&j));
    for (int i = 0; i < 6; i++) {
        voxels += volt_box_voxels(j.boxes[i]);
        for (int a = 0; a < 3; a++)
            assert_true(j.boxes[i].low[a] % 4 == 0 && j.boxes[i].high[a] % 4 == 0);
    }
    assert_int_equal(voxels, 16 * 16 * 8);
    assert_int_equal(j.boxes[0].high[0], 8); /* 4 units of 4 over 3 ranks */
    assert_int_equal(j.boxes[5].low[2], 4);
    assert_true(j.gathered[0] == 64 && j.gathered[1] == INT64_MAX && j.gathered[2] == 64);
    free_job(&j);
}

/* Five parts cannot be cut at multiples of 4, but at multiples of 2. */
static void levels_that_cannot_be_cut_are_gathered(void **state)
{
    job j = make_job("z=5", 1);

    (void)state;
    assert_ok(run_job(&j));
    assert_true(j.gathered[0] >= 1 && j.gathered[0] <= 2);
    j.o.gather[0] = j.o.gather[1] = j.o.gather[2] = 4;
    assert_fails(run_job(&j), VOLT_EINVAL, "16 voxels along z");
    free_job(&j);
}

static void other_seed(volt_program_options *o, int rank)
{
    o->seed += (uint64_t)(rank == 1);
}

static void other_batch(volt_program_options *o, int rank)
{
    o->n += rank;
}

static void what_cannot_be_is_refused_on_all_ranks(void **state)
{
    job j = make_job("z=2", 1);

    (void)state;
    j.o.box = volt_box_of_shape(j.o.extent);
    assert_fails(run_job(&j), VOLT_EINVAL, "a box is given");
    j.o.box = (volt_box){{0}, {0}};
    j.o.samples = 2;
    assert_fails(run_job(&j), VOLT_EINVAL, "a batch of 2 samples, and the ranks have 1");
    j.o.samples = 1;
    assert_ok(run_job(&j));
    j.change = other_seed;
    assert_fails(run_job(&j), VOLT_EINVAL, "ranks 0 and 1 differ in the program's options");
    j.o.samples = 0;
    j.change = other_batch;
    assert_fails(run_job(&j), VOLT_EINVAL, "differ in the number of samples");
    j.change = NULL;
    j.o.gather[1] = -1;
    assert_fails(run_job(&j), VOLT_EINVAL, "a stride of -1 along h");
    j.o.gather[1] = 0;
    j.mesh = "x=2,stage=2";
    assert_fails(run_job(&j), VOLT_ENOTSUP, "stages cannot be combined");
    j.mesh = "x=9";
    assert_fails(run_job(&j), VOLT_EINVAL, "8 voxels along x");
    free_job(&j);
}

/* What the steps announce is what is sent. */
static volt_status count_messages(job *j, volt_program *p, const volt_mesh *mesh)
{
    int64_t before, after, announced = 0;
    double loss;
    volt_status st;

    volt_comm_counts(mesh->world, NULL, &before);
    VOLT_TRY(st, done, forward_and_loss(j, p, &loss, true));
    volt_comm_counts(mesh->world, NULL, &after);
    for (int i = 0; i < volt_program_step_count(p); i++) {
        volt_step_info info;

        volt_program_step(p, i, &info);
        if (!strcmp(info.name, "loss"))
            break;
        announced += (int64_t)info.sent;
        if ((info.sent > 0) != (info.peers > 0))
            return volt_fail(VOLT_EINTERNAL, "%s has %d peers and sends %zu bytes", info.name,
                             info.peers, info.sent);
    }
    if (announced <= 0 || announced > after - before)
        return volt_fail(VOLT_EINTERNAL, "%lld bytes announced, %lld sent",
                         (long long)announced, (long long)(after - before));
    /* the loss: bad labels, and for 2 levels of 1 sample 3 + 6 * 3 numbers */
    if (after - before - announced !=
        (volt_comm_size(mesh->world) - 1) * (1 + 2 * (3 + 6 * VALUES)) * 8)
        return volt_fail(VOLT_EINTERNAL, "%lld bytes announced, %lld sent",
                         (long long)announced, (long long)(after - before));
    st = volt_program_backward(p);
done:
    return st;
}

static void steps_announce_what_they_send(void **state)
{
    job j = make_job("z=2,y=2", 1);

    (void)state;
    j.run = count_messages;
    assert_ok(run_job(&j));
    for (int a = 0; a < 3; a++)
        j.o.gather[a] = 64;
    assert_ok(run_job(&j));
    free_job(&j);
}

static volt_status bad_label(job *j, volt_program *p, const volt_mesh *mesh)
{
    char *sentence = j->sentence[volt_comm_rank(mesh->world)];
    double loss;

    if (forward_and_loss(j, p, &loss, true) != VOLT_EINVAL)
        return volt_fail(VOLT_EINTERNAL, "a bad label was taken");
    snprintf(sentence, sizeof j->sentence[0], "%s", volt_last_error());
    return VOLT_OK;
}

/* The sentence of one rank, on all. */
static void bad_labels_are_named_in_the_batch(void **state)
{
    job j = make_job("z=2,x=2", 1);

    (void)state;
    j.labels[(9 * 16 + 3) * 8 + 6] = 77;
    j.labels[(9 * 16 + 4) * 8 + 1] = 78;
    j.run = bad_label;
    assert_ok(run_job(&j));
    for (int i = 0; i < 4; i++)
        assert_non_null(strstr(j.sentence[i], "label 77 at voxel 1182 of the batch"));
    j.mesh = "stage=3"; /* the last one finds it */
    assert_ok(run_job(&j));
    for (int i = 0; i < 3; i++)
        assert_non_null(strstr(j.sentence[i], "label 77 at voxel 1182 of the batch"));
    free_job(&j);
}

static volt_status train_once(job *j, volt_program *p, const volt_mesh *mesh)
{
    double loss;
    volt_status st = forward_and_loss(j, p, &loss, true);

    (void)mesh;
    return st == VOLT_OK ? volt_program_backward(p) : st;
}

static int runs_left;

static volt_status failing_run(volt_op *op, void *const *operands, void *scratch,
                               volt_stream *stream)
{
    if (runs_left-- <= 0)
        return volt_fail(VOLT_EDEVICE, "the device is on fire");
    return cpu->op_run(op, operands, scratch, stream);
}

static volt_status failing_create(const volt_device *dev, volt_op **out,
                                  const volt_op_spec *spec)
{
    (void)dev;
    if (spec->kind == VOLT_OP_NORM_FINISH)
        return volt_fail(VOLT_EDEVICE, "no operators today");
    return cpu->op_create(cpu, out, spec);
}

/* Rank 2 fails: at each of some steps, forward and backward. */
static void all_ranks_fail_with_one(void **state)
{
    volt_device burning = *cpu;
    job j = make_job("z=2,y=2", 1);

    (void)state;
    j.run = train_once;
    j.device = NULL;
    for (int i = 0; i < 4; i++)
        j.devices[i] = cpu;
    assert_ok(run_job(&j));
    j.devices[2] = &burning;
    burning.op_run = failing_run;
    for (int at = 0; at < 120; at += 17) {
        runs_left = at;
        assert_fails(run_job(&j), VOLT_EDEVICE, "the device is on fire");
        for (int i = 0; i < 4; i++) {
            assert_non_null(strstr(j.sentence[i], "on fire"));
            assert_int_equal(atoi(j.sentence[i]), i == 2 ? VOLT_EDEVICE : VOLT_EPEER);
        }
    }
    burning.op_run = cpu->op_run;
    burning.op_create = failing_create;
    assert_fails(run_job(&j), VOLT_EDEVICE, "no operators today");
    for (int i = 0; i < 4; i++)
        assert_non_null(strstr(j.sentence[i], "no operators today"));
    free_job(&j);
}

static void all_stages_fail_with_one(void **state)
{
    volt_device burning = *cpu;
    job j = make_job("stage=4", 1);

    (void)state;
    j.run = train_once;
    j.device = NULL;
    for (int i = 0; i < 4; i++)
        j.devices[i] = i == 2 ? &burning : cpu;
    burning.op_run = failing_run;
    for (int at = 0; at < 12; at += 4) {
        runs_left = at;
        assert_fails(run_job(&j), VOLT_EDEVICE, "the device is on fire");
        for (int i = 0; i < 4; i++) {
            assert_non_null(strstr(j.sentence[i], "on fire"));
            assert_int_equal(atoi(j.sentence[i]), i == 2 ? VOLT_EDEVICE : VOLT_EPEER);
        }
    }
    free_job(&j);
}

static volt_status failing_upload(const volt_device *dev, void *to, const void *from,
                                  size_t bytes, volt_stream *stream)
{
    if (runs_left-- <= 0)
        return volt_fail(VOLT_EDEVICE, "no uploads today");
    return cpu->upload(dev, to, from, bytes, stream);
}

/* Rank 1 cannot upload its input, then its labels. */
static volt_status fails_at_upload(job *j, volt_program *p, const volt_mesh *mesh)
{
    runs_left = volt_comm_rank(mesh->world) == 1 ? (int)j->o.seed : runs_left;
    return train_once(j, p, mesh);
}

static void all_ranks_fail_with_an_upload(void **state)
{
    volt_device broken = *cpu;
    job j = make_job("z=2,y=2", 1);

    (void)state;
    j.run = fails_at_upload;
    j.device = NULL;
    for (int i = 0; i < 4; i++)
        j.devices[i] = i == 1 ? &broken : cpu;
    broken.upload = failing_upload;
    for (j.o.seed = 0; j.o.seed < 2; j.o.seed++) {
        runs_left = 1000;
        assert_fails(run_job(&j), VOLT_EDEVICE, "no uploads today");
        for (int i = 0; i < 4; i++)
            assert_non_null(strstr(j.sentence[i], "no uploads today"));
    }
    free_job(&j);
}

/* What training takes is what was announced, input and labels of the test apart. */
static void ranks_take_what_they_announce(void **state)
{
    static const char *const meshes[] = {"data=2", "z=2", "z=2,y=2", "y=2,x=2"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        job j = make_job(meshes[i], 1);
        j.run = train_once;
        assert_ok(run_job(&j));
        for (int r = 0; r < (i < 2 ? 2 : 4); r++) {
            const int64_t voxels = volt_box_voxels(j.boxes[r]);
            const double own = (double)voxels * (CHANNELS * 4 + 2);
            const double took = (double)volt_mem_scope_peak(&j.scope[r]) - own;
            const double announced = (double)j.memory[r].total;

            assert_true(j.memory[r].messages == 0);
            if (!(fabs(took - announced) <= 0.03 * announced))
                fail_msg("rank %d of %s takes %.0f bytes, announced %.0f", r, meshes[i], took,
                         announced);
        }
        free_job(&j);
    }
}

/* Of devices that the host does not reach: copies of messages. */
static void the_hosts_memory_is_announced(void **state)
{
    static const char *const meshes[] = {"data=2", "z=2,x=2"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        job j = make_job(meshes[i % 2], 1);
        const int ranks = i % 2 ? 4 : 2;
        volt_device *far[4] = {NULL};

        j.device = NULL;
        j.o.accumulate = i / 2;
        j.run = train_once;
        for (int r = 0; r < ranks; r++) {
            assert_ok(volt_device_open(&far[r], "cpu"));
            queue_device_open(&far[r], (queue_options){.seed = 3});
            j.devices[r] = far[r];
        }
        assert_ok(run_job(&j));
        for (int r = 0; r < ranks; r++) {
            const volt_program_memory *m = &j.memory[r];
            const double announced = (double)(m->total + m->messages);
            const double own = (double)volt_box_voxels(j.boxes[r]) * (CHANNELS * 4 + 2);
            const double took = (double)volt_mem_scope_peak(&j.scope[r]) - own;

            assert_true(m->messages > 0);
            if (!(fabs(took - announced) <= 0.03 * announced))
                fail_msg("rank %d of %s takes %.0f bytes, announced %.0f", r, meshes[i % 2],
                         took, announced);
            volt_device_close(far[r]);
        }
        free_job(&j);
    }
}

/* Rank 1 writes an infinity into the gradient of one convolution's weights. */
static volt_op *chosen;

static volt_status choosing_create(const volt_device *dev, volt_op **out,
                                   const volt_op_spec *spec)
{
    const volt_status st = cpu->op_create(cpu, out, spec);

    (void)dev;
    if (st == VOLT_OK && spec->kind == VOLT_OP_CONV_BWD_WEIGHTS)
        chosen = *out;
    return st;
}

static volt_status overflowing_run(volt_op *op, void *const *operands, void *scratch,
                                   volt_stream *stream)
{
    const volt_status st = cpu->op_run(op, operands, scratch, stream);

    if (op == chosen && runs_left-- == 0)
        *(float *)operands[1] = INFINITY;
    return st;
}

/* Three scaled steps, the second of which overflows. */
static volt_status scaled_steps(job *j, volt_program *p, const volt_mesh *mesh)
{
    const volt_optimizer_settings settings = volt_optimizer_nnunet();
    const int64_t count = volt_graph_param_elements(j->graph);
    float *before = NULL, *after = NULL;
    volt_update_scalars s[3];
    volt_optimizer *o = NULL;
    double loss;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&before, (size_t)count * sizeof *before, "weights"));
    VOLT_TRY(st, done, volt_alloc(&after, (size_t)count * sizeof *after, "weights"));
    VOLT_TRY(st, done, volt_optimizer_create(&o, volt_program_parameters(p), &settings));
    VOLT_TRY(st, done, volt_optimizer_set_loss_scale(o, 1024, 0, 100));
    volt_program_scale_loss(p, volt_optimizer_loss_scale(o));
    for (int i = 0; i < 3; i++) {
        VOLT_TRY(st, done, volt_program_save(p, before));
        VOLT_TRY(st, done, forward_and_loss(j, p, &loss, true));
        VOLT_TRY(st, done, volt_program_backward(p));
        if (j->o.accumulate)
            VOLT_TRY(st, done, volt_program_accumulate(p, 0, 1));
        VOLT_TRY(st, done, volt_optimizer_step(o, 0.01));
        VOLT_TRY(st, done, volt_optimizer_scalars(o, &s[i]));
        VOLT_TRY(st, done, volt_program_save(p, after));
        if ((memcmp(before, after, (size_t)count * sizeof *before) == 0) != (i == 1))
            st = volt_fail(VOLT_EINTERNAL, "step %d %s the weights", i,
                           i == 1 ? "changes" : "does not change");
        VOLT_TRY(st, done, st);
        VOLT_TRY(st, done,
                 volt_comm_same(mesh->world, "weights", after, (size_t)count * sizeof *after));
    }
    if (s[0].loss_scale != 1024 || s[1].loss_scale != 512 || s[2].loss_scale != 512)
        st = volt_fail(VOLT_EINTERNAL, "the scales are %g, %g, %g", s[0].loss_scale,
                       s[1].loss_scale, s[2].loss_scale);
done:
    volt_optimizer_free(o);
    volt_free(before);
    volt_free(after);
    return st;
}

static void an_overflow_on_one_rank_skips_all_steps(void **state)
{
    static const char *const meshes[] = {"data=3", "z=2,y=2"};
    volt_device overflowing = *cpu;

    (void)state;
    overflowing.op_create = choosing_create;
    overflowing.op_run = overflowing_run;
    for (int i = 0; i < 4; i++) {
        job j = make_job(meshes[i % 2], 1);

        j.run = scaled_steps;
        j.o.accumulate = i / 2;
        j.device = NULL;
        for (int r = 0; r < 4; r++)
            j.devices[r] = r == 1 ? &overflowing : cpu;
        runs_left = 1;
        assert_ok(run_job(&j));
        free_job(&j);
    }
}

/* Slabs of the logits. */
static volt_status infer(job *j, volt_program *p, const volt_mesh *mesh)
{
    const volt_box b = volt_program_box(p);
    const int64_t voxels = volt_box_voxels(b), whole = 16 * 16 * 8;
    float *input = NULL, *logits = NULL;
    volt_status st;

    (void)mesh;
    VOLT_TRY(st, done, volt_alloc(&input, (size_t)(CHANNELS * voxels) * 4, "input"));
    VOLT_TRY(st, done, volt_alloc(&logits, (size_t)(VALUES * voxels) * 4, "logits"));
    cut(input, j->input, sizeof *input, CHANNELS, p, j->o.extent);
    VOLT_TRY(st, done, volt_program_forward(p, input, 0));
    VOLT_TRY(st, done, volt_program_download(p, 0, logits));
    for (int64_t k = 0; k < VALUES; k++)
        memcpy(j->logits + k * whole + b.low[0] * 16 * 8, logits + k * voxels,
               (size_t)voxels * sizeof *logits);
done:
    volt_free(input);
    volt_free(logits);
    return st;
}

static void slabs_are_segmented_as_the_whole(void **state)
{
    static const char *const meshes[] = {"z=1", "z=2", "z=4", "z=5"};
    float logits[4][VALUES * 16 * 16 * 8];
    job j = make_job("z=1", 1);

    (void)state;
    j.o.mode = VOLT_INFER;
    j.run = infer;
    for (int i = 0; i < 4; i++) {
        j.mesh = meshes[i];
        j.logits = logits[i];
        assert_ok(run_job(&j));
        assert_near(meshes[i], logits[i], logits[0], VALUES * 16 * 16 * 8, 1e-5, 0);
    }
    free_job(&j);
}

/* Losses at the weights that the job has, and gradients at those of the first run. */
static volt_status differences(job *j, volt_program *p, const volt_mesh *mesh)
{
    const int rank = volt_comm_rank(mesh->world);
    volt_status st;

    VOLT_TRY(st, done, forward_and_loss(j, p, &j->loss[rank], true));
    VOLT_TRY(st, done, volt_program_backward(p));
    if (rank == 0) {
        const volt_parameters q = volt_program_parameters(p);
        memcpy(j->gradients, q.gradients, (size_t)q.count * sizeof(float));
    }
done:
    return st;
}

static double loss_along(job *j, const float *at, const float *direction, double step)
{
    for (int64_t i = 0; i < volt_graph_param_elements(j->graph); i++)
        j->weights[i] = (float)(at[i] + step * direction[i]);
    assert_ok(run_job(j));
    return j->loss[0];
}

/* Along random directions, in all parameters and in single ones. */
static void check_differences(job j)
{
    const int64_t count = volt_graph_param_elements(j.graph);
    const int params = volt_graph_param_count(j.graph);
    volt_rng rng = volt_rng_open(2, 0, 0, VOLT_RNG_TEST);
    float *at, *direction, *gradients;
    const double step = 1e-3;

    j.device = reference;
    j.run = differences;
    assert_ok(volt_alloc(&at, (size_t)count * sizeof *at, "weights"));
    assert_ok(volt_alloc(&direction, (size_t)count * sizeof *at, "a direction"));
    assert_ok(volt_alloc(&gradients, (size_t)count * sizeof *at, "gradients"));
    memcpy(at, j.weights, (size_t)count * sizeof *at);
    assert_ok(run_job(&j));
    memcpy(gradients, j.gradients, (size_t)count * sizeof *at);
    for (int i = -1; i < params; i += 4) {
        double slope = 0, norm = 0, measured;

        for (int64_t k = 0; k < count; k++) {
            const volt_param *q = i < 0 ? NULL : volt_graph_param(j.graph, i);
            const bool moves = !q || (k >= q->offset && k < q->offset + q->count);
            direction[k] = moves ? (float)volt_rng_normal(&rng) : 0;
            norm += (double)direction[k] * direction[k];
        }
        for (int64_t k = 0; k < count; k++) {
            direction[k] = (float)(direction[k] / sqrt(norm));
            slope += (double)direction[k] * gradients[k];
        }
        measured =
            (loss_along(&j, at, direction, step) - loss_along(&j, at, direction, -step)) /
            (2 * step);
        if (!(fabs(measured - slope) <= 2e-2 * fabs(slope) + 2e-4))
            fail_msg("parameter %d: slope %g, measured %g", i, slope, measured);
    }
    volt_free(at);
    volt_free(direction);
    volt_free(gradients);
    free_job(&j);
}

static void gradients_are_those_of_finite_differences(void **state)
{
    (void)state;
    check_differences(make_job("z=2,y=2", 1));
}

/* With linear upsampling in place of transposed convolutions. */
static void so_are_those_of_linear_upsampling(void **state)
{
    static const volt_conv cube = {{3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
    static const volt_conv down = {{3, 3, 3}, {2, 4, 2}, {1, 1, 1}, {1, 1, 1}};
    static const int64_t up[3] = {2, 4, 2};
    job j = make_job("z=2,x=2", 1);
    volt_value x, a, b;
    volt_graph *g = NULL;

    (void)state;
    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &x, CHANNELS));
    assert_ok(volt_graph_conv(g, &a, x, "a", 3, &cube, true));
    assert_ok(volt_graph_instance_norm(g, &a, a, "an", 1e-5));
    assert_ok(volt_graph_conv(g, &b, a, "b", 4, &down, true));
    assert_ok(volt_graph_activation(g, &b, b, 0.3));
    assert_ok(volt_graph_conv(g, &x, b, "low", VALUES, &cube, true));
    assert_ok(volt_graph_upsample(g, &b, b, VOLT_NODE_UPSAMPLE_LINEAR, up));
    assert_ok(volt_graph_concat(g, &b, (volt_value[]){b, a}, 2));
    assert_ok(volt_graph_conv(g, &b, b, "c", VALUES, &cube, true));
    assert_ok(volt_graph_output(g, b));
    assert_ok(volt_graph_output(g, x));
    volt_graph_free(j.graph);
    j.graph = g;
    for (int i = 0; i < 3; i++)
        j.o.gather[i] = 64;
    volt_free(j.weights);
    volt_free(j.gradients);
    assert_ok(
        volt_alloc(&j.weights, (size_t)volt_graph_param_elements(g) * sizeof(float), "w"));
    assert_ok(
        volt_alloc(&j.gradients, (size_t)volt_graph_param_elements(g) * sizeof(float), "w"));
    volt_init_parameters(j.weights, g, 4);
    check_differences(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_get_boxes_of_the_volume),
        cmocka_unit_test(levels_that_cannot_be_cut_are_gathered),
        cmocka_unit_test(what_cannot_be_is_refused_on_all_ranks),
        cmocka_unit_test(steps_announce_what_they_send),
        cmocka_unit_test(bad_labels_are_named_in_the_batch),
        cmocka_unit_test(all_ranks_fail_with_one),
        cmocka_unit_test(all_stages_fail_with_one),
        cmocka_unit_test(all_ranks_fail_with_an_upload),
        cmocka_unit_test(ranks_take_what_they_announce),
        cmocka_unit_test(the_hosts_memory_is_announced),
        cmocka_unit_test(an_overflow_on_one_rank_skips_all_steps),
        cmocka_unit_test(slabs_are_segmented_as_the_whole),
        cmocka_unit_test(gradients_are_those_of_finite_differences),
        cmocka_unit_test(so_are_those_of_linear_upsampling),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
