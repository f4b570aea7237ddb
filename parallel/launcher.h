/* launcher.h - what started this process as one of several: mpirun, srun, torchrun, ...
 *
 * Launchers tell their processes by environment variables.
 *
 * Threads   all calls are thread-safe while nobody changes the environment.
 */
#ifndef VOLT_PARALLEL_LAUNCHER_H
#define VOLT_PARALLEL_LAUNCHER_H
#include <stdbool.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

/* Which MPI's processes can find each other under it. */
typedef enum volt_launcher_kind {
    VOLT_LAUNCHER_NO_MPI = 1, /* none */
    VOLT_LAUNCHER_OPEN_MPI = 2,
    VOLT_LAUNCHER_MPICH = 3,  /* and its relatives */
    VOLT_LAUNCHER_ANY_MPI = 4 /* that of the system's MPI */
} volt_launcher_kind;

typedef struct volt_launcher {
    const char *who;      /* "an MPI launcher", "srun"; static */
    const char *variable; /* that told so; static */
    volt_launcher_kind kind;
    int processes; /* 0: unknown */
    int process;   /* the number of this one, from 0; -1: unknown */
} volt_launcher;

/* The launcher that started several processes, this one among them; false: none did. */
VOLT_API bool volt_launcher_find(volt_launcher *out);

VOLT_END_DECLS
#endif
