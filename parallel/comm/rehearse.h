/* rehearse.h - one rank alone, as if it had peers: for what a rank of a mesh would do.
 *
 * Its peers do and say what it does itself: collective calls succeed, gathers and sums get its
 * own contribution for each rank, other messages leave their buffers as they are. Counts are
 * those of a real rank.
 *
 * Threads   as any communicator.
 */
#ifndef VOLT_PARALLEL_COMM_REHEARSE_H
#define VOLT_PARALLEL_COMM_REHEARSE_H
#include "parallel/comm.h"
VOLT_BEGIN_DECLS

/* The caller closes *out. */
VOLT_MUST_USE volt_status volt_comm_rehearse(volt_comm **out, int rank, int ranks);
/* Whether its peers only seem to be there. */
bool volt_comm_rehearses(const volt_comm *c);

VOLT_END_DECLS
#endif
