#include "tests/kit/test.h"
#include "base/random/philox.h"
#include "base/rng.h"

/* Known answers of philox4x32-10 from the Random123 distribution (kat_vectors). */
static void philox_matches_known_answers(void **state)
{
    const uint32_t ones[4] = {~0u, ~0u, ~0u, ~0u}, zeros[4] = {0};
    const uint32_t pi[6] = {0x243f6a88, 0x85a308d3, 0x13198a2e,
                            0x03707344, 0xa4093822, 0x299f31d0};
    uint32_t out[4];

    (void)state;
    volt_philox(out, zeros, zeros);
    assert_memory_equal(out, ((uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}),
                        16);
    volt_philox(out, ones, ones);
    assert_memory_equal(out, ((uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}),
                        16);
    volt_philox(out, pi, pi + 4);
    assert_memory_equal(out, ((uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}),
                        16);
}

static void streams_differ_by_each_part_of_the_name(void **state)
{
    volt_rng base = volt_rng_open(1, 2, 3, VOLT_RNG_TEST);
    volt_rng others[] = {
        volt_rng_open(2, 2, 3, VOLT_RNG_TEST), volt_rng_open(1, 3, 3, VOLT_RNG_TEST),
        volt_rng_open(1, 2, 4, VOLT_RNG_TEST), volt_rng_open(1, 2, 3, VOLT_RNG_NOISE),
        volt_rng_open(1ull << 40 | 1, 2, 3, VOLT_RNG_TEST)};
    const uint32_t first = volt_rng_u32(&base);

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_not_equal(volt_rng_u32(&others[i]), first);
}

static void skipping_is_drawing(void **state)
{
    (void)state;
    for (uint64_t drawn = 0; drawn < 6; drawn++) {
        for (uint64_t skipped = 0; skipped < 11; skipped++) {
            volt_rng a = volt_rng_open(1, 2, 3, VOLT_RNG_TEST), b = a;

            for (uint64_t i = 0; i < drawn + skipped; i++)
                (void)volt_rng_u32(&a);
            for (uint64_t i = 0; i < drawn; i++)
                (void)volt_rng_u32(&b);
            volt_rng_skip(&b, skipped);
            for (int i = 0; i < 9; i++)
                assert_int_equal(volt_rng_u32(&a), volt_rng_u32(&b));
        }
    }
}

static void draws_have_the_right_moments(void **state)
{
    volt_rng rng = volt_rng_open(7, 0, 0, VOLT_RNG_TEST);
    double sum = 0, square = 0;
    int counts[5] = {0};
    const int n = 100000;

    (void)state;
    for (int i = 0; i < n; i++) {
        const double x = volt_rng_normal(&rng), u = volt_rng_uniform(&rng);
        sum += x;
        square += x * x;
        assert_true(u >= 0 && u < 1);
        counts[volt_rng_below(&rng, 5)]++;
    }
    assert_true(fabs(sum / n) < 0.015);
    assert_true(fabs(square / n - 1) < 0.02);
    for (int i = 0; i < 5; i++)
        assert_in_range(counts[i], n / 5 - 600, n / 5 + 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_matches_known_answers),
        cmocka_unit_test(streams_differ_by_each_part_of_the_name),
        cmocka_unit_test(skipping_is_drawing),
        cmocka_unit_test(draws_have_the_right_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
