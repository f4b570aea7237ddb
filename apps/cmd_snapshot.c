#include <stdio.h>
#include "apps/cli/cli.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/dataset.h"
#include "io/figure.h"
#include "io/image.h"
#include "volume/resample_to_grid.h"
#include "show/render.h"

enum { MASKS_MAX = 8 };

typedef struct snapshot_options {
    const char *output, *window, *labels;
    cli_list slice;
    int64_t sheet, channel, view;
    int plane;
} snapshot_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(snapshot_options, output), "PNG|JPG", NULL, 0, 0,
     "picture to write (required); the ending selects PNG or JPEG"},
    {"--slice", 0, CLI_INTS, offsetof(snapshot_options, slice), "x,y,z", NULL, 0, 2147483647,
     "voxel to cut through [the masks' largest section]"},
    {"--window", 0, CLI_TEXT, offsetof(snapshot_options, window), "LOW,HIGH", NULL, 0, 0,
     "range of grey values; or soft, lung, bone, brain, liver [by image type]"},
    {"--labels", 0, CLI_TEXT, offsetof(snapshot_options, labels), "JSON", NULL, 0, 0,
     "dataset.json with the label names"},
    {"--sheet", 0, CLI_INT, offsetof(snapshot_options, sheet), "N", NULL, 0, 400,
     "draw N slices of one plane instead of three planes"},
    {"--plane", 0, CLI_CHOICE, offsetof(snapshot_options, plane), "axial|coronal|sagittal",
     "axial", 0, 0, "plane of the sheet"},
    {"--channel", 0, CLI_INT, offsetof(snapshot_options, channel), "C", "0", 0, 999,
     "channel of a 4-D image"},
    {"--size", 0, CLI_INT, offsetof(snapshot_options, view), "PIXELS", NULL, 64, 2048,
     "longest side of a view [420; in a sheet 220]"},
};

/* Image and masks to draw; owned. */
typedef struct input {
    volt_volume *image, *masks[MASKS_MAX];
    const char *names[MASKS_MAX];
    volt_dataset_info info;
    volt_label_name labels[VOLT_MAX_LABELS];
} input;

/* Resamples a mask on another grid to the image's, by world position. */
static volt_status fit_mask(volt_volume **mask, const volt_volume *image, const cli *c,
                            const char *path)
{
    volt_volume *fitted = NULL;
    volt_status st;

    if ((*mask)->grid.channels != 1)
        return volt_fail(VOLT_EDATA, "%s has %d channel%s; a mask has one", path,
                         (*mask)->grid.channels, volt_s((*mask)->grid.channels));
    if (volt_grid_same(&(*mask)->grid, &image->grid, 1e-2))
        return VOLT_OK;
    volt_report(&c->callbacks, VOLT_LOG_WARNING,
                "%s and %s have different grids; aligned by world position", path, c->args[0]);
    st = volt_resample_to_grid(&fitted, *mask, &image->grid, VOLT_NEAREST, 0, (int)c->threads);
    if (st == VOLT_OK) {
        volt_volume_free(*mask);
        *mask = fitted;
    }
    return st;
}

static volt_status read_input(input *in, cli *c)
{
    const snapshot_options *o = c->options;
    volt_image_read_options read = volt_image_read_as(0, (int)c->threads);
    volt_status st;

    VOLT_TRY(st, done, volt_image_read(&in->image, NULL, c->args[0], &read));
    read.dtype = VOLT_I16;
    for (int m = 0; m < c->args_count - 1; m++) {
        const char *path = c->args[m + 1];

        VOLT_TRY(st, done, volt_image_read(&in->masks[m], NULL, path, &read));
        VOLT_TRY(st, done, fit_mask(&in->masks[m], in->image, c, path));
        in->names[m] = path;
    }
    if (o->labels) {
        VOLT_TRY(st, done, volt_dataset_info_read(&in->info, o->labels));
        for (int i = 0; i < in->info.labels; i++)
            in->labels[i] = (volt_label_name){in->info.label[i].value, in->info.label[i].name};
    }
done:
    return st;
}

static volt_status draw(volt_picture **out, const input *in, const cli *c)
{
    const snapshot_options *o = c->options;
    volt_render_options r = volt_render_defaults();

    r.title = volt_path_name(c->args[0]);
    r.masks = (const volt_volume *const *)in->masks;
    r.mask_names = in->names;
    r.mask_count = c->args_count - 1;
    r.labels = in->labels;
    r.label_count = in->info.labels;
    r.channel = (int32_t)o->channel;
    r.sheet = (int)o->sheet;
    r.plane = (volt_plane)(VOLT_PLANE_AXIAL + o->plane);
    r.view = o->view ? o->view : o->sheet ? 220 : r.view;
    for (int i = 0; i < o->slice.count; i++) /* x, y, z on the command line, z, y, x inside */
        r.slice[2 - i] = (int64_t)o->slice.v[i];
    if (o->window) {
        volt_status st = volt_window_parse(r.window, o->window);

        if (st != VOLT_OK)
            return st;
        r.has_window = true;
    }
    return volt_render(out, in->image, &r);
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
    VOLT_TRY(st, done, draw(&picture, in, c));
    st = volt_figure_write(o->output, picture->rgb, picture->width, picture->height);
    if (st == VOLT_OK && !c->quiet)
        printf("%s: %lld x %lld pixels\n", o->output, (long long)picture->width,
               (long long)picture->height);
done:
    volt_picture_free(picture);
    if (in) {
        for (int m = 0; m < MASKS_MAX; m++)
            volt_volume_free(in->masks[m]);
        volt_volume_free(in->image);
        volt_dataset_info_clear(&in->info);
    }
    volt_free(in);
    return st;
}

const cli_command cmd_snapshot = {
    .name = "snapshot",
    .section = CLI_VISUALS,
    .one_line = "draw slices of a scan with mask contours",
    .args = "IMAGE [MASK...] -o PNG|JPG",
    .min_args = 1,
    .max_args = 1 + MASKS_MAX,
    .about = "Draws axial, coronal and sagittal slices through the largest section of the "
             "masks (or a sheet of slices), true to the voxel spacing, with labels as coloured "
             "contours, their names and volumes. The first mask is drawn solid, further masks "
             "dashed. Radiological convention: the patient's right is on the left.",
    .example = "volt snapshot scan.nii.gz truth.nii.gz masks/scan.nii.gz -o overlay.png",
    .common = CLI_THREADS,
    CLI_OPTIONS(options, snapshot_options),
    .run = run,
};
