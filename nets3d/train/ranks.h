/* ranks.h - what the ranks of one training settle together.
 *
 * Rank 0 decides, and does alone, whatever concerns files, the clock or the user; the others
 * get its decisions. With one rank, and in a check (`alone`), there is nothing to settle and
 * every call succeeds at once. Calls are collective unless they say local.
 */
#ifndef VOLT_NETS3D_TRAIN_RANKS_H
#define VOLT_NETS3D_TRAIN_RANKS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "nets3d/device.h"
#include "nets3d/trainer.h"
#include "parallel/mesh.h"
VOLT_BEGIN_DECLS

#define VOLT_MESH_AUTO "auto" /* the fastest mesh that fits */

/* What all decide together after a step: to stop, if one of them is cancelled; to save. */
enum { VOLT_TRAIN_STOP, VOLT_TRAIN_SAVE, VOLT_TRAIN_DECISIONS };

typedef struct volt_train_ranks {
    volt_comm *comm; /* borrowed; NULL = nothing to settle */
    int size, rank;
    int on_host;              /* ranks on this host, this one included */
    int axes[VOLT_MESH_AXES]; /* extents of the mesh */
    volt_mesh *mesh;          /* owned; NULL with one rank; in a check, a rehearsal of it */
    int64_t first, count;     /* this rank's samples of each part of a batch */
    double waited_before;     /* for messages, s */
    bool settled;             /* the run has failed, and every rank knows why */
} volt_train_ranks;

/* Local. With `alone`, a check that sends no messages: it sees what the busiest rank does. */
void volt_train_ranks_begin(volt_train_ranks *r, const volt_train_options *o, bool alone);
/* As soon as a call has failed: tells the others, or if they know waits until all do. */
void volt_train_ranks_tell(const volt_train_ranks *r, volt_status st);
/* Closes the mesh. Local after a failure. */
void volt_train_ranks_end(volt_train_ranks *r);
/* Local: whether files, log lines and decisions are this rank's. */
bool volt_train_ranks_lead(const volt_train_ranks *r);

/* All get the failure of the lowest rank whose `mine` is one. */
VOLT_MUST_USE volt_status volt_train_ranks_agree(volt_train_ranks *r, volt_status mine);
/* All get status and sentence of what rank 0 has done alone; `mine` of the others does not
 * count. */
VOLT_MUST_USE volt_status volt_train_ranks_follow(volt_train_ranks *r, volt_status mine);
/* Fails on all ranks if `text` is not the same. */
VOLT_MUST_USE volt_status volt_train_ranks_same(volt_train_ranks *r, const char *what,
                                                const void *data, size_t bytes);
/* All get the bytes, or the text, of rank 0; the caller owns *text (volt_free). */
VOLT_MUST_USE volt_status volt_train_ranks_share(volt_train_ranks *r, void *data, size_t bytes);
VOLT_MUST_USE volt_status volt_train_ranks_share_text(volt_train_ranks *r, char **text);
/* *any: whether `mine` is true on one of them. */
VOLT_MUST_USE volt_status volt_train_ranks_any(volt_train_ranks *r, bool *any, bool mine);
/* flag[i] becomes true where it is on one of them. */
VOLT_MUST_USE volt_status volt_train_ranks_merge(volt_train_ranks *r, bool *flag, int count);

/* Fails if hosts differ in what decides the bits of results: instruction sets, the device's
 * library. `threads`: the default becomes this host's processors over the ranks that share
 * them. */
VOLT_MUST_USE volt_status volt_train_ranks_compare_hosts(volt_train_ranks *r, int *threads,
                                                         const volt_device *device);
/* Reads the mesh and deals `batch` samples out; in a check "auto" is one that splits samples.
 * VOLT_EINVAL: no mesh for several ranks, one of another number of ranks, or more data groups
 * than samples. VOLT_ENOTSUP: stages of samples that are split. Local. */
VOLT_MUST_USE volt_status volt_train_ranks_plan(volt_train_ranks *r, const char *mesh,
                                                int64_t batch);
/* Opens the mesh that was planned; in a check, as if the other ranks were there. */
VOLT_MUST_USE volt_status volt_train_ranks_open_mesh(volt_train_ranks *r);
/* *all: what the ranks of this host will hold together if this one holds `mine` bytes. */
VOLT_MUST_USE volt_status volt_train_ranks_host_bytes(volt_train_ranks *r, size_t *all,
                                                      size_t mine);

/* *least: the smallest `mine` of all ranks. */
VOLT_MUST_USE volt_status volt_train_ranks_least(volt_train_ranks *r, size_t *least,
                                                 size_t mine);

/* Local: seconds that this rank has waited for messages of this run. */
double volt_train_ranks_waited(const volt_train_ranks *r);
/* Local: ranks that split samples, or work on the same ones in stages. */
int volt_train_ranks_parts(const volt_train_ranks *r);

VOLT_END_DECLS
#endif
