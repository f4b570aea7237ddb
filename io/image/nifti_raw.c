/* nifti_raw.c - the smallest pieces of the NIfTI module. */
#include "io/image/nifti_raw.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

void volt_nifti_raw_free(struct volt_nifti_raw *raw)
{
    if (raw)
        volt_free(raw->extensions);
    volt_free(raw);
}

bool volt_nifti_ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);

    return n > m && strcasecmp(text + n - m, end) == 0;
}
