#include "show/pictures/text.h"

#include <ft2build.h>
#include <freetype/ftadvanc.h>
#include <freetype/freetype.h>
#include <freetype/ftoutln.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include "show/pictures/draw.h"

#define BOX_WIDTH 0.6 /* of a character that cannot be shown */

/* FreeType with the font, opened at the first use and never closed. All access under `lock`. */
static struct {
    pthread_mutex_t lock;
    FT_Library library;
    FT_Face face;
} text_font = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Opens the font if necessary and selects a size. False without memory. */
static bool select_size(double size)
{
    if (!text_font.library && FT_Init_FreeType(&text_font.library) != 0) {
        text_font.library = NULL;
        return false;
    }
    if (!text_font.face && FT_New_Memory_Face(text_font.library, volt_font,
                                              (FT_Long)volt_font_bytes, 0, &text_font.face)) {
        text_font.face = NULL;
        return false;
    }
    return FT_Set_Char_Size(text_font.face, 0, (FT_F26Dot6)lround(size * 64), 72, 72) == 0;
}

unsigned volt_text_next(const char **text)
{
    const unsigned char *s = (const unsigned char *)*text;
    const int bytes = s[0] < 0x80                   ? 1
                      : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                      : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                      : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                                    : 0;
    unsigned code = bytes < 2 ? s[0] : s[0] & (0x7fu >> bytes);
    int read = 1;

    while (read < bytes && (s[read] & 0xc0) == 0x80)
        code = code << 6 | (s[read++] & 0x3fu);
    *text += read;
    if (read < bytes || bytes == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0))
        return 0xfffd;
    if ((bytes == 3 && code < 0x800) || (bytes == 4 && (code < 0x10000 || code > 0x10ffff)) ||
        (code >= 0xd800 && code < 0xe000))
        return 0xfffd;
    return code;
}

/* The glyph of a character and how far the next one is from it, pixels; 0: a box. */
static FT_UInt glyph_of(bool ready, unsigned code, double *advance, double size)
{
    const FT_UInt glyph = ready && code != 0xfffd ? FT_Get_Char_Index(text_font.face, code) : 0;
    FT_Fixed units = 0; /* of the font */

    *advance = BOX_WIDTH * size;
    if (glyph == 0 || FT_Get_Advance(text_font.face, glyph, FT_LOAD_NO_SCALE, &units) != 0)
        return 0;
    *advance = (double)units * size / text_font.face->units_per_EM;
    return glyph;
}

static void draw_box(volt_picture *p, double x, double base, double size, volt_color c)
{
    const int64_t left = lround(x + 0.1 * size), top = lround(base - VOLT_TEXT_CAPITAL * size);
    const int64_t width = volt_max_i64(lround(0.4 * size), 3), height = lround(base) - top;

    volt_picture_box(p, left, top, width, 1, c);
    volt_picture_box(p, left, top + height - 1, width, 1, c);
    volt_picture_box(p, left, top, 1, height, c);
    volt_picture_box(p, left + width - 1, top, 1, height, c);
}

/* Draws a glyph at a fractional x. False without memory. */
static bool draw_glyph(volt_picture *p, FT_UInt glyph, double x, int64_t base, volt_color c)
{
    FT_GlyphSlot slot = text_font.face->glyph;
    const double whole = floor(x);

    if (FT_Load_Glyph(text_font.face, glyph, FT_LOAD_NO_BITMAP | FT_LOAD_TARGET_LIGHT) != 0)
        return false;

    if (slot->format == FT_GLYPH_FORMAT_OUTLINE)
        FT_Outline_Translate(&slot->outline, lround((x - whole) * 64), 0);
    if (FT_Render_Glyph(slot, FT_RENDER_MODE_NORMAL) != 0)
        return false;
    for (unsigned v = 0; v < slot->bitmap.rows; v++) {
        const unsigned char *row = slot->bitmap.buffer + (int64_t)v * slot->bitmap.pitch;

        for (unsigned u = 0; u < slot->bitmap.width; u++)
            volt_picture_blend(p, (int64_t)whole + slot->bitmap_left + (int64_t)u,
                               base - slot->bitmap_top + (int64_t)v, c, row[u] / 255.0);
    }
    return true;
}

void volt_picture_text(volt_picture *p, double x, double y, double size, volt_color c,
                       const char *text)
{
    const int64_t base = lround(y + VOLT_TEXT_CAPITAL * size);
    bool ready;

    pthread_mutex_lock(&text_font.lock);
    ready = select_size(size);
    while (*text && x < (double)p->width) {
        double advance;
        const FT_UInt glyph = glyph_of(ready, volt_text_next(&text), &advance, size);

        if (glyph == 0 || !draw_glyph(p, glyph, x, base, c))
            draw_box(p, x, (double)base, size, c);
        x += advance;
    }
    pthread_mutex_unlock(&text_font.lock);
}

bool volt_text_readable(const char *text)
{
    bool readable = false;

    pthread_mutex_lock(&text_font.lock);
    if (select_size(16)) {
        while (*text && !readable) {
            const unsigned code = volt_text_next(&text);

            readable =
                code > 0x20 && code != 0xfffd && FT_Get_Char_Index(text_font.face, code) != 0;
        }
    }
    pthread_mutex_unlock(&text_font.lock);
    return readable;
}

/* The width of the first `bytes` bytes. */
static double width_of(const char *text, size_t bytes, double size)
{
    const char *end = text + bytes;
    double width = 0, advance;
    bool ready;

    pthread_mutex_lock(&text_font.lock);
    ready = select_size(size);
    while (text < end) {
        glyph_of(ready, volt_text_next(&text), &advance, size);
        width += advance;
    }
    pthread_mutex_unlock(&text_font.lock);
    return width;
}

double volt_text_width(const char *text, double size)
{
    return width_of(text, strlen(text), size);
}

size_t volt_text_fit(const char *text, double size, double width)
{
    const char *at = text, *last = text, *gap = text;
    double used = 0;

    while (*at) {
        const char *next = at;

        volt_text_next(&next);
        used += width_of(at, (size_t)(next - at), size);
        if (used > width && at > text && *at != ' ')
            break;
        at = next;
        last = at;
        if (at[-1] == ' ' || at[-1] == '/' || at[-1] == ',')
            gap = at;
    }
    if (!*at)
        return (size_t)(at - text);
    return (size_t)((gap > text ? gap : last) - text);
}
