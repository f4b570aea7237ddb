/* Rotation, scaling and mirroring: one linear resampling.
 *
 * Each voxel of the patch is read from the source once, at its final position, whereas nnU-Net
 * resamples a patch of its own and mirrors it later. Nothing is computed for voxels that are
 * cropped away, and intensities are interpolated only once. Labels and the prior mask follow
 * the same lines through the source.
 *
 * The source is a window: a box of a volume that is read where it lies, in the mapped file of a
 * case, since a copy with the margin that a rotation needs is several times the patch. Every
 * voxel has the bits that a copy, padded with 0 and -1, would give. To that end a row has
 * parts: outside the box; within it, where all neighbours are in the volume; and where some are
 * not, so that these are gathered first, for the same inner loop.
 */
#include <math.h>
#include <string.h>
#include "volume/augment/augment_internal.h"
#include "volume/grid/half.h"

#define GATHERED 64   /* voxels at once */
#define ROUNDING 1e-6 /* voxels; positions differ by less between instruction sets */

static int16_t label_of(const augment_voxels *v, int64_t at)
{
    return v->dtype == VOLT_I8 ? ((const int8_t *)v->data)[at] : ((const int16_t *)v->data)[at];
}

/* The volume's slice for slice z of the box; outside it unless slices repeat. */
static int64_t slice_of(const augment_window *w, int64_t z)
{
    const int64_t at = w->low[0] + z, last = w->extent[0] - 1;

    return !w->repeat ? at : at < 0 ? 0 : at > last ? last : at;
}

static int64_t channel_voxels(const augment_window *w)
{
    return w->extent[0] * w->extent[1] * w->extent[2];
}

/* ---- without rotation and scaling ---- */

/* One row of labels, type T, mirrored or not. */
#define COPY_LABELS(name, T)                                                                   \
    static void name(int16_t *restrict out, const T *restrict in, int64_t n, bool mirror)      \
    {                                                                                          \
        if (mirror) {                                                                          \
            for (int64_t i = 0; i < n; i++)                                                    \
                out[i] = in[n - 1 - i];                                                        \
        } else {                                                                               \
            for (int64_t i = 0; i < n; i++)                                                    \
                out[i] = in[i];                                                                \
        }                                                                                      \
    }

COPY_LABELS(copy_i8, int8_t)
COPY_LABELS(copy_i16, int16_t)

/* A row of the patch within the volume: n voxels at `to` of the patch from `from` on; the
 * others are outside. */
static void copy_row(const augment_job *j, int64_t to, int64_t from, int64_t n)
{
    const bool mirror = j->draw->mirror[2];

    for (int32_t c = 0; c < j->rules->channels; c++) {
        const float *in = j->source->image + c * channel_voxels(j->source) + from;
        float *out = j->image + c * j->voxels + to;

        if (mirror)
            j->k->reverse(out, in, n);
        else
            memcpy(out, in, (size_t)n * sizeof *out);
    }
    for (int m = 0; m < j->maps; m++) {
        const augment_map *map = &j->map[m];

        if (map->in.dtype == VOLT_I8)
            copy_i8(map->out + to, (const int8_t *)map->in.data + from, n, mirror);
        else
            copy_i16(map->out + to, (const int16_t *)map->in.data + from, n, mirror);
    }
}

/* Voxels of a row outside the volume. */
static void clear(const augment_job *j, int64_t to, int64_t n)
{
    for (int32_t c = 0; c < j->rules->channels; c++)
        memset(j->image + c * j->voxels + to, 0, (size_t)n * sizeof *j->image);
    for (int m = 0; m < j->maps; m++)
        memset(j->map[m].out + to, 0xff, (size_t)n * sizeof *j->map[m].out); /* -1 */
}

/* Copies one row from the centre of the source, mirrored. */
static void crop_row(const augment_job *j, int64_t z, int64_t y, const int64_t low[3])
{
    const augment_window *w = j->source;
    const int64_t *n = j->n, *e = w->extent, to = (z * n[1] + y) * n[2];
    const bool *mirror = j->draw->mirror;
    const int64_t uz = slice_of(w, low[0] + (mirror[0] ? n[0] - 1 - z : z));
    const int64_t uy = w->low[1] + low[1] + (mirror[1] ? n[1] - 1 - y : y);
    const int64_t ux = w->low[2] + low[2];
    const int64_t first = ux < 0 ? 0 : ux, last = ux + n[2] < e[2] ? ux + n[2] : e[2];

    if (uz < 0 || uz >= e[0] || uy < 0 || uy >= e[1] || first >= last) {
        clear(j, to, n[2]);
    } else {
        const int64_t left = mirror[2] ? ux + n[2] - last : first - ux;

        clear(j, to, left);
        copy_row(j, to + left, (uz * e[1] + uy) * e[2] + first, last - first);
        clear(j, to + left + last - first, n[2] - left - (last - first));
    }
}

/* ---- positions ---- */

/* The eight neighbours of a position: offsets into the volume (-1 outside) and weights. */
typedef struct corners {
    int64_t at[8];
    float weight[8];
} corners;

static double position(const augment_line *line, int a, int64_t x)
{
    return line->start[a] + (double)x * line->step[a];
}

/* Offset of a voxel of the box in the volume; -1 outside either. */
static int64_t offset_of(const augment_window *w, const int64_t voxel[3])
{
    int64_t at = 0;

    for (int a = 0; a < 3; a++) {
        const int64_t v = a == 0 ? slice_of(w, voxel[0]) : w->low[a] + voxel[a];

        if (voxel[a] < 0 || voxel[a] >= w->shape[a] || v < 0 || v >= w->extent[a])
            return -1;
        at = at * w->extent[a] + v;
    }
    return at;
}

static void find_corners(corners *c, const augment_window *w, const augment_line *line,
                         int64_t x)
{
    int64_t low[3];
    double high_weight[3];

    for (int a = 0; a < 3; a++) {
        const double p = position(line, a, x);

        low[a] = (int64_t)floor(p);
        high_weight[a] = p - (double)low[a];
    }
    for (int k = 0; k < 8; k++) {
        int64_t voxel[3];

        c->weight[k] = 1;
        for (int a = 0; a < 3; a++) {
            const int high = k >> (2 - a) & 1;

            c->weight[k] *= (float)(high ? high_weight[a] : 1 - high_weight[a]);
            voxel[a] = low[a] + high;
        }
        c->at[k] = offset_of(w, voxel);
    }
}

/* A position none of whose neighbours is in the box. */
static bool is_beyond(const augment_line *line, int64_t x)
{
    for (int a = 0; a < 3; a++) {
        const double p = position(line, a, x);

        if (p <= -1 || p >= (double)line->shape[a])
            return true;
    }
    return false;
}

/* A position of which no neighbour is more than half outside the box. */
static bool is_inside(const augment_line *line, int64_t x)
{
    for (int a = 0; a < 3; a++) {
        const double p = position(line, a, x);

        if (!(p >= 0 && p <= (double)(line->shape[a] - 1)))
            return false;
    }
    return true;
}

typedef enum place {
    WITHIN,  /* all neighbours of a position are in the volume, */
    PARTLY,  /* some may be, */
    WITHOUT, /* none is */
} place;

/* Where a position inside the box is in the volume, whichever way it is rounded. */
static place place_of(const augment_window *w, const augment_line *line, int64_t x)
{
    place found = WITHIN;

    for (int a = 0; a < 3; a++) {
        const bool single = line->stride[a] == 0 || (a == 0 && line->in_slice);
        const double p = position(line, a, x), top = (double)(line->shape[a] - 2);
        double low = floor(p - ROUNDING), high = floor(p + ROUNDING);

        if (a == 0 && line->in_slice) {
            low = high = p;
        } else {
            low = low < 0 ? 0 : low;
            high = high > top ? top : high;
            high = high < 0 ? 0 : high;
        }
        if (a == 0 && w->repeat)
            continue;
        low += (double)w->low[a];
        high += (double)w->low[a] + (single ? 0 : 1);
        if (high < 0 || low >= (double)w->extent[a])
            return WITHOUT;
        if (low < 0 || high >= (double)w->extent[a])
            found = PARTLY;
    }
    return found;
}

/* ---- labels ---- */

/* The label with the largest weight, the lowest of equal ones. Weights are compared as half
 * precision multiples of 1/1000, as in nnU-Net's augmentation, so that near-ties are ties. */
static int16_t vote(const int16_t label[8], const float weight[8])
{
    float best = -1;
    int16_t winner = 0;

    for (int i = 0; i < 8; i++) {
        float sum = 0;

        for (int k = 0; k < 8; k++)
            sum += label[k] == label[i] ? weight[k] : 0;
        sum = volt_round_to_half(1000 * sum);
        if (sum > best || (sum == best && label[i] < winner)) {
            best = sum;
            winner = label[i];
        }
    }
    return winner;
}

static int16_t label_at(const augment_voxels *in, const corners *c)
{
    int16_t label[8];

    for (int k = 0; k < 8; k++)
        label[k] = c->at[k] < 0 ? -1 : label_of(in, c->at[k]);
    return vote(label, c->weight);
}

/* Labels, type T, of first <= x < last, all within the volume, from the offset that row->base
 * counts from. Most have equal neighbours: then no vote is needed. */
#define SAMPLE_LABELS(name, T)                                                                 \
    static void name(const augment_map *map, const augment_window *w,                          \
                     const augment_line *line, const augment_row *row, int64_t first,          \
                     int64_t last, int64_t from, int64_t to)                                   \
    {                                                                                          \
        const int32_t dz = line->stride[0], dy = line->stride[1], dx = line->stride[2];        \
        for (int64_t x = first; x < last; x++) {                                               \
            const T *l = (const T *)map->in.data + from + row->base[x];                        \
            const T v = l[0];                                                                  \
            const bool near = (l[dx] == v) & (l[dy] == v) & (l[dy + dx] == v);                 \
            if (near && (line->in_slice || ((l[dz] == v) & (l[dz + dx] == v) &                 \
                                            (l[dz + dy] == v) & (l[dz + dy + dx] == v)))) {    \
                map->out[to + x] = v;                                                          \
            } else {                                                                           \
                corners c;                                                                     \
                find_corners(&c, w, line, x);                                                  \
                map->out[to + x] = label_at(&map->in, &c);                                     \
            }                                                                                  \
        }                                                                                      \
    }

SAMPLE_LABELS(sample_i8, int8_t)
SAMPLE_LABELS(sample_i16, int16_t)

/* ---- rows ---- */

/* A row of the patch: its lines through the source, and where in a channel the offsets of the
 * second begin. */
typedef struct row_job {
    const augment_job *j;
    const augment_row *row;
    int64_t to;          /* offset in the patch */
    augment_line box;    /* as if the box were an array */
    augment_line volume; /* in place */
    int64_t from;
    bool far; /* offsets in place are too large for augment_row */
} row_job;

/* A sample at or beyond the box's border, with zeros outside. */
static void sample_outside(const row_job *r, int64_t x)
{
    const augment_job *j = r->j;
    corners c;

    if (is_beyond(&r->box, x)) {
        clear(j, r->to + x, 1);
        return;
    }
    find_corners(&c, j->source, &r->box, x);
    for (int32_t channel = 0; channel < j->rules->channels; channel++) {
        const float *in = j->source->image + channel * channel_voxels(j->source);
        float sum = 0;

        for (int k = 0; k < 8; k++)
            sum += c.at[k] < 0 ? 0 : c.weight[k] * in[c.at[k]];
        j->image[channel * j->voxels + r->to + x] = sum;
    }
    for (int m = 0; m < j->maps; m++)
        j->map[m].out[r->to + x] = label_at(&j->map[m].in, &c);
}

/* Samples first <= x < last, all neighbours of which are in the volume. */
static void sample_within(const row_job *r, int64_t first, int64_t last)
{
    const augment_job *j = r->j;

    if (first >= last)
        return;
    j->k->locate(r->row, &r->volume, first, last);
    for (int32_t c = 0; c < j->rules->channels; c++)
        j->k->interpolate(j->image + c * j->voxels + r->to,
                          j->source->image + c * channel_voxels(j->source) + r->from, r->row,
                          &r->volume, first, last);
    for (int m = 0; m < j->maps; m++)
        (j->map[m].in.dtype == VOLT_I8 ? sample_i8 : sample_i16)(
            &j->map[m], j->source, &r->volume, r->row, first, last, r->from, r->to);
}

/* The neighbours' offsets of a sample whose first one has offset `base` in the box. */
static void gather_offsets(int64_t at[8], const row_job *r, int32_t base)
{
    const int64_t *s = r->box.shape;
    const int64_t low[3] = {base / (s[1] * s[2]), base / s[2] % s[1], base % s[2]};

    for (int k = 0; k < 8; k++) {
        const int64_t voxel[3] = {low[0] + (s[0] > 1 && !r->box.in_slice ? k >> 2 : 0),
                                  low[1] + (s[1] > 1 ? k >> 1 & 1 : 0),
                                  low[2] + (s[2] > 1 ? k & 1 : 0)};
        at[k] = offset_of(r->j->source, voxel);
    }
}

/* Samples first <= x < last, at most GATHERED, whose neighbours are gathered: eight for each, 0
 * outside the volume. */
static void sample_gathered(const row_job *r, int64_t first, int64_t last)
{
    const augment_job *j = r->j;
    const int64_t n = last - first;
    int32_t base[GATHERED];
    int64_t at[GATHERED][8];
    float near[GATHERED][8];
    const augment_row row = {
        base,
        {r->row->weight[0] + first, r->row->weight[1] + first, r->row->weight[2] + first}};
    augment_line line = r->box;

    line.stride[0] = 4;
    line.stride[1] = 2;
    line.stride[2] = 1;
    for (int64_t i = 0; i < n; i++) {
        gather_offsets(at[i], r, r->row->base[first + i]);
        base[i] = (int32_t)(8 * i);
    }
    for (int32_t c = 0; c < j->rules->channels; c++) {
        const float *in = j->source->image + c * channel_voxels(j->source);

        for (int64_t i = 0; i < n; i++) {
            for (int k = 0; k < 8; k++)
                near[i][k] = at[i][k] < 0 ? 0 : in[at[i][k]];
        }
        j->k->interpolate(j->image + c * j->voxels + r->to + first, near[0], &row, &line, 0, n);
    }
    for (int m = 0; m < j->maps; m++) {
        for (int64_t x = first; x < last; x++) {
            corners c;

            find_corners(&c, j->source, &r->box, x);
            j->map[m].out[r->to + x] = label_at(&j->map[m].in, &c);
        }
    }
}

/* Samples first <= x < last, inside the box, at or outside the volume's border. */
static void sample_border(const row_job *r, int64_t first, int64_t last)
{
    const augment_window *w = r->j->source;

    while (first < last && place_of(w, &r->box, first) == WITHOUT)
        clear(r->j, r->to + first++, 1);
    while (last > first && place_of(w, &r->box, last - 1) == WITHOUT)
        clear(r->j, r->to + --last, 1);
    if (first >= last)
        return;
    r->j->k->locate(r->row, &r->box, first, last);
    for (; first < last; first += GATHERED)
        sample_gathered(r, first, last - first < GATHERED ? last : first + GATHERED);
}

/* The line through the source for row (z, y) of the patch, as if the box were an array. */
static augment_line line_of(const augment_job *j, int64_t z, int64_t y)
{
    const int64_t *n = j->n, *s = j->source->shape;
    const int64_t at[3] = {z, y, 0};
    double offset[3];
    augment_line line;

    for (int a = 0; a < 3; a++) {
        offset[a] = (double)at[a] - 0.5 * (double)(n[a] - 1);
        offset[a] = j->draw->mirror[a] ? -offset[a] : offset[a];
    }
    for (int a = 0; a < 3; a++) {
        const double *m = j->draw->matrix[a];

        line.start[a] =
            m[0] * offset[0] + m[1] * offset[1] + m[2] * offset[2] + 0.5 * (double)(s[a] - 1);
        line.step[a] = j->draw->mirror[2] ? -m[2] : m[2];
        line.shape[a] = s[a];
    }
    line.in_slice = j->rules->in_plane; /* slices do not mix */
    if (line.in_slice) {
        line.start[0] = (double)(s[0] / 2 - n[0] / 2 + (j->draw->mirror[0] ? n[0] - 1 - z : z));
        line.step[0] = 0;
    }
    line.first = line.in_slice ? (int32_t)((int64_t)line.start[0] * s[1] * s[2]) : 0;
    line.stride[0] = s[0] > 1 ? (int32_t)(s[1] * s[2]) : 0;
    line.stride[1] = s[1] > 1 ? (int32_t)s[2] : 0;
    line.stride[2] = s[2] > 1;
    return line;
}

/* The same line through the volume. */
static void set_volume(row_job *r)
{
    const augment_window *w = r->j->source;
    const int64_t *e = w->extent, *s = w->shape;
    const int64_t pitch[3] = {e[1] * e[2], e[2], 1};
    int64_t first = 0, reach = 0;

    r->volume = r->box;
    r->from = 0;
    for (int a = 0; a < 3; a++) {
        const int64_t last = e[a] - 1, low = w->low[a];
        const int64_t begin = low < 0 ? 0 : low > last ? last : low;
        int64_t at = low;

        if (a == 0 && r->box.in_slice)
            at = slice_of(w, (int64_t)r->box.start[0]);
        r->from += begin * pitch[a];
        first += (at - begin) * pitch[a];
        reach += (s[a] + (at < begin ? begin - at : at - begin)) * pitch[a];
    }
    r->far = reach > INT32_MAX;
    r->volume.first = r->far ? 0 : (int32_t)first;
    for (int a = 0; a < 3; a++)
        r->volume.stride[a] = r->far || s[a] == 1 ? 0 : (int32_t)pitch[a];
}

static void sample_row(const augment_job *j, int64_t z, int64_t y, const augment_row *row)
{
    row_job r = {.j = j, .row = row, .to = (z * j->n[1] + y) * j->n[2]};
    int64_t first = 0, last = j->n[2], low, high;

    r.box = line_of(j, z, y);
    set_volume(&r);
    while (first < last && !is_inside(&r.box, first))
        sample_outside(&r, first++);
    while (last > first && !is_inside(&r.box, last - 1))
        sample_outside(&r, --last);
    low = r.far ? last : first;
    while (low < last && place_of(j->source, &r.box, low) != WITHIN)
        low++;
    high = last;
    while (high > low && place_of(j->source, &r.box, high - 1) != WITHIN)
        high--;
    sample_border(&r, first, low);
    sample_within(&r, low, high);
    sample_border(&r, high, last);
}

void augment_sample(const augment_job *j)
{
    const int64_t *n = j->n, *s = j->source->shape;
    const int64_t low[3] = {s[0] / 2 - n[0] / 2, s[1] / 2 - n[1] / 2, s[2] / 2 - n[2] / 2};
    const augment_row row = {(int32_t *)(void *)j->scratch,
                             {j->scratch + n[2], j->scratch + 2 * n[2], j->scratch + 3 * n[2]}};

    for (int64_t z = 0; z < n[0]; z++) {
        for (int64_t y = 0; y < n[1]; y++) {
            if (j->draw->spatial)
                sample_row(j, z, y, &row);
            else
                crop_row(j, z, y, low);
        }
    }
}
