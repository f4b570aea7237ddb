/* dataset_kit.h - small data sets on disk for tests. */
#ifndef VOLT_TESTS_DATASET_KIT_H
#define VOLT_TESTS_DATASET_KIT_H
#include <stdio.h>
#include "base/system/file.h"
#include "io/image/nifti.h"
#include "tests/kit/test.h"
#include "volume/orient.h"

/* A scan to write; zero-initialized fields get the defaults of kit_scan. */
typedef struct kit_scan {
    int64_t n[3]; /* 4 x 5 x 6 */
    int channels; /* 1 */
    double spacing[3];
    double shift_mm;   /* of the origin along x */
    float base;        /* voxel i has base + i % 7 */
    int label_high;    /* > 0: labels i % (label_high + 1) instead */
    float odd_value;   /* != 0: put into the first voxel */
    const char *codes; /* orientation, RAS when NULL: the voxels stay where they are */
    bool identity;     /* the matrix says nothing */
} kit_scan;

void kit_write(const char *path, kit_scan s);

void kit_text(const char *path, const char *text);

/* Removes and recreates FOLDER with imagesTr and labelsTr. */
void kit_folder(const char *folder);

#define KIT_JSON(channels, cases)                                                              \
    "{\"channel_names\": {" channels                                                           \
    "}, \"labels\": {\"background\": 0, \"a\": 1, \"b\": 2}, "                                 \
    "\"numTraining\": " cases ", \"file_ending\": \".nii.gz\"}"

#endif
