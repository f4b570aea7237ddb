/* Options structs of callers that are older or newer than the library. */
#include "base/core/options.h"
#include "tests/kit/test.h"

typedef struct now {
    size_t size;
    int64_t a, b;
} now;
typedef struct older {
    size_t size;
    int64_t a;
} older;
typedef struct newer {
    size_t size;
    int64_t a, b, c, d;
} newer;

static const now defaults = {sizeof defaults, 1, 2};

static void older_callers_keep_new_defaults(void **state)
{
    older given;
    now known = defaults;

    (void)state;
    volt_options_init(&given, sizeof given, &defaults, sizeof defaults);
    assert_int_equal(given.size, sizeof given);
    assert_int_equal(given.a, 1);
    given.a = 7;
    assert_ok(volt_options_take(&known, sizeof known, &given, "now"));
    assert_int_equal(known.size, sizeof known);
    assert_int_equal(known.a, 7);
    assert_int_equal(known.b, 2);
}

static void newer_callers_pass_unless_they_ask_for_more(void **state)
{
    newer given;
    now known = defaults;

    (void)state;
    volt_options_init(&given, sizeof given, &defaults, sizeof defaults);
    assert_int_equal(given.size, sizeof given);
    assert_int_equal(given.c, 0);
    given.b = 9;
    assert_ok(volt_options_take(&known, sizeof known, &given, "now"));
    assert_int_equal(known.b, 9);
    given.d = 1;
    assert_fails(volt_options_take(&known, sizeof known, &given, "now"), VOLT_EINVAL,
                 "now of 40 bytes");
}

static void options_without_a_size_are_refused(void **state)
{
    now given = {0}, known = defaults;

    (void)state;
    assert_fails(volt_options_take(&known, sizeof known, &given, "now"), VOLT_EINVAL,
                 "now has size 0");
    assert_int_equal(known.a, 1);
    assert_ok(volt_options_take(&known, sizeof known, NULL, "now"));
    assert_int_equal(known.b, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_callers_keep_new_defaults),
        cmocka_unit_test(newer_callers_pass_unless_they_ask_for_more),
        cmocka_unit_test(options_without_a_size_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
