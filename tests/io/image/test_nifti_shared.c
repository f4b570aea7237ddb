/* Every file of the shared collections goes through the reader: read, or refused with a reason
 * that names it. With VOLT_TABLE=1 in the environment the verdicts are printed.
 */
#include "tests/kit/nifti_make.h"
#include "io/image/names.h"

static int read_count, refused_count, other_count;

static void try_file(const char *path)
{
    volt_volume *v = NULL;
    volt_image_header *header = NULL;
    const volt_image_rule *rule = volt_image_rule_of(path);
    const bool named = rule && rule->format == VOLT_FORMAT_NIFTI;
    const volt_status st = volt_nifti_read(&v, &header, path, NULL);

    if (st == VOLT_OK) {
        assert_ok(volt_grid_check(&v->grid, path));
        read_count++;
    } else {
        if (!strstr(volt_last_error(), volt_path_name(path)) && st != VOLT_EIO)
            fail_msg("%s: the message '%s' does not name it", path, volt_last_error());
        named ? refused_count++ : other_count++;
    }
    if (getenv("VOLT_TABLE") && (named || st == VOLT_OK)) {
        printf("%s | %s\n", path, st == VOLT_OK ? "read" : volt_last_error());
        for (size_t i = 0; header && i < header->warning_count; i++)
            printf("    %s\n", header->warnings[i]);
    }
    volt_image_header_free(header);
    volt_volume_free(v);
}

static void walk(const char *folder)
{
    volt_names names = {0};

    assert_ok(volt_list_dir(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        char *path = NULL;
        assert_ok(volt_path_join(&path, folder, names.name[i]));
        if (volt_path_is_dir(path))
            walk(path);
        else
            try_file(path);
        volt_free(path);
    }
    volt_names_free(&names);
}

static void every_file(void **state)
{
    volt_names names = {0};
    (void)state;

    assert_ok(volt_list_dir(&names, VOLT_SHARED_DATA));
    for (size_t i = 0; i < names.count; i++) {
        char *path = NULL;
        assert_ok(volt_path_join(&path, VOLT_SHARED_DATA, names.name[i]));
        if (strncmp(names.name[i], "io_", 3) == 0)
            walk(path);
        volt_free(path);
    }
    volt_names_free(&names);
    printf("%d read, %d NIfTI-like refused, %d of other kinds refused\n", read_count,
           refused_count, other_count);
    assert_true(read_count >= 30);
    assert_true(refused_count >= 4);
    assert_true(other_count >= 400);
}

static void known_verdicts(void **state)
{
    static const struct {
        const char *path;
        volt_status st;
        const char *words;
    } rows[] = {
        {"io_nibabel/tests/data/analyze.hdr", VOLT_ENOTSUP, "ANALYZE 7.5"},
        {"io_nibabel/tests/data/nifti1.hdr", VOLT_EIO, "the file with its voxels"},
        {"io_nibabel/tests/data/row_major.dconn.nii", VOLT_ENOTSUP, "more than one axis"},
        {"io_nifti_reader_js/not-nifti.nii", VOLT_EFORMAT, "not-nifti.nii"}};
    volt_volume *v = NULL;
    char path[1024];
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(path, sizeof path, "%s/%s", VOLT_SHARED_DATA, rows[i].path);
        assert_fails(volt_nifti_read(&v, NULL, path, NULL), rows[i].st, rows[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file),
        cmocka_unit_test(known_verdicts),
    };
    if (!volt_path_is_dir(VOLT_SHARED_DATA)) {
        puts("skipped: " VOLT_SHARED_DATA " is not there");
        return VOLT_TEST_SKIP;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
