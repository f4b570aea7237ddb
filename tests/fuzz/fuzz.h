/* fuzz.h - common parts of the fuzz targets: libFuzzer's entry, and input as a file. */
#ifndef VOLT_TESTS_FUZZ_H
#define VOLT_TESTS_FUZZ_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops the fuzzer: a promise was broken. */
static inline void fuzz_require(int kept)
{
    if (!kept)
        abort();
}

/* The name of a file in memory that holds the input; the same file each time. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];

    if (fd < 0) {
        fd = memfd_create("fuzz", 0);
        fuzz_require(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    fuzz_require(ftruncate(fd, 0) == 0);
    fuzz_require(pwrite(fd, data, size, 0) == (ssize_t)size);
    return path;
}

#endif
