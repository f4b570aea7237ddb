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

#endif
