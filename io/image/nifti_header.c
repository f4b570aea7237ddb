/* nifti_header.c - parses and checks the bytes of a header. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/plural.h"
#include "base/core/alloc.h"
#include "io/image/nifti_raw.h"

/* -- Which kind of file ------------------------------------------------------------------- */

/* Formats mistaken for NIfTI, by their first bytes. */
static const char *other_format(const unsigned char *bytes, size_t got)
{
    static const struct {
        size_t at;
        const char *magic, *name;
    } known[] = {{128, "DICM", "DICOM"},
                 {0, "NRRD000", "NRRD"},
                 {0, "ObjectType", "MetaImage"},
                 {0, "<nifti_image", "the ASCII form of NIfTI"},
                 {0, "\x89PNG", "PNG"},
                 {0, "\xff\xd8\xff", "JPEG"},
                 {0, "II*", "TIFF"},
                 {0, "MM", "TIFF"},
                 {0, "\x89HDF", "HDF5"},
                 {0, "CDF\x01", "NetCDF (MINC)"},
                 {0, "BZh", "bzip2"},
                 {0, "PK\x03\x04", "a zip archive"},
                 {0, "\xfd\x37zXZ", "xz"},
                 {0, "(\xb5/\xfd", "Zstandard"}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const size_t length = strlen(known[i].magic);
        if (got >= known[i].at + length &&
            memcmp(bytes + known[i].at, known[i].magic, length) == 0)
            return known[i].name;
    }
    return NULL;
}

static volt_status fail_kind(const unsigned char *bytes, size_t got, const char *path)
{
    const char *other = other_format(bytes, got);

    if (other)
        return volt_fail(VOLT_ENOTSUP, "%s is %s, not NIfTI", path, other);
    if (got < VOLT_NIFTI1_HEADER)
        return volt_fail(VOLT_EFORMAT, "%s has %zu byte%s; a NIfTI header has %d", path, got,
                         volt_s((int64_t)got), VOLT_NIFTI1_HEADER);
    return volt_fail(VOLT_EFORMAT,
                     "%s is not NIfTI: it starts with %02x %02x %02x %02x, where the header's "
                     "length (348 or 540) is expected",
                     path, bytes[0], bytes[1], bytes[2], bytes[3]);
}

/* sizeof_hdr, in either byte order. 0: neither length. */
static int header_length(const unsigned char *bytes, bool *swapped)
{
    int32_t length;

    memcpy(&length, bytes, sizeof length);
    *swapped = length != VOLT_NIFTI1_HEADER && length != VOLT_NIFTI2_HEADER;
    if (*swapped)
        length = (int32_t)__builtin_bswap32((uint32_t)length);
    return length == VOLT_NIFTI1_HEADER || length == VOLT_NIFTI2_HEADER ? length : 0;
}

static void widen(nifti_2_header *to, const nifti_1_header *h)
{
    *to = (nifti_2_header){.sizeof_hdr = VOLT_NIFTI2_HEADER,
                           .datatype = h->datatype,
                           .bitpix = h->bitpix,
                           .intent_p1 = h->intent_p1,
                           .intent_p2 = h->intent_p2,
                           .intent_p3 = h->intent_p3,
                           .scl_slope = h->scl_slope,
                           .scl_inter = h->scl_inter,
                           .cal_max = h->cal_max,
                           .cal_min = h->cal_min,
                           .slice_duration = h->slice_duration,
                           .toffset = h->toffset,
                           .slice_start = h->slice_start,
                           .slice_end = h->slice_end,
                           .qform_code = h->qform_code,
                           .sform_code = h->sform_code,
                           .quatern_b = h->quatern_b,
                           .quatern_c = h->quatern_c,
                           .quatern_d = h->quatern_d,
                           .qoffset_x = h->qoffset_x,
                           .qoffset_y = h->qoffset_y,
                           .qoffset_z = h->qoffset_z,
                           .slice_code = h->slice_code,
                           .xyzt_units = (unsigned char)h->xyzt_units,
                           .intent_code = h->intent_code,
                           .dim_info = h->dim_info};
    for (int i = 0; i < 8; i++) {
        to->dim[i] = h->dim[i];
        to->pixdim[i] = h->pixdim[i];
    }
    for (int i = 0; i < 4; i++) {
        to->srow_x[i] = h->srow_x[i];
        to->srow_y[i] = h->srow_y[i];
        to->srow_z[i] = h->srow_z[i];
    }
    memcpy(to->descrip, h->descrip, sizeof to->descrip);
    memcpy(to->aux_file, h->aux_file, sizeof to->aux_file);
    memcpy(to->intent_name, h->intent_name, sizeof to->intent_name);
}

static volt_nifti_unused unused_of(const nifti_1_header *h)
{
    volt_nifti_unused u = {.extents = h->extents,
                           .glmax = h->glmax,
                           .glmin = h->glmin,
                           .session_error = h->session_error};

    memcpy(u.data_type, h->data_type, sizeof u.data_type);
    memcpy(u.db_name, h->db_name, sizeof u.db_name);
    return u;
}

/* "ni1" means that the voxels are in another file, unless the name cannot be a pair's. */
static volt_status judge_magic(volt_image_header *header, const char *magic, const char *path)
{
    static const char tail[4] = {'\r', '\n', '\032', '\n'};
    const char digit = (char)('0' + header->version);
    const bool half =
        volt_nifti_ends_with(path, ".hdr") || volt_nifti_ends_with(path, ".hdr.gz");

    if (magic[0] != 'n' || (magic[1] != '+' && magic[1] != 'i') || magic[2] != digit ||
        magic[3] != '\0') {
        if (header->version == 1)
            return volt_fail(VOLT_ENOTSUP,
                             "%s is ANALYZE 7.5 (it has no NIfTI magic), which does not define "
                             "which side is left; convert it with a program that knows",
                             path);
        return volt_fail(VOLT_EFORMAT, "%s: the magic is not n+2 or ni2", path);
    }
    header->pair = magic[1] == 'i';
    if (header->pair && !half) {
        header->pair = false;
        const volt_status st = volt_image_warn(
            header,
            "the magic says that the voxels are in another file; they are read from this one");
        if (st != VOLT_OK)
            return st;
    }
    if (header->version == 2 && memcmp(magic + 4, tail, 4) != 0)
        return volt_image_warn(header, "the magic lacks its line-end mark (damaged by a text "
                                       "transfer, or written by an old library)");
    return VOLT_OK;
}

/* The header in this machine's order, widened to version 2. */
static volt_status take_header(volt_image_header *header, const unsigned char *bytes,
                               size_t got, int length, const char *path)
{
    if (length > (int)got)
        return volt_fail(VOLT_EFORMAT, "%s has %zu byte%s; its header alone has %d", path, got,
                         volt_s((int64_t)got), length);
    if (length == VOLT_NIFTI1_HEADER) {
        nifti_1_header h;
        memcpy(&h, bytes, sizeof h);
        header->version = 1;
        if (header->swapped)
            swap_nifti_header(&h, 1);
        widen(&header->raw->h, &h);
        header->raw->unused = unused_of(&h);
        /* vox_offset is a float and could be anything. */
        if (!isfinite(h.vox_offset) || h.vox_offset != floorf(h.vox_offset) ||
            fabsf(h.vox_offset) > 1e9f)
            return volt_fail(VOLT_EFORMAT, "%s: vox_offset is %g; an integer is expected", path,
                             (double)h.vox_offset);
        header->raw->h.vox_offset = (int64_t)h.vox_offset;
        return judge_magic(header, h.magic, path);
    }
    header->version = 2;
    memcpy(&header->raw->h, bytes, VOLT_NIFTI2_HEADER);
    if (header->swapped)
        swap_nifti_header(&header->raw->h, 2);
    return judge_magic(header, header->raw->h.magic, path);
}

/* -- Judging the fields ------------------------------------------------------------------- */

static volt_status judge_dims(volt_image_header *header, const char *path)
{
    const int64_t *dim = header->raw->h.dim;
    int64_t channels = 1;
    size_t bytes;
    int wide = 0;

    if (dim[0] < 1 || dim[0] > 7)
        return volt_fail(VOLT_EFORMAT,
                         "%s: dim[0] (the number of axes) is %lld; 1 to 7 is expected", path,
                         (long long)dim[0]);
    header->dim[0] = dim[0];
    for (int i = 1; i < 8; i++) {
        header->dim[i] = i <= dim[0] ? dim[i] : 1;
        if (header->dim[i] < 1)
            return volt_fail(VOLT_EFORMAT,
                             "%s: dim[%d] is %lld; an extent of at least 1 is expected", path,
                             i, (long long)dim[i]);
    }
    for (int i = 4; i < 8; i++) {
        wide += header->dim[i] > 1;
        channels = header->dim[i] > 1 ? header->dim[i] : channels;
    }
    if (wide > 1)
        return volt_fail(VOLT_ENOTSUP,
                         "%s has more than one axis beyond z (extents %lld, %lld, %lld, %lld); "
                         "one channel axis is supported",
                         path, (long long)header->dim[4], (long long)header->dim[5],
                         (long long)header->dim[6], (long long)header->dim[7]);
    if (channels > INT32_MAX || volt_extent_bytes(&bytes, header->dim + 1, 7, sizeof(double)) ||
        bytes > INT64_MAX)
        return volt_fail(VOLT_EFORMAT, "%s: extents %lld x %lld x %lld x %lld are too large",
                         path, (long long)dim[1], (long long)header->dim[2],
                         (long long)header->dim[3], (long long)channels);
    for (int i = 0; i < 3; i++)
        header->grid.n[i] = header->dim[3 - i];
    header->grid.channels = (int32_t)channels;
    return VOLT_OK;
}

static const struct {
    int code;
    volt_dtype dtype; /* 0: known but not supported */
    const char *name;
} datatypes[] = {{DT_UINT8, VOLT_U8, "uint8"},      {DT_INT8, VOLT_I8, "int8"},
                 {DT_UINT16, VOLT_U16, "uint16"},   {DT_INT16, VOLT_I16, "int16"},
                 {DT_UINT32, VOLT_U32, "uint32"},   {DT_INT32, VOLT_I32, "int32"},
                 {DT_UINT64, VOLT_U64, "uint64"},   {DT_INT64, VOLT_I64, "int64"},
                 {DT_FLOAT32, VOLT_F32, "float32"}, {DT_FLOAT64, VOLT_F64, "float64"},
                 {DT_BINARY, 0, "1-bit"},           {DT_COMPLEX64, 0, "complex64"},
                 {DT_RGB24, 0, "RGB24 colour"},     {DT_FLOAT128, 0, "float128"},
                 {DT_COMPLEX128, 0, "complex128"},  {DT_COMPLEX256, 0, "complex256"},
                 {DT_RGBA32, 0, "RGBA32 colour"}};

int volt_nifti_datatype(volt_dtype dtype)
{
    for (size_t i = 0; i < sizeof datatypes / sizeof *datatypes; i++)
        if (datatypes[i].dtype == dtype)
            return datatypes[i].code;
    return 0;
}

static volt_status judge_datatype(volt_image_header *header, const char *path)
{
    const nifti_2_header *h = &header->raw->h;
    size_t at = 0;

    while (at < sizeof datatypes / sizeof *datatypes && datatypes[at].code != h->datatype)
        at++;
    if (at == sizeof datatypes / sizeof *datatypes)
        return volt_fail(VOLT_EFORMAT, "%s: datatype %d is not one that NIfTI defines", path,
                         h->datatype);
    if (!datatypes[at].dtype)
        return volt_fail(
            VOLT_ENOTSUP,
            "%s has %s voxels; integers of 8 to 64 bits, float32 and float64 are supported",
            path, datatypes[at].name);
    header->dtype = datatypes[at].dtype;
    /* Cannot overflow: judge_dims tried it with 8 bytes. */
    if (volt_extent_bytes(&header->raw->stored_bytes, header->dim + 1, 7,
                          volt_dtype_bytes(header->dtype)))
        return volt_fail(VOLT_EINTERNAL, "%s: the size of its voxels overflows", path);
    if (h->bitpix != 8 * (int)volt_dtype_bytes(header->dtype))
        return volt_image_warn(header, "bitpix is %d, but %s has %d bits; the datatype is used",
                               h->bitpix, datatypes[at].name,
                               8 * (int)volt_dtype_bytes(header->dtype));
    return VOLT_OK;
}

static volt_status judge_offset(volt_image_header *header, const char *path)
{
    nifti_2_header *h = &header->raw->h;
    const int64_t least = header->pair ? 0 : (header->version == 1 ? 352 : 544);

    if (h->vox_offset == 0 && least > 0) {
        h->vox_offset = least;
        return volt_image_warn(header, "vox_offset is 0; the voxels are read from byte %lld",
                               (long long)least);
    }
    if (h->vox_offset < least || h->vox_offset > 1000000000)
        return volt_fail(VOLT_EFORMAT, "%s: vox_offset is %lld; %lld to 1000000000 is expected",
                         path, (long long)h->vox_offset, (long long)least);
    return VOLT_OK;
}

static volt_status judge_scaling(volt_image_header *header, const char *path)
{
    const double slope = header->raw->h.scl_slope, inter = header->raw->h.scl_inter;

    header->slope = 1;
    header->inter = 0;
    if (slope == 0 || !isfinite(slope)) {
        if (isfinite(inter) && inter != 0)
            return volt_image_warn(header,
                                   "scl_inter is %g, but scl_slope is %g, which means no "
                                   "scaling; both are ignored",
                                   inter, slope);
        if (isinf(slope))
            return volt_image_warn(header, "scl_slope is infinite; it is ignored");
        return VOLT_OK;
    }
    if (!isfinite(inter))
        return volt_fail(VOLT_EFORMAT,
                         "%s: scl_slope is %g, but scl_inter is %g; a finite number is "
                         "expected",
                         path, slope, inter);
    header->scaled = slope != 1 || inter != 0;
    header->slope = slope;
    header->inter = inter;
    return VOLT_OK;
}

/* Printable ASCII and UTF-8 stay; control characters become blanks. */
static void copy_text(char *to, const char *from, size_t room)
{
    size_t n = 0;

    while (n < room && from[n]) {
        const unsigned char c = (unsigned char)from[n];
        to[n++] = c < 32 || c == 127 ? ' ' : (char)c;
    }
    while (n > 0 && to[n - 1] == ' ')
        n--;
    to[n] = '\0';
}

volt_status volt_nifti_parse(volt_image_header **out, const unsigned char *bytes, size_t got,
                             const char *path)
{
    volt_image_header *header = NULL;
    bool swapped = false;
    const int length = got >= 4 ? header_length(bytes, &swapped) : 0;
    volt_status st;

    if (length == 0)
        return fail_kind(bytes, got, path);
    VOLT_TRY(st, done, volt_alloc_zero(&header, 1, sizeof *header, "a NIfTI header"));
    VOLT_TRY(st, done, volt_alloc_zero(&header->raw, 1, sizeof *header->raw, "a NIfTI header"));
    header->swapped = swapped;
    VOLT_TRY(st, done, take_header(header, bytes, got, length, path));
    VOLT_TRY(st, done, judge_dims(header, path));
    VOLT_TRY(st, done, judge_datatype(header, path));
    VOLT_TRY(st, done, judge_offset(header, path));
    VOLT_TRY(st, done, judge_scaling(header, path));
    VOLT_TRY(st, done, volt_nifti_read_geometry(header, path));
    copy_text(header->description, header->raw->h.descrip, sizeof header->raw->h.descrip);
    copy_text(header->intent_name, header->raw->h.intent_name,
              sizeof header->raw->h.intent_name);
    header->intent_code = header->raw->h.intent_code;
    header->is_2d = header->dim[0] == 2;
    snprintf(header->format, sizeof header->format, "NIfTI-%d", header->version);
    *out = header;
    header = NULL;
done:
    volt_image_header_free(header);
    return st;
}
