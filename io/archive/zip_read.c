/* zip_read.c - reading zip archives. Everything but the CRCs is checked on opening.
 *
 * The directory at the end and the header before each member describe the same data twice,
 * which is what hostile archives exploit: programs that trust different copies see different
 * files. Here both must agree on name, method and position. Members must not overlap either:
 * "zip bombs" let many entries share one block, so that the sum of sizes is no longer bounded
 * by deflate's 1032 : 1. After sorting by position, each member must start behind the previous
 * one's data and its own header.
 */
#include "io/archive/zip.h"

#include <assert.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/available.h"
#include "base/core/plural.h"
#include "base/core/utf8.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/archive/crc32.h"
#include "io/archive/gzip.h"
#include "io/archive/zip_format.h"

#define FLAG_ENCRYPTED 1u

struct volt_zip {
    char *path;
    volt_map map;
    char *names; /* of all members, NUL-terminated */
    volt_zip_member *member;
    const volt_zip_member **by_name;
    size_t count;
};

/* The central directory in the file. */
typedef struct directory {
    size_t at, bytes;
    uint64_t entries;
} directory;

const char *volt_zip_path(const volt_zip *zip)
{
    return zip->path;
}

bool volt_zip_is(const void *data, size_t bytes)
{
    return bytes >= ZIP_LOCAL_BYTES && zip_get(data, 4) == ZIP_LOCAL;
}

bool volt_zip_name_is_good(const char *name, size_t bytes)
{
    if (!name || bytes < 1 || bytes > ZIP_MAX_NAME || name[0] == '/' ||
        !volt_is_utf8(name, bytes))
        return false;
    for (size_t i = 0; i < bytes; i++) {
        const bool starts = i == 0 || name[i - 1] == '/';
        const size_t left = bytes - i;
        if ((unsigned char)name[i] < 0x20 || name[i] == '\\')
            return false;
        if (starts && left >= 2 && name[i] == '.' && name[i + 1] == '.' &&
            (left == 2 || name[i + 2] == '/'))
            return false;
    }
    return true;
}

/* ---- the end of the file ---- */

/* The end record: the last one whose comment reaches the end of the file. */
static volt_status find_end(const unsigned char **out, const volt_zip *zip)
{
    const size_t bytes = zip->map.bytes;

    for (size_t comment = 0; comment <= 0xffff && comment + ZIP_END_BYTES <= bytes; comment++) {
        const unsigned char *at = zip->map.data + bytes - ZIP_END_BYTES - comment;
        if (zip_get(at, 4) == ZIP_END && zip_get(at + 20, 2) == comment) {
            *out = at;
            return VOLT_OK;
        }
    }
    return volt_fail(VOLT_EFORMAT,
                     "%s is not a zip archive or is truncated: it has no end record",
                     zip->path);
}

/* The zip64 end record, NULL when the archive has none. */
static volt_status find_end64(const unsigned char **out, const volt_zip *zip,
                              const unsigned char *end)
{
    const size_t before = (size_t)(end - zip->map.data);
    const unsigned char *locator = end - ZIP_LOCATOR64_BYTES;
    uint64_t at;

    *out = NULL;
    if (before < ZIP_LOCATOR64_BYTES || zip_get(locator, 4) != ZIP_LOCATOR64)
        return VOLT_OK;
    at = zip_get(locator + 8, 8);
    if (before - ZIP_LOCATOR64_BYTES < ZIP_END64_BYTES ||
        at > before - ZIP_LOCATOR64_BYTES - ZIP_END64_BYTES ||
        zip_get(zip->map.data + at, 4) != ZIP_END64)
        return volt_fail(
            VOLT_EFORMAT,
            "%s: there is no zip64 end record at byte %llu, where its locator points",
            zip->path, (unsigned long long)at);
    *out = zip->map.data + at;
    return VOLT_OK;
}

static volt_status find_directory(directory *out, const volt_zip *zip)
{
    const unsigned char *end = NULL, *end64 = NULL;
    uint64_t disk, start_disk, entries_here, entries, bytes, at, limit;
    volt_status st;

    VOLT_TRY(st, done, find_end(&end, zip));
    VOLT_TRY(st, done, find_end64(&end64, zip, end));
    disk = end64 ? zip_get(end64 + 16, 4) : zip_get(end + 4, 2);
    start_disk = end64 ? zip_get(end64 + 20, 4) : zip_get(end + 6, 2);
    entries_here = end64 ? zip_get(end64 + 24, 8) : zip_get(end + 8, 2);
    entries = end64 ? zip_get(end64 + 32, 8) : zip_get(end + 10, 2);
    bytes = end64 ? zip_get(end64 + 40, 8) : zip_get(end + 12, 4);
    at = end64 ? zip_get(end64 + 48, 8) : zip_get(end + 16, 4);
    limit = (uint64_t)((end64 ? end64 : end) - zip->map.data);
    if (disk != 0 || start_disk != 0 || entries_here != entries)
        return volt_fail(VOLT_ENOTSUP,
                         "%s is one part of a zip archive split over several disks", zip->path);
    if (at > limit || bytes > limit - at)
        return volt_fail(VOLT_EFORMAT,
                         "%s: its directory is declared as %llu byte%s at byte %llu, but the "
                         "end record is at byte %llu",
                         zip->path, (unsigned long long)bytes, volt_s((int64_t)bytes),
                         (unsigned long long)at, (unsigned long long)limit);
    if (entries > bytes / ZIP_CENTRAL_BYTES)
        return volt_fail(VOLT_EFORMAT,
                         "%s: it declares %llu member%s, but its directory has %llu byte%s",
                         zip->path, (unsigned long long)entries, volt_s((int64_t)entries),
                         (unsigned long long)bytes, volt_s((int64_t)bytes));
    *out = (directory){.at = (size_t)at, .bytes = (size_t)bytes, .entries = entries};
done:
    return st;
}

/* ---- members ---- */

/* The fields of a directory entry. */
typedef struct entry {
    uint64_t flags, method, crc, packed, bytes, disk, local;
    bool is_link; /* by the attributes that Unix programs store */
    const char *name;
    size_t name_bytes, total; /* total: of the entry */
} entry;

/* Replaces fields of all ones, which refer to the zip64 field, by the values there. */
static volt_status read_extra64(entry *e, const unsigned char *extra, size_t bytes,
                                const volt_zip *zip)
{
    uint64_t *wide[3] = {&e->bytes, &e->packed, &e->local};

    while (bytes >= 4) {
        const size_t id = (size_t)zip_get(extra, 2), length = (size_t)zip_get(extra + 2, 2);
        const unsigned char *at = extra + 4;
        size_t left = length;
        if (length > bytes - 4)
            break; /* torch pads with fields of its own; a broken one ends the list */
        for (int i = 0; id == ZIP_EXTRA64 && i < 3; i++) {
            if (*wide[i] != UINT32_MAX)
                continue;
            if (left < 8)
                return volt_fail(VOLT_EFORMAT, "%s: the zip64 field of a member is too short",
                                 zip->path);
            *wide[i] = zip_get(at, 8);
            at += 8;
            left -= 8;
        }
        if (id == ZIP_EXTRA64)
            return VOLT_OK;
        extra += 4 + length;
        bytes -= 4 + length;
    }
    return VOLT_OK;
}

static volt_status read_entry(entry *e, const unsigned char *at, size_t left,
                              const volt_zip *zip)
{
    size_t extra, comment;

    if (left < ZIP_CENTRAL_BYTES || zip_get(at, 4) != ZIP_CENTRAL)
        return volt_fail(VOLT_EFORMAT, "%s: its directory is damaged at byte %zu", zip->path,
                         (size_t)(at - zip->map.data));
    *e = (entry){.flags = zip_get(at + 8, 2),
                 .method = zip_get(at + 10, 2),
                 .crc = zip_get(at + 16, 4),
                 .packed = zip_get(at + 20, 4),
                 .bytes = zip_get(at + 24, 4),
                 .disk = zip_get(at + 34, 2),
                 .local = zip_get(at + 42, 4),
                 .is_link = at[5] == ZIP_MADE_BY_UNIX &&
                            (zip_get(at + 40, 2) & ZIP_MODE_TYPE) == ZIP_MODE_LINK,
                 .name = (const char *)at + ZIP_CENTRAL_BYTES,
                 .name_bytes = (size_t)zip_get(at + 28, 2)};
    extra = (size_t)zip_get(at + 30, 2);
    comment = (size_t)zip_get(at + 32, 2);
    e->total = ZIP_CENTRAL_BYTES + e->name_bytes + extra + comment;
    if (e->total > left)
        return volt_fail(VOLT_EFORMAT, "%s: its directory ends within a member's entry",
                         zip->path);
    return read_extra64(e, at + ZIP_CENTRAL_BYTES + e->name_bytes, extra, zip);
}

static volt_status judge_entry(const entry *e, const volt_zip *zip)
{
    const int shown = e->name_bytes < 80 ? (int)e->name_bytes : 80;

    if (!volt_zip_name_is_good(e->name, e->name_bytes))
        return volt_fail(
            VOLT_EFORMAT,
            "%s: a member's name of %zu byte%s is not a relative path inside the archive",
            zip->path, e->name_bytes, volt_s((int64_t)e->name_bytes));
    if (e->flags & FLAG_ENCRYPTED)
        return volt_fail(VOLT_ENOTSUP, "%s: member %.*s is encrypted", zip->path, shown,
                         e->name);
    if (e->method != ZIP_STORED && e->method != ZIP_DEFLATED)
        return volt_fail(VOLT_ENOTSUP,
                         "%s: member %.*s is compressed by method %llu; stored (0) and deflate "
                         "(8) are supported",
                         zip->path, shown, e->name, (unsigned long long)e->method);
    if (e->disk != 0 && e->disk != 0xffff)
        return volt_fail(VOLT_ENOTSUP, "%s: member %.*s is on another disk", zip->path, shown,
                         e->name);
    if (e->method == ZIP_STORED ? e->packed != e->bytes
                                : e->bytes > volt_gzip_limit((size_t)e->packed))
        return volt_fail(VOLT_EFORMAT,
                         "%s: member %.*s is declared as %llu byte%s compressed to %llu",
                         zip->path, shown, e->name, (unsigned long long)e->bytes,
                         volt_s((int64_t)e->bytes), (unsigned long long)e->packed);
    return VOLT_OK;
}

/* Finds the data after the local header, which must agree with the directory. */
static volt_status place_member(volt_zip_member *m, const entry *e, const volt_zip *zip,
                                size_t directory_at)
{
    const unsigned char *local = zip->map.data + e->local;
    uint64_t skip;

    if (e->local > directory_at || directory_at - e->local < ZIP_LOCAL_BYTES ||
        zip_get(local, 4) != ZIP_LOCAL)
        return volt_fail(VOLT_EFORMAT, "%s: there is no header of member %.80s at byte %llu",
                         zip->path, m->name, (unsigned long long)e->local);
    skip = ZIP_LOCAL_BYTES + zip_get(local + 26, 2) + zip_get(local + 28, 2);
    if (skip > directory_at - e->local || e->packed > directory_at - e->local - skip)
        return volt_fail(VOLT_EFORMAT, "%s: member %.80s of %llu byte%s extends past the data",
                         zip->path, m->name, (unsigned long long)e->packed,
                         volt_s((int64_t)e->packed));
    if (zip_get(local + 26, 2) != e->name_bytes ||
        memcmp(local + ZIP_LOCAL_BYTES, e->name, e->name_bytes) != 0 ||
        zip_get(local + 8, 2) != e->method)
        return volt_fail(VOLT_EFORMAT,
                         "%s: the header of member %.80s contradicts the directory", zip->path,
                         m->name);
    m->packed = local + skip;
    m->packed_bytes = (size_t)e->packed;
    m->bytes = (size_t)e->bytes;
    m->crc = (uint32_t)e->crc;
    m->deflated = e->method == ZIP_DEFLATED;
    m->is_link = e->is_link;
    return VOLT_OK;
}

static int by_position(const void *a, const void *b)
{
    const volt_zip_member *const *x = a, *const *y = b;
    const unsigned char *p = (*x)->packed, *q = (*y)->packed;

    return (p > q) - (p < q);
}

static int by_name(const void *a, const void *b)
{
    const volt_zip_member *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

/* No two members share bytes or a name. Leaves by_name sorted. */
static volt_status check_together(volt_zip *zip)
{
    for (size_t i = 0; i < zip->count; i++)
        zip->by_name[i] = &zip->member[i];
    if (!zip->count)
        return VOLT_OK;
    qsort(zip->by_name, zip->count, sizeof *zip->by_name, by_position);
    for (size_t i = 1; i < zip->count; i++) {
        const volt_zip_member *a = zip->by_name[i - 1], *b = zip->by_name[i];
        const size_t header = ZIP_LOCAL_BYTES + strlen(b->name); /* at least */
        if ((size_t)((const unsigned char *)b->packed - (const unsigned char *)a->packed) <
            a->packed_bytes + header)
            return volt_fail(VOLT_EFORMAT, "%s: members %.80s and %.80s overlap", zip->path,
                             a->name, b->name);
    }
    qsort(zip->by_name, zip->count, sizeof *zip->by_name, by_name);
    for (size_t i = 1; i < zip->count; i++) {
        if (strcmp(zip->by_name[i - 1]->name, zip->by_name[i]->name) == 0)
            return volt_fail(VOLT_EFORMAT, "%s: two members are named %.80s", zip->path,
                             zip->by_name[i]->name);
    }
    return VOLT_OK;
}

static volt_status read_members(volt_zip *zip, const directory *d)
{
    const unsigned char *at = zip->map.data + d->at;
    size_t left = d->bytes;
    char *name;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&zip->member, (size_t)d->entries, sizeof *zip->member,
                             "a zip archive's list"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&zip->by_name, (size_t)d->entries, sizeof *zip->by_name,
                             "a zip archive's list"));
    /* Each entry is longer than its name with a NUL. */
    VOLT_TRY(st, done, volt_alloc(&zip->names, d->bytes, "a zip archive's names"));
    name = zip->names;
    for (uint64_t i = 0; i < d->entries; i++) {
        volt_zip_member *m = &zip->member[i];
        entry e = {0};
        VOLT_TRY(st, done, read_entry(&e, at, left, zip));
        VOLT_TRY(st, done, judge_entry(&e, zip));
        assert(e.name);
        memcpy(name, e.name, e.name_bytes);
        name[e.name_bytes] = '\0';
        m->name = name;
        name += e.name_bytes + 1;
        VOLT_TRY(st, done, place_member(m, &e, zip, d->at));
        zip->count++;
        at += e.total;
        left -= e.total;
    }
    if (left)
        return volt_fail(VOLT_EFORMAT, "%s: its directory has %zu surplus byte%s", zip->path,
                         left, volt_s((int64_t)left));
    st = check_together(zip);
done:
    return st;
}

volt_status volt_zip_open(volt_zip **out, const char *path)
{
    volt_zip *zip = NULL;
    directory d = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&zip, 1, sizeof *zip, "a zip archive"));
    VOLT_TRY(st, done, volt_strdup(&zip->path, path));
    VOLT_TRY(st, done, volt_map_open(&zip->map, path));
    VOLT_TRY(st, done, find_directory(&d, zip));
    VOLT_TRY(st, done, read_members(zip, &d));
    VOLT_TRY(st, done, volt_map_check(zip->map.data, path));
    *out = zip;
    zip = NULL;
done:
    volt_zip_close(zip);
    return st;
}

void volt_zip_close(volt_zip *zip)
{
    if (!zip)
        return;
    volt_free(zip->by_name);
    volt_free(zip->member);
    volt_free(zip->names);
    volt_map_close(&zip->map);
    volt_free(zip->path);
    volt_free(zip);
}

size_t volt_zip_count(const volt_zip *zip)
{
    return zip->count;
}

const volt_zip_member *volt_zip_at(const volt_zip *zip, size_t index)
{
    return &zip->member[index];
}

const volt_zip_member *volt_zip_find(const volt_zip *zip, const char *name)
{
    const volt_zip_member key = {.name = name}, *wanted = &key, **found;

    if (!zip->count)
        return NULL;
    found = bsearch(&wanted, zip->by_name, zip->count, sizeof *zip->by_name, by_name);
    return found ? *found : NULL;
}

/* ---- content ---- */

static volt_status check_crc(const volt_zip *zip, const volt_zip_member *m, const void *data)
{
    const uint32_t crc = volt_crc32(0, data, m->bytes);
    const volt_status st = volt_map_check(zip->map.data, zip->path);

    if (st != VOLT_OK)
        return st;
    if (crc != m->crc)
        return volt_fail(VOLT_EFORMAT,
                         "%s is damaged: the CRC of member %.80s is %08x, %08x is stored",
                         zip->path, m->name, (unsigned)crc, (unsigned)m->crc);
    return VOLT_OK;
}

/* The stream must end exactly where the member does. */
static volt_status inflate_member(char *out, const volt_zip *zip, const volt_zip_member *m)
{
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    enum libdeflate_result result;
    size_t used = 0;

    if (!d)
        return volt_fail(VOLT_ENOMEM, "no memory to inflate %s", zip->path);
    result = libdeflate_deflate_decompress_ex(d, m->packed, m->packed_bytes, out, m->bytes,
                                              &used, NULL);
    libdeflate_free_decompressor(d);
    if (result != LIBDEFLATE_SUCCESS || used != m->packed_bytes)
        return volt_fail(VOLT_EFORMAT,
                         "%s is damaged: member %.80s does not inflate to its %zu byte%s",
                         zip->path, m->name, m->bytes, volt_s((int64_t)m->bytes));
    return VOLT_OK;
}

static volt_status check_memory(const volt_zip *zip, const volt_zip_member *m)
{
    char *what = NULL;
    volt_status st = volt_format(&what, "%s: member %.80s", zip->path, m->name);

    if (st == VOLT_OK)
        st = volt_mem_check(m->bytes, what);
    volt_free(what);
    return st;
}

volt_status volt_zip_read(char **out, size_t *bytes, const volt_zip *zip,
                          const volt_zip_member *member, size_t limit)
{
    char *text = NULL;
    volt_status st;

    if (member->bytes > limit || limit == SIZE_MAX)
        return volt_fail(
            VOLT_EFORMAT, "%s: member %.80s has %zu byte%s; at most %zu are expected here",
            zip->path, member->name, member->bytes, volt_s((int64_t)member->bytes), limit);
    VOLT_TRY(st, done, check_memory(zip, member));
    VOLT_TRY(st, done, volt_alloc(&text, member->bytes + 1, "a member of a zip archive"));
    if (member->deflated)
        VOLT_TRY(st, done, inflate_member(text, zip, member));
    else
        memcpy(text, member->packed, member->bytes);
    VOLT_TRY(st, done, check_crc(zip, member, text));
    text[member->bytes] = '\0';
    *out = text;
    text = NULL;
    if (bytes)
        *bytes = member->bytes;
done:
    volt_free(text);
    return st;
}

volt_status volt_zip_view(const void **out, const volt_zip *zip, const volt_zip_member *member)
{
    volt_status st;

    if (member->deflated)
        return volt_fail(VOLT_ENOTSUP, "%s: member %.80s is compressed; it must be stored",
                         zip->path, member->name);
    st = check_crc(zip, member, member->packed);
    if (st == VOLT_OK)
        *out = member->packed;
    return st;
}
