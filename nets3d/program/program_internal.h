/* program_internal.h - the compiler of programs. Each file contains one part:
 *
 *   shapes.c    which nodes are needed, their extents, fusion of norm + activation
 *   boxes.c     the part of each value that is computed here
 *   margins.c   voxels around it that are needed
 *   keep.c      which values backward keeps, which it recomputes
 *   steps.c     the lists of steps and buffers, and what fills them
 *   forward.c   steps of the forward pass, and of recomputing within the backward pass
 *   backward.c  steps of the backward pass
 *   memory.c    lifetimes, the arena, operators and their scratch
 *   stages.c    meshes with stages: which units are this rank's, and what it sends
 *   pack.c      training: which weights are packed when, and where they lie
 *   ranks.c     meshes: the box and the samples of each rank, and what ranks agree on
 *   gather.c    meshes: levels that all ranks compute whole
 *   exchange.c  what ranks send each other within a pass: margins, sums
 *   overlap.c   what is computed while margins are on their way
 *   buckets.c   sums of gradients over ranks
 *   run.c       memory, parameters, running the steps
 *   program.c           compiling: tries plans, takes the one that needs least memory
 *
 * A UNIT is a node, or a norm with the activation behind it. Unit u runs forward in
 * slot u and backward in slot 2*units-1-u. A VALUE is what a unit makes; while it can be read
 * it has a PLACE: a buffer and a channel range in it. A BUFFER is a piece of the arena that
 * lives from the first step that touches it to the last. A FORM is a parameter as some operator
 * reads it.
 */
#ifndef VOLT_NETS3D_PROGRAM_PROGRAM_INTERNAL_H
#define VOLT_NETS3D_PROGRAM_PROGRAM_INTERNAL_H
#include "nets3d/device/device_internal.h"
#include "nets3d/program.h"
#include "parallel/mesh/transfer.h"
VOLT_BEGIN_DECLS

/* A unit that gathers the parts of a value, or cuts this rank's part out. */
#define VOLT_NODE_REGRID ((volt_node_kind)100)
static inline bool volt_node_is_regrid(const volt_node *node)
{
    return node->kind == VOLT_NODE_REGRID;
}

/* A unit that gets a value from another stage. */
#define VOLT_NODE_RECEIVE ((volt_node_kind)101)
static inline bool volt_node_is_receive(const volt_node *node)
{
    return node->kind == VOLT_NODE_RECEIVE;
}

typedef struct volt_place {
    int buffer; /* -1 = none */
    volt_tensor tensor;
} volt_place;

typedef struct volt_unit {
    const volt_node *node; /* a norm: with activation by `slope` */
    int inputs;
    volt_value in[VOLT_NODE_MAX_INPUTS], out;
    double slope;      /* norm, activation; 1 = none */
    bool bias_cancels; /* an instance norm follows and takes any constant away */
    bool weights_learn, bias_learns;
    bool dealt;                   /* another rank computes the gradients of its parameters */
    int mean, rstd;               /* norm: buffers of the statistics (n,c); -1 = not yet */
    size_t packed[2];             /* batch norm in inference: where they lie instead */
    int factors;                  /* dropout: buffer of (n,c) factors; -1 = not yet */
    volt_place range;             /* concat: where the result is being gathered */
    uint64_t dense_out, dense_in; /* kinds of operators (bits) whose outputs or inputs the
                                   * device does not take with margins */
} volt_unit;

typedef struct volt_program_value {
    int64_t extent[5]; /* n c d h w; n = 0: not needed by any output. d h w of the box */
    int64_t global[3]; /* d h w of the whole value */
    volt_box box;      /* the part of it that is computed here */
    int64_t margin_low[3], margin_high[3];     /* voxels of neighbours that readers need, */
    int64_t gradient_low[3], gradient_high[3]; /* and that readers of its gradient need */
    bool exchanged, gradient_exchanged;        /* some part of the volume needs such voxels */
    bool gathered;       /* computed whole by all ranks, although the volume is cut */
    volt_value twin;     /* the same gathered or cut; -1 = none */
    volt_value alias;    /* the value that stands for this one (itself, unless an identity) */
    int unit;            /* that makes it; -1 = inside a fused unit */
    int consumers;       /* inputs of units that read it */
    int outputs;         /* times it is declared a graph output */
    int concat;          /* unit whose result it is written into; -1 = none */
    int64_t channel;     /* its first channel there */
    bool needs_gradient; /* some parameter that learns lies before it */
    bool anchor;         /* recomputing it would take too many units in a row */
    bool needed;         /* by backward, or again after it was dropped */
    bool keep;           /* stays from forward until its last use in backward */
    int first_demand, demands; /* slots that read it: p->demand[first_demand...] */
    int sums[2];    /* buffers of its sums for norms that read it, (n,c,2) and over the batch
                     * (1,c,2); -1 = not yet */
    bool summed[2]; /* over all parts */
    volt_transfer *plan[3]; /* mesh: of its margins, of its gradient's, of a twin's whole */
    volt_place place;
} volt_program_value;

typedef enum volt_operand_kind {
    VOLT_OPERAND_NONE = 0,
    VOLT_OPERAND_BUFFER,    /* index: buffer */
    VOLT_OPERAND_PARAMETER, /* index: parameter; plain float32 */
    VOLT_OPERAND_WEIGHTS,   /* index: parameter; in the operator's own layout */
    VOLT_OPERAND_GRADIENT,  /* index: parameter */
    VOLT_OPERAND_NEXT,      /* index: parameter, a state; what it becomes */
    VOLT_OPERAND_STATISTICS /* index: 2 * unit, mean, and 2 * unit + 1, rstd, of
                               volt_unit.packed */
} volt_operand_kind;

typedef struct volt_operand {
    volt_operand_kind kind;
    int index;
    volt_tensor tensor;
} volt_operand;

typedef enum volt_step_kind {
    VOLT_STEP_OPERATOR = 1,
    VOLT_STEP_INPUT,       /* the caller's input is copied into operand 0 */
    VOLT_STEP_DROPOUT,     /* operand 0 gets the factors of this run */
    VOLT_STEP_LOSS,        /* reads outputs and labels, may write gradients over the outputs */
    VOLT_STEP_SUMS,        /* operand 0, dense float64, becomes its sum over all parts of the
                            * volume and, with `over_batch`, over the parts of the batch */
    VOLT_STEP_MARGINS,     /* the margins of operand 0, whose box is that of `value`, are to be
                            * filled from other parts of the volume. All parts have the same of
                            * these steps, also those whose operand has no margins. With a mesh
                            * it sends what others need; operands 1 and 2 are messages */
    VOLT_STEP_MARGINS_END, /* mesh: the margins are there */
    VOLT_STEP_BUCKET,      /* mesh: starts the sum of a bucket; operand 0 is for messages */
    VOLT_STEP_BUCKET_END,  /* mesh: the sum is there */
    VOLT_STEP_SEND,        /* operand 0 goes to other stages; operand 1 is the message */
    VOLT_STEP_RECEIVE,     /* operand 0 comes from another stage; operand 2 is the message */
    VOLT_STEP_PACK         /* packs forms */
} volt_step_kind;

/* Passes that a step runs in. */
typedef enum volt_step_when {
    VOLT_ALWAYS = 0,
    VOLT_IN_TRAINING,   /* not in volt_program_evaluate */
    VOLT_IN_EVALUATION, /* of training programs */
    VOLT_AT_LOAD        /* in no pass, but when an inference program is loaded */
} volt_step_when;

/* Parts of a result that are computed one after another. */
typedef enum volt_step_part {
    VOLT_WHOLE = 0,
    VOLT_FACES, /* what other ranks need, before it is sent */
    VOLT_INSIDE /* the rest, while that is on its way */
} volt_step_part;

typedef struct volt_step {
    volt_step_kind kind;
    volt_step_when when;
    volt_step_part part;  /* operators */
    volt_op_spec spec;    /* operators only */
    int unit;             /* -1 = none */
    volt_value value;     /* VOLT_STEP_MARGINS, MARGINS_END, SEND, RECEIVE */
    int exchange;         /* the same with a mesh; BUCKET, BUCKET_END: number of the bucket */
    bool backward, again; /* again: recomputes a value of forward */
    bool over_batch;      /* VOLT_STEP_SUMS */
    int operands;
    volt_operand operand[VOLT_OP_MAX_TENSORS];
    volt_op *op;
    volt_op_info info;
    char *name;
    double seconds;
    size_t live;          /* bytes of the arena in use */
    size_t packed_offset; /* inference: of its weights among the packed ones */
    int form, forms;      /* training: of its weights, -1 = none; PACK: the first, how many */
    void *pointer[VOLT_OP_MAX_TENSORS];
} volt_step;

typedef struct volt_buffer {
    size_t bytes, offset;
    int first, last; /* steps */
    bool in_scratch; /* behind what operators use of the scratch, not in the arena */
} volt_buffer;

/* Weights of `param` in the layout that `op` reads, in a training program. Unless forms are
 * kept, one that both passes use may be packed twice, once in each. */
typedef struct volt_form {
    volt_op *op; /* of its first user, which packs it */
    int param;
    int buffer;         /* -1 = it is kept, */
    size_t kept_offset; /* so many bytes from p->packed */
    bool backward;      /* packed in the backward pass */
} volt_form;

/* What a step exchanges with other ranks. Boxes are packed into messages and unpacked from them
 * by operators; a device that the host cannot reach gets and gives its messages by way of the
 * host. */
typedef struct volt_exchange {
    volt_value value;
    volt_place from, to;            /* the same for margins */
    int64_t from_low[3], to_low[3]; /* first voxels of their boxes */
    volt_transfer *plan;            /* the value's */
    volt_op **pack;        /* of each send and, behind them, each receive; NULL: the message
                            * is the one before */
    volt_message *message; /* the same; their memory is that of a run */
    size_t *offset;        /* the same: in the buffer of sends, of receives */
    int send, receive;     /* buffers; -1 = nothing to send, to receive */
    size_t sent, received; /* bytes of these */
    size_t host_offset;    /* of the messages among the host's copies */
    volt_ticket *ticket;   /* while it is on its way */
    bool link;             /* between stages: the plan is its own, tickets are in p->links */
    bool backward;         /* link: of the backward pass */
} volt_exchange;

/* Gradients of some parameters, next to each other, that are added over all ranks by one call.
 */
typedef struct volt_bucket {
    int64_t first, count; /* in the flat array */
    int slot;             /* of its last writer, the same on all ranks */
    int scratch;          /* buffer; -1 = needs none */
    volt_ticket *ticket;  /* while it is on its way */
} volt_bucket;

/* A gradient on its way to `value`. Several may refer to the same memory; it may be overwritten
 * when only one is left. */
typedef struct volt_gradient {
    volt_value value;
    volt_place place;
    int memory; /* index into p->references */
} volt_gradient;

/* What the device turned out not to do. */
typedef enum volt_restriction {
    VOLT_NO_PLAIN_INPUT = 1,
    VOLT_NO_PLAIN_OUTPUT = 2,
    VOLT_NO_RANGES = 4,
    VOLT_NO_SECOND_GRADIENT = 8,
    VOLT_NO_CONV_SUMS = 16,
    VOLT_NO_MARGINS = 32 /* of some operators: volt_unit.dense_out, dense_in */
} volt_restriction;

typedef enum volt_run_state {
    VOLT_RUN_NONE,
    VOLT_RUN_FORWARD,
    VOLT_RUN_EVALUATED, /* forward, without dropout */
    VOLT_RUN_GRADIENT
} volt_run_state;

/* What a rank has of a value, and the voxels around it that it needs. */
typedef struct volt_peer_value {
    volt_box box, need, gradient_need;
} volt_peer_value;

/* What stages have to do with a value. */
typedef struct volt_stage_value {
    int stage;        /* that computes it */
    uint64_t readers; /* the others that read it, as bits */
} volt_stage_value;

struct volt_program {
    const volt_graph *graph;
    const volt_device *device;
    volt_stream *stream;     /* all that the program does goes through it */
    volt_capture **captures; /* (2, arenas, steps): of the steps from there on, for training and
                              * for evaluation; NULL where the device has none */
    bool evaluates_apart;    /* some steps run in evaluation alone; else it has no captures */
    volt_program_options options;
    volt_dtype dtype; /* of activations */
    unsigned restrictions;
    int window; /* a value is held for this many slots rather than recomputed */
    bool part;  /* of a volume; the window is that of the whole */

    volt_unit *units;
    int unit_count;
    volt_program_value *values;
    int value_count;
    int *demand;
    int slot;            /* being compiled */
    volt_step_when when; /* of the steps that are added */

    volt_step *steps;
    int step_count, step_capacity;
    int loss_step;
    int update_steps; /* the last ones, which follow an update: 1 packs kept forms, or 0 */
    volt_buffer *buffers;
    int buffer_count, buffer_capacity;
    volt_form *forms;
    volt_pack *packs; /* the call of each form */
    int form_count;
    volt_gradient *pending;
    int pending_count, pending_capacity;
    int *references; /* gradients that still refer to each memory */
    int memory_count, memory_capacity;
    volt_place *outputs; /* of each graph output, PLAIN float32 */
    int labels;          /* buffer */

    volt_program_memory memory;
    size_t *parameter_offset; /* inference: plain vectors among the packed weights, bytes */
    size_t loss_scratch;      /* of the device; the sums of the loss lie behind it */
    size_t loss_bytes;        /* with them */
    size_t scratch_bytes;     /* without the result of the last loss, which lies behind */
    float *weights, *gradients, *average; /* average: of gradients, with `accumulate` */
    float *next;                          /* what the state behind `weights` becomes */
    unsigned char *packed, *arenas, *scratch;
    unsigned char *arena;     /* the one in use */
    size_t arena_bytes;       /* of one */
    int arena_number;         /* number of the arena in use */
    volt_run_state state;     /* of the arena in use, */
    volt_run_state *states;   /* of the others */
    volt_loss_block *loss;    /* result of the last loss */
    int loss_values;          /* values that its labels may have; 0 = there was none */
    const double *loss_scale; /* NULL = 1 */
    int64_t first_sample;
    bool loaded, profile;

    /* Of programs with a mesh of more than one rank, else 0 and NULL. */
    volt_comm *world, *space;
    int parts;              /* ranks of the space */
    volt_peer_value *peers; /* (parts, values); while compiling */
    volt_node *regrids;     /* of the units that gather.c or stages.c adds */
    int regrid_count;
    bool gathers;
    int64_t samples, own_first; /* of the whole batch, and the first of them that is ours */
    volt_exchange *exchanges;
    int exchange_count, exchange_capacity;
    volt_bucket *buckets;
    int bucket_count;
    /* Of programs that are one of several stages, else 0 and NULL. */
    volt_comm *stages;
    int stage;
    volt_unit *network; /* the units of all stages */
    int network_count;
    volt_stage_value *stage_values; /* per value */
    volt_ticket **links;            /* (arenas, exchanges): sends on their way */
    unsigned char *host; /* copies of messages, where the host cannot reach the device's */
    size_t host_bytes, host_buckets; /* of all; where those of buckets begin */
    int on_their_way;                /* tickets */
    int64_t bad_voxel, bad_label;    /* of the last loss, in the whole batch; -1 = none */
};

/* shapes.c: fills units and values. VOLT_EINVAL names node, axis and value. */
VOLT_MUST_USE volt_status volt_program_shapes(volt_program *p);
const char *volt_node_kind_name(volt_node_kind kind);
/* What a message calls a node. */
const char *volt_program_node_name(const volt_program *p, const volt_node *node);

/* Whether the value's box is the whole value along an axis. */
static inline bool volt_value_is_whole(const volt_program_value *v, int axis)
{
    return v->box.low[axis] == 0 && v->box.high[axis] == v->global[axis];
}

/* boxes.c: from the extents of whole values their boxes, and extents of those. VOLT_EINVAL and
 * VOLT_ENOTSUP name node and axis. */
VOLT_MUST_USE volt_status volt_program_boxes(volt_program *p);
/* margins.c: the margins that units need. */
void volt_program_margins(volt_program *p);
/* The window of unit u on its box: padding only where the whole value ends. */
volt_conv volt_program_window(const volt_program *p, const volt_unit *u);
/* Whether the margins of `t` hold what readers of v need, or of its gradient. */
bool volt_program_covers(const volt_program *p, const volt_tensor *t, volt_value v,
                         bool gradient);

/* keep.c: which slots read which value, and what is stored. */
VOLT_MUST_USE volt_status volt_program_decide(volt_program *p);
/* Whether value v stays readable after `slot`. */
bool volt_program_holds(const volt_program *p, volt_value v, int slot);
bool volt_program_demanded_at(const volt_program *p, volt_value v, int slot);
/* Whether v, once computed, is held without a break until `slot`. */
bool volt_program_holds_until(const volt_program *p, volt_value v, int slot);
static inline bool volt_program_trains(const volt_program *p)
{
    return p->options.mode == VOLT_TRAIN;
}

/* Of the parameters that learn. */
static inline size_t volt_program_gradient_bytes(const volt_program *p)
{
    return (size_t)volt_graph_learned_elements(p->graph) * sizeof(float);
}

/* Of the parameters that do not. */
static inline size_t volt_program_state_bytes(const volt_program *p)
{
    return (size_t)volt_graph_param_elements(p->graph) * sizeof(float) -
           volt_program_gradient_bytes(p);
}

static inline bool volt_is_norm(volt_node_kind kind)
{
    return kind == VOLT_NODE_INSTANCE_NORM || kind == VOLT_NODE_BATCH_NORM;
}

/* Whether the statistics of a norm span all samples. */
static inline bool volt_unit_over_batch(const volt_unit *u)
{
    return u->node->kind == VOLT_NODE_BATCH_NORM;
}

/* steps.c */
void volt_program_clear_steps(volt_program *p);
void volt_program_clear_exchange(volt_program *p, volt_exchange *x);
VOLT_MUST_USE volt_status volt_program_add_buffer(volt_program *p, int *out, size_t bytes);
/* A new buffer for the whole of `tensor`. */
VOLT_MUST_USE volt_status volt_program_add_place(volt_program *p, volt_place *out,
                                                 volt_tensor tensor);
VOLT_MUST_USE volt_status volt_program_add_step(volt_program *p, const volt_step *step);
/* Adds VOLT_STEP_SUMS for a norm, where the program computes a part of what they span. */
VOLT_MUST_USE volt_status volt_program_add_sum(volt_program *p, int unit,
                                               const volt_operand *sums);
/* Adds an operator with the settings of `unit`. */
VOLT_MUST_USE volt_status volt_program_add_operator(volt_program *p, volt_op_kind kind,
                                                    int unit, const volt_operand *operands);
#define VOLT_EMIT(p, kind, unit, ...)                                                          \
    volt_program_add_operator(p, kind, unit, (const volt_operand[]){__VA_ARGS__})
/* Adds PACK_BOX or UNPACK_BOX. */
VOLT_MUST_USE volt_status volt_program_add_box(volt_program *p, volt_op_kind kind, int unit,
                                               const volt_place *from, const volt_place *to,
                                               volt_box box);
/* Whole, native, with the value's margins or those of its gradient. */
volt_tensor volt_program_tensor(const volt_program *p, volt_value v);
volt_tensor volt_program_gradient_tensor(const volt_program *p, volt_value v);
volt_tensor volt_program_plain_tensor(const volt_program *p, volt_value v); /* no margins */
/* Channels from `channel` on of `of`, with v's channels. */
volt_place volt_program_range(const volt_program *p, const volt_place *of, volt_value v,
                              int64_t channel);
/* Whether the range from `channel` on may be an operand of any operator. */
bool volt_program_aligned(const volt_program *p, volt_value concat, volt_value v,
                          int64_t channel);
bool volt_place_equal(const volt_place *a, const volt_place *b);
volt_operand volt_operand_none(void);
volt_operand volt_operand_place(const volt_place *place);
volt_operand volt_operand_vector(int buffer, int64_t n, int64_t c); /* dense, in the arena */
volt_operand volt_operand_sums(int buffer, int64_t n,
                               int64_t c); /* (n,c,2) float64, the same */
volt_operand volt_operand_statistics(int unit, int which, int64_t n, int64_t c);
volt_operand volt_operand_param(const volt_program *p, volt_operand_kind kind, int param);

/* forward.c */
VOLT_MUST_USE volt_status volt_program_emit_forward(volt_program *p);
/* Makes v readable, recomputing what it takes. */
VOLT_MUST_USE volt_status volt_program_materialize(volt_program *p, volt_value v);
/* Forgets the places of values that are not held after the current slot. */
void volt_program_drop(volt_program *p);

/* backward.c */
VOLT_MUST_USE volt_status volt_program_emit_backward(volt_program *p);

/* memory.c */
/* Finds lifetimes; gives the most bytes that live at one time. */
size_t volt_program_least(volt_program *p);
/* Arena offsets; gives the arena's bytes, which come close to the above. */
VOLT_MUST_USE volt_status volt_program_arrange(volt_program *p, size_t *bytes);
/* VOLT_EINTERNAL when two buffers that live at the same time overlap. */
VOLT_MUST_USE volt_status volt_program_verify(const volt_program *p);
/* Creates the operators. VOLT_ENOTSUP: *refused is the step that the device cannot do. */
VOLT_MUST_USE volt_status volt_program_create_operators(volt_program *p, int *refused);
/* Fills the announced memory, without that of packed weights in training programs. */
VOLT_MUST_USE volt_status volt_program_account(volt_program *p, size_t arena);
/* What step s uses of the scratch. */
size_t volt_program_scratch_of(const volt_program *p, const volt_step *s);
/* Offset, at `from` or above, in the smallest gap that holds b among those of `others` that
 * live at the same time in the same block of memory; behind them all if there is no such gap.
 * Passes over b itself and buffers without an offset. `neighbours`: space for `count` numbers.
 */
size_t volt_program_gap(const volt_program *p, const volt_buffer *b, const int *others,
                        int count, size_t from, int *neighbours);
#define VOLT_NOWHERE SIZE_MAX /* no offset yet */

/* Fills the live bytes of each step. */
void volt_program_count_live(volt_program *p);

/* pack.c: gives the weights of a training program their places, in the room that activations
 * leave in the arena and in the scratch, which grows only if there is no other; or, with
 * `keep_forms`, in memory of their own. Adds the steps that pack them. */
VOLT_MUST_USE volt_status volt_program_place_forms(volt_program *p);

/* exchange.c: adds VOLT_STEP_MARGINS for value v, or its gradient, at `place`; not where nobody
 * needs any. */
VOLT_MUST_USE volt_status volt_program_add_exchange(volt_program *p, int unit, volt_value v,
                                                    const volt_place *place, bool gradient);

/* run.c */
/* Runs the steps first..last-1. At VOLT_STEP_MARGINS and VOLT_STEP_SUMS, which do nothing here,
 * whoever runs the parts of a volume stops and does what they ask. `input` as in
 * volt_program_forward, NULL in the backward pass. The last `update_steps` belong to no pass:
 * volt_program_pack runs them. */
VOLT_MUST_USE volt_status volt_program_run_part(volt_program *p, int first, int last,
                                                const float *input);

VOLT_END_DECLS
#endif
