/* bench.h - shared by the bench commands: repeated timing and its output. */
#ifndef VOLT_APPS_BENCH_H
#define VOLT_APPS_BENCH_H
#include "apps/cli/cli.h"
#include "nets3d/precision.h"

/* The work to measure: `run` is called once to warm up, then timed `repeat` times. */
typedef struct bench_work {
    volt_status (*run)(void *user);
    void *user;
} bench_work;

typedef struct bench_times {
    double first_s, median_s, min_s;
} bench_times;

/* VOLT_ECANCELLED between two runs when the user asked to stop. */
volt_status bench_measure(bench_times *out, cli *c, int64_t repeat, const bench_work *work);
/* Prints one line: with --json {"peer": "volt V", FIELDS..., first_s, median_s, min_s,
 * peak_mib}, else `what` and the times. `fields` (an object) is taken over. */
volt_status bench_print(const cli *c, const char *what, json_t *fields, const bench_times *t);

#define BENCH_PRECISIONS "fp32|bf16|fp16|tf32"
/* A word of BENCH_PRECISIONS. VOLT_EINVAL: another. */
volt_status bench_precision(volt_precision *out, const char *word);

#endif
