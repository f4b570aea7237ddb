/* Prediction into a folder: one stage of networks or two, and who may write there. */
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/checked.h"
#include "base/core/fail.h"
#include "base/core/options.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/system/owner.h"
#include "io/image/names.h"
#include "io/store/case_key.h"
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

/* Whether this rank does what one of them has to do. */
static bool is_first(const volt_predictor *p)
{
    return !p->spread || p->spread->rank == 0;
}

/* Before any work: what one rank does for all. */
static volt_status prepare(volt_owner **owner, volt_predictor *p, const volt_case_list *cases,
                           const volt_predict_output *o, const volt_callbacks *cb)
{
    volt_status st;

    VOLT_TRY(st, done, volt_predictor_need_prior(p));
    VOLT_TRY(st, done, volt_predict_check_output(o, p->stage, cases));
    VOLT_TRY(st, done, take_faults(o, cases));
    st = volt_predict_own_output(owner, p->stage, p->previous, o->folder, cb);
done:
    return st;
}

static volt_status predict_stages(volt_predictor *p, const volt_case_list *cases,
                                  const volt_predict_output *o, const volt_callbacks *cb,
                                  volt_predict_result *r)
{
    volt_status st;

    if (p->previous)
        return predict_cascade(p, cases, o, cb, r);
    VOLT_TRY(st, done, volt_segmenter_restore_programs(p->stage));
    st = volt_predict_stage(p->stage, p->prior, cases, o, cb, r);
done:
    return st;
}

/* Ranks write the same kinds of files; into one folder, where each writes. */
static volt_status compare_output(const volt_spread *sp, const volt_predict_output *o)
{
    const int32_t kinds[] = {o->regions,       o->probabilities, o->probability_nifti,
                             o->skip_existing, o->label_files,   o->roi != NULL};
    const char *ending = o->ending ? o->ending : "";
    const char *folder = sp->kind == VOLT_SPREAD_CASES ? o->folder : "";
    volt_status st;

    VOLT_TRY(st, done,
             volt_comm_same(sp->comm, "what they write for a case", kinds, sizeof kinds));
    if (o->roi)
        VOLT_TRY(st, done, volt_comm_same(sp->comm, "their region", o->roi, sizeof *o->roi));
    VOLT_TRY(st, done, volt_comm_same(sp->comm, "the format of masks", ending, strlen(ending)));
    st = volt_comm_same(sp->comm, "their output folder", folder, strlen(folder));
done:
    return st;
}

/* Several ranks: what rank 0 prepared concerns all. */
static volt_status prepare_ranks(volt_predictor *p, const volt_case_list *cases,
                                 const volt_predict_output *o, volt_status prepared)
{
    volt_spread *sp = p->spread;
    uint64_t ids = VOLT_KEY_START;
    volt_status st = volt_spread_agree(sp, prepared);

    if (st != VOLT_OK || !sp)
        return st;
    for (int64_t i = 0; i < cases->count; i++)
        volt_key_mix(&ids, cases->item[i].id, strlen(cases->item[i].id) + 1);
    if ((st = volt_comm_same(sp->comm, "their cases", &ids, sizeof ids)) != VOLT_OK)
        return st;
    volt_spread_settle(sp, p->stage, cases->count);
    if ((st = compare_output(sp, o)) != VOLT_OK)
        return st;
    return sp->kind == VOLT_SPREAD_CASES ? volt_spread_deal_cases(sp, p->stage, cases, o)
                                         : VOLT_OK;
}

/* Several ranks: results and failures of all to rank 0. */
static volt_status gather(volt_predictor *p, const volt_case_list *cases,
                          const volt_predict_output *o, volt_predict_result *r)
{
    const volt_spread *sp = p->spread;
    int64_t own = r->cases;
    volt_status st;

    if (!sp)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_spread_gather_result(sp, r));
    if (sp->kind != VOLT_SPREAD_CASES)
        goto done;
    VOLT_TRY(st, done, volt_spread_gather_failures(sp, o->failures, cases));
    /* Otherwise rank 0 has described the folder with its own first case. */
    if (sp->rank == 0 && own == 0 && r->cases > 0)
        st = volt_predict_describe(o, p->stage);
done:
    return st;
}

/* A rank with cases of its own tells the others of its failure; else they know. */
static volt_status fail_together(const volt_predictor *p, volt_status st)
{
    if (st != VOLT_OK && p->spread && p->spread->kind == VOLT_SPREAD_CASES)
        volt_comm_fail(p->spread->comm, st);
    return st;
}

static bool is_cancelled(void *user)
{
    return volt_is_cancelled(user);
}

volt_status volt_predict(volt_predictor *p, const volt_case_list *cases,
                         const volt_predict_output *output, const volt_callbacks *cb,
                         volt_predict_result *result)
{
    volt_callbacks own = volt_spread_callbacks(p->spread, cb);
    volt_predict_output o = volt_predict_output_defaults();
    volt_predict_result r = {0};
    volt_owner *owner = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, output, "volt_predict_output"));
    if (!o.folder || !*o.folder)
        return volt_fail(VOLT_EINVAL, "no output folder is given");
    if (o.ending && !volt_image_holds_masks(o.ending))
        return volt_fail(VOLT_EINVAL, "masks cannot be written as '%s'", o.ending);
    if (p->spread)
        volt_comm_set_cancelled(p->spread->comm, is_cancelled, &own);
    st = is_first(p) ? prepare(&owner, p, cases, &o, &own) : VOLT_OK;
    VOLT_TRY(st, done, prepare_ranks(p, cases, &o, st));
    VOLT_TRY(st, done, fail_together(p, predict_stages(p, cases, &o, &own, &r)));
    VOLT_TRY(st, done, fail_together(p, gather(p, cases, &o, &r)));
    if (is_first(p))
        VOLT_TRY(st, done, volt_predict_note_old(&o, p->stage, &own));
    if (result)
        *result = r;
done:
    if (p->spread)
        volt_comm_set_cancelled(p->spread->comm, NULL, NULL);
    volt_owner_release(&owner);
    if (o.failures)
        volt_predict_failures_sort(o.failures);
    return st;
}
