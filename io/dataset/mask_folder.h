/* mask_folder.h - where masks may be written: never over scans, true labels, data sets or runs.
 *
 * Threads   all functions may be called from any thread.
 */
#ifndef VOLT_IO_DATASET_MASK_FOLDER_H
#define VOLT_IO_DATASET_MASK_FOLDER_H
#include "base/status.h"
#include "io/dataset.h"
VOLT_BEGIN_DECLS

/* VOLT_EDATA: `folder`, which need not exist, is called imagesTr, labelsTr, imagesTs or
 * labelsTs, as those of data sets are. VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_mask_folder_check_name(const char *folder);
/* Whether masks and their dataset.json may go into `folder`, which need not exist. VOLT_EDATA:
 * it holds a data set, a run or a work folder, or images or labels of a data set; the sentence
 * names what. VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_mask_folder_check(const char *folder);
/* Whether the mask `path` may be written. VOLT_EDATA: it exists in a folder without
 * dataset.json, which earlier masks have next to them. */
VOLT_MUST_USE volt_status volt_mask_folder_check_file(const char *path);
/* Whether masks ID + `ending` of `cases` may be written into `folder`. VOLT_EDATA: one of them
 * would replace a file of its own case, or what is no earlier mask. */
VOLT_MUST_USE volt_status volt_mask_folder_check_cases(const char *folder,
                                                       const volt_case_list *cases,
                                                       const char *ending);

VOLT_END_DECLS
#endif
