/* fingerprint.h - the measurements of a data set from which it is planned, as in nnU-Net.
 *
 * Each case is cropped to its non-zero region first. Intensity statistics are those of
 * nnU-Net's own sample of the foreground (label > 0): 1e8 / cases values of each case and
 * channel, drawn with replacement by numpy's RandomState(1234). They are bit-identical to
 * numpy's. Sampling takes up to 4 bytes per value, often 2.
 *
 * Threads  calls for different data sets may run at the same time; one call reads cases in
 *          parallel.
 */
#ifndef VOLT_NETS3D_FINGERPRINT_H
#define VOLT_NETS3D_FINGERPRINT_H
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
VOLT_BEGIN_DECLS

/* Of one channel, over the foreground of a whole data set: nnU-Net's
 * foreground_intensity_properties_per_channel. In the unit of the voxels. */
typedef struct volt_foreground_stats {
    double mean, median, std, min, max;
    double percentile_00_5, percentile_99_5;
} volt_foreground_stats;

/* Plain data; zero-initialized is empty. Axes z, y, x of the files. */
typedef struct volt_fingerprint {
    int64_t cases;                   /* in the data set's order (sorted ids) */
    double (*spacings)[3];           /* mm */
    int64_t (*shapes_after_crop)[3]; /* voxels */
    int channels;
    volt_foreground_stats *intensities;         /* one per channel */
    double median_relative_size_after_cropping; /* 0..1 */
    uint64_t data_key; /* hash of the cases' ids and files, not of their folders and times;
                        * 0 = unknown, as in nnU-Net's files */
} volt_fingerprint;

/* Reads every case of `ds`, `threads` at a time (0 = default); the result does not depend on
 * their number. The caller owns what *out holds (volt_fingerprint_clear). Fails with the first
 * case's error; VOLT_EDATA: no case has foreground. */
VOLT_CALL volt_fingerprint_extract(volt_fingerprint *out, const volt_dataset *ds, int threads,
                                   const volt_callbacks *callbacks);
/* dataset_fingerprint.json with nnU-Net's keys, and "volt_data_key". */
VOLT_CALL volt_fingerprint_write(const char *path, const volt_fingerprint *fp);
/* The caller owns what *out holds. VOLT_EIO, VOLT_EFORMAT. */
VOLT_CALL volt_fingerprint_read(volt_fingerprint *out, const char *path);
VOLT_API void volt_fingerprint_clear(volt_fingerprint *fp);

VOLT_END_DECLS
#endif
