#include "tests/kit/test.h"
#include "base/core/checked.h"
#include "base/system/file.h"
#include "base/system/temporary.h"
#include "base/core/alloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_commit_replaces_an_abort_leaves_no_trace(void **state)
{
    volt_out *f = NULL;
    char *text = NULL;
    size_t bytes = 0;
    volt_names names = {0};

    (void)state;
    assert_ok(volt_make_dirs("base-file"));
    assert_int_equal(symlink("nowhere", "base-file/link"), 0);
    /* the system's reason, not that of looking whether it is there */
    assert_fails(volt_make_dirs("base-file/link/a"), VOLT_EIO, "File exists");
    assert_int_equal(unlink("base-file/link"), 0);
    assert_ok(volt_make_dirs("base-file/a/b"));
    assert_ok(volt_write_file("base-file/a/b/x", "one", 3));
    assert_ok(volt_out_open(&f, "base-file/a/b/x"));
    assert_ok(volt_out_write(f, "twotwo", 6));
    volt_out_abort(&f);
    assert_null(f);
    assert_ok(volt_read_file(&text, &bytes, "base-file/a/b/x", 100));
    assert_string_equal(text, "one");
    assert_int_equal(bytes, 3);
    volt_free(text);
    assert_ok(volt_out_open(&f, "base-file/a/b/x"));
    assert_ok(volt_out_write(f, "?wo", 3));
    assert_ok(volt_out_patch(f, 0, "t", 1));
    assert_ok(volt_out_commit(&f));
    assert_ok(volt_read_file(&text, NULL, "base-file/a/b/x", 100));
    assert_string_equal(text, "two");
    volt_free(text);
    assert_ok(volt_list_dir(&names, "base-file/a/b"));
    assert_int_equal(names.count, 1);
    volt_names_free(&names);
}

static unsigned permissions(const char *path)
{
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 0777;
}

static atomic_bool writing;

/* The only portable way to read the mask changes it, so it is read from the system's view. */
static void *watch_mask(void *argument)
{
    unsigned *others = argument;

    while (atomic_load(&writing)) {
        FILE *f = fopen("/proc/self/status", "r");
        char line[256];
        unsigned mask = 0027;

        while (f && fgets(line, sizeof line, f))
            (void)sscanf(line, "Umask: %o", &mask);
        if (f)
            fclose(f);
        *others += mask != 0027;
    }
    return NULL;
}

/* New files and folders get what the mask leaves of 0666 and 0777, and no other thread ever
 * sees another mask. */
static void permissions_follow_the_umask(void **state)
{
    const mode_t before = umask(0027);
    char *folder = NULL, *again = NULL;
    int fd[2] = {-1, -1};
    unsigned others = 0;
    pthread_t watcher;

    (void)state;
    assert_ok(volt_make_dirs("base-mask"));
    atomic_store(&writing, true);
    assert_int_equal(pthread_create(&watcher, NULL, watch_mask, &others), 0);
    for (int i = 0; i < 200; i++)
        assert_ok(volt_write_file("base-mask/a", "x", 1));
    assert_ok(volt_temporary_folder(&folder, &fd[0], "base-mask/x"));
    assert_ok(volt_temporary_folder(&again, &fd[1], "base-mask/x"));
    atomic_store(&writing, false);
    pthread_join(watcher, NULL);
    assert_int_equal(others, 0);
    assert_string_not_equal(folder, again);
    assert_int_equal(permissions("base-mask/a"), 0640);
    assert_int_equal(permissions(folder), 0750);
    umask(0002);
    assert_ok(volt_write_file("base-mask/a", "x", 1)); /* replaces: as a new file */
    assert_int_equal(permissions("base-mask/a"), 0664);
    umask(before);
    for (int i = 0; i < 2; i++)
        close(fd[i]);
    volt_free(again);
    volt_free(folder);
    folder = NULL;
    assert_fails(volt_temporary_folder(&folder, &fd[0], "base-mask/b/x"), VOLT_EIO,
                 "base-mask/b/x: No such file or directory");
    volt_remove_folder("base-mask");
}

static void odd_paths_are_refused_by_name(void **state)
{
    volt_map map = {0};
    char *text = NULL;

    (void)state;
    assert_fails(volt_map_open(&map, "no-such-file"), VOLT_EIO, "no-such-file");
    assert_fails(volt_map_open(&map, "/"), VOLT_EFORMAT, "folder");
    assert_fails(volt_map_open(&map, "/dev/null"), VOLT_EFORMAT, "/dev/null");
    assert_ok(volt_write_file("base-file-small", "12345", 5));
    assert_fails(volt_read_file(&text, NULL, "base-file-small", 4), VOLT_EFORMAT, "5 bytes");
    assert_fails(volt_write_file("no-folder/x", "1", 1), VOLT_EIO, "no-folder/x");
    assert_ok(volt_map_open(&map, "base-file-small"));
    assert_memory_equal(map.data, "12345", 5);
    volt_map_close(&map);
    assert_null(map.data);
    unlink("base-file-small");
}

/* KiB of files that this process has in memory. */
static long resident_files(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;

    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "RssFile:", 8) == 0)
            kib = strtol(line + 8, NULL, 10);
    }
    fclose(f);
    return kib;
}

static void what_is_forgotten_leaves_memory(void **state)
{
    enum { BYTES = 9 << 20 };
    volt_map map = {0};
    char *bytes = NULL;
    size_t sum = 0;
    long before;

    (void)state;
    assert_ok(volt_alloc(&bytes, BYTES, "a test"));
    memset(bytes, 3, BYTES);
    assert_ok(volt_write_file("base-file-map", bytes, BYTES));
    assert_ok(volt_map_open(&map, "base-file-map"));
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < BYTES; i++)
            sum += map.data[i];
        before = resident_files();
        assert_true(before > 9 << 10);
        volt_map_dontneed(map.data + 100, BYTES - 200);
        assert_true(resident_files() < before - (8 << 10));
    }
    assert_int_equal(sum, 6 * (size_t)BYTES);
    volt_map_dontneed(map.data, 1);
    volt_map_close(&map);
    volt_free(bytes);
    unlink("base-file-map");
}

static void memory_is_accounted_and_fails_on_demand(void **state)
{
    const size_t before = volt_mem_current();
    char *p = NULL;
    size_t bytes;

    (void)state;
    assert_ok(volt_alloc(&p, 1000, "a test"));
    assert_int_equal((uintptr_t)p % VOLT_ALIGN_BYTES, 0);
    assert_int_equal(volt_mem_current(), before + 1000);
    volt_shrink(p, 10);
    assert_int_equal(volt_mem_current(), before + 10);
    volt_free(p);
    assert_int_equal(volt_mem_current(), before);
    assert_ok(volt_alloc(&p, (size_t)9 << 20, "a test"));
    memset(p, 7, (size_t)9 << 20);
    volt_shrink(p, ((size_t)5 << 20) + 1);
    assert_int_equal(volt_mem_current(), before + ((size_t)5 << 20) + 1);
    for (size_t i = 0; i <= (size_t)5 << 20; i++)
        assert_int_equal(p[i], 7);
    volt_free(p);
    volt_shrink(NULL, 0);
    assert_int_equal(volt_mem_current(), before);
    volt_mem_fail_after(1);
    assert_fails(volt_alloc(&p, 1000, "a test"), VOLT_ENOMEM, "a test");
    volt_mem_fail_after(0);
    assert_int_equal(volt_alloc_zero(&p, SIZE_MAX / 2, 4, "too much"), VOLT_ENOMEM);
    assert_true(volt_extent_bytes(&bytes, (int64_t[]){1ll << 40, 1ll << 40}, 2, 4));
    assert_true(volt_extent_bytes(&bytes, (int64_t[]){-1}, 1, 4));
    assert_false(volt_extent_bytes(&bytes, (int64_t[]){3, 5}, 2, 4));
    assert_int_equal(bytes, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_replaces_an_abort_leaves_no_trace),
        cmocka_unit_test(permissions_follow_the_umask),
        cmocka_unit_test(odd_paths_are_refused_by_name),
        cmocka_unit_test(what_is_forgotten_leaves_memory),
        cmocka_unit_test(memory_is_accounted_and_fails_on_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
