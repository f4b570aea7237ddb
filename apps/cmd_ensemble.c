#include <stdio.h>
#include "apps/cli/cli.h"
#include "apps/cli/label_files.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "nets3d/ensemble.h"

typedef struct ensemble_options {
    const char *output, *dataset, *ending, *label_files;
    bool probabilities, skip_existing;
} ensemble_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(ensemble_options, output), "OUT", NULL, 0, 0,
     "folder for the masks (required)"},
    {"--ending", 0, CLI_TEXT, offsetof(ensemble_options, ending), "EXT", NULL, 0, 0,
     "format of the masks: .nii.gz, .nrrd, .mha, .png, ... [the data set's own]"},
    CLI_LABEL_FILES_OPTION(ensemble_options, label_files),
    {"--dataset", 0, CLI_TEXT, offsetof(ensemble_options, dataset), "JSON", NULL, 0, 0,
     "dataset.json with the labels [the first FOLDER's]"},
    {"--save-probabilities", 0, CLI_FLAG, offsetof(ensemble_options, probabilities), NULL, NULL,
     0, 0, "also write the mean probabilities to OUT/CASE.npz"},
    {"--skip-existing", 0, CLI_FLAG, offsetof(ensemble_options, skip_existing), NULL, NULL, 0,
     0, "skip cases whose mask already exists"},
};

static volt_status run(cli *c)
{
    const ensemble_options *o = c->options;
    const double mib = 1024.0 * 1024;
    volt_ensemble_options ensemble = volt_ensemble_defaults();
    volt_ensemble_member *members = NULL;
    volt_dataset_info info = {0};
    char *path = NULL;
    volt_ensemble_result result = {0};
    volt_status st;

    ensemble.output = o->output;
    ensemble.probabilities = o->probabilities;
    ensemble.skip_existing = o->skip_existing;
    ensemble.ending = o->ending;
    ensemble.threads = (int)c->threads;
    VOLT_TRY(st, done, cli_need_output(c, o->output, NULL));
    VOLT_TRY(st, done, cli_label_files(&ensemble.label_files, o->label_files));
    VOLT_TRY(st, done, cli_check_inputs(c->args, c->args_count));
    VOLT_TRY(st, done, cli_find_dataset_json(&path, c->args[0], o->dataset));
    VOLT_TRY(st, done, volt_dataset_info_read(&info, path));
    ensemble.info = &info;
    VOLT_TRY(st, done,
             volt_alloc_zero(&members, (size_t)c->args_count, sizeof *members, "folders"));
    for (int i = 0; i < c->args_count; i++)
        members[i] = (volt_ensemble_member){&c->args[i], 1};
    VOLT_TRY(st, done,
             volt_ensemble(&result, members, c->args_count, &ensemble, &c->callbacks));
    cli_end_progress(c);
    if (c->json)
        st = cli_print_json(json_pack(
            "{s:o, s:I, s:I, s:I}", "output", volt_json_string(o->output), "cases",
            (json_int_t)result.cases, "announced_bytes", (json_int_t)result.announced_bytes,
            "peak_bytes", (json_int_t)result.peak_bytes));
    else
        printf("%lld mask%s in %s; peak memory %.0f MiB (%.0f estimated)\n",
               (long long)result.cases, volt_s(result.cases), o->output,
               (double)result.peak_bytes / mib, (double)result.announced_bytes / mib);
done:
    volt_free(members);
    volt_dataset_info_clear(&info);
    volt_free(path);
    return st;
}

const cli_command cmd_ensemble = {
    .name = "ensemble",
    .section = CLI_PREDICTION,
    .one_line = "average the saved probabilities of several predictions",
    .args = "FOLDER... -o OUT",
    .min_args = 2,
    .max_args = -1,
    .about = "Averages CASE.npz of every FOLDER (from 'volt predict --save-probabilities' or "
             "nnU-Net) and writes OUT/CASE.nii.gz in the format and on the grid of the first "
             "FOLDER's "
             "mask. Classes are read one at a time, so memory does not grow "
             "with their number; the estimated peak is logged first. Values that are no "
             "probabilities are refused: NaN, below -0.001, above 1.001, or with a sum over "
             "the classes that is not within 0.01 of 1.",
    .example = "volt ensemble masks_2d masks_3d -o masks",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, ensemble_options),
    .run = run,
};
