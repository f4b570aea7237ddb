/* itk_image.c - images that the helper volt-itk reads and writes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core/checked.h"
#include "base/core/plural.h"
#include "base/system/file.h"
#include "base/system/temporary.h"
#include "base/core/alloc.h"
#include "io/image/convert.h"
#include "io/image/format.h"
#include "io/image/header.h"
#include "io/image/itk_call.h"
#include "io/image/options.h"
#include "io/json/json.h"
#include "io/image/names.h"
#include "io/image/text_header.h"
#include "io/itk/sandbox.h"

enum { CHUNK = 1 << 20, MAX_CHANNELS = 65535, INFLATION = 1032 /* deflate's most */ };

/* Of volt-itk without voxels. */
#define HELPER_BYTES ((size_t)32 << 20)

/* -- Judging a message -------------------------------------------------------------------- */

static volt_status judge_sizes(const volt_itk_message *m, const char *path)
{
    int64_t extents[4] = {m->channels, m->n[0], m->n[1], m->n[2]};
    size_t bytes;

    for (int a = 0; a < 3; a++) {
        if (m->n[a] < 1 || m->n[a] > VOLT_ITK_MAX_EXTENT)
            return volt_fail(VOLT_EFORMAT, "%s: %lld voxels along %c; 1 to 2^31 are expected",
                             path, (long long)m->n[a], "xyz"[a]);
    }
    if (m->axes < 2 || m->axes > 3 || (m->axes == 2 && m->n[2] != 1))
        return volt_fail(VOLT_EFORMAT, "%s: the number of axes is %u; 2 or 3 is expected", path,
                         m->axes);
    if (m->channels < 1 || m->channels > MAX_CHANNELS)
        return volt_fail(VOLT_EFORMAT, "%s: %u channels; 1 to %d are expected", path,
                         m->channels, MAX_CHANNELS);
    if (m->dtype >= VOLT_BF16 || volt_dtype_bytes((volt_dtype)m->dtype) == 0)
        return volt_fail(VOLT_EFORMAT, "%s: voxels of an unknown type (%u)", path, m->dtype);
    /* 8 bytes: what any voxel may become */
    if (volt_extent_bytes(&bytes, extents, 4, 8))
        return volt_fail(VOLT_EFORMAT,
                         "%s: %lld x %lld x %lld voxels of %u channel%s are more than any "
                         "machine holds",
                         path, (long long)m->n[0], (long long)m->n[1], (long long)m->n[2],
                         m->channels, volt_s((int64_t)m->channels));
    if (m->bytes != bytes / 8 * volt_dtype_bytes((volt_dtype)m->dtype))
        return volt_fail(VOLT_EFORMAT, "%s: %llu byte%s of voxels; its size requires %zu", path,
                         (unsigned long long)m->bytes, volt_s((int64_t)m->bytes),
                         bytes / 8 * volt_dtype_bytes((volt_dtype)m->dtype));
    return VOLT_OK;
}

/* A negative spacing becomes a reversed direction, with the voxels in the same positions. */
static volt_status read_geometry(volt_image_geometry *out, const volt_itk_message *m,
                                 const char *path)
{
    static const double third[3] = {0, 0, 1};
    volt_image_geometry p = {.axes = (int)m->axes};

    memcpy(p.spacing, m->spacing, sizeof p.spacing);
    memcpy(p.origin, m->origin, sizeof p.origin);
    memcpy(p.direction, m->direction, sizeof p.direction);
    for (int r = 0; p.axes == 2 && r < 3; r++)
        p.direction[3 * r + 2] = p.direction[6 + r] = third[r];
    if (p.axes == 2) {
        p.spacing[2] = 1;
        p.origin[2] = 0;
    }
    for (int a = 0; a < 3; a++) {
        if (!isfinite(p.spacing[a]) || p.spacing[a] == 0)
            return volt_fail(VOLT_EFORMAT, "%s: invalid spacing of %g mm along %c", path,
                             p.spacing[a], "xyz"[a]);
        if (!isfinite(p.origin[a]))
            return volt_fail(VOLT_EFORMAT, "%s: its origin is not finite along %c", path,
                             "xyz"[a]);
        for (int r = 0; r < 3; r++) {
            if (!isfinite(p.direction[3 * r + a]))
                return volt_fail(VOLT_EFORMAT, "%s: its directions are not finite", path);
            if (p.spacing[a] < 0)
                p.direction[3 * r + a] *= -1;
        }
        p.spacing[a] = fabs(p.spacing[a]);
    }
    *out = p;
    return VOLT_OK;
}

volt_status volt_itk_parse(volt_image_header **out, const volt_itk_message *m, const char *path)
{
    const bool picture = volt_image_is_picture(path);
    volt_image_header *h = NULL;
    volt_status st;

    if ((st = judge_sizes(m, path)) != VOLT_OK)
        return st;
    VOLT_TRY(st, done, volt_alloc_zero(&h, 1, sizeof *h, "an image's header"));
    VOLT_TRY(st, done, read_geometry(&h->geometry, m, path));
    memcpy(h->format, m->format, sizeof h->format);
    h->format[sizeof h->format - 1] = '\0';
    for (char *c = h->format; *c; c++)
        *c = (unsigned char)*c < ' ' || *c == 127 ? ' ' : *c;
    h->gzip = m->compressed == 1;
    h->is_2d = m->axes == 2;
    h->dim[0] = m->axes + (m->channels > 1);
    for (int i = 1; i < 8; i++)
        h->dim[i] = i < 4 ? m->n[i - 1] : 1;
    h->dim[m->axes + 1] = m->channels;
    h->dtype = (volt_dtype)m->dtype;
    h->slope = h->unit_mm = 1;
    h->helper_bytes = HELPER_BYTES + (size_t)m->bytes * (h->gzip ? 2 : 1);
    for (int i = 0; i < 3; i++)
        h->grid.n[i] = m->n[2 - i];
    h->grid.channels = (int32_t)m->channels;
    h->geometry_source = picture                          ? VOLT_GEOMETRY_NONE
                         : strcmp(h->format, "GIPL") == 0 ? VOLT_GEOMETRY_NOFORM
                                                          : VOLT_GEOMETRY_HEADER;
    if (picture) { /* the resolution of a photograph is not in millimetres of a patient */
        h->geometry = (volt_image_geometry){
            (int)m->axes, {1, 1, 1}, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    }
    volt_image_apply_geometry(h);
    if (volt_grid_check(&h->grid, path) != VOLT_OK) {
        st = VOLT_EFORMAT; /* its sentence says what is wrong */
        goto done;
    }
    *out = h;
    h = NULL;
done:
    volt_image_header_free(h);
    return st;
}

/* -- Spacing of pages --------------------------------------------------------------------- */

/* CASE.json next to CASE.tif or CASE_0000.tif; *out is NULL if there is neither. */
static volt_status spacing_file(char **out, const char *path)
{
    const size_t stem = (size_t)(volt_image_ending(path) - path);
    size_t bytes[2] = {stem, 0};

    if (stem > 5 && path[stem - 5] == '_' && strspn(path + stem - 4, "0123456789") == 4)
        bytes[1] = stem - 5;
    *out = NULL;
    for (int i = 0; i < 2 && bytes[i]; i++) {
        char *name;
        const volt_status st = volt_format(&name, "%.*s.json", (int)bytes[i], path);
        if (st != VOLT_OK)
            return st;
        if (volt_path_exists(name)) {
            *out = name;
            return VOLT_OK;
        }
        volt_free(name);
    }
    return VOLT_OK;
}

/* {"spacing": [z, y, x]} */
static volt_status read_spacing(double mm[3], const char *path)
{
    volt_json doc = {0};
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, volt_json_load(&doc, path));
    at = volt_json_root(&doc);
    VOLT_TRY(st, done, volt_json_member(&at, &at, "spacing"));
    st = volt_json_doubles(mm, &at, 3, 1e-6, 1e6);
done:
    volt_json_close(&doc);
    return st;
}

static bool is_pages(const char *path, const volt_image_header *h)
{
    const char *ending = volt_image_ending(path);

    return h->geometry.axes == 3 &&
           (strcasecmp(ending, ".tif") == 0 || strcasecmp(ending, ".tiff") == 0);
}

static volt_status take_spacing(volt_image_header *h, const char *path)
{
    char *json = NULL;
    double mm[3];
    volt_status st;

    VOLT_TRY(st, done, spacing_file(&json, path));
    if (!json) {
        st = volt_image_warn(h, "there is no JSON file with its spacing; 1 mm is assumed");
        goto done;
    }
    VOLT_TRY(st, done, read_spacing(mm, json));
    h->geometry_source = VOLT_GEOMETRY_NOFORM;
    for (int a = 0; a < 3; a++)
        h->geometry.spacing[a] = mm[2 - a];
    volt_image_apply_geometry(h);
done:
    volt_free(json);
    return st;
}

/* Keeps a file that has this spacing: it may hold more. */
static volt_status write_spacing(const char *path, const volt_image_geometry *geometry)
{
    const double mm[3] = {geometry->spacing[2], geometry->spacing[1], geometry->spacing[0]};
    const size_t stem = (size_t)(volt_image_ending(path) - path);
    double there[3];
    char *name = NULL;
    json_t *root = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_format(&name, "%.*s.json", (int)stem, path));
    if (volt_path_exists(name) && read_spacing(there, name) == VOLT_OK &&
        memcmp(there, mm, sizeof mm) == 0)
        goto done;
    root = json_pack("{s:o}", "spacing", volt_json_array_of_doubles(mm, 3));
    st = volt_json_save(name, root);
done:
    json_decref(root);
    volt_free(name);
    return st;
}

/* -- Reading ------------------------------------------------------------------------------ */

/* Checked here because ITK's messages for these would not say what is wrong. */
static volt_status check_there(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return volt_fail(VOLT_EIO, "cannot open %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return volt_fail(VOLT_EFORMAT, "%s is not a regular file", path);
    if (access(path, R_OK) != 0)
        return volt_fail(VOLT_EIO, "cannot open %s: %s", path, strerror(errno));
    return VOLT_OK;
}

/* -- The header that VOLT reads itself ----------------------------------------------------- */

/* Size of a regular file; 0 if there is none. */
static uint64_t file_bytes(const char *folder, size_t length, const char *name)
{
    struct stat info;
    char *path;
    uint64_t bytes = 0;

    if (volt_format(&path, "%.*s/%s", (int)length, folder, name) != VOLT_OK)
        return 0;
    if (lstat(path, &info) == 0 && S_ISREG(info.st_mode))
        bytes = (uint64_t)info.st_size;
    volt_free(path);
    return bytes;
}

/* The files must be long enough for the voxels that the helper announces. */
static volt_status check_bounds(const volt_text_header *t, const volt_itk_message *m,
                                const char *path)
{
    const char *name = volt_path_name(path);
    const char *folder = name > path ? path : ".";
    const size_t length = name > path ? (size_t)(name - path) : 1;
    uint64_t bytes = 0;
    struct stat info;

    if (!t->bounded)
        return VOLT_OK;
    if (t->local && stat(path, &info) == 0)
        bytes = (uint64_t)info.st_size;
    for (size_t i = 0; i < t->files.count; i++)
        bytes += file_bytes(folder, length, t->files.name[i]);
    if (m->bytes / (t->compressed ? INFLATION : 1) > bytes)
        return volt_fail(VOLT_EFORMAT,
                         "%s: its header describes %llu byte%s of voxels, more than %s of "
                         "%llu byte%s can hold",
                         path, (unsigned long long)m->bytes, volt_s((int64_t)m->bytes),
                         t->local ? "its file" : "its voxel files", (unsigned long long)bytes,
                         volt_s((int64_t)bytes));
    return VOLT_OK;
}

/* What the header says replaces what ITK made of it. */
static volt_status apply_header(volt_itk_message *m, const volt_text_header *t,
                                const char *path)
{
    const volt_image_geometry *g = &t->geometry;

    m->compressed = t->compressed;
    if (!t->has_geometry)
        return check_bounds(t, m, path);
    if ((int)m->axes != g->axes)
        return volt_fail(VOLT_ENOTSUP, "%s: its header has %d spatial axes, but ITK reads %u",
                         path, g->axes, m->axes);
    memcpy(m->spacing, g->spacing, sizeof m->spacing);
    memcpy(m->origin, g->origin, sizeof m->origin);
    memcpy(m->direction, g->direction, sizeof m->direction);
    return check_bounds(t, m, path);
}

static volt_status note_header(volt_image_header *h, const volt_text_header *t)
{
    volt_status st = VOLT_OK;

    if (t->has_geometry)
        h->geometry_source = t->source;
    for (int i = 0; i < t->warning_count && st == VOLT_OK; i++)
        st = volt_image_warn(h, "%s", t->warnings[i]);
    return st;
}

static volt_status ask(volt_itk_call **call, volt_image_header **header, const char *verb,
                       const char *path)
{
    volt_text_header text = {.bounded = false};
    volt_itk_message m;
    volt_status st;

    VOLT_TRY(st, done, check_there(path));
    if (volt_text_header_is(path))
        VOLT_TRY(st, done, volt_text_header_read(&text, path));
    VOLT_TRY(st, done, volt_itk_start(call, verb, path, &text.files, path));
    VOLT_TRY(st, done, volt_itk_answer(&m, *call));
    if (volt_text_header_is(path))
        VOLT_TRY(st, done, apply_header(&m, &text, path));
    VOLT_TRY(st, done, volt_itk_parse(header, &m, path));
    VOLT_TRY(st, done, note_header(*header, &text));
    if (!(m.sandbox & VOLT_SANDBOX_SECCOMP))
        VOLT_TRY(st, done,
                 volt_image_warn(*header, "volt-itk read it without a seccomp filter, which "
                                          "this system or this build lacks"));
    if (is_pages(path, *header))
        st = take_spacing(*header, path);
done:
    volt_text_header_clear(&text);
    return st;
}

static volt_status itk_info(volt_image_header **out, const char *path)
{
    volt_itk_call *call = NULL;
    volt_image_header *h = NULL;
    volt_status st;

    VOLT_TRY(st, done, ask(&call, &h, "info", path));
    VOLT_TRY(st, done, volt_itk_end(&call));
    *out = h;
    h = NULL;
done:
    volt_itk_abort(&call);
    volt_image_header_free(h);
    return st;
}

/* Lets the helper read the voxels, and hears whether it could. */
static volt_status consent(volt_itk_call *call)
{
    volt_itk_message again;
    volt_status st = volt_itk_send(call, "", 1);

    return st == VOLT_OK ? volt_itk_answer(&again, call) : st;
}

/* All voxels, converted as they come. */
static volt_status receive_voxels(volt_volume *v, volt_itk_call *call,
                                  const volt_image_header *h, const char *path, int threads)
{
    const volt_image_conversion how = {.from = h->dtype, .to = v->dtype, .slope = 1};
    const size_t wide = volt_dtype_bytes(v->dtype), narrow = volt_dtype_bytes(h->dtype);
    const int64_t count = volt_grid_voxels(&v->grid) * v->grid.channels;
    const int64_t step = CHUNK / (int64_t)narrow;
    void *chunk = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&chunk, CHUNK, "a piece of a file"));
    for (int64_t at = 0; at < count; at += step) {
        const int64_t n = count - at < step ? count - at : step;
        int64_t bad = n;
        double value = 0;
        VOLT_TRY(st, done, volt_itk_receive(call, chunk, (size_t)n * narrow));
        volt_image_convert((char *)v->data + (size_t)at * wide, chunk, n, &how, threads, &bad,
                           &value);
        if (bad < n) {
            st = volt_image_fail_label(path, &v->grid, at + bad, value, v->dtype);
            goto done;
        }
    }
done:
    volt_free(chunk);
    return st;
}

/* Leaves the first channel of a label map in colours, which must all be the same; the last of 2
 * or 4 is alpha. */
static volt_status one_channel(volt_volume **v, const char *path)
{
    const int64_t *n = (*v)->grid.n, count = volt_grid_voxels(&(*v)->grid);
    const size_t each = volt_dtype_bytes((*v)->dtype), bytes = (size_t)count * each;
    const char *voxel = (*v)->data;
    volt_grid grid = (*v)->grid;
    volt_volume *one;
    volt_status st;

    for (int32_t c = 1; c < grid.channels - (grid.channels % 2 == 0); c++) {
        int64_t i = 0;
        if (memcmp(voxel, voxel + (size_t)c * bytes, bytes) == 0)
            continue;
        while (memcmp(voxel + (size_t)i * each, voxel + (size_t)c * bytes + (size_t)i * each,
                      each) == 0)
            i++;
        return volt_fail(VOLT_EFORMAT,
                         "%s has colours (row %lld, column %lld); labels are grey values or "
                         "palette indices",
                         path, (long long)(i / n[2] % n[1]), (long long)(i % n[2]));
    }
    grid.channels = 1;
    if ((st = volt_volume_create(&one, &grid, (*v)->dtype)) != VOLT_OK)
        return st;
    memcpy(one->data, voxel, bytes);
    volt_volume_free(*v);
    *v = one;
    return VOLT_OK;
}

static volt_status itk_read(volt_volume **out, volt_image_header **header, const char *path,
                            const volt_image_read_options *options)
{
    volt_image_read_options opt;
    bool labels;
    volt_itk_call *call = NULL;
    volt_image_header *h = NULL;
    volt_volume *v = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_image_read_take(&opt, options, path));
    labels = opt.dtype != VOLT_AS_STORED && opt.dtype != VOLT_F32 && opt.dtype != VOLT_F64;
    VOLT_TRY(st, done, ask(&call, &h, labels ? "labels" : "read", path));
    VOLT_TRY(st, done, volt_image_check_memory(h, opt.dtype ? opt.dtype : h->dtype, path));
    VOLT_TRY(st, done, volt_volume_create(&v, &h->grid, opt.dtype ? opt.dtype : h->dtype));
    VOLT_TRY(st, done, consent(call));
    VOLT_TRY(st, done, receive_voxels(v, call, h, path, opt.threads));
    VOLT_TRY(st, done, volt_itk_end(&call));
    if (labels && h->grid.channels > 1 && volt_image_is_picture(path)) {
        VOLT_TRY(st, done, one_channel(&v, path));
        h->grid.channels = 1;
    }
    *out = v;
    v = NULL;
    if (header) {
        *header = h;
        h = NULL;
    }
done:
    volt_itk_abort(&call);
    volt_volume_free(v);
    volt_image_header_free(h);
    return st;
}

/* -- Writing ------------------------------------------------------------------------------ */

/* The source's own numbers if the volume is on its grid; else derived from the grid. */
static volt_image_geometry geometry_of(const volt_grid *g, const volt_image_header *source)
{
    volt_image_geometry p = {.axes = 3};
    double mm[3];

    if (source && source->geometry.axes && memcmp(g->n, source->grid.n, sizeof g->n) == 0 &&
        memcmp(g->to_world, source->grid.to_world, sizeof g->to_world) == 0)
        return source->geometry;
    volt_grid_spacing(mm, g);
    for (int r = 0; r < 3; r++) {
        const double sign = r < 2 ? -1 : 1;
        p.spacing[r] = mm[2 - r];
        p.origin[r] = sign * g->to_world[r][3] + 0.0; /* no -0 */
        for (int a = 0; a < 3; a++)
            p.direction[3 * r + a] = sign * g->to_world[r][a] / mm[2 - a] + 0.0;
    }
    return p;
}

static volt_itk_message describe(const volt_volume *v, const volt_image_geometry *geometry)
{
    volt_itk_message m = {.dtype = v->dtype,
                          .axes = (uint32_t)geometry->axes,
                          .channels = (uint32_t)v->grid.channels,
                          .bytes = volt_volume_bytes(v)};

    memcpy(m.magic, VOLT_ITK_MAGIC, sizeof m.magic);
    for (int i = 0; i < 3; i++)
        m.n[i] = v->grid.n[2 - i];
    memcpy(m.spacing, geometry->spacing, sizeof m.spacing);
    memcpy(m.origin, geometry->origin, sizeof m.origin);
    memcpy(m.direction, geometry->direction, sizeof m.direction);
    return m;
}

/* Lets the helper write FOLDER/NAME, with a second file for the voxels in some formats. */
static volt_status write_into(const char *folder, const char *path, const volt_volume *v,
                              const volt_image_geometry *geometry)
{
    const volt_itk_message m = describe(v, geometry);
    volt_itk_message answer;
    volt_itk_call *call = NULL;
    char *file = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&file, folder, volt_path_name(path)));
    VOLT_TRY(st, done, volt_itk_start(&call, "write", file, NULL, path));
    VOLT_TRY(st, done, volt_itk_send(call, &m, sizeof m));
    VOLT_TRY(st, done, volt_itk_send(call, v->data, m.bytes));
    VOLT_TRY(st, done, volt_itk_answer(&answer, call));
    st = volt_itk_end(&call);
done:
    volt_itk_abort(&call);
    volt_free(file);
    return st;
}

/* Flushes FOLDER/NAME and moves it next to `path`. */
static volt_status put(const char *folder, const char *name, const char *path)
{
    char *from = NULL, *to = NULL;
    int fd = -1;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&from, folder, name));
    VOLT_TRY(st, done,
             volt_format(&to, "%.*s%s", (int)(volt_path_name(path) - path), path, name));
    fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0 || rename(from, to) != 0)
        st = volt_fail(VOLT_EIO, "cannot write %s: %s", to, strerror(errno));
done:
    if (fd >= 0)
        close(fd);
    volt_free(to);
    volt_free(from);
    return st;
}

/* The file itself last: once it exists it is complete. */
static volt_status put_all(const char *folder, const char *path)
{
    const char *own = volt_path_name(path);
    volt_names names = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_list_dir(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        if (strcmp(names.name[i], own) != 0 &&
            file_bytes(folder, strlen(folder), names.name[i]) > 0)
            VOLT_TRY(st, done, put(folder, names.name[i], path));
    }
    st = put(folder, own, path);
done:
    volt_names_free(&names);
    return st;
}

/* What ITK would refuse in words of its own, or, the channels of GIPL, drop silently. */
static volt_status check_kind(const char *path, const volt_volume *v)
{
    const char *format = volt_image_format_name(path);
    const bool gipl = strcmp(format, "GIPL") == 0, tiff = strcmp(format, "TIFF") == 0;
    const volt_dtype type = v->dtype;

    if (gipl && v->grid.channels > 1)
        return volt_fail(VOLT_EINVAL,
                         "%s: GIPL stores 1 channel; there are %d; choose another format", path,
                         v->grid.channels);
    if ((gipl || tiff) && type != VOLT_U8 && type != VOLT_I8 && type != VOLT_U16 &&
        type != VOLT_I16 && type != VOLT_F32 && !(gipl && type == VOLT_F64))
        return volt_fail(VOLT_EINVAL,
                         "%s: %s stores 8-bit and 16-bit integers and %s; %s needs another "
                         "format or type",
                         path, format, gipl ? "floating-point values" : "float32",
                         volt_dtype_name(type));
    return VOLT_OK;
}

static volt_status itk_write(const char *path, const volt_volume *volume,
                             const volt_image_header *source,
                             const volt_image_write_options *options)
{
    static const volt_dtype label_types[] = {VOLT_U8, VOLT_U16, VOLT_I16, VOLT_I32};
    volt_image_write_options opt;
    volt_image_geometry geometry = geometry_of(&volume->grid, source);
    const volt_volume *voxels = NULL;
    volt_volume *converted = NULL;
    char *folder = NULL;
    int lock = -1;
    volt_status st;

    if ((st = volt_image_write_take(&opt, options)) != VOLT_OK)
        return st;
    if (volume->grid.n[0] != 1)
        geometry.axes = 3;
    else if (volt_image_is_picture(path))
        geometry.axes = 2;
    VOLT_TRY(st, done,
             volt_image_voxels(&voxels, &converted, path, volume, label_types,
                               sizeof label_types / sizeof *label_types, &opt));
    VOLT_TRY(st, done, check_kind(path, voxels));
    VOLT_TRY(st, done, volt_temporary_folder(&folder, &lock, path));
    VOLT_TRY(st, done, write_into(folder, path, voxels, &geometry));
    if (volt_image_is_picture(path) && geometry.axes == 3)
        VOLT_TRY(st, done, write_spacing(path, &geometry));
    st = put_all(folder, path);
done:
    if (folder)
        volt_remove_folder(folder);
    if (lock >= 0)
        close(lock);
    volt_free(folder);
    volt_volume_free(converted);
    return st;
}

const volt_image_format volt_format_itk = {
    .info = itk_info,
    .read = itk_read,
    .write = itk_write,
};
