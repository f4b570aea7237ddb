/* layout_pairs.c - a folder of images and a folder of labels with matching names. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/dataset/layout.h"
#include "io/image/names.h"

static volt_status pairs_fits(bool *out, const opening *o)
{
    *out = o->options->images;
    return VOLT_OK;
}

/* -- Channels ------------------------------------------------------------------- */

/* The number of channels: from the highest number in the names, else from the first readable
 * file. */
static volt_status count_channels(int *out, const input_files *files)
{
    volt_status st = VOLT_OK;

    *out = 1; /* if none is readable the check says why */
    for (size_t i = 0; i < files->count; i++) {
        if (files->item[i].channel >= *out)
            *out = files->item[i].channel + 1;
    }
    for (size_t i = 0; i < files->count && *out == 1 && st != VOLT_ENOMEM; i++) {
        volt_image_header *header = NULL;
        st = volt_image_info(&header, files->item[i].path);
        if (st == VOLT_OK)
            *out = header->grid.channels;
        volt_image_header_free(header);
        if (st == VOLT_OK)
            break;
    }
    return st == VOLT_ENOMEM ? st : VOLT_OK;
}

/* The images of a folder. Numbers such as CASE_0000 are channels if they start at 0 in each
 * case and a case has several, or if all are 0; else they belong to the names. */
static volt_status list_images(input_files *files, const char *folder)
{
    bool numbered = true, several = false, all_first = true;
    volt_status st = volt_files_add_folder(files, folder, NULL, true);

    if (st != VOLT_OK)
        return st;
    for (size_t i = 0, n; i < files->count; i += n) {
        n = volt_files_group(files, i);
        numbered = numbered && files->item[i].channel == 0;
        several = several || n > 1;
        all_first = all_first && n == 1;
    }
    if (numbered && (several || all_first))
        return VOLT_OK;
    volt_files_clear(files);
    return volt_files_add_folder(files, folder, NULL, false);
}

/* Without a label table the labels are numbered from 0 in the order of their values. */
static volt_status pairs_describe(opening *o)
{
    volt_dataset_info *info = &o->ds->info;
    input_files files = {0};
    int channels;
    volt_status st;

    VOLT_TRY(st, done, list_images(&files, o->options->images));
    if (files.count == 0) {
        st = volt_fail(VOLT_EDATA, "%s holds no scan", o->options->images);
        goto done;
    }
    info->num_training = -1;
    info->ignore_label = VOLT_NO_IGNORE_LABEL;
    VOLT_TRY(st, done, volt_strdup(&info->file_ending, ".nii.gz"));
    VOLT_TRY(st, done, volt_strdup(&info->name, ""));
    VOLT_TRY(st, done, count_channels(&channels, &files));
    VOLT_TRY(st, done,
             volt_alloc_zero(&info->channel_name, (size_t)channels, sizeof(char *),
                             "channel names"));
    for (; info->channels < channels; info->channels++)
        VOLT_TRY(st, done,
                 volt_format(&info->channel_name[info->channels], "image %d", info->channels));
done:
    volt_files_clear(&files);
    return st;
}

/* -- Matching ----------------------------------------------------------------------------- */

/* Lengths of the common start and end of all names; neither cuts through a number. What is
 * between distinguishes the names. */
typedef struct common_part {
    size_t head, tail;
} common_part;

static common_part common_of(const input_files *files)
{
    const char *a = files->item[0].id;
    const size_t bytes = strlen(a);
    common_part c = {.head = bytes, .tail = bytes};
    size_t shortest = bytes;

    for (size_t i = 1; i < files->count; i++) {
        const char *b = files->item[i].id;
        const size_t other = strlen(b);
        size_t head = 0, tail = 0;
        while (head < c.head && a[head] == b[head])
            head++;
        while (tail < c.tail && tail < other && a[bytes - 1 - tail] == b[other - 1 - tail])
            tail++;
        c.head = head;
        c.tail = tail;
        shortest = other < shortest ? other : shortest;
    }
    if (c.head + c.tail > shortest)
        c.tail = shortest - c.head;
    while (c.head > 0 && isdigit((unsigned char)a[c.head - 1]))
        c.head--;
    while (c.tail > 0 && isdigit((unsigned char)a[bytes - c.tail]))
        c.tail--;
    return c;
}

/* The distinguishing part of `id`; *bytes is its length. */
static const char *core_of(const char *id, common_part c, size_t *bytes)
{
    const size_t all = strlen(id);

    *bytes = c.head + c.tail <= all ? all - c.head - c.tail : 0;
    return id + (c.head < all ? c.head : all);
}

static bool same_core(const char *a, common_part in_a, const char *b, common_part in_b)
{
    size_t x, y;
    const char *p = core_of(a, in_a, &x), *q = core_of(b, in_b, &y);

    return x == y && memcmp(p, q, x) == 0;
}

/* Index of the file that matches `id`; `count`: none. */
static size_t find_match(const input_files *files, common_part common, const char *id,
                         common_part in_id)
{
    size_t i = 0;

    while (i < files->count && !same_core(id, in_id, files->item[i].id, common))
        i++;
    return i;
}

/* Whether each image has a label file of the same name. */
static bool equal_names(const input_files *images, const input_files *labels)
{
    static const common_part nothing;

    for (size_t i = 0; i < images->count; i++) {
        if (find_match(labels, nothing, images->item[i].id, nothing) == labels->count)
            return false;
    }
    return true;
}

static volt_status add_case(opening *o, input_file *first, size_t files, char **label)
{
    volt_case *c;
    volt_status st;

    VOLT_TRY(st, done, volt_cases_append(&c, &o->cases, first->id));
    c->label_file = *label;
    *label = NULL;
    for (size_t i = 0; i < files; i++) {
        char *path = first[i].path;
        first[i].path = NULL;
        VOLT_TRY(st, done, volt_case_add_file(c, path));
    }
done:
    return st;
}

static volt_status match(opening *o, input_files *images, input_files *labels)
{
    common_part in_image = {0}, in_label = {0};
    size_t left = labels->count;
    volt_status st = VOLT_OK;

    if (!equal_names(images, labels)) {
        in_image = common_of(images);
        in_label = common_of(labels);
        VOLT_TRY(st, done,
                 volt_layout_note(o,
                                  "names differ between %s and %s; they are matched by what "
                                  "distinguishes them, as %s and %s",
                                  o->options->images, o->options->labels, images->item[0].id,
                                  labels->item[0].id));
    }
    for (size_t i = 0, n; i < images->count; i += n) {
        const char *id = images->item[i].id;
        const size_t k = find_match(labels, in_label, id, in_image);
        n = volt_files_group(images, i);
        if (k == labels->count || !labels->item[k].path)
            return volt_fail(VOLT_EDATA, "%s has no file in %s that matches its name",
                             images->item[i].path, o->options->labels);
        VOLT_TRY(st, done, add_case(o, &images->item[i], n, &labels->item[k].path));
        left--;
    }
    for (size_t k = 0; left && k < labels->count; k++) {
        if (labels->item[k].path)
            return volt_fail(VOLT_EDATA,
                             "%s has no image in %s that matches its name (%zu label file%s "
                             "without an image)",
                             labels->item[k].path, o->options->images, left,
                             volt_s((int64_t)left));
    }
done:
    return st;
}

/* Images, pictures, and folders, which should hold PNG slices. */
static volt_status list_labels(input_files *files, const char *folder)
{
    volt_names names = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_list_dir(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.name[i], *ending = volt_image_ending(name);
        char *path;
        if (volt_is_hidden_file(name) || strcmp(name, "volt") == 0 ||
            strncasecmp(ending, ".img", 4) == 0)
            continue; /* the .hdr represents a pair */
        VOLT_TRY(st, done, volt_path_join(&path, folder, name));
        if (*ending || volt_path_is_dir(path))
            st = volt_files_add(files, path, ending, false);
        volt_free(path);
        if (st != VOLT_OK)
            goto done;
    }
    volt_files_sort(files);
done:
    volt_names_free(&names);
    return st;
}

static volt_status pairs_list(opening *o)
{
    input_files images = {0}, labels = {0};
    volt_status st;

    VOLT_TRY(st, done, list_images(&images, o->options->images));
    VOLT_TRY(st, done, list_labels(&labels, o->options->labels));
    if (labels.count == 0) {
        st = volt_fail(VOLT_EDATA, "%s holds no scan, no picture and no folder of PNG slices",
                       o->options->labels);
        goto done;
    }
    st = match(o, &images, &labels);
done:
    volt_files_clear(&labels);
    volt_files_clear(&images);
    return st;
}

const volt_layout volt_layout_pairs = {
    .word = "pairs",
    .name = "images and labels in two folders",
    .fits = pairs_fits,
    .describe = pairs_describe,
    .list = pairs_list,
};
