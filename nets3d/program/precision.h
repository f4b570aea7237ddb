/* precision.h - choice of the faster precision, measured once per machine and stored.
 *
 * On some CPUs bf16 convolutions run twice as fast as fp32, on others half as fast. The answer
 * is stored per CPU, library version, number of threads and mode in a small JSON file in the
 * user's cache folder; a missing or unreadable file means measuring again.
 *
 * Threads  calls with different devices may run at the same time, but disturb each other's
 *          measurement; the cache file is replaced as a whole.
 */
#ifndef VOLT_NETS3D_PROGRAM_PRECISION_H
#define VOLT_NETS3D_PROGRAM_PRECISION_H
#include "base/callbacks.h"
#include "nets3d/model.h"
#include "nets3d/precision.h"
#include "nets3d/program.h"
VOLT_BEGIN_DECLS

/* What to measure for: the network's costliest convolution is taken. */
typedef struct volt_precision_query {
    const volt_device *device;
    const volt_network *net;
    int64_t patch[3]; /* d, h, w */
    int64_t batch;
    volt_mode mode;
    int threads;       /* 0 = default */
    const char *cache; /* folder; NULL = the user's (XDG_CACHE_HOME/volt or ~/.cache/volt) */
} volt_precision_query;

/* *out becomes `asked`, or for VOLT_PRECISION_AUTO the faster one (at least 5 % faster than
 * fp32, else fp32). A cache that cannot be written is reported as a detail, not a failure.
 * VOLT_ENOTSUP: `asked` is not supported by the device. */
VOLT_MUST_USE volt_status volt_precision_choose(volt_precision *out, volt_precision asked,
                                                const volt_precision_query *query,
                                                const volt_callbacks *cb);

/* VOLT_ENOTSUP: the device does not compute in `precision`; the sentence names those it does.
 */
VOLT_MUST_USE volt_status volt_precision_check(const volt_device *device,
                                               volt_precision precision);

VOLT_END_DECLS
#endif
