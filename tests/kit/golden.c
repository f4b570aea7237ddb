#include "tests/kit/golden.h"

unsigned char *zip_member(const char *path, const char *name, size_t *bytes)
{
    volt_zip *zip;
    char *text;

    assert_ok(volt_zip_open(&zip, path));
    if (!volt_zip_find(zip, name))
        fail_msg("%s has no member %s", path, name);
    assert_ok(volt_zip_read(&text, bytes, zip, volt_zip_find(zip, name), (size_t)1 << 30));
    volt_zip_close(zip);
    return (unsigned char *)text;
}

void golden_weights(float *flat, const volt_graph *g)
{
    volt_weights_report report = {0};
    volt_weights *w;

    assert_ok(volt_weights_open(&w, GOLDEN "/model/fold_0/checkpoint_final.pth"));
    assert_int_equal(volt_weights_count(w), 188);
    assert_ok(volt_weights_fill(flat, &report, w, g, NULL));
    assert_int_equal(report.taken, 68);
    assert_int_equal(report.aliases, 120);
    assert_int_equal(report.unused_count, 0);
    volt_weights_report_clear(&report);
    volt_weights_close(w);
}
