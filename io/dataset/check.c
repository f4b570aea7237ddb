/* check.c - the integrity of a data set: every rule, every case, all findings. */
#include "io/dataset.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/system/tasks.h"
#include "io/dataset/dataset_internal.h"
#include "io/dataset/layout.h"
#include "io/image/names.h"
#include "volume/orient.h"

enum { VALUES = 65536 /* of int16 */, MOST_VALUES = 10 /* findings per label file */ };
static const double origin_mm = 1e-3, direction_tolerance = 1e-4;

/* The lowest and highest value of a channel; both 0 if it was not read. */
typedef struct channel_range {
    double low, high;
} channel_range;

/* The findings of one case. */
typedef struct report {
    volt_finding *item;
    size_t count, room;
    bool *has;            /* per label of dataset.json; NULL until labels are read */
    channel_range *range; /* per channel; NULL until the images are read */
} report;

typedef struct checking {
    const volt_dataset *ds;
    report *cases;
} checking;

/* -- Findings ----------------------------------------------------------------------------- */

static void clear_finding(volt_finding *f)
{
    volt_free(f->file);
    volt_free(f->sentence);
}

void volt_findings_clear(volt_findings *findings)
{
    for (int64_t i = 0; i < findings->count; i++)
        clear_finding(&findings->item[i]);
    volt_free(findings->item);
    *findings = (volt_findings){0};
}

static void clear_report(report *r)
{
    for (size_t i = 0; i < r->count; i++)
        clear_finding(&r->item[i]);
    volt_free(r->item);
    volt_free(r->has);
    volt_free(r->range);
}

const char *volt_finding_kind_name(volt_finding_kind kind)
{
    static const char *const names[] = {[VOLT_FINDING_DATASET] = "data set",
                                        [VOLT_FINDING_UNREADABLE] = "unreadable file",
                                        [VOLT_FINDING_CHANNELS] = "number of channels",
                                        [VOLT_FINDING_SIZE] = "size",
                                        [VOLT_FINDING_SHIFT] = "shift",
                                        [VOLT_FINDING_GEOMETRY] = "geometry",
                                        [VOLT_FINDING_NOT_FINITE] = "value not finite",
                                        [VOLT_FINDING_CONSTANT] = "constant image",
                                        [VOLT_FINDING_NO_LABELS] = "no labels",
                                        [VOLT_FINDING_LABEL_VALUE] = "label value",
                                        [VOLT_FINDING_NO_FOREGROUND] = "no foreground",
                                        [VOLT_FINDING_NORMALIZATION] = "normalization"};
    const size_t k = (size_t)kind;

    return k < sizeof names / sizeof *names && names[k] ? names[k] : "unknown";
}

/* Fails only when out of memory. */
static volt_status VOLT_PRINTF(5, 6)
    add(report *r, volt_severity severity, volt_finding_kind kind, const char *file,
        const char *fmt, ...)
{
    volt_finding f = {.severity = severity, .kind = kind};
    char text[1024];
    va_list args;
    volt_status st = VOLT_OK;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (r->count == r->room) {
        const size_t room = r->room ? 2 * r->room : 4;
        VOLT_TRY(st, done,
                 volt_realloc(&r->item, r->count * sizeof f, room * sizeof f, "findings"));
        r->room = room;
    }
    VOLT_TRY(st, done, volt_strdup(&f.file, file));
    VOLT_TRY(st, done, volt_strdup(&f.sentence, text));
    r->item[r->count++] = f;
    f = (volt_finding){0};
done:
    clear_finding(&f);
    return st;
}

/* A failed read becomes a finding; running out of memory stays a failure. */
static volt_status add_failure(report *r, volt_finding_kind kind, volt_status st,
                               const char *file)
{
    char sentence[1024];

    if (st == VOLT_OK || st == VOLT_ENOMEM)
        return st;
    snprintf(sentence, sizeof sentence, "%s", volt_last_error());
    return add(r, VOLT_ERROR, kind, file, "%s", sentence);
}

/* -- Geometry ----------------------------------------------------------------------------- */

/* Warns if origin or directions of `b` differ from those of `a`. */
static volt_status compare_geometry(report *r, const volt_grid *a, const char *a_file,
                                    const volt_grid *b, const char *b_file)
{
    double mm_a[3], mm_b[3];
    volt_status st = VOLT_OK;

    volt_grid_spacing(mm_a, a);
    volt_grid_spacing(mm_b, b);
    for (int i = 0; i < 3; i++) {
        const double x = a->to_world[i][3], y = b->to_world[i][3];
        if (fabs(x - y) > origin_mm * fmax(1, 0.01 * fabs(x)))
            return add(r, VOLT_WARNING, VOLT_FINDING_GEOMETRY, b_file,
                       "%s has its origin at %c = %.6g mm, %s at %.6g mm", b_file, "xyz"[i], y,
                       a_file, x);
    }
    for (int i = 0; i < 9; i++) {
        const int row = i / 3, column = i % 3; /* columns x, y, z; spacings z, y, x */
        const double x = a->to_world[row][column] / mm_a[2 - column];
        const double y = b->to_world[row][column] / mm_b[2 - column];
        if (fabs(x - y) > direction_tolerance)
            return add(r, VOLT_WARNING, VOLT_FINDING_GEOMETRY, b_file,
                       "%s has %.6g as the %c component of its %c axis direction, %s has %.6g",
                       b_file, y, "xyz"[row], "xyz"[column], a_file, x);
    }
    return st;
}

/* Different sizes or spacings are errors, and so are shifts by more than a voxel unless they
 * are allowed; else origin and directions are compared. */
static volt_status compare_grids(report *r, const volt_dataset *ds, const volt_grid *a,
                                 const char *a_file, const volt_grid *b, const char *b_file)
{
    const bool allowed = ds->info.allow_shift;
    const volt_status st = volt_grids_match(a, a_file, b, b_file);
    double mm;

    if (st != VOLT_OK)
        return add_failure(r, VOLT_FINDING_SIZE, st, b_file);
    if (!volt_image_is_picture(a_file) && volt_grids_shifted(&mm, a, b))
        return add(r, allowed ? VOLT_WARNING : VOLT_ERROR, VOLT_FINDING_SHIFT, b_file,
                   "%s lies %.4g mm away from %s%s", b_file, mm, a_file,
                   allowed ? "; it is used voxel by voxel" : "");
    return compare_geometry(r, a, a_file, b, b_file);
}

/* A matrix without information: volumes 28 to 47 of LiTS have lost theirs. */
static bool is_identity(const volt_grid *g)
{
    for (int i = 0; i < 12; i++) {
        if (g->to_world[i / 4][i % 4] != (i / 4 == i % 4))
            return false;
    }
    return true;
}

/* Channels: if they are resampled anything may differ, with a warning. */
static volt_status compare_channels(report *r, const volt_dataset *ds, const volt_grid *a,
                                    const char *a_file, const volt_grid *b, const char *b_file)
{
    volt_grid one = *b;

    one.channels = a->channels;
    if (!ds->info.resample_channels)
        return compare_grids(r, ds, a, a_file, b, b_file);
    if (volt_grid_same(a, &one, origin_mm))
        return VOLT_OK;
    return add(r, VOLT_WARNING, VOLT_FINDING_GEOMETRY, b_file,
               "%s has another grid (%lld x %lld x %lld voxels) than %s (%lld x %lld x %lld), "
               "onto which it is resampled",
               b_file, (long long)b->n[2], (long long)b->n[1], (long long)b->n[0], a_file,
               (long long)a->n[2], (long long)a->n[1], (long long)a->n[0]);
}

/* Labels that follow their image, as their files have lost the geometry: only sizes must agree.
 */
static volt_status compare_following(report *r, const volt_dataset *ds, const volt_grid *a,
                                     const char *a_file, const volt_grid *b, const char *b_file)
{
    const volt_status st = volt_label_grid_match(a, a_file, b, b_file, &ds->info);
    double mm_a[3], mm_b[3];
    volt_grid one = *b;

    if (st != VOLT_OK)
        return add_failure(r, VOLT_FINDING_SIZE, st, b_file);
    one.channels = a->channels;
    if (volt_labels_lack_geometry(b_file) || volt_grid_same(a, &one, origin_mm))
        return VOLT_OK;
    volt_grid_spacing(mm_a, a);
    volt_grid_spacing(mm_b, b);
    return add(r, VOLT_WARNING, VOLT_FINDING_GEOMETRY, b_file,
               "%s has another matrix (voxels of %.6g x %.6g x %.6g mm%s) than %s (%.6g x %.6g "
               "x %.6g mm): by rule it takes the geometry of the image, voxel by voxel",
               b_file, mm_b[2], mm_b[1], mm_b[0], is_identity(b) ? ", the identity" : "",
               a_file, mm_a[2], mm_a[1], mm_a[0]);
}

static volt_status compare_labels(report *r, const volt_dataset *ds, const volt_grid *a,
                                  const char *a_file, const volt_grid *b, const char *b_file)
{
    if (ds->info.labels_follow_image || volt_labels_lack_geometry(b_file))
        return compare_following(r, ds, a, a_file, b, b_file);
    return compare_grids(r, ds, a, a_file, b, b_file);
}

/* -- Voxels ------------------------------------------------------------------------------- */

/* `first` is the data set's number of the volume's first channel. */
static volt_status judge_values(report *r, const volt_volume *v, int first, const char *file,
                                int channels, int threads)
{
    const size_t bytes = volt_volume_bytes(v) / (size_t)v->grid.channels;
    volt_value_range all = {.min = HUGE_VAL, .max = -HUGE_VAL};
    volt_volume one = *v; /* borrows its voxels */

    one.grid.channels = 1;
    for (int c = 0; c < v->grid.channels; c++) {
        volt_value_range range;
        one.data = (char *)v->data + (size_t)c * bytes;
        range = volt_volume_range(&one, threads);
        all.min = fmin(all.min, range.min);
        all.max = fmax(all.max, range.max);
        all.not_finite += range.not_finite;
        if (first + c < channels)
            r->range[first + c] = (channel_range){range.min, range.max};
    }
    if (all.not_finite > 0)
        return add(r, VOLT_ERROR, VOLT_FINDING_NOT_FINITE, file,
                   "%s is NaN or infinite in %lld voxel%s", file, (long long)all.not_finite,
                   volt_s(all.not_finite));
    if (all.min == all.max)
        return add(r, VOLT_WARNING, VOLT_FINDING_CONSTANT, file,
                   "%s has the value %g everywhere", file, all.min);
    return VOLT_OK;
}

/* Warns where the file does not say which side is left; a picture never does. */
static volt_status judge_orientation(report *r, const volt_image_header *header,
                                     const char *file)
{
    char codes[4];

    if (header->is_2d || volt_image_is_picture(file) || volt_image_knows_orientation(header))
        return VOLT_OK;
    volt_orientation_codes(codes, &header->grid);
    return add(r, VOLT_WARNING, VOLT_FINDING_GEOMETRY, file,
               "%s: its orientation is unknown; %s is assumed", file, codes);
}

/* *out is NULL if the file cannot be read; a wrong number of channels is a finding. The
 * orientation is judged once per case. */
static volt_status read_image(volt_volume **out, report *r, const char *file, bool first,
                              int expected, int channels, int threads)
{
    const volt_image_read_options options = volt_image_read_as(VOLT_F32, threads);
    volt_image_header *header = NULL;
    char words[60];
    int has;
    volt_status st = volt_image_read(out, &header, file, &options);

    if (st != VOLT_OK)
        return st;
    has = (*out)->grid.channels;
    snprintf(words, sizeof words,
             expected == channels ? "the data set has %d"
                                  : "a single channel of %d is expected",
             channels);
    st = add_failure(r, VOLT_FINDING_CHANNELS,
                     volt_channels_fit(*out, header, file, expected, words), file);
    if (st == VOLT_OK && has == expected + 1 && (*out)->grid.channels == expected)
        st = add(r, VOLT_WARNING, VOLT_FINDING_CHANNELS, file,
                 "%s has an alpha channel, which is opaque and is not used", file);
    if (st == VOLT_OK && first)
        st = judge_orientation(r, header, file);
    volt_image_header_free(header);
    return st;
}

/* Reads the images one by one. *grid becomes that of the first readable one, *found its file.
 */
static volt_status check_images(report *r, const volt_dataset *ds, const volt_case *c,
                                volt_grid *grid, const char **found, int threads)
{
    const int channels = ds->info.channels;
    volt_status st = VOLT_OK;

    *found = NULL;
    VOLT_TRY(st, done,
             volt_alloc_zero(&r->range, (size_t)channels, sizeof *r->range, "value ranges"));
    if (c->files == 0 || (c->files != 1 && c->files != channels))
        VOLT_TRY(st, done,
                 add(r, VOLT_ERROR, VOLT_FINDING_CHANNELS, c->files ? c->file[0] : ds->folder,
                     "%s: case %s has %d image file%s; the data set has %d channel%s",
                     c->files ? c->file[0] : ds->folder, c->id, c->files, volt_s(c->files),
                     channels, volt_s(channels)));
    for (int i = 0; i < c->files; i++) {
        const int expected = c->files == 1 ? channels : 1;
        volt_volume *v = NULL;
        st = read_image(&v, r, c->file[i], !*found, expected, channels, threads);
        if (!v) {
            VOLT_TRY(st, done, add_failure(r, VOLT_FINDING_UNREADABLE, st, c->file[i]));
            continue;
        }
        if (st == VOLT_OK)
            st = judge_values(r, v, i, c->file[i], channels, threads);
        if (st == VOLT_OK && *found)
            st = compare_channels(r, ds, grid, *found, &v->grid, c->file[i]);
        if (st == VOLT_OK && ds->info.labels_follow_image && is_identity(&v->grid))
            st = add(r, VOLT_WARNING, VOLT_FINDING_GEOMETRY, c->file[i],
                     "%s has the identity as its matrix: its voxels are taken as 1 x 1 x 1 mm, "
                     "which is unlikely",
                     c->file[i]);
        if (!*found) {
            *grid = v->grid;
            *found = c->file[i];
        }
        volt_volume_free(v);
        if (st != VOLT_OK)
            goto done;
    }
done:
    return st;
}

/* Index of the label stored as `value` in the files; -1: none. */
static int find_label(const volt_dataset_info *info, int32_t value)
{
    for (int l = 0; l < info->labels; l++) {
        if ((info->stored ? info->stored[l] : info->label[l].value) == value)
            return l;
    }
    return -1;
}

/* Whether the files hold `value` in voxels that are left out. */
static bool is_ignored(const volt_dataset_info *info, int32_t value)
{
    return info->ignore_label >= 0 &&
           value == (info->stored ? info->stored_ignore : info->ignore_label);
}

/* One finding per value that no label names; the last one sums up. */
static volt_status judge_counts(report *r, const volt_dataset_info *info, const int64_t *count,
                                const char *file)
{
    int64_t unnamed = 0, voxels = 0;
    volt_status st = VOLT_OK;

    for (int32_t value = INT16_MIN; value <= INT16_MAX; value++) {
        const int64_t n = count[(uint16_t)value];
        if (!n || find_label(info, value) >= 0 || is_ignored(info, value))
            continue;
        if (unnamed++ < MOST_VALUES)
            VOLT_TRY(
                st, done,
                add(r, VOLT_ERROR, VOLT_FINDING_LABEL_VALUE, file,
                    "%s has label %d in %lld voxel%s, which the data set's labels do not name",
                    file, value, (long long)n, volt_s(n)));
        else
            voxels += n;
    }
    if (unnamed > MOST_VALUES)
        st = add(r, VOLT_ERROR, VOLT_FINDING_LABEL_VALUE, file,
                 "%s has %lld more values, in %lld voxel%s, which the data set's labels do not "
                 "name",
                 file, (long long)(unnamed - MOST_VALUES), (long long)voxels, volt_s(voxels));
done:
    return st;
}

static volt_status judge_labels(report *r, const volt_dataset_info *info, const volt_volume *v,
                                const char *file)
{
    const int64_t voxels = volt_grid_voxels(&v->grid);
    const int16_t *label = v->data;
    int64_t *count = NULL, foreground = 0;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&r->has, (size_t)info->labels, sizeof *r->has, "labels"));
    VOLT_TRY(st, done, volt_alloc_zero(&count, VALUES, sizeof *count, "label counts"));
    for (int64_t i = 0; i < voxels; i++)
        count[(uint16_t)label[i]]++;
    for (int l = 0; l < info->labels; l++) {
        const int32_t value = info->stored ? info->stored[l] : info->label[l].value;
        r->has[l] = count[(uint16_t)value] > 0;
        foreground += l > 0 ? count[(uint16_t)value] : 0;
    }
    VOLT_TRY(st, done, judge_counts(r, info, count, file));
    if (foreground == 0)
        st = add(r, VOLT_WARNING, VOLT_FINDING_NO_FOREGROUND, file, "%s has no foreground",
                 file);
done:
    volt_free(count);
    return st;
}

static volt_status check_labels(report *r, const volt_dataset *ds, const volt_case *c,
                                const volt_grid *grid, const char *image, int threads)
{
    volt_volume *v = NULL;
    volt_status st;

    if (!c->label_file)
        return add(r, VOLT_ERROR, VOLT_FINDING_NO_LABELS, ds->folder,
                   "%s: case %s has no labels", ds->folder, c->id);
    st = volt_labels_load(&v, c->label_file, &ds->info, threads);
    if (st != VOLT_OK)
        return add_failure(r, VOLT_FINDING_UNREADABLE, st, c->label_file);
    if (v->grid.channels != 1)
        VOLT_TRY(st, done,
                 add(r, VOLT_ERROR, VOLT_FINDING_CHANNELS, c->label_file,
                     "%s has %d channels; labels have one", c->label_file, v->grid.channels));
    if (image)
        VOLT_TRY(st, done, compare_labels(r, ds, grid, image, &v->grid, c->label_file));
    st = judge_labels(r, &ds->info, v, c->label_file);
done:
    volt_volume_free(v);
    return st;
}

static volt_status check_case(void *context, int64_t index, int threads)
{
    const checking *k = context;
    const volt_case *c = &k->ds->cases.item[index];
    report *r = &k->cases[index];
    const char *image;
    volt_grid grid;
    volt_status st = check_images(r, k->ds, c, &grid, &image, threads);

    if (st == VOLT_OK)
        st = check_labels(r, k->ds, c, &grid, image, threads);
    return st;
}

/* -- The data set as a whole -------------------------------------------------------------- */

static bool holds_label(const volt_label_region *r, int32_t value)
{
    for (int i = 0; i < r->values; i++) {
        if (r->value[i] == value)
            return true;
    }
    return false;
}

/* Regions are painted in order: one that a later one covers never shows. */
static volt_status check_regions(report *r, const volt_dataset *ds)
{
    const volt_dataset_info *info = &ds->info;
    volt_status st = VOLT_OK;

    for (int a = 0; a < info->regions; a++) {
        for (int b = a + 1; b < info->regions && st == VOLT_OK; b++) {
            const volt_label_region *low = &info->region[a], *high = &info->region[b];
            int covered = 0;
            while (covered < low->values && holds_label(high, low->value[covered]))
                covered++;
            if (covered == low->values)
                st = add(r, VOLT_WARNING, VOLT_FINDING_DATASET, ds->folder,
                         "%s: region \"%s\" covers all of \"%s\" and is painted after it: "
                         "masks will not show \"%s\"; name regions from the largest to the "
                         "smallest",
                         ds->folder, high->name, low->name, low->name);
        }
    }
    return st;
}

/* Whether the same regions hold both labels. */
static bool same_regions(const volt_dataset_info *info, int32_t a, int32_t b)
{
    for (int r = 0; r < info->regions; r++) {
        if (holds_label(&info->region[r], a) != holds_label(&info->region[r], b))
            return false;
    }
    return true;
}

/* A voxel of a label is painted as the last region that holds it. Another number than the
 * label's own, or that of a label in the same regions, is unlikely to be meant. */
static volt_status check_painting(report *r, const volt_dataset *ds)
{
    const volt_dataset_info *info = &ds->info;

    for (int l = 1; l < info->labels; l++) {
        const int32_t value = info->label[l].value;
        const bool named = strncmp(info->label[l].name, "label ", 6) != 0;
        int32_t painted = 0;
        for (int k = 0; k < info->regions; k++)
            painted = holds_label(&info->region[k], value) ? info->region[k].painted : painted;
        if (painted && !same_regions(info, value, painted))
            return add(r, VOLT_WARNING, VOLT_FINDING_DATASET, ds->folder,
                       "%s: regions_class_order gives label %d%s%s%s the number %d in "
                       "masks: they will be numbered differently from the label files",
                       ds->folder, value, named ? " (\"" : "", named ? info->label[l].name : "",
                       named ? "\")" : "", painted);
    }
    return VOLT_OK;
}

/* -- Hounsfield units --------------------------------------------------------------------- */

/* The names that select a normalization, in nnU-Net too. */
static bool selects_normalization(const char *channel)
{
    static const char *const names[] = {"ct", "nonorm", "zscore", "rescale_to_0_1",
                                        "rgb_to_0_1"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(channel, names[i]) == 0)
            return true;
    }
    return false;
}

/* Air is -1000 HU and soft tissue lies above 0; MR images have no such negative values. */
static bool looks_like_ct(const channel_range *range)
{
    return range->low <= -200 && range->low >= -10000 && range->high >= 100;
}

static volt_status check_normalization(report *r, const checking *k)
{
    const volt_dataset *ds = k->ds;
    volt_status st = VOLT_OK;

    for (int c = 0; c < ds->info.channels && st == VOLT_OK; c++) {
        channel_range all = {HUGE_VAL, -HUGE_VAL};
        int64_t read = 0, ct = 0;
        for (int64_t i = 0; i < ds->cases.count; i++) {
            const channel_range *range = k->cases[i].range;
            if (!range || range[c].low == range[c].high)
                continue;
            read++;
            ct += looks_like_ct(&range[c]);
            all.low = fmin(all.low, range[c].low);
            all.high = fmax(all.high, range[c].high);
        }
        if (ct > 0 && 4 * ct >= 3 * read && !selects_normalization(ds->info.channel_name[c]))
            st = add(
                r, VOLT_WARNING, VOLT_FINDING_NORMALIZATION, ds->folder,
                "%s: channel %d, \"%s\", has values from %g to %g, as CT in Hounsfield units, "
                "but only the name CT selects the normalization of CT: each case is "
                "normalized by its own mean and standard deviation",
                ds->folder, c, ds->info.channel_name[c], all.low, all.high);
    }
    return st;
}

/* -- Tables ------------------------------------------------------------------------------- */

static volt_status check_label_table(report *r, const volt_dataset *ds)
{
    const volt_dataset_info *info = &ds->info;
    const volt_label *last = &info->label[info->labels - 1];
    volt_status st = VOLT_OK;

    for (int l = 1; l < info->labels && st == VOLT_OK; l++) {
        if (info->label[l].value != info->label[l - 1].value + 1)
            st = add(r, VOLT_ERROR, VOLT_FINDING_DATASET, ds->folder,
                     "%s/dataset.json: labels must be consecutive; \"%s\" is %d after %d",
                     ds->folder, info->label[l].name, info->label[l].value,
                     info->label[l - 1].value);
    }
    if (st == VOLT_OK && info->ignore_label >= 0 && info->ignore_label != last->value + 1)
        st =
            add(r, VOLT_ERROR, VOLT_FINDING_DATASET, ds->folder,
                "%s/dataset.json: the ignore label is %d; it must follow the highest label, %d",
                ds->folder, info->ignore_label, last->value);
    return st;
}

static volt_status check_whole(report *r, const checking *k)
{
    const volt_dataset *ds = k->ds;
    const volt_dataset_info *info = &ds->info;
    bool any = false;
    volt_status st;

    VOLT_TRY(st, done, check_label_table(r, ds));
    VOLT_TRY(st, done, check_regions(r, ds));
    VOLT_TRY(st, done, check_painting(r, ds));
    VOLT_TRY(st, done, check_normalization(r, k));
    if (ds->cases.count == 0)
        return strcmp(ds->layout, volt_layout_nnunet.name) == 0
                   ? add(r, VOLT_ERROR, VOLT_FINDING_DATASET, ds->folder,
                         "%s (%s) has no training case (files such as imagesTr/CASE_0000%s)",
                         ds->folder, ds->layout, info->file_ending)
                   : add(r, VOLT_ERROR, VOLT_FINDING_DATASET, ds->folder,
                         "%s (%s) has no training case", ds->folder, ds->layout);
    if (info->num_training >= 0 && info->num_training != ds->cases.count)
        VOLT_TRY(
            st, done,
            add(r, VOLT_ERROR, VOLT_FINDING_DATASET, ds->folder,
                "%s/dataset.json: numTraining is %lld, but the number of training cases is "
                "%lld",
                ds->folder, (long long)info->num_training, (long long)ds->cases.count));
    for (int l = 0; l < info->labels; l++) {
        bool seen = false;
        for (int64_t i = 0; i < ds->cases.count; i++) {
            any = any || k->cases[i].has;
            seen = seen || (k->cases[i].has && k->cases[i].has[l]);
        }
        if (any && !seen)
            VOLT_TRY(st, done,
                     add(r, VOLT_WARNING, VOLT_FINDING_DATASET, ds->folder,
                         "no case has label %d (\"%s\")", info->label[l].value,
                         info->label[l].name));
    }
done:
    return st;
}

/* Moves the findings of `r` to the end of `out`, which has room. */
static void take(volt_findings *out, report *r)
{
    for (size_t i = 0; i < r->count; i++) {
        out->errors += r->item[i].severity == VOLT_ERROR;
        out->warnings += r->item[i].severity == VOLT_WARNING;
        out->item[out->count++] = r->item[i];
    }
    r->count = 0;
}

volt_status volt_dataset_check(volt_findings *out, const volt_dataset *ds, int threads,
                               const volt_callbacks *callbacks)
{
    const int64_t cases = ds->cases.count;
    checking k = {.ds = ds};
    const volt_tasks tasks = {.run = check_case,
                              .context = &k,
                              .count = cases,
                              .threads = threads,
                              .what = "cases",
                              .callbacks = callbacks};
    report whole = {0};
    volt_findings found = {0};
    size_t total;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&k.cases, (size_t)cases, sizeof *k.cases, "the data set's check"));
    VOLT_TRY(st, done, volt_tasks_run(&tasks));
    VOLT_TRY(st, done, check_whole(&whole, &k));
    total = whole.count;
    for (int64_t i = 0; i < cases; i++)
        total += k.cases[i].count;
    VOLT_TRY(st, done, volt_alloc_zero(&found.item, total, sizeof *found.item, "findings"));
    take(&found, &whole);
    for (int64_t i = 0; i < cases; i++)
        take(&found, &k.cases[i]);
    *out = found;
done:
    for (int64_t i = 0; k.cases && i < cases; i++)
        clear_report(&k.cases[i]);
    volt_free(k.cases);
    clear_report(&whole);
    return st;
}

volt_status volt_findings_judge(const volt_findings *findings)
{
    for (int64_t i = 0; i < findings->count; i++) {
        if (findings->item[i].severity != VOLT_ERROR)
            continue;
        if (findings->errors == 1)
            return volt_fail(VOLT_EDATA, "%s", findings->item[i].sentence);
        return volt_fail(VOLT_EDATA, "%s (and %lld more error%s in the data set)",
                         findings->item[i].sentence, (long long)findings->errors - 1,
                         volt_s(findings->errors - 1));
    }
    return VOLT_OK;
}

void volt_findings_list(const volt_findings *findings, int64_t most, volt_finding_line *line,
                        void *user)
{
    enum { KINDS = VOLT_FINDING_NORMALIZATION + 1 };
    int64_t total[2][KINDS] = {{0}}, shown[2][KINDS] = {{0}};
    char rest[96];

    for (int64_t i = 0; i < findings->count; i++)
        total[findings->item[i].severity == VOLT_ERROR][findings->item[i].kind]++;
    for (int64_t i = 0; i < findings->count; i++) {
        const volt_finding *f = &findings->item[i];
        const bool error = f->severity == VOLT_ERROR;
        const int64_t left = total[error][f->kind] - most;
        if (shown[error][f->kind] == most)
            continue;
        line(user, f->severity, f->sentence);
        if (++shown[error][f->kind] < most || left <= 0)
            continue;
        snprintf(rest, sizeof rest, "and %lld more of this kind (%s)", (long long)left,
                 volt_finding_kind_name(f->kind));
        line(user, f->severity, rest);
    }
}
