/* Margins travel while the values they belong to are computed, and nothing else changes. */
#include <stdlib.h>

#include "base/core/alloc.h"
#include "nets3d/device/op_spec.h"
#include "nets3d/program/program_internal.h"
#include "parallel/ranks.h"
#include "tests/kit/devices.h"
#include "tests/kit/networks.h"
#include "tests/kit/rank_compare.h"

#define NEVER                                                                                  \
    {                                                                                          \
        64, 64, 64                                                                             \
    } /* gathers nothing */

/* The CPU without operators for a box of what another one has been created for. */
static _Thread_local struct {
    volt_op_kind kind;
    volt_tensor result;
} created[1024];
static _Thread_local int created_count;

static bool is_result(const volt_op_spec *spec, int i)
{
    return volt_op_signature_of(spec->kind)->role[i] == VOLT_ROLE_OUT;
}

/* Whether `a` is a box of `b`'s memory, smaller than b's. */
static bool is_part(const volt_tensor *a, const volt_tensor *b)
{
    int64_t stored[2][3];

    volt_tensor_stored(stored[0], a);
    volt_tensor_stored(stored[1], b);
    return a->c == b->c && a->c_offset == b->c_offset && a->buffer_c == b->buffer_c &&
           a->layout == b->layout && !memcmp(stored[0], stored[1], sizeof stored[0]) &&
           a->d * a->h * a->w < b->d * b->h * b->w;
}

static volt_status create_whole(const volt_device *dev, volt_op **out, const volt_op_spec *spec)
{
    const volt_tensor *t;
    int result = 0;

    (void)dev;
    while (result < VOLT_OP_MAX_TENSORS && !is_result(spec, result))
        result++;
    if (result == VOLT_OP_MAX_TENSORS)
        return cpu->op_create(cpu, out, spec);
    t = &spec->tensor[result];
    for (int i = 0; i < created_count; i++) {
        if (created[i].kind == spec->kind && is_part(t, &created[i].result))
            return volt_fail(VOLT_ENOTSUP, "only whole results");
        if (created[i].kind == spec->kind && !memcmp(t, &created[i].result, sizeof *t))
            return cpu->op_create(cpu, out, spec);
    }
    if (created_count == 1024)
        return volt_fail(VOLT_EINTERNAL, "more kinds of operators than expected");
    created[created_count].kind = spec->kind;
    created[created_count++].result = *t;
    return cpu->op_create(cpu, out, spec);
}

/* Where values are computed in parts, so that messages travel meanwhile, nothing else changes:
 * neither results nor memory, but for the tolerance of the arena's layout. */
static void overlapping_changes_nothing(void **state)
{
    static const char *const meshes[] = {"z=2", "y=3", "z=2,x=2", "data=2,z=2", "z=2,y=2,x=2"};
    static const struct {
        const char *name;
        volt_graph *(*build)(void);
        int64_t extent[3];
    } nets[] = {{"plain", build_unet3d, {16, 24, 16}},
                {"residual", build_residual, {8, 24, 16}},
                {"the zoo", build_zoo, {12, 12, 12}},
                {"batch norms", build_batch_norm, {8, 24, 8}}};
    volt_device whole = *cpu;

    (void)state;
    whole.op_create = create_whole;
    for (int i = 0; i < 20; i += 2) {
        const bool bf16 = i % 3 == 1 && cpu->supports(cpu, VOLT_BF16_MIXED);
        const volt_precision precision = bf16 ? VOLT_BF16_MIXED : VOLT_FP32;
        const char *mesh = meshes[i % 5];
        rank_case c = {.name = nets[i / 5].name,
                       .build = nets[i / 5].build,
                       .n = 2,
                       .values = 3,
                       .gather = NEVER,
                       .threads = i / 2 % 2 + 1};
        rank_result with, without;

        memcpy(c.extent, nets[i / 5].extent, sizeof c.extent);
        rank_train(&with, &c, cpu, precision, mesh);
        created_count = 0; /* rank 0 is this thread */
        rank_train(&without, &c, &whole, precision, mesh);
        assert_ranks_equal(mesh, &with, &without);
        assert_true(with.overlaps > 0 && without.overlaps == 0);
        assert_int_equal(with.exchanges, without.exchanges);
        if (with.memory > without.memory + without.memory / 500) /* the layout's tolerance */
            fail_msg("%s on %s: %zu bytes, without overlap %zu", c.name, mesh, with.memory,
                     without.memory);
        rank_result_free(&with);
        rank_result_free(&without);
    }
}

/* A name that ends so. */
static bool is_step(const volt_program *p, int i, const char *end)
{
    volt_step_info info;
    size_t n, m = strlen(end);

    volt_program_step(p, i, &info);
    n = strlen(info.name);
    return n >= m && !strcmp(info.name + n - m, end);
}

/* Faces, messages, the rest, the end: of most margins. What they hold is no more than what
 * other steps do. */
static volt_status look_at(const volt_program *p)
{
    int exchanges = 0, overlaps = 0;
    size_t inside = 0, others = 0;

    for (int i = 0; i < volt_program_step_count(p); i++) {
        const bool starts = is_step(p, i, " margins");
        const bool in = is_step(p, i, " inside") || (starts && is_step(p, i + 1, " inside"));
        size_t *most = in ? &inside : &others;
        volt_step_info info;

        volt_program_step(p, i, &info);
        *most = info.arena_bytes > *most ? info.arena_bytes : *most;
        if (is_step(p, i, " faces") && !is_step(p, i + 1, " faces") &&
            !is_step(p, i + 1, " margins"))
            return volt_fail(VOLT_EINTERNAL, "%s is sent late", info.name);
        exchanges += starts;
        overlaps += starts && in;
        while (starts && in && is_step(p, i + 1, " inside"))
            i++;
        if (starts && in && !is_step(p, i + 1, " margins end"))
            return volt_fail(VOLT_EINTERNAL, "%s has no end", info.name);
    }
    if (inside > others || 3 * overlaps < exchanges)
        return volt_fail(VOLT_EINTERNAL,
                         "%d of %d exchanges overlap and hold %zu bytes, others %zu", overlaps,
                         exchanges, inside, others);
    return VOLT_OK;
}

/* What ranks compile. */
typedef struct job {
    const char *mesh;
    const volt_graph *graph;
    volt_mode mode;
} job;

static volt_status compile_rank(volt_comm *comm, void *context)
{
    const job *j = context;
    volt_program_options o = volt_program_defaults();
    volt_program *p = NULL;
    volt_mesh *mesh = NULL;
    int size[VOLT_MESH_AXES];
    volt_status st;

    VOLT_TRY(st, done, volt_mesh_parse(size, j->mesh, volt_comm_size(comm)));
    VOLT_TRY(st, done, volt_mesh_open(&mesh, comm, size));
    o.mesh = mesh;
    o.mode = j->mode;
    o.threads = 1;
    for (int a = 0; a < 3; a++) {
        o.extent[a] = 32;
        o.gather[a] = 64;
    }
    VOLT_TRY(st, done, volt_program_create(&p, j->graph, cpu, &o));
    st = look_at(p);
done:
    volt_program_free(p);
    volt_mesh_close(mesh);
    return st;
}

static void margins_travel_while_values_are_computed(void **state)
{
    static const char *const meshes[] = {"z=2", "z=2,y=2", "z=2,y=2,x=2"};
    volt_graph *graph = build_unet3d();

    (void)state;
    for (int i = 0; i < 6; i++) {
        job j = {meshes[i % 3], graph, i / 3 ? VOLT_INFER : VOLT_TRAIN};
        int size[VOLT_MESH_AXES];

        assert_ok(volt_mesh_parse(size, j.mesh, 0));
        assert_ok(volt_ranks_run(volt_mesh_ranks(size), compile_rank, &j));
    }
    volt_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(margins_travel_while_values_are_computed),
        cmocka_unit_test(overlapping_changes_nothing),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
