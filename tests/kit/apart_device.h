/* apart_device.h - a device whose memory the host cannot touch.
 *
 * It computes as another device does, but its addresses carry a mark that no address of the
 * host has: reading or writing one stops the test, and so does handing the device an address of
 * the host where its own belongs. Programs, trainer and predictor that pass on it run on any
 * device.
 */
#ifndef VOLT_TESTS_APART_DEVICE_H
#define VOLT_TESTS_APART_DEVICE_H
#include "nets3d/device/device_internal.h"

/* Makes *device, an open one with host memory, apart. `sums`: tiles' scores are added up and
 * decoded on the device, otherwise by the host. Only one at a time; closing it closes the
 * other.
 */
void apart_device_open(volt_device **device, bool sums);
/* Calls of the scores' table so far. */
int64_t apart_device_sums(void);

#endif
