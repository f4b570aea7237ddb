/* engine.h - oneDNN's engine and its errors. */
#ifndef VOLT_NETS3D_CPU_ENGINE_H
#define VOLT_NETS3D_CPU_ENGINE_H
#include <oneapi/dnnl/dnnl.h>
#include "base/threads.h"
#include "nets3d/cpu/cpu.h"

/* An engine limited to the instruction set `isa`. VOLT_EDEVICE, VOLT_ENOMEM. */
volt_status cpu_engine_create(void **out, volt_isa isa);
void cpu_engine_free(void *engine); /* NULL is allowed */

/* oneDNN's status as VOLT's; `what` was being created or run. */
volt_status cpu_engine_check(dnnl_status_t st, const char *what);

#endif
