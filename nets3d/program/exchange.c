/* What ranks send each other within a pass: margins of values, and sums.
 *
 * Who needs which voxels of whom follows from the boxes and margins of all ranks and is planned
 * when the program is compiled, one plan per value and direction; so are the operators that
 * pack a box into a message and unpack it. Messages lie in the arena, from the start of an
 * exchange to its end. All ranks have the same exchanges in the same order, also those that
 * have nothing to send: the number of an exchange is the tag of its messages.
 *
 * A device whose memory the host cannot reach gets and gives its messages through a block of
 * the host's, which is there before anything runs.
 */
#include "nets3d/program/ranks.h"

#include <string.h>

#include "base/core/alloc.h"

static size_t align_up(size_t bytes)
{
    return (bytes + VOLT_ALIGN_BYTES - 1) / VOLT_ALIGN_BYTES * VOLT_ALIGN_BYTES;
}

void volt_program_clear_plans(volt_program *p)
{
    for (int i = 0; p->values && i < p->value_count; i++) {
        for (int j = 0; j < 3; j++) {
            if (p->values[i].plan[j])
                volt_transfer_clear(p->values[i].plan[j]);
            volt_free(p->values[i].plan[j]);
            p->values[i].plan[j] = NULL;
        }
    }
}

/* Which plan of a value. */
typedef enum plan_kind { OF_MARGINS, OF_GRADIENT, OF_WHOLE } plan_kind;

static const volt_peer_value *peer_of(const volt_program *p, int rank, volt_value v)
{
    return &p->peers[(size_t)rank * (size_t)p->value_count + (size_t)v];
}

/* What rank r has of value v, or of the one it is gathered from or into, and needs. */
static void boxes_of(const volt_program *p, volt_value v, plan_kind kind, int r, volt_box *have,
                     volt_box *need)
{
    const volt_program_value *value = &p->values[v];
    const volt_peer_value *peer = peer_of(p, r, v);

    *have = peer->box;
    *need = kind == OF_GRADIENT ? peer->gradient_need : peer->need;
    if (kind != OF_WHOLE)
        return;
    if (value->gathered)
        *have = peer_of(p, r, p->units[value->unit].in[0])->box;
    *need = volt_box_of_shape(value->global);
}

/* Plans are made once. */
static volt_status plan_of(volt_program *p, volt_value v, plan_kind kind, volt_transfer **out)
{
    volt_transfer **plan = &p->values[v].plan[kind];
    volt_box *have = NULL, *need;
    volt_transfer made = {0};
    volt_status st = VOLT_OK;

    if (*plan)
        goto done;
    VOLT_TRY(st, done, volt_alloc(&have, 2 * (size_t)p->parts * sizeof *have, "a program"));
    need = have + p->parts;
    for (int r = 0; r < p->parts; r++)
        boxes_of(p, v, kind, r, &have[r], &need[r]);
    VOLT_TRY(st, done,
             volt_transfer_plan(&made, have, need, p->parts, volt_comm_rank(p->space)));
    st = volt_alloc(plan, sizeof **plan, "a program");
    if (st == VOLT_OK)
        **plan = made;
    else
        volt_transfer_clear(&made);
done:
    volt_free(have);
    *out = *plan;
    return st;
}

/* A message of a box of the value at `place`. */
static volt_tensor message_tensor(const volt_place *place, volt_box box)
{
    const volt_tensor *t = &place->tensor;
    int64_t shape[3];

    volt_box_shape(shape, box);
    return volt_tensor_make((int64_t[]){t->n, t->c, shape[0], shape[1], shape[2]}, t->dtype,
                            t->layout);
}

/* Whether move i sends what the one before does: one message serves both. */
static bool repeats(const volt_move *moves, int i)
{
    return i > 0 && !memcmp(&moves[i].box, &moves[i - 1].box, sizeof moves->box);
}

/* Sizes and places of messages from `first` on; returns the bytes of all. */
static size_t lay_out(const volt_program *p, volt_exchange *x, const volt_move *moves,
                      int count, int first)
{
    size_t bytes = 0;

    for (int i = 0; i < count; i++) {
        const volt_tensor t = message_tensor(&x->from, moves[i].box);

        if (repeats(moves, i)) {
            x->offset[first + i] = x->offset[first + i - 1];
            x->message[first + i] = x->message[first + i - 1];
            x->message[first + i].peer = moves[i].peer;
            continue;
        }
        x->offset[first + i] = bytes;
        x->message[first + i] = (volt_message){.peer = moves[i].peer,
                                               .bytes = p->device->buffer_bytes(p->device, &t)};
        bytes += align_up(x->message[first + i].bytes);
    }
    return bytes;
}

static volt_status add_message_buffer(volt_program *p, int *out, size_t bytes)
{
    *out = -1;
    return bytes ? volt_program_add_buffer(p, out, bytes) : VOLT_OK;
}

volt_status volt_program_push_exchange(volt_program *p, volt_exchange x)
{
    size_t count;
    volt_status st;

    if (p->exchange_count == p->exchange_capacity) {
        const int wanted = 2 * p->exchange_capacity + 64;
        VOLT_TRY(st, done,
                 volt_realloc(&p->exchanges, (size_t)p->exchange_count * sizeof *p->exchanges,
                              (size_t)wanted * sizeof *p->exchanges, "a program"));
        p->exchange_capacity = wanted;
    }
    count = (size_t)(x.plan->sends + x.plan->receives);
    VOLT_TRY(st, done, volt_alloc_zero(&x.pack, count + 1, sizeof *x.pack, "a program"));
    VOLT_TRY(st, done, volt_alloc_zero(&x.message, count + 1, sizeof *x.message, "a program"));
    VOLT_TRY(st, done, volt_alloc_zero(&x.offset, count + 1, sizeof *x.offset, "a program"));
    x.sent = lay_out(p, &x, x.plan->send, x.plan->sends, 0);
    x.received = lay_out(p, &x, x.plan->receive, x.plan->receives, x.plan->sends);
    VOLT_TRY(st, done, add_message_buffer(p, &x.send, x.sent));
    VOLT_TRY(st, done, add_message_buffer(p, &x.receive, x.received));
    p->exchanges[p->exchange_count++] = x;
    return VOLT_OK;
done:
    volt_program_clear_exchange(p, &x);
    return st;
}

/* Adds an exchange that has value, places and boxes. */
static volt_status add_exchange(volt_program *p, plan_kind kind, volt_exchange x)
{
    const volt_status st = plan_of(p, x.value, kind, &x.plan);

    return st == VOLT_OK ? volt_program_push_exchange(p, x) : st;
}

static volt_operand bytes_operand(int buffer)
{
    return buffer < 0 ? volt_operand_none()
                      : (volt_operand){.kind = VOLT_OPERAND_BUFFER, .index = buffer};
}

static volt_step step_of(const volt_program *p, volt_step_kind kind, int unit, int exchange)
{
    const volt_exchange *x = &p->exchanges[exchange];
    volt_step step = {.kind = kind,
                      .unit = unit,
                      .value = x->value,
                      .exchange = exchange,
                      .backward = p->slot >= p->unit_count,
                      .operands = 3};

    step.operand[0] = volt_operand_place(kind == VOLT_STEP_MARGINS_END ? &x->to : &x->from);
    step.operand[1] = bytes_operand(x->send);
    step.operand[2] = bytes_operand(x->receive);
    return step;
}

volt_status volt_program_add_exchange_step(volt_program *p, volt_step_kind kind, int unit,
                                           int exchange)
{
    const volt_step step = step_of(p, kind, unit, exchange);

    return volt_program_add_step(p, &step);
}

volt_status volt_program_start_exchange(volt_program *p, int unit, volt_value v,
                                        const volt_place *place, bool gradient, int *exchange)
{
    volt_step step = {.kind = VOLT_STEP_MARGINS,
                      .unit = unit,
                      .value = v,
                      .backward = p->slot >= p->unit_count,
                      .operands = 1};
    volt_exchange x = {.value = v, .from = *place, .to = *place};
    volt_status st;

    *exchange = -1;
    if (!(gradient ? p->values[v].gradient_exchanged : p->values[v].exchanged))
        return VOLT_OK;
    step.operand[0] = volt_operand_place(place);
    if (!p->space)
        return volt_program_add_step(p, &step);
    memcpy(x.from_low, p->values[v].box.low, sizeof x.from_low);
    memcpy(x.to_low, p->values[v].box.low, sizeof x.to_low);
    VOLT_TRY(st, done, add_exchange(p, gradient ? OF_GRADIENT : OF_MARGINS, x));
    *exchange = p->exchange_count - 1;
    step = step_of(p, VOLT_STEP_MARGINS, unit, *exchange);
    st = volt_program_add_step(p, &step);
done:
    return st;
}

volt_status volt_program_start_gather(volt_program *p, int unit, const volt_place *from,
                                      const volt_place *to, int *exchange)
{
    const volt_unit *u = &p->units[unit];
    const volt_value twin = u->out;
    const volt_program_value *part = &p->values[p->values[twin].gathered ? u->in[0] : twin];
    volt_exchange x = {.value = twin, .from = *from, .to = *to};
    volt_step step;
    volt_status st;

    *exchange = -1;
    if (!p->space)
        return volt_fail(VOLT_EINTERNAL, "a value is gathered without a mesh");
    memcpy(x.from_low, part->box.low, sizeof x.from_low);
    VOLT_TRY(st, done, add_exchange(p, OF_WHOLE, x));
    *exchange = p->exchange_count - 1;
    step = step_of(p, VOLT_STEP_MARGINS, unit, *exchange);
    st = volt_program_add_step(p, &step);
done:
    return st;
}

volt_status volt_program_end_exchange(volt_program *p, int unit, int exchange)
{
    volt_step step;

    if (exchange < 0)
        return VOLT_OK;
    step = step_of(p, VOLT_STEP_MARGINS_END, unit, exchange);
    return volt_program_add_step(p, &step);
}

volt_status volt_program_add_exchange(volt_program *p, int unit, volt_value v,
                                      const volt_place *place, bool gradient)
{
    int exchange;
    volt_status st = volt_program_start_exchange(p, unit, v, place, gradient, &exchange);

    return st == VOLT_OK ? volt_program_end_exchange(p, unit, exchange) : st;
}

/* ---- operators ---- */

static volt_status create_one(volt_program *p, volt_exchange *x, int i, volt_step *s)
{
    const bool sends = i < x->plan->sends;
    const volt_box box =
        sends ? x->plan->send[i].box : x->plan->receive[i - x->plan->sends].box;
    const volt_tensor dense = message_tensor(&x->from, box);
    const int64_t *low = sends ? x->from_low : x->to_low;
    const int64_t back[3] = {-low[0], -low[1], -low[2]};
    volt_op_spec spec = {.kind = sends ? VOLT_OP_PACK_BOX : VOLT_OP_UNPACK_BOX,
                         .box = volt_box_shift(box, back),
                         .threads = p->options.threads};
    volt_op_info info;
    volt_status st;

    if (sends && repeats(x->plan->send, i))
        return VOLT_OK;
    spec.tensor[sends ? 0 : 1] = sends ? x->from.tensor : x->to.tensor;
    spec.tensor[sends ? 1 : 0] = dense;
    st = p->device->op_create(p->device, &x->pack[i], &spec);
    if (st != VOLT_OK)
        return st;
    p->device->op_info(x->pack[i], &info);
    if (info.scratch_bytes > s->info.scratch_bytes)
        s->info.scratch_bytes = info.scratch_bytes;
    s->info.bytes += info.bytes;
    return VOLT_OK;
}

volt_status volt_program_create_exchange(volt_program *p, volt_step *s)
{
    volt_exchange *x = &p->exchanges[s->exchange];
    const bool start = s->kind == VOLT_STEP_MARGINS || s->kind == VOLT_STEP_SEND;
    const int first = start ? 0 : x->plan->sends;
    const int count = start ? x->plan->sends : x->plan->receives;
    volt_status st = VOLT_OK;

    for (int i = first; st == VOLT_OK && i < first + count; i++)
        st = create_one(p, x, i, s);
    return st;
}

/* ---- running ---- */

size_t volt_program_host_exchanges(volt_program *p, size_t offset)
{
    for (int i = 0; i < p->exchange_count; i++) {
        volt_exchange *x = &p->exchanges[i];

        x->host_offset = offset;
        offset += (x->sent + x->received) * (size_t)(x->link ? p->options.arenas : 1);
    }
    return offset;
}

static volt_status run_box(volt_program *p, volt_op *op, void *from, void *to)
{
    void *operands[2] = {from, to};

    return p->device->op_run(op, operands, p->scratch, p->stream);
}

/* Where the messages lie among the host's copies. A link of each arena may be on its way. */
static unsigned char *host_of(const volt_program *p, const volt_exchange *x)
{
    const size_t arena = x->link ? (size_t)p->arena_number : 0;

    return p->host + x->host_offset + arena * (x->sent + x->received);
}

static volt_ticket **ticket_of(const volt_program *p, const volt_step *s)
{
    volt_exchange *x = &p->exchanges[s->exchange];

    return x->link ? volt_program_link(p, p->arena_number, s->exchange) : &x->ticket;
}

/* Others may use the low tags of the stages' communicator. */
static int tag_of(const volt_exchange *x, const volt_step *s)
{
    const int low = 1024;

    return x->link ? low + x->value % (VOLT_TAG_MAX + 1 - low)
                   : s->exchange % (VOLT_TAG_MAX + 1);
}

volt_status volt_program_run_start(volt_program *p, const volt_step *s)
{
    volt_exchange *x = &p->exchanges[s->exchange];
    const volt_transfer *plan = x->plan;
    unsigned char *send = s->pointer[1], *receive = s->pointer[2];
    volt_status st = VOLT_OK;

    for (int i = 0; i < plan->sends; i++) {
        if (x->pack[i])
            VOLT_TRY(st, done, run_box(p, x->pack[i], s->pointer[0], send + x->offset[i]));
    }
    if (p->host) {
        unsigned char *host = host_of(p, x);
        if (x->sent)
            VOLT_TRY(st, done, p->device->download(p->device, host, send, x->sent, p->stream));
        send = host;
        receive = host + x->sent;
    }
    for (int i = 0; i < plan->sends; i++)
        x->message[i].at = send + x->offset[i];
    for (int i = plan->sends; i < plan->sends + plan->receives; i++)
        x->message[i].at = receive + x->offset[i];
    if (plan->sends + plan->receives == 0)
        return VOLT_OK;
    VOLT_TRY(st, done,
             volt_comm_start(ticket_of(p, s), x->link ? p->stages : p->space, x->message,
                             plan->sends, x->message + plan->sends, plan->receives,
                             tag_of(x, s)));
    p->on_their_way++;
done:
    return st;
}

volt_status volt_program_run_end(volt_program *p, const volt_step *s)
{
    volt_exchange *x = &p->exchanges[s->exchange];
    const volt_transfer *plan = x->plan;
    unsigned char *receive = s->pointer[2];
    volt_status st = VOLT_OK;

    if (!*ticket_of(p, s))
        return VOLT_OK;
    p->on_their_way--;
    VOLT_TRY(st, done, volt_comm_wait(x->link ? p->stages : p->space, ticket_of(p, s)));
    if (p->host && x->received)
        VOLT_TRY(st, done,
                 p->device->upload(p->device, receive, host_of(p, x) + x->sent, x->received,
                                   p->stream));
    for (int i = plan->sends; i < plan->sends + plan->receives; i++)
        VOLT_TRY(st, done, run_box(p, x->pack[i], receive + x->offset[i], s->pointer[0]));
done:
    return st;
}

volt_status volt_program_sum_doubles(volt_program *p, volt_comm *comm, double *sums,
                                     int64_t count)
{
    const size_t bytes = (size_t)count * sizeof *sums;
    double *host = (double *)p->host;
    volt_status st;

    if (!host)
        return volt_comm_sum_f64(comm, sums, count);
    VOLT_TRY(st, done, p->device->download(p->device, host, sums, bytes, p->stream));
    VOLT_TRY(st, done, volt_comm_sum_f64(comm, host, count));
    st = p->device->upload(p->device, sums, host, bytes, p->stream);
done:
    return st;
}

volt_comm *volt_program_sums_comm(const volt_program *p, const volt_step *s)
{
    const bool whole = !p->part || p->values[p->units[s->unit].out].gathered;

    if (!s->over_batch)
        return p->space;
    return whole ? p->options.mesh->data : p->world;
}

volt_status volt_program_run_sum(volt_program *p, const volt_step *s)
{
    return volt_program_sum_doubles(p, volt_program_sums_comm(p, s), s->pointer[0],
                                    volt_tensor_elements(&s->operand[0].tensor));
}

/* ---- counting ---- */

static size_t bytes_of(const volt_message *message, int count)
{
    size_t bytes = 0;

    for (int i = 0; i < count; i++)
        bytes += message[i].bytes;
    return bytes;
}

void volt_program_count_messages(const volt_program *p, const volt_step *s, volt_step_info *out)
{
    const int64_t ranks = volt_comm_size(p->world);

    if ((s->kind == VOLT_STEP_MARGINS && p->space) || s->kind == VOLT_STEP_SEND ||
        s->kind == VOLT_STEP_RECEIVE) {
        const volt_exchange *x = &p->exchanges[s->exchange];
        out->peers = s->kind == VOLT_STEP_RECEIVE ? x->plan->receives : x->plan->sends;
        out->sent = bytes_of(x->message, x->plan->sends);
        out->received = bytes_of(x->message + x->plan->sends, x->plan->receives);
    } else if (s->kind == VOLT_STEP_SUMS) {
        out->peers = volt_comm_size(volt_program_sums_comm(p, s)) - 1;
        out->sent = out->received = (size_t)volt_tensor_elements(&s->operand[0].tensor) *
                                    sizeof(double) * (size_t)out->peers;
    } else if (s->kind == VOLT_STEP_BUCKET) {
        const int64_t count = p->buckets[s->exchange].count;
        out->peers = 1;
        out->sent = out->received = (size_t)(2 * count * (ranks - 1) / ranks) * sizeof(float);
    }
}
