/* pickle.h - Python's pickles as plain data: read, never executed.
 *
 * A pickle is a program for a small stack machine. Here its opcodes only build a tree: a call
 * becomes a node with callee and arguments. Protocols 2 to 5, as written by today's pickle,
 * torch and numpy, are read; other opcodes, protocols 0 and 1, and types and functions outside
 * the list in pickle_call.c are refused by name.
 *
 * Hostile   depth is bounded only by the file, and values may refer to each other in cycles, as
 *           in Python: code that walks a tree must count its steps. There are at most
 *           VOLT_PICKLE_MAX_VALUES values, and no more than the file's length justifies.
 * Threads   a parsed pickle is read-only and may be shared.
 */
#ifndef VOLT_IO_TENSORS_PICKLE_H
#define VOLT_IO_TENSORS_PICKLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_PICKLE_MAX_VALUES ((size_t)4 << 20)

typedef enum volt_pickle_kind {
    VOLT_PICKLE_NONE = 1,
    VOLT_PICKLE_BOOL,
    VOLT_PICKLE_INT,
    VOLT_PICKLE_LONG, /* beyond 64 bits: two's complement, little-endian, in text */
    VOLT_PICKLE_FLOAT,
    VOLT_PICKLE_TEXT,  /* UTF-8, NUL-terminated, no NUL inside */
    VOLT_PICKLE_BYTES, /* also text with a NUL, and text of Python 2 that is not UTF-8 */
    VOLT_PICKLE_TUPLE,
    VOLT_PICKLE_LIST,
    VOLT_PICKLE_SET,
    VOLT_PICKLE_DICT, /* items: key, value, key, value; also an OrderedDict or defaultdict */
    VOLT_PICKLE_NAME, /* of a type or function: "torch.FloatStorage" */
    VOLT_PICKLE_CALL, /* callee with arguments, possibly with a state set later */
    VOLT_PICKLE_PERSISTENT /* an object stored elsewhere; item[0] identifies it */
} volt_pickle_kind;

/* Plain value; everything is borrowed from the pickle. */
typedef struct volt_pickle_value {
    volt_pickle_kind kind;
    int64_t whole;    /* BOOL, INT */
    double real;      /* FLOAT */
    const char *text; /* TEXT, BYTES, LONG, NAME; CALL: the callee's name */
    size_t bytes;     /* of text */
    /* TUPLE, LIST, SET, DICT; CALL: the arguments; PERSISTENT: one. Never NULL items. */
    const struct volt_pickle_value **item;
    size_t count;
    const struct volt_pickle_value *state; /* CALL, DICT: the argument of BUILD; else NULL */
} volt_pickle_value;

typedef struct volt_pickle volt_pickle;

/* Reads one pickle from the start of `data` (used only during the call) into a tree; the caller
 * owns *out (volt_pickle_free). *used (NULL allowed) gets its length. `name` is used in
 * messages. VOLT_EFORMAT: damaged; VOLT_ENOTSUP: an opcode or a name outside the lists;
 * VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_pickle_parse(volt_pickle **out, const void *data, size_t bytes,
                                            size_t *used, const char *name);
void volt_pickle_free(volt_pickle *p);                           /* NULL is allowed */
const volt_pickle_value *volt_pickle_root(const volt_pickle *p); /* borrowed */
/* Every PERSISTENT value, in the order of the file; borrowed. */
size_t volt_pickle_stored_count(const volt_pickle *p);
const volt_pickle_value *volt_pickle_stored(const volt_pickle *p, size_t index);

/* The value of the text `key` in a dict, the last one if there are several; NULL when `dict` is
 * NULL, not a dict, or has no such key. */
const volt_pickle_value *volt_pickle_get(const volt_pickle_value *dict, const char *key);
/* True for a TEXT or NAME equal to `text`; `v` may be NULL. */
bool volt_pickle_is(const volt_pickle_value *v, const char *text);
/* The value of a plain number or a numpy scalar (float or integer of 1 to 8 bytes); false for
 * anything else. */
bool volt_pickle_number(double *out, const volt_pickle_value *v);
/* For messages: "a list", "a torch.Size". Never NULL. */
const char *volt_pickle_kind_name(const volt_pickle_value *v);
/* Converts to JSON text, for plans and descriptions stored in checkpoints: numpy scalars become
 * numbers, tuples become lists. VOLT_EFORMAT: values that JSON cannot represent (`what` starts
 * the message), cycles, more than 1e6 values. The caller owns *out (volt_free). */
VOLT_MUST_USE volt_status volt_pickle_json(char **out, const volt_pickle_value *v,
                                           const char *what);

VOLT_END_DECLS
#endif
