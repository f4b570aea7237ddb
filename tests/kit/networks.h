/* networks.h - the small networks of testdata/nets3d, and reading what PyTorch made of them. */
#ifndef VOLT_TESTS_NETWORKS_H
#define VOLT_TESTS_NETWORKS_H
#include "tests/kit/test.h"
#include <stdio.h>
#include "base/mem.h"
#include "io/tensors/safetensors.h"
#include "nets3d/graph.h"
#include "nets3d/program.h"
#include "nets3d/models/monai.h"
#include "nets3d/models/unet.h"

typedef struct network {
    const char *name; /* of the fixture */
    volt_graph *(*build)(void);
    int64_t n, extent[3];
    int training_steps;
    double bf16_cosine; /* between gradients in bf16 and in float64, at least; each of a deeper
                         * network's convolutions adds its rounding. 0 = not tried */
} network;

/* Windows of 3 and 1 voxels, with strides of 1 and 2. */
extern const volt_conv conv_3, conv_3_down, conv_1;

volt_graph *built(const volt_model *model, void *spec, bool deep_supervision);

volt_graph *build_unet3d(void);

/* A U-Net of two stages, one convolution in each, without deep supervision. */
volt_graph *build_two_stages(int64_t in, int64_t out, int64_t first, int64_t second);

volt_graph *build_residual(void);

/* 2-D, of `in` neighbouring slices. */
volt_graph *build_planes(int64_t in);

/* The Zoo of make_nets3d.py: every node kind but dropout. */
volt_graph *build_zoo(void);

/* That of make_batch_norm.py, and its fixture. */
volt_graph *build_batch_norm(void);
extern const network batch_norm_net;

#define NETWORK_COUNT 8
extern const network networks[NETWORK_COUNT];

/* One of them by its name. */
const network *network_called(const char *name);

volt_safetensors *open_fixture(const char *name);

const volt_tensor_view *fixture_view(const volt_safetensors *f, const char *prefix,
                                     const char *name);

double fixture_number(const volt_safetensors *f, const char *prefix, int i);

/* All parameters of the graph from the tensors PREFIX + name, in flat order. */
float *fixture_parameters(const volt_safetensors *f, const char *prefix, const volt_graph *g);

volt_program *compiled(const volt_graph *g, const volt_device *device, const network *net,
                       volt_mode mode, volt_precision precision, int threads);

/* |a - b| <= tolerance * (|b| + rms of b + floor) everywhere. */
void assert_near(const char *what, const float *a, const float *b, int64_t count,
                 double tolerance, double floor);

#endif
