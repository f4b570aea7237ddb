/* mesh.h - ranks as a grid: replicas of a network, parts of a volume, stages of the network.
 *
 * Axes     data: ranks with different samples; z, y, x: ranks with different parts of the same
 *          samples, along the axes d, h, w; stage: ranks with different layers.
 * Order    rank = (((data * Z + z) * Y + y) * X + x) * S + stage, so that ranks which exchange
 *          most are next to each other, on the same host where launchers fill hosts in order.
 * Text     "data=2,z=2,x=2": axes in any order, each at most once; those left out are 1.
 *
 * Threads  volt_mesh_open and volt_mesh_close are collective: every rank calls them, from one
 *          thread each. A mesh is used as its communicators are (comm.h); any thread may parse.
 */
#ifndef VOLT_PARALLEL_MESH_H
#define VOLT_PARALLEL_MESH_H
#include "../base/status.h"
#include "comm.h"
VOLT_BEGIN_DECLS

typedef enum volt_mesh_axis {
    VOLT_MESH_DATA,
    VOLT_MESH_Z,
    VOLT_MESH_Y,
    VOLT_MESH_X,
    VOLT_MESH_STAGE,
    VOLT_MESH_AXES
} volt_mesh_axis;

typedef struct volt_mesh {
    int size[VOLT_MESH_AXES], at[VOLT_MESH_AXES]; /* 0 <= at < size */
    volt_comm *world;                             /* borrowed from whoever opened the mesh */
    volt_comm *data;  /* ranks with the same place in all other axes: rank at[data] of them */
    volt_comm *space; /* ranks with the same samples and stage: rank (z * Y + y) * X + x */
    volt_comm *stage; /* ranks with the same samples and place: rank at[stage] */
} volt_mesh;

/* Reads a mesh for `ranks` ranks; with 0 ranks any number will do. VOLT_EINVAL names the part
 * of the text that is wrong, or the nearest meshes that have `ranks`. */
VOLT_CALL volt_mesh_parse(int size[VOLT_MESH_AXES], const char *text, int ranks);
#define VOLT_MESH_TEXT 96
/* Writes the mesh as text, axes of 1 left out ("data=1" if all are); returns `text`. */
VOLT_API const char *volt_mesh_text(char text[VOLT_MESH_TEXT], const int size[VOLT_MESH_AXES]);
/* Ranks of a mesh, 0 if they are more than fit an int. */
VOLT_API int volt_mesh_ranks(const int size[VOLT_MESH_AXES]);

/* Collective over `world`, which is borrowed until volt_mesh_close. The caller owns *out.
 * VOLT_EINVAL: the world has another number of ranks. */
VOLT_CALL volt_mesh_open(volt_mesh **out, volt_comm *world, const int size[VOLT_MESH_AXES]);
VOLT_API void volt_mesh_close(volt_mesh *m); /* NULL is allowed */

VOLT_END_DECLS
#endif
