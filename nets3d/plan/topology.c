/* Patch, stages and batch of one configuration, by the rules of nnU-Net v2's planners. */
#include "nets3d/plan.h"

#include <math.h>
#include <string.h>

#include "nets3d/plan/plan_internal.h"

static const double min_edge = 4.0; /* voxels of a feature map */

/* nnU-Net's constants. A reference is the memory estimate that fits the planner's own memory,
 * with reference_batch samples. */
static const volt_planner_rules planners[] = {
    [VOLT_PLANNER_DEFAULT] = {"default", "ExperimentPlanner", "nnUNetPlans", VOLT_ENCODER_PLAIN,
                              8, 5.6e8, 8.5e7, 0.05},
    [VOLT_PLANNER_RESENC_M] = {"resenc-m", "nnUNetPlannerResEncM", "nnUNetResEncUNetMPlans",
                               VOLT_ENCODER_RESIDUAL, 8, 6.8e8, 1.35e8, 1},
    [VOLT_PLANNER_RESENC_L] = {"resenc-l", "nnUNetPlannerResEncL", "nnUNetResEncUNetLPlans",
                               VOLT_ENCODER_RESIDUAL, 24, 2.1e9, 3.8e8, 1},
    [VOLT_PLANNER_RESENC_XL] = {"resenc-xl", "nnUNetPlannerResEncXL", "nnUNetResEncUNetXLPlans",
                                VOLT_ENCODER_RESIDUAL, 40, 3.6e9, 5.6e8, 1},
};
enum { PLANNERS = sizeof planners / sizeof *planners };

const volt_planner_rules *volt_planner_rules_of(volt_planner planner)
{
    return (size_t)planner < PLANNERS ? &planners[planner] : NULL;
}

void volt_planner_of_class(volt_planner *out, const char *class_name)
{
    for (int i = 0; i < PLANNERS; i++) {
        if (strcmp(planners[i].class_name, class_name) == 0)
            *out = (volt_planner)i;
    }
}

volt_status volt_planner_parse(volt_planner *out, const char *name)
{
    for (int i = 0; i < PLANNERS; i++) {
        if (strcmp(planners[i].name, name) == 0) {
            *out = (volt_planner)i;
            return VOLT_OK;
        }
    }
    return volt_fail(VOLT_EINVAL,
                     "planner '%s'; there are default, resenc-m, resenc-l and resenc-xl", name);
}

/* What depends on the number of axes. */
typedef struct family {
    const volt_planner_rules *rules;
    double reference, reference_batch, patch_voxels;
    int64_t max_features;
} family;

static family family_of(const volt_topology_input *in)
{
    const volt_planner_rules *r = volt_planner_rules_of(in->planner);
    const double share = in->memory_gb / r->memory_gb;
    const family flat = {r, r->reference_2d * share, 12, 2048.0 * 2048.0, 512};
    const family solid = {r, r->reference_3d * share, 2, 256.0 * 256.0 * 256.0, 320};

    return in->axes == 2 ? flat : solid;
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

/* Convolutions of an encoder stage whose outputs count, as nnU-Net counts them. */
static int encoder_outputs(const volt_unet_spec *net, int s)
{
    const int64_t *stride = net->stride[s];
    int skip, stem;

    if (net->encoder == VOLT_ENCODER_PLAIN)
        return net->convs_encoder[s];
    /* nnU-Net counts a strided skip also where channels stay and it has no convolution. */
    skip = stride[0] * stride[1] * stride[2] > 1 ||
           (s > 0 && net->features[s] != net->features[s - 1]);
    stem = s == 0;
    return 2 * net->convs_encoder[s] + skip + stem;
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
        total += voxels * (double)net->features[s] * encoder_outputs(net, s);
        if (s < net->stages - 1) /* the decoder's level: convolutions and the transposed one */
            total += voxels * (double)net->features[s] * (net->convs_decoder[s] + 1);
        if (s == 0)
            total += voxels * labels;
    }
    return total;
}

static const int residual_blocks[4] = {1, 3, 4, 6}; /* of the stages; then 6 each */

static void build_spec(volt_unet_spec *net, const shape_rules *r, const volt_topology_input *in,
                       const family *f)
{
    const bool residual = f->rules->encoder == VOLT_ENCODER_RESIDUAL;

    *net = (volt_unet_spec){.encoder = f->rules->encoder,
                            .stages = r->stages,
                            .in_channels = in->channels,
                            .out_channels = in->labels,
                            .slope = 0.01,
                            .bias = true};
    memcpy(net->kernel, r->kernel, sizeof net->kernel);
    memcpy(net->stride, r->stride, sizeof net->stride);
    for (int s = 0; s < r->stages; s++) {
        const int64_t grown = (int64_t)32 << s;
        net->features[s] = grown < f->max_features ? grown : f->max_features;
        net->convs_encoder[s] = residual ? residual_blocks[s < 4 ? s : 3] : 2;
        net->convs_decoder[s] = s == r->stages - 1 ? 0 : residual ? 1 : 2;
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
    if (!volt_planner_rules_of(in->planner))
        return volt_fail(VOLT_EINVAL, "planner %d does not exist", (int)in->planner);
    if (!(in->memory_gb >= 0) || in->memory_gb > 1e6)
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

/* Whether a batch of the smallest size fits. The plain reference is of reference_batch samples,
 * the residual one of as many as there will be. */
static bool too_large(const volt_topology *t, const family *f)
{
    if (f->rules->encoder == VOLT_ENCODER_PLAIN)
        return t->estimate / f->reference_batch * 2 > f->reference;
    return t->estimate > f->reference;
}

volt_status volt_plan_topology(volt_topology *out, const volt_topology_input *asked)
{
    volt_topology_input in = *asked;
    const int first = in.axes == 2 ? 1 : 0;
    family f;
    volt_topology t = {0};
    double patch[3], cap, voxels;
    volt_status st;

    VOLT_TRY(st, done, check_topology_input(&in, first));
    if (in.memory_gb == 0)
        in.memory_gb = volt_planner_rules_of(in.planner)->memory_gb;
    f = family_of(&in);
    if (first)
        in.spacing[0] = in.median_shape[0] = 1;
    start_patch(patch, &in, first, &f);
    VOLT_TRY(st, done, settle(&t, patch, &in, first, &f));
    while (too_large(&t, &f))
        VOLT_TRY(st, done, shrink(&t, &in, first, &f));
    voxels = (double)t.patch[0] * (double)t.patch[1] * (double)t.patch[2];
    cap = rint(in.dataset_voxels * f.rules->covered / voxels);
    t.batch = (int64_t)fmax(fmin(rint(f.reference / t.estimate * f.reference_batch), cap), 2);
    *out = t;
done:
    return st;
}

volt_status volt_plan_topology_whole(volt_topology *out, const volt_topology_input *asked,
                                     const double extent[3])
{
    volt_topology_input in = *asked;
    volt_topology t = {0};
    double cap;
    family f;
    volt_status st;

    VOLT_TRY(st, done, check_topology_input(&in, 0));
    if (in.memory_gb == 0)
        in.memory_gb = volt_planner_rules_of(in.planner)->memory_gb;
    f = family_of(&in);
    VOLT_TRY(st, done, settle(&t, extent, &in, 0, &f));
    cap = in.dataset_voxels * f.rules->covered /
          ((double)t.patch[0] * (double)t.patch[1] * (double)t.patch[2]);
    t.batch = (int64_t)fmin(floor(f.reference / t.estimate * f.reference_batch), fmax(cap, 1));
    *out = t;
done:
    return st;
}
