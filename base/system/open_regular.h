/* open_regular.h - opens files that are to be read, and nothing but files.
 *
 * Threads   no shared state.
 */
#ifndef VOLT_BASE_SYSTEM_OPEN_REGULAR_H
#define VOLT_BASE_SYSTEM_OPEN_REGULAR_H
#include <stddef.h>
#include "base/status.h"

/* Opens `path` for reading; the caller closes *out. `bytes` is its size. VOLT_EIO: missing, no
 * permission; VOLT_EFORMAT: not a regular file. */
VOLT_MUST_USE volt_status volt_open_regular(int *out, size_t *bytes, const char *path);

#endif
