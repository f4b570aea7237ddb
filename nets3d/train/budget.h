/* budget.h - fitting a schedule to a time. */
#ifndef VOLT_NETS3D_TRAIN_BUDGET_H
#define VOLT_NETS3D_TRAIN_BUDGET_H
#include "nets3d/train/session.h"
VOLT_BEGIN_DECLS

/* What one unit of training costs, in seconds. Plain value. */
typedef struct volt_speed {
    double iteration, validation, checkpoint;
} volt_speed;

/* Epochs, iterations and validation iterations that fill `seconds`; those of `s` change.
 * VOLT_EINVAL when not even one iteration fits. */
VOLT_MUST_USE volt_status volt_budget_schedule(volt_train_state *s, const volt_speed *speed,
                                               double seconds, bool validation);
/* Epochs of the length of the state's that fit into a budget of `seconds` for the whole run, by
 * what those until now took (at least one iteration is done); never fewer than were begun. */
int64_t volt_budget_epochs(const volt_train_state *s, double seconds);
/* Measures the first iterations (weights and optimiser end as they were) and sets the schedule
 * of a new run. */
VOLT_MUST_USE volt_status volt_budget_fit(volt_session *s);
/* At the end of an epoch: drops or adds epochs when the run would end too late or too early.
 * The learning rate still reaches its end. Nothing without a budget. */
void volt_budget_refit(volt_session *s);

VOLT_END_DECLS
#endif
