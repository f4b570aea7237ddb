#include "parallel/launcher.h"

#include <stddef.h>
#include <stdlib.h>

/* Each name is in apps/cli/environment.c, too. Open MPI's come first: under its mpirun there
 * are also PMIx's. */
static const struct {
    const char *who, *size;    /* the variable that holds the number of processes */
    const char *with, *unless; /* it counts with this variable, and without that one */
    volt_launcher_kind kind;
} launchers[] = {
    {"an MPI launcher", "OMPI_COMM_WORLD_SIZE", NULL, NULL, VOLT_LAUNCHER_OPEN_MPI},
    /* MPICH's Hydra, Intel MPI; srun --mpi=pmi2 */
    {"an MPI launcher", "PMI_SIZE", NULL, NULL, VOLT_LAUNCHER_MPICH},
    {"an MPI launcher", "MV2_COMM_WORLD_SIZE", NULL, NULL, VOLT_LAUNCHER_MPICH},
    {"jsrun", "JSM_NAMESPACE_SIZE", NULL, NULL, VOLT_LAUNCHER_ANY_MPI},
    {"srun", "SLURM_STEP_NUM_TASKS", NULL, NULL, VOLT_LAUNCHER_ANY_MPI},
    /* A batch script is one process, whatever the job's number of tasks. */
    {"srun", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_JOB_ID", VOLT_LAUNCHER_ANY_MPI},
    {"horovodrun", "HOROVOD_SIZE", NULL, NULL, VOLT_LAUNCHER_NO_MPI},
    {"torchrun", "WORLD_SIZE", NULL, NULL, VOLT_LAUNCHER_NO_MPI},
};

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
        *out =
            (volt_launcher){launchers[i].who, launchers[i].size, launchers[i].kind, (int)size};
        return true;
    }
    if (getenv(rank) && strtol(getenv(rank), NULL, 10) > 0) {
        *out = (volt_launcher){"a PMIx launcher", rank, VOLT_LAUNCHER_ANY_MPI, 0};
        return true;
    }
    return false;
}
