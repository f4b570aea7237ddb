#include <stdio.h>
#include "apps/cli/cli.h"
#include "base/core/plural.h"
#include "base/system/file.h"
#include "nets3d/import_model.h"
#include "nets3d/run.h"

typedef struct import_options {
    const char *folds, *plans, *dataset, *configuration, *map, *checkpoint;
} import_options;

static const cli_option options[] = {
    {"--folds", 0, CLI_TEXT, offsetof(import_options, folds), "K,K-K|all", NULL, 0, 0,
     "folds of a results folder [all present]"},
    {"--checkpoint", 0, CLI_WORD, offsetof(import_options, checkpoint), "final|best|latest",
     "final", 0, 0, "nnU-Net checkpoint to import"},
    {"--plans", 0, CLI_TEXT, offsetof(import_options, plans), "FILE", NULL, 0, 0,
     "plans.json [next to SRC, else in the checkpoint]"},
    {"--dataset", 0, CLI_TEXT, offsetof(import_options, dataset), "FILE", NULL, 0, 0,
     "dataset.json [next to SRC, else in the checkpoint]"},
    {"--configuration", 'c', CLI_TEXT, offsetof(import_options, configuration), "NAME", NULL, 0,
     0, "configuration of the plan [the checkpoint's]; of a zip, which model"},
    {"--map", 0, CLI_TEXT, offsetof(import_options, map), "FILE", NULL, 0, 0,
     "JSON object {\"VOLT name\": \"SRC name\" or \"=0\"}; * matches one part between dots, ** "
     "the rest"},
};

static volt_status print_result(const cli *c, const volt_model_import_result *r)
{
    if (c->json)
        return cli_print_json(json_pack(
            "{s:o, s:o, s:o, s:i, s:I, s:I, s:I, s:I, s:I}", "run",
            volt_json_string(c->args[1]), "configuration", volt_json_string(r->configuration),
            "trainer", volt_json_string(r->trainer), "folds", r->folds, "parameters",
            (json_int_t)r->parameters, "tensors", (json_int_t)r->taken, "aliases",
            (json_int_t)r->aliases, "filled", (json_int_t)r->filled, "unused",
            (json_int_t)r->unused));
    printf("%s: %s, %d fold%s; %lld parameter%s in %lld tensor%s, %lld duplicate%s merged\n",
           c->args[1], r->configuration, r->folds, volt_s(r->folds), (long long)r->parameters,
           volt_s(r->parameters), (long long)r->taken, volt_s(r->taken), (long long)r->aliases,
           volt_s(r->aliases));
    if (r->filled || r->unused)
        printf("%lld parameter%s set by the map, %lld tensor%s unused\n", (long long)r->filled,
               volt_s(r->filled), (long long)r->unused, volt_s(r->unused));
    printf("volt predict ");
    cli_print_word(c->args[1]);
    printf(" SCANS -o MASKS\n");
    return VOLT_OK;
}

static volt_status run(cli *c)
{
    const import_options *o = c->options;
    volt_model_import_options import = volt_model_import_defaults();
    volt_model_import_result result = {0};
    volt_status st;

    import.folds = o->folds;
    import.checkpoint = o->checkpoint;
    import.plans = o->plans;
    import.dataset = o->dataset;
    import.configuration = o->configuration;
    import.map = o->map;
    st = cli_check_output(c, c->args[1], NULL);
    if (st == VOLT_OK)
        st = cli_check_inputs(c->args, 1);
    if (st == VOLT_OK && volt_path_is_dir(c->args[0]) && volt_is_run(c->args[0]))
        st = volt_fail(VOLT_EINVAL,
                       "%s is a run of VOLT already; use it as it is: volt predict %s SCAN... "
                       "-o OUT",
                       c->args[0], c->args[0]);
    if (st == VOLT_OK)
        st = volt_import_model(c->args[0], c->args[1], &import, &c->callbacks, &result);
    if (st != VOLT_OK)
        return st;
    cli_end_progress(c);
    return print_result(c, &result);
}

const cli_command cmd_import_model = {
    .name = "import model",
    .section = CLI_EXCHANGE,
    .one_line = "import a network trained by nnU-Net or others",
    .args = "SRC RUN",
    .min_args = 2,
    .max_args = 2,
    .about =
        "Writes folder RUN, which volt predict can use directly. SRC is a results folder "
        "of nnU-Net v2 (plans.json, dataset.json, fold_K/checkpoint_final.pth), one of "
        "its fold folders, a single checkpoint, or the zip of nnUNetv2_export_model_to_zip; "
        "or a MONAI bundle of UNet or DynUNet (configs/, models/model.pt), as a folder or "
        "zip. Several folds become RUN/fold_K, an ensemble. Weights of other programs "
        "(torch.save, safetensors) need --plans and "
        "--dataset. For MONAI's UNet and DynUNet, the plan's architecture is the class "
        "with its constructor arguments (docs/plans.md); --map translates parameter names "
        "that differ. Pickles are parsed as data; no code in them is executed.",
    .example = "volt import model nnUNetTrainer__nnUNetPlans__3d_fullres runs/liver\nvolt "
               "predict runs/liver scans/ -o masks\nvolt import model Dataset004.zip "
               "runs/hippocampus -c 3d_fullres\nvolt import "
               "model unet.pt runs/unet "
               "--plans p.json --dataset dataset.json",
    .common = CLI_JSON,
    CLI_OPTIONS(options, import_options),
    .run = run,
};
