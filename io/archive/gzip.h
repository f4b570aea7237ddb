/* gzip.h - gzip files in memory (RFC 1952): hostile input, bounded output, threaded writing.
 *
 * Reading  every member's CRC, length and end are checked; bytes after the last member that do
 *          not start another one are ignored, as gzread does. `name` is the file's name, for
 *          messages.
 * Writing  one member whatever the number of threads, so that readers that stop after the first
 *          member (browsers, old viewers) see everything. Same bytes for any thread count.
 */
#ifndef VOLT_IO_ARCHIVE_GZIP_H
#define VOLT_IO_ARCHIVE_GZIP_H
#include <stdbool.h>
#include <stddef.h>
#include "base/system/file.h"
#include "base/status.h"
VOLT_BEGIN_DECLS

/* Starts with a gzip header (1f 8b). File names are never consulted. */
bool volt_gzip_is(const void *data, size_t bytes);

/* Most bytes that `packed` bytes of gzip can hold (deflate's limit, 1032 : 1). A header that
 * promises more is a lie: check before allocating. */
size_t volt_gzip_limit(size_t packed);

/* Inflates the first bytes only, up to `bytes`; *got is smaller when the content ends earlier.
 * VOLT_EFORMAT when the stream is damaged before that. The end is not checked. */
VOLT_MUST_USE volt_status volt_gzip_peek(void *out, size_t bytes, size_t *got, const void *data,
                                         size_t packed, const char *name);

/* Inflates everything to `out`, which takes exactly `bytes`. Content beyond is read (so that
 * the CRC can be judged) and dropped: at most 64 MiB, or as much again as was asked for.
 * VOLT_EFORMAT: damaged, ends early, or holds less than `bytes` or far more; VOLT_ENOMEM. On
 * failure the content of `out` is undefined. */
VOLT_MUST_USE volt_status volt_gzip_inflate(void *out, size_t bytes, const void *data,
                                            size_t packed, const char *name);

/* The same piece by piece, in little memory. */
typedef struct volt_gzip_reader volt_gzip_reader;
/* `bytes` are expected; `data` and `name` are borrowed until volt_gzip_close. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_gzip_open(volt_gzip_reader **out, size_t bytes, const void *data,
                                         size_t packed, const char *name);
void volt_gzip_close(volt_gzip_reader *r); /* NULL is allowed */
/* The next `bytes`; with the last of those expected the end is judged. VOLT_EFORMAT as above.
 */
VOLT_MUST_USE volt_status volt_gzip_next(volt_gzip_reader *r, void *out, size_t bytes);

/* A block of memory to be written; borrowed. */
typedef struct volt_span {
    const void *data;
    size_t bytes;
} volt_span;

/* Writes the spans, one after the other, as one gzip member to `file`. `level` 1..12 is
 * libdeflate's; 0 chooses 1 or 6 from a sample: 1 where 6 would save less than 6 %. Holds a few
 * MiB per thread, whatever the size of the spans. VOLT_EIO, VOLT_ENOMEM, VOLT_EINVAL. */
VOLT_MUST_USE volt_status volt_gzip_write(volt_out *file, const volt_span *spans, int count,
                                          int level, int threads);

VOLT_END_DECLS
#endif
