/* Margins and boxes that do not fit are refused with the operator, axis and value. */
#include "nets3d/device/op_spec.h"
#include "tests/kit/test.h"

static volt_tensor plain(int64_t c, int64_t d, int64_t h, int64_t w)
{
    return volt_tensor_make((int64_t[]){1, c, d, h, w}, VOLT_F32, VOLT_PLAIN);
}

static void grown_tensors_are_the_same_memory(void **state)
{
    const int64_t low[3] = {1, 0, 2}, high[3] = {0, 3, 1};
    volt_tensor t = plain(4, 5, 6, 7), grown;
    int64_t before[3], after[3];

    (void)state;
    assert_false(volt_tensor_has_margins(&t));
    for (int a = 0; a < 3; a++)
        t.margin_low[a] = t.margin_high[a] = 3;
    assert_true(volt_tensor_has_margins(&t));
    grown = volt_tensor_grown(&t, low, high);
    volt_tensor_stored(before, &t);
    volt_tensor_stored(after, &grown);
    assert_memory_equal(before, after, sizeof before);
    assert_memory_equal(before, ((int64_t[]){11, 12, 13}), sizeof before);
    assert_memory_equal(&grown.d, ((int64_t[]){6, 9, 10}), sizeof before);
    assert_int_equal(volt_tensor_elements(&t), 4 * 5 * 6 * 7);
}

static void only_activations_have_margins(void **state)
{
    volt_op_spec scale = {.kind = VOLT_OP_SCALE_CHANNELS,
                          .tensor = {plain(3, 4, 4, 4), plain(3, 1, 1, 1), plain(3, 4, 4, 4)},
                          .threads = 1};

    (void)state;
    scale.tensor[0].margin_low[1] = 2;
    assert_ok(volt_op_spec_check(&scale));
    scale.tensor[0].margin_low[1] = -1;
    assert_fails(volt_op_spec_check(&scale), VOLT_EINVAL,
                 "scale_channels: operand 0 has margins of -1 and 0 along h");
    scale.tensor[0].margin_low[1] = 0;
    scale.tensor[1].margin_high[2] = 1;
    assert_fails(volt_op_spec_check(&scale), VOLT_EINVAL,
                 "scale_channels: operand 1 has margins of 0 and 1 along w");
}

static void edges_that_matter_need_no_margins(void **state)
{
    volt_op_spec up = {.kind = VOLT_OP_UPSAMPLE_FWD,
                       .tensor = {plain(3, 2, 2, 2), plain(3, 4, 4, 4)},
                       .conv = {.stride = {2, 2, 2}, .kernel = {2, 2, 2}},
                       .threads = 1};
    volt_op_spec pool = {.kind = VOLT_OP_MAX_POOL_FWD,
                         .tensor = {plain(3, 4, 4, 4), plain(3, 2, 2, 2)},
                         .conv = {{3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {0, 0, 0}},
                         .threads = 1};

    (void)state;
    up.tensor[0].margin_low[0] = up.tensor[1].margin_high[1] = 1;
    assert_ok(volt_op_spec_check(&up));
    up.linear = 1; /* reads them */
    assert_ok(volt_op_spec_check(&up));
    assert_ok(volt_op_spec_check(&pool));
    pool.tensor[0].margin_high[0] = 1;
    assert_fails(volt_op_spec_check(&pool), VOLT_ENOTSUP, "max_pool_fwd");
}

static void boxes_stay_within_the_margins(void **state)
{
    volt_op_spec pack = {.kind = VOLT_OP_PACK_BOX,
                         .tensor = {plain(3, 4, 5, 6), plain(3, 2, 2, 3)},
                         .box = {{-1, 0, 4}, {1, 2, 7}},
                         .threads = 1};
    volt_op_spec unpack;

    (void)state;
    assert_fails(volt_op_spec_check(&pack), VOLT_EINVAL, "pack_box: box -1..1 along d");
    pack.tensor[0].margin_low[0] = 1;
    assert_fails(volt_op_spec_check(&pack), VOLT_EINVAL, "pack_box: box 4..7 along w");
    pack.tensor[0].margin_high[2] = 1;
    assert_ok(volt_op_spec_check(&pack));
    unpack = pack;
    unpack.kind = VOLT_OP_UNPACK_BOX;
    unpack.tensor[0] = pack.tensor[1];
    unpack.tensor[1] = pack.tensor[0];
    assert_ok(volt_op_spec_check(&unpack));
    unpack.tensor[0].w = 4;
    assert_fails(volt_op_spec_check(&unpack), VOLT_EINVAL,
                 "unpack_box: operand 0 has extent 4 along w, expected 3");
    pack.box.high[1] = 0;
    assert_fails(volt_op_spec_check(&pack), VOLT_EINVAL, "pack_box: box 0..0 along h");
}

/* A convolution of a part reads its margins as far as its windows reach, whatever their width.
 */
static void margins_take_the_place_of_padding(void **state)
{
    volt_op_spec conv = {
        .kind = VOLT_OP_CONV_FWD,
        .tensor = {plain(3, 8, 8, 7), plain(3, 3, 3, 3), {0}, plain(4, 4, 8, 4)},
        .conv = {{3, 3, 3}, {2, 1, 2}, {1, 1, 1}, {1, 1, 1}},
        .threads = 1};
    volt_op_spec dense;

    (void)state;
    conv.tensor[1].n = 4;
    for (int a = 0; a < 3; a++)
        conv.tensor[0].margin_low[a] = conv.tensor[0].margin_high[a] = 2;
    assert_ok(volt_op_spec_check(&conv));
    dense = volt_op_spec_absorb_margins(&conv);
    assert_ok(volt_op_spec_check(&dense));
    /* stride 2 over 8 voxels reads nothing behind them, over 7 voxels one */
    assert_memory_equal(&dense.tensor[0].d, ((int64_t[]){9, 10, 9}), 3 * sizeof(int64_t));
    assert_memory_equal(dense.tensor[0].margin_low, ((int64_t[]){1, 1, 1}),
                        3 * sizeof(int64_t));
    assert_memory_equal(dense.tensor[0].margin_high, ((int64_t[]){2, 1, 1}),
                        3 * sizeof(int64_t));
    assert_memory_equal(dense.conv.pad_low, ((int64_t[]){0, 0, 0}), 3 * sizeof(int64_t));
    assert_memory_equal(dense.conv.pad_high, ((int64_t[]){1, 0, 0}), 3 * sizeof(int64_t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grown_tensors_are_the_same_memory),
        cmocka_unit_test(only_activations_have_margins),
        cmocka_unit_test(edges_that_matter_need_no_margins),
        cmocka_unit_test(boxes_stay_within_the_margins),
        cmocka_unit_test(margins_take_the_place_of_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
