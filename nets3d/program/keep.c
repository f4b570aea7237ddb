/* What the backward pass finds stored and what it recomputes.
 *
 * Storing every value that backward reads would dominate training memory. Convolutions are the
 * only expensive nodes here; norms, activations, additions, concatenations and pooling are a
 * pass or two over memory. So a convolution's result is stored when it is needed, and the value
 * of a cheap node only where that takes no more bytes than storing its inputs: of conv, norm +
 * activation only the convolution's result stays, and the activation is computed again from it.
 * Chains of cheap nodes are cut after MAX_DEPTH, so that the time for recomputing stays
 * bounded. Nothing is recomputed in another order or precision, so results keep their bits.
 *
 * `window` also drops values within the forward pass that are not read for that many slots;
 * program.c tries several windows and takes the longest that costs little memory.
 */
#include "nets3d/program/program_internal.h"

#include <string.h>

#include "base/core/alloc.h"

/* Convolutions cost arithmetic; everything else costs a pass over memory or two. */
static bool is_cheap(const volt_program *p, volt_value v)
{
    const volt_node_kind kind = p->units[p->values[v].unit].node->kind;

    if (volt_node_is_regrid(
            p->units[p->values[v].unit].node)) /* cutting is, gathering is not */
        return !p->values[v].gathered;
    return kind != VOLT_NODE_CONV && kind != VOLT_NODE_INPUT && kind != VOLT_NODE_RECEIVE;
}

/* At most so many units are recomputed in a row. */
#define MAX_DEPTH 3

/* The values whose numbers unit u needs in its backward pass. */
static int backward_reads(const volt_program *p, const volt_unit *u, volt_value out[1])
{
    if (!p->values[u->out].needs_gradient)
        return 0;
    switch (u->node->kind) {
    case VOLT_NODE_CONV:
    case VOLT_NODE_TCONV:
        if (!u->weights_learn && !u->bias_learns)
            return 0;
        out[0] = u->in[0];
        return 1;
    case VOLT_NODE_INSTANCE_NORM:
    case VOLT_NODE_BATCH_NORM:
    case VOLT_NODE_MAX_POOL:
    case VOLT_NODE_PRELU:
        out[0] = u->in[0];
        return 1;
    case VOLT_NODE_ACTIVATION:
    case VOLT_NODE_SOFTMAX:
        out[0] = u->out;
        return 1;
    default:
        return 0;
    }
}

/* Lists for every value the slots that read it, ascending; a NULL list only counts. */
static void list_demands(volt_program *p, int *list)
{
    for (int slot = 0; slot < (volt_program_trains(p) ? 2 : 1) * p->unit_count; slot++) {
        const bool forward = slot < p->unit_count;
        const volt_unit *u = &p->units[forward ? slot : 2 * p->unit_count - 1 - slot];
        volt_value read[1];
        const volt_value *values = forward ? u->in : read;
        const int count = forward ? u->inputs : backward_reads(p, u, read);

        for (int i = 0; i < count; i++) {
            volt_program_value *v = &p->values[values[i]];
            if (list)
                list[v->first_demand + v->demands] = slot;
            v->demands++;
        }
    }
}

static volt_status fill_demands(volt_program *p)
{
    int total = 0;
    volt_status st;

    for (int v = 0; v < p->value_count; v++)
        p->values[v].demands = 0;
    list_demands(p, NULL);
    for (int v = 0; v < p->value_count; v++) {
        p->values[v].first_demand = total;
        total += p->values[v].demands;
        p->values[v].demands = 0;
    }
    volt_free(p->demand);
    p->demand = NULL;
    VOLT_TRY(st, done,
             volt_alloc_zero(&p->demand, (size_t)total, sizeof *p->demand, "a program"));
    list_demands(p, p->demand);
done:
    return st;
}

/* Whether v is needed in backward, or again after a pause longer than the window. */
static bool is_needed_later(const volt_program *p, const volt_program_value *v)
{
    const int *slot = p->demand + v->first_demand;

    for (int i = 0; i < v->demands; i++) {
        if (slot[i] >= p->unit_count || (i > 0 && slot[i] - slot[i - 1] > p->window))
            return true;
    }
    return false;
}

/* Of the whole value, so that all parts of a volume decide alike. */
static size_t bytes_of(const volt_program *p, volt_value v)
{
    const volt_program_value *value = &p->values[v];
    const int64_t extent[5] = {value->extent[0], value->extent[1], value->global[0],
                               value->global[1], value->global[2]};
    const volt_tensor t = volt_tensor_make(extent, p->dtype, VOLT_NATIVE);

    return p->device->buffer_bytes(p->device, &t);
}

/* Bytes to store, on top of what is stored anyway, so that backward can have v. */
static size_t cost_of(const volt_program *p, volt_value v)
{
    const volt_unit *u = &p->units[p->values[v].unit];
    size_t inputs = 0;

    if (p->values[v].needed)
        return 0;
    if (p->values[v].anchor || !is_cheap(p, v))
        return bytes_of(p, v);
    for (int i = 0; i < u->inputs; i++)
        inputs += cost_of(p, u->in[i]);
    return inputs < bytes_of(p, v) ? inputs : bytes_of(p, v);
}

/* Anchors cut long chains of cheap units: a value that lies too deep is stored when it is
 * needed. */
static volt_status mark_anchors(volt_program *p)
{
    int *depth = NULL;
    volt_status st =
        volt_alloc_zero(&depth, (size_t)p->value_count, sizeof *depth, "a program");

    for (int i = 0; st == VOLT_OK && i < p->unit_count; i++) {
        const volt_unit *u = &p->units[i];
        for (int j = 0; is_cheap(p, u->out) && j < u->inputs; j++) {
            if (depth[u->in[j]] + 1 > depth[u->out])
                depth[u->out] = depth[u->in[j]] + 1;
        }
        if (depth[u->out] > MAX_DEPTH) {
            p->values[u->out].anchor = true;
            depth[u->out] = 0;
        }
    }
    volt_free(depth);
    return st;
}

volt_status volt_program_decide(volt_program *p)
{
    volt_status st;

    VOLT_TRY(st, done, fill_demands(p));
    for (int i = 0; i < p->value_count; i++) {
        volt_program_value *v = &p->values[i];
        v->keep = v->anchor = false;
        v->needed = volt_program_trains(p) && v->unit >= 0 && is_needed_later(p, v);
    }
    if (!volt_program_trains(p))
        goto done;
    VOLT_TRY(st, done, mark_anchors(p));
    for (int i = p->unit_count - 1; i >= 0; i--) {
        const volt_unit *u = &p->units[i];
        volt_program_value *v = &p->values[u->out];
        size_t inputs = 0;

        if (!v->needed)
            continue;
        for (int j = 0; j < u->inputs; j++)
            inputs += cost_of(p, u->in[j]);
        v->keep = v->anchor || !is_cheap(p, u->out) || inputs >= bytes_of(p, u->out);
        for (int j = 0; !v->keep && j < u->inputs; j++)
            p->values[u->in[j]].needed = true;
    }
done:
    return st;
}

bool volt_program_demanded_at(const volt_program *p, volt_value v, int slot)
{
    const volt_program_value *value = &p->values[v];

    for (int i = 0; i < value->demands; i++) {
        if (p->demand[value->first_demand + i] == slot)
            return true;
    }
    return false;
}

bool volt_program_holds(const volt_program *p, volt_value v, int slot)
{
    const volt_program_value *value = &p->values[v];
    const int *demand = p->demand + value->first_demand;
    int next = 0;

    if (value->keep)
        return true;
    while (next < value->demands && demand[next] <= slot)
        next++;
    if (next == value->demands)
        return false;
    if (!volt_program_trains(p))
        return true;
    if (demand[next] < p->unit_count && (next == 0 || !is_cheap(p, v)))
        return true;
    return demand[next] - slot <= p->window;
}

bool volt_program_holds_until(const volt_program *p, volt_value v, int slot)
{
    const volt_program_value *value = &p->values[v];
    const int *demand = p->demand + value->first_demand;

    for (int i = 0; i < value->demands && demand[i] < slot; i++) {
        if (!volt_program_holds(p, v, demand[i]))
            return false;
    }
    return true;
}
