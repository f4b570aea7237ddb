/* outputs.c - the ending of an output decides its format, or is refused before any work. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "apps/cli/cli.h"
#include "base/system/file.h"

/* Endings of files, which no folder should have. */
static const char files[] = "nii.gz|nii|hdr|img|gz|mha|mhd|nrrd|nhdr|gipl|mgz|dcm|tif|tiff|png|"
                            "jpg|jpeg|bmp|gif|webp|svg|"
                            "pdf|json|csv|tsv|txt|npz|npy|zip|tar|tgz|onnx|safetensors|pth|pt";

/* Whether `path` ends in one of the endings "png|svg", in any case, and has a name before it.
 */
static bool has_ending(const char *path, const char *endings)
{
    const char *name = volt_path_name(path);
    const size_t bytes = strlen(name);

    for (const char *end = endings; *end; end += *end == '|') {
        const size_t n = strcspn(end, "|");
        if (bytes > n + 1 && name[bytes - n - 1] == '.' &&
            strncasecmp(name + bytes - n, end, n) == 0)
            return true;
        end += n;
    }
    return false;
}

/* ".png, .jpg or .jpeg" */
static const char *list_of(char *out, size_t room, const char *endings)
{
    size_t used = 0;

    for (const char *end = endings; *end && used < room; end += *end == '|') {
        const size_t n = strcspn(end, "|");
        const char *between = end == endings ? "" : (strchr(end, '|') ? ", " : " or ");
        const int more = snprintf(out + used, room - used, "%s.%.*s", between, (int)n, end);
        used += more > 0 ? (size_t)more : room;
        end += n;
    }
    return out;
}

/* Of a folder that has the ending of a file and does not exist yet. */
static volt_status refuse_ending(const cli *c, const char *folder)
{
    if (!has_ending(folder, files) || volt_path_exists(folder))
        return VOLT_OK;
    return volt_fail(VOLT_EINVAL, "%s has the ending of a file; volt %s writes a folder",
                     folder, c->command->name);
}

volt_status cli_check_output(const cli *c, const char *path, const char *endings)
{
    char list[120];
    volt_status st;

    if (!path)
        return VOLT_OK;
    if (endings && !volt_path_is_dir(path) && !has_ending(path, endings))
        return volt_fail(VOLT_EINVAL, "%s: volt %s writes files that end in %s", path,
                         c->command->name, list_of(list, sizeof list, endings));
    if (endings)
        return cli_check_output_file(path);
    st = refuse_ending(c, path);
    return st == VOLT_OK ? cli_check_output_folder(path) : st;
}

volt_status cli_check_work(const cli *c, const char *folder)
{
    return folder ? refuse_ending(c, folder) : VOLT_OK;
}

volt_status cli_need_output(const cli *c, const char *path, const char *endings)
{
    if (!path)
        return volt_fail(VOLT_EINVAL, "volt %s needs an output: -o PATH", c->command->name);
    return cli_check_output(c, path, endings);
}
