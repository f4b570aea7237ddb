/* A mapped file that another program truncates: zeros and a sentence instead of SIGBUS. */
#include "tests/kit/test.h"

#include <setjmp.h>
#include <stdio.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/system/file.h"

enum { BYTES = 3 * 65536 };

static void fill(const char *path)
{
    static unsigned char data[BYTES];

    memset(data, 7, sizeof data);
    assert_ok(volt_write_file(path, data, sizeof data));
}

static int64_t sum(const volt_map *map)
{
    int64_t total = 0;

    for (size_t i = 0; i < map->bytes; i++)
        total += map->data[i];
    return total;
}

static void a_file_that_shrinks_is_reported(void **state)
{
    static const off_t left[] = {0, 1, 4096, 65536, BYTES - 4096, BYTES - 1};

    (void)state;
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        volt_map map = {0}, other = {0};
        fill("shrinks");
        fill("stays");
        assert_ok(volt_map_open(&map, "shrinks"));
        assert_ok(volt_map_open(&other, "stays"));
        assert_ok(volt_map_check(map.data, "shrinks"));
        assert_int_equal(truncate("shrinks", left[i]), 0);
        assert_true(sum(&map) <= 7 * (left[i] + 4096));
        assert_fails(volt_map_check(map.data + BYTES / 2, "shrinks"), VOLT_EIO,
                     "shrinks became shorter");
        assert_int_equal(sum(&other), 7 * BYTES);
        assert_ok(volt_map_check(other.data, "stays"));
        volt_map_close(&other);
        volt_map_close(&map);
        /* the entry is used again */
        fill("shrinks");
        assert_ok(volt_map_open(&map, "shrinks"));
        assert_int_equal(sum(&map), 7 * BYTES);
        assert_ok(volt_map_check(map.data, "shrinks"));
        volt_map_close(&map);
    }
    assert_ok(volt_map_check(NULL, "nothing"));
    assert_ok(volt_map_check(&left, "no map"));
}

static sigjmp_buf back;

static void on_fault(int number)
{
    (void)number;
    siglongjmp(back, 1);
}

/* Faults in the memory of others are theirs. In a child, because handlers are installed once.
 */
static void other_handlers_still_work(void **state)
{
    pid_t child;
    int status;

    (void)state;
    fill("foreign");
    child = fork();
    if (child == 0) {
        struct sigaction action = {.sa_handler = on_fault};
        FILE *file = fopen("foreign", "r+");
        char *view = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fileno(file), 0);
        volt_map map;
        sigaction(SIGBUS, &action, NULL);
        if (volt_map_open(&map, "foreign") != VOLT_OK || truncate("foreign", 0) != 0)
            _exit(2);
        if (sigsetjmp(back, 1) == 0) {
            volatile char c = view[BYTES / 2];
            (void)c;
            _exit(3);
        }
        _exit(sum(&map) == 0 ? 0 : 4);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_handlers_still_work), /* first: no map is open yet */
        cmocka_unit_test(a_file_that_shrinks_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
