/* weights.h - named tensors of another program's file, for a graph's parameters.
 *
 * Formats  torch.save (zip and legacy), safetensors; recognized by their first bytes.
 * Types    float32, float16, bfloat16, float64: all become float32.
 * Names    as they are, without the prefixes "module." and "_orig_mod."; a map translates them
 *          to the graph's. Tensors of 2-D networks (oc, ic, h, w) fit parameters
 *          with one voxel along d.
 */
#ifndef VOLT_NETS3D_INTEROP_WEIGHTS_H
#define VOLT_NETS3D_INTEROP_WEIGHTS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "io/tensors/safetensors.h"
#include "io/tensors/torch_file.h"
#include "nets3d/graph.h"
VOLT_BEGIN_DECLS

typedef struct volt_weights volt_weights;

/* Opens `path`; the caller owns *out (volt_weights_close). VOLT_EIO, VOLT_EFORMAT,
 * VOLT_ENOTSUP, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_weights_open(volt_weights **out, const char *path);
void volt_weights_close(volt_weights *w); /* NULL is allowed */
size_t volt_weights_count(const volt_weights *w);
const char *volt_weights_path(const volt_weights *w); /* borrowed */
/* Name (without prefixes) and shape of tensor `index`; borrowed. */
const char *volt_weights_name(const volt_weights *w, size_t index);
const volt_tensor_view *volt_weights_view(const volt_weights *w, size_t index);
/* Index of the first tensor with the same memory and shape; `index` itself when it is that. */
int64_t volt_weights_alias(const volt_weights *w, size_t index);
/* Index of the tensor called `name`, or -1. */
int64_t volt_weights_find(const volt_weights *w, const char *name);
/* The torch file behind it, or NULL: for the rest of a checkpoint. */
const volt_torch_file *volt_weights_torch(const volt_weights *w);
/* Copies tensor `index` to out[0..count-1] as float32, row-major. VOLT_ENOTSUP: not a float
 * type; VOLT_EFORMAT: another number of elements, or a value that is not finite. */
VOLT_MUST_USE volt_status volt_weights_copy(float *out, const volt_weights *w, size_t index,
                                            int64_t count);

/* What became of a graph's parameters and a file's tensors. */
typedef struct volt_weights_report {
    int64_t taken;       /* parameters filled from the file */
    int64_t aliases;     /* tensors that repeat one taken */
    int64_t filled;      /* parameters that the map sets to 0 or 1 */
    const char **unused; /* names (borrowed from the file) of tensors that no parameter took */
    size_t unused_count;
} volt_weights_report;
void volt_weights_report_clear(volt_weights_report *report);

/* One rule of a map: parameters of the graph whose name fits `to` take the tensor `from`. Both
 * may hold '*' (at most 4), each standing for the same whole part between dots on both sides;
 * '**' at the end of both stands for all parts that are left.
 * `from` "=0" or "=1" fills the parameter with that number. Of several rules that fit, the
 * first counts; names without a rule stay. */
typedef struct volt_name_rule {
    char *to, *from;
} volt_name_rule;
typedef struct volt_name_map {
    volt_name_rule *rule;
    size_t count;
} volt_name_map;
/* Reads a JSON object {"to": "from", ...}. VOLT_EIO, VOLT_EFORMAT. */
VOLT_MUST_USE volt_status volt_name_map_read(volt_name_map *out, const char *path);
VOLT_MUST_USE volt_status volt_name_map_add(volt_name_map *map, const char *to,
                                            const char *from);
void volt_name_map_clear(volt_name_map *map);
#define VOLT_NAME_ROOM 1024
/* The tensor's name (or "=0", "=1") for the parameter `name`: its own where no rule fits or
 * `map` is NULL. Borrowed: from `room`, or `name` itself. */
const char *volt_name_map_source(char room[VOLT_NAME_ROOM], const char *name,
                                 const volt_name_map *map);

/* Fills all parameters of `graph` (flat host array, in its order; undefined on failure). `map`
 * NULL: every parameter takes the tensor of its own name. Strict: VOLT_EFORMAT names the first
 * parameter without a tensor or with one of another shape, and how many there are; tensors
 * left over are listed in *report (volt_weights_report_clear). */
VOLT_MUST_USE volt_status volt_weights_fill(float *flat, volt_weights_report *report,
                                            const volt_weights *w, const volt_graph *graph,
                                            const volt_name_map *map);

/* Batch normalization of a trained model, folded into the convolution before it: `flat` holds
 * the parameters of `graph`, which has no norm there, filled from `w`. For every parameter
 * "P.conv.weight" with tensors "P.adn.N.running_mean" and "..var" in `w`, weight and bias
 * ("P.conv.bias", which the graph must have) take scale, shift and statistics (eps 1e-5) in;
 * they leave the report's unused tensors. Names of tensors go through `map` (NULL: none).
 * VOLT_EFORMAT: fewer than `norms` of them, or a wrong number of elements. */
VOLT_MUST_USE volt_status volt_weights_fold_norms(float *flat, volt_weights_report *report,
                                                  const volt_weights *w,
                                                  const volt_graph *graph,
                                                  const volt_name_map *map, int norms);

VOLT_END_DECLS
#endif
