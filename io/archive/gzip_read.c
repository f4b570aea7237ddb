/* gzip_read.c - one call to libdeflate where the whole content is wanted; zlib's stream for
 * pieces, and for saying what is wrong when libdeflate refuses. */
#include "io/archive/gzip.h"

#include <libdeflate.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "base/core/checked.h"
#include "base/core/plural.h"
#include "base/core/alloc.h"

#define MAX_SURPLUS ((size_t)64 << 20)

bool volt_gzip_is(const void *data, size_t bytes)
{
    const unsigned char *p = data;

    return bytes >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

size_t volt_gzip_limit(size_t packed)
{
    size_t limit;

    return volt_mul_size(&limit, packed, 1032) ? SIZE_MAX : limit;
}

/* -- Streaming: any number of members, any stop ------------------------------------------- */

typedef struct stream {
    z_stream z;
    const unsigned char *data;
    size_t left; /* input not yet given to zlib */
    bool ended;  /* past the last member */
    const char *name;
} stream;

static volt_status stream_open(stream *s, const void *data, size_t packed, const char *name)
{
    *s = (stream){.data = data, .left = packed, .name = name};
    if (inflateInit2(&s->z, 15 + 16) != Z_OK)
        return volt_fail(VOLT_ENOMEM, "no memory to decompress %s", name);
    return VOLT_OK;
}

static volt_status stream_fail(const stream *s, int code)
{
    if (code == Z_MEM_ERROR)
        return volt_fail(VOLT_ENOMEM, "no memory to decompress %s", s->name);
    if (code == Z_BUF_ERROR || code == Z_OK)
        return volt_fail(VOLT_EFORMAT, "%s ends in the middle of its compressed data", s->name);
    return volt_fail(VOLT_EFORMAT, "the compressed data of %s is damaged: %s", s->name,
                     s->z.msg ? s->z.msg : "unknown to zlib");
}

/* Starts the next member, if any. */
static volt_status stream_next_member(stream *s)
{
    const unsigned char *next = s->z.next_in;
    const size_t left = s->left + s->z.avail_in;

    if (!volt_gzip_is(next, left)) {
        s->ended = true;
        return VOLT_OK;
    }
    return inflateReset(&s->z) == Z_OK ? VOLT_OK : stream_fail(s, Z_STREAM_ERROR);
}

/* Fills `out` up to the end of the content; *got is the number of bytes. */
static volt_status stream_read(stream *s, void *out, size_t bytes, size_t *got)
{
    unsigned char *to = out;
    size_t done = 0;

    while (done < bytes && !s->ended) {
        const size_t room = bytes - done < 1u << 30 ? bytes - done : 1u << 30;
        int code;
        if (s->z.avail_in == 0) {
            const size_t more = s->left < 1u << 30 ? s->left : 1u << 30;
            s->z.next_in = (unsigned char *)s->data;
            s->z.avail_in = (uInt)more;
            s->data += more;
            s->left -= more;
        }
        s->z.next_out = to + done;
        s->z.avail_out = (uInt)room;
        code = inflate(&s->z, Z_NO_FLUSH);
        done += room - s->z.avail_out;
        if (code == Z_STREAM_END) {
            volt_status st = stream_next_member(s);
            if (st != VOLT_OK)
                return st;
        } else if (code != Z_OK) {
            return stream_fail(s, code);
        }
    }
    *got = done;
    return VOLT_OK;
}

/* Reads to the end, so that the last checksums are compared. */
static volt_status stream_drain(stream *s, size_t limit)
{
    unsigned char sink[16384];
    size_t surplus = 0;

    while (!s->ended) {
        size_t got = 0;
        volt_status st = stream_read(s, sink, sizeof sink, &got);
        if (st != VOLT_OK)
            return st;
        surplus += got;
        if (surplus > limit)
            return volt_fail(VOLT_EFORMAT,
                             "%s holds more than %zu bytes beyond what its header describes",
                             s->name, limit);
    }
    return VOLT_OK;
}

static volt_status fail_short(const char *name, size_t got, size_t wanted)
{
    return volt_fail(VOLT_EFORMAT, "%s holds %zu byte%s when decompressed, expected %zu", name,
                     got, volt_s((int64_t)got), wanted);
}

volt_status volt_gzip_peek(void *out, size_t bytes, size_t *got, const void *data,
                           size_t packed, const char *name)
{
    stream s;
    volt_status st = stream_open(&s, data, packed, name);

    if (st != VOLT_OK)
        return st;
    st = stream_read(&s, out, bytes, got);
    inflateEnd(&s.z);
    return st;
}

struct volt_gzip_reader {
    stream s;
    size_t bytes, done; /* of the content: expected, read */
};

volt_status volt_gzip_open(volt_gzip_reader **out, size_t bytes, const void *data,
                           size_t packed, const char *name)
{
    volt_gzip_reader *r = NULL;
    volt_status st = volt_alloc_zero(&r, 1, sizeof *r, "a compressed file");

    if (st != VOLT_OK)
        return st;
    st = stream_open(&r->s, data, packed, name);
    if (st != VOLT_OK) {
        volt_free(r);
        return st;
    }
    r->bytes = bytes;
    *out = r;
    return VOLT_OK;
}

void volt_gzip_close(volt_gzip_reader *r)
{
    if (r) {
        inflateEnd(&r->s.z);
        volt_free(r);
    }
}

volt_status volt_gzip_next(volt_gzip_reader *r, void *out, size_t bytes)
{
    size_t got = 0;
    volt_status st = stream_read(&r->s, out, bytes, &got);

    if (st != VOLT_OK)
        return st;
    r->done += got;
    if (got < bytes)
        return fail_short(r->s.name, r->done, r->bytes);
    if (r->done == r->bytes)
        st = stream_drain(&r->s, r->bytes > MAX_SURPLUS ? r->bytes : MAX_SURPLUS);
    return st;
}

static volt_status inflate_slowly(void *out, size_t bytes, const void *data, size_t packed,
                                  const char *name)
{
    volt_gzip_reader *r = NULL;
    volt_status st = volt_gzip_open(&r, bytes, data, packed, name);

    if (st == VOLT_OK)
        st = volt_gzip_next(r, out, bytes);
    volt_gzip_close(r);
    return st;
}

/* -- One shot: the usual case, three times as fast ---------------------------------------- */

/* True when all members together decompressed to exactly `bytes`. All other cases are left to
 * the stream, which can say what is wrong. */
static bool inflate_at_once(unsigned char *out, size_t bytes, const unsigned char *data,
                            size_t packed)
{
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    enum libdeflate_result result = LIBDEFLATE_BAD_DATA;

    if (!d)
        return false;
    do {
        size_t used = 0, made = 0;
        result = libdeflate_gzip_decompress_ex(d, data, packed, out, bytes, &used, &made);
        if (result != LIBDEFLATE_SUCCESS)
            break;
        data += used;
        packed -= used;
        out += made;
        bytes -= made;
    } while (volt_gzip_is(data, packed));
    libdeflate_free_decompressor(d);
    return result == LIBDEFLATE_SUCCESS && bytes == 0;
}

volt_status volt_gzip_inflate(void *out, size_t bytes, const void *data, size_t packed,
                              const char *name)
{
    if (inflate_at_once(out, bytes, data, packed))
        return VOLT_OK;
    return inflate_slowly(out, bytes, data, packed, name);
}
