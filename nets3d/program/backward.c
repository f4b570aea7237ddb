#include "nets3d/program/program_internal.h"

#include <string.h>

#include "base/mem.h"

static volt_status add_share(volt_program *p, int *out, int left)
{
    volt_status st;

    if (p->share_count == p->share_capacity) {
        const int wanted = 2 * p->share_capacity + 64;
        VOLT_TRY(st, done,
                 volt_realloc(&p->share, (size_t)p->share_count * sizeof *p->share,
                              (size_t)wanted * sizeof *p->share, "a program"));
        p->share_capacity = wanted;
    }
    p->share[p->share_count] = left;
    *out = p->share_count++;
    st = VOLT_OK;
done:
    return st;
}

/* Queues a gradient of `value` that lies at `place`. */
static volt_status send(volt_program *p, volt_value value, const volt_place *place, int share)
{
    volt_status st;

    if (p->pending_count == p->pending_capacity) {
        const int wanted = 2 * p->pending_capacity + 64;
        VOLT_TRY(st, done,
                 volt_realloc(&p->pending, (size_t)p->pending_count * sizeof *p->pending,
                              (size_t)wanted * sizeof *p->pending, "a program"));
        p->pending_capacity = wanted;
    }
    p->pending[p->pending_count++] = (volt_gradient){value, *place, share};
    st = VOLT_OK;
done:
    return st;
}

/* The same for memory that nobody else reads. */
static volt_status send_own(volt_program *p, volt_value value, const volt_place *place)
{
    int share;
    volt_status st = add_share(p, &share, 1);

    return st == VOLT_OK ? send(p, value, place, share) : st;
}

static bool is_own(const volt_program *p, const volt_gradient *g)
{
    return p->share[g->share] == 1 && g->place.tensor.layout == VOLT_NATIVE;
}

/* Takes the first queued gradient of v: the order of sums does not hang on what else is queued.
 */
static bool take(volt_program *p, volt_value v, volt_gradient *out)
{
    for (int i = 0; i < p->pending_count; i++) {
        if (p->pending[i].value == v) {
            *out = p->pending[i];
            p->pending_count--;
            memmove(&p->pending[i], &p->pending[i + 1],
                    (size_t)(p->pending_count - i) * sizeof *out);
            return true;
        }
    }
    return false;
}

static void release(volt_program *p, const volt_gradient *g)
{
    p->share[g->share]--;
}

/* An output's gradient lies in plain float32; all but convolutions want it native. */
static volt_status to_native(volt_program *p, int unit, volt_gradient *g)
{
    volt_gradient native = {.value = g->value};
    volt_operand o[2];
    volt_status st;

    if (g->place.tensor.layout == VOLT_NATIVE)
        return VOLT_OK;
    VOLT_TRY(st, done, add_share(p, &native.share, 1));
    VOLT_TRY(st, done,
             volt_program_add_place(p, &native.place, volt_program_tensor(p, g->value)));
    o[0] = volt_operand_place(&g->place);
    o[1] = volt_operand_place(&native.place);
    VOLT_TRY(st, done, volt_program_add_operator(p, VOLT_OP_COPY, unit, o));
    release(p, g);
    *g = native;
done:
    return st;
}

/* a += b, in the memory of either if it may be overwritten, else in new memory. */
static volt_status sum(volt_program *p, int unit, volt_gradient *a, const volt_gradient *b)
{
    volt_gradient total = {.value = a->value};
    volt_operand o[3];
    volt_status st;

    if (is_own(p, a))
        total.place = a->place;
    else if (is_own(p, b))
        total.place = b->place;
    else
        VOLT_TRY(st, done,
                 volt_program_add_place(p, &total.place, volt_program_tensor(p, a->value)));
    o[0] = volt_operand_place(&a->place);
    o[1] = volt_operand_place(&b->place);
    o[2] = volt_operand_place(&total.place);
    VOLT_TRY(st, done, volt_program_add_operator(p, VOLT_OP_ADD, unit, o));
    release(p, a);
    release(p, b);
    VOLT_TRY(st, done, add_share(p, &total.share, 1));
    *a = total;
done:
    return st;
}

/* All gradients of the unit's value: *first, and in *second (NULL: not wanted) one that is not
 * added yet; second->place.buffer is -1 when there is none. */
static volt_status gather(volt_program *p, int unit, volt_gradient *first,
                          volt_gradient *second)
{
    const volt_value v = p->units[unit].out;
    volt_gradient next;
    volt_status st;

    if (second)
        second->place.buffer = -1;
    if (!take(p, v, first))
        return volt_fail(VOLT_EINTERNAL, "value %d gets no gradient", (int)v);
    while (take(p, v, &next)) {
        VOLT_TRY(st, done, to_native(p, unit, first));
        VOLT_TRY(st, done, to_native(p, unit, &next));
        if (second && second->place.buffer < 0) {
            *second = next;
            continue;
        }
        VOLT_TRY(st, done, sum(p, unit, first, &next));
    }
    st = VOLT_OK;
done:
    return st;
}

/* Where the gradient may be transformed into another one of the same extents. */
static volt_status in_place_or_new(volt_program *p, const volt_gradient *g, volt_place *out)
{
    if (is_own(p, g)) {
        *out = g->place;
        return VOLT_OK;
    }
    return volt_program_add_place(p, out, volt_program_tensor(p, g->value));
}

/* Gradients of a convolution's weights and bias from that of its value. */
static volt_status weight_gradient(volt_program *p, int unit, const volt_gradient *g)
{
    const volt_unit *u = &p->units[unit];
    const bool biased = u->bias_learns && !u->bias_cancels;
    volt_operand o[4];
    volt_status st = volt_program_materialise(p, u->in[0]);

    if (st != VOLT_OK)
        return st;
    o[0] = volt_operand_place(&p->values[u->in[0]].place);
    o[1] = volt_operand_param(p, VOLT_OPERAND_GRADIENT, u->node->weight);
    o[2] = volt_operand_param(p, VOLT_OPERAND_GRADIENT, biased ? u->node->bias : -1);
    o[3] = volt_operand_place(&g->place);
    return volt_program_add_operator(
        p,
        u->node->kind == VOLT_NODE_TCONV ? VOLT_OP_TCONV_BWD_WEIGHTS : VOLT_OP_CONV_BWD_WEIGHTS,
        unit, o);
}

static volt_status backward_conv(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    const bool transposed = u->node->kind == VOLT_NODE_TCONV;
    volt_gradient g;
    volt_place diff_src;
    volt_operand o[3];
    volt_status st;

    VOLT_TRY(st, done, gather(p, unit, &g, NULL));
    if (transposed || (p->restrictions & VOLT_NO_PLAIN_OUTPUT))
        VOLT_TRY(st, done, to_native(p, unit, &g));
    if (u->weights_learn || u->bias_learns)
        VOLT_TRY(st, done, weight_gradient(p, unit, &g));
    if (p->values[u->in[0]].needs_gradient) {
        VOLT_TRY(st, done,
                 volt_program_add_place(p, &diff_src, volt_program_tensor(p, u->in[0])));
        o[0] = volt_operand_place(&diff_src);
        o[1] = volt_operand_param(p, VOLT_OPERAND_WEIGHTS, u->node->weight);
        o[2] = volt_operand_place(&g.place);
        VOLT_TRY(st, done,
                 volt_program_add_operator(
                     p, transposed ? VOLT_OP_TCONV_BWD_DATA : VOLT_OP_CONV_BWD_DATA, unit, o));
        VOLT_TRY(st, done, send_own(p, u->in[0], &diff_src));
    }
    release(p, &g);
done:
    return st;
}

static volt_status backward_norm(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    const bool two = !(p->restrictions & VOLT_NO_SECOND_GRADIENT);
    const int64_t n = p->values[u->out].extent[0], c = p->values[u->out].extent[1];
    volt_gradient first, second = {.place = {.buffer = -1}};
    volt_place diff_src;
    volt_operand o[10];
    volt_status st;

    VOLT_TRY(st, done, gather(p, unit, &first, two ? &second : NULL));
    VOLT_TRY(st, done, to_native(p, unit, &first));
    if (second.place.buffer >= 0 && is_own(p, &second) &&
        (!is_own(p, &first) || first.place.tensor.buffer_c > first.place.tensor.c)) {
        const volt_gradient swapped = first; /* overwrite a whole buffer rather than a range */
        first = second;
        second = swapped;
    }
    VOLT_TRY(st, done, volt_program_materialise(p, u->in[0]));
    VOLT_TRY(st, done, in_place_or_new(p, &first, &diff_src));
    o[0] = volt_operand_place(&p->values[u->in[0]].place);
    o[1] = volt_operand_vector(u->mean, n, c);
    o[2] = volt_operand_vector(u->rstd, n, c);
    o[3] = volt_operand_param(p, VOLT_OPERAND_PARAMETER, u->node->weight);
    o[4] = volt_operand_param(p, VOLT_OPERAND_PARAMETER, u->node->bias);
    o[5] = volt_operand_place(&first.place);
    o[6] = second.place.buffer < 0 ? volt_operand_none() : volt_operand_place(&second.place);
    o[7] = volt_operand_place(&diff_src);
    o[8] = volt_operand_param(p, VOLT_OPERAND_GRADIENT, u->node->weight);
    o[9] = volt_operand_param(p, VOLT_OPERAND_GRADIENT, u->node->bias);
    VOLT_TRY(st, done, volt_program_add_operator(p, VOLT_OP_NORM_ACT_BWD, unit, o));
    release(p, &first);
    if (second.place.buffer >= 0)
        release(p, &second);
    if (p->values[u->in[0]].needs_gradient)
        st = send_own(p, u->in[0], &diff_src);
done:
    return st;
}

/* Activation and softmax: from the forward pass's result and diff_dst, in place. */
static volt_status backward_from_result(volt_program *p, int unit, volt_op_kind kind)
{
    const volt_unit *u = &p->units[unit];
    volt_gradient g;
    volt_place diff_src;
    volt_operand o[3];
    volt_status st;

    VOLT_TRY(st, done, gather(p, unit, &g, NULL));
    VOLT_TRY(st, done, to_native(p, unit, &g));
    VOLT_TRY(st, done, volt_program_materialise(p, u->out));
    VOLT_TRY(st, done, in_place_or_new(p, &g, &diff_src));
    o[0] = volt_operand_place(&p->values[u->out].place);
    o[1] = volt_operand_place(&g.place);
    o[2] = volt_operand_place(&diff_src);
    VOLT_TRY(st, done, volt_program_add_operator(p, kind, unit, o));
    release(p, &g);
    st = send_own(p, u->in[0], &diff_src);
done:
    return st;
}

static volt_status backward_prelu(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    volt_gradient g;
    volt_place diff_src;
    volt_operand o[5];
    volt_status st;

    VOLT_TRY(st, done, gather(p, unit, &g, NULL));
    VOLT_TRY(st, done, to_native(p, unit, &g));
    VOLT_TRY(st, done, volt_program_materialise(p, u->in[0]));
    VOLT_TRY(st, done, in_place_or_new(p, &g, &diff_src));
    o[0] = volt_operand_place(&p->values[u->in[0]].place);
    o[1] = volt_operand_param(p, VOLT_OPERAND_PARAMETER, u->node->weight);
    o[2] = volt_operand_place(&g.place);
    o[3] = volt_operand_place(&diff_src);
    o[4] = volt_operand_param(p, VOLT_OPERAND_GRADIENT, u->node->weight);
    VOLT_TRY(st, done, volt_program_add_operator(p, VOLT_OP_PRELU_BWD, unit, o));
    release(p, &g);
    if (p->values[u->in[0]].needs_gradient)
        st = send_own(p, u->in[0], &diff_src);
done:
    return st;
}

/* Pooling and upsampling: into new memory; max pooling also reads its input. */
static volt_status backward_resize(volt_program *p, int unit, volt_op_kind kind)
{
    const volt_unit *u = &p->units[unit];
    const bool max = kind == VOLT_OP_MAX_POOL_BWD;
    volt_gradient g;
    volt_place diff_src;
    volt_operand o[3];
    volt_status st;

    VOLT_TRY(st, done, gather(p, unit, &g, NULL));
    VOLT_TRY(st, done, to_native(p, unit, &g));
    if (max) {
        VOLT_TRY(st, done, volt_program_materialise(p, u->in[0]));
        o[0] = volt_operand_place(&p->values[u->in[0]].place);
    }
    VOLT_TRY(st, done, volt_program_add_place(p, &diff_src, volt_program_tensor(p, u->in[0])));
    o[max] = volt_operand_place(&g.place);
    o[max + 1] = volt_operand_place(&diff_src);
    VOLT_TRY(st, done, volt_program_add_operator(p, kind, unit, o));
    release(p, &g);
    st = send_own(p, u->in[0], &diff_src);
done:
    return st;
}

static volt_status backward_dropout(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    const int64_t n = p->values[u->out].extent[0], c = p->values[u->out].extent[1];
    volt_gradient g;
    volt_place diff_src;
    volt_operand o[3];
    volt_status st;

    VOLT_TRY(st, done, gather(p, unit, &g, NULL));
    VOLT_TRY(st, done, to_native(p, unit, &g));
    VOLT_TRY(st, done, in_place_or_new(p, &g, &diff_src));
    o[0] = volt_operand_place(&g.place);
    o[1] = volt_operand_vector(u->factors, n, c);
    o[2] = volt_operand_place(&diff_src);
    VOLT_TRY(st, done, volt_program_add_operator(p, VOLT_OP_SCALE_CHANNELS, unit, o));
    release(p, &g);
    st = send_own(p, u->in[0], &diff_src);
done:
    return st;
}

/* Both inputs of an addition get the same memory. */
static volt_status backward_add(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    volt_gradient g;
    volt_status st;

    VOLT_TRY(st, done, gather(p, unit, &g, NULL));
    VOLT_TRY(st, done, to_native(p, unit, &g));
    for (int i = 0; i < u->inputs; i++) {
        if (!p->values[u->in[i]].needs_gradient)
            continue;
        p->share[g.share]++;
        VOLT_TRY(st, done, send(p, u->in[i], &g.place, g.share));
    }
    release(p, &g);
done:
    return st;
}

/* Each input of a concatenation gets its range, or a copy where ranges cannot be operands. */
static volt_status backward_concat(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    int64_t channel = 0;
    volt_gradient g;
    volt_status st;
    bool own;

    VOLT_TRY(st, done, gather(p, unit, &g, NULL));
    VOLT_TRY(st, done, to_native(p, unit, &g));
    own = is_own(p, &g);
    for (int i = 0; i < u->inputs; i++) {
        const volt_value v = u->in[i];
        volt_place part = volt_program_range(p, &g.place, v, channel);
        int share;

        channel += p->values[v].extent[1];
        if (!p->values[v].needs_gradient)
            continue;
        if (!volt_program_aligned(p, u->out, v, channel - p->values[v].extent[1])) {
            const volt_place range = part;
            volt_operand o[2];
            VOLT_TRY(st, done, volt_program_add_place(p, &part, volt_program_tensor(p, v)));
            o[0] = volt_operand_place(&range);
            o[1] = volt_operand_place(&part);
            VOLT_TRY(st, done, volt_program_add_operator(p, VOLT_OP_COPY, unit, o));
            VOLT_TRY(st, done, send_own(p, v, &part));
            continue;
        }
        VOLT_TRY(st, done, add_share(p, &share, own ? 1 : 2)); /* 2: never overwritten */
        VOLT_TRY(st, done, send(p, v, &part, share));
    }
    release(p, &g);
done:
    return st;
}

static volt_status backward_unit(volt_program *p, int unit)
{
    switch (p->units[unit].node->kind) {
    case VOLT_NODE_INPUT:
        return VOLT_OK;
    case VOLT_NODE_CONV:
    case VOLT_NODE_TCONV:
        return backward_conv(p, unit);
    case VOLT_NODE_INSTANCE_NORM:
        return backward_norm(p, unit);
    case VOLT_NODE_ACTIVATION:
        return backward_from_result(p, unit, VOLT_OP_ACT_BWD);
    case VOLT_NODE_SOFTMAX:
        return backward_from_result(p, unit, VOLT_OP_SOFTMAX_BWD);
    case VOLT_NODE_MAX_POOL:
        return backward_resize(p, unit, VOLT_OP_MAX_POOL_BWD);
    case VOLT_NODE_AVERAGE_POOL:
        return backward_resize(p, unit, VOLT_OP_AVERAGE_POOL_BWD);
    case VOLT_NODE_UPSAMPLE_NEAREST:
    case VOLT_NODE_UPSAMPLE_LINEAR:
        return backward_resize(p, unit, VOLT_OP_UPSAMPLE_BWD);
    case VOLT_NODE_DROPOUT:
        return backward_dropout(p, unit);
    case VOLT_NODE_PRELU:
        return backward_prelu(p, unit);
    case VOLT_NODE_ADD:
        return backward_add(p, unit);
    case VOLT_NODE_CONCAT:
        return backward_concat(p, unit);
    }
    return volt_fail(VOLT_EINTERNAL, "node kind %d has no backward pass",
                     (int)p->units[unit].node->kind);
}

volt_status volt_program_emit_backward(volt_program *p)
{
    volt_status st = VOLT_OK;

    for (int i = 0; i < volt_graph_output_count(p->graph); i++) {
        const volt_value v = p->values[volt_graph_output_value(p->graph, i)].alias;
        if (p->values[v].needs_gradient)
            VOLT_TRY(st, done, send_own(p, v, &p->outputs[i]));
    }
    for (; p->slot < 2 * p->unit_count; p->slot++) {
        const int unit = 2 * p->unit_count - 1 - p->slot;
        if (p->values[p->units[unit].out].needs_gradient)
            VOLT_TRY(st, done, backward_unit(p, unit));
        volt_program_drop(p);
    }
done:
    return st;
}
