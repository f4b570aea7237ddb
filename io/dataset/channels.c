/* channels.c - how many channels a file has, and whether they are those that are expected. */
#include <stdio.h>
#include <string.h>

#include "base/core/plural.h"
#include "io/dataset/dataset_internal.h"
#include "io/image.h"
#include "io/image/header.h"
#include "io/image/names.h"

volt_status volt_file_channels(int *out, const char *path)
{
    volt_image_header *header = NULL;
    volt_status st = volt_image_info(&header, path);

    *out = st == VOLT_OK ? header->grid.channels : 0;
    volt_image_header_free(header);
    if (st == VOLT_ENOMEM || (st == VOLT_ENOTSUP && !volt_image_is_picture(path)))
        return st;
    return VOLT_OK;
}

/* A picture's alpha: its last channel of 2 or 4. */
static bool has_alpha(const char *path, int channels)
{
    return (channels == 2 || channels == 4) && volt_image_is_picture(path);
}

bool volt_channels_may_fit(const char *path, int channels, int expected)
{
    return channels == expected || (has_alpha(path, channels) && channels == expected + 1);
}

volt_status volt_channels_fail(const char *path, int channels, const char *more,
                               const char *expected)
{
    static const char *const names[] = {"", " (grey)", " (grey, alpha", " (red, green, blue)",
                                        " (red, green, blue, alpha"};
    const bool named = volt_image_is_picture(path) && channels >= 2 && channels <= 4;

    return volt_fail(VOLT_EDATA, "%s has %d channel%s%s%s%s; %s", path, channels,
                     volt_s(channels), named ? names[channels] : "",
                     named && channels != 3 ? more : "", named && channels != 3 ? ")" : "",
                     expected);
}

/* Whether the last channel of float32 is `most` everywhere. */
static bool is_opaque(const volt_volume *v, float most)
{
    const int64_t voxels = volt_grid_voxels(&v->grid);
    const float *alpha = (const float *)v->data + (v->grid.channels - 1) * voxels;

    for (int64_t i = 0; i < voxels; i++) {
        if (alpha[i] != most)
            return false;
    }
    return true;
}

volt_status volt_channels_fit(volt_volume *v, volt_image_header *header, const char *path,
                              int channels, const char *expected)
{
    const int has = v->grid.channels;
    bool opaque;

    if (has == channels)
        return VOLT_OK;
    if (!volt_channels_may_fit(path, has, channels))
        return volt_channels_fail(path, has, "", expected);
    opaque = is_opaque(v, header->dtype == VOLT_U16 ? 65535 : 255);
    if (!opaque)
        return volt_channels_fail(path, has, ", which is not opaque", expected);
    v->grid.channels = header->grid.channels = channels;
    return volt_image_warn(header, "its alpha channel is opaque and is not used");
}
