/* json.h - reading untrusted JSON with messages that name the file and the path in it.
 *
 * A thin layer over jansson, and the only header that includes it. Documents are loaded within
 * bounds, values are fetched together with their path, and every failure reads like
 *     plans.json: configurations.3d_fullres.patch_size[1] is -8; 1 to 4096 is expected
 * Documents are built with jansson itself (json_object, json_object_set_new, ...).
 *
 * Threads   a loaded document is read-only and may be shared.
 */
#ifndef VOLT_IO_JSON_JSON_H
#define VOLT_IO_JSON_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_JSON_MAX_BYTES ((size_t)64 << 20)
#define VOLT_JSON_MAX_DEPTH 64

/* A loaded document; the caller owns it (volt_json_close). */
typedef struct volt_json {
    json_t *root;
    char *file; /* for messages */
} volt_json;

/* A value with its path; a plain struct, borrowed from the document. */
typedef struct volt_json_at {
    const json_t *value; /* NULL only after volt_json_optional found nothing */
    const char *file;
    char path[232]; /* "a.b[3]"; long ones lose their start */
} volt_json_at;

/* VOLT_EIO; VOLT_EFORMAT: not JSON, not UTF-8, a duplicate key, beyond the bounds. A byte order
 * mark is skipped. */
VOLT_MUST_USE volt_status volt_json_load(volt_json *out, const char *path);
VOLT_MUST_USE volt_status volt_json_parse(volt_json *out, const char *text, size_t bytes,
                                          const char *name);
void volt_json_close(volt_json *doc); /* clears it; an empty one is allowed */
volt_json_at volt_json_root(const volt_json *doc);

/* Records "FILE: PATH <your words>" and returns VOLT_EFORMAT. */
volt_status volt_json_fail(const volt_json_at *at, const char *fmt, ...) VOLT_PRINTF(2, 3);
#ifdef __clang_analyzer__ /* as for volt_fail */
#define volt_json_fail(at, ...) ((void)volt_json_fail(at, __VA_ARGS__), VOLT_EFORMAT)
#endif

/* All below: VOLT_EFORMAT names file, path, the value found and what is expected. `out` may be
 * the argument itself. */
VOLT_MUST_USE volt_status volt_json_member(volt_json_at *out, const volt_json_at *object,
                                           const char *key);
/* out->value is NULL when the key is absent or its value null. */
VOLT_MUST_USE volt_status volt_json_optional(volt_json_at *out, const volt_json_at *object,
                                             const char *key);
/* The length of an array, which must be in low..high. */
VOLT_MUST_USE volt_status volt_json_length(size_t *out, const volt_json_at *array, size_t low,
                                           size_t high);
VOLT_MUST_USE volt_status volt_json_item(volt_json_at *out, const volt_json_at *array,
                                         size_t index);
/* The number of keys of an object; its keys and values in file order, `index` < count. */
VOLT_MUST_USE volt_status volt_json_count(size_t *out, const volt_json_at *object);
VOLT_MUST_USE volt_status volt_json_entry(const char **key, volt_json_at *out,
                                          const volt_json_at *object, size_t index);

/* An integer in low..high; 3.0 is one. */
VOLT_MUST_USE volt_status volt_json_int(int64_t *out, const volt_json_at *at, int64_t low,
                                        int64_t high);
/* A finite number in low..high. */
VOLT_MUST_USE volt_status volt_json_double(double *out, const volt_json_at *at, double low,
                                           double high);
VOLT_MUST_USE volt_status volt_json_bool(bool *out, const volt_json_at *at);
/* Borrowed from the document; at most `limit` bytes. A control character other than a tab or
 * line feed is VOLT_EFORMAT. */
VOLT_MUST_USE volt_status volt_json_text(const char **out, const volt_json_at *at,
                                         size_t limit);
/* The same for a key that serves as a name; `at` is its value. */
VOLT_MUST_USE volt_status volt_json_check_key(const volt_json_at *at, const char *key);
/* Arrays of exactly `count` numbers. */
VOLT_MUST_USE volt_status volt_json_ints(int64_t *out, const volt_json_at *at, size_t count,
                                         int64_t low, int64_t high);
VOLT_MUST_USE volt_status volt_json_doubles(double *out, const volt_json_at *at, size_t count,
                                            double low, double high);

/* For building: a string, in which each byte that is not UTF-8 (names of files can have such)
 * becomes U+FFFD; `text` NULL gives NULL. A number, or null if `value` is not finite (JSON has
 * no NaN); arrays. New references; NULL when out of memory (which jansson's *_set_new treat as
 * failure). */
json_t *volt_json_string(const char *text);
json_t *volt_json_number(double value);
json_t *volt_json_array_of_ints(const int64_t *values, size_t count);
json_t *volt_json_array_of_doubles(const double *values, size_t count);

/* json_object_set_new with a key that, as above, may hold bytes that are not UTF-8. */
int volt_json_set(json_t *object, const char *key, json_t *value);

/* A finite number with the fewest digits that read back the same, as in Python. */
#define VOLT_JSON_REAL_BYTES 40
void volt_json_real_text(char text[VOLT_JSON_REAL_BYTES], double value);

/* Text as from Python's json.dump(indent=4): four spaces of indent, keys in the order they were
 * set, every number with the fewest digits that read back the same. The caller owns *out
 * (volt_free). VOLT_ENOMEM; VOLT_EINVAL: `root` is NULL (building it failed). */
VOLT_MUST_USE volt_status volt_json_dump(char **out, size_t *bytes, const json_t *root);
/* One line without spaces, for logs. */
VOLT_MUST_USE volt_status volt_json_dump_line(char **out, size_t *bytes, const json_t *root);
/* volt_json_dump into a file, whole or not at all, with a newline at the end. */
VOLT_MUST_USE volt_status volt_json_save(const char *path, const json_t *root);

VOLT_END_DECLS
#endif
