/* meta_header.c - the header of MetaImage: its axes, and where its voxels are.
 *
 * The geometry is ITK's: TransformMatrix (Rotation, Orientation), Offset (Position, Origin) and
 * ElementSpacing (ElementSize), LPS. AnatomicalOrientation repeats the matrix and is not used,
 * as in ITK; a contradiction is a warning.
 */
#include <math.h>
#include <string.h>

#include "io/image/text_lines.h"

typedef struct meta {
    int64_t axes;
    int extents;
    bool compressed, text;
    double matrix[9];
    bool has_matrix;
    char anatomy[4];
} meta;

static bool is_true(volt_span_text value)
{
    return value.bytes > 0 && (*value.at == 't' || *value.at == 'T' || *value.at == '1');
}

static void take_extents(volt_text_header *h, meta *m, volt_span_text value)
{
    volt_span_text word;

    m->extents = 0;
    while (volt_text_word(&word, &value)) {
        int64_t n;
        if (!volt_text_integer(&n, word))
            n = 0;
        if (m->extents < VOLT_TEXT_MAX_AXES)
            h->n[m->extents] = n;
        m->extents++;
    }
}

static void take_matrix(meta *m, volt_span_text value)
{
    volt_span_text word;
    int n = 0;

    while (n < 9 && volt_text_word(&word, &value) && volt_text_real(&m->matrix[n], word))
        n++;
    m->has_matrix = n == 9;
}

static void take_anatomy(meta *m, volt_span_text value)
{
    for (int i = 0; value.bytes == 3 && i < 3; i++)
        m->anatomy[i] = (char)(value.at[i] & ~0x20);
    if (strspn(m->anatomy, "RLAPSI") != 3)
        m->anatomy[0] = '\0';
}

/* A letter is the side that an axis comes from, in LPS: R, A and I are identity. The matrix of
 * the file has one row per axis. */
static bool contradicts(const meta *m)
{
    static const char from[3][2] = {{'R', 'L'}, {'A', 'P'}, {'I', 'S'}};

    for (int a = 0; a < 3; a++) {
        const double *row = m->matrix + 3 * a;
        int r = 0;
        for (int i = 1; i < 3; i++)
            r = fabs(row[i]) > fabs(row[r]) ? i : r;
        if (m->anatomy[a] != from[r][row[r] < 0])
            return true;
    }
    return false;
}

static volt_status judge_anatomy(volt_text_header *h, meta *m)
{
    static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};

    if (m->axes != 3 || !*m->anatomy)
        return VOLT_OK;
    if (!m->has_matrix)
        memcpy(m->matrix, identity, sizeof identity);
    if (!contradicts(m))
        return VOLT_OK;
    return volt_text_warn(h,
                          "AnatomicalOrientation %s contradicts %s; the matrix is used, as in "
                          "ITK",
                          m->anatomy,
                          m->has_matrix ? "TransformMatrix" : "the missing TransformMatrix");
}

static volt_status take_data_file(volt_text_header *h, volt_text *t, volt_span_text value)
{
    volt_span_text rest = value, word, pattern = {0};
    int64_t numbers[3] = {1, 1, 1};

    h->local = volt_text_is(value, "LOCAL");
    if (h->local)
        return VOLT_OK;
    if (volt_text_word(&word, &rest) && volt_text_is(word, "LIST"))
        return volt_text_add_list(h, t);
    if (value.bytes && memchr(value.at, '%', value.bytes)) {
        pattern = word;
        for (int i = 0; i < 3 && volt_text_word(&word, &rest); i++) {
            if (!volt_text_integer(&numbers[i], word))
                return volt_fail(VOLT_EFORMAT,
                                 "%s: number %d of the pattern for its voxel files is damaged",
                                 t->path, i + 1);
        }
        return volt_text_add_pattern(h, pattern, numbers, t->path);
    }
    return volt_text_add_file(h, value, t->path);
}

/* MetaIO separates key and value by '=' or ':'. */
static bool split(volt_span_text *key, volt_span_text *value, volt_span_text line)
{
    const char *colon = line.bytes ? memchr(line.at, ':', line.bytes) : NULL;
    const char *equals = line.bytes ? memchr(line.at, '=', line.bytes) : NULL;

    return volt_text_split(key, value, line, colon && (!equals || colon < equals) ? ':' : '=');
}

static volt_status take_axes(meta *m, volt_span_text value, const char *path)
{
    if (!volt_text_integer(&m->axes, value))
        return volt_fail(VOLT_EFORMAT, "%s: NDims is \"%.*s\"; an integer is expected", path,
                         (int)(value.bytes < 40 ? value.bytes : 40), value.at);
    return VOLT_OK;
}

volt_status volt_meta_header_parse(volt_text_header *h, volt_text *t)
{
    meta m = {0};
    volt_span_text line, key, value;
    volt_status st;

    for (int lines = 0; lines < 1000 && volt_text_line(&line, t); lines++) {
        if (!split(&key, &value, line))
            continue;
        if (volt_text_is(key, "NDims"))
            VOLT_TRY(st, done, take_axes(&m, value, t->path));
        else if (volt_text_is(key, "DimSize"))
            take_extents(h, &m, value);
        else if (volt_text_is(key, "CompressedData"))
            m.compressed = is_true(value);
        else if (volt_text_is(key, "BinaryData"))
            m.text = !is_true(value);
        else if (volt_text_is(key, "TransformMatrix") || volt_text_is(key, "Rotation") ||
                 volt_text_is(key, "Orientation"))
            take_matrix(&m, value);
        else if (volt_text_is(key, "AnatomicalOrientation"))
            take_anatomy(&m, value);
        if (!volt_text_is(key, "ElementDataFile"))
            continue;
        /* always the last key */
        VOLT_TRY(st, done, volt_text_check_axes(h, m.axes, m.extents, t->path));
        VOLT_TRY(st, done, take_data_file(h, t, value));
        h->axes = (int)m.axes;
        h->compressed = m.compressed;
        h->bounded = !m.text;
        return judge_anatomy(h, &m);
    }
    st = volt_fail(VOLT_EFORMAT, "%s: its header has no key ElementDataFile", t->path);
done:
    return st;
}
