#include "tests/kit/test.h"

#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "io/archive/gzip.h"

/* Bytes of three kinds in turn, so that blocks of every type come out: noise, runs, text. */
static unsigned char *content(size_t bytes)
{
    unsigned char *data = malloc(bytes + 1);
    volt_rng rng = volt_rng_open(1, 0, 0, VOLT_RNG_TEST);

    for (size_t i = 0; i < bytes; i++) {
        const unsigned r = volt_rng_u32(&rng);
        switch (i / 300000 % 3) {
        case 0:
            data[i] = (unsigned char)r;
            break;
        case 1:
            data[i] = (unsigned char)(r % 1000 == 0 ? r >> 16 : 0);
            break;
        default:
            data[i] = "voxels in millimetres"[r % 21];
        }
    }
    return data;
}

static void write_gzip(const char *path, const volt_span *spans, int count, int level,
                       int threads)
{
    volt_out *file = NULL;

    assert_ok(volt_out_open(&file, path));
    assert_ok(volt_gzip_write(file, spans, count, level, threads));
    assert_ok(volt_out_commit(&file));
}

/* Inflates with zlib alone, and expects exactly one member. */
static void check_with_zlib(const volt_map *map, const unsigned char *expected, size_t bytes)
{
    unsigned char *out = malloc(bytes + 1);
    z_stream z = {.next_in = (unsigned char *)map->data,
                  .avail_in = (unsigned)map->bytes,
                  .next_out = out,
                  .avail_out = (unsigned)bytes + 1};

    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(z.total_out, bytes);
    assert_memory_equal(out, expected, bytes);
    inflateEnd(&z);
    free(out);
}

static void round_trips(void **state)
{
    static const size_t sizes[] = {0, 1, 352, 5000, 1 << 20, (1 << 20) + 1, 3500000};
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *data = content(sizes[i]), *back = malloc(sizes[i] + 1);
        const size_t cut = sizes[i] > 400 ? 352 : 0;
        const volt_span spans[] = {{data, cut}, {data + cut, sizes[i] - cut}};
        for (int level = 0; level <= 12; level += 3) {
            volt_map map = {0};
            write_gzip("round.gz", spans, 2, level, 2);
            assert_ok(volt_map_open(&map, "round.gz"));
            check_with_zlib(&map, data, sizes[i]);
            assert_ok(volt_gzip_inflate(back, sizes[i], map.data, map.bytes, "round.gz"));
            assert_memory_equal(back, data, sizes[i]);
            assert_true(sizes[i] <= volt_gzip_limit(map.bytes));
            volt_map_close(&map);
        }
        free(back);
        free(data);
    }
    unlink("round.gz");
}

static void threads_do_not_change_the_bytes(void **state)
{
    const size_t bytes = 5 << 20;
    unsigned char *data = content(bytes);
    const volt_span span = {data, bytes};
    char *one = NULL, *four = NULL;
    size_t one_bytes = 0, four_bytes = 0;
    (void)state;

    write_gzip("one.gz", &span, 1, 6, 1);
    write_gzip("four.gz", &span, 1, 6, 4);
    assert_ok(volt_read_file(&one, &one_bytes, "one.gz", 1 << 30));
    assert_ok(volt_read_file(&four, &four_bytes, "four.gz", 1 << 30));
    assert_int_equal(one_bytes, four_bytes);
    assert_memory_equal(one, four, one_bytes);
    volt_free(one);
    volt_free(four);
    unlink("one.gz");
    unlink("four.gz");
    free(data);
}

/* One gzip member made by zlib. */
static size_t pack(unsigned char *out, size_t room, const unsigned char *data, size_t bytes)
{
    z_stream z = {.next_in = (unsigned char *)data,
                  .avail_in = (unsigned)bytes,
                  .next_out = out,
                  .avail_out = (unsigned)room};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

enum { PLAIN = 9000, ROOM = 20000 };

static void members_and_trailing_bytes(void **state)
{
    unsigned char *data = content(PLAIN), packed[ROOM], back[PLAIN + 1];
    size_t n = pack(packed, ROOM, data, 4000), got = 0;
    (void)state;

    n += pack(packed + n, ROOM - n, data, 0);
    n += pack(packed + n, ROOM - n, data + 4000, PLAIN - 4000);
    memset(packed + n, 0, 100); /* tar and tape padding */
    for (int extra = 0; extra <= 100; extra += 50) {
        memset(back, 0, sizeof back);
        assert_ok(volt_gzip_inflate(back, PLAIN, packed, n + (size_t)extra, "m.gz"));
        assert_memory_equal(back, data, PLAIN);
    }
    assert_ok(volt_gzip_inflate(back, 5000, packed, n, "m.gz")); /* the rest is dropped */
    assert_memory_equal(back, data, 5000);
    assert_fails(volt_gzip_inflate(back, PLAIN + 1, packed, n, "m.gz"), VOLT_EFORMAT,
                 "m.gz holds 9000 bytes when decompressed, expected 9001");
    assert_ok(volt_gzip_peek(back, 4500, &got, packed, n, "m.gz"));
    assert_int_equal(got, 4500);
    assert_memory_equal(back, data, 4500);
    free(data);
}

static void damage_is_found(void **state)
{
    unsigned char *data = content(PLAIN), packed[ROOM], bad[ROOM], back[PLAIN];
    const size_t n = pack(packed, ROOM, data, PLAIN);
    (void)state;

    for (size_t cut = 0; cut < n; cut++) /* every truncation, the last eight bytes included */
        assert_int_equal(volt_gzip_inflate(back, PLAIN, packed, cut, "t.gz"), VOLT_EFORMAT);
    assert_non_null(strstr(volt_last_error(), "t.gz ends in the middle"));
    for (size_t at = 0; at < n; at++) {
        memcpy(bad, packed, n);
        bad[at] ^= (unsigned char)(1 << at % 8);
        /* Time, flags and system in the header carry nothing that could be checked. */
        if (volt_gzip_inflate(back, PLAIN, bad, n, "t.gz") == VOLT_OK)
            assert_memory_equal(back, data, PLAIN);
        else
            assert_true(strlen(volt_last_error()) > 0);
        if (at >= 10)
            assert_int_equal(volt_gzip_inflate(back, PLAIN, bad, n, "t.gz"), VOLT_EFORMAT);
    }
    memcpy(bad, packed, n);
    bad[n - 8] ^= 1;
    assert_fails(volt_gzip_inflate(back, PLAIN, bad, n, "t.gz"), VOLT_EFORMAT,
                 "incorrect data check");
    bad[n - 8] ^= 1;
    bad[n - 4] ^= 1;
    assert_fails(volt_gzip_inflate(back, PLAIN, bad, n, "t.gz"), VOLT_EFORMAT,
                 "incorrect length check");
    free(data);
}

static void a_bomb_is_not_followed(void **state)
{
    const size_t plain = (size_t)80 << 20, room = 1 << 20;
    unsigned char *data = calloc(plain, 1), *packed = malloc(room), back[100];
    const size_t n = pack(packed, room, data, plain);
    (void)state;

    assert_fails(volt_gzip_inflate(back, sizeof back, packed, n, "bomb.gz"), VOLT_EFORMAT,
                 "bomb.gz holds more than 67108864 bytes beyond");
    free(packed);
    free(data);
}

static void failures_of_writing_are_reported(void **state)
{
    unsigned char *data = content(3 << 20);
    const volt_span span = {data, 3 << 20};
    volt_out *file = NULL;
    (void)state;

    assert_ok(volt_out_open(&file, "fail.gz"));
    assert_fails(volt_gzip_write(file, &span, 1, 13, 1), VOLT_EINVAL, "level 13");
    for (int n = 1; n <= 2; n++) { /* the sample that chooses the level, the chunks */
        volt_mem_fail_after(n);
        assert_int_equal(volt_gzip_write(file, &span, 1, 0, 2), VOLT_ENOMEM);
        volt_mem_fail_after(0);
    }
    volt_mem_fail_after(3);
    assert_ok(volt_gzip_write(file, &span, 1, 0, 2));
    volt_mem_fail_after(0);
    volt_out_abort(&file);
    assert_false(volt_path_exists("fail.gz"));
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(threads_do_not_change_the_bytes),
        cmocka_unit_test(members_and_trailing_bytes),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(a_bomb_is_not_followed),
        cmocka_unit_test(failures_of_writing_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
