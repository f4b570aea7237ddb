/* What the variables of launchers say. */
#include "tests/kit/test.h"
#include "parallel/comm.h"
#include "parallel/comm/plugin.h"
#include "parallel/launcher.h"

static const char *const all[] = {"OMPI_COMM_WORLD_SIZE",
                                  "OMPI_COMM_WORLD_RANK",
                                  "PMI_SIZE",
                                  "PMI_RANK",
                                  "MV2_COMM_WORLD_SIZE",
                                  "MV2_COMM_WORLD_RANK",
                                  "JSM_NAMESPACE_SIZE",
                                  "JSM_NAMESPACE_RANK",
                                  "SLURM_STEP_NUM_TASKS",
                                  "SLURM_NTASKS",
                                  "SLURM_PROCID",
                                  "SLURM_JOB_ID",
                                  "HOROVOD_SIZE",
                                  "HOROVOD_RANK",
                                  "WORLD_SIZE",
                                  "RANK",
                                  "PMIX_RANK",
                                  "VOLT_MPI",
                                  "VOLT_PLUGINS"};

static void forget(void)
{
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        unsetenv(all[i]);
}

static void launchers_are_recognized(void **state)
{
    static const struct {
        const char *size, *rank;
        volt_launcher_kind kind;
    } row[] = {
        {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", VOLT_LAUNCHER_OPEN_MPI},
        {"PMI_SIZE", "PMI_RANK", VOLT_LAUNCHER_MPICH},
        {"MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", VOLT_LAUNCHER_MPICH},
        {"JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_RANK", VOLT_LAUNCHER_ANY_MPI},
        {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID", VOLT_LAUNCHER_ANY_MPI},
        {"HOROVOD_SIZE", "HOROVOD_RANK", VOLT_LAUNCHER_NO_MPI},
        {"WORLD_SIZE", "RANK", VOLT_LAUNCHER_NO_MPI},
    };
    volt_launcher l;
    size_t seen = 0;

    (void)state;
    forget();
    assert_false(volt_launcher_find(&l));
    assert_false(volt_plugin_launched());
    for (size_t i = 0; i < sizeof row / sizeof *row; i++, seen++) {
        forget();
        setenv(row[i].size, "1", 1);
        setenv(row[i].rank, "0", 1);
        assert_false(volt_launcher_find(&l));
        setenv(row[i].size, "12", 1);
        setenv(row[i].rank, "5", 1);
        assert_true(volt_launcher_find(&l));
        assert_int_equal(l.processes, 12);
        assert_int_equal(l.process, 5);
        assert_int_equal(l.kind, row[i].kind);
        assert_string_equal(l.variable, row[i].size);
        assert_int_equal(volt_plugin_launched(), row[i].kind != VOLT_LAUNCHER_NO_MPI);
        setenv(row[i].rank, "5x", 1);
        assert_true(volt_launcher_find(&l));
        assert_int_equal(l.process, -1);
    }
    assert_int_equal(seen, 7);
    forget();
    setenv("PMIX_RANK", "0", 1); /* the others of this launcher see theirs */
    assert_false(volt_launcher_find(&l));
    assert_true(volt_plugin_launched());
    setenv("OMPI_COMM_WORLD_SIZE", "1", 1);
    assert_false(volt_plugin_launched());
    forget();
    setenv("PMIX_RANK", "3", 1);
    assert_true(volt_launcher_find(&l));
    assert_int_equal(l.processes, 0);
    assert_int_equal(l.process, 3);
    forget();
}

static void what_is_missing_is_named(void **state)
{
    volt_comm *c = NULL;

    (void)state;
    forget();
    setenv("VOLT_PLUGINS", "here", 1);
    assert_fails(volt_comm_open(&c, "mpi"), VOLT_EINVAL, "absolute path");
    setenv("VOLT_PLUGINS", "/nowhere", 1);
    assert_fails(volt_comm_open(&c, "mpi"), VOLT_ENOTSUP, "no plug-in for Open MPI");
    setenv("PMI_SIZE", "2", 1);
    assert_fails(volt_comm_open(&c, "auto"), VOLT_ENOTSUP, "no plug-in for MPICH");
    setenv("VOLT_MPI", "openmpi", 1);
    assert_fails(volt_comm_open(&c, "auto"), VOLT_ENOTSUP, "no plug-in for Open MPI");
    setenv("VOLT_MPI", "lam", 1);
    assert_fails(volt_comm_open(&c, "auto"), VOLT_EINVAL, "openmpi or mpich");
    forget();
    setenv("VOLT_PLUGINS", "/nowhere", 1);
    setenv("SLURM_STEP_NUM_TASKS", "4", 1);
    assert_fails(volt_comm_open(&c, "auto"), VOLT_ENOTSUP,
                 "srun started 4 processes (SLURM_STEP_NUM_TASKS) that cannot find each other");
    setenv("PMIX_RANK", "1", 1);
    assert_fails(volt_comm_open(&c, "auto"), VOLT_ENOTSUP, "no plug-in for Open MPI");
    assert_null(c);
    forget();
    assert_ok(volt_comm_open(&c, "auto"));
    assert_string_equal(volt_comm_library(c), "self");
    volt_comm_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(launchers_are_recognized),
        cmocka_unit_test(what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
