/* image.c - the table of formats. */
#include "io/image.h"

#include "io/image/format.h"
#include "io/image/names.h"
#include "io/image/options.h"
#include "io/image/seg_nrrd.h"

static const volt_image_format *const formats[VOLT_FORMATS] = {
    [VOLT_FORMAT_NIFTI] = &volt_format_nifti,
    [VOLT_FORMAT_PNG] = &volt_format_png,
    [VOLT_FORMAT_ITK] = &volt_format_itk,
};

/* A name without a known ending is taken for NIfTI. */
static const volt_image_format *format_of(const char *path)
{
    const volt_image_rule *rule = volt_image_rule_of(path);

    return formats[rule ? rule->format : VOLT_FORMAT_NIFTI];
}

volt_status volt_image_info(volt_image_header **out, const char *path)
{
    return format_of(path)->info(out, path);
}

volt_status volt_image_read(volt_volume **out, volt_image_header **header, const char *path,
                            const volt_image_read_options *options)
{
    return format_of(path)->read(out, header, path, options);
}

volt_status volt_image_write(const char *path, const volt_volume *volume,
                             const volt_image_header *source,
                             const volt_image_write_options *options)
{
    if (!volt_image_named(path))
        return volt_fail(VOLT_EINVAL,
                         "%s: unknown file ending; files are written as .nii.gz, .nii, .mha, "
                         ".nrrd, .tif, .png, ...",
                         path);
    if (volt_is_seg_nrrd(path)) {
        volt_image_write_options o;
        const volt_status st = volt_image_write_take(&o, options);

        return st == VOLT_OK ? volt_seg_nrrd_write(path, volume, &o) : st;
    }
    return format_of(path)->write(path, volume, source, options);
}
