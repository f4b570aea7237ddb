/* memory_internal.h - what memory.c, memory_ranks.c and ledger.c share: an account of what is
 * held, step by step, and the bytes of what comes and goes.
 *
 * Threads   no shared state.
 */
#ifndef VOLT_NETS3D_PREDICT_MEMORY_INTERNAL_H
#define VOLT_NETS3D_PREDICT_MEMORY_INTERNAL_H
#include "base/core/checked.h"
#include "nets3d/predict/segmenter.h"
VOLT_BEGIN_DECLS

#define VOLT_SMALL_BYTES ((size_t)256 << 10) /* headers, lists, strings */

typedef struct volt_ledger {
    size_t held, peak; /* bytes now, and at most */
    size_t programs;   /* bytes of programs now, which `held` leaves out */
    size_t most;       /* of both together */
} volt_ledger;

static inline void volt_ledger_take(volt_ledger *l, size_t bytes)
{
    l->held += bytes;
    l->peak = volt_max_size(l->peak, l->held);
    l->most = volt_max_size(l->most, l->held + l->programs);
}

static inline void volt_ledger_give(volt_ledger *l, size_t bytes)
{
    l->held -= bytes;
}

/* What is held for a moment. */
static inline void volt_ledger_touch(volt_ledger *l, size_t bytes)
{
    volt_ledger_take(l, bytes);
    volt_ledger_give(l, bytes);
}

/* A program of `now` bytes takes the place of one of `before` bytes. */
static inline void volt_ledger_program(volt_ledger *l, size_t before, size_t now)
{
    l->programs = l->programs - before + now;
    volt_ledger_take(l, 0);
}

/* One scan, nothing cropped; per set where there is an index. */
typedef struct volt_predict_sizes {
    const volt_segment_request *wanted;
    volt_grid grid;                           /* in the data set's orientation */
    bool turned;                              /* the file has another one */
    int64_t shape[VOLT_PREDICT_MAX_SETS][3];  /* of the preprocessed images */
    int64_t before[VOLT_PREDICT_MAX_SETS][3]; /* before resampling */
    size_t program[VOLT_PREDICT_MAX_SETS], earlier[VOLT_PREDICT_MAX_SETS]; /* and buffers */
    size_t image[VOLT_PREDICT_MAX_SETS];
    size_t sums[VOLT_PREDICT_MAX_SETS];    /* of logits, of all slices that one rank holds */
    size_t loading[VOLT_PREDICT_MAX_SETS]; /* weights on their way to the program, or 0 */
    volt_box box[VOLT_PREDICT_MAX_SETS];   /* of the program on this rank */
    size_t device;
    volt_decode_options decode;   /* `set` and `to` for volt_decoder_bytes */
    size_t voxels, labels, masks; /* of the result; masks: of all regions, if wanted */
} volt_predict_sizes;

/* Whether preprocessing copies the scan to permute its axes. */
bool volt_ledger_turns(const volt_net_set *g);
/* Buffers of a file of `bytes` that threads pack. */
size_t volt_ledger_packing(const volt_segmenter *seg, size_t bytes);
/* From labels or masks with the axes of the plan, which are held, to those of the scan. */
void volt_ledger_export(volt_ledger *l, const volt_predict_sizes *s, const volt_segmenter *seg);
/* One probability after the other with the scan's axes; the first step, with those of the plan,
 * is the caller's. */
void volt_ledger_write_probability(volt_ledger *l, const volt_predict_sizes *s,
                                   const volt_segmenter *seg);
/* The pass of a rank that works with others on the scan: segment_ranks.c. Collective where one
 * program runs on several ranks. */
VOLT_MUST_USE volt_status volt_ledger_pass_jointly(volt_ledger *l, const volt_predict_sizes *s,
                                                   const volt_segmenter *seg);

VOLT_END_DECLS
#endif
