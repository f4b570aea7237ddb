/* trainer.h - trains a network on preprocessed cases.
 *
 * A run is a folder (for several folds of one training see run.h):
 *   checkpoint_latest.safetensors   the state of training, from which a run is resumed
 *   checkpoint_best.safetensors     the network with the best moving average of validation Dice
 *   log.jsonl                       one line per epoch (run_curves.h reads it)
 *   summary.json                    written at the end: scores, time and memory
 *   plans.json, dataset.json        copies for the reader; checkpoints carry their own
 *
 * Resuming is exact: N iterations give the same bits as k iterations, kill -9 and a resume to
 * N, on the same machine with the same threads and options. No random state outlives an
 * iteration.
 *
 * Ranks     several ranks train one network: a mesh says which of them take other samples of a
 *           batch and which split each sample. They share one folder; rank 0 alone writes it,
 *           reports and decides. The result is that of one rank, to rounding; the same mesh
 *           gives the same bits. A run can be resumed on any mesh, also on one rank.
 * Threads   volt_train may run in several threads at once, each on a run of its own or as one
 *           of its ranks. Callbacks are called from the thread that called volt_train.
 */
#ifndef VOLT_NETS3D_TRAINER_H
#define VOLT_NETS3D_TRAINER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../io/dataset.h"
#include "../parallel/comm.h"
#include "plan.h"
#include "precision.h"
#include "recipe.h"
VOLT_BEGIN_DECLS

/* The input of a run. Everything is borrowed for the call. */
typedef struct volt_train_data {
    const volt_plan *plan;
    const volt_plan_config *config; /* of `plan`: what is trained */
    const volt_dataset_info *info;  /* channels and labels */
    const char *store;              /* folder of preprocessed cases */
    const char *prior_masks;        /* cascade: folder of the previous stage's preprocessed
                                     * masks (pipeline.h); NULL otherwise */
    const char *previous_run;       /* cascade: the run that predicted them, stored for
                                     * prediction; NULL = unknown */
    const char *const *train;       /* names of the training cases */
    int64_t train_count;            /* >= 1 */
    const char *const *validate; /* may be empty: then no validation and no best checkpoint */
    int64_t validate_count;
} volt_train_data;

/* Which parameters volt_train_options.init sets. */
typedef enum volt_transfer_mode {
    /* Those with the same name and shape; others stay random. In networks with different
     * numbers of levels, names are matched from the finest level. */
    VOLT_TRANSFER_BY_NAME = 0,
    VOLT_TRANSFER_STRICT, /* all: each must be there with its shape */
    /* By name; if the number of channels (the first two extents) differs, the channels that
     * both have, of each input of a concatenation. Kernels must agree. */
    VOLT_TRANSFER_TOLERANT
} volt_transfer_mode;

/* What a run's recipe decides. */
typedef enum volt_train_field {
    VOLT_TRAIN_PRESET = 0, /* that the recipe began as this preset */
    VOLT_TRAIN_ITERATIONS,
    VOLT_TRAIN_VALIDATION, /* validation_iterations */
    VOLT_TRAIN_BATCH,
    VOLT_TRAIN_ACCUMULATE,
    VOLT_TRAIN_OPTIMIZER, /* its kind */
    VOLT_TRAIN_LR,
    VOLT_TRAIN_SCHEDULE,
    VOLT_TRAIN_WARMUP,
    VOLT_TRAIN_WEIGHT_DECAY,
    VOLT_TRAIN_MOMENTUM,
    VOLT_TRAIN_CLIP,
    VOLT_TRAIN_LOSS, /* both weights, sigmoid */
    VOLT_TRAIN_CLASS_WEIGHTS,
    VOLT_TRAIN_BATCH_DICE,
    VOLT_TRAIN_FOREGROUND,
    VOLT_TRAIN_DROPOUT,
    VOLT_TRAIN_MIRROR,
    VOLT_TRAIN_AUGMENT,
    VOLT_TRAIN_DEEP_SUPERVISION,
    VOLT_TRAIN_INIT,
    VOLT_TRAIN_INIT_MODE,
    VOLT_TRAIN_FREEZE,   /* rules of scale 0 */
    VOLT_TRAIN_LR_SCALE, /* other rules */
    VOLT_TRAIN_PRECISION,
    VOLT_TRAIN_SEED,
    VOLT_TRAIN_PREVIOUS_RUN, /* volt_train_data.previous_run */
    VOLT_TRAIN_FIELDS        /* their number */
} volt_train_field;

/* A field that the caller has set on purpose, not by default. */
typedef struct volt_train_given {
    volt_train_field field;
    const char *name; /* what messages call it; NULL = its own name */
} volt_train_given;

typedef struct volt_train_options {
    size_t size;               /* set by volt_train_defaults() */
    const volt_recipe *recipe; /* NULL = nnU-Net's */
    const char *device;        /* "cpu"; NULL = "cpu" */
    volt_precision precision;  /* VOLT_PRECISION_AUTO allowed */
    uint64_t seed;
    int threads; /* of the network, of each rank; 0 = default: the processors of the host over
                  * its ranks */
    int loader_threads; /* of each rank; 0 = 2, or 1 on up to 2 processors; or
                         * VOLT_LOADER_THREADS_NONE */
    bool resume; /* continue from checkpoint_latest; start a new run if there is none. A run
                  * that has ended stays as it is */
    bool change_length; /* on resume: give the run the length asked for here (budget_s, else
                         * recipe->epochs), even if it has ended; the learning rate continues
                         * where a run planned with that length would be. Without this, and in
                         * everything else, the run's own recipe applies */
    double budget_s;    /* 0 = none; > 0: epochs and iterations are set so that the whole run,
                         * validation and checkpoints included, ends within this time */
    const char *like;   /* a run of one fold: a new run takes its recipe, seed, precision and
                         * budget, except with change_length; NULL = none */
    const char *init;   /* initial weights: a run (its final checkpoint, else its best), one of
                         * its folders fold_K, a checkpoint, or a file of weights (torch's .pth,
                         * safetensors) with the graph's parameter names; NULL = random. Frozen
                         * parameters must all be found there */
    volt_transfer_mode init_mode; /* of `init`; with `like`, that run's where it is known */
    double checkpoint_s;          /* longest time between two checkpoints; 0 = 180 */
    int64_t checkpoint_every;     /* also after every so many iterations; 0 = off */
    int folds_after;   /* runs that follow this one; only the announced time uses it */
    const char *cache; /* folder for measured speeds; NULL = the user's */
    /* A resumed run (and one with `like`) keeps its recipe. What is listed here must agree with
     * it, or the call fails and names every field that does not; what is not listed is not
     * compared. Length, device and threads are never part of it: they can be changed. */
    const volt_train_given *given;
    int givens;       /* their number */
    volt_comm *comm;  /* the ranks that train; borrowed; NULL = one. All of them call
                       * volt_train, with the same data and options but these: `threads`,
                       * `loader_threads`, `cache` */
    const char *mesh; /* how ranks share the work, see mesh.h: "data=2,z=2"; data groups have
                       * different samples of a batch, as evenly as can be. "auto": the mesh
                       * that should be fastest (mesh_plan.h). NULL = one rank */
    int ranks;        /* for volt_train_check, without `comm`: their number, on this host; 0 = 1
                       */
} volt_train_options;

/* The thread that trains makes the batches, too. */
#define VOLT_LOADER_THREADS_NONE (-1)

/* nnU-Net's recipe, device "cpu", precision auto, seed 0. */
VOLT_API void volt_train_options_init(volt_train_options *o, size_t size);
static inline volt_train_options volt_train_defaults(void)
{
    volt_train_options o;

    volt_train_options_init(&o, sizeof o);
    return o;
}

/* Bytes a run will hold, logged before anything large is allocated. */
typedef struct volt_train_memory {
    size_t program;   /* parameters, gradients, activations, scratch */
    size_t optimizer; /* state */
    size_t loader;    /* ready batches, scratch of the loader threads */
    size_t other;     /* staging for checkpoints */
    size_t total;
} volt_train_memory;

typedef struct volt_train_result {
    int64_t epochs, iterations; /* done, from the start of the run */
    bool finished;              /* the end of the schedule was reached */
    double train_loss;          /* of the last epoch */
    double mean_dice, best_ema; /* validation pseudo-Dice; NaN without validation */
    double seconds;             /* of the whole run, resumed parts included */
    double data_wait_s;         /* of them: the network waiting for batches */
    volt_train_memory memory;
    size_t peak_bytes; /* measured through mem.h, without what others held before */
    bool ended_before; /* a resumed run had already ended; nothing was done */
    int ranks;
    double communication_s; /* this rank waited for messages, in this call */
} volt_train_result;

/* Trains in folder `run` (created). `options` NULL = defaults. `result` (NULL allowed) is
 * filled on success and on cancellation. Progress: "iterations". Logs one line per epoch, after
 * three iterations how long the training will take, and warns if a class appears in no batch of
 * an epoch, the network waits for data, or the disk is nearly full.
 *
 * Nothing is created before options, device, initial weights, memory and the files of all cases
 * have been checked. A new run that fails before its first iteration removes what it created. A
 * checkpoint without iterations, which a killed process may leave, is replaced by a new run.
 *   VOLT_EDATA      `run` contains a run and `resume` is false, or the checkpoint belongs to
 *                   another configuration, data set or set of cases (the message names the
 *                   first difference; other configurations of the plan may have changed), or
 *                   `init` does not fit the network
 *   VOLT_EINVAL     an option is out of range; the recipe contradicts itself, the data set or
 *                   the network; a field of `given` differs from the run's
 *   VOLT_EFORMAT    damaged checkpoint or case
 *   VOLT_ENOMEM     the announced peak exceeds this machine's memory
 *   VOLT_ENUMERIC   loss or gradient not finite: the message names iteration and cases; the
 *                   last good checkpoint stays
 *   VOLT_ECANCELLED the current iteration was completed and saved; resume continues from it
 *   VOLT_EIO        a file could not be written; the previous checkpoint stays
 *   VOLT_EPEER      another rank has failed; the sentence names it, its host and the cause
 *   VOLT_ETIMEOUT   a rank does not answer
 * Ranks: each returns; a failure of one is told to the others (volt_comm_fail), and `comm` can
 * then only be closed. What all ranks fail with together, such as VOLT_ECANCELLED because one
 * of them was cancelled, they return together. Memory and peak are those of this rank; the
 * check of memory is of all ranks of a host. */
VOLT_CALL volt_train(const char *run, const volt_train_data *data,
                     const volt_train_options *options, const volt_callbacks *cb,
                     volt_train_result *result);

/* Makes the checks of volt_train that need no preprocessed case, and creates nothing: options,
 * device, what `run` contains; with `data` (NULL: not yet known; its `store` may be NULL) also
 * the network, its memory and the initial weights. `result` (NULL allowed) is filled if the run
 * is to be resumed: with what was done so far, and with ended_before if nothing is left to do.
 * Otherwise it is cleared. Of several ranks one calls it, as it sends no messages: it builds
 * the network of rank 0. With the mesh "auto" it leaves out network and memory. Errors as
 * volt_train. */
VOLT_CALL volt_train_check(volt_train_result *result, const char *run,
                           const volt_train_data *data, const volt_train_options *options);

VOLT_END_DECLS
#endif
