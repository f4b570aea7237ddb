#include "tests/kit/nifti_make.h"

nifti_1_header make_header1(void)
{
    return (nifti_1_header){.sizeof_hdr = 348,
                            .dim = {3, 3, 4, 5, 1, 1, 1, 1},
                            .datatype = 4,
                            .bitpix = 16,
                            .pixdim = {1, 2, 3, 4, 0, 0, 0, 0},
                            .vox_offset = 352,
                            .scl_slope = 1,
                            .xyzt_units = 2,
                            .descrip = "made by a test",
                            .qform_code = 1,
                            .sform_code = 1,
                            .qoffset_x = -10,
                            .qoffset_y = -20,
                            .qoffset_z = -30,
                            .srow_x = {2, 0, 0, -10},
                            .srow_y = {0, 3, 0, -20},
                            .srow_z = {0, 0, 4, -30},
                            .magic = "n+1"};
}

nifti_2_header make_header2(void)
{
    nifti_2_header h = {.sizeof_hdr = 540,
                        .dim = {3, 3, 4, 5, 1, 1, 1, 1},
                        .datatype = 4,
                        .bitpix = 16,
                        .pixdim = {1, 2, 3, 4, 0, 0, 0, 0},
                        .vox_offset = 544,
                        .scl_slope = 1,
                        .xyzt_units = 2,
                        .qform_code = 1,
                        .sform_code = 1,
                        .qoffset_x = -10,
                        .qoffset_y = -20,
                        .qoffset_z = -30,
                        .srow_x = {2, 0, 0, -10},
                        .srow_y = {0, 3, 0, -20},
                        .srow_z = {0, 0, 4, -30}};

    memcpy(h.magic, "n+2\0\r\n\032\n", 8);
    return h;
}

void write_bytes(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb"); /* not volt_write_file, which waits for the disk */

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

void write_nifti(const char *path, const void *header, size_t header_bytes, size_t offset,
                 const void *voxels, size_t voxel_bytes)
{
    unsigned char *all = calloc(offset + voxel_bytes + 1, 1);
    const volt_span span = {all, offset + voxel_bytes};
    volt_out *file = NULL;

    memcpy(all, header, header_bytes);
    if (voxel_bytes)
        memcpy(all + offset, voxels, voxel_bytes);
    if (strcmp(path + strlen(path) - 3, ".gz") != 0) {
        write_bytes(path, all, span.bytes);
    } else {
        assert_ok(volt_out_open(&file, path));
        assert_ok(volt_gzip_write(file, &span, 1, 6, 1));
        assert_ok(volt_out_commit(&file));
    }
    free(all);
}

void write_nifti1(const char *path, const nifti_1_header *h, const void *voxels, size_t bytes)
{
    write_nifti(path, h, sizeof *h, 352, voxels, bytes);
}

bool is_noted(const volt_image_header *header, const char *words)
{
    for (size_t i = 0; i < header->warning_count; i++)
        if (strstr(header->warnings[i], words))
            return true;
    return false;
}
