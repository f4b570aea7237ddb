/* Options of nnU-Net's networks for a topology, and the memory estimate of its planners. */
#include <math.h>
#include <string.h>

#include "nets3d/models/unet.h"

static const int residual_blocks[4] = {1, 3, 4, 6}; /* of the stages; then 6 each */

void volt_unet_design(const volt_network *net, const volt_topology_shape *shape)
{
    const bool residual = volt_unet_is_residual(net);
    volt_unet_spec *spec = net->spec;

    spec->base = (volt_spec){.in_channels = shape->in_channels,
                             .out_channels = shape->out_channels,
                             .stages = shape->stages};
    spec->slope = 0.01;
    spec->bias = true;
    memcpy(spec->base.kernel, shape->kernel, sizeof spec->base.kernel);
    memcpy(spec->base.stride, shape->stride, sizeof spec->base.stride);
    for (int s = 0; s < shape->stages; s++) {
        const int64_t grown = (int64_t)32 << s;
        spec->base.features[s] = grown < shape->max_features ? grown : shape->max_features;
        spec->convs_encoder[s] = residual ? residual_blocks[s < 4 ? s : 3] : 2;
        spec->convs_decoder[s] = s == shape->stages - 1 ? 0 : residual ? 1 : 2;
    }
}

/* Convolutions of an encoder stage whose outputs count, as nnU-Net counts them. */
static int encoder_outputs(const volt_network *net, int s)
{
    const volt_unet_spec *spec = net->spec;
    const int64_t *stride = spec->base.stride[s], *features = spec->base.features;
    int skip, stem;

    if (!volt_unet_is_residual(net))
        return spec->convs_encoder[s];
    /* nnU-Net counts a strided skip also where channels stay and it has no convolution. */
    skip = stride[0] * stride[1] * stride[2] > 1 || (s > 0 && features[s] != features[s - 1]);
    stem = s == 0;
    return 2 * spec->convs_encoder[s] + skip + stem;
}

/* Elements of all convolutions' outputs; of the output layers only the finest counts. */
double volt_unet_estimate(const volt_network *net, const int64_t patch[3])
{
    const volt_unet_spec *spec = net->spec;
    double size[3] = {(double)patch[0], (double)patch[1], (double)patch[2]}, total = 0;

    for (int s = 0; s < spec->base.stages; s++) {
        const double features = (double)spec->base.features[s];
        double voxels = 1;
        for (int a = 0; a < 3; a++) {
            size[a] = floor(size[a] / (double)spec->base.stride[s][a]);
            voxels *= size[a];
        }
        total += voxels * features * encoder_outputs(net, s);
        if (s < spec->base.stages - 1) /* the decoder's convolutions and the transposed one */
            total += voxels * features * (spec->convs_decoder[s] + 1);
        if (s == 0)
            total += voxels * (double)spec->base.out_channels;
    }
    return total;
}
