/* What a training step costs a rank: what is predicted is what it sends. */
#include "base/core/alloc.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/costs.h"
#include "nets3d/program/loss.h"
#include "parallel/mesh/rehearse.h"
#include "parallel/ranks.h"
#include "tests/kit/networks.h"

static const volt_links links = {0, {1e-6, 1e9}, {1e-6, 1e9}};

static volt_device *cpu;

static int open_device(void **state)
{
    (void)state;
    return volt_device_open(&cpu, "cpu") != VOLT_OK;
}

static int close_device(void **state)
{
    (void)state;
    volt_device_close(cpu);
    return 0;
}

/* One case, and what all ranks share. */
typedef struct training {
    volt_graph *(*build)(void);
    int64_t extent[3], samples; /* samples: of all */
    const char *mesh;
    bool batch_dice;
    volt_precision precision;
    volt_graph *graph;
    float *weights, *input;
    int16_t *labels;
} training;

static volt_status compile(volt_program **out, const training *t, const volt_mesh *mesh)
{
    volt_program_options o = volt_program_defaults();

    o.n = t->samples / mesh->size[VOLT_MESH_DATA];
    o.mode = VOLT_TRAIN;
    o.precision = t->precision;
    o.threads = 1;
    o.mesh = mesh;
    memcpy(o.extent, t->extent, sizeof o.extent);
    return volt_program_create(out, t->graph, cpu, &o);
}

static bool same(volt_traffic a, volt_traffic b)
{
    return a.messages == b.messages && a.bytes == b.bytes;
}

static volt_traffic sum_of(const volt_program_costs *c)
{
    return volt_traffic_add(c->halos, volt_traffic_add(c->sums, c->gradients));
}

/* The rank's program compiled alone is the one that it has among its peers. */
static volt_status check_rehearsal(const training *t, const volt_mesh *m, const volt_program *p,
                                   const volt_program_costs *expected)
{
    volt_program_memory memory, other;
    volt_program_costs costs;
    volt_program *alone = NULL;
    volt_mesh *mesh = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_mesh_rehearse(&mesh, m->size, m->at));
    VOLT_TRY(st, done, compile(&alone, t, mesh));
    VOLT_TRY(st, done, volt_program_costs_of(&costs, alone, t->batch_dice, &links, 1e9));
    volt_program_memory_of(p, &memory);
    volt_program_memory_of(alone, &other);
    if (!same(costs.halos, expected->halos) || !same(costs.sums, expected->sums) ||
        !same(costs.gradients, expected->gradients) || costs.flops != expected->flops ||
        costs.wait_s != expected->wait_s || memory.total != other.total)
        st = volt_fail(VOLT_EINTERNAL, "%s: the rehearsal of rank %d differs", t->mesh,
                       volt_comm_rank(m->world));
done:
    volt_program_free(alone);
    volt_mesh_end_rehearsal(mesh);
    return st;
}

static volt_status train_rank(volt_comm *comm, void *context)
{
    const training *t = context;
    const volt_loss_options loss =
        volt_loss_nnunet(volt_graph_output_count(t->graph), t->batch_dice);
    int size[VOLT_MESH_AXES];
    volt_program_costs costs;
    volt_traffic before, after, expected;
    volt_program *p = NULL;
    volt_mesh *m = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_mesh_parse(size, t->mesh, volt_comm_size(comm)));
    VOLT_TRY(st, done, volt_mesh_open(&m, comm, size));
    VOLT_TRY(st, done, compile(&p, t, m));
    VOLT_TRY(st, done, volt_program_costs_of(&costs, p, t->batch_dice, &links, 1e9));
    VOLT_TRY(st, done, check_rehearsal(t, m, p, &costs));
    VOLT_TRY(st, done, volt_program_load(p, t->weights));
    volt_comm_counts(comm, &before.messages, &before.bytes);
    VOLT_TRY(st, done, volt_program_forward(p, t->input, 0));
    VOLT_TRY(st, done, volt_program_loss(p, &loss, t->labels, true));
    VOLT_TRY(st, done, volt_program_backward(p));
    volt_comm_counts(comm, &after.messages, &after.bytes);
    expected = volt_traffic_add(before, sum_of(&costs));
    if (!same(after, expected))
        st = volt_fail(VOLT_EINTERNAL,
                       "%s: rank %d sent %lld messages with %lld bytes, not %lld with %lld",
                       t->mesh, volt_comm_rank(comm),
                       (long long)(after.messages - before.messages),
                       (long long)(after.bytes - before.bytes),
                       (long long)(expected.messages - before.messages),
                       (long long)(expected.bytes - before.bytes));
done:
    volt_program_free(p);
    volt_mesh_close(m);
    return st;
}

/* All ranks get the same numbers, as many as all samples have: what they are is of no account.
 */
static void check(training t)
{
    const int64_t voxels = t.samples * t.extent[0] * t.extent[1] * t.extent[2];
    int size[VOLT_MESH_AXES];

    t.graph = t.build();
    assert_ok(volt_alloc_zero(&t.weights, (size_t)volt_graph_param_elements(t.graph),
                              sizeof(float), "weights"));
    assert_ok(volt_alloc_zero(&t.input, (size_t)(voxels * volt_graph_channels(t.graph, 0)),
                              sizeof(float), "input"));
    assert_ok(volt_alloc_zero(&t.labels, (size_t)voxels, sizeof(int16_t), "labels"));
    volt_init_parameters(t.weights, t.graph, 1);
    assert_ok(volt_mesh_parse(size, t.mesh, 0));
    assert_ok(volt_ranks_run(volt_mesh_ranks(size), train_rank, &t));
    volt_free(t.labels);
    volt_free(t.input);
    volt_free(t.weights);
    volt_graph_free(t.graph);
}

static void costs_are_those_of_a_step(void **state)
{
    static const char *const meshes[] = {"data=1",     "data=2",      "z=2",
                                         "z=3",        "y=2,x=2",     "data=2,z=2",
                                         "data=4,x=2", "z=2,y=2,x=2", "data=2,z=3"};

    (void)state;
    for (size_t i = 0; i < sizeof meshes / sizeof *meshes; i++) {
        for (int dice = 0; dice < 2; dice++)
            check((training){.build = build_unet3d,
                             .extent = {16, 12, 8},
                             .samples = 4,
                             .mesh = meshes[i],
                             .precision = VOLT_FP32,
                             .batch_dice = dice});
    }
}

static void costs_of_other_networks(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        const volt_precision precision = bf16 ? VOLT_BF16_MIXED : VOLT_FP32;

        check((training){.build = build_residual,
                         .extent = {8, 12, 8},
                         .samples = 2,
                         .mesh = "data=2,z=2,y=2",
                         .precision = precision});
        check(
            (training){.build = networks[1].build, /* windows and strides that differ by axis */
                       .extent = {6, 12, 20},
                       .samples = 1,
                       .mesh = "z=3,x=2",
                       .precision = precision});
        check((training){.build = networks[2].build, /* 2-D */
                         .extent = {1, 16, 12},
                         .samples = 3,
                         .mesh = "data=3,y=2",
                         .precision = precision});
    }
}

/* Time of a rehearsed rank. */
static volt_program_costs costs_on(const volt_graph *g, const volt_links *l, const char *text,
                                   double rate)
{
    training t = {
        .extent = {16, 16, 16}, .samples = 2, .precision = VOLT_FP32, .graph = (volt_graph *)g};
    const int at[VOLT_MESH_AXES] = {0};
    int size[VOLT_MESH_AXES];
    volt_program_costs costs;
    volt_program *p = NULL;
    volt_mesh *mesh = NULL;

    assert_ok(volt_mesh_parse(size, text, 0));
    assert_ok(volt_mesh_rehearse(&mesh, size, at));
    assert_ok(compile(&p, &t, mesh));
    assert_ok(volt_program_costs_of(&costs, p, true, l, rate));
    volt_program_free(p);
    volt_mesh_end_rehearsal(mesh);
    return costs;
}

static void costs_in_seconds(void **state)
{
    const volt_links fast = {0, {0, 1e30}, {0, 1e30}}, slow = {0, {1e-3, 1e30}, {0, 1}};
    const volt_links hosts = {1, {0, 1e30}, {1e-3, 1e30}}; /* one rank each */
    volt_graph *g = build_unet3d();
    volt_program_costs one = costs_on(g, &slow, "data=1", 2e9);
    volt_program_costs c = costs_on(g, &fast, "z=2", 1e9);

    (void)state;
    assert_true(one.flops > 0 && one.wait_s == 0);
    assert_true(fabs(one.compute_s - one.flops / 2e9) < 1e-12);
    assert_int_equal(sum_of(&one).messages, 0);
    assert_true(c.wait_s < 1e-12);
    assert_true(c.flops > 0.49 * one.flops && c.flops < 0.6 * one.flops);
    /* Where computing takes no time nothing hides; two ranks wait once for each sum and halo.
     */
    c = costs_on(g, &slow, "z=2", 1e30);
    assert_true(c.wait_s <= (double)sum_of(&c).messages * 1e-3 + 1e-9);
    assert_true(c.wait_s >= (double)(c.halos.messages + c.sums.messages) * 1e-3 - 1e-9);
    /* Slow computing hides gradients, and halos behind weight gradients. */
    assert_true(costs_on(g, &slow, "z=2", 1e3).wait_s < c.wait_s);
    assert_true(fabs(costs_on(g, &hosts, "z=2", 1e30).wait_s - c.wait_s) < 1e-9);
    /* Halos for several peers go together. */
    c = costs_on(g, &slow, "z=2,y=2,x=2", 1e30);
    assert_true(c.wait_s < 0.8 * (double)sum_of(&c).messages * 1e-3);
    volt_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_are_those_of_a_step),
        cmocka_unit_test(costs_of_other_networks),
        cmocka_unit_test(costs_in_seconds),
    };

    return cmocka_run_group_tests(tests, open_device, close_device);
}
