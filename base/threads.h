/* threads.h - number of threads, and instruction sets.
 *
 * Long calls take `threads` (0 = volt_default_threads()) and use OpenMP teams of that size:
 *     #pragma omp parallel for num_threads(threads) schedule(static)
 * Results never depend on it: floating-point sums are taken over fixed chunks in a fixed order.
 *
 * Threads   all calls are thread-safe.
 */
#ifndef VOLT_BASE_THREADS_H
#define VOLT_BASE_THREADS_H
#include "status.h"
VOLT_BEGIN_DECLS

/* Number of cores this process may run on (affinity mask), at least 1. */
VOLT_API int volt_default_threads(void);
#define VOLT_MAX_THREADS 4096
/* `asked` if it is positive, at most VOLT_MAX_THREADS; otherwise the default. */
VOLT_API int volt_threads_or_default(int asked);

/* Instruction sets, each including the ones before. */
typedef enum volt_isa { VOLT_ISA_BASE = 0, VOLT_ISA_AVX2 = 1, VOLT_ISA_AVX512 = 2 } volt_isa;
/* The best one of this machine. VOLT_ISA=base|avx2|avx512 in the environment lowers it, for
 * tests. */
VOLT_API volt_isa volt_cpu_isa(void);
VOLT_API int volt_cpu_has_bf16(void); /* AVX512_BF16 dot products, and not lowered */
/* Such as "AMD EPYC 9B14"; borrowed, never NULL. */
VOLT_API const char *volt_cpu_name(void);

VOLT_END_DECLS
#endif
