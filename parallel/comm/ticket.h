/* ticket.h - messages under way: plain ones, or those of a ring sum, which follow each other.
 *
 * Threads   as the communicator's.
 */
#ifndef VOLT_PARALLEL_COMM_TICKET_H
#define VOLT_PARALLEL_COMM_TICKET_H
#include "parallel/comm/comm_internal.h"

typedef struct volt_part {
    void *handle; /* of the back end; NULL: done */
    int peer;     /* of the world */
} volt_part;

#define VOLT_RING_SENDS    4 /* under way at a time */
#define VOLT_RING_RECEIVES 2

/* Operation k of `total` receives piece k % pieces of one part of the data; the first half adds
 * it, the second half stores it. The send of the same number goes to the next rank. */
typedef struct volt_ring {
    int key;
    float *data, *scratch;
    int64_t count, pieces, piece_floats;
    int64_t total;                   /* operations; 0: no ring */
    int64_t sent, sent_done;         /* sends started, and done in order */
    int64_t posted, received;        /* receives started, and done in order */
    volt_part send[VOLT_RING_SENDS]; /* of operation k: k % VOLT_RING_SENDS */
    volt_part receive[VOLT_RING_RECEIVES];
} volt_ring;

struct volt_ticket {
    volt_ticket *next, **link; /* in the communicator's list */
    int parts, room;
    volt_status failed; /* of a message, which is gone: the ticket is not done, ever */
    volt_part *part;    /* owned, `room` of them */
    volt_ring ring;
};

/* A ticket with room for `parts` messages, in the list of those under way. */
VOLT_MUST_USE volt_status volt_ticket_take(volt_ticket **out, volt_comm *c, int parts);
/* Out of the list; messages that are not done are given up. */
void volt_ticket_put(volt_comm *c, volt_ticket **ticket);
/* Starts one message of a ticket or ring; counts it if it is a send. */
VOLT_MUST_USE volt_status volt_part_send(volt_comm *c, volt_part *p, int peer, int key,
                                         const void *at, size_t bytes);
VOLT_MUST_USE volt_status volt_part_receive(volt_comm *c, volt_part *p, int peer, int key,
                                            void *at, size_t bytes);
/* *p is done when its handle is NULL afterwards. */
VOLT_MUST_USE volt_status volt_part_test(volt_comm *c, volt_part *p);
/* Advances; *done: all messages are. */
VOLT_MUST_USE volt_status volt_ring_drive(volt_comm *c, volt_ring *r, bool *done);

#endif
