#include "nets3d/jobs/pipeline_masks.h"

#include "base/mem.h"
#include "base/system/file.h"
#include "io/workspace.h"
#include "nets3d/jobs/prior_masks.h"
#include "nets3d/program/precision.h"
#include "nets3d/run.h"

volt_status volt_pipeline_find_masks(volt_pipeline *p, const volt_pipeline_options *o)
{
    volt_status st;

    if (!o->previous_stage)
        return volt_fail(VOLT_EINVAL,
                         "configuration %s refines the masks of %s: a run of %s or a folder of "
                         "its masks is needed",
                         p->config->name, p->config->previous_stage, p->config->previous_stage);
    VOLT_TRY(st, done, volt_prior_masks_folder(&p->prior_masks, p->work, p->config));
    if (volt_is_run(o->previous_stage))
        st = volt_path_real(&p->previous_run, o->previous_stage);
    else if (!volt_path_is_dir(o->previous_stage))
        st =
            volt_fail(VOLT_EIO, "%s is neither a run nor a folder of masks", o->previous_stage);
done:
    return st;
}

/* The prior masks that a cascade's second network is trained on, or the part of them that is a
 * rank's. */
static volt_status make_prior_masks(int64_t *created, const volt_pipeline *p,
                                    const volt_cascade_options *options,
                                    const volt_pipeline_options *o)
{
    char *splits = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&splits, p->work, VOLT_WORK_SPLITS));
    st = p->previous_run
             ? volt_prior_masks_segment(created, p->prior_masks, o->previous_stage, splits,
                                        p->dataset, p->config, options)
             : volt_prior_masks_preprocess(p->prior_masks, o->previous_stage, p->cases,
                                           p->dataset, p->plan, p->config, options);
done:
    volt_free(splits);
    return st;
}

static volt_cascade_options prior_options(const volt_pipeline_options *o)
{
    volt_cascade_options options = volt_cascade_defaults();

    options.precision = o->precision;
    options.threads = o->threads;
    options.overwrite = o->overwrite;
    options.callbacks = o->callbacks;
    return options;
}

/* What rank 0 tells of them: whether there are any, and in which precision. */
typedef struct prior_note {
    int32_t wanted, precision;
} prior_note;

/* This rank's part of the prior masks; *created: by all ranks together. `with`: it has rank 0's
 * plan and, so far as they are its own, preprocessed cases. */
static volt_status make_part(int64_t *created, const volt_pipeline *p, const prior_note *note,
                             bool with, const volt_pipeline_options *o)
{
    volt_cascade_options options = prior_options(o);
    double sum = 0;
    volt_status st = VOLT_OK;

    *created = 0;
    options.precision = (volt_precision)note->precision;
    options.comm = o->comm;
    if (with)
        VOLT_TRY(st, done, make_prior_masks(created, p, &options, o));
    sum = (double)*created;
    VOLT_TRY(st, done, volt_comm_sum_f64(o->comm, &sum, 1));
    *created = (int64_t)sum;
done:
    return st;
}

/* Rank 0. All others are told, even if there are none to make. */
static volt_status share_prior_masks(int64_t *created, const volt_pipeline *p,
                                     const volt_pipeline_options *o)
{
    const volt_cascade_options options = prior_options(o);
    prior_note note = {.wanted = p->config->previous_stage != NULL,
                       .precision = (int32_t)o->precision};
    volt_precision precision = o->precision;
    char *splits = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&splits, p->work, VOLT_WORK_SPLITS));
    if (note.wanted && p->previous_run)
        VOLT_TRY(st, done,
                 volt_prior_masks_prepare(&precision, o->previous_stage, splits, p->dataset,
                                          p->config, &options));
    note.precision = (int32_t)precision;
    VOLT_TRY(st, done, volt_comm_broadcast(o->comm, &note, sizeof note, 0));
    if (note.wanted)
        st = make_part(created, p, &note, true, o);
done:
    volt_free(splits);
    return st;
}

/* Whether this host computes in the precision that rank 0 has chosen. */
static volt_status can_compute(bool *out, volt_precision precision)
{
    volt_device *device = NULL;
    const volt_status st = volt_device_open(&device, "cpu");

    *out = st == VOLT_OK && volt_precision_check(device, precision) == VOLT_OK;
    volt_device_close(device);
    return st;
}

volt_status volt_pipeline_help_with_masks(volt_pipeline *p, bool with,
                                          const volt_pipeline_options *o)
{
    prior_note note = {0};
    int64_t created;
    volt_status st;

    VOLT_TRY(st, done, volt_comm_broadcast(o->comm, &note, sizeof note, 0));
    if (!note.wanted)
        return VOLT_OK;
    if (with)
        VOLT_TRY(st, done, volt_pipeline_find_masks(p, o));
    if (with && p->previous_run && o->precision == VOLT_PRECISION_AUTO)
        VOLT_TRY(st, done, can_compute(&with, (volt_precision)note.precision));
    st = make_part(&created, p, &note, with, o);
done:
    return st;
}

volt_status volt_pipeline_add_masks(volt_pipeline *p, const volt_pipeline_options *o)
{
    volt_cascade_options options = prior_options(o);
    const bool alone = volt_comm_size(o->comm) == 1;
    int64_t created = 0;
    volt_status st = VOLT_OK;

    options.overwrite = o->overwrite && alone;
    if (p->previous_run)
        volt_prior_masks_announce(p->prior_masks, o->previous_stage, p->config, o->callbacks);
    if (!alone)
        VOLT_TRY(st, done, share_prior_masks(&created, p, o));
    if (p->config->previous_stage)
        st = make_prior_masks(&created, p, &options, o);
done:
    return st;
}
