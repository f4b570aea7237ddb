/* Fingerprints as nnU-Net's dataset_fingerprint.json, and the intensities that plans share. */
#include "nets3d/fingerprint.h"

#include <float.h>
#include <stdio.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/json/json.h"
#include "nets3d/plan/data_key.h"
#include "nets3d/plan/plan_internal.h"

enum { MAX_CASES = 10000000 };

/* nnU-Net's key of each field, in the order it writes them. */
static const struct {
    const char *key;
    size_t offset;
} fields[] = {
    {"max", offsetof(volt_foreground_stats, max)},
    {"mean", offsetof(volt_foreground_stats, mean)},
    {"median", offsetof(volt_foreground_stats, median)},
    {"min", offsetof(volt_foreground_stats, min)},
    {"percentile_00_5", offsetof(volt_foreground_stats, percentile_00_5)},
    {"percentile_99_5", offsetof(volt_foreground_stats, percentile_99_5)},
    {"std", offsetof(volt_foreground_stats, std)},
};
enum { FIELDS = sizeof fields / sizeof *fields };

json_t *volt_stats_json(const volt_foreground_stats *v, int channels)
{
    json_t *root = json_object();

    for (int c = 0; root && c < channels; c++) {
        json_t *one = json_object();
        char key[16];
        int bad = 0;
        for (int f = 0; f < FIELDS; f++)
            bad |= json_object_set_new(
                one, fields[f].key,
                volt_json_number(*(const double *)((const char *)&v[c] + fields[f].offset)));
        snprintf(key, sizeof key, "%d", c);
        if (json_object_set_new(root, key, one) || bad) {
            json_decref(root);
            root = NULL;
        }
    }
    return root;
}

volt_status volt_stats_parse(volt_foreground_stats **out, const volt_json_at *object,
                             int channels)
{
    volt_foreground_stats *v = NULL;
    volt_json_at one, at;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_count(&count, object));
    if (count != (size_t)channels)
        return volt_json_fail(object, "has %zu channel%s, expected %d", count,
                              volt_s((int64_t)count), channels);
    VOLT_TRY(st, done, volt_alloc_zero(&v, count, sizeof *v, "intensities"));
    for (int c = 0; c < channels; c++) {
        char key[16];
        snprintf(key, sizeof key, "%d", c);
        VOLT_TRY(st, done, volt_json_member(&one, object, key));
        for (int f = 0; f < FIELDS; f++) {
            double *field = (double *)((char *)&v[c] + fields[f].offset);
            VOLT_TRY(st, done, volt_json_member(&at, &one, fields[f].key));
            VOLT_TRY(st, done, volt_json_double(field, &at, -FLT_MAX, FLT_MAX));
        }
        if (v[c].std < 0 || v[c].percentile_99_5 < v[c].percentile_00_5) {
            st = volt_json_fail(&one, "has std %g and percentiles %g to %g, which contradict",
                                v[c].std, v[c].percentile_00_5, v[c].percentile_99_5);
            goto done;
        }
    }
    *out = v;
    v = NULL;
done:
    volt_free(v);
    return st;
}

void volt_fingerprint_clear(volt_fingerprint *fp)
{
    volt_free(fp->spacings);
    volt_free(fp->shapes_after_crop);
    volt_free(fp->intensities);
    *fp = (volt_fingerprint){0};
}

volt_status volt_fingerprint_write(const char *path, const volt_fingerprint *fp)
{
    json_t *root = json_object(), *shapes = json_array(), *spacings = json_array();
    int bad = 0;
    volt_status st;

    for (int64_t i = 0; i < fp->cases; i++) {
        bad |=
            json_array_append_new(shapes, volt_json_array_of_ints(fp->shapes_after_crop[i], 3));
        bad |= json_array_append_new(spacings, volt_json_array_of_doubles(fp->spacings[i], 3));
    }
    bad |= json_object_set_new(root, "foreground_intensity_properties_per_channel",
                               volt_stats_json(fp->intensities, fp->channels));
    bad |= json_object_set_new(root, "median_relative_size_after_cropping",
                               volt_json_number(fp->median_relative_size_after_cropping));
    bad |= json_object_set_new(root, "shapes_after_crop", shapes);
    bad |= json_object_set_new(root, "spacings", spacings);
    bad |= !volt_data_key_add(root, fp->data_key);
    st =
        bad ? volt_fail(VOLT_ENOMEM, "out of memory for %s", path) : volt_json_save(path, root);
    json_decref(root);
    return st;
}

static volt_status read_cases(volt_fingerprint *fp, const volt_json_at *root)
{
    volt_json_at spacings, shapes, at;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&spacings, root, "spacings"));
    VOLT_TRY(st, done, volt_json_member(&shapes, root, "shapes_after_crop"));
    VOLT_TRY(st, done, volt_json_length(&count, &spacings, 1, MAX_CASES));
    VOLT_TRY(st, done, volt_json_length(&count, &shapes, count, count));
    VOLT_TRY(st, done,
             volt_alloc_zero(&fp->spacings, count, sizeof *fp->spacings, "a fingerprint"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&fp->shapes_after_crop, count, sizeof *fp->shapes_after_crop,
                             "a fingerprint"));
    fp->cases = (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_json_item(&at, &spacings, i));
        VOLT_TRY(st, done, volt_json_doubles(fp->spacings[i], &at, 3, 1e-6, 1e6));
        VOLT_TRY(st, done, volt_json_item(&at, &shapes, i));
        VOLT_TRY(st, done, volt_json_ints(fp->shapes_after_crop[i], &at, 3, 1, INT32_MAX));
    }
done:
    return st;
}

volt_status volt_fingerprint_read(volt_fingerprint *out, const char *path)
{
    volt_json doc = {0};
    volt_json_at root, at;
    volt_fingerprint fp = {0};
    size_t channels;
    volt_status st;

    VOLT_TRY(st, done, volt_json_load(&doc, path));
    root = volt_json_root(&doc);
    VOLT_TRY(st, done, read_cases(&fp, &root));
    VOLT_TRY(st, done, volt_data_key_parse(&fp.data_key, &root));
    VOLT_TRY(st, done,
             volt_json_member(&at, &root, "foreground_intensity_properties_per_channel"));
    VOLT_TRY(st, done, volt_json_count(&channels, &at));
    if (channels < 1 || channels > VOLT_MAX_CHANNELS) {
        st = volt_json_fail(&at, "has %zu channels; 1 to %d are expected", channels,
                            VOLT_MAX_CHANNELS);
        goto done;
    }
    fp.channels = (int)channels;
    VOLT_TRY(st, done, volt_stats_parse(&fp.intensities, &at, fp.channels));
    VOLT_TRY(st, done, volt_json_member(&at, &root, "median_relative_size_after_cropping"));
    VOLT_TRY(st, done, volt_json_double(&fp.median_relative_size_after_cropping, &at, 0, 1));
    *out = fp;
    fp = (volt_fingerprint){0};
done:
    volt_fingerprint_clear(&fp);
    volt_json_close(&doc);
    return st;
}
