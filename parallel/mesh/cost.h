/* cost.h - what exchanges cost: messages and bytes exactly, seconds by a model.
 *
 * Counts   of what one rank sends, as volt_comm_counts gives them: comm.h says what its calls
 *          are made of.
 * Model    messages that a rank starts together share the latency of their link (link.h), and
 *          their bytes follow one another; rounds of a collective call come one after the
 * other. Messages travel while the rank computes; those of large sums leave the links to the
 *          others.
 *
 * Threads  no shared state.
 */
#ifndef VOLT_PARALLEL_MESH_COST_H
#define VOLT_PARALLEL_MESH_COST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "parallel/link.h"
VOLT_BEGIN_DECLS

volt_traffic volt_traffic_add(volt_traffic a, volt_traffic b);
/* volt_comm_sum_f64 of `count` numbers over `ranks` ranks, as `rank` of them sends. */
volt_traffic volt_traffic_sum_f64(int64_t count, int ranks, int rank);
volt_traffic volt_traffic_sum_f32(int64_t count, int ranks, int rank);
volt_traffic volt_traffic_all_gather(size_t bytes_each, int ranks, int rank);
volt_traffic volt_traffic_broadcast(size_t bytes, int ranks, int rank, int root);

/* The link between two ranks of the world. */
const volt_link *volt_links_between(const volt_links *links, int rank, int other);
/* The slowest link within groups of `ranks` ranks, `apart` from one another in the world. */
const volt_link *volt_links_slowest(const volt_links *links, int ranks, int apart);
/* Rounds of these calls, in each of which a rank waits for one that waited before it. Pieces of
 * one ring follow one another closely and count once. */
int64_t volt_rounds_sum_f64(int ranks);
int64_t volt_rounds_sum_f32(volt_traffic t, int ranks);

/* The time of a rank, in seconds. Starts as zeros. */
typedef struct volt_timeline {
    double now;
    double bulk_free; /* when the link is free of large sums */
    double waited;    /* of `now` */
} volt_timeline;

void volt_timeline_compute(volt_timeline *t, double seconds);
/* Starts messages that keep the link busy for `busy` seconds and arrive `latency` later; gives
 * the time at which they have arrived. `bulk`: of large sums, which are busy one after the
 * other.
 */
double volt_timeline_start(volt_timeline *t, double busy, double latency, bool bulk);
void volt_timeline_wait(volt_timeline *t, double arrival);

VOLT_END_DECLS
#endif
