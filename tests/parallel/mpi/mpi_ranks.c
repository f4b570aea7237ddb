/* mpi_ranks.c - a program whose ranks are processes of MPI, for messages.sh and failures.sh.
 * usage: mpi_ranks cases | pieces | error RANK | hang RANK FILE | compute RANK FILE | slow RANK
 * SECONDS | late RANK | leave RANK | slow_words RANK FILE. It ends as comm.h tells, so its last
 * line is what `volt` would print. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/core/alloc.h"
#include "base/system/file.h"
#include "parallel/comm/plugin.h"
#include "tests/kit/rank_cases.h"

#define CALL RANK_CALL

static volatile sig_atomic_t stopped;
static double words_s; /* for which a sentence is thought over */

static void on_signal(int number)
{
    stopped = number;
}

static const struct {
    const char *name;
    volt_rank_function *run;
} cases[] = {
    {"exchange", ranks_exchange}, {"large", ranks_large}, {"sum_f64", ranks_sum_f64},
    {"gather", ranks_gather},     {"split", ranks_split}, {"agree", ranks_agree},
    {"same", ranks_same},
};

static volt_status run_cases(volt_comm *c)
{
    const int64_t counts[] = {0, 1, 3, 1000, 65537, 300001};
    atomic_int ran = 0;

    RANK_CHECK(volt_comm_host_ranks(c) == volt_comm_size(c));
    RANK_CHECK(volt_comm_host_index(c) == volt_comm_rank(c));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        volt_comm *fresh = NULL; /* its counts begin with 0 */
        if (volt_comm_size(c) == 1 && strcmp(cases[i].name, "same") == 0)
            continue;
        CALL(volt_comm_split(&fresh, c, 0, volt_comm_rank(c)));
        CALL(cases[i].run(fresh, &ran));
        volt_comm_close(fresh);
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        int64_t count = counts[i];
        CALL(ranks_sum_f32(c, &count));
    }
    CALL(volt_comm_barrier(c));
    if (volt_comm_rank(c) == 0)
        printf("%d rank(s) of %s: %zu cases passed\n", volt_comm_size(c), volt_comm_library(c),
               sizeof cases / sizeof *cases + sizeof counts / sizeof *counts);
    return VOLT_OK;
}

/* The last rank that fails; the others add numbers until they notice. */
static volt_status add_for_ever(volt_comm *c)
{
    const int64_t count = 100000;
    float *data = NULL;
    void *scratch = NULL;
    volt_ticket *t = NULL;
    volt_status st, waited;

    VOLT_TRY(st, done, volt_alloc_zero(&data, (size_t)count, sizeof *data, "a test"));
    VOLT_TRY(st, done, volt_alloc(&scratch, volt_comm_sum_scratch(c, count), "a test"));
    while (st == VOLT_OK) {
        st = volt_comm_sum_f32_start(&t, c, data, count, scratch);
        waited = volt_comm_wait(c, &t);
        st = st == VOLT_OK ? waited : st;
        if (st == VOLT_OK && stopped)
            st = volt_fail(VOLT_ECANCELLED, "stopped at the caller's request");
    }
done:
    volt_free(data);
    volt_free(scratch);
    return st;
}

/* The process whose number is in `file` is what a script kills or stops. */
static volt_status write_pid(const char *file)
{
    char text[32];

    snprintf(text, sizeof text, "%ld\n", (long)getpid());
    return volt_write_file(file, text, strlen(text));
}

static void compute(double seconds)
{
    const double until = volt_seconds() + seconds;

    while (volt_seconds() < until)
        ;
}

static volt_status run(volt_comm *c, int count, char **word)
{
    const char *what = count > 0 ? word[0] : "";
    const bool mine = count > 1 && atoi(word[1]) == volt_comm_rank(c);

    if (strcmp(what, "cases") == 0)
        return run_cases(c);
    CALL(volt_comm_barrier(c));
    if (strcmp(what, "error") == 0) {
        if (mine)
            return volt_fail(VOLT_EDATA, "case_17: the label 9 is not in dataset.json");
        return add_for_ever(c);
    }
    if (strcmp(what, "slow_words") == 0) { /* the rank that speaks is slow to do so */
        if (mine)
            CALL(write_pid(word[2]));
        if (volt_comm_rank(c) == 0)
            words_s = 3;
        return mine ? volt_fail(VOLT_EDATA, "case_17: the label 9 is not in dataset.json")
                    : add_for_ever(c);
    }
    if (strcmp(what, "hang") == 0) { /* in messages */
        if (mine)
            CALL(write_pid(word[2]));
        return add_for_ever(c);
    }
    if (strcmp(what, "compute") == 0) { /* nobody comes to a wait for long */
        if (mine)
            CALL(write_pid(word[2]));
        compute(60);
        return volt_comm_barrier(c);
    }
    if (strcmp(what, "slow") == 0) {
        if (mine)
            compute(atof(word[2]));
        return volt_comm_barrier(c);
    }
    if (strcmp(what, "late") == 0) { /* the others are through */
        if (!mine)
            return VOLT_OK;
        compute(1);
        return volt_fail(VOLT_EDATA, "case_17: the label 9 is not in dataset.json");
    }
    if (strcmp(what, "leave") == 0) {
        if (mine)
            _exit(0);
        return add_for_ever(c);
    }
    return volt_fail(VOLT_EINVAL, "no such part: '%s'", what);
}

static void print_last(const char *sentence)
{
    char line[1200];
    const int length = snprintf(line, sizeof line, "volt: %.1100s\n", sentence);

    (void)!write(STDERR_FILENO, line, (size_t)length);
}

static void lost(void *user, volt_status st, const char *sentence)
{
    print_last(sentence);
    volt_comm_abort(user, st);
}

int main(int argc, char **argv)
{
    volt_comm *c = NULL;
    bool speaks = true;
    volt_status st;

    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (argc > 1 && strcmp(argv[1], "pieces") == 0) { /* messages in many pieces */
        volt_plugin_piece_bytes = 1000;
        argv[1] = (char *)"cases";
    }
    st = volt_comm_open(&c, "auto");
    volt_comm_watch(c, lost, c);
    if (st == VOLT_OK)
        st = run(c, argc - 1, argv + 1);
    st = volt_comm_conclude(c, st, &speaks);
    if (st != VOLT_OK) {
        if (speaks) {
            compute(words_s);
            print_last(volt_last_error());
        }
        volt_comm_abort(c, st);
    }
    volt_comm_close(c);
    if (st == VOLT_OK && volt_mem_current() != 0) {
        fprintf(stderr, "volt: %zu bytes are still held\n", volt_mem_current());
        return VOLT_EINTERNAL;
    }
    return (int)st;
}
