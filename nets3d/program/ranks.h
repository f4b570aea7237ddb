/* ranks.h - a program as one rank's part of a computation: what it exchanges with the others.
 *
 * Threads  as for programs.
 */
#ifndef VOLT_NETS3D_PROGRAM_RANKS_H
#define VOLT_NETS3D_PROGRAM_RANKS_H
#include "nets3d/program/program_internal.h"
VOLT_BEGIN_DECLS

/* ranks.c */

/* Whether a program with this mesh (NULL allowed) has nobody to talk to. */
bool volt_mesh_is_alone(const volt_mesh *mesh);
/* Takes boxes and needs of rank `part`'s values from `of`, a program with its box. */
void volt_program_take_peer(volt_program *p, int part, const volt_program *of);
/* Samples of the whole batch, and the first of them that is a rank's own. */
typedef struct volt_batch_place {
    int64_t samples, first;
} volt_batch_place;
/* Collective over the world: finds them. In a rehearsal, whose peers seem to have n each, there
 * are `samples` (0 = unknown). */
VOLT_MUST_USE volt_status volt_program_place_batch(volt_batch_place *out, const volt_mesh *mesh,
                                                   int64_t n, int64_t samples);
/* Collective over the world: whether all ranks are about to compile the
 * same. */
VOLT_MUST_USE volt_status volt_program_meet(volt_program *p, const volt_mesh *mesh);
/* Collective over the space: gives this rank the restrictions of all; *again = it has to
 * compile once more, on some rank at least. */
VOLT_MUST_USE volt_status volt_program_share_restrictions(volt_program *p, bool *again);
/* Collective: VOLT_EINTERNAL where ranks exchange other things, or in another order. */
VOLT_MUST_USE volt_status volt_program_compare_exchanges(volt_program *p);
/* Bytes of the host's copies, and where they lie; 0 where the host reaches the device's. */
void volt_program_account_host(volt_program *p);
/* Between loss_sums and loss_gradient: the sums of all ranks, and the first bad label. */
VOLT_MUST_USE volt_status volt_program_sum_loss(volt_program *p, const volt_loss_call *call);
/* What a collective call returns: after a failure the others are told, and nothing of this rank
 * is on its way any more. */
VOLT_MUST_USE volt_status volt_program_leave(volt_program *p, volt_status st);
/* Waits for what is on its way, whatever comes of it. */
void volt_program_settle(volt_program *p);

/* gather.c */

/* Sets the box of rank `part` of the space, and what is gathered, unless it is given.
 * VOLT_EINVAL names the axis and the number of parts that can be; VOLT_ENOTSUP: stages
 * of a volume that is cut. */
VOLT_MUST_USE volt_status volt_program_cut(volt_program_options *o, const volt_graph *graph,
                                           int part);
/* Marks the values of gathered levels; adds units that gather values, and cut them, where their
 * readers want them. */
VOLT_MUST_USE volt_status volt_program_mark_gathered(volt_program *p);
VOLT_MUST_USE volt_status volt_program_insert_twins(volt_program *p);
/* This rank's part of a gathered value with these extents: the voxels whose labels it has. */
volt_box volt_program_own_part(const volt_program *p, const int64_t whole[3]);
void volt_program_deal(volt_program *p, double *work);

/* exchange.c */

/* Starts an exchange as volt_program_add_exchange does; *exchange is to be ended. */
VOLT_MUST_USE volt_status volt_program_start_exchange(volt_program *p, int unit, volt_value v,
                                                      const volt_place *place, bool gradient,
                                                      int *exchange);
VOLT_MUST_USE volt_status volt_program_end_exchange(volt_program *p, int unit, int exchange);
/* The same for `unit`, a regrid, whose parts at `from` make up the whole at `to`. */
VOLT_MUST_USE volt_status volt_program_start_gather(volt_program *p, int unit,
                                                    const volt_place *from,
                                                    const volt_place *to, int *exchange);
void volt_program_clear_plans(volt_program *p);
/* Creates the operators of a step VOLT_STEP_MARGINS or MARGINS_END. */
VOLT_MUST_USE volt_status volt_program_create_exchange(volt_program *p, volt_step *s);
/* Places the host's copies of messages from `offset` on; returns their end. */
size_t volt_program_host_exchanges(volt_program *p, size_t offset);
VOLT_MUST_USE volt_status volt_program_run_start(volt_program *p, const volt_step *s);
VOLT_MUST_USE volt_status volt_program_run_end(volt_program *p, const volt_step *s);
VOLT_MUST_USE volt_status volt_program_run_sum(volt_program *p, const volt_step *s);
/* The ranks that a step VOLT_STEP_SUMS adds over. */
volt_comm *volt_program_sums_comm(const volt_program *p, const volt_step *s);
/* What the step exchanges. */
void volt_program_count_messages(const volt_program *p, const volt_step *s,
                                 volt_step_info *out);
/* Doubles in device memory become their sums over the ranks of `comm`. */
VOLT_MUST_USE volt_status volt_program_sum_doubles(volt_program *p, volt_comm *comm,
                                                   double *sums, int64_t count);

/* Adds an exchange whose plan is there: its messages, without operators. A link's plan becomes
 * the exchange's own, also after a failure. */
VOLT_MUST_USE volt_status volt_program_push_exchange(volt_program *p, volt_exchange x);
VOLT_MUST_USE volt_status volt_program_add_exchange_step(volt_program *p, volt_step_kind kind,
                                                         int unit, int exchange);

/* overlap.c */

/* Divides operators whose result is exchanged, so that messages travel while they run. No more
 * memory lives at one time than before; all operators are there, and those of the parts. */
VOLT_MUST_USE volt_status volt_program_overlap(volt_program *p);

/* stages.c */

/* With a mesh of several stages leaves only the units of this rank's, and those that receive.
 * VOLT_EINVAL: more stages than units. */
VOLT_MUST_USE volt_status volt_program_take_stage(volt_program *p);
/* The unit of any stage that makes v; NULL without stages. */
const volt_unit *volt_program_maker(const volt_program *p, volt_value v);
/* Outputs and the loss are with the last stage. */
static inline bool volt_program_has_outputs(const volt_program *p)
{
    return !p->stages || p->stage == volt_comm_size(p->stages) - 1;
}
/* Add steps: the value of `unit`, at its place, goes to all stages that read it, */
VOLT_MUST_USE volt_status volt_program_send_value(volt_program *p, int unit);
/* comes from the one that makes it; */
VOLT_MUST_USE volt_status volt_program_receive_value(volt_program *p, int unit);
/* its gradient at `place` goes to the one that makes it, */
VOLT_MUST_USE volt_status volt_program_send_gradient(volt_program *p, int unit,
                                                     const volt_place *place);
/* comes from `stage`. */
VOLT_MUST_USE volt_status volt_program_receive_gradient(volt_program *p, int unit, int stage,
                                                        const volt_place *place);
/* Memory for the tickets of all arenas, once exchanges are complete. */
VOLT_MUST_USE volt_status volt_program_open_links(volt_program *p);
static inline volt_ticket **volt_program_link(const volt_program *p, int arena, int exchange)
{
    return &p->links[arena * (p->exchange_count + 1) + exchange];
}
/* Waits for what the last pass in the arena in use has sent. */
VOLT_MUST_USE volt_status volt_program_end_sends(volt_program *p);

/* buckets.c */

VOLT_MUST_USE volt_status volt_program_plan_buckets(volt_program *p);
/* Adds the steps that start the buckets which the current slot completes, */
VOLT_MUST_USE volt_status volt_program_start_buckets(volt_program *p);
/* and those that end all. */
VOLT_MUST_USE volt_status volt_program_end_buckets(volt_program *p);
/* What the sum of an average takes of the scratch. */
size_t volt_program_bucket_scratch(const volt_program *p);
/* Bytes of the host's copies. */
size_t volt_program_host_buckets(const volt_program *p);
VOLT_MUST_USE volt_status volt_program_run_bucket(volt_program *p, const volt_step *s);
VOLT_MUST_USE volt_status volt_program_sum_average(volt_program *p);

/* Zeros in device memory. */
VOLT_MUST_USE volt_status volt_program_zero(volt_program *p, float *at, int64_t count);

VOLT_END_DECLS
#endif
