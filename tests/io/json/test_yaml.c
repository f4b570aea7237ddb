/* YAML becomes the JSON that it means; what is not supported is named with its line. */
#include <stdio.h>
#include "io/json/yaml.h"
#include "base/core/alloc.h"
#include "base/system/file.h"
#include "tests/kit/test.h"

static void becomes(const char *yaml, const char *json)
{
    volt_json doc = {0};
    char *text = NULL;

    assert_ok(volt_write_file("a.yaml", yaml, strlen(yaml)));
    assert_ok(volt_yaml_load(&doc, "a.yaml"));
    assert_ok(volt_json_dump_line(&text, NULL, doc.root));
    assert_string_equal(text, json);
    volt_free(text);
    volt_json_close(&doc);
}

static void refused(const char *yaml, volt_status code, const char *words)
{
    volt_json doc = {0};

    assert_ok(volt_write_file("a.yaml", yaml, strlen(yaml)));
    assert_fails(volt_yaml_load(&doc, "a.yaml"), code, words);
    assert_null(doc.root);
}

static void blocks(void **state)
{
    (void)state;
    becomes("---\n# a comment\na: 1\nb:\n  c: x y # another\n  d: -2.5\ne:\n",
            "{\"a\":1,\"b\":{\"c\":\"x y\",\"d\":-2.5},\"e\":null}");
    becomes("list:\n- 1\n- two\n-\n  x: 1\n- a: 1\n  b:\n  - true\n  - ~\nend: .5e1\n",
            "{\"list\":[1,\"two\",{\"x\":1},{\"a\":1,\"b\":[true,null]}],\"end\":5.0}");
    becomes("- - 1\n  - 2\n- [3, 4]\n", "[[1,2],[3,4]]");
    becomes("t:\n  - _target_: Spacingd\n    keys: \"@image\"\n    pixdim: [1.5, 1.5,\n"
            "      2.0]\n  - {_target_: \"X\", a: {b: []}, c: 'it''s'}\n",
            "{\"t\":[{\"_target_\":\"Spacingd\",\"keys\":\"@image\",\"pixdim\":[1.5,1.5,2.0]},"
            "{\"_target_\":\"X\",\"a\":{\"b\":[]},\"c\":\"it's\"}]}");
    becomes("device: \"$torch.device('cuda' if x else 'cpu')\"\nn: $@a.to(@b)\nu: a#b\n",
            "{\"device\":\"$torch.device('cuda' if x else 'cpu')\",\"n\":\"$@a.to(@b)\","
            "\"u\":\"a#b\"}");
    becomes("\"k\\n\": 'a: b'\n", "{\"k\\n\":\"a: b\"}");
}

static void damage(void **state)
{
    char deep[4000] = "";

    (void)state;
    refused("", VOLT_EFORMAT, "a.yaml is empty");
    refused("a: &x 1\n", VOLT_ENOTSUP, "a.yaml: line 1 uses an anchor");
    refused("a: 1\nb: |\n  text\n", VOLT_ENOTSUP, "line 2");
    refused("a: 1\n\tb: 2\n", VOLT_ENOTSUP, "line 2 is indented by tabs");
    refused("a: 1\na: 2\n", VOLT_EFORMAT, "line 2 repeats a key");
    refused("a: [1, 2\n", VOLT_EFORMAT, "ends within brackets");
    refused("a: \"x\n", VOLT_EFORMAT, "quote without an end");
    refused("a: 1\n   b: 2\n", VOLT_EFORMAT, "line 2 is indented");
    refused("a: {b: 1, b: 2}\n", VOLT_EFORMAT, "repeats a key");
    refused("a: [1 2] 3\n", VOLT_EFORMAT, "continues after");
    refused("  a: 1\nb: 2\n", VOLT_EFORMAT, "less than the first line");
    refused("a: 1\nwords\n", VOLT_EFORMAT, "line 2 is neither");
    refused("a: \377\n", VOLT_EFORMAT, "not UTF-8");
    memset(deep, '[', 3000);
    refused(deep, VOLT_EFORMAT, "nested too deeply");
    memset(deep, 0, sizeof deep);
    for (int i = 0; i < 900; i++)
        memcpy(deep + 2 * i, "- ", 2);
    refused(deep, VOLT_EFORMAT, "nested too deeply");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks), cmocka_unit_test(damage)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
