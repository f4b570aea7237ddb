#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* cpu_set_t */
#endif
#include "nets3d/train/ranks.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "nets3d/device/device_internal.h"
#include "parallel/comm.h"
#include "parallel/mesh/rehearse.h"

void volt_train_ranks_begin(volt_train_ranks *r, const volt_train_options *o, bool alone)
{
    const int size = volt_comm_size(o->comm);

    *r = (volt_train_ranks){.size = size,
                            .rank = volt_comm_rank(o->comm),
                            .on_host = 1,
                            .waited_before = volt_comm_waited(o->comm)};
    if (size > 1 && !alone)
        r->comm = o->comm;
    if (size > 1)
        r->on_host = volt_comm_host_ranks(o->comm);
    else if (alone && o->ranks > 1)
        r->size = r->on_host = o->ranks;
}

/* A rank that leaves with a failure all know of must not disturb those that are still being
 * told: in the barrier are only ranks that have been, so what becomes of it does not matter. */
void volt_train_ranks_tell(const volt_train_ranks *r, volt_status st)
{
    char sentence[1024];

    if (!r->comm || st == VOLT_OK)
        return;
    if (!r->settled) {
        volt_comm_fail(r->comm, st);
        return;
    }
    snprintf(sentence, sizeof sentence, "%s", volt_last_error());
    if (volt_comm_barrier(r->comm) != VOLT_OK)
        volt_set_last_error(sentence);
}

void volt_train_ranks_end(volt_train_ranks *r)
{
    if (r->comm)
        volt_mesh_close(r->mesh);
    else
        volt_mesh_end_rehearsal(r->mesh);
    r->mesh = NULL;
    r->comm = NULL;
}

bool volt_train_ranks_lead(const volt_train_ranks *r)
{
    return r->rank == 0 || !r->comm;
}

/* ---- settling ---- */

/* The outcome of a call that fails on all ranks or on none, unless one is gone. */
static volt_status settle(volt_train_ranks *r, volt_status st)
{
    if (st != VOLT_OK && st != VOLT_EPEER && st != VOLT_ETIMEOUT && st != VOLT_ECOMM)
        r->settled = true;
    return st;
}

volt_status volt_train_ranks_agree(volt_train_ranks *r, volt_status mine)
{
    return r->comm ? settle(r, volt_comm_agree(r->comm, mine)) : mine;
}

volt_status volt_train_ranks_follow(volt_train_ranks *r, volt_status mine)
{
    return r->comm ? settle(r, volt_comm_follow(r->comm, mine)) : mine;
}

volt_status volt_train_ranks_same(volt_train_ranks *r, const char *what, const void *data,
                                  size_t bytes)
{
    return r->comm ? settle(r, volt_comm_same(r->comm, what, data, bytes)) : VOLT_OK;
}

volt_status volt_train_ranks_share(volt_train_ranks *r, void *data, size_t bytes)
{
    return r->comm ? volt_comm_broadcast(r->comm, data, bytes, 0) : VOLT_OK;
}

volt_status volt_train_ranks_share_text(volt_train_ranks *r, char **text)
{
    uint64_t bytes = 0;
    volt_status st = VOLT_OK;

    if (!r->comm)
        return VOLT_OK;
    if (r->rank == 0)
        bytes = strlen(*text) + 1;
    VOLT_TRY(st, done, volt_comm_broadcast(r->comm, &bytes, sizeof bytes, 0));
    if (r->rank != 0) {
        volt_free(*text);
        *text = NULL;
        VOLT_TRY(st, done, volt_alloc(text, (size_t)bytes, "a text of rank 0"));
    }
    st = volt_comm_broadcast(r->comm, *text, (size_t)bytes, 0);
done:
    return st;
}

volt_status volt_train_ranks_merge(volt_train_ranks *r, bool *flag, int count)
{
    bool *all = NULL;
    volt_status st;

    if (!r->comm || count == 0)
        return VOLT_OK;
    VOLT_TRY(
        st, done,
        volt_alloc(&all, (size_t)r->size * (size_t)count * sizeof *all, "flags of all ranks"));
    VOLT_TRY(st, done, volt_comm_all_gather(r->comm, all, flag, (size_t)count * sizeof *all));
    for (int i = 0; i < r->size * count; i++)
        flag[i % count] = flag[i % count] || all[i];
done:
    volt_free(all);
    return st;
}

volt_status volt_train_ranks_any(volt_train_ranks *r, bool *any, bool mine)
{
    const volt_status st = volt_train_ranks_merge(r, &mine, 1);

    *any = mine;
    return st;
}

/* ---- hosts ---- */

/* What a rank tells of its host. */
typedef struct host_facts {
    int isa;
    cpu_set_t processors; /* that the rank may use */
} host_facts;

static const char *isa_name(int isa)
{
    return isa == VOLT_ISA_AVX512 ? "avx512" : isa == VOLT_ISA_AVX2 ? "avx2" : "base";
}

/* Every rank updates its own copy of the parameters: with another instruction set their last
 * bits would differ. */
static volt_status compare_isa(volt_train_ranks *r, const host_facts *facts)
{
    int least = 0;

    for (int i = 1; i < r->size; i++) {
        if (facts[i].isa < facts[least].isa)
            least = i;
    }
    for (int i = 0; i < r->size; i++) {
        if (facts[i].isa == facts[least].isa)
            continue;
        r->settled = true;
        return volt_fail(VOLT_ENOTSUP,
                         "rank %d on %s computes with %s, rank %d on %s with %s: their copies "
                         "of the network would drift apart; set VOLT_ISA=%s for all of them",
                         i, volt_comm_host(r->comm, i), isa_name(facts[i].isa), least,
                         volt_comm_host(r->comm, least), isa_name(facts[least].isa),
                         isa_name(facts[least].isa));
    }
    return VOLT_OK;
}

/* Processors of this rank over the ranks of its host that may use one of them: all of the
 * host's ranks, or with launchers that bind only this one. */
static int default_threads(const volt_train_ranks *r, const host_facts *facts)
{
    const host_facts *own = &facts[r->rank];
    int sharing = 0, threads;

    for (int i = 0; i < r->size; i++) {
        cpu_set_t both;
        CPU_AND(&both, &own->processors, &facts[i].processors);
        sharing += strcmp(volt_comm_host(r->comm, i), volt_comm_host(r->comm, r->rank)) == 0 &&
                   CPU_COUNT(&both) > 0;
    }
    threads = volt_default_threads() / (sharing > 0 ? sharing : 1);
    return threads > 0 ? threads : 1;
}

volt_status volt_train_ranks_compare_hosts(volt_train_ranks *r, int *threads,
                                           const volt_device *device)
{
    host_facts own = {.isa = volt_cpu_isa()}, *facts = NULL;
    volt_status st;

    if (!r->comm) {
        if (*threads == 0 && r->size > 1)
            *threads =
                volt_default_threads() > r->on_host ? volt_default_threads() / r->on_host : 1;
        return VOLT_OK;
    }
    if (sched_getaffinity(0, sizeof own.processors, &own.processors) != 0)
        memset(&own.processors, 0xff, sizeof own.processors);
    VOLT_TRY(st, done,
             volt_alloc(&facts, (size_t)r->size * sizeof *facts, "facts about the hosts"));
    VOLT_TRY(st, done, volt_comm_all_gather(r->comm, facts, &own, sizeof own));
    VOLT_TRY(st, done, compare_isa(r, facts));
    VOLT_TRY(st, done,
             volt_train_ranks_same(r, "the library of their devices", device->library,
                                   strlen(device->library) + 1));
    if (*threads == 0)
        *threads = default_threads(r, facts);
done:
    volt_free(facts);
    return st;
}

/* The caller owns *out, with `mine` of every rank. */
static volt_status gather_bytes(size_t **out, volt_train_ranks *r, size_t mine)
{
    volt_status st = volt_alloc(out, (size_t)r->size * sizeof **out, "bytes of the ranks");

    return st == VOLT_OK ? volt_comm_all_gather(r->comm, *out, &mine, sizeof mine) : st;
}

volt_status volt_train_ranks_host_bytes(volt_train_ranks *r, size_t *all, size_t mine)
{
    size_t *bytes = NULL;
    volt_status st;

    *all = mine * (size_t)r->on_host;
    if (!r->comm)
        return VOLT_OK;
    VOLT_TRY(st, done, gather_bytes(&bytes, r, mine));
    *all = 0;
    for (int i = 0; i < r->size; i++) {
        if (strcmp(volt_comm_host(r->comm, i), volt_comm_host(r->comm, r->rank)) == 0)
            *all += bytes[i];
    }
done:
    volt_free(bytes);
    return st;
}

volt_status volt_train_ranks_least(volt_train_ranks *r, size_t *least, size_t mine)
{
    size_t *bytes = NULL;
    volt_status st;

    *least = mine;
    if (!r->comm)
        return VOLT_OK;
    VOLT_TRY(st, done, gather_bytes(&bytes, r, mine));
    for (int i = 0; i < r->size; i++)
        *least = bytes[i] < *least ? bytes[i] : *least;
done:
    volt_free(bytes);
    return st;
}

/* ---- the mesh ---- */

/* The samples of group `at` of `groups`: as many for each as can be, the first ones have one
 * more. */
static void deal(int64_t *first, int64_t *count, int64_t batch, int groups, int at)
{
    const int64_t each = batch / groups, more = batch % groups;

    *count = each + (at < more);
    *first = at * each + (at < more ? at : more);
}

/* The nearest mesh with at most `batch` groups: the others split z, or are more stages. */
static volt_status too_many_groups(const volt_train_ranks *r, const char *mesh, int64_t batch)
{
    const int groups = r->axes[VOLT_MESH_DATA];
    int axes[VOLT_MESH_AXES], fewer = groups;
    char nearest[VOLT_MESH_TEXT];

    while (fewer > 1 && (fewer > batch || groups % fewer != 0))
        fewer--;
    memcpy(axes, r->axes, sizeof axes);
    axes[VOLT_MESH_DATA] = fewer;
    axes[axes[VOLT_MESH_STAGE] > 1 ? VOLT_MESH_STAGE : VOLT_MESH_Z] *= groups / fewer;
    return volt_fail(VOLT_EINVAL,
                     "mesh %s deals a batch of %lld sample%s out to data=%d: at most data=%lld "
                     "can be, for these ranks %s",
                     mesh, (long long)batch, volt_s(batch), groups, (long long)batch,
                     volt_mesh_text(nearest, axes));
}

volt_status volt_train_ranks_plan(volt_train_ranks *r, const char *mesh, int64_t batch)
{
    volt_status st;

    r->count = batch;
    for (int a = 0; a < VOLT_MESH_AXES; a++)
        r->axes[a] = 1;
    if (!mesh && r->size > 1)
        return volt_fail(VOLT_EINVAL,
                         "%d ranks are to train one network, but no mesh says how: data=%d "
                         "gives each some of a batch's samples, z=%d a part of each sample",
                         r->size, r->size, r->size);
    if (mesh && strcmp(mesh, VOLT_MESH_AUTO) == 0) {
        r->axes[VOLT_MESH_Z] = r->size;
        return VOLT_OK;
    }
    if (!mesh)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_mesh_parse(r->axes, mesh, r->size));
    if (r->axes[VOLT_MESH_STAGE] > 1 && volt_train_ranks_parts(r) > r->axes[VOLT_MESH_STAGE])
        return volt_fail(VOLT_ENOTSUP,
                         "mesh %s: stages cannot be combined with parts of the volume; drop "
                         "stage, or z, y and x",
                         mesh);
    if (r->axes[VOLT_MESH_DATA] > batch)
        return too_many_groups(r, mesh, batch);
    deal(&r->first, &r->count, batch, r->axes[VOLT_MESH_DATA],
         r->comm ? r->rank / (r->size / r->axes[VOLT_MESH_DATA]) : 0);
done:
    return st;
}

volt_status volt_train_ranks_open_mesh(volt_train_ranks *r)
{
    const int first[VOLT_MESH_AXES] = {0}; /* has the largest part */

    if (r->comm)
        return volt_mesh_open(&r->mesh, r->comm, r->axes);
    return r->size > 1 ? volt_mesh_rehearse(&r->mesh, r->axes, first) : VOLT_OK;
}

double volt_train_ranks_waited(const volt_train_ranks *r)
{
    return r->comm ? volt_comm_waited(r->comm) - r->waited_before : 0;
}

int volt_train_ranks_parts(const volt_train_ranks *r)
{
    return r->axes[VOLT_MESH_Z] * r->axes[VOLT_MESH_Y] * r->axes[VOLT_MESH_X] *
           r->axes[VOLT_MESH_STAGE];
}
