/* rehearse.h - a mesh that one rank has for itself, as if it had peers (comm/rehearse.h): what
 * a rank would compile, hold and send.
 *
 * Threads   as any mesh.
 */
#ifndef VOLT_PARALLEL_MESH_REHEARSE_H
#define VOLT_PARALLEL_MESH_REHEARSE_H
#include "parallel/mesh.h"
VOLT_BEGIN_DECLS

/* The rank at place `at` of a mesh. The caller ends *out by volt_mesh_end_rehearsal. */
VOLT_MUST_USE volt_status volt_mesh_rehearse(volt_mesh **out, const int size[VOLT_MESH_AXES],
                                             const int at[VOLT_MESH_AXES]);
void volt_mesh_end_rehearsal(volt_mesh *m); /* NULL is allowed */

VOLT_END_DECLS
#endif
