/* Margins that travel while the value they belong to is computed.
 *
 * Where ranks exchange a value as soon as it is there, the operator that writes it last is
 * divided: it computes first the FACES, which other ranks need, then, while these are on their
 * way, the INSIDE. Both are boxes of the same operands, so the results keep their bits; only
 * operators are divided that compute each voxel by itself, or windows that do not overlap.
 *
 * An exchange that is started earlier holds its messages for longer, and is left alone where
 * that would raise the most bytes that live at one time.
 */
#include "nets3d/program/ranks.h"

#include <string.h>

#include "base/core/alloc.h"
#include "nets3d/device/op_spec.h"

#define MOST_FACES 6
#define MOST_PARTS (MOST_FACES + 2)

/* A result in boxes, in voxels from its first one: faces, then the inside. */
typedef struct division {
    volt_box box[MOST_PARTS];
    int faces, count;
} division;

static size_t align_up(size_t bytes)
{
    return (bytes + VOLT_ALIGN_BYTES - 1) / VOLT_ALIGN_BYTES * VOLT_ALIGN_BYTES;
}

/* ---- operators ---- */

/* How boxes of an operator's source follow from those of its result. */
typedef enum relation { UNDIVIDED, SAME, COARSER, FINER, CUT_OUT } relation;

/* Windows that lie next to each other and cover everything. */
static bool tiles(const volt_conv *c)
{
    for (int a = 0; a < 3; a++) {
        if (c->kernel[a] != c->stride[a] || c->pad_low[a] || c->pad_high[a])
            return false;
    }
    return true;
}

static relation relation_of(const volt_op_spec *s)
{
    switch (s->kind) {
    case VOLT_OP_NORM_ACT_FWD:
    case VOLT_OP_NORM_BWD_APPLY:
    case VOLT_OP_ACT_FWD:
    case VOLT_OP_ACT_BWD:
    case VOLT_OP_ADD:
    case VOLT_OP_COPY:
    case VOLT_OP_SCALE_CHANNELS:
    case VOLT_OP_SOFTMAX_FWD:
    case VOLT_OP_SOFTMAX_BWD:
    case VOLT_OP_PRELU_FWD:
        return SAME;
    case VOLT_OP_MAX_POOL_FWD:
    case VOLT_OP_AVERAGE_POOL_FWD:
        return tiles(&s->conv) ? FINER : UNDIVIDED;
    case VOLT_OP_TCONV_FWD:
        return tiles(&s->conv) ? COARSER : UNDIVIDED;
    case VOLT_OP_UPSAMPLE_FWD:
        return s->linear ? UNDIVIDED : COARSER;
    case VOLT_OP_PACK_BOX:
        return CUT_OUT;
    default:
        return UNDIVIDED;
    }
}

/* The operand that is the result. */
static int result_of(const volt_op_spec *s)
{
    const volt_op_signature *sig = volt_op_signature_of(s->kind);
    int i = 0;

    while (sig->role[i] != VOLT_ROLE_OUT)
        i++;
    return i;
}

/* The same memory with a box of the tensor's voxels. */
static volt_tensor box_of_tensor(const volt_tensor *t, volt_box box)
{
    const int64_t extent[3] = {t->d, t->h, t->w};
    int64_t low[3], high[3];

    for (int a = 0; a < 3; a++) {
        low[a] = -box.low[a];
        high[a] = box.high[a] - extent[a];
    }
    return volt_tensor_grown(t, low, high);
}

/* The source's box of the result's box `b`. What pooling leaves out at the end belongs to the
 * last box. */
static volt_box source_box(const volt_op_spec *s, relation r, volt_box b)
{
    const volt_tensor *source = &s->tensor[0], *result = &s->tensor[result_of(s)];
    const int64_t extent[3] = {source->d, source->h, source->w};
    const int64_t end[3] = {result->d, result->h, result->w};

    for (int a = 0; a < 3; a++) {
        const int64_t stride = s->conv.stride[a];

        if (r == COARSER) {
            b.low[a] /= stride;
            b.high[a] /= stride;
        } else if (r == FINER) {
            b.low[a] *= stride;
            b.high[a] = b.high[a] == end[a] ? extent[a] : b.high[a] * stride;
        }
    }
    return b;
}

/* The step for a box of its result alone, without an operator. */
static volt_step step_of(const volt_step *whole, volt_box box, volt_step_part part)
{
    const volt_op_signature *sig = volt_op_signature_of(whole->spec.kind);
    const relation r = relation_of(&whole->spec);
    volt_step s = *whole;

    s.op = NULL;
    s.part = part;
    if (r == CUT_OUT)
        s.spec.box =
            (volt_box){{s.spec.box.low[0] + box.low[0], s.spec.box.low[1] + box.low[1],
                        s.spec.box.low[2] + box.low[2]},
                       {s.spec.box.low[0] + box.high[0], s.spec.box.low[1] + box.high[1],
                        s.spec.box.low[2] + box.high[2]}};
    for (int i = 0; i < s.operands; i++) {
        volt_tensor *t = &s.spec.tensor[i];

        if (t->n && sig->role[i] == VOLT_ROLE_OUT)
            *t = box_of_tensor(t, box);
        else if (t->n && sig->role[i] == VOLT_ROLE_IN && r != CUT_OUT)
            *t = box_of_tensor(t, source_box(&whole->spec, r, box));
        s.operand[i].tensor = *t;
    }
    return s;
}

/* ---- boxes ---- */

static bool meet(volt_box a, volt_box b)
{
    return !volt_box_is_empty(volt_box_intersect(a, b));
}

/* Takes `off` away from the box, along the axis where that costs the fewest voxels. */
static volt_box without(volt_box box, volt_box off)
{
    volt_box best = {{0}, {0}};

    for (int i = 0; i < 6; i++) {
        volt_box b = box;

        if (i % 2)
            b.low[i / 2] = off.high[i / 2];
        else
            b.high[i / 2] = off.low[i / 2];
        if (!volt_box_is_empty(b) &&
            (volt_box_is_empty(best) || volt_box_voxels(b) > volt_box_voxels(best)))
            best = b;
    }
    return best;
}

/* A box of the result that no other rank needs, cut where the source's voxels are; empty: other
 * ranks need everything, or nearly. */
static volt_box inside_of(const volt_exchange *x, const volt_op_spec *s)
{
    const volt_tensor *t = &s->tensor[result_of(s)];
    const int64_t back[3] = {-x->from_low[0], -x->from_low[1], -x->from_low[2]};
    volt_box inside = volt_box_of_shape((int64_t[]){t->d, t->h, t->w});

    for (int i = 0; i < x->plan->sends; i++) {
        const volt_box sent = volt_box_shift(x->plan->send[i].box, back);
        if (!volt_box_is_empty(inside) && meet(inside, sent))
            inside = without(inside, sent);
    }
    for (int a = 0; a < 3 && relation_of(s) == COARSER; a++) {
        const int64_t stride = s->conv.stride[a];
        inside.low[a] = (inside.low[a] + stride - 1) / stride * stride;
        inside.high[a] = inside.high[a] / stride * stride;
    }
    return inside;
}

/* Everything around the inside, in up to six boxes. */
static void add_faces(division *d, volt_box all, volt_box inside)
{
    for (int a = 0; a < 3; a++) {
        volt_box front = all, back = all;

        front.high[a] = all.low[a] = inside.low[a];
        back.low[a] = all.high[a] = inside.high[a];
        if (!volt_box_is_empty(front))
            d->box[d->count++] = front;
        if (!volt_box_is_empty(back))
            d->box[d->count++] = back;
    }
    d->faces = d->count;
}

/* The inside; where messages move only when they are polled, in halves, so that they are. */
static void add_inside(division *d, volt_box inside, bool halves, int64_t multiple)
{
    const int64_t middle = (inside.low[0] + inside.high[0]) / 2 / multiple * multiple;
    volt_box first = inside;

    if (halves && middle > inside.low[0] && middle < inside.high[0]) {
        first.high[0] = inside.low[0] = middle;
        d->box[d->count++] = first;
    }
    d->box[d->count++] = inside;
}

/* ---- steps ---- */

static bool same_box(const volt_tensor *a, const volt_tensor *b)
{
    return a->d == b->d && a->h == b->h && a->w == b->w &&
           !memcmp(a->margin_low, b->margin_low, sizeof a->margin_low) &&
           !memcmp(a->margin_high, b->margin_high, sizeof a->margin_high);
}

/* Whether step i writes what step i + 1 sends, and step i + 2 waits for at once. */
static bool may_overlap(const volt_program *p, int i)
{
    const volt_step *s = &p->steps[i];
    const volt_operand *result, *sent;

    if (i + 2 >= p->step_count || s[0].kind != VOLT_STEP_OPERATOR ||
        s[1].kind != VOLT_STEP_MARGINS || s[2].kind != VOLT_STEP_MARGINS_END ||
        s[1].exchange != s[2].exchange || s[0].when != s[1].when ||
        relation_of(&s->spec) == UNDIVIDED)
        return false;
    result = &s[0].operand[result_of(&s->spec)];
    sent = &s[1].operand[0];
    return result->kind == VOLT_OPERAND_BUFFER && result->index == sent->index &&
           same_box(&result->tensor, &sent->tensor);
}

/* Bytes that live while the messages of step i + 1 travel, and step i runs. */
static size_t live_with_messages(const volt_program *p, int i)
{
    const volt_exchange *x = &p->exchanges[p->steps[i + 1].exchange];
    size_t live = 0;

    for (int j = 0; j < p->buffer_count; j++) {
        const volt_buffer *b = &p->buffers[j];
        if (b->first >= 0 &&
            ((b->first <= i && b->last >= i) || j == x->send || j == x->receive))
            live += align_up(b->bytes);
    }
    return live;
}

/* Weights are packed once for all parts. */
static bool takes_weights_of(const volt_program *p, const volt_step *part,
                             const volt_step *whole)
{
    for (int i = 0; i < whole->operands; i++) {
        if (whole->operand[i].kind == VOLT_OPERAND_WEIGHTS &&
            !p->device->op_same_form(whole->op, part->op))
            return false;
    }
    return true;
}

/* Creates the steps of a division; false: the device does not have them all. */
static bool create_parts(const volt_program *p, const volt_step *whole, const division *d,
                         volt_step *parts)
{
    const volt_device *dev = p->device;
    bool all = true;
    int count = 0;

    for (; all && count < d->count; count++) {
        volt_step *s = &parts[count];

        *s = step_of(whole, d->box[count], count < d->faces ? VOLT_FACES : VOLT_INSIDE);
        all = dev->op_create(dev, &s->op, &s->spec) == VOLT_OK && takes_weights_of(p, s, whole);
        if (all)
            dev->op_info(s->op, &s->info);
    }
    for (int i = 0; !all && i < count; i++)
        dev->op_free(parts[i].op);
    return all;
}

/* Step i and the start of the exchange behind it, in the new order, at `out`; returns their
 * number, or 0: they stay as they are. */
static int divide(volt_program *p, int i, volt_step *out)
{
    const volt_step whole = p->steps[i], start = p->steps[i + 1];
    const volt_exchange *x = &p->exchanges[start.exchange];
    const volt_tensor *t = &whole.spec.tensor[result_of(&whole.spec)];
    const volt_box all = volt_box_of_shape((int64_t[]){t->d, t->h, t->w});
    const volt_box inside = inside_of(x, &whole.spec);
    const bool coarser = relation_of(&whole.spec) == COARSER;
    volt_step parts[MOST_PARTS];
    division d = {.count = 0};

    if (volt_box_is_empty(inside) || x->plan->sends + x->plan->receives == 0)
        return 0;
    add_faces(&d, all, inside);
    add_inside(&d, inside, p->device->host_memory, coarser ? whole.spec.conv.stride[0] : 1);
    if (!create_parts(p, &whole, &d, parts))
        return 0;
    p->device->op_free(whole.op);
    memcpy(out, parts, (size_t)d.faces * sizeof *out);
    out[d.faces] = start;
    memcpy(out + d.faces + 1, parts + d.faces, (size_t)(d.count - d.faces) * sizeof *out);
    return d.count + 1;
}

volt_status volt_program_overlap(volt_program *p)
{
    const size_t most = volt_program_least(p);
    volt_step *steps = NULL;
    int places = 0, count = 0, loss_step = p->loss_step;
    volt_status st;

    for (int i = 0; i < p->step_count; i++)
        places += may_overlap(p, i);
    VOLT_TRY(st, done,
             volt_alloc(&steps, (size_t)(p->step_count + MOST_PARTS * places) * sizeof *steps,
                        "a program"));
    for (int i = 0; i < p->step_count; i++) {
        const bool may = may_overlap(p, i) && live_with_messages(p, i) <= most;
        const int parts = may ? divide(p, i, steps + count) : 0;

        if (i == p->loss_step)
            loss_step = count;
        if (parts == 0)
            steps[count++] = p->steps[i];
        count += parts;
        i += parts > 0; /* with the start of the exchange */
    }
    volt_free(p->steps);
    p->steps = steps;
    p->step_capacity = p->step_count + MOST_PARTS * places;
    p->step_count = count;
    p->loss_step = loss_step;
done:
    return st;
}
