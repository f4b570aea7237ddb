/* trainer.h - trains a network on a case store: the loop around loader and program.
 *
 * A run is a folder (several folds of one training: run_folder.h):
 *   checkpoint_latest.safetensors   where training stands; from it --resume goes on
 *   checkpoint_best.safetensors     best moving average of the validation Dice
 *   log.jsonl                       one line per epoch (runlog.h)
 *   summary.json                    at the end: what was reached, in which time and memory
 *   plans.json, dataset.json        copies for the reader; checkpoints carry their own
 *
 * Resume is exact: N iterations give the same bits as k, kill -9, resume to N, with the same
 * machine, threads and options. Nothing random is kept between iterations.
 */
#ifndef VOLT_NETS3D_TRAINER_H
#define VOLT_NETS3D_TRAINER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../io/dataset.h"
#include "optimizer.h"
#include "plan.h"
#include "precision.h"
#include "run_log.h"
#include "transfer.h"
VOLT_BEGIN_DECLS

#define VOLT_MAX_PARAM_RULES 16

/* Parameters whose name matches `pattern` (*, ?, [...]; as fnmatch) learn at `scale` times the
 * rate. 0 freezes them: no weight decay either, and they count in no gradient norm. Of several
 * rules that match, the last holds. */
typedef struct volt_param_rule {
    char pattern[96];
    double scale;
} volt_param_rule;

/* How a network is trained. Plain value. */
typedef struct volt_recipe {
    int64_t epochs, iterations, validation_iterations; /* nnU-Net: 1000, 250, 50 */
    int64_t batch;                                     /* 0 = the plan's */
    volt_optimizer_options optimizer;
    double weight_ce, weight_dice; /* 1, 1 */
    bool sigmoid;      /* binary cross-entropy per class, not a softmax over them; data sets of
                        * regions are always trained so */
    int batch_dice;    /* Dice over the batch 1, per sample 0, as the plan says -1 */
    int class_weights; /* how many are given: 0 = none, else one per output of the network */
    double class_weight[VOLT_MAX_CLASSES]; /* in the loss, see loss.h */
    double foreground; /* share of samples forced to hold foreground, 0.33 */
    double dropout;    /* share of channels set to 0 in each block; -1 = the plan's */
    bool deep_supervision;
    bool augment;   /* rotation, scaling, intensities, as nnU-Net */
    bool mirror[3]; /* mirroring along z, y, x in training, and so allowed in prediction */
    int rules;      /* of parameters, in the order given */
    volt_param_rule rule[VOLT_MAX_PARAM_RULES];
} volt_recipe;

VOLT_API volt_recipe volt_recipe_nnunet(void);
/* What reaches the best Dice in minutes to hours (figures in docs/results.md): AdamW with
 * cosine and warm-up; batches of at most 2 however large the plan's, because steps count more
 * than samples then; no mirroring, because a network that must know an organ in eight
 * orientations learns it later. Epochs and iterations are set by the budget. */
VOLT_API volt_recipe volt_recipe_budget(int64_t plan_batch);

/* What a run learns from. Everything is borrowed for the call. */
typedef struct volt_train_data {
    const volt_plan *plan;
    const volt_plan_config *config; /* of `plan`: what is trained */
    const volt_dataset_info *info;  /* channels and labels */
    const char *store;              /* folder of preprocessed cases */
    const char *previous;           /* cascade: folder of the previous stage's prepared masks
                                     * (cascade.h); NULL otherwise */
    const char *previous_run;       /* cascade: the run that made them, noted for prediction;
                                     * NULL = not known */
    const char *const *train;       /* names of the cases */
    int64_t train_count;            /* >= 1 */
    const char *const *validate; /* may be empty: then no validation and no best checkpoint */
    int64_t validate_count;
} volt_train_data;

typedef struct volt_train_options {
    volt_recipe recipe;
    const char *device;       /* "cpu" */
    volt_precision precision; /* VOLT_PRECISION_AUTO allowed */
    uint64_t seed;
    int threads;        /* of the network; 0 = default */
    int loader_threads; /* 0 = 1 for 2 cores and fewer, else 2 */
    bool resume;        /* go on from checkpoint_latest; without one: start afresh */
    bool change_length; /* on resume: the run becomes as long as is asked here (budget_s,
                         * else recipe.epochs), also a finished one; the learning rate
                         * goes on where a run planned so would stand now. Without this
                         * and in everything else the run's own recipe holds */
    double budget_s;    /* 0 = none; > 0: epochs and iterations are set so that the whole
                         * run, validation and checkpoints included, ends in this time */
    const char *like;   /* a run of one fold whose recipe, seed, precision and budget a new run
                         * takes instead of those here, but for change_length; NULL = none */
    const char *init;   /* weights to start from (transfer.h); NULL = random ones */
    volt_transfer_mode init_mode;
    double checkpoint_s;      /* longest time between two checkpoints; 0 = 180 */
    int64_t checkpoint_every; /* also every so many iterations; 0 = off */
    const char *cache;        /* folder for measured speeds; NULL = the user's */
} volt_train_options;

/* nnU-Net's recipe, device "cpu", precision auto, seed 0. */
VOLT_API volt_train_options volt_train_defaults(void);

/* What a run will hold, announced (as a log line) before anything large is allocated. */
typedef struct volt_train_memory {
    size_t program;   /* parameters, gradients, activations, scratch */
    size_t optimizer; /* state */
    size_t loader;    /* ready batches, scratch of the loader threads */
    size_t other;     /* checkpoints' staging */
    size_t total;
} volt_train_memory;

typedef struct volt_train_result {
    int64_t epochs, iterations; /* done, from the start of the run */
    bool finished;              /* the schedule's end was reached */
    double train_loss;          /* of the last epoch */
    double mean_dice, best_ema; /* validation pseudo-Dice; NaN without validation */
    double seconds;             /* of the whole run, resumed parts included */
    double data_wait_s;
    volt_train_memory memory;
    size_t peak_bytes; /* measured through mem.h, without what others held before */
} volt_train_result;

/* Trains in folder `run` (created). `result` (NULL allowed) is filled on success and when
 * cancelled. Progress: "iterations". Log: one line per epoch; warnings
 * when a class appears in no batch of an epoch, the learning rate is 0, the network waits for
 * data, the disk fills up.
 *   VOLT_EDATA      `run` holds a run and `resume` is false, or the checkpoint is of another
 *                   plan, data set or set of cases (the sentence names the first difference)
 *   VOLT_EINVAL     the recipe contradicts itself, the data set or the network
 *   VOLT_EFORMAT    damaged checkpoint or case
 *   VOLT_ENOMEM     the announced peak does not fit this machine
 *   VOLT_ENUMERIC   loss or gradient not finite: the sentence names iteration and cases; the
 *                   last good checkpoint stays
 *   VOLT_ECANCELLED the iteration was finished and saved; resume goes on from it
 *   VOLT_EIO        a file could not be written; the previous checkpoint stays */
VOLT_CALL volt_train(const char *run, const volt_train_data *data,
                     const volt_train_options *options, const volt_callbacks *cb,
                     volt_train_result *result);

VOLT_END_DECLS
#endif
