#define _GNU_SOURCE
/* Models in zip archives become the same runs as unpacked ones; hostile archives are refused
 * and leave nothing behind. */
#include "base/core/alloc.h"
#include "tests/kit/test.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/names.h"
#include "base/system/file.h"
#include "io/archive/zip.h"
#include "nets3d/import_model.h"
#include "tests/kit/foreign.h"

#define FOLDS   VOLT_TESTDATA "/models/folds/model"
#define BUNDLES VOLT_TESTDATA "/bundles/"
#define ZIP     "model.zip"
#define RUN     "unzipped-run"

/* Adds a folder's files as PREFIX/..., at a compression level. */
static void add_folder(volt_zip_writer *zip, const char *folder, const char *prefix, int level)
{
    volt_names names = {0};

    assert_ok(volt_list_dir(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        char path[600], name[600], *data = NULL;
        size_t bytes;
        snprintf(path, sizeof path, "%s/%s", folder, names.name[i]);
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "/" : "", names.name[i]);
        if (volt_path_is_dir(path)) {
            add_folder(zip, path, name, level);
            continue;
        }
        assert_ok(volt_read_file(&data, &bytes, path, 1 << 24));
        assert_ok(volt_zip_add(zip, name, data, bytes, level));
        volt_free(data);
    }
    volt_names_free(&names);
}

static void zip_folder(const char *folder, const char *prefix, int level)
{
    volt_zip_writer *zip = NULL;

    assert_ok(volt_zip_create(&zip, ZIP));
    add_folder(zip, folder, prefix, level);
    assert_ok(volt_zip_commit(&zip));
}

static void same_files(const char *a, const char *b)
{
    char *x = NULL, *y = NULL;
    size_t n, m;

    assert_ok(volt_read_file(&x, &n, a, 1 << 26));
    assert_ok(volt_read_file(&y, &m, b, 1 << 26));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    volt_free(x);
    volt_free(y);
}

/* No file next to the run is left. */
static void nothing_left(void)
{
    volt_names names = {0};

    assert_ok(volt_list_dir(&names, "."));
    for (size_t i = 0; i < names.count; i++)
        assert_null(strstr(names.name[i], ".tmp"));
    volt_names_free(&names);
}

static void zip_fails(const volt_model_import_options *o, volt_status code, const char *words)
{
    remove_tree(RUN);
    assert_fails(volt_import_model(ZIP, RUN, o, NULL, NULL), code, words);
    assert_non_null(strstr(volt_last_error(), ZIP));
    assert_null(strstr(volt_last_error(), "unpacked"));
    assert_false(volt_path_exists(RUN));
    nothing_left();
}

static void a_zip_is_its_folder(void **state)
{
    static const char *const prefixes[] = {"", "Dataset004_X/nnUNetTrainer__nnUNetPlans__3d"};
    volt_model_import_result r;

    (void)state;
    remove_tree("folder-run");
    assert_ok(volt_import_model(FOLDS, "folder-run", NULL, NULL, NULL));
    for (int i = 0; i < 2; i++) {
        zip_folder(FOLDS, prefixes[i], i ? 9 : 0);
        remove_tree(RUN);
        assert_ok(volt_import_model(ZIP, RUN, NULL, NULL, &r));
        assert_int_equal(r.folds, 2);
        same_files("folder-run/fold_1/checkpoint_latest.safetensors",
                   RUN "/fold_1/checkpoint_latest.safetensors");
        same_files("folder-run/plans.json", RUN "/plans.json");
        assert_false(volt_path_exists(RUN "/unpacked"));
        nothing_left();
    }
}

static void a_bundle_is_its_folder(void **state)
{
    (void)state;
    remove_tree("folder-run");
    assert_ok(volt_import_model(BUNDLES "unet", "folder-run", NULL, NULL, NULL));
    zip_folder(BUNDLES "unet", "tiny_organs", 6);
    remove_tree(RUN);
    assert_ok(volt_import_model(ZIP, RUN, NULL, NULL, NULL));
    same_files("folder-run/checkpoint_latest.safetensors",
               RUN "/checkpoint_latest.safetensors");
}

static void the_configuration_chooses(void **state)
{
    volt_model_import_options o = volt_model_import_defaults();
    volt_zip_writer *zip = NULL;

    (void)state;
    assert_ok(volt_zip_create(&zip, ZIP));
    add_folder(zip, FOLDS, "D/nnUNetTrainer__nnUNetPlans__3d_fullres", 0);
    add_folder(zip, VOLT_TESTDATA "/models/flat/model", "D/nnUNetTrainer__nnUNetPlans__2d", 0);
    assert_ok(volt_zip_commit(&zip));
    zip_fails(NULL, VOLT_EINVAL,
              "several models: D/nnUNetTrainer__nnUNetPlans__3d_fullres, "
              "D/nnUNetTrainer__nnUNetPlans__2d; choose");
    o.configuration = "3d_lowres";
    zip_fails(&o, VOLT_EINVAL, "none of configuration 3d_lowres");
    o.configuration = "2d";
    remove_tree(RUN);
    assert_ok(volt_import_model(ZIP, RUN, &o, NULL, NULL));
}

static void not_a_model(void **state)
{
    volt_zip_writer *zip = NULL;

    (void)state;
    assert_ok(volt_zip_create(&zip, ZIP));
    assert_ok(volt_zip_add(zip, "readme.txt", "hello", 5, 0));
    assert_ok(volt_zip_commit(&zip));
    zip_fails(NULL, VOLT_EFORMAT, "holds no model");

    assert_ok(volt_zip_create(&zip, ZIP));
    assert_ok(volt_zip_add(zip, "m/plans.json", "{", 1, 0));
    assert_ok(volt_zip_add(zip, "m/dataset.json", "{}", 2, 0));
    assert_ok(volt_zip_add(zip, "m/fold_0/checkpoint_final.pth", "PK", 2, 0));
    assert_ok(volt_zip_commit(&zip));
    zip_fails(NULL, VOLT_EFORMAT, "model.zip/m/fold_0/checkpoint_final.pth");
}

/* A document that expands to more than any document may have. */
static void bombs(void **state)
{
    const size_t bytes = (size_t)80 << 20;
    volt_zip_writer *zip = NULL;
    char *zeros = NULL;

    (void)state;
    assert_ok(volt_alloc_zero(&zeros, bytes, 1, "a bomb"));
    assert_ok(volt_zip_create(&zip, ZIP));
    assert_ok(volt_zip_add(zip, "plans.json", zeros, bytes, 9));
    assert_ok(volt_zip_add(zip, "fold_0/checkpoint_final.pth", "x", 1, 0));
    assert_ok(volt_zip_commit(&zip));
    volt_free(zeros);
    zip_fails(NULL, VOLT_EFORMAT, "member plans.json has 83886080 bytes; at most");
}

/* Changes bytes of the archive's directory entry for `name`. */
static void patch_entry(const char *name, size_t at, const void *to, size_t bytes)
{
    char *data = NULL;
    size_t n, found = 0;

    assert_ok(volt_read_file(&data, &n, ZIP, 1 << 26));
    for (size_t i = 0; i + 46 + strlen(name) <= n; i++) {
        if (memcmp(data + i, "PK\1\2", 4) == 0 &&
            memcmp(data + i + 46, name, strlen(name)) == 0)
            found = i;
    }
    assert_true(found > 0);
    memcpy(data + found + at, to, bytes);
    assert_ok(volt_write_file(ZIP, data, n));
    volt_free(data);
}

static void links(void **state)
{
    (void)state;
    zip_folder(FOLDS, "m", 0);
    patch_entry("m/fold_1/checkpoint_final.pth", 5, "\3", 1);        /* made by Unix */
    patch_entry("m/fold_1/checkpoint_final.pth", 40, "\377\241", 2); /* lrwxrwxrwx */
    zip_fails(NULL, VOLT_EFORMAT, "member m/fold_1/checkpoint_final.pth is a link");
}

/* Names that leave the folder, and names that occur twice, in directory and header. */
static void hostile_names(void **state)
{
    static const char *const names[][2] = {{"m/../../evil", "not a relative path"},
                                           {"/etc/evilfile", "not a relative path"},
                                           {"m/dataset.jso", "two members are named"}};

    (void)state;
    for (int i = 0; i < 3; i++) {
        volt_zip_writer *zip = NULL;
        char *data = NULL;
        const char *stand_in = i == 0   ? "m/aa/aa/evil"
                               : i == 1 ? "aetc/evilfile"
                                        : "m/datasetXjso";
        size_t n;
        assert_int_equal(strlen(stand_in), strlen(names[i][0]));
        assert_ok(volt_zip_create(&zip, ZIP));
        assert_ok(volt_zip_add(zip, "m/plans.json", "{}", 2, 0));
        assert_ok(volt_zip_add(zip, "m/dataset.jso", "{}", 2, 0));
        assert_ok(volt_zip_add(zip, stand_in, "x", 1, 0));
        assert_ok(volt_zip_commit(&zip));
        assert_ok(volt_read_file(&data, &n, ZIP, 1 << 20));
        for (size_t at = 0; at + strlen(stand_in) <= n; at++) {
            if (memcmp(data + at, stand_in, strlen(stand_in)) == 0)
                memcpy(data + at, names[i][0], strlen(stand_in));
        }
        assert_ok(volt_write_file(ZIP, data, n));
        volt_free(data);
        zip_fails(NULL, VOLT_EFORMAT, names[i][1]);
    }
}

static void truncated(void **state)
{
    char *data = NULL;
    size_t n;

    (void)state;
    zip_folder(FOLDS, "m", 6);
    assert_ok(volt_read_file(&data, &n, ZIP, 1 << 26));
    for (size_t i = 1; i < 8; i++) {
        assert_ok(volt_write_file(ZIP, data, n * i / 8));
        zip_fails(NULL, VOLT_EFORMAT, "");
    }
    volt_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zip_is_its_folder),
        cmocka_unit_test(a_bundle_is_its_folder),
        cmocka_unit_test(the_configuration_chooses),
        cmocka_unit_test(not_a_model),
        cmocka_unit_test(bombs),
        cmocka_unit_test(links),
        cmocka_unit_test(hostile_names),
        cmocka_unit_test(truncated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
