/* session.h - everything a run holds while it trains; opened, saved and closed together. */
#ifndef VOLT_NETS3D_TRAIN_SESSION_H
#define VOLT_NETS3D_TRAIN_SESSION_H
#include "base/mem.h"
#include "base/system/owner.h"
#include "nets3d/program.h"
#include "nets3d/program/optimizer.h"
#include "nets3d/run/found.h"
#include "nets3d/run/state.h"
#include "nets3d/train/feed.h"
#include "nets3d/train/ranks.h"
#include "nets3d/train/setting.h"
#include "nets3d/train/targets.h"
#include "nets3d/train/warnings.h"
#include "nets3d/trainer.h"
VOLT_BEGIN_DECLS

typedef struct volt_session {
    const volt_train_data *data;
    const volt_train_options *options; /* complete, with its recipe */
    const volt_callbacks *cb;
    volt_callbacks only_cancel; /* cb of ranks that report nothing */
    const char *run;
    volt_owner *owner;         /* of the run's folder */
    char *latest, *best, *log; /* paths */
    char *plan_text, *info_text;
    bool resumed;
    bool changed;  /* resumed, with another length */
    bool ended;    /* resumed, with nothing left to do */
    int missing;   /* folders of the run's path that were not there before */
    bool writing;  /* all checks are done */
    bool unfitted; /* the schedule for its budget has not been measured yet */

    volt_train_ranks ranks;
    volt_box box;       /* of the patch: what this rank computes */
    double waited_from; /* volt_train_ranks_waited() when the epoch began */

    volt_train_recipe recipe; /* the same on all ranks, but for `threads`; */
    volt_train_state state;   /* its times are rank 0's after each epoch */
    volt_device *device;
    volt_graph *graph;
    volt_program *program;
    volt_optimizer *optimizer;
    volt_feed *train, *validation; /* validation NULL without cases */
    float *part_images;   /* of all parts of a batch, on the first of several stages; */
    int16_t *part_labels; /* on the last */
    volt_loss_options loss;
    volt_train_memory memory;
    double *scale;  /* of each parameter's rate; NULL = 1 each */
    float *staging; /* (1 + slots, parameters) on the host; NULL where the device's memory is */

    volt_train_targets targets;
    volt_train_warnings warnings;
    int64_t *counts;      /* tp, fp, fn: (3, outputs) */
    double *dice;         /* (outputs - first) of the last validation */
    double accuracy;      /* of the last validation */
    int64_t here;         /* iterations of this call */
    double paced_from;    /* volt_seconds() after the first of them */
    double opened_at;     /* volt_seconds() minus the seconds of the parts before */
    double saved_at;      /* volt_seconds() of the last checkpoint */
    volt_mem_scope scope; /* of the run, from opening to closing */
} volt_session;

/* *there: `run` contains a run to resume. VOLT_EDATA: it does, but is not to be resumed (one
 * without iterations does not count then); or it contains other files that a new run would
 * replace. */
VOLT_MUST_USE volt_status volt_train_may_begin(bool *there, const char *run, bool resume);
/* *out: nothing is left to do, as the length asked for is the one that the run has reached, and
 * its summary is written. */
VOLT_MUST_USE volt_status volt_run_has_ended(bool *out, const char *run,
                                             const volt_train_options *o,
                                             const volt_train_recipe *recipe,
                                             const volt_train_state *state);

/* Checks the request and sets recipe and state: those of a new run, or of its latest
 * checkpoint. All ranks get what rank 0 reads. */
VOLT_MUST_USE volt_status volt_session_setup(volt_session *s);
/* Opens the device, and chooses threads, precision and how the ranks share batches. */
VOLT_MUST_USE volt_status volt_session_place(volt_session *s);
/* Makes every check of the run in folder `run`, up to the memory of its network and its initial
 * weights, and creates nothing. The session is to be closed in any case. */
VOLT_MUST_USE volt_status volt_session_check(volt_session *s, const char *run,
                                             const volt_train_data *data,
                                             const volt_train_options *options,
                                             const volt_callbacks *cb);
/* Opens the run in folder `run`: a new one, or from its latest checkpoint. The session is to be
 * closed in any case. If it has ended, nothing is opened. Loaders are opened separately because
 * the schedule may have to be measured first. */
VOLT_MUST_USE volt_status volt_session_open(volt_session *s, const char *run,
                                            const volt_train_data *data,
                                            const volt_train_options *options,
                                            const volt_callbacks *cb);
/* Removes what the call created for a new run that has no iteration. */
void volt_session_discard(volt_session *s);
void volt_session_close(volt_session *s);
/* Recipe and data of the session, which it borrows, and what else decides what ranks hold. */
volt_train_setting volt_session_setting(const volt_session *s);
/* What the loaders are opened with. */
volt_loader_options volt_session_loader_options(const volt_session *s, bool validation);
/* Opens the loaders at the iteration of the state, closing open ones first. */
VOLT_MUST_USE volt_status volt_session_open_loaders(volt_session *s);
void volt_session_close_loaders(volt_session *s);
/* Rank 0 writes checkpoint_latest (with optimizer state) or checkpoint_best (without). */
VOLT_MUST_USE volt_status volt_session_save_latest(volt_session *s);
VOLT_MUST_USE volt_status volt_session_save_best(volt_session *s);
/* Rank 0 writes plan and data set into the run's folder, copies for the reader (checkpoints
 * carry their own), and cuts the log back to the epochs of the state. */
VOLT_MUST_USE volt_status volt_session_describe(volt_session *s);
/* Fails unless all ranks have the same parameters. */
VOLT_MUST_USE volt_status volt_session_compare_parameters(volt_session *s);
/* Resets the optimizer to its first step. */
VOLT_MUST_USE volt_status volt_session_clear_optimizer(volt_session *s);
/* Starts the loss of a batch of `feed`, whose images were given to the program. */
VOLT_MUST_USE volt_status volt_session_loss(volt_session *s, volt_feed *feed,
                                            const volt_batch *batch, bool gradient);
/* An update from the gradients that the program holds, at rate `lr`. */
VOLT_MUST_USE volt_status volt_session_update(volt_session *s, double lr);
/* Waits for the last step; *norm is that of its gradients. In fp16 gradients that are not
 * finite are no failure (NaN then): the step was left out, and the next has a smaller loss
 * scale. VOLT_ENUMERIC: they are not, and the loss is not scaled any more. */
VOLT_MUST_USE volt_status volt_session_norm(volt_session *s, double *norm);
/* Voxels that this rank computes of each part of a batch; bytes of checkpoint_latest. */
int64_t volt_session_batch_voxels(const volt_session *s);
int64_t volt_session_checkpoint_bytes(const volt_session *s);
/* Peak bytes (mem.h) of the run. */
size_t volt_session_peak(const volt_session *s);
/* Seconds of the whole run so far. */
double volt_session_seconds(const volt_session *s);

VOLT_END_DECLS
#endif
