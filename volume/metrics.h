/* metrics.h - agreement of a segmentation with its reference.
 *
 * Overlap   nnU-Net's and MONAI's definitions, on voxel counts.
 * Surface   as MONAI: surface voxels by volt_boundary(), distances in mm between voxel centres;
 *           a percentile is taken per direction (linear quantile), then the larger one counts.
 * Lesions   lesion by lesion, as in the BraTS 2023 challenge:
 *           - The reference is dilated `dilation` times by the 18-neighbourhood; voxels whose
 *             dilation is one 26-connected component are one lesion. Dilation serves grouping
 *             and matching only; scores are taken on the undilated voxels.
 *           - Predicted lesions are 26-connected components. All that touch a lesion's dilation
 *             are matched to it, together; one may be matched to several lesions.
 *           - A lesion's Dice (and HD95) compare it with all that is matched to it; with
 *             nothing matched they are 0 and `penalty_mm`. A predicted lesion that is matched
 *             to none is a false positive and enters the means with the same values.
 *           - Lesions of the reference of at most `min_mm3` enter no mean and no count, and
 *             predictions matched to them are no false positives.
 *           - Without lesions and false positives Dice is 1, F1 1, HD95 0.
 *           HD95 is that of Surface above. The challenge's own program weights surface voxels
 *           by area, so its numbers may differ.
 * Empty     a metric without a value is NaN; which ones those are depends on the policy.
 * Threads   scoring shares no state. Threads may share a summary in const calls; any other
 *           call needs exclusive access.
 */
#ifndef VOLT_VOLUME_METRICS_H
#define VOLT_VOLUME_METRICS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "volume.h"
VOLT_BEGIN_DECLS

/* Scores of empty masks.
 *           both empty                    reference empty               prediction empty
 *   NNUNET  all NaN                       Dice, IoU, NSD 0, rest NaN    the same
 *   MONAI   all NaN                       Dice, IoU NaN, NSD 0,         Dice, IoU, NSD 0,
 *                                         distances infinite            distances infinite
 *   BRATS   Dice, IoU, NSD 1,             Dice, IoU, NSD 0, distances   the same
 *           distances 0                   the volume's diagonal in mm
 * MONAI itself gives HD95 NaN where HD and ASSD are infinite. NaN leaves the mean, so that a
 * network that misses a class would score better than one that finds it badly. */
typedef enum volt_empty_policy {
    VOLT_EMPTY_NNUNET = 0,
    VOLT_EMPTY_MONAI = 1,
    VOLT_EMPTY_BRATS = 2
} volt_empty_policy;
/* "nnunet", "monai", "brats". VOLT_EINVAL names the three. */
VOLT_CALL volt_empty_policy_parse(volt_empty_policy *out, const char *name);

/* One class or region: the union of some label values, evaluated as one mask. */
typedef struct volt_region {
    const char *name;      /* borrowed; for tables and summaries */
    const int32_t *labels; /* borrowed */
    int32_t count;         /* of labels, >= 1 */
    bool is_list; /* a list in dataset.json even if it has one label: nnU-Net's key is then
                   * "(3,)" instead of "3" */
} volt_region;

/* Lesions of one region of one case, see above. */
typedef struct volt_lesion_scores {
    int64_t tp, fp, fn; /* lesions */
    double dice, f1;
    double hd95_mm;
} volt_lesion_scores;

/* Plain value in volt_metrics_options; its fields stay the same within one major version. */
typedef struct volt_lesion_rule {
    int dilation;      /* voxels, >= 0: merges lesions, and matches predictions to them */
    double min_mm3;    /* >= 0: lesions of the reference up to this volume are ignored */
    double penalty_mm; /* HD95 of a missed or false-positive lesion */
} volt_lesion_rule;

typedef struct volt_metrics {
    int64_t tp, fp, fn, tn; /* voxels */
    int64_t n_pred, n_ref;  /* voxels: tp + fp, tp + fn */
    double dice, iou;       /* 2tp/(2tp+fp+fn), tp/(tp+fp+fn) */
    double hd_mm, hd95_mm;  /* Hausdorff distance: maximum, 95th percentile */
    double assd_mm;         /* mean over the surface voxels of both directions together */
    double nsd;             /* fraction of surface voxels within the tolerance */
    double volume_pred_mm3, volume_ref_mm3;
    double volume_difference_mm3;      /* |pred - ref| */
    double volume_difference_relative; /* |pred - ref| / ref; NaN if ref is empty */
    double volume_similarity; /* as SimpleITK: 2 (pred - ref) / (pred + ref); empty: NaN */
    double precision, sensitivity, specificity; /* tp/(tp+fp), tp/(tp+fn), tn/(tn+fp) or NaN */
    volt_lesion_scores lesion;                  /* where computed; else NaN and 0 lesions */
} volt_metrics;

typedef struct volt_metrics_options {
    size_t size; /* set by volt_metrics_defaults() */
    volt_empty_policy policy;
    bool surface; /* compute the four surface metrics (slower); else they are NaN */
    bool lesions; /* compute the lesion scores (slower); their HD95 needs `surface` */
    volt_lesion_rule lesion;
    double nsd_tolerance_mm; /* >= 0 */
    bool has_ignore_label; /* leave out voxels with this label in the reference, as nnU-Net; */
    int32_t ignore_label;  /* surface metrics treat them as background in both masks */
    int threads;           /* 0 = default */
} volt_metrics_options;

/* Policy nnunet, surface on, tolerance 1 mm, lesions off (with BraTS-GLI's 3 voxels, 50 mm^3
 * and 374 mm when switched on), no ignore label, default threads. The challenges of 2023 use
 * dilation 3 and 50 mm^3 (GLI, SSA, PED), 1 and 50 (MEN), 1 and 2 (MET). */
VOLT_API void volt_metrics_options_init(volt_metrics_options *o, size_t size);
static inline volt_metrics_options volt_metrics_defaults(void)
{
    volt_metrics_options o;

    volt_metrics_options_init(&o, sizeof o);
    return o;
}

/* Scores `pred` against `ref` (one channel, integers of at most 32 bits, equal sizes; spacing
 * is taken from `ref`) for each of `count` regions: out[i] belongs to regions[i]. `options`
 * NULL = defaults. VOLT_EDATA: sizes differ; VOLT_EINVAL: types, regions or an option;
 * VOLT_ENOMEM. */
VOLT_CALL volt_metrics_evaluate(volt_metrics *out, const volt_volume *pred,
                                const volt_volume *ref, const volt_region *regions,
                                int32_t count, const volt_metrics_options *options);

/* The scores of a summary: nnU-Net's eight, then VOLT's own. */
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
    VOLT_SCORE_PRECISION,
    VOLT_SCORE_SENSITIVITY,
    VOLT_SCORE_SPECIFICITY,
    VOLT_SCORE_VOLUME_SIMILARITY,
    VOLT_SCORE_VOLUME_DIFFERENCE, /* mm^3 */
    VOLT_SCORE_LESION_DICE,
    VOLT_SCORE_LESION_F1,
    VOLT_SCORE_LESION_HD95,
    VOLT_SCORE_LESION_TP,
    VOLT_SCORE_LESION_FP,
    VOLT_SCORE_LESION_FN,
    VOLT_SCORE_COUNT
} volt_score;

/* "Dice", "IoU", "FP", ... as nnU-Net writes them; "HD95", "lesion_Dice", ... are VOLT's own.
 */
VOLT_API const char *volt_score_name(volt_score score);
VOLT_API double volt_score_of(const volt_metrics *m, volt_score score);
VOLT_API bool volt_score_is_count(volt_score score);   /* integers: voxels or lesions */
VOLT_API bool volt_score_is_surface(volt_score score); /* needs volt_metrics_options.surface */
VOLT_API bool volt_score_is_lesion(volt_score score);  /* needs volt_metrics_options.lesions */

typedef struct volt_summary_case {
    char *prediction_file, *reference_file; /* owned */
    volt_metrics *metrics;                  /* one per region; owned */
} volt_summary_case;

/* Confidence interval of a mean over cases. */
typedef struct volt_interval {
    double low, high; /* NaN where the mean is */
} volt_interval;

typedef struct volt_summary {
    int32_t regions;
    char **region_names;   /* owned */
    char **region_keys;    /* as nnU-Net names them: "1", "(1, 2, 3)"; owned */
    bool *is_background;   /* per region: excluded from the foreground mean; owned */
    bool surface, lesions; /* these scores were computed */
    int64_t count, room;   /* cases; allocated */
    volt_summary_case *cases;
    double (*mean)[VOLT_SCORE_COUNT];       /* per region; valid after volt_summary_finish */
    int64_t (*undefined)[VOLT_SCORE_COUNT]; /* cases whose value is not finite, per region */
    double foreground_mean[VOLT_SCORE_COUNT];
    int64_t resamples; /* of the intervals below; 0: none were computed */
    volt_interval (*interval)[VOLT_SCORE_COUNT]; /* per region */
    volt_interval foreground_interval[VOLT_SCORE_COUNT];
} volt_summary;

/* An empty summary over `regions`; a region whose only label is 0 is background. It holds the
 * scores that `options` (NULL = defaults) computes. The caller owns *out (volt_summary_free).
 * VOLT_EINVAL: options; VOLT_ENOMEM. */
VOLT_CALL volt_summary_create(volt_summary **out, const volt_region *regions, int32_t count,
                              const volt_metrics_options *options);
/* Appends a case with a copy of `metrics` (one per region). VOLT_ENOMEM. */
VOLT_CALL volt_summary_add(volt_summary *s, const char *prediction_file,
                           const char *reference_file, const volt_metrics *metrics);
/* Computes the means, bit-identical to nnU-Net's: per class over cases (without NaN), then over
 * the foreground classes (NaN stays NaN). May be repeated after adding cases. */
VOLT_API void volt_summary_finish(volt_summary *s);
/* Computes 95 % intervals of all means by the percentile bootstrap: each of `resamples`
 * resamples draws as many cases as there are, with replacement, the same for every class and
 * score. Resamples in which a mean is undefined are left out of its quantiles. Same bits for
 * the same seed and any thread count. VOLT_EINVAL: fewer than 2 resamples; VOLT_ENOMEM. */
VOLT_CALL volt_summary_bootstrap(volt_summary *s, int64_t resamples, uint64_t seed,
                                 int threads);
/* Mean of a score over the foreground classes of one case, NaN left out; NaN if all are NaN. */
VOLT_API double volt_summary_case_mean(const volt_summary *s, int64_t index, volt_score score);
/* Indices of the cases by ascending mean Dice, undefined ones last, ties in the order of
 * addition; `order` has room for s->count. VOLT_ENOMEM. */
VOLT_CALL volt_summary_worst_first(int64_t *order, const volt_summary *s);
VOLT_API void volt_summary_free(volt_summary *s); /* NULL is allowed */

VOLT_END_DECLS
#endif
