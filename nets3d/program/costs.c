#include "nets3d/program/costs.h"

#include <string.h>

#include "base/core/alloc.h"
#include "nets3d/program/ranks.h"

/* One walk through the steps. */
typedef struct walk {
    const volt_program *p;
    const volt_links *links;
    volt_program_costs *out;
    volt_timeline time;
    double *halo, *bucket; /* when these will have arrived */
} walk;

/* A rank of the space, in the world. */
static int world_rank(const volt_mesh *m, int place)
{
    const int places = m->size[VOLT_MESH_Z] * m->size[VOLT_MESH_Y] * m->size[VOLT_MESH_X];

    return (m->at[VOLT_MESH_DATA] * places + place) * m->size[VOLT_MESH_STAGE] +
           m->at[VOLT_MESH_STAGE];
}

static void start_halo(walk *w, const volt_step *s)
{
    const volt_mesh *mesh = w->p->options.mesh;
    const volt_exchange *x = &w->p->exchanges[s->exchange];
    const int own = world_rank(mesh, volt_comm_rank(w->p->space));
    double latency = 0, busy = 0;

    for (int i = 0; i < x->plan->sends; i++) {
        const volt_traffic one = {1, (int64_t)x->message[i].bytes};
        const volt_link *link =
            volt_links_between(w->links, own, world_rank(mesh, x->message[i].peer));

        latency = link->latency_s > latency ? link->latency_s : latency;
        busy += (double)one.bytes / link->bytes_per_s;
        w->out->halos = volt_traffic_add(w->out->halos, one);
    }
    w->halo[s->exchange] = volt_timeline_start(&w->time, busy, latency, false);
}

/* A sum of doubles, for which everybody waits. */
static void sum(walk *w, int64_t count, const volt_comm *comm, int apart)
{
    const int ranks = volt_comm_size(comm);
    const volt_traffic t = volt_traffic_sum_f64(count, ranks, volt_comm_rank(comm));
    const volt_link *link = volt_links_slowest(w->links, ranks, apart);
    const double latency = (double)volt_rounds_sum_f64(ranks) * link->latency_s;

    w->out->sums = volt_traffic_add(w->out->sums, t);
    volt_timeline_wait(
        &w->time,
        volt_timeline_start(&w->time, (double)t.bytes / link->bytes_per_s, latency, false));
}

static void start_bucket(walk *w, int bucket)
{
    const volt_comm *world = w->p->world;
    const int ranks = volt_comm_size(world);
    const volt_traffic t =
        volt_traffic_sum_f32(w->p->buckets[bucket].count, ranks, volt_comm_rank(world));

    const volt_link *link = volt_links_slowest(w->links, ranks, 1);
    const double latency = (double)volt_rounds_sum_f32(t, ranks) * link->latency_s;

    w->out->gradients = volt_traffic_add(w->out->gradients, t);
    w->bucket[bucket] =
        volt_timeline_start(&w->time, (double)t.bytes / link->bytes_per_s, latency, true);
}

/* The sum of averaged gradients: one bucket after the other, and nothing hides it. */
static void sum_average(walk *w)
{
    const double before = w->time.waited;

    for (int i = 0; w->p->world && i < w->p->bucket_count; i++) {
        start_bucket(w, i);
        volt_timeline_wait(&w->time, w->bucket[i]);
    }
    w->out->average_s = w->time.waited - before;
}

/* Distance in the world of neighbours in a communicator of the mesh. */
static int apart_in(const volt_mesh *m, const volt_comm *comm)
{
    const int *size = m->size;

    if (comm == m->world)
        return 1;
    return size[VOLT_MESH_STAGE] *
           (comm == m->space ? 1 : size[VOLT_MESH_Z] * size[VOLT_MESH_Y] * size[VOLT_MESH_X]);
}

static int64_t loss_sums(const volt_program *p, bool batch_dice)
{
    const volt_loss_call call = {.n = p->options.n,
                                 .c = p->outputs[0].tensor.c,
                                 .samples = p->samples,
                                 .levels = volt_graph_output_count(p->graph),
                                 .batch_dice = batch_dice};

    return volt_loss_sums_count(&call);
}

static void take_step(walk *w, const volt_step *s, bool batch_dice)
{
    const volt_program *p = w->p;
    const volt_mesh *mesh = p->options.mesh;

    switch (s->kind) {
    case VOLT_STEP_MARGINS:
        if (p->space)
            start_halo(w, s);
        break;
    case VOLT_STEP_MARGINS_END:
        volt_timeline_wait(&w->time, w->halo[s->exchange]);
        break;
    case VOLT_STEP_SUMS:
        if (p->world)
            sum(w, volt_tensor_elements(&s->operand[0].tensor), volt_program_sums_comm(p, s),
                apart_in(mesh, volt_program_sums_comm(p, s)));
        break;
    case VOLT_STEP_LOSS:
        if (p->world)
            sum(w, loss_sums(p, batch_dice), p->world, 1);
        break;
    case VOLT_STEP_BUCKET:
        start_bucket(w, s->exchange);
        break;
    case VOLT_STEP_BUCKET_END:
        volt_timeline_wait(&w->time, w->bucket[s->exchange]);
        break;
    case VOLT_STEP_OPERATOR:
    case VOLT_STEP_INPUT:
    case VOLT_STEP_DROPOUT:
    case VOLT_STEP_PACK:
    case VOLT_STEP_SEND: /* meshes with stages are not weighed */
    case VOLT_STEP_RECEIVE:
        break;
    }
}

/* What moving a byte takes, in operations: that of operators that hardly compute. */
#define OPERATIONS_OF_BYTE 10.0

/* How much of the time for all is an operator's. */
static double weight_of(const volt_step *s)
{
    return s->kind == VOLT_STEP_OPERATOR ? s->info.flops + OPERATIONS_OF_BYTE * s->info.bytes
                                         : 0;
}

volt_status volt_program_costs_of(volt_program_costs *out, const volt_program *p,
                                  bool batch_dice, const volt_links *links, double rate)
{
    walk w = {.p = p, .links = links, .out = out};
    double weight = 0;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&w.halo, (size_t)p->exchange_count + (size_t)p->bucket_count + 1,
                             sizeof *w.halo, "costs of a program"));
    w.bucket = w.halo + p->exchange_count;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < p->step_count; i++) {
        out->flops += p->steps[i].kind == VOLT_STEP_OPERATOR ? p->steps[i].info.flops : 0;
        weight += weight_of(&p->steps[i]);
    }
    out->compute_s = out->flops / rate;
    for (int i = 0; i < p->step_count; i++) {
        const volt_step *s = &p->steps[i];

        volt_timeline_compute(&w.time, weight > 0 ? out->compute_s * weight_of(s) / weight : 0);
        take_step(&w, s, batch_dice);
    }
    out->wait_s = w.time.waited;
    if (p->options.accumulate)
        sum_average(&w);
done:
    volt_free(w.halo);
    return st;
}
