#include "parallel/mesh/transfer.h"

#include <string.h>

#include "base/core/alloc.h"

static volt_status check_disjoint(const volt_box *have, int ranks)
{
    for (int r = 0; r < ranks; r++) {
        for (int s = 0; s < r; s++) {
            const volt_box both = volt_box_intersect(have[r], have[s]);

            if (!volt_box_is_empty(both))
                return volt_fail(
                    VOLT_EINVAL, "ranks %d and %d both have voxel z %lld, y %lld, x %lld", s, r,
                    (long long)both.low[0], (long long)both.low[1], (long long)both.low[2]);
        }
    }
    return VOLT_OK;
}

/* Finds a voxel of `box` that lies in none of have[first..]. */
static bool find_missing(int64_t voxel[3], volt_box box, const volt_box *have, int ranks,
                         int first)
{
    for (int r = first; r < ranks; r++) {
        const volt_box cut = volt_box_intersect(box, have[r]);

        if (volt_box_is_empty(cut))
            continue;
        /* What is left of the box are up to six slabs around the cut. */
        for (int a = 0; a < 3; a++) {
            volt_box below = box, above = box;

            below.high[a] = cut.low[a];
            above.low[a] = cut.high[a];
            if (find_missing(voxel, below, have, ranks, r + 1) ||
                find_missing(voxel, above, have, ranks, r + 1))
                return true;
            box.low[a] = cut.low[a];
            box.high[a] = cut.high[a];
        }
        return false;
    }
    memcpy(voxel, box.low, sizeof box.low);
    return !volt_box_is_empty(box);
}

/* The boxes that ranks have are disjoint, so voxels can be counted. */
static volt_status check_found(const volt_box *have, const volt_box *need, int ranks)
{
    for (int r = 0; r < ranks; r++) {
        int64_t found = 0, voxel[3];

        for (int s = 0; s < ranks; s++)
            found += volt_box_voxels(volt_box_intersect(need[r], have[s]));
        if (found < volt_box_voxels(need[r]) && find_missing(voxel, need[r], have, ranks, 0))
            return volt_fail(VOLT_EINVAL,
                             "rank %d needs voxel z %lld, y %lld, x %lld, which no rank has", r,
                             (long long)voxel[0], (long long)voxel[1], (long long)voxel[2]);
    }
    return VOLT_OK;
}

/* What is in both boxes of a pair of ranks, for all peers; 0 moves take no memory. */
static volt_status list_moves(volt_move **out, int *count, int64_t *voxels, const volt_box *of,
                              volt_box own, int ranks, int rank)
{
    volt_move *list = NULL;
    int n = 0;
    volt_status st = VOLT_OK;

    for (int peer = 0; peer < ranks; peer++)
        n += peer != rank && !volt_box_is_empty(volt_box_intersect(of[peer], own));
    if (n)
        st = volt_alloc_zero(&list, (size_t)n, sizeof *list, "a transfer");
    if (st != VOLT_OK)
        return st;
    *count = 0;
    *voxels = 0;
    for (int peer = 0; peer < ranks; peer++) {
        const volt_box box = volt_box_intersect(of[peer], own);

        if (peer == rank || volt_box_is_empty(box))
            continue;
        list[(*count)++] = (volt_move){peer, box, *voxels};
        *voxels += volt_box_voxels(box);
    }
    *out = list;
    return VOLT_OK;
}

volt_status volt_transfer_plan(volt_transfer *out, const volt_box *have, const volt_box *need,
                               int ranks, int rank)
{
    volt_transfer t = {0};
    volt_status st;

    VOLT_TRY(st, done, check_disjoint(have, ranks));
    VOLT_TRY(st, done, check_found(have, need, ranks));
    VOLT_TRY(st, done,
             list_moves(&t.send, &t.sends, &t.voxels_out, need, have[rank], ranks, rank));
    VOLT_TRY(st, done,
             list_moves(&t.receive, &t.receives, &t.voxels_in, have, need[rank], ranks, rank));
    *out = t;
    memset(&t, 0, sizeof t);
done:
    volt_transfer_clear(&t);
    return st;
}

void volt_transfer_clear(volt_transfer *t)
{
    volt_free(t->send);
    volt_free(t->receive);
    memset(t, 0, sizeof *t);
}
