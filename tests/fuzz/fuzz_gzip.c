/* Hostile gzip in; and the same bytes as content, compressed in two parts that are joined. */
#include "tests/fuzz/fuzz.h"

#include <libdeflate.h>
#include <zlib.h>

#include "base/mem.h"
#include "io/archive/deflate_join.h"
#include "io/archive/gzip.h"

static void inflate_hostile(const uint8_t *data, size_t size)
{
    static unsigned char out[100000];
    const size_t wanted = size % sizeof out;
    size_t got = 0;
    volt_status st;

    if (volt_gzip_peek(out, 540, &got, data, size, "fuzz") == VOLT_OK)
        fuzz_require(got <= 540);
    st = volt_gzip_inflate(out, wanted, data, size, "fuzz");
    fuzz_require(st == VOLT_OK || st == VOLT_EFORMAT);
}

static size_t pack(unsigned char *out, size_t room, int level, const uint8_t *data, size_t size)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
    const size_t bytes = libdeflate_deflate_compress(c, data, size, out, room);

    libdeflate_free_compressor(c);
    fuzz_require(bytes > 0);
    return bytes;
}

static void join(const uint8_t *data, size_t size)
{
    const int level = size ? data[0] % 13 : 1;
    const size_t cut = size ? data[size - 1] * size / 256 : 0;
    const size_t room = 2 * libdeflate_deflate_compress_bound(NULL, size) + 64;
    unsigned char *packed = malloc(room), *back = malloc(size + 1);
    z_stream z = {.next_in = packed, .next_out = back, .avail_out = (uInt)size + 1};
    size_t first = pack(packed, room / 2, level, data, cut);

    fuzz_require(volt_deflate_reopen(packed, &first) == VOLT_OK);
    first += pack(packed + first, room / 2, level, data + cut, size - cut);
    z.avail_in = (uInt)first;
    fuzz_require(inflateInit2(&z, -15) == Z_OK);
    fuzz_require(inflate(&z, Z_FINISH) == Z_STREAM_END);
    fuzz_require(z.total_out == size && z.avail_in == 0);
    fuzz_require(size == 0 || memcmp(back, data, size) == 0);
    inflateEnd(&z);
    free(back);
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    inflate_hostile(data, size);
    join(data, size);
    return 0;
}
