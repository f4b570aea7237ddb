#include <stdio.h>
#include "apps/cli/dataset_options.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "io/import_dataset.h"

typedef struct import_options {
    cli_dataset data;
    bool copy;
} import_options;

static const cli_option options[] = {
    {"--copy", 0, CLI_FLAG, offsetof(import_options, copy), NULL, NULL, 0, 0,
     "copy files instead of creating symbolic links"},
    CLI_DATASET_OPTIONS(import_options, data),
};

static volt_status print_result(const cli *c, const volt_dataset *ds, const char *target,
                                const volt_dataset_import_result *r)
{
    if (c->json)
        return cli_print_json(json_pack(
            "{s:o, s:s, s:I, s:I, s:I, s:I}", "dataset", volt_json_string(target), "layout",
            ds->layout, "cases", (json_int_t)r->cases, "tests", (json_int_t)r->tests, "taken",
            (json_int_t)r->taken, "written", (json_int_t)r->written));
    printf("%s: %lld case%s with labels, %lld to predict; %lld file%s used unchanged, %lld "
           "rewritten\n",
           target, (long long)r->cases, volt_s(r->cases), (long long)r->tests,
           (long long)r->taken, volt_s(r->taken), (long long)r->written);
    return VOLT_OK;
}

static volt_status run(cli *c)
{
    import_options *o = c->options;
    volt_dataset_import_options import = volt_dataset_import_defaults();
    const char *target = c->args[c->args_count - 1];
    volt_dataset_import_result result;
    volt_dataset *ds = NULL;
    volt_status st;

    import.copy = o->copy;
    import.threads = (int)c->threads;
    import.callbacks = &c->callbacks;
    c->args_count--; /* the rest is the data set */
    VOLT_TRY(st, done, cli_check_output(c, target, NULL));
    VOLT_TRY(st, done, cli_dataset_open(&ds, c, &o->data));
    VOLT_TRY(st, done, cli_dataset_need_cases(ds));
    volt_report(&c->callbacks, VOLT_LOG_INFO, "%s: %s", ds->folder, ds->layout);
    for (int64_t i = 0; i < ds->notes; i++)
        volt_report(&c->callbacks, VOLT_LOG_INFO, "%s", ds->note[i]);
    VOLT_TRY(st, done, volt_dataset_import(ds, target, &import, &result));
    cli_end_progress(c);
    st = print_result(c, ds, target, &result);
done:
    volt_dataset_close(ds);
    return st;
}

const cli_command cmd_import_dataset = {
    .name = "import dataset",
    .section = CLI_EXCHANGE,
    .one_line = "convert a data set of any layout to nnU-Net raw",
    .args = "DATASET TARGET",
    .min_args = 1,
    .max_args = 2,
    .about = "Writes DATASET, in any supported layout, as nnU-Net raw into the new folder "
             "TARGET. Files that nnU-Net can read unchanged become symbolic links, or copies "
             "with --copy; others are rewritten: channels of 4-D files, renumbered labels. "
             "Repeat the command to finish an interrupted import.",
    .example = "volt import dataset MICCAI_BraTS2020_TrainingData Dataset137_BraTS",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, import_options),
    .run = run,
};
