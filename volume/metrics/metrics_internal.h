/* metrics_internal.h - what the sources of the metrics share. */
#ifndef VOLT_VOLUME_METRICS_METRICS_INTERNAL_H
#define VOLT_VOLUME_METRICS_METRICS_INTERNAL_H
#include "volume/volume.h"

/* VOLT_EINVAL: channels or dtype; VOLT_EDATA: sizes differ. */
volt_status volt_check_label_pair(const volt_volume *pred, const volt_volume *ref);

#endif
