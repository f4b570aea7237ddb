/* Transfers against a painter: voxels are painted by their owners, the moves of all ranks are
 * played, and every rank must have what it needs, each voxel once. */
#include "tests/kit/test.h"
#include "base/rng.h"
#include "parallel/mesh/partition.h"
#include "parallel/mesh/transfer.h"

#define MOST_RANKS  9
#define MOST_VOXELS 8192

static const volt_box empty;

typedef struct world {
    int64_t extent[3];
    int ranks;
    volt_box have[MOST_RANKS], need[MOST_RANKS];
} world;

#define FOR_VOXELS(v, box) for (int64_t v##_i = 0; next_voxel(v, box, v##_i); v##_i++)

/* Voxel i of a box. */
static bool next_voxel(int64_t v[3], volt_box box, int64_t i)
{
    int64_t shape[3];

    if (i >= volt_box_voxels(box))
        return false;
    volt_box_shape(shape, box);
    v[2] = box.low[2] + i % shape[2];
    v[1] = box.low[1] + i / shape[2] % shape[1];
    v[0] = box.low[0] + i / shape[2] / shape[1];
    return true;
}

static int64_t number_of(const world *w, const int64_t v[3])
{
    return (v[0] * w->extent[1] + v[1]) * w->extent[2] + v[2];
}

/* What the painter finds: 0, or why there is no plan. */
static volt_status paint(const world *w, int8_t *owner)
{
    int64_t v[3];

    memset(owner, -1, (size_t)(w->extent[0] * w->extent[1] * w->extent[2]));
    for (int r = 0; r < w->ranks; r++) {
        FOR_VOXELS(v, w->have[r])
        {
            if (owner[number_of(w, v)] >= 0)
                return VOLT_EINVAL;
            owner[number_of(w, v)] = (int8_t)r;
        }
    }
    for (int r = 0; r < w->ranks; r++) {
        FOR_VOXELS(v, w->need[r])
        {
            if (owner[number_of(w, v)] < 0)
                return VOLT_EINVAL;
        }
    }
    return VOLT_OK;
}

static void check_order(const volt_move *list, int count, int64_t voxels)
{
    int64_t sum = 0;

    for (int i = 0; i < count; i++) {
        assert_true(i == 0 || list[i - 1].peer < list[i].peer);
        assert_int_equal(list[i].voxels_before, sum);
        assert_false(volt_box_is_empty(list[i].box));
        sum += volt_box_voxels(list[i].box);
    }
    assert_int_equal(sum, voxels);
}

/* Packs what `from` sends to `to`; gives the number of voxels, which are their numbers. */
static int64_t pack(int64_t *message, const world *w, const volt_transfer *from, int to)
{
    int64_t v[3], count = 0;

    for (int i = 0; i < from->sends; i++) {
        FOR_VOXELS(v, from->send[i].box)
        {
            if (from->send[i].peer == to)
                message[count++] = number_of(w, v);
        }
    }
    return count;
}

/* Plays the moves to rank r; *arrived marks what it has got. */
static void receive(int8_t *arrived, const world *w, const volt_transfer *plan, int r)
{
    static int64_t message[MOST_VOXELS];
    int64_t v[3], received = 0, sent = 0;

    for (int i = 0; i < plan[r].receives; i++) {
        const volt_move *m = &plan[r].receive[i];
        const int64_t count = pack(message, w, &plan[m->peer], r);
        int64_t at = 0;

        assert_int_equal(count, volt_box_voxels(m->box));
        FOR_VOXELS(v, m->box)
        {
            assert_int_equal(message[at++], number_of(w, v));
            assert_int_equal(arrived[number_of(w, v)]++, 0);
        }
        received += count;
    }
    for (int s = 0; s < w->ranks; s++)
        sent += pack(message, w, &plan[s], r);
    assert_int_equal(sent, received);
}

static void check_rank(const world *w, const volt_transfer *plan, int r, const int8_t *owner)
{
    static int8_t arrived[MOST_VOXELS];
    int64_t v[3], missing = 0;

    memset(arrived, 0, (size_t)(w->extent[0] * w->extent[1] * w->extent[2]));
    check_order(plan[r].send, plan[r].sends, plan[r].voxels_out);
    check_order(plan[r].receive, plan[r].receives, plan[r].voxels_in);
    receive(arrived, w, plan, r);
    FOR_VOXELS(v, w->need[r])
    {
        const bool own = owner[number_of(w, v)] == r;

        assert_int_equal(arrived[number_of(w, v)], !own);
        missing += !own;
    }
    assert_int_equal(plan[r].voxels_in, missing); /* and nothing else */
    for (int i = 0; i < plan[r].sends; i++)
        assert_true(volt_box_contains(w->have[r], plan[r].send[i].box));
}

/* Plans and plays a world; whether there was a plan. */
static bool play(const world *w)
{
    static int8_t owner[MOST_VOXELS];
    const volt_status expected = paint(w, owner);
    volt_transfer plan[MOST_RANKS] = {{0}};

    for (int r = 0; r < w->ranks; r++)
        assert_int_equal(volt_transfer_plan(&plan[r], w->have, w->need, w->ranks, r), expected);
    for (int r = 0; r < w->ranks && expected == VOLT_OK; r++)
        check_rank(w, plan, r, owner);
    for (int r = 0; r < w->ranks; r++)
        volt_transfer_clear(&plan[r]);
    return expected == VOLT_OK;
}

/* ---- one dimension: everything ---- */

static volt_box interval(int64_t low, int64_t high)
{
    return low < high ? (volt_box){{0, 0, low}, {1, 1, high}} : empty;
}

/* All intervals of n voxels, the empty one first. */
static int intervals_of(volt_box *out, int64_t n)
{
    int count = 0;

    out[count++] = empty;
    for (int64_t low = 0; low < n; low++)
        for (int64_t high = low + 1; high <= n; high++)
            out[count++] = interval(low, high);
    return count;
}

/* Digit k of i in base `base`. */
static int digit(int64_t i, int base, int k)
{
    while (k-- > 0)
        i /= base;
    return (int)(i % base);
}

static int64_t power(int base, int exponent)
{
    return exponent ? base * power(base, exponent - 1) : 1;
}

/* Every choice of boxes that ranks have and need, sensible or not. */
static void transfer_anything_in_one_dimension(void **state)
{
    static const struct {
        int ranks, n;
    } sizes[] = {{1, 4}, {2, 4}, {3, 3}};
    volt_box all[64];
    int64_t planned = 0, refused = 0;

    (void)state;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int count = intervals_of(all, sizes[k].n);
        world w = {.extent = {1, 1, sizes[k].n}, .ranks = sizes[k].ranks};

        for (int64_t i = 0; i < power(count, 2 * w.ranks); i++) {
            for (int r = 0; r < w.ranks; r++) {
                w.have[r] = all[digit(i, count, r)];
                w.need[r] = all[digit(i, count, w.ranks + r)];
            }
            if (play(&w))
                planned++;
            else
                refused++;
        }
    }
    assert_true(planned > 1000 && refused > 1000);
}

/* Every partition into contiguous parts, some of them empty, and every need. */
static void transfer_all_of_one_dimension(void **state)
{
    static const struct {
        int ranks, n;
    } sizes[] = {{2, 7}, {3, 5}, {4, 3}};
    volt_box all[64];
    int64_t planned = 0;

    (void)state;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int n = sizes[k].n, ranks = sizes[k].ranks, count = intervals_of(all, n);
        world w = {.extent = {1, 1, n}, .ranks = ranks};

        for (int64_t cuts = 0; cuts < power(n + 1, ranks - 1); cuts++) {
            bool ascending = true;

            for (int r = 0; r < ranks; r++) {
                const int low = r ? digit(cuts, n + 1, r - 1) : 0;
                const int high = r + 1 < ranks ? digit(cuts, n + 1, r) : n;

                ascending &= low <= high;
                w.have[r] = interval(low, high);
            }
            for (int64_t i = 0; ascending && i < power(count, ranks); i++) {
                for (int r = 0; r < ranks; r++)
                    w.need[r] = all[digit(i, count, r)];
                assert_true(play(&w));
                planned++;
            }
        }
    }
    assert_true(planned > 50000);
}

/* ---- grids ---- */

static volt_box whole(const world *w)
{
    return volt_box_of_shape(w->extent);
}

/* Halos of every width, to the whole volume; then gathers, scatters, slabs. */
static void play_grid(world *w)
{
    for (int64_t margin = 0; margin <= 6; margin++) {
        for (int side = 0; side < 3; side++) {
            for (int r = 0; r < w->ranks; r++) {
                volt_box box = w->have[r];
                for (int a = 0; a < 3; a++) {
                    box.low[a] -= side != 1 ? margin : 0;
                    box.high[a] += side != 0 ? margin : 0;
                }
                w->need[r] = volt_box_intersect(box, whole(w));
            }
            assert_true(play(w));
        }
    }
    for (int root = 0; root < w->ranks; root++) {
        world one = *w;

        for (int r = 0; r < w->ranks; r++)
            one.need[r] = r == root ? whole(w) : empty;
        assert_true(play(&one)); /* gather */
        for (int r = 0; r < w->ranks; r++) {
            one.have[r] = r == root ? whole(w) : empty;
            one.need[r] = w->have[r];
        }
        assert_true(play(&one)); /* scatter */
    }
    for (int r = 0; r < w->ranks; r++) { /* slabs along z */
        w->need[r] = whole(w);
        w->need[r].low[0] = r * w->extent[0] / w->ranks;
        w->need[r].high[0] = (r + 1) * w->extent[0] / w->ranks;
    }
    assert_true(play(w));
}

static void transfer_grids(void **state)
{
    int grids = 0;

    (void)state;
    for (int i = 0; i < 8 * 8 * 8; i++) {
        const int parts[3] = {1 + i / 64, 1 + i / 8 % 8, 1 + i % 8};

        if (parts[0] * parts[1] * parts[2] > 8)
            continue;
        for (int64_t align = 1; align <= 2; align++) {
            for (int more = 0; more < 3; more++) {
                world w = {.ranks = parts[0] * parts[1] * parts[2]};
                const int64_t aligned[3] = {align, align, align};
                volt_partition p;

                for (int a = 0; a < 3; a++)
                    w.extent[a] = parts[a] > 1 ? parts[a] * align + more : 1 + more;
                assert_ok(volt_partition_make(&p, w.extent, parts, aligned));
                for (int r = 0; r < w.ranks; r++)
                    w.have[r] = volt_partition_box_of(&p, r);
                play_grid(&w);
                volt_partition_clear(&p);
                grids++;
            }
        }
    }
    assert_true(grids > 200);
}

/* A rank in the middle gets something from all 26 around it. */
static void transfer_all_neighbours(void **state)
{
    volt_box have[27], need[27];
    volt_transfer t;
    volt_partition p;

    (void)state;
    assert_ok(volt_partition_make(&p, (int64_t[]){9, 12, 15}, (int[]){3, 3, 3},
                                  (int64_t[]){1, 1, 1}));
    for (int r = 0; r < 27; r++) {
        have[r] = volt_partition_box_of(&p, r);
        need[r] = volt_box_intersect(volt_box_grow(have[r], (int64_t[]){1, 1, 2}),
                                     (volt_box){{0}, {9, 12, 15}});
    }
    assert_ok(volt_transfer_plan(&t, have, need, 27, 13));
    assert_int_equal(t.sends, 26);
    assert_int_equal(t.receives, 26);
    assert_int_equal(t.voxels_in, 5 * 6 * 9 - 3 * 4 * 5);
    volt_transfer_clear(&t);
    volt_partition_clear(&p);
}

/* ---- larger ones, by chance ---- */

/* Between 0 and n, both included. */
static int64_t any(volt_rng *rng, int64_t n)
{
    return volt_rng_below(rng, n + 1);
}

/* Cuts a random box in two until there are enough; parts may be empty. */
static void cut_at_random(world *w, volt_rng *rng)
{
    w->have[0] = whole(w);
    for (int count = 1; count < w->ranks; count++) {
        const int from = (int)any(rng, count - 1), axis = (int)any(rng, 2);
        volt_box *box = &w->have[from];
        const int64_t at =
            box->low[axis] +
            (volt_box_is_empty(*box) ? 0 : any(rng, box->high[axis] - box->low[axis]));

        w->have[count] = *box;
        w->have[count].low[axis] = at;
        box->high[axis] = at;
    }
}

/* One in eight may be empty. */
static volt_box any_box(const world *w, volt_rng *rng)
{
    const bool sorted = any(rng, 7) > 0;
    volt_box box;

    for (int a = 0; a < 3; a++) {
        const int64_t one = any(rng, w->extent[a]), other = any(rng, w->extent[a]);

        box.low[a] = sorted && other < one ? other : one;
        box.high[a] = sorted && other < one ? one : other;
    }
    return box;
}

static void transfer_random(void **state)
{
    volt_rng rng = volt_rng_open(13, 0, 0, VOLT_RNG_TEST);
    int planned = 0, refused = 0;

    (void)state;
    for (int i = 0; i < 1500; i++) {
        world w = {.ranks = 1 + (int)any(&rng, MOST_RANKS - 1)};

        for (int a = 0; a < 3; a++)
            w.extent[a] = 1 + any(&rng, 15);
        cut_at_random(&w, &rng);
        if (any(&rng, 1)) /* somebody is not there */
            w.have[any(&rng, w.ranks - 1)] = empty;
        for (int r = 0; r < w.ranks; r++)
            w.need[r] = any_box(&w, &rng);
        if (play(&w))
            planned++;
        else
            refused++;
    }
    assert_true(planned > 300 && refused > 300);
}

static void transfer_names_what_is_wrong(void **state)
{
    const volt_box have[3] = {
        {{0, 0, 0}, {4, 4, 2}}, {{0, 0, 2}, {4, 4, 4}}, {{2, 3, 3}, {4, 4, 4}}};
    volt_box need[3] = {{{0, 0, 0}, {4, 4, 4}}, {{0}, {0}}, {{0}, {0}}};
    volt_transfer t = {.sends = 7};

    (void)state;
    assert_fails(volt_transfer_plan(&t, have, need, 3, 0), VOLT_EINVAL,
                 "ranks 1 and 2 both have voxel z 2, y 3, x 3");
    need[1] = (volt_box){{1, 2, 0}, {3, 5, 3}};
    assert_fails(volt_transfer_plan(&t, have, need, 2, 0), VOLT_EINVAL,
                 "rank 1 needs voxel z 1, y 4, x 0, which no rank has");
    assert_int_equal(t.sends, 7); /* unchanged */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transfer_anything_in_one_dimension),
        cmocka_unit_test(transfer_all_of_one_dimension),
        cmocka_unit_test(transfer_grids),
        cmocka_unit_test(transfer_all_neighbours),
        cmocka_unit_test(transfer_random),
        cmocka_unit_test(transfer_names_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
