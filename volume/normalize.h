/* normalize.h - intensity normalization of one channel, as nnU-Net v2 does it.
 *
 * Results   have the same bits for any thread count.
 * Threads   no shared state. Calls may run at the same time on different values.
 */
#ifndef VOLT_VOLUME_NORMALIZE_H
#define VOLT_VOLUME_NORMALIZE_H
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

typedef enum volt_normalization {
    VOLT_NORMALIZE_NONE = 0,
    VOLT_NORMALIZE_ZSCORE = 1,     /* (x - mean) / max(std, 1e-8) of this image */
    VOLT_NORMALIZE_CT = 2,         /* clip to the data set's percentiles, then its mean, std */
    VOLT_NORMALIZE_RESCALE_01 = 3, /* (x - min) / max(max - min, 1e-8) of this image */
    VOLT_NORMALIZE_RGB_01 = 4      /* x / 255; x must be in 0..255 */
} volt_normalization;

/* Intensity statistics of one channel over the foreground of a data set (nnU-Net's
 * fingerprint). */
typedef struct volt_intensity {
    double mean, std;
    double percentile_00_5, percentile_99_5; /* the 0.5th and 99.5th */
} volt_intensity;

/* Normalizes n values of one channel in place; on failure they are unchanged. `ct` is needed by
 * VOLT_NORMALIZE_CT only (else NULL is allowed). `mask` (uint8, n entries; NULL = everywhere)
 * restricts VOLT_NORMALIZE_ZSCORE, its statistics as well as the change, to where it is not 0
 * (nnU-Net's use_mask_for_norm); the other schemes ignore it. VOLT_EINVAL: scheme, or `ct`
 * missing or not finite; VOLT_EDATA: NaN or infinite values (except with NONE), RGB outside
 * 0..255; VOLT_ENOMEM. */
VOLT_CALL volt_normalize(float *values, int64_t n, volt_normalization scheme,
                         const volt_intensity *ct, const uint8_t *mask, int threads);

VOLT_END_DECLS
#endif
