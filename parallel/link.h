/* link.h - links between ranks, and what goes over them.
 *
 * Threads   plain values; any thread may use them.
 */
#ifndef VOLT_PARALLEL_LINK_H
#define VOLT_PARALLEL_LINK_H
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

/* What one rank sends. */
typedef struct volt_traffic {
    int64_t messages, bytes;
} volt_traffic;

/* A message takes the latency, and then its bytes at the rate; both directions work at a time.
 */
typedef struct volt_link {
    double latency_s, bytes_per_s;
} volt_link;

/* Ranks are on hosts in order. */
typedef struct volt_links {
    int host_ranks; /* ranks of one host; 0 = there is one host */
    volt_link near; /* between ranks of one host, */
    volt_link far;  /* of different hosts */
} volt_links;

VOLT_END_DECLS
#endif
