#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "apps/cli/dataset_options.h"
#include "base/mem.h"
#include "base/core/plural.h"
#include "nets3d/pipeline.h"

typedef struct plan_options {
    const char *work, *memory, *add, *planner, *like;
    bool replan;
    int axis;
    int64_t slices;
    cli_list spacing;
    cli_dataset data;
} plan_options;

/* Words of --axis, in order: axes of the files, then planes of the body. */
enum { AXIS_Z, AXIS_Y, AXIS_X, AXIAL, CORONAL, SAGITTAL };

static const cli_option options[] = {
    {"--work", 0, CLI_TEXT, offsetof(plan_options, work), "DIR", NULL, 0, 0,
     "folder for fingerprint, plan and preprocessed cases [VOLT_WORK, else DATASET/volt]"},
    {"--replan", 0, CLI_FLAG, offsetof(plan_options, replan), NULL, NULL, 0, 0,
     "plan again even if a plan exists"},
    {"--planner", 0, CLI_WORD, offsetof(plan_options, planner),
     "default|resenc-m|resenc-l|resenc-xl", "default", 0, 0,
     "nnU-Net's plain U-Net or one of its residual encoder presets"},
    {"--memory", 0, CLI_TEXT, offsetof(plan_options, memory), "GB|auto", NULL, 0, 0,
     "network size to aim for, as nnU-Net's GPU memory target [8, 8, 24 or 40, by planner]; "
     "auto: the largest that this machine can train"},
    {"--spacing", 0, CLI_REALS, offsetof(plan_options, spacing), "x,y,z", NULL, 1e-3, 1e3,
     "spacing in mm to train at [nnU-Net's rule]"},
    {"--like", 0, CLI_TEXT, offsetof(plan_options, like), "RUN", NULL, 0, 0,
     "take over the plan of RUN, so that its weights fit: volt train --init RUN"},
    {"--add", 0, CLI_TEXT, offsetof(plan_options, add), "NAME[,NAME]", NULL, 0, 0,
     "also plan 2p5d (neighbouring slices as channels) or 3d_whole (whole cases)"},
    {"--slices", 0, CLI_INT, offsetof(plan_options, slices), "K", NULL, 0, VOLT_MAX_SLICES,
     "2p5d: number of slices, odd [chosen by their spacing]"},
    {"--axis", 0, CLI_CHOICE, offsetof(plan_options, axis), "z|y|x|axial|coronal|sagittal",
     NULL, 0, 0,
     "2p5d: slice axis of the files, or anatomical plane of the slices [coarsest axis]"},
    CLI_DATASET_OPTIONS(plan_options, data),
};

/* --memory: a number of GB, or auto. */
static volt_status set_memory(volt_pipeline_options *run, volt_planner_options *planner,
                              const char *text)
{
    static const cli_option number = {"--memory", 0,    CLI_REAL, 0,   "GB|auto",
                                      NULL,       0.01, 4096,     NULL};

    if (!text)
        return VOLT_OK;
    run->memory_auto = strcmp(text, "auto") == 0;
    return run->memory_auto ? VOLT_OK : cli_set_value(&planner->memory_gb, &number, text);
}

/* --add, --slices and --axis; `names` holds the words that extra[] points to. */
static volt_status set_extras(volt_pipeline_options *run, volt_plan_extra extra[2],
                              char names[64], const plan_options *o)
{
    const int axis = o->axis >= AXIS_Z && o->axis <= AXIS_X ? o->axis : VOLT_AXIS_COARSEST;

    run->extra = extra;
    if (o->axis >= AXIAL)
        run->plane = VOLT_PLANE_AXIAL + (o->axis - AXIAL);
    if (!o->add) {
        if (o->slices || o->axis >= 0)
            return volt_fail(VOLT_EINVAL, "--slices and --axis need --add " VOLT_PLAN_SLICES);
        return VOLT_OK;
    }
    if (snprintf(names, 64, "%s", o->add) >= 64)
        return volt_fail(VOLT_EINVAL, "--add '%s' is too long", o->add);
    for (char *rest, *word = strtok_r(names, ",", &rest); word;
         word = strtok_r(NULL, ",", &rest)) {
        if (run->extras == 2)
            return volt_fail(VOLT_EINVAL, "--add '%s': at most two configurations", o->add);
        extra[run->extras++] =
            (volt_plan_extra){.name = word, .slices = (int)o->slices, .axis = axis};
    }
    return VOLT_OK;
}

/* "40 x 56 x 40"; a 2-D configuration has no first axis. */
static void print_triple(const char *title, const double v[3], int axes, const char *unit)
{
    printf("    %-14s", title);
    for (int a = 3 - axes; a < 3; a++)
        printf("%s%.6g", a > 3 - axes ? " x " : "", v[a]);
    printf("%s\n", unit);
}

/* "1,1,1  2,2,2": one triple per stage. */
static void print_stages(const char *title, const volt_plan_config *k, bool strides)
{
    printf("    %-14s", title);
    for (int s = 0; s < volt_network_stage_count(&k->net); s++) {
        const volt_network_stage stage = volt_network_stage_at(&k->net, s);
        const int64_t *v = strides ? stage.stride : stage.kernel;
        for (int a = 3 - k->axes; a < 3; a++)
            printf("%s%" PRId64, a > 3 - k->axes ? "," : s ? "  " : "", v[a]);
    }
    putchar('\n');
}

static void print_config(const volt_plan_config *k)
{
    const double patch[3] = {(double)k->patch[0], (double)k->patch[1], (double)k->patch[2]};

    printf("  %s (%s)", k->name, volt_model_title(k->net.model));
    if (k->slices > 1)
        printf(" (%d slice%s along %c)", k->slices, volt_s(k->slices),
               "zyx"[k->transpose_forward[0]]);
    if (k->whole)
        printf(" (whole cases)");
    if (k->previous_stage)
        printf(" (refines %s)", k->previous_stage);
    putchar('\n');
    print_triple("spacing", k->spacing, k->axes, " mm");
    print_triple("median shape", k->median_shape, k->axes, " voxels");
    print_triple("patch", patch, k->axes, " voxels");
    printf("    %-14s%" PRId64 "\n", "batch", k->batch);
    printf("    %-14s", "features");
    for (int s = 0; s < volt_network_stage_count(&k->net); s++)
        printf("%s%" PRId64, s ? " " : "", volt_network_stage_at(&k->net, s).features);
    putchar('\n');
    print_stages("strides", k, true);
    print_stages("kernels", k, false);
}

static void print_text(const volt_pipeline *p)
{
    const volt_plan *plan = p->plan;

    printf("%s: %lld case%s, %d channel%s, %d label%s; axes z, y, x\n", plan->dataset_name,
           (long long)p->dataset->cases.count, volt_s(p->dataset->cases.count), plan->channels,
           volt_s(plan->channels), plan->classes, volt_s(plan->classes));
    printf("  median spacing  %.6g x %.6g x %.6g mm\n", plan->original_median_spacing[0],
           plan->original_median_spacing[1], plan->original_median_spacing[2]);
    printf("  median shape    %" PRId64 " x %" PRId64 " x %" PRId64 " voxels\n",
           plan->original_median_shape[0], plan->original_median_shape[1],
           plan->original_median_shape[2]);
    for (int i = 0; i < plan->configs; i++)
        print_config(&plan->config[i]);
    printf("saved in %s\n", p->work);
}

/* --like takes everything that these would decide from the run. */
static volt_status check_like(const plan_options *o)
{
    const char *other = !o->like                             ? NULL
                        : o->memory                          ? "--memory"
                        : o->spacing.count                   ? "--spacing"
                        : strcmp(o->planner, "default") != 0 ? "--planner"
                                                             : NULL;

    return other ? volt_fail(VOLT_EINVAL, "--like takes the plan of a run as it is; drop %s",
                             other)
                 : VOLT_OK;
}

static volt_status run(cli *c)
{
    plan_options *o = c->options;
    volt_pipeline_options run = volt_pipeline_defaults();
    volt_planner_options planner = volt_planner_defaults();
    volt_dataset_options data;
    volt_plan_extra extra[2];
    volt_pipeline p = {0};
    char names[64], *text = NULL;
    volt_status st;

    run.work = o->work;
    run.data = &data;
    run.planner = &planner;
    run.until = VOLT_STAGE_PLAN;
    run.replan = o->replan;
    run.like = o->like;
    run.threads = (int)c->threads;
    run.callbacks = &c->callbacks;
    VOLT_TRY(st, done, cli_check_work(c, o->work));
    VOLT_TRY(st, done, check_like(o));
    if (o->like)
        VOLT_TRY(st, done, cli_check_run(o->like, ""));
    VOLT_TRY(st, done, volt_planner_parse(&planner.planner, o->planner));
    VOLT_TRY(st, done, set_memory(&run, &planner, o->memory));
    VOLT_TRY(st, done, set_extras(&run, extra, names, o));
    for (int i = 0; i < o->spacing.count; i++) /* x, y, z on the command line, z, y, x inside */
        planner.spacing[2 - i] = o->spacing.v[i];
    VOLT_TRY(st, done, cli_dataset_take(&data, &run.dataset, c, &o->data));
    VOLT_TRY(st, done, volt_pipeline_run(&p, &run));
    cli_end_progress(c);
    if (c->json) {
        VOLT_TRY(st, done, volt_plan_text(&text, p.plan));
        printf("%s\n", text);
    } else {
        print_text(&p);
    }
done:
    volt_free(text);
    volt_pipeline_clear(&p);
    return st;
}

const cli_command cmd_plan = {
    .name = "plan",
    .section = CLI_TRAINING,
    .one_line = "choose spacing, patch size and network for a data set",
    .args = CLI_DATASET_ARGS,
    .min_args = 0,
    .max_args = 1,
    .about = "Checks DATASET, computes its fingerprint (dataset_fingerprint.json) and decides "
             "everything that training needs (plans.json), by nnU-Net's rules and with its key "
             "names. plans.json may be edited by hand: training uses it as it is. An existing "
             "plan is reused unless --replan is given; --add extends it. --like takes over the "
             "plan of a run on other data with as many channels, as nnU-Net's "
             "move_plans_between_datasets does; labels are those of DATASET.",
    .example = "volt plan Task04_Hippocampus --work work/hippocampus\n"
               "volt plan Task04_Hippocampus --replan --planner resenc-m --memory auto\n"
               "volt plan Task04_Hippocampus --add 2p5d --slices 5 --axis coronal\n"
               "volt plan Clinic --like runs/hippocampus",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, plan_options),
    .run = run,
};
