/* Several ranks predict what one rank does: whole cases, rows of tiles, boxes of whole scans.
 */
#include "tests/kit/loss_call.h"
#include "base/core/alloc.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/predict/spread.h"
#include "nets3d/predictor.h"

#include <dirent.h>
#include "io/image/nifti.h"
#include "io/tensors/npz.h"
#include "nets3d/models/monai.h"
#include "nets3d/models/unet.h"
#include "parallel/ranks.h"
#include "tests/kit/measure.h"
#include "tests/kit/predict_fixture.h"
#include "volume/box.h"

#define RUN   "ranks-run"
#define OTHER "ranks-other" /* axes in another order */
#define TWIN  "ranks-twin"  /* other weights */
#define IN    "ranks-in"
#define ONE   "ranks-one"
#define MANY  "ranks-many"

enum { RANKS = 8 };

static volt_dataset_info info, regions_info;

static void make_run(const char *run, const char *forward, const char *backward,
                     const char *spacing, const volt_dataset_info *of, uint64_t seed)
{
    char text[8192];

    assert_true(snprintf(text, sizeof text, fixture_plan, forward, backward, "8, 8, 8",
                         spacing) < (int)sizeof text);
    write_seeded_run(run, text, of, seed);
}

/* A 2-D run of `slices` slices across the files' axis `axis`. */
static void make_flat_run(const char *run, int slices, int axis, const volt_dataset_info *of)
{
    char text[8192], *changed = NULL;
    volt_plan *plan = NULL;
    volt_plan_config *c;
    volt_spec *spec;

    assert_true(snprintf(text, sizeof text, fixture_plan, "0, 1, 2", "0, 1, 2", "8, 8, 8",
                         "1, 1.2, 1") < (int)sizeof text);
    assert_ok(volt_plan_parse(&plan, text, strlen(text), "plans.json", of));
    c = &plan->config[0];
    spec = volt_network_spec(&c->net);
    c->axes = 2;
    c->patch[0] = 1;
    c->spacing[0] = 0;
    c->slices = slices;
    spec->in_channels = slices;
    for (int s = 0; s < spec->stages; s++)
        spec->kernel[s][0] = spec->stride[s][0] = 1;
    for (int a = 0, next = 1; a < 3; a++) {
        const int place = a == axis ? 0 : next++;
        c->transpose_forward[place] = a;
        c->transpose_backward[a] = place;
    }
    assert_ok(volt_plan_text(&changed, plan));
    write_seeded_run(run, changed, of, 5);
    volt_free(changed);
    volt_plan_free(plan);
}

static void write_scan(const char *name, int64_t z, int64_t y, int64_t x, uint32_t number)
{
    const int64_t n[3] = {z, y, x};
    const volt_grid grid = volt_grid_make(n, 1, (double[]){1, 1.1, 0.9});
    volt_volume *v = NULL;
    char path[400];

    assert_ok(volt_volume_create(&v, &grid, VOLT_F32));
    fixture_voxels(v->data, NULL, n, number);
    snprintf(path, sizeof path, IN "/%s", name);
    assert_ok(volt_nifti_write(path, v, NULL, NULL));
    volt_volume_free(v);
}

static void start_scans(void)
{
    assert_int_equal(system("rm -rf " IN " " ONE " " MANY), 0);
    assert_ok(volt_make_dirs(IN));
}

/* One prediction, as all ranks are told. */
typedef struct order {
    const char *run[2], *mesh, *folder;
    const volt_box *roi;
    bool mirror, whole, regions, probabilities, collect;
    bool halves; /* sums in half precision, however small */
    bool apart;  /* tiles do not overlap: fewer */
    const volt_callbacks *cb;
    /* from rank 0 */
    volt_predict_result result;
    volt_predict_failures failures;
    size_t needed[RANKS], used[RANKS]; /* of each rank: announced, measured */
} order;

/* As volt_predict; what one scan takes is compared with what was announced. */
static volt_status measure_predict(order *o, volt_predictor *p, const volt_case_list *cases,
                                   const volt_predict_output *out, volt_predict_result *result)
{
    const size_t held = p->stage->held_bytes;
    const int rank = p->spread ? p->spread->rank : 0;
    volt_mem_scope scope;
    volt_status st;

    volt_mem_scope_enter(&scope);
    st = volt_predict(p, cases, out, o->cb, result);
    volt_mem_scope_leave(&scope);
    if (rank < RANKS) {
        o->used[rank] = held + volt_mem_scope_peak(&scope);
        o->needed[rank] =
            volt_spread_is_joint(p->spread) ? p->spread->need[rank] : result->announced_bytes;
    }
    return st;
}

static volt_status predict_rank(volt_comm *comm, void *context)
{
    order *o = context;
    const bool first = volt_comm_rank(comm) == 0;
    volt_predict_options options = volt_predict_defaults();
    volt_predict_output out = volt_predict_output_defaults();
    const char *inputs[1] = {IN};
    volt_predict_failures failures = {0};
    volt_predict_result result = {0};
    volt_predictor *p = NULL;
    volt_case_list cases = {0};
    volt_status st;

    options.precision = VOLT_FP32;
    options.threads = 1;
    options.mirror = o->mirror;
    options.whole = o->whole;
    options.step = o->apart ? 1 : options.step;
    options.comm = comm;
    options.mesh = o->mesh;
    out.folder = o->folder;
    out.roi = o->roi;
    out.regions = o->regions;
    out.probabilities = o->probabilities;
    out.failures = o->collect ? &failures : NULL;
    VOLT_TRY(st, done, volt_inputs_list_all(&cases, inputs, 1, 1, NULL));
    VOLT_TRY(st, done, volt_predictor_open(&p, o->run, o->run[1] ? 2 : 1, &options, o->cb));
    if (o->halves)
        p->stage->float_sums_bytes = 0;
    VOLT_TRY(st, done, measure_predict(o, p, &cases, &out, &result));
done:
    if (first) {
        o->result = result;
        o->failures = failures;
        failures = (volt_predict_failures){0};
    }
    volt_predict_failures_clear(&failures);
    volt_predictor_free(p);
    volt_case_list_clear(&cases);
    return st;
}

static volt_status predict_on(int ranks, const char *mesh, order *o)
{
    o->mesh = mesh;
    o->folder = ranks > 1 ? MANY : ONE;
    return ranks > 1 ? volt_ranks_run(ranks, predict_rank, o) : predict_rank(NULL, o);
}

/* ---- comparisons ---- */

static void same_bytes(const char *name)
{
    char path[2][400], *text[2] = {NULL};
    size_t bytes[2];

    snprintf(path[0], sizeof path[0], ONE "/%s", name);
    snprintf(path[1], sizeof path[1], MANY "/%s", name);
    for (int i = 0; i < 2; i++)
        assert_ok(volt_read_file(&text[i], &bytes[i], path[i], 1 << 24));
    if (bytes[0] != bytes[1] || memcmp(text[0], text[1], bytes[0]) != 0)
        fail_msg("%s differs", name);
    volt_free(text[0]);
    volt_free(text[1]);
}

static void near_probabilities(const char *name)
{
    volt_npz_array a = {0}, b = {0};
    char path[400];
    int64_t count = 1;
    float worst = 0;

    snprintf(path, sizeof path, ONE "/%s", name);
    assert_ok(volt_npz_read(&a, path, "probabilities", 4));
    snprintf(path, sizeof path, MANY "/%s", name);
    assert_ok(volt_npz_read(&b, path, "probabilities", 4));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(a.shape[i], b.shape[i]);
        count *= a.shape[i];
    }
    for (int64_t i = 0; i < count; i++)
        worst = fmaxf(worst, fabsf(a.data[i] - b.data[i]));
    if (!(worst <= 1e-5f))
        fail_msg("%s: probabilities differ by %g", name, (double)worst);
    volt_free(a.data);
    volt_free(b.data);
}

/* All files below the folders are the same; probabilities to 1e-5. */
static void same_folder(const char *below)
{
    char path[400];
    int files[2] = {0};

    for (int i = 0; i < 2; i++) {
        struct dirent *entry;
        DIR *dir;
        snprintf(path, sizeof path, "%s/%s", i ? MANY : ONE, below);
        dir = opendir(path);
        assert_non_null(dir);
        while ((entry = readdir(dir)) != NULL) {
            const size_t length = strlen(entry->d_name);
            char name[300];
            snprintf(name, sizeof name, "%s%s%s", below, *below ? "/" : "", entry->d_name);
            if (entry->d_name[0] == '.')
                assert_true(entry->d_name[1] == '\0' || entry->d_name[1] == '.');
            else if (entry->d_type == DT_DIR)
                files[i] += 1000;
            else if (i == 0 && length > 4 && strcmp(entry->d_name + length - 4, ".npz") == 0)
                near_probabilities(name);
            else if (i == 0)
                same_bytes(name);
            files[i] += entry->d_name[0] != '.';
        }
        closedir(dir);
    }
    assert_true(files[0] > 0);
    assert_int_equal(files[0], files[1]);
}

static void same_on(const int *ranks, const char *const *mesh, order *o)
{
    o->mesh = NULL;
    assert_ok(predict_on(1, NULL, o));
    for (int i = 0; ranks[i]; i++) {
        order many = *o;
        assert_int_equal(system("rm -rf " MANY), 0);
        print_message("%d ranks, %s\n", ranks[i], mesh[i] ? mesh[i] : "by default");
        assert_ok(predict_on(ranks[i], mesh[i], &many));
        assert_int_equal(many.result.cases, o->result.cases);
        same_folder("");
        if (o->regions)
            same_folder("cube");
    }
    assert_int_equal(system("rm -rf " ONE " " MANY), 0);
}

/* ---- cases ---- */

static void write_cases(void)
{
    start_scans();
    write_scan("a_0000.nii.gz", 9, 12, 10, 1);
    write_scan("b_0000.nii.gz", 20, 12, 14, 2);
    write_scan("c_0000.nii.gz", 11, 13, 8, 3);
    write_scan("d_0000.nii.gz", 15, 10, 12, 4);
    write_scan("e_0000.nii.gz", 8, 8, 8, 5);
}

static void cases_have_the_same_bytes(void **state)
{
    static const int ranks[] = {2, 3, 4, 7, 0};
    static const char *const mesh[] = {"cases", NULL, "cases", "cases"};
    order o = {.run = {RUN}, .mirror = true, .probabilities = true};

    (void)state;
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1, 1, 1", &info, 3);
    write_cases();
    same_on(ranks, mesh, &o);
}

static void failures_are_collected_as_on_one_rank(void **state)
{
    static const struct {
        int ranks;
        const char *mesh;
    } on[] = {{2, "cases"}, {3, "cases"}, {2, "tiles"}, {2, "z=2"}};

    (void)state;
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1, 1, 1", &info, 3);
    for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
        order one = {.run = {RUN}, .collect = true, .whole = strchr(on[i].mesh, '=') != NULL};
        order many = one;
        char *text = NULL;
        size_t bytes;
        write_cases();
        assert_ok(volt_write_file(IN "/a1_0000.nii.gz", "no scan", 7));
        assert_ok(volt_read_file(&text, &bytes, IN "/b_0000.nii.gz", 1 << 24));
        assert_ok(volt_write_file(IN "/d1_0000.nii.gz", text, bytes / 2));
        assert_ok(volt_write_file(IN "/f_0000.nii.gz", text, bytes / 2));
        volt_free(text);
        assert_ok(predict_on(1, NULL, &one));
        assert_ok(predict_on(on[i].ranks, on[i].mesh, &many));
        assert_int_equal(one.failures.count, 3);
        assert_int_equal(many.failures.count, 3);
        for (int k = 0; k < 3; k++) {
            assert_string_equal(one.failures.item[k].id, many.failures.item[k].id);
            assert_string_equal(one.failures.item[k].sentence, many.failures.item[k].sentence);
            assert_int_equal(one.failures.item[k].status, many.failures.item[k].status);
        }
        assert_int_equal(one.result.cases, many.result.cases);
        same_folder("");
        /* Nobody collects: the first failure ends the call. */
        volt_predict_failures_clear(&one.failures);
        volt_predict_failures_clear(&many.failures);
        many.collect = false;
        assert_fails(predict_on(on[i].ranks, on[i].mesh, &many), VOLT_EFORMAT, "_0000.nii.gz");
    }
}

/* ---- tiles ---- */

static const int few[] = {2, 3, 4, 0};
static const char *const tiles[] = {"tiles", "tiles", "tiles"};

static void rows_of_tiles_give_the_same_masks(void **state)
{
    static const char *const turns[2][2] = {{"0, 1, 2", "0, 1, 2"}, {"2, 0, 1", "1, 2, 0"}};

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        for (int regions = 0; regions < 2; regions++) {
            order o = {.run = {RUN}, .mirror = turn == 0, .regions = regions == 1};
            make_run(RUN, turns[turn][0], turns[turn][1], turn ? "1.2, 0.8, 1" : "1, 1, 1",
                     regions ? &regions_info : &info, 3);
            start_scans();
            write_scan("long_0000.nii.gz", 37, 10, 12, 1);
            write_scan("short_0000.nii.gz", 6, 9, 12, 2);
            same_on(few, tiles, &o);
            o.probabilities = true;
            o.mirror = false;
            same_on(few, tiles, &o);
        }
    }
}

static void a_region_of_interest_is_shared_out(void **state)
{
    static const volt_box box = {{12, 2, 3}, {21, 9, 9}}, thin = {{30, 0, 0}, {31, 10, 12}};
    order o = {.run = {RUN}, .roi = &box, .probabilities = true};

    (void)state;
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1, 1, 1", &info, 3);
    start_scans();
    write_scan("long_0000.nii.gz", 37, 10, 12, 1);
    same_on(few, tiles, &o);
    o.roi = &thin;
    o.probabilities = false;
    same_on(few, tiles, &o);
}

/* Runs whose plans order the axes differently are averaged as probabilities. */
static void networks_with_other_axes_are_averaged(void **state)
{
    static const char *const mesh[] = {"tiles", NULL, "tiles"};
    order o = {.run = {RUN, OTHER}, .probabilities = true};

    (void)state;
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1, 1, 1", &info, 3);
    make_run(OTHER, "2, 0, 1", "1, 2, 0", "1.3, 1, 1", &info, 4);
    start_scans();
    write_scan("long_0000.nii.gz", 29, 18, 21, 1);
    same_on(few, mesh, &o);
}

/* ---- whole scans ---- */

static void whole_scans_are_split(void **state)
{
    static const int ranks[] = {2, 2, 3, 4, 4, 0};
    static const char *const mesh[] = {"z=2", "x=2", "z=3", "z=2,y=2", "z=4"};
    order o = {.run = {RUN}, .whole = true, .mirror = true, .probabilities = true};

    (void)state;
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1, 1, 1", &info, 3);
    start_scans();
    write_scan("long_0000.nii.gz", 21, 13, 17, 1);
    write_scan("short_0000.nii.gz", 16, 16, 16, 2);
    same_on(ranks, mesh, &o);
    make_run(RUN, "2, 0, 1", "1, 2, 0", "1.2, 0.8, 1", &regions_info, 3);
    o.regions = true;
    same_on(ranks, mesh, &o);
}

/* 2-D networks: slices are dealt out along z, and split along y and x. */
static void slices_are_split(void **state)
{
    static const int ranks[] = {3, 4, 6, 0};
    static const char *const mesh[] = {"z=3", "y=2,x=2", "z=3,y=2"};
    order o = {.run = {RUN}, .whole = true, .probabilities = true};

    (void)state;
    start_scans();
    write_scan("long_0000.nii.gz", 21, 13, 18, 1);
    write_scan("thin_0000.nii.gz", 2, 16, 17, 2); /* fewer slices than parts */
    for (int flat = 0; flat < 3; flat++) {
        o.mirror = flat != 2;
        o.regions = flat == 1;
        make_flat_run(RUN, flat == 0 ? 1 : 2 * flat + 1, flat,
                      flat == 1 ? &regions_info : &info);
        same_on(ranks, mesh, &o);
    }
    /* Averaged with a 3-D network. */
    o = (order){.run = {RUN, OTHER}, .whole = true, .probabilities = true};
    make_run(OTHER, "2, 0, 1", "1, 2, 0", "1.3, 1, 1", &info, 4);
    assert_int_equal(remove(IN "/thin_0000.nii.gz"), 0);
    same_on((int[]){4, 0}, (const char *const[]){"z=2,x=2"}, &o);
}

static void halves_are_split(void **state)
{
    static const char *const mesh[] = {"z=2"};
    order o = {.run = {RUN}, .whole = true, .halves = true};

    (void)state;
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1, 1, 1", &info, 3);
    start_scans();
    write_scan("a_0000.nii.gz", 21, 13, 17, 1);
    same_on((int[]){2, 0}, mesh, &o);
}

/* ---- kinds of networks ---- */

static void with_model(volt_plan_config *c, const volt_model *model)
{
    const volt_spec base = *volt_network_spec(&c->net);

    volt_network_clear(&c->net);
    assert_ok(volt_network_create(&c->net, model));
    *volt_network_spec(&c->net) = base;
}

static void residual(volt_plan_config *c)
{
    volt_unet_spec *spec;

    with_model(c, &volt_model_residual_unet);
    spec = c->net.spec;
    spec->convs_encoder[0] = spec->convs_encoder[1] = spec->convs_decoder[0] = 1;
    spec->slope = 0.01;
    spec->bias = true;
}

static void monai(volt_plan_config *c)
{
    volt_monai_spec *spec;

    with_model(c, &volt_model_monai_unet);
    spec = c->net.spec;
    for (int a = 0; a < 3; a++) {
        spec->base.stride[0][a] = 2; /* the last stage's is 1 */
        spec->base.stride[1][a] = 1;
        spec->up_kernel[a] = 3;
    }
    spec->slopes = 1;
    spec->res_units = 1;
    strcpy(spec->order, "NDA");
    spec->bias = true;
}

static void anisotropic(volt_plan_config *c)
{
    volt_spec *spec = volt_network_spec(&c->net);

    spec->kernel[0][0] = 1;
    spec->stride[1][0] = 1;
}

static void planes(volt_plan_config *c)
{
    volt_spec *spec = volt_network_spec(&c->net);

    c->axes = 2;
    c->patch[0] = 1;
    c->spacing[0] = 0;
    for (int s = 0; s < spec->stages; s++)
        spec->kernel[s][0] = spec->stride[s][0] = 1;
}

static void slices(volt_plan_config *c)
{
    planes(c);
    c->slices = 3;
    volt_network_spec(&c->net)->in_channels = 3;
}

static void whole(volt_plan_config *c)
{
    c->whole = true;
}

/* The fixture's plan with another network. */
static void make_kind(void (*change)(volt_plan_config *c))
{
    char text[8192], *changed = NULL;
    volt_plan *plan = NULL;

    assert_true(snprintf(text, sizeof text, fixture_plan, "0, 1, 2", "0, 1, 2", "8, 8, 8",
                         "1, 1, 1") < (int)sizeof text);
    assert_ok(volt_plan_parse(&plan, text, strlen(text), "plans.json", &info));
    change(&plan->config[0]);
    assert_ok(volt_plan_text(&changed, plan));
    write_seeded_run(RUN, changed, &info, 3);
    volt_free(changed);
    volt_plan_free(plan);
}

static void every_kind_of_network_is_shared_out(void **state)
{
    static const int few_ranks[] = {2, 3, 0}, ranks[] = {2, 3, 4, 8, 0};
    static const char *const shared[] = {"cases", "tiles"};
    static const char *const cuts[] = {"z=2", "y=3", "z=2,x=2", "z=2,y=2,x=2"};
    static const struct {
        void (*change)(volt_plan_config *c);
        bool cut; /* whole scans can be */
    } kinds[] = {{residual, true}, {monai, true},   {anisotropic, true},
                 {planes, false},  {slices, false}, {whole, true}};

    (void)state;
    start_scans();
    write_scan("long_0000.nii.gz", 21, 13, 17, 1);
    write_scan("short_0000.nii.gz", 11, 16, 12, 2);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        order o = {.run = {RUN}, .mirror = true, .probabilities = true};
        make_kind(kinds[i].change);
        print_message("network %zu\n", i);
        if (kinds[i].change != whole) /* which has no tiles */
            same_on(few_ranks, shared, &o);
        o.whole = kinds[i].cut;
        if (kinds[i].cut)
            same_on(ranks, cuts, &o);
    }
}

static void meshes_that_cannot_be_are_refused(void **state)
{
    order o = {.run = {RUN}};

    (void)state;
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1, 1, 1", &info, 3);
    start_scans();
    write_scan("a_0000.nii.gz", 16, 16, 16, 2);
    assert_fails(predict_on(2, "rows", &o), VOLT_EINVAL, "'cases', 'tiles' or axes");
    assert_fails(predict_on(2, "data=2", &o), VOLT_EINVAL, "along z, y and x");
    assert_fails(predict_on(2, "z=3", &o), VOLT_EINVAL, "z=3");
    assert_fails(predict_on(17, "z=17", &o), VOLT_EINVAL, "a_0000.nii.gz: ");
    assert_fails(predict_on(17, "z=17", &o), VOLT_EINVAL, "cannot be cut into 17 parts");
    make_flat_run(RUN, 1, 0, &info); /* slices cannot be cut into as many parts either */
    assert_fails(predict_on(17, "y=17", &o), VOLT_EINVAL, "cannot be cut into 17 parts");
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1, 1, 1", &info, 3);
    o.whole = true;
    assert_fails(predict_on(2, "tiles", &o), VOLT_EINVAL, "no rows of tiles");
    assert_false(volt_path_exists(MANY "/a.nii.gz"));
}

/* ---- memory, progress ---- */

/* What rank 0 logs of itself and of the others is what each uses. */
static void keeps_memory(int ranks, const char *mesh, order *o, const char *what)
{
    const size_t slack = (size_t)256 << 10; /* lists and strings */

    o->apart = true;
    assert_ok(predict_on(ranks, mesh, o));
    for (int r = 0; r < ranks; r++) {
        print_message("%s, %s, rank %d: %zu announced, %zu used\n", what,
                      mesh ? mesh : "one rank", r, o->needed[r], o->used[r]);
        if (o->needed[r] == 0)
            continue; /* a rank without cases */
        if (o->used[r] > o->needed[r])
            fail_msg("rank %d uses more", r);
        if (o->used[r] + o->used[r] / 34 + slack < o->needed[r])
            fail_msg("rank %d uses less", r);
    }
    assert_int_equal(system("rm -rf " ONE " " MANY), 0);
}

static void ranks_use_the_announced_memory(void **state)
{
    static const struct {
        int ranks;
        const char *mesh;
        bool whole;
    } on[] = {{1, NULL, false},
              {1, NULL, true},
              {3, "tiles", false},
              {3, "z=3", true},
              {4, "z=2,x=2", true}};
    static const volt_box box = {{12, 2, 3}, {21, 19, 29}};
    /* Spacing of the network: more voxels than the scan, fewer, as many. */
    static const struct {
        const char *what, *spacing;
        order o;
        bool turned;
    } way[] = {
        {"more voxels", "0.7, 0.9, 0.9", {.run = {RUN}}, false},
        {"fewer", "1.7, 2, 1.3", {.run = {RUN}, .probabilities = true}, false},
        {"the same", "1, 1.1, 0.9", {.run = {RUN}, .mirror = true}, false},
        {"two networks", "1, 1.1, 0.9", {.run = {RUN, TWIN}, .probabilities = true}, false},
        {"two plans", "1.3, 1, 1", {.run = {RUN, OTHER}, .probabilities = true}, false},
        {"halves", "1.3, 1, 1", {.run = {RUN, OTHER}, .halves = true}, false},
        {"regions",
         "1.1, 1.1, 1",
         {.run = {RUN}, .regions = true, .probabilities = true},
         true},
        {"a region", "1, 1.1, 0.9", {.run = {RUN}, .roi = &box, .halves = true}, false},
    };

    (void)state;
    start_scans();
    write_scan("a_0000.nii.gz", 26, 120, 128, 2);
    for (size_t k = 0; k < sizeof way / sizeof *way; k++) {
        const volt_dataset_info *of = way[k].o.regions ? &regions_info : &info;
        const bool turned = way[k].turned;
        make_run(RUN, turned ? "2, 0, 1" : "0, 1, 2", turned ? "1, 2, 0" : "0, 1, 2",
                 way[k].spacing, of, 3);
        make_run(TWIN, "0, 1, 2", "0, 1, 2", way[k].spacing, of, 4);
        make_run(OTHER, "2, 0, 1", "1, 2, 0", "1.3, 1, 1", of, 4);
        for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
            order o = way[k].o;
            o.whole = on[i].whole;
            keeps_memory(on[i].ranks, on[i].mesh, &o, way[k].what);
        }
    }
}

static void ranks_use_the_announced_memory_for_slices(void **state)
{
    static const struct {
        int ranks;
        const char *mesh;
    } on[] = {{1, NULL}, {3, "tiles"}, {3, "z=3"}, {4, "z=2,y=2"}};

    (void)state;
    start_scans();
    write_scan("a_0000.nii.gz", 26, 120, 128, 2);
    for (int flat = 0; flat < 2; flat++) {
        make_flat_run(RUN, flat ? 3 : 1, flat, &info);
        for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
            order o = {.run = {RUN}, .probabilities = flat == 1};
            keeps_memory(on[i].ranks, on[i].mesh, &o, flat ? "2.5-D" : "2-D");
        }
    }
}

/* Whole cases: what the rank with the most needs. */
static void ranks_with_cases_use_the_announced_memory(void **state)
{
    order o = {.run = {RUN}, .probabilities = true};

    (void)state;
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1.3, 1, 1", &info, 3);
    start_scans();
    write_scan("a_0000.nii.gz", 26, 120, 128, 2);
    keeps_memory(3, "cases", &o, "a case");
}

typedef struct seen {
    int64_t done, total;
    int lines;
} seen;

static void see(void *user, const char *what, int64_t done, int64_t total)
{
    seen *s = user;

    if (strcmp(what, "cases") != 0)
        return;
    assert_true(done >= s->done && done <= total);
    s->done = done;
    s->total = total;
}

static void hear(void *user, volt_log_level level, const char *line)
{
    (void)level;
    ((seen *)user)->lines += strncmp(line, "case ", 5) == 0;
}

static void progress_is_that_of_all_ranks(void **state)
{
    static const char *const mesh[] = {"cases", "tiles"};

    (void)state;
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1, 1, 1", &info, 3);
    write_cases();
    assert_ok(volt_write_file(IN "/z_0000.nii.gz", "no scan", 7));
    for (int i = 0; i < 2; i++) {
        seen s = {0};
        const volt_callbacks cb = {.user = &s, .progress = see, .log = hear};
        order o = {.run = {RUN}, .cb = &cb, .collect = true};
        assert_ok(predict_on(3, mesh[i], &o));
        assert_int_equal(s.done, 5);
        assert_int_equal(s.total, 5);
        assert_int_equal(s.lines, 1);
        volt_predict_failures_clear(&o.failures);
    }
    assert_int_equal(system("rm -rf " MANY), 0);
}

/* ---- failures ---- */

static bool always(void *user)
{
    (void)user;
    return true;
}

static void all_ranks_stop_when_asked(void **state)
{
    static const char *const mesh[] = {"cases", "tiles", "z=2"};
    const volt_callbacks cb = {.cancelled = always};

    (void)state;
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1, 1, 1", &info, 3);
    write_cases();
    for (int i = 0; i < 3; i++) {
        order o = {.run = {RUN}, .cb = &cb};
        assert_int_equal(predict_on(2, mesh[i], &o), VOLT_ECANCELLED);
    }
}

/* Wherever an allocation fails, on whichever rank: all end, and nothing stays behind. */
static void memory_that_ends_ends_all_ranks(void **state)
{
    static const char *const mesh[] = {"tiles", "z=2", "cases", "y=2"};
    const size_t before = volt_mem_current();

    (void)state;
    make_run(RUN, "0, 1, 2", "0, 1, 2", "1, 1, 1", &info, 3);
    start_scans();
    write_scan("a_0000.nii.gz", 18, 8, 9, 2);
    for (int i = 0; i < 4; i++) {
        int failures = 0;
        if (i == 3)
            make_flat_run(RUN, 3, 0, &info);
        for (int64_t n = 1;; n += n < 40 ? 13 : 29) {
            order o = {.run = {RUN}, .probabilities = n % 2 == 0};
            volt_status st;
            volt_mem_fail_after(n);
            st = predict_on(2, mesh[i], &o);
            volt_mem_fail_after(0);
            assert_int_equal(volt_mem_current(), before);
            if (st == VOLT_OK)
                break;
            assert_int_equal(st, VOLT_ENOMEM);
            failures++;
        }
        assert_true(failures > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_have_the_same_bytes),
        cmocka_unit_test(failures_are_collected_as_on_one_rank),
        cmocka_unit_test(rows_of_tiles_give_the_same_masks),
        cmocka_unit_test(a_region_of_interest_is_shared_out),
        cmocka_unit_test(networks_with_other_axes_are_averaged),
        cmocka_unit_test(whole_scans_are_split),
        cmocka_unit_test(halves_are_split),
        cmocka_unit_test(slices_are_split),
        cmocka_unit_test(every_kind_of_network_is_shared_out),
        cmocka_unit_test(meshes_that_cannot_be_are_refused),
        cmocka_unit_test(ranks_use_the_announced_memory),
        cmocka_unit_test(ranks_use_the_announced_memory_for_slices),
        cmocka_unit_test(ranks_with_cases_use_the_announced_memory),
        cmocka_unit_test(progress_is_that_of_all_ranks),
        cmocka_unit_test(all_ranks_stop_when_asked),
        cmocka_unit_test(memory_that_ends_ends_all_ranks),
    };
    int failed;

    if (volt_dataset_info_parse(&info, fixture_dataset, strlen(fixture_dataset),
                                "dataset.json") != VOLT_OK ||
        volt_dataset_info_parse(&regions_info, fixture_regions, strlen(fixture_regions),
                                "dataset.json") != VOLT_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    volt_dataset_info_clear(&info);
    volt_dataset_info_clear(&regions_info);
    return failed;
}
