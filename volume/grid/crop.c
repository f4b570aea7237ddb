#include "volume/grid/crop.h"

#include <string.h>

#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/threads.h"

static volt_status create_mask(volt_volume **out, const volt_grid *grid)
{
    volt_grid one = *grid;

    one.channels = 1;
    return volt_volume_create(out, &one, VOLT_U8);
}

static bool is_mask(const volt_volume *v)
{
    return v->dtype == VOLT_U8 && v->grid.channels == 1;
}

static bool same_extents(const volt_grid *a, const volt_grid *b)
{
    return a->n[0] == b->n[0] && a->n[1] == b->n[1] && a->n[2] == b->n[2];
}

/* mask[i] |= (src[i] OP 0) over one type; NaN differs from 0. */
#define SCAN(T, OP)                                                                            \
    do {                                                                                       \
        const T *from = (const T *)src->data + offset;                                         \
        for (int64_t i = 0; i < n; i++)                                                        \
            mask[i] |= from[i] OP 0;                                                           \
    } while (0)

static void mark_nonzero(uint8_t *mask, const volt_volume *src, int64_t offset, int64_t n)
{
    switch (src->dtype) {
    case VOLT_F32:
        SCAN(float, !=);
        break;
    case VOLT_F64:
        SCAN(double, !=);
        break;
    default: /* integers: only their bits matter */
        switch (volt_dtype_bytes(src->dtype)) {
        case 1:
            SCAN(uint8_t, !=);
            break;
        case 2:
            SCAN(uint16_t, !=);
            break;
        case 4:
            SCAN(uint32_t, !=);
            break;
        default:
            SCAN(uint64_t, !=);
        }
    }
}

static void mark_inside(uint8_t *mask, const volt_volume *src, int64_t offset, int64_t n)
{
    switch (src->dtype) {
    case VOLT_I8:
        SCAN(int8_t, >=);
        break;
    case VOLT_I16:
        SCAN(int16_t, >=);
        break;
    case VOLT_I32:
        SCAN(int32_t, >=);
        break;
    case VOLT_I64:
        SCAN(int64_t, >=);
        break;
    case VOLT_F32:
        SCAN(float, >=);
        break;
    case VOLT_F64:
        SCAN(double, >=);
        break;
    default: /* unsigned */
        memset(mask, 1, (size_t)n);
    }
}

volt_status volt_mask_nonzero(volt_volume **out, const volt_volume *image, int threads)
{
    const int64_t voxels = volt_grid_voxels(&image->grid), nz = image->grid.n[0];
    const int64_t plane = voxels / nz;
    volt_volume *mask;
    volt_status st = create_mask(&mask, &image->grid);

    if (st != VOLT_OK)
        return st;
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t z = 0; z < nz; z++) {
        for (int64_t c = 0; c < image->grid.channels; c++)
            mark_nonzero((uint8_t *)mask->data + z * plane, image, c * voxels + z * plane,
                         plane);
    }
    *out = mask;
    return VOLT_OK;
}

volt_status volt_mask_inside(volt_volume **out, const volt_volume *labels, int threads)
{
    const int64_t nz = labels->grid.n[0], plane = labels->grid.n[1] * labels->grid.n[2];
    volt_volume *mask;
    volt_status st;

    if (labels->grid.channels != 1)
        return volt_fail(VOLT_EINVAL, "labels have 1 channel, not %d",
                         (int)labels->grid.channels);
    if ((st = create_mask(&mask, &labels->grid)) != VOLT_OK)
        return st;
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t z = 0; z < nz; z++)
        mark_inside((uint8_t *)mask->data + z * plane, labels, z * plane, plane);
    *out = mask;
    return VOLT_OK;
}

/* First voxels of runs of background that are yet to be followed. */
typedef struct run_stack {
    int64_t *at;
    size_t count, room;
    size_t most; /* entries */
    bool lost;   /* a run, because the stack was full */
} run_stack;

enum { FIRST_RUNS = 1024, MOST_RUNS = 1 << 18 };

/* More are not kept in mind at a time: one for eight voxels is more than scans need. */
static size_t most_runs(int64_t voxels)
{
    size_t runs = FIRST_RUNS;

    while (runs < MOST_RUNS && (int64_t)runs * 16 <= voxels)
        runs *= 2;
    return runs;
}

size_t volt_mask_fill_holes_bytes(int64_t voxels)
{
    return most_runs(voxels) * sizeof(int64_t) * 3 / 2; /* while it doubles for the last time */
}

static volt_status push(run_stack *s, int64_t at)
{
    if (s->count == s->most) {
        s->lost = true;
        return VOLT_OK;
    }
    if (s->count == s->room) {
        const size_t room = s->room ? 2 * s->room : FIRST_RUNS;
        const volt_status st = volt_realloc(&s->at, s->count * sizeof *s->at,
                                            room * sizeof *s->at, "runs of a mask");
        if (st != VOLT_OK)
            return st;
        s->room = room;
    }
    s->at[s->count++] = at;
    return VOLT_OK;
}

enum { HOLE = 0, SOLID = 1, OUTSIDE = 2 };

/* Pushes one voxel of each run of HOLE among `row`[first..last]; `base` is the row's index. */
static volt_status push_runs(run_stack *s, const uint8_t *row, int64_t base, int64_t first,
                             int64_t last)
{
    volt_status st = VOLT_OK;

    for (int64_t x = first; x <= last && st == VOLT_OK; x++) {
        if (row[x] == HOLE && (x == first || row[x - 1] != HOLE))
            st = push(s, base + x);
    }
    return st;
}

/* Turns HOLE into OUTSIDE for all that is connected with the runs on the stack. */
static volt_status flood(run_stack *s, uint8_t *mask, const int64_t n[3])
{
    volt_status st = VOLT_OK;

    while (s->count > 0 && st == VOLT_OK) {
        const int64_t at = s->at[--s->count], line = at / n[2];
        const int64_t y = line % n[1], z = line / n[1];
        const struct {
            bool inside;
            int64_t line;
        } next[4] = {{z > 0, line - n[1]},
                     {z + 1 < n[0], line + n[1]},
                     {y > 0, line - 1},
                     {y + 1 < n[1], line + 1}};
        uint8_t *row = mask + line * n[2];
        int64_t first = at % n[2], last = first;

        if (row[first] != HOLE)
            continue; /* reached from another side meanwhile */
        while (first > 0 && row[first - 1] == HOLE)
            first--;
        while (last + 1 < n[2] && row[last + 1] == HOLE)
            last++;
        memset(row + first, OUTSIDE, (size_t)(last - first + 1));
        for (int i = 0; i < 4 && st == VOLT_OK; i++) {
            if (next[i].inside)
                st = push_runs(s, mask + next[i].line * n[2], next[i].line * n[2], first, last);
        }
    }
    return st;
}

/* Starts from every HOLE on the volume's six faces. */
static volt_status flood_from_border(run_stack *s, uint8_t *mask, const int64_t n[3])
{
    volt_status st = VOLT_OK;

    for (int64_t line = 0; line < n[0] * n[1] && st == VOLT_OK; line++) {
        const int64_t y = line % n[1], z = line / n[1];
        const bool face = z == 0 || z == n[0] - 1 || y == 0 || y == n[1] - 1;
        uint8_t *row = mask + line * n[2];
        if (face)
            st = push_runs(s, row, line * n[2], 0, n[2] - 1);
        if (!face && row[0] == HOLE)
            st = push(s, line * n[2]);
        if (!face && st == VOLT_OK && row[n[2] - 1] == HOLE)
            st = push(s, line * n[2] + n[2] - 1);
        if (st == VOLT_OK)
            st = flood(s, mask, n);
    }
    return st;
}

/* Whether a neighbour of voxel (z, y, x) in another row is OUTSIDE. */
static bool meets_outside(const uint8_t *mask, const int64_t n[3], int64_t line, int64_t x)
{
    const int64_t y = line % n[1], z = line / n[1];

    return (z > 0 && mask[(line - n[1]) * n[2] + x] == OUTSIDE) ||
           (z + 1 < n[0] && mask[(line + n[1]) * n[2] + x] == OUTSIDE) ||
           (y > 0 && mask[(line - 1) * n[2] + x] == OUTSIDE) ||
           (y + 1 < n[1] && mask[(line + 1) * n[2] + x] == OUTSIDE);
}

/* Follows what a full stack lost: starts again wherever OUTSIDE and HOLE meet. */
static volt_status flood_the_lost(run_stack *s, uint8_t *mask, const int64_t n[3])
{
    volt_status st = VOLT_OK;

    s->lost = false;
    for (int64_t line = 0; line < n[0] * n[1] && st == VOLT_OK; line++) {
        const uint8_t *row = mask + line * n[2];
        for (int64_t x = 0; x < n[2] && st == VOLT_OK; x++) {
            if (row[x] != HOLE || !meets_outside(mask, n, line, x))
                continue;
            st = push(s, line * n[2] + x);
            if (st == VOLT_OK)
                st = flood(s, mask, n);
        }
    }
    return st;
}

volt_status volt_mask_fill_holes(volt_volume *mask)
{
    const int64_t voxels = volt_grid_voxels(&mask->grid);
    uint8_t *m = mask->data;
    run_stack stack = {.most = most_runs(voxels)};
    volt_status st;

    if (!is_mask(mask))
        return volt_fail(VOLT_EINVAL, "a mask must be uint8 with 1 channel, not %s with %d",
                         volt_dtype_name(mask->dtype), (int)mask->grid.channels);
    for (int64_t i = 0; i < voxels; i++)
        m[i] = m[i] ? SOLID : HOLE;
    st = flood_from_border(&stack, m, mask->grid.n);
    while (st == VOLT_OK && stack.lost)
        st = flood_the_lost(&stack, m, mask->grid.n);
    for (int64_t i = 0; i < voxels; i++)
        m[i] = st == VOLT_OK ? m[i] != OUTSIDE : m[i] == SOLID;
    volt_free(stack.at);
    return st;
}

/* Widens [*first, *last] to the ones of a row; false if there is none. */
static bool row_extent(const uint8_t *row, int64_t n, int64_t *first, int64_t *last)
{
    const uint8_t *one = memchr(row, 1, (size_t)n);
    int64_t high = n - 1;

    if (!one)
        return false;
    while (row[high] == 0)
        high--;
    *first = one - row < *first ? one - row : *first;
    *last = high > *last ? high : *last;
    return true;
}

volt_box volt_mask_box(const volt_volume *mask, int threads)
{
    const int64_t *n = mask->grid.n;
    int64_t z0 = n[0], z1 = -1, y0 = n[1], y1 = -1, x0 = n[2], x1 = -1;

    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static) reduction(min                   \
                                                                         : z0, y0, x0)         \
    reduction(max                                                                              \
              : z1, y1, x1)
    for (int64_t line = 0; line < n[0] * n[1]; line++) {
        const int64_t y = line % n[1], z = line / n[1];
        int64_t first = x0, last = x1;
        if (!row_extent((const uint8_t *)mask->data + line * n[2], n[2], &first, &last))
            continue;
        x0 = first;
        x1 = last;
        y0 = volt_min_i64(y, y0);
        y1 = volt_max_i64(y, y1);
        z0 = volt_min_i64(z, z0);
        z1 = volt_max_i64(z, z1);
    }
    if (z1 < 0)
        return volt_box_of_shape(n);
    return (volt_box){{z0, y0, x0}, {z1 + 1, y1 + 1, x1 + 1}};
}

/* The grid of a box of `whole`. */
static volt_status cropped_grid(volt_grid *out, const volt_grid *whole, volt_box box)
{
    const double index[3] = {(double)box.low[0], (double)box.low[1], (double)box.low[2]};
    volt_grid grid = *whole;
    double origin[3];

    if (volt_box_is_empty(box) || !volt_box_contains(volt_box_of_shape(whole->n), box))
        return volt_fail(VOLT_EINVAL,
                         "the box from (%lld, %lld, %lld) to (%lld, %lld, %lld) is empty or "
                         "exceeds %lld x %lld x %lld voxels (z, y, x)",
                         (long long)box.low[0], (long long)box.low[1], (long long)box.low[2],
                         (long long)box.high[0], (long long)box.high[1], (long long)box.high[2],
                         (long long)grid.n[0], (long long)grid.n[1], (long long)grid.n[2]);
    volt_box_shape(grid.n, box);
    volt_grid_world(origin, whole, index);
    for (int r = 0; r < 3; r++)
        grid.to_world[r][3] = origin[r];
    *out = grid;
    return VOLT_OK;
}

volt_status volt_volume_crop_in_place(volt_volume *v, volt_box box)
{
    const size_t bytes = volt_dtype_bytes(v->dtype);
    const int64_t *n = v->grid.n;
    volt_grid grid;
    char *to = v->data;
    volt_status st = cropped_grid(&grid, &v->grid, box);

    if (st != VOLT_OK)
        return st;
    for (int64_t c = 0; c < grid.channels; c++) { /* every line moves towards the front */
        for (int64_t z = box.low[0]; z < box.high[0]; z++) {
            for (int64_t y = box.low[1]; y < box.high[1]; y++) {
                const int64_t at = ((c * n[0] + z) * n[1] + y) * n[2] + box.low[2];
                const size_t line = (size_t)grid.n[2] * bytes;
                memmove(to, (const char *)v->data + (size_t)at * bytes, line);
                to += line;
            }
        }
    }
    v->grid = grid;
    volt_shrink(v->data, volt_volume_bytes(v));
    return VOLT_OK;
}

#define MARK(T)                                                                                \
    do {                                                                                       \
        T *label = (T *)labels->data + z * plane;                                              \
        for (int64_t i = 0; i < plane; i++)                                                    \
            label[i] = label[i] == 0 && !inside[i] ? (T)-1 : label[i];                         \
    } while (0)

static void mark_plane(volt_volume *labels, const uint8_t *inside, int64_t z, int64_t plane)
{
    switch (labels->dtype) {
    case VOLT_I8:
        MARK(int8_t);
        break;
    case VOLT_I16:
        MARK(int16_t);
        break;
    case VOLT_I32:
        MARK(int32_t);
        break;
    case VOLT_I64:
        MARK(int64_t);
        break;
    case VOLT_F32:
        MARK(float);
        break;
    default:
        MARK(double);
    }
}

volt_status volt_labels_mark_outside(volt_volume *labels, const volt_volume *mask, int threads)
{
    const int64_t plane = labels->grid.n[1] * labels->grid.n[2];

    switch (labels->dtype) {
    case VOLT_I8:
    case VOLT_I16:
    case VOLT_I32:
    case VOLT_I64:
    case VOLT_F32:
    case VOLT_F64:
        break;
    default:
        return volt_fail(VOLT_EINVAL, "labels of type %s cannot be -1",
                         volt_dtype_name(labels->dtype));
    }
    if (labels->grid.channels != 1 || !is_mask(mask) ||
        !same_extents(&labels->grid, &mask->grid))
        return volt_fail(VOLT_EINVAL,
                         "labels (%d channel%s, %lld x %lld x %lld voxels) and mask (%s, %lld "
                         "x %lld x %lld) do not belong together",
                         (int)labels->grid.channels, volt_s(labels->grid.channels),
                         (long long)labels->grid.n[0], (long long)labels->grid.n[1],
                         (long long)labels->grid.n[2], volt_dtype_name(mask->dtype),
                         (long long)mask->grid.n[0], (long long)mask->grid.n[1],
                         (long long)mask->grid.n[2]);
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t z = 0; z < labels->grid.n[0]; z++)
        mark_plane(labels, (const uint8_t *)mask->data + z * plane, z, plane);
    return VOLT_OK;
}
