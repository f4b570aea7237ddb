#include <stdio.h>
#include <string.h>
#include "apps/cli/cli.h"

static void print_option(const cli_option *o)
{
    char left[64], letter[8] = "    ";

    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "%s%s%s%s", letter, o->name, o->value ? " " : "",
             o->value ? o->value : "");
    if (strlen(left) > 26)
        printf("  %s\n  %-26s  %s", left, "", o->help);
    else
        printf("  %-26s  %s", left, o->help);
    if (o->fallback && o->type != CLI_FLAG)
        printf(" [%s]", o->fallback);
    putchar('\n');
}

/* Prints `text` with `lead` before each of its lines. */
static void print_lines(const char *lead, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        printf("%s%.*s\n", lead, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

void cli_print_help(const cli_command *command)
{
    printf("usage: volt %s [options] %s\n\n", command->name, command->args);
    print_lines("", command->about);
    printf("\noptions:\n");
    for (size_t i = 0; i < command->options_count; i++)
        print_option(&command->options[i]);
    for (size_t i = 0; i < cli_common_count; i++) {
        if (cli_takes_common(command, &cli_common_options[i]))
            print_option(&cli_common_options[i]);
    }
    printf("\nexample:\n");
    print_lines("  $ ", command->example);
}

void cli_print_commands(void)
{
    printf("usage: volt COMMAND [options] ...\n\n"
           "Trains and runs 2D, 2.5D and 3D segmentation networks on medical "
           "volumes.\n\ncommands:\n");
    for (int i = 0; cli_commands[i]; i++)
        printf("  %-13s %s\n", cli_commands[i]->name, cli_commands[i]->one_line);
    printf(
        "\n'volt COMMAND --help' explains a command and its options, 'volt help exit-codes'\n"
        "what the command's exit status means, 'volt --version' prints the version.\n");
}

void cli_print_exit_codes(void)
{
    printf("exit  meaning\n");
#define PRINT_CODE(name, code, text) printf("%4d  %s\n", code, text);
    VOLT_STATUS_MAP(PRINT_CODE)
#undef PRINT_CODE
}
