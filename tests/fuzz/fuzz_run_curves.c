/* Any bytes as the log of a run: refused, or curves that can be drawn. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "show/run_chart.h"
#include "nets3d/run_curves.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_chart_text_options o = volt_chart_text_defaults();
    volt_run_curves *curves = NULL;
    volt_run_chart *chart = NULL;
    volt_picture *picture = NULL;
    char *text = NULL;

    o.columns = 60;
    o.rows = 6;
    o.ascii = size % 2;
    if (volt_run_curves_read(&curves, fuzz_file(data, size), "fuzz") != VOLT_OK)
        return 0;
    fuzz_require(curves->epochs >= 1);
    if (volt_run_chart_make(&chart, (const volt_run_curves *const *)&curves, 1,
                            (volt_curve)(size % 3)) == VOLT_OK) {
        chart->chart.columns = 1;
        fuzz_require(volt_chart_text(&text, &chart->chart, &o) == VOLT_OK);
        fuzz_require(volt_chart_picture(&picture, &chart->chart, 300,
                                        200 * chart->chart.panels) == VOLT_OK);
    }
    volt_picture_free(picture);
    volt_free(text);
    volt_run_chart_free(chart);
    volt_run_curves_free(curves);
    return 0;
}
