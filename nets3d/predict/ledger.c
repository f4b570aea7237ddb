/* Steps that the accounts of one rank and of several have in common: results on their way to
 * files. */
#include "nets3d/predict/memory_internal.h"

#define WRITE_THREAD_BYTES ((size_t)2 << 20) /* gzip's buffers, per thread */
#define CHUNK_BYTES        ((size_t)1 << 20) /* that a thread packs at a time */

bool volt_ledger_turns(const volt_net_set *g)
{
    return g->config->transpose_forward[0] != 0 || g->config->transpose_forward[1] != 1;
}

size_t volt_ledger_packing(const volt_segmenter *seg, size_t bytes)
{
    return volt_min_size((size_t)seg->threads, bytes / CHUNK_BYTES + 3) * WRITE_THREAD_BYTES +
           VOLT_SMALL_BYTES;
}

void volt_ledger_export(volt_ledger *l, const volt_predict_sizes *s, const volt_segmenter *seg)
{
    const size_t result = s->masks ? s->masks : s->labels;

    volt_ledger_touch(l, volt_ledger_turns(&seg->set[0]) ? result : 0);
    if (s->masks) /* from which the labels are painted */
        volt_ledger_take(l, s->labels);
}

void volt_ledger_write_probability(volt_ledger *l, const volt_predict_sizes *s,
                                   const volt_segmenter *seg)
{
    const size_t one = s->voxels * sizeof(float);

    volt_ledger_take(l, one);
    volt_ledger_touch(l, volt_ledger_turns(&seg->set[0]) || s->turned ? one : 0);
    volt_ledger_touch(l, s->wanted->packed ? volt_ledger_packing(seg, one) : 0);
    volt_ledger_give(l, one);
}
