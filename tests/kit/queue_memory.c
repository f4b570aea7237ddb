#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/core/alloc.h"
#include "io/archive/crc32.h"
#include "tests/kit/queue_internal.h"
#include "tests/kit/test.h"

volt_status queue_fault(queue *q, const char *format, ...)
{
    char text[sizeof q->counts.fault];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (q->counts.faults++ == 0)
        memcpy(q->counts.fault, text, sizeof text);
    return volt_fail(VOLT_EINTERNAL, "queue device: %s", text);
}

static queue_block *block_of(const queue *q, const void *p)
{
    const unsigned char *at = p;

    for (queue_block *b = q->blocks; b; b = b->next) {
        if (at >= b->handle && at < b->handle + b->mapped)
            return b;
    }
    return NULL;
}

bool queue_is_device(const queue *q, const void *p)
{
    return block_of(q, p) != NULL;
}

bool queue_is_pinned(const queue *q, const void *p)
{
    const unsigned char *at = p;

    for (const queue_block *b = q->pinned; b; b = b->next) {
        if (at >= b->real && at < b->real + b->bytes)
            return true;
    }
    return false;
}

volt_status queue_real(queue *q, void **out, const void *p, size_t bytes)
{
    const queue_block *b = p ? block_of(q, p) : NULL;

    *out = NULL;
    if (!p)
        return VOLT_OK;
    if (!b)
        return queue_fault(q, "%p is no memory of the device", p);
    if (bytes > b->bytes - (size_t)((const unsigned char *)p - b->handle))
        return queue_fault(q, "%zu bytes at %p leave their memory", bytes, p);
    *out = b->real + ((const unsigned char *)p - b->handle);
    return VOLT_OK;
}

void *queue_handle(const queue *q, const void *real)
{
    for (const queue_block *b = q->blocks; real && b; b = b->next) {
        if ((const unsigned char *)real >= b->real &&
            (const unsigned char *)real < b->real + b->bytes)
            return b->handle + ((const unsigned char *)real - b->real);
    }
    return NULL;
}

uint32_t queue_sum(const void *p, size_t bytes)
{
    const uint32_t sum = volt_crc32(0, p, bytes);

    return sum ? sum : 1;
}

void *queue_adopt(queue *q, void *real, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    queue_block *b = calloc(1, sizeof *b);

    assert_non_null(b);
    b->real = real;
    b->bytes = bytes;
    b->mapped = (bytes / page + 1) * page;
    b->handle =
        mmap(NULL, b->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(b->handle != MAP_FAILED);
    b->next = q->blocks;
    q->blocks = b;
    return b->handle;
}

size_t queue_available(const queue *q)
{
    size_t used = 0;

    for (const queue_block *b = q->blocks; b; b = b->next)
        used += b->bytes;
    if (!q->options.memory)
        return SIZE_MAX;
    return q->options.memory > used ? q->options.memory - used : 0;
}

volt_status queue_alloc(queue *q, void **out, size_t bytes, const char *what)
{
    void *real = NULL;
    volt_status st;

    if (bytes > queue_available(q))
        return volt_fail(VOLT_ENOMEM, "queue device: no memory for %s", what);
    st = q->inner->alloc(q->inner, &real, bytes, what);
    if (st == VOLT_OK) {
        memset(real, 0xff, bytes); /* NaN in every type */
        *out = queue_adopt(q, real, bytes);
    }
    return st;
}

void queue_release(queue *q, void *p)
{
    queue_block **at = &q->blocks;

    while (*at && (*at)->handle != p)
        at = &(*at)->next;
    if (!*at) {
        if (p)
            (void)queue_fault(q, "%p is released, but was not allocated", p);
        return;
    }
    queue_block *b = *at;
    *at = b->next;
    munmap(b->handle, b->mapped);
    q->inner->release(q->inner, b->real);
    free(b);
}

volt_status queue_pinned_alloc(queue *q, void **out, size_t bytes, const char *what)
{
    queue_block *b = calloc(1, sizeof *b);
    volt_status st;

    assert_non_null(b);
    VOLT_TRY(st, done, volt_alloc(out, bytes, what));
    b->real = *out;
    b->bytes = bytes;
    b->next = q->pinned;
    q->pinned = b;
    b = NULL;
done:
    free(b);
    return st;
}

void queue_pinned_free(queue *q, void *p)
{
    queue_block **at = &q->pinned;

    while (*at && (*at)->real != p)
        at = &(*at)->next;
    if (!*at) {
        (void)queue_fault(q, "%p is freed, but is no pinned memory", p);
        return;
    }
    queue_block *b = *at;
    *at = b->next;
    volt_free(b->real);
    free(b);
}
