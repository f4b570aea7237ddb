/* dump.c - JSON values as text. jansson prints every number with the same count of digits (0.1
 * becomes 0.10000000000000001); people edit these files, so each gets the fewest.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/json/json.h"

/* A growing text; the first failure sticks. */
typedef struct writer {
    char *text;
    size_t bytes, room;
    bool lines; /* one value per line, indented */
    volt_status st;
} writer;

static void put(writer *w, const char *text, size_t bytes)
{
    if (w->st != VOLT_OK)
        return;
    if (w->bytes + bytes + 1 > w->room) {
        const size_t more = 2 * (w->bytes + bytes) + 256;
        w->st = volt_realloc(&w->text, w->bytes, more, "JSON text");
        if (w->st != VOLT_OK)
            return;
        w->room = more;
    }
    memcpy(w->text + w->bytes, text, bytes);
    w->bytes += bytes;
    w->text[w->bytes] = '\0';
}

static void put_text(writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static void put_line(writer *w, int depth)
{
    if (!w->lines)
        return;
    put_text(w, "\n");
    for (int i = 0; i < depth; i++)
        put_text(w, "    ");
}

/* Whatever is not a container, in jansson's own words. */
static void put_scalar(writer *w, const json_t *value, size_t flags)
{
    char small[64];
    char *text;
    size_t bytes = json_dumpb(value, small, sizeof small, flags | JSON_ENCODE_ANY);

    if (bytes > 0 && bytes <= sizeof small) {
        put(w, small, bytes);
        return;
    }
    text = json_dumps(value, flags | JSON_ENCODE_ANY);
    if (!text) {
        if (w->st == VOLT_OK)
            w->st = volt_fail(VOLT_ENOMEM, "no memory for JSON text");
        return;
    }
    put_text(w, text);
    free(text);
}

/* Python's way with exponents: a sign and at least two digits (jansson drops both). */
static void pad_exponent(char *text)
{
    char *e = strchr(text, 'e'), *digits;
    char sign = '+';
    size_t shift;

    if (!e)
        return;
    digits = e + 1;
    if (*digits == '-' || *digits == '+')
        sign = *digits++;
    shift = strlen(digits) < 2; /* a zero goes in front */
    memmove(e + 2 + shift, digits, strlen(digits) + 1);
    e[1] = sign;
    if (shift)
        e[2] = '0';
}

/* Both ways go through jansson, which does not depend on the locale. */
void volt_json_real_text(char text[VOLT_JSON_REAL_BYTES], double value)
{
    json_t *number = json_real(value);
    bool same = false;

    for (int digits = fabs(value) >= 1e15 ? 16 : 15; digits <= 17 && !same; digits++) {
        const size_t bytes = json_dumpb(number, text, VOLT_JSON_REAL_BYTES - 4,
                                        JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        json_t *back = json_loadb(text, bytes, JSON_DECODE_ANY, NULL);

        text[bytes] = '\0';
        same = json_number_value(back) == value;
        json_decref(back);
    }
    json_decref(number);
    pad_exponent(text);
}

static void put_real(writer *w, const json_t *value)
{
    char text[VOLT_JSON_REAL_BYTES];

    volt_json_real_text(text, json_real_value(value));
    put_text(w, text);
}

static void put_value(writer *w, const json_t *value, int depth);

static void put_key(writer *w, const char *key, int depth)
{
    json_t *text = json_string(key);

    put_line(w, depth);
    if (!text && w->st == VOLT_OK)
        w->st = volt_fail(VOLT_ENOMEM, "no memory for JSON text");
    if (text)
        put_scalar(w, text, JSON_ENSURE_ASCII);
    json_decref(text);
    put_text(w, w->lines ? ": " : ":");
}

static void put_object(writer *w, json_t *object, int depth)
{
    const char *key;
    json_t *item;
    size_t done = 0;

    put_text(w, "{");
    json_object_foreach(object, key, item)
    {
        if (done++)
            put_text(w, ",");
        put_key(w, key, depth + 1);
        put_value(w, item, depth + 1);
    }
    if (done)
        put_line(w, depth);
    put_text(w, "}");
}

static void put_array(writer *w, const json_t *array, int depth)
{
    const size_t count = json_array_size(array);

    put_text(w, "[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            put_text(w, ",");
        put_line(w, depth + 1);
        put_value(w, json_array_get(array, i), depth + 1);
    }
    if (count)
        put_line(w, depth);
    put_text(w, "]");
}

/* Documents are trees built by this program or loaded within VOLT_JSON_MAX_DEPTH. */
static void put_value(writer *w, const json_t *value, int depth)
{
    if (json_is_object(value))
        put_object(w, (json_t *)value, depth);
    else if (json_is_array(value))
        put_array(w, value, depth);
    else if (json_is_real(value))
        put_real(w, value);
    else
        put_scalar(w, value, JSON_ENSURE_ASCII);
}

static volt_status dump(char **out, size_t *bytes, const json_t *root, bool lines)
{
    writer w = {.lines = lines, .st = VOLT_OK};

    if (!root)
        return volt_fail(VOLT_EINVAL, "no JSON value to write: building it failed");
    put_value(&w, root, 0);
    if (w.st != VOLT_OK) {
        volt_free(w.text);
        return w.st;
    }
    *out = w.text;
    if (bytes)
        *bytes = w.bytes;
    return VOLT_OK;
}

volt_status volt_json_dump(char **out, size_t *bytes, const json_t *root)
{
    return dump(out, bytes, root, true);
}

volt_status volt_json_dump_line(char **out, size_t *bytes, const json_t *root)
{
    return dump(out, bytes, root, false);
}

volt_status volt_json_save(const char *path, const json_t *root)
{
    char *text = NULL;
    size_t bytes = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_json_dump(&text, &bytes, root));
    text[bytes] = '\n'; /* in the place of the terminator */
    st = volt_write_file(path, text, bytes + 1);
done:
    volt_free(text);
    return st;
}
