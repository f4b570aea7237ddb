/* A plan with the residual encoder learns, is resumed from its file, and predicts. */
#include "nets3d/predictor.h"
#include "nets3d/models/unet.h"
#include "tests/kit/train_fixture.h"

#define RUN "residual-run"

static void make_residual(fixture *f)
{
    volt_network *net = &f->plan->config->net; /* the only configuration */
    volt_unet_spec *spec = net->spec;

    net->model = &volt_model_residual_unet;
    spec->convs_encoder[0] = 1;
    spec->convs_encoder[1] = 2;
}

static void a_residual_plan_trains_and_predicts(void **state)
{
    volt_train_options o;
    volt_recipe recipe;
    volt_predict_options p = volt_predict_defaults();
    const int64_t shape[3] = {12, 14, 16};
    const double mm[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(shape, 1, mm);
    volt_train_result first = {0}, last = {0};
    volt_predictor *predictor = NULL;
    volt_volume *image = NULL, *labels = NULL;
    int64_t right = 0, objects = 0;
    int8_t truth[12 * 14 * 16];
    fixture f;

    (void)state;
    fixture_open(&f, "residual-store");
    make_residual(&f);
    remove_folder(RUN);
    o = fixture_options(&recipe, 1, 1);
    o.device = "cpu";
    recipe.augment = false;
    assert_ok(volt_train(RUN, &f.data, &o, NULL, &first));
    remove_folder(RUN);
    recipe.epochs = 12;
    recipe.iterations = 20;
    assert_ok(volt_train(RUN, &f.data, &o, NULL, &last));
    print_message("loss %.3f, then %.3f\n", first.train_loss, last.train_loss);
    assert_true(last.train_loss < first.train_loss - 0.5);

    p.precision = VOLT_FP32;
    p.threads = 1;
    assert_ok(volt_predictor_open(&predictor, (const char *[]){RUN}, 1, &p, NULL));
    assert_ok(volt_volume_create(&image, &grid, VOLT_F32));
    fixture_voxels(image->data, truth, shape, 5);
    assert_ok(volt_predictor_run(predictor, image, &labels, NULL));
    for (size_t i = 0; i < sizeof truth; i++) {
        objects += truth[i] > 0;
        right += truth[i] > 0 && ((uint8_t *)labels->data)[i] == truth[i];
    }
    print_message("%d of %d voxels found\n", (int)right, (int)objects);
    assert_true(right * 2 > objects);
    volt_volume_free(labels);
    volt_volume_free(image);
    volt_predictor_free(predictor);
    remove_folder(RUN);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_residual_plan_trains_and_predicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
