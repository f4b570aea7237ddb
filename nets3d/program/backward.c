/* The backward pass as steps.
 *
 * Units are visited from the outputs to the input. What arrives at a unit's value is queued by
 * its consumers and summed when the unit is reached, in the order of arrival, so that the sum
 * is the same whatever else is queued. Gradients are not copied where they can be referred to:
 * both inputs of an addition get the same memory, each input of a concatenation its range. A
 * count of references tells when memory has one user left, who may then overwrite it in place.
 */
#include "nets3d/program/ranks.h"

#include <string.h>

#include "base/core/alloc.h"

/* New memory with so many references. */
static volt_status add_memory(volt_program *p, int *out, int references)
{
    volt_status st;

    if (p->memory_count == p->memory_capacity) {
        const int wanted = 2 * p->memory_capacity + 64;
        VOLT_TRY(st, done,
                 volt_realloc(&p->references, (size_t)p->memory_count * sizeof *p->references,
                              (size_t)wanted * sizeof *p->references, "a program"));
        p->memory_capacity = wanted;
    }
    p->references[p->memory_count] = references;
    *out = p->memory_count++;
    st = VOLT_OK;
done:
    return st;
}

/* Queues a gradient of `value` that lies at `place`. */
static volt_status send(volt_program *p, volt_value value, const volt_place *place, int memory)
{
    volt_status st;

    if (p->pending_count == p->pending_capacity) {
        const int wanted = 2 * p->pending_capacity + 64;
        VOLT_TRY(st, done,
                 volt_realloc(&p->pending, (size_t)p->pending_count * sizeof *p->pending,
                              (size_t)wanted * sizeof *p->pending, "a program"));
        p->pending_capacity = wanted;
    }
    p->pending[p->pending_count++] = (volt_gradient){value, *place, memory};
    st = VOLT_OK;
done:
    return st;
}

/* The same for memory that nobody else reads. */
static volt_status send_own(volt_program *p, volt_value value, const volt_place *place)
{
    int memory;
    volt_status st = add_memory(p, &memory, 1);

    return st == VOLT_OK ? send(p, value, place, memory) : st;
}

static bool is_own(const volt_program *p, const volt_gradient *g)
{
    return p->references[g->memory] == 1 && g->place.tensor.layout == VOLT_NATIVE;
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
    p->references[g->memory]--;
}

/* An output's gradient lies in plain float32; all but convolutions want it native. */
static volt_status to_native(volt_program *p, int unit, volt_gradient *g)
{
    volt_gradient native = {.value = g->value};
    volt_status st;

    if (g->place.tensor.layout == VOLT_NATIVE)
        return VOLT_OK;
    VOLT_TRY(st, done, add_memory(p, &native.memory, 1));
    VOLT_TRY(
        st, done,
        volt_program_add_place(p, &native.place, volt_program_gradient_tensor(p, g->value)));
    VOLT_TRY(st, done,
             VOLT_EMIT(p, VOLT_OP_COPY, unit, volt_operand_place(&g->place),
                       volt_operand_place(&native.place)));
    release(p, g);
    *g = native;
done:
    return st;
}

/* a += b, in the memory of either if it may be overwritten, else in new memory. */
static volt_status sum(volt_program *p, int unit, volt_gradient *a, const volt_gradient *b)
{
    volt_gradient total = {.value = a->value};
    volt_status st;

    if (is_own(p, a))
        total.place = a->place;
    else if (is_own(p, b))
        total.place = b->place;
    else
        VOLT_TRY(
            st, done,
            volt_program_add_place(p, &total.place, volt_program_gradient_tensor(p, a->value)));
    VOLT_TRY(st, done,
             VOLT_EMIT(p, VOLT_OP_ADD, unit, volt_operand_place(&a->place),
                       volt_operand_place(&b->place), volt_operand_place(&total.place)));
    release(p, a);
    release(p, b);
    VOLT_TRY(st, done, add_memory(p, &total.memory, 1));
    *a = total;
done:
    return st;
}

/* All gradients of the unit's value: *first, and in *second (NULL: not wanted) one that is not
 * added yet; second->place.buffer is -1 without one. */
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

/* Where the gradient may be transformed into that of the unit's input, of the same extents. */
static volt_status in_place_or_new(volt_program *p, int unit, const volt_gradient *g,
                                   volt_place *out)
{
    const volt_value in = p->units[unit].in[0];

    if (is_own(p, g) && volt_program_covers(p, &g->place.tensor, in, true)) {
        *out = g->place;
        return VOLT_OK;
    }
    return volt_program_add_place(p, out, volt_program_gradient_tensor(p, in));
}

/* A gradient that came without the margins that the unit reads is copied to where they are. */
static volt_status with_margins(volt_program *p, int unit, volt_gradient *g)
{
    volt_gradient with = {.value = g->value};
    volt_tensor t = volt_program_gradient_tensor(p, g->value);
    volt_status st;

    if (volt_program_covers(p, &g->place.tensor, g->value, true))
        return VOLT_OK;
    t.dtype = g->place.tensor.dtype;
    t.layout = g->place.tensor.layout;
    VOLT_TRY(st, done, add_memory(p, &with.memory, 1));
    VOLT_TRY(st, done, volt_program_add_place(p, &with.place, t));
    VOLT_TRY(st, done,
             VOLT_EMIT(p, VOLT_OP_COPY, unit, volt_operand_place(&g->place),
                       volt_operand_place(&with.place)));
    release(p, g);
    *g = with;
done:
    return st;
}

/* The whole gradient of the unit's value, in the native layout. */
static volt_status gather_native(volt_program *p, int unit, volt_gradient *g)
{
    volt_status st = gather(p, unit, g, NULL);

    return st == VOLT_OK ? to_native(p, unit, g) : st;
}

/* Ends a unit of one input: its gradient is used up, diff_src goes to the input. */
static volt_status pass_on(volt_program *p, int unit, const volt_gradient *g,
                           const volt_place *diff_src)
{
    const volt_value in = p->units[unit].in[0];

    release(p, g);
    return p->values[in].needs_gradient ? send_own(p, in, diff_src) : VOLT_OK;
}

static volt_operand value_of(const volt_program *p, volt_value v)
{
    return volt_operand_place(&p->values[v].place);
}

/* The statistics of a norm or the factors of a dropout: (n,c) of the unit's value. */
static volt_operand per_channel(const volt_program *p, const volt_unit *u, int buffer)
{
    const int64_t *extent = p->values[u->out].extent;

    return volt_operand_vector(buffer, extent[0], extent[1]);
}

/* Gradients of a convolution's weights and bias from that of its value. */
static volt_status weight_gradient(volt_program *p, int unit, const volt_gradient *g)
{
    const volt_unit *u = &p->units[unit];
    const bool biased = u->bias_learns && !u->bias_cancels;
    const volt_op_kind kind =
        u->node->kind == VOLT_NODE_TCONV ? VOLT_OP_TCONV_BWD_WEIGHTS : VOLT_OP_CONV_BWD_WEIGHTS;
    volt_status st = volt_program_materialize(p, u->in[0]);

    if (st != VOLT_OK)
        return st;
    return VOLT_EMIT(p, kind, unit, value_of(p, u->in[0]),
                     volt_operand_param(p, VOLT_OPERAND_GRADIENT, u->node->weight),
                     volt_operand_param(p, VOLT_OPERAND_GRADIENT, biased ? u->node->bias : -1),
                     volt_operand_place(&g->place));
}

static volt_status backward_conv(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    const bool transposed = u->node->kind == VOLT_NODE_TCONV;
    const bool passes = p->values[u->in[0]].needs_gradient;
    volt_gradient g;
    volt_place diff_src = {.buffer = -1};
    int exchange = -1;
    volt_status st;

    VOLT_TRY(st, done, gather(p, unit, &g, NULL));
    if (transposed || (p->restrictions & VOLT_NO_PLAIN_OUTPUT))
        VOLT_TRY(st, done, to_native(p, unit, &g));
    if (transposed || passes) { /* a convolution's weights need the box alone */
        VOLT_TRY(st, done, with_margins(p, unit, &g));
        VOLT_TRY(st, done,
                 volt_program_start_exchange(p, unit, g.value, &g.place, true, &exchange));
    }
    if (transposed)
        VOLT_TRY(st, done, volt_program_end_exchange(p, unit, exchange));
    if ((u->weights_learn || u->bias_learns) && !u->dealt)
        VOLT_TRY(st, done, weight_gradient(p, unit, &g));
    if (!transposed)
        VOLT_TRY(st, done, volt_program_end_exchange(p, unit, exchange));
    if (passes) {
        VOLT_TRY(
            st, done,
            volt_program_add_place(p, &diff_src, volt_program_gradient_tensor(p, u->in[0])));
        VOLT_TRY(st, done,
                 VOLT_EMIT(p, transposed ? VOLT_OP_TCONV_BWD_DATA : VOLT_OP_CONV_BWD_DATA, unit,
                           volt_operand_place(&diff_src),
                           volt_operand_param(p, VOLT_OPERAND_WEIGHTS, u->node->weight),
                           volt_operand_place(&g.place)));
    }
    st = pass_on(p, unit, &g, &diff_src);
done:
    return st;
}

/* The steps of a norm's backward pass; `second` may be NULL. */
static volt_status norm_gradients(volt_program *p, int unit, const volt_gradient *first,
                                  const volt_gradient *second, volt_place *diff_src)
{
    const volt_unit *u = &p->units[unit];
    const int64_t *extent = p->values[u->out].extent;
    const int64_t rows = volt_unit_over_batch(u) ? 1 : extent[0];
    volt_operand o[VOLT_OP_MAX_TENSORS] = {
        value_of(p, u->in[0]),
        per_channel(p, u, u->mean),
        per_channel(p, u, u->rstd),
        volt_operand_param(p, VOLT_OPERAND_PARAMETER, u->node->weight),
        volt_operand_param(p, VOLT_OPERAND_PARAMETER, u->node->bias),
        volt_operand_place(&first->place),
        second ? volt_operand_place(&second->place) : volt_operand_none()};
    int sums;
    volt_status st;

    VOLT_TRY(st, done, volt_program_add_buffer(p, &sums, (size_t)(rows * extent[1]) * 2 * 8));
    o[7] = volt_operand_sums(sums, rows, extent[1]);
    o[8] = volt_operand_param(p, VOLT_OPERAND_GRADIENT, u->dealt ? -1 : u->node->weight);
    o[9] = volt_operand_param(p, VOLT_OPERAND_GRADIENT, u->dealt ? -1 : u->node->bias);
    VOLT_TRY(st, done, volt_program_add_operator(p, VOLT_OP_NORM_BWD_SUMS, unit, o));
    if (!p->values[u->in[0]].needs_gradient)
        goto done;
    VOLT_TRY(st, done, volt_program_add_sum(p, unit, &o[7]));
    VOLT_TRY(st, done, in_place_or_new(p, unit, first, diff_src));
    o[8] = volt_operand_place(diff_src);
    st = volt_program_add_operator(p, VOLT_OP_NORM_BWD_APPLY, unit, o);
done:
    return st;
}

static volt_status backward_norm(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    const bool two = !(p->restrictions & VOLT_NO_SECOND_GRADIENT);
    volt_gradient first, second = {.place = {.buffer = -1}};
    volt_place diff_src;
    volt_status st;

    VOLT_TRY(st, done, gather(p, unit, &first, two ? &second : NULL));
    VOLT_TRY(st, done, to_native(p, unit, &first));
    if (second.place.buffer >= 0 && is_own(p, &second) &&
        (!is_own(p, &first) || first.place.tensor.buffer_c > first.place.tensor.c)) {
        const volt_gradient swapped = first; /* overwrite a whole buffer rather than a range */
        first = second;
        second = swapped;
    }
    VOLT_TRY(st, done, volt_program_materialize(p, u->in[0]));
    VOLT_TRY(
        st, done,
        norm_gradients(p, unit, &first, second.place.buffer < 0 ? NULL : &second, &diff_src));
    if (second.place.buffer >= 0)
        release(p, &second);
    st = pass_on(p, unit, &first, &diff_src);
done:
    return st;
}

/* Activation and softmax: from the forward pass's result and diff_dst, in place. */
static volt_status backward_from_result(volt_program *p, int unit, volt_op_kind kind)
{
    const volt_unit *u = &p->units[unit];
    volt_gradient g;
    volt_place diff_src;
    volt_status st;

    VOLT_TRY(st, done, gather_native(p, unit, &g));
    VOLT_TRY(st, done, volt_program_materialize(p, u->out));
    VOLT_TRY(st, done, in_place_or_new(p, unit, &g, &diff_src));
    VOLT_TRY(st, done,
             VOLT_EMIT(p, kind, unit, value_of(p, u->out), volt_operand_place(&g.place),
                       volt_operand_place(&diff_src)));
    st = pass_on(p, unit, &g, &diff_src);
done:
    return st;
}

static volt_status backward_prelu(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    volt_operand slopes = volt_operand_param(p, VOLT_OPERAND_GRADIENT, u->node->weight);
    volt_gradient g;
    volt_place diff_src;
    volt_status st;

    VOLT_TRY(st, done, gather_native(p, unit, &g));
    VOLT_TRY(st, done, volt_program_materialize(p, u->in[0]));
    VOLT_TRY(st, done, in_place_or_new(p, unit, &g, &diff_src));
    if (u->dealt) { /* the operator has no form without: to nowhere */
        slopes.kind = VOLT_OPERAND_BUFFER;
        VOLT_TRY(st, done,
                 volt_program_add_buffer(p, &slopes.index,
                                         (size_t)volt_tensor_elements(&slopes.tensor) *
                                             sizeof(float)));
    }
    VOLT_TRY(st, done,
             VOLT_EMIT(p, VOLT_OP_PRELU_BWD, unit, value_of(p, u->in[0]),
                       volt_operand_param(p, VOLT_OPERAND_PARAMETER, u->node->weight),
                       volt_operand_place(&g.place), volt_operand_place(&diff_src), slopes));
    st = pass_on(p, unit, &g, &diff_src);
done:
    return st;
}

/* Pooling and upsampling: into new memory; max pooling also reads its input, and linear
 * upsampling the gradient's margins. */
static volt_status backward_resize(volt_program *p, int unit, volt_op_kind kind)
{
    const volt_unit *u = &p->units[unit];
    volt_gradient g;
    volt_place diff_src;
    volt_status st;

    VOLT_TRY(st, done, gather_native(p, unit, &g));
    if (u->node->kind == VOLT_NODE_UPSAMPLE_LINEAR) {
        VOLT_TRY(st, done, with_margins(p, unit, &g));
        VOLT_TRY(st, done, volt_program_add_exchange(p, unit, g.value, &g.place, true));
    }
    if (kind == VOLT_OP_MAX_POOL_BWD)
        VOLT_TRY(st, done, volt_program_materialize(p, u->in[0]));
    VOLT_TRY(st, done,
             volt_program_add_place(p, &diff_src, volt_program_gradient_tensor(p, u->in[0])));
    if (kind == VOLT_OP_MAX_POOL_BWD)
        st = VOLT_EMIT(p, kind, unit, value_of(p, u->in[0]), volt_operand_place(&g.place),
                       volt_operand_place(&diff_src));
    else
        st = VOLT_EMIT(p, kind, unit, volt_operand_place(&g.place),
                       volt_operand_place(&diff_src));
    if (st == VOLT_OK)
        st = pass_on(p, unit, &g, &diff_src);
done:
    return st;
}

static volt_status backward_dropout(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    volt_gradient g;
    volt_place diff_src;
    volt_status st;

    VOLT_TRY(st, done, gather_native(p, unit, &g));
    VOLT_TRY(st, done, in_place_or_new(p, unit, &g, &diff_src));
    VOLT_TRY(st, done,
             VOLT_EMIT(p, VOLT_OP_SCALE_CHANNELS, unit, volt_operand_place(&g.place),
                       per_channel(p, u, u->factors), volt_operand_place(&diff_src)));
    st = pass_on(p, unit, &g, &diff_src);
done:
    return st;
}

/* The gradient of a gathered value is whole on every rank: its part is cut out; that of a part
 * is gathered. */
static volt_status backward_regrid(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    const volt_program_value *in = &p->values[u->in[0]], *out = &p->values[u->out];
    volt_place diff_src;
    volt_gradient g;
    int exchange;
    volt_tensor t;
    volt_status st;

    VOLT_TRY(st, done, gather(p, unit, &g, NULL));
    t = volt_program_gradient_tensor(p, u->in[0]);
    t.dtype = g.place.tensor.dtype;
    t.layout = g.place.tensor.layout;
    VOLT_TRY(st, done, volt_program_add_place(p, &diff_src, t));
    if (out->gathered) {
        VOLT_TRY(st, done,
                 volt_program_add_box(p, VOLT_OP_PACK_BOX, unit, &g.place, &diff_src, in->box));
    } else {
        VOLT_TRY(st, done, volt_program_start_gather(p, unit, &g.place, &diff_src, &exchange));
        VOLT_TRY(
            st, done,
            volt_program_add_box(p, VOLT_OP_UNPACK_BOX, unit, &g.place, &diff_src, out->box));
        VOLT_TRY(st, done, volt_program_end_exchange(p, unit, exchange));
    }
    st = pass_on(p, unit, &g, &diff_src);
done:
    return st;
}

/* Both inputs of an addition get the same memory. */
static volt_status backward_add(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    volt_gradient g;
    volt_status st;

    VOLT_TRY(st, done, gather_native(p, unit, &g));
    for (int i = 0; i < u->inputs; i++) {
        if (!p->values[u->in[i]].needs_gradient)
            continue;
        p->references[g.memory]++;
        VOLT_TRY(st, done, send(p, u->in[i], &g.place, g.memory));
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

    VOLT_TRY(st, done, gather_native(p, unit, &g));
    own = is_own(p, &g);
    for (int i = 0; i < u->inputs; i++) {
        const volt_value v = u->in[i];
        volt_place part = volt_program_range(p, &g.place, v, channel);
        int memory;

        channel += p->values[v].extent[1];
        if (!p->values[v].needs_gradient)
            continue;
        if (!volt_program_aligned(p, u->out, v, channel - p->values[v].extent[1])) {
            const volt_place range = part;
            VOLT_TRY(st, done,
                     volt_program_add_place(p, &part, volt_program_gradient_tensor(p, v)));
            VOLT_TRY(st, done,
                     VOLT_EMIT(p, VOLT_OP_COPY, unit, volt_operand_place(&range),
                               volt_operand_place(&part)));
            VOLT_TRY(st, done, send_own(p, v, &part));
            continue;
        }
        VOLT_TRY(st, done, add_memory(p, &memory, own ? 1 : 2)); /* 2: never overwritten */
        VOLT_TRY(st, done, send(p, v, &part, memory));
    }
    release(p, &g);
done:
    return st;
}

/* The gradient of a value goes to the stage that made it. */
static volt_status backward_receive(volt_program *p, int unit)
{
    volt_gradient g;
    volt_status st;

    VOLT_TRY(st, done, gather_native(p, unit, &g));
    VOLT_TRY(st, done, volt_program_send_gradient(p, unit, &g.place));
    release(p, &g);
done:
    return st;
}

/* Queues what later stages send as gradients of the unit's value. */
static volt_status receive_gradients(volt_program *p, int unit)
{
    const volt_value v = p->units[unit].out;
    volt_status st = VOLT_OK;

    if (!p->stages || p->stage_values[v].stage != p->stage)
        return VOLT_OK;
    for (int s = volt_comm_size(p->stages) - 1; s > p->stage; s--) {
        volt_place place;

        if (!(p->stage_values[v].readers >> s & 1))
            continue;
        VOLT_TRY(st, done,
                 volt_program_add_place(p, &place, volt_program_gradient_tensor(p, v)));
        VOLT_TRY(st, done, volt_program_receive_gradient(p, unit, s, &place));
        VOLT_TRY(st, done, send_own(p, v, &place));
    }
done:
    return st;
}

static volt_status backward_unit(volt_program *p, int unit)
{
    if (volt_node_is_regrid(p->units[unit].node))
        return backward_regrid(p, unit);
    if (volt_node_is_receive(p->units[unit].node))
        return backward_receive(p, unit);
    switch (p->units[unit].node->kind) {
    case VOLT_NODE_INPUT:
        return VOLT_OK;
    case VOLT_NODE_CONV:
    case VOLT_NODE_TCONV:
        return backward_conv(p, unit);
    case VOLT_NODE_INSTANCE_NORM:
    case VOLT_NODE_BATCH_NORM:
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

    for (int i = 0; volt_program_has_outputs(p) && i < volt_graph_output_count(p->graph); i++) {
        const volt_value v = p->values[volt_graph_output_value(p->graph, i)].alias;
        if (p->values[v].needs_gradient)
            VOLT_TRY(st, done, send_own(p, v, &p->outputs[i]));
    }
    for (; p->slot < 2 * p->unit_count; p->slot++) {
        const int unit = 2 * p->unit_count - 1 - p->slot;
        if (p->values[p->units[unit].out].needs_gradient) {
            VOLT_TRY(st, done, receive_gradients(p, unit));
            VOLT_TRY(st, done, backward_unit(p, unit));
        }
        volt_program_drop(p);
        VOLT_TRY(st, done, volt_program_start_buckets(p));
    }
    st = volt_program_end_buckets(p);
done:
    return st;
}
