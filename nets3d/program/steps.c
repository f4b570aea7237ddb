/* The lists that a plan consists of, and the operands of their entries.
 *
 * A program is planned several times before one plan is taken (program.c), so the lists are
 * cleared and filled again and keep their capacity. Operands refer to buffers by index: offsets
 * exist only after memory.c has arranged the arena, addresses only after loading.
 */
#include "nets3d/program/program_internal.h"

#include <string.h>

#include "base/core/alloc.h"
#include "nets3d/device/op_spec.h"

void volt_program_clear_exchange(volt_program *p, volt_exchange *x)
{
    for (int j = 0; x->pack && j < x->plan->sends + x->plan->receives; j++)
        p->device->op_free(x->pack[j]);
    volt_free(x->pack);
    volt_free(x->message);
    volt_free(x->offset);
    if (x->link) {
        volt_transfer_clear(x->plan);
        volt_free(x->plan);
    }
}

static void clear_exchanges(volt_program *p)
{
    for (int i = 0; i < p->exchange_count; i++)
        volt_program_clear_exchange(p, &p->exchanges[i]);
    p->exchange_count = 0;
}

void volt_program_clear_steps(volt_program *p)
{
    clear_exchanges(p);
    for (int i = 0; i < p->step_count; i++) {
        p->device->op_free(p->steps[i].op);
        volt_free(p->steps[i].name);
    }
    p->step_count = p->buffer_count = p->pending_count = p->memory_count = p->form_count = 0;
    p->labels = -1;
    for (int v = 0; v < p->value_count; v++) {
        p->values[v].place.buffer = p->values[v].sums[0] = p->values[v].sums[1] = -1;
        p->values[v].summed[0] = p->values[v].summed[1] = false;
    }
    for (int u = 0; u < p->unit_count; u++) {
        p->units[u].mean = p->units[u].rstd = p->units[u].factors = -1;
        p->units[u].range.buffer = -1;
    }
}

volt_status volt_program_add_buffer(volt_program *p, int *out, size_t bytes)
{
    volt_status st;

    if (p->buffer_count == p->buffer_capacity) {
        const int wanted = 2 * p->buffer_capacity + 64;
        VOLT_TRY(st, done,
                 volt_realloc(&p->buffers, (size_t)p->buffer_count * sizeof *p->buffers,
                              (size_t)wanted * sizeof *p->buffers, "a program"));
        p->buffer_capacity = wanted;
    }
    p->buffers[p->buffer_count] = (volt_buffer){.bytes = bytes, .first = -1, .last = -1};
    *out = p->buffer_count++;
    st = VOLT_OK;
done:
    return st;
}

volt_status volt_program_add_place(volt_program *p, volt_place *out, volt_tensor tensor)
{
    int buffer;
    volt_status st =
        volt_program_add_buffer(p, &buffer, p->device->buffer_bytes(p->device, &tensor));

    if (st == VOLT_OK)
        *out = (volt_place){buffer, tensor};
    return st;
}

volt_status volt_program_add_step(volt_program *p, const volt_step *step)
{
    volt_status st;

    if (p->step_count == p->step_capacity) {
        const int wanted = 2 * p->step_capacity + 64;
        VOLT_TRY(st, done,
                 volt_realloc(&p->steps, (size_t)p->step_count * sizeof *p->steps,
                              (size_t)wanted * sizeof *p->steps, "a program"));
        p->step_capacity = wanted;
    }
    p->steps[p->step_count] = *step;
    p->steps[p->step_count++].when = p->when;
    st = VOLT_OK;
done:
    return st;
}

/* Of the whole batch. */
static int64_t samples_of(const volt_program *p)
{
    return p->options.norm_samples ? p->options.norm_samples : p->options.n;
}

volt_status volt_program_add_sum(volt_program *p, int unit, const volt_operand *sums)
{
    volt_step step = {.kind = VOLT_STEP_SUMS,
                      .unit = unit,
                      .backward = p->slot >= p->unit_count,
                      .operands = 1};

    step.operand[0] = *sums;
    step.over_batch = volt_unit_over_batch(&p->units[unit]) && samples_of(p) > p->options.n;
    if (!step.over_batch && (!p->part || p->values[p->units[unit].out].gathered))
        return VOLT_OK;
    return volt_program_add_step(p, &step);
}

/* A buffer without margins for operand i. */
static volt_status add_dense(volt_program *p, const volt_operand *own, volt_operand *dense)
{
    const volt_tensor *t = &own->tensor;
    const int64_t extent[5] = {t->n, t->c, t->d, t->h, t->w};
    volt_place place;
    volt_status st =
        volt_program_add_place(p, &place, volt_tensor_make(extent, t->dtype, t->layout));

    if (st == VOLT_OK)
        *dense = volt_operand_place(&place);
    return st;
}

/* Gives operand i of the step another memory. */
static void set_operand(volt_step *step, int i, const volt_operand *o)
{
    step->operand[i] = *o;
    step->spec.tensor[i] = o->tensor;
}

/* Replaces operands that have margins by copies without, where the device does not take them;
 * the outputs among them are copied back behind the step. */
static volt_status add_step_without_margins(volt_program *p, volt_step *step)
{
    const volt_unit *u = &p->units[step->unit];
    const volt_op_signature *sig = volt_op_signature_of(step->spec.kind);
    const uint64_t kind = (uint64_t)1 << step->spec.kind;
    volt_operand own[VOLT_OP_MAX_TENSORS];
    volt_status st = VOLT_OK;

    if (u->dense_in & kind) {
        step->spec = volt_op_spec_absorb_margins(&step->spec);
        for (int i = 0; i < step->operands; i++)
            step->operand[i].tensor = step->spec.tensor[i];
    }
    for (int i = 0; i < step->operands; i++) {
        const bool in = sig->role[i] == VOLT_ROLE_IN && (u->dense_in & kind);
        const bool out = sig->role[i] == VOLT_ROLE_OUT && (u->dense_out & kind);
        volt_operand dense;

        own[i] = step->operand[i];
        if ((!in && !out) || !volt_tensor_has_margins(&own[i].tensor))
            continue;
        VOLT_TRY(st, done, add_dense(p, &own[i], &dense));
        if (in)
            VOLT_TRY(st, done, VOLT_EMIT(p, VOLT_OP_COPY, step->unit, own[i], dense));
        set_operand(step, i, &dense);
    }
    VOLT_TRY(st, done, volt_program_add_step(p, step));
    for (int i = 0; i < step->operands; i++) {
        if (sig->role[i] == VOLT_ROLE_OUT && own[i].index != step->operand[i].index)
            VOLT_TRY(st, done,
                     VOLT_EMIT(p, VOLT_OP_COPY, step->unit, step->operand[i], own[i]));
    }
done:
    return st;
}

/* Voxels that a norm's sums cover: of whole values, and all samples of a batch norm. Sums of
 * all parts are added before they are used. */
static int64_t voxels_of(const volt_program *p, const volt_unit *u)
{
    const int64_t *extent = p->values[u->out].global;

    return (volt_unit_over_batch(u) ? samples_of(p) : 1) * extent[0] * extent[1] * extent[2];
}

/* What the convolution of `u` has in the whole batch and volume. */
static void set_whole(const volt_program *p, const volt_unit *u, volt_op_spec *spec)
{
    const bool transposed = u->node->kind == VOLT_NODE_TCONV;
    const volt_program_value *v = &p->values[transposed ? u->in[0] : u->out];

    spec->whole[0] = samples_of(p);
    memcpy(spec->whole + 1, v->global, sizeof v->global);
}

volt_status volt_program_add_operator(volt_program *p, volt_op_kind kind, int unit,
                                      const volt_operand *operands)
{
    const volt_unit *u = &p->units[unit];
    const bool backward = p->slot >= p->unit_count;
    volt_step step = {.kind = VOLT_STEP_OPERATOR,
                      .unit = unit,
                      .backward = backward,
                      .operands = volt_op_signature_of(kind)->operands};

    step.again = backward ? unit != 2 * p->unit_count - 1 - p->slot : unit != p->slot;
    step.spec = (volt_op_spec){.kind = kind,
                               .conv = volt_program_window(p, u),
                               .count = voxels_of(p, u),
                               .eps = u->node->eps,
                               .momentum = u->node->momentum,
                               .slope = u->slope,
                               .linear = u->node->kind == VOLT_NODE_UPSAMPLE_LINEAR,
                               .tf32 = p->options.precision == VOLT_TF32,
                               .threads = p->options.threads};
    for (int i = 0; i < step.operands; i++) {
        step.operand[i] = operands[i];
        step.spec.tensor[i] = operands[i].tensor;
    }
    if (u->node->kind == VOLT_NODE_CONV || u->node->kind == VOLT_NODE_TCONV)
        set_whole(p, u, &step.spec);
    if ((u->dense_in | u->dense_out) >> kind & 1)
        return add_step_without_margins(p, &step);
    return volt_program_add_step(p, &step);
}

volt_status volt_program_add_box(volt_program *p, volt_op_kind kind, int unit,
                                 const volt_place *from, const volt_place *to, volt_box box)
{
    volt_step step = {.kind = VOLT_STEP_OPERATOR,
                      .unit = unit,
                      .backward = p->slot >= p->unit_count,
                      .operands = 2,
                      .spec = {.kind = kind, .box = box, .threads = p->options.threads}};

    if (volt_box_is_empty(box))
        return VOLT_OK;
    step.operand[0] = volt_operand_place(from);
    step.operand[1] = volt_operand_place(to);
    step.spec.tensor[0] = from->tensor;
    step.spec.tensor[1] = to->tensor;
    return volt_program_add_step(p, &step);
}

static volt_tensor native_tensor(const volt_program *p, const volt_program_value *value,
                                 const int64_t low[3], const int64_t high[3])
{
    volt_tensor t = volt_tensor_make(value->extent, p->dtype, VOLT_NATIVE);

    memcpy(t.margin_low, low, sizeof t.margin_low);
    memcpy(t.margin_high, high, sizeof t.margin_high);
    return t;
}

volt_tensor volt_program_tensor(const volt_program *p, volt_value v)
{
    const volt_program_value *value = &p->values[v];

    return native_tensor(p, value, value->margin_low, value->margin_high);
}

volt_tensor volt_program_gradient_tensor(const volt_program *p, volt_value v)
{
    const volt_program_value *value = &p->values[v];

    return native_tensor(p, value, value->gradient_low, value->gradient_high);
}

volt_tensor volt_program_plain_tensor(const volt_program *p, volt_value v)
{
    return volt_tensor_make(p->values[v].extent, VOLT_F32, VOLT_PLAIN);
}

volt_place volt_program_range(const volt_program *p, const volt_place *of, volt_value v,
                              int64_t channel)
{
    volt_place range = *of;

    range.tensor.c = p->values[v].extent[1];
    range.tensor.c_offset += channel;
    return range;
}

bool volt_program_aligned(const volt_program *p, volt_value concat, volt_value v,
                          int64_t channel)
{
    const int64_t block = p->device->channel_block(p->device, p->dtype);
    const int64_t c = p->values[v].extent[1];

    return !(p->restrictions & VOLT_NO_RANGES) && channel % block == 0 &&
           (c % block == 0 || channel + c == p->values[concat].extent[1]);
}

bool volt_place_equal(const volt_place *a, const volt_place *b)
{
    return a->buffer == b->buffer && a->tensor.c_offset == b->tensor.c_offset &&
           a->tensor.c == b->tensor.c;
}

volt_operand volt_operand_none(void)
{
    return (volt_operand){.kind = VOLT_OPERAND_NONE};
}

volt_operand volt_operand_place(const volt_place *place)
{
    return (volt_operand){VOLT_OPERAND_BUFFER, place->buffer, place->tensor};
}

volt_operand volt_operand_vector(int buffer, int64_t n, int64_t c)
{
    const int64_t extent[5] = {n, c, 1, 1, 1};

    return (volt_operand){VOLT_OPERAND_BUFFER, buffer,
                          volt_tensor_make(extent, VOLT_F32, VOLT_PLAIN)};
}

volt_operand volt_operand_sums(int buffer, int64_t n, int64_t c)
{
    const int64_t extent[5] = {n, c, 2, 1, 1};

    return (volt_operand){VOLT_OPERAND_BUFFER, buffer,
                          volt_tensor_make(extent, VOLT_F64, VOLT_PLAIN)};
}

volt_operand volt_operand_statistics(int unit, int which, int64_t n, int64_t c)
{
    const int64_t extent[5] = {n, c, 1, 1, 1};

    return (volt_operand){VOLT_OPERAND_STATISTICS, 2 * unit + which,
                          volt_tensor_make(extent, VOLT_F32, VOLT_PLAIN)};
}

volt_operand volt_operand_param(const volt_program *p, volt_operand_kind kind, int param)
{
    const volt_param *q;
    int64_t vector[5] = {1, 1, 1, 1, 1};

    if (param < 0)
        return volt_operand_none();
    q = volt_graph_param(p->graph, param);
    vector[1] = q->dims[0];
    return (volt_operand){
        kind, param, volt_tensor_make(q->ndim == 5 ? q->dims : vector, VOLT_F32, VOLT_PLAIN)};
}
