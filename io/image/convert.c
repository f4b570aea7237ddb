/* convert.c - conversion through blocks of doubles that stay in the first-level cache: ten
 * loaders and ten storers in place of a hundred loops.
 */
#include <math.h>
#include <string.h>

#include "base/threads.h"
#include "io/image/convert.h"

#define BLOCK 1024 /* elements */

/* Largest label in 64-bit types: round_labels() is exact up to here. */
#define EXACT_LIMIT 2251799813685247.0

static void swap_bytes(unsigned char *to, const unsigned char *from, int64_t count, size_t size)
{
    for (int64_t i = 0; i < count; i++, to += size, from += size) {
        unsigned char element[8];
        memcpy(element, from, size);
        for (size_t b = 0; b < size; b++)
            to[b] = element[size - 1 - b];
    }
}

#define LOAD(type)                                                                             \
    for (int64_t i = 0; i < count; i++) {                                                      \
        type v;                                                                                \
        memcpy(&v, from + (size_t)i * sizeof v, sizeof v);                                     \
        to[i] = (double)v;                                                                     \
    }                                                                                          \
    break

static void load(double *restrict to, const unsigned char *restrict from, int64_t count,
                 volt_dtype dtype)
{
    switch (dtype) {
    case VOLT_U8:
        LOAD(uint8_t);
    case VOLT_I8:
        LOAD(int8_t);
    case VOLT_U16:
        LOAD(uint16_t);
    case VOLT_I16:
        LOAD(int16_t);
    case VOLT_U32:
        LOAD(uint32_t);
    case VOLT_I32:
        LOAD(int32_t);
    case VOLT_U64:
        LOAD(uint64_t);
    case VOLT_I64:
        LOAD(int64_t);
    case VOLT_F32:
        LOAD(float);
    default:
        LOAD(double);
    }
}

#define STORE(type)                                                                            \
    for (int64_t i = 0; i < count; i++) {                                                      \
        const type v = (type)from[i];                                                          \
        memcpy(to + (size_t)i * sizeof v, &v, sizeof v);                                       \
    }                                                                                          \
    break

static void store(unsigned char *restrict to, const double *restrict from, int64_t count,
                  volt_dtype dtype)
{
    switch (dtype) {
    case VOLT_U8:
        STORE(uint8_t);
    case VOLT_I8:
        STORE(int8_t);
    case VOLT_U16:
        STORE(uint16_t);
    case VOLT_I16:
        STORE(int16_t);
    case VOLT_U32:
        STORE(uint32_t);
    case VOLT_I32:
        STORE(int32_t);
    case VOLT_U64:
        STORE(uint64_t);
    case VOLT_I64:
        STORE(int64_t);
    case VOLT_F32:
        STORE(float);
    default:
        STORE(double);
    }
}

/* The range of an integer type; infinite for floats. */
static void range_of(double *low, double *high, volt_dtype dtype)
{
    const bool is_float = dtype == VOLT_F32 || dtype == VOLT_F64;
    const int bits = 8 * (int)volt_dtype_bytes(dtype);
    const bool is_signed =
        dtype == VOLT_I8 || dtype == VOLT_I16 || dtype == VOLT_I32 || dtype == VOLT_I64;

    *high = is_float ? HUGE_VAL : ldexp(1.0, is_signed ? bits - 1 : bits) - 1;
    *low = is_float ? -HUGE_VAL : (is_signed ? -ldexp(1.0, bits - 1) : 0);
    if (!is_float && bits == 64) {
        *high = EXACT_LIMIT;
        *low = is_signed ? -EXACT_LIMIT : 0;
    }
}

/* Rounds `from` to integers in [low, high]. Returns the index of the first value that is not
 * one within 1e-3, or count; such values become 0. */
static int64_t round_labels(double *restrict to, const double *restrict from, int64_t count,
                            double low, double high)
{
    const double magic = 6755399441055744.0; /* 1.5 * 2^52: rounds |x| < 2^51 */
    int64_t bad = 0, first = 0;

    for (int64_t i = 0; i < count; i++) {
        const double whole = from[i] + magic - magic, off = from[i] - whole;
        const bool good = (off <= 1e-3) & (off >= -1e-3) & (whole >= low) & (whole <= high);
        bad += !good;
        to[i] = good ? whole : 0;
    }
    if (bad == 0)
        return count;
    while (fabs(from[first] - rint(from[first])) <= 1e-3 && rint(from[first]) >= low &&
           rint(from[first]) <= high)
        first++;
    return first;
}

/* One block of at most BLOCK elements; `to` may be where `from` is. */
static int64_t convert_block(unsigned char *to, const unsigned char *from, int64_t count,
                             const volt_image_conversion *how, double *bad_value)
{
    double values[BLOCK], whole[BLOCK];
    unsigned char swapped[8 * BLOCK];
    double low, high;
    int64_t first;

    if (how->swap) {
        swap_bytes(swapped, from, count, volt_dtype_bytes(how->from));
        from = swapped;
    }
    if (how->from == how->to && how->slope == 1 && how->inter == 0) {
        memmove(to, from, (size_t)count * volt_dtype_bytes(how->to));
        return count;
    }
    load(values, from, count, how->from);
    if (how->slope != 1 || how->inter != 0) {
        for (int64_t i = 0; i < count; i++)
            values[i] = values[i] * how->slope + how->inter;
    }
    if (how->to == VOLT_F32 || how->to == VOLT_F64) {
        store(to, values, count, how->to);
        return count;
    }
    range_of(&low, &high, how->to);
    first = round_labels(whole, values, count, low, high);
    if (first < count)
        *bad_value = values[first];
    store(to, whole, count, how->to);
    return first;
}

void volt_image_convert(void *to, const void *from, int64_t count,
                        const volt_image_conversion *how, int threads, int64_t *bad,
                        double *value)
{
    const size_t wide = volt_dtype_bytes(how->to), narrow = volt_dtype_bytes(how->from);
    const int64_t blocks = (count + BLOCK - 1) / BLOCK;

#pragma omp parallel for num_threads(volt_threads_or_default(threads)) schedule(static)
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t at = b * BLOCK, n = count - at < BLOCK ? count - at : BLOCK;
        double bad_value = 0;
        const int64_t first = convert_block((unsigned char *)to + (size_t)at * wide,
                                            (const unsigned char *)from + (size_t)at * narrow,
                                            n, how, &bad_value);
        if (first < n) {
#pragma omp critical(volt_image_bad_voxel)
            if (at + first < *bad) {
                *bad = at + first;
                *value = bad_value;
            }
        }
    }
}

/* Works in waves: as long as the results of a stretch end before its first source element, its
 * blocks are independent. Each wave leaves a fixed fraction of the rest (half, for int16 to
 * float), so there are few; the short end is done in order. */
void volt_image_convert_in_place(void *to, const void *from, int64_t count,
                                 const volt_image_conversion *how, int threads, int64_t *bad,
                                 double *value)
{
    const size_t wide = volt_dtype_bytes(how->to), narrow = volt_dtype_bytes(how->from);
    unsigned char *out = to;
    const unsigned char *in = from;

    while (count > 0) {
        const int64_t gap = (in - out) / (int64_t)wide; /* results that end before `in` */
        int64_t n = gap < count ? gap : count, here;
        const bool alone = n < 16 * BLOCK;
        double bad_value = 0;

        /* A block is read whole before it is written, so that it may overlap itself. */
        if (alone)
            n = count < BLOCK ? count : BLOCK;
        here = n;
        if (alone) {
            unsigned char copy[8 * BLOCK];
            memcpy(copy, in, (size_t)n * narrow);
            volt_image_convert(out, copy, n, how, 1, &here, &bad_value);
        } else {
            volt_image_convert(out, in, n, how, threads, &here, &bad_value);
        }
        if (here < n) {
            const int64_t done = (int64_t)((size_t)(out - (unsigned char *)to) / wide);
            if (done + here < *bad) {
                *bad = done + here;
                *value = bad_value;
            }
        }
        out += (size_t)n * wide;
        in += (size_t)n * narrow;
        count -= n;
    }
}
