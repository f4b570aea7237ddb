/* Components of runs, not of voxels: a row of a mask has few runs, so the union-find forest is
 * small enough for the cache and most of the time goes into finding the runs, which compares
 * eight bytes at a time.
 *
 * The first pass counts the runs of every row, so that all rows know where theirs go and slabs
 * of slices can be scanned and joined in parallel; the borders between slabs are joined
 * afterwards by one thread. A root is always the smallest index of its tree. This makes the
 * numbering independent of the order of joins, and thus of the thread count: the second pass
 * meets each component first at its root.
 */
#include "volume/components.h"

#include <string.h>
#include "base/core/checked.h"
#include "base/core/options.h"
#include "base/core/alloc.h"
#include "base/threads.h"

/* Voxels begin <= x < end of one row, all of one value. */
typedef struct run {
    uint32_t begin, end;
    uint32_t value; /* the voxels' bits, zero-extended */
    uint32_t link;  /* first an earlier run of the same component, or itself; later the
                     * component's number from 1 */
} run;

struct volt_components {
    volt_grid grid; /* of the source */
    run *runs;      /* in raster order */
    int64_t *row;   /* first run of row z*ny + y; one more entry at the end */
    volt_component *table;
    int64_t count;
};

typedef struct scan {
    const unsigned char *voxels;
    int64_t nx;
    size_t bytes; /* of a voxel: 1, 2, 4 */
    bool binary;
} scan;

#define LOAD_WORD(w, p) memcpy(&(w), (p), 8)

/* For one voxel type: the number of runs in a row, and the runs. `step` voxels make a 64-bit
 * word, in which background and the inside of runs are skipped. */
#define DEFINE_SCAN(T, repeat)                                                                 \
    static int64_t count_runs_##T(const T *row, int64_t nx, bool binary)                       \
    {                                                                                          \
        int64_t count = row[0] != 0;                                                           \
                                                                                               \
        if (binary) {                                                                          \
            for (int64_t x = 1; x < nx; x++)                                                   \
                count += (row[x] != 0) & (row[x - 1] == 0);                                    \
        } else {                                                                               \
            for (int64_t x = 1; x < nx; x++)                                                   \
                count += (row[x] != 0) & (row[x] != row[x - 1]);                               \
        }                                                                                      \
        return count;                                                                          \
    }                                                                                          \
                                                                                               \
    static void find_runs_##T(run *out, const T *row, int64_t nx, bool binary)                 \
    {                                                                                          \
        const int64_t step = 8 / (int64_t)sizeof(T);                                           \
        int64_t x = 0;                                                                         \
                                                                                               \
        for (;;) {                                                                             \
            uint64_t word = 0;                                                                 \
            while (x + step <= nx && (LOAD_WORD(word, row + x), word == 0))                    \
                x += step;                                                                     \
            while (x < nx && row[x] == 0)                                                      \
                x++;                                                                           \
            if (x == nx)                                                                       \
                return;                                                                        \
            const T value = row[x];                                                            \
            const uint64_t same = (repeat) * (uint64_t)value;                                  \
            out->begin = (uint32_t)x;                                                          \
            out->value = value;                                                                \
            while (x + step <= nx && (LOAD_WORD(word, row + x), word == same))                 \
                x += step;                                                                     \
            while (x < nx && (binary ? row[x] != 0 : row[x] == value))                         \
                x++;                                                                           \
            out++->end = (uint32_t)x;                                                          \
        }                                                                                      \
    }

DEFINE_SCAN(uint8_t, UINT64_C(0x0101010101010101))
DEFINE_SCAN(uint16_t, UINT64_C(0x0001000100010001))
DEFINE_SCAN(uint32_t, UINT64_C(0x0000000100000001))

static int64_t count_runs(const scan *s, int64_t row)
{
    const void *voxels = s->voxels + (size_t)(row * s->nx) * s->bytes;

    if (s->bytes == 1)
        return count_runs_uint8_t(voxels, s->nx, s->binary);
    if (s->bytes == 2)
        return count_runs_uint16_t(voxels, s->nx, s->binary);
    return count_runs_uint32_t(voxels, s->nx, s->binary);
}

static void find_runs(run *out, const scan *s, int64_t row)
{
    const void *voxels = s->voxels + (size_t)(row * s->nx) * s->bytes;

    if (s->bytes == 1)
        find_runs_uint8_t(out, voxels, s->nx, s->binary);
    else if (s->bytes == 2)
        find_runs_uint16_t(out, voxels, s->nx, s->binary);
    else
        find_runs_uint32_t(out, voxels, s->nx, s->binary);
}

static uint32_t root_of(run *runs, uint32_t i)
{
    while (runs[i].link != i) {
        runs[i].link = runs[runs[i].link].link; /* halve the path */
        i = runs[i].link;
    }
    return i;
}

/* The smaller index becomes the root: the component's first run in raster order. */
static void join(run *runs, uint32_t a, uint32_t b)
{
    a = root_of(runs, a);
    b = root_of(runs, b);
    if (a < b)
        runs[b].link = a;
    else
        runs[a].link = b;
}

/* Joins touching runs of two rows; `reach` 1 = corners touch as well. */
static void join_rows(volt_components *c, int64_t row, int64_t other, uint32_t reach,
                      bool binary)
{
    run *runs = c->runs;
    int64_t first = c->row[other];
    const int64_t end = c->row[other + 1];

    for (int64_t i = c->row[row]; i < c->row[row + 1] && first < end; i++) {
        while (first < end && runs[first].end + reach <= runs[i].begin)
            first++;
        for (int64_t j = first; j < end && runs[j].begin < runs[i].end + reach; j++) {
            if (binary || runs[j].value == runs[i].value)
                join(runs, (uint32_t)i, (uint32_t)j);
        }
    }
}

/* Joins slice z with the slice before it. */
static void join_slices(volt_components *c, int64_t z, const volt_components_options *o)
{
    const int64_t ny = c->grid.n[1];

    for (int64_t y = 0; y < ny; y++) {
        const int64_t row = z * ny + y, below = row - ny;

        join_rows(c, row, below, o->connectivity > 6, o->binary);
        if (o->connectivity > 6 && y > 0)
            join_rows(c, row, below - 1, o->connectivity > 18, o->binary);
        if (o->connectivity > 6 && y + 1 < ny)
            join_rows(c, row, below + 1, o->connectivity > 18, o->binary);
    }
}

/* Joins the slices first <= z < last, each within itself and with the one before; the first is
 * not joined with its predecessor. */
static void join_slab(volt_components *c, const scan *s, int64_t first, int64_t last,
                      const volt_components_options *o)
{
    const int64_t ny = c->grid.n[1];

    for (int64_t z = first; z < last; z++) {
        for (int64_t y = 0; y < ny; y++) {
            const int64_t row = z * ny + y;

            find_runs(c->runs + c->row[row], s, row);
            for (int64_t i = c->row[row]; i < c->row[row + 1]; i++)
                c->runs[i].link = (uint32_t)i;
            if (y > 0)
                join_rows(c, row, row - 1, o->connectivity > 6, o->binary);
        }
        if (z > first)
            join_slices(c, z, o);
    }
}

static int64_t value_of(uint32_t bits, volt_dtype dtype)
{
    switch (dtype) {
    case VOLT_I8:
        return (int8_t)bits;
    case VOLT_I16:
        return (int16_t)bits;
    case VOLT_I32:
        return (int32_t)bits;
    default:
        return bits;
    }
}

static void add_to_box(volt_box *box, int64_t z, int64_t y, const run *r)
{
    const volt_box part = {{z, y, r->begin}, {z + 1, y + 1, r->end}};

    *box = volt_box_hull(*box, part);
}

/* Numbers the components and fills the table; links become numbers. */
static volt_status number_components(volt_components *c, volt_dtype dtype)
{
    const int64_t rows = c->grid.n[0] * c->grid.n[1], runs = c->row[rows];
    volt_status st;

    for (int64_t i = 0; i < runs; i++)
        c->count += c->runs[i].link == i;
    if ((st = volt_alloc_zero(&c->table, (size_t)c->count, sizeof *c->table,
                              "a table of components")) != VOLT_OK)
        return st;
    int64_t next = 0;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t z = row / c->grid.n[1], y = row % c->grid.n[1];

        for (int64_t i = c->row[row]; i < c->row[row + 1]; i++) {
            run *r = &c->runs[i];

            if (r->link == i) {
                r->link = (uint32_t)++next;
                c->table[next - 1] = (volt_component){
                    value_of(r->value, dtype), 0, {{z, y, r->begin}, {z + 1, y + 1, r->end}}};
            } else {
                r->link = c->runs[r->link].link; /* an earlier run, numbered already */
            }
            c->table[r->link - 1].voxels += r->end - r->begin;
            add_to_box(&c->table[r->link - 1].box, z, y, r);
        }
    }
    return VOLT_OK;
}

static volt_status check(const volt_volume *labels, const volt_components_options *o)
{
    const volt_dtype t = labels->dtype;

    if (labels->grid.channels != 1)
        return volt_fail(VOLT_EINVAL, "components: the map has %d channels instead of one",
                         labels->grid.channels);
    if (t != VOLT_U8 && t != VOLT_I8 && t != VOLT_U16 && t != VOLT_I16 && t != VOLT_U32 &&
        t != VOLT_I32)
        return volt_fail(VOLT_EINVAL,
                         "components: voxels are %s instead of an integer of at most 32 bits",
                         volt_dtype_name(t));
    if (labels->grid.n[2] >= INT32_MAX)
        return volt_fail(VOLT_EINVAL, "components: %lld voxels along x are too many",
                         (long long)labels->grid.n[2]);
    if (o->connectivity != 6 && o->connectivity != 18 && o->connectivity != 26)
        return volt_fail(VOLT_EINVAL, "components: connectivity %d is not 6, 18 or 26",
                         o->connectivity);
    return VOLT_OK;
}

/* Sets c->row to the index of every row's first run. */
static volt_status lay_out_runs(volt_components *c, const scan *s, int threads)
{
    const int64_t rows = c->grid.n[0] * c->grid.n[1];

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        c->row[r + 1] = count_runs(s, r);
    c->row[0] = 0;
    for (int64_t r = 0; r < rows; r++)
        c->row[r + 1] += c->row[r];
    if (c->row[rows] >= UINT32_MAX)
        return volt_fail(VOLT_ENOTSUP, "components: %lld runs of voxels are too many",
                         (long long)c->row[rows]);
    return volt_alloc(&c->runs, (size_t)c->row[rows] * sizeof *c->runs, "runs of voxels");
}

static const volt_components_options defaults = {.size = sizeof defaults, .connectivity = 26};

void volt_components_options_init(volt_components_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_status volt_components_find(volt_components **out, const volt_volume *labels,
                                 const volt_components_options *options)
{
    volt_components_options o = defaults;
    volt_components *c = NULL;
    volt_status st = volt_options_take(&o, sizeof o, options, "volt_components_options");

    if (st != VOLT_OK)
        return st;
    o.threads = volt_threads_or_default(o.threads);
    if ((st = check(labels, &o)) != VOLT_OK)
        return st;
    const int64_t *n = labels->grid.n;
    const scan s = {labels->data, n[2], volt_dtype_bytes(labels->dtype), o.binary};
    const int64_t slabs = volt_min_i64(n[0], o.threads);

    VOLT_TRY(st, done, volt_alloc_zero(&c, 1, sizeof *c, "components"));
    c->grid = labels->grid;
    VOLT_TRY(st, done,
             volt_alloc(&c->row, (size_t)(n[0] * n[1] + 1) * sizeof *c->row, "rows of runs"));
    VOLT_TRY(st, done, lay_out_runs(c, &s, o.threads));
#pragma omp parallel for num_threads(o.threads) schedule(static)
    for (int64_t i = 0; i < slabs; i++)
        join_slab(c, &s, n[0] * i / slabs, n[0] * (i + 1) / slabs, &o);
    for (int64_t i = 1; i < slabs; i++)
        join_slices(c, n[0] * i / slabs, &o);
    VOLT_TRY(st, done, number_components(c, labels->dtype));
    *out = c;
    c = NULL;
done:
    volt_components_free(c);
    return st;
}

void volt_components_free(volt_components *c)
{
    if (c) {
        volt_free(c->table);
        volt_free(c->runs);
        volt_free(c->row);
        volt_free(c);
    }
}

int64_t volt_components_count(const volt_components *c)
{
    return c->count;
}

const volt_component *volt_components_table(const volt_components *c)
{
    return c->table;
}

static void paint_row(void *map, size_t bytes, const run *r, int64_t runs)
{
    for (; runs > 0; runs--, r++) {
        if (bytes == 1) {
            memset((uint8_t *)map + r->begin, (int)r->link, r->end - r->begin);
        } else if (bytes == 2) {
            for (uint32_t x = r->begin; x < r->end; x++)
                ((uint16_t *)map)[x] = (uint16_t)r->link;
        } else {
            for (uint32_t x = r->begin; x < r->end; x++)
                ((uint32_t *)map)[x] = r->link;
        }
    }
}

volt_status volt_components_map(volt_volume **out, const volt_components *c, int threads)
{
    const volt_dtype dtype = c->count <= UINT8_MAX    ? VOLT_U8
                             : c->count <= UINT16_MAX ? VOLT_U16
                                                      : VOLT_U32;
    const size_t bytes = volt_dtype_bytes(dtype);
    const int64_t rows = c->grid.n[0] * c->grid.n[1];
    volt_volume *map = NULL;
    volt_status st = volt_volume_create(&map, &c->grid, dtype);

    if (st != VOLT_OK)
        return st;
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        paint_row((char *)map->data + (size_t)(r * c->grid.n[2]) * bytes, bytes,
                  c->runs + c->row[r], c->row[r + 1] - c->row[r]);
    *out = map;
    return VOLT_OK;
}

volt_status volt_components_keep(volt_volume *labels, const volt_components *c,
                                 const bool *keep, int threads)
{
    const int64_t rows = c->grid.n[0] * c->grid.n[1], *n = labels->grid.n;
    const size_t bytes = volt_dtype_bytes(labels->dtype);

    if (memcmp(n, c->grid.n, sizeof c->grid.n) != 0 || labels->grid.channels != 1)
        return volt_fail(
            VOLT_EINVAL,
            "components of a %lld x %lld x %lld map do not fit one of %lld x %lld x %lld",
            (long long)c->grid.n[0], (long long)c->grid.n[1], (long long)c->grid.n[2],
            (long long)n[0], (long long)n[1], (long long)n[2]);
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = c->row[r]; i < c->row[r + 1]; i++) {
            const run *p = &c->runs[i];

            if (!keep[p->link - 1])
                memset((char *)labels->data + (size_t)(r * c->grid.n[2] + p->begin) * bytes, 0,
                       (p->end - p->begin) * bytes);
        }
    }
    return VOLT_OK;
}
