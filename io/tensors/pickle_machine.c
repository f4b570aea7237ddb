/* pickle_machine.c - the memory of a pickle's tree: blocks of values and of text.
 *
 * A pickle of a few bytes can ask for any amount of memory (duplicate a list, append it to
 * itself, repeat). Every value, container item and byte of text is therefore counted and
 * limited in proportion to the file. Values are never freed one by one: they refer to each
 * other freely, so their blocks live and die with the pickle.
 */
#include "io/tensors/pickle.h"

#include <string.h>

#include "base/core/alloc.h"
#include "io/tensors/pickle_machine.h"

enum { NODES_EACH = 1024, TEXT_EACH = 64 << 10 };

/* Memory is taken in blocks, chained. */
typedef struct block {
    struct block *next;
    size_t used, room; /* nodes or bytes */
} block;

struct volt_pickle {
    block *nodes, *texts;
    size_t count, items, text_bytes; /* values, items of containers, bytes of text so far */
    const volt_pickle_value *root;
    const volt_pickle_value **stored; /* the PERSISTENT ones */
    size_t stored_count, stored_room;
};

volt_status(volt_pickle_damaged)(const pickle_machine *m, const char *what)
{
    return volt_fail(VOLT_EFORMAT, "%s is damaged: its pickle, at byte %zu, %s", m->name, m->at,
                     what);
}

/* ---- memory ---- */

static volt_status take(void **out, block **chain, size_t want, size_t least, size_t bytes_each)
{
    block *b = *chain;

    if (!b || b->room - b->used < want) {
        const size_t room = want > least ? want : least;
        volt_status st =
            volt_alloc(&b, sizeof *b + VOLT_ALIGN_BYTES + room * bytes_each, "a pickle");
        if (st != VOLT_OK)
            return st;
        *b = (block){.next = *chain, .room = room};
        *chain = b;
    }
    *out = (char *)b + VOLT_ALIGN_BYTES + b->used * bytes_each;
    b->used += want;
    return VOLT_OK;
}

_Static_assert(sizeof(block) <= VOLT_ALIGN_BYTES, "blocks begin behind their own fields");

volt_status volt_pickle_node(pickle_node **out, pickle_machine *m, volt_pickle_kind kind)
{
    void *at = NULL;
    volt_status st;

    if (m->pickle->count >= VOLT_PICKLE_MAX_VALUES)
        return volt_fail(VOLT_EFORMAT, "%s: its pickle holds more than %zu values", m->name,
                         VOLT_PICKLE_MAX_VALUES);
    st = take(&at, &m->pickle->nodes, 1, NODES_EACH, sizeof(pickle_node));
    if (st == VOLT_OK) {
        m->pickle->count++;
        *out = at;
        **out = (pickle_node){.v.kind = kind};
    }
    return st;
}

volt_status volt_pickle_text(char **out, pickle_machine *m, size_t bytes)
{
    void *at = NULL;
    volt_status st;

    /* The same text may be used again and again by a few bytes each. */
    if (bytes >= 4 * m->bytes + TEXT_EACH - m->pickle->text_bytes)
        return volt_pickle_damaged(m, "makes far more text than it holds");
    st = take(&at, &m->pickle->texts, bytes + 1, TEXT_EACH, 1);
    if (st == VOLT_OK) {
        m->pickle->text_bytes += bytes + 1;
        *out = at;
        (*out)[bytes] = '\0';
    }
    return st;
}

void volt_pickle_free(volt_pickle *p)
{
    if (!p)
        return;
    for (block *b = p->nodes, *next; b; b = next) {
        pickle_node *node = (void *)((char *)b + VOLT_ALIGN_BYTES);
        next = b->next;
        for (size_t i = 0; i < b->used; i++)
            volt_free((void *)(uintptr_t)node[i].v.item);
        volt_free(b);
    }
    for (block *b = p->texts, *next; b; b = next) {
        next = b->next;
        volt_free(b);
    }
    volt_free((void *)(uintptr_t)p->stored);
    volt_free(p);
}

volt_status volt_pickle_create(volt_pickle **out)
{
    return volt_alloc_zero(out, 1, sizeof **out, "a pickle");
}

void volt_pickle_set_root(pickle_machine *m, const pickle_node *root)
{
    m->pickle->root = &root->v;
}

size_t volt_pickle_stored_count(const volt_pickle *p)
{
    return p->stored_count;
}

const volt_pickle_value *volt_pickle_stored(const volt_pickle *p, size_t index)
{
    return p->stored[index];
}

const volt_pickle_value *volt_pickle_root(const volt_pickle *p)
{
    return p->root;
}

/* Makes room for one more item of `each` bytes in a growing array. */
volt_status volt_pickle_grow(void *array, size_t count, size_t *room, size_t each)
{
    const size_t more = *room ? 2 * *room : 4;
    volt_status st = VOLT_OK;

    if (count == *room) {
        st = volt_realloc(array, count * each, more * each, "a pickle");
        if (st == VOLT_OK)
            *room = more;
    }
    return st;
}

volt_status volt_pickle_append(pickle_machine *m, pickle_node *to, const pickle_node *item)
{
    volt_status st;

    if (m->pickle->items >= 2 * VOLT_PICKLE_MAX_VALUES)
        return volt_fail(VOLT_EFORMAT,
                         "%s: the containers of its pickle hold more than %zu values", m->name,
                         2 * VOLT_PICKLE_MAX_VALUES);
    st = volt_pickle_grow(&to->v.item, to->v.count, &to->room, sizeof *to->v.item);
    if (st == VOLT_OK) {
        to->v.item[to->v.count++] = &item->v;
        m->pickle->items++;
    }
    return st;
}

volt_status volt_pickle_keep_stored(pickle_machine *m, const pickle_node *node)
{
    volt_pickle *p = m->pickle;
    volt_status st =
        volt_pickle_grow(&p->stored, p->stored_count, &p->stored_room, sizeof *p->stored);

    if (st == VOLT_OK)
        p->stored[p->stored_count++] = &node->v;
    return st;
}
