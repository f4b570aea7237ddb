/* The opcodes of Python's pickles. Each builds values or moves them; none runs anything. */
#include "io/tensors/pickle.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/core/utf8.h"
#include "base/mem.h"
#include "io/tensors/pickle_machine.h"

enum { MAX_NAME_BYTES = 512 };

/* ---- reading and the stack ---- */

static volt_status fetch(const unsigned char **out, pickle_machine *m, uint64_t bytes)
{
    if (bytes > m->bytes - m->at)
        return volt_pickle_damaged(m, "ends too early");
    *out = m->data + m->at;
    m->at += (size_t)bytes;
    return VOLT_OK;
}

/* A little-endian number of `width` bytes. */
static volt_status fetch_number(uint64_t *out, pickle_machine *m, int width)
{
    const unsigned char *at = NULL;
    volt_status st = fetch(&at, m, (uint64_t)width);

    *out = 0;
    for (int i = width - 1; st == VOLT_OK && i >= 0; i--)
        *out = *out << 8 | at[i];
    return st;
}

static volt_status push(pickle_machine *m, pickle_node *node)
{
    volt_status st = volt_pickle_grow(&m->stack, m->depth, &m->stack_room, sizeof *m->stack);

    if (st == VOLT_OK)
        m->stack[m->depth++] = node;
    return st;
}

/* What lies above the last mark is all that an opcode may take. */
static size_t floor_of(const pickle_machine *m)
{
    return m->marks ? m->mark[m->marks - 1] : 0;
}

static volt_status pop(pickle_node **out, pickle_machine *m)
{
    if (m->depth <= floor_of(m))
        return volt_pickle_damaged(m, "takes a value where there is none");
    *out = m->stack[--m->depth];
    return VOLT_OK;
}

static volt_status top(pickle_node **out, pickle_machine *m)
{
    volt_status st = pop(out, m);

    if (st == VOLT_OK)
        m->depth++;
    return st;
}

/* Takes the last mark off; values from *first to m->depth lie above it. */
static volt_status pop_mark(size_t *first, pickle_machine *m)
{
    if (!m->marks)
        return volt_pickle_damaged(m, "goes back to a mark where there is none");
    *first = m->mark[--m->marks];
    return VOLT_OK;
}

static volt_status push_mark(pickle_machine *m)
{
    volt_status st = volt_pickle_grow(&m->mark, m->marks, &m->mark_room, sizeof *m->mark);

    if (st == VOLT_OK)
        m->mark[m->marks++] = m->depth;
    return st;
}

static volt_status push_new(pickle_node **out, pickle_machine *m, volt_pickle_kind kind)
{
    volt_status st = volt_pickle_node(out, m, kind);

    return st == VOLT_OK ? push(m, *out) : st;
}

/* ---- numbers and texts ---- */

static volt_status push_int(pickle_machine *m, volt_pickle_kind kind, int64_t value)
{
    pickle_node *node = NULL;
    volt_status st = push_new(&node, m, kind);

    if (st == VOLT_OK)
        node->v.whole = value;
    return st;
}

static volt_status push_float(pickle_machine *m)
{
    const unsigned char *at = NULL;
    pickle_node *node = NULL;
    uint64_t bits = 0;
    volt_status st;

    VOLT_TRY(st, done, fetch(&at, m, 8));
    for (int i = 0; i < 8; i++) /* the only big-endian number of the format */
        bits = bits << 8 | at[i];
    VOLT_TRY(st, done, push_new(&node, m, VOLT_PICKLE_FLOAT));
    memcpy(&node->v.real, &bits, 8);
done:
    return st;
}

static volt_status push_text(pickle_machine *m, volt_pickle_kind kind,
                             const unsigned char *data, size_t bytes)
{
    pickle_node *node = NULL;
    char *text = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_pickle_text(&text, m, bytes));
    memcpy(text, data, bytes);
    VOLT_TRY(st, done, push_new(&node, m, kind));
    node->v.text = text;
    node->v.bytes = bytes;
done:
    return st;
}

/* Without a NUL inside, so that it can be compared and printed. */
static bool is_text(const unsigned char *data, size_t bytes)
{
    return !memchr(data, 0, bytes) && volt_is_utf8(data, bytes);
}

/* A length of `width` bytes, then text; str of Python 2 where `old`. */
static volt_status push_unicode(pickle_machine *m, int width, bool old)
{
    const unsigned char *data = NULL;
    uint64_t bytes = 0;
    volt_status st;

    VOLT_TRY(st, done, fetch_number(&bytes, m, width));
    VOLT_TRY(st, done, fetch(&data, m, bytes));
    if (old || volt_is_utf8(data, (size_t)bytes))
        return push_text(m, is_text(data, (size_t)bytes) ? VOLT_PICKLE_TEXT : VOLT_PICKLE_BYTES,
                         data, (size_t)bytes);
    st = volt_pickle_damaged(m, "holds text that is not UTF-8");
done:
    return st;
}

static volt_status push_bytes(pickle_machine *m, int width)
{
    const unsigned char *data = NULL;
    uint64_t bytes = 0;
    volt_status st;

    VOLT_TRY(st, done, fetch_number(&bytes, m, width));
    VOLT_TRY(st, done, fetch(&data, m, bytes));
    st = push_text(m, VOLT_PICKLE_BYTES, data, (size_t)bytes);
done:
    return st;
}

static volt_status push_long(pickle_machine *m, int width)
{
    const unsigned char *data = NULL;
    uint64_t bytes = 0, bits;
    volt_status st;

    VOLT_TRY(st, done, fetch_number(&bytes, m, width));
    VOLT_TRY(st, done, fetch(&data, m, bytes));
    if (bytes > 8)
        return push_text(m, VOLT_PICKLE_LONG, data, (size_t)bytes);
    bits = bytes && data[bytes - 1] & 0x80 ? UINT64_MAX : 0;
    for (int i = (int)bytes - 1; i >= 0; i--)
        bits = bits << 8 | data[i];
    st = push_int(m, VOLT_PICKLE_INT, (int64_t)bits);
done:
    return st;
}

static volt_status push_number(pickle_machine *m, int width)
{
    uint64_t v;
    volt_status st = fetch_number(&v, m, width);

    if (st != VOLT_OK)
        return st;
    return push_int(m, VOLT_PICKLE_INT,
                    width == 4 ? (int64_t)(int32_t)(uint32_t)v : (int64_t)v);
}

/* ---- containers ---- */

/* The values above the last mark become one of `kind`. */
static volt_status gather(pickle_machine *m, volt_pickle_kind kind)
{
    pickle_node *node = NULL;
    size_t first = 0;
    volt_status st;

    VOLT_TRY(st, done, pop_mark(&first, m));
    if (kind == VOLT_PICKLE_DICT && (m->depth - first) % 2)
        return volt_pickle_damaged(m, "makes a dict of a key without a value");
    VOLT_TRY(st, done, volt_pickle_node(&node, m, kind));
    for (size_t i = first; i < m->depth; i++)
        VOLT_TRY(st, done, volt_pickle_append(m, node, m->stack[i]));
    m->depth = first;
    st = push(m, node);
done:
    return st;
}

/* The last `count` values become a tuple. */
static volt_status small_tuple(pickle_machine *m, size_t count)
{
    pickle_node *node = NULL;
    volt_status st;

    if (m->depth - floor_of(m) < count)
        return volt_pickle_damaged(m, "takes a value where there is none");
    VOLT_TRY(st, done, volt_pickle_node(&node, m, VOLT_PICKLE_TUPLE));
    for (size_t i = m->depth - count; i < m->depth; i++)
        VOLT_TRY(st, done, volt_pickle_append(m, node, m->stack[i]));
    m->depth -= count;
    st = push(m, node);
done:
    return st;
}

/* Adds the values from `first` on to the container below them. */
static volt_status add_items(pickle_machine *m, size_t first, volt_pickle_kind kind)
{
    pickle_node *to = NULL;
    volt_status st = VOLT_OK;

    if (first <= floor_of(m) || first > m->depth)
        return volt_pickle_damaged(m, "adds to a container where there is none");
    to = m->stack[first - 1];
    if (to->v.kind != kind)
        return volt_pickle_damaged(m, "adds to a value of another kind");
    if (kind == VOLT_PICKLE_DICT && (m->depth - first) % 2)
        return volt_pickle_damaged(m, "sets a key without a value");
    for (size_t i = first; i < m->depth && st == VOLT_OK; i++)
        st = volt_pickle_append(m, to, m->stack[i]);
    m->depth = first;
    return st;
}

static volt_status add_marked(pickle_machine *m, volt_pickle_kind kind)
{
    size_t first = 0;
    volt_status st = pop_mark(&first, m);

    return st == VOLT_OK ? add_items(m, first, kind) : st;
}

/* ---- the memo ---- */

/* Ids are given in order by every pickler, so none can exceed the file's length. */
static volt_status memo_put(pickle_machine *m, uint64_t id)
{
    pickle_node *node = NULL;
    volt_status st;

    VOLT_TRY(st, done, top(&node, m));
    if (id >= m->bytes)
        return volt_pickle_damaged(m, "numbers its values beyond the file's length");
    while (m->memos <= id) {
        VOLT_TRY(st, done,
                 volt_pickle_grow(&m->memo, m->memos, &m->memo_room, sizeof *m->memo));
        m->memo[m->memos++] = NULL;
    }
    m->memo[id] = node;
done:
    return st;
}

static volt_status memo_get(pickle_machine *m, int width)
{
    uint64_t id = 0;
    volt_status st = fetch_number(&id, m, width);

    if (st != VOLT_OK)
        return st;
    if (id >= m->memos || !m->memo[id])
        return volt_pickle_damaged(m, "refers to a value that was not stored");
    return push(m, m->memo[id]);
}

static volt_status memo_put_numbered(pickle_machine *m, int width)
{
    uint64_t id = 0;
    volt_status st = fetch_number(&id, m, width);

    return st == VOLT_OK ? memo_put(m, id) : st;
}

/* ---- names, calls, states ---- */

/* What an object of a class that torch.save wrote by name is, for the message; NULL for
 * functions. torch.save(model) names the classes of all modules before their parameters. */
static const char *kind_of_class(const char *name)
{
    static const char *const modules[] = {"torch.nn.modules.",
                                          "monai.networks.",
                                          "dynamic_network_architectures.",
                                          "segmentation_models_pytorch.",
                                          "torchvision.models.",
                                          "nnunetv2."};
    const char *last = strrchr(name, '.');

    if (strncmp(name, "__torch__.", 10) == 0)
        return "a TorchScript program with class";
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        if (strncmp(name, modules[i], strlen(modules[i])) == 0)
            return "a whole module of class";
    }
    return last && last[1] >= 'A' && last[1] <= 'Z' ? "an object of class" : NULL;
}

static volt_status push_name(pickle_machine *m, const char *module, size_t module_bytes,
                             const char *function, size_t function_bytes)
{
    pickle_node *node = NULL;
    char *text = NULL;
    bool known;
    volt_status st;

    if (module_bytes + function_bytes > MAX_NAME_BYTES ||
        !is_text((const unsigned char *)module, module_bytes) ||
        !is_text((const unsigned char *)function, function_bytes))
        return volt_pickle_damaged(m, "names a type that is no name");
    VOLT_TRY(st, done, volt_pickle_text(&text, m, module_bytes + 1 + function_bytes));
    memcpy(text, module, module_bytes);
    text[module_bytes] = '.';
    memcpy(text + module_bytes + 1, function, function_bytes);
    known = volt_pickle_name_is_known(text);
    if (!known && kind_of_class(text))
        return volt_fail(VOLT_ENOTSUP,
                         "%s holds %s %s, which only Python can load: load it there and save "
                         "its weights alone, torch.save(model.state_dict(), \"weights.pt\")",
                         m->name, kind_of_class(text), text);
    if (!known)
        return volt_fail(VOLT_ENOTSUP,
                         "%s: its pickle uses '%s', which is not a supported type or function",
                         m->name, text);
    VOLT_TRY(st, done, push_new(&node, m, VOLT_PICKLE_NAME));
    node->v.text = text;
    node->v.bytes = strlen(text);
done:
    return st;
}

static volt_status fetch_line(const char **out, size_t *bytes, pickle_machine *m)
{
    const unsigned char *at = m->data + m->at,
                        *end = m->bytes > m->at ? memchr(at, '\n', m->bytes - m->at) : NULL;

    if (!end)
        return volt_pickle_damaged(m, "ends too early");
    *out = (const char *)at;
    *bytes = (size_t)(end - at);
    m->at += *bytes + 1;
    return VOLT_OK;
}

static volt_status op_global(pickle_machine *m)
{
    const char *module = NULL, *function = NULL;
    size_t module_bytes = 0, function_bytes = 0;
    volt_status st;

    VOLT_TRY(st, done, fetch_line(&module, &module_bytes, m));
    VOLT_TRY(st, done, fetch_line(&function, &function_bytes, m));
    st = push_name(m, module, module_bytes, function, function_bytes);
done:
    return st;
}

static volt_status op_stack_global(pickle_machine *m)
{
    pickle_node *function = NULL, *module = NULL;
    volt_status st;

    VOLT_TRY(st, done, pop(&function, m));
    VOLT_TRY(st, done, pop(&module, m));
    if (function->v.kind != VOLT_PICKLE_TEXT || module->v.kind != VOLT_PICKLE_TEXT)
        return volt_pickle_damaged(m, "names a type by something that is no text");
    st = push_name(m, module->v.text, module->v.bytes, function->v.text, function->v.bytes);
done:
    return st;
}

/* REDUCE and NEWOBJ: for data the same. */
static volt_status op_call(pickle_machine *m)
{
    pickle_node *args = NULL, *callee = NULL, *result = NULL;
    volt_status st;

    VOLT_TRY(st, done, pop(&args, m));
    VOLT_TRY(st, done, pop(&callee, m));
    if (callee->v.kind != VOLT_PICKLE_NAME || args->v.kind != VOLT_PICKLE_TUPLE)
        return volt_pickle_damaged(m, "calls something that is no function");
    VOLT_TRY(st, done, volt_pickle_call(&result, m, callee, args));
    st = push(m, result);
done:
    return st;
}

static volt_status op_build(pickle_machine *m)
{
    pickle_node *state = NULL, *object = NULL;
    volt_status st;

    VOLT_TRY(st, done, pop(&state, m));
    VOLT_TRY(st, done, top(&object, m));
    if (object->v.kind != VOLT_PICKLE_CALL && object->v.kind != VOLT_PICKLE_DICT)
        return volt_pickle_damaged(m, "sets the state of a value that has none");
    object->v.state = &state->v;
done:
    return st;
}

static volt_status op_persistent(pickle_machine *m)
{
    pickle_node *id = NULL, *node = NULL;
    volt_status st;

    VOLT_TRY(st, done, pop(&id, m));
    VOLT_TRY(st, done, push_new(&node, m, VOLT_PICKLE_PERSISTENT));
    VOLT_TRY(st, done, volt_pickle_append(m, node, id));
    st = volt_pickle_keep_stored(m, node);
done:
    return st;
}

static volt_status op_dup(pickle_machine *m)
{
    pickle_node *node = NULL;
    volt_status st = top(&node, m);

    return st == VOLT_OK ? push(m, node) : st;
}

static volt_status op_frame(pickle_machine *m)
{
    uint64_t bytes = 0;
    volt_status st = fetch_number(&bytes, m, 8);

    if (st == VOLT_OK && bytes > m->bytes - m->at)
        st = volt_pickle_damaged(m, "has a frame that reaches beyond the end");
    return st;
}

static volt_status op_pop(pickle_machine *m)
{
    pickle_node *unused = NULL;

    if (m->marks && m->depth == floor_of(m)) { /* as Python: POP also takes a bare mark */
        m->marks--;
        return VOLT_OK;
    }
    return pop(&unused, m);
}

static volt_status op_pop_mark(pickle_machine *m)
{
    size_t first = 0;
    volt_status st = pop_mark(&first, m);

    if (st == VOLT_OK)
        m->depth = first;
    return st;
}

static volt_status push_empty(pickle_machine *m, volt_pickle_kind kind)
{
    pickle_node *node = NULL;

    return push_new(&node, m, kind);
}

/* ---- the list of opcodes ---- */

static volt_status refuse(const pickle_machine *m, unsigned char op)
{
    static const struct {
        unsigned char op;
        const char *name;
    } others[] = {
        {'P', "PERSID"}, {'I', "INT"},        {'L', "LONG"},         {'F', "FLOAT"},
        {'S', "STRING"}, {'V', "UNICODE"},    {'g', "GET"},          {'p', "PUT"},
        {'i', "INST"},   {'o', "OBJ"},        {0x82, "EXT1"},        {0x83, "EXT2"},
        {0x84, "EXT4"},  {0x92, "NEWOBJ_EX"}, {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"}};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (others[i].op == op)
            return volt_fail(
                VOLT_ENOTSUP,
                "%s: its pickle uses the opcode %s at byte %zu, which is not supported",
                m->name, others[i].name, m->at - 1);
    }
    return volt_fail(VOLT_EFORMAT,
                     "%s is damaged: byte %zu of its pickle, %02x, is not an opcode", m->name,
                     m->at - 1, op);
}

static volt_status run_data_op(pickle_machine *m, unsigned char op)
{
    switch (op) {
    case 'N':
        return push_empty(m, VOLT_PICKLE_NONE);
    case 0x88:
    case 0x89:
        return push_int(m, VOLT_PICKLE_BOOL, op == 0x88);
    case 'J':
        return push_number(m, 4);
    case 'K':
        return push_number(m, 1);
    case 'M':
        return push_number(m, 2);
    case 0x8a:
        return push_long(m, 1);
    case 0x8b:
        return push_long(m, 4);
    case 'G':
        return push_float(m);
    case 'X':
        return push_unicode(m, 4, false);
    case 0x8c:
        return push_unicode(m, 1, false);
    case 0x8d:
        return push_unicode(m, 8, false);
    case 'T':
        return push_unicode(m, 4, true);
    case 'U':
        return push_unicode(m, 1, true);
    case 'B':
        return push_bytes(m, 4);
    case 'C':
        return push_bytes(m, 1);
    case 0x8e:
    case 0x96: /* a bytearray */
        return push_bytes(m, 8);
    default:
        return refuse(m, op);
    }
}

static volt_status run_container_op(pickle_machine *m, unsigned char op)
{
    switch (op) {
    case ')':
        return push_empty(m, VOLT_PICKLE_TUPLE);
    case 't':
        return gather(m, VOLT_PICKLE_TUPLE);
    case 0x85:
    case 0x86:
    case 0x87:
        return small_tuple(m, op - 0x84u);
    case ']':
        return push_empty(m, VOLT_PICKLE_LIST);
    case 'l':
        return gather(m, VOLT_PICKLE_LIST);
    case 'a':
        return add_items(m, m->depth - 1, VOLT_PICKLE_LIST);
    case 'e':
        return add_marked(m, VOLT_PICKLE_LIST);
    case '}':
        return push_empty(m, VOLT_PICKLE_DICT);
    case 'd':
        return gather(m, VOLT_PICKLE_DICT);
    case 's':
        return add_items(m, m->depth - 2, VOLT_PICKLE_DICT);
    case 'u':
        return add_marked(m, VOLT_PICKLE_DICT);
    case 0x8f:
        return push_empty(m, VOLT_PICKLE_SET);
    case 0x90:
        return add_marked(m, VOLT_PICKLE_SET);
    case 0x91:
        return gather(m, VOLT_PICKLE_SET);
    default:
        return run_data_op(m, op);
    }
}

static volt_status run_op(pickle_machine *m, unsigned char op)
{
    switch (op) {
    case 0x95:
        return op_frame(m);
    case '(':
        return push_mark(m);
    case '0':
        return op_pop(m);
    case '1':
        return op_pop_mark(m);
    case '2':
        return op_dup(m);
    case 'h':
        return memo_get(m, 1);
    case 'j':
        return memo_get(m, 4);
    case 'q':
        return memo_put_numbered(m, 1);
    case 'r':
        return memo_put_numbered(m, 4);
    case 0x94:
        return memo_put(m, m->memos);
    case 'c':
        return op_global(m);
    case 0x93:
        return op_stack_global(m);
    case 'R':
    case 0x81:
        return op_call(m);
    case 'b':
        return op_build(m);
    case 'Q':
        return op_persistent(m);
    default:
        return run_container_op(m, op);
    }
}

/* PROTO, then opcodes up to STOP. */
static volt_status run(pickle_machine *m)
{
    const unsigned char *at = NULL;
    pickle_node *root = NULL;
    volt_status st;

    if (m->bytes < 2 || m->data[0] != 0x80)
        return volt_fail(VOLT_EFORMAT,
                         "%s holds no pickle of protocol 2 or later: it starts with byte %02x",
                         m->name, m->bytes ? m->data[0] : 0);
    if (m->data[1] < 2 || m->data[1] > 5)
        return volt_fail(VOLT_ENOTSUP, "%s: its pickle has protocol %d; 2 to 5 are supported",
                         m->name, m->data[1]);
    m->at = 2;
    for (;;) {
        VOLT_TRY(st, done, fetch(&at, m, 1));
        if (*at == '.')
            break;
        VOLT_TRY(st, done, run_op(m, *at));
    }
    if (m->marks)
        return volt_pickle_damaged(m, "stops above a mark");
    VOLT_TRY(st, done, pop(&root, m));
    volt_pickle_set_root(m, root);
done:
    return st;
}

volt_status volt_pickle_parse(volt_pickle **out, const void *data, size_t bytes, size_t *used,
                              const char *name)
{
    pickle_machine m = {.data = data, .bytes = bytes, .name = name};
    volt_status st;

    VOLT_TRY(st, done, volt_pickle_create(&m.pickle));
    VOLT_TRY(st, done, run(&m));
    if (used)
        *used = m.at;
    *out = m.pickle;
    m.pickle = NULL;
done:
    volt_free(m.memo);
    volt_free(m.mark);
    volt_free(m.stack);
    volt_pickle_free(m.pickle);
    return st;
}
