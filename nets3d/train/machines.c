/* Machines with published figures.
 *
 * Rates are those of training one 3-D U-Net on 128^3 patches, convolutions only: samples/s of a
 * machine's best MLPerf result, times 2.86 Tflop. Links are those of the data sheets, one
 * direction, per GPU; latencies are NCCL's own model of a message (tuning.cc: base latency 8.4
 * us, and 3.4 us over NVLink, 14 us over a network).
 */
#include "nets3d/mesh_plan.h"

#include <stdio.h>
#include <string.h>

#define GB        ((size_t)1000 * 1000 * 1000)
#define NVLINK_S  11.8e-6
#define NETWORK_S 22.4e-6
#define H100_SOURCE                                                                            \
    "MLPerf Training 4.0 (DGX H100, 577 samples/s on 8 GPUs); H100 and ConnectX-7 data "       \
    "sheets; NCCL's latencies"
#define H200_SOURCE                                                                            \
    "MLPerf Training 4.0 (H200 SXM, 608 samples/s on 8 GPUs); H200 and ConnectX-7 data "       \
    "sheets; NCCL's latencies"
#define A100_SOURCE                                                                            \
    "MLPerf Training 3.0 (A100 SXM 80 GB, 308 samples/s on 8 GPUs); A100 and ConnectX-6 data " \
    "sheets; NCCL's latencies"

static const volt_machine machines[] = {
    {"a100+nvlink",
     "NVIDIA A100 80 GB, all in one NVLink domain",
     A100_SOURCE,
     110e12,
     80 * GB,
     {0, {NVLINK_S, 300e9}, {NVLINK_S, 300e9}}},
    {"a100+infiniband",
     "NVIDIA A100 80 GB, hosts of 8, InfiniBand HDR",
     A100_SOURCE,
     110e12,
     80 * GB,
     {8, {NVLINK_S, 300e9}, {NETWORK_S, 25e9}}},
    {"h100+nvlink",
     "NVIDIA H100 80 GB, all in one NVLink domain",
     H100_SOURCE,
     207e12,
     80 * GB,
     {0, {NVLINK_S, 450e9}, {NVLINK_S, 450e9}}},
    {"h100+infiniband",
     "NVIDIA H100 80 GB, hosts of 8, InfiniBand NDR",
     H100_SOURCE,
     207e12,
     80 * GB,
     {8, {NVLINK_S, 450e9}, {NETWORK_S, 50e9}}},
    {"h200+nvlink",
     "NVIDIA H200, all in one NVLink domain",
     H200_SOURCE,
     218e12,
     141 * GB,
     {0, {NVLINK_S, 450e9}, {NVLINK_S, 450e9}}},
    {"h200+infiniband",
     "NVIDIA H200, hosts of 8, InfiniBand NDR",
     H200_SOURCE,
     218e12,
     141 * GB,
     {8, {NVLINK_S, 450e9}, {NETWORK_S, 50e9}}},
};

int volt_machine_count(void)
{
    return (int)(sizeof machines / sizeof *machines);
}

const volt_machine *volt_machine_at(int i)
{
    return &machines[i];
}

volt_status volt_machine_find(const volt_machine **out, const char *name)
{
    char list[256];
    int length = 0;

    for (int i = 0; i < volt_machine_count(); i++) {
        if (strcmp(machines[i].name, name) == 0) {
            *out = &machines[i];
            return VOLT_OK;
        }
        length += snprintf(list + length, sizeof list - (size_t)length, "%s%s", i ? ", " : "",
                           machines[i].name);
    }
    return volt_fail(VOLT_EINVAL, "there is no machine '%.60s'; there are %s", name, list);
}
