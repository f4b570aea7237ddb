/* jpeg.c - JPEG through libjpeg, where VOLT was built with it: grey and colours of 8 bits. Also
 * damage that libjpeg would only warn about, and replace by grey, is refused. */
#include "io/image/jpeg.h"

#include "io/image/format.h"

#ifdef VOLT_HAVE_JPEG
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image/pixels.h"

enum { QUALITY = 95, MOST_SCANS = 500, EXIF = JPEG_APP0 + 1, EXIF_MAX = 65535 };
enum { HUFFMAN_RATIO = 4096 }; /* pixels a byte; a block of 64 takes a bit at least */

/* One file being decoded or encoded. */
typedef struct codec {
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    const char *path;
    volt_status st; /* the first failure; its sentence is recorded */
    struct jpeg_decompress_struct in;
    struct jpeg_compress_struct out;
    const unsigned char *file;
    size_t bytes;
    unsigned char *written; /* malloc */
    unsigned long written_bytes;
    volt_pixels *pixels;
} codec;

static void fail(j_common_ptr c, int code)
{
    codec *k = c->client_data;
    char words[JMSG_LENGTH_MAX];

    c->err->msg_code = code;
    c->err->format_message(c, words);
    if (!c->is_decompressor)
        k->st = volt_fail(VOLT_EINTERNAL, "libjpeg cannot write %s: %s", k->path, words);
    else if (code == JERR_BAD_PRECISION)
        k->st =
            volt_fail(VOLT_ENOTSUP, "%s has samples of %d bits; JPEG of 8 bits is supported",
                      k->path, k->in.data_precision);
    else if (code == JERR_SOF_UNSUPPORTED)
        k->st = volt_fail(VOLT_ENOTSUP, "%s is a lossless or hierarchical JPEG", k->path);
    else if (code == JERR_OUT_OF_MEMORY)
        k->st = volt_fail(VOLT_ENOMEM, "out of memory for %s", k->path);
    else if (code == JERR_NO_SOI)
        k->st = volt_fail(VOLT_EFORMAT, "%s is not a JPEG image", k->path);
    else
        k->st = volt_fail(VOLT_EFORMAT, "%s is damaged: %s", k->path, words);
    longjmp(k->back, 1);
}

static void on_error(j_common_ptr c)
{
    fail(c, c->err->msg_code);
}

/* Warnings (below 0) are damage, but for three harmless ones. */
static void on_message(j_common_ptr c, int level)
{
    const int code = c->err->msg_code;

    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR &&
        code != JWRN_ADOBE_XFORM)
        fail(c, code);
}

/* A small file can make a decoder pass over all pixels thousands of times. */
static void on_progress(j_common_ptr c)
{
    if (c->is_decompressor && ((j_decompress_ptr)c)->input_scan_number > MOST_SCANS)
        fail(c, JERR_CANT_SUSPEND);
}

/* The one function that libjpeg jumps back into; what it needs then is behind `k`. A step owns
 * nothing that a jump would lose. */
static volt_status guard(codec *k, void (*step)(codec *))
{
    k->st = VOLT_OK;
    if (setjmp(k->back) == 0)
        step(k);
    return k->st;
}

static void prepare(codec *k, const char *path)
{
    k->path = path;
    k->in.err = k->out.err = jpeg_std_error(&k->errors);
    k->errors.error_exit = on_error;
    k->errors.emit_message = on_message;
    k->progress.progress_monitor = on_progress;
    k->in.client_data = k->out.client_data = k;
}

/* -- Reading ------------------------------------------------------------------------------ */

static uint32_t number(const unsigned char *at, int bytes, bool little)
{
    uint32_t value = 0;

    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[little ? bytes - 1 - i : i];
    return value;
}

/* The orientation that EXIF gives, 1 to 8; 0: none. */
static int orientation(const struct jpeg_marker_struct *m)
{
    const unsigned char *d;
    uint32_t at, entries;
    bool little;

    while (m &&
           (m->marker != EXIF || m->data_length < 14 || memcmp(m->data, "Exif\0\0", 6) != 0))
        m = m->next;
    if (!m)
        return 0;
    d = m->data + 6;
    little = *d == 'I';
    at = number(d + 4, 4, little);
    if (at > m->data_length - 8)
        return 0;
    entries = number(d + at, 2, little);
    for (at += 2; entries-- > 0 && at + 12 <= m->data_length - 6; at += 12) {
        if (number(d + at, 2, little) == 0x0112)
            return (int)number(d + at + 8, 2, little);
    }
    return 0;
}

static void read_header(codec *k)
{
    jpeg_create_decompress(&k->in);
    k->in.progress = &k->progress;
    jpeg_mem_src(&k->in, k->file, (unsigned long)k->bytes);
    jpeg_save_markers(&k->in, EXIF, EXIF_MAX);
    jpeg_read_header(&k->in, TRUE);
}

static void read_rows(codec *k)
{
    volt_pixels *p = k->pixels;

    jpeg_start_decompress(&k->in);
    while (k->in.output_scanline < k->in.output_height) {
        unsigned char *row =
            p->data + (size_t)k->in.output_scanline * (size_t)p->width * (size_t)p->samples;
        jpeg_read_scanlines(&k->in, &row, 1);
    }
    jpeg_finish_decompress(&k->in);
}

static volt_status choose_colours(codec *k, volt_pixels *p)
{
    const J_COLOR_SPACE space = k->in.jpeg_color_space;
    const int turn = orientation(k->in.marker_list);

    if (space == JCS_CMYK || space == JCS_YCCK)
        return volt_fail(VOLT_ENOTSUP,
                         "%s has 4 channels (cyan, magenta, yellow, black); grey or RGB is "
                         "supported",
                         k->path);
    if (space != JCS_GRAYSCALE && space != JCS_RGB && space != JCS_YCbCr)
        return volt_fail(VOLT_ENOTSUP,
                         "%s has %d channels of unknown meaning; grey or RGB is "
                         "supported",
                         k->path, k->in.num_components);
    k->in.out_color_space = space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    p->format = "JPEG";
    p->width = k->in.image_width;
    p->height = k->in.image_height;
    p->samples = space == JCS_GRAYSCALE ? 1 : 3;
    p->bytes = 1;
    if (turn > 1)
        snprintf(p->note, sizeof p->note,
                 "its EXIF orientation, %d, is ignored: rows and columns are as stored", turn);
    return VOLT_OK;
}

static volt_status decode_jpeg(volt_pixels *out, const char *path, volt_pixels_want want)
{
    codec *k = NULL;
    volt_map map = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&k, 1, sizeof *k, "a JPEG decoder"));
    VOLT_TRY(st, done, volt_map_open(&map, path));
    prepare(k, path);
    k->file = map.data;
    k->bytes = map.bytes;
    k->pixels = out;
    if (map.bytes < 2 || map.data[0] != 0xff || map.data[1] != 0xd8) {
        st = volt_fail(VOLT_EFORMAT, "%s is not a JPEG image", path);
        goto done;
    }
    VOLT_TRY(st, done, guard(k, read_header));
    VOLT_TRY(st, done, choose_colours(k, out));
    if (!k->in.arith_code)
        VOLT_TRY(st, done, volt_pixels_fit(out, path, map.bytes, HUFFMAN_RATIO));
    VOLT_TRY(st, done, volt_pixels_allocate(out, path, want));
    if (want != VOLT_PIXELS_HEADER)
        st = guard(k, read_rows);
done:
    if (k)
        jpeg_destroy_decompress(&k->in); /* of zeros: nothing */
    if (volt_map_check(map.data, path) != VOLT_OK)
        st = VOLT_EIO;
    volt_map_close(&map);
    volt_free(k);
    return st;
}

/* -- Writing ------------------------------------------------------------------------------ */

static void write_rows(codec *k)
{
    const volt_pixels *p = k->pixels;

    jpeg_create_compress(&k->out);
    jpeg_mem_dest(&k->out, &k->written, &k->written_bytes);
    k->out.image_width = (JDIMENSION)p->width;
    k->out.image_height = (JDIMENSION)p->height;
    k->out.input_components = p->samples;
    k->out.in_color_space = p->samples == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&k->out);
    jpeg_set_quality(&k->out, QUALITY, TRUE);
    for (int c = 0; c < k->out.num_components; c++) /* thin lines keep their colour */
        k->out.comp_info[c].h_samp_factor = k->out.comp_info[c].v_samp_factor = 1;
    jpeg_start_compress(&k->out, TRUE);
    while (k->out.next_scanline < k->out.image_height) {
        unsigned char *row =
            p->data + (size_t)k->out.next_scanline * (size_t)p->width * (size_t)p->samples;
        jpeg_write_scanlines(&k->out, &row, 1);
    }
    jpeg_finish_compress(&k->out);
}

static volt_status encode_jpeg(const char *path, volt_pixels *p)
{
    codec *k = NULL;
    volt_status st;

    if (p->width < 1 || p->width > JPEG_MAX_DIMENSION || p->height < 1 ||
        p->height > JPEG_MAX_DIMENSION)
        return volt_fail(VOLT_EINVAL, "%s: %lld x %lld pixels; a JPEG holds up to %ld each",
                         path, (long long)p->width, (long long)p->height, JPEG_MAX_DIMENSION);
    VOLT_TRY(st, done, volt_alloc_zero(&k, 1, sizeof *k, "a JPEG encoder"));
    prepare(k, path);
    k->pixels = p;
    VOLT_TRY(st, done, guard(k, write_rows));
    st = volt_write_file(path, k->written, k->written_bytes);
done:
    if (k) {
        jpeg_destroy_compress(&k->out);
        free(k->written);
    }
    volt_free(k);
    return st;
}

volt_status volt_jpeg_write(const char *path, const uint8_t *pixels, int64_t width,
                            int64_t height, int channels)
{
    volt_pixels p = {.width = width, .height = height, .samples = channels, .bytes = 1};
    volt_status st;

    if (channels != 1 && channels != 3)
        return volt_fail(VOLT_EINVAL, "%s: %d channels; 1 or 3 is expected", path, channels);
    p.data = (unsigned char *)pixels; /* which libjpeg only reads */
    st = encode_jpeg(path, &p);
    return st;
}

static volt_status jpeg_write(const char *path, const volt_volume *volume,
                              const volt_image_header *source,
                              const volt_image_write_options *options)
{
    volt_pixels p = {.format = "JPEG"};
    volt_status st;

    (void)source; /* a JPEG has no spatial metadata */
    VOLT_TRY(st, done, volt_pixels_of_volume(&p, path, volume, false, "13", options));
    st = encode_jpeg(path, &p);
done:
    volt_free(p.data);
    return st;
}

static volt_status jpeg_read(volt_volume **out, volt_image_header **header, const char *path,
                             const volt_image_read_options *options)
{
    return volt_pixels_read(out, header, path, options, decode_jpeg);
}

static volt_status jpeg_info(volt_image_header **out, const char *path)
{
    return volt_pixels_read(NULL, out, path, NULL, decode_jpeg);
}

#else /* built without libjpeg */

static volt_status missing(const char *path)
{
    return volt_fail(VOLT_ENOTSUP, "%s: this build of VOLT has no JPEG support (libjpeg)",
                     path);
}

volt_status volt_jpeg_write(const char *path, const uint8_t *pixels, int64_t width,
                            int64_t height, int channels)
{
    (void)pixels, (void)width, (void)height, (void)channels;
    return missing(path);
}

static volt_status jpeg_write(const char *path, const volt_volume *volume,
                              const volt_image_header *source,
                              const volt_image_write_options *options)
{
    (void)volume, (void)source, (void)options;
    return missing(path);
}

static volt_status jpeg_read(volt_volume **out, volt_image_header **header, const char *path,
                             const volt_image_read_options *options)
{
    (void)out, (void)header, (void)options;
    return missing(path);
}

static volt_status jpeg_info(volt_image_header **out, const char *path)
{
    (void)out;
    return missing(path);
}
#endif

const volt_image_format volt_format_jpeg = {
    .info = jpeg_info,
    .read = jpeg_read,
    .write = jpeg_write,
};
