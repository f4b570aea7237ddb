#include "base/core/alloc.h"
#include "tests/kit/fixture.h"
#include "volume/phantom.h"

static void make(volt_volume **image, volt_volume **labels, volt_phantom_kind kind,
                 int64_t number, int threads)
{
    volt_phantom_options o = volt_phantom_defaults();

    o.kind = kind;
    o.width = kind == VOLT_PHANTOM_LIVER ? 64 : 40;
    o.seed = 5;
    o.number = number;
    o.threads = threads;
    assert_ok(volt_phantom_make(image, labels, &o));
}

static void the_same_case_has_the_same_bits(void **state)
{
    (void)state;
    for (int k = 1; k <= 2; k++) {
        volt_volume *image, *labels, *again, *again_labels;

        make(&image, &labels, (volt_phantom_kind)k, 3, 1);
        for (int threads = 2; threads < 5; threads++) {
            make(&again, &again_labels, (volt_phantom_kind)k, 3, threads);
            assert_memory_equal(image->data, again->data, volt_volume_bytes(image));
            assert_memory_equal(labels->data, again_labels->data, volt_volume_bytes(labels));
            volt_volume_free(again_labels);
            volt_volume_free(again);
        }
        make(&again, &again_labels, (volt_phantom_kind)k, 4, 2);
        assert_true(volt_volume_bytes(image) != volt_volume_bytes(again) ||
                    memcmp(image->data, again->data, volt_volume_bytes(image)) != 0);
        volt_volume_free(again_labels);
        volt_volume_free(again);
        volt_volume_free(labels);
        volt_volume_free(image);
    }
}

#define BINS 512

/* How many voxels of the scanned object have each value, inside and outside the wanted labels.
 */
typedef struct histogram {
    int64_t wanted[BINS], other[BINS];
} histogram;

static void fill(histogram *h, const volt_volume *image, const volt_volume *labels,
                 int32_t channel, int least_label)
{
    const int64_t voxels = volt_grid_voxels(&labels->grid);
    const int16_t *v = (const int16_t *)image->data + channel * voxels;
    int16_t top = 1;

    memset(h, 0, sizeof *h);
    for (int64_t i = 0; i < voxels; i++)
        top = v[i] > top ? v[i] : top;
    for (int64_t i = 0; i < voxels; i++) {
        const uint8_t l = ((const uint8_t *)labels->data)[i];

        assert_in_range(l, 0, 3);
        if (v[i] == 0)
            assert_int_equal(l, 0); /* lesions lie inside the brain */
        else
            (l >= least_label ? h->wanted : h->other)[(int64_t)v[i] * (BINS - 1) / top]++;
    }
}

/* The best Dice that "brighter than a threshold" or "darker" reaches when the threshold is
 * chosen knowing the truth. */
static double best_threshold_dice(const histogram *h)
{
    int64_t wanted = 0, all = 0, hit = 0, taken = 0;
    double best = 0;

    for (int i = 0; i < BINS; i++) {
        wanted += h->wanted[i];
        all += h->wanted[i] + h->other[i];
    }
    for (int i = 0; i < BINS; i++) {
        hit += h->wanted[i];
        taken += h->wanted[i] + h->other[i];
        best = fmax(best, 2.0 * (double)hit / (double)(taken + wanted));
        best = fmax(best, 2.0 * (double)(wanted - hit) / (double)(all - taken + wanted));
    }
    assert_true(wanted >= 4);
    return best;
}

/* Every case has every label; thresholds do not find tumours, nor their enhancing rim, however
 * well chosen; and gains differ from case to case. */
static void tumours_overlap_with_normal_tissue(void **state)
{
    const int cases = 8;
    double whole = 0, rim = 0, darkest = INFINITY, brightest = 0;

    (void)state;
    for (int number = 0; number < cases; number++) {
        volt_volume *image, *labels;
        double best = 0;
        histogram h;

        make(&image, &labels, VOLT_PHANTOM_BRATS, number, 0);
        assert_int_equal(image->grid.channels, 4);
        assert_int_equal(image->grid.n[0], 26);
        assert_true(fabs(image->grid.to_world[0][0] - 6) < 1e-12);
        for (int32_t c = 0; c < 4; c++) {
            const volt_value_range range = volt_volume_range(image, 1);

            fill(&h, image, labels, c, 1);
            best = fmax(best, best_threshold_dice(&h));
            darkest = fmin(darkest, range.max);
            brightest = fmax(brightest, range.max);
        }
        whole += best / cases;
        fill(&h, image, labels, 1, 3);
        rim += best_threshold_dice(&h) / cases;
        volt_volume_free(labels);
        volt_volume_free(image);
    }
    assert_true(whole > 0.4 && whole < 0.8);
    assert_true(rim < 0.5);
    assert_true(brightest > 1.5 * darkest);
}

/* Mean value of a label, and how many voxels have it. */
static double mean_of_label(int64_t *count, const volt_volume *image, const volt_volume *labels,
                            uint8_t label)
{
    double sum = 0;

    *count = 0;
    for (int64_t i = 0; i < volt_grid_voxels(&labels->grid); i++) {
        if (((const uint8_t *)labels->data)[i] == label) {
            sum += ((const int16_t *)image->data)[i];
            ++*count;
        }
    }
    return *count ? sum / (double)*count : 0;
}

static void livers_are_in_hounsfield_units(void **state)
{
    double contrast = 0;
    int64_t tumours = 0, with_tumour = 0;

    (void)state;
    for (int number = 0; number < 6; number++) {
        volt_volume *image, *labels;
        double spacing[3];
        int64_t voxels;

        make(&image, &labels, VOLT_PHANTOM_LIVER, number, 0);
        volt_grid_spacing(spacing, &image->grid);
        assert_true(spacing[0] > 1.5 * spacing[1] && spacing[1] == spacing[2]);
        const double liver = mean_of_label(&voxels, image, labels, 1);
        assert_true(voxels > 1500 && liver > 60 && liver < 150);
        const double tumour = mean_of_label(&voxels, image, labels, 2);
        contrast += (tumour - liver) * (double)voxels;
        tumours += voxels;
        with_tumour += voxels > 5;
        (void)mean_of_label(&voxels, image, labels, 3);
        assert_int_equal(voxels, 0);
        assert_true(*(int16_t *)image->data < -900); /* air in the corner */
        volt_volume_free(labels);
        volt_volume_free(image);
    }
    contrast /= (double)tumours;
    assert_true(with_tumour >= 4);
    assert_true(contrast < -10 && contrast > -80); /* darker than liver, brighter than fat */
}

static void brats_numbering_is_a_relabelling(void **state)
{
    static const uint8_t brats[4] = {0, 2, 1, 4};
    volt_phantom_options o = volt_phantom_defaults();
    volt_volume *image, *labels, *other_image, *other;

    (void)state;
    o.width = 32;
    o.seed = 1;
    assert_ok(volt_phantom_make(&image, &labels, &o));
    o.brats_labels = true;
    assert_ok(volt_phantom_make(&other_image, &other, &o));
    assert_memory_equal(image->data, other_image->data, volt_volume_bytes(image));
    for (int64_t i = 0; i < volt_grid_voxels(&labels->grid); i++)
        assert_int_equal(((uint8_t *)other->data)[i], brats[((uint8_t *)labels->data)[i]]);
    volt_volume_free(other);
    volt_volume_free(other_image);
    volt_volume_free(labels);
    volt_volume_free(image);
}

static void names_and_mistakes(void **state)
{
    volt_phantom_options o = volt_phantom_defaults();
    volt_phantom_kind kind;
    volt_volume *image = NULL, *labels = NULL;

    (void)state;
    assert_ok(volt_phantom_parse(&kind, "liver"));
    assert_string_equal(volt_phantom_name(kind), "liver");
    assert_fails(volt_phantom_parse(&kind, "heart"), VOLT_EINVAL, "'heart'");
    assert_string_equal(volt_phantom_channel(VOLT_PHANTOM_BRATS, 3), "FLAIR");
    assert_null(volt_phantom_channel(VOLT_PHANTOM_BRATS, 4));
    assert_null(volt_phantom_channel(VOLT_PHANTOM_LIVER, 9));
    assert_string_equal(volt_phantom_label(VOLT_PHANTOM_LIVER, 2), "tumor");
    assert_null(volt_phantom_label(VOLT_PHANTOM_LIVER, 3));
    assert_null(volt_phantom_label(VOLT_PHANTOM_BRATS, 4));
    o.width = 15;
    assert_fails(volt_phantom_make(&image, &labels, &o), VOLT_EINVAL, "width 15");
    o.kind = VOLT_PHANTOM_LIVER;
    o.width = 32;
    o.number = -1;
    assert_fails(volt_phantom_make(&image, &labels, &o), VOLT_EINVAL, "number -1");
    o.number = 0;
    for (int64_t fail = 1; fail < 7; fail++) {
        volt_mem_fail_after(fail);
        assert_int_equal(volt_phantom_make(&image, &labels, &o), VOLT_ENOMEM);
    }
    volt_mem_fail_after(0);
    assert_null(image);
    assert_null(labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_case_has_the_same_bits),
        cmocka_unit_test(tumours_overlap_with_normal_tissue),
        cmocka_unit_test(livers_are_in_hounsfield_units),
        cmocka_unit_test(brats_numbering_is_a_relabelling),
        cmocka_unit_test(names_and_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
