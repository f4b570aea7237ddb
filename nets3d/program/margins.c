/* Parts of a volume: which voxels around a box are needed from whoever computes the rest.
 *
 * What a window reads beyond an inner face of a box becomes a margin, in the forward pass of
 * the value, in the backward pass of the gradient; at the faces of the volume there are none,
 * and padding as ever.
 */
#include "nets3d/program/program_internal.h"

static bool is_convolution(volt_node_kind kind)
{
    return kind == VOLT_NODE_CONV || kind == VOLT_NODE_TCONV;
}

static bool shrinks(volt_node_kind kind)
{
    return kind == VOLT_NODE_CONV || kind == VOLT_NODE_MAX_POOL ||
           kind == VOLT_NODE_AVERAGE_POOL;
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
    const bool crosses = !volt_value_is_whole(in, axis) && (pad > 0 || k > s + pad);

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

/* The same for linear upsampling: each output lies between two inputs, or at one. */
static void need_neighbours(const volt_program *p, const volt_unit *u, int axis)
{
    const int64_t s = u->node->conv.stride[axis];
    volt_program_value *in = &p->values[u->in[0]], *out = &p->values[u->out];

    if (s == 1 || volt_value_is_whole(in, axis))
        return;
    need(in, axis, in->box.low[axis] - 1, in->box.high[axis] + 1, in->margin_low,
         in->margin_high);
    need(out, axis, out->box.low[axis] - s / 2, out->box.high[axis] + s / 2, out->gradient_low,
         out->gradient_high);
    in->exchanged = out->gradient_exchanged = true;
}

static void raise(int64_t margin[3], const int64_t to[3])
{
    for (int axis = 0; axis < 3; axis++)
        margin[axis] = to[axis] > margin[axis] ? to[axis] : margin[axis];
}

void volt_program_margins(volt_program *p)
{
    for (int i = 0; i < p->unit_count; i++) {
        const volt_node_kind kind = p->units[i].node->kind;

        for (int axis = 0; axis < 3; axis++) {
            if (is_convolution(kind))
                need_window(p, &p->units[i], axis);
            else if (kind == VOLT_NODE_UPSAMPLE_LINEAR)
                need_neighbours(p, &p->units[i], axis);
        }
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

    for (int a = 0; a < 3 && shrinks(u->node->kind); a++) {
        const volt_program_value *in = &p->values[u->in[0]], *out = &p->values[u->out];
        const int64_t end = (out->extent[2 + a] - 1) * c.stride[a] + c.kernel[a];

        if (volt_value_is_whole(in, a))
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
