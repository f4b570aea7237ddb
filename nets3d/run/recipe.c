#include "nets3d/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/core/options.h"

#define MAX_SCALE 1e6

static volt_recipe nnunet(void)
{
    return (volt_recipe){.epochs = 1000,
                         .iterations = 250,
                         .validation_iterations = 50,
                         .accumulate = 1,
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

static volt_recipe budget(int64_t plan_batch)
{
    volt_recipe r = nnunet();

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

void volt_recipe_init(volt_recipe *out, size_t size, volt_recipe_preset preset,
                      int64_t plan_batch)
{
    volt_recipe made = {.size = 0};

    if (preset == VOLT_RECIPE_NNUNET)
        made = nnunet();
    else if (preset == VOLT_RECIPE_BUDGET)
        made = budget(plan_batch);
    volt_options_init(out, size, &made, sizeof made);
}

/* One "PATTERN", or "PATTERN=SCALE" if `scaled`, of `length` bytes. */
static volt_status add_one(volt_recipe *recipe, const char *text, size_t length, bool scaled)
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
    if (equals && !scaled)
        return volt_fail(VOLT_EINVAL, "'%.*s': a pattern without a factor is expected",
                         (int)length, text);
    if (!equals && scaled)
        return volt_fail(VOLT_EINVAL, "'%.*s' lacks the factor: PATTERN=X is expected",
                         (int)length, text);
    rule->scale = 0;
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

static volt_status add_rules(volt_recipe *recipe, const char *list, bool scaled)
{
    volt_status st = VOLT_OK;

    if (!list)
        return volt_fail(VOLT_EINVAL, "no list of parameter rules is given");
    if (recipe->size < offsetof(volt_recipe, rule) + sizeof recipe->rule)
        return volt_fail(VOLT_EINVAL, "volt_recipe has size %zu: start from its defaults",
                         recipe->size);
    if (recipe->rules < 0 || recipe->rules > VOLT_MAX_PARAM_RULES)
        return volt_fail(VOLT_EINVAL, "%d parameter rules; 0 to %d are expected", recipe->rules,
                         VOLT_MAX_PARAM_RULES);
    for (const char *at = list; st == VOLT_OK; at++) {
        const size_t length = strcspn(at, ",");
        st = add_one(recipe, at, length, scaled);
        at += length;
        if (!*at)
            break;
    }
    return st;
}

volt_status volt_recipe_add_scales(volt_recipe *recipe, const char *list)
{
    return add_rules(recipe, list, true);
}

volt_status volt_recipe_freeze(volt_recipe *recipe, const char *list)
{
    return add_rules(recipe, list, false);
}
