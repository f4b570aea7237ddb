/* One sample, in nnU-Net's order of steps.
 *
 * Rotation, scaling and mirroring are a single resampling: each voxel of the patch is read from
 * the source once, at its final position, whereas nnU-Net resamples a patch of its own and
 * mirrors it later. Nothing is computed for voxels that are cropped away, and intensities are
 * interpolated only once. Labels and the prior mask follow the same lines through the source.
 * The intensity steps then work channel by channel, in place, in memory that the caller
 * provides: training allocates nothing per sample.
 */
#include "volume/augment.h"

#include <math.h>
#include <string.h>
#include "base/core/plural.h"
#include "base/threads.h"
#include "volume/augment/augment_internal.h"
#include "volume/augment/prior_mask.h"
#include "volume/grid/half.h"

#define MAX_TAPS 31 /* of a blur kernel */

static const augment_kernels *kernels(void)
{
    switch (volt_cpu_isa()) {
#if defined(__x86_64__)
    case VOLT_ISA_AVX512:
        return volt_augment_kernels_avx512();
    case VOLT_ISA_AVX2:
        return volt_augment_kernels_avx2();
#endif
    default:
        return volt_augment_kernels_base();
    }
}

/* A label map that is cropped or resampled along with the image. */
typedef struct label_map {
    const int16_t *in; /* of the source's shape */
    int16_t *out;      /* of the patch */
} label_map;

/* One sample: its inputs, the patch, and scratch memory. */
typedef struct job {
    const augment_kernels *k;
    const volt_augment_source *source;
    const volt_augment_rules *rules;
    const volt_augment_draw *draw;
    const int64_t *n; /* the patch: z, y, x */
    int64_t voxels;
    float *image;
    label_map map[2]; /* the labels, the prior mask */
    int maps;
    float *scratch;
} job;

/* Up to one channel, and tables and rows along each axis. A multiple of 16 bytes. */
static size_t transform_bytes(const int64_t n[3])
{
    const int64_t floats = n[0] * n[1] * n[2] + 8 * (n[0] + n[1] + n[2]) + 64;

    return sizeof(float) * (size_t)((floats + 3) / 4 * 4);
}

size_t volt_augment_scratch_bytes(const volt_augment_rules *rules)
{
    const volt_augment_rules r = volt_augment_rules_known(rules);

    return transform_bytes(r.patch) +
           (r.prior_labels > 0 ? augment_prior_mask_bytes(r.patch) : 0);
}

/* 1. rotation, scaling and mirroring: one linear resampling ------------------------------- */

/* Copies one row from the centre of the source, mirrored. */
static void crop_row(const job *j, int64_t z, int64_t y, const int64_t low[3])
{
    const int64_t *n = j->n, *s = j->source->shape;
    const bool *mirror = j->draw->mirror;
    const int64_t sz = low[0] + (mirror[0] ? n[0] - 1 - z : z);
    const int64_t sy = low[1] + (mirror[1] ? n[1] - 1 - y : y);
    const int64_t from = (sz * s[1] + sy) * s[2] + low[2], to = (z * n[1] + y) * n[2];

    for (int32_t c = 0; c < j->rules->channels; c++) {
        const float *in = j->source->image + c * s[0] * s[1] * s[2] + from;
        float *out = j->image + c * j->voxels + to;

        if (mirror[2])
            j->k->reverse(out, in, n[2]);
        else
            memcpy(out, in, (size_t)n[2] * sizeof *out);
    }
    for (int m = 0; m < j->maps; m++) {
        const int16_t *in = j->map[m].in + from;
        int16_t *out = j->map[m].out + to;

        if (mirror[2])
            j->k->reverse_labels(out, in, n[2]);
        else
            memcpy(out, in, (size_t)n[2] * sizeof *out);
    }
}

/* The eight neighbours of a position: offsets into the source (-1 outside) and weights. */
typedef struct corners {
    int64_t at[8];
    float weight[8];
} corners;

static void find_corners(corners *c, const augment_line *line, int64_t x)
{
    int64_t low[3];
    double high_weight[3];

    for (int a = 0; a < 3; a++) {
        const double p = line->start[a] + (double)x * line->step[a];

        low[a] = (int64_t)floor(p);
        high_weight[a] = p - (double)low[a];
    }
    for (int k = 0; k < 8; k++) {
        bool inside = true;

        c->weight[k] = 1;
        c->at[k] = 0;
        for (int a = 0; a < 3; a++) {
            const int high = k >> (2 - a) & 1;
            const int64_t v = low[a] + high;

            c->weight[k] *= (float)(high ? high_weight[a] : 1 - high_weight[a]);
            inside &= v >= 0 && v < line->shape[a];
            c->at[k] = c->at[k] * line->shape[a] + v;
        }
        if (!inside)
            c->at[k] = -1;
    }
}

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

static int16_t label_at(const int16_t *in, const corners *c)
{
    int16_t label[8];

    for (int k = 0; k < 8; k++)
        label[k] = c->at[k] < 0 ? -1 : in[c->at[k]];
    return vote(label, c->weight);
}

/* Whether all neighbours of `l` have its label: then no vote is needed. */
static inline bool all_alike(const int16_t *l, const augment_line *line)
{
    const int32_t dz = line->stride[0], dy = line->stride[1], dx = line->stride[2];
    const int16_t v = l[0];
    const bool near = (l[dx] == v) & (l[dy] == v) & (l[dy + dx] == v);

    return near && (line->in_slice || ((l[dz] == v) & (l[dz + dx] == v) & (l[dz + dy] == v) &
                                       (l[dz + dy + dx] == v)));
}

/* Labels of first <= x < last, all inside the source. Most have equal neighbours. */
static void sample_labels(int16_t *out, const int16_t *in, const augment_line *line,
                          const augment_row *row, int64_t first, int64_t last)
{
    for (int64_t x = first; x < last; x++) {
        const int16_t *l = in + row->base[x];
        corners c;

        if (all_alike(l, line)) {
            out[x] = l[0];
        } else {
            find_corners(&c, line, x);
            out[x] = label_at(in, &c);
        }
    }
}

/* A position none of whose neighbours is in the source. */
static bool is_beyond(const augment_line *line, int64_t x)
{
    for (int a = 0; a < 3; a++) {
        const double p = line->start[a] + (double)x * line->step[a];

        if (p <= -1 || p >= (double)line->shape[a])
            return true;
    }
    return false;
}

/* A sample at or beyond the source's border, with zeros outside. */
static void sample_outside(const job *j, const augment_line *line, int64_t to, int64_t x)
{
    const int64_t *s = line->shape;
    corners c;

    if (is_beyond(line, x)) {
        for (int32_t channel = 0; channel < j->rules->channels; channel++)
            j->image[channel * j->voxels + to + x] = 0;
        for (int m = 0; m < j->maps; m++)
            j->map[m].out[to + x] = -1;
        return;
    }
    find_corners(&c, line, x);
    for (int32_t channel = 0; channel < j->rules->channels; channel++) {
        const float *in = j->source->image + channel * s[0] * s[1] * s[2];
        float sum = 0;

        for (int k = 0; k < 8; k++)
            sum += c.at[k] < 0 ? 0 : c.weight[k] * in[c.at[k]];
        j->image[channel * j->voxels + to + x] = sum;
    }
    for (int m = 0; m < j->maps; m++)
        j->map[m].out[to + x] = label_at(j->map[m].in, &c);
}

static bool is_inside(const augment_line *line, int64_t x)
{
    for (int a = 0; a < 3; a++) {
        const double p = line->start[a] + (double)x * line->step[a];

        if (!(p >= 0 && p <= (double)(line->shape[a] - 1)))
            return false;
    }
    return true;
}

/* The line through the source for row (z, y) of the patch. */
static augment_line line_of(const job *j, int64_t z, int64_t y)
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
    line.stride[0] = s[0] > 1 ? (int32_t)(s[1] * s[2]) : 0;
    line.stride[1] = s[1] > 1 ? (int32_t)s[2] : 0;
    line.stride[2] = s[2] > 1;
    return line;
}

static void sample_row(const job *j, int64_t z, int64_t y, const augment_row *row)
{
    const int64_t *n = j->n, *s = j->source->shape, to = (z * n[1] + y) * n[2];
    const augment_line line = line_of(j, z, y);
    int64_t first = 0, last = n[2];

    while (first < last && !is_inside(&line, first))
        sample_outside(j, &line, to, first++);
    while (last > first && !is_inside(&line, last - 1))
        sample_outside(j, &line, to, --last);
    j->k->locate(row, &line, first, last);
    for (int32_t c = 0; c < j->rules->channels; c++)
        j->k->interpolate(j->image + c * j->voxels + to,
                          j->source->image + c * s[0] * s[1] * s[2], row, &line, first, last);
    for (int m = 0; m < j->maps; m++)
        sample_labels(j->map[m].out + to, j->map[m].in, &line, row, first, last);
}

static void sample(const job *j)
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

/* 3. Gaussian blur --------------------------------------------------------------------------
 */

/* batchgenerators' kernel: the odd number of taps nearest to 6 sigma + 0.5, sum 1. */
static int blur_kernel(float weight[MAX_TAPS], double sigma)
{
    const double size = 6 * sigma + 0.5;
    int taps = (int)rint(size);
    double sum = 0;

    if (taps % 2 == 0)
        taps += size - taps >= 0 ? 1 : -1;
    taps = taps < 1 ? 1 : taps > MAX_TAPS ? MAX_TAPS : taps;
    for (int i = 0; i < taps; i++)
        sum += exp(-0.5 * pow((i - taps / 2) / sigma, 2));
    for (int i = 0; i < taps; i++)
        weight[i] = (float)(exp(-0.5 * pow((i - taps / 2) / sigma, 2)) / sum);
    return taps;
}

/* Index reflected into 0..n-1 about the border voxels' centres. */
static int64_t reflect(int64_t i, int64_t n)
{
    const int64_t period = n > 1 ? 2 * (n - 1) : 1;

    i = (i % period + period) % period;
    return i < n ? i : period - i;
}

/* Blurs `count` rows of nx voxels, `stride` apart, across rows; tmp holds them all. */
static void blur_across(const job *j, float *first, int64_t count, int64_t stride,
                        const float *weight, int taps, float *tmp)
{
    const int64_t nx = j->n[2];
    const float *in[MAX_TAPS];

    for (int64_t i = 0; i < count; i++)
        memcpy(tmp + i * nx, first + i * stride, (size_t)nx * sizeof *tmp);
    for (int64_t i = 0; i < count; i++) {
        for (int t = 0; t < taps; t++)
            in[t] = tmp + reflect(i + t - taps / 2, count) * nx;
        j->k->weigh(first + i * stride, in, weight, taps, nx);
    }
}

static void blur_along(const job *j, float *row, const float *weight, int taps, float *tmp)
{
    const int64_t nx = j->n[2], radius = taps / 2;
    const float *in[MAX_TAPS];

    memcpy(tmp + radius, row, (size_t)nx * sizeof *tmp);
    for (int64_t x = 1; x <= radius; x++) {
        tmp[radius - x] = row[reflect(-x, nx)];
        tmp[radius + nx - 1 + x] = row[reflect(nx - 1 + x, nx)];
    }
    for (int t = 0; t < taps; t++)
        in[t] = tmp + t;
    j->k->weigh(row, in, weight, taps, nx);
}

static void blur(const job *j, float *x, const double sigma[3])
{
    const int64_t *n = j->n, plane = n[1] * n[2];
    float weight[MAX_TAPS];

    if (sigma[0] > 0) {
        const int taps = blur_kernel(weight, sigma[0]);
        for (int64_t y = 0; y < n[1]; y++)
            blur_across(j, x + y * n[2], n[0], plane, weight, taps, j->scratch);
    }
    if (sigma[1] > 0) {
        const int taps = blur_kernel(weight, sigma[1]);
        for (int64_t z = 0; z < n[0]; z++)
            blur_across(j, x + z * plane, n[1], n[2], weight, taps, j->scratch);
    }
    if (sigma[2] > 0) {
        const int taps = blur_kernel(weight, sigma[2]);
        for (int64_t r = 0; r < n[0] * n[1]; r++)
            blur_along(j, x + r * n[2], weight, taps, j->scratch);
    }
}

/* 4, 5. brightness and contrast: one pass -------------------------------------------------- */

static void change_contrast(const job *j, float *x, double brightness, double contrast)
{
    const float factor = (float)brightness;

    if (contrast == 1) {
        j->k->affine(x, j->voxels, factor, 0, -INFINITY, INFINITY);
    } else {
        const augment_moments m = j->k->moments(x, j->voxels);
        const double mean = m.mean * brightness;

        j->k->affine(x, j->voxels, (float)(brightness * contrast),
                     (float)(mean - mean * contrast), factor * m.min, factor * m.max);
    }
}

/* 6. low resolution --------------------------------------------------------------------------
 */

/* One axis of a reduction (nearest voxel to the centres of a smaller grid) and of the
 * enlargement back (linear). */
typedef struct pyramid {
    int64_t small;
    int32_t *nearest;    /* small: voxel of the patch */
    int32_t *low, *high; /* patch: voxels of the small grid */
    float *weight;       /* patch: of `high` */
} pyramid;

/* Takes its tables from *memory, which moves on. The patch is mirrored already, but nnU-Net
 * reduces before mirroring: the mirrored table gives the same voxels. */
static pyramid make_pyramid(float **memory, int64_t n, double scale, bool mirrored)
{
    const double small = rint((double)n * (double)(float)scale);
    pyramid l = {.small = small >= 1 ? (int64_t)small : 1};
    const float down = (float)n / (float)l.small, up = (float)l.small / (float)n;

    l.nearest = (int32_t *)(void *)*memory;
    l.low = l.nearest + n;
    l.high = l.low + n;
    l.weight = *memory + 3 * n;
    *memory += 4 * n;
    for (int64_t i = 0; i < l.small; i++) {
        const int64_t source = mirrored ? l.small - 1 - i : i;
        int64_t v = (int64_t)(((float)source + 0.5f) * down);

        v = v < n ? v : n - 1;
        l.nearest[i] = (int32_t)(mirrored ? n - 1 - v : v);
    }
    for (int64_t i = 0; i < n; i++) {
        const float at = ((float)i + 0.5f) * up - 0.5f;
        const int64_t low = at > 0 ? (int64_t)at : 0;

        l.low[i] = (int32_t)(low < l.small ? low : l.small - 1);
        l.high[i] = (int32_t)(low + 1 < l.small ? low + 1 : l.small - 1);
        l.weight[i] = at > 0 ? at - (float)l.low[i] : 0;
    }
    return l;
}

static void lower_resolution(const job *j, float *x, double scale)
{
    const int64_t *n = j->n;
    float *memory = j->scratch;
    const pyramid lz =
        make_pyramid(&memory, n[0], j->rules->in_plane ? 1 : scale, j->draw->mirror[0]);
    const pyramid ly = make_pyramid(&memory, n[1], scale, j->draw->mirror[1]);
    const pyramid lx = make_pyramid(&memory, n[2], scale, j->draw->mirror[2]);
    float *row = memory, *small = row + n[2];

    for (int64_t z = 0; z < lz.small; z++) {
        for (int64_t y = 0; y < ly.small; y++) {
            const float *in = x + (lz.nearest[z] * n[1] + ly.nearest[y]) * n[2];
            float *out = small + (z * ly.small + y) * lx.small;

            for (int64_t i = 0; i < lx.small; i++)
                out[i] = in[lx.nearest[i]];
        }
    }
    for (int64_t z = 0; z < n[0]; z++) {
        for (int64_t y = 0; y < n[1]; y++) {
            const float wz = lz.weight[z], wy = ly.weight[y];
            const float weight[4] = {(1 - wz) * (1 - wy), (1 - wz) * wy, wz * (1 - wy),
                                     wz * wy};
            const float *near = small + lz.low[z] * ly.small * lx.small;
            const float *far = small + lz.high[z] * ly.small * lx.small;
            const float *const in[4] = {
                near + ly.low[y] * lx.small, near + ly.high[y] * lx.small,
                far + ly.low[y] * lx.small, far + ly.high[y] * lx.small};

            j->k->weigh(row, in, weight, 4, lx.small);
            j->k->stretch(x + (z * n[1] + y) * n[2], row, lx.low, lx.high, lx.weight, n[2]);
        }
    }
}

/* 7, 8. gamma -------------------------------------------------------------------------------
 */

/* Gamma on the range 0..1, then mean and deviation are restored; sign -1: of the inverted
 * image. */
static void change_gamma(const job *j, float *x, double gamma, float sign)
{
    const augment_moments m = j->k->moments(x, j->voxels);
    const float low = sign > 0 ? m.min : -m.max, range = m.max - m.min;
    const double mean = sign * m.mean;

    j->k->power(x, j->voxels, sign, low, 1 / fmaxf(range, 1e-7f), range, (float)gamma);
    const augment_moments after = j->k->moments(x, j->voxels);
    const double scale = m.sd / fmax(after.sd, 1e-7);
    j->k->affine(x, j->voxels, (float)(sign * scale),
                 (float)(sign * (mean - after.mean * scale)), -INFINITY, INFINITY);
}

/* All ----------------------------------------------------------------------------------------
 */

static void change_channel(const job *j, int32_t channel)
{
    const volt_augment_channel *c = &j->draw->channel[channel];
    const int16_t *labels = j->map[0].out; /* the labels, if the source has any */
    float *x = j->image + channel * j->voxels;

    if (j->draw->noise_sd > 0) {
        const uint32_t *from = j->draw->noise.counter;
        const int64_t blocks =
            (j->voxels + 63) / 64 * 16; /* each channel has its own numbers */
        const uint32_t counter[4] = {from[0] + (uint32_t)(channel * blocks), from[1], from[2],
                                     from[3]};

        j->k->add_noise(x, j->voxels, (float)j->draw->noise_sd, j->draw->noise.key, counter);
    }
    if (c->blur_sigma[0] > 0 || c->blur_sigma[1] > 0 || c->blur_sigma[2] > 0)
        blur(j, x, c->blur_sigma);
    if (c->brightness != 1 || c->contrast != 1)
        change_contrast(j, x, c->brightness, c->contrast);
    if (c->low_resolution < 1)
        lower_resolution(j, x, c->low_resolution);
    if (c->gamma_inverted > 0)
        change_gamma(j, x, c->gamma_inverted, -1);
    if (c->gamma > 0)
        change_gamma(j, x, c->gamma, 1);
    if (j->source->labels && labels && j->rules->zero_outside[channel]) {
        for (int64_t i = 0; i < j->voxels; i++)
            x[i] = labels[i] < 0 ? 0 : x[i];
    }
}

static volt_status check(const volt_augment_source *source, const volt_augment_rules *rules,
                         const volt_augment_draw *draw)
{
    const int64_t *s = source->shape, *n = rules->patch;

    if (rules->channels < 1 || rules->channels > VOLT_AUGMENT_MAX_CHANNELS)
        return volt_fail(VOLT_EINVAL, "augmentation of %d channels, not 1..%d", rules->channels,
                         VOLT_AUGMENT_MAX_CHANNELS);
    if (rules->prior_labels < 0 || rules->prior_labels > VOLT_AUGMENT_MAX_PRIOR_LABELS ||
        (rules->prior_labels > 0) != (source->prior_mask != NULL))
        return volt_fail(VOLT_EINVAL, "augmentation with %d prior label%s and %s prior mask",
                         rules->prior_labels, volt_s(rules->prior_labels),
                         source->prior_mask ? "a" : "no");
    for (int a = 0; a < 3; a++) {
        if (n[a] < 1 || s[a] < 1 || (!draw->spatial && s[a] < n[a]))
            return volt_fail(VOLT_EINVAL,
                             "a source of %lld voxel%s along %c for a patch of %lld",
                             (long long)s[a], volt_s(s[a]), "zyx"[a], (long long)n[a]);
    }
    if (s[0] > INT32_MAX / s[1] / s[2])
        return volt_fail(VOLT_EINVAL, "a source of %lld x %lld x %lld voxels is too large",
                         (long long)s[2], (long long)s[1], (long long)s[0]);
    if (n[0] > INT32_MAX / n[1] / n[2])
        return volt_fail(VOLT_EINVAL, "a patch of %lld x %lld x %lld voxels is too large",
                         (long long)n[2], (long long)n[1], (long long)n[0]);
    return VOLT_OK;
}

/* 12. the prior mask as one-hot channels */
static void add_prior_mask(const job *j)
{
    const label_map *m = &j->map[j->maps - 1];
    float *hot = j->image + j->rules->channels * j->voxels;
    void *scratch = (char *)j->scratch + transform_bytes(j->n);

    augment_prior_mask(m->out, j->n, j->rules, j->draw, scratch);
    memset(hot, 0, (size_t)(j->rules->prior_labels * j->voxels) * sizeof *hot);
    for (int64_t i = 0; i < j->voxels; i++) {
        if (m->out[i] > 0)
            hot[(m->out[i] - 1) * j->voxels + i] = 1;
    }
}

volt_status volt_augment_apply(float *image, int16_t *labels, const volt_augment_source *source,
                               const volt_augment_rules *rules, const volt_augment_draw *draw,
                               void *scratch)
{
    volt_augment_rules r;
    const int64_t *n = r.patch;
    volt_status st = volt_augment_rules_take(&r, rules);

    if (st == VOLT_OK)
        st = check(source, &r, draw);
    if (st != VOLT_OK)
        return st;
    job j = {.k = kernels(),
             .source = source,
             .rules = &r,
             .draw = draw,
             .n = n,
             .voxels = n[0] * n[1] * n[2],
             .image = image,
             .scratch = scratch};
    if (source->labels)
        j.map[j.maps++] = (label_map){source->labels, labels};
    if (source->prior_mask)
        j.map[j.maps++] =
            (label_map){source->prior_mask,
                        augment_prior_mask_map((char *)scratch + transform_bytes(n), n)};
    sample(&j);
    for (int32_t c = 0; c < r.channels; c++)
        change_channel(&j, c);
    for (int64_t i = 0; source->labels && i < j.voxels; i++)
        labels[i] = labels[i] < 0 ? 0 : labels[i];
    if (source->prior_mask)
        add_prior_mask(&j);
    return VOLT_OK;
}
