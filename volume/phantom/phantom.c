#include "volume/phantom.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/core/options.h"
#include "base/core/alloc.h"
#include "base/core/available.h"
#include "base/random/philox.h"
#include "base/threads.h"
#include "volume/phantom/phantom_internal.h"

#define PI           3.14159265358979323846
#define MAX_CHANNELS 4

static const phantom_type *type_of(volt_phantom_kind kind)
{
    return kind == VOLT_PHANTOM_BRATS   ? &phantom_brats
           : kind == VOLT_PHANTOM_LIVER ? &phantom_liver
                                        : NULL;
}

volt_status volt_phantom_parse(volt_phantom_kind *out, const char *name)
{
    for (int k = VOLT_PHANTOM_BRATS; k <= VOLT_PHANTOM_LIVER; k++) {
        if (strcmp(name, type_of((volt_phantom_kind)k)->name) == 0) {
            *out = (volt_phantom_kind)k;
            return VOLT_OK;
        }
    }
    return volt_fail(VOLT_EINVAL, "phantom '%s' is not brats or liver", name);
}

const char *volt_phantom_name(volt_phantom_kind kind)
{
    return type_of(kind)->name;
}

static const char *entry(const char *const *list, int32_t index)
{
    if (!list || index < 0)
        return NULL;
    for (int32_t i = 0; i < index; i++) {
        if (!list[i])
            return NULL;
    }
    return list[index];
}

const char *volt_phantom_channel(volt_phantom_kind kind, int32_t channel)
{
    return entry(type_of(kind)->channel, channel);
}

const char *volt_phantom_label(volt_phantom_kind kind, int32_t label)
{
    return entry(type_of(kind)->label, label);
}

/* One case while it is made. */
typedef struct job {
    const phantom_type *type;
    const void *scene;
    const volt_phantom_options *opts;
    volt_grid grid;
    double spacing[3];
    int threads;
    float *values;  /* (C, Z, Y, X) */
    float *scratch; /* one channel */
    uint8_t *labels;
} job;

/* Noise-free values and labels of one slice; NaN outside the object. */
static void look_at_slice(const job *j, int64_t z)
{
    const int64_t *n = j->grid.n, voxels = volt_grid_voxels(&j->grid);

    for (int64_t y = 0; y < n[1]; y++) {
        for (int64_t x = 0; x < n[2]; x++) {
            const int64_t i = (z * n[1] + y) * n[2] + x, at[3] = {z, y, x};
            float value[MAX_CHANNELS];
            double p[3];
            int label = 0;

            for (int a = 0; a < 3; a++)
                p[a] = ((double)at[a] - 0.5 * (double)(n[a] - 1)) * j->spacing[a];
            const bool inside = j->type->look(j->scene, p, value, &label);
            j->labels[i] = (uint8_t)label;
            for (int32_t c = 0; c < j->grid.channels; c++)
                j->values[c * voxels + i] = inside ? value[c] : NAN;
        }
    }
}

/* One axis of the blur: a fraction of each neighbour that exists. */
static void blur_axis(const job *j, float *values, int axis, float fraction)
{
    const int64_t *n = j->grid.n, voxels = volt_grid_voxels(&j->grid);
    const int64_t stride = axis == 0 ? n[1] * n[2] : axis == 1 ? n[2] : 1;

    if (fraction == 0)
        return;
    memcpy(j->scratch, values, (size_t)voxels * sizeof *values);
#pragma omp parallel for num_threads(j->threads) schedule(static)
    for (int64_t i = 0; i < voxels; i++) {
        const int64_t at = i / stride % n[axis];
        const float here = j->scratch[i];
        const float low = at > 0 ? j->scratch[i - stride] : here;
        const float high = at + 1 < n[axis] ? j->scratch[i + stride] : here;

        if (!isnan(here))
            values[i] = here + fraction * ((isnan(low) ? here : low) - here) +
                        fraction * ((isnan(high) ? here : high) - here);
    }
}

/* Two normal numbers that depend on seed, case, channel and voxel only. */
static void voxel_noise(double out[2], const job *j, int64_t i, int32_t channel)
{
    const uint64_t seed = j->opts->seed;
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)i, VOLT_RNG_PHANTOM, (uint32_t)j->opts->number,
                                 0x80000000u + 16u * (uint32_t)j->opts->kind +
                                     (uint32_t)channel};
    uint32_t word[4];

    volt_philox(word, counter, key);
    const double radius = sqrt(-2 * log(((double)word[0] + 0.5) * 0x1p-32));
    const double angle = 2 * PI * 0x1p-32 * (double)word[1];
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

static void measure(const job *j, float *values, int32_t channel)
{
    const int64_t voxels = volt_grid_voxels(&j->grid);

#pragma omp parallel for num_threads(j->threads) schedule(static)
    for (int64_t i = 0; i < voxels; i++) {
        double noise[2];

        if (isnan(values[i]))
            continue;
        voxel_noise(noise, j, i, channel);
        values[i] = j->type->measure(j->scene, channel, values[i], noise);
    }
}

static void scan(const job *j)
{
    const int64_t voxels = volt_grid_voxels(&j->grid);

#pragma omp parallel for num_threads(j->threads) schedule(static)
    for (int64_t z = 0; z < j->grid.n[0]; z++)
        look_at_slice(j, z);
    for (int32_t c = 0; c < j->grid.channels; c++) {
        float *values = j->values + c * voxels;

        for (int a = 0; a < 3; a++)
            blur_axis(j, values, a, j->type->blur_before[a]);
        measure(j, values, c);
        for (int a = 0; a < 3; a++)
            blur_axis(j, values, a, j->type->blur_after[a]);
    }
}

/* Integers, as scanners store them; 0 outside the object and, for MR, only there. */
static void store(const job *j, int16_t *out)
{
    const int64_t count = volt_grid_voxels(&j->grid) * j->grid.channels;
    const float least = j->opts->kind == VOLT_PHANTOM_BRATS ? 1 : -1024;

#pragma omp parallel for num_threads(j->threads) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        const float v = rintf(j->values[i]);

        out[i] = isnan(v) ? 0 : (int16_t)(v < least ? least : v > 32767 ? 32767 : v);
    }
}

static void renumber(const job *j)
{
    static const uint8_t brats[4] = {0, 2, 1, 4};

    if (j->opts->kind != VOLT_PHANTOM_BRATS || !j->opts->brats_labels)
        return;
    for (int64_t i = 0; i < volt_grid_voxels(&j->grid); i++)
        j->labels[i] = brats[j->labels[i]];
}

static volt_status check(const volt_phantom_options *o)
{
    if (!type_of(o->kind))
        return volt_fail(VOLT_EINVAL, "phantom kind %d is unknown", (int)o->kind);
    if (o->width < 16 || o->width > 1024)
        return volt_fail(VOLT_EINVAL, "phantom width %lld is not in 16..1024",
                         (long long)o->width);
    if (o->number < 0 || o->number > UINT32_MAX)
        return volt_fail(VOLT_EINVAL, "phantom number %lld is not in 0..2^32-1",
                         (long long)o->number);
    return VOLT_OK;
}

/* Voxels as float32 and int16 per channel; one channel of scratch; labels. */
static volt_status check_memory(const volt_grid *g)
{
    char what[96];

    snprintf(what, sizeof what, "a phantom of %lld x %lld x %lld voxels", (long long)g->n[2],
             (long long)g->n[1], (long long)g->n[0]);
    return volt_mem_check((size_t)volt_grid_voxels(g) * (6 * (size_t)g->channels + 4 + 1),
                          what);
}

static const volt_phantom_options defaults = {
    .size = sizeof defaults, .kind = VOLT_PHANTOM_BRATS, .width = 128};

void volt_phantom_options_init(volt_phantom_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_status volt_phantom_check(const volt_phantom_options *options)
{
    volt_phantom_options o = defaults;
    const phantom_type *type;
    void *scene = NULL;
    volt_grid grid;
    volt_rng rng;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_phantom_options"));
    VOLT_TRY(st, done, check(&o));
    type = type_of(o.kind);
    rng = volt_rng_open(o.seed, (uint32_t)o.kind, (uint32_t)o.number, VOLT_RNG_PHANTOM);
    VOLT_TRY(st, done, volt_alloc(&scene, type->scene_bytes, "a phantom"));
    type->make(scene, &grid, o.width, &rng);
    st = check_memory(&grid);
done:
    volt_free(scene);
    return st;
}

volt_status volt_phantom_make(volt_volume **image, volt_volume **labels,
                              const volt_phantom_options *options)
{
    volt_phantom_options o = defaults;
    volt_volume *scan_volume = NULL, *label_volume = NULL;
    job j = {.opts = &o};
    void *scene = NULL;
    size_t voxels;
    volt_rng rng;
    volt_status st = volt_options_take(&o, sizeof o, options, "volt_phantom_options");

    if (st == VOLT_OK)
        st = check(&o);
    if (st != VOLT_OK)
        return st;
    rng = volt_rng_open(o.seed, (uint32_t)o.kind, (uint32_t)o.number, VOLT_RNG_PHANTOM);
    j.threads = volt_threads_or_default(o.threads);
    j.type = type_of(o.kind);
    VOLT_TRY(st, done, volt_alloc(&scene, j.type->scene_bytes, "a phantom"));
    j.type->make(scene, &j.grid, o.width, &rng);
    j.scene = scene;
    volt_grid_spacing(j.spacing, &j.grid);
    voxels = (size_t)volt_grid_voxels(&j.grid);
    VOLT_TRY(st, done, check_memory(&j.grid));
    VOLT_TRY(st, done, volt_volume_create(&scan_volume, &j.grid, VOLT_I16));
    VOLT_TRY(st, done,
             volt_alloc(&j.values, voxels * (size_t)j.grid.channels * sizeof *j.values,
                        "a phantom"));
    VOLT_TRY(st, done, volt_alloc(&j.scratch, voxels * sizeof *j.scratch, "a phantom"));
    const int32_t channels = j.grid.channels;
    j.grid.channels = 1;
    VOLT_TRY(st, done, volt_volume_create(&label_volume, &j.grid, VOLT_U8));
    j.grid.channels = channels;
    j.labels = label_volume->data;
    scan(&j);
    store(&j, scan_volume->data);
    renumber(&j);
    *image = scan_volume;
    *labels = label_volume;
    scan_volume = label_volume = NULL;
done:
    volt_volume_free(label_volume);
    volt_volume_free(scan_volume);
    volt_free(j.scratch);
    volt_free(j.values);
    volt_free(scene);
    return st;
}
