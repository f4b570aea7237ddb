#include "parallel/mesh/partition.h"

#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"

int64_t volt_partition_most(int64_t extent, int64_t align)
{
    return extent / align + (extent % align != 0);
}

static volt_status check_axis(int axis, int64_t extent, int parts, int64_t align)
{
    int64_t most;

    if (extent < 1 || parts < 1 || align < 1)
        return volt_fail(VOLT_EINVAL,
                         "along %c, %lld voxels cannot be cut into %d part%s at multiples of "
                         "%lld: all three must be 1 or more",
                         "zyx"[axis], (long long)extent, parts, volt_s(parts),
                         (long long)align);
    most = volt_partition_most(extent, align);
    if (parts > most)
        return volt_fail(VOLT_EINVAL,
                         "%lld voxel%s along %c cannot be cut into %d parts at multiples of "
                         "%lld, but into %lld at most",
                         (long long)extent, volt_s(extent), "zyx"[axis], parts,
                         (long long)align, (long long)most);
    return VOLT_OK;
}

static volt_status cut_axis(int64_t **out, int64_t extent, int parts, int64_t align)
{
    const int64_t units = volt_partition_most(extent, align);
    int64_t *cut, unit = 0;
    const volt_status st =
        volt_alloc(&cut, ((size_t)parts + 1) * sizeof *cut, "a partition of a volume");

    if (st != VOLT_OK)
        return st;
    for (int i = 0; i < parts; i++) {
        cut[i] = unit * align;
        unit += units / parts + (i < units % parts);
    }
    cut[parts] = extent;
    *out = cut;
    return VOLT_OK;
}

volt_status volt_partition_make(volt_partition *out, const int64_t extent[3],
                                const int parts[3], const int64_t align[3])
{
    volt_partition p = {{parts[0], parts[1], parts[2]}, {NULL}};
    int count;
    volt_status st = VOLT_OK;

    for (int a = 0; a < 3; a++)
        VOLT_TRY(st, done, check_axis(a, extent[a], parts[a], align[a]));
    if (__builtin_mul_overflow(parts[0], parts[1], &count) ||
        __builtin_mul_overflow(count, parts[2], &count)) {
        st = volt_fail(VOLT_EINVAL, "a volume cannot be cut into %d x %d x %d parts", parts[0],
                       parts[1], parts[2]);
        goto done;
    }
    for (int a = 0; a < 3; a++)
        VOLT_TRY(st, done, cut_axis(&p.cut[a], extent[a], parts[a], align[a]));
    *out = p;
    memset(&p, 0, sizeof p);
done:
    volt_partition_clear(&p);
    return st;
}

void volt_partition_clear(volt_partition *p)
{
    for (int a = 0; a < 3; a++)
        volt_free(p->cut[a]);
    memset(p, 0, sizeof *p);
}

int volt_partition_count(const volt_partition *p)
{
    return p->parts[0] * p->parts[1] * p->parts[2];
}

void volt_partition_at(int at[3], const volt_partition *p, int rank)
{
    for (int a = 2; a >= 0; a--) {
        at[a] = rank % p->parts[a];
        rank /= p->parts[a];
    }
}

volt_box volt_partition_box(const volt_partition *p, const int at[3])
{
    volt_box box;

    for (int a = 0; a < 3; a++) {
        box.low[a] = p->cut[a][at[a]];
        box.high[a] = p->cut[a][at[a] + 1];
    }
    return box;
}

volt_box volt_partition_box_of(const volt_partition *p, int rank)
{
    int at[3];

    volt_partition_at(at, p, rank);
    return volt_partition_box(p, at);
}

/* -1 outside the grid. */
static int rank_at(const volt_partition *p, const int at[3])
{
    for (int a = 0; a < 3; a++) {
        if (at[a] < 0 || at[a] >= p->parts[a])
            return -1;
    }
    return (at[0] * p->parts[1] + at[1]) * p->parts[2] + at[2];
}

int volt_partition_neighbour(const volt_partition *p, int rank, const int step[3])
{
    int at[3];

    volt_partition_at(at, p, rank);
    for (int a = 0; a < 3; a++)
        at[a] += step[a];
    return rank_at(p, at);
}

int volt_partition_owner(const volt_partition *p, const int64_t voxel[3])
{
    int at[3];

    for (int a = 0; a < 3; a++) {
        at[a] = -1;
        while (at[a] < p->parts[a] && voxel[a] >= p->cut[a][at[a] + 1])
            at[a]++;
    }
    return rank_at(p, at);
}
