/* A folder appears whole: nothing under its name before it is complete, nothing at all when it
 * is given up. */
#include "tests/kit/test.h"

#include <stdio.h>
#include <unistd.h>

#include "base/system/file.h"
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

/* What a killed program left is gone after the next; folders of other targets stay. */
static void leftovers_go_with_the_next(void **state)
{
    volt_staging *s = NULL;

    (void)state;
    assert_ok(volt_make_dirs(TARGET ".tmp.abcdef/fold_0"));
    assert_ok(volt_write_file(TARGET ".tmp.abcdef/fold_0/x", "x", 1));
    assert_ok(volt_make_dirs(TARGET "2.tmp.abcdef"));
    assert_ok(volt_staging_open(&s, TARGET));
    assert_false(volt_path_exists(TARGET ".tmp.abcdef"));
    assert_true(volt_path_exists(TARGET "2.tmp.abcdef"));
    volt_staging_abort(&s);
    rmdir(TARGET "2.tmp.abcdef");
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
    volt_free(inside);
    volt_staging_abort(&s);
    assert_null(s);
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
        cmocka_unit_test(given_up_it_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
