#include <inttypes.h>
#include <stdio.h>
#include "apps/cli/cli.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "io/image.h"
#include "volume/orient.h"
#include "volume/volume.h"

typedef struct info_options {
    bool header;
} info_options;

static const cli_option options[] = {
    {"--header", 0, CLI_FLAG, offsetof(info_options, header), NULL, NULL, 0, 0,
     "read the header only, not the voxels"},
};

/* Everything printed about one file. */
typedef struct facts {
    const char *path;
    const volt_image_header *header;
    char codes[4];
    double spacing[3]; /* z, y, x */
    bool has_range;
    volt_value_range range;
} facts;

static const char *geometry_name(const volt_image_header *h)
{
    return h->geometry_source == VOLT_GEOMETRY_SFORM    ? "sform"
           : h->geometry_source == VOLT_GEOMETRY_QFORM  ? "qform"
           : h->geometry_source == VOLT_GEOMETRY_HEADER ? "header"
                                                        : "none";
}

static json_t *matrix(const volt_grid *g)
{
    json_t *rows = json_array();

    for (int r = 0; r < 3; r++)
        json_array_append_new(rows, volt_json_array_of_doubles(g->to_world[r], 4));
    return rows;
}

static volt_status print_json(const facts *f)
{
    const volt_image_header *h = f->header;
    const volt_grid *g = &h->grid;
    const int64_t size[3] = {g->n[2], g->n[1], g->n[0]};
    const double spacing[3] = {f->spacing[2], f->spacing[1], f->spacing[0]};
    const int64_t bytes =
        volt_grid_voxels(g) * g->channels * (int64_t)volt_dtype_bytes(h->dtype);
    const bool known = volt_image_knows_orientation(h);
    json_t *root = json_pack(
        "{s:o, s:s, s:i, s:b, s:b, s:o, s:i, s:o, s:b, s:s, s:s*, s:s, s:i, s:i, s:o, s:s, "
        "s:o, "
        "s:o, s:o, s:o, s:I}",
        "file", volt_json_string(f->path), "format", h->format, "nifti", h->version, "pair",
        (int)h->pair, "gzip", (int)h->gzip, "size", volt_json_array_of_ints(size, 3),
        "channels", (int)g->channels, "spacing_mm", volt_json_array_of_doubles(spacing, 3),
        "spacing_known", (int)volt_image_knows_spacing(h), "orientation",
        known ? f->codes : "unknown", "assumed_orientation", known ? NULL : f->codes,
        "geometry", geometry_name(h), "qform_code", h->qform_code, "sform_code", h->sform_code,
        "to_world", matrix(g), "type", volt_dtype_name(h->dtype), "slope",
        volt_json_number(h->slope), "inter", volt_json_number(h->inter), "description",
        volt_json_string(h->description), "warnings",
        cli_json_strings(h->warnings, (int64_t)h->warning_count), "read_bytes",
        (json_int_t)bytes + (json_int_t)h->helper_bytes);

    if (root && f->has_range) {
        json_object_set_new(root, "min", volt_json_number(f->range.min));
        json_object_set_new(root, "max", volt_json_number(f->range.max));
        json_object_set_new(root, "not_finite", json_integer(f->range.not_finite));
    }
    return cli_print_json(root);
}

static void print_text(const facts *f)
{
    const volt_image_header *h = f->header;
    const volt_grid *g = &h->grid;

    printf("%s\n", f->path);
    printf("  format       %s%s%s%s\n", h->format, h->pair ? ", header and image" : "",
           h->gzip ? ", compressed" : "", h->swapped ? ", byte-swapped" : "");
    printf("  size         %" PRId64 " x %" PRId64 " x %" PRId64 " voxels (x, y, z)", g->n[2],
           g->n[1], g->n[0]);
    if (g->channels > 1)
        printf(", %d channel%s", g->channels, volt_s(g->channels));
    printf("\n  spacing      %s%.6g x %.6g x %.6g mm\n",
           volt_image_knows_spacing(h) ? "" : "unknown, assumed ", f->spacing[2], f->spacing[1],
           f->spacing[0]);
    if (!volt_image_knows_orientation(h))
        printf("  orientation  unknown, assumed %s", f->codes);
    else
        printf("  orientation  %s, from the %s", f->codes, geometry_name(h));
    if (h->version)
        printf(" (qform code %d, sform code %d)", h->qform_code, h->sform_code);
    putchar('\n');
    for (int r = 0; r < 3; r++)
        printf("  %s  %10.5f %10.5f %10.5f %12.4f\n", r == 0 ? "to world   " : "           ",
               g->to_world[r][0], g->to_world[r][1], g->to_world[r][2], g->to_world[r][3]);
    printf("  type         %s", volt_dtype_name(h->dtype));
    if (h->scaled)
        printf(", slope %.9g, intercept %.9g", h->slope, h->inter);
    if (f->has_range)
        printf("\n  values       %.9g to %.9g", f->range.min, f->range.max);
    if (f->has_range && f->range.not_finite)
        printf(", %" PRId64 " non-finite voxel%s", f->range.not_finite,
               volt_s(f->range.not_finite));
    putchar('\n');
    if (h->description[0])
        printf("  description  %s\n", h->description);
    for (size_t i = 0; i < h->warning_count; i++)
        printf("  warning      %s\n", h->warnings[i]);
}

static volt_status look(const cli *c, const char *path)
{
    const info_options *o = c->options;
    volt_image_read_options read = volt_image_read_as(0, (int)c->threads);
    volt_image_header *header = NULL;
    volt_volume *volume = NULL;
    facts f = {.path = path};
    volt_status st;

    if (o->header)
        VOLT_TRY(st, done, volt_image_info(&header, path));
    else
        VOLT_TRY(st, done, volt_image_read(&volume, &header, path, &read));
    f.header = header;
    volt_grid_spacing(f.spacing, &header->grid);
    volt_orientation_codes(f.codes, &header->grid);
    f.has_range = volume != NULL;
    if (volume)
        f.range = volt_volume_range(volume, (int)c->threads);
    if (c->json)
        st = print_json(&f);
    else
        print_text(&f);
done:
    volt_volume_free(volume);
    volt_image_header_free(header);
    return st;
}

/* A file that cannot be read does not stop the others: its error is printed in its place and
 * the command fails at the end. */
static volt_status run(cli *c)
{
    volt_status first = VOLT_OK;
    int failed = 0;

    for (int i = 0; i < c->args_count; i++) {
        volt_status st = volt_check_cancelled(&c->callbacks);

        if (st != VOLT_OK)
            return st;
        st = look(c, c->args[i]);
        if (st == VOLT_OK)
            continue;
        if (c->args_count == 1)
            return st;
        if (c->json)
            (void)cli_print_json(json_pack("{s:o, s:o}", "file", volt_json_string(c->args[i]),
                                           "error", volt_json_string(volt_last_error())));
        else
            printf("%s\n  unreadable   %s\n", c->args[i], volt_last_error());
        first = first == VOLT_OK ? st : first;
        failed++;
    }
    if (failed)
        return volt_fail(first, "%d of %d file%s cannot be read", failed, c->args_count,
                         volt_s(c->args_count));
    return VOLT_OK;
}

const cli_command cmd_info = {
    .name = "info",
    .section = CLI_DATA,
    .one_line = "print a scan's geometry, value range and header warnings",
    .args = "FILE...",
    .min_args = 1,
    .max_args = -1,
    .about =
        "Prints format, geometry, data type and value range of scans (NIfTI, .mha, .nrrd, "
        ".tif, .png, ..., or a folder with the pictures of the slices) and reports unusual "
        "headers. With --json, one object per line.",
    .example = "volt info scan.nii.gz",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, info_options),
    .run = run,
};
