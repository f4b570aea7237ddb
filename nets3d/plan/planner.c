/* The rules by which nnU-Net v2's planners choose spacing and configurations. */
#include "nets3d/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/core/options.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "nets3d/plan/planner.h"

static const double anisotropy = 3.0;          /* spacing and size ratio of a coarse axis */
static const double lowres_fraction = 0.25;    /* of the median case that a patch should see */
static const double lowres_growth = 1.03;      /* of the spacing, per attempt */
static const double mask_norm_fraction = 0.75; /* cropped size below which the mask is used */

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

/* numpy's median: the mean of the two in the middle. */
static double median(const double *sorted, int64_t count)
{
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
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

/* The shape of a case at `target`, along one axis. */
static double new_extent(const volt_fingerprint *fp, int64_t i, int axis, double target)
{
    return rint(fp->spacings[i][axis] / target * (double)fp->shapes_after_crop[i][axis]);
}

/* Median over the cases of the shape each would have at `target`, in file order. */
static void median_new_shape(double out[3], const volt_fingerprint *fp, const double target[3],
                             double *scratch)
{
    for (int a = 0; a < 3; a++) {
        for (int64_t i = 0; i < fp->cases; i++)
            scratch[i] = new_extent(fp, i, a, target[a]);
        qsort(scratch, (size_t)fp->cases, sizeof *scratch, compare_doubles);
        out[a] = median(scratch, fp->cases);
    }
}

volt_status volt_planning_resolve(double target[3], double shape[3], const volt_fingerprint *fp,
                                  const volt_planner_options *o)
{
    double *scratch = NULL;
    volt_status st = volt_alloc_zero(&scratch, (size_t)fp->cases, sizeof *scratch, "a plan");

    if (st != VOLT_OK)
        return st;
    target_spacing(target, fp, scratch);
    if (o->spacing[0] > 0)
        memcpy(target, o->spacing, 3 * sizeof *target);
    median_new_shape(shape, fp, target, scratch);
    volt_free(scratch);
    return VOLT_OK;
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

volt_topology_input volt_planning_input(const volt_planning *p, int axes,
                                        const double spacing[3], const double shape[3],
                                        double dataset_voxels)
{
    /* of dataset.json's labels: the background and the regions, where there are some */
    const int entries = p->info->regions ? p->info->regions + 1 : p->info->labels;
    volt_topology_input in = {.planner = p->planner,
                              .model = p->model,
                              .axes = axes,
                              .channels = p->info->channels,
                              .labels = entries + (p->info->ignore_label >= 0),
                              .dataset_voxels = dataset_voxels,
                              .memory_gb = p->memory_gb};

    memcpy(in.spacing, spacing, sizeof in.spacing);
    memcpy(in.median_shape, shape, sizeof in.median_shape);
    return in;
}

volt_status volt_planning_name_data(char **out, const volt_planning *p, const char *name)
{
    const bool shared = p->planner != VOLT_PLANNER_DEFAULT &&
                        (strcmp(name, "2d") == 0 || strcmp(name, "3d_fullres") == 0);

    return volt_format(out, "%s_%s", shared ? "nnUNetPlans" : p->plan->plans_name, name);
}

volt_status volt_planning_add(const volt_planning *p, const char *name,
                              const volt_topology_input *in, const volt_topology *t,
                              bool batch_dice)
{
    volt_plan_config *c = &p->plan->config[p->plan->configs];
    const size_t channels = (size_t)p->info->channels;
    volt_status st;

    p->plan->configs++; /* from here volt_plan_free sees it */
    VOLT_TRY(st, done, volt_strdup(&c->name, name));
    VOLT_TRY(st, done, volt_planning_name_data(&c->data_identifier, p, name));
    VOLT_TRY(st, done, volt_alloc_zero(&c->norm, channels, sizeof *c->norm, "a plan"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&c->use_mask_for_norm, channels, sizeof(bool), "a plan"));
    for (size_t i = 0; i < channels; i++) {
        c->norm[i] = volt_norm_for_channel(p->info->channel_name[i]);
        c->use_mask_for_norm[i] =
            c->norm[i] == VOLT_NORMALIZE_ZSCORE &&
            p->fp->median_relative_size_after_cropping < mask_norm_fraction;
    }
    c->axes = in->axes;
    c->batch = t->batch;
    for (int a = 0; a < 3; a++) {
        const bool slice = in->axes == 2 && a == 0;
        c->patch[a] = t->patch[a];
        c->median_shape[a] = slice ? 1 : in->median_shape[a];
        c->spacing[a] = slice ? 0 : in->spacing[a];
        c->transpose_forward[a] = p->plan->transpose_forward[a];
        c->transpose_backward[a] = p->plan->transpose_backward[a];
    }
    c->slices = 1;
    c->data = (volt_plan_resampling){.order = VOLT_CUBIC, .separate_z = VOLT_SEPARATE_Z_AUTO};
    c->seg = c->probabilities =
        (volt_plan_resampling){.order = VOLT_LINEAR, .separate_z = VOLT_SEPARATE_Z_AUTO};
    VOLT_TRY(st, done, volt_network_create(&c->net, volt_topology_model(in)));
    c->net.model->design(&c->net, &t->shape);
    volt_plan_set_channels(p->plan, c);
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

void volt_planning_coarsen(double spacing[3])
{
    const double coarsest = fmax(spacing[0], fmax(spacing[1], spacing[2]));
    bool fine[3], uneven = false;

    for (int a = 0; a < 3; a++) {
        fine[a] = coarsest / spacing[a] > 2;
        uneven = uneven || fine[a];
    }
    for (int a = 0; a < 3; a++) {
        if (fine[a] || !uneven)
            spacing[a] *= lowres_growth;
    }
}

/* Coarsens the spacing until a patch sees enough of a case. *wanted tells whether the result is
 * worth a configuration. */
static volt_status find_lowres(bool *wanted, volt_topology_input *in, volt_topology *t,
                               const volt_planning *p, const volt_topology_input *full)
{
    const double full_voxels = product(full->median_shape);
    double voxels = full_voxels, shape[3], spacing[3];
    volt_status st = VOLT_OK;

    memcpy(spacing, full->spacing, sizeof spacing);
    *wanted = false;
    while (patch_voxels(t) / voxels < lowres_fraction) {
        volt_planning_coarsen(spacing);
        voxels = 1;
        for (int a = 0; a < 3; a++) {
            const double exact = full->spacing[a] / spacing[a] * full->median_shape[a];
            voxels *= exact;
            shape[a] = fmax(rint(exact), 1);
        }
        *in = volt_planning_input(p, 3, spacing, shape, voxels * (double)p->fp->cases);
        VOLT_TRY(st, done, volt_plan_topology(t, in));
        *wanted = true;
    }
    if (full_voxels / voxels < 2)
        *wanted = false;
done:
    return st;
}

static volt_status plan_3d(const volt_planning *p, const volt_topology_input *full)
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
        VOLT_TRY(st, done, volt_planning_add(p, "3d_lowres", &low, &coarse, false));
        c = &p->plan->config[p->plan->configs - 1];
        VOLT_TRY(st, done, volt_strdup(&c->next_stage, "3d_cascade_fullres"));
    }
    VOLT_TRY(st, done, volt_planning_add(p, "3d_fullres", full, &fine, has_low));
    if (has_low) {
        VOLT_TRY(st, done, volt_planning_add(p, "3d_cascade_fullres", full, &fine, true));
        c = &p->plan->config[p->plan->configs - 1];
        VOLT_TRY(st, done, volt_strdup(&c->previous_stage, "3d_lowres"));
        VOLT_TRY(st, done, volt_strdup(&c->inherits_from, "3d_fullres"));
        volt_plan_set_channels(p->plan, c);
        volt_free(c->data_identifier);
        c->data_identifier = NULL;
        VOLT_TRY(st, done, volt_planning_name_data(&c->data_identifier, p, "3d_fullres"));
    }
done:
    return st;
}

volt_status volt_planning_check(const volt_fingerprint *fp, const volt_dataset_info *info,
                                const volt_planner_options *o)
{
    const int given = (o->spacing[0] != 0) + (o->spacing[1] != 0) + (o->spacing[2] != 0);

    if (!volt_planner_rules_of(o->planner))
        return volt_fail(VOLT_EINVAL, "planner %d does not exist", (int)o->planner);
    if (fp->cases < 1)
        return volt_fail(VOLT_EINVAL, "the fingerprint has no cases");
    if (fp->channels != info->channels)
        return volt_fail(VOLT_EINVAL, "the fingerprint has %d channel%s; dataset.json names %d",
                         fp->channels, volt_s(fp->channels), info->channels);
    if (info->labels < 2)
        return volt_fail(
            VOLT_EINVAL,
            "dataset.json names %d label%s; a background and at least one more are needed",
            info->labels, volt_s(info->labels));
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

const char *volt_plan_reader_of(const char *ending)
{
    static const char *const table[][2] = {
        {".png", "NaturalImage2DIO"}, {".bmp", "NaturalImage2DIO"},
        {".tif", "NaturalImage2DIO"}, {".nii.gz", "SimpleITKIO"},
        {".nrrd", "SimpleITKIO"},     {".mha", "SimpleITKIO"},
        {".gipl", "SimpleITKIO"},     {".tiff", "Tiff3DIO"},
        {".nii", "NibabelIO"}};

    for (size_t i = 0; ending && i < sizeof table / sizeof *table; i++) {
        if (strcasecmp(ending, table[i][0]) == 0)
            return table[i][1];
    }
    return "SimpleITKIO";
}

static volt_status start_plan(volt_plan **out, const volt_fingerprint *fp,
                              const volt_dataset_info *info, const volt_planner_options *o)
{
    const volt_planner_rules *rules = volt_planner_rules_of(o->planner);
    enum { MOST_CONFIGS = 4 };
    volt_plan *plan = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&plan, 1, sizeof *plan, "a plan"));
    VOLT_TRY(st, done, volt_strdup(&plan->dataset_name, info->name));
    VOLT_TRY(st, done,
             volt_strdup(&plan->plans_name, o->plans_name ? o->plans_name : rules->plans_name));
    VOLT_TRY(st, done, volt_strdup(&plan->planner, rules->class_name));
    VOLT_TRY(st, done, volt_strdup(&plan->reader, volt_plan_reader_of(info->file_ending)));
    VOLT_TRY(st, done,
             volt_alloc_zero(&plan->config, MOST_CONFIGS, sizeof *plan->config, "a plan"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&plan->intensities, (size_t)fp->channels,
                             sizeof *plan->intensities, "a plan"));
    memcpy(plan->intensities, fp->intensities,
           (size_t)fp->channels * sizeof *plan->intensities);
    plan->data_key = fp->data_key;
    plan->channels = info->channels;
    plan->classes = info->labels;
    plan->regions = info->regions;
    *out = plan;
    plan = NULL;
done:
    volt_plan_free(plan);
    return st;
}

static const volt_planner_options defaults = {.size = sizeof defaults};

void volt_planner_options_init(volt_planner_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_status volt_plan_make(volt_plan **out, const volt_fingerprint *fp,
                           const volt_dataset_info *info, const volt_planner_options *options)
{
    volt_planner_options o = defaults;
    volt_planning p = {.fp = fp, .info = info};
    double target[3], shape[3], spacing_t[3], shape_t[3], *scratch = NULL;
    volt_topology_input in;
    volt_topology flat;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_planner_options"));
    p.planner = o.planner;
    p.model = o.model;
    p.memory_gb = o.memory_gb;
    VOLT_TRY(st, done, volt_planning_check(fp, info, &o));
    VOLT_TRY(st, done, start_plan(&p.plan, fp, info, &o));
    VOLT_TRY(st, done, volt_alloc_zero(&scratch, (size_t)fp->cases, sizeof *scratch, "a plan"));
    VOLT_TRY(st, done, volt_planning_resolve(target, shape, fp, &o));
    choose_transpose(p.plan, target, o.suppress_transpose);
    for (int a = 0; a < 3; a++) {
        const int from = p.plan->transpose_forward[a];
        spacing_t[a] = target[from];
        shape_t[a] = shape[from];
        sorted_axis(scratch, fp, from, false);
        p.plan->original_median_spacing[a] = median(scratch, fp->cases);
        sorted_axis(scratch, fp, from, true);
        p.plan->original_median_shape[a] = (int64_t)rint(median(scratch, fp->cases));
    }
    in = volt_planning_input(&p, 2, spacing_t, shape_t, product(shape_t) * (double)fp->cases);
    VOLT_TRY(st, done, volt_plan_topology(&flat, &in));
    VOLT_TRY(st, done, volt_planning_add(&p, "2d", &in, &flat, true));
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
