/* zip_stream.c - the content of a member in pieces. */
#include <string.h>
#include <zlib.h>

#include "base/system/file.h"
#include "base/core/plural.h"
#include "base/core/alloc.h"
#include "io/archive/crc32.h"
#include "io/archive/zip.h"
#include "io/archive/zip_format.h"

/* zlib counts in 32 bits. */
#define MOST_AT_ONCE ((size_t)1 << 30)
#define FORGET_BYTES ((size_t)4 << 20)

struct volt_zip_stream {
    const char *path; /* borrowed from the archive */
    const volt_zip_member *member;
    z_stream z;
    const unsigned char *next; /* what zlib, or a reader of a stored member, sees next */
    size_t left, unread;       /* packed bytes from there on; content still to come */
    const unsigned char *kept; /* packed bytes before this left memory */
    uint32_t crc;              /* of what was read */
};

static volt_status damaged(const volt_zip_stream *s)
{
    return volt_fail(VOLT_EFORMAT,
                     "%s is damaged: member %.80s does not inflate to its %zu byte%s", s->path,
                     s->member->name, s->member->bytes, volt_s((int64_t)s->member->bytes));
}

volt_status volt_zip_stream_open(volt_zip_stream **out, const volt_zip *zip,
                                 const volt_zip_member *member)
{
    volt_zip_stream *s = NULL;
    volt_status st = volt_alloc_zero(&s, 1, sizeof *s, "a member of a zip archive");

    if (st != VOLT_OK)
        return st;
    s->path = volt_zip_path(zip);
    s->member = member;
    s->next = s->kept = member->packed;
    s->left = member->packed_bytes;
    s->unread = member->bytes;
    if (member->deflated && inflateInit2(&s->z, -15) != Z_OK) {
        volt_free(s);
        return volt_fail(VOLT_ENOMEM, "no memory to inflate %s", volt_zip_path(zip));
    }
    *out = s;
    return VOLT_OK;
}

void volt_zip_stream_close(volt_zip_stream *s)
{
    if (!s)
        return;
    if (s->member->deflated)
        inflateEnd(&s->z);
    volt_free(s);
}

/* What was read of the file need not stay in memory. */
static void forget(volt_zip_stream *s)
{
    const size_t done = (size_t)(s->next - s->kept);

    if (done < FORGET_BYTES && s->unread > 0)
        return;
    volt_map_dontneed(s->kept, done);
    s->kept = s->next;
}

/* Up to `bytes` of the content; *got is less only where the stream ends (*ended). */
static volt_status inflate_some(volt_zip_stream *s, void *out, size_t bytes, size_t *got,
                                bool *ended)
{
    size_t done = 0;
    int code = Z_OK;

    while (code == Z_OK) {
        const size_t more = s->left < MOST_AT_ONCE ? s->left : MOST_AT_ONCE;
        const size_t room = bytes - done < MOST_AT_ONCE ? bytes - done : MOST_AT_ONCE;
        s->z.next_in = (unsigned char *)s->next;
        s->z.avail_in = (uInt)more;
        s->z.next_out = (unsigned char *)out + done;
        s->z.avail_out = (uInt)room;
        code = inflate(&s->z, Z_NO_FLUSH);
        s->next += more - s->z.avail_in;
        s->left -= more - s->z.avail_in;
        done += room - s->z.avail_out;
        if (done == bytes && code == Z_OK)
            break;
    }
    if (code == Z_MEM_ERROR)
        return volt_fail(VOLT_ENOMEM, "no memory to inflate %s", s->path);
    if (code != Z_OK && code != Z_STREAM_END)
        return damaged(s);
    *got = done;
    *ended = code == Z_STREAM_END;
    return VOLT_OK;
}

/* All was read: the stream ends here too, and the CRC is the member's. */
static volt_status check_end(volt_zip_stream *s, bool ended)
{
    unsigned char beyond;
    size_t got = 0;
    volt_status st = VOLT_OK;

    if (s->member->deflated && !ended)
        st = inflate_some(s, &beyond, 1, &got, &ended);
    if (st == VOLT_OK && s->member->deflated && (!ended || got > 0 || s->left > 0))
        st = damaged(s);
    if (st == VOLT_OK && s->crc != s->member->crc)
        st = volt_fail(VOLT_EFORMAT,
                       "%s is damaged: the CRC of member %.80s is %08x, %08x is stored",
                       s->path, s->member->name, (unsigned)s->crc, (unsigned)s->member->crc);
    return st;
}

volt_status volt_zip_stream_read(volt_zip_stream *s, void *out, size_t bytes)
{
    bool ended = false;
    size_t got = bytes;
    volt_status st = VOLT_OK;

    if (bytes > s->unread)
        return volt_fail(VOLT_EFORMAT, "%s: member %.80s ends %zu byte%s too early", s->path,
                         s->member->name, bytes - s->unread,
                         volt_s((int64_t)(bytes - s->unread)));
    if (bytes == 0)
        return VOLT_OK;
    if (s->member->deflated) {
        VOLT_TRY(st, done, inflate_some(s, out, bytes, &got, &ended));
    } else {
        memcpy(out, s->next, bytes);
        s->next += bytes;
    }
    if (got < bytes) {
        st = damaged(s);
        goto done;
    }
    s->unread -= bytes;
    s->crc = volt_crc32(s->crc, out, bytes);
    forget(s);
    if (s->unread == 0)
        st = check_end(s, ended);
done:
    return st;
}
