/* A rank alone that behaves as one of many: what it sends is what it would send to them. */
#include "tests/kit/test.h"
#include "parallel/comm/rehearse.h"
#include "parallel/ranks.h"

/* Fails on the thread that runs a rank: cmocka's checks belong to the main thread. */
#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            st = volt_fail(VOLT_EINTERNAL, "line %d: %s", __LINE__, #condition);               \
            goto done;                                                                         \
        }                                                                                      \
    } while (0)

/* What every rank does, and how much that sends. */
static volt_status play(volt_comm *c, int64_t sent[2])
{
    const int ranks = volt_comm_size(c);
    int own[2] = {7, 3}, all[2 * 16];
    double sums[3] = {1, 2, 3};
    float numbers[100] = {0}, scratch[400];
    char word[6] = "word";
    volt_ticket *ticket = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_comm_all_gather(c, all, own, sizeof own));
    for (int i = 0; i < ranks; i++)
        CHECK(all[2 * i] == 7 && all[2 * i + 1] == 3);
    VOLT_TRY(st, done, volt_comm_sum_f64(c, sums, 3));
    CHECK(sums[0] == ranks && sums[2] == 3 * ranks);
    CHECK(volt_comm_sum_scratch(c, 100) <= sizeof scratch);
    VOLT_TRY(st, done, volt_comm_sum_f32_start(&ticket, c, numbers, 100, scratch));
    VOLT_TRY(st, done, volt_comm_wait(c, &ticket));
    for (int root = 0; root < ranks; root++)
        VOLT_TRY(st, done, volt_comm_broadcast(c, word, sizeof word, root));
    CHECK(strcmp(word, "word") == 0);
    VOLT_TRY(st, done, volt_comm_barrier(c));
    VOLT_TRY(st, done, volt_comm_same(c, "words", word, sizeof word));
    VOLT_TRY(st, done, volt_comm_agree(c, VOLT_OK));
    VOLT_TRY(st, done,
             volt_comm_all_gather(c, all, own, sizeof own)); /* nothing is left over */
    CHECK(all[0] == 7 && all[2 * ranks - 1] == 3);
    volt_comm_counts(c, &sent[0], &sent[1]);
done:
    return st;
}

static volt_status play_really(volt_comm *c, void *context)
{
    int64_t(*sent)[2] = context;

    return play(c, sent[volt_comm_rank(c)]);
}

static void rehearse_as_one_of_many(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= 11; ranks++) {
        int64_t real[16][2] = {{0}};

        assert_ok(volt_ranks_run(ranks, play_really, real));
        for (int rank = 0; rank < ranks; rank++) {
            int64_t sent[2] = {0};
            volt_comm *c = NULL;

            assert_ok(volt_comm_rehearse(&c, rank, ranks));
            assert_int_equal(volt_comm_rank(c), rank);
            assert_int_equal(volt_comm_size(c), ranks);
            assert_ok(play(c, sent));
            assert_memory_equal(sent, real[rank], sizeof sent);
            volt_comm_close(c);
        }
    }
}

static void rehearse_messages(void **state)
{
    char in[3] = "in", out[4] = "out";
    const volt_message send = {2, out, sizeof out}, receive = {1, in, sizeof in};
    volt_ticket *ticket = NULL;
    volt_comm *c = NULL;
    int64_t messages, bytes;

    (void)state;
    assert_ok(volt_comm_rehearse(&c, 0, 3));
    assert_ok(volt_comm_start(&ticket, c, &send, 1, &receive, 1, 5));
    volt_comm_progress(c);
    assert_ok(volt_comm_wait(c, &ticket));
    assert_string_equal(in, "in"); /* as it was */
    volt_comm_counts(c, &messages, &bytes);
    assert_int_equal(messages, 1);
    assert_int_equal(bytes, 4);
    volt_comm_close(c);
}

static void rehearse_failure(void **state)
{
    volt_comm *c = NULL;

    (void)state;
    assert_ok(volt_comm_rehearse(&c, 1, 4));
    assert_fails(volt_comm_agree(c, volt_fail(VOLT_EDATA, "no such case")), VOLT_EDATA,
                 "no such case");
    volt_comm_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rehearse_as_one_of_many),
        cmocka_unit_test(rehearse_messages),
        cmocka_unit_test(rehearse_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
