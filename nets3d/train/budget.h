/* budget.h - fits the schedule of a run to a time budget. */
#ifndef VOLT_NETS3D_TRAIN_BUDGET_H
#define VOLT_NETS3D_TRAIN_BUDGET_H
#include "nets3d/train/session.h"
VOLT_BEGIN_DECLS

#define VOLT_BUDGET_USED 0.98 /* fraction of a budget; the rest is reserve */
/* Bytes per second; only until checkpoints are part of measured epochs. */
#define VOLT_WRITTEN_PER_S 2e8

/* Seconds per iteration, validation iteration and checkpoint. */
typedef struct volt_speed {
    double iteration, validation, checkpoint;
} volt_speed;

/* Sets epochs, iterations and validation iterations of `s` to fill `seconds`. VOLT_EINVAL if
 * not even one iteration fits. */
VOLT_MUST_USE volt_status volt_budget_schedule(volt_train_state *s, const volt_speed *speed,
                                               double seconds, bool validation);
/* Number of epochs, of the state's length, that fit into a budget of `seconds` for the whole
 * run, judging by the time they took so far (at least one iteration is done); never fewer than
 * were begun. */
int64_t volt_budget_epochs(const volt_train_state *s, double seconds);
/* Times a few iterations (weights and optimizer are left as they were) and sets the schedule of
 * a new run. */
VOLT_MUST_USE volt_status volt_budget_fit(volt_session *s);
/* At the end of an epoch, by the clock of this rank: removes or adds epochs if the run would
 * end too late or too early. The learning rate still reaches its final value. Does nothing
 * without a budget. */
void volt_budget_refit(volt_session *s);

VOLT_END_DECLS
#endif
