/* Patch, stages and batch of one configuration, by the rules of nnU-Net v2's planners.
 *
 * nnU-Net starts from a patch with the shape of a cube in mm, no larger than the median case,
 * and derives the network from it: an axis is halved while it keeps at least 4 voxels and its
 * spacing is less than twice the finest, so that voxels become cubes before all axes are halved
 * together. Then the patch shrinks along the axis where it covers most of the median case until
 * the network's memory estimate fits; with each new patch the network changes too. What memory
 * is left goes into the batch. The estimate is a count of elements calibrated on GPUs, not
 * bytes: plans equal nnU-Net's only with the same estimate, rounding and order of operations.
 */
#include <math.h>
#include <string.h>

#include "base/core/plural.h"
#include "nets3d/plan/topology.h"

static const double min_edge = 4.0; /* voxels of a feature map */

static const volt_planner_rules planners[] = {
    [VOLT_PLANNER_DEFAULT] = {"default", "ExperimentPlanner", "nnUNetPlans",
                              &volt_model_plain_unet, false, 8, 5.6e8, 8.5e7, 0.05},
    [VOLT_PLANNER_RESENC_M] = {"resenc-m", "nnUNetPlannerResEncM", "nnUNetResEncUNetMPlans",
                               &volt_model_residual_unet, true, 8, 6.8e8, 1.35e8, 1},
    [VOLT_PLANNER_RESENC_L] = {"resenc-l", "nnUNetPlannerResEncL", "nnUNetResEncUNetLPlans",
                               &volt_model_residual_unet, true, 24, 2.1e9, 3.8e8, 1},
    [VOLT_PLANNER_RESENC_XL] = {"resenc-xl", "nnUNetPlannerResEncXL", "nnUNetResEncUNetXLPlans",
                                &volt_model_residual_unet, true, 40, 3.6e9, 5.6e8, 1},
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
                     "planner '%.40s' is none of default, resenc-m, resenc-l, resenc-xl", name);
}

/* The search for one configuration. */
typedef struct search {
    volt_topology_input in;
    const volt_planner_rules *rules;
    volt_network net; /* its estimate is taken; filled again for each patch */
    int first;        /* axis: 1 for 2-D, which leaves axis 0 out */
    double reference, reference_batch, patch_voxels;
    int64_t max_features;
} search;

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

/* Halvings, kernels and strides for a patch size. */
static volt_status find_topology(volt_topology *out, const search *s, const double patch[3])
{
    volt_topology_shape r = {.stages = 1,
                             .max_features = s->max_features,
                             .in_channels = s->in.channels,
                             .out_channels = s->in.labels};
    int64_t pools[3] = {0};
    const int first = s->first;
    double size[3], mm[3];
    bool pool[3];

    for (int a = 0; a < 3; a++) {
        size[a] = patch[a];
        mm[a] = s->in.spacing[a];
        r.stride[0][a] = 1;
        r.kernel[0][a] = 1;
    }
    while (axes_to_pool(pool, size, mm, first)) {
        double finest = INFINITY;
        if (r.stages == VOLT_MAX_STAGES)
            return volt_fail(VOLT_ENOTSUP, "a patch of %g x %g x %g needs more than %d stages",
                             patch[0], patch[1], patch[2], VOLT_MAX_STAGES);
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
                pools[a]++;
                mm[a] *= 2;
                size[a] = ceil(size[a] / 2);
            }
        }
        r.stages++;
    }
    for (int a = first; a < 3; a++)
        r.kernel[r.stages - 1][a] = 3; /* the bottleneck */
    out->shape = r;
    memcpy(out->pools, pools, sizeof pools);
    return VOLT_OK;
}

/* Sets the patch, padded to the divisor of its own topology, and what follows from it. */
static volt_status set_patch(volt_topology *t, const search *s, const double patch[3])
{
    volt_status st = find_topology(t, s, patch);

    if (st != VOLT_OK)
        return st;
    for (int a = 0; a < 3; a++) {
        const double divisor = (double)((int64_t)1 << t->pools[a]);
        t->patch[a] = (int64_t)(ceil(patch[a] / divisor) * divisor);
    }
    s->net.model->design(&s->net, &t->shape);
    t->estimate = s->net.model->estimate(&s->net, t->patch);
    return VOLT_OK;
}

/* One step of the shrink loop. Subtracting the axis' divisor could skip sizes (256 -> 192), so
 * the divisor of the provisionally reduced patch is subtracted instead (256 -> 224). */
static volt_status shrink(volt_topology *t, const search *s)
{
    double patch[3], worst = -1;
    volt_topology reduced;
    int axis = s->first;
    volt_status st;

    for (int a = 0; a < 3; a++) {
        patch[a] = (double)t->patch[a];
        if (a >= s->first && patch[a] / s->in.median_shape[a] >= worst) {
            worst = patch[a] / s->in.median_shape[a];
            axis = a;
        }
    }
    patch[axis] -= (double)((int64_t)1 << t->pools[axis]);
    VOLT_TRY(st, done, find_topology(&reduced, s, patch));
    patch[axis] = (double)(t->patch[axis] - ((int64_t)1 << reduced.pools[axis]));
    if (patch[axis] < 1)
        return volt_fail(VOLT_ENOTSUP,
                         "no patch fits a memory target of %g GB: at %lld x %lld x %lld voxels "
                         "the network is still too large",
                         s->in.memory_gb, (long long)t->patch[0], (long long)t->patch[1],
                         (long long)t->patch[2]);
    st = set_patch(t, s, patch);
done:
    return st;
}

static volt_status check_input(const volt_topology_input *in)
{
    if (in->axes != 2 && in->axes != 3)
        return volt_fail(VOLT_EINVAL, "a configuration has 2 or 3 axes, not %d", in->axes);
    for (int a = in->axes == 2; a < 3; a++) {
        const double mm = in->spacing[a], extent = in->median_shape[a];
        if (!(mm > 0) || !isfinite(mm))
            return volt_fail(VOLT_EINVAL, "the target spacing along %c is %g mm", "dhw"[a], mm);
        if (!(extent >= 1) || extent > 1e9)
            return volt_fail(VOLT_EINVAL, "the median extent along %c is %g voxels", "dhw"[a],
                             extent);
    }
    if (in->channels < 1 || in->labels < 2)
        return volt_fail(VOLT_EINVAL,
                         "%d channel%s and %d label%s; at least 1 and 2 are needed",
                         in->channels, volt_s(in->channels), in->labels, volt_s(in->labels));
    if (!volt_planner_rules_of(in->planner))
        return volt_fail(VOLT_EINVAL, "planner %d does not exist", (int)in->planner);
    if (!(in->memory_gb >= 0) || in->memory_gb > 1e6)
        return volt_fail(VOLT_EINVAL, "a memory target of %g GB", in->memory_gb);
    return VOLT_OK;
}

const volt_model *volt_topology_model(const volt_topology_input *in)
{
    return in->model ? in->model : volt_planner_rules_of(in->planner)->model;
}

/* Checks what is asked. The caller owns s->net. */
static volt_status start_search(search *s, const volt_topology_input *in)
{
    const volt_planner_rules *rules;
    const volt_model *model;
    double memory;
    volt_status st;

    VOLT_TRY(st, done, check_input(in));
    rules = volt_planner_rules_of(in->planner);
    model = volt_topology_model(in);
    if (!model->design || !model->estimate)
        return volt_fail(VOLT_ENOTSUP, "%s cannot be planned, only read from a plan",
                         model->name);
    *s = (search){.in = *in, .rules = rules, .first = in->axes == 2};
    if (s->in.memory_gb == 0)
        s->in.memory_gb = rules->memory_gb;
    if (s->first)
        s->in.spacing[0] = s->in.median_shape[0] = 1;
    memory = s->in.memory_gb / rules->memory_gb;
    s->reference = (s->first ? rules->reference_2d : rules->reference_3d) * memory;
    s->reference_batch = s->first ? 12 : 2;
    s->patch_voxels = s->first ? 2048.0 * 2048.0 : 256.0 * 256.0 * 256.0;
    s->max_features = s->first ? 512 : 320;
    st = volt_network_create(&s->net, model);
done:
    return st;
}

/* The patch to start from: the shape of a cube in mm, no larger than the median case. */
static void start_patch(double patch[3], const search *s)
{
    const double *spacing = s->in.spacing;
    double product = 1;

    for (int a = s->first; a < 3; a++)
        product *= 1 / spacing[a];
    for (int a = 0; a < 3; a++) {
        const double scale = pow(s->patch_voxels / product, 1.0 / s->in.axes);
        patch[a] = a < s->first ? 1 : fmin(rint(1 / spacing[a] * scale), s->in.median_shape[a]);
        patch[a] = fmax(patch[a], 1);
    }
}

/* Whether a batch of the smallest size fits. */
static bool too_large(const volt_topology *t, const search *s)
{
    if (s->rules->any_batch)
        return t->estimate > s->reference;
    return t->estimate / s->reference_batch * 2 > s->reference;
}

/* Samples that one batch may hold without covering too much of the data set. */
static double most_samples(const volt_topology *t, const search *s)
{
    const double voxels = (double)t->patch[0] * (double)t->patch[1] * (double)t->patch[2];

    return s->in.dataset_voxels * s->rules->covered / voxels;
}

volt_status volt_plan_topology(volt_topology *out, const volt_topology_input *in)
{
    search s = {.first = 0};
    volt_topology t = {0};
    double patch[3], batch;
    volt_status st;

    VOLT_TRY(st, done, start_search(&s, in));
    start_patch(patch, &s);
    VOLT_TRY(st, done, set_patch(&t, &s, patch));
    while (too_large(&t, &s))
        VOLT_TRY(st, done, shrink(&t, &s));
    batch = rint(s.reference / t.estimate * s.reference_batch);
    t.batch = (int64_t)fmax(fmin(batch, rint(most_samples(&t, &s))), 2);
    *out = t;
done:
    volt_network_clear(&s.net);
    return st;
}

volt_status volt_plan_topology_whole(volt_topology *out, const volt_topology_input *in,
                                     const double extent[3])
{
    search s = {.first = 0};
    volt_topology t = {0};
    double batch;
    volt_status st;

    VOLT_TRY(st, done, start_search(&s, in));
    VOLT_TRY(st, done, set_patch(&t, &s, extent));
    batch = floor(s.reference / t.estimate * s.reference_batch);
    t.batch = (int64_t)fmin(batch, fmax(most_samples(&t, &s), 1));
    *out = t;
done:
    volt_network_clear(&s.net);
    return st;
}
