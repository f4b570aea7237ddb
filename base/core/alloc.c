#define _GNU_SOURCE
#include "base/core/alloc.h"
#include "base/core/available.h"
#include "base/core/plural.h"
#include "base/core/reserve.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* In front of every block: its size, for the accounts. */
typedef union block_header {
    size_t bytes;
    unsigned char pad[VOLT_ALIGN_BYTES];
} block_header;

#define HUGE_BLOCK_BYTES ((size_t)4 << 20)
#define HUGE_PAGE_BYTES  ((size_t)2 << 20)
/* From here on the kernel is not trusted to refuse what it cannot fill. */
#define CHECKED_BYTES ((size_t)64 << 20)

static _Atomic size_t current_bytes;
static _Thread_local volt_mem_scope *innermost;
static _Atomic int64_t allocations_until_failure;

static bool told_to_fail(void)
{
    if (atomic_load(&allocations_until_failure) == 0)
        return false;
    if (atomic_load(&allocations_until_failure) == 1)
        return true; /* and stays there: all later ones fail too */
    atomic_fetch_sub(&allocations_until_failure, 1);
    return false;
}

/* `bytes` more are held, or fewer when negative. */
static void account(int64_t bytes)
{
    atomic_fetch_add(&current_bytes, (size_t)bytes);
    for (volt_mem_scope *s = innermost; s; s = s->outer) {
        const int64_t now = __atomic_add_fetch(&s->held, bytes, __ATOMIC_RELAXED);
        int64_t peak = __atomic_load_n(&s->peak, __ATOMIC_RELAXED);

        while (now > peak && !__atomic_compare_exchange_n(&s->peak, &peak, now, true,
                                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            ;
    }
}

volt_status volt_alloc(void *out, size_t bytes, const char *what)
{
    const size_t align = bytes >= HUGE_BLOCK_BYTES ? HUGE_PAGE_BYTES : VOLT_ALIGN_BYTES;
    void *raw = NULL;
    block_header *h;

    if (bytes >= CHECKED_BYTES && volt_mem_check(bytes, what) != VOLT_OK)
        return VOLT_ENOMEM;
    if (bytes <= (size_t)PTRDIFF_MAX - 2 * HUGE_PAGE_BYTES && !told_to_fail() &&
        posix_memalign(&raw, align, bytes + sizeof *h) != 0)
        raw = NULL;
    if (raw && !volt_reserve_stays(bytes)) {
        free(raw);
        raw = NULL;
    }
    if (!raw)
        return volt_fail(VOLT_ENOMEM, "no memory for %s (%zu byte%s)", what, bytes,
                         volt_s((int64_t)bytes));
    if (bytes >= HUGE_BLOCK_BYTES)
        (void)madvise(raw, bytes + sizeof *h, MADV_HUGEPAGE); /* a wish; refusal is fine */
    h = raw;
    h->bytes = bytes;
    account((int64_t)bytes);
    *(void **)out = h + 1;
    return VOLT_OK;
}

volt_status volt_alloc_zero(void *out, size_t count, size_t bytes_each, const char *what)
{
    size_t bytes;
    volt_status st;

    if (__builtin_mul_overflow(count, bytes_each, &bytes))
        return volt_fail(VOLT_ENOMEM, "no memory for %s (%zu items of %zu bytes)", what, count,
                         bytes_each);
    st = volt_alloc(out, bytes, what);
    if (st == VOLT_OK)
        memset(*(void **)out, 0, bytes);
    return st;
}

volt_status volt_realloc(void *block, size_t used, size_t bytes, const char *what)
{
    void *old = *(void **)block, *grown = NULL;
    volt_status st = volt_alloc(&grown, bytes, what);

    if (st != VOLT_OK)
        return st;
    if (old)
        memcpy(grown, old, used);
    volt_free(old);
    *(void **)block = grown;
    return VOLT_OK;
}

void volt_free(void *p)
{
    if (p) {
        block_header *h = (block_header *)p - 1;
        account(-(int64_t)h->bytes);
        free(h);
    }
}

void volt_shrink(void *p, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first, end;
    block_header *h;

    if (!p)
        return;
    h = (block_header *)p - 1;
    assert(bytes <= h->bytes);
    first = ((uintptr_t)p + bytes + page - 1) / page * page;
    end = ((uintptr_t)p + h->bytes) / page * page;
    if (first < end)
        (void)madvise((void *)first, end - first,
                      MADV_DONTNEED); /* refusal costs memory only */
    account((int64_t)bytes - (int64_t)h->bytes);
    h->bytes = bytes;
}

volt_status volt_strdup(char **out, const char *s)
{
    const size_t bytes = strlen(s) + 1;
    char *copy = NULL;
    volt_status st = volt_alloc(&copy, bytes, "a string");

    if (st == VOLT_OK) {
        memcpy(copy, s, bytes);
        *out = copy;
    }
    return st;
}

volt_status volt_format(char **out, const char *fmt, ...)
{
    va_list args;
    int length;
    char *text = NULL;
    volt_status st;

    va_start(args, fmt);
    length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length < 0)
        return volt_fail(VOLT_EINVAL, "cannot format '%s'", fmt);
    if ((st = volt_alloc(&text, (size_t)length + 1, "a string")) != VOLT_OK)
        return st;
    va_start(args, fmt);
    vsnprintf(text, (size_t)length + 1, fmt, args);
    va_end(args);
    *out = text;
    return VOLT_OK;
}

size_t volt_mem_current(void)
{
    return atomic_load(&current_bytes);
}

void volt_mem_scope_enter(volt_mem_scope *scope)
{
    *scope = (volt_mem_scope){.outer = innermost};
    innermost = scope;
}

void volt_mem_scope_leave(volt_mem_scope *scope)
{
    for (volt_mem_scope *s = innermost; s; s = s->outer) {
        if (s == scope) { /* scopes left open inside end with it */
            innermost = scope->outer;
            return;
        }
    }
}

int64_t volt_mem_scope_held(const volt_mem_scope *scope)
{
    return __atomic_load_n(&scope->held, __ATOMIC_RELAXED);
}

size_t volt_mem_scope_peak(const volt_mem_scope *scope)
{
    return (size_t)__atomic_load_n(&scope->peak, __ATOMIC_RELAXED);
}

volt_mem_scope *volt_mem_scope_innermost(void)
{
    return innermost;
}

void volt_mem_scope_inherit(volt_mem_scope *scope)
{
    innermost = scope;
}

void volt_mem_fail_after(int64_t n)
{
    atomic_store(&allocations_until_failure, n);
}
