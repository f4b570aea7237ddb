#include "apps/cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/plural.h"

/* Options that every command, or every command with the flag in `common`, understands; their
 * fields lie in `cli`. */
static const cli_option common_options[] = {
    {"--threads", 0, CLI_INT, offsetof(cli, threads), "T", NULL, 0, 4096,
     "number of threads [all available cores]"},
    {"--json", 0, CLI_FLAG, offsetof(cli, json), NULL, NULL, 0, 0, "print the result as JSON"},
    {"--quiet", 'q', CLI_FLAG, offsetof(cli, quiet), NULL, NULL, 0, 0,
     "no progress or notes; warnings and errors only"},
    {"--verbose", 'v', CLI_FLAG, offsetof(cli, verbose), NULL, NULL, 0, 0, "log more detail"},
    {"--help", 'h', CLI_FLAG, offsetof(cli, help), NULL, NULL, 0, 0, "print this help"},
};

static bool takes_common(const cli_command *command, const cli_option *common)
{
    if (common->offset == offsetof(cli, threads))
        return command->common & CLI_THREADS;
    if (common->offset == offsetof(cli, json))
        return command->common & CLI_JSON;
    return true;
}

const cli_option *cli_option_at(const cli_command *command, size_t index)
{
    if (index < command->options_count)
        return &command->options[index];
    index -= command->options_count;
    for (size_t i = 0; i < sizeof common_options / sizeof common_options[0]; i++) {
        if (takes_common(command, &common_options[i]) && index-- == 0)
            return &common_options[i];
    }
    return NULL;
}

static volt_status bad_value(const cli_option *option, const char *text)
{
    const char *wants = option->value;

    if (option->type == CLI_DURATION)
        wants = "a duration such as 90s, 30m or 1h30m";
    else if (option->type == CLI_INT)
        wants = "an integer";
    else if (option->type == CLI_REAL)
        wants = "a number";
    if (option->low < option->high)
        return volt_fail(VOLT_EINVAL, "%s: '%s' is not %s from %.10g to %.10g", option->name,
                         text, wants, option->low, option->high);
    return volt_fail(VOLT_EINVAL, "%s: '%s' is not %s", option->name, text, wants);
}

static bool in_range(const cli_option *option, double v)
{
    return isfinite(v) &&
           (option->low >= option->high || (v >= option->low && v <= option->high));
}

/* Reads a decimal number at *p, an integer if `whole`; moves *p past it. */
static bool read_number(double *out, const char **p, bool whole)
{
    const char *digits = *p + strspn(*p, "+-");
    char *end = NULL;

    /* strtod also takes "inf", "nan" and hexadecimal numbers. */
    if (!(isdigit((unsigned char)*digits) || *digits == '.') ||
        (digits[0] == '0' && tolower((unsigned char)digits[1]) == 'x'))
        return false;
    *out = strtod(*p, &end);
    if (end == *p || (whole && (*out != floor(*out) || fabs(*out) > 9007199254740992.0)))
        return false;
    *p = end;
    return true;
}

/* "1h30m", "45s", "90" (seconds). */
static bool read_duration(double *out, const char *text)
{
    double total = 0, v;

    if (!*text)
        return false;
    while (*text) {
        if (!read_number(&v, &text, false) || v < 0)
            return false;
        if (*text == 'h')
            v *= 3600;
        else if (*text == 'm')
            v *= 60;
        else if (*text != 's' && *text != '\0')
            return false;
        text += *text != '\0';
        total += v;
    }
    *out = total;
    return true;
}

static bool read_choice(int *out, const char *words, const char *text)
{
    size_t n = strlen(text);

    for (int i = 0; words; i++) {
        const char *end = strchr(words, '|');
        size_t length = end ? (size_t)(end - words) : strlen(words);

        if (length == n && strncmp(words, text, n) == 0) {
            *out = i;
            return true;
        }
        words = end ? end + 1 : NULL;
    }
    return false;
}

/* How many numbers a list's placeholder allows: "x,y,z" 3, "[D,]H,W" 2 or 3, "A[,B,...]" any.
 */
static void list_bounds(int *least, int *most, const char *value)
{
    int depth = 0;

    *least = *most = 1;
    for (const char *at = value; *at; at++) {
        depth += (*at == '[') - (*at == ']');
        *most += *at == ',';
        *least += *at == ',' && depth == 0;
    }
    if (strstr(value, "..."))
        *most = CLI_LIST_MAX;
}

static volt_status bad_count(const cli_option *option, const char *text, int count)
{
    int least, most;
    char wanted[32];

    list_bounds(&least, &most, option->value);
    snprintf(wanted, sizeof wanted,
             least == most       ? "%d"
             : most == least + 1 ? "%d or %d"
                                 : "%d to %d",
             least, most);
    return volt_fail(VOLT_EINVAL, "%s: '%s' has %d number%s; %s %s expected, written %s",
                     option->name, text, count, volt_s(count), wanted, most == 1 ? "is" : "are",
                     option->value);
}

/* The text up to the next comma, for messages. */
static volt_status bad_item(const cli_option *option, const char *item, const char *text)
{
    const char *wants = option->type == CLI_INTS ? "an integer" : "a number";
    const int length = (int)strcspn(item, ",");
    char range[80] = "";

    if (option->low < option->high)
        snprintf(range, sizeof range, " from %.10g to %.10g", option->low, option->high);
    if (!strchr(text, ',')) /* the whole value */
        return volt_fail(VOLT_EINVAL, "%s: '%s' is not %s%s", option->name, text, wants, range);
    if (length == 0)
        return volt_fail(VOLT_EINVAL, "%s: '%s' has a comma without a number%s", option->name,
                         text, range);
    return volt_fail(VOLT_EINVAL, "%s: '%.*s' in '%s' is not %s%s", option->name, length, item,
                     text, wants, range);
}

/* Numbers with commas between them, at most `most` of them. */
static volt_status read_list(double *out, int *count, int most, const cli_option *option,
                             const char *text)
{
    const char *at = text;
    int n = 0;

    for (;;) {
        const char *item = at;
        double v;

        if (!read_number(&v, &at, option->type == CLI_INTS) || !in_range(option, v) ||
            (*at != '\0' && *at != ','))
            return bad_item(option, item, text);
        if (n < most)
            out[n] = v;
        n++;
        if (*at++ == '\0')
            break;
    }
    *count = n;
    return VOLT_OK;
}

static volt_status set_list(cli_list *field, const cli_option *option, const char *text)
{
    cli_list list = {{0}, 0};
    int least, most;
    const volt_status st = read_list(list.v, &list.count, CLI_LIST_MAX, option, text);

    if (st != VOLT_OK)
        return st;
    list_bounds(&least, &most, option->value);
    if (list.count < least || list.count > most)
        return bad_count(option, text, list.count);
    *field = list;
    return VOLT_OK;
}

volt_status cli_read_numbers(double *out, int *count, int most, const char *name,
                             const char *text)
{
    const cli_option option = {.name = name, .type = CLI_REALS};
    const volt_status st = read_list(out, count, most, &option, text);

    if (st == VOLT_OK && *count > most)
        return volt_fail(VOLT_EINVAL, "%s: '%.40s...' has %d numbers; at most %d are possible",
                         name, text, *count, most);
    return st;
}

volt_status cli_read_pairs(int32_t *from, int32_t *to, int *count, int most, const char *name,
                           const char *text)
{
    const char *at = text;
    double v[2];

    *count = 0;
    for (;;) {
        if (*count == most)
            return volt_fail(VOLT_EINVAL, "%s: more than %d pairs", name, most);
        if (!read_number(&v[0], &at, true) || *at++ != '=' || !read_number(&v[1], &at, true) ||
            (*at != '\0' && *at != ',') || fabs(v[0]) > INT32_MAX || fabs(v[1]) > INT32_MAX)
            return volt_fail(VOLT_EINVAL,
                             "%s: '%s' is not a list of pairs of integers, such as 40=1,230=2",
                             name, text);
        from[*count] = (int32_t)v[0];
        to[(*count)++] = (int32_t)v[1];
        if (*at++ == '\0')
            return VOLT_OK;
    }
}

volt_status cli_set_value(void *field, const cli_option *option, const char *text)
{
    const char *p = text;
    double v = 0;
    int position;
    bool good = false;

    switch (option->type) {
    case CLI_FLAG:
        *(bool *)field = true;
        return VOLT_OK;
    case CLI_TEXT:
        if (!*text)
            return volt_fail(VOLT_EINVAL, "%s: the value is empty", option->name);
        *(const char **)field = text;
        return VOLT_OK;
    case CLI_CHOICE:
        good = read_choice(field, option->value, text);
        break;
    case CLI_WORD:
        good = read_choice(&position, option->value, text);
        if (good)
            *(const char **)field = text;
        break;
    case CLI_INTS:
    case CLI_REALS:
        return set_list(field, option, text);
    case CLI_DURATION:
        good = read_duration(&v, text) && in_range(option, v);
        if (good)
            *(double *)field = v;
        break;
    case CLI_INT:
    case CLI_REAL:
        good = read_number(&v, &p, option->type == CLI_INT) && !*p && in_range(option, v);
        if (good && option->type == CLI_INT)
            *(int64_t *)field = (int64_t)v;
        else if (good)
            *(double *)field = v;
        break;
    }
    return good ? VOLT_OK : bad_value(option, text);
}

static volt_status set_defaults(char *base, const cli_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *field = base + options[i].offset;

        if (options[i].fallback) {
            volt_status st = cli_set_value(field, &options[i], options[i].fallback);

            if (st != VOLT_OK)
                return st;
        } else if (options[i].type == CLI_CHOICE) {
            *(int *)field = -1;
        }
    }
    return VOLT_OK;
}

/* Does `word` ("--name", "--name=value" or "-n") name this option? */
static bool names_option(const cli_option *option, const char *word)
{
    size_t n = strcspn(word, "=");

    if (word[1] != '-')
        return option->letter && word[1] == option->letter && word[2] == '\0';
    return strlen(option->name) == n && strncmp(option->name, word, n) == 0;
}

/* The option of this command that `word` names, and its field; NULL when there is none. */
static const cli_option *find_option(cli *c, const char *word, void **field)
{
    const cli_option *o;

    for (size_t i = 0; (o = cli_option_at(c->command, i)) != NULL; i++) {
        if (names_option(o, word)) {
            *field = (char *)(i < c->command->options_count ? c->options : c) + o->offset;
            return o;
        }
    }
    return NULL;
}

static volt_status unknown_option(const cli_command *command, const char *typed)
{
    const char *names[64];
    char word[64];
    size_t count = 0;
    const cli_option *o;
    const char *near;

    while (count < 64 && (o = cli_option_at(command, count)) != NULL)
        names[count++] = o->name;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(typed, "="), typed);
    near = cli_suggest(word, names, count);
    if (near)
        return volt_fail(VOLT_EINVAL, "volt %s has no option '%s'; did you mean '%s'?",
                         command->name, word, near);
    return volt_fail(VOLT_EINVAL,
                     "volt %s has no option '%s'; 'volt %s --help' lists all options",
                     command->name, word, command->name);
}

/* "runs/a/" is "runs/a": a run is named after the last part of its path. */
static void drop_slashes(char *path)
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
}

static volt_status take_value(void *field, const cli_option *option, char *text)
{
    const char *what = option->value;

    if (option->type == CLI_TEXT &&
        (strstr(what, "DIR") || strstr(what, "RUN") || strstr(what, "OUT")))
        drop_slashes(text);
    return cli_set_value(field, option, text);
}

/* Takes the option at argv[*i] and its value; leaves *i at the last word used. */
static volt_status take_option(cli *c, int *i, int count, char **argv)
{
    const char *word = argv[*i];
    char *value = strchr(argv[*i], '=');
    void *field = NULL;
    const cli_option *option = find_option(c, word, &field);

    if (!option) {
        bool taken;
        const volt_status st = cli_foreign_option(&taken, c->command, i, count, argv);

        return st != VOLT_OK || taken ? st : unknown_option(c->command, word);
    }
    c->given[c->given_count++] = option;
    if (option->type == CLI_FLAG) {
        if (word[1] == '-' && value)
            return volt_fail(VOLT_EINVAL, "%s takes no value", option->name);
        return cli_set_value(field, option, NULL);
    }
    if (word[1] == '-' && value)
        return take_value(field, option, value + 1);
    if (*i + 1 >= count || strncmp(argv[*i + 1], "--", 2) == 0)
        return volt_fail(VOLT_EINVAL, "%s needs a value: %s", word, option->value);
    *i += 1;
    return take_value(field, option, argv[*i]);
}

static volt_status check_args(const cli *c)
{
    const cli_command *command = c->command;

    if (c->help)
        return VOLT_OK;
    if (c->args_count < command->min_args)
        return volt_fail(VOLT_EINVAL, "too few arguments; usage: volt %s [options] %s",
                         command->name, command->args);
    if (strcmp(command->name, "train") == 0 && c->args_count == 3)
        return volt_fail(
            VOLT_EINVAL,
            "unexpected argument '%s'; nnU-Net's call is here: volt train %s -c %s "
            "--fold %s -o RUN, with the folder of the data set",
            c->args[1], c->args[0], c->args[1], c->args[2]);
    if (command->max_args >= 0 && c->args_count > command->max_args)
        return volt_fail(VOLT_EINVAL, "unexpected argument '%s'; usage: volt %s [options] %s",
                         c->args[command->max_args], command->name, command->args);
    return VOLT_OK;
}

volt_status cli_parse(cli *c, const cli_command *command, int count, char **argv)
{
    bool only_args = false;
    volt_status st;

    c->command = command;
    VOLT_TRY(st, done, volt_alloc_zero(&c->options, 1, command->options_bytes, "options"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&c->args, (size_t)count + 1, sizeof *c->args, "arguments"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&c->given, (size_t)count + 1, sizeof *c->given, "arguments"));
    VOLT_TRY(st, done, set_defaults(c->options, command->options, command->options_count));
    for (int i = 0; i < count; i++) {
        if (only_args || argv[i][0] != '-' || argv[i][1] == '\0') {
            drop_slashes(argv[i]);
            c->args[c->args_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else {
            VOLT_TRY(st, done, take_option(c, &i, count, argv));
        }
    }
    st = check_args(c);
done:
    return st;
}

bool cli_given(const cli *c, const char *name)
{
    for (int i = 0; i < c->given_count; i++) {
        if (strcmp(c->given[i]->name, name) == 0)
            return true;
    }
    return false;
}

void cli_free(cli *c)
{
    volt_free(c->given);
    volt_free(c->options);
    volt_free(c->args);
}
