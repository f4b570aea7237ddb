/* preprocess.h - crops, normalizes and resamples a data set, as nnU-Net v2's
 * DefaultPreprocessor.
 *
 * Order     float32, transpose_forward, crop to the non-zero region, normalize, resample image
 *           and labels to the configuration's spacing, store where each class is.
 * Threads   calls may run in several threads at once if they write to different folders.
 */
#ifndef VOLT_NETS3D_PREPROCESS_H
#define VOLT_NETS3D_PREPROCESS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
#include "../parallel/comm.h"
#include "plan.h"
VOLT_BEGIN_DECLS

typedef struct volt_preprocess_result {
    int64_t cases, created, kept; /* of this rank; kept: up to date from an earlier call */
} volt_preprocess_result;

typedef struct volt_preprocess_options {
    size_t size;    /* set by volt_preprocess_defaults() */
    int threads;    /* 0 = default */
    bool overwrite; /* preprocess up-to-date cases again */
    const volt_callbacks *callbacks;
    volt_comm *comm; /* ranks that share the cases: this one takes every case whose number is
                      * its own, modulo their number. No messages are sent. NULL = one */
} volt_preprocess_options;

VOLT_API void volt_preprocess_options_init(volt_preprocess_options *o, size_t size);
static inline volt_preprocess_options volt_preprocess_defaults(void)
{
    volt_preprocess_options o;

    volt_preprocess_options_init(&o, sizeof o);
    return o;
}

/* Preprocesses every case of `ds` into FOLDER/CASE.voltcase (FOLDER is created), as many cases
 * at a time as memory allows. A complete file that was created from the same plan and the same
 * image and label files (name, size, modification time) is kept, so the next call continues an
 * interrupted one. Fails with the first failing case's error; files of other cases stay.
 * `options` NULL = defaults; `result` may be NULL. VOLT_EDATA: the data set or a case does not
 * match the plan, NaN or infinite voxels; VOLT_EIO, VOLT_ENOMEM, VOLT_ECANCELLED. */
VOLT_CALL volt_preprocess(volt_preprocess_result *result, const char *folder,
                          const volt_dataset *ds, const volt_plan *plan,
                          const volt_plan_config *config,
                          const volt_preprocess_options *options);

VOLT_END_DECLS
#endif
