/* Conversion between element types, and the range of values. */
#include "volume/volume.h"

#include <math.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/mem.h"
#include "base/threads.h"
#include "volume/grid/half.h"

/* Elements that one thread handles at a time. */
#define CHUNK ((int64_t)1 << 16)

/* Half to even, for |x| < 2^51: the sum has no bits left for the fraction. */
static inline double round_even(double x)
{
    const double magic = 6755399441055744.0; /* 1.5 * 2^52 */

    return x + magic - magic;
}

/* One function per pair of types, dst[i] = src[i]; true when no value changed. A pair of types
 * is converted by the kinds of the two: integer or real. */
#define CONVERT_BEGIN(s, S, d, D)                                                              \
    static bool s##_to_##d(void *out, const void *in, int64_t n)                               \
    {                                                                                          \
        D *dst = out;                                                                          \
        const S *src = in;                                                                     \
        int same = 1;                                                                          \
        for (int64_t i = 0; i < n; i++) {
#define CONVERT_END                                                                            \
    }                                                                                          \
    return same;                                                                               \
    }

#define CONVERT_integer_integer(s, S, d, D, MIN, MAX)                                          \
    CONVERT_BEGIN(s, S, d, D)                                                                  \
    D v;                                                                                       \
    const bool over = __builtin_add_overflow(src[i], (S)0, &v);                                \
    dst[i] = !over ? v : src[i] < 1 ? (D)(MIN) : (D)(MAX);                                     \
    same &= !over;                                                                             \
    CONVERT_END
/* A type of at most 16 bits fits any real, 32 bits a double, 64 bits a long double. */
#define CONVERT_integer_real(s, S, d, D, MIN, MAX)                                             \
    CONVERT_BEGIN(s, S, d, D)                                                                  \
    dst[i] = (D)src[i];                                                                        \
    if (sizeof(S) == 4)                                                                        \
        same &= (double)dst[i] == (double)src[i];                                              \
    else if (sizeof(S) == 8)                                                                   \
        same &= (long double)dst[i] == (long double)src[i];                                    \
    CONVERT_END
/* The upper bound of a 64-bit type is not a double: it is compared as 2^63 or 2^64. */
#define CONVERT_real_integer(s, S, d, D, MIN, MAX)                                             \
    CONVERT_BEGIN(s, S, d, D)                                                                  \
    const double x = src[i];                                                                   \
    if (sizeof(D) == 8) {                                                                      \
        const double r = rint(x);                                                              \
        const bool low = r < (double)(MIN), high = r >= (double)(MAX);                         \
        dst[i] = low ? (D)(MIN) : high ? (D)(MAX) : r == r ? (D)r : (D)0;                      \
        same &= r == x && !low && !high;                                                       \
    } else {                                                                                   \
        const double low = x > (double)(MIN) ? x : (double)(MIN);                              \
        const double r = round_even(low < (double)(MAX) ? low : (double)(MAX));                \
        dst[i] = (D)(x == x ? r : 0);                                                          \
        same &= r == x;                                                                        \
    }                                                                                          \
    CONVERT_END
#define CONVERT_real_real(s, S, d, D, MIN, MAX)                                                \
    CONVERT_BEGIN(s, S, d, D)                                                                  \
    dst[i] = (D)src[i];                                                                        \
    same &= (double)dst[i] == (double)src[i] || src[i] != src[i];                              \
    CONVERT_END

#define TO_ALL(s, S, kind)                                                                     \
    CONVERT_##kind##_integer(s, S, u8, uint8_t, 0, UINT8_MAX) CONVERT_##kind##_integer(        \
        s, S, i8, int8_t, INT8_MIN, INT8_MAX)                                                  \
        CONVERT_##kind##_integer(s, S, u16, uint16_t, 0, UINT16_MAX)                           \
            CONVERT_##kind##_integer(s, S, i16, int16_t, INT16_MIN, INT16_MAX)                 \
                CONVERT_##kind##_integer(s, S, u32, uint32_t, 0, UINT32_MAX)                   \
                    CONVERT_##kind##_integer(s, S, i32, int32_t, INT32_MIN, INT32_MAX)         \
                        CONVERT_##kind##_integer(s, S, u64, uint64_t, 0, UINT64_MAX)           \
                            CONVERT_##kind##_integer(s, S, i64, int64_t, INT64_MIN, INT64_MAX) \
                                CONVERT_##kind##_real(s, S, f32, float, 0, 0)                  \
                                    CONVERT_##kind##_real(s, S, f64, double, 0, 0)

/* clang-format off */
TO_ALL(u8, uint8_t, integer)
TO_ALL(i8, int8_t, integer)
TO_ALL(u16, uint16_t, integer)
TO_ALL(i16, int16_t, integer)
TO_ALL(u32, uint32_t, integer)
TO_ALL(i32, int32_t, integer)
TO_ALL(u64, uint64_t, integer)
TO_ALL(i64, int64_t, integer)
TO_ALL(f32, float, real)
TO_ALL(f64, double, real)
/* clang-format on */

typedef bool (*converter)(void *out, const void *in, int64_t n);

#define FROM(s)                                                                                \
    {                                                                                          \
        [VOLT_U8] = s##_to_u8, [VOLT_I8] = s##_to_i8, [VOLT_U16] = s##_to_u16,                 \
        [VOLT_I16] = s##_to_i16, [VOLT_U32] = s##_to_u32, [VOLT_I32] = s##_to_i32,             \
        [VOLT_U64] = s##_to_u64, [VOLT_I64] = s##_to_i64, [VOLT_F32] = s##_to_f32,             \
        [VOLT_F64] = s##_to_f64                                                                \
    }

static const converter converters[][VOLT_BF16] = {
    [VOLT_U8] = FROM(u8),   [VOLT_I8] = FROM(i8),   [VOLT_U16] = FROM(u16),
    [VOLT_I16] = FROM(i16), [VOLT_U32] = FROM(u32), [VOLT_I32] = FROM(i32),
    [VOLT_U64] = FROM(u64), [VOLT_I64] = FROM(i64), [VOLT_F32] = FROM(f32),
    [VOLT_F64] = FROM(f64)};

volt_status volt_volume_convert(volt_volume **out, const volt_volume *src, volt_dtype dtype,
                                bool *exact, int threads)
{
    const int64_t n = volt_grid_voxels(&src->grid) * src->grid.channels;
    const int64_t chunks = (n + CHUNK - 1) / CHUNK;
    const size_t from = volt_dtype_bytes(src->dtype), to = volt_dtype_bytes(dtype);
    volt_volume *v;
    int same = 1;
    volt_status st = volt_volume_create(&v, &src->grid, dtype);

    if (st != VOLT_OK)
        return st;
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static) reduction(& : same)
    for (int64_t c = 0; c < chunks; c++) {
        const int64_t first = c * CHUNK, count = volt_min_i64(n - first, CHUNK);
        same &= converters[src->dtype][dtype]((char *)v->data + (size_t)first * to,
                                              (const char *)src->data + (size_t)first * from,
                                              count);
    }
    if (exact)
        *exact = same;
    *out = v;
    return VOLT_OK;
}

/* Extends `r` by n values at `in`. Comparisons in the type's own precision would keep 64-bit
 * extremes exact; the result is a double either way. */
#define RANGE(s, S)                                                                            \
    static void range_##s(volt_value_range *r, const void *in, int64_t n)                      \
    {                                                                                          \
        const S *src = in;                                                                     \
        for (int64_t i = 0; i < n; i++) {                                                      \
            const double x = (double)src[i];                                                   \
            if (isfinite(x)) {                                                                 \
                r->min = x < r->min ? x : r->min;                                              \
                r->max = x > r->max ? x : r->max;                                              \
            } else {                                                                           \
                r->not_finite++;                                                               \
            }                                                                                  \
        }                                                                                      \
    }

/* clang-format off */
RANGE(u8, uint8_t)
RANGE(i8, int8_t)
RANGE(u16, uint16_t)
RANGE(i16, int16_t)
RANGE(u32, uint32_t)
RANGE(i32, int32_t)
RANGE(u64, uint64_t)
RANGE(i64, int64_t)
RANGE(f32, float)
RANGE(f64, double)
/* clang-format on */

static void (*const rangers[])(volt_value_range *r, const void *in, int64_t n) = {
    [VOLT_U8] = range_u8,   [VOLT_I8] = range_i8,   [VOLT_U16] = range_u16,
    [VOLT_I16] = range_i16, [VOLT_U32] = range_u32, [VOLT_I32] = range_i32,
    [VOLT_U64] = range_u64, [VOLT_I64] = range_i64, [VOLT_F32] = range_f32,
    [VOLT_F64] = range_f64};

volt_value_range volt_volume_range(const volt_volume *v, int threads)
{
    const int64_t n = volt_grid_voxels(&v->grid) * v->grid.channels;
    const int64_t chunks = (n + CHUNK - 1) / CHUNK;
    const size_t bytes = volt_dtype_bytes(v->dtype);
    double low = INFINITY, high = -INFINITY;
    int64_t not_finite = 0;

    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : low)            \
    reduction(max : high) reduction(+ : not_finite)
    for (int64_t c = 0; c < chunks; c++) {
        const int64_t first = c * CHUNK, count = volt_min_i64(n - first, CHUNK);
        volt_value_range r = {INFINITY, -INFINITY, 0};
        rangers[v->dtype](&r, (const char *)v->data + (size_t)first * bytes, count);
        low = r.min < low ? r.min : low;
        high = r.max > high ? r.max : high;
        not_finite += r.not_finite;
    }
    if (not_finite == n)
        low = high = 0; /* no value is finite */
    return (volt_value_range){low, high, not_finite};
}

static float float_of_bf16(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float f;

    memcpy(&f, &wide, sizeof f);
    return f;
}

double volt_voxel_value(const volt_volume *v, int64_t i)
{
    switch (v->dtype) {
    case VOLT_U8:
        return ((const uint8_t *)v->data)[i];
    case VOLT_I8:
        return ((const int8_t *)v->data)[i];
    case VOLT_U16:
        return ((const uint16_t *)v->data)[i];
    case VOLT_I16:
        return ((const int16_t *)v->data)[i];
    case VOLT_U32:
        return ((const uint32_t *)v->data)[i];
    case VOLT_I32:
        return ((const int32_t *)v->data)[i];
    case VOLT_U64:
        return (double)((const uint64_t *)v->data)[i];
    case VOLT_I64:
        return (double)((const int64_t *)v->data)[i];
    case VOLT_F32:
        return (double)((const float *)v->data)[i];
    case VOLT_F64:
        return ((const double *)v->data)[i];
    case VOLT_BF16:
        return (double)float_of_bf16(((const uint16_t *)v->data)[i]);
    case VOLT_F16:
        return (double)volt_half_to_float(((const uint16_t *)v->data)[i]);
    case VOLT_AS_STORED:
        break;
    }
    return NAN;
}
