/* deal.h - which rank computes which part of a scan.
 *
 * Threads   no shared state.
 */
#ifndef VOLT_NETS3D_PREDICT_DEAL_H
#define VOLT_NETS3D_PREDICT_DEAL_H
#include <stdbool.h>
#include <stdint.h>
#include "volume/box.h"
#include "volume/tiles.h"

/* Rows of tiles: rank r runs row[r] <= z < row[r + 1]. Rows that do not touch `source`, a part
 * of the scan, are nobody's. `together`: rows that go through the network together. */
void volt_deal_rows(int64_t row[], const volt_tiles *t, volt_box source, int64_t together,
                    int ranks);
/* The part of a scan of `shape` that rows first <= z < end of tiles add to; may be empty. */
volt_box volt_deal_rows_box(const volt_tiles *t, const int64_t shape[3], int64_t first,
                            int64_t end);
/* Slices near which each rank works: rank r has cut[r] <= z < cut[r + 1] of `slices`. Ranks
 * work on have[r], in ascending order; between two of them the cut lies in the middle of what
 * both add to. Ranks that have nothing get no slices. */
void volt_deal_slices(int64_t cut[], const volt_box have[], int64_t slices, int ranks);
/* The same for boxes that differ along other axes than z too, which share their slices out. */
void volt_deal_boxes(int64_t cut[], const volt_box have[], int64_t slices, int ranks);
/* Slices of a result that has `to` of them where the scan has `slices`: first[r] <= z <
 * first[r + 1], of those of `part`. */
void volt_deal_result(int64_t first[], const int64_t cut[], int64_t slices, int64_t to,
                      volt_box part, int ranks);
/* `box` of the tile that begins at `start` after mirroring the tile, of `patch` voxels, along
 * the axes of `flip`. */
volt_box volt_deal_mirrored(volt_box box, const int64_t start[3], const int64_t patch[3],
                            const bool flip[3]);

#endif
