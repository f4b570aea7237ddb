/* One sample, in nnU-Net's order of steps.
 *
 * Rotation, scaling and mirroring are a single resampling (sample.c). The intensity steps then
 * work channel by channel, in place, in memory that the caller provides: training allocates
 * nothing per sample.
 */
#include "volume/augment.h"

#include <math.h>
#include <string.h>
#include "base/core/plural.h"
#include "base/threads.h"
#include "volume/augment/augment_internal.h"
#include "volume/augment/prior_mask.h"

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

/* Rows along x for resampling. */
static size_t row_bytes(const int64_t n[3])
{
    return 4 * (size_t)n[2] * sizeof(float);
}

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

size_t augment_drawn_scratch_bytes(const volt_augment_rules *rules)
{
    const volt_augment_rules r = volt_augment_rules_known(rules);
    const bool copies = r.p_blur > 0 || r.p_low_resolution > 0 || r.prior_labels > 0;

    return copies ? volt_augment_scratch_bytes(rules) : row_bytes(r.patch);
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
static void blur_across(const augment_job *j, float *first, int64_t count, int64_t stride,
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

static void blur_along(const augment_job *j, float *row, const float *weight, int taps,
                       float *tmp)
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

static void blur(const augment_job *j, float *x, const double sigma[3])
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

static void change_contrast(const augment_job *j, float *x, double brightness, double contrast)
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

static void lower_resolution(const augment_job *j, float *x, double scale)
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
static void change_gamma(const augment_job *j, float *x, double gamma, float sign)
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

static void change_channel(const augment_job *j, int32_t channel)
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
    if (j->source->labels.data && labels && j->rules->zero_outside[channel]) {
        for (int64_t i = 0; i < j->voxels; i++)
            x[i] = labels[i] < 0 ? 0 : x[i];
    }
}

static volt_status check(const augment_window *source, const volt_augment_rules *rules,
                         const volt_augment_draw *draw)
{
    const int64_t *s = source->shape, *n = rules->patch;

    if (rules->channels < 1 || rules->channels > VOLT_AUGMENT_MAX_CHANNELS)
        return volt_fail(VOLT_EINVAL, "augmentation of %d channels, not 1..%d", rules->channels,
                         VOLT_AUGMENT_MAX_CHANNELS);
    if (rules->prior_labels < 0 || rules->prior_labels > VOLT_AUGMENT_MAX_PRIOR_LABELS ||
        (rules->prior_labels > 0) != (source->prior_mask.data != NULL))
        return volt_fail(VOLT_EINVAL, "augmentation with %d prior label%s and %s prior mask",
                         rules->prior_labels, volt_s(rules->prior_labels),
                         source->prior_mask.data ? "a" : "no");
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
static void add_prior_mask(const augment_job *j)
{
    const augment_map *m = &j->map[j->maps - 1];
    float *hot = j->image + j->rules->channels * j->voxels;
    void *scratch = (char *)j->scratch + transform_bytes(j->n);

    augment_prior_mask(m->out, j->n, j->rules, j->draw, scratch);
    memset(hot, 0, (size_t)(j->rules->prior_labels * j->voxels) * sizeof *hot);
    for (int64_t i = 0; i < j->voxels; i++) {
        if (m->out[i] > 0)
            hot[(m->out[i] - 1) * j->voxels + i] = 1;
    }
}

volt_status augment_apply_window(float *image, int16_t *labels, const augment_window *source,
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
    augment_job j = {.k = kernels(),
                     .source = source,
                     .rules = &r,
                     .draw = draw,
                     .n = n,
                     .voxels = n[0] * n[1] * n[2],
                     .image = image,
                     .scratch = scratch};
    if (source->labels.data)
        j.map[j.maps++] = (augment_map){source->labels, labels};
    if (source->prior_mask.data)
        j.map[j.maps++] =
            (augment_map){source->prior_mask,
                          augment_prior_mask_map((char *)scratch + transform_bytes(n), n)};
    augment_sample(&j);
    for (int32_t c = 0; c < r.channels; c++)
        change_channel(&j, c);
    for (int64_t i = 0; source->labels.data && i < j.voxels; i++)
        labels[i] = labels[i] < 0 ? 0 : labels[i];
    if (source->prior_mask.data)
        add_prior_mask(&j);
    return VOLT_OK;
}

volt_status volt_augment_apply(float *image, int16_t *labels, const volt_augment_source *source,
                               const volt_augment_rules *rules, const volt_augment_draw *draw,
                               void *scratch)
{
    augment_window window = {.image = source->image,
                             .labels = {source->labels, VOLT_I16},
                             .prior_mask = {source->prior_mask, VOLT_I16}};

    memcpy(window.extent, source->shape, sizeof window.extent);
    memcpy(window.shape, source->shape, sizeof window.shape);
    return augment_apply_window(image, labels, &window, rules, draw, scratch);
}
