#include <stdio.h>
#include "apps/cli/cli.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "nets3d/best.h"

typedef struct best_options {
    const char *output, *truth, *folds;
    bool no_ensembles;
} best_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(best_options, output), "OUT", NULL, 0, 0,
     "new folder for the candidates' masks and scores (required)"},
    {"--truth", 0, CLI_TEXT, offsetof(best_options, truth), "DIR", NULL, 0, 0,
     "data set, or its folder of label files (required)"},
    {"--folds", 0, CLI_TEXT, offsetof(best_options, folds), "LIST", NULL, 0, 0,
     "folds to compare: 0-4, or 0,2 [all with predictions]"},
    {"--no-ensembles", 0, CLI_FLAG, offsetof(best_options, no_ensembles), NULL, NULL, 0, 0,
     "compare single runs only, no pairs"},
};

/* DIR/labelsTr if it exists, else DIR. */
static volt_status find_truth(char **out, const char *folder)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, folder, "labelsTr"));
    if (!volt_path_is_dir(path)) {
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, volt_strdup(&path, folder));
    }
    *out = path;
    path = NULL;
done:
    volt_free(path);
    return st;
}

static volt_status print_json(const volt_best_result *r)
{
    json_t *all = json_object();

    for (int i = 0; i < r->candidates; i++)
        volt_json_set(all, r->candidate[i].name, volt_json_number(r->candidate[i].dice));
    return cli_print_json(json_pack("{s:o, s:o, s:o, s:o}", "candidates", all, "best",
                                    volt_json_string(r->candidate[r->best].name), "dice",
                                    volt_json_number(r->post.before), "postprocessed",
                                    volt_json_number(r->post.after)));
}

static void print_table(const cli *c, const volt_best_result *r)
{
    const volt_best_candidate *best = &r->candidate[r->best];

    printf("%-40s  %s\n", "mean over the folds", "Dice");
    for (int i = 0; i < r->candidates; i++)
        printf("%-40s  %.4f%s\n", r->candidate[i].name, r->candidate[i].dice,
               i == r->best ? "  best" : "");
    printf("postprocessed: %.4f (%d step%s)\n", r->post.after, r->post.steps.count,
           volt_s(r->post.steps.count));
    printf("predict with it:\n  volt predict");
    for (int i = 0; i < 2; i++) {
        if (best->model[i] < 0)
            continue;
        putchar(' ');
        cli_print_word(c->args[best->model[i]]);
    }
    printf(" SCAN... -o OUT\n");
    if (r->post.steps.count > 0)
        printf("  volt postprocess apply OUT --steps %s/postprocessing.json -o FINAL\n",
               best->folder);
}

static volt_status run(cli *c)
{
    const best_options *o = c->options;
    volt_best_result r = {0};
    volt_best_options best = volt_best_defaults();
    char *truth = NULL;
    volt_status st;

    best.output = o->output;
    best.folds = o->folds;
    best.ensembles = !o->no_ensembles;
    best.threads = (int)c->threads;
    best.callbacks = &c->callbacks;
    VOLT_TRY(st, done, cli_need_output(c, o->output, NULL));
    if (!o->truth)
        return volt_fail(VOLT_EINVAL, "volt best needs the ground truth: --truth DIR");
    VOLT_TRY(st, done, cli_check_inputs(c->args, c->args_count));
    VOLT_TRY(st, done, cli_check_inputs(&o->truth, 1));
    for (int i = 0; i < c->args_count; i++)
        VOLT_TRY(st, done, cli_check_run(c->args[i], ""));
    VOLT_TRY(st, done, find_truth(&truth, o->truth));
    best.truth = truth;
    VOLT_TRY(st, done, volt_best_find(&r, c->args, c->args_count, &best));
    cli_end_progress(c);
    if (c->json)
        st = print_json(&r);
    else
        print_table(c, &r);
done:
    volt_free(truth);
    volt_best_result_clear(&r);
    return st;
}

const cli_command cmd_best = {
    .name = "best",
    .section = CLI_EVALUATION,
    .one_line = "compare runs and pairs of runs by cross-validation",
    .args = "RUN... --truth DIR -o OUT",
    .min_args = 1,
    .max_args = -1,
    .about =
        "Scores the validation predictions of every RUN (RUN/fold_K/validation, from "
        "'volt train --validate', 'volt predict --validation' or nnU-Net) and the average "
        "of every pair of runs (which needs their probabilities), as nnU-Net's "
        "find_best_configuration does. Then searches postprocessing for the best "
        "candidate and prints how to predict with it. OUT/best.json holds all scores and is "
        "written last; after an interruption the same command starts again and replaces what "
        "is there.",
    .example = "volt best runs/2d runs/3d_fullres --truth Dataset004 -o compared",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, best_options),
    .run = run,
};
