/* scan.c - a scan to predict: preprocessed for every set of networks; its region of interest.
 */
#include <string.h>

#include "base/core/fail.h"
#include "base/core/report.h"
#include "base/mem.h"
#include "io/image/names.h"
#include "nets3d/predict/segmenter.h"
#include "volume/orient.h"

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

volt_status volt_scan_roi(volt_box *out, const volt_box *box, const volt_segmenter *seg,
                          const volt_image_header *header, const char *file)
{
    const int64_t *n = header->grid.n;
    const volt_box roi = *box;
    volt_orientation o = {.from = {0, 1, 2}};
    volt_status st = VOLT_OK;

    if (!volt_box_contains(volt_box_of_shape(n), roi))
        return volt_fail(VOLT_EINVAL,
                         "%s has %lld x %lld x %lld voxels (z, y, x): the region of interest "
                         "exceeds them",
                         file, (long long)n[0], (long long)n[1], (long long)n[2]);
    if (*seg->info.orientation)
        st = volt_orientation_to(&o, &header->grid, seg->info.orientation);
    for (int a = 0; a < 3 && st == VOLT_OK; a++) {
        const int from = o.from[a];
        out->low[a] = o.flip[a] ? n[from] - roi.high[from] : roi.low[from];
        out->high[a] = o.flip[a] ? n[from] - roi.low[from] : roi.high[from];
    }
    return st;
}

volt_status volt_scan_grid(volt_grid *out, bool *turned, const volt_segmenter *seg,
                           const volt_grid *grid)
{
    volt_orientation o = {.from = {0, 1, 2}};
    volt_status st = VOLT_OK;

    if (*seg->info.orientation)
        VOLT_TRY(st, done, volt_orientation_to(&o, grid, seg->info.orientation));
    *turned = !volt_orientation_is_identity(o);
    *out = volt_orientation_grid(o, grid);
done:
    return st;
}

void volt_report_orientation(const volt_callbacks *cb, const volt_image_header *header,
                             const char *file)
{
    char codes[4];

    if (header->is_2d || volt_image_is_picture(file) || volt_image_knows_orientation(header))
        return;
    volt_orientation_codes(codes, &header->grid);
    volt_report(cb, VOLT_LOG_WARNING, "%s: its orientation is unknown; %s is assumed", file,
                codes);
}
