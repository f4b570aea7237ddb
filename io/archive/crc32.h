/* crc32.h - the checksum of gzip, zip and PNG. */
#ifndef VOLT_IO_ARCHIVE_CRC32_H
#define VOLT_IO_ARCHIVE_CRC32_H
#include <stddef.h>
#include <stdint.h>

/* CRC-32 of what `crc` stands for (0: nothing) followed by `bytes` of `data`. */
uint32_t volt_crc32(uint32_t crc, const void *data, size_t bytes);

#endif
