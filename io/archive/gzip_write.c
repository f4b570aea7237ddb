/* gzip_write.c - one gzip member, compressed in parallel.
 *
 * The content is cut into chunks of 1 MiB that do not refer to each other. Chunks are
 * compressed by any thread and appended in order, so the bytes do not depend on the number of
 * threads; each thread holds one compressed chunk. Cutting costs the look-back of 32 KiB at
 * the start of each chunk. The CRC is computed in order too: it is much faster than
 * compressing.
 */
#include "io/archive/gzip.h"

#include <libdeflate.h>
#include <stdint.h>
#include <omp.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "io/archive/deflate_join.h"

#define CHUNK_BYTES  ((size_t)1 << 20) /* compressed independently */
#define SAMPLE_BYTES ((size_t)256 << 10)

static size_t chunks_of(volt_span span)
{
    return (span.bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
}

/* Chunk `index` of all spans together; an empty one when there is nothing at all. */
static volt_span chunk_at(const volt_span *spans, int count, size_t index)
{
    for (int i = 0; i < count; i++) {
        const size_t here = chunks_of(spans[i]);
        if (index < here) {
            const size_t from = index * CHUNK_BYTES, left = spans[i].bytes - from;
            return (volt_span){(const unsigned char *)spans[i].data + from,
                               left < CHUNK_BYTES ? left : CHUNK_BYTES};
        }
        index -= here;
    }
    return (volt_span){"", 0};
}

static size_t packed_size(int level, volt_span sample, void *room, size_t bytes)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
    size_t packed = 0;

    if (c)
        packed = libdeflate_deflate_compress(c, sample.data, sample.bytes, room, bytes);
    libdeflate_free_compressor(c);
    return packed;
}

/* Level 1 where a higher level would save little, as with the noise of CT and MR. */
static volt_status choose_level(int *level, const volt_span *spans, int count)
{
    volt_span sample = {"", 0};
    size_t room, fast, small;
    void *scratch = NULL;
    volt_status st;

    for (int i = 0; i < count; i++)
        sample = spans[i].bytes > sample.bytes ? spans[i] : sample;
    if (sample.bytes > SAMPLE_BYTES) {
        sample.data = (const unsigned char *)sample.data + (sample.bytes - SAMPLE_BYTES) / 2;
        sample.bytes = SAMPLE_BYTES;
    }
    room = libdeflate_deflate_compress_bound(NULL, sample.bytes);
    st = volt_alloc(&scratch, room, "a compression trial");
    if (st != VOLT_OK)
        return st;
    fast = packed_size(1, sample, scratch, room);
    small = packed_size(6, sample, scratch, room);
    *level = (double)fast <= 1.06 * (double)small ? 1 : 6;
    volt_free(scratch);
    return VOLT_OK;
}

/* What the threads share. `crc`, `total`, `st` and `sentence` change in chunk order only. */
typedef struct job {
    volt_out *file;
    const volt_span *spans;
    int count, level;
    size_t chunks, room; /* `room`: most bytes of a compressed chunk, join included */
    uint32_t crc;
    uint64_t total;
    volt_status st;
    char sentence[512];
} job;

static volt_status compress_chunk(unsigned char *out, size_t *bytes,
                                  struct libdeflate_compressor *c, volt_span chunk, bool last,
                                  size_t room)
{
    *bytes = libdeflate_deflate_compress(c, chunk.data, chunk.bytes, out,
                                         room - VOLT_DEFLATE_JOIN_ROOM);
    if (*bytes == 0)
        return volt_fail(VOLT_EINTERNAL, "compressing %zu byte%s failed", chunk.bytes,
                         volt_s((int64_t)chunk.bytes));
    return last ? VOLT_OK : volt_deflate_reopen(out, bytes);
}

/* In chunk order. */
static void append_chunk(job *j, volt_span chunk, const unsigned char *packed, size_t bytes,
                         volt_status st)
{
    if (j->st != VOLT_OK)
        return;
    if (st == VOLT_OK)
        st = volt_out_write(j->file, packed, bytes);
    j->crc = libdeflate_crc32(j->crc, chunk.data, chunk.bytes);
    j->total += chunk.bytes;
    j->st = st;
    if (st != VOLT_OK) {
        strncpy(j->sentence, volt_last_error(), sizeof j->sentence - 1);
        j->sentence[sizeof j->sentence - 1] = '\0';
    }
}

/* `packed`: room for one compressed chunk per thread. */
static void write_chunks(job *j, unsigned char *packed, int threads)
{
#pragma omp parallel num_threads(threads)
    {
        unsigned char *own = packed + (size_t)omp_get_thread_num() * j->room;
        struct libdeflate_compressor *c = libdeflate_alloc_compressor(j->level);

#pragma omp for ordered schedule(dynamic, 1)
        for (size_t i = 0; i < j->chunks; i++) {
            const volt_span chunk = chunk_at(j->spans, j->count, i);
            size_t bytes = 0;
            volt_status st =
                c ? compress_chunk(own, &bytes, c, chunk, i + 1 == j->chunks, j->room)
                  : volt_fail(VOLT_ENOMEM, "no memory to compress");
#pragma omp ordered
            append_chunk(j, chunk, own, bytes, st);
        }
        libdeflate_free_compressor(c);
    }
}

static void put_u32(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

volt_status volt_gzip_write(volt_out *file, const volt_span *spans, int count, int level,
                            int threads)
{
    /* deflate, no flags, no time, unknown system: the same content gives the same file */
    static const unsigned char head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    job j = {.file = file, .spans = spans, .count = count, .level = level, .st = VOLT_OK};
    unsigned char tail[8], *packed = NULL;
    volt_status st;

    if (level < 0 || level > 12)
        return volt_fail(VOLT_EINVAL, "compression level %d; 0 to 12 is expected", level);
    if (level == 0)
        VOLT_TRY(st, done, choose_level(&j.level, spans, count));
    for (int i = 0; i < count; i++)
        j.chunks += chunks_of(spans[i]);
    j.chunks += j.chunks == 0;
    j.room = libdeflate_deflate_compress_bound(NULL, CHUNK_BYTES) + VOLT_DEFLATE_JOIN_ROOM;
    threads = volt_threads_or_default(threads);
    if ((size_t)threads > j.chunks)
        threads = (int)j.chunks;
    VOLT_TRY(st, done, volt_alloc(&packed, (size_t)threads * j.room, "compressed voxels"));
    VOLT_TRY(st, done, volt_out_write(file, head, sizeof head));
    write_chunks(&j, packed, threads);
    if (j.st != VOLT_OK) {
        volt_set_last_error(j.sentence);
        st = j.st;
        goto done;
    }
    put_u32(tail, j.crc);
    put_u32(tail + 4, (uint32_t)j.total);
    st = volt_out_write(file, tail, sizeof tail);
done:
    volt_free(packed);
    return st;
}
