#include "io/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "volume/half.h"

#define MAGIC       "\x93NUMPY"
#define MAX_HEADER  ((size_t)64 << 10)
#define MAX_CONTENT ((size_t)1 << 40)

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
        return volt_fail(VOLT_EINVAL, "an array of %d axes called '%.200s'", rank, name);
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

/* An array as its file describes it. */
typedef struct npy {
    const char *where; /* file, for messages */
    const char *text;  /* the dictionary, NUL-terminated */
    const unsigned char *data;
    size_t bytes; /* of data */
    int item;     /* bytes per element: 2, 4, 8 */
} npy;

static volt_status damaged(const npy *a, const char *what)
{
    return volt_fail(VOLT_EFORMAT, "%s: the array's header is damaged: %s", a->where, what);
}

/* Splits `content` into header and elements; `header` has room for MAX_HEADER + 1 bytes. */
static volt_status split(npy *a, char *header, const char *content, size_t bytes)
{
    const unsigned char *b = (const unsigned char *)content;
    size_t length, start;

    if (bytes < 10 || memcmp(content, MAGIC, 6) != 0)
        return damaged(a, "no numpy array");
    if (b[6] == 1) {
        length = b[8] | (size_t)b[9] << 8;
        start = 10;
    } else if (b[6] <= 3 && bytes >= 12) {
        length = b[8] | (size_t)b[9] << 8 | (size_t)b[10] << 16 | (size_t)b[11] << 24;
        start = 12;
    } else {
        return damaged(a, "an unknown version");
    }
    if (length > MAX_HEADER || length > bytes - start)
        return damaged(a, "longer than its file");
    memcpy(header, content + start, length);
    header[length] = '\0';
    a->text = header;
    a->data = b + start + length;
    a->bytes = bytes - start - length;
    return VOLT_OK;
}

/* What follows "'key':" in the dictionary, blanks skipped; NULL when it is absent. */
static const char *value_of(const npy *a, const char *key)
{
    char quoted[32];
    const char *at;

    snprintf(quoted, sizeof quoted, "'%s':", key);
    at = strstr(a->text, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), " ") : NULL;
}

static volt_status read_type(npy *a)
{
    const char *type = value_of(a, "descr"), *order = value_of(a, "fortran_order");

    if (!type || !order)
        return damaged(a, "no element type or order");
    if (strncmp(order, "False", 5) != 0)
        return volt_fail(VOLT_ENOTSUP, "%s: an array in Fortran order", a->where);
    if (strncmp(type, "'<f2'", 5) == 0)
        a->item = 2;
    else if (strncmp(type, "'<f4'", 5) == 0)
        a->item = 4;
    else if (strncmp(type, "'<f8'", 5) == 0)
        a->item = 8;
    else
        return volt_fail(VOLT_ENOTSUP,
                         "%s: elements of type %.12s; float16, 32 and 64 are read", a->where,
                         type);
    return VOLT_OK;
}

static volt_status read_shape(volt_npz_array *out, const npy *a)
{
    const char *at = value_of(a, "shape");
    size_t bytes = (size_t)a->item;

    if (!at || *at++ != '(')
        return damaged(a, "no shape");
    for (at += strspn(at, " "); *at != ')'; at += strspn(at, ", ")) {
        char *end;
        const long long n = strtoll(at, &end, 10);
        if (end == at || n < 1 || out->rank == VOLT_NPY_MAX_RANK ||
            volt_mul_size(&bytes, bytes, (size_t)n))
            return damaged(a, "its shape");
        out->shape[out->rank++] = n;
        at = end;
    }
    if (bytes != a->bytes)
        return volt_fail(VOLT_EFORMAT,
                         "%s: the array's shape stands for %zu bytes, there are %zu", a->where,
                         bytes, a->bytes);
    return VOLT_OK;
}

static void convert(float *out, const npy *a, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const unsigned char *at = a->data + i * (size_t)a->item;
        uint16_t half;
        double wide;
        if (a->item == 2) {
            memcpy(&half, at, sizeof half);
            out[i] = volt_half_to_float(half);
        } else {
            memcpy(&wide, at, sizeof wide);
            out[i] = (float)wide;
        }
    }
}

static volt_status read_member(char **content, size_t *bytes, const char *path,
                               const char *name)
{
    char member[256];
    volt_zip *zip = NULL;
    const volt_zip_member *m;
    volt_status st;

    if (snprintf(member, sizeof member, "%s.npy", name) >= (int)sizeof member)
        return volt_fail(VOLT_EINVAL, "an array called '%.200s'", name);
    VOLT_TRY(st, done, volt_zip_open(&zip, path));
    m = volt_zip_find(zip, member);
    if (!m) {
        st = volt_fail(VOLT_EFORMAT, "%s has no array '%s'", path, name);
        goto done;
    }
    st = volt_zip_read(content, bytes, zip, m, MAX_CONTENT);
done:
    volt_zip_close(zip);
    return st;
}

volt_status volt_npz_read(volt_npz_array *out, const char *path, const char *name, int rank)
{
    volt_npz_array r = {0};
    npy a = {.where = path};
    char *content = NULL, *header = NULL;
    size_t bytes = 0;
    volt_status st;

    VOLT_TRY(st, done, read_member(&content, &bytes, path, name));
    VOLT_TRY(st, done, volt_alloc(&header, MAX_HEADER + 1, "an array's header"));
    VOLT_TRY(st, done, split(&a, header, content, bytes));
    VOLT_TRY(st, done, read_type(&a));
    VOLT_TRY(st, done, read_shape(&r, &a));
    if (r.rank != rank) {
        st = volt_fail(VOLT_EFORMAT, "%s: array '%s' has %d axes, %d are expected", path, name,
                       r.rank, rank);
        goto done;
    }
    if (a.item == 4) { /* the elements move to the front: no second copy */
        memmove(content, a.data, a.bytes);
        r.data = (float *)(void *)content;
        content = NULL;
    } else {
        VOLT_TRY(st, done,
                 volt_alloc(&r.data, a.bytes / (size_t)a.item * sizeof *r.data, "an array"));
        convert(r.data, &a, a.bytes / (size_t)a.item);
    }
    *out = r;
    r.data = NULL;
done:
    volt_free(r.data);
    volt_free(header);
    volt_free(content);
    return st;
}
