/* Sums of gradients over all ranks.
 *
 * The flat array of gradients is cut into buckets of neighbouring parameters. A bucket is
 * complete when the last unit that writes one of its parameters has run backward; its sum then
 * starts, and goes on while the rest of the pass computes. Units are numbered alike on all
 * ranks, so the sums start in the same order everywhere. Gradients that nobody writes (of
 * frozen parameters, of biases that a norm takes away) belong to no bucket.
 *
 * Programs that accumulate add the average, once, after its last part.
 */
#include "nets3d/program/ranks.h"

#include "base/core/alloc.h"
#include "nets3d/graph/params.h"

/* Elements of a bucket: enough for the bandwidth to count rather than the latency, and of a
 * small network still some. */
static int64_t bucket_size(const volt_program *p)
{
    const int64_t size = volt_graph_learned_elements(p->graph) / 8;

    return size < 256 ? 256 : size > 4 << 20 ? 4 << 20 : size;
}

static void raise_slot(int *slot, int param, bool written, int to)
{
    if (written && param >= 0 && to > slot[param])
        slot[param] = to;
}

/* The slot of each parameter's last writer; -1 = there is none. Stages number their units
 * differently: their sums start at the end of the pass. */
static void find_writers(const volt_program *p, int *slot)
{
    for (int i = 0; i < volt_graph_param_count(p->graph); i++)
        slot[i] = -1;
    for (int i = 0; p->stages && i < p->network_count; i++) {
        const volt_unit *u = &p->network[i];
        const int end = 2 * p->network_count;

        raise_slot(slot, u->node->weight, u->weights_learn, end);
        raise_slot(slot, u->node->bias, u->bias_learns && !u->bias_cancels, end);
    }
    for (int i = 0; !p->stages && i < p->unit_count; i++) {
        const volt_unit *u = &p->units[i];
        const int at = 2 * p->unit_count - 1 - i;

        raise_slot(slot, u->node->weight, u->weights_learn, at);
        raise_slot(slot, u->node->bias, u->bias_learns && !u->bias_cancels, at);
    }
}

/* By slot; among equals as they lie. */
static void sort_buckets(volt_program *p)
{
    for (int i = 1; i < p->bucket_count; i++) {
        const volt_bucket b = p->buckets[i];
        int at = i;

        for (; at > 0 && p->buckets[at - 1].slot > b.slot; at--)
            p->buckets[at] = p->buckets[at - 1];
        p->buckets[at] = b;
    }
}

volt_status volt_program_plan_buckets(volt_program *p)
{
    const int params = volt_graph_param_count(p->graph);
    const int64_t size = bucket_size(p);
    volt_bucket *last = NULL;
    int *slot = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&slot, (size_t)(params + 1) * sizeof *slot, "a program"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&p->buckets, (size_t)params + 1, sizeof *p->buckets, "a program"));
    find_writers(p, slot);
    for (int i = 0; i < params; i++) {
        const volt_param *q = volt_graph_param(p->graph, i);

        if (slot[i] < 0)
            continue;
        if (!last || last->count >= size || last->first + last->count != q->offset) {
            last = &p->buckets[p->bucket_count++];
            *last = (volt_bucket){.first = q->offset, .slot = -1, .scratch = -1};
        }
        last->count += q->count;
        last->slot = slot[i] > last->slot ? slot[i] : last->slot;
    }
    sort_buckets(p);
done:
    volt_free(slot);
    return st;
}

size_t volt_program_bucket_scratch(const volt_program *p)
{
    size_t most = 0;

    for (int i = 0; p->world && p->options.accumulate && i < p->bucket_count; i++) {
        const size_t bytes = volt_comm_sum_scratch(p->world, p->buckets[i].count);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static volt_status add_step(volt_program *p, volt_step_kind kind, int bucket)
{
    const int scratch = p->buckets[bucket].scratch;
    volt_step step = {
        .kind = kind, .unit = -1, .exchange = bucket, .backward = true, .operands = 1};

    if (scratch >= 0)
        step.operand[0] = (volt_operand){.kind = VOLT_OPERAND_BUFFER, .index = scratch};
    return volt_program_add_step(p, &step);
}

volt_status volt_program_start_buckets(volt_program *p)
{
    volt_status st = VOLT_OK;

    for (int i = 0; i < p->bucket_count && !p->options.accumulate; i++) {
        volt_bucket *b = &p->buckets[i];
        const size_t bytes = volt_comm_sum_scratch(p->world, b->count);

        if (b->slot != p->slot && !(p->stages && p->slot == 2 * p->unit_count - 1))
            continue;
        b->scratch = -1;
        if (bytes)
            VOLT_TRY(st, done, volt_program_add_buffer(p, &b->scratch, bytes));
        VOLT_TRY(st, done, add_step(p, VOLT_STEP_BUCKET, i));
    }
done:
    return st;
}

volt_status volt_program_end_buckets(volt_program *p)
{
    volt_status st = VOLT_OK;

    for (int i = 0; st == VOLT_OK && i < p->bucket_count && !p->options.accumulate; i++)
        st = add_step(p, VOLT_STEP_BUCKET_END, i);
    return st;
}

/* ---- running ---- */

size_t volt_program_host_buckets(const volt_program *p)
{
    size_t bytes = 0;

    for (int i = 0; i < p->bucket_count; i++)
        bytes += (size_t)p->buckets[i].count * sizeof(float) +
                 volt_comm_sum_scratch(p->world, p->buckets[i].count) + 2 * VOLT_ALIGN_BYTES;
    return bytes;
}

static size_t align_up(size_t bytes)
{
    return (bytes + VOLT_ALIGN_BYTES - 1) / VOLT_ALIGN_BYTES * VOLT_ALIGN_BYTES;
}

/* The host's copy of bucket i; its scratch lies behind. */
static float *host_copy(const volt_program *p, int i, void **scratch)
{
    size_t at = p->host_buckets;

    for (int j = 0; j < i; j++)
        at += align_up((size_t)p->buckets[j].count * sizeof(float)) +
              align_up(volt_comm_sum_scratch(p->world, p->buckets[j].count));
    *scratch = p->host + at + align_up((size_t)p->buckets[i].count * sizeof(float));
    return (float *)(p->host + at);
}

/* Through a small host block. */
volt_status volt_program_zero(volt_program *p, float *gradients, int64_t count)
{
    static const float zeros[4096];
    volt_status st = VOLT_OK;

    for (int64_t i = 0; st == VOLT_OK && i < count; i += 4096) {
        const int64_t left = count - i < 4096 ? count - i : 4096;
        st = p->device->upload(p->device, gradients + i, zeros, (size_t)left * sizeof *zeros,
                               p->stream);
    }
    return st;
}

static volt_status zero_param(volt_program *p, const volt_bucket *b, float *gradients,
                              int param)
{
    const volt_param *q = param < 0 ? NULL : volt_graph_param(p->graph, param);

    return q && q->offset >= b->first && q->offset < b->first + b->count
               ? volt_program_zero(p, gradients + q->offset, q->count)
               : VOLT_OK;
}

/* What other ranks compute is 0 here: the last sum lies there. */
static volt_status zero_dealt(volt_program *p, const volt_bucket *b, float *gradients)
{
    const volt_unit *units = p->stages ? p->network : p->units;
    const int count = p->stages ? p->network_count : p->unit_count;
    volt_status st = VOLT_OK;

    for (int i = 0; st == VOLT_OK && i < count; i++) {
        const volt_unit *u = &units[i];

        if (p->stages ? p->stage_values[u->out].stage == p->stage : !u->dealt)
            continue;
        VOLT_TRY(st, done, zero_param(p, b, gradients, u->node->weight));
        st = zero_param(p, b, gradients, u->node->bias);
    }
done:
    return st;
}

static volt_status start(volt_program *p, int i, float *gradients, void *scratch)
{
    volt_bucket *b = &p->buckets[i];
    float *data = gradients + b->first;
    volt_status st;

    VOLT_TRY(st, done, zero_dealt(p, b, gradients));
    if (p->host) {
        data = host_copy(p, i, &scratch);
        VOLT_TRY(st, done,
                 p->device->download(p->device, data, gradients + b->first,
                                     (size_t)b->count * sizeof *data, p->stream));
    }
    VOLT_TRY(st, done, volt_comm_sum_f32_start(&b->ticket, p->world, data, b->count, scratch));
    p->on_their_way++;
done:
    return st;
}

static volt_status end(volt_program *p, int i, float *gradients)
{
    volt_bucket *b = &p->buckets[i];
    void *scratch;
    volt_status st;

    p->on_their_way--;
    VOLT_TRY(st, done, volt_comm_wait(p->world, &b->ticket));
    if (p->host)
        st = p->device->upload(p->device, gradients + b->first, host_copy(p, i, &scratch),
                               (size_t)b->count * sizeof *gradients, p->stream);
done:
    return st;
}

volt_status volt_program_run_bucket(volt_program *p, const volt_step *s)
{
    return s->kind == VOLT_STEP_BUCKET ? start(p, s->exchange, p->gradients, s->pointer[0])
                                       : end(p, s->exchange, p->gradients);
}

/* One after another: they share the scratch. */
volt_status volt_program_sum_average(volt_program *p)
{
    volt_status st = VOLT_OK;

    for (int i = 0; st == VOLT_OK && i < p->bucket_count; i++) {
        st = start(p, i, p->average, p->scratch);
        if (st == VOLT_OK)
            st = end(p, i, p->average);
    }
    return st;
}
