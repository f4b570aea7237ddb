/* From label maps and logits with the axes in the plan's order to the scan's own grid.
 *
 * Everything is computed with the axes permuted as the plan wants them, and only results are
 * permuted back, one volume at a time: a label map is 1 or 2 bytes per voxel, logits are 4
 * bytes per voxel and class. Probabilities are decoded class by class for the same reason; the
 * logits and, for a softmax, its denominators (norms) stay until the last class is written.
 */
#include "base/mem.h"
#include "nets3d/predict/segmenter.h"
#include "nets3d/predict/spread.h"
#include "volume/orient.h"

/* *v (NULL allowed) with the scan's own axes. */
static volt_status restore_axes(volt_volume **v, const volt_scan_axes *axes, int threads)
{
    volt_volume *back = NULL;
    volt_status st;

    if (!*v || volt_orientation_is_identity(axes->order))
        return VOLT_OK;
    st = volt_volume_reorient_back(&back, *v, axes->order, &axes->own, threads);
    if (st == VOLT_OK) {
        volt_volume_free(*v);
        *v = back;
    }
    return st;
}

/* Labels from masks of regions: later regions over earlier ones. */
static void paint(volt_segmentation *f, const volt_segmenter *seg)
{
    volt_volume *labels = f->labels;
    const int64_t voxels = volt_grid_voxels(&labels->grid);
    const uint8_t *mask = f->regions->data;

#pragma omp parallel for num_threads(seg->threads) schedule(static)
    for (int64_t i = 0; i < voxels; i++) {
        for (int c = 0; c < seg->outputs; c++) {
            if (!mask[c * voxels + i])
                continue;
            if (labels->dtype == VOLT_U8)
                ((uint8_t *)labels->data)[i] = (uint8_t)seg->value[c];
            else
                ((uint16_t *)labels->data)[i] = seg->value[c];
        }
    }
}

volt_status volt_export_masks(volt_segmentation *f, const volt_segmenter *seg)
{
    volt_scan_axes axes;
    volt_status st;

    VOLT_TRY(st, done, volt_scan_axes_of(&axes, &f->frame));
    VOLT_TRY(st, done, restore_axes(&f->regions, &axes, seg->threads));
    VOLT_TRY(st, done, restore_axes(&f->labels, &axes, seg->threads));
    if (f->regions) {
        VOLT_TRY(st, done, volt_volume_create(&f->labels, &axes.own, seg->dtype));
        paint(f, seg);
    }
done:
    return st;
}

/* With the axes of the plan. */
static volt_status probability(volt_volume **out, const volt_segmenter *seg,
                               const volt_segmentation *f, int64_t c)
{
    volt_logits logits[VOLT_PREDICT_MAX_SETS];
    volt_scan_axes axes;
    volt_volume *v = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_scan_axes_of(&axes, &f->frame));
    for (int g = 0; g < seg->sets; g++)
        logits[g] = volt_net_set_logits(&seg->set[g], &f->logits[g]);
    VOLT_TRY(st, done, volt_volume_create(&v, &axes.permuted, VOLT_F32));
    if (c == 0 && !volt_segmenter_has_regions(seg)) {
        for (int64_t i = 0; i < volt_grid_voxels(&v->grid); i++)
            ((float *)v->data)[i] = 1;
    }
    if (!volt_box_is_empty(f->part))
        VOLT_TRY(st, done,
                 volt_decode_probability(f->decoder, v, f->frame.crop.low, f->part, c, logits,
                                         f->norms));
    *out = v;
    v = NULL;
done:
    volt_volume_free(v);
    return st;
}

volt_status volt_export_probability(volt_volume **out, const volt_segmenter *seg,
                                    const volt_segmentation *f, int64_t c)
{
    volt_volume *v = NULL;
    volt_scan_axes axes;
    volt_status st;

    VOLT_TRY(st, done,
             volt_spread_is_joint(seg->spread) ? volt_spread_probability(&v, seg, f, c)
                                               : probability(&v, seg, f, c));
    VOLT_TRY(st, done, volt_scan_axes_of(&axes, &f->frame));
    VOLT_TRY(st, done, restore_axes(&v, &axes, seg->threads));
    *out = v;
    v = NULL;
done:
    volt_volume_free(v);
    return st;
}
