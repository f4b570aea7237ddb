/* Which meshes there are, what they need and which is the best. */
#include "tests/kit/test.h"
#include "base/mem.h"
#include "nets3d/mesh_plan.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/program.h"
#include "parallel/ranks.h"

static volt_network net;

/* Four stages, which halve all axes three times. */
static int open_network(void **state)
{
    int64_t patch[3], batch;

    (void)state;
    return volt_network_preset(&net, patch, &batch, "hippocampus") != VOLT_OK;
}

static int close_network(void **state)
{
    (void)state;
    volt_network_clear(&net);
    return 0;
}

static volt_mesh_plan_options question(int ranks)
{
    volt_mesh_plan_options o = volt_mesh_plan_defaults();

    o.ranks = ranks;
    o.patch[0] = o.patch[2] = 16;
    o.patch[1] = 24;
    o.batch = 2;
    o.rate = 1e9;
    o.threads = 1;
    return o;
}

static volt_mesh_plan *answer(const volt_mesh_plan_options *o)
{
    volt_mesh_plan *plan = NULL;

    assert_ok(volt_mesh_choose(&plan, &net, o));
    return plan;
}

static const volt_mesh_row *find(const volt_mesh_plan *plan, const char *mesh)
{
    char text[VOLT_MESH_TEXT];

    for (int i = 0; i < plan->rows; i++) {
        if (strcmp(volt_mesh_text(text, plan->row[i].size), mesh) == 0)
            return &plan->row[i];
    }
    return NULL;
}

static void mesh_plan_lists_all_meshes(void **state)
{
    static const char *const meshes[] = {"data=2,z=2", "data=2,y=2", "data=2,x=2",
                                         "z=2,y=2",    "z=2,x=2",    "y=2,x=2",
                                         "z=4",        "y=4",        "x=4"};
    const volt_mesh_plan_options o = question(4);
    volt_mesh_plan *plan = answer(&o);

    (void)state;
    assert_int_equal(plan->rows, 9);
    assert_int_equal(plan->best, 0);
    assert_int_equal(plan->nearest, 4);
    for (int i = 0; i < 9; i++) {
        const volt_mesh_row *r = find(plan, meshes[i]);

        assert_non_null(r);
        assert_null(r->why);
        assert_true(r->fits && r->memory.loader == 0);
        assert_int_equal(r->memory.total,
                         r->memory.program + r->memory.optimizer + r->memory.other);
        assert_int_equal(r->samples, 2 / r->size[VOLT_MESH_DATA]);
        for (int a = 0; a < 3; a++) { /* parts differ, as cuts lie where strides allow */
            const int parts = r->size[VOLT_MESH_Z + a];
            assert_true(r->part[a] * parts >= o.patch[a]);
            assert_true(parts == 1 ? r->part[a] == o.patch[a] : r->part[a] < o.patch[a]);
        }
        assert_true(r->halos.messages > 0 && r->sums.messages > 0 && r->gradients.messages > 0);
        assert_true(fabs(r->compute_s - r->flops / 1e9) < 1e-9);
        assert_true(r->wait_s > 0 && r->step_s == r->compute_s + r->wait_s);
        assert_true(i == 0 || plan->row[i - 1].step_s <= plan->row[i].step_s);
    }
    volt_mesh_plan_free(plan);
}

static void mesh_plan_limits(void **state)
{
    const volt_mesh_plan_options o = question(29);
    volt_mesh_plan *plan = answer(&o);

    (void)state;
    assert_int_equal(plan->rows, 0);
    assert_int_equal(plan->best, -1);
    assert_int_equal(plan->nearest, 30); /* 28 is as near */
    assert_int_equal(plan->limit[VOLT_MESH_DATA].most, 2);
    assert_int_equal(plan->limit[VOLT_MESH_Z].most, 16);
    assert_int_equal(plan->limit[VOLT_MESH_Y].most, 24);
    assert_int_equal(plan->limit[VOLT_MESH_X].most, 16);
    assert_int_equal(plan->limit[VOLT_MESH_STAGE].most, 1);
    assert_non_null(strstr(plan->limit[VOLT_MESH_DATA].why, "a batch of 2 samples"));
    assert_non_null(
        strstr(plan->limit[VOLT_MESH_Y].why, "24 voxels along y cannot be cut into 25 parts"));
    volt_mesh_plan_free(plan);
}

static void mesh_plan_memory(void **state)
{
    volt_mesh_plan_options o = question(2);
    volt_mesh_plan *plan = answer(&o), *small;
    size_t least = SIZE_MAX, most = 0;

    (void)state;
    for (int i = 0; i < plan->rows; i++) {
        least = plan->row[i].memory.total < least ? plan->row[i].memory.total : least;
        most = plan->row[i].memory.total > most ? plan->row[i].memory.total : most;
    }
    assert_true(least < most);
    o.memory = most - 1;
    small = answer(&o);
    assert_int_equal(small->rows, plan->rows);
    assert_int_equal(small->best, 0);
    assert_true(small->row[0].fits && !small->row[small->rows - 1].fits);
    volt_mesh_plan_free(small);
    o.memory = least - 1;
    small = answer(&o);
    assert_int_equal(small->best, -1);
    volt_mesh_plan_free(small);
    volt_mesh_plan_free(plan);
}

/* Programs of real ranks. */
typedef struct reality {
    const volt_mesh_row *row;
    const volt_graph *graph;
    const volt_device *device;
    size_t bytes[16];
} reality;

static volt_status compile(volt_comm *comm, void *context)
{
    reality *r = context;
    const volt_mesh_plan_options q = question(volt_comm_size(comm));
    volt_program_options o = volt_program_defaults();
    volt_program_memory memory;
    volt_program *p = NULL;
    volt_mesh *mesh = NULL;
    volt_status st;

    memcpy(o.extent, q.patch, sizeof o.extent);
    o.n = q.batch / r->row->size[VOLT_MESH_DATA];
    o.mode = VOLT_TRAIN;
    o.threads = 1;
    VOLT_TRY(st, done, volt_mesh_open(&mesh, comm, r->row->size));
    o.mesh = mesh;
    VOLT_TRY(st, done, volt_program_create(&p, r->graph, r->device, &o));
    volt_program_memory_of(p, &memory);
    r->bytes[volt_comm_rank(comm)] = memory.total;
done:
    volt_program_free(p);
    volt_mesh_close(mesh);
    return st;
}

static void mesh_plan_is_what_ranks_hold(void **state)
{
    static const char *const meshes[] = {"data=2,y=3", "z=2,y=3", "y=3,x=2"};
    const volt_mesh_plan_options o = question(6);
    volt_mesh_plan *plan = answer(&o);
    volt_device *device = NULL;
    volt_graph *graph = NULL;

    (void)state;
    assert_ok(volt_device_open(&device, "cpu"));
    assert_ok(volt_network_build(&graph, &net, true));
    for (int i = 0; i < 3; i++) {
        reality r = {.row = find(plan, meshes[i]), .graph = graph, .device = device};
        size_t most = 0;

        assert_non_null(r.row);
        assert_ok(volt_ranks_run(6, compile, &r));
        for (int k = 0; k < 6; k++)
            most = r.bytes[k] > most ? r.bytes[k] : most;
        assert_int_equal(r.row->memory.program, most);
    }
    volt_graph_free(graph);
    volt_device_close(device);
    volt_mesh_plan_free(plan);
}

static void mesh_plan_rates(void **state)
{
    volt_mesh_plan_options o = question(2);
    volt_mesh_plan *given = answer(&o), *step, *measured;

    (void)state;
    assert_true(given->rate == 1e9 && !given->measured && given->update_s == 0);
    o.rate = 0;
    o.step_s = given->one_rank_s / 4;
    step = answer(&o);
    assert_true(fabs(step->rate / 4e9 - 1) < 1e-9 && !step->measured);
    assert_true(fabs(step->one_rank_s / o.step_s - 1) < 1e-9);
    o.step_s = 0;
    measured = answer(&o);
    assert_true(measured->measured && measured->rate > 0 && measured->update_s > 0);
    assert_true(measured->one_rank_s > measured->update_s);
    volt_mesh_plan_free(measured);
    volt_mesh_plan_free(step);
    volt_mesh_plan_free(given);
}

/* A slow link makes meshes worse that send more in time that nothing hides. */
static void mesh_plan_links(void **state)
{
    volt_mesh_plan_options o = question(2);
    volt_mesh_plan *plan;

    (void)state;
    o.rate = 1e12;
    o.links.near = o.links.far = (volt_link){0, 1e15};
    plan = answer(&o);
    assert_true(find(plan, "data=2")->step_s > find(plan, "z=2")->compute_s * 0.9);
    volt_mesh_plan_free(plan);
    o.links.near = o.links.far = (volt_link){1e-3, 1e15}; /* few messages are best */
    plan = answer(&o);
    assert_true(find(plan, "data=2") == &plan->row[0]);
    assert_true(plan->row[1].wait_s > 0.05);
    volt_mesh_plan_free(plan);
    o = question(4);
    o.patch[1] =
        16; /* a cube: the first axes, of meshes that differ in the order of sums only */
    o.batch = 1;
    o.rate = 207e12;
    o.links.near = o.links.far = (volt_link){11.8e-6, 450e9};
    plan = answer(&o);
    assert_true(find(plan, "z=2,y=2") < find(plan, "z=2,x=2"));
    assert_true(find(plan, "z=4") < find(plan, "y=4") && find(plan, "y=4") < find(plan, "x=4"));
    volt_mesh_plan_free(plan);
}

static void mesh_plan_refuses(void **state)
{
    volt_mesh_plan_options o = question(0);
    volt_mesh_plan *plan = NULL;

    (void)state;
    assert_fails(volt_mesh_choose(&plan, &net, &o), VOLT_EINVAL, "0 ranks");
    o = question(2);
    o.batch = 0;
    assert_fails(volt_mesh_choose(&plan, &net, &o), VOLT_EINVAL, "batch");
    o = question(2);
    o.rate = NAN;
    assert_fails(volt_mesh_choose(&plan, &net, &o), VOLT_EINVAL, "flop/s");
    o = question(2);
    o.links.far.bytes_per_s = 0;
    assert_fails(volt_mesh_choose(&plan, &net, &o), VOLT_EINVAL, "between hosts");
    o = question(2);
    o.patch[1] = 23;
    assert_fails(volt_mesh_choose(&plan, &net, &o), VOLT_EINVAL, "along h");
    o = question(2);
    o.device = "gpu";
    assert_int_not_equal(volt_mesh_choose(&plan, &net, &o), VOLT_OK);
    assert_null(plan);
    volt_mesh_plan_free(NULL);
}

static void machines_have_figures(void **state)
{
    const volt_machine *m = NULL;

    (void)state;
    assert_true(volt_machine_count() > 0);
    for (int i = 0; i < volt_machine_count(); i++) {
        const volt_machine *one = volt_machine_at(i);

        assert_true(one->rate > 1e12 && one->memory > 1000000000 && strlen(one->source) > 20);
        assert_true(one->links.near.bytes_per_s >= one->links.far.bytes_per_s);
        assert_true(one->links.near.latency_s <= one->links.far.latency_s);
        assert_ok(volt_machine_find(&m, one->name));
        assert_ptr_equal(m, one);
    }
    assert_fails(volt_machine_find(&m, "abacus"), VOLT_EINVAL, "h100+nvlink, h100+infiniband");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mesh_plan_lists_all_meshes),
        cmocka_unit_test(mesh_plan_limits),
        cmocka_unit_test(mesh_plan_memory),
        cmocka_unit_test(mesh_plan_is_what_ranks_hold),
        cmocka_unit_test(mesh_plan_rates),
        cmocka_unit_test(mesh_plan_links),
        cmocka_unit_test(mesh_plan_refuses),
        cmocka_unit_test(machines_have_figures),
    };

    return cmocka_run_group_tests(tests, open_network, close_network);
}
