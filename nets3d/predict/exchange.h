/* exchange.h - voxels that move between ranks: images to those that compute them, sums of
 * logits to those that decode them, slices of results to rank 0.
 *
 * All calls are collective. Boxes are in voxels of the scan that the array is a part of; empty
 * ones are allowed. Voxels are added in the order of ranks, so the same ranks give the same
 * bits.
 *
 * Threads   as spread.h.
 */
#ifndef VOLT_NETS3D_PREDICT_EXCHANGE_H
#define VOLT_NETS3D_PREDICT_EXCHANGE_H
#include "nets3d/predict/spread.h"
VOLT_BEGIN_DECLS

/* Sends every rank r > 0 the part box[r] of *whole, an image that only rank 0 has: float32
 * channels on `grid`. The others own *part, which is NULL for an empty box; rank 0 gets none.
 */
VOLT_MUST_USE volt_status volt_exchange_scatter(const volt_spread *sp, volt_volume **part,
                                                const volt_volume *whole, const volt_grid *grid,
                                                const volt_box box[]);

/* Sums of logits over a box of a scan: all slices of `stitch` are held. */
typedef struct volt_sums {
    volt_stitch stitch;
    volt_box box;
} volt_sums;

/* Adds to `to` what all ranks have of `need`: rank r has have[r], in `from`, and needs need[r],
 * which `to` covers. `from` may be `to`; its own voxels then stay as they are. */
VOLT_MUST_USE volt_status volt_exchange_add(const volt_spread *sp, volt_sums *to,
                                            const volt_sums *from, const volt_box have[],
                                            const volt_box need[], int threads);

/* Collects slices in *whole of rank 0 (others: NULL): rank r has first[r] <= z < first[r + 1]
 * of a result in `part`, of which `box` is wanted. Voxel 0 of the result is voxel `at` of
 * *whole. */
VOLT_MUST_USE volt_status volt_exchange_collect(const volt_spread *sp, volt_volume *whole,
                                                const int64_t at[3], const volt_volume *part,
                                                const int64_t first[], volt_box box);

VOLT_END_DECLS
#endif
