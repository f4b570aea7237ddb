#include "nets3d/plan/intensity_samples.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

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
                                         int channels, int64_t foreground, int64_t draws)
{
    volt_intensity_samples d = {.foreground = foreground, .channels = channels};
    volt_status st;

    if (foreground > UINT32_MAX)
        return volt_fail(VOLT_ENOTSUP, "%lld foreground voxels in one case; %lld are supported",
                         (long long)foreground, (long long)UINT32_MAX);
    d.count = foreground < draws ? foreground : draws;
    st = volt_alloc_zero(&d.channel, (size_t)channels, sizeof *d.channel, "intensities");
    if (st != VOLT_OK)
        return st;
    volt_mersenne_seed(random, VOLT_DRAWS_SEED);
    *out = d;
    return VOLT_OK;
}

/* Whether all values are whole numbers that 16 bits hold, counted from the smallest. */
static bool is_short(int32_t *base, const float *values, int64_t count)
{
    float low = values[0], high = values[0];
    bool whole = true;

    for (int64_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
        whole = whole && values[i] == rintf(values[i]);
    }
    if (!whole || low < -0x1p24f || high > 0x1p24f || high - low > UINT16_MAX)
        return false;
    *base = (int32_t)low;
    return true;
}

/* Takes over `values`, which are made smaller where possible. */
static volt_status keep(volt_kept_values *out, float *values, int64_t count)
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

/* out[i] = values[drawn index], `draws` times. */
static void draw(float *out, volt_mersenne *random, const float *values, int64_t foreground,
                 int64_t draws)
{
    uint32_t index[CHUNK];

    for (int64_t done = 0; done < draws; done += CHUNK) {
        const int64_t n = draws - done < CHUNK ? draws - done : CHUNK;
        volt_mersenne_draws(random, index, n, (uint32_t)(foreground - 1));
        for (int64_t i = 0; i < n; i++)
            out[done + i] = values[index[i]];
    }
}

volt_status volt_intensity_samples_add(volt_intensity_samples *d, volt_mersenne *random,
                                       int channel, const float *values, int64_t draws)
{
    float *kept = NULL;
    volt_status st = volt_alloc(&kept, (size_t)d->count * sizeof *kept, "intensities");

    if (st != VOLT_OK)
        return st;
    if (d->foreground <= draws)
        memcpy(kept, values, (size_t)d->count * sizeof *kept);
    else
        draw(kept, random, values, d->foreground, draws);
    return keep(&d->channel[channel], kept, d->count);
}
