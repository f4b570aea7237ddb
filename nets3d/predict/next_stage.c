/* From a preprocessed scan to the label map that the next stage of a cascade is trained on. */
#include <string.h>

#include "base/core/alloc.h"
#include "nets3d/plan/plan_internal.h"
#include "nets3d/predict/segmenter.h"

/* The index of the label, background first, that each output writes. The caller owns *out. */
static volt_status label_of_outputs(uint16_t **out, const volt_segmenter *seg)
{
    const volt_status st =
        volt_alloc_zero(out, (size_t)seg->outputs, sizeof **out, "labels of outputs");

    for (int i = 0; st == VOLT_OK && i < seg->outputs; i++) {
        for (int l = 0; l < seg->info.labels; l++) {
            if (seg->info.label[l].value == seg->value[i])
                (*out)[i] = (uint16_t)l;
        }
    }
    return st;
}

/* Sums the logits of all networks over the whole scan. */
static volt_status run_sets(volt_segmenter *seg, const volt_preprocessed_scan *scan,
                            volt_stitch *stitch, const char *what, const volt_callbacks *cb)
{
    volt_tiling tiling = {.scores = &volt_host_scores, .what = what};
    int64_t tiles;
    volt_status st = VOLT_OK;

    for (int g = 0; g < seg->sets; g++) {
        const int64_t *shape = scan->set[g].image->grid.n;
        VOLT_TRY(st, done, volt_net_set_tiles(&tiles, seg, &seg->set[g], shape, NULL));
        tiling.total += tiles;
    }
    for (int g = 0; g < seg->sets; g++) {
        const int64_t *shape = scan->set[g].image->grid.n;
        VOLT_TRY(st, done,
                 volt_segmenter_open_sums(&stitch[g], seg, tiling.scores, shape, shape[0]));
        tiling.stitch = &stitch[g];
        VOLT_TRY(st, done,
                 volt_net_set_run(seg, &seg->set[g], scan->set[g].image, &tiling, cb));
    }
done:
    return st;
}

volt_status volt_segmenter_next_stage(volt_volume **out, volt_segmenter *seg,
                                      volt_preprocessed_scan *scan, const int64_t shape[3],
                                      const char *what, const volt_callbacks *cb)
{
    const int64_t origin[3] = {0};
    volt_stitch stitch[VOLT_PREDICT_MAX_SETS] = {{.sum = NULL}};
    volt_logits logits[VOLT_PREDICT_MAX_SETS];
    volt_decode_options o = volt_decode_defaults();
    volt_grid grid = scan->set[0].image->grid;
    volt_decoder *decoder = NULL;
    volt_volume *labels = NULL;
    uint16_t *value = NULL;
    volt_status st;

    o.classes = seg->outputs;
    o.regions = volt_segmenter_has_regions(seg);
    o.sets = seg->sets;
    o.threads = seg->threads;
    grid.channels = 1;
    memcpy(grid.n, shape, sizeof grid.n);
    memcpy(o.to, shape, sizeof o.to);
    for (int g = 0; g < seg->sets; g++) {
        const volt_preprocessed *s = &scan->set[g];
        memcpy(o.set[g].shape, s->image->grid.n, sizeof o.set[g].shape);
        /* nnU-Net passes the first stage's spacing as both the old and the new one */
        o.set[g].separate_axis =
            volt_plan_separate_axis(&seg->set[g].config->probabilities, s->spacing, s->spacing);
    }
    VOLT_TRY(st, done, label_of_outputs(&value, seg));
    o.value = value;
    VOLT_TRY(st, done, run_sets(seg, scan, stitch, what, cb));
    VOLT_TRY(st, done, volt_decoder_open(&decoder, &o));
    VOLT_TRY(st, done, volt_volume_create(&labels, &grid, VOLT_U16));
    for (int g = 0; g < seg->sets; g++)
        logits[g] = volt_net_set_logits(&seg->set[g], &stitch[g]);
    VOLT_TRY(st, done,
             volt_decode_labels(decoder, labels, origin, volt_box_of_shape(shape), logits));
    VOLT_TRY(st, done,
             volt_volume_convert(out, labels, seg->info.labels <= 128 ? VOLT_I8 : VOLT_I16,
                                 NULL, seg->threads));
done:
    for (int g = 0; g < VOLT_PREDICT_MAX_SETS; g++)
        volt_stitch_close(&stitch[g]);
    volt_decoder_free(decoder);
    volt_volume_free(labels);
    volt_free(value);
    volt_preprocessed_scan_clear(scan, seg);
    return st;
}
