/* ONNX is protocol buffers: a message is a row of (field number, wire type, value), messages
 * inside messages are bytes with a length in front. Everything but the weights is built in
 * memory; weights go straight from `flat` into the file. */
#include "nets3d/interop/onnx.h"

#include <stdio.h>
#include <string.h>

#include "base/system/file.h"
#include "base/core/alloc.h"

/* Field numbers of onnx.proto. */
enum {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER = 2,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_METADATA = 14,
    OPSET_VERSION = 2,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_FLOAT = 2,
    ATTRIBUTE_INT = 3,
    ATTRIBUTE_TEXT = 4,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_TYPE = 20,
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_TYPE_ELEMENT = 1,
    TENSOR_TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1,
    DIM_NAME = 2,
    ELEMENT_FLOAT = 1,
    IR_VERSION = 8,
    OPSET = 17
};

#define MAX_MODEL ((size_t)INT32_MAX)

/* A message being built; the first failure stays. */
typedef struct message {
    unsigned char *data;
    size_t bytes, room;
    volt_status st;
} message;

/* ---- protocol buffers ---- */

static void put(message *m, const void *data, size_t bytes)
{
    if (m->st == VOLT_OK && m->room - m->bytes < bytes) {
        const size_t room = 2 * m->room + bytes + 256;
        m->st = volt_realloc(&m->data, m->bytes, room, "an ONNX model");
        if (m->st == VOLT_OK)
            m->room = room;
    }
    if (m->st != VOLT_OK || !bytes)
        return;
    memcpy(m->data + m->bytes, data, bytes);
    m->bytes += bytes;
}

static void put_varint(message *m, uint64_t v)
{
    unsigned char text[10];
    size_t n = 0;

    do {
        text[n++] = (unsigned char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    put(m, text, n);
}

static void put_int(message *m, int field, int64_t v)
{
    put_varint(m, (uint64_t)field << 3);
    put_varint(m, (uint64_t)v);
}

/* The start of `bytes` bytes to follow. */
static void put_length(message *m, int field, size_t bytes)
{
    put_varint(m, (uint64_t)field << 3 | 2);
    put_varint(m, bytes);
}

static void put_text(message *m, int field, const char *text)
{
    put_length(m, field, strlen(text));
    put(m, text, strlen(text));
}

static void put_float(message *m, int field, float v)
{
    put_varint(m, (uint64_t)field << 3 | 5);
    put(m, &v, 4);
}

/* Puts `inner` into `m` and releases it. */
static void put_message(message *m, int field, message *inner)
{
    if (m->st == VOLT_OK)
        m->st = inner->st;
    put_length(m, field, inner->bytes);
    put(m, inner->data, inner->bytes);
    volt_free(inner->data);
    *inner = (message){0};
}

/* ---- nodes ---- */

typedef enum attribute_type {
    TYPE_FLOAT = 1,
    TYPE_INT = 2,
    TYPE_TEXT = 3,
    TYPE_INTS = 7
} attribute_type;

static message attribute(const char *name, attribute_type type)
{
    message a = {0};

    put_text(&a, ATTRIBUTE_NAME, name);
    put_int(&a, ATTRIBUTE_TYPE, type);
    return a;
}

static void add_float(message *node, const char *name, double v)
{
    message a = attribute(name, TYPE_FLOAT);

    put_float(&a, ATTRIBUTE_FLOAT, (float)v);
    put_message(node, NODE_ATTRIBUTE, &a);
}

static void add_int(message *node, const char *name, int64_t v)
{
    message a = attribute(name, TYPE_INT);

    put_int(&a, ATTRIBUTE_INT, v);
    put_message(node, NODE_ATTRIBUTE, &a);
}

static void add_text(message *node, const char *name, const char *v)
{
    message a = attribute(name, TYPE_TEXT);

    put_text(&a, ATTRIBUTE_TEXT, v);
    put_message(node, NODE_ATTRIBUTE, &a);
}

/* The last `axes` of three, from each of the lists. */
static void add_ints(message *node, const char *name, const int64_t *const *list, int lists,
                     int axes)
{
    message a = attribute(name, TYPE_INTS);

    for (int l = 0; l < lists; l++) {
        for (int i = 3 - axes; i < 3; i++)
            put_int(&a, ATTRIBUTE_INTS, list[l][i]);
    }
    put_message(node, NODE_ATTRIBUTE, &a);
}

static void add_conv(message *node, const volt_conv *c, int axes)
{
    add_ints(node, "kernel_shape", (const int64_t *const[]){c->kernel}, 1, axes);
    add_ints(node, "strides", (const int64_t *const[]){c->stride}, 1, axes);
    add_ints(node, "pads", (const int64_t *const[]){c->pad_low, c->pad_high}, 2, axes);
}

/* Padding below zero at the high end is output padding. */
static void add_tconv(message *node, const volt_conv *c, int axes)
{
    volt_conv own = *c;
    int64_t extra[3];

    for (int i = 0; i < 3; i++) {
        extra[i] = c->pad_high[i] < 0 ? -c->pad_high[i] : 0;
        own.pad_high[i] += extra[i];
    }
    add_conv(node, &own, axes);
    add_ints(node, "output_padding", (const int64_t *const[]){extra}, 1, axes);
}

/* ONNX's name of the operator; attributes go into `node`. */
static const char *operator_of(message *node, const volt_node *n, int axes)
{
    switch (n->kind) {
    case VOLT_NODE_CONV:
        add_conv(node, &n->conv, axes);
        return "Conv";
    case VOLT_NODE_TCONV:
        add_tconv(node, &n->conv, axes);
        return "ConvTranspose";
    case VOLT_NODE_INSTANCE_NORM:
        add_float(node, "epsilon", n->eps);
        return "InstanceNormalization";
    case VOLT_NODE_BATCH_NORM:
        add_float(node, "epsilon", n->eps);
        return "BatchNormalization";
    case VOLT_NODE_ACTIVATION:
        if (n->slope == 0)
            return "Relu";
        add_float(node, "alpha", n->slope);
        return "LeakyRelu";
    case VOLT_NODE_MAX_POOL:
    case VOLT_NODE_AVERAGE_POOL:
        add_conv(node, &n->conv, axes);
        if (n->kind == VOLT_NODE_MAX_POOL)
            return "MaxPool";
        add_int(node, "count_include_pad", 1);
        return "AveragePool";
    case VOLT_NODE_UPSAMPLE_NEAREST:
        add_text(node, "mode", "nearest");
        add_text(node, "coordinate_transformation_mode", "asymmetric");
        add_text(node, "nearest_mode", "floor");
        return "Resize";
    case VOLT_NODE_UPSAMPLE_LINEAR:
        add_text(node, "mode", "linear");
        add_text(node, "coordinate_transformation_mode", "half_pixel");
        return "Resize";
    case VOLT_NODE_CONCAT:
        add_int(node, "axis", 1);
        return "Concat";
    case VOLT_NODE_ADD:
        return "Add";
    case VOLT_NODE_SOFTMAX:
        add_int(node, "axis", 1);
        return "Softmax";
    case VOLT_NODE_PRELU:
        return "PRelu";
    case VOLT_NODE_DROPOUT:
    case VOLT_NODE_INPUT:
        break;
    }
    return NULL; /* no operator */
}

/* ---- the graph ---- */

typedef struct writer {
    const volt_graph *graph;
    const float *flat;
    const volt_onnx_options *options;
    bool *needed;      /* per value */
    volt_value *alias; /* per value: the one it is the same as (behind a dropout) */
    bool *used;        /* per parameter */
} writer;

/* The values that the output needs, from the last node back. */
static void mark_needed(writer *w)
{
    const int nodes = volt_graph_node_count(w->graph);

    w->needed[volt_graph_output_value(w->graph, 0)] = true;
    for (int i = nodes - 1; i >= 0; i--) {
        const volt_node *n = volt_graph_node(w->graph, i);
        for (int k = 0; w->needed[n->out] && k < n->inputs; k++)
            w->needed[n->in[k]] = true;
    }
    for (int i = 0; i < nodes; i++) {
        const volt_node *n = volt_graph_node(w->graph, i);
        w->alias[n->out] = n->kind == VOLT_NODE_DROPOUT ? w->alias[n->in[0]] : n->out;
    }
}

static void put_value_name(message *node, int field, const writer *w, volt_value v)
{
    char name[32];

    v = w->alias[v];
    if (v == w->alias[volt_graph_output_value(w->graph, 0)])
        snprintf(name, sizeof name, "logits");
    else if (volt_graph_node(w->graph, 0)->out == v)
        snprintf(name, sizeof name, "image");
    else
        snprintf(name, sizeof name, "v%d", (int)v);
    put_text(node, field, name);
}

/* An initializer's message without its data: the start, and how long the whole is. */
static message tensor_start(const char *name, const int64_t *dims, int ndim, size_t data_bytes)
{
    message t = {0};

    for (int i = 0; i < ndim; i++)
        put_int(&t, TENSOR_DIMS, dims[i]);
    put_int(&t, TENSOR_TYPE, ELEMENT_FLOAT);
    put_text(&t, TENSOR_NAME, name);
    put_length(&t, TENSOR_RAW, data_bytes);
    return t;
}

/* A vector of `count` times `value` as an initializer of its own. */
static void put_constant(message *graph, const char *name, int64_t count, float value)
{
    message t = tensor_start(name, &count, 1, (size_t)count * sizeof value);

    for (int64_t i = 0; i < count; i++)
        put(&t, &value, sizeof value);
    put_message(graph, GRAPH_INITIALIZER, &t);
}

/* A norm without scale and shift still needs them in ONNX: ones and zeros. */
static void put_plain_norm(message *graph, message *node, const volt_node *n, int index)
{
    char name[32];

    for (int k = 0; k < 2; k++) {
        snprintf(name, sizeof name, k ? "zeros%d" : "ones%d", index);
        put_constant(graph, name, n->out_channels, k ? 0.0f : 1.0f);
        put_text(node, NODE_INPUT, name);
    }
}

/* The scales of a Resize as an initializer of its own, named after the node. */
static void put_scales(message *graph, const volt_node *n, const char *name, int axes)
{
    const int64_t dims[1] = {2 + axes};
    float scale[5] = {1, 1};
    message t = tensor_start(name, dims, 1, (size_t)dims[0] * sizeof *scale);

    for (int i = 0; i < axes; i++)
        scale[2 + i] = (float)n->conv.stride[3 - axes + i];
    put(&t, scale, (size_t)dims[0] * sizeof *scale);
    put_message(graph, GRAPH_INITIALIZER, &t);
}

static void put_node(message *graph, writer *w, int index)
{
    const volt_node *n = volt_graph_node(w->graph, index);
    message node = {0};
    char name[32];
    const char *type = operator_of(&node, n, w->options->axes);

    if (!type || !w->needed[n->out]) {
        volt_free(node.data);
        return;
    }
    for (int k = 0; k < n->inputs; k++)
        put_value_name(&node, NODE_INPUT, w, n->in[k]);
    for (int k = 0; k < 4; k++) {
        const int p = (const int[]){n->weight, n->bias, n->running_mean, n->running_var}[k];
        if (p >= 0) {
            put_text(&node, NODE_INPUT, volt_graph_param(w->graph, p)->name);
            w->used[p] = true;
        }
    }
    if (n->kind == VOLT_NODE_INSTANCE_NORM && n->weight < 0)
        put_plain_norm(graph, &node, n, index);
    if (strcmp(type, "Resize") == 0) {
        snprintf(name, sizeof name, "scales%d", index);
        put_scales(graph, n, name, w->options->axes);
        put_text(&node, NODE_INPUT, ""); /* no region of interest */
        put_text(&node, NODE_INPUT, name);
    }
    put_value_name(&node, NODE_OUTPUT, w, n->out);
    snprintf(name, sizeof name, "n%d", index);
    put_text(&node, NODE_NAME, name);
    put_text(&node, NODE_TYPE, type);
    put_message(graph, GRAPH_NODE, &node);
}

/* "image" or "logits": float32 (batch, c, [d,] h, w). */
static void put_end(message *graph, int field, const char *name, int64_t channels,
                    const volt_onnx_options *o)
{
    message value = {0}, type = {0}, tensor = {0}, shape = {0}, dim = {0};

    put_text(&dim, DIM_NAME, "batch");
    put_message(&shape, SHAPE_DIM, &dim);
    put_int(&dim, DIM_VALUE, channels);
    put_message(&shape, SHAPE_DIM, &dim);
    for (int i = 3 - o->axes; i < 3; i++) {
        put_int(&dim, DIM_VALUE, o->extent[i]);
        put_message(&shape, SHAPE_DIM, &dim);
    }
    put_int(&tensor, TENSOR_TYPE_ELEMENT, ELEMENT_FLOAT);
    put_message(&tensor, TENSOR_TYPE_SHAPE, &shape);
    put_message(&type, TYPE_TENSOR, &tensor);
    put_text(&value, VALUE_NAME, name);
    put_message(&value, VALUE_TYPE, &type);
    put_message(graph, field, &value);
}

/* Everything of the graph but its weights. */
static message graph_body(writer *w)
{
    message g = {0};

    put_text(&g, GRAPH_NAME, w->options->name);
    for (int i = 0; i < volt_graph_node_count(w->graph); i++)
        put_node(&g, w, i);
    put_end(&g, GRAPH_INPUT, "image",
            volt_graph_channels(w->graph, volt_graph_node(w->graph, 0)->out), w->options);
    put_end(&g, GRAPH_OUTPUT, "logits",
            volt_graph_channels(w->graph, volt_graph_output_value(w->graph, 0)), w->options);
    return g;
}

/* A weight's start inside the graph: tag, length and all but the data. */
static message weight_start(const writer *w, const volt_param *p)
{
    const size_t data = (size_t)p->count * sizeof(float);
    int64_t dims[5] = {p->dims[0], 1, 1, 1, 1};
    int ndim = p->ndim;
    message t, start = {0};

    for (int i = 1; i < p->ndim; i++)
        dims[i] = p->dims[i];
    if (p->ndim == 5 && w->options->axes == 2) {
        memmove(dims + 2, dims + 3, 2 * sizeof *dims);
        ndim = 4;
    }
    if (p->role == VOLT_PARAM_SLOPE) /* (c, 1, 1, 1): spread over voxels */
        ndim = 1 + w->options->axes;
    t = tensor_start(p->name, dims, ndim, data);
    put_length(&start, GRAPH_INITIALIZER, t.bytes + data);
    start.st = t.st == VOLT_OK ? start.st : t.st;
    put(&start, t.data, t.bytes);
    volt_free(t.data);
    return start;
}

/* What stands in front of the graph, and behind it nothing. */
static message model_start(const volt_onnx_options *o, size_t graph_bytes)
{
    message m = {0}, inner = {0};

    put_int(&m, MODEL_IR_VERSION, IR_VERSION);
    put_text(&m, MODEL_PRODUCER, "volt");
    put_int(&inner, OPSET_VERSION, OPSET);
    put_message(&m, MODEL_OPSET, &inner);
    for (size_t i = 0; i < o->metadata_count; i++) {
        put_text(&inner, ENTRY_KEY, o->metadata[i].key);
        put_text(&inner, ENTRY_VALUE, o->metadata[i].value);
        put_message(&m, MODEL_METADATA, &inner);
    }
    put_length(&m, MODEL_GRAPH, graph_bytes);
    return m;
}

static volt_status write_message(volt_out *file, message *m)
{
    volt_status st = m->st;

    if (st == VOLT_OK)
        st = volt_out_write(file, m->data, m->bytes);
    volt_free(m->data);
    *m = (message){0};
    return st;
}

/* The sum of the weights' messages. */
static volt_status weights_bytes(size_t *out, const writer *w)
{
    *out = 0;
    for (int i = 0; i < volt_graph_param_count(w->graph); i++) {
        const volt_param *p = volt_graph_param(w->graph, i);
        message start;
        volt_status st;
        if (!w->used[i])
            continue;
        start = weight_start(w, p);
        st = start.st;
        *out += start.bytes + (size_t)p->count * sizeof(float);
        volt_free(start.data);
        if (st != VOLT_OK)
            return st;
    }
    return VOLT_OK;
}

static volt_status write_model(const char *path, writer *w)
{
    message body = graph_body(w), start = {0};
    volt_out *file = NULL;
    size_t weights = 0;
    volt_status st = body.st;

    if (st == VOLT_OK)
        st = weights_bytes(&weights, w);
    if (st != VOLT_OK)
        goto done;
    if (weights > MAX_MODEL - body.bytes) {
        st = volt_fail(VOLT_ENOTSUP, "%s: %zu bytes of weights do not fit into one ONNX file",
                       path, weights);
        goto done;
    }
    VOLT_TRY(st, done, volt_out_open(&file, path));
    start = model_start(w->options, body.bytes + weights);
    VOLT_TRY(st, done, write_message(file, &start));
    VOLT_TRY(st, done, write_message(file, &body));
    for (int i = 0; i < volt_graph_param_count(w->graph); i++) {
        const volt_param *p = volt_graph_param(w->graph, i);
        if (!w->used[i])
            continue;
        start = weight_start(w, p);
        VOLT_TRY(st, done, write_message(file, &start));
        VOLT_TRY(st, done,
                 volt_out_write(file, w->flat + p->offset, (size_t)p->count * sizeof(float)));
    }
    st = volt_out_commit(&file);
done:
    volt_out_abort(&file);
    volt_free(body.data);
    return st;
}

volt_status volt_onnx_write(const char *path, const volt_graph *graph, const float *flat,
                            const volt_onnx_options *options)
{
    const size_t values = (size_t)volt_graph_value_count(graph);
    writer w = {.graph = graph, .flat = flat, .options = options};
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&w.needed, values, sizeof *w.needed, "an ONNX model"));
    VOLT_TRY(st, done, volt_alloc_zero(&w.alias, values, sizeof *w.alias, "an ONNX model"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&w.used, (size_t)volt_graph_param_count(graph), sizeof *w.used,
                             "an ONNX model"));
    mark_needed(&w);
    st = write_model(path, &w);
done:
    volt_free(w.used);
    volt_free(w.alias);
    volt_free(w.needed);
    return st;
}
