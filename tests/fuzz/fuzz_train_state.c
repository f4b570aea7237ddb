/* Any bytes as the state in a checkpoint: refused, or counters that agree with each other, and
 * that are written and read back the same. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "nets3d/run/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const volt_optimizer_settings cosine = {.schedule = VOLT_SCHEDULE_COSINE, .lr = 1};
    char *text = malloc(size + 1), *once = NULL, *twice = NULL;
    volt_train_state s, again;

    fuzz_require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (volt_train_state_parse(&s, text, "fuzz") == VOLT_OK) {
        const double progress = volt_train_state_progress(&s);
        const double rate = volt_train_state_rate(&s, &cosine);
        fuzz_require(progress >= 0 && progress <= 1);
        fuzz_require(rate >= 0 && rate <= 1);
        fuzz_require(s.iteration >= 0 && s.iteration <= s.epochs * s.iterations);
        fuzz_require(volt_train_state_text(&once, &s) == VOLT_OK);
        fuzz_require(volt_train_state_parse(&again, once, "again") == VOLT_OK);
        fuzz_require(volt_train_state_text(&twice, &again) == VOLT_OK);
        fuzz_require(strcmp(once, twice) == 0);
    } else {
        fuzz_require(strstr(volt_last_error(), "fuzz") != NULL);
    }
    volt_free(twice);
    volt_free(once);
    free(text);
    return 0;
}
