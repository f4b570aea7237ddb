/* sampler.h - one training sample out of one prepared case: where it is cut, how it is changed.
 *
 * A sample is (image, labels) of the rules' patch:
 *   image   (channels, D, H, W). With `slices` > 1 (a 2-D patch, D = 1) the network's channels:
 *           (channels, slices, H, W), the slices d - slices/2 .. d + slices/2 around the one
 *           that the labels are of; past an end of the case the end's slice is repeated.
 *           In a cascade `rules.prior_labels` one-hot channels of the previous stage's mask
 * follow, in as many slices each. labels  (D, H, W), >= 0. As nnU-Net v2: the lower corner is
 * uniform over all boxes that touch the case, or, for a forced sample, a class (or region)
 * drawn among those present and a voxel drawn among its stored ones, corner = max(lowest
 * allowed, voxel - patch/2) with no upper clamp; outside the case the image is 0 and the label
 * -1 (0 after augmentation). With an ignore label all other samples, too, are cut around a
 * voxel: any that is annotated.
 *
 * Threads  a sampler belongs to one thread; cases may be shared by samplers of one set of
 *          options.
 */
#ifndef VOLT_NETS3D_DATA_SAMPLER_H
#define VOLT_NETS3D_DATA_SAMPLER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "io/case_store.h"
#include "volume/augment.h"
VOLT_BEGIN_DECLS

/* Plain value. */
typedef struct volt_sampler_options {
    volt_augment_rules rules; /* patch, channels of the cases, what may happen to samples */
    int64_t classes;          /* labels are 0..classes-1, */
    int ignore;               /* or this one; -1 = none */
    const uint8_t *regions;   /* (classes, region_count): 1 where the label belongs to the
                               * region; NULL = samples are forced to labels. Borrowed */
    int region_count;
    int slices; /* odd, see above; 0 = 1. More than 1 needs rules.patch[0] == 1 */
    bool whole; /* cases lie in the middle of the patch along every axis where they fit */
} volt_sampler_options;

/* VOLT_EINVAL names what is out of range. */
VOLT_MUST_USE volt_status volt_sampler_check(const volt_sampler_options *options);
/* Network channels of a sample: (channels + rules.prior_labels) * slices. */
int64_t volt_sampler_channels(const volt_sampler_options *options);

/* A case to cut samples from. */
typedef struct volt_sample_case volt_sample_case;
typedef struct volt_sample_source {
    const volt_stored_case *stored;
    const volt_stored_case *previous; /* the previous stage's mask on the same voxels, labels
                                       * alone; NULL without cascade */
    bool owned;                       /* both are closed with the case, also on failure */
    const char *name;                 /* copied */
} volt_sample_source;
/* The caller owns *out. VOLT_EDATA: other channels than the rules', no labels, or a mask of the
 * previous stage that is missing or has another shape. */
VOLT_MUST_USE volt_status volt_sample_case_make(volt_sample_case **out,
                                                const volt_sample_source *source,
                                                const volt_sampler_options *options);
/* The case file `path` and, in a cascade, the mask's file `previous` (else NULL). */
VOLT_MUST_USE volt_status volt_sample_case_open(volt_sample_case **out, const char *path,
                                                const char *previous, const char *name,
                                                const volt_sampler_options *options);
void volt_sample_case_close(volt_sample_case *c); /* NULL is allowed */
const char *volt_sample_case_name(const volt_sample_case *c);

/* Buffers of one thread. */
typedef struct volt_sampler volt_sampler;
VOLT_MUST_USE volt_status volt_sampler_open(volt_sampler **out,
                                            const volt_sampler_options *options);
void volt_sampler_close(volt_sampler *s); /* NULL is allowed */
/* Bytes that an open sampler holds. */
size_t volt_sampler_bytes(const volt_sampler_options *options);

/* Where a sample's random numbers come from; a sample is a function of these and the case. */
typedef struct volt_sample_draw {
    volt_rng where;  /* VOLT_RNG_CASE */
    volt_rng change; /* VOLT_RNG_AUGMENT */
    volt_rng noise;  /* VOLT_RNG_NOISE */
    bool forced;     /* to hold foreground */
} volt_sample_draw;

/* Makes a sample; `corner` gets the first voxel of the patch in the case (z, y, x). The case's
 * voxels are verified when it is first used: VOLT_EFORMAT (damaged), VOLT_EDATA (a label that
 * is none of the classes), each with the case's name. */
VOLT_MUST_USE volt_status volt_sampler_make(volt_sampler *s, float *image, int16_t *labels,
                                            int64_t corner[3], volt_sample_case *c,
                                            const volt_sample_draw *draw);
/* What happened to the sampler's last sample; borrowed until the next. */
const volt_augment_draw *volt_sampler_drawn(const volt_sampler *s);

VOLT_END_DECLS
#endif
