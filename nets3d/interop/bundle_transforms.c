/* MONAI's transforms as spacing, orientation and normalization of a plan. VOLT's order is
 * fixed: orientation, cropping to non-zero voxels, normalization, resampling. MONAI's order
 * matters only for the intensities at edges, where interpolation mixes voxels. */
#include "nets3d/interop/bundle_transforms.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/core/report.h"
#include "base/core/plural.h"
#include "nets3d/interop/bundle_values.h"

#define NO_LIMIT 1e9 /* intensities beyond it do not occur */

/* One transform. */
enum { MAX_DEPTH = 4 }; /* of lists within lists */

typedef struct transform {
    const volt_json *config;
    volt_json_at at; /* its object */
    char name[80];   /* without module and final d, Dict or Dictionary */
    char shown[80];  /* as in the file, without module */
    const volt_callbacks *cb;
} transform;

static volt_status refuse(const transform *t, const char *why)
{
    volt_json_fail(&t->at, "is %s, %s", t->shown, why);
    return VOLT_ENOTSUP;
}

/* ---- arguments ---- */

/* The argument `key`; out->value is an owned reference, or NULL if it is absent or null. */
static volt_status argument(volt_json_at *out, const transform *t, const char *key)
{
    json_t *value = NULL;
    volt_status st = volt_json_optional(out, &t->at, key);

    if (st != VOLT_OK || !out->value)
        return st;
    st = volt_bundle_resolve(&value, t->config, out);
    out->value = st == VOLT_OK && !json_is_null(value) ? value : NULL;
    if (!out->value)
        json_decref(value);
    return st;
}

static void release(volt_json_at *at)
{
    json_decref((json_t *)(uintptr_t)at->value);
    at->value = NULL;
}

static volt_status number_argument(double *out, const transform *t, const char *key)
{
    volt_json_at at;
    volt_status st = argument(&at, t, key);

    if (st == VOLT_OK && at.value)
        st = volt_json_double(out, &at, -1e12, 1e12);
    release(&at);
    return st;
}

static volt_status flag_argument(bool *out, const transform *t, const char *key)
{
    volt_json_at at;
    volt_status st = argument(&at, t, key);

    if (st == VOLT_OK && json_is_array(at.value) && json_array_size(at.value) > 0) {
        volt_json_at first;
        st = volt_json_item(&first, &at, 0); /* one per key: the image's */
        if (st == VOLT_OK)
            st = volt_json_bool(out, &first);
    } else if (st == VOLT_OK && at.value) {
        st = volt_json_bool(out, &at);
    }
    release(&at);
    return st;
}

/* True if the transform changes labels only. */
static volt_status labels_only(bool *out, const transform *t)
{
    volt_json_at at;
    volt_status st = argument(&at, t, "keys");
    const char *text = json_string_value(at.value);

    *out = text && strstr(text, "label");
    if (json_is_array(at.value)) {
        *out = json_array_size(at.value) > 0;
        for (size_t i = 0; i < json_array_size(at.value); i++) {
            text = json_string_value(json_array_get(at.value, i));
            *out = *out && text && strstr(text, "label");
        }
    }
    release(&at);
    return st;
}

/* ---- geometry ---- */

static volt_status read_spacing(volt_bundle_pipeline *p, const transform *t)
{
    static const struct {
        const char *mode;
        volt_interpolation order;
    } modes[] = {{"bilinear", VOLT_LINEAR},
                 {"trilinear", VOLT_LINEAR},
                 {"nearest", VOLT_NEAREST},
                 {"bicubic", VOLT_CUBIC}};
    volt_json_at at, mode = {.value = NULL}, first;
    const char *text;
    volt_status st;

    VOLT_TRY(st, done, argument(&at, t, "pixdim"));
    if (!at.value)
        return refuse(t, "which lacks \"pixdim\"");
    if (json_is_number(at.value)) {
        VOLT_TRY(st, done, volt_json_double(&p->spacing[0], &at, 1e-3, 1e3));
        p->spacing[1] = p->spacing[2] = p->spacing[0];
    } else {
        VOLT_TRY(st, done, volt_json_doubles(p->spacing, &at, (size_t)p->axes, 1e-3, 1e3));
    }
    p->resampled = true;
    p->order = VOLT_LINEAR;
    VOLT_TRY(st, done, argument(&mode, t, "mode"));
    first = mode;
    if (json_is_array(mode.value) && json_array_size(mode.value) > 0)
        VOLT_TRY(st, done, volt_json_item(&first, &mode, 0));
    if (json_is_integer(first.value)) {
        int64_t order;
        VOLT_TRY(st, done, volt_json_int(&order, &first, 0, 5));
        if (order != VOLT_NEAREST && order != VOLT_LINEAR && order != VOLT_CUBIC) {
            st = refuse(t, "whose mode is a spline of another order than 0, 1 or 3");
            goto done;
        }
        p->order = (volt_interpolation)order;
    } else if (first.value) {
        size_t i = 0;
        VOLT_TRY(st, done, volt_json_text(&text, &first, 64));
        while (i < 4 && strcmp(text, modes[i].mode) != 0)
            i++;
        if (i == 4) {
            st = refuse(t, "whose mode is none of bilinear, nearest and bicubic");
            goto done;
        }
        p->order = modes[i].order;
    }
done:
    release(&mode);
    release(&at);
    return st;
}

static volt_status read_orientation(volt_bundle_pipeline *p, const transform *t)
{
    volt_json_at at;
    const char *codes;
    volt_status st;

    VOLT_TRY(st, done, argument(&at, t, "axcodes"));
    if (!at.value)
        return refuse(t, "which lacks \"axcodes\"");
    VOLT_TRY(st, done, volt_json_text(&codes, &at, 64));
    if (strlen(codes) != 3 || strspn(codes, "RLAPSI") != 3) {
        st = volt_json_fail(&at, "is \"%s\"; three of R L, A P, S I are expected", codes);
        goto done;
    }
    snprintf(p->orientation, sizeof p->orientation, "%s", codes);
done:
    release(&at);
    return st;
}

/* ---- intensities ---- */

static volt_status set_scheme(volt_bundle_pipeline *p, const transform *t,
                              volt_normalization scheme)
{
    if (p->normalized)
        return refuse(t, "a second normalization of intensities; VOLT has one");
    p->normalized = true;
    p->scheme = scheme;
    return VOLT_OK;
}

/* (x - mean) / std of every channel, clipped to low..high. */
static void set_affine(volt_bundle_pipeline *p, double mean, double std, double low,
                       double high)
{
    for (int c = 0; c < p->channels; c++)
        p->intensity[c] = (volt_intensity){
            .mean = mean, .std = std, .percentile_00_5 = low, .percentile_99_5 = high};
}

static volt_status read_scale_range(volt_bundle_pipeline *p, const transform *t)
{
    double a_min = NAN, a_max = NAN, b_min = NAN, b_max = NAN, std;
    bool clip = false;
    volt_status st;

    VOLT_TRY(st, done, set_scheme(p, t, VOLT_NORMALIZE_CT));
    VOLT_TRY(st, done, number_argument(&a_min, t, "a_min"));
    VOLT_TRY(st, done, number_argument(&a_max, t, "a_max"));
    VOLT_TRY(st, done, number_argument(&b_min, t, "b_min"));
    VOLT_TRY(st, done, number_argument(&b_max, t, "b_max"));
    VOLT_TRY(st, done, flag_argument(&clip, t, "clip"));
    if (isnan(a_min) || isnan(a_max) || isnan(b_min) || isnan(b_max))
        return refuse(t, "which lacks one of a_min, a_max, b_min, b_max");
    if (!(a_max > a_min) || !(b_max > b_min))
        return refuse(t, "whose range is empty");
    std = (a_max - a_min) / (b_max - b_min);
    set_affine(p, a_min - b_min * std, std, clip ? a_min : -NO_LIMIT, clip ? a_max : NO_LIMIT);
done:
    return st;
}

/* subtrahend and divisor: a number, or one per channel. */
static volt_status read_given(double *out, const transform *t, const char *key, int channels,
                              bool *given)
{
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, argument(&at, t, key));
    *given = at.value != NULL;
    if (json_is_array(at.value))
        VOLT_TRY(st, done, volt_json_doubles(out, &at, (size_t)channels, -1e12, 1e12));
    else if (at.value)
        VOLT_TRY(st, done, volt_json_double(&out[0], &at, -1e12, 1e12));
    for (int c = 1; c < channels && at.value && !json_is_array(at.value); c++)
        out[c] = out[0];
done:
    release(&at);
    return st;
}

static volt_status read_normalize(volt_bundle_pipeline *p, const transform *t)
{
    double minus[VOLT_BUNDLE_MAX_CHANNELS] = {0}, by[VOLT_BUNDLE_MAX_CHANNELS];
    bool nonzero = false, each = false, shifted = false, scaled = false;
    volt_status st;

    VOLT_TRY(st, done, flag_argument(&nonzero, t, "nonzero"));
    VOLT_TRY(st, done, flag_argument(&each, t, "channel_wise"));
    VOLT_TRY(st, done, read_given(minus, t, "subtrahend", p->channels, &shifted));
    VOLT_TRY(st, done, read_given(by, t, "divisor", p->channels, &scaled));
    if (shifted != scaled)
        return refuse(t, "with only one of subtrahend and divisor, which VOLT cannot do");
    if (!each && p->channels > 1 && !shifted)
        return refuse(t,
                      "over all channels together (channel_wise false); VOLT normalizes each "
                      "channel alone");
    if (!shifted) {
        /* of values scaled to 0..1 the z-scores are the same as without that */
        if (p->normalized && p->scheme == VOLT_NORMALIZE_RESCALE_01 && !nonzero)
            p->normalized = false;
        st = set_scheme(p, t, VOLT_NORMALIZE_ZSCORE);
        p->masked = nonzero;
        goto done;
    }
    if (nonzero)
        return refuse(t, "with a subtrahend for non-zero voxels only, which VOLT cannot do");
    VOLT_TRY(st, done, set_scheme(p, t, VOLT_NORMALIZE_CT));
    for (int c = 0; c < p->channels; c++) {
        if (!(by[c] > 0))
            return refuse(t, "whose divisor is not positive");
        p->intensity[c] = (volt_intensity){.mean = minus[c],
                                           .std = by[c],
                                           .percentile_00_5 = -NO_LIMIT,
                                           .percentile_99_5 = NO_LIMIT};
    }
done:
    return st;
}

static volt_status read_scale(volt_bundle_pipeline *p, const transform *t)
{
    double low = 0, high = 1;
    bool each = false;
    volt_json_at factor;
    volt_status st;

    VOLT_TRY(st, done, argument(&factor, t, "factor"));
    if (factor.value) {
        release(&factor);
        return refuse(t, "with a factor, which VOLT cannot do");
    }
    VOLT_TRY(st, done, number_argument(&low, t, "minv"));
    VOLT_TRY(st, done, number_argument(&high, t, "maxv"));
    VOLT_TRY(st, done, flag_argument(&each, t, "channel_wise"));
    if (low != 0 || high != 1)
        return refuse(t, "to another range than 0..1, which VOLT cannot do");
    if (!each && p->channels > 1)
        return refuse(t,
                      "over all channels together (channel_wise false); VOLT normalizes each "
                      "channel alone");
    st = set_scheme(p, t, VOLT_NORMALIZE_RESCALE_01);
done:
    return st;
}

/* ---- lists of transforms ---- */

static volt_status no_effect(volt_bundle_pipeline *p, const transform *t)
{
    (void)p;
    (void)t;
    return VOLT_OK;
}

static volt_status left_out(volt_bundle_pipeline *p, const transform *t)
{
    (void)p;
    volt_report(t->cb, VOLT_LOG_WARNING, "%s: %s is left out; VOLT predicts the whole scan",
                t->at.file, t->shown);
    return VOLT_OK;
}

static volt_status not_applied(volt_bundle_pipeline *p, const transform *t)
{
    (void)p;
    volt_report(t->cb, VOLT_LOG_WARNING,
                "%s: %s is left out; 'volt postprocess' removes small components", t->at.file,
                t->shown);
    return VOLT_OK;
}

static volt_status read_activation(volt_bundle_pipeline *p, const transform *t)
{
    volt_json_at other;
    volt_status st;

    VOLT_TRY(st, done, argument(&other, t, "other"));
    if (other.value) {
        release(&other);
        return refuse(t, "with a function of its own, which VOLT cannot do");
    }
    st = flag_argument(&p->sigmoid, t, "sigmoid");
done:
    return st;
}

/* arg-max of sigmoids is that of the logits, as with softmax. */
static volt_status read_discrete(volt_bundle_pipeline *p, const transform *t)
{
    bool argmax = false;
    double threshold = 0.5;
    volt_status st;

    VOLT_TRY(st, done, flag_argument(&argmax, t, "argmax"));
    if (argmax)
        p->sigmoid = false;
    else
        VOLT_TRY(st, done, number_argument(&threshold, t, "threshold"));
    if (threshold != 0.5)
        return refuse(t, "with a threshold other than 0.5, which VOLT cannot do");
done:
    return st;
}

typedef struct reader {
    const char *name;
    volt_status (*read)(volt_bundle_pipeline *p, const transform *t);
} reader;

static const reader before[] = {{"LoadImage", no_effect},
                                {"EnsureChannelFirst", no_effect},
                                {"AddChannel", no_effect},
                                {"AsChannelFirst", no_effect},
                                {"EnsureType", no_effect},
                                {"CastToType", no_effect},
                                {"ToTensor", no_effect},
                                {"ToDevice", no_effect},
                                {"Identity", no_effect},
                                {"SelectItems", no_effect},
                                {"CopyItems", no_effect},
                                {"DeleteItems", no_effect},
                                {"SpatialPad", no_effect},
                                {"DivisiblePad", no_effect},
                                {"CropForeground", left_out},
                                {"Spacing", read_spacing},
                                {"Orientation", read_orientation},
                                {"ScaleIntensityRange", read_scale_range},
                                {"ScaleIntensity", read_scale},
                                {"NormalizeIntensity", read_normalize},
                                {NULL, NULL}};

static const reader after[] = {{"Activations", read_activation},
                               {"AsDiscrete", read_discrete},
                               {"KeepLargestConnectedComponent", not_applied},
                               {"RemoveSmallObjects", not_applied},
                               {"FillHoles", not_applied},
                               {NULL, NULL}};

/* "monai.transforms.ScaleIntensityRanged" is ScaleIntensityRange. */
static void set_name(transform *t, const char *target)
{
    static const char *const endings[] = {"Dictionary", "Dict", "d"};
    const char *dot = strrchr(target, '.');
    size_t bytes;

    snprintf(t->shown, sizeof t->shown, "%.79s", dot ? dot + 1 : target);
    memcpy(t->name, t->shown, sizeof t->name);
    bytes = strlen(t->name);
    for (int i = 0; i < 3; i++) {
        const size_t ending = strlen(endings[i]);
        if (bytes > ending && strcmp(t->name + bytes - ending, endings[i]) == 0) {
            t->name[bytes - ending] = '\0';
            return;
        }
    }
}

static volt_status read_list(volt_bundle_pipeline *p, const volt_json *config,
                             const volt_json_at *at, const reader *readers, bool others,
                             int depth, const volt_callbacks *cb);

static volt_status read_one(volt_bundle_pipeline *p, const transform *given,
                            const reader *readers, bool others, int depth)
{
    transform t = *given;
    volt_json_at target;
    const char *text;
    bool skip = false;
    volt_status st;

    if (!json_is_object(t.at.value))
        return volt_json_fail(&t.at, "is no transform");
    VOLT_TRY(st, done, flag_argument(&skip, &t, "_disabled_"));
    if (skip)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_json_member(&target, &t.at, "_target_"));
    VOLT_TRY(st, done, volt_json_text(&text, &target, 256));
    set_name(&t, text);
    if (strcmp(t.name, "Compose") == 0)
        return depth > MAX_DEPTH
                   ? volt_json_fail(&t.at, "is the innermost of more than %d lists", MAX_DEPTH)
                   : read_list(p, t.config, &t.at, readers, others, depth + 1, t.cb);
    VOLT_TRY(st, done, labels_only(&skip, &t));
    if (skip && !others)
        return VOLT_OK;
    for (; readers->name; readers++) {
        if (strcmp(readers->name, t.name) == 0)
            return readers->read(p, &t);
    }
    if (!others)
        st = refuse(&t,
                    "which has no counterpart in VOLT; import the weights alone, with a plan "
                    "and data set of your own");
done:
    return st;
}

static volt_status read_list(volt_bundle_pipeline *p, const volt_json *config,
                             const volt_json_at *at, const reader *readers, bool others,
                             int depth, const volt_callbacks *cb)
{
    json_t *whole = NULL, *list = NULL, *item = NULL;
    volt_json_at here = *at;
    volt_status st;

    VOLT_TRY(st, done, volt_bundle_look(&whole, config, &here));
    here.value = whole;
    if (json_is_object(whole)) {
        VOLT_TRY(st, done, volt_json_member(&here, &here, "transforms"));
        VOLT_TRY(st, done, volt_bundle_look(&list, config, &here));
        here.value = list;
    }
    if (!json_is_array(here.value)) {
        st = volt_json_fail(&here, "is no list of transforms");
        goto done;
    }
    for (size_t i = 0; i < json_array_size(here.value); i++) {
        transform t = {.config = config, .cb = cb};
        VOLT_TRY(st, done, volt_json_item(&t.at, &here, i));
        VOLT_TRY(st, done, volt_bundle_look(&item, config, &t.at));
        t.at.value = item;
        VOLT_TRY(st, done, read_one(p, &t, readers, others, depth));
        json_decref(item);
        item = NULL;
    }
done:
    json_decref(item);
    json_decref(list);
    json_decref(whole);
    return st;
}

volt_status volt_bundle_read_preprocessing(volt_bundle_pipeline *p, const volt_json *config,
                                           const volt_json_at *at, const volt_callbacks *cb)
{
    return read_list(p, config, at, before, false, 0, cb);
}

volt_status volt_bundle_read_postprocessing(volt_bundle_pipeline *p, const volt_json *config,
                                            const volt_json_at *at, const volt_callbacks *cb)
{
    return read_list(p, config, at, after, true, 0, cb);
}
