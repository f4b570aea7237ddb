/* A folder appears whole: nothing under its name before it is complete, nothing at all when it
 * is given up. */
#include "tests/kit/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/system/file.h"
#include "base/system/temporary.h"
#include "base/mem.h"
#include "io/dataset/staging.h"

#define TOP    "staging-test"
#define TARGET TOP "/inner/run"

static void put_file(const volt_staging *s, const char *name)
{
    char *path = NULL;

    assert_ok(volt_path_join(&path, volt_staging_path(s), name));
    assert_ok(volt_write_file(path, "x", 1));
    volt_free(path);
}

static size_t entries(const char *folder)
{
    volt_names names = {0};
    size_t count;

    assert_ok(volt_list_dir(&names, folder));
    count = names.count;
    volt_names_free(&names);
    return count;
}

static void a_folder_appears_whole(void **state)
{
    volt_staging *s = NULL;

    (void)state;
    assert_ok(volt_staging_open(&s, TARGET "/"));
    put_file(s, "one");
    assert_false(volt_path_exists(TARGET));
    assert_ok(volt_staging_commit(&s));
    assert_null(s);
    assert_true(volt_path_exists(TARGET "/one"));
    assert_int_equal(entries(TOP "/inner"), 1);
    assert_fails(volt_staging_open(&s, TARGET), VOLT_EDATA, "it holds one");
    /* older than this process */
    assert_fails(volt_staging_open(&s, VOLT_TESTDATA "/fuzz"), VOLT_EDATA,
                 "fuzz exists and is not empty: it holds ");
    assert_fails(volt_staging_open(&s, TARGET "/one"), VOLT_EDATA, "is not a folder");
    assert_fails(volt_staging_open(&s, ""), VOLT_EINVAL, "empty");
    remove(TARGET "/one");
    assert_ok(volt_staging_open(&s, TARGET)); /* an empty one is replaced */
    put_file(s, "two");
    assert_ok(volt_staging_commit(&s));
    assert_true(volt_path_exists(TARGET "/two"));
    remove(TARGET "/two");
    rmdir(TARGET);
}

/* What a killed program left next to the target, or in it, is gone after the next. */
static void leftovers_go_with_the_next(void **state)
{
    static const char left[] = VOLT_TEMPORARY_PREFIX "00000000-1-1-0";
    volt_staging *s = NULL;
    char path[256];

    (void)state;
    snprintf(path, sizeof path, TOP "/inner/%s/fold_0", left);
    assert_ok(volt_make_dirs(path));
    snprintf(path, sizeof path, TOP "/inner/%s/fold_0/x", left);
    assert_ok(volt_write_file(path, "x", 1));
    snprintf(path, sizeof path, TARGET "/%s", left);
    assert_ok(volt_make_dirs(path));
    assert_ok(volt_staging_open(&s, TARGET));
    assert_false(volt_path_exists(path));
    put_file(s, "one");
    assert_ok(volt_staging_commit(&s));
    assert_int_equal(volt_temporaries_remove(TOP, 1), 1); /* this process has looked already */
    snprintf(path, sizeof path, TOP "/inner/%s", left);
    assert_false(volt_path_exists(path));
    volt_remove_folder(TARGET);
}

/* Two at the same time: the second to finish is content with the same result only. */
static void two_that_do_the_same_both_succeed(void **state)
{
    volt_staging *s[3] = {NULL};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_ok(volt_staging_open(&s[i], TARGET));
    for (int i = 0; i < 2; i++)
        put_file(s[i], "one");
    assert_ok(volt_staging_commit(&s[0]));
    assert_ok(volt_staging_commit(&s[1]));
    put_file(s[2], "one");
    put_file(s[2], "two");
    assert_fails(volt_staging_commit(&s[2]), VOLT_EDATA, "with other content");
    assert_int_equal(entries(TOP "/inner"), 1);
    assert_int_equal(entries(TARGET), 1);
    volt_remove_folder(TARGET);
}

static void given_up_it_is_gone(void **state)
{
    volt_staging *s = NULL;
    char *inside = NULL;

    (void)state;
    assert_ok(volt_staging_open(&s, TARGET));
    put_file(s, "one");
    assert_ok(volt_path_join(&inside, volt_staging_path(s), "deeper/still"));
    assert_ok(volt_make_dirs(inside));
    assert_int_equal(volt_write_file(inside, "x", 1), VOLT_EIO); /* it is a folder */
    volt_free(inside);
    volt_staging_abort(&s);
    assert_null(s);
    assert_non_null(strstr(volt_last_error(), TARGET "/deeper/still: "));
    assert_int_equal(entries(TOP "/inner"), 0);
    volt_staging_abort(&s);
    rmdir(TOP "/inner");
    rmdir(TOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_appears_whole),
        cmocka_unit_test(leftovers_go_with_the_next),
        cmocka_unit_test(two_that_do_the_same_both_succeed),
        cmocka_unit_test(given_up_it_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
