/* device_training.h - losses and optimizer updates of a device against the reference. */
#ifndef VOLT_TESTS_DEVICE_TRAINING_H
#define VOLT_TESTS_DEVICE_TRAINING_H

void factors(void **state);
void losses(void **state);
void losses_refuse_labels_out_of_range(void **state);
void updates(void **state);
void accumulation(void **state);
void sums_of_squares(void **state);

#endif
