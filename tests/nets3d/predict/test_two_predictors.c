/* Two predictors in two threads of one process report what each of them needed. */
#include <pthread.h>
#include <unistd.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image/nifti.h"
#include "nets3d/predictor.h"
#include "tests/kit/predict_fixture.h"

#define RUN "two-run"

static volt_dataset_info info;

/* Predicts the scan in `in`; cmocka's checks belong to the main thread, so it reports a status.
 */
typedef struct caller {
    const char *in, *out;
    volt_status st;
    volt_predict_result result;
    const char *missing; /* a run that is not there: opening it fails */
    char sentence[256];  /* of that failure */
} caller;

static volt_status work(caller *c)
{
    volt_predict_options o = volt_predict_defaults();
    volt_predict_output output = volt_predict_output_defaults();
    volt_case_list cases = {0};
    volt_predictor *p = NULL;
    const char *run = RUN;
    volt_status st;

    o.precision = VOLT_FP32;
    o.mirror = false;
    o.step = 1;
    o.threads = 2;
    output.folder = c->out;
    if (volt_predictor_open(&p, &c->missing, 1, &o, NULL) == VOLT_OK)
        return VOLT_EINTERNAL;
    VOLT_TRY(st, done, volt_predictor_open(&p, &run, 1, &o, NULL));
    VOLT_TRY(st, done, volt_inputs_list(&cases, &c->in, 1, 1, NULL));
    /* Whatever the other thread failed at since. */
    snprintf(c->sentence, sizeof c->sentence, "%s", volt_last_error());
    st = volt_predict(p, &cases, &output, NULL, &c->result);
done:
    volt_case_list_clear(&cases);
    volt_predictor_free(p);
    return st;
}

static void *begin(void *argument)
{
    caller *c = argument;

    c->st = work(c);
    return NULL;
}

static void write_scan(const char *folder, int64_t edge)
{
    const int64_t n[3] = {edge, edge, edge};
    const volt_image_write_options o = volt_image_write_with(1);
    volt_grid grid = volt_grid_make(n, 1, (const double[3]){1, 1, 1});
    volt_volume *v = NULL;
    char *path = NULL;

    assert_ok(volt_make_dirs(folder));
    assert_ok(volt_volume_create(&v, &grid, VOLT_F32));
    fixture_voxels(v->data, NULL, n, 1);
    assert_ok(volt_format(&path, "%s/scan_0000.nii.gz", folder));
    assert_ok(volt_nifti_write(path, v, NULL, &o));
    volt_free(path);
    volt_volume_free(v);
}

static void two_predictors_report_their_own_figures(void **state)
{
    caller alone[2], both[2] = {{.in = "small", .out = "small-out", .missing = "no-run-1"},
                                {.in = "large", .out = "large-out", .missing = "no-run-2"}};
    const size_t before = volt_mem_current();
    pthread_t thread[2];

    (void)state;
    write_scan("small", 16);
    write_scan("large", 80);
    for (int i = 0; i < 2; i++) {
        alone[i] = both[i];
        assert_ok(work(&alone[i]));
        assert_int_equal(alone[i].result.cases, 1);
    }
    assert_true(2 * alone[1].result.peak_bytes > 3 * alone[0].result.peak_bytes);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, begin, &both[i]), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(thread[i], NULL);
        for (int i = 0; i < 2; i++) {
            const size_t peak = both[i].result.peak_bytes, same = alone[i].result.peak_bytes;
            assert_int_equal(both[i].st, VOLT_OK);
            assert_int_equal(both[i].result.announced_bytes, alone[i].result.announced_bytes);
            assert_true(peak <= both[i].result.announced_bytes);
            /* Reading may or may not overlap with the network. */
            assert_in_range(peak, same - same / 4, same + same / 4);
            assert_non_null(strstr(both[i].sentence, both[i].missing));
        }
    }
    assert_int_equal(volt_mem_current(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_predictors_report_their_own_figures),
    };
    char text[8192];
    int failed;

    if (volt_dataset_info_parse(&info, fixture_dataset, strlen(fixture_dataset),
                                "dataset.json") != VOLT_OK)
        return 1;
    snprintf(text, sizeof text, fixture_plan, "0, 1, 2", "0, 1, 2", "8, 8, 8", "1, 1, 1");
    write_random_run(RUN, text, &info);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    volt_dataset_info_clear(&info);
    return failed;
}
