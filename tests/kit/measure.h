/* measure.h - the most memory held during a part of a test. */
#ifndef VOLT_TESTS_KIT_MEASURE_H
#define VOLT_TESTS_KIT_MEASURE_H
#include <stdbool.h>
#include "base/mem.h"

static volt_mem_scope measure_scope;
static size_t measure_base;
static bool measure_runs;

/* Measures from here on, what is held already included. */
static inline void measure_start(void)
{
    if (measure_runs)
        volt_mem_scope_leave(&measure_scope);
    measure_base = volt_mem_current();
    volt_mem_scope_enter(&measure_scope);
    measure_runs = true;
}

/* Most bytes held at once since measure_start(). */
static inline size_t measure_peak(void)
{
    return measure_base + volt_mem_scope_peak(&measure_scope);
}

#endif
