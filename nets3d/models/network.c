/* Networks of any model. */
#include <string.h>

#include "base/core/alloc.h"
#include "nets3d/models/model_internal.h"

volt_status volt_network_create(volt_network *out, const volt_model *model)
{
    void *spec = NULL;
    volt_status st = volt_alloc_zero(&spec, 1, model->spec_bytes, "a network's options");

    if (st == VOLT_OK)
        *out = (volt_network){.model = model, .spec = spec};
    return st;
}

volt_status volt_network_copy(volt_network *out, const volt_network *net)
{
    volt_network copy;
    volt_status st = volt_network_create(&copy, net->model);

    if (st != VOLT_OK)
        return st;
    memcpy(copy.spec, net->spec, net->model->spec_bytes);
    *out = copy;
    return VOLT_OK;
}

void volt_network_clear(volt_network *net)
{
    volt_free(net->spec);
    *net = (volt_network){.model = NULL};
}

int64_t volt_network_in_channels(const volt_network *net)
{
    return volt_network_spec(net)->in_channels;
}

int64_t volt_network_out_channels(const volt_network *net)
{
    return volt_network_spec(net)->out_channels;
}

int volt_network_stage_count(const volt_network *net)
{
    return volt_network_spec(net)->stages;
}

volt_network_stage volt_network_stage_at(const volt_network *net, int i)
{
    const volt_spec *spec = volt_network_spec(net);
    volt_network_stage stage = {.features = spec->features[i]};

    memcpy(stage.kernel, spec->kernel[i], sizeof stage.kernel);
    memcpy(stage.stride, spec->stride[i], sizeof stage.stride);
    return stage;
}

void volt_spec_divisor(int64_t out[3], const volt_network *net)
{
    const volt_spec *spec = volt_network_spec(net);

    for (int axis = 0; axis < 3; axis++) {
        out[axis] = 1;
        for (int s = 0; s < spec->stages; s++)
            out[axis] *= spec->stride[s][axis];
    }
}

void volt_network_divisor(int64_t out[3], const volt_network *net)
{
    net->model->divisor(out, net);
}

static volt_status check_stage(const volt_spec *spec, int s)
{
    if (spec->features[s] < 1)
        return volt_fail(VOLT_EINVAL, "features[%d] is %lld, expected 1 or more", s,
                         (long long)spec->features[s]);
    for (int axis = 0; axis < 3; axis++) {
        const int64_t kernel = spec->kernel[s][axis], stride = spec->stride[s][axis];
        if (kernel < 1 || kernel % 2 == 0)
            return volt_fail(VOLT_EINVAL, "kernel[%d] along %c is %lld, expected an odd number",
                             s, "dhw"[axis], (long long)kernel);
        if (stride < 1)
            return volt_fail(VOLT_EINVAL, "stride[%d] along %c is %lld, expected 1 or more", s,
                             "dhw"[axis], (long long)stride);
    }
    return VOLT_OK;
}

static volt_status check_spec(const volt_spec *spec)
{
    volt_status st = VOLT_OK;

    if (spec->stages < 2 || spec->stages > VOLT_MAX_STAGES)
        return volt_fail(VOLT_EINVAL, "stages is %d, expected 2..%d", spec->stages,
                         VOLT_MAX_STAGES);
    if (spec->in_channels < 1 || spec->out_channels < 1)
        return volt_fail(VOLT_EINVAL,
                         "channels in and out are %lld and %lld, expected 1 or more",
                         (long long)spec->in_channels, (long long)spec->out_channels);
    for (int s = 0; st == VOLT_OK && s < spec->stages; s++)
        st = check_stage(spec, s);
    return st;
}

volt_status volt_network_build(volt_graph **out, const volt_network *net, bool deep_supervision)
{
    volt_graph *g = NULL;
    volt_status st;

    VOLT_TRY(st, done, check_spec(volt_network_spec(net)));
    VOLT_TRY(st, done, volt_graph_create(&g));
    VOLT_TRY(st, done, net->model->build(g, net, deep_supervision));
    *out = g;
    g = NULL;
done:
    volt_graph_free(g);
    return st;
}
