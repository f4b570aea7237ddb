/* simd.h - one vector of channels (a channel block of the native layout), for *.isa.c only.
 *
 * GCC vector extensions; intrinsics only where the extension has no word for it.
 */
#ifndef VOLT_NETS3D_CPU_SIMD_H
#define VOLT_NETS3D_CPU_SIMD_H
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* All functions here are inlined: how vectors would be passed does not matter. */
#pragma GCC diagnostic ignored "-Wpsabi"

#if defined(__AVX512F__)
#define VB 16
#else
#define VB 8
#endif

#define VINLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(VB * 4)));
typedef int32_t vi __attribute__((vector_size(VB * 4)));
typedef uint32_t vu __attribute__((vector_size(VB * 4)));
typedef uint16_t vh __attribute__((vector_size(VB * 2)));
typedef double vd __attribute__((vector_size(VB * 8)));

VINLINE vf v_set(float x)
{
    return x - (vf){0};
}

VINLINE vf v_zero(void)
{
    return (vf){0};
}

/* Unaligned. */
VINLINE vf v_load(const float *p)
{
    vf v;

    memcpy(&v, p, sizeof v);
    return v;
}

VINLINE void v_store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

VINLINE vf v_from_bf16(vh h)
{
    return (vf)(__builtin_convertvector(h, vu) << 16);
}

/* Round to nearest even; a NaN stays a NaN. */
VINLINE vh v_to_bf16(vf x)
{
    const vu u = (vu)x, nan = (vu)(x != x);
    const vu rounded = u + 0x7fff + ((u >> 16) & 1);

    return __builtin_convertvector(((rounded & ~nan) | ((u | 0x400000) & nan)) >> 16, vh);
}

/* Element `i` (in elements of its type) of an array of float or bf16. */
VINLINE vf v_get(const void *base, int64_t i, int bf16)
{
    vh h;

    if (!bf16)
        return v_load((const float *)base + i);
    memcpy(&h, (const uint16_t *)base + i, sizeof h);
    return v_from_bf16(h);
}

VINLINE void v_put(void *base, int64_t i, int bf16, vf v)
{
    vh h;

    if (!bf16) {
        v_store((float *)base + i, v);
        return;
    }
    h = v_to_bf16(v);
    memcpy((uint16_t *)base + i, &h, sizeof h);
}

VINLINE vf v_select(vi mask, vf yes, vf no)
{
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}

VINLINE vf v_max(vf a, vf b)
{
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return v_select(a > b, a, b);
#endif
}

VINLINE vf v_min(vf a, vf b)
{
#if defined(__AVX512F__)
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return v_select(a < b, a, b);
#endif
}

/* max(x, slope * x): identity above zero, also for slope > 1 never used here. */
VINLINE vf v_leaky(vf x, vf slope)
{
    return v_max(x, slope * x);
}

/* g where x > 0, else slope * g. */
VINLINE vf v_leaky_back(vf g, vf x, vf slope)
{
#if defined(__AVX512F__)
    const __mmask16 low = _mm512_cmp_ps_mask((__m512)x, _mm512_setzero_ps(), _CMP_NGT_UQ);

    return (vf)_mm512_mask_mul_ps((__m512)g, low, (__m512)g, (__m512)slope);
#else
    return v_select(x > v_zero(), g, slope * g);
#endif
}

/* A value per channel as a vector of block `cb`; lanes past `c` are 0. */
VINLINE vf v_channels(const float *x, int64_t cb, int64_t c)
{
    float lane[VB] = {0};

    for (int i = 0; i < VB && cb * VB + i < c; i++)
        lane[i] = x[cb * VB + i];
    return v_load(lane);
}

VINLINE vd v_double(vf x)
{
    return __builtin_convertvector(x, vd);
}

VINLINE vf v_float(vd x)
{
    return __builtin_convertvector(x, vf);
}

#endif
