/* Preprocesses a scan for every set of networks. */
#include <string.h>

#include "base/mem.h"
#include "nets3d/predict/segmenter.h"

void volt_preprocessed_scan_clear(volt_preprocessed_scan *s, const volt_segmenter *seg)
{
    for (int g = 0; g < seg->sets; g++)
        volt_preprocessed_clear(&s->set[g]);
}

/* The labels of a preprocessed prior mask, which must have the grid of the preprocessed scan.
 */
static volt_status take_stored_prior(volt_preprocessed *made, const volt_stored_case *mask,
                                     const char *what)
{
    const int64_t *n = made->image->grid.n;
    volt_grid grid = made->image->grid;
    volt_status st;

    if (!mask->labels || memcmp(mask->shape, n, sizeof mask->shape) != 0 ||
        memcmp(mask->transpose_forward, made->transpose_forward,
               sizeof mask->transpose_forward) != 0)
        return volt_fail(VOLT_EDATA,
                         "%s: the preprocessed prior mask has %lld x %lld x %lld voxels, the "
                         "preprocessed scan %lld x %lld x %lld",
                         what, (long long)mask->shape[0], (long long)mask->shape[1],
                         (long long)mask->shape[2], (long long)n[0], (long long)n[1],
                         (long long)n[2]);
    grid.channels = 1;
    VOLT_TRY(st, done, volt_stored_case_verify(mask));
    VOLT_TRY(st, done, volt_volume_create(&made->labels, &grid, mask->label_dtype));
    memcpy(made->labels->data, mask->labels, volt_volume_bytes(made->labels));
done:
    return st;
}

/* The scan as one set takes it. */
static volt_status preprocess_for(volt_preprocessed *out, const volt_net_set *g,
                                  volt_volume **image, const volt_prior_mask *prior,
                                  const char *what, int threads)
{
    const bool refines = g->config->previous_stage;
    volt_volume *labels = NULL;
    volt_preprocessed made = {0};
    volt_status st = VOLT_OK;

    if (refines && prior->mask)
        VOLT_TRY(st, done, volt_volume_convert(&labels, prior->mask, VOLT_I16, NULL, threads));
    VOLT_TRY(st, done,
             volt_preprocess_case(&made, image, &labels, g->plan, g->config, what, threads));
    if (refines && prior->stored)
        VOLT_TRY(st, done, take_stored_prior(&made, prior->stored, what));
    if (refines)
        VOLT_TRY(st, done, volt_preprocessed_add_masks(&made, g->plan->classes, threads));
    *out = made;
    made = (volt_preprocessed){0};
done:
    volt_preprocessed_clear(&made);
    volt_volume_free(labels);
    return st;
}

volt_status volt_preprocess_scan(volt_preprocessed_scan *out, const volt_segmenter *seg,
                                 volt_volume **image, const volt_prior_mask *prior,
                                 const char *what, int threads)
{
    volt_volume *copy = NULL;
    volt_preprocessed_scan scan = {0};
    volt_status st = VOLT_OK;

    for (int g = 0; g < seg->sets; g++) {
        const bool last = g + 1 == seg->sets;
        if (!last)
            VOLT_TRY(st, done, volt_volume_convert(&copy, *image, VOLT_F32, NULL, threads));
        VOLT_TRY(st, done,
                 preprocess_for(&scan.set[g], &seg->set[g], last ? image : &copy, prior, what,
                                threads));
    }
    *out = scan;
    scan = (volt_preprocessed_scan){0};
done:
    volt_preprocessed_scan_clear(&scan, seg);
    volt_volume_free(copy);
    volt_volume_free(*image);
    *image = NULL;
    return st;
}
