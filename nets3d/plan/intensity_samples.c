#include "nets3d/plan/intensity_samples.h"

#include <math.h>
#include <string.h>

#include "base/core/alloc.h"

enum { CHUNK = 4096 };

void volt_intensity_samples_clear(volt_intensity_samples *d)
{
    for (int c = 0; d->channel && c < d->channels; c++) {
        volt_free(d->channel[c].code);
        volt_free(d->channel[c].value);
    }
    volt_free(d->channel);
    *d = (volt_intensity_samples){0};
}

volt_status volt_intensity_samples_begin(volt_intensity_samples *out, volt_mersenne *random,
                                         int channels, int64_t foreground, int64_t samples)
{
    volt_intensity_samples d = {.foreground = foreground, .channels = channels};
    volt_status st;

    if (foreground > UINT32_MAX)
        return volt_fail(VOLT_ENOTSUP, "%lld foreground voxels in one case; %lld are supported",
                         (long long)foreground, (long long)UINT32_MAX);
    d.count = foreground < samples ? foreground : samples;
    st = volt_alloc_zero(&d.channel, (size_t)channels, sizeof *d.channel, "intensities");
    if (st != VOLT_OK)
        return st;
    volt_mersenne_seed(random, VOLT_SAMPLES_SEED);
    *out = d;
    return VOLT_OK;
}

/* Whether all values are integers that 16 bits hold, counted from the smallest. */
static bool is_short(int32_t *base, const float *values, int64_t count)
{
    float low = values[0], high = values[0];
    bool integers = true;

    for (int64_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
        integers = integers && values[i] == rintf(values[i]);
    }
    if (!integers || low < -0x1p24f || high > 0x1p24f || high - low > UINT16_MAX)
        return false;
    *base = (int32_t)low;
    return true;
}

/* Takes over `values`; they are stored in 16 bits where possible. */
static volt_status store(volt_stored_values *out, float *values, int64_t count)
{
    volt_status st;

    if (!is_short(&out->base, values, count)) {
        out->value = values;
        return VOLT_OK;
    }
    st = volt_alloc(&out->code, (size_t)count * sizeof *out->code, "intensities");
    for (int64_t i = 0; i < count && st == VOLT_OK; i++)
        out->code[i] = (uint16_t)((int32_t)values[i] - out->base);
    volt_free(values);
    return st;
}

/* out[i] = values[drawn index], `samples` times. */
static void draw(float *out, volt_mersenne *random, const float *values, int64_t foreground,
                 int64_t samples)
{
    uint32_t index[CHUNK];

    for (int64_t done = 0; done < samples; done += CHUNK) {
        const int64_t n = samples - done < CHUNK ? samples - done : CHUNK;
        volt_mersenne_draws(random, index, n, (uint32_t)(foreground - 1));
        for (int64_t i = 0; i < n; i++)
            out[done + i] = values[index[i]];
    }
}

volt_status volt_intensity_samples_add(volt_intensity_samples *d, volt_mersenne *random,
                                       int channel, const float *values, int64_t samples)
{
    float *stored = NULL;
    volt_status st = volt_alloc(&stored, (size_t)d->count * sizeof *stored, "intensities");

    if (st != VOLT_OK)
        return st;
    if (d->foreground <= samples)
        memcpy(stored, values, (size_t)d->count * sizeof *stored);
    else
        draw(stored, random, values, d->foreground, samples);
    return store(&d->channel[channel], stored, d->count);
}
