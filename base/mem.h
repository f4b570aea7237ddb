/* mem.h - memory accounting, and freeing what calls return.
 *
 * Scopes    a scope counts the memory that a call needs: from volt_mem_scope_enter() on, what
 *           its thread, and the worker threads that VOLT starts for it, allocate and free.
 *           Scopes nest, and calls in different threads are counted separately. Freeing a block
 *           older than the scope lowers the count, which may become negative.
 * Threads   all calls are thread-safe; a scope is entered and left by one thread.
 */
#ifndef VOLT_BASE_MEM_H
#define VOLT_BASE_MEM_H
#include <stddef.h>
#include <stdint.h>
#include "status.h"
VOLT_BEGIN_DECLS

/* Frees what a call gave to the caller; NULL is allowed. */
VOLT_API void volt_free(void *p);

/* Bytes that this process now holds through VOLT, all threads together. */
VOLT_API size_t volt_mem_current(void);

/* Lives where the caller puts it, usually on the stack. Read it through the calls below. */
typedef struct volt_mem_scope {
    struct volt_mem_scope *outer;
    int64_t held, peak; /* bytes; changed atomically */
} volt_mem_scope;
/* Sets the scope to 0 and makes it the calling thread's innermost one. */
VOLT_API void volt_mem_scope_enter(volt_mem_scope *scope);
/* Ends it, and scopes inside it that were not left. Its figures can still be read. */
VOLT_API void volt_mem_scope_leave(volt_mem_scope *scope);
/* Bytes allocated less bytes freed since it was entered, now and at most (>= 0). */
VOLT_API int64_t volt_mem_scope_held(const volt_mem_scope *scope);
VOLT_API size_t volt_mem_scope_peak(const volt_mem_scope *scope);

/* Bytes of physical memory of this machine that this process may use, limits of its control
 * groups, RLIMIT_AS and RLIMIT_DATA included; 0 if unknown. */
VOLT_API size_t volt_mem_machine(void);
/* Bytes that this process can still allocate and fill: the least of what the machine has free
 * or can reclaim, what its control groups leave, and what RLIMIT_AS and RLIMIT_DATA leave. */
VOLT_API size_t volt_mem_available(void);
/* Most resident bytes this process ever had (VmHWM). */
VOLT_API size_t volt_mem_process_peak(void);

VOLT_END_DECLS
#endif
