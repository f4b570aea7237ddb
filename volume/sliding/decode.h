/* decode.h - decoding of logits to labels, masks and probabilities on the scan's grid.
 *
 * Logits are resampled linearly (as by volt_resample_image, order 1), row by row, straight into
 * the result: a resampled copy of all channels, often the largest array of a prediction, never
 * exists. Logits may arrive in parts, some slices at a time, in ascending order.
 *
 * Classes   softmax. The label is the class with the largest logit, the lowest of equal ones.
 *           NaN never wins over a number before it.
 * Regions   may overlap; each has one logit, sigmoid. A region paints its value wherever its
 *           probability is above 1/2, later regions over earlier ones (nnU-Net's
 *           regions_class_order); 0 elsewhere.
 * Sets      logits of several networks, each set on a grid of its own, are averaged as
 *           probabilities. A single set is decoded from the logits themselves.
 * Results   have the same bits for any thread count.
 * Threads   a decoder holds scratch memory and is used by one thread at a time; different
 *           decoders are independent.
 */
#ifndef VOLT_VOLUME_SLIDING_DECODE_H
#define VOLT_VOLUME_SLIDING_DECODE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "volume/box.h"
#include "volume/resample.h"
#include "volume/volume.h"
VOLT_BEGIN_DECLS

#define VOLT_DECODE_MAX_SETS 16

/* Logits of one set, or those of its slices that are available. */
typedef struct volt_logits {
    const float *data;    /* (classes, held, Y, X): one logit per class or region; borrowed */
    int64_t low, held;    /* slices low <= z < low + held of shape[0] */
    float scale;          /* a logit is data * scale, > 0 */
    const uint16_t *half; /* the same in half precision, where `data` is NULL */
} volt_logits;

/* The grid of one set. */
typedef struct volt_decode_set {
    int64_t shape[3];  /* Z, Y, X, all slices */
    int separate_axis; /* nearest slice across this axis, or VOLT_NO_AXIS */
} volt_decode_set;

typedef struct volt_decode_options {
    int64_t classes;       /* logits per voxel, 1..65535 */
    bool regions;          /* the channels are regions, not classes */
    const uint16_t *value; /* (classes) the label of each; NULL = 0, 1, ..; borrowed for open */
    int sets;              /* 1..VOLT_DECODE_MAX_SETS */
    volt_decode_set set[VOLT_DECODE_MAX_SETS];
    int64_t to[3]; /* extents of the result: z, y, x */
    /* The decoder is for slices first <= z < first + slices of the result only, and counts
     * them, in boxes and `to`, from 0. slices 0: for all. */
    int64_t first, slices;
    int threads; /* 0 = default */
} volt_decode_options;

/* One set of classes without a separate axis; `classes`, `set` and `to` are for the caller. */
volt_decode_options volt_decode_defaults(void);

typedef struct volt_decoder volt_decoder;

/* The caller owns *out (volt_decoder_free). VOLT_EINVAL: an option is out of range;
 * VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_decoder_open(volt_decoder **out,
                                            const volt_decode_options *options);
void volt_decoder_free(volt_decoder *d); /* NULL is allowed */
/* Bytes that an open decoder holds; the calls below allocate nothing. */
size_t volt_decoder_bytes(const volt_decode_options *options);

/* How many slices of the result can be decoded from slices 0..slices-1 of set 0. */
int64_t volt_decoder_ready(const volt_decoder *d, int64_t slices);
/* The first slice of set 0 that slice `z` of the result, or a later one, depends on. */
int64_t volt_decoder_needs(const volt_decoder *d, int64_t z);

/* Writes the labels of `part` (a box within `to`) into `labels` (one channel, VOLT_U8 or
 * VOLT_U16), in which voxel 0 of the result is voxel `at` (z, y, x); other voxels keep their
 * values. `logits` has one entry per set, which holds the slices that `part` depends on.
 * VOLT_EINVAL: a box exceeds its volume, or a label does not fit the type. */
VOLT_MUST_USE volt_status volt_decode_labels(volt_decoder *d, volt_volume *labels,
                                             const int64_t at[3], volt_box part,
                                             const volt_logits *logits);
/* The same with a mask per region: `masks` (VOLT_U8) has `classes` channels of 0 and 1. */
VOLT_MUST_USE volt_status volt_decode_masks(volt_decoder *d, volt_volume *masks,
                                            const int64_t at[3], volt_box part,
                                            const volt_logits *logits);

/* For classes, the input that volt_decode_probability needs besides the logits: the logarithm
 * of each voxel's sum of exponentials, (sets, Z, Y, X) over `to`. Writes the rows of `part`
 * (not empty, within `to`). */
void volt_decode_norms(volt_decoder *d, float *norms, volt_box part, const volt_logits *logits);
/* Writes the probability of class or region `c` in `part` into `out` (VOLT_F32, one channel),
 * in which voxel 0 of the result is voxel `at`; other voxels keep their values. All slices must
 * be held; `norms` may be NULL for regions. VOLT_EINVAL: as above, or another type or class. */
VOLT_MUST_USE volt_status volt_decode_probability(volt_decoder *d, volt_volume *out,
                                                  const int64_t at[3], volt_box part, int64_t c,
                                                  const volt_logits *logits,
                                                  const float *norms);

VOLT_END_DECLS
#endif
