#include <stdio.h>
#include <string.h>
#include "apps/cli/cli.h"
#include "base/version.h"

/* Prints `count` bytes of `text` so that roff takes none of them as a request. Hyphens and
 * quotes stay the ASCII ones that a reader can copy into a shell. */
static void print_text(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        switch (text[i]) {
        case '\\':
            fputs("\\e", stdout);
            break;
        case '-':
            fputs("\\-", stdout);
            break;
        case '\'':
            fputs("\\(aq", stdout);
            break;
        case '^':
            fputs("\\(ha", stdout);
            break;
        case '~':
            fputs("\\(ti", stdout);
            break;
        case '.':
            fputs(i == 0 ? "\\&." : ".", stdout);
            break;
        default:
            putchar(text[i]);
        }
    }
}

static void print_all(const char *text)
{
    print_text(text, strlen(text));
}

/* Prints a name or placeholder in font 'B' (bold) or 'I' (italic). */
static void print_font(char font, const char *text)
{
    printf("\\f%c", font);
    print_all(text);
    fputs("\\fR", stdout);
}

/* "volt\-bench\-net" of command "bench net"; "volt" of NULL. */
static void print_page_name(const char *command)
{
    fputs(command ? "volt\\-" : "volt", stdout);
    for (; command && *command; command++) {
        if (*command == ' ')
            fputs("\\-", stdout);
        else
            putchar(*command);
    }
}

/* Paragraphs as in --help: lines that begin with a blank stand as they are. */
static void print_about(const char *text)
{
    bool verbatim = false;

    while (*text) {
        size_t n = strcspn(text, "\n");

        if ((*text == ' ') != verbatim) {
            verbatim = !verbatim;
            puts(verbatim ? ".nf" : ".fi");
        }
        print_text(text, n);
        puts(n == 0 ? ".PP" : "");
        text += n + (text[n] == '\n');
    }
    if (verbatim)
        puts(".fi");
}

static void print_option(const cli_option *o)
{
    const char letter[] = {'-', o->letter, '\0'};

    puts(".TP");
    if (o->letter) {
        print_font('B', letter);
        fputs(", ", stdout);
    }
    print_font('B', o->name);
    if (o->value) {
        putchar(' ');
        print_font('I', o->value);
    }
    putchar('\n');
    print_all(o->help);
    if (o->fallback && o->type != CLI_FLAG) {
        fputs(" [", stdout);
        print_all(o->fallback);
        putchar(']');
    }
    putchar('\n');
}

static void print_examples(const char *text)
{
    puts(".nf\n.RS");
    while (*text) {
        size_t n = strcspn(text, "\n");

        fputs("$ ", stdout);
        print_text(text, n);
        putchar('\n');
        text += n + (text[n] == '\n');
    }
    puts(".RE\n.fi");
}

/* Words are neither hyphenated nor spread: options and file names stay whole. */
static void print_title(const char *command)
{
    fputs(".TH ", stdout);
    print_page_name(command);
    printf(" 1 \"\" \"volt %s\" \"VOLT manual\"\n.ad l\n.nh\n.SH NAME\n", volt_version());
}

static void print_command(const cli_command *command)
{
    const cli_option *o;

    print_title(command->name);
    print_page_name(command->name);
    fputs(" \\- ", stdout);
    print_all(command->one_line);
    fputs("\n.SH SYNOPSIS\n\\fBvolt ", stdout);
    print_all(command->name);
    fputs("\\fR [options] ", stdout);
    print_font('I', command->args);
    puts("\n.SH DESCRIPTION");
    print_about(command->about);
    puts(".SH OPTIONS");
    for (size_t i = 0; (o = cli_option_at(command, i)) != NULL; i++)
        print_option(o);
    puts(".SH EXAMPLES");
    print_examples(command->example);
    puts(".SH SEE ALSO\n.BR volt (1)");
}

static void print_commands(cli_section section)
{
    fputs(".SS ", stdout);
    print_all(cli_section_title(section));
    putchar('\n');
    for (int i = 0; cli_commands[i]; i++) {
        if (cli_commands[i]->section != section)
            continue;
        fputs(".TP\n.BR ", stdout);
        print_page_name(cli_commands[i]->name);
        puts(" (1)");
        print_all(cli_commands[i]->one_line);
        putchar('\n');
    }
}

static void print_overview(void)
{
    print_title(NULL);
    puts("volt \\- train and run segmentation networks on medical volumes\n"
         ".SH SYNOPSIS\n\\fBvolt\\fR \\fICOMMAND\\fR [options] ...\n.br\n"
         "\\fBvolt help\\fR [\\fICOMMAND\\fR | \\fBexit\\-codes\\fR | "
         "\\fBenvironment\\fR]\n.br\n"
         "\\fBvolt \\-\\-version\\fR\n"
         ".SH DESCRIPTION\n"
         "Trains and runs 2\\-D, 2.5\\-D and 3\\-D segmentation networks on medical volumes.\n"
         ".SH COMMANDS");
    for (cli_section s = CLI_DATA; s < CLI_SECTIONS_END; s++)
        print_commands(s);
    puts(".SH EXIT STATUS");
#define PRINT_CODE(name, code, text)                                                           \
    printf(".TP\n.B %d\n", code);                                                              \
    print_all(text);                                                                           \
    putchar('\n');
    VOLT_STATUS_MAP(PRINT_CODE)
#undef PRINT_CODE
    puts(".SH ENVIRONMENT");
    for (const cli_variable *v = cli_environment; v->name; v++) {
        puts(".TP");
        print_font('B', v->name);
        putchar('\n');
        print_all(v->help);
        putchar('\n');
    }
}

void cli_print_man(const cli_command *command)
{
    if (command)
        print_command(command);
    else
        print_overview();
}
