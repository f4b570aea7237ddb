/* fingerprint.h - what the planner must know of a data set, as nnU-Net's fingerprint.
 *
 * Each case is cropped to its non-zero region first. Intensities are those of nnU-Net's own
 * draws from the foreground (label > 0): 1e8 / cases values of each case and channel, with
 * replacement, by numpy's RandomState(1234); their statistics are numpy's to the bit
 * (nets3d/draws.h, which also says what memory that takes).
 */
#ifndef VOLT_NETS3D_FINGERPRINT_H
#define VOLT_NETS3D_FINGERPRINT_H
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
VOLT_BEGIN_DECLS

/* Of a channel over the foreground of a whole data set: nnU-Net's
 * foreground_intensity_properties_per_channel. In the unit of the voxels. */
typedef struct volt_foreground_stats {
    double mean, median, std, min, max;
    double percentile_00_5, percentile_99_5;
} volt_foreground_stats;

/* Plain data; zero-initialised is empty. Axes z, y, x of the files. */
typedef struct volt_fingerprint {
    int64_t cases;                   /* in the data set's order (sorted ids) */
    double (*spacings)[3];           /* mm */
    int64_t (*shapes_after_crop)[3]; /* voxels */
    int channels;
    volt_foreground_stats *intensities;         /* one per channel, over the foreground */
    double median_relative_size_after_cropping; /* 0..1 */
} volt_fingerprint;

/* Reads every case of `ds` (in parallel over cases). The caller owns what *out holds
 * (volt_fingerprint_clear). The same bits for any `threads`. Fails with the first
 * case's error; VOLT_EDATA when no case has foreground. */
VOLT_CALL volt_fingerprint_extract(volt_fingerprint *out, const volt_dataset *ds, int threads,
                                   const volt_callbacks *callbacks);
/* dataset_fingerprint.json with nnU-Net's keys. */
VOLT_CALL volt_fingerprint_write(const char *path, const volt_fingerprint *fp);
VOLT_CALL volt_fingerprint_read(volt_fingerprint *out, const char *path);
VOLT_API void volt_fingerprint_clear(volt_fingerprint *fp);

VOLT_END_DECLS
#endif
