/* scaling.h - what `volt bench scaling` measures: training steps of a network on ranks.
 *
 * Threads  every rank calls scaling_train() with the same task, from a thread or process of its
 *          own; all else belongs to one thread.
 */
#ifndef VOLT_APPS_BENCH_SCALING_H
#define VOLT_APPS_BENCH_SCALING_H
#include "base/callbacks.h"
#include "nets3d/graph.h"
#include "nets3d/program.h"
#include "parallel/link.h"
#include "parallel/mesh.h"

typedef enum scaling_mode { SCALING_STRONG, SCALING_WEAK, SCALING_MODES } scaling_mode;
typedef enum scaling_over { SCALING_DATA, SCALING_SPACE, SCALING_OVERS } scaling_over;

/* One training: so many ranks, what they share and how. */
typedef struct scaling_case {
    scaling_mode mode;
    scaling_over over;
    int ranks, size[VOLT_MESH_AXES];
    int64_t extent[3], samples; /* of all ranks together */
} scaling_case;

/* One step of one rank, medians. Plain numbers: ranks send it to each other. */
typedef struct scaling_rank {
    double step_s;            /* pass, loss and update */
    double update_s;          /* of it, the optimizer */
    double waited_s;          /* of it, in waits for messages */
    double flops;             /* of operators */
    double compute_s, wait_s; /* predicted, without the update */
    int64_t messages, bytes, predicted_messages, predicted_bytes; /* sent */
    int64_t peak_bytes, announced_bytes;
    int64_t samples, part[3]; /* what the rank has */
} scaling_rank;

/* A case, and what it takes to run it. All pointers are borrowed. */
typedef struct scaling_task {
    const scaling_case *row;
    const volt_graph *graph;
    const volt_device *device;
    volt_precision precision;
    int threads;                     /* of one rank */
    int64_t repeat;                  /* timed steps behind the first, or 0: the first alone */
    const volt_callbacks *callbacks; /* asked by rank 0 */
    double rate;                     /* flop/s of one rank; 0 = measured here */
    /* Set by rank 0 at the end. */
    scaling_rank *rank; /* (ranks) */
    volt_link link;     /* between ranks 0 and 1; zeros for one rank */
} scaling_task;

/* A volt_rank_function; the task is its context. VOLT_EINVAL: the network cannot be split so;
 * VOLT_ECANCELLED; VOLT_EINTERNAL: a rank sent other messages than predicted. */
volt_status scaling_train(volt_comm *comm, void *task);
/* Compiles the program of the first rank alone. *bytes: what it will hold. Errors as above. */
volt_status scaling_rehearse(int64_t *bytes, const scaling_task *task);

#endif
