/* image.c - images of any format, and stacks. */
#include "io/image.h"

#include <string.h>

#include "base/system/file.h"
#include "io/image/format.h"
#include "io/image/names.h"
#include "io/image/options.h"
#include "io/image/seg_nrrd.h"
#include "volume/orient.h"

/* Folders are stacks, or named as such by the error. */
static const volt_image_format *format_to_read(const char *path)
{
    return volt_path_is_dir(path) || volt_image_is_stack(path) ? &volt_format_stack
                                                               : volt_image_format_of(path);
}

volt_status volt_image_info(volt_image_header **out, const char *path)
{
    return format_to_read(path)->info(out, path);
}

volt_status volt_image_read(volt_volume **out, volt_image_header **header, const char *path,
                            const volt_image_read_options *options)
{
    return format_to_read(path)->read(out, header, path, options);
}

/* What is written must be found where it was, by every reader. */
static volt_status check_loss(const char *path, const volt_grid *grid,
                              const volt_image_header *source)
{
    const volt_image_loss loss = volt_image_loss_of(path, grid, source);
    char codes[4];

    if (loss == VOLT_LOSS_NONE)
        return VOLT_OK;
    volt_orientation_codes(codes, grid);
    if (loss == VOLT_LOSS_GEOMETRY)
        return volt_fail(VOLT_EINVAL,
                         "%s: %s cannot store where the image lies (its %sposition and "
                         "orientation); choose another format",
                         path, volt_image_format_name(path), grid->n[0] > 1 ? "" : "spacing, ");
    if (strcmp(codes, "LPS") == 0)
        return volt_fail(VOLT_EINVAL,
                         "%s: %s cannot store an oblique orientation; choose another format",
                         path, volt_image_format_name(path));
    return volt_fail(VOLT_EINVAL,
                     "%s: %s cannot store the orientation %s, only LPS; reorient it, or choose "
                     "another format",
                     path, volt_image_format_name(path), codes);
}

volt_status volt_image_check_ending(const char *path, bool labels)
{
    const volt_image_rule *rule = volt_image_rule_of(path);

    if (volt_image_named(path) && rule->masks)
        return VOLT_OK;
    if (volt_image_named(path) && rule->format == VOLT_FORMAT_JPEG)
        return !labels ? VOLT_OK
                       : volt_fail(VOLT_EINVAL, "%s: JPEG is lossy; labels need another format",
                                   path);
    return volt_fail(VOLT_EINVAL,
                     "%s: unknown file ending; files are written as .nii.gz, .nii, .mha, .mhd, "
                     ".nrrd, .nhdr, .gipl, .tif, .png, .bmp%s or .jpg",
                     path, volt_image_holds_masks(".gif") ? ", .gif" : "");
}

volt_status volt_image_write(const char *path, const volt_volume *volume,
                             const volt_image_header *source,
                             const volt_image_write_options *options)
{
    volt_image_write_options o;
    volt_status st = volt_image_write_take(&o, options);

    if (st == VOLT_OK)
        st = volt_image_check_ending(path, o.labels);
    if (st == VOLT_OK)
        st = volt_grid_check(&volume->grid, path);
    if (st == VOLT_OK && !o.drop_geometry)
        st = check_loss(path, &volume->grid, source);
    if (st != VOLT_OK)
        return st;
    if (volt_is_seg_nrrd(path))
        return volt_seg_nrrd_write(path, volume, &o);
    return volt_image_format_of(path)->write(path, volume, source, options);
}
