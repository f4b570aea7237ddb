/* transfer.h - weights of one network as the initial weights of another: transfer learning. */
#ifndef VOLT_NETS3D_TRAIN_TRANSFER_H
#define VOLT_NETS3D_TRAIN_TRANSFER_H
#include <stdint.h>
#include "base/callbacks.h"
#include "base/status.h"
#include "nets3d/graph.h"
#include "nets3d/trainer.h"
VOLT_BEGIN_DECLS

/* Counts parameters of the network, and tensors of the source. */
typedef struct volt_transfer_report {
    int64_t taken;    /* completely */
    int64_t partly;   /* the channels that both have */
    int64_t shapes;   /* left unchanged: another shape */
    int64_t missing;  /* left unchanged: no tensor with this name */
    int64_t unused;   /* tensors that no parameter took */
    int64_t elements; /* numbers taken in total */
} volt_transfer_report;

/* Overwrites parameters in `flat` (host, in the order of `graph`; undefined on failure) with
 * those of `source` (volt_train_options.init). Levels of both networks are matched from the
 * finest, and slices of the input (`slices` of each channel) from the middle. scale[i] 0 means
 * that parameter i is frozen (NULL: none is). Logs, with names, what was taken, partly taken
 * and left; warns, with the reason, if that is less than half of the network. *report may be
 * NULL. VOLT_EDATA: nothing fits, a frozen parameter would keep random values, or, in strict
 * mode, a parameter does not fit (the message names the first); VOLT_EIO, VOLT_EFORMAT
 * (damaged, not finite), VOLT_ENOTSUP (not floats), VOLT_EINVAL (a folder of several runs). */
VOLT_MUST_USE volt_status volt_transfer(float *flat, const volt_graph *graph,
                                        const char *source, volt_transfer_mode mode, int slices,
                                        const double *scale, const volt_callbacks *cb,
                                        volt_transfer_report *report);
/* Whether `source` is there and can be opened. Errors as volt_transfer. */
VOLT_MUST_USE volt_status volt_transfer_check(const char *source);

VOLT_END_DECLS
#endif
