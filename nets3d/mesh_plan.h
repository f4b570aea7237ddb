/* mesh_plan.h - which meshes a training can use, what each needs and how long a step takes.
 *
 * Counts      messages and bytes that a rank sends in a step are exact, and so is the memory:
 * the program of the rank with the largest part is compiled as for training. Prediction seconds
 * follow from a rate of computing, the same for all operators, and from links
 * (parallel/link.h): an estimate, which orders meshes.
 *
 * Threads     any thread may call these; a plan is not changed once it is there.
 */
#ifndef VOLT_NETS3D_MESH_PLAN_H
#define VOLT_NETS3D_MESH_PLAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../parallel/link.h"
#include "../parallel/mesh.h"
#include "device.h"
#include "model.h"
#include "optimizer.h"
VOLT_BEGIN_DECLS

/* What ranks run on. */
typedef struct volt_machine {
    const char *name;   /* "h100+infiniband" */
    const char *title;  /* for listings */
    const char *source; /* where the figures are from */
    double rate;        /* flop/s of one rank that trains */
    size_t memory;      /* bytes of one rank */
    volt_links links;
} volt_machine;

VOLT_API int volt_machine_count(void);
VOLT_API const volt_machine *volt_machine_at(int i); /* 0 <= i < count */
/* The machine called `name`. VOLT_EINVAL lists the names. */
VOLT_CALL volt_machine_find(const volt_machine **out, const char *name);

/* A mesh, and one training step of its rank with the largest part. */
typedef struct volt_mesh_row {
    int size[VOLT_MESH_AXES];
    char *why; /* the network cannot be split so: a sentence, and all below is 0; NULL = it can.
                * Owned */
    int64_t samples, part[3]; /* of that rank: samples, extents d, h, w */
    /* Bytes: the network's program, the optimizer's state, a copy of the parameters for
     * checkpoints; `total` is with volt_mesh_plan_options.other. */
    size_t program, optimizer, copy, total;
    bool fits;
    volt_traffic halos;     /* margins of values and of their gradients */
    volt_traffic sums;      /* of statistics and losses */
    volt_traffic gradients; /* sums of all parameters' gradients */
    double flops;
    /* Predicted; wait_s: for messages. step_s: both, and the update. */
    double compute_s, wait_s, step_s;
} volt_mesh_row;

typedef struct volt_mesh_limit {
    int most;  /* parts that there can be along the axis */
    char *why; /* a sentence about `most` + 1; NULL = no mesh of so many ranks needs more. Owned
                */
} volt_mesh_limit;

typedef struct volt_mesh_plan {
    int ranks;
    volt_precision precision;
    double rate;       /* flop/s of a rank, as given or measured */
    bool measured;     /* on this machine */
    double update_s;   /* of the optimizer, on every rank; 0 unless measured */
    double one_rank_s; /* predicted step of one rank alone */
    int rows;
    volt_mesh_row *row; /* those that fit into memory, then others, then impossible ones; each
                         * by predicted time */
    int best;           /* 0, if that row fits; else -1 */
    volt_mesh_limit limit[VOLT_MESH_AXES]; /* stage: 1, as stages are not weighed */
    int nearest; /* `ranks`, or where no mesh has so many: the nearest number that one has */
} volt_mesh_plan;
VOLT_API void volt_mesh_plan_free(volt_mesh_plan *plan); /* NULL is allowed */

typedef struct volt_mesh_plan_options {
    size_t size; /* set by volt_mesh_plan_defaults() */
    int ranks;
    int64_t patch[3], batch; /* of all ranks together */
    bool deep_supervision, batch_dice;
    volt_precision precision; /* VOLT_PRECISION_AUTO allowed */
    volt_optimizer_kind optimizer;
    const char *device; /* NULL = "cpu" */
    int threads;        /* of one rank; 0 = default */
    volt_links links;
    double rate;   /* flop/s of one rank; 0 = from `step_s`, */
    double step_s; /* seconds of one rank for a step of the whole batch; 0 = measured here */
    size_t memory; /* bytes of one rank; 0 = no limit */
    size_t other;  /* bytes of one rank for all else, per sample of its own */
    const volt_callbacks *callbacks;
} volt_mesh_plan_options;
/* fp32, SGD and deep supervision on "cpu"; one host with 25 GB/s and 2 us. ranks, patch and
 * batch must be set. */
VOLT_API void volt_mesh_plan_options_init(volt_mesh_plan_options *o, size_t size);
static inline volt_mesh_plan_options volt_mesh_plan_defaults(void)
{
    volt_mesh_plan_options o;

    volt_mesh_plan_options_init(&o, sizeof o);
    return o;
}

/* Compiles the network for every mesh of so many ranks along data, z, y and x. A plan without
 * rows is no failure: its limits and `nearest` say why. Progress: "meshes". The caller owns
 * *out (volt_mesh_plan_free). VOLT_EINVAL, VOLT_ENOTSUP: one rank cannot train the network,
 * either.
 */
VOLT_CALL volt_mesh_choose(volt_mesh_plan **out, const volt_network *net,
                           const volt_mesh_plan_options *options);

VOLT_END_DECLS
#endif
