/* A NIfTI file, plain or compressed: whatever is accepted keeps the header's promises. */
#include "tests/fuzz/fuzz.h"
#include "io/image.h"
#include "io/image/nifti_raw.h"

static void check_header(const volt_image_header *header)
{
    nifti_2_header out = header->raw->h;
    volt_grid moved = header->grid;

    fuzz_require(volt_grid_check(&header->grid, "fuzz") == VOLT_OK);
    fuzz_require(strlen(header->description) <= 80 && strlen(header->intent_name) <= 16);
    moved.to_world[1][3] -= 1;
    volt_nifti_write_geometry(&out, &moved, header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const volt_image_read_options options =
        volt_image_read_as((volt_dtype)(size % (VOLT_F64 + 1)), 1);
    volt_image_header *header = NULL;
    volt_volume *volume = NULL;
    volt_status st = volt_nifti_read(&volume, &header, fuzz_file(data, size), &options);

    if (st == VOLT_OK) {
        check_header(header);
        volt_volume_range(volume, 1); /* touches every voxel */
    } else {
        fuzz_require(!volume && !header && *volt_last_error());
        fuzz_require(st == VOLT_EFORMAT || st == VOLT_ENOTSUP || st == VOLT_ENOMEM);
    }
    volt_volume_free(volume);
    volt_image_header_free(header);

    header = NULL; /* as half of a pair */
    if (volt_nifti_parse(&header, data, size < 540 ? size : 540, "x.hdr") == VOLT_OK)
        check_header(header);
    volt_image_header_free(header);
    return 0;
}
