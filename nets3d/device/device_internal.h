/* device_internal.h - the interface between programs and devices: a table of functions.
 *
 * Operators are described once (volt_op_spec), created once, run often. op_create returns
 * VOLT_ENOTSUP for what the device cannot do, and the program tries another way. The reference
 * device (plain C) defines what every operator means; every other device is tested against it.
 *
 * A new device implements every entry of struct volt_device whose comment does not allow NULL,
 * computes in VOLT_FP32, and runs COPY, PACK_BOX and UNPACK_BOX in all forms. It may refuse
 *   forms       plain operands of convolutions, channel ranges, a second gradient, sums of a
 *               convolution's output, margins: op_create returns VOLT_ENOTSUP, and the program
 *               copies, adds or sums in a step of its own
 *   operators   any other kind, in the same way: graphs that need it do not compile, with the
 *               device's sentence
 *   precisions  all but VOLT_FP32: `supports`
 *   streams     `streams` NULL: it runs every call at once
 *   capture     its four entries NULL, or capture_begin VOLT_ENOTSUP: the program makes the
 *               calls each time
 *   pinned      both entries NULL: callers use ordinary memory
 *   memory      NULL, where device memory is host memory
 *   scores      NULL, or `takes` false for some options: the host adds up and decodes
 *   state       `update_state` NULL: graphs with running statistics do not train
 * and nothing else: what op_create has accepted is not refused when it runs.
 *
 * Order     calls that take a stream may run after they have returned, in the stream's order
 *           (stream.h); with the stream NULL they have run. Structs, arrays of pointers and
 *           all other host memory that they are given have been read when they return, but for
 *           pinned memory in transfers. Device memory and operators are in use until the stream
 *           has been waited for. What fails later is reported by the stream's sync or the next
 *           download in it.
 * Memory    running allocates nothing: all memory, scratch included, comes from the caller.
 *           Pointers are device pointers, unless a comment says host; an operand's pointer is
 *           the start of its BUFFER, the device adds the channel range's offset. Buffers of
 *           activations, packed weights and scratch are aligned to 64 bytes, dense float32
 *           arrays (they lie anywhere among the parameters) to 4, dense float64 arrays to 8.
 *           Scratch holds nothing from one call to the next.
 * Padding   where a native layout pads channels to its block, the operator that writes a
 *           buffer's last channel writes zeros into the padding. Channels outside an output's
 *           range stay as they are.
 * Types     activations and their gradients are VOLT_NATIVE: VOLT_F32 in VOLT_FP32 and in
 *           VOLT_TF32 (spec.tf32), VOLT_BF16, VOLT_F16. Sums within an operator are float32 or
 *           wider. Graph inputs, outputs (logits) and their gradients are VOLT_PLAIN float32.
 *           Parameters, their gradients, norm statistics and losses are dense float32 arrays
 *           in plain order; the sums that norms are computed from are dense float64.
 * Norms     in two steps, forward and backward: sums over the voxels that the device has, then
 *           what follows from the sums and spec.count, the number of voxels that they cover.
 *           Between the steps a caller may add the sums of other parts of the same volume and
 *           give the count of all. Forward, a convolution may write the sums of its own output.
 *           Sums are (n,c,2), one of each sample, or (1,c,2), one of all samples: those of
 *           batch norms, to which a caller may add the sums of other samples, too.
 * Margins   operators write only the box of an output: its margins stay as they are. A
 *           convolution, transposed or not, reads the voxels of one operand outside its box, as
 *           far as its margins have them, in place of padding: of src in CONV_FWD,
 *           CONV_BWD_WEIGHTS and TCONV_FWD, of diff_dst in CONV_BWD_DATA, TCONV_BWD_DATA and
 *           TCONV_BWD_WEIGHTS. Linear upsampling by a factor of 2 or more along an axis
 *           clamps at its input's edges only where the operand that it reads has no margin:
 *           it reads one voxel of src's, backward factor / 2 of diff_dst's. All other
 *           operators read the boxes alone. Pooling with padding takes no input with margins
 *           (VOLT_ENOTSUP). A device may refuse margins in all operators but COPY, PACK_BOX
 *           and UNPACK_BOX; the program then copies (linear upsampling, and a transposed
 *           convolution that is wider than its stride, have no other form). Operands that
 *           share memory have the same margins.
 * Threads   threads may share an open device, each with streams of its own, and allocate and
 *           release while others compute or capture. An operator runs in one thread at a time.
 */
#ifndef VOLT_NETS3D_DEVICE_INTERNAL_H
#define VOLT_NETS3D_DEVICE_INTERNAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rng.h"
#include "base/status.h"
#include "nets3d/device.h"
#include "nets3d/device/loss.h"
#include "nets3d/device/scores.h"
#include "nets3d/device/stream.h"
#include "nets3d/device/update.h"
#include "nets3d/graph.h"
#include "nets3d/graph/tensor.h"
#include "volume/box.h"
VOLT_BEGIN_DECLS

/* Operators and their operands, in the order of `tensor[]` and of the pointers given to op_run.
 * "packed" operands are opaque (see op_info). [x] may be NULL. in=out: they may be the same
 * memory. Every output is overwritten, never added to. */
typedef enum volt_op_kind {
    /* 0 src, 1 packed weights, 2 [bias (oc)], 3 dst, 4 [sums (n|1,oc,2)]. src may be PLAIN
     * float32 (a graph input), dst may be PLAIN float32 (a graph output). sums: those of
     * NORM_SUMS over dst, from its values as they are stored; a device may refuse them. */
    VOLT_OP_CONV_FWD = 1,
    /* 0 diff_src, 1 packed weights, 2 diff_dst. diff_dst may be PLAIN float32 (a graph output).
     */
    VOLT_OP_CONV_BWD_DATA,
    /* 0 src, 1 diff_weights, 2 [diff_bias], 3 diff_dst. PLAIN as above. */
    VOLT_OP_CONV_BWD_WEIGHTS,
    /* Transposed convolution; weights (ic,oc,kd,kh,kw). Same operands but sums, all native. The
     * output's extents are the input's times the stride: pad_high = kernel - stride - pad_low,
     * which may be negative (torch's output padding). */
    VOLT_OP_TCONV_FWD,
    VOLT_OP_TCONV_BWD_DATA,
    VOLT_OP_TCONV_BWD_WEIGHTS,
    /* 0 src, 1 sums (n|1,c,2) float64: the sum of x and of x*x over d,h,w and, with one row of
     * sums, over n. */
    VOLT_OP_NORM_SUMS,
    /* 0 sums (n|1,c,2), 1 mean (n,c), 2 rstd (n,c), 3 [running mean (c)], 4 [running var],
     * 5 [new running mean], 6 [new running var]: mean over spec.count voxels and
     * 1/sqrt(var + eps), biased var, which is 0 where rounding would make it negative; the same
     * for all n with one row of sums. Operands 3 to 6 come together and with one row of sums:
     * new = (1 - spec.momentum) * old + spec.momentum * that of the count, whose variance is
     * the unbiased one, var * count / (count - 1). in=out: 3 and 5, 4 and 6. */
    VOLT_OP_NORM_FINISH,
    /* 0 running mean (c), 1 running var (c), 2 mean (n,c), 3 rstd (n,c): mean and
     * 1/sqrt(var + eps) of evaluation, the same for all n. */
    VOLT_OP_NORM_RUNNING,
    /* 0 src, 1 mean, 2 rstd, 3 [scale (c)], 4 [shift (c)], 5 dst:
     * act(scale*(x-mean)*rstd+shift). in=out: src and dst. */
    VOLT_OP_NORM_ACT_FWD,
    /* 0 src (of the norm), 1 mean, 2 rstd, 3 [scale], 4 [shift], 5 diff_dst, 6 [diff_dst2],
     * 7 sums (n|1,c,2) float64, 8 [diff_scale (c)], 9 [diff_shift (c)]. The gradient arriving
     * is diff_dst (+ diff_dst2 when the value had two consumers); times the activation's slope
     * it is g. The sums are those of g and of g*xhat over d,h,w (and n), xhat = (x-mean)*rstd;
     * diff_shift and diff_scale are the same summed over n: of the voxels here, as all
     * gradients are. */
    VOLT_OP_NORM_BWD_SUMS,
    /* 0..6 as above, 7 sums, 8 diff_src: scale*rstd*(g - sum(g)/count -
     * xhat*sum(g*xhat)/count), count = spec.count. in=out: diff_dst and diff_src. */
    VOLT_OP_NORM_BWD_APPLY,
    /* 0 src, 1 dst: max(x, slope*x). in=out. */
    VOLT_OP_ACT_FWD,
    /* 0 dst (of the forward pass), 1 diff_dst, 2 diff_src. Needs slope > 0 or ReLU. in=out 1,2.
     */
    VOLT_OP_ACT_BWD,
    /* 0 src, 1 dst. */
    VOLT_OP_MAX_POOL_FWD,
    /* 0 src, 1 diff_dst, 2 diff_src: to the first maximum of each window, raster order. */
    VOLT_OP_MAX_POOL_BWD,
    VOLT_OP_AVERAGE_POOL_FWD, /* 0 src, 1 dst */
    VOLT_OP_AVERAGE_POOL_BWD, /* 0 diff_dst, 1 diff_src */
    VOLT_OP_UPSAMPLE_FWD,     /* 0 src, 1 dst; mode by `linear` */
    VOLT_OP_UPSAMPLE_BWD,     /* 0 diff_dst, 1 diff_src */
    VOLT_OP_ADD,              /* 0 a, 1 b, 2 dst = a + b. in=out: dst with a or b */
    /* 0 src, 1 dst: same extents; layout, dtype, range may differ. The only operator whose
     * channel ranges may start anywhere in their buffer. */
    VOLT_OP_COPY,
    /* 0 src, 1 factors (n,c) float32 (0 or 1/(1-p)), 2 dst = src * factor. in=out. */
    VOLT_OP_SCALE_CHANNELS,
    VOLT_OP_SOFTMAX_FWD, /* 0 src, 1 dst, over c. in=out */
    /* 0 dst (of the forward pass), 1 diff_dst, 2 diff_src. in=out 1,2. */
    VOLT_OP_SOFTMAX_BWD,
    /* 0 src, 1 slope (c) or (1) for all channels, 2 dst: x > 0 ? x : slope * x. in=out 0,2. */
    VOLT_OP_PRELU_FWD,
    /* 0 src (of the forward pass), 1 slope, 2 diff_dst, 3 diff_src, 4 diff_slope. in=out 2,3.
     */
    VOLT_OP_PRELU_BWD,
    /* 0 src, 1 dst = the voxels of spec.box, which may reach into src's margins; dst has the
     * box's extents. Layout, dtype, range may differ. */
    VOLT_OP_PACK_BOX,
    /* 0 src, which has the extents of spec.box, 1 dst: the voxels of the box, which may reach
     * into dst's margins, become src. All other voxels of dst stay as they are. */
    VOLT_OP_UNPACK_BOX
} volt_op_kind;

#define VOLT_OP_MAX_TENSORS 10

/* Plain value. Unused operands are zero. Weights: extents n=oc c=ic d,h,w=kernel for
 * convolutions, n=ic c=oc for transposed ones; vectors of c channels: n=1 c=c d=h=w=1; norm
 * statistics: n=n c=c d=h=w=1; their sums: VOLT_F64, n=n (or 1) c=c d=2 h=w=1. */
typedef struct volt_op_spec {
    volt_op_kind kind;
    volt_tensor tensor[VOLT_OP_MAX_TENSORS];
    volt_conv
        conv; /* conv, tconv (stride); pools (kernel, stride); upsample (stride = factor) */
    /* CONV_*, TCONV_*: samples and extents n, d, h, w of the whole convolution's result (a
     * transposed one's source), of which this device may have a part. Where an algorithm hangs
     * on sizes, these decide, so that parts round as the whole does. n = 0: no part. */
    int64_t whole[4];
    int64_t count;   /* NORM_FINISH, NORM_BWD_APPLY: voxels that a channel's sums cover, >= 1 */
    double eps;      /* NORM_FINISH, NORM_RUNNING */
    double momentum; /* NORM_FINISH */
    double slope;    /* NORM_ACT_FWD, NORM_BWD_*, ACT_*; 1 = no activation */
    int linear;      /* UPSAMPLE_*: 1 = trilinear, 0 = nearest */
    bool tf32; /* (transposed) convolutions of float32 may round factors to 10-bit mantissas */
    volt_box box; /* PACK_BOX, UNPACK_BOX: in voxels from the first one of src's or dst's box */
    int threads;  /* host threads the operator may use, >= 1; here and in all calls, GPUs have
                   * no use for them */
} volt_op_spec;

/* Factors of channels, (n,c) float32: 0 with probability p, else 1/(1-p). Factor i is 0 where
 * number `first` + i of rng's uniform numbers (volt_rng_uniform) is below p. */
typedef struct volt_factors_call {
    float *factors; /* out (count) */
    int64_t count, first;
    double p; /* 0 <= p < 1; with 0 all factors are 1 */
    volt_rng rng;
} volt_factors_call;

typedef struct volt_op volt_op; /* the device's own */

/* Weights of one operator that are to be packed. */
typedef struct volt_pack {
    volt_op *op;
    void *packed;         /* out (packed_bytes) */
    const float *weights; /* plain */
} volt_pack;

typedef struct volt_op_info {
    const char *kernel;   /* name of the implementation; static */
    size_t scratch_bytes; /* needed while running */
    size_t packed_bytes;  /* size of the packed weights operand; 0 = plain weights are taken */
    double flops;         /* useful floating-point operations of one run */
    double bytes;         /* least bytes moved */
} volt_op_info;

struct volt_device {
    const char *name;    /* "reference", "cpu" */
    int index;           /* which of the machine's devices of this name; from 0 */
    const char *library; /* what computes, with its version: "oneDNN 2.6.3"; never NULL */
    void *context;       /* the device's own */
    bool host_memory;    /* device pointers are host pointers, so nothing needs copying, and
                          * `streams` is NULL */
    bool keeps_forms;    /* training should pack weights once per update, all in one call, into
                          * memory of their own (volt_program_options.keep_forms) */

    /* Channel ranges of native buffers start at multiples of this. */
    int64_t (*channel_block)(const volt_device *dev, volt_dtype dtype);
    /* Bytes of the buffer that holds `t` (all buffer_c channels, block padding included). */
    size_t (*buffer_bytes)(const volt_device *dev, const volt_tensor *t);
    bool (*supports)(const volt_device *dev, volt_precision precision);

    const volt_stream_table *streams; /* NULL: every call has run when it returns */

    /* Bytes of the device's memory, and those of them that can be allocated. NULL: its memory
     * is the host's. */
    volt_status (*memory)(const volt_device *dev, size_t *available, size_t *total);
    /* Aligned to 64 bytes or more, contents undefined; `what` is for messages. VOLT_ENOMEM. */
    volt_status (*alloc)(const volt_device *dev, void **out, size_t bytes, const char *what);
    /* Waits for all that the device was given. NULL is allowed. */
    void (*release)(const volt_device *dev, void *p);
    /* Host memory that the device reaches by itself; pinned_free waits as release does. Both
     * NULL: ordinary memory is as good. */
    volt_status (*pinned_alloc)(const volt_device *dev, void **out, size_t bytes,
                                const char *what);
    void (*pinned_free)(const volt_device *dev, void *p);
    /* To the device and back; sizes in bytes. Either side may be host memory or memory of this
     * device; the device tells them apart. Ordinary host memory has been read when upload
     * returns, and holds the bytes when download returns; pinned memory belongs to the device
     * until the stream has been waited for. */
    volt_status (*upload)(const volt_device *dev, void *dst, const void *src, size_t bytes,
                          volt_stream *stream);
    volt_status (*download)(const volt_device *dev, void *dst, const void *src, size_t bytes,
                            volt_stream *stream);

    /* VOLT_ENOTSUP: this device cannot do it in this form. The caller owns *out (op_free). */
    volt_status (*op_create)(const volt_device *dev, volt_op **out, const volt_op_spec *spec);
    void (*op_info)(const volt_op *op, volt_op_info *info);
    /* Packs plain float32 weights for this operator into `packed` (packed_bytes). */
    volt_status (*op_pack)(volt_op *op, void *packed, const float *weights,
                           volt_stream *stream);
    /* The same for several, in any order: a training step's weights in one call. The array is
     * the host's. NULL: op_pack for each. */
    volt_status (*op_pack_many)(const volt_device *dev, const volt_pack *packs, int count,
                                volt_stream *stream);
    /* Whether what op_pack makes of the same weights for `a` serves `b` too, so that they need
     * not be packed for each. For two different operators the answer may always be no. */
    bool (*op_same_form)(const volt_op *a, const volt_op *b);
    /* `operands`, a host array, has the addresses of this run; NULL where the spec has none.
     * They may differ from run to run, and are aligned alike. */
    volt_status (*op_run)(volt_op *op, void *const *operands, void *scratch,
                          volt_stream *stream);
    /* None of its runs may be left in a stream; captures with it are not launched any more.
     * NULL is allowed. */
    void (*op_free)(volt_op *op);

    volt_status (*draw_factors)(const volt_device *dev, const volt_factors_call *call,
                                volt_stream *stream);
    /* loss.h: of both calls; with the gradient that is at least as much as without. */
    size_t (*loss_scratch)(const volt_device *dev, const volt_loss_call *call);
    volt_status (*loss_sums)(const volt_device *dev, const volt_loss_call *call,
                             volt_stream *stream);
    volt_status (*loss_gradient)(const volt_device *dev, const volt_loss_call *call,
                                 volt_stream *stream);
    /* update.h. The sum of squares is in double, in a fixed order; NaN or infinity propagates.
     */
    volt_status (*sum_squares)(const volt_device *dev, const volt_squares_call *call,
                               volt_stream *stream);
    volt_status (*update_begin)(const volt_device *dev, const volt_update_call *call,
                                volt_stream *stream);
    volt_status (*sgd)(const volt_device *dev, const volt_sgd_call *call, volt_stream *stream);
    volt_status (*adam)(const volt_device *dev, const volt_adam_call *call,
                        volt_stream *stream);
    /* sum = scale * x if `first`, else sum += scale * x: gradients of several batches. */
    volt_status (*accumulate)(const volt_device *dev, float *sum, const float *x, int64_t count,
                              double scale, bool first, int threads, volt_stream *stream);
    /* Running statistics at the end of a step; NULL: see above. */
    volt_status (*update_state)(const volt_device *dev, const volt_state_call *call,
                                volt_stream *stream);
    /* scores.h: adding up and decoding; NULL: the host does it. */
    const volt_scores_table *scores;
    void (*close)(volt_device *dev);
};

/* The one name that runs store for the device: "cpu", "cuda:1"; number 0 is not written. */
void volt_device_words(char *out, size_t bytes, const volt_device *dev);

/* How much of the device's memory is available, or of the host's where that is the device's. */
VOLT_MUST_USE volt_status volt_device_available(size_t *out, const volt_device *dev);
/* VOLT_ENOMEM if `bytes` are more than is available and the caller already holds: "WHAT needs
 * 1.0 GiB of memory on device cuda:1, but only 512 MiB is availableENDING". */
VOLT_MUST_USE volt_status volt_device_check_memory(const volt_device *dev, size_t bytes,
                                                   size_t held, const char *what,
                                                   const char *ending);

VOLT_END_DECLS
#endif
