#include <stdio.h>
#include "apps/cli.h"
#include "base/core/plural.h"
#include "nets3d/export_model.h"

typedef struct export_options {
    const char *output;
    int format;     /* -1 not given */
    int checkpoint; /* -1 not given */
} export_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(export_options, output), "OUT", NULL, 0, 0,
     "folder (nnunet) or file to write (required)"},
    {"--format", 0, CLI_CHOICE, offsetof(export_options, format), "nnunet|safetensors|onnx",
     NULL, 0, 0, "nnunet: a results folder; onnx: opset 17, free batch (required)"},
    {"--checkpoint", 0, CLI_CHOICE, offsetof(export_options, checkpoint), "latest|best", NULL,
     0, 0, "of the run [latest of a finished run, else best]"},
};

static volt_status run(cli *c)
{
    static const char *const checkpoints[] = {"latest", "best"};
    const export_options *o = c->options;
    volt_model_export_options export = {.format = (volt_export_format)(o->format + 1)};
    volt_model_export_result r = {0};
    volt_status st = cli_need_output(c, o->output);

    if (st != VOLT_OK)
        return st;
    if (o->format < 0)
        return volt_fail(VOLT_EINVAL,
                         "volt export model needs --format nnunet, safetensors or onnx");
    if (o->checkpoint >= 0)
        export.checkpoint = checkpoints[o->checkpoint];
    st = volt_export_model(c->args[0], o->output, &export, &c->callbacks, &r);
    if (st != VOLT_OK)
        return st;
    cli_end_progress(c);
    if (c->json)
        return cli_print_json(json_pack("{s:s, s:i, s:I, s:I}", "output", o->output, "folds",
                                        r.folds, "parameters", (json_int_t)r.parameters,
                                        "tensors", (json_int_t)r.tensors));
    printf("%s: %d network%s of %lld parameters, %lld tensors each\n", o->output, r.folds,
           volt_s(r.folds), (long long)r.parameters, (long long)r.tensors);
    return VOLT_OK;
}

const cli_command cmd_export_model = {
    .name = "export model",
    .one_line = "write a run's network for nnU-Net, ONNX or safetensors",
    .args = "RUN -o OUT --format F",
    .min_args = 1,
    .max_args = 1,
    .about =
        "Writes the network of RUN. nnunet: a folder that nnUNetv2_predict_from_modelfolder\n"
        "takes, all folds of RUN in it. onnx: one file, input 'image' (batch, channels,\n"
        "patch), output 'logits'. safetensors: one file, nnU-Net's names. Plan and data\n"
        "set travel along in each.",
    .example = "volt export model runs/liver -o liver.onnx --format onnx",
    .common = CLI_JSON,
    CLI_OPTIONS(options, export_options),
    .run = run,
};
