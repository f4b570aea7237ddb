/* torch_file.c - files of torch.save. The two formats differ in where the pickle and the
 * storages are; the tensors are the same. */
#include "io/tensors/torch_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/plural.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/archive/zip.h"
#include "io/archive/zip_format.h"

#define MAX_PICKLE ((size_t)32 << 20)
#define MAX_KEY    64

/* The magic number of the legacy format, an integer of ten bytes. */
static const unsigned char legacy_start[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                             0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
enum { MAGIC_AT = 4, MAGIC_BYTES = 10, LEGACY_PROTOCOL = 1001 };

/* One block of numbers. */
typedef struct storage {
    const char *key; /* borrowed from the pickle */
    const unsigned char *data;
    size_t bytes;
} storage;

struct volt_torch_file {
    char *path;
    volt_zip *zip; /* of one form */
    volt_map map;  /* of the other */
    volt_pickle *pickle, *keys;
    storage *storage; /* ascending keys */
    size_t storages, storage_room;
    volt_torch_tensor *tensor; /* in the order of the state dict */
    size_t count;
    const volt_torch_tensor **by_name;
};

static const struct {
    const char *name;
    volt_tensor_type type;
} storage_types[] = {
    {"torch.FloatStorage", VOLT_TENSOR_F32},  {"torch.HalfStorage", VOLT_TENSOR_F16},
    {"torch.DoubleStorage", VOLT_TENSOR_F64}, {"torch.BFloat16Storage", VOLT_TENSOR_BF16},
    {"torch.LongStorage", VOLT_TENSOR_I64},   {"torch.IntStorage", VOLT_TENSOR_I32},
    {"torch.ShortStorage", VOLT_TENSOR_I16},  {"torch.CharStorage", VOLT_TENSOR_I8},
    {"torch.ByteStorage", VOLT_TENSOR_U8},    {"torch.BoolStorage", VOLT_TENSOR_BOOL},
};

bool volt_torch_is(const void *data, size_t bytes)
{
    return volt_zip_is(data, bytes) || (bytes >= sizeof legacy_start &&
                                        memcmp(data, legacy_start, sizeof legacy_start) == 0);
}

/* ---- storages ---- */

static int by_key(const void *a, const void *b)
{
    return strcmp(((const storage *)a)->key, ((const storage *)b)->key);
}

static storage *find_storage(const volt_torch_file *file, const char *key)
{
    const storage wanted = {.key = key};

    return file->storages
               ? bsearch(&wanted, file->storage, file->storages, sizeof *file->storage, by_key)
               : NULL;
}

/* ('storage', type, key, location, elements[, view]): its type, key and number of elements. */
static volt_status read_storage_id(volt_tensor_type *type, const char **key, int64_t *elements,
                                   const volt_pickle_value *stored, const char *path)
{
    const volt_pickle_value *id =
        stored && stored->kind == VOLT_PICKLE_PERSISTENT ? stored->item[0] : NULL;

    if (!id || id->kind != VOLT_PICKLE_TUPLE || id->count < 5 ||
        !volt_pickle_is(id->item[0], "storage") || id->item[1]->kind != VOLT_PICKLE_NAME ||
        id->item[2]->kind != VOLT_PICKLE_TEXT || id->item[4]->kind != VOLT_PICKLE_INT ||
        id->item[2]->bytes > MAX_KEY || id->item[4]->whole < 0)
        return volt_fail(VOLT_EFORMAT, "%s: a tensor has no storage such as torch writes",
                         path);
    if (id->count > 5 && id->item[5]->kind != VOLT_PICKLE_NONE)
        return volt_fail(VOLT_ENOTSUP, "%s: storage %s is a view of another one", path,
                         id->item[2]->text);
    for (size_t i = 0; i < sizeof storage_types / sizeof *storage_types; i++) {
        if (volt_pickle_is(id->item[1], storage_types[i].name)) {
            *type = storage_types[i].type;
            *key = id->item[2]->text;
            *elements = id->item[4]->whole;
            return VOLT_OK;
        }
    }
    return volt_fail(VOLT_ENOTSUP, "%s: storage %s has type '%s', which is not supported", path,
                     id->item[2]->text, id->item[1]->text);
}

/* ---- tensors ---- */

static volt_status read_extents(int64_t *out, const volt_pickle_value *v, int rank,
                                const char *path, const char *name)
{
    if (v->kind != VOLT_PICKLE_TUPLE || v->count != (size_t)rank)
        return volt_fail(VOLT_EFORMAT,
                         "%s: tensor %.100s has strides that do not fit its shape", path, name);
    for (int i = 0; i < rank; i++) {
        if (v->item[i]->kind != VOLT_PICKLE_INT || v->item[i]->whole < 0)
            return volt_fail(
                VOLT_EFORMAT,
                "%s: tensor %.100s has an extent or stride that is not a non-negative integer",
                path, name);
        out[i] = v->item[i]->whole;
    }
    return VOLT_OK;
}

/* The last element must be inside the storage. */
static volt_status check_reach(const volt_torch_tensor *t, int64_t offset, int64_t elements,
                               const char *path)
{
    int64_t last = offset, step;
    bool bad = offset > elements;

    for (int i = 0; i < t->view.rank; i++) {
        if (t->view.shape[i] == 0)
            return bad ? volt_fail(VOLT_EFORMAT,
                                   "%s: tensor %.100s starts past the end of its storage", path,
                                   t->view.name)
                       : VOLT_OK;
        bad = bad || volt_mul_i64(&step, t->view.shape[i] - 1, t->stride[i]) ||
              volt_add_i64(&last, last, step);
    }
    if (bad || last >= elements)
        return volt_fail(VOLT_EFORMAT,
                         "%s: tensor %.100s extends past the %lld element%s of its storage",
                         path, t->view.name, (long long)elements, volt_s((int64_t)elements));
    return VOLT_OK;
}

static bool is_dense(const volt_torch_tensor *t)
{
    int64_t step = 1;

    for (int i = t->view.rank - 1; i >= 0; i--) {
        if (t->view.shape[i] != 1 && t->stride[i] != step)
            return false;
        step *= t->view.shape[i];
    }
    return true;
}

/* The arguments of a rebuilt tensor; NULL for anything else. A parameter's is inside. */
static const volt_pickle_value *tensor_args(const volt_pickle_value *v)
{
    if (v->kind == VOLT_PICKLE_CALL &&
        strcmp(v->text, "torch._utils._rebuild_parameter") == 0 && v->count)
        v = v->item[0];
    return v->kind == VOLT_PICKLE_CALL && v->count >= 4 &&
                   (strcmp(v->text, "torch._utils._rebuild_tensor_v2") == 0 ||
                    strcmp(v->text, "torch._utils._rebuild_tensor") == 0)
               ? v
               : NULL;
}

/* (storage, offset, shape, stride, ...) */
static volt_status read_tensor(volt_torch_tensor *t, const volt_torch_file *file,
                               const char *name, const volt_pickle_value *args)
{
    const char *key = NULL;
    const storage *s;
    int64_t elements = 0;
    volt_status st;

    *t = (volt_torch_tensor){.view.name = name};
    VOLT_TRY(st, done,
             read_storage_id(&t->view.type, &key, &elements, args->item[0], file->path));
    s = find_storage(file, key);
    if (!s || s->bytes / volt_tensor_type_bytes(t->view.type) < (uint64_t)elements)
        return volt_fail(
            VOLT_EFORMAT,
            "%s: tensor %.100s is in storage %s of %lld element%s, which has %zu byte%s",
            file->path, name, key, (long long)elements, volt_s((int64_t)elements),
            s ? s->bytes : 0, volt_s((int64_t)(s ? s->bytes : 0)));
    if (args->item[1]->kind != VOLT_PICKLE_INT || args->item[1]->whole < 0 ||
        args->item[2]->kind != VOLT_PICKLE_TUPLE)
        return volt_fail(VOLT_EFORMAT, "%s: tensor %.100s has no shape", file->path, name);
    if (args->item[2]->count > VOLT_TENSOR_MAX_RANK)
        return volt_fail(VOLT_ENOTSUP, "%s: tensor %.100s has %zu axes; at most %d are read",
                         file->path, name, args->item[2]->count, VOLT_TENSOR_MAX_RANK);
    t->view.rank = (int)args->item[2]->count;
    VOLT_TRY(st, done,
             read_extents(t->view.shape, args->item[2], t->view.rank, file->path, name));
    VOLT_TRY(st, done, read_extents(t->stride, args->item[3], t->view.rank, file->path, name));
    if (volt_extent_bytes(&t->view.bytes, t->view.shape, t->view.rank,
                          volt_tensor_type_bytes(t->view.type)))
        return volt_fail(VOLT_EFORMAT, "%s: tensor %.100s is too large", file->path, name);
    VOLT_TRY(st, done, check_reach(t, args->item[1]->whole, elements, file->path));
    t->dense = is_dense(t);
    t->view.data =
        s->data + (size_t)args->item[1]->whole * volt_tensor_type_bytes(t->view.type);
done:
    return st;
}

/* ---- the state dict ---- */

static bool is_state_dict(const volt_pickle_value *v)
{
    size_t tensors = 0;

    if (!v || v->kind != VOLT_PICKLE_DICT)
        return false;
    for (size_t i = 0; i < v->count; i += 2)
        tensors += v->item[i]->kind == VOLT_PICKLE_TEXT && tensor_args(v->item[i + 1]);
    return tensors > 0 && tensors == v->count / 2;
}

static volt_status find_state_dict(const volt_pickle_value **out, const volt_torch_file *file)
{
    static const char *const keys[] = {"network_weights", "state_dict", "model_state_dict",
                                       "model", "net"};
    const volt_pickle_value *root = volt_pickle_root(file->pickle);
    char found[256] = "";
    size_t used = 0;

    if (is_state_dict(root)) {
        *out = root;
        return VOLT_OK;
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        *out = volt_pickle_get(root, keys[i]);
        if (is_state_dict(*out))
            return VOLT_OK;
    }
    if (root->kind != VOLT_PICKLE_DICT)
        return volt_fail(VOLT_EFORMAT, "%s holds %s; a dict of tensors is expected", file->path,
                         volt_pickle_kind_name(root));
    for (size_t i = 0; i < root->count && used < sizeof found; i += 2) {
        if (root->item[i]->kind == VOLT_PICKLE_TEXT)
            used += (size_t)snprintf(found + used, sizeof found - used, "%s%.40s",
                                     used ? ", " : "", root->item[i]->text);
    }
    return volt_fail(VOLT_EFORMAT,
                     "%s holds no dict of tensors, neither itself nor as network_weights, "
                     "state_dict, model_state_dict, model or net; its keys are: %s",
                     file->path, found);
}

static int by_data(const void *a, const void *b)
{
    const volt_torch_tensor *x = *(const volt_torch_tensor *const *)a,
                            *y = *(const volt_torch_tensor *const *)b;

    if (x->view.data != y->view.data)
        return (const char *)x->view.data < (const char *)y->view.data ? -1 : 1;
    return (x > y) - (x < y); /* in the order of the dict */
}

static int by_name(const void *a, const void *b)
{
    const volt_torch_tensor *x = *(const volt_torch_tensor *const *)a,
                            *y = *(const volt_torch_tensor *const *)b;

    return strcmp(x->view.name, y->view.name);
}

static bool same_place(const volt_torch_tensor *a, const volt_torch_tensor *b)
{
    const size_t extents = (size_t)a->view.rank * sizeof(int64_t);

    return a->view.data == b->view.data && a->view.type == b->view.type &&
           a->view.rank == b->view.rank && a->view.bytes == b->view.bytes &&
           memcmp(a->view.shape, b->view.shape, extents) == 0 &&
           memcmp(a->stride, b->stride, extents) == 0;
}

/* Sets every tensor's alias; leaves by_name sorted by name, without a name twice. */
static volt_status relate(volt_torch_file *file)
{
    const volt_torch_tensor **order = file->by_name;
    size_t first = 0;

    for (size_t i = 0; i < file->count; i++)
        order[i] = &file->tensor[i];
    qsort(order, file->count, sizeof *order, by_data);
    for (size_t i = 0; i < file->count; i++) {
        volt_torch_tensor *t = &file->tensor[order[i] - file->tensor];
        if (!same_place(order[first], t) || t->view.bytes == 0)
            first = i;
        t->alias = order[first] - file->tensor;
    }
    qsort(order, file->count, sizeof *order, by_name);
    for (size_t i = 1; i < file->count; i++) {
        if (strcmp(order[i - 1]->view.name, order[i]->view.name) == 0)
            return volt_fail(VOLT_EFORMAT, "%s: two tensors are named %.100s", file->path,
                             order[i]->view.name);
    }
    return VOLT_OK;
}

static volt_status read_tensors(volt_torch_file *file)
{
    const volt_pickle_value *dict = NULL;
    volt_status st;

    VOLT_TRY(st, done, find_state_dict(&dict, file));
    VOLT_TRY(st, done,
             volt_alloc_zero(&file->tensor, dict->count / 2, sizeof *file->tensor,
                             "a list of tensors"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&file->by_name, dict->count / 2, sizeof *file->by_name,
                             "a list of tensors"));
    for (size_t i = 0; i < dict->count; i += 2) {
        VOLT_TRY(st, done,
                 read_tensor(&file->tensor[file->count], file, dict->item[i]->text,
                             tensor_args(dict->item[i + 1])));
        file->count++;
    }
    st = relate(file);
done:
    return st;
}

/* ---- the zip form ---- */

/* The folder inside the archive that holds data.pkl. */
static volt_status find_folder(const char **out, size_t *length, const volt_torch_file *file)
{
    static const char wanted[] = "data.pkl";
    const volt_zip_member *found = NULL;

    for (size_t i = 0; i < volt_zip_count(file->zip); i++) {
        const volt_zip_member *m = volt_zip_at(file->zip, i);
        const char *slash = strchr(m->name, '/');
        if (!slash || strcmp(slash + 1, wanted) != 0)
            continue;
        if (found)
            return volt_fail(VOLT_EFORMAT, "%s holds two objects, %.80s and %.80s", file->path,
                             found->name, m->name);
        found = m;
    }
    if (!found)
        return volt_fail(VOLT_EFORMAT,
                         "%s is a zip archive but not torch's: it has no FOLDER/%s", file->path,
                         wanted);
    *out = found->name;
    *length = strlen(found->name) - strlen(wanted);
    return VOLT_OK;
}

static volt_status check_byteorder(const volt_torch_file *file, const char *folder,
                                   size_t length)
{
    char name[ZIP_MAX_NAME + 16];
    const volt_zip_member *m;
    char *text = NULL;
    volt_status st;

    snprintf(name, sizeof name, "%.*sbyteorder", (int)length, folder);
    m = volt_zip_find(file->zip, name);
    if (!m)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_zip_read(&text, NULL, file->zip, m, 64));
    if (strcmp(text, "little") != 0)
        st = volt_fail(VOLT_ENOTSUP, "%s: its byte order is '%s'; only 'little' is supported",
                       file->path, text);
done:
    volt_free(text);
    return st;
}

/* Members FOLDER/data/KEY, in the order of their keys. */
static volt_status list_zip_storages(volt_torch_file *file, const char *folder, size_t length)
{
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&file->storage, volt_zip_count(file->zip), sizeof *file->storage,
                             "a list of storages"));
    for (size_t i = 0; i < volt_zip_count(file->zip); i++) {
        const volt_zip_member *m = volt_zip_at(file->zip, i);
        storage *s = &file->storage[file->storages];
        const void *data;
        if (strncmp(m->name, folder, length) != 0 || strncmp(m->name + length, "data/", 5) != 0)
            continue;
        VOLT_TRY(st, done, volt_zip_view(&data, file->zip, m));
        *s = (storage){.key = m->name + length + 5, .data = data, .bytes = m->bytes};
        file->storages++;
    }
    if (file->storages)
        qsort(file->storage, file->storages, sizeof *file->storage, by_key);
done:
    return st;
}

static volt_status open_zip(volt_torch_file *file)
{
    const char *folder = NULL;
    char name[ZIP_MAX_NAME + 16], *text = NULL;
    size_t length = 0, bytes = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_zip_open(&file->zip, file->path));
    VOLT_TRY(st, done, find_folder(&folder, &length, file));
    VOLT_TRY(st, done, check_byteorder(file, folder, length));
    snprintf(name, sizeof name, "%.*sdata.pkl", (int)length, folder);
    VOLT_TRY(
        st, done,
        volt_zip_read(&text, &bytes, file->zip, volt_zip_find(file->zip, name), MAX_PICKLE));
    VOLT_TRY(st, done, volt_pickle_parse(&file->pickle, text, bytes, NULL, file->path));
    st = list_zip_storages(file, folder, length);
done:
    volt_free(text);
    return st;
}

/* ---- the legacy form ---- */

/* Reads one pickle at *at and moves behind it. */
static volt_status next_pickle(volt_pickle **out, const volt_torch_file *file, size_t *at)
{
    size_t left = file->map.bytes - *at, used = 0;
    volt_status st = volt_pickle_parse(
        out, file->map.data + *at, left < MAX_PICKLE ? left : MAX_PICKLE, &used, file->path);

    if (st == VOLT_OK)
        *at += used;
    return st;
}

/* After the magic number: the format's number and facts about the machine that wrote it. */
static volt_status read_preamble(const volt_torch_file *file, size_t *at)
{
    volt_pickle *version = NULL, *machine = NULL;
    const volt_pickle_value *v;
    volt_status st;

    VOLT_TRY(st, done, next_pickle(&version, file, at));
    v = volt_pickle_root(version);
    if (v->kind != VOLT_PICKLE_INT || v->whole != LEGACY_PROTOCOL) {
        st = volt_fail(VOLT_ENOTSUP, "%s has another version of torch's legacy format than %d",
                       file->path, LEGACY_PROTOCOL);
        goto done;
    }
    VOLT_TRY(st, done, next_pickle(&machine, file, at));
    v = volt_pickle_get(volt_pickle_root(machine), "little_endian");
    if (!v || v->kind != VOLT_PICKLE_BOOL || !v->whole)
        st = volt_fail(VOLT_ENOTSUP, "%s: its byte order is not little-endian", file->path);
done:
    volt_pickle_free(machine);
    volt_pickle_free(version);
    return st;
}

static volt_status add_storage(volt_torch_file *file, const char *key)
{
    const size_t room = file->storage_room ? 2 * file->storage_room : 256;
    volt_status st = VOLT_OK;

    if (file->storages == file->storage_room) {
        st = volt_realloc(&file->storage, file->storages * sizeof *file->storage,
                          room * sizeof *file->storage, "a list of storages");
        if (st != VOLT_OK)
            return st;
        file->storage_room = room;
    }
    file->storage[file->storages++] = (storage){.key = key};
    return st;
}

/* The references to a storage contain its type: sets its `bytes` to those of one element, until
 * its position is known. */
static volt_status type_storages(volt_torch_file *file)
{
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < volt_pickle_stored_count(file->pickle); i++) {
        volt_tensor_type type;
        const char *key;
        int64_t elements;
        storage *s;
        VOLT_TRY(st, done,
                 read_storage_id(&type, &key, &elements, volt_pickle_stored(file->pickle, i),
                                 file->path));
        s = find_storage(file, key);
        if (s)
            s->bytes = volt_tensor_type_bytes(type);
    }
done:
    return st;
}

/* Each storage: its number of elements, then the numbers, in the order of `keys`. */
static volt_status place_storages(volt_torch_file *file, size_t at)
{
    const volt_pickle_value *keys = volt_pickle_root(file->keys);

    for (size_t i = 0; i < keys->count; i++) {
        storage *s = find_storage(file, keys->item[i]->text);
        uint64_t elements;
        size_t bytes;
        if (!s->bytes)
            return volt_fail(VOLT_EFORMAT, "%s: nothing refers to its storage %s", file->path,
                             s->key);
        if (file->map.bytes - at < 8)
            return volt_fail(VOLT_EFORMAT, "%s ends before storage %s", file->path, s->key);
        elements = zip_get(file->map.data + at, 8);
        at += 8;
        if (volt_mul_size(&bytes, (size_t)elements, s->bytes) || bytes > file->map.bytes - at)
            return volt_fail(VOLT_EFORMAT, "%s ends within storage %s of %llu element%s",
                             file->path, s->key, (unsigned long long)elements,
                             volt_s((int64_t)elements));
        s->data = file->map.data + at;
        s->bytes = bytes;
        at += bytes;
    }
    return VOLT_OK;
}

static volt_status open_legacy(volt_torch_file *file)
{
    const volt_pickle_value *keys;
    size_t at = sizeof legacy_start;
    volt_status st;

    VOLT_TRY(st, done, volt_map_open(&file->map, file->path));
    VOLT_TRY(st, done, read_preamble(file, &at));
    VOLT_TRY(st, done, next_pickle(&file->pickle, file, &at));
    VOLT_TRY(st, done, next_pickle(&file->keys, file, &at));
    keys = volt_pickle_root(file->keys);
    if (keys->kind != VOLT_PICKLE_LIST)
        return volt_fail(VOLT_EFORMAT, "%s: found %s where the list of storages is expected",
                         file->path, volt_pickle_kind_name(keys));
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->item[i]->kind != VOLT_PICKLE_TEXT || keys->item[i]->bytes > MAX_KEY)
            return volt_fail(VOLT_EFORMAT, "%s: a storage has no name", file->path);
        VOLT_TRY(st, done, add_storage(file, keys->item[i]->text));
    }
    if (file->storages)
        qsort(file->storage, file->storages, sizeof *file->storage, by_key);
    for (size_t i = 1; i < file->storages; i++) {
        if (by_key(&file->storage[i - 1], &file->storage[i]) == 0)
            return volt_fail(VOLT_EFORMAT, "%s: two storages are named %s", file->path,
                             file->storage[i].key);
    }
    VOLT_TRY(st, done, type_storages(file));
    st = place_storages(file, at);
done:
    return st;
}

/* ---- opening ---- */

static volt_status open_either(volt_torch_file *file)
{
    unsigned char start[sizeof legacy_start] = {0};
    volt_map map = {0};
    size_t bytes;
    volt_status st = volt_map_open(&map, file->path);

    if (st != VOLT_OK)
        return st;
    bytes = map.bytes < sizeof start ? map.bytes : sizeof start;
    if (bytes)
        memcpy(start, map.data, bytes);
    if (!volt_torch_is(map.data, map.bytes))
        st = volt_fail(VOLT_EFORMAT,
                       "%s was not written by torch.save: it is neither a zip archive nor the "
                       "legacy format before torch 1.6",
                       file->path);
    volt_map_close(&map);
    if (st != VOLT_OK)
        return st;
    return start[0] == legacy_start[0] ? open_legacy(file) : open_zip(file);
}

volt_status volt_torch_open(volt_torch_file **out, const char *path)
{
    volt_torch_file *file = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&file, 1, sizeof *file, "a file of torch"));
    VOLT_TRY(st, done, volt_strdup(&file->path, path));
    VOLT_TRY(st, done, open_either(file));
    VOLT_TRY(st, done, read_tensors(file));
    *out = file;
    file = NULL;
done:
    volt_torch_close(file);
    return st;
}

void volt_torch_close(volt_torch_file *file)
{
    if (!file)
        return;
    volt_free((void *)(uintptr_t)file->by_name);
    volt_free(file->tensor);
    volt_free(file->storage);
    volt_pickle_free(file->keys);
    volt_pickle_free(file->pickle);
    volt_map_close(&file->map);
    volt_zip_close(file->zip);
    volt_free(file->path);
    volt_free(file);
}

size_t volt_torch_count(const volt_torch_file *file)
{
    return file->count;
}

const volt_torch_tensor *volt_torch_at(const volt_torch_file *file, size_t index)
{
    return &file->tensor[index];
}

const volt_pickle_value *volt_torch_root(const volt_torch_file *file)
{
    return volt_pickle_root(file->pickle);
}
