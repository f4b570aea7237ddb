#include <inttypes.h>
#include <stdio.h>
#include "apps/dataset_options.h"
#include "base/mem.h"
#include "nets3d/pipeline.h"

typedef struct plan_options {
    const char *work;
    bool replan;
    double memory_gb;
    cli_list spacing;
    cli_dataset data;
} plan_options;

static const cli_option options[] = {
    {"--work", 0, CLI_TEXT, offsetof(plan_options, work), "DIR", NULL, 0, 0,
     "folder for fingerprint, plan and prepared cases [DATASET/volt]"},
    {"--replan", 0, CLI_FLAG, offsetof(plan_options, replan), NULL, NULL, 0, 0,
     "plan anew although there is a plan"},
    {"--memory", 0, CLI_REAL, offsetof(plan_options, memory_gb), "GB", "8", 1, 4096,
     "the size of network to aim at, as nnU-Net's GPU memory target"},
    {"--spacing", 0, CLI_REALS, offsetof(plan_options, spacing), "x,y,z", NULL, 1e-3, 1e3,
     "voxel size in mm to train at [nnU-Net's rule]"},
    CLI_DATASET_OPTIONS(plan_options, data),
};

/* "40 x 56 x 40"; a 2-D configuration has no first axis. */
static void print_triple(const char *title, const double v[3], int axes, const char *unit)
{
    printf("    %-14s", title);
    for (int a = 3 - axes; a < 3; a++)
        printf("%s%.6g", a > 3 - axes ? " x " : "", v[a]);
    printf("%s\n", unit);
}

/* "1,1,1  2,2,2": one triple per stage. */
static void print_lists(const char *title, const int64_t (*v)[3], int stages, int axes)
{
    printf("    %-14s", title);
    for (int s = 0; s < stages; s++) {
        for (int a = 3 - axes; a < 3; a++)
            printf("%s%" PRId64, a > 3 - axes ? "," : s ? "  " : "", v[s][a]);
    }
    putchar('\n');
}

static void print_config(const volt_plan_config *k)
{
    const double patch[3] = {(double)k->patch[0], (double)k->patch[1], (double)k->patch[2]};

    printf("  %s\n", k->name);
    print_triple("spacing", k->spacing, k->axes, " mm");
    print_triple("median shape", k->median_shape, k->axes, " voxels");
    print_triple("patch", patch, k->axes, " voxels");
    printf("    %-14s%" PRId64 "\n", "batch", k->batch);
    printf("    %-14s", "features");
    for (int s = 0; s < k->net.stages; s++)
        printf("%s%" PRId64, s ? " " : "", k->net.features[s]);
    putchar('\n');
    print_lists("strides", k->net.stride, k->net.stages, k->axes);
    print_lists("kernels", k->net.kernel, k->net.stages, k->axes);
}

static void print_text(const volt_pipeline *p)
{
    const volt_plan *plan = p->plan;

    printf("%s: %lld cases, %d channel%s, %d labels; axes z, y, x\n", plan->dataset_name,
           (long long)p->dataset->cases.count, plan->channels, plan->channels == 1 ? "" : "s",
           plan->classes);
    printf("  median spacing  %.6g x %.6g x %.6g mm\n", plan->original_median_spacing[0],
           plan->original_median_spacing[1], plan->original_median_spacing[2]);
    printf("  median shape    %" PRId64 " x %" PRId64 " x %" PRId64 " voxels\n",
           plan->original_median_shape[0], plan->original_median_shape[1],
           plan->original_median_shape[2]);
    for (int i = 0; i < plan->configs; i++)
        print_config(&plan->config[i]);
    printf("saved in %s\n", p->work);
}

static volt_status run(cli *c)
{
    plan_options *o = c->options;
    volt_pipeline_options run = {.work = o->work,
                                 .until = VOLT_STAGE_PLAN,
                                 .replan = o->replan,
                                 .planner = {.memory_gb = o->memory_gb},
                                 .threads = (int)c->threads,
                                 .callbacks = &c->callbacks};
    volt_pipeline p = {0};
    char *text = NULL;
    volt_status st;

    for (int i = 0; i < o->spacing.count; i++) /* typed x, y, z; kept z, y, x */
        run.planner.spacing[2 - i] = o->spacing.v[i];
    VOLT_TRY(st, done, cli_dataset_take(&run.data, &run.dataset, c, &o->data));
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
    .one_line = "decide spacing, patch, batch and network for a data set",
    .args = CLI_DATASET_ARGS,
    .min_args = 0,
    .max_args = 1,
    .about =
        "Checks DATASET, measures it (dataset_fingerprint.json) and decides everything\n"
        "that training needs (plans.json), by nnU-Net's rules and with its key names. Edit\n"
        "plans.json by hand if you like: training uses it as it stands.",
    .example = "volt plan Task04_Hippocampus --work work/hippocampus",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, plan_options),
    .run = run,
};
