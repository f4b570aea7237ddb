#include "nets3d/run/checkpoint.h"

#include <stdio.h>
#include <sys/resource.h>
#include <signal.h>
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/tensors/safetensors.h"
#include "nets3d/graph/init.h"
#include "nets3d/models/unet.h"
#include "tests/kit/networks.h"

#define FILE_NAME "checkpoint-test.safetensors"

static volt_graph *small_network(int64_t features)
{
    return build_two_stages(1, 3, features, 2 * features);
}

static volt_checkpoint_head head_of(int slots)
{
    return (volt_checkpoint_head){.plan = "{\"p\": 1}",
                                  .dataset = "{\"d\": \"\\u00e4 \\\"x\\\"\"}",
                                  .recipe = "{}",
                                  .state = "{\"s\": [1, 2]}",
                                  .slots = slots};
}

/* Weights and two slots with different numbers. */
static void fill(float *flat[3], const volt_graph *g)
{
    const size_t bytes = (size_t)volt_graph_param_elements(g) * sizeof(float);

    for (int i = 0; i < 3; i++) {
        assert_ok(volt_alloc(&flat[i], bytes, "a test"));
        volt_init_parameters(flat[i], g, (uint64_t)i);
    }
}

static void release(float *flat[3])
{
    for (int i = 0; i < 3; i++)
        volt_free(flat[i]);
}

static void write_example(const volt_graph *g, float *flat[3], int slots)
{
    const volt_checkpoint_head head = head_of(slots);

    assert_ok(volt_checkpoint_write(FILE_NAME, &head, g, flat[0], &flat[1]));
}

static void comes_back_bit_for_bit(void **state)
{
    volt_graph *g = small_network(4);
    const size_t bytes = (size_t)volt_graph_param_elements(g) * sizeof(float);
    float *flat[3], *back[3];
    volt_checkpoint_head head;

    (void)state;
    fill(flat, g);
    fill(back, g);
    write_example(g, flat, 2);
    assert_ok(volt_checkpoint_read_head(&head, FILE_NAME));
    assert_string_equal(head.plan, head_of(2).plan);
    assert_string_equal(head.dataset, head_of(2).dataset);
    assert_string_equal(head.state, head_of(2).state);
    assert_int_equal(head.slots, 2);
    assert_int_equal(head.weights, volt_graph_param_elements(g));
    volt_checkpoint_head_free(&head);
    for (int i = 0; i < 3; i++)
        memset(back[i], 0, bytes);
    assert_ok(volt_checkpoint_read(FILE_NAME, g, back[0], &back[1], 2));
    for (int i = 0; i < 3; i++)
        assert_memory_equal(back[i], flat[i], bytes);
    memset(back[0], 0, bytes);
    assert_ok(volt_checkpoint_read(FILE_NAME, g, back[0], NULL, 0));
    assert_memory_equal(back[0], flat[0], bytes);
    release(back);
    release(flat);
    volt_graph_free(g);
}

static void names_are_nnunets(void **state)
{
    volt_graph *g = small_network(4);
    volt_safetensors *file = NULL;
    const volt_tensor_view *v;
    float *flat[3];

    (void)state;
    fill(flat, g);
    write_example(g, flat, 1);
    assert_ok(volt_safetensors_open(&file, FILE_NAME));
    v = volt_safetensors_find(file, "encoder.stages.0.0.convs.0.conv.weight");
    assert_non_null(v);
    assert_int_equal(v->rank, 5);
    assert_non_null(
        volt_safetensors_find(file, "optimizer.0.encoder.stages.0.0.convs.0.conv.weight"));
    assert_non_null(volt_safetensors_find(file, "decoder.seg_layers.0.weight"));
    volt_safetensors_close(file);
    release(flat);
    volt_graph_free(g);
}

static void another_network_is_refused(void **state)
{
    volt_graph *g = small_network(4), *other = small_network(6);
    float *flat[3], *room[3];

    (void)state;
    fill(flat, g);
    fill(room, other);
    write_example(g, flat, 0);
    assert_fails(volt_checkpoint_read(FILE_NAME, other, room[0], NULL, 0), VOLT_EFORMAT,
                 "another network");
    assert_fails(volt_checkpoint_read(FILE_NAME, g, flat[0], &flat[1], 1), VOLT_EFORMAT,
                 "optimizer.0.");
    release(room);
    release(flat);
    volt_graph_free(other);
    volt_graph_free(g);
}

/* Whatever byte is damaged, and wherever the file ends, it is refused. */
static void damage_is_found_anywhere(void **state)
{
    volt_graph *g = small_network(2);
    float *flat[3];
    char *bytes = NULL;
    size_t count = 0;

    (void)state;
    fill(flat, g);
    write_example(g, flat, 1);
    assert_ok(volt_read_file(&bytes, &count, FILE_NAME, 1 << 24));
    for (size_t i = 0; i < count; i += 1 + count / 500) {
        volt_checkpoint_head head;
        bytes[i] ^= 0x10;
        assert_ok(volt_write_file(FILE_NAME, bytes, count));
        if (volt_checkpoint_read_head(&head, FILE_NAME) == VOLT_OK) {
            volt_checkpoint_head_free(&head);
            /* a changed name of a tensor shows when it is looked for */
            if (volt_checkpoint_read(FILE_NAME, g, flat[0], &flat[1], 1) != VOLT_EFORMAT)
                fail_msg("byte %zu of %zu may be damaged unnoticed", i, count);
        }
        bytes[i] ^= 0x10;
        assert_ok(volt_write_file(FILE_NAME, bytes, i));
        assert_true(volt_checkpoint_read_head(&head, FILE_NAME) != VOLT_OK);
    }
    volt_free(bytes);
    release(flat);
    volt_graph_free(g);
}

static void foreign_files_are_refused(void **state)
{
    volt_graph *g = small_network(4);
    const float one = 1;
    const volt_tensor_view v = {
        .name = "x", .type = VOLT_TENSOR_F32, .data = &one, .bytes = sizeof one};
    volt_checkpoint_head head;
    float *flat[3];

    (void)state;
    fill(flat, g);
    assert_ok(volt_safetensors_write(FILE_NAME, &v, 1, NULL, 0));
    assert_fails(volt_checkpoint_read_head(&head, FILE_NAME), VOLT_EFORMAT,
                 "not a VOLT checkpoint");
    assert_fails(volt_checkpoint_read(FILE_NAME, g, flat[0], NULL, 0), VOLT_EFORMAT,
                 "not a VOLT checkpoint");
    assert_ok(volt_write_file(FILE_NAME, "hello", 5));
    assert_int_equal(volt_checkpoint_read_head(&head, FILE_NAME), VOLT_EFORMAT);
    assert_fails(volt_checkpoint_read_head(&head, "nowhere.safetensors"), VOLT_EIO, "nowhere");
    release(flat);
    volt_graph_free(g);
}

/* A disk that is full half-way (here: a limit on file sizes) leaves the old checkpoint. */
static void full_disk_leaves_the_old_one(void **state)
{
    volt_graph *g = small_network(8);
    const size_t bytes = (size_t)volt_graph_param_elements(g) * sizeof(float);
    const volt_checkpoint_head head = head_of(2);
    struct rlimit old, small;
    float *flat[3], *back[3];
    volt_names names = {0};
    volt_status st;

    (void)state;
    fill(flat, g);
    fill(back, g);
    write_example(g, flat, 2);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    flat[0][0] += 1;
    st = volt_checkpoint_write(FILE_NAME, &head, g, flat[0], &flat[1]);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(st, VOLT_EIO);
    flat[0][0] = back[0][0];
    assert_ok(volt_checkpoint_read(FILE_NAME, g, back[0], NULL, 0));
    assert_true(back[0][0] == flat[0][0]);
    assert_ok(volt_list_dir(&names, "."));
    for (size_t i = 0; i < names.count; i++)
        assert_true(strncmp(names.name[i], FILE_NAME, strlen(FILE_NAME)) != 0 ||
                    strcmp(names.name[i], FILE_NAME) == 0);
    volt_names_free(&names);
    release(back);
    release(flat);
    volt_graph_free(g);
    remove(FILE_NAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_bit_for_bit),
        cmocka_unit_test(names_are_nnunets),
        cmocka_unit_test(another_network_is_refused),
        cmocka_unit_test(damage_is_found_anywhere),
        cmocka_unit_test(foreign_files_are_refused),
        cmocka_unit_test(full_disk_leaves_the_old_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
