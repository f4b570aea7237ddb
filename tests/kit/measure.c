#include "tests/kit/measure.h"

#include "base/mem.h"

static volt_mem_scope scope;
static size_t before;

void measure_start(void)
{
    volt_mem_scope_leave(&scope); /* does nothing the first time */
    before = volt_mem_current();
    volt_mem_scope_enter(&scope);
}

size_t measure_peak(void)
{
    return before + volt_mem_scope_peak(&scope);
}
