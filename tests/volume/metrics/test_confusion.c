#include "tests/kit/fixture.h"
#include "base/rng.h"
#include "volume/confusion.h"

static void voxels_are_counted_by_both_labels(void **state)
{
    static const int32_t values[] = {2, 0, 5, 2};
    const int64_t n[3] = {4, 5, 6};
    uint8_t pred[120], ref[120];
    int64_t want[16] = {0};
    volt_rng rng = volt_rng_open(9, 0, 0, VOLT_RNG_TEST);
    volt_confusion *c;
    const int32_t ignore = 4;

    (void)state;
    for (int i = 0; i < 120; i++) {
        static const int place[] = {0, 3, 1, 3, 3, 2};

        pred[i] = (uint8_t)volt_rng_below(&rng, 6);
        ref[i] = (uint8_t)volt_rng_below(&rng, 6);
        want[4 * place[ref[i]] + place[pred[i]]] += ref[i] != ignore;
    }
    const volt_volume p = {volt_grid_make(n, 1, (const double[3]){1, 1, 1}), VOLT_U8, pred};
    const volt_volume r = {p.grid, VOLT_U8, ref};
    for (int threads = 1; threads < 4; threads++) {
        assert_ok(volt_confusion_create(&c, values, 4));
        assert_int_equal(c->values, 3);
        assert_int_equal(c->value[1], 2);
        assert_ok(volt_confusion_add(c, &p, &r, &ignore, threads));
        assert_memory_equal(c->voxels, want, sizeof want);
        assert_ok(volt_confusion_add(c, &p, &r, &ignore, threads));
        assert_int_equal(c->voxels[0], 2 * want[0]);
        volt_confusion_free(c);
    }
}

static void wrong_pairs_are_not_counted(void **state)
{
    static const int32_t values[] = {0};
    uint8_t v[8] = {0};
    const double spacing[3] = {1, 1, 1};
    const volt_volume a = {volt_grid_make((const int64_t[3]){1, 2, 4}, 1, spacing), VOLT_U8, v};
    const volt_volume b = {volt_grid_make((const int64_t[3]){2, 2, 2}, 1, spacing), VOLT_U8, v};
    volt_confusion *c = NULL;

    (void)state;
    assert_fails(volt_confusion_create(&c, values, 0), VOLT_EINVAL, "at least 1 label");
    assert_null(c);
    assert_ok(volt_confusion_create(&c, values, 1));
    assert_fails(volt_confusion_add(c, &a, &b, NULL, 1), VOLT_EDATA, "4 x 2 x 1");
    assert_int_equal(c->voxels[0], 0);
    volt_confusion_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voxels_are_counted_by_both_labels),
        cmocka_unit_test(wrong_pairs_are_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
