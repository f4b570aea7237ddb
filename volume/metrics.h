/* metrics.h - how well a segmentation agrees with the truth.
 *
 * Overlap  nnU-Net's and MONAI's definitions on voxel counts.
 * Surface  as MONAI: surface voxels by volt_boundary(), distances in mm between voxel centres,
 *          every percentile taken per direction (linear quantile) and then the larger one.
 * Empty    a metric that has no value is NaN; which ones those are depends on the policy.
 */
#ifndef VOLT_VOLUME_METRICS_H
#define VOLT_VOLUME_METRICS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "volume/volume.h"
VOLT_BEGIN_DECLS

/* What an empty mask scores.
 *           both empty                    truth empty                   prediction empty
 *   NNUNET  all NaN                       Dice, IoU, NSD 0, rest NaN    the same
 *   MONAI   all NaN                       Dice, IoU, HD95 NaN, NSD 0,   Dice, IoU, NSD 0, HD95
 *                                         HD, ASSD infinite             NaN, HD, ASSD infinite
 *   BRATS   Dice, IoU, NSD 1,             Dice, IoU, NSD 0, distances   the same
 *           distances 0                   the volume's diagonal in mm */
typedef enum volt_empty_policy {
    VOLT_EMPTY_NNUNET = 0,
    VOLT_EMPTY_MONAI = 1,
    VOLT_EMPTY_BRATS = 2
} volt_empty_policy;

/* "nnunet", "monai", "brats". VOLT_EINVAL names the three. */
VOLT_CALL volt_empty_policy_parse(volt_empty_policy *out, const char *name);

/* One class or region: the union of some label values, evaluated as one mask. */
typedef struct volt_region {
    const char *name;      /* borrowed; what tables and summaries print */
    const int32_t *labels; /* borrowed */
    int32_t count;         /* of labels, >= 1 */
} volt_region;

typedef struct volt_metrics {
    int64_t tp, fp, fn, tn; /* voxels */
    int64_t n_pred, n_ref;  /* voxels: tp + fp, tp + fn */
    double dice, iou;       /* 2tp/(2tp+fp+fn), tp/(tp+fp+fn) */
    double hd_mm, hd95_mm;  /* Hausdorff distance: maximum, 95th percentile */
    double assd_mm;         /* mean over the surface voxels of both directions together */
    double nsd;             /* share of surface voxels within the tolerance */
    double volume_pred_mm3, volume_ref_mm3;
    double volume_difference_mm3;      /* |pred - ref| */
    double volume_difference_relative; /* |pred - ref| / ref; NaN if ref is empty */
    double volume_similarity; /* as SimpleITK: 2 (pred - ref) / (pred + ref); empty: NaN */
} volt_metrics;

typedef struct volt_metrics_options {
    volt_empty_policy policy;
    bool surface;            /* also the four surface metrics (slower); else they are NaN */
    double nsd_tolerance_mm; /* >= 0 */
    bool has_ignore_label;   /* leave out voxels with this label in the truth, as nnU-Net; */
    int32_t ignore_label;    /* surface metrics then treat them as background in both */
    int threads;             /* 0 = default */
} volt_metrics_options;

/* policy nnunet, surface on, tolerance 1 mm, no ignore label, default threads. */
VOLT_API volt_metrics_options volt_metrics_defaults(void);

/* Scores `pred` against `ref` (one channel, integers of at most 32 bits, equal sizes; spacing
 * is taken from `ref`) for each of `count` regions: out[i] belongs to regions[i]. VOLT_EDATA:
 * sizes differ; VOLT_EINVAL; VOLT_ENOMEM. */
VOLT_CALL volt_metrics_evaluate(volt_metrics *out, const volt_volume *pred,
                                const volt_volume *ref, const volt_region *regions,
                                int32_t count, const volt_metrics_options *opts);

/* What nnU-Net's summary.json holds: per case, per class mean over cases (NaN left out), mean
 * over the foreground classes (NaN stays NaN). */
typedef enum volt_score {
    VOLT_SCORE_DICE,
    VOLT_SCORE_IOU,
    VOLT_SCORE_FP,
    VOLT_SCORE_TP,
    VOLT_SCORE_FN,
    VOLT_SCORE_TN,
    VOLT_SCORE_N_PRED,
    VOLT_SCORE_N_REF,
    VOLT_SCORE_HD,
    VOLT_SCORE_HD95,
    VOLT_SCORE_ASSD,
    VOLT_SCORE_NSD,
    VOLT_SCORE_COUNT
} volt_score;

/* "Dice", "IoU", "FP", ... as nnU-Net writes them; "HD", "HD95", "ASSD", "NSD" are ours. */
VOLT_API const char *volt_score_name(volt_score score);
VOLT_API double volt_score_of(const volt_metrics *m, volt_score score);

typedef struct volt_summary_case {
    char *prediction_file, *reference_file; /* owned */
    volt_metrics *metrics;                  /* one per region; owned */
} volt_summary_case;

typedef struct volt_summary {
    int32_t regions;
    char **region_names; /* owned */
    bool *is_background; /* per region: left out of the foreground mean; owned */
    bool surface;        /* the surface metrics were computed */
    int64_t count, room; /* cases; allocated */
    volt_summary_case *cases;
    double (*mean)[VOLT_SCORE_COUNT];       /* per region; valid after volt_summary_finish */
    int64_t (*undefined)[VOLT_SCORE_COUNT]; /* cases whose value is not finite, per region */
    double foreground_mean[VOLT_SCORE_COUNT];
} volt_summary;

/* An empty summary over `regions`; a region whose only label is 0 is background. The caller
 * owns *out (volt_summary_free). */
VOLT_CALL volt_summary_create(volt_summary **out, const volt_region *regions, int32_t count,
                              bool surface);
/* Adds a copy of `metrics` (one per region). Cases keep the order in which they were added. */
VOLT_CALL volt_summary_add(volt_summary *s, const char *prediction_file,
                           const char *reference_file, const volt_metrics *metrics);
/* Computes the means; cases may be added and means recomputed later. */
VOLT_API void volt_summary_finish(volt_summary *s);
VOLT_API void volt_summary_free(volt_summary *s); /* NULL is allowed */

VOLT_END_DECLS
#endif
