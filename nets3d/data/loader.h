/* loader.h - training batches, prepared by threads ahead of the network.
 *
 * A batch is a function of the options and its number: every random number is Philox keyed by
 * (seed, batch number, sample, purpose). So any number of loader threads gives the same
 * batches, and training can continue at any batch.
 *
 * As in nnU-Net v2, cases are drawn uniformly with replacement, and samples with index >=
 * round(n * (1 - foreground)) are forced to contain foreground. For how a sample is cut and
 * augmented see sampler.h. A batch may be delivered in parts: they hold its samples, in order.
 *
 * Ranks    a rank's loader makes its own samples of every part, or those of every n-th part
 *          (`turn`); they have the bits that they have in the whole batch on one rank.
 *
 * Threads  one thread calls volt_loader_next; the others belong to the loader.
 */
#ifndef VOLT_NETS3D_DATA_LOADER_H
#define VOLT_NETS3D_DATA_LOADER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "nets3d/device.h"
#include "volume/augment.h"
#include "volume/box.h"
VOLT_BEGIN_DECLS

typedef struct volt_loader volt_loader;

typedef struct volt_loader_options {
    const char *store;        /* folder of case files */
    const char *prior_masks;  /* cascade: folder of case files with the previous stage's masks
                               * on the same voxels, labels only; rules.prior_labels > 0. NULL
                               * otherwise */
    const char *const *names; /* borrowed until open returns */
    int64_t cases;            /* >= 1 */
    int64_t classes;          /* labels are 0 .. classes - 1, */
    int ignore;               /* or this one; or VOLT_NO_IGNORE_LABEL */
    const uint8_t *regions;   /* see volt_sampler_options; borrowed until close */
    int region_count;
    int64_t batch;            /* samples of a batch, or of each of its parts, >= 1 */
    int64_t parts;            /* of a batch, one after the other; 0 = 1 */
    int64_t sample, samples;  /* of each part: first sample to make, and their number; 0 = the
                               * others of the part */
    int64_t turn, turns;      /* of all parts, counted from the first of batch 0: only those
                               * whose number modulo `turns` is `turn`; 0 = 1: all */
    volt_augment_rules rules; /* patch, channels and augmentation */
    volt_box part;            /* of the patch: only this of each sample is made, which needs
                               * volt_loader_only_cuts; empty = all */
    int slices;               /* neighbouring slices as channels; 0 = 1 */
    bool whole;               /* a sample is a whole case, centred in the patch */
    double foreground;        /* fraction of forced samples, 0.33 in nnU-Net */
    uint64_t seed;
    bool validation; /* use other random streams than training with the same seed */
    int64_t first;   /* number of the first batch */
    int threads;     /* loader threads; 0 = volt_loader_next makes the samples itself */
    int ring;        /* batches prepared ahead, >= 1; counts with threads only */
    /* Batches lie in memory of the host that this device reads by itself; borrowed until close.
     * NULL = in ordinary memory. */
    const volt_device *device;
} volt_loader_options;

/* Host memory; borrowed until the next volt_loader_next, volt_loader_release or close. n is the
 * number of samples that the loader makes. */
typedef struct volt_batch {
    int64_t number, part;       /* of the batch, and which part of it, from 0 */
    const float *image;         /* (n,c,d,h,w); c: volt_loader_channels; d,h,w: of the part */
    const int16_t *labels;      /* (n,d,h,w), >= 0 */
    const char *const *name;    /* (n): the case each sample was cut from */
    const int64_t (*corner)[3]; /* (n): first voxel of the patch in the case (z,y,x) */
} volt_batch;

/* Opens every case of the store and starts the threads. The caller owns *out.
 * VOLT_EDATA: a case has other channels than the rules; VOLT_EFORMAT, VOLT_EIO, VOLT_ENOMEM.
 * Voxels are verified when a case is first used; a damaged or mislabelled one fails the next
 * volt_loader_next. */
VOLT_MUST_USE volt_status volt_loader_open(volt_loader **out,
                                           const volt_loader_options *options);
/* Opens and closes every case of the store, as volt_loader_open would. *key (NULL allowed)
 * depends on the keys of all cases, so on their files and plan. */
VOLT_MUST_USE volt_status volt_loader_check_cases(uint64_t *key,
                                                  const volt_loader_options *options);
/* Waits for the next batch. Also returns the failure of a loader thread, which names the case.
 */
VOLT_MUST_USE volt_status volt_loader_next(volt_loader *loader, volt_batch *out);
/* All that reads the last batch has been given to `stream`, one of the device's: the batch
 * stays as it is until that has run. */
VOLT_MUST_USE volt_status volt_loader_uploaded(volt_loader *loader, volt_stream *stream);
/* Returns the last batch before the next call of volt_loader_next, so that threads may make
 * another in its place. */
VOLT_MUST_USE volt_status volt_loader_release(volt_loader *loader);
/* Name of the case that sample `index` of the whole batch `number` is cut from, whoever makes
 * it. Borrowed until close. */
const char *volt_loader_case(const volt_loader *loader, int64_t number, int64_t index);
/* Total seconds that volt_loader_next has waited, or made samples. */
double volt_loader_waited(const volt_loader *loader);
void volt_loader_close(volt_loader *loader); /* NULL is allowed */
/* Channels of the images: the cases' channels and a cascade's one-hot masks, times slices. */
int64_t volt_loader_channels(const volt_loader_options *options);
/* Whether samples are cut out of cases unchanged, so that a part can be made without the rest.
 */
bool volt_loader_only_cuts(const volt_loader_options *options);
/* Bytes that a loader with these options allocates, without mapped case files. */
size_t volt_loader_bytes(const volt_loader_options *options);

VOLT_END_DECLS
#endif
