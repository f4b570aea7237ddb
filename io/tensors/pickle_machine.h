/* pickle_machine.h - the state of the stack machine, shared by pickle.c (opcodes),
 * pickle_call.c (meaning of calls) and pickle_machine.c (memory). */
#ifndef VOLT_IO_TENSORS_PICKLE_MACHINE_H
#define VOLT_IO_TENSORS_PICKLE_MACHINE_H
#include "io/tensors/pickle.h"

/* A value that may still grow. */
typedef struct pickle_node {
    volt_pickle_value v;
    size_t room; /* capacity of v.item */
} pickle_node;

typedef struct pickle_machine {
    const unsigned char *data;
    size_t bytes, at;
    const char *name;
    volt_pickle *pickle; /* owns nodes and texts */
    pickle_node **stack;
    size_t depth, stack_room;
    size_t *mark; /* depths of the stack */
    size_t marks, mark_room;
    pickle_node **memo; /* NULL: never set */
    size_t memos, memo_room;
} pickle_machine;

volt_status volt_pickle_create(volt_pickle **out);
void volt_pickle_set_root(pickle_machine *m, const pickle_node *root);
/* Records a PERSISTENT value. */
volt_status volt_pickle_keep_stored(pickle_machine *m, const pickle_node *node);
/* Makes room for one more item of `each` bytes in a growing array. */
volt_status volt_pickle_grow(void *array, size_t count, size_t *room, size_t each);
/* A new value of `kind`, owned by the pickle. */
volt_status volt_pickle_node(pickle_node **out, pickle_machine *m, volt_pickle_kind kind);
/* Memory for `bytes` of text and a terminating NUL, owned by the pickle. */
volt_status volt_pickle_text(char **out, pickle_machine *m, size_t bytes);
volt_status volt_pickle_append(pickle_machine *m, pickle_node *to, const pickle_node *item);
/* True when `name`, "module.function", is a supported type or function. */
bool volt_pickle_name_is_known(const char *name);
/* The value of callee(args...), a CALL unless it is plain data. */
volt_status volt_pickle_call(pickle_node **out, pickle_machine *m, const pickle_node *callee,
                             const pickle_node *args);
/* VOLT_EFORMAT "NAME is damaged at byte N: ..." */
volt_status volt_pickle_damaged(const pickle_machine *m, const char *what);
#ifdef __clang_analyzer__ /* as volt_fail */
#define volt_pickle_damaged(m, what) ((void)volt_pickle_damaged(m, what), VOLT_EFORMAT)
#endif

#endif
