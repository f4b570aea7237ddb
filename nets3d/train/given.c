#include "nets3d/train/given.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/system/file.h"
#include "io/json/json.h"

#define MAX_KEYS 3

/* A field's own name, and its keys in a checkpoint's recipe. */
typedef struct field {
    const char *name, *key[MAX_KEYS];
    bool shown; /* its values say something */
} field;

static const field fields[VOLT_TRAIN_FIELDS] = {
    [VOLT_TRAIN_PRESET] = {"recipe", {NULL}, false}, /* compared by itself */
    [VOLT_TRAIN_ITERATIONS] = {"iterations", {"iterations"}, true},
    [VOLT_TRAIN_VALIDATION] = {"validation iterations", {"validation_iterations"}, true},
    [VOLT_TRAIN_BATCH] = {"batch", {"batch"}, true},
    [VOLT_TRAIN_ACCUMULATE] = {"accumulated batches", {"accumulate"}, true},
    [VOLT_TRAIN_OPTIMIZER] = {"optimizer", {"optimizer"}, false},
    [VOLT_TRAIN_LR] = {"lr", {"lr"}, true},
    [VOLT_TRAIN_SCHEDULE] = {"schedule", {"schedule"}, false},
    [VOLT_TRAIN_WARMUP] = {"warmup", {"warmup"}, true},
    [VOLT_TRAIN_WEIGHT_DECAY] = {"weight decay", {"weight_decay"}, true},
    [VOLT_TRAIN_MOMENTUM] = {"momentum", {"momentum"}, true},
    [VOLT_TRAIN_CLIP] = {"clip norm", {"clip_norm"}, true},
    [VOLT_TRAIN_LOSS] = {"loss", {"weight_ce", "weight_dice", "sigmoid"}, false},
    [VOLT_TRAIN_CLASS_WEIGHTS] = {"class weights", {"class_weights"}, false},
    [VOLT_TRAIN_BATCH_DICE] = {"batch Dice", {"batch_dice"}, false},
    [VOLT_TRAIN_FOREGROUND] = {"foreground", {"foreground"}, true},
    [VOLT_TRAIN_DROPOUT] = {"dropout", {"dropout"}, true},
    [VOLT_TRAIN_MIRROR] = {"mirroring", {"mirror_z", "mirror_y", "mirror_x"}, false},
    [VOLT_TRAIN_AUGMENT] = {"augmentation", {"augment"}, false},
    [VOLT_TRAIN_DEEP_SUPERVISION] = {"deep supervision", {"deep_supervision"}, false},
    [VOLT_TRAIN_INIT] = {"initial weights", {"init"}, true},
    [VOLT_TRAIN_INIT_MODE] = {"mode of initial weights", {"init_mode"}, true},
    [VOLT_TRAIN_FREEZE] = {"frozen parameters", {NULL}, false},
    [VOLT_TRAIN_LR_SCALE] = {"learning rates of parameters", {NULL}, false},
    [VOLT_TRAIN_PRECISION] = {"precision", {"precision"}, false},
    [VOLT_TRAIN_SEED] = {"seed", {"seed"}, true},
    [VOLT_TRAIN_PREVIOUS_RUN] = {"previous stage", {"previous_run"}, false},
};

/* A preset has left nothing of its own in the run. */
static bool preset_differs(const volt_recipe *asked, const volt_recipe *own)
{
    return asked->optimizer.kind != own->optimizer.kind &&
           asked->optimizer.schedule != own->optimizer.schedule &&
           memcmp(asked->mirror, own->mirror, sizeof own->mirror) != 0;
}

/* The next rule from `i` on that freezes, or that does not. */
static int next_rule(const volt_recipe *r, int i, bool freezes)
{
    while (i < r->rules && (r->rule[i].scale == 0) != freezes)
        i++;
    return i;
}

/* Whether the rules that freeze (or those that do not) are others. */
static bool rules_differ(const volt_recipe *a, const volt_recipe *b, bool freezes)
{
    int i = next_rule(a, 0, freezes), j = next_rule(b, 0, freezes);

    for (; i < a->rules && j < b->rules;
         i = next_rule(a, i + 1, freezes), j = next_rule(b, j + 1, freezes)) {
        if (strcmp(a->rule[i].pattern, b->rule[j].pattern) != 0 ||
            a->rule[i].scale != b->rule[j].scale)
            return true;
    }
    return i < a->rules || j < b->rules;
}

/* The recipe of the run with the numbers of iterations that its budget may have set. */
static volt_train_recipe recipe_of(const volt_run_found *found)
{
    volt_train_recipe r = found->recipe;

    r.recipe.iterations = found->state.iterations;
    r.recipe.validation_iterations = found->state.validation_iterations;
    return r;
}

/* Whether two paths are names of one file or folder. */
static bool same_place(const char *a, const char *b)
{
    char *x = NULL, *y = NULL;
    const bool same = volt_path_real(&x, a) == VOLT_OK && volt_path_real(&y, b) == VOLT_OK &&
                      strcmp(x, y) == 0;

    volt_free(y);
    volt_free(x);
    return same;
}

/* The recipe of a run that `o` would start, as far as it differs from `own` on purpose. */
static volt_train_recipe recipe_asked(const volt_train_options *o, const volt_train_recipe *own,
                                      bool regions, const char *previous_run)
{
    volt_train_recipe a = *own;

    a.recipe = *o->recipe;
    a.seed = o->seed;
    if (o->precision != VOLT_PRECISION_AUTO)
        a.precision = o->precision;
    if (a.recipe.batch == 0)
        a.recipe.batch = own->recipe.batch;
    if (own->recipe.validation_iterations == 0) /* a run without validation cases */
        a.recipe.validation_iterations = 0;
    if (regions)
        a.recipe.sigmoid = true;
    a.init_mode = o->init_mode;
    if (o->init && !same_place(o->init, own->init))
        snprintf(a.init, sizeof a.init, "%s", o->init);
    if (previous_run && *own->previous_run && strlen(previous_run) < sizeof a.previous_run &&
        !same_place(previous_run, own->previous_run))
        snprintf(a.previous_run, sizeof a.previous_run, "%s", previous_run);
    return a;
}

static bool field_differs(volt_train_field f, const volt_train_recipe *asked,
                          const volt_train_recipe *own, const json_t *asked_json,
                          const json_t *own_json)
{
    if (f == VOLT_TRAIN_PRESET)
        return preset_differs(&asked->recipe, &own->recipe);
    if (f == VOLT_TRAIN_FREEZE || f == VOLT_TRAIN_LR_SCALE)
        return rules_differ(&asked->recipe, &own->recipe, f == VOLT_TRAIN_FREEZE);
    for (int k = 0; k < MAX_KEYS && fields[f].key[k]; k++) {
        if (!json_equal(json_object_get(asked_json, fields[f].key[k]),
                        json_object_get(own_json, fields[f].key[k])))
            return true;
    }
    return false;
}

_Static_assert(VOLT_INIT_MODE_LAST == VOLT_TRANSFER_TOLERANT, "checkpoints hold every mode");

static const char *mode_name(const json_t *recipe)
{
    static const char *const names[] = {[VOLT_TRANSFER_BY_NAME] = "by-name",
                                        [VOLT_TRANSFER_STRICT] = "strict",
                                        [VOLT_TRANSFER_TOLERANT] = "tolerant"};
    const json_int_t mode = json_integer_value(json_object_get(recipe, "init_mode"));

    return mode < 0 ? "unknown" : names[mode];
}

/* Whether the recipe is that of a run with random initial weights. */
static bool begins_at_random(const json_t *recipe)
{
    const char *init = json_string_value(json_object_get(recipe, "init"));

    return !init || !*init;
}

/* A value as text: "0.5"; "none" for an empty name; "its plan's" for a sentinel. */
static void show_value(char *text, size_t bytes, const json_t *recipe, const field *f)
{
    const json_t *value = json_object_get(recipe, f->key[0]);
    const char *name = json_string_value(value);

    if (name)
        snprintf(text, bytes, "%.60s", *name ? name : "none");
    else if (f == &fields[VOLT_TRAIN_INIT_MODE])
        snprintf(text, bytes, "%s", mode_name(recipe));
    else if (f == &fields[VOLT_TRAIN_DROPOUT] && json_number_value(value) < 0)
        snprintf(text, bytes, "its plan's");
    else
        snprintf(text, bytes, "%.9g", json_number_value(value));
}

/* Appends "NAME (0.5, the run has 0.01)" to the list. */
static void append(char *list, size_t bytes, const volt_train_given *g, const json_t *asked,
                   const json_t *own)
{
    const field *f = &fields[g->field];
    const char *name = g->name ? g->name : f->name;
    const size_t used = strlen(list);
    char wanted[64], has[64];

    if (f->shown) {
        show_value(wanted, sizeof wanted, asked, f);
        show_value(has, sizeof has, own, f);
        if (g->field == VOLT_TRAIN_INIT_MODE && begins_at_random(own))
            snprintf(has, sizeof has, "none");
        snprintf(list + used, bytes - used, "%s%.40s (%s, the run%s %s)", used ? ", " : "",
                 name, wanted, strcmp(has, "unknown") == 0 ? "'s is" : " has", has);
    } else {
        snprintf(list + used, bytes - used, "%s%.40s", used ? ", " : "", name);
    }
}

volt_status volt_train_compare_given(const volt_train_options *options,
                                     const volt_run_found *found, const char *run,
                                     const char *previous_run)
{
    const volt_train_recipe own = recipe_of(found);
    const volt_train_recipe asked =
        recipe_asked(options, &own, found->info.regions > 0, previous_run);
    json_t *asked_json = NULL, *own_json = NULL;
    char *asked_text = NULL, *own_text = NULL, list[1600] = "";
    volt_status st = VOLT_OK;

    if (options->givens == 0)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_train_recipe_text(&asked_text, &asked));
    VOLT_TRY(st, done, volt_train_recipe_text(&own_text, &own));
    asked_json = json_loads(asked_text, 0, NULL);
    own_json = json_loads(own_text, 0, NULL);
    if (!asked_json || !own_json) {
        st = volt_fail(VOLT_ENOMEM, "no memory to compare recipes");
        goto done;
    }
    for (int i = 0; i < options->givens; i++) {
        const volt_train_given *g = &options->given[i];
        if (field_differs(g->field, &asked, &own, asked_json, own_json))
            append(list, sizeof list, g, asked_json, own_json);
    }
    if (*list)
        st = volt_fail(VOLT_EINVAL,
                       "%.120s keeps the recipe that it was started with; this cannot be "
                       "changed: %s",
                       run, list);
done:
    json_decref(own_json);
    json_decref(asked_json);
    volt_free(own_text);
    volt_free(asked_text);
    return st;
}
