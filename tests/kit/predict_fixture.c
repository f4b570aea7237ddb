#include "base/core/alloc.h"
#include "tests/kit/predict_fixture.h"

void write_model(const char *path, const volt_plan *plan, const volt_dataset_info *info,
                 const volt_graph *g, const float *weights)
{
    volt_train_recipe recipe = {.recipe = volt_recipe_nnunet(), .precision = VOLT_FP32};
    volt_train_state state;
    volt_checkpoint_head head = {0};

    recipe.recipe.batch = 2;
    recipe.threads = 1;
    strcpy(recipe.configuration, "3d_fullres");
    strcpy(recipe.device, "reference");
    state = volt_train_state_first(&recipe.recipe);
    assert_ok(volt_plan_text(&head.plan, plan));
    assert_ok(volt_dataset_info_text(&head.dataset, info));
    assert_ok(volt_train_recipe_text(&head.recipe, &recipe));
    assert_ok(volt_train_state_text(&head.state, &state));
    assert_ok(volt_checkpoint_write(path, &head, g, weights, NULL));
    volt_checkpoint_head_free(&head);
}

void write_seeded_run(const char *run, const char *plan_text, const volt_dataset_info *info,
                      uint64_t seed)
{
    const volt_plan_config *config;
    volt_plan *plan = NULL;
    volt_graph *g = NULL;
    float *weights;
    char *path = NULL;

    assert_ok(volt_plan_parse(&plan, plan_text, strlen(plan_text), "plans.json", info));
    assert_ok(volt_plan_find(&config, plan, "3d_fullres"));
    assert_ok(volt_network_build(&g, &config->net, false));
    assert_ok(
        volt_alloc(&weights, (size_t)volt_graph_param_elements(g) * sizeof *weights, "a test"));
    volt_init_parameters(weights, g, seed);
    remove_folder(run);
    assert_ok(volt_make_dirs(run));
    assert_ok(volt_format(&path, "%s/checkpoint_latest.safetensors", run));
    write_model(path, plan, info, g, weights);
    volt_free(path);
    volt_free(weights);
    volt_graph_free(g);
    volt_plan_free(plan);
}

void write_random_run(const char *run, const char *plan_text, const volt_dataset_info *info)
{
    write_seeded_run(run, plan_text, info, 3);
}
