/* Who computes which part of a scan, and what moves between ranks, against a painter of voxels.
 */
#include "tests/kit/test.h"

#include <math.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/mem.h"
#include "base/rng.h"
#include "nets3d/predict/deal.h"
#include "nets3d/predict/exchange.h"
#include "parallel/ranks.h"
#include "volume/grid/half.h"

enum { MOST = 5 };

/* ---- dealing ---- */

/* Every wanted row is one rank's, in order; slices follow the rows. */
static void check_deal(int64_t slices, int64_t patch, double step, volt_box source,
                       int64_t together, int ranks)
{
    const int64_t shape[3] = {slices, 4, 4}, size[3] = {patch, 4, 4};
    int64_t row[MOST + 1], cut[MOST + 1], first[MOST + 1];
    volt_box have[MOST];
    volt_tiles t = {0};

    assert_ok(volt_tiles_plan(&t, shape, size, step, VOLT_TILES_NNUNET));
    volt_deal_rows(row, &t, source, together, ranks);
    for (int64_t z = 0; z < t.per_axis[0]; z++) {
        const bool wanted = !volt_box_is_empty(source) && t.start[0][z] < source.high[0] &&
                            t.start[0][z] + patch > source.low[0];
        int owners = 0;
        for (int r = 0; r < ranks; r++)
            owners += z >= row[r] && z < row[r + 1];
        assert_int_equal(owners, wanted);
    }
    for (int r = 0; r < ranks; r++) {
        assert_true(row[r] <= row[r + 1]);
        assert_true((row[r] - row[0]) % together == 0 || row[r] == row[ranks]);
        have[r] = volt_deal_rows_box(&t, shape, row[r], row[r + 1]);
        assert_int_equal(volt_box_is_empty(have[r]), row[r] == row[r + 1]);
    }
    volt_deal_slices(cut, have, slices, ranks);
    assert_int_equal(cut[ranks], slices);
    for (int r = 0; r < ranks; r++) {
        assert_true(cut[r] <= cut[r + 1]);
        if (volt_box_is_empty(have[r]) && row[0] < row[ranks])
            assert_true(cut[r] == cut[r + 1]);
    }
    volt_deal_result(first, cut, slices, 3 * slices / 2 + 1, (volt_box){{2, 0, 0}, {9, 1, 1}},
                     ranks);
    assert_int_equal(first[0], 2);
    assert_int_equal(first[ranks], 9);
    for (int r = 0; r < ranks; r++)
        assert_true(first[r] <= first[r + 1]);
    volt_tiles_free(&t);
}

static void rows_and_slices_are_dealt_out_once(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++) {
        for (int64_t slices = 1; slices < 30; slices += 4) {
            const volt_box all = {{0, 0, 0}, {slices, 4, 4}};
            const volt_box some = {{slices / 2, 0, 0}, {slices / 2 + 2, 4, 4}};
            const volt_box none = {{3, 0, 0}, {3, 4, 4}};
            for (int64_t patch = 1; patch < 10; patch += 3) {
                check_deal(slices, patch, 0.5, all, 1, ranks);
                check_deal(slices, patch, 1, all, 1, ranks);
                check_deal(slices, patch, 0.5, some, 1, ranks);
                check_deal(slices, patch, 0.5, none, 1, ranks);
                check_deal(slices, patch, 0.3, all, 3, ranks);
            }
        }
    }
}

static void boxes_share_their_slices(void **state)
{
    /* z=2,y=2 of a scan of 9 slices padded to 12 from -1 on */
    const volt_box have[4] = {{{-1, 0, 0}, {5, 4, 4}},
                              {{-1, 4, 0}, {5, 8, 4}},
                              {{5, 0, 0}, {11, 4, 4}},
                              {{5, 4, 0}, {11, 8, 4}}};
    const int64_t start[3] = {-1, 0, 0}, patch[3] = {12, 8, 4};
    const bool flip[3] = {true, false, true};
    const int64_t wanted[5] = {0, 2, 5, 7, 9};
    volt_box turned;
    int64_t cut[5];

    (void)state;
    volt_deal_boxes(cut, have, 9, 4);
    assert_memory_equal(cut, wanted, sizeof cut);
    turned = volt_deal_mirrored(have[0], start, patch, flip);
    assert_memory_equal(&turned, &have[2], sizeof turned);
    turned = volt_deal_mirrored(turned, start, patch, flip);
    assert_memory_equal(&turned, &have[0], sizeof turned);
}

/* ---- moving ---- */

static volt_box random_box(volt_rng *rng, const int64_t shape[3])
{
    volt_box box;

    for (int a = 0; a < 3; a++) {
        const int64_t p = volt_rng_below(rng, shape[a] + 1);
        const int64_t q = volt_rng_below(rng, shape[a] + 1);
        box.low[a] = p < q ? p : q;
        box.high[a] = p < q ? q : p;
    }
    return volt_box_is_empty(box) ? (volt_box){{0, 0, 0}, {0, 0, 0}} : box;
}

static const int64_t shape[3] = {7, 6, 5};
enum { CHANNELS = 2 };

/* What rank r adds to channel c (CHANNELS: the weight) at a voxel; exact in half precision. */
static float value_of(int r, int64_t c, int64_t z, int64_t y, int64_t x)
{
    return (float)(1 + (r * 7 + c * 5 + z * 3 + y * 2 + x) % 9);
}

static float *sum_at(volt_sums *s, int64_t c, int64_t z, int64_t y, int64_t x)
{
    int64_t n[3];
    int64_t at;

    volt_box_shape(n, s->box);
    at = ((z - s->box.low[0]) * n[1] + y - s->box.low[1]) * n[2] + x - s->box.low[2];
    return c == CHANNELS ? s->stitch.total + at : s->stitch.sum + c * n[0] * n[1] * n[2] + at;
}

static float read_sum(volt_sums *s, int64_t c, int64_t z, int64_t y, int64_t x)
{
    if (c < CHANNELS && s->stitch.half) {
        int64_t n[3];
        volt_box_shape(n, s->box);
        return volt_half_to_float(
            s->stitch.half[((c * n[0] + z - s->box.low[0]) * n[1] + y - s->box.low[1]) * n[2] +
                           x - s->box.low[2]]);
    }
    return *sum_at(s, c, z, y, x);
}

static void write_sum(volt_sums *s, int64_t c, int64_t z, int64_t y, int64_t x, float v)
{
    int64_t n[3];

    volt_box_shape(n, s->box);
    if (c < CHANNELS && s->stitch.half)
        s->stitch.half[((c * n[0] + z - s->box.low[0]) * n[1] + y - s->box.low[1]) * n[2] + x -
                       s->box.low[2]] = volt_float_to_half(v);
    else
        *sum_at(s, c, z, y, x) = v;
}

static volt_status open_sums(volt_sums *out, volt_box box, bool half)
{
    int64_t n[3];

    if (volt_box_is_empty(box))
        box = (volt_box){{0, 0, 0}, {1, 1, 1}};
    out->box = box;
    volt_box_shape(n, box);
    return volt_stitch_open(&out->stitch, CHANNELS, n, n[0], half);
}

static bool holds(volt_box b, int64_t z, int64_t y, int64_t x)
{
    return z >= b.low[0] && z < b.high[0] && y >= b.low[1] && y < b.high[1] && x >= b.low[2] &&
           x < b.high[2];
}

typedef struct move {
    volt_box have[MOST], need[MOST];
    bool half, in_place;
} move;

#define EACH_VOXEL                                                                             \
    for (int64_t z = 0; z < shape[0]; z++)                                                     \
        for (int64_t y = 0; y < shape[1]; y++)                                                 \
            for (int64_t x = 0; x < shape[2]; x++)

static volt_status check_sums(volt_sums *s, const move *m, int me, int ranks)
{
    EACH_VOXEL
    {
        if (!holds(m->need[me], z, y, x))
            continue;
        for (int64_t c = 0; c <= CHANNELS - m->half; c++) {
            float want = 0;
            for (int r = 0; r < ranks; r++)
                want += holds(m->have[r], z, y, x) ? value_of(r, c, z, y, x) : 0;
            if (read_sum(s, c, z, y, x) != want)
                return volt_fail(VOLT_EINTERNAL, "rank %d, plane %d: %g, not %g", me, (int)c,
                                 (double)read_sum(s, c, z, y, x), (double)want);
        }
    }
    return VOLT_OK;
}

static volt_status move_sums(volt_comm *comm, void *context)
{
    const move *m = context;
    const int me = volt_comm_rank(comm), ranks = volt_comm_size(comm);
    const volt_spread sp = {.comm = comm, .rank = me, .ranks = ranks};
    const volt_box both = volt_box_is_empty(m->have[me]) ? m->need[me]
                          : volt_box_is_empty(m->need[me])
                              ? m->have[me]
                              : volt_box_hull(m->have[me], m->need[me]);
    volt_sums from = {.stitch = {.sum = NULL}}, to = {.stitch = {.sum = NULL}};
    volt_status st;

    VOLT_TRY(st, done, open_sums(&from, m->in_place ? both : m->have[me], m->half));
    VOLT_TRY(st, done, open_sums(&to, m->need[me], m->half));
    EACH_VOXEL
    {
        for (int64_t c = 0; c <= CHANNELS && holds(m->have[me], z, y, x); c++)
            write_sum(&from, c, z, y, x, value_of(me, c, z, y, x));
    }
    VOLT_TRY(st, done,
             volt_exchange_add(&sp, m->in_place ? &from : &to, &from, m->have, m->need, 1));
    st = check_sums(m->in_place ? &from : &to, m, me, ranks);
done:
    volt_stitch_close(&from.stitch);
    volt_stitch_close(&to.stitch);
    return st;
}

static void sums_reach_those_who_need_them(void **state)
{
    volt_rng rng = volt_rng_open(11, 0, 0, VOLT_RNG_TEST);

    (void)state;
    for (int i = 0; i < 160; i++) {
        move m = {.half = i % 2, .in_place = i / 2 % 2};
        for (int r = 0; r < MOST; r++) {
            m.have[r] = random_box(&rng, shape);
            m.need[r] = random_box(&rng, shape);
        }
        assert_ok(volt_ranks_run(1 + i / 4 % MOST, move_sums, &m));
    }
}

/* Images out, slices back. */
static volt_status move_image(volt_comm *comm, void *context)
{
    const move *m = context;
    const int me = volt_comm_rank(comm), ranks = volt_comm_size(comm);
    const volt_spread sp = {.comm = comm, .rank = me, .ranks = ranks};
    const volt_grid grid = volt_grid_make(shape, CHANNELS, (double[]){1, 1, 1});
    const int64_t larger[3] = {shape[0] + 3, shape[1] + 2, shape[2] + 1}, at[3] = {2, 1, 1};
    const volt_grid around = volt_grid_make(larger, CHANNELS, (double[]){1, 1, 1});
    volt_volume *whole = NULL, *part = NULL, *back = NULL, *slices = NULL;
    int64_t first[MOST + 1], n[3] = {0, shape[1], shape[2]};
    volt_status st = VOLT_OK;

    for (int r = 0; r <= ranks; r++)
        first[r] = shape[0] * r / ranks;
    if (me == 0) {
        VOLT_TRY(st, done, volt_volume_create(&whole, &grid, VOLT_F32));
        VOLT_TRY(st, done, volt_volume_create(&back, &around, VOLT_F32));
        for (int64_t i = 0; i < CHANNELS * 210; i++)
            ((float *)whole->data)[i] = (float)i;
    }
    VOLT_TRY(st, done, volt_exchange_scatter(&sp, &part, whole, &grid, m->have));
    if ((me == 0 || volt_box_is_empty(m->have[me])) != (part == NULL))
        st = volt_fail(VOLT_EINTERNAL, "rank %d: a part too many or too few", me);
    EACH_VOXEL
    {
        const volt_box b = m->have[me];
        for (int64_t c = 0; c < CHANNELS && part && holds(b, z, y, x); c++) {
            const int64_t *k = part->grid.n;
            if (((float *)part->data)[((c * k[0] + z - b.low[0]) * k[1] + y - b.low[1]) * k[2] +
                                      x - b.low[2]] !=
                (float)(((c * shape[0] + z) * shape[1] + y) * shape[2] + x))
                st = volt_fail(VOLT_EINTERNAL, "rank %d has another voxel", me);
        }
    }
    if (st != VOLT_OK)
        goto done;
    n[0] = first[me + 1] - first[me] > 0 ? first[me + 1] - first[me] : 1;
    const volt_grid mine = volt_grid_make(n, CHANNELS, (double[]){1, 1, 1});
    VOLT_TRY(st, done, volt_volume_create(&slices, &mine, VOLT_F32));
    for (int64_t i = 0; i < CHANNELS * n[0] * 30; i++)
        ((float *)slices->data)[i] = (float)(100 + me);
    VOLT_TRY(st, done, volt_exchange_collect(&sp, back, at, slices, first, m->need[0]));
    for (int64_t i = 0; me == 0 && i < CHANNELS * larger[0] * larger[1] * larger[2]; i++) {
        const int64_t x = i % larger[2] - 1, y = i / larger[2] % larger[1] - 1,
                      z = i / (larger[2] * larger[1]) % larger[0] - 2;
        float want = 0;
        for (int r = 0; r < ranks && holds(m->need[0], z, y, x); r++)
            want = z >= first[r] && z < first[r + 1] ? (float)(100 + r) : want;
        if (((float *)back->data)[i] != want)
            st = volt_fail(VOLT_EINTERNAL, "voxel %d %d %d", (int)z, (int)y, (int)x);
    }
done:
    volt_volume_free(whole);
    volt_volume_free(part);
    volt_volume_free(back);
    volt_volume_free(slices);
    return st;
}

static void images_go_out_and_slices_come_back(void **state)
{
    volt_rng rng = volt_rng_open(12, 0, 0, VOLT_RNG_TEST);

    (void)state;
    for (int i = 0; i < 60; i++) {
        move m = {.half = false};
        for (int r = 0; r < MOST; r++)
            m.have[r] = random_box(&rng, shape);
        m.need[0] = random_box(&rng, shape);
        assert_ok(volt_ranks_run(1 + i % MOST, move_image, &m));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_slices_are_dealt_out_once),
        cmocka_unit_test(boxes_share_their_slices),
        cmocka_unit_test(sums_reach_those_who_need_them),
        cmocka_unit_test(images_go_out_and_slices_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
