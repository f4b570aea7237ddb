/* The largest target that fits: its plan fits, a little more does not. */
#include "tests/kit/test.h"
#include "nets3d/jobs/fit_memory.h"

static char *channels[1] = {"CT"};
static volt_label labels[2] = {{"background", 0}, {"organ", 1}};
static const volt_dataset_info info = {.name = "made up",
                                       .channels = 1,
                                       .channel_name = channels,
                                       .labels = 2,
                                       .label = labels,
                                       .ignore_label = VOLT_NO_IGNORE_LABEL};

static volt_fingerprint cases(void)
{
    static double spacings[30][3];
    static int64_t shapes[30][3];
    static volt_foreground_stats stats[1];

    for (int i = 0; i < 30; i++) {
        for (int a = 0; a < 3; a++) {
            spacings[i][a] = 1;
            shapes[i][a] = 90 + 10 * a;
        }
    }
    return (volt_fingerprint){.cases = 30,
                              .spacings = spacings,
                              .shapes_after_crop = shapes,
                              .channels = 1,
                              .intensities = stats,
                              .median_relative_size_after_cropping = 1};
}

static size_t most_bytes(double gb, const volt_plan_memory_options *o)
{
    const volt_fingerprint fp = cases();
    volt_planner_options planner = volt_planner_defaults();
    volt_plan *plan = NULL;
    size_t bytes, most = 0;

    planner.memory_gb = gb;
    assert_ok(volt_plan_make(&plan, &fp, &info, &planner));
    for (int i = 0; i < plan->configs; i++) {
        assert_ok(volt_plan_training_bytes(&bytes, plan, &plan->config[i], o));
        most = bytes > most ? bytes : most;
    }
    volt_plan_free(plan);
    return most;
}

static void the_largest_target_that_fits_is_found(void **state)
{
    const volt_plan_memory_options o = {
        .precision = VOLT_FP32, .threads = 1, .limit = (size_t)700 << 20};
    const volt_fingerprint fp = cases();
    double gb = 0;

    (void)state;
    assert_ok(volt_plan_memory_fit(&gb, &fp, &info, NULL, &o));
    print_message("%.3g GB: %.0f MiB\n", gb, (double)most_bytes(gb, &o) / (1 << 20));
    assert_true(gb > 0.2 && gb < 8);
    assert_true(most_bytes(gb, &o) <= o.limit);
    assert_true(most_bytes(gb * 1.3, &o) > o.limit);
}

static void too_little_memory_is_refused(void **state)
{
    const volt_plan_memory_options o = {
        .precision = VOLT_FP32, .threads = 1, .limit = (size_t)1 << 20};
    const volt_fingerprint fp = cases();
    double gb = 7;

    (void)state;
    assert_fails(volt_plan_memory_fit(&gb, &fp, &info, NULL, &o), VOLT_ENOMEM, "in 1 MiB");
    assert_true(gb == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_target_that_fits_is_found),
        cmocka_unit_test(too_little_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
