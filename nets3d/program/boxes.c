/* Parts of a volume: which box of every value is computed here, and which voxels around it are
 * needed from whoever computes the rest.
 *
 * Extents follow from boxes, never from the formula of the windows: a part has as many outputs
 * as its place in the whole says, however the volume was cut. A box is cut at multiples of the
 * strides, so that the box of a coarser value is the finer one's divided. What a window reads
 * beyond an inner face becomes a margin, in the forward pass of the value, in the backward pass
 * of the gradient; at the faces of the volume there are none, and padding as ever.
 */
#include "nets3d/program/program_internal.h"

#include <string.h>

static bool is_convolution(volt_node_kind kind)
{
    return kind == VOLT_NODE_CONV || kind == VOLT_NODE_TCONV;
}

static bool is_pool(volt_node_kind kind)
{
    return kind == VOLT_NODE_MAX_POOL || kind == VOLT_NODE_AVERAGE_POOL;
}

static bool is_whole(const volt_program_value *v, int axis)
{
    return v->box.low[axis] == 0 && v->box.high[axis] == v->global[axis];
}

/* The box of a window's result along one axis. */
static volt_status shrink(const volt_program *p, const volt_node *node, int axis)
{
    const volt_program_value *in = &p->values[node->in[0]];
    volt_program_value *out = &p->values[node->out];
    const int64_t s = node->conv.stride[axis], low = in->box.low[axis];
    const int64_t high = in->box.high[axis];
    const bool last = high == in->global[axis];

    if (is_pool(node->kind) && !is_whole(in, axis) &&
        (node->conv.kernel[axis] > s || node->conv.pad_low[axis] || node->conv.pad_high[axis]))
        return volt_fail(
            VOLT_ENOTSUP, "%s: windows of %lld along %c overlap, and the volume is cut there",
            volt_program_node_name(p, node), (long long)node->conv.kernel[axis], "dhw"[axis]);
    if (low % s || (!last && high % s))
        return volt_fail(VOLT_EINVAL,
                         "%s: the box %lld..%lld along %c is not cut at multiples of the "
                         "stride %lld",
                         volt_program_node_name(p, node), (long long)low, (long long)high,
                         "dhw"[axis], (long long)s);
    out->box.low[axis] = low / s;
    out->box.high[axis] = last ? out->global[axis] : high / s;
    if (out->box.low[axis] >= out->box.high[axis] || out->box.high[axis] > out->global[axis])
        return volt_fail(
            VOLT_EINVAL, "%s: the box %lld..%lld along %c does not fit its %lld voxels",
            volt_program_node_name(p, node), (long long)out->box.low[axis],
            (long long)out->box.high[axis], "dhw"[axis], (long long)out -> global[axis]);
    return VOLT_OK;
}

static volt_status grow(const volt_program *p, const volt_node *node, int axis)
{
    const volt_program_value *in = &p->values[node->in[0]];
    volt_program_value *out = &p->values[node->out];
    const int64_t s = node->conv.stride[axis];

    if (node->kind == VOLT_NODE_UPSAMPLE_LINEAR && s > 1 && !is_whole(in, axis))
        return volt_fail(VOLT_ENOTSUP,
                         "%s: linear upsampling along %c, where the volume is cut",
                         volt_program_node_name(p, node), "dhw"[axis]);
    out->box.low[axis] = in->box.low[axis] * s;
    out->box.high[axis] = in->box.high[axis] * s;
    return VOLT_OK;
}

static volt_status box_of(volt_program *p, const volt_node *node)
{
    volt_program_value *out = &p->values[node->out];
    volt_status st = VOLT_OK;

    if (node->kind == VOLT_NODE_INPUT) {
        out->box =
            volt_box_is_empty(p->options.box) ? volt_box_of_shape(out->global) : p->options.box;
        return VOLT_OK;
    }
    out->box = p->values[node->in[0]].box;
    for (int axis = 0; axis < 3 && st == VOLT_OK; axis++) {
        if (node->kind == VOLT_NODE_CONV || is_pool(node->kind))
            st = shrink(p, node, axis);
        else if (node->kind == VOLT_NODE_TCONV || node->kind == VOLT_NODE_UPSAMPLE_NEAREST ||
                 node->kind == VOLT_NODE_UPSAMPLE_LINEAR)
            st = grow(p, node, axis);
    }
    return st;
}

volt_status volt_program_boxes(volt_program *p)
{
    volt_status st = VOLT_OK;

    for (int i = 0; st == VOLT_OK && i < p->value_count; i++) {
        volt_program_value *v = &p->values[i];

        if (!v->extent[0])
            continue;
        memcpy(v->global, v->extent + 2, sizeof v->global);
        st = box_of(p, volt_graph_node(p->graph, i));
        volt_box_shape(v->extent + 2, v->box);
    }
    return st;
}

/* Makes the margins of `v` along an axis at least what [low, high) of it needs. */
static void need(const volt_program_value *v, int axis, int64_t low, int64_t high,
                 int64_t margin_low[3], int64_t margin_high[3])
{
    const int64_t first = low < 0 ? 0 : low;
    const int64_t end = high > v->global[axis] ? v->global[axis] : high;

    if (v->box.low[axis] - first > margin_low[axis])
        margin_low[axis] = v->box.low[axis] - first;
    if (end - v->box.high[axis] > margin_high[axis])
        margin_high[axis] = end - v->box.high[axis];
}

/* Floor; the divisor is positive. */
static int64_t divide(int64_t x, int64_t by)
{
    return x >= 0 ? x / by : -((-x + by - 1) / by);
}

/* What the box of a convolution's result reads of its input, and the box of the input of the
 * result's gradient. A transposed convolution is the same with the sides exchanged. */
static void need_window(const volt_program *p, const volt_unit *u, int axis)
{
    const bool transposed = u->node->kind == VOLT_NODE_TCONV;
    const volt_conv *c = &u->node->conv;
    const int64_t s = c->stride[axis], k = c->kernel[axis], pad = c->pad_low[axis];
    volt_program_value *in = &p->values[u->in[0]], *out = &p->values[u->out];
    volt_program_value *fine = transposed ? out : in, *coarse = transposed ? in : out;
    /* Whether windows cross a cut, which lies at a multiple of the stride: the same in all
     * parts, whether or not this one has something to read there. */
    const bool crosses = !is_whole(in, axis) && (pad > 0 || k > s + pad);

    need(fine, axis, coarse->box.low[axis] * s - pad,
         (coarse->box.high[axis] - 1) * s - pad + k,
         transposed ? fine->gradient_low : fine->margin_low,
         transposed ? fine->gradient_high : fine->margin_high);
    need(coarse, axis, -divide(k - 1 - pad - fine->box.low[axis], s),
         divide(fine->box.high[axis] - 1 + pad, s) + 1,
         transposed ? coarse->margin_low : coarse->gradient_low,
         transposed ? coarse->margin_high : coarse->gradient_high);
    in->exchanged |= crosses;
    out->gradient_exchanged |= crosses;
}

static void raise(int64_t margin[3], const int64_t to[3])
{
    for (int axis = 0; axis < 3; axis++)
        margin[axis] = to[axis] > margin[axis] ? to[axis] : margin[axis];
}

void volt_program_margins(volt_program *p)
{
    for (int i = 0; i < p->unit_count; i++) {
        for (int axis = 0; axis < 3 && is_convolution(p->units[i].node->kind); axis++)
            need_window(p, &p->units[i], axis);
    }
    /* Inputs of a concatenation lie in its buffer, both inputs of an addition get one gradient:
     * memory that has the margins of all. */
    for (int i = 0; i < p->unit_count; i++) {
        const volt_unit *u = &p->units[i];
        const bool concat = u->node->kind == VOLT_NODE_CONCAT;
        volt_program_value *out = &p->values[u->out];

        for (int j = 0; j < u->inputs && (concat || u->node->kind == VOLT_NODE_ADD); j++) {
            const volt_program_value *in = &p->values[u->in[j]];
            if (concat) {
                raise(out->margin_low, in->margin_low);
                raise(out->margin_high, in->margin_high);
            }
            raise(out->gradient_low, in->gradient_low);
            raise(out->gradient_high, in->gradient_high);
        }
    }
}

volt_conv volt_program_window(const volt_program *p, const volt_unit *u)
{
    volt_conv c = u->node->conv;

    for (int a = 0; a < 3 && (u->node->kind == VOLT_NODE_CONV || is_pool(u->node->kind)); a++) {
        const volt_program_value *in = &p->values[u->in[0]], *out = &p->values[u->out];
        const int64_t end = (out->extent[2 + a] - 1) * c.stride[a] + c.kernel[a];

        if (is_whole(in, a))
            continue;
        c.pad_high[a] = end - c.pad_low[a] - in->extent[2 + a];
        if (c.pad_high[a] < 0)
            c.pad_high[a] = 0;
    }
    return c;
}

bool volt_program_covers(const volt_program *p, const volt_tensor *t, volt_value v,
                         bool gradient)
{
    const volt_program_value *value = &p->values[v];

    for (int a = 0; a < 3; a++) {
        if (t->margin_low[a] < (gradient ? value->gradient_low : value->margin_low)[a] ||
            t->margin_high[a] < (gradient ? value->gradient_high : value->margin_high)[a])
            return false;
    }
    return true;
}
