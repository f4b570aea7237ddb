/* names.c - what the name of a file says about its format. */
#include "io/image/names.h"

#include <string.h>
#include <strings.h>

#include "base/core/alloc.h"
#include "io/image.h"

#ifdef VOLT_HAVE_GIF
#define HAVE_GIF true
#else
#define HAVE_GIF false
#endif

/* Longer endings before those that they end in. */
static const volt_image_rule rules[] = {
    {".nii.gz", VOLT_FORMAT_NIFTI, false, true},  {".nii", VOLT_FORMAT_NIFTI, false, true},
    {".hdr.gz", VOLT_FORMAT_NIFTI, false, false}, {".hdr", VOLT_FORMAT_NIFTI, false, false},
    {".img.gz", VOLT_FORMAT_NIFTI, false, false}, {".img", VOLT_FORMAT_NIFTI, false, false},
    {".mha", VOLT_FORMAT_ITK, false, true},       {".mhd", VOLT_FORMAT_ITK, false, true},
    {".nrrd", VOLT_FORMAT_ITK, false, true},      {".nhdr", VOLT_FORMAT_ITK, false, true},
    {".gipl.gz", VOLT_FORMAT_ITK, false, true},   {".gipl", VOLT_FORMAT_ITK, false, true},
    {".tif", VOLT_FORMAT_ITK, true, true},        {".tiff", VOLT_FORMAT_ITK, true, true},
    {".bmp", VOLT_FORMAT_BMP, true, true},        {".jpg", VOLT_FORMAT_JPEG, true, false},
    {".jpeg", VOLT_FORMAT_JPEG, true, false},     {".png", VOLT_FORMAT_PNG, true, true},
    {".gif", VOLT_FORMAT_GIF, true, HAVE_GIF},
};

const volt_image_rule *volt_image_rule_of(const char *path)
{
    const size_t bytes = strlen(path);

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const size_t tail = strlen(rules[i].ending);
        if (bytes >= tail && strcasecmp(path + bytes - tail, rules[i].ending) == 0)
            return &rules[i];
    }
    return NULL;
}

const char *volt_image_ending(const char *name)
{
    const volt_image_rule *k = volt_image_rule_of(name);
    const size_t bytes = strlen(name), tail = k ? strlen(k->ending) : 0;

    return bytes > tail ? name + bytes - tail : name + bytes;
}

bool volt_image_named(const char *path)
{
    return *volt_image_ending(path) != '\0';
}

bool volt_image_is_picture(const char *path)
{
    const volt_image_rule *k = volt_image_rule_of(path);

    return k && k->picture;
}

bool volt_image_holds_masks(const char *ending)
{
    const volt_image_rule *k = volt_image_rule_of(ending);

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
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char *path;
        volt_status st;
        if (!rules[i].masks)
            continue;
        if ((st = volt_format(&path, "%s/%s%s", folder, id, rules[i].ending)) != VOLT_OK)
            return st;
        if (volt_path_exists(path)) {
            *out = path;
            return VOLT_OK;
        }
        volt_free(path);
    }
    return VOLT_OK;
}
