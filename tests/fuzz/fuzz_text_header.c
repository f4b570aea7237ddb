/* Headers of MetaImage and NRRD: refused, or what they promise about axes and files holds. */
#include "tests/fuzz/fuzz.h"

#include "io/image/itk_call.h"
#include "io/image/text_header.h"

static void check_files(const volt_text_header *h)
{
    fuzz_require(h->local == (h->files.count == 0));
    for (size_t i = 0; i < h->files.count; i++) {
        const char *name = h->files.name[i];
        fuzz_require(*name && !strchr(name, '/') && !strchr(name, '\\'));
        fuzz_require(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    }
}

/* What a helper might answer about this header. */
static void check_geometry(const volt_text_header *h)
{
    volt_image_header *image = NULL;
    volt_itk_message m = {.dtype = VOLT_U8, .axes = (uint32_t)h->geometry.axes, .channels = 1};

    m.bytes = 1;
    for (int a = 0; a < 3; a++)
        m.n[a] = 1;
    fuzz_require(h->geometry.axes == 2 || h->geometry.axes == 3);
    memcpy(m.spacing, h->geometry.spacing, sizeof m.spacing);
    memcpy(m.origin, h->geometry.origin, sizeof m.origin);
    memcpy(m.direction, h->geometry.direction, sizeof m.direction);
    if (volt_itk_parse(&image, &m, "a.nrrd") == VOLT_OK)
        fuzz_require(volt_grid_check(&image->grid, "fuzz") == VOLT_OK);
    else
        fuzz_require(!image && strstr(volt_last_error(), "a.nrrd"));
    volt_image_header_free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"a.mhd", "a.nhdr"};
    volt_text_header h = {.bounded = false};

    for (int i = 0; i < 2; i++) {
        const volt_status st = volt_text_header_parse(&h, (const char *)data, size, paths[i]);
        if (st != VOLT_OK) {
            fuzz_require(h.files.count == 0 && strstr(volt_last_error(), paths[i]));
            fuzz_require(st == VOLT_EFORMAT || st == VOLT_ENOTSUP);
            continue;
        }
        fuzz_require(h.axes >= 2 && h.axes <= VOLT_TEXT_MAX_AXES);
        for (int a = 0; a < h.axes; a++)
            fuzz_require(h.n[a] >= 1);
        check_files(&h);
        if (h.has_geometry)
            check_geometry(&h);
        volt_text_header_clear(&h);
    }
    return 0;
}
