#include "nets3d/train/warnings.h"

#include "base/core/report.h"
#include "base/system/file.h"
#include "nets3d/train/session.h"

#define WAITING_FRACTION 0.2 /* of an epoch's time: warn above this, */
#define WAITING_S        2.0 /* unless the epoch is too short to tell */
#define CHECKPOINTS      3   /* the disk should have room for: latest, best, the next */
#define MIB              (1.0 / (1 << 20))

static void warn_of_disk(volt_session *s)
{
    int64_t free_bytes, each;

    if (s->warnings.warned_disk || volt_disk_free(&free_bytes, s->run) != VOLT_OK)
        return;
    each = volt_session_checkpoint_bytes(s);
    if (free_bytes >= CHECKPOINTS * each)
        return;
    s->warnings.warned_disk = true;
    volt_report(s->cb, VOLT_LOG_WARNING,
                "the disk of %s is nearly full: %.0f MiB free, a checkpoint takes %.0f MiB",
                s->run, (double)free_bytes * MIB, (double)each * MIB);
}

static void warn_of_data(volt_session *s)
{
    const volt_train_state *t = &s->state;

    if (s->warnings.warned_wait || t->epoch_wait_s < WAITING_S ||
        t->epoch_wait_s < WAITING_FRACTION * t->epoch_s)
        return;
    s->warnings.warned_wait = true;
    volt_report(s->cb, VOLT_LOG_WARNING,
                "loading data is slower than the network: it waited for batches in %.1f of "
                "%.1f s (use more loader threads or a faster disk)",
                t->epoch_wait_s, t->epoch_s);
}

/* Names the classes that were in no batch of an epoch, if all of its batches were checked. */
static void warn_of_classes(volt_session *s)
{
    const volt_train_targets *t = &s->targets;
    const int64_t first = s->state.epoch * s->state.iterations;
    const int64_t batches = s->state.iterations * s->recipe.recipe.accumulate;

    for (int k = t->first; s->warnings.from == first && k < t->outputs; k++) {
        if (volt_train_targets_seen(t, k) || s->warnings.warned_class[k])
            continue;
        s->warnings.warned_class[k] = true;
        volt_report(s->cb, VOLT_LOG_WARNING,
                    "class %s is in no training batch of epoch %lld (%lld batch%s): it cannot "
                    "be learned from them",
                    t->name[k], (long long)s->state.epoch + 1, (long long)batches,
                    batches == 1 ? "" : "es");
    }
    volt_train_targets_forget(&s->targets);
    s->warnings.all_seen = false;
    s->warnings.from = s->state.iteration;
}

void volt_train_warnings_start(volt_session *s)
{
    s->warnings.from = s->state.iteration;
    if (volt_train_ranks_lead(&s->ranks))
        warn_of_disk(s);
}

void volt_train_warnings_batch(volt_session *s, const int16_t *labels, int64_t voxels)
{
    if (s->warnings.all_seen)
        return;
    volt_train_targets_note(&s->targets, labels, voxels);
    s->warnings.all_seen = volt_train_targets_all_seen(&s->targets);
}

volt_status volt_train_warnings_epoch(volt_session *s)
{
    const volt_status st =
        volt_train_ranks_merge(&s->ranks, s->targets.seen, s->targets.labels);

    warn_of_classes(s);
    if (volt_train_ranks_lead(&s->ranks)) {
        warn_of_data(s);
        warn_of_disk(s);
    }
    return st;
}
