#include "base/rng.h"

#include <math.h>

#include "base/random/philox.h"

void volt_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
        const uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t next0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
        const uint32_t next2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;

        c[0] = next0;
        c[1] = (uint32_t)p1;
        c[2] = next2;
        c[3] = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

volt_rng volt_rng_open(uint64_t seed, uint32_t epoch, uint32_t sample, volt_rng_purpose purpose)
{
    volt_rng rng = {.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                    .counter = {0, (uint32_t)purpose, sample, epoch}};
    return rng;
}

uint32_t volt_rng_u32(volt_rng *rng)
{
    if (rng->left == 0) {
        volt_philox(rng->block, rng->counter, rng->key);
        rng->counter[0]++;
        rng->left = 4;
    }
    return rng->block[4 - rng->left--];
}

void volt_rng_skip(volt_rng *rng, uint64_t words)
{
    const uint64_t unread = (uint64_t)rng->left;

    if (words <= unread) {
        rng->left -= (int)words;
        return;
    }
    rng->counter[0] += (uint32_t)((words - unread) / 4);
    rng->left = 0;
    for (uint64_t i = (words - unread) % 4; i > 0; i--)
        (void)volt_rng_u32(rng);
}

double volt_rng_uniform(volt_rng *rng)
{
    const uint64_t high = volt_rng_u32(rng) >> 5, low = volt_rng_u32(rng) >> 6;

    return (double)(high << 26 | low) * 0x1p-53;
}

double volt_rng_range(volt_rng *rng, double low, double high)
{
    return low + (high - low) * volt_rng_uniform(rng);
}

int64_t volt_rng_below(volt_rng *rng, int64_t n)
{
    const uint64_t range = (uint64_t)n, limit = UINT64_MAX - UINT64_MAX % range;
    uint64_t draw;

    do {
        draw = (uint64_t)volt_rng_u32(rng) << 32;
        draw |= volt_rng_u32(rng);
    } while (draw >= limit);
    return (int64_t)(draw % range);
}

double volt_rng_normal(volt_rng *rng)
{
    const double u = 1.0 - volt_rng_uniform(rng); /* (0, 1]: log is finite */
    const double v = volt_rng_uniform(rng);

    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}
