/* samples.h - training samples as a person can look at them: what augmentation does.
 *
 * Files    DIR/sample_1_0000.nii.gz .. one per channel, DIR/sample_1.nii.gz its labels, and so
 * on; DIR/samples.png shows each sample before and after, in the planes through its middle,
 *          with the labels' contours.
 * Place    a sample's file has the grid of the voxels it was cut from.
 */
#ifndef VOLT_SHOW_SAMPLES_H
#define VOLT_SHOW_SAMPLES_H
#include <stdbool.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/case_store.h"
#include "../io/dataset.h"
VOLT_BEGIN_DECLS

/* A prepared case made in memory of a scan that no plan speaks of. */
typedef struct volt_shown_case {
    volt_stored_case stored;
    volt_case_data data; /* image, z-scored per channel, and labels */
    volt_class_locations *locations;
} volt_shown_case;
/* Reads image and labels (c->label_file may be NULL: all background). The caller owns what *out
 * holds. VOLT_EDATA: NaN voxels, or negative labels; volt_case_read's errors. */
VOLT_CALL volt_shown_case_read(volt_shown_case *out, const volt_case *c, int threads);
VOLT_API void volt_shown_case_clear(volt_shown_case *c);

typedef struct volt_show_options {
    int64_t samples;  /* >= 1 */
    int64_t patch[3]; /* voxels along d, h, w; 0 = the case's, at most 128 */
    bool flat;        /* 2D: one slice a sample */
    uint64_t seed;
    int32_t channel; /* of the picture */
    int64_t view; /* pixels of the longest side of a view in the picture, 64..1024; 0 = 160 */
    int threads;  /* 0 = default */
    const volt_callbacks *callbacks;
} volt_show_options;

typedef struct volt_shown_sample {
    int64_t corner[3]; /* first voxel in the case */
    char changes[512]; /* volt_augment_describe */
} volt_shown_sample;

/* Draws samples with nnU-Net's rules, centred on foreground where the case has some, and writes
 * them to `dir` (created). `out` (NULL allowed) gets options->samples entries. VOLT_EINVAL: the
 * options; VOLT_EDATA, VOLT_EIO, VOLT_ENOMEM, VOLT_ECANCELLED. Progress: "samples". */
VOLT_CALL volt_show_samples(volt_shown_sample *out, const char *dir, const volt_stored_case *c,
                            const char *name, const volt_show_options *options);

VOLT_END_DECLS
#endif
