/* Cases dealt out to ranks, and what they send to rank 0 at the end. */
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/checked.h"
#include "base/core/fail.h"
#include "io/image.h"
#include "nets3d/predict/failures.h"
#include "nets3d/predict/spread.h"
#include "nets3d/predict/write.h"

enum { TAG_FAILURES = 80 };

/* ---- who predicts which case ---- */

/* Voxels of a case; 0 if there is nothing to do, or it cannot be read. */
static volt_status case_voxels(int64_t *out, const volt_segmenter *seg, const volt_case *c,
                               const volt_predict_output *o)
{
    volt_image_header *header = NULL;
    bool there = false;
    volt_status st = VOLT_OK;

    *out = 0;
    if (c->fault || (o->failures && volt_predict_failures_have(o->failures, c->id)))
        return VOLT_OK;
    if (o->skip_existing)
        st = volt_predict_written(&there, o, seg, c->id);
    if (st != VOLT_OK || there)
        return st;
    if (volt_image_info(&header, c->file[0]) == VOLT_OK)
        *out = volt_grid_voxels(&header->grid);
    volt_image_header_free(header);
    return VOLT_OK;
}

/* The largest case that has no rank yet goes to the rank with the least so far. */
static void deal(int owner[], const int64_t voxels[], double load[], int64_t cases, int ranks)
{
    for (int64_t k = 0; k < cases; k++) {
        int64_t largest = -1;
        int least = 0;
        for (int64_t i = 0; i < cases; i++) {
            if (owner[i] < 0 && (largest < 0 || voxels[i] > voxels[largest]))
                largest = i;
        }
        for (int r = 1; r < ranks; r++)
            least = load[r] < load[least] ? r : least;
        owner[largest] = voxels[largest] > 0 ? least : 0;
        load[owner[largest]] += (double)voxels[largest];
    }
}

static volt_status deal_here(volt_spread *sp, const volt_segmenter *seg,
                             const volt_case_list *cases, const volt_predict_output *o)
{
    int64_t *voxels = NULL;
    double *load = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc(&voxels, ((size_t)cases->count + 1) * sizeof *voxels, "cases"));
    VOLT_TRY(st, done, volt_alloc_zero(&load, (size_t)sp->ranks, sizeof *load, "ranks"));
    for (int64_t i = 0; i < cases->count; i++) {
        sp->owner[i] = -1;
        VOLT_TRY(st, done, case_voxels(&voxels[i], seg, &cases->item[i], o));
    }
    deal(sp->owner, voxels, load, cases->count, sp->ranks);
done:
    volt_free(load);
    volt_free(voxels);
    return st;
}

volt_status volt_spread_deal_cases(volt_spread *sp, const volt_segmenter *seg,
                                   const volt_case_list *cases, const volt_predict_output *o)
{
    const size_t bytes = ((size_t)cases->count + 1) * sizeof *sp->owner;
    volt_status st;

    volt_free(sp->owner);
    st = volt_alloc_zero(&sp->owner, bytes, 1, "cases");
    if (st == VOLT_OK && sp->rank == 0)
        st = deal_here(sp, seg, cases, o);
    VOLT_TRY(st, done, volt_spread_agree(sp, st));
    st = volt_comm_broadcast(sp->comm, sp->owner, bytes, 0);
done:
    return st;
}

/* ---- at the end ---- */

volt_status volt_spread_gather_result(const volt_spread *sp, volt_predict_result *r)
{
    volt_predict_result *all = NULL, sum = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&all, (size_t)sp->ranks * sizeof *all, "results"));
    VOLT_TRY(st, done, volt_comm_all_gather(sp->comm, all, r, sizeof *r));
    for (int i = 0; i < sp->ranks; i++) {
        sum.cases += all[i].cases;
        sum.skipped += all[i].skipped;
        sum.seconds = all[i].seconds > sum.seconds ? all[i].seconds : sum.seconds;
        sum.network_s = all[i].network_s > sum.network_s ? all[i].network_s : sum.network_s;
        sum.read_wait_s =
            all[i].read_wait_s > sum.read_wait_s ? all[i].read_wait_s : sum.read_wait_s;
        sum.announced_bytes = volt_max_size(sum.announced_bytes, all[i].announced_bytes);
        sum.peak_bytes = volt_max_size(sum.peak_bytes, all[i].peak_bytes);
    }
    if (sp->rank == 0)
        *r = sum;
done:
    volt_free(all);
    return st;
}

/* A failure in a message; its sentence follows. */
typedef struct failure_head {
    int64_t index; /* of the case */
    int64_t status;
    char sentence[1024];
} failure_head;

static int64_t index_of(const volt_case_list *cases, const char *id)
{
    for (int64_t i = 0; i < cases->count; i++) {
        if (strcmp(cases->item[i].id, id) == 0)
            return i;
    }
    return -1;
}

static volt_status pack_failures(failure_head **out, int64_t *count, const volt_spread *sp,
                                 const volt_predict_failures *f, const volt_case_list *cases)
{
    failure_head *list = NULL;
    volt_status st =
        volt_alloc_zero(&list, f ? (size_t)f->count + 1 : 1, sizeof *list, "failures");

    *count = 0;
    for (int64_t i = 0; st == VOLT_OK && sp->rank > 0 && f && i < f->count; i++) {
        failure_head *h = &list[(*count)++];
        h->index = index_of(cases, f->item[i].id);
        h->status = f->item[i].status;
        strncpy(h->sentence, f->item[i].sentence, sizeof h->sentence - 1);
    }
    *out = list;
    return st;
}

static volt_status add_failures(volt_predict_failures *f, const failure_head *list,
                                int64_t count, const volt_case_list *cases)
{
    volt_status st = VOLT_OK;

    for (int64_t i = 0; i < count && st == VOLT_OK; i++) {
        if (list[i].index < 0 || list[i].index >= cases->count)
            return volt_fail(VOLT_ECOMM, "a failure of no case");
        volt_set_last_error(list[i].sentence);
        st = volt_predict_failures_add(f, cases->item[list[i].index].id,
                                       (volt_status)list[i].status);
    }
    return st;
}

volt_status volt_spread_gather_failures(const volt_spread *sp, volt_predict_failures *f,
                                        const volt_case_list *cases)
{
    failure_head *own = NULL, *theirs = NULL;
    volt_ticket *ticket = NULL;
    int64_t *counts = NULL, count = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&counts, (size_t)sp->ranks * sizeof *counts, "ranks"));
    VOLT_TRY(st, done, pack_failures(&own, &count, sp, f, cases));
    VOLT_TRY(st, done, volt_comm_all_gather(sp->comm, counts, &count, sizeof count));
    if (sp->rank > 0 && count > 0) {
        const volt_message m = {0, own, (size_t)count * sizeof *own};
        VOLT_TRY(st, done, volt_comm_start(&ticket, sp->comm, &m, 1, NULL, 0, TAG_FAILURES));
        VOLT_TRY(st, done, volt_comm_wait(sp->comm, &ticket));
    }
    for (int r = 1; sp->rank == 0 && r < sp->ranks; r++) {
        volt_message m = {r, NULL, (size_t)counts[r] * sizeof *theirs};
        if (counts[r] == 0)
            continue;
        VOLT_TRY(st, done, volt_alloc(&theirs, m.bytes, "failures"));
        m.at = theirs;
        VOLT_TRY(st, done, volt_comm_start(&ticket, sp->comm, NULL, 0, &m, 1, TAG_FAILURES));
        VOLT_TRY(st, done, volt_comm_wait(sp->comm, &ticket));
        VOLT_TRY(st, done, add_failures(f, theirs, counts[r], cases));
        volt_free(theirs);
        theirs = NULL;
    }
done:
    volt_free(theirs);
    volt_free(own);
    volt_free(counts);
    return st;
}
