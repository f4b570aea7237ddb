/* nifti_read.c - from files to volumes. */
#include <string.h>

#include "base/core/checked.h"
#include "base/core/plural.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/archive/gzip.h"
#include "io/image/nifti_raw.h"
#include "io/image/options.h"

/* The other file of a pair: the same name with `ending` (".hdr" or ".img"), compressed as
 * `path` if that exists, else the other way. *out is NULL if there is neither. */
static volt_status find_half(char **out, const char *path, const char *ending)
{
    const bool gzip = volt_nifti_ends_with(path, ".gz");
    const size_t stem = strlen(path) - (gzip ? 7 : 4);

    *out = NULL;
    for (int other = 0; other < 2; other++) {
        char *half = NULL;
        volt_status st = volt_format(&half, "%.*s%s%s", (int)stem, path, ending,
                                     gzip != (other == 1) ? ".gz" : "");
        if (st != VOLT_OK)
            return st;
        if (volt_path_exists(half)) {
            *out = half;
            return VOLT_OK;
        }
        volt_free(half);
    }
    return VOLT_OK;
}

/* -- Opening ------------------------------------------------------------------------------ */

typedef struct opened {
    char *path, *voxel_path;     /* equal unless it is a pair; voxel_path may be NULL */
    volt_map map, voxel_map;     /* voxel_map only for a pair */
    const unsigned char *voxels; /* of the file that holds the voxels: all its bytes */
    size_t voxel_bytes;
    volt_image_header *header;
} opened;

static void close_opened(opened *o)
{
    volt_image_header_free(o->header);
    volt_map_close(&o->voxel_map);
    volt_map_close(&o->map);
    volt_free(o->voxel_path);
    volt_free(o->path);
    *o = (opened){0};
}

/* Bytes of the header's file from `at` on, decompressed; *got may be less than `bytes`. */
static volt_status peek_at_header(void *out, size_t bytes, size_t *got, const opened *o)
{
    if (volt_gzip_is(o->map.data, o->map.bytes))
        return volt_gzip_peek(out, bytes, got, o->map.data, o->map.bytes, o->path);
    *got = o->map.bytes < bytes ? o->map.bytes : bytes;
    if (*got)
        memcpy(out, o->map.data, *got);
    return VOLT_OK;
}

static uint32_t read_u32(const unsigned char *p, bool swapped)
{
    uint32_t value;

    memcpy(&value, p, sizeof value);
    return swapped ? __builtin_bswap32(value) : value;
}

/* Keeps the leading extensions of `bytes` that form a valid chain, in native byte order. */
static volt_status keep_extensions(volt_image_header *header, const unsigned char *bytes,
                                   size_t room)
{
    unsigned char *kept = NULL;
    size_t at = 0;
    volt_status st;

    while (room - at >= 16) {
        const uint32_t size = read_u32(bytes + at, header->swapped);
        if (size < 16 || size % 16 != 0 || size > room - at)
            break;
        at += size;
    }
    if (at < room && at + 16 <= room && read_u32(bytes + at, header->swapped) != 0) {
        st = volt_image_warn(header,
                             "an extension of %u byte%s does not fit the %zu byte%s before the "
                             "voxels; it and what follows are dropped",
                             read_u32(bytes + at, header->swapped),
                             volt_s((int64_t)(read_u32(bytes + at, header->swapped))),
                             room - at, volt_s((int64_t)(room - at)));
        if (st != VOLT_OK)
            return st;
    }
    if (at == 0)
        return VOLT_OK;
    st = volt_alloc(&kept, at, "header extensions");
    if (st != VOLT_OK)
        return st;
    memcpy(kept, bytes, at);
    for (size_t i = 0; header->swapped && i < at;) {
        const uint32_t words[2] = {read_u32(kept + i, true), read_u32(kept + i + 4, true)};
        memcpy(kept + i, words, sizeof words);
        i += words[0];
    }
    header->raw->extensions = kept;
    header->raw->extension_bytes = at;
    return VOLT_OK;
}

static volt_status read_extensions(opened *o)
{
    volt_image_header *header = o->header;
    const size_t start = (header->version == 1 ? VOLT_NIFTI1_HEADER : VOLT_NIFTI2_HEADER);
    size_t end = start + VOLT_NIFTI_EXTENDER + VOLT_NIFTI_MAX_EXTRAS, got = 0;
    unsigned char *bytes = NULL;
    volt_status st;

    if (!header->pair && (size_t)header->raw->h.vox_offset < end)
        end = (size_t)header->raw->h.vox_offset;
    VOLT_TRY(st, done, volt_alloc(&bytes, end, "header extensions"));
    VOLT_TRY(st, done, peek_at_header(bytes, end, &got, o));
    if (got < start + VOLT_NIFTI_EXTENDER || bytes[start] == 0)
        goto done;
    st = keep_extensions(header, bytes + start + VOLT_NIFTI_EXTENDER,
                         got - start - VOLT_NIFTI_EXTENDER);
done:
    volt_free(bytes);
    return st;
}

/* The file with the voxels must be long enough for the header. */
static volt_status check_length(opened *o)
{
    const struct volt_nifti_raw *raw = o->header->raw;
    const size_t limit = o->header->gzip ? volt_gzip_limit(o->voxel_bytes) : o->voxel_bytes;
    size_t wanted;

    if (volt_add_size(&wanted, raw->stored_bytes, (size_t)raw->h.vox_offset) || wanted > limit)
        return volt_fail(
            VOLT_EFORMAT,
            "%s has %zu byte%s%s; its header describes %zu byte%s of voxels from byte %lld on",
            o->voxel_path, o->voxel_bytes, volt_s((int64_t)o->voxel_bytes),
            o->header->gzip ? " compressed" : "", raw->stored_bytes,
            volt_s((int64_t)raw->stored_bytes), (long long)raw->h.vox_offset);
    if (!o->header->gzip && wanted < o->voxel_bytes)
        return volt_image_warn(o->header, "%zu surplus byte%s after the voxels",
                               o->voxel_bytes - wanted,
                               volt_s((int64_t)(o->voxel_bytes - wanted)));
    return VOLT_OK;
}

static volt_status open_voxels(opened *o, bool required)
{
    volt_status st = VOLT_OK;

    o->voxels = o->map.data;
    o->voxel_bytes = o->map.bytes;
    if (!o->header->pair) {
        VOLT_TRY(st, done, volt_strdup(&o->voxel_path, o->path));
    } else {
        VOLT_TRY(st, done, find_half(&o->voxel_path, o->path, ".img"));
        if (!o->voxel_path && required)
            return volt_fail(
                VOLT_EIO, "%s: the file with its voxels (.img or .img.gz) is missing", o->path);
        if (!o->voxel_path)
            return volt_image_warn(o->header, "the file with the voxels (.img) is missing");
        VOLT_TRY(st, done, volt_map_open(&o->voxel_map, o->voxel_path));
        o->voxels = o->voxel_map.data;
        o->voxel_bytes = o->voxel_map.bytes;
    }
    o->header->gzip = volt_gzip_is(o->voxels, o->voxel_bytes);
    st = check_length(o);
done:
    return st;
}

/* Another program may have truncated a file in the meantime. */
static volt_status check_maps(const opened *o)
{
    const volt_status st = volt_map_check(o->map.data, o->path);

    return st == VOLT_OK && o->voxel_path ? volt_map_check(o->voxel_map.data, o->voxel_path)
                                          : st;
}

/* `required`: a pair without its voxels is an error. */
static volt_status open_nifti(opened *out, const char *path, bool required)
{
    opened o = {0};
    unsigned char bytes[VOLT_NIFTI2_HEADER];
    size_t got = 0;
    volt_status st;

    if (volt_nifti_ends_with(path, ".img") || volt_nifti_ends_with(path, ".img.gz"))
        st = find_half(&o.path, path, ".hdr");
    else
        st = volt_strdup(&o.path, path);
    if (st == VOLT_OK && !o.path)
        st = volt_fail(VOLT_EIO, "%s: its header file (.hdr or .hdr.gz) is missing", path);
    if (st != VOLT_OK)
        goto done;
    VOLT_TRY(st, done, volt_map_open(&o.map, o.path));
    VOLT_TRY(st, done, peek_at_header(bytes, sizeof bytes, &got, &o));
    VOLT_TRY(st, done, volt_nifti_parse(&o.header, bytes, got, o.path));
    VOLT_TRY(st, done, open_voxels(&o, required));
    VOLT_TRY(st, done, read_extensions(&o));
    VOLT_TRY(st, done, check_maps(&o));
    *out = o;
    o = (opened){0};
done:
    close_opened(&o);
    return st;
}

volt_status volt_nifti_info(volt_image_header **out, const char *path)
{
    opened o = {0};
    volt_status st = open_nifti(&o, path, false);

    if (st != VOLT_OK)
        return st;
    *out = o.header;
    o.header = NULL;
    close_opened(&o);
    return VOLT_OK;
}

/* -- Voxels ------------------------------------------------------------------------------- */

static volt_dtype natural_dtype(const volt_image_header *header)
{
    if (!header->scaled)
        return header->dtype;
    return volt_dtype_bytes(header->dtype) >= 4 && header->dtype != VOLT_F32 ? VOLT_F64
                                                                             : VOLT_F32;
}

enum { PIECE = 1 << 17, LARGE_PIECE = 1 << 22 }; /* voxels converted at a time */

/* Voxels at <= i < at + n of `result` from a piece of the file. */
static void convert_piece(unsigned char *result, const unsigned char *piece, int64_t at,
                          int64_t n, const volt_image_conversion *how, int threads,
                          int64_t *bad, double *value)
{
    int64_t here = n;
    double first = 0;

    volt_image_convert(result + (size_t)at * volt_dtype_bytes(how->to), piece, n, how, threads,
                       &here, &first);
    if (here < n && at + here < *bad) {
        *bad = at + here;
        *value = first;
    }
}

/* Converts to a narrower type while decompressing, so that the stored voxels are never in
 * memory. The caller owns *buffer. */
static volt_status inflate_and_narrow(void **buffer, const opened *o, int64_t count,
                                      const volt_image_conversion *how, int threads,
                                      int64_t *bad, double *value)
{
    const size_t wide = volt_dtype_bytes(how->to), stored = volt_dtype_bytes(how->from);
    size_t skip = (size_t)o->header->raw->h.vox_offset;
    unsigned char *piece = NULL, *result = NULL;
    volt_gzip_reader *r = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&result, wide * (size_t)count, "the voxels of a file"));
    VOLT_TRY(st, done, volt_alloc(&piece, PIECE * stored, "a piece of a file"));
    VOLT_TRY(st, done,
             volt_gzip_open(&r, skip + o->header->raw->stored_bytes, o->voxels, o->voxel_bytes,
                            o->voxel_path));
    for (size_t n; skip > 0; skip -= n) {
        n = skip < PIECE ? skip : PIECE;
        VOLT_TRY(st, done, volt_gzip_next(r, piece, n));
    }
    for (int64_t at = 0, n; at < count; at += n) {
        n = count - at < PIECE ? count - at : PIECE;
        VOLT_TRY(st, done, volt_gzip_next(r, piece, (size_t)n * stored));
        convert_piece(result, piece, at, n, how, threads, bad, value);
    }
    *buffer = result;
    result = NULL;
done:
    volt_gzip_close(r);
    volt_free(piece);
    volt_free(result);
    return st;
}

/* Decompresses into the tail of new memory, so that converting to a type that is not narrower
 * can run forward in place. The caller owns *buffer. */
static volt_status inflate_and_convert(void **buffer, const opened *o, int64_t count,
                                       const volt_image_conversion *how, int threads,
                                       int64_t *bad, double *value)
{
    const size_t wide = volt_dtype_bytes(how->to), stored = o->header->raw->stored_bytes;
    const size_t offset = (size_t)o->header->raw->h.vox_offset;
    const size_t wanted = wide * (size_t)count; /* checked by judge_dims for 8 bytes each */
    const size_t room = wanted + offset;
    unsigned char *space = NULL, *voxels;
    volt_status st;

    if (wanted < stored)
        return inflate_and_narrow(buffer, o, count, how, threads, bad, value);
    VOLT_TRY(st, done, volt_alloc(&space, room, "the voxels of a file"));
    voxels = space + room - stored;
    VOLT_TRY(st, done,
             volt_gzip_inflate(voxels - offset, offset + stored, o->voxels, o->voxel_bytes,
                               o->voxel_path));
    if (wide == volt_dtype_bytes(how->from)) {
        if (how->swap || how->from != how->to || o->header->scaled)
            volt_image_convert(voxels, voxels, count, how, threads, bad, value);
        memmove(space, voxels, wanted);
    } else {
        volt_image_convert_in_place(space, voxels, count, how, threads, bad, value);
    }
    *buffer = space;
    space = NULL;
done:
    volt_free(space);
    return st;
}

static volt_status copy_and_convert(void **buffer, const opened *o, int64_t count,
                                    const volt_image_conversion *how, int threads, int64_t *bad,
                                    double *value)
{
    const unsigned char *from = o->voxels + o->header->raw->h.vox_offset;
    const size_t stored = volt_dtype_bytes(how->from);
    volt_status st =
        volt_alloc(buffer, volt_dtype_bytes(how->to) * (size_t)count, "the voxels of a file");

    for (int64_t at = 0, n; st == VOLT_OK && at < count; at += n, from += (size_t)n * stored) {
        n = count - at < LARGE_PIECE ? count - at : LARGE_PIECE;
        convert_piece(*buffer, from, at, n, how, threads, bad, value);
        volt_map_dontneed(from, (size_t)n * stored);
    }
    return st;
}

static volt_status read_voxels(volt_volume **out, const opened *o, volt_dtype to, int threads)
{
    const volt_image_header *header = o->header;
    const int64_t count = volt_grid_voxels(&header->grid) * header->grid.channels;
    const volt_image_conversion how = {.from = header->dtype,
                                       .to = to,
                                       .swap = header->swapped,
                                       .slope = header->slope,
                                       .inter = header->inter};
    volt_volume *volume = NULL;
    int64_t bad = count;
    double value = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&volume, 1, sizeof *volume, "a volume"));
    volume->grid = header->grid;
    volume->dtype = to;
    if (header->gzip)
        st = inflate_and_convert(&volume->data, o, count, &how, threads, &bad, &value);
    else
        st = copy_and_convert(&volume->data, o, count, &how, threads, &bad, &value);
    if (st == VOLT_OK)
        st = check_maps(o);
    if (st == VOLT_OK && bad < count)
        st = volt_image_fail_label(o->voxel_path, &header->grid, bad, value, to);
    if (st != VOLT_OK)
        goto done;
    *out = volume;
    volume = NULL;
done:
    volt_volume_free(volume);
    return st;
}

volt_status volt_nifti_read(volt_volume **out, volt_image_header **header, const char *path,
                            const volt_image_read_options *options)
{
    volt_image_read_options opt;
    volt_dtype to;
    opened o = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_image_read_take(&opt, options, path));
    VOLT_TRY(st, done, open_nifti(&o, path, true));
    to = opt.dtype == VOLT_AS_STORED ? natural_dtype(o.header) : opt.dtype;
    VOLT_TRY(st, done, volt_image_check_memory(o.header, to, path));
    VOLT_TRY(st, done, read_voxels(out, &o, to, opt.threads));
    if (header) {
        *header = o.header;
        o.header = NULL;
    }
done:
    close_opened(&o);
    return st;
}
