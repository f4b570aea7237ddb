#include <stdio.h>
#include "apps/cli/cli.h"
#include "base/core/plural.h"
#include "nets3d/export_model.h"

typedef struct export_options {
    const char *output, *checkpoint;
    int format; /* -1 not given */
} export_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(export_options, output), "OUT", NULL, 0, 0,
     "folder (nnunet) or file to write (required)"},
    {"--format", 0, CLI_CHOICE, offsetof(export_options, format), "nnunet|safetensors|onnx",
     NULL, 0, 0, "nnunet: a results folder; onnx: opset 17, dynamic batch size (required)"},
    {"--checkpoint", 0, CLI_WORD, offsetof(export_options, checkpoint), "latest|best", NULL, 0,
     0, "checkpoint to export [latest of a finished run, else best]"},
};

static volt_status run(cli *c)
{
    const export_options *o = c->options;
    volt_model_export_options export = volt_model_export_defaults();
    volt_model_export_result r = {0};
    static const char *const endings[] = {NULL, "safetensors", "onnx"}; /* of the formats */
    volt_status st;

    if (o->format < 0)
        return volt_fail(VOLT_EINVAL,
                         "volt export model needs --format nnunet, safetensors or onnx");
    if ((st = cli_need_output(c, o->output, endings[o->format])) != VOLT_OK)
        return st;
    if ((st = cli_check_run(c->args[0], "")) != VOLT_OK)
        return st;
    export.checkpoint = o->checkpoint;
    st = volt_export_model(c->args[0], o->output, (volt_export_format)(o->format + 1), &export,
                           &c->callbacks, &r);
    if (st != VOLT_OK)
        return st;
    cli_end_progress(c);
    if (c->json)
        return cli_print_json(json_pack(
            "{s:o, s:i, s:I, s:I}", "output", volt_json_string(o->output), "folds", r.folds,
            "parameters", (json_int_t)r.parameters, "tensors", (json_int_t)r.tensors));
    printf("%s: %d network%s of %lld parameter%s, %lld tensor%s each\n", o->output, r.folds,
           volt_s(r.folds), (long long)r.parameters, volt_s(r.parameters), (long long)r.tensors,
           volt_s(r.tensors));
    return VOLT_OK;
}

const cli_command cmd_export_model = {
    .name = "export model",
    .section = CLI_EXCHANGE,
    .one_line = "export a run's network to nnU-Net, ONNX or safetensors",
    .args = "RUN -o OUT --format F",
    .min_args = 1,
    .max_args = 1,
    .about = "Writes the network of RUN. nnunet: a folder for "
             "nnUNetv2_predict_from_modelfolder, with all folds of RUN. onnx: one file, input "
             "'image' (batch, channels, patch), output 'logits'. safetensors: one file with "
             "nnU-Net's parameter names. Each includes the plan and dataset.json.",
    .example = "volt export model runs/liver -o liver.onnx --format onnx",
    .common = CLI_JSON,
    CLI_OPTIONS(options, export_options),
    .run = run,
};
