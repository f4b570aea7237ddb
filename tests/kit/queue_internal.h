/* queue_internal.h - inside the queue device: memory and order. */
#ifndef VOLT_TESTS_QUEUE_INTERNAL_H
#define VOLT_TESTS_QUEUE_INTERNAL_H
#include <pthread.h>
#include "base/rng.h"
#include "tests/kit/queue_device.h"

#define QUEUE_STREAMS  16 /* at one time */
#define QUEUE_ACCESSES (2 * VOLT_OP_MAX_TENSORS + 4)

/* Device memory, as the program sees it (`handle`, which nobody can touch) and as it is. Pinned
 * memory has no handle. */
typedef struct queue_block {
    unsigned char *handle, *real;
    size_t bytes, mapped;
    struct queue_block *next;
} queue_block;

/* When something happened: how much of each stream lies before it. */
typedef struct queue_clock {
    uint64_t at[QUEUE_STREAMS];
} queue_clock;

/* A use of memory that may overlap a later one. */
typedef struct queue_access {
    const unsigned char *low, *high;
    bool write;
    int stream;
    uint64_t time; /* in that stream */
} queue_access;

typedef enum queue_kind {
    QUEUE_COPY = 1, /* to, from (or staged), bytes */
    QUEUE_PACK,
    QUEUE_FACTORS,
    QUEUE_RUN,
    QUEUE_LOSS_SUMS,
    QUEUE_LOSS_GRADIENT,
    QUEUE_SQUARES,
    QUEUE_BEGIN,
    QUEUE_SGD,
    QUEUE_ADAM,
    QUEUE_ACCUMULATE,
    QUEUE_STATE,
    QUEUE_ADD_SCORES,
    QUEUE_RECORD, /* ticket */
    QUEUE_WAIT    /* ticket; 0 = nothing */
} queue_kind;

/* The arguments of accumulate. */
typedef struct queue_sum_call {
    float *sum;
    const float *x;
    int64_t count;
    double scale;
    bool first;
    int threads;
} queue_sum_call;

/* One call. All pointers are real ones; what the host may change is copied. */
typedef struct queue_item {
    queue_kind kind;
    volt_op *op; /* the inner device's */
    void *operand[VOLT_OP_MAX_TENSORS];
    void *to;
    const void *from;
    void *staged; /* what `from` held; also the loss's class weights and regions */
    size_t bytes;
    uint32_t sum; /* of pinned memory that `from` is; else 0 */
    union {
        volt_factors_call factors;
        volt_loss_call loss;
        volt_squares_call squares;
        volt_update_call begin;
        volt_sgd_call sgd;
        volt_adam_call adam;
        queue_sum_call accumulate;
        volt_state_call state;
        struct {
            volt_stitch stitch;
            volt_stitch_tile tile;
            bool flip[3];
            int threads;
        } scores;
    } call;
    uint64_t ticket;
    int accesses;
    queue_access access[QUEUE_ACCESSES];
    bool borrows; /* a launch: `staged` is the capture's */
    struct queue_item *next;
} queue_item;

struct volt_stream {
    int number; /* 0 is the host's own order */
    queue_item *first, **last;
    queue_clock clock;
    bool capturing;
    volt_status st; /* of the first call that failed */
    char message[200];
};

struct volt_event {
    uint64_t ticket;
    queue_clock clock;
};

struct volt_capture {
    queue_item *first;
};

typedef struct queue {
    volt_device *inner;
    queue_options options;
    pthread_mutex_t lock;
    volt_rng rng;
    queue_block *blocks, *pinned;
    volt_stream *streams[QUEUE_STREAMS]; /* from 1 */
    queue_clock host;                    /* what the host has waited for */
    uint64_t times[QUEUE_STREAMS];       /* of the last call in each stream */
    queue_access *accesses;
    size_t access_count, access_room;
    bool *done; /* by ticket */
    uint64_t tickets, ticket_room;
    queue_counts counts;
} queue;

static inline queue *queue_of(const volt_device *dev)
{
    return dev->context;
}

volt_status queue_fault(queue *q, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- memory (queue_memory.c) ---- */

/* What queue_alloc gives at most; SIZE_MAX without a limit. */
size_t queue_available(const queue *q);
volt_status queue_alloc(queue *q, void **out, size_t bytes, const char *what);
/* A device address for `real`, which the inner device can release. */
void *queue_adopt(queue *q, void *real, size_t bytes);
void queue_release(queue *q, void *p);
volt_status queue_pinned_alloc(queue *q, void **out, size_t bytes, const char *what);
void queue_pinned_free(queue *q, void *p);
bool queue_is_device(const queue *q, const void *p);
bool queue_is_pinned(const queue *q, const void *p);
/* Where `bytes` at the device's address `p` really are; NULL stays. A fault otherwise. */
volt_status queue_real(queue *q, void **out, const void *p, size_t bytes);
void *queue_handle(const queue *q, const void *real);
uint32_t queue_sum(const void *p, size_t bytes);

/* ---- order (queue_order.c) ---- */

queue_item *queue_item_new(queue_kind kind);
void queue_item_free(queue_item *item);
/* Notes that the item uses so many bytes at a real address. */
void queue_uses(queue_item *item, const void *real, size_t bytes, bool write);
/* Takes the item: to the end of the stream, or, with the stream NULL, to be run at once. */
volt_status queue_give(queue *q, volt_stream *s, queue_item *item);
volt_status queue_sync(queue *q, volt_stream *s);
void queue_sync_all(queue *q);
bool queue_has_op(const queue *q, const volt_op *op);
extern const volt_stream_table queue_streams, queue_streams_without_capture;
extern const volt_scores_table queue_scores; /* queue_scores.c */

#endif
