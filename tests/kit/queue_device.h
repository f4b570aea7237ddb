/* queue_device.h - a device that computes as another does, but later, and in memory of its own.
 *
 * Streams   calls are queued. They run when a sync, an event or a download demands it, or at
 *           random before; always in a legal order, which the seed chooses.
 * Memory    addresses of the device cannot be read or written by the host: that is a crash.
 *           Addresses of the host where the device's belong make the call fail. Fresh memory
 *           holds NaN. There may be little of it.
 * Faults    are counted: two streams use the same memory, one of them writing, and nothing
 *           orders them; pinned memory changes while an upload is still to read it; an operator
 *           is freed before it has run; anything else that the table forbids.
 *
 * What gives the same bits here as on the other device, without faults, uses streams as a GPU
 * wants it.
 */
#ifndef VOLT_TESTS_QUEUE_DEVICE_H
#define VOLT_TESTS_QUEUE_DEVICE_H
#include "nets3d/device/device_internal.h"

typedef struct queue_options {
    uint64_t seed; /* of the order; 0: nothing runs before it must */
    bool scores;   /* tiles' scores are added up on the device, otherwise by the host */
    bool no_capture;
    size_t memory;    /* bytes that the device has; 0: as many as the host */
    bool keeps_forms; /* as the device's table has it */
    bool fp16;        /* also, where the other device's operators can */
} queue_options;

/* Wraps *device, an open one with host memory, which closes with it. */
void queue_device_open(volt_device **device, queue_options options);

typedef struct queue_counts {
    int64_t calls;    /* made in streams */
    int64_t deferred; /* that ran after they had returned */
    int64_t launches; /* of captures */
    int64_t scores;   /* calls of the scores' table */
    int64_t faults;
    char fault[200]; /* the first */
} queue_counts;
queue_counts queue_device_counts(const volt_device *dev);

#endif
