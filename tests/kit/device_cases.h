/* device_cases.h - the cases of device_suite.c: every operator, shapes that hurt. Each family
 * in every precision, so that a failure names it.
 */
#ifndef VOLT_TESTS_DEVICE_CASES_H
#define VOLT_TESTS_DEVICE_CASES_H

void convolutions_fp32(void **state);
void convolutions_bf16(void **state);
void convolutions_fp16(void **state);
void convolutions_tf32(void **state);
void transposed_convolutions_fp32(void **state);
void transposed_convolutions_bf16(void **state);
void transposed_convolutions_fp16(void **state);
void transposed_convolutions_tf32(void **state);
void norms_fp32(void **state);
void norms_bf16(void **state);
void norms_fp16(void **state);
void batch_norms_fp32(void **state);
void batch_norms_bf16(void **state);
void batch_norms_fp16(void **state);
void pointwise_operators_fp32(void **state);
void pointwise_operators_bf16(void **state);
void pointwise_operators_fp16(void **state);
void prelus_fp32(void **state);
void prelus_bf16(void **state);
void prelus_fp16(void **state);
void copies_fp32(void **state);
void copies_bf16(void **state);
void copies_fp16(void **state);
void boxes_fp32(void **state);
void boxes_bf16(void **state);
void boxes_fp16(void **state);
void pools_fp32(void **state);
void pools_bf16(void **state);
void pools_fp16(void **state);
void upsamplings_fp32(void **state);
void upsamplings_bf16(void **state);
void upsamplings_fp16(void **state);

#endif
