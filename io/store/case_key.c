#include "io/store/case_key.h"

#include <string.h>

#include "base/system/file.h"
#include "base/mem.h"

void volt_key_mix(uint64_t *key, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < bytes; i++)
        *key = (*key ^ p[i]) * 0x100000001b3u;
}

void volt_key_mix_int(uint64_t *key, int64_t value)
{
    volt_key_mix(key, &value, sizeof value);
}

static volt_status mix_folder(uint64_t *key, const char *folder)
{
    volt_names names = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_list_dir(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        VOLT_TRY(st, done, volt_path_join(&path, folder, names.name[i]));
        if (!volt_path_is_dir(path))
            VOLT_TRY(st, done, volt_key_mix_file(key, path));
        volt_free(path);
        path = NULL;
    }
done:
    volt_free(path);
    volt_names_free(&names);
    return st;
}

volt_status volt_key_mix_file(uint64_t *key, const char *path)
{
    const char *name = volt_path_name(path);
    int64_t bytes, modified;
    volt_status st;

    if (volt_path_is_dir(path))
        return mix_folder(key, path);
    st = volt_file_stat(&bytes, &modified, path);
    if (st == VOLT_OK) {
        volt_key_mix(key, name, strlen(name) + 1);
        volt_key_mix_int(key, bytes);
        volt_key_mix_int(key, modified);
    }
    return st;
}
