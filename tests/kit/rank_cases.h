/* rank_cases.h - what ranks do to test a communicator: run by threads, and under mpirun.
 *
 * Each is a volt_rank_function that fails with a sentence; cmocka's jumps must not leave a
 * rank.
 */
#ifndef VOLT_TESTS_RANK_CASES_H
#define VOLT_TESTS_RANK_CASES_H
#include <stdatomic.h>
#include <stdint.h>
#include "parallel/ranks.h"

#define RANK_CASES_MOST 8 /* ranks */

#define RANK_CHECK(condition)                                                                  \
    do {                                                                                       \
        if (!(condition))                                                                      \
            return volt_fail(VOLT_EINTERNAL, "%s:%d: %s", __FILE__, __LINE__, #condition);     \
    } while (0)
#define RANK_CALL(call)                                                                        \
    do {                                                                                       \
        const volt_status st_ = (call);                                                        \
        if (st_ != VOLT_OK)                                                                    \
            return st_;                                                                        \
    } while (0)

/* A different delay for each rank and call, so that orders vary. */
void ranks_dawdle(int rank, int call);

volt_rank_function ranks_exchange; /* all to all, with tags and orders */
volt_rank_function ranks_large;    /* 8 MiB between ranks 0 and 1 */
volt_rank_function ranks_sum_f64;  /* context: atomic_int, ranks that ran it */
volt_rank_function ranks_sum_f32;  /* context: int64_t, numbers */
volt_rank_function ranks_gather;   /* broadcast, all_gather, barrier */
volt_rank_function ranks_split;
volt_rank_function ranks_agree;
volt_rank_function ranks_same; /* two ranks or more */

#endif
