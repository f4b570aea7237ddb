/* pipeline.h - from a data set's folder to prepared cases, doing only what is not done yet.
 *
 * What was made earlier lies in the work folder (io/workspace.h) and is used when it fits the
 * data set; each step that runs or is skipped says so as INFO.
 */
#ifndef VOLT_NETS3D_PIPELINE_H
#define VOLT_NETS3D_PIPELINE_H
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
#include "fingerprint.h"
#include "plan.h"
#include "precision.h"
#include "preprocess.h"
#include "../volume/orient.h"
VOLT_BEGIN_DECLS

typedef enum volt_stage {
    VOLT_STAGE_PLAN = 1,      /* checked, fingerprint and plan there */
    VOLT_STAGE_PREPROCESS = 2 /* and every case prepared */
} volt_stage;

typedef struct volt_pipeline_options {
    const char *dataset;        /* folder; NULL with data.images */
    volt_dataset_options data;  /* how it is opened */
    const char *work;           /* NULL = volt_workspace_open's rule */
    const char *configuration;  /* NULL = "3d_fullres", or "2d" where a plan has no other */
    const char *previous_stage; /* cascades: a run of the previous stage, or a folder of its
                                 * masks */
    volt_precision precision;   /* in which that run segments; VOLT_PRECISION_AUTO allowed */
    volt_stage until;
    bool replan;    /* make fingerprint and plan anew, also when they are there */
    bool overwrite; /* prepare all cases anew */
    volt_planner_options planner;
    bool memory_auto; /* planner.memory_gb = the most that can be trained on this machine */
    const volt_plan_extra *extra; /* configurations to add to the plan; */
    int extras;                   /* so many. 2p5d and 3d_whole are also added, with their
                                   * defaults, when `configuration` asks for them */
    volt_plane plane;             /* which slices 2p5d cuts, as the first case lies;
                                   * VOLT_PLANE_NONE = extra[].axis */
    int threads;                  /* 0 = default */
    const volt_callbacks *callbacks;
} volt_pipeline_options;

/* Zero-initialised is empty. */
typedef struct volt_pipeline {
    volt_dataset *dataset;
    char *work; /* the work folder */
    volt_fingerprint fingerprint;
    volt_plan *plan;
    const volt_plan_config *config; /* of `plan` */
    char *cases;                    /* folder of the prepared cases */
    char *prior_masks;  /* cascade: folder of the preprocessed prior masks; else NULL */
    char *previous_run; /* cascade: absolute path of the run that predicted them; NULL = they
                         * come from files */
    volt_preprocess_result preprocessed;
} volt_pipeline;
VOLT_API void volt_pipeline_clear(volt_pipeline *p);

/* Runs the steps. The caller owns what *out holds (volt_pipeline_clear). Warnings of the check
 * are logged; with an error in the data set all are logged and the call fails (VOLT_EDATA). A
 * plans.json in the work folder is used as it stands, hand-edited or not. */
VOLT_CALL volt_pipeline_run(volt_pipeline *out, const volt_pipeline_options *options);

VOLT_END_DECLS
#endif
