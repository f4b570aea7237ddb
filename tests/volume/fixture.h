/* fixture.h - reading testdata: raw arrays, and "name value..." lines of text. */
#ifndef VOLT_TESTS_VOLUME_FIXTURE_H
#define VOLT_TESTS_VOLUME_FIXTURE_H
#include <stdio.h>
#include "tests/test.h"
#include "base/file.h"
#include "base/mem.h"

/* The whole file, which must have exactly `bytes`; the caller frees it (volt_free). */
static inline void *read_fixture(const char *name, size_t bytes)
{
    char *path, *data;
    size_t got;

    assert_ok(volt_path_join(&path, VOLT_TESTDATA, name));
    assert_ok(volt_read_file(&data, &got, path, (size_t)1 << 24));
    if (bytes)
        assert_int_equal(got, bytes);
    volt_free(path);
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

#endif
