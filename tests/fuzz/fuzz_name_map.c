/* A map of parameter names: refused with a sentence, or names that fit their room. */
#include "tests/fuzz/fuzz.h"

#include "nets3d/interop/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_name_map map = {0};
    char room[VOLT_NAME_ROOM];

    if (volt_name_map_read(&map, fuzz_file(data, size)) != VOLT_OK) {
        fuzz_require(map.count == 0 && *volt_last_error());
        return 0;
    }
    for (size_t i = 0; i < map.count && i < 100; i++) {
        const char *name = volt_name_map_source(room, map.rule[i].to, &map);
        fuzz_require(name != NULL && strlen(name) < 1u << 20);
    }
    volt_name_map_clear(&map);
    return 0;
}
