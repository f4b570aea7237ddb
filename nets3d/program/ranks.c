/* Meshes: which part of the computation is this rank's, and what ranks agree on.
 *
 * A volume is cut at multiples of the strides of the coarsest value that is not gathered
 * (gather.c), so that every other value has a box of its own on every rank. What can differ
 * between ranks without changing what they exchange (the kernel of an operator, copies for a
 * device without margins) may differ; the rest is decided together: after each compilation
 * ranks take over one another's restrictions, and at the end they compare what they are going
 * to exchange.
 */
#include "nets3d/program/ranks.h"

#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "parallel/comm/rehearse.h"

bool volt_mesh_is_alone(const volt_mesh *mesh)
{
    return !mesh || volt_comm_size(mesh->world) == 1;
}

/* The box with so many voxels more. */
static volt_box grown(volt_box box, const int64_t low[3], const int64_t high[3])
{
    for (int a = 0; a < 3; a++) {
        box.low[a] -= low[a];
        box.high[a] += high[a];
    }
    return box;
}

void volt_program_take_peer(volt_program *p, int part, const volt_program *of)
{
    volt_peer_value *peer = p->peers + (size_t)part * (size_t)p->value_count;

    for (int i = 0; i < p->value_count; i++) {
        const volt_program_value *v = &of->values[i];

        peer[i] = (volt_peer_value){v->box, grown(v->box, v->margin_low, v->margin_high),
                                    grown(v->box, v->gradient_low, v->gradient_high)};
    }
}

/* ---- agreements ---- */

/* FNV-1a. */
static void hash(uint64_t *h, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        *h = (*h ^ ((const unsigned char *)data)[i]) * 1099511628211u;
}

static void hash_number(uint64_t *h, int64_t number)
{
    hash(h, &number, sizeof number);
}

#define HASH_START 14695981039346656037u

static volt_status same(volt_comm *comm, const char *what, uint64_t h)
{
    return volt_comm_same(comm, what, &h, sizeof h);
}

static uint64_t hash_of_graph(const volt_program *p)
{
    uint64_t h = HASH_START;

    for (int i = 0; i < volt_graph_node_count(p->graph); i++) {
        const volt_node *node = volt_graph_node(p->graph, i);

        hash_number(&h, node->kind);
        hash_number(&h, node->out_channels);
        for (int j = 0; j < node->inputs; j++)
            hash_number(&h, node->in[j]);
        hash(&h, &node->conv, sizeof node->conv);
        hash(&h, &node->eps, sizeof node->eps);
        hash(&h, &node->momentum, sizeof node->momentum);
        hash(&h, &node->slope, sizeof node->slope);
        hash(&h, &node->p, sizeof node->p);
    }
    for (int i = 0; i < volt_graph_param_count(p->graph); i++) {
        hash(&h, volt_graph_param(p->graph, i)->name,
             strlen(volt_graph_param(p->graph, i)->name));
        hash_number(&h, !p->options.learns || p->options.learns[i]);
    }
    return h;
}

static uint64_t hash_of_options(const volt_program_options *o)
{
    uint64_t h = HASH_START;

    hash(&h, o->extent, sizeof o->extent);
    hash_number(&h, o->precision);
    hash_number(&h, o->mode);
    hash_number(&h, (int64_t)o->seed);
    hash_number(&h, o->arenas);
    hash_number(&h, o->accumulate);
    hash(&h, o->gather, sizeof o->gather);
    return h;
}

volt_status volt_program_place_batch(volt_batch_place *out, const volt_mesh *mesh, int64_t n,
                                     int64_t samples)
{
    const int replicas = volt_comm_size(mesh->data);
    int64_t *all = NULL;
    volt_status st = volt_alloc(&all, (size_t)replicas * sizeof *all, "a program");

    *out = (volt_batch_place){0};
    VOLT_TRY(st, done, volt_comm_agree(mesh->world, st));
    VOLT_TRY(st, done, volt_comm_all_gather(mesh->data, all, &n, sizeof n));
    for (int i = 0; i < replicas; i++) {
        out->first += i < volt_comm_rank(mesh->data) ? all[i] : 0;
        out->samples += all[i];
    }
    if (samples && volt_comm_rehearses(mesh->world)) /* whose peers do not know theirs */
        out->samples = samples;
done:
    volt_free(all);
    return st;
}

volt_status volt_program_meet(volt_program *p, const volt_mesh *mesh)
{
    volt_status st;

    VOLT_TRY(st, done, same(p->world, "the network", hash_of_graph(p)));
    VOLT_TRY(st, done, same(p->world, "the program's options", hash_of_options(&p->options)));
    VOLT_TRY(st, done,
             volt_comm_same(mesh->space, "the number of samples", &p->options.n,
                            sizeof p->options.n));
    st = volt_comm_same(mesh->stage, "the number of samples", &p->options.n,
                        sizeof p->options.n);
done:
    return st;
}

volt_status volt_program_share_restrictions(volt_program *p, bool *again)
{
    double ranks[16]; /* that have each restriction */
    volt_status st;

    *again = false;
    if (!p->space)
        return VOLT_OK;
    for (int i = 0; i < 16; i++)
        ranks[i] = p->restrictions >> i & 1;
    VOLT_TRY(st, done, volt_comm_sum_f64(p->space, ranks, 16));
    for (int i = 0; i < 16; i++) {
        *again |= ranks[i] > 0 && ranks[i] < p->parts;
        p->restrictions |= ranks[i] > 0 ? 1u << i : 0;
    }
done:
    return st;
}

volt_status volt_program_compare_exchanges(volt_program *p)
{
    uint64_t h = HASH_START;
    volt_status st;

    for (int i = 0; i < p->step_count; i++) {
        const volt_step *s = &p->steps[i];
        const volt_tensor *t = &s->operand[0].tensor;

        if (s->kind != VOLT_STEP_MARGINS && s->kind != VOLT_STEP_MARGINS_END &&
            s->kind != VOLT_STEP_SUMS)
            continue;
        hash_number(&h, s->kind);
        hash_number(&h, s->unit);
        hash_number(&h, s->over_batch);
        hash_number(&h, s->value);
        hash_number(&h, t->n * t->c);
        hash_number(&h, t->dtype);
        hash_number(&h, t->layout);
    }
    if (p->space)
        VOLT_TRY(st, done, same(p->space, "the steps that exchange", h));
    h = HASH_START;
    for (int i = 0; i < p->network_count; i++)
        hash_number(&h, p->stage_values[p->network[i].out].stage);
    VOLT_TRY(st, done, same(p->world, "where stages are cut", h));
    h = HASH_START;
    for (int i = 0; i < p->step_count; i++) {
        if (p->steps[i].over_batch)
            hash_number(&h, p->steps[i].unit);
    }
    for (int i = 0; i < p->bucket_count; i++) {
        hash_number(&h, p->buckets[i].first);
        hash_number(&h, p->buckets[i].count);
    }
    st = same(p->world, "the sums over the batch", h);
done:
    return st;
}

/* ---- the host's copies ---- */

void volt_program_account_host(volt_program *p)
{
    size_t bytes = 0;

    if (!p->world || p->device->host_memory)
        return;
    for (int i = 0; i < p->step_count; i++) {
        const volt_step *s = &p->steps[i];
        const size_t sums =
            (size_t)volt_tensor_elements(&s->operand[0].tensor) * sizeof(double);

        if (s->kind == VOLT_STEP_SUMS && sums > bytes)
            bytes = sums;
    }
    if (p->loss_bytes > bytes)
        bytes = p->loss_bytes;
    bytes = volt_program_host_exchanges(p, (bytes + 63) / 64 * 64);
    p->host_buckets = bytes;
    p->host_bytes = p->memory.messages = bytes + volt_program_host_buckets(p);
}

/* ---- loss ---- */

/* A place in the whole batch: raster index over (n,d,h,w) of all samples and the whole volume.
 */
static int64_t voxel_of_batch(const volt_program *p, const volt_loss_call *call, int64_t voxel)
{
    const volt_program_value *v =
        &p->values[p->values[volt_graph_output_value(p->graph, 0)].alias];
    const int64_t w = voxel % call->w, h = voxel / call->w % call->h;
    const int64_t d = voxel / call->w / call->h % call->d;
    const int64_t n = voxel / call->w / call->h / call->d;

    return (((p->own_first + n) * v->global[0] + v->box.low[0] + d) * v->global[1] +
            v->box.low[1] + h) *
               v->global[2] +
           v->box.low[2] + w;
}

/* The first bad label of all ranks. */
static volt_status find_bad(volt_program *p, const volt_loss_call *call)
{
    const int ranks = volt_comm_size(p->world);
    int64_t own[2], *all = NULL;
    volt_loss_block block;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&all, 2 * (size_t)ranks * sizeof *all, "bad labels"));
    VOLT_TRY(st, done,
             p->device->download(p->device, &block, call->result, sizeof block, p->stream));
    own[0] = block.bad_voxel < 0 ? -1 : voxel_of_batch(p, call, block.bad_voxel);
    own[1] = block.bad_label;
    VOLT_TRY(st, done, volt_comm_all_gather(p->world, all, own, sizeof own));
    for (int i = 0; i < ranks; i++) {
        if (all[2 * i] < 0 || (p->bad_voxel >= 0 && all[2 * i] >= p->bad_voxel))
            continue;
        p->bad_voxel = all[2 * i];
        p->bad_label = all[2 * i + 1];
    }
done:
    volt_free(all);
    return st;
}

volt_status volt_program_sum_loss(volt_program *p, const volt_loss_call *call)
{
    const double *sums = p->host ? (const double *)p->host : call->sums;
    volt_status st;

    p->bad_voxel = p->bad_label = -1;
    if (!p->world)
        return VOLT_OK;
    VOLT_TRY(st, done,
             volt_program_sum_doubles(p, p->world, call->sums, volt_loss_sums_count(call)));
    if (sums[0] > 0)
        st = find_bad(p, call);
done:
    return st;
}

/* ---- failures ---- */

void volt_program_settle(volt_program *p)
{
    char sentence[1024];

    if (!p->on_their_way)
        return;
    snprintf(sentence, sizeof sentence, "%s", volt_last_error());
    for (int i = 0; i < p->exchange_count; i++) {
        if (p->exchanges[i].ticket)
            (void)!volt_comm_wait(p->space, &p->exchanges[i].ticket);
    }
    for (int i = 0; p->links && i < p->options.arenas * (p->exchange_count + 1); i++) {
        if (p->links[i])
            (void)!volt_comm_wait(p->stages, &p->links[i]);
    }
    for (int i = 0; i < p->bucket_count; i++) {
        if (p->buckets[i].ticket)
            (void)!volt_comm_wait(p->world, &p->buckets[i].ticket);
    }
    p->on_their_way = 0;
    volt_set_last_error(sentence);
}

volt_status volt_program_leave(volt_program *p, volt_status st)
{
    if (st == VOLT_OK || !p->world)
        return st;
    volt_comm_fail(p->world, st);
    volt_program_settle(p);
    return st;
}
