#define _GNU_SOURCE
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/available.h"
#include "base/core/checked.h"
#include "base/core/report.h"
#include "apps/cli/cli.h"
#include "apps/cli/label_files.h"
#include "io/image.h"
#include "io/dataset.h"
#include "io/label_table.h"
#include "show/render.h"
#include "volume/orient.h"
#include "volume/resample_to_grid.h"
#include "volume/resample.h"

typedef struct convert_options {
    const char *dtype, *codes, *like, *label_files;
    cli_list spacing;
    bool labels;
} convert_options;

static const cli_option options[] = {
    {"--dtype", 0, CLI_TEXT, offsetof(convert_options, dtype), "T", NULL, 0, 0,
     "uint8, int16, float32, ... [IN's]"},
    {"--reorient", 0, CLI_TEXT, offsetof(convert_options, codes), "CODES", NULL, 0, 0,
     "permute and flip so that axes x, y, z point to these sides: RAS, LPS, ..."},
    {"--spacing", 0, CLI_REALS, offsetof(convert_options, spacing), "x,y,z", NULL, 1e-3, 1e3,
     "resample to this spacing in mm, as nnU-Net does; if IN's is unknown, as of pictures, "
     "state "
     "it: nothing is resampled"},
    {"--like", 0, CLI_TEXT, offsetof(convert_options, like), "REF", NULL, 0, 0,
     "resample onto the grid of REF: linear, or nearest with --labels"},
    {"--labels", 0, CLI_FLAG, offsetof(convert_options, labels), NULL, NULL, 0, 0,
     "IN is a label map: never interpolate values, use the smallest type, keep label names"},
    {"--label-files", 0, CLI_TEXT, offsetof(convert_options, label_files), "snap,ctbl,seg-nrrd",
     NULL, 0, 0,
     "with --labels: also write for viewers, next to OUT, any of: snap (.label, ITK-SNAP), "
     "ctbl "
     "(.ctbl, 3D Slicer), seg-nrrd (.seg.nrrd, 3D Slicer)"},
};

/* Replaces the current volume, freeing the old one. */
static void replace(volt_volume **v, volt_volume *by)
{
    volt_volume_free(*v);
    *v = by;
}

static volt_status reorient(volt_volume **v, const char *codes, int threads)
{
    volt_orientation o;
    volt_volume *turned = NULL;
    volt_status st = volt_orientation_to(&o, &(*v)->grid, codes);

    if (st == VOLT_OK && !volt_orientation_is_identity(o)) {
        st = volt_volume_reorient(&turned, *v, o, threads);
        if (st == VOLT_OK)
            replace(v, turned);
    }
    return st;
}

/* Images are interpolated in float32. */
static volt_status to_float(volt_volume **v, int threads)
{
    volt_volume *wide = NULL;
    volt_status st;

    if ((*v)->dtype == VOLT_F32)
        return VOLT_OK;
    st = volt_volume_convert(&wide, *v, VOLT_F32, NULL, threads);
    if (st == VOLT_OK)
        replace(v, wide);
    return st;
}

/* Interpolating to `shape` in float32, next to the volume itself. */
static volt_status check_memory(const volt_volume *v, const int64_t shape[3], const char *path)
{
    int64_t extents[4] = {v->grid.channels, shape[0], shape[1], shape[2]};
    char *what = NULL;
    size_t bytes;
    volt_status st;

    if (volt_extent_bytes(&bytes, extents, 4, sizeof(float)) ||
        volt_add_size(&bytes, bytes,
                      sizeof(float) * (volt_volume_bytes(v) / volt_dtype_bytes(v->dtype))))
        bytes = SIZE_MAX;
    st = volt_format(&what, "%s: resampling it to %lld x %lld x %lld voxels", path,
                     (long long)shape[2], (long long)shape[1], (long long)shape[0]);
    if (st == VOLT_OK)
        st = volt_mem_check(bytes, what);
    volt_free(what);
    return st;
}

/* The spacing of pictures is unknown until the user states it. */
static void state_spacing(volt_grid *grid, const cli_list *asked)
{
    double assumed[3];

    volt_grid_spacing(assumed, grid);
    for (int axis = 0; axis < 3; axis++) { /* x, y, z */
        for (int r = 0; r < 3; r++)
            grid->to_world[r][axis] *= asked->v[axis] / assumed[2 - axis];
    }
}

static volt_status respace(volt_volume **v, const char *path, const cli_list *asked,
                           bool labels, int threads)
{
    const double target[3] = {asked->v[2], asked->v[1], asked->v[0]};
    volt_volume *out = NULL;
    double spacing[3];
    int64_t shape[3];
    int separate;
    volt_status st;

    volt_grid_spacing(spacing, &(*v)->grid);
    VOLT_TRY(st, done, volt_resample_shape(shape, (*v)->grid.n, spacing, target));
    VOLT_TRY(st, done, check_memory(*v, shape, path));
    separate = volt_resample_separate_axis(spacing, target);
    if (labels) {
        VOLT_TRY(st, done,
                 volt_resample_labels(&out, *v, shape, VOLT_LINEAR, separate, threads));
    } else {
        VOLT_TRY(st, done, to_float(v, threads));
        VOLT_TRY(st, done, volt_resample_image(&out, *v, shape, VOLT_CUBIC, separate, threads));
    }
    replace(v, out);
done:
    return st;
}

/* Between labels 0 and 2 interpolation finds a 1. */
static volt_status warn_of_labels(const volt_volume *v, const volt_image_header *h,
                                  const cli *c)
{
    bool declared = false;
    const volt_status st = cli_declares_mask(&declared, v, h, c->args[0]);

    if (st == VOLT_OK && volt_looks_like_mask(v, declared, NULL, 0))
        volt_report(&c->callbacks, VOLT_LOG_WARNING,
                    "%s looks like a label map, but its values were interpolated; use --labels",
                    c->args[0]);
    return st;
}

/* Voxels outside the scan get its minimum (air, background), or label 0. */
static volt_status regrid(volt_volume **v, const cli *c, bool labels)
{
    const char *reference = ((const convert_options *)c->options)->like;
    int threads = (int)c->threads;
    volt_value_range range;
    volt_image_header *header = NULL;
    volt_volume *out = NULL;
    double outside = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_image_info(&header, reference));
    VOLT_TRY(st, done, check_memory(*v, header->grid.n, c->args[0]));
    if (!labels) {
        outside = volt_volume_range(*v, threads).min;
        VOLT_TRY(st, done, to_float(v, threads));
    }
    VOLT_TRY(st, done,
             volt_resample_to_grid(&out, *v, &header->grid, labels ? VOLT_NEAREST : VOLT_LINEAR,
                                   outside, threads));
    range = volt_volume_range(out, threads);
    if (range.min == outside && range.max == outside)
        volt_report(&c->callbacks, VOLT_LOG_WARNING, "%s and %s do not overlap", c->args[0],
                    reference);
    replace(v, out);
done:
    volt_image_header_free(header);
    return st;
}

/* Output type: --dtype, else the type of the file unless its values were scaled. */
static volt_status set_type(volt_volume **v, const cli *c, const volt_image_header *source)
{
    const convert_options *o = c->options;
    volt_dtype dtype = source->scaled ? (*v)->dtype : source->dtype;
    volt_volume *out = NULL;
    bool exact = true;
    volt_status st;

    if (o->dtype)
        VOLT_TRY(st, done, volt_dtype_parse(&dtype, o->dtype));
    if (dtype == (*v)->dtype)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_volume_convert(&out, *v, dtype, &exact, (int)c->threads));
    if (!exact && o->dtype)
        volt_report(&c->callbacks, VOLT_LOG_WARNING,
                    "%s: values were rounded or clipped to fit %s", c->args[0],
                    volt_dtype_name(dtype));
    replace(v, out);
done:
    return st;
}

/* The same slice with its rows to posterior and its columns to the left, or the volume along
 * LPS; an axis of a slice is never exchanged with its thickness. */
static volt_status to_lps(volt_volume **v, bool slice, int threads)
{
    volt_orientation o;
    volt_volume *turned = NULL;
    volt_status st = volt_orientation_to(&o, &(*v)->grid, "LPS");

    if (st != VOLT_OK || volt_orientation_is_identity(o) || (slice && o.from[0] != 0))
        return st;
    st = volt_volume_reorient(&turned, *v, o, threads);
    if (st == VOLT_OK)
        replace(v, turned);
    return st;
}

/* What OUT states without IN saying so. */
static volt_status assumed_note(char **note, const cli *c, const volt_image_header *header,
                                const volt_grid *grid)
{
    const convert_options *o = c->options;
    char codes[4];
    double mm[3];

    volt_orientation_codes(codes, grid);
    volt_grid_spacing(mm, grid);
    if (volt_image_knows_spacing(header) || o->spacing.count || o->like)
        return volt_format(note,
                           "the orientation of %s is unknown; %s states %s, which is assumed",
                           c->args[0], c->args[1], codes);
    return volt_format(
        note,
        "spacing and orientation of %s are unknown; %s states %g x %g x %g mm and "
        "%s, which are assumed (--spacing x,y,z states the spacing)",
        c->args[0], c->args[1], mm[2], mm[1], mm[0], codes);
}

/* OUT's format may be unable to store where the volume lies: then it is reoriented as readers
 * will assume. *note (the caller owns it) is to be reported once it is written. */
static volt_status fit_format(volt_volume **v, cli *c, const volt_image_header *header,
                              volt_image_write_options *write, char **note)
{
    const convert_options *o = c->options;
    const char *path = c->args[1], *format = volt_image_format_name(path);
    const volt_image_loss loss = volt_image_loss_of(path, &(*v)->grid, header);
    const bool slice = loss == VOLT_LOSS_GEOMETRY && (*v)->grid.n[0] == 1;
    const bool states = strcmp(format, "NIfTI") == 0 || strcmp(format, "NRRD") == 0 ||
                        strcmp(format, "MetaImage") == 0;
    const bool unchanged = header->raw && strcmp(format, "NIfTI") == 0 &&
                           volt_grid_same(&(*v)->grid, &header->grid, 0);
    const int threads = (int)c->threads;
    char before[4], after[4];
    volt_status st = VOLT_OK;

    volt_orientation_codes(before, &(*v)->grid);
    if (loss == VOLT_LOSS_NONE) {
        if (volt_image_named(path) && states && !unchanged &&
            !volt_image_knows_orientation(header))
            st = assumed_note(note, c, header, &(*v)->grid);
        return st;
    }
    if (!o->codes)
        VOLT_TRY(st, done, to_lps(v, slice, threads));
    volt_orientation_codes(after, &(*v)->grid);
    write->drop_geometry = loss == VOLT_LOSS_GEOMETRY;
    if (loss == VOLT_LOSS_ORIENTATION && strcmp(before, after) == 0)
        return VOLT_OK; /* refused when it is written */
    st = volt_format(note, "%s: %s stores %s%s%s%s%s", path, format,
                     loss == VOLT_LOSS_ORIENTATION ? "no orientation"
                     : slice                       ? "neither spacing, position nor orientation"
                                                   : "neither position nor orientation",
                     strcmp(before, after) ? "; reoriented from " : "",
                     strcmp(before, after) ? before : "", strcmp(before, after) ? " to " : "",
                     strcmp(before, after) ? after : "");
done:
    return st;
}

/* Header warnings on IN, unless OUT has the same header. */
static void report_warnings(const cli *c, const volt_image_header *header)
{
    if (header->raw && strcmp(volt_image_format_name(c->args[1]), "NIfTI") == 0)
        return;
    for (size_t i = 0; i < header->warning_count; i++)
        volt_report(&c->callbacks, VOLT_LOG_WARNING, "%s: %s", c->args[0], header->warnings[i]);
}

/* STEM.label, STEM.ctbl and STEM.seg.nrrd for OUT = STEM.EXT. */
static volt_status write_label_files(const cli *c, int which, const volt_volume *v,
                                     const volt_image_write_options *write)
{
    static const char *const ending[] = {".label", ".ctbl", ".seg.nrrd"};
    const char *out = c->args[1];
    const char *dot = strrchr(out, '.');
    char *path = NULL;
    volt_status st = VOLT_OK;

    while (dot && dot > out && !volt_image_named(dot - 1)) /* ".gz" of ".nii.gz" */
        dot = memrchr(out, '.', (size_t)(dot - out));
    for (int i = 0; i < 3; i++) {
        if (!(which & 1 << i))
            continue;
        if (i < 2 && !write->names) {
            st = volt_fail(VOLT_EDATA,
                           "%s: the names of its labels are stored neither in it "
                           "nor next to it",
                           c->args[0]);
            goto done;
        }
        VOLT_TRY(st, done,
                 volt_format(&path, "%.*s%s", dot ? (int)(dot - out) : (int)strlen(out), out,
                             ending[i]));
        if (i < 2)
            VOLT_TRY(st, done, volt_label_table_write(path, write->names));
        else
            VOLT_TRY(st, done, volt_image_write(path, v, NULL, write));
        volt_free(path);
        path = NULL;
    }
done:
    volt_free(path);
    return st;
}

static volt_status run(cli *c)
{
    const convert_options *o = c->options;
    int threads = (int)c->threads;
    volt_image_read_options read = volt_image_read_as(o->labels ? VOLT_I16 : 0, threads);
    volt_image_write_options write = volt_image_write_with(threads);
    volt_label_table names = {0};
    volt_image_header *header = NULL;
    volt_volume *v = NULL;
    int files = 0;
    char *note = NULL;  /* on what OUT does not store */
    char *table = NULL; /* of names that it does not store */
    volt_status st;

    VOLT_TRY(st, done, cli_label_files(&files, o->label_files));
    if (files && !o->labels)
        return volt_fail(VOLT_EINVAL, "--label-files needs --labels");
    if (o->spacing.count && o->like)
        return volt_fail(VOLT_EINVAL, "--spacing and --like cannot be combined");
    if (o->labels && o->dtype)
        return volt_fail(VOLT_EINVAL, "--labels chooses the type itself; drop --dtype");
    VOLT_TRY(st, done, volt_image_check_ending(c->args[1], o->labels));
    VOLT_TRY(st, done, cli_check_inputs(c->args, 1));
    VOLT_TRY(st, done, cli_check_output_file(c->args[1]));
    write.labels = o->labels;
    if (o->labels)
        VOLT_TRY(st, done, volt_label_table_read(c->args[0], &names));
    write.names = names.count ? &names : NULL;
    VOLT_TRY(st, done, volt_image_read(&v, &header, c->args[0], &read));
    if (!o->labels && (o->like || (o->spacing.count && volt_image_knows_spacing(header))))
        VOLT_TRY(st, done, warn_of_labels(v, header, c));
    if (o->codes)
        VOLT_TRY(st, done, reorient(&v, o->codes, threads));
    if (o->spacing.count && !volt_image_knows_spacing(header))
        state_spacing(&v->grid, &o->spacing);
    else if (o->spacing.count)
        VOLT_TRY(st, done, respace(&v, c->args[0], &o->spacing, o->labels, threads));
    if (o->like)
        VOLT_TRY(st, done, regrid(&v, c, o->labels));
    if (!o->labels)
        VOLT_TRY(st, done, set_type(&v, c, header));
    VOLT_TRY(st, done, fit_format(&v, c, header, &write, &note));
    VOLT_TRY(st, done, volt_check_cancelled(&c->callbacks));
    VOLT_TRY(st, done, write_label_files(c, files, v, &write));
    if (write.names)
        VOLT_TRY(st, done, volt_label_table_accompany(&table, c->args[1], write.names));
    st = volt_image_write(c->args[1], v, header, &write);
    if (st == VOLT_OK)
        report_warnings(c, header);
    if (st == VOLT_OK && table)
        volt_report(&c->callbacks, VOLT_LOG_INFO,
                    "%s stores no names of labels; they are in %s",
                    volt_image_format_name(c->args[1]), table);
    if (st == VOLT_OK && note)
        volt_report(&c->callbacks, VOLT_LOG_WARNING, "%s", note);
done:
    st = cli_about(st, c->args[0]);
    volt_label_table_clear(&names);
    volt_free(table);
    volt_free(note);
    volt_volume_free(v);
    volt_image_header_free(header);
    return st;
}

const cli_command cmd_convert = {
    .name = "convert",
    .section = CLI_DATA,
    .one_line = "change a scan's data type, orientation, spacing or grid",
    .args = "IN OUT",
    .min_args = 2,
    .max_args = 2,
    .about =
        "Reads IN, a scan or a folder with the pictures of its slices, and writes OUT; the "
        "file "
        "name extension selects each format: .nii.gz, .nii, "
        ".mha, .mhd, .nrrd, .nhdr, .gipl, .tif, .png, .bmp, .gif or .jpg. Whatever no option "
        "changes "
        "is preserved: data type, voxels, position in the patient and header fields.",
    .example = "volt convert scan.nii.gz thin.nii.gz --reorient RAS --spacing 1,1,1",
    .common = CLI_THREADS,
    CLI_OPTIONS(options, convert_options),
    .run = run,
};
