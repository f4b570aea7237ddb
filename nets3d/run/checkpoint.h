/* checkpoint.h - the complete state of a training run, in one safetensors file.
 *
 * Tensors   every parameter under nnU-Net's name (float32, plain order); with optimizer state,
 *           also "optimizer.I.NAME" for slot I of each parameter that learns.
 * Metadata  "format" = "volt-checkpoint-1"; "plan", "dataset", "recipe", "state": JSON texts;
 *           "checksum": CRC-32 of the four texts with their terminators, eight hex digits
 *           (tensors have the checksum of safetensors.h).
 *
 * A file without optimizer state is a model: it can predict, but not resume.
 */
#ifndef VOLT_NETS3D_RUN_CHECKPOINT_H
#define VOLT_NETS3D_RUN_CHECKPOINT_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "nets3d/graph.h"
VOLT_BEGIN_DECLS

#define VOLT_CHECKPOINT_MAX_SLOTS 2

/* The texts in a checkpoint. Each is a JSON document, owned. */
typedef struct volt_checkpoint_head {
    char *plan;      /* the plan, nnU-Net's key names */
    char *dataset;   /* nnU-Net's dataset.json: channel_names, labels, file_ending */
    char *recipe;    /* how the network is trained */
    char *state;     /* counters of the run */
    int slots;       /* optimizer slots stored; 0 = a model */
    int64_t weights; /* parameter elements stored */
} volt_checkpoint_head;

void volt_checkpoint_head_free(volt_checkpoint_head *head); /* clears it */

/* Writes `path`, completely or not at all. `weights` and slot[0..head->slots-1] are flat host
 * arrays in the order of `graph`, slots without the state at its end. VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_checkpoint_write(const char *path,
                                                const volt_checkpoint_head *head,
                                                const volt_graph *graph, const float *weights,
                                                float *const slot[VOLT_CHECKPOINT_MAX_SLOTS]);

/* Reads only the texts. The caller owns what *out holds (volt_checkpoint_head_free).
 * VOLT_EFORMAT: not a checkpoint of VOLT, or damaged; VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_checkpoint_read_head(volt_checkpoint_head *out,
                                                    const char *path);

/* Reads the weights and the optimizer's `slots` slots (NULL = not wanted) into flat host arrays
 * in the order of `graph`, which are undefined on failure. VOLT_EFORMAT: a tensor is
 * missing or has another shape (a checkpoint of another network), or the checksum differs
 * (damaged). */
VOLT_MUST_USE volt_status volt_checkpoint_read(const char *path, const volt_graph *graph,
                                               float *weights,
                                               float *const slot[VOLT_CHECKPOINT_MAX_SLOTS],
                                               int slots);

VOLT_END_DECLS
#endif
