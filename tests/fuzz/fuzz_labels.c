/* Label tables: the first byte selects ITK-SNAP's, 3D Slicer's or segments; what is accepted is
 * written and read back the same. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "io/image/label_text.h"

static volt_status parse(volt_label_table *out, int kind, const char *text, size_t bytes)
{
    if (kind == 2)
        return volt_label_segments_parse(out, text, bytes, "fuzz");
    return volt_label_text_parse(out, text, bytes, kind ? VOLT_LABELS_SLICER : VOLT_LABELS_SNAP,
                                 "fuzz");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_label_table t = {0}, again = {0};
    char *text = NULL;

    if (size == 0)
        return 0;
    if (parse(&t, data[0] % 3, (const char *)data + 1, size - 1) != VOLT_OK) {
        fuzz_require(t.count == 0 && *volt_last_error());
        return 0;
    }
    fuzz_require(volt_label_text_make(&text, &t, VOLT_LABELS_SNAP) == VOLT_OK);
    fuzz_require(parse(&again, 0, text, strlen(text)) == VOLT_OK);
    fuzz_require(again.count == t.count);
    for (int64_t i = 0; i < t.count; i++)
        fuzz_require(again.entries[i].value == t.entries[i].value);
    volt_free(text);
    volt_label_table_clear(&again);
    volt_label_table_clear(&t);
    return 0;
}
