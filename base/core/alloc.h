/* alloc.h - aligned allocation, counted by scopes (base/mem.h).
 *
 * Threads   all calls are thread-safe; those about scopes concern the calling thread alone.
 */
#ifndef VOLT_BASE_CORE_ALLOC_H
#define VOLT_BASE_CORE_ALLOC_H
#include "base/mem.h"
VOLT_BEGIN_DECLS

#define VOLT_ALIGN_BYTES 64 /* one cache line, one AVX-512 vector */

/* Uninitialized memory, aligned to VOLT_ALIGN_BYTES; the caller owns *out (volt_free). `what`
 * names the purpose in the message. 0 bytes gives a valid pointer. VOLT_ENOMEM, also for 64 MiB
 * or more that are not available (available.h). Large blocks ask the kernel for huge pages. */
VOLT_MUST_USE volt_status volt_alloc(void *out, size_t bytes, const char *what);
/* The same, zero-filled, for `count` items of `bytes_each`; VOLT_ENOMEM if that overflows. */
VOLT_MUST_USE volt_status volt_alloc_zero(void *out, size_t count, size_t bytes_each,
                                          const char *what);
/* Grows *block (NULL allowed) to at least `bytes`, keeping the first `used` bytes. */
VOLT_MUST_USE volt_status volt_realloc(void *block, size_t used, size_t bytes,
                                       const char *what);
/* Keeps the first `bytes` (<= its size) of a block in place and returns the whole pages behind
 * them to the system. NULL is allowed. */
void volt_shrink(void *p, size_t bytes);
/* A copy of `s`; the caller owns *out (volt_free). */
VOLT_MUST_USE volt_status volt_strdup(char **out, const char *s);
/* printf into a new string; the caller owns *out (volt_free). */
VOLT_MUST_USE volt_status volt_format(char **out, const char *fmt, ...) VOLT_PRINTF(2, 3);

/* The calling thread's innermost scope; NULL outside all. */
volt_mem_scope *volt_mem_scope_innermost(void);
/* From now on the calling thread, a worker, counts for `scope`, the innermost one of the thread
 * that it works for. The scope must outlive the worker. */
void volt_mem_scope_inherit(volt_mem_scope *scope);

/* For tests: the n-th allocation from now (1 = next) and all later ones fail; 0 switches it
 * off. */
void volt_mem_fail_after(int64_t n);

VOLT_END_DECLS
#endif
