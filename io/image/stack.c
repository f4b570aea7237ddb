/* stack.c - a stack of pictures: the slices of one volume in a folder, as a format of its own.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/system/file.h"
#include "io/image/format.h"
#include "io/image/header.h"
#include "io/image/names.h"

static bool is_numbered(const char *path)
{
    return strchr(volt_path_name(path), '*') && !volt_path_exists(path);
}

/* The images of the folder `path`, of which the first tells whether they are slices. */
static bool is_folder_of_slices(volt_names *images, const char *path)
{
    return volt_path_is_dir(path) && volt_image_list(images, path) == VOLT_OK &&
           images->count > 0 && volt_image_is_picture(images->name[0]);
}

bool volt_image_is_stack(const char *path)
{
    volt_names images = {0};
    const bool stack = is_numbered(path) || is_folder_of_slices(&images, path);

    volt_names_free(&images);
    return stack;
}

/* ---- the slices ---- */

/* Natural order: 2.png comes before 10.png. */
static int natural_order(const char *a, const char *b)
{
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            size_t x, y;
            int order;
            a += strspn(a, "0");
            b += strspn(b, "0");
            x = strspn(a, "0123456789");
            y = strspn(b, "0123456789");
            order = x != y ? (x < y ? -1 : 1) : strncmp(a, b, x);
            if (order)
                return order;
            a += x;
            b += y;
        } else {
            if (*a != *b)
                return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
            a++;
            b++;
        }
    }
    return *a ? 1 : (*b ? -1 : 0);
}

static bool is_slice(const char *name)
{
    return *name != '.' && *name != '_' && volt_image_is_picture(name);
}

/* The ending of a folder's slices: .png if there are any, else that of the first picture. NULL:
 * there is no picture. */
static const char *slice_ending(const volt_names *names)
{
    const char *ending = NULL;

    for (size_t i = 0; i < names->count; i++) {
        const char *own = volt_image_ending(names->name[i]);
        if (is_slice(names->name[i]) && (!ending || strcasecmp(own, ".png") == 0))
            ending = own;
    }
    return ending;
}

/* Moves the names of slices to the front, in natural order; returns their number. */
static size_t sort_slices(volt_names *names)
{
    const char *ending = slice_ending(names);
    char own[16] = "";
    size_t count = 0;

    if (ending)
        snprintf(own, sizeof own, "%s", ending); /* names move */
    for (size_t i = 0; i < names->count; i++) {
        char *name = names->name[i];
        size_t at = count;
        if (!is_slice(name) || strcasecmp(volt_image_ending(name), own) != 0)
            continue;
        names->name[i] = names->name[count];
        while (at > 0 && natural_order(name, names->name[at - 1]) < 0) {
            names->name[at] = names->name[at - 1];
            at--;
        }
        names->name[at] = name;
        count++;
    }
    return count;
}

/* Names that differ in one number: the number's distance from the start and from the end of
 * every name. */
typedef struct numbering {
    size_t head, tail;
} numbering;

static numbering numbering_of(const volt_names *names, size_t count)
{
    const char *first = names->name[0];
    const size_t bytes = strlen(first);
    numbering n = {bytes, bytes};

    for (size_t i = 1; i < count; i++) {
        const char *name = names->name[i];
        const size_t own = strlen(name);
        size_t head = 0, tail = 0;
        while (head < n.head && name[head] == first[head])
            head++;
        while (tail < n.tail && tail < own && name[own - 1 - tail] == first[bytes - 1 - tail])
            tail++;
        n = (numbering){head, tail};
    }
    while (n.head > 0 && isdigit((unsigned char)first[n.head - 1]))
        n.head--;
    while (n.tail > 0 && isdigit((unsigned char)first[bytes - n.tail]))
        n.tail--;
    return n;
}

/* -1: not a number, or a huge one. */
static int64_t slice_number(const char *name, numbering n)
{
    const size_t bytes = strlen(name);
    int64_t number = 0;

    if (bytes <= n.head + n.tail || bytes - n.head - n.tail > 15)
        return -1;
    for (size_t i = n.head; i < bytes - n.tail; i++) {
        if (!isdigit((unsigned char)name[i]))
            return -1;
        number = 10 * number + (name[i] - '0');
    }
    return number;
}

/* A slice that is missing, or there twice, would move all that follow. `count` names are
 * sorted; others may be behind them. */
static volt_status check_stack(const volt_names *names, size_t count, const char *path)
{
    const numbering n = numbering_of(names, count);
    int64_t step = INT64_MAX;

    for (size_t i = count; i < names->count; i++) {
        const char *name = names->name[i];
        if (is_slice(name) && volt_image_holds_masks(volt_image_ending(name)))
            return volt_fail(VOLT_EDATA, "%s holds slices of two formats: %s and %s", path,
                             names->name[0], name);
    }
    for (size_t z = 1; z < count; z++) {
        const int64_t before = slice_number(names->name[z - 1], n),
                      number = slice_number(names->name[z], n);
        if (before < 0 || number < 0)
            return VOLT_OK;
        if (number == before)
            return volt_fail(VOLT_EDATA, "%s holds slice %lld twice: %s and %s", path,
                             (long long)number, names->name[z - 1], names->name[z]);
        step = number - before < step ? number - before : step;
    }
    for (size_t z = 1; z < count; z++) {
        const char *last = names->name[z - 1], *name = names->name[z];
        if (slice_number(name, n) - slice_number(last, n) != step)
            return volt_fail(VOLT_EDATA, "%s lacks a slice between %s and %s", path, last,
                             name);
    }
    return VOLT_OK;
}

/* Leaves the names that a stack's name, "CASE_*.png", stands for: a number in place of "*". */
static void keep_numbered(volt_names *names, const char *stack)
{
    const size_t before = strcspn(stack, "*"), after = strlen(stack + before + 1);
    size_t kept = 0;

    for (size_t i = 0; i < names->count; i++) {
        char *name = names->name[i];
        const size_t bytes = strlen(name),
                     digits = strspn(name + (bytes < before ? 0 : before), "0123456789");
        if (digits > 0 && bytes == before + digits + after &&
            strncmp(name, stack, before) == 0 &&
            strcmp(name + before + digits, stack + before + 1) == 0)
            names->name[kept++] = name;
        else
            volt_free(name);
    }
    names->count = kept;
}

/* The names of the pictures of a folder, or of a numbered stack, whose folder *folder is; the
 * caller owns it. */
static volt_status list_slices(volt_names *names, char **folder, const char *path)
{
    const char *stack = volt_path_name(path);
    volt_status st;

    if (volt_path_is_dir(path)) {
        st = volt_strdup(folder, path);
        return st == VOLT_OK ? volt_list_dir(names, path) : st;
    }
    st = stack > path ? volt_format(folder, "%.*s", (int)(stack - path), path)
                      : volt_strdup(folder, ".");
    if (st == VOLT_OK)
        st = volt_list_dir(names, *folder);
    if (st == VOLT_OK)
        keep_numbered(names, stack);
    return st;
}

/* The slices of the stack `path`, in the order of z: names, and the folder that they are in. */
typedef struct slices {
    volt_names names;
    size_t count; /* names behind these are no slices */
    char *folder;
} slices;

static void free_slices(slices *s)
{
    volt_names_free(&s->names);
    volt_free(s->folder);
}

static volt_status find_slices(slices *s, const char *path)
{
    volt_names images = {0};
    volt_status st;

    VOLT_TRY(st, done, list_slices(&s->names, &s->folder, path));
    if (!is_numbered(path) && !is_folder_of_slices(&images, path)) {
        st = images.count == 0
                 ? volt_fail(VOLT_EFORMAT,
                             "%s is a folder and holds no pictures (PNG, TIFF, JPEG, BMP, "
                             "GIF), the slices of a stack",
                             path)
                 : volt_fail(VOLT_EFORMAT,
                             "%s is a folder of scans, such as %s, and no stack of "
                             "slices; give one of its files",
                             path, images.name[0]);
        goto done;
    }
    s->count = sort_slices(&s->names);
    st = s->count > 0
             ? check_stack(&s->names, s->count, path)
             : volt_fail(VOLT_EDATA, "%s holds no slice (PNG, TIFF, JPEG, BMP, GIF)", path);
done:
    volt_names_free(&images);
    return st;
}

/* ---- volumes ---- */

/* The header of a volume of `count` slices like the first, whose own one it was. A slice knows
 * nothing of the volume's spacing, whatever its own header says. */
static void describe(volt_image_header *h, size_t count)
{
    const double mm[3] = {1, 1, 1};
    char one[sizeof h->format];

    memcpy(one, h->format, sizeof one);
    snprintf(h->format, sizeof h->format, "stack of %.20s", one);
    h->dim[4] = h->grid.channels;
    h->dim[3] = (int64_t)count;
    h->dim[2] = h->grid.n[1];
    h->dim[1] = h->grid.n[2];
    h->dim[0] = h->grid.channels > 1 ? 4 : 3;
    h->is_2d = false;
    h->grid.n[0] = (int64_t)count;
    h->grid = volt_grid_make(h->grid.n, h->grid.channels, mm);
    h->grid.to_world[0][0] = h->grid.to_world[1][1] = -1; /* LPS, as of pictures */
    h->geometry_source = VOLT_GEOMETRY_NONE;
    h->geometry = (volt_image_geometry){0};
}

/* Whether slice `path` of one page has the size and the channels of those before it. */
static volt_status check_slice(const volt_grid *slice, const volt_grid *before,
                               const char *path)
{
    if (slice->n[0] != 1)
        return volt_fail(VOLT_EDATA, "%s has %lld pages; a slice of a stack has one", path,
                         (long long)slice->n[0]);
    for (int a = 1; a < 3; a++) {
        if (slice->n[a] != before->n[a])
            return volt_fail(VOLT_EDATA,
                             "%s has %lld pixel%s along %c; the slices before it have %lld",
                             path, (long long)slice->n[a], volt_s(slice->n[a]), "zyx"[a],
                             (long long)before -> n[a]);
    }
    if (slice->channels != before->channels)
        return volt_fail(VOLT_EDATA, "%s has %d channel%s; the slices before it have %d", path,
                         slice->channels, volt_s(slice->channels), before->channels);
    return VOLT_OK;
}

static volt_status check_type(volt_dtype type, volt_dtype before, const char *path)
{
    if (type == before)
        return VOLT_OK;
    return volt_fail(VOLT_EDATA,
                     "%s has voxels of type %s; those of the slices before it are %s", path,
                     volt_dtype_name(type), volt_dtype_name(before));
}

static volt_status stack_info(volt_image_header **out, const char *path)
{
    volt_image_header *first = NULL, *h = NULL;
    slices s = {0};
    char *name = NULL;
    volt_status st;

    VOLT_TRY(st, done, find_slices(&s, path));
    for (size_t z = 0; z < s.count; z++) {
        VOLT_TRY(st, done, volt_path_join(&name, s.folder, s.names.name[z]));
        VOLT_TRY(st, done, volt_image_format_of(name)->info(&h, name));
        VOLT_TRY(st, done, check_slice(&h->grid, first ? &first->grid : &h->grid, name));
        VOLT_TRY(st, done, check_type(h->dtype, first ? first->dtype : h->dtype, name));
        if (first)
            volt_image_header_free(h);
        else
            first = h;
        h = NULL;
        volt_free(name);
        name = NULL;
    }
    describe(first, s.count);
    *out = first;
    first = NULL;
done:
    volt_free(name);
    volt_image_header_free(h);
    volt_image_header_free(first);
    free_slices(&s);
    return st;
}

/* Copies slice z, channel by channel. */
static void put_slice(volt_volume *stack, const volt_volume *one, int64_t z)
{
    const size_t bytes = volt_volume_bytes(one) / (size_t)one->grid.channels;
    const size_t depth = (size_t)stack->grid.n[0];

    for (size_t c = 0; c < (size_t)one->grid.channels; c++)
        memcpy((char *)stack->data + (c * depth + (size_t)z) * bytes,
               (const char *)one->data + c * bytes, bytes);
}

static volt_status stack_read(volt_volume **out, volt_image_header **header, const char *path,
                              const volt_image_read_options *options)
{
    volt_image_header *h = NULL;
    volt_volume *stack = NULL, *one = NULL;
    slices s = {0};
    char *name = NULL;
    volt_status st;

    VOLT_TRY(st, done, find_slices(&s, path));
    for (size_t z = 0; z < s.count; z++) {
        VOLT_TRY(st, done, volt_path_join(&name, s.folder, s.names.name[z]));
        VOLT_TRY(st, done,
                 volt_image_format_of(name)->read(&one, z ? NULL : &h, name, options));
        VOLT_TRY(st, done, check_slice(&one->grid, z ? &stack->grid : &one->grid, name));
        if (z == 0) {
            h->grid.channels = one->grid.channels;
            describe(h, s.count);
            VOLT_TRY(st, done, volt_image_check_memory(h, one->dtype, path));
            VOLT_TRY(st, done, volt_volume_create(&stack, &h->grid, one->dtype));
        }
        VOLT_TRY(st, done, check_type(one->dtype, stack->dtype, name));
        put_slice(stack, one, (int64_t)z);
        volt_volume_free(one);
        one = NULL;
        volt_free(name);
        name = NULL;
    }
    *out = stack;
    stack = NULL;
    if (header) {
        *header = h;
        h = NULL;
    }
done:
    volt_free(name);
    volt_volume_free(one);
    volt_volume_free(stack);
    volt_image_header_free(h);
    free_slices(&s);
    return st;
}

/* Nothing is written: no ending of a name stands for a stack. */
const volt_image_format volt_format_stack = {
    .info = stack_info,
    .read = stack_read,
};
