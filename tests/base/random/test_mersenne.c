#include "tests/kit/test.h"
#include "base/random/mersenne.h"

#include <stdlib.h>

/* All numbers here are numpy 2.4.6's, of RandomState(1234). */

static void words_are_numpys(void **state)
{
    static const uint32_t words[] = {822569775,  2137449171, 2671936806,
                                     3512589365, 1880026316, 2629000564};
    volt_mersenne m;

    (void)state;
    volt_mersenne_seed(&m, 1234);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_int_equal(volt_mersenne_u32(&m), words[i]);
}

/* numpy's rejection, one number at a time. */
static uint32_t at_most(volt_mersenne *m, uint32_t max)
{
    uint32_t mask = max, draw;

    for (int shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    if (max == 0)
        return 0;
    do
        draw = volt_mersenne_u32(m) & mask;
    while (draw > max);
    return draw;
}

/* 5000 numbers of randint(0, n): the first four, their sum, and the one after them. */
static void draws_are_numpys(void **state)
{
    static const struct {
        uint32_t n, first[4];
        int64_t sum;
        uint32_t next;
    } rows[] = {
        {1, {0, 0, 0, 0}, 0, 0},
        {2, {1, 1, 0, 1}, 2549, 1},
        {5, {3, 4, 4, 0}, 10027, 2},
        {1000, {815, 723, 294, 53}, 2496469, 861},
        {1025, {815, 723, 664, 689}, 2568582, 110},
        {100000, {92975, 58067, 34086, 60620}, 247966397, 86611},
        {2147483653u,
         {822569775, 2137449171, 1880026316, 1170776343},
         5339573255377,
         1990173348},
    };
    static uint32_t draws[5000];

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        volt_mersenne m, same;
        int64_t sum = 0;
        volt_mersenne_seed(&m, 1234);
        same = m;
        volt_mersenne_draws(&m, draws, 13, rows[r].n - 1); /* in pieces as in one */
        volt_mersenne_draws(&m, draws + 13, 5000 - 13, rows[r].n - 1);
        for (int i = 0; i < 5000; i++) {
            sum += draws[i];
            assert_int_equal(at_most(&same, rows[r].n - 1), draws[i]);
        }
        assert_memory_equal(draws, rows[r].first, sizeof rows[r].first);
        assert_true(sum == rows[r].sum);
        assert_int_equal(at_most(&m, rows[r].n - 1), rows[r].next);
    }
}

/* The same numbers from every instruction set, whatever the sizes of the pieces; nothing is
 * written behind them. */
static void every_instruction_set_draws_the_same(void **state)
{
    static const char *const sets[] = {"base", "avx2", "avx512"};
    static const uint32_t most[] = {1, 2, 7, 8, 1023, 70000, 0x80000002u, UINT32_MAX};
    enum { COUNT = 3000, GUARD = 0x5a5a5a5a };
    static uint32_t draws[COUNT + 1];

    (void)state;
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        assert_int_equal(setenv("VOLT_ISA", sets[s], 1), 0); /* the best, if there is no such */
        for (size_t r = 0; r < sizeof most / sizeof *most; r++) {
            volt_mersenne m, same;
            int64_t have = 0;
            volt_mersenne_seed(&m, 77);
            same = m;
            for (int64_t piece = 1; have < COUNT; have += piece, piece = piece % 41 + 1) {
                piece = piece < COUNT - have ? piece : COUNT - have;
                draws[have + piece] = GUARD;
                volt_mersenne_draws(&m, draws + have, piece, most[r]);
                assert_int_equal(draws[have + piece], GUARD);
            }
            for (int i = 0; i < COUNT; i++)
                assert_int_equal(at_most(&same, most[r]), draws[i]);
            assert_int_equal(volt_mersenne_u32(&m), volt_mersenne_u32(&same));
        }
    }
    assert_int_equal(unsetenv("VOLT_ISA"), 0);
}

/* permutation(n): the first eight, the sum of value times place, and randint(0, 1000) after. */
static void permutations_are_numpys(void **state)
{
    static const struct {
        int64_t n;
        uint32_t first[8];
        int64_t sum;
        uint32_t next;
    } rows[] = {
        {1, {0}, 0, 815},
        {2, {0, 1}, 1, 723},
        {10, {7, 2, 9, 1, 0, 8, 4, 5}, 197, 233},
        {70000, {27504, 57935, 40387, 24455, 66362, 32643, 4868, 13009}, 85725923936393, 413},
    };
    static uint32_t order[70000];

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        volt_mersenne m;
        int64_t sum = 0;
        volt_mersenne_seed(&m, 1234);
        volt_mersenne_permutation(&m, order, rows[r].n);
        for (int64_t i = 0; i < rows[r].n; i++)
            sum += order[i] * i;
        assert_memory_equal(order, rows[r].first,
                            (size_t)(rows[r].n < 8 ? rows[r].n : 8) * sizeof *order);
        assert_true(sum == rows[r].sum);
        assert_int_equal(at_most(&m, 999), rows[r].next);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_numpys),
        cmocka_unit_test(draws_are_numpys),
        cmocka_unit_test(every_instruction_set_draws_the_same),
        cmocka_unit_test(permutations_are_numpys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
