#include "parallel/launcher.h"

#include <stddef.h>
#include <stdlib.h>

/* Each name is in apps/cli/environment.c, too. Open MPI's come first: under its mpirun there
 * are also PMIx's. */
static const struct {
    const char *who, *size;    /* the variable that holds the number of processes */
    const char *rank;          /* and that of this one */
    const char *with, *unless; /* it counts with this variable, and without that one */
    volt_launcher_kind kind;
} launchers[] = {
    {"an MPI launcher", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", NULL, NULL,
     VOLT_LAUNCHER_OPEN_MPI},
    /* MPICH's Hydra, Intel MPI; srun --mpi=pmi2 */
    {"an MPI launcher", "PMI_SIZE", "PMI_RANK", NULL, NULL, VOLT_LAUNCHER_MPICH},
    {"an MPI launcher", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", NULL, NULL,
     VOLT_LAUNCHER_MPICH},
    {"jsrun", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_RANK", NULL, NULL, VOLT_LAUNCHER_ANY_MPI},
    {"srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", NULL, NULL, VOLT_LAUNCHER_ANY_MPI},
    /* A batch script is one process, whatever the job's number of tasks. */
    {"srun", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_PROCID", "SLURM_JOB_ID",
     VOLT_LAUNCHER_ANY_MPI},
    {"horovodrun", "HOROVOD_SIZE", "HOROVOD_RANK", NULL, NULL, VOLT_LAUNCHER_NO_MPI},
    {"torchrun", "WORLD_SIZE", "RANK", NULL, NULL, VOLT_LAUNCHER_NO_MPI},
};

static int number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    const long n = text ? strtol(text, &end, 10) : -1;

    return text && end != text && !*end && n >= 0 && n < 1 << 30 ? (int)n : -1;
}

bool volt_launcher_find(volt_launcher *out)
{
    static const char rank[] = "PMIX_RANK"; /* PMIx tells no number of processes */

    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const char *with = launchers[i].with, *unless = launchers[i].unless;
        const char *text = getenv(launchers[i].size);
        const long size = text ? strtol(text, NULL, 10) : 1;
        if (size <= 1 || size > 1 << 30 || (with && !getenv(with)) ||
            (unless && getenv(unless)))
            continue;
        *out = (volt_launcher){launchers[i].who, launchers[i].size, launchers[i].kind,
                               (int)size, number_of(launchers[i].rank)};
        return true;
    }
    if (getenv(rank) && strtol(getenv(rank), NULL, 10) > 0) {
        *out =
            (volt_launcher){"a PMIx launcher", rank, VOLT_LAUNCHER_ANY_MPI, 0, number_of(rank)};
        return true;
    }
    return false;
}
