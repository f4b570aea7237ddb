/* intensities.h - what is known of a channel's values, and which normalisation it gets.
 */
#ifndef VOLT_VOLUME_INTENSITIES_H
#define VOLT_VOLUME_INTENSITIES_H
#include "base/status.h"
VOLT_BEGIN_DECLS

/* Of a channel over the foreground of a whole data set; nnU-Net's
 * foreground_intensity_properties_per_channel. In the unit of the voxels. */
typedef struct volt_intensities {
    double mean, median, std, min, max;
    double percentile_00_5, percentile_99_5;
} volt_intensities;

/* nnU-Net's schemes. */
typedef enum volt_norm_scheme {
    VOLT_NORM_NONE = 0,   /* NoNormalization */
    VOLT_NORM_ZSCORE = 1, /* ZScoreNormalization */
    VOLT_NORM_CT = 2,     /* CTNormalization: clip to percentiles, data set's mean and std */
    VOLT_NORM_UNIT = 3,   /* RescaleTo01Normalization */
    VOLT_NORM_RGB = 4     /* RGBTo01Normalization: divide by 255 */
} volt_norm_scheme;

VOLT_END_DECLS
#endif
