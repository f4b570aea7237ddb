#include "tests/kit/test.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/case_store.h"
#include "io/store/case_store_internal.h"

#include <libdeflate.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_NAME "store-case.voltcase"

static float data[2 * 3 * 4 * 5];
static int8_t labels[3 * 4 * 5];
static const uint64_t places[2][3] = {{1, 7, 59}, {0, 0, 0}};
static const volt_class_locations classes[2] = {{1, 20, 3, places[0]}, {2, 0, 0, places[1]}};

static volt_stored_case sample(void)
{
    volt_stored_case c = {.key = 0x1234567890abcdefu,
                          .channels = 2,
                          .shape = {3, 4, 5},
                          .spacing = {2.5, 1, 0.75},
                          .data = data,
                          .label_dtype = VOLT_I8,
                          .labels = labels,
                          .source =
                              volt_grid_make((int64_t[]){9, 8, 7}, 2, (double[]){1, 0.75, 2.5}),
                          .transpose_forward = {2, 0, 1},
                          .crop = {{1, 2, 3}, {7, 9, 8}},
                          .classes = 2,
                          .locations = classes};

    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        data[i] = (float)i * 0.25f - 3;
    for (size_t i = 0; i < sizeof labels; i++)
        labels[i] = (int8_t)(i % 4) - 1;
    return c;
}

static void what_was_written_is_read_back(void **state)
{
    const volt_stored_case c = sample();
    const volt_stored_case *r = NULL;
    uint64_t key = 0;

    (void)state;
    assert_ok(volt_stored_case_write(FILE_NAME, &c));
    assert_ok(volt_stored_case_open(&r, FILE_NAME));
    assert_ok(volt_stored_case_verify(r));
    assert_true(r->key == c.key);
    assert_int_equal(r->channels, 2);
    assert_memory_equal(r->shape, c.shape, sizeof c.shape);
    assert_memory_equal(r->spacing, c.spacing, sizeof c.spacing);
    assert_memory_equal(r->data, data, sizeof data);
    assert_int_equal(r->label_dtype, VOLT_I8);
    assert_memory_equal(r->labels, labels, sizeof labels);
    assert_memory_equal(r->source.n, c.source.n, sizeof c.source.n);
    assert_memory_equal(r->source.to_world, c.source.to_world, sizeof c.source.to_world);
    assert_int_equal(r->source.channels, 2);
    assert_memory_equal(r->transpose_forward, c.transpose_forward, sizeof c.transpose_forward);
    assert_memory_equal(&r->crop, &c.crop, sizeof c.crop);
    assert_int_equal(r->classes, 2);
    assert_int_equal(r->locations[0].voxels, 20);
    assert_int_equal(r->locations[0].count, 3);
    assert_memory_equal(r->locations[0].location, places[0], sizeof places[0]);
    assert_int_equal(r->locations[1].count, 0);
    assert_int_equal((uintptr_t)r->data % 64, 0);
    volt_stored_case_close(r);
    assert_ok(volt_stored_case_key(&key, FILE_NAME));
    assert_true(key == c.key);
}

static void a_case_without_labels_or_classes_is_whole(void **state)
{
    volt_stored_case c = sample();
    const volt_stored_case *r = NULL;

    (void)state;
    c.label_dtype = 0;
    c.labels = NULL;
    c.classes = 0;
    assert_ok(volt_stored_case_write(FILE_NAME, &c));
    assert_ok(volt_stored_case_open(&r, FILE_NAME));
    assert_ok(volt_stored_case_verify(r));
    assert_null(r->labels);
    volt_stored_case_close(r);
}

/* What a cascade's previous stage says of a case: a mask on its grid, no image. */
static void a_case_of_labels_alone_is_whole(void **state)
{
    volt_stored_case c = sample();
    const volt_stored_case *r = NULL;

    (void)state;
    c.channels = 0;
    assert_fails(volt_stored_case_write("store-mask.voltcase", &c), VOLT_EINVAL, "data");
    c.data = NULL;
    c.classes = 0;
    c.source.channels = 1;
    assert_ok(volt_stored_case_write("store-mask.voltcase", &c));
    assert_ok(volt_stored_case_open(&r, "store-mask.voltcase"));
    assert_ok(volt_stored_case_verify(r));
    assert_int_equal(r->channels, 0);
    assert_null(r->data);
    assert_memory_equal(r->shape, c.shape, sizeof c.shape);
    assert_memory_equal(r->labels, c.labels,
                        (size_t)(c.shape[0] * c.shape[1] * c.shape[2]) *
                            volt_dtype_bytes(c.label_dtype));
    volt_stored_case_close(r);
    c.label_dtype = 0;
    c.labels = NULL;
    assert_fails(volt_stored_case_write("store-mask.voltcase", &c), VOLT_EINVAL,
                 "0 channels and no labels");
    assert_int_equal(unlink("store-mask.voltcase"), 0);
}

static void broken_rules_are_not_written(void **state)
{
    const uint64_t far[1] = {60}, back[2] = {5, 5};
    volt_class_locations bad = {1, 20, 1, far};
    volt_stored_case c = sample();

    (void)state;
    unlink(FILE_NAME);
    c.spacing[1] = 0;
    assert_fails(volt_stored_case_write(FILE_NAME, &c), VOLT_EINVAL, "along h is 0 mm");
    c = sample();
    c.crop.high[2] = 9;
    assert_fails(volt_stored_case_write(FILE_NAME, &c), VOLT_EINVAL, "crop along w is 3 to 9");
    c = sample();
    c.transpose_forward[0] = 1;
    assert_fails(volt_stored_case_write(FILE_NAME, &c), VOLT_EINVAL, "permutation");
    c = sample();
    c.locations = &bad;
    c.classes = 1;
    assert_fails(volt_stored_case_write(FILE_NAME, &c), VOLT_EINVAL, "voxel 60");
    bad = (volt_class_locations){1, 20, 2, back};
    assert_fails(volt_stored_case_write(FILE_NAME, &c), VOLT_EINVAL, "ascending");
    assert_false(volt_path_exists(FILE_NAME));
}

/* Reads the file, lets `change` work on it, restores the header's CRC, and opens the result. */
static volt_status reopen(size_t at, const void *value, size_t bytes, bool fix_crc, bool verify)
{
    const volt_stored_case c = sample();
    const volt_stored_case *r = NULL;
    uint32_t crc = 0, header;
    size_t size;
    char *file = NULL;
    volt_status st;

    assert_ok(volt_stored_case_write(FILE_NAME, &c));
    assert_ok(volt_read_file(&file, &size, FILE_NAME, 1 << 20));
    memcpy(file + at, value, bytes);
    if (fix_crc) {
        memcpy(&header, file + 12, 4);
        if (header > size)
            header = 512;
        memset(file + 508, 0, 4);
        crc = libdeflate_crc32(0, file, header);
        memcpy(file + 508, &crc, 4);
    }
    st = volt_stored_case_view(&r, file, size, "case");
    if (st == VOLT_OK && verify)
        st = volt_stored_case_verify(r);
    volt_stored_case_close(r);
    volt_free(file);
    return st;
}

static void hostile_headers_are_refused_by_field(void **state)
{
#define U32(v) &(uint32_t){v}, 4
#define U64(v) &(uint64_t){v}, 8
#define F64(v) &(double){v}, 8
    const struct {
        size_t at;
        const void *value;
        size_t bytes;
        const char *words;
    } tries[] = {
        {0, "X", 1, "not a VOLT case file"},
        {8, U32(1), "version 1"},
        {8, U32(3), "version 3"},
        {12, U32(512), "a header of 512 bytes does not match the number of classes, 2"},
        {12, U32(0xffffffff), "header"},
        {16, U64(1), "its header says 1"},
        {32, U32(32768), "32768 channels"},
        {32, U32(0xffffffff), "channels"},
        {32, U32(32767), "the data"},
        {36, U32(9), "label type 9"},
        {40, U64(0), "along d is 0"},
        {40, U64(1ull << 62), "too large"},
        {40, U64(~0ull), "along d is -1"},
        {48, U64(400), "the data"},
        {64, U64(0), "the data"},
        {64, U64(1 << 20), "the data"},
        {64, U64(~63ull), "the data"},
        {64, U64(577), "the data"},
        {72, U64(~63ull), "the labels"},
        {80, F64(-1), "along d is -1 mm"},
        {88, F64(NAN), "along h"},
        {96, F64(INFINITY), "along w"},
        {104, U64(0), "case"},
        {128, F64(NAN), "case"},
        {224, U32(3), "transpose_forward[0] is 3"},
        {236, U32(0xffffffff), "classes"},
        {236, U32(3), "classes"},
        {240, U64(~0ull), "crop along d is -1"},
        {264, U64(100), "crop along d"},
        {512 + 8, U64(61), "of 61 voxels"},
        {512 + 16, U64(21), "21 locations of 20"},
        {512 + 16, U64(~0ull), "locations of 20"},
        {512 + 24, U64(64), "the locations"},
        {512 + 24, U64(~63ull), "the locations"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        if (reopen(tries[i].at, tries[i].value, tries[i].bytes, true, false) != VOLT_EFORMAT &&
            strcmp(tries[i].words, "case") != 0)
            fail_msg("byte %zu: accepted", tries[i].at);
        if (!strstr(volt_last_error(), tries[i].words))
            fail_msg("byte %zu: '%s' lacks '%s'", tries[i].at, volt_last_error(),
                     tries[i].words);
    }
    assert_fails(reopen(80, F64(3), false, false), VOLT_EFORMAT, "CRC");
}

static void damaged_voxels_are_found(void **state)
{
    (void)state;
    assert_int_equal(reopen(576 + 40, "\x7f", 1, true, false), VOLT_OK);
    assert_fails(reopen(576 + 40, "\x7f", 1, true, true), VOLT_EFORMAT, "CRC of the voxels");
}

static void damaged_locations_are_found(void **state)
{
    const volt_stored_case c = sample();
    size_t size;
    uint64_t at;
    char *file = NULL;

    (void)state;
    assert_ok(volt_stored_case_write(FILE_NAME, &c));
    assert_ok(volt_read_file(&file, &size, FILE_NAME, 1 << 20));
    memcpy(&at, file + 512 + 24, sizeof at);
    volt_free(file);
    assert_fails(reopen(at + 8, U64(60), true, false), VOLT_EFORMAT,
                 "case: location 1 of label 1 is voxel 60 after 1");
    assert_fails(reopen(at + 8, U64(8), true, false), VOLT_EFORMAT,
                 "case: the CRC of the locations of label 1 is");
    assert_fails(reopen(512 + 4, U32(7), true, false), VOLT_EFORMAT, "00000007 is stored");
}

static void every_truncation_is_refused(void **state)
{
    const volt_stored_case c = sample();
    const volt_stored_case *r = NULL;
    size_t size;
    char *file = NULL;

    (void)state;
    assert_ok(volt_stored_case_write(FILE_NAME, &c));
    assert_ok(volt_read_file(&file, &size, FILE_NAME, 1 << 20));
    for (size_t n = 0; n < size; n++)
        assert_int_equal(volt_stored_case_view(&r, file, n, "case"), VOLT_EFORMAT);
    assert_ok(volt_write_file(FILE_NAME, "", 0));
    assert_fails(volt_stored_case_open(&r, FILE_NAME), VOLT_EFORMAT, "is empty");
    assert_fails(volt_stored_case_open(&r, "store-none"), VOLT_EIO, "store-none");
    assert_null(r);
    volt_free(file);
}

/* Writes a large case over and over until killed: never is there half a file. */
static void a_file_that_shrinks_is_named(void **state)
{
    const volt_stored_case c = sample();
    const volt_stored_case *r = NULL;
    float first;

    (void)state;
    assert_ok(volt_stored_case_write(FILE_NAME, &c));
    assert_ok(volt_stored_case_open(&r, FILE_NAME));
    assert_ok(volt_stored_case_check(r));
    assert_int_equal(truncate(FILE_NAME, 0), 0);
    first = *(volatile const float *)r->data;
    assert_true(first == 0);
    assert_fails(volt_stored_case_check(r), VOLT_EIO, FILE_NAME " became shorter");
    volt_stored_case_close(r);
    assert_int_equal(unlink(FILE_NAME), 0);
}

static void a_killed_writer_leaves_no_half_case(void **state)
{
    enum { CHANNELS = 16, EDGE = 48 };
    volt_stored_case c = sample();
    const volt_stored_case *r = NULL;
    float *large = NULL;
    int whole = 0;

    (void)state;
    assert_ok(volt_alloc_zero(&large, CHANNELS * EDGE * EDGE * EDGE, sizeof *large, "a test"));
    c.channels = CHANNELS;
    c.source.channels = CHANNELS;
    c.data = large;
    c.label_dtype = 0;
    c.labels = NULL;
    c.classes = 0;
    c.shape[0] = c.shape[1] = c.shape[2] = EDGE;
    for (int i = 0; i < 4; i++) {
        const pid_t child = fork();
        if (child == 0) {
            for (;;) {
                if (volt_stored_case_write("store-killed.voltcase", &c) != VOLT_OK)
                    _exit(1);
            }
        }
        for (int wait = 0; i > 0 && wait < 1000 && !volt_path_exists("store-killed.voltcase");
             wait++)
            usleep(10000);
        usleep(2000 + 7000 * (useconds_t)i);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        if (volt_path_exists("store-killed.voltcase")) {
            assert_ok(volt_stored_case_open(&r, "store-killed.voltcase"));
            assert_ok(volt_stored_case_verify(r));
            volt_stored_case_close(r);
            whole++;
        }
    }
    assert_true(whole >= 3);
    assert_int_equal(system("rm -f store-killed.voltcase*"), 0);
    volt_free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first: cmocka replaces the handler of SIGBUS before each test */
        cmocka_unit_test(a_file_that_shrinks_is_named),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(a_case_without_labels_or_classes_is_whole),
        cmocka_unit_test(a_case_of_labels_alone_is_whole),
        cmocka_unit_test(broken_rules_are_not_written),
        cmocka_unit_test(hostile_headers_are_refused_by_field),
        cmocka_unit_test(damaged_voxels_are_found),
        cmocka_unit_test(damaged_locations_are_found),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(a_killed_writer_leaves_no_half_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
