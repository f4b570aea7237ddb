#include "nets3d/graph/params.h"

#include <math.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"

/* Bounds that keep every product of extents far from overflow. */
#define MAX_CHANNELS   ((int64_t)1 << 20)
#define MAX_WINDOW     ((int64_t)1 << 10)
#define MAX_PARAMETERS ((int64_t)1 << 40)

struct volt_graph {
    volt_node *nodes;
    int node_count, node_capacity;
    int64_t *channels; /* of each value */
    int value_capacity;
    volt_value *outputs;
    int output_count, output_capacity;
    volt_param *params;
    int param_count, param_capacity;
    int64_t elements; /* of all parameters */
    int64_t learned;  /* of those that learn */
};

volt_status volt_graph_create(volt_graph **out)
{
    return volt_alloc_zero(out, 1, sizeof **out, "a graph");
}

void volt_graph_free(volt_graph *g)
{
    if (!g)
        return;
    for (int i = 0; i < g->param_count; i++)
        volt_free((void *)(uintptr_t)g->params[i].name);
    volt_free(g->params);
    volt_free(g->outputs);
    volt_free(g->channels);
    volt_free(g->nodes);
    volt_free(g);
}

/* Makes room for one more item in the array *items. */
static volt_status grow(void *items, int count, int *capacity, size_t item_bytes)
{
    const int wanted = *capacity ? 2 * *capacity : 16;
    volt_status st;

    if (count < *capacity)
        return VOLT_OK;
    st =
        volt_realloc(items, (size_t)count * item_bytes, (size_t)wanted * item_bytes, "a graph");
    if (st == VOLT_OK)
        *capacity = wanted;
    return st;
}

/* Every node produces one value, so values and nodes share their indices. */
static volt_status add_node(volt_graph *g, volt_value *out, volt_node node)
{
    volt_status st;

    VOLT_TRY(st, done, grow(&g->nodes, g->node_count, &g->node_capacity, sizeof *g->nodes));
    VOLT_TRY(st, done,
             grow(&g->channels, g->node_count, &g->value_capacity, sizeof *g->channels));
    node.out = g->node_count;
    g->nodes[g->node_count] = node;
    g->channels[g->node_count] = node.out_channels;
    *out = g->node_count++;
done:
    return st;
}

static volt_status check_value(const volt_graph *g, volt_value v)
{
    if (v < 0 || v >= g->node_count)
        return volt_fail(VOLT_EINVAL, "value %d is not in the graph (it has %d)", (int)v,
                         g->node_count);
    return VOLT_OK;
}

static volt_status check_channels(int64_t channels, const char *what)
{
    if (channels < 1 || channels > MAX_CHANNELS)
        return volt_fail(VOLT_EINVAL, "%s: %lld channels, expected 1..%lld", what,
                         (long long)channels, (long long)MAX_CHANNELS);
    return VOLT_OK;
}

static volt_status check_window(const int64_t *v, int64_t least, const char *what,
                                const char *name)
{
    for (int axis = 0; axis < 3; axis++) {
        if (v[axis] < least || v[axis] > MAX_WINDOW)
            return volt_fail(VOLT_EINVAL, "%s: %s along %c is %lld, expected %lld..%lld", name,
                             what, "dhw"[axis], (long long)v[axis], (long long)least,
                             (long long)MAX_WINDOW);
    }
    return VOLT_OK;
}

/* A node with one input and as many channels out as in. */
static volt_node unary(const volt_graph *g, volt_node_kind kind, volt_value in)
{
    const volt_node node = {.kind = kind,
                            .inputs = 1,
                            .in = {in},
                            .in_channels = g->channels[in],
                            .out_channels = g->channels[in],
                            .conv = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}},
                            .weight = -1,
                            .bias = -1,
                            .running_mean = -1,
                            .running_var = -1};
    return node;
}

/* Offsets of all parameters, in their order: first of those that learn, then of the rest. */
static void place_params(volt_graph *g)
{
    int64_t at = 0;

    for (int state = 0; state < 2; state++) {
        for (int i = 0; i < g->param_count; i++) {
            volt_param *p = &g->params[i];
            if (volt_param_learns(p) == (state == 1))
                continue;
            p->offset = at;
            at += p->count;
        }
        if (state == 0)
            g->learned = at;
    }
    g->elements = at;
}

/* Declares parameter `name` (owned from now on) and gives its index. */
static volt_status add_named(volt_graph *g, int *out, char *full, volt_param param)
{
    volt_status st;

    if (volt_graph_find_param(g, full) >= 0) {
        st = volt_fail(VOLT_EINVAL, "parameter '%s' is declared twice", full);
        goto done;
    }
    param.count = 1;
    for (int i = 0; i < param.ndim; i++) {
        if (volt_mul_i64(&param.count, param.count, param.dims[i]))
            param.count = MAX_PARAMETERS;
    }
    if (param.count >= MAX_PARAMETERS - g->elements) {
        st = volt_fail(VOLT_EINVAL, "parameter '%s' is too large", full);
        goto done;
    }
    VOLT_TRY(st, done, grow(&g->params, g->param_count, &g->param_capacity, sizeof *g->params));
    param.name = full;
    g->params[g->param_count] = param;
    *out = g->param_count++;
    place_params(g);
    full = NULL;
done:
    volt_free(full);
    return st;
}

/* Declares parameter "NAME.SUFFIX" and gives its index. */
static volt_status add_param(volt_graph *g, int *out, const char *name, const char *suffix,
                             volt_param param)
{
    char *full = NULL;
    const volt_status st = volt_format(&full, "%s.%s", name, suffix);

    return st == VOLT_OK ? add_named(g, out, full, param) : st;
}

volt_status volt_graph_state(volt_graph *g, int *out, const char *name, int64_t count)
{
    const volt_param param = {.role = VOLT_PARAM_STATE, .ndim = 1, .dims = {count}};
    char *own = NULL;
    int index;
    volt_status st;

    VOLT_TRY(st, done, check_channels(count, name));
    VOLT_TRY(st, done, volt_strdup(&own, name));
    VOLT_TRY(st, done, add_named(g, &index, own, param));
    if (out)
        *out = index;
done:
    return st;
}

/* Takes back parameters declared for a node that could not be added. */
static void drop_params(volt_graph *g, int keep)
{
    while (g->param_count > keep) {
        volt_param *p = &g->params[--g->param_count];
        volt_free((void *)(uintptr_t)p->name);
    }
    place_params(g);
}

/* Adds a node with weights of shape (dims[0], dims[1], kernel) and optional bias. */
static volt_status add_weighted(volt_graph *g, volt_value *out, volt_node node,
                                const char *name, const int64_t dims[2], bool bias)
{
    const int had = g->param_count;
    const int64_t *k = node.conv.kernel;
    volt_param weight = {.role = VOLT_PARAM_WEIGHT,
                         .ndim = 5,
                         .dims = {dims[0], dims[1], k[0], k[1], k[2]},
                         .fan_in = dims[1] * k[0] * k[1] * k[2]};
    volt_status st;

    VOLT_TRY(st, done, add_param(g, &node.weight, name, "weight", weight));
    if (bias)
        VOLT_TRY(
            st, done,
            add_param(
                g, &node.bias, name, "bias",
                (volt_param){.role = VOLT_PARAM_BIAS, .ndim = 1, .dims = {node.out_channels}}));
    st = add_node(g, out, node);
done:
    if (st != VOLT_OK)
        drop_params(g, had);
    return st;
}

volt_status volt_graph_input(volt_graph *g, volt_value *out, int64_t channels)
{
    const volt_node node = {.kind = VOLT_NODE_INPUT,
                            .in_channels = channels,
                            .out_channels = channels,
                            .weight = -1,
                            .bias = -1,
                            .running_mean = -1,
                            .running_var = -1};
    volt_status st;

    VOLT_TRY(st, done, check_channels(channels, "the input"));
    if (g->node_count > 0) {
        st = volt_fail(VOLT_EINVAL, "the input must be the first node and the only input");
        goto done;
    }
    st = add_node(g, out, node);
done:
    return st;
}

/* What both convolutions check and begin with. */
static volt_status begin_conv(const volt_graph *g, volt_node *node, volt_node_kind kind,
                              volt_value in, const char *name, int64_t out_channels,
                              const volt_conv *conv)
{
    volt_status st;

    VOLT_TRY(st, done, check_value(g, in));
    VOLT_TRY(st, done, check_channels(out_channels, name));
    VOLT_TRY(st, done, check_window(conv->kernel, 1, "the kernel", name));
    VOLT_TRY(st, done, check_window(conv->stride, 1, "the stride", name));
    VOLT_TRY(st, done, check_window(conv->pad_low, 0, "the low padding", name));
    *node = unary(g, kind, in);
    node->out_channels = out_channels;
    node->conv = *conv;
done:
    return st;
}

volt_status volt_graph_conv(volt_graph *g, volt_value *out, volt_value in, const char *name,
                            int64_t out_channels, const volt_conv *conv, bool bias)
{
    volt_node node;
    volt_status st;

    VOLT_TRY(st, done, begin_conv(g, &node, VOLT_NODE_CONV, in, name, out_channels, conv));
    VOLT_TRY(st, done, check_window(conv->pad_high, 0, "the high padding", name));
    st = add_weighted(g, out, node, name, (int64_t[]){out_channels, node.in_channels}, bias);
done:
    return st;
}

volt_status volt_graph_tconv(volt_graph *g, volt_value *out, volt_value in, const char *name,
                             int64_t out_channels, const volt_conv *conv, bool bias)
{
    volt_node node;
    volt_status st;

    VOLT_TRY(st, done, begin_conv(g, &node, VOLT_NODE_TCONV, in, name, out_channels, conv));
    for (int axis = 0; axis < 3; axis++) {
        const int64_t kernel = conv->kernel[axis], low = conv->pad_low[axis];
        if (low >= kernel) {
            st = volt_fail(VOLT_EINVAL,
                           "%s: the low padding along %c is %lld, expected less than the "
                           "kernel, %lld",
                           name, "dhw"[axis], (long long)low, (long long)kernel);
            goto done;
        }
        node.conv.pad_high[axis] = kernel - conv->stride[axis] - low;
    }
    st = add_weighted(g, out, node, name, (int64_t[]){node.in_channels, out_channels}, bias);
done:
    return st;
}

/* What both norms check and begin with. */
static volt_status begin_norm(const volt_graph *g, volt_node *node, volt_node_kind kind,
                              volt_value in, const char *name, double eps)
{
    volt_status st = check_value(g, in);

    if (st == VOLT_OK && !(eps > 0 && isfinite(eps)))
        st = volt_fail(VOLT_EINVAL, "%s: eps is %g, expected a positive number", name, eps);
    if (st != VOLT_OK)
        return st;
    *node = unary(g, kind, in);
    node->eps = eps;
    return VOLT_OK;
}

/* Scale and shift. */
static volt_status add_affine(volt_graph *g, volt_node *node, const char *name)
{
    volt_param param = {.role = VOLT_PARAM_NORM_SCALE, .ndim = 1, .dims = {node->out_channels}};
    volt_status st;

    VOLT_TRY(st, done, add_param(g, &node->weight, name, "weight", param));
    param.role = VOLT_PARAM_NORM_SHIFT;
    st = add_param(g, &node->bias, name, "bias", param);
done:
    return st;
}

volt_status volt_graph_instance_norm(volt_graph *g, volt_value *out, volt_value in,
                                     const char *name, double eps)
{
    const int had = g->param_count;
    volt_node node;
    volt_status st;

    VOLT_TRY(
        st, done,
        begin_norm(g, &node, VOLT_NODE_INSTANCE_NORM, in, name ? name : "instance norm", eps));
    if (name)
        VOLT_TRY(st, done, add_affine(g, &node, name));
    st = add_node(g, out, node);
done:
    if (st != VOLT_OK)
        drop_params(g, had);
    return st;
}

volt_status volt_graph_batch_norm(volt_graph *g, volt_value *out, volt_value in,
                                  const char *name, double eps, double momentum)
{
    const int had = g->param_count;
    volt_param state = {.role = VOLT_PARAM_STATE, .ndim = 1, .zero = true};
    volt_node node;
    volt_status st;

    VOLT_TRY(st, done, begin_norm(g, &node, VOLT_NODE_BATCH_NORM, in, name, eps));
    if (!(momentum >= 0 && momentum <= 1)) {
        st = volt_fail(VOLT_EINVAL, "%s: the momentum is %g, expected 0..1", name, momentum);
        goto done;
    }
    node.momentum = momentum;
    state.dims[0] = node.out_channels;
    VOLT_TRY(st, done, add_affine(g, &node, name));
    VOLT_TRY(st, done, add_param(g, &node.running_mean, name, "running_mean", state));
    state.zero = false;
    VOLT_TRY(st, done, add_param(g, &node.running_var, name, "running_var", state));
    st = add_node(g, out, node);
done:
    if (st != VOLT_OK)
        drop_params(g, had);
    return st;
}

volt_status volt_graph_activation(volt_graph *g, volt_value *out, volt_value in, double slope)
{
    volt_node node;
    volt_status st = check_value(g, in);

    if (st != VOLT_OK)
        return st;
    if (!(slope >= 0 && slope <= 1))
        return volt_fail(VOLT_EINVAL, "the slope of an activation is %g, expected 0..1", slope);
    node = unary(g, VOLT_NODE_ACTIVATION, in);
    node.slope = slope;
    return add_node(g, out, node);
}

volt_status volt_graph_prelu(volt_graph *g, volt_value *out, volt_value in, const char *name,
                             int64_t slopes)
{
    const int had = g->param_count;
    volt_node node;
    volt_status st;

    VOLT_TRY(st, done, check_value(g, in));
    if (slopes != 1 && slopes != g->channels[in]) {
        st = volt_fail(VOLT_EINVAL, "%s: %lld slopes for %lld channel%s, expected 1 or as many",
                       name, (long long)slopes, (long long)g->channels[in],
                       volt_s(g->channels[in]));
        goto done;
    }
    node = unary(g, VOLT_NODE_PRELU, in);
    VOLT_TRY(st, done,
             add_param(g, &node.weight, name, "weight",
                       (volt_param){.role = VOLT_PARAM_SLOPE, .ndim = 1, .dims = {slopes}}));
    st = add_node(g, out, node);
done:
    if (st != VOLT_OK)
        drop_params(g, had);
    return st;
}

volt_status volt_graph_pool(volt_graph *g, volt_value *out, volt_value in, volt_node_kind kind,
                            const int64_t kernel[3], const int64_t stride[3])
{
    volt_node node;
    volt_status st;

    VOLT_TRY(st, done, check_value(g, in));
    if (kind != VOLT_NODE_MAX_POOL && kind != VOLT_NODE_AVERAGE_POOL) {
        st = volt_fail(VOLT_EINVAL, "node kind %d is not a pooling", (int)kind);
        goto done;
    }
    VOLT_TRY(st, done, check_window(kernel, 1, "the window", "pooling"));
    VOLT_TRY(st, done, check_window(stride, 1, "the stride", "pooling"));
    node = unary(g, kind, in);
    memcpy(node.conv.kernel, kernel, sizeof node.conv.kernel);
    memcpy(node.conv.stride, stride, sizeof node.conv.stride);
    st = add_node(g, out, node);
done:
    return st;
}

volt_status volt_graph_upsample(volt_graph *g, volt_value *out, volt_value in,
                                volt_node_kind kind, const int64_t factor[3])
{
    volt_node node;
    volt_status st;

    VOLT_TRY(st, done, check_value(g, in));
    if (kind != VOLT_NODE_UPSAMPLE_NEAREST && kind != VOLT_NODE_UPSAMPLE_LINEAR) {
        st = volt_fail(VOLT_EINVAL, "node kind %d is not an upsampling", (int)kind);
        goto done;
    }
    VOLT_TRY(st, done, check_window(factor, 1, "the factor", "upsampling"));
    node = unary(g, kind, in);
    memcpy(node.conv.stride, factor, sizeof node.conv.stride);
    st = add_node(g, out, node);
done:
    return st;
}

volt_status volt_graph_concat(volt_graph *g, volt_value *out, const volt_value *in, int count)
{
    volt_node node = {.kind = VOLT_NODE_CONCAT,
                      .inputs = count,
                      .weight = -1,
                      .bias = -1,
                      .running_mean = -1,
                      .running_var = -1};
    volt_status st;

    if (count < 1 || count > VOLT_NODE_MAX_INPUTS)
        return volt_fail(VOLT_EINVAL, "a concatenation of %d values, expected 1..%d", count,
                         VOLT_NODE_MAX_INPUTS);
    for (int i = 0; i < count; i++) {
        if ((st = check_value(g, in[i])) != VOLT_OK)
            return st;
        node.in[i] = in[i];
        node.in_channels += g->channels[in[i]];
    }
    node.out_channels = node.in_channels;
    if ((st = check_channels(node.out_channels, "a concatenation")) != VOLT_OK)
        return st;
    return add_node(g, out, node);
}

volt_status volt_graph_add(volt_graph *g, volt_value *out, volt_value a, volt_value b)
{
    volt_node node;
    volt_status st;

    VOLT_TRY(st, done, check_value(g, a));
    VOLT_TRY(st, done, check_value(g, b));
    if (g->channels[a] != g->channels[b]) {
        st = volt_fail(VOLT_EINVAL, "cannot add values of %lld and %lld channels",
                       (long long)g->channels[a], (long long)g->channels[b]);
        goto done;
    }
    node = unary(g, VOLT_NODE_ADD, a);
    node.inputs = 2;
    node.in[1] = b;
    st = add_node(g, out, node);
done:
    return st;
}

volt_status volt_graph_dropout(volt_graph *g, volt_value *out, volt_value in, double p)
{
    volt_node node;
    volt_status st = check_value(g, in);

    if (st != VOLT_OK)
        return st;
    if (!(p >= 0 && p < 1))
        return volt_fail(VOLT_EINVAL, "dropout probability is %g, expected 0 <= p < 1", p);
    node = unary(g, VOLT_NODE_DROPOUT, in);
    node.p = p;
    return add_node(g, out, node);
}

volt_status volt_graph_softmax(volt_graph *g, volt_value *out, volt_value in)
{
    const volt_status st = check_value(g, in);

    return st == VOLT_OK ? add_node(g, out, unary(g, VOLT_NODE_SOFTMAX, in)) : st;
}

static int group_of(const volt_param *param, const char *const *prefix, int count)
{
    int group = 0;

    while (group < count && strncmp(param->name, prefix[group], strlen(prefix[group])) != 0)
        group++;
    return group;
}

volt_status volt_graph_group_params(volt_graph *g, const char *const *prefix, int count)
{
    volt_param *sorted = NULL;
    int *moved = NULL; /* new index of each old one */
    int placed = 0;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&sorted, (size_t)g->param_capacity, sizeof *sorted, "a graph"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&moved, (size_t)g->param_capacity, sizeof *moved, "a graph"));
    for (int group = 0; group <= count; group++) {
        for (int i = 0; i < g->param_count; i++) {
            if (group_of(&g->params[i], prefix, count) != group)
                continue;
            sorted[placed] = g->params[i];
            moved[i] = placed++;
        }
    }
    for (int i = 0; i < g->node_count; i++) {
        volt_node *node = &g->nodes[i];
        int *const own[] = {&node->weight, &node->bias, &node->running_mean,
                            &node->running_var};
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            *own[k] = *own[k] < 0 ? -1 : moved[*own[k]];
    }
    volt_free(g->params);
    g->params = sorted;
    sorted = NULL;
    place_params(g);
done:
    volt_free(moved);
    volt_free(sorted);
    return st;
}

volt_status volt_graph_output(volt_graph *g, volt_value v)
{
    volt_status st;

    VOLT_TRY(st, done, check_value(g, v));
    VOLT_TRY(st, done,
             grow(&g->outputs, g->output_count, &g->output_capacity, sizeof *g->outputs));
    g->outputs[g->output_count++] = v;
done:
    return st;
}

int volt_graph_node_count(const volt_graph *g)
{
    return g->node_count;
}

const volt_node *volt_graph_node(const volt_graph *g, int i)
{
    return &g->nodes[i];
}

int volt_graph_value_count(const volt_graph *g)
{
    return g->node_count;
}

int64_t volt_graph_channels(const volt_graph *g, volt_value v)
{
    return g->channels[v];
}

int volt_graph_output_count(const volt_graph *g)
{
    return g->output_count;
}

volt_value volt_graph_output_value(const volt_graph *g, int i)
{
    return g->outputs[i];
}

int volt_graph_param_count(const volt_graph *g)
{
    return g->param_count;
}

const volt_param *volt_graph_param(const volt_graph *g, int i)
{
    return &g->params[i];
}

int64_t volt_graph_param_elements(const volt_graph *g)
{
    return g->elements;
}

int64_t volt_graph_learned_elements(const volt_graph *g)
{
    return g->learned;
}

volt_status volt_graph_start_at_zero(volt_graph *g, const char *name)
{
    const int i = volt_graph_find_param(g, name);

    if (i < 0)
        return volt_fail(VOLT_EINVAL, "the graph has no parameter '%s'", name);
    g->params[i].zero = true;
    return VOLT_OK;
}

int volt_graph_find_param(const volt_graph *g, const char *name)
{
    for (int i = 0; i < g->param_count; i++) {
        if (strcmp(g->params[i].name, name) == 0)
            return i;
    }
    return -1;
}
