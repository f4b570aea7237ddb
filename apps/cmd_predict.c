#include <stdio.h>
#include "apps/cli.h"
#include "io/dataset.h"
#include "nets3d/predictor.h"

typedef struct predict_options {
    const char *output, *checkpoint;
    int precision; /* 0 auto, else volt_precision */
    bool no_mirror;
    double step;
} predict_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(predict_options, output), "OUT", NULL, 0, 0,
     "folder for the masks (required)"},
    {"--no-mirror", 0, CLI_FLAG, offsetof(predict_options, no_mirror), NULL, NULL, 0, 0,
     "one pass instead of the average over mirrored ones: up to 8 times faster"},
    {"--step", 0, CLI_REAL, offsetof(predict_options, step), "S", "0.5", 0.05, 1,
     "distance of neighbouring tiles as a share of the patch"},
    {"--checkpoint", 0, CLI_TEXT, offsetof(predict_options, checkpoint), "best|latest", NULL, 0,
     0, "of the run [latest of a finished run, else best]"},
    {"--precision", 0, CLI_CHOICE, offsetof(predict_options, precision), "auto|fp32|bf16",
     "auto", 0, 0, "auto: what is faster on this machine"},
};

static volt_status print_result(const cli *c, const volt_predict_result *r)
{
    const predict_options *o = c->options;
    double mib = 1024.0 * 1024;

    if (c->json)
        return cli_print_json(
            json_pack("{s:s, s:I, s:f, s:f, s:f, s:I, s:I}", "output", o->output, "cases",
                      (json_int_t)r->cases, "seconds", r->seconds, "network_s", r->network_s,
                      "read_wait_s", r->read_wait_s, "announced_bytes",
                      (json_int_t)r->announced_bytes, "peak_bytes", (json_int_t)r->peak_bytes));
    printf("%lld masks in %s, %.1f s (%.1f s in the network); peak memory %.0f MiB, %.0f "
           "announced\n",
           (long long)r->cases, o->output, r->seconds, r->network_s,
           (double)r->peak_bytes / mib, (double)r->announced_bytes / mib);
    return VOLT_OK;
}

static volt_status run(cli *c)
{
    const predict_options *o = c->options;
    volt_predict_options predict = volt_predict_defaults();
    volt_predictor *predictor = NULL;
    volt_case_list cases = {0};
    volt_predict_result result = {0};
    volt_status st;

    VOLT_TRY(st, done, cli_need_output(c, o->output));
    predict.checkpoint = o->checkpoint;
    predict.precision = (volt_precision)o->precision;
    predict.mirror = !o->no_mirror;
    predict.step = o->step;
    predict.threads = (int)c->threads;
    VOLT_TRY(st, done, volt_predictor_open(&predictor, c->args[0], &predict, &c->callbacks));
    VOLT_TRY(st, done,
             volt_inputs_list(&cases, c->args + 1, c->args_count - 1,
                              volt_predictor_info(predictor)->channels));
    VOLT_TRY(st, done, volt_predict(predictor, &cases, o->output, &c->callbacks, &result));
    cli_end_progress(c);
    st = print_result(c, &result);
done:
    volt_case_list_clear(&cases);
    volt_predictor_free(predictor);
    return st;
}

const cli_command cmd_predict = {
    .name = "predict",
    .one_line = "segment scans with a trained network",
    .args = "RUN INPUT... -o OUT",
    .min_args = 2,
    .max_args = -1,
    .about =
        "Segments scans with the network of folder RUN and writes OUT/CASE.nii.gz, each on\n"
        "its scan's own grid. INPUT: files or folders; the channels of a case are\n"
        "CASE_0000.nii.gz, CASE_0001.nii.gz, ...; networks of one channel also take\n"
        "CASE.nii.gz, and 4-D files hold all channels.",
    .example = "volt predict runs/hippocampus scans/ -o masks",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, predict_options),
    .run = run,
};
