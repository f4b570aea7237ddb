/* Prepared cases beside those of nnU-Net's own DefaultPreprocessor: a transposed, cropped scan
 * with every normalization and an ignore label, resampled in two and three dimensions, with and
 * without a separate axis (testdata/scripts/make_preprocess.py).
 */
#include "tests/kit/fixture.h"
#include "io/json/json.h"
#include "nets3d/data/preprocess_case.h"

#define MADE_UP VOLT_TESTDATA "/preprocess/"

static void read_triple(int64_t out[3], const json_t *root, const char *config, const char *key)
{
    const json_t *list = json_object_get(json_object_get(root, config), key);

    assert_int_equal(json_array_size(list), 3);
    for (size_t a = 0; a < 3; a++)
        out[a] = json_integer_value(json_array_get(list, a));
}

static void open_scan(volt_volume **image, volt_volume **labels, const json_t *cases)
{
    const json_t *spacing = json_object_get(cases, "spacing");
    npy i = npy_read("preprocess/image", "<i2"), l = npy_read("preprocess/labels", "|u1");
    double mm[3];
    volt_grid grid;

    for (size_t a = 0; a < 3; a++)
        mm[a] = json_real_value(json_array_get(spacing, a));
    grid = volt_grid_make(i.shape + 1, (int32_t)i.shape[0], mm);
    assert_ok(volt_volume_create(image, &grid, VOLT_F32));
    for (int64_t k = 0; k < i.count; k++)
        ((float *)(*image)->data)[k] = ((int16_t *)i.data)[k];
    grid.channels = 1;
    assert_ok(volt_volume_create(labels, &grid, VOLT_I16));
    for (int64_t k = 0; k < l.count; k++)
        ((int16_t *)(*labels)->data)[k] = ((uint8_t *)l.data)[k];
    free(i.data);
    free(l.data);
}

static void compare(const volt_preprocessed *p, const char *name)
{
    char file[100];
    npy i, l;
    double worst = 0;
    int64_t wrong = 0;

    snprintf(file, sizeof file, "preprocess/%s_image", name);
    i = npy_read(file, "<f4");
    snprintf(file, sizeof file, "preprocess/%s_labels", name);
    l = npy_read(file, "|i1");
    assert_int_equal(p->image->grid.channels, i.shape[0]);
    for (int a = 0; a < 3; a++) {
        assert_int_equal(p->image->grid.n[a], i.shape[a + 1]);
        assert_int_equal(p->labels->grid.n[a], l.shape[a]);
    }
    assert_int_equal(p->labels->dtype, VOLT_I8);
    for (int64_t k = 0; k < i.count; k++) {
        const double d = fabs(((float *)p->image->data)[k] - ((float *)i.data)[k]);
        if (!(d <= worst))
            worst = d;
    }
    for (int64_t k = 0; k < l.count; k++)
        wrong += ((int8_t *)p->labels->data)[k] != ((int8_t *)l.data)[k];
    print_message("%s: %.2g from nnU-Net's at most, %lld labels differ\n", name, worst,
                  (long long)wrong);
    assert_true(worst <= 1e-4);
    assert_int_equal(wrong, 0);
    free(i.data);
    free(l.data);
}

static void made_up_scans_become_nnunets(void **state)
{
    static const char *const configs[] = {"2d", "3d_lowres", "3d_fullres", "same"};
    volt_dataset_info info = {0};
    volt_plan *plan = NULL;
    volt_json cases = {0};

    (void)state;
    assert_ok(volt_dataset_info_read(&info, MADE_UP "dataset.json"));
    assert_ok(volt_plan_read(&plan, MADE_UP "plans.json", &info));
    assert_ok(volt_json_load(&cases, MADE_UP "cases.json"));
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        const json_t *boxes = json_object_get(json_object_get(cases.root, configs[i]), "box");
        volt_volume *image = NULL, *labels = NULL;
        const volt_plan_config *config;
        volt_preprocessed p = {0};
        int64_t before[3];

        open_scan(&image, &labels, cases.root);
        assert_ok(volt_plan_find(&config, plan, configs[i]));
        assert_ok(volt_preprocess_case(&p, &image, &labels, plan, config, "scan", 2));
        read_triple(before, cases.root, configs[i], "shape_before_crop");
        for (size_t a = 0; a < 3; a++) {
            const json_t *box = json_array_get(boxes, a);
            assert_int_equal(p.shape_before_crop[a], before[a]);
            assert_int_equal(p.crop.low[a], json_integer_value(json_array_get(box, 0)));
            assert_int_equal(p.crop.high[a], json_integer_value(json_array_get(box, 1)));
        }
        compare(&p, configs[i]);
        volt_preprocessed_clear(&p);
    }
    volt_json_close(&cases);
    volt_plan_free(plan);
    volt_dataset_info_clear(&info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_up_scans_become_nnunets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
