/* image.c - which reader a file gets, and what all formats share. */
#include "io/image.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/system/file.h"
#include "io/image/image_internal.h"
#include "io/image/nifti.h"

/* -- Names -------------------------------------------------------------------------------- */

typedef enum family { NIFTI, PNG, ITK } family;

typedef struct kind {
    const char *ending;
    family family;
    bool picture; /* does not say where it lies */
    bool masks;   /* can be written, without loss */
} kind;

/* Longer endings before those that they end in. */
static const kind kinds[] = {
    {".nii.gz", NIFTI, false, true},  {".nii", NIFTI, false, true},
    {".hdr.gz", NIFTI, false, false}, {".hdr", NIFTI, false, false},
    {".img.gz", NIFTI, false, false}, {".img", NIFTI, false, false},
    {".mha", ITK, false, true},       {".mhd", ITK, false, true},
    {".nrrd", ITK, false, true},      {".nhdr", ITK, false, true},
    {".gipl.gz", ITK, false, true},   {".gipl", ITK, false, true},
    {".tif", ITK, true, true},        {".tiff", ITK, true, true},
    {".bmp", ITK, true, true},        {".jpg", ITK, true, false},
    {".jpeg", ITK, true, false},      {".png", PNG, true, true},
};

/* The one place where a name decides the reader; NULL: the name says nothing. */
static const kind *kind_of(const char *path)
{
    const size_t bytes = strlen(path);

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t tail = strlen(kinds[i].ending);
        if (bytes >= tail && strcasecmp(path + bytes - tail, kinds[i].ending) == 0)
            return &kinds[i];
    }
    return NULL;
}

static family family_of(const char *path)
{
    const kind *k = kind_of(path);

    return k ? k->family : NIFTI;
}

const char *volt_image_ending(const char *name)
{
    const kind *k = kind_of(name);
    const size_t bytes = strlen(name), tail = k ? strlen(k->ending) : 0;

    return bytes > tail ? name + bytes - tail : name + bytes;
}

bool volt_image_named(const char *path)
{
    return *volt_image_ending(path) != '\0';
}

bool volt_image_is_picture(const char *path)
{
    const kind *k = kind_of(path);

    return k && k->picture;
}

bool volt_image_holds_masks(const char *ending)
{
    const kind *k = kind_of(ending);

    return k && k->masks;
}

volt_status volt_image_list(volt_names *out, const char *folder)
{
    volt_names names = {0};
    size_t kept = 0;
    bool scans = false;
    volt_status st = volt_list_dir(&names, folder);

    if (st != VOLT_OK)
        return st;
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.name[i];
        scans =
            scans || (*name != '.' && volt_image_named(name) && !volt_image_is_picture(name));
    }
    for (size_t i = 0; i < names.count; i++) {
        char *name = names.name[i];
        if (*name == '.' || !volt_image_named(name) || (scans && volt_image_is_picture(name)))
            volt_free(name);
        else
            names.name[kept++] = name;
    }
    names.count = kept;
    *out = names;
    return VOLT_OK;
}

volt_status volt_image_find(char **out, const char *folder, const char *id)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char *path;
        volt_status st;
        if (!kinds[i].masks)
            continue;
        if ((st = volt_format(&path, "%s/%s%s", folder, id, kinds[i].ending)) != VOLT_OK)
            return st;
        if (volt_path_exists(path)) {
            *out = path;
            return VOLT_OK;
        }
        volt_free(path);
    }
    return VOLT_OK;
}

/* -- Reading and writing ------------------------------------------------------------------ */

volt_status volt_image_info(volt_image_header **out, const char *path)
{
    switch (family_of(path)) {
    case PNG:
        return volt_png_image_read(NULL, out, path, NULL);
    case ITK:
        return volt_itk_info(out, path);
    default:
        return volt_nifti_info(out, path);
    }
}

volt_status volt_image_read(volt_volume **out, volt_image_header **header, const char *path,
                            const volt_image_read_options *options)
{
    const volt_dtype to = options ? options->dtype : 0;

    if (to != 0 && (volt_dtype_bytes(to) == 0 || to == VOLT_BF16))
        return volt_fail(VOLT_EINVAL, "%s cannot be read as %s", path, volt_dtype_name(to));
    switch (family_of(path)) {
    case PNG:
        return volt_png_image_read(out, header, path, options);
    case ITK:
        return volt_itk_read(out, header, path, options);
    default:
        return volt_nifti_read(out, header, path, options);
    }
}

volt_status volt_image_write(const char *path, const volt_volume *volume,
                             const volt_image_header *source,
                             const volt_image_write_options *options)
{
    const volt_image_write_options opt = options ? *options : (volt_image_write_options){0};
    const kind *k = kind_of(path);

    if (!k)
        return volt_fail(VOLT_EINVAL,
                         "%s: the name must end as a format's does that can be written: "
                         ".nii.gz, .nii, .mha, .nrrd, .tif, .png, ...",
                         path);
    switch (k->family) {
    case PNG:
        return volt_png_image_write(path, volume, &opt);
    case ITK:
        if (opt.labels && !k->masks)
            return volt_fail(VOLT_EINVAL, "%s: JPEG changes values; labels need another format",
                             path);
        return volt_itk_write(path, volume, source, &opt);
    default:
        return volt_nifti_write(path, volume, source, &opt);
    }
}

/* -- Shared by the formats ---------------------------------------------------------------- */

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

volt_status volt_image_note(volt_image_header *header, const char *fmt, ...)
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

void volt_image_take_place(volt_image_header *header)
{
    const volt_image_place *place = &header->place;

    for (int r = 0; r < 3; r++) {
        const double sign = r < 2 ? -1 : 1; /* LPS to RAS */
        for (int a = 0; a < 3; a++)         /* the sum turns -0 into 0 */
            header->grid.to_world[r][a] =
                sign * place->direction[3 * r + a] * place->spacing[a] + 0.0;
        header->grid.to_world[r][3] = sign * place->origin[r] + 0.0;
    }
}

volt_status volt_image_not_label(const char *path, const volt_grid *grid, int64_t at,
                                 double value, volt_dtype to)
{
    const int64_t *n = grid->n;
    const int64_t x = at % n[2], y = at / n[2] % n[1], z = at / (n[2] * n[1]) % n[0];

    return volt_fail(VOLT_EFORMAT,
                     "%s: voxel (x %lld, y %lld, z %lld) is %.9g; a whole number that %s holds "
                     "is expected",
                     path, (long long)x, (long long)y, (long long)z, value,
                     volt_dtype_name(to));
}

/* The first of `types` that holds min..max; 0 when none does. Eight bits hold labels up to 254,
 * as nnU-Net writes them. */
static volt_dtype label_type(volt_value_range range, const volt_dtype *types, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const bool is_signed = types[i] == VOLT_I8 || types[i] == VOLT_I16 ||
                               types[i] == VOLT_I32 || types[i] == VOLT_I64;
        const int bits = 8 * (int)volt_dtype_bytes(types[i]) - (is_signed ? 1 : 0);
        const double past =
            types[i] == VOLT_U8 ? 255 : 2.0 * (double)((uint64_t)1 << (bits - 1));
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
                         "%s: a type was asked for and the smallest for labels "
                         "too; give one",
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
        return volt_fail(VOLT_EINVAL, "%s: labels must be whole numbers, and some are not",
                         path);
    *out = *converted;
    return VOLT_OK;
}
