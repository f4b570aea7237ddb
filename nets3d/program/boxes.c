/* Parts of a volume: which box of every value is computed here.
 *
 * Extents follow from boxes, never from the formula of the windows: a part has as many outputs
 * as its place in the whole says, however the volume was cut. A box is cut at multiples of the
 * strides, so that the box of a coarser value is the finer one's divided.
 */
#include "nets3d/program/ranks.h"

#include <string.h>

static bool is_pool(volt_node_kind kind)
{
    return kind == VOLT_NODE_MAX_POOL || kind == VOLT_NODE_AVERAGE_POOL;
}

/* The box of a window's result along one axis: `from` is the input's, or of a gathered one
 * this rank's part. */
static volt_status shrink(const volt_program *p, const volt_node *node, volt_box from, int axis)
{
    const volt_program_value *in = &p->values[node->in[0]];
    volt_program_value *out = &p->values[node->out];
    const int64_t s = node->conv.stride[axis], low = from.low[axis];
    const int64_t high = from.high[axis];
    const bool last = high == in->global[axis];

    if (is_pool(node->kind) && !(low == 0 && last) &&
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

static void grow(const volt_program *p, const volt_node *node, int axis)
{
    const volt_program_value *in = &p->values[node->in[0]];
    volt_program_value *out = &p->values[node->out];
    const int64_t s = node->conv.stride[axis];

    out->box.low[axis] = in->box.low[axis] * s;
    out->box.high[axis] = in->box.high[axis] * s;
}

static volt_status box_of(volt_program *p, const volt_node *node)
{
    volt_program_value *out = &p->values[node->out];
    volt_status st = VOLT_OK;
    volt_box from;

    if (node->kind == VOLT_NODE_INPUT) {
        out->box =
            volt_box_is_empty(p->options.box) ? volt_box_of_shape(out->global) : p->options.box;
        return VOLT_OK;
    }
    if (out->gathered) {
        out->box = volt_box_of_shape(out->global);
        return VOLT_OK;
    }
    from = p->values[node->in[0]].gathered
               ? volt_program_own_part(p, p->values[node->in[0]].global)
               : p->values[node->in[0]].box;
    out->box = from;
    for (int axis = 0; axis < 3 && st == VOLT_OK; axis++) {
        if (node->kind == VOLT_NODE_CONV || is_pool(node->kind))
            st = shrink(p, node, from, axis);
        else if (node->kind == VOLT_NODE_TCONV || node->kind == VOLT_NODE_UPSAMPLE_NEAREST ||
                 node->kind == VOLT_NODE_UPSAMPLE_LINEAR)
            grow(p, node, axis);
    }
    return st;
}

/* Also of twins, which lie behind the graph's values. */
static const volt_node *node_of(const volt_program *p, volt_value v)
{
    const int count = volt_graph_value_count(p->graph);

    return v < count ? volt_graph_node(p->graph, v) : &p->regrids[v - count];
}

volt_status volt_program_boxes(volt_program *p)
{
    volt_status st = VOLT_OK;

    for (int i = 0; st == VOLT_OK && i < p->value_count; i++) {
        volt_program_value *v = &p->values[i];

        if (!v->extent[0]) /* needed by no output */
            continue;
        memcpy(v->global, v->extent + 2, sizeof v->global);
        st = box_of(p, node_of(p, i));
        volt_box_shape(v->extent + 2, v->box);
    }
    return st;
}
