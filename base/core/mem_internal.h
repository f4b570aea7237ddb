/* mem_internal.h - how memory scopes reach the worker threads of a call.
 *
 * Threads   each call concerns the calling thread alone.
 */
#ifndef VOLT_BASE_CORE_MEM_INTERNAL_H
#define VOLT_BASE_CORE_MEM_INTERNAL_H
#include "base/mem.h"
VOLT_BEGIN_DECLS

/* The calling thread's innermost scope; NULL outside all. */
volt_mem_scope *volt_mem_scope_innermost(void);
/* From now on the calling thread counts for `scope`, another thread's innermost one, which must
 * outlive that. Returns what it counted for before, to go back to by the same call. */
volt_mem_scope *volt_mem_scope_inherit(volt_mem_scope *scope);

VOLT_END_DECLS
#endif
