#include "nets3d/graph/init.h"

#include <math.h>

#include "base/rng.h"

static void fill(float *x, int64_t count, float value)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = value;
}

static void fill_normal(float *x, const volt_param *param, volt_rng rng)
{
    const double slope = 0.01;
    const double sd = sqrt(2 / (1 + slope * slope) / (double)param->fan_in);

    for (int64_t i = 0; i < param->count; i++)
        x[i] = (float)(sd * volt_rng_normal(&rng));
}

void volt_init_parameters(float *flat, const volt_graph *g, uint64_t seed)
{
    for (int i = 0; i < volt_graph_param_count(g); i++) {
        const volt_param *param = volt_graph_param(g, i);
        float *x = flat + param->offset;

        if (param->role == VOLT_PARAM_WEIGHT && !param->zero)
            fill_normal(x, param, volt_rng_open(seed, 0, (uint32_t)i, VOLT_RNG_INIT));
        else
            fill(x, param->count,
                 param->zero                            ? 0.0f
                 : param->role == VOLT_PARAM_NORM_SCALE ? 1.0f
                 : param->role == VOLT_PARAM_STATE      ? 1.0f
                 : param->role == VOLT_PARAM_SLOPE      ? 0.25f
                                                        : 0.0f);
    }
}
