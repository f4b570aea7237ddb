#include "nets3d/models/kwargs.h"

#include <string.h>

/* The first object that has the key, be its value null. */
static const volt_json_at *holder_of(const volt_inherited *c, const char *key)
{
    int i = 0;

    while (i < c->count - 1 && !json_object_get(c->at[i].value, key))
        i++;
    return &c->at[i];
}

volt_status volt_inherited_optional(volt_json_at *out, const volt_inherited *c, const char *key)
{
    return volt_json_optional(out, holder_of(c, key), key);
}

volt_status volt_inherited_member(volt_json_at *out, const volt_inherited *c, const char *key)
{
    const volt_json_at *holder = holder_of(c, key);
    volt_status st = volt_json_optional(out, holder, key);

    if (st != VOLT_OK || out->value)
        return st;
    return json_object_get(holder->value, key)
               ? volt_json_fail(out, "is null; a value is expected")
               : volt_json_fail(&c->at[0], "lacks \"%s\"", key);
}

volt_status volt_kwargs_expect(const volt_json_at *at, const char *expected)
{
    const char *text;
    volt_status st = volt_json_text(&text, at, 1024);

    if (st == VOLT_OK && strcmp(text, expected) != 0) {
        volt_json_fail(at, "is \"%s\"; only \"%s\" is supported", text, expected);
        st = VOLT_ENOTSUP;
    }
    return st;
}

volt_status volt_kwargs_bool(bool *out, const volt_json_at *kwargs, const char *key)
{
    volt_json_at at;
    volt_status st = volt_json_optional(&at, kwargs, key);

    return st == VOLT_OK && at.value ? volt_json_bool(out, &at) : st;
}

volt_status volt_kwargs_int(int64_t *out, const volt_json_at *kwargs, const char *key,
                            int64_t high)
{
    volt_json_at at;
    volt_status st = volt_json_optional(&at, kwargs, key);

    return st == VOLT_OK && at.value ? volt_json_int(out, &at, 0, high) : st;
}

volt_status volt_kwargs_triples(int64_t (*out)[3], const volt_json_at *list, int count,
                                int axes, int64_t high)
{
    volt_json_at at;
    size_t length;
    volt_status st;

    VOLT_TRY(st, done, volt_json_length(&length, list, (size_t)count, (size_t)count));
    for (size_t i = 0; i < length; i++) {
        out[i][0] = 1;
        VOLT_TRY(st, done, volt_json_item(&at, list, i));
        VOLT_TRY(st, done, volt_json_ints(out[i] + 3 - axes, &at, (size_t)axes, 1, high));
    }
done:
    return st;
}

json_t *volt_kwargs_triples_json(const int64_t (*v)[3], int first, int end, int axes)
{
    json_t *list = json_array();

    for (int i = first; i < end; i++) {
        if (json_array_append_new(
                list, volt_json_array_of_ints(v[i] + 3 - axes, (size_t)axes)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
