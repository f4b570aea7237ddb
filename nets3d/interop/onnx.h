/* onnx.h - export of a graph with its weights to ONNX (opset 17, IR version 8).
 *
 * Input "image" (batch, c, [d,] h, w), output "logits" of the graph's first output; "batch" is
 * free, the rest fixed. Only the nodes that the output needs are written; dropout, which does
 * nothing in prediction, is left out. float32.
 */
#ifndef VOLT_NETS3D_INTEROP_ONNX_H
#define VOLT_NETS3D_INTEROP_ONNX_H
#include "base/status.h"
#include "io/tensors/safetensors.h"
#include "nets3d/graph.h"
VOLT_BEGIN_DECLS

typedef struct volt_onnx_options {
    const char *name;              /* of the model's graph */
    int axes;                      /* 3, or 2: then d is left out (kernels have 1 there) */
    int64_t extent[3];             /* d, h, w of the input */
    const volt_metadata *metadata; /* becomes metadata_props */
    size_t metadata_count;
} volt_onnx_options;

/* Writes `path`, whole or not at all. `flat` holds the parameters in the order of `graph`.
 * VOLT_ENOTSUP: more than 2 GiB, which a model in one file cannot hold; VOLT_EIO, VOLT_ENOMEM.
 */
VOLT_MUST_USE volt_status volt_onnx_write(const char *path, const volt_graph *graph,
                                          const float *flat, const volt_onnx_options *options);

VOLT_END_DECLS
#endif
