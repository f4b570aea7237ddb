#include "nets3d/run/found.h"

#include <string.h>

#include "io/archive/crc32.h"

void volt_run_found_clear(volt_run_found *f)
{
    volt_dataset_info_clear(&f->info);
    volt_checkpoint_head_free(&f->head);
    *f = (volt_run_found){0};
}

volt_status volt_run_found_read(volt_run_found *out, const char *path)
{
    volt_run_found f = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_checkpoint_read_head(&f.head, path));
    VOLT_TRY(st, done, volt_train_recipe_parse(&f.recipe, f.head.recipe, path));
    VOLT_TRY(st, done, volt_train_state_parse(&f.state, f.head.state, path));
    VOLT_TRY(st, done,
             volt_dataset_info_parse(&f.info, f.head.dataset, strlen(f.head.dataset), path));
    *out = f;
    f = (volt_run_found){0};
done:
    volt_run_found_clear(&f);
    return st;
}

uint32_t volt_run_cases_checksum(const char *const *train, int64_t trains,
                                 const char *const *validate, int64_t validates)
{
    uint32_t crc = 0;

    for (int64_t i = 0; i < trains; i++)
        crc = volt_crc32(crc, train[i], strlen(train[i]) + 1);
    crc = volt_crc32(crc, "", 1);
    for (int64_t i = 0; i < validates; i++)
        crc = volt_crc32(crc, validate[i], strlen(validate[i]) + 1);
    return crc;
}
