#include "nets3d/data/sampler.h"

#include <stdatomic.h>
#include <string.h>

#include "base/system/file.h"
#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/store/case_store_internal.h"
#include "volume/augment/augment_internal.h"

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
    volt_augment_rules rules; /* with the slices as the patch's depth, and its part */
    int64_t initial[3];       /* source of a spatially changed sample, one slice of it */
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

/* Of the patch: what is made of it. */
static volt_box part_of(const volt_sampler_options *o)
{
    return volt_box_is_empty(o->part) ? volt_box_of_shape(o->rules.patch) : o->part;
}

int64_t volt_sampler_voxels(const volt_sampler_options *o)
{
    return volt_box_voxels(part_of(o));
}

bool volt_sampler_only_cuts(const volt_sampler_options *o)
{
    const volt_augment_rules *r = &o->rules;
    const double p[] = {r->p_rotation,  r->p_scaling,        r->p_noise,
                        r->p_blur,      r->p_brightness,     r->p_contrast,
                        r->p_gamma,     r->p_gamma_inverted, r->p_low_resolution,
                        r->p_mirror[0], r->p_mirror[1],      r->p_mirror[2],
                        r->p_operator,  r->p_remove};
    bool only = true;

    for (size_t i = 0; i < sizeof p / sizeof *p; i++)
        only &= p[i] == 0;
    return only;
}

/* The augmentation rules for what is made; neighbouring slices become a patch that is augmented
 * in-plane. */
static volt_augment_rules stack_rules(const volt_sampler_options *o)
{
    volt_augment_rules r = o->rules;

    volt_box_shape(r.patch, part_of(o));
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

size_t volt_sampler_bytes(const volt_sampler_options *o)
{
    const volt_augment_rules rules = stack_rules(o);
    const size_t stack =
        slices_of(o) > 1 ? (size_t)voxels_of(rules.patch) * sizeof(int16_t) : 0;

    return stack + augment_drawn_scratch_bytes(&rules);
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
    if (!volt_box_is_empty(o->part) &&
        (!volt_box_contains(volt_box_of_shape(o->rules.patch), o->part) ||
         !volt_sampler_only_cuts(o)))
        return volt_fail(VOLT_EINVAL, "a part of samples that are augmented or smaller");
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

/* Takes the pages of a mapped case out of this process: they stay in the system's cache, which
 * all ranks of a host have in common. */
static void unmap_pages(const volt_sample_case *c)
{
    const volt_stored_case *parts[] = {c->stored, c->prior};

    for (int i = 0; i < 2 && c->owned; i++) {
        const volt_stored_case *p = parts[i];
        const size_t voxels = p ? (size_t)voxels_of(p->shape) : 0;

        if (p && p->data)
            volt_map_dontneed(p->data, (size_t)p->channels * voxels * sizeof *p->data);
        if (p && p->labels)
            volt_map_dontneed(p->labels, voxels * volt_dtype_bytes(p->label_dtype));
    }
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
    volt_status st;

    VOLT_TRY(st, done, volt_sampler_check(options));
    VOLT_TRY(st, done, volt_alloc_zero(&s, 1, sizeof *s, "a sampler"));
    s->options = *options;
    s->rules = stack_rules(options);
    initial_patch(s->initial, options, &options->rules);
    if (slices_of(options) > 1)
        VOLT_TRY(st, done,
                 volt_alloc_zero(&s->stack, (size_t)voxels_of(s->rules.patch), sizeof *s->stack,
                                 "a sample's labels"));
    VOLT_TRY(st, done,
             volt_alloc(&s->scratch, augment_drawn_scratch_bytes(&s->rules),
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

/* The first label of a row that is not one of the classes; -1 if there is none. */
static int wrong_label(const volt_sampler_options *o, const augment_voxels *labels,
                       int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++) {
        const int v = labels->dtype == VOLT_I8 ? ((const int8_t *)labels->data)[i]
                                               : ((const int16_t *)labels->data)[i];
        if (v < -1 || (v >= o->classes && v != o->ignore))
            return v;
    }
    return -1;
}

/* Labels that a sample reads must be classes. */
static volt_status check_labels(const volt_sampler_options *o, const volt_sample_case *c,
                                const augment_window *w)
{
    const int64_t *e = w->extent;
    volt_box box = volt_box_at(w->low, w->shape);

    if (w->repeat && box.low[0] >= e[0])
        box.low[0] = e[0] - 1;
    if (w->repeat && box.high[0] <= 0)
        box.high[0] = 1;
    box = volt_box_intersect(box, volt_box_of_shape(e));
    for (int64_t z = box.low[0]; z < box.high[0]; z++) {
        for (int64_t y = box.low[1]; y < box.high[1]; y++) {
            const int64_t row = (z * e[1] + y) * e[2];
            const int v = wrong_label(o, &w->labels, row + box.low[2], row + box.high[2]);
            if (v != -1)
                return volt_fail(VOLT_EDATA, "case %s: label %d is not one of the %lld classes",
                                 c->name, v, (long long)o->classes);
        }
    }
    return VOLT_OK;
}

/* The case as a source of samples, read where it lies. Neighbouring slices beyond it repeat its
 * first or last one. */
static augment_window window_of(const volt_sampler *s, const volt_sample_case *c)
{
    const volt_stored_case *stored = c->stored;
    augment_window w = {.image = stored->data,
                        .labels = {stored->labels, stored->label_dtype},
                        .repeat = slices_of(&s->options) > 1};

    if (s->rules.prior_labels > 0)
        w.prior_mask = (augment_voxels){c->prior->labels, c->prior->label_dtype};
    memcpy(w.extent, stored->shape, sizeof w.extent);
    return w;
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
    const volt_sampler_options *o = &s->options;
    const int64_t plane = volt_sampler_voxels(o);
    const bool parted = !volt_box_is_empty(o->part);
    augment_window source = window_of(s, c);
    volt_rng where = draw->where, change = draw->change;
    volt_augment_draw *d = &s->drawn;
    int64_t at[3];
    volt_status st;

    VOLT_TRY(st, done, verify_once(c));
    draw_corner(at, s, c, draw->forced, &where);
    volt_augment_draw_make(d, &s->rules, &change, &draw->noise);
    source_shape(source.shape, s, d);
    for (int a = 0; a < 3; a++) {
        source.low[a] = at[a] + s->initial[a] / 2 - source.shape[a] / 2;
        corner[a] = at[a] + s->initial[a] / 2 - o->rules.patch[a] / 2;
        if (parted && !(a == 0 && source.repeat))
            source.low[a] = corner[a] + o->part.low[a];
    }
    VOLT_TRY(st, done, check_labels(o, c, &source));
    VOLT_TRY(st, done,
             augment_apply_window(image, s->stack ? s->stack : labels, &source, &s->rules, d,
                                  s->scratch));
    VOLT_TRY(st, done, check_files(c));
    unmap_pages(c);
    if (s->stack)
        memcpy(labels, s->stack + o->slices / 2 * plane, (size_t)plane * sizeof *labels);
done:
    return st;
}

const volt_augment_draw *volt_sampler_drawn(const volt_sampler *s)
{
    return &s->drawn;
}
