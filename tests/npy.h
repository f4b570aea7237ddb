/* npy.h - reads the arrays that testdata/scripts writes with numpy.save. */
#ifndef VOLT_TESTS_NPY_H
#define VOLT_TESTS_NPY_H
#include <stdint.h>
#include <stdio.h>
#include "tests/test.h"

typedef struct npy {
    char descr[8]; /* numpy's element type: "<f4", "|u1", ... */
    int rank;
    int64_t shape[6];
    int64_t count; /* elements */
    void *data;    /* C order; free() */
} npy;

/* testdata/NAME.npy, of elements `descr`. A missing or different file fails the test. */
static npy npy_read(const char *name, const char *descr)
{
    npy a = {.count = 1};
    char path[512], header[1024] = "";
    unsigned char start[10];
    const char *at;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s.npy", VOLT_TESTDATA, name);
    f = fopen(path, "rb");
    if (!f || fread(start, 1, 10, f) != 10 || memcmp(start, "\x93NUMPY\1", 7) != 0)
        fail_msg("%s is missing or no array", path);
    const size_t length = start[8] | (size_t)start[9] << 8;
    assert_true(length < sizeof header && fread(header, 1, length, f) == length);
    at = strstr(header, "'descr': '");
    assert_non_null(at);
    snprintf(a.descr, sizeof a.descr, "%.3s", at + 10);
    assert_string_equal(a.descr, descr);
    assert_non_null(strstr(header, "'fortran_order': False"));
    at = strstr(header, "'shape': (");
    assert_non_null(at);
    for (at += 10; *at != ')'; at += strspn(at, ", ")) {
        assert_true(a.rank < 6);
        a.shape[a.rank] = strtoll(at, (char **)&at, 10);
        a.count *= a.shape[a.rank++];
    }
    const size_t bytes = (size_t)a.count * (size_t)(descr[2] - '0');
    a.data = malloc(bytes ? bytes : 1);
    assert_true(a.data && fread(a.data, 1, bytes, f) == bytes);
    fclose(f);
    return a;
}

#endif
