#include "parallel/comm/plugin.h"

bool volt_plugin_launched(void)
{
    return false;
}

volt_status volt_plugin_open(volt_comm **out)
{
    (void)out;
    return volt_fail(VOLT_ENOTSUP, "this build has no MPI");
}
