/* utf8.h - validation of UTF-8, and text of strangers for terminals.
 *
 * Hostile  names and values from files reach messages: an escape sequence in one must not reach
 *          the user's terminal, and half a character must not break who reads them.
 * Threads  all functions are pure.
 */
#ifndef VOLT_BASE_CORE_UTF8_H
#define VOLT_BASE_CORE_UTF8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The bytes of the well-formed character at `text`, 1 to 4; 0: not UTF-8 (overlong forms,
 * surrogates, cut off). */
static inline size_t volt_utf8_character(const void *text, size_t bytes)
{
    static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)text;
    int more = -1;
    uint32_t code;

    if (bytes > 0)
        more = *at < 0x80             ? 0
               : (*at & 0xe0) == 0xc0 ? 1
               : (*at & 0xf0) == 0xe0 ? 2
               : (*at & 0xf8) == 0xf0 ? 3
                                      : -1;
    if (more < 0 || bytes <= (size_t)more)
        return 0;
    code = more == 0 ? *at : *at & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3f);
    }
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return 1 + (size_t)more;
}

/* True for well-formed UTF-8. */
static inline bool volt_is_utf8(const void *text, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)text;

    while (bytes > 0) {
        const size_t n = volt_utf8_character(at, bytes);
        if (n == 0)
            return false;
        at += n;
        bytes -= n;
    }
    return true;
}

/* Replaces control characters (also those above ASCII, U+0080 to U+009F) and bytes that are not
 * UTF-8 by question marks, byte by byte. */
static inline void volt_make_printable(char *text, size_t bytes)
{
    for (size_t i = 0, n; i < bytes; i += n) {
        const unsigned char *c = (const unsigned char *)text + i;

        n = volt_utf8_character(c, bytes - i);
        if (n == 0 || (n == 1 && (*c < ' ' || *c == 127)) ||
            (n == 2 && *c == 0xc2 && c[1] < 0xa0)) {
            n = n < 2 ? 1 : 2;
            memset(text + i, '?', n);
        }
    }
}

#endif
