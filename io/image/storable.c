/* storable.c - what a format cannot store of a volume's geometry. */
#include "io/image.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "io/image/names.h"

static bool has_ending(const char *path, const char *ending)
{
    const volt_image_rule *rule = volt_image_rule_of(path);

    return rule && strcmp(rule->ending, ending) == 0;
}

static bool is_gipl(const char *path)
{
    return has_ending(path, ".gipl") || has_ending(path, ".gipl.gz");
}

static bool is_tiff(const char *path)
{
    return has_ending(path, ".tif") || has_ending(path, ".tiff");
}

const char *volt_image_format_name(const char *path)
{
    static const char *const names[][2] = {
        {".mha", "MetaImage"}, {".mhd", "MetaImage"}, {".nrrd", "NRRD"}, {".nhdr", "NRRD"},
        {".gipl", "GIPL"},     {".gipl.gz", "GIPL"},  {".tif", "TIFF"},  {".tiff", "TIFF"},
        {".bmp", "BMP"},       {".jpg", "JPEG"},      {".jpeg", "JPEG"}, {".png", "PNG"},
        {".gif", "GIF"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (has_ending(path, names[i][0]))
            return names[i][1];
    }
    return "NIfTI";
}

bool volt_image_knows_orientation(const volt_image_header *header)
{
    return header->geometry_source != VOLT_GEOMETRY_NOFORM &&
           header->geometry_source != VOLT_GEOMETRY_NONE;
}

bool volt_image_knows_spacing(const volt_image_header *header)
{
    return header->geometry_source != VOLT_GEOMETRY_NONE;
}

/* 1 mm along RAS at the origin. */
static bool is_default(const volt_grid *grid)
{
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            if (grid->to_world[r][c] != (r == c ? 1 : 0))
                return false;
        }
    }
    return true;
}

/* Every axis runs along the world's axis of the same name, to left, posterior and superior. */
static bool is_lps(const volt_grid *grid)
{
    double spacing[3];

    volt_grid_spacing(spacing, grid);
    for (int a = 0; a < 3; a++) {
        for (int r = 0; r < 3; r++) {
            const double cosine = grid->to_world[r][a] / spacing[2 - a];
            const double wanted = r != a ? 0 : (r < 2 ? -1 : 1);
            if (!(fabs(cosine - wanted) <= 1e-5))
                return false;
        }
    }
    return true;
}

volt_image_loss volt_image_loss_of(const char *path, const volt_grid *grid,
                                   const volt_image_header *source)
{
    const bool orientation = source ? volt_image_knows_orientation(source) : !is_default(grid);
    const bool spacing = source ? volt_image_knows_spacing(source) : !is_default(grid);

    if (is_gipl(path))
        return is_lps(grid) ? VOLT_LOSS_NONE : VOLT_LOSS_ORIENTATION;
    if (!volt_image_is_picture(path))
        return VOLT_LOSS_NONE;
    if (is_tiff(path) && grid->n[0] > 1)
        return orientation ? VOLT_LOSS_GEOMETRY : VOLT_LOSS_NONE;
    return orientation || spacing ? VOLT_LOSS_GEOMETRY : VOLT_LOSS_NONE;
}
