#include "parallel/comm/board.h"

#include <stdio.h>
#include <string.h>
#include "parallel/comm/comm_internal.h"

void volt_board_init(volt_board *b)
{
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
}

void volt_board_free(volt_board *b)
{
    pthread_mutex_destroy(&b->lock);
}

bool volt_board_post(volt_board *b, const volt_failure *failure)
{
    bool first;

    pthread_mutex_lock(&b->lock);
    first = !__atomic_load_n(&b->failed, __ATOMIC_ACQUIRE);
    if (first) {
        b->failure = *failure;
        __atomic_store_n(&b->failed, 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&b->lock);
    return first;
}

const volt_failure *volt_board_look(const volt_board *b)
{
    return __atomic_load_n(&b->failed, __ATOMIC_ACQUIRE) ? &b->failure : NULL;
}

void volt_world_name(char *out, size_t room, const volt_world *w, int rank)
{
    snprintf(out, room, "rank %d (%s)", rank, w->host[rank].name);
}

/* "rank 3 (node1): ...", as volt_comm_agree() gives it to all. */
static bool names_rank(const char *sentence)
{
    int rank, end = 0;

    return sscanf(sentence, "rank %d (%*[^)])%n", &rank, &end) == 1 && end > 0 &&
           strncmp(sentence + end, ": ", 2) == 0;
}

void volt_world_describe(volt_failure *out, const volt_world *w, volt_status mine,
                         const char *sentence)
{
    char name[VOLT_COMM_HOST_NAME + 32];

    volt_world_name(name, sizeof name, w, w->rank);
    out->status = mine;
    out->rank = w->rank;
    /* Of a request to stop, it does not matter who had it. */
    if (w->size == 1 || mine == VOLT_ECANCELLED || names_rank(sentence))
        snprintf(out->sentence, sizeof out->sentence, "%s", sentence);
    else
        snprintf(out->sentence, sizeof out->sentence, "%s: %.900s", name,
                 *sentence ? sentence : volt_status_text(mine));
}

bool volt_world_speaks(const volt_world *w)
{
    const volt_failure *f = volt_board_look(w->board);

    return w->rank == (f && f->status == VOLT_EPEER && f->rank == 0);
}
