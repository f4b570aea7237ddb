#include <math.h>
#include <stdio.h>
#include <string.h>
#include "apps/cli/cli.h"
#include "base/core/alloc.h"
#include "base/system/file.h"
#include "base/core/plural.h"
#include "volume/augment.h"

typedef struct bench_augment_options {
    cli_list patch;
    int64_t channels, samples, seed;
    double seconds;
} bench_augment_options;

static const cli_option options[] = {
    {"--patch", 0, CLI_INTS, offsetof(bench_augment_options, patch), "[D,]H,W", NULL, 1, 1024,
     "sample size in voxels [128,128,128]"},
    {"--channels", 0, CLI_INT, offsetof(bench_augment_options, channels), "C", "1", 1, 32,
     "image channels"},
    {"--samples", 0, CLI_INT, offsetof(bench_augment_options, samples), "N", "20", 1, 1e6,
     "number of samples"},
    {"--seconds", 0, CLI_REAL, offsetof(bench_augment_options, seconds), "S", NULL, 0.01, 3600,
     "produce samples for this long instead"},
    {"--seed", 0, CLI_INT, offsetof(bench_augment_options, seed), "S", "0", 0, 9e15,
     "random seed"},
};

/* A source box with margin, and buffers for the sample. */
typedef struct bench_augment {
    volt_augment_rules rules;
    volt_augment_source source;
    float *from, *image;
    int16_t *from_labels, *labels;
    void *scratch;
} bench_augment;

/* Fills the box with waves and three nested ellipsoidal labels. */
static void fill(bench_augment *b)
{
    const int64_t *n = b->source.shape, voxels = n[0] * n[1] * n[2];
    /* A box is less than twice a patch. */
    double wave[3][1024 * 2 + 1] = {{0}}, square[3][1024 * 2 + 1] = {{0}};

    for (int a = 0; a < 3; a++) {
        const double half = 0.5 * (double)(n[a] > 1 ? n[a] - 1 : 1);

        for (int64_t i = 0; i < n[a]; i++) {
            square[a][i] = pow(((double)i - 0.5 * (double)(n[a] - 1)) / half, 2);
            wave[a][i] = a == 1 ? cos(0.2 * (double)i) : sin(0.25 * (double)i);
        }
    }
    for (int64_t i = 0; i < voxels; i++) {
        const int64_t z = i / (n[1] * n[2]), y = i / n[2] % n[1], x = i % n[2];
        const double r = square[0][z] + square[1][y] + square[2][x];

        b->from_labels[i] = (int16_t)(r < 0.05 ? 3 : r < 0.12 ? 2 : r < 0.25 ? 1 : 0);
        for (int c = 0; c < b->rules.channels; c++)
            b->from[c * voxels + i] =
                (float)(wave[0][z] * wave[1][y] + wave[2][x] + 0.1 * c + b->from_labels[i]);
    }
}

static volt_status prepare(bench_augment *b, const bench_augment_options *o)
{
    int64_t patch[3] = {128, 128, 128}, voxels;
    volt_status st;

    for (int a = 0; o->patch.count && a < 3; a++)
        patch[a] = a < 3 - o->patch.count ? 1 : (int64_t)o->patch.v[a - 3 + o->patch.count];
    b->rules = volt_augment_rules_nnunet(patch, (int32_t)o->channels);
    volt_augment_initial_patch(b->source.shape, &b->rules);
    voxels = b->source.shape[0] * b->source.shape[1] * b->source.shape[2];
    VOLT_TRY(st, done,
             volt_alloc(&b->from, (size_t)(voxels * o->channels) * sizeof(float), "a box"));
    VOLT_TRY(st, done, volt_alloc(&b->from_labels, (size_t)voxels * sizeof(int16_t), "a box"));
    voxels = patch[0] * patch[1] * patch[2];
    VOLT_TRY(st, done,
             volt_alloc(&b->image, (size_t)(voxels * o->channels) * sizeof(float), "a sample"));
    VOLT_TRY(st, done, volt_alloc(&b->labels, (size_t)voxels * sizeof(int16_t), "a sample"));
    VOLT_TRY(st, done,
             volt_alloc(&b->scratch, volt_augment_scratch_bytes(&b->rules), "scratch"));
    b->source.image = b->from;
    b->source.labels = b->from_labels;
    fill(b);
done:
    return st;
}

static volt_status make_sample(bench_augment *b, uint64_t seed, uint32_t number)
{
    volt_rng rng = volt_rng_open(seed, 0, number, VOLT_RNG_AUGMENT);
    const volt_rng noise = volt_rng_open(seed, 0, number, VOLT_RNG_NOISE);
    volt_augment_draw draw;

    volt_augment_draw_make(&draw, &b->rules, &rng, &noise);
    return volt_augment_apply(b->image, b->labels, &b->source, &b->rules, &draw, b->scratch);
}

static volt_status run(cli *c)
{
    const bench_augment_options *o = c->options;
    bench_augment b = {0};
    double start, seconds = 0;
    int64_t made = 0;
    volt_status st;

    VOLT_TRY(st, done, prepare(&b, o));
    VOLT_TRY(st, done, make_sample(&b, (uint64_t)o->seed, 0)); /* touches all pages */
    start = volt_seconds();
    while (o->seconds > 0 ? seconds < o->seconds : made < o->samples) {
        VOLT_TRY(st, done, make_sample(&b, (uint64_t)o->seed, (uint32_t)made));
        made++;
        seconds = volt_seconds() - start;
    }
    if (c->json)
        st = cli_print_json(
            json_pack("{s:s, s:[I, I, I], s:I, s:I, s:f, s:f}", "op", "augment", "patch",
                      (json_int_t)b.rules.patch[0], (json_int_t)b.rules.patch[1],
                      (json_int_t)b.rules.patch[2], "channels", (json_int_t)o->channels,
                      "samples", (json_int_t)made, "seconds", seconds, "samples_per_second",
                      (double)made / seconds));
    else
        printf("%lld sample%s in %.2f s: %.2f per second, one thread\n", (long long)made,
               volt_s(made), seconds, (double)made / seconds);
done:
    volt_free(b.scratch);
    volt_free(b.labels);
    volt_free(b.image);
    volt_free(b.from_labels);
    volt_free(b.from);
    return st;
}

const cli_command cmd_bench_augment = {
    .name = "bench augment",
    .section = CLI_EVALUATION,
    .one_line = "benchmark the augmentation of training samples",
    .args = "",
    .min_args = 0,
    .max_args = 0,
    .about = "Applies nnU-Net's random augmentation to a patch in memory, over and over, on "
             "one thread: the throughput of one loader core.",
    .example = "volt bench augment --patch 128,128,128 --channels 4 --samples 50 --json",
    .common = CLI_JSON,
    CLI_OPTIONS(options, bench_augment_options),
    .run = run,
};
