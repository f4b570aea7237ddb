#include "nets3d/device/stream.h"

#include "base/core/alloc.h"
#include "nets3d/device/device_internal.h"

volt_status volt_stream_create(volt_stream **out, const volt_device *dev)
{
    *out = NULL;
    return dev->streams ? dev->streams->create(dev, out) : VOLT_OK;
}

void volt_stream_destroy(const volt_device *dev, volt_stream *s)
{
    if (s)
        dev->streams->destroy(dev, s);
}

volt_status volt_stream_sync(const volt_device *dev, volt_stream *s)
{
    return s ? dev->streams->sync(dev, s) : VOLT_OK;
}

volt_status volt_event_create(volt_event **out, const volt_device *dev)
{
    *out = NULL;
    return dev && dev->streams ? dev->streams->event_create(dev, out) : VOLT_OK;
}

void volt_event_destroy(const volt_device *dev, volt_event *e)
{
    if (e)
        dev->streams->event_destroy(dev, e);
}

volt_status volt_event_record(const volt_device *dev, volt_event *e, volt_stream *s)
{
    return e && s ? dev->streams->record(dev, e, s) : VOLT_OK;
}

volt_status volt_event_wait(const volt_device *dev, volt_event *e, volt_stream *s)
{
    return e && s ? dev->streams->wait(dev, e, s) : VOLT_OK;
}

volt_status volt_event_sync(const volt_device *dev, volt_event *e)
{
    return e ? dev->streams->event_sync(dev, e) : VOLT_OK;
}

bool volt_device_captures(const volt_device *dev)
{
    return dev->streams && dev->streams->capture_begin;
}

volt_status volt_pinned_alloc(void **out, const volt_device *dev, size_t bytes,
                              const char *what)
{
    return dev && dev->pinned_alloc ? dev->pinned_alloc(dev, out, bytes, what)
                                    : volt_alloc(out, bytes, what);
}

void volt_pinned_free(const volt_device *dev, void *p)
{
    if (p && dev && dev->pinned_free)
        dev->pinned_free(dev, p);
    else
        volt_free(p);
}
