#include <stdio.h>
#include "apps/cli/dataset_options.h"
#include "base/core/plural.h"
#include "nets3d/pipeline.h"

typedef struct preprocess_options {
    const char *work, *configuration, *previous;
    bool overwrite;
    cli_dataset data;
} preprocess_options;

static const cli_option options[] = {
    {"--work", 0, CLI_TEXT, offsetof(preprocess_options, work), "DIR", NULL, 0, 0,
     "folder for fingerprint, plan and preprocessed cases [VOLT_WORK, else DATASET/volt]"},
    {"--configuration", 'c', CLI_TEXT, offsetof(preprocess_options, configuration), "NAME",
     NULL, 0, 0, "configuration of the plan [3d_fullres]"},
    {"--previous", 0, CLI_TEXT, offsetof(preprocess_options, previous), "RUN|DIR", NULL, 0, 0,
     "cascade: run of the previous stage, or folder of its masks CASE.nii.gz"},
    {"--overwrite", 0, CLI_FLAG, offsetof(preprocess_options, overwrite), NULL, NULL, 0, 0,
     "preprocess all cases again"},
    CLI_DATASET_OPTIONS(preprocess_options, data),
};

static volt_status run(cli *c)
{
    preprocess_options *o = c->options;
    volt_pipeline_options run = volt_pipeline_defaults();
    volt_dataset_options data;
    volt_pipeline p = {0};
    volt_status st = cli_check_work(c, o->work);

    run.work = o->work;
    run.data = &data;
    run.configuration = o->configuration;
    run.previous_stage = o->previous;
    run.until = VOLT_STAGE_PREPROCESS;
    run.overwrite = o->overwrite;
    run.threads = (int)c->threads;
    run.callbacks = &c->callbacks;
    if (st == VOLT_OK)
        st = cli_dataset_take(&data, &run.dataset, c, &o->data);
    if (st == VOLT_OK)
        st = volt_pipeline_run(&p, &run);
    if (st == VOLT_OK) {
        cli_end_progress(c);
        if (c->json)
            st = cli_print_json(json_pack("{s:s, s:o, s:I, s:I, s:I}", "configuration",
                                          p.config->name, "folder", volt_json_string(p.cases),
                                          "cases", (json_int_t)p.preprocessed.cases,
                                          "preprocessed", (json_int_t)p.preprocessed.created,
                                          "reused", (json_int_t)p.preprocessed.kept));
        else
            printf("%lld case%s in %s: %lld preprocessed, %lld reused\n",
                   (long long)p.preprocessed.cases, volt_s(p.preprocessed.cases), p.cases,
                   (long long)p.preprocessed.created, (long long)p.preprocessed.kept);
    }
    volt_pipeline_clear(&p);
    return st;
}

const cli_command cmd_preprocess = {
    .name = "preprocess",
    .section = CLI_TRAINING,
    .one_line = "crop, normalize and resample all cases",
    .args = CLI_DATASET_ARGS,
    .min_args = 0,
    .max_args = 1,
    .about = "Preprocesses every case of DATASET for training, after checking and planning if "
             "that has not been done. An interrupted run continues where it stopped.",
    .example = "volt preprocess Task04_Hippocampus --threads 4",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, preprocess_options),
    .run = run,
};
