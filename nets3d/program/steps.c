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

void volt_program_clear_steps(volt_program *p)
{
    for (int i = 0; i < p->step_count; i++) {
        p->device->op_free(p->steps[i].op);
        volt_free(p->steps[i].name);
    }
    p->step_count = p->buffer_count = p->pending_count = p->memory_count = p->form_count = 0;
    p->labels = -1;
    for (int v = 0; v < p->value_count; v++)
        p->values[v].place.buffer = -1;
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
    p->steps[p->step_count++] = *step;
    st = VOLT_OK;
done:
    return st;
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
                               .conv = u->node->conv,
                               .eps = u->node->eps,
                               .slope = u->slope,
                               .linear = u->node->kind == VOLT_NODE_UPSAMPLE_LINEAR,
                               .threads = p->options.threads};
    for (int i = 0; i < step.operands; i++) {
        step.operand[i] = operands[i];
        step.spec.tensor[i] = operands[i].tensor;
    }
    return volt_program_add_step(p, &step);
}

volt_tensor volt_program_tensor(const volt_program *p, volt_value v)
{
    return volt_tensor_make(p->values[v].extent, p->dtype, VOLT_NATIVE);
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
