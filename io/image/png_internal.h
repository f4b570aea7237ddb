/* png_internal.h - shared by reading and writing PNG. */
#ifndef VOLT_IO_IMAGE_PNG_INTERNAL_H
#define VOLT_IO_IMAGE_PNG_INTERNAL_H
#include <png.h>
#include <setjmp.h>
#include "io/image.h"
#include "io/png.h"

/* libpng's error pointer: the first member of what its I/O pointer leads to. */
typedef struct png_report {
    const char *path;
    bool writing;
    volt_status st; /* the first failure; its sentence is recorded */
} png_report;

static inline void png_on_error(png_structp png, png_const_charp words)
{
    png_report *r = (png_report *)png_get_error_ptr(png);

    if (r->st == VOLT_OK)
        r->st = r->writing
                    ? volt_fail(VOLT_EINTERNAL, "libpng cannot write %s: %s", r->path, words)
                    : volt_fail(VOLT_EFORMAT, "%s is damaged: %s", r->path, words);
    png_longjmp(png, 1);
}

static inline void png_on_warning(png_structp png, png_const_charp words)
{
    (void)png;
    (void)words;
}

/* As volt_image_write; a PNG has no spatial metadata, so `source` is not used. */
VOLT_MUST_USE volt_status volt_png_image_write(const char *path, const volt_volume *volume,
                                               const volt_image_header *source,
                                               const volt_image_write_options *options);

#endif
