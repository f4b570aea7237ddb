/* Stages: ranks that compute one range of the network's units each.
 *
 * A stage is an ordinary program of its own units. What it reads of earlier stages comes from
 * units of their own kind (VOLT_NODE_RECEIVE), each in front of the first that reads it; a
 * value that later stages read is sent to each of them when it has been computed, past the
 * stages in between. Backward its gradients come from there, each in memory of its own, and are
 * queued as those of other readers are. Outputs and loss are with the last stage.
 *
 * Sends are not waited for in their pass, so that a stage can go on with the next batch in
 * another arena: messages stay where they are until the next pass in the same arena, which
 * waits for them first. With all forward passes, then all losses, then all backward passes
 * stages work at the same time.
 *
 * Every rank has all parameters; gradients of other stages are 0 here, and the sum over all
 * ranks is right.
 */
#include "nets3d/program/ranks.h"

#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"

/* ---- where to cut ---- */

/* What a byte that crosses costs, in operations of a core; and an element of a unit that is a
 * pass over memory. */
#define OPERATIONS_OF_BYTE    10.0
#define OPERATIONS_OF_ELEMENT 10.0
/* Of cuts that are so much less balanced than the best the one that sends least. */
#define SLACK 1.1

/* All arrays but `work` have an entry for each first unit and each last one + 1. */
typedef struct cutting {
    const volt_program *p;
    int units, stages;
    double *work;  /* operations of all units before one */
    double *bytes; /* that a stage of these units receives */
    double *best;  /* (stages + 1, units + 1): of the first units in so many stages */
    int *from;     /* the same: where the last of them begins */
    int *seen;     /* per value: the first unit for which it was counted, + 1 */
} cutting;

static double elements_of(const volt_program *p, volt_value v)
{
    const int64_t *e = p->values[v].extent;

    return (double)(e[0] * e[1]) * (double)(e[2] * e[3] * e[4]);
}

static double operations_of(const volt_program *p, const volt_unit *u)
{
    const volt_node *node = u->node;
    const int64_t *k = node->conv.kernel;
    const double window = (double)(k[0] * k[1] * k[2]);

    if (node->kind == VOLT_NODE_CONV)
        return 2 * window * (double)node->in_channels * elements_of(p, u->out);
    if (node->kind == VOLT_NODE_TCONV)
        return 2 * window * (double)node->out_channels * elements_of(p, u->in[0]);
    return OPERATIONS_OF_ELEMENT * elements_of(p, u->out);
}

/* Bytes of v, if a stage that begins with unit `first` receives it and did not before. */
static double counted(cutting *c, volt_value v, int first)
{
    if (c->p->values[v].unit >= first || c->seen[v] == first + 1)
        return 0;
    c->seen[v] = first + 1;
    return elements_of(c->p, v) * (c->p->dtype == VOLT_F32 ? 4 : 2);
}

static double *received(const cutting *c, int first, int end)
{
    return &c->bytes[(size_t)first * (size_t)(c->units + 1) + (size_t)end];
}

static void weigh(cutting *c)
{
    const volt_program *p = c->p;

    c->work[0] = 0;
    for (int i = 0; i < c->units; i++)
        c->work[i + 1] = c->work[i] + operations_of(p, &p->units[i]);
    for (int first = 0; first < c->units; first++) {
        double bytes = 0;
        for (int i = first; i < c->units; i++) {
            for (int j = 0; j < p->units[i].inputs; j++)
                bytes += counted(c, p->units[i].in[j], first);
            *received(c, first, i + 1) = bytes;
        }
        for (int i = 0; i < volt_graph_output_count(p->graph); i++)
            *received(c, first, c->units) +=
                counted(c, p->values[volt_graph_output_value(p->graph, i)].alias, first);
    }
}

/* What the stage takes. */
static double cost_of(const cutting *c, int first, int end)
{
    return c->work[end] - c->work[first] + OPERATIONS_OF_BYTE * *received(c, first, end);
}

/* The least that the slowest stage can take; or with `most`, which no stage may exceed, the
 * fewest bytes that cross. */
static double search(cutting *c, double most)
{
    const int width = c->units + 1;

    for (int s = 0; s <= c->stages; s++)
        for (int end = 0; end < width; end++)
            c->best[s * width + end] = s || end ? HUGE_VAL : 0;
    for (int s = 1; s <= c->stages; s++)
        for (int end = s; end < width; end++)
            for (int first = s - 1; first < end; first++) {
                const double before = c->best[(s - 1) * width + first];
                const double cost = cost_of(c, first, end);
                const double all = most > 0        ? before + *received(c, first, end)
                                   : cost > before ? cost
                                                   : before;

                if ((most > 0 && cost > most) || !(all < c->best[s * width + end]))
                    continue;
                c->best[s * width + end] = all;
                c->from[s * width + end] = first;
            }
    return c->best[c->stages * width + c->units];
}

/* Which stage makes each value: p->stage_values. */
static volt_status choose_cuts(volt_program *p)
{
    const size_t width = (size_t)p->unit_count + 1;
    const size_t rows = (size_t)p->options.mesh->size[VOLT_MESH_STAGE] + 1;
    cutting c = {.p = p, .units = p->unit_count, .stages = (int)rows - 1};
    int end = p->unit_count;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&c.work, width * sizeof *c.work, "stages"));
    VOLT_TRY(st, done, volt_alloc_zero(&c.bytes, width * width, sizeof *c.bytes, "stages"));
    VOLT_TRY(st, done, volt_alloc(&c.best, rows * width * sizeof *c.best, "stages"));
    VOLT_TRY(st, done, volt_alloc_zero(&c.from, rows * width, sizeof *c.from, "stages"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&c.seen, (size_t)p->value_count, sizeof *c.seen, "stages"));
    weigh(&c);
    search(&c, SLACK * search(&c, 0));
    for (int s = c.stages; s > 0; s--) {
        const int first = c.from[(size_t)s * width + (size_t)end];
        for (int i = first; i < end; i++)
            p->stage_values[p->units[i].out].stage = s - 1;
        end = first;
    }
done:
    volt_free(c.seen);
    volt_free(c.from);
    volt_free(c.best);
    volt_free(c.bytes);
    volt_free(c.work);
    return st;
}

/* ---- the units of a stage ---- */

#define MOST_STAGES 64 /* bits of volt_stage_value.readers */

static volt_status check(const volt_program *p)
{
    const int stages = p->options.mesh->size[VOLT_MESH_STAGE];

    if (stages > MOST_STAGES || stages > p->unit_count)
        return volt_fail(VOLT_EINVAL, "%d stages; this network can have up to %d", stages,
                         p->unit_count < MOST_STAGES ? p->unit_count : MOST_STAGES);
    return VOLT_OK;
}

static void mark_readers(volt_program *p)
{
    const int last = p->options.mesh->size[VOLT_MESH_STAGE] - 1;
    volt_stage_value *values = p->stage_values;

    for (int i = 0; i < p->unit_count; i++) {
        const volt_unit *u = &p->units[i];
        const int stage = values[u->out].stage;

        for (int j = 0; j < u->inputs; j++) {
            if (values[u->in[j]].stage != stage)
                values[u->in[j]].readers |= (uint64_t)1 << stage;
        }
    }
    for (int i = 0; i < volt_graph_output_count(p->graph); i++) {
        const volt_value v = p->values[volt_graph_output_value(p->graph, i)].alias;
        if (values[v].stage != last)
            values[v].readers |= (uint64_t)1 << last;
    }
}

static void add_unit(volt_program *p, const volt_unit *u)
{
    p->units[p->unit_count] = *u;
    p->values[u->out].unit = p->unit_count++;
}

/* Makes v, of another stage, a value of this one. */
static void add_receive(volt_program *p, volt_value v)
{
    const int64_t channels = p->values[v].extent[1];
    volt_node *node = &p->regrids[p->regrid_count];
    const volt_unit unit = {.node = node, .out = v, .slope = 1};

    if (p->stage_values[v].stage == p->stage || p->values[v].unit >= 0)
        return;
    p->regrid_count++;
    *node = (volt_node){.kind = VOLT_NODE_RECEIVE,
                        .out = v,
                        .in_channels = channels,
                        .out_channels = channels,
                        .weight = -1,
                        .bias = -1};
    add_unit(p, &unit);
}

static void take_units(volt_program *p)
{
    const bool last = volt_program_has_outputs(p);

    p->unit_count = 0;
    for (int i = 0; i < p->value_count; i++) {
        p->values[i].unit = -1;
        p->values[i].consumers = 0;
        p->values[i].outputs = last ? p->values[i].outputs : 0;
    }
    for (int i = 0; i < p->network_count; i++) {
        const volt_unit *u = &p->network[i];

        if (p->stage_values[u->out].stage != p->stage)
            continue;
        for (int j = 0; j < u->inputs; j++) {
            add_receive(p, u->in[j]);
            p->values[u->in[j]].consumers++;
        }
        add_unit(p, u);
    }
    for (int i = 0; last && i < volt_graph_output_count(p->graph); i++)
        add_receive(p, p->values[volt_graph_output_value(p->graph, i)].alias);
}

volt_status volt_program_take_stage(volt_program *p)
{
    const volt_mesh *mesh = p->options.mesh;
    const size_t units = (size_t)p->unit_count;
    volt_status st;

    if (!mesh || mesh->size[VOLT_MESH_STAGE] == 1)
        return VOLT_OK;
    p->stages = mesh->stage;
    p->stage = mesh->at[VOLT_MESH_STAGE];
    VOLT_TRY(st, done, check(p));
    VOLT_TRY(st, done,
             volt_alloc_zero(&p->stage_values, (size_t)p->value_count, sizeof *p->stage_values,
                             "stages"));
    VOLT_TRY(
        st, done,
        volt_alloc_zero(&p->regrids, (size_t)p->value_count, sizeof *p->regrids, "stages"));
    VOLT_TRY(st, done, volt_alloc(&p->network, units * sizeof *p->network, "stages"));
    memcpy(p->network, p->units, units * sizeof *p->network);
    p->network_count = p->unit_count;
    VOLT_TRY(st, done, choose_cuts(p));
    mark_readers(p);
    take_units(p);
done:
    return st;
}

const volt_unit *volt_program_maker(const volt_program *p, volt_value v)
{
    for (int i = 0; i < p->network_count; i++) {
        if (p->network[i].out == v)
            return &p->network[i];
    }
    return NULL;
}

/* ---- steps ---- */

/* Messages of the whole value at `place` to or from the stages of `peers`. */
static volt_status add_link(volt_program *p, volt_step_kind kind, int unit,
                            const volt_place *place, volt_value v, uint64_t peers)
{
    const bool sends = kind == VOLT_STEP_SEND;
    volt_exchange x = {.value = v, .from = *place, .to = *place, .link = true};
    volt_transfer *plan = NULL;
    volt_move *moves = NULL;
    int count = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&plan, 1, sizeof *plan, "stages"));
    VOLT_TRY(st, done, volt_alloc_zero(&moves, MOST_STAGES, sizeof *moves, "stages"));
    for (int s = 0; s < MOST_STAGES; s++) {
        if (peers >> s & 1)
            moves[count++] =
                (volt_move){.peer = s, .box = volt_box_of_shape(p->values[v].global)};
    }
    *(sends ? &plan->send : &plan->receive) = moves;
    *(sends ? &plan->sends : &plan->receives) = count;
    x.plan = plan;
    x.backward = p->slot >= p->unit_count;
    plan = NULL;
    moves = NULL;
    VOLT_TRY(st, done, volt_program_push_exchange(p, x));
    st = volt_program_add_exchange_step(p, kind, unit, p->exchange_count - 1);
done:
    volt_free(moves);
    volt_free(plan);
    return st;
}

volt_status volt_program_send_value(volt_program *p, int unit)
{
    const volt_value v = p->units[unit].out;
    const uint64_t readers =
        p->stages && p->stage_values[v].stage == p->stage ? p->stage_values[v].readers : 0;

    return readers ? add_link(p, VOLT_STEP_SEND, unit, &p->values[v].place, v, readers)
                   : VOLT_OK;
}

volt_status volt_program_receive_value(volt_program *p, int unit)
{
    const volt_value v = p->units[unit].out;

    return add_link(p, VOLT_STEP_RECEIVE, unit, &p->values[v].place, v,
                    (uint64_t)1 << p->stage_values[v].stage);
}

volt_status volt_program_send_gradient(volt_program *p, int unit, const volt_place *place)
{
    const volt_value v = p->units[unit].out;

    return add_link(p, VOLT_STEP_SEND, unit, place, v, (uint64_t)1 << p->stage_values[v].stage);
}

volt_status volt_program_receive_gradient(volt_program *p, int unit, int stage,
                                          const volt_place *place)
{
    return add_link(p, VOLT_STEP_RECEIVE, unit, place, p->units[unit].out,
                    (uint64_t)1 << stage);
}

/* ---- running ---- */

volt_status volt_program_open_links(volt_program *p)
{
    if (!p->stages)
        return VOLT_OK;
    return volt_alloc_zero(&p->links, (size_t)(p->options.arenas * (p->exchange_count + 1)),
                           sizeof *p->links, "stages");
}

volt_status volt_program_end_sends(volt_program *p)
{
    volt_status st = VOLT_OK;

    for (int i = 0; p->links && st == VOLT_OK && i < p->exchange_count; i++) {
        volt_ticket **ticket = volt_program_link(p, p->arena_number, i);

        if (!*ticket)
            continue;
        p->on_their_way--;
        st = volt_comm_wait(p->stages, ticket);
    }
    return st;
}
