/* process.h - one process of one machine, recognized later although numbers are used again.
 *
 * Threads   all calls are thread-safe.
 */
#ifndef VOLT_BASE_SYSTEM_PROCESS_H
#define VOLT_BASE_SYSTEM_PROCESS_H
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_process {
    uint32_t machine; /* hash of the host, its boot and the namespace of the number */
    long pid;
    uint64_t started; /* ticks since boot; 0 = unknown */
} volt_process;

typedef enum volt_process_state {
    VOLT_PROCESS_LIVES = 1,
    VOLT_PROCESS_ENDED = 2,
    VOLT_PROCESS_ELSEWHERE = 3 /* another machine, boot or container: nothing is known */
} volt_process_state;

volt_process volt_process_self(void);
/* Seconds since this process started, at most 10 ms too few. */
double volt_process_age(void);
volt_process_state volt_process_look_up(const volt_process *p);

VOLT_END_DECLS
#endif
