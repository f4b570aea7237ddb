/* model.h - the networks that VOLT can build.
 *
 * Model    a kind of network: how a plan describes it and how it becomes a graph. The table of
 *          models is constant.
 * Network  a model with its options, as a configuration of a plan holds it.
 *
 * Threads  any thread may read models. Threads may share a network that none of them changes.
 */
#ifndef VOLT_NETS3D_MODEL_H
#define VOLT_NETS3D_MODEL_H
#include <stdbool.h>
#include <stdint.h>
#include "../base/status.h"
#include "graph.h"
VOLT_BEGIN_DECLS

typedef struct volt_model volt_model;

VOLT_API int volt_model_count(void);
VOLT_API const volt_model *volt_model_at(int i); /* 0 <= i < count */
/* The model called `name`. VOLT_EINVAL lists the names. */
VOLT_CALL volt_model_find(const volt_model **out, const char *name);
/* The name of its class in plans: "PlainConvUNet", "monai.networks.nets.DynUNet". */
VOLT_API const char *volt_model_name(const volt_model *model);
/* For listings: "residual encoder U-Net". */
VOLT_API const char *volt_model_title(const volt_model *model);

typedef struct volt_network {
    const volt_model *model;
    void *spec; /* the model's own options */
} volt_network;

/* One resolution of a network, axes d, h, w. */
typedef struct volt_network_stage {
    int64_t features;
    int64_t kernel[3];
    int64_t stride[3]; /* from the stage before, or from the input */
} volt_network_stage;

VOLT_API int64_t volt_network_in_channels(const volt_network *net);
VOLT_API int64_t volt_network_out_channels(const volt_network *net);
VOLT_API int volt_network_stage_count(const volt_network *net);
VOLT_API volt_network_stage volt_network_stage_at(const volt_network *net,
                                                  int i); /* 0: the finest */
/* Extents of a patch must be multiples of out[] along d, h, w. */
VOLT_API void volt_network_divisor(int64_t out[3], const volt_network *net);

/* The network as a graph. Output 0 has the resolution of the input; with `deep_supervision`
 * the model's coarser outputs follow, finest first. The caller owns *out (volt_graph_free).
 * VOLT_EINVAL names the option and its value; VOLT_ENOTSUP. */
VOLT_CALL volt_network_build(volt_graph **out, const volt_network *net, bool deep_supervision);

VOLT_END_DECLS
#endif
