/* setting.h - what a recipe makes of a configuration: program, batches and memory of a rank.
 *
 * Sessions (session.h) and the table of meshes (mesh_plan.h) take them from here, so what the
 * table promises is what training holds.
 *
 * Threads   no shared state.
 */
#ifndef VOLT_NETS3D_TRAIN_SETTING_H
#define VOLT_NETS3D_TRAIN_SETTING_H
#include "nets3d/data/loader.h"
#include "nets3d/model.h"
#include "nets3d/program.h"
#include "nets3d/train/targets.h"
#include "nets3d/trainer.h"
VOLT_BEGIN_DECLS

/* All borrowed. */
typedef struct volt_train_setting {
    const volt_recipe *recipe; /* with its batch */
    volt_precision precision;
    uint64_t seed;
    const volt_device *device;
    int ranks, threads; /* threads: of each rank, > 0 */
    int64_t patch[3];
    /* What batches are made of; config NULL = no batches are made. */
    const volt_plan *plan;
    const volt_plan_config *config; /* of `plan` */
    const volt_dataset_info *info;
    const volt_train_targets *targets;
    int loader_threads; /* as in volt_train_options */
    bool validates;     /* there are cases to validate on */
} volt_train_setting;

/* Whether Dice is computed over the whole batch. */
bool volt_setting_batch_dice(const volt_train_setting *t);
/* The network `net` as the recipe trains it. The caller owns *out (volt_graph_free). */
VOLT_MUST_USE volt_status volt_setting_graph(volt_graph **out, const volt_train_setting *t,
                                             const volt_network *net);
/* Without samples, mesh and what the recipe freezes. */
volt_program_options volt_setting_program(const volt_train_setting *t);
/* Without store, cases, first batch and samples. */
volt_loader_options volt_setting_loader(const volt_train_setting *t, bool validation);
/* Of a rank that has `samples` of each part of a batch, `parts` ranks splitting them into boxes
 * no larger than `most`; *pm is its program's. Stages (stages.h) are not counted. */
volt_train_memory volt_setting_memory(const volt_train_setting *t, const volt_graph *graph,
                                      const volt_program_memory *pm, int64_t samples, int parts,
                                      volt_box most);

VOLT_END_DECLS
#endif
