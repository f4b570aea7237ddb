/* Packing of weights in training programs, whose weights change with each step.
 *
 * Either all forms are kept in memory of their own, and one step after the update packs those
 * that learn; the others are packed with them when parameters are loaded. Or they need no
 * memory: each form of a parameter is packed at most once in a pass, by a step of the list, and
 * lives until its last user in the pass. That needs memory only where the activations are
 * largest, so forms get what is free anyway: activations are laid out first, and a form goes
 * into a gap of the arena or behind what operators use of the scratch while it lives. At worst
 * it is packed just before its first user. Where there is room for longer, one step at the
 * beginning of the pass packs it together with others, and a form of both passes is packed in
 * the forward pass only.
 */
#include "nets3d/program/program_internal.h"

#include "base/core/alloc.h"

/* What placing works with. */
typedef struct placing {
    volt_program *p;
    size_t arena, scratch; /* bytes that may be used */
    int *buffers;          /* all of them, */
    int *neighbours;       /* space for as many */
    int *order;            /* of the forms, by size */
} placing;

static size_t align_up(size_t bytes)
{
    return (bytes + VOLT_ALIGN_BYTES - 1) / VOLT_ALIGN_BYTES * VOLT_ALIGN_BYTES;
}

/* The parameter that a step reads as packed weights; -1 = none. */
static int packed_param(const volt_step *s)
{
    for (int j = 0; j < s->operands; j++) {
        if (s->operand[j].kind == VOLT_OPERAND_WEIGHTS && s->info.packed_bytes)
            return s->operand[j].index;
    }
    return -1;
}

static volt_status add_form(volt_program *p, int step, int param)
{
    volt_step *s = &p->steps[step];
    volt_form f = {.op = s->op, .param = param, .backward = step > p->loss_step};
    const volt_status st = volt_program_add_buffer(p, &f.buffer, s->info.packed_bytes);

    if (st == VOLT_OK) {
        p->buffers[f.buffer].first = step;
        p->buffers[f.buffer].offset = VOLT_NOWHERE;
        s->form = p->form_count;
        p->forms[p->form_count++] = f;
    }
    return st;
}

static bool same_form(const volt_program *p, const volt_form *f, int param, const volt_op *op)
{
    return f->param == param && p->device->op_same_form(f->op, op);
}

/* The forms of each pass, each living from its first user to its last. */
static volt_status find_forms(volt_program *p)
{
    volt_status st = VOLT_OK;

    for (int i = 0; i < p->step_count; i++) {
        volt_step *s = &p->steps[i];
        const int param = packed_param(s);

        if (param < 0)
            continue;
        for (int f = 0; f < p->form_count && s->form < 0; f++) {
            if (p->forms[f].backward == (i > p->loss_step) &&
                same_form(p, &p->forms[f], param, s->op))
                s->form = f;
        }
        if (s->form < 0)
            VOLT_TRY(st, done, add_form(p, i, param));
        p->buffers[p->forms[s->form].buffer].last = i;
    }
done:
    return st;
}

/* End of what the operators of these steps use of the scratch. */
static size_t scratch_in_use(const volt_program *p, int first, int last)
{
    size_t most = 0;

    for (int i = first; i <= last; i++) {
        const size_t bytes = volt_program_scratch_of(p, &p->steps[i]);
        most = bytes > most ? bytes : most;
    }
    return align_up(most);
}

/* Places b where it can live throughout these steps; if nowhere, it stays where it was. A form
 * of both passes must not lie in the scratch when the passes of several arenas can alternate.
 */
static bool place(placing *w, volt_buffer *b, int first, int last)
{
    volt_program *p = w->p;
    const volt_buffer before = *b;
    const bool alternates =
        p->options.arenas > 1 && first <= p->loss_step && last > p->loss_step;

    b->first = first;
    b->last = last;
    for (int scratch = 0; scratch < (alternates ? 1 : 2); scratch++) {
        b->in_scratch = scratch;
        b->offset =
            volt_program_gap(p, b, w->buffers, p->buffer_count,
                             scratch ? scratch_in_use(p, first, last) : 0, w->neighbours);
        if (b->offset + b->bytes <= (scratch ? w->scratch : w->arena))
            return true;
    }
    *b = before;
    return false;
}

/* The same for its users alone. With no room left the scratch grows: to no more than it would
 * take to pack there just before running, unless other forms are in the way. */
static void place_at_all(placing *w, volt_buffer *b)
{
    volt_program *p = w->p;

    if (place(w, b, b->first, b->last))
        return;
    b->in_scratch = true;
    b->offset = volt_program_gap(p, b, w->buffers, p->buffer_count,
                                 scratch_in_use(p, b->first, b->last), w->neighbours);
    w->scratch = align_up(b->offset + b->bytes);
}

/* Lets the forward pass's form serve the backward pass too. */
static void reuse(placing *w, int form)
{
    volt_program *p = w->p;
    const volt_form *f = &p->forms[form];
    volt_buffer *b = &p->buffers[f->buffer];
    const volt_buffer before = *b;

    for (int i = 0; f->backward && i < p->form_count; i++) {
        volt_buffer *earlier = &p->buffers[p->forms[i].buffer];

        if (p->forms[i].backward || !same_form(p, &p->forms[i], f->param, f->op))
            continue;
        b->first = b->last = -1; /* not in its own way */
        if (!place(w, earlier, earlier->first, before.last)) {
            *b = before;
            return;
        }
        for (int s = 0; s < p->step_count; s++) {
            if (p->steps[s].form == form)
                p->steps[s].form = i;
        }
        return;
    }
}

static int start_of_pass(const volt_program *p, const volt_form *f)
{
    return f->backward ? p->loss_step + 1 : 0;
}

/* Largest first. */
static void sort_forms(const volt_program *p, int *order)
{
    for (int i = 0; i < p->form_count; i++) {
        const size_t bytes = p->buffers[p->forms[i].buffer].bytes;
        int at = i;

        while (at > 0 && p->buffers[p->forms[order[at - 1]].buffer].bytes < bytes) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
}

static void place_all(placing *w)
{
    volt_program *p = w->p;

    for (int i = 0; i < p->form_count; i++)
        place_at_all(w, &p->buffers[p->forms[w->order[i]].buffer]);
    for (int i = p->form_count - 1; i >= 0; i--) /* the small ones first */
        reuse(w, w->order[i]);
    for (int i = p->form_count - 1; i >= 0; i--) {
        const volt_form *f = &p->forms[w->order[i]];
        volt_buffer *b = &p->buffers[f->buffer];
        if (b->first >= 0)
            (void)place(w, b, start_of_pass(p, f), b->last);
    }
}

/* By packing. */
static double bytes_moved(const volt_program *p, const volt_form *f)
{
    volt_op_info info;

    p->device->op_info(f->op, &info);
    return (double)volt_graph_param(p->graph, f->param)->count * sizeof(float) +
           (double)info.packed_bytes;
}

/* The step that packs the forms first .. first + count - 1 just before step `at`. */
static volt_step pack_step(const volt_program *p, int at, int first, int count)
{
    const volt_form *f = &p->forms[first];
    volt_step s = {.kind = VOLT_STEP_PACK,
                   .unit = at == start_of_pass(p, f) ? -1 : p->steps[at].unit,
                   .backward = f->backward,
                   .form = first,
                   .forms = count};

    for (int i = first; i < first + count; i++)
        s.info.bytes += bytes_moved(p, &p->forms[i]);
    return s;
}

/* Orders the forms by the step they are packed before, and drops unused ones. `number`: space
 * for one per form. */
static void order_forms(volt_program *p, int *number)
{
    int count = 0;

    for (int i = 0; i < p->form_count; i++) {
        const volt_form f = p->forms[i];
        const int first = p->buffers[f.buffer].first;
        int at = count;

        if (first < 0)
            continue;
        for (; at > 0 && p->buffers[p->forms[at - 1].buffer].first > first; at--) {
            p->forms[at] = p->forms[at - 1];
            number[at] = number[at - 1];
        }
        p->forms[at] = f;
        number[at] = i;
        count++;
    }
    p->form_count = count;
    for (int i = 0; i < p->step_count; i++) {
        int at = 0;

        if (p->steps[i].form < 0)
            continue;
        while (number[at] != p->steps[i].form)
            at++;
        p->steps[i].form = at;
    }
}

/* Inserts the steps that pack, and renumbers everything that counts steps. `moved`: space for a
 * number per step. */
static volt_status insert_steps(volt_program *p, int *moved)
{
    volt_step *steps = NULL;
    int count = 0, form = 0;
    volt_status st;

    VOLT_TRY(
        st, done,
        volt_alloc(&p->packs, (size_t)(p->form_count + 1) * sizeof *p->packs, "a program"));
    VOLT_TRY(st, done,
             volt_alloc(&steps, (size_t)(p->step_count + p->form_count) * sizeof *steps,
                        "a program"));
    for (int i = 0; i < p->step_count; i++) {
        const int first = form;

        while (form < p->form_count && p->buffers[p->forms[form].buffer].first == i)
            form++;
        if (form > first)
            steps[count++] = pack_step(p, i, first, form - first);
        moved[i] = count;
        steps[count++] = p->steps[i];
    }
    for (int i = 0; i < p->buffer_count; i++) {
        volt_buffer *b = &p->buffers[i];
        if (b->first >= 0) {
            b->first = moved[b->first];
            b->last = moved[b->last];
        }
    }
    for (int i = 0; i < p->form_count; i++)
        p->buffers[p->forms[i].buffer].first--; /* where it is packed */
    p->loss_step = moved[p->loss_step];
    volt_free(p->steps);
    p->steps = steps;
    p->step_capacity = p->step_count + p->form_count;
    p->step_count = count;
done:
    return st;
}

static volt_status place_in_passes(volt_program *p)
{
    placing w = {.p = p, .arena = p->arena_bytes, .scratch = p->scratch_bytes};
    size_t buffers;
    volt_status st;

    VOLT_TRY(st, done, find_forms(p));
    buffers = (size_t)p->buffer_count + (size_t)p->step_count;
    VOLT_TRY(st, done, volt_alloc(&w.buffers, buffers * sizeof *w.buffers, "a program"));
    VOLT_TRY(st, done, volt_alloc(&w.neighbours, buffers * sizeof *w.buffers, "a program"));
    VOLT_TRY(st, done, volt_alloc(&w.order, buffers * sizeof *w.buffers, "a program"));
    for (int i = 0; i < p->buffer_count; i++)
        w.buffers[i] = i;
    sort_forms(p, w.order);
    place_all(&w);
    order_forms(p, w.order);
    st = insert_steps(p, w.order);
    p->memory.scratch += w.scratch - p->scratch_bytes;
    p->memory.total += w.scratch - p->scratch_bytes;
    p->scratch_bytes = w.scratch;
done:
    volt_free(w.order);
    volt_free(w.neighbours);
    volt_free(w.buffers);
    return st;
}

/* Gives the step the kept form of its weights, a new one if there is none yet. */
static void keep_form(volt_program *p, volt_step *s, int param)
{
    for (int f = 0; f < p->form_count && s->form < 0; f++) {
        if (same_form(p, &p->forms[f], param, s->op))
            s->form = f;
    }
    if (s->form >= 0)
        return;
    s->form = p->form_count++;
    p->forms[s->form] =
        (volt_form){.op = s->op, .param = param, .buffer = -1, .kept_offset = p->memory.packed};
    p->memory.packed += align_up(s->info.packed_bytes);
}

/* Forms that learn come first. */
static volt_status keep_forms(volt_program *p)
{
    volt_step pack = {.kind = VOLT_STEP_PACK, .unit = -1, .backward = true};

    for (int frozen = 0; frozen < 2; frozen++) {
        for (int i = 0; i < p->step_count; i++) {
            const int param = packed_param(&p->steps[i]);
            const bool *learns = p->options.learns;

            if (param >= 0 && (learns && !learns[param]) == frozen)
                keep_form(p, &p->steps[i], param);
        }
        if (!frozen)
            pack.forms = p->form_count;
    }
    p->memory.total += p->memory.packed;
    volt_status st =
        volt_alloc(&p->packs, (size_t)(p->form_count + 1) * sizeof *p->packs, "a program");
    if (st != VOLT_OK || pack.forms == 0)
        return st;
    for (int i = 0; i < pack.forms; i++)
        pack.info.bytes += bytes_moved(p, &p->forms[i]);
    p->update_steps = 1;
    return volt_program_add_step(p, &pack);
}

volt_status volt_program_place_forms(volt_program *p)
{
    volt_status st;

    VOLT_TRY(
        st, done,
        volt_alloc(&p->forms, (size_t)(p->step_count + 1) * sizeof *p->forms, "a program"));
    for (int i = 0; i < p->step_count; i++)
        p->steps[i].form = -1;
    st = p->options.keep_forms ? keep_forms(p) : place_in_passes(p);
done:
    return st;
}
