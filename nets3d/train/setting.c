#include "nets3d/train/setting.h"

#include <string.h>

#include "base/threads.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/program/optimizer.h"
#include "nets3d/train/feed.h"

#define TRAIN_RING      2
#define VALIDATION_RING 1
#define SMALL_BYTES     ((size_t)1 << 20) /* all that is not listed */

bool volt_setting_batch_dice(const volt_train_setting *t)
{
    const volt_batch_dice asked = t->recipe->batch_dice;

    return asked == VOLT_BATCH_DICE_PLAN ? t->config && t->config->batch_dice
                                         : asked == VOLT_BATCH_DICE_ON;
}

volt_status volt_setting_graph(volt_graph **out, const volt_train_setting *t,
                               const volt_network *net)
{
    volt_network copy = {.model = NULL};
    volt_status st;

    VOLT_TRY(st, done, volt_network_copy(&copy, net));
    if (t->recipe->dropout != VOLT_DROPOUT_PLAN)
        volt_network_set_dropout(&copy, t->recipe->dropout);
    st = volt_network_build(out, &copy, t->recipe->deep_supervision);
done:
    volt_network_clear(&copy);
    return st;
}

volt_program_options volt_setting_program(const volt_train_setting *t)
{
    volt_program_options o = volt_program_defaults();

    o.precision = t->precision;
    o.mode = VOLT_TRAIN;
    o.threads = t->threads;
    o.seed = t->seed;
    o.accumulate = t->recipe->accumulate > 1;
    o.keep_forms = t->device->keeps_forms;
    memcpy(o.extent, t->patch, sizeof o.extent);
    return o;
}

/* Threads that make the batches of training. */
static int loader_threads(const volt_train_setting *t)
{
    const int busy = t->ranks > 1 ? t->threads : 1;

    if (t->loader_threads > 0)
        return t->loader_threads;
    if (t->loader_threads == VOLT_LOADER_THREADS_NONE)
        return 0;
    return volt_default_threads() > 2 * busy ? 2 : 1;
}

volt_loader_options volt_setting_loader(const volt_train_setting *t, bool validation)
{
    const volt_plan_config *c = t->config;
    const volt_recipe *r = t->recipe;
    const int channels = t->info->channels;
    const bool augment = r->augment && !validation;
    volt_loader_options o = {.classes = t->targets->labels,
                             .ignore = t->targets->ignore,
                             .regions = t->targets->regions,
                             .region_count = t->targets->regions ? t->targets->outputs : 0,
                             .batch = r->batch,
                             .parts = r->accumulate,
                             .slices = c->slices,
                             .whole = c->whole,
                             .foreground = r->foreground,
                             .seed = t->seed,
                             .validation = validation,
                             .threads = loader_threads(t),
                             .ring = validation ? VALIDATION_RING : TRAIN_RING,
                             .device = t->device};

    o.rules = augment ? volt_augment_rules_nnunet(c->patch, channels)
                      : volt_augment_rules_none(c->patch, channels);
    o.rules.prior_labels = c->previous_stage ? t->plan->classes - 1 : 0;
    if (validation) {
        o.threads = o.threads > 0 ? 1 : 0;
        return o;
    }
    for (int a = 0; a < 3; a++)
        o.rules.p_mirror[a] = r->mirror[a] && c->patch[a] > 1 ? 0.5 : 0;
    for (int i = 0; i < channels; i++)
        o.rules.zero_outside[i] = c->use_mask_for_norm[i];
    return o;
}

static size_t loader_bytes(const volt_train_setting *t, bool validation, int64_t samples,
                           int parts, volt_box most)
{
    volt_loader_options o = volt_setting_loader(t, validation);

    o.samples = samples;
    return volt_feed_bytes(&o, parts, most);
}

volt_train_memory volt_setting_memory(const volt_train_setting *t, const volt_graph *graph,
                                      const volt_program_memory *pm, int64_t samples, int parts,
                                      volt_box most)
{
    const size_t parameters = (size_t)volt_graph_param_elements(graph) * sizeof(float);
    volt_train_memory m = {.program = pm->total,
                           .optimizer = volt_optimizer_bytes(
                               t->recipe->optimizer.kind, volt_graph_learned_elements(graph))};

    if (t->config)
        m.loader = loader_bytes(t, false, samples, parts, most);
    if (t->config && t->validates)
        m.loader += loader_bytes(t, true, samples, parts, most);
    m.other =
        parameters + (t->device->host_memory ? 0 : m.optimizer) + pm->messages + SMALL_BYTES;
    m.total = m.program + m.optimizer + m.loader + m.other;
    return m;
}
