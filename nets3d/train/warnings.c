#include "nets3d/train/warnings.h"

#include "base/system/file.h"
#include "nets3d/train/session.h"

#define WAITING_SHARE 0.2 /* of an epoch's time: more is worth a word, */
#define WAITING_S     2.0 /* if it is not too short to tell */
#define CHECKPOINTS   3   /* that the disk should have room for: latest, best, the next */
#define MIB           (1.0 / (1 << 20))

static void look_at_rate(volt_session *s, double lr)
{
    const int64_t iterations = s->state.epochs * s->state.iterations;

    if (lr > 0 || s->watch.told_rate)
        return;
    s->watch.told_rate = true;
    volt_report(s->cb, VOLT_LOG_WARNING,
                "the learning rate is 0 at iteration %lld of %lld: nothing is learned",
                (long long)s->state.iteration, (long long)iterations);
}

static void look_at_disk(volt_session *s)
{
    int64_t free_bytes, each;

    if (s->watch.told_disk || volt_disk_free(&free_bytes, s->run) != VOLT_OK)
        return;
    each = volt_session_checkpoint_bytes(s);
    if (free_bytes >= CHECKPOINTS * each)
        return;
    s->watch.told_disk = true;
    volt_report(s->cb, VOLT_LOG_WARNING,
                "the disk of %s is nearly full: %.0f MiB are free, a checkpoint takes %.0f MiB",
                s->run, (double)free_bytes * MIB, (double)each * MIB);
}

static void look_at_data(volt_session *s)
{
    const volt_train_state *t = &s->state;

    if (s->watch.told_wait || t->epoch_wait_s < WAITING_S ||
        t->epoch_wait_s < WAITING_SHARE * t->epoch_s)
        return;
    s->watch.told_wait = true;
    volt_report(s->cb, VOLT_LOG_WARNING,
                "data is slower than the network: of %.1f s the network waited %.1f s for "
                "batches (more loader threads or a faster disk would help)",
                t->epoch_s, t->epoch_wait_s);
}

/* Says of an epoch that was looked at in full which classes were in none of its batches. */
static void look_at_classes(volt_session *s)
{
    const volt_train_targets *t = &s->targets;
    const int64_t first = s->state.epoch * s->state.iterations;

    for (int k = t->first; s->watch.from == first && k < t->outputs; k++) {
        if (volt_train_targets_seen(t, k) || s->watch.told_class[k])
            continue;
        s->watch.told_class[k] = true;
        volt_report(s->cb, VOLT_LOG_WARNING,
                    "class %s was in none of the %lld training batches of epoch %lld: it "
                    "cannot be learned from them",
                    t->name[k], (long long)s->state.iterations, (long long)s->state.epoch + 1);
    }
    volt_train_targets_forget(&s->targets);
    s->watch.all_met = false;
    s->watch.from = s->state.iteration;
}

void volt_train_warnings_start(volt_session *s)
{
    s->watch.from = s->state.iteration;
    if (s->recipe.recipe.optimizer.lr == 0)
        look_at_rate(s, 0);
    look_at_disk(s);
}

void volt_train_warnings_batch(volt_session *s, const int16_t *labels, int64_t voxels)
{
    if (s->watch.all_met)
        return;
    volt_train_targets_look(&s->targets, labels, voxels);
    s->watch.all_met = volt_train_targets_all_seen(&s->targets);
}

void volt_train_warnings_epoch(volt_session *s, double lr)
{
    look_at_classes(s);
    if (s->state.epoch + 1 < s->state.epochs) /* schedules end at 0 */
        look_at_rate(s, lr);
    look_at_data(s);
    look_at_disk(s);
}
