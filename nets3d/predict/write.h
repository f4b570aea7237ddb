/* write.h - the files of one predicted case.
 *
 * Labels are written last: if a case has labels, all its files exist.
 */
#ifndef VOLT_NETS3D_PREDICT_WRITE_H
#define VOLT_NETS3D_PREDICT_WRITE_H
#include "base/system/owner.h"
#include "io/image.h"
#include "nets3d/predict/segmenter.h"
VOLT_BEGIN_DECLS

/* Becomes owner of the output folder. Several processes may predict parts of the cases into one
 * folder, with the same networks. `previous`: of a cascade, else NULL. */
VOLT_MUST_USE volt_status volt_predict_own_output(volt_owner **owner,
                                                  const volt_segmenter *stage,
                                                  const volt_segmenter *previous,
                                                  const char *folder, const volt_callbacks *cb);
/* Whether the cases' masks may go into the output folder (io/dataset/mask_folder.h). */
VOLT_MUST_USE volt_status volt_predict_check_output(const volt_predict_output *o,
                                                    const volt_segmenter *seg,
                                                    const volt_case_list *cases);
/* Creates the folders. VOLT_EIO: the output folder is not writable. */
VOLT_MUST_USE volt_status volt_predict_create_output(const volt_predict_output *o,
                                                     const volt_segmenter *seg);
/* Writes what describes the masks: dataset.json, plans.json and the label files. */
VOLT_MUST_USE volt_status volt_predict_describe(const volt_predict_output *o,
                                                const volt_segmenter *seg);
/* Whether all files of the case exist. */
VOLT_MUST_USE volt_status volt_predict_written(bool *out, const volt_predict_output *o,
                                               const volt_segmenter *seg, const char *id);
/* Writes probabilities if they are wanted and frees what `f` holds for them. */
VOLT_MUST_USE volt_status volt_predict_write_probabilities(const volt_predict_output *o,
                                                           const volt_segmenter *seg,
                                                           const char *id, volt_segmentation *f,
                                                           const volt_image_header *header);
/* Warns of masks in the folder whose cases failed now: they are of an earlier prediction. */
VOLT_MUST_USE volt_status volt_predict_note_old(const volt_predict_output *o,
                                                const volt_segmenter *seg,
                                                const volt_callbacks *cb);
/* Writes regions if they are wanted, and the labels, in the data set's own numbering. */
VOLT_MUST_USE volt_status volt_predict_write(const volt_predict_output *o,
                                             const volt_segmenter *seg, const char *id,
                                             volt_segmentation *f,
                                             const volt_image_header *header, int threads);

VOLT_END_DECLS
#endif
