/* text.h - anti-aliased text in pictures, in the font that the library contains.
 *
 * Text      UTF-8. A control character, a byte that is not UTF-8 and a character that the font
 *           lacks appear as a box.
 * Size      of the font, in pixels. Capital letters are VOLT_TEXT_CAPITAL times as high.
 * Threads   may be called from all threads; FreeType works for one at a time.
 */
#ifndef VOLT_SHOW_PICTURES_TEXT_H
#define VOLT_SHOW_PICTURES_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include "show/picture.h"

#define VOLT_TEXT_CAPITAL 0.729 /* height of capitals */
#define VOLT_TEXT_DEPTH   0.236 /* what reaches below the base line */

/* The font file, compiled in. */
extern const unsigned char volt_font[];
extern const size_t volt_font_bytes;

/* Draws one line. `x` is its left end, `y` the upper edge of its capital letters. What lies
 * outside the picture is clipped. Cannot fail: without memory for a character, its place stays
 * a box. */
void volt_picture_text(volt_picture *p, double x, double y, double size, volt_color c,
                       const char *text);
double volt_text_width(const char *text, double size); /* pixels */

/* Bytes of the part of `text` that fits into `width` pixels as one line: all of it, or up to a
 * blank or slash, or at least one character. */
size_t volt_text_fit(const char *text, double size, double width);

/* Decodes the character at *text, which is not at the end, and advances past it. U+FFFD where
 * there is a control character or no valid UTF-8. */
unsigned volt_text_next(const char **text);

/* Whether the font has any of the characters; false for "" and where there is no font. */
bool volt_text_readable(const char *text);

#endif
