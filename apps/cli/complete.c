#include <stdio.h>
#include <string.h>
#include "apps/cli/cli.h"
#include "base/version.h"

static const char topics[] = "exit-codes environment";

static bool has_words(const cli_option *o)
{
    return o->type == CLI_CHOICE || o->type == CLI_WORD;
}

/* Words "a|b|c" with blanks between them, up to the first blank. */
static void print_words(const char *words)
{
    for (; *words && *words != ' '; words++)
        putchar(*words == '|' ? ' ' : *words);
}

/* The words that the first argument may be ("brats|liver OUT"); NULL when it is a file. */
static const char *argument_words(const cli_command *command)
{
    return memchr(command->args, '|', strcspn(command->args, " ")) ? command->args : NULL;
}

/* Prints `text` with a backslash before each byte of `special`, or for the single quotes of zsh
 * as the four bytes that end a string, quote one and go on. */
static void print_escaped(const char *text, const char *special, bool zsh)
{
    for (; *text; text++) {
        if (zsh && *text == '\'')
            fputs("'\\'", stdout);
        else if (strchr(special, *text))
            putchar('\\');
        putchar(*text);
    }
}

/* Iterates from *i over the first words of all commands, each once, or over the second words of
 * those in `group`; false at the end. */
static bool next_name(const cli_command **command, const char **name, int *bytes, int *i,
                      const char *group)
{
    while (cli_commands[*i]) {
        const cli_command *c = cli_commands[(*i)++];
        const int first = (int)strcspn(c->name, " ");
        bool seen = false;

        if (group && !cli_in_group(c, group))
            continue;
        for (int k = 0; !group && c->name[first] && k < *i - 1; k++)
            seen = seen || (strncmp(cli_commands[k]->name, c->name, (size_t)first + 1) == 0);
        if (seen)
            continue;
        *command = c;
        *name = group ? c->name + first + 1 : c->name;
        *bytes = group ? (int)strlen(*name) : first;
        return true;
    }
    return false;
}

static void print_names(const char *group)
{
    const cli_command *command;
    const char *name, *space = "";
    int bytes;

    for (int i = 0; next_name(&command, &name, &bytes, &i, group); space = " ")
        printf("%s%.*s", space, bytes, name);
}

/* Calls `print` with the name of every group ("bench"). */
static void for_each_group(void (*print)(const char *group))
{
    const cli_command *command;
    const char *name;
    char group[40];
    int bytes;

    for (int i = 0; next_name(&command, &name, &bytes, &i, NULL);) {
        snprintf(group, sizeof group, "%.*s", bytes, name);
        if (cli_is_group(group))
            print(group);
    }
}

/* ---- bash ---- */

static void bash_group(const char *group)
{
    printf("    %s) echo '", group);
    print_names(group);
    puts("' ;;");
}

static void bash_options(const cli_command *command)
{
    const cli_option *o;

    printf("    '%s') echo '", command->name);
    for (size_t i = 0; (o = cli_option_at(command, i)) != NULL; i++) {
        printf("%s%s", i ? " " : "", o->name);
        if (o->letter)
            printf(" -%c", o->letter);
    }
    puts("' ;;");
}

static void bash_values(const cli_command *command)
{
    const cli_option *o;

    for (size_t i = 0; (o = cli_option_at(command, i)) != NULL; i++) {
        if (o->type == CLI_FLAG)
            continue;
        printf("    '%s %s'", command->name, o->name);
        if (o->letter)
            printf(" | '%s -%c'", command->name, o->letter);
        fputs(") ", stdout);
        if (has_words(o)) {
            fputs("echo '", stdout);
            print_words(o->value);
            fputs("' ", stdout);
        }
        puts(";;");
    }
    if (argument_words(command)) {
        printf("    '%s') echo '", command->name);
        print_words(command->args);
        puts("' ;;");
    }
}

static void print_origin(const char *shell)
{
    printf("# %s completion of volt %s, printed by 'volt help --completion %s'\n", shell,
           volt_version(), shell);
}

static void print_bash(void)
{
    print_origin("bash");
    puts("\n# _volt_subcommands GROUP\n_volt_subcommands() {\n    case \"$1\" in");
    for_each_group(bash_group);
    puts("    esac\n}\n\n# _volt_options COMMAND\n_volt_options() {\n    case \"$1\" in");
    for (int i = 0; cli_commands[i]; i++)
        bash_options(cli_commands[i]);
    puts("    esac\n}\n\n"
         "# _volt_values 'COMMAND OPTION' prints the words of its value, if these are fixed;\n"
         "# with 'COMMAND' alone those of its first argument. Fails where no value belongs.\n"
         "_volt_values() {\n    case \"$1\" in");
    for (int i = 0; cli_commands[i]; i++)
        bash_values(cli_commands[i]);
    fputs("    *) return 1 ;;\n    esac\n}\n\n"
          "# File names are completed wherever COMPREPLY stays empty.\n"
          "_volt() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    local command=${COMP_WORDS[1]} first=2 words=\n"
          "    COMPREPLY=()\n"
          "    # bash takes --option=value apart at the equals sign.\n"
          "    if [[ $cur == = ]]; then\n"
          "        cur=\n"
          "    elif [[ $prev == = ]]; then\n"
          "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    fi\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        words='",
          stdout);
    print_names(NULL);
    fputs(" help --help --version'\n"
          "    elif [[ $command == help ]]; then\n"
          "        words=$(_volt_subcommands \"${COMP_WORDS[2]}\")\n"
          "        ((COMP_CWORD == 2)) && words='",
          stdout);
    print_names(NULL);
    printf(" %s'\n", topics);
    puts("    elif ((COMP_CWORD == 2)) && [[ -n $(_volt_subcommands \"$command\") ]]; then\n"
         "        words=$(_volt_subcommands \"$command\")\n"
         "    else\n"
         "        if [[ -n $(_volt_subcommands \"$command\") ]]; then\n"
         "            command+=\" ${COMP_WORDS[2]}\"\n"
         "            first=3\n"
         "        fi\n"
         "        if ! words=$(_volt_values \"$command $prev\"); then\n"
         "            if [[ $cur == -* ]]; then\n"
         "                words=$(_volt_options \"$command\")\n"
         "            elif ((COMP_CWORD == first)); then\n"
         "                words=$(_volt_values \"$command\")\n"
         "            fi\n"
         "        fi\n"
         "    fi\n"
         "    [[ -z $words ]] || mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
         "}\n"
         "complete -o bashdefault -o default -F _volt volt");
}

/* ---- zsh ---- */

static void zsh_names(const char *group)
{
    const cli_command *command;
    const char *name;
    int bytes;

    for (int i = 0; next_name(&command, &name, &bytes, &i, group);) {
        printf("            '%.*s:", bytes, name);
        if (group || !command->name[bytes])
            print_escaped(command->one_line, "\\:", true);
        else
            printf("commands that begin with %.*s", bytes, name);
        puts("'");
    }
}

static void zsh_group(const char *group)
{
    printf("    %s)\n        if ((CURRENT == 2)); then\n            names=(\n", group);
    zsh_names(group);
    puts("            )\n            _describe -t commands 'volt command' names\n"
         "            return\n        fi\n"
         "        command+=\" $words[2]\"\n        shift words\n        ((CURRENT--))\n"
         "        ;;");
}

static void zsh_option(const cli_option *o)
{
    const char *equals = o->type == CLI_FLAG ? "" : "=";

    if (o->letter)
        printf("            '(-%c %s)'{-%c,%s%s}'[", o->letter, o->name, o->letter, o->name,
               equals);
    else
        printf("            '%s%s[", o->name, equals);
    print_escaped(o->help, "\\[]:", true);
    putchar(']');
    if (o->type != CLI_FLAG) {
        fputs(": :", stdout);
        if (has_words(o)) {
            putchar('(');
            print_words(o->value);
            putchar(')');
        } else {
            fputs("_files", stdout);
        }
    }
    puts("' \\");
}

static void zsh_command(const cli_command *command)
{
    const cli_option *o;

    printf("    '%s')\n        _arguments -S \\\n", command->name);
    for (size_t i = 0; (o = cli_option_at(command, i)) != NULL; i++)
        zsh_option(o);
    if (argument_words(command)) {
        fputs("            '1: :(", stdout);
        print_words(command->args);
        puts(")' \\");
    }
    puts("            '*: :_files'\n        ;;");
}

static void print_zsh(void)
{
    puts("#compdef volt");
    print_origin("zsh");
    puts("\n_volt() {\n    local command\n    local -a names\n"
         "    if ((CURRENT == 2)); then\n        names=(");
    zsh_names(NULL);
    puts("            'help:describe a command'\n        )\n"
         "        _describe -t commands 'volt command' names\n"
         "        return\n    fi\n"
         "    command=$words[2]\n    shift words\n    ((CURRENT--))\n"
         "    if [[ $command == help ]]; then\n"
         "        if ((CURRENT == 2)); then");
    fputs("            compadd ", stdout);
    print_names(NULL);
    printf(" %s\n", topics);
    puts("            return\n        fi\n"
         "        command=$words[2]\n        shift words\n        ((CURRENT--))\n    fi\n"
         "    case $command in");
    for_each_group(zsh_group);
    puts("    esac\n    case $command in");
    for (int i = 0; cli_commands[i]; i++)
        zsh_command(cli_commands[i]);
    puts("    esac\n}\n\n_volt \"$@\"");
}

/* ---- fish ---- */

static void fish_names(const char *group)
{
    const cli_command *command;
    const char *name;
    int bytes;

    for (int i = 0; next_name(&command, &name, &bytes, &i, group);) {
        printf("complete -c volt -f -n '__volt_after%s%s' -a %.*s", group ? " " : "",
               group ? group : "", bytes, name);
        if (group || !command->name[bytes]) {
            fputs(" -d '", stdout);
            print_escaped(command->one_line, "\\'", false);
            putchar('\'');
        }
        putchar('\n');
    }
}

static void fish_group(const char *group)
{
    fish_names(group);
    printf("complete -c volt -f -n '__volt_after help %s' -a '", group);
    print_names(group);
    puts("'");
}

static void fish_option(const cli_command *command, const cli_option *o)
{
    printf("complete -c volt -n '__volt_is %s' -l %s", command->name, o->name + 2);
    if (o->letter)
        printf(" -s %c", o->letter);
    if (has_words(o)) {
        fputs(" -x -a '", stdout);
        print_words(o->value);
        putchar('\'');
    } else if (o->type != CLI_FLAG) {
        fputs(" -r", stdout);
    }
    fputs(" -d '", stdout);
    print_escaped(o->help, "\\'", false);
    puts("'");
}

static void print_fish(void)
{
    const cli_option *o;

    print_origin("fish");
    puts("\n# True when the word being typed comes directly after 'volt $argv'.\n"
         "function __volt_after\n    set -l words (commandline -opc)\n    set -e words[1]\n"
         "    test \"$words\" = \"$argv\"\nend\n"
         "\n# True when the line begins with 'volt $argv'.\n"
         "function __volt_is\n    set -l words (commandline -opc)\n    set -e words[1]\n"
         "    test (count $words) -ge (count $argv)\n    or return 1\n"
         "    set -l first $words[1..(count $argv)]\n"
         "    test \"$first\" = \"$argv\"\nend\n");
    fish_names(NULL);
    puts("complete -c volt -f -n '__volt_after' -a help -d 'describe a command'");
    fputs("complete -c volt -f -n '__volt_after help' -a '", stdout);
    print_names(NULL);
    printf(" %s'\n", topics);
    for_each_group(fish_group);
    for (int i = 0; cli_commands[i]; i++) {
        const cli_command *command = cli_commands[i];

        for (size_t k = 0; (o = cli_option_at(command, k)) != NULL; k++)
            fish_option(command, o);
        if (argument_words(command)) {
            printf("complete -c volt -f -n '__volt_after %s' -a '", command->name);
            print_words(command->args);
            puts("'");
        }
    }
}

volt_status cli_print_completion(const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        print_bash();
    else if (strcmp(shell, "zsh") == 0)
        print_zsh();
    else if (strcmp(shell, "fish") == 0)
        print_fish();
    else
        return volt_fail(VOLT_EINVAL, "--completion: '%s' is not bash|zsh|fish", shell);
    return VOLT_OK;
}
