/* Temporary files and folders go when nobody owns them, and only then. */
#define _GNU_SOURCE
#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "base/system/file.h"
#include "base/system/process.h"
#include "base/system/temporary.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOP "temporary-test"

static int entries(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = -2; /* "." and ".." */

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* A writer that is killed with a file and a folder open. */
static void be_killed(void)
{
    const pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        volt_out *f = NULL;
        char *folder = NULL;
        int fd = -1;

        if (volt_out_open(&f, TOP "/sub/x") != VOLT_OK ||
            volt_out_write(f, "half", 4) != VOLT_OK ||
            volt_temporary_folder(&folder, &fd, TOP "/y") != VOLT_OK)
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void what_a_killed_writer_left_goes(void **state)
{
    volt_out *f = NULL;

    (void)state;
    assert_ok(volt_make_dirs(TOP "/sub"));
    be_killed();
    assert_int_equal(entries(TOP "/sub"), 1);
    assert_ok(volt_out_open(&f, TOP "/sub/other")); /* the first in this folder looks */
    assert_int_equal(entries(TOP "/sub"), 1);
    volt_out_abort(&f);
    assert_int_equal(entries(TOP "/sub"), 0);
    be_killed();
    assert_int_equal(entries(TOP), 2); /* sub, and the folder of the second */
    assert_int_equal(volt_temporaries_remove(TOP, 0), 1);
    assert_int_equal(volt_temporaries_remove(TOP, 1), 1);
    assert_int_equal(volt_temporaries_remove("no-such-folder", 1), 0);
    volt_remove_folder(TOP);
}

static void what_has_an_owner_stays(void **state)
{
    volt_out *f = NULL;
    volt_names names = {0};

    (void)state;
    assert_ok(volt_make_dirs(TOP));
    assert_ok(volt_write_file(TOP "/notes.backup.tmp", "x", 1)); /* anybody's */
    assert_ok(volt_out_open(&f, TOP "/x"));
    assert_int_equal(volt_temporaries_remove(TOP, 0), 0);
    assert_ok(volt_list_dir(&names, TOP)); /* and is not listed */
    assert_int_equal(names.count, 1);
    volt_names_free(&names);
    assert_ok(volt_out_commit(&f));
    assert_true(volt_path_exists(TOP "/x"));
    assert_int_equal(entries(TOP), 2);
    volt_remove_folder(TOP);
}

static void put(const volt_process *p)
{
    char path[256];

    snprintf(path, sizeof path, TOP "/" VOLT_TEMPORARY_PREFIX "%08" PRIx32 "-%lx-%" PRIx64 "-0",
             p->machine, (unsigned long)p->pid, p->started);
    assert_ok(volt_write_file(path, "x", 1));
}

/* A number that is used again is another process; other machines' files go by their lock. */
static void numbers_are_used_again(void **state)
{
    volt_process p = volt_process_self();

    (void)state;
    assert_int_equal(volt_process_look_up(&p), VOLT_PROCESS_LIVES);
    assert_true(volt_process_age() > -0.01 && volt_process_age() < 600);
    assert_ok(volt_make_dirs(TOP));
    put(&p);
    assert_int_equal(volt_temporaries_remove(TOP, 0), 0);
    p.started--;
    assert_int_equal(volt_process_look_up(&p), VOLT_PROCESS_ENDED);
    put(&p);
    p.machine++;
    assert_int_equal(volt_process_look_up(&p), VOLT_PROCESS_ELSEWHERE);
    put(&p);
    assert_int_equal(volt_temporaries_remove(TOP, 0), 2);
    volt_remove_folder(TOP);
}

/* As long as any name that the file system allows. */
static void long_names_can_be_written(void **state)
{
    char path[300] = TOP "/";

    (void)state;
    assert_ok(volt_make_dirs(TOP));
    memset(path + strlen(path), 'n', 255);
    assert_ok(volt_write_file(path, "x", 1));
    assert_int_equal(entries(TOP), 1);
    volt_remove_folder(TOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_killed_writer_left_goes),
        cmocka_unit_test(what_has_an_owner_stays),
        cmocka_unit_test(numbers_are_used_again),
        cmocka_unit_test(long_names_can_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
