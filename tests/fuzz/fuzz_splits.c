/* Any bytes as splits_final.json: refused, or folds whose cases exist, none twice in a fold,
 * that are written and read back the same. */
#include "tests/fuzz/fuzz.h"

#include "nets3d/plan/splits.h"

enum { CASES = 5 };

static void check_fold(const volt_split *fold)
{
    int seen[CASES] = {0};

    fuzz_require(fold->trains > 0 && fold->vals > 0);
    for (int64_t i = 0; i < fold->trains + fold->vals; i++) {
        const int64_t c = i < fold->trains ? fold->train[i] : fold->val[i - fold->trains];
        fuzz_require(c >= 0 && c < CASES && !seen[c]++);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static volt_case cases[CASES] = {
        {.id = "a"}, {.id = "b"}, {.id = "c"}, {.id = "d"}, {.id = "e"}};
    const volt_dataset ds = {.folder = "fuzz", .cases = {cases, CASES}};
    static char copy[64];
    volt_splits s = {0}, again = {0};

    if (volt_splits_read(&s, fuzz_file(data, size), &ds) != VOLT_OK)
        return 0;
    for (int f = 0; f < s.folds; f++)
        check_fold(&s.fold[f]);
    snprintf(copy, sizeof copy, "/tmp/volt-fuzz-splits-%d", (int)getpid());
    fuzz_require(volt_splits_write(copy, &s, &ds) == VOLT_OK);
    fuzz_require(volt_splits_read(&again, copy, &ds) == VOLT_OK);
    fuzz_require(again.folds == s.folds);
    for (int f = 0; f < s.folds; f++)
        fuzz_require(again.fold[f].trains == s.fold[f].trains &&
                     again.fold[f].vals == s.fold[f].vals);
    unlink(copy);
    volt_splits_clear(&s);
    volt_splits_clear(&again);
    return 0;
}
