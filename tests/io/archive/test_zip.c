/* Archives of Python's zipfile and numpy are read, ours come back as written, and lies about
 * sizes, places and names are refused. */
#include "tests/kit/test.h"

#include <stdio.h>

#include "base/system/file.h"
#include "base/mem.h"
#include "io/archive/zip.h"

#define ARCHIVE VOLT_TESTDATA "/models/archive.zip"
#define ARRAYS  VOLT_TESTDATA "/models/arrays.npz"
#define MINE    "mine.zip"
#define BROKEN  "broken.zip"

static void expect_member(const volt_zip *zip, const char *name, const char *text, size_t bytes)
{
    const volt_zip_member *m = volt_zip_find(zip, name);
    char *got;
    size_t got_bytes;

    if (!m)
        fail_msg("there is no member %s", name);
    assert_ok(volt_zip_read(&got, &got_bytes, zip, m, 1 << 20));
    assert_int_equal(got_bytes, bytes);
    assert_memory_equal(got, text, bytes);
    assert_int_equal(got[bytes], 0);
    volt_free(got);
}

static void pythons_archive_is_read(void **state)
{
    volt_zip *zip;
    const void *view;
    char *text;

    (void)state;
    assert_ok(volt_zip_open(&zip, ARCHIVE));
    assert_int_equal(volt_zip_count(zip), 4);
    expect_member(zip, "stored.txt", "as it is", 8);
    expect_member(zip, "empty", "", 0);
    expect_member(zip, "wide.txt", "sixty-four bits", 15);
    assert_null(volt_zip_find(zip, "other"));
    assert_ok(volt_zip_view(&view, zip, volt_zip_find(zip, "stored.txt")));
    assert_memory_equal(view, "as it is", 8);
    assert_fails(volt_zip_view(&view, zip, volt_zip_find(zip, "folder/deflated.txt")),
                 VOLT_ENOTSUP, "compressed");
    assert_fails(
        volt_zip_read(&text, NULL, zip, volt_zip_find(zip, "folder/deflated.txt"), 999),
        VOLT_EFORMAT, "at most 999");
    assert_ok(volt_zip_read(&text, NULL, zip, volt_zip_find(zip, "folder/deflated.txt"), 1000));
    assert_int_equal(strlen(text), 1000);
    assert_memory_equal(text + 990, "again and ", 10);
    volt_free(text);
    volt_zip_close(zip);
}

static void numpys_archive_is_read(void **state)
{
    volt_zip *zip;
    char *text;
    size_t bytes;
    float last;

    (void)state;
    assert_ok(volt_zip_open(&zip, ARRAYS));
    assert_int_equal(volt_zip_count(zip), 2);
    assert_ok(volt_zip_read(&text, &bytes, zip, volt_zip_find(zip, "a.npy"), 4096));
    memcpy(&last, text + bytes - 4, 4);
    assert_true(last == 23);
    volt_free(text);
    volt_zip_close(zip);
}

/* Members "first" (stored), "second" (deflated), "third" (empty). */
static void write_mine(char *data, size_t bytes)
{
    volt_zip_writer *w;

    for (size_t i = 0; i < bytes; i++)
        data[i] = (char)(i * i >> 7);
    assert_ok(volt_zip_create(&w, MINE));
    assert_ok(volt_zip_add(w, "first", data, bytes, 0));
    assert_ok(volt_zip_begin(w, "second", 6));
    for (size_t i = 0; i < bytes; i += 1000)
        assert_ok(volt_zip_write(w, data + i, bytes - i < 1000 ? bytes - i : 1000));
    assert_ok(volt_zip_end(w));
    assert_ok(volt_zip_add(w, "third", NULL, 0, 0));
    assert_ok(volt_zip_commit(&w));
    assert_null(w);
}

static void what_was_written_comes_back(void **state)
{
    static char data[300000];
    volt_zip *zip;
    const void *view;

    (void)state;
    write_mine(data, sizeof data);
    assert_ok(volt_zip_open(&zip, MINE));
    assert_int_equal(volt_zip_count(zip), 3);
    expect_member(zip, "first", data, sizeof data);
    expect_member(zip, "second", data, sizeof data);
    expect_member(zip, "third", "", 0);
    assert_true(volt_zip_find(zip, "second")->deflated);
    assert_true(volt_zip_find(zip, "second")->packed_bytes < sizeof data / 2);
    assert_ok(volt_zip_view(&view, zip, volt_zip_find(zip, "first")));
    assert_int_equal((uintptr_t)view % VOLT_ZIP_ALIGN, 0); /* the map starts at a page */
    volt_zip_close(zip);
    remove(MINE);
}

static void writer_refuses_what_the_reader_would(void **state)
{
    static const char *const bad[] = {"",     "/etc/passwd", "../up",     "a/../b",
                                      "a/..", "a\\b",        "new\nline", "\xff\xfe"};
    volt_zip_writer *w;

    (void)state;
    assert_ok(volt_zip_create(&w, MINE));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(volt_zip_begin(w, bad[i], 0), VOLT_EINVAL, "is not a valid member name");
    assert_ok(volt_zip_add(w, "a..b/..c", "x", 1, 0));
    assert_fails(volt_zip_add(w, "a..b/..c", "x", 1, 0), VOLT_EINVAL, "two members");
    assert_ok(volt_zip_begin(w, "open", 0));
    assert_fails(volt_zip_commit(&w), VOLT_EINVAL, "still being written");
    assert_null(w);
    assert_false(volt_path_exists(MINE));
}

/* ---- lies ---- */

typedef struct archive {
    char *data;
    size_t bytes;
    size_t entry[3], end; /* central entries, end record */
} archive;

static archive load_mine(void)
{
    static char data[5000];
    archive a = {0};
    int entries = 0;

    write_mine(data, sizeof data);
    assert_ok(volt_read_file(&a.data, &a.bytes, MINE, 1 << 20));
    for (size_t i = 0; i + 4 <= a.bytes; i++) {
        if (memcmp(a.data + i, "PK\1\2", 4) == 0)
            a.entry[entries++] = i;
        if (memcmp(a.data + i, "PK\5\6", 4) == 0)
            a.end = i;
    }
    assert_int_equal(entries, 3);
    remove(MINE);
    return a;
}

/* The archive with `bytes` bytes at `at` replaced by `value` is refused with `words`. */
static void refuse(const archive *a, size_t at, uint64_t value, int bytes, volt_status code,
                   const char *words)
{
    volt_zip *zip = NULL;
    char kept[8];

    memcpy(kept, a->data + at, (size_t)bytes);
    for (int i = 0; i < bytes; i++)
        a->data[at + (size_t)i] = (char)(value >> (8 * i));
    assert_ok(volt_write_file(BROKEN, a->data, a->bytes));
    assert_fails(volt_zip_open(&zip, BROKEN), code, words);
    assert_null(zip);
    memcpy(a->data + at, kept, (size_t)bytes);
}

static void lying_zips_are_refused(void **state)
{
    archive a = load_mine();
    volt_zip *zip = NULL;

    (void)state;
    refuse(&a, a.entry[1] + 8, 1, 2, VOLT_ENOTSUP, "encrypted");
    refuse(&a, a.entry[1] + 10, 12, 2, VOLT_ENOTSUP, "method 12");
    refuse(&a, a.entry[1] + 24, 4000000000u, 4, VOLT_EFORMAT, "is declared as 4000000000");
    refuse(&a, a.entry[0] + 24, 4999, 4, VOLT_EFORMAT,
           "is declared as 4999 bytes compressed to 5000");
    refuse(&a, a.entry[1] + 42, 0, 4, VOLT_EFORMAT, "contradicts the directory");
    refuse(&a, a.entry[1] + 42, 7, 4, VOLT_EFORMAT, "no header of member second at byte 7");
    refuse(&a, a.entry[1] + 42, UINT32_MAX - 1, 4, VOLT_EFORMAT, "no header of member");
    refuse(&a, a.entry[1] + 20, 100000, 4, VOLT_EFORMAT, "extends past");
    refuse(&a, a.entry[1] + 46, '/', 1, VOLT_EFORMAT, "not a relative path");
    refuse(&a, a.entry[1] + 28, 3000, 2, VOLT_EFORMAT, "ends within");
    refuse(&a, a.entry[1], 0, 4, VOLT_EFORMAT, "directory is damaged");
    refuse(&a, a.end + 10, 2, 2, VOLT_ENOTSUP, "several");
    refuse(&a, a.end + 8, 0x00020002, 4, VOLT_EFORMAT, "surplus byte");
    refuse(&a, a.end + 8, 0xfff0fff0, 4, VOLT_EFORMAT, "65520 members");
    refuse(&a, a.end + 12, 0x7fffffff, 4, VOLT_EFORMAT, "its directory is declared as");
    refuse(&a, a.end, 0, 4, VOLT_EFORMAT, "no end record");
    a.bytes -= 30;
    assert_ok(volt_write_file(BROKEN, a.data, a.bytes));
    assert_fails(volt_zip_open(&zip, BROKEN), VOLT_EFORMAT, "no end record");
    volt_free(a.data);
    remove(BROKEN);
}

/* Two directory entries for the same bytes: how small files hold petabytes. */
static void shared_bytes_are_refused(void **state)
{
    archive a = load_mine();
    volt_zip *zip = NULL;

    (void)state;
    memcpy(a.data + a.entry[2], a.data + a.entry[0], 46 + 5);
    memcpy(a.data + a.entry[2] + 46, "third", 5);
    assert_ok(volt_write_file(BROKEN, a.data, a.bytes));
    assert_fails(volt_zip_open(&zip, BROKEN), VOLT_EFORMAT, "contradicts");
    memcpy(a.data + a.entry[2] + 46, "first", 5);
    assert_ok(volt_write_file(BROKEN, a.data, a.bytes));
    assert_fails(volt_zip_open(&zip, BROKEN), VOLT_EFORMAT, "overlap");
    volt_free(a.data);
    remove(BROKEN);
}

static void damage_is_found_by_crc(void **state)
{
    archive a = load_mine();
    volt_zip *zip = NULL;
    const void *view = NULL;
    char *text = NULL;

    (void)state;
    a.data[VOLT_ZIP_ALIGN] ^= 1; /* the first number of "first" */
    assert_ok(volt_write_file(BROKEN, a.data, a.bytes));
    assert_ok(volt_zip_open(&zip, BROKEN));
    assert_fails(volt_zip_view(&view, zip, volt_zip_find(zip, "first")), VOLT_EFORMAT, "CRC");
    assert_fails(volt_zip_read(&text, NULL, zip, volt_zip_find(zip, "first"), 1 << 20),
                 VOLT_EFORMAT, "CRC");
    volt_zip_close(zip);
    a.data[a.entry[0] - 200] ^= 1; /* within "second" */
    assert_ok(volt_write_file(BROKEN, a.data, a.bytes));
    assert_ok(volt_zip_open(&zip, BROKEN));
    assert_fails(volt_zip_read(&text, NULL, zip, volt_zip_find(zip, "second"), 1 << 20),
                 VOLT_EFORMAT, "damaged");
    volt_zip_close(zip);
    volt_free(a.data);
    remove(BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pythons_archive_is_read),
        cmocka_unit_test(numpys_archive_is_read),
        cmocka_unit_test(what_was_written_comes_back),
        cmocka_unit_test(writer_refuses_what_the_reader_would),
        cmocka_unit_test(lying_zips_are_refused),
        cmocka_unit_test(shared_bytes_are_refused),
        cmocka_unit_test(damage_is_found_by_crc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
