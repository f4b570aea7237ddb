#include <stdio.h>
#include "tests/kit/test.h"
#include "base/system/file.h"
#include "base/mem.h"
#include "show/svg.h"

static const double x[4] = {0, 1, 2, 3}, y[4] = {-1.005, 0.25, NAN, 0.5};

static void charts_become_elements(void **state)
{
    const volt_chart_line line = {
        "a<b> & \xc3\xa4 \xff\x01\xed\xa0\x80\xef\xbf\xbf", x, y, 4, {1, 2, 255}, 2, 1};
    const volt_chart_panel panel = {"loss", &line, 1, NAN, NAN, NAN, false};
    const volt_chart chart = {"run", "epoch", false, &panel, 1, 1};
    char *text;
    size_t bytes;

    (void)state;
    assert_ok(volt_svg_write("svg_test.svg", &chart, 640, 400));
    assert_ok(volt_read_file(&text, &bytes, "svg_test.svg", 1 << 20));
    assert_non_null(strstr(text, "viewBox=\"0 0 640 400\""));
    assert_non_null(strstr(text, ">a&lt;b&gt; &amp; \xc3\xa4 ?"
                                 "?"
                                 "?"
                                 "?</text>"));
    assert_non_null(strstr(text, "stroke=\"#0102ff\""));
    assert_non_null(strstr(text, "stroke-dasharray=\""));
    assert_non_null(strstr(text, "textLength=\"")); /* in another font as wide */
    assert_non_null(strstr(text, "<circle"));       /* the last point stands alone */
    assert_string_equal(text + bytes - 7, "</svg>\n");
    volt_free(text);
    remove("svg_test.svg");
}

static void a_failure_leaves_no_file(void **state)
{
    const volt_chart_panel panel = {"loss", NULL, 0, NAN, NAN, NAN, false};
    const volt_chart chart = {NULL, "epoch", false, &panel, 1, 1};

    (void)state;
    assert_fails(volt_svg_write("svg_test.svg", &chart, 100, 100), VOLT_EINVAL, "too few");
    assert_false(volt_path_exists("svg_test.svg"));
    assert_fails(volt_svg_write("/nowhere/at/all.svg", &chart, 640, 400), VOLT_EIO, "/nowhere");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charts_become_elements),
        cmocka_unit_test(a_failure_leaves_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
