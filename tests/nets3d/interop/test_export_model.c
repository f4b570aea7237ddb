#define _GNU_SOURCE
/* What goes out is what came in: every key of nnU-Net's checkpoint with its aliases and
 * numbers, and the same mask from what is read back. */
#include "base/core/alloc.h"
#include "tests/kit/test.h"

#include <stdio.h>

#include "io/tensors/torch_file.h"
#include "nets3d/export_model.h"
#include "nets3d/import_model.h"
#include "tests/kit/foreign.h"

#define MODELS VOLT_TESTDATA "/models/"
#define RUN    "exported-run"
#define OUT    "exported-out"

/* NULL: absent. */
static const volt_torch_tensor *find_tensor(const volt_torch_file *file, const char *name)
{
    for (size_t i = 0; i < volt_torch_count(file); i++) {
        if (strcmp(volt_torch_at(file, i)->view.name, name) == 0)
            return volt_torch_at(file, i);
    }
    return NULL;
}

static void export_as(const char *name, volt_export_format format)
{
    char *source = NULL;

    remove_tree(RUN);
    remove_tree(OUT);
    assert_ok(volt_format(&source, MODELS "%s/model", name));
    assert_ok(volt_import_model(source, RUN, NULL, NULL, NULL));
    assert_ok(volt_export_model(RUN, OUT, format, NULL, NULL, NULL));
    volt_free(source);
}

/* The same names, shapes, numbers, and the same tensors repeated. */
static void compare_checkpoints(const char *ours_path, const char *theirs_path)
{
    volt_torch_file *ours, *theirs;

    assert_ok(volt_torch_open(&ours, ours_path));
    assert_ok(volt_torch_open(&theirs, theirs_path));
    assert_int_equal(volt_torch_count(ours), volt_torch_count(theirs));
    assert_true(volt_torch_count(ours) > 100);
    for (size_t i = 0; i < volt_torch_count(theirs); i++) {
        const volt_torch_tensor *want = volt_torch_at(theirs, i);
        const volt_torch_tensor *got = find_tensor(ours, want->view.name);
        if (!got)
            fail_msg("%s is missing", want->view.name);
        assert_int_equal(got->view.rank, want->view.rank);
        assert_memory_equal(got->view.shape, want->view.shape,
                            (size_t)want->view.rank * sizeof *want->view.shape);
        assert_memory_equal(got->view.data, want->view.data, want->view.bytes);
        assert_string_equal(volt_torch_at(ours, (size_t)got->alias)->view.name,
                            volt_torch_at(theirs, (size_t)want->alias)->view.name);
    }
    volt_torch_close(theirs);
    volt_torch_close(ours);
}

static void every_key_goes_out(void **state)
{
    static const char *const names[] = {"resampled", "anisotropic", "flat", "residual",
                                        "regions"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *theirs = NULL;
        assert_ok(
            volt_format(&theirs, MODELS "%s/model/fold_0/checkpoint_final.pth", names[i]));
        export_as(names[i], VOLT_EXPORT_NNUNET);
        compare_checkpoints(OUT "/fold_0/checkpoint_final.pth", theirs);
        volt_free(theirs);
    }
    remove_tree(RUN);
    assert_ok(volt_import_model(OUT, RUN, NULL, NULL, NULL));
    predicts_as_nnunet(RUN, "regions");
    remove_tree(RUN);
    remove_tree(OUT);
}

/* Both folds go out and come in as two runs of one folder. */
static void folds_stay_folds(void **state)
{
    (void)state;
    export_as("folds", VOLT_EXPORT_NNUNET);
    assert_true(volt_path_exists(RUN "/fold_0/checkpoint_latest.safetensors"));
    assert_true(volt_path_exists(RUN "/fold_1/checkpoint_latest.safetensors"));
    assert_false(volt_path_exists(RUN "/checkpoint_latest.safetensors"));
    compare_checkpoints(OUT "/fold_1/checkpoint_final.pth",
                        MODELS "folds/model/fold_1/checkpoint_final.pth");
    assert_fails(volt_export_model(RUN, "x.onnx", VOLT_EXPORT_ONNX, NULL, NULL, NULL),
                 VOLT_EDATA, "holds 2 folds");
    assert_ok(volt_export_model(RUN "/fold_1", "x.onnx", VOLT_EXPORT_ONNX, NULL, NULL, NULL));
    remove("x.onnx");
    remove_tree(RUN);
    remove_tree(OUT);
}

static void one_file_holds_the_weights(void **state)
{
    volt_safetensors *file;

    (void)state;
    export_as("resampled", VOLT_EXPORT_SAFETENSORS);
    assert_ok(volt_safetensors_open(&file, OUT));
    assert_int_equal(volt_safetensors_count(file), 48);
    assert_non_null(volt_safetensors_metadata(file, "plans"));
    assert_non_null(volt_safetensors_find(file, "decoder.seg_layers.1.weight"));
    volt_safetensors_close(file);
    remove_tree(RUN);
    remove_tree(OUT);
}

/* Only what the finest output needs: not the other head. The rest of ONNX is held by the
 * peers' test. */
static void onnx_holds_what_is_needed(void **state)
{
    char *data;
    size_t bytes;

    (void)state;
    export_as("resampled", VOLT_EXPORT_ONNX);
    assert_ok(volt_read_file(&data, &bytes, OUT, (size_t)1 << 24));
    assert_non_null(memmem(data, bytes, "decoder.seg_layers.1.weight", 27));
    assert_null(memmem(data, bytes, "decoder.seg_layers.0.weight", 27));
    assert_non_null(memmem(data, bytes, "InstanceNormalization", 21));
    volt_free(data);
    remove_tree(RUN);
    remove_tree(OUT);
}

/* A network of MONAI: no folder of nnU-Net; safetensors have MONAI's names and shapes; ONNX has
 * the operators that nnU-Net's networks do not need. */
static void networks_of_monai_go_out(void **state)
{
    volt_model_import_options o = volt_model_import_defaults();
    const volt_tensor_view *v;
    volt_safetensors *file;
    char *data;
    size_t bytes;

    (void)state;
    o.plans = MODELS "monai_batch/plans.json";
    o.dataset = MODELS "monai_batch/dataset.json";
    remove_tree(RUN);
    remove_tree(OUT);
    assert_ok(volt_import_model(MODELS "monai_batch/weights.pt", RUN, &o, NULL, NULL));
    assert_fails(volt_export_model(RUN, OUT, VOLT_EXPORT_NNUNET, NULL, NULL, NULL),
                 VOLT_ENOTSUP, "is a MONAI UNet");
    assert_false(volt_path_exists(OUT));
    assert_ok(volt_export_model(RUN, OUT, VOLT_EXPORT_SAFETENSORS, NULL, NULL, NULL));
    assert_ok(volt_safetensors_open(&file, OUT));
    v = volt_safetensors_find(file, "model.2.0.conv.weight");
    assert_true(v && v->rank == 5 && v->shape[0] == 8 && v->shape[1] == 3);
    assert_non_null(volt_safetensors_find(file, "model.1.submodule.0.conv.unit1.adn.A.weight"));
    volt_safetensors_close(file);
    remove(OUT);
    assert_ok(volt_export_model(RUN, OUT, VOLT_EXPORT_ONNX, NULL, NULL, NULL));
    assert_ok(volt_read_file(&data, &bytes, OUT, (size_t)1 << 24));
    assert_non_null(memmem(data, bytes, "PRelu", 5));
    assert_non_null(memmem(data, bytes, "output_padding", 14));
    volt_free(data);
    remove(OUT);
    remove_tree(RUN);
}

static void what_cannot_be_is_named(void **state)
{
    (void)state;
    export_as("resampled", VOLT_EXPORT_NNUNET);
    assert_fails(volt_export_model(RUN, OUT, VOLT_EXPORT_NNUNET, NULL, NULL, NULL), VOLT_EDATA,
                 "not empty");
    assert_fails(volt_export_model("nowhere", "x.onnx", VOLT_EXPORT_ONNX, NULL, NULL, NULL),
                 VOLT_EIO, "nowhere");
    assert_fails(
        volt_export_model(RUN "/plans.json", "x.onnx", VOLT_EXPORT_ONNX, NULL, NULL, NULL),
        VOLT_EFORMAT, "plans.json");
    assert_false(volt_path_exists("x.onnx"));
    remove_tree(RUN);
    remove_tree(OUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_goes_out),
        cmocka_unit_test(folds_stay_folds),
        cmocka_unit_test(one_file_holds_the_weights),
        cmocka_unit_test(onnx_holds_what_is_needed),
        cmocka_unit_test(networks_of_monai_go_out),
        cmocka_unit_test(what_cannot_be_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
