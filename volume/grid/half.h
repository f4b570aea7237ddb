/* half.h - half precision (1 + 5 + 10 bits), to agree with libraries that compute in it and to
 * store sums that would need too much memory in float32. */
#ifndef VOLT_VOLUME_GRID_HALF_H
#define VOLT_VOLUME_GRID_HALF_H
#include <math.h>
#include <stdint.h>
#include <string.h>

/* The nearest half (1 + 5 + 10 bits), ties to even; 0 <= x < 65504. */
static inline float volt_round_to_half(float x)
{
    uint32_t bits;

    if (x < 0x1p-14f) /* subnormal halves are multiples of 2^-24 */
        return rintf(x * 0x1p24f) * 0x1p-24f;
    memcpy(&bits, &x, sizeof bits);
    bits += 0xfff + (bits >> 13 & 1);
    bits &= ~UINT32_C(0x1fff);
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The value of a half's bits; exact. */
static inline float volt_half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    uint32_t bits = rest << 13;
    float x;

    if (rest < 0x400) { /* subnormal halves are multiples of 2^-24 */
        x = (float)rest * 0x1p-24f;
        memcpy(&bits, &x, sizeof bits);
    } else {
        bits += rest < 0x7c00 ? (uint32_t)112 << 23 : (uint32_t)224 << 23;
    }
    bits |= sign;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The nearest half, ties to even; values that are too large become infinite, NaN stays NaN. */
static inline uint16_t volt_float_to_half(float x)
{
    const float size = fabsf(x);
    uint32_t bits;
    uint16_t h;

    if (!(size < 65520)) {
        h = isnan(x) ? 0x7e00 : 0x7c00;
    } else if (size < 0x1p-14f) {
        h = (uint16_t)rintf(size * 0x1p24f);
    } else {
        memcpy(&bits, &size, sizeof bits);
        bits += 0xfff + (bits >> 13 & 1);
        h = (uint16_t)((bits >> 13) - (112 << 10));
    }
    return (uint16_t)(h | (signbit(x) ? 0x8000 : 0));
}

#endif
