/* header.c - shared by the formats: headers with warnings, and the voxels to write. */
#include "io/image/header.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/core/alloc.h"
#include "base/core/available.h"
#include "base/core/checked.h"
#include "io/image/nifti_raw.h"

void volt_image_header_free(volt_image_header *header)
{
    if (!header)
        return;
    for (size_t i = 0; i < header->warning_count; i++)
        volt_free(header->warnings[i]);
    volt_free(header->warnings);
    volt_nifti_raw_free(header->raw);
    volt_free(header);
}

volt_status volt_image_warn(volt_image_header *header, const char *fmt, ...)
{
    char sentence[256];
    va_list args;
    const size_t used = header->warning_count * sizeof *header->warnings;
    volt_status st = volt_realloc(&header->warnings, used, used + sizeof *header->warnings,
                                  "notes on a header");

    if (st != VOLT_OK)
        return st;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    st = volt_strdup(&header->warnings[header->warning_count], sentence);
    if (st == VOLT_OK)
        header->warning_count++;
    return st;
}

void volt_image_apply_geometry(volt_image_header *header)
{
    const volt_image_geometry *geometry = &header->geometry;

    for (int r = 0; r < 3; r++) {
        const double sign = r < 2 ? -1 : 1; /* LPS to RAS */
        for (int a = 0; a < 3; a++)         /* the sum turns -0 into 0 */
            header->grid.to_world[r][a] =
                sign * geometry->direction[3 * r + a] * geometry->spacing[a] + 0.0;
        header->grid.to_world[r][3] = sign * geometry->origin[r] + 0.0;
    }
}

volt_status volt_image_check_memory(const volt_image_header *header, volt_dtype to,
                                    const char *path)
{
    const volt_grid *g = &header->grid;
    int64_t extents[4] = {g->channels, g->n[0], g->n[1], g->n[2]};
    char *what = NULL;
    size_t bytes;
    volt_status st;

    if (volt_extent_bytes(&bytes, extents, 4, volt_dtype_bytes(to)) ||
        volt_add_size(&bytes, bytes, header->helper_bytes))
        bytes = SIZE_MAX;
    st = volt_format(&what, "%s: reading its %lld x %lld x %lld voxels", path,
                     (long long)g->n[2], (long long)g->n[1], (long long)g->n[0]);
    if (st == VOLT_OK)
        st = volt_mem_check(bytes, what);
    volt_free(what);
    return st;
}

volt_status volt_image_fail_label(const char *path, const volt_grid *grid, int64_t at,
                                  double value, volt_dtype to)
{
    const int64_t *n = grid->n;
    const int64_t x = at % n[2], y = at / n[2] % n[1], z = at / (n[2] * n[1]) % n[0];

    return volt_fail(
        VOLT_EFORMAT,
        "%s: voxel (x %lld, y %lld, z %lld) is %.*g; an integer in the range of %s is expected",
        path, (long long)x, (long long)y, (long long)z,
        trunc(value) == value && fabs(value) < 1e15 ? 15 : 9, value, volt_dtype_name(to));
}

/* The first of `types` that holds min..max; 0 if none does. uint8 is used for labels up to 254,
 * as in nnU-Net, unless there is no other type. */
static volt_dtype label_type(volt_value_range range, const volt_dtype *types, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const bool is_signed = types[i] == VOLT_I8 || types[i] == VOLT_I16 ||
                               types[i] == VOLT_I32 || types[i] == VOLT_I64;
        const int bits = 8 * (int)volt_dtype_bytes(types[i]) - (is_signed ? 1 : 0);
        const double past =
            types[i] == VOLT_U8 && count > 1 ? 255 : 2.0 * (double)((uint64_t)1 << (bits - 1));
        if (range.max < past && range.min >= (is_signed ? -past : 0))
            return types[i];
    }
    return 0;
}

volt_status volt_image_voxels(const volt_volume **out, volt_volume **converted,
                              const char *path, const volt_volume *volume,
                              const volt_dtype *label_types, size_t types,
                              const volt_image_write_options *options)
{
    volt_dtype to = options->dtype ? options->dtype : volume->dtype;
    bool exact = true;
    volt_status st;

    if (options->labels && options->dtype)
        return volt_fail(VOLT_EINVAL,
                         "%s: give either a type or `labels`, which selects the smallest type",
                         path);
    if ((st = volt_grid_check(&volume->grid, path)) != VOLT_OK)
        return st;
    if (options->labels) {
        const volt_value_range range = volt_volume_range(volume, options->threads);
        to = label_type(range, label_types, types);
        if (!to)
            return volt_fail(VOLT_EINVAL,
                             "%s: no type of this format holds labels from %g "
                             "to %g",
                             path, range.min, range.max);
    }
    *out = volume;
    if (to == volume->dtype)
        return VOLT_OK;
    st = volt_volume_convert(converted, volume, to, &exact, options->threads);
    if (st != VOLT_OK)
        return st;
    if (options->labels && !exact)
        return volt_fail(VOLT_EINVAL, "%s: labels must be integers, and some are not", path);
    *out = *converted;
    return VOLT_OK;
}
