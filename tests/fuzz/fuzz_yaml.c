/* YAML: refused by a sentence, or a document that can be written as JSON. */
#include "tests/fuzz/fuzz.h"

#include "base/core/alloc.h"
#include "io/json/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_json doc = {0};
    char *text = NULL;

    if (volt_yaml_load(&doc, fuzz_file(data, size)) != VOLT_OK) {
        fuzz_require(!doc.root && *volt_last_error());
        return 0;
    }
    fuzz_require(doc.root && volt_json_dump(&text, NULL, doc.root) == VOLT_OK);
    volt_free(text);
    volt_json_close(&doc);
    return 0;
}
