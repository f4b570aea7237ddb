/* device_compare.h - runs operators of a device and compares them with the reference device.
 *
 * Each case is a volt_op_spec. Its inputs are random (rounded to the operand's type), brought
 * into the device's native layout by VOLT_OP_COPY; the reference gets the same numbers as whole
 * plain float32 buffers (dense float64 operands stay float64 on both). Every buffer has guard
 * bytes on both sides and starts as NaN. Checked: the outputs, that everything outside an
 * output's box and range and all inputs stay as they were, that padding never makes a NaN, that
 * two runs with 1 and 2 threads give the same bits.
 *
 * Each case runs a second time with random margins. Voxels of margins that the operator may
 * read have values; the reference gets them as a part of a larger operand, with less padding.
 * All others are NaNs with a pattern, which must neither reach a result nor change.
 */
#ifndef VOLT_TESTS_DEVICE_COMPARE_H
#define VOLT_TESTS_DEVICE_COMPARE_H
#include "tests/kit/device_suite.h"
#include "tests/kit/test.h"
#include "base/mem.h"
#include "base/rng.h"
#include "nets3d/device/bf16.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/device/op_spec.h"
#include "volume/grid/half.h"

extern suite_options suite_with;
extern volt_device *suite_device, *suite_reference;
extern int64_t suite_comparisons, suite_unsupported;
extern int64_t suite_dense_only; /* cases with some margins that the device does not take */
extern volt_rng suite_rng;
extern bool suite_tf32; /* cases of convolutions are in tf32 */

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

#define SUITE_GUARD 64
#define SUITE_SKEW  4 /* dense arrays are aligned to their elements only: 4 or 8 bytes */

/* Memory with guard bytes in front and behind; all of it starts as 0xFF (NaN). */
typedef struct suite_block {
    unsigned char *base, *data;
    size_t bytes;
} suite_block;

/* One operand: its values as plain float32 (what is read or written alone), its device buffer,
 * and the whole buffer's plain values as they were put there. */
typedef struct suite_operand {
    float *plain;
    suite_block block;
    float *whole;
    bool shared; /* block belongs to the input it is computed in place of */
} suite_operand;

suite_block suite_alloc(size_t bytes, size_t skew);

void suite_check_guards(const suite_block *b, const char *name, int operand);

float *suite_floats(int64_t count);

void suite_fill_normal(float *x, int64_t count, volt_dtype dtype);

/* Counts the comparison; `tolerance` 0 asks for equality. */
void suite_compare(const char *what, int operand, const float *got, const float *want,
                   int64_t count, double tolerance);

/* The case without and with margins, and again in place where the operator allows it and the
 * ranges are the same. */
void suite_case(volt_op_spec spec);

#endif
