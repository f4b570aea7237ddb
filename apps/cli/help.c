#include <stdio.h>
#include <string.h>
#include "apps/cli/cli.h"

enum { WIDTH = 80, LEFT = 26 }; /* columns of a line, and of an option with its value */

/* Text that goes on in `column`, with continuation lines indented by `indent`. */
typedef struct flow {
    int column, indent;
} flow;

/* Prints the words of `text`, each after a blank or on a new line; `count` bytes of it. */
static void print_words(flow *f, const char *text, size_t count)
{
    const char *end = text + count;

    while (text < end) {
        size_t n;

        text += strspn(text, " ");
        n = strcspn(text, " ");
        if (text >= end)
            break;
        if (n > (size_t)(end - text))
            n = (size_t)(end - text);
        if (f->column > f->indent && f->column + 1 + (int)n > WIDTH) {
            printf("\n%*s", f->indent, "");
            f->column = f->indent;
        } else if (f->column > f->indent) {
            putchar(' ');
            f->column++;
        }
        printf("%.*s", (int)n, text);
        f->column += (int)n;
        text += n;
    }
}

static void print_option(const cli_option *o)
{
    char left[64], fallback[64], letter[8] = "    ";
    flow f = {LEFT + 4, LEFT + 4};

    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "%s%s%s%s", letter, o->name, o->value ? " " : "",
             o->value ? o->value : "");
    if (strlen(left) > LEFT)
        printf("  %s\n  %-*s  ", left, LEFT, "");
    else
        printf("  %-*s  ", LEFT, left);
    print_words(&f, o->help, strlen(o->help));
    if (o->fallback && o->type != CLI_FLAG) {
        snprintf(fallback, sizeof fallback, "[%s]", o->fallback);
        print_words(&f, fallback, strlen(fallback));
    }
    putchar('\n');
}

static void print_about(const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        flow f = {0, 0};

        if (*text == ' ')
            printf("%.*s", (int)n, text);
        else
            print_words(&f, text, n);
        putchar('\n');
        text += n + (text[n] == '\n');
    }
}

static void print_examples(const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        printf("  $ %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

void cli_print_help(const cli_command *command)
{
    const cli_option *o;

    printf("usage: volt %s [options]%s%s\n\n", command->name, *command->args ? " " : "",
           command->args);
    print_about(command->about);
    printf("\noptions:\n");
    for (size_t i = 0; (o = cli_option_at(command, i)) != NULL; i++)
        print_option(o);
    printf("\n%s:\n", strchr(command->example, '\n') ? "examples" : "example");
    print_examples(command->example);
}

/* The commands of a section, or of a group, one a line; names fill `width` columns. */
static void print_list(cli_section section, const char *group, int width)
{
    for (int i = 0; cli_commands[i]; i++) {
        const cli_command *command = cli_commands[i];

        if (group ? cli_in_group(command, group) : command->section == section)
            printf("  %-*s  %s\n", width, command->name, command->one_line);
    }
}

/* Columns of the longest name among the commands, or those of a group. */
static int longest_name(const char *group)
{
    int longest = 0;

    for (int i = 0; cli_commands[i]; i++) {
        const int n = (int)strlen(cli_commands[i]->name);

        if ((!group || cli_in_group(cli_commands[i], group)) && n > longest)
            longest = n;
    }
    return longest;
}

static void print_group(const char *group)
{
    printf("usage: volt %s COMMAND [options] ...\n\ncommands:\n", group);
    print_list(0, group, longest_name(group));
    printf("\n'volt %s COMMAND --help' describes a command and its options.\n", group);
}

static void print_commands(void)
{
    const int width = longest_name(NULL);

    printf("usage: volt COMMAND [options] ...\n\n"
           "Trains and runs 2-D, 2.5-D and 3-D segmentation networks on medical volumes.\n");
    for (cli_section s = CLI_DATA; s < CLI_SECTIONS_END; s++) {
        printf("\n%s:\n", cli_section_title(s));
        print_list(s, NULL, width);
    }
    putchar('\n');
    print_about(
        "'volt COMMAND --help' describes a command and its options; 'volt help exit-codes' "
        "and 'volt help environment' list exit codes and environment variables; "
        "'volt --version' prints the version.");
}

static void print_exit_codes(void)
{
    printf("exit  meaning\n");
#define PRINT_CODE(name, code, text) printf("%4d  %s\n", code, text);
    VOLT_STATUS_MAP(PRINT_CODE)
#undef PRINT_CODE
}

static void print_environment(void)
{
    printf("environment variables:\n");
    for (const cli_variable *v = cli_environment; v->name; v++) {
        flow f = {6, 6};

        printf("  %s\n      ", v->name);
        print_words(&f, v->help, strlen(v->help));
        putchar('\n');
    }
}

/* The command that all of `words` name. */
static volt_status find_command(const cli_command **out, int count, char **words)
{
    int used = 0;
    volt_status st = cli_find_command(out, &used, count, words);

    if (st == VOLT_OK && used < count)
        st = volt_fail(VOLT_EINVAL, "unexpected argument '%s'; usage: volt help [COMMAND]",
                       words[used]);
    return st;
}

/* Output for the build, which generates the manual and completions; not listed in --help. */
static volt_status print_generated(int count, char **words)
{
    const cli_command *command = NULL;
    volt_status st = VOLT_OK;

    if (strcmp(words[0], "--man") == 0) {
        if (count > 1)
            st = find_command(&command, count - 1, words + 1);
        if (st == VOLT_OK)
            cli_print_man(command);
        return st;
    }
    if (strcmp(words[0], "--completion") == 0 && count == 2)
        return cli_print_completion(words[1]);
    if (strcmp(words[0], "--commands") == 0 && count == 1) {
        for (int i = 0; cli_commands[i]; i++)
            puts(cli_commands[i]->name);
        return VOLT_OK;
    }
    return volt_fail(VOLT_EINVAL,
                     "usage: volt help --man [COMMAND], --completion bash|zsh|fish or "
                     "--commands");
}

volt_status cli_help(int count, char **words)
{
    const cli_command *command = NULL;
    volt_status st = VOLT_OK;

    if (count == 0)
        print_commands();
    else if (count == 1 && strcmp(words[0], "exit-codes") == 0)
        print_exit_codes();
    else if (count == 1 && strcmp(words[0], "environment") == 0)
        print_environment();
    else if (count == 1 && cli_is_group(words[0]))
        print_group(words[0]);
    else if (strncmp(words[0], "--", 2) == 0)
        st = print_generated(count, words);
    else if ((st = find_command(&command, count, words)) == VOLT_OK)
        cli_print_help(command);
    return st;
}
