/* target.c - options for labels: target, table of values, thresholds. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/system/tasks.h"
#include "io/dataset/layout.h"
#include "volume/grid/labels.h"

enum { MAX_NAME = 200 };

static void drop_regions(volt_dataset_info *info)
{
    for (int r = 0; r < info->regions; r++) {
        volt_free(info->region[r].name);
        volt_free(info->region[r].value);
    }
    volt_free(info->region);
    info->region = NULL;
    info->regions = 0;
}

static void drop_labels(volt_dataset_info *info)
{
    drop_regions(info);
    for (int l = 0; l < info->labels; l++)
        volt_free(info->label[l].name);
    volt_free(info->label);
    volt_free(info->stored);
    info->label = NULL;
    info->stored = NULL;
    info->labels = 0;
    info->ignore_label = VOLT_NO_IGNORE_LABEL;
}

/* Makes room for `count` labels in `info`, which has none. */
static volt_status make_labels(volt_dataset_info *info, int count)
{
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&info->label, (size_t)count, sizeof *info->label, "labels"));
    st = volt_alloc_zero(&info->stored, (size_t)count, sizeof *info->stored, "labels");
done:
    return st;
}

/* The next label, stored as `value`. */
static volt_status add_label(volt_dataset_info *info, int32_t value, const char *name)
{
    const int l = info->labels;

    info->label[l].value = l;
    info->stored[l] = value;
    info->labels++;
    return volt_strdup(&info->label[l].name, name);
}

/* -- Label table ------------------------------------------------------------------------------
 */

/* Parses one "VALUE=NAME" and moves *text past its comma; false: invalid. */
static bool take_entry(const char **text, int32_t *value, char name[MAX_NAME])
{
    char *end;
    const long number = strtol(*text, &end, 10);
    size_t bytes;

    if (end == *text || *end != '=' || number < 0 || number > INT16_MAX)
        return false;
    end++;
    bytes = strcspn(end, ",");
    if (bytes == 0 || bytes >= MAX_NAME)
        return false;
    memcpy(name, end, bytes);
    name[bytes] = '\0';
    *value = (int32_t)number;
    *text = end + bytes + (end[bytes] == ',');
    return true;
}

static volt_status check_entry(const volt_dataset_info *info, int32_t value, const char *name)
{
    for (int l = 0; l < info->labels; l++) {
        if (info->stored[l] == value)
            return volt_fail(VOLT_EINVAL, "the label table has value %d twice", value);
        if (strcmp(info->label[l].name, name) == 0)
            return volt_fail(VOLT_EINVAL, "the label table has the name %s twice", name);
    }
    if (info->ignore_label >= 0 && info->stored_ignore == value)
        return volt_fail(VOLT_EINVAL, "the label table has value %d twice", value);
    if (info->ignore_label >= 0 && strcmp(name, "ignore") == 0)
        return volt_fail(VOLT_EINVAL, "the label table has two ignore labels");
    return VOLT_OK;
}

/* "0=background,2=edema,255=ignore" */
static volt_status apply_table(volt_dataset_info *info, const char *table)
{
    char name[MAX_NAME];
    int entries = 1;
    int32_t value;
    volt_status st;

    for (const char *p = table; *p; p++)
        entries += *p == ',';
    if (entries > VOLT_MAX_LABELS)
        return volt_fail(VOLT_EINVAL, "the label table has %d entries; at most %d are possible",
                         entries, VOLT_MAX_LABELS);
    drop_labels(info);
    VOLT_TRY(st, done, make_labels(info, entries));
    while (*table) {
        const char *entry = table;
        if (!take_entry(&table, &value, name))
            return volt_fail(VOLT_EINVAL,
                             "the label table has '%.*s'; VALUE=NAME is expected, with values "
                             "from 0 to %d",
                             (int)strcspn(entry, ","), entry, INT16_MAX);
        VOLT_TRY(st, done, check_entry(info, value, name));
        if (strcmp(name, "ignore") == 0)
            info->ignore_label = info->stored_ignore = value;
        else
            VOLT_TRY(st, done, add_label(info, value, name));
    }
    if (info->labels < 2)
        return volt_fail(
            VOLT_EINVAL,
            "the label table has %d label%s; the background and at least one more are expected",
            info->labels, volt_s(info->labels));
    if (info->ignore_label >= 0)
        info->ignore_label = info->labels;
    volt_stored_simplify(info);
done:
    return st;
}

/* -- Values in the label files ----------------------------------------------------------------
 */

typedef struct scanning {
    const volt_case_list *cases;
    pthread_mutex_t lock;
    int64_t *count; /* by value; under the lock */
    int64_t read;
} scanning;

/* Unreadable files are left to the check. */
static volt_status scan_labels(void *context, int64_t index, int threads)
{
    scanning *s = context;
    volt_volume *v = NULL;
    volt_status st;

    st = volt_labels_load(&v, s->cases->item[index].label_file, NULL, threads);
    if (st == VOLT_ENOMEM)
        return st;
    if (st != VOLT_OK)
        return VOLT_OK;
    pthread_mutex_lock(&s->lock);
    st = volt_label_counts(s->count, v);
    s->read++;
    pthread_mutex_unlock(&s->lock);
    volt_volume_free(v);
    return st;
}

/* Numbers the values that occur from 0 in ascending order. */
static volt_status take_values(opening *o, const int64_t *count, int64_t files)
{
    volt_dataset_info *info = &o->ds->info;
    char list[160] = "0", name[24];
    int labels = 1;
    volt_status st;

    for (int32_t value = 1; value < VOLT_LABEL_VALUES; value++)
        labels += count[value] > 0;
    if (labels > VOLT_MAX_LABELS)
        return volt_fail(VOLT_EDATA,
                         "%s: %d different values occur; grey values need thresholds",
                         o->options->labels, labels);
    if (labels < 2)
        return volt_fail(VOLT_EDATA, "%s: no label other than 0 occurs in %lld file%s",
                         o->options->labels, (long long)files, volt_s(files));
    VOLT_TRY(st, done, make_labels(info, labels));
    VOLT_TRY(st, done, add_label(info, 0, "background"));
    for (int32_t value = 1; value < VOLT_LABEL_VALUES; value++) {
        const size_t used = strlen(list);
        if (!count[value])
            continue;
        snprintf(name, sizeof name, "label %d", value);
        VOLT_TRY(st, done, add_label(info, value, name));
        if (used < sizeof list - 20)
            snprintf(list + used, sizeof list - used, ", %d", value);
        else if (list[used - 1] != '.')
            snprintf(list + used, sizeof list - used, ", ...");
    }
    volt_stored_simplify(info);
    st = volt_layout_note(o, "the label files hold the values %s%s", list,
                          info->stored ? "; they are numbered from 0 for training" : "");
done:
    return st;
}

static volt_status find_values(opening *o)
{
    scanning s = {.cases = &o->ds->cases, .lock = PTHREAD_MUTEX_INITIALIZER};
    const volt_tasks tasks = {.run = scan_labels,
                              .context = &s,
                              .count = o->ds->cases.count,
                              .threads = o->options->threads,
                              .what = "label files",
                              .callbacks = o->options->callbacks};
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&s.count, VOLT_LABEL_VALUES, sizeof *s.count, "labels"));
    VOLT_TRY(st, done, volt_tasks_run(&tasks));
    if (s.read == 0) {
        st = volt_fail(VOLT_EDATA, "%s: no label file can be read; %s", o->options->labels,
                       volt_last_error());
        goto done;
    }
    st = take_values(o, s.count, s.read);
done:
    volt_free(s.count);
    pthread_mutex_destroy(&s.lock);
    return st;
}

/* -- Thresholds --------------------------------------------------------------------------- */

static volt_status apply_thresholds(volt_dataset_info *info, const volt_dataset_options *o)
{
    char name[24];
    volt_status st = VOLT_OK;

    for (int i = 0; i < o->thresholds; i++) {
        if (!isfinite(o->threshold[i]) || (i && o->threshold[i] <= o->threshold[i - 1]))
            return volt_fail(VOLT_EINVAL, "label thresholds must ascend; number %d is %g",
                             i + 1, o->threshold[i]);
    }
    if (info->labels == 0) {
        VOLT_TRY(st, done, make_labels(info, o->thresholds + 1));
        VOLT_TRY(st, done, add_label(info, 0, "background"));
        for (int i = 1; i <= o->thresholds; i++) {
            snprintf(name, sizeof name, "label %d", i);
            VOLT_TRY(st, done, add_label(info, i, name));
        }
        volt_stored_simplify(info);
    }
    if (info->labels != o->thresholds + 1 || info->stored || info->ignore_label >= 0)
        return volt_fail(
            VOLT_EINVAL,
            "%d label threshold%s define%s %d labels, 0 to %d; the data set has %d%s",
            o->thresholds, volt_s(o->thresholds), o->thresholds == 1 ? "s" : "",
            o->thresholds + 1, o->thresholds, info->labels,
            info->stored              ? " with other values"
            : info->ignore_label >= 0 ? " and an ignore label"
                                      : "");
    VOLT_TRY(st, done,
             volt_alloc(&info->threshold, (size_t)o->thresholds * sizeof *info->threshold,
                        "thresholds"));
    memcpy(info->threshold, o->threshold, (size_t)o->thresholds * sizeof *info->threshold);
    info->thresholds = o->thresholds;
done:
    return st;
}

/* "T1,T2": as many names as there are channels. */
static volt_status name_channels(volt_dataset_info *info, const char *names)
{
    const char *p = names;
    int count = 1;

    for (const char *c = names; *c; c++)
        count += *c == ',';
    if (count != info->channels)
        return volt_fail(VOLT_EINVAL, "'%s' names %d channel%s; the data set has %d", names,
                         count, volt_s(count), info->channels);
    for (int c = 0; c < count; c++) {
        const size_t bytes = strcspn(p, ",");
        char *name;
        volt_status st;
        if (bytes == 0)
            return volt_fail(VOLT_EINVAL, "'%s' leaves channel %d without a name", names, c);
        if ((st = volt_format(&name, "%.*s", (int)bytes, p)) != VOLT_OK)
            return st;
        volt_free(info->channel_name[c]);
        info->channel_name[c] = name;
        p += bytes + (p[bytes] == ',');
    }
    return VOLT_OK;
}

volt_status volt_labels_adapt(opening *o)
{
    const volt_dataset_options *options = o->options;
    volt_dataset_info *info = &o->ds->info;
    volt_status st = VOLT_OK;

    if (options->label_flip && !volt_label_flip_parse(info, options->label_flip))
        return volt_fail(VOLT_EINVAL,
                         "label files cannot be flipped along '%s'; letters of x, "
                         "y, z are expected",
                         options->label_flip);
    if (options->channel_names)
        VOLT_TRY(st, done, name_channels(info, options->channel_names));
    if (options->label_table)
        VOLT_TRY(st, done, apply_table(info, options->label_table));
    if (options->thresholds)
        VOLT_TRY(st, done, apply_thresholds(info, options));
    if (info->labels == 0)
        VOLT_TRY(st, done, find_values(o));
    if (options->target == VOLT_TARGET_LABELS)
        drop_regions(info);
    if (options->target == VOLT_TARGET_REGIONS && info->regions == 0)
        st = volt_fail(VOLT_EINVAL, "%s (%s) has no regions%s", o->ds->folder, o->ds->layout,
                       options->label_table ? " with this label table" : "");
done:
    return st;
}
