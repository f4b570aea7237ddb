/* text_lines.c - lines, words and numbers of a text header. */
#include "io/image/text_lines.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"

enum { MAX_FILES = 4096, MAX_WORD = 63 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static volt_span_text trim(volt_span_text s)
{
    while (s.bytes > 0 && is_blank(*s.at)) {
        s.at++;
        s.bytes--;
    }
    while (s.bytes > 0 && is_blank(s.at[s.bytes - 1]))
        s.bytes--;
    return s;
}

bool volt_text_line(volt_span_text *out, volt_text *t)
{
    const char *end;

    if (t->at >= t->end)
        return false;
    end = memchr(t->at, '\n', (size_t)(t->end - t->at));
    if (!end)
        end = t->end;
    *out = trim((volt_span_text){t->at, (size_t)(end - t->at)});
    t->at = end < t->end ? end + 1 : end;
    return true;
}

bool volt_text_split(volt_span_text *key, volt_span_text *value, volt_span_text line,
                     char separator)
{
    const char *at = line.bytes ? memchr(line.at, separator, line.bytes) : NULL;

    if (!at)
        return false;
    *key = trim((volt_span_text){line.at, (size_t)(at - line.at)});
    *value = trim((volt_span_text){at + 1, line.bytes - (size_t)(at + 1 - line.at)});
    return true;
}

bool volt_text_word(volt_span_text *out, volt_span_text *rest)
{
    volt_span_text s = trim(*rest);
    size_t n = 0;

    while (n < s.bytes && !is_blank(s.at[n]))
        n++;
    *out = (volt_span_text){s.at, n};
    *rest = (volt_span_text){s.at + n, s.bytes - n};
    return n > 0;
}

bool volt_text_is(volt_span_text a, const char *word)
{
    return a.bytes == strlen(word) && strncasecmp(a.at, word, a.bytes) == 0;
}

static bool copy_word(char out[MAX_WORD + 1], volt_span_text word)
{
    if (word.bytes < 1 || word.bytes > MAX_WORD)
        return false;
    memcpy(out, word.at, word.bytes);
    out[word.bytes] = '\0';
    return strlen(out) == word.bytes;
}

bool volt_text_integer(int64_t *out, volt_span_text word)
{
    char text[MAX_WORD + 1], *end;

    if (!copy_word(text, word))
        return false;
    *out = strtoll(text, &end, 10);
    return *end == '\0' && *out != LLONG_MAX && *out != LLONG_MIN;
}

bool volt_text_real(double *out, volt_span_text word)
{
    char text[MAX_WORD + 1], *end;

    if (!copy_word(text, word))
        return false;
    *out = strtod(text, &end);
    return *end == '\0';
}

volt_status volt_text_warn(volt_text_header *h, const char *fmt, ...)
{
    char sentence[256];
    va_list args;
    volt_status st;

    if (h->warning_count == (int)(sizeof h->warnings / sizeof *h->warnings))
        return VOLT_OK;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    st = volt_strdup(&h->warnings[h->warning_count], sentence);
    if (st == VOLT_OK)
        h->warning_count++;
    return st;
}

/* -- Voxel files -------------------------------------------------------------------------- */

volt_status volt_text_add_file(volt_text_header *h, volt_span_text name, const char *path)
{
    const size_t used = h->files.count * sizeof *h->files.name;
    volt_status st;

    if (name.bytes > 2 && name.at[0] == '.' && name.at[1] == '/')
        name = (volt_span_text){name.at + 2, name.bytes - 2};
    if (name.bytes < 1 || name.bytes > 255 || memchr(name.at, '/', name.bytes) ||
        memchr(name.at, '\\', name.bytes) || memchr(name.at, '\0', name.bytes) ||
        volt_text_is(name, ".") || volt_text_is(name, ".."))
        return volt_fail(VOLT_EFORMAT,
                         "%s: its header names the voxel file \"%.*s\"; voxel files must lie "
                         "next to the header",
                         path, (int)(name.bytes < 200 ? name.bytes : 200), name.at);
    if (h->files.count >= MAX_FILES)
        return volt_fail(VOLT_EFORMAT, "%s: its header names more than %d voxel files", path,
                         MAX_FILES);
    VOLT_TRY(st, done,
             volt_realloc(&h->files.name, used, used + sizeof *h->files.name,
                          "the names of voxel files"));
    VOLT_TRY(st, done,
             volt_format(&h->files.name[h->files.count], "%.*s", (int)name.bytes, name.at));
    h->files.count++;
done:
    return st;
}

volt_status volt_text_add_list(volt_text_header *h, volt_text *t)
{
    volt_span_text line;
    volt_status st = VOLT_OK;

    while (st == VOLT_OK && volt_text_line(&line, t)) {
        if (line.bytes > 0)
            st = volt_text_add_file(h, line, t->path);
    }
    if (st == VOLT_OK && h->files.count == 0)
        st = volt_fail(VOLT_EFORMAT, "%s: its list of voxel files is empty", t->path);
    return st;
}

/* %d, %3d or %03d, once; no other conversion. Returns where it begins, *bytes its length. */
static const char *conversion(volt_span_text pattern, size_t *bytes)
{
    const char *at = memchr(pattern.at, '%', pattern.bytes);
    const char *end = pattern.at + pattern.bytes, *c;

    if (!at)
        return NULL;
    for (c = at + 1; c < end && *c >= '0' && *c <= '9'; c++)
        ;
    *bytes = (size_t)(c + 1 - at);
    if (c >= end || *c != 'd' || *bytes > 5 || memchr(c, '%', (size_t)(end - c)))
        return NULL;
    return at;
}

volt_status volt_text_add_pattern(volt_text_header *h, volt_span_text pattern,
                                  const int64_t numbers[3], const char *path)
{
    size_t bytes = 0;
    const char *at = conversion(pattern, &bytes);
    const size_t before = at ? (size_t)(at - pattern.at) : 0;
    const int64_t first = numbers[0], last = numbers[1], step = numbers[2];
    const int width = at ? atoi(at + 1) : 0;
    const bool zeros = at && at[1] == '0';
    volt_status st = VOLT_OK;

    if (!at || pattern.bytes > 200 || step == 0 || first < 0 || last < 0 || first > 1000000 ||
        last > 1000000 || step > 1000000 || step < -1000000 ||
        (step > 0 ? last < first : last > first))
        return volt_fail(VOLT_EFORMAT, "%s: \"%.*s\" is no pattern for its voxel files", path,
                         (int)(pattern.bytes < 200 ? pattern.bytes : 200), pattern.at);
    for (int64_t i = first; st == VOLT_OK && (step > 0 ? i <= last : i >= last); i += step) {
        char name[512];
        const int n = snprintf(name, sizeof name, zeros ? "%.*s%0*lld%.*s" : "%.*s%*lld%.*s",
                               (int)before, pattern.at, width, (long long)i,
                               (int)(pattern.bytes - before - bytes), at + bytes);
        st = volt_text_add_file(h, (volt_span_text){name, (size_t)n}, path);
    }
    return st;
}

volt_status volt_text_check_axes(const volt_text_header *h, int64_t axes, int extents,
                                 const char *path)
{
    if (axes < 1)
        return volt_fail(VOLT_EFORMAT, "%s: its header does not give the number of axes", path);
    if (axes < 2 || axes > VOLT_TEXT_MAX_AXES)
        return volt_fail(VOLT_ENOTSUP,
                         "%s: the number of axes is %lld; 2, 3 or, with channels, 4 is "
                         "supported",
                         path, (long long)axes);
    if (extents != (int)axes)
        return volt_fail(VOLT_EFORMAT, "%s: %d extent%s for %lld axes", path, extents,
                         volt_s(extents), (long long)axes);
    for (int a = 0; a < extents; a++) {
        if (h->n[a] < 1)
            return volt_fail(VOLT_EFORMAT, "%s: the extent along axis %d is %lld", path, a + 1,
                             (long long)h->n[a]);
    }
    return VOLT_OK;
}
