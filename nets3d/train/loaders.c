/* What a run feeds its network with. */
#include "base/threads.h"
#include "nets3d/train/session.h"

#define TRAIN_RING      2
#define VALIDATION_RING 1

volt_loader_options volt_session_loader_options(const volt_session *s, bool validation)
{
    const volt_plan_config *c = s->data->config;
    const volt_recipe *r = &s->recipe.recipe;
    const int channels = s->data->info->channels;
    const int priors = s->data->prior_masks ? s->data->plan->classes - 1 : 0;
    const volt_train_options *asked = s->options;
    volt_loader_options o = {.store = s->data->store,
                             .names = validation ? s->data->validate : s->data->train,
                             .cases =
                                 validation ? s->data->validate_count : s->data->train_count,
                             .classes = s->targets.labels,
                             .ignore = s->targets.ignore,
                             .regions = s->targets.regions,
                             .region_count = s->targets.regions ? s->targets.outputs : 0,
                             .prior_masks = s->data->prior_masks,
                             .batch = r->batch,
                             .sample = s->ranks.first,
                             .samples = s->ranks.count,
                             .parts = r->accumulate,
                             .slices = c->slices,
                             .whole = c->whole,
                             .foreground = r->foreground,
                             .seed = s->recipe.seed,
                             .validation = validation,
                             .threads = asked->loader_threads != VOLT_LOADER_THREADS_NONE,
                             .ring = validation ? VALIDATION_RING : TRAIN_RING,
                             .device = s->device};

    o.first = validation ? s->state.epoch * s->state.validation_iterations : s->state.iteration;
    if (validation) {
        o.rules = volt_augment_rules_none(c->patch, channels);
        o.rules.prior_labels = priors;
        return o;
    }
    o.rules = r->augment ? volt_augment_rules_nnunet(c->patch, channels)
                         : volt_augment_rules_none(c->patch, channels);
    o.rules.prior_labels = priors;
    for (int a = 0; a < 3; a++)
        o.rules.p_mirror[a] = r->mirror[a] && c->patch[a] > 1 ? 0.5 : 0;
    for (int i = 0; i < channels; i++)
        o.rules.zero_outside[i] = c->use_mask_for_norm[i];
    if (asked->loader_threads > 0)
        o.threads = asked->loader_threads;
    else if (asked->loader_threads == 0 &&
             volt_default_threads() > 2 * (s->ranks.size > 1 ? s->recipe.threads : 1))
        o.threads = 2;
    return o;
}

volt_status volt_session_open_loaders(volt_session *s)
{
    const volt_mesh *mesh = s->ranks.mesh;
    volt_feed_options o = {.box = s->box};
    volt_status st;

    if (mesh)
        o.group = mesh->size[VOLT_MESH_STAGE] > 1 ? mesh->stage : mesh->space;
    volt_session_close_loaders(s);
    o.loader = volt_session_loader_options(s, false);
    VOLT_TRY(st, done, volt_feed_open(&s->train, &o));
    o.loader = volt_session_loader_options(s, true);
    if (s->state.validation_iterations > 0)
        VOLT_TRY(st, done, volt_feed_open(&s->validation, &o));
done:
    return st;
}

void volt_session_close_loaders(volt_session *s)
{
    volt_feed_close(s->validation);
    volt_feed_close(s->train);
    s->train = s->validation = NULL;
}
