/* Any bytes as the recipe in a checkpoint: refused, or written and read back the same. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "nets3d/run/state.h"
#include "nets3d/train/checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *once = NULL, *twice = NULL;
    volt_train_recipe r, again;

    fuzz_require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (volt_train_recipe_parse(&r, text, "fuzz") == VOLT_OK) {
        fuzz_require(volt_train_recipe_text(&once, &r) == VOLT_OK);
        fuzz_require(volt_train_recipe_parse(&again, once, "again") == VOLT_OK);
        fuzz_require(volt_train_recipe_text(&twice, &again) == VOLT_OK);
        fuzz_require(strcmp(once, twice) == 0);
        if (volt_train_check_recipe(&r.recipe, NULL) != VOLT_OK)
            fuzz_require(*volt_last_error() != '\0');
    } else {
        fuzz_require(strstr(volt_last_error(), "fuzz") != NULL);
    }
    volt_free(twice);
    volt_free(once);
    free(text);
    return 0;
}
