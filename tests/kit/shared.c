#include "tests/kit/shared.h"
#include "tests/kit/test.h"
#include "base/mem.h"
#include "base/system/file.h"

bool has_shared(const char *name)
{
    char *path = NULL;
    bool there;

    assert_ok(volt_path_join(&path, VOLT_SHARED_DATA, name));
    there = *VOLT_SHARED_DATA && volt_path_exists(path);
    if (!there)
        print_message("skipped: set VOLT_SHARED_DATA to a folder with %s\n", name);
    volt_free(path);
    return there;
}
