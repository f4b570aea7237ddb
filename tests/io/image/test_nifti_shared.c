/* Every file of the shared collections goes through the reader. What is called NIfTI is read,
 * but for the files of a list; what is not is refused as no NIfTI or as not supported. The
 * message names the file. With VOLT_TABLE=1 in the environment the verdicts are printed.
 */
#include "tests/kit/nifti_make.h"
#include "io/image/names.h"
#include "tests/kit/shared.h"

static const struct {
    const char *path;
    volt_status st;
    const char *words;
} refusals[] = {
    {"io_nibabel/tests/data/analyze.hdr", VOLT_ENOTSUP, "ANALYZE 7.5"},
    {"io_nibabel/tests/data/nifti1.hdr", VOLT_EIO, "the file with its voxels"},
    {"io_nibabel/tests/data/nifti2.hdr", VOLT_EIO, "the file with its voxels"},
    {"io_nibabel/tests/data/row_major.dconn.nii", VOLT_ENOTSUP, "more than one axis"},
    {"io_nifti_reader_js/not-nifti.nii", VOLT_EFORMAT, "not-nifti.nii"},
};

enum { REFUSALS = sizeof refusals / sizeof *refusals };

static int read_count, other_count;

/* Whether the list has `path` with this outcome; another outcome fails the test. */
static bool is_listed(const char *path, volt_status st)
{
    for (int i = 0; i < REFUSALS; i++) {
        if (strcmp(path + strlen(VOLT_SHARED_DATA "/"), refusals[i].path) != 0)
            continue;
        assert_int_equal(st, refusals[i].st);
        assert_non_null(strstr(volt_last_error(), refusals[i].words));
        return true;
    }
    return false;
}

static void try_file(const char *path)
{
    volt_volume *v = NULL;
    volt_image_header *header = NULL;
    const volt_image_rule *rule = volt_image_rule_of(path);
    const bool named = rule && rule->format == VOLT_FORMAT_NIFTI;
    const volt_status st = volt_nifti_read(&v, &header, path, NULL);

    if (getenv("VOLT_TABLE") && (named || st == VOLT_OK)) {
        printf("%s | %s\n", path, st == VOLT_OK ? "read" : volt_last_error());
        for (size_t i = 0; header && i < header->warning_count; i++)
            printf("    %s\n", header->warnings[i]);
    }
    if (st == VOLT_OK) {
        assert_ok(volt_grid_check(&v->grid, path));
        read_count++;
    } else if (!strstr(volt_last_error(), volt_path_name(path))) {
        fail_msg("%s: the message '%s' does not name it", path, volt_last_error());
    } else if (named && !is_listed(path, st)) {
        fail_msg("%s is refused: %s", path, volt_last_error());
    } else if (!named) {
        if (st != VOLT_EFORMAT && st != VOLT_ENOTSUP)
            fail_msg("%s: status %d, %s", path, st, volt_last_error());
        other_count++;
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
    printf("%d read, %d of other kinds refused\n", read_count, other_count);
    assert_true(read_count >= 30);
    assert_true(other_count >= 400);
}

static void known_refusals(void **state)
{
    volt_volume *v = NULL;
    char path[1024];
    (void)state;

    for (int i = 0; i < REFUSALS; i++) {
        snprintf(path, sizeof path, "%s/%s", VOLT_SHARED_DATA, refusals[i].path);
        assert_fails(volt_nifti_read(&v, NULL, path, NULL), refusals[i].st, refusals[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file),
        cmocka_unit_test(known_refusals),
    };
    for (int i = 0; i < REFUSALS; i++) {
        if (!has_shared(refusals[i].path))
            return VOLT_TEST_SKIP;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
