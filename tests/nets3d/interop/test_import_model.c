#define _GNU_SOURCE
/* Models of nnU-Net and of others become runs: weights equal to the last bit, aliases kept
 * once, masks and logits as theirs; what does not fit is named and leaves nothing behind. */
#include "base/core/alloc.h"
#include "tests/kit/test.h"

#include <stdio.h>

#include "io/image/nifti.h"
#include "nets3d/import_model.h"
#include "nets3d/interop/import_internal.h"
#include "nets3d/predictor.h"
#include "nets3d/interop/weights.h"
#include "nets3d/models/model_internal.h"
#include "tests/kit/foreign.h"
#include "tests/kit/networks.h"

#define MODELS VOLT_TESTDATA "/models/"
#define RUN    "imported-run"
#define FILE_  "imported.json"

/* Options that name a plan, a data set and a map; any may be NULL. */
static volt_model_import_options described(const char *plans, const char *dataset,
                                           const char *map)
{
    volt_model_import_options o = volt_model_import_defaults();

    o.plans = plans;
    o.dataset = dataset;
    o.map = map;
    return o;
}

/* Every number of every kind of tensor, whatever type and stride, is torch's own. */
static void imported_numbers_are_torchs(void **state)
{
    static const char *const names[] = {MODELS "zip.pth", MODELS "legacy.pth",
                                        MODELS "wrapped.pth"};
    volt_safetensors *want;

    (void)state;
    assert_ok(volt_safetensors_open(&want, MODELS "numbers.safetensors"));
    for (int n = 0; n < 3; n++) {
        volt_weights *w;
        assert_ok(volt_weights_open(&w, names[n]));
        assert_int_equal(volt_weights_count(w), volt_safetensors_count(want));
        for (size_t i = 0; i < volt_weights_count(w); i++) {
            const volt_tensor_view *v = volt_safetensors_find(want, volt_weights_name(w, i));
            float *x;
            assert_non_null(v);
            assert_ok(volt_alloc(&x, v->bytes + 4, "a test"));
            assert_ok(volt_weights_copy(x, w, i, (int64_t)(v->bytes / 4)));
            assert_memory_equal(x, v->data, v->bytes);
            volt_free(x);
        }
        volt_weights_close(w);
    }
    volt_safetensors_close(want);
}

static void import_fails(const char *source, const volt_model_import_options *o,
                         volt_status code, const char *words)
{
    remove_tree(RUN);
    assert_fails(volt_import_model(source, RUN, o, NULL, NULL), code, words);
    assert_false(volt_path_exists(RUN));
}

static void a_folder_becomes_a_run(void **state)
{
    volt_model_import_result r = {0};

    (void)state;
    remove_tree(RUN);
    assert_ok(volt_import_model(MODELS "resampled/model", RUN, NULL, NULL, &r));
    assert_int_equal(r.folds, 1);
    assert_string_equal(r.configuration, "3d_fullres");
    assert_string_equal(r.trainer, "nnUNetTrainer");
    assert_int_equal(r.taken, 48);
    assert_int_equal(r.aliases, 88); /* of 136 keys */
    assert_int_equal(r.unused, 0);
    assert_true(volt_path_exists(RUN "/checkpoint_latest.safetensors"));
    assert_fails(volt_import_model(MODELS "resampled/model", RUN, NULL, NULL, NULL), VOLT_EDATA,
                 "is not empty");
    remove_tree(RUN);
}

/* Beside no other file, the checkpoint itself says what its network is. */
static void a_lone_checkpoint_becomes_a_run(void **state)
{
    volt_model_import_result r = {0};
    char *data;
    size_t bytes;

    (void)state;
    remove_tree(RUN);
    assert_ok(volt_make_dirs("lone"));
    assert_ok(volt_read_file(&data, &bytes,
                             MODELS "resampled/model/fold_0/checkpoint_final.pth", 1 << 24));
    assert_ok(volt_write_file("lone/some.pth", data, bytes));
    volt_free(data);
    assert_ok(volt_import_model("lone/some.pth", RUN, NULL, NULL, &r));
    assert_int_equal(r.taken, 48);
    predicts_as_nnunet(RUN, "resampled");
    remove_tree("lone");
    remove_tree(RUN);
}

static void wrong_sources_are_named(void **state)
{
    const volt_model_import_options none = volt_model_import_defaults(),
                                    plans = described(MODELS "dynunet/plans.json",
                                                      MODELS "dynunet/dataset.json", NULL);
    volt_model_import_options fold = none, text = none, best = none, other = none, old = none;

    (void)state;
    fold.folds = "0,3";
    text.folds = "first";
    best.checkpoint = "best";
    other.configuration = "3d_lowres";
    old.size = 0;
    import_fails(MODELS "resampled/model", &old, VOLT_EINVAL, "start from its defaults");
    import_fails(MODELS "resampled/model", &fold, VOLT_EINVAL, "there is no");
    import_fails(MODELS "resampled/model", &text, VOLT_EINVAL, "folds 'first'");
    import_fails(MODELS "resampled/model", &best, VOLT_EFORMAT, "checkpoint_best.pth");
    import_fails(MODELS "resampled/model", &other, VOLT_EINVAL, "it has: 3d_fullres");
    import_fails(MODELS "resampled", NULL, VOLT_EDATA,
                 "choose one, such as " MODELS "resampled/model");
    import_fails(MODELS "resampled/model", &plans, VOLT_EFORMAT, "does not fit the network");
    import_fails(MODELS "wrapped.pth", NULL, VOLT_EINVAL, "does not describe its network");
    import_fails(MODELS "archive.zip", NULL, VOLT_EFORMAT,
                 "holds no model: neither torch's data.pkl");
    import_fails(MODELS "resampled/scan_0000.nii.gz", NULL, VOLT_EFORMAT, "holds no weights");
    import_fails("nowhere", NULL, VOLT_EIO, "nowhere");
}

/* The logits of MONAI's own network, under its own names. */
static void a_dynunet_becomes_a_run(void **state)
{
    const volt_model_import_options o =
        described(MODELS "dynunet/plans.json", MODELS "dynunet/dataset.json", NULL);
    volt_model_import_result r = {0};

    (void)state;
    remove_tree(RUN);
    assert_ok(volt_import_model(MODELS "dynunet/dynunet.pt", RUN, &o, NULL, &r));
    assert_int_equal(r.folds, 1);
    network_computes(RUN, MODELS "dynunet/network.safetensors", 1e-4);
    remove_tree(RUN);
}

/* MONAI's networks under their own names, described by their own arguments: batch norms folded
 * and biases made, two dimensions, kernels that differ by level. The run's plan is read again.
 */
static void networks_of_monai_become_runs(void **state)
{
    static const struct {
        const char *name;
        int64_t taken, filled;
    } cases[] = {{"monai_batch", 22, 13}, {"monai_2d", 26, 0}, {"monai_dynunet", 36, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        volt_model_import_options o = volt_model_import_defaults();
        volt_model_import_result r = {0};
        char *folder, *weights, *plans, *dataset, *patch;

        assert_ok(volt_format(&folder, MODELS "%s", cases[i].name));
        assert_ok(volt_path_join(&weights, folder, "weights.pt"));
        assert_ok(volt_path_join(&plans, folder, "plans.json"));
        assert_ok(volt_path_join(&dataset, folder, "dataset.json"));
        assert_ok(volt_path_join(&patch, folder, "network.safetensors"));
        o.plans = plans;
        o.dataset = dataset;
        remove_tree(RUN);
        assert_ok(volt_import_model(weights, RUN, &o, NULL, &r));
        assert_int_equal(r.taken, cases[i].taken);
        assert_int_equal(r.filled, cases[i].filled);
        assert_int_equal(r.unused, 0);
        network_computes(RUN, patch, 1e-4);
        volt_free(patch);
        volt_free(dataset);
        volt_free(plans);
        volt_free(weights);
        volt_free(folder);
    }
    remove_tree(RUN);
}

/* The same weights under a trainer's prefix, by one rule; batch norms are found by it too. */
static void a_prefix_is_taken_off(void **state)
{
    static const char text[] = "{\"model.**\": \"net.model.**\"}";
    const volt_model_import_options o =
        described(MODELS "monai_batch/plans.json", MODELS "monai_batch/dataset.json", FILE_);
    volt_tensor_view view[128];
    char *name[128];
    volt_model_import_result r = {0};
    volt_weights *w;
    size_t count = 0;

    (void)state;
    assert_ok(volt_weights_open(&w, MODELS "monai_batch/weights.pt"));
    for (size_t i = 0; i < volt_weights_count(w); i++) {
        if (volt_weights_view(w, i)->type != VOLT_TENSOR_F32)
            continue;
        assert_true(count < 128);
        view[count] = *volt_weights_view(w, i);
        assert_ok(volt_format(&name[count], "net.%s", volt_weights_name(w, i)));
        view[count].name = name[count];
        count++;
    }
    assert_ok(volt_safetensors_write("prefixed.safetensors", view, count, NULL, 0));
    assert_ok(volt_write_file(FILE_, text, sizeof text - 1));
    remove_tree(RUN);
    assert_ok(volt_import_model("prefixed.safetensors", RUN, &o, NULL, &r));
    assert_int_equal(r.unused, 0);
    network_computes(RUN, MODELS "monai_batch/network.safetensors", 1e-4);
    assert_ok(volt_write_file(FILE_, "{\"a.**\": \"b.*\"}", 15));
    import_fails("prefixed.safetensors", &o, VOLT_EFORMAT, "** on one side only");
    assert_ok(volt_write_file(FILE_, "{\"**.a\": \"b\"}", 13));
    import_fails("prefixed.safetensors", &o, VOLT_EFORMAT, "not a whole part");
    for (size_t i = 0; i < count; i++)
        volt_free(name[i]);
    volt_weights_close(w);
    remove("prefixed.safetensors");
    remove(FILE_);
    remove_tree(RUN);
}

/* Imports MODEL with the first `old` of its plan replaced. */
static void altered_plan_fails(const char *model, const char *old, const char *new,
                               volt_status code, const char *words)
{
    volt_model_import_options o = described(FILE_, NULL, NULL);
    char *text, *at, *altered, *plans, *dataset, *weights;
    size_t bytes;

    assert_ok(volt_format(&plans, MODELS "%s/plans.json", model));
    assert_ok(volt_format(&dataset, MODELS "%s/dataset.json", model));
    assert_ok(volt_format(&weights, MODELS "%s/weights.pt", model));
    assert_ok(volt_read_file(&text, &bytes, plans, 1 << 20));
    at = memmem(text, bytes, old, strlen(old));
    assert_non_null(at);
    assert_ok(volt_format(&altered, "%.*s%s%.*s", (int)(at - text), text, new,
                          (int)(bytes - (size_t)(at - text) - strlen(old)), at + strlen(old)));
    assert_ok(volt_write_file(FILE_, altered, strlen(altered)));
    o.dataset = dataset;
    import_fails(weights, &o, code, words);
    volt_free(altered);
    volt_free(text);
    volt_free(weights);
    volt_free(dataset);
    volt_free(plans);
    remove(FILE_);
}

static void descriptions_that_do_not_fit_are_named(void **state)
{
    volt_model_import_options o =
        described(MODELS "dynunet/plans.json", MODELS "dynunet/dataset.json", NULL);

    (void)state;
    altered_plan_fails("monai_batch", "\"norm\": \"BATCH\"", "\"norm\": \"GROUP\"",
                       VOLT_ENOTSUP, "supported norms are INSTANCE, BATCH");
    altered_plan_fails("monai_batch", "\"norm\": \"BATCH\"", "\"norm\": null", VOLT_EFORMAT,
                       "does not fit the network");
    altered_plan_fails("monai_batch", "\"norm\": \"BATCH\"",
                       "\"norm\": [\"BATCH\", {\"eps\": 0.1}]", VOLT_ENOTSUP, "norm[1].eps");
    altered_plan_fails("monai_batch", "\"norm\": \"BATCH\"",
                       "\"norm\": \"BATCH\", \"adn_ordering\": \"AN\"", VOLT_ENOTSUP,
                       "after the activation");
    altered_plan_fails("monai_batch", "\"norm\": \"BATCH\"",
                       "\"norm\": \"BATCH\", \"adn_ordering\": \"NN\"", VOLT_EFORMAT,
                       "at most once");
    altered_plan_fails("monai_batch", "\"num_res_units\": 2", "\"num_res_unit\": 2",
                       VOLT_EFORMAT, "num_res_unit is not an argument");
    altered_plan_fails("monai_batch", "\"num_res_units\": 2", "\"num_res_units\": 1",
                       VOLT_EFORMAT, "tensors that do not belong to it: 21");
    altered_plan_fails("monai_2d", "\"INSTANCE\"", "\"BATCH\"", VOLT_EFORMAT,
                       "running statistics of 0 batch norms, the network has 6");
    altered_plan_fails("monai_dynunet", "\"deep_supervision\": true", "\"res_block\": true",
                       VOLT_EFORMAT, "conv3");
    altered_plan_fails("monai_batch", "\"num_res_units\": 2", "\"num_res_units\": -1",
                       VOLT_EFORMAT, "num_res_units is -1");
    altered_plan_fails("monai_batch", "\"num_res_units\": 2",
                       "\"num_res_units\": 2, \"kernel_size\": 4", VOLT_EFORMAT, "odd numbers");
    altered_plan_fails("monai_batch", "\"num_res_units\": 2",
                       "\"num_res_units\": 2, \"act\": [\"PRELU\", "
                       "{\"num_parameters\": 7}]",
                       VOLT_EINVAL, "7 slopes for 4 channels");
    altered_plan_fails("monai_batch", "\"out_channels\": 3", "\"out_channels\": 5",
                       VOLT_EFORMAT, "2 channels in and 5 out");
    altered_plan_fails("monai_batch", "\"spatial_dims\": 3", "\"spatial_dims\": 2",
                       VOLT_EFORMAT, "the patch has 3 axes");
    altered_plan_fails("monai_batch", "monai.networks.nets.UNet", "monai.networks.nets.VNet",
                       VOLT_ENOTSUP, "monai.networks.nets.DynUNet");
    import_fails(MODELS "monai_batch/weights.pt", &o, VOLT_EFORMAT, "names of a MONAI UNet");
}

/* A plan with batch norms cannot be trained, only imported. */
static void batch_norms_are_not_built(void **state)
{
    volt_monai_spec spec = {.base = {.stages = 2,
                                     .in_channels = 1,
                                     .out_channels = 2,
                                     .features = {4, 4},
                                     .kernel = {{3, 3, 3}, {3, 3, 3}},
                                     .stride = {{2, 2, 2}, {1, 1, 1}}},
                            .norm = VOLT_MONAI_NORM_BATCH,
                            .up_kernel = {3, 3, 3},
                            .order = "NDA"};
    volt_graph *g = NULL;

    (void)state;
    assert_fails(volt_network_build(&g, &(volt_network){&volt_model_monai_unet, &spec}, false),
                 VOLT_ENOTSUP, "supported only in imported models");
    assert_null(g);
}

/* The same names by a map in a file; what the map does not say right is named. */
static void a_map_translates_names(void **state)
{
    static const char text[] =
        "{\"encoder.stages.0.0.convs.0.*.bias\": \"input_block.norm1.bias\","
        " \"decoder.seg_layers.*.*\": \"=1\"}";
    volt_model_import_options o =
        described(MODELS "dynunet/plans.json", MODELS "dynunet/dataset.json", FILE_);

    (void)state;
    assert_ok(volt_write_file(FILE_, text, sizeof text - 1));
    import_fails(MODELS "dynunet/dynunet.pt", &o, VOLT_EFORMAT,
                 "1 star on one side and 0 on the other");
    assert_ok(volt_write_file(FILE_, "{\"a*\": \"b\"}", 11));
    import_fails(MODELS "dynunet/dynunet.pt", &o, VOLT_EFORMAT, "not a whole part");
    assert_ok(volt_write_file(FILE_, "{\"a\": \"=2\"}", 11));
    import_fails(MODELS "dynunet/dynunet.pt", &o, VOLT_EFORMAT, "=0 or =1 is expected");
    assert_ok(volt_write_file(FILE_, "{\"*.bias\": \"nothing.*\"}", 23));
    import_fails(MODELS "dynunet/dynunet.pt", &o, VOLT_EFORMAT, "does not fit the network");
    remove(FILE_);
}

static volt_status add_to_json(void *root, const char *to, const char *from)
{
    assert_int_equal(json_object_set_new(root, to, json_string(from)), 0);
    return VOLT_OK;
}

/* A map that says all that the built-in one does. */
static void a_whole_map_suffices(void **state)
{
    volt_network net = {0};
    volt_name_rules rules = {.add = add_to_json};
    volt_model_import_options o =
        described(MODELS "dynunet/plans.json", MODELS "dynunet/dataset.json", FILE_);
    json_t *root = json_object();

    (void)state;
    rules.map = root;
    assert_ok(volt_network_create(&net, &volt_model_plain_unet));
    volt_network_spec(&net)->stages = 3;
    assert_ok(net.model->foreign->rules(&net, &rules));
    assert_ok(volt_json_save(FILE_, root));
    json_decref(root);
    volt_network_clear(&net);
    remove_tree(RUN);
    assert_ok(volt_import_model(MODELS "dynunet/dynunet.pt", RUN, &o, NULL, NULL));
    network_computes(RUN, MODELS "dynunet/network.safetensors", 1e-4);
    remove_tree(RUN);
    remove(FILE_);
}

/* Weights with other names, extra ones, or a value that is no number. */
static void misfits_are_named(void **state)
{
    float x[8] = {0};
    volt_tensor_view v[2] = {{.name = "encoder.stages.0.0.convs.0.norm.weight",
                              .type = VOLT_TENSOR_F32,
                              .rank = 1,
                              .shape = {4},
                              .data = x,
                              .bytes = 16},
                             {.name = "extra",
                              .type = VOLT_TENSOR_F32,
                              .rank = 1,
                              .shape = {4},
                              .data = x,
                              .bytes = 16}};
    volt_weights_report report = {0};
    volt_weights *w;
    volt_graph *g = build_unet3d();
    float *flat;

    (void)state;
    assert_ok(volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * 4, "a test"));
    assert_ok(volt_safetensors_write("misfit.safetensors", v, 2, NULL, 0));
    assert_ok(volt_weights_open(&w, "misfit.safetensors"));
    assert_fails(volt_weights_fill(flat, &report, w, g, NULL), VOLT_EFORMAT,
                 "it has no tensor encoder.stages.0.0.convs.0.conv.weight");
    x[2] = NAN;
    volt_weights_close(w);
    assert_ok(volt_safetensors_write("misfit.safetensors", v, 2, NULL, 0));
    assert_ok(volt_weights_open(&w, "misfit.safetensors"));
    assert_fails(volt_weights_copy(flat, w, 0, 4), VOLT_EFORMAT, "value 2 of tensor");
    assert_fails(volt_weights_copy(flat, w, 0, 5), VOLT_EFORMAT, "has 4 values");
    volt_weights_close(w);
    volt_free(flat);
    volt_graph_free(g);
    remove("misfit.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imported_numbers_are_torchs),
        cmocka_unit_test(a_folder_becomes_a_run),
        cmocka_unit_test(a_lone_checkpoint_becomes_a_run),
        cmocka_unit_test(wrong_sources_are_named),
        cmocka_unit_test(a_dynunet_becomes_a_run),
        cmocka_unit_test(networks_of_monai_become_runs),
        cmocka_unit_test(descriptions_that_do_not_fit_are_named),
        cmocka_unit_test(a_prefix_is_taken_off),
        cmocka_unit_test(batch_norms_are_not_built),
        cmocka_unit_test(a_map_translates_names),
        cmocka_unit_test(a_whole_map_suffices),
        cmocka_unit_test(misfits_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
