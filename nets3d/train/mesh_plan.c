/* The table of meshes: which can be, what each costs, which is the best.
 *
 * The rank with the largest part of a mesh is compiled alone, as if its peers were there
 * (parallel/mesh/rehearse.h): its program is the one that it would train with.
 */
#include "nets3d/mesh_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/options.h"
#include "base/core/plural.h"
#include "base/system/tasks.h"
#include "base/threads.h"
#include "nets3d/program/costs.h"
#include "nets3d/program/precision.h"
#include "nets3d/program/ranks.h"
#include "nets3d/train/checks.h"
#include "nets3d/train/feed.h"
#include "nets3d/train/mesh_rate.h"
#include "nets3d/train/param_scales.h"
#include "nets3d/train/ranks.h"
#include "nets3d/train/setting.h"
#include "parallel/mesh/rehearse.h"

/* One search. */
typedef struct search {
    const volt_mesh_plan_options *o;
    const volt_network *net;
    volt_device *device;
    volt_graph *graph;
    volt_recipe recipe;
    volt_train_targets targets;
    volt_train_setting setting;
    double *scale;
    bool *learns;
    volt_program_options program; /* of one rank */
    volt_mesh_plan *plan;
    int capacity;
} search;

void volt_mesh_plan_options_init(volt_mesh_plan_options *o, size_t size)
{
    static const volt_mesh_plan_options defaults = {
        .size = sizeof defaults,
        .precision = VOLT_FP32,
        .links = {0, {2e-6, 25e9}, {2e-6, 25e9}},
    };

    volt_options_init(o, size, &defaults, sizeof defaults);
}

void volt_mesh_plan_free(volt_mesh_plan *plan)
{
    if (!plan)
        return;
    for (int i = 0; i < plan->rows; i++)
        volt_free(plan->row[i].why);
    for (int a = 0; a < VOLT_MESH_AXES; a++)
        volt_free(plan->limit[a].why);
    volt_free(plan->row);
    volt_free(plan);
}

volt_traffic volt_mesh_row_sent(const volt_mesh_row *row)
{
    const volt_traffic around = volt_traffic_add(row->agreements, row->boxes);
    const volt_traffic passes = volt_traffic_add(row->halos, row->sums);

    return volt_traffic_add(volt_traffic_add(passes, row->gradients), around);
}

static volt_status check_link(const char *what, const volt_link *link)
{
    if (link->latency_s >= 0 && link->bytes_per_s > 0 && isfinite(link->latency_s))
        return VOLT_OK;
    return volt_fail(
        VOLT_EINVAL,
        "a link %s hosts with %g bytes/s and %g s latency: expected a rate above 0 "
        "and a latency of 0 or more",
        what, link->bytes_per_s, link->latency_s);
}

static volt_status check(const volt_mesh_plan_options *o, const volt_recipe *recipe)
{
    volt_status st;

    if (o->ranks < 1)
        return volt_fail(VOLT_EINVAL, "a mesh of %d ranks, expected 1 or more", o->ranks);
    if (o->batch < 1)
        return volt_fail(VOLT_EINVAL, "the batch is %lld, expected 1 or more",
                         (long long)o->batch);
    if (!(o->rate >= 0) || !(o->step_s >= 0))
        return volt_fail(VOLT_EINVAL, "a rate of %g flop/s and a step of %g s", o->rate,
                         o->step_s);
    if (o->data && (!o->data->plan || !o->data->config || !o->data->info))
        return volt_fail(VOLT_EINVAL, "the training data lack a plan, a configuration or the "
                                      "data set's description");
    VOLT_TRY(st, done, volt_train_check_recipe(recipe, NULL));
    VOLT_TRY(st, done, check_link("within", &o->links.near));
    st = check_link("between", &o->links.far);
done:
    return st;
}

/* ---- limits ---- */

/* Box of rank `place` of the space; VOLT_EINVAL as volt_program_create. */
static volt_status box_of(volt_box *out, const search *s, const int size[VOLT_MESH_AXES],
                          int place)
{
    volt_program_options o = s->program;
    volt_mesh mesh = {.size = {1}};
    volt_status st;

    memcpy(mesh.size, size, sizeof mesh.size);
    o.mesh = &mesh;
    st = volt_program_cut(&o, s->graph, place);
    if (st == VOLT_OK)
        *out = volt_box_is_empty(o.box) ? volt_box_of_shape(o.extent) : o.box;
    return st;
}

/* The most parts along an axis in space, up to the number of ranks. */
static volt_status limit_of_space(const search *s, int axis)
{
    volt_mesh_limit *limit = &s->plan->limit[axis];
    int size[VOLT_MESH_AXES] = {1, 1, 1, 1, 1};
    volt_box box;

    for (size[axis] = 2; size[axis] <= s->plan->ranks; size[axis]++) {
        volt_status st = box_of(&box, s, size, 0);

        if (st == VOLT_EINVAL)
            return volt_strdup(&limit->why, volt_last_error());
        if (st != VOLT_OK)
            return st;
        limit->most = size[axis];
    }
    return VOLT_OK;
}

static volt_status find_limits(const search *s)
{
    volt_mesh_limit *data = &s->plan->limit[VOLT_MESH_DATA];
    const int64_t batch = s->o->batch;
    volt_status st = VOLT_OK;

    for (int a = 0; a < VOLT_MESH_AXES; a++)
        s->plan->limit[a].most = 1;
    for (int a = VOLT_MESH_Z; a <= VOLT_MESH_X; a++)
        VOLT_TRY(st, done, limit_of_space(s, a));
    data->most = batch < s->plan->ranks ? (int)batch : s->plan->ranks;
    if (batch < s->plan->ranks)
        st = volt_format(&data->why,
                         "a batch of %lld sample%s cannot be shared out to more ranks than "
                         "%lld along data",
                         (long long)batch, volt_s(batch), (long long)batch);
done:
    return st;
}

/* Takes the product of parts along all axes that is nearest to `ranks`, the larger of two. */
static void find_nearest(const volt_mesh_plan *plan, int axis, int64_t product, int64_t *best)
{
    const int64_t ranks = plan->ranks, near = llabs(product - ranks);

    if (axis == VOLT_MESH_STAGE) {
        if (near < llabs(*best - ranks) || (near == llabs(*best - ranks) && product > *best))
            *best = product;
        return;
    }
    for (int k = 1; k <= plan->limit[axis].most && product * k < 2 * ranks; k++)
        find_nearest(plan, axis + 1, product * k, best);
}

/* ---- rows ---- */

static int places_of(const int size[VOLT_MESH_AXES])
{
    return size[VOLT_MESH_Z] * size[VOLT_MESH_Y] * size[VOLT_MESH_X];
}

/* Boxes of all places. Along an axis they are cut alike, so a row of places tells all. The
 * caller owns *out. */
static volt_status find_boxes(volt_box **out, const search *s, const int size[VOLT_MESH_AXES])
{
    const int places = places_of(size);
    const int step[3] = {size[VOLT_MESH_Y] * size[VOLT_MESH_X], size[VOLT_MESH_X], 1};
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(out, (size_t)places * sizeof **out, "boxes of the ranks"));
    for (int a = 0; a < 3; a++) {
        for (int k = 0; k < size[VOLT_MESH_Z + a]; k++) {
            volt_box box;

            VOLT_TRY(st, done, box_of(&box, s, size, k * step[a]));
            for (int i = 0; i < places; i++) {
                if (i / step[a] % size[VOLT_MESH_Z + a] != k)
                    continue;
                (*out)[i].low[a] = box.low[a];
                (*out)[i].high[a] = box.high[a];
            }
        }
    }
done:
    return st;
}

/* The place whose box has most voxels and, among equals, most neighbours. */
static int find_largest(const volt_box *box, int places, const int64_t patch[3])
{
    int64_t most = -1;
    int largest = 0;

    for (int i = 0; i < places; i++) {
        int64_t score = volt_box_voxels(box[i]) * 8;

        for (int a = 0; a < 3; a++)
            score += (box[i].low[a] > 0) + (box[i].high[a] < patch[a]);
        if (score > most) {
            most = score;
            largest = i;
        }
    }
    return largest;
}

/* What the trainer sends around the program's passes, and how long that takes, in seconds. */
static double count_trainer(volt_mesh_row *row, const search *s, const volt_box *box)
{
    const volt_links *links = &s->o->links;
    const int ranks = s->plan->ranks;
    double boxes_s = 0;

    row->agreements =
        volt_traffic_all_gather(VOLT_TRAIN_DECISIONS * sizeof(bool), ranks, row->rank);
    row->turns = places_of(row->size);
    for (int i = 0; i < row->turns; i++) {
        const volt_link *link = volt_links_between(links, row->rank, i);
        const volt_traffic sent =
            volt_feed_box_traffic(row->samples, volt_network_in_channels(s->net), box[i]);

        if (i == row->rank)
            continue;
        row->boxes = volt_traffic_add(row->boxes, sent);
        boxes_s +=
            (double)sent.messages * link->latency_s + (double)sent.bytes / link->bytes_per_s;
    }
    return (double)s->recipe.accumulate * boxes_s +
           (double)volt_rounds_sum_f64(ranks) * volt_links_slowest(links, ranks, 1)->latency_s;
}

static volt_traffic times(volt_traffic t, int64_t count)
{
    return (volt_traffic){t.messages * count, t.bytes * count};
}

static void fill(volt_mesh_row *row, const search *s, const volt_program *p,
                 const volt_program_costs *c, const volt_box *box)
{
    const double parts = (double)s->recipe.accumulate;
    volt_program_memory m;

    volt_program_memory_of(p, &m);
    volt_box_shape(row->part, box[row->rank]);
    row->memory = volt_setting_memory(&s->setting, s->graph, &m, row->samples,
                                      places_of(row->size), box[row->rank]);
    row->fits = !s->o->memory || row->memory.total <= s->o->memory;
    row->halos = times(c->halos, s->recipe.accumulate);
    row->sums = times(c->sums, s->recipe.accumulate);
    row->gradients = c->gradients;
    row->flops = c->flops * parts;
    row->compute_s = c->compute_s * parts;
    row->wait_s = c->wait_s * parts + c->average_s + count_trainer(row, s, box);
    row->step_s = row->compute_s + row->wait_s + s->plan->update_s;
}

/* The program of one rank; `mesh` NULL = alone. */
static volt_status compile(volt_program **out, const search *s, const volt_mesh *mesh,
                           int64_t samples)
{
    volt_program_options o = s->program;

    o.n = samples;
    o.mesh = mesh;
    return volt_program_create(out, s->graph, s->device, &o);
}

static volt_status measure_row(volt_mesh_row *row, const search *s)
{
    const int *size = row->size;
    int at[VOLT_MESH_AXES] = {0}, place;
    volt_program *program = NULL;
    volt_program_costs costs;
    volt_mesh *mesh = NULL;
    volt_box *box = NULL;
    volt_status st;

    VOLT_TRY(st, done, find_boxes(&box, s, size));
    place = find_largest(box, places_of(size), s->o->patch);
    at[VOLT_MESH_X] = place % size[VOLT_MESH_X];
    at[VOLT_MESH_Y] = place / size[VOLT_MESH_X] % size[VOLT_MESH_Y];
    at[VOLT_MESH_Z] = place / size[VOLT_MESH_X] / size[VOLT_MESH_Y];
    VOLT_TRY(st, done, volt_mesh_rehearse(&mesh, size, at));
    VOLT_TRY(st, done, compile(&program, s, mesh, row->samples));
    VOLT_TRY(st, done,
             volt_program_costs_of(&costs, program, volt_setting_batch_dice(&s->setting),
                                   &s->o->links, s->plan->rate));
    row->rank = place; /* of the first data group */
    fill(row, s, program, &costs, box);
done:
    volt_program_free(program);
    volt_mesh_end_rehearsal(mesh);
    volt_free(box);
    return st;
}

static volt_status add_row(search *s, const int size[VOLT_MESH_AXES])
{
    volt_mesh_plan *plan = s->plan;
    const int64_t groups = size[VOLT_MESH_DATA];
    volt_mesh_row *row;
    volt_status st;

    if (plan->rows == s->capacity) {
        const int wanted = 2 * s->capacity + 32;
        VOLT_TRY(st, done,
                 volt_realloc(&plan->row, (size_t)plan->rows * sizeof *plan->row,
                              (size_t)wanted * sizeof *plan->row, "meshes"));
        s->capacity = wanted;
    }
    row = &plan->row[plan->rows++];
    memset(row, 0, sizeof *row);
    memcpy(row->size, size, sizeof row->size);
    row->samples = (s->o->batch + groups - 1) / groups;
    st = VOLT_OK;
done:
    return st;
}

/* All meshes with `ranks` ranks along the axes from `axis` on. */
static volt_status list_rows(search *s, int size[VOLT_MESH_AXES], int axis, int ranks)
{
    const int most = s->plan->limit[axis].most;
    volt_status st = VOLT_OK;

    if (axis == VOLT_MESH_STAGE)
        return ranks == 1 ? add_row(s, size) : VOLT_OK;
    for (int k = 1; k <= most && st == VOLT_OK; k++) {
        size[axis] = k;
        if (ranks % k == 0)
            st = list_rows(s, size, axis + 1, ranks / k);
    }
    return st;
}

/* A row is a task: compiling takes one thread. */
static volt_status measure_task(void *context, int64_t index, int threads)
{
    const search *s = context;
    volt_mesh_row *row = &s->plan->row[index];
    volt_status st = measure_row(row, s);

    (void)threads;
    if (st == VOLT_EINVAL || st == VOLT_ENOTSUP)
        st = volt_strdup(&row->why, volt_last_error());
    return st;
}

static volt_status measure_rows(search *s)
{
    const volt_tasks tasks = {.run = measure_task,
                              .context = s,
                              .count = s->plan->rows,
                              .what = "meshes",
                              .callbacks = s->o->callbacks};

    return volt_tasks_run(&tasks);
}

/* Of rows that take as long, to 0.1 us since sums in another order differ in their last bits,
 * the one that needs less memory, then the one with more ranks along the first axes. */
static int compare(const void *a, const void *b)
{
    const volt_mesh_row *x = a, *y = b;
    const double time_x = floor(x->step_s * 1e7), time_y = floor(y->step_s * 1e7);
    const int order_x = x->why ? 2 : x->fits ? 0 : 1, order_y = y->why ? 2 : y->fits ? 0 : 1;

    if (order_x != order_y)
        return order_x - order_y;
    if (time_x != time_y)
        return time_x < time_y ? -1 : 1;
    if (x->memory.total != y->memory.total)
        return x->memory.total < y->memory.total ? -1 : 1;
    for (int i = 0; i < VOLT_MESH_AXES; i++) {
        if (x->size[i] != y->size[i])
            return y->size[i] - x->size[i];
    }
    return 0;
}

/* ---- all ---- */

/* What is trained, as a rank of a session has it. */
static volt_status open_setting(search *s)
{
    const volt_mesh_plan_options *o = s->o;
    const volt_train_data *d = o->data;
    volt_train_setting *t = &s->setting;
    volt_status st = VOLT_OK;

    *t = (volt_train_setting){.recipe = &s->recipe,
                              .precision = s->plan->precision,
                              .device = s->device,
                              .ranks = o->ranks,
                              .threads = volt_threads_or_default(o->threads),
                              .loader_threads = o->loader_threads};
    memcpy(t->patch, o->patch, sizeof t->patch);
    if (!d)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_train_targets_open(&s->targets, d->info));
    t->plan = d->plan;
    t->config = d->config;
    t->info = d->info;
    t->targets = &s->targets;
    t->validates = d->validate_count > 0;
done:
    return st;
}

/* Network, precision and the settings of all programs. */
static volt_status open_search(search *s)
{
    const volt_mesh_plan_options *o = s->o;
    volt_precision_query query = {
        .net = s->net, .batch = o->batch, .mode = VOLT_TRAIN, .threads = o->threads};
    volt_status st;

    memcpy(query.patch, o->patch, sizeof query.patch);
    VOLT_TRY(st, done, volt_device_open(&s->device, o->device ? o->device : "cpu"));
    query.device = s->device;
    VOLT_TRY(st, done,
             volt_precision_choose(&s->plan->precision, o->precision, &query, o->callbacks));
    VOLT_TRY(st, done, open_setting(s));
    VOLT_TRY(st, done, volt_setting_graph(&s->graph, &s->setting, s->net));
    VOLT_TRY(st, done, volt_param_rules(&s->scale, &s->learns, s->graph, &s->recipe, NULL));
    s->program = volt_setting_program(&s->setting);
    s->program.learns = s->learns;
    s->program.n = s->program.samples = o->batch;
done:
    return st;
}

static void close_search(search *s)
{
    volt_mesh_plan_free(s->plan);
    volt_free(s->learns);
    volt_free(s->scale);
    volt_train_targets_close(&s->targets);
    volt_graph_free(s->graph);
    volt_device_close(s->device);
}

/* The rate, and one rank's step. */
static volt_status find_rate(const search *s)
{
    volt_mesh_plan *plan = s->plan;
    volt_program *program = NULL;
    volt_mesh_rate measured;
    volt_program_costs costs;
    double flops;
    volt_status st;

    VOLT_TRY(st, done, compile(&program, s, NULL, s->o->batch));
    VOLT_TRY(st, done,
             volt_program_costs_of(&costs, program, volt_setting_batch_dice(&s->setting),
                                   &s->o->links, 1));
    flops = costs.flops * (double)s->recipe.accumulate;
    plan->rate = s->o->rate;
    if (plan->rate == 0 && s->o->step_s > 0)
        plan->rate = flops / s->o->step_s;
    if (plan->rate == 0) {
        VOLT_TRY(st, done,
                 volt_mesh_measure(&measured, s->graph, s->device, s->net, &s->program,
                                   s->recipe.optimizer.kind));
        plan->measured = true;
        plan->rate = measured.rate;
        plan->update_s = measured.update_s;
    }
    plan->one_rank_s = flops / plan->rate + plan->update_s;
done:
    volt_program_free(program);
    return st;
}

volt_status volt_mesh_choose(volt_mesh_plan **out, const volt_network *net,
                             const volt_mesh_plan_options *options)
{
    volt_mesh_plan_options o = volt_mesh_plan_defaults();
    int size[VOLT_MESH_AXES] = {1, 1, 1, 1, 1};
    search s = {.o = &o, .net = net, .recipe = volt_recipe_nnunet()};
    int64_t nearest = 1;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_mesh_plan_options"));
    VOLT_TRY(st, done, volt_options_take(&s.recipe, sizeof s.recipe, o.recipe, "volt_recipe"));
    s.recipe.batch = o.batch;
    VOLT_TRY(st, done, check(&o, &s.recipe));
    VOLT_TRY(st, done, volt_alloc_zero(&s.plan, 1, sizeof *s.plan, "meshes"));
    s.plan->ranks = o.ranks;
    VOLT_TRY(st, done, open_search(&s));
    VOLT_TRY(st, done, find_rate(&s));
    VOLT_TRY(st, done, find_limits(&s));
    VOLT_TRY(st, done, list_rows(&s, size, VOLT_MESH_DATA, o.ranks));
    VOLT_TRY(st, done, measure_rows(&s));
    if (s.plan->rows)
        qsort(s.plan->row, (size_t)s.plan->rows, sizeof *s.plan->row, compare);
    s.plan->best = s.plan->rows && s.plan->row[0].fits ? 0 : -1;
    find_nearest(s.plan, VOLT_MESH_DATA, 1, &nearest);
    s.plan->nearest = (int)nearest;
    *out = s.plan;
    s.plan = NULL;
done:
    close_search(&s);
    return st;
}
