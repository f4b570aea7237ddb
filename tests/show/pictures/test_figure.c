/* The figure of a case, by its pixels. */
#include <stdio.h>
#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "base/mem.h"
#include "show/render.h"
#include "tests/show/pictures/ciede.h"

enum { N = 40, CLASSES = 120 };

static const volt_color paper = {18, 18, 20};

static volt_volume *volume(volt_dtype dtype, int32_t channels, int64_t depth)
{
    const volt_grid g =
        volt_grid_make((int64_t[3]){depth, N, N}, channels, (double[3]){2, 1, 1});
    volt_volume *v = NULL;

    assert_ok(volt_volume_create(&v, &g, dtype));
    return v;
}

/* A scan: waves between 100 and 300. */
static volt_volume *scan(int64_t depth)
{
    volt_volume *v = volume(VOLT_F32, 1, depth);
    float *value = v->data;

    for (int64_t i = 0; i < depth * N * N; i++)
        value[i] = (float)(200 + 100 * sin((double)(i % N) / 5) * cos((double)(i / N % N) / 7));
    return v;
}

/* A block of a label, larger in slice 1 than elsewhere. */
static void put_block(volt_volume *mask, int32_t label, int64_t x, int64_t y, int64_t size)
{
    for (int64_t z = 0; z < mask->grid.n[0]; z++) {
        const int64_t side = z == 1 ? size : size - 2;

        for (int64_t i = 0; i < side * side; i++)
            ((int32_t *)mask->data)[(z * N + y + i / side) * N + x + i % side] = label;
    }
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

/* Pixels of exactly this colour in a rectangle. */
static int64_t count(const volt_picture *p, volt_color c, int64_t x0, int64_t y0, int64_t x1,
                     int64_t y1)
{
    int64_t n = 0;

    for (int64_t y = y0; y < y1; y++) {
        for (int64_t x = x0; x < x1; x++)
            n += same(pixel(p, x, y), c);
    }
    return n;
}

/* Pixels below `y` in the colour of each label: n[label], in one pass. */
static void count_labels(int64_t n[CLASSES + 1], const volt_picture *p, int64_t y)
{
    static uint8_t label[1 << 15]; /* by the colour in 5 bits each: a first guess */

    memset(n, 0, (CLASSES + 1) * sizeof *n);
    for (int i = CLASSES; i >= 1; i--) {
        const volt_color c = volt_label_color(i);

        label[c.r / 8 << 10 | c.g / 8 << 5 | c.b / 8] = (uint8_t)i;
    }
    for (const uint8_t *c = p->rgb + 3 * y * p->width; c < p->rgb + 3 * p->width * p->height;
         c += 3) {
        const int i = label[c[0] / 8 << 10 | c[1] / 8 << 5 | c[2] / 8];

        n[i] += i && same((volt_color){c[0], c[1], c[2]}, volt_label_color(i));
    }
}

/* Nothing reaches the edge of the page, so nothing is cut off. */
static void assert_margins_are_empty(const volt_picture *p)
{
    const int64_t all = p->width * p->height, rim = 4;

    assert_int_equal(count(p, paper, 0, 0, p->width, p->height) -
                         count(p, paper, rim, rim, p->width - rim, p->height - rim),
                     all - (p->width - 2 * rim) * (p->height - 2 * rim));
}

/* Four images, truth and prediction that agree: the truth fills, the prediction's contour
 * stands out from the fill of the same colour. */
static void truth_and_prediction_show_where_they_agree(void **state)
{
    volt_volume *image = scan(3), *truth = volume(VOLT_I32, 1, 3);
    const volt_volume *masks[2] = {truth, truth};
    const char *names[2] = {"truth", "prediction"};
    const volt_render_column column[4] = {
        {image, 0, "T1"}, {image, 0, "T1ce"}, {image, 0, "T2"}, {image, 0, "FLAIR"}};
    const volt_color red = volt_label_color(1);
    volt_render_options o = volt_render_defaults();
    volt_picture *p = NULL, *plain = NULL;
    int64_t left, found = 0;

    (void)state;
    put_block(truth, 1, 10, 12, 16);
    o.column = column;
    o.columns = 4;
    o.masks = masks;
    o.mask_names = names;
    o.mask_count = 2;
    o.view = 200;
    o.title = "case";
    assert_ok(volt_render(&p, image, &o));
    assert_true(p->width >= 6 * 200 && p->height > 260);
    assert_margins_are_empty(p);
    /* Columns of equal width; the colour itself appears in the last one and in the legend only:
     * the truth's fill is translucent. */
    left = p->width - 211;
    assert_true(count(p, red, left, 0, p->width, 240) > 100);
    assert_int_equal(count(p, red, 0, 0, left - 10, 240), 0);
    for (int64_t y = 30; y < 240; y++) {
        for (int64_t x = left + 3; x + 3 < p->width; x++) {
            const volt_color here = pixel(p, x, y);

            if (!same(here, red) || same(pixel(p, x + 1, y), red))
                continue;
            /* To the right of the contour's left edge: a dark line, then the fill. */
            if (same(pixel(p, x - 1, y), red)) {
                found += ciede2000(here, pixel(p, x + 1, y)) > 15;
            }
        }
    }
    assert_true(found > 20);
    /* Without the prediction the same place is only filled. */
    o.mask_count = 1;
    assert_ok(volt_render(&plain, image, &o));
    assert_true(plain->width < p->width);
    volt_picture_free(plain);
    o.white = true;
    assert_ok(volt_render(&plain, image, &o));
    assert_int_equal(count(plain, paper, 0, 0, plain->width, plain->height), 0);
    assert_true(count(plain, (volt_color){255, 255, 255}, 0, 0, plain->width, 8) ==
                8 * plain->width);
    volt_picture_free(plain);
    volt_picture_free(p);
    volt_volume_free(truth);
    volt_volume_free(image);
}

static bool shows(const volt_volume *image, const volt_render_options *o, volt_color c)
{
    volt_picture *p = NULL;
    bool found;

    assert_ok(volt_render(&p, image, o));
    found = count(p, c, 0, 0, p->width, p->height) > 0;
    volt_picture_free(p);
    return found;
}

/* The slice shown is the one with the largest section of the first mask, in every plane. */
static void the_largest_section_is_shown(void **state)
{
    volt_volume *image = scan(8), *truth = volume(VOLT_I32, 1, 8);
    const volt_volume *masks[1] = {truth};
    const volt_render_column column = {image, 0, "CT"};
    volt_render_options o = volt_render_defaults();
    int32_t *label = truth->data;

    (void)state;
    for (int64_t i = 0; i < 9; i++) /* label 1 in slice 6, a little of label 2 in slice 2 */
        label[(6 * N + 10 + i / 3) * N + 10 + i % 3] = 1;
    label[(2 * N + 30) * N + 30] = 2;
    o.masks = masks;
    o.mask_count = 1;
    o.column = &column;
    o.columns = 1;
    o.crosshair = false;
    for (volt_plane plane = VOLT_PLANE_AXIAL; plane <= VOLT_PLANE_SAGITTAL; plane++) {
        volt_picture *p = NULL;

        o.plane = plane;
        assert_ok(volt_render(&p, image, &o));
        /* More of it than its swatch in the legend has. */
        assert_true(count(p, volt_label_color(1), 0, 0, p->width, p->height) >
                    2 * count(p, volt_label_color(2), 0, 0, p->width, p->height) - 20);
        assert_margins_are_empty(p);
        volt_picture_free(p);
    }
    volt_volume_free(truth);
    volt_volume_free(image);
}

/* 120 classes with long and hostile names, small views and large ones: every label has its
 * colour below the views, and nothing is cut off. */
static void legends_are_complete(void **state)
{
    static const int64_t views[] = {64, 200, 700};
    volt_volume *image = scan(3), *truth = volume(VOLT_I32, 1, 3);
    const volt_volume *masks[3] = {truth, truth, truth};
    const char *names[3] = {"a/very/long/path/to/the/truth/of/a/case/with/a/long/name.nii.gz",
                            "prediction\x1b[31m", ""};
    int64_t found[CLASSES + 1];
    char text[CLASSES][128];
    volt_label_name label[CLASSES];
    volt_render_options o = volt_render_defaults();

    (void)state;
    for (int i = 0; i < CLASSES; i++) {
        snprintf(text[i], sizeof text[i], i % 3 ? "organ %d" : "a long name of organ \xff %d",
                 i);
        label[i] = (volt_label_name){
            i + 1, i % 10 == 4 ? "a name without any blank: "
                                 "pneumonoultramicroscopicsilicovolcanoconiosis_"
                                 "pneumonoultramicroscopicsilicovolcanoconiosis"
                               : text[i]};
        ((int32_t *)truth->data)[1 * N * N + (i / 30) * 8 * N + i % 30] = i + 1;
    }
    o.masks = masks;
    o.mask_names = names;
    o.labels = label;
    o.label_count = CLASSES;
    o.title =
        "a title that is much longer than the picture is wide, so that it must be wrapped "
        "into several lines to be read at all, which is what the page does with every text";
    for (size_t v = 0; v < sizeof views / sizeof *views; v++) {
        for (int m = 1; m <= 3; m += 2) {
            volt_picture *p = NULL;

            o.view = views[v];
            o.mask_count = m;
            assert_ok(volt_render(&p, image, &o));
            assert_margins_are_empty(p);
            count_labels(found, p, o.view);
            for (int i = 1; i <= CLASSES; i++) {
                if (found[i] < 8)
                    fail_msg("view %d: label %d is not in the legend", (int)o.view, i);
            }
            assert_true(p->width < 4 * p->height && p->height < 6 * p->width);
            volt_picture_free(p);
        }
    }
    volt_volume_free(truth);
    volt_volume_free(image);
}

/* The page says that a mask is empty, and gives the number of a label whose name the font
 * cannot show. */
static void what_cannot_be_seen_is_told(void **state)
{
    volt_volume *image = scan(3), *mask = volume(VOLT_I32, 1, 3);
    const volt_volume *masks[1] = {mask};
    const volt_label_name liver = {1, "\xe8\x82\x9d\xe8\x87\x93"};
    volt_render_options o = volt_render_defaults();
    volt_picture *without = NULL, *with = NULL, *number = NULL, *name = NULL;

    (void)state;
    assert_ok(volt_render(&without, image, &o));
    o.masks = masks;
    o.mask_count = 1;
    assert_ok(volt_render(&with, image, &o));
    assert_true(with->height >= without->height + 10);
    assert_margins_are_empty(with);
    ((int32_t *)mask->data)[N * N + N + 1] = 1;
    assert_ok(volt_render(&number, image, &o));
    o.labels = &liver;
    o.label_count = 1;
    assert_ok(volt_render(&name, image, &o));
    assert_int_equal(name->width, number->width);
    assert_int_equal(name->height, number->height);
    assert_memory_equal(name->rgb, number->rgb, (size_t)(3 * name->width * name->height));
    volt_picture_free(name);
    volt_picture_free(number);
    volt_picture_free(with);
    volt_picture_free(without);
    volt_volume_free(mask);
    volt_volume_free(image);
}

/* A photograph: its colours, pixels instead of millilitres, no letters. */
static void photographs_keep_their_colours(void **state)
{
    volt_volume *image = volume(VOLT_U8, 3, 1), *mask = volume(VOLT_I32, 1, 1);
    const volt_volume *masks[1] = {mask};
    volt_render_options o = volt_render_defaults();
    volt_picture *p = NULL, *sides = NULL;

    (void)state;
    memset(image->data, 200, (size_t)N * N); /* red */
    memset((uint8_t *)image->data + N * N, 30, (size_t)N * N);
    memset((uint8_t *)image->data + 2 * N * N, 90, (size_t)N * N);
    ((int32_t *)mask->data)[N * 20 + 20] = 255;
    o.channel = VOLT_CHANNEL_RGB;
    o.masks = masks;
    o.mask_count = 1;
    o.amount = VOLT_AMOUNT_PIXELS;
    o.unknown_sides = true;
    assert_ok(volt_render(&p, image, &o));
    assert_true(count(p, (volt_color){200, 30, 90}, 0, 0, p->width, p->height) > 100000);
    o.unknown_sides = false;
    assert_ok(volt_render(&sides, image, &o));
    assert_true(count(sides, (volt_color){200, 30, 90}, 0, 0, p->width, p->height) <
                count(p, (volt_color){200, 30, 90}, 0, 0, p->width, p->height));
    volt_picture_free(sides);
    volt_picture_free(p);
    image->grid.channels = 1;
    assert_fails(volt_render(&p, image, &o), VOLT_EINVAL, "colours need three channels");
    volt_volume_free(mask);
    volt_volume_free(image);
}

/* A fine pattern becomes its mean when a pixel covers many voxels. */
static void large_images_are_averaged(void **state)
{
    const volt_grid g = volt_grid_make((int64_t[3]){1, 2000, 2000}, 1, (double[3]){1, 1, 1});
    volt_render_options o = volt_render_defaults();
    volt_volume *v = NULL;
    volt_picture *p = NULL;
    int64_t grey = 0;

    (void)state;
    assert_ok(volt_volume_create(&v, &g, VOLT_U8));
    for (int64_t i = 0; i < 2000 * 2000; i++)
        ((uint8_t *)v->data)[i] = (i % 2000 + i / 2000) % 2 ? 200 : 0;
    o.view = 400;
    o.unknown_sides = true;
    o.has_window = true;
    o.window[1] = 200;
    assert_ok(volt_render(&p, v, &o));
    for (int shade = 120; shade < 136; shade++) {
        const uint8_t s = (uint8_t)shade;

        grey += count(p, (volt_color){s, s, s}, 0, 0, p->width, p->height);
    }
    assert_true(grey > 390 * 390 - 8000);
    volt_picture_free(p);
    volt_volume_free(v);
}

/* Labels 1..labels in blocks of 2 x 2 x 2 voxels, row by row from (1, 1, 1) on. */
static void put_atlas(volt_volume *v, int labels)
{
    int i = 0;

    for (int z = 1; z + 2 < 12; z += 2) {
        for (int y = 1; y + 2 < N; y += 2) {
            for (int x = 1; x + 2 < N && i < labels; x += 2, i++) {
                for (int k = 0; k < 8; k++)
                    ((uint8_t *)v->data)[((z + k / 4) * N + y + k / 2 % 2) * N + x + k % 2] =
                        (uint8_t)(i + 1);
            }
        }
    }
}

static void small_labels_are_masks(void **state)
{
    static const int counts[] = {10, 25, 40, 120};
    volt_volume *v = volume(VOLT_U8, 1, 12);
    uint8_t *voxel = v->data;
    uint32_t noise = 1;
    char why[100];

    (void)state;
    for (int c = 0; c < 4; c++) {
        memset(voxel, 0, (size_t)12 * N * N);
        put_atlas(v, counts[c]);
        assert_true(volt_looks_like_mask(v, false, why, sizeof why));
    }
    voxel[0] = 122; /* the values are not consecutive any more */
    assert_false(volt_looks_like_mask(v, false, why, sizeof why));
    assert_true(volt_looks_like_mask(v, true, why, sizeof why));
    for (int i = 0; i < 12 * N * N; i++) /* a ramp is no mask, unless it says so */
        voxel[i] = (uint8_t)(i % N + 1);
    assert_false(volt_looks_like_mask(v, false, why, sizeof why));
    assert_non_null(strstr(why, "scattered"));
    assert_true(volt_looks_like_mask(v, true, why, sizeof why));
    for (int i = 0; i < 12 * N * N; i++) { /* neither is a scan with all values from 0 to 120 */
        noise = noise * 1664525 + 1013904223;
        voxel[i] = (uint8_t)(noise / (1u << 20) % 121);
    }
    assert_false(volt_looks_like_mask(v, false, why, sizeof why));
    assert_true(volt_looks_like_mask(v, true, why, sizeof why));
    volt_volume_free(v);
    v = volume(VOLT_F32, 1, 3);
    ((float *)v->data)[77] = 0.5f;
    assert_false(volt_looks_like_mask(v, true, why, sizeof why));
    assert_non_null(strstr(why, "0.5"));
    volt_volume_free(v);
}

static void images_and_masks_are_told_apart(void **state)
{
    volt_volume *image = scan(3), *mask = volume(VOLT_I32, 1, 3),
                *photo = volume(VOLT_U8, 1, 1), *real = volume(VOLT_F32, 1, 3),
                *three = volume(VOLT_U8, 3, 1);
    uint32_t noise = 1;
    char why[100];

    (void)state;
    assert_false(volt_looks_like_mask(image, false, why, sizeof why));
    assert_non_null(strstr(why, "no label"));
    assert_true(volt_looks_like_mask(mask, false, NULL, 0)); /* empty */
    for (int i = 0; i < 100; i++)
        put_block(mask, 1000 * i, i % 10 * 4, i / 10 * 4, 4);
    assert_true(volt_looks_like_mask(mask, false, why, sizeof why));
    for (int i = 0; i < 3 * N * N; i++)
        ((float *)real->data)[i] = i % N < 10 ? 0 : i % N < 20 ? 1 : 4; /* BraTS as float */
    assert_true(volt_looks_like_mask(real, false, why, sizeof why));
    ((float *)real->data)[77] = NAN;
    assert_false(volt_looks_like_mask(real, false, why, sizeof why));
    ((float *)real->data)[77] = 0.5f;
    assert_false(volt_looks_like_mask(real, false, why, sizeof why));
    assert_non_null(strstr(why, "0.5"));
    for (int i = 0; i < N * N; i++) { /* integers, as scattered as a scan's */
        noise = noise * 1664525 + 1013904223;
        ((uint8_t *)photo->data)[i] = (uint8_t)(100 + noise / (1u << 25) % 100);
    }
    assert_false(volt_looks_like_mask(photo, false, why, sizeof why));
    assert_non_null(strstr(why, "different values"));
    for (int i = 0; i < N * N; i++) { /* a scan of few values: a slope with noise */
        noise = noise * 1664525 + 1013904223;
        ((uint8_t *)photo->data)[i] = (uint8_t)(1 + i % N * 15 / N + noise / (1u << 25) % 4);
    }
    assert_false(volt_looks_like_mask(photo, false, why, sizeof why));
    for (int i = 0; i < N * N; i++) { /* a poor mask of as many labels */
        noise = noise * 1664525 + 1013904223;
        ((uint8_t *)photo->data)[i] = (uint8_t)(1 + noise / (1u << 25) % 18);
    }
    assert_true(volt_looks_like_mask(photo, false, why, sizeof why));
    assert_false(volt_looks_like_mask(three, false, why, sizeof why));
    assert_non_null(strstr(why, "3 channels"));
    volt_volume_free(three);
    volt_volume_free(real);
    volt_volume_free(photo);
    volt_volume_free(mask);
    volt_volume_free(image);
}

static void options_are_checked_and_memory_is_given_back(void **state)
{
    volt_volume *image = scan(3), *other = scan(2), *mask = volume(VOLT_I32, 1, 3);
    const volt_volume *masks[2] = {mask, mask};
    volt_render_column column[2] = {{image, 0, "a"}, {other, 0, "b"}};
    const size_t before = volt_mem_current();
    volt_render_options o = volt_render_defaults();
    volt_picture *p = NULL;
    int failures = 0;

    (void)state;
    put_block(mask, 3, 10, 10, 10);
    o.column = column;
    o.columns = 2;
    assert_fails(volt_render(&p, image, &o), VOLT_EDATA, "image 2 has 40 x 40 x 2");
    column[1].image = image;
    column[1].channel = 4;
    assert_fails(volt_render(&p, image, &o), VOLT_EINVAL, "channel 4");
    column[1].channel = 0;
    o.under = 2;
    assert_fails(volt_render(&p, image, &o), VOLT_EINVAL, "column 2 of 2");
    o.under = 0;
    o.masks = masks;
    o.mask_count = 2;
    for (int64_t n = 1;; n++) {
        volt_status st;

        volt_mem_fail_after(n);
        st = volt_render(&p, image, &o);
        volt_mem_fail_after(0);
        if (st == VOLT_OK)
            break;
        assert_int_equal(st, VOLT_ENOMEM);
        assert_int_equal(volt_mem_current(), before);
        failures++;
    }
    assert_true(failures > 10);
    volt_picture_free(p);
    assert_true(shows(image, &o, volt_label_color(3)));
    for (int64_t i = 0; i < 3 * N * N; i++)
        ((int32_t *)mask->data)[i] = (int32_t)i;
    assert_fails(volt_render(&p, image, &o), VOLT_EDATA, "more than 4096 different labels");
    volt_volume_free(mask);
    volt_volume_free(other);
    volt_volume_free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truth_and_prediction_show_where_they_agree),
        cmocka_unit_test(the_largest_section_is_shown),
        cmocka_unit_test(legends_are_complete),
        cmocka_unit_test(what_cannot_be_seen_is_told),
        cmocka_unit_test(photographs_keep_their_colours),
        cmocka_unit_test(large_images_are_averaged),
        cmocka_unit_test(small_labels_are_masks),
        cmocka_unit_test(images_and_masks_are_told_apart),
        cmocka_unit_test(options_are_checked_and_memory_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
