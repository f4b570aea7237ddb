#include "tests/kit/test.h"
#include "io/label_table.h"
#include "tests/show/pictures/ciede.h"

/* Two pairs of Sharma, Wu and Dalal's test data (2005) are within reach of 8-bit colours: equal
 * ones, and black and white. */
static void the_measure_is_right(void **state)
{
    const volt_color black = {0, 0, 0}, white = {255, 255, 255}, red = {255, 0, 0},
                     green = {0, 255, 0};

    (void)state;
    assert_true(ciede2000(red, red) < 1e-9);
    assert_true(fabs(ciede2000(black, white) - 100) < 0.01);
    assert_true(fabs(ciede2000(red, green) - 86.6) < 0.1);
}

/* Neighbours in a legend, and what lies up to three apart; 120 is followed by 121, which has
 * the first colour again. */
static void neighbours_differ_clearly(void **state)
{
    (void)state;
    for (int i = 1; i <= VOLT_LABEL_COLORS; i++) {
        for (int k = 1; k <= 3; k++) {
            const double d = ciede2000(volt_label_color(i), volt_label_color(i + k));

            if (d < (k == 1 ? 20 : 15))
                fail_msg("labels %d and %d differ by %.1f", i, i + k, d);
        }
        for (int k = i + 1; k <= VOLT_LABEL_COLORS; k++) {
            const double d = ciede2000(volt_label_color(i), volt_label_color(k));

            if (d < 6)
                fail_msg("labels %d and %d differ by %.1f", i, k, d);
        }
        for (int grey = 0; grey < 256; grey += 5) {
            const volt_color under = {(uint8_t)grey, (uint8_t)grey, (uint8_t)grey};

            if (ciede2000(volt_label_color(i), under) < 10)
                fail_msg("label %d is too close to the grey %d", i, grey);
        }
    }
}

/* Whatever the values: neighbours in the list differ, and up to 120 labels share no colour. */
static void lists_of_any_values_differ(void **state)
{
    static const int64_t lists[][6] = {
        {1, 2, 4, 5, 6, 7},           {40, 230, 231, 300, 301, 302},
        {1, 121, 241, 361, 481, 601}, {-5, -1, 120, 240, 2147483647, 9007199254740993},
        {3, 10, 17, 18, 77, 85},      {1000, 1120, 1240, 2000, 2120, 2240},
    };
    int64_t value[VOLT_LABEL_COLORS];
    volt_color color[VOLT_LABEL_COLORS];

    (void)state;
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
        volt_label_colors(color, lists[l], 6);
        for (int i = 0; i < 6; i++) {
            for (int k = i + 1; k < 6; k++)
                assert_true(ciede2000(color[i], color[k]) >= (k == i + 1 ? 12 : 6));
        }
    }
    for (int step = 1; step <= 130; step += 3) {
        for (int i = 0; i < VOLT_LABEL_COLORS; i++)
            value[i] = 1 + (int64_t)i * step;
        volt_label_colors(color, value, VOLT_LABEL_COLORS);
        for (int i = 0; i < VOLT_LABEL_COLORS; i++) {
            for (int k = 0; k < i; k++)
                assert_true(memcmp(&color[i], &color[k], sizeof color[i]) != 0);
        }
    }
    for (int i = 0; i < VOLT_LABEL_COLORS; i++)
        value[i] = i + 1;
    volt_label_colors(color, value, VOLT_LABEL_COLORS);
    for (int i = 0; i < VOLT_LABEL_COLORS; i++) {
        const volt_color own = volt_label_color(i + 1);
        uint8_t rgb[3];

        assert_memory_equal(&color[i], &own, sizeof own);
        volt_label_rgb(rgb, i + 1); /* of tables for viewers */
        assert_true(rgb[0] == own.r && rgb[1] == own.g && rgb[2] == own.b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_measure_is_right),
        cmocka_unit_test(neighbours_differ_clearly),
        cmocka_unit_test(lists_of_any_values_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
