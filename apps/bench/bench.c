#include "apps/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/version.h"

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static volt_status time_once(double *seconds, const bench_work *work)
{
    double began = volt_seconds();
    volt_status st = work->run(work->user);

    *seconds = volt_seconds() - began;
    return st;
}

volt_status bench_measure(bench_times *out, cli *c, int64_t repeat, const bench_work *work)
{
    bench_times t = {0};
    double *seconds = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&seconds, (size_t)repeat * sizeof *seconds, "timings"));
    VOLT_TRY(st, done, time_once(&t.first_s, work));
    for (int64_t i = 0; i < repeat; i++) {
        VOLT_TRY(st, done, volt_check_cancelled(&c->callbacks));
        VOLT_TRY(st, done, time_once(&seconds[i], work));
    }
    qsort(seconds, (size_t)repeat, sizeof *seconds, compare_doubles);
    t.min_s = seconds[0];
    t.median_s = (seconds[(repeat - 1) / 2] + seconds[repeat / 2]) / 2;
    *out = t;
done:
    volt_free(seconds);
    return st;
}

volt_status bench_print(const cli *c, const char *what, json_t *fields, const bench_times *t)
{
    int64_t peak_mib = (int64_t)(volt_mem_process_peak() >> 20);
    json_t *root;

    if (!fields)
        return volt_fail(VOLT_ENOMEM, "out of memory for the JSON output");
    if (!c->json) {
        json_decref(fields);
        printf("%-44s  median %9.4f s  min %9.4f s  peak %lld MiB\n", what, t->median_s,
               t->min_s, (long long)peak_mib);
        return VOLT_OK;
    }
    root = json_pack("{s:s+}", "peer", "volt ", volt_version());
    if (root)
        json_object_update(root, fields);
    json_decref(fields);
    if (root) {
        json_object_set_new(root, "first_s", json_real(t->first_s));
        json_object_set_new(root, "median_s", json_real(t->median_s));
        json_object_set_new(root, "min_s", json_real(t->min_s));
        json_object_set_new(root, "peak_mib", json_integer(peak_mib));
    }
    return cli_print_json(root);
}

volt_status bench_precision(volt_precision *out, const char *word)
{
    const volt_status st = volt_precision_parse(out, word);

    if (st == VOLT_OK && *out == VOLT_PRECISION_AUTO)
        return volt_fail(VOLT_EINVAL, "--precision auto: a benchmark takes fp32, bf16, fp16 or "
                                      "tf32");
    return st;
}
