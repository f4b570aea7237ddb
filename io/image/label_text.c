#define _GNU_SOURCE /* memmem */
#include "io/image/label_text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/utf8.h"

enum { MAX_ENTRIES = 16384, MAX_NAME = 255, LINE = 1024, MAX_SEGMENTS = 65536 };

volt_status volt_label_table_add(volt_label_table *table, int64_t value, const char *name,
                                 size_t bytes, const uint8_t rgb[3])
{
    const size_t used = (size_t)table->count * sizeof *table->entries;
    volt_label_entry *e;
    char *copy = NULL;
    volt_status st;

    bytes = bytes < MAX_NAME ? bytes : MAX_NAME;
    while (bytes > 0 && bytes == MAX_NAME && ((unsigned char)name[bytes] & 0xc0) == 0x80)
        bytes--; /* not within a character */
    if (volt_is_utf8(name, bytes))
        st = volt_format(&copy, "%.*s", (int)bytes, name);
    else
        st = volt_format(&copy, "label %lld", (long long)value);
    if (st != VOLT_OK)
        return st;
    for (char *c = copy; *c; c++)
        *c = (unsigned char)*c < ' ' || *c == 127 ? ' ' : *c;
    if ((table->count & (table->count - 1)) == 0) { /* room for the next power of two */
        const size_t room = 2 * used + sizeof *table->entries;
        if ((st = volt_realloc(&table->entries, used, room, "label names")) != VOLT_OK) {
            volt_free(copy);
            return st;
        }
    }
    e = &table->entries[table->count++];
    *e = (volt_label_entry){value, copy, rgb[0], rgb[1], rgb[2]};
    return VOLT_OK;
}

void volt_label_table_clear(volt_label_table *table)
{
    for (int64_t i = 0; i < table->count; i++)
        volt_free(table->entries[i].name);
    volt_free(table->entries);
    *table = (volt_label_table){0};
}

static volt_label_entry *find(const volt_label_table *table, int64_t value)
{
    for (int64_t i = 0; i < table->count; i++) {
        if (table->entries[i].value == value)
            return &table->entries[i];
    }
    return NULL;
}

const char *volt_label_table_name(const volt_label_table *table, int64_t value)
{
    const volt_label_entry *e = find(table, value);

    return e ? e->name : NULL;
}

volt_status volt_label_table_set(volt_label_table *table, int64_t value, const char *name)
{
    volt_label_entry *e = find(table, value);
    uint8_t rgb[3];
    char *copy;
    volt_status st;

    volt_label_rgb(rgb, value);
    if (!e)
        return volt_label_table_add(table, value, name, strlen(name), rgb);
    if ((st = volt_strdup(&copy, name)) != VOLT_OK)
        return st;
    volt_free(e->name);
    e->name = copy;
    return VOLT_OK;
}

/* ---- reading ---- */

/* Reads an integer in low..high at *p, after blanks. */
static bool take_int(int64_t *out, char **p, int64_t low, int64_t high)
{
    char *end;
    const double v = strtod(*p, &end); /* Slicer also writes 1.0 */

    if (end == *p || !(v >= (double)low && v <= (double)high) || v != floor(v))
        return false;
    *out = (int64_t)v;
    *p = end;
    return true;
}

static bool take_rgb(uint8_t rgb[3], char **p)
{
    int64_t v;

    for (int i = 0; i < 3; i++) {
        if (!take_int(&v, p, 0, 255))
            return false;
        rgb[i] = (uint8_t)v;
    }
    return true;
}

/* VALUE R G B ALPHA VISIBLE MESH "NAME" */
static bool snap_entry(int64_t *value, uint8_t rgb[3], char **name, size_t *bytes, char *line)
{
    const int64_t far = INT64_C(1) << 53;
    char *end;

    if (!take_int(value, &line, -far, far) || !take_rgb(rgb, &line))
        return false;
    for (int i = 0; i < 3; i++) { /* alpha, visible, mesh */
        (void)strtod(line, &end);
        if (end == line)
            return false;
        line = end;
    }
    *name = strchr(line, '"');
    end = *name ? strrchr(line, '"') : NULL;
    if (!end || end == *name)
        return false;
    *name += 1;
    *bytes = (size_t)(end - *name);
    return true;
}

/* VALUE NAME R G B ALPHA; a name may be quoted, else underscores stand for blanks. */
static bool slicer_entry(int64_t *value, uint8_t rgb[3], char **name, size_t *bytes, char *line)
{
    const int64_t far = INT64_C(1) << 53;
    char *end;

    if (!take_int(value, &line, -far, far))
        return false;
    line += strspn(line, " \t");
    if (*line == '"') {
        *name = line + 1;
        end = strchr(line + 1, '"');
        if (!end)
            return false;
        *bytes = (size_t)(end - *name);
        line = end + 1;
    } else {
        *name = line;
        *bytes = strcspn(line, " \t");
        line += *bytes;
        for (size_t i = 0; i < *bytes; i++)
            (*name)[i] = (*name)[i] == '_' ? ' ' : (*name)[i];
    }
    return *bytes > 0 && take_rgb(rgb, &line);
}

static volt_status add_line(volt_label_table *t, char *line, volt_label_syntax syntax,
                            const char *name, int64_t number)
{
    uint8_t rgb[3];
    int64_t value;
    size_t bytes;
    char *text;

    line += strspn(line, " \t\r");
    if (*line == '#' || *line == '\0')
        return VOLT_OK;
    if (!(syntax == VOLT_LABELS_SNAP ? snap_entry : slicer_entry)(&value, rgb, &text, &bytes,
                                                                  line))
        return volt_fail(VOLT_EFORMAT, "%s: line %lld is not a label; %s is expected", name,
                         (long long)number,
                         syntax == VOLT_LABELS_SNAP ? "VALUE R G B ALPHA VISIBLE MESH \"NAME\""
                                                    : "VALUE NAME R G B ALPHA");
    if (volt_label_table_name(t, value))
        return volt_fail(VOLT_EFORMAT, "%s: line %lld names label %lld again", name,
                         (long long)number, (long long)value);
    if (t->count == MAX_ENTRIES)
        return volt_fail(VOLT_EFORMAT, "%s has more than %d labels", name, MAX_ENTRIES);
    return volt_label_table_add(t, value, text, bytes, rgb);
}

volt_status volt_label_text_parse(volt_label_table *out, const char *text, size_t bytes,
                                  volt_label_syntax syntax, const char *name)
{
    const char *end = text + bytes;
    volt_label_table t = {0};
    char line[LINE];
    volt_status st = VOLT_OK;

    for (int64_t number = 1; text < end; number++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        const size_t length = (size_t)((stop ? stop : end) - text);

        if (length >= sizeof line || memchr(text, '\0', length)) {
            st = volt_fail(VOLT_EFORMAT, "%s: line %lld is too long or not text", name,
                           (long long)number);
            goto done;
        }
        memcpy(line, text, length);
        line[length] = '\0';
        VOLT_TRY(st, done, add_line(&t, line, syntax, name, number));
        text = stop ? stop + 1 : end;
    }
    *out = t;
    t = (volt_label_table){0};
done:
    volt_label_table_clear(&t);
    return st;
}

/* ---- 3D Slicer's segments ---- */

typedef struct segment {
    int64_t value;
    char *name;
    uint8_t rgb[3];
    bool has_value, has_color, other_layer;
} segment;

/* "0.5 0.2 0.1" */
static bool read_color(uint8_t rgb[3], const char *text)
{
    char *end;

    for (int i = 0; i < 3; i++, text = end) {
        const double v = strtod(text, &end);
        if (end == text || !(v >= 0 && v <= 1))
            return false;
        rgb[i] = (uint8_t)lrint(255 * v);
    }
    return true;
}

/* One field of a segment: key "Name", "LabelValue", "Color" or "Layer". */
static volt_status take_field(segment *s, const char *key, const char *value, const char *name)
{
    char *end;

    if (strcmp(key, "Name") == 0 && !s->name)
        return volt_strdup(&s->name, value);
    if (strcmp(key, "LabelValue") == 0) {
        const double v = strtod(value, &end);
        if (end == value || !(fabs(v) <= 9007199254740992.0) || v != floor(v))
            return volt_fail(VOLT_EFORMAT,
                             "%s: a segment has the LabelValue '%.40s'; an "
                             "integer is expected",
                             name, value);
        s->value = (int64_t)v;
        s->has_value = true;
    } else if (strcmp(key, "Color") == 0) {
        s->has_color = read_color(s->rgb, value);
    } else if (strcmp(key, "Layer") == 0) {
        s->other_layer = strtol(value, NULL, 10) != 0;
    }
    return VOLT_OK;
}

/* "Segment12_Name:=liver" */
static volt_status take_segment_line(segment **all, size_t *count, char *line, const char *name)
{
    char *assign = strstr(line, ":="), *key;
    size_t index, room;
    volt_status st;

    if (strncmp(line, "Segment", 7) != 0 || !isdigit((unsigned char)line[7]) || !assign)
        return VOLT_OK;
    index = strtoul(line + 7, &key, 10);
    if (*key++ != '_')
        return VOLT_OK;
    if (index >= MAX_SEGMENTS)
        return volt_fail(VOLT_EFORMAT, "%s has a segment number %zu; at most %d is possible",
                         name, index, MAX_SEGMENTS - 1);
    if (index >= *count) {
        room = 2 * (index + 1);
        st = volt_realloc(all, *count * sizeof **all, room * sizeof **all, "segments");
        if (st != VOLT_OK)
            return st;
        memset(*all + *count, 0, (room - *count) * sizeof **all);
        *count = room;
    }
    *assign = '\0';
    return take_field(*all + index, key, assign + 2, name);
}

static volt_status add_segments(volt_label_table *t, const segment *all, size_t count)
{
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < count && st == VOLT_OK; i++) {
        uint8_t rgb[3];
        if (!all[i].has_value || !all[i].name || all[i].other_layer ||
            volt_label_table_name(t, all[i].value))
            continue;
        volt_label_rgb(rgb, all[i].value);
        st = volt_label_table_add(t, all[i].value, all[i].name, strlen(all[i].name),
                                  all[i].has_color ? all[i].rgb : rgb);
    }
    return st;
}

volt_status volt_label_segments_parse(volt_label_table *out, const char *header, size_t bytes,
                                      const char *name)
{
    const char *end = header + bytes;
    volt_label_table t = {0};
    segment *all = NULL;
    size_t count = 0;
    char line[LINE];
    volt_status st = VOLT_OK;

    while (header < end) {
        const char *stop = memchr(header, '\n', (size_t)(end - header));
        size_t length = (size_t)((stop ? stop : end) - header);

        if (!stop || length == 0 || (length == 1 && *header == '\r'))
            break; /* an empty line ends the header */
        length -= header[length - 1] == '\r';
        if (length < sizeof line && !memchr(header, '\0', length)) {
            memcpy(line, header, length);
            line[length] = '\0';
            VOLT_TRY(st, done, take_segment_line(&all, &count, line, name));
        }
        header = stop + 1;
    }
    VOLT_TRY(st, done, add_segments(&t, all, count));
    *out = t;
    t = (volt_label_table){0};
done:
    for (size_t i = 0; i < count; i++)
        volt_free(all[i].name);
    volt_free(all);
    volt_label_table_clear(&t);
    return st;
}

/* ---- XML ---- */

/* The number of attribute `name` in the start tag `tag`, which is NUL-terminated. */
static bool attribute(double *out, const char *tag, const char *name)
{
    char sought[16], *end;
    const char *at;

    snprintf(sought, sizeof sought, " %s=\"", name);
    at = strstr(tag, sought);
    if (!at)
        return false;
    *out = strtod(at + strlen(sought), &end);
    return end > at + strlen(sought) && *end == '"' && isfinite(*out);
}

/* One element: its start tag, and the text up to its end. */
static volt_status add_element(volt_label_table *t, const char *tag, const char *text,
                               size_t bytes)
{
    static const char *const part[] = {"Red", "Green", "Blue"};
    static const char open[] = "<![CDATA[", close[] = "]]>";
    uint8_t rgb[3];
    double value, v;

    if (!attribute(&value, tag, "Key") || value != floor(value) || fabs(value) > 1e9 ||
        t->count == MAX_ENTRIES || volt_label_table_name(t, (int64_t)value))
        return VOLT_OK;
    volt_label_rgb(rgb, (int64_t)value);
    for (int i = 0; i < 3; i++)
        rgb[i] =
            attribute(&v, tag, part[i]) && v >= 0 && v <= 1 ? (uint8_t)lrint(255 * v) : rgb[i];
    if (bytes >= sizeof open + sizeof close - 2 && memcmp(text, open, sizeof open - 1) == 0 &&
        memcmp(text + bytes - (sizeof close - 1), close, sizeof close - 1) == 0) {
        text += sizeof open - 1;
        bytes -= sizeof open + sizeof close - 2;
    }
    return volt_label_table_add(t, (int64_t)value, text, bytes, rgb);
}

/* The first place of `word` in text[0 .. end); NULL. */
static const char *seek(const char *text, const char *end, const char *word)
{
    return text < end ? memmem(text, (size_t)(end - text), word, strlen(word)) : NULL;
}

volt_status volt_label_xml_parse(volt_label_table *out, const char *text, size_t bytes)
{
    const char *end = text + bytes, *stop;
    volt_label_table t = {0};
    char tag[256];
    volt_status st = VOLT_OK;

    while ((text = seek(text, end, "<Label ")) != NULL) {
        const char *body = seek(text, end, ">");
        if (!body || !(stop = seek(body, end, "</Label>")))
            break;
        if ((size_t)(body - text) < sizeof tag && !memchr(text, '\0', (size_t)(body - text))) {
            memcpy(tag, text, (size_t)(body - text));
            tag[body - text] = '\0';
            VOLT_TRY(st, done, add_element(&t, tag, body + 1, (size_t)(stop - body - 1)));
        }
        text = stop;
    }
    *out = t;
    t = (volt_label_table){0};
done:
    volt_label_table_clear(&t);
    return st;
}

/* ---- writing ---- */

static int put_entry(char *to, size_t room, const volt_label_entry *e, const char *name,
                     volt_label_syntax syntax)
{
    const int shown = e->value != 0;

    if (syntax == VOLT_LABELS_SLICER)
        return snprintf(to, room, "%lld %s %d %d %d %d\n", (long long)e->value, name, e->red,
                        e->green, e->blue, shown ? 255 : 0);
    return snprintf(to, room, "%5lld %4d %4d %4d %2d %2d %2d    \"%s\"\n", (long long)e->value,
                    e->red, e->green, e->blue, shown, shown, shown, name);
}

volt_status volt_label_text_make(char **out, const volt_label_table *table,
                                 volt_label_syntax syntax)
{
    static const char *const head[] = {
        [VOLT_LABELS_SNAP] = "# ITK-SnAP Label Description File\n"
                             "# IDX  R    G    B   A VIS MSH  LABEL\n",
        [VOLT_LABELS_SLICER] = "# Color table file for 3D Slicer\n"
                               "# VALUE NAME R G B A\n",
    };
    const size_t each = MAX_NAME + 100, room = (size_t)table->count * each + 200;
    char name[MAX_NAME + 1], *text;
    size_t at;
    volt_status st;

    if ((st = volt_alloc(&text, room, "a label table")) != VOLT_OK)
        return st;
    at = (size_t)snprintf(text, room, "%s", head[syntax]);
    for (int64_t i = 0; i < table->count; i++) {
        snprintf(name, sizeof name, "%s", table->entries[i].name);
        for (char *c = name; *c; c++) {
            if (syntax == VOLT_LABELS_SLICER)
                *c = *c == ' ' || *c == '"' ? '_' : *c;
            else
                *c = *c == '"' ? '\'' : *c;
        }
        if (syntax == VOLT_LABELS_SLICER && !*name)
            snprintf(name, sizeof name, "_");
        at += (size_t)put_entry(text + at, room - at, &table->entries[i], name, syntax);
    }
    *out = text;
    return VOLT_OK;
}
