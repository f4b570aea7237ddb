/* nifti_write.c - writing volumes as NIfTI. */
#include <stdio.h>
#include <string.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/archive/gzip.h"
#include "io/image/label_text.h"
#include "io/image/nifti_raw.h"
#include "io/image/options.h"

/* The first one that holds all labels is used; the first ones are supported everywhere. */
static const volt_dtype label_types[] = {VOLT_U8,  VOLT_U16, VOLT_I16,
                                         VOLT_I32, VOLT_U32, VOLT_I64};

#define MAX_PROLOGUE (VOLT_NIFTI2_HEADER + VOLT_NIFTI_EXTENDER)

static bool same_geometry(const volt_grid *a, const volt_grid *b)
{
    return memcmp(a->n, b->n, sizeof a->n) == 0 &&
           memcmp(a->to_world, b->to_world, sizeof a->to_world) == 0;
}

/* The axes beyond z, with their distances (the repetition time), as in the source if it has as
 * many channels; else as few axes as the volume needs. */
static void set_dims(nifti_2_header *h, const volt_volume *v, const volt_image_header *source)
{
    const volt_grid *grid = &v->grid;
    const bool same = source && grid->channels == source->grid.channels;

    for (int i = 0; i < 3; i++)
        h->dim[i + 1] = grid->n[2 - i];
    if (same && source->dim[0] > 3) {
        h->dim[0] = source->dim[0];
        memcpy(h->dim + 4, source->dim + 4, 4 * sizeof *h->dim);
        return;
    }
    h->dim[0] = grid->channels > 1 ? 4 : 3;
    if (source && source->dim[0] < 3 && grid->n[0] == 1 && grid->channels == 1)
        h->dim[0] = source->dim[0] == 1 && grid->n[1] == 1 ? 1 : 2;
    h->dim[4] = grid->channels;
    for (int i = 5; i < 8; i++)
        h->dim[i] = 1;
    if (same)
        return;
    for (int i = 4; i < 8; i++)
        h->pixdim[i] = 0;
    if (grid->channels > 1)
        h->pixdim[4] = 1;
}

/* All fields but those that depend on the version. */
static nifti_2_header make_header(const volt_volume *v, const volt_image_header *source,
                                  bool other_values)
{
    nifti_2_header h = {.descrip = "VOLT"};

    if (source)
        h = source->raw->h;
    h.datatype = (int16_t)volt_nifti_datatype(v->dtype);
    h.bitpix = (int16_t)(8 * volt_dtype_bytes(v->dtype));
    h.scl_slope = 1;
    h.scl_inter = 0;
    if (other_values)
        h.cal_min = h.cal_max = 0; /* a display window of other values */
    if (!source || !same_geometry(&v->grid, &source->grid)) {
        if (source)
            volt_nifti_move_slices(&h, &v->grid, source);
        volt_nifti_write_geometry(&h, &v->grid, source);
    }
    set_dims(&h, v, source);
    return h;
}

static volt_nifti_unused unused_fields(const volt_image_header *source, bool other_values)
{
    volt_nifti_unused u = {0};

    if (source && source->version == 1)
        u = source->raw->unused;
    if (other_values)
        u.glmax = u.glmin = 0; /* once the range of the voxels */
    return u;
}

static nifti_1_header narrow(const nifti_2_header *h, const volt_nifti_unused *u)
{
    nifti_1_header out = {.sizeof_hdr = VOLT_NIFTI1_HEADER,
                          .regular = 'r',
                          .extents = u->extents,
                          .session_error = u->session_error,
                          .glmax = u->glmax,
                          .glmin = u->glmin,
                          .dim_info = h->dim_info,
                          .intent_p1 = (float)h->intent_p1,
                          .intent_p2 = (float)h->intent_p2,
                          .intent_p3 = (float)h->intent_p3,
                          .intent_code = (short)h->intent_code,
                          .datatype = h->datatype,
                          .bitpix = h->bitpix,
                          .slice_start = (short)h->slice_start,
                          .vox_offset = (float)h->vox_offset,
                          .scl_slope = (float)h->scl_slope,
                          .scl_inter = (float)h->scl_inter,
                          .slice_end = (short)h->slice_end,
                          .slice_code = (char)h->slice_code,
                          .xyzt_units = (char)h->xyzt_units,
                          .cal_max = (float)h->cal_max,
                          .cal_min = (float)h->cal_min,
                          .slice_duration = (float)h->slice_duration,
                          .toffset = (float)h->toffset,
                          .qform_code = (short)h->qform_code,
                          .sform_code = (short)h->sform_code,
                          .quatern_b = (float)h->quatern_b,
                          .quatern_c = (float)h->quatern_c,
                          .quatern_d = (float)h->quatern_d,
                          .qoffset_x = (float)h->qoffset_x,
                          .qoffset_y = (float)h->qoffset_y,
                          .qoffset_z = (float)h->qoffset_z,
                          .magic = "n+1"};

    for (int i = 0; i < 8; i++) {
        out.dim[i] = (short)h->dim[i];
        out.pixdim[i] = (float)h->pixdim[i];
    }
    for (int i = 0; i < 4; i++) {
        out.srow_x[i] = (float)h->srow_x[i];
        out.srow_y[i] = (float)h->srow_y[i];
        out.srow_z[i] = (float)h->srow_z[i];
    }
    memcpy(out.data_type, u->data_type, sizeof out.data_type);
    memcpy(out.db_name, u->db_name, sizeof out.db_name);
    memcpy(out.descrip, h->descrip, sizeof out.descrip);
    memcpy(out.aux_file, h->aux_file, sizeof out.aux_file);
    memcpy(out.intent_name, h->intent_name, sizeof out.intent_name);
    return out;
}

static bool needs_version_2(const nifti_2_header *h)
{
    for (int i = 1; i < 8; i++)
        if (h->dim[i] > INT16_MAX)
            return true;
    return false;
}

/* Header and extender, with room for extensions. Returns their length. */
static size_t make_prologue(unsigned char out[MAX_PROLOGUE], nifti_2_header *h,
                            const volt_nifti_unused *unused, int version,
                            size_t extension_bytes)
{
    const size_t length = version == 1 ? VOLT_NIFTI1_HEADER : VOLT_NIFTI2_HEADER;

    memset(out, 0, MAX_PROLOGUE);
    h->vox_offset = (int64_t)(length + VOLT_NIFTI_EXTENDER + extension_bytes);
    if (version == 1) {
        const nifti_1_header narrowed = narrow(h, unused);
        memcpy(out, &narrowed, length);
    } else {
        h->sizeof_hdr = VOLT_NIFTI2_HEADER;
        memcpy(h->magic, "n+2\0\r\n\032\n", sizeof h->magic);
        memset(h->unused_str, 0, sizeof h->unused_str);
        memcpy(out, h, length);
    }
    out[length] = extension_bytes > 0;
    return length + VOLT_NIFTI_EXTENDER;
}

static volt_status write_spans(volt_out *file, const volt_span *spans, int count, bool gzip,
                               const volt_image_write_options *opt)
{
    volt_status st = VOLT_OK;

    if (gzip)
        return volt_gzip_write(file, spans, count, opt->level, opt->threads);
    for (int i = 0; i < count && st == VOLT_OK; i++)
        st = volt_out_write(file, spans[i].data, spans[i].bytes);
    return st;
}

enum { INTENT_LABEL = 1002, COMMENT = 6 };

static bool is_label_table(const unsigned char *extension, uint32_t size)
{
    uint32_t code;

    memcpy(&code, extension + 4, sizeof code);
    return code == COMMENT && size > 8 + strlen(VOLT_LABEL_COMMENT) &&
           memcmp(extension + 8, VOLT_LABEL_COMMENT, strlen(VOLT_LABEL_COMMENT)) == 0;
}

/* The source's extensions without an earlier table of labels, then `names`. The caller owns
 * *out. */
static volt_status join_extensions(unsigned char **out, size_t *bytes,
                                   const volt_image_header *source,
                                   const volt_label_table *names)
{
    const unsigned char *from = source ? source->raw->extensions : NULL;
    const size_t room = source ? source->raw->extension_bytes : 0;
    unsigned char *made = NULL;
    size_t length, at = 0;
    char *text = NULL;
    uint32_t head[2] = {0, COMMENT};
    volt_status st;

    VOLT_TRY(st, done, volt_label_text_make(&text, names, VOLT_LABELS_SNAP));
    length = strlen(VOLT_LABEL_COMMENT) + strlen(text);
    head[0] = (uint32_t)((8 + length + 1 + 15) / 16 * 16);
    VOLT_TRY(st, done, volt_alloc_zero(&made, room + head[0], 1, "header extensions"));
    for (size_t i = 0; i < room;) {
        uint32_t size;
        memcpy(&size, from + i, sizeof size);
        if (!is_label_table(from + i, size)) {
            memcpy(made + at, from + i, size);
            at += size;
        }
        i += size;
    }
    memcpy(made + at, head, sizeof head);
    memcpy(made + at + 8, VOLT_LABEL_COMMENT, strlen(VOLT_LABEL_COMMENT));
    memcpy(made + at + 8 + strlen(VOLT_LABEL_COMMENT), text, strlen(text));
    *out = made;
    *bytes = at + head[0];
    made = NULL;
done:
    volt_free(text);
    volt_free(made);
    return st;
}

static volt_status write_file(const char *path, const volt_volume *v,
                              const volt_image_header *source, bool other_values, bool gzip,
                              const volt_image_write_options *opt)
{
    nifti_2_header h = make_header(v, source, other_values);
    const int version = needs_version_2(&h) ? 2 : (source ? source->version : 1);
    volt_span extensions = {source ? source->raw->extensions : NULL,
                            source ? source->raw->extension_bytes : 0};
    const volt_nifti_unused unused = unused_fields(source, other_values);
    unsigned char prologue[MAX_PROLOGUE], *own = NULL;
    volt_span spans[3] = {{prologue, 0}};
    volt_out *file = NULL;
    volt_status st = VOLT_OK;

    if (opt->names && opt->names->count) {
        VOLT_TRY(st, done, join_extensions(&own, &extensions.bytes, source, opt->names));
        extensions.data = own;
        h.intent_code = INTENT_LABEL;
        h.intent_p1 = h.intent_p2 = h.intent_p3 = 0;
    }
    spans[0].bytes = make_prologue(prologue, &h, &unused, version, extensions.bytes);
    spans[1] = extensions;
    spans[2] = (volt_span){v->data, volt_volume_bytes(v)};
    VOLT_TRY(st, done, volt_out_open(&file, path));
    VOLT_TRY(st, done, write_spans(file, spans, 3, gzip, opt));
    st = volt_out_commit(&file);
done:
    volt_out_abort(&file);
    volt_free(own);
    return st;
}

volt_status volt_nifti_write(const char *path, const volt_volume *volume,
                             const volt_image_header *source,
                             const volt_image_write_options *options)
{
    volt_image_write_options opt;
    const char *name = volt_path_name(path);
    const bool gzip = volt_nifti_ends_with(name, ".nii.gz");
    const volt_volume *voxels = NULL;
    volt_volume *converted = NULL;
    bool other_values;
    volt_status st;

    if ((st = volt_image_write_take(&opt, options)) != VOLT_OK)
        return st;
    if (source && !source->raw)
        source = NULL; /* another format: it has nothing but the grid, which the volume has */
    if (!gzip && !volt_nifti_ends_with(name, ".nii"))
        return volt_fail(VOLT_EINVAL,
                         "%s: the name of a NIfTI file to write must end in .nii "
                         "or .nii.gz",
                         path);
    VOLT_TRY(st, done,
             volt_image_voxels(&voxels, &converted, path, volume, label_types,
                               sizeof label_types / sizeof *label_types, &opt));
    if (volt_nifti_datatype(voxels->dtype) == 0) {
        st = volt_fail(VOLT_ENOTSUP, "%s: NIfTI has no %s voxels", path,
                       volt_dtype_name(voxels->dtype));
        goto done;
    }
    other_values = opt.labels || !source;
    st = write_file(path, voxels, source, other_values, gzip, &opt);
done:
    volt_volume_free(converted);
    return st;
}
