/* write.h - the files of one predicted case. Internal to the predictor.
 *
 * Order: scores, regions, and the labels last: where a case's labels are, everything is.
 */
#ifndef VOLT_NETS3D_PREDICT_WRITE_H
#define VOLT_NETS3D_PREDICT_WRITE_H
#include "io/image.h"
#include "nets3d/predict/predictor_internal.h"
VOLT_BEGIN_DECLS

/* Makes the folders and writes dataset.json and plans.json. */
VOLT_MUST_USE volt_status volt_predict_begin(const volt_predict_output *o,
                                             const volt_predictor *p);
/* Whether all files of the case are there. */
VOLT_MUST_USE volt_status volt_predict_written(bool *out, const volt_predict_output *o,
                                               const volt_predictor *p, const char *id);
/* Probabilities, as far as they are wanted; frees what `f` holds for them. */
VOLT_MUST_USE volt_status volt_predict_write_scores(const volt_predict_output *o,
                                                    const volt_predictor *p, const char *id,
                                                    volt_segmentation *f,
                                                    const volt_image_header *header);
/* Regions, as far as they are wanted, and the labels, in the data set's own numbering. */
VOLT_MUST_USE volt_status volt_predict_write(const volt_predict_output *o,
                                             const volt_predictor *p, const char *id,
                                             volt_segmentation *f,
                                             const volt_image_header *header, int threads);

VOLT_END_DECLS
#endif
