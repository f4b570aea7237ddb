/* nrrd_header.c - the header of NRRD: its axes, where its voxels are, and its geometry.
 *
 * Space     RAS, LAS and LPS, also with time, become LPS by the signs of x and y. The spaces
 *           scanner-xyz, 3D-right-handed, 3D-left-handed and a mere number of dimensions do not
 *           say which side is left: they are taken as LPS, as SimpleITK does, with a warning.
 * Axes      those of kind domain, space, time or unknown are spatial, in the file's order; one
 *           other axis becomes the channels.
 * No space  spacings (or axis mins and maxs) and axis mins place the axes along LPS; cells are
 *           assumed where centerings do not say node.
 */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/core/plural.h"
#include "io/image/text_lines.h"

enum { MAX_AXES = 16, MAX_SPACE = 8 };

typedef struct space {
    const char *name, *code;
    int dimension;
    double sign[2]; /* of x and y, to LPS */
    bool patient;
} space;

static const space spaces[] = {
    {"right-anterior-superior", "RAS", 3, {-1, -1}, true},
    {"left-anterior-superior", "LAS", 3, {1, -1}, true},
    {"left-posterior-superior", "LPS", 3, {1, 1}, true},
    {"right-anterior-superior-time", "RAST", 4, {-1, -1}, true},
    {"left-anterior-superior-time", "LAST", 4, {1, -1}, true},
    {"left-posterior-superior-time", "LPST", 4, {1, 1}, true},
    {"scanner-xyz", "", 3, {1, 1}, false},
    {"scanner-xyz-time", "", 4, {1, 1}, false},
    {"3D-right-handed", "", 3, {1, 1}, false},
    {"3D-left-handed", "", 3, {1, 1}, false},
    {"3D-right-handed-time", "", 4, {1, 1}, false},
    {"3D-left-handed-time", "", 4, {1, 1}, false},
};

typedef struct nrrd {
    const char *path;
    int64_t axes;
    const space *space;
    int dimension; /* of the space; 0: none */
    int extents, kinds, directions, centers;
    int64_t n[MAX_AXES];
    bool channels[MAX_AXES], node[MAX_AXES];
    double spacing[MAX_AXES], low[MAX_AXES], high[MAX_AXES]; /* NaN: not given */
    double direction[MAX_AXES][MAX_SPACE];                   /* NaN: none */
    double origin[MAX_SPACE];
    bool has_origin, other_units;
} nrrd;

static volt_status fail_field(const nrrd *d, const char *field, volt_span_text value)
{
    return volt_fail(VOLT_EFORMAT, "%s: the field \"%s\" is damaged: \"%.*s\"", d->path, field,
                     (int)(value.bytes < 80 ? value.bytes : 80), value.at);
}

/* -- Fields ------------------------------------------------------------------------------- */

/* Names of several words are written with blanks, hyphens or neither: "space directions" and
   "spacedirections", "left-anterior-superior" and "left anterior superior". */
static bool is_named(volt_span_text text, const char *name)
{
    size_t i = 0;

    for (;;) {
        while (i < text.bytes && (text.at[i] == ' ' || text.at[i] == '-'))
            i++;
        while (*name == ' ' || *name == '-')
            name++;
        if (i == text.bytes || !*name)
            return i == text.bytes && !*name;
        if (strncasecmp(&text.at[i++], name++, 1) != 0)
            return false;
    }
}

static volt_status take_space(nrrd *d, volt_span_text value)
{
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        if (is_named(value, spaces[i].name) ||
            (*spaces[i].code && volt_text_is(value, spaces[i].code))) {
            d->space = &spaces[i];
            d->dimension = spaces[i].dimension;
            return VOLT_OK;
        }
    }
    return fail_field(d, "space", value);
}

static volt_status take_integer(int64_t *out, const nrrd *d, const char *field,
                                volt_span_text value, int64_t most)
{
    if (!volt_text_integer(out, value) || *out < 1 || *out > most)
        return fail_field(d, field, value);
    return VOLT_OK;
}

static volt_status take_extents(nrrd *d, volt_span_text value)
{
    volt_span_text rest = value, word;

    d->extents = 0;
    while (volt_text_word(&word, &rest)) {
        if (d->extents == MAX_AXES || !volt_text_integer(&d->n[d->extents], word))
            return fail_field(d, "sizes", value);
        d->extents++;
    }
    return VOLT_OK;
}

/* One number per axis; "nan" is none. */
static volt_status take_reals(double *out, const nrrd *d, const char *field,
                              volt_span_text value)
{
    volt_span_text rest = value, word;

    for (int n = 0; volt_text_word(&word, &rest); n++) {
        if (n == MAX_AXES || !volt_text_real(&out[n], word))
            return fail_field(d, field, value);
        if (!isfinite(out[n]))
            out[n] = NAN;
    }
    return VOLT_OK;
}

/* Kinds whose axes hold the values of one voxel. */
static bool is_range(volt_span_text kind)
{
    return !(volt_text_is(kind, "domain") || volt_text_is(kind, "space") ||
             volt_text_is(kind, "time") || volt_text_is(kind, "???") ||
             volt_text_is(kind, "none"));
}

static volt_status take_words(nrrd *d, const char *field, volt_span_text value)
{
    const bool kinds = strcmp(field, "kinds") == 0;
    volt_span_text rest = value, word;
    int n = 0;

    for (; volt_text_word(&word, &rest); n++) {
        if (n == MAX_AXES)
            return fail_field(d, field, value);
        if (kinds)
            d->channels[n] = is_range(word);
        else
            d->node[n] = volt_text_is(word, "node");
    }
    return VOLT_OK;
}

/* "(1,0,0)" or "none" at the front of *rest. */
static volt_status take_vector(double out[MAX_SPACE], int *length, const nrrd *d,
                               const char *field, volt_span_text *rest)
{
    const volt_span_text whole = *rest;
    const char *close;
    volt_span_text word, inside, part;
    bool more = true;

    *length = 0;
    for (int i = 0; i < MAX_SPACE; i++)
        out[i] = NAN;
    if (rest->bytes == 0 || *rest->at != '(') {
        if (!volt_text_word(&word, rest) || !volt_text_is(word, "none"))
            return fail_field(d, field, whole);
        return VOLT_OK;
    }
    close = memchr(rest->at, ')', rest->bytes);
    if (!close)
        return fail_field(d, field, whole);
    inside = (volt_span_text){rest->at + 1, (size_t)(close - rest->at - 1)};
    *rest = (volt_span_text){close + 1, rest->bytes - (size_t)(close + 1 - rest->at)};
    while (more) {
        part = inside;
        more = volt_text_split(&part, &inside, inside, ',');
        if (*length == MAX_SPACE || !volt_text_word(&word, &part) ||
            !volt_text_real(&out[*length], word))
            return fail_field(d, field, whole);
        (*length)++;
    }
    return VOLT_OK;
}

static void skip_blanks(volt_span_text *rest)
{
    while (rest->bytes > 0 && (*rest->at == ' ' || *rest->at == '\t')) {
        rest->at++;
        rest->bytes--;
    }
}

static volt_status take_directions(nrrd *d, volt_span_text value)
{
    volt_span_text rest = value;

    d->directions = 0;
    for (skip_blanks(&rest); rest.bytes > 0; skip_blanks(&rest)) {
        int length;
        volt_status st;
        if (d->directions == MAX_AXES)
            return fail_field(d, "space directions", value);
        st = take_vector(d->direction[d->directions], &length, d, "space directions", &rest);
        if (st != VOLT_OK)
            return st;
        if (length > 0 && length != d->dimension)
            return volt_fail(VOLT_EFORMAT,
                             "%s: space direction %d has %d number%s; its space has %d "
                             "dimensions",
                             d->path, d->directions + 1, length, volt_s(length), d->dimension);
        d->directions++;
    }
    return VOLT_OK;
}

static volt_status take_origin(nrrd *d, volt_span_text value)
{
    volt_span_text rest = value;
    int length;
    volt_status st = take_vector(d->origin, &length, d, "space origin", &rest);

    if (st != VOLT_OK)
        return st;
    if (length != d->dimension)
        return volt_fail(VOLT_EFORMAT,
                         "%s: its space origin has %d number%s; its space has %d dimensions",
                         d->path, length, volt_s(length), d->dimension);
    d->has_origin = length > 0;
    return VOLT_OK;
}

static volt_status take_encoding(volt_text_header *h, const nrrd *d, volt_span_text value)
{
    const bool gzip = volt_text_is(value, "gzip") || volt_text_is(value, "gz");
    const bool bzip2 = volt_text_is(value, "bzip2") || volt_text_is(value, "bz2");
    const bool plain = volt_text_is(value, "raw");
    const bool text = volt_text_is(value, "text") || volt_text_is(value, "txt") ||
                      volt_text_is(value, "ascii") || volt_text_is(value, "hex");

    if (!gzip && !bzip2 && !plain && !text)
        return fail_field(d, "encoding", value);
    if (bzip2) /* ITK's library for NRRD is built without it */
        return volt_fail(VOLT_ENOTSUP,
                         "%s: voxels compressed with bzip2 are not supported; raw, gzip, text "
                         "and hex are",
                         d->path);
    h->compressed = gzip;
    h->bounded = plain || gzip;
    return VOLT_OK;
}

static volt_status take_units(nrrd *d, volt_span_text value)
{
    volt_span_text rest = value, word;

    while (volt_text_word(&word, &rest))
        d->other_units =
            d->other_units ||
            !(volt_text_is(word, "\"mm\"") || volt_text_is(word, "\"millimeter\"") ||
              volt_text_is(word, "\"millimeters\"") || volt_text_is(word, "\"\"") ||
              volt_text_is(word, "\"s\"") || volt_text_is(word, "\"ms\"") ||
              volt_text_is(word, "\"???\"") || volt_text_is(word, "mm"));
    return VOLT_OK;
}

static volt_status take_data_file(volt_text_header *h, nrrd *d, volt_text *t,
                                  volt_span_text value)
{
    volt_span_text rest = value, word, pattern;
    int64_t numbers[3] = {0, 0, 0};

    h->local = false;
    if (volt_text_word(&pattern, &rest) && pattern.bytes == 4 &&
        memcmp(pattern.at, "LIST", 4) == 0)
        return volt_text_add_list(h, t);
    if (!value.bytes || !memchr(value.at, '%', value.bytes))
        return volt_text_add_file(h, value, t->path);
    for (int i = 0; i < 3; i++) {
        if (!volt_text_word(&word, &rest) || !volt_text_integer(&numbers[i], word))
            return fail_field(d, "data file", value);
    }
    return volt_text_add_pattern(h, pattern, numbers, t->path);
}

static volt_status take_field(volt_text_header *h, nrrd *d, volt_text *t, volt_span_text key,
                              volt_span_text value)
{
    int64_t number;
    volt_status st = VOLT_OK;

    if (is_named(key, "dimension"))
        return take_integer(&d->axes, d, "dimension", value, MAX_AXES);
    if (is_named(key, "sizes"))
        return take_extents(d, value);
    if (is_named(key, "space"))
        return take_space(d, value);
    if (is_named(key, "space dimension")) {
        st = take_integer(&number, d, "space dimension", value, MAX_SPACE);
        d->dimension = st == VOLT_OK ? (int)number : 0;
        return st;
    }
    if (is_named(key, "space directions"))
        return take_directions(d, value);
    if (is_named(key, "space origin"))
        return take_origin(d, value);
    if (is_named(key, "space units"))
        return take_units(d, value);
    if (is_named(key, "spacings"))
        return take_reals(d->spacing, d, "spacings", value);
    if (is_named(key, "axis mins"))
        return take_reals(d->low, d, "axis mins", value);
    if (is_named(key, "axis maxs"))
        return take_reals(d->high, d, "axis maxs", value);
    if (is_named(key, "kinds"))
        return take_words(d, "kinds", value);
    if (is_named(key, "centers") || is_named(key, "centerings"))
        return take_words(d, "centers", value);
    if (is_named(key, "encoding"))
        return take_encoding(h, d, value);
    if (is_named(key, "data file"))
        return take_data_file(h, d, t, value);
    return VOLT_OK;
}

/* -- Geometry ----------------------------------------------------------------------------- */

/* The file's spatial axes, x first. */
static int spatial_axes(int out[MAX_AXES], const nrrd *d)
{
    int count = 0;

    for (int a = 0; a < (int)d->axes; a++) {
        if (!d->channels[a])
            out[count++] = a;
    }
    return count;
}

static volt_status place_by_space(volt_image_geometry *g, const nrrd *d, const int *axis)
{
    const double sign[3] = {d->space ? d->space->sign[0] : 1, d->space ? d->space->sign[1] : 1,
                            1};

    for (int a = 0; a < g->axes; a++) {
        const double *v = d->direction[axis[a]];
        double square = 0;
        if (a < d->directions && isnan(v[0]))
            return volt_fail(VOLT_EFORMAT, "%s: its spatial axis %d has no space direction",
                             d->path, axis[a] + 1);
        for (int r = 0; r < g->axes; r++)
            square += v[r] * v[r];
        g->spacing[a] = sqrt(square);
        for (int r = 0; r < g->axes; r++)
            g->direction[3 * r + a] = sign[r] * v[r] / g->spacing[a] + 0.0;
    }
    for (int r = 0; d->has_origin && r < g->axes; r++)
        g->origin[r] = sign[r] * d->origin[r] + 0.0;
    return VOLT_OK;
}

/* Without directions: along LPS. Returns false where nothing gives a spacing. */
static bool place_by_axes(volt_image_geometry *g, const nrrd *d, const int *axis)
{
    bool given = false, everywhere = true;

    for (int a = 0; a < g->axes; a++) {
        const int i = axis[a];
        const int64_t steps = d->node[i] ? d->n[i] - 1 : d->n[i];
        double mm = d->spacing[i];
        if (isnan(mm) && !isnan(d->low[i]) && !isnan(d->high[i]) && steps > 0)
            mm = (d->high[i] - d->low[i]) / (double)steps;
        given = given || !isnan(mm);
        everywhere = everywhere && !isnan(mm) && !isnan(d->low[i]);
        g->spacing[a] = isnan(mm) || mm == 0 ? 1 : mm;
    }
    for (int a = 0; a < g->axes && everywhere; a++)
        g->origin[a] = d->low[axis[a]] + (d->node[axis[a]] ? 0 : g->spacing[a] / 2);
    return given;
}

static volt_status warn_unknown(volt_text_header *h, const nrrd *d)
{
    if (d->space)
        return volt_text_warn(h,
                              "the space %s does not say which side is left; its axes are "
                              "taken as LPS, as in ITK",
                              d->space->name);
    return volt_text_warn(h, "the header names no space, so which side is left is unknown; its "
                             "axes are taken as LPS, as in ITK");
}

static volt_status judge_geometry(volt_text_header *h, const nrrd *d)
{
    int axis[MAX_AXES];
    volt_image_geometry g = {0, {1, 1, 1}, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    const int count = spatial_axes(axis, d);
    volt_status st = VOLT_OK;

    if (count < 2 || (int)d->axes - count > 1)
        return volt_fail(VOLT_ENOTSUP,
                         "%s: %d spatial and %d other axes; 2 or 3 spatial axes and at most "
                         "one of channels are supported",
                         d->path, count, (int)d->axes - count);
    g.axes = count > 2 ? 3 : 2;
    h->source = VOLT_GEOMETRY_HEADER;
    if (d->directions > 0) {
        if (d->dimension < g.axes || d->dimension > count)
            return volt_fail(VOLT_ENOTSUP,
                             "%s: %d spatial axes in a space of %d dimensions are not "
                             "supported",
                             d->path, count, d->dimension);
        VOLT_TRY(st, done, place_by_space(&g, d, axis));
    } else if (d->dimension > 0) {
        for (int r = 0; d->has_origin && d->space && r < g.axes; r++)
            g.origin[r] = (r < 2 ? d->space->sign[r] : 1) * d->origin[r] + 0.0;
        h->source = VOLT_GEOMETRY_NONE;
        VOLT_TRY(st, done,
                 volt_text_warn(h, "there are no space directions; 1 mm along LPS is assumed"));
    } else {
        h->source = place_by_axes(&g, d, axis) ? VOLT_GEOMETRY_NOFORM : VOLT_GEOMETRY_NONE;
    }
    if (h->source == VOLT_GEOMETRY_HEADER && g.axes == 3 && (!d->space || !d->space->patient))
        h->source = VOLT_GEOMETRY_NOFORM;
    if (h->source != VOLT_GEOMETRY_HEADER && !(d->space && d->space->patient))
        VOLT_TRY(st, done, warn_unknown(h, d));
    if (d->space && d->space->patient && d->dimension == 4 && d->space->sign[1] < 0)
        VOLT_TRY(st, done,
                 volt_text_warn(h, "SimpleITK takes the axes of the space %s as LPS",
                                d->space->name));
    if (d->other_units)
        VOLT_TRY(st, done,
                 volt_text_warn(h,
                                "its space units are not mm; its numbers are taken as mm, as "
                                "in ITK"));
    h->geometry = g;
    h->has_geometry = true;
done:
    return st;
}

volt_status volt_nrrd_header_parse(volt_text_header *h, volt_text *t)
{
    nrrd d = {.path = t->path};
    volt_span_text line, key, value;
    volt_status st;

    for (int a = 0; a < MAX_AXES; a++) {
        d.spacing[a] = d.low[a] = d.high[a] = NAN;
        for (int r = 0; r < MAX_SPACE; r++)
            d.direction[a][r] = NAN;
    }
    if (!volt_text_line(&line, t) || line.bytes < 8 || memcmp(line.at, "NRRD000", 7) != 0)
        return volt_fail(VOLT_EFORMAT, "%s: it does not start with NRRD and a version",
                         t->path);
    for (int lines = 0; lines < 10000 && volt_text_line(&line, t) && line.bytes > 0; lines++) {
        if (*line.at == '#' || !volt_text_split(&key, &value, line, ':') ||
            (value.bytes > 0 && *value.at == '=')) /* "key:=value" is no field */
            continue;
        VOLT_TRY(st, done, take_field(h, &d, t, key, value));
    }
    for (int a = 0; a < d.extents && a < VOLT_TEXT_MAX_AXES; a++)
        h->n[a] = d.n[a];
    VOLT_TRY(st, done, volt_text_check_axes(h, d.axes, d.extents, t->path));
    h->axes = (int)d.axes;
    st = judge_geometry(h, &d);
done:
    return st;
}
