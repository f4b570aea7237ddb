/* Pickles of Python become trees of plain data; opcodes and names outside the lists, and files
 * that lie, are refused. */
#include "tests/kit/test.h"

#include <stdio.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/tensors/pickle.h"

static void expect_int(const volt_pickle_value *dict, const char *key, int64_t want)
{
    const volt_pickle_value *v = volt_pickle_get(dict, key);

    if (!v || v->kind != VOLT_PICKLE_INT || v->whole != want)
        fail_msg("%s is %s", key, volt_pickle_kind_name(v));
}

static void expect_count(const volt_pickle_value *dict, const char *key, volt_pickle_kind kind,
                         size_t count)
{
    const volt_pickle_value *v = volt_pickle_get(dict, key);

    if (!v || v->kind != kind || v->count != count)
        fail_msg("%s is %s with %zu items", key, volt_pickle_kind_name(v), v ? v->count : 0);
}

static void check_values(const volt_pickle_value *v)
{
    double number;

    expect_int(v, "small", 5);
    expect_int(v, "byte", 200);
    expect_int(v, "word", 60000);
    expect_int(v, "negative", -7);
    expect_int(v, "long", INT64_C(1) << 40);
    assert_int_equal(volt_pickle_get(v, "none")->kind, VOLT_PICKLE_NONE);
    assert_int_equal(volt_pickle_get(v, "true")->whole, 1);
    assert_int_equal(volt_pickle_get(v, "false")->whole, 0);
    assert_int_equal(volt_pickle_get(v, "huge")->kind, VOLT_PICKLE_LONG);
    assert_int_equal(volt_pickle_get(v, "huge")->bytes, 12);
    assert_true(volt_pickle_get(v, "pi")->real == 3.25);
    assert_true(volt_pickle_is(volt_pickle_get(v, "text"), "Z\xc3\xa4hler \xe2\x88\x91"));
    assert_int_equal(volt_pickle_get(v, "bytes")->kind, VOLT_PICKLE_BYTES);
    assert_int_equal(volt_pickle_get(v, "bytes")->bytes, 2);
    assert_memory_equal(volt_pickle_get(v, "bytes")->text, "\0\xff", 2);
    expect_count(v, "tuple", VOLT_PICKLE_TUPLE, 4);
    expect_count(v, "one", VOLT_PICKLE_TUPLE, 1);
    expect_count(v, "two", VOLT_PICKLE_TUPLE, 2);
    expect_count(v, "three", VOLT_PICKLE_TUPLE, 3);
    expect_count(v, "empty", VOLT_PICKLE_LIST, 3);
    expect_count(v, "list", VOLT_PICKLE_LIST, 5);
    expect_count(v, "set", VOLT_PICKLE_SET, 1);
    expect_count(v, "ordered", VOLT_PICKLE_DICT, 4);
    assert_ptr_equal(volt_pickle_get(v, "kept"), volt_pickle_get(v, "again"));
    assert_true(volt_pickle_number(&number, volt_pickle_get(v, "float32")) && number == 1.5);
    assert_true(volt_pickle_number(&number, volt_pickle_get(v, "int16")) && number == -3);
    assert_true(volt_pickle_number(&number, volt_pickle_get(v, "uint8")) && number == 250);
    assert_null(volt_pickle_get(v, "absent"));
}

/* The same values by protocol 2, then by protocol 4. */
static void pythons_values_are_read(void **state)
{
    volt_pickle *p;
    char *data;
    size_t bytes, at = 0, used;
    int pickles = 0;

    (void)state;
    assert_ok(volt_read_file(&data, &bytes, VOLT_TESTDATA "/models/values.pkl", 1 << 20));
    while (at < bytes) {
        assert_ok(volt_pickle_parse(&p, data + at, bytes - at, &used, "values.pkl"));
        check_values(volt_pickle_root(p));
        volt_pickle_free(p);
        at += used;
        pickles++;
    }
    assert_int_equal(pickles, 2);
    volt_free(data);
}

/* Every shorter file is refused, none crashes. */
static void cut_pickles_are_refused(void **state)
{
    volt_pickle *p = NULL;
    char *data, *cut;
    size_t bytes, used;

    (void)state;
    assert_ok(volt_read_file(&data, &bytes, VOLT_TESTDATA "/models/values.pkl", 1 << 20));
    assert_ok(volt_pickle_parse(&p, data, bytes, &used, "values.pkl"));
    volt_pickle_free(p);
    p = NULL;
    for (size_t n = 0; n < used; n++) {
        assert_ok(volt_alloc(&cut, n + 1, "a test"));
        memcpy(cut, data, n);
        assert_int_not_equal(volt_pickle_parse(&p, cut, n, NULL, "cut"), VOLT_OK);
        assert_null(p);
        volt_free(cut);
    }
    volt_free(data);
}

static void refuse(const char *ops, size_t bytes, volt_status code, const char *words)
{
    volt_pickle *p = NULL;

    assert_fails(volt_pickle_parse(&p, ops, bytes, NULL, "bad.pkl"), code, words);
    assert_null(p);
}
#define REFUSE(ops, code, words) refuse(ops, sizeof(ops) - 1, code, words)

static void what_is_not_listed_is_refused(void **state)
{
    (void)state;
    REFUSE("\x80\2cos\nsystem\n(X\2\0\0\0lstR.", VOLT_ENOTSUP, "'os.system'");
    REFUSE("\x80\4\x8c\5posix\x8c\6system\x93.", VOLT_ENOTSUP, "'posix.system'");
    REFUSE("\x80\2cbuiltins\neval\n.", VOLT_ENOTSUP, "'builtins.eval'");
    REFUSE("\x80\2(ios\nsystem\n.", VOLT_ENOTSUP, "INST");
    REFUSE("\x80\2I7\n.", VOLT_ENOTSUP, "INT");
    REFUSE("\x80\2\x82\1.", VOLT_ENOTSUP, "EXT1");
    REFUSE("\x80\5\x97.", VOLT_ENOTSUP, "NEXT_BUFFER");
    REFUSE("\x80\2\xfe.", VOLT_EFORMAT, "fe, is not an opcode");
    REFUSE("\x80\6N.", VOLT_ENOTSUP, "protocol 6");
    REFUSE("(lp0\n.", VOLT_EFORMAT, "starts with byte 28");
    REFUSE("", VOLT_EFORMAT, "no pickle");
}

static void lying_pickles_are_refused(void **state)
{
    (void)state;
    REFUSE("\x80\2.", VOLT_EFORMAT, "takes a value where there is none");
    REFUSE("\x80\2N", VOLT_EFORMAT, "ends too early");
    REFUSE("\x80\2X\xff\xff\xff\xff"
           "abc.",
           VOLT_EFORMAT, "ends too early");
    REFUSE("\x80\4\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
           "abc.",
           VOLT_EFORMAT, "ends too early");
    REFUSE("\x80\2X\2\0\0\0\xff\xff.", VOLT_EFORMAT, "not UTF-8");
    REFUSE("\x80\2Nr\xff\xff\xff\xff.", VOLT_EFORMAT, "numbers its values beyond");
    REFUSE("\x80\2h\7.", VOLT_EFORMAT, "was not stored");
    REFUSE("\x80\2t.", VOLT_EFORMAT, "mark where there is none");
    REFUSE("\x80\2(N.", VOLT_EFORMAT, "stops above a mark");
    REFUSE("\x80\2(Nd.", VOLT_EFORMAT, "key without a value");
    REFUSE("\x80\2}Ns.", VOLT_EFORMAT, "adds to a");
    REFUSE("\x80\2a.", VOLT_EFORMAT, "adds to a");
    REFUSE("\x80\2NNa.", VOLT_EFORMAT, "another kind");
    REFUSE("\x80\2NNb.", VOLT_EFORMAT, "state");
    REFUSE("\x80\2N)R.", VOLT_EFORMAT, "no function");
    REFUSE("\x80\4\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.", VOLT_EFORMAT, "frame");
    REFUSE("\x80\2\x8b\xff\xff\xff\xffN.", VOLT_EFORMAT, "ends too early");
}

/* A list that holds itself, and one that holds a doubled one 30 times over: walking either to
 * its end would never be done. */
static void endless_trees_are_harmless(void **state)
{
    char ops[2 + 4 + 30 * 8 + 2] = "\x80\2]q", *text = NULL;
    volt_pickle *p;
    size_t at = 4;

    (void)state;
    assert_ok(volt_pickle_parse(&p, "\x80\2]q\0h\0a.", 9, NULL, "circle"));
    assert_int_equal(volt_pickle_root(p)->count, 1);
    assert_ptr_equal(volt_pickle_root(p)->item[0], volt_pickle_root(p));
    assert_fails(volt_pickle_json(&text, volt_pickle_root(p), "circle"), VOLT_EFORMAT,
                 "nested deeper");
    volt_pickle_free(p);
    ops[at++] = 0;
    for (int i = 1; i <= 30; i++) { /* x = (x, x) */
        memcpy(ops + at, "2\x86q", 3);
        ops[at + 3] = (char)i;
        at += 4;
    }
    ops[at++] = '.';
    assert_ok(volt_pickle_parse(&p, ops, at, NULL, "doubled"));
    assert_fails(volt_pickle_json(&text, volt_pickle_root(p), "doubled"), VOLT_EFORMAT,
                 "larger than");
    assert_null(text);
    volt_pickle_free(p);
}

/* One long list, copied by a few bytes each: the copies are counted. */
static void copies_are_counted(void **state)
{
    const size_t items = 1 << 20, copies = 64;
    char *ops;
    size_t at = 0;
    volt_pickle *p = NULL;

    (void)state;
    assert_ok(volt_alloc(&ops, items + copies * 20 + 64, "a test"));
    memcpy(ops, "\x80\2]q\0(", 6);
    at = 6;
    memset(ops + at, ')', items / 2); /* empty tuples: no pairs, but long */
    at += items / 2;
    ops[at++] = 'e';
    for (size_t i = 0; i < copies; i++) {
        memcpy(ops + at, "cbuiltins\nset\n(h\0tR0", 20);
        at += 20;
    }
    memcpy(ops + at, "N.", 2);
    at += 2;
    assert_fails(volt_pickle_parse(&p, ops, at, NULL, "copies"), VOLT_EFORMAT,
                 "hold more than");
    assert_null(p);
    volt_free(ops);
}

static void plans_become_json(void **state)
{
    static const char ops[] = "\x80\2}(X\1\0\0\0aK\1X\1\0\0\0bG?\xf8\0\0\0\0\0\0X\1\0\0\0c]("
                              "NK\2\x88"
                              "eK\7(K\1K\2tu.";
    volt_pickle *p;
    char *text;

    (void)state;
    assert_ok(volt_pickle_parse(&p, ops, sizeof ops - 1, NULL, "plans"));
    assert_ok(volt_pickle_json(&text, volt_pickle_root(p), "plans"));
    assert_string_equal(text, "{\"a\":1,\"b\":1.5,\"c\":[null,2,true],\"7\":[1,2]}");
    volt_free(text);
    volt_pickle_free(p);
    assert_ok(volt_pickle_parse(&p, "\x80\2ctorch\nSize\n.", 15, NULL, "a name"));
    assert_fails(volt_pickle_json(&text, volt_pickle_root(p), "plans"), VOLT_EFORMAT,
                 "plans holds torch.Size");
    volt_pickle_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pythons_values_are_read),
        cmocka_unit_test(cut_pickles_are_refused),
        cmocka_unit_test(what_is_not_listed_is_refused),
        cmocka_unit_test(lying_pickles_are_refused),
        cmocka_unit_test(endless_trees_are_harmless),
        cmocka_unit_test(copies_are_counted),
        cmocka_unit_test(plans_become_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
