/* plan.h - everything decided before training, as nnU-Net v2's plans.
 *
 * Planner  nnU-Net's default ExperimentPlanner (plain U-Net): target spacing, transposition,
 *          patch, topology, batch. Same numbers from the same fingerprint.
 * File     nnU-Net's keys, so plans travel both ways; unknown keys are ignored. A plan edited
 * by hand is checked key by key on reading. Axes     "transposed": spacing, patch and so on are
 * in the order after transpose_forward, (d, h, w). A 2-D configuration has axes = 2: index 0 is
 * the slice axis with patch 1, kernel 1, stride 1, and spacing 0, meaning that of the case.
 */
#ifndef VOLT_NETS3D_PLAN_H
#define VOLT_NETS3D_PLAN_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "io/dataset.h"
#include "nets3d/fingerprint.h"
#include "nets3d/unet.h"
#include "volume/normalize.h"
#include "volume/resample.h"
VOLT_BEGIN_DECLS

/* One resampling function's kwargs. Across a separate axis the nearest slice is taken. */
typedef struct volt_plan_resampling {
    volt_interpolation order; /* in all axes, or in-plane when an axis is separate */
    int separate_z;           /* 1 always, 0 never, -1 nnU-Net's rule (spacing ratio > 3) */
} volt_plan_resampling;

typedef struct volt_plan_config {
    char *name;            /* "2d", "3d_lowres", "3d_fullres" or the user's own */
    char *data_identifier; /* folder of its preprocessed cases; a plain file name */
    int axes;              /* 3 or 2 */
    int64_t batch;
    int64_t patch[3];         /* voxels */
    double median_shape[3];   /* voxels at `spacing` */
    double spacing[3];        /* mm */
    volt_normalization *norm; /* per channel */
    bool *use_mask_for_norm;  /* per channel: statistics of the non-zero region only */
    volt_plan_resampling data, seg, probabilities;
    volt_unet_spec net; /* in and out channels set from the data set; no deep supervision */
    bool batch_dice;
    char *previous_stage, *next_stage; /* cascades; NULL otherwise */
} volt_plan_config;

typedef struct volt_plan {
    char *dataset_name, *plans_name;
    double original_median_spacing[3]; /* after transposition, mm */
    int64_t original_median_shape[3];  /* after transposition, voxels */
    int transpose_forward[3];          /* source axis (0 z, 1 y, 2 x) of d, h, w */
    int transpose_backward[3];
    int channels, classes;              /* classes: labels with background, without ignore */
    volt_foreground_stats *intensities; /* per channel */
    int configs;
    volt_plan_config *config;
} volt_plan;
VOLT_API void volt_plan_free(volt_plan *plan); /* NULL is allowed */

typedef struct volt_planner_options {
    double memory_gb;  /* the target nnU-Net calls GPU memory; 0 = its 8 */
    double spacing[3]; /* target of the full-resolution configurations, axes z, y, x of the
                        * files, mm; all 0 = nnU-Net's rule */
    bool suppress_transpose;
    const char *plans_name; /* NULL = "nnUNetPlans" */
} volt_planner_options;

/* Plans the data set. The caller owns *out. VOLT_EINVAL: options out of range, or a fingerprint
 * and info that contradict each other; VOLT_ENOTSUP: no configuration fits the memory. */
VOLT_CALL volt_plan_make(volt_plan **out, const volt_fingerprint *fp,
                         const volt_dataset_info *info, const volt_planner_options *options);

/* The part of planning that needs no data set: patch, topology and batch of one configuration.
 */
typedef struct volt_topology_input {
    int axes;               /* 3 or 2 (index 0 is then ignored) */
    double spacing[3];      /* transposed, mm */
    double median_shape[3]; /* transposed, voxels */
    int channels, labels;   /* labels: entries of dataset.json's `labels` */
    double dataset_voxels;  /* of all cases together, at `spacing` */
    double memory_gb;       /* 0 = 8 */
} volt_topology_input;
typedef struct volt_topology {
    int64_t patch[3], batch;
    int64_t pools[3]; /* halvings per axis */
    double estimate;  /* elements of all convolutions' outputs, one sample */
    volt_unet_spec net;
} volt_topology;
VOLT_CALL volt_plan_topology(volt_topology *out, const volt_topology_input *in);

/* Writes nnU-Net's JSON, whole or not at all. */
VOLT_CALL volt_plan_write(const char *path, const volt_plan *plan);
/* The same as text; the caller owns *out (volt_free). */
VOLT_CALL volt_plan_text(char **out, const volt_plan *plan);
/* Reads and checks a plan. `info` gives channels and classes, which the plan must match. The
 * caller owns *out. VOLT_EIO; VOLT_EFORMAT names the key and its value; VOLT_ENOTSUP: an
 * architecture, normalisation or resampling that VOLT does not have. Configurations that
 * inherit are resolved; previous stages are kept as names. */
VOLT_CALL volt_plan_read(volt_plan **out, const char *path, const volt_dataset_info *info);
VOLT_CALL volt_plan_parse(volt_plan **out, const char *text, size_t bytes, const char *name,
                          const volt_dataset_info *info);
/* The configuration called `name`; borrowed. VOLT_EINVAL lists those there are. */
VOLT_CALL volt_plan_find(const volt_plan_config **out, const volt_plan *plan, const char *name);
/* The separate axis for a resampling from `spacing` to `target` (mm), or VOLT_NO_AXIS. */
VOLT_API int volt_plan_separate_axis(const volt_plan_resampling *r, const double spacing[3],
                                     const double target[3]);

VOLT_END_DECLS
#endif
