/* A training on any mesh of ranks is the training on one rank, to rounding, and the same mesh
 * has the same bits. */
#include "base/core/alloc.h"
#include "nets3d/program/program_internal.h"
#include "tests/kit/devices.h"
#include "tests/kit/networks.h"
#include "tests/kit/rank_compare.h"

#define NEVER                                                                                  \
    {                                                                                          \
        64, 64, 64                                                                             \
    } /* gathers nothing */

static const rank_case plain = {.name = "plain",
                                .build = build_unet3d,
                                .n = 2,
                                .extent = {16, 12, 8},
                                .values = 3,
                                .gather = NEVER};

/* Samples that most meshes divide unevenly, with voxels that do not count. */
static const rank_case samples = {.name = "eight samples",
                                  .build = build_unet3d,
                                  .n = 8,
                                  .extent = {8, 4, 8},
                                  .values = 3,
                                  .ignore = true,
                                  .batch_dice = true};

/* For the device whose loops are plain. */
static rank_case small(const rank_case *c, int64_t n, int64_t d, int64_t h, int64_t w)
{
    rank_case s = *c;

    s.n = n;
    s.extent[0] = d;
    s.extent[1] = h;
    s.extent[2] = w;
    return s;
}

/* With all levels cut; every other mesh also with those gathered that the program chooses. */
static void check_both(const rank_case *c, const volt_device *dev, const char *const *meshes)
{
    const char *some[16] = {NULL};
    rank_case cut = *c;

    for (int a = 0; a < 3; a++)
        cut.gather[a] = 64;
    check_meshes(&cut, dev, VOLT_FP32, meshes);
    for (int i = 0; meshes[i]; i++) {
        assert_in_range(i / 2, 0, 14);
        some[i / 2] = meshes[i];
    }
    check_meshes(c, dev, VOLT_FP32, some);
}

static void bf16_on(const rank_case *c, const char *const *meshes)
{
    if (cpu->supports(cpu, VOLT_BF16_MIXED))
        check_meshes(c, cpu, VOLT_BF16_MIXED, meshes);
    else
        print_message("this processor has no bf16\n");
}

/* Losses of 20 steps, on 1 to 8 ranks. */
static void a_batch_over_ranks(void **state)
{
    const rank_case few = small(&samples, 3, 4, 4, 8);
    rank_case c = samples;

    (void)state;
    c.steps = 20;
    check_meshes(&c, cpu, VOLT_FP32,
                 RANK_MESHES("data=1", "data=2", "data=3", "data=4", "data=6", "data=8"));
    check_meshes(&few, reference, VOLT_FP32, RANK_MESHES("data=2"));
    bf16_on(&c, RANK_MESHES("data=8", "data=3"));
}

static void a_volume_over_ranks(void **state)
{
    const rank_case little = small(&plain, 1, 8, 8, 8);
    rank_case c = plain;

    (void)state;
    c.steps = 20;
    check_meshes(&c, cpu, VOLT_FP32,
                 RANK_MESHES("z=1", "z=2", "z=3", "z=4", "y=2", "y=3", "x=2", "z=2,y=2",
                             "z=3,y=2", "z=2,y=3", "z=4,y=2", "z=2,y=2,x=2"));
    check_meshes(&little, reference, VOLT_FP32, RANK_MESHES("y=2", "z=2,x=2"));
    bf16_on(&c, RANK_MESHES("z=3", "y=2", "z=2,y=2,x=2"));
}

static void both_over_ranks(void **state)
{
    rank_case c = plain;

    (void)state;
    c.steps = 20;
    check_meshes(
        &c, cpu, VOLT_FP32,
        RANK_MESHES("data=2,z=2", "data=2,z=3", "data=2,y=3", "data=2,z=4", "data=2,z=2,x=2"));
    bf16_on(&c, RANK_MESHES("data=2,z=2"));
}

/* A mesh of one rank is no mesh. */
static void one_rank_has_the_bits_of_no_mesh(void **state)
{
    static const char *const meshes[] = {"data=1", "z=1", "stage=1"};
    rank_result none, one;

    (void)state;
    rank_train(&none, &plain, cpu, VOLT_FP32, "");
    for (int i = 0; i < 3; i++) {
        rank_train(&one, &plain, cpu, VOLT_FP32, meshes[i]);
        assert_ranks_equal(meshes[i], &one, &none);
        rank_result_free(&one);
    }
    rank_result_free(&none);
}

/* The norm is of all ranks' gradients, and above the limit in every step. */
static void clipped_gradients(void **state)
{
    rank_case c = plain;

    (void)state;
    c.clip = 0.05;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("data=2", "z=2,y=2", "data=2,z=2"));
    c = samples;
    c.clip = 0.05;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("data=3"));
}

static void a_residual_network(void **state)
{
    const rank_case c = {.name = "residual",
                         .build = build_residual,
                         .n = 2,
                         .extent = {8, 12, 8},
                         .values = 3,
                         .batch_dice = true};
    const rank_case little = small(&c, 1, 4, 4, 8);

    (void)state;
    check_both(&c, cpu,
               RANK_MESHES("z=3", "y=2,x=2", "z=2,y=3", "z=2,y=2,x=2", "data=2", "data=2,z=2",
                           "data=2,z=3"));
    check_meshes(&little, reference, VOLT_FP32, RANK_MESHES("z=2,x=2"));
}

static void anisotropic_windows_and_strides(void **state)
{
    const rank_case c = {.name = "anisotropic",
                         .build = network_called("anisotropic")->build,
                         .n = 2,
                         .extent = {6, 8, 12},
                         .values = 3,
                         .ignore = true};

    (void)state;
    check_both(
        &c, cpu,
        RANK_MESHES("z=3", "x=3", "z=2,y=2", "z=3,x=2", "z=2,y=2,x=2", "data=2", "data=2,x=3"));
    check_both(&c, reference, RANK_MESHES("z=2,x=2"));
    bf16_on(&c, RANK_MESHES("z=2,y=2", "data=2"));
}

static const uint8_t regions[] = {0, 0, 1, 0, 1, 1}; /* (values,channels) */

static void planes_with_regions(void **state)
{
    const rank_case c = {.name = "2-D",
                         .build = network_called("unet2d")->build,
                         .n = 3,
                         .extent = {1, 16, 12},
                         .values = 3,
                         .regions = regions,
                         .ignore = true};

    (void)state;
    check_both(&c, cpu,
               RANK_MESHES("y=4", "x=3", "y=2,x=2", "y=2,x=3", "data=3", "data=2,y=2",
                           "data=2,y=2,x=2"));
}

/* 2.5-D: neighbouring slices are channels. */
static volt_graph *build_slices(void)
{
    return build_planes(5);
}

static void slices_as_channels(void **state)
{
    const rank_case c = {.name = "2.5-D",
                         .build = build_slices,
                         .n = 3,
                         .extent = {1, 16, 12},
                         .values = 2,
                         .batch_dice = true};

    (void)state;
    check_both(&c, cpu, RANK_MESHES("y=3", "y=4,x=2", "y=2,x=3", "data=3", "data=2,x=2"));
    bf16_on(&c, RANK_MESHES("y=2", "data=3"));
}

/* Masks of the stage before are channels. */
static volt_graph *build_refining(void)
{
    return build_two_stages(2 + 3, 4, 4, 6);
}

static void a_refining_stage(void **state)
{
    const rank_case c = {.name = "cascade",
                         .build = build_refining,
                         .n = 2,
                         .extent = {6, 8, 8},
                         .values = 4,
                         .ignore = true};

    (void)state;
    check_both(&c, cpu,
               RANK_MESHES("z=3", "z=2,y=2", "z=3,y=2", "z=2,y=2,x=2", "data=2", "data=2,x=2",
                           "data=2,z=3"));
    bf16_on(&c, RANK_MESHES("z=3", "data=2"));
}

/* Dropout, pooling, softmax, PReLU, nearest upsampling. */
static volt_graph *build_dropout(void)
{
    static const int64_t two[3] = {2, 2, 2};
    volt_value x, a, b, c;
    volt_graph *g = NULL;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &x, 2));
    assert_ok(volt_graph_conv(g, &a, x, "a", 6, &conv_3, true));
    assert_ok(volt_graph_dropout(g, &a, a, 0.3));
    assert_ok(volt_graph_instance_norm(g, &a, a, "an", 1e-5));
    assert_ok(volt_graph_prelu(g, &a, a, "ap", 6));
    assert_ok(volt_graph_pool(g, &b, a, VOLT_NODE_MAX_POOL, two, two));
    assert_ok(volt_graph_conv(g, &b, b, "b", 8, &conv_3, true));
    assert_ok(volt_graph_instance_norm(g, &b, b, "bn", 1e-5));
    assert_ok(volt_graph_dropout(g, &b, b, 0.3));
    assert_ok(volt_graph_upsample(g, &b, b, VOLT_NODE_UPSAMPLE_NEAREST, two));
    assert_ok(volt_graph_concat(g, &c, (volt_value[]){a, b}, 2));
    assert_ok(volt_graph_softmax(g, &c, c));
    assert_ok(volt_graph_conv(g, &c, c, "c", 3, &conv_1, true));
    assert_ok(volt_graph_output(g, c));
    return g;
}

/* Statistics over the batch, and running ones, on a way down and up; without biases in front,
 * whose gradients are rounding. */
static volt_graph *build_batched(void)
{
    static const volt_conv up = {.kernel = {2, 2, 2}, .stride = {2, 2, 2}};
    volt_value x, a, b, c;
    volt_graph *g = NULL;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &x, 2));
    assert_ok(volt_graph_conv(g, &a, x, "a", 6, &conv_3, false));
    assert_ok(volt_graph_batch_norm(g, &a, a, "an", 1e-5, 0.1));
    assert_ok(volt_graph_activation(g, &a, a, 0.01));
    assert_ok(volt_graph_conv(g, &b, a, "b", 8, &conv_3_down, false));
    assert_ok(volt_graph_batch_norm(g, &b, b, "bn", 1e-5, 0.3));
    assert_ok(volt_graph_activation(g, &b, b, 0.01));
    assert_ok(volt_graph_tconv(g, &b, b, "up", 5, &up, false));
    assert_ok(volt_graph_batch_norm(g, &b, b, "upn", 1e-5, 0.1));
    assert_ok(volt_graph_concat(g, &c, (volt_value[]){b, a}, 2));
    assert_ok(volt_graph_conv(g, &c, c, "c", 3, &conv_1, true));
    assert_ok(volt_graph_output(g, c));
    return g;
}

/* Windows that reach over parts, over several neighbours, along one axis only; strides along
 * two; a transposed convolution that is wider than its stride. */
static volt_graph *build_wide(void)
{
    static const volt_conv seven = {{7, 7, 7}, {1, 1, 1}, {3, 3, 3}, {3, 3, 3}};
    static const volt_conv plane = {{1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {0, 1, 1}};
    static const volt_conv line = {{5, 1, 1}, {1, 1, 1}, {2, 0, 0}, {2, 0, 0}};
    static const volt_conv up = {{1, 4, 4}, {1, 2, 2}, {0, 1, 1}, {0, 1, 1}};
    volt_value x, a, b, c;
    volt_graph *g = NULL;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &x, 2));
    assert_ok(volt_graph_conv(g, &a, x, "a", 4, &seven, true));
    assert_ok(volt_graph_instance_norm(g, &a, a, "an", 1e-5));
    assert_ok(volt_graph_activation(g, &a, a, 0.01));
    assert_ok(volt_graph_conv(g, &b, a, "b", 6, &plane, true));
    assert_ok(volt_graph_activation(g, &b, b, 0.01));
    assert_ok(volt_graph_conv(g, &b, b, "line", 6, &line, false));
    assert_ok(volt_graph_instance_norm(g, &b, b, "bn", 1e-5));
    assert_ok(volt_graph_tconv(g, &b, b, "up", 4, &up, true));
    assert_ok(volt_graph_concat(g, &c, (volt_value[]){b, a}, 2));
    assert_ok(volt_graph_conv(g, &c, c, "c", 4, &seven, true));
    assert_ok(volt_graph_activation(g, &c, c, 0.01));
    assert_ok(volt_graph_conv(g, &c, c, "d", 3, &conv_1, true));
    assert_ok(volt_graph_output(g, c));
    return g;
}

static void windows_wider_than_parts(void **state)
{
    const rank_case c = {.name = "wide windows",
                         .build = build_wide,
                         .n = 1,
                         .extent = {7, 6, 10},
                         .values = 3,
                         .gather = NEVER};

    (void)state;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("z=7", "x=5", "z=3,y=2", "z=2,y=2,x=2"));
    check_meshes(&c, reference, VOLT_FP32, RANK_MESHES("z=4", "y=3,x=2"));
}

/* oneDNN has a bf16 kernel for the whole's windows along x, but none for those of a part. */
static volt_graph *build_long(void)
{
    static const volt_conv line = {{3, 3, 7}, {2, 2, 2}, {1, 1, 3}, {1, 1, 3}};
    static const volt_conv deep = {{3, 3, 7}, {1, 1, 1}, {1, 1, 3}, {1, 1, 3}};
    static const volt_conv up = {.kernel = {2, 2, 2}, .stride = {2, 2, 2}};
    volt_value x, v;
    volt_graph *g = NULL;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &x, 2));
    assert_ok(volt_graph_conv(g, &v, x, "a", 4, &conv_3, true));
    assert_ok(volt_graph_instance_norm(g, &v, v, "an", 1e-5));
    assert_ok(volt_graph_activation(g, &v, v, 0.1));
    assert_ok(volt_graph_conv(g, &v, v, "b", 8, &line, true));
    assert_ok(volt_graph_activation(g, &v, v, 0.1));
    assert_ok(volt_graph_conv(g, &v, v, "c", 8, &deep, true));
    assert_ok(volt_graph_activation(g, &v, v, 0.1));
    assert_ok(volt_graph_tconv(g, &v, v, "up", 4, &up, true));
    assert_ok(volt_graph_conv(g, &v, v, "d", 3, &conv_1, true));
    assert_ok(volt_graph_output(g, v));
    return g;
}

static double difference(const rank_result *a, const rank_result *b)
{
    double sum = 0, size = 0;

    for (int64_t i = 0; i < b->parameters; i++) {
        const double d = (double)a->gradients[i] - b->gradients[i];
        sum += d * d;
        size += (double)b->gradients[i] * b->gradients[i];
    }
    return sqrt(sum / size);
}

static void parts_without_a_bf16_kernel(void **state)
{
    const rank_case c = {.name = "a long window",
                         .build = build_long,
                         .n = 2,
                         .extent = {6, 6, 6},
                         .values = 3,
                         .gather = NEVER};
    rank_result whole = {0}, parts = {0};

    (void)state;
    if (!cpu->supports(cpu, VOLT_BF16_MIXED))
        skip_because("this processor has no bf16");
    rank_train(&whole, &c, cpu, VOLT_BF16_MIXED, "");
    rank_train(&parts, &c, cpu, VOLT_BF16_MIXED, "x=3");
    assert_true(difference(&parts, &whole) < 1e-4);
    rank_result_free(&whole);
    rank_result_free(&parts);
}

/* Windows as large as the volume, on two levels; channels of the first. */
static int64_t huge_width;

static volt_graph *build_huge(void)
{
    static const volt_conv same = {{5, 7, 7}, {1, 1, 1}, {2, 3, 3}, {2, 3, 3}};
    static const volt_conv down = {{5, 7, 7}, {2, 2, 2}, {2, 3, 3}, {2, 3, 3}};
    static const volt_conv one = {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}};
    static const volt_conv up = {.kernel = {2, 2, 2}, .stride = {2, 2, 2}};
    volt_value v;
    volt_graph *g = NULL;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, 2));
    assert_ok(volt_graph_conv(g, &v, v, "a", huge_width, &same, true));
    assert_ok(volt_graph_instance_norm(g, &v, v, "an", 1e-5));
    assert_ok(volt_graph_activation(g, &v, v, 0.1));
    assert_ok(volt_graph_conv(g, &v, v, "b", 2 * huge_width, &down, true));
    assert_ok(volt_graph_instance_norm(g, &v, v, "bn", 1e-5));
    assert_ok(volt_graph_activation(g, &v, v, 0.1));
    assert_ok(volt_graph_conv(g, &v, v, "c", 2 * huge_width, &same, true));
    assert_ok(volt_graph_activation(g, &v, v, 0.1));
    assert_ok(volt_graph_tconv(g, &v, v, "up", huge_width, &up, true));
    assert_ok(volt_graph_conv(g, &v, v, "d", 3, &one, true));
    assert_ok(volt_graph_output(g, v));
    return g;
}

/* Sums over so few voxels make much of a value that is rounded the other way: gradients in bf16
 * are several percent off on one rank, too. A mesh may be off by about as much, in any other
 * direction; in fp32 it is what it always is. */
static void windows_of_the_whole_volume(void **state)
{
    rank_case c = {.name = "huge windows",
                   .build = build_huge,
                   .n = 2,
                   .extent = {6, 6, 6},
                   .values = 3,
                   .gather = NEVER};
    double one_off = 0, parts_off = 0;

    (void)state;
    for (huge_width = 4; huge_width <= 16; huge_width *= 2) {
        rank_result exact = {0}, one = {0}, parts = {0};

        forget_one_rank(); /* which had another width */
        check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("z=2,x=2"));
        if (!cpu->supports(cpu, VOLT_BF16_MIXED))
            continue;
        rank_train(&exact, &c, cpu, VOLT_FP32, "");
        rank_train(&one, &c, cpu, VOLT_BF16_MIXED, "");
        rank_train(&parts, &c, cpu, VOLT_BF16_MIXED, "z=2,x=2");
        one_off += pow(difference(&one, &exact), 2);
        parts_off += pow(difference(&parts, &exact), 2);
        rank_result_free(&exact);
        rank_result_free(&one);
        rank_result_free(&parts);
    }
    if (!(sqrt(parts_off) <= 2 * sqrt(one_off) && sqrt(parts_off) < 0.2))
        fail_msg("gradients are %g off on one rank, %g on a mesh", sqrt(one_off),
                 sqrt(parts_off));
}

static void thin_parts(void **state)
{
    rank_case c = plain;

    (void)state;
    c.extent[0] = 32;
    c.extent[1] = 4;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("z=6", "z=8", "z=3,x=2"));
}

/* MONAI's own layers: PReLU, transposed convolutions wider than their stride, residual units,
 * the first stage strided. */
static void networks_of_others(void **state)
{
    static const char *const names[] = {"monai3d", "monai2d", "dynunet"};
    const char *const *const meshes[] = {RANK_MESHES("z=2", "y=3", "data=2,x=2"),
                                         RANK_MESHES("y=4", "y=2,x=3", "data=2,x=2"),
                                         RANK_MESHES("z=2,y=2", "x=2", "data=2")};

    (void)state;
    for (int i = 0; i < 3; i++) {
        const network *net = network_called(names[i]);
        rank_case c = {
            .name = net->name, .build = net->build, .n = net->n, .values = i == 1 ? 2 : 3};

        memcpy(c.extent, net->extent, sizeof c.extent);
        check_both(&c, cpu, meshes[i]);
    }
}

static void dropout_and_the_rest(void **state)
{
    const rank_case c = {
        .name = "dropout", .build = build_dropout, .n = 3, .extent = {6, 8, 10}, .values = 3};

    (void)state;
    check_both(&c, cpu,
               RANK_MESHES("z=3", "y=4", "z=3,y=2", "z=2,y=2,x=2", "data=3", "data=2,z=2",
                           "data=2,z=3"));
    check_both(&c, reference, RANK_MESHES("x=4", "data=2,x=2"));
    bf16_on(&c, RANK_MESHES("z=2", "data=3"));
}

/* Large enough for the parts to be computed as the whole is. */
static void batch_norms(void **state)
{
    const rank_case c = {.name = "batch norms",
                         .build = build_batched,
                         .n = 3,
                         .extent = {8, 8, 10},
                         .values = 3};

    (void)state;
    check_both(&c, cpu, RANK_MESHES("data=3", "data=2", "z=2", "z=2,y=2,x=2", "data=2,y=2"));
    check_both(&c, reference, RANK_MESHES("data=2,x=3"));
}

/* Parts have too few tiles of their own for the algorithm that the whole is computed by. */
static void bfloat16(void **state)
{
    const rank_case residual = {.name = "residual in bf16",
                                .build = build_residual,
                                .n = 2,
                                .extent = {8, 16, 16},
                                .values = 3,
                                .batch_dice = true};
    const rank_case flat = {.name = "2-D in bf16",
                            .build = network_called("unet2d")->build,
                            .n = 3,
                            .extent = {1, 32, 24},
                            .values = 3,
                            .regions = regions};

    (void)state;
    if (!cpu->supports(cpu, VOLT_BF16_MIXED))
        skip_because("this processor has no bf16");
    check_meshes(&plain, cpu, VOLT_BF16_MIXED, RANK_MESHES("data=2,y=2", "z=4,x=2"));
    check_meshes(&residual, cpu, VOLT_BF16_MIXED, RANK_MESHES("z=2", "y=2,x=2", "data=2"));
    check_meshes(&flat, cpu, VOLT_BF16_MIXED, RANK_MESHES("y=4", "data=3"));
}

/* Some values are gathered on the way down, and gradients on the way up. */
static void check_gathers(const rank_case *c, int count)
{
    rank_result r = {0};

    rank_train(&r, c, cpu, VOLT_FP32, "z=2");
    assert_true(r.gathers == count && r.exchanges > r.gathers);
    rank_result_free(&r);
    rank_train(&r, c, cpu, VOLT_FP32, "");
    assert_true(r.gathers == 0 && r.exchanges == 0);
    rank_result_free(&r);
}

static void gathered_levels(void **state)
{
    rank_case c = plain, little = small(&plain, 1, 8, 12, 4);

    (void)state;
    for (int64_t stride = 2; stride >= 1; stride--) {
        for (int a = 0; a < 3; a++)
            c.gather[a] = little.gather[a] = stride;
        c.name = stride == 2 ? "the coarsest gathered" : "all but the finest gathered";
        check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("z=3", "y=2,x=2", "data=2,z=4"));
        check_meshes(&little, reference, VOLT_FP32, RANK_MESHES("z=3", "y=2,x=2"));
        if (stride == 1) /* some ranks have no voxel of the coarse output */
            check_meshes(&little, reference, VOLT_FP32, RANK_MESHES("y=12"));
        check_gathers(&c, stride == 2 ? 2 : 3);
    }
    c.gather[0] = c.gather[1] = c.gather[2] = 0;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("z=2", "x=4"));
}

/* Windows that read gathered values without a concatenation in between, and a level that only
 * one branch has: its strides and those of the other are no multiples of one another. */
static volt_graph *build_branches(void)
{
    static const volt_conv cube = {{3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
    static const volt_conv two = {{3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}};
    static const volt_conv three = {{3, 3, 3}, {3, 3, 3}, {0, 0, 0}, {0, 0, 0}};
    static const volt_conv one = {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}};
    volt_value x, a, b, c;
    volt_graph *g = NULL;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &x, 2));
    assert_ok(volt_graph_conv(g, &a, x, "a", 4, &cube, true));
    assert_ok(volt_graph_activation(g, &a, a, 0.1));
    assert_ok(volt_graph_conv(g, &b, a, "b", 6, &two, true));
    assert_ok(volt_graph_activation(g, &b, b, 0.1));
    assert_ok(volt_graph_conv(g, &c, b, "c", 6, &two, true));
    assert_ok(volt_graph_activation(g, &c, c, 0.1));
    assert_ok(volt_graph_upsample(g, &c, c, VOLT_NODE_UPSAMPLE_NEAREST, two.stride));
    assert_ok(volt_graph_conv(g, &c, c, "d", 4, &cube, true));
    assert_ok(volt_graph_activation(g, &c, c, 0.1));
    assert_ok(volt_graph_upsample(g, &c, c, VOLT_NODE_UPSAMPLE_LINEAR, two.stride));
    assert_ok(volt_graph_conv(g, &c, c, "e", 4, &cube, true));
    assert_ok(volt_graph_conv(g, &b, a, "f", 5, &three, true));
    assert_ok(volt_graph_activation(g, &b, b, 0.1));
    assert_ok(volt_graph_tconv(g, &b, b, "g", 4, &three, true));
    assert_ok(volt_graph_add(g, &c, c, b));
    assert_ok(volt_graph_conv(g, &c, c, "head", 3, &one, true));
    assert_ok(volt_graph_output(g, c));
    return g;
}

static void branches_with_other_strides(void **state)
{
    rank_case c = {.name = "branches",
                   .build = build_branches,
                   .n = 2,
                   .extent = {36, 12, 24},
                   .values = 3,
                   .gather = NEVER};

    (void)state;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("z=2", "z=2,x=2"));
    for (int64_t stride = 1; stride <= 3; stride++) {
        c.gather[0] = c.gather[1] = c.gather[2] = stride;
        check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("z=4", "z=2,x=2"));
    }
}

static void parts_of_a_batch(void **state)
{
    rank_case c = plain;

    (void)state;
    c.parts = 3;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("data=2", "z=2", "data=2,y=2"));
    c.together = true;
    c.name = "plain, forward ahead";
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("data=2", "z=2,y=2"));
}

/* Weights packed once per update, and several threads per rank, give the same bits. */
static void forms_and_threads(void **state)
{
    static const char *const meshes[] = {"data=2", "z=2,x=2"};
    rank_case c = plain;
    rank_result one, two;

    (void)state;
    for (int i = 0; i < 4; i++) {
        c.keep_forms = false;
        c.threads = i / 2 ? 2 : 1;
        rank_train(&one, &c, cpu, VOLT_FP32, meshes[i % 2]);
        c.keep_forms = true;
        rank_train(&two, &c, cpu, VOLT_FP32, meshes[i % 2]);
        assert_ranks_equal(meshes[i % 2], &two, &one);
        rank_result_free(&one);
        rank_result_free(&two);
    }
}

static void frozen_parameters(void **state)
{
    rank_case c = plain;

    (void)state;
    c.frozen = true;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("data=2", "z=3"));
    c.gather[0] = c.gather[1] = c.gather[2] = 2;
    check_meshes(&c, cpu, VOLT_FP32, RANK_MESHES("z=2,y=2"));
}

/* The same bits where messages go by way of the host. */
static void memory_that_the_host_cannot_reach(void **state)
{
    static const char *const meshes[] = {"", "data=2", "z=2,y=2", "data=2,x=2"};
    rank_case c = plain;
    rank_result near, far;

    (void)state;
    for (int i = 0; i < 8; i++) {
        c.parts = i >= 4 ? 2 : 0;
        c.together = i >= 4;
        c.keep_forms = i % 2;
        c.gather[0] = c.gather[1] = c.gather[2] = i >= 4 ? 2 : 64;
        rank_train(&near, &c, cpu, VOLT_FP32, meshes[i % 4]);
        rank_train(&far, &c, NULL, VOLT_FP32, meshes[i % 4]);
        assert_ranks_equal(meshes[i % 4], &far, &near);
        rank_result_free(&near);
        rank_result_free(&far);
    }
}

/* Linear upsampling by several factors, after and before windows of other extents. */
static volt_graph *build_linear(void)
{
    static const volt_conv cube = {{3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
    static const volt_conv down = {{3, 3, 3}, {2, 2, 1}, {1, 1, 1}, {1, 1, 1}};
    static const volt_conv three = {{3, 1, 3}, {2, 1, 3}, {1, 0, 0}, {1, 0, 0}};
    static const volt_conv one = {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}};
    static const int64_t back[3] = {2, 2, 1}, most[3] = {4, 2, 3}, some[3] = {2, 1, 3};
    volt_value x, a, b, c, d, e;
    volt_graph *g = NULL;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &x, 2));
    assert_ok(volt_graph_conv(g, &a, x, "a", 4, &cube, true));
    assert_ok(volt_graph_instance_norm(g, &a, a, "an", 1e-5));
    assert_ok(volt_graph_activation(g, &a, a, 0.01));
    assert_ok(volt_graph_conv(g, &b, a, "b", 6, &down, true));
    assert_ok(volt_graph_activation(g, &b, b, 0.01));
    assert_ok(volt_graph_conv(g, &c, b, "c", 6, &three, true));
    assert_ok(volt_graph_activation(g, &c, c, 0.1));
    assert_ok(volt_graph_upsample(g, &d, c, VOLT_NODE_UPSAMPLE_LINEAR, most));
    assert_ok(volt_graph_upsample(g, &e, c, VOLT_NODE_UPSAMPLE_LINEAR, some));
    assert_ok(volt_graph_add(g, &e, e, b));
    assert_ok(volt_graph_conv(g, &e, e, "e", 4, &one, true));
    assert_ok(volt_graph_upsample(g, &e, e, VOLT_NODE_UPSAMPLE_LINEAR, back));
    assert_ok(volt_graph_concat(g, &d, (volt_value[]){d, e, a}, 3));
    assert_ok(volt_graph_conv(g, &d, d, "d", 4, &cube, false));
    assert_ok(volt_graph_instance_norm(g, &d, d, "dn", 1e-5));
    assert_ok(volt_graph_activation(g, &d, d, 0.01));
    assert_ok(volt_graph_conv(g, &d, d, "head", 3, &one, true));
    assert_ok(volt_graph_output(g, d));
    return g;
}

/* Its coarse levels are upsampled as logits are. */
static volt_graph *build_linear_output(void)
{
    static const volt_conv down = {{3, 3, 3}, {4, 2, 2}, {1, 1, 1}, {1, 1, 1}};
    static const volt_conv one = {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}};
    static const int64_t factor[3] = {4, 2, 2};
    volt_value v;
    volt_graph *g = NULL;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, 2));
    assert_ok(volt_graph_conv(g, &v, v, "a", 4, &down, true));
    assert_ok(volt_graph_activation(g, &v, v, 0.1));
    assert_ok(volt_graph_conv(g, &v, v, "head", 3, &one, true));
    assert_ok(volt_graph_upsample(g, &v, v, VOLT_NODE_UPSAMPLE_LINEAR, factor));
    assert_ok(volt_graph_output(g, v));
    return g;
}

static void linear_upsampling(void **state)
{
    rank_case c = {.name = "linear upsampling",
                   .build = build_linear,
                   .n = 2,
                   .extent = {16, 8, 12},
                   .values = 3};

    (void)state;
    check_both(&c, cpu, RANK_MESHES("z=4", "x=3", "z=2,y=2", "data=2,x=2"));
    check_both(&c, reference, RANK_MESHES("z=2,y=2"));
    c.name = "upsampled logits";
    c.build = build_linear_output;
    check_both(&c, cpu, RANK_MESHES("z=4", "y=4,x=2"));
    check_meshes(&c, reference, VOLT_FP32, RANK_MESHES("z=2,x=3"));
    c.name = "the zoo";
    c.build = build_zoo;
    check_both(&c, cpu, RANK_MESHES("z=4", "x=2", "z=2,y=2,x=2"));
}

static int finish(void **state)
{
    forget_one_rank();
    return close_devices(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_over_ranks),
        cmocka_unit_test(a_volume_over_ranks),
        cmocka_unit_test(both_over_ranks),
        cmocka_unit_test(one_rank_has_the_bits_of_no_mesh),
        cmocka_unit_test(clipped_gradients),
        cmocka_unit_test(a_residual_network),
        cmocka_unit_test(anisotropic_windows_and_strides),
        cmocka_unit_test(planes_with_regions),
        cmocka_unit_test(slices_as_channels),
        cmocka_unit_test(a_refining_stage),
        cmocka_unit_test(windows_wider_than_parts),
        cmocka_unit_test(windows_of_the_whole_volume),
        cmocka_unit_test(thin_parts),
        cmocka_unit_test(networks_of_others),
        cmocka_unit_test(dropout_and_the_rest),
        cmocka_unit_test(batch_norms),
        cmocka_unit_test(gathered_levels),
        cmocka_unit_test(branches_with_other_strides),
        cmocka_unit_test(parts_of_a_batch),
        cmocka_unit_test(forms_and_threads),
        cmocka_unit_test(frozen_parameters),
        cmocka_unit_test(memory_that_the_host_cannot_reach),
        cmocka_unit_test(bfloat16),
        cmocka_unit_test(parts_without_a_bf16_kernel),
        cmocka_unit_test(linear_upsampling),
    };
    return cmocka_run_group_tests(tests, open_devices, finish);
}
