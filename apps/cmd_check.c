#include <stdio.h>
#include "apps/cli/dataset_options.h"
#include "base/core/plural.h"

typedef struct check_options {
    cli_dataset data;
} check_options;

static const cli_option options[] = {CLI_DATASET_OPTIONS(check_options, data)};

static volt_status print_json(const volt_dataset *ds, const volt_findings *found)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < found->count; i++) {
        const volt_finding *f = &found->item[i];

        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o}", "severity",
                                              f->severity == VOLT_ERROR ? "error" : "warning",
                                              "kind", volt_finding_kind_name(f->kind), "file",
                                              volt_json_string(f->file), "sentence",
                                              volt_json_string(f->sentence)));
    }
    return cli_print_json(json_pack(
        "{s:o, s:s, s:I, s:I, s:I, s:o, s:o}", "dataset", volt_json_string(ds->folder),
        "layout", ds->layout, "cases", (json_int_t)ds->cases.count, "errors",
        (json_int_t)found->errors, "warnings", (json_int_t)found->warnings, "notes",
        cli_json_strings(ds->note, ds->notes), "findings", list));
}

static void print_finding(void *user, volt_severity severity, const char *sentence)
{
    char remedy[CLI_REMEDY_ROOM];

    printf("%s: %s%s\n", severity == VOLT_ERROR ? "error" : "warning", sentence,
           cli_remedy(remedy, user, sentence));
}

static void print_text(cli *c, const volt_dataset *ds, const volt_findings *found)
{
    cli_dataset_print_notes(c, ds);
    volt_findings_list(found, VOLT_FINDINGS_SHOWN, print_finding, c);
    printf("%s: %s, %lld case%s, %lld error%s, %lld warning%s\n", ds->folder, ds->layout,
           (long long)ds->cases.count, volt_s(ds->cases.count), (long long)found->errors,
           volt_s(found->errors), (long long)found->warnings, volt_s(found->warnings));
}

static volt_status run(cli *c)
{
    check_options *o = c->options;
    volt_dataset *ds = NULL;
    volt_findings found = {0};
    volt_status st;

    VOLT_TRY(st, done, cli_dataset_open(&ds, c, &o->data));
    VOLT_TRY(st, done, volt_dataset_check(&found, ds, (int)c->threads, &c->callbacks));
    cli_end_progress(c);
    if (c->json)
        VOLT_TRY(st, done, print_json(ds, &found));
    else
        print_text(c, ds, &found);
    st = volt_findings_judge(&found);
done:
    volt_findings_clear(&found);
    volt_dataset_close(ds);
    return st;
}

const cli_command cmd_check = {
    .name = "check",
    .section = CLI_DATA,
    .one_line = "validate a data set and report every problem",
    .args = CLI_DATASET_ARGS,
    .min_args = 0,
    .max_args = 1,
    .about =
        "Detects the layout of DATASET, reads every scan and reports all problems in one "
        "run, each with file, axis and value; --json has all, the text at most ten of a kind. "
        "With errors the exit status is 10; warnings do not stop training.",
    .example = "volt check Task04_Hippocampus",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, check_options),
    .run = run,
};
