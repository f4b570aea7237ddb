/* Looking things up in a pickle's tree, and saying it as JSON. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "io/json/json.h"
#include "io/tensors/pickle.h"
#include "volume/grid/half.h"

enum { MAX_JSON_DEPTH = 32, MAX_JSON_VALUES = 1000000 };

const volt_pickle_value *volt_pickle_get(const volt_pickle_value *dict, const char *key)
{
    if (!dict || dict->kind != VOLT_PICKLE_DICT)
        return NULL;
    for (size_t i = dict->count; i >= 2; i -= 2) {
        if (dict->item[i - 2]->kind == VOLT_PICKLE_TEXT &&
            strcmp(dict->item[i - 2]->text, key) == 0)
            return dict->item[i - 1];
    }
    return NULL;
}

bool volt_pickle_is(const volt_pickle_value *v, const char *text)
{
    return v && (v->kind == VOLT_PICKLE_TEXT || v->kind == VOLT_PICKLE_NAME) &&
           strcmp(v->text, text) == 0;
}

/* ---- numbers of numpy ---- */

static double real_of(const unsigned char *at, int64_t bytes)
{
    float single;
    double wide;
    uint16_t half;

    if (bytes == 8) {
        memcpy(&wide, at, 8);
        return wide;
    }
    if (bytes == 4) {
        memcpy(&single, at, 4);
        return single;
    }
    memcpy(&half, at, 2);
    return volt_half_to_float(half);
}

static double whole_of(const unsigned char *at, int64_t bytes, bool is_signed)
{
    uint64_t v = is_signed && at[bytes - 1] & 0x80 ? UINT64_MAX : 0;

    for (int64_t i = bytes - 1; i >= 0; i--)
        v = v << 8 | at[i];
    return is_signed ? (double)(int64_t)v : (double)v;
}

/* scalar(dtype('f4', ...), bytes) */
static bool scalar_number(double *out, const volt_pickle_value *v)
{
    const volt_pickle_value *type, *data;
    const char *code;
    int64_t bytes;

    if (v->kind != VOLT_PICKLE_CALL || v->count != 2 ||
        (strcmp(v->text, "numpy._core.multiarray.scalar") != 0 &&
         strcmp(v->text, "numpy.core.multiarray.scalar") != 0))
        return false;
    type = v->item[0];
    data = v->item[1];
    if (type->kind != VOLT_PICKLE_CALL || strcmp(type->text, "numpy.dtype") != 0 ||
        type->count < 1 || type->item[0]->kind != VOLT_PICKLE_TEXT ||
        type->item[0]->bytes != 2 || data->kind != VOLT_PICKLE_BYTES)
        return false;
    code = type->item[0]->text;
    bytes = code[1] - '0';
    if ((bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) || data->bytes != (size_t)bytes)
        return false;
    /* The byte order is the second item of the dtype's state: only '>' is foreign. */
    if (type->state && type->state->kind == VOLT_PICKLE_TUPLE && type->state->count > 1 &&
        volt_pickle_is(type->state->item[1], ">"))
        return false;
    if (code[0] == 'f' && bytes >= 2)
        *out = real_of((const unsigned char *)data->text, bytes);
    else if (code[0] == 'i' || code[0] == 'u' || code[0] == 'b')
        *out = whole_of((const unsigned char *)data->text, bytes, code[0] == 'i');
    else
        return false;
    return true;
}

bool volt_pickle_number(double *out, const volt_pickle_value *v)
{
    if (!v)
        return false;
    switch (v->kind) {
    case VOLT_PICKLE_BOOL:
    case VOLT_PICKLE_INT:
        *out = (double)v->whole;
        return true;
    case VOLT_PICKLE_FLOAT:
        *out = v->real;
        return true;
    default:
        return scalar_number(out, v);
    }
}

const char *volt_pickle_kind_name(const volt_pickle_value *v)
{
    static const char *const names[] = {
        [VOLT_PICKLE_NONE] = "None",      [VOLT_PICKLE_BOOL] = "a truth value",
        [VOLT_PICKLE_INT] = "an integer", [VOLT_PICKLE_LONG] = "a long integer",
        [VOLT_PICKLE_FLOAT] = "a number", [VOLT_PICKLE_TEXT] = "a text",
        [VOLT_PICKLE_BYTES] = "bytes",    [VOLT_PICKLE_TUPLE] = "a tuple",
        [VOLT_PICKLE_LIST] = "a list",    [VOLT_PICKLE_SET] = "a set",
        [VOLT_PICKLE_DICT] = "a dict",    [VOLT_PICKLE_PERSISTENT] = "a stored object"};

    if (!v)
        return "nothing";
    return v->kind == VOLT_PICKLE_NAME || v->kind == VOLT_PICKLE_CALL ? v->text
                                                                      : names[v->kind];
}

/* ---- JSON ---- */

typedef struct writer {
    const char *what;
    size_t values;
} writer;

static volt_status to_json(json_t **out, const volt_pickle_value *v, writer *w, int depth);

static volt_status no_memory(const writer *w)
{
    return volt_fail(VOLT_ENOMEM, "no memory for %s", w->what);
}

/* A dict's key as Python's json writes it. */
static const char *key_text(char number[32], const volt_pickle_value *key)
{
    if (key->kind == VOLT_PICKLE_TEXT)
        return key->text;
    if (key->kind != VOLT_PICKLE_INT)
        return NULL;
    snprintf(number, 32, "%lld", (long long)key->whole);
    return number;
}

static volt_status dict_json(json_t *object, const volt_pickle_value *v, writer *w, int depth)
{
    char number[32];
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < v->count && st == VOLT_OK; i += 2) {
        const char *key = key_text(number, v->item[i]);
        json_t *item = NULL;
        if (!key)
            return volt_fail(VOLT_EFORMAT, "%s: a key is %s; text is expected", w->what,
                             volt_pickle_kind_name(v->item[i]));
        st = to_json(&item, v->item[i + 1], w, depth);
        if (st == VOLT_OK && json_object_set_new(object, key, item) != 0)
            st = no_memory(w);
    }
    return st;
}

static volt_status list_json(json_t *array, const volt_pickle_value *v, writer *w, int depth)
{
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < v->count && st == VOLT_OK; i++) {
        json_t *item = NULL;
        st = to_json(&item, v->item[i], w, depth);
        if (st == VOLT_OK && json_array_append_new(array, item) != 0)
            st = no_memory(w);
    }
    return st;
}

static json_t *plain_json(const volt_pickle_value *v)
{
    double number;

    switch (v->kind) {
    case VOLT_PICKLE_NONE:
        return json_null();
    case VOLT_PICKLE_BOOL:
        return json_boolean(v->whole);
    case VOLT_PICKLE_INT:
        return json_integer((json_int_t)v->whole);
    case VOLT_PICKLE_TEXT:
        return json_string(v->text);
    case VOLT_PICKLE_DICT:
        return json_object();
    case VOLT_PICKLE_LIST:
    case VOLT_PICKLE_TUPLE:
        return json_array();
    default:
        if (!volt_pickle_number(&number, v))
            return NULL;
        if (v->kind == VOLT_PICKLE_CALL && number == floor(number) && fabs(number) < 9e15)
            return json_integer((json_int_t)number);
        return volt_json_number(number);
    }
}

static volt_status to_json(json_t **out, const volt_pickle_value *v, writer *w, int depth)
{
    json_t *value;
    volt_status st = VOLT_OK;

    if (depth > MAX_JSON_DEPTH || ++w->values > MAX_JSON_VALUES)
        return volt_fail(VOLT_EFORMAT,
                         "%s is nested deeper than %d levels or larger than %d "
                         "values",
                         w->what, MAX_JSON_DEPTH, MAX_JSON_VALUES);
    value = plain_json(v);
    if (!value)
        return volt_fail(VOLT_EFORMAT, "%s holds %s, which JSON cannot represent", w->what,
                         volt_pickle_kind_name(v));
    if (v->kind == VOLT_PICKLE_DICT)
        st = dict_json(value, v, w, depth + 1);
    else if (json_is_array(value))
        st = list_json(value, v, w, depth + 1);
    if (st == VOLT_OK)
        *out = value;
    else
        json_decref(value);
    return st;
}

volt_status volt_pickle_json(char **out, const volt_pickle_value *v, const char *what)
{
    writer w = {.what = what};
    json_t *root = NULL;
    volt_status st = to_json(&root, v, &w, 0);

    if (st == VOLT_OK)
        st = volt_json_dump_line(out, NULL, root);
    json_decref(root);
    return st;
}
