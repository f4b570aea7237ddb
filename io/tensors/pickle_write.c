#include "io/tensors/pickle_write.h"

#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "io/archive/zip.h"

#define FOLDER "archive/"

struct volt_pickle_writer {
    unsigned char *data;
    size_t bytes, room;
    int depth;      /* open containers */
    int64_t tops;   /* values put outside of them */
    volt_status st; /* the first failure */
};

volt_status volt_pickle_create_writer(volt_pickle_writer **out)
{
    volt_pickle_writer *w = NULL;
    volt_status st = volt_alloc_zero(&w, 1, sizeof *w, "a pickle");

    if (st == VOLT_OK)
        *out = w;
    return st;
}

void volt_pickle_free_writer(volt_pickle_writer *w)
{
    if (!w)
        return;
    volt_free(w->data);
    volt_free(w);
}

static void put(volt_pickle_writer *w, const void *data, size_t bytes)
{
    if (w->st == VOLT_OK && w->room - w->bytes < bytes) {
        const size_t room = 2 * w->room + bytes + 4096;
        w->st = volt_realloc(&w->data, w->bytes, room, "a pickle");
        if (w->st == VOLT_OK)
            w->room = room;
    }
    if (w->st != VOLT_OK)
        return;
    memcpy(w->data + w->bytes, data, bytes);
    w->bytes += bytes;
}

static void put_op(volt_pickle_writer *w, char op)
{
    put(w, &op, 1);
}

static void put_little(volt_pickle_writer *w, uint64_t v, int bytes)
{
    unsigned char text[8];

    for (int i = 0; i < bytes; i++)
        text[i] = (unsigned char)(v >> (8 * i));
    put(w, text, (size_t)bytes);
}

static void count_value(volt_pickle_writer *w)
{
    w->tops += w->depth == 0;
}

void volt_pickle_put_none(volt_pickle_writer *w)
{
    count_value(w);
    put_op(w, 'N');
}

void volt_pickle_put_bool(volt_pickle_writer *w, bool value)
{
    count_value(w);
    put_op(w, (char)(value ? 0x88 : 0x89));
}

void volt_pickle_put_int(volt_pickle_writer *w, int64_t value)
{
    count_value(w);
    if (value == (int32_t)value) {
        put_op(w, 'J');
        put_little(w, (uint64_t)value, 4);
    } else {
        put_op(w, (char)0x8a);
        put_little(w, 8, 1);
        put_little(w, (uint64_t)value, 8);
    }
}

void volt_pickle_put_float(volt_pickle_writer *w, double value)
{
    unsigned char text[8];
    uint64_t bits;

    count_value(w);
    memcpy(&bits, &value, 8);
    for (int i = 0; i < 8; i++)
        text[i] = (unsigned char)(bits >> (56 - 8 * i));
    put_op(w, 'G');
    put(w, text, 8);
}

void volt_pickle_put_text(volt_pickle_writer *w, const char *text)
{
    count_value(w);
    put_op(w, 'X');
    put_little(w, strlen(text), 4);
    put(w, text, strlen(text));
}

/* `ops` makes the empty container, where the format has it first, and sets a mark. */
static void open_container(volt_pickle_writer *w, const char *ops)
{
    count_value(w);
    put(w, ops, strlen(ops));
    w->depth++;
}

static void close_container(volt_pickle_writer *w, char op)
{
    put_op(w, op);
    w->depth--;
}

void volt_pickle_open_dict(volt_pickle_writer *w)
{
    open_container(w, "}(");
}

void volt_pickle_close_dict(volt_pickle_writer *w)
{
    close_container(w, 'u');
}

void volt_pickle_open_list(volt_pickle_writer *w)
{
    open_container(w, "](");
}

void volt_pickle_close_list(volt_pickle_writer *w)
{
    close_container(w, 'e');
}

void volt_pickle_open_tuple(volt_pickle_writer *w)
{
    open_container(w, "(");
}

void volt_pickle_close_tuple(volt_pickle_writer *w)
{
    close_container(w, 't');
}

void volt_pickle_put_json(volt_pickle_writer *w, const json_t *value)
{
    const char *key;
    json_t *item;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        volt_pickle_open_dict(w);
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            volt_pickle_put_text(w, key);
            volt_pickle_put_json(w, item);
        }
        volt_pickle_close_dict(w);
        return;
    case JSON_ARRAY:
        volt_pickle_open_list(w);
        for (size_t i = 0; i < json_array_size(value); i++)
            volt_pickle_put_json(w, json_array_get(value, i));
        volt_pickle_close_list(w);
        return;
    case JSON_STRING:
        volt_pickle_put_text(w, json_string_value(value));
        return;
    case JSON_INTEGER:
        volt_pickle_put_int(w, (int64_t)json_integer_value(value));
        return;
    case JSON_REAL:
        volt_pickle_put_float(w, json_real_value(value));
        return;
    case JSON_NULL:
        volt_pickle_put_none(w);
        return;
    default:
        volt_pickle_put_bool(w, json_is_true(value));
    }
}

/* The function or type "MODULE.NAME"; not counted as a value; the object it creates is. */
static void put_name(volt_pickle_writer *w, const char *module, const char *name)
{
    put_op(w, 'c');
    put(w, module, strlen(module));
    put_op(w, '\n');
    put(w, name, strlen(name));
    put_op(w, '\n');
}

void volt_pickle_put_device(volt_pickle_writer *w, const char *name)
{
    put_name(w, "torch", "device");
    volt_pickle_open_tuple(w);
    volt_pickle_put_text(w, name);
    volt_pickle_close_tuple(w);
    put_op(w, 'R');
}

static void put_extents(volt_pickle_writer *w, const int64_t *extents, int rank)
{
    volt_pickle_open_tuple(w);
    for (int i = 0; i < rank; i++)
        volt_pickle_put_int(w, extents[i]);
    volt_pickle_close_tuple(w);
}

/* _rebuild_tensor_v2(('storage', FloatStorage, key, 'cpu', numbers), 0, shape, stride, False,
 * OrderedDict()) */
void volt_pickle_put_tensor(volt_pickle_writer *w, const volt_tensor_view *tensor,
                            size_t number)
{
    int64_t stride[VOLT_TENSOR_MAX_RANK], step = 1;
    char key[24];

    for (int i = tensor->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= tensor->shape[i];
    }
    snprintf(key, sizeof key, "%zu", number);
    put_name(w, "torch._utils", "_rebuild_tensor_v2");
    volt_pickle_open_tuple(w);
    volt_pickle_open_tuple(w);
    volt_pickle_put_text(w, "storage");
    put_name(w, "torch", "FloatStorage");
    volt_pickle_put_text(w, key);
    volt_pickle_put_text(w, "cpu");
    volt_pickle_put_int(w, step);
    volt_pickle_close_tuple(w);
    put_op(w, 'Q');
    volt_pickle_put_int(w, 0);
    put_extents(w, tensor->shape, tensor->rank);
    put_extents(w, stride, tensor->rank);
    volt_pickle_put_bool(w, false);
    put_name(w, "collections", "OrderedDict");
    put_op(w, ')');
    put_op(w, 'R');
    volt_pickle_close_tuple(w);
    put_op(w, 'R');
}

static volt_status write_pickle(volt_zip_writer *zip, const volt_pickle_writer *w)
{
    static const unsigned char start[2] = {0x80, 2};
    volt_status st;

    VOLT_TRY(st, done, volt_zip_begin(zip, FOLDER "data.pkl", 0));
    VOLT_TRY(st, done, volt_zip_write(zip, start, sizeof start));
    VOLT_TRY(st, done, volt_zip_write(zip, w->data, w->bytes));
    VOLT_TRY(st, done, volt_zip_write(zip, ".", 1));
    st = volt_zip_end(zip);
done:
    return st;
}

volt_status volt_torch_write(const char *path, const volt_pickle_writer *w,
                             const volt_tensor_view *storage, size_t count)
{
    volt_zip_writer *zip = NULL;
    char name[64];
    volt_status st;

    if (w->st != VOLT_OK)
        return volt_fail(w->st, "no memory for the pickle of %s", path);
    if (w->depth || w->tops != 1)
        return volt_fail(VOLT_EINVAL, "%s: values written: %lld, containers open: %d", path,
                         (long long)w->tops, w->depth);
    VOLT_TRY(st, done, volt_zip_create(&zip, path));
    VOLT_TRY(st, done, write_pickle(zip, w));
    VOLT_TRY(st, done, volt_zip_add(zip, FOLDER "byteorder", "little", 6, 0));
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, FOLDER "data/%zu", i);
        VOLT_TRY(st, done, volt_zip_add(zip, name, storage[i].data, storage[i].bytes, 0));
    }
    VOLT_TRY(st, done, volt_zip_add(zip, FOLDER "version", "3\n", 2, 0));
    st = volt_zip_commit(&zip);
done:
    volt_zip_abort(&zip);
    return st;
}
