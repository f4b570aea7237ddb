/* pass.h - the geometry of a scan's pass: from boxes of the result to boxes of the preprocessed
 * scans, and how logits are decoded.
 *
 * Axes of the crop, and of everything here, are those of the first set's scans; axis a of them
 * is axis[a] (volt_net_set_axes) of another set's.
 *
 * Threads   no shared state.
 */
#ifndef VOLT_NETS3D_PREDICT_PASS_H
#define VOLT_NETS3D_PREDICT_PASS_H
#include "nets3d/predict/segmenter.h"
VOLT_BEGIN_DECLS

/* The part of the crop that is asked for; `roi` NULL = all. */
volt_box volt_pass_part(const volt_scan_axes *axes, volt_box crop, const volt_box *roi);
/* The part of a preprocessed scan of `shape` on which `part` of the crop, which has `crop`
 * voxels, depends. */
volt_box volt_pass_source(volt_box part, const int64_t shape[3], const int64_t crop[3],
                          const int axis[3]);
/* How the logits of a scan are decoded. shape: (sets, 3) extents of its preprocessed images,
 * which themselves are not looked at. */
void volt_pass_decoder_options(volt_decode_options *out, const volt_segmenter *seg,
                               const volt_preprocessed_scan *scan, const int64_t *shape);
/* Permutes the finished logits of a set to the first set's axes, class by class. VOLT_ENOMEM.
 */
VOLT_MUST_USE volt_status volt_pass_permute(volt_stitch *s, const int axis[3], int threads);
/* What that takes for the sums of set g over `part`, which are `sums` bytes; 0 without set g's
 * axes being others. */
size_t volt_pass_permute_bytes(const volt_segmenter *seg, int g, const int64_t part[3],
                               size_t sums);

VOLT_END_DECLS
#endif
