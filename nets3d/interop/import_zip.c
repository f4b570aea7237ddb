#include "nets3d/interop/import_zip.h"

#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/available.h"
#include "base/core/checked.h"
#include "base/core/fail.h"
#include "base/system/file.h"
#include "io/archive/zip.h"
#include "io/json/json.h"
#include "io/tensors/torch_file.h"

#define PLANS    "plans.json"
#define METADATA "configs/metadata.json"
enum { PIECE = 1 << 20, MAX_MODELS = 64 };

static bool ends_in(const char *text, const char *ending)
{
    const size_t n = strlen(text), m = strlen(ending);

    return n >= m && strcmp(text + n - m, ending) == 0;
}

/* torch's archives hold FOLDER/data.pkl. */
static bool is_torch(const volt_zip *zip)
{
    for (size_t i = 0; i < volt_zip_count(zip); i++) {
        const char *slash = strchr(volt_zip_at(zip, i)->name, '/');
        if (slash && strcmp(slash + 1, "data.pkl") == 0)
            return true;
    }
    return false;
}

volt_status volt_import_is_zip(bool *is, const char *path)
{
    volt_zip *zip = NULL;
    volt_map map = {0};
    bool starts = false;
    volt_status st;

    *is = false;
    if (volt_path_is_dir(path))
        return VOLT_OK;
    VOLT_TRY(st, done, volt_map_open(&map, path));
    starts = volt_zip_is(map.data, map.bytes);
    volt_map_close(&map);
    if (!starts)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_zip_open(&zip, path));
    *is = !is_torch(zip);
done:
    volt_zip_close(zip);
    return st;
}

/* ---- the models in an archive ---- */

/* Where a model lies: "" or "a/b/", the beginning of a member's name. */
typedef struct place {
    const char *name;
    int bytes;
    bool bundle;
} place;

/* The part of a member's name after the model's folder; NULL outside it. */
static const char *inside(const char *name, const place *p)
{
    return strncmp(name, p->name, (size_t)p->bytes) == 0 ? name + p->bytes : NULL;
}

static bool has_fold(const volt_zip *zip, const place *p)
{
    for (size_t i = 0; i < volt_zip_count(zip); i++) {
        const char *rest = inside(volt_zip_at(zip, i)->name, p);
        if (rest && strncmp(rest, "fold_", 5) == 0 && ends_in(rest, ".pth"))
            return true;
    }
    return false;
}

static int list_places(place out[MAX_MODELS], const volt_zip *zip)
{
    int count = 0;

    for (size_t i = 0; i < volt_zip_count(zip) && count < MAX_MODELS; i++) {
        const char *name = volt_zip_at(zip, i)->name;
        const bool bundle = ends_in(name, METADATA);
        const char *ending = bundle ? METADATA : PLANS;
        const size_t at = strlen(name) - volt_min_size(strlen(ending), strlen(name));
        place p = {name, (int)at, bundle};
        if (!ends_in(name, ending) || (at > 0 && name[at - 1] != '/'))
            continue;
        if (bundle || has_fold(zip, &p))
            out[count++] = p;
    }
    return count;
}

/* nnU-Net's folders end in __CONFIGURATION. */
static bool is_configuration(const place *p, const char *configuration)
{
    const size_t length = strlen(configuration);
    const char *at = p->name + p->bytes - 1 - (ptrdiff_t)length;

    return (size_t)p->bytes >= length + 3 && strncmp(at, configuration, length) == 0 &&
           strncmp(at - 2, "__", 2) == 0;
}

static volt_status choose_place(place *out, const volt_zip *zip, const char *path,
                                const volt_model_import_options *o)
{
    place all[MAX_MODELS];
    const int count = list_places(all, zip);
    char names[600] = "";
    int fit = 0;

    if (count == 0)
        return volt_fail(VOLT_EFORMAT,
                         "%s holds no model: neither torch's data.pkl, nor plans.json next to "
                         "fold_N/checkpoint_*.pth (nnU-Net), nor configs/metadata.json (MONAI)",
                         path);
    for (int i = 0; i < count; i++) {
        const size_t used = strlen(names);
        if (o->configuration && count > 1 && !is_configuration(&all[i], o->configuration))
            continue;
        *out = all[i];
        fit++;
        snprintf(names + used, sizeof names - used, "%s%.*s", used ? ", " : "",
                 all[i].bytes > 0 ? all[i].bytes - 1 : 0, all[i].name);
    }
    if (fit == 0)
        return volt_fail(VOLT_EINVAL, "%s holds %d models, none of configuration %s", path,
                         count, o->configuration);
    if (fit > 1)
        return volt_fail(
            VOLT_EINVAL,
            "%s holds several models: %s; choose a configuration, or unpack it and "
            "import one of the folders",
            path, names);
    return VOLT_OK;
}

/* ---- unpacking ---- */

/* The files that an import reads. */
static bool is_wanted(const char *rest, const place *p, const char *checkpoint)
{
    char file[64];
    const char *slash = strchr(rest, '/');

    if (p->bundle) {
        static const char *const files[] = {METADATA, "configs/inference.json",
                                            "configs/inference.yaml", "configs/inference.yml"};
        static const char *const weights[] = {".pt", ".pth", ".safetensors", ".ts"};
        const char *dot = strrchr(rest, '.');
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            if (strcmp(rest, files[i]) == 0)
                return true;
        }
        for (size_t i = 0; dot && i < sizeof weights / sizeof *weights; i++) {
            if (strncmp(rest, "models/", 7) == 0 && strchr(rest + 7, '/') == NULL &&
                strcmp(dot, weights[i]) == 0)
                return true;
        }
        return false;
    }
    snprintf(file, sizeof file, "checkpoint_%.32s.pth", checkpoint);
    return strcmp(rest, PLANS) == 0 || strcmp(rest, "dataset.json") == 0 ||
           (strncmp(rest, "fold_", 5) == 0 && slash && strcmp(slash + 1, file) == 0);
}

static volt_status write_member(const char *to, const char *rest, const volt_zip *zip,
                                const volt_zip_member *m, char *piece)
{
    volt_zip_stream *stream = NULL;
    char *path = NULL, *slash;
    volt_out *out = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, to, rest));
    slash = strrchr(path, '/');
    *slash = '\0';
    VOLT_TRY(st, done, volt_make_dirs(path));
    *slash = '/';
    VOLT_TRY(st, done, volt_zip_stream_open(&stream, zip, m));
    VOLT_TRY(st, done, volt_out_open(&out, path));
    for (size_t left = m->bytes; left > 0;) {
        const size_t n = volt_min_size(left, PIECE);
        VOLT_TRY(st, done, volt_zip_stream_read(stream, piece, n));
        VOLT_TRY(st, done, volt_out_write(out, piece, n));
        left -= n;
    }
    st = volt_out_commit(&out);
done:
    volt_out_abort(&out);
    volt_zip_stream_close(stream);
    volt_free(path);
    return st;
}

/* Links are refused, documents bounded, and all together must fit on the disk. */
static volt_status check_member(size_t *total, const char *path, const volt_zip_member *m)
{
    if (m->is_link)
        return volt_fail(VOLT_EFORMAT, "%s: member %.200s is a link", path, m->name);
    if (ends_in(m->name, ".json") && m->bytes > VOLT_JSON_MAX_BYTES)
        return volt_fail(VOLT_EFORMAT, "%s: member %.200s has %zu bytes; at most %zu are read",
                         path, m->name, m->bytes, VOLT_JSON_MAX_BYTES);
    if (volt_add_size(total, *total, m->bytes))
        *total = SIZE_MAX;
    return VOLT_OK;
}

static volt_status check_room(size_t total, const char *path, const char *to)
{
    char needed[VOLT_MEM_WORDS], there[VOLT_MEM_WORDS];
    int64_t room;
    const volt_status st = volt_disk_free(&room, to);

    if (st == VOLT_OK && total > (size_t)room)
        return volt_fail(
            VOLT_EIO, "%s: unpacking takes %s, but the disk of %s has only %s free", path,
            volt_mem_words(needed, total), to, volt_mem_words(there, (size_t)room));
    return st;
}

static volt_status unpack(const volt_zip *zip, const place *p, const char *path, const char *to,
                          const char *checkpoint)
{
    char *piece = NULL;
    size_t total = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&piece, PIECE, "unpacking"));
    for (int writing = 0; writing < 2; writing++) {
        for (size_t i = 0; i < volt_zip_count(zip); i++) {
            const volt_zip_member *m = volt_zip_at(zip, i);
            const char *rest = inside(m->name, p);
            if (!rest || !is_wanted(rest, p, checkpoint))
                continue;
            if (writing)
                VOLT_TRY(st, done, write_member(to, rest, zip, m, piece));
            else
                VOLT_TRY(st, done, check_member(&total, path, m));
        }
        if (!writing)
            VOLT_TRY(st, done, check_room(total, path, to));
    }
done:
    volt_free(piece);
    return st;
}

volt_status volt_import_unzip(char **model, const char *path, const char *to,
                              const volt_model_import_options *options)
{
    volt_zip *zip = NULL;
    char *folder = NULL;
    place p = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_zip_open(&zip, path));
    VOLT_TRY(st, done, choose_place(&p, zip, path, options));
    VOLT_TRY(st, done,
             volt_format(&folder, "%s/%.*s", to, p.bytes > 0 ? p.bytes - 1 : 0, p.name));
    VOLT_TRY(st, done, volt_make_dirs(folder));
    VOLT_TRY(
        st, done,
        unpack(zip, &p, path, folder, options->checkpoint ? options->checkpoint : "final"));
    *model = folder;
    folder = NULL;
done:
    volt_free(folder);
    volt_zip_close(zip);
    return st;
}

/* ---- names in messages ---- */

static void rename_all(char *out, size_t room, const char *line, const volt_import_names *n)
{
    const size_t length = strlen(n->from);
    size_t used = 0;

    for (const char *found; (found = strstr(line, n->from)) != NULL; line = found + length) {
        used += (size_t)snprintf(out + used, room - used, "%.*s%s", (int)(found - line), line,
                                 n->to);
        if (used >= room)
            return;
    }
    snprintf(out + used, room - used, "%s", line);
}

static void log_renamed(void *user, volt_log_level level, const char *line)
{
    const volt_import_names *n = user;
    char text[2048];

    if (n->inner && n->inner->log) {
        rename_all(text, sizeof text, line, n);
        n->inner->log(n->inner->user, level, text);
    }
}

static void progress_on(void *user, const char *what, int64_t done, int64_t total)
{
    const volt_import_names *n = user;

    if (n->inner && n->inner->progress)
        n->inner->progress(n->inner->user, what, done, total);
}

static bool is_cancelled(void *user)
{
    const volt_import_names *n = user;

    return n->inner && n->inner->cancelled && n->inner->cancelled(n->inner->user);
}

void volt_import_names_begin(volt_import_names *n, const char *from, const char *to,
                             const volt_callbacks *inner)
{
    *n = (volt_import_names){.from = from, .to = to, .inner = inner};
    n->outer = (volt_callbacks){
        .user = n, .progress = progress_on, .log = log_renamed, .cancelled = is_cancelled};
}

void volt_import_names_fix_error(const volt_import_names *n)
{
    char text[1024];

    rename_all(text, sizeof text, volt_last_error(), n);
    volt_set_last_error(text);
}
