/* What rank 0 lets all ranks do with a scan. */
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "nets3d/predict/spread.h"

static void describe(volt_note *note, const volt_segmenter *seg,
                     const volt_preprocessed_scan *scan, const volt_segment_request *wanted,
                     const char *what)
{
    note->kind = VOLT_NOTE_SCAN;
    note->has_roi = wanted->roi != NULL;
    if (wanted->roi)
        note->roi = *wanted->roi;
    for (int g = 0; g < seg->sets; g++) {
        note->frame[g] = scan->set[g];
        note->frame[g].image = note->frame[g].labels = NULL;
        note->grid[g] = scan->set[g].image->grid;
        memcpy(note->shape[g], note->grid[g].n, sizeof note->shape[g]);
    }
    snprintf(note->what, sizeof note->what, "%s", what);
}

volt_status volt_spread_segment(volt_segmenter *seg, volt_segmentation *out,
                                volt_preprocessed_scan *scan,
                                const volt_segment_request *wanted, const char *what,
                                const volt_callbacks *cb)
{
    volt_note *note = NULL;
    volt_status st = volt_alloc_zero(&note, 1, sizeof *note, "a note");

    if (st == VOLT_OK) {
        describe(note, seg, scan, wanted, what);
        st = volt_spread_tell(seg->spread, note);
    }
    if (st == VOLT_OK)
        st = volt_segment_jointly(seg, out, scan, note, wanted, cb);
    else
        volt_preprocessed_scan_clear(scan, seg);
    volt_free(note);
    return st;
}

volt_status volt_spread_probability(volt_volume **out, const volt_segmenter *seg,
                                    const volt_segmentation *f, int64_t c)
{
    volt_note *note = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&note, 1, sizeof *note, "a note"));
    note->kind = VOLT_NOTE_PROBABILITY;
    note->output = c;
    VOLT_TRY(st, done, volt_spread_tell(seg->spread, note));
    st = volt_probability_jointly(out, seg, f, c);
done:
    volt_free(note);
    return st;
}
