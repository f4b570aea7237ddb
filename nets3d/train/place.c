/* Where a run is trained: device, threads, precision, and which ranks do what. */
#include <stdio.h>
#include <string.h>

#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/threads.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/program/precision.h"
#include "nets3d/train/session.h"
#include "parallel/comm.h"

/* What was asked for, if every rank's host can; "auto" is what rank 0 finds faster. */
static volt_status choose_precision(volt_session *s)
{
    volt_precision *precision = &s->recipe.precision;
    volt_precision_query query = {.device = s->device,
                                  .net = &s->data->config->net,
                                  .batch = s->recipe.recipe.batch,
                                  .mode = VOLT_TRAIN,
                                  .threads = s->recipe.threads,
                                  .cache = s->options->cache};
    bool lacking;
    volt_status st;

    if (*precision != VOLT_PRECISION_AUTO)
        return volt_train_ranks_agree(&s->ranks, volt_precision_check(s->device, *precision));
    memcpy(query.patch, s->data->config->patch, sizeof query.patch);
    lacking = !s->device->supports(s->device, VOLT_BF16_MIXED);
    VOLT_TRY(st, done, volt_train_ranks_any(&s->ranks, &lacking, lacking));
    if (lacking)
        *precision = VOLT_FP32;
    else if (volt_train_ranks_lead(&s->ranks))
        st = volt_precision_choose(precision, *precision, &query, s->cb);
    VOLT_TRY(st, done, volt_train_ranks_follow(&s->ranks, st));
    st = volt_train_ranks_share(&s->ranks, precision, sizeof *precision);
done:
    return st;
}

static volt_status choose_device(volt_session *s)
{
    const volt_train_options *o = s->options;
    char name[sizeof s->recipe.device];
    int threads = o->threads;
    volt_status st = volt_device_open(&s->device, o->device ? o->device : "cpu");

    VOLT_TRY(st, done, volt_train_ranks_agree(&s->ranks, st));
    VOLT_TRY(st, done, volt_train_ranks_compare_hosts(&s->ranks, &threads, s->device));
    threads = volt_threads_or_default(threads);
    volt_device_words(name, sizeof name, s->device);
    if (s->resumed && s->recipe.threads != threads)
        volt_report(s->cb, VOLT_LOG_WARNING,
                    "the run continues with another number of threads (%d, before %d): the "
                    "last bits of the result may differ",
                    threads, s->recipe.threads);
    if (s->resumed && strcmp(s->recipe.device, name) != 0)
        volt_report(
            s->cb, VOLT_LOG_WARNING,
            "the run was started on device %s and continues on %s: the last bits of the "
            "result may differ",
            s->recipe.device, name);
    s->recipe.threads = threads;
    snprintf(s->recipe.device, sizeof s->recipe.device, "%s", name);
    st = choose_precision(s);
done:
    return st;
}

/* How the ranks share a batch. */
static volt_status choose_mesh(volt_session *s)
{
    volt_train_ranks *r = &s->ranks;
    char mesh[VOLT_MESH_TEXT];
    volt_status st = volt_train_ranks_plan(r, s->options->mesh, s->recipe.recipe.batch);

    VOLT_TRY(st, done, volt_train_ranks_follow(r, st));
    VOLT_TRY(st, done, volt_train_ranks_open_mesh(r));
    if (r->comm)
        volt_report(s->cb, VOLT_LOG_INFO, "%d ranks (%s), mesh %s, %d thread%s each", r->size,
                    volt_comm_library(r->comm), volt_mesh_text(mesh, r->axes),
                    s->recipe.threads, volt_s(s->recipe.threads));
done:
    return st;
}

volt_status volt_session_place(volt_session *s)
{
    const volt_status st = choose_device(s);

    return st == VOLT_OK ? choose_mesh(s) : st;
}
