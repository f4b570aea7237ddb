#include "io/image/nifti.h"

#include "io/image/format.h"

const volt_image_format volt_format_nifti = {
    .info = volt_nifti_info,
    .read = volt_nifti_read,
    .write = volt_nifti_write,
};
