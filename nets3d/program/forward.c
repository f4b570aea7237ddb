/* The forward pass as steps, and the same steps again where backward recomputes.
 *
 * Copies are avoided by choosing where a unit writes before it runs: into its range of a
 * concatenation, even several units ahead of it, or over an input that nobody reads any more.
 * Both are only allowed while no value that is still read lies in that memory. Recomputing uses
 * the same code and operators, so its results have the same bits.
 */
#include "nets3d/program/ranks.h"

#include <string.h>

/* The first run of a unit, not a repetition for something that was dropped. */
static bool is_first_run(const volt_program *p, int unit)
{
    return p->slot == unit;
}

static volt_status produce(volt_program *p, int unit, const volt_place *target);

volt_status volt_program_materialize(volt_program *p, volt_value v)
{
    return p->values[v].place.buffer >= 0 ? VOLT_OK : produce(p, p->values[v].unit, NULL);
}

void volt_program_drop(volt_program *p)
{
    for (int v = 0; v < p->value_count; v++) {
        volt_program_value *value = &p->values[v];
        if (value->place.buffer >= 0 && !volt_program_holds(p, v, p->slot)) {
            value->place.buffer = -1;
            p->units[value->unit].range.buffer = -1;
        }
    }
}

/* The input that unit u may overwrite with its result; -1 = none such by its nature. */
static volt_value replaceable_input(const volt_unit *u, int i)
{
    switch (u->node->kind) {
    case VOLT_NODE_INSTANCE_NORM:
    case VOLT_NODE_BATCH_NORM:
    case VOLT_NODE_ACTIVATION:
    case VOLT_NODE_DROPOUT:
    case VOLT_NODE_SOFTMAX:
    case VOLT_NODE_PRELU:
        return i == 0 ? u->in[0] : -1;
    case VOLT_NODE_ADD:
        return u->in[0] != u->in[1] ? u->in[i] : -1;
    default:
        return -1;
    }
}

static bool overlaps(const volt_place *a, const volt_place *b)
{
    return a->buffer >= 0 && a->buffer == b->buffer &&
           a->tensor.c_offset < b->tensor.c_offset + b->tensor.c &&
           b->tensor.c_offset < a->tensor.c_offset + a->tensor.c;
}

/* Whether nothing needs v any more once `unit` has read it. */
static bool may_overwrite(const volt_program *p, volt_value v, int unit)
{
    const volt_program_value *value = &p->values[v];
    const volt_tensor native = volt_program_tensor(p, v);

    if (value->keep || volt_program_holds(p, v, p->slot) ||
        value->place.tensor.layout != native.layout ||
        value->place.tensor.dtype != native.dtype)
        return false;
    if (!is_first_run(p, unit) &&
        (value->consumers != 1 || volt_program_demanded_at(p, v, p->slot)))
        return false;
    for (int w = 0; w < p->value_count; w++) {
        if (w != v && overlaps(&p->values[w].place, &value->place) &&
            (volt_program_holds(p, w, p->slot) || volt_program_demanded_at(p, w, p->slot)))
            return false;
    }
    return true;
}

static volt_status concat_place(volt_program *p, int unit, volt_place *out);

/* The range of a concatenation that v should be written into at once, if any. */
static volt_status home_of(volt_program *p, volt_value v, volt_place *out)
{
    const volt_program_value *value = &p->values[v];
    const volt_unit *concat = value->concat >= 0 ? &p->units[value->concat] : NULL;
    volt_place whole;
    volt_status st;

    out->buffer = -1;
    if (!concat || p->slot > value->concat ||
        !volt_program_aligned(p, concat->out, v, value->channel) ||
        (value->keep && !p->values[concat->out].keep) ||
        !volt_program_holds_until(p, v, value->concat))
        return VOLT_OK;
    st = concat_place(p, value->concat, &whole);
    if (st == VOLT_OK)
        *out = volt_program_range(p, &whole, v, value->channel);
    return st;
}

/* The same for v or for what will replace it in place. */
static volt_status home_of_chain(volt_program *p, volt_value v, volt_place *out)
{
    for (;;) {
        volt_value next = -1;
        volt_status st = home_of(p, v, out);

        if (st != VOLT_OK || out->buffer >= 0)
            return st;
        if (p->values[v].keep || p->values[v].consumers != 1 || p->values[v].outputs)
            return VOLT_OK;
        for (int i = p->values[v].unit + 1; i < p->unit_count; i++) {
            if (replaceable_input(&p->units[i], 0) == v)
                next = p->units[i].out;
        }
        if (next < 0)
            return VOLT_OK;
        v = next;
    }
}

/* Where the whole result of concatenation `unit` is being gathered. */
static volt_status concat_place(volt_program *p, int unit, volt_place *out)
{
    volt_unit *u = &p->units[unit];
    volt_status st = VOLT_OK;

    if (u->range.buffer < 0)
        st = home_of(p, u->out, &u->range);
    if (st == VOLT_OK && u->range.buffer < 0)
        st = volt_program_add_place(p, &u->range, volt_program_tensor(p, u->out));
    *out = u->range;
    return st;
}

/* Chooses where `unit` writes and makes that its value's place. */
static volt_status choose_place(volt_program *p, int unit, const volt_place *target)
{
    const volt_unit *u = &p->units[unit];
    volt_place place = {.buffer = -1};
    volt_status st = VOLT_OK;

    if (target)
        place = *target;
    else if (is_first_run(p, unit))
        st = home_of_chain(p, u->out, &place);
    for (int i = 0; i < u->inputs && st == VOLT_OK && place.buffer < 0; i++) {
        const volt_value v = replaceable_input(u, i);
        if (v >= 0 && may_overwrite(p, v, unit) &&
            volt_program_covers(p, &p->values[v].place.tensor, u->out, false))
            place = p->values[v].place;
    }
    if (st == VOLT_OK && place.buffer < 0)
        st = volt_program_add_place(p, &place, volt_program_tensor(p, u->out));
    if (st == VOLT_OK)
        p->values[u->out].place = place;
    return st;
}

static volt_status copy(volt_program *p, int unit, const volt_place *from, const volt_place *to)
{
    return VOLT_EMIT(p, VOLT_OP_COPY, unit, volt_operand_place(from), volt_operand_place(to));
}

static volt_status produce_input(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    volt_step step = {.kind = VOLT_STEP_INPUT, .unit = unit, .operands = 1};
    volt_place plain;
    bool only_convs = !(p->restrictions & VOLT_NO_PLAIN_INPUT);
    volt_status st;

    VOLT_TRY(st, done, volt_program_add_place(p, &plain, volt_program_plain_tensor(p, u->out)));
    step.operand[0] = volt_operand_place(&plain);
    VOLT_TRY(st, done, volt_program_add_step(p, &step));
    for (int i = 0; i < p->unit_count; i++) {
        for (int j = 0; j < p->units[i].inputs; j++)
            only_convs &=
                p->units[i].in[j] != u->out || p->units[i].node->kind == VOLT_NODE_CONV;
    }
    if (p->stages && p->stage_values[u->out].readers)
        only_convs = false; /* other stages want it native */
    if (only_convs && volt_program_covers(p, &plain.tensor, u->out, false)) {
        p->values[u->out].place = plain;
    } else if (only_convs) {
        volt_tensor with = volt_program_tensor(p, u->out);
        with.dtype = plain.tensor.dtype;
        with.layout = plain.tensor.layout;
        VOLT_TRY(st, done, volt_program_add_place(p, &p->values[u->out].place, with));
        st = copy(p, unit, &plain, &p->values[u->out].place);
    } else {
        VOLT_TRY(st, done, choose_place(p, unit, NULL));
        st = copy(p, unit, &plain, &p->values[u->out].place);
    }
done:
    return st;
}

/* Whether a convolution's value is a graph output and nothing else: it writes it in plain
 * float32. */
static bool writes_output(const volt_program *p, const volt_unit *u)
{
    const volt_program_value *v = &p->values[u->out];
    const bool output = v->outputs == 1 && v->consumers == 0;
    const volt_program_value *part = p->gathers && v->twin >= 0 ? &p->values[v->twin] : NULL;

    if (volt_node_is_regrid(u->node))
        return output && !v->gathered;
    return u->node->kind == VOLT_NODE_CONV && !(p->restrictions & VOLT_NO_PLAIN_OUTPUT) &&
           (output || (part && v->outputs == 0 && v->consumers == 1 && part->outputs == 1 &&
                       part->consumers == 0));
}

/* A buffer for the sums of v, (n,c,2) or over the batch (1,c,2). */
static volt_status add_sums(volt_program *p, volt_value v, bool over_batch)
{
    volt_program_value *value = &p->values[v];
    const int64_t rows = over_batch ? 1 : value->extent[0];

    return volt_program_add_buffer(p, &value->sums[over_batch],
                                   (size_t)(rows * value->extent[1]) * 2 * 8);
}

static volt_operand sums_of(const volt_program *p, volt_value v, bool over_batch)
{
    const volt_program_value *value = &p->values[v];

    return value->sums[over_batch] < 0
               ? volt_operand_none()
               : volt_operand_sums(value->sums[over_batch], over_batch ? 1 : value->extent[0],
                                   value->extent[1]);
}

/* Whether a norm that has no statistics yet reads v, and wants these sums. */
static bool wants_sums(const volt_program *p, volt_value v, bool over_batch)
{
    for (int i = 0; i < p->unit_count; i++) {
        const volt_unit *u = &p->units[i];
        if (volt_is_norm(u->node->kind) && u->in[0] == v && u->mean < 0 &&
            volt_unit_over_batch(u) == over_batch && (!over_batch || volt_program_trains(p)))
            return true;
    }
    return false;
}

static volt_status produce_conv(volt_program *p, int unit, const volt_place *target)
{
    const volt_unit *u = &p->units[unit];
    const bool transposed = u->node->kind == VOLT_NODE_TCONV;
    const bool over_batch = !wants_sums(p, u->out, false);
    volt_status st;

    VOLT_TRY(st, done, volt_program_materialize(p, u->in[0]));
    if (writes_output(p, u))
        st = volt_program_add_place(p, &p->values[u->out].place,
                                    volt_program_plain_tensor(p, u->out));
    else
        st = choose_place(p, unit, target);
    if (st != VOLT_OK)
        goto done;
    if (!transposed && !(p->restrictions & VOLT_NO_CONV_SUMS) &&
        wants_sums(p, u->out, over_batch))
        VOLT_TRY(st, done, add_sums(p, u->out, over_batch));
    st = VOLT_EMIT(
        p, transposed ? VOLT_OP_TCONV_FWD : VOLT_OP_CONV_FWD, unit,
        volt_operand_place(&p->values[u->in[0]].place),
        volt_operand_param(p, VOLT_OPERAND_WEIGHTS, u->node->weight),
        volt_operand_param(p, VOLT_OPERAND_PARAMETER, u->bias_cancels ? -1 : u->node->bias),
        volt_operand_place(&p->values[u->out].place), sums_of(p, u->out, over_batch));
done:
    return st;
}

/* Mean and rstd of a norm's input, whose sums a convolution may have written. Of a batch norm
 * also what they make of the running statistics. */
static volt_status statistics(volt_program *p, int unit)
{
    volt_unit *u = &p->units[unit];
    const volt_program_value *src = &p->values[u->in[0]];
    const bool batch = volt_unit_over_batch(u);
    const int64_t n = src->extent[0], c = src->extent[1];
    const volt_operand mean = volt_operand_param(p, VOLT_OPERAND_NEXT, u->node->running_mean),
                       var = volt_operand_param(p, VOLT_OPERAND_NEXT, u->node->running_var);
    volt_operand sums;
    volt_status st;

    if (src->sums[batch] < 0) {
        VOLT_TRY(st, done, add_sums(p, u->in[0], batch));
        VOLT_TRY(st, done,
                 VOLT_EMIT(p, VOLT_OP_NORM_SUMS, unit, volt_operand_place(&src->place),
                           sums_of(p, u->in[0], batch)));
    }
    sums = sums_of(p, u->in[0], batch);
    if (!src->summed[batch])
        VOLT_TRY(st, done, volt_program_add_sum(p, unit, &sums));
    p->values[u->in[0]].summed[batch] = true;
    VOLT_TRY(st, done, volt_program_add_buffer(p, &u->mean, (size_t)(n * c) * 4));
    VOLT_TRY(st, done, volt_program_add_buffer(p, &u->rstd, (size_t)(n * c) * 4));
    st = VOLT_EMIT(p, VOLT_OP_NORM_FINISH, unit, sums, volt_operand_vector(u->mean, n, c),
                   volt_operand_vector(u->rstd, n, c), mean, var, mean, var);
done:
    return st;
}

/* Where NORM_ACT_FWD finds the mean (0) or rstd (1) of a norm. */
static volt_operand statistics_of(const volt_program *p, int unit, int which)
{
    const volt_unit *u = &p->units[unit];
    const int64_t n = p->values[u->out].extent[0], c = p->values[u->out].extent[1];

    if (volt_unit_over_batch(u) && !volt_program_trains(p))
        return volt_operand_statistics(unit, which, n, c);
    return volt_operand_vector(which ? u->rstd : u->mean, n, c);
}

/* Mean and rstd of a batch norm from its running statistics. */
static volt_status running_statistics(volt_program *p, int unit)
{
    const volt_node *node = p->units[unit].node;

    return VOLT_EMIT(p, VOLT_OP_NORM_RUNNING, unit,
                     volt_operand_param(p, VOLT_OPERAND_PARAMETER, node->running_mean),
                     volt_operand_param(p, VOLT_OPERAND_PARAMETER, node->running_var),
                     statistics_of(p, unit, 0), statistics_of(p, unit, 1));
}

/* Of the batch in training, else the running ones, which an inference program has for good. */
static volt_status batch_statistics(volt_program *p, int unit)
{
    volt_status st = VOLT_OK;

    if (volt_program_trains(p)) {
        p->when = VOLT_IN_TRAINING;
        VOLT_TRY(st, done, statistics(p, unit));
    }
    p->when = volt_program_trains(p) ? VOLT_IN_EVALUATION : VOLT_AT_LOAD;
    st = running_statistics(p, unit);
done:
    p->when = VOLT_ALWAYS;
    return st;
}

static volt_status produce_norm(volt_program *p, int unit, const volt_place *target)
{
    volt_unit *u = &p->units[unit];
    volt_operand src;
    volt_status st;

    VOLT_TRY(st, done, volt_program_materialize(p, u->in[0]));
    src = volt_operand_place(&p->values[u->in[0]].place);
    if (u->mean < 0)
        VOLT_TRY(st, done,
                 volt_unit_over_batch(u) ? batch_statistics(p, unit) : statistics(p, unit));
    VOLT_TRY(st, done, choose_place(p, unit, target));
    st = VOLT_EMIT(p, VOLT_OP_NORM_ACT_FWD, unit, src, statistics_of(p, unit, 0),
                   statistics_of(p, unit, 1),
                   volt_operand_param(p, VOLT_OPERAND_PARAMETER, u->node->weight),
                   volt_operand_param(p, VOLT_OPERAND_PARAMETER, u->node->bias),
                   volt_operand_place(&p->values[u->out].place));
done:
    return st;
}

/* Brings input i of a concatenation into its range. */
static volt_status gather_input(volt_program *p, int unit, int i, const volt_place *range,
                                bool aligned)
{
    const volt_value v = p->units[unit].in[i];
    volt_program_value *value = &p->values[v];
    volt_status st = VOLT_OK;

    if (value->place.buffer < 0)
        st = produce(p, value->unit, aligned ? range : NULL);
    if (st == VOLT_OK && !volt_place_equal(&value->place, range))
        st = copy(p, unit, &value->place, range);
    return st;
}

static volt_status produce_concat(volt_program *p, int unit, const volt_place *target)
{
    volt_unit *u = &p->units[unit];
    volt_place whole;
    int64_t channel = 0;
    volt_status st = VOLT_OK;

    if (target)
        u->range = *target;
    VOLT_TRY(st, done, concat_place(p, unit, &whole));
    for (int i = 0; i < u->inputs; i++) {
        const volt_place range = volt_program_range(p, &whole, u->in[i], channel);
        const bool aligned = volt_program_aligned(p, u->out, u->in[i], channel);

        VOLT_TRY(st, done, gather_input(p, unit, i, &range, aligned));
        channel += p->values[u->in[i]].extent[1];
    }
    p->values[u->out].place = whole;
done:
    return st;
}

static volt_status produce_dropout(volt_program *p, int unit, const volt_place *target)
{
    volt_unit *u = &p->units[unit];
    const int64_t n = p->values[u->out].extent[0], c = p->values[u->out].extent[1];
    volt_step factors = {.kind = VOLT_STEP_DROPOUT, .unit = unit, .operands = 1};
    volt_status st;

    VOLT_TRY(st, done, volt_program_materialize(p, u->in[0]));
    if (u->factors < 0) {
        VOLT_TRY(st, done, volt_program_add_buffer(p, &u->factors, (size_t)(n * c) * 4));
        factors.operand[0] = volt_operand_vector(u->factors, n, c);
        VOLT_TRY(st, done, volt_program_add_step(p, &factors));
    }
    VOLT_TRY(st, done, choose_place(p, unit, target));
    st = VOLT_EMIT(
        p, VOLT_OP_SCALE_CHANNELS, unit, volt_operand_place(&p->values[u->in[0]].place),
        volt_operand_vector(u->factors, n, c), volt_operand_place(&p->values[u->out].place));
done:
    return st;
}

static volt_status produce_prelu(volt_program *p, int unit, const volt_place *target)
{
    const volt_unit *u = &p->units[unit];
    volt_status st;

    VOLT_TRY(st, done, volt_program_materialize(p, u->in[0]));
    VOLT_TRY(st, done, choose_place(p, unit, target));
    st = VOLT_EMIT(p, VOLT_OP_PRELU_FWD, unit, volt_operand_place(&p->values[u->in[0]].place),
                   volt_operand_param(p, VOLT_OPERAND_PARAMETER, u->node->weight),
                   volt_operand_place(&p->values[u->out].place));
done:
    return st;
}

/* Gathers a value's parts, or cuts this rank's part out of a gathered one. */
static volt_status produce_regrid(volt_program *p, int unit, const volt_place *target)
{
    const volt_unit *u = &p->units[unit];
    const volt_program_value *out = &p->values[u->out], *in = &p->values[u->in[0]];
    int exchange;
    volt_status st;

    VOLT_TRY(st, done, volt_program_materialize(p, u->in[0]));
    if (writes_output(p, u))
        st = volt_program_add_place(p, &p->values[u->out].place,
                                    volt_program_plain_tensor(p, u->out));
    else
        st = choose_place(p, unit, target);
    if (st != VOLT_OK)
        goto done;
    if (!out->gathered)
        return volt_program_add_box(p, VOLT_OP_PACK_BOX, unit, &in->place, &out->place,
                                    out->box);
    VOLT_TRY(st, done, volt_program_start_gather(p, unit, &in->place, &out->place, &exchange));
    VOLT_TRY(
        st, done,
        volt_program_add_box(p, VOLT_OP_UNPACK_BOX, unit, &in->place, &out->place, in->box));
    st = volt_program_end_exchange(p, unit, exchange);
done:
    return st;
}

/* All operators that read their inputs and write one output, in this order. */
static volt_status produce_simple(volt_program *p, int unit, volt_op_kind kind,
                                  const volt_place *target)
{
    const volt_unit *u = &p->units[unit];
    volt_operand o[3];
    volt_place in[2];
    volt_status st;

    for (int i = 0; i < u->inputs; i++)
        VOLT_TRY(st, done, volt_program_materialize(p, u->in[i]));
    for (int i = 0; i < u->inputs; i++) {
        in[i] = p->values[u->in[i]].place;
        o[i] = volt_operand_place(&in[i]);
    }
    VOLT_TRY(st, done, choose_place(p, unit, target));
    o[u->inputs] = volt_operand_place(&p->values[u->out].place);
    st = volt_program_add_operator(p, kind, unit, o);
done:
    return st;
}

static volt_status produce_kind(volt_program *p, int unit, const volt_place *target)
{
    if (volt_node_is_regrid(p->units[unit].node))
        return produce_regrid(p, unit, target);
    if (volt_node_is_receive(p->units[unit].node)) {
        const volt_status st = choose_place(p, unit, target);
        return st == VOLT_OK ? volt_program_receive_value(p, unit) : st;
    }
    switch (p->units[unit].node->kind) {
    case VOLT_NODE_INPUT:
        return produce_input(p, unit);
    case VOLT_NODE_CONV:
    case VOLT_NODE_TCONV:
        return produce_conv(p, unit, target);
    case VOLT_NODE_INSTANCE_NORM:
    case VOLT_NODE_BATCH_NORM:
        return produce_norm(p, unit, target);
    case VOLT_NODE_CONCAT:
        return produce_concat(p, unit, target);
    case VOLT_NODE_DROPOUT:
        return produce_dropout(p, unit, target);
    case VOLT_NODE_PRELU:
        return produce_prelu(p, unit, target);
    case VOLT_NODE_ACTIVATION:
        return produce_simple(p, unit, VOLT_OP_ACT_FWD, target);
    case VOLT_NODE_MAX_POOL:
        return produce_simple(p, unit, VOLT_OP_MAX_POOL_FWD, target);
    case VOLT_NODE_AVERAGE_POOL:
        return produce_simple(p, unit, VOLT_OP_AVERAGE_POOL_FWD, target);
    case VOLT_NODE_UPSAMPLE_NEAREST:
    case VOLT_NODE_UPSAMPLE_LINEAR:
        return produce_simple(p, unit, VOLT_OP_UPSAMPLE_FWD, target);
    case VOLT_NODE_ADD:
        return produce_simple(p, unit, VOLT_OP_ADD, target);
    case VOLT_NODE_SOFTMAX:
        return produce_simple(p, unit, VOLT_OP_SOFTMAX_FWD, target);
    }
    return volt_fail(VOLT_EINTERNAL, "node kind %d has no operator",
                     (int)p->units[unit].node->kind);
}

/* Emits the forward steps of one unit; `target` (NULL: free choice) is where it must write. */
static volt_status produce(volt_program *p, int unit, const volt_place *target)
{
    const volt_value v = p->units[unit].out;
    const volt_status st = produce_kind(p, unit, target);

    if (st != VOLT_OK)
        return st;
    return volt_program_add_exchange(p, unit, v, &p->values[v].place, false);
}

/* Writes the unit's value to the graph outputs it is declared as. */
static volt_status write_outputs(volt_program *p, int unit)
{
    const volt_unit *u = &p->units[unit];
    volt_status st = VOLT_OK;

    for (int i = 0; st == VOLT_OK && i < volt_graph_output_count(p->graph); i++) {
        if (p->values[volt_graph_output_value(p->graph, i)].alias != u->out)
            continue;
        if (writes_output(p, u)) {
            p->outputs[i] = p->values[u->out].place;
            continue;
        }
        st = volt_program_add_place(p, &p->outputs[i], volt_program_plain_tensor(p, u->out));
        if (st == VOLT_OK)
            st = copy(p, unit, &p->values[u->out].place, &p->outputs[i]);
    }
    return st;
}

/* What the other stages have of an output: no voxels. */
static volt_place no_output(const volt_program *p, volt_value v)
{
    volt_place place = {-1, volt_program_plain_tensor(p, v)};

    place.tensor.d = place.tensor.h = place.tensor.w = 0;
    return place;
}

/* The loss stands between the passes; without one it keeps the outputs readable. */
static volt_status add_loss(volt_program *p)
{
    const int64_t *e = p->values[p->values[volt_graph_output_value(p->graph, 0)].alias].extent;
    const volt_step step = {.kind = VOLT_STEP_LOSS, .unit = -1};
    volt_status st;

    for (int i = 0; !volt_program_has_outputs(p) && i < volt_graph_output_count(p->graph); i++)
        p->outputs[i] = no_output(p, p->values[volt_graph_output_value(p->graph, i)].alias);
    if (volt_program_has_outputs(p))
        VOLT_TRY(st, done,
                 volt_program_add_buffer(
                     p, &p->labels, (size_t)(e[0] * e[2] * e[3] * e[4]) * sizeof(int16_t)));
    p->loss_step = p->step_count;
    st = volt_program_add_step(p, &step);
done:
    return st;
}

volt_status volt_program_emit_forward(volt_program *p)
{
    volt_status st;

    for (p->slot = 0; p->slot < p->unit_count; p->slot++) {
        VOLT_TRY(st, done, produce(p, p->slot, NULL));
        VOLT_TRY(st, done, write_outputs(p, p->slot));
        VOLT_TRY(st, done, volt_program_send_value(p, p->slot));
        volt_program_drop(p);
    }
    st = add_loss(p);
done:
    return st;
}
