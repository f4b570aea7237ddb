/* fixture.h - reading testdata: raw arrays, numpy.save's arrays, "name value..." lines of text.
 * A missing or different file fails the test. */
#ifndef VOLT_TESTS_FIXTURE_H
#define VOLT_TESTS_FIXTURE_H
#include <stdio.h>
#include "tests/kit/test.h"
#include "base/system/file.h"
#include "base/mem.h"

/* The whole file testdata/NAME, which must have exactly `bytes` (0: any number); the caller
 * frees it (volt_free). */
void *read_fixture(const char *name, size_t bytes);

/* Fills `values` from the line that starts with `name`; exactly `count` numbers. */
void read_values(double *values, int count, const char *file, const char *name);

typedef struct npy {
    int rank;
    int64_t shape[6];
    int64_t count; /* elements */
    void *data;    /* C order; free() */
} npy;

/* testdata/NAME.npy, of elements `descr`: numpy's element type, "<f4", "|u1", ... */
npy npy_read(const char *name, const char *descr);

#endif
