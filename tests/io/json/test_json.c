#include "tests/kit/test.h"

#include <stdio.h>
#include <unistd.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/json/json.h"

static const char text[] =
    "{\"a\": {\"patch\": [40, 56.0, -8], \"half\": 0.5, \"name\": \"T1\", \"on\": true,"
    " \"nothing\": null}, \"z\": 1, \"big\": 1e300}";

static volt_json open_text(const char *s)
{
    volt_json doc = {0};
    assert_ok(volt_json_parse(&doc, s, strlen(s), "plan.json"));
    return doc;
}

static void fetches_and_names_the_place(void **state)
{
    volt_json doc = open_text(text);
    volt_json_at root = volt_json_root(&doc), a, at;
    int64_t n = 0, three[3] = {7, 7, 7};
    double d = 0;
    bool on = false;
    const char *name = NULL;
    size_t length;
    (void)state;

    assert_ok(volt_json_member(&a, &root, "a"));
    assert_ok(volt_json_member(&at, &a, "half"));
    assert_ok(volt_json_double(&d, &at, 0, 1));
    assert_true(d == 0.5);
    assert_fails(volt_json_int(&n, &at, 0, 9), VOLT_EFORMAT,
                 "plan.json: a.half is 0.5; an integer");
    assert_fails(volt_json_double(&d, &at, 1, 2), VOLT_EFORMAT, "a.half is 0.5; 1 to 2");
    assert_ok(volt_json_member(&at, &a, "name"));
    assert_ok(volt_json_text(&name, &at, 2));
    assert_string_equal(name, "T1");
    assert_fails(volt_json_text(&name, &at, 1), VOLT_EFORMAT, "a.name has 2 bytes");
    assert_fails(volt_json_int(&n, &at, 0, 9), VOLT_EFORMAT, "is \"T1\"");
    assert_ok(volt_json_member(&at, &a, "on"));
    assert_ok(volt_json_bool(&on, &at));
    assert_true(on);
    assert_ok(volt_json_optional(&at, &a, "nothing"));
    assert_null(at.value);
    assert_fails(volt_json_member(&at, &a, "nothing"), VOLT_EFORMAT, "a.nothing is missing");
    assert_ok(volt_json_member(&at, &a, "patch"));
    assert_fails(volt_json_ints(three, &at, 3, 1, 4096), VOLT_EFORMAT,
                 "plan.json: a.patch[2] is -8; 1 to 4096 is expected");
    assert_int_equal(three[0], 7); /* untouched on failure */
    assert_ok(volt_json_ints(three, &at, 3, -9, 4096));
    assert_int_equal(three[1], 56);
    assert_fails(volt_json_ints(three, &at, 2, -9, 99), VOLT_EFORMAT,
                 "a.patch has 3 items, expected 2");
    assert_fails(volt_json_length(&length, &root, 0, 9), VOLT_EFORMAT,
                 "the document is an object; an array");
    assert_fails(volt_json_member(&at, &at, "x"), VOLT_EFORMAT, "a.patch is an array of 3");
    volt_json_close(&doc);
    assert_null(doc.root);
}

static void walks_objects_in_file_order(void **state)
{
    volt_json doc = open_text("{\"b\": 1, \"a\": 2}");
    volt_json_at root = volt_json_root(&doc), at;
    const char *key = NULL;
    size_t count = 0;
    (void)state;

    assert_ok(volt_json_count(&count, &root));
    assert_int_equal(count, 2);
    assert_ok(volt_json_entry(&key, &at, &root, 0));
    assert_string_equal(key, "b");
    assert_ok(volt_json_entry(&key, &at, &root, 1));
    assert_string_equal(at.path, "a");
    assert_fails(volt_json_entry(&key, &at, &root, 2), VOLT_EFORMAT, "key 2 is missing");
    volt_json_close(&doc);
}

static void refuses_what_is_not_json(void **state)
{
    static const struct {
        const char *text, *words;
    } bad[] = {{"", "not valid JSON"},
               {"{\"a\": 1", "line 1"},
               {"{\"a\": 1, \"a\": 2}", "dup"},
               {"[1] x", "end of file"},
               {"[NaN]", "NaN"},
               {"[\"\xff\"]", "0xff"},
               {"\n\n[1,]", "line 3"},
               {"[1e999]", "overflow"},
               {"[99999999999999999999]", "too big"}};
    char deep[400];
    volt_json doc = {0};
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(volt_json_parse(&doc, bad[i].text, strlen(bad[i].text), "x.json"),
                     VOLT_EFORMAT, bad[i].words);
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    assert_fails(volt_json_parse(&doc, deep, 130, "x.json"), VOLT_EFORMAT, "65 levels");
    assert_ok(volt_json_parse(&doc, deep + 1, 128, "x.json"));
    volt_json_close(&doc);
    assert_ok(volt_json_parse(&doc, "\xef\xbb\xbf{}", 5, "x.json"));
    volt_json_close(&doc);
    assert_fails(volt_json_load(&doc, "/nonexistent.json"), VOLT_EIO, "/nonexistent.json");
}

/* A name or value must not carry an escape sequence to a terminal. */
static void refuses_control_characters(void **state)
{
    const char escapes[] = "{\"plain\": \"two\\nlines\", \"red\": \"a\\u001b[31mb\","
                           " \"high\": \"\\u009b31m\", \"\\u001b[2J\": 1}";
    const char *got = NULL, *key = NULL;
    volt_json doc;
    volt_json_at root, at;

    (void)state;
    assert_ok(volt_json_parse(&doc, escapes, strlen(escapes), "x.json"));
    root = volt_json_root(&doc);
    assert_ok(volt_json_member(&at, &root, "plain"));
    assert_ok(volt_json_text(&got, &at, 20));
    assert_string_equal(got, "two\nlines");
    assert_ok(volt_json_member(&at, &root, "red"));
    assert_fails(volt_json_text(&got, &at, 20), VOLT_EFORMAT, "red is \"a?[31mb\"");
    assert_ok(volt_json_member(&at, &root, "high"));
    assert_fails(volt_json_text(&got, &at, 20), VOLT_EFORMAT, "without control characters");
    assert_ok(volt_json_entry(&key, &at, &root, 3));
    assert_fails(volt_json_check_key(&at, key), VOLT_EFORMAT, "x.json: ?[2J has a control");
    assert_ok(volt_json_entry(&key, &at, &root, 0));
    assert_ok(volt_json_check_key(&at, key));
    volt_json_close(&doc);
}

static void long_paths_keep_their_end(void **state)
{
    char key[300], whole[700];
    volt_json doc;
    volt_json_at at;
    int64_t n;
    (void)state;

    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    snprintf(whole, sizeof whole, "{\"%s\": {\"last\": [true]}}", key);
    doc = open_text(whole);
    at = volt_json_root(&doc);
    assert_ok(volt_json_member(&at, &at, key));
    assert_ok(volt_json_member(&at, &at, "last"));
    assert_ok(volt_json_item(&at, &at, 0));
    assert_fails(volt_json_int(&n, &at, 0, 1), VOLT_EFORMAT, "k.last[0] is true");
    volt_json_close(&doc);
}

static void dumps_as_python_does(void **state)
{
    /* json.dumps({...}, indent=4) of Python 3.11 */
    static const char python[] = "{\n    \"s\": \"\\u00E9\",\n    \"f\": [\n        0.1,\n"
                                 "        1.0,\n        0.30000000000000004,\n"
                                 "        1000000000000000.0,\n        -0.0\n    ],\n"
                                 "    \"e\": [],\n    \"o\": {},\n    \"n\": null,\n"
                                 "    \"i\": [\n        3\n    ]\n}";
    const double f[] = {0.1, 1.0, 0.1 + 0.2, 1e15, -0.0};
    const int64_t i[] = {3};
    json_t *root = json_object();
    char *out = NULL;
    size_t bytes = 0;
    (void)state;

    json_object_set_new(root, "s", json_string("\xc3\xa9"));
    json_object_set_new(root, "f", volt_json_array_of_doubles(f, 5));
    json_object_set_new(root, "e", json_array());
    json_object_set_new(root, "o", json_object());
    json_object_set_new(root, "n", volt_json_number(NAN));
    json_object_set_new(root, "i", volt_json_array_of_ints(i, 1));
    assert_ok(volt_json_dump(&out, &bytes, root));
    assert_string_equal(out, python);
    assert_int_equal(bytes, strlen(python));
    volt_free(out);
    assert_ok(volt_json_dump_line(&out, &bytes, root));
    assert_non_null(strstr(out, "\"f\":[0.1,1.0,"));
    assert_null(strchr(out, '\n'));
    volt_free(out);
    json_decref(root);
    assert_fails(volt_json_dump(&out, NULL, NULL), VOLT_EINVAL, "building it failed");
}

static void every_double_survives(void **state)
{
    const double values[] = {1.0 / 3,
                             5e-324,
                             1.7976931348623157e308,
                             123456789012345680.0,
                             0.0009765625,
                             9007199254740993.0,
                             -2.5e-7};
    const size_t count = sizeof values / sizeof *values;
    json_t *root = volt_json_array_of_doubles(values, count);
    double back[8];
    volt_json doc;
    volt_json_at at;
    (void)state;

    assert_ok(volt_json_save("json-save.json", root));
    assert_ok(volt_json_load(&doc, "json-save.json"));
    at = volt_json_root(&doc);
    assert_ok(volt_json_doubles(back, &at, count, -HUGE_VAL, HUGE_VAL));
    assert_memory_equal(back, values, sizeof values);
    volt_json_close(&doc);
    json_decref(root);
    unlink("json-save.json");
    assert_fails(volt_json_save("/nonexistent/x.json", json_true()), VOLT_EIO, "/nonexistent");
}

static void running_out_of_memory_is_reported(void **state)
{
    volt_json doc = {0};
    (void)state;

    volt_mem_fail_after(1);
    assert_int_equal(volt_json_parse(&doc, "{}", 2, "x"), VOLT_ENOMEM);
    volt_mem_fail_after(0);
    assert_null(doc.root);
}

/* Names of files may hold any byte but NUL. */
static void names_of_any_bytes_become_strings(void **state)
{
    static const char *const names[][2] = {
        {"plain", "plain"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"caf\xe9", "caf\xef\xbf\xbd"},
        {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
        {"", ""},
    };
    json_t *object = json_object();

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *name = volt_json_string(names[i][0]);

        assert_string_equal(json_string_value(name), names[i][1]);
        json_decref(name);
    }
    assert_null(volt_json_string(NULL));
    assert_int_equal(volt_json_set(object, "r\xe9", json_integer(3)), 0);
    assert_int_equal(json_integer_value(json_object_get(object, "r\xef\xbf\xbd")), 3);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fetches_and_names_the_place),
        cmocka_unit_test(walks_objects_in_file_order),
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(refuses_control_characters),
        cmocka_unit_test(long_paths_keep_their_end),
        cmocka_unit_test(dumps_as_python_does),
        cmocka_unit_test(every_double_survives),
        cmocka_unit_test(names_of_any_bytes_become_strings),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
