/* What is given on purpose to a run that is resumed: it must agree with the run's recipe. */
#include "nets3d/train/given.h"

#include "nets3d/recipe.h"
#include "tests/kit/train_fixture.h"

/* Every field, with another value than the run has. */
static void change(volt_train_field f, volt_train_options *o, volt_recipe *r)
{
    switch (f) {
    case VOLT_TRAIN_PRESET:
        *r = volt_recipe_nnunet();
        r->optimizer.schedule = VOLT_SCHEDULE_CONSTANT;
        r->mirror[0] = false;
        break;
    case VOLT_TRAIN_ITERATIONS:
        r->iterations = 7;
        break;
    case VOLT_TRAIN_VALIDATION:
        r->validation_iterations = 7;
        break;
    case VOLT_TRAIN_BATCH:
        r->batch = 3;
        break;
    case VOLT_TRAIN_ACCUMULATE:
        r->accumulate = 2;
        break;
    case VOLT_TRAIN_OPTIMIZER:
        r->optimizer.kind = VOLT_ADAM;
        break;
    case VOLT_TRAIN_LR:
        r->optimizer.lr = 0.5;
        break;
    case VOLT_TRAIN_SCHEDULE:
        r->optimizer.schedule = VOLT_SCHEDULE_POLY;
        break;
    case VOLT_TRAIN_WARMUP:
        r->optimizer.warmup = 0.25;
        break;
    case VOLT_TRAIN_WEIGHT_DECAY:
        r->optimizer.weight_decay = 0.25;
        break;
    case VOLT_TRAIN_MOMENTUM:
        r->optimizer.momentum = 0.25;
        break;
    case VOLT_TRAIN_CLIP:
        r->optimizer.clip_norm = 3;
        break;
    case VOLT_TRAIN_LOSS:
        r->weight_ce = 0;
        break;
    case VOLT_TRAIN_CLASS_WEIGHTS:
        r->class_weights = 3;
        r->class_weight[0] = 1;
        break;
    case VOLT_TRAIN_BATCH_DICE:
        r->batch_dice = VOLT_BATCH_DICE_ON;
        break;
    case VOLT_TRAIN_FOREGROUND:
        r->foreground = 0.75;
        break;
    case VOLT_TRAIN_DROPOUT:
        r->dropout = 0.5;
        break;
    case VOLT_TRAIN_MIRROR:
        r->mirror[2] = false;
        break;
    case VOLT_TRAIN_AUGMENT:
        r->augment = false;
        break;
    case VOLT_TRAIN_DEEP_SUPERVISION:
        r->deep_supervision = false;
        break;
    case VOLT_TRAIN_INIT:
        o->init = "elsewhere";
        break;
    case VOLT_TRAIN_INIT_MODE:
        o->init_mode = VOLT_TRANSFER_STRICT;
        break;
    case VOLT_TRAIN_FREEZE:
        assert_ok(volt_recipe_freeze(r, "encoder.*"));
        break;
    case VOLT_TRAIN_LR_SCALE:
        assert_ok(volt_recipe_add_scales(r, "encoder.*=2"));
        break;
    case VOLT_TRAIN_PRECISION:
        o->precision = VOLT_BF16_MIXED;
        break;
    case VOLT_TRAIN_SEED:
        o->seed = 5;
        break;
    case VOLT_TRAIN_PREVIOUS_RUN: /* needs a cascade */
    case VOLT_TRAIN_FIELDS:
        break;
    }
}

/* What is given on purpose and cannot be changed is named, all of it; what is not given is not
 * compared, and what agrees is fine. */
static void given_fields_must_agree_on_resume(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options good = fixture_options(&recipe, 1, 2);
    const volt_recipe usual = recipe;
    volt_train_given all[VOLT_TRAIN_FIELDS];
    fixture_log l = {.warnings = 0};
    const volt_callbacks cb = fixture_listen(&l);
    volt_train_options o;
    char name[VOLT_TRAIN_FIELDS][16];

    remove_folder("run-given");
    assert_ok(volt_train("run-given", &f->data, &good, NULL, NULL));
    good.resume = true;
    for (int i = 0; i < VOLT_TRAIN_FIELDS; i++) {
        snprintf(name[i], sizeof name[i], "<%d>", i);
        all[i] = (volt_train_given){(volt_train_field)i, name[i]};
    }
    for (int i = 0; i < VOLT_TRAIN_FIELDS; i++) {
        o = good;
        recipe = usual;
        change((volt_train_field)i, &o, &recipe);
        assert_ok(volt_train("run-given", &f->data, &o, NULL, NULL)); /* not given */
        o.givens = 1;
        o.given = &all[i];
        if (i == VOLT_TRAIN_PREVIOUS_RUN) {
            assert_ok(volt_train("run-given", &f->data, &o, NULL, NULL));
            continue;
        }
        assert_fails(volt_train("run-given", &f->data, &o, NULL, NULL), VOLT_EINVAL, name[i]);
        assert_fails(volt_train_check(NULL, "run-given", NULL, &o), VOLT_EINVAL, name[i]);
        recipe = usual;
        o = good;
        o.givens = 1;
        o.given = &all[i];
        assert_ok(volt_train("run-given", &f->data, &o, NULL, NULL)); /* the same */
    }
    recipe = usual;
    o = good;
    change(VOLT_TRAIN_LR, &o, &recipe);
    change(VOLT_TRAIN_SEED, &o, &recipe);
    change(VOLT_TRAIN_LOSS, &o, &recipe);
    o.given = all;
    o.givens = VOLT_TRAIN_FIELDS;
    assert_fails(volt_train("run-given", &f->data, &o, NULL, NULL), VOLT_EINVAL,
                 "<6> (0.5, the run has 0.001), <12>, <25> (5, the run has 11)");
    o = good;
    recipe = usual;
    o.given = all;
    o.givens = VOLT_TRAIN_FIELDS;
    assert_ok(volt_train("run-given", &f->data, &o, &cb, NULL));
    assert_non_null(strstr(l.text, "run-given has ended after 1 epoch: nothing is left to do"));
    assert_null(strstr(l.text, "differ"));
    remove_folder("run-given");
}

/* With a budget, the numbers of iterations are those that it set. */
static void iterations_of_a_budget_must_agree(void **state)
{
    static const volt_train_given given = {VOLT_TRAIN_ITERATIONS, "<iterations>"};
    volt_recipe recipe = volt_recipe_nnunet();
    volt_run_found found = {.recipe = {.recipe = recipe, .budget_s = 60}};
    volt_train_options o = volt_train_defaults();

    (void)state;
    found.state = volt_train_state_first(&recipe);
    found.state.iterations = 17;
    o.recipe = &recipe;
    o.given = &given;
    o.givens = 1;
    assert_fails(volt_train_compare_given(&o, &found, "run", NULL), VOLT_EINVAL,
                 "<iterations> (250, the run has 17)");
    recipe.iterations = 17;
    assert_ok(volt_train_compare_given(&o, &found, "run", NULL));
}

/* The mode of a run's initial weights is stored; checkpoints from before do not tell it. */
static void the_mode_of_initial_weights_must_agree(void **state)
{
    static const volt_train_given given = {VOLT_TRAIN_INIT_MODE, "<mode>"};
    static const struct {
        const char *init;
        int mode;
        const char *words; /* NULL = agrees */
    } own[] = {{"w", VOLT_TRANSFER_STRICT, NULL},
               {"w", VOLT_TRANSFER_BY_NAME, "<mode> (strict, the run has by-name)"},
               {"w", VOLT_INIT_MODE_UNKNOWN, "<mode> (strict, the run's is unknown)"},
               {"", VOLT_INIT_MODE_UNKNOWN, "<mode> (strict, the run has none)"}};
    const volt_recipe usual = volt_recipe_nnunet();
    volt_train_options o = volt_train_defaults();

    (void)state;
    o.recipe = &usual;
    o.init_mode = VOLT_TRANSFER_STRICT;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        volt_run_found found = {.recipe = {.recipe = usual, .init_mode = own[i].mode}};
        volt_status st;
        snprintf(found.recipe.init, sizeof found.recipe.init, "%s", own[i].init);
        o.givens = 0;
        assert_ok(volt_train_compare_given(&o, &found, "run", NULL));
        o.given = &given;
        o.givens = 1;
        st = volt_train_compare_given(&o, &found, "run", NULL);
        if (own[i].words)
            assert_fails(st, VOLT_EINVAL, own[i].words);
        else
            assert_ok(st);
    }
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(given_fields_must_agree_on_resume),
        cmocka_unit_test(iterations_of_a_budget_must_agree),
        cmocka_unit_test(the_mode_of_initial_weights_must_agree),
    };

    return fixture_run_tests(tests, "given-store");
}
