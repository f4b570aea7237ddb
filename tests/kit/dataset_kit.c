#include "tests/kit/dataset_kit.h"

void kit_write(const char *path, kit_scan s)
{
    const int64_t n[3] = {s.n[0] ? s.n[0] : 4, s.n[1] ? s.n[1] : 5, s.n[2] ? s.n[2] : 6};
    const double mm[3] = {s.spacing[0] > 0 ? s.spacing[0] : 1.5,
                          s.spacing[1] > 0 ? s.spacing[1] : 1,
                          s.spacing[2] > 0 ? s.spacing[2] : 1};
    volt_grid grid = volt_grid_make(n, s.channels ? s.channels : 1, mm);
    volt_volume *v = NULL;
    float *voxel;

    grid.to_world[0][3] = s.shift_mm;
    assert_ok(volt_volume_create(&v, &grid, VOLT_F32));
    voxel = v->data;
    for (int64_t i = 0; i < volt_grid_voxels(&grid) * grid.channels; i++)
        voxel[i] = s.label_high ? (float)(i % (s.label_high + 1)) : s.base + (float)(i % 7);
    if (s.odd_value != 0 || s.odd_value != s.odd_value)
        voxel[0] = s.odd_value;
    if (s.identity) {
        for (int i = 0; i < 12; i++)
            v->grid.to_world[i / 4][i % 4] = i / 4 == i % 4;
    }
    if (s.codes) {
        volt_orientation o;
        volt_volume *turned = NULL;
        assert_ok(volt_orientation_to(&o, &v->grid, s.codes));
        assert_ok(volt_volume_reorient(&turned, v, o, 1));
        volt_volume_free(v);
        v = turned;
    }
    assert_ok(volt_nifti_write(path, v, NULL, NULL));
    volt_volume_free(v);
}

void kit_text(const char *path, const char *text)
{
    assert_ok(volt_write_file(path, text, strlen(text)));
}

void kit_folder(const char *folder)
{
    char command[512];

    snprintf(command, sizeof command, "rm -rf '%s' && mkdir -p '%s/imagesTr' '%s/labelsTr'",
             folder, folder, folder);
    assert_int_equal(system(command), 0);
}
