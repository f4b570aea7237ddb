/* test.h - cmocka with the headers it wants in front, and a few checks every floor needs. */
#ifndef VOLT_TESTS_TEST_H
#define VOLT_TESTS_TEST_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/status.h"

/* Fails with VOLT's own sentence. */
#define assert_ok(call)                                                                        \
    do {                                                                                       \
        if ((call) != VOLT_OK)                                                                 \
            fail_msg("%s: %s", #call, volt_last_error());                                      \
    } while (0)

/* The call fails with `code` and a sentence that holds `words`. */
#define assert_fails(call, code, words)                                                        \
    do {                                                                                       \
        assert_int_equal((call), (code));                                                      \
        if (!strstr(volt_last_error(), (words)))                                               \
            fail_msg("%s: message '%s' lacks '%s'", #call, volt_last_error(), (words));        \
    } while (0)

#define VOLT_TEST_SKIP 77

/* Ends this test as skipped and says why: a format and its values. */
#define skip_because(...)                                                                      \
    do {                                                                                       \
        print_message("skipped: " __VA_ARGS__);                                                \
        print_message("\n");                                                                   \
        skip();                                                                                \
    } while (0)

/* For main(): what it returns when none of its tests can run; `reason` is a literal. */
#define skip_all(reason) (print_message("skipped: " reason "\n"), VOLT_TEST_SKIP)

#endif
