/* What volt writes, read by nibabel and SimpleITK: testdata/scripts/compare_nifti.py, run by
 * the Python of $PYTHON (default python3). Skipped where that lacks the two libraries.
 */
#include <sys/wait.h>

#include "tests/kit/nifti_make.h"
#include "tests/kit/shared.h"

static char command[32768];

/* Reads `source`, writes it again, and puts the two names on the command line. */
static void add_pair(const char *source, const char *copy)
{
    volt_volume *v = NULL;
    volt_image_header *header = NULL;
    const size_t used = strlen(command);

    assert_ok(volt_nifti_read(&v, &header, source, NULL));
    assert_ok(volt_nifti_write(copy, v, header, NULL));
    volt_image_header_free(header);
    volt_volume_free(v);
    assert_true(used + strlen(source) + strlen(copy) + 8 < sizeof command);
    snprintf(command + used, sizeof command - used, " '%s' '%s'", source, copy);
}

static void start_command(void)
{
    const char *python = getenv("PYTHON");

    snprintf(command, sizeof command, "'%s' '%s/scripts/compare_nifti.py'",
             python ? python : "python3", VOLT_TESTDATA);
}

static void compare(void)
{
    const int status = system(command);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* No pairs: the script says 1, or 77 where a library is missing; the shell 127 without Python.
 */
static bool peers_are_here(void)
{
    start_command();
    strcat(command, " >/dev/null 2>&1");
    const int status = system(command);
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static int16_t voxels[60];

static void generated_headers(void **state)
{
    char source[64], copy[64];
    int pairs = 0;
    (void)state;

    start_command();
    for (int i = 0; i < 60; i++)
        voxels[i] = (int16_t)(i * 1237);
    for (int way = 0; way < 16; way++) {
        nifti_1_header h = make_header1();
        h.quatern_b = 0.1f, h.quatern_c = -0.2f, h.quatern_d = 0.3f;
        h.pixdim[0] = way & 1 ? -1 : 1;
        h.pixdim[1] = 0.7f, h.pixdim[2] = 0.7f, h.pixdim[3] = 3.3f;
        h.qform_code = way & 2 ? 1 : 0;
        h.sform_code = way & 4 ? 2 : 0;
        h.srow_x[0] = -0.7f, h.srow_y[1] = 0.7f, h.srow_z[2] = 3.3f;
        if (way & 8)
            swap_nifti_header(&h, 1);
        snprintf(source, sizeof source, "peer-%d.nii.gz", way);
        snprintf(copy, sizeof copy, "peer-%d-copy.nii.gz", way);
        write_nifti1(source, &h, voxels, sizeof voxels);
        add_pair(source, copy);
        pairs++;
    }
    compare();
    for (int way = 0; way < pairs; way++) {
        snprintf(source, sizeof source, "peer-%d.nii.gz", way);
        snprintf(copy, sizeof copy, "peer-%d-copy.nii.gz", way);
        unlink(source);
        unlink(copy);
    }
}

/* Not 5D_small.nii of io_nifti_reader_js: SimpleITK 2.5 corrupts its own heap on it. */
static const char *const real_files[] = {"chaos_liver_ct/nifti/liver-ground-chaos3.nii.gz",
                                         "io_monai/anatomical.nii",
                                         "io_monai/reoriented_anat_moved_label.nii.gz",
                                         "io_nibabel/tests/data/example4d.nii.gz",
                                         "io_nibabel/tests/data/example_nifti2.nii.gz",
                                         "io_nibabel/tests/data/standard.nii.gz",
                                         "io_nifti_reader_js/big.nii.gz",
                                         "io_nifti_reader_js/with_extension.nii.gz",
                                         "io_nitest_balls1/NIFTI/T1.nii.gz",
                                         "io_panimg/nifti/image10x11x12.nii.gz",
                                         "sct_spinalcord/t2/warp_template2anat.nii.gz",
                                         "sct_spinalcord/t2s/t2s_seg-deepseg.nii.gz",
                                         "totalseg_ct/example_seg_dicom.nii.gz",
                                         "panoptica_spine/spine_seg/semantic/ref.nii.gz"};

enum { REAL_FILES = sizeof real_files / sizeof *real_files };

static void real_headers(void **state)
{
    char source[1024], copy[64];
    (void)state;

    for (int i = 0; i < REAL_FILES; i++) {
        if (!has_shared(real_files[i]))
            skip();
    }
    start_command();
    for (int i = 0; i < REAL_FILES; i++) {
        snprintf(source, sizeof source, "%s/%s", VOLT_SHARED_DATA, real_files[i]);
        snprintf(copy, sizeof copy, "peer-real-%d.nii%s", i, i % 2 ? ".gz" : "");
        add_pair(source, copy);
    }
    compare();
    for (int i = 0; i < REAL_FILES; i++) {
        snprintf(copy, sizeof copy, "peer-real-%d.nii%s", i, i % 2 ? ".gz" : "");
        unlink(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generated_headers),
        cmocka_unit_test(real_headers),
    };
    if (!peers_are_here())
        return skip_all("python3 (or $PYTHON) lacks nibabel or SimpleITK");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
