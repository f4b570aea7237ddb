#include "nets3d/jobs/fit_memory.h"

#include <math.h>
#include <string.h>

#include "base/core/options.h"
#include "base/core/report.h"
#include "base/mem.h"
#include "nets3d/data/loader.h"
#include "nets3d/program/optimizer.h"
#include "nets3d/plan/topology.h"
#include "nets3d/program/precision.h"

#define MIB (1.0 / (1 << 20))

static const double fraction =
    0.85; /* of the memory; the system and cached files need the rest */
enum { LOADER_RING = 2, LOADER_THREADS = 2 };

static size_t loader_bytes(const volt_plan *plan, const volt_plan_config *c)
{
    volt_loader_options o = {.classes = plan->classes,
                             .ignore = VOLT_NO_IGNORE_LABEL,
                             .batch = c->batch,
                             .slices = c->slices,
                             .whole = c->whole,
                             .rules = volt_augment_rules_nnunet(c->patch, plan->channels),
                             .threads = LOADER_THREADS,
                             .ring = LOADER_RING};

    o.rules.prior_labels = c->previous_stage ? plan->classes - 1 : 0;
    return volt_loader_bytes(&o);
}

volt_status volt_plan_training_bytes(size_t *out, const volt_plan *plan,
                                     const volt_plan_config *config,
                                     const volt_plan_memory_options *options)
{
    volt_program_options po = volt_program_defaults();
    volt_precision_query query = {.net = &config->net,
                                  .batch = config->batch,
                                  .mode = VOLT_TRAIN,
                                  .threads = options->threads};
    volt_program_memory m;
    volt_device *device = NULL;
    volt_graph *graph = NULL;
    volt_program *program = NULL;
    size_t parameters;
    volt_status st;

    po.n = config->batch;
    po.mode = VOLT_TRAIN;
    po.threads = options->threads;
    memcpy(po.extent, config->patch, sizeof po.extent);
    memcpy(query.patch, config->patch, sizeof query.patch);
    VOLT_TRY(st, done, volt_device_open(&device, options->device ? options->device : "cpu"));
    query.device = device;
    VOLT_TRY(
        st, done,
        volt_precision_choose(&po.precision, options->precision, &query, options->callbacks));
    VOLT_TRY(st, done, volt_network_build(&graph, &config->net, true));
    VOLT_TRY(st, done, volt_program_create(&program, graph, device, &po));
    volt_program_memory_of(program, &m);
    parameters = (size_t)volt_graph_param_elements(graph) * sizeof(float);
    *out = m.total + parameters +
           volt_optimizer_bytes(VOLT_SGD, volt_graph_learned_elements(graph)) +
           loader_bytes(plan, config);
done:
    volt_program_free(program);
    volt_graph_free(graph);
    volt_device_close(device);
    return st;
}

/* One search. */
typedef struct search {
    const volt_fingerprint *fp;
    const volt_dataset_info *info;
    volt_planner_options planner;
    const volt_plan_memory_options *options;
    size_t limit;
} search;

/* Whether all configurations of a plan with target `gb` fit. *most: bytes of the largest;
 * *voxels: patches times batches, to notice whether the plan has changed. */
static volt_status try_target(bool *fits, size_t *most, double *voxels, search *s, double gb)
{
    volt_plan *plan = NULL;
    size_t bytes;
    volt_status st;

    s->planner.memory_gb = gb;
    *most = 0;
    *voxels = 0;
    *fits = false;
    st = volt_plan_make(&plan, s->fp, s->info, &s->planner);
    if (st == VOLT_ENOTSUP) /* too small a target for any patch */
        return VOLT_OK;
    if (st != VOLT_OK)
        return st;
    for (int i = 0; i < plan->configs; i++) {
        const volt_plan_config *c = &plan->config[i];
        VOLT_TRY(st, done, volt_check_cancelled(s->options->callbacks));
        VOLT_TRY(st, done, volt_plan_training_bytes(&bytes, plan, c, s->options));
        *most = bytes > *most ? bytes : *most;
        *voxels +=
            (double)c->batch * (double)c->patch[0] * (double)c->patch[1] * (double)c->patch[2];
    }
    *fits = *most <= s->limit;
done:
    volt_plan_free(plan);
    return st;
}

volt_status volt_plan_memory_fit(double *gb, const volt_fingerprint *fp,
                                 const volt_dataset_info *info,
                                 const volt_planner_options *planner,
                                 const volt_plan_memory_options *options)
{
    search s = {.fp = fp,
                .info = info,
                .planner = volt_planner_defaults(),
                .options = options,
                .limit = options->limit ? options->limit
                                        : (size_t)(fraction * (double)volt_mem_machine())};
    const volt_planner_rules *rules;
    double low = 0, high = 0, at, voxels, before = 0;
    size_t most, kept = 0;
    bool fits;
    volt_status st;

    VOLT_TRY(st, done,
             volt_options_take(&s.planner, sizeof s.planner, planner, "volt_planner_options"));
    rules = volt_planner_rules_of(s.planner.planner);
    if (!rules)
        return volt_fail(VOLT_EINVAL, "there is no planner %d", (int)s.planner.planner);
    for (at = rules->memory_gb; high == 0 || low == 0; at = high > 0 ? at / 2 : at * 2) {
        if (at < rules->memory_gb / 64)
            return volt_fail(VOLT_ENOMEM,
                             "no patch that nnU-Net would choose can be trained in %.0f MiB",
                             (double)s.limit * MIB);
        VOLT_TRY(st, done, try_target(&fits, &most, &voxels, &s, at));
        if (!fits) {
            high = at;
        } else {
            low = at;
            kept = most;
            if (high == 0 && voxels == before) /* a larger target changes nothing */
                break;
            before = voxels;
        }
    }
    while (high > 0 && high / low > 1.03) {
        at = sqrt(low * high);
        VOLT_TRY(st, done, try_target(&fits, &most, &voxels, &s, at));
        if (fits) {
            low = at;
            kept = most;
        } else {
            high = at;
        }
    }
    *gb = low;
    volt_report(options->callbacks, VOLT_LOG_INFO,
                "memory: a target of %.4g GB is the largest that fits: training takes %.0f MiB "
                "of %.0f",
                low, (double)kept * MIB, (double)s.limit * MIB);
done:
    return st;
}
