#include "io/store/case_key.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/core/alloc.h"
#include "base/mem.h"
#include "base/system/file.h"

enum { SAMPLE = 16384 }; /* bytes of a file's content */

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

typedef volt_status mix_one(uint64_t *key, const char *path);

static volt_status mix_folder(uint64_t *key, const char *folder, mix_one *mix)
{
    volt_names names = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_list_dir(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        VOLT_TRY(st, done, volt_path_join(&path, folder, names.name[i]));
        if (!volt_path_is_dir(path))
            VOLT_TRY(st, done, mix(key, path));
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
        return mix_folder(key, path, volt_key_mix_file);
    st = volt_file_stat(&bytes, &modified, path);
    if (st == VOLT_OK) {
        volt_key_mix(key, name, strlen(name) + 1);
        volt_key_mix_int(key, bytes);
        volt_key_mix_int(key, modified);
    }
    return st;
}

/* Mixes in what follows the byte at 5/11 of the file: within a slice of a volume that is stored
 * slice by slice, not at the border of two, where a scan is often empty. */
static volt_status mix_sample(uint64_t *key, const char *path, int64_t bytes)
{
    unsigned char *sample = NULL;
    const int64_t from = bytes > SAMPLE ? (bytes - SAMPLE) / 11 * 5 : 0;
    FILE *f = fopen(path, "rb");
    size_t got;
    volt_status st;

    if (!f)
        return volt_fail(VOLT_EIO, "cannot open %s: %s", path, strerror(errno));
    VOLT_TRY(st, done, volt_alloc(&sample, SAMPLE, "a part of a file"));
    if (fseeko(f, from, SEEK_SET) != 0) {
        st = volt_fail(VOLT_EIO, "cannot read %s: %s", path, strerror(errno));
        goto done;
    }
    got = fread(sample, 1, SAMPLE, f);
    if (ferror(f)) {
        st = volt_fail(VOLT_EIO, "cannot read %s: %s", path, strerror(errno));
        goto done;
    }
    volt_key_mix(key, sample, got);
done:
    volt_free(sample);
    fclose(f);
    return st;
}

static volt_status mix_one_content(uint64_t *key, const char *path)
{
    const char *name = volt_path_name(path);
    int64_t bytes, modified;
    volt_status st;

    VOLT_TRY(st, done, volt_file_stat(&bytes, &modified, path));
    volt_key_mix(key, name, strlen(name) + 1);
    volt_key_mix_int(key, bytes);
    st = mix_sample(key, path, bytes);
done:
    return st;
}

static bool ends_with(const char *path, const char *ending)
{
    const size_t n = strlen(path), e = strlen(ending);

    return n >= e && strcasecmp(path + n - e, ending) == 0;
}

/* The voxels of a header that has them in a second file, under the usual names. */
static volt_status mix_voxels(uint64_t *key, const char *path)
{
    static const char *const headers[] = {".mhd", ".nhdr", ".hdr", ".hdr.gz"};
    static const char *const voxels[] = {".raw", ".zraw", ".raw.gz", ".img", ".img.gz"};
    size_t stem = 0;
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        if (ends_with(path, headers[i]))
            stem = strlen(path) - strlen(headers[i]);
    }
    for (size_t i = 0; stem > 0 && i < sizeof voxels / sizeof *voxels && st == VOLT_OK; i++) {
        char *other = NULL;
        st = volt_format(&other, "%.*s%s", (int)stem, path, voxels[i]);
        if (st == VOLT_OK && volt_path_exists(other))
            st = mix_one_content(key, other);
        volt_free(other);
    }
    return st;
}

volt_status volt_key_mix_content(uint64_t *key, const char *path)
{
    volt_status st;

    if (volt_path_is_dir(path))
        return mix_folder(key, path, volt_key_mix_content);
    st = mix_one_content(key, path);
    return st == VOLT_OK ? mix_voxels(key, path) : st;
}
