/* predictor_internal.h - the public predictor: the networks of one stage, or both stages of a
 * cascade.
 */
#ifndef VOLT_NETS3D_PREDICT_PREDICTOR_INTERNAL_H
#define VOLT_NETS3D_PREDICT_PREDICTOR_INTERNAL_H
#include "nets3d/predict/segmenter.h"
#include "nets3d/predict/spread.h"
VOLT_BEGIN_DECLS

struct volt_predictor {
    volt_segmenter *stage;    /* the networks of the runs */
    volt_segmenter *previous; /* cascade: the networks of the previous stage, which hold
                               * programs only while they work; NULL if the masks are files */
    char *prior;         /* cascade: that run, or the folder of masks; NULL = not known (yet) */
    volt_spread *spread; /* several ranks; NULL = one */
};

/* VOLT_EINVAL: prior masks are needed, and their source is unknown. */
VOLT_MUST_USE volt_status volt_predictor_need_prior(const volt_predictor *p);
/* From now on prior masks come from the folder `masks`. */
VOLT_MUST_USE volt_status volt_predictor_set_prior(volt_predictor *p, const char *masks);

VOLT_END_DECLS
#endif
