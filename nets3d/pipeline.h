/* pipeline.h - checks, plans and preprocesses a data set; does only what is missing.
 *
 * Results of earlier calls are in the work folder (io/workspace.h) and are used if they fit
 * the data set; a fingerprint and a plan have a key of its files (volt_fingerprint.data_key). A
 * plan or folds of other data are used with a warning. Each step, whether it runs or is
 * skipped, is logged as INFO.
 *
 * Threads   calls with different work folders may run at the same time. Callbacks are called
 *           from the calling thread and from worker threads, one at a time.
 */
#ifndef VOLT_NETS3D_PIPELINE_H
#define VOLT_NETS3D_PIPELINE_H
#include <stdbool.h>
#include <stddef.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
#include "../parallel/comm.h"
#include "../volume/orient.h"
#include "fingerprint.h"
#include "plan.h"
#include "precision.h"
#include "preprocess.h"
VOLT_BEGIN_DECLS

typedef enum volt_stage {
    VOLT_STAGE_PLAN = 1,      /* check, fingerprint and plan */
    VOLT_STAGE_PREPROCESS = 2 /* and every case preprocessed */
} volt_stage;

/* Zero-initialized is empty. */
typedef struct volt_pipeline {
    volt_dataset *dataset;
    char *work; /* the work folder */
    volt_fingerprint fingerprint;
    volt_plan *plan;
    const volt_plan_config *config; /* of `plan` */
    char *cases;                    /* folder of the preprocessed cases */
    char *prior_masks;  /* cascade: folder of the preprocessed prior masks; else NULL */
    char *previous_run; /* cascade: absolute path of the run that predicted them; NULL = they
                         * come from files */
    volt_preprocess_result preprocessed;
} volt_pipeline;
VOLT_API void volt_pipeline_clear(volt_pipeline *p);

typedef struct volt_pipeline_options {
    size_t size;                      /* set by volt_pipeline_defaults() */
    const char *dataset;              /* folder; NULL with data->images */
    const volt_dataset_options *data; /* how it is opened; NULL = defaults */
    const char *work;                 /* NULL = volt_workspace_open's rule */
    const char *configuration;  /* NULL = "3d_fullres", or "2d" if the plan has no other */
    const char *previous_stage; /* cascades: a run of the previous stage, or a folder of its
                                 * masks */
    volt_precision precision;   /* of that run; VOLT_PRECISION_AUTO allowed */
    volt_stage until;
    bool replan;                         /* create fingerprint and plan again */
    bool overwrite;                      /* preprocess all cases again */
    const volt_planner_options *planner; /* NULL = defaults */
    bool memory_auto; /* planner->memory_gb = the most that can be trained on this machine */
    const volt_plan_extra *extra; /* configurations to add to the plan; */
    int extras;                   /* their number. 2p5d and 3d_whole are also added, with their
                                   * defaults, if `configuration` asks for them */
    volt_plane plane; /* slices of 2p5d, by the orientation of the first case; VOLT_PLANE_NONE =
                       * extra[].axis */
    int threads;      /* 0 = default */
    const volt_callbacks *callbacks;
    /* Called when data set, plan and configuration are known, before cases are preprocessed; a
     * failure ends the run. NULL = none. */
    volt_status (*planned)(void *user, const volt_pipeline *p);
    void *user;
    const int *fold;  /* folds to be trained: their splits are checked before any work */
    int folds;        /* their number; may be 0 */
    const char *like; /* run whose plan is taken instead of a new one, with the labels of this
                       * data set; `planner` and `memory_auto` do not count then. VOLT_EINVAL:
                       * its network takes another number of channels, or another plan exists
                       * and `replan` is false. NULL = plan */
    /* Called when the data set is open and nothing has been written; a failure ends the run.
     * NULL = none. */
    volt_status (*opened)(void *user, const volt_dataset *ds);
    /* Ranks that prepare together; borrowed; NULL = one. All call with the same options. Rank 0
     * does what needs no voxels of cases, alone calls `planned` and `opened`, and reports; then
     * all preprocess, and at last each opens the results. A rank whose work folder is its own
     * prepares it itself. A failure of rank 0 is that of all; those of other ranks are told
     * (VOLT_EPEER). */
    volt_comm *comm;
} volt_pipeline_options;

/* Until VOLT_STAGE_PREPROCESS, no data set. */
VOLT_API void volt_pipeline_options_init(volt_pipeline_options *o, size_t size);
static inline volt_pipeline_options volt_pipeline_defaults(void)
{
    volt_pipeline_options o;

    volt_pipeline_options_init(&o, sizeof o);
    return o;
}

/* Runs the steps. The caller owns what *out holds (volt_pipeline_clear). Warnings of the data
 * set's check are logged; if it finds errors, all are logged and the call fails (VOLT_EDATA). A
 * plans.json in the work folder is used as it is, edited by hand or not. For a cascade, prior
 * masks of all cases are predicted by networks that were not trained on them, or read from
 * files, and preprocessed.
 * VOLT_EINVAL: an option is out of range. */
VOLT_CALL volt_pipeline_run(volt_pipeline *out, const volt_pipeline_options *options);

VOLT_END_DECLS
#endif
