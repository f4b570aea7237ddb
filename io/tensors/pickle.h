/* pickle.h - Python's pickles as plain data: read, never run.
 *
 * A pickle is a program for a small stack machine. Here its opcodes only build a tree: "call
 * this" becomes a node that says so. Protocols 2 to 5, written by today's pickle, torch and
 * numpy; opcodes outside the list, protocols 0 and 1, and names of types and functions outside
 * the list in pickle_call.c are refused by name.
 *
 * Hostile  depth is bounded only by the file (values refer to each other, also in circles, as
 *          Python's may): who walks a tree must count its steps. Values are at most
 *          VOLT_PICKLE_MAX_VALUES and in proportion to the file's length.
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
    VOLT_PICKLE_BYTES, /* also text with a NUL, or of Python 2 and not UTF-8 */
    VOLT_PICKLE_TUPLE,
    VOLT_PICKLE_LIST,
    VOLT_PICKLE_SET,
    VOLT_PICKLE_DICT, /* items: key, value, key, value; also an OrderedDict or defaultdict */
    VOLT_PICKLE_NAME, /* of a type or function: "torch.FloatStorage" */
    VOLT_PICKLE_CALL, /* callee with arguments, perhaps a state set afterwards */
    VOLT_PICKLE_PERSISTENT /* an object kept outside; item[0] says which */
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
    const struct volt_pickle_value *state; /* CALL, DICT: what BUILD gave; else NULL */
} volt_pickle_value;

typedef struct volt_pickle volt_pickle;

/* Reads one pickle from the front of `data` (read only for the call) into a tree; the caller
 * owns *out (volt_pickle_free). *used (NULL allowed) gets its length. `name` is for messages.
 * VOLT_EFORMAT: damaged; VOLT_ENOTSUP: an opcode or a name outside the lists; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_pickle_parse(volt_pickle **out, const void *data, size_t bytes,
                                            size_t *used, const char *name);
void volt_pickle_free(volt_pickle *p);                           /* NULL is allowed */
const volt_pickle_value *volt_pickle_root(const volt_pickle *p); /* borrowed */
/* Every PERSISTENT value, in the order of the file; borrowed. */
size_t volt_pickle_stored_count(const volt_pickle *p);
const volt_pickle_value *volt_pickle_stored(const volt_pickle *p, size_t index);

/* The value under the text `key` of a dict, the last one if given twice; NULL when `dict` is
 * NULL or no dict, or has no such key. */
const volt_pickle_value *volt_pickle_get(const volt_pickle_value *dict, const char *key);
/* True for a TEXT or NAME that reads `text`; `v` NULL is allowed. */
bool volt_pickle_is(const volt_pickle_value *v, const char *text);
/* A number that numpy pickled (float or integer of 1 to 8 bytes) or a plain one; false for
 * anything else. */
bool volt_pickle_number(double *out, const volt_pickle_value *v);
/* A word for messages: "a list", "a torch.Size". Never NULL. */
const char *volt_pickle_kind_name(const volt_pickle_value *v);
/* As JSON text, for plans and descriptions kept in checkpoints: numbers of numpy become plain,
 * tuples lists; VOLT_EFORMAT for what JSON cannot say (`what` starts the message), circles and
 * trees of more than 1e6 values. The caller owns *out (volt_free). */
VOLT_MUST_USE volt_status volt_pickle_json(char **out, const volt_pickle_value *v,
                                           const char *what);

VOLT_END_DECLS
#endif
