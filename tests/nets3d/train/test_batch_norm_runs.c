/* Runs of a network with batch norms: checkpoints hold the running statistics, a resumed run is
 * the same run, and statistics go through exports and imports by name. No plan has batch norms,
 * so every instance norm of the networks built here becomes one. */
#define _GNU_SOURCE /* memmem */
#include "base/core/alloc.h"
#include "nets3d/export_model.h"
#include "nets3d/graph/params.h"
#include "nets3d/import_model.h"
#include "nets3d/interop/onnx.h"
#include "nets3d/interop/weights.h"
#include "nets3d/model.h"
#include "nets3d/predictor.h"
#include "tests/kit/networks.h"
#include "tests/kit/train_compare.h"

#define RUN "run-norms"

volt_status __real_volt_network_build(volt_graph **out, const volt_network *net, bool deep);
volt_status __wrap_volt_network_build(volt_graph **out, const volt_network *net, bool deep);

/* Of parameter `index`, without ".weight". */
static const char *name_of(const volt_graph *g, int index, char name[256])
{
    const char *full = volt_graph_param(g, index)->name;

    snprintf(name, 256, "%.*s", (int)(strlen(full) - strlen(".weight")), full);
    return name;
}

static void copy_node(volt_graph *to, const volt_graph *g, const volt_node *n)
{
    char name[256] = "";
    volt_value v;

    if (n->weight >= 0)
        name_of(g, n->weight, name);
    switch (n->kind) {
    case VOLT_NODE_INPUT:
        assert_ok(volt_graph_input(to, &v, n->out_channels));
        break;
    case VOLT_NODE_CONV:
        assert_ok(
            volt_graph_conv(to, &v, n->in[0], name, n->out_channels, &n->conv, n->bias >= 0));
        break;
    case VOLT_NODE_TCONV:
        assert_ok(
            volt_graph_tconv(to, &v, n->in[0], name, n->out_channels, &n->conv, n->bias >= 0));
        break;
    case VOLT_NODE_INSTANCE_NORM:
        assert_ok(volt_graph_batch_norm(to, &v, n->in[0], name, n->eps, 0.1));
        break;
    case VOLT_NODE_ACTIVATION:
        assert_ok(volt_graph_activation(to, &v, n->in[0], n->slope));
        break;
    case VOLT_NODE_CONCAT:
        assert_ok(volt_graph_concat(to, &v, n->in, n->inputs));
        break;
    default:
        fail_msg("a node of kind %d", (int)n->kind);
    }
    assert_int_equal(v, n->out);
}

/* The linker leads all calls of volt_network_build here. */
volt_status __wrap_volt_network_build(volt_graph **out, const volt_network *net, bool deep)
{
    volt_graph *g = NULL, *to = NULL;
    const volt_status st = __real_volt_network_build(&g, net, deep);

    if (st != VOLT_OK)
        return st;
    assert_ok(volt_graph_create(&to));
    for (int i = 0; i < volt_graph_node_count(g); i++)
        copy_node(to, g, volt_graph_node(g, i));
    for (int i = 0; i < volt_graph_output_count(g); i++)
        assert_ok(volt_graph_output(to, volt_graph_output_value(g, i)));
    volt_graph_free(g);
    *out = to;
    return VOLT_OK;
}

/* Running statistics of a file. */
typedef struct statistics {
    float mean[64], var[64];
    size_t count;
} statistics;

#define NORM "encoder.stages.0.0.convs.0.norm."

static statistics read_statistics(const char *path)
{
    statistics s = {.count = 0};
    volt_safetensors *f = NULL;
    const volt_tensor_view *m, *v;

    assert_ok(volt_safetensors_open(&f, path));
    m = volt_safetensors_find(f, NORM "running_mean");
    v = volt_safetensors_find(f, NORM "running_var");
    assert_true(m && v && m->bytes == v->bytes && m->bytes <= sizeof s.mean);
    s.count = m->bytes / sizeof *s.mean;
    memcpy(s.mean, m->data, m->bytes);
    memcpy(s.var, v->data, v->bytes);
    assert_null(volt_safetensors_find(f, "optimizer.0." NORM "running_mean"));
    volt_safetensors_close(f);
    return s;
}

static void assert_same_statistics(const statistics *a, const statistics *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->mean, b->mean, a->count * sizeof *a->mean);
    assert_memory_equal(a->var, b->var, a->count * sizeof *a->var);
}

/* Killed and resumed, cancelled and resumed, in one go: the same bits. */
static void a_resumed_run_is_the_same_run(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 2, 3);
    stopper s = {.at = 5};
    const volt_callbacks cb = callbacks_of(&s);

    for (int i = 0; i < 2; i++) {
        statistics norm;

        o.device = i ? "cpu" : "reference";
        o.checkpoint_every = 1;
        recipe.accumulate = 1 + i;
        o.resume = false;
        remove_folder("run-whole");
        remove_folder(RUN);
        assert_ok(volt_train("run-whole", &f->data, &o, NULL, NULL));
        train_and_kill(RUN, f, &o, 2);
        o.resume = true;
        s.reached = false;
        assert_int_equal(volt_train(RUN, &f->data, &o, &cb, NULL), VOLT_ECANCELLED);
        assert_ok(volt_train(RUN, &f->data, &o, NULL, NULL));
        assert_same_run("run-whole", RUN);
        norm = read_statistics(RUN LATEST);
        for (size_t c = 0; c < norm.count; c++)
            assert_true(isfinite(norm.mean[c]) && norm.mean[c] != 0 && norm.var[c] > 0 &&
                        norm.var[c] != 1);
    }
    remove_folder("run-whole");
}

/* Of the run that the test before has left. */
static void statistics_go_through_exports_and_imports(void **state)
{
    volt_model_import_options from = volt_model_import_defaults();
    volt_predict_options predict = volt_predict_defaults();
    const char *const imported = "run-imported";
    const statistics want = read_statistics(RUN LATEST);
    volt_predictor *p = NULL;
    statistics got;

    (void)state;
    assert_ok(
        volt_export_model(RUN, "out.safetensors", VOLT_EXPORT_SAFETENSORS, NULL, NULL, NULL));
    got = read_statistics("out.safetensors");
    assert_same_statistics(&got, &want);
    remove_folder("out-nnunet/fold_0");
    remove_folder("out-nnunet");
    assert_ok(volt_export_model(RUN, "out-nnunet", VOLT_EXPORT_NNUNET, NULL, NULL, NULL));
    remove_folder(imported);
    assert_ok(volt_import_model("out-nnunet", imported, &from, NULL, NULL));
    got = read_statistics("run-imported" LATEST);
    assert_same_statistics(&got, &want);
    predict.precision = VOLT_FP32;
    assert_ok(volt_predictor_open(&p, &imported, 1, &predict, NULL));
    volt_predictor_free(p);
    remove_folder("out-nnunet/fold_0");
    remove_folder("out-nnunet");
    remove_folder(imported);
    remove_folder(RUN);
    remove("out.safetensors");
}

/* What the measurements of a budget run forward counts nowhere. */
static void measuring_moves_nothing(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 1);
    statistics got[2];

    for (int i = 0; i < 2; i++) {
        stopper s = {.at = 1};
        const volt_callbacks cb = callbacks_of(&s);
        const char *run = i ? RUN : "run-whole";

        o.budget_s = i ? 3600 : 0;
        recipe.epochs = recipe.iterations = i ? 1 : 4;
        remove_folder(run);
        assert_int_equal(volt_train(run, &f->data, &o, &cb, NULL), VOLT_ECANCELLED);
        got[i] = read_statistics(i ? RUN LATEST : "run-whole" LATEST);
        remove_folder(run);
    }
    assert_same_statistics(&got[0], &got[1]);
}

static void statistics_of_parts_are_noted(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 1);

    for (int i = 0; i < 3; i++) {
        fixture_log log = {.warnings = 0};
        const volt_callbacks cb = fixture_listen(&log);

        recipe.accumulate = i ? 2 : 1;
        recipe.batch_dice = i == 2 ? VOLT_BATCH_DICE_ON : recipe.batch_dice;
        remove_folder(RUN);
        assert_ok(volt_train(RUN, &f->data, &o, &cb, NULL));
        if (i == 0)
            assert_null(strstr(log.text, "statistics of batch norms"));
        else
            assert_non_null(strstr(log.text, i == 1 ? "statistics of batch norms are computed "
                                                      "for each of a batch's 2 parts"
                                                    : "batch Dice and statistics of batch "
                                                      "norms are computed for each of"));
    }
    remove_folder(RUN);
}

/* A file as torch names its tensors, with counters that nobody needs. */
static void write_state_dict(const char *path, const volt_safetensors *f, const char *without)
{
    static const int64_t batches = 7;
    volt_tensor_view view[64];
    char name[64][64];
    size_t count = 0;

    for (size_t i = 0; i < volt_safetensors_count(f); i++) {
        const volt_tensor_view *v = volt_safetensors_at(f, i);
        if (strncmp(v->name, "w.", 2) != 0 || strcmp(v->name + 2, without) == 0)
            continue;
        view[count] = *v;
        view[count++].name = v->name + 2;
    }
    for (int i = 0; i < 5; i++) {
        snprintf(name[i], sizeof name[i], "%s.num_batches_tracked",
                 (const char *[]){"an", "bn", "sn", "un", "cn"}[i]);
        view[count++] = (volt_tensor_view){.name = name[i],
                                           .type = VOLT_TENSOR_I64,
                                           .data = &batches,
                                           .bytes = sizeof batches};
    }
    assert_ok(volt_safetensors_write(path, view, count, NULL, 0));
}

static void weights_are_filled_by_name(void **state)
{
    volt_safetensors *f = open_fixture("batch_norm");
    volt_graph *g = build_batch_norm();
    const size_t bytes = (size_t)volt_graph_param_elements(g) * sizeof(float);
    float *want = fixture_parameters(f, "w.", g), *flat;
    volt_weights_report report = {0};
    volt_weights *w = NULL;

    (void)state;
    assert_ok(volt_alloc_zero(&flat, bytes, 1, "weights"));
    write_state_dict("torch.safetensors", f, "");
    assert_ok(volt_weights_open(&w, "torch.safetensors"));
    assert_ok(volt_weights_fill(flat, &report, w, g, NULL));
    assert_int_equal(report.taken, volt_graph_param_count(g));
    assert_int_equal(report.unused_count, 5);
    assert_non_null(strstr(report.unused[0], "num_batches_tracked"));
    assert_memory_equal(flat, want, bytes);
    volt_weights_report_clear(&report);
    volt_weights_close(w);
    w = NULL;
    write_state_dict("torch.safetensors", f, "un.running_var");
    assert_ok(volt_weights_open(&w, "torch.safetensors"));
    assert_fails(volt_weights_fill(flat, &report, w, g, NULL), VOLT_EFORMAT, "un.running_var");
    volt_weights_report_clear(&report);
    volt_weights_close(w);
    remove("torch.safetensors");
    volt_free(flat);
    volt_free(want);
    volt_graph_free(g);
    volt_safetensors_close(f);
}

/* How often a text is in the file. */
static int count_in_file(const char *path, const char *text)
{
    const char *at;
    char *data;
    size_t bytes;
    int found = 0;

    assert_ok(volt_read_file(&data, &bytes, path, (size_t)1 << 24));
    at = data;
    while ((at = memmem(at, bytes - (size_t)(at - data), text, strlen(text))) != NULL) {
        found++;
        at++;
    }
    volt_free(data);
    return found;
}

/* Each norm reads its running statistics, which are among the weights. */
static void onnx_has_running_statistics(void **state)
{
    const volt_onnx_options o = {.name = "norms", .axes = 3, .extent = {4, 6, 8}};
    volt_safetensors *f = open_fixture("batch_norm");
    volt_graph *g = build_batch_norm();
    float *weights = fixture_parameters(f, "f.", g);

    (void)state;
    assert_ok(volt_onnx_write("norms.onnx", g, weights, &o));
    assert_int_equal(count_in_file("norms.onnx", "BatchNormalization"), 5);
    assert_int_equal(count_in_file("norms.onnx", "InstanceNormalization"), 1);
    assert_int_equal(count_in_file("norms.onnx", "cn.running_mean"), 2);
    assert_int_equal(count_in_file("norms.onnx", "cn.running_var"), 2);
    remove("norms.onnx");
    volt_free(weights);
    volt_graph_free(g);
    volt_safetensors_close(f);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_run_is_the_same_run),
        cmocka_unit_test(statistics_go_through_exports_and_imports),
        cmocka_unit_test(measuring_moves_nothing),
        cmocka_unit_test(statistics_of_parts_are_noted),
        cmocka_unit_test(weights_are_filled_by_name),
        cmocka_unit_test(onnx_has_running_statistics),
    };

    return fixture_run_tests(tests, "norms-store");
}
