/* phantom_layout.h - the layouts in which `volt phantom` writes data sets. */
#ifndef VOLT_APPS_PHANTOM_LAYOUT_H
#define VOLT_APPS_PHANTOM_LAYOUT_H
#include <stdbool.h>
#include "io/dataset.h"
#include "volume/phantom.h"

/* In the order of --layout's words. */
#define PHANTOM_LAYOUTS "nnunet|brats|lits|grey|png"
typedef enum phantom_layout {
    PHANTOM_NNUNET = 0,
    PHANTOM_BRATS, /* BraTS 2018 to 2021: a folder per case, labels 1, 2, 4 */
    PHANTOM_LITS,  /* volume-N.nii, segmentation-N.nii */
    PHANTOM_GREY,  /* nnU-Net raw; label files hold grey values up to 230 */
    PHANTOM_PNG    /* nnU-Net raw; one slice per case as 8-bit pictures */
} phantom_layout;

typedef struct phantom_target {
    phantom_layout layout;
    volt_phantom_kind kind;
    const char *folder;
    bool brats_labels; /* numbers 1, 2, 4 */
} phantom_target;

/* VOLT_EINVAL: a layout that has no such scans. */
VOLT_MUST_USE volt_status phantom_layout_check(const phantom_target *t);
/* Whether dataset.json describes the data set. */
bool phantom_layout_has_info(const phantom_target *t);
/* What dataset.json says besides channels and label names. */
void phantom_layout_describe(volt_dataset_info *info, const phantom_target *t);
/* The label file of case `number`, from 0, which is written last; the caller owns *out. */
VOLT_MUST_USE volt_status phantom_label_path(char **out, const phantom_target *t,
                                             int64_t number);
/* Writes the files of case `number`; `labels` may be changed. */
VOLT_MUST_USE volt_status phantom_write_case(const phantom_target *t, int64_t number,
                                             const volt_volume *image, volt_volume *labels,
                                             int threads);

#endif
