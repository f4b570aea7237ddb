#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "show/render.h"
#include "show/pictures/view.h"

/* 8 x 6 x 4 (x, y, z) voxels of 1 x 1 x 2 mm, RAS, with a value that tells where it lies. */
static volt_volume *scan(volt_dtype dtype)
{
    volt_grid g = volt_grid_make((int64_t[3]){4, 6, 8}, 1, (double[3]){2, 1, 1});
    volt_volume *v = NULL;

    assert_ok(volt_volume_create(&v, &g, dtype));
    return v;
}

static volt_color pixel(const volt_picture *p, int64_t x, int64_t y)
{
    const uint8_t *c = p->rgb + 3 * (y * p->width + x);

    return (volt_color){c[0], c[1], c[2]};
}

static bool same(volt_color a, volt_color b)
{
    return a.r == b.r && a.g == b.g && a.b == b.b;
}

/* The bright corner of the scan must appear at the patient's side it belongs to, for every
 * orientation of the file. */
static void test_sides(void **state)
{
    volt_picture *p = NULL;
    const double window[2] = {0, 1};
    int compared = 0;

    (void)state;
    for (int flips = 0; flips < 8; flips++) {
        volt_volume *v = scan(VOLT_U8);
        volt_view view;

        /* Flipped axes: index 0 lies on the other side; the voxel at R, A, S stays bright. */
        for (int a = 0; a < 3; a++) {
            if (flips >> a & 1)
                v->grid.to_world[a][a] *= -1;
        }
        int64_t x = flips & 1 ? 0 : 7, y = flips & 2 ? 0 : 5, z = flips & 4 ? 0 : 3;

        ((uint8_t *)v->data)[(z * 6 + y) * 8 + x] = 1;
        assert_ok(volt_picture_create(&p, 80, 60, (volt_color){9, 9, 9}));
        view = volt_view_of(&v->grid, VOLT_PLANE_AXIAL, 10);
        assert_int_equal(view.width, 80);
        assert_int_equal(view.height, 60);
        view.slice = z;
        assert_ok(volt_view_draw(p, 0, 0, &view, v, 0, window));
        /* Radiological: right on the left, anterior on top. */
        assert_int_equal(pixel(p, 2, 2).r, 255);
        assert_int_equal(pixel(p, 77, 57).r, 0);
        compared += 2;
        volt_picture_free(p);
        p = NULL;

        assert_ok(volt_picture_create(&p, 60, 80, (volt_color){9, 9, 9}));
        view = volt_view_of(&v->grid, VOLT_PLANE_SAGITTAL, 10);
        assert_int_equal(view.width, 60);
        assert_int_equal(view.height, 80);
        view.slice = x;
        assert_ok(volt_view_draw(p, 0, 0, &view, v, 0, window));
        /* Anterior on the left, superior on top. */
        assert_int_equal(pixel(p, 2, 2).r, 255);
        assert_int_equal(pixel(p, 57, 77).r, 0);
        compared += 2;
        volt_picture_free(p);
        p = NULL;
        volt_volume_free(v);
    }
    assert_int_equal(compared, 32);
}

/* Contours lie inside the label, on its border, in its colour, and nowhere else. */
static void test_contours(void **state)
{
    volt_volume *mask = scan(VOLT_I16);
    volt_picture *p = NULL;
    volt_view view = volt_view_of(&mask->grid, VOLT_PLANE_AXIAL, 10);
    const volt_color black = {0, 0, 0}, red = volt_label_color(1);
    const volt_label_map map = {(const int64_t[]){1}, &red, 1};
    int drawn = 0;

    (void)state;
    for (int y = 2; y < 4; y++) {
        for (int x = 2; x < 6; x++)
            ((int16_t *)mask->data)[(1 * 6 + y) * 8 + x] = 1;
    }
    view.slice = 1;
    assert_ok(volt_picture_create(&p, 80, 60, black));
    assert_ok(volt_view_contours(p, 0, 0, &view, mask, &map, VOLT_OUTLINE_SOLID));
    for (int64_t y = 0; y < 60; y++) {
        for (int64_t x = 0; x < 80; x++) {
            bool inside = x >= 20 && x < 60 && y >= 20 && y < 40;
            bool core = x >= 22 && x < 58 && y >= 22 && y < 38;

            if (inside && !core) {
                assert_true(same(pixel(p, x, y), red));
                drawn++;
            } else {
                assert_true(same(pixel(p, x, y), black));
            }
        }
    }
    assert_int_equal(drawn, 40 * 20 - 36 * 16);
    volt_picture_free(p);
    volt_volume_free(mask);
}

/* A label that fills the view is drawn along the view's own border, which is no contour of
 * others. */
static void test_full_view(void **state)
{
    volt_volume *mask = scan(VOLT_I16);
    volt_picture *p = NULL;
    volt_view view = volt_view_of(&mask->grid, VOLT_PLANE_AXIAL, 10);
    const volt_color black = {0, 0, 0}, red = volt_label_color(1);
    const volt_label_map map = {(const int64_t[]){1}, &red, 1};

    (void)state;
    for (int i = 0; i < 6 * 8; i++)
        ((int16_t *)mask->data)[6 * 8 + i] = 1;
    view.slice = 1;
    for (int open = 0; open < 2; open++) {
        assert_ok(volt_picture_create(&p, 80, 60, black));
        assert_ok(volt_view_contours(p, 0, 0, &view, mask, &map, VOLT_OUTLINE_SOLID));
        assert_true(same(pixel(p, 0, 30), open ? black : red));
        assert_true(same(pixel(p, 79, 30), open ? black : red));
        assert_true(same(pixel(p, 40, 1), open ? black : red));
        assert_true(same(pixel(p, 40, 2), black));
        volt_picture_free(p);
        p = NULL;
        ((int16_t *)mask->data)[(1 * 6 + 3) * 8 + 4] = 0; /* a hole, which has a border */
    }
    volt_volume_free(mask);
}

static void test_page(void **state)
{
    volt_volume *image = scan(VOLT_F32), *mask = scan(VOLT_I16);
    const volt_volume *masks[1] = {mask};
    volt_render_options o = volt_render_defaults();
    volt_picture *p = NULL;

    (void)state;
    ((int16_t *)mask->data)[(3 * 6 + 1) * 8 + 2] = 2;
    o.masks = masks;
    o.mask_count = 1;
    assert_ok(volt_render(&p, image, &o));
    assert_true(p->width >= 640 && p->height > 100);
    volt_picture_free(p);
    p = NULL;

    /* The end of a long path tells masks apart, so it must be what is drawn. */
    char longer[2][300];
    const volt_volume *two[2] = {mask, mask};
    const char *names[2] = {longer[0], longer[1]};
    volt_picture *other = NULL;
    memset(longer, '/', sizeof longer);
    strcpy(longer[0] + 280, "truth.nii.gz");
    strcpy(longer[1] + 280, "masks.nii.gz");
    o.masks = two;
    o.mask_names = names;
    o.mask_count = 2;
    assert_ok(volt_render(&p, image, &o));
    strcpy(longer[1] + 280, "other.nii.gz");
    assert_ok(volt_render(&other, image, &o));
    assert_int_equal(p->width, other->width);
    assert_memory_not_equal(p->rgb, other->rgb, (size_t)(3 * p->width * p->height));
    volt_picture_free(other);
    volt_picture_free(p);
    p = NULL;
    o.masks = masks;
    o.mask_count = 1;

    o.sheet = 3; /* the mask touches one slice only */
    assert_ok(volt_render(&p, image, &o));
    volt_picture_free(p);
    p = NULL;
    o.channel = 1;
    assert_fails(volt_render(&p, image, &o), VOLT_EINVAL, "channel 1");
    o.channel = 0;
    o.slice[1] = 6;
    assert_fails(volt_render(&p, image, &o), VOLT_EINVAL, "slice 6 along y");
    o.slice[1] = -1;
    mask->grid.n[2] = 7;
    assert_fails(volt_render(&p, image, &o), VOLT_EDATA, "mask 1 has 7 x 6 x 4");
    assert_null(p);
    volt_volume_free(mask);
    volt_volume_free(image);
}

/* NaN and infinities in the image, every allocation failing in turn. */
static void test_hostile(void **state)
{
    volt_volume *image = scan(VOLT_F32);
    volt_render_options o = volt_render_defaults();
    volt_picture *p = NULL;
    int failures = 0;

    (void)state;
    for (int i = 0; i < 192; i++)
        ((float *)image->data)[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -(float)i;
    assert_ok(volt_render(&p, image, &o));
    volt_picture_free(p);
    p = NULL;
    for (int64_t n = 1;; n++) {
        volt_status st;

        volt_mem_fail_after(n);
        st = volt_render(&p, image, &o);
        volt_mem_fail_after(0);
        if (st == VOLT_OK)
            break;
        assert_int_equal(st, VOLT_ENOMEM);
        assert_null(p);
        failures++;
    }
    assert_true(failures >= 4);
    volt_picture_free(p);
    volt_volume_free(image);
}

static void test_window(void **state)
{
    volt_volume *v = scan(VOLT_I16);
    int16_t *value = v->data;
    double w[2] = {0, 0};

    (void)state;
    assert_ok(volt_window_parse(w, "-100,300.5"));
    assert_true(w[0] == -100 && w[1] == 300.5);
    assert_ok(volt_window_parse(w, "lung"));
    assert_true(w[0] == -1350 && w[1] == 150);
    assert_fails(volt_window_parse(w, "300,100"), VOLT_EINVAL, "300,100");
    assert_fails(volt_window_parse(w, "1,nan"), VOLT_EINVAL, "1,nan");
    assert_fails(volt_window_parse(w, "1,2x"), VOLT_EINVAL, "soft");
    assert_true(w[0] == -1350);

    value[0] = -1000; /* CT */
    value[1] = 900;
    assert_ok(volt_window_choose(w, v, 0));
    assert_true(w[0] == -160 && w[1] == 240);
    for (int i = 0; i < 192; i++) /* MR: background 0, then 101..191 */
        value[i] = i <= 100 ? 0 : (int16_t)i;
    assert_ok(volt_window_choose(w, v, 0));
    assert_true(w[0] >= 101 && w[0] < 103 && w[1] > 189 && w[1] <= 191);
    memset(value, 0, 192 * sizeof *value); /* nothing but background */
    assert_ok(volt_window_choose(w, v, 0));
    assert_true(w[0] < w[1]);
    volt_volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sides),     cmocka_unit_test(test_contours),
        cmocka_unit_test(test_full_view), cmocka_unit_test(test_page),
        cmocka_unit_test(test_hostile),   cmocka_unit_test(test_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
