/* loss_simd.h - common parts of the softmax and the sigmoid loss; for *.isa.c only. */
#ifndef VOLT_NETS3D_CPU_LOSS_SIMD_H
#define VOLT_NETS3D_CPU_LOSS_SIMD_H
#include "nets3d/cpu/loss.h"
#include "nets3d/cpu/simd.h"

/* e^x for x <= 0 to about 1 unit in the last place; 0 below -87. (Range reduction by ln 2 in
 * two parts, degree-6 polynomial.) */
VINLINE vf v_exp(vf x)
{
    const vf magic = v_set(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    const vi tiny = x < v_set(-87.0f);
    const vf shifted = x * v_set(1.44269504f) + magic, k = shifted - magic;
    const vf r = (x - k * v_set(0.693359375f)) - k * v_set(-2.12194440e-4f);
    vf y = v_set(1.3981999507e-3f) + v_set(1.9875691500e-4f) * r;

    y = y * r + v_set(8.3334519073e-3f);
    y = y * r + v_set(4.1665795894e-2f);
    y = y * r + v_set(1.6666665459e-1f);
    y = y * r + v_set(0.5f);
    y = y * r * r + r + v_set(1);
    const vi power = ((vi)shifted - (vi)magic) << 23;
    const vf scaled = (vf)((vi)y + power);
    return v_select(tiny, v_zero(), scaled + (x - x)); /* NaN stays NaN */
}

/* Labels of `count` voxels from voxel `first` of a level, by the nearest voxel of the full
 * grid. */
static inline void labels_of(const volt_loss_call *call, const volt_loss_level *level,
                             int64_t n, int64_t first, int64_t count, int16_t *out)
{
    const int16_t *labels = call->labels + n * call->d * call->h * call->w;
    int64_t x = first % level->w, y = first / level->w % level->h,
            z = first / level->w / level->h;

    if (level->d == call->d && level->h == call->h && level->w == call->w) {
        memcpy(out, labels + first, (size_t)count * sizeof *out);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t fz = volt_loss_nearest(call, level, 0, z);
        const int64_t fy = volt_loss_nearest(call, level, 1, y);
        const int64_t fx = volt_loss_nearest(call, level, 2, x);
        out[i] = labels[(fz * call->h + fy) * call->w + fx];
        if (++x == level->w) {
            x = 0;
            if (++y == level->h) {
                y = 0;
                z++;
            }
        }
    }
}

/* log(1 + x) for x in [0, 1] to float's precision: 2 atanh(x / (2 + x)). */
VINLINE vf v_log1p(vf x)
{
    const vf s = x / (v_set(2) + x), q = s * s;
    vf y = v_set(1 / 13.0f) * q + v_set(1 / 11.0f);

    y = y * q + v_set(1 / 9.0f);
    y = y * q + v_set(1 / 7.0f);
    y = y * q + v_set(1 / 5.0f);
    y = y * q + v_set(1 / 3.0f);
    return v_set(2) * (s + s * q * y);
}

/* Loads `count` <= VB floats; the lanes behind are 0. */
VINLINE vf v_load_some(const float *p, int64_t count)
{
    float lane[VB] = {0};

    if (count == VB)
        return v_load(p);
    memcpy(lane, p, (size_t)count * sizeof *lane);
    return v_load(lane);
}

#endif
