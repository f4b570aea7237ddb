#include <string.h>
#include "apps/cli/cli.h"

enum { LONGEST = 40 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`: the optimal
 * string alignment distance. Longer words than LONGEST count as far apart. */
static int edits(const char *a, const char *b)
{
    int d[LONGEST + 1][LONGEST + 1];
    int n = (int)strlen(a), m = (int)strlen(b);

    if (n > LONGEST || m > LONGEST)
        return LONGEST;
    for (int i = 0; i <= n; i++)
        d[i][0] = i;
    for (int j = 0; j <= m; j++)
        d[0][j] = j;
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
                            d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

const char *cli_suggest(const char *word, const char *const *words, size_t count)
{
    int limit = 1 + (int)strlen(word) / 4;
    const char *best = NULL;

    for (size_t i = 0; i < count; i++) {
        int e = edits(word, words[i]);

        if (e <= limit) {
            best = words[i];
            limit = e - 1;
        }
    }
    return best;
}
