/* plan.h - plans: everything that is decided before training, as in nnU-Net v2.
 *
 * Planner  nnU-Net's ExperimentPlanner (plain U-Net) and its ResEnc M, L, XL: target spacing,
 *          transposition, patch, topology, batch. The same fingerprint gives the same numbers.
 * File     nnU-Net's keys, so plans can be exchanged both ways; unknown keys are ignored. A
 *          plan edited by hand is checked key by key on reading. Old plans with UNet_class_name
 *          are converted.
 * Axes     "transposed": spacing, patch and so on are in the order after the configuration's
 *          transpose_forward, (d, h, w). A 2-D configuration has axes = 2: index 0 is the slice
 *          axis with patch 1, kernel 1, stride 1, and spacing 0, meaning that of the case.
 * Outputs  one channel per label with background (softmax), or, where the data set has regions,
 *          one per region without background (sigmoid).
 * Extra    two configurations that nnU-Net does not have, with keys that it ignores:
 *          "2p5d"     a 2-D configuration whose input holds `slices` neighbouring slices;
 *          "3d_whole" one sample is a whole cropped case.
 * Threads  calls for different plans may run at the same time; threads may share a plan that
 *          none of them changes.
 */
#ifndef VOLT_NETS3D_PLAN_H
#define VOLT_NETS3D_PLAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "../io/dataset.h"
#include "fingerprint.h"
#include "model.h"
#include "../volume/normalize.h"
#include "../volume/resample.h"
VOLT_BEGIN_DECLS

/* Whether the coarsest axis is resampled separately: to the nearest slice. */
typedef enum volt_separate_z {
    VOLT_SEPARATE_Z_AUTO = -1, /* nnU-Net's rule: where its spacing is more than 3 times that of
                                * another axis */
    VOLT_SEPARATE_Z_NEVER = 0,
    VOLT_SEPARATE_Z_ALWAYS = 1
} volt_separate_z;

/* Arguments of a resampling function. */
typedef struct volt_plan_resampling {
    volt_interpolation order; /* in all axes, or in-plane when an axis is separate */
    volt_separate_z separate_z;
} volt_plan_resampling;

typedef struct volt_plan_config {
    char *name;               /* "2d", "3d_lowres", "3d_fullres" or the user's own */
    char *inherits_from;      /* the file holds only what differs from this one; NULL = all */
    char *data_identifier;    /* folder of its preprocessed cases; a plain file name */
    int axes;                 /* 3 or 2 */
    int transpose_forward[3]; /* source axis (0 z, 1 y, 2 x) of d, h, w: the plan's, unless the
                               * configuration has its own (2p5d across another axis) */
    int transpose_backward[3];
    /* 2-D: odd. The network sees the slices d - slices/2 .. d + slices/2 as channels and
     * segments slice d; past an end the end's slice is repeated. Channel c of slice s is input
     * channel c * slices + s, and so are the prior masks. 3-D: 1. */
    int slices;
    /* A sample is a whole case, in the middle of `patch`, which holds the largest training case
     * and is a multiple of the network's divisor. Prediction pads each case to the divisor. */
    bool whole;
    int64_t batch;
    int64_t patch[3];         /* voxels */
    double median_shape[3];   /* voxels at `spacing` */
    double spacing[3];        /* mm */
    volt_normalization *norm; /* per channel */
    bool *use_mask_for_norm;  /* per channel: statistics of the non-zero region only */
    volt_plan_resampling data, seg, probabilities;
    /* Owned. Its input: the image's channels, then, with a previous stage, prior masks: one
     * one-hot mask for each foreground label 1 .. classes - 1; each of `slices` slices. */
    volt_network net;
    bool batch_dice;
    char *previous_stage, *next_stage; /* cascades; NULL otherwise */
} volt_plan_config;

typedef struct volt_plan {
    char *dataset_name, *plans_name;
    uint64_t data_key;                 /* of the fingerprint it was made from; 0 = unknown */
    double original_median_spacing[3]; /* after transposition, mm */
    int64_t original_median_shape[3];  /* after transposition, voxels */
    int transpose_forward[3];          /* source axis (0 z, 1 y, 2 x) of d, h, w */
    int transpose_backward[3];
    int channels, classes;              /* classes: labels with background, without ignore */
    int regions;                        /* the network's outputs; 0 = these are the classes */
    char *planner;                      /* experiment_planner_used */
    char *reader;                       /* image_reader_writer, nnU-Net's class */
    volt_foreground_stats *intensities; /* per channel */
    int configs;
    volt_plan_config *config;
} volt_plan;
VOLT_API void volt_plan_free(volt_plan *plan); /* NULL is allowed */

typedef enum volt_planner {
    VOLT_PLANNER_DEFAULT = 0, /* ExperimentPlanner: plain U-Nets, 8 GB */
    VOLT_PLANNER_RESENC_M,    /* nnUNetPlannerResEncM, 8 GB */
    VOLT_PLANNER_RESENC_L,    /* nnUNetPlannerResEncL, 24 GB */
    VOLT_PLANNER_RESENC_XL    /* nnUNetPlannerResEncXL, 40 GB */
} volt_planner;
/* "default", "resenc-m", "resenc-l", "resenc-xl". VOLT_EINVAL names the four. */
VOLT_CALL volt_planner_parse(volt_planner *out, const char *name);

typedef struct volt_planner_options {
    size_t size; /* set by volt_planner_defaults() */
    volt_planner planner;
    double memory_gb;  /* the target that nnU-Net calls GPU memory; 0 = the planner's own */
    double spacing[3]; /* target of the full-resolution configurations, axes z, y, x of the
                        * files, mm; all 0 = nnU-Net's rule */
    bool suppress_transpose;
    const char *plans_name;  /* NULL = the planner's: "nnUNetPlans", "nnUNetResEncUNetMPlans" */
    const volt_model *model; /* NULL = the planner's own */
} volt_planner_options;
/* For other languages: fills in the defaults; `size` is the struct's in the caller. */
VOLT_API void volt_planner_options_init(volt_planner_options *o, size_t size);
static inline volt_planner_options volt_planner_defaults(void)
{
    volt_planner_options o;

    volt_planner_options_init(&o, sizeof o);
    return o;
}

/* Plans the data set. `options` NULL = defaults. The caller owns *out (volt_plan_free).
 * VOLT_EINVAL: options out of range, or fingerprint and info contradict each other;
 * VOLT_ENOTSUP: no configuration fits the memory, or the model cannot be planned. */
VOLT_CALL volt_plan_make(volt_plan **out, const volt_fingerprint *fp,
                         const volt_dataset_info *info, const volt_planner_options *options);

/* A configuration that nnU-Net does not have. Plain value. */
#define VOLT_PLAN_SLICES   "2p5d"
#define VOLT_PLAN_WHOLE    "3d_whole"
#define VOLT_MAX_SLICES    31
#define VOLT_AXIS_COARSEST (-1)
typedef struct volt_plan_extra {
    const char *name; /* VOLT_PLAN_SLICES or VOLT_PLAN_WHOLE */
    int slices; /* 2p5d: odd, up to VOLT_MAX_SLICES; 0 = by spacing, so that they reach about
                 * three pixels to either side: 7 for slices as close as pixels, 3 for
                 * slices three times as far apart or more */
    int axis;   /* 2p5d: slice axis of the files, 0 z, 1 y, 2 x, or VOLT_AXIS_COARSEST */
} volt_plan_extra;
/* Adds it to the plan; one with its name is replaced. Pointers to the plan's configurations
 * become invalid. `options` as for volt_plan_make, but the planner is the one that created the
 * plan, if VOLT has it. 3d_whole takes the full-resolution spacing, or the first of
 * nnU-Net's low-resolution series at which the largest case fits the memory target.
 * VOLT_EINVAL; VOLT_ENOTSUP: nothing fits. */
VOLT_CALL volt_plan_add(volt_plan *plan, const volt_plan_extra *extra,
                        const volt_fingerprint *fp, const volt_dataset_info *info,
                        const volt_planner_options *options);

/* Writes nnU-Net's JSON, whole or not at all. */
VOLT_CALL volt_plan_write(const char *path, const volt_plan *plan);
/* The same as text; the caller owns *out (volt_free). */
VOLT_CALL volt_plan_text(char **out, const volt_plan *plan);
/* Reads and checks a plan. `info` gives channels and classes, which the plan must match. The
 * caller owns *out (volt_plan_free). VOLT_EIO; VOLT_EFORMAT names the key and its value;
 * VOLT_ENOTSUP: an architecture, normalization or resampling that VOLT does not have.
 * Configurations that inherit are resolved; previous stages stay names. */
VOLT_CALL volt_plan_read(volt_plan **out, const char *path, const volt_dataset_info *info);
/* The same from `bytes` of text; `name` is for messages. */
VOLT_CALL volt_plan_parse(volt_plan **out, const char *text, size_t bytes, const char *name,
                          const volt_dataset_info *info);
/* The configuration called `name`; borrowed. VOLT_EINVAL lists the names. */
VOLT_CALL volt_plan_find(const volt_plan_config **out, const volt_plan *plan, const char *name);

VOLT_END_DECLS
#endif
