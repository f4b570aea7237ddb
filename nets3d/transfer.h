/* transfer.h - weights of one network as the start of another: transfer learning.
 *
 * Source  a run (its final checkpoint, else its best), one of its folders fold_K, a checkpoint,
 *         or any file of weights that weights.h reads (torch's .pth, safetensors) with the
 *         graph's parameter names.
 */
#ifndef VOLT_NETS3D_TRANSFER_H
#define VOLT_NETS3D_TRANSFER_H
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "graph.h"
VOLT_BEGIN_DECLS

typedef enum volt_transfer_mode {
    VOLT_TRANSFER_BY_NAME = 0, /* what has the same name and shape; the rest stays as it is */
    VOLT_TRANSFER_STRICT,      /* every parameter must be there in its shape */
    /* By name; of a tensor with other channels (the first two extents) those that both have.
     * Kernels must agree. */
    VOLT_TRANSFER_TOLERANT
} volt_transfer_mode;

/* Parameters of the network, and tensors of the source. */
typedef struct volt_transfer_report {
    int64_t taken;    /* whole */
    int64_t partly;   /* channels that both have */
    int64_t shapes;   /* left as they were: another shape */
    int64_t missing;  /* left as they were: no tensor of this name */
    int64_t unused;   /* tensors that no parameter took */
    int64_t elements; /* numbers taken, of all */
} volt_transfer_report;

/* Overwrites parameters in `flat` (host, in the order of `graph`; undefined on failure) by
 * those of `source`. Logs what was taken, partly taken and left, with names. *report may be
 * NULL. VOLT_EDATA: nothing at all fits, or, when strict, a parameter does not (the first is
 * named); VOLT_EIO, VOLT_EFORMAT (damaged, not finite), VOLT_ENOTSUP (not floats), VOLT_EINVAL
 * (a folder of several runs). */
VOLT_CALL volt_transfer(float *flat, const volt_graph *graph, const char *source,
                        volt_transfer_mode mode, const volt_callbacks *cb,
                        volt_transfer_report *report);

VOLT_END_DECLS
#endif
