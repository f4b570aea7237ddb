#include "base/random/mersenne.h"

enum { WORDS = 624, AHEAD = 397 };

void volt_mersenne_seed(volt_mersenne *m, uint32_t seed)
{
    m->state[0] = seed;
    for (uint32_t i = 1; i < WORDS; i++)
        m->state[i] = 1812433253u * (m->state[i - 1] ^ (m->state[i - 1] >> 30)) + i;
    m->next = WORDS;
}

static uint32_t twisted(uint32_t high, uint32_t low, uint32_t other)
{
    const uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);

    return other ^ (y >> 1) ^ (-(y & 1u) & 0x9908b0dfu);
}

/* The next 624 words. */
static void refill(volt_mersenne *m)
{
    uint32_t *s = m->state;

    for (int i = 0; i < WORDS - AHEAD; i++)
        s[i] = twisted(s[i], s[i + 1], s[i + AHEAD]);
    for (int i = WORDS - AHEAD; i < WORDS - 1; i++)
        s[i] = twisted(s[i], s[i + 1], s[i + AHEAD - WORDS]);
    s[WORDS - 1] = twisted(s[WORDS - 1], s[0], s[AHEAD - 1]);
    for (int i = 0; i < WORDS; i++) {
        uint32_t y = s[i];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680u;
        y ^= (y << 15) & 0xefc60000u;
        m->ready[i] = y ^ (y >> 18);
    }
    m->next = 0;
}

uint32_t volt_mersenne_u32(volt_mersenne *m)
{
    if (m->next == WORDS)
        refill(m);
    return m->ready[m->next++];
}

/* All bits up to the highest of `max`. */
static uint32_t mask_of(uint32_t max)
{
    uint32_t mask = max;

    for (int shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    return mask;
}

void volt_mersenne_draws(volt_mersenne *m, uint32_t *out, int64_t count, uint32_t max)
{
    const uint32_t mask = mask_of(max);
    int64_t taken = 0;

    if (max == 0) {
        for (int64_t i = 0; i < count; i++)
            out[i] = 0;
        return;
    }
    while (taken < count) {
        const int64_t left = count - taken;
        int end;
        if (m->next == WORDS)
            refill(m);
        /* a word gives at most one draw, so this many words cannot give too many */
        end = left < WORDS - m->next ? m->next + (int)left : WORDS;
        for (int i = m->next; i < end; i++) {
            out[taken] = m->ready[i] & mask;
            taken += (m->ready[i] & mask) <= max;
        }
        m->next = end;
    }
}

void volt_mersenne_permutation(volt_mersenne *m, uint32_t *out, int64_t count)
{
    uint32_t mask = UINT32_MAX;

    for (int64_t i = 0; i < count; i++)
        out[i] = (uint32_t)i;
    for (int64_t i = count - 1; i > 0; i--) {
        const uint32_t held = out[i];
        uint32_t j;
        while (mask >> 1 >= (uint32_t)i)
            mask >>= 1;
        do
            j = volt_mersenne_u32(m) & mask;
        while (j > (uint32_t)i);
        out[i] = out[j];
        out[j] = held;
    }
}
