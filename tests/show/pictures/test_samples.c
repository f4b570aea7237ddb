#include "base/core/alloc.h"
#include "tests/kit/train_fixture.h"

#include "io/image/nifti.h"
#include "show/samples.h"

#define DIR "shown-samples"

static void remove_shown(void)
{
    remove_folder(DIR);
}

/* A case whose voxels hold the world's x, y and z of their centres, in mm, as three channels,
 * worked out from the source's matrix step by step: cropped, turned and resampled to 0.8 of
 * the spacing along d. */
enum { D = 10, H = 9, W = 12 };
static float image[3 * D * H * W];
static int8_t labels[D * H * W];
static const uint64_t centre[1] = {(5 * H + 4) * W + 6};
static const volt_class_locations classes[1] = {{1, 1, 1, centre}};

static volt_stored_case world_case(void)
{
    const double matrix[3][4] = {
        {0.9, -0.3, 0.1, 4}, {0.3, 0.9, -0.2, -8}, {-0.05, 0.2, 1.4, 100}};
    volt_stored_case c = {.channels = 3,
                          .shape = {D, H, W},
                          .data = image,
                          .label_dtype = VOLT_I8,
                          .labels = labels,
                          .source = {.n = {20, 21, 22}, .channels = 3},
                          .transpose_forward = {1, 0, 2},
                          .crop = {{2, 3, 4}, {10, 12, 16}},
                          .classes = 1,
                          .locations = classes};
    double mm[3];

    memcpy(c.source.to_world, matrix, sizeof matrix);
    volt_grid_spacing(mm, &c.source);
    for (int a = 0; a < 3; a++)
        c.spacing[a] = mm[c.transpose_forward[a]] * (a == 0 ? 0.8 : 1);
    for (int i = 0; i < D * H * W; i++) {
        const double at[3] = {i / (H * W), i / W % H, i % W};
        double index[3], world[3];

        index[1] = 2 + (at[0] + 0.5) * 0.8 - 0.5; /* d is the source's y */
        index[0] = 3 + at[1];
        index[2] = 4 + at[2];
        volt_grid_world(world, &c.source, index);
        for (int k = 0; k < 3; k++)
            image[k * D * H * W + i] = (float)world[k];
    }
    labels[centre[0]] = 1;
    return c;
}

static volt_show_samples_options small_samples(int64_t count)
{
    static const int64_t patch[3] = {4, 5, 6};
    volt_show_samples_options o = volt_show_samples_defaults();

    memcpy(o.patch, patch, sizeof patch);
    o.samples = count;
    o.view = 64;
    o.threads = 1;
    return o;
}

/* An unchanged sample's voxels lie in the world where its file says. */
static void samples_lie_where_they_were_cut(void **state)
{
    const volt_stored_case c = world_case();
    const volt_show_samples_options o = small_samples(60);
    static volt_shown_sample shown[60];
    int compared = 0;

    (void)state;
    remove_shown();
    assert_ok(volt_show_samples(shown, DIR, &c, "world", &o));
    for (int s = 0; s < 60; s++) {
        if (strcmp(shown[s].changes, "unchanged") != 0)
            continue;
        for (int k = 0; k < 3; k++) {
            volt_volume *v = NULL;
            char path[64];

            snprintf(path, sizeof path, DIR "/sample_%d_%04d.nii.gz", s + 1, k);
            assert_ok(volt_nifti_read(&v, NULL, path, NULL));
            assert_int_equal(volt_grid_voxels(&v->grid), 120);
            for (int i = 0; i < 120; i++) {
                const double index[3] = {i / 30, i / 6 % 5, i % 6};
                double world[3];

                volt_grid_world(world, &v->grid, index);
                assert_true(fabs(((float *)v->data)[i] - world[k]) < 1e-3);
            }
            volt_volume_free(v);
        }
        compared++;
    }
    assert_true(compared > 0);
    remove_shown();
}

static void options_and_labels_are_checked(void **state)
{
    const volt_stored_case c = world_case();
    volt_show_samples_options o = small_samples(1);

    (void)state;
    o.channel = 3;
    assert_fails(volt_show_samples(NULL, DIR, &c, "world", &o), VOLT_EINVAL, "channel 3 of 3");
    o.channel = 0;
    o.patch[1] = 5000;
    assert_fails(volt_show_samples(NULL, DIR, &c, "world", &o), VOLT_EINVAL, "along h");
    o.patch[1] = 5;
    o.samples = 0;
    assert_fails(volt_show_samples(NULL, DIR, &c, "world", &o), VOLT_EINVAL, "0 samples");
    assert_false(volt_path_exists(DIR));
}

/* All memory is given back, whatever fails. */
static void nothing_is_lost_without_memory(void **state)
{
    const volt_stored_case c = world_case();
    const size_t before = volt_mem_current();
    const volt_show_samples_options o = small_samples(1);
    int failed = 0;

    (void)state;
    for (int n = 1; n < 200; n++) {
        volt_mem_fail_after(n);
        const volt_status st = volt_show_samples(NULL, DIR, &c, "world", &o);
        volt_mem_fail_after(0);
        assert_int_equal(volt_mem_current(), before);
        if (st == VOLT_OK)
            break;
        failed++;
    }
    assert_true(failed > 5);
    remove_shown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_lie_where_they_were_cut),
        cmocka_unit_test(options_and_labels_are_checked),
        cmocka_unit_test(nothing_is_lost_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
