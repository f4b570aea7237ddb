#include "tests/kit/dataset_kit.h"
#include "tests/kit/shared.h"
#include "base/core/alloc.h"
#include "io/json/json.h"
#include "io/workspace.h"
#include "nets3d/pipeline.h"
#include "parallel/ranks.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SET    "pipeline-set"
#define SHARED VOLT_SHARED_DATA "/msd_hippocampus"

static void make_set(int cases)
{
    char path[100], json[400];

    kit_folder(SET);
    snprintf(json, sizeof json,
             "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, \"a\": 1, "
             "\"b\": 2}, \"numTraining\": %d, \"file_ending\": \".nii.gz\"}",
             cases);
    kit_text(SET "/dataset.json", json);
    for (int i = 0; i < cases; i++) {
        snprintf(path, sizeof path, SET "/imagesTr/c%d_0000.nii.gz", i);
        kit_write(path, (kit_scan){.n = {16, 18, 20 + i}, .base = (float)(i + 1)});
        snprintf(path, sizeof path, SET "/labelsTr/c%d.nii.gz", i);
        kit_write(path, (kit_scan){.n = {16, 18, 20 + i}, .label_high = 2});
    }
}

/* -- Fingerprint -------------------------------------------------------------------------- */

static void the_fingerprint_is_nnunets(void **state)
{
    volt_dataset *ds = NULL;
    volt_fingerprint fp = {0}, golden = {0};

    (void)state;
    if (!has_shared("msd_hippocampus"))
        skip();
    assert_ok(volt_dataset_open(&ds, SHARED, NULL));
    assert_ok(volt_fingerprint_extract(&fp, ds, 0, NULL));
    assert_ok(
        volt_fingerprint_read(&golden, VOLT_TESTDATA "/hippocampus/dataset_fingerprint.json"));
    assert_int_equal(fp.cases, golden.cases);
    assert_memory_equal(fp.shapes_after_crop, golden.shapes_after_crop,
                        (size_t)fp.cases * sizeof *fp.shapes_after_crop);
    for (int64_t i = 0; i < fp.cases; i++) {
        for (int a = 0; a < 3; a++)
            assert_true(fabs(fp.spacings[i][a] - golden.spacings[i][a]) < 1e-9);
    }
    assert_true(fp.median_relative_size_after_cropping ==
                golden.median_relative_size_after_cropping);
    assert_memory_equal(fp.intensities, golden.intensities, sizeof *fp.intensities);
    volt_fingerprint_clear(&fp);
    volt_fingerprint_clear(&golden);
    volt_dataset_close(ds);
}

static void fingerprints_survive_files_and_threads(void **state)
{
    volt_fingerprint a = {0}, b = {0}, c = {0};
    volt_dataset *ds = NULL;

    (void)state;
    make_set(3);
    assert_ok(volt_dataset_open(&ds, SET, NULL));
    assert_ok(volt_fingerprint_extract(&a, ds, 1, NULL));
    assert_ok(volt_fingerprint_extract(&b, ds, 3, NULL));
    assert_ok(volt_fingerprint_write("pipeline-fp.json", &a));
    assert_ok(volt_fingerprint_read(&c, "pipeline-fp.json"));
    assert_memory_equal(a.intensities, b.intensities, sizeof *a.intensities);
    assert_memory_equal(a.intensities, c.intensities, sizeof *a.intensities);
    assert_memory_equal(a.spacings, c.spacings, 3 * sizeof *a.spacings);
    assert_true(a.intensities->min == 1 && a.intensities->max == 9);
    kit_text("pipeline-fp.json",
             "{\"spacings\": [[1, -1, 1]], \"shapes_after_crop\": [[1,1,1]]}");
    assert_fails(volt_fingerprint_read(&c, "pipeline-fp.json"), VOLT_EFORMAT,
                 "spacings[0][1] is -1");
    volt_fingerprint_clear(&a);
    volt_fingerprint_clear(&b);
    volt_fingerprint_clear(&c);
    volt_dataset_close(ds);
}

static void a_set_without_foreground_has_no_fingerprint(void **state)
{
    const int64_t n[3] = {16, 18, 20};
    const double mm[3] = {1.5, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    volt_volume *empty = NULL;
    volt_fingerprint fp = {0};
    volt_dataset *ds = NULL;

    (void)state;
    make_set(1);
    assert_ok(volt_volume_create(&empty, &grid, VOLT_U8));
    assert_ok(volt_nifti_write(SET "/labelsTr/c0.nii.gz", empty, NULL, NULL));
    volt_volume_free(empty);
    assert_ok(volt_dataset_open(&ds, SET, NULL));
    assert_fails(volt_fingerprint_extract(&fp, ds, 1, NULL), VOLT_EDATA, "no case has a fore");
    volt_dataset_close(ds);
}

/* -- The work folder ---------------------------------------------------------------------- */

static void the_work_folder_is_found_or_made(void **state)
{
    char *path = NULL;

    (void)state;
    make_set(1);
    assert_ok(volt_workspace_open(&path, SET, NULL, NULL));
    assert_string_equal(path, SET "/volt");
    volt_free(path);
    assert_ok(volt_workspace_open(&path, SET, "pipeline-work/deep", NULL));
    assert_true(volt_path_is_dir("pipeline-work/deep"));
    volt_free(path);
    kit_text("pipeline-file", "x");
    assert_fails(volt_workspace_open(&path, SET, "pipeline-file/x", NULL), VOLT_EIO,
                 "pipeline-file");
}

/* In a process without privileges: 0 when the cache folder was taken and the data set's folder
 * left as it was. */
static int open_read_only(const char *cache)
{
    struct stat before, after;
    char *path = NULL;

    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 1;
    setenv("XDG_CACHE_HOME", cache, 1);
    if (stat(SET, &before) != 0 || volt_workspace_open(&path, SET, NULL, NULL) != VOLT_OK)
        return 2;
    if (strncmp(path, cache, strlen(cache)) != 0 || !strstr(path, "/volt/" SET "-") ||
        !volt_path_is_writable_dir(path))
        return 3;
    volt_free(path);
    if (stat(SET, &after) != 0 || before.st_mtim.tv_nsec != after.st_mtim.tv_nsec)
        return 4;
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    return volt_workspace_open(&path, SET, NULL, NULL) == VOLT_EIO ? 0 : 5;
}

static void a_read_only_data_set_stays_untouched(void **state)
{
    char cache[] = "/tmp/volt-test-cache-XXXXXX", command[100];
    pid_t child;
    int ended = 0;

    (void)state;
    make_set(1);
    assert_non_null(mkdtemp(cache));
    assert_int_equal(chmod(cache, 0777), 0);
    assert_int_equal(chmod(SET, 0555), 0);
    child = fork();
    if (child == 0)
        _exit(open_read_only(cache));
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_int_equal(chmod(SET, 0755), 0);
    snprintf(command, sizeof command, "rm -rf %s", cache);
    assert_int_equal(system(command), 0);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), 0);
}

/* -- All steps ---------------------------------------------------------------------------- */

typedef struct journal {
    char text[4096];
} journal;

static void note(void *user, volt_log_level level, const char *line)
{
    journal *j = user;
    const size_t used = strlen(j->text);

    (void)level;
    snprintf(j->text + used, sizeof j->text - used, "%s\n", line);
}

static void steps_are_done_once_and_said(void **state)
{
    journal j = {""};
    const volt_callbacks cb = {.user = &j, .log = note};
    volt_pipeline_options o = volt_pipeline_defaults();
    volt_pipeline p = {0};

    o.dataset = SET;
    o.until = VOLT_STAGE_PREPROCESS;
    o.threads = 2;
    o.callbacks = &cb;
    (void)state;
    make_set(3);
    assert_ok(volt_pipeline_run(&p, &o));
    assert_string_equal(p.config->name, "3d_fullres");
    assert_string_equal(p.cases, SET "/volt/nnUNetPlans_3d_fullres");
    assert_int_equal(p.preprocessed.created, 3);
    assert_non_null(strstr(j.text, "work folder: " SET "/volt"));
    assert_non_null(strstr(j.text, "checking 3 cases"));
    assert_non_null(strstr(j.text, "planned: "));
    volt_pipeline_clear(&p);

    j.text[0] = '\0';
    assert_ok(volt_pipeline_run(&p, &o));
    assert_int_equal(p.preprocessed.kept, 3);
    assert_null(strstr(j.text, "checking"));
    assert_non_null(strstr(j.text, "3 up to date"));
    volt_pipeline_clear(&p);

    kit_text(SET "/volt/plans.json", "{\"configurations\": 3}");
    assert_fails(volt_pipeline_run(&p, &o), VOLT_EFORMAT, "plans.json");
    o.replan = true;
    assert_ok(volt_pipeline_run(&p, &o));
    volt_pipeline_clear(&p);
    o.configuration = "4d";
    assert_fails(volt_pipeline_run(&p, &o), VOLT_EINVAL, "'4d'");
}

/* -- Ranks --------------------------------------------------------------------------------- */

typedef struct shared_job {
    volt_pipeline_options options;
    volt_preprocess_result result[3]; /* of each rank */
} shared_job;

static volt_status prepare_one(volt_comm *comm, void *context)
{
    shared_job *job = context;
    volt_pipeline_options o = job->options;
    volt_pipeline p = {0};
    const int rank = volt_comm_rank(comm);
    const volt_status st = (o.comm = comm, volt_pipeline_run(&p, &o));

    job->result[rank] = p.preprocessed;
    volt_pipeline_clear(&p);
    return st;
}

static volt_status count_calls(void *user, const volt_pipeline *p)
{
    (void)p;
    ++*(int *)user;
    return VOLT_OK;
}

static char *stored_bytes(size_t *count, int i)
{
    char path[100], *bytes = NULL;

    snprintf(path, sizeof path, SET "/volt/nnUNetPlans_3d_fullres/c%d.voltcase", i);
    assert_ok(volt_read_file(&bytes, count, path, (size_t)1 << 26));
    return bytes;
}

static void ranks_preprocess_together(void **state)
{
    shared_job job = {.options = volt_pipeline_defaults()};
    char *alone[4];
    size_t bytes[4], found;
    int planned = 0;

    (void)state;
    job.options.dataset = SET;
    job.options.threads = 1;
    make_set(4);
    assert_ok(prepare_one(NULL, &job));
    for (int i = 0; i < 4; i++)
        alone[i] = stored_bytes(&bytes[i], i);
    kit_folder(SET "/volt");
    job.options.planned = count_calls;
    job.options.user = &planned;
    assert_ok(volt_ranks_run(3, prepare_one, &job));
    assert_int_equal(planned, 1);
    assert_int_equal(job.result[0].created, 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(job.result[i].cases, 4);
    for (int i = 0; i < 4; i++) {
        char *now = stored_bytes(&found, i);
        assert_true(found == bytes[i] && memcmp(now, alone[i], found) == 0);
        volt_free(now);
        volt_free(alone[i]);
    }
    assert_ok(volt_ranks_run(3, prepare_one, &job));
    assert_int_equal(job.result[0].kept, 4);

    /* rank 2 meets a folder where its case should be; then rank 0 finds no data set */
    kit_folder(SET "/volt/nnUNetPlans_3d_fullres/c2.voltcase");
    assert_fails(volt_ranks_run(3, prepare_one, &job), VOLT_EIO, "rank 2: cannot rename");
    job.options.dataset = "pipeline-nothing";
    assert_fails(volt_ranks_run(3, prepare_one, &job), VOLT_EIO, "pipeline-nothing");
    assert_null(strstr(volt_last_error(), "rank"));
}

typedef struct gate {
    int calls;
    volt_status answer;
} gate;

static volt_status at_gate(void *user, const volt_dataset *ds)
{
    gate *g = user;

    g->calls++;
    assert_int_equal(ds->cases.count, 2);
    if (g->answer == VOLT_OK)
        return VOLT_OK;
    assert_false(volt_path_exists(SET "/volt"));
    return volt_fail(g->answer, "another data set");
}

/* The caller may judge the open data set before anything is written. */
static void a_caller_sees_the_data_set_first(void **state)
{
    gate g = {.answer = VOLT_EDATA};
    volt_pipeline_options o = volt_pipeline_defaults();
    volt_pipeline p = {0};

    (void)state;
    make_set(2);
    o.dataset = SET;
    o.until = VOLT_STAGE_PLAN;
    o.threads = 1;
    o.opened = at_gate;
    o.user = &g;
    assert_fails(volt_pipeline_run(&p, &o), VOLT_EDATA, "another data set");
    assert_false(volt_path_exists(SET "/volt"));
    assert_int_equal(g.calls, 1);
    g.answer = VOLT_OK;
    assert_ok(volt_pipeline_run(&p, &o));
    assert_int_equal(g.calls, 2);
    volt_pipeline_clear(&p);
}

static void errors_of_the_data_set_stop_the_steps(void **state)
{
    journal j = {""};
    const volt_callbacks cb = {.user = &j, .log = note};
    volt_pipeline_options o = volt_pipeline_defaults();
    volt_pipeline p = {0};

    o.dataset = SET;
    o.until = VOLT_STAGE_PLAN;
    o.callbacks = &cb;
    (void)state;
    make_set(2);
    kit_write(SET "/imagesTr/c0_0000.nii.gz", (kit_scan){.n = {16, 18, 20}, .odd_value = NAN});
    unlink(SET "/labelsTr/c1.nii.gz");
    assert_fails(volt_pipeline_run(&p, &o), VOLT_EDATA, "1 more error");
    assert_non_null(
        strstr(j.text, "error: " SET "/imagesTr/c0_0000.nii.gz is NaN or infinite in 1 voxel"));
    assert_non_null(strstr(j.text, "c1.nii.gz"));
    assert_false(volt_path_exists(SET "/volt/plans.json"));
    assert_null(p.dataset);
}

/* As an older caller has them: nothing lies behind their first `bytes`. */
static volt_planner_options *older_planner(size_t bytes)
{
    volt_planner_options *o = malloc(bytes);

    assert_non_null(o);
    volt_planner_options_init(o, bytes);
    return o;
}

static void options_of_older_callers_are_completed(void **state)
{
    const volt_plan_extra whole = {.name = VOLT_PLAN_WHOLE};
    const size_t bytes = offsetof(volt_planner_options, memory_gb);
    volt_planner_options *planner = older_planner(bytes);
    volt_pipeline_options o = volt_pipeline_defaults();
    volt_dataset_options *data = malloc(sizeof data->size);
    volt_pipeline p = {0};
    volt_plan *plan = NULL;
    const volt_planner resenc = VOLT_PLANNER_RESENC_M;
    size_t stated = 0;

    (void)state;
    assert_non_null(data);
    volt_dataset_options_init(data, sizeof data->size);
    make_set(2);
    /* By memcpy: gcc knows that no whole struct is there. */
    memcpy(&stated, planner, sizeof stated);
    assert_int_equal(stated, bytes);
    memcpy((char *)planner + offsetof(volt_planner_options, planner), &resenc, sizeof resenc);
    o.dataset = SET;
    o.data = data;
    o.planner = planner;
    o.until = VOLT_STAGE_PLAN;
    o.extra = &whole;
    o.extras = 1;
    assert_ok(volt_pipeline_run(&p, &o));
    assert_ok(volt_plan_make(&plan, &p.fingerprint, &p.dataset->info, planner));
    assert_string_equal(plan->planner, "nnUNetPlannerResEncM");
    assert_string_equal(p.plan->planner, plan->planner);
    volt_plan_free(plan);
    volt_pipeline_clear(&p);
    o.extras = 0; /* the plan is there: the planner is only compared */
    assert_ok(volt_pipeline_run(&p, &o));
    volt_pipeline_clear(&p);
    free(data);
    free(planner);
}

static void pipelines_survive_every_failed_allocation(void **state)
{
    volt_pipeline_options o = volt_pipeline_defaults();
    const size_t before = volt_mem_current();
    volt_status st = VOLT_ENOMEM;
    int tries = 0;

    o.dataset = SET;
    o.until = VOLT_STAGE_PREPROCESS;
    o.threads = 1;
    o.replan = true;
    o.overwrite = true;
    (void)state;
    make_set(2);
    for (int64_t n = 1; st == VOLT_ENOMEM && n < 100000; n += 1 + n / 40, tries++) {
        volt_pipeline p = {0};
        volt_mem_fail_after(n);
        st = volt_pipeline_run(&p, &o);
        volt_mem_fail_after(0);
        volt_pipeline_clear(&p);
        assert_int_equal(volt_mem_current(), before);
        if (o.replan && volt_path_exists(SET "/volt/plans.json")) {
            o.replan = false; /* planned; now what comes after it */
            n = 1;
        }
    }
    assert_int_equal(st, VOLT_OK);
    assert_true(tries > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fingerprint_is_nnunets),
        cmocka_unit_test(fingerprints_survive_files_and_threads),
        cmocka_unit_test(a_set_without_foreground_has_no_fingerprint),
        cmocka_unit_test(the_work_folder_is_found_or_made),
        cmocka_unit_test(a_read_only_data_set_stays_untouched),
        cmocka_unit_test(steps_are_done_once_and_said),
        cmocka_unit_test(ranks_preprocess_together),
        cmocka_unit_test(a_caller_sees_the_data_set_first),
        cmocka_unit_test(errors_of_the_data_set_stop_the_steps),
        cmocka_unit_test(options_of_older_callers_are_completed),
        cmocka_unit_test(pipelines_survive_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
