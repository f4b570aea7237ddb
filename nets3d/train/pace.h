/* pace.h - says early how long a training will take. */
#ifndef VOLT_NETS3D_TRAIN_PACE_H
#define VOLT_NETS3D_TRAIN_PACE_H
#include "nets3d/train/session.h"
VOLT_BEGIN_DECLS

/* After each iteration: the third of a call logs how long the training will take on this
 * machine, and what a budget would make of it. Says nothing of a run with a budget, or one that
 * takes less than a minute, with the folds after it. */
void volt_pace_note(volt_session *s);
/* The line, if `each` is the time of an iteration and so many folds follow; "" if there is
 * nothing to say. */
void volt_pace_text(char *out, size_t bytes, const volt_train_state *s, double each,
                    int64_t checkpoint_bytes, int folds_after);

VOLT_END_DECLS
#endif
