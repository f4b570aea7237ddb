#include "nets3d/predict/prior_mask.h"

#include "base/mem.h"
#include "base/system/file.h"
#include "io/image/names.h"
#include "nets3d/data/preprocess_case.h"

volt_status volt_prior_mask_path(char **out, bool *preprocessed, const char *masks,
                                 const char *id)
{
    char *path = NULL;
    volt_status st = volt_preprocessed_path(&path, masks, id);

    if (st != VOLT_OK)
        return st;
    *preprocessed = volt_path_exists(path);
    if (!*preprocessed) {
        volt_free(path);
        path = NULL;
        if ((st = volt_image_find(&path, masks, id)) != VOLT_OK)
            return st;
    }
    if (path) {
        *out = path;
        return VOLT_OK;
    }
    return volt_fail(VOLT_EIO, "%s has no mask of case %s (%s.nii.gz)", masks, id, id);
}

volt_status volt_prior_mask_read(volt_case_data *out, const volt_case *c, const char *mask,
                                 const volt_dataset_info *info, int threads)
{
    volt_dataset_info as_labels = *info; /* borrowed */
    volt_case with_mask = *c;

    as_labels.thresholds = 0; /* masks hold labels even if the ground truth does not */
    with_mask.label_file = (char *)(uintptr_t)mask;
    return volt_case_read(out, &with_mask, &as_labels, threads);
}
