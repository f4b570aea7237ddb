#include "nets3d/cpu/engine.h"

volt_status cpu_engine_check(dnnl_status_t st, const char *what)
{
    if (st == dnnl_success)
        return VOLT_OK;
    if (st == dnnl_out_of_memory)
        return volt_fail(VOLT_ENOMEM, "no memory for oneDNN (%s)", what);
    if (st == dnnl_unimplemented)
        return volt_fail(VOLT_ENOTSUP, "oneDNN has no kernel for this %s", what);
    return volt_fail(VOLT_EDEVICE, "oneDNN failed with status %d in %s", (int)st, what);
}

volt_status cpu_engine_create(void **out, volt_isa isa)
{
    dnnl_engine_t engine;
    volt_status st;

    /* Refused once oneDNN has run in this process; then the first limit stays. */
    if (isa == VOLT_ISA_AVX2)
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    else if (isa == VOLT_ISA_BASE)
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
    st = cpu_engine_check(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
    if (st == VOLT_OK)
        *out = engine;
    return st;
}

void cpu_engine_free(void *engine)
{
    if (engine)
        dnnl_engine_destroy(engine);
}
