/* feed.h - the batches of one rank of a training: its samples of each batch, and of a sample
 * that several ranks split its own box.
 *
 * Ranks that split samples take turns: each makes every n-th batch whole, in its loader's
 * threads, and sends the others their boxes. So augmentation sees whole samples, nothing is
 * made twice, and every voxel has the bits that it has on one rank. Of samples that are cut out
 * of a case unchanged, for validation, each rank makes its own box without messages.
 *
 * Threads  as loader.h; calls of ranks that split samples are collective.
 */
#ifndef VOLT_NETS3D_TRAIN_FEED_H
#define VOLT_NETS3D_TRAIN_FEED_H
#include "nets3d/data/loader.h"
#include "parallel/comm.h"
#include "parallel/link.h"
#include "volume/box.h"
VOLT_BEGIN_DECLS

typedef struct volt_feed volt_feed;

typedef struct volt_feed_options {
    volt_loader_options loader; /* `turn` and `turns` are set by the feed */
    volt_comm *group;           /* ranks that split samples; borrowed; NULL = this one */
    volt_box box;               /* of the patch: what this rank gets of each sample */
} volt_feed_options;

/* The caller owns *out. Errors as volt_loader_open. */
VOLT_MUST_USE volt_status volt_feed_open(volt_feed **out, const volt_feed_options *options);
void volt_feed_close(volt_feed *f); /* NULL is allowed; local */
/* As volt_loader_next, with image and labels of the box; name and corner are NULL where ranks
 * take turns. */
VOLT_MUST_USE volt_status volt_feed_next(volt_feed *f, volt_batch *out);
/* As volt_loader_uploaded. */
VOLT_MUST_USE volt_status volt_feed_uploaded(volt_feed *f, volt_stream *stream);
/* As volt_loader_case. */
const char *volt_feed_case(const volt_feed *f, int64_t number, int64_t index);
/* Seconds that volt_feed_next has waited: for the loader, or the rank that sends. */
double volt_feed_waited(const volt_feed *f);
/* The messages with which a rank gets `box`: images and labels of so many samples. */
volt_traffic volt_feed_box_traffic(int64_t samples, int64_t channels, volt_box box);
/* Bytes that a feed allocates if `parts` ranks split a sample into boxes no larger than `most`.
 */
size_t volt_feed_bytes(const volt_loader_options *loader, int parts, volt_box most);

VOLT_END_DECLS
#endif
