#include "nets3d/run/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/archive/crc32.h"
#include "io/tensors/safetensors.h"
#include "nets3d/graph/params.h"

/* Why one file: weights, optimizer state and counters must belong to the same iteration, and a
 * kill may come at any time. The file is replaced atomically, so what is on disk is always one
 * consistent moment. Everything needed to predict (plan, channels, labels) is in it too: a
 * checkpoint can be copied without its run.
 *
 * Two checksums guard it, because the parts are read at different times. The head is read often
 * and alone (to list folds, to compare plans), so the texts have their own checksum; reading
 * them must not read hundreds of MiB of tensors. safetensors.h verifies each tensor when it is
 * copied. */
#define FORMAT "volt-checkpoint-1"

static const char *const text_keys[4] = {"plan", "dataset", "recipe", "state"};

/* The head's texts, in the order of text_keys. */
static void texts_of(char **out[4], volt_checkpoint_head *head)
{
    out[0] = &head->plan;
    out[1] = &head->dataset;
    out[2] = &head->recipe;
    out[3] = &head->state;
}

void volt_checkpoint_head_free(volt_checkpoint_head *head)
{
    char **text[4];

    texts_of(text, head);
    for (int i = 0; i < 4; i++)
        volt_free(*text[i]);
    *head = (volt_checkpoint_head){0};
}

/* CRC-32 of the texts, each with its terminator, as eight hex digits. */
static void texts_checksum(char out[9], const char *const text[4])
{
    uint32_t crc = 0;

    for (int i = 0; i < 4; i++)
        crc = volt_crc32(crc, text[i], strlen(text[i]) + 1);
    snprintf(out, 9, "%08x", (unsigned)crc);
}

/* ---- writing ---- */

static volt_tensor_view view_of(const volt_param *p, const char *name, const float *flat)
{
    volt_tensor_view v = {.name = name,
                          .type = VOLT_TENSOR_F32,
                          .rank = p->ndim,
                          .data = flat + p->offset,
                          .bytes = (size_t)p->count * sizeof(float)};

    memcpy(v.shape, p->dims, (size_t)p->ndim * sizeof *v.shape);
    return v;
}

/* Weights first, then slot by slot of the parameters that learn: *count views. The caller frees
 * the names of the slots. */
static volt_status make_views(volt_tensor_view *view, size_t *count, char **name,
                              const volt_graph *graph, const float *weights, float *const *slot,
                              int slots)
{
    const int params = volt_graph_param_count(graph);
    volt_status st = VOLT_OK;

    *count = 0;

    for (int i = 0; i < params; i++) {
        const volt_param *p = volt_graph_param(graph, i);
        view[(*count)++] = view_of(p, p->name, weights);
    }
    for (int s = 0; s < slots; s++) {
        for (int i = 0; i < params; i++) {
            const volt_param *p = volt_graph_param(graph, i);
            char **own = &name[s * params + i];
            if (!volt_param_learns(p))
                continue;
            VOLT_TRY(st, done, volt_format(own, "optimizer.%d.%s", s, p->name));
            view[(*count)++] = view_of(p, *own, slot[s]);
        }
    }
done:
    return st;
}

volt_status volt_checkpoint_write(const char *path, const volt_checkpoint_head *head,
                                  const volt_graph *graph, const float *weights,
                                  float *const slot[VOLT_CHECKPOINT_MAX_SLOTS])
{
    const char *const text[4] = {head->plan, head->dataset, head->recipe, head->state};
    const size_t params = (size_t)volt_graph_param_count(graph);
    const size_t named = params * (size_t)head->slots;
    size_t views;
    volt_metadata metadata[6];
    volt_tensor_view *view = NULL;
    char **name = NULL;
    char checksum[9];
    volt_status st;

    texts_checksum(checksum, text);
    metadata[0] = (volt_metadata){"format", FORMAT};
    for (int i = 0; i < 4; i++)
        metadata[1 + i] = (volt_metadata){text_keys[i], text[i]};
    metadata[5] = (volt_metadata){"checksum", checksum};
    VOLT_TRY(st, done,
             volt_alloc_zero(&view, params + named, sizeof *view, "a checkpoint's list"));
    VOLT_TRY(st, done, volt_alloc_zero(&name, named, sizeof *name, "a checkpoint's list"));
    VOLT_TRY(st, done, make_views(view, &views, name, graph, weights, slot, head->slots));
    st = volt_safetensors_write(path, view, views, metadata, 6);
done:
    for (size_t i = 0; name && i < named; i++)
        volt_free(name[i]);
    volt_free(name);
    volt_free(view);
    return st;
}

/* ---- reading ---- */

/* Opens `path` and checks the texts. `text` is borrowed from the file. */
static volt_status open_checked(volt_safetensors **out, const char *text[4], const char *path)
{
    volt_safetensors *file = NULL;
    const char *format, *checksum;
    char expected[9];
    volt_status st;

    VOLT_TRY(st, done, volt_safetensors_open(&file, path));
    format = volt_safetensors_metadata(file, "format");
    if (!format || strcmp(format, FORMAT) != 0) {
        st =
            volt_fail(VOLT_EFORMAT,
                      "%s is not a VOLT checkpoint: its metadata has format '%.40s' instead of "
                      "'" FORMAT "'",
                      path, format ? format : "");
        goto done;
    }
    if (!volt_safetensors_metadata(file, "volt_crc32")) { /* verified where it is present */
        st = volt_fail(VOLT_EFORMAT, "%s: its metadata lacks 'volt_crc32'", path);
        goto done;
    }
    for (int i = 0; i < 4; i++) {
        text[i] = volt_safetensors_metadata(file, text_keys[i]);
        if (!text[i]) {
            st = volt_fail(VOLT_EFORMAT, "%s: its metadata lacks '%s'", path, text_keys[i]);
            goto done;
        }
    }
    texts_checksum(expected, text);
    checksum = volt_safetensors_metadata(file, "checksum");
    if (!checksum || strcmp(checksum, expected) != 0) {
        st = volt_fail(VOLT_EFORMAT,
                       "%s is damaged: the checksum of its metadata is %s, but %.40s is stored",
                       path, expected, checksum ? checksum : "none");
        goto done;
    }
    *out = file;
    file = NULL;
done:
    volt_safetensors_close(file);
    return st;
}

/* The slot of an "optimizer.I.NAME", or -1 for a weight. */
static int slot_of(const char *name)
{
    const size_t length = strlen("optimizer.");

    if (strncmp(name, "optimizer.", length) != 0 || name[length] < '0' ||
        name[length] >= '0' + VOLT_CHECKPOINT_MAX_SLOTS || name[length + 1] != '.')
        return -1;
    return name[length] - '0';
}

static void count_tensors(volt_checkpoint_head *head, const volt_safetensors *file)
{
    for (size_t i = 0; i < volt_safetensors_count(file); i++) {
        const volt_tensor_view *v = volt_safetensors_at(file, i);
        const int slot = slot_of(v->name);
        if (slot < 0)
            head->weights += (int64_t)(v->bytes / volt_tensor_type_bytes(v->type));
        else if (slot >= head->slots)
            head->slots = slot + 1;
    }
}

volt_status volt_checkpoint_read_head(volt_checkpoint_head *out, const char *path)
{
    volt_checkpoint_head head = {0};
    volt_safetensors *file = NULL;
    const char *from[4];
    char **to[4];
    volt_status st;

    texts_of(to, &head);
    VOLT_TRY(st, done, open_checked(&file, from, path));
    for (int i = 0; i < 4; i++)
        VOLT_TRY(st, done, volt_strdup(to[i], from[i]));
    count_tensors(&head, file);
    *out = head;
    head = (volt_checkpoint_head){0};
done:
    volt_safetensors_close(file);
    volt_checkpoint_head_free(&head);
    return st;
}

static volt_status copy_param(float *flat, const volt_safetensors *file, const volt_param *p,
                              int slot)
{
    char *name = NULL;
    volt_status st;

    if (slot < 0)
        return volt_safetensors_copy(flat + p->offset, file, p->name, VOLT_TENSOR_F32, p->ndim,
                                     p->dims);
    st = volt_format(&name, "optimizer.%d.%s", slot, p->name);
    if (st == VOLT_OK)
        st = volt_safetensors_copy(flat + p->offset, file, name, VOLT_TENSOR_F32, p->ndim,
                                   p->dims);
    volt_free(name);
    return st;
}

volt_status volt_checkpoint_read(const char *path, const volt_graph *graph, float *weights,
                                 float *const slot[VOLT_CHECKPOINT_MAX_SLOTS], int slots)
{
    const int params = volt_graph_param_count(graph);
    volt_checkpoint_head found = {0};
    volt_safetensors *file = NULL;
    const char *text[4];
    volt_status st;

    VOLT_TRY(st, done, open_checked(&file, text, path));
    count_tensors(&found, file);
    if (found.weights != volt_graph_param_elements(graph)) {
        st = volt_fail(VOLT_EFORMAT,
                       "%s belongs to another network: it has %lld parameter%s instead of %lld",
                       path, (long long)found.weights, volt_s(found.weights),
                       (long long)volt_graph_param_elements(graph));
        goto done;
    }
    for (int s = weights ? -1 : 0; s < (slot ? slots : 0); s++) {
        for (int i = 0; i < params; i++) {
            const volt_param *p = volt_graph_param(graph, i);
            if (s < 0 || volt_param_learns(p))
                VOLT_TRY(st, done, copy_param(s < 0 ? weights : slot[s], file, p, s));
        }
    }
done:
    volt_safetensors_close(file);
    return st;
}
