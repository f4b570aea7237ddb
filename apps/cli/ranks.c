/* ranks.c - commands whose processes a launcher of MPI starts together: rank 0 reads, decides,
 * prints and reports for all of them. */
#include <stdio.h>
#include <string.h>
#include "apps/cli/cli.h"
#include "base/core/fail.h"

#define PATIENCE_S 1e8 /* while rank 0 prepares a data set */

volt_status cli_open_ranks(cli *c, int count, char **argv)
{
    volt_status st;

    for (int i = 0; i < count; i++) {
        if (strncmp(argv[i], "--part", 6) == 0) /* processes that share the work themselves */
            return VOLT_OK;
    }
    VOLT_TRY(st, done, volt_comm_open(&c->comm, "auto"));
    if (volt_comm_size(c->comm) > 1)
        return VOLT_OK;
    volt_comm_close(c->comm);
    c->comm = NULL;
    st = cli_need_one_process(count, argv); /* a launcher of another kind */
done:
    return st;
}

bool cli_leads(const cli *c)
{
    return volt_comm_rank(c->comm) == 0;
}

volt_status cli_follow(const cli *c, volt_status mine)
{
    struct {
        int32_t status;
        char sentence[1024];
    } outcome = {.status = mine};
    volt_status st;

    if (!c->comm)
        return mine;
    if (mine != VOLT_OK)
        snprintf(outcome.sentence, sizeof outcome.sentence, "%s", volt_last_error());
    volt_comm_set_timeout(c->comm, PATIENCE_S);
    st = volt_comm_broadcast(c->comm, &outcome, sizeof outcome, 0);
    volt_comm_set_timeout(c->comm, 0);
    if (st != VOLT_OK || outcome.status == VOLT_OK)
        return st;
    volt_set_last_error(outcome.sentence);
    return (volt_status)outcome.status;
}

/* Rank 0 prints what went wrong, for all; if it is the one that is gone, the others do. */
static bool is_gone(volt_status st)
{
    return st == VOLT_ETIMEOUT && strstr(volt_last_error(), "rank 0 (");
}

volt_status cli_close_ranks(cli *c, volt_status st)
{
    if (!c->comm)
        return st;
    volt_comm_fail(c->comm, st);
    if (st == VOLT_EPEER && volt_comm_cause(c->comm) != VOLT_OK)
        st = volt_comm_cause(c->comm);
    c->silent = !cli_leads(c) && !is_gone(st);
    volt_comm_close(c->comm);
    c->comm = NULL;
    return st;
}
