#include "base/random/mersenne.h"

#include "base/random/mersenne_kernels.h"
#include "base/threads.h"

enum { WORDS = VOLT_MERSENNE_WORDS };

void volt_mersenne_seed(volt_mersenne *m, uint32_t seed)
{
    m->state[0] = seed;
    for (uint32_t i = 1; i < WORDS; i++)
        m->state[i] = 1812433253u * (m->state[i - 1] ^ (m->state[i - 1] >> 30)) + i;
    m->next = WORDS;
}

extern const volt_mersenne_kernels volt_mersenne_kernels_base;
#if defined(__x86_64__)
extern const volt_mersenne_kernels volt_mersenne_kernels_avx2, volt_mersenne_kernels_avx512;
#endif

const volt_mersenne_kernels *volt_mersenne_kernels_here(void)
{
#if defined(__x86_64__)
    switch (volt_cpu_isa()) {
    case VOLT_ISA_AVX512:
        return &volt_mersenne_kernels_avx512;
    case VOLT_ISA_AVX2:
        return &volt_mersenne_kernels_avx2;
    default:
        break;
    }
#endif
    return &volt_mersenne_kernels_base;
}

uint32_t volt_mersenne_u32(volt_mersenne *m)
{
    if (m->next == WORDS)
        volt_mersenne_kernels_here()->refill(m);
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
    const volt_mersenne_kernels *kernels = volt_mersenne_kernels_here();
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
            kernels->refill(m);
        /* a word gives at most one draw, so this many words cannot give too many */
        end = left < WORDS - m->next ? m->next + (int)left : WORDS;
        taken += kernels->choose(out + taken, m->ready + m->next, end - m->next, mask, max);
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
