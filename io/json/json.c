#include "io/json/json.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/core/plural.h"
#include "base/core/utf8.h"
#include "base/system/file.h"
#include "base/core/alloc.h"

/* -- Loading ------------------------------------------------------------------------------ */

/* jansson itself stops at 2048 levels, so this recursion is bounded. */
static int depth_of(const json_t *value)
{
    int deepest = 0;

    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            const int d = depth_of(json_array_get(value, i));
            deepest = d > deepest ? d : deepest;
        }
    } else if (json_is_object(value)) {
        const char *key;
        json_t *item;
        json_object_foreach((json_t *)value, key, item)
        {
            const int d = depth_of(item);
            deepest = d > deepest ? d : deepest;
        }
    }
    return deepest + 1;
}

volt_status volt_json_parse(volt_json *out, const char *text, size_t bytes, const char *name)
{
    volt_json doc = {0};
    json_error_t error;
    int depth;
    volt_status st;

    if (bytes > VOLT_JSON_MAX_BYTES)
        return volt_fail(VOLT_EFORMAT, "%s holds %zu bytes of JSON; at most %zu are read", name,
                         bytes, VOLT_JSON_MAX_BYTES);
    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        bytes -= 3;
    }
    VOLT_TRY(st, done, volt_strdup(&doc.file, name));
    errno = 0; /* jansson does not report every failed allocation as one */
    doc.root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!doc.root && errno == ENOMEM) {
        st = volt_fail(VOLT_ENOMEM, "no memory for the JSON of %s", name);
        goto done;
    }
    if (!doc.root) {
        st = volt_fail(VOLT_EFORMAT, "%s, line %d, column %d is not valid JSON: %s", name,
                       error.line, error.column, error.text);
        goto done;
    }
    depth = depth_of(doc.root);
    if (depth > VOLT_JSON_MAX_DEPTH) {
        st = volt_fail(VOLT_EFORMAT, "%s is nested %d levels deep; at most %d are read", name,
                       depth, VOLT_JSON_MAX_DEPTH);
        goto done;
    }
    *out = doc;
    doc = (volt_json){0};
done:
    volt_json_close(&doc);
    return st;
}

volt_status volt_json_load(volt_json *out, const char *path)
{
    char *text = NULL;
    size_t bytes = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_read_file(&text, &bytes, path, VOLT_JSON_MAX_BYTES));
    st = volt_json_parse(out, text, bytes, path);
done:
    volt_free(text);
    return st;
}

void volt_json_close(volt_json *doc)
{
    json_decref(doc->root);
    volt_free(doc->file);
    *doc = (volt_json){0};
}

/* -- Places ------------------------------------------------------------------------------- */

volt_json_at volt_json_root(const volt_json *doc)
{
    return (volt_json_at){.value = doc->root, .file = doc->file};
}

/* out = parent's path with `step` appended; the front gives way when it does not fit. */
static void extend_path(volt_json_at *out, const char *parent, const char *step)
{
    char joined[2 * sizeof out->path];
    const char *from = joined;
    size_t length;

    snprintf(joined, sizeof joined, "%.230s%.230s", parent, step);
    length = strlen(joined);
    if (length >= sizeof out->path)
        from += length - (sizeof out->path - 1);
    memcpy(out->path, from, strlen(from) + 1);
}

static void step_to_key(volt_json_at *out, const volt_json_at *object, const char *key)
{
    char parent[sizeof object->path], step[sizeof object->path];

    memcpy(parent, object->path, sizeof parent);
    snprintf(step, sizeof step, "%s%.200s", *parent ? "." : "", key);
    extend_path(out, parent, step);
}

static void step_to_index(volt_json_at *out, const volt_json_at *array, size_t index)
{
    char parent[sizeof array->path], step[32];

    memcpy(parent, array->path, sizeof parent);
    snprintf(step, sizeof step, "[%zu]", index);
    extend_path(out, parent, step);
}

volt_status(volt_json_fail)(const volt_json_at *at, const char *fmt, ...)
{
    char words[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    return volt_fail(VOLT_EFORMAT, "%s: %s %s", at->file, *at->path ? at->path : "the document",
                     words);
}

/* The value in a few words, for "PATH is ...". */
static const char *shown(const json_t *value, char *text, size_t room)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        snprintf(text, room, "an array of %zu", json_array_size(value));
        return text;
    case JSON_STRING:
        snprintf(text, room, "\"%.60s\"", json_string_value(value));
        return text;
    case JSON_INTEGER:
        snprintf(text, room, "%lld", (long long)json_integer_value(value));
        return text;
    case JSON_REAL:
        snprintf(text, room, "%.9g", json_real_value(value));
        return text;
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    default:
        return "null";
    }
}

static volt_status fail_kind(const volt_json_at *at, const char *expected)
{
    char text[80];

    return volt_json_fail(at, "is %s; %s is expected", shown(at->value, text, sizeof text),
                          expected);
}

/* -- Fetching ----------------------------------------------------------------------------- */

volt_status volt_json_optional(volt_json_at *out, const volt_json_at *object, const char *key)
{
    volt_json_at at = {.file = object->file};
    const json_t *value;

    if (!json_is_object(object->value))
        return fail_kind(object, "an object");
    value = json_object_get(object->value, key);
    at.value = json_is_null(value) ? NULL : value;
    step_to_key(&at, object, key);
    *out = at;
    return VOLT_OK;
}

volt_status volt_json_member(volt_json_at *out, const volt_json_at *object, const char *key)
{
    volt_json_at at;
    volt_status st = volt_json_optional(&at, object, key);

    if (st != VOLT_OK)
        return st;
    if (!at.value)
        return volt_json_fail(&at, "is missing");
    *out = at;
    return VOLT_OK;
}

volt_status volt_json_length(size_t *out, const volt_json_at *array, size_t low, size_t high)
{
    size_t length;

    if (!json_is_array(array->value))
        return fail_kind(array, "an array");
    length = json_array_size(array->value);
    if (length < low || length > high) {
        if (low == high)
            return volt_json_fail(array, "has %zu item%s, expected %zu", length,
                                  volt_s((int64_t)length), low);
        return volt_json_fail(array, "has %zu item%s; %zu to %zu are expected", length,
                              volt_s((int64_t)length), low, high);
    }
    *out = length;
    return VOLT_OK;
}

volt_status volt_json_item(volt_json_at *out, const volt_json_at *array, size_t index)
{
    volt_json_at at = {.file = array->file};

    if (!json_is_array(array->value))
        return fail_kind(array, "an array");
    at.value = json_array_get(array->value, index);
    if (!at.value)
        return volt_json_fail(array, "has %zu item%s; item %zu is missing",
                              json_array_size(array->value),
                              volt_s((int64_t)json_array_size(array->value)), index);
    step_to_index(&at, array, index);
    *out = at;
    return VOLT_OK;
}

volt_status volt_json_count(size_t *out, const volt_json_at *object)
{
    if (!json_is_object(object->value))
        return fail_kind(object, "an object");
    *out = json_object_size(object->value);
    return VOLT_OK;
}

volt_status volt_json_entry(const char **key, volt_json_at *out, const volt_json_at *object,
                            size_t index)
{
    volt_json_at at = {.file = object->file};
    const char *name;
    void *entry;

    if (!json_is_object(object->value))
        return fail_kind(object, "an object");
    entry = json_object_iter((json_t *)object->value);
    for (size_t i = 0; entry && i < index; i++)
        entry = json_object_iter_next((json_t *)object->value, entry);
    if (!entry)
        return volt_json_fail(object, "has %zu key%s; key %zu is missing",
                              json_object_size(object->value),
                              volt_s((int64_t)json_object_size(object->value)), index);
    at.value = json_object_iter_value(entry);
    name = json_object_iter_key(entry);
    step_to_key(&at, object, name);
    *key = name;
    *out = at;
    return VOLT_OK;
}

volt_status volt_json_int(int64_t *out, const volt_json_at *at, int64_t low, int64_t high)
{
    const double real = json_is_real(at->value) ? json_real_value(at->value) : 0.5;
    int64_t value;

    if (json_is_integer(at->value))
        value = json_integer_value(at->value);
    else if (real == floor(real) && fabs(real) < 9e15)
        value = (int64_t)real;
    else
        return fail_kind(at, "an integer");
    if (value < low || value > high)
        return volt_json_fail(at, "is %lld; %lld to %lld is expected", (long long)value,
                              (long long)low, (long long)high);
    *out = value;
    return VOLT_OK;
}

volt_status volt_json_double(double *out, const volt_json_at *at, double low, double high)
{
    double value;

    if (!json_is_number(at->value))
        return fail_kind(at, "a number");
    value = json_number_value(at->value);
    if (!isfinite(value) || value < low || value > high)
        return volt_json_fail(at, "is %.9g; %.9g to %.9g is expected", value, low, high);
    *out = value;
    return VOLT_OK;
}

volt_status volt_json_bool(bool *out, const volt_json_at *at)
{
    if (!json_is_boolean(at->value))
        return fail_kind(at, "true or false");
    *out = json_is_true(at->value);
    return VOLT_OK;
}

/* Names and values are printed: an escape sequence in one must not reach a terminal. */
static bool has_control(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if ((*c < ' ' && *c != '\n' && *c != '\t') || *c == 127 ||
            (*c == 0xc2 && c[1] < 0xa0)) /* U+0080 to U+009F */
            return true;
    }
    return false;
}

volt_status volt_json_check_key(const volt_json_at *at, const char *key)
{
    if (has_control(key))
        return volt_json_fail(at, "has a control character in its name");
    return VOLT_OK;
}

volt_status volt_json_text(const char **out, const volt_json_at *at, size_t limit)
{
    if (!json_is_string(at->value))
        return fail_kind(at, "a string");
    if (json_string_length(at->value) > limit)
        return volt_json_fail(at, "has %zu byte%s; at most %zu are expected",
                              json_string_length(at->value),
                              volt_s((int64_t)json_string_length(at->value)), limit);
    if (has_control(json_string_value(at->value)))
        return fail_kind(at, "text without control characters");
    *out = json_string_value(at->value);
    return VOLT_OK;
}

volt_status volt_json_ints(int64_t *out, const volt_json_at *at, size_t count, int64_t low,
                           int64_t high)
{
    size_t length = 0;
    volt_json_at item;
    volt_status st = volt_json_length(&length, at, count, count);

    /* Twice, so that `out` changes only on success. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; st == VOLT_OK && i < length; i++) {
            int64_t value = 0;
            st = volt_json_item(&item, at, i);
            if (st == VOLT_OK)
                st = volt_json_int(&value, &item, low, high);
            if (st == VOLT_OK && pass == 1)
                out[i] = value;
        }
    }
    return st;
}

volt_status volt_json_doubles(double *out, const volt_json_at *at, size_t count, double low,
                              double high)
{
    size_t length = 0;
    volt_json_at item;
    volt_status st = volt_json_length(&length, at, count, count);

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; st == VOLT_OK && i < length; i++) {
            double value = 0;
            st = volt_json_item(&item, at, i);
            if (st == VOLT_OK)
                st = volt_json_double(&value, &item, low, high);
            if (st == VOLT_OK && pass == 1)
                out[i] = value;
        }
    }
    return st;
}

/* -- Building ----------------------------------------------------------------------------- */

json_t *volt_json_string(const char *text)
{
    static const char unknown[] = "\xef\xbf\xbd"; /* U+FFFD */
    const size_t bytes = text ? strlen(text) : 0;
    size_t used = 0;
    char *copy = NULL;
    json_t *string;

    if (!text || volt_is_utf8(text, bytes))
        return text ? json_string(text) : NULL;
    if (volt_alloc_zero(&copy, bytes, 3, "a name") != VOLT_OK)
        return NULL;
    for (size_t i = 0, n; i < bytes; i += n ? n : 1) {
        n = volt_utf8_character(text + i, bytes - i);
        memcpy(copy + used, n ? text + i : unknown, n ? n : 3);
        used += n ? n : 3;
    }
    string = json_stringn(copy, used);
    volt_free(copy);
    return string;
}

int volt_json_set(json_t *object, const char *key, json_t *value)
{
    json_t *name = volt_json_string(key);
    int failed = -1;

    if (name)
        failed = json_object_set_new(object, json_string_value(name), value);
    else
        json_decref(value);
    json_decref(name);
    return failed;
}

json_t *volt_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *volt_json_array_of_ints(const int64_t *values, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < count; i++) {
        if (json_array_append_new(array, json_integer(values[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

json_t *volt_json_array_of_doubles(const double *values, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < count; i++) {
        if (json_array_append_new(array, volt_json_number(values[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}
