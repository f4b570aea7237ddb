/* The environment variables that volt reads, for `volt help environment` and the manual. */
#include <stddef.h>
#include "apps/cli/cli.h"

const cli_variable cli_environment[] = {
    {"OMP_WAIT_POLICY, GOMP_SPINCOUNT",
     "how idle OpenMP threads wait. Unless one of them is set, volt restarts itself with "
     "OMP_WAIT_POLICY=passive: the variable is read before a program starts, and spinning "
     "threads slow down other programs."},
    {"VOLT_WORK", "work folder of a data set, where --work is not given"},
    {"OMPI_COMM_WORLD_SIZE, PMI_SIZE, MV2_COMM_WORLD_SIZE, PMIX_RANK",
     "set by MPI launchers. With more than one process, commands that they cannot share refuse "
     "to start, except with --part."},
    {"SLURM_STEP_NUM_TASKS, JSM_NAMESPACE_SIZE, HOROVOD_SIZE, WORLD_SIZE",
     "set by srun, jsrun, horovodrun and torchrun: the same"},
    {"SLURM_NTASKS",
     "the same with SLURM_PROCID, but without SLURM_JOB_ID: a batch script is one process"},
    {"VOLT_ISA", "base or avx2: use no processor instructions beyond these"},
    {"VOLT_ITK", "absolute path of the helper volt-itk [next to volt or in libexec/volt of its "
                 "installation]"},
    {"VOLT_PLUGINS", "absolute path of the folder of libvolt-mpi.so and libvolt-mpich.so, the "
                     "plug-ins for MPI [next to volt or in lib/volt of its installation]"},
    {"VOLT_MPI", "openmpi or mpich: the plug-in for MPI to load [that of the launcher]"},
    {"VOLT_ITK_TIMEOUT", "seconds that volt-itk may take for one file [300]"},
    {"XDG_CACHE_HOME, HOME",
     "cache folder, where the work folder of a read-only data set goes [HOME/.cache]"},
    {"NO_COLOR", "if not empty, 'volt plot' draws in the terminal without colours"},
    {"LC_ALL, LC_CTYPE, LANG",
     "a UTF-8 locale lets 'volt plot' draw with braille dots, and progress bars with lines"},
    {"TERM", "unset or dumb: no progress bar, but plain lines as in a pipe"},
    {"COLUMNS", "width of the progress bar where the terminal does not tell its own"},
    {"NAME", "any variable that a path in dataset.json begins with, as $NAME or ${NAME}"},
    {NULL, NULL}};
