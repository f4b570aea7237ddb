#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "apps/cli/cli.h"
#include "apps/cli/label_files.h"
#include "apps/snapshot.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/dataset.h"
#include "io/figure.h"
#include "io/image.h"
#include "io/label_table.h"
#include "volume/resample_to_grid.h"
#include "show/render.h"

enum { MASKS_MAX = 8, IMAGES_MAX = 64 };

typedef struct snapshot_options {
    const char *output, *window, *labels, *channels;
    cli_list slice, channel;
    int64_t sheet, view;
    int plane;
    int background;
    bool no_crosshair;
} snapshot_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(snapshot_options, output), "PNG|JPG", NULL, 0, 0,
     "picture to write (required); the ending selects PNG or JPEG"},
    {"--channels", 0, CLI_TEXT, offsetof(snapshot_options, channels), "all|LIST", NULL, 0, 0,
     "draw the channels of the case next to each other: all, or names or numbers"},
    {"--plane", 0, CLI_CHOICE, offsetof(snapshot_options, plane), "axial|coronal|sagittal",
     "axial", 0, 0, "plane of the channels or of the sheet"},
    {"--slice", 0, CLI_INTS, offsetof(snapshot_options, slice), "x,y,z", NULL, 0, 2147483647,
     "voxel to cut through [the masks' largest section]"},
    {"--window", 0, CLI_TEXT, offsetof(snapshot_options, window), "LOW,HIGH", NULL, 0, 0,
     "range of grey values; or soft, lung, bone, brain, liver [by image type]"},
    {"--labels", 0, CLI_TEXT, offsetof(snapshot_options, labels), "JSON", NULL, 0, 0,
     "dataset.json with the label names [what the masks or the data set say]"},
    {"--sheet", 0, CLI_INT, offsetof(snapshot_options, sheet), "N", NULL, 0, 400,
     "draw N slices of one plane instead of three planes"},
    {"--channel", 0, CLI_INTS, offsetof(snapshot_options, channel), "C", NULL, 0, 999,
     "channel to draw, from 0; with --channels, the one under the masks [0; the last]"},
    {"--size", 0, CLI_INT, offsetof(snapshot_options, view), "PIXELS", NULL, 64, 2048,
     "longest side of a view [420; in a sheet 220, of channels 320, of a 2-D image 640]"},
    {"--background", 0, CLI_CHOICE, offsetof(snapshot_options, background), "dark|white",
     "dark", 0, 0, "of the page, around the images"},
    {"--no-crosshair", 0, CLI_FLAG, offsetof(snapshot_options, no_crosshair), NULL, NULL, 0, 0,
     "leave out the lines through the chosen voxel"},
};

/* Images and masks to draw; owned. */
typedef struct input {
    snapshot_case found;
    int images, masks, columns;
    volt_volume *image[IMAGES_MAX], *mask[MASKS_MAX];
    char *image_file[IMAGES_MAX], *image_name[IMAGES_MAX];
    bool rgb[IMAGES_MAX];
    char *title; /* of several images given by name; NULL: the case's name */
    const char *mask_file[MASKS_MAX], *mask_name[MASKS_MAX];
    char *mask_own[MASKS_MAX]; /* names from the files */
    volt_render_column column[IMAGES_MAX];
    char *column_name[IMAGES_MAX]; /* of channels of one file; else NULL */
    volt_label_table table[MASKS_MAX];
    volt_dataset_info info; /* of --labels */
    volt_label_name *label;
    int64_t labels;
    volt_amount amount;
    bool unknown_sides, figure, first_declared;
} input;

/* ---- reading ---- */

/* Colours are a picture's channels, not those of a scan. */
static bool is_rgb(const volt_volume *v, const volt_image_header *h)
{
    const bool picture = h->geometry_source == VOLT_GEOMETRY_NONE || h->dim[0] <= 3;

    return (v->grid.channels == 3 || v->grid.channels == 4) && picture &&
           (v->dtype == VOLT_U8 || v->dtype == VOLT_U16);
}

static bool is_empty(const volt_volume *mask, const cli *c)
{
    const volt_value_range range = volt_volume_range(mask, (int)c->threads);

    return range.min == 0 && range.max == 0;
}

/* Resamples a volume on another grid to the first image's, by world position. */
static volt_status fit_grid(volt_volume **v, const input *in, const cli *c, const char *path,
                            volt_interpolation order)
{
    volt_volume *fitted = NULL, *real = NULL;
    volt_grid own = (*v)->grid, grid = in->image[0]->grid;
    volt_status st = VOLT_OK;

    own.channels = grid.channels = 1;
    if (volt_grid_same(&own, &grid, 1e-2))
        return VOLT_OK;
    volt_report(&c->callbacks, VOLT_LOG_WARNING,
                "%s and %s have different grids; aligned by world position", path,
                in->image_file[0]);
    if (order == VOLT_LINEAR)
        VOLT_TRY(st, done, volt_volume_convert(&real, *v, VOLT_F32, NULL, (int)c->threads));
    VOLT_TRY(
        st, done,
        volt_resample_to_grid(&fitted, real ? real : *v, &grid, order, 0, (int)c->threads));
    if (order == VOLT_NEAREST && is_empty(fitted, c) && !is_empty(*v, c))
        volt_report(&c->callbacks, VOLT_LOG_WARNING,
                    "no label of %s lies inside %s: is it the mask of another scan?", path,
                    in->image_file[0]);
    volt_volume_free(*v);
    *v = fitted;
done:
    volt_volume_free(real);
    return st;
}

/* What the first image says about sides and units. */
static void look_at_header(input *in, const volt_image_header *h)
{
    const bool none = h->geometry_source == VOLT_GEOMETRY_NONE;

    in->unknown_sides = none || h->geometry_source == VOLT_GEOMETRY_NOFORM;
    in->amount = none                            ? VOLT_AMOUNT_PIXELS
                 : h->is_2d && h->grid.n[0] == 1 ? VOLT_AMOUNT_MM2
                                                 : VOLT_AMOUNT_ML;
}

/* Takes *v, which is on any grid, as the next image. */
static volt_status add_image(input *in, const cli *c, volt_volume **v,
                             const volt_image_header *h, const char *path)
{
    const int i = in->images;
    volt_status st;

    if (i == IMAGES_MAX)
        return volt_fail(VOLT_EINVAL, "a snapshot has at most %d images", IMAGES_MAX);
    VOLT_TRY(st, done, volt_strdup(&in->image_file[i], path));
    in->rgb[i] = is_rgb(*v, h);
    in->image[i] = *v;
    *v = NULL;
    in->images++;
    if (i > 0)
        return fit_grid(&in->image[i], in, c, path, VOLT_LINEAR);
    look_at_header(in, h);
    st = cli_declares_mask(&in->first_declared, in->image[0], h, path);
done:
    return st;
}

/* Takes *v, which looks like a mask, as the next mask. */
static volt_status add_mask(input *in, const cli *c, volt_volume **v, const char *path)
{
    const int m = in->masks;
    volt_value_range range = volt_volume_range(*v, (int)c->threads);
    volt_status st;

    if (m == MASKS_MAX)
        return volt_fail(VOLT_EINVAL, "a snapshot has at most %d masks", MASKS_MAX);
    if (range.min < INT32_MIN || range.max > INT32_MAX)
        return volt_fail(VOLT_EDATA, "%s has the label %.0f; labels from %d to %d can be drawn",
                         path, range.min < INT32_MIN ? range.min : range.max, INT32_MIN,
                         INT32_MAX);
    VOLT_TRY(st, done, volt_volume_convert(&in->mask[m], *v, VOLT_I32, NULL, (int)c->threads));
    in->mask_file[m] = path;
    in->masks++;
    VOLT_TRY(st, done, fit_grid(&in->mask[m], in, c, path, VOLT_NEAREST));
    st = volt_label_table_read(path, &in->table[m]);
    if (st == VOLT_EFORMAT) { /* names are no reason to draw nothing */
        volt_report(&c->callbacks, VOLT_LOG_WARNING, "%s; its labels appear as numbers",
                    volt_last_error());
        st = VOLT_OK;
    }
done:
    return st;
}

/* Grey values of a data set with thresholds become labels. */
static volt_status apply_thresholds(volt_volume **v, const volt_dataset_info *info)
{
    const int64_t voxels = volt_grid_voxels(&(*v)->grid);
    volt_volume *labels = NULL;
    volt_status st;

    if (info->thresholds == 0 || (*v)->grid.channels != 1)
        return VOLT_OK;
    st = volt_volume_create(&labels, &(*v)->grid, VOLT_I32);
    if (st != VOLT_OK)
        return st;
    for (int64_t i = 0; i < voxels; i++) {
        const double value = volt_voxel_value(*v, i);

        for (int k = 0; k < info->thresholds; k++)
            ((int32_t *)labels->data)[i] += value >= info->threshold[k];
    }
    volt_volume_free(*v);
    *v = labels;
    return VOLT_OK;
}

/* A picture can be a mask of palette indices or bits, which it does not show as an image: *v
 * becomes that mask if it looks like one. */
static volt_status try_mask(volt_volume **v, const cli *c, const volt_image_header *header,
                            const char *path)
{
    const volt_image_read_options as_labels = volt_image_read_as(VOLT_I16, (int)c->threads);
    volt_volume *mask = NULL;
    bool declared;
    volt_status st;

    if (volt_image_knows_orientation(header)) /* no picture */
        return VOLT_OK;
    st = volt_image_read(&mask, NULL, path, &as_labels);
    if (st != VOLT_OK) /* colours, for example: an image */
        return st == VOLT_ENOMEM ? st : VOLT_OK;
    st = cli_declares_mask(&declared, mask, header, path);
    if (st == VOLT_OK && volt_looks_like_mask(mask, declared, NULL, 0)) {
        volt_volume_free(*v);
        *v = mask;
    } else {
        volt_volume_free(mask);
    }
    return st;
}

/* The same for a mask that was given, if its values are not the labels themselves. */
static volt_status apply_near(volt_volume **v, const cli *c, const char *path)
{
    volt_dataset_info info = {0};
    const volt_status st = snapshot_info_near(&info, path);
    const double most = volt_volume_range(*v, (int)c->threads).max;
    volt_status applied = st;

    if (st == VOLT_OK && info.thresholds > 0 && most > info.thresholds) {
        applied = apply_thresholds(v, &info);
        volt_report(&c->callbacks, VOLT_LOG_INFO,
                    "%s has grey values; labels from the thresholds of its dataset.json", path);
    }
    volt_dataset_info_clear(&info);
    return applied;
}

/* Reads a file that follows the first: a mask, or an image if it does not look like a mask. */
static volt_status add_file(input *in, const cli *c, const char *path, bool must_be_mask)
{
    const volt_image_read_options read = volt_image_read_as(0, (int)c->threads);
    volt_image_header *header = NULL;
    volt_volume *v = NULL;
    bool declared = false;
    char why[128];
    volt_status st;

    VOLT_TRY(st, done, volt_image_read(&v, &header, path, &read));
    VOLT_TRY(st, done, try_mask(&v, c, header, path));
    if (path == in->found.truth && in->found.set)
        VOLT_TRY(st, done, apply_thresholds(&v, &in->found.set->info));
    VOLT_TRY(st, done, cli_declares_mask(&declared, v, header, path));
    if (volt_looks_like_mask(v, declared || must_be_mask, why, sizeof why)) {
        if (!(path == in->found.truth && in->found.set))
            VOLT_TRY(st, done, apply_near(&v, c, path));
        st = add_mask(in, c, &v, path);
        goto done;
    }
    if (must_be_mask) {
        st = volt_fail(VOLT_EDATA, "%s is no mask: it has %s", path, why);
        goto done;
    }
    if (!is_rgb(v, header))
        volt_report(&c->callbacks, VOLT_LOG_WARNING,
                    "%s has %s: drawn as an image, not as a mask", path, why);
    st = add_image(in, c, &v, header, path);
done:
    st = cli_about(st, path);
    volt_image_header_free(header);
    volt_volume_free(v);
    return st;
}

/* The channels of the case; only one of them for three planes or a sheet. */
static volt_status read_case(input *in, const cli *c)
{
    const snapshot_options *o = c->options;
    const volt_names *files = &in->found.files;
    const volt_image_read_options read = volt_image_read_as(0, (int)c->threads);
    const size_t wanted = o->channel.count && files->count > 1 ? (size_t)o->channel.v[0] : 0;
    volt_image_header *header = NULL;
    volt_volume *v = NULL;
    volt_status st = VOLT_OK;

    if (wanted >= files->count)
        return volt_fail(VOLT_EINVAL, "channel %zu of a case with %zu channel%s", wanted,
                         files->count, volt_s(files->count));
    for (size_t i = 0; i < files->count && st == VOLT_OK; i++) {
        if (!in->figure && i != wanted)
            continue;
        VOLT_TRY(st, done, volt_image_read(&v, &header, files->name[i], &read));
        VOLT_TRY(st, done, add_image(in, c, &v, header, files->name[i]));
        volt_image_header_free(header);
        header = NULL;
    }
done:
    volt_image_header_free(header);
    volt_volume_free(v);
    return st;
}

/* ---- names ---- */

static volt_status name_masks(input *in)
{
    char *files[IMAGES_MAX + MASKS_MAX];
    volt_status st;

    for (int i = 0; i < in->images; i++)
        files[i] = in->image_file[i];
    for (int m = 0; m < in->masks; m++)
        files[in->images + m] = (char *)in->mask_file[m];
    VOLT_TRY(st, done, snapshot_mask_names(in->mask_own, files, in->images, in->masks));
    for (int m = 0; m < in->masks; m++)
        in->mask_name[m] = in->mask_own[m];
    if (in->masks > 0 && in->found.truth &&
        snapshot_same_file(in->mask_file[0], in->found.truth)) {
        in->mask_name[0] = "truth";
        if (in->masks == 2)
            in->mask_name[1] = "prediction";
    }
done:
    return st;
}

static volt_status add_label(input *in, int64_t value, const char *name)
{
    volt_status st;

    for (int64_t i = 0; i < in->labels; i++) {
        if (in->label[i].value == value)
            return VOLT_OK; /* the first source counts */
    }
    st = volt_realloc(&in->label, (size_t)in->labels * sizeof *in->label,
                      (size_t)(in->labels + 1) * sizeof *in->label, "label names");
    if (st == VOLT_OK)
        in->label[in->labels++] = (volt_label_name){value, name};
    return st;
}

static volt_status add_labels_of(input *in, const volt_dataset_info *info)
{
    volt_status st = VOLT_OK;

    for (int i = 0; i < info->labels && st == VOLT_OK; i++)
        st = add_label(in, info->stored ? info->stored[i] : info->label[i].value,
                       info->label[i].name);
    return st;
}

/* From --labels, the data set, then the masks themselves. */
static volt_status name_labels(input *in, const cli *c)
{
    const snapshot_options *o = c->options;
    volt_status st = VOLT_OK;

    if (o->labels) {
        VOLT_TRY(st, done, volt_dataset_info_read(&in->info, o->labels));
        VOLT_TRY(st, done, add_labels_of(in, &in->info));
    }
    if (in->found.set)
        VOLT_TRY(st, done, add_labels_of(in, &in->found.set->info));
    for (int m = 0; m < in->masks; m++) {
        for (int64_t i = 0; i < in->table[m].count && st == VOLT_OK; i++)
            st = add_label(in, in->table[m].entries[i].value, in->table[m].entries[i].name);
    }
done:
    return st;
}

/* ---- columns ---- */

/* Whether `list`, "T1,FLAIR" or "0,3", names a column. */
static bool in_list(const char *list, const char *name, int number)
{
    char digits[16];

    snprintf(digits, sizeof digits, "%d", number);
    while (*list) {
        const size_t bytes = strcspn(list, ",");

        if ((bytes == strlen(name) && strncasecmp(list, name, bytes) == 0) ||
            (bytes == strlen(digits) && strncmp(list, digits, bytes) == 0))
            return true;
        list += bytes + (list[bytes] == ',');
    }
    return false;
}

static volt_status add_column(input *in, const cli *c, int image, int32_t channel,
                              const char *name, int number)
{
    const snapshot_options *o = c->options;
    const bool all = !o->channels || strcmp(o->channels, "all") == 0;

    if (!all && image < (int)in->found.files.count && !in_list(o->channels, name, number))
        return VOLT_OK;
    if (in->columns == IMAGES_MAX)
        return volt_fail(VOLT_EINVAL,
                         "a snapshot has at most %d images; choose some with "
                         "--channels",
                         IMAGES_MAX);
    in->column[in->columns++] =
        (volt_render_column){.image = in->image[image], .channel = channel, .name = name};
    return VOLT_OK;
}

/* Names of the data set for the channels of one 4-D file, or their numbers. */
static volt_status add_channels(input *in, const cli *c, int image)
{
    const int32_t channels = in->image[image]->grid.channels;
    const volt_dataset_info *info = in->found.set ? &in->found.set->info : NULL;
    volt_status st = VOLT_OK;

    for (int32_t k = 0; k < channels && st == VOLT_OK; k++) {
        char **name = &in->column_name[in->columns < IMAGES_MAX ? in->columns : 0];

        volt_free(*name);
        *name = NULL;
        st = info && info->channels == channels ? volt_strdup(name, info->channel_name[k])
                                                : volt_format(name, "channel %d", k);
        if (st == VOLT_OK)
            st = add_column(in, c, image, k, *name, k);
    }
    return st;
}

static volt_status make_columns(input *in, const cli *c)
{
    const snapshot_options *o = c->options;
    volt_status st;

    VOLT_TRY(st, done, snapshot_names(in->image_name, &in->found, in->image_file, in->images));
    if (in->images > (int)in->found.files.count)
        VOLT_TRY(st, done, snapshot_title(&in->title, in->image_file, in->images));
    for (int i = 0; i < in->images; i++) {
        if (in->image[i]->grid.channels > 1 && !in->rgb[i])
            VOLT_TRY(st, done, add_channels(in, c, i));
        else
            VOLT_TRY(
                st, done,
                add_column(in, c, i, in->rgb[i] ? VOLT_CHANNEL_RGB : 0, in->image_name[i], i));
    }
    if (in->columns == 0)
        return volt_fail(VOLT_EINVAL, "no channel of %s is named %s; its first is %s",
                         in->found.name, o->channels, in->image_name[0]);
done:
    return st;
}

static volt_status read_input(input *in, cli *c)
{
    const snapshot_options *o = c->options;
    bool given = false;
    char why[128];
    volt_status st;

    VOLT_TRY(st, done, snapshot_case_find(&in->found, c->args[0], o->channels != NULL));
    in->figure = !o->sheet && (o->channels || in->found.named);
    if (o->sheet && o->channels)
        return volt_fail(VOLT_EINVAL, "--sheet draws slices of one channel: choose it with "
                                      "--channel instead of --channels");
    VOLT_TRY(st, done, read_case(in, c));
    for (int i = 1; i < c->args_count && in->found.truth; i++)
        given = given || snapshot_same_file(c->args[i], in->found.truth);
    if (in->found.truth && !given)
        VOLT_TRY(st, done, add_file(in, c, in->found.truth, true));
    for (int i = 1; i < c->args_count; i++)
        VOLT_TRY(st, done, add_file(in, c, c->args[i], false));
    in->figure = in->figure || (in->images > 1 && !o->sheet);
    if (in->images > 1 &&
        volt_looks_like_mask(in->image[0], in->first_declared, why, sizeof why))
        volt_report(&c->callbacks, VOLT_LOG_WARNING,
                    "%s looks like a mask, but the first file is drawn as an image; give it "
                    "after the images",
                    in->image_file[0]);
    VOLT_TRY(st, done, name_masks(in));
    VOLT_TRY(st, done, name_labels(in, c));
    if (in->figure)
        st = make_columns(in, c);
done:
    return st;
}

/* ---- drawing ---- */

/* Views are as large as the page has room for. */
static int64_t view_size(const input *in, const snapshot_options *o)
{
    const int64_t *n = in->image[0]->grid.n;
    const int flat = (n[0] == 1) + (n[1] == 1) + (n[2] == 1);

    if (o->view)
        return o->view;
    if (in->figure)
        return in->columns + in->masks > 2 ? 320 : 480;
    return o->sheet ? 220 : flat ? 640 : 420;
}

static volt_status draw(volt_picture **out, const input *in, const cli *c)
{
    const snapshot_options *o = c->options;
    volt_render_options r = volt_render_defaults();

    r.title = in->title ? in->title : in->found.name;
    r.masks = (const volt_volume *const *)in->mask;
    r.mask_names = in->mask_name;
    r.mask_files = in->mask_file;
    r.mask_count = in->masks;
    r.labels = in->label;
    r.label_count = in->labels;
    r.sheet = (int)o->sheet;
    r.plane = (volt_plane)(VOLT_PLANE_AXIAL + o->plane);
    r.view = view_size(in, o);
    r.amount = in->amount;
    r.unknown_sides = in->unknown_sides;
    r.crosshair = !o->no_crosshair;
    r.white = o->background == 1;
    if (in->figure) {
        r.column = in->column;
        r.columns = in->columns;
        r.under = o->channel.count ? (int)o->channel.v[0] : VOLT_LAST_COLUMN;
        r.channel = 0;
    } else {
        r.channel = in->rgb[0]                                       ? VOLT_CHANNEL_RGB
                    : o->channel.count && in->found.files.count == 1 ? (int32_t)o->channel.v[0]
                                                                     : 0;
    }
    for (int i = 0; i < o->slice.count; i++) /* x, y, z on the command line, z, y, x inside */
        r.slice[2 - i] = (int64_t)o->slice.v[i];
    if (o->window) {
        volt_status st = volt_window_parse(r.window, o->window);

        if (st != VOLT_OK)
            return st;
        r.has_window = true;
    }
    return volt_render(out, in->image[0], &r);
}

static void free_input(input *in)
{
    for (int m = 0; m < MASKS_MAX; m++) {
        volt_volume_free(in->mask[m]);
        volt_free(in->mask_own[m]);
        volt_label_table_clear(&in->table[m]);
    }
    for (int i = 0; i < IMAGES_MAX; i++) {
        volt_volume_free(in->image[i]);
        volt_free(in->image_file[i]);
        volt_free(in->image_name[i]);
        volt_free(in->column_name[i]);
    }
    volt_free(in->title);
    volt_free(in->label);
    volt_dataset_info_clear(&in->info);
    snapshot_case_free(&in->found);
    volt_free(in);
}

static volt_status run(cli *c)
{
    const snapshot_options *o = c->options;
    volt_picture *picture = NULL;
    input *in = NULL;
    volt_status st;

    VOLT_TRY(st, done, cli_need_output(c, o->output, CLI_FIGURE));
    VOLT_TRY(st, done, volt_figure_check(o->output));
    VOLT_TRY(st, done, volt_alloc_zero(&in, 1, sizeof *in, "snapshot"));
    VOLT_TRY(st, done, read_input(in, c));
    VOLT_TRY(st, done, cli_about(draw(&picture, in, c), c->args[0]));
    st = volt_figure_write(o->output, picture->rgb, picture->width, picture->height);
    if (st == VOLT_OK && !c->quiet)
        printf("%s: %lld x %lld pixels\n", o->output, (long long)picture->width,
               (long long)picture->height);
done:
    volt_picture_free(picture);
    if (in)
        free_input(in);
    return st;
}

const cli_command cmd_snapshot = {
    .name = "snapshot",
    .section = CLI_VISUALS,
    .one_line = "draw slices of a scan or a case, with masks",
    .args = "CASE [MASK|IMAGE...] -o PNG|JPG",
    .min_args = 1,
    .max_args = 1 + MASKS_MAX + IMAGES_MAX,
    .about = "Draws axial, coronal and sagittal slices through the largest section of the "
             "masks (or a sheet of slices), true to the voxel spacing, with the labels' names, "
             "colours and volumes. Of several masks the first is filled and the others are "
             "contours, and the legend has their Dice with the first. Radiological convention: "
             "the patient's right is on the left.\n\n"
             "With --channels, or with several images, it draws the figure of a case: the same "
             "slice of every channel, of the truth and of the predictions, in columns. CASE is "
             "then a file of the case (CASE_0000.nii.gz, a 4-D file), the start of its file "
             "names, a BraTS folder, or DATASET/CASE; names of channels and labels, and the "
             "truth, come from the data set. A file that neither looks like a mask nor "
             "says that it is one (by its table of labels) is drawn as an image. A folder of "
             "pictures is an image or a mask: its slices.",
    .example = "volt snapshot scan.nii.gz truth.nii.gz masks/scan.nii.gz -o overlay.png\n"
               "volt snapshot DATASET/BRATS_001 masks/BRATS_001.nii.gz -o figure.png\n"
               "volt snapshot CASE_0000.nii.gz mask.nii.gz --channels all -o figure.png",
    .common = CLI_THREADS,
    CLI_OPTIONS(options, snapshot_options),
    .run = run,
};
