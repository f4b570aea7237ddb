/* model_internal.h - the table of a model's functions.
 *
 * Planner, plan files, trainer, predictor, memory estimates, import and export reach networks
 * only through this table. To add a model:
 *   1. define its spec, a struct that begins with volt_spec and holds no pointers;
 *   2. write the functions of a volt_model; parameters get the names they have in the library
 *      that the network comes from, so that its checkpoints fit;
 *   3. define the `const volt_model` next to them and list it in model.c;
 *   4. add it to tests/nets3d/models/test_model.c and, with PyTorch's numbers, to the fixtures
 *      of testdata/nets3d.
 */
#ifndef VOLT_NETS3D_MODELS_MODEL_INTERNAL_H
#define VOLT_NETS3D_MODELS_MODEL_INTERNAL_H
#include "nets3d/model.h"
#include "nets3d/models/kwargs.h"
VOLT_BEGIN_DECLS

#define VOLT_MAX_STAGES 16

/* What every spec begins with. Axes d, h, w; 2-D networks have kernel and stride 1 along d. */
typedef struct volt_spec {
    int64_t in_channels, out_channels;
    int stages;                         /* 2..VOLT_MAX_STAGES */
    int64_t features[VOLT_MAX_STAGES];  /* finest first */
    int64_t kernel[VOLT_MAX_STAGES][3]; /* odd */
    int64_t stride[VOLT_MAX_STAGES][3];
    double dropout; /* probability; 0 = none */
} volt_spec;

/* A topology chosen by the planner, for volt_model.design. */
typedef struct volt_topology_shape {
    int stages;
    int64_t kernel[VOLT_MAX_STAGES][3], stride[VOLT_MAX_STAGES][3];
    int64_t max_features;
    int64_t in_channels, out_channels;
} volt_topology_shape;

/* Takes rules that parameters called `to` are called `from` in a file; '*' in both stands for
 * the same part between dots, `from` "=0" fills with zeros. */
typedef struct volt_name_rules {
    volt_status (*add)(void *map, const char *to, const char *from);
    void *map;
} volt_name_rules;

/* Another library's names for a model's parameters. */
typedef struct volt_foreign_names {
    const char *title;          /* "MONAI's DynUNet" */
    const char *const *present; /* a file with all of these uses the names; ends with NULL */
    volt_status (*rules)(const volt_network *net, const volt_name_rules *rules);
} volt_foreign_names;

struct volt_model {
    const char *name, *title;
    const char *class_name; /* as written to plans, with its module */
    bool takes_torch_ops;   /* arguments name classes of torch: _kw_requires_import */
    bool nnunet;            /* nnU-Net's trainer builds it and writes its checkpoints */
    size_t spec_bytes;
    int variant; /* tells models apart that share their functions */

    /* Whether a plan's class name means this model. */
    bool (*is_class)(const char *class_name);
    /* Reads "arch_kwargs" into a spec of zeros. Channels stay 0 where the arguments don't give
     * them. `axes`: 3 or 2. VOLT_EFORMAT, VOLT_ENOTSUP. */
    volt_status (*read)(const volt_network *net, const volt_json_at *kwargs, int axes);
    /* The same from the keys that nnU-Net wrote before 2.3; NULL = never described by these. */
    volt_status (*read_legacy)(const volt_network *net, const volt_inherited *config, int axes);
    /* "arch_kwargs"; the caller owns the reference. NULL when out of memory. */
    json_t *(*write)(const volt_network *net, int axes);

    /* Adds input, nodes and outputs to an empty graph; the common part of the spec is valid. */
    volt_status (*build)(volt_graph *g, const volt_network *net, bool deep_supervision);
    void (*divisor)(int64_t out[3], const volt_network *net);

    /* For the planner; NULL = it cannot choose this model's options.
     * design    sets the spec from a topology.
     * estimate  elements of the activations of one sample, in the planner's own measure */
    void (*design)(const volt_network *net, const volt_topology_shape *shape);
    double (*estimate)(const volt_network *net, const int64_t patch[3]);

    /* Takes batch normalization out of a trained network: its convolutions get biases, into
     * which the importer folds the norms. *norms: how many there were, 0 = none, nothing
     * changed. `file` is for messages. VOLT_ENOTSUP: cannot be folded. NULL = the model has
     * no batch normalization. */
    volt_status (*drop_batch_norms)(const volt_network *net, int *norms, const char *file);

    /* For the importer; NULL = none.
     * own_names  a file with one of these is of this model, whatever the plan; ends with NULL
     * foreign    the names in files of another library */
    const char *const *own_names;
    const volt_foreign_names *foreign;
};

extern const volt_model volt_model_plain_unet, volt_model_residual_unet;
extern const volt_model volt_model_monai_unet, volt_model_dynunet;

/* The common part of a network's spec. */
static inline volt_spec *volt_network_spec(const volt_network *net)
{
    return (volt_spec *)net->spec;
}

static inline void volt_network_set_channels(const volt_network *net, int64_t in, int64_t out)
{
    volt_network_spec(net)->in_channels = in;
    volt_network_spec(net)->out_channels = out;
}

static inline void volt_network_set_dropout(const volt_network *net, double probability)
{
    volt_network_spec(net)->dropout = probability;
}

/* A network with a spec of zeros; the caller owns it (volt_network_clear). VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_network_create(volt_network *out, const volt_model *model);
VOLT_MUST_USE volt_status volt_network_copy(volt_network *out, const volt_network *net);
void volt_network_clear(volt_network *net); /* an empty one is allowed */

/* Product of the strides; for volt_model.divisor. */
void volt_spec_divisor(int64_t out[3], const volt_network *net);

/* Reads the network of a configuration for `axes` axes: "architecture", or nnU-Net's older
 * keys. Channels stay 0 where the plan doesn't give them. The caller owns *out. VOLT_EFORMAT;
 * VOLT_ENOTSUP: a class or an argument that VOLT doesn't have. */
VOLT_MUST_USE volt_status volt_network_read(volt_network *out, const volt_inherited *config,
                                            int axes);
/* "architecture"; the caller owns the reference. NULL when out of memory. */
json_t *volt_network_json(const volt_network *net, int axes);

/* The networks of the benchmarks: "hippocampus", "brats", "brats_whole", "mlperf", "liver2d";
 * also the usual patch (d, h, w) and training batch. The caller owns *out. VOLT_EINVAL: another
 * name. */
VOLT_MUST_USE volt_status volt_network_preset(volt_network *out, int64_t patch[3],
                                              int64_t *batch, const char *name);
/* The name of preset i, from 0; NULL behind the last. */
const char *volt_network_preset_name(int i);

VOLT_END_DECLS
#endif
