/* Meshes: what the text may be, and who is where. */
#include "tests/kit/test.h"
#include "parallel/mesh.h"
#include "parallel/mesh/rehearse.h"
#include "parallel/ranks.h"

static void assert_mesh(const char *text, int ranks, int data, int z, int y, int x, int stage)
{
    const int expected[VOLT_MESH_AXES] = {data, z, y, x, stage};
    int size[VOLT_MESH_AXES] = {0};

    assert_ok(volt_mesh_parse(size, text, ranks));
    assert_memory_equal(size, expected, sizeof size);
}

static void mesh_texts(void **state)
{
    (void)state;
    assert_mesh("data=2,z=2,x=2", 8, 2, 2, 1, 2, 1);
    assert_mesh("x=2,z=2,data=2", 8, 2, 2, 1, 2, 1);
    assert_mesh("z=4", 4, 1, 4, 1, 1, 1);
    assert_mesh("stage=2", 2, 1, 1, 1, 1, 2);
    assert_mesh("stage=2,x=3,y=5,z=7,data=11", 2310, 11, 7, 5, 3, 2);
    assert_mesh("data=1", 1, 1, 1, 1, 1, 1);
    assert_mesh("z=1,y=2", 2, 1, 1, 2, 1, 1);
    assert_mesh(" z = 2 , y = 02", 4, 1, 2, 2, 1, 1);
    assert_mesh("z=3", 0, 1, 3, 1, 1, 1); /* any number of ranks */
}

static void assert_refused(const char *text, int ranks, const char *words)
{
    int size[VOLT_MESH_AXES] = {5, 6, 7, 8, 9};

    assert_fails(volt_mesh_parse(size, text, ranks), VOLT_EINVAL, words);
    assert_int_equal(size[0], 5);
    assert_int_equal(size[4], 9);
}

static void mesh_texts_that_are_wrong(void **state)
{
    (void)state;
    assert_refused("", 1, "an axis is missing");
    assert_refused("z=2,", 2, "an axis is missing");
    assert_refused(",z=2", 2, "an axis is missing");
    assert_refused("z=2,,y=2", 4, "an axis is missing");
    assert_refused("=2", 2, "an axis is missing");
    assert_refused("t=2", 2, "'t' is no axis; the axes are data, z, y, x and stage");
    assert_refused("Z=2", 2, "'Z' is no axis");
    assert_refused("auto", 2, "'auto' is no axis");
    assert_refused("4", 4, "'4' is no axis");
    assert_refused("zy=2", 2, "'zy' is no axis");
    assert_refused("z", 2, "z has no number, expected e.g. z=2");
    assert_refused("z=2,z=2", 4, "names z twice");
    assert_refused("z=1,z=2", 2, "names z twice");
    assert_refused("z=two", 2, "z is 'two', expected an integer");
    assert_refused("z=2.5", 2, "z is '2.5'");
    assert_refused("z=-2", 2, "z is '-2'");
    assert_refused("z=+2", 2, "z is '+2'");
    assert_refused("z=2=2", 2, "z is '2=2'");
    assert_refused("z=0x2", 2, "z is '0x2'");
    assert_refused("z=2 y=2", 4, "z is '2 y=2'");
    assert_refused("z=2;y=2", 4, "z is '2;y=2'");
    assert_refused("z=", 2, "z is empty");
    assert_refused("z=0", 2, "z is 0, expected 1 or more");
    assert_refused("z=2147483648", 2, "too large");
    assert_refused("z=99999999999999999999999", 2, "too large");
    assert_refused("data=65536,z=65536", 4, "too many ranks");
}

static void mesh_names_the_nearest(void **state)
{
    (void)state;
    assert_refused("z=3", 4,
                   "mesh 'z=3' has 3 ranks, but there are 4; the nearest that have 4: z=4, "
                   "data=2,z=2 or z=2,y=2");
    assert_refused("z=2,y=2", 8, "the nearest that have 8: z=4,y=2, z=2,y=4 or data=2,z=2,y=2");
    assert_refused("data=3", 2, "the nearest that have 2: data=2, ");
    assert_refused("z=2", 1, "has 2 ranks, but there is 1; the nearest that has 1: data=1");
    assert_refused("data=1", 3,
                   "has 1 rank, but there are 3; the nearest that have 3: data=3, ");
    assert_refused("stage=3", 4, "stage=4");
    assert_refused("z=2", 7, "z=7");
}

static void mesh_canonical_text(void **state)
{
    const char *const same[] = {"data=1", "z=2", "data=2,z=2,x=2", "y=3,stage=4",
                                "data=2147483647"};
    const int all[VOLT_MESH_AXES] = {2147483647, 2147483647, 2147483647, 2147483647,
                                     2147483647};
    char text[VOLT_MESH_TEXT];
    int size[VOLT_MESH_AXES];

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_ok(volt_mesh_parse(size, same[i], 0));
        assert_string_equal(volt_mesh_text(text, size), same[i]);
    }
    assert_ok(volt_mesh_parse(size, "x=2,y=1,data=03", 0));
    assert_string_equal(volt_mesh_text(text, size), "data=3,x=2");
    assert_true(strlen(volt_mesh_text(text, all)) < VOLT_MESH_TEXT - 1);
    assert_int_equal(volt_mesh_ranks(size), 6);
    assert_int_equal(volt_mesh_ranks(all), 0);
}

/* ---- who is where ---- */

static const int grid[VOLT_MESH_AXES] = {2, 3, 1, 2, 2};

/* Fails on the thread that runs a rank: cmocka's checks belong to the main thread. */
#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition))                                                                      \
            return volt_fail(VOLT_EINTERNAL, "line %d: %s", __LINE__, #condition);             \
    } while (0)

/* The ranks of a communicator that differ from this one along some axes, in order. */
static volt_status check_members(const volt_mesh *m, volt_comm *c, unsigned axes)
{
    int mine[1 + VOLT_MESH_AXES], all[32 * (1 + VOLT_MESH_AXES)];
    int expected = 1;
    volt_status st;

    CHECK(volt_comm_size(c) <= 32);
    mine[0] = volt_comm_rank(m->world);
    memcpy(mine + 1, m->at, sizeof m->at);
    VOLT_TRY(st, done, volt_comm_all_gather(c, all, mine, sizeof mine));
    for (int a = 0; a < VOLT_MESH_AXES; a++)
        expected *= axes & 1u << a ? m->size[a] : 1;
    CHECK(volt_comm_size(c) == expected);
    for (int i = 0; i < expected; i++) {
        const int *at = all + i * (1 + VOLT_MESH_AXES);

        CHECK(i == 0 || at[0] > at[-1 - VOLT_MESH_AXES]);
        for (int a = 0; a < VOLT_MESH_AXES; a++)
            CHECK(axes & 1u << a || at[1 + a] == m->at[a]);
    }
done:
    return st;
}

/* The mesh that a rank alone can have in place of `m` looks like it. */
static volt_status check_rehearsal(const volt_mesh *m)
{
    volt_mesh *alone = NULL;
    volt_status st = volt_mesh_rehearse(&alone, m->size, m->at);

    if (st != VOLT_OK)
        return st;
    if (memcmp(alone->size, m->size, sizeof m->size) != 0 ||
        memcmp(alone->at, m->at, sizeof m->at) != 0 ||
        volt_comm_rank(alone->world) != volt_comm_rank(m->world) ||
        volt_comm_rank(alone->data) != volt_comm_rank(m->data) ||
        volt_comm_rank(alone->space) != volt_comm_rank(m->space) ||
        volt_comm_rank(alone->stage) != volt_comm_rank(m->stage) ||
        volt_comm_size(alone->world) != volt_comm_size(m->world) ||
        volt_comm_size(alone->space) != volt_comm_size(m->space))
        st = volt_fail(VOLT_EINTERNAL, "the rehearsal of rank %d has other ranks",
                       volt_comm_rank(m->world));
    volt_mesh_end_rehearsal(alone);
    return st;
}

static volt_status look_around(volt_comm *comm, void *context)
{
    const int rank = volt_comm_rank(comm);
    volt_mesh *m = NULL;
    volt_status st;

    (void)context;
    VOLT_TRY(st, done, volt_mesh_open(&m, comm, grid));
    CHECK(m->world == comm && memcmp(m->size, grid, sizeof grid) == 0);
    CHECK((((m->at[0] * 3 + m->at[1]) * 1 + m->at[2]) * 2 + m->at[3]) * 2 + m->at[4] == rank);
    CHECK(volt_comm_rank(m->data) == m->at[VOLT_MESH_DATA]);
    CHECK(volt_comm_rank(m->space) == (m->at[1] * 1 + m->at[2]) * 2 + m->at[3]);
    CHECK(volt_comm_rank(m->stage) == m->at[VOLT_MESH_STAGE]);
    VOLT_TRY(st, done, check_members(m, m->data, 1));
    VOLT_TRY(st, done, check_members(m, m->space, 2 + 4 + 8));
    VOLT_TRY(st, done, check_members(m, m->stage, 16));
    st = check_rehearsal(m);
done:
    volt_mesh_close(m);
    return st;
}

static void mesh_places_of_ranks(void **state)
{
    (void)state;
    assert_ok(volt_ranks_run(24, look_around, NULL));
}

static volt_status open_wrong(volt_comm *comm, void *context)
{
    volt_mesh *m = context;

    return volt_mesh_open(&m, comm, grid);
}

static void mesh_of_another_size(void **state)
{
    (void)state;
    assert_fails(volt_ranks_run(2, open_wrong, NULL), VOLT_EINVAL, "the 2 ranks there are");
    volt_mesh_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mesh_texts),
        cmocka_unit_test(mesh_texts_that_are_wrong),
        cmocka_unit_test(mesh_names_the_nearest),
        cmocka_unit_test(mesh_canonical_text),
        cmocka_unit_test(mesh_places_of_ranks),
        cmocka_unit_test(mesh_of_another_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
