#include <math.h>
#include <stdio.h>
#include "apps/cli/cli.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "nets3d/postprocess.h"

/* ---- volt postprocess find ---- */

typedef struct find_options {
    const char *dataset;
} find_options;

static const cli_option find_table[] = {
    {"--dataset", 0, CLI_TEXT, offsetof(find_options, dataset), "JSON", NULL, 0, 0,
     "dataset.json with the classes [PRED's]"},
};

static json_t *trials_json(const volt_postprocess_result *r)
{
    json_t *list = json_array();

    for (int i = 0; i < r->trials; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:o, s:o, s:b}", "candidate", r->trial[i].name,
                                        "before", volt_json_number(r->trial[i].before), "after",
                                        volt_json_number(r->trial[i].after), "taken",
                                        (int)r->trial[i].taken));
    return list;
}

static void print_dice(double v)
{
    if (isfinite(v))
        printf("  %8.4f", v);
    else
        printf("  %8s", "-");
}

static void print_trials(const cli *c, const volt_postprocess_result *r)
{
    printf("%-28s  %8s  %8s\n", "largest component only", "before", "after");
    for (int i = 0; i < r->trials; i++) {
        printf("%-28.28s", r->trial[i].name);
        print_dice(r->trial[i].before);
        print_dice(r->trial[i].after);
        printf("  %s\n", r->trial[i].taken ? "applied" : "skipped");
    }
    printf("%lld case%s, mean Dice %.4f -> %.4f; steps in %s/postprocessing.json, masks in "
           "%s/postprocessed\n",
           (long long)r->cases, volt_s(r->cases), r->before, r->after, c->args[0], c->args[0]);
}

static volt_status run_find(cli *c)
{
    const find_options *o = c->options;
    volt_postprocess_result r = {0};
    volt_dataset_info info = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, cli_check_inputs(c->args, c->args_count));
    VOLT_TRY(st, done, cli_find_dataset_json(&path, c->args[0], o->dataset));
    VOLT_TRY(st, done, volt_dataset_info_read(&info, path));
    VOLT_TRY(st, done,
             volt_postprocess_find(&r, c->args[0], c->args[1], &info, (int)c->threads,
                                   &c->callbacks));
    cli_end_progress(c);
    if (c->json)
        st = cli_print_json(json_pack("{s:I, s:o, s:o, s:o}", "cases", (json_int_t)r.cases,
                                      "before", volt_json_number(r.before), "after",
                                      volt_json_number(r.after), "trials", trials_json(&r)));
    else
        print_trials(c, &r);
done:
    volt_postprocess_result_clear(&r);
    volt_dataset_info_clear(&info);
    volt_free(path);
    return st;
}

const cli_command cmd_postprocess_find = {
    .name = "postprocess find",
    .section = CLI_PREDICTION,
    .one_line = "test whether keeping the largest component helps",
    .args = "PRED TRUTH",
    .min_args = 2,
    .max_args = 2,
    .about =
        "Tries, as nnU-Net does, to keep only the largest component: first of all foreground "
        "together, then of each class or region. The steps that raise the Dice of the masks in "
        "PRED, compared with the files of the same name in TRUTH, are saved in "
        "PRED/postprocessing.json, and the processed masks in PRED/postprocessed.",
    .example = "volt postprocess find crossval/masks Dataset004/labelsTr",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(find_table, find_options),
    .run = run_find,
};

/* ---- volt postprocess apply ---- */

typedef struct apply_options {
    const char *output, *steps;
} apply_options;

static const cli_option apply_table[] = {
    {"--output", 'o', CLI_TEXT, offsetof(apply_options, output), "OUT", NULL, 0, 0,
     "folder for the processed masks (required)"},
    {"--steps", 0, CLI_TEXT, offsetof(apply_options, steps), "JSON", NULL, 0, 0,
     "postprocessing.json from 'volt postprocess find' or nnU-Net (required)"},
};

static volt_status run_apply(cli *c)
{
    const apply_options *o = c->options;
    volt_postprocess steps = {0};
    int64_t cases = 0;
    volt_status st;

    VOLT_TRY(st, done, cli_need_output(c, o->output, NULL));
    if (!o->steps)
        return volt_fail(VOLT_EINVAL, "volt postprocess apply needs --steps JSON");
    VOLT_TRY(st, done, cli_check_inputs(c->args, c->args_count));
    VOLT_TRY(st, done, volt_postprocess_read(&steps, o->steps));
    VOLT_TRY(st, done,
             volt_postprocess_folder(&cases, c->args[0], o->output, &steps, (int)c->threads,
                                     &c->callbacks));
    cli_end_progress(c);
    if (c->json)
        st = cli_print_json(json_pack("{s:o, s:I, s:i}", "output", volt_json_string(o->output),
                                      "cases", (json_int_t)cases, "steps", steps.count));
    else
        printf("%lld mask%s in %s, %d step%s\n", (long long)cases, volt_s(cases), o->output,
               steps.count, volt_s(steps.count));
done:
    volt_postprocess_clear(&steps);
    return st;
}

const cli_command cmd_postprocess_apply = {
    .name = "postprocess apply",
    .section = CLI_PREDICTION,
    .one_line = "apply saved postprocessing to new masks",
    .args = "PRED --steps JSON -o OUT",
    .min_args = 1,
    .max_args = 1,
    .about = "Applies the steps of a postprocessing.json to every mask in folder PRED.",
    .example = "volt postprocess apply masks --steps cv/postprocessing.json -o final",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(apply_table, apply_options),
    .run = run_apply,
};
