/* extras.c - the key "volt" of dataset.json: how the files of a data set are interpreted. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "io/dataset/dataset_internal.h"
#include "volume/orient.h"

static bool flips(const volt_dataset_info *info)
{
    return info->label_flip[0] || info->label_flip[1] || info->label_flip[2];
}

/* "xz"; NULL when out of memory. */
static json_t *flip_json(const volt_dataset_info *info)
{
    char axes[4] = "";
    int count = 0;

    for (int a = 2; a >= 0; a--) {
        if (info->label_flip[a])
            axes[count++] = "zyx"[a];
    }
    return json_string(axes);
}

bool volt_label_flip_parse(volt_dataset_info *info, const char *axes)
{
    static const char letters[] = "zyx";

    for (; *axes; axes++) {
        const char *at = strchr(letters, tolower((unsigned char)*axes));
        if (!at || info->label_flip[at - letters])
            return false;
        info->label_flip[at - letters] = true;
    }
    return true;
}

static volt_status read_flip(volt_dataset_info *info, const volt_json_at *own)
{
    volt_json_at at;
    const char *axes;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, own, "label_flip"));
    if (!at.value)
        goto done;
    VOLT_TRY(st, done, volt_json_text(&axes, &at, 3));
    if (!volt_label_flip_parse(info, axes))
        return volt_json_fail(&at, "is \"%s\"; letters of x, y, z are expected", axes);
done:
    return st;
}

json_t *volt_info_own_json(const volt_dataset_info *info, int *bad)
{
    json_t *own, *stored;

    if (!info->stored && !info->thresholds && !info->labels_follow_image &&
        !info->resample_channels && !info->allow_shift && !*info->orientation && !flips(info))
        return NULL;
    own = json_object();
    if (info->stored) {
        stored = json_array();
        for (int l = 0; l < info->labels; l++)
            *bad |= json_array_append_new(stored, json_integer(info->stored[l]));
        *bad |= json_object_set_new(own, "stored_labels", stored);
        if (info->ignore_label >= 0)
            *bad |=
                json_object_set_new(own, "stored_ignore", json_integer(info->stored_ignore));
    }
    if (info->thresholds)
        *bad |= json_object_set_new(
            own, "label_thresholds",
            volt_json_array_of_doubles(info->threshold, (size_t)info->thresholds));
    if (info->labels_follow_image)
        *bad |= json_object_set_new(own, "labels_follow_image", json_true());
    if (info->resample_channels)
        *bad |= json_object_set_new(own, "resample_channels", json_true());
    if (info->allow_shift)
        *bad |= json_object_set_new(own, "allow_shift", json_true());
    if (flips(info))
        *bad |= json_object_set_new(own, "label_flip", flip_json(info));
    if (*info->orientation)
        *bad |= json_object_set_new(own, "orientation", json_string(info->orientation));
    return own;
}

static int by_number(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

/* Each label's value in the label files, all distinct. */
static volt_status read_stored(volt_dataset_info *info, const volt_json_at *own)
{
    const size_t count = (size_t)info->labels;
    int64_t *value = NULL;
    int32_t *sorted = NULL;
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, own, "stored_labels"));
    if (!at.value)
        goto done;
    VOLT_TRY(st, done, volt_alloc(&value, (count + 1) * sizeof *value, "labels"));
    VOLT_TRY(st, done, volt_json_ints(value, &at, count, 0, INT16_MAX));
    VOLT_TRY(st, done, volt_alloc(&info->stored, count * sizeof *info->stored, "labels"));
    VOLT_TRY(st, done, volt_alloc(&sorted, (count + 1) * sizeof *sorted, "labels"));
    for (size_t l = 0; l < count; l++)
        info->stored[l] = sorted[l] = (int32_t)value[l];
    sorted[count] = -1;
    if (info->ignore_label >= 0) {
        VOLT_TRY(st, done, volt_json_member(&at, own, "stored_ignore"));
        VOLT_TRY(st, done, volt_json_int(&value[count], &at, 0, INT16_MAX));
        info->stored_ignore = sorted[count] = (int32_t)value[count];
    }
    qsort(sorted, count + 1, sizeof *sorted, by_number);
    for (size_t l = 1; l <= count; l++) {
        if (sorted[l] == sorted[l - 1]) {
            st = volt_json_fail(&at, "has %d twice among the stored labels", sorted[l]);
            goto done;
        }
    }
done:
    volt_free(sorted);
    volt_free(value);
    return st;
}

static volt_status read_thresholds(volt_dataset_info *info, const volt_json_at *own)
{
    const size_t count = (size_t)info->labels - 1;
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, own, "label_thresholds"));
    if (!at.value)
        goto done;
    VOLT_TRY(st, done,
             volt_alloc(&info->threshold, count * sizeof *info->threshold, "thresholds"));
    VOLT_TRY(st, done, volt_json_doubles(info->threshold, &at, count, -1e30, 1e30));
    for (size_t i = 1; i < count; i++) {
        if (info->threshold[i] <= info->threshold[i - 1])
            return volt_json_fail(&at, "is not ascending: %g after %g", info->threshold[i],
                                  info->threshold[i - 1]);
    }
    info->thresholds = (int)count;
done:
    return st;
}

static volt_status read_orientation(volt_dataset_info *info, const volt_json_at *own)
{
    const int64_t n[3] = {1, 1, 1};
    const double mm[3] = {1, 1, 1};
    const volt_grid any = volt_grid_make(n, 1, mm);
    volt_orientation o;
    volt_json_at at;
    const char *codes;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, own, "orientation"));
    if (!at.value)
        goto done;
    VOLT_TRY(st, done, volt_json_text(&codes, &at, 3));
    if (strlen(codes) != 3 || volt_orientation_to(&o, &any, codes) != VOLT_OK)
        return volt_json_fail(&at, "is \"%s\"; three letters such as \"LPS\" are expected",
                              codes);
    for (int i = 0; i < 3; i++)
        info->orientation[i] = (char)toupper((unsigned char)codes[i]);
done:
    return st;
}

static volt_status read_flag(bool *out, const volt_json_at *own, const char *key)
{
    volt_json_at at;
    volt_status st = volt_json_optional(&at, own, key);

    return st == VOLT_OK && at.value ? volt_json_bool(out, &at) : st;
}

volt_status volt_info_read_own(volt_dataset_info *info, const volt_json_at *root)
{
    volt_json_at own;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&own, root, "volt"));
    if (!own.value)
        goto done;
    VOLT_TRY(st, done, read_stored(info, &own));
    VOLT_TRY(st, done, read_thresholds(info, &own));
    VOLT_TRY(st, done, read_flag(&info->labels_follow_image, &own, "labels_follow_image"));
    VOLT_TRY(st, done, read_flag(&info->resample_channels, &own, "resample_channels"));
    VOLT_TRY(st, done, read_flag(&info->allow_shift, &own, "allow_shift"));
    VOLT_TRY(st, done, read_flip(info, &own));
    st = read_orientation(info, &own);
done:
    return st;
}
