/* reserve.h - address space that VOLT's own blocks leave to the libraries.
 *
 * OpenMP's runtime ends the program when it gets no memory or no thread, and oneDNN does not
 * survive every failure. So where the process is limited (RLIMIT_AS, RLIMIT_DATA), a block that
 * would take the last part of what is allowed is refused instead: VOLT reports a failed
 * allocation in one sentence.
 *
 * Threads   thread-safe.
 */
#ifndef VOLT_BASE_CORE_RESERVE_H
#define VOLT_BASE_CORE_RESERVE_H
#include <stdbool.h>
#include <stddef.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

/* Whether enough is left after `bytes` more were taken. Small blocks are looked at together. */
bool volt_reserve_stays(size_t bytes);
/* VOLT_ENOMEM if a library that is about to allocate on its own finds less than the reserve.
 * `what` names what it is called for: "a convolution". */
VOLT_MUST_USE volt_status volt_reserve_check(const char *what);

VOLT_END_DECLS
#endif
