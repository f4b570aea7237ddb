#include <math.h>
#include <stdio.h>
#include <string.h>
#include "apps/bench/bench.h"
#include "base/core/alloc.h"
#include "io/image.h"
#include "volume/components.h"
#include "volume/distance.h"
#include "volume/metrics.h"
#include "volume/resample.h"

typedef struct bench_volume_options {
    const char *only;
    int64_t repeat;
    int64_t shift;
    cli_list shape;
} bench_volume_options;

static const cli_option options[] = {
    {"--only", 0, CLI_TEXT, offsetof(bench_volume_options, only), "OP", NULL, 0, 0,
     "operation to measure: resample_cubic, components, distance or hd95 [all]"},
    {"--shape", 0, CLI_INTS, offsetof(bench_volume_options, shape), "x,y,z", NULL, 1, 1e5,
     "target size in voxels [isotropic at 1.25 x the median spacing]"},
    {"--shift", 0, CLI_INT, offsetof(bench_volume_options, shift), "N", "3", 1, 1000,
     "hd95: compare LABELS with itself, shifted by N voxels along x"},
    {"--repeat", 0, CLI_INT, offsetof(bench_volume_options, repeat), "R", "5", 1, 10000,
     "timed runs, after one warm-up run"},
};

typedef struct bench_volume {
    int threads;
    volt_volume *image;          /* float32 */
    volt_volume *mask, *shifted; /* uint8: 1 where LABELS is not 0 */
    int64_t shape[3];            /* resampling's target, z, y, x */
    double spacing[3], target[3];
    float *distance; /* output buffer */
} bench_volume;

static volt_status resample(void *user)
{
    const bench_volume *b = user;
    volt_volume *out = NULL;
    volt_status st =
        volt_resample_image(&out, b->image, b->shape, VOLT_CUBIC, VOLT_NO_AXIS, b->threads);

    volt_volume_free(out);
    return st;
}

/* Finds and labels components voxel by voxel, as the other programs do. */
static volt_status components(void *user)
{
    const bench_volume *b = user;
    volt_components_options options26 = volt_components_defaults();
    volt_components *found = NULL;
    volt_volume *map = NULL;
    volt_status st;

    options26.threads = b->threads;
    st = volt_components_find(&found, b->mask, &options26);
    if (st == VOLT_OK)
        st = volt_components_map(&map, found, b->threads);
    volt_volume_free(map);
    volt_components_free(found);
    return st;
}

static volt_status distance(void *user)
{
    const bench_volume *b = user;

    return volt_distance_to(b->distance, b->mask->data, b->mask->grid.n, b->spacing,
                            b->threads);
}

static volt_status hd95(void *user)
{
    const bench_volume *b = user;
    volt_metrics_options m = volt_metrics_defaults();
    const int32_t one = 1;
    const volt_region region = {.name = "mask", .labels = &one, .count = 1};
    volt_metrics score;

    m.threads = b->threads;
    return volt_metrics_evaluate(&score, b->mask, b->shifted, &region, 1, &m);
}

static const struct {
    const char *name, *what;
    volt_status (*run)(void *user);
    bool needs_labels;
} ops[] = {
    {"resample_cubic", "resample, cubic B-spline", resample, false},
    {"components", "connected components, 26 neighbours", components, true},
    {"distance", "exact Euclidean distance", distance, true},
    {"hd95", "surface metrics, HD95 among them", hd95, true},
};
enum { OPS = sizeof ops / sizeof ops[0] };

/* 1 where `labels` is not 0, shifted by `shift` voxels along x (cyclic). */
static volt_status make_mask(volt_volume **out, const volt_volume *labels, int64_t shift)
{
    const int16_t *from = labels->data;
    int64_t width = labels->grid.n[2], rows = labels->grid.n[0] * labels->grid.n[1];
    volt_volume *mask = NULL;
    volt_status st = volt_volume_create(&mask, &labels->grid, VOLT_U8);

    if (st != VOLT_OK)
        return st;
    for (int64_t r = 0; r < rows; r++) {
        uint8_t *to = (uint8_t *)mask->data + r * width;

        for (int64_t x = 0; x < width; x++)
            to[(x + shift) % width] = from[r * width + x] != 0;
    }
    *out = mask;
    return VOLT_OK;
}

static volt_status read_input(bench_volume *b, const cli *c)
{
    const bench_volume_options *o = c->options;
    volt_image_read_options read = volt_image_read_as(VOLT_F32, b->threads);
    volt_volume *labels = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_image_read(&b->image, NULL, c->args[0], &read));
    volt_grid_spacing(b->spacing, &b->image->grid);
    if (c->args_count == 2) {
        read.dtype = VOLT_I16;
        VOLT_TRY(st, done, volt_image_read(&labels, NULL, c->args[1], &read));
        VOLT_TRY(st, done, make_mask(&b->mask, labels, 0));
        VOLT_TRY(st, done, make_mask(&b->shifted, labels, o->shift));
        st = volt_alloc(&b->distance, volt_volume_bytes(b->mask) * sizeof(float), "distances");
    }
done:
    volt_volume_free(labels);
    return st;
}

static double median_of_3(const double v[3])
{
    return fmax(fmin(v[0], v[1]), fmin(fmax(v[0], v[1]), v[2]));
}

static void choose_shape(bench_volume *b, const bench_volume_options *o)
{
    double median = median_of_3(b->spacing);

    for (int a = 0; a < 3; a++) {
        double n = rint((double)b->image->grid.n[a] * b->spacing[a] / median * 0.8);

        b->shape[a] = n < 1 ? 1 : (int64_t)n;
        if (o->shape.count)
            b->shape[a] = (int64_t)o->shape.v[2 - a];
    }
}

static json_t *fields(const bench_volume *b, int i)
{
    const int64_t *n = b->image->grid.n;
    const int64_t shape[3] = {n[2], n[1], n[0]};
    const int64_t to[3] = {b->shape[2], b->shape[1], b->shape[0]};
    json_t *f =
        json_pack("{s:s, s:o}", "op", ops[i].name, "shape", volt_json_array_of_ints(shape, 3));

    if (f && ops[i].run == resample)
        json_object_set_new(f, "to", volt_json_array_of_ints(to, 3));
    return f;
}

static volt_status run(cli *c)
{
    const bench_volume_options *o = c->options;
    bench_volume b = {.threads = (int)c->threads};
    bench_times t;
    int ran = 0;
    volt_status st;

    VOLT_TRY(st, done, read_input(&b, c));
    choose_shape(&b, o);
    for (int i = 0; i < OPS; i++) {
        if ((o->only && strcmp(o->only, ops[i].name) != 0) || (ops[i].needs_labels && !b.mask))
            continue;
        VOLT_TRY(st, done, bench_measure(&t, c, o->repeat, &(bench_work){ops[i].run, &b}));
        VOLT_TRY(st, done, bench_print(c, ops[i].what, fields(&b, i), &t));
        ran++;
    }
    if (ran == 0)
        st = volt_fail(VOLT_EINVAL,
                       "nothing to measure: '%s' is not an operation, or needs LABELS",
                       o->only ? o->only : "");
done:
    volt_free(b.distance);
    volt_volume_free(b.shifted);
    volt_volume_free(b.mask);
    volt_volume_free(b.image);
    return st;
}

const cli_command cmd_bench_volume = {
    .name = "bench volume",
    .section = CLI_EVALUATION,
    .one_line = "benchmark resampling, components and surface metrics",
    .args = "IMAGE [LABELS]",
    .min_args = 1,
    .max_args = 2,
    .about = "Times the voxel operations around a network. Without LABELS, resampling only.",
    .example = "volt bench volume scan.nii.gz liver.nii.gz --repeat 5 --json",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, bench_volume_options),
    .run = run,
};
