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
#include "parallel/comm/count.h"
#include "parallel/ranks.h"

enum { MOST = 8 };

/* Checks within a rank: cmocka's longjmp must not leave a thread. */
#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition))                                                                      \
            return volt_fail(VOLT_EINTERNAL, "%s:%d: %s", __FILE__, __LINE__, #condition);     \
    } while (0)
#define CALL(call)                                                                             \
    do {                                                                                       \
        const volt_status st_ = (call);                                                        \
        if (st_ != VOLT_OK)                                                                    \
            return st_;                                                                        \
    } while (0)

/* A different delay for each rank and call, so that orders vary. */
static void dawdle(int rank, int call)
{
    const struct timespec t = {0, (rank * 7919 + call * 104729) % 13 * 20000};

    nanosleep(&t, NULL);
}

static float number(int rank, int64_t i)
{
    const uint32_t bits = (uint32_t)(rank * 2654435761u + (uint32_t)i * 40503u);

    return ((float)(bits % 20011) - 10000.0f) * (bits % 3 ? 1e-3f : 1.7f);
}

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

/* All to all, twice with each of two tags; receives in another order than the sends. */
static volt_status exchange(volt_comm *c, void *context)
{
    const int rank = volt_comm_rank(c), size = volt_comm_size(c);
    int out[2][2][MOST], in[2][2][MOST];
    volt_message send[MOST], receive[MOST];
    volt_ticket *t[2][2] = {{NULL}};
    int64_t messages, bytes;

    (void)context;
    for (int tag = 1; tag >= 0; tag--) {
        for (int k = 0; k < 2; k++) {
            dawdle(rank, 2 * tag + k);
            for (int p = 0; p < size; p++) {
                out[tag][k][p] = 1000 * tag + 100 * k + 10 * rank + p;
                send[p] = (volt_message){p, &out[tag][k][p], sizeof(int)};
                receive[p] = (volt_message){p, &in[tag][k][p], sizeof(int)};
            }
            CALL(volt_comm_start(&t[tag][k], c, send, size, receive, size, tag * VOLT_TAG_MAX));
            volt_comm_progress(c);
        }
    }
    for (int k = 1; k >= 0; k--) {
        for (int tag = 0; tag < 2; tag++) {
            CALL(volt_comm_wait(c, &t[tag][k]));
            CHECK(t[tag][k] == NULL);
            for (int p = 0; p < size; p++)
                CHECK(in[tag][k][p] == 1000 * tag + 100 * k + 10 * p + rank);
        }
    }
    volt_comm_counts(c, &messages, &bytes);
    CHECK(messages == 4 * size && bytes == 4 * size * (int64_t)sizeof(int));
    return VOLT_OK;
}

static void messages_meet_by_peer_tag_and_order(void **state)
{
    int runs = 0;

    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++) {
        for (int again = 0; again < 20; again++, runs++)
            assert_ok(volt_ranks_run(ranks, exchange, NULL));
    }
    assert_int_equal(runs, 20 * MOST);
}

/* A large message in both directions at once, and empty ones. */
static volt_status large(volt_comm *c, void *context)
{
    const size_t bytes = (size_t)8 << 20;
    const int rank = volt_comm_rank(c), other = 1 - rank;
    unsigned char *out = NULL, *in = NULL;
    volt_ticket *t = NULL;
    volt_status st;

    (void)context;
    VOLT_TRY(st, done, volt_alloc(&out, bytes, "a test"));
    VOLT_TRY(st, done, volt_alloc(&in, bytes, "a test"));
    memset(out, 17 + rank, bytes);
    for (int i = 0; i < 3 && st == VOLT_OK; i++) {
        const volt_message send[2] = {{other, out, bytes}, {other, out, 0}},
                           receive[2] = {{other, in, bytes}, {other, in, 0}};
        dawdle(rank, i);
        VOLT_TRY(st, done, volt_comm_start(&t, c, send, 2, receive, 2, 1));
        VOLT_TRY(st, done, volt_comm_wait(c, &t));
        for (size_t k = 0; k < bytes && st == VOLT_OK; k++)
            st = in[k] == 17 + other ? VOLT_OK : volt_fail(VOLT_EINTERNAL, "byte %zu", k);
        memset(in, 0, bytes);
    }
done:
    volt_free(out);
    volt_free(in);
    return st;
}

static void large_messages_cross(void **state)
{
    (void)state;
    assert_ok(volt_ranks_run(2, large, NULL));
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

/* ---- collective calls ---- */

static volt_status sum_f64(volt_comm *c, void *context)
{
    const int rank = volt_comm_rank(c), size = volt_comm_size(c);
    const int counts[] = {1, 2, 7, 300};
    double x[300], want[300];

    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        int64_t before, after, messages, bytes;
        for (int i = 0; i < counts[k]; i++) {
            x[i] = number(rank, i);
            want[i] = number(0, i);
            for (int r = 1; r < size; r++)
                want[i] += (double)number(r, i);
        }
        dawdle(rank, (int)k);
        volt_comm_counts(c, &before, NULL);
        CALL(volt_comm_sum_f64(c, x, counts[k]));
        volt_comm_counts(c, &after, NULL);
        CHECK(memcmp(x, want, (size_t)counts[k] * sizeof *x) == 0);
        volt_count_all_gather(&messages, &bytes, (size_t)counts[k] * sizeof *x, size, rank);
        CHECK(after - before == messages);
    }
    atomic_fetch_add((atomic_int *)context, 1);
    return VOLT_OK;
}

static void few_numbers_are_added_in_rank_order(void **state)
{
    atomic_int ran = 0;

    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++)
        assert_ok(volt_ranks_run(ranks, sum_f64, &ran));
    assert_int_equal(ran, MOST * (MOST + 1) / 2);
}

/* What the ring adds, by a plain loop: part p in the order p, p + 1, ... */
static void plain_sum(float *out, int64_t count, int size, int seed)
{
    for (int p = 0; p < size; p++) {
        const int64_t low = count / size * p + count % size * p / size;
        const int64_t high = count / size * (p + 1) + count % size * (p + 1) / size;
        for (int64_t i = low; i < high; i++) {
            out[i] = number(p + seed, i);
            for (int r = 1; r < size; r++)
                out[i] += number((p + r) % size + seed, i);
        }
    }
}

/* Three sums under way at once, waited for in another order. */
static volt_status sum_f32(volt_comm *c, void *context)
{
    const int rank = volt_comm_rank(c), size = volt_comm_size(c);
    const int64_t counts[3] = {*(int64_t *)context, *(int64_t *)context / 3 + 1, 5};
    int64_t messages[2], bytes[2], want_messages = 0, want_bytes = 0;
    float *data[3] = {NULL}, *want = NULL;
    void *scratch[3] = {NULL};
    volt_ticket *t[3] = {NULL};
    volt_status st = VOLT_OK;

    volt_comm_counts(c, &messages[0], &bytes[0]);
    for (int k = 0; k < 3; k++) {
        const size_t room = volt_comm_sum_scratch(c, counts[k]);
        int64_t m, b;
        VOLT_TRY(st, done, volt_alloc(&data[k], (size_t)counts[k] * sizeof(float), "a test"));
        VOLT_TRY(st, done, volt_alloc(&scratch[k], room, "a test"));
        for (int64_t i = 0; i < counts[k]; i++)
            data[k][i] = number(rank + k, i);
        dawdle(rank, k);
        VOLT_TRY(st, done, volt_comm_sum_f32_start(&t[k], c, data[k], counts[k], scratch[k]));
        volt_comm_progress(c);
        volt_count_sum_f32(&m, &b, counts[k], size, rank);
        want_messages += m;
        want_bytes += b;
    }
    for (int k = 2; k >= 0; k--) {
        dawdle(rank, k + 3);
        VOLT_TRY(st, done, volt_comm_wait(c, &t[k]));
        volt_free(want);
        want = NULL;
        VOLT_TRY(st, done, volt_alloc(&want, (size_t)counts[k] * sizeof(float), "a test"));
        plain_sum(want, counts[k], size, k);
        if (memcmp(want, data[k], (size_t)counts[k] * sizeof(float)) != 0)
            st = volt_fail(VOLT_EINTERNAL, "sum %d of %lld differs", k, (long long)counts[k]);
        VOLT_TRY(st, done, st);
    }
    volt_comm_counts(c, &messages[1], &bytes[1]);
    if (messages[1] - messages[0] != want_messages || bytes[1] - bytes[0] != want_bytes)
        st =
            volt_fail(VOLT_EINTERNAL, "%lld messages, %lld bytes counted",
                      (long long)(messages[1] - messages[0]), (long long)(bytes[1] - bytes[0]));
done:
    volt_comm_fail(c, st);
    for (int k = 0; k < 3; k++) {
        if (t[k] && volt_comm_wait(c, &t[k]) != VOLT_OK && st == VOLT_OK)
            st = VOLT_EINTERNAL;
        volt_free(data[k]);
        volt_free(scratch[k]);
    }
    volt_free(want);
    return st;
}

static void many_numbers_have_fixed_bits(void **state)
{
    const int64_t counts[] = {0, 1, 2, 3, 7, 8, 9, 1000, 65536, 65537, 200001, 1048577};
    int runs = 0;

    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++) {
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++, runs++) {
            int64_t count = counts[k];
            assert_ok(volt_ranks_run(ranks, sum_f32, &count));
        }
    }
    assert_int_equal(runs, 12 * MOST);
}

static volt_status gather(volt_comm *c, void *context)
{
    const int rank = volt_comm_rank(c), size = volt_comm_size(c);
    int64_t all[MOST], own = 100 + rank, before, after, messages, bytes;

    (void)context;
    for (int root = 0; root < size; root++) {
        int x[3] = {rank, rank + 1, rank + 2};
        dawdle(rank, root);
        volt_comm_counts(c, &before, NULL);
        CALL(volt_comm_broadcast(c, x, sizeof x, root));
        volt_comm_counts(c, &after, NULL);
        volt_count_broadcast(&messages, &bytes, sizeof x, size, rank, root);
        CHECK(x[0] == root && x[1] == root + 1 && x[2] == root + 2);
        CHECK(after - before == messages);
        memset(all, 0, sizeof all);
        CALL(volt_comm_all_gather(c, all, &own, sizeof own));
        for (int i = 0; i < size; i++)
            CHECK(all[i] == 100 + i);
        volt_comm_counts(c, &before, NULL);
        CALL(volt_comm_barrier(c));
        volt_comm_counts(c, &after, NULL);
        volt_count_barrier(&messages, &bytes, size);
        CHECK(after - before == messages);
    }
    all[rank] = own; /* in place */
    CALL(volt_comm_all_gather(c, all, &all[rank], sizeof own));
    CHECK(all[size - 1] == 99 + size);
    return VOLT_OK;
}

static void all_ranks_get_what_each_has(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++)
        assert_ok(volt_ranks_run(ranks, gather, NULL));
}

static volt_status barriers(volt_comm *c, void *context)
{
    atomic_int *arrived = context;

    for (int i = 1; i <= 50; i++) {
        dawdle(volt_comm_rank(c), i);
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

static volt_status split(volt_comm *c, void *context)
{
    const int rank = volt_comm_rank(c), size = volt_comm_size(c);
    volt_comm *group = NULL, *pair = NULL, *none = c;
    int64_t before, after, inside;
    int other = 0;
    double sum = rank;

    (void)context;
    CALL(volt_comm_split(&group, c, rank % 2, -rank)); /* keys turn the order around */
    CHECK(volt_comm_size(group) == (size + (rank % 2 == 0)) / 2);
    CHECK(volt_comm_rank(group) == volt_comm_size(group) - 1 - rank / 2);
    CHECK(volt_comm_host_ranks(group) == volt_comm_size(group));
    CHECK(volt_comm_host_index(group) == volt_comm_rank(group));
    volt_comm_counts(c, &before, NULL);
    CALL(volt_comm_sum_f64(group, &sum, 1));
    volt_comm_counts(c, &after, NULL);
    volt_comm_counts(group, &inside, NULL);
    CHECK(after - before == inside);
    for (int i = rank % 2; i < size; i += 2)
        sum -= i;
    CHECK(sum == 0);
    /* The same tag in two communicators at the same time. */
    {
        const int peer = rank ^ 1, in_group = volt_comm_size(group) - 1 - volt_comm_rank(group);
        int in[2] = {-1, -1}, out[2] = {rank, 100 + rank};
        const volt_message s[2] = {{peer, &out[0], 4}, {in_group, &out[1], 4}},
                           r[2] = {{peer, &in[0], 4}, {in_group, &in[1], 4}};
        const int n = peer < size;
        volt_ticket *a = NULL, *b = NULL;
        CALL(volt_comm_start(&b, group, &s[1], 1, &r[1], 1, 3));
        CALL(volt_comm_start(&a, c, s, n, r, n, 3));
        CALL(volt_comm_wait(c, &a));
        CALL(volt_comm_wait(group, &b));
        CHECK(!n || in[0] == peer);
        CHECK(in[1] == 100 + 2 * (volt_comm_size(group) - 1 - in_group) + rank % 2);
    }
    CALL(volt_comm_split(&none, c, rank == 0 ? 0 : -1, 0));
    CHECK((none != NULL) == (rank == 0));
    volt_comm_close(none);
    CALL(volt_comm_split(&pair, group, volt_comm_rank(group) / 2, 0)); /* a group of a group */
    other = rank;
    CALL(volt_comm_broadcast(pair, &other, sizeof other, 0));
    CHECK(volt_comm_size(pair) <= 2);
    volt_comm_close(group); /* before its own group */
    CALL(volt_comm_barrier(pair));
    volt_comm_close(pair);
    return VOLT_OK;
}

static void groups_have_their_own_messages(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++) {
        for (int again = 0; again < 5; again++)
            assert_ok(volt_ranks_run(ranks, split, NULL));
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

static volt_status agree(volt_comm *c, void *context)
{
    const int rank = volt_comm_rank(c), size = volt_comm_size(c);
    volt_status st = VOLT_OK;
    char word[64];

    (void)context;
    CALL(volt_comm_agree(c, VOLT_OK));
    if (rank == size - 1 || rank == size - 2)
        st = volt_fail(VOLT_EDATA, "case %d is bad", rank);
    st = volt_comm_agree(c, st);
    CHECK(st == VOLT_EDATA);
    snprintf(word, sizeof word, "case %d is bad", size > 1 ? size - 2 : 0);
    CHECK(strstr(volt_last_error(), word));
    snprintf(word, sizeof word, "rank %d (", size - 2);
    CHECK(size == 1 || strncmp(volt_last_error(), word, strlen(word)) == 0);
    CALL(volt_comm_agree(c, VOLT_OK)); /* nothing is broken */
    return VOLT_OK;
}

static void all_agree_on_the_lowest_failure(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++)
        assert_ok(volt_ranks_run(ranks, agree, NULL));
}

static volt_status same(volt_comm *c, void *context)
{
    const int rank = volt_comm_rank(c);
    char text[20] = "the same everywhere";

    (void)context;
    CALL(volt_comm_same(c, "text", text, sizeof text));
    text[10] = (char)(rank == 2 ? 'x' : text[10]);
    CHECK(volt_comm_same(c, "their words", text, sizeof text) == VOLT_EINVAL);
    CHECK(strcmp(volt_last_error(), "ranks 0 and 2 differ in their words") == 0);
    CHECK(volt_comm_same(c, "length", text, rank == 1 ? 5 : 4) == VOLT_EINVAL);
    CHECK(strcmp(volt_last_error(), "ranks 0 and 1 differ in length") == 0);
    return VOLT_OK;
}

static void differences_are_named(void **state)
{
    (void)state;
    assert_ok(volt_ranks_run(4, same, NULL));
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
        dawdle(2, 5);
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
        dawdle(1, 1);
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
    dawdle(1, 9);
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
            dawdle(1, 1);
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
        st = volt_ranks_run(3, sum_f32, &count);
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
        cmocka_unit_test(buffers_are_free_after_a_failure),
        cmocka_unit_test(ranks_count_for_the_callers_scope),
        cmocka_unit_test(no_allocation_leaves_ranks_hanging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
