/* intensity_samples.h - nnU-Net's sample of the foreground's intensities, and its statistics.
 *
 * From every case with foreground the same number of values is drawn with replacement, channel
 * after channel, by a RandomState(1234) of its own. The statistics are bit-identical to those
 * that numpy computes of a channel's samples, case after case: sums in numpy's pairwise order,
 * in float32, or in float64 where a case has no foreground (numpy's concatenation becomes
 * float64 then).
 *
 * Samples that can be drawn again are not stored: of a case with fewer foreground voxels than
 * samples its voxels are, of another the samples; integers that span less than 65536 as 16
 * bits. So 4 bytes at most, often 2, for each of 1e8 samples per channel.
 *
 * Threads  different cases may be sampled at the same time.
 */
#ifndef VOLT_NETS3D_PLAN_INTENSITY_SAMPLES_H
#define VOLT_NETS3D_PLAN_INTENSITY_SAMPLES_H
#include <stdint.h>
#include "base/random/mersenne.h"
#include "base/status.h"
#include "nets3d/fingerprint.h"

enum {
    VOLT_SAMPLES = 100000000, /* of all cases together, per channel */
    VOLT_SAMPLES_SEED = 1234
};

/* Values: code[i] + base, or value[i]. */
typedef struct volt_stored_values {
    uint16_t *code; /* NULL: `value` holds them */
    float *value;
    int32_t base;
} volt_stored_values;

/* What is stored of one case. Zero-initialized is a case without foreground. */
typedef struct volt_intensity_samples {
    int64_t foreground; /* voxels */
    int64_t count;      /* values stored per channel */
    int channels;
    volt_stored_values *channel;
} volt_intensity_samples;

/* A case of `foreground` >= 1 voxels, from which `samples` >= 1 values are drawn; every channel
 * is then added in turn with the same `random`, which this seeds. The caller owns what *out
 * holds (volt_intensity_samples_clear). VOLT_ENOMEM; VOLT_ENOTSUP: 2^32 foreground voxels or
 * more. */
VOLT_MUST_USE volt_status volt_intensity_samples_begin(volt_intensity_samples *out,
                                                       volt_mersenne *random, int channels,
                                                       int64_t foreground, int64_t samples);
/* The next channel's `foreground` finite values, in the order of the voxels. */
VOLT_MUST_USE volt_status volt_intensity_samples_add(volt_intensity_samples *d,
                                                     volt_mersenne *random, int channel,
                                                     const float *values, int64_t samples);
void volt_intensity_samples_clear(volt_intensity_samples *d);

/* out[channels] of `per_case` samples from each of `count` cases, at least one of them with
 * foreground. The result does not depend on the number of threads. */
VOLT_MUST_USE volt_status volt_intensity_stats(volt_foreground_stats *out,
                                               const volt_intensity_samples *cases,
                                               int64_t count, int channels, int64_t per_case,
                                               int threads);

#endif
