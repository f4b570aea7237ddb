/* What the number of threads changes on the cpu device: the last bits of weight gradients that
 * oneDNN sums by threads, and nothing else. docs/reliability.md states the bound. A caller's
 * own teams of threads change nothing. */
#include <omp.h>

#include "base/core/alloc.h"
#include "base/rng.h"
#include "nets3d/graph/init.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/program_internal.h"
#include "tests/kit/networks.h"

#define BATCH 2
#define BOUND 1e-4 /* root mean square of a gradient's difference, relative to its own */

/* One network at a small patch, its input, and what one number of threads gave. */
typedef struct trained {
    volt_program *p;
    double loss;
    const float *gradients;
} trained;

static trained train_once(const volt_graph *g, const volt_device *dev, const int64_t extent[3],
                          volt_precision precision, int threads)
{
    const int64_t voxels = extent[0] * extent[1] * extent[2];
    const int64_t values = BATCH * voxels * volt_graph_channels(g, 0);
    const int64_t classes = volt_graph_channels(g, volt_graph_output_value(g, 0));
    const volt_loss_options loss = volt_loss_nnunet(volt_graph_output_count(g), true);
    volt_rng rng = volt_rng_open(1, 0, 0, VOLT_RNG_TEST);
    volt_program_options o = volt_program_defaults();
    float *input = NULL, *flat = NULL;
    int16_t *labels = NULL;
    volt_loss_result r = {0};
    trained t = {.p = NULL};

    o.n = BATCH;
    o.mode = VOLT_TRAIN;
    o.precision = precision;
    o.threads = threads;
    memcpy(o.extent, extent, sizeof o.extent);
    assert_ok(volt_alloc(&input, (size_t)values * sizeof *input, "input"));
    assert_ok(volt_alloc(&labels, (size_t)(BATCH * voxels) * sizeof *labels, "labels"));
    assert_ok(
        volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * sizeof *flat, "weights"));
    for (int64_t i = 0; i < values; i++)
        input[i] = (float)volt_rng_normal(&rng);
    for (int64_t i = 0; i < BATCH * voxels; i++)
        labels[i] = (int16_t)volt_rng_below(&rng, (int)classes);
    volt_init_parameters(flat, g, 1);
    assert_ok(volt_program_create(&t.p, g, dev, &o));
    assert_ok(volt_program_load(t.p, flat));
    assert_ok(volt_program_forward(t.p, input, 0));
    assert_ok(volt_program_loss(t.p, &loss, labels, true));
    assert_ok(volt_program_loss_result(t.p, &r));
    assert_ok(volt_program_backward(t.p));
    t.loss = r.total;
    t.gradients = volt_program_parameters(t.p).gradients;
    volt_free(flat);
    volt_free(labels);
    volt_free(input);
    return t;
}

/* Whether one of VOLT's own kernels gives the gradient of this parameter. */
static bool is_own(const volt_program *p, int param)
{
    for (int i = 0; i < p->step_count; i++) {
        const volt_step *s = &p->steps[i];
        for (int k = 0; k < s->operands; k++) {
            if (s->operand[k].kind == VOLT_OPERAND_GRADIENT && s->operand[k].index == param)
                return strncmp(s->info.kernel, "own ", 4) == 0;
        }
    }
    return true; /* of no step: zeros */
}

/* Returns how many parameters' gradients differ. */
static int compare(const volt_graph *g, const trained *one, const trained *two)
{
    int differ = 0;

    assert_true(one->loss == two->loss);
    for (int k = 0; k < volt_graph_param_count(g); k++) {
        const volt_param *q = volt_graph_param(g, k);
        const float *a = one->gradients + q->offset, *b = two->gradients + q->offset;
        double error = 0, size = 0;

        if (memcmp(a, b, (size_t)q->count * sizeof *a) == 0)
            continue;
        differ++;
        for (int64_t i = 0; i < q->count; i++) {
            error += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
            size += (double)a[i] * a[i];
        }
        if (is_own(one->p, k) || !(error <= BOUND * BOUND * size))
            fail_msg("%s differs by %.2g with 2 threads", q->name, sqrt(error / size));
    }
    return differ;
}

static void threads_change_oneDNNs_sums_only(void **state)
{
    volt_device *dev = NULL;
    int compared = 0;

    static const struct {
        const char *name;
        int64_t extent[3];
    } nets[] = {{"hippocampus", {16, 16, 16}}, {"liver2d", {1, 128, 128}}};

    (void)state;
    assert_ok(volt_device_open(&dev, "cpu"));
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        volt_network net = {.model = NULL};
        int64_t patch[3], batch;
        volt_graph *g = NULL;

        assert_ok(volt_network_preset(&net, patch, &batch, nets[i].name));
        ((volt_unet_spec *)net.spec)->base.stages = 3; /* which have the long sums */
        assert_ok(volt_network_build(&g, &net, true));
        for (volt_precision k = VOLT_FP32; k <= VOLT_BF16_MIXED; k++) {
            if (!dev->supports(dev, k))
                continue;
            trained one = train_once(g, dev, nets[i].extent, k, 1);
            trained two = train_once(g, dev, nets[i].extent, k, 2);
            print_message("%s, %s: %d of %d gradients differ\n", nets[i].name,
                          k == VOLT_FP32 ? "fp32" : "bf16", compare(g, &one, &two),
                          volt_graph_param_count(g));
            compared++;
            volt_program_free(one.p);
            volt_program_free(two.p);
        }
        volt_graph_free(g);
        volt_network_clear(&net);
    }
    assert_true(compared >= 2);
    volt_device_close(dev);
}

/* Called from a parallel region, and where OpenMP may choose the number of threads: the same
 * bits, and the caller's settings are as they were. */
static void teams_of_the_caller_change_nothing(void **state)
{
    const int64_t extent[3] = {16, 16, 16}, threads = omp_get_max_threads();
    volt_network net = {.model = NULL};
    int64_t patch[3], batch;
    volt_device *dev = NULL;
    volt_graph *g = NULL;
    trained alone, inside = {.p = NULL}, chosen;

    (void)state;
    assert_ok(volt_device_open(&dev, "cpu"));
    assert_ok(volt_network_preset(&net, patch, &batch, "hippocampus"));
    ((volt_unet_spec *)net.spec)->base.stages = 3;
    assert_ok(volt_network_build(&g, &net, true));
    alone = train_once(g, dev, extent, VOLT_FP32, 2);
#pragma omp parallel num_threads(2)
    {
#pragma omp master
        inside = train_once(g, dev, extent, VOLT_FP32, 2);
    }
    omp_set_dynamic(1);
    chosen = train_once(g, dev, extent, VOLT_FP32, 2);
    assert_true(omp_get_dynamic());
    omp_set_dynamic(0);
    assert_int_equal(omp_get_max_threads(), threads);
    assert_int_equal(compare(g, &alone, &inside), 0);
    assert_int_equal(compare(g, &alone, &chosen), 0);
    volt_program_free(alone.p);
    volt_program_free(inside.p);
    volt_program_free(chosen.p);
    volt_graph_free(g);
    volt_network_clear(&net);
    volt_device_close(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_oneDNNs_sums_only),
        cmocka_unit_test(teams_of_the_caller_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
