/* board.h - the first failure of a world, where all its ranks, or all threads of one, see it.
 *
 * Threads   all calls are thread-safe.
 */
#ifndef VOLT_PARALLEL_COMM_BOARD_H
#define VOLT_PARALLEL_COMM_BOARD_H
#include <pthread.h>
#include <stdbool.h>
#include "base/status.h"
#include "parallel/comm/backend.h"

typedef struct volt_failure {
    volt_status status;
    int rank; /* of the world, that failed, or is missing: VOLT_EPEER */
    char sentence[VOLT_COMM_SENTENCE];
} volt_failure;

typedef struct volt_board {
    pthread_mutex_t lock;
    int failed;           /* atomic */
    volt_failure failure; /* does not change once `failed` */
} volt_board;

void volt_board_init(volt_board *b);
void volt_board_free(volt_board *b);
/* Whether it was the first one; later ones are ignored. */
bool volt_board_post(volt_board *b, const volt_failure *failure);
/* NULL: none. Borrowed from `b`. */
const volt_failure *volt_board_look(const volt_board *b);

#endif
