/* scores.h - adding tiles' scores up, and decoding the sums, where the scores are.
 *
 * Optional: a device without this table, or one that does not take the options, leaves it to
 * the host, which downloads the scores of each tile.
 *
 * The functions mean what those of volume/sliding/stitch.h and decode.h do.
 *
 * Memory   the arrays sum, half and total of a stitch, values and weights of a tile, and logits
 *          lie on the device; all else is the host's: a stitch's numbers, which change when the
 *          call is made, boxes, flips, decoded volumes. `open` allocates, and decode where it
 *          needs room; the others do not.
 * Order    a stitch is used in one stream, that of the program whose scores are added; finish
 *          and decode wait, as the host reads what they give, and close waits as release does.
 */
#ifndef VOLT_NETS3D_DEVICE_SCORES_H
#define VOLT_NETS3D_DEVICE_SCORES_H
#include "nets3d/device.h"
#include "volume/sliding/decode.h"
#include "volume/sliding/stitch.h"
VOLT_BEGIN_DECLS

typedef struct volt_decode_call {
    volt_decoder *decoder; /* opened with these options; a device may use them alone */
    const volt_decode_options *options;
    volt_volume *out; /* labels; with `masks` one channel per region */
    bool masks;
    const int64_t *at; /* as for volt_decode_labels */
    volt_box part;
    const volt_logits *logits; /* one entry per set */
} volt_decode_call;

typedef struct volt_scores_table {
    /* Whether the device can do all of the below for these options, in float32 and halves. */
    bool (*takes)(const volt_device *dev, const volt_decode_options *options);
    volt_status (*open)(const volt_device *dev, volt_stitch *out, int64_t channels,
                        const int64_t shape[3], int64_t room, bool half);
    void (*close)(const volt_device *dev, volt_stitch *s);
    volt_status (*expect)(const volt_device *dev, volt_stitch *s, volt_box box,
                          const float *weight, volt_stream *stream);
    volt_status (*add)(const volt_device *dev, volt_stitch *s, const volt_stitch_tile *tile,
                       int threads, volt_stream *stream);
    /* *finite: whether all means are. */
    volt_status (*finish)(const volt_device *dev, volt_stitch *s, int64_t to, int threads,
                          bool *finite, volt_stream *stream);
    volt_status (*drop)(const volt_device *dev, volt_stitch *s, int64_t keep, int threads,
                        volt_stream *stream);
    volt_status (*decode)(const volt_device *dev, const volt_decode_call *call,
                          volt_stream *stream);
} volt_scores_table;

/* The host's: for scores in host memory, and devices whose memory that is. */
extern const volt_scores_table volt_host_scores;

VOLT_END_DECLS
#endif
