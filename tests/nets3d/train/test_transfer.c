/* Weights of one network as the start of another. */
#include "base/core/alloc.h"
#include "nets3d/train/transfer.h"
#include "nets3d/models/unet.h"
#include "io/tensors/safetensors.h"
#include "nets3d/graph/init.h"
#include "nets3d/run/folder.h"
#include "tests/kit/golden.h"
#include "tests/kit/train_fixture.h"

/* A small U-Net of `in` channels, `out` classes and `wide` features in its second stage. */
static volt_graph *network(int64_t in, int64_t out, int64_t wide)
{
    volt_unet_spec spec = {.base = {.stages = 2,
                                    .in_channels = in,
                                    .out_channels = out,
                                    .features = {4, wide},
                                    .kernel = {{3, 3, 3}, {3, 3, 3}},
                                    .stride = {{1, 1, 1}, {2, 2, 2}}},
                           .convs_encoder = {1, 1},
                           .convs_decoder = {1},
                           .slope = 0.01,
                           .bias = true};
    volt_graph *g = NULL;

    assert_ok(volt_network_build(&g, &(volt_network){&volt_model_plain_unet, &spec}, false));
    return g;
}

static float *fresh(const volt_graph *g, uint64_t seed)
{
    float *flat;

    assert_ok(volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * sizeof *flat, "a test"));
    volt_init_parameters(flat, g, seed);
    return flat;
}

/* Writes the parameters of `g` as a file of weights, `extra` tensors (of one number) with it.
 */
static void save(const char *path, const volt_graph *g, const float *flat,
                 const char *const *extra, size_t extras)
{
    const size_t params = (size_t)volt_graph_param_count(g);
    static const float one = 1;
    volt_tensor_view *views;

    assert_ok(volt_alloc_zero(&views, params + extras, sizeof *views, "a test"));
    for (size_t i = 0; i < params; i++) {
        const volt_param *p = volt_graph_param(g, (int)i);
        views[i] = (volt_tensor_view){.name = p->name,
                                      .type = VOLT_TENSOR_F32,
                                      .rank = p->ndim,
                                      .data = flat + p->offset,
                                      .bytes = (size_t)p->count * sizeof *flat};
        memcpy(views[i].shape, p->dims, (size_t)p->ndim * sizeof *p->dims);
    }
    for (size_t i = 0; i < extras; i++)
        views[params + i] = (volt_tensor_view){.name = extra[i],
                                               .type = VOLT_TENSOR_F32,
                                               .rank = 1,
                                               .shape = {1},
                                               .data = &one,
                                               .bytes = sizeof one};
    assert_ok(volt_safetensors_write(path, views, params + extras, NULL, 0));
    volt_free(views);
}

static void the_same_network_is_taken_whole(void **state)
{
    volt_graph *g = network(1, 3, 8);
    float *source = fresh(g, 1), *target = fresh(g, 2);
    static const char *const extra[] = {"optimizer.0.x", "decoder.encoder.x", "surplus"};
    volt_transfer_report r;

    (void)state;
    save("weights.safetensors", g, source, extra, 3);
    for (int mode = 0; mode < 3; mode++) {
        volt_init_parameters(target, g, 2);
        assert_ok(volt_transfer(target, g, "weights.safetensors", (volt_transfer_mode)mode,
                                NULL, &r));
        assert_memory_equal(target, source,
                            (size_t)volt_graph_param_elements(g) * sizeof *target);
        assert_int_equal(r.taken, volt_graph_param_count(g));
        assert_int_equal(r.elements, volt_graph_param_elements(g));
        assert_int_equal(r.partly + r.shapes + r.missing, 0);
        assert_int_equal(r.unused, 1); /* "surplus": the others are expected */
    }
    remove("weights.safetensors");
    volt_free(target);
    volt_free(source);
    volt_graph_free(g);
}

/* Another number of classes: the head stays as it is by name, and is shared when tolerant. */
static void other_classes_and_channels(void **state)
{
    volt_graph *from = network(1, 3, 8), *to = network(2, 5, 8);
    float *source = fresh(from, 1), *target = fresh(to, 2), *start = fresh(to, 2);
    volt_transfer_report r;

    (void)state;
    save("weights.safetensors", from, source, NULL, 0);
    assert_fails(
        volt_transfer(target, to, "weights.safetensors", VOLT_TRANSFER_STRICT, NULL, &r),
        VOLT_EDATA, "encoder.stages.0.0.convs.0.conv.weight is 4x1x3x3x3 there and 4x2x3x3x3");
    for (int tolerant = 0; tolerant < 2; tolerant++) {
        volt_init_parameters(target, to, 2);
        assert_ok(volt_transfer(target, to, "weights.safetensors",
                                tolerant ? VOLT_TRANSFER_TOLERANT : VOLT_TRANSFER_BY_NAME, NULL,
                                &r));
        /* the first convolution, and weight and bias of the head */
        assert_int_equal(tolerant ? r.partly : r.shapes, 3);
        assert_int_equal(tolerant ? r.shapes : r.partly, 0);
        assert_int_equal(r.taken, volt_graph_param_count(to) - 3);
        for (int i = 0; i < volt_graph_param_count(to); i++) {
            const volt_param *p = volt_graph_param(to, i), *q = volt_graph_param(from, i);
            const int64_t kernel = p->ndim == 5 ? p->dims[2] * p->dims[3] * p->dims[4] : 1;
            const int64_t rows = p->ndim > 1 ? p->dims[1] : 1;
            assert_string_equal(p->name, q->name);
            for (int64_t k = 0; k < p->count; k++) {
                const int64_t a = k / kernel / rows, b = k / kernel % rows;
                const int64_t rows_there = q->ndim > 1 ? q->dims[1] : 1;
                const bool same = p->count == q->count;
                const bool common = a < q->dims[0] && b < rows_there && (tolerant || same);
                const float want =
                    common ? source[q->offset + (a * rows_there + b) * kernel + k % kernel]
                           : start[p->offset + k];
                assert_true(target[p->offset + k] == want);
            }
        }
    }
    remove("weights.safetensors");
    volt_free(start);
    volt_free(target);
    volt_free(source);
    volt_graph_free(to);
    volt_graph_free(from);
}

static void files_that_do_not_fit_are_refused(void **state)
{
    static const char *const extra[] = {"nothing.of.use"};
    volt_graph *g = network(1, 3, 8), *other = network(1, 3, 16);
    float *flat = fresh(g, 1), *wide = fresh(other, 1);
    const float number = 1;
    const volt_tensor_view alone = {.name = extra[0],
                                    .type = VOLT_TENSOR_F32,
                                    .rank = 1,
                                    .shape = {1},
                                    .data = &number,
                                    .bytes = sizeof number};

    (void)state;
    assert_ok(volt_safetensors_write("weights.safetensors", &alone, 1, NULL, 0));
    assert_fails(
        volt_transfer(flat, g, "weights.safetensors", VOLT_TRANSFER_BY_NAME, NULL, NULL),
        VOLT_EDATA, "contains nothing for this network");
    assert_fails(
        volt_transfer(flat, g, "weights.safetensors", VOLT_TRANSFER_STRICT, NULL, NULL),
        VOLT_EDATA, "is absent there");
    save("weights.safetensors", other, wide, NULL, 0);
    assert_ok(
        volt_transfer(flat, g, "weights.safetensors", VOLT_TRANSFER_TOLERANT, NULL, NULL));
    assert_ok(volt_write_file("weights.safetensors", "damaged", 7));
    assert_true(volt_transfer(flat, g, "weights.safetensors", VOLT_TRANSFER_BY_NAME, NULL,
                              NULL) != VOLT_OK);
    assert_fails(volt_transfer(flat, g, "nowhere", VOLT_TRANSFER_BY_NAME, NULL, NULL), VOLT_EIO,
                 "nowhere");
    remove("weights.safetensors");
    volt_free(wide);
    volt_free(flat);
    volt_graph_free(other);
    volt_graph_free(g);
}

/* A run is the start of another, by its folder, its fold or its checkpoint. */
static void a_run_starts_another(void **state)
{
    static const char *const ways[] = {"run-first/fold_1", "run-first",
                                       ("run-first/fold_1/" VOLT_RUN_LATEST)};
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 3);
    volt_names folds = {0};
    char *path = NULL;
    fixture f;

    (void)state;
    fixture_open(&f, "store-transfer");
    remove_folder("run-first/fold_1");
    remove_folder("run-first/fold_10");
    remove_folder("run-first");
    assert_fails(volt_run_folds(&folds, "run-first"), VOLT_EIO, "run-first");
    assert_ok(volt_train("run-first/fold_1", &f.data, &o, NULL, NULL));
    assert_ok(volt_run_folds(&folds, "run-first"));
    assert_int_equal(folds.count, 1);
    assert_string_equal(folds.name[0], "run-first/fold_1");
    volt_names_free(&folds);
    assert_ok(volt_run_checkpoint(&path, "run-first/fold_1", NULL));
    assert_string_equal(path, ways[2]); /* it is finished */
    volt_free(path);
    assert_fails(volt_run_checkpoint(&path, "run-first", "best"), VOLT_EIO, "best");
    recipe.optimizer.lr = 0;
    for (int i = 0; i < 3; i++) {
        volt_safetensors *a = NULL, *b = NULL;
        const volt_tensor_view *x, *y;
        o.init = ways[i];
        o.init_mode = VOLT_TRANSFER_STRICT;
        o.seed = 99;
        remove_folder("run-second");
        assert_ok(volt_train("run-second", &f.data, &o, NULL, NULL));
        assert_ok(volt_safetensors_open(&a, ways[2]));
        assert_ok(volt_safetensors_open(&b, "run-second/" VOLT_RUN_LATEST));
        x = volt_safetensors_find(a, "decoder.seg_layers.0.weight");
        y = volt_safetensors_find(b, "decoder.seg_layers.0.weight");
        assert_true(x && y);
        assert_memory_equal(x->data, y->data, x->bytes);
        volt_safetensors_close(b);
        volt_safetensors_close(a);
    }
    o.init = NULL;
    assert_ok(volt_train("run-first/fold_10", &f.data, &o, NULL, NULL));
    assert_ok(volt_run_folds(&folds, "run-first"));
    assert_int_equal(folds.count, 2);
    assert_string_equal(folds.name[1], "run-first/fold_10");
    volt_names_free(&folds);
    o.init = "run-first";
    remove_folder("run-second");
    assert_fails(volt_train("run-second", &f.data, &o, NULL, NULL), VOLT_EINVAL, "name one");
    remove_folder("run-second");
    remove_folder("run-first/fold_10");
    remove_folder("run-first/fold_1");
    remove_folder("run-first");
    fixture_close(&f);
}

/* nnU-Net's own checkpoint fits the network of its plan without a remainder. */
static void a_checkpoint_of_nnunet_is_taken_whole(void **state)
{
    const char *const folder = GOLDEN "/model";
    char *dataset = NULL, *plans = NULL, *weights = NULL;
    const volt_plan_config *config;
    volt_dataset_info info = {0};
    volt_plan *plan = NULL;
    volt_graph *g = NULL;
    volt_transfer_report r;
    float *flat;

    (void)state;
    if (!has_shared(GOLDEN_SHARED))
        skip();
    assert_ok(volt_path_join(&weights, folder, "fold_0/checkpoint_final.pth"));
    assert_ok(volt_path_join(&dataset, folder, "dataset.json"));
    assert_ok(volt_path_join(&plans, folder, "plans.json"));
    assert_ok(volt_dataset_info_read(&info, dataset));
    assert_ok(volt_plan_read(&plan, plans, &info));
    assert_ok(volt_plan_find(&config, plan, "3d_fullres"));
    assert_ok(volt_network_build(&g, &config->net, false));
    flat = fresh(g, 3);
    assert_ok(volt_transfer(flat, g, weights, VOLT_TRANSFER_STRICT, NULL, &r));
    assert_int_equal(r.taken, volt_graph_param_count(g));
    assert_int_equal(r.unused, 0);
    volt_free(flat);
    volt_graph_free(g);
    volt_plan_free(plan);
    volt_dataset_info_clear(&info);
    volt_free(plans);
    volt_free(dataset);
    volt_free(weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_network_is_taken_whole),
        cmocka_unit_test(other_classes_and_channels),
        cmocka_unit_test(files_that_do_not_fit_are_refused),
        cmocka_unit_test(a_run_starts_another),
        cmocka_unit_test(a_checkpoint_of_nnunet_is_taken_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
