#include "nets3d/train/transfer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "nets3d/run/folder.h"
#include "nets3d/run/found.h"
#include "nets3d/interop/weights.h"
#include "nets3d/plan.h"

#define NAMED 8 /* parameters of each kind that the log names */
#define HALF  0.5

/* Why a parameter, or a part of it, keeps its random values. */
typedef enum reason { MISSING, KERNEL, CHANNELS, REASONS } reason;

/* How many levels of a list of modules both networks have. */
typedef struct level_list {
    const char *prefix;
    int here, there;
} level_list;

/* Lists that begin at the coarsest level. */
enum { FROM_COARSEST = 4, DOWNSAMPLES = FROM_COARSEST, LISTS };
static const char *const prefixes[LISTS] = {"decoder.stages.", "decoder.transpconvs.",
                                            "decoder.seg_layers.", "upsamples.",
                                            "downsamples."};

/* The state of one transfer. */
typedef struct transfer {
    const volt_graph *graph;
    const volt_weights *weights;
    const char *path;
    volt_transfer_mode mode;
    int slices, slices_there; /* of the input */
    const double *scale;      /* of each parameter's rate; NULL = none is 0 */
    const volt_callbacks *cb;
    level_list list[LISTS];
    bool *used;            /* per tensor */
    int64_t lost[REASONS]; /* numbers that keep their random values */
    int64_t kernels;       /* parameters whose kernels differ */
    char example[REASONS][320];
    int frozen, frozen_lost; /* parameters */
    char frozen_example[320];
    volt_transfer_report report;
} transfer;

/* ---- levels ---- */

/* The number behind `prefix` in `name`, and what follows it; -1 = none. */
static int level_of(const char **rest, const char *name, const char *prefix)
{
    const size_t length = strlen(prefix);
    char *end;
    long level;

    if (strncmp(name, prefix, length) != 0 || name[length] < '0' || name[length] > '9')
        return -1;
    level = strtol(name + length, &end, 10);
    if (level > 999 || *end != '.')
        return -1;
    *rest = end;
    return (int)level;
}

static void count_level(int *levels, const char *name, const char *prefix)
{
    const char *rest;
    const int level = level_of(&rest, name, prefix);

    if (level >= *levels)
        *levels = level + 1;
}

static void count_levels(transfer *t)
{
    for (int k = 0; k < LISTS; k++) {
        level_list *l = &t->list[k];
        *l = (level_list){.prefix = prefixes[k]};
        for (int i = 0; i < volt_graph_param_count(t->graph); i++)
            count_level(&l->here, volt_graph_param(t->graph, i)->name, l->prefix);
        for (size_t i = 0; i < volt_weights_count(t->weights); i++)
            count_level(&l->there, volt_weights_name(t->weights, i), l->prefix);
    }
}

/* The name that the parameter `name` has in the source. Networks with different numbers of
 * levels agree from the finest one: levels that are numbered from the coarsest are renumbered,
 * and MONAI's bottleneck is the level after the last of downsamples. NULL: a level that the
 * source does not have. Borrowed: `name`, or `room`. */
static const char *source_name(char room[VOLT_NAME_ROOM], const transfer *t, const char *name)
{
    static const char bottleneck[] = "bottleneck.";
    const level_list *down = &t->list[DOWNSAMPLES];
    const char *rest = name;

    for (int k = 0; k < FROM_COARSEST; k++) {
        const level_list *l = &t->list[k];
        const int level = level_of(&rest, name, l->prefix);
        if (level < 0 || l->here == l->there)
            continue;
        if (level - l->here + l->there < 0)
            return NULL;
        snprintf(room, VOLT_NAME_ROOM, "%s%d%s", l->prefix, level - l->here + l->there, rest);
        return room;
    }
    if (level_of(&rest, name, down->prefix) == down->there && down->there > 0) {
        snprintf(room, VOLT_NAME_ROOM, "bottleneck%s", rest);
        return room;
    }
    if (down->here != down->there && strncmp(name, bottleneck, sizeof bottleneck - 1) == 0) {
        snprintf(room, VOLT_NAME_ROOM, "%s%d%s", down->prefix, down->here,
                 name + sizeof bottleneck - 2);
        return down->here < down->there ? room : NULL;
    }
    return name;
}

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

static bool same_kernel(const volt_param *p, const int64_t extents[5])
{
    for (int i = 2; i < p->ndim; i++) {
        if (extents[i] != p->dims[i])
            return false;
    }
    return true;
}

static bool is_empty(const volt_param *p, const int64_t extents[5])
{
    for (int i = 0; i < p->ndim; i++) {
        if (extents[i] < 1)
            return true;
    }
    return false;
}

static void shape_text(char out[96], int rank, const int64_t *shape)
{
    size_t used = 0;

    out[0] = '\0';
    for (int i = 0; i < rank && used + 24 < 96; i++)
        used += (size_t)snprintf(out + used, 96 - used, "%s%lld", i ? "x" : "",
                                 (long long)shape[i]);
}

/* ---- channels that both have ---- */

/* Channels `to`.. of the parameter are `from`.. of the tensor. */
typedef struct span {
    int64_t to, from, count;
} span;
enum { MAX_SPANS = 64 };
typedef struct spans {
    span item[MAX_SPANS];
    int count;
} spans;

static spans one_span(int64_t here, int64_t there)
{
    return (spans){.item = {{0, 0, here < there ? here : there}}, .count = 1};
}

/* The node whose weight is parameter `index`, or NULL. */
static const volt_node *node_of(const volt_graph *g, int index)
{
    for (int i = 0; i < volt_graph_node_count(g); i++) {
        const volt_node *n = volt_graph_node(g, i);
        if ((n->kind == VOLT_NODE_CONV || n->kind == VOLT_NODE_TCONV) && n->weight == index)
            return n;
    }
    return NULL;
}

static const volt_node *producer_of(const volt_graph *g, volt_value v)
{
    for (int i = 0; i < volt_graph_node_count(g); i++) {
        if (volt_graph_node(g, i)->out == v)
            return volt_graph_node(g, i);
    }
    return NULL;
}

/* Channels of an input of slices: channel c of slice s is c * slices + s. The slices in the
 * middle agree. False: too many channels, or a number that is no multiple of the slices. */
static bool slice_spans(spans *out, const transfer *t, int64_t here, int64_t there)
{
    const int64_t own = t->slices, other = t->slices_there;
    const int64_t reach = (own < other ? own : other) / 2;

    if (here % own || there % other)
        return false;
    out->count = (int)(here / own < there / other ? here / own : there / other);
    for (int c = 0; c < out->count && c < MAX_SPANS; c++)
        out->item[c] =
            (span){c * own + own / 2 - reach, c * other + other / 2 - reach, 2 * reach + 1};
    return out->count <= MAX_SPANS;
}

/* Input channels of a convolution. Behind a concatenation each of its inputs has a span of its
 * own, so that the channels of a skip connection do not come from those that were upsampled.
 * False: how the source's `there` channels are divided cannot be told. */
static bool input_spans(spans *out, const transfer *t, const volt_node *n, int64_t there)
{
    const volt_graph *g = t->graph;
    const volt_node *before = producer_of(g, n->in[0]);
    const int64_t here = n->in_channels;
    int64_t to = 0, from = 0;

    if (before && before->kind == VOLT_NODE_INPUT && (t->slices > 1 || t->slices_there > 1))
        return slice_spans(out, t, here, there);
    if (!before || before->kind != VOLT_NODE_CONCAT || here == there) {
        *out = one_span(here, there);
        return true;
    }
    out->count = before->inputs;
    for (int i = 0; i < before->inputs; i++) {
        const int64_t channels = volt_graph_channels(g, before->in[i]);
        const int64_t theirs = channels * there / here;
        if (theirs * here != channels * there)
            return false;
        out->item[i] = (span){to, from, channels < theirs ? channels : theirs};
        to += channels;
        from += theirs;
    }
    return true;
}

/* Spans of the first two axes; false as input_spans. */
static bool find_spans(spans axis[2], const transfer *t, const volt_param *p, int index,
                       const int64_t extents[5])
{
    const volt_node *n = node_of(t->graph, index);

    axis[0] = one_span(p->dims[0], extents[0]);
    axis[1] = p->ndim > 1 ? one_span(p->dims[1], extents[1]) : one_span(1, 1);
    if (!n || p->ndim < 2)
        return true;
    return n->kind == VOLT_NODE_CONV ? input_spans(&axis[1], t, n, extents[1])
                                     : input_spans(&axis[0], t, n, extents[0]);
}

/* Copies the channels of the spans; returns how many numbers. */
static int64_t copy_spans(float *to, const volt_param *p, const float *from,
                          const int64_t extents[5], const spans axis[2])
{
    const int64_t rows_to = p->ndim > 1 ? p->dims[1] : 1, rows = p->ndim > 1 ? extents[1] : 1;
    int64_t kernel = 1, copied = 0;

    for (int i = 2; i < p->ndim; i++)
        kernel *= p->dims[i];
    for (int i = 0; i < axis[0].count; i++) {
        for (int j = 0; j < axis[1].count; j++) {
            const span a = axis[0].item[i], b = axis[1].item[j];
            for (int64_t k = 0; k < a.count; k++)
                memcpy(to + ((a.to + k) * rows_to + b.to) * kernel,
                       from + ((a.from + k) * rows + b.from) * kernel,
                       (size_t)(b.count * kernel) * sizeof *to);
            copied += a.count * b.count * kernel;
        }
    }
    return copied;
}

/* ---- one parameter ---- */

/* Notes that `numbers` of a parameter keep their random values. */
static void lose(transfer *t, int index, reason why, int64_t numbers, const char *example)
{
    t->lost[why] += numbers;
    if (!*t->example[why])
        snprintf(t->example[why], sizeof t->example[why], "%s", example);
    if (t->scale && t->scale[index] == 0 && !t->frozen_lost++)
        snprintf(t->frozen_example, sizeof t->frozen_example, "%s", example);
}

/* "NAME (4x1x3x3x3 there, 4x2x3x3x3 here)", or only the kernels where these differ. `v` NULL:
 * the source has no such tensor. */
static void compare_text(char out[320], const volt_param *p, const volt_tensor_view *v,
                         reason why)
{
    const int first = why == KERNEL && v && v->rank > 2 && p->ndim > 2 ? 2 : 0;
    char here[96], there[96] = "absent";

    shape_text(here, p->ndim - first, p->dims + first);
    if (v)
        shape_text(there, v->rank - first, v->shape + first);
    snprintf(out, 320, "%.120s (%s%.60s there, %.60s here)", p->name, first ? "kernel " : "",
             there, here);
}

/* A parameter that does not fit: fails if strict, else logs it. */
static volt_status misfit(transfer *t, int index, const volt_tensor_view *v, reason why)
{
    const volt_param *p = volt_graph_param(t->graph, index);
    int64_t *count = v ? &t->report.shapes : &t->report.missing;
    char example[320];

    compare_text(example, p, v, why);
    if (t->mode == VOLT_TRANSFER_STRICT)
        return volt_fail(VOLT_EDATA, "%s does not fit this network: %s", t->path, example);
    if ((*count)++ < NAMED)
        volt_report(t->cb, VOLT_LOG_INFO, "init: not taken: %s", example);
    t->kernels += why == KERNEL;
    lose(t, index, why, p->count, example);
    return VOLT_OK;
}

static volt_status take_part(transfer *t, float *flat, int index, size_t tensor,
                             const int64_t extents[5], const spans axis[2])
{
    const volt_param *p = volt_graph_param(t->graph, index);
    const volt_tensor_view *v = volt_weights_view(t->weights, tensor);
    char example[320];
    int64_t count = 1, copied;
    float *room = NULL;
    volt_status st;

    for (int i = 0; i < p->ndim; i++)
        count *= extents[i]; /* the reader has checked the product */
    VOLT_TRY(
        st, done,
        volt_alloc_zero(&room, (size_t)count, sizeof *room, "a tensor of the initial weights"));
    VOLT_TRY(st, done, volt_weights_copy(room, t->weights, tensor, count));
    copied = copy_spans(flat + p->offset, p, room, extents, axis);
    t->report.elements += copied;
    compare_text(example, p, v, CHANNELS);
    if (t->report.partly++ < NAMED)
        volt_report(t->cb, VOLT_LOG_INFO, "init: taken in part: %s", example);
    if (copied < p->count)
        lose(t, index, CHANNELS, p->count - copied, example);
done:
    volt_free(room);
    return st;
}

/* Whether the parameter reads the input, and that is divided into slices differently. */
static bool other_input(const transfer *t, int index)
{
    const volt_node *n = node_of(t->graph, index);
    const volt_node *before = n ? producer_of(t->graph, n->in[0]) : NULL;

    return before && before->kind == VOLT_NODE_INPUT && t->slices != t->slices_there;
}

static volt_status take(transfer *t, float *flat, int index)
{
    const volt_param *p = volt_graph_param(t->graph, index);
    char room[VOLT_NAME_ROOM];
    const char *name = source_name(room, t, p->name);
    const int64_t tensor = name ? volt_weights_find(t->weights, name) : -1;
    const volt_tensor_view *v;
    int64_t extents[5] = {0};
    spans axis[2];

    t->frozen += t->scale && t->scale[index] == 0;
    if (tensor < 0)
        return misfit(t, index, NULL, MISSING);
    v = volt_weights_view(t->weights, (size_t)tensor);
    t->used[tensor] = true;
    if (!extents_of(extents, v, p->ndim) || is_empty(p, extents) || !same_kernel(p, extents))
        return misfit(t, index, v, KERNEL);
    if (same_extents(p, extents) && !other_input(t, index)) {
        t->report.taken++;
        t->report.elements += p->count;
        return volt_weights_copy(flat + p->offset, t->weights, (size_t)tensor, p->count);
    }
    if (t->mode == VOLT_TRANSFER_TOLERANT && find_spans(axis, t, p, index, extents))
        return take_part(t, flat, index, (size_t)tensor, extents, axis);
    return misfit(t, index, v, CHANNELS);
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

/* Whether no convolution of the source, or of the graph, reaches beyond one slice. */
static bool source_is_flat(const volt_weights *w)
{
    for (size_t i = 0; i < volt_weights_count(w); i++) {
        const volt_tensor_view *v = volt_weights_view(w, i);
        if (v->rank == 5 && v->shape[2] > 1)
            return false;
    }
    return true;
}

static bool graph_is_flat(const volt_graph *g)
{
    for (int i = 0; i < volt_graph_param_count(g); i++) {
        if (volt_graph_param(g, i)->ndim == 5 && volt_graph_param(g, i)->dims[2] > 1)
            return false;
    }
    return true;
}

/* Why most of what was lost was lost. */
static void explain(char *out, size_t bytes, const transfer *t)
{
    static const char *const words[REASONS] = {[MISSING] = "it has no such parameter",
                                               [KERNEL] = "kernels differ",
                                               [CHANNELS] = "numbers of channels differ"};
    const bool flat = graph_is_flat(t->graph), from_flat = source_is_flat(t->weights);
    reason most = MISSING;

    for (reason r = MISSING; r < REASONS; r++)
        most = t->lost[r] > t->lost[most] ? r : most;
    if (most == KERNEL && flat != from_flat)
        snprintf(out, bytes, "its weights are those of a %s network, and this one is %s",
                 from_flat ? "2-D" : "3-D", flat ? "2-D" : "3-D");
    else
        snprintf(out, bytes, "%s, as in %s", words[most], t->example[most]);
}

static volt_status check_report(transfer *t)
{
    const volt_transfer_report *r = &t->report;
    const double fraction = (double)r->elements / (double)volt_graph_param_elements(t->graph);
    char why[480];

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
                volt_s(r->unused), 100 * fraction);
    if (t->kernels > 0)
        volt_report(t->cb, VOLT_LOG_INFO,
                    "init: kernels are not resized: %lld parameter%s whose kernel has another "
                    "size there start%s at random, such as %s",
                    (long long)t->kernels, volt_s(t->kernels), t->kernels == 1 ? "s" : "",
                    t->example[KERNEL]);
    explain(why, sizeof why, t);
    if (t->frozen_lost > 0)
        return volt_fail(
            VOLT_EDATA,
            "%d of %d frozen parameter%s would keep random values, because the weights of %s "
            "do not fit, or only in part: %s; %s",
            t->frozen_lost, t->frozen, volt_s(t->frozen), t->path, t->frozen_example, why);
    if (fraction < HALF)
        volt_report(t->cb, VOLT_LOG_WARNING,
                    "only %.1f %% of the network is taken from %s, the rest starts at random: "
                    "%s",
                    100 * fraction, t->path, why);
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

volt_status volt_transfer_check(const char *source)
{
    volt_weights *weights = NULL;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, find_file(&path, source));
    st = volt_weights_open(&weights, path);
done:
    volt_weights_close(weights);
    volt_free(path);
    return st;
}

/* Slices in the input of a network of VOLT's; 1 for other files. */
static int slices_of(const char *path)
{
    const volt_plan_config *config;
    volt_run_found found = {0};
    volt_plan *plan = NULL;
    int slices = 1;

    if (volt_run_found_read(&found, path) == VOLT_OK &&
        volt_plan_parse(&plan, found.head.plan, strlen(found.head.plan), path, &found.info) ==
            VOLT_OK &&
        volt_plan_find(&config, plan, found.recipe.configuration) == VOLT_OK)
        slices = config->slices > 0 ? config->slices : 1;
    volt_plan_free(plan);
    volt_run_found_clear(&found);
    return slices;
}

volt_status volt_transfer(float *flat, const volt_graph *graph, const char *source,
                          volt_transfer_mode mode, int slices, const double *scale,
                          const volt_callbacks *cb, volt_transfer_report *report)
{
    transfer t = {.graph = graph,
                  .mode = mode,
                  .slices = slices > 0 ? slices : 1,
                  .scale = scale,
                  .cb = cb};
    volt_weights *weights = NULL;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, find_file(&path, source));
    VOLT_TRY(st, done, volt_weights_open(&weights, path));
    t.weights = weights;
    t.path = path;
    t.slices_there = slices_of(path);
    VOLT_TRY(st, done,
             volt_alloc_zero(&t.used, volt_weights_count(weights) + 1, sizeof *t.used,
                             "a list of tensors"));
    count_levels(&t);
    for (int i = 0; i < volt_graph_param_count(graph); i++)
        VOLT_TRY(st, done, take(&t, flat, i));
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
