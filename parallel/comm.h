/* comm.h - communicators: groups of ranks that exchange messages.
 *
 * A rank is a process under MPI, or a thread (ranks.h). NULL is a communicator of one rank.
 * Nothing blocks for ever: a wait ends when its messages have arrived, when another rank has
 * failed, or at its time-out. After a failure all further calls fail with it.
 *
 * Collective  calls that all ranks of the communicator make, in the same order; the others are
 *             local. Results of sums are the same bits on all ranks, whatever the timing.
 * Errors      VOLT_EPEER: another rank failed; the sentence begins with its number and host.
 *             VOLT_ETIMEOUT names the ranks that were waited for. VOLT_ECOMM: MPI failed.
 * Memory      buffers of messages belong to the library until the wait. To close a communicator
 *             while messages are under way is a failure of this rank.
 * Threads     a communicator is used by one thread at a time; different ones, also those split
 *             from one, may be used at the same time, except that a rank splits one at a time.
 *             volt_comm_fail is thread-safe.
 */
#ifndef VOLT_PARALLEL_COMM_H
#define VOLT_PARALLEL_COMM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_comm volt_comm;
typedef struct volt_ticket volt_ticket; /* messages under way */

/* `kind` is "self" (one rank), "mpi", or "auto": "mpi" if a launcher of MPI started this
 * process, else "self". Collective for MPI, which is opened once per process; versions, byte
 * orders and hosts are exchanged. VOLT_ENOTSUP: MPI or VOLT's plug-in for it is not installed;
 * VOLT_EINVAL: the ranks' versions differ. The caller owns *out. */
VOLT_CALL volt_comm_open(volt_comm **out, const char *kind);
/* NULL is allowed. The last one of MPI's communicators ends MPI, which is collective unless a
 * rank failed. Communicators split from `c` stay. */
VOLT_API void volt_comm_close(volt_comm *c);

VOLT_API int volt_comm_rank(const volt_comm *c);
VOLT_API int volt_comm_size(const volt_comm *c);
/* Name of the host of `rank`; borrowed from `c`, "" if there is no such rank. */
VOLT_API const char *volt_comm_host(const volt_comm *c, int rank);
/* Ranks of `c` on this rank's host, at least 1, and the number of this one among them. */
VOLT_API int volt_comm_host_ranks(const volt_comm *c);
VOLT_API int volt_comm_host_index(const volt_comm *c);
/* What carries the messages: "self", "threads", "Open MPI 4.1.4". Borrowed. */
VOLT_API const char *volt_comm_library(const volt_comm *c);

/* Collective; one at a time in a rank. Ranks of one `colour` (>= 0) form a communicator, in
 * ascending order of `key`, then of their rank in `c`. A rank of a negative colour gets NULL.
 * The caller closes *out. */
VOLT_CALL volt_comm_split(volt_comm **out, volt_comm *c, int colour, int key);

typedef struct volt_message {
    int peer; /* rank in the communicator; the own one is allowed */
    void *at;
    size_t bytes; /* the same at both ends; 0 is allowed */
} volt_message;

#define VOLT_TAG_MAX 16383

/* Local: starts sends and receives. A send meets the receive of the same peer and tag
 * (0..VOLT_TAG_MAX); several of them meet in the order in which they were started. The ticket
 * is the caller's, who ends it by volt_comm_wait, also after a failure. VOLT_EINVAL. */
VOLT_CALL volt_comm_start(volt_ticket **ticket, volt_comm *c, const volt_message *send,
                          int sends, const volt_message *receive, int receives, int tag);
/* Waits for all messages of a ticket, frees it and sets *ticket to NULL, also when it fails;
 * NULL is done already. Buffers then are the caller's again. */
VOLT_CALL volt_comm_wait(volt_comm *c, volt_ticket **ticket);
/* Local: does not wait. Where all messages of a ticket are done, frees it and sets *ticket to
 * NULL, as the wait does; also when it fails. A ticket that is NULL may be tested: whether any
 * rank failed. */
VOLT_CALL volt_comm_test(volt_comm *c, volt_ticket **ticket);
/* Local and cheap: lets messages under way advance. To be called between pieces of work. */
VOLT_API void volt_comm_progress(volt_comm *c);

/* Collective. Replaces data[i] by the sum of all ranks' data[i], added in the order of ranks.
 * For few numbers: every rank's numbers are sent to all. */
VOLT_CALL volt_comm_sum_f64(volt_comm *c, double *data, int64_t count);
/* Collective. Starts the same sum for many numbers: a ring, which adds the part p of `size`
 * parts in the order of ranks p, p + 1, ..., p - 1. Every rank sends 2 (size - 1) / size of the
 * data. `scratch` has volt_comm_sum_scratch(c, count) bytes and, as `data`, belongs to the
 * library until the wait. Several sums advance at the same time. */
VOLT_CALL volt_comm_sum_f32_start(volt_ticket **ticket, volt_comm *c, float *data,
                                  int64_t count, void *scratch);
VOLT_API size_t volt_comm_sum_scratch(const volt_comm *c, int64_t count);
/* Collective. `data` of `root` becomes that of all. */
VOLT_CALL volt_comm_broadcast(volt_comm *c, void *data, size_t bytes, int root);
/* Collective. `out` gets `bytes_each` of every rank, in the order of ranks. */
VOLT_CALL volt_comm_all_gather(volt_comm *c, void *out, const void *own, size_t bytes_each);
VOLT_CALL volt_comm_barrier(volt_comm *c);

/* Collective. VOLT_OK if `mine` is VOLT_OK on all ranks; else all get status and sentence of
 * the lowest rank that failed, behind its number and host. `mine` comes with this thread's
 * last sentence. */
VOLT_CALL volt_comm_agree(volt_comm *c, volt_status mine);
/* Collective. All get status and sentence of what rank 0 has done alone; `mine` of the others
 * does not count. Not volt_comm_agree: that it was rank 0 does not matter to the user. */
VOLT_CALL volt_comm_follow(volt_comm *c, volt_status mine);
/* Collective. VOLT_EINVAL, "ranks 0 and 3 differ in WHAT", on all ranks unless all have the
 * same bytes. */
VOLT_CALL volt_comm_same(volt_comm *c, const char *what, const void *data, size_t bytes);

/* Local: tells all ranks of all communicators that this one failed, with this thread's last
 * sentence; their waits return VOLT_EPEER. Only the first failure counts. */
VOLT_API void volt_comm_fail(volt_comm *c, volt_status st);
/* Local: whether a failure of this or another rank has been told, as far as is known here. */
VOLT_API bool volt_comm_has_failed(const volt_comm *c);

/* Messages and bytes that this rank sent since `c` was opened, those of communicators split
 * from it included. NULL is allowed for each. */
VOLT_API void volt_comm_counts(const volt_comm *c, int64_t *messages, int64_t *bytes);
/* Seconds in waits, counted likewise. */
VOLT_API double volt_comm_waited(const volt_comm *c);
/* The longest time of one wait, for all communicators of this rank. By default, and with 0,
 * there is no limit while any rank makes progress: after 600 s without, waits end. */
VOLT_API void volt_comm_set_timeout(volt_comm *c, double seconds);
/* Asked now and then by the thread of this rank that waits, for all of its communicators: where
 * it returns true, the wait ends with VOLT_ECANCELLED, and with it the work of all ranks, as
 * after any failure. NULL ends it, and is the default. */
typedef bool volt_comm_cancelled(void *user);
VOLT_API void volt_comm_set_cancelled(volt_comm *c, volt_comm_cancelled *cancelled, void *user);

/* ---- the end of a program whose ranks are processes ----
 *
 * A launcher kills all processes of a job soon after one of them has died, and a rank that
 * waits in MPI's own end never ends. So a program calls volt_comm_watch before it works, and
 * volt_comm_conclude after that. If this returns a failure, the rank that speaks prints it, and
 * all call volt_comm_abort. examples/ranks.c is such a program.
 *
 * These calls do nothing with ranks that are threads, which all "speak". */

/* Called from a thread of the library. */
typedef void volt_comm_lost(void *user, volt_status st, const char *sentence);
/* Local. `lost` is called once, on the rank that speaks, if another rank failed or is missing
 * and this one has not come to volt_comm_conclude for some time (0.4 s if a process died, else
 * 5 s), or closes the last communicator after its own work went well: it prints the sentence
 * and calls volt_comm_abort. Under MPICH's launcher, which kills all ranks at once, a forked
 * child of rank 0 may call it: it must not take locks, and write(2) is better than stdio. To be
 * set before work begins; NULL ends it. */
VOLT_API void volt_comm_watch(volt_comm *c, volt_comm_lost *lost, void *user);
/* Local; once, when this rank's work has ended with `st`. Tells the others of a failure and
 * returns the one to report, this thread's last sentence: the job's first one, which may be
 * that of another rank; VOLT_EPEER if a rank is missing. After VOLT_ECANCELLED it waits 0.5 s
 * for news of a rank that is. *speaks: this rank is the one that prints it. */
VOLT_CALL volt_comm_conclude(volt_comm *c, volt_status st, bool *speaks);
/* Local: ends the processes of all ranks with exit code `st`, this one included. A rank that
 * does not speak waits for the one that does. */
VOLT_API void volt_comm_abort(volt_comm *c, volt_status st);

VOLT_END_DECLS
#endif
