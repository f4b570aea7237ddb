/* Communicators of ranks that are threads: messages, sums, groups, failures, time-outs. */
#include "tests/kit/test.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/system/file.h"
#include "base/rng.h"
#include "parallel/comm/comm_internal.h"
#include "parallel/ranks.h"
#include "tests/kit/rank_cases.h"

enum { MOST = RANK_CASES_MOST };

#define CHECK RANK_CHECK
#define CALL  RANK_CALL

/* ---- one rank ---- */

static void a_rank_alone_needs_nobody(void **state)
{
    volt_comm *c = NULL, *s = NULL;
    double x[3] = {1, 2, 3};
    float y[3] = {1, 2, 3};
    int in = 0, out = 5;
    const volt_message send = {0, &out, sizeof out}, receive = {0, &in, sizeof in};
    volt_ticket *t = NULL;
    int64_t messages = -1, bytes = -1;

    (void)state;
    assert_int_equal(volt_comm_rank(NULL), 0);
    assert_int_equal(volt_comm_size(NULL), 1);
    assert_int_equal(volt_comm_host_ranks(NULL), 1);
    assert_string_equal(volt_comm_host(NULL, 0), "");
    assert_ok(volt_comm_barrier(NULL));
    assert_ok(volt_comm_sum_f64(NULL, x, 3));
    assert_ok(volt_comm_agree(NULL, VOLT_OK));
    assert_int_equal(volt_comm_agree(NULL, VOLT_EDATA), VOLT_EDATA);
    assert_int_equal(volt_comm_follow(NULL, VOLT_EDATA), VOLT_EDATA);
    assert_ok(volt_comm_sum_f32_start(&t, NULL, y, 3, NULL));
    assert_ok(volt_comm_wait(NULL, &t));
    volt_comm_close(NULL);
    assert_ok(volt_comm_open(&c, "self"));
    assert_string_equal(volt_comm_library(c), "self");
    assert_int_equal(volt_comm_size(c), 1);
    assert_true(strlen(volt_comm_host(c, 0)) > 0);
    assert_string_equal(volt_comm_host(c, 1), "");
    assert_ok(volt_comm_sum_f64(c, x, 3));
    assert_ok(volt_comm_sum_f32_start(&t, c, y, 3, NULL));
    assert_ok(volt_comm_wait(c, &t));
    assert_true(x[0] == 1 && x[2] == 3 && y[0] == 1 && y[2] == 3);
    assert_int_equal(volt_comm_sum_scratch(c, 1000), 0);
    assert_ok(volt_comm_broadcast(c, x, sizeof x, 0));
    assert_ok(volt_comm_same(c, "nothing", x, sizeof x));
    volt_comm_counts(c, &messages, &bytes);
    assert_int_equal(messages, 0);
    assert_ok(volt_comm_start(&t, c, &send, 1, &receive, 1, 7));
    assert_ok(volt_comm_wait(c, &t));
    assert_null(t);
    assert_int_equal(in, 5);
    volt_comm_counts(c, &messages, &bytes);
    assert_int_equal(messages, 1);
    assert_int_equal(bytes, sizeof out);
    assert_ok(volt_comm_split(&s, c, 3, 0));
    assert_int_equal(volt_comm_size(s), 1);
    volt_comm_close(c); /* the group stays */
    assert_ok(volt_comm_barrier(s));
    volt_comm_close(s);
    assert_fails(volt_comm_open(&c, "carrier pigeons"), VOLT_EINVAL, "carrier pigeons");
}

static void impossible_messages_are_refused(void **state)
{
    volt_comm *c = NULL;
    volt_ticket *t = NULL;
    int x = 0;
    const volt_message wrong = {1, &x, sizeof x}, right = {0, &x, sizeof x};

    (void)state;
    assert_ok(volt_comm_open(&c, "self"));
    assert_fails(volt_comm_start(&t, c, &wrong, 1, NULL, 0, 0), VOLT_EINVAL,
                 "rank 1 of 1 rank");
    assert_fails(volt_comm_start(&t, c, NULL, 0, &wrong, 1, 0), VOLT_EINVAL, "rank 1");
    assert_fails(volt_comm_start(&t, c, &right, 1, &right, 1, -1), VOLT_EINVAL, "tag -1");
    assert_fails(volt_comm_start(&t, c, &right, 1, &right, 1, VOLT_TAG_MAX + 1), VOLT_EINVAL,
                 "16383");
    assert_fails(volt_comm_start(&t, NULL, &right, 1, NULL, 0, 0), VOLT_EINVAL,
                 "without a communicator");
    assert_fails(volt_comm_broadcast(c, &x, sizeof x, 1), VOLT_EINVAL, "rank 1 of 1");
    assert_fails(volt_comm_sum_f64(c, NULL, -1), VOLT_EINVAL, "-1");
    assert_null(t);
    volt_comm_close(c);
    assert_fails(volt_ranks_run(0, NULL, NULL), VOLT_EINVAL, "0 ranks");
    assert_fails(volt_ranks_run(VOLT_RANKS_MAX + 1, NULL, NULL), VOLT_EINVAL, "1025");
}

/* ---- messages ---- */

static void messages_meet_by_peer_tag_and_order(void **state)
{
    int runs = 0;

    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++) {
        for (int again = 0; again < 20; again++, runs++)
            assert_ok(volt_ranks_run(ranks, ranks_exchange, NULL));
    }
    assert_int_equal(runs, 20 * MOST);
}

static void large_messages_cross(void **state)
{
    (void)state;
    assert_ok(volt_ranks_run(2, ranks_large, NULL));
}

static volt_status misfit(volt_comm *c, void *context)
{
    char at[8] = "";
    const volt_message m = {1 - volt_comm_rank(c), at, volt_comm_rank(c) ? 8 : 4};
    volt_ticket *t = NULL;

    (void)context;
    if (volt_comm_rank(c))
        CALL(volt_comm_start(&t, c, &m, 1, NULL, 0, 0));
    else
        CALL(volt_comm_start(&t, c, NULL, 0, &m, 1, 0));
    return volt_comm_wait(c, &t);
}

static void sizes_that_differ_are_an_error(void **state)
{
    (void)state;
    assert_fails(volt_ranks_run(2, misfit, NULL), VOLT_EINTERNAL,
                 "rank 1 sent 8 bytes to rank 0, which expected 4 bytes");
}

/* Progress finds the misfit, in plain messages or a sum; the wait must not succeed. */
static volt_status misfit_in_progress(volt_comm *c, void *context)
{
    char at[8] = "";
    const volt_message m = {1 - volt_comm_rank(c), at, volt_comm_rank(c) ? 8 : 4};
    volt_ticket *t = NULL;
    volt_status st;

    (void)context;
    if (volt_comm_rank(c)) {
        CALL(volt_comm_start(&t, c, &m, 1, NULL, 0, 0));
    } else {
        CALL(volt_comm_start(&t, c, NULL, 0, &m, 1, 0));
    }
    for (int i = 0; i < 100; i++) {
        volt_comm_progress(c);
        usleep(1000);
    }
    st = volt_comm_wait(c, &t);
    CHECK(st != VOLT_OK);
    CHECK(t == NULL);
    return st;
}

static void progress_keeps_failures_for_the_wait(void **state)
{
    (void)state;
    assert_fails(volt_ranks_run(2, misfit_in_progress, NULL), VOLT_EINTERNAL,
                 "rank 1 sent 8 bytes to rank 0, which expected 4 bytes");
}

static volt_status close_early(volt_comm *c, void *context)
{
    char at[8] = "";
    const volt_message m = {1 - volt_comm_rank(c), at, sizeof at};
    volt_ticket *t = NULL;
    volt_comm *group = NULL;

    (void)context;
    CALL(volt_comm_split(&group, c, 0, 0));
    if (volt_comm_rank(c))
        CALL(volt_comm_start(&t, group, NULL, 0, &m, 1, 0));
    volt_comm_close(group);
    return volt_comm_barrier(c);
}

static void closing_with_messages_under_way_is_a_failure(void **state)
{
    const size_t before = volt_mem_current();

    (void)state;
    assert_fails(volt_ranks_run(2, close_early, NULL), VOLT_EINTERNAL, "under way");
    assert_int_equal(volt_mem_current(), before);
}

enum { MANY = 5000 };

static volt_status start_many(volt_comm *c, void *context)
{
    const int other = 1 - volt_comm_rank(c);
    volt_ticket **t = context;
    int sent[MANY], got[MANY];

    t += volt_comm_rank(c) * MANY;
    for (int i = 0; i < MANY; i++) {
        const volt_message send = {other, &sent[i], i % 5 ? sizeof sent[i] : 0},
                           receive = {other, &got[i], i % 5 ? sizeof got[i] : 0};
        sent[i] = i;
        got[i] = -1;
        CALL(volt_comm_start(&t[i], c, &send, 1, &receive, 1, i % 3));
    }
    for (int i = MANY - 1; i >= 0; i--)
        CALL(volt_comm_wait(c, &t[i]));
    for (int i = 0; i < MANY; i++)
        CHECK(got[i] == (i % 5 ? i : -1));
    return VOLT_OK;
}

static void thousands_of_messages_are_under_way(void **state)
{
    static volt_ticket *tickets[2 * MANY];

    (void)state;
    assert_ok(volt_ranks_run(2, start_many, tickets));
}

static void hosts_of_one_name_are_told_apart(void **state)
{
    volt_host host[6] = {{"node"}, {"a"}, {"node"}, {"node"}, {"node"}, {"a"}};
    const char *const boot[6] = {"x", "y", "z", "x", "w", "y"};
    volt_host longest[2];
    const char *const two[2] = {"1", "2"};
    char odd[] = "a\x1b[31m b\n";

    (void)state;
    volt_hosts_tell_apart(host, boot, 6);
    assert_string_equal(host[0].name, "node");
    assert_string_equal(host[1].name, "a");
    assert_string_equal(host[2].name, "node#2");
    assert_string_equal(host[3].name, "node");
    assert_string_equal(host[4].name, "node#3");
    assert_string_equal(host[5].name, "a");
    for (int i = 0; i < 2; i++) {
        memset(longest[i].name, 'n', sizeof longest[i].name);
        longest[i].name[sizeof longest[i].name - 1] = '\0';
    }
    volt_hosts_tell_apart(longest, two, 2);
    assert_int_equal(strlen(longest[1].name), sizeof longest[1].name - 1);
    assert_string_equal(longest[1].name + sizeof longest[1].name - 3, "#2");
    volt_host_clean(odd);
    assert_string_equal(odd, "a?[31m?b?");
}

/* ---- collective calls ---- */

static void few_numbers_are_added_in_rank_order(void **state)
{
    atomic_int ran = 0;

    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++)
        assert_ok(volt_ranks_run(ranks, ranks_sum_f64, &ran));
    assert_int_equal(ran, MOST * (MOST + 1) / 2);
}

static void many_numbers_have_fixed_bits(void **state)
{
    const int64_t counts[] = {0, 1, 2, 3, 7, 8, 9, 1000, 65536, 65537, 200001, 1048577};
    int runs = 0;

    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++) {
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++, runs++) {
            int64_t count = counts[k];
            assert_ok(volt_ranks_run(ranks, ranks_sum_f32, &count));
        }
    }
    assert_int_equal(runs, 12 * MOST);
}

static void all_ranks_get_what_each_has(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++)
        assert_ok(volt_ranks_run(ranks, ranks_gather, NULL));
}

static volt_status barriers(volt_comm *c, void *context)
{
    atomic_int *arrived = context;

    for (int i = 1; i <= 50; i++) {
        ranks_dawdle(volt_comm_rank(c), i);
        atomic_fetch_add(arrived, 1);
        CALL(volt_comm_barrier(c));
        CHECK(atomic_load(arrived) >= i * volt_comm_size(c));
        CALL(volt_comm_barrier(c));
    }
    return VOLT_OK;
}

static void a_barrier_holds_all_back(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++) {
        atomic_int arrived = 0;
        assert_ok(volt_ranks_run(ranks, barriers, &arrived));
    }
}

/* ---- groups ---- */

static void groups_have_their_own_messages(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++) {
        for (int again = 0; again < 5; again++)
            assert_ok(volt_ranks_run(ranks, ranks_split, NULL));
    }
}

static volt_status split_often(volt_comm *c, void *context)
{
    (void)context;
    for (int i = 0; i < 9000; i++) { /* more than there are numbers */
        volt_comm *group = NULL;
        CALL(volt_comm_split(&group, c, 0, 0));
        volt_comm_close(group);
    }
    return VOLT_OK;
}

static void numbers_of_closed_groups_are_free(void **state)
{
    (void)state;
    assert_ok(volt_ranks_run(2, split_often, NULL));
}

/* ---- failures ---- */

static void all_agree_on_the_lowest_failure(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++)
        assert_ok(volt_ranks_run(ranks, ranks_agree, NULL));
}

static void differences_are_named(void **state)
{
    (void)state;
    assert_ok(volt_ranks_run(4, ranks_same, NULL));
}

static atomic_int heard;

/* Rank 2 fails; the others wait for messages that never come. */
static volt_status one_fails(volt_comm *c, void *context)
{
    const bool told = *(bool *)context;
    int x = 0;
    double begin = volt_seconds();
    volt_status st;

    if (volt_comm_rank(c) == 2) {
        ranks_dawdle(2, 5);
        st = volt_fail(VOLT_EDATA, "case_17 has no labels");
        if (told) {
            volt_comm_fail(c, st);
            volt_comm_fail(c, volt_fail(VOLT_EIO, "another one")); /* only the first counts */
            CHECK(volt_comm_barrier(c) == VOLT_EDATA);
        }
        return volt_fail(VOLT_EDATA, "case_17 has no labels");
    }
    {
        const volt_message m = {(volt_comm_rank(c) + 1) % volt_comm_size(c), &x, sizeof x};
        volt_ticket *t = NULL;
        st = volt_comm_start(&t, c, NULL, 0, &m, 1, 0);
        st = st == VOLT_OK ? volt_comm_wait(c, &t) : st;
        CHECK(t == NULL);
    }
    CHECK(st == VOLT_EPEER);
    CHECK(strncmp(volt_last_error(), "rank 2 (", 8) == 0);
    CHECK(strstr(volt_last_error(), "case_17 has no labels"));
    CHECK(volt_seconds() - begin < 10);
    CHECK(volt_comm_barrier(c) == VOLT_EPEER); /* and all calls after it */
    atomic_fetch_add(&heard, 1);
    return volt_comm_barrier(c);
}

static void a_failure_reaches_all_ranks(void **state)
{
    int runs = 0;

    (void)state;
    for (int again = 0; again < 40; again++, runs++) {
        bool told = again % 2;
        atomic_store(&heard, 0);
        assert_fails(volt_ranks_run(4, one_fails, &told), VOLT_EDATA,
                     "rank 2: case_17 has no labels");
        assert_int_equal(atomic_load(&heard), 3);
    }
    assert_int_equal(runs, 40);
}

/* Rank 1 sends late, or fails; rank 0 looks whether anything has come, and works meanwhile. */
static volt_status looks(volt_comm *c, void *context)
{
    const bool fails = *(const bool *)context;
    const double begin = volt_seconds();
    int got = 0, sent = 7, rounds = 0;
    const volt_message m = {1 - volt_comm_rank(c), volt_comm_rank(c) ? &sent : &got,
                            sizeof(int)};
    volt_ticket *t = NULL, *none = NULL;
    volt_status st = VOLT_OK;

    if (volt_comm_rank(c) == 1) {
        ranks_dawdle(1, 1);
        if (fails)
            return volt_fail(VOLT_EDATA, "case_17 has no labels");
        CALL(volt_comm_start(&t, c, &m, 1, NULL, 0, 3));
        return volt_comm_wait(c, &t);
    }
    CALL(volt_comm_start(&t, c, NULL, 0, &m, 1, 3));
    for (; st == VOLT_OK && t && volt_seconds() - begin < 20; rounds++)
        st = volt_comm_test(c, &t);
    CHECK(t == NULL && rounds > 0);
    if (!fails) {
        CHECK(st == VOLT_OK && got == 7);
        return volt_comm_test(c, &none);
    }
    CHECK(st == VOLT_EPEER && volt_comm_test(c, &none) == VOLT_EPEER);
    return st;
}

static void tests_do_not_wait(void **state)
{
    bool fails = false;

    (void)state;
    for (int again = 0; again < 20; again++)
        assert_ok(volt_ranks_run(2, looks, &fails));
    fails = true;
    for (int again = 0; again < 20; again++)
        assert_fails(volt_ranks_run(2, looks, &fails), VOLT_EDATA,
                     "rank 1: case_17 has no labels");
}

static volt_status all_fail(volt_comm *c, void *context)
{
    (void)c;
    (void)context;
    return volt_fail(VOLT_EIO, "there is no such folder");
}

static void what_all_report_is_said_once(void **state)
{
    (void)state;
    assert_int_equal(volt_ranks_run(3, all_fail, NULL), VOLT_EIO);
    assert_string_equal(volt_last_error(), "there is no such folder");
}

static volt_status leave(volt_comm *c, void *context)
{
    int x = 3, y = 0;
    const volt_message m = {0, &x, sizeof x}, r = {1, &y, sizeof y};
    volt_ticket *t = NULL;

    (void)context;
    if (volt_comm_rank(c) == 1) { /* sends one of two, and ends */
        CALL(volt_comm_start(&t, c, &m, 1, NULL, 0, 0));
        return volt_comm_wait(c, &t);
    }
    ranks_dawdle(1, 9);
    CALL(volt_comm_start(&t, c, NULL, 0, &r, 1, 0));
    CALL(volt_comm_wait(c, &t));
    CHECK(y == 3);
    CALL(volt_comm_start(&t, c, NULL, 0, &r, 1, 0));
    return volt_comm_wait(c, &t);
}

static void a_rank_that_left_is_not_waited_for(void **state)
{
    (void)state;
    assert_fails(volt_ranks_run(2, leave, NULL), VOLT_EPEER, "has ended");
    assert_int_equal(strncmp(volt_last_error(), "rank 1 (", 8), 0);
}

static volt_status too_late(volt_comm *c, void *context)
{
    double x = 1, begin = volt_seconds();
    volt_status st;

    volt_comm_set_timeout(c, 0.2);
    CALL(volt_comm_barrier(c));
    if (volt_comm_rank(c) == 1) { /* until the other has given up */
        while (!atomic_load((atomic_bool *)context))
            ranks_dawdle(1, 1);
        CHECK(volt_comm_barrier(c) == VOLT_EPEER);
        return volt_comm_barrier(c);
    }
    {
        const volt_message r = {1, &x, sizeof x};
        volt_ticket *t = NULL;
        CALL(volt_comm_start(&t, c, NULL, 0, &r, 1, 0));
        st = volt_comm_wait(c, &t);
        CHECK(t == NULL);
        atomic_store((atomic_bool *)context, true);
    }
    CHECK(st == VOLT_ETIMEOUT);
    CHECK(volt_seconds() - begin >= 0.2 && volt_seconds() - begin < 10);
    CHECK(volt_comm_waited(c) >= 0.2);
    return volt_fail(st, "%s", strstr(volt_last_error(), "waited"));
}

static void a_wait_ends_at_its_time_out(void **state)
{
    atomic_bool given_up = false;

    (void)state;
    assert_int_equal(volt_ranks_run(2, too_late, &given_up), VOLT_ETIMEOUT);
    if (!strstr(volt_last_error(), "s for rank 1 (") || !strstr(volt_last_error(), "rank 0"))
        fail_msg("%s", volt_last_error());
}

static bool asked_twice(void *user)
{
    return atomic_fetch_add((atomic_int *)user, 1) > 0;
}

/* Rank 0 waits for one that computes on; that one finds the failure at its next message. */
static volt_status stop_waiting(volt_comm *c, void *context)
{
    volt_ticket *none = NULL;

    if (volt_comm_rank(c) == 0) {
        volt_comm_set_cancelled(c, asked_twice, context);
        return volt_comm_barrier(c);
    }
    while (volt_comm_test(c, &none) == VOLT_OK)
        ranks_dawdle(1, 1);
    CHECK(volt_comm_barrier(c) == VOLT_EPEER);
    return VOLT_EPEER;
}

static void a_wait_can_be_cancelled(void **state)
{
    atomic_int asked = 0;

    (void)state;
    assert_fails(volt_ranks_run(2, stop_waiting, &asked), VOLT_ECANCELLED, "request");
    assert_true(atomic_load(&asked) >= 2);
}

/* A rank fails while others are within sums and large messages. */
static volt_status fail_amid(volt_comm *c, void *context)
{
    const int rank = volt_comm_rank(c);
    const int64_t count = 300000;
    volt_ticket *t = NULL;
    float *data = NULL;
    void *scratch = NULL;
    volt_status st, waited;

    VOLT_TRY(st, done, volt_alloc_zero(&data, (size_t)count, sizeof *data, "a test"));
    VOLT_TRY(st, done, volt_alloc(&scratch, volt_comm_sum_scratch(c, count), "a test"));
    for (int i = 0; st == VOLT_OK; i++) {
        st = volt_comm_sum_f32_start(&t, c, data, count, scratch);
        if (st == VOLT_OK && rank == 1 && i == *(int *)context)
            volt_comm_fail(c, volt_fail(VOLT_ENOMEM, "no memory for a test"));
        waited = volt_comm_wait(c, &t);
        st = st == VOLT_OK ? waited : st;
    }
done:
    volt_free(data);
    volt_free(scratch);
    return st;
}

static void buffers_are_free_after_a_failure(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++)
        assert_fails(volt_ranks_run(3 + i % 3, fail_amid, &i), VOLT_ENOMEM, "no memory");
}

static volt_status count_memory(volt_comm *c, void *context)
{
    void *p = NULL;

    CALL(volt_alloc(&p, (size_t)1 << 20, "a test"));
    CALL(volt_comm_barrier(c));
    volt_free(p);
    (void)context;
    return VOLT_OK;
}

static void ranks_count_for_the_callers_scope(void **state)
{
    volt_mem_scope scope;
    const size_t before = volt_mem_current();

    (void)state;
    volt_mem_scope_enter(&scope);
    assert_ok(volt_ranks_run(4, count_memory, NULL));
    volt_mem_scope_leave(&scope);
    assert_true(volt_mem_scope_peak(&scope) >= (size_t)4 << 20);
    assert_int_equal(volt_mem_scope_held(&scope), 0);
    assert_int_equal(volt_mem_current(), before);
}

static void no_allocation_leaves_ranks_hanging(void **state)
{
    const size_t before = volt_mem_current();
    int failed = 0, passed = 0;

    (void)state;
    for (int n = 1; n < 200; n++) {
        int64_t count = 1000;
        volt_status st;
        volt_mem_fail_after(n);
        st = volt_ranks_run(3, ranks_sum_f32, &count);
        volt_mem_fail_after(0);
        assert_true(st == VOLT_OK || st == VOLT_ENOMEM || st == VOLT_EPEER);
        failed += st != VOLT_OK;
        passed += st == VOLT_OK;
        assert_int_equal(volt_mem_current(), before);
    }
    assert_true(failed > 20 && passed > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rank_alone_needs_nobody),
        cmocka_unit_test(impossible_messages_are_refused),
        cmocka_unit_test(messages_meet_by_peer_tag_and_order),
        cmocka_unit_test(large_messages_cross),
        cmocka_unit_test(sizes_that_differ_are_an_error),
        cmocka_unit_test(progress_keeps_failures_for_the_wait),
        cmocka_unit_test(closing_with_messages_under_way_is_a_failure),
        cmocka_unit_test(thousands_of_messages_are_under_way),
        cmocka_unit_test(hosts_of_one_name_are_told_apart),
        cmocka_unit_test(few_numbers_are_added_in_rank_order),
        cmocka_unit_test(many_numbers_have_fixed_bits),
        cmocka_unit_test(all_ranks_get_what_each_has),
        cmocka_unit_test(a_barrier_holds_all_back),
        cmocka_unit_test(groups_have_their_own_messages),
        cmocka_unit_test(numbers_of_closed_groups_are_free),
        cmocka_unit_test(all_agree_on_the_lowest_failure),
        cmocka_unit_test(differences_are_named),
        cmocka_unit_test(a_failure_reaches_all_ranks),
        cmocka_unit_test(tests_do_not_wait),
        cmocka_unit_test(what_all_report_is_said_once),
        cmocka_unit_test(a_rank_that_left_is_not_waited_for),
        cmocka_unit_test(a_wait_ends_at_its_time_out),
        cmocka_unit_test(a_wait_can_be_cancelled),
        cmocka_unit_test(buffers_are_free_after_a_failure),
        cmocka_unit_test(ranks_count_for_the_callers_scope),
        cmocka_unit_test(no_allocation_leaves_ranks_hanging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
