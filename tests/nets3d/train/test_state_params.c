/* Parameters of role VOLT_PARAM_STATE: saved, loaded and exported like all others, but never
 * learned. No network has any yet, so every network built here gets two. */
#include "base/core/alloc.h"
#include "nets3d/export_model.h"
#include "nets3d/graph/init.h"
#include "nets3d/graph/params.h"
#include "nets3d/import_model.h"
#include "nets3d/model.h"
#include "nets3d/predict/predictor_internal.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"
#include "nets3d/train/param_scales.h"
#include "nets3d/train/transfer.h"
#include "tests/kit/train_compare.h"

#define MEAN "encoder.norm.running_mean"
#define VAR  "encoder.norm.running_var"
#define RUN  "run-state"

enum { CHANNELS = 3 };
static const float mean[CHANNELS] = {0.5f, -2, 3}, var[CHANNELS] = {4, 0.25f, 9};

static void add_state(volt_graph *g)
{
    assert_ok(volt_graph_state(g, NULL, MEAN, CHANNELS));
    assert_ok(volt_graph_start_at_zero(g, MEAN));
    assert_ok(volt_graph_state(g, NULL, VAR, CHANNELS));
}

volt_status __real_volt_network_build(volt_graph **out, const volt_network *net, bool deep);
volt_status __wrap_volt_network_build(volt_graph **out, const volt_network *net, bool deep);

/* The linker leads all calls of volt_network_build here. */
volt_status __wrap_volt_network_build(volt_graph **out, const volt_network *net, bool deep)
{
    const volt_status st = __real_volt_network_build(out, net, deep);

    if (st == VOLT_OK)
        add_state(*out);
    return st;
}

static const volt_param *param_of(const volt_graph *g, const char *name)
{
    const int i = volt_graph_find_param(g, name);

    assert_true(i >= 0);
    return volt_graph_param(g, i);
}

/* Two 1x1x1 convolutions, 2 -> 3 -> 2 channels, with state declared between them or not. */
static volt_graph *small_graph(bool with_state)
{
    const volt_conv one = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    volt_graph *g = NULL;
    volt_value v;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, 2));
    assert_ok(volt_graph_conv(g, &v, v, "a", CHANNELS, &one, true));
    if (with_state)
        add_state(g);
    assert_ok(volt_graph_conv(g, &v, v, "head", 2, &one, true));
    assert_ok(volt_graph_output(g, v));
    return g;
}

static void state_lies_behind_what_learns(void **state)
{
    static const char *const prefix[] = {"head"};
    volt_graph *g = small_graph(true);
    const int64_t learned = 2 * CHANNELS + CHANNELS + CHANNELS * 2 + 2;
    float flat[64];

    (void)state;
    for (int grouped = 0; grouped < 2; grouped++) {
        if (grouped) /* offsets follow the new order, state stays at the end */
            assert_ok(volt_graph_group_params(g, prefix, 1));
        assert_int_equal(volt_graph_param_count(g), 6);
        assert_int_equal(volt_graph_learned_elements(g), learned);
        assert_int_equal(volt_graph_param_elements(g), learned + 2 * CHANNELS);
        assert_int_equal(param_of(g, MEAN)->offset, learned);
        assert_int_equal(param_of(g, VAR)->offset, learned + CHANNELS);
        assert_int_equal(param_of(g, "head.weight")->offset, grouped ? 0 : 9);
        volt_init_parameters(flat, g, 1);
        for (int c = 0; c < CHANNELS; c++) {
            assert_true(flat[learned + c] == 0);
            assert_true(flat[learned + CHANNELS + c] == 1);
        }
    }
    assert_fails(volt_graph_state(g, NULL, MEAN, 3), VOLT_EINVAL, "twice");
    assert_fails(volt_graph_state(g, NULL, "other", 0), VOLT_EINVAL, "other");
    assert_int_equal(volt_graph_param_count(g), 6);
    volt_graph_free(g);
}

/* Some steps of AdamW with decay; gives the parameters and the norm of the last gradient. */
static double train_small(const char *device, float *flat, bool with_state, bool scaled)
{
    const double scales[] = {1, 0.5, 7, 7, 1, 0.5}, plain[] = {1, 0.5, 1, 0.5};
    volt_optimizer_settings settings = volt_optimizer_usual(VOLT_ADAMW);
    volt_program_options o = volt_program_defaults();
    const volt_loss_options loss = volt_loss_nnunet(1, false);
    volt_graph *g = small_graph(with_state);
    volt_optimizer *opt = NULL;
    volt_program *p = NULL;
    volt_device *dev = NULL;
    volt_parameters params;
    float input[2 * 64];
    int16_t labels[64];
    double norm = 0;

    for (int i = 0; i < 2 * 64; i++)
        input[i] = (float)(i * 7 % 13) / 6 - 1;
    for (int i = 0; i < 64; i++)
        labels[i] = (int16_t)(i % 2);
    o.mode = VOLT_TRAIN;
    o.extent[0] = o.extent[1] = o.extent[2] = 4;
    o.threads = 1;
    o.accumulate = true;
    settings.weight_decay = 0.5;
    assert_ok(volt_device_open(&dev, device));
    assert_ok(volt_program_create(&p, g, dev, &o));
    assert_ok(volt_program_load(p, flat));
    params = volt_program_parameters(p);
    assert_int_equal(params.count, volt_graph_learned_elements(g));
    assert_ok(volt_optimizer_create(&opt, params, &settings));
    if (scaled)
        assert_ok(volt_optimizer_set_scales(opt, g, with_state ? scales : plain));
    for (int i = 0; i < 3; i++) {
        assert_ok(volt_program_forward(p, input, (uint32_t)i));
        assert_ok(volt_program_loss(p, &loss, labels, true));
        assert_ok(volt_program_backward(p));
        assert_ok(volt_program_accumulate(p, 0, 1));
        assert_ok(volt_optimizer_step(opt, 0.1));
    }
    assert_ok(volt_optimizer_norm(opt, &norm));
    assert_ok(volt_program_save(p, flat));
    volt_optimizer_free(opt);
    volt_program_free(p);
    volt_graph_free(g);
    volt_device_close(dev);
    return norm;
}

static void no_step_changes_state(void **state)
{
    enum { LEARNED = 2 * CHANNELS + CHANNELS + CHANNELS * 2 + 2 };

    (void)state;
    for (int i = 0; i < 4; i++) {
        const char *device = i / 2 ? "cpu" : "reference";
        float with[LEARNED + 2 * CHANNELS], without[LEARNED];
        double norm;

        for (int k = 0; k < LEARNED; k++)
            with[k] = without[k] = (float)(k % 5) / 4 - 0.4f;
        memcpy(with + LEARNED, mean, sizeof mean);
        memcpy(with + LEARNED + CHANNELS, var, sizeof var);
        norm = train_small(device, with, true, i % 2);
        assert_true(norm == train_small(device, without, false, i % 2));
        assert_memory_equal(with, without, sizeof without);
        assert_memory_equal(with + LEARNED, mean, sizeof mean);
        assert_memory_equal(with + LEARNED + CHANNELS, var, sizeof var);
    }
}

static void state_has_no_learning_rate(void **state)
{
    volt_graph *g = small_graph(true);
    volt_recipe recipe;
    double scale[6];

    (void)state;
    recipe = volt_recipe_nnunet();
    assert_ok(volt_recipe_add_scales(&recipe, MEAN "=0.5"));
    assert_fails(volt_param_scales(scale, g, &recipe, NULL), VOLT_EINVAL, MEAN);
    recipe = volt_recipe_nnunet();
    assert_ok(volt_recipe_freeze(&recipe, "*running*"));
    assert_fails(volt_param_scales(scale, g, &recipe, NULL), VOLT_EINVAL, "not learned");
    /* A pattern that matches both takes what learns. */
    recipe = volt_recipe_nnunet();
    assert_ok(volt_recipe_add_scales(&recipe, "[ae]*=0.5"));
    assert_ok(volt_param_scales(scale, g, &recipe, NULL));
    for (int i = 0; i < 6; i++)
        assert_true(scale[i] == (i < 2 ? 0.5 : 1));
    recipe = volt_recipe_nnunet();
    assert_ok(volt_recipe_freeze(&recipe, "*"));
    assert_fails(volt_param_scales(scale, g, &recipe, NULL), VOLT_EINVAL, "every parameter");
    volt_graph_free(g);
}

/* ---- files ---- */

static void assert_holds(const char *path, const char *name, const float *want)
{
    volt_safetensors *f = NULL;
    const volt_tensor_view *v;

    assert_ok(volt_safetensors_open(&f, path));
    v = volt_safetensors_find(f, name);
    assert_non_null(v);
    assert_int_equal(v->bytes, CHANNELS * sizeof *want);
    assert_memory_equal(v->data, want, v->bytes);
    volt_safetensors_close(f);
}

static bool is_there(const char *path, const char *name)
{
    volt_safetensors *f = NULL;
    bool found;

    assert_ok(volt_safetensors_open(&f, path));
    found = volt_safetensors_find(f, name) != NULL;
    volt_safetensors_close(f);
    return found;
}

/* A file of weights with `mean` and `var`, to begin with. */
static void write_start(const char *path, const fixture *f)
{
    volt_tensor_view *view;
    volt_graph *g = NULL;
    size_t params;
    float *flat;

    assert_ok(volt_network_build(&g, &f->data.config->net, true));
    params = (size_t)volt_graph_param_count(g);
    assert_ok(volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * sizeof *flat, "a test"));
    assert_ok(volt_alloc_zero(&view, params, sizeof *view, "a test"));
    volt_init_parameters(flat, g, 9);
    memcpy(flat + param_of(g, MEAN)->offset, mean, sizeof mean);
    memcpy(flat + param_of(g, VAR)->offset, var, sizeof var);
    for (size_t i = 0; i < params; i++) {
        const volt_param *p = volt_graph_param(g, (int)i);
        view[i] = (volt_tensor_view){.name = p->name,
                                     .type = VOLT_TENSOR_F32,
                                     .rank = p->ndim,
                                     .data = flat + p->offset,
                                     .bytes = (size_t)p->count * sizeof *flat};
        memcpy(view[i].shape, p->dims, (size_t)p->ndim * sizeof *p->dims);
    }
    assert_ok(volt_safetensors_write(path, view, params, NULL, 0));
    volt_free(view);
    volt_free(flat);
    volt_graph_free(g);
}

/* Initial weights, training, a checkpoint that is resumed, exports, an import: the state goes
 * through all of them as it was. */
static void state_goes_through_files(void **state)
{
    volt_model_import_options from = volt_model_import_defaults();
    volt_predict_options predict = volt_predict_defaults();
    const char *const imported = "run-imported";
    volt_predictor *p = NULL;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 2, 2);
    fixture f;

    (void)state;
    fixture_open(&f, "state-store");
    write_start("start.safetensors", &f);
    recipe.optimizer = volt_optimizer_usual(VOLT_ADAMW);
    recipe.optimizer.weight_decay = 0.5;
    o.init = "start.safetensors";
    o.init_mode = VOLT_TRANSFER_STRICT;
    remove_folder(RUN);
    train_and_kill(RUN, &f, &o, 3);
    o.resume = true;
    assert_ok(volt_train(RUN, &f.data, &o, NULL, NULL));
    assert_holds(RUN LATEST, MEAN, mean);
    assert_holds(RUN LATEST, VAR, var);
    assert_true(is_there(RUN LATEST, "optimizer.1.encoder.stages.0.0.convs.0.conv.weight"));
    assert_false(is_there(RUN LATEST, "optimizer.0." MEAN));
    assert_ok(
        volt_export_model(RUN, "out.safetensors", VOLT_EXPORT_SAFETENSORS, NULL, NULL, NULL));
    assert_holds("out.safetensors", MEAN, mean);
    remove_folder("out-nnunet/fold_0");
    remove_folder("out-nnunet");
    assert_ok(volt_export_model(RUN, "out-nnunet", VOLT_EXPORT_NNUNET, NULL, NULL, NULL));
    remove_folder(imported);
    assert_ok(volt_import_model("out-nnunet", imported, &from, NULL, NULL));
    assert_holds("run-imported" LATEST, VAR, var);
    predict.precision = VOLT_FP32;
    assert_ok(volt_predictor_open(&p, &imported, 1, &predict, NULL));
    volt_predictor_free(p);
    remove_folder("out-nnunet/fold_0");
    remove_folder("out-nnunet");
    remove_folder(imported);
    remove_folder(RUN);
    remove("start.safetensors");
    remove("out.safetensors");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_lies_behind_what_learns),
        cmocka_unit_test(no_step_changes_state),
        cmocka_unit_test(state_has_no_learning_rate),
        cmocka_unit_test(state_goes_through_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
