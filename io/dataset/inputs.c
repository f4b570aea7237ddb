/* inputs.c - the cases to predict: files, folders and data sets as one list. */
#include "io/dataset.h"

#include <stdio.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/mem.h"
#include "base/system/file.h"
#include "io/dataset/dataset_internal.h"
#include "io/dataset/layout.h"
#include "io/image/names.h"

/* A network of one channel takes a lone CASE_0012, which may be a whole case with a number in
 * its name; its id keeps the number. */
static volt_status add_numbered(case_builder *cases, input_file *file)
{
    char *id = NULL, *path;
    volt_case *c;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&id, "%s_%04d", file->id, file->channel));
    VOLT_TRY(st, done, volt_cases_append(&c, cases, id));
    c->numbered = true;
    path = file->path;
    file->path = NULL;
    st = volt_case_add_file(c, path);
done:
    volt_free(id);
    return st;
}

/* Files with the same id must be one whole case, or each channel exactly once. */
static volt_status check_group(const input_file *first, size_t count, int channels)
{
    const input_file *last = &first[count - 1];

    for (size_t i = 1; i < count; i++) {
        if (first[0].channel < 0 || first[i - 1].channel == first[i].channel)
            return volt_fail(VOLT_EINVAL, "%s and %s both give case %s", first[i - 1].path,
                             first[i].path, first->id);
    }
    if (last->channel >= channels)
        return volt_fail(VOLT_EDATA,
                         "%s is channel %d of case %s; the network takes %d channel%s, counted "
                         "from 0",
                         last->path, last->channel, last->id, channels, volt_s(channels));
    for (size_t i = 0; first->channel >= 0 && i < count; i++) {
        if (first[i].channel != (int)i)
            return volt_fail(VOLT_EDATA,
                             "case %s lacks channel %zu: %s exists, %s_%04zu does not",
                             first->id, i, first[i].path, first->id, i);
    }
    return VOLT_OK;
}

static volt_status add_good(case_builder *cases, input_file *first, size_t count, int channels)
{
    bool whole = first->channel < 0; /* a photograph has all channels in CASE_0000 */
    char expected[40];
    int has;
    volt_case *c;
    volt_status st;

    if (count == 1 && channels == 1 && first->channel > 0)
        return add_numbered(cases, first);
    VOLT_TRY(st, done, check_group(first, count, channels));
    if (count == 1 && first->channel == 0 && channels > 1) {
        VOLT_TRY(st, done, volt_file_channels(&has, first->path));
        snprintf(expected, sizeof expected, "the network takes %d", channels);
        if (has > 1 && !volt_channels_may_fit(first->path, has, channels))
            return volt_channels_fail(first->path, has, "", expected);
        whole = has > 1 || (has == 0 && volt_image_is_picture(first->path));
    }
    if (count < (size_t)channels && !whole)
        return volt_fail(VOLT_EDATA,
                         "case %s lacks channel %zu: %s is its last file; the network takes %d "
                         "channels",
                         first->id, count, first[count - 1].path, channels);
    VOLT_TRY(st, done, volt_cases_append(&c, cases, first->id));
    for (size_t i = 0; i < count; i++) {
        char *path = first[i].path;
        first[i].path = NULL;
        VOLT_TRY(st, done, volt_case_add_file(c, path));
    }
done:
    return st;
}

/* A case that failed with `st` is listed with its sentence, if the caller wants that. */
static volt_status add_fault(case_builder *cases, const char *id, volt_status st)
{
    const volt_status fault = st;
    char *sentence = NULL;
    volt_case *c;

    if (!cases->with_faults ||
        (st != VOLT_EDATA && st != VOLT_EFORMAT && st != VOLT_EIO && st != VOLT_ENOTSUP))
        return st;
    VOLT_TRY(st, done, volt_strdup(&sentence, volt_last_error()));
    VOLT_TRY(st, done, volt_cases_append(&c, cases, id));
    c->fault = sentence;
    c->fault_status = fault;
    sentence = NULL;
done:
    volt_free(sentence);
    return st;
}

static volt_status add_group(case_builder *cases, input_file *first, size_t count, int channels)
{
    const int64_t before = cases->list.count;
    const volt_status st = add_good(cases, first, count, channels);

    return st != VOLT_OK && cases->list.count == before ? add_fault(cases, first->id, st) : st;
}

/* Moves a case of a data set to `cases`; fails with what it lacks. */
static volt_status take_case(case_builder *cases, volt_case *c, int channels)
{
    volt_case *moved;
    volt_status st;

    if (c->files != 1 && c->files != channels)
        return volt_fail(VOLT_EDATA,
                         "case %s has %d image file%s; the network takes %d channel%s", c->id,
                         c->files, volt_s(c->files), channels, volt_s(channels));
    for (int i = 0; i < c->files; i++) {
        if (!volt_path_exists(c->file[i]))
            return volt_fail(VOLT_EDATA, "case %s lacks %s", c->id, c->file[i]);
    }
    VOLT_TRY(st, done, volt_cases_append(&moved, cases, c->id));
    moved->files = c->files;
    moved->file = c->file;
    c->files = 0;
    c->file = NULL;
done:
    return st;
}

static volt_status add_dataset(case_builder *cases, const char *folder, int channels,
                               const volt_dataset_options *options)
{
    volt_dataset *ds = NULL;
    volt_case_list *list;
    volt_status st;

    VOLT_TRY(st, done, volt_dataset_open(&ds, folder, options));
    list = ds->tests.count ? &ds->tests : &ds->cases;
    for (int64_t i = 0; i < list->count; i++) {
        st = take_case(cases, &list->item[i], channels);
        if (st != VOLT_OK)
            VOLT_TRY(st, done, add_fault(cases, list->item[i].id, st));
    }
done:
    volt_dataset_close(ds);
    return st;
}

/* What a folder is: images, `images` of them, or a data set; images in the folder itself take
 * precedence. */
static volt_status look_into(bool *is_dataset, size_t *images, const char *folder)
{
    input_files own = {0};
    char *json = NULL;
    bool known;
    volt_status st;

    VOLT_TRY(st, done, volt_files_add_folder(&own, folder, NULL, true));
    VOLT_TRY(st, done, volt_layouts_know(&known, folder, own.count == 0));
    VOLT_TRY(st, done, volt_path_join(&json, folder, "dataset.json"));
    *is_dataset = known || (own.count == 0 && volt_path_exists(json));
    *images = own.count;
done:
    volt_free(json);
    volt_files_clear(&own);
    return st;
}

static volt_status add_folder(input_files *files, case_builder *cases, const char *folder,
                              int channels, const volt_dataset_options *options)
{
    bool is_dataset;
    size_t images;
    const volt_status st = look_into(&is_dataset, &images, folder);

    if (st != VOLT_OK)
        return st;
    return is_dataset ? add_dataset(cases, folder, channels, options)
                      : volt_files_add_folder(files, folder, NULL, true);
}

static volt_status fail_missing(const char *input)
{
    return volt_fail(VOLT_EIO, "cannot open %s: no such file or folder", input);
}

static volt_status fail_empty(const char *const *inputs, int count)
{
    return count > 0 ? volt_fail(VOLT_EDATA, "%s holds no scan", inputs[0])
                     : volt_fail(VOLT_EINVAL, "no input is given");
}

/* Fails with the first fault if nothing can be predicted. */
static volt_status check_faults(const volt_case_list *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        if (!list->item[i].fault)
            return VOLT_OK;
    }
    return list->count == 0 ? VOLT_OK
                            : volt_fail(list->item[0].fault_status, "%s", list->item[0].fault);
}

static volt_status list_inputs(volt_case_list *out, const char *const *inputs, int count,
                               int channels, const volt_dataset_options *options,
                               bool with_faults)
{
    input_files files = {0};
    case_builder cases = {.with_faults = with_faults};
    volt_status st = VOLT_OK;

    if (channels < 1)
        return volt_fail(VOLT_EINVAL, "inputs with %d channels; at least 1 is expected",
                         channels);
    for (int i = 0; i < count; i++) {
        if (volt_path_is_dir(inputs[i]))
            st = add_folder(&files, &cases, inputs[i], channels, options);
        else if (!volt_path_exists(inputs[i]))
            st = fail_missing(inputs[i]);
        else
            st = volt_files_add(&files, inputs[i], volt_image_ending(inputs[i]), true);
        if (st != VOLT_OK)
            goto done;
    }
    if (files.count == 0 && cases.list.count == 0) {
        st = fail_empty(inputs, count);
        goto done;
    }
    volt_files_sort(&files);
    for (size_t i = 0, n; i < files.count; i += n) {
        n = volt_files_group(&files, i);
        VOLT_TRY(st, done, add_group(&cases, &files.item[i], n, channels));
    }
    VOLT_TRY(st, done, volt_cases_finish(&cases.list, VOLT_EINVAL, "the inputs"));
    VOLT_TRY(st, done, check_faults(&cases.list));
    *out = cases.list;
    cases.list = (volt_case_list){0};
done:
    volt_case_list_clear(&cases.list);
    volt_files_clear(&files);
    return st;
}

volt_status volt_inputs_list(volt_case_list *out, const char *const *inputs, int count,
                             int channels, const volt_dataset_options *options)
{
    return list_inputs(out, inputs, count, channels, options, false);
}

volt_status volt_inputs_list_all(volt_case_list *out, const char *const *inputs, int count,
                                 int channels, const volt_dataset_options *options)
{
    return list_inputs(out, inputs, count, channels, options, true);
}

volt_status volt_inputs_check(const char *const *inputs, int count)
{
    bool any = false;
    volt_status st;

    for (int i = 0; i < count; i++) {
        bool is_dataset = false;
        size_t images = 1;
        if (!volt_path_exists(inputs[i]))
            return fail_missing(inputs[i]);
        if (volt_path_is_dir(inputs[i]) &&
            (st = look_into(&is_dataset, &images, inputs[i])) != VOLT_OK)
            return st;
        any = any || is_dataset || images > 0;
    }
    return any ? VOLT_OK : fail_empty(inputs, count);
}
