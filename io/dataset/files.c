/* files.c - label files: images, pictures, folders of slices; labels or grey values. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "io/dataset/dataset_internal.h"
#include "io/image.h"
#include "io/image/names.h"
#include "volume/orient.h"

bool volt_labels_lack_geometry(const char *path)
{
    return volt_image_is_picture(path) || volt_path_is_dir(path);
}

/* One file. Grey values (a float type) are one channel; of pictures in colour those are the
 * samples, if all agree, or the indices of the palette. */
static volt_status read_file(volt_volume **out, const char *path, volt_dtype dtype, int threads)
{
    volt_image_read_options options = volt_image_read_as(dtype, threads);
    volt_volume *v = NULL, *floats = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_image_read(&v, NULL, path, &options));
    if (dtype == VOLT_F32 && v->grid.channels > 1 && volt_image_is_picture(path)) {
        volt_volume_free(v);
        v = NULL;
        options.dtype = VOLT_U16;
        VOLT_TRY(st, done, volt_image_read(&v, NULL, path, &options));
        VOLT_TRY(st, done, volt_volume_convert(&floats, v, VOLT_F32, NULL, threads));
    }
    *out = floats ? floats : v;
    if (!floats)
        v = NULL;
    floats = NULL;
done:
    volt_volume_free(floats);
    volt_volume_free(v);
    return st;
}

/* -- Slices ------------------------------------------------------------------------------- */

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

/* Reads slice z of *stack, which the first one creates for `count` slices. */
static volt_status add_slice(volt_volume **stack, const char *path, int64_t z, size_t count,
                             volt_dtype dtype)
{
    volt_volume *one = NULL;
    volt_grid grid;
    volt_status st;

    VOLT_TRY(st, done, read_file(&one, path, dtype, 1));
    grid = one->grid;
    if (grid.n[0] != 1) {
        st = volt_fail(VOLT_EDATA, "%s has %lld pages; a slice of a stack has one", path,
                       (long long)grid.n[0]);
        goto done;
    }
    if (z == 0) {
        grid.n[0] = (int64_t)count;
        VOLT_TRY(st, done, volt_volume_create(stack, &grid, dtype));
    }
    for (int a = 1; a < 3; a++) {
        const int64_t n = grid.n[a], before = (*stack)->grid.n[a];
        const char axis = "zyx"[a];
        if (n != before) {
            st = volt_fail(VOLT_EDATA,
                           "%s has %lld pixel%s along %c; the slices before it have %lld", path,
                           (long long)n, volt_s(n), axis, (long long)before);
            goto done;
        }
    }
    memcpy((char *)(*stack)->data + (size_t)z * volt_volume_bytes(one), one->data,
           volt_volume_bytes(one));
done:
    volt_volume_free(one);
    return st;
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

bool volt_is_numbered_stack(const char *path)
{
    return strchr(volt_path_name(path), '*') && !volt_path_exists(path);
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

static volt_status read_slices(volt_volume **out, const char *stack_path, volt_dtype dtype)
{
    volt_names names = {0};
    volt_volume *stack = NULL;
    char *folder = NULL;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, list_slices(&names, &folder, stack_path));
    count = sort_slices(&names);
    if (count == 0) {
        st = volt_fail(VOLT_EDATA, "%s holds no slice (PNG, TIFF, BMP, GIF)", stack_path);
        goto done;
    }
    VOLT_TRY(st, done, check_stack(&names, count, stack_path));
    for (size_t z = 0; z < count; z++) {
        char *path;
        VOLT_TRY(st, done, volt_path_join(&path, folder, names.name[z]));
        st = add_slice(&stack, path, (int64_t)z, count, dtype);
        volt_free(path);
        if (st != VOLT_OK)
            goto done;
    }
    *out = stack;
    stack = NULL;
done:
    volt_free(folder);
    volt_volume_free(stack);
    volt_names_free(&names);
    return st;
}

/* -- Values ------------------------------------------------------------------------------- */

/* Replaces *v, float32 grey values, by int16 labels. */
static volt_status apply_thresholds(volt_volume **v, const volt_dataset_info *info,
                                    const char *path, int threads)
{
    const volt_volume *grey = *v;
    const int64_t voxels = volt_grid_voxels(&grey->grid) * grey->grid.channels;
    const float *value = grey->data;
    volt_volume *labels = NULL;
    int64_t bad = 0;
    int16_t *label;
    volt_status st;

    VOLT_TRY(st, done, volt_volume_create(&labels, &grey->grid, VOLT_I16));
    label = labels->data;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : bad)
    for (int64_t i = 0; i < voxels; i++) {
        int16_t reached = 0;
        while (reached < info->thresholds && (double)value[i] >= info->threshold[reached])
            reached++;
        label[i] = reached;
        bad += !isfinite(value[i]);
    }
    if (bad) {
        st = volt_fail(VOLT_EFORMAT, "%s is NaN or infinite in %lld voxel%s", path,
                       (long long)bad, volt_s(bad));
        goto done;
    }
    volt_volume_free(*v);
    *v = labels;
    labels = NULL;
done:
    volt_volume_free(labels);
    return st;
}

/* Replaces *v by a copy with reversed axes. */
static volt_status flip(volt_volume **v, const bool axes[3], int threads)
{
    volt_orientation o = {.from = {0, 1, 2}};
    volt_volume *turned;
    volt_status st;

    memcpy(o.flip, axes, sizeof o.flip);
    if (volt_orientation_is_identity(o))
        return VOLT_OK;
    st = volt_volume_reorient(&turned, *v, o, threads);
    if (st == VOLT_OK) {
        volt_volume_free(*v);
        *v = turned;
    }
    return st;
}

volt_status volt_labels_load(volt_volume **out, const char *path, const volt_dataset_info *info,
                             int threads)
{
    const volt_dtype dtype = info && info->thresholds ? VOLT_F32 : VOLT_I16;
    volt_volume *v = NULL;
    volt_status st;

    threads = volt_threads_or_default(threads);
    VOLT_TRY(st, done,
             volt_path_is_dir(path) || volt_is_numbered_stack(path)
                 ? read_slices(&v, path, dtype)
                 : read_file(&v, path, dtype, threads));
    if (info && volt_labels_lack_geometry(path))
        VOLT_TRY(st, done, flip(&v, info->label_flip, threads));
    if (info && info->thresholds)
        VOLT_TRY(st, done, apply_thresholds(&v, info, path, threads));
    *out = v;
    v = NULL;
done:
    volt_volume_free(v);
    return st;
}
