#include "tests/kit/measure.h"
#include "tests/kit/fixture.h"
#include <stdio.h>
#include "base/core/alloc.h"
#include "volume/resample.h"
#include "volume/resample/resample_internal.h"

/* A volume from a fixture of shape (C, Z, Y, X). */
static volt_volume *volume_from(const npy *a, volt_dtype dtype)
{
    const volt_grid g =
        volt_grid_make(a->shape + 1, (int32_t)a->shape[0], (double[]){3, 0.7, 0.5});
    volt_volume *v = NULL;

    assert_int_equal(a->rank, 4);
    assert_ok(volt_volume_create(&v, &g, dtype));
    memcpy(v->data, a->data, volt_volume_bytes(v));
    return v;
}

static npy fixture(const char *kind, const char *name, const char *part, const char *descr)
{
    char path[128];

    snprintf(path, sizeof path, "volume/%s_%s_%s", kind, name, part);
    return npy_read(path, descr);
}

/* Resamples with `threads`, checks the announced memory and leaves no bytes behind. */
static volt_volume *resample_watched(const volt_volume *v, const int64_t shape[3],
                                     volt_interpolation order, int axis, int threads)
{
    const size_t before = volt_mem_current(), bytes = volt_volume_bytes(v);
    volt_volume *w = NULL;
    size_t result, larger;

    measure_start();
    assert_ok(volt_resample_image(&w, v, shape, order, axis, threads));
    result = volt_volume_bytes(w);
    larger = bytes > result ? bytes : result;
    assert_true(measure_peak() - before <=
                larger + volt_resample_scratch_bytes(v->grid.n, shape, threads));
    return w;
}

static void check_image(const char *name, volt_interpolation order, int axis)
{
    npy in = fixture("resample", name, "in", "<f4"),
        out = fixture("resample", name, "out", "<f4");
    volt_volume *v = volume_from(&in, VOLT_F32);
    const volt_value_range range = volt_volume_range(v, 1);
    volt_volume *w = resample_watched(v, out.shape + 1, order, axis, 1);
    volt_volume *x = resample_watched(v, out.shape + 1, order, axis, 3);
    const float *found = w->data, *expected = out.data;
    double worst = 0;

    assert_int_equal(volt_volume_bytes(w), (size_t)out.count * 4);
    for (int64_t i = 0; i < out.count; i++)
        worst = fmax(worst, fabs((double)found[i] - expected[i]));
    if (!(worst <= 1e-5 * (range.max - range.min)))
        fail_msg("%s: off by %g of the range", name, worst / (range.max - range.min));
    print_message("%-18s off by %.1e of the range\n", name, worst / (range.max - range.min));
    assert_memory_equal(w->data, x->data, volt_volume_bytes(w)); /* any thread count */
    volt_volume_free(x);
    volt_volume_free(w);
    volt_volume_free(v);
    free(out.data);
    free(in.data);
}

static void check_all_images(void)
{
    check_image("up", VOLT_CUBIC, VOLT_NO_AXIS);
    check_image("down", VOLT_CUBIC, VOLT_NO_AXIS);
    check_image("down_in_plane_up", VOLT_CUBIC, VOLT_NO_AXIS);
    check_image("mixed", VOLT_CUBIC, VOLT_NO_AXIS);
    check_image("thin", VOLT_CUBIC, VOLT_NO_AXIS);
    check_image("line", VOLT_CUBIC, VOLT_NO_AXIS);
    check_image("two", VOLT_CUBIC, VOLT_NO_AXIS);
    check_image("wide", VOLT_CUBIC, VOLT_NO_AXIS);
    check_image("separate_z", VOLT_CUBIC, 0);
    check_image("separate_z_down", VOLT_CUBIC, 0);
    check_image("separate_z_same", VOLT_CUBIC, 0);
    check_image("separate_y", VOLT_CUBIC, 1);
    check_image("separate_x", VOLT_CUBIC, 2);
    check_image("linear", VOLT_LINEAR, VOLT_NO_AXIS);
    check_image("linear_separate_x", VOLT_LINEAR, 2);
    check_image("nearest", VOLT_NEAREST, VOLT_NO_AXIS);
}

/* Instruction sets differ in the last bits, each within the bound. */
static void images_agree_with_skimage(void **state)
{
    static const char *const levels[] = {"base", "avx2", "avx512"};
    const char *set = getenv("VOLT_ISA");
    char *before = set ? strdup(set) : NULL;

    (void)state;
    for (int i = 0; i < 3; i++) {
        print_message("-- at most %s\n", levels[i]);
        setenv("VOLT_ISA", levels[i], 1);
        check_all_images();
    }
    if (before)
        setenv("VOLT_ISA", before, 1);
    else
        unsetenv("VOLT_ISA");
    free(before);
}

static void check_labels(const char *name, volt_dtype dtype, const char *descr,
                         volt_interpolation order, int axis)
{
    npy in = fixture("resample", name, "in", descr),
        out = fixture("resample", name, "out", descr);
    volt_volume *v = volume_from(&in, dtype), *w = NULL;

    assert_ok(volt_resample_labels(&w, v, out.shape + 1, order, axis, 2));
    assert_int_equal(w->dtype, dtype);
    assert_memory_equal(w->data, out.data, volt_volume_bytes(w));
    volt_volume_free(w);
    volt_volume_free(v);
    free(out.data);
    free(in.data);
}

static void labels_agree_to_the_voxel(void **state)
{
    (void)state;
    check_labels("labels_up", VOLT_I8, "|i1", VOLT_LINEAR, VOLT_NO_AXIS);
    check_labels("labels_thirds", VOLT_U8, "|u1", VOLT_LINEAR, VOLT_NO_AXIS);
    check_labels("labels_down", VOLT_I16, "<i2", VOLT_LINEAR, VOLT_NO_AXIS);
    check_labels("labels_separate", VOLT_I8, "|i1", VOLT_LINEAR, 0);
    check_labels("labels_nearest", VOLT_U16, "<u2", VOLT_NEAREST, VOLT_NO_AXIS);
}

static void shapes_follow_spacing(void **state)
{
    int64_t n[3] = {7, 7, 7};

    (void)state;
    assert_ok(volt_resample_shape(n, (int64_t[]){78, 512, 512}, (double[]){5, 0.8, 0.8},
                                  (double[]){2, 1, 0.7}));
    assert_true(n[0] == 195 && n[1] == 410 && n[2] == 585);
    /* Half to even, and never none. */
    assert_ok(volt_resample_shape(n, (int64_t[]){5, 7, 1}, (double[]){1, 1, 1},
                                  (double[]){2, 2, 10}));
    assert_true(n[0] == 2 && n[1] == 4 && n[2] == 1);
    assert_fails(volt_resample_shape(n, n, (double[]){1, 0, 1}, (double[]){1, 1, 1}),
                 VOLT_EINVAL, "along y");
    assert_fails(volt_resample_shape(n, n, (double[]){1, 1, 1}, (double[]){1, 1, NAN}),
                 VOLT_EINVAL, "along x");
    assert_fails(volt_resample_shape(n, n, (double[]){1e9, 1, 1}, (double[]){1e-9, 1, 1}),
                 VOLT_EINVAL, "2e+18 voxels");
    assert_true(n[0] == 2 && n[1] == 4 && n[2] == 1);
}

static void the_separate_axis_is_nnunets(void **state)
{
    static const struct {
        double spacing[3], target[3];
        int axis;
    } cases[] = {{{5, 1, 1}, {1, 1, 1}, 0},
                 {{3, 1, 1}, {1, 1, 1}, VOLT_NO_AXIS},
                 {{1, 1, 1}, {1, 1, 4}, 2},
                 {{5, 5, 1}, {1, 1, 5}, VOLT_NO_AXIS},
                 {{0.24, 1.25, 1.25}, {1, 1, 1}, VOLT_NO_AXIS},
                 {{1, 4, 1.1}, {9, 1, 1}, 1},
                 {{1, 1, 1}, {4, 4, 1}, VOLT_NO_AXIS}};
    int tried = 0;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++, tried++)
        assert_int_equal(volt_resample_separate_axis(cases[i].spacing, cases[i].target),
                         cases[i].axis);
    assert_int_equal(tried, 7);
}

static void the_field_of_view_stays(void **state)
{
    volt_grid g = {
        {4, 5, 6}, 1, {{-0.9, 0.1, 0.7, 10}, {0.2, 0.1, 2.9, -20}, {0, 1.8, 0.3, 3}}};
    const volt_grid h = volt_resample_grid(&g, (int64_t[]){8, 3, 6});
    double a[3], b[3];

    (void)state;
    for (int corner = 0; corner < 8; corner++) {
        double in[3], out[3];
        for (int i = 0; i < 3; i++) {
            in[i] = corner >> i & 1 ? (double)g.n[i] - 0.5 : -0.5;
            out[i] = corner >> i & 1 ? (double)h.n[i] - 0.5 : -0.5;
        }
        volt_grid_world(a, &g, in);
        volt_grid_world(b, &h, out);
        for (int i = 0; i < 3; i++)
            assert_true(fabs(a[i] - b[i]) < 1e-12);
    }
}

static volt_volume *constant(int64_t z, int64_t y, int64_t x, float value)
{
    const volt_grid g = volt_grid_make((int64_t[]){z, y, x}, 1, (double[]){1, 1, 1});
    volt_volume *v = NULL;

    assert_ok(volt_volume_create(&v, &g, VOLT_F32));
    for (int64_t i = 0; i < z * y * x; i++)
        ((float *)v->data)[i] = value;
    return v;
}

static void constants_and_equal_shapes_stay_exact(void **state)
{
    volt_volume *v = constant(5, 6, 7, -1023.7f), *w = NULL;

    (void)state;
    assert_ok(volt_resample_image(&w, v, (int64_t[]){9, 4, 70}, VOLT_CUBIC, VOLT_NO_AXIS, 2));
    for (int i = 0; i < 9 * 4 * 70; i++)
        assert_true(((float *)w->data)[i] == -1023.7f);
    volt_volume_free(w);
    for (int i = 0; i < 210; i++)
        ((float *)v->data)[i] = sinf((float)i);
    assert_ok(volt_resample_image(&w, v, v->grid.n, VOLT_CUBIC, 1, 2));
    assert_memory_equal(w->data, v->data, 840);
    assert_memory_equal(&w->grid, &v->grid, sizeof v->grid);
    volt_volume_free(w);
    volt_volume_free(v);
}

static void bad_input_is_refused(void **state)
{
    volt_volume *v = constant(3, 3, 3, 1), *out = NULL;
    const int64_t more[3] = {4, 4, 4}, none[3] = {4, 0, 4}, huge[3] = {4, INT64_MAX / 2, 4};
    const int64_t large[3] = {1 << 30, 1 << 30, 1 << 30};

    (void)state;
    ((float *)v->data)[7] = NAN;
    ((float *)v->data)[8] = INFINITY;
    assert_fails(volt_resample_image(&out, v, more, VOLT_CUBIC, -1, 2), VOLT_EDATA, "2 of 27");
    ((float *)v->data)[7] = ((float *)v->data)[8] = 0;
    assert_fails(volt_resample_image(&out, v, none, VOLT_CUBIC, -1, 2), VOLT_EINVAL,
                 "an extent of 0 along y");
    assert_fails(volt_resample_image(&out, v, huge, VOLT_LINEAR, -1, 2), VOLT_EINVAL,
                 "along y");
    assert_fails(volt_resample_image(&out, v, large, VOLT_CUBIC, -1, 2), VOLT_EINVAL,
                 "too many");
    assert_fails(volt_resample_image(&out, v, more, (volt_interpolation)2, -1, 2), VOLT_EINVAL,
                 "interpolation order 2 is not");
    assert_fails(volt_resample_image(&out, v, more, VOLT_CUBIC, 3, 2), VOLT_EINVAL,
                 "separate axis 3 is not");
    assert_fails(volt_resample_labels(&out, v, more, VOLT_LINEAR, -1, 2), VOLT_EINVAL,
                 "float32");
    v->dtype = VOLT_I16;
    assert_fails(volt_resample_image(&out, v, more, VOLT_CUBIC, -1, 2), VOLT_EINVAL, "int16");
    assert_fails(volt_resample_labels(&out, v, more, VOLT_CUBIC, -1, 2), VOLT_EINVAL,
                 "linearly");
    assert_fails(volt_resample_labels(&out, v, huge, VOLT_LINEAR, -1, 2), VOLT_EINVAL,
                 "along y");
    v->dtype = VOLT_F32;
    assert_null(out);
    volt_volume_free(v);
}

static void every_allocation_may_fail(void **state)
{
    volt_volume *v = constant(3, 4, 5, 1), *out = NULL;
    const int64_t more[3] = {4, 4, 6};
    const size_t before = volt_mem_current();
    int failures = 0;

    (void)state;
    for (int n = 1; n < 20; n++) {
        volt_mem_fail_after(n);
        const volt_status st = volt_resample_image(&out, v, more, VOLT_CUBIC, -1, 2);
        volt_mem_fail_after(0);
        if (st == VOLT_OK)
            break;
        failures++;
        assert_int_equal(st, VOLT_ENOMEM);
        assert_null(out);
        assert_int_equal(volt_mem_current(), before);
    }
    assert_true(failures >= 3 && out != NULL);
    volt_volume_free(out);
    volt_volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_agree_with_skimage),
        cmocka_unit_test(labels_agree_to_the_voxel),
        cmocka_unit_test(shapes_follow_spacing),
        cmocka_unit_test(the_separate_axis_is_nnunets),
        cmocka_unit_test(the_field_of_view_stays),
        cmocka_unit_test(constants_and_equal_shapes_stay_exact),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
