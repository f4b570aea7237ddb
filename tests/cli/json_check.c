/* json_check.c - for the command-line tests: fails unless every line of stdin is one JSON
 * document and there is at least one. Arguments are keys that each document must have. */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "io/json/json.h"

static int check_line(const char *line, size_t bytes, int keys, char **key)
{
    volt_json doc = {0};
    volt_json_at root, member;
    int bad = volt_json_parse(&doc, line, bytes, "stdin") != VOLT_OK;

    for (int i = 0; !bad && i < keys; i++) {
        root = volt_json_root(&doc);
        bad = volt_json_member(&member, &root, key[i]) != VOLT_OK;
    }
    if (bad)
        fprintf(stderr, "%s\n", volt_last_error());
    volt_json_close(&doc);
    return bad;
}

int main(int argc, char **argv)
{
    static char line[1 << 20];
    int lines = 0, bad = 0;

    while (fgets(line, sizeof line, stdin)) {
        bad |= check_line(line, strlen(line), argc - 1, argv + 1);
        lines++;
    }
    if (lines == 0)
        fputs("no line to check\n", stderr);
    return bad || lines == 0;
}
