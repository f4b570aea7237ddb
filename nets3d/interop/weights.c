/* Opening a file of named tensors, and reading values from it. */
#include "nets3d/interop/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "volume/grid/half.h"

typedef struct entry {
    const char *name; /* without prefixes */
    const volt_tensor_view *view;
    const volt_torch_tensor *torch; /* NULL in a safetensors file */
} entry;

struct volt_weights {
    char *path;
    volt_torch_file *torch;
    volt_safetensors *safetensors;
    entry *entry;
    const entry **by_name;
    size_t count;
};

/* What wrappers of torch (data parallel, compiled) put in front of every name. */
static const char *strip(const char *name)
{
    static const char *const prefixes[] = {"module.", "_orig_mod."};

    for (bool again = true; again;) {
        again = false;
        for (int i = 0; i < 2; i++) {
            const size_t length = strlen(prefixes[i]);
            if (strncmp(name, prefixes[i], length) == 0 && name[length]) {
                name += length;
                again = true;
            }
        }
    }
    return name;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const entry *const *)a)->name, (*(const entry *const *)b)->name);
}

static volt_status open_file(volt_weights *w)
{
    unsigned char start[64];
    volt_map map = {0};
    size_t bytes;
    bool torch;
    volt_status st = volt_map_open(&map, w->path);

    if (st != VOLT_OK)
        return st;
    bytes = map.bytes < sizeof start ? map.bytes : sizeof start;
    if (bytes)
        memcpy(start, map.data, bytes);
    torch = volt_torch_is(start, bytes);
    volt_map_close(&map);
    if (torch) {
        st = volt_torch_open(&w->torch, w->path);
        w->count = st == VOLT_OK ? volt_torch_count(w->torch) : 0;
    } else if (bytes > 8 && start[8] == '{') {
        st = volt_safetensors_open(&w->safetensors, w->path);
        w->count = st == VOLT_OK ? volt_safetensors_count(w->safetensors) : 0;
    } else {
        st = volt_fail(VOLT_EFORMAT,
                       "%s holds no weights: it was written neither by torch.save nor as "
                       "safetensors",
                       w->path);
    }
    return st;
}

static volt_status list_entries(volt_weights *w)
{
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&w->entry, w->count, sizeof *w->entry, "a list of weights"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&w->by_name, w->count, sizeof *w->by_name, "a list of weights"));
    for (size_t i = 0; i < w->count; i++) {
        entry *e = &w->entry[i];
        if (w->torch) {
            e->torch = volt_torch_at(w->torch, i);
            e->view = &e->torch->view;
        } else {
            e->view = volt_safetensors_at(w->safetensors, i);
        }
        e->name = strip(e->view->name);
        w->by_name[i] = e;
    }
    if (w->count)
        qsort(w->by_name, w->count, sizeof *w->by_name, by_name);
    for (size_t i = 1; i < w->count; i++) {
        if (strcmp(w->by_name[i - 1]->name, w->by_name[i]->name) == 0)
            return volt_fail(VOLT_EFORMAT,
                             "%s: two tensors are called %.100s once prefixes are removed",
                             w->path, w->by_name[i]->name);
    }
done:
    return st;
}

volt_status volt_weights_open(volt_weights **out, const char *path)
{
    volt_weights *w = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&w, 1, sizeof *w, "a file of weights"));
    VOLT_TRY(st, done, volt_strdup(&w->path, path));
    VOLT_TRY(st, done, open_file(w));
    VOLT_TRY(st, done, list_entries(w));
    *out = w;
    w = NULL;
done:
    volt_weights_close(w);
    return st;
}

void volt_weights_close(volt_weights *w)
{
    if (!w)
        return;
    volt_free((void *)(uintptr_t)w->by_name);
    volt_free(w->entry);
    volt_safetensors_close(w->safetensors);
    volt_torch_close(w->torch);
    volt_free(w->path);
    volt_free(w);
}

size_t volt_weights_count(const volt_weights *w)
{
    return w->count;
}

const char *volt_weights_path(const volt_weights *w)
{
    return w->path;
}

const char *volt_weights_name(const volt_weights *w, size_t index)
{
    return w->entry[index].name;
}

const volt_tensor_view *volt_weights_view(const volt_weights *w, size_t index)
{
    return w->entry[index].view;
}

int64_t volt_weights_alias(const volt_weights *w, size_t index)
{
    return w->torch ? w->entry[index].torch->alias : (int64_t)index;
}

int64_t volt_weights_find(const volt_weights *w, const char *name)
{
    const entry key = {.name = name}, *wanted = &key, **found;

    found =
        w->count ? bsearch(&wanted, w->by_name, w->count, sizeof *w->by_name, by_name) : NULL;
    return found ? *found - w->entry : -1;
}

const volt_torch_file *volt_weights_torch(const volt_weights *w)
{
    return w->torch;
}

/* ---- values ---- */

/* One value; the type was checked. */
static float number_at(const unsigned char *at, volt_tensor_type type)
{
    uint32_t bits;
    uint16_t half;
    double wide;
    float x;

    switch (type) {
    case VOLT_TENSOR_F32:
        memcpy(&x, at, 4);
        return x;
    case VOLT_TENSOR_F64:
        memcpy(&wide, at, 8);
        return (float)wide;
    case VOLT_TENSOR_F16:
        memcpy(&half, at, 2);
        return volt_half_to_float(half);
    default: /* bfloat16: the upper half of a float32 */
        memcpy(&half, at, 2);
        bits = (uint32_t)half << 16;
        memcpy(&x, &bits, 4);
        return x;
    }
}

/* In row-major order, whatever the strides. */
static void copy_strided(float *out, const volt_tensor_view *v, const int64_t *stride)
{
    const int64_t each = (int64_t)volt_tensor_type_bytes(v->type);
    const int64_t count = (int64_t)v->bytes / each;
    int64_t at[VOLT_TENSOR_MAX_RANK] = {0}, offset = 0;

    for (int64_t i = 0; i < count; i++) {
        out[i] = number_at((const unsigned char *)v->data + offset * each, v->type);
        for (int axis = v->rank - 1; axis >= 0; axis--) {
            offset += stride[axis];
            if (++at[axis] < v->shape[axis])
                break;
            offset -= at[axis] * stride[axis];
            at[axis] = 0;
        }
    }
}

volt_status volt_weights_copy(float *out, const volt_weights *w, size_t index, int64_t count)
{
    const entry *e = &w->entry[index];
    const volt_tensor_view *v = e->view;
    const size_t each = volt_tensor_type_bytes(v->type);

    if (v->type > VOLT_TENSOR_BF16)
        return volt_fail(VOLT_ENOTSUP,
                         "%s: tensor %.100s is %s; a floating-point type is expected", w->path,
                         v->name, volt_tensor_type_name(v->type));
    if (v->bytes / each != (size_t)count)
        return volt_fail(VOLT_EFORMAT, "%s: tensor %.100s has %zu value%s, expected %lld",
                         w->path, v->name, v->bytes / each, volt_s((int64_t)(v->bytes / each)),
                         (long long)count);
    if (!e->torch || e->torch->dense) {
        if (v->type == VOLT_TENSOR_F32)
            memcpy(out, v->data, v->bytes);
        for (int64_t i = 0; v->type != VOLT_TENSOR_F32 && i < count; i++)
            out[i] = number_at((const unsigned char *)v->data + (size_t)i * each, v->type);
    } else {
        copy_strided(out, v, e->torch->stride);
    }
    if (volt_map_check(v->data, w->path) != VOLT_OK)
        return VOLT_EIO;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(out[i]))
            return volt_fail(VOLT_EFORMAT, "%s: value %lld of tensor %.100s is not finite",
                             w->path, (long long)i, v->name);
    }
    return VOLT_OK;
}
