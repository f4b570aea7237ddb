/* fixture.h - reading testdata: raw arrays, numpy.save's arrays, "name value..." lines of text.
 * A missing or different file fails the test. */
#ifndef VOLT_TESTS_FIXTURE_H
#define VOLT_TESTS_FIXTURE_H
#include <stdio.h>
#include "tests/test.h"
#include "base/file.h"
#include "base/mem.h"

/* The whole file testdata/NAME and its length; the caller frees it (volt_free). */
static inline void *read_whole_fixture(size_t *bytes, const char *name)
{
    char *path, *data;

    assert_ok(volt_path_join(&path, VOLT_TESTDATA, name));
    assert_ok(volt_read_file(&data, bytes, path, (size_t)1 << 24));
    volt_free(path);
    return data;
}

/* The same; it must have exactly `bytes`, unless that is 0. */
static inline void *read_fixture(const char *name, size_t bytes)
{
    size_t got;
    void *data = read_whole_fixture(&got, name);

    if (bytes)
        assert_int_equal(got, bytes);
    return data;
}

/* Fills `values` from the line that starts with `name`; exactly `count` numbers. */
static inline void read_values(double *values, int count, const char *file, const char *name)
{
    char *text = read_fixture(file, 0), *line = text;
    const size_t length = strlen(name);

    while (line && (strncmp(line, name, length) != 0 || line[length] != ' ')) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    if (!line)
        fail_msg("%s has no line '%s'", file, name);
    line += length;
    for (int i = 0; i < count; i++) {
        char *end;
        values[i] = strtod(line, &end);
        if (end == line || memchr(line, '\n', (size_t)(end - line)))
            fail_msg("%s: line '%s' has fewer than %d numbers", file, name, count);
        line = end;
    }
    assert_int_equal(*line, '\n');
    volt_free(text);
}

typedef struct npy {
    int rank;
    int64_t shape[6];
    int64_t count; /* elements */
    void *data;    /* C order; free() */
} npy;

/* testdata/NAME.npy, of elements `descr`: numpy's element type, "<f4", "|u1", ... */
static inline npy npy_read(const char *name, const char *descr)
{
    npy a = {.count = 1};
    char path[512], type[16];
    const char *at;
    unsigned char *file;
    size_t start, bytes, got;

    snprintf(path, sizeof path, "%s.npy", name);
    file = read_whole_fixture(&got, path);
    assert_memory_equal(file, "\x93NUMPY\1", 7);
    start = 10 + (file[8] | (size_t)file[9] << 8);
    snprintf(type, sizeof type, "'descr': '%s'", descr);
    assert_non_null(strstr((char *)file + 10, type));
    assert_non_null(strstr((char *)file + 10, "'fortran_order': False"));
    at = strstr((char *)file + 10, "'shape': (");
    assert_non_null(at);
    for (at += 10; *at != ')'; at += strspn(at, ", ")) {
        assert_true(a.rank < 6);
        a.shape[a.rank] = strtoll(at, (char **)&at, 10);
        a.count *= a.shape[a.rank++];
    }
    bytes = (size_t)a.count * (size_t)(descr[2] - '0');
    a.data = malloc(bytes ? bytes : 1);
    assert_true(a.data && got == start + bytes);
    memcpy(a.data, file + start, bytes);
    volt_free(file);
    return a;
}

#endif
