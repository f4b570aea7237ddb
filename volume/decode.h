/* decode.h - from a network's scores to labels, masks and probabilities on the scan's own grid.
 *
 * Scores are resampled linearly, row by row (as volt_resample_image, order 1), straight into
 * what is asked for: no resampled score volume is ever held. Scores may be given in parts, some
 * slices at a time, in ascending order.
 *
 * Classes  softmax; the label is the class of the largest score, the lowest of equals; NaN
 * never wins over a number before it. Regions  overlapping, one score each, sigmoid; every
 * region above 1/2 paints its value, later ones over earlier ones (nnU-Net's
 * regions_class_order); elsewhere 0. Sets     several sets of scores (of networks with grids of
 * their own) are averaged as probabilities; one set is decoded from the scores themselves. Same
 * bits for any thread count.
 */
#ifndef VOLT_VOLUME_DECODE_H
#define VOLT_VOLUME_DECODE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "box.h"
#include "resample.h"
#include "volume.h"
VOLT_BEGIN_DECLS

#define VOLT_DECODE_MAX_SETS 16

/* Scores of one network, or the slices of them that are there. */
typedef struct volt_logits {
    const float *data;    /* (classes, held, Y, X): one score per class or region; borrowed */
    int64_t low, held;    /* slices low <= z < low + held of shape[0] */
    float scale;          /* a score is data * scale, > 0 */
    const uint16_t *half; /* the scores in half precision, where `data` is NULL */
} volt_logits;

/* The grid that one set of scores lies on. */
typedef struct volt_decode_set {
    int64_t shape[3];  /* Z, Y, X of the whole */
    int separate_axis; /* nearest slice across it, or VOLT_NO_AXIS */
} volt_decode_set;

typedef struct volt_decode_options {
    int64_t classes;       /* scores per voxel */
    bool regions;          /* see above */
    const uint16_t *value; /* (classes) what each writes; NULL = 0, 1, ..; borrowed for open */
    int sets;              /* 1..VOLT_DECODE_MAX_SETS */
    volt_decode_set set[VOLT_DECODE_MAX_SETS];
    int64_t to[3]; /* extents of the result */
    int threads;   /* 0 = default */
} volt_decode_options;

typedef struct volt_decoder volt_decoder;

/* The caller owns *out. VOLT_EINVAL: extents, axis, numbers out of range; VOLT_ENOMEM. */
VOLT_CALL volt_decoder_open(volt_decoder **out, const volt_decode_options *options);
VOLT_API void volt_decoder_free(volt_decoder *d); /* NULL is allowed */
/* Bytes that an open decoder holds. Nothing else is allocated by the calls below. */
VOLT_API size_t volt_decoder_bytes(const volt_decode_options *options);

/* How many slices of the result need only scores of set 0 below slice `slices`. */
VOLT_API int64_t volt_decoder_ready(const volt_decoder *d, int64_t slices);
/* The first slice of set 0 that slice `z` of the result, or a later one, needs. */
VOLT_API int64_t volt_decoder_needs(const volt_decoder *d, int64_t z);

/* Writes the labels of `part` (a box within `to`) into `labels` (one channel, VOLT_U8 or
 * VOLT_U16), where the result's voxel 0 is voxel `at` (z, y, x); others stay. `logits` has one
 * entry per set, holding the slices that `part` needs. VOLT_EINVAL: something sticks out, or a
 * value does not fit the type. */
VOLT_CALL volt_decode_labels(volt_decoder *d, volt_volume *labels, const int64_t at[3],
                             volt_box part, const volt_logits *logits);
/* The same for every region by itself: `masks` (VOLT_U8) has `classes` channels of 0 and 1. */
VOLT_CALL volt_decode_masks(volt_decoder *d, volt_volume *masks, const int64_t at[3],
                            volt_box part, const volt_logits *logits);

/* Logarithm of each voxel's sum of exponentials, per set: (sets, Z, Y, X) over `to`, of which
 * the rows of `part` (not empty, within `to`) are written; what volt_decode_probability needs
 * for classes. Regions need none. */
VOLT_API void volt_decode_norms(volt_decoder *d, float *norms, volt_box part,
                                const volt_logits *logits);
/* Writes the probability of class or region `c` in `part` into `out` (VOLT_F32, one channel),
 * where the result's voxel 0 is voxel `at`; others stay. All scores must be held; `norms` may
 * be NULL for regions. VOLT_EINVAL. */
VOLT_CALL volt_decode_probability(volt_decoder *d, volt_volume *out, const int64_t at[3],
                                  volt_box part, int64_t c, const volt_logits *logits,
                                  const float *norms);

VOLT_END_DECLS
#endif
