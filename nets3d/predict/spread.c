#define _GNU_SOURCE
#include "nets3d/predict/spread.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/core/plural.h"
#include "base/mem.h"
#include "base/threads.h"

/* ---- how ---- */

/* The ranks that share the same slices of 2-D networks. */
static volt_status open_plane(volt_spread *sp)
{
    int size[VOLT_MESH_AXES];
    volt_status st;

    memcpy(size, sp->mesh->size, sizeof size);
    size[VOLT_MESH_Z] = 1;
    if (volt_mesh_ranks(size) == 1)
        return VOLT_OK;
    VOLT_TRY(st, done,
             volt_comm_split(&sp->plane_comm, sp->comm, sp->mesh->at[VOLT_MESH_Z], sp->rank));
    st = volt_mesh_open(&sp->plane, sp->plane_comm, size);
done:
    return st;
}

/* Axes as "z=2,y=2". Replicas and stages are no way to split one scan. */
static volt_status open_axes(volt_spread *sp, const char *mesh)
{
    int size[VOLT_MESH_AXES];
    volt_status st = volt_mesh_parse(size, mesh, 0);

    if (st == VOLT_OK && (size[VOLT_MESH_DATA] > 1 || size[VOLT_MESH_STAGE] > 1))
        st = volt_fail(VOLT_EINVAL,
                       "mesh '%s': a prediction is split along z, y and x; scans are dealt out "
                       "with 'cases'",
                       mesh);
    if (st == VOLT_OK && volt_mesh_ranks(size) != sp->ranks)
        st = volt_fail(VOLT_EINVAL, "mesh '%s' splits scans over %d rank%s, but there %s %d",
                       mesh, volt_mesh_ranks(size), volt_s(volt_mesh_ranks(size)),
                       sp->ranks == 1 ? "is" : "are", sp->ranks);
    if (st == VOLT_OK && sp->ranks > 1)
        st = volt_mesh_open(&sp->mesh, sp->comm, size);
    return st == VOLT_OK && sp->mesh ? open_plane(sp) : st;
}

volt_status volt_spread_open(volt_spread **out, bool *whole, volt_comm *comm, const char *mesh)
{
    const char *name = mesh ? mesh : "";
    volt_spread *sp = NULL;
    volt_status st = volt_comm_same(comm, "their mesh", name, strlen(name));

    if (st == VOLT_OK)
        st = volt_alloc_zero(&sp, 1, sizeof *sp, "ranks");
    if (st != VOLT_OK)
        return st;
    *sp = (volt_spread){.comm = comm,
                        .rank = volt_comm_rank(comm),
                        .ranks = volt_comm_size(comm),
                        .kind = VOLT_SPREAD_CASES,
                        .given = mesh != NULL};
    *whole = false;
    st = volt_alloc_zero(&sp->left, (size_t)sp->ranks, sizeof *sp->left, "ranks");
    if (st == VOLT_OK)
        st = volt_alloc_zero(&sp->need, (size_t)sp->ranks, sizeof *sp->need, "ranks");
    if (st != VOLT_OK) {
        volt_spread_close(sp);
        return st;
    }
    if (mesh && strcmp(mesh, "tiles") == 0) {
        sp->kind = VOLT_SPREAD_TILES;
    } else if (mesh && strcmp(mesh, "cases") != 0) {
        if (!strchr(mesh, '='))
            st = volt_fail(VOLT_EINVAL,
                           "mesh '%s': 'cases', 'tiles' or axes such as 'z=4' are expected",
                           mesh);
        else
            st = open_axes(sp, mesh);
        sp->kind = VOLT_SPREAD_VOLUME;
        *whole = true;
    }
    if (st == VOLT_OK && sp->ranks > 1) {
        *out = sp;
        return VOLT_OK;
    }
    volt_spread_close(sp);
    if (st == VOLT_OK)
        *out = NULL;
    return st;
}

void volt_spread_close(volt_spread *sp)
{
    if (!sp)
        return;
    volt_mesh_close(sp->plane);
    volt_comm_close(sp->plane_comm);
    volt_mesh_close(sp->mesh);
    volt_free(sp->owner);
    volt_free(sp->need);
    volt_free(sp->left);
    volt_free(sp);
}

static bool has_whole(const volt_segmenter *seg)
{
    for (int g = 0; g < seg->sets; g++) {
        if (volt_net_set_is_whole(seg, &seg->set[g]) && seg->set[g].config->axes == 3)
            return true;
    }
    return false;
}

volt_status volt_spread_give(const volt_spread *sp, volt_segmenter *seg)
{
    for (int g = 0; sp && g < seg->sets; g++) {
        volt_net_set *set = &seg->set[g];
        if (sp->kind == VOLT_SPREAD_VOLUME && set->config->axes == 3)
            set->batch = 1;
    }
    if (sp && sp->kind == VOLT_SPREAD_TILES && has_whole(seg))
        return volt_fail(VOLT_EINVAL,
                         "%s: scans go through in one piece, so there are no rows of tiles; "
                         "they are shared out by cases or axes, as 'z=%d'",
                         seg->set[0].path[0], sp->ranks);
    seg->spread = sp;
    return VOLT_OK;
}

void volt_spread_settle(volt_spread *sp, const volt_segmenter *seg, int64_t cases)
{
    if (sp && !sp->given)
        sp->kind = cases >= sp->ranks || has_whole(seg) ? VOLT_SPREAD_CASES : VOLT_SPREAD_TILES;
}

bool volt_spread_is_joint(const volt_spread *sp)
{
    return sp && sp->kind != VOLT_SPREAD_CASES;
}

volt_callbacks volt_spread_callbacks(const volt_spread *sp, const volt_callbacks *cb)
{
    if (cb && sp && sp->rank > 0)
        return (volt_callbacks){.user = cb->user, .cancelled = cb->cancelled};
    return cb ? *cb : (volt_callbacks){NULL};
}

/* ---- agreement ---- */

volt_status volt_spread_agree(const volt_spread *sp, volt_status mine)
{
    char own[1024];
    volt_status st;

    if (!sp)
        return mine;
    snprintf(own, sizeof own, "%s", mine == VOLT_OK ? "" : volt_last_error());
    st = volt_comm_agree(sp->comm, mine);
    if (sp->rank == 0 && mine != VOLT_OK && st == mine)
        volt_set_last_error(own);
    return st;
}

volt_status volt_spread_check(const volt_spread *sp)
{
    volt_ticket *none = NULL;

    if (!sp)
        return VOLT_OK;
    volt_comm_progress(sp->comm);
    return volt_comm_test(sp->comm, &none);
}

volt_status volt_spread_all(const volt_spread *sp, bool *all, bool mine)
{
    double against = !mine;
    volt_status st = volt_comm_sum_f64(sp->comm, &against, 1);

    if (st == VOLT_OK)
        *all = against < 0.5;
    return st;
}

volt_status volt_spread_threads(const volt_spread *sp, int *threads)
{
    const char *host = volt_comm_host(sp->comm, sp->rank);
    cpu_set_t own, *all = NULL, both;
    int sharing = 0;
    volt_status st;

    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof own, &own) != 0)
        memset(&own, 0xff, sizeof own);
    VOLT_TRY(st, done, volt_alloc(&all, (size_t)sp->ranks * sizeof *all, "processors"));
    VOLT_TRY(st, done, volt_comm_all_gather(sp->comm, all, &own, sizeof own));
    for (int r = 0; r < sp->ranks; r++) {
        CPU_AND(&both, &own, &all[r]);
        sharing += strcmp(volt_comm_host(sp->comm, r), host) == 0 && CPU_COUNT(&both) > 0;
    }
    if (*threads == 0)
        *threads = volt_default_threads() > sharing ? volt_default_threads() / sharing : 1;
done:
    volt_free(all);
    return st;
}

volt_status volt_spread_measure(const volt_spread *sp)
{
    const size_t left = volt_mem_available();

    return volt_comm_all_gather(sp->comm, sp->left, &left, sizeof left);
}

/* ---- notes ---- */

volt_status volt_spread_tell(const volt_spread *sp, const volt_note *note)
{
    volt_note copy = *note;

    return volt_comm_broadcast(sp->comm, &copy, sizeof copy, 0);
}

volt_status volt_spread_ask_memory(const volt_spread *sp, const volt_grid *grid,
                                   const volt_box *roi)
{
    volt_note *note = NULL;
    volt_status st = volt_alloc_zero(&note, 1, sizeof *note, "a note");

    if (st == VOLT_OK) {
        note->kind = VOLT_NOTE_MEMORY;
        note->grid[0] = *grid;
        note->has_roi = roi != NULL;
        if (roi)
            note->roi = *roi;
        st = volt_spread_tell(sp, note);
    }
    volt_free(note);
    return st;
}

volt_status volt_spread_listen(const volt_spread *sp, volt_note *note)
{
    return volt_comm_broadcast(sp->comm, note, sizeof *note, 0);
}

volt_status volt_spread_end(const volt_spread *sp, volt_status st)
{
    volt_note *note = NULL;
    char own[1024];

    snprintf(own, sizeof own, "%s", st == VOLT_OK ? "" : volt_last_error());
    if (volt_alloc_zero(&note, 1, sizeof *note, "a note") != VOLT_OK) {
        st = st == VOLT_OK ? VOLT_ENOMEM : st;
        volt_comm_fail(sp->comm, st);
        return st;
    }
    note->kind = VOLT_NOTE_END;
    note->status = st;
    memcpy(note->what, own, sizeof own);
    if (st == VOLT_OK) {
        st = volt_spread_tell(sp, note);
    } else {
        (void)!volt_spread_tell(sp, note); /* the first failure counts */
        volt_set_last_error(own);
    }
    volt_free(note);
    return st;
}
