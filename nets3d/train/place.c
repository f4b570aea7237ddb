/* Where a run is trained: device, threads, precision, and which ranks do what. */
#include <stdio.h>
#include <string.h>

#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/threads.h"
#include "base/core/available.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/mesh_plan.h"
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

/* ---- the mesh ---- */

#define SHOWN 8 /* meshes in the log */

static const volt_link network = {30e-6, 1.25e9}; /* of hosts: Ethernet of 10 Gbit/s */

static volt_mesh_plan_options describe_training(const volt_session *s)
{
    volt_mesh_plan_options o = volt_mesh_plan_defaults();

    o.ranks = s->ranks.size;
    memcpy(o.patch, s->data->config->patch, sizeof o.patch);
    o.batch = s->recipe.recipe.batch;
    o.recipe = &s->recipe.recipe;
    o.data = s->data;
    o.precision = s->recipe.precision;
    o.device = s->options->device;
    o.threads = s->recipe.threads;
    o.loader_threads = s->options->loader_threads;
    if (s->ranks.on_host < s->ranks.size) {
        o.links.host_ranks = s->ranks.on_host;
        o.links.far = network;
    }
    return o;
}

/* What each rank of this host may use. The memory that is left when it is checked will be a
 * little less, and a rank to which more of the gathered levels is dealt out needs a little
 * more than the table says. */
static size_t memory_of_rank(const volt_session *s)
{
    const size_t all = volt_mem_available();

    return (all - all / 64) / (size_t)s->ranks.on_host;
}

/* Why none of the plan's meshes will do. */
static volt_status refuse_all(const volt_mesh_plan *plan, const volt_mesh_plan_options *o)
{
    const volt_mesh_row *least = NULL;
    char needed[VOLT_MEM_WORDS], there[VOLT_MEM_WORDS], mesh[VOLT_MESH_TEXT];

    for (int i = 0; i < plan->rows; i++) {
        if (!plan->row[i].why && (!least || plan->row[i].memory.total < least->memory.total))
            least = &plan->row[i];
    }
    if (!least)
        return volt_fail(VOLT_EINVAL,
                         "%d ranks cannot share a batch of %lld sample%s of %lld x %lld x %lld "
                         "voxels; %d can",
                         plan->ranks, (long long)o->batch, volt_s(o->batch),
                         (long long)o->patch[0], (long long)o->patch[1], (long long)o->patch[2],
                         plan->nearest);
    return volt_fail(
        VOLT_ENOMEM,
        "no mesh of %d ranks fits: %s needs least memory, %s for each, but only %s "
        "is available",
        plan->ranks, volt_mesh_text(mesh, least->size),
        volt_mem_words(needed, least->memory.total), volt_mem_words(there, o->memory));
}

static void report_plan(const volt_session *s, const volt_mesh_plan *plan)
{
    char mesh[VOLT_MESH_TEXT];

    for (int i = 0; i < plan->rows && i < SHOWN; i++) {
        const volt_mesh_row *row = &plan->row[i];
        if (!row->why)
            volt_report(s->cb, VOLT_LOG_INFO,
                        "mesh %-16s %7.0f MiB each, %6.1f MiB of messages, %.3g s a step%s",
                        volt_mesh_text(mesh, row->size), (double)row->memory.total / (1 << 20),
                        (double)volt_mesh_row_sent(row).bytes / (1 << 20), row->step_s,
                        i == plan->best ? " (chosen)"
                        : row->fits     ? ""
                                        : " (does not fit)");
    }
}

/* "auto": the mesh that should be fastest of those that fit into `memory` bytes. */
static volt_status find_mesh(const volt_session *s, size_t memory, char mesh[VOLT_MESH_TEXT])
{
    volt_mesh_plan_options o = describe_training(s);
    volt_mesh_plan *plan = NULL;
    volt_status st;

    o.memory = memory;

    VOLT_TRY(st, done, volt_mesh_choose(&plan, &s->data->config->net, &o));
    if (plan->best < 0) {
        st = refuse_all(plan, &o);
        goto done;
    }
    report_plan(s, plan);
    volt_mesh_text(mesh, plan->row[plan->best].size);
done:
    volt_mesh_plan_free(plan);
    return st;
}

/* How the ranks share a batch. */
static volt_status choose_mesh(volt_session *s)
{
    volt_train_ranks *r = &s->ranks;
    const char *asked = s->options->mesh;
    char mesh[VOLT_MESH_TEXT] = "";
    size_t memory;
    volt_status st = VOLT_OK;

    if (r->comm && asked && strcmp(asked, VOLT_MESH_AUTO) == 0) {
        VOLT_TRY(st, done, volt_train_ranks_least(r, &memory, memory_of_rank(s)));
        if (volt_train_ranks_lead(r)) {
            st = find_mesh(s, memory, mesh);
            volt_mem_scope_leave(&s->scope); /* the search's peak is not the training's */
            volt_mem_scope_enter(&s->scope);
        }
        VOLT_TRY(st, done, volt_train_ranks_follow(r, st));
        VOLT_TRY(st, done, volt_train_ranks_share(r, mesh, sizeof mesh));
        asked = mesh;
    }
    st = volt_train_ranks_plan(r, asked, s->recipe.recipe.batch);
    VOLT_TRY(st, done, volt_train_ranks_follow(r, st));
    if (!r->comm && asked && strcmp(asked, VOLT_MESH_AUTO) == 0)
        return VOLT_OK; /* a check: it takes too long to find the mesh twice */
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
