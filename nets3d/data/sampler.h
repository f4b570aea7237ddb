/* sampler.h - cuts one training sample out of a preprocessed case and augments it.
 *
 * A sample is (image, labels) of the rules' patch:
 *   image   (channels, D, H, W). With `slices` > 1 (a 2-D patch, D = 1) the network's channels:
 *           (channels, slices, H, W), the slices d - slices/2 .. d + slices/2 around the slice
 *           of the labels; beyond the case its first or last slice is repeated. In a cascade,
 *           `rules.prior_labels` one-hot channels of the prior mask follow, each with as many
 *           slices.
 *   labels  (D, H, W), >= 0.
 * As in nnU-Net v2, the lower corner is uniform over all boxes that touch the case. For a
 * forced sample, a class (or region) is drawn among those present and a voxel among its stored
 * locations; then corner = max(lowest allowed, voxel - patch/2), with no upper limit. Outside
 * the case the image is 0 and the label -1 (0 after augmentation). With an ignore label, the
 * other samples are cut around an annotated voxel too.
 *
 * Threads  a sampler belongs to one thread; samplers with the same options may share cases.
 */
#ifndef VOLT_NETS3D_DATA_SAMPLER_H
#define VOLT_NETS3D_DATA_SAMPLER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "io/case_store.h"
#include "volume/augment.h"
#include "volume/box.h"
VOLT_BEGIN_DECLS

/* Plain value. */
typedef struct volt_sampler_options {
    volt_augment_rules rules; /* patch, channels of the cases, augmentation */
    int64_t classes;          /* labels are 0 .. classes - 1, */
    int ignore;               /* or this one; or VOLT_NO_IGNORE_LABEL */
    const uint8_t *regions;   /* (classes, region_count): 1 where the label belongs to the
                               * region; NULL = samples are forced to labels. Borrowed */
    int region_count;
    int slices;    /* odd, see above; 0 = 1. More than 1 needs rules.patch[0] == 1 */
    bool whole;    /* cases are centred in the patch along every axis where they fit */
    volt_box part; /* of the patch: only this of each sample is made, by rules that change
                    * nothing; empty = all. With slices, all of them */
} volt_sampler_options;

/* VOLT_EINVAL names what is out of range. */
VOLT_MUST_USE volt_status volt_sampler_check(const volt_sampler_options *options);
/* Network channels of a sample: (channels + rules.prior_labels) * slices. */
int64_t volt_sampler_channels(const volt_sampler_options *options);
/* Voxels of a sample, or of the part that is made. */
int64_t volt_sampler_voxels(const volt_sampler_options *options);
/* Whether samples are cut out unchanged, so that a part can be made without the rest. */
bool volt_sampler_only_cuts(const volt_sampler_options *options);

/* A case to cut samples from. */
typedef struct volt_sample_case volt_sample_case;
typedef struct volt_sample_source {
    const volt_stored_case *stored;
    const volt_stored_case *prior; /* the prior mask on the same voxels, labels only; NULL
                                    * without a cascade */
    bool owned;                    /* both are closed with the case, also on failure */
    const char *name;              /* copied */
} volt_sample_source;
/* The caller owns *out. VOLT_EDATA: channels that differ from the rules', no labels, or a prior
 * mask that is missing or has another shape. */
VOLT_MUST_USE volt_status volt_sample_case_make(volt_sample_case **out,
                                                const volt_sample_source *source,
                                                const volt_sampler_options *options);
/* Opens the case file `path` and, in a cascade, the prior mask's file `prior` (else NULL). */
VOLT_MUST_USE volt_status volt_sample_case_open(volt_sample_case **out, const char *path,
                                                const char *prior, const char *name,
                                                const volt_sampler_options *options);
void volt_sample_case_close(volt_sample_case *c); /* NULL is allowed */
const char *volt_sample_case_name(const volt_sample_case *c);
/* Of its files and plan (case_store.h), and of the prior mask's. */
uint64_t volt_sample_case_key(const volt_sample_case *c);

/* Buffers of one thread. */
typedef struct volt_sampler volt_sampler;
VOLT_MUST_USE volt_status volt_sampler_open(volt_sampler **out,
                                            const volt_sampler_options *options);
void volt_sampler_close(volt_sampler *s); /* NULL is allowed */
/* Bytes that an open sampler holds. */
size_t volt_sampler_bytes(const volt_sampler_options *options);

/* The random streams of a sample, which is a function of these and the case. */
typedef struct volt_sample_draw {
    volt_rng where;  /* VOLT_RNG_CASE */
    volt_rng change; /* VOLT_RNG_AUGMENT */
    volt_rng noise;  /* VOLT_RNG_NOISE */
    bool forced;     /* to contain foreground */
} volt_sample_draw;

/* Makes a sample; `corner`: the first voxel of the patch in the case (z, y, x). The case's
 * voxels are verified when it is first used: VOLT_EFORMAT (damaged), VOLT_EDATA (a label that
 * is not one of the classes); both name the case. */
VOLT_MUST_USE volt_status volt_sampler_make(volt_sampler *s, float *image, int16_t *labels,
                                            int64_t corner[3], volt_sample_case *c,
                                            const volt_sample_draw *draw);
/* The augmentation of the sampler's last sample; borrowed until the next. */
const volt_augment_draw *volt_sampler_drawn(const volt_sampler *s);

VOLT_END_DECLS
#endif
