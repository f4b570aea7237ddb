/* half.h - rounding to half precision, for agreeing with libraries that compute in it. */
#ifndef VOLT_VOLUME_HALF_H
#define VOLT_VOLUME_HALF_H
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
static inline float volt_half_value(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f;
    const uint32_t fraction = half & 0x3ff;
    uint32_t bits;
    float x;

    if (exponent == 0) { /* zero and subnormal: multiples of 2^-24 */
        x = (float)fraction * 0x1p-24f;
        return sign ? -x : x;
    }
    bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
