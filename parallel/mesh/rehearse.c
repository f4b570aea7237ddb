#include "parallel/mesh/rehearse.h"

#include <string.h>

#include "base/core/alloc.h"
#include "parallel/comm/rehearse.h"

volt_status volt_mesh_rehearse(volt_mesh **out, const int size[VOLT_MESH_AXES],
                               const int at[VOLT_MESH_AXES])
{
    const int places = size[VOLT_MESH_Z] * size[VOLT_MESH_Y] * size[VOLT_MESH_X];
    volt_mesh *m = NULL;
    int rank = 0, place;
    volt_status st;

    for (int a = 0; a < VOLT_MESH_AXES; a++)
        rank = rank * size[a] + at[a];
    place = rank / size[VOLT_MESH_STAGE] % places;
    VOLT_TRY(st, done, volt_alloc_zero(&m, 1, sizeof *m, "a mesh"));
    memcpy(m->size, size, sizeof m->size);
    memcpy(m->at, at, sizeof m->at);
    VOLT_TRY(st, done, volt_comm_rehearse(&m->world, rank, volt_mesh_ranks(size)));
    VOLT_TRY(st, done, volt_comm_rehearse(&m->data, at[VOLT_MESH_DATA], size[VOLT_MESH_DATA]));
    VOLT_TRY(st, done, volt_comm_rehearse(&m->space, place, places));
    VOLT_TRY(st, done,
             volt_comm_rehearse(&m->stage, at[VOLT_MESH_STAGE], size[VOLT_MESH_STAGE]));
    *out = m;
    m = NULL;
done:
    volt_mesh_end_rehearsal(m);
    return st;
}

void volt_mesh_end_rehearsal(volt_mesh *m)
{
    volt_comm *world = m ? m->world : NULL;

    volt_mesh_close(m);
    volt_comm_close(world);
}
