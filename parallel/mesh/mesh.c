#include "parallel/mesh.h"

#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"

/* The place of a rank, and its number among those that differ from it in space only. */
static int place(int at[VOLT_MESH_AXES], const int size[VOLT_MESH_AXES], int rank)
{
    for (int a = VOLT_MESH_AXES - 1; a >= 0; a--) {
        at[a] = rank % size[a];
        rank /= size[a];
    }
    return (at[VOLT_MESH_Z] * size[VOLT_MESH_Y] + at[VOLT_MESH_Y]) * size[VOLT_MESH_X] +
           at[VOLT_MESH_X];
}

volt_status volt_mesh_open(volt_mesh **out, volt_comm *world, const int size[VOLT_MESH_AXES])
{
    const int ranks = volt_comm_size(world), stages = size[VOLT_MESH_STAGE];
    char text[VOLT_MESH_TEXT];
    volt_mesh *m = NULL;
    int in_space, spaces;
    volt_status st;

    if (volt_mesh_ranks(size) != ranks)
        return volt_fail(VOLT_EINVAL, "mesh %s does not have the %d rank%s there are",
                         volt_mesh_text(text, size), ranks, volt_s(ranks));
    st = volt_comm_agree(world, volt_alloc_zero(&m, 1, sizeof *m, "a mesh"));
    if (st != VOLT_OK)
        goto done;
    m->world = world;
    memcpy(m->size, size, sizeof m->size);
    in_space = place(m->at, size, volt_comm_rank(world));
    spaces = size[VOLT_MESH_Z] * size[VOLT_MESH_Y] * size[VOLT_MESH_X];
    VOLT_TRY(st, done,
             volt_comm_split(&m->data, world, in_space * stages + m->at[VOLT_MESH_STAGE],
                             m->at[VOLT_MESH_DATA]));
    VOLT_TRY(st, done,
             volt_comm_split(&m->space, world,
                             m->at[VOLT_MESH_DATA] * stages + m->at[VOLT_MESH_STAGE],
                             in_space));
    VOLT_TRY(st, done,
             volt_comm_split(&m->stage, world, m->at[VOLT_MESH_DATA] * spaces + in_space,
                             m->at[VOLT_MESH_STAGE]));
    *out = m;
    m = NULL;
done:
    volt_mesh_close(m);
    return st;
}

void volt_mesh_close(volt_mesh *m)
{
    if (!m)
        return;
    volt_comm_close(m->stage);
    volt_comm_close(m->space);
    volt_comm_close(m->data);
    volt_free(m);
}
