#include "tests/kit/rank_cases.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/core/alloc.h"
#include "parallel/comm/count.h"

enum { MOST = RANK_CASES_MOST };

#define CHECK RANK_CHECK
#define CALL  RANK_CALL

void ranks_dawdle(int rank, int call)
{
    const struct timespec t = {0, (rank * 7919 + call * 104729) % 13 * 20000};

    nanosleep(&t, NULL);
}

static float number(int rank, int64_t i)
{
    const uint32_t bits = (uint32_t)(rank * 2654435761u + (uint32_t)i * 40503u);

    return ((float)(bits % 20011) - 10000.0f) * (bits % 3 ? 1e-3f : 1.7f);
}

/* All to all, twice with each of two tags; receives in another order than the sends. */
volt_status ranks_exchange(volt_comm *c, void *context)
{
    const int rank = volt_comm_rank(c), size = volt_comm_size(c);
    int out[2][2][MOST], in[2][2][MOST];
    volt_message send[MOST], receive[MOST];
    volt_ticket *t[2][2] = {{NULL}};
    int64_t messages, bytes;

    (void)context;
    for (int tag = 1; tag >= 0; tag--) {
        for (int k = 0; k < 2; k++) {
            ranks_dawdle(rank, 2 * tag + k);
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

/* A large message in both directions at once, and empty ones. */
volt_status ranks_large(volt_comm *c, void *context)
{
    const size_t bytes = (size_t)8 << 20;
    const int rank = volt_comm_rank(c), other = 1 - rank;
    unsigned char *out = NULL, *in = NULL;
    volt_ticket *t = NULL;
    volt_status st;

    (void)context;
    if (rank > 1 || volt_comm_size(c) < 2)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_alloc(&out, bytes, "a test"));
    VOLT_TRY(st, done, volt_alloc(&in, bytes, "a test"));
    memset(out, 17 + rank, bytes);
    for (int i = 0; i < 3 && st == VOLT_OK; i++) {
        const volt_message send[2] = {{other, out, bytes}, {other, out, 0}},
                           receive[2] = {{other, in, bytes}, {other, in, 0}};
        ranks_dawdle(rank, i);
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

volt_status ranks_sum_f64(volt_comm *c, void *context)
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
        ranks_dawdle(rank, (int)k);
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
volt_status ranks_sum_f32(volt_comm *c, void *context)
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
        ranks_dawdle(rank, k);
        VOLT_TRY(st, done, volt_comm_sum_f32_start(&t[k], c, data[k], counts[k], scratch[k]));
        volt_comm_progress(c);
        volt_count_sum_f32(&m, &b, counts[k], size, rank);
        want_messages += m;
        want_bytes += b;
    }
    for (int k = 2; k >= 0; k--) {
        ranks_dawdle(rank, k + 3);
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

volt_status ranks_gather(volt_comm *c, void *context)
{
    const int rank = volt_comm_rank(c), size = volt_comm_size(c);
    int64_t all[MOST], own = 100 + rank, before, after, messages, bytes;

    (void)context;
    for (int root = 0; root < size; root++) {
        int x[3] = {rank, rank + 1, rank + 2};
        ranks_dawdle(rank, root);
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

volt_status ranks_split(volt_comm *c, void *context)
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

volt_status ranks_agree(volt_comm *c, void *context)
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
    CALL(volt_comm_follow(c, rank == 0 ? VOLT_OK : VOLT_EIO));
    if (rank == 0)
        st = volt_fail(VOLT_EFORMAT, "no such plan");
    CHECK(volt_comm_follow(c, st) == VOLT_EFORMAT);
    CHECK(strcmp(volt_last_error(), "no such plan") == 0); /* no rank is named */
    return VOLT_OK;
}

volt_status ranks_same(volt_comm *c, void *context)
{
    const int rank = volt_comm_rank(c), last = volt_comm_size(c) - 1;
    char text[20] = "the same everywhere", words[60];

    (void)context;
    CALL(volt_comm_same(c, "text", text, sizeof text));
    text[10] = (char)(rank == last ? 'x' : text[10]);
    CHECK(volt_comm_same(c, "their words", text, sizeof text) == VOLT_EINVAL);
    snprintf(words, sizeof words, "ranks 0 and %d differ in their words", last);
    CHECK(strcmp(volt_last_error(), words) == 0);
    CHECK(volt_comm_same(c, "length", text, rank == 1 ? 5 : 4) == VOLT_EINVAL);
    CHECK(strcmp(volt_last_error(), "ranks 0 and 1 differ in length") == 0);
    return VOLT_OK;
}
