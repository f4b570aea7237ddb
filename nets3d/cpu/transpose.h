/* transpose.h - VB voxels of VB channels to VB channels of VB voxels, in registers. */
#ifndef VOLT_NETS3D_CPU_TRANSPOSE_H
#define VOLT_NETS3D_CPU_TRANSPOSE_H
#include "nets3d/cpu/simd.h"

/* swap_S: of two rows S apart, the lanes with bit S set in the first trade places with those
 * without it in the second. Doing so for S = 1, 2, 4, .. transposes. */
#define SWAP(s, first, second)                                                                 \
    VINLINE void swap_##s(vf *a, vf *b)                                                        \
    {                                                                                          \
        const vf x = *a, y = *b;                                                               \
        *a = __builtin_shufflevector(x, y, first);                                             \
        *b = __builtin_shufflevector(x, y, second);                                            \
    }
#define LANES(...) __VA_ARGS__
// clang-format off
#if VB == 16
SWAP(1, LANES(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
     LANES(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
SWAP(2, LANES(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
     LANES(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
SWAP(4, LANES(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
     LANES(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
SWAP(8, LANES(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
     LANES(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
#else
SWAP(1, LANES(0, 8, 2, 10, 4, 12, 6, 14),
     LANES(1, 9, 3, 11, 5, 13, 7, 15))
SWAP(2, LANES(0, 1, 8, 9, 4, 5, 12, 13),
     LANES(2, 3, 10, 11, 6, 7, 14, 15))
SWAP(4, LANES(0, 1, 2, 3, 8, 9, 10, 11),
     LANES(4, 5, 6, 7, 12, 13, 14, 15))
#endif
// clang-format on

VINLINE void transpose(vf row[VB])
{
#pragma GCC unroll 16
    for (int i = 0; i < VB; i++)
        if (!(i & 1))
            swap_1(&row[i], &row[i + 1]);
#pragma GCC unroll 16
    for (int i = 0; i < VB; i++)
        if (!(i & 2))
            swap_2(&row[i], &row[i + 2]);
#pragma GCC unroll 16
    for (int i = 0; i < VB; i++)
        if (!(i & 4))
            swap_4(&row[i], &row[i + 4]);
#if VB == 16
#pragma GCC unroll 16
    for (int i = 0; i < VB; i++)
        if (!(i & 8))
            swap_8(&row[i], &row[i + 8]);
#endif
}

#undef SWAP
#undef LANES
#endif
