/* stitch.h - weighted mean of overlapping tiles, held only for the slices that still change.
 *
 * Tiles come in the order of volt_tiles (z slowest). When no further tile touches the slices
 * below some z they are finished (divided by their weights), read through `sum`, and dropped;
 * so a stack of any height needs little more than one patch of slices. Same bits for any thread
 * count and for any `room`.
 */
#ifndef VOLT_VOLUME_STITCH_H
#define VOLT_VOLUME_STITCH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "box.h"
VOLT_BEGIN_DECLS

typedef struct volt_stitch {
    int64_t channels;
    int64_t shape[3]; /* Z, Y, X of the whole */
    int64_t room;     /* slices held */
    int64_t low;      /* the first of them */
    int64_t finished; /* slices low <= z < finished hold means, later ones weighted sums */
    float *sum;       /* (channels, room, Y, X); owned. NULL where sums are halves: */
    uint16_t *half;   /* the same in half precision; owned */
    float *total;     /* (room, Y, X): weights; of all slices where sums are halves; owned */
} volt_stitch;

/* Slices to hold so that `patch` slices can be added while the last finished one is kept. */
VOLT_API int64_t volt_stitch_room(int64_t slices, int64_t patch);
/* All zero, from slice 0 on. With `half` scores are held in half precision (nnU-Net's always
 * are): every tile is first announced with volt_stitch_expect, so that means are summed, not
 * sums that underflow where weights are small; each addition rounds to 11 bits. Release with
 * volt_stitch_close. VOLT_ENOMEM. */
VOLT_CALL volt_stitch_open(volt_stitch *out, int64_t channels, const int64_t shape[3],
                           int64_t room, bool half);
VOLT_API void volt_stitch_close(volt_stitch *s); /* clears it; an empty one is allowed */
VOLT_API size_t volt_stitch_bytes(int64_t channels, const int64_t shape[3], int64_t room,
                                  bool half);

typedef struct volt_stitch_tile {
    volt_box box;        /* may stick out: those voxels are left out; its slices must be held */
    const float *values; /* (channels, D, H, W) */
    const bool *flip;    /* (3) along d, h, w: values lie mirrored; NULL = not */
    const float *weight; /* (D, H, W), in the image's direction; NULL = 1 */
    float scale;         /* of the values; 0 = 1 */
    bool again;          /* more values for weights that were counted before */
} volt_stitch_tile;
/* With halves: this tile's weights will come. */
VOLT_API void volt_stitch_expect(volt_stitch *s, volt_box box, const float *weight);
VOLT_API void volt_stitch_add(volt_stitch *s, const volt_stitch_tile *tile, int threads);

/* Slices below `to` get no more tiles: they become means, 0 where no tile was. False when one
 * is not finite. */
VOLT_API bool volt_stitch_finish(volt_stitch *s, int64_t to, int threads);
/* Slices below `keep` (<= finished) are no longer needed. */
VOLT_API void volt_stitch_drop(volt_stitch *s, int64_t keep, int threads);

VOLT_END_DECLS
#endif
