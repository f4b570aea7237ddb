/* case_store.c - writing, mapping and checking preprocessed cases.
 *
 * Training reads random patches of many cases, far more data than memory holds. So a case is a
 * flat file that is mapped, and the kernel's page cache decides what stays in memory. Data is
 * stored uncompressed in the byte order and type of use, in blocks aligned to cache lines; what
 * changes per case is in a header of fixed offsets, small enough to check in full on opening.
 *
 * Crash safety: a file is written under a temporary name, flushed and renamed
 * (volt_out_commit), so a file with the right name is complete. Its key tells whether it is
 * still up to date. CRCs guard against decay of the disk: those of the header and of the
 * locations are verified on opening; that of the voxels on request only, because reading all
 * voxels is what mapping avoids.
 */
#include "io/case_store.h"

#include <math.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/plural.h"
#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/archive/crc32.h"
#include "io/store/case_store_internal.h"

/* Blocks are mapped and used in place. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "case files are little-endian");

enum {
    VERSION = 2,
    FIXED_BYTES = 512, /* of the header, before the class table */
    CLASS_BYTES = 32,
    BLOCK_ALIGN = 64,
    CRC_AT = 508,
    MAX_CLASSES = 65536
};
static const char magic[8] = "VOLTCASE";

/* An open case with the memory behind it. */
typedef struct opened_case {
    volt_stored_case c; /* first: callers hold its address */
    volt_map map;       /* empty for a view of memory */
    char *name;
    volt_class_locations *table;
    size_t data_bytes, label_bytes;
    uint32_t voxel_crc;
} opened_case;

/* Sizes and offsets of the parts of a file. */
typedef struct file_plan {
    size_t header_bytes, data_bytes, label_bytes;
    size_t data_at, labels_at, file_bytes;
} file_plan;

static void put32(unsigned char *at, uint32_t v)
{
    memcpy(at, &v, sizeof v);
}

static void put64(unsigned char *at, uint64_t v)
{
    memcpy(at, &v, sizeof v);
}

static void put_double(unsigned char *at, double v)
{
    memcpy(at, &v, sizeof v);
}

static uint32_t get32(const unsigned char *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof v);
    return v;
}

static uint64_t get64(const unsigned char *at)
{
    uint64_t v;

    memcpy(&v, at, sizeof v);
    return v;
}

static double get_double(const unsigned char *at)
{
    double v;

    memcpy(&v, at, sizeof v);
    return v;
}

static size_t align_up(size_t at)
{
    return (at + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
}

static int64_t voxels_of(const volt_stored_case *c)
{
    return c->shape[0] * c->shape[1] * c->shape[2];
}

/* Bytes of data and labels; true when they overflow. Leaves a margin for padding and counts at
 * least one channel. */
static bool block_bytes(size_t *data, size_t *labels, const volt_stored_case *c)
{
    const int64_t extents[4] = {c->channels > 0 ? c->channels : 1, c->shape[0], c->shape[1],
                                c->shape[2]};
    size_t sum;

    if (volt_extent_bytes(data, extents, 4, sizeof(float)) ||
        volt_extent_bytes(labels, extents + 1, 3,
                          c->label_dtype ? volt_dtype_bytes(c->label_dtype) : 0) ||
        volt_add_size(&sum, *data, *labels) || sum > SIZE_MAX / 4)
        return true;
    *data = c->channels > 0 ? *data : 0;
    return false;
}

/* The rules for the header's fields, the same for writing and reading. */
static volt_status check_numbers(const volt_stored_case *c, volt_status code, const char *name)
{
    size_t data, labels;
    int seen = 0;

    if (c->channels < 0 || c->channels > INT16_MAX)
        return volt_fail(code, "%s: %d channels; 0 to 32767 are expected", name, c->channels);
    if (c->channels == 0 && c->label_dtype == 0)
        return volt_fail(code, "%s: 0 channels and no labels", name);
    if (c->label_dtype != 0 && c->label_dtype != VOLT_I8 && c->label_dtype != VOLT_I16)
        return volt_fail(code, "%s: label type %d; 0 (none), 2 (int8) or 4 (int16) is expected",
                         name, (int)c->label_dtype);
    for (int a = 0; a < 3; a++) {
        const char axis = "dhw"[a];
        if (c->shape[a] < 1)
            return volt_fail(code, "%s: the extent along %c is %lld", name, axis,
                             (long long)c->shape[a]);
        if (!(c->spacing[a] > 0) || !isfinite(c->spacing[a]))
            return volt_fail(code, "%s: the spacing along %c is %g mm", name, axis,
                             c->spacing[a]);
        if (c->transpose_forward[a] < 0 || c->transpose_forward[a] > 2)
            return volt_fail(code, "%s: transpose_forward[%d] is %d; 0 to 2 is expected", name,
                             a, c->transpose_forward[a]);
        seen |= 1 << c->transpose_forward[a];
    }
    if (seen != 7)
        return volt_fail(
            code, "%s: transpose_forward %d, %d, %d is not a permutation of the axes", name,
            c->transpose_forward[0], c->transpose_forward[1], c->transpose_forward[2]);
    if (block_bytes(&data, &labels, c))
        return volt_fail(code, "%s: the shape %lld x %lld x %lld is too large", name,
                         (long long)c->shape[0], (long long)c->shape[1],
                         (long long)c->shape[2]);
    if (c->classes < 0 || c->classes > MAX_CLASSES)
        return volt_fail(code, "%s: %d classes; 0 to %d are expected", name, c->classes,
                         MAX_CLASSES);
    return VOLT_OK;
}

static volt_status check_source(const volt_stored_case *c, volt_status code, const char *name)
{
    if (volt_grid_check(&c->source, name) != VOLT_OK)
        return code; /* the sentence is recorded */
    for (int a = 0; a < 3; a++) {
        const int64_t n = c->source.n[c->transpose_forward[a]];
        const char axis = "dhw"[a];
        if (c->crop.low[a] < 0 || c->crop.high[a] > n || c->crop.low[a] >= c->crop.high[a])
            return volt_fail(code, "%s: the crop along %c is %lld to %lld in an extent of %lld",
                             name, axis, (long long)c->crop.low[a], (long long)c->crop.high[a],
                             (long long)n);
    }
    return VOLT_OK;
}

static volt_status check_locations(const volt_class_locations *l, int64_t voxels,
                                   volt_status code, const char *name)
{
    uint64_t last = 0;

    for (int64_t i = 0; i < l->count; i++) {
        const uint64_t at = l->location[i];
        if (at >= (uint64_t)voxels || (i > 0 && at <= last))
            return volt_fail(code,
                             "%s: location %lld of label %d is voxel %llu after %llu; ascending"
                             " values below %lld are expected",
                             name, (long long)i, l->label, (unsigned long long)at,
                             (unsigned long long)last, (long long)voxels);
        last = at;
    }
    return VOLT_OK;
}

static uint32_t locations_crc(const volt_class_locations *l)
{
    return volt_crc32(0, l->location, (size_t)l->count * sizeof *l->location);
}

static void put_header(unsigned char *h, const volt_stored_case *c, const file_plan *plan,
                       uint32_t voxel_crc)
{
    size_t at = plan->label_bytes ? plan->labels_at + plan->label_bytes
                                  : plan->data_at + plan->data_bytes;

    memcpy(h, magic, sizeof magic);
    put32(h + 8, VERSION);
    put32(h + 12, (uint32_t)plan->header_bytes);
    put64(h + 16, plan->file_bytes);
    put64(h + 24, c->key);
    put32(h + 32, (uint32_t)c->channels);
    put32(h + 36, (uint32_t)c->label_dtype);
    put64(h + 64, plan->data_at);
    put64(h + 72, plan->label_bytes ? plan->labels_at : 0);
    for (int a = 0; a < 3; a++) {
        put64(h + 40 + 8 * a, (uint64_t)c->shape[a]);
        put_double(h + 80 + 8 * a, c->spacing[a]);
        put64(h + 104 + 8 * a, (uint64_t)c->source.n[a]);
        for (int k = 0; k < 4; k++)
            put_double(h + 128 + 32 * a + 8 * k, c->source.to_world[a][k]);
        put32(h + 224 + 4 * a, (uint32_t)c->transpose_forward[a]);
        put64(h + 240 + 8 * a, (uint64_t)c->crop.low[a]);
        put64(h + 264 + 8 * a, (uint64_t)c->crop.high[a]);
    }
    put32(h + 236, (uint32_t)c->classes);
    put32(h + 288, voxel_crc);
    for (int k = 0; k < c->classes; k++) {
        unsigned char *row = h + FIXED_BYTES + (size_t)k * CLASS_BYTES;
        at = align_up(at);
        put32(row, (uint32_t)c->locations[k].label);
        put32(row + 4, locations_crc(&c->locations[k]));
        put64(row + 8, (uint64_t)c->locations[k].voxels);
        put64(row + 16, (uint64_t)c->locations[k].count);
        put64(row + 24, at);
        at += (size_t)c->locations[k].count * sizeof(uint64_t);
    }
    put32(h + CRC_AT, volt_crc32(0, h, plan->header_bytes));
}

/* Checks the case and lays out its file. */
static volt_status plan_file(file_plan *out, const volt_stored_case *c, const char *path)
{
    file_plan plan = {0};
    volt_status st;

    VOLT_TRY(st, done, check_numbers(c, VOLT_EINVAL, path));
    VOLT_TRY(st, done, check_source(c, VOLT_EINVAL, path));
    if ((c->channels > 0) != (c->data != NULL) || (c->label_dtype != 0) != (c->labels != NULL))
        return volt_fail(VOLT_EINVAL, "%s: data or labels are missing", path);
    if (block_bytes(&plan.data_bytes, &plan.label_bytes, c))
        return volt_fail(VOLT_EINVAL, "%s: the case is too large", path);
    plan.header_bytes = FIXED_BYTES + (size_t)c->classes * CLASS_BYTES;
    plan.data_at = align_up(plan.header_bytes);
    plan.labels_at = align_up(plan.data_at + plan.data_bytes);
    plan.file_bytes =
        plan.label_bytes ? plan.labels_at + plan.label_bytes : plan.data_at + plan.data_bytes;
    for (int k = 0; k < c->classes; k++) {
        const volt_class_locations *l = &c->locations[k];
        if (l->count < 0 || l->count > l->voxels || l->voxels > voxels_of(c))
            return volt_fail(VOLT_EINVAL, "%s: %lld location%s of %lld voxel%s of label %d",
                             path, (long long)l->count, volt_s((int64_t)l->count),
                             (long long)l->voxels, volt_s((int64_t)l->voxels), l->label);
        VOLT_TRY(st, done, check_locations(l, voxels_of(c), VOLT_EINVAL, path));
        plan.file_bytes = align_up(plan.file_bytes) + (size_t)l->count * sizeof(uint64_t);
    }
    *out = plan;
done:
    return st;
}

/* Writes a block at the next aligned offset; *at is the size of the file so far. */
static volt_status write_block(volt_out *f, size_t *at, const void *data, size_t bytes)
{
    static const unsigned char zeros[BLOCK_ALIGN];
    const size_t pad = align_up(*at) - *at;
    volt_status st = VOLT_OK;

    if (pad)
        st = volt_out_write(f, zeros, pad);
    if (st == VOLT_OK && bytes)
        st = volt_out_write(f, data, bytes);
    *at += pad + bytes;
    return st;
}

volt_status volt_stored_case_write(const char *path, const volt_stored_case *c)
{
    file_plan plan = {0};
    volt_out *f = NULL;
    unsigned char *header = NULL;
    uint32_t crc;
    size_t at = 0;
    volt_status st;

    VOLT_TRY(st, done, plan_file(&plan, c, path));
    VOLT_TRY(st, done, volt_alloc_zero(&header, 1, plan.header_bytes, "a case's header"));
    crc = volt_crc32(0, c->data, plan.data_bytes);
    if (plan.label_bytes)
        crc = volt_crc32(crc, c->labels, plan.label_bytes);
    put_header(header, c, &plan, crc);
    VOLT_TRY(st, done, volt_out_open(&f, path));
    VOLT_TRY(st, done, write_block(f, &at, header, plan.header_bytes));
    VOLT_TRY(st, done, write_block(f, &at, c->data, plan.data_bytes));
    if (plan.label_bytes)
        VOLT_TRY(st, done, write_block(f, &at, c->labels, plan.label_bytes));
    for (int k = 0; k < c->classes; k++)
        VOLT_TRY(st, done,
                 write_block(f, &at, c->locations[k].location,
                             (size_t)c->locations[k].count * sizeof(uint64_t)));
    st = volt_out_commit(&f);
done:
    volt_out_abort(&f);
    volt_free(header);
    return st;
}

/* Parses the header; checks magic, version, sizes and the CRC only. */
static volt_status get_header(opened_case *o, const unsigned char *h, size_t bytes)
{
    static const unsigned char zero[4];
    volt_stored_case *c = &o->c;
    size_t header_bytes;
    uint32_t crc;

    if (bytes < FIXED_BYTES || memcmp(h, magic, sizeof magic) != 0)
        return volt_fail(VOLT_EFORMAT, "%s is not a VOLT case file", o->name);
    if (get32(h + 8) != VERSION)
        return volt_fail(VOLT_EFORMAT, "%s: case file version %u; this build reads version %d",
                         o->name, get32(h + 8), VERSION);
    if (get64(h + 16) != bytes)
        return volt_fail(VOLT_EFORMAT, "%s has %zu byte%s; its header says %llu", o->name,
                         bytes, volt_s((int64_t)bytes), (unsigned long long)get64(h + 16));
    header_bytes = get32(h + 12);
    if (get32(h + 236) > MAX_CLASSES || header_bytes > bytes ||
        header_bytes != FIXED_BYTES + (size_t)get32(h + 236) * CLASS_BYTES)
        return volt_fail(VOLT_EFORMAT,
                         "%s: a header of %zu byte%s does not match the number of classes, %u",
                         o->name, header_bytes, volt_s((int64_t)header_bytes), get32(h + 236));
    crc = volt_crc32(0, h, CRC_AT);
    crc = volt_crc32(crc, zero, sizeof zero);
    crc = volt_crc32(crc, h + FIXED_BYTES, header_bytes - FIXED_BYTES);
    if (crc != get32(h + CRC_AT))
        return volt_fail(VOLT_EFORMAT, "%s: the header's CRC is %08x; %08x is stored", o->name,
                         crc, get32(h + CRC_AT));
    c->key = get64(h + 24);
    c->channels = (int)get32(h + 32);
    c->label_dtype = (volt_dtype)get32(h + 36);
    c->classes = (int)get32(h + 236);
    o->voxel_crc = get32(h + 288);
    c->source.channels = c->channels > 0 ? c->channels : 1;
    for (int a = 0; a < 3; a++) {
        c->shape[a] = (int64_t)get64(h + 40 + 8 * a);
        c->spacing[a] = get_double(h + 80 + 8 * a);
        c->source.n[a] = (int64_t)get64(h + 104 + 8 * a);
        for (int k = 0; k < 4; k++)
            c->source.to_world[a][k] = get_double(h + 128 + 32 * a + 8 * k);
        c->transpose_forward[a] = (int)get32(h + 224 + 4 * a);
        c->crop.low[a] = (int64_t)get64(h + 240 + 8 * a);
        c->crop.high[a] = (int64_t)get64(h + 264 + 8 * a);
    }
    return VOLT_OK;
}

/* A block at `at` that must lie behind the header, inside the file, aligned. */
static volt_status get_block(const void **out, const opened_case *o, const unsigned char *file,
                             size_t file_bytes, uint64_t at, size_t bytes, const char *what)
{
    const size_t header = FIXED_BYTES + (size_t)o->c.classes * CLASS_BYTES;

    if (at % BLOCK_ALIGN || at < header || at > file_bytes || bytes > file_bytes - at)
        return volt_fail(
            VOLT_EFORMAT, "%s: %s of %zu byte%s at offset %llu is not inside a file of %zu",
            o->name, what, bytes, volt_s((int64_t)bytes), (unsigned long long)at, file_bytes);
    *out = file + at;
    return VOLT_OK;
}

static volt_status get_classes(opened_case *o, const unsigned char *file, size_t bytes)
{
    const int64_t voxels = voxels_of(&o->c);
    volt_status st = VOLT_OK;

    VOLT_TRY(st, done,
             volt_alloc_zero(&o->table, (size_t)o->c.classes, sizeof *o->table,
                             "a case's class table"));
    for (int k = 0; k < o->c.classes; k++) {
        const unsigned char *row = file + FIXED_BYTES + (size_t)k * CLASS_BYTES;
        volt_class_locations *l = &o->table[k];
        const uint64_t all = get64(row + 8), count = get64(row + 16);
        const void *block = NULL;

        l->label = (int32_t)get32(row);
        if (all > (uint64_t)voxels || count > all)
            return volt_fail(VOLT_EFORMAT,
                             "%s: %llu location%s of %llu voxel%s of label %d in %lld voxel%s",
                             o->name, (unsigned long long)count, volt_s((int64_t)count),
                             (unsigned long long)all, volt_s((int64_t)all), l->label,
                             (long long)voxels, volt_s((int64_t)voxels));
        l->voxels = (int64_t)all;
        l->count = (int64_t)count;
        /* count <= voxels, whose data of 4 bytes each fit size_t four times over */
        VOLT_TRY(st, done,
                 get_block(&block, o, file, bytes, get64(row + 24), (size_t)count * 8,
                           "the locations of a label"));
        l->location = block;
        VOLT_TRY(st, done, check_locations(l, voxels, VOLT_EFORMAT, o->name));
        if (locations_crc(l) != get32(row + 4))
            return volt_fail(VOLT_EFORMAT,
                             "%s: the CRC of the locations of label %d is %08x; %08x is stored",
                             o->name, l->label, locations_crc(l), get32(row + 4));
    }
    o->c.locations = o->table;
done:
    return st;
}

static volt_status fill(opened_case *o, const unsigned char *file, size_t bytes)
{
    const void *block = NULL;
    volt_status st;

    VOLT_TRY(st, done, get_header(o, file, bytes));
    VOLT_TRY(st, done, check_numbers(&o->c, VOLT_EFORMAT, o->name));
    VOLT_TRY(st, done, check_source(&o->c, VOLT_EFORMAT, o->name));
    if (block_bytes(&o->data_bytes, &o->label_bytes, &o->c))
        return volt_fail(VOLT_EFORMAT, "%s: the case is too large", o->name);
    VOLT_TRY(st, done,
             get_block(&block, o, file, bytes, get64(file + 64), o->data_bytes, "the data"));
    o->c.data = o->c.channels > 0 ? block : NULL;
    if (o->c.label_dtype) {
        VOLT_TRY(
            st, done,
            get_block(&block, o, file, bytes, get64(file + 72), o->label_bytes, "the labels"));
        o->c.labels = block;
    }
    st = get_classes(o, file, bytes);
done:
    return st;
}

/* Takes ownership of *map on success. */
static volt_status view(const volt_stored_case **out, volt_map *map, const void *data,
                        size_t bytes, const char *name)
{
    opened_case *o = NULL;
    volt_status st;

    if (!data || (uintptr_t)data % sizeof(uint64_t))
        return volt_fail(data ? VOLT_EINVAL : VOLT_EFORMAT, "%s: %s", name,
                         data ? "memory of a case must be aligned to 8 bytes" : "is empty");
    VOLT_TRY(st, done, volt_alloc_zero(&o, 1, sizeof *o, "a stored case"));
    VOLT_TRY(st, done, volt_strdup(&o->name, name));
    VOLT_TRY(st, done, fill(o, data, bytes));
    if (map) {
        o->map = *map;
        *map = (volt_map){0};
    }
    *out = &o->c;
    o = NULL;
done:
    if (o)
        volt_stored_case_close(&o->c);
    return st;
}

volt_status volt_stored_case_view(const volt_stored_case **out, const void *data, size_t bytes,
                                  const char *name)
{
    return view(out, NULL, data, bytes, name);
}

volt_status volt_stored_case_open(const volt_stored_case **out, const char *path)
{
    volt_map map = {0};
    volt_status st = volt_map_open(&map, path);

    if (st == VOLT_OK)
        st = view(out, &map, map.data, map.bytes, path);
    if (st == VOLT_OK && (st = volt_map_check((*out)->data, path)) != VOLT_OK) {
        volt_stored_case_close(*out);
        *out = NULL;
    }
    volt_map_close(&map);
    return st;
}

void volt_stored_case_close(const volt_stored_case *c)
{
    opened_case *o = (opened_case *)c;

    if (!o)
        return;
    volt_map_close(&o->map);
    volt_free(o->table);
    volt_free(o->name);
    volt_free(o);
}

volt_status volt_stored_case_check(const volt_stored_case *c)
{
    const opened_case *o = (const opened_case *)c;

    return volt_map_check(o->map.data, o->name);
}

volt_status volt_stored_case_verify(const volt_stored_case *c)
{
    const opened_case *o = (const opened_case *)c;
    const size_t count = o->data_bytes / sizeof(float);
    uint32_t crc = volt_crc32(0, c->data, o->data_bytes);

    if (o->label_bytes)
        crc = volt_crc32(crc, c->labels, o->label_bytes);
    if (volt_map_check(o->map.data, o->name) != VOLT_OK)
        return VOLT_EIO;
    if (crc != o->voxel_crc)
        return volt_fail(VOLT_EFORMAT, "%s: the CRC of the voxels is %08x; %08x is stored",
                         o->name, crc, o->voxel_crc);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(c->data[i]))
            return volt_fail(VOLT_EFORMAT, "%s: element %zu of the data is not finite", o->name,
                             i);
    }
    return VOLT_OK;
}

volt_status volt_stored_case_key(uint64_t *out, const char *path)
{
    const volt_stored_case *c = NULL;
    const volt_status st = volt_stored_case_open(&c, path);

    if (st == VOLT_OK)
        *out = c->key;
    volt_stored_case_close(c);
    return st;
}
