#include <stdio.h>
#include "apps/cli.h"
#include "base/core/plural.h"
#include "nets3d/import_model.h"

typedef struct import_options {
    const char *folds, *plans, *dataset, *configuration, *map;
    int checkpoint; /* 0 final, 1 best, 2 latest */
} import_options;

static const cli_option options[] = {
    {"--folds", 0, CLI_TEXT, offsetof(import_options, folds), "K,K-K|all", NULL, 0, 0,
     "folds of a results folder [every one that is there]"},
    {"--checkpoint", 0, CLI_CHOICE, offsetof(import_options, checkpoint), "final|best|latest",
     "final", 0, 0, "which of nnU-Net's checkpoints"},
    {"--plans", 0, CLI_TEXT, offsetof(import_options, plans), "FILE", NULL, 0, 0,
     "plans.json [beside SRC, else in the checkpoint]"},
    {"--dataset", 0, CLI_TEXT, offsetof(import_options, dataset), "FILE", NULL, 0, 0,
     "dataset.json [beside SRC, else in the checkpoint]"},
    {"--configuration", 'c', CLI_TEXT, offsetof(import_options, configuration), "NAME", NULL, 0,
     0, "of the plan [the checkpoint's own]"},
    {"--map", 0, CLI_TEXT, offsetof(import_options, map), "FILE", NULL, 0, 0,
     "JSON object {\"name in VOLT\": \"name in SRC\" or \"=0\"}; * is one part between dots, "
     "** the rest"},
};

static volt_status print_result(const cli *c, const volt_model_import_result *r)
{
    if (c->json)
        return cli_print_json(
            json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I}", "run", c->args[1],
                      "configuration", r->configuration, "trainer", r->trainer, "folds",
                      r->folds, "parameters", (json_int_t)r->parameters, "tensors",
                      (json_int_t)r->taken, "aliases", (json_int_t)r->aliases, "filled",
                      (json_int_t)r->filled, "unused", (json_int_t)r->unused));
    printf("%s: %s, %d fold%s; %lld parameters in %lld tensors, %lld repeated ones kept once\n",
           c->args[1], r->configuration, r->folds, volt_s(r->folds), (long long)r->parameters,
           (long long)r->taken, (long long)r->aliases);
    if (r->filled || r->unused)
        printf("%lld parameters set by the map, %lld tensors left over\n", (long long)r->filled,
               (long long)r->unused);
    printf("volt predict ");
    cli_print_word(c->args[1]);
    printf(" SCANS -o MASKS\n");
    return VOLT_OK;
}

static volt_status run(cli *c)
{
    static const char *const checkpoints[] = {"final", "best", "latest"};
    const import_options *o = c->options;
    const volt_model_import_options import = {.folds = o->folds,
                                              .checkpoint = checkpoints[o->checkpoint],
                                              .plans = o->plans,
                                              .dataset = o->dataset,
                                              .configuration = o->configuration,
                                              .map = o->map};
    volt_model_import_result result = {0};
    volt_status st = volt_import_model(c->args[0], c->args[1], &import, &c->callbacks, &result);

    if (st != VOLT_OK)
        return st;
    cli_end_progress(c);
    return print_result(c, &result);
}

const cli_command cmd_import_model = {
    .name = "import model",
    .one_line = "make a run of a network that nnU-Net or others trained",
    .args = "SRC RUN",
    .min_args = 2,
    .max_args = 2,
    .about =
        "Writes folder RUN, which volt predict uses at once. SRC: a results folder of\n"
        "nnU-Net v2 (plans.json, dataset.json, fold_K/checkpoint_final.pth), one of its\n"
        "fold folders, or one checkpoint. Several folds become RUN/fold_K, an ensemble.\n"
        "Weights of other programs (torch.save, safetensors) need --plans and --dataset.\n"
        "For MONAI's UNet and DynUNet the plan's architecture is the class with the\n"
        "arguments it was made with (docs/plans.md); names that differ from the network's\n"
        "are translated by --map. Pickles are read as data: nothing in them is run.",
    .example = "volt import model nnUNetTrainer__nnUNetPlans__3d_fullres runs/liver\n"
               "volt predict runs/liver scans/ -o masks\n"
               "volt import model unet.pt runs/unet --plans plans.json --dataset dataset.json",
    .common = CLI_JSON,
    CLI_OPTIONS(options, import_options),
    .run = run,
};
