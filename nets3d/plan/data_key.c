#include "nets3d/plan/data_key.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/store/case_key.h"

#define NAME "volt_data_key"
enum { DIGITS = 16 };

void volt_key_mix_reading(uint64_t *key, const volt_dataset_info *info)
{
    for (int l = 0; info->stored && l < info->labels; l++)
        volt_key_mix_int(key, info->stored[l]);
    if (info->thresholds)
        volt_key_mix(key, info->threshold, (size_t)info->thresholds * sizeof *info->threshold);
    if (*info->orientation)
        volt_key_mix(key, info->orientation, sizeof info->orientation);
    if (info->label_flip[0] || info->label_flip[1] || info->label_flip[2])
        volt_key_mix(key, info->label_flip, sizeof info->label_flip);
    if (info->resample_channels)
        volt_key_mix_int(key, 1);
}

volt_status volt_data_key(uint64_t *out, const volt_dataset *ds)
{
    uint64_t key = VOLT_KEY_START;
    volt_status st = VOLT_OK;

    volt_key_mix_int(&key, ds->info.channels);
    volt_key_mix_reading(&key, &ds->info);
    for (int64_t i = 0; i < ds->cases.count; i++) {
        const volt_case *c = &ds->cases.item[i];
        volt_key_mix(&key, c->id, strlen(c->id) + 1);
        volt_key_mix_int(&key, c->files);
        for (int k = 0; k < c->files; k++)
            VOLT_TRY(st, done, volt_key_mix_content(&key, c->file[k]));
        if (c->label_file)
            VOLT_TRY(st, done, volt_key_mix_content(&key, c->label_file));
    }
    *out = key ? key : 1;
done:
    return st;
}

bool volt_data_key_add(json_t *root, uint64_t key)
{
    char text[DIGITS + 1];

    if (key == 0)
        return true;
    snprintf(text, sizeof text, "%016" PRIx64, key);
    return json_object_set_new(root, NAME, json_string(text)) == 0;
}

volt_status volt_data_key_parse(uint64_t *out, const volt_json_at *root)
{
    volt_json_at at;
    const char *text;
    volt_status st;

    *out = 0;
    VOLT_TRY(st, done, volt_json_optional(&at, root, NAME));
    if (!at.value)
        goto done;
    VOLT_TRY(st, done, volt_json_text(&text, &at, 4096));
    if (strlen(text) != DIGITS || strspn(text, "0123456789abcdef") != DIGITS ||
        sscanf(text, "%" SCNx64, out) != 1)
        st = volt_json_fail(&at, "is \"%s\"; %d hexadecimal digits are expected", text, DIGITS);
done:
    return st;
}
