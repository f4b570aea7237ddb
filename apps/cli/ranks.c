/* ranks.c - commands whose processes a launcher of MPI starts together: rank 0 reads, decides,
 * prints and reports for all of them. */
#include <stdio.h>
#include <string.h>
#include "apps/cli/cli.h"
#include "base/core/fail.h"

#define PATIENCE_S 1e8 /* while rank 0 prepares a data set */

volt_status cli_open_ranks(cli *c, int count, char **argv)
{
    bool parts = false, mesh = false;
    volt_status st;

    for (int i = 0; i < count; i++) {
        parts = parts || strncmp(argv[i], "--part", 6) == 0;
        mesh = mesh || strncmp(argv[i], "--mesh", 6) == 0;
    }
    if (parts && !mesh) /* processes that share the work themselves */
        return VOLT_OK;
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

volt_status cli_follow(cli *c, volt_status mine)
{
    volt_status st;

    if (!c->comm)
        return mine;
    volt_comm_set_timeout(c->comm, PATIENCE_S);
    st = volt_comm_follow(c->comm, mine);
    volt_comm_set_timeout(c->comm, 0);
    return st;
}

/* Whether `sentence` is `own` behind the rank that was first to fail with it. */
static bool is_own(const char *sentence, const char *own)
{
    const size_t length = strlen(sentence), end = strlen(own);

    return *own && length > end && strcmp(sentence + length - end, own) == 0;
}

/* Whether this rank has told the others of a failure that they did not have themselves, as they
 * have those of the command line. */
static bool failed_alone(const cli *c, volt_status st)
{
    char name[32];

    snprintf(name, sizeof name, "rank %d (", volt_comm_rank(c->comm));
    return st != VOLT_EINVAL && st != VOLT_ECANCELLED &&
           strncmp(volt_last_error(), name, strlen(name)) == 0;
}

volt_status cli_conclude(cli *c, volt_status st)
{
    const volt_status mine = st;
    char own[1024];
    bool speaks, told;

    if (!c->comm)
        return st;
    snprintf(own, sizeof own, "%s", volt_last_error());
    told = volt_comm_has_failed(c->comm);
    st = volt_comm_conclude(c->comm, st, &speaks);
    c->silent = !speaks;
    if (st == mine && !(told && failed_alone(c, st)) &&
        (is_own(volt_last_error(), own) || st == VOLT_ECANCELLED))
        volt_set_last_error(own); /* what all ranks failed with */
    return st;
}
