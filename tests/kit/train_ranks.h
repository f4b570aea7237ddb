/* train_ranks.h - volt_train on several ranks, which are threads, compared with one rank. */
#ifndef VOLT_TESTS_TRAIN_RANKS_H
#define VOLT_TESTS_TRAIN_RANKS_H
#include "tests/kit/train_compare.h"

#define MOST_RANKS 16

/* One call of volt_train on every rank. */
typedef struct rank_task {
    const char *run;
    const fixture *f;
    const volt_train_options *options;
    const volt_callbacks *callbacks[MOST_RANKS]; /* NULL allowed */
    void (*change)(int rank, volt_train_options *o, volt_train_data *data);
    const char *other_run;    /* of rank 1; NULL = the same */
    volt_train_result result; /* of rank 0 */
    size_t announced[MOST_RANKS];
    volt_status status[MOST_RANKS];
} rank_task;

volt_status train_on_ranks(int ranks, rank_task *t);

/* Losses, norms and Dice of all epochs, at most 8; to 1e-4, 1e-3 and 1e-2, */
void assert_near_runs(const char *one, const char *run, const char *mesh);
/* or losses to `loss`, and norms to `norm`. */
void assert_runs_within(double loss, double norm, const char *one, const char *run,
                        const char *mesh);
/* Gradients of all epochs, before clipping. */
void assert_norms_above(const char *run, double limit);

/* fixture_options with plain SGD, on the CPU: Adam divides by gradients of rounding size. */
volt_train_options rank_options(volt_recipe *recipe, int64_t epochs, int64_t iterations);

#endif
