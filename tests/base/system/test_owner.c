/* A folder has one owner; one that was killed blocks nobody. */
#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "base/system/file.h"
#include "base/system/owner.h"
#include "base/system/process.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOP  "owner-test"
#define LOCK TOP "/" VOLT_LOCK_FILE

static void the_second_is_refused_by_name(void **state)
{
    volt_owner *a = NULL, *b = NULL;
    char host[128] = "", who[256];

    (void)state;
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    snprintf(who, sizeof who, TOP " is in use by process %ld on %s", (long)getpid(), host);
    assert_ok(volt_owner_check(TOP)); /* not there */
    assert_ok(volt_owner_take(&a, TOP, VOLT_OWNER_REFUSE, NULL));
    assert_true(volt_path_exists(LOCK));
    assert_fails(volt_owner_take(&b, TOP, VOLT_OWNER_REFUSE, NULL), VOLT_EIO, who);
    assert_fails(volt_owner_check(TOP), VOLT_EIO, who);
    assert_null(b);
    volt_owner_release(&a);
    assert_null(a);
    assert_false(volt_path_exists(TOP)); /* created for it, and empty */
    volt_owner_release(&a);
    assert_ok(volt_make_dirs(TOP));
    assert_ok(volt_owner_take(&a, TOP, VOLT_OWNER_REFUSE, NULL));
    volt_owner_release(&a);
    assert_false(volt_path_exists(LOCK));
    assert_true(volt_path_exists(TOP));
    volt_remove_folder(TOP);
}

static void a_killed_owner_blocks_nobody(void **state)
{
    volt_owner *a = NULL;
    const pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        if (volt_owner_take(&a, TOP, VOLT_OWNER_REFUSE, NULL) == VOLT_OK)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(volt_path_exists(LOCK));
    assert_ok(volt_owner_check(TOP));
    assert_false(volt_path_exists(LOCK));
    assert_ok(volt_write_file(LOCK, "elsewhere 1 0 1 -\n", 18));
    assert_ok(volt_owner_take(&a, TOP, VOLT_OWNER_REFUSE, NULL));
    volt_owner_release(&a);
    assert_false(volt_path_exists(LOCK));
    volt_remove_folder(TOP);
}

static void *release_soon(void *owner)
{
    usleep(300000);
    volt_owner_release(owner);
    return NULL;
}

static void note(void *user, volt_log_level level, const char *line)
{
    int *waits = user;

    (void)level;
    *waits += strstr(line, "waiting") != NULL;
}

static bool at_once(void *user)
{
    (void)user;
    return true;
}

static void waiting_ends_with_the_owner(void **state)
{
    volt_owner *a = NULL, *b = NULL;
    int waits = 0;
    const volt_callbacks cb = {.user = &waits, .log = note}, stop = {.cancelled = at_once};
    pthread_t thread;

    (void)state;
    assert_ok(volt_owner_take(&a, TOP, VOLT_OWNER_REFUSE, NULL));
    assert_fails(volt_owner_take(&b, TOP, VOLT_OWNER_WAIT, &stop), VOLT_ECANCELLED, "");
    assert_int_equal(pthread_create(&thread, NULL, release_soon, &a), 0);
    assert_ok(volt_owner_take(&b, TOP, VOLT_OWNER_WAIT, &cb));
    pthread_join(thread, NULL);
    assert_int_equal(waits, 1);
    volt_owner_release(&b);
    assert_false(volt_path_exists(LOCK));
    volt_remove_folder(TOP);
}

static void those_with_one_key_share(void **state)
{
    volt_owner *a = NULL, *b = NULL, *c = NULL;

    (void)state;
    assert_ok(volt_owner_join(&a, TOP, "one", NULL));
    assert_ok(volt_owner_join(&b, TOP, "one", NULL));
    assert_fails(volt_owner_join(&c, TOP, "two", NULL), VOLT_EIO, "in use by process");
    assert_fails(volt_owner_take(&c, TOP, VOLT_OWNER_REFUSE, NULL), VOLT_EIO, "in use");
    volt_owner_release(&a);
    assert_true(volt_path_exists(LOCK));
    assert_fails(volt_owner_join(&c, TOP, "two", NULL), VOLT_EIO, "in use by process");
    volt_owner_release(&b);
    assert_false(volt_path_exists(LOCK));
    assert_ok(volt_owner_take(&a, TOP, VOLT_OWNER_REFUSE, NULL));
    assert_fails(volt_owner_join(&c, TOP, "one", NULL), VOLT_EIO, "in use by process");
    volt_owner_release(&a);
    volt_remove_folder(TOP);
}

/* Ten processes at once: each is the only one while it is the owner. */
static void there_is_never_a_second(void **state)
{
    int status, failures = 0;

    (void)state;
    assert_ok(volt_make_dirs(TOP));
    for (int i = 0; i < 10; i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child > 0)
            continue;
        for (int turn = 0; turn < 10; turn++) {
            volt_owner *a = NULL;
            if (volt_owner_take(&a, TOP, VOLT_OWNER_WAIT, NULL) != VOLT_OK ||
                mkdir(TOP "/mine", 0777) != 0 || rmdir(TOP "/mine") != 0)
                _exit(1);
            volt_owner_release(&a);
        }
        _exit(0);
    }
    while (wait(&status) > 0)
        failures += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    assert_int_equal(failures, 0);
    volt_remove_folder(TOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_is_refused_by_name),
        cmocka_unit_test(a_killed_owner_blocks_nobody),
        cmocka_unit_test(waiting_ends_with_the_owner),
        cmocka_unit_test(those_with_one_key_share),
        cmocka_unit_test(there_is_never_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
