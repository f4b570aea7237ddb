/* Prediction into a folder: one stage of networks or two, and who may write there. */
#include <stdio.h>

#include "base/core/alloc.h"
#include "base/core/checked.h"
#include "base/core/fail.h"
#include "base/core/options.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/system/owner.h"
#include "io/image/names.h"
#include "nets3d/predict/failures.h"
#include "nets3d/predict/predictor_internal.h"
#include "nets3d/predict/stage.h"
#include "nets3d/predict/write.h"

/* Both stages of a cascade. Only the stage that works has programs. */
static volt_status predict_cascade(volt_predictor *p, const volt_case_list *cases,
                                   const volt_predict_output *output, const volt_callbacks *cb,
                                   volt_predict_result *result)
{
    volt_predict_output first = volt_predict_output_defaults();
    volt_predict_result r = {0};
    char *masks = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&masks, output->folder, "previous_stage"));
    first.folder = masks;
    first.skip_existing = output->skip_existing;
    first.failures = output->failures; /* the second stage leaves these cases out, too */
    volt_segmenter_release_programs(p->stage);
    volt_report(cb, VOLT_LOG_INFO, "previous stage: masks by %s into %s", p->prior, masks);
    VOLT_TRY(st, done, volt_segmenter_restore_programs(p->previous));
    VOLT_TRY(st, done, volt_predict_stage(p->previous, NULL, cases, &first, cb, &r));
    volt_segmenter_release_programs(p->previous);
    VOLT_TRY(st, done, volt_segmenter_restore_programs(p->stage));
    VOLT_TRY(st, done, volt_predict_stage(p->stage, masks, cases, output, cb, result));
    result->seconds += r.seconds;
    result->network_s += r.network_s;
    result->read_wait_s += r.read_wait_s;
    result->announced_bytes = volt_max_size(result->announced_bytes, r.announced_bytes);
    result->peak_bytes = volt_max_size(result->peak_bytes, r.peak_bytes);
done:
    volt_free(masks);
    return st;
}

void volt_predict_output_init(volt_predict_output *o, size_t size)
{
    const volt_predict_output defaults = {.folder = NULL};

    volt_options_init(o, size, &defaults, sizeof defaults);
}

/* Cases that volt_inputs_list_all could not put together. */
static volt_status take_faults(const volt_predict_output *o, const volt_case_list *cases)
{
    volt_status st = VOLT_OK;

    for (int64_t i = 0; i < cases->count && st == VOLT_OK; i++) {
        const volt_case *c = &cases->item[i];
        if (!c->fault)
            continue;
        st = volt_fail(c->fault_status, "%s", c->fault);
        if (!o->failures)
            break;
        st = volt_predict_failures_add(o->failures, c->id, st);
    }
    return st;
}

volt_status volt_predict(volt_predictor *p, const volt_case_list *cases,
                         const volt_predict_output *output, const volt_callbacks *cb,
                         volt_predict_result *result)
{
    volt_predict_output o = volt_predict_output_defaults();
    volt_predict_result r = {0};
    volt_owner *owner = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, output, "volt_predict_output"));
    if (!o.folder || !*o.folder)
        return volt_fail(VOLT_EINVAL, "no output folder is given");
    if (o.ending && !volt_image_holds_masks(o.ending))
        return volt_fail(VOLT_EINVAL, "masks cannot be written as '%s'", o.ending);
    VOLT_TRY(st, done, volt_predictor_need_prior(p));
    VOLT_TRY(st, done, volt_predict_check_output(&o, p->stage, cases));
    VOLT_TRY(st, done, take_faults(&o, cases));
    VOLT_TRY(st, done, volt_predict_own_output(&owner, p->stage, p->previous, o.folder, cb));
    if (p->previous) {
        VOLT_TRY(st, done, predict_cascade(p, cases, &o, cb, &r));
    } else {
        VOLT_TRY(st, done, volt_segmenter_restore_programs(p->stage));
        VOLT_TRY(st, done, volt_predict_stage(p->stage, p->prior, cases, &o, cb, &r));
    }
    VOLT_TRY(st, done, volt_predict_note_old(&o, p->stage, cb));
    if (result)
        *result = r;
done:
    volt_owner_release(&owner);
    if (o.failures)
        volt_predict_failures_sort(o.failures);
    return st;
}
