/* samples.h - augmented training samples as files, to show the effect of augmentation.
 *
 * Files     DIR/sample_1_0000.nii.gz and so on hold the channels of sample 1,
 *           DIR/sample_1.nii.gz its labels. DIR/samples.png shows every sample before and
 *           after augmentation, in the planes through its centre, with the labels' contours.
 * Geometry  a sample's file has the grid of the voxels that it was cut from.
 * Threads   no shared state. Calls may run at the same time, into different folders.
 */
#ifndef VOLT_SHOW_SAMPLES_H
#define VOLT_SHOW_SAMPLES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/case_store.h"
#include "../io/dataset.h"
VOLT_BEGIN_DECLS

/* A scan preprocessed in memory, for samples without a plan. */
typedef struct volt_shown_case {
    volt_stored_case stored;
    volt_case_data data; /* image, z-scored per channel, and labels */
    volt_class_locations *locations;
} volt_shown_case;

/* Reads image and labels (c->label_file may be NULL: all background). The caller owns what
 * *out holds (volt_shown_case_clear). VOLT_EDATA: NaN voxels, negative labels or labels above
 * 255; errors of volt_case_read. */
VOLT_CALL volt_shown_case_read(volt_shown_case *out, const volt_case *c, int threads);
VOLT_API void volt_shown_case_clear(volt_shown_case *c);

typedef struct volt_show_samples_options {
    size_t size;      /* set by volt_show_samples_defaults() */
    int64_t samples;  /* 1..10000 */
    int64_t patch[3]; /* voxels along d, h, w; 0 = the case's extent, at most 128 */
    bool is_2d;       /* one slice per sample */
    uint64_t seed;
    int32_t channel; /* shown in the picture */
    int64_t view;    /* pixels of the longest side of a view in the picture, 64..1024 */
    int threads;     /* 0 = default */
    const volt_callbacks *callbacks;
} volt_show_samples_options;

/* 1 sample of default size, seed 0, channel 0, views of 160 pixels. */
VOLT_API void volt_show_samples_options_init(volt_show_samples_options *o, size_t size);
static inline volt_show_samples_options volt_show_samples_defaults(void)
{
    volt_show_samples_options o;

    volt_show_samples_options_init(&o, sizeof o);
    return o;
}

typedef struct volt_shown_sample {
    int64_t corner[3]; /* first voxel in the case */
    char changes[512]; /* volt_augment_describe */
} volt_shown_sample;

/* Draws samples with nnU-Net's rules, centred on foreground where the case has any, and writes
 * them to `dir`, which is created. `name` is the case's, for messages. `out` (NULL allowed)
 * gets options->samples entries. Reports progress as "samples". VOLT_EINVAL: an option;
 * VOLT_EDATA, VOLT_EIO, VOLT_ENOMEM, VOLT_ECANCELLED. */
VOLT_CALL volt_show_samples(volt_shown_sample *out, const char *dir, const volt_stored_case *c,
                            const char *name, const volt_show_samples_options *options);

VOLT_END_DECLS
#endif
