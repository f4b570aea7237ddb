#include "apps/cli/cli.h"

#include <stdio.h>
#include <string.h>

/* One a line, in the order of --help. */
/* clang-format off */
#define COMMANDS(X) \
    X(info) \
    X(convert) \
    X(phantom) \
    X(check) \
    X(plan) \
    X(preprocess) \
    X(train) \
    X(predict) \
    X(ensemble) \
    X(postprocess_find) \
    X(postprocess_apply) \
    X(best) \
    X(evaluate) \
    X(plot) \
    X(snapshot) \
    X(augment) \
    X(dataset_show) \
    X(import_dataset) \
    X(import_model) \
    X(export_model) \
    X(bench_net) \
    X(bench_ops) \
    X(bench_io) \
    X(bench_volume) \
    X(bench_augment)
/* clang-format on */

#define DECLARE(name) extern const cli_command cmd_##name;
#define ADDRESS(name) &cmd_##name,
COMMANDS(DECLARE)

const cli_command *const cli_commands[] = {COMMANDS(ADDRESS) NULL};

/* True when `name` begins with `word` and a blank. */
static bool starts_with_word(const char *name, const char *word)
{
    size_t n = strlen(word);

    return strncmp(name, word, n) == 0 && name[n] == ' ';
}

bool cli_is_group(const char *word)
{
    for (int i = 0; cli_commands[i]; i++) {
        if (starts_with_word(cli_commands[i]->name, word))
            return true;
    }
    return false;
}

static volt_status unknown_command(const char *typed)
{
    const char *names[64];
    size_t count = 0;
    const char *near;

    for (int i = 0; cli_commands[i] && count < 64; i++)
        names[count++] = cli_commands[i]->name;
    near = cli_suggest(typed, names, count);
    if (near)
        return volt_fail(VOLT_EINVAL, "no command '%s'; did you mean '%s'?", typed, near);
    return volt_fail(VOLT_EINVAL, "no command '%s'; 'volt --help' lists them", typed);
}

volt_status cli_find_command(const cli_command **out, int *words, int count, char **argv)
{
    char two[80];
    bool group = cli_is_group(argv[0]);

    if (group && count < 2)
        return volt_fail(VOLT_EINVAL, "'%s' needs a second word; 'volt %s --help' lists them",
                         argv[0], argv[0]);
    snprintf(two, sizeof two, "%s %s", argv[0], group ? argv[1] : "");
    for (int i = 0; cli_commands[i]; i++) {
        if (strcmp(cli_commands[i]->name, group ? two : argv[0]) == 0) {
            *out = cli_commands[i];
            *words = group ? 2 : 1;
            return VOLT_OK;
        }
    }
    return unknown_command(group ? two : argv[0]);
}

void cli_print_group(const char *group)
{
    for (int i = 0; cli_commands[i]; i++) {
        if (starts_with_word(cli_commands[i]->name, group))
            printf("  volt %-12s %s\n", cli_commands[i]->name, cli_commands[i]->one_line);
    }
}
