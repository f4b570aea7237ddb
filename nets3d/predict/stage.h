/* stage.h - scans to masks with the networks of one stage.
 *
 * Threads   one call at a time on a segmenter.
 */
#ifndef VOLT_NETS3D_PREDICT_STAGE_H
#define VOLT_NETS3D_PREDICT_STAGE_H
#include "nets3d/predict/segmenter.h"
#include "nets3d/predictor.h"
VOLT_BEGIN_DECLS

/* Predicts the cases with the networks of one stage; prior masks, if it needs any, are in the
 * folder `masks`. */
VOLT_MUST_USE volt_status volt_predict_stage(volt_segmenter *seg, const char *masks,
                                             const volt_case_list *cases,
                                             const volt_predict_output *output,
                                             const volt_callbacks *cb,
                                             volt_predict_result *result);

VOLT_END_DECLS
#endif
