/* One rank of a training that is measured. */
#include "apps/bench/scaling.h"

#include <stdlib.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/core/report.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/system/file.h"
#include "nets3d/graph/init.h"
#include "nets3d/mesh_plan.h"
#include "nets3d/program/costs.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"
#include "parallel/mesh/rehearse.h"

/* What a rank holds; owned. */
typedef struct worker {
    const scaling_task *task;
    volt_comm *comm;
    volt_mesh *mesh;
    volt_program *program;
    volt_optimizer *optimizer;
    volt_loss_options loss;
    double lr;
    float *input;
    int16_t *labels;
    size_t data_bytes; /* of both */
    uint32_t step;
    double *times; /* (3, timed steps): steps, updates, waits */
    volt_link link;
    scaling_rank result;
} worker;

static void clear(worker *w)
{
    volt_free(w->times);
    volt_free(w->labels);
    volt_free(w->input);
    volt_optimizer_free(w->optimizer);
    volt_program_free(w->program);
}

/* Samples of the data group at `at`; the first ones have one more where they differ. */
static int64_t samples_of(const scaling_case *row, int at)
{
    const int64_t groups = row->size[VOLT_MESH_DATA];

    return row->samples / groups + (at < row->samples % groups);
}

static volt_status compile(volt_program **out, const scaling_task *task, const volt_mesh *mesh)
{
    volt_program_options o = volt_program_defaults();

    o.n = samples_of(task->row, mesh->at[VOLT_MESH_DATA]);
    o.mode = VOLT_TRAIN;
    o.precision = task->precision;
    o.threads = task->threads;
    o.mesh = mesh;
    memcpy(o.extent, task->row->extent, sizeof o.extent);
    return volt_program_create(out, task->graph, task->device, &o);
}

static int64_t announced(const scaling_task *task, const volt_program *p)
{
    const volt_optimizer_settings sgd = volt_optimizer_nnunet();
    volt_program_memory m;

    volt_program_memory_of(p, &m);
    return (int64_t)(m.total + m.messages +
                     volt_optimizer_bytes(sgd.kind, volt_graph_learned_elements(task->graph)));
}

static int64_t timed_steps(const scaling_task *task)
{
    return task->repeat ? task->repeat : 1;
}

/* Voxels of this rank, and bytes of input and labels. */
static int64_t voxels_of(const volt_program *p, const scaling_task *task, const volt_mesh *m,
                         size_t *bytes)
{
    const int64_t voxels =
        volt_box_voxels(volt_program_box(p)) * samples_of(task->row, m->at[VOLT_MESH_DATA]);

    *bytes = (size_t)voxels *
             ((size_t)volt_graph_channels(task->graph, 0) * sizeof(float) + sizeof(int16_t));
    return voxels;
}

/* Normally distributed input and random labels, as `volt bench net` has. */
static volt_status make_input(worker *w)
{
    const int64_t voxels = voxels_of(w->program, w->task, w->mesh, &w->data_bytes);
    const int64_t values = voxels * volt_graph_channels(w->task->graph, 0);
    volt_rng rng = volt_rng_open(1, 0, (uint32_t)volt_comm_rank(w->comm), VOLT_RNG_TEST);
    int64_t shape[5];
    volt_status st;

    VOLT_TRY(st, done, volt_program_output_shape(w->program, 0, shape));
    VOLT_TRY(st, done, volt_alloc(&w->input, (size_t)values * sizeof *w->input, "input"));
    VOLT_TRY(st, done, volt_alloc(&w->labels, (size_t)voxels * sizeof *w->labels, "labels"));
    for (int64_t i = 0; i < values; i++)
        w->input[i] = (float)volt_rng_normal(&rng);
    for (int64_t i = 0; i < voxels; i++)
        w->labels[i] = (int16_t)volt_rng_below(&rng, shape[1]);
done:
    return st;
}

static volt_status build(worker *w)
{
    const scaling_task *task = w->task;
    const volt_optimizer_settings sgd = volt_optimizer_nnunet();
    float *flat = NULL;
    volt_status st;

    VOLT_TRY(st, done, compile(&w->program, task, w->mesh));
    VOLT_TRY(st, done,
             volt_alloc(&flat, (size_t)volt_graph_param_elements(task->graph) * sizeof *flat,
                        "parameters"));
    volt_init_parameters(flat, task->graph, 1);
    VOLT_TRY(st, done, volt_program_load(w->program, flat));
    volt_free(flat);
    flat = NULL;
    w->lr = sgd.lr;
    w->loss = volt_loss_nnunet(volt_graph_output_count(task->graph), true);
    VOLT_TRY(st, done,
             volt_optimizer_create(&w->optimizer, volt_program_parameters(w->program), &sgd));
    VOLT_TRY(st, done, make_input(w));
    st = volt_alloc(&w->times, 3 * (size_t)timed_steps(task) * sizeof *w->times, "timings");
done:
    volt_free(flat);
    return st;
}

static volt_status train_once(worker *w, double *step_s, double *update_s)
{
    const double start = volt_seconds();
    volt_loss_result result = {0};
    double middle;
    volt_status st;

    VOLT_TRY(st, done, volt_program_forward(w->program, w->input, w->step++));
    VOLT_TRY(st, done, volt_program_loss(w->program, &w->loss, w->labels, true));
    VOLT_TRY(st, done, volt_program_backward(w->program));
    VOLT_TRY(st, done, volt_program_loss_result(w->program, &result)); /* waits */
    middle = volt_seconds();
    VOLT_TRY(st, done, volt_optimizer_step(w->optimizer, w->lr));
    VOLT_TRY(st, done, volt_optimizer_norm(w->optimizer, NULL));
    *update_s = volt_seconds() - middle;
    *step_s = volt_seconds() - start;
done:
    return st;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts the values. */
static double median(double *value, int64_t count)
{
    qsort(value, (size_t)count, sizeof *value, compare_doubles);
    return (value[(count - 1) / 2] + value[count / 2]) / 2;
}

/* ---- the link ---- */

enum { PINGS = 31, BLOCK = 1 << 20 };

/* Seconds in which two ranks exchange `bytes` each; all pairs at the same time. */
static volt_status time_exchange(double *out, const worker *w, char *room, size_t bytes)
{
    const int peer = volt_comm_rank(w->comm) ^ 1;
    const volt_message send = {peer, room, bytes}, receive = {peer, room + BLOCK, bytes};
    double seconds[PINGS] = {0};
    volt_status st = VOLT_OK;

    for (int i = 0; i < PINGS && peer < volt_comm_size(w->comm); i++) {
        volt_ticket *ticket = NULL;
        const double start = volt_seconds();

        VOLT_TRY(st, done, volt_comm_start(&ticket, w->comm, &send, 1, &receive, 1, 0));
        VOLT_TRY(st, done, volt_comm_wait(w->comm, &ticket));
        seconds[i] = volt_seconds() - start;
    }
    *out = median(seconds, PINGS);
done:
    return st;
}

/* Latency and rate between ranks 0 and 1, known to all. */
static volt_status measure_link(worker *w)
{
    char *room = NULL;
    double small = 0, large = 0;
    volt_status st = VOLT_OK;

    if (volt_comm_size(w->comm) == 1)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_alloc_zero(&room, 2, BLOCK, "messages"));
    VOLT_TRY(st, done, time_exchange(&small, w, room, 8));
    VOLT_TRY(st, done, time_exchange(&large, w, room, BLOCK));
    w->link.latency_s = small;
    w->link.bytes_per_s = BLOCK / (large > 1.01 * small ? large - small : 0.01 * small + 1e-9);
    st = volt_comm_broadcast(w->comm, &w->link, sizeof w->link, 0);
done:
    volt_free(room);
    return st;
}

/* ---- steps ---- */

/* Rank 0 asks whether to stop, between steps; all begin the next one together. */
static volt_status go_on(const worker *w)
{
    int32_t stop =
        volt_comm_rank(w->comm) == 0 && volt_check_cancelled(w->task->callbacks) != VOLT_OK;
    volt_status st;

    VOLT_TRY(st, done, volt_comm_broadcast(w->comm, &stop, sizeof stop, 0));
    if (stop)
        return volt_fail(VOLT_ECANCELLED, "stopped at the caller's request");
    st = volt_comm_barrier(w->comm);
done:
    return st;
}

/* Prediction for this rank, with the rate that rank 0 had or found. */
static volt_status predict(worker *w)
{
    const volt_mesh_plan_options usual = volt_mesh_plan_defaults();
    const volt_links links = {0, w->link, w->link};
    const bool alone = volt_comm_size(w->comm) == 1;
    scaling_rank *r = &w->result;
    double rate = w->task->rate;
    volt_program_costs c;
    volt_traffic sent;
    volt_status st;

    VOLT_TRY(st, done,
             volt_program_costs_of(&c, w->program, true, alone ? &usual.links : &links, 1));
    if (rate <= 0)
        rate = c.flops / (r->step_s - r->update_s - r->waited_s);
    VOLT_TRY(st, done, volt_comm_broadcast(w->comm, &rate, sizeof rate, 0));
    VOLT_TRY(st, done,
             volt_program_costs_of(&c, w->program, true, alone ? &usual.links : &links, rate));
    sent = volt_traffic_add(c.halos, volt_traffic_add(c.sums, c.gradients));
    r->predicted_messages = sent.messages;
    r->predicted_bytes = sent.bytes;
    r->flops = c.flops;
    r->compute_s = c.compute_s;
    r->wait_s = c.wait_s;
done:
    return st;
}

static volt_status measure(worker *w)
{
    const int64_t repeat = timed_steps(w->task);
    double *steps = w->times, *updates = steps + repeat, *waits = updates + repeat;
    scaling_rank *r = &w->result;
    volt_status st;

    if (w->task->repeat) /* warms up */
        VOLT_TRY(st, done, train_once(w, &steps[0], &updates[0]));
    for (int64_t i = 0; i < repeat; i++) {
        int64_t messages, bytes;
        double waited;

        VOLT_TRY(st, done, go_on(w));
        volt_comm_counts(w->comm, &r->messages, &r->bytes);
        waited = volt_comm_waited(w->comm);
        VOLT_TRY(st, done, train_once(w, &steps[i], &updates[i]));
        waits[i] = volt_comm_waited(w->comm) - waited;
        volt_comm_counts(w->comm, &messages, &bytes);
        r->messages = messages - r->messages;
        r->bytes = bytes - r->bytes;
    }
    r->step_s = median(steps, repeat);
    r->update_s = median(updates, repeat);
    r->waited_s = median(waits, repeat);
done:
    return st;
}

/* Every rank sees all figures, so all fail alike. */
static volt_status check_messages(const scaling_rank *all, int ranks)
{
    for (int i = 0; i < ranks; i++) {
        const scaling_rank *r = &all[i];

        if (r->messages != r->predicted_messages || r->bytes != r->predicted_bytes)
            return volt_fail(VOLT_EINTERNAL,
                             "rank %d sent %lld messages with %lld bytes in a step, predicted "
                             "were %lld with %lld",
                             i, (long long)r->messages, (long long)r->bytes,
                             (long long)r->predicted_messages, (long long)r->predicted_bytes);
    }
    return VOLT_OK;
}

static volt_status gather(worker *w, scaling_task *task)
{
    const int ranks = volt_comm_size(w->comm);
    scaling_rank *all = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&all, (size_t)ranks, sizeof *all, "figures of ranks"));
    VOLT_TRY(st, done, volt_comm_all_gather(w->comm, all, &w->result, sizeof w->result));
    VOLT_TRY(st, done, check_messages(all, ranks));
    if (volt_comm_rank(w->comm) == 0) {
        memcpy(task->rank, all, (size_t)ranks * sizeof *all);
        task->link = w->link;
    }
done:
    volt_free(all);
    return st;
}

volt_status scaling_train(volt_comm *comm, void *context)
{
    scaling_task *task = context;
    worker w = {.task = task, .comm = comm};
    volt_mem_scope memory;
    volt_status st;

    VOLT_TRY(st, done, volt_mesh_open(&w.mesh, comm, task->row->size));
    volt_mem_scope_enter(&memory);
    st = build(&w);
    if (st == VOLT_OK)
        st = measure_link(&w);
    if (st == VOLT_OK)
        st = measure(&w);
    w.result.peak_bytes = (int64_t)volt_mem_scope_peak(&memory);
    volt_mem_scope_leave(&memory);
    if (st != VOLT_OK)
        goto done;
    w.result.announced_bytes = announced(task, w.program) + (int64_t)w.data_bytes;
    w.result.samples = samples_of(task->row, w.mesh->at[VOLT_MESH_DATA]);
    volt_box_shape(w.result.part, volt_program_box(w.program));
    VOLT_TRY(st, done, predict(&w));
    st = gather(&w, task);
done:
    clear(&w);
    volt_mesh_close(w.mesh);
    return st;
}

volt_status scaling_rehearse(int64_t *bytes, const scaling_task *task)
{
    const int at[VOLT_MESH_AXES] = {0};
    volt_program *program = NULL;
    volt_mesh *mesh = NULL;
    size_t data_bytes;
    volt_status st;

    VOLT_TRY(st, done, volt_mesh_rehearse(&mesh, task->row->size, at));
    VOLT_TRY(st, done, compile(&program, task, mesh));
    (void)voxels_of(program, task, mesh, &data_bytes);
    *bytes = announced(task, program) + (int64_t)data_bytes;
done:
    volt_program_free(program);
    volt_mesh_end_rehearsal(mesh);
    return st;
}
