/* surface.h - distances between the surfaces of two masks, as volume/metrics.h defines them.
 *
 * Threads   `threads` 0 = default; same bits for any number.
 */
#ifndef VOLT_VOLUME_METRICS_SURFACE_H
#define VOLT_VOLUME_METRICS_SURFACE_H
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_surface_scores {
    double hd_mm, hd95_mm; /* Hausdorff distance: maximum, 95th percentile */
    double assd_mm;        /* mean over the surface voxels of both directions together */
    double nsd;            /* fraction of surface voxels within the tolerance */
} volt_surface_scores;

/* Two boundaries on one grid, borrowed: what volt_boundary() wrote and counted. */
typedef struct volt_surfaces {
    const uint8_t *pred, *ref; /* (Z, Y, X) */
    int64_t n_pred, n_ref;     /* surface voxels, >= 1 */
    int64_t n[3];              /* z, y, x */
    double spacing[3];         /* mm */
} volt_surfaces;

/* VOLT_EINVAL: extent or spacing (volume/distance.h), no surface voxel; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_surface_compare(volt_surface_scores *out, const volt_surfaces *s,
                                               double nsd_tolerance_mm, int threads);

/* The q-quantile (0..1) of v[0..n), linear between ranks as numpy; n >= 1. Reorders v. */
double volt_quantile(double *v, int64_t n, double q);

VOLT_END_DECLS
#endif
