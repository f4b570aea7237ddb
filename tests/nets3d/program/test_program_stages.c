/* Programs whose units are dealt out to stages: the training is that of one rank, with one
 * batch at a time and with all parts of a batch under way; what steps tell, and what is
 * refused. */
#include <stdio.h>

#include "base/core/alloc.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/program_internal.h"
#include "parallel/ranks.h"
#include "tests/kit/devices.h"
#include "tests/kit/networks.h"
#include "tests/kit/rank_compare.h"

/* Convolutions and pooling, as in a network for classification; its few logits are spread over
 * the voxels that have labels. */
static volt_graph *build_chain(void)
{
    static const int64_t two[3] = {2, 2, 2}, eight[3] = {8, 8, 8};
    volt_graph *g;
    volt_value v;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, 2));
    assert_ok(volt_graph_conv(g, &v, v, "first", 6, &conv_3, true));
    assert_ok(volt_graph_activation(g, &v, v, 0));
    assert_ok(volt_graph_pool(g, &v, v, VOLT_NODE_MAX_POOL, two, two));
    assert_ok(volt_graph_conv(g, &v, v, "second", 8, &conv_3, true));
    assert_ok(volt_graph_instance_norm(g, &v, v, "norm", 1e-5));
    assert_ok(volt_graph_activation(g, &v, v, 0.01));
    assert_ok(volt_graph_conv(g, &v, v, "third", 8, &conv_3_down, true));
    assert_ok(volt_graph_prelu(g, &v, v, "slopes", 8));
    assert_ok(volt_graph_pool(g, &v, v, VOLT_NODE_AVERAGE_POOL, two, two));
    assert_ok(volt_graph_dropout(g, &v, v, 0.2));
    assert_ok(volt_graph_conv(g, &v, v, "last", 3, &conv_1, true));
    assert_ok(volt_graph_upsample(g, &v, v, VOLT_NODE_UPSAMPLE_NEAREST, eight));
    assert_ok(volt_graph_output(g, v));
    return g;
}

static const rank_case plain = {
    .name = "U-Net", .build = build_unet3d, .n = 2, .extent = {8, 12, 8}, .values = 3};

static void a_network_with_skips(void **state)
{
    rank_case c = plain;

    (void)state;
    c.batch_dice = true; /* of the whole batch, which is under way at once */
    check_meshes(&c, cpu, VOLT_FP32,
                 RANK_MESHES("stage=2", "stage=3", "stage=7", "data=2,stage=2"));
    check_meshes(&plain, reference, VOLT_FP32, RANK_MESHES("stage=2", "data=2,stage=3"));
}

static void stages_of_a_residual_network(void **state)
{
    const rank_case c = {
        .name = "residual", .build = build_residual, .n = 1, .extent = {4, 8, 8}, .values = 3};

    (void)state;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("stage=3", "stage=2"));
    check_meshes(&c, reference, VOLT_FP32, RANK_MESHES("stage=4"));
}

static void a_network_of_every_kind(void **state)
{
    const network *zoo = network_called("zoo");
    rank_case c = {.name = "zoo", .build = zoo->build, .n = zoo->n, .values = 3};

    (void)state;
    memcpy(c.extent, zoo->extent, sizeof c.extent);
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("stage=2", "stage=5"));
}

static void a_chain(void **state)
{
    rank_case c = {
        .name = "chain", .build = build_chain, .n = 2, .extent = {8, 16, 8}, .values = 3};

    (void)state;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("stage=2", "stage=3", "stage=9"));
    check_meshes(&c, reference, VOLT_FP32, RANK_MESHES("stage=3", "data=2,stage=2"));
}

/* All parts forward before the first goes backward. */
static void parts_of_a_batch_in_a_pipeline(void **state)
{
    rank_case c = plain;

    (void)state;
    c.parts = 3;
    c.together = true;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("stage=2", "stage=3", "data=2,stage=2"));
    check_meshes(&c, reference, VOLT_FP32, RANK_MESHES("stage=2"));
    c.together = false;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("stage=3"));
    c.build = build_chain;
    c.name = "chain";
    c.together = true;
    c.parts = 2;
    c.extent[0] = 16;
    c.extent[1] = 8;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("stage=3", "data=2,stage=3"));
}

static const uint8_t regions[] = {0, 0, 1, 0, 1, 1}; /* (values,channels) */

/* A loss whose sums most ranks have no part of. */
static void stages_of_regions_and_ignored_voxels(void **state)
{
    const rank_case c = {.name = "regions",
                         .build = network_called("unet2d")->build,
                         .n = 3,
                         .extent = {1, 16, 12},
                         .values = 3,
                         .regions = regions,
                         .ignore = true};

    (void)state;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("stage=2", "data=2,stage=2"));
    check_meshes(&c, reference, VOLT_FP32, RANK_MESHES("stage=3"));
}

static void stages_in_bfloat16(void **state)
{
    rank_case c = plain;

    (void)state;
    if (!cpu->supports(cpu, VOLT_BF16_MIXED))
        skip_because("this processor has no bf16");
    c.extent[0] = 32;
    c.extent[1] = 24;
    c.extent[2] = 24;
    check_meshes(&c, cpu, VOLT_BF16_MIXED, RANK_MESHES("stage=2", "stage=3"));
}

/* 20 steps, and gradients that are clipped in each. */
static void stages_of_a_longer_training(void **state)
{
    rank_case c = plain;

    (void)state;
    c.steps = 20;
    c.clip = 0.05;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("stage=2", "stage=3", "data=2,stage=2"));
}

static void stages_with_frozen_parameters(void **state)
{
    rank_case c = plain;

    (void)state;
    c.frozen = true;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("stage=2", "stage=4"));
}

/* The same bits where messages go by way of the host. */
static void stages_of_memory_out_of_reach(void **state)
{
    rank_case c = plain;
    rank_result near, far;

    (void)state;
    for (int i = 0; i < 2; i++) {
        c.parts = i ? 2 : 0;
        c.together = i;
        rank_train(&near, &c, cpu, VOLT_FP32, "data=2,stage=2");
        rank_train(&far, &c, NULL, VOLT_FP32, "data=2,stage=2");
        assert_ranks_equal("memory apart", &far, &near);
        rank_result_free(&near);
        rank_result_free(&far);
    }
}

/* ---- one program on each rank ---- */

#define MOST_RANKS 4

typedef struct job {
    volt_graph *graph;
    const char *mesh;
    volt_program_options o;
    float *weights, *input;
    int16_t *labels;
    volt_program_memory memory[MOST_RANKS];
    int sends[MOST_RANKS], receives[MOST_RANKS], skips[MOST_RANKS], operators[MOST_RANKS];
    int64_t sent[MOST_RANKS], received[MOST_RANKS];
    char outputs[MOST_RANKS][128];
} job;

static volt_status count_steps(job *j, volt_program *p, int rank)
{
    for (int i = 0; i < volt_program_step_count(p); i++) {
        const size_t none = 0;
        volt_step_info info;

        volt_program_step(p, i, &info);
        j->operators[rank] += info.flops > 0;
        if (!strstr(info.name, " send") && !strstr(info.name, " receive"))
            continue;
        if (info.peers < 1 || (info.sent > none) == (info.received > none))
            return volt_fail(VOLT_EINTERNAL, "%s: %d peers, %zu bytes sent, %zu received",
                             info.name, info.peers, info.sent, info.received);
        j->sends[rank] += info.sent > none;
        j->receives[rank] += info.received > none;
        j->skips[rank] += info.sent > none && info.peers > 1;
        j->sent[rank] += (int64_t)info.sent;
        j->received[rank] += (int64_t)info.received;
    }
    return VOLT_OK;
}

static volt_status run_passes(job *j, volt_program *p, const volt_mesh *mesh)
{
    const int rank = volt_comm_rank(mesh->world), last = mesh->size[VOLT_MESH_STAGE] - 1;
    const volt_loss_options o = volt_loss_nnunet(volt_graph_output_count(j->graph), false);
    volt_loss_result result = {0};
    int64_t before, after, shape[5];
    float *logits = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_program_output_shape(p, 0, shape));
    VOLT_TRY(st, done,
             volt_alloc(&logits,
                        (size_t)(shape[0] * shape[1] * shape[2] * shape[3] * shape[4]) *
                            sizeof *logits,
                        "logits"));
    volt_comm_counts(mesh->stage, NULL, &before);
    VOLT_TRY(st, done, volt_program_forward(p, rank ? NULL : j->input, 0));
    snprintf(j->outputs[rank], sizeof j->outputs[rank], "%s",
             volt_program_download(p, 0, logits) == VOLT_OK ? "" : volt_last_error());
    VOLT_TRY(st, done, volt_program_loss(p, &o, rank == last ? j->labels : NULL, true));
    VOLT_TRY(st, done, volt_program_loss_result(p, &result));
    VOLT_TRY(st, done, volt_program_backward(p));
    volt_comm_counts(mesh->stage, NULL, &after);
    if (after - before != j->sent[rank])
        st = volt_fail(VOLT_EINTERNAL, "%lld bytes announced, %lld sent",
                       (long long)j->sent[rank], (long long)(after - before));
done:
    volt_free(logits);
    return st;
}

static volt_status run_rank(volt_comm *comm, void *context)
{
    job *j = context;
    const int rank = volt_comm_rank(comm);
    volt_program_options o = j->o;
    volt_program *p = NULL;
    volt_mesh *mesh = NULL;
    int size[VOLT_MESH_AXES];
    volt_status st;

    VOLT_TRY(st, done, volt_mesh_parse(size, j->mesh, volt_comm_size(comm)));
    VOLT_TRY(st, done, volt_mesh_open(&mesh, comm, size));
    o.mesh = mesh;
    VOLT_TRY(st, done, volt_program_create(&p, j->graph, cpu, &o));
    volt_program_memory_of(p, &j->memory[rank]);
    VOLT_TRY(st, done, count_steps(j, p, rank));
    VOLT_TRY(st, done, volt_program_load(p, j->weights));
    if (o.mode == VOLT_TRAIN)
        st = run_passes(j, p, mesh);
done:
    volt_program_free(p);
    volt_mesh_close(mesh);
    return st;
}

static volt_status run_job(job *j, volt_graph *graph, const char *mesh)
{
    const int64_t voxels = 8 * 8 * 8;
    int size[VOLT_MESH_AXES];
    volt_status st;

    *j = (job){.graph = graph, .mesh = mesh, .o = j->o};
    assert_ok(volt_alloc_zero(&j->weights, (size_t)volt_graph_param_elements(graph),
                              sizeof *j->weights, "weights"));
    assert_ok(volt_alloc_zero(&j->input, (size_t)(2 * voxels), sizeof *j->input, "input"));
    assert_ok(volt_alloc_zero(&j->labels, (size_t)voxels, sizeof *j->labels, "labels"));
    volt_init_parameters(j->weights, graph, 4);
    for (int64_t i = 0; i < 2 * voxels; i++)
        j->input[i] = (float)(i % 17);
    for (int a = 0; a < 3; a++)
        j->o.extent[a] = 8;
    j->o.threads = 1;
    assert_ok(volt_mesh_parse(size, mesh, 0));
    st = volt_ranks_run(volt_mesh_ranks(size), run_rank, j);
    volt_free(j->weights);
    volt_free(j->input);
    volt_free(j->labels);
    volt_graph_free(graph);
    return st;
}

static job training_job(void)
{
    job j = {.o = volt_program_defaults()};

    j.o.mode = VOLT_TRAIN;
    return j;
}

static void steps_tell_what_crosses(void **state)
{
    int64_t sent = 0, received = 0;
    job j = training_job();

    (void)state;
    assert_ok(run_job(&j, build_unet3d(), "stage=3"));
    for (int i = 0; i < 3; i++) {
        assert_true(j.sends[i] > 0 && j.receives[i] > 0 && j.operators[i] > 2);
        sent += j.sent[i];
        received += j.received[i];
    }
    assert_int_equal(sent, received);
    assert_string_equal(j.outputs[2], "");
    assert_string_equal(j.outputs[0], "outputs are with the last stage, and this is stage 0");
}

/* Every rank holds the parameters, but only its own activations and packed weights. */
static void a_stage_holds_its_own(void **state)
{
    job one = training_job(), two = training_job();

    (void)state;
    one.o.keep_forms = two.o.keep_forms = true;
    assert_ok(run_job(&one, build_unet3d(), "stage=1"));
    assert_ok(run_job(&two, build_unet3d(), "stage=2"));
    assert_true(two.memory[0].packed < one.memory[0].packed);
    assert_true(two.memory[1].packed < one.memory[0].packed);
    assert_true(two.memory[0].activations < one.memory[0].activations);
    assert_true(two.memory[1].activations < one.memory[0].activations);
    one.o.mode = two.o.mode = VOLT_INFER;
    assert_ok(run_job(&one, build_unet3d(), "stage=1"));
    assert_ok(run_job(&two, build_unet3d(), "stage=2"));
    assert_true(two.memory[0].packed < one.memory[0].packed);
}

static void what_cannot_be_is_refused(void **state)
{
    job j = training_job();

    (void)state;
    assert_fails(run_job(&j, build_batch_norm(), "stage=2"), VOLT_ENOTSUP,
                 "an.weight: a batch norm takes statistics over the batch");
    assert_fails(run_job(&j, build_unet3d(), "z=2,stage=2"), VOLT_ENOTSUP,
                 "stages cannot be combined with parts of the volume");
    assert_fails(run_job(&j, build_batch_norm(), "data=2,stage=2"), VOLT_ENOTSUP, "an.weight");
    j.o.mode = VOLT_INFER; /* statistics are at hand */
    assert_ok(run_job(&j, build_batch_norm(), "stage=2"));
}

static int finish(void **state)
{
    forget_one_rank();
    return close_devices(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain),
        cmocka_unit_test(a_network_with_skips),
        cmocka_unit_test(stages_of_a_residual_network),
        cmocka_unit_test(a_network_of_every_kind),
        cmocka_unit_test(parts_of_a_batch_in_a_pipeline),
        cmocka_unit_test(stages_of_regions_and_ignored_voxels),
        cmocka_unit_test(stages_in_bfloat16),
        cmocka_unit_test(stages_of_a_longer_training),
        cmocka_unit_test(stages_with_frozen_parameters),
        cmocka_unit_test(stages_of_memory_out_of_reach),
        cmocka_unit_test(steps_tell_what_crosses),
        cmocka_unit_test(a_stage_holds_its_own),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, open_devices, finish);
}
