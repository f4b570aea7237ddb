/* text_lines.h - lines and fields of a text header, for the parsers of its formats. */
#ifndef VOLT_IO_IMAGE_TEXT_LINES_H
#define VOLT_IO_IMAGE_TEXT_LINES_H
#include "io/image/text_header.h"

/* What is left of the text. */
typedef struct volt_text {
    const char *at, *end;
    const char *path;
} volt_text;

/* A part of the text, not terminated. */
typedef struct volt_span_text {
    const char *at;
    size_t bytes;
} volt_span_text;

/* The next line without its end and surrounding blanks; false at the end of the text. */
bool volt_text_line(volt_span_text *out, volt_text *t);
/* Splits at `separator`, trims both parts; false: there is none. */
bool volt_text_split(volt_span_text *key, volt_span_text *value, volt_span_text line,
                     char separator);
/* The next word of *rest, which moves behind it; false: no more. */
bool volt_text_word(volt_span_text *out, volt_span_text *rest);
bool volt_text_is(volt_span_text a, const char *word); /* in any case */
/* A number that fills the word. */
bool volt_text_integer(int64_t *out, volt_span_text word);
bool volt_text_real(double *out, volt_span_text word);
/* Adds the name of a voxel file. VOLT_EFORMAT: it is not a plain name; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_text_add_file(volt_text_header *h, volt_span_text name,
                                             const char *path);
/* One name per line up to the end of the text. */
VOLT_MUST_USE volt_status volt_text_add_list(volt_text_header *h, volt_text *t);
/* "slice%03d.raw" with the numbers first, first + step, ... up to last. */
VOLT_MUST_USE volt_status volt_text_add_pattern(volt_text_header *h, volt_span_text pattern,
                                                const int64_t numbers[3], const char *path);
/* The number of axes and their extents. */
VOLT_MUST_USE volt_status volt_text_check_axes(const volt_text_header *h, int64_t axes,
                                               int extents, const char *path);
VOLT_MUST_USE volt_status volt_text_warn(volt_text_header *h, const char *fmt, ...)
    VOLT_PRINTF(2, 3);

VOLT_MUST_USE volt_status volt_meta_header_parse(volt_text_header *h, volt_text *t);
VOLT_MUST_USE volt_status volt_nrrd_header_parse(volt_text_header *h, volt_text *t);

#endif
