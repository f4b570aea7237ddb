/* JSON text: read every way there is, then written and read again. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "io/json/json.h"

static void fetch_all_ways(const volt_json_at *at)
{
    int64_t n, three[3];
    double d, pair[2];
    bool b;
    const char *text;

    if (volt_json_int(&n, at, -1000, 1000) == VOLT_OK)
        fuzz_require(n >= -1000 && n <= 1000);
    if (volt_json_double(&d, at, 0, 1) == VOLT_OK)
        fuzz_require(d >= 0 && d <= 1);
    if (volt_json_text(&text, at, 10) == VOLT_OK)
        fuzz_require(strlen(text) <= 10);
    if (volt_json_bool(&b, at) != VOLT_OK)
        fuzz_require(*volt_last_error());
    if (volt_json_ints(three, at, 3, 0, 9) == VOLT_OK)
        fuzz_require(three[2] <= 9);
    if (volt_json_doubles(pair, at, 2, 0, 9) == VOLT_OK)
        fuzz_require(pair[1] <= 9);
}

static void walk(const volt_json_at *at)
{
    volt_json_at item;
    const char *key;
    size_t count;

    fetch_all_ways(at);
    if (volt_json_length(&count, at, 0, 50) == VOLT_OK) {
        for (size_t i = 0; i < count; i++)
            if (volt_json_item(&item, at, i) == VOLT_OK)
                walk(&item);
    } else if (volt_json_count(&count, at) == VOLT_OK) {
        for (size_t i = 0; i < count && i < 50; i++)
            if (volt_json_entry(&key, &item, at, i) == VOLT_OK)
                walk(&item);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_json doc = {0}, again = {0};
    volt_json_at root;
    char *text = NULL;
    size_t bytes = 0;

    if (volt_json_parse(&doc, (const char *)data, size, "fuzz") != VOLT_OK)
        return 0;
    root = volt_json_root(&doc);
    walk(&root);
    fuzz_require(volt_json_dump(&text, &bytes, doc.root) == VOLT_OK);
    fuzz_require(volt_json_parse(&again, text, bytes, "again") == VOLT_OK);
    fuzz_require(json_equal(doc.root, again.root));
    volt_json_close(&again);
    volt_json_close(&doc);
    volt_free(text);
    return 0;
}
