/* The arena: which buffer lies where, and what the program announces.
 *
 * A buffer lives from the first step that touches it to the last; two may overlap in the arena
 * when their lives do not. The most bytes alive at one step bound the arena from below. Finding
 * the best layout is bin packing, so a good one is searched for: largest buffers first, each
 * into the smallest gap that holds it; then the order of the large buffers, which decide the
 * result, is varied at random, and a change stays unless the arena grows, until the bound is
 * near. The random numbers are fixed: a network's layout, and with it its announced memory, is
 * the same on every run.
 */
#include "nets3d/program/ranks.h"

#include <string.h>

#include "base/core/alloc.h"
#include "base/rng.h"

static size_t align_up(size_t bytes)
{
    return (bytes + VOLT_ALIGN_BYTES - 1) / VOLT_ALIGN_BYTES * VOLT_ALIGN_BYTES;
}

static void touch(volt_program *p, int buffer, int step)
{
    volt_buffer *b = &p->buffers[buffer];

    if (b->first < 0)
        b->first = step;
    b->last = step;
}

/* A buffer lives from the first step that touches it to the last. */
static void find_lifetimes(volt_program *p)
{
    for (int i = 0; i < p->buffer_count; i++)
        p->buffers[i].first = p->buffers[i].last = -1;
    for (int i = 0; i < p->step_count; i++) {
        const volt_step *s = &p->steps[i];
        for (int j = 0; j < s->operands; j++) {
            if (s->operand[j].kind == VOLT_OPERAND_BUFFER)
                touch(p, s->operand[j].index, i);
        }
        if (s->kind != VOLT_STEP_LOSS || !volt_program_has_outputs(p))
            continue;
        touch(p, p->labels, i);
        for (int j = 0; j < volt_graph_output_count(p->graph); j++)
            touch(p, p->outputs[j].buffer, i);
    }
    for (int i = 0; i < p->exchange_count; i++) { /* sends outlast their pass */
        const volt_exchange *x = &p->exchanges[i];
        if (x->link && x->send >= 0)
            touch(p, x->send, x->backward ? p->step_count - 1 : p->loss_step);
    }
}

static bool live_together(const volt_buffer *a, const volt_buffer *b)
{
    return a->first <= b->last && b->first <= a->last && a->in_scratch == b->in_scratch;
}

/* Largest first; among equals in order of creation. An insertion sort will do for a few hundred
 * buffers. Returns how many count as large. */
static int sort_by_size(const volt_program *p, int *order)
{
    int large = 0;

    for (int i = 0; i < p->buffer_count; i++) {
        int at = i;

        while (at > 0 && p->buffers[order[at - 1]].bytes < p->buffers[i].bytes) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    while (large < p->buffer_count &&
           p->buffers[order[large]].bytes >= p->buffers[order[0]].bytes / 16)
        large++;
    return large;
}

/* The smallest gap between `neighbours` (sorted by offset) that holds `bytes`, else the end. */
static size_t best_gap(const volt_buffer *buffers, const int *neighbours, int count,
                       size_t bytes, size_t from)
{
    size_t end = from, best = SIZE_MAX, best_size = SIZE_MAX;

    for (int i = 0; i < count; i++) {
        const volt_buffer *b = &buffers[neighbours[i]];
        const size_t above = b->offset + align_up(b->bytes);

        if (b->offset > end && b->offset - end >= bytes && b->offset - end < best_size) {
            best = end;
            best_size = b->offset - end;
        }
        end = above > end ? above : end;
    }
    return best < SIZE_MAX ? best : end;
}

size_t volt_program_gap(const volt_program *p, const volt_buffer *b, const int *others,
                        int count, size_t from, int *neighbours)
{
    int found = 0;

    for (int i = 0; i < count; i++) {
        const volt_buffer *other = &p->buffers[others[i]];
        int at = found;

        if (other == b || other->first < 0 || other->offset == VOLT_NOWHERE ||
            !live_together(b, other))
            continue;
        while (at > 0 && p->buffers[neighbours[at - 1]].offset > other->offset) {
            neighbours[at] = neighbours[at - 1];
            at--;
        }
        neighbours[at] = others[i];
        found++;
    }
    return best_gap(p->buffers, neighbours, found, align_up(b->bytes), from);
}

/* The same as volt_program_gap for a search that tries many orders: `placed` are the buffers
 * with a place, in the order of their offsets. Puts b there, too. */
static void place_one(volt_buffer *b, volt_buffer *placed, int count)
{
    const size_t bytes = align_up(b->bytes);
    size_t end = 0, best = SIZE_MAX, best_size = SIZE_MAX;
    int at = count;

    for (int i = 0; i < count; i++) {
        const volt_buffer *other = &placed[i];
        const size_t above = other->offset + align_up(other->bytes);

        if (!live_together(b, other))
            continue;
        if (other->offset > end && other->offset - end >= bytes &&
            other->offset - end < best_size) {
            best = end;
            best_size = other->offset - end;
        }
        end = above > end ? above : end;
    }
    b->offset = best < SIZE_MAX ? best : end;
    while (at > 0 && placed[at - 1].offset > b->offset)
        at--;
    memmove(placed + at + 1, placed + at, (size_t)(count - at) * sizeof *placed);
    placed[at] = *b;
}

/* Places all buffers in this order; returns the arena's bytes, or SIZE_MAX as soon as they are
 * more than `most`. */
static size_t place_all(volt_program *p, const int *order, volt_buffer *placed, size_t most)
{
    size_t arena = 0;
    int count = 0;

    for (int i = 0; i < p->buffer_count; i++) {
        volt_buffer *b = &p->buffers[order[i]];

        if (b->first < 0)
            continue; /* never used */
        place_one(b, placed, count++);
        if (b->offset + align_up(b->bytes) > arena)
            arena = b->offset + align_up(b->bytes);
        if (arena > most)
            return SIZE_MAX;
    }
    return arena;
}

/* Moves a random large buffer (the first `large` of the order) to a random place among them. */
static void shuffle_one(int *order, int large, volt_rng *rng)
{
    const int from = (int)volt_rng_below(rng, large), to = (int)volt_rng_below(rng, large);
    const int moved = order[from];

    if (from > to)
        memmove(order + to + 1, order + to, (size_t)(from - to) * sizeof *order);
    else
        memmove(order + from, order + from + 1, (size_t)(to - from) * sizeof *order);
    order[to] = moved;
}

/* The most that lives at one time: no arena can be smaller. */
size_t volt_program_least(volt_program *p)
{
    size_t least = 0;

    find_lifetimes(p);
    for (int i = 0; i < p->step_count; i++) {
        size_t live = 0;
        for (int j = 0; j < p->buffer_count; j++) {
            const volt_buffer *b = &p->buffers[j];
            if (b->first >= 0 && b->first <= i && b->last >= i)
                live += align_up(b->bytes);
        }
        least = live > least ? live : least;
    }
    return least;
}

#define ROUNDS 20000

volt_status volt_program_arrange(volt_program *p, size_t *bytes)
{
    const size_t count = (size_t)p->buffer_count;
    const size_t least = volt_program_least(p);
    volt_rng rng = volt_rng_open(0, 0, 0, VOLT_RNG_LAYOUT);
    int *order = NULL, *best_order = NULL;
    volt_buffer *placed = NULL;
    size_t best = SIZE_MAX;
    int large = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&order, count * sizeof *order, "a program"));
    VOLT_TRY(st, done, volt_alloc(&best_order, count * sizeof *order, "a program"));
    VOLT_TRY(st, done, volt_alloc(&placed, count * sizeof *placed, "a program"));
    for (int round = 0; round < ROUNDS && best > least + least / 500; round++) {
        size_t arena;

        if (round == 0) {
            large = sort_by_size(p, order);
        } else {
            memcpy(order, best_order, count * sizeof *order);
            shuffle_one(order, large, &rng);
        }
        arena = place_all(p, order, placed, best);
        if (arena <= best) {
            best = arena;
            memcpy(best_order, order, count * sizeof *order);
        }
    }
    *bytes = place_all(p, best_order, placed, SIZE_MAX);
done:
    volt_free(placed);
    volt_free(best_order);
    volt_free(order);
    return st;
}

volt_status volt_program_verify(const volt_program *p)
{
    for (int i = 0; i < p->buffer_count; i++) {
        const volt_buffer *a = &p->buffers[i];
        if (a->first < 0)
            continue;
        for (int j = 0; j < i; j++) {
            const volt_buffer *b = &p->buffers[j];
            if (b->first >= 0 && live_together(a, b) && a->offset < b->offset + b->bytes &&
                b->offset < a->offset + a->bytes)
                return volt_fail(VOLT_EINTERNAL,
                                 "buffers %d and %d overlap while both are in "
                                 "use",
                                 i, j);
        }
        if (a->offset + a->bytes > (a->in_scratch ? p->scratch_bytes : p->arena_bytes))
            return volt_fail(VOLT_EINTERNAL, "buffer %d leaves its memory", i);
        for (int s = a->first; a->in_scratch && s <= a->last; s++) {
            if (volt_program_scratch_of(p, &p->steps[s]) > a->offset)
                return volt_fail(VOLT_EINTERNAL, "step %d overwrites buffer %d", s, i);
        }
    }
    return VOLT_OK;
}

volt_status volt_program_create_operators(volt_program *p, int *refused)
{
    volt_status st = VOLT_OK;

    for (int i = 0; st == VOLT_OK && i < p->step_count; i++) {
        volt_step *s = &p->steps[i];
        if ((p->space && (s->kind == VOLT_STEP_MARGINS || s->kind == VOLT_STEP_MARGINS_END)) ||
            s->kind == VOLT_STEP_SEND || s->kind == VOLT_STEP_RECEIVE)
            st = volt_program_create_exchange(p, s);
        if (s->kind != VOLT_STEP_OPERATOR)
            continue;
        st = p->device->op_create(p->device, &s->op, &s->spec);
        if (st == VOLT_OK)
            p->device->op_info(s->op, &s->info);
        else
            *refused = i;
    }
    return st;
}

/* Parameters of an inference program: packed weights of each operator, plain vectors, and what
 * follows from running statistics. */
static void account_packed(volt_program *p)
{
    const volt_step *last = NULL; /* with packed weights */
    size_t packed = 0;

    for (int i = 0; i < volt_graph_param_count(p->graph); i++)
        p->parameter_offset[i] = SIZE_MAX;
    for (int i = 0; i < p->step_count; i++) {
        volt_step *s = &p->steps[i];
        for (int j = 0; j < s->operands; j++) {
            const volt_operand *o = &s->operand[j];
            const size_t plain = (size_t)volt_tensor_elements(&o->tensor) * sizeof(float);

            if (o->kind == VOLT_OPERAND_WEIGHTS && last && last->part && s->part &&
                last->unit == s->unit) {
                s->packed_offset = last->packed_offset;
            } else if (o->kind == VOLT_OPERAND_WEIGHTS) {
                last = s;
                s->packed_offset = packed;
                packed += align_up(s->info.packed_bytes ? s->info.packed_bytes : plain);
            } else if (o->kind == VOLT_OPERAND_PARAMETER &&
                       p->parameter_offset[o->index] == SIZE_MAX) {
                p->parameter_offset[o->index] = packed;
                packed += align_up(plain);
            } else if (o->kind == VOLT_OPERAND_STATISTICS && s->when == VOLT_AT_LOAD) {
                p->units[o->index / 2].packed[o->index % 2] = packed;
                packed += align_up(plain);
            }
        }
    }
    p->memory.packed = packed;
}

/* The loss call with everything that decides its scratch. */
static volt_loss_call largest_loss(const volt_program *p)
{
    const volt_tensor *t = &p->outputs[0].tensor;
    volt_loss_call call = {.n = t->n,
                           .c = t->c,
                           .samples = p->samples,
                           .first = p->own_first,
                           .d = t->d,
                           .h = t->h,
                           .w = t->w,
                           .levels = volt_graph_output_count(p->graph),
                           .weight_ce = 1,
                           .weight_dice = 1,
                           .ignore = VOLT_NO_IGNORE_LABEL,
                           .values = VOLT_LOSS_MAX_VALUES,
                           .gradient = volt_program_trains(p),
                           .threads = p->options.threads};

    for (int i = 0; i < call.levels; i++) {
        call.level[i].d = p->outputs[i].tensor.d;
        call.level[i].h = p->outputs[i].tensor.h;
        call.level[i].w = p->outputs[i].tensor.w;
    }
    return call;
}

size_t volt_program_scratch_of(const volt_program *p, const volt_step *s)
{
    return s->kind == VOLT_STEP_LOSS ? p->loss_bytes : s->info.scratch_bytes;
}

/* The scratch of all operators and of the loss, whose sums lie behind it; at the end, for good,
 * the result of the last loss. */
static void account_scratch(volt_program *p)
{
    volt_loss_call loss = largest_loss(p);
    const size_t sums = (size_t)volt_loss_sums_count(&loss) * sizeof(double);
    size_t scratch = p->device->loss_scratch(p->device, &loss);

    loss.batch_dice = true;
    if (p->device->loss_scratch(p->device, &loss) > scratch)
        scratch = p->device->loss_scratch(p->device, &loss);
    p->loss_scratch = align_up(scratch);
    p->loss_bytes = p->loss_scratch + align_up(sums);
    p->scratch_bytes = volt_program_bucket_scratch(p);
    for (int i = 0; i < p->step_count; i++) {
        const size_t bytes = volt_program_scratch_of(p, &p->steps[i]);
        p->scratch_bytes = bytes > p->scratch_bytes ? bytes : p->scratch_bytes;
    }
    p->scratch_bytes = align_up(p->scratch_bytes);
    p->memory.scratch = p->scratch_bytes + align_up(volt_loss_block_bytes(loss.c));
}

volt_status volt_program_account(volt_program *p, size_t arena)
{
    const size_t plain = (size_t)volt_graph_param_elements(p->graph) * sizeof(float);
    size_t largest = 0;

    volt_free(p->parameter_offset);
    p->parameter_offset = NULL;
    volt_status st =
        volt_alloc_zero(&p->parameter_offset, (size_t)volt_graph_param_count(p->graph) + 1,
                        sizeof *p->parameter_offset, "a program");
    if (st != VOLT_OK)
        return st;
    p->memory = (volt_program_memory){0};
    if (volt_program_trains(p)) {
        p->memory.parameters = plain + volt_program_state_bytes(p);
        p->memory.gradients = (p->options.accumulate ? 2 : 1) * volt_program_gradient_bytes(p);
    } else {
        account_packed(p);
        for (int i = 0; i < volt_graph_param_count(p->graph); i++) {
            const size_t bytes = (size_t)volt_graph_param(p->graph, i)->count * sizeof(float);
            largest = bytes > largest ? bytes : largest;
        }
    }
    account_scratch(p);
    /* Loading for inference uses the arena to bring weights to the device one by one. */
    p->arena_bytes = arena > largest ? align_up(arena) : align_up(largest);
    p->memory.activations = (size_t)p->options.arenas * p->arena_bytes;
    p->memory.total = p->memory.parameters + p->memory.packed + p->memory.gradients +
                      p->memory.activations + p->memory.scratch;
    return VOLT_OK;
}

void volt_program_count_live(volt_program *p)
{
    for (int i = 0; i < p->step_count; i++) {
        p->steps[i].live = 0;
        for (int j = 0; j < p->buffer_count; j++) {
            const volt_buffer *b = &p->buffers[j];
            if (b->first >= 0 && b->first <= i && b->last >= i && !b->in_scratch)
                p->steps[i].live += align_up(b->bytes);
        }
    }
}
