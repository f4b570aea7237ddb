/* mem.h - aligned host memory with accounting, so that announced peaks can be checked.
 *
 * Threads  all calls are thread-safe.
 */
#ifndef VOLT_BASE_MEM_H
#define VOLT_BASE_MEM_H
#include <stddef.h>
#include <stdint.h>
#include "status.h"
VOLT_BEGIN_DECLS

#define VOLT_ALIGN_BYTES 64 /* one cache line, one AVX-512 vector */

/* Uninitialised memory, aligned to VOLT_ALIGN_BYTES; the caller owns *out (volt_free). `what`
 * names the purpose in the message. 0 bytes gives a valid pointer. VOLT_ENOMEM. Large blocks
 * ask the kernel for huge pages. */
VOLT_CALL volt_alloc(void *out, size_t bytes, const char *what);
/* The same, zero-filled, for `count` items of `bytes_each`; VOLT_ENOMEM when that overflows. */
VOLT_CALL volt_alloc_zero(void *out, size_t count, size_t bytes_each, const char *what);
/* Grows *block (NULL allowed) to at least `bytes`, keeping the first `used` bytes. */
VOLT_CALL volt_realloc(void *block, size_t used, size_t bytes, const char *what);
VOLT_API void volt_free(void *p); /* NULL is allowed */
/* Keeps the first `bytes` (<= its size) of a block where they are and gives the memory behind
 * them back to the system, whole pages of it. NULL is allowed. */
VOLT_API void volt_shrink(void *p, size_t bytes);
/* A copy of `s`; the caller owns *out (volt_free). */
VOLT_CALL volt_strdup(char **out, const char *s);
/* printf into a new string; the caller owns *out (volt_free). */
VOLT_CALL volt_format(char **out, const char *fmt, ...) VOLT_PRINTF(2, 3);

/* Bytes now held through volt_alloc, and the most ever held since the last reset. */
VOLT_API size_t volt_mem_current(void);
VOLT_API size_t volt_mem_peak(void);
VOLT_API void volt_mem_reset_peak(void);
/* For tests: the n-th allocation from now (1 = next) and all later ones fail; 0 switches off.
 */
VOLT_API void volt_mem_fail_after(int64_t n);
/* Bytes of physical memory of this machine that a program may use (cgroup limit included). */
VOLT_API size_t volt_mem_machine(void);
/* Most resident bytes this process ever had (VmHWM). */
VOLT_API size_t volt_mem_process_peak(void);

VOLT_END_DECLS
#endif
