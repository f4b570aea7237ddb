#include "nets3d/data/sampler.h"

#include <stdatomic.h>
#include <string.h>

#include "base/system/file.h"
#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/store/case_store_internal.h"
#include "volume/grid/patch.h"

struct volt_sample_case {
    const volt_stored_case *stored, *prior;
    bool owned;
    char *name;
    int *foreground; /* indices of its locations: label > 0, at least one voxel */
    int foregrounds;
    int64_t annotated; /* voxels of all its locations, those of the background included */
    atomic_bool verified;
};

struct volt_sampler {
    volt_sampler_options options;
    volt_augment_rules rules; /* with the slices as the patch's depth */
    int64_t initial[3];       /* source of a spatially changed sample, one slice of it */
    float *image;             /* (channels, largest source) */
    int16_t *labels;          /* (largest source) */
    int16_t *prior;           /* (largest source); NULL without cascade */
    int16_t *stack;           /* labels of all slices of a sample; NULL where there is one */
    void *scratch;
    volt_augment_draw drawn; /* of the last sample */
};

static int64_t voxels_of(const int64_t shape[3])
{
    return shape[0] * shape[1] * shape[2];
}

static int slices_of(const volt_sampler_options *o)
{
    return o->slices > 1 ? o->slices : 1;
}

int64_t volt_sampler_channels(const volt_sampler_options *o)
{
    return (int64_t)(o->rules.channels + o->rules.prior_labels) * slices_of(o);
}

/* The augmentation rules; neighbouring slices become a patch that is augmented in-plane. */
static volt_augment_rules stack_rules(const volt_sampler_options *o)
{
    volt_augment_rules r = o->rules;

    if (slices_of(o) > 1) {
        r.patch[0] = o->slices;
        r.in_plane = r.slices_apart = true;
    }
    return r;
}

/* The largest source; a whole case has no surroundings to rotate in. */
static void initial_patch(int64_t out[3], const volt_sampler_options *o,
                          const volt_augment_rules *rules)
{
    volt_augment_initial_patch(out, rules);
    for (int a = 0; a < 3; a++) {
        if (o->whole || out[a] < rules->patch[a])
            out[a] = rules->patch[a];
    }
}

static int64_t source_voxels(const volt_sampler_options *o)
{
    const volt_augment_rules rules = stack_rules(o);
    int64_t initial[3];

    initial_patch(initial, o, &rules);
    return voxels_of(initial);
}

size_t volt_sampler_bytes(const volt_sampler_options *o)
{
    const volt_augment_rules rules = stack_rules(o);
    const size_t maps = rules.prior_labels > 0 ? 2 : 1;
    const size_t voxel = (size_t)rules.channels * sizeof(float) + maps * sizeof(int16_t);
    const size_t stack =
        slices_of(o) > 1 ? (size_t)voxels_of(rules.patch) * sizeof(int16_t) : 0;

    return (size_t)source_voxels(o) * voxel + stack + volt_augment_scratch_bytes(&rules);
}

volt_status volt_sampler_check(const volt_sampler_options *o)
{
    int64_t voxels;

    if (o->classes < 2 || o->rules.channels < 1 ||
        o->rules.channels > VOLT_AUGMENT_MAX_CHANNELS)
        return volt_fail(VOLT_EINVAL, "samples: channels %d, classes %lld: one is out of range",
                         (int)o->rules.channels, (long long)o->classes);
    if (o->slices < 0 || (o->slices > 1 && (o->slices % 2 == 0 || o->rules.patch[0] != 1)) ||
        o->slices > 1000)
        return volt_fail(VOLT_EINVAL,
                         "samples of %d slice%s with a patch of %lld: an odd number of slices "
                         "and a 2-D patch are needed",
                         o->slices, volt_s(o->slices), (long long)o->rules.patch[0]);
    if (o->rules.prior_labels < 0 || o->rules.prior_labels > VOLT_AUGMENT_MAX_PRIOR_LABELS)
        return volt_fail(VOLT_EINVAL,
                         "samples with %d labels of a previous stage; 0 to %d are supported",
                         o->rules.prior_labels, VOLT_AUGMENT_MAX_PRIOR_LABELS);
    voxels = volt_sampler_channels(o);
    for (int a = 0; a < 3; a++) {
        if (o->rules.patch[a] < 1 || volt_mul_i64(&voxels, voxels, o->rules.patch[a]) ||
            voxels > INT64_MAX / 1024)
            return volt_fail(VOLT_EINVAL, "samples with a patch of %lld along axis %d",
                             (long long)o->rules.patch[a], a);
    }
    return VOLT_OK;
}

/* ---- cases ---- */

static volt_status check_case(const volt_sample_source *source, const volt_sampler_options *o)
{
    const volt_stored_case *c = source->stored, *p = source->prior;

    if (c->channels != o->rules.channels)
        return volt_fail(VOLT_EDATA, "case %s has %d channel%s; the network takes %d",
                         source->name, c->channels, volt_s(c->channels),
                         (int)o->rules.channels);
    if (!c->labels)
        return volt_fail(VOLT_EDATA, "case %s has no labels to train on", source->name);
    if (o->rules.prior_labels > 0 && (!p || !p->labels))
        return volt_fail(VOLT_EDATA, "case %s has no mask of the previous stage", source->name);
    if (o->rules.prior_labels > 0 && memcmp(p->shape, c->shape, sizeof c->shape) != 0)
        return volt_fail(VOLT_EDATA,
                         "case %s has %lld x %lld x %lld voxels, the previous stage's mask "
                         "%lld x %lld x %lld",
                         source->name, (long long)c->shape[0], (long long)c->shape[1],
                         (long long)c->shape[2], (long long)p->shape[0], (long long)p->shape[1],
                         (long long)p->shape[2]);
    return VOLT_OK;
}

volt_status volt_sample_case_make(volt_sample_case **out, const volt_sample_source *source,
                                  const volt_sampler_options *o)
{
    const volt_stored_case *stored = source->stored;
    volt_sample_case *c = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&c, 1, sizeof *c, "a case to train on"));
    c->stored = stored;
    c->prior = source->prior;
    c->owned = source->owned;
    atomic_store(&c->verified, !source->owned);
    VOLT_TRY(st, done, volt_strdup(&c->name, source->name));
    VOLT_TRY(st, done, check_case(source, o));
    VOLT_TRY(st, done,
             volt_alloc_zero(&c->foreground, (size_t)stored->classes + 1, sizeof *c->foreground,
                             "classes of a case"));
    for (int i = 0; i < stored->classes; i++) {
        const volt_class_locations *l = &stored->locations[i];
        if (l->label > 0 && l->label != o->ignore && l->count > 0)
            c->foreground[c->foregrounds++] = i;
        if (l->label != o->ignore && l->count > 0)
            c->annotated += l->voxels;
    }
    *out = c;
    return VOLT_OK;
done:
    if (!c && source->owned) {
        volt_stored_case_close(source->prior);
        volt_stored_case_close(source->stored);
    }
    volt_sample_case_close(c);
    return st;
}

volt_status volt_sample_case_open(volt_sample_case **out, const char *path, const char *prior,
                                  const char *name, const volt_sampler_options *options)
{
    volt_sample_source source = {.owned = true, .name = name};
    volt_status st = volt_stored_case_open(&source.stored, path);

    if (st == VOLT_OK && prior)
        st = volt_stored_case_open(&source.prior, prior);
    if (st == VOLT_OK)
        return volt_sample_case_make(out, &source, options);
    volt_stored_case_close(source.stored);
    return st;
}

void volt_sample_case_close(volt_sample_case *c)
{
    if (!c)
        return;
    if (c->owned) {
        volt_stored_case_close(c->prior);
        volt_stored_case_close(c->stored);
    }
    volt_free(c->foreground);
    volt_free(c->name);
    volt_free(c);
}

const char *volt_sample_case_name(const volt_sample_case *c)
{
    return c->name;
}

uint64_t volt_sample_case_key(const volt_sample_case *c)
{
    return c->stored->key ^ (c->prior ? c->prior->key << 1 | c->prior->key >> 63 : 0);
}

static volt_status check_file(const volt_sample_case *c, const volt_stored_case *part)
{
    return c->owned ? volt_stored_case_check(part) : volt_map_check(part->data, c->name);
}

/* Another program may have truncated the files that the sample was cut from. */
static volt_status check_files(const volt_sample_case *c)
{
    const volt_status st = check_file(c, c->stored);

    return st == VOLT_OK && c->prior ? check_file(c, c->prior) : st;
}

static volt_status verify_once(volt_sample_case *c)
{
    volt_status st = VOLT_OK;

    if (!atomic_load(&c->verified)) {
        st = volt_stored_case_verify(c->stored);
        if (st == VOLT_OK && c->prior)
            st = volt_stored_case_verify(c->prior);
        atomic_store(&c->verified, st == VOLT_OK);
    }
    return st;
}

/* ---- buffers ---- */

volt_status volt_sampler_open(volt_sampler **out, const volt_sampler_options *options)
{
    volt_sampler *s = NULL;
    size_t voxels;
    volt_status st;

    VOLT_TRY(st, done, volt_sampler_check(options));
    voxels = (size_t)source_voxels(options);
    VOLT_TRY(st, done, volt_alloc_zero(&s, 1, sizeof *s, "a sampler"));
    s->options = *options;
    s->rules = stack_rules(options);
    initial_patch(s->initial, options, &options->rules);
    VOLT_TRY(st, done,
             volt_alloc_zero(&s->image, voxels * (size_t)s->rules.channels, sizeof *s->image,
                             "a sample with margin"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&s->labels, voxels, sizeof *s->labels, "a sample with margin"));
    if (s->rules.prior_labels > 0)
        VOLT_TRY(st, done,
                 volt_alloc_zero(&s->prior, voxels, sizeof *s->prior, "a sample with margin"));
    if (slices_of(options) > 1)
        VOLT_TRY(st, done,
                 volt_alloc_zero(&s->stack, (size_t)voxels_of(s->rules.patch), sizeof *s->stack,
                                 "a sample's labels"));
    VOLT_TRY(st, done,
             volt_alloc(&s->scratch, volt_augment_scratch_bytes(&s->rules),
                        "scratch of augmentation"));
    *out = s;
    s = NULL;
done:
    volt_sampler_close(s);
    return st;
}

void volt_sampler_close(volt_sampler *s)
{
    if (!s)
        return;
    volt_free(s->scratch);
    volt_free(s->stack);
    volt_free(s->prior);
    volt_free(s->labels);
    volt_free(s->image);
    volt_free(s);
}

/* ---- where ---- */

/* Where a box of extent `box` along one axis may start, inclusive. As nnU-Net, a case smaller
 * than the box is centred in it, and a box with margin may reach out by the margin. */
static void corner_range(int64_t *low, int64_t *high, int64_t extent, int64_t box,
                         int64_t patch, bool whole)
{
    int64_t pad = box - patch;

    if (whole && extent <= patch) { /* an odd voxel goes to the high end, as tiles are padded */
        *low = *high = -((patch - extent) / 2);
        return;
    }
    if (pad + extent < box)
        pad = box - extent;
    *low = -(pad / 2 + pad % 2);
    *high = extent + pad / 2 + pad % 2 - box;
}

/* Whether locations `l` belong to region `r`, or (r < 0) to any annotated class. */
static bool is_of(const volt_sampler_options *o, const volt_class_locations *l, int64_t r)
{
    if (l->count == 0 || l->label == o->ignore)
        return false;
    return r < 0 || (l->label > 0 && l->label < o->classes &&
                     o->regions[l->label * o->region_count + r]);
}

/* Locations drawn in proportion to their voxels, among those of region `r` or (r < 0) of all
 * annotated voxels; `voxels` is the total. */
static const volt_class_locations *draw_among(const volt_sampler_options *o,
                                              const volt_stored_case *stored, int64_t r,
                                              int64_t voxels, volt_rng *rng)
{
    int64_t at = volt_rng_below(rng, voxels);

    for (int i = 0;; i++) {
        const volt_class_locations *l = &stored->locations[i];
        if (!is_of(o, l, r))
            continue;
        if (at < l->voxels)
            return l;
        at -= l->voxels;
    }
}

static int64_t region_voxels(const volt_sampler_options *o, const volt_stored_case *stored,
                             int64_t r)
{
    int64_t sum = 0;

    for (int i = 0; i < stored->classes; i++)
        sum += is_of(o, &stored->locations[i], r) ? stored->locations[i].voxels : 0;
    return sum;
}

/* The locations of a region drawn among those present; NULL if there is none. */
static const volt_class_locations *draw_region(const volt_sampler_options *o,
                                               const volt_stored_case *stored, volt_rng *rng)
{
    int64_t present = 0, chosen;

    for (int r = 0; r < o->region_count; r++)
        present += region_voxels(o, stored, r) > 0;
    if (present == 0)
        return NULL;
    chosen = volt_rng_below(rng, present);
    for (int r = 0;; r++) {
        const int64_t voxels = region_voxels(o, stored, r);
        if (voxels > 0 && chosen-- == 0)
            return draw_among(o, stored, r, voxels, rng);
    }
}

/* The locations of which a sample is cut around one; NULL = anywhere. */
static const volt_class_locations *draw_locations(const volt_sampler_options *o,
                                                  const volt_sample_case *c, bool forced,
                                                  volt_rng *rng)
{
    const volt_class_locations *l = NULL;

    if (forced && o->regions)
        l = draw_region(o, c->stored, rng);
    else if (forced && c->foregrounds)
        l = &c->stored->locations[c->foreground[volt_rng_below(rng, c->foregrounds)]];
    if (!l && o->ignore >= 0 && c->annotated > 0)
        l = draw_among(o, c->stored, -1, c->annotated, rng);
    return l;
}

/* The lower corner of a sample's box with margin. */
static void draw_corner(int64_t corner[3], const volt_sampler *s, const volt_sample_case *c,
                        bool forced, volt_rng *rng)
{
    const int64_t *extent = c->stored->shape;
    const volt_class_locations *l = draw_locations(&s->options, c, forced, rng);
    int64_t voxel[3] = {0}, low, high;

    if (l) {
        const int64_t at = (int64_t)l->location[volt_rng_below(rng, l->count)];
        voxel[0] = at / (extent[1] * extent[2]);
        voxel[1] = at / extent[2] % extent[1];
        voxel[2] = at % extent[2];
    }
    for (int a = 0; a < 3; a++) {
        corner_range(&low, &high, extent[a], s->initial[a], s->options.rules.patch[a],
                     s->options.whole);
        if (!l)
            corner[a] = low + volt_rng_below(rng, high - low + 1);
        else if (low == high && s->options.whole)
            corner[a] = low;
        else
            corner[a] = voxel[a] - s->initial[a] / 2 < low ? low : voxel[a] - s->initial[a] / 2;
    }
}

/* ---- what ---- */

/* Reads a box of labels, -1 outside. */
static volt_status read_labels(int16_t *out, const volt_stored_case *stored, volt_box box)
{
    volt_volume labels = {.dtype = stored->label_dtype, .data = (void *)stored->labels};

    memcpy(labels.grid.n, stored->shape, sizeof labels.grid.n);
    labels.grid.channels = 1;
    return volt_patch_read_labels(out, box, &labels, -1);
}

/* One box of all channels into the sampler's buffers, which have room for `depth` boxes'
 * slices, at `slice`. 0 and -1 outside the case. */
static volt_status read_slices(volt_sampler *s, const volt_stored_case *stored, volt_box box,
                               int64_t slice, int64_t depth)
{
    const int64_t voxels = voxels_of(stored->shape), count = volt_box_voxels(box);
    volt_volume image = {.dtype = VOLT_F32};
    volt_status st;

    memcpy(image.grid.n, stored->shape, sizeof image.grid.n);
    image.grid.channels = 1;
    for (int64_t c = 0; c < stored->channels; c++) {
        image.data = (void *)(stored->data + c * voxels);
        VOLT_TRY(st, done,
                 volt_patch_read(s->image + (c * depth + slice) * count, box, &image, 0));
    }
    st = read_labels(s->labels + slice * count, stored, box);
done:
    return st;
}

/* Reads the box of image and labels. Neighbouring slices beyond the case repeat its first or
 * last one. */
static volt_status read_box(volt_sampler *s, const volt_sample_case *c, volt_box box)
{
    const volt_sampler_options *o = &s->options;
    const int64_t depth = slices_of(o), last = c->stored->shape[0] - 1;
    volt_status st = VOLT_OK;

    if (depth == 1) {
        st = read_slices(s, c->stored, box, 0, 1);
        if (st == VOLT_OK && s->prior)
            st = read_labels(s->prior, c->prior, box);
    } else {
        for (int64_t k = 0; k < depth && st == VOLT_OK; k++) {
            const int64_t z = box.low[0] + k < 0      ? 0
                              : box.low[0] + k > last ? last
                                                      : box.low[0] + k;
            volt_box one = box;

            one.low[0] = z;
            one.high[0] = z + 1;
            st = read_slices(s, c->stored, one, k, depth);
            if (st == VOLT_OK && s->prior)
                st = read_labels(s->prior + k * volt_box_voxels(one), c->prior, one);
        }
    }
    for (int64_t i = 0; st == VOLT_OK && i < volt_box_voxels(box); i++) {
        const int v = s->labels[i];
        if (v < -1 || (v >= o->classes && v != o->ignore))
            st = volt_fail(VOLT_EDATA, "case %s: label %d is not one of the %lld classes",
                           c->name, v, (long long)o->classes);
    }
    return st;
}

/* Extents of the source that the draw reads; a whole case needs no margin. */
static void source_shape(int64_t out[3], const volt_sampler *s, const volt_augment_draw *draw)
{
    volt_augment_source_shape(out, &s->rules, draw);
    for (int a = 0; s->options.whole && a < 3; a++)
        out[a] = s->rules.patch[a];
}

volt_status volt_sampler_make(volt_sampler *s, float *image, int16_t *labels, int64_t corner[3],
                              volt_sample_case *c, const volt_sample_draw *draw)
{
    const int64_t *patch = s->options.rules.patch, plane = voxels_of(patch);
    volt_augment_source source = {
        .image = s->image, .labels = s->labels, .prior_mask = s->prior};
    volt_rng where = draw->where, change = draw->change;
    volt_augment_draw *d = &s->drawn;
    int64_t at[3], low[3];
    volt_status st;

    VOLT_TRY(st, done, verify_once(c));
    draw_corner(at, s, c, draw->forced, &where);
    volt_augment_draw_make(d, &s->rules, &change, &draw->noise);
    source_shape(source.shape, s, d);
    for (int a = 0; a < 3; a++) {
        low[a] = at[a] + s->initial[a] / 2 - source.shape[a] / 2;
        corner[a] = at[a] + s->initial[a] / 2 - patch[a] / 2;
    }
    VOLT_TRY(st, done, read_box(s, c, volt_box_at(low, source.shape)));
    VOLT_TRY(st, done,
             volt_augment_apply(image, s->stack ? s->stack : labels, &source, &s->rules, d,
                                s->scratch));
    VOLT_TRY(st, done, check_files(c));
    if (s->stack)
        memcpy(labels, s->stack + s->options.slices / 2 * plane,
               (size_t)plane * sizeof *labels);
done:
    return st;
}

const volt_augment_draw *volt_sampler_drawn(const volt_sampler *s)
{
    return &s->drawn;
}
