/* The configurations that nnU-Net does not have: 2p5d and 3d_whole. */
#include <math.h>
#include <string.h>

#include "base/core/options.h"
#include "base/core/alloc.h"
#include "nets3d/plan/planner.h"

static double product(const double v[3])
{
    return v[0] * v[1] * v[2];
}

/* Odd numbers of slices that reach about three pixels to either side: 7 where slices lie as
 * close as pixels, 3 where they lie three times as far apart or more. */
static int slices_for(double slice_mm, double pixel_mm)
{
    const double reach = floor(3 * pixel_mm / slice_mm + 0.5);

    return 1 + 2 * (int)fmin(fmax(reach, 1), 3);
}

/* Puts `axis` first and keeps the order of the others. */
static void cut_along(volt_plan_config *c, int axis)
{
    int next = 1;

    c->transpose_forward[0] = axis;
    for (int a = 0; a < 3; a++) {
        if (a != axis)
            c->transpose_forward[next++] = a;
    }
    for (int a = 0; a < 3; a++)
        c->transpose_backward[c->transpose_forward[a]] = a;
}

static volt_status add_slices(const volt_planning *p, const volt_plan_extra *e,
                              const double target[3], const double shape[3])
{
    const int axis = e->axis == VOLT_AXIS_COARSEST ? p->plan->transpose_forward[0] : e->axis;
    volt_plan_config turned;
    volt_plan_config *c;
    volt_topology_input in;
    volt_topology t;
    double spacing[3], extent[3];
    volt_status st;

    cut_along(&turned, axis);
    for (int a = 0; a < 3; a++) {
        spacing[a] = target[turned.transpose_forward[a]];
        extent[a] = shape[turned.transpose_forward[a]];
    }
    in = volt_planning_input(p, 2, spacing, extent, product(extent) * (double)p->fp->cases);
    VOLT_TRY(st, done, volt_plan_topology(&t, &in));
    VOLT_TRY(st, done, volt_planning_add(p, e->name, &in, &t, true));
    c = &p->plan->config[p->plan->configs - 1];
    memcpy(c->transpose_forward, turned.transpose_forward, sizeof c->transpose_forward);
    memcpy(c->transpose_backward, turned.transpose_backward, sizeof c->transpose_backward);
    c->slices = e->slices ? e->slices : slices_for(spacing[0], fmin(spacing[1], spacing[2]));
    volt_plan_set_channels(p->plan, c);
    volt_free(c->data_identifier);
    c->data_identifier = NULL;
    st = axis == p->plan->transpose_forward[0]
             ? volt_planning_name_data(&c->data_identifier, p, "2d")
             : volt_format(&c->data_identifier, "%s_2d_along_%c", p->plan->plans_name,
                           "zyx"[axis]);
done:
    return st;
}

/* Extents that hold every case at `spacing` (transposed). */
static void largest_case(double out[3], const volt_planning *p, const double spacing[3])
{
    for (int a = 0; a < 3; a++) {
        const int from = p->plan->transpose_forward[a];
        out[a] = 1;
        for (int64_t i = 0; i < p->fp->cases; i++)
            out[a] = fmax(out[a], rint(p->fp->spacings[i][from] / spacing[a] *
                                       (double)p->fp->shapes_after_crop[i][from]));
    }
}

static volt_status add_whole(const volt_planning *p, const volt_plan_extra *e,
                             const double target[3], const double shape[3])
{
    double full[3], spacing[3], median[3], largest[3], extent[3];
    volt_plan_config *c;
    volt_topology_input in;
    volt_topology t = {0};
    volt_status st;

    for (int a = 0; a < 3; a++) {
        full[a] = spacing[a] = target[p->plan->transpose_forward[a]];
        extent[a] = shape[p->plan->transpose_forward[a]];
    }
    for (;;) {
        for (int a = 0; a < 3; a++)
            median[a] = fmax(rint(full[a] / spacing[a] * extent[a]), 1);
        largest_case(largest, p, spacing);
        in = volt_planning_input(p, 3, spacing, median, product(median) * (double)p->fp->cases);
        VOLT_TRY(st, done, volt_plan_topology_whole(&t, &in, largest));
        if (t.batch > 0)
            break;
        if (product(largest) <= 64)
            return volt_fail(VOLT_ENOTSUP, "no whole case fits a memory target of %g GB",
                             p->memory_gb);
        volt_planning_coarsen(spacing);
    }
    VOLT_TRY(st, done, volt_planning_add(p, e->name, &in, &t, false));
    c = &p->plan->config[p->plan->configs - 1];
    c->whole = true;
    if (memcmp(spacing, full, sizeof full) == 0) { /* the same voxels as 3d_fullres */
        volt_free(c->data_identifier);
        c->data_identifier = NULL;
        st = volt_planning_name_data(&c->data_identifier, p, "3d_fullres");
    }
done:
    return st;
}

volt_status volt_plan_extra_check(const volt_plan_extra *e)
{
    const bool whole = strcmp(e->name, VOLT_PLAN_WHOLE) == 0;

    if (!whole && strcmp(e->name, VOLT_PLAN_SLICES) != 0)
        return volt_fail(VOLT_EINVAL,
                         "configuration '%s' cannot be added; " VOLT_PLAN_SLICES
                         " and " VOLT_PLAN_WHOLE " can",
                         e->name);
    if (e->slices < 0 || e->slices > VOLT_MAX_SLICES || (e->slices && e->slices % 2 == 0))
        return volt_fail(VOLT_EINVAL, "%d slices; an odd number up to %d is expected",
                         e->slices, VOLT_MAX_SLICES);
    if (e->axis < VOLT_AXIS_COARSEST || e->axis > 2)
        return volt_fail(VOLT_EINVAL, "axis %d; 0 (z), 1 (y) or 2 (x) is expected", e->axis);
    return VOLT_OK;
}

/* Puts the last configuration in the place of an earlier one with its name. */
static void replace_earlier(volt_plan *plan)
{
    volt_plan_config *last = &plan->config[plan->configs - 1];

    for (int i = 0; i < plan->configs - 1; i++) {
        if (strcmp(plan->config[i].name, last->name) == 0) {
            const volt_plan_config added = *last;
            *last = plan->config[i];
            plan->config[i] = added;
            volt_plan_drop_last(plan);
            return;
        }
    }
}

volt_status volt_plan_add(volt_plan *plan, const volt_plan_extra *extra,
                          const volt_fingerprint *fp, const volt_dataset_info *info,
                          const volt_planner_options *options)
{
    const int before = plan->configs;
    volt_planner_options o = volt_planner_defaults();
    volt_planning p = {.fp = fp, .info = info, .plan = plan};
    double target[3], shape[3];
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_planner_options"));
    p.planner = o.planner;
    p.model = o.model;
    p.memory_gb = o.memory_gb;
    volt_planner_of_class(&p.planner, plan->planner);
    VOLT_TRY(st, done, volt_plan_extra_check(extra));
    VOLT_TRY(st, done, volt_planning_check(fp, info, &o));
    VOLT_TRY(st, done, volt_planning_resolve(target, shape, fp, &o));
    VOLT_TRY(st, done,
             volt_realloc(&plan->config, (size_t)before * sizeof *plan->config,
                          (size_t)(before + 1) * sizeof *plan->config, "a plan"));
    memset(&plan->config[before], 0, sizeof *plan->config);
    st = strcmp(extra->name, VOLT_PLAN_WHOLE) == 0 ? add_whole(&p, extra, target, shape)
                                                   : add_slices(&p, extra, target, shape);
    if (st == VOLT_OK)
        replace_earlier(plan);
    else if (plan->configs > before)
        volt_plan_drop_last(plan);
done:
    return st;
}
