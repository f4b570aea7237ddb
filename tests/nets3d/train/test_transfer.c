/* Weights of one network as the start of another. */
#include "base/core/alloc.h"
#include "nets3d/train/transfer.h"
#include "nets3d/models/monai.h"
#include "nets3d/models/unet.h"
#include "io/tensors/safetensors.h"
#include "nets3d/graph/init.h"
#include "nets3d/run/folder.h"
#include "tests/kit/golden.h"
#include "tests/kit/networks.h"
#include "tests/kit/train_fixture.h"

/* A small U-Net of `in` channels, `out` classes and `wide` features in its second stage. */
static volt_graph *small_network(int64_t in, int64_t out, int64_t wide)
{
    return build_two_stages(in, out, 4, wide);
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
    volt_graph *g = small_network(1, 3, 8);
    float *source = fresh(g, 1), *target = fresh(g, 2);
    static const char *const extra[] = {"optimizer.0.x", "decoder.encoder.x", "surplus"};
    volt_transfer_report r;

    (void)state;
    save("weights.safetensors", g, source, extra, 3);
    for (int mode = 0; mode < 3; mode++) {
        volt_init_parameters(target, g, 2);
        assert_ok(volt_transfer(target, g, "weights.safetensors", (volt_transfer_mode)mode, 1,
                                NULL, NULL, &r));
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
    volt_graph *from = small_network(1, 3, 8), *to = small_network(2, 5, 8);
    float *source = fresh(from, 1), *target = fresh(to, 2), *start = fresh(to, 2);
    volt_transfer_report r;

    (void)state;
    save("weights.safetensors", from, source, NULL, 0);
    assert_fails(volt_transfer(target, to, "weights.safetensors", VOLT_TRANSFER_STRICT, 1, NULL,
                               NULL, &r),
                 VOLT_EDATA,
                 "encoder.stages.0.0.convs.0.conv.weight (4x1x3x3x3 there, 4x2x3x3x3 here)");
    for (int tolerant = 0; tolerant < 2; tolerant++) {
        volt_init_parameters(target, to, 2);
        assert_ok(volt_transfer(target, to, "weights.safetensors",
                                tolerant ? VOLT_TRANSFER_TOLERANT : VOLT_TRANSFER_BY_NAME, 1,
                                NULL, NULL, &r));
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
    volt_graph *g = small_network(1, 3, 8), *other = small_network(1, 3, 16);
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
    assert_fails(volt_transfer(flat, g, "weights.safetensors", VOLT_TRANSFER_BY_NAME, 1, NULL,
                               NULL, NULL),
                 VOLT_EDATA, "contains nothing for this network");
    assert_fails(volt_transfer(flat, g, "weights.safetensors", VOLT_TRANSFER_STRICT, 1, NULL,
                               NULL, NULL),
                 VOLT_EDATA, "(absent there, ");
    save("weights.safetensors", other, wide, NULL, 0);
    assert_ok(volt_transfer(flat, g, "weights.safetensors", VOLT_TRANSFER_TOLERANT, 1, NULL,
                            NULL, NULL));
    assert_ok(volt_write_file("weights.safetensors", "damaged", 7));
    assert_true(volt_transfer(flat, g, "weights.safetensors", VOLT_TRANSFER_BY_NAME, 1, NULL,
                              NULL, NULL) != VOLT_OK);
    assert_fails(volt_transfer(flat, g, "nowhere", VOLT_TRANSFER_BY_NAME, 1, NULL, NULL, NULL),
                 VOLT_EIO, "nowhere");
    remove("weights.safetensors");
    volt_free(wide);
    volt_free(flat);
    volt_graph_free(other);
    volt_graph_free(g);
}

/* Names what a log said last, and whether it was a warning. */
/* A U-Net of `stages` stages, all with the features `wide` but the first, and kernels of
 * `depth` x 3 x 3. */
static volt_graph *deep_network(const volt_model *model, int stages, int64_t first,
                                int64_t wide, int64_t depth)
{
    volt_unet_spec unet = {.slope = 0.01, .bias = true};
    volt_monai_spec dyn = {.order = "NDA", .up_bias = true};
    volt_spec *base = model == &volt_model_dynunet ? &dyn.base : &unet.base;
    volt_graph *g = NULL;

    *base = (volt_spec){.stages = stages, .in_channels = 1, .out_channels = 3};
    for (int s = 0; s < stages; s++) {
        base->features[s] = s ? wide : first;
        for (int a = 0; a < 3; a++) {
            base->kernel[s][a] = a ? 3 : depth;
            base->stride[s][a] = s && (a || depth > 1) ? 2 : 1;
        }
        unet.convs_encoder[s] = 3; /* more than half of the network */
        unet.convs_decoder[s] = 1;
    }
    assert_ok(volt_network_build(&g, &(volt_network){model, base}, true));
    return g;
}

/* Whether parameter `to` of the target has the numbers of `from` of the source (NULL: none of
 * its own were replaced). */
static void assert_took(const volt_graph *g, const float *flat, const char *to,
                        const volt_graph *from_graph, const float *from_flat, const char *from)
{
    const volt_param *p = volt_graph_param(g, volt_graph_find_param(g, to));
    const volt_param *q = volt_graph_param(from_graph, volt_graph_find_param(from_graph, from));

    assert_true(volt_graph_find_param(g, to) >= 0);
    assert_true(volt_graph_find_param(from_graph, from) >= 0);
    assert_int_equal(p->count, q->count);
    assert_memory_equal(flat + p->offset, from_flat + q->offset,
                        (size_t)p->count * sizeof *flat);
}

/* Networks with other numbers of levels agree from the finest: a coarse level never takes the
 * weights of another resolution, although the shapes are the same. */
static void levels_agree_from_the_finest(void **state)
{
    static const char *const nnunet[2][5] = {
        {"encoder.stages.1.0.convs.0.conv.weight", "decoder.stages.2.convs.0.conv.weight",
         "decoder.transpconvs.1.weight", "decoder.seg_layers.1.weight",
         "decoder.stages.0.convs.0.conv.weight"},
        {"encoder.stages.1.0.convs.0.conv.weight", "decoder.stages.1.convs.0.conv.weight",
         "decoder.transpconvs.0.weight", "decoder.seg_layers.0.weight", NULL}};
    static const char *const monai[2][5] = {
        {"downsamples.0.conv1.conv.weight", "upsamples.2.conv_block.conv1.conv.weight",
         "upsamples.1.transp_conv.conv.weight", "downsamples.1.conv1.conv.weight",
         "upsamples.0.conv_block.conv1.conv.weight"},
        {"downsamples.0.conv1.conv.weight", "upsamples.1.conv_block.conv1.conv.weight",
         "upsamples.0.transp_conv.conv.weight", "bottleneck.conv1.conv.weight", NULL}};

    (void)state;
    for (int m = 0; m < 2; m++) {
        const volt_model *model = m ? &volt_model_dynunet : &volt_model_plain_unet;
        volt_graph *deep = deep_network(model, 4, 4, 8, 3),
                   *flat = deep_network(model, 3, 4, 8, 3);
        const char *const(*name)[5] = m ? monai : nnunet;
        for (int mode = 0; mode < 3; mode += 2) {
            float *a = fresh(deep, 1), *start = fresh(deep, 1), *b = fresh(flat, 2);
            save("weights.safetensors", flat, b, NULL, 0);
            assert_ok(volt_transfer(a, deep, "weights.safetensors", (volt_transfer_mode)mode, 1,
                                    NULL, NULL, NULL));
            for (int i = 0; i < 4; i++)
                assert_took(deep, a, name[0][i], flat, b, name[1][i]);
            assert_took(deep, a, name[0][4], deep, start, name[0][4]);
            save("weights.safetensors", deep, start, NULL, 0);
            assert_ok(volt_transfer(b, flat, "weights.safetensors", (volt_transfer_mode)mode, 1,
                                    NULL, NULL, NULL));
            for (int i = 0; i < 4; i++)
                assert_took(flat, b, name[1][i], deep, start, name[0][i]);
            volt_free(b);
            volt_free(start);
            volt_free(a);
        }
        volt_graph_free(flat);
        volt_graph_free(deep);
    }
    remove("weights.safetensors");
}

/* With other numbers of features, channels of a skip connection come from the skip connection
 * and not from the channels that were upsampled. */
static void skip_channels_stay_skip_channels(void **state)
{
    static const char *const name = "decoder.stages.0.convs.0.conv.weight";
    volt_graph *from = deep_network(&volt_model_plain_unet, 2, 6, 8, 3);
    volt_graph *to = deep_network(&volt_model_plain_unet, 2, 4, 8, 3);
    float *source = fresh(from, 1), *target = fresh(to, 2);
    const volt_param *p = volt_graph_param(to, volt_graph_find_param(to, name));
    const volt_param *q = volt_graph_param(from, volt_graph_find_param(from, name));

    (void)state;
    save("weights.safetensors", from, source, NULL, 0);
    assert_ok(volt_transfer(target, to, "weights.safetensors", VOLT_TRANSFER_TOLERANT, 1, NULL,
                            NULL, NULL));
    assert_int_equal(p->dims[1], 8);
    assert_int_equal(q->dims[1], 12);
    for (int64_t k = 0; k < p->count; k++) {
        const int64_t out = k / 27 / 8, in = k / 27 % 8;
        const int64_t there = in < 4 ? in : in - 4 + 6;
        assert_true(target[p->offset + k] ==
                    source[q->offset + (out * 12 + there) * 27 + k % 27]);
    }
    remove("weights.safetensors");
    volt_free(target);
    volt_free(source);
    volt_graph_free(to);
    volt_graph_free(from);
}

/* The middle slice of each channel agrees: the weights of a 2-D network (its file tells nothing
 * of slices) go into the middle of a network of three slices. */
static void slices_agree_from_the_middle(void **state)
{
    static const char *const name = "encoder.stages.0.0.convs.0.conv.weight";
    volt_graph *from = small_network(2, 3, 8), *to = small_network(6, 3, 8);
    float *source = fresh(from, 1), *target = fresh(to, 2), *start = fresh(to, 2);
    const volt_param *p = volt_graph_param(to, volt_graph_find_param(to, name));
    const volt_param *q = volt_graph_param(from, volt_graph_find_param(from, name));

    (void)state;
    save("weights.safetensors", from, source, NULL, 0);
    assert_ok(volt_transfer(target, to, "weights.safetensors", VOLT_TRANSFER_TOLERANT, 3, NULL,
                            NULL, NULL));
    for (int64_t k = 0; k < p->count; k++) {
        const int64_t out = k / 27 / 6, in = k / 27 % 6, channel = in / 3;
        assert_true(target[p->offset + k] ==
                    (in % 3 == 1 ? source[q->offset + (out * 2 + channel) * 27 + k % 27]
                                 : start[p->offset + k]));
    }
    remove("weights.safetensors");
    volt_free(start);
    volt_free(target);
    volt_free(source);
    volt_graph_free(to);
    volt_graph_free(from);
}

/* Little is taken: a warning says why. What is frozen must have been taken whole. */
static void little_and_frozen_are_told(void **state)
{
    volt_graph *flat = deep_network(&volt_model_plain_unet, 3, 4, 8, 1);
    volt_graph *solid = deep_network(&volt_model_plain_unet, 3, 4, 8, 3);
    volt_graph *wide = deep_network(&volt_model_plain_unet, 3, 6, 12, 3);
    volt_graph *residual = deep_network(&volt_model_residual_unet, 3, 4, 8, 3);
    const struct {
        volt_graph *from, *to;
        volt_transfer_mode mode;
        const char *why;
    } cases[] = {
        {flat, solid, VOLT_TRANSFER_BY_NAME, "a 2-D network, and this one is 3-D"},
        {solid, flat, VOLT_TRANSFER_TOLERANT, "a 3-D network, and this one is 2-D"},
        {solid, wide, VOLT_TRANSFER_BY_NAME, "numbers of channels differ, as in encoder"},
        {residual, solid, VOLT_TRANSFER_BY_NAME, "no such parameter, as in encoder"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int params = volt_graph_param_count(cases[i].to);
        float *source = fresh(cases[i].from, 1), *target = fresh(cases[i].to, 2);
        fixture_log l = {.warnings = 0};
        const volt_callbacks cb = fixture_listen(&l);
        double *scale;
        assert_ok(volt_alloc_zero(&scale, (size_t)params, sizeof *scale, "a test"));
        save("weights.safetensors", cases[i].from, source, NULL, 0);
        assert_ok(volt_transfer(target, cases[i].to, "weights.safetensors", cases[i].mode, 1,
                                NULL, &cb, NULL));
        assert_int_equal(l.warnings, 1);
        assert_non_null(strstr(l.text, cases[i].why));
        for (int k = 0; k < params; k++)
            scale[k] = k % 2;
        assert_fails(volt_transfer(target, cases[i].to, "weights.safetensors", cases[i].mode, 1,
                                   scale, &cb, NULL),
                     VOLT_EDATA, "frozen parameters would keep random values");
        assert_non_null(strstr(volt_last_error(), "encoder."));
        for (int k = 0; k < params; k++) /* a head of kernel 1 fits all of them */
            scale[k] = strcmp(volt_graph_param(cases[i].to, k)->name,
                              "decoder.seg_layers.0.bias") != 0;
        assert_ok(volt_transfer(target, cases[i].to, "weights.safetensors", cases[i].mode, 1,
                                scale, &cb, NULL));
        volt_free(scale);
        volt_free(target);
        volt_free(source);
    }
    remove("weights.safetensors");
    volt_graph_free(residual);
    volt_graph_free(wide);
    volt_graph_free(solid);
    volt_graph_free(flat);
}

/* Kernels of another size are not resized: a sentence says so, and to freeze one is an error.
 */
static void kernels_of_another_size_are_told(void **state)
{
    static const char name[] = "encoder.stages.0.0.convs.0.conv.weight";
    volt_graph *from = deep_network(&volt_model_plain_unet, 3, 4, 8, 1);
    volt_graph *to = deep_network(&volt_model_plain_unet, 3, 4, 8, 3);
    float *source = fresh(from, 1), *target = fresh(to, 2), *start = fresh(to, 2);
    const int index = volt_graph_find_param(to, name);
    const volt_param *p = volt_graph_param(to, index);
    fixture_log l = {.warnings = 0};
    const volt_callbacks cb = fixture_listen(&l);
    double *scale;

    (void)state;
    assert_ok(volt_alloc(&scale, (size_t)volt_graph_param_count(to) * sizeof *scale, "a test"));
    for (int i = 0; i < volt_graph_param_count(to); i++)
        scale[i] = i != index;
    save("weights.safetensors", from, source, NULL, 0);
    for (int mode = VOLT_TRANSFER_BY_NAME; mode <= VOLT_TRANSFER_TOLERANT; mode++) {
        const volt_transfer_mode m = (volt_transfer_mode)mode;
        if (m == VOLT_TRANSFER_STRICT) {
            assert_fails(
                volt_transfer(target, to, "weights.safetensors", m, 1, NULL, NULL, NULL),
                VOLT_EDATA,
                "does not fit this network: encoder.stages.0.0.convs.0.conv."
                "weight (kernel 1x3x3 there, 3x3x3 here)");
            continue;
        }
        l.text[0] = '\0';
        assert_ok(volt_transfer(target, to, "weights.safetensors", m, 1, NULL, &cb, NULL));
        assert_non_null(strstr(l.text, "kernels are not resized: "));
        assert_non_null(strstr(l.text, "size there start at random, such as encoder.stages.0.0."
                                       "convs.0.conv.weight (kernel 1x3x3 there, 3x3x3 here)"));
        assert_memory_equal(target + p->offset, start + p->offset,
                            (size_t)p->count * sizeof *target);
        assert_fails(volt_transfer(target, to, "weights.safetensors", m, 1, scale, NULL, NULL),
                     VOLT_EDATA, "1 of 1 frozen parameter would keep random values");
        assert_non_null(strstr(volt_last_error(), "(kernel 1x3x3 there, 3x3x3 here)"));
    }
    remove("weights.safetensors");
    volt_free(scale);
    volt_free(start);
    volt_free(target);
    volt_free(source);
    volt_graph_free(to);
    volt_graph_free(from);
}

/* A frozen parameter that is taken in part is as bad as one that is not taken. */
static void a_frozen_part_is_refused(void **state)
{
    volt_graph *from = small_network(1, 3, 8), *to = small_network(2, 3, 8);
    float *source = fresh(from, 1), *target = fresh(to, 2);
    double *scale;

    (void)state;
    assert_ok(volt_alloc_zero(&scale, (size_t)volt_graph_param_count(to), sizeof *scale, "x"));
    save("weights.safetensors", from, source, NULL, 0);
    assert_fails(volt_transfer(target, to, "weights.safetensors", VOLT_TRANSFER_TOLERANT, 1,
                               scale, NULL, NULL),
                 VOLT_EDATA, "4x1x3x3x3 there, 4x2x3x3x3 here");
    save("weights.safetensors", to, target, NULL, 0);
    assert_ok(volt_transfer(source, from, "weights.safetensors", VOLT_TRANSFER_TOLERANT, 1,
                            scale, NULL, NULL)); /* more channels than needed */
    remove("weights.safetensors");
    volt_free(scale);
    volt_free(target);
    volt_free(source);
    volt_graph_free(to);
    volt_graph_free(from);
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
    recipe.optimizer.lr = 1e-30; /* too small to change a weight */
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
    assert_ok(volt_transfer(flat, g, weights, VOLT_TRANSFER_STRICT, 1, NULL, NULL, &r));
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
        cmocka_unit_test(levels_agree_from_the_finest),
        cmocka_unit_test(skip_channels_stay_skip_channels),
        cmocka_unit_test(slices_agree_from_the_middle),
        cmocka_unit_test(little_and_frozen_are_told),
        cmocka_unit_test(kernels_of_another_size_are_told),
        cmocka_unit_test(a_frozen_part_is_refused),
        cmocka_unit_test(a_run_starts_another),
        cmocka_unit_test(a_checkpoint_of_nnunet_is_taken_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
