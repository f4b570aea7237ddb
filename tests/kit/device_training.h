/* device_training.h - losses and optimizer updates of a device against the reference. */
#ifndef VOLT_TESTS_DEVICE_TRAINING_H
#define VOLT_TESTS_DEVICE_TRAINING_H

void factors(void **state);
void losses(void **state);
void bad_losses_leave_no_gradient(void **state);
void updates(void **state);
void accumulation(void **state);
void sums_of_squares(void **state);
void scalars_of_updates(void **state);
void updates_of_state(void **state);

#endif
