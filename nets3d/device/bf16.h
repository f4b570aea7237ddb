/* bf16.h - the upper half of a float32: 8 bits of exponent, 7 of fraction. And tf32, a float32
 * with 10 bits of fraction. */
#ifndef VOLT_NETS3D_DEVICE_BF16_H
#define VOLT_NETS3D_DEVICE_BF16_H
#include <stdint.h>
#include <string.h>

static inline float volt_bf16_to_float(uint16_t b)
{
    const uint32_t bits = (uint32_t)b << 16;
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

/* To the nearest, ties to even; a NaN stays one (quiet). */
static inline uint16_t volt_bf16_from_float(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* To the nearest, ties to even; infinities and NaNs stay as they are. */
static inline float volt_tf32_round(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7f800000u) == 0x7f800000u)
        return f;
    bits = (bits + 0xfffu + (bits >> 13 & 1u)) & ~0x1fffu;
    memcpy(&f, &bits, sizeof f);
    return f;
}

#endif
