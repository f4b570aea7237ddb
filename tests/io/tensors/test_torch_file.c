/* Files of torch.save in both forms: the numbers are torch's own, whatever type, stride and
 * offset; tensors that share memory are known; damage is found. */
#include "tests/kit/test.h"

#include <stdio.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/tensors/pickle_write.h"
#include "io/tensors/torch_file.h"
#include "io/archive/zip.h"

#define MODELS VOLT_TESTDATA "/models/"
#define MINE   "mine.pth"

/* NULL: absent. */
static const volt_torch_tensor *find_tensor(const volt_torch_file *file, const char *name)
{
    for (size_t i = 0; i < volt_torch_count(file); i++) {
        if (strcmp(volt_torch_at(file, i)->view.name, name) == 0)
            return volt_torch_at(file, i);
    }
    return NULL;
}

static void check_tensors(const char *path)
{
    volt_torch_file *file;
    const volt_pickle_value *root;
    double number;

    assert_ok(volt_torch_open(&file, path));
    assert_int_equal(volt_torch_count(file), 11);
    assert_int_equal(find_tensor(file, "alias.weight")->alias, 0);
    assert_int_equal(find_tensor(file, "part")->alias, 2);
    assert_true(find_tensor(file, "part")->dense);
    assert_false(find_tensor(file, "turned")->dense);
    assert_false(find_tensor(file, "last")->dense);
    assert_int_equal(find_tensor(file, "half")->view.type, VOLT_TENSOR_F16);
    assert_int_equal(find_tensor(file, "brain")->view.type, VOLT_TENSOR_BF16);
    assert_int_equal(find_tensor(file, "scalar")->view.rank, 0);
    assert_int_equal(find_tensor(file, "none")->view.bytes, 0);
    assert_null(find_tensor(file, "absent"));
    root = volt_torch_root(file);
    assert_true(volt_pickle_is(volt_pickle_get(root, "trainer_name"), "nnUNetTrainer"));
    assert_true(volt_pickle_number(&number, volt_pickle_get(root, "_best_ema")));
    assert_true(number == 0.75);
    volt_torch_close(file);
}

static void both_forms_hold_the_same(void **state)
{
    (void)state;
    check_tensors(MODELS "zip.pth");
    check_tensors(MODELS "legacy.pth");
}

/* A dense float32 tensor lies where it is read from: nothing is copied. */
static void tensors_are_torchs(void **state)
{
    volt_torch_file *file;
    volt_safetensors *want;
    const volt_torch_tensor *t;
    const volt_tensor_view *v;

    (void)state;
    assert_ok(volt_torch_open(&file, MODELS "zip.pth"));
    assert_ok(volt_safetensors_open(&want, MODELS "numbers.safetensors"));
    t = find_tensor(file, "part");
    v = volt_safetensors_find(want, "part");
    assert_int_equal(t->view.bytes, v->bytes);
    assert_memory_equal(t->view.data, v->data, v->bytes);
    volt_safetensors_close(want);
    volt_torch_close(file);
}

/* Every byte of the pickle changed in turn: refused or read, never a crash. */
static void damaged_files_are_judged(void **state)
{
    static const char *const names[] = {MODELS "zip.pth", MODELS "legacy.pth"};
    int refused = 0;

    (void)state;
    for (int n = 0; n < 2; n++) {
        char *data;
        size_t bytes;
        assert_ok(volt_read_file(&data, &bytes, names[n], 1 << 20));
        for (size_t at = 0; at < bytes; at += bytes / 400 + 1) {
            volt_torch_file *file = NULL;
            data[at] ^= 0x41;
            assert_ok(volt_write_file(MINE, data, bytes));
            refused += volt_torch_open(&file, MINE) != VOLT_OK;
            volt_torch_close(file);
            data[at] ^= 0x41;
        }
        volt_free(data);
    }
    assert_true(refused > 400);
    remove(MINE);
}

/* A state dict of one tensor as `write` describes it, in a file of our own. */
static void write_one(const volt_tensor_view *described, const volt_tensor_view *stored)
{
    volt_pickle_writer *w;

    assert_ok(volt_pickle_create_writer(&w));
    volt_pickle_open_dict(w);
    volt_pickle_put_text(w, "weight");
    volt_pickle_put_tensor(w, described, 0);
    volt_pickle_close_dict(w);
    assert_ok(volt_torch_write(MINE, w, stored, 1));
    volt_pickle_free_writer(w);
}

static void what_is_written_is_read(void **state)
{
    float x[6] = {1, 2, 3, 4, 5, 6};
    volt_tensor_view v = {
        .type = VOLT_TENSOR_F32, .rank = 2, .shape = {2, 3}, .data = x, .bytes = sizeof x};
    volt_tensor_view longer = v;
    volt_torch_file *file = NULL;

    (void)state;
    write_one(&v, &v);
    assert_ok(volt_torch_open(&file, MINE));
    assert_int_equal(volt_torch_count(file), 1);
    assert_memory_equal(volt_torch_at(file, 0)->view.data, x, sizeof x);
    assert_int_equal(volt_torch_at(file, 0)->view.shape[1], 3);
    volt_torch_close(file);
    file = NULL;
    longer.shape[0] = 3; /* more numbers than the storage has */
    write_one(&longer, &v);
    assert_fails(volt_torch_open(&file, MINE), VOLT_EFORMAT, "which has 24 bytes");
    longer.shape[0] = INT64_MAX / 2;
    longer.shape[1] = 1;
    write_one(&longer, &v);
    assert_fails(volt_torch_open(&file, MINE), VOLT_EFORMAT, "bytes");
    assert_null(file);
    remove(MINE);
}

/* The n-th allocation fails, for every n: the right status, nothing held. */
static void memory_may_run_out(void **state)
{
    static const char *const names[] = {MODELS "zip.pth", MODELS "legacy.pth"};
    const size_t before = volt_mem_current();

    (void)state;
    for (int i = 0; i < 2; i++) {
        volt_torch_file *file = NULL;
        volt_status st = VOLT_ENOMEM;
        int64_t n;
        for (n = 1; st == VOLT_ENOMEM; n++) {
            volt_mem_fail_after(n);
            st = volt_torch_open(&file, names[i]);
            volt_mem_fail_after(0);
            if (st != VOLT_OK)
                assert_int_equal(volt_mem_current(), before);
        }
        assert_int_equal(st, VOLT_OK);
        assert_true(n > 10);
        volt_torch_close(file);
        assert_int_equal(volt_mem_current(), before);
    }
}

static void other_files_are_named(void **state)
{
    volt_torch_file *file = NULL;
    volt_pickle_writer *w;

    (void)state;
    assert_fails(volt_torch_open(&file, MODELS "archive.zip"), VOLT_EFORMAT, "not torch's");
    assert_fails(volt_torch_open(&file, MODELS "values.pkl"), VOLT_EFORMAT,
                 "was not written by torch.save");
    assert_fails(volt_torch_open(&file, MODELS "nothing"), VOLT_EIO, "nothing");
    assert_ok(volt_pickle_create_writer(&w));
    volt_pickle_open_dict(w);
    volt_pickle_put_text(w, "epoch");
    volt_pickle_put_int(w, 3);
    volt_pickle_close_dict(w);
    assert_ok(volt_torch_write(MINE, w, NULL, 0));
    volt_pickle_free_writer(w);
    assert_fails(volt_torch_open(&file, MINE), VOLT_EFORMAT, "its keys are: epoch");
    assert_null(file);
    remove(MINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_hold_the_same), cmocka_unit_test(tensors_are_torchs),
        cmocka_unit_test(damaged_files_are_judged), cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(memory_may_run_out),       cmocka_unit_test(other_files_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
