#ifdef __AVX2__
#include <immintrin.h>
#endif
#include "base/core/isa.h"
#include "base/random/mersenne_kernels.h"

enum { WORDS = VOLT_MERSENNE_WORDS, AHEAD = 397 };

static uint32_t twisted(uint32_t high, uint32_t low, uint32_t other)
{
    const uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);

    return other ^ (y >> 1) ^ (-(y & 1u) & 0x9908b0dfu);
}

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

/* Whole vectors: the number of words dealt with is *at. What is stored behind the chosen words
 * never reaches beyond the words of `out` that as many words as were read may fill. */
#if defined(__AVX512F__)
static int64_t choose_wide(uint32_t *out, int64_t *at, const uint32_t *words, int64_t count,
                           uint32_t mask, uint32_t max)
{
    const __m512i masks = _mm512_set1_epi32((int)mask), most = _mm512_set1_epi32((int)max);
    int64_t taken = 0, i = 0;

    for (; i + 16 <= count; i += 16) {
        const __m512i v = _mm512_and_si512(_mm512_loadu_si512(words + i), masks);
        const __mmask16 good = _mm512_cmple_epu32_mask(v, most);
        _mm512_storeu_si512(out + taken, _mm512_maskz_compress_epi32(good, v));
        taken += __builtin_popcount(good);
    }
    *at = i;
    return taken;
}
#elif defined(__AVX2__) && defined(__BMI2__)
static int64_t choose_wide(uint32_t *out, int64_t *at, const uint32_t *words, int64_t count,
                           uint32_t mask, uint32_t max)
{
    const __m256i masks = _mm256_set1_epi32((int)mask), most = _mm256_set1_epi32((int)max);
    int64_t taken = 0, i = 0;

    for (; i + 8 <= count; i += 8) {
        const __m256i v =
            _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(words + i)), masks);
        const __m256i fits = _mm256_cmpeq_epi32(_mm256_min_epu32(v, most), v);
        const unsigned good = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(fits));
        /* the numbers of the good lanes, one byte each */
        const uint64_t bytes = _pdep_u64(good, 0x0101010101010101u) * 0xff;
        const uint64_t lanes = _pext_u64(0x0706050403020100u, bytes);
        const __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)lanes));
        _mm256_storeu_si256((__m256i *)(out + taken), _mm256_permutevar8x32_epi32(v, order));
        taken += __builtin_popcount(good);
    }
    *at = i;
    return taken;
}
#else
static int64_t choose_wide(uint32_t *out, int64_t *at, const uint32_t *words, int64_t count,
                           uint32_t mask, uint32_t max)
{
    (void)out;
    (void)words;
    (void)count;
    (void)mask;
    (void)max;
    *at = 0;
    return 0;
}
#endif

static int64_t choose(uint32_t *out, const uint32_t *words, int64_t count, uint32_t mask,
                      uint32_t max)
{
    int64_t at, taken = choose_wide(out, &at, words, count, mask, max);

    for (; at < count; at++) {
        out[taken] = words[at] & mask;
        taken += (words[at] & mask) <= max;
    }
    return taken;
}

const volt_mersenne_kernels VOLT_ISA_NAME(volt_mersenne_kernels) = {refill, choose};
