/* The previous stage of a predictor whose networks refine masks. */
#include <string.h>

#include "base/system/file.h"
#include "base/mem.h"
#include "nets3d/predict/predictor_internal.h"

static const volt_net_set *cascade_group(const volt_predictor *p)
{
    for (int g = 0; g < p->groups; g++) {
        if (p->group[g].config->previous_stage)
            return &p->group[g];
    }
    return NULL;
}

const volt_plan_config *volt_predictor_cascade(const volt_predictor *p)
{
    const volt_net_set *g = cascade_group(p);

    return g ? g->config : NULL;
}

/* ---- holding networks or not ---- */

void volt_predictor_release_programs(volt_predictor *p)
{
    for (int g = 0; g < p->groups; g++)
        volt_net_set_release(&p->group[g]);
    p->held_bytes = p->base_bytes;
}

volt_status volt_predictor_restore_programs(volt_predictor *p)
{
    const size_t before = volt_mem_current();
    size_t opened = 0, bytes = 0; /* of the groups */
    volt_status st = VOLT_OK;

    for (int g = 0; g < p->groups; g++) {
        const int64_t *patch = p->group[g].config->patch;
        if (volt_net_set_is_whole(p, &p->group[g]))
            continue;
        VOLT_TRY(st, done, volt_net_set_open(p, &p->group[g], patch));
        VOLT_TRY(st, done, volt_net_set_bytes(&bytes, p, &p->group[g], patch));
        opened += bytes;
    }
    p->held_bytes += volt_mem_current() - before;
    p->other_bytes = p->held_bytes > opened ? p->held_bytes - opened : 0;
done:
    return st;
}

/* ---- opening ---- */

/* The run's networks must give what this one refines. */
static volt_status check_first(const volt_predictor *p)
{
    const volt_predictor *first = p->first;
    const volt_plan_config *config = volt_predictor_cascade(p);

    for (int g = 0; g < first->groups; g++) {
        const char *name = first->group[g].config->name;
        if (strcmp(name, config->previous_stage) != 0)
            return volt_fail(VOLT_EDATA, "%s was trained as %s; %s refines the masks of %s",
                             p->previous, name, config->name, config->previous_stage);
    }
    if (first->info.channels != p->info.channels || first->info.labels != p->info.labels)
        return volt_fail(VOLT_EDATA,
                         "%s has %d channels and %d labels, the network that refines its masks "
                         "%d and %d",
                         p->previous, first->info.channels, first->info.labels,
                         p->info.channels, p->info.labels);
    return VOLT_OK;
}

volt_status volt_predictor_open_previous(volt_predictor *p, const volt_predict_options *options,
                                         const volt_callbacks *cb)
{
    const volt_net_set *g = cascade_group(p);
    volt_predict_options first = *options;
    const char *path = options->previous;
    volt_status st = VOLT_OK;

    if (!g && path)
        return volt_fail(VOLT_EINVAL,
                         "%s: a previous stage is given (%s), and no network refines its masks",
                         p->group[0].path[0], path);
    if (g && !path && volt_is_run(g->recipe.previous_run)) {
        path = g->recipe.previous_run;
        volt_report(cb, VOLT_LOG_INFO, "previous stage: %s, as in training", path);
    }
    if (!g || !path)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_strdup(&p->previous, path));
    if (!volt_is_run(path))
        goto done;
    first.previous = first.checkpoint = first.folds = NULL;
    VOLT_TRY(st, done, volt_predictor_open(&p->first, &path, 1, &first, cb));
    VOLT_TRY(st, done, check_first(p));
    volt_predictor_release_programs(p->first);
done:
    return st;
}

volt_status volt_predictor_set_previous(volt_predictor *p, const char *masks)
{
    char *copy = NULL;
    const volt_status st = volt_strdup(&copy, masks);

    if (st != VOLT_OK)
        return st;
    volt_predictor_free(p->first);
    p->first = NULL;
    volt_free(p->previous);
    p->previous = copy;
    return VOLT_OK;
}

volt_status volt_predictor_need_previous(const volt_predictor *p)
{
    const volt_net_set *g = cascade_group(p);

    if (!g || p->previous)
        return VOLT_OK;
    if (*g->recipe.previous_run)
        return volt_fail(
            VOLT_EINVAL,
            "%s refines the masks of %s; the run it learned from, %s, is not there "
            "any more: give one, or a folder of its masks (--previous)",
            g->config->name, g->config->previous_stage, g->recipe.previous_run);
    return volt_fail(VOLT_EINVAL,
                     "%s refines the masks of %s: give a run of it, or a folder of its masks "
                     "(--previous)",
                     g->config->name, g->config->previous_stage);
}

/* ---- voxels in memory ---- */

volt_status volt_predictor_run_first(volt_volume **mask, volt_predictor *p,
                                     const volt_volume *image, const volt_callbacks *cb)
{
    volt_status st = volt_predictor_need_previous(p);

    if (st == VOLT_OK && !p->first)
        return volt_fail(VOLT_EINVAL,
                         "%s holds masks of files; with voxels in memory give the run of the "
                         "previous stage, or its mask (volt_predictor_run_with_prior)",
                         p->previous);
    return st == VOLT_OK ? volt_predictor_run(p->first, image, mask, cb) : st;
}

volt_status volt_predictor_check_mask(const volt_predictor *p, const volt_volume *image,
                                      const volt_volume *mask)
{
    volt_value_range range;

    if (!cascade_group(p))
        return volt_fail(VOLT_EINVAL, "%s refines no masks", p->group[0].path[0]);
    if (mask->grid.channels != 1 ||
        memcmp(mask->grid.n, image->grid.n, sizeof mask->grid.n) != 0)
        return volt_fail(VOLT_EINVAL,
                         "the mask has %d channels of %lld x %lld x %lld voxels (z, y, x), the "
                         "image %lld x %lld x %lld",
                         (int)mask->grid.channels, (long long)mask->grid.n[0],
                         (long long)mask->grid.n[1], (long long)mask->grid.n[2],
                         (long long)image->grid.n[0], (long long)image->grid.n[1],
                         (long long)image->grid.n[2]);
    range = volt_volume_range(mask, p->threads);
    if (range.not_finite > 0 || range.min < 0 || range.max >= p->info.labels)
        return volt_fail(VOLT_EDATA,
                         "the mask has labels from %g to %g; the network has 0 to %d",
                         range.min, range.max, p->info.labels - 1);
    return VOLT_OK;
}
