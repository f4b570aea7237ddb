#include "io/json/yaml.h"

#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/utf8.h"
#include "base/system/file.h"

enum { MAX_BYTES = 1 << 20, MAX_DEPTH = VOLT_JSON_MAX_DEPTH / 2 };

/* The text, and the line being read. */
typedef struct reader {
    const char *file, *at;
    int number;           /* of the line, from 1 */
    int indent;           /* of the line; -1 at the end */
    const char *line;     /* its first character that is no space */
    const char *line_end; /* behind its last character, without comment and spaces */
} reader;

static volt_status parse_block(json_t **out, reader *r, int indent, int depth);
static volt_status parse_flow(json_t **out, reader *r, const char **at, int depth);

static volt_status fail(const reader *r, volt_status code, const char *what)
{
    return volt_fail(code, "%s: line %d %s", r->file, r->number, what);
}

/* The end of a line's content: before a comment, which follows a space, and trailing spaces. */
static const char *content_end(const char *from, const char *end)
{
    const char *start = from;
    char quote = '\0';

    for (const char *p = from; p < end; p++) {
        if (quote == '"' && *p == '\\' && p + 1 < end) {
            p++;
        } else if (quote) {
            quote = *p == quote ? '\0' : quote;
        } else if ((*p == '"' || *p == '\'') && (p == start || strchr(" [{,:-", p[-1]))) {
            quote = *p;
        } else if (*p == '#' && (p == start || p[-1] == ' ')) {
            end = p;
        }
    }
    while (end > from && (end[-1] == ' ' || end[-1] == '\r'))
        end--;
    return end;
}

/* Moves to the next line that has content. */
static volt_status next_line(reader *r)
{
    while (*r->at) {
        const char *end = r->at + strcspn(r->at, "\n"), *from = r->at;
        r->number++;
        while (*from == ' ')
            from++;
        r->indent = (int)(from - r->at);
        r->line = from;
        r->line_end = content_end(from, end);
        r->at = *end ? end + 1 : end;
        if (r->line == r->line_end)
            continue;
        if (*from == '\t')
            return fail(r, VOLT_ENOTSUP, "is indented by tabs");
        if (r->indent == 0 && r->line_end - from == 3 && strncmp(from, "---", 3) == 0) {
            continue;
        }
        return VOLT_OK;
    }
    r->indent = -1;
    return VOLT_OK;
}

/* ---- scalars ---- */

static volt_status parse_quoted(json_t **out, reader *r, const char **at)
{
    const char quote = **at, *p = *at + 1;
    char *text = NULL;
    size_t used = 0;
    volt_status st = volt_alloc(&text, (size_t)(r->line_end - *at) + 1, "a text");

    if (st != VOLT_OK)
        return st;
    for (; p < r->line_end; p++) {
        if (*p == quote && quote == '\'' && p + 1 < r->line_end && p[1] == '\'') {
            p++;
        } else if (*p == quote) {
            break;
        } else if (*p == '\\' && quote == '"' && p + 1 < r->line_end) {
            p++;
            text[used++] = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p;
            continue;
        }
        text[used++] = *p;
    }
    if (p >= r->line_end) {
        st = fail(r, VOLT_EFORMAT, "has a quote without an end");
    } else {
        *at = p + 1;
        *out = json_stringn(text, used);
        if (!*out)
            st = fail(r, VOLT_EFORMAT, "holds text that is not UTF-8");
    }
    volt_free(text);
    return st;
}

/* A word as null, a truth value, a number or text. */
static volt_status plain(json_t **out, const reader *r, const char *from, const char *end)
{
    static const char *const nulls[] = {"null", "~", "Null", "NULL"};
    static const char *const truths[] = {"true", "false", "True", "False", "TRUE", "FALSE"};
    const size_t bytes = (size_t)(end - from);
    char word[64], *rest;

    if (bytes && strchr("&*!|>%`", *from))
        return fail(r, VOLT_ENOTSUP,
                    "uses an anchor, alias, tag or block of text, which is not supported");
    *out = NULL;
    if (bytes < sizeof word) {
        memcpy(word, from, bytes);
        word[bytes] = '\0';
        for (size_t i = 0; i < 4; i++) {
            if (!bytes || strcmp(word, nulls[i]) == 0)
                *out = json_null();
        }
        for (size_t i = 0; i < 6 && !*out; i++) {
            if (strcmp(word, truths[i]) == 0)
                *out = json_boolean(i % 2 == 0);
        }
        if (!*out && strspn(word, "+-0123456789.eE") == bytes && strpbrk(word, "0123456789")) {
            const long long whole = strtoll(word, &rest, 10);
            if (!*rest && bytes < 19)
                *out = json_integer(whole);
            if (*rest) {
                const double real = strtod(word, &rest);
                *out = *rest ? NULL : json_real(real); /* NULL if not finite */
            }
        }
    }
    if (!*out)
        *out = json_stringn(from, bytes);
    return *out ? VOLT_OK : fail(r, VOLT_EFORMAT, "holds text that is not UTF-8");
}

/* ---- flow collections ---- */

/* Skips spaces and, inside brackets, line ends. */
static volt_status skip(reader *r, const char **at)
{
    for (;;) {
        while (*at < r->line_end && **at == ' ')
            ++*at;
        if (*at < r->line_end)
            return VOLT_OK;
        volt_status st = next_line(r);
        if (st == VOLT_OK && r->indent < 0)
            st = fail(r, VOLT_EFORMAT, "ends within brackets");
        if (st != VOLT_OK)
            return st;
        *at = r->line;
    }
}

static volt_status parse_flow_word(json_t **out, reader *r, const char **at)
{
    const char *from = *at, *end;

    while (*at < r->line_end && !strchr(",[]{}", **at) &&
           !(**at == ':' && (*at + 1 == r->line_end || (*at)[1] == ' ')))
        ++*at;
    end = *at;
    while (end > from && end[-1] == ' ')
        end--;
    return plain(out, r, from, end);
}

static volt_status parse_flow_entry(json_t *into, reader *r, const char **at, int depth)
{
    json_t *key = NULL, *value = NULL;
    volt_status st;

    if (json_is_array(into)) {
        VOLT_TRY(st, done, parse_flow(&value, r, at, depth));
        if (json_array_append(into, value) != 0)
            st = volt_fail(VOLT_ENOMEM, "out of memory for %s", r->file);
        goto done;
    }
    VOLT_TRY(st, done,
             **at == '"' || **at == '\'' ? parse_quoted(&key, r, at)
                                         : parse_flow_word(&key, r, at));
    VOLT_TRY(st, done, skip(r, at));
    if (**at != ':' || !json_is_string(key)) {
        st = fail(r, VOLT_EFORMAT, "lacks a key or ':' in braces");
        goto done;
    }
    ++*at;
    VOLT_TRY(st, done, skip(r, at));
    VOLT_TRY(st, done, parse_flow(&value, r, at, depth));
    if (json_object_get(into, json_string_value(key)))
        st = fail(r, VOLT_EFORMAT, "repeats a key");
    else if (json_object_set(into, json_string_value(key), value) != 0)
        st = volt_fail(VOLT_ENOMEM, "out of memory for %s", r->file);
done:
    json_decref(value);
    json_decref(key);
    return st;
}

static volt_status parse_flow(json_t **out, reader *r, const char **at, int depth)
{
    const char open = **at, close = open == '[' ? ']' : '}';
    json_t *made = NULL;
    volt_status st;

    if (open == '"' || open == '\'')
        return parse_quoted(out, r, at);
    if (open != '[' && open != '{')
        return parse_flow_word(out, r, at);
    if (depth > MAX_DEPTH)
        return fail(r, VOLT_EFORMAT, "is nested too deeply");
    made = open == '[' ? json_array() : json_object();
    ++*at;
    for (;;) {
        VOLT_TRY(st, done, skip(r, at));
        if (**at == close)
            break;
        VOLT_TRY(st, done, parse_flow_entry(made, r, at, depth + 1));
        VOLT_TRY(st, done, skip(r, at));
        if (**at == ',') {
            ++*at;
        } else if (**at != close) {
            st = fail(r, VOLT_EFORMAT, "lacks a comma or bracket");
            goto done;
        }
    }
    ++*at;
    *out = json_incref(made);
done:
    json_decref(made);
    return st;
}

/* ---- blocks ---- */

/* The ':' that ends a key on this line, or NULL. */
static const char *key_end(const reader *r)
{
    const char *p = r->line;

    if (*p == '"' || *p == '\'') {
        const char quote = *p++;
        while (p < r->line_end && *p != quote)
            p++;
        p++;
        return p < r->line_end && *p == ':' ? p : NULL;
    }
    if (*p == '[' || *p == '{')
        return NULL;
    for (; p < r->line_end; p++) {
        if (*p == ':' && (p + 1 == r->line_end || p[1] == ' '))
            return p;
    }
    return NULL;
}

static bool is_item(const reader *r)
{
    return *r->line == '-' && (r->line + 1 == r->line_end || r->line[1] == ' ');
}

/* What follows a key or a dash on the same line; moves to the next line. */
static volt_status parse_rest(json_t **out, reader *r, int depth)
{
    const char *at = r->line;
    volt_status st;

    if (strchr("[{\"'", *at)) {
        VOLT_TRY(st, done, parse_flow(out, r, &at, depth));
        if (at != r->line_end) {
            json_decref(*out);
            *out = NULL;
            return fail(r, VOLT_EFORMAT, "continues after a value");
        }
    } else {
        VOLT_TRY(st, done, plain(out, r, at, r->line_end));
    }
    st = next_line(r);
    if (st != VOLT_OK) {
        json_decref(*out);
        *out = NULL;
    }
done:
    return st;
}

/* A nested block, deeper than `indent` (a sequence: or as deep), or nothing: null. */
static volt_status parse_nested(json_t **out, reader *r, int indent, bool same, int depth)
{
    volt_status st = next_line(r);

    if (st != VOLT_OK)
        return st;
    if (r->indent > indent || (same && r->indent == indent && is_item(r)))
        return parse_block(out, r, r->indent, depth + 1);
    *out = json_null();
    return VOLT_OK;
}

static volt_status parse_sequence(json_t *list, reader *r, int indent, int depth)
{
    json_t *value = NULL;
    volt_status st = VOLT_OK;

    while (r->indent == indent && is_item(r)) {
        if (r->line + 1 == r->line_end) {
            VOLT_TRY(st, done, parse_nested(&value, r, indent, false, depth));
        } else {
            const char *rest = r->line + 1;
            while (*rest == ' ')
                rest++;
            r->indent += (int)(rest - r->line); /* "- key: value" begins a mapping there */
            r->line = rest;
            if (key_end(r) || is_item(r))
                VOLT_TRY(st, done, parse_block(&value, r, r->indent, depth + 1));
            else
                VOLT_TRY(st, done, parse_rest(&value, r, depth + 1));
        }
        json_array_append_new(list, value);
        value = NULL;
    }
done:
    return st;
}

static volt_status parse_mapping(json_t *object, reader *r, int indent, int depth)
{
    json_t *key = NULL, *value = NULL;
    volt_status st = VOLT_OK;

    while (r->indent == indent) {
        const char *colon = key_end(r), *at = r->line;
        if (!colon) {
            st = fail(r, VOLT_EFORMAT, "is neither \"key: value\" nor an item of a list");
            goto done;
        }
        if (*at == '"' || *at == '\'')
            VOLT_TRY(st, done, parse_quoted(&key, r, &at));
        else
            key = json_stringn(at, (size_t)(colon - at));
        if (!key || json_object_get(object, json_string_value(key))) {
            st = fail(r, VOLT_EFORMAT, "repeats a key, or has one that is not UTF-8");
            goto done;
        }
        r->line = colon + 1;
        while (r->line < r->line_end && *r->line == ' ')
            r->line++;
        if (r->line == r->line_end)
            VOLT_TRY(st, done, parse_nested(&value, r, indent, true, depth));
        else
            VOLT_TRY(st, done, parse_rest(&value, r, depth + 1));
        json_object_set_new(object, json_string_value(key), value);
        value = NULL;
        json_decref(key);
        key = NULL;
    }
    if (r->indent > indent)
        st = fail(r, VOLT_EFORMAT, "is indented without a key above it");
done:
    json_decref(key);
    return st;
}

static volt_status parse_block(json_t **out, reader *r, int indent, int depth)
{
    json_t *made;
    volt_status st;

    if (depth > MAX_DEPTH)
        return fail(r, VOLT_EFORMAT, "is nested too deeply");
    if (!is_item(r) && !key_end(r))
        return parse_rest(out, r, depth);
    made = is_item(r) ? json_array() : json_object();
    st = json_is_array(made) ? parse_sequence(made, r, indent, depth)
                             : parse_mapping(made, r, indent, depth);
    if (st == VOLT_OK)
        *out = made;
    else
        json_decref(made);
    return st;
}

volt_status volt_yaml_load(volt_json *out, const char *path)
{
    reader r = {.file = path};
    volt_json doc = {0};
    char *text = NULL;
    size_t bytes;
    volt_status st;

    VOLT_TRY(st, done, volt_read_file(&text, &bytes, path, MAX_BYTES));
    if (strlen(text) != bytes || !volt_is_utf8(text, bytes)) {
        st = volt_fail(VOLT_EFORMAT, "%s is not UTF-8 text", path);
        goto done;
    }
    r.at = text;
    VOLT_TRY(st, done, next_line(&r));
    if (r.indent < 0) {
        st = volt_fail(VOLT_EFORMAT, "%s is empty", path);
        goto done;
    }
    VOLT_TRY(st, done, parse_block(&doc.root, &r, r.indent, 0));
    if (r.indent >= 0) {
        st = fail(&r, VOLT_EFORMAT, "is indented less than the first line");
        goto done;
    }
    VOLT_TRY(st, done, volt_strdup(&doc.file, path));
    *out = doc;
    doc = (volt_json){0};
done:
    volt_json_close(&doc);
    volt_free(text);
    return st;
}
