/* The types and functions that pickles may name, and those whose results are plain data. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/tensors/pickle_machine.h"

/* Sorted bytewise. Nothing here is ever called: a name outside the list refers to something
 * whose meaning is not known. */
static const char *const known[] = {
    "__builtin__.bytearray",
    "__builtin__.set",
    "_codecs.encode",
    "builtins.bytearray",
    "builtins.set",
    "collections.OrderedDict",
    "collections.defaultdict",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.PosixPath",
    "torch.BFloat16Storage",
    "torch.BoolStorage",
    "torch.ByteStorage",
    "torch.CharStorage",
    "torch.DoubleStorage",
    "torch.FloatStorage",
    "torch.HalfStorage",
    "torch.IntStorage",
    "torch.LongStorage",
    "torch.ShortStorage",
    "torch.Size",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch.bfloat16",
    "torch.device",
    "torch.float16",
    "torch.float32",
    "torch.float64",
    "torch.int64",
};

static int compare(const void *name, const void *entry)
{
    return strcmp(name, *(const char *const *)entry);
}

bool volt_pickle_name_is_known(const char *name)
{
    return bsearch(name, known, sizeof known / sizeof *known, sizeof *known, compare) != NULL;
}

/* OrderedDict() or OrderedDict([[key, value], ...]); a defaultdict's factory is left out. */
static volt_status make_dict(pickle_node **out, pickle_machine *m, const pickle_node *args)
{
    pickle_node *dict = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_pickle_node(&dict, m, VOLT_PICKLE_DICT));
    if (args->v.count == 1 && args->v.item[0]->kind == VOLT_PICKLE_LIST) {
        const volt_pickle_value *list = args->v.item[0];
        for (size_t i = 0; i < list->count; i++) {
            const volt_pickle_value *pair = list->item[i];
            if ((pair->kind != VOLT_PICKLE_LIST && pair->kind != VOLT_PICKLE_TUPLE) ||
                pair->count != 2)
                return volt_pickle_damaged(m, "makes a dict of something that is no pair");
            VOLT_TRY(st, done, volt_pickle_append(m, dict, (const pickle_node *)pair->item[0]));
            VOLT_TRY(st, done, volt_pickle_append(m, dict, (const pickle_node *)pair->item[1]));
        }
    }
    *out = dict;
done:
    return st;
}

/* _codecs.encode(text, 'latin1'): how protocol 2 writes bytes. */
static volt_status make_bytes(pickle_node **out, pickle_machine *m, const pickle_node *args)
{
    const volt_pickle_value *text = args->v.count >= 1 ? args->v.item[0] : NULL;
    pickle_node *node = NULL;
    char *to = NULL;
    size_t bytes = 0;
    volt_status st;

    if (args->v.count != 2 ||
        (text->kind != VOLT_PICKLE_TEXT && text->kind != VOLT_PICKLE_BYTES) ||
        !volt_pickle_is(args->v.item[1], "latin1"))
        return volt_pickle_damaged(m, "encodes something other than text as latin1");
    VOLT_TRY(st, done, volt_pickle_text(&to, m, text->bytes));
    for (size_t i = 0; i < text->bytes; i++) {
        unsigned code = (unsigned char)text->text[i];
        if (code >= 0x80) {
            const unsigned next = (unsigned char)text->text[++i]; /* at the end the NUL */
            if (code < 0xc2 || code > 0xc3 || (next & 0xc0) != 0x80)
                return volt_pickle_damaged(m, "encodes letters that latin1 does not have");
            code = (code & 0x1f) << 6 | (next & 0x3f);
        }
        to[bytes++] = (char)code;
    }
    VOLT_TRY(st, done, volt_pickle_node(&node, m, VOLT_PICKLE_BYTES));
    node->v.text = to;
    node->v.bytes = bytes;
    *out = node;
done:
    return st;
}

/* The items of a list, tuple or set given as the only argument. */
static volt_status make_container(pickle_node **out, pickle_machine *m, const pickle_node *args,
                                  volt_pickle_kind kind)
{
    pickle_node *node = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_pickle_node(&node, m, kind));
    if (args->v.count == 1) {
        const volt_pickle_value *from = args->v.item[0];
        if (from->kind != VOLT_PICKLE_LIST && from->kind != VOLT_PICKLE_TUPLE)
            return volt_pickle_damaged(m, "fills a container from something that is none");
        for (size_t i = 0; i < from->count; i++)
            VOLT_TRY(st, done, volt_pickle_append(m, node, (const pickle_node *)from->item[i]));
    }
    *out = node;
done:
    return st;
}

volt_status volt_pickle_call(pickle_node **out, pickle_machine *m, const pickle_node *callee,
                             const pickle_node *args)
{
    const char *name = callee->v.text;
    pickle_node *node = NULL;
    volt_status st;

    if (strcmp(name, "collections.OrderedDict") == 0 ||
        strcmp(name, "collections.defaultdict") == 0)
        return make_dict(out, m, args);
    if (strcmp(name, "_codecs.encode") == 0)
        return make_bytes(out, m, args);
    if (strcmp(name, "torch.Size") == 0)
        return make_container(out, m, args, VOLT_PICKLE_TUPLE);
    if (strcmp(name, "builtins.set") == 0 || strcmp(name, "__builtin__.set") == 0)
        return make_container(out, m, args, VOLT_PICKLE_SET);
    VOLT_TRY(st, done, volt_pickle_node(&node, m, VOLT_PICKLE_CALL));
    node->v.text = name;
    node->v.bytes = callee->v.bytes;
    for (size_t i = 0; i < args->v.count; i++)
        VOLT_TRY(st, done, volt_pickle_append(m, node, (const pickle_node *)args->v.item[i]));
    *out = node;
done:
    return st;
}
