/* mesh_plan.h - which meshes a training can use, what each needs and how long a step takes.
 *
 * Counts      messages and bytes that a rank sends in a step are exact, and so is the memory:
 * the program of the rank with the largest part is compiled as for training, and the memory is
 * what volt_train announces for it. What volt_train sends besides steps is not counted: at the
 * start, for validation, after each epoch and for each checkpoint. Prediction seconds follow
 * from a rate of computing, the same for all operators, and from links (parallel/link.h): an
 * estimate, which orders meshes.
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
#include "recipe.h"
#include "trainer.h"
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
    int rank;  /* that rank */
    int64_t samples, part[3]; /* of each part of a batch: its samples, their extents d, h, w */
    volt_train_memory memory; /* loader: 0 without volt_mesh_plan_options.data */
    bool fits;
    volt_traffic halos;      /* margins of values and of their gradients */
    volt_traffic sums;       /* of statistics and losses */
    volt_traffic gradients;  /* sums of all parameters' gradients */
    volt_traffic agreements; /* whether to stop or to save */
    /* Ranks that split samples make them whole in turn: once in `turns` parts of batches this
     * rank sends the others their boxes. `turns` is 1 and `boxes` 0 where samples are not
     * split. */
    volt_traffic boxes;
    int turns;
    double flops;
    /* Predicted; wait_s: for messages. step_s: both, and the update. */
    double compute_s, wait_s, step_s;
} volt_mesh_row;

/* All that the rank sends in a step in which it sends boxes for one part of the batch: in
 * others it is less by `boxes`, or in steps of several parts more. */
VOLT_API volt_traffic volt_mesh_row_sent(const volt_mesh_row *row);

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
    const volt_recipe
        *recipe; /* borrowed; NULL = nnU-Net's. `batch` counts, not the recipe's */
    /* Borrowed: plan, configuration and description of the data set, and whether there are
     * cases to validate on. NULL = `net` alone, without the batches that are made for it. */
    const volt_train_data *data;
    volt_precision precision; /* VOLT_PRECISION_AUTO allowed */
    const char *device;       /* NULL = "cpu" */
    int threads;              /* of one rank; 0 = default */
    int loader_threads;       /* as in volt_train_options */
    volt_links links;
    double rate;   /* flop/s of one rank; 0 = from `step_s`, */
    double step_s; /* seconds of one rank for a step of the whole batch; 0 = measured here */
    size_t memory; /* bytes of one rank; 0 = no limit */
    const volt_callbacks *callbacks;
} volt_mesh_plan_options;
/* fp32 and nnU-Net's recipe on "cpu"; one host with 25 GB/s and 2 us. ranks, patch and batch
 * must be set. */
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
