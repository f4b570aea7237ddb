/* A pair of files, .hdr and .img: the first two bytes give the length of the header's file.
 * Either half is a name of the pair. */
#include "tests/fuzz/fuzz.h"

#include "base/system/file.h"
#include "io/image.h"

static char folder[] = "/tmp/volt-fuzz-XXXXXX";

static void leave(void)
{
    volt_remove_folder(folder);
}

/* FOLDER/NAME with this content. */
static const char *put(const char *name, const uint8_t *data, size_t size)
{
    static char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    fuzz_require(file != NULL);
    fuzz_require(fwrite(data, 1, size, file) == size);
    fuzz_require(fclose(file) == 0);
    return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool made;
    const volt_image_read_options options =
        volt_image_read_as((volt_dtype)(size % (VOLT_F64 + 1)), 1);
    volt_image_header *header = NULL;
    volt_volume *volume = NULL;
    const char *path;
    size_t half;
    volt_status st;

    if (size < 2)
        return 0;
    if (!made) {
        fuzz_require(mkdtemp(folder) != NULL);
        fuzz_require(atexit(leave) == 0);
        made = true;
    }
    half = (size_t)(data[0] | data[1] << 8);
    half = half < size - 2 ? half : size - 2;
    (void)put("x.img", data + 2 + half, size - 2 - half);
    path = put("x.hdr", data + 2, half);
    if (size % 3 == 0)
        path = put("x.img", data + 2 + half, size - 2 - half);
    st = volt_image_read(&volume, &header, path, &options);
    if (st == VOLT_OK) {
        fuzz_require(volt_grid_check(&header->grid, "fuzz") == VOLT_OK);
        fuzz_require(volt_volume_bytes(volume) ==
                     (size_t)(volt_grid_voxels(&header->grid) * header->grid.channels) *
                         volt_dtype_bytes(volume->dtype));
        volt_volume_range(volume, 1); /* touches every voxel */
    } else {
        fuzz_require(!volume && !header && strstr(volt_last_error(), "/x."));
        fuzz_require(st == VOLT_EFORMAT || st == VOLT_ENOTSUP || st == VOLT_ENOMEM);
    }
    volt_volume_free(volume);
    volt_image_header_free(header);
    header = NULL;
    if (volt_image_info(&header, path) != VOLT_OK)
        fuzz_require(!header && strstr(volt_last_error(), "/x."));
    volt_image_header_free(header);
    return 0;
}
