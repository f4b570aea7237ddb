/* What a run feeds its network with. */
#include "nets3d/train/session.h"

volt_train_setting volt_session_setting(const volt_session *s)
{
    const volt_plan_config *c = s->data->config;

    return (volt_train_setting){.recipe = &s->recipe.recipe,
                                .precision = s->recipe.precision,
                                .seed = s->recipe.seed,
                                .device = s->device,
                                .ranks = s->ranks.size,
                                .threads = s->recipe.threads,
                                .patch = {c->patch[0], c->patch[1], c->patch[2]},
                                .plan = s->data->plan,
                                .config = c,
                                .info = s->data->info,
                                .targets = &s->targets,
                                .loader_threads = s->options->loader_threads,
                                .validates = s->data->validate_count > 0};
}

volt_loader_options volt_session_loader_options(const volt_session *s, bool validation)
{
    const volt_train_setting setting = volt_session_setting(s);
    volt_loader_options o = volt_setting_loader(&setting, validation);

    o.store = s->data->store;
    o.names = validation ? s->data->validate : s->data->train;
    o.cases = validation ? s->data->validate_count : s->data->train_count;
    o.prior_masks = s->data->prior_masks;
    o.sample = s->ranks.first;
    o.samples = s->ranks.count;
    o.first = validation ? s->state.epoch * s->state.validation_iterations : s->state.iteration;
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
