/* Batch normalization of a trained model becomes part of the convolutions. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "nets3d/interop/weights.h"

#define BATCH_EPS 1e-5

enum { NAME = 512 };

/* The statistics of one norm, (c) each; `scale` and `shift` are 1 and 0 without. */
typedef struct batch_norm {
    float *mean, *var, *scale, *shift;
} batch_norm;

static void clear_norm(batch_norm *n)
{
    volt_free(n->shift);
    volt_free(n->scale);
    volt_free(n->var);
    volt_free(n->mean);
}

/* Where the tensors of one network's norms lie. */
typedef struct source {
    const volt_weights *w;
    const volt_name_map *map;
} source;

/* The file's name of tensor "PREFIX.SUFFIX". */
static const char *tensor_name(char room[VOLT_NAME_ROOM], const source *s, const char *prefix,
                               const char *suffix)
{
    char name[NAME];
    const char *found;

    snprintf(name, sizeof name, "%.480s.%.24s", prefix, suffix);
    found = volt_name_map_source(room, name, s->map);
    if (found == name)
        found = strcpy(room, name);
    return found;
}

static int64_t find_tensor(const source *s, const char *prefix, const char *suffix)
{
    char room[VOLT_NAME_ROOM];

    return volt_weights_find(s->w, tensor_name(room, s, prefix, suffix));
}

/* Tensor "PREFIX.SUFFIX", or `count` times `otherwise` where it is absent. */
static volt_status read_vector(float **out, const source *s, const char *prefix,
                               const char *suffix, int64_t count, float otherwise)
{
    const int64_t index = find_tensor(s, prefix, suffix);
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(out, (size_t)count * sizeof **out, "a norm's statistics"));
    if (index >= 0)
        return volt_weights_copy(*out, s->w, (size_t)index, count);
    for (int64_t i = 0; i < count; i++)
        (*out)[i] = otherwise;
done:
    return st;
}

static volt_status read_norm(batch_norm *n, const source *s, const char *prefix, int64_t count)
{
    volt_status st;

    VOLT_TRY(st, done, read_vector(&n->mean, s, prefix, "running_mean", count, 0));
    VOLT_TRY(st, done, read_vector(&n->var, s, prefix, "running_var", count, 1));
    VOLT_TRY(st, done, read_vector(&n->scale, s, prefix, "weight", count, 1));
    VOLT_TRY(st, done, read_vector(&n->shift, s, prefix, "bias", count, 0));
    for (int64_t i = 0; i < count; i++) {
        if (n->var[i] < 0) {
            st = volt_fail(VOLT_EFORMAT, "%s: number %lld of %s.running_var is %g",
                           volt_weights_path(s->w), (long long)i, prefix, (double)n->var[i]);
            goto done;
        }
    }
done:
    return st;
}

/* Whether parameter `index` is the weight of a transposed convolution, (ic, oc, ...). */
static bool is_transposed(const volt_graph *g, int index)
{
    for (int i = 0; i < volt_graph_node_count(g); i++) {
        const volt_node *n = volt_graph_node(g, i);
        if (n->weight == index)
            return n->kind == VOLT_NODE_TCONV;
    }
    return false;
}

static void fold(float *flat, const volt_graph *g, int weight, const volt_param *bias,
                 const batch_norm *n)
{
    const volt_param *p = volt_graph_param(g, weight);
    const bool transposed = is_transposed(g, weight);
    const int64_t taps = p->dims[2] * p->dims[3] * p->dims[4];
    float *w = flat + p->offset, *b = flat + bias->offset;

    for (int64_t i = 0; i < p->count; i++) {
        const int64_t c = transposed ? i / taps % p->dims[1] : i / (p->count / p->dims[0]);
        w[i] = (float)(w[i] * (n->scale[c] / sqrt(n->var[c] + BATCH_EPS)));
    }
    for (int64_t c = 0; c < bias->count; c++)
        b[c] = (float)((b[c] - n->mean[c]) * (n->scale[c] / sqrt(n->var[c] + BATCH_EPS)) +
                       n->shift[c]);
}

/* Takes the norm's tensors out of the list of unused ones. */
static void mark_used(volt_weights_report *r, const source *s, const char *prefix)
{
    static const char *const suffixes[] = {"running_mean", "running_var", "weight", "bias",
                                           "num_batches_tracked"};
    char room[VOLT_NAME_ROOM];

    for (size_t k = 0; k < sizeof suffixes / sizeof *suffixes; k++) {
        const char *name = tensor_name(room, s, prefix, suffixes[k]);
        size_t kept = 0;
        for (size_t i = 0; i < r->unused_count; i++) {
            if (strcmp(r->unused[i], name) != 0)
                r->unused[kept++] = r->unused[i];
        }
        r->unused_count = kept;
    }
}

volt_status volt_weights_fold_norms(float *flat, volt_weights_report *report,
                                    const volt_weights *w, const volt_graph *graph,
                                    const volt_name_map *map, int norms)
{
    static const char ending[] = ".conv.weight";
    const size_t end = sizeof ending - 1;
    const source from = {w, map};
    int folded = 0;
    volt_status st = VOLT_OK;

    for (int i = 0; i < volt_graph_param_count(graph) && st == VOLT_OK; i++) {
        const char *name = volt_graph_param(graph, i)->name;
        const size_t length = strlen(name);
        char prefix[NAME], full[NAME];
        batch_norm n = {0};
        int bias;

        if (length < end || length >= NAME - 32 || strcmp(name + length - end, ending) != 0)
            continue;
        snprintf(full, sizeof full, "%.*s.conv.bias", (int)(length - end), name);
        bias = volt_graph_find_param(graph, full);
        snprintf(prefix, sizeof prefix, "%.*s.adn.N", (int)(length - end), name);
        if (bias < 0 || find_tensor(&from, prefix, "running_var") < 0)
            continue;
        st = read_norm(&n, &from, prefix, volt_graph_param(graph, bias)->count);
        if (st == VOLT_OK)
            fold(flat, graph, i, volt_graph_param(graph, bias), &n);
        clear_norm(&n);
        mark_used(report, &from, prefix);
        folded++;
    }
    if (st == VOLT_OK && folded != norms)
        st = volt_fail(VOLT_EFORMAT,
                       "%s holds running statistics of %d batch norm%s, the network has %d",
                       volt_weights_path(w), folded, volt_s(folded), norms);
    return st;
}
