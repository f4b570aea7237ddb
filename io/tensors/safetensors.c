/* safetensors.c - reading and writing safetensors files.
 *
 * The format promises that mapping a file and trusting its offsets is safe, but only if every
 * reader checks them. Sorted by offset, the tensors must cover the data section exactly: a gap
 * could hide content, an overlap or a surplus shape could make a reader allocate or read more
 * than there is. Only the header is read on opening, except for the checksum of our own files.
 */
#include "io/tensors/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/plural.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/archive/crc32.h"
#include "io/json/json.h"

#define MAX_HEADER   ((uint64_t)32 << 20)
#define MAX_NAME     1023
#define CHECKSUM_KEY "volt_crc32"

static const struct {
    const char *name;
    size_t bytes;
} types[] = {[VOLT_TENSOR_F64] = {"F64", 8},  [VOLT_TENSOR_F32] = {"F32", 4},
             [VOLT_TENSOR_F16] = {"F16", 2},  [VOLT_TENSOR_BF16] = {"BF16", 2},
             [VOLT_TENSOR_I64] = {"I64", 8},  [VOLT_TENSOR_I32] = {"I32", 4},
             [VOLT_TENSOR_I16] = {"I16", 2},  [VOLT_TENSOR_I8] = {"I8", 1},
             [VOLT_TENSOR_U64] = {"U64", 8},  [VOLT_TENSOR_U32] = {"U32", 4},
             [VOLT_TENSOR_U16] = {"U16", 2},  [VOLT_TENSOR_U8] = {"U8", 1},
             [VOLT_TENSOR_BOOL] = {"BOOL", 1}};

enum { TYPES = sizeof types / sizeof *types };

size_t volt_tensor_type_bytes(volt_tensor_type type)
{
    return (int)type >= 1 && (int)type < TYPES ? types[type].bytes : 0;
}

const char *volt_tensor_type_name(volt_tensor_type type)
{
    return (int)type >= 1 && (int)type < TYPES ? types[type].name : "unknown type";
}

/* -- Reading ------------------------------------------------------------------------------ */

struct volt_safetensors {
    char *path;
    volt_map map;
    volt_json header; /* owns the names */
    volt_tensor_view *views;
    size_t count;
    const json_t *metadata; /* NULL if none */
};

void volt_safetensors_close(volt_safetensors *file)
{
    if (!file)
        return;
    volt_free(file->views);
    volt_json_close(&file->header);
    volt_map_close(&file->map);
    volt_free(file->path);
    volt_free(file);
}

static volt_status parse_header(volt_safetensors *file, size_t *data_at)
{
    const unsigned char *bytes = file->map.data;
    uint64_t length = 0;

    if (file->map.bytes < 8)
        return volt_fail(VOLT_EFORMAT, "%s has %zu byte%s; a safetensors file has at least 8",
                         file->path, file->map.bytes, volt_s((int64_t)file->map.bytes));
    for (int i = 0; i < 8; i++)
        length |= (uint64_t)bytes[i] << (8 * i);
    if (length > MAX_HEADER || length > file->map.bytes - 8)
        return volt_fail(VOLT_EFORMAT,
                         "%s is not safetensors: its header would have %llu byte%s; the file "
                         "has %zu for it, and at most %llu are read",
                         file->path, (unsigned long long)length, volt_s((int64_t)length),
                         file->map.bytes - 8, (unsigned long long)MAX_HEADER);
    if (length == 0 || bytes[8] != '{')
        return volt_fail(VOLT_EFORMAT,
                         "%s is not safetensors: its header does not start with {", file->path);
    *data_at = 8 + (size_t)length;
    return volt_json_parse(&file->header, (const char *)bytes + 8, (size_t)length, file->path);
}

static volt_status read_type(volt_tensor_type *out, const volt_json_at *tensor)
{
    volt_json_at at;
    const char *name = NULL;
    volt_status st = volt_json_member(&at, tensor, "dtype");

    if (st == VOLT_OK)
        st = volt_json_text(&name, &at, 16);
    if (st != VOLT_OK)
        return st;
    for (int i = 1; i < TYPES; i++) {
        if (strcmp(name, types[i].name) == 0) {
            *out = (volt_tensor_type)i;
            return VOLT_OK;
        }
    }
    return volt_fail(VOLT_ENOTSUP, "%s: %s is %s; F64 to BOOL of volt's list are read", at.file,
                     at.path, name);
}

static volt_status read_shape(volt_tensor_view *view, const volt_json_at *tensor)
{
    volt_json_at at;
    size_t rank = 0;
    volt_status st = volt_json_member(&at, tensor, "shape");

    if (st == VOLT_OK)
        st = volt_json_length(&rank, &at, 0, VOLT_TENSOR_MAX_RANK);
    if (st == VOLT_OK)
        st = volt_json_ints(view->shape, &at, rank, 0, INT64_MAX);
    if (st != VOLT_OK)
        return st;
    view->rank = (int)rank;
    if (volt_extent_bytes(&view->bytes, view->shape, view->rank, types[view->type].bytes))
        return volt_json_fail(&at, "has a product that is too large");
    return VOLT_OK;
}

/* One tensor; its data pointer is set from offsets that are checked against the file. */
static volt_status read_view(volt_tensor_view *out, const volt_safetensors *file,
                             const char *name, const volt_json_at *tensor, size_t data_at)
{
    const int64_t data_bytes = (int64_t)(file->map.bytes - data_at);
    volt_tensor_view view = {.name = name};
    int64_t range[2] = {0, 0};
    volt_json_at at;
    volt_status st;

    if (strlen(name) == 0 || strlen(name) > MAX_NAME)
        return volt_fail(VOLT_EFORMAT,
                         "%s: a tensor's name has %zu bytes; 1 to %d are expected", file->path,
                         strlen(name), MAX_NAME);
    VOLT_TRY(st, done, read_type(&view.type, tensor));
    VOLT_TRY(st, done, read_shape(&view, tensor));
    VOLT_TRY(st, done, volt_json_member(&at, tensor, "data_offsets"));
    VOLT_TRY(st, done, volt_json_ints(range, &at, 2, 0, data_bytes));
    if (range[1] < range[0] || (size_t)(range[1] - range[0]) != view.bytes) {
        st = volt_json_fail(&at, "is [%lld, %lld]; its shape and dtype need %zu byte%s",
                            (long long)range[0], (long long)range[1], view.bytes,
                            volt_s((int64_t)view.bytes));
        goto done;
    }
    view.data = file->map.data + data_at + range[0];
    *out = view;
done:
    return st;
}

static int by_place(const void *a, const void *b)
{
    const volt_tensor_view *x = a, *y = b;

    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    if (x->bytes != y->bytes) /* empty ones first */
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Tensors must fill the data section one after the other. */
static volt_status check_places(const volt_safetensors *file, size_t data_at)
{
    const unsigned char *next = file->map.data + data_at;
    const unsigned char *end = file->map.data + file->map.bytes;

    for (size_t i = 0; i < file->count; i++) {
        const volt_tensor_view *view = &file->views[i];
        if ((const unsigned char *)view->data != next)
            return volt_fail(VOLT_EFORMAT,
                             "%s: tensor %s starts at byte %zu of the data; %zu is expected "
                             "(tensors must be contiguous)",
                             file->path, view->name,
                             (size_t)((const unsigned char *)view->data - file->map.data) -
                                 data_at,
                             (size_t)(next - file->map.data) - data_at);
        next += view->bytes;
    }
    if (next != end)
        return volt_fail(VOLT_EFORMAT, "%s: %zu surplus byte%s after the last tensor",
                         file->path, (size_t)(end - next),
                         volt_s((int64_t)((size_t)(end - next))));
    return VOLT_OK;
}

static volt_status read_metadata(volt_safetensors *file, const volt_json_at *at)
{
    const char *key;
    json_t *value;

    if (!json_is_object(at->value))
        return volt_json_fail(at, "is not an object of strings");
    json_object_foreach((json_t *)at->value, key, value)
    {
        if (!json_is_string(value))
            return volt_json_fail(at, "holds something other than a string under %.100s", key);
    }
    file->metadata = at->value;
    return VOLT_OK;
}

static volt_status read_views(volt_safetensors *file, size_t data_at)
{
    const volt_json_at root = volt_json_root(&file->header);
    const char *name;
    json_t *value;
    size_t entries = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_json_count(&entries, &root));
    VOLT_TRY(st, done,
             volt_alloc_zero(&file->views, entries, sizeof *file->views, "tensor names"));
    json_object_foreach(file->header.root, name, value)
    {
        volt_json_at tensor;
        VOLT_TRY(st, done, volt_json_member(&tensor, &root, name));
        if (strcmp(name, "__metadata__") == 0) {
            VOLT_TRY(st, done, read_metadata(file, &tensor));
        } else {
            VOLT_TRY(st, done,
                     read_view(&file->views[file->count], file, name, &tensor, data_at));
            file->count++;
        }
    }
    if (file->count)
        qsort(file->views, file->count, sizeof *file->views, by_place);
    st = check_places(file, data_at);
done:
    return st;
}

static volt_status check_sum(const volt_safetensors *file, size_t data_at)
{
    const char *expected = volt_safetensors_metadata(file, CHECKSUM_KEY);
    char found[9];

    if (!expected)
        return VOLT_OK;
    snprintf(found, sizeof found, "%08x",
             (unsigned)volt_crc32(0, file->map.data + data_at, file->map.bytes - data_at));
    if (strcmp(found, expected) != 0)
        return volt_fail(VOLT_EFORMAT,
                         "%s is damaged: the checksum of its data is %s; %.16s is expected",
                         file->path, found, expected);
    return VOLT_OK;
}

volt_status volt_safetensors_open(volt_safetensors **out, const char *path)
{
    volt_safetensors *file = NULL;
    size_t data_at = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&file, 1, sizeof *file, "a safetensors file"));
    VOLT_TRY(st, done, volt_strdup(&file->path, path));
    VOLT_TRY(st, done, volt_map_open(&file->map, path));
    VOLT_TRY(st, done, parse_header(file, &data_at));
    VOLT_TRY(st, done, read_views(file, data_at));
    VOLT_TRY(st, done, check_sum(file, data_at));
    VOLT_TRY(st, done, volt_map_check(file->map.data, file->path));
    *out = file;
    file = NULL;
done:
    volt_safetensors_close(file);
    return st;
}

size_t volt_safetensors_count(const volt_safetensors *file)
{
    return file->count;
}

const volt_tensor_view *volt_safetensors_at(const volt_safetensors *file, size_t index)
{
    return &file->views[index];
}

const volt_tensor_view *volt_safetensors_find(const volt_safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->views[i].name, name) == 0)
            return &file->views[i];
    return NULL;
}

const char *volt_safetensors_metadata(const volt_safetensors *file, const char *key)
{
    return file->metadata ? json_string_value(json_object_get(file->metadata, key)) : NULL;
}

/* "[32, 4, 3, 3, 3]" */
static const char *shown(char *text, size_t room, int rank, const int64_t *shape)
{
    size_t at = (size_t)snprintf(text, room, "[");

    for (int i = 0; i < rank && at < room; i++)
        at += (size_t)snprintf(text + at, room - at, "%s%lld", i ? ", " : "",
                               (long long)shape[i]);
    if (at < room)
        snprintf(text + at, room - at, "]");
    return text;
}

volt_status volt_safetensors_copy(void *out, const volt_safetensors *file, const char *name,
                                  volt_tensor_type type, int rank, const int64_t *shape)
{
    const volt_tensor_view *view = volt_safetensors_find(file, name);
    char found[192], expected[192];

    if (!view)
        return volt_fail(VOLT_EFORMAT, "%s has no tensor %s", file->path, name);
    if (view->type != type)
        return volt_fail(VOLT_EFORMAT, "%s: tensor %s is %s; %s is expected", file->path, name,
                         volt_tensor_type_name(view->type), volt_tensor_type_name(type));
    if (view->rank != rank ||
        (rank > 0 && memcmp(view->shape, shape, (size_t)rank * sizeof *shape) != 0))
        return volt_fail(VOLT_EFORMAT, "%s: tensor %s has shape %s; %s is expected", file->path,
                         name, shown(found, sizeof found, view->rank, view->shape),
                         shown(expected, sizeof expected, rank, shape));
    if (view->bytes)
        memcpy(out, view->data, view->bytes);
    return volt_map_check(view->data, file->path);
}

/* -- Writing ------------------------------------------------------------------------------ */

static volt_status check_view(const char *path, const volt_tensor_view *view)
{
    size_t bytes;

    if (strlen(view->name) == 0 || strlen(view->name) > MAX_NAME ||
        strcmp(view->name, "__metadata__") == 0)
        return volt_fail(VOLT_EINVAL, "%s: '%.100s' is not a valid tensor name", path,
                         view->name);
    if (view->rank < 0 || view->rank > VOLT_TENSOR_MAX_RANK ||
        volt_tensor_type_bytes(view->type) == 0 ||
        volt_extent_bytes(&bytes, view->shape, view->rank, types[view->type].bytes) ||
        bytes != view->bytes)
        return volt_fail(
            VOLT_EINVAL,
            "%s: tensor %s has %zu byte%s, which does not match its type %s and shape", path,
            view->name, view->bytes, volt_s((int64_t)view->bytes),
            volt_tensor_type_name(view->type));
    return VOLT_OK;
}

static json_t *describe(const volt_tensor_view *view, size_t at)
{
    json_t *tensor = json_object();
    const int64_t range[2] = {(int64_t)at, (int64_t)(at + view->bytes)};

    if (json_object_set_new(tensor, "dtype", json_string(types[view->type].name)) != 0 ||
        json_object_set_new(tensor, "shape",
                            volt_json_array_of_ints(view->shape, (size_t)view->rank)) != 0 ||
        json_object_set_new(tensor, "data_offsets", volt_json_array_of_ints(range, 2)) != 0) {
        json_decref(tensor);
        return NULL;
    }
    return tensor;
}

/* The caller owns *out (json_decref). */
static volt_status make_metadata(json_t **out, const char *path, const volt_metadata *metadata,
                                 size_t count, uint32_t crc)
{
    json_t *object = json_object();
    char text[9];

    for (size_t i = 0; object && i < count; i++) {
        if (json_object_set_new(object, metadata[i].key, json_string(metadata[i].value)) != 0) {
            json_decref(object);
            return volt_fail(VOLT_EINVAL, "%s: the metadata '%.100s' is not UTF-8", path,
                             metadata[i].key);
        }
    }
    snprintf(text, sizeof text, "%08x", (unsigned)crc);
    if (json_object_set_new(object, CHECKSUM_KEY, json_string(text)) != 0) {
        json_decref(object);
        return volt_fail(VOLT_ENOMEM, "no memory for the metadata of %s", path);
    }
    *out = object;
    return VOLT_OK;
}

/* The header's text with its length in front, padded to 8 bytes; the caller owns *out. */
static volt_status make_header(char **out, size_t *bytes, const char *path,
                               const volt_tensor_view *tensors, size_t count, json_t *root)
{
    char *text = NULL;
    size_t length = 0, padded, at = 0;
    volt_status st;

    for (size_t i = 0; i < count; i++) {
        if (json_object_get(root, tensors[i].name))
            return volt_fail(VOLT_EINVAL, "%s: two tensors are named %s", path,
                             tensors[i].name);
        if (json_object_set_new(root, tensors[i].name, describe(&tensors[i], at)) != 0)
            return volt_fail(VOLT_EINVAL, "%s: tensor '%.100s' cannot be described", path,
                             tensors[i].name);
        at += tensors[i].bytes;
    }
    VOLT_TRY(st, done, volt_json_dump_line(&text, &length, root));
    padded = (length + 7) & ~(size_t)7;
    if (padded > MAX_HEADER) {
        st = volt_fail(VOLT_EINVAL, "%s: a header of %zu bytes is too long", path, padded);
        goto done;
    }
    VOLT_TRY(st, done, volt_alloc(out, 8 + padded, "a safetensors header"));
    for (int i = 0; i < 8; i++)
        (*out)[i] = (char)((uint64_t)padded >> (8 * i));
    memcpy(*out + 8, text, length);
    memset(*out + 8 + length, ' ', padded - length);
    *bytes = 8 + padded;
done:
    volt_free(text);
    return st;
}

static volt_status write_parts(const char *path, const char *header, size_t header_bytes,
                               const volt_tensor_view *tensors, size_t count)
{
    volt_out *file = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_out_open(&file, path));
    VOLT_TRY(st, done, volt_out_write(file, header, header_bytes));
    for (size_t i = 0; i < count; i++)
        VOLT_TRY(st, done, volt_out_write(file, tensors[i].data, tensors[i].bytes));
    st = volt_out_commit(&file);
done:
    volt_out_abort(&file);
    return st;
}

volt_status volt_safetensors_write(const char *path, const volt_tensor_view *tensors,
                                   size_t count, const volt_metadata *metadata,
                                   size_t metadata_count)
{
    json_t *root = NULL, *strings = NULL;
    char *header = NULL;
    size_t header_bytes = 0, total = 0;
    uint32_t crc = 0;
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, check_view(path, &tensors[i]));
        if (volt_add_size(&total, total, tensors[i].bytes) || total > INT64_MAX) {
            st = volt_fail(VOLT_EINVAL, "%s: its tensors are too large together", path);
            goto done;
        }
        if (tensors[i].bytes)
            crc = volt_crc32(crc, tensors[i].data, tensors[i].bytes);
    }
    VOLT_TRY(st, done, make_metadata(&strings, path, metadata, metadata_count, crc));
    root = json_object();
    if (json_object_set(root, "__metadata__", strings) != 0) {
        st = volt_fail(VOLT_ENOMEM, "no memory for the header of %s", path);
        goto done;
    }
    VOLT_TRY(st, done, make_header(&header, &header_bytes, path, tensors, count, root));
    st = write_parts(path, header, header_bytes, tensors, count);
done:
    volt_free(header);
    json_decref(root);
    json_decref(strings);
    return st;
}
