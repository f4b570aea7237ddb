/* Morphological operators on 64 voxels at a time: a row of a mask is a row of bits.
 *
 * nnU-Net's balls have a radius of up to 8 voxels, more than 2000 neighbours per voxel. Here a
 * ball is a set of runs along x, one per (dz, dy). Dilating a row by a run of length L takes
 * log2 L shifts, because a run of 2k is the union of a run of k and its copy k further on; runs
 * with equal ends share the result. So the cost follows the ball's cross-section, not its
 * volume. Erosion is the dilation of the complement. Each row has a word of margin in front,
 * into which runs that reach beyond x = 0 may shift without touching the row before.
 */
#include "volume/augment/prior_mask.h"

#include <math.h>
#include <string.h>

#define RADIUS_MAX 31                   /* voxels; a run fits the margin of a row */
#define SIDE_MAX   (2 * RADIUS_MAX + 2) /* of the ball's box */

/* Layout of the scratch memory. */
typedef struct layout {
    int64_t rows, words; /* words of a row: one of margin, then the voxels */
    int16_t *map;
    int32_t *parent, *size; /* of components, per voxel */
    uint64_t *bits[4];      /* (rows, words) each */
} layout;

enum { PARTS = 7 };

/* Offsets of the layout's parts, then the end of the last. */
static void offsets(size_t at[PARTS + 1], const int64_t n[3])
{
    const size_t voxels = (size_t)(n[0] * n[1] * n[2]);
    const size_t words = (size_t)(n[0] * n[1] * (1 + (n[2] + 63) / 64));
    const size_t bytes[PARTS] = {voxels * sizeof(int16_t), voxels * sizeof(int32_t),
                                 voxels * sizeof(int32_t), words * sizeof(uint64_t),
                                 words * sizeof(uint64_t), words * sizeof(uint64_t),
                                 words * sizeof(uint64_t)};

    at[0] = 0;
    for (int i = 0; i < PARTS; i++)
        at[i + 1] = at[i] + (bytes[i] + 15) / 16 * 16;
}

static layout layout_of(const int64_t n[3], void *scratch)
{
    layout l = {.rows = n[0] * n[1], .words = 1 + (n[2] + 63) / 64};
    char *base = scratch;
    size_t at[PARTS + 1];

    offsets(at, n);
    l.map = (int16_t *)(void *)(base + at[0]);
    l.parent = (int32_t *)(void *)(base + at[1]);
    l.size = (int32_t *)(void *)(base + at[2]);
    for (int i = 0; i < 4; i++)
        l.bits[i] = (uint64_t *)(void *)(base + at[3 + i]);
    return l;
}

size_t augment_prior_mask_bytes(const int64_t patch[3])
{
    size_t at[PARTS + 1];

    offsets(at, patch);
    return at[PARTS];
}

int16_t *augment_prior_mask_map(void *scratch, const int64_t patch[3])
{
    return layout_of(patch, scratch).map;
}

/* -- the structuring element ----------------------------------------------------------------
 */

/* Its run for (dz, dy): dx from low to high, empty when low > high. */
typedef struct element {
    int side[3]; /* extents of its box */
    int16_t low[SIDE_MAX][SIDE_MAX], high[SIDE_MAX][SIDE_MAX];
} element;

/* nnU-Net's: skimage's ball and disk of a non-integer radius. The ball has
 * floor(2 r + 1) points an axis, spread evenly over -r..r; the disk ceil(2 r + 1), at -r, 1 - r
 * and so on. Offsets count from point (points - 1) / 2. */
static void make_element(element *e, double radius, bool is_2d)
{
    const double points = is_2d ? ceil(2 * radius + 1) : floor(2 * radius + 1);
    const int side = (int)points, origin = (side - 1) / 2;
    const double step = is_2d ? 1 : 2 * radius / (side - 1);

    e->side[0] = is_2d ? 1 : side;
    e->side[1] = e->side[2] = side;
    for (int z = 0; z < e->side[0]; z++) {
        const double dz = is_2d ? 0 : z * step - radius;

        for (int y = 0; y < side; y++) {
            const double dy = y * step - radius;

            e->low[z][y] = 1;
            e->high[z][y] = 0;
            for (int x = 0; x < side; x++) {
                const double dx = x * step - radius;

                if (dx * dx + dy * dy + dz * dz > radius * radius)
                    continue;
                if (e->low[z][y] > e->high[z][y])
                    e->low[z][y] = (int16_t)(x - origin);
                e->high[z][y] = (int16_t)(x - origin);
            }
        }
    }
}

/* -- rows of bits ---------------------------------------------------------------------------
 */

/* row[x] |= row[x + by], 0 < by < 64. */
static void spread_row(uint64_t *row, int64_t words, int by)
{
    for (int64_t i = 0; i < words; i++)
        row[i] |= row[i] >> by | (i + 1 < words ? row[i + 1] << (64 - by) : 0);
}

/* row[x] = what row[x + by] was, -64 < by < 64. */
static void shift_row(uint64_t *row, int64_t words, int by)
{
    if (by > 0) {
        for (int64_t i = 0; i < words; i++)
            row[i] = row[i] >> by | (i + 1 < words ? row[i + 1] << (64 - by) : 0);
    } else if (by < 0) {
        for (int64_t i = words - 1; i >= 0; i--)
            row[i] = row[i] << -by | (i > 0 ? row[i - 1] >> (64 + by) : 0);
    }
}

/* Clears what lies outside the voxels of a row. */
static void trim_row(uint64_t *row, int64_t words, int64_t nx)
{
    row[0] = 0;
    if (nx % 64)
        row[words - 1] &= (UINT64_C(1) << nx % 64) - 1;
}

/* out[x] = any of in[x + low .. x + high], all rows. */
static void dilate_rows(uint64_t *out, const uint64_t *in, const layout *l, int64_t nx, int low,
                        int high)
{
    const int whole = high - low + 1;

    memcpy(out, in, (size_t)(l->rows * l->words) * sizeof *out);
    for (int64_t r = 0; r < l->rows; r++) {
        uint64_t *row = out + r * l->words;

        for (int length = 1; length < whole;) {
            const int by = length < whole - length ? length : whole - length;

            spread_row(row, l->words, by);
            length += by;
        }
        shift_row(row, l->words, low);
        trim_row(row, l->words, nx);
    }
}

/* out |= in moved by (dz, dy). */
static void add_moved(uint64_t *out, const uint64_t *in, const layout *l, const int64_t n[3],
                      int dz, int dy)
{
    const int64_t first = dy < 0 ? -dy : 0, last = dy > 0 ? n[1] - dy : n[1];

    if (first >= last)
        return;
    for (int64_t z = 0; z < n[0]; z++) {
        if (z + dz < 0 || z + dz >= n[0])
            continue;
        uint64_t *restrict to = out + (z * n[1] + first) * l->words;
        const uint64_t *restrict from = in + ((z + dz) * n[1] + first + dy) * l->words;

        for (int64_t i = 0; i < (last - first) * l->words; i++)
            to[i] |= from[i];
    }
}

/* out = `in` dilated by the element; nothing lies outside. `row` holds the mask dilated by one
 * run. */
static void dilate(uint64_t *out, const uint64_t *in, uint64_t *row, const layout *l,
                   const int64_t n[3], const element *e)
{
    bool done[SIDE_MAX][SIDE_MAX] = {{false}};
    const int oz = (e->side[0] - 1) / 2, oy = (e->side[1] - 1) / 2;

    memset(out, 0, (size_t)(l->rows * l->words) * sizeof *out);
    for (int i = 0; i < e->side[0] * e->side[1]; i++) {
        const int z = i / e->side[1], y = i % e->side[1];
        const int low = e->low[z][y], high = e->high[z][y];

        if (done[z][y] || low > high)
            continue;
        dilate_rows(row, in, l, n[2], low, high);
        for (int k = i; k < e->side[0] * e->side[1]; k++) {
            const int kz = k / e->side[1], ky = k % e->side[1];

            if (e->low[kz][ky] != low || e->high[kz][ky] != high)
                continue;
            done[kz][ky] = true;
            add_moved(out, row, l, n, kz - oz, ky - oy);
        }
    }
}

static void complement(uint64_t *bits, const layout *l, int64_t nx)
{
    for (int64_t r = 0; r < l->rows; r++) {
        uint64_t *row = bits + r * l->words;

        for (int64_t i = 0; i < l->words; i++)
            row[i] = ~row[i];
        trim_row(row, l->words, nx);
    }
}

/* The complement of the dilated complement, so beyond the border counts as inside. Changes
 * `in`. */
static void erode(uint64_t *out, uint64_t *in, uint64_t *row, const layout *l,
                  const int64_t n[3], const element *e)
{
    complement(in, l, n[2]);
    dilate(out, in, row, l, n, e);
    complement(out, l, n[2]);
}

/* -- operators ------------------------------------------------------------------------------
 */

static void pack(uint64_t *bits, const int16_t *map, int label, const layout *l, int64_t nx)
{
    memset(bits, 0, (size_t)(l->rows * l->words) * sizeof *bits);
    for (int64_t r = 0; r < l->rows; r++) {
        for (int64_t x = 0; x < nx; x++)
            bits[r * l->words + 1 + x / 64] |= (uint64_t)(map[r * nx + x] == label) << x % 64;
    }
}

/* Gives the label exactly the mask's voxels. */
static void unpack(int16_t *map, const uint64_t *bits, int label, const layout *l, int64_t nx)
{
    for (int64_t r = 0; r < l->rows; r++) {
        for (int64_t x = 0; x < nx; x++) {
            int16_t *v = &map[r * nx + x];

            if (bits[r * l->words + 1 + x / 64] >> x % 64 & 1)
                *v = (int16_t)label;
            else if (*v == label)
                *v = 0;
        }
    }
}

static void operate(int16_t *map, const int64_t n[3], const layout *l, bool is_2d,
                    const volt_augment_operator *o)
{
    uint64_t *a = l->bits[0], *b = l->bits[1], *row = l->bits[2];
    element e = {.side = {0}};

    make_element(&e, fmin(fmax(o->radius, 1), RADIUS_MAX), is_2d);
    pack(a, map, o->label, l, n[2]);
    switch (o->kind) {
    case VOLT_DILATE:
        dilate(b, a, row, l, n, &e);
        break;
    case VOLT_ERODE:
        erode(b, a, row, l, n, &e);
        break;
    case VOLT_CLOSE:
        dilate(l->bits[3], a, row, l, n, &e);
        erode(b, l->bits[3], row, l, n, &e);
        break;
    case VOLT_OPEN:
        erode(l->bits[3], a, row, l, n, &e);
        dilate(b, l->bits[3], row, l, n, &e);
        break;
    }
    unpack(map, b, o->label, l, n[2]);
}

/* -- removal of a component -----------------------------------------------------------------
 */

static int32_t root_of(int32_t *parent, int32_t i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

static void join(int32_t *parent, int32_t a, int32_t b)
{
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

/* parent[i] becomes the first voxel of i's component (26 neighbours), or -1 off the label;
 * size[first voxel] its voxels. */
static void find_components(const layout *l, const int16_t *map, const int64_t n[3], int label)
{
    const int64_t voxels = n[0] * n[1] * n[2];

    for (int64_t i = 0; i < voxels; i++) {
        const int64_t z = i / (n[1] * n[2]), y = i / n[2] % n[1], x = i % n[2];

        l->size[i] = 0;
        l->parent[i] = map[i] == label ? (int32_t)i : -1;
        if (map[i] != label)
            continue;
        for (int k = 0; k < 13; k++) { /* the neighbours before it */
            const int64_t dz = k / 9 - 1, dy = k / 3 % 3 - 1, dx = k % 3 - 1;

            if (z + dz < 0 || y + dy < 0 || y + dy >= n[1] || x + dx < 0 || x + dx >= n[2])
                continue;
            const int64_t other = i + (dz * n[1] + dy) * n[2] + dx;
            if (map[other] == label)
                join(l->parent, (int32_t)i, (int32_t)other);
        }
    }
    for (int64_t i = 0; i < voxels; i++) {
        if (l->parent[i] >= 0) {
            l->parent[i] = l->parent[l->parent[i]]; /* roots come first */
            l->size[l->parent[i]]++;
        }
    }
}

static void remove_component(int16_t *map, const int64_t n[3], const layout *l,
                             const volt_augment_removal *r, double below)
{
    const int64_t voxels = n[0] * n[1] * n[2];
    const double limit = (double)voxels * below;
    int64_t candidates = 0, left, first = 0;

    find_components(l, map, n, r->label);
    for (int64_t i = 0; i < voxels; i++)
        candidates += l->size[i] > 0 && l->size[i] < limit;
    if (candidates == 0)
        return;
    left = (int64_t)(r->choice * (double)candidates);
    for (;; first++) {
        if (l->size[first] > 0 && l->size[first] < limit && left-- == 0)
            break;
    }
    for (int64_t i = 0; i < voxels; i++)
        map[i] = l->parent[i] == first ? 0 : map[i];
}

void augment_prior_mask(int16_t *map, const int64_t patch[3], const volt_augment_rules *rules,
                        const volt_augment_draw *draw, void *scratch)
{
    const int64_t voxels = patch[0] * patch[1] * patch[2];
    const layout l = layout_of(patch, scratch);

    for (int64_t i = 0; i < voxels; i++)
        map[i] = map[i] < 0 || map[i] > rules->prior_labels ? 0 : map[i];
    for (int i = 0; i < draw->operators; i++)
        operate(map, patch, &l, patch[0] == 1 || rules->slices_apart, &draw->operation[i]);
    for (int i = 0; i < draw->removals; i++)
        remove_component(map, patch, &l, &draw->removal[i], rules->remove_below);
}
