/* fail.h - hands a failure from one of the library's threads to another, or brings back an
 * earlier one.
 *
 * Threads   each thread has its own sentence.
 */
#ifndef VOLT_BASE_CORE_FAIL_H
#define VOLT_BASE_CORE_FAIL_H
#include "base/status.h"
VOLT_BEGIN_DECLS

/* Makes a sentence of another thread this thread's own, as when a worker's failure is
 * reported; or its own of before, when what failed since was overcome. */
void volt_set_last_error(const char *sentence);

VOLT_END_DECLS
#endif
