/* backend.h - what moves the messages: the table that a back end fills in.
 *
 * The plug-ins for MPI are built apart from the library and call nothing of it, so this header
 * is all they share; VOLT_COMM_ABI changes with it. Every call returns at once: waiting and
 * time-outs are the library's. Failures write a sentence into `why`, which has
 * VOLT_COMM_SENTENCE bytes.
 *
 * Threads   all calls are thread-safe.
 */
#ifndef VOLT_PARALLEL_COMM_BACKEND_H
#define VOLT_PARALLEL_COMM_BACKEND_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#define VOLT_COMM_ABI      1
#define VOLT_COMM_SENTENCE 1024
/* Keys of messages are 0..VOLT_COMM_KEY_MAX; an MPI must have tags as large. */
#define VOLT_COMM_KEY_MAX 0xfffffff

typedef struct volt_backend {
    int abi; /* VOLT_COMM_ABI; stays in front */
    char library[120];
    /* Starts a message from or to `peer`, a rank of the world. *handle is NULL when it is done
     * already. Messages of one peer and key stay in order. A message that has failed is dropped
     * by the caller if it has a handle still. */
    volt_status (*send)(void *state, void **handle, int peer, int key, const void *at,
                        size_t bytes, char *why);
    volt_status (*receive)(void *state, void **handle, int peer, int key, void *at,
                           size_t bytes, char *why);
    /* Sets *handle to NULL, and frees it, when the message is done. */
    volt_status (*test)(void *state, void **handle, char *why);
    /* Gives up: the buffer is not written any more. */
    void (*drop)(void *state, void **handle);
    /* Waits a moment, or until something has happened since epoch() gave `epoch`. `round`
     * counts the calls of one wait. */
    uint64_t (*epoch)(void *state);
    void (*idle)(void *state, uint64_t epoch, int round);
    /* Whether `peer` will never send again. NULL: unknown. */
    bool (*ended)(void *state, int peer);
    /* Seconds since anything happened anywhere, if all ranks wait. NULL: unknown. */
    double (*stalled)(void *state);
    /* Frees `state`. `in_order`: no rank failed, and all close. */
    void (*close)(void *state, bool in_order);
    /* Ends the processes of all ranks; NULL: they are threads. */
    void (*abort)(void *state, int exit_code);
} volt_backend;

/* What a plug-in exports: `const int volt_plugin_abi` and `volt_plugin_start`, which starts MPI
 * and fills in the table; messages over `most` bytes are sent in pieces. */
typedef volt_status volt_plugin_start_function(volt_backend *out, void **state, int *rank,
                                               int *size, size_t most, char *why);

#endif
