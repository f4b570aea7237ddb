/* Saved probabilities averaged class by class, in the memory that is announced. */
#include "base/core/alloc.h"
#include "io/image/nifti.h"
#include "io/tensors/npz.h"
#include "nets3d/ensemble.h"
#include "tests/kit/train_fixture.h"
#include "volume/grid/half.h"

#define IN  "averaging-in"
#define OUT "averaging-out"

static volt_dataset_info info;

static void damage(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");

    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fwrite("damaged", 1, 7, f), 7);
    assert_int_equal(fclose(f), 0);
}

/* FOLDER/case.npz with `half`, float16 of `shape`, as numpy.savez_compressed writes it. */
static void write_array(const char *folder, const int64_t shape[4], const uint16_t *half,
                        int level)
{
    const size_t count = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
    volt_zip_writer *zip = NULL;
    char path[256], text[192];

    memset(text, ' ', sizeof text);
    memcpy(text, "\x93NUMPY\1\0\x76\0", 10);
    text[10 + snprintf(text + 10, sizeof text - 10,
                       "{'descr': '<f2', 'fortran_order': False, 'shape': (%d, %d, %d, %d), }",
                       (int)shape[0], (int)shape[1], (int)shape[2], (int)shape[3])] = ' ';
    snprintf(path, sizeof path, "%s/case.npz", folder);
    assert_ok(volt_zip_create(&zip, path));
    assert_ok(volt_zip_begin(zip, "probabilities.npy", level));
    assert_ok(volt_zip_write(zip, text, 10 + 0x76));
    assert_ok(volt_zip_write(zip, half, count * sizeof *half));
    assert_ok(volt_zip_end(zip));
    assert_ok(volt_zip_commit(&zip));
}

/* FOLDER/case.npz of halves that stand for k / 2048, and FOLDER/case.nii.gz. */
static void write_halves(const char *folder, const int64_t shape[4], uint32_t seed)
{
    const size_t count = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
    const volt_grid grid = volt_grid_make(shape + 1, 1, (double[]){1, 1, 1});
    volt_volume *mask = NULL;
    char path[256];
    uint16_t *half;

    assert_ok(volt_make_dirs(folder));
    snprintf(path, sizeof path, "%s/case.nii.gz", folder);
    assert_ok(volt_volume_create(&mask, &grid, VOLT_U8));
    assert_ok(volt_nifti_write(path, mask, NULL, NULL));
    volt_volume_free(mask);
    assert_ok(volt_alloc(&half, count * sizeof *half, "a test"));
    assert_int_equal(shape[0], 3);
    for (size_t i = 0, voxels = count / 3; i < voxels; i++) { /* three that sum to 1 */
        unsigned part[3];
        seed = seed * 1664525 + 1013904223;
        part[0] = seed >> 21;
        seed = seed * 1664525 + 1013904223;
        part[1] = (seed >> 21) % (2049 - part[0]);
        part[2] = 2048 - part[0] - part[1];
        for (size_t c = 0; c < 3; c++)
            half[(c + i % 3) % 3 * voxels + i] = volt_float_to_half((float)part[c] / 2048);
    }
    write_array(folder, shape, half, seed % 2 ? 1 : 0);
    volt_free(half);
}

static void note_memory(void *user, volt_log_level level, const char *text)
{
    (void)level;
    *(bool *)user = *(bool *)user || strncmp(text, "memory: ", 8) == 0;
}

/* Three members whose arrays take ten times what is announced; the mask is that of a slow mean.
 */
static void averaging_keeps_what_is_announced(void **state)
{
    static const char *const folder[3] = {IN "/a", IN "/b", IN "/c"};
    const volt_ensemble_member members[3] = {{folder, 1}, {folder + 1, 1}, {folder + 2, 1}};
    const int64_t shape[4] = {3, 70, 81, 90}, voxels = 70 * 81 * 90;
    volt_ensemble_options o = volt_ensemble_defaults();
    volt_npz_array in[3] = {{0}}, mean = {0};
    volt_ensemble_result r = {0};
    volt_volume *mask = NULL;
    bool told = false;
    const volt_callbacks cb = {.user = &told, .log = note_memory};

    o.output = OUT;
    o.info = &info;
    o.probabilities = true;
    o.threads = 2;
    (void)state;
    assert_int_equal(system("rm -rf " IN " " OUT), 0);
    for (int m = 0; m < 3; m++)
        write_halves(folder[m], shape, (uint32_t)m + 5);
    assert_ok(volt_ensemble(&r, members, 3, &o, &cb));
    assert_true(told && r.cases == 1);
    print_message("%zu bytes announced, %zu used\n", r.announced_bytes, r.peak_bytes);
    assert_true(r.peak_bytes <= r.announced_bytes);
    assert_true(r.announced_bytes - r.peak_bytes < (size_t)2 << 20);
    assert_true(r.announced_bytes < (size_t)(3 * 3 * voxels) * sizeof(float) / 2);
    for (int m = 0; m < 3; m++) {
        char path[64];
        snprintf(path, sizeof path, "%s/case.npz", folder[m]);
        assert_ok(volt_npz_read(&in[m], path, "probabilities", 4));
    }
    assert_ok(volt_npz_read(&mean, OUT "/case.npz", "probabilities", 4));
    assert_ok(volt_nifti_read(&mask, NULL, OUT "/case.nii.gz", NULL));
    for (int64_t i = 0; i < voxels; i++) {
        float p[3];
        int best = 0;
        for (int c = 0; c < 3; c++) {
            const int64_t at = c * voxels + i;
            p[c] = (in[0].data[at] + in[1].data[at] + in[2].data[at]) / 3;
            assert_true(mean.data[at] == p[c]);
            best = p[c] > p[best] ? c : best;
        }
        assert_int_equal(((uint8_t *)mask->data)[i], info.label[best].value);
    }
    volt_volume_free(mask);
    volt_free(mean.data);
    for (int m = 0; m < 3; m++)
        volt_free(in[m].data);
    /* What is wrong with a later case is found before the first is made. */
    write_halves(folder[1], (int64_t[]){3, 70, 81, 91}, 1);
    assert_int_equal(remove(OUT "/case.nii.gz"), 0);
    assert_fails(volt_ensemble(&r, members, 3, &o, NULL), VOLT_EDATA, "91 in " IN "/b");
    /* A damaged array: named, and no mask. */
    write_halves(folder[1], shape, 6);
    damage(IN "/b/case.npz", 20000);
    assert_fails(volt_ensemble(&r, members, 3, &o, NULL), VOLT_EFORMAT, IN "/b/case.npz");
    assert_false(volt_path_exists(OUT "/case.nii.gz"));
}

/* A voxel of a stored array that is no number is named, and there is no mask of it. */
static void what_is_no_number_is_named(void **state)
{
    static const char *const folder[2] = {IN "/a", IN "/b"};
    const volt_ensemble_member members[2] = {{folder, 1}, {folder + 1, 1}};
    const int64_t shape[4] = {3, 2, 3, 4};
    volt_ensemble_options o = volt_ensemble_defaults();
    const uint16_t nan = 0x7e00;
    volt_ensemble_result r = {0};
    uint16_t half[3 * 24] = {[24 + 12 + 4 + 2] = nan}; /* class 1, voxel 1, 1, 2 */

    o.output = OUT;
    o.info = &info;
    (void)state;
    assert_int_equal(system("rm -rf " IN " " OUT), 0);
    write_halves(folder[0], shape, 5);
    write_halves(folder[1], shape, 6);
    assert_ok(volt_ensemble(&r, members, 2, &o, NULL));
    assert_int_equal(remove(OUT "/case.nii.gz"), 0);
    write_array(folder[1], shape, half, 0);
    assert_fails(volt_ensemble(&r, members, 2, &o, NULL), VOLT_EDATA,
                 IN "/b/case.npz: the probability of class 1 is nan at voxel 1, 1, 2");
    assert_false(volt_path_exists(OUT "/case.nii.gz"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(averaging_keeps_what_is_announced),
                                       cmocka_unit_test(what_is_no_number_is_named)};
    int failed;

    if (volt_dataset_info_parse(&info, fixture_dataset, strlen(fixture_dataset),
                                "dataset.json") != VOLT_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    volt_dataset_info_clear(&info);
    return failed;
}
