/* The rules of nnU-Net v2's ExperimentPlanner and its network topology. */
#include "nets3d/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "nets3d/plan_internal.h"

static const double anisotropy = 3.0;       /* spacing and size ratio of a coarse axis */
static const double min_edge = 4.0;         /* voxels of a feature map */
static const double covered = 0.05;         /* share of the data set one batch may hold */
static const double lowres_share = 0.25;    /* of the median case that a patch should see */
static const double lowres_growth = 1.03;   /* of the spacing, per attempt */
static const double mask_norm_share = 0.75; /* cropped size below which the mask is used */

/* References of the memory estimate at 8 GB: nnU-Net's constants. */
typedef struct family {
    double reference, reference_batch, patch_voxels;
    int64_t max_features;
} family;
static const family family_3d = {560000000, 2, 256.0 * 256.0 * 256.0, 320};
static const family family_2d = {85000000, 12, 2048.0 * 2048.0, 512};

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* numpy's linear percentile of `count` >= 1 sorted values. */
static double percentile(const double *sorted, int64_t count, double percent)
{
    const double at = percent / 100.0 * (double)(count - 1);
    const int64_t low = (int64_t)floor(at), high = low + 1 < count ? low + 1 : low;
    const double t = at - (double)low, step = sorted[high] - sorted[low];

    return t < 0.5 ? sorted[low] + step * t : sorted[high] - step * (1 - t);
}

/* Topology of a patch size: numbers of stages, strides and kernels; axes of index < first are
 * left out (2-D). */
typedef struct shape_rules {
    int stages;
    int64_t pools[3];
    int64_t kernel[VOLT_UNET_MAX_STAGES][3], stride[VOLT_UNET_MAX_STAGES][3];
} shape_rules;

/* Which axes are halved next; returns how many. */
static int axes_to_pool(bool pool[3], const double size[3], const double spacing[3], int first)
{
    double finest = INFINITY;
    int count = 0, last = first;

    for (int a = first; a < 3; a++) {
        if (size[a] >= 2 * min_edge && spacing[a] < finest)
            finest = spacing[a];
    }
    for (int a = 0; a < 3; a++) {
        pool[a] = a >= first && size[a] >= 2 * min_edge && spacing[a] / finest < 2;
        if (pool[a]) {
            last = a;
            count++;
        }
    }
    return count == 1 && size[last] < 3 * min_edge ? 0 : count;
}

static volt_status find_topology(shape_rules *out, const double patch[3],
                                 const double spacing[3], int first)
{
    shape_rules r = {.stages = 1};
    double size[3], mm[3];
    bool pool[3];

    for (int a = 0; a < 3; a++) {
        size[a] = patch[a];
        mm[a] = spacing[a];
        r.stride[0][a] = 1;
        r.kernel[0][a] = 1;
    }
    while (axes_to_pool(pool, size, mm, first)) {
        double finest = INFINITY;
        if (r.stages == VOLT_UNET_MAX_STAGES)
            return volt_fail(VOLT_ENOTSUP, "a patch of %g x %g x %g needs more than %d stages",
                             patch[0], patch[1], patch[2], VOLT_UNET_MAX_STAGES);
        for (int a = first; a < 3; a++)
            finest = fmin(finest, mm[a]);
        for (int a = first; a < 3; a++) {
            if (mm[a] / finest < 2)
                r.kernel[r.stages - 1][a] = 3;
        }
        for (int a = 0; a < 3; a++) {
            r.kernel[r.stages][a] = r.kernel[r.stages - 1][a]; /* once 3, always 3 */
            r.stride[r.stages][a] = pool[a] ? 2 : 1;
            if (pool[a]) {
                r.pools[a]++;
                mm[a] *= 2;
                size[a] = ceil(size[a] / 2);
            }
        }
        r.stages++;
    }
    for (int a = first; a < 3; a++)
        r.kernel[r.stages - 1][a] = 3; /* the bottleneck */
    *out = r;
    return VOLT_OK;
}

/* Elements of all convolutions' outputs for one sample (the last segmentation head only). */
static double estimate_elements(const int64_t patch[3], const volt_unet_spec *net, int labels)
{
    double size[3] = {(double)patch[0], (double)patch[1], (double)patch[2]}, total = 0;

    for (int s = 0; s < net->stages; s++) {
        double voxels = 1;
        for (int a = 0; a < 3; a++) {
            size[a] = floor(size[a] / (double)net->stride[s][a]);
            voxels *= size[a];
        }
        total += voxels * (double)net->features[s] * net->convs_encoder[s];
        if (s < net->stages - 1) /* the decoder's level: convolutions and the transposed one */
            total += voxels * (double)net->features[s] * (net->convs_decoder[s] + 1);
        if (s == 0)
            total += voxels * labels;
    }
    return total;
}

static void build_spec(volt_unet_spec *net, const shape_rules *r, const volt_topology_input *in,
                       const family *f)
{
    *net = (volt_unet_spec){.stages = r->stages,
                            .in_channels = in->channels,
                            .out_channels = in->labels,
                            .slope = 0.01,
                            .bias = true};
    memcpy(net->kernel, r->kernel, sizeof net->kernel);
    memcpy(net->stride, r->stride, sizeof net->stride);
    for (int s = 0; s < r->stages; s++) {
        const int64_t grown = (int64_t)32 << s;
        net->features[s] = grown < f->max_features ? grown : f->max_features;
        net->convs_encoder[s] = 2;
        net->convs_decoder[s] = s < r->stages - 1 ? 2 : 0;
    }
}

/* Pads the patch to the divisor of its own topology and fills in what follows from it. */
static volt_status settle(volt_topology *t, const double patch[3],
                          const volt_topology_input *in, int first, const family *f)
{
    shape_rules r;
    volt_status st = find_topology(&r, patch, in->spacing, first);

    if (st != VOLT_OK)
        return st;
    for (int a = 0; a < 3; a++) {
        const double divisor = (double)((int64_t)1 << r.pools[a]);
        t->pools[a] = r.pools[a];
        t->patch[a] = (int64_t)(ceil(patch[a] / divisor) * divisor);
    }
    build_spec(&t->net, &r, in, f);
    t->estimate = estimate_elements(t->patch, &t->net, in->labels);
    return VOLT_OK;
}

/* One step of the shrink loop. Subtracting the axis' divisor could skip sizes (256 -> 192), so
 * the divisor of the provisionally reduced patch is subtracted instead (256 -> 224). */
static volt_status shrink(volt_topology *t, const volt_topology_input *in, int first,
                          const family *f)
{
    double patch[3], worst = -1;
    shape_rules r;
    int axis = first;
    volt_status st;

    for (int a = 0; a < 3; a++) {
        patch[a] = (double)t->patch[a];
        if (a >= first && patch[a] / in->median_shape[a] >= worst) {
            worst = patch[a] / in->median_shape[a];
            axis = a;
        }
    }
    patch[axis] -= (double)((int64_t)1 << t->pools[axis]);
    VOLT_TRY(st, done, find_topology(&r, patch, in->spacing, first));
    patch[axis] = (double)(t->patch[axis] - ((int64_t)1 << r.pools[axis]));
    if (patch[axis] < 1)
        return volt_fail(VOLT_ENOTSUP,
                         "no patch fits a memory target of %g GB: at %lld x %lld x %lld voxels "
                         "the network is still too large",
                         in->memory_gb, (long long)t->patch[0], (long long)t->patch[1],
                         (long long)t->patch[2]);
    st = settle(t, patch, in, first, f);
done:
    return st;
}

static volt_status check_topology_input(const volt_topology_input *in, int first)
{
    if (in->axes != 2 && in->axes != 3)
        return volt_fail(VOLT_EINVAL, "a configuration has 2 or 3 axes, not %d", in->axes);
    for (int a = first; a < 3; a++) {
        if (!(in->spacing[a] > 0) || !isfinite(in->spacing[a]))
            return volt_fail(VOLT_EINVAL, "the target spacing along %c is %g mm", "dhw"[a],
                             in -> spacing[a]);
        if (!(in->median_shape[a] >= 1) || in->median_shape[a] > 1e9)
            return volt_fail(VOLT_EINVAL, "the median extent along %c is %g voxels", "dhw"[a],
                             in -> median_shape[a]);
    }
    if (in->channels < 1 || in->labels < 2)
        return volt_fail(VOLT_EINVAL, "%d channels and %d labels; at least 1 and 2 are needed",
                         in->channels, in->labels);
    if (!(in->memory_gb > 0) || in->memory_gb > 1e6)
        return volt_fail(VOLT_EINVAL, "a memory target of %g GB", in->memory_gb);
    return VOLT_OK;
}

/* The patch to start from: the shape of a cube in mm, no larger than the median case. */
static void start_patch(double patch[3], const volt_topology_input *in, int first,
                        const family *f)
{
    double product = 1;

    for (int a = first; a < 3; a++)
        product *= 1 / in->spacing[a];
    for (int a = 0; a < 3; a++) {
        const double scale = pow(f->patch_voxels / product, 1.0 / in->axes);
        patch[a] = a < first ? 1 : fmin(rint(1 / in->spacing[a] * scale), in->median_shape[a]);
        patch[a] = fmax(patch[a], 1);
    }
}

volt_status volt_plan_topology(volt_topology *out, const volt_topology_input *asked)
{
    volt_topology_input in = *asked;
    const int first = in.axes == 2 ? 1 : 0;
    const family *f = in.axes == 2 ? &family_2d : &family_3d;
    volt_topology t = {0};
    double patch[3], reference, cap, voxels;
    volt_status st;

    if (in.memory_gb == 0)
        in.memory_gb = 8;
    VOLT_TRY(st, done, check_topology_input(&in, first));
    if (first) {
        in.spacing[0] = in.median_shape[0] = 1;
    }
    reference = f->reference * (in.memory_gb / 8);
    start_patch(patch, &in, first, f);
    VOLT_TRY(st, done, settle(&t, patch, &in, first, f));
    while (t.estimate / f->reference_batch * 2 > reference)
        VOLT_TRY(st, done, shrink(&t, &in, first, f));
    voxels = (double)t.patch[0] * (double)t.patch[1] * (double)t.patch[2];
    cap = rint(in.dataset_voxels * covered / voxels);
    t.batch = (int64_t)fmax(fmin(rint(reference / t.estimate * f->reference_batch), cap), 2);
    *out = t;
done:
    return st;
}

/* Sorted copy of one axis of the spacings or shapes. */
static void sorted_axis(double *to, const volt_fingerprint *fp, int axis, bool shapes)
{
    for (int64_t i = 0; i < fp->cases; i++)
        to[i] = shapes ? (double)fp->shapes_after_crop[i][axis] : fp->spacings[i][axis];
    qsort(to, (size_t)fp->cases, sizeof *to, compare_doubles);
}

/* nnU-Net's full-resolution spacing, in file order: medians, but of a coarse axis with few
 * slices the 10th percentile. `scratch` takes fp->cases values. */
static void target_spacing(double out[3], const volt_fingerprint *fp, double *scratch)
{
    double size[3], other_spacing = 0, other_size = INFINITY;
    int worst = 0;

    for (int a = 0; a < 3; a++) {
        sorted_axis(scratch, fp, a, true);
        size[a] = percentile(scratch, fp->cases, 50);
        sorted_axis(scratch, fp, a, false);
        out[a] = percentile(scratch, fp->cases, 50);
    }
    for (int a = 1; a < 3; a++) {
        if (out[a] > out[worst])
            worst = a;
    }
    for (int a = 0; a < 3; a++) {
        if (a != worst) {
            other_spacing = fmax(other_spacing, out[a]);
            other_size = fmin(other_size, size[a]);
        }
    }
    if (out[worst] > anisotropy * other_spacing && size[worst] * anisotropy < other_size) {
        sorted_axis(scratch, fp, worst, false);
        out[worst] = percentile(scratch, fp->cases, 10);
        if (out[worst] < other_spacing)
            out[worst] = other_spacing + 1e-5;
    }
}

/* Median over the cases of the shape each would have at `target`, in file order. */
static void median_new_shape(double out[3], const volt_fingerprint *fp, const double target[3],
                             double *scratch)
{
    for (int a = 0; a < 3; a++) {
        for (int64_t i = 0; i < fp->cases; i++)
            scratch[i] =
                rint(fp->spacings[i][a] / target[a] * (double)fp->shapes_after_crop[i][a]);
        qsort(scratch, (size_t)fp->cases, sizeof *scratch, compare_doubles);
        out[a] = percentile(scratch, fp->cases, 50);
    }
}

volt_normalization volt_norm_for_channel(const char *channel)
{
    static const struct {
        const char *channel;
        volt_normalization scheme;
    } table[] = {{"ct", VOLT_NORMALIZE_CT},
                 {"nonorm", VOLT_NORMALIZE_NONE},
                 {"zscore", VOLT_NORMALIZE_ZSCORE},
                 {"rescale_to_0_1", VOLT_NORMALIZE_RESCALE_01},
                 {"rgb_to_0_1", VOLT_NORMALIZE_RGB_01}};

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcasecmp(channel, table[i].channel) == 0)
            return table[i].scheme;
    }
    return VOLT_NORMALIZE_ZSCORE;
}

/* What is common to all configurations of a plan. */
typedef struct planning {
    const volt_fingerprint *fp;
    const volt_dataset_info *info;
    double memory_gb;
    volt_plan *plan; /* takes the configurations */
} planning;

static volt_topology_input topology_input(const planning *p, int axes, const double spacing[3],
                                          const double shape[3], double dataset_voxels)
{
    volt_topology_input in = {.axes = axes,
                              .channels = p->info->channels,
                              .labels = p->info->labels + (p->info->ignore_label >= 0),
                              .dataset_voxels = dataset_voxels,
                              .memory_gb = p->memory_gb};

    memcpy(in.spacing, spacing, sizeof in.spacing);
    memcpy(in.median_shape, shape, sizeof in.median_shape);
    return in;
}

/* Appends the configuration `name` with the topology `t`. */
static volt_status add_config(const planning *p, const char *name,
                              const volt_topology_input *in, const volt_topology *t,
                              bool batch_dice)
{
    volt_plan_config *c = &p->plan->config[p->plan->configs];
    const size_t channels = (size_t)p->info->channels;
    volt_status st;

    p->plan->configs++; /* from here volt_plan_free sees it */
    VOLT_TRY(st, done, volt_strdup(&c->name, name));
    VOLT_TRY(st, done, volt_format(&c->data_identifier, "%s_%s", p->plan->plans_name, name));
    VOLT_TRY(st, done, volt_alloc_zero(&c->norm, channels, sizeof *c->norm, "a plan"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&c->use_mask_for_norm, channels, sizeof(bool), "a plan"));
    for (size_t i = 0; i < channels; i++) {
        c->norm[i] = volt_norm_for_channel(p->info->channel_name[i]);
        c->use_mask_for_norm[i] = c->norm[i] == VOLT_NORMALIZE_ZSCORE &&
                                  p->fp->median_relative_size_after_cropping < mask_norm_share;
    }
    c->axes = in->axes;
    c->batch = t->batch;
    for (int a = 0; a < 3; a++) {
        const bool slice = in->axes == 2 && a == 0;
        c->patch[a] = t->patch[a];
        c->median_shape[a] = slice ? 1 : in->median_shape[a];
        c->spacing[a] = slice ? 0 : in->spacing[a];
    }
    c->data = (volt_plan_resampling){.order = VOLT_CUBIC, .separate_z = -1};
    c->seg = c->probabilities = (volt_plan_resampling){.order = VOLT_LINEAR, .separate_z = -1};
    c->net = t->net;
    c->net.out_channels = p->info->labels;
    c->batch_dice = batch_dice;
done:
    return st;
}

static double product(const double v[3])
{
    return v[0] * v[1] * v[2];
}

static double patch_voxels(const volt_topology *t)
{
    return (double)t->patch[0] * (double)t->patch[1] * (double)t->patch[2];
}

/* Coarsens the spacing until a patch sees enough of a case. *wanted tells whether the result is
 * worth a configuration. */
static volt_status find_lowres(bool *wanted, volt_topology_input *in, volt_topology *t,
                               const planning *p, const volt_topology_input *full)
{
    const double full_voxels = product(full->median_shape);
    double voxels = full_voxels, shape[3], spacing[3];
    volt_status st = VOLT_OK;

    memcpy(spacing, full->spacing, sizeof spacing);
    *wanted = false;
    while (patch_voxels(t) / voxels < lowres_share) {
        const double coarsest = fmax(spacing[0], fmax(spacing[1], spacing[2]));
        bool fine[3], uneven = false;
        for (int a = 0; a < 3; a++) {
            fine[a] = coarsest / spacing[a] > 2;
            uneven = uneven || fine[a];
        }
        voxels = 1;
        for (int a = 0; a < 3; a++) {
            double exact;
            if (fine[a] || !uneven)
                spacing[a] *= lowres_growth;
            exact = full->spacing[a] / spacing[a] * full->median_shape[a];
            voxels *= exact;
            shape[a] = fmax(rint(exact), 1);
        }
        *in = topology_input(p, 3, spacing, shape, voxels * (double)p->fp->cases);
        VOLT_TRY(st, done, volt_plan_topology(t, in));
        *wanted = true;
    }
    if (full_voxels / voxels < 2)
        *wanted = false;
done:
    return st;
}

static volt_status plan_3d(const planning *p, const volt_topology_input *full)
{
    volt_topology fine, coarse;
    volt_topology_input low;
    bool has_low;
    volt_plan_config *c;
    volt_status st;

    VOLT_TRY(st, done, volt_plan_topology(&fine, full));
    coarse = fine;
    VOLT_TRY(st, done, find_lowres(&has_low, &low, &coarse, p, full));
    if (has_low) {
        VOLT_TRY(st, done, add_config(p, "3d_lowres", &low, &coarse, false));
        c = &p->plan->config[p->plan->configs - 1];
        VOLT_TRY(st, done, volt_strdup(&c->next_stage, "3d_cascade_fullres"));
    }
    VOLT_TRY(st, done, add_config(p, "3d_fullres", full, &fine, has_low));
    if (has_low) {
        VOLT_TRY(st, done, add_config(p, "3d_cascade_fullres", full, &fine, true));
        c = &p->plan->config[p->plan->configs - 1];
        VOLT_TRY(st, done, volt_strdup(&c->previous_stage, "3d_lowres"));
        volt_free(c->data_identifier);
        c->data_identifier = NULL;
        VOLT_TRY(st, done,
                 volt_format(&c->data_identifier, "%s_3d_fullres", p->plan->plans_name));
    }
done:
    return st;
}

static volt_status check_planning(const volt_fingerprint *fp, const volt_dataset_info *info,
                                  const volt_planner_options *o)
{
    const int given = (o->spacing[0] != 0) + (o->spacing[1] != 0) + (o->spacing[2] != 0);

    if (fp->cases < 1)
        return volt_fail(VOLT_EINVAL, "a fingerprint of no case cannot be planned");
    if (fp->channels != info->channels)
        return volt_fail(VOLT_EINVAL, "the fingerprint has %d channels; dataset.json names %d",
                         fp->channels, info->channels);
    if (info->labels < 2)
        return volt_fail(VOLT_EINVAL,
                         "dataset.json names %d labels; a background and at least "
                         "one more are needed",
                         info->labels);
    for (int a = 0; a < 3 && given; a++) {
        if (given != 3 || !(o->spacing[a] > 0) || !isfinite(o->spacing[a]))
            return volt_fail(
                VOLT_EINVAL,
                "target spacing %g, %g, %g mm; three positive numbers are expected",
                o->spacing[0], o->spacing[1], o->spacing[2]);
    }
    return VOLT_OK;
}

/* Coarsest axis first, the others in order. */
static void choose_transpose(volt_plan *plan, const double spacing[3], bool suppress)
{
    int first = 0, next = 0;

    for (int a = 1; a < 3 && !suppress; a++) {
        if (spacing[a] > spacing[first])
            first = a;
    }
    plan->transpose_forward[next++] = first;
    for (int a = 0; a < 3; a++) {
        if (a != first)
            plan->transpose_forward[next++] = a;
    }
    for (int a = 0; a < 3; a++)
        plan->transpose_backward[plan->transpose_forward[a]] = a;
}

static volt_status start_plan(volt_plan **out, const volt_fingerprint *fp,
                              const volt_dataset_info *info, const char *plans_name)
{
    enum { MOST_CONFIGS = 4 };
    volt_plan *plan = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&plan, 1, sizeof *plan, "a plan"));
    VOLT_TRY(st, done, volt_strdup(&plan->dataset_name, info->name));
    VOLT_TRY(st, done, volt_strdup(&plan->plans_name, plans_name));
    VOLT_TRY(st, done,
             volt_alloc_zero(&plan->config, MOST_CONFIGS, sizeof *plan->config, "a plan"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&plan->intensities, (size_t)fp->channels,
                             sizeof *plan->intensities, "a plan"));
    memcpy(plan->intensities, fp->intensities,
           (size_t)fp->channels * sizeof *plan->intensities);
    plan->channels = info->channels;
    plan->classes = info->labels;
    *out = plan;
    plan = NULL;
done:
    volt_plan_free(plan);
    return st;
}

volt_status volt_plan_make(volt_plan **out, const volt_fingerprint *fp,
                           const volt_dataset_info *info, const volt_planner_options *options)
{
    static const volt_planner_options defaults;
    const volt_planner_options *o = options ? options : &defaults;
    planning p = {.fp = fp, .info = info, .memory_gb = o->memory_gb};
    double target[3], shape[3], spacing_t[3], shape_t[3], *scratch = NULL;
    volt_topology_input in;
    volt_topology flat;
    volt_status st;

    VOLT_TRY(st, done, check_planning(fp, info, o));
    VOLT_TRY(st, done,
             start_plan(&p.plan, fp, info, o->plans_name ? o->plans_name : "nnUNetPlans"));
    VOLT_TRY(st, done, volt_alloc_zero(&scratch, (size_t)fp->cases, sizeof *scratch, "a plan"));
    target_spacing(target, fp, scratch);
    if (o->spacing[0] > 0)
        memcpy(target, o->spacing, sizeof target);
    choose_transpose(p.plan, target, o->suppress_transpose);
    median_new_shape(shape, fp, target, scratch);
    for (int a = 0; a < 3; a++) {
        const int from = p.plan->transpose_forward[a];
        spacing_t[a] = target[from];
        shape_t[a] = shape[from];
        sorted_axis(scratch, fp, from, false);
        p.plan->original_median_spacing[a] = percentile(scratch, fp->cases, 50);
        sorted_axis(scratch, fp, from, true);
        p.plan->original_median_shape[a] = (int64_t)rint(percentile(scratch, fp->cases, 50));
    }
    in = topology_input(&p, 2, spacing_t, shape_t, product(shape_t) * (double)fp->cases);
    VOLT_TRY(st, done, volt_plan_topology(&flat, &in));
    VOLT_TRY(st, done, add_config(&p, "2d", &in, &flat, true));
    if (shape_t[0] != 1) {
        in.axes = 3;
        VOLT_TRY(st, done, plan_3d(&p, &in));
    }
    *out = p.plan;
    p.plan = NULL;
done:
    volt_free(scratch);
    volt_plan_free(p.plan);
    return st;
}
