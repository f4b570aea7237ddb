/* zip_write.c - writing zip archives: local headers reserve room for 64-bit sizes and are
 * patched when a member ends; the directory uses zip64 fields only where a value needs them. */
#include "io/archive/zip.h"

#include <string.h>
#include <zlib.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/archive/crc32.h"
#include "io/archive/zip_format.h"

enum {
    LOCAL_EXTRA64 = 20,  /* id, length, two 64-bit sizes */
    PADDING_ID = 0x4246, /* "FB", as torch names its padding */
    CHUNK = 64 << 10,
    FLAG_UTF8 = 0x800,
    VERSION_64 = 45,
    DOS_DATE = 1 << 5 | 1 /* 1 January 1980 */
};

typedef struct written {
    char *name;
    uint64_t at, packed, bytes; /* at: of the local header */
    uint32_t crc;
    int method;
} written;

struct volt_zip_writer {
    volt_out *file;
    char *path;
    uint64_t at; /* bytes written */
    written *member;
    size_t count, room;
    bool open, deflating; /* the last member is still being written */
    z_stream z;
    unsigned char *chunk; /* CHUNK bytes of deflated data */
};

static volt_status put(volt_zip_writer *zip, const void *data, size_t bytes)
{
    volt_status st = volt_out_write(zip->file, data, bytes);

    if (st == VOLT_OK)
        zip->at += bytes;
    return st;
}

volt_status volt_zip_create(volt_zip_writer **out, const char *path)
{
    volt_zip_writer *zip = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&zip, 1, sizeof *zip, "a zip archive"));
    VOLT_TRY(st, done, volt_strdup(&zip->path, path));
    VOLT_TRY(st, done, volt_alloc(&zip->chunk, CHUNK, "a zip archive"));
    VOLT_TRY(st, done, volt_out_open(&zip->file, path));
    *out = zip;
    zip = NULL;
done:
    volt_zip_abort(&zip);
    return st;
}

static volt_status check_name(const volt_zip_writer *zip, const char *name)
{
    if (!volt_zip_name_is_good(name, strlen(name)))
        return volt_fail(VOLT_EINVAL, "%s: '%.80s' is not a valid member name", zip->path,
                         name);
    for (size_t i = 0; i < zip->count; i++) {
        if (strcmp(zip->member[i].name, name) == 0)
            return volt_fail(VOLT_EINVAL, "%s: two members are named %.80s", zip->path, name);
    }
    return VOLT_OK;
}

static volt_status grow(volt_zip_writer *zip)
{
    const size_t room = zip->room ? 2 * zip->room : 64;
    volt_status st;

    if (zip->count < zip->room)
        return VOLT_OK;
    st = volt_realloc(&zip->member, zip->count * sizeof *zip->member,
                      room * sizeof *zip->member, "a zip archive's list");
    if (st == VOLT_OK)
        zip->room = room;
    return st;
}

static volt_status write_local_header(volt_zip_writer *zip, const written *m)
{
    static const unsigned char zeros[VOLT_ZIP_ALIGN];
    unsigned char h[ZIP_LOCAL_BYTES] = {0}, wide[LOCAL_EXTRA64] = {0}, pad[4];
    const size_t name = strlen(m->name);
    const uint64_t start = zip->at + ZIP_LOCAL_BYTES + name + LOCAL_EXTRA64 + sizeof pad;
    const size_t padding = (size_t)(-start & (VOLT_ZIP_ALIGN - 1));
    volt_status st;

    zip_put(h, ZIP_LOCAL, 4);
    zip_put(h + 4, VERSION_64, 2);
    zip_put(h + 6, FLAG_UTF8, 2);
    zip_put(h + 8, (uint64_t)m->method, 2);
    zip_put(h + 12, DOS_DATE, 2);
    zip_put(h + 18, UINT32_MAX, 4); /* sizes: see the zip64 field */
    zip_put(h + 22, UINT32_MAX, 4);
    zip_put(h + 26, name, 2);
    zip_put(h + 28, LOCAL_EXTRA64 + sizeof pad + padding, 2);
    zip_put(wide, ZIP_EXTRA64, 2);
    zip_put(wide + 2, LOCAL_EXTRA64 - 4, 2);
    zip_put(pad, PADDING_ID, 2);
    zip_put(pad + 2, padding, 2);
    VOLT_TRY(st, done, put(zip, h, sizeof h));
    VOLT_TRY(st, done, put(zip, m->name, name));
    VOLT_TRY(st, done, put(zip, wide, sizeof wide));
    VOLT_TRY(st, done, put(zip, pad, sizeof pad));
    st = put(zip, zeros, padding);
done:
    return st;
}

volt_status volt_zip_begin(volt_zip_writer *zip, const char *name, int level)
{
    written m = {.at = zip->at, .method = level ? ZIP_DEFLATED : ZIP_STORED};
    volt_status st;

    if (zip->open)
        return volt_fail(VOLT_EINVAL, "%s: member %.80s is still being written", zip->path,
                         zip->member[zip->count - 1].name);
    if (level < 0 || level > 9)
        return volt_fail(VOLT_EINVAL, "a zip level of %d; 0 to 9 is expected", level);
    VOLT_TRY(st, done, check_name(zip, name));
    VOLT_TRY(st, done, grow(zip));
    if (level) {
        zip->z = (z_stream){0};
        if (deflateInit2(&zip->z, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            return volt_fail(VOLT_ENOMEM, "no memory to deflate into %s", zip->path);
        zip->deflating = true;
    }
    VOLT_TRY(st, done, volt_strdup(&m.name, name));
    zip->member[zip->count++] = m;
    zip->open = true;
    st = write_local_header(zip, &zip->member[zip->count - 1]);
done:
    return st;
}

/* Feeds zlib what z.next_in holds and writes what comes out. */
static volt_status deflate_on(volt_zip_writer *zip, int flush)
{
    written *m = &zip->member[zip->count - 1];
    volt_status st = VOLT_OK;

    do {
        size_t made;
        zip->z.next_out = zip->chunk;
        zip->z.avail_out = CHUNK;
        (void)deflate(&zip->z, flush); /* cannot fail: the state is sound, there is room */
        made = CHUNK - zip->z.avail_out;
        VOLT_TRY(st, done, put(zip, zip->chunk, made));
        m->packed += made;
    } while (zip->z.avail_out == 0);
done:
    return st;
}

volt_status volt_zip_write(volt_zip_writer *zip, const void *data, size_t bytes)
{
    const unsigned char *from = data;
    written *m;
    volt_status st = VOLT_OK;

    if (!zip->open)
        return volt_fail(VOLT_EINVAL, "%s: no member is being written", zip->path);
    m = &zip->member[zip->count - 1];
    if (!bytes)
        return VOLT_OK;
    m->crc = volt_crc32(m->crc, data, bytes);
    m->bytes += bytes;
    if (!zip->deflating) {
        m->packed += bytes;
        return put(zip, data, bytes);
    }
    while (bytes && st == VOLT_OK) {
        const size_t part = bytes < (1u << 30) ? bytes : 1u << 30;
        zip->z.next_in = (unsigned char *)(uintptr_t)from;
        zip->z.avail_in = (uInt)part;
        st = deflate_on(zip, Z_NO_FLUSH);
        from += part;
        bytes -= part;
    }
    return st;
}

volt_status volt_zip_end(volt_zip_writer *zip)
{
    unsigned char crc[4], sizes[16];
    written *m;
    volt_status st = VOLT_OK;

    if (!zip->open)
        return volt_fail(VOLT_EINVAL, "%s: no member is being written", zip->path);
    m = &zip->member[zip->count - 1];
    if (zip->deflating) {
        zip->z.next_in = NULL;
        zip->z.avail_in = 0;
        VOLT_TRY(st, done, deflate_on(zip, Z_FINISH));
        deflateEnd(&zip->z);
        zip->deflating = false;
    }
    zip_put(crc, m->crc, 4);
    zip_put(sizes, m->bytes, 8);
    zip_put(sizes + 8, m->packed, 8);
    VOLT_TRY(st, done, volt_out_patch(zip->file, m->at + 14, crc, sizeof crc));
    VOLT_TRY(st, done,
             volt_out_patch(zip->file, m->at + ZIP_LOCAL_BYTES + strlen(m->name) + 4, sizes,
                            sizeof sizes));
    zip->open = false;
done:
    return st;
}

volt_status volt_zip_add(volt_zip_writer *zip, const char *name, const void *data, size_t bytes,
                         int level)
{
    volt_status st;

    VOLT_TRY(st, done, volt_zip_begin(zip, name, level));
    VOLT_TRY(st, done, volt_zip_write(zip, data, bytes));
    st = volt_zip_end(zip);
done:
    return st;
}

/* ---- the directory ---- */

static uint64_t narrow(uint64_t v)
{
    return v < UINT32_MAX ? v : UINT32_MAX;
}

static volt_status write_entry(volt_zip_writer *zip, const written *m)
{
    const uint64_t wide[3] = {m->bytes, m->packed, m->at};
    unsigned char h[ZIP_CENTRAL_BYTES] = {0}, extra[4 + 24];
    const size_t name = strlen(m->name);
    size_t extra_bytes = 4;
    volt_status st;

    for (int i = 0; i < 3; i++) {
        if (wide[i] >= UINT32_MAX) {
            zip_put(extra + extra_bytes, wide[i], 8);
            extra_bytes += 8;
        }
    }
    zip_put(extra, ZIP_EXTRA64, 2);
    zip_put(extra + 2, extra_bytes - 4, 2);
    if (extra_bytes == 4)
        extra_bytes = 0;
    zip_put(h, ZIP_CENTRAL, 4);
    zip_put(h + 4, VERSION_64, 2);
    zip_put(h + 6, VERSION_64, 2);
    zip_put(h + 8, FLAG_UTF8, 2);
    zip_put(h + 10, (uint64_t)m->method, 2);
    zip_put(h + 14, DOS_DATE, 2);
    zip_put(h + 16, m->crc, 4);
    zip_put(h + 20, narrow(m->packed), 4);
    zip_put(h + 24, narrow(m->bytes), 4);
    zip_put(h + 28, name, 2);
    zip_put(h + 30, extra_bytes, 2);
    zip_put(h + 42, narrow(m->at), 4);
    VOLT_TRY(st, done, put(zip, h, sizeof h));
    VOLT_TRY(st, done, put(zip, m->name, name));
    st = put(zip, extra, extra_bytes);
done:
    return st;
}

static volt_status write_ends(volt_zip_writer *zip, uint64_t directory_at)
{
    const uint64_t bytes = zip->at - directory_at, end64_at = zip->at, count = zip->count;
    unsigned char e[ZIP_END64_BYTES] = {0}, l[ZIP_LOCATOR64_BYTES] = {0},
                  s[ZIP_END_BYTES] = {0};
    volt_status st = VOLT_OK;

    if (count >= 0xffff || bytes >= UINT32_MAX || directory_at >= UINT32_MAX) {
        zip_put(e, ZIP_END64, 4);
        zip_put(e + 4, ZIP_END64_BYTES - 12, 8);
        zip_put(e + 12, VERSION_64, 2);
        zip_put(e + 14, VERSION_64, 2);
        zip_put(e + 24, count, 8);
        zip_put(e + 32, count, 8);
        zip_put(e + 40, bytes, 8);
        zip_put(e + 48, directory_at, 8);
        zip_put(l, ZIP_LOCATOR64, 4);
        zip_put(l + 8, end64_at, 8);
        zip_put(l + 16, 1, 4);
        VOLT_TRY(st, done, put(zip, e, sizeof e));
        VOLT_TRY(st, done, put(zip, l, sizeof l));
    }
    zip_put(s, ZIP_END, 4);
    zip_put(s + 8, count < 0xffff ? count : 0xffff, 2);
    zip_put(s + 10, count < 0xffff ? count : 0xffff, 2);
    zip_put(s + 12, narrow(bytes), 4);
    zip_put(s + 16, narrow(directory_at), 4);
    st = put(zip, s, sizeof s);
done:
    return st;
}

volt_status volt_zip_commit(volt_zip_writer **writer)
{
    volt_zip_writer *zip = *writer;
    const uint64_t directory_at = zip->at;
    volt_status st = VOLT_OK;

    if (zip->open) {
        st = volt_fail(VOLT_EINVAL, "%s: member %.80s is still being written", zip->path,
                       zip->member[zip->count - 1].name);
        goto done;
    }
    for (size_t i = 0; i < zip->count; i++)
        VOLT_TRY(st, done, write_entry(zip, &zip->member[i]));
    VOLT_TRY(st, done, write_ends(zip, directory_at));
    st = volt_out_commit(&zip->file);
done:
    volt_zip_abort(writer);
    return st;
}

void volt_zip_abort(volt_zip_writer **writer)
{
    volt_zip_writer *zip = *writer;

    *writer = NULL;
    if (!zip)
        return;
    if (zip->deflating)
        deflateEnd(&zip->z);
    volt_out_abort(&zip->file);
    for (size_t i = 0; i < zip->count; i++)
        volt_free(zip->member[i].name);
    volt_free(zip->member);
    volt_free(zip->chunk);
    volt_free(zip->path);
    volt_free(zip);
}
