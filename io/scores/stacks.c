#include "io/scores/stacks.h"

#include <ctype.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image.h"
#include "io/image/names.h"

/* Leaves the sub-folders that are stacks. */
static volt_status keep_stacks(volt_names *names, const char *folder)
{
    size_t kept = 0;
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < names->count; i++) {
        char *path = NULL;
        bool stack = false;
        if (st == VOLT_OK && (st = volt_path_join(&path, folder, names->name[i])) == VOLT_OK)
            stack = *names->name[i] != '.' && volt_image_is_stack(path);
        volt_free(path);
        if (stack)
            names->name[kept++] = names->name[i];
        else
            volt_free(names->name[i]);
    }
    names->count = kept;
    return st;
}

/* Bytes before the number at the end of a picture's name; -1: it has none. */
static int before_number(const char *name)
{
    size_t at = strlen(name) - strlen(volt_image_ending(name));
    const size_t end = at;

    if (!volt_image_is_picture(name))
        return -1;
    while (at > 0 && isdigit((unsigned char)name[at - 1]))
        at--;
    return at < end ? (int)at : -1;
}

/* Numbered pictures with the same name and ending become one name. */
static volt_status group(volt_names *names)
{
    size_t kept = 0;
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < names->count; i++) {
        const int before = before_number(names->name[i]);
        bool known = false;
        char *stack;
        if (before >= 0 && st == VOLT_OK) {
            st = volt_format(&stack, "%.*s*%s", before, names->name[i],
                             volt_image_ending(names->name[i]));
            if (st == VOLT_OK) {
                volt_free(names->name[i]);
                names->name[i] = stack;
            }
        }
        for (size_t k = 0; k < kept && !known; k++)
            known = strcmp(names->name[k], names->name[i]) == 0;
        if (known)
            volt_free(names->name[i]);
        else
            names->name[kept++] = names->name[i];
    }
    names->count = kept;
    return st;
}

volt_status volt_masks_list(volt_names *out, const char *folder, bool grouped)
{
    volt_names names = {0};
    char *json = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_image_list(&names, folder));
    VOLT_TRY(st, done, volt_path_join(&json, folder, "dataset.json"));
    if (names.count == 0 && !volt_path_exists(json)) {
        volt_names_free(&names);
        VOLT_TRY(st, done, volt_list_dir(&names, folder));
        VOLT_TRY(st, done, keep_stacks(&names, folder));
    }
    if (grouped)
        VOLT_TRY(st, done, group(&names));
    *out = names;
    names = (volt_names){0};
done:
    volt_free(json);
    volt_names_free(&names);
    return st;
}

volt_status volt_mask_case(char **out, const char *name)
{
    const char *star = strchr(name, '*');
    size_t bytes =
        star ? (size_t)(star - name) : strlen(name) - strlen(volt_image_ending(name));

    while (star && bytes > 0 && strchr("_-. ", name[bytes - 1]))
        bytes--;
    return volt_format(out, "%.*s", (int)bytes, name);
}
