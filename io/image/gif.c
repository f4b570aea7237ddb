/* gif.c - GIF through giflib, where VOLT was built with it: one frame of palette indices. */
#include "io/image/format.h"

#ifdef VOLT_HAVE_GIF
#include <stdio.h>
#include <string.h>
#include <gif_lib.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image/pixels.h"

enum { LZW_RATIO = 4096 }; /* more pixels than a byte of LZW codes can stand for */

typedef struct input {
    volt_map map;
    size_t at;
} input;

static int on_read(GifFileType *gif, GifByteType *to, int bytes)
{
    input *s = gif->UserData;
    const size_t left = s->map.bytes - s->at;
    const size_t n = (size_t)bytes < left ? (size_t)bytes : left;

    if (n)
        memcpy(to, s->map.data + s->at, n);
    s->at += n;
    return (int)n;
}

static volt_status damaged(const char *path, const GifFileType *gif)
{
    const char *words = gif->Error ? GifErrorString(gif->Error) : NULL;

    return volt_fail(VOLT_EFORMAT, "%s is damaged: %s", path,
                     words ? words : "it ends too early");
}

static volt_status read_rows(volt_pixels *p, GifFileType *gif, const char *path)
{
    static const int first[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2};
    const bool interlaced = gif->Image.Interlace;

    for (int pass = 0; pass < (interlaced ? 4 : 1); pass++) {
        for (int64_t y = interlaced ? first[pass] : 0; y < p->height;
             y += interlaced ? step[pass] : 1) {
            if (DGifGetLine(gif, p->data + y * p->width, (int)p->width) == GIF_ERROR)
                return damaged(path, gif);
        }
    }
    return VOLT_OK;
}

static volt_status read_frame(volt_pixels *p, GifFileType *gif, const input *s,
                              const char *path, volt_pixels_want want)
{
    const ColorMapObject *colours;
    volt_palette palette;
    volt_status st;

    if (DGifGetImageDesc(gif) == GIF_ERROR)
        return damaged(path, gif);
    p->format = "GIF";
    p->width = gif->Image.Width;
    p->height = gif->Image.Height;
    p->samples = p->bytes = 1;
    if (gif->Image.Left || gif->Image.Top || p->width != gif->SWidth ||
        p->height != gif->SHeight)
        return volt_fail(VOLT_ENOTSUP,
                         "%s: its frame of %lld x %lld pixels covers a part of its %d x %d "
                         "pixels; a frame that covers all is supported",
                         path, (long long)p->width, (long long)p->height, gif->SWidth,
                         gif->SHeight);
    VOLT_TRY(st, done, volt_pixels_fit(p, path, s->map.bytes, LZW_RATIO));
    VOLT_TRY(st, done, volt_pixels_allocate(p, path, want));
    colours = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
    if (!colours || colours->ColorCount < 1 || colours->ColorCount > 256) {
        st = volt_fail(VOLT_EFORMAT, "%s is damaged: it has no palette", path);
        goto done;
    }
    palette.count = colours->ColorCount;
    for (int i = 0; i < palette.count; i++) {
        palette.rgb[i][0] = colours->Colors[i].Red;
        palette.rgb[i][1] = colours->Colors[i].Green;
        palette.rgb[i][2] = colours->Colors[i].Blue;
    }
    if (want != VOLT_PIXELS_HEADER)
        VOLT_TRY(st, done, read_rows(p, gif, path));
    st = volt_pixels_paint(p, &palette, path, want);
done:
    return st;
}

static volt_status skip_extension(volt_pixels *p, GifFileType *gif, const char *path)
{
    GifByteType *block;
    int kind;

    if (DGifGetExtension(gif, &kind, &block) == GIF_ERROR)
        return damaged(path, gif);
    if (kind == GRAPHICS_EXT_FUNC_CODE && block && block[0] == 4 && block[1] & 1)
        snprintf(p->note, sizeof p->note, "transparent colours are taken as opaque");
    while (block) {
        if (DGifGetExtensionNext(gif, &block) == GIF_ERROR)
            return damaged(path, gif);
    }
    return VOLT_OK;
}

/* All records: the one frame, and nothing that would be a second one. */
static volt_status read_records(volt_pixels *p, GifFileType *gif, const input *s,
                                const char *path, volt_pixels_want want)
{
    GifRecordType record;
    bool seen = false;
    volt_status st = VOLT_OK;

    while (st == VOLT_OK) {
        if (DGifGetRecordType(gif, &record) == GIF_ERROR)
            return damaged(path, gif);
        if (record == TERMINATE_RECORD_TYPE)
            break;
        if (record == EXTENSION_RECORD_TYPE) {
            st = skip_extension(p, gif, path);
        } else if (record == IMAGE_DESC_RECORD_TYPE && seen) {
            return volt_fail(VOLT_ENOTSUP,
                             "%s has more than one frame; a GIF with one frame is supported",
                             path);
        } else if (record == IMAGE_DESC_RECORD_TYPE) {
            seen = true;
            st = read_frame(p, gif, s, path, want);
            if (want == VOLT_PIXELS_HEADER)
                return st;
        }
    }
    if (st == VOLT_OK && !seen)
        st = volt_fail(VOLT_EFORMAT, "%s has no frame", path);
    return st;
}

static volt_status decode_gif(volt_pixels *out, const char *path, volt_pixels_want want)
{
    input s = {0};
    GifFileType *gif = NULL;
    int error = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_map_open(&s.map, path));
    if (s.map.bytes < 13 || memcmp(s.map.data, "GIF8", 4) != 0) {
        st = volt_fail(VOLT_EFORMAT, "%s is not a GIF image", path);
        goto done;
    }
    gif = DGifOpen(&s, on_read, &error);
    if (!gif) {
        st = error == D_GIF_ERR_NOT_ENOUGH_MEM
                 ? volt_fail(VOLT_ENOMEM, "out of memory for %s", path)
                 : volt_fail(VOLT_EFORMAT, "%s is damaged: %s", path, GifErrorString(error));
        goto done;
    }
    st = read_records(out, gif, &s, path, want);
done:
    if (gif)
        DGifCloseFile(gif, NULL);
    volt_map_close(&s.map);
    return st;
}

static volt_status gif_read(volt_volume **out, volt_image_header **header, const char *path,
                            const volt_image_read_options *options)
{
    return volt_pixels_read(out, header, path, options, decode_gif);
}

static volt_status gif_info(volt_image_header **out, const char *path)
{
    return volt_pixels_read(NULL, out, path, NULL, decode_gif);
}

/* -- Writing ------------------------------------------------------------------------------ */

typedef struct target {
    volt_out *file;
    volt_status st; /* the first failure; its sentence is recorded */
} target;

static int on_write(GifFileType *gif, const GifByteType *data, int bytes)
{
    target *t = gif->UserData;

    if (t->st == VOLT_OK)
        t->st = volt_out_write(t->file, data, (size_t)bytes);
    return t->st == VOLT_OK ? bytes : 0;
}

/* 256 grey values, so that indices and grey values are the same. */
static bool put_rows(GifFileType *gif, const volt_pixels *p)
{
    ColorMapObject *grey = GifMakeMapObject(256, NULL);
    bool good = grey != NULL;

    for (int i = 0; grey && i < 256; i++)
        grey->Colors[i] = (GifColorType){(GifByteType)i, (GifByteType)i, (GifByteType)i};
    good = good &&
           EGifPutScreenDesc(gif, (int)p->width, (int)p->height, 8, 0, grey) == GIF_OK &&
           EGifPutImageDesc(gif, 0, 0, (int)p->width, (int)p->height, false, NULL) == GIF_OK;
    for (int64_t y = 0; good && y < p->height; y++)
        good = EGifPutLine(gif, p->data + y * p->width, (int)p->width) == GIF_OK;
    GifFreeMapObject(grey);
    return good;
}

static volt_status gif_write(const char *path, const volt_volume *volume,
                             const volt_image_header *source,
                             const volt_image_write_options *options)
{
    volt_pixels p = {.format = "GIF"};
    target t = {0};
    GifFileType *gif = NULL;
    int error = 0;
    bool good;
    volt_status st;

    (void)source; /* a GIF has no spatial metadata */
    VOLT_TRY(st, done, volt_pixels_of_volume(&p, path, volume, false, "1", options));
    if (p.width > UINT16_MAX || p.height > UINT16_MAX) {
        st = volt_fail(VOLT_EINVAL, "%s: %lld x %lld pixels; a GIF holds up to 65535 each",
                       path, (long long)p.width, (long long)p.height);
        goto done;
    }
    VOLT_TRY(st, done, volt_out_open(&t.file, path));
    gif = EGifOpen(&t, on_write, &error);
    if (!gif) {
        st = volt_fail(VOLT_ENOMEM, "no memory to write %s", path);
        goto done;
    }
    good = put_rows(gif, &p);
    good = EGifCloseFile(gif, &error) == GIF_OK && good; /* writes the last byte */
    if (t.st != VOLT_OK || !good)
        st = t.st != VOLT_OK ? t.st : volt_fail(VOLT_EINTERNAL, "giflib cannot write %s", path);
    else
        st = volt_out_commit(&t.file);
done:
    volt_out_abort(&t.file);
    volt_free(p.data);
    return st;
}

#else /* built without giflib */

static volt_status missing(const char *path)
{
    return volt_fail(VOLT_ENOTSUP, "%s: this build of VOLT has no GIF support (giflib)", path);
}

static volt_status gif_write(const char *path, const volt_volume *volume,
                             const volt_image_header *source,
                             const volt_image_write_options *options)
{
    (void)volume, (void)source, (void)options;
    return missing(path);
}

static volt_status gif_read(volt_volume **out, volt_image_header **header, const char *path,
                            const volt_image_read_options *options)
{
    (void)out, (void)header, (void)options;
    return missing(path);
}

static volt_status gif_info(volt_image_header **out, const char *path)
{
    (void)out;
    return missing(path);
}
#endif

const volt_image_format volt_format_gif = {
    .info = gif_info,
    .read = gif_read,
    .write = gif_write,
};
