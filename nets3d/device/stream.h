/* stream.h - in which order a device does what it is given.
 *
 * A STREAM is a queue. A device may run a call after the call has returned; calls in one stream
 * run in their order. Calls in different streams run in any order, unless an EVENT lies between
 * them: what stream b is given after volt_event_wait(e, b) runs after all that stream a was
 * given before volt_event_record(e, a). A call of the table with the stream NULL has run when
 * it returns, and waits for no stream.
 *
 * A CAPTURE is a list of calls that was recorded once and is launched many times, which costs
 * less than the calls. Addresses and what else the calls were given by value stay as they were:
 * the caller records again for other addresses, and holds operators and memory until the last
 * launch has been waited for. A capture may outlive the stream that recorded it.
 *
 * A device without the table below runs every call at once. For it the functions here do
 * nothing, at no cost, and streams, events and captures are NULL.
 *
 * Threads  a stream, an event, a capture: one thread at a time.
 */
#ifndef VOLT_NETS3D_DEVICE_STREAM_H
#define VOLT_NETS3D_DEVICE_STREAM_H
#include <stdbool.h>
#include <stddef.h>
#include "nets3d/device.h"
VOLT_BEGIN_DECLS

typedef struct volt_event volt_event;     /* the device's own, as volt_stream */
typedef struct volt_capture volt_capture; /* the same */

/* What a device with streams fills in. No member but the capture's may be NULL. */
typedef struct volt_stream_table {
    volt_status (*create)(const volt_device *dev, volt_stream **out);
    void (*destroy)(const volt_device *dev, volt_stream *s); /* waits for what it was given */
    /* Waits for what it was given; fails as the first call since the last sync that failed. */
    volt_status (*sync)(const volt_device *dev, volt_stream *s);

    volt_status (*event_create)(const volt_device *dev, volt_event **out);
    void (*event_destroy)(const volt_device *dev, volt_event *e);
    volt_status (*record)(const volt_device *dev, volt_event *e, volt_stream *s);
    /* Nothing to wait for if `e` was never recorded; here and below. */
    volt_status (*wait)(const volt_device *dev, volt_event *e, volt_stream *s);
    /* The host waits. */
    volt_status (*event_sync)(const volt_device *dev, volt_event *e);

    /* All four NULL, or capture_begin VOLT_ENOTSUP: the caller makes the calls each time.
     * Between begin and end the stream records its calls, op_run and the packing of weights,
     * and runs none of them. They may be the first of their operators, and other threads use
     * the device meanwhile. capture_end must follow, also after a failure; then *out stays
     * NULL. */
    volt_status (*capture_begin)(const volt_device *dev, volt_stream *s);
    volt_status (*capture_end)(const volt_device *dev, volt_stream *s, volt_capture **out);
    volt_status (*capture_launch)(const volt_device *dev, volt_capture *c, volt_stream *s);
    void (*capture_free)(const volt_device *dev, volt_capture *c); /* NULL is allowed */
} volt_stream_table;

/* The caller owns *out. */
VOLT_MUST_USE volt_status volt_stream_create(volt_stream **out, const volt_device *dev);
/* NULL is allowed here and below. */
void volt_stream_destroy(const volt_device *dev, volt_stream *s);
VOLT_MUST_USE volt_status volt_stream_sync(const volt_device *dev, volt_stream *s);
VOLT_MUST_USE volt_status volt_event_create(volt_event **out, const volt_device *dev);
void volt_event_destroy(const volt_device *dev, volt_event *e);
VOLT_MUST_USE volt_status volt_event_record(const volt_device *dev, volt_event *e,
                                            volt_stream *s);
VOLT_MUST_USE volt_status volt_event_wait(const volt_device *dev, volt_event *e,
                                          volt_stream *s);
VOLT_MUST_USE volt_status volt_event_sync(const volt_device *dev, volt_event *e);
/* Whether the device may be able to capture. */
bool volt_device_captures(const volt_device *dev);

/* Host memory that upload and download reach without a copy in between: see device_internal.h.
 * Ordinary memory where the device has no other, or `dev` is NULL. The caller owns *out
 * (volt_pinned_free), and writes it again only when what reads it has been waited for. */
VOLT_MUST_USE volt_status volt_pinned_alloc(void **out, const volt_device *dev, size_t bytes,
                                            const char *what);
void volt_pinned_free(const volt_device *dev, void *p);

VOLT_END_DECLS
#endif
