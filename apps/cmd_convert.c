#define _GNU_SOURCE
#include <string.h>
#include "base/core/report.h"
#include "apps/cli/cli.h"
#include "apps/cli/label_files.h"
#include "base/core/alloc.h"
#include "io/image.h"
#include "io/dataset.h"
#include "io/label_table.h"
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
     "resample to this spacing in mm, as nnU-Net does"},
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

static volt_status respace(volt_volume **v, const cli_list *asked, bool labels, int threads)
{
    const double target[3] = {asked->v[2], asked->v[1], asked->v[0]};
    volt_volume *out = NULL;
    double spacing[3];
    int64_t shape[3];
    int separate;
    volt_status st;

    volt_grid_spacing(spacing, &(*v)->grid);
    VOLT_TRY(st, done, volt_resample_shape(shape, (*v)->grid.n, spacing, target));
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
    volt_status st;

    VOLT_TRY(st, done, cli_label_files(&files, o->label_files));
    if (files && !o->labels)
        return volt_fail(VOLT_EINVAL, "--label-files needs --labels");
    if (o->spacing.count && o->like)
        return volt_fail(VOLT_EINVAL, "--spacing and --like cannot be combined");
    if (o->labels && o->dtype)
        return volt_fail(VOLT_EINVAL, "--labels chooses the type itself; drop --dtype");
    write.labels = o->labels;
    if (o->labels)
        VOLT_TRY(st, done, volt_label_table_read(c->args[0], &names));
    write.names = names.count ? &names : NULL;
    VOLT_TRY(st, done, volt_image_read(&v, &header, c->args[0], &read));
    if (o->codes)
        VOLT_TRY(st, done, reorient(&v, o->codes, threads));
    if (o->spacing.count)
        VOLT_TRY(st, done, respace(&v, &o->spacing, o->labels, threads));
    if (o->like)
        VOLT_TRY(st, done, regrid(&v, c, o->labels));
    if (!o->labels)
        VOLT_TRY(st, done, set_type(&v, c, header));
    VOLT_TRY(st, done, volt_check_cancelled(&c->callbacks));
    VOLT_TRY(st, done, write_label_files(c, files, v, &write));
    st = volt_image_write(c->args[1], v, header, &write);
done:
    volt_label_table_clear(&names);
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
        "Reads IN and writes OUT; the file name extension selects each format: .nii.gz, .nii, "
        ".mha, .mhd, .nrrd, .nhdr, .gipl, .tif, .png, .bmp or .jpg. Whatever no option changes "
        "is preserved: data type, voxels, position in the patient and header fields.",
    .example = "volt convert scan.nii.gz thin.nii.gz --reorient RAS --spacing 1,1,1",
    .common = CLI_THREADS,
    CLI_OPTIONS(options, convert_options),
    .run = run,
};
