/* failures.h - cases that a prediction leaves out. */
#ifndef VOLT_NETS3D_PREDICT_FAILURES_H
#define VOLT_NETS3D_PREDICT_FAILURES_H
#include "nets3d/predictor.h"
VOLT_BEGIN_DECLS

/* True for failures of one case, after which the others can go on; `writing`: of writing its
 * results. */
bool volt_predict_may_go_on(volt_status st, bool writing);
/* Adds case `id` with the calling thread's last error. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_predict_failures_add(volt_predict_failures *f, const char *id,
                                                    volt_status st);
bool volt_predict_failures_have(const volt_predict_failures *f, const char *id);
void volt_predict_failures_sort(volt_predict_failures *f); /* by id */

VOLT_END_DECLS
#endif
