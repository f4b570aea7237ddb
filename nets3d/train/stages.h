/* stages.h - a training step on a mesh with stages.
 *
 * The parts of a batch are under way together: all are taken from the feed, then all go
 * forward, then all have their loss, then all go backward, each in an arena of its own. So
 * stages wait for each other only at the ends, (stages - 1) of (parts + stages - 1) turns.
 */
#ifndef VOLT_NETS3D_TRAIN_STAGES_H
#define VOLT_NETS3D_TRAIN_STAGES_H
#include "nets3d/train/session.h"
VOLT_BEGIN_DECLS

static inline int volt_session_stage_count(const volt_session *s)
{
    return s->ranks.axes[VOLT_MESH_STAGE];
}

/* Told of each part as it comes from the feed. */
typedef void volt_stages_seen(void *context, volt_session *s, const volt_batch *batch);

/* The gradients of one batch, in all its parts, dropout masks of `run`. *loss becomes the mean
 * over the parts, which all ranks have; if it is not finite there are no gradients. `seen` NULL
 * = nobody. Collective. */
VOLT_MUST_USE volt_status volt_stages_learn(volt_session *s, uint32_t run, double *loss,
                                            volt_stages_seen *seen, void *context);
/* Bytes that it allocates when it is first called. */
size_t volt_stages_bytes(const volt_session *s);
void volt_stages_close(volt_session *s);
/* Logs what each stage holds and sends, and how long it waits. Collective. */
VOLT_MUST_USE volt_status volt_stages_report(volt_session *s);

VOLT_END_DECLS
#endif
