#include <stdio.h>
#include <string.h>
#include "apps/cli/cli.h"
#include "base/mem.h"

volt_status cli_print_json(json_t *root)
{
    char *text = NULL;
    size_t bytes = 0;
    volt_status st;

    if (!root)
        return volt_fail(VOLT_ENOMEM, "out of memory for the JSON output");
    st = volt_json_dump_line(&text, &bytes, root);
    if (st == VOLT_OK)
        printf("%s\n", text);
    volt_free(text);
    json_decref(root);
    return st;
}

json_t *cli_json_strings(char *const *text, int64_t count)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < count; i++)
        json_array_append_new(list, volt_json_string(text[i]));
    return list;
}

void cli_print_word(const char *path)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789_./+-@%:,=";

    if (*path && path[strspn(path, plain)] == '\0') {
        fputs(path, stdout);
        return;
    }
    putchar('\'');
    for (; *path; path++) {
        if (*path == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*path);
    }
    putchar('\'');
}
