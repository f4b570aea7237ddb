/* stitch.h - weighted mean of overlapping tiles, held only for the slices still accumulating.
 *
 * Tiles come in the order of volt_tiles (z slowest). Once no further tile touches the slices
 * below some z, these are finished (divided by their sum of weights), read through `sum`, and
 * dropped; so a scan of any height needs little more memory than one patch of slices.
 *
 * Results   have the same bits for any thread count and any `room`.
 * Misuse    (a tile beyond the slices held, finishing out of order) is a programming error and
 *           stops in an assertion.
 * Threads   a stitch is used by one thread at a time; different ones are independent.
 */
#ifndef VOLT_VOLUME_SLIDING_STITCH_H
#define VOLT_VOLUME_SLIDING_STITCH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "volume/box.h"
VOLT_BEGIN_DECLS

typedef struct volt_stitch {
    int64_t channels;
    int64_t shape[3]; /* Z, Y, X of the whole */
    int64_t room;     /* slices held */
    int64_t low;      /* the first of them */
    int64_t finished; /* slices low <= z < finished hold means, later ones weighted sums */
    float *sum;       /* (channels, room, Y, X); owned; NULL when in half precision: */
    uint16_t *half;   /* the same as halves; owned */
    float *total;     /* sums of weights, (room, Y, X), or (Z, Y, X) with `half`; owned */
} volt_stitch;

/* Slices to hold so that a patch of `patch` slices can be added while the last finished slice
 * is still needed. */
int64_t volt_stitch_room(int64_t slices, int64_t patch);
/* Starts with zeros, at slice 0. With `half`, values are stored in half precision, as nnU-Net
 * always does, and each addition rounds to 11 bits. All tiles must then be announced first
 * (volt_stitch_expect), so that means are accumulated: weighted sums would underflow where
 * weights are small. Release with volt_stitch_close. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_stitch_open(volt_stitch *out, int64_t channels,
                                           const int64_t shape[3], int64_t room, bool half);
void volt_stitch_close(volt_stitch *s); /* clears it; an empty one is allowed */
size_t volt_stitch_bytes(int64_t channels, const int64_t shape[3], int64_t room, bool half);

typedef struct volt_stitch_tile {
    volt_box box;        /* its slices must be held; voxels outside the whole are left out */
    const float *values; /* (channels, D, H, W) */
    const bool *flip;    /* (3) along d, h, w: the values are mirrored; NULL = not */
    const float *weight; /* (D, H, W), not mirrored; NULL = 1 */
    float scale;         /* of the values; 0 = 1 */
    bool again;          /* more values for weights that were counted before */
} volt_stitch_tile;
/* With `half`: announces a tile's weights. */
void volt_stitch_expect(volt_stitch *s, volt_box box, const float *weight);
void volt_stitch_add(volt_stitch *s, const volt_stitch_tile *tile, int threads);

/* Slices below `to` get no more tiles: their sums become means, 0 where no tile was. False when
 * a mean is not finite. */
bool volt_stitch_finish(volt_stitch *s, int64_t to, int threads);
/* Drops the slices below `keep` (<= finished). */
void volt_stitch_drop(volt_stitch *s, int64_t keep, int threads);

VOLT_END_DECLS
#endif
