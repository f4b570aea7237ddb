#include "io/tensors/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/plural.h"
#include "base/core/alloc.h"
#include "volume/grid/half.h"

#define MAGIC      "\x93NUMPY"
#define MAX_HEADER ((size_t)64 << 10)

/* ---- writing ---- */

volt_status volt_npz_begin(volt_zip_writer *zip, const char *name, const int64_t *shape,
                           int rank, int level)
{
    char member[256], header[512] = MAGIC "\1\0\0\0{'descr': '<f4', 'fortran_order': False, "
                                          "'shape': (";
    size_t used = 10 + strlen(header + 10);
    volt_status st;

    if (rank < 1 || rank > VOLT_NPY_MAX_RANK ||
        snprintf(member, sizeof member, "%s.npy", name) >= (int)sizeof member)
        return volt_fail(VOLT_EINVAL, "an array of rank %d called '%.200s'", rank, name);
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(header + used, sizeof header - used, "%lld,%s",
                                 (long long)shape[i], i + 1 < rank ? " " : "");
    used += (size_t)snprintf(header + used, sizeof header - used, "), }");
    /* Filled with blanks so that the elements start at a multiple of 64. */
    while ((used + 1) % 64 != 0)
        header[used++] = ' ';
    header[used++] = '\n';
    header[8] = (char)((used - 10) & 0xff);
    header[9] = (char)((used - 10) >> 8);
    VOLT_TRY(st, done, volt_zip_begin(zip, member, level));
    st = volt_zip_write(zip, header, used);
done:
    return st;
}

/* ---- reading ---- */

enum { PIECE = 4096 }; /* elements converted at a time */

struct volt_npz_reader {
    char *path;
    volt_zip *zip;
    volt_zip_stream *stream;
    int item; /* bytes per element: 2, 4, 8 */
    int rank;
    int64_t shape[VOLT_NPY_MAX_RANK];
};

static volt_status damaged(const volt_npz_reader *r, const char *what)
{
    return volt_fail(VOLT_EFORMAT, "%s: the array's header is damaged: %s", r->path, what);
}

/* The dictionary at the start of a member of `bytes`, NUL-terminated, and how many bytes of
 * elements follow; `header` has room for MAX_HEADER + 1 bytes. */
static volt_status read_header(const volt_npz_reader *r, char *header, size_t bytes,
                               size_t *elements)
{
    unsigned char b[12] = {0};
    size_t length, start = 10;
    volt_status st;

    if (bytes < start)
        return damaged(r, "no numpy array");
    VOLT_TRY(st, done, volt_zip_stream_read(r->stream, b, start));
    if (memcmp(b, MAGIC, 6) != 0)
        return damaged(r, "no numpy array");
    length = b[8] | (size_t)b[9] << 8;
    if (b[6] != 1) {
        if (b[6] > 3 || bytes < 12)
            return damaged(r, "an unknown version");
        start = 12;
        VOLT_TRY(st, done, volt_zip_stream_read(r->stream, b + 10, 2));
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    }
    if (length > MAX_HEADER || length > bytes - start)
        return damaged(r, "longer than its file");
    VOLT_TRY(st, done, volt_zip_stream_read(r->stream, header, length));
    header[length] = '\0';
    *elements = bytes - start - length;
done:
    return st;
}

/* What follows "'key':" in the dictionary, blanks skipped; NULL when it is absent. */
static const char *value_of(const char *header, const char *key)
{
    char quoted[32];
    const char *at;

    snprintf(quoted, sizeof quoted, "'%s':", key);
    at = strstr(header, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), " ") : NULL;
}

static volt_status read_type(volt_npz_reader *r, const char *header)
{
    const char *type = value_of(header, "descr"), *order = value_of(header, "fortran_order");

    if (!type || !order)
        return damaged(r, "no element type or order");
    if (strncmp(order, "False", 5) != 0)
        return volt_fail(VOLT_ENOTSUP,
                         "%s: the array is in Fortran order, which is not supported", r->path);
    if (strncmp(type, "'<f2'", 5) == 0)
        r->item = 2;
    else if (strncmp(type, "'<f4'", 5) == 0)
        r->item = 4;
    else if (strncmp(type, "'<f8'", 5) == 0)
        r->item = 8;
    else
        return volt_fail(
            VOLT_ENOTSUP,
            "%s: elements of type %.*s; float16, float32 and float64 are supported", r->path,
            (int)strcspn(type, ","), type);
    return VOLT_OK;
}

static volt_status read_shape(volt_npz_reader *r, const char *header, size_t elements)
{
    const char *at = value_of(header, "shape");
    size_t bytes = (size_t)r->item;

    if (!at || *at++ != '(')
        return damaged(r, "no shape");
    for (at += strspn(at, " "); *at != ')'; at += strspn(at, ", ")) {
        char *end;
        const long long n = strtoll(at, &end, 10);
        if (end == at || n < 1 || r->rank == VOLT_NPY_MAX_RANK ||
            volt_mul_size(&bytes, bytes, (size_t)n))
            return damaged(r, "its shape");
        r->shape[r->rank++] = n;
        at = end;
    }
    if (bytes != elements)
        return volt_fail(VOLT_EFORMAT, "%s: the array's shape requires %zu byte%s; it has %zu",
                         r->path, bytes, volt_s((int64_t)bytes), elements);
    return VOLT_OK;
}

static volt_status open_member(volt_npz_reader *r, const char *path, const char *name,
                               size_t *bytes)
{
    char member[256];
    const volt_zip_member *m;
    volt_status st;

    if (snprintf(member, sizeof member, "%s.npy", name) >= (int)sizeof member)
        return volt_fail(VOLT_EINVAL, "an array called '%.200s'", name);
    VOLT_TRY(st, done, volt_strdup(&r->path, path));
    VOLT_TRY(st, done, volt_zip_open(&r->zip, path));
    m = volt_zip_find(r->zip, member);
    if (!m) {
        st = volt_fail(VOLT_EFORMAT, "%s has no array '%s'", path, name);
        goto done;
    }
    *bytes = m->bytes;
    st = volt_zip_stream_open(&r->stream, r->zip, m);
done:
    return st;
}

void volt_npz_close(volt_npz_reader *r)
{
    if (!r)
        return;
    volt_zip_stream_close(r->stream);
    volt_zip_close(r->zip);
    volt_free(r->path);
    volt_free(r);
}

volt_status volt_npz_open(volt_npz_reader **out, const char *path, const char *name, int rank)
{
    volt_npz_reader *r = NULL;
    char *header = NULL;
    size_t bytes = 0, elements = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&r, 1, sizeof *r, "an array"));
    VOLT_TRY(st, done, open_member(r, path, name, &bytes));
    VOLT_TRY(st, done, volt_alloc(&header, MAX_HEADER + 1, "an array's header"));
    VOLT_TRY(st, done, read_header(r, header, bytes, &elements));
    VOLT_TRY(st, done, read_type(r, header));
    VOLT_TRY(st, done, read_shape(r, header, elements));
    if (r->rank != rank) {
        st = volt_fail(VOLT_EFORMAT, "%s: array '%s' has rank %d, expected %d", path, name,
                       r->rank, rank);
        goto done;
    }
    *out = r;
    r = NULL;
done:
    volt_free(header);
    volt_npz_close(r);
    return st;
}

const int64_t *volt_npz_shape(const volt_npz_reader *r)
{
    return r->shape;
}

static void convert(float *out, const unsigned char *at, int item, size_t count)
{
    for (size_t i = 0; i < count; i++, at += item) {
        uint16_t half;
        double wide;
        if (item == 2) {
            memcpy(&half, at, sizeof half);
            out[i] = volt_half_to_float(half);
        } else {
            memcpy(&wide, at, sizeof wide);
            out[i] = (float)wide;
        }
    }
}

volt_status volt_npz_next(volt_npz_reader *r, float *out, size_t count)
{
    unsigned char piece[8 * PIECE];
    volt_status st = VOLT_OK;

    if (r->item == 4)
        return volt_zip_stream_read(r->stream, out, count * sizeof *out);
    for (size_t i = 0, n; i < count; i += n) {
        n = count - i < PIECE ? count - i : PIECE;
        VOLT_TRY(st, done, volt_zip_stream_read(r->stream, piece, n * (size_t)r->item));
        convert(out + i, piece, r->item, n);
    }
done:
    return st;
}

volt_status volt_npz_read(volt_npz_array *out, const char *path, const char *name, int rank)
{
    volt_npz_array a = {.rank = rank};
    volt_npz_reader *r = NULL;
    size_t count = 1;
    volt_status st;

    VOLT_TRY(st, done, volt_npz_open(&r, path, name, rank));
    memcpy(a.shape, r->shape, sizeof a.shape);
    for (int i = 0; i < rank; i++)
        count *= (size_t)a.shape[i]; /* checked against the file */
    VOLT_TRY(st, done, volt_alloc(&a.data, count * sizeof *a.data, "an array"));
    VOLT_TRY(st, done, volt_npz_next(r, a.data, count));
    *out = a;
    a.data = NULL;
done:
    volt_free(a.data);
    volt_npz_close(r);
    return st;
}
