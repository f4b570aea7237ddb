#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "parallel/comm/plugin.h"
#include "parallel/comm/threads.h"
#include "parallel/comm/comm_internal.h"

static void own_host(char name[VOLT_COMM_HOST_NAME])
{
    if (gethostname(name, VOLT_COMM_HOST_NAME - 1) != 0)
        snprintf(name, VOLT_COMM_HOST_NAME, "unknown");
    name[VOLT_COMM_HOST_NAME - 1] = '\0';
}

static void wake_crowd(volt_world *w)
{
    volt_crowd_wake(w->state);
}

volt_status volt_threads_comm(volt_comm **out, volt_crowd *crowd, int rank, int size)
{
    volt_world *w = NULL;
    volt_status st = volt_world_make(&w, &volt_backend_threads, volt_crowd_rank(crowd, rank),
                                     rank, size, volt_crowd_board(crowd));

    if (st != VOLT_OK) {
        volt_crowd_release(crowd);
        return st;
    }
    own_host(w->host[0].name);
    for (int i = 1; i < size; i++)
        w->host[i] = w->host[0];
    w->wake = wake_crowd;
    st = volt_world_comm(out, w);
    if (st != VOLT_OK)
        volt_world_release(w);
    return st;
}

static volt_status open_self(volt_comm **out)
{
    volt_crowd *crowd = NULL;
    volt_status st = volt_crowd_make(&crowd, 1);

    if (st != VOLT_OK)
        return st;
    st = volt_threads_comm(out, crowd, 0, 1);
    volt_crowd_release(crowd);
    return st;
}

volt_status volt_comm_open(volt_comm **out, const char *kind)
{
    if (strcmp(kind, "self") == 0)
        return open_self(out);
    if (strcmp(kind, "mpi") == 0)
        return volt_plugin_open(out);
    if (strcmp(kind, "auto") == 0)
        return volt_plugin_launched() ? volt_plugin_open(out) : open_self(out);
    return volt_fail(VOLT_EINVAL, "unknown kind of communicator '%s': self, mpi or auto", kind);
}
