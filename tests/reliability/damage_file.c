/* damage_file FILE SEED: damages a file in place, the same way for the same seed and content:
 * bits flipped, bytes overwritten, a part cut out, doubled, zeroed, swapped, or the end cut
 * off. In text, numbers and values are replaced by unlikely ones too. Prints what was done. */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (state >> 11) % below : 0;
}

typedef struct content {
    unsigned char *data;
    size_t bytes, room;
} content;

static void replace(content *c, size_t at, size_t old, const void *by, size_t bytes)
{
    if (c->bytes - old + bytes > c->room)
        return;
    memmove(c->data + at + bytes, c->data + at + old, c->bytes - at - old);
    memcpy(c->data + at, by, bytes);
    c->bytes += bytes - old;
}

/* The first word (number, name, null) from a random place on. */
static const char *damage_word(content *c)
{
    static const char *const words[] = {"-1",   "0",          "1e999",  "99999999999999999999",
                                        "null", "\"\"",       "[]",     "{}",
                                        "0.5",  "2147483648", "nan",    "-9223372036854775808",
                                        "true", "[[[[1]]]]",  "1e-320", "\"../../x\""};
    const char *by = words[draw(sizeof words / sizeof *words)];
    size_t at = draw(c->bytes), end;

    while (at < c->bytes && !isalnum(c->data[at]) && c->data[at] != '-')
        at++;
    end = at;
    while (end < c->bytes && (isalnum(c->data[end]) || strchr("+-._", c->data[end])))
        end++;
    if (at > 0 && end < c->bytes && c->data[at - 1] == '"' && c->data[end] == '"') {
        at--; /* with its quotes */
        end++;
    }
    if (end > at)
        replace(c, at, end - at, by, strlen(by));
    return "a value replaced";
}

static const char *damage(content *c)
{
    const size_t at = draw(c->bytes), left = c->bytes - at;
    const size_t most = left < 64 ? left : 64, n = 1 + draw(most);
    /* headers and directories deserve more than their size */
    const size_t early = draw(c->bytes < 400 ? c->bytes : 400);
    unsigned char part[64];
    int text = 1;

    for (size_t i = 0; i < c->bytes && i < 400; i++)
        text = text && (c->data[i] >= 9 && c->data[i] < 127);
    if (text && draw(3))
        return damage_word(c);
    switch (draw(8)) {
    case 0:
        c->data[early] ^= (unsigned char)(1u << draw(8));
        return "a bit flipped near the start";
    case 1:
        for (uint64_t i = 1 + draw(8); i > 0; i--)
            c->data[draw(c->bytes)] ^= (unsigned char)(1u << draw(8));
        return "bits flipped";
    case 2:
        c->bytes = at;
        return "the end cut off";
    case 3:
        memset(c->data + at, draw(2) ? 0 : 255, n);
        return "bytes set";
    case 4:
        replace(c, at, n, "", 0);
        return "bytes cut out";
    case 5:
        memcpy(part, c->data + at, n);
        replace(c, at, 0, part, n);
        return "bytes doubled";
    case 6:
        for (size_t i = 0; i < n; i++)
            c->data[(early + i) % c->bytes] = (unsigned char)draw(256);
        return "random bytes near the start";
    default:
        memcpy(part, c->data + at, n);
        memmove(c->data + at, c->data + early, early + n <= c->bytes ? n : 0);
        if (early + n <= c->bytes)
            memcpy(c->data + early, part, n);
        return "bytes swapped";
    }
}

int main(int argc, char **argv)
{
    content c = {NULL, 0, 0};
    FILE *f = argc == 3 ? fopen(argv[1], "rb") : NULL;
    const char *done;
    long bytes;

    if (!f || fseek(f, 0, SEEK_END) != 0 || (bytes = ftell(f)) <= 0)
        return 2;
    rewind(f);
    c.room = (size_t)bytes + 4096;
    c.data = malloc(c.room);
    if (!c.data || fread(c.data, 1, (size_t)bytes, f) != (size_t)bytes)
        return 2;
    fclose(f);
    c.bytes = (size_t)bytes;
    state = (strtoull(argv[2], NULL, 10) + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < 8; i++)
        draw(0);
    done = damage(&c);
    f = fopen(argv[1], "wb");
    if (!f || fwrite(c.data, 1, c.bytes, f) != c.bytes || fclose(f) != 0)
        return 2;
    puts(done);
    free(c.data);
    return 0;
}
