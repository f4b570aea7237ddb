/* recipe.h - training recipes: loss, optimizer, sampling, augmentation.
 *
 * A recipe can be copied freely. A run stores the one it was started with in its checkpoints.
 *
 * Threads   all functions may be called from any thread. While a thread changes a recipe, no
 *           other thread may use it.
 */
#ifndef VOLT_NETS3D_RECIPE_H
#define VOLT_NETS3D_RECIPE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "optimizer.h"
VOLT_BEGIN_DECLS

#define VOLT_MAX_CLASSES     256 /* labels or regions of a network */
#define VOLT_MAX_PARAM_RULES 16

/* Parameters whose name matches `pattern` (*, ?, [...]; as fnmatch) learn at `scale` times the
 * learning rate. 0 freezes them: no weight decay either, and they do not count in the gradient
 * norm. If several rules match, the last one applies. */
typedef struct volt_param_rule {
    char pattern[96];
    double scale;
} volt_param_rule;

/* Over what the Dice loss is computed. */
typedef enum volt_batch_dice {
    VOLT_BATCH_DICE_PLAN = -1, /* as the plan says */
    VOLT_BATCH_DICE_OFF = 0,   /* each sample */
    VOLT_BATCH_DICE_ON = 1     /* the whole batch */
} volt_batch_dice;

#define VOLT_DROPOUT_PLAN (-1.0) /* as the plan says */

typedef struct volt_recipe {
    size_t size; /* set by volt_recipe_nnunet() and volt_recipe_budget() */
    int64_t epochs, iterations, validation_iterations; /* nnU-Net: 1000, 250, 50 */
    int64_t batch;                                     /* 0 = the plan's */
    int64_t accumulate; /* batches whose gradients are averaged in one iteration: 1 */
    volt_optimizer_settings optimizer;
    double weight_ce, weight_dice; /* 1, 1 */
    bool sigmoid; /* binary cross-entropy per class instead of a softmax over classes; always
                   * used for data sets with regions */
    volt_batch_dice batch_dice;
    int class_weights; /* number of weights given: 0, or one per output of the network */
    double class_weight[VOLT_MAX_CLASSES]; /* in the loss, see program.h */
    double foreground; /* fraction of samples forced to contain foreground: 0.33 */
    double dropout;    /* fraction of channels set to 0 in each block, or VOLT_DROPOUT_PLAN */
    bool deep_supervision;
    bool augment;   /* rotation, scaling, intensities, as nnU-Net */
    bool mirror[3]; /* mirroring along z, y, x in training, and so allowed in prediction */
    int rules;      /* for parameters, in the order given */
    volt_param_rule rule[VOLT_MAX_PARAM_RULES];
} volt_recipe;

typedef enum volt_recipe_preset {
    VOLT_RECIPE_NNUNET = 1,
    /* Reaches its best Dice in minutes to hours (figures in docs/results.md): AdamW with cosine
     * schedule and warm-up; batches of at most 2 however large the plan's, because the number
     * of steps matters more than the number of samples in a short run; no mirroring, because a
     * network that must recognize an organ in eight orientations learns it later. The budget
     * sets epochs and iterations. */
    VOLT_RECIPE_BUDGET = 2
} volt_recipe_preset;

/* `plan_batch`: the plan's, for VOLT_RECIPE_BUDGET. For other languages: `size` is the struct's
 * in the caller. An unknown preset gives a recipe that volt_train rejects. */
VOLT_API void volt_recipe_init(volt_recipe *out, size_t size, volt_recipe_preset preset,
                               int64_t plan_batch);
static inline volt_recipe volt_recipe_nnunet(void)
{
    volt_recipe r;

    volt_recipe_init(&r, sizeof r, VOLT_RECIPE_NNUNET, 0);
    return r;
}
static inline volt_recipe volt_recipe_budget(int64_t plan_batch)
{
    volt_recipe r;

    volt_recipe_init(&r, sizeof r, VOLT_RECIPE_BUDGET, plan_batch);
    return r;
}

/* Appends the rules of the list "PATTERN=SCALE,...". VOLT_EINVAL names the part that is wrong.
 */
VOLT_CALL volt_recipe_add_scales(volt_recipe *recipe, const char *list);
/* Appends a rule of scale 0 for each pattern of the list "PATTERN,...". VOLT_EINVAL names the
 * part that is wrong. */
VOLT_CALL volt_recipe_freeze(volt_recipe *recipe, const char *list);

VOLT_END_DECLS
#endif
