/* formats.c - the table of formats. */
#include "io/image/format.h"
#include "io/image/names.h"

static const volt_image_format *const formats[VOLT_FORMATS] = {
    [VOLT_FORMAT_NIFTI] = &volt_format_nifti, [VOLT_FORMAT_PNG] = &volt_format_png,
    [VOLT_FORMAT_BMP] = &volt_format_bmp,     [VOLT_FORMAT_GIF] = &volt_format_gif,
    [VOLT_FORMAT_JPEG] = &volt_format_jpeg,   [VOLT_FORMAT_ITK] = &volt_format_itk,
};

/* A name without a known ending is taken for NIfTI. */
const volt_image_format *volt_image_format_of(const char *path)
{
    const volt_image_rule *rule = volt_image_rule_of(path);

    return formats[rule ? rule->format : VOLT_FORMAT_NIFTI];
}
