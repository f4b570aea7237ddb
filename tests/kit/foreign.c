#define _GNU_SOURCE /* nftw */
#include "tests/kit/loss_call.h"
#include "base/core/alloc.h"
#include "tests/kit/foreign.h"
#include <ftw.h>
#include "io/image.h"
#include "volume/grid/half.h"

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *walk)
{
    (void)s;
    (void)type;
    (void)walk;
    return remove(path);
}

void remove_tree(const char *folder)
{
    if (volt_path_exists(folder))
        assert_int_equal(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* "probabilities" of an npz: float16 (classes, Z, Y, X), as float32. The caller frees it. */
static float *npz_probabilities(const char *path, int64_t *count)
{
    volt_zip *zip;
    char *text;
    size_t bytes, header;
    uint16_t half;
    float *x;

    assert_ok(volt_zip_open(&zip, path));
    assert_int_equal(volt_zip_count(zip), 1);
    assert_ok(volt_zip_read(&text, &bytes, zip, volt_zip_at(zip, 0), (size_t)1 << 30));
    assert_true(bytes > 10 && memcmp(text, "\x93NUMPY\1", 7) == 0);
    header = 10 + ((size_t)(unsigned char)text[8] | (size_t)(unsigned char)text[9] << 8);
    assert_non_null(strstr(text + 10, "'<f2'"));
    *count = (int64_t)((bytes - header) / 2);
    assert_ok(volt_alloc(&x, (size_t)*count * sizeof *x, "a test"));
    for (int64_t i = 0; i < *count; i++) {
        memcpy(&half, text + header + 2 * i, 2);
        x[i] = volt_half_to_float(half);
    }
    volt_free(text);
    volt_zip_close(zip);
    return x;
}

/* The class of the largest of `classes` values, `voxels` apart; *margin: how far it is ahead.
 */
static int arg_max(float *margin, const float *x, int64_t classes, int64_t voxels)
{
    float first = -1, second = -1;
    int best = 0;

    for (int c = 0; c < classes; c++) {
        const float v = x[c * voxels];
        if (v > first) {
            second = first;
            first = v;
            best = c;
        } else if (v > second) {
            second = v;
        }
    }
    *margin = first - second;
    return best;
}

void compare_softmax(const char *folder, const char *id, const char *npz_path)
{
    int64_t count, voxels = 0;
    float *want = npz_probabilities(npz_path, &count);
    const volt_image_read_options read = volt_image_read_as(VOLT_F32, 0);
    double worst = 0;
    int classes = 0;

    do {
        volt_volume *v = NULL;
        char *path = NULL;
        assert_ok(volt_format(&path, "%s/probabilities/%s_%04d.nii.gz", folder, id, classes));
        assert_ok(volt_nifti_read(&v, NULL, path, &read));
        voxels = volt_grid_voxels(&v->grid);
        assert_true((classes + 1) * voxels <= count);
        for (int64_t i = 0; i < voxels; i++) {
            const double d =
                fabs((double)((const float *)v->data)[i] - (double)want[classes * voxels + i]);
            worst = d > worst || d != d ? d : worst;
        }
        classes++;
        volt_volume_free(v);
        volt_free(path);
    } while (classes * voxels < count);
    print_message("%s: softmax of %d classes within %.2g\n", npz_path, classes, worst);
    assert_true(classes >= 2 && worst <= 2e-3);
    volt_free(want);
}

void compare_masks(const char *ours_path, const char *theirs_path, const char *softmax_path,
                   bool regions)
{
    volt_volume *ours = NULL, *theirs = NULL;
    int64_t count, differ = 0, flipped = 0, foreground = 0, voxels;
    float *p = npz_probabilities(softmax_path, &count);

    assert_ok(volt_nifti_read(&ours, NULL, ours_path, NULL));
    assert_ok(volt_nifti_read(&theirs, NULL, theirs_path, NULL));
    assert_memory_equal(ours->grid.n, theirs->grid.n, sizeof ours->grid.n);
    assert_true(volt_grid_same(&ours->grid, &theirs->grid, 1e-4));
    voxels = volt_grid_voxels(&ours->grid);
    assert_int_equal(count % voxels, 0);
    for (int64_t i = 0; i < voxels; i++) {
        const int a = ((const uint8_t *)ours->data)[i], b = ((const uint8_t *)theirs->data)[i];
        float margin = 0;
        const int c = regions ? b : arg_max(&margin, p + i, count / voxels, voxels);
        const bool flip = b != c && margin > 4e-3f;
        foreground += b != 0;
        flipped += flip;
        differ += flip ? a != c : a != b;
        if (a != c && margin > 4e-3f)
            fail_msg("%s: voxel %lld is %d, nnU-Net's %d, and no near-tie", ours_path,
                     (long long)i, a, c);
    }
    print_message("%s: %lld of %lld voxels differ; %lld flipped by float16 sums\n", theirs_path,
                  (long long)differ, (long long)voxels, (long long)flipped);
    assert_true(foreground > 50 && flipped <= voxels / 1000);
    if ((double)differ > 2e-4 * (double)voxels)
        fail_msg("%s: %lld of %lld voxels differ", theirs_path, (long long)differ,
                 (long long)voxels);
    volt_volume_free(theirs);
    volt_volume_free(ours);
    volt_free(p);
}

void predicts_as_nnunet(const char *run, const char *name)
{
    static const char *const kinds[2] = {"plain", "mirror"};
    volt_predict_output output = volt_predict_output_defaults();

    for (int m = 0; m < 2; m++) {
        volt_predict_options o = volt_predict_defaults();
        volt_predictor *p = NULL;
        volt_case_list cases = {0};
        char *folder = NULL, *ours = NULL, *theirs = NULL, *softmax = NULL, *files[2];
        const char *inputs[2];
        int channels;

        output.folder = "foreign-out";
        output.probability_nifti = true;
        o.precision = VOLT_FP32;
        o.mirror = m == 1;
        o.threads = 2;
        remove_tree("foreign-out");
        assert_ok(volt_format(&folder, VOLT_TESTDATA "/models/%s", name));
        assert_ok(volt_format(&theirs, "%s/%s.nii.gz", folder, kinds[m]));
        assert_ok(volt_format(&softmax, "%s/%s.npz", folder, kinds[m]));
        assert_ok(volt_strdup(&ours, "foreign-out/scan.nii.gz"));
        assert_ok(volt_predictor_open(&p, &run, 1, &o, NULL));
        channels = volt_predictor_info(p)->channels;
        assert_true(channels <= 2);
        for (int c = 0; c < channels; c++) {
            assert_ok(volt_format(&files[c], "%s/scan_%04d.nii.gz", folder, c));
            inputs[c] = files[c];
        }
        assert_ok(volt_inputs_list(&cases, inputs, channels, channels, NULL));
        assert_ok(volt_predict(p, &cases, &output, NULL, NULL));
        compare_masks(ours, theirs, softmax, strcmp(name, "regions") == 0);
        compare_softmax("foreign-out", "scan", softmax);
        for (int c = 0; c < channels; c++)
            volt_free(files[c]);
        volt_case_list_clear(&cases);
        volt_predictor_free(p);
        volt_free(softmax);
        volt_free(theirs);
        volt_free(ours);
        volt_free(folder);
        remove_tree("foreign-out");
    }
}

void network_computes(const char *run, const char *path, double bound)
{
    volt_safetensors *want;
    const volt_tensor_view *x, *y;
    volt_checkpoint_head head = {0};
    volt_train_recipe recipe;
    volt_dataset_info info = {0};
    volt_plan *plan = NULL;
    const volt_plan_config *config;
    volt_graph *g = NULL;
    volt_device *device = NULL;
    volt_program *program = NULL;
    volt_program_options o = volt_program_defaults();
    char *file = NULL;
    float *flat, *got;
    double worst = 0;

    o.n = 1;
    o.precision = VOLT_FP32;
    o.mode = VOLT_INFER;
    o.threads = 2;
    assert_ok(volt_safetensors_open(&want, path));
    x = volt_safetensors_find(want, "x");
    y = volt_safetensors_find(want, "logits");
    assert_true(x && y && x->rank == 5);
    assert_ok(volt_path_join(&file, run, "checkpoint_latest.safetensors"));
    assert_ok(volt_checkpoint_read_head(&head, file));
    assert_ok(volt_train_recipe_parse(&recipe, head.recipe, file));
    assert_ok(volt_dataset_info_parse(&info, head.dataset, strlen(head.dataset), file));
    assert_ok(volt_plan_parse(&plan, head.plan, strlen(head.plan), file, &info));
    assert_ok(volt_plan_find(&config, plan, recipe.configuration));
    assert_ok(volt_network_build(&g, &config->net, false));
    assert_ok(volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * sizeof *flat, "a test"));
    assert_ok(volt_checkpoint_read(file, g, flat, NULL, 0));
    assert_ok(volt_device_open(&device, "cpu"));
    memcpy(o.extent, x->shape + 2, sizeof o.extent);
    assert_ok(volt_program_create(&program, g, device, &o));
    assert_ok(volt_program_load(program, flat));
    assert_ok(volt_program_forward(program, x->data, 0));
    got = program_output(program, 0, NULL);
    for (size_t i = 0; i < y->bytes / 4; i++) {
        const double d = fabs((double)got[i] - (double)((const float *)y->data)[i]);
        worst = d > worst || d != d ? d : worst;
    }
    print_message("%s: logits within %.2g\n", path, worst);
    assert_true(worst <= bound);
    volt_free(got);
    volt_program_free(program);
    volt_device_close(device);
    volt_free(flat);
    volt_graph_free(g);
    volt_plan_free(plan);
    volt_dataset_info_clear(&info);
    volt_checkpoint_head_free(&head);
    volt_free(file);
    volt_safetensors_close(want);
}
