#include "apps/cli/cli.h"

#include <stdio.h>
#include <string.h>

/* One a line; within a section, in the order of --help. */
/* clang-format off */
#define COMMANDS(X) \
    X(info) \
    X(convert) \
    X(check) \
    X(dataset_show) \
    X(phantom) \
    X(plan) \
    X(mesh) \
    X(preprocess) \
    X(train) \
    X(predict) \
    X(ensemble) \
    X(postprocess_find) \
    X(postprocess_apply) \
    X(evaluate) \
    X(best) \
    X(bench_net) \
    X(bench_ops) \
    X(bench_io) \
    X(bench_volume) \
    X(bench_augment) \
    X(bench_scaling) \
    X(plot) \
    X(snapshot) \
    X(augment) \
    X(import_dataset) \
    X(import_model) \
    X(export_model)
/* clang-format on */

#define DECLARE(name) extern const cli_command cmd_##name;
#define ADDRESS(name) &cmd_##name,
COMMANDS(DECLARE)

const cli_command *const cli_commands[] = {COMMANDS(ADDRESS) NULL};

const char *cli_section_title(cli_section section)
{
    static const char *const titles[CLI_SECTIONS_END] = {
        [CLI_DATA] = "data",
        [CLI_TRAINING] = "planning and training",
        [CLI_PREDICTION] = "prediction",
        [CLI_EVALUATION] = "evaluation and benchmarks",
        [CLI_VISUALS] = "visualization",
        [CLI_EXCHANGE] = "import and export",
    };

    return titles[section];
}

bool cli_in_group(const cli_command *command, const char *group)
{
    size_t n = strlen(group);

    return strncmp(command->name, group, n) == 0 && command->name[n] == ' ';
}

bool cli_is_group(const char *word)
{
    for (int i = 0; cli_commands[i]; i++) {
        if (cli_in_group(cli_commands[i], word))
            return true;
    }
    return false;
}

/* 'volt export RUN': the word after the group is no subcommand. */
static volt_status unknown_subcommand(const char *group, const char *word)
{
    const cli_command *only = NULL;
    int members = 0;

    for (int i = 0; cli_commands[i]; i++) {
        if (cli_in_group(cli_commands[i], group)) {
            only = cli_commands[i];
            members++;
        }
    }
    if (members == 1)
        return volt_fail(VOLT_EINVAL, "'%s' has no subcommand '%s'; did you mean 'volt %s'?",
                         group, word, only->name);
    return volt_fail(VOLT_EINVAL,
                     "'%s' has no subcommand '%s'; 'volt %s --help' lists its subcommands",
                     group, word, group);
}

/* `typed`, the word of a command, or a group and the word after it. */
static volt_status unknown_command(const char *typed, const char *group, const char *word)
{
    const char *names[64];
    size_t count = 0;
    const char *near;

    for (int i = 0; cli_commands[i] && count < 64; i++)
        names[count++] = cli_commands[i]->name;
    near = cli_foreign_command(typed);
    if (near)
        return volt_fail(VOLT_EINVAL, "'%s' is nnU-Net's; here it is 'volt %s'", typed, near);
    near = cli_suggest(typed, names, count);
    if (near)
        return volt_fail(VOLT_EINVAL, "unknown command '%s'; did you mean '%s'?", typed, near);
    if (group)
        return unknown_subcommand(group, word);
    return volt_fail(VOLT_EINVAL, "unknown command '%s'; 'volt --help' lists all commands",
                     typed);
}

volt_status cli_find_command(const cli_command **out, int *words, int count, char **argv)
{
    char two[80];
    bool group = cli_is_group(argv[0]);

    if (group && count < 2)
        return volt_fail(VOLT_EINVAL,
                         "'%s' needs a subcommand; 'volt %s --help' lists its subcommands",
                         argv[0], argv[0]);
    snprintf(two, sizeof two, "%s %s", argv[0], group ? argv[1] : "");
    for (int i = 0; cli_commands[i]; i++) {
        if (strcmp(cli_commands[i]->name, group ? two : argv[0]) == 0) {
            *out = cli_commands[i];
            *words = group ? 2 : 1;
            return VOLT_OK;
        }
    }
    return unknown_command(group ? two : argv[0], group ? argv[0] : NULL, argv[1]);
}
