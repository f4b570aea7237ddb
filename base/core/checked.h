/* checked.h - arithmetic on sizes: checked, for sizes that come from outside (true means
 * overflow, as in GCC), and the smaller, the larger or the clamped value. */
#ifndef VOLT_BASE_CORE_CHECKED_H
#define VOLT_BASE_CORE_CHECKED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool volt_mul_i64(int64_t *out, int64_t a, int64_t b)
{
    return __builtin_mul_overflow(a, b, out);
}

static inline bool volt_add_i64(int64_t *out, int64_t a, int64_t b)
{
    return __builtin_add_overflow(a, b, out);
}

static inline bool volt_mul_size(size_t *out, size_t a, size_t b)
{
    return __builtin_mul_overflow(a, b, out);
}

static inline bool volt_add_size(size_t *out, size_t a, size_t b)
{
    return __builtin_add_overflow(a, b, out);
}

/* Product of `count` extents, each >= 0, times `bytes_each`, as a size in bytes. */
static inline bool volt_extent_bytes(size_t *out, const int64_t *extents, int count,
                                     size_t bytes_each)
{
    size_t total = bytes_each;

    for (int i = 0; i < count; i++) {
        if (extents[i] < 0 || volt_mul_size(&total, total, (size_t)extents[i]))
            return true;
    }
    *out = total;
    return false;
}

static inline size_t volt_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t volt_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline int64_t volt_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t volt_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The value in low..high that is nearest to `v`; low <= high. */
static inline int64_t volt_clamp_i64(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

#endif
