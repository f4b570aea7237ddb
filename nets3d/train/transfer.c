#include "nets3d/train/transfer.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "nets3d/run/folder.h"
#include "nets3d/interop/weights.h"

#define NAMED 8 /* parameters of each kind that the log names */

/* The state of one transfer. */
typedef struct transfer {
    const volt_graph *graph;
    const volt_weights *weights;
    const char *path;
    volt_transfer_mode mode;
    const volt_callbacks *cb;
    bool *used; /* per tensor */
    volt_transfer_report report;
} transfer;

/* ---- shapes ---- */

/* Extents of `v` as a parameter of rank `ndim` has them: a 2-D kernel gets one voxel along d.
 * False when ranks differ otherwise. */
static bool extents_of(int64_t out[5], const volt_tensor_view *v, int ndim)
{
    const bool flat = v->rank == 4 && ndim == 5;

    if (v->rank != ndim && !flat)
        return false;
    for (int i = 0; i < ndim; i++)
        out[i] = !flat || i < 2 ? v->shape[i] : i == 2 ? 1 : v->shape[i - 1];
    return true;
}

static bool same_extents(const volt_param *p, const int64_t extents[5])
{
    return memcmp(p->dims, extents, (size_t)p->ndim * sizeof *extents) == 0;
}

/* Whether both have channels in common, and the same kernel. */
static bool overlaps(const volt_param *p, const int64_t extents[5])
{
    for (int i = 0; i < p->ndim; i++) {
        if (extents[i] < 1 || (i >= 2 && extents[i] != p->dims[i]))
            return false;
    }
    return true;
}

/* Copies the channels that both have; returns how many numbers. */
static int64_t copy_common(float *to, const volt_param *p, const float *from,
                           const int64_t extents[5])
{
    int64_t common[2] = {p->dims[0] < extents[0] ? p->dims[0] : extents[0], 1}, kernel = 1;
    const int64_t rows_to = p->ndim > 1 ? p->dims[1] : 1, rows = p->ndim > 1 ? extents[1] : 1;

    if (p->ndim > 1)
        common[1] = rows_to < rows ? rows_to : rows;
    for (int i = 2; i < p->ndim; i++)
        kernel *= p->dims[i];
    for (int64_t a = 0; a < common[0]; a++)
        for (int64_t b = 0; b < common[1]; b++)
            memcpy(to + (a * rows_to + b) * kernel, from + (a * rows + b) * kernel,
                   (size_t)kernel * sizeof *to);
    return common[0] * common[1] * kernel;
}

static void shape_text(char out[96], int rank, const int64_t *shape)
{
    size_t used = 0;

    out[0] = '\0';
    for (int i = 0; i < rank && used + 24 < 96; i++)
        used += (size_t)snprintf(out + used, 96 - used, "%s%lld", i ? "x" : "",
                                 (long long)shape[i]);
}

/* ---- one parameter ---- */

/* A parameter that does not fit: fails if strict, else logs it. */
static volt_status misfit(transfer *t, const volt_param *p, const volt_tensor_view *v)
{
    int64_t *count = v ? &t->report.shapes : &t->report.missing;
    char here[96], there[96];

    shape_text(here, p->ndim, p->dims);
    if (v)
        shape_text(there, v->rank, v->shape);
    else
        snprintf(there, sizeof there, "absent");
    if (t->mode == VOLT_TRANSFER_STRICT)
        return volt_fail(VOLT_EDATA, "%s does not fit: %s is %s there and %s in this network",
                         t->path, p->name, there, here);
    if ((*count)++ < NAMED)
        volt_report(t->cb, VOLT_LOG_INFO, "init: not taken: %s (%s there, %s here)", p->name,
                    there, here);
    return VOLT_OK;
}

static volt_status take_part(transfer *t, float *to, const volt_param *p, size_t index,
                             const int64_t extents[5])
{
    const volt_tensor_view *v = volt_weights_view(t->weights, index);
    int64_t count = 1;
    char here[96], there[96];
    float *room = NULL;
    volt_status st;

    for (int i = 0; i < p->ndim; i++)
        count *= extents[i]; /* the reader has checked the product */
    VOLT_TRY(
        st, done,
        volt_alloc_zero(&room, (size_t)count, sizeof *room, "a tensor of the initial weights"));
    VOLT_TRY(st, done, volt_weights_copy(room, t->weights, index, count));
    t->report.elements += copy_common(to, p, room, extents);
    shape_text(here, p->ndim, p->dims);
    shape_text(there, v->rank, v->shape);
    if (t->report.partly++ < NAMED)
        volt_report(t->cb, VOLT_LOG_INFO, "init: taken in part: %s (%s there, %s here)",
                    p->name, there, here);
done:
    volt_free(room);
    return st;
}

static volt_status take(transfer *t, float *flat, const volt_param *p)
{
    const int64_t index = volt_weights_find(t->weights, p->name);
    const volt_tensor_view *v;
    int64_t extents[5] = {0};

    if (index < 0)
        return misfit(t, p, NULL);
    v = volt_weights_view(t->weights, (size_t)index);
    t->used[index] = true;
    if (!extents_of(extents, v, p->ndim))
        return misfit(t, p, v);
    if (same_extents(p, extents)) {
        t->report.taken++;
        t->report.elements += p->count;
        return volt_weights_copy(flat + p->offset, t->weights, (size_t)index, p->count);
    }
    if (t->mode == VOLT_TRANSFER_TOLERANT && overlaps(p, extents))
        return take_part(t, flat + p->offset, p, (size_t)index, extents);
    return misfit(t, p, v);
}

/* ---- all parameters ---- */

/* Tensors that may stay unused: optimizer state, and nnU-Net's second names of the same
 * weights.
 */
static bool may_be_unused(const char *name)
{
    return strncmp(name, "optimizer.", 10) == 0 || strncmp(name, "decoder.encoder.", 16) == 0 ||
           strstr(name, ".all_modules.");
}

static void report_unused(transfer *t)
{
    for (size_t i = 0; i < volt_weights_count(t->weights); i++) {
        const char *name = volt_weights_name(t->weights, i);
        if (t->used[i] || may_be_unused(name))
            continue;
        if (t->report.unused++ < NAMED)
            volt_report(t->cb, VOLT_LOG_INFO, "init: unused: %s", name);
    }
}

static volt_status check_report(transfer *t)
{
    const volt_transfer_report *r = &t->report;

    if (r->taken + r->partly == 0)
        return volt_fail(VOLT_EDATA,
                         "%s contains nothing for this network: no name and shape match",
                         t->path);
    volt_report(t->cb, VOLT_LOG_INFO,
                "init: %lld of %d parameter%s taken from %s, %lld in part, %lld of another "
                "shape, %lld absent there, %lld unused tensor%s (%.1f %% of the numbers)",
                (long long)r->taken, volt_graph_param_count(t->graph),
                volt_s(volt_graph_param_count(t->graph)), t->path, (long long)r->partly,
                (long long)r->shapes, (long long)r->missing, (long long)r->unused,
                volt_s(r->unused),
                100.0 * (double)r->elements / (double)volt_graph_param_elements(t->graph));
    return VOLT_OK;
}

/* The file of `source`; the caller owns *out. */
static volt_status find_file(char **out, const char *source)
{
    volt_names runs = {0};
    volt_status st;

    if (!volt_path_is_dir(source))
        return volt_strdup(out, source);
    VOLT_TRY(st, done, volt_run_folds(&runs, source));
    if (runs.count > 1) {
        st = volt_fail(VOLT_EINVAL, "%s contains %zu runs: name one of them, such as %s",
                       source, runs.count, runs.name[0]);
        goto done;
    }
    st = volt_run_checkpoint(out, runs.name[0], NULL);
done:
    volt_names_free(&runs);
    return st;
}

volt_status volt_transfer(float *flat, const volt_graph *graph, const char *source,
                          volt_transfer_mode mode, const volt_callbacks *cb,
                          volt_transfer_report *report)
{
    transfer t = {.graph = graph, .mode = mode, .cb = cb};
    volt_weights *weights = NULL;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, find_file(&path, source));
    VOLT_TRY(st, done, volt_weights_open(&weights, path));
    t.weights = weights;
    t.path = path;
    VOLT_TRY(st, done,
             volt_alloc_zero(&t.used, volt_weights_count(weights) + 1, sizeof *t.used,
                             "a list of tensors"));
    for (int i = 0; i < volt_graph_param_count(graph); i++)
        VOLT_TRY(st, done, take(&t, flat, volt_graph_param(graph, i)));
    report_unused(&t);
    VOLT_TRY(st, done, check_report(&t));
    if (report)
        *report = t.report;
done:
    volt_free(t.used);
    volt_weights_close(weights);
    volt_free(path);
    return st;
}
