/* What exchanges cost: the counts are those of real exchanges between threads. */
#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "parallel/comm.h"
#include "parallel/mesh/cost.h"
#include "parallel/ranks.h"

#define MOST 300000 /* several pieces of a ring, uneven ones */

/* Fails on the thread that runs a rank: cmocka's checks belong to the main thread. */
#define CHECK_SENT(call, expected)                                                             \
    do {                                                                                       \
        volt_traffic before = counted(comm), now, e = (expected);                              \
        VOLT_TRY(st, done, call);                                                              \
        now = counted(comm);                                                                   \
        if (now.messages - before.messages != e.messages ||                                    \
            now.bytes - before.bytes != e.bytes) {                                             \
            st = volt_fail(VOLT_EINTERNAL,                                                     \
                           "line %d: rank %d of %d sent %lld, %lld, not %lld, %lld", __LINE__, \
                           rank, ranks, (long long)(now.messages - before.messages),           \
                           (long long)(now.bytes - before.bytes), (long long)e.messages,       \
                           (long long)e.bytes);                                                \
            goto done;                                                                         \
        }                                                                                      \
    } while (0)

static volt_traffic counted(const volt_comm *comm)
{
    volt_traffic t;

    volt_comm_counts(comm, &t.messages, &t.bytes);
    return t;
}

static volt_status ring(volt_comm *comm, float *data, int64_t count, void *scratch)
{
    volt_ticket *ticket = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_comm_sum_f32_start(&ticket, comm, data, count, scratch));
    st = volt_comm_wait(comm, &ticket);
done:
    return st;
}

static volt_status exchange_all(volt_comm *comm, void *context)
{
    static const int64_t counts[] = {0, 1, 2, 5, 64, 1000, 70001, MOST};
    const int rank = volt_comm_rank(comm), ranks = volt_comm_size(comm);
    void *data = NULL, *all = NULL;
    volt_status st;

    (void)context;
    VOLT_TRY(st, done, volt_alloc_zero(&data, MOST, sizeof(double), "data"));
    VOLT_TRY(st, done, volt_alloc_zero(&all, MOST, sizeof(double), "data"));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const int64_t n = counts[i];
        const size_t each = (size_t)n * sizeof(double) / (size_t)ranks;

        if (volt_comm_sum_scratch(comm, n) > MOST * sizeof(double)) {
            st = volt_fail(VOLT_EINTERNAL, "too much scratch");
            goto done;
        }
        CHECK_SENT(ring(comm, data, n, all), volt_traffic_sum_f32(n, ranks, rank));
        CHECK_SENT(volt_comm_sum_f64(comm, data, n), volt_traffic_sum_f64(n, ranks, rank));
        CHECK_SENT(volt_comm_all_gather(comm, all, data, each),
                   volt_traffic_all_gather(each, ranks, rank));
        for (int root = 0; root < ranks; root++)
            CHECK_SENT(volt_comm_broadcast(comm, data, each, root),
                       volt_traffic_broadcast(each, ranks, rank, root));
    }
done:
    volt_free(all);
    volt_free(data);
    return st;
}

static void cost_counts_are_those_sent(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= 9; ranks++)
        assert_ok(volt_ranks_run(ranks, exchange_all, NULL));
}

static void cost_of_gradients(void **state)
{
    (void)state;
    for (int ranks = 2; ranks <= 64; ranks++) {
        const int64_t count = 1 << 20;
        int64_t sum = 0;

        for (int r = 0; r < ranks; r++)
            sum += volt_traffic_sum_f32(count, ranks, r).bytes;
        assert_int_equal(sum, 2 * (ranks - 1) * count * 4); /* 2 (R - 1) / R of each */
    }
    assert_int_equal(volt_traffic_sum_f32(1 << 20, 1, 0).messages, 0);
}

static void cost_links(void **state)
{
    const volt_links links = {8, {1e-6, 100e9}, {10e-6, 10e9}}, one = {0, {1, 1}, {2, 2}};

    (void)state;
    assert_ptr_equal(volt_links_slowest(&links, 8, 1), &links.near);
    assert_ptr_equal(volt_links_slowest(&links, 4, 1), &links.near);
    assert_ptr_equal(volt_links_slowest(&links, 2, 4), &links.near);
    assert_ptr_equal(volt_links_slowest(&links, 1, 64), &links.near);
    assert_ptr_equal(volt_links_slowest(&links, 3, 1), &links.far); /* ranks 6, 7, 8 */
    assert_ptr_equal(volt_links_slowest(&links, 9, 1), &links.far);
    assert_ptr_equal(volt_links_slowest(&links, 2, 8), &links.far);
    assert_ptr_equal(volt_links_slowest(&one, 1000, 7), &one.near);
}

static void cost_of_pairs(void **state)
{
    const volt_links links = {4, {0, 1}, {0, 1}}, one = {0, {0, 1}, {0, 1}};

    (void)state;
    assert_ptr_equal(volt_links_between(&links, 4, 7), &links.near);
    assert_ptr_equal(volt_links_between(&links, 3, 4), &links.far);
    assert_ptr_equal(volt_links_between(&links, 12, 0), &links.far);
    assert_ptr_equal(volt_links_between(&one, 0, 99), &one.near);
}

static void assert_near(double a, double b)
{
    if (fabs(a - b) > 1e-9)
        fail_msg("%.12g is not %.12g", a, b);
}

static void cost_seconds(void **state)
{
    volt_timeline t = {0};
    double first, second, halo;

    (void)state;
    assert_int_equal(volt_rounds_sum_f64(1), 0);
    assert_int_equal(volt_rounds_sum_f64(8), 3);
    assert_int_equal(volt_rounds_sum_f64(9), 4);
    assert_int_equal(volt_rounds_sum_f32((volt_traffic){1000, 0}, 4), 6);
    assert_int_equal(volt_rounds_sum_f32((volt_traffic){3, 0}, 4), 3);
    assert_int_equal(volt_traffic_add((volt_traffic){1, 2}, (volt_traffic){3, 4}).bytes, 6);
    first = volt_timeline_start(&t, 2, 1, true);
    second = volt_timeline_start(&t, 2, 1, true); /* behind the first's bytes */
    assert_near(first, 3);
    assert_near(second, 5);
    volt_timeline_compute(&t, 1);
    halo = volt_timeline_start(&t, 0.25, 0.25, false); /* ahead of both */
    volt_timeline_wait(&t, halo);
    assert_near(t.now, 1.5);
    volt_timeline_wait(&t, halo); /* is there already */
    assert_near(t.now, 1.5);
    volt_timeline_compute(&t, 2);
    volt_timeline_wait(&t, first); /* was hidden */
    assert_near(t.now, 3.5);
    volt_timeline_wait(&t, second);
    assert_near(t.now, 5);
    assert_near(t.waited, 2);
    assert_near(volt_timeline_start(&t, 1, 0, true), 6); /* the link is free */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cost_counts_are_those_sent),
        cmocka_unit_test(cost_of_gradients),
        cmocka_unit_test(cost_links),
        cmocka_unit_test(cost_of_pairs),
        cmocka_unit_test(cost_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
