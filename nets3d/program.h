/* program.h - a graph compiled for one device, shape, batch, precision and mode.
 *
 * Compiling infers extents, fuses norm + activation, lets producers write into their range of a
 * concatenation, decides what is stored for the backward pass and what is recomputed, creates
 * the operators and lays all buffers out in one arena by lifetime. The program announces its
 * bytes before anything is allocated; running allocates nothing.
 *
 * Order    the device may run what it is given after a call has returned, in the order of the
 *          calls. Input and labels in ordinary host memory have been read then. The host waits
 *          in volt_program_download into its memory, volt_program_loss_result and
 *          volt_program_save.
 * Ranks    with a mesh a program is one rank's part of one computation. All ranks make the same
 *          calls in the same order: create, forward, evaluate, loss, backward and accumulate
 *          are collective. The result is that of one rank with the whole batch and volume, to
 *          rounding; the same mesh gives the same bits. Losses, counts and gradients are the
 *          same on all ranks. If a rank fails in a collective call, the others fail too
 *          (VOLT_EPEER). Messages of a device that the host cannot reach go through memory of
 *          the host (volt_program_memory.messages).
 * Stages   ranks along `stage` compute one range of the network's units each, in forward order,
 *          and send each other the values and gradients that cross. The first needs the input,
 *          the last the labels, and it alone has outputs; losses, counts and gradients are
 *          those of all. Every rank holds all parameters and their gradients, but activations
 *          and packed weights of its own units only. To keep all stages busy, use an arena for
 *          each part of a batch: all forward passes, then all losses, then all backward passes,
 *          each followed by volt_program_accumulate.
 * Threads  a program is used by one thread at a time; its operators use `threads` threads.
 *          Several programs may share a graph and a device.
 */
#ifndef VOLT_NETS3D_PROGRAM_H
#define VOLT_NETS3D_PROGRAM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "../parallel/mesh.h"
#include "../volume/box.h"
#include "../volume/volume.h"
#include "device.h"
#include "graph.h"
VOLT_BEGIN_DECLS

typedef struct volt_program volt_program;
typedef enum volt_mode { VOLT_INFER = 1, VOLT_TRAIN = 2 } volt_mode;

typedef struct volt_program_options {
    size_t size;       /* set by volt_program_defaults() */
    int64_t n;         /* batch, >= 1; with a mesh the samples of this rank */
    int64_t extent[3]; /* d, h, w of the input; with a mesh of the whole one */
    /* The ranks that compute together; NULL = one. Borrowed: must outlive the program. Ranks
     * along z, y, x get a box of the input each (volt_program_box), cut where the network's
     * strides allow; input, labels and outputs are those of the box. Ranks along `data` get
     * samples each, in their order. Ranks along `stage` have the same samples. */
    const volt_mesh *mesh;
    int64_t samples; /* of the whole batch, all ranks' n along `data`; 0 = find out */
    /* With a mesh that cuts: values coarser than these strides along d, h, w are computed whole
     * by every rank of the space, since their parts would be too small. All 0 = what costs
     * least (volt_program_gathered tells); else 0 along an axis = never. */
    int64_t gather[3];
    /* The part of the input that this program gets and computes; empty (the default): all of
     * it, or what the mesh says. Its inner faces lie at multiples of the network's strides.
     * Without a mesh whoever runs the parts does between the steps what a mesh does; that is
     * internal. */
    volt_box box;
    volt_precision precision;
    volt_mode mode;
    int threads;     /* 0 = default */
    uint64_t seed;   /* of dropout masks */
    int arenas;      /* batches whose activations are held at the same time; 0 = 1 */
    bool accumulate; /* training: gradients of several batches can be averaged */
    /* Samples that the statistics of batch norms are taken over, when others have the rest and
     * whoever runs the parts adds up their sums; 0 (the default): the n of this program, or
     * with a mesh those of all ranks, whatever is given. */
    int64_t norm_samples;
    /* Per parameter of the graph; false = frozen: nothing is computed or stored that only
     * frozen parameters need, and the gradients of the others keep their bits. Running
     * statistics of a frozen batch norm go on, as torch's do in training mode. NULL = all
     * learn. Borrowed during volt_program_create. */
    const bool *learns;
    /* Training: weights in the operators' own layouts have memory of their own, and are packed
     * together by volt_program_pack after each update: fewer calls, more memory. Otherwise each
     * pass packs them where its activations leave room. Same bits. */
    bool keep_forms;
} volt_program_options;
/* Inference on a batch of 1 in VOLT_FP32; the extents must be set. */
VOLT_API void volt_program_options_init(volt_program_options *o, size_t size);
static inline volt_program_options volt_program_defaults(void)
{
    volt_program_options o;

    volt_program_options_init(&o, sizeof o);
    return o;
}

/* What the program will hold: exact numbers of bytes. */
typedef struct volt_program_memory {
    size_t parameters;  /* training: plain float32 master weights, and running statistics once
                         * more; inference: 0 */
    size_t packed;      /* weights in the operators' own layouts: inference, and training with
                         * `keep_forms` */
    size_t gradients;   /* of parameters; with `accumulate` also their average */
    size_t activations; /* the arenas: activations, their gradients, logits; training without
                         * `keep_forms`: packed weights where there is room, */
    size_t scratch;     /* shared by all operators; and here the others */
    size_t total;
    size_t messages; /* of the host's memory, for messages of a device that it cannot reach; the
                      * total leaves them out */
} volt_program_memory;

/* Compiles `graph` (borrowed: must outlive the program) without allocating tensors.
 * The caller owns *out. VOLT_EINVAL: extents or the box do not fit the strides (names node,
 * axis, value), or a batch norm has a single voxel per channel to train on. VOLT_ENOTSUP: the
 * device or a part of the volume cannot do this network; stages of a volume that is cut, or
 * that train a batch norm (names it). */
VOLT_CALL volt_program_create(volt_program **out, const volt_graph *graph,
                              const volt_device *device, const volt_program_options *options);
VOLT_API void volt_program_free(volt_program *p); /* NULL is allowed */
/* The part of the input that the program gets, in voxels of the whole. */
VOLT_API volt_box volt_program_box(const volt_program *p);
/* The strides that `gather` asks for, or that were chosen; INT64_MAX = nothing is gathered for
 * this axis: it is not cut, or there is no mesh. */
VOLT_API void volt_program_gathered(const volt_program *p, int64_t stride[3]);
/* The number of its first sample in the whole batch. */
VOLT_API int64_t volt_program_first_sample(const volt_program *p);
VOLT_API void volt_program_memory_of(const volt_program *p, volt_program_memory *out);

/* Allocates everything announced and loads all parameters from `flat` (host, float32, in the
 * order and offsets of volt_graph_param). Inference programs hold only the packed form.
 * VOLT_EINVAL: a running variance is negative or NaN (names parameter and channel), and the
 * program stays as it is; VOLT_ENOMEM. */
VOLT_CALL volt_program_load(volt_program *p, const float *flat);
/* To be called when parameters have changed, other than by volt_program_load: after each
 * update. With `keep_forms` it packs the weights that learn; otherwise it does nothing. */
VOLT_CALL volt_program_pack(volt_program *p);
/* Copies all parameters out (training programs only). Running statistics are those of the last
 * update: the forward passes since then count when the next one is made, and not at all if it
 * is left out because the gradients are not finite. volt_program_load forgets them. */
VOLT_CALL volt_program_save(const volt_program *p, float *flat);

/* Inputs, labels and the memory that outputs are copied to may be the host's or the program's
 * device's.
 *
 * Runs forward on `input`, PLAIN (n,c,d,h,w) float32; NULL is allowed in stages behind the
 * first. `step` keys dropout masks. */
VOLT_CALL volt_program_forward(volt_program *p, const float *input, uint32_t step);
/* Evaluation, the rule of validation and prediction alike: dropout does nothing, and norms that
 * have running statistics use them, as the last update left them. Inference programs always
 * follow it; here training programs do, with the same bits. A loss after it has no gradient. */
VOLT_CALL volt_program_evaluate(volt_program *p, const float *input);
/* The extents n,c,d,h,w of output i. */
VOLT_CALL volt_program_output_shape(const volt_program *p, int i, int64_t shape[5]);
/* After forward: copies output i, PLAIN (n,c,d,h,w) float32, to `to`. After a loss with
 * gradient this is the gradient. VOLT_EINVAL in stages before the last. */
VOLT_CALL volt_program_download(volt_program *p, int i, float *to);

/* The loss: cross-entropy + soft Dice on logits, weight_ce * E + weight_dice * D per output.
 *
 * E  softmax: sum w_y (-log p_y) / sum w_y over voxels, y the voxel's label (torch's weighted
 *    mean). Sigmoid: binary cross-entropy per channel, weighted mean over channels, mean over
 *    voxels; with regions AND an ignore label the mean over channels times their number, as
 *    nnU-Net (DC_and_BCE_loss sums them then).
 * D  - sum w_k dice_k / sum w_k over channels and, without batch_dice, the mean over samples;
 *    dice_k = (2 I + s) / max(P + G + s, 1e-8) with s = smooth, I = sum p*g, P = sum p,
 *    G = sum g. The background's channel is left out; regions have none.
 * Ignored voxels count nowhere. Class weights w are 1 unless given. Regions need `sigmoid`;
 * without them channel k is label k and channel 0 the background. */
typedef struct volt_loss_options {
    size_t size; /* set by volt_loss_defaults() */
    double weight_ce, weight_dice, smooth;
    bool batch_dice;
    int ignore;              /* label left out; or VOLT_NO_IGNORE_LABEL */
    double level_weight[16]; /* per output; sums to 1 in nnU-Net */
    bool sigmoid;            /* a sigmoid per channel instead of a softmax over them */
    const uint8_t *regions;  /* (values, channels), 1 = in the region; NULL = labels */
    int values;              /* labels of a voxel are 0..values-1, <= 256; only with regions */
    const double *class_weight; /* (channels); NULL = all 1 */
} volt_loss_options;
/* nnU-Net's weights 1, 1 and smoothing 1e-5; softmax, per sample, no ignore label, and only the
 * first output counts. */
VOLT_API void volt_loss_options_init(volt_loss_options *o, size_t size);
static inline volt_loss_options volt_loss_defaults(void)
{
    volt_loss_options o;

    volt_loss_options_init(&o, sizeof o);
    return o;
}

typedef struct volt_loss_result {
    double total;          /* weighted sum over levels */
    double level[16];      /* unweighted, per level */
    int64_t *tp, *fp, *fn; /* (channels) each, the caller's memory; NULL = not wanted */
    int64_t voxels;        /* of the finest level, without ignored ones */
} volt_loss_result;

/* Starts the loss of the outputs against `labels`, int16 (n,d,h,w); NULL is allowed in stages
 * before the last. With `gradient`, in
 * training programs, it also leaves what volt_program_backward starts from: NaN, if a label is
 * neither a value nor to be ignored, or the total is not finite. `options` NULL = defaults. */
VOLT_CALL volt_program_loss(volt_program *p, const volt_loss_options *options,
                            const int16_t *labels, bool gradient);
/* Waits for the last volt_program_loss and copies its result, which stays on the device until
 * the next. VOLT_EINVAL names the first label that is out of range. */
VOLT_CALL volt_program_loss_result(volt_program *p, volt_loss_result *result);
/* All parameter gradients, after volt_program_loss with `gradient`; those of frozen parameters
 * are undefined. With a mesh they are the sums over all ranks, added in pieces while the pass
 * goes on; not in programs with `accumulate`, which add at the end of volt_program_accumulate.
 */
VOLT_CALL volt_program_backward(volt_program *p);

/* Forward, loss, backward and outputs use this arena from now on, 0..arenas - 1; each goes on
 * where it was. So several batches can be forward before the first goes backward. VOLT_EINVAL.
 */
VOLT_CALL volt_program_use(volt_program *p, int arena);
/* A batch that is one part of a larger one: index of this program's first sample there, which
 * keys dropout masks from the next forward pass on. After volt_program_create it is
 * volt_program_first_sample. */
VOLT_API void volt_program_set_first_sample(volt_program *p, int64_t first);
/* Programs with `accumulate`, after the backward pass of part 0, 1, ... parts - 1: adds
 * 1 / parts of its gradients to the average, which part 0 begins. The average over equal parts
 * is the gradient of the whole batch, to rounding, where neither the loss nor a norm takes
 * statistics over the batch: not with batch_dice, nor where the cross-entropy is a mean over
 * the batch's voxels that weighs them (ignored voxels; class weights that differ, with a
 * softmax), nor with batch norms, which take the statistics of each part and move their running
 * statistics once per part. Rounding is that of another batch size, for which a device may have
 * other algorithms: values differ by 1e-6 or so, and where that turns the sign of an activation
 * before its ReLU, its gradient takes a step; on networks with few voxels all gradients
 * together then differ by up to 1 % (root mean square). With a mesh the last part adds the
 * average over all ranks: once per update, so that no byte is sent twice. VOLT_EINVAL. */
VOLT_CALL volt_program_accumulate(volt_program *p, int64_t part, int64_t parts);
VOLT_API volt_parameters volt_program_parameters(const volt_program *p);

/* One step, for profiles and cost models. */
typedef struct volt_step_info {
    const char *name;   /* "encoder.stages.0.0.convs.0.conv forward"; owned by the program */
    const char *kernel; /* the device's implementation */
    double flops, bytes;
    double seconds;     /* of the last run, when profiling is on; 0 otherwise */
    size_t arena_bytes; /* live while it runs */
    /* Steps that exchange with other ranks: how many this rank sends to (a stage's "receive":
     * gets from), and bytes that it sends and gets. */
    int peers;
    size_t sent, received;
} volt_step_info;
VOLT_API int volt_program_step_count(const volt_program *p);
VOLT_API void volt_program_step(const volt_program *p, int i, volt_step_info *out);
VOLT_API void volt_program_profile(volt_program *p, bool on);

VOLT_END_DECLS
#endif
