#include "io/figure.h"

#include "io/image/jpeg.h"
#include "io/image/names.h"
#include "io/png.h"

volt_status volt_figure_check(const char *path)
{
    const volt_image_rule *rule = volt_image_rule_of(path);

    if (!*volt_image_ending(path) ||
        (rule->format != VOLT_FORMAT_PNG && rule->format != VOLT_FORMAT_JPEG))
        return volt_fail(VOLT_EINVAL, "%s: pictures are written as .png, .jpg or .jpeg", path);
#ifndef VOLT_HAVE_JPEG
    if (rule->format == VOLT_FORMAT_JPEG)
        return volt_fail(VOLT_ENOTSUP, "%s: this build of VOLT has no JPEG support (libjpeg)",
                         path);
#endif
    return VOLT_OK;
}

volt_status volt_figure_write(const char *path, const uint8_t *rgb, int64_t width,
                              int64_t height)
{
    const volt_status st = volt_figure_check(path);

    if (st != VOLT_OK)
        return st;
    return volt_image_rule_of(path)->format == VOLT_FORMAT_JPEG
               ? volt_jpeg_write(path, rgb, width, height, 3)
               : volt_png_write(path, rgb, width, height, 3);
}
