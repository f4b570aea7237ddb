/* threads.h - ranks as threads: messages are copied from the sender's memory to the receiver's.
 *
 * Threads   each rank's state is used by that rank's threads.
 */
#ifndef VOLT_PARALLEL_COMM_THREADS_H
#define VOLT_PARALLEL_COMM_THREADS_H
#include "parallel/comm/backend.h"
#include "parallel/comm/board.h"

typedef struct volt_crowd volt_crowd; /* all ranks */

VOLT_MUST_USE volt_status volt_crowd_make(volt_crowd **out, int ranks);
/* The state of one rank for the table below; the crowd ends when every rank's state, and the
 * maker, released it. */
void *volt_crowd_rank(volt_crowd *c, int rank);
void volt_crowd_release(volt_crowd *c);
volt_board *volt_crowd_board(volt_crowd *c);
/* Wakes all ranks that wait, to look at the board; `state` is any rank's. */
void volt_crowd_wake(void *state);

extern const volt_backend volt_backend_threads;

#endif
