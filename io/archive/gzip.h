/* gzip.h - gzip files in memory (RFC 1952): hostile input, bounded output, parallel writing.
 *
 * Reading   the CRC, length and end of every member are checked; bytes after the last member
 *           that do not start another one are ignored, as in gzread. `name` is the file's name,
 *           for messages.
 * Writing   one member for any number of threads, so that readers that stop after the first
 *           member (browsers, old viewers) see all content. The bytes do not depend on the
 *           number of threads.
 */
#ifndef VOLT_IO_ARCHIVE_GZIP_H
#define VOLT_IO_ARCHIVE_GZIP_H
#include <stdbool.h>
#include <stddef.h>
#include "base/system/file.h"
#include "base/status.h"
VOLT_BEGIN_DECLS

/* True when the data starts with a gzip header (1f 8b); names do not matter. */
bool volt_gzip_is(const void *data, size_t bytes);

/* The most bytes that `packed` bytes of gzip can hold (deflate's limit, 1032 : 1). Check a
 * header's claim against it before allocating. */
size_t volt_gzip_limit(size_t packed);

/* Decompresses the first `bytes` only; *got is smaller if the content ends earlier.
 * VOLT_EFORMAT: damaged up to there. The rest is not checked. */
VOLT_MUST_USE volt_status volt_gzip_peek(void *out, size_t bytes, size_t *got, const void *data,
                                         size_t packed, const char *name);

/* Decompresses to `out`, which takes exactly `bytes`. Surplus content, at most 64 MiB or
 * `bytes` if that is more, is read for the CRC and dropped. VOLT_EFORMAT: damaged, truncated,
 * less than `bytes` or far more; VOLT_ENOMEM. On failure the content of `out` is undefined. */
VOLT_MUST_USE volt_status volt_gzip_inflate(void *out, size_t bytes, const void *data,
                                            size_t packed, const char *name);

/* The same in pieces, in little memory. */
typedef struct volt_gzip_reader volt_gzip_reader;
/* `bytes` are expected; `data` and `name` are borrowed until volt_gzip_close. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_gzip_open(volt_gzip_reader **out, size_t bytes, const void *data,
                                         size_t packed, const char *name);
void volt_gzip_close(volt_gzip_reader *r); /* NULL is allowed */
/* Reads the next `bytes`; the last expected ones are checked with the end. VOLT_EFORMAT as
 * above. */
VOLT_MUST_USE volt_status volt_gzip_next(volt_gzip_reader *r, void *out, size_t bytes);

/* A block of memory to be written; borrowed. */
typedef struct volt_span {
    const void *data;
    size_t bytes;
} volt_span;

/* Writes the spans in order as one gzip member to `file`. `level` 1..12 is libdeflate's; 0
 * chooses from a sample: 1 if 6 would save less than 6 %, else 6. Holds a few MiB per thread,
 * whatever the size of the spans. VOLT_EIO, VOLT_ENOMEM, VOLT_EINVAL. */
VOLT_MUST_USE volt_status volt_gzip_write(volt_out *file, const volt_span *spans, int count,
                                          int level, int threads);

VOLT_END_DECLS
#endif
