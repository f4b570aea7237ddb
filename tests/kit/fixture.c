#include "base/core/alloc.h"
#include "tests/kit/fixture.h"

void *read_fixture(const char *name, size_t bytes)
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

void read_values(double *values, int count, const char *file, const char *name)
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

npy npy_read(const char *name, const char *descr)
{
    npy a = {.count = 1};
    char *path, *file;
    const char *at;
    size_t start, bytes, got;

    assert_ok(volt_format(&path, "%s/%s.npy", VOLT_TESTDATA, name));
    assert_ok(volt_read_file(&file, &got, path, (size_t)1 << 24));
    assert_memory_equal(file, "\x93NUMPY\1", 7);
    start = 10 + ((unsigned char)file[8] | (size_t)(unsigned char)file[9] << 8);
    at = strstr(file + 10, "'descr': '");
    if (!at || strncmp(at + 10, descr, 3) != 0 || !strstr(file + 10, "'fortran_order': False"))
        fail_msg("%s holds no %s in C order", path, descr);
    at = strstr(file + 10, "'shape': (");
    assert_non_null(at);
    for (at += 10; *at != ')'; at += strspn(at, ", ")) {
        assert_true(a.rank < 6);
        a.shape[a.rank] = strtoll(at, (char **)&at, 10);
        a.count *= a.shape[a.rank++];
    }
    bytes = (size_t)a.count * (size_t)(descr[2] - '0');
    assert_int_equal(got, start + bytes);
    a.data = malloc(bytes ? bytes : 1);
    assert_non_null(a.data);
    memcpy(a.data, file + start, bytes);
    volt_free(file);
    volt_free(path);
    return a;
}
