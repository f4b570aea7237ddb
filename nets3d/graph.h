/* graph.h - a network as data: nodes, the values between them, named parameters.
 *
 * Extents are always d, h, w; 2-D is d = 1. A graph knows channels, not extents or devices;
 * building one allocates no tensor. Parameters keep the order of their declaration and are
 * named as in the library that the network comes from (nnU-Net:
 * encoder.stages.0.0.convs.0.conv.weight). Every call that adds a node returns its value in
 * *out and fails with VOLT_EINVAL (bad argument) or VOLT_ENOMEM; the graph is unchanged then.
 *
 * Threads  a graph is built by one thread; threads may share it once nobody changes it.
 */
#ifndef VOLT_NETS3D_GRAPH_H
#define VOLT_NETS3D_GRAPH_H
#include <stdbool.h>
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_graph volt_graph;
typedef int32_t volt_value; /* index of a value; >= 0 */

/* Convolution along d, h, w: out = floor((in + pad_low + pad_high - kernel) / stride) + 1.
 * Low and high padding differ where a side is padded by halos instead. */
typedef struct volt_conv {
    int64_t kernel[3], stride[3], pad_low[3], pad_high[3];
} volt_conv;

typedef enum volt_node_kind {
    VOLT_NODE_INPUT = 1,
    VOLT_NODE_CONV,
    VOLT_NODE_TCONV, /* transposed convolution; multiplies extents by the stride */
    VOLT_NODE_INSTANCE_NORM,
    VOLT_NODE_ACTIVATION, /* max(x, slope * x); slope 0 is ReLU, 1 would be identity */
    VOLT_NODE_MAX_POOL,
    VOLT_NODE_AVERAGE_POOL,
    VOLT_NODE_UPSAMPLE_NEAREST,
    VOLT_NODE_UPSAMPLE_LINEAR, /* half-pixel centres, edge-clamped (align_corners false) */
    VOLT_NODE_CONCAT,          /* along c */
    VOLT_NODE_ADD,
    VOLT_NODE_DROPOUT, /* whole channels per sample, as nn.Dropout3d; scaled by 1/(1-p) */
    VOLT_NODE_SOFTMAX, /* over c */
    VOLT_NODE_PRELU,   /* x > 0 ? x : slope * x with learned slopes: one, or one per channel */
    VOLT_NODE_BATCH_NORM /* as torch's nn.BatchNorm2d and 3d, with running statistics */
} volt_node_kind;

typedef enum volt_param_role {
    VOLT_PARAM_WEIGHT = 1, /* conv (oc,ic,kd,kh,kw); transposed conv (ic,oc,kd,kh,kw) */
    VOLT_PARAM_BIAS,       /* (oc) */
    VOLT_PARAM_NORM_SCALE, /* (c); starts at 1, or at 0: see `zero` */
    VOLT_PARAM_NORM_SHIFT, /* (c); starts at 0 */
    VOLT_PARAM_SLOPE,      /* (c) or (1), of a PReLU; starts at 0.25, as in torch */
    VOLT_PARAM_STATE       /* (c); starts at 1, or at 0: see `zero`. Saved, loaded and exported,
                            * but not learned: running statistics, say. No gradient, no decay */
} volt_param_role;

typedef struct volt_param {
    const char *name; /* owned by the graph */
    volt_param_role role;
    int ndim;
    int64_t dims[5];
    int64_t fan_in; /* as torch computes it, for weights; 0 otherwise */
    int64_t count;  /* elements */
    int64_t offset; /* first element in the flat array of all parameters: those that learn in
                     * their order, then those of role VOLT_PARAM_STATE in theirs */
    bool zero;      /* starts at 0 whatever its role */
} volt_param;

#define VOLT_NODE_MAX_INPUTS 8
typedef struct volt_node {
    volt_node_kind kind;
    volt_value out;
    int inputs;
    volt_value in[VOLT_NODE_MAX_INPUTS];
    int64_t in_channels, out_channels;
    volt_conv conv;   /* conv, tconv; pooling window and stride; upsampling factor in stride */
    int weight, bias; /* parameter indices (norm: scale, shift; PReLU: slope); -1 = none */
    int running_mean, running_var; /* batch norm: parameter indices; else -1 */
    double eps;                    /* norms */
    double momentum;               /* batch norm: weight of the batch in running statistics */
    double slope;                  /* activation */
    double p;                      /* dropout: probability of zeroing */
} volt_node;

VOLT_CALL volt_graph_create(volt_graph **out);
VOLT_API void volt_graph_free(volt_graph *g); /* NULL is allowed */

VOLT_CALL volt_graph_input(volt_graph *g, volt_value *out, int64_t channels);
/* `name` is the prefix of the parameters "NAME.weight" and, with bias, "NAME.bias". */
VOLT_CALL volt_graph_conv(volt_graph *g, volt_value *out, volt_value in, const char *name,
                          int64_t out_channels, const volt_conv *conv, bool bias);
/* `conv` gives kernel, stride and pad_low < kernel; pad_high follows: the output's extents are
 * the input's times the stride. */
VOLT_CALL volt_graph_tconv(volt_graph *g, volt_value *out, volt_value in, const char *name,
                           int64_t out_channels, const volt_conv *conv, bool bias);
/* `name` NULL: without scale and shift. */
VOLT_CALL volt_graph_instance_norm(volt_graph *g, volt_value *out, volt_value in,
                                   const char *name, double eps);
/* Training normalizes with the batch's mean and biased variance, and moves "NAME.running_mean"
 * and "NAME.running_var" (of role VOLT_PARAM_STATE) by `momentum`, 0..1, towards that mean and
 * the unbiased variance. Evaluation normalizes with those two. */
VOLT_CALL volt_graph_batch_norm(volt_graph *g, volt_value *out, volt_value in, const char *name,
                                double eps, double momentum);
VOLT_CALL volt_graph_activation(volt_graph *g, volt_value *out, volt_value in, double slope);
/* "NAME.weight" holds `slopes` values: 1, or one per channel of `in`. */
VOLT_CALL volt_graph_prelu(volt_graph *g, volt_value *out, volt_value in, const char *name,
                           int64_t slopes);
VOLT_CALL volt_graph_pool(volt_graph *g, volt_value *out, volt_value in, volt_node_kind kind,
                          const int64_t kernel[3], const int64_t stride[3]);
VOLT_CALL volt_graph_upsample(volt_graph *g, volt_value *out, volt_value in,
                              volt_node_kind kind, const int64_t factor[3]);
VOLT_CALL volt_graph_concat(volt_graph *g, volt_value *out, const volt_value *in, int count);
VOLT_CALL volt_graph_add(volt_graph *g, volt_value *out, volt_value a, volt_value b);
VOLT_CALL volt_graph_dropout(volt_graph *g, volt_value *out, volt_value in, double p);
VOLT_CALL volt_graph_softmax(volt_graph *g, volt_value *out, volt_value in);
/* Declares an output: first the full-resolution one, then those of deep supervision. */
VOLT_CALL volt_graph_output(volt_graph *g, volt_value v);

VOLT_API int volt_graph_node_count(const volt_graph *g);
VOLT_API const volt_node *volt_graph_node(const volt_graph *g, int i); /* borrowed */
VOLT_API int volt_graph_value_count(const volt_graph *g);
VOLT_API int64_t volt_graph_channels(const volt_graph *g, volt_value v);
VOLT_API int volt_graph_output_count(const volt_graph *g);
VOLT_API volt_value volt_graph_output_value(const volt_graph *g, int i);
VOLT_API int volt_graph_param_count(const volt_graph *g);
VOLT_API const volt_param *volt_graph_param(const volt_graph *g, int i); /* borrowed */
VOLT_API int64_t volt_graph_param_elements(const volt_graph *g);         /* of all parameters */
VOLT_API int64_t volt_graph_learned_elements(const volt_graph *g); /* of those that learn */
/* Index of the parameter called `name`, or -1. */
VOLT_API int volt_graph_find_param(const volt_graph *g, const char *name);

VOLT_END_DECLS
#endif
