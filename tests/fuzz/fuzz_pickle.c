/* A pickle: read in bounded memory, said as JSON or refused. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "io/tensors/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_pickle *p = NULL;
    char *text = NULL;
    double number;
    size_t used = 0;

    if (volt_pickle_parse(&p, data, size, &used, "fuzz") != VOLT_OK) {
        fuzz_require(!p && *volt_last_error());
        return 0;
    }
    fuzz_require(used <= size);
    fuzz_require(*volt_pickle_kind_name(volt_pickle_root(p)) != '\0');
    volt_pickle_number(&number, volt_pickle_root(p));
    volt_pickle_get(volt_pickle_root(p), "key");
    if (volt_pickle_json(&text, volt_pickle_root(p), "fuzz") == VOLT_OK)
        volt_free(text);
    volt_pickle_free(p);
    return 0;
}
