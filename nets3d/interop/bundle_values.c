/* References and literals of MONAI's config format. */
#include "nets3d/interop/bundle_values.h"

#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"

enum { MAX_CHAIN = 16, MAX_EXPRESSION = 4096 };

static volt_status resolve(json_t **out, const volt_json *config, const volt_json_at *at,
                           bool deep, int chain);

/* ---- literals ---- */

/* Python's literals become JSON's: tuples are lists, and None, True and False are spelled in
 * lower case. False if the text holds anything else. */
static bool literal_to_json(char *out, const char *text)
{
    static const char *const words[][2] = {
        {"None", "null"}, {"True", "true"}, {"False", "false"}};
    size_t used = 0;

    while (*text) {
        bool word = false;
        for (int i = 0; i < 3; i++) {
            const size_t bytes = strlen(words[i][0]);
            if (strncmp(text, words[i][0], bytes) == 0) {
                used += (size_t)(stpcpy(out + used, words[i][1]) - (out + used));
                text += bytes;
                word = true;
            }
        }
        if (word)
            continue;
        if (!strchr("0123456789+-.eE,[]() ", *text))
            return false;
        if (*text == ')' || *text == ']') { /* a comma at the end, as in (3,) */
            while (used && out[used - 1] == ' ')
                used--;
            if (used && out[used - 1] == ',')
                used--;
        }
        out[used++] = *text == '(' ? '[' : *text == ')' ? ']' : *text;
        text++;
    }
    out[used] = '\0';
    return used > 0;
}

/* len(@key), the one call that real bundles need; *out stays NULL for any other text. */
static volt_status read_length(json_t **out, const volt_json *config, const volt_json_at *at,
                               const char *text, int chain)
{
    static const char call[] = "len(@";
    const size_t bytes = strlen(text), head = sizeof call - 2; /* up to the @ */
    volt_json_at inner = *at;
    json_t *reference = NULL, *list = NULL;
    volt_status st = VOLT_OK;

    if (strncmp(text, call, sizeof call - 1) != 0 || text[bytes - 1] != ')' ||
        strcspn(text + head, " .()[]+-*/,=<>") != bytes - 1 - head)
        return VOLT_OK;
    reference = json_stringn(text + head, bytes - 1 - head);
    inner.value = reference;
    st = reference ? resolve(&list, config, &inner, false, chain + 1)
                   : volt_fail(VOLT_ENOMEM, "out of memory for a config");
    if (st == VOLT_OK && json_is_array(list))
        *out = json_integer((json_int_t)json_array_size(list));
    json_decref(list);
    json_decref(reference);
    return st;
}

static volt_status read_expression(json_t **out, const volt_json *config,
                                   const volt_json_at *at, const char *text, bool deep,
                                   int chain)
{
    char json[MAX_EXPRESSION * 2];
    volt_status failure;

    while (*text == ' ')
        text++;
    if (*text == '@' && strcspn(text, " .()[]+-*/,=<>") == strlen(text)) {
        volt_json_at inner = *at;
        json_t *reference = json_string(text);
        volt_status st;
        inner.value = reference;
        st = reference ? resolve(out, config, &inner, deep, chain + 1)
                       : volt_fail(VOLT_ENOMEM, "out of memory for a config");
        json_decref(reference);
        return st;
    }
    failure = read_length(out, config, at, text, chain);
    if (failure != VOLT_OK || *out)
        return failure;
    if (strlen(text) < MAX_EXPRESSION && literal_to_json(json, text)) {
        *out = json_loads(json, JSON_DECODE_ANY, NULL);
        if (*out)
            return VOLT_OK;
    }
    volt_json_fail(at,
                   "is the expression \"$%.120s\", which only Python can evaluate; write its "
                   "value instead",
                   text);
    return VOLT_ENOTSUP;
}

/* ---- references ---- */

/* One step into an object or a list; NULL if there is nothing. */
static const json_t *step_into(const json_t *from, const char *name)
{
    char *end;
    const unsigned long index = strtoul(name, &end, 10);

    if (json_is_array(from) && *name && !*end)
        return json_array_get(from, index);
    return json_object_get(from, name);
}

static volt_status follow(json_t **out, const volt_json *config, const volt_json_at *at,
                          const char *reference, bool deep, int chain)
{
    json_t *here = json_incref(config->root), *next = NULL;
    volt_json_at inner = *at;
    char part[256];
    volt_status st = VOLT_OK;

    for (const char *rest = reference + 1; *rest;) {
        const size_t bytes = strcspn(rest, "#:");
        if (bytes == 0 || bytes >= sizeof part) {
            st = volt_json_fail(at, "is \"%.80s\", which is no reference", reference);
            goto done;
        }
        memcpy(part, rest, bytes);
        part[bytes] = '\0';
        inner.value = step_into(here, part);
        if (!inner.value) {
            st = volt_json_fail(at, "refers to \"%.80s\", which the file does not have",
                                reference);
            goto done;
        }
        VOLT_TRY(st, done, resolve(&next, config, &inner, false, chain + 1));
        json_decref(here);
        here = next;
        next = NULL;
        rest += bytes;
        rest += strspn(rest, "#:");
    }
    inner.value = here;
    st = resolve(out, config, &inner, deep, chain + 1);
done:
    json_decref(here);
    return st;
}

/* ---- values ---- */

/* An object or a list with its members resolved. */
static volt_status resolve_members(json_t **out, const volt_json *config,
                                   const volt_json_at *at, int chain)
{
    const bool object = json_is_object(at->value);
    json_t *made = object ? json_object() : json_array(), *value = NULL;
    size_t count = json_array_size(at->value); /* 0 of an object */
    volt_json_at inner;
    const char *key = NULL;
    volt_status st = VOLT_OK;

    if (object)
        VOLT_TRY(st, done, volt_json_count(&count, at));
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done,
                 object ? volt_json_entry(&key, &inner, at, i) : volt_json_item(&inner, at, i));
        VOLT_TRY(st, done, resolve(&value, config, &inner, true, chain));
        if (object ? json_object_set_new(made, key, value)
                   : json_array_append_new(made, value)) {
            st = volt_fail(VOLT_ENOMEM, "out of memory for a config");
            goto done;
        }
    }
    *out = json_incref(made);
done:
    json_decref(made);
    return st;
}

static volt_status resolve(json_t **out, const volt_json *config, const volt_json_at *at,
                           bool deep, int chain)
{
    const char *text = json_string_value(at->value);

    if (chain > MAX_CHAIN)
        return volt_json_fail(at, "is a chain of more than %d references", MAX_CHAIN);
    if (text && *text == '@')
        return follow(out, config, at, text, deep, chain);
    if (text && *text == '$')
        return read_expression(out, config, at, text + 1, deep, chain);
    if (text && *text == '%') {
        volt_json_fail(at, "is \"%.80s\", a part of another file; write its value instead",
                       text);
        return VOLT_ENOTSUP;
    }
    if (deep && (json_is_object(at->value) || json_is_array(at->value)))
        return resolve_members(out, config, at, chain + 1);
    *out = json_incref((json_t *)(uintptr_t)at->value);
    return VOLT_OK;
}

volt_status volt_bundle_resolve(json_t **out, const volt_json *config, const volt_json_at *at)
{
    return resolve(out, config, at, true, 0);
}

volt_status volt_bundle_look(json_t **out, const volt_json *config, const volt_json_at *at)
{
    return resolve(out, config, at, false, 0);
}
