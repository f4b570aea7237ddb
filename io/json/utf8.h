/* utf8.h - validation of UTF-8. Internal to io. */
#ifndef VOLT_IO_JSON_UTF8_H
#define VOLT_IO_JSON_UTF8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True for well-formed UTF-8: no overlong forms, no surrogates. */
static inline bool volt_is_utf8(const void *text, size_t bytes)
{
    static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)text, *end = at + bytes;

    while (at < end) {
        const int more = *at < 0x80             ? 0
                         : (*at & 0xe0) == 0xc0 ? 1
                         : (*at & 0xf0) == 0xe0 ? 2
                         : (*at & 0xf8) == 0xf0 ? 3
                                                : -1;
        uint32_t code = more <= 0 ? *at : *at & (0x3fu >> more);
        if (more < 0 || end - at <= more)
            return false;
        for (int i = 1; i <= more; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (at[i] & 0x3f);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
        at += 1 + more;
    }
    return true;
}

#endif
