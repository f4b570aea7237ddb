/* From nodes to units, with their extents.
 *
 * A graph may hold more than its outputs depend on (the coarse output layers, without deep
 * supervision) and nodes that change nothing; both are left out here, so that later files see
 * only work. A norm and the activation that alone reads it become one unit, which saves a pass
 * over memory and a buffer. A convolution whose value goes only into an instance norm loses its
 * bias, which the norm would subtract again.
 */
#include "nets3d/program/ranks.h"

#include <string.h>

#include "base/core/checked.h"
#include "base/mem.h"
#include "nets3d/graph/params.h"

const char *volt_node_kind_name(volt_node_kind kind)
{
    switch (kind) {
    case VOLT_NODE_INPUT:
        return "input";
    case VOLT_NODE_CONV:
        return "conv";
    case VOLT_NODE_TCONV:
        return "transposed conv";
    case VOLT_NODE_INSTANCE_NORM:
        return "instance norm";
    case VOLT_NODE_ACTIVATION:
        return "activation";
    case VOLT_NODE_MAX_POOL:
        return "max pool";
    case VOLT_NODE_AVERAGE_POOL:
        return "average pool";
    case VOLT_NODE_UPSAMPLE_NEAREST:
    case VOLT_NODE_UPSAMPLE_LINEAR:
        return "upsampling";
    case VOLT_NODE_CONCAT:
        return "concatenation";
    case VOLT_NODE_ADD:
        return "addition";
    case VOLT_NODE_DROPOUT:
        return "dropout";
    case VOLT_NODE_SOFTMAX:
        return "softmax";
    case VOLT_NODE_PRELU:
        return "PReLU";
    case VOLT_NODE_BATCH_NORM:
        return "batch norm";
    }
    return kind == VOLT_NODE_REGRID ? "gathering" : "unknown node";
}

const char *volt_program_node_name(const volt_program *p, const volt_node *node)
{
    return node->weight >= 0 ? volt_graph_param(p->graph, node->weight)->name
                             : volt_node_kind_name(node->kind);
}

/* Extents of conv, pooling, upsampling and transposed conv along d, h, w. */
static volt_status window_extents(const volt_program *p, const volt_node *node,
                                  const int64_t in[5], int64_t out[5])
{
    const volt_conv *c = &node->conv;
    const bool grows = node->kind == VOLT_NODE_TCONV ||
                       node->kind == VOLT_NODE_UPSAMPLE_NEAREST ||
                       node->kind == VOLT_NODE_UPSAMPLE_LINEAR;

    for (int axis = 0; axis < 3; axis++) {
        const int64_t e = in[2 + axis];
        const int64_t room = e + c->pad_low[axis] + c->pad_high[axis] - c->kernel[axis];

        if (grows) {
            if (volt_mul_i64(&out[2 + axis], e, c->stride[axis]))
                return volt_fail(VOLT_EINVAL, "%s: extent %lld along %c is too large",
                                 volt_program_node_name(p, node), (long long)e, "dhw"[axis]);
        } else if (room < 0) {
            return volt_fail(VOLT_EINVAL,
                             "%s: extent %lld along %c is smaller than the window "
                             "of %lld",
                             volt_program_node_name(p, node), (long long)e, "dhw"[axis],
                             (long long)c -> kernel[axis]);
        } else {
            out[2 + axis] = room / c->stride[axis] + 1;
        }
    }
    return VOLT_OK;
}

static volt_status same_extents(const volt_program *p, const volt_node *node, volt_value other,
                                const int64_t out[5])
{
    const int64_t *e = p->values[other].extent;

    for (int axis = 2; axis < 5; axis++) {
        if (e[axis] != out[axis])
            return volt_fail(VOLT_EINVAL,
                             "%s: inputs have extents %lld and %lld along %c: the "
                             "patch is not a multiple of the network's strides",
                             volt_program_node_name(p, node), (long long)out[axis],
                             (long long)e[axis], "ncdhw"[axis]);
    }
    return VOLT_OK;
}

static volt_status node_extents(volt_program *p, const volt_node *node)
{
    int64_t *out = p->values[node->out].extent;
    size_t bytes;
    volt_status st = VOLT_OK;

    if (node->kind == VOLT_NODE_INPUT)
        memcpy(out + 2, p->options.extent, sizeof p->options.extent);
    else
        memcpy(out, p->values[node->in[0]].extent, 5 * sizeof *out);
    out[0] = p->options.n;
    out[1] = node->out_channels;
    switch (node->kind) {
    case VOLT_NODE_CONV:
    case VOLT_NODE_TCONV:
    case VOLT_NODE_MAX_POOL:
    case VOLT_NODE_AVERAGE_POOL:
    case VOLT_NODE_UPSAMPLE_NEAREST:
    case VOLT_NODE_UPSAMPLE_LINEAR:
        st = window_extents(p, node, p->values[node->in[0]].extent, out);
        break;
    default:
        for (int i = 1; st == VOLT_OK && i < node->inputs; i++)
            st = same_extents(p, node, node->in[i], out);
    }
    if (st == VOLT_OK && (volt_extent_bytes(&bytes, out, 5, 64) || bytes > PTRDIFF_MAX))
        st = volt_fail(VOLT_EINVAL,
                       "%s: a tensor of %lld x %lld x %lld x %lld x %lld is too "
                       "large",
                       volt_program_node_name(p, node), (long long)out[0], (long long)out[1],
                       (long long)out[2], (long long)out[3], (long long)out[4]);
    return st;
}

/* A batch norm learns nothing from one voxel per channel, which it would make 0, nor in stages.
 */
static volt_status check_batch_norm(const volt_program *p, const volt_node *node)
{
    const int64_t *e = p->values[node->out].extent;
    const int64_t n = p->options.norm_samples ? p->options.norm_samples : e[0];

    if (node->kind != VOLT_NODE_BATCH_NORM || !volt_program_trains(p))
        return VOLT_OK;
    if (p->options.mesh && p->options.mesh->size[VOLT_MESH_STAGE] > 1)
        return volt_fail(
            VOLT_ENOTSUP,
            "%s: a batch norm takes statistics over the batch, which stages get in "
            "pieces: train without stages",
            volt_program_node_name(p, node));
    if (n * e[2] * e[3] * e[4] > 1)
        return VOLT_OK;
    return volt_fail(VOLT_EINVAL,
                     "%s: training a batch norm on one voxel per channel: use a larger batch "
                     "or patch",
                     volt_program_node_name(p, node));
}

/* Marks the values that outputs depend on (extent[0] = n) and infers extents. */
static volt_status infer_extents(volt_program *p)
{
    volt_status st = VOLT_OK;

    for (int i = 0; i < volt_graph_output_count(p->graph); i++) {
        const volt_value v = volt_graph_output_value(p->graph, i);
        p->values[v].extent[0] = p->options.n;
        p->values[v].outputs++;
    }
    for (int i = p->value_count - 1; i >= 0; i--) {
        const volt_node *node = volt_graph_node(p->graph, i);
        for (int j = 0; p->values[i].extent[0] && j < node->inputs; j++)
            p->values[node->in[j]].extent[0] = p->options.n;
    }
    for (int i = 0; st == VOLT_OK && i < p->value_count; i++) {
        if (p->values[i].extent[0])
            st = node_extents(p, volt_graph_node(p->graph, i));
        if (st == VOLT_OK && p->values[i].extent[0])
            st = check_batch_norm(p, volt_graph_node(p->graph, i));
    }
    return st;
}

/* Nodes that change nothing: their value is their input's. */
static bool is_identity(const volt_program *p, const volt_node *node)
{
    return (node->kind == VOLT_NODE_DROPOUT && (!volt_program_trains(p) || node->p == 0)) ||
           (node->kind == VOLT_NODE_ACTIVATION && node->slope == 1) ||
           (node->kind == VOLT_NODE_CONCAT && node->inputs == 1);
}

/* Counts who reads each value, identities looked through. */
static void count_consumers(volt_program *p)
{
    for (int i = 0; i < p->value_count; i++) {
        const volt_node *node = volt_graph_node(p->graph, i);
        volt_program_value *v = &p->values[i];

        v->alias = i;
        if (!v->extent[0])
            continue;
        if (is_identity(p, node)) {
            v->alias = p->values[node->in[0]].alias;
            p->values[v->alias].outputs += v->outputs;
            continue;
        }
        for (int j = 0; j < node->inputs; j++)
            p->values[p->values[node->in[j]].alias].consumers++;
    }
}

/* The activation that is the only reader of the norm's value, or NULL. */
static const volt_node *fused_activation(const volt_program *p, const volt_node *norm)
{
    const volt_program_value *v = &p->values[norm->out];

    if (!volt_is_norm(norm->kind) || v->consumers != 1 || v->outputs)
        return NULL;
    for (int i = norm->out + 1; i < p->value_count; i++) {
        const volt_node *node = volt_graph_node(p->graph, i);
        if (node->kind == VOLT_NODE_ACTIVATION && p->values[i].extent[0] &&
            p->values[i].alias == i && p->values[node->in[0]].alias == norm->out)
            return node;
    }
    return NULL;
}

/* Whether parameter `param` (-1: none) gets a gradient. */
static bool learns(const volt_program *p, int param)
{
    return param >= 0 && volt_param_learns(volt_graph_param(p->graph, param)) &&
           (!p->options.learns || p->options.learns[param]);
}

static void add_unit(volt_program *p, const volt_node *node, const volt_node *activation)
{
    volt_unit *u = &p->units[p->unit_count];

    u->node = node;
    u->inputs = node->inputs;
    u->out = activation ? activation->out : node->out;
    u->slope = activation ? activation->slope : volt_is_norm(node->kind) ? 1 : node->slope;
    p->values[u->out].unit = p->unit_count++;
    for (int i = 0; i < node->inputs; i++) {
        u->in[i] = p->values[node->in[i]].alias;
        if (p->values[u->in[i]].needs_gradient)
            p->values[u->out].needs_gradient = true;
    }
    u->weights_learn = learns(p, node->weight);
    u->bias_learns = learns(p, node->bias);
    if (u->weights_learn || u->bias_learns)
        p->values[u->out].needs_gradient = true;
}

/* A convolution's bias is taken away by an instance norm that alone reads its value, directly
 * or behind dropout of whole channels. A batch norm's running mean contains it. */
static bool feeds_norm_only(const volt_program *p, volt_value v)
{
    for (int i = 0; i < p->unit_count; i++) {
        const volt_unit *u = &p->units[i];
        if (u->inputs == 0 || u->in[0] != v)
            continue;
        if (p->values[v].consumers != 1 || p->values[v].outputs)
            return false;
        return u->node->kind == VOLT_NODE_INSTANCE_NORM ||
               ((u->node->kind == VOLT_NODE_DROPOUT || volt_node_is_regrid(u->node)) &&
                feeds_norm_only(p, u->out));
    }
    return false;
}

/* Gives each value that is read by a concatenation its channels there; a value in two takes the
 * first. */
static void assign_concats(volt_program *p)
{
    for (int i = p->unit_count - 1; i >= 0; i--) {
        const volt_unit *u = &p->units[i];
        int64_t channel = 0;

        for (int j = 0; u->node->kind == VOLT_NODE_CONCAT && j < u->inputs; j++) {
            volt_program_value *v = &p->values[u->in[j]];
            bool twice = false;
            for (int k = 0; k < j; k++)
                twice |= u->in[k] == u->in[j];
            if (!twice && volt_program_aligned(p, u->out, u->in[j], channel)) {
                v->concat = i;
                v->channel = channel;
            }
            channel += v->extent[1];
        }
    }
}

volt_status volt_program_shapes(volt_program *p)
{
    volt_status st;

    VOLT_TRY(st, done, infer_extents(p));
    count_consumers(p);
    for (int i = 0; i < p->value_count; i++)
        p->values[i].unit = p->values[i].concat = -1;
    for (int i = 0; i < p->value_count; i++) {
        const volt_node *node = volt_graph_node(p->graph, i);

        if (p->values[i].extent[0] && p->values[i].alias == i && p->values[i].unit < 0)
            add_unit(p, node, fused_activation(p, node));
    }
    VOLT_TRY(st, done, volt_program_mark_gathered(p));
    VOLT_TRY(st, done, volt_program_insert_twins(p));
    for (int i = 0; i < p->unit_count; i++) {
        volt_unit *u = &p->units[i];
        u->bias_cancels =
            (u->node->kind == VOLT_NODE_CONV || u->node->kind == VOLT_NODE_TCONV) &&
            feeds_norm_only(p, u->out);
    }
    VOLT_TRY(st, done, volt_program_take_stage(p));
    assign_concats(p);
done:
    return st;
}
