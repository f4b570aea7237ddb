/* From a prepared scan to what the next stage of a cascade sees of it. */
#include <string.h>

#include "base/mem.h"
#include "nets3d/predict/predictor_internal.h"

/* The label, counted from the background on, that each score writes. The caller owns *out. */
static volt_status label_of_scores(uint16_t **out, const volt_predictor *p)
{
    const volt_status st =
        volt_alloc_zero(out, (size_t)p->scores, sizeof **out, "labels of scores");

    for (int i = 0; st == VOLT_OK && i < p->scores; i++) {
        for (int l = 0; l < p->info.labels; l++) {
            if (p->info.label[l].value == p->value[i])
                (*out)[i] = (uint16_t)l;
        }
    }
    return st;
}

/* Scores of all networks into sums that are held whole. */
static volt_status run_groups(volt_predictor *p, const volt_prepared_scan *scan,
                              volt_stitch *stitch, const char *what, const volt_callbacks *cb)
{
    volt_tiling tiling = {.what = what};
    int64_t tiles;
    volt_status st = VOLT_OK;

    for (int g = 0; g < p->groups; g++) {
        const int64_t *shape = scan->prepared[g].image->grid.n;
        VOLT_TRY(st, done, volt_net_set_tiles(&tiles, p, &p->group[g], shape, NULL));
        tiling.total += tiles;
    }
    for (int g = 0; g < p->groups; g++) {
        const int64_t *shape = scan->prepared[g].image->grid.n;
        VOLT_TRY(st, done,
                 volt_stitch_open(&stitch[g], p->scores, shape, shape[0],
                                  volt_net_set_halves(p, shape, shape[0])));
        tiling.stitch = &stitch[g];
        VOLT_TRY(st, done,
                 volt_net_set_run(p, &p->group[g], scan->prepared[g].image, &tiling, cb));
    }
done:
    return st;
}

volt_status volt_predictor_next_stage(volt_volume **out, volt_predictor *p,
                                      volt_prepared_scan *scan, const int64_t shape[3],
                                      const char *what, const volt_callbacks *cb)
{
    const int64_t origin[3] = {0};
    volt_stitch stitch[VOLT_PREDICT_MAX_GROUPS] = {{.sum = NULL}};
    volt_logits logits[VOLT_PREDICT_MAX_GROUPS];
    volt_decode_options o = volt_decode_defaults();
    volt_grid grid = scan->prepared[0].image->grid;
    volt_decoder *decoder = NULL;
    volt_volume *labels = NULL;
    uint16_t *value = NULL;
    volt_status st;

    grid.channels = 1;
    memcpy(grid.n, shape, sizeof grid.n);
    o.classes = p->scores;
    o.regions = volt_predictor_has_regions(p);
    o.sets = p->groups;
    o.threads = p->threads;
    memcpy(o.to, shape, sizeof o.to);
    for (int g = 0; g < p->groups; g++) {
        const volt_preprocessed *s = &scan->prepared[g];
        memcpy(o.set[g].shape, s->image->grid.n, sizeof o.set[g].shape);
        /* nnU-Net asks with the first stage's spacing as both the old and the new one */
        o.set[g].separate_axis =
            volt_plan_separate_axis(&p->group[g].config->probabilities, s->spacing, s->spacing);
    }
    VOLT_TRY(st, done, label_of_scores(&value, p));
    o.value = value;
    VOLT_TRY(st, done, run_groups(p, scan, stitch, what, cb));
    VOLT_TRY(st, done, volt_decoder_open(&decoder, &o));
    VOLT_TRY(st, done, volt_volume_create(&labels, &grid, VOLT_U16));
    for (int g = 0; g < p->groups; g++)
        logits[g] = volt_net_set_logits(&p->group[g], &stitch[g]);
    VOLT_TRY(st, done,
             volt_decode_labels(decoder, labels, origin, volt_box_of_shape(shape), logits));
    VOLT_TRY(st, done,
             volt_volume_convert(out, labels, p->info.labels <= 128 ? VOLT_I8 : VOLT_I16, NULL,
                                 p->threads));
done:
    for (int g = 0; g < VOLT_PREDICT_MAX_GROUPS; g++)
        volt_stitch_close(&stitch[g]);
    volt_decoder_free(decoder);
    volt_volume_free(labels);
    volt_free(value);
    volt_prepared_scan_clear(scan, p);
    return st;
}
