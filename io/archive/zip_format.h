/* zip_format.h - constants of the zip format for reader and writer. Internal to io. */
#ifndef VOLT_IO_ARCHIVE_ZIP_FORMAT_H
#define VOLT_IO_ARCHIVE_ZIP_FORMAT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ZIP_LOCAL = 0x04034b50, /* signatures */
    ZIP_CENTRAL = 0x02014b50,
    ZIP_END = 0x06054b50,
    ZIP_END64 = 0x06064b50,
    ZIP_LOCATOR64 = 0x07064b50,
    ZIP_LOCAL_BYTES = 30, /* of the fixed parts */
    ZIP_CENTRAL_BYTES = 46,
    ZIP_END_BYTES = 22,
    ZIP_END64_BYTES = 56,
    ZIP_LOCATOR64_BYTES = 20,
    ZIP_STORED = 0,
    ZIP_DEFLATED = 8,
    ZIP_MADE_BY_UNIX = 3,
    ZIP_MODE_TYPE = 0170000, /* of the mode in the upper half of the attributes */
    ZIP_MODE_LINK = 0120000,
    ZIP_EXTRA64 = 1, /* id of the zip64 extra field */
    ZIP_MAX_NAME = 1023
};

static inline uint64_t zip_get(const unsigned char *at, int bytes)
{
    uint64_t v = 0;

    while (bytes--)
        v = v << 8 | at[bytes];
    return v;
}

static inline void zip_put(unsigned char *at, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(v >> (8 * i));
}

/* True for an allowed member name: it cannot leave a folder, and no two programs read it
 * differently. */
bool volt_zip_name_is_good(const char *name, size_t bytes);

/* The path of an open archive; borrowed. */
struct volt_zip;
const char *volt_zip_path(const struct volt_zip *zip);

#endif
