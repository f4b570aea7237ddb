/* Ensembles of saved probabilities, post-processing and the choice of the best, on the files of
 * nnU-Net's own find_best_configuration (testdata/scripts/make_best.py). */
#include "nets3d/best.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/image/nifti.h"
#include "io/tensors/npz.h"
#include "nets3d/ensemble.h"
#include "tests/kit/test.h"

#define OUT   "best-out"
#define CASES 6

static void remove_out(void)
{
    assert_int_equal(system("rm -rf " OUT " best-work"), 0);
}

static char *kind_path(const char *kind, const char *rest)
{
    char *path = NULL;

    assert_ok(volt_format(&path, "%s/best/%s/%s", VOLT_TESTDATA, kind, rest));
    return path;
}

static void read_info(volt_dataset_info *info, const char *kind)
{
    char *path = kind_path(kind, "2d/dataset.json");

    assert_ok(volt_dataset_info_read(info, path));
    volt_free(path);
}

/* Every mask of `expected` is that of `folder`, to the voxel and the matrix. */
static void check_masks(const char *folder, const char *expected)
{
    for (int i = 0; i < CASES; i++) {
        const volt_image_read_options read = volt_image_read_as(VOLT_I16, 0);
        volt_volume *a = NULL, *b = NULL;
        char *path = NULL;
        assert_ok(volt_format(&path, "%s/case_%d.nii.gz", folder, i));
        assert_ok(volt_nifti_read(&a, NULL, path, &read));
        volt_free(path);
        assert_ok(volt_format(&path, "%s/case_%d.nii.gz", expected, i));
        assert_ok(volt_nifti_read(&b, NULL, path, &read));
        volt_free(path);
        assert_true(volt_grid_same(&a->grid, &b->grid, 1e-5));
        assert_memory_equal(a->data, b->data, volt_volume_bytes(b));
        volt_volume_free(b);
        volt_volume_free(a);
    }
}

/* The number after `name` in expected/scores.txt; *first gets the first line. */
static double expected_score(const char *kind, const char *name, char first[64])
{
    char *path = kind_path(kind, "expected/scores.txt"), *text = NULL, key[64];
    size_t bytes;
    const char *at;
    double value;

    assert_ok(volt_read_file(&text, &bytes, path, 4096));
    assert_int_equal(sscanf(text, "%63s", first), 1);
    snprintf(key, sizeof key, "\n%s ", name);
    at = strstr(text, key);
    assert_non_null(at);
    value = strtod(at + strlen(key), NULL);
    volt_free(text);
    volt_free(path);
    return value;
}

static void check_best(const char *kind)
{
    char *runs[2] = {kind_path(kind, "2d"), kind_path(kind, "3d_fullres")};
    char *truth = kind_path(kind, "truth"), *ensemble = kind_path(kind, "expected/ensemble");
    char *processed = kind_path(kind, "expected/postprocessed"), *folder = NULL, first[64];
    const char *names[3] = {"2d", "3d_fullres", "ensemble"};
    volt_best_options o = volt_best_defaults();
    volt_best_result r = {0};

    o.truth = truth;
    o.output = OUT;
    o.ensembles = true;
    o.threads = 2;
    remove_out();
    assert_ok(volt_best_find(&r, (const char *const *)runs, 2, &o));
    assert_int_equal(r.candidates, 3);
    for (int i = 0; i < 3; i++)
        assert_true(fabs(r.candidate[i].dice - expected_score(kind, names[i], first)) < 1e-12);
    assert_string_equal(names[r.best], first);
    assert_true(fabs(r.post.after - expected_score(kind, "postprocessed", first)) < 1e-12);
    check_masks(OUT "/2d+3d_fullres", ensemble);
    assert_ok(volt_format(&folder, "%s/postprocessed", r.candidate[r.best].folder));
    check_masks(folder, processed);
    assert_true(volt_path_exists(OUT "/best.json"));
    volt_free(folder);
    volt_best_result_clear(&r);
    volt_free(processed);
    volt_free(ensemble);
    volt_free(truth);
    volt_free(runs[1]);
    volt_free(runs[0]);
}

static void the_best_is_nnunets(void **state)
{
    (void)state;
    check_best("labels");
    check_best("regions");
}

/* Steps as nnU-Net wrote them, applied to the masks they were found for. */
static void nnunets_steps_are_read_and_applied(void **state)
{
    static const char *const kinds[2] = {"labels", "regions"};

    (void)state;
    for (int k = 0; k < 2; k++) {
        char *steps = kind_path(kinds[k], "expected/postprocessing.json"), *from, first[64];
        char *processed = kind_path(kinds[k], "expected/postprocessed"), *truth;
        volt_postprocess p = {0}, again = {0};
        volt_postprocess_result r = {0};
        volt_dataset_info info = {0};
        int64_t cases = 0;
        expected_score(kinds[k], "2d", first);
        assert_string_equal(first, "ensemble"); /* or the masks to start from are others */
        from = kind_path(kinds[k], "expected/ensemble");
        truth = kind_path(kinds[k], "truth");
        remove_out();
        assert_ok(volt_postprocess_read(&p, steps));
        assert_true(p.count >= 1);
        assert_ok(volt_postprocess_folder(&cases, from, OUT, &p, 2, NULL));
        assert_int_equal(cases, CASES);
        check_masks(OUT, processed);
        /* Found again from a copy of those masks: the same steps. */
        assert_ok(volt_postprocess_folder(NULL, from, "best-work", &again, 1, NULL));
        read_info(&info, kinds[k]);
        assert_ok(volt_postprocess_find(&r, "best-work", truth, &info, 3, NULL));
        assert_int_equal(r.steps.count, p.count);
        assert_ok(volt_postprocess_read(&again, "best-work/postprocessing.json"));
        assert_int_equal(again.count, p.count);
        for (int i = 0; i < p.count; i++) {
            assert_int_equal(again.step[i].count, p.step[i].count);
            assert_memory_equal(again.step[i].label, p.step[i].label,
                                (size_t)p.step[i].count * sizeof(int32_t));
        }
        volt_postprocess_result_clear(&r);
        volt_dataset_info_clear(&info);
        volt_postprocess_clear(&again);
        volt_postprocess_clear(&p);
        volt_free(truth);
        volt_free(from);
        volt_free(processed);
        volt_free(steps);
    }
}

/* All of equally large components stay; what touches at a corner is one. */
static void ties_and_corners_are_as_skimage_has_them(void **state)
{
    static const uint8_t before[10] = {1, 1, 0, 2, 2, 0, 1, 0, 3, 3};
    static const uint8_t after[10] = {1, 1, 0, 2, 2, 0, 0, 0, 3, 3};
    const volt_grid line = volt_grid_make((int64_t[]){1, 1, 10}, 1, (double[]){1, 1, 1});
    const volt_grid cube = volt_grid_make((int64_t[]){3, 3, 3}, 1, (double[]){1, 1, 1});
    int32_t labels[2] = {1, 2};
    volt_postprocess_step step = {labels, 2};
    const volt_postprocess p = {&step, 1};
    volt_volume *v = NULL;

    (void)state;
    assert_ok(volt_volume_create(&v, &line, VOLT_U8));
    memcpy(v->data, before, sizeof before);
    assert_ok(volt_postprocess_apply(v, &p, 1));
    assert_memory_equal(v->data, after, sizeof after);
    volt_volume_free(v);
    assert_ok(volt_volume_create(&v, &cube, VOLT_I16));
    ((int16_t *)v->data)[0] = 1;
    ((int16_t *)v->data)[13] = 2; /* touches the corner */
    ((int16_t *)v->data)[8] = 1;  /* and this one too, by an edge's end */
    assert_ok(volt_postprocess_apply(v, &p, 1));
    assert_true(((int16_t *)v->data)[0] == 1 && ((int16_t *)v->data)[13] == 2);
    assert_true(((int16_t *)v->data)[8] == 1);
    volt_volume_free(v);
}

static void what_does_not_fit_is_refused(void **state)
{
    static const char other_steps[] =
        "{\"postprocessing_fns\": [\"f\"], "
        "\"postprocessing_kwargs\": [{\"labels_or_regions\": 1}]}";
    char *a = kind_path("labels", "2d/fold_0/validation");
    char *b = kind_path("labels", "2d/fold_1/validation"), *run = kind_path("labels", "2d");
    const char *both[2] = {a, b}, *twice[2] = {a, a};
    const volt_ensemble_member parts[2] = {{both, 1}, {both + 1, 1}}, same = {twice, 2};
    volt_dataset_info info = {0}, regions = {0};
    volt_ensemble_options o = volt_ensemble_defaults();
    volt_best_options best = volt_best_defaults();
    volt_best_result r = {0};
    volt_postprocess p = {0};

    (void)state;
    o.output = best.output = OUT;
    o.info = &info;
    best.truth = a;
    remove_out();
    read_info(&info, "labels");
    read_info(&regions, "regions");
    assert_fails(volt_ensemble(NULL, parts, 2, &o, NULL), VOLT_EDATA, "has no .npz of case");
    assert_fails(volt_ensemble(NULL, &same, 1, &o, NULL), VOLT_EDATA, "is in");
    o.info = &regions;
    assert_fails(volt_ensemble(NULL, parts, 1, &o, NULL), VOLT_EDATA, "4 classes");
    assert_fails(volt_best_find(&r, (const char *[]){VOLT_TESTDATA}, 1, &best), VOLT_EDATA,
                 "has no predictions in fold_K/validation");
    assert_fails(volt_best_find(&r, (const char *[]){run, run}, 2, &best), VOLT_EDATA,
                 "same name");
    assert_ok(volt_write_file("best-steps.json", other_steps, strlen(other_steps)));
    assert_fails(volt_postprocess_read(&p, "best-steps.json"), VOLT_ENOTSUP, "'f'");
    assert_int_equal(remove("best-steps.json"), 0);
    volt_dataset_info_clear(&regions);
    volt_dataset_info_clear(&info);
    volt_free(run);
    volt_free(b);
    volt_free(a);
    remove_out();
}

/* ---- npz ---- */

static void arrays_come_back(void **state)
{
    const int64_t shape[2] = {3, 5};
    volt_zip_writer *zip = NULL;
    volt_npz_array a = {0};
    float values[15];

    (void)state;
    for (int i = 0; i < 15; i++)
        values[i] = (float)i * 0.25f - 1;
    assert_ok(volt_zip_create(&zip, "best.npz"));
    assert_ok(volt_npz_begin(zip, "x", shape, 2, 1));
    assert_ok(volt_zip_write(zip, values, 7 * sizeof *values));
    assert_ok(volt_zip_write(zip, values + 7, 8 * sizeof *values));
    assert_ok(volt_zip_end(zip));
    assert_ok(volt_zip_commit(&zip));
    assert_ok(volt_npz_read(&a, "best.npz", "x", 2));
    assert_true(a.rank == 2 && a.shape[0] == 3 && a.shape[1] == 5);
    assert_memory_equal(a.data, values, sizeof values);
    volt_free(a.data);
    assert_fails(volt_npz_read(&a, "best.npz", "y", 2), VOLT_EFORMAT, "'y'");
    assert_fails(volt_npz_read(&a, "best.npz", "x", 3), VOLT_EFORMAT, "has rank 2, expected 3");
    assert_int_equal(remove("best.npz"), 0);
}

static void try_npy(const char *text, size_t bytes, volt_status want, const char *word)
{
    volt_zip_writer *zip = NULL;
    volt_npz_array a = {0};

    assert_ok(volt_zip_create(&zip, "best.npz"));
    assert_ok(volt_zip_add(zip, "x.npy", text, bytes, 1));
    assert_ok(volt_zip_commit(&zip));
    assert_fails(volt_npz_read(&a, "best.npz", "x", 1), want, word);
    assert_null(a.data);
    assert_int_equal(remove("best.npz"), 0);
}

#define NPY(head, length) "\x93NUMPY\1\0" length "\0" head

static void damaged_arrays_are_refused(void **state)
{
    (void)state;
    try_npy("hello, world", 12, VOLT_EFORMAT, "no numpy array");
    try_npy(NPY("{'descr': '<f4'", "\xff"), 25, VOLT_EFORMAT, "longer");
    try_npy(NPY("{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}", "\x37"), 65,
            VOLT_ENOTSUP, "<i8");
    try_npy(NPY("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", "\x38"), 66,
            VOLT_ENOTSUP, "Fortran");
    try_npy(NPY("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}1234", "\x37"), 69,
            VOLT_EFORMAT, "requires 8 bytes");
    try_npy(NPY("{'descr': '<f4', 'fortran_order': False, 'shape': (-2)}1234", "\x37"), 69,
            VOLT_EFORMAT, "shape");
    try_npy(NPY("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999,99999)}",
                "\x49"),
            83, VOLT_EFORMAT, "shape");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_is_nnunets),
        cmocka_unit_test(nnunets_steps_are_read_and_applied),
        cmocka_unit_test(ties_and_corners_are_as_skimage_has_them),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(arrays_come_back),
        cmocka_unit_test(damaged_arrays_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
