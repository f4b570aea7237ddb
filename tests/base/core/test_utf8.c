/* What others wrote reaches messages as valid UTF-8 without control characters. */
#include "base/core/utf8.h"
#include <stdio.h>
#include <string.h>
#include "base/core/report.h"
#include "tests/kit/test.h"

static void keep_line(void *user, volt_log_level level, const char *line)
{
    (void)level;
    snprintf(user, 64, "%s", line);
}

static void assert_printable(const char *given, const char *wanted)
{
    char line[64] = "";
    const volt_callbacks cb = {.user = line, .log = keep_line};

    assert_int_equal(volt_fail(VOLT_EFORMAT, "%s", given), VOLT_EFORMAT);
    assert_string_equal(volt_last_error(), wanted);
    volt_report(&cb, VOLT_LOG_WARNING, "%s", given);
    assert_string_equal(line, wanted);
}

static void text_of_any_language_stays(void **state)
{
    (void)state;
    assert_printable("Gef\303\244\303\237 \350\241\200\347\256\241 \360\237\253\200",
                     "Gef\303\244\303\237 \350\241\200\347\256\241 \360\237\253\200");
    assert_printable("", "");
}

static void control_characters_are_replaced(void **state)
{
    (void)state;
    assert_printable("a\033[31mb\r\n\tc\177", "a?[31mb???c?");
    assert_printable("a\302\233b\302\240c", "a?"
                                            "?b\302\240c"); /* U+009B begins sequences too */
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
    (void)state;
    assert_printable("caf\351", "caf?");
    assert_printable("\303(", "?(");
    assert_printable("\300\257 \355\240\200 \364\220\200\200", "?? ??? ????");
    assert_printable("cut \360\237\253", "cut ???");
}

static void long_sentences_end_with_a_whole_character(void **state)
{
    char given[1200];

    (void)state;
    given[0] = 'x';
    for (size_t i = 1; i + 2 < sizeof given; i += 2)
        memcpy(given + i, "\303\244", 3);
    (void)volt_fail(VOLT_EFORMAT, "%s", given);
    assert_true(volt_is_utf8(volt_last_error(), strlen(volt_last_error())));
    (void)volt_fail(VOLT_EFORMAT, "%s", given + 1);
    assert_true(volt_is_utf8(volt_last_error(), strlen(volt_last_error())));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_any_language_stays),
        cmocka_unit_test(control_characters_are_replaced),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(long_sentences_end_with_a_whole_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
