/* plugin.h - VOLT's plug-ins for MPI: which one, and opening it.
 *
 * Threads   MPI is opened once per process.
 */
#ifndef VOLT_PARALLEL_COMM_PLUGIN_H
#define VOLT_PARALLEL_COMM_PLUGIN_H
#include <stdbool.h>
#include <stddef.h>
#include "parallel/comm.h"

/* Whether a launcher of MPI started this process. */
bool volt_plugin_launched(void);
/* Messages of MPI are split into pieces of so many bytes; tests make it small. */
extern size_t volt_plugin_piece_bytes;
VOLT_MUST_USE volt_status volt_plugin_open(volt_comm **out);

#endif
