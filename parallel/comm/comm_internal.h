/* comm_internal.h - what communicators are, for the files of this folder.
 *
 * A world is all ranks as one of them sees them: the back end, the hosts, the first failure.
 * Communicators are groups of its ranks. Their messages carry a key: the communicator's number,
 * which all its ranks agree on, whether the message belongs to a collective call, and the tag.
 *
 * Threads   a world is used by all threads of its rank.
 */
#ifndef VOLT_PARALLEL_COMM_COMM_INTERNAL_H
#define VOLT_PARALLEL_COMM_COMM_INTERNAL_H
#include "parallel/comm.h"
#include "parallel/comm/backend.h"
#include "parallel/comm/board.h"

/* Numbers of communicators; 0 is that of VOLT's own messages about failures. */
#define VOLT_COMM_NUMBERS                 8192
#define VOLT_COMM_CONTROL                 0
#define VOLT_COMM_WORLD                   1
#define VOLT_COMM_HOST_NAME               64
#define VOLT_COMM_STALL_S                 600.0
#define VOLT_COMM_KEY(n, collective, tag) ((int)(((n)*2 + (collective)) << 14 | (tag)))

typedef struct volt_host {
    char name[VOLT_COMM_HOST_NAME];
} volt_host;

typedef struct volt_world {
    const volt_backend *backend;
    void *state;
    int rank, size;
    long pid;        /* of this process */
    volt_host *host; /* of each rank; owned */
    volt_board *board;
    /* Changed by __atomic builtins, as headers are C++ too. */
    int holders;
    int64_t timeout_ns; /* 0: by progress */
    uint32_t progress;  /* changes whenever a wait ends or messages start */
    int waiting;        /* threads of this rank in waits */
    int unfinished;     /* a ticket was given up: MPI's buffers may be in use */
    pthread_mutex_t lock;
    uint32_t used[VOLT_COMM_NUMBERS / 32]; /* numbers of this rank's communicators */
    struct volt_monitor *monitor;          /* NULL: ranks are threads */
    bool rehearsal;                        /* its peers do as it does (rehearse.h) */
    volt_comm_cancelled *cancelled;        /* NULL: waits are not cancelled */
    void *cancelled_user;
    /* Called after a failure was posted; NULL where nothing needs waking. */
    void (*wake)(struct volt_world *w);
} volt_world;

struct volt_comm {
    volt_world *world;
    volt_comm *parent; /* whose counts include these; NULL: the world's */
    int holders;       /* atomic */
    int number, rank, size;
    int *member; /* world's rank of each rank; owned */
    int host_ranks, host_index;
    int64_t messages, bytes, waited_ns; /* atomic */
    unsigned rings;                     /* sums started */
    volt_ticket *open, *spare;          /* under way; to use again */
    void *scratch;                      /* of collective calls; grows */
    size_t scratch_bytes;
};

/* ---- worlds ---- */

/* The world of rank `rank` of `size`, without hosts; takes over `state` on success. */
VOLT_MUST_USE volt_status volt_world_make(volt_world **out, const volt_backend *backend,
                                          void *state, int rank, int size, volt_board *board);
void volt_world_release(volt_world *w);
/* The communicator of all ranks; hosts are known. Takes over a hold of `w` on success. */
VOLT_MUST_USE volt_status volt_world_comm(volt_comm **out, volt_world *w);
/* One rank of a crowd (threads.h), as a communicator. */
struct volt_crowd;
VOLT_MUST_USE volt_status volt_threads_comm(volt_comm **out, struct volt_crowd *crowd, int rank,
                                            int size);
/* No characters that a terminal would obey. */
void volt_host_clean(char *name);
/* Hosts of one name whose kernels were booted apart get numbers: "node", "node#2". */
void volt_hosts_tell_apart(volt_host *host, const char *const *boot, int size);
/* Sets the number of ranks on this host, from the names of the world's hosts. */
void volt_comm_count_host(volt_comm *c);
/* VOLT_OK, or the failure on the board as this rank reports it. */
VOLT_MUST_USE volt_status volt_world_check(const volt_world *w);
/* Posts a failure and wakes what waits. */
void volt_world_fail(volt_world *w, const volt_failure *failure);
/* Whether this rank reports the failure on the board: rank 0, or rank 1 if that is missing. */
bool volt_world_speaks(const volt_world *w);
/* "rank 3 (node7)" */
void volt_world_name(char *out, size_t room, const volt_world *w, int rank);
/* This rank of this world as `mine` failed: "rank 3 (node7): SENTENCE". */
void volt_world_describe(volt_failure *out, const volt_world *w, volt_status mine,
                         const char *sentence);

/* ---- messages ---- */

/* As volt_comm_start, with a key that collective calls have for themselves. */
VOLT_MUST_USE volt_status volt_comm_post(volt_ticket **ticket, volt_comm *c,
                                         const volt_message *send, int sends,
                                         const volt_message *receive, int receives, int key);
/* One message each way, and waits. NULL: none. */
VOLT_MUST_USE volt_status volt_comm_swap(volt_comm *c, const volt_message *send,
                                         const volt_message *receive, int tag);
/* At least `bytes` of memory that stays until the next call. */
VOLT_MUST_USE volt_status volt_comm_scratch(void **out, volt_comm *c, size_t bytes);

/* Tags of collective calls. */
enum {
    VOLT_TAG_BARRIER = 1,
    VOLT_TAG_BROADCAST,
    VOLT_TAG_GATHER,
    VOLT_TAG_RING = 1024 /* and up */
};

#endif
