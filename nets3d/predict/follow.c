/* What the other ranks do with a scan that rank 0 leads. */
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/checked.h"
#include "base/core/fail.h"
#include "nets3d/predict/spread.h"

/* One scan; what probabilities need of it stays in *last. */
static volt_status follow_scan(volt_segmenter *seg, volt_segmentation *last,
                               const volt_note *note, const volt_segment_request *wanted,
                               const volt_callbacks *cb)
{
    volt_segment_request own = *wanted;
    volt_preprocessed_scan scan = {0};

    own.roi = note->has_roi ? &note->roi : NULL;
    return volt_segment_jointly(seg, last, &scan, note, &own, cb);
}

static volt_status find_memory(size_t *announced, volt_segmenter *seg, const volt_note *note,
                               const volt_segment_request *wanted)
{
    volt_segment_request own = *wanted;
    volt_predict_memory memory;
    volt_status st;

    own.roi = note->has_roi ? &note->roi : NULL;
    st = volt_predict_memory_of(&memory, seg, &note->grid[0], &own, "a scan");
    if (st == VOLT_OK && announced)
        *announced = volt_max_size(*announced, seg->spread->need[seg->spread->rank]);
    return st;
}

/* A failure that rank 0 knows of is its to judge; after any other one no note comes any more.
 */
static volt_status follow(volt_segmenter *seg, volt_note *note,
                          const volt_segment_request *wanted, size_t *announced,
                          const volt_callbacks *cb)
{
    volt_segmentation last = {0};
    volt_volume *none = NULL;
    volt_status st = VOLT_OK;
    char own[1024] = "";

    volt_predict_memory_start(seg);
    for (;;) {
        const volt_status heard = volt_spread_listen(seg->spread, note);
        if (heard != VOLT_OK) {
            if (st == VOLT_OK)
                st = heard;
            else
                volt_set_last_error(own);
            break;
        }
        if (note->kind == VOLT_NOTE_END) {
            st = note->status == VOLT_OK ? VOLT_OK : volt_fail(note->status, "%s", note->what);
            break;
        }
        if (note->kind == VOLT_NOTE_SCAN) {
            volt_segmentation_clear(&last);
            st = follow_scan(seg, &last, note, wanted, cb);
        } else if (note->kind == VOLT_NOTE_MEMORY) {
            st = find_memory(announced, seg, note, wanted);
        } else {
            st = volt_probability_jointly(&none, seg, &last, note->output);
        }
        if (st != VOLT_OK)
            snprintf(own, sizeof own, "%s", volt_last_error());
    }
    volt_segmentation_clear(&last);
    return st;
}

volt_status volt_spread_follow(volt_segmenter *seg, const volt_segment_request *wanted,
                               size_t *announced, const volt_callbacks *cb)
{
    volt_note *note = NULL;
    volt_status st = volt_alloc_zero(&note, 1, sizeof *note, "a note");

    if (st == VOLT_OK)
        st = follow(seg, note, wanted, announced, cb);
    else
        volt_comm_fail(seg->spread->comm, st);
    volt_free(note);
    return st;
}
