/* mem.h - aligned host memory with accounting, so that announced peaks can be checked.
 *
 * Scopes    what a call needs is counted by a scope: from volt_mem_scope_enter() on it counts
 *           what its thread, and the worker threads that VOLT starts for it, allocate and free.
 *           Scopes nest; calls in different threads do not see each other's. Blocks that
 *           existed before and are freed inside lower the count, which may become negative.
 * Threads   all calls are thread-safe; a scope is entered and left by one thread.
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

/* Bytes that this process now holds through volt_alloc, all threads together. */
VOLT_API size_t volt_mem_current(void);

/* Lives where the caller puts it, usually on the stack. Read it through the calls below. */
typedef struct volt_mem_scope {
    struct volt_mem_scope *outer;
    int64_t held, peak; /* bytes; changed atomically */
} volt_mem_scope;
/* Sets the scope to 0 and makes it the calling thread's innermost one. */
VOLT_API void volt_mem_scope_enter(volt_mem_scope *scope);
/* Ends it; it must be the calling thread's innermost scope. Its figures can still be read. */
VOLT_API void volt_mem_scope_leave(volt_mem_scope *scope);
/* Bytes allocated less bytes freed since it was entered, now and at most (>= 0). */
VOLT_API int64_t volt_mem_scope_held(const volt_mem_scope *scope);
VOLT_API size_t volt_mem_scope_peak(const volt_mem_scope *scope);

/* For tests: the n-th allocation from now (1 = next) and all later ones fail; 0 switches off.
 */
VOLT_API void volt_mem_fail_after(int64_t n);
/* Bytes of physical memory of this machine that a program may use (cgroup limit included). */
VOLT_API size_t volt_mem_machine(void);
/* Most resident bytes this process ever had (VmHWM). */
VOLT_API size_t volt_mem_process_peak(void);

VOLT_END_DECLS
#endif
