#include <stdio.h>
#include <unistd.h>

#include "tests/kit/test.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "io/tensors/safetensors.h"

static const float weights[6] = {1, -2, 3.5f, 0, NAN, 1e30f};
static const int64_t step[1] = {123456789012};

static void write_two(const char *path)
{
    const volt_tensor_view tensors[] = {
        {"step", VOLT_TENSOR_I64, 0, {0}, step, 8},
        {"encoder.0.weight", VOLT_TENSOR_F32, 2, {2, 3}, weights, 24},
        {"empty", VOLT_TENSOR_U8, 1, {0}, NULL, 0}};
    const volt_metadata metadata[] = {{"format", "pt"}, {"note", "line\n\"quoted\" \xc3\xa9"}};

    assert_ok(volt_safetensors_write(path, tensors, 3, metadata, 2));
}

static void round_trip(void **state)
{
    volt_safetensors *file = NULL;
    const int64_t shape[2] = {2, 3}, wrong[2] = {3, 2};
    const volt_tensor_view *view;
    float back[6];
    int64_t number = 0;
    (void)state;

    write_two("two.safetensors");
    assert_ok(volt_safetensors_open(&file, "two.safetensors"));
    assert_int_equal(volt_safetensors_count(file), 3);
    assert_string_equal(volt_safetensors_metadata(file, "note"), "line\n\"quoted\" \xc3\xa9");
    assert_null(volt_safetensors_metadata(file, "absent"));
    view = volt_safetensors_find(file, "encoder.0.weight");
    assert_non_null(view);
    assert_int_equal((uintptr_t)view->data % 8, 0);
    assert_int_equal(volt_safetensors_find(file, "empty")->bytes, 0);
    assert_ok(volt_safetensors_copy(back, file, view->name, VOLT_TENSOR_F32, 2, shape));
    assert_memory_equal(back, weights, sizeof back);
    assert_ok(volt_safetensors_copy(&number, file, "step", VOLT_TENSOR_I64, 0, NULL));
    assert_true(number == step[0]);
    assert_fails(
        volt_safetensors_copy(back, file, view->name, VOLT_TENSOR_F32, 2, wrong), VOLT_EFORMAT,
        "two.safetensors: tensor encoder.0.weight has shape [2, 3]; [3, 2] is expected");
    assert_fails(volt_safetensors_copy(back, file, view->name, VOLT_TENSOR_BF16, 2, shape),
                 VOLT_EFORMAT, "is F32; BF16 is expected");
    assert_fails(volt_safetensors_copy(back, file, "decoder", VOLT_TENSOR_F32, 2, shape),
                 VOLT_EFORMAT, "has no tensor decoder");
    volt_safetensors_close(file);
    unlink("two.safetensors");
}

static void what_no_safetensors_can_hold_is_refused(void **state)
{
    volt_tensor_view t[2] = {{"a", VOLT_TENSOR_F32, 1, {6}, weights, 24},
                             {"a", VOLT_TENSOR_F32, 1, {6}, weights, 24}};
    const volt_metadata bad = {"key", "\xff"};
    (void)state;

    assert_fails(volt_safetensors_write("no.st", t, 2, NULL, 0), VOLT_EINVAL, "named a");
    t[1].name = "b";
    t[1].bytes = 20;
    assert_fails(volt_safetensors_write("no.st", t, 2, NULL, 0), VOLT_EINVAL, "20 bytes");
    t[0].name = "__metadata__";
    assert_fails(volt_safetensors_write("no.st", t, 1, NULL, 0), VOLT_EINVAL,
                 "not a valid tensor name");
    t[0].name = "\xff";
    assert_fails(volt_safetensors_write("no.st", t, 1, NULL, 0), VOLT_EINVAL, "described");
    assert_fails(volt_safetensors_write("no.st", t, 0, &bad, 1), VOLT_EINVAL, "not UTF-8");
    assert_false(volt_path_exists("no.st"));
}

static void open_text(volt_safetensors **out, const char *header, size_t data_bytes,
                      volt_status expected, const char *words)
{
    char file[1024] = {0};
    const size_t length = strlen(header);

    file[0] = (char)length;
    file[1] = (char)(length >> 8);
    memcpy(file + 8, header, length);
    assert_ok(volt_write_file("text.st", file, 8 + length + data_bytes));
    if (expected == VOLT_OK)
        assert_ok(volt_safetensors_open(out, "text.st"));
    else
        assert_fails(volt_safetensors_open(out, "text.st"), expected, words);
    unlink("text.st");
}

static void hostile_headers(void **state)
{
    static const struct {
        const char *header;
        size_t data;
        volt_status st;
        const char *words;
    } rows[] = {
        {"{}", 0, VOLT_OK, ""},
        {"{}  ", 1, VOLT_EFORMAT, "1 surplus byte after the last tensor"},
        {" {}", 0, VOLT_EFORMAT, "does not start with {"},
        {"[1]", 0, VOLT_EFORMAT, "does not start with {"},
        {"{\"a\": 1}", 0, VOLT_EFORMAT, "text.st: a is 1; an object"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", 4, VOLT_EFORMAT,
         "not valid JSON"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, VOLT_OK, ""},
        {"{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, VOLT_ENOTSUP,
         "a.dtype is Q4"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, VOLT_EFORMAT,
         "a.data_offsets[1] is 4; 0 to 3"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, VOLT_EFORMAT,
         "a.data_offsets is [4, 0]"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, VOLT_EFORMAT,
         "need 8 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, VOLT_EFORMAT,
         "a.shape[0] is -1"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}",
         4, VOLT_EFORMAT, "a.shape has a product"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
         VOLT_EFORMAT, "a.shape has 9 items"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, VOLT_EFORMAT, "tensor b starts at byte 1 of the data; 2 is expected"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}",
         5, VOLT_EFORMAT, "tensor b starts at byte 3"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, VOLT_EFORMAT, "duplicate"},
        {"{\"__metadata__\": {\"a\": 1}}", 0, VOLT_EFORMAT, "other than a string under a"},
        {"{\"__metadata__\": [1]}", 0, VOLT_EFORMAT, "not an object of strings"},
        {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, VOLT_EFORMAT,
         "name has 0 bytes"}};
    volt_safetensors *file = NULL;
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_text(&file, rows[i].header, rows[i].data, rows[i].st, rows[i].words);
        volt_safetensors_close(file);
        file = NULL;
    }
    assert_ok(volt_write_file("huge.st", "\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10));
    assert_fails(volt_safetensors_open(&file, "huge.st"), VOLT_EFORMAT, "would have");
    assert_ok(volt_write_file("huge.st", "abc", 3));
    assert_fails(volt_safetensors_open(&file, "huge.st"), VOLT_EFORMAT, "has 3 bytes");
    assert_ok(volt_write_file("huge.st", "", 0));
    assert_fails(volt_safetensors_open(&file, "huge.st"), VOLT_EFORMAT, "has 0 bytes");
    unlink("huge.st");
    assert_fails(volt_safetensors_open(&file, "huge.st"), VOLT_EIO, "huge.st");
}

static void any_damage_is_found(void **state)
{
    char *bytes = NULL;
    size_t size = 0, opened = 0;
    volt_safetensors *file = NULL;
    volt_rng rng = volt_rng_open(1, 0, 0, VOLT_RNG_TEST);
    (void)state;

    write_two("damage.st");
    assert_ok(volt_read_file(&bytes, &size, "damage.st", 10000));
    for (size_t cut = 0; cut < size; cut++) {
        assert_ok(volt_write_file("damage.st", bytes, cut));
        assert_int_equal(volt_safetensors_open(&file, "damage.st"), VOLT_EFORMAT);
    }
    for (int i = 0; i < 1500; i++) {
        const size_t at = (size_t)volt_rng_below(&rng, (int64_t)size);
        const char old = bytes[at];
        bytes[at] ^= (char)(1 + volt_rng_below(&rng, 255));
        assert_ok(volt_write_file("damage.st", bytes, size));
        if (volt_safetensors_open(&file, "damage.st") == VOLT_OK) {
            /* A changed name or note is valid; changed data is not. */
            assert_true(at < size - 32);
            opened++;
            volt_safetensors_close(file);
            file = NULL;
        }
        bytes[at] = old;
    }
    assert_true(opened < 600);
    volt_free(bytes);
    unlink("damage.st");
}

static void failing_allocations_are_reported(void **state)
{
    volt_safetensors *file = NULL;
    int n = 1;
    (void)state;

    write_two("memory.st");
    for (volt_status st = VOLT_ENOMEM; st != VOLT_OK && n < 50; n++) {
        volt_mem_fail_after(n);
        st = volt_safetensors_open(&file, "memory.st");
        volt_mem_fail_after(0);
        assert_true(st == VOLT_OK || st == VOLT_ENOMEM);
    }
    assert_non_null(file);
    assert_true(n > 3);
    volt_safetensors_close(file);
    unlink("memory.st");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(what_no_safetensors_can_hold_is_refused),
        cmocka_unit_test(hostile_headers),
        cmocka_unit_test(any_damage_is_found),
        cmocka_unit_test(failing_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
