#include "nets3d/recipe.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SCALE 1e6

volt_recipe volt_recipe_nnunet(void)
{
    return (volt_recipe){.epochs = 1000,
                         .iterations = 250,
                         .validation_iterations = 50,
                         .optimizer = volt_optimizer_nnunet(),
                         .weight_ce = 1,
                         .weight_dice = 1,
                         .batch_dice = VOLT_BATCH_DICE_PLAN,
                         .dropout = VOLT_DROPOUT_PLAN,
                         .foreground = 0.33,
                         .deep_supervision = true,
                         .augment = true,
                         .mirror = {true, true, true}};
}

volt_recipe volt_recipe_budget(int64_t plan_batch)
{
    volt_recipe r = volt_recipe_nnunet();

    r.batch = plan_batch < 2 ? plan_batch : 2;
    r.mirror[0] = r.mirror[1] = r.mirror[2] = false;
    r.optimizer.kind = VOLT_ADAMW;
    r.optimizer.lr = 1e-3;
    r.optimizer.beta1 = 0.9;
    r.optimizer.beta2 = 0.999;
    r.optimizer.eps = 1e-8;
    r.optimizer.weight_decay = 1e-2;
    r.optimizer.schedule = VOLT_SCHEDULE_COSINE;
    r.optimizer.warmup = 0.05;
    return r;
}

/* One "PATTERN[=SCALE]" of `length` bytes. */
static volt_status add_one(volt_recipe *recipe, const char *text, size_t length, double scale)
{
    const char *equals = memchr(text, '=', length);
    const size_t name = equals ? (size_t)(equals - text) : length;
    volt_param_rule *rule = &recipe->rule[recipe->rules];
    char *end = NULL;

    if (recipe->rules == VOLT_MAX_PARAM_RULES)
        return volt_fail(VOLT_EINVAL, "more than %d parameter rules", VOLT_MAX_PARAM_RULES);
    if (name == 0 || name >= sizeof rule->pattern)
        return volt_fail(
            VOLT_EINVAL,
            "'%.*s' is not a pattern of parameter names: 1 to %zu bytes are expected",
            (int)length, text, sizeof rule->pattern - 1);
    if (equals && scale != VOLT_SCALES_IN_LIST)
        return volt_fail(VOLT_EINVAL, "'%.*s': a pattern without a factor is expected",
                         (int)length, text);
    if (!equals && scale == VOLT_SCALES_IN_LIST)
        return volt_fail(VOLT_EINVAL, "'%.*s' lacks the factor: PATTERN=X is expected",
                         (int)length, text);
    rule->scale = scale;
    if (equals) {
        rule->scale = strtod(equals + 1, &end);
        if (end != text + length || end == equals + 1 || !(rule->scale >= 0) ||
            !(rule->scale <= MAX_SCALE))
            return volt_fail(VOLT_EINVAL, "'%.*s': the factor is not a number from 0 to %g",
                             (int)length, text, MAX_SCALE);
    }
    memcpy(rule->pattern, text, name);
    rule->pattern[name] = '\0';
    recipe->rules++;
    return VOLT_OK;
}

volt_status volt_recipe_add_rules(volt_recipe *recipe, const char *list, double scale)
{
    volt_status st = VOLT_OK;

    if (scale != VOLT_SCALES_IN_LIST && !(scale >= 0 && scale <= MAX_SCALE))
        return volt_fail(VOLT_EINVAL, "a factor of %g; 0 to %g is expected", scale, MAX_SCALE);
    for (const char *at = list; st == VOLT_OK; at++) {
        const size_t length = strcspn(at, ",");
        st = add_one(recipe, at, length, scale);
        at += length;
        if (!*at)
            break;
    }
    return st;
}
