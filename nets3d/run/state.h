/* state.h - the state of a training besides weights and optimizer state, as JSON.
 *
 * Doubles are written with enough digits to read back the same bits, so resuming is exact.
 */
#ifndef VOLT_NETS3D_RUN_STATE_H
#define VOLT_NETS3D_RUN_STATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "nets3d/optimizer.h"
#include "nets3d/precision.h"
#include "nets3d/recipe.h"
VOLT_BEGIN_DECLS

/* Counters of a run. Plain value. */
typedef struct volt_train_state {
    int64_t iteration;     /* training iterations done */
    int64_t epoch;         /* epochs completed, validation included */
    int64_t steps;         /* optimizer steps done */
    double loss_scale;     /* of fp16; 0 = the loss is not scaled */
    double loss_scale_age; /* updates since it changed */
    /* The schedule. With a budget it is set after measuring and adjusted after each epoch:
     * progress is anchor_progress at iteration `anchor` and 1 at epochs * iterations. */
    int64_t epochs, iterations, validation_iterations;
    int64_t anchor;
    double anchor_progress;
    double started_s; /* `seconds` when the schedule was set */
    /* The current epoch. */
    double loss_sum, norm_sum, epoch_s, epoch_wait_s;
    double skipped; /* its iterations that changed no weights, in fp16 */
    /* The run. */
    double seconds, data_wait_s;
    double train_loss, mean_dice, ema, best_ema; /* NaN before the first */
} volt_train_state;

/* The state before the first iteration. */
volt_train_state volt_train_state_first(const volt_recipe *recipe);
/* Fraction of the schedule done, in [0, 1]. */
double volt_train_state_progress(const volt_train_state *s);
/* Learning rate of the current iteration. The polynomial schedule changes at the start of each
 * epoch, as nnU-Net's does; the others in every iteration. */
double volt_train_state_rate(const volt_train_state *s, const volt_optimizer_settings *options);

VOLT_MUST_USE volt_status volt_train_state_text(char **out, const volt_train_state *s);
/* `name`: the checkpoint, for messages. VOLT_EFORMAT. */
VOLT_MUST_USE volt_status volt_train_state_parse(volt_train_state *out, const char *text,
                                                 const char *name);

/* The mode in checkpoints older than the field, and the highest of volt_transfer_mode. */
#define VOLT_INIT_MODE_UNKNOWN (-1)
#define VOLT_INIT_MODE_LAST    2

/* What determines a run's results, besides plan and data set. Strings have a fixed size so that
 * it is a plain value. */
typedef struct volt_train_recipe {
    volt_recipe recipe;
    uint64_t seed;
    volt_precision precision; /* never auto */
    double budget_s;          /* 0 = none */
    char configuration[64];   /* of the plan */
    char device[32];
    int threads;            /* of the network; results are exact with the same number */
    uint32_t cases;         /* CRC-32 of the names of the cases, training then validation */
    char init[256];         /* source of the initial weights; "" = random */
    int init_mode;          /* volt_transfer_mode, or VOLT_INIT_MODE_UNKNOWN */
    char previous_run[256]; /* cascade: path of the previous stage's run; "" = unknown */
} volt_train_recipe;

VOLT_MUST_USE volt_status volt_train_recipe_text(char **out, const volt_train_recipe *r);
VOLT_MUST_USE volt_status volt_train_recipe_parse(volt_train_recipe *out, const char *text,
                                                  const char *name);
/* Whether two JSON texts have different values; then the path of the first one
 * ("configurations.x.patch_size[1]") is in `where` (of `bytes`). */
bool volt_json_texts_differ(char *where, size_t bytes, const char *a, const char *b);

VOLT_END_DECLS
#endif
