#include "nets3d/run/state.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "io/json/json.h"
#include "nets3d/program/optimizer.h"

/* A member of a plain struct and its JSON key. */
typedef struct field {
    const char *key;
    size_t offset;
    enum {
        COUNT,
        NUMBER,
        NUMBER_OR_NONE,
        NUMBER_IF_ANY, /* 0 is not written */
        FLAG,
        SMALL,
        SEED,
        CRC,
        TEXT32,
        TEXT64,
        TEXT256,
        WEIGHTS, /* the recipe's class weights */
        RULES    /* the recipe's parameter rules */
    } kind;
    double low, high; /* bounds of what is accepted */
    bool later;       /* added later: checkpoints without it get the default */
} field;

#define COUNTER_MAX ((double)((int64_t)1 << 52))
#define LARGE       1e300

#define S(key, kind, low, high)                                                                \
    {                                                                                          \
#key, offsetof(volt_train_state, key), kind, low, high, false                          \
    }
static const field state_fields[] = {
    S(iteration, COUNT, 0, COUNTER_MAX),
    S(epoch, COUNT, 0, COUNTER_MAX),
    S(steps, COUNT, 0, COUNTER_MAX),
    S(epochs, COUNT, 1, 1e9),
    S(iterations, COUNT, 1, 1e9),
    S(validation_iterations, COUNT, 0, 1e9),
    S(anchor, COUNT, 0, COUNTER_MAX),
    S(anchor_progress, NUMBER, 0, 1),
    S(started_s, NUMBER, 0, LARGE),
    S(loss_sum, NUMBER, -LARGE, LARGE),
    S(norm_sum, NUMBER, 0, LARGE),
    S(epoch_s, NUMBER, 0, LARGE),
    S(epoch_wait_s, NUMBER, 0, LARGE),
    S(seconds, NUMBER, 0, LARGE),
    S(data_wait_s, NUMBER, 0, LARGE),
    S(train_loss, NUMBER_OR_NONE, -LARGE, LARGE),
    S(mean_dice, NUMBER_OR_NONE, 0, 1),
    S(ema, NUMBER_OR_NONE, 0, 1),
    S(best_ema, NUMBER_OR_NONE, 0, 1),
    S(loss_scale, NUMBER_IF_ANY, 0, LARGE),
    S(loss_scale_age, NUMBER_IF_ANY, 0, 1e9),
    S(skipped, NUMBER_IF_ANY, 0, 1e9),
};
#undef S

#define R(key, member, kind, low, high)                                                        \
    {                                                                                          \
        key, offsetof(volt_train_recipe, member), kind, low, high, false                       \
    }
#define LATER(key, member, kind, low, high)                                                    \
    {                                                                                          \
        key, offsetof(volt_train_recipe, member), kind, low, high, true                        \
    }
static const field recipe_fields[] = {
    R("configuration", configuration, TEXT64, 0, 0),
    R("epochs", recipe.epochs, COUNT, 1, 1e9),
    R("iterations", recipe.iterations, COUNT, 1, 1e9),
    R("validation_iterations", recipe.validation_iterations, COUNT, 0, 1e9),
    R("budget_seconds", budget_s, NUMBER, 0, 1e12),
    R("batch", recipe.batch, COUNT, 1, 1 << 24),
    R("optimizer", recipe.optimizer.kind, SMALL, VOLT_SGD, VOLT_ADAMW),
    R("lr", recipe.optimizer.lr, NUMBER, 0, LARGE),
    R("momentum", recipe.optimizer.momentum, NUMBER, 0, 1),
    R("beta1", recipe.optimizer.beta1, NUMBER, 0, 1),
    R("beta2", recipe.optimizer.beta2, NUMBER, 0, 1),
    R("eps", recipe.optimizer.eps, NUMBER, 0, LARGE),
    R("weight_decay", recipe.optimizer.weight_decay, NUMBER, 0, LARGE),
    R("clip_norm", recipe.optimizer.clip_norm, NUMBER, 0, LARGE),
    R("schedule", recipe.optimizer.schedule, SMALL, VOLT_SCHEDULE_POLY, VOLT_SCHEDULE_CONSTANT),
    R("warmup", recipe.optimizer.warmup, NUMBER, 0, 1),
    R("weight_ce", recipe.weight_ce, NUMBER, 0, LARGE),
    R("weight_dice", recipe.weight_dice, NUMBER, 0, LARGE),
    R("foreground", recipe.foreground, NUMBER, 0, 1),
    R("deep_supervision", recipe.deep_supervision, FLAG, 0, 0),
    R("augment", recipe.augment, FLAG, 0, 0),
    R("mirror_z", recipe.mirror[0], FLAG, 0, 0),
    R("mirror_y", recipe.mirror[1], FLAG, 0, 0),
    R("mirror_x", recipe.mirror[2], FLAG, 0, 0),
    R("seed", seed, SEED, 0, 0),
    R("precision", precision, SMALL, VOLT_FP32, VOLT_TF32),
    R("device", device, TEXT32, 0, 0),
    R("threads", threads, SMALL, 1, 65536),
    R("cases", cases, CRC, 0, UINT32_MAX),
    LATER("accumulate", recipe.accumulate, COUNT, 1, 1 << 16),
    LATER("sigmoid", recipe.sigmoid, FLAG, 0, 0),
    LATER("batch_dice", recipe.batch_dice, SMALL, VOLT_BATCH_DICE_PLAN, VOLT_BATCH_DICE_ON),
    LATER("dropout", recipe.dropout, NUMBER, -1, 1),
    LATER("class_weights", recipe, WEIGHTS, 0, 1e6),
    LATER("parameter_rules", recipe, RULES, 0, 1e6),
    LATER("init", init, TEXT256, 0, 0),
    LATER("init_mode", init_mode, SMALL, VOLT_INIT_MODE_UNKNOWN, VOLT_INIT_MODE_LAST),
    LATER("previous_run", previous_run, TEXT256, 0, 0),
};
#undef LATER
#undef R

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* ---- to JSON ---- */

/* [{"pattern": "encoder.*", "scale": 0.1}, ...] in order. */
static json_t *rules_value(const volt_recipe *r)
{
    json_t *list = json_array();

    for (int i = 0; i < r->rules; i++)
        json_array_append_new(list, json_pack("{s:s, s:o}", "pattern", r->rule[i].pattern,
                                              "scale", volt_json_number(r->rule[i].scale)));
    return list;
}

static json_t *field_value(const field *f, const void *object)
{
    const void *at = (const char *)object + f->offset;

    switch (f->kind) {
    case COUNT:
    case SEED: /* its bits, as a signed integer */
        return json_integer((json_int_t) * (const int64_t *)at);
    case NUMBER:
    case NUMBER_OR_NONE:
    case NUMBER_IF_ANY:
        return volt_json_number(*(const double *)at);
    case FLAG:
        return json_boolean(*(const bool *)at);
    case SMALL:
        return json_integer(*(const int *)at);
    case CRC:
        return json_integer(*(const uint32_t *)at);
    case TEXT32:
    case TEXT64:
        return json_string(at);
    case TEXT256: { /* a path need not be UTF-8 */
        json_t *text = json_string(at);
        return text ? text : json_string("");
    }
    case WEIGHTS:
        return volt_json_array_of_doubles(((const volt_recipe *)at)->class_weight,
                                          (size_t)((const volt_recipe *)at)->class_weights);
    case RULES:
        return rules_value(at);
    }
    return NULL;
}

static volt_status object_text(char **out, const void *object, const field *fields,
                               size_t count)
{
    json_t *root = json_object();
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < count && st == VOLT_OK; i++) {
        const double *number = (const void *)((const char *)object + fields[i].offset);

        if (fields[i].kind == NUMBER_IF_ANY && *number == 0)
            continue;
        if (json_object_set_new(root, fields[i].key, field_value(&fields[i], object)) != 0)
            st = volt_fail(VOLT_ENOMEM, "no memory for a checkpoint's %s", fields[i].key);
    }
    if (st == VOLT_OK)
        st = volt_json_dump_line(out, NULL, root);
    json_decref(root);
    return st;
}

volt_status volt_train_state_text(char **out, const volt_train_state *s)
{
    return object_text(out, s, state_fields, COUNT_OF(state_fields));
}

volt_status volt_train_recipe_text(char **out, const volt_train_recipe *r)
{
    return object_text(out, r, recipe_fields, COUNT_OF(recipe_fields));
}

/* ---- from JSON ---- */

static volt_status read_text(char *to, size_t room, const volt_json_at *at)
{
    const char *text;
    volt_status st = volt_json_text(&text, at, room - 1);

    if (st == VOLT_OK)
        snprintf(to, room, "%s", text);
    return st;
}

static volt_status read_weights(volt_recipe *to, const field *f, const volt_json_at *at)
{
    size_t count;
    const volt_status st = volt_json_length(&count, at, 0, VOLT_MAX_CLASSES);

    if (st != VOLT_OK)
        return st;
    to->class_weights = (int)count;
    return volt_json_doubles(to->class_weight, at, count, f->low, f->high);
}

static volt_status read_rules(volt_recipe *to, const field *f, const volt_json_at *at)
{
    volt_json_at item, member;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_length(&count, at, 0, VOLT_MAX_PARAM_RULES));
    to->rules = (int)count;
    for (size_t i = 0; i < count; i++) {
        volt_param_rule *rule = &to->rule[i];
        VOLT_TRY(st, done, volt_json_item(&item, at, i));
        VOLT_TRY(st, done, volt_json_member(&member, &item, "pattern"));
        VOLT_TRY(st, done, read_text(rule->pattern, sizeof rule->pattern, &member));
        VOLT_TRY(st, done, volt_json_member(&member, &item, "scale"));
        VOLT_TRY(st, done, volt_json_double(&rule->scale, &member, f->low, f->high));
    }
done:
    return st;
}

static volt_status read_field(void *object, const field *f, const volt_json_at *root)
{
    void *to = (char *)object + f->offset;
    volt_json_at at;
    int64_t value = 0;
    volt_status st;

    if (f->kind == NUMBER_OR_NONE) {
        VOLT_TRY(st, done, volt_json_optional(&at, root, f->key));
        if (!at.value) {
            *(double *)to = NAN;
            return VOLT_OK;
        }
        return volt_json_double(to, &at, f->low, f->high);
    }
    if (f->later || f->kind == NUMBER_IF_ANY) {
        VOLT_TRY(st, done, volt_json_optional(&at, root, f->key));
        if (!at.value)
            return VOLT_OK;
    } else {
        VOLT_TRY(st, done, volt_json_member(&at, root, f->key));
    }
    switch (f->kind) {
    case COUNT:
        return volt_json_int(to, &at, (int64_t)f->low, (int64_t)f->high);
    case SEED:
        return volt_json_int(to, &at, INT64_MIN, INT64_MAX);
    case FLAG:
        return volt_json_bool(to, &at);
    case SMALL:
        VOLT_TRY(st, done, volt_json_int(&value, &at, (int64_t)f->low, (int64_t)f->high));
        *(int *)to = (int)value;
        return VOLT_OK;
    case CRC:
        VOLT_TRY(st, done, volt_json_int(&value, &at, 0, UINT32_MAX));
        *(uint32_t *)to = (uint32_t)value;
        return VOLT_OK;
    case TEXT32:
        return read_text(to, 32, &at);
    case TEXT64:
        return read_text(to, 64, &at);
    case TEXT256:
        return read_text(to, 256, &at);
    case WEIGHTS:
        return read_weights(to, f, &at);
    case RULES:
        return read_rules(to, f, &at);
    default:
        return volt_json_double(to, &at, f->low, f->high);
    }
done:
    return st;
}

static volt_status object_parse(void *object, const char *text, const char *name,
                                const field *fields, size_t count)
{
    volt_json doc = {0};
    volt_json_at root;
    volt_status st;

    VOLT_TRY(st, done, volt_json_parse(&doc, text, strlen(text), name));
    root = volt_json_root(&doc);
    for (size_t i = 0; i < count; i++)
        VOLT_TRY(st, done, read_field(object, &fields[i], &root));
done:
    volt_json_close(&doc);
    return st;
}

volt_status volt_train_state_parse(volt_train_state *out, const char *text, const char *name)
{
    volt_train_state s = {0};
    volt_status st = object_parse(&s, text, name, state_fields, COUNT_OF(state_fields));

    if (st != VOLT_OK)
        return st;
    if (s.epoch > s.epochs || s.iteration > s.epochs * s.iterations || s.steps > s.iteration ||
        s.iteration < s.epoch * s.iterations || s.iteration > (s.epoch + 1) * s.iterations ||
        s.anchor > s.iteration)
        return volt_fail(VOLT_EFORMAT,
                         "%s: iteration %lld in epoch %lld contradicts the schedule (epochs: "
                         "%lld, iterations in each: %lld)",
                         name, (long long)s.iteration, (long long)s.epoch, (long long)s.epochs,
                         (long long)s.iterations);
    *out = s;
    return VOLT_OK;
}

volt_status volt_train_recipe_parse(volt_train_recipe *out, const char *text, const char *name)
{
    volt_train_recipe r = {.recipe = volt_recipe_nnunet(), .init_mode = VOLT_INIT_MODE_UNKNOWN};
    volt_status st = object_parse(&r, text, name, recipe_fields, COUNT_OF(recipe_fields));

    if (st == VOLT_OK)
        *out = r;
    return st;
}

/* ---- the schedule ---- */

volt_train_state volt_train_state_first(const volt_recipe *recipe)
{
    return (volt_train_state){.epochs = recipe->epochs,
                              .iterations = recipe->iterations,
                              .validation_iterations = recipe->validation_iterations,
                              .train_loss = NAN,
                              .mean_dice = NAN,
                              .ema = NAN,
                              .best_ema = NAN};
}

double volt_train_state_progress(const volt_train_state *s)
{
    const int64_t end = s->epochs * s->iterations;

    if (s->iteration >= end)
        return 1;
    return s->anchor_progress + (1 - s->anchor_progress) * (double)(s->iteration - s->anchor) /
                                    (double)(end - s->anchor);
}

double volt_train_state_rate(const volt_train_state *s, const volt_optimizer_settings *options)
{
    volt_train_state at = *s;

    if (options->schedule == VOLT_SCHEDULE_POLY) {
        const int64_t start = s->epoch * s->iterations;
        at.iteration = start > s->anchor ? start : s->anchor;
    }
    return volt_optimizer_rate(options, volt_train_state_progress(&at));
}

/* ---- comparing plans ---- */

/* Appends to `where` as long as there is room. */
static void append(char *where, size_t bytes, const char *text)
{
    const size_t used = strlen(where);

    if (used < bytes)
        snprintf(where + used, bytes - used, "%s", text);
}

static bool values_differ(char *where, size_t bytes, const json_t *a, const json_t *b)
{
    const size_t length = strlen(where);
    const char *key;
    json_t *item;

    if (json_equal(a, b))
        return false;
    if (json_is_object(a) && json_is_object(b)) {
        json_object_foreach((json_t *)a, key, item)
        {
            append(where, bytes, length ? "." : "");
            append(where, bytes, key);
            if (values_differ(where, bytes, item, json_object_get(b, key)))
                return true;
            where[length] = '\0';
        }
        json_object_foreach((json_t *)b, key, item)
        {
            if (json_object_get(a, key))
                continue;
            append(where, bytes, length ? "." : "");
            append(where, bytes, key);
            return true;
        }
    }
    if (json_is_array(a) && json_array_size(a) == json_array_size(b)) {
        for (size_t i = 0; i < json_array_size(a); i++) {
            char index[32];
            snprintf(index, sizeof index, "[%zu]", i);
            append(where, bytes, index);
            if (values_differ(where, bytes, json_array_get(a, i), json_array_get(b, i)))
                return true;
            where[length] = '\0';
        }
    }
    return true;
}

bool volt_json_texts_differ(char *where, size_t bytes, const char *a, const char *b)
{
    json_t *first = json_loads(a, 0, NULL), *second = json_loads(b, 0, NULL);
    bool differ;

    where[0] = '\0';
    differ = values_differ(where, bytes, first, second);
    json_decref(second);
    json_decref(first);
    return differ;
}
