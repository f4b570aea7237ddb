/* thread_start.h - worker threads that count their memory for the call they work for. */
#ifndef VOLT_BASE_SYSTEM_THREAD_START_H
#define VOLT_BASE_SYSTEM_THREAD_START_H
#include <pthread.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

/* As pthread_create, in the caller's memory scope, which must stay until the thread is joined.
 * VOLT_ENOMEM, also when the system starts no more threads. */
VOLT_MUST_USE volt_status volt_thread_start(pthread_t *out, void *(*run)(void *),
                                            void *argument);

/* Whether the system lets this process run `count` more threads at the same time. OpenMP's
 * runtime ends the program where it gets none, so the answer is needed before. VOLT_ENOMEM with
 * the number that it gets. */
VOLT_MUST_USE volt_status volt_threads_check(int count);

VOLT_END_DECLS
#endif
