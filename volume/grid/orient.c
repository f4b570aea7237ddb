#include "volume/orient.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/threads.h"

/* Letters of a world axis x, y, z: towards lower and higher millimetres. */
static const char letters[3][2] = {{'L', 'R'}, {'P', 'A'}, {'I', 'S'}};

/* out = inverse of the transpose of m, from cofactors. */
static void inverse_transpose(double out[3][3], double m[3][3])
{
    double det = 0;

    for (int r = 0; r < 3; r++) {
        const int r1 = (r + 1) % 3, r2 = (r + 2) % 3;
        for (int c = 0; c < 3; c++) {
            const int c1 = (c + 1) % 3, c2 = (c + 2) % 3;
            out[r][c] = m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1];
        }
    }
    for (int c = 0; c < 3; c++)
        det += m[0][c] * out[0][c];
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++)
            out[r][c] /= det;
    }
}

/* The rotation (or reflection) closest to the directions of the matrix's columns: its polar
 * factor, by Newton's iteration (Higham 1986), which converges within ten steps unless the axes
 * are almost coplanar. */
static void closest_rotation(double q[3][3], const volt_grid *grid)
{
    double spacing[3], t[3][3];

    volt_grid_spacing(spacing, grid);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++)
            q[r][c] = grid->to_world[r][c] / spacing[2 - c];
    }
    for (int step = 0; step < 60; step++) {
        double change = 0;
        inverse_transpose(t, q);
        for (int r = 0; r < 3; r++) {
            for (int c = 0; c < 3; c++) {
                const double next = (q[r][c] + t[r][c]) / 2;
                change = fmax(change, fabs(next - q[r][c]));
                q[r][c] = next;
            }
        }
        if (change < 1e-15)
            break;
    }
}

static int first_free(const bool taken[3])
{
    return !taken[0] ? 0 : !taken[1] ? 1 : 2;
}

/* For each voxel axis (0 = x, 1 = y, 2 = z) the world axis that it follows, and whether it runs
 * against it. As in nibabel, the voxel axis with the largest component chooses first. */
static void match_axes(int world[3], bool against[3], const volt_grid *grid)
{
    double q[3][3], strength[3];
    bool axis_done[3] = {false}, world_taken[3] = {false};

    closest_rotation(q, grid);
    for (int a = 0; a < 3; a++)
        strength[a] = fmax(fabs(q[0][a]), fmax(fabs(q[1][a]), fabs(q[2][a])));
    for (int turn = 0; turn < 3; turn++) {
        int a = first_free(axis_done), best = first_free(world_taken);
        for (int i = a + 1; i < 3; i++) {
            if (!axis_done[i] && strength[i] > strength[a])
                a = i;
        }
        for (int w = best + 1; w < 3; w++) {
            if (!world_taken[w] && fabs(q[w][a]) > fabs(q[best][a]))
                best = w;
        }
        axis_done[a] = world_taken[best] = true;
        world[a] = best;
        against[a] = q[best][a] < 0;
    }
}

void volt_orientation_codes(char out[4], const volt_grid *grid)
{
    int world[3];
    bool against[3];

    match_axes(world, against, grid);
    for (int a = 0; a < 3; a++)
        out[a] = letters[world[a]][!against[a]];
    out[3] = '\0';
}

volt_status volt_orientation_to(volt_orientation *out, const volt_grid *grid, const char *codes)
{
    int world[3];
    bool against[3], named[3] = {false};
    volt_orientation o = {{0, 0, 0}, {false, false, false}};

    match_axes(world, against, grid);
    for (int i = 0; i < 3; i++) {
        const char letter = strlen(codes) == 3 ? (char)toupper((unsigned char)codes[i]) : '?';
        for (int a = 0; a < 3; a++) {
            for (int high = 0; high < 2; high++) {
                if (letter != letters[world[a]][high])
                    continue;
                named[a] = true;
                o.from[2 - i] = 2 - a;
                o.flip[2 - i] = against[a] == (high == 1);
            }
        }
    }
    if (!named[0] || !named[1] || !named[2])
        return volt_fail(
            VOLT_EINVAL,
            "'%s' is not an orientation: expected one letter of each pair R/L, A/P, "
            "S/I, as in RAS",
            codes);
    *out = o;
    return VOLT_OK;
}

volt_status volt_orientation_transpose(volt_orientation *out, const int order[3])
{
    bool named[3] = {false};

    for (int i = 0; i < 3; i++) {
        if (order[i] < 0 || order[i] > 2 || named[order[i]])
            return volt_fail(VOLT_EINVAL,
                             "(%d, %d, %d) is not a permutation of the axes 0, 1, 2", order[0],
                             order[1], order[2]);
        named[order[i]] = true;
    }
    *out = (volt_orientation){{order[0], order[1], order[2]}, {false, false, false}};
    return VOLT_OK;
}

volt_orientation volt_orientation_inverse(volt_orientation o)
{
    volt_orientation inverse = {{0, 0, 0}, {false, false, false}};

    for (int i = 0; i < 3; i++) {
        inverse.from[o.from[i]] = i;
        inverse.flip[o.from[i]] = o.flip[i];
    }
    return inverse;
}

bool volt_orientation_is_identity(volt_orientation o)
{
    for (int i = 0; i < 3; i++) {
        if (o.from[i] != i || o.flip[i])
            return false;
    }
    return true;
}

volt_grid volt_orientation_grid(volt_orientation o, const volt_grid *grid)
{
    volt_grid g = *grid;

    for (int i = 0; i < 3; i++) {
        const int a = o.from[i];
        g.n[i] = grid->n[a];
        for (int r = 0; r < 3; r++) {
            const double column = grid->to_world[r][2 - a];
            g.to_world[r][2 - i] = o.flip[i] ? -column : column;
            if (o.flip[i])
                g.to_world[r][3] += column * (double)(grid->n[a] - 1);
        }
    }
    return g;
}

/* How to walk the source in the order of the result, in elements. */
typedef struct walk {
    int64_t n[3];      /* extents of the result */
    int64_t stride[3]; /* step in the source along each axis of the result; may be negative */
    int64_t first;     /* element of the source that becomes voxel (0,0,0) */
} walk;

static walk plan_walk(volt_orientation o, const int64_t n[3])
{
    const int64_t stride[3] = {n[1] * n[2], n[2], 1};
    walk w = {.first = 0};

    for (int i = 0; i < 3; i++) {
        const int a = o.from[i];
        w.n[i] = n[a];
        w.stride[i] = o.flip[i] ? -stride[a] : stride[a];
        if (o.flip[i])
            w.first += (n[a] - 1) * stride[a];
    }
    return w;
}

/* Rows are copied in blocks so that a transposed source is read along its cache lines. */
#define BLOCK 16

/* One plane (fixed z) of the result. */
#define COPY_PLANE(name, T)                                                                    \
    static void name(void *out, const void *in, const walk *w)                                 \
    {                                                                                          \
        T *dst = out;                                                                          \
        const T *src = in;                                                                     \
        for (int64_t y0 = 0; y0 < w->n[1]; y0 += BLOCK) {                                      \
            const int64_t y1 = y0 + BLOCK < w->n[1] ? y0 + BLOCK : w->n[1];                    \
            for (int64_t x0 = 0; x0 < w->n[2]; x0 += BLOCK * BLOCK) {                          \
                const int64_t x1 =                                                             \
                    x0 + BLOCK * BLOCK < w->n[2] ? x0 + BLOCK * BLOCK : w->n[2];               \
                for (int64_t y = y0; y < y1; y++) {                                            \
                    for (int64_t x = x0; x < x1; x++)                                          \
                        dst[y * w->n[2] + x] = src[y * w->stride[1] + x * w->stride[2]];       \
                }                                                                              \
            }                                                                                  \
        }                                                                                      \
    }

COPY_PLANE(copy_plane_8, uint8_t)
COPY_PLANE(copy_plane_16, uint16_t)
COPY_PLANE(copy_plane_32, uint32_t)
COPY_PLANE(copy_plane_64, uint64_t)

static void copy_voxels(volt_volume *dst, const volt_volume *src, volt_orientation o,
                        int threads)
{
    static void (*const planes[])(void *, const void *, const walk *) = {
        [1] = copy_plane_8, [2] = copy_plane_16, [4] = copy_plane_32, [8] = copy_plane_64};
    const walk w = plan_walk(o, src->grid.n);
    const int64_t bytes = (int64_t)volt_dtype_bytes(src->dtype);
    const int64_t voxels = volt_grid_voxels(&src->grid);
    const int64_t count = src->grid.channels * w.n[0];

    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        const int64_t c = i / w.n[0], z = i % w.n[0];
        planes[bytes](
            (char *)dst->data + bytes * (c * voxels + z * w.n[1] * w.n[2]),
            (const char *)src->data + bytes * (c * voxels + w.first + z * w.stride[0]), &w);
    }
}

volt_status volt_volume_reorient(volt_volume **out, const volt_volume *src, volt_orientation o,
                                 int threads)
{
    const volt_grid grid = volt_orientation_grid(o, &src->grid);
    volt_volume *v;
    volt_status st = volt_volume_create(&v, &grid, src->dtype);

    if (st != VOLT_OK)
        return st;
    copy_voxels(v, src, o, threads);
    *out = v;
    return VOLT_OK;
}

volt_status volt_volume_reorient_back(volt_volume **out, const volt_volume *v,
                                      volt_orientation o, const volt_grid *original,
                                      int threads)
{
    volt_grid grid = *original;
    volt_volume *back;
    volt_status st;

    for (int i = 0; i < 3; i++) {
        if (v->grid.n[i] != original->n[o.from[i]])
            return volt_fail(VOLT_EINVAL,
                             "a volume of %lld x %lld x %lld voxels (z, y, x) cannot be "
                             "reoriented to a grid of %lld x %lld x %lld",
                             (long long)v->grid.n[0], (long long)v->grid.n[1],
                             (long long)v->grid.n[2], (long long)original->n[0],
                             (long long)original->n[1], (long long)original->n[2]);
    }
    grid.channels = v->grid.channels;
    if ((st = volt_volume_create(&back, &grid, v->dtype)) != VOLT_OK)
        return st;
    copy_voxels(back, v, volt_orientation_inverse(o), threads);
    *out = back;
    return VOLT_OK;
}
