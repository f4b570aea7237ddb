#include "tests/kit/loss_call.h"
#include "tests/kit/networks.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"
#include "nets3d/program/program_internal.h"

/* A program whose parameters are one vector of 50: a 1x1x1 convolution. */
static volt_program *vector_program(const volt_device *device, volt_graph **g,
                                    const float *start)
{
    static const volt_conv one = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    const network net = {"vector", NULL, 1, {1, 1, 1}, 0, 0};
    volt_value v;
    volt_program *p;

    assert_ok(volt_graph_create(g));
    assert_ok(volt_graph_input(*g, &v, 50));
    assert_ok(volt_graph_conv(*g, &v, v, "x", 1, &one, false));
    assert_ok(volt_graph_output(*g, v));
    p = compiled(*g, device, &net, VOLT_TRAIN, VOLT_FP32, 2);
    assert_ok(volt_program_load(p, start));
    return p;
}

static void ten_steps_match_pytorch(void **state)
{
    static const struct {
        const char *name;
        volt_optimizer_kind kind;
        double weight_decay;
    } kinds[] = {
        {"sgd", VOLT_SGD, 3e-5}, {"adam", VOLT_ADAM, 0.01}, {"adamw", VOLT_ADAMW, 0.05}};
    volt_safetensors *f = open_fixture("updates");
    const float *start = fixture_view(f, "start", "")->data;
    const float *gradients = fixture_view(f, "gradients", "")->data;

    (void)state;
    for (int i = 0; i < 6; i++) {
        volt_optimizer_settings o = volt_optimizer_nnunet();
        volt_device *device = NULL;
        volt_optimizer *optimizer = NULL;
        volt_graph *g;
        volt_program *p;
        float end[50];

        o.kind = kinds[i / 2].kind;
        o.weight_decay = kinds[i / 2].weight_decay;
        o.clip_norm = 0;
        assert_ok(volt_device_open(&device, i % 2 ? "cpu" : "reference"));
        p = vector_program(device, &g, start);
        assert_ok(volt_optimizer_create(&optimizer, volt_program_parameters(p), &o));
        assert_int_equal(volt_optimizer_slots(optimizer), o.kind == VOLT_SGD ? 1 : 2);
        for (int step = 0; step < 10; step++) {
            memcpy(volt_program_parameters(p).gradients, gradients + 50 * step, sizeof end);
            assert_ok(volt_optimizer_step(optimizer, o.lr));
        }
        assert_ok(volt_program_save(p, end));
        assert_near(kinds[i / 2].name, end, fixture_view(f, kinds[i / 2].name, "")->data, 50,
                    1e-6, 0);
        volt_optimizer_free(optimizer);
        volt_program_free(p);
        volt_graph_free(g);
        volt_device_close(device);
    }
    volt_safetensors_close(f);
}

static void clipping_scales_and_bad_gradients_stop(void **state)
{
    volt_optimizer_settings o = volt_optimizer_nnunet();
    volt_device *device = NULL;
    volt_optimizer *optimizer = NULL;
    float start[50] = {0}, end[50];
    volt_graph *g;
    volt_program *p;
    volt_update_scalars last;
    double norm = 0;

    (void)state;
    o.momentum = 0;
    o.weight_decay = 0;
    o.clip_norm = 5;
    assert_ok(volt_device_open(&device, "reference"));
    p = vector_program(device, &g, start);
    assert_ok(volt_optimizer_create(&optimizer, volt_program_parameters(p), &o));
    volt_program_parameters(p).gradients[0] = 30;
    volt_program_parameters(p).gradients[49] = 40;
    assert_ok(volt_optimizer_step(optimizer, 1));
    assert_ok(volt_optimizer_norm(optimizer, &norm));
    assert_ok(volt_program_save(p, end));
    assert_true(fabs(norm - 50) < 1e-9);
    assert_true(fabs(end[0] + 3) < 1e-5 && fabs(end[49] + 4) < 1e-5 && end[1] == 0);
    volt_program_parameters(p).gradients[7] = NAN;
    assert_ok(volt_optimizer_step(optimizer, 1));
    assert_fails(volt_optimizer_norm(optimizer, &norm), VOLT_ENUMERIC, "not finite");
    assert_ok(volt_program_save(p, start));
    assert_memory_equal(start, end, sizeof end);
    assert_ok(volt_optimizer_scalars(optimizer, &last));
    assert_true(last.steps == 1 && last.skipped == 1 && last.bad);
    volt_program_parameters(p).gradients[7] = 0; /* the next step is one like any other */
    assert_ok(volt_optimizer_step(optimizer, 1));
    assert_ok(volt_optimizer_norm(optimizer, &norm));
    assert_true(fabs(norm - 50) < 1e-9);
    assert_ok(volt_program_save(p, end));
    assert_true(fabs(end[0] + 6) < 1e-5);
    volt_optimizer_free(optimizer);
    optimizer = NULL;
    o.momentum = 1;
    assert_fails(volt_optimizer_create(&optimizer, volt_program_parameters(p), &o), VOLT_EINVAL,
                 "momentum is 1");
    volt_program_free(p);
    volt_graph_free(g);
    volt_device_close(device);
}

static void rates_follow_their_schedules(void **state)
{
    volt_optimizer_settings o = volt_optimizer_nnunet();

    (void)state;
    assert_true(volt_optimizer_rate(&o, 0) == 0.01);
    assert_true(fabs(volt_optimizer_rate(&o, 0.5) - 0.01 * pow(0.5, 0.9)) < 1e-12);
    assert_true(volt_optimizer_rate(&o, 1) == 0);
    o.schedule = VOLT_SCHEDULE_COSINE;
    o.warmup = 0.1;
    assert_true(volt_optimizer_rate(&o, 0) == 0);
    assert_true(fabs(volt_optimizer_rate(&o, 0.05) - 0.005) < 1e-12);
    assert_true(fabs(volt_optimizer_rate(&o, 0.1) - 0.01) < 1e-12);
    assert_true(fabs(volt_optimizer_rate(&o, 0.55) - 0.005) < 1e-12);
    assert_true(fabs(volt_optimizer_rate(&o, 1)) < 1e-12);
}

static void level_weights_are_nnunets(void **state)
{
    volt_loss_options o = volt_loss_nnunet(5, true);

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_true(fabs(o.level_weight[i] - pow(0.5, i) / 1.875) < 1e-12);
    assert_true(o.level_weight[4] == 0);
    o = volt_loss_nnunet(1, false);
    assert_true(o.level_weight[0] == 1 && !o.batch_dice && o.ignore == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_steps_match_pytorch),
        cmocka_unit_test(clipping_scales_and_bad_gradients_stop),
        cmocka_unit_test(rates_follow_their_schedules),
        cmocka_unit_test(level_weights_are_nnunets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
