#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "apps/cli/dataset_options.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/system/file.h"
#include "base/threads.h"
#include "nets3d/mesh_plan.h"
#include "nets3d/pipeline.h"
#include "nets3d/run.h"

typedef struct mesh_options {
    int64_t ranks, batch;
    const char *memory, *machine, *link, *configuration, *precision, *work, *json_file;
    cli_list rate;
    double step;
    cli_dataset data;
} mesh_options;

#define AT(field) offsetof(mesh_options, field)
static const cli_option options[] = {
    {"--ranks", 0, CLI_INT, AT(ranks), "N", NULL, 1, 65536, "number of ranks (required)"},
    {"--memory", 0, CLI_TEXT, AT(memory), "SIZE", NULL, 0, 0,
     "memory of one rank: 80G, 500M, 64GiB [the machine's]"},
    {"--machine", 0, CLI_TEXT, AT(machine), "NAME", NULL, 0, 0,
     "what ranks run on, with published figures: a100, h100 or h200, +nvlink or +infiniband "
     "[this machine, measured]"},
    {"--link", 0, CLI_TEXT, AT(link), "RATE,LATENCY", NULL, 0, 0,
     "link between ranks: 25GB/s,2us or 100Gb/s,5us [the machine's; 25GB/s,2us]"},
    {"--rate", 0, CLI_REALS, AT(rate), "GF/s", NULL, 1e-3, 1e9,
     "computing rate of one rank in training [measured]"},
    {"--step", 0, CLI_DURATION, AT(step), "SECONDS", NULL, 1e-6, 1e6,
     "instead: time that one rank needs for a step of the whole batch"},
    {"--batch", 0, CLI_INT, AT(batch), "N", NULL, 1, 65536,
     "samples of all ranks together [the run's or the plan's]"},
    {"--configuration", 'c', CLI_TEXT, AT(configuration), "NAME", NULL, 0, 0,
     "configuration of the plan [the run's; 3d_fullres]"},
    {"--precision", 0, CLI_WORD, AT(precision), "auto|fp32|bf16|fp16|tf32", NULL, 0, 0,
     "precision of activations [the run's; auto]"},
    {"--dataset", 0, CLI_TEXT, AT(json_file), "JSON", NULL, 0, 0,
     "dataset.json of a plan [next to it or in the folder above]"},
    {"--work", 0, CLI_TEXT, AT(work), "DIR", NULL, 0, 0,
     "folder of the plan of DATASET [VOLT_WORK, else DATASET/volt]"},
    CLI_DATASET_OPTIONS(mesh_options, data),
};

/* The network to be split, from a run, a data set or a plan; owned. */
typedef struct subject {
    volt_run_plan run;
    volt_pipeline pipeline;
    volt_plan *plan;
    volt_dataset_info info;
    const volt_plan_config *config;
    volt_train_data data; /* what is trained; borrowed from the others */
    volt_recipe recipe;
} subject;

static void clear(subject *s)
{
    volt_run_plan_clear(&s->run);
    volt_pipeline_clear(&s->pipeline);
    volt_plan_free(s->plan);
    volt_dataset_info_clear(&s->info);
}

/* ---- values with units ---- */

typedef struct quantity_unit {
    const char *name;
    double factor;
} quantity_unit;

/* A number above 0 and its unit; `text` is `length` long. */
static bool read_quantity(double *out, const char *text, size_t length,
                          const quantity_unit *units, int count)
{
    char copy[40], *end;
    double value;

    if (length == 0 || length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if ((*copy < '0' || *copy > '9') && *copy != '.')
        return false;
    value = strtod(copy, &end);
    while (*end == ' ')
        end++;
    for (int i = 0; i < count; i++) {
        if (strcasecmp(end, units[i].name) == 0) {
            *out = value * units[i].factor;
            return isfinite(*out) && *out >= 0;
        }
    }
    return false;
}

static volt_status read_memory(size_t *out, const char *text)
{
    static const quantity_unit units[] = {{"G", 1e9},
                                          {"GB", 1e9},
                                          {"M", 1e6},
                                          {"MB", 1e6},
                                          {"T", 1e12},
                                          {"TB", 1e12},
                                          {"GiB", 1073741824.0},
                                          {"MiB", 1048576.0},
                                          {"TiB", 1099511627776.0}};
    double bytes;

    if (!read_quantity(&bytes, text, strlen(text), units, sizeof units / sizeof *units) ||
        bytes < 1 || bytes > 1e18)
        return volt_fail(VOLT_EINVAL,
                         "--memory is '%s'; expected a size such as 80G, 500M or 64GiB", text);
    *out = (size_t)bytes;
    return VOLT_OK;
}

/* Units are those of links, where b is a bit and B a byte. */
static bool read_rate(double *out, const char *text, size_t length)
{
    static const quantity_unit units[] = {
        {"B/s", 1}, {"kB/s", 1e3}, {"MB/s", 1e6}, {"GB/s", 1e9}};
    const char *bit = memchr(text, 'b', length);
    char bytes[40];

    if (length >= sizeof bytes)
        return false;
    memcpy(bytes, text, length);
    if (bit)
        bytes[bit - text] = 'B';
    if (!read_quantity(out, bytes, length, units, sizeof units / sizeof *units) || *out <= 0)
        return false;
    *out /= bit ? 8 : 1;
    return true;
}

static volt_status read_link(volt_links *out, const char *text)
{
    static const quantity_unit units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
    const char *comma = strchr(text, ',');
    volt_link link;

    if (!comma || !read_rate(&link.bytes_per_s, text, (size_t)(comma - text)) ||
        !read_quantity(&link.latency_s, comma + 1, strlen(comma + 1), units,
                       sizeof units / sizeof *units))
        return volt_fail(VOLT_EINVAL,
                         "--link is '%s'; expected a rate and a latency, such as 25GB/s,2us",
                         text);
    *out = (volt_links){0, link, link};
    return VOLT_OK;
}

/* ---- what to split ---- */

static bool is_plan(const char *path)
{
    const size_t length = strlen(path);

    return length > 5 && strcasecmp(path + length - 5, ".json") == 0;
}

/* dataset.json next to the plan or in the folder above; the caller owns *out. */
static volt_status find_info(char **out, const char *plan, const char *given)
{
    const char *slash = strrchr(plan, '/');
    const int folder = slash ? (int)(slash - plan) + 1 : 0;
    static const char *const places[] = {"dataset.json", "../dataset.json"};
    volt_status st;

    if (given)
        return volt_strdup(out, given);
    for (int i = 0; i < 2; i++) {
        st = volt_format(out, "%.*s%s", folder, plan, places[i]);
        if (st != VOLT_OK || volt_path_exists(*out))
            return st;
        volt_free(*out);
        *out = NULL;
    }
    return volt_fail(VOLT_EINVAL,
                     "%s: there is no dataset.json next to it or in the folder above; name one "
                     "with --dataset JSON",
                     plan);
}

static volt_status open_plan(subject *s, const char *path, const mesh_options *o)
{
    char *info = NULL;
    volt_status st;

    VOLT_TRY(st, done, cli_check_inputs(&path, 1));
    VOLT_TRY(st, done, find_info(&info, path, o->json_file));
    VOLT_TRY(st, done, volt_dataset_info_read(&s->info, info));
    VOLT_TRY(st, done, volt_plan_read(&s->plan, path, &s->info));
    st =
        volt_plan_find(&s->config, s->plan, o->configuration ? o->configuration : "3d_fullres");
done:
    volt_free(info);
    return st;
}

static volt_status open_dataset(subject *s, cli *c, mesh_options *o)
{
    volt_pipeline_options run = volt_pipeline_defaults();
    volt_dataset_options data;
    volt_status st;

    run.work = o->work;
    run.data = &data;
    run.until = VOLT_STAGE_PLAN;
    run.configuration = o->configuration;
    run.threads = (int)c->threads;
    run.callbacks = &c->callbacks;
    VOLT_TRY(st, done, cli_check_work(c, o->work));
    VOLT_TRY(st, done, cli_dataset_take(&data, &run.dataset, c, &o->data));
    VOLT_TRY(st, done, volt_pipeline_run(&s->pipeline, &run));
    s->config = s->pipeline.config;
done:
    cli_end_progress(c);
    return st;
}

static volt_status open_run(subject *s, const char *path, const mesh_options *o)
{
    volt_status st;

    VOLT_TRY(st, done, volt_run_plan_read(&s->run, path));
    s->config = s->run.config;
    if (o->configuration)
        st = volt_plan_find(&s->config, s->run.plan, o->configuration);
done:
    return st;
}

static volt_status open_subject(subject *s, cli *c)
{
    mesh_options *o = c->options;
    const char *path = c->args_count ? c->args[0] : NULL;

    if (path && volt_is_run(path))
        return open_run(s, path, o);
    if (path && is_plan(path))
        return open_plan(s, path, o);
    return open_dataset(s, c, o);
}

/* ---- the question ---- */

/* Machine, link, rate and memory; *machine NULL: this one. */
static volt_status set_machine(volt_mesh_plan_options *q, const volt_machine **machine,
                               const mesh_options *o)
{
    volt_status st = VOLT_OK;

    *machine = NULL;
    q->memory = volt_mem_machine();
    if (o->machine) {
        VOLT_TRY(st, done, volt_machine_find(machine, o->machine));
        q->rate = (*machine)->rate;
        q->memory = (*machine)->memory;
        q->links = (*machine)->links;
    }
    if (o->rate.count && o->step > 0)
        return volt_fail(VOLT_EINVAL, "--rate and --step exclude each other");
    if (o->rate.count)
        q->rate = o->rate.v[0] * 1e9;
    if (o->step > 0) {
        q->rate = 0;
        q->step_s = o->step;
    }
    if (o->link)
        VOLT_TRY(st, done, read_link(&q->links, o->link));
    if (o->memory)
        st = read_memory(&q->memory, o->memory);
done:
    return st;
}

/* A run knows whether it is validated on cases of its own; a new one usually is. */
static void set_data(subject *s)
{
    const bool run = s->run.plan != NULL;
    volt_train_data *d = &s->data;

    s->recipe = run ? s->run.recipe : volt_recipe_nnunet();
    d->plan = run ? s->run.plan : s->plan ? s->plan : s->pipeline.plan;
    d->info = run ? &s->run.info : s->plan ? &s->info : &s->pipeline.dataset->info;
    d->config = s->config;
    d->validate_count = s->recipe.validation_iterations > 0;
}

static volt_status set_training(volt_mesh_plan_options *q, const subject *s, const cli *c)
{
    const mesh_options *o = c->options;
    const volt_recipe *r = &s->recipe;

    q->ranks = (int)o->ranks;
    memcpy(q->patch, s->config->patch, sizeof q->patch);
    q->batch = o->batch ? o->batch : r->batch ? r->batch : s->config->batch;
    q->recipe = r;
    q->data = &s->data;
    q->threads = (int)c->threads;
    q->callbacks = &c->callbacks;
    q->precision = s->run.plan ? s->run.precision : VOLT_PRECISION_AUTO;
    return o->precision ? volt_precision_parse(&q->precision, o->precision) : VOLT_OK;
}

/* ---- the answer ---- */

/* What is printed. */
typedef struct answer {
    const cli *c;
    const subject *s;
    const volt_mesh_plan_options *q;
    const volt_machine *machine;
    const volt_mesh_plan *plan;
} answer;

static const char *size_words(char out[24], double bytes)
{
    const char *unit = bytes >= 1e9 ? "GB" : bytes >= 1e6 ? "MB" : "kB";
    const double value = bytes / (bytes >= 1e9 ? 1e9 : bytes >= 1e6 ? 1e6 : 1e3);

    if (bytes == 0)
        snprintf(out, 24, "0");
    else
        snprintf(out, 24, "%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, unit);
    return out;
}

static const char *time_words(char out[24], double s)
{
    const char *unit = s >= 1 ? "s" : s >= 1e-3 ? "ms" : "us";

    snprintf(out, 24, "%.3g %s", s * (s >= 1 ? 1 : s >= 1e-3 ? 1e3 : 1e6), unit);
    return out;
}

static const char *rate_words(char out[24], double flops)
{
    snprintf(out, 24, "%.4g %s", flops / (flops < 1e13 ? 1e9 : 1e12),
             flops < 1e13 ? "GF/s" : "TF/s");
    return out;
}

static void print_link(const char *what, const volt_link *l)
{
    char time[24];

    printf("%s%.4g GB/s, %s", what, l->bytes_per_s / 1e9, time_words(time, l->latency_s));
}

static void print_head(const answer *a)
{
    const volt_mesh_plan_options *q = a->q;
    const volt_links *l = &q->links;
    char text[24], ranks[24];

    printf("%s: patch %" PRId64 " x %" PRId64 " x %" PRId64 ", batch %" PRId64 ", %s\n",
           a->s->config->name, q->patch[0], q->patch[1], q->patch[2], q->batch,
           volt_precision_name(a->plan->precision));
    snprintf(ranks, sizeof ranks, "%d rank%s", q->ranks, volt_s(q->ranks));
    printf("  %-14s %s each%s%s\n", ranks, rate_words(text, a->plan->rate),
           a->plan->measured ? ", measured on this machine"
           : a->machine      ? ", "
                             : ", as given",
           a->machine ? a->machine->title : "");
    print_link("  links          ", &l->near);
    if (l->host_ranks) {
        printf(" on a host of %d; ", l->host_ranks);
        print_link("", &l->far);
        printf(" between hosts");
    }
    printf("\n  memory         %s for each rank\n", size_words(text, (double)q->memory));
    printf("  one rank       %s for a step of the whole batch\n\n",
           time_words(text, a->plan->one_rank_s));
}

static void print_row(const answer *a, const volt_mesh_row *r, bool best)
{
    const double speed_up = a->plan->one_rank_s / r->step_s;
    char mesh[VOLT_MESH_TEXT], part[64], memory[24], halos[24], gradients[24], scattered[24],
        step[24], waits[24];

    volt_mesh_text(mesh, r->size);
    if (r->why) {
        printf("  %-22s %s\n", mesh, r->why);
        return;
    }
    snprintf(part, sizeof part, "%" PRId64 " x %" PRId64 " x %" PRId64, r->part[0], r->part[1],
             r->part[2]);
    printf(
        "%c %-22s %7" PRId64 "  %-17s %9s %10s %9s %9s %8" PRId64 " %9s %9s %8.2f %8.0f %%%s\n",
        best ? '*' : ' ', mesh, r->samples, part, size_words(memory, (double)r->memory.total),
        size_words(halos, (double)r->halos.bytes),
        size_words(gradients, (double)r->gradients.bytes),
        size_words(scattered, (double)r->boxes.bytes), volt_mesh_row_sent(r).messages,
        time_words(waits, r->wait_s), time_words(step, r->step_s), speed_up,
        100 * speed_up / a->plan->ranks, r->fits ? "" : "  too large");
}

static void print_limits(const volt_mesh_plan *plan)
{
    for (int i = 0; i < VOLT_MESH_STAGE; i++) {
        if (plan->limit[i].why)
            printf("limit: %s\n", plan->limit[i].why);
    }
}

/* The possible mesh that needs least memory; NULL: none is possible. */
static const volt_mesh_row *smallest(const volt_mesh_plan *plan)
{
    const volt_mesh_row *found = NULL;

    for (int i = 0; i < plan->rows; i++) {
        const volt_mesh_row *r = &plan->row[i];
        if (!r->why && (!found || r->memory.total < found->memory.total))
            found = r;
    }
    return found;
}

static void print_best(const answer *a)
{
    const volt_mesh_plan *plan = a->plan;
    const volt_mesh_row *least = smallest(plan);
    char text[VOLT_MESH_TEXT], size[24], needed[24];

    if (plan->best >= 0)
        printf("best: --mesh %s\n", volt_mesh_text(text, plan->row[plan->best].size));
    else if (least)
        printf("no mesh fits into %s; the smallest, %s, needs %s\n",
               size_words(size, (double)a->q->memory), volt_mesh_text(text, least->size),
               size_words(needed, (double)least->memory.total));
    else
        printf("no mesh is possible\n");
}

static void print_text(const answer *a)
{
    const volt_mesh_plan *plan = a->plan;

    print_head(a);
    printf("  %-22s %7s  %-17s %9s %10s %9s %9s %8s %9s %9s %8s %10s\n", "mesh", "samples",
           "largest part", "memory", "halos", "gradients", "scattered", "messages", "waiting",
           "step", "speed-up", "efficiency");
    for (int i = 0; i < plan->rows; i++)
        print_row(a, &plan->row[i], i == plan->best);
    printf("\nbytes and messages: sent by the rank with the largest part in one step; "
           "scattered: samples\nto ranks that split them, in steps in which it makes them; "
           "times are predicted\n");
    if (a->machine)
        printf("figures: %s\n", a->machine->source);
    print_limits(plan);
    print_best(a);
}

static json_t *link_object(const volt_link *l)
{
    return json_pack("{s:f, s:f}", "bytes_per_s", l->bytes_per_s, "latency_s", l->latency_s);
}

static json_t *traffic_object(const volt_traffic *t)
{
    return json_pack("{s:I, s:I}", "messages", (json_int_t)t->messages, "bytes",
                     (json_int_t)t->bytes);
}

static json_t *row_object(const volt_mesh_row *r)
{
    char mesh[VOLT_MESH_TEXT];

    volt_mesh_text(mesh, r->size);
    if (r->why)
        return json_pack("{s:s, s:o, s:b, s:s}", "mesh", mesh, "size",
                         volt_json_array_of_ints((int64_t[]){r->size[0], r->size[1], r->size[2],
                                                             r->size[3], r->size[4]},
                                                 VOLT_MESH_AXES),
                         "possible", 0, "why", r->why);
    return json_pack(
        "{s:s, s:o, s:b, s:b, s:i, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, "
        "s:i, s:f, s:f, s:f, s:f}",
        "mesh", mesh, "size",
        volt_json_array_of_ints(
            (int64_t[]){r->size[0], r->size[1], r->size[2], r->size[3], r->size[4]},
            VOLT_MESH_AXES),
        "possible", 1, "fits", (int)r->fits, "rank", r->rank, "samples", (json_int_t)r->samples,
        "part", volt_json_array_of_ints(r->part, 3), "program_bytes",
        (json_int_t)r->memory.program, "optimizer_bytes", (json_int_t)r->memory.optimizer,
        "loader_bytes", (json_int_t)r->memory.loader, "other_bytes",
        (json_int_t)r->memory.other, "total_bytes", (json_int_t)r->memory.total, "halos",
        traffic_object(&r->halos), "sums", traffic_object(&r->sums), "gradients",
        traffic_object(&r->gradients), "agreements", traffic_object(&r->agreements),
        "scattered", traffic_object(&r->boxes), "turns", r->turns, "flops", r->flops,
        "predicted_compute_s", r->compute_s, "predicted_wait_s", r->wait_s, "predicted_step_s",
        r->step_s);
}

static json_t *limits_array(const volt_mesh_plan *plan)
{
    static const char *const axis[] = {"data", "z", "y", "x"};
    json_t *list = json_array();

    for (int i = 0; i < VOLT_MESH_STAGE; i++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:s?}", "axis", axis[i], "most",
                                              plan->limit[i].most, "why", plan->limit[i].why));
    return list;
}

static volt_status print_json(const answer *a)
{
    const volt_mesh_plan_options *q = a->q;
    const volt_mesh_plan *plan = a->plan;
    char best[VOLT_MESH_TEXT];
    json_t *rows = json_array();

    for (int i = 0; i < plan->rows; i++)
        json_array_append_new(rows, row_object(&plan->row[i]));
    return cli_print_json(json_pack(
        "{s:s, s:i, s:o, s:I, s:s, s:s?, s:s?, s:f, s:b, s:o, s:o, s:i, s:I, s:f, s:s?, s:o, "
        "s:o}",
        "configuration", a->s->config->name, "ranks", plan->ranks, "patch",
        volt_json_array_of_ints(q->patch, 3), "batch", (json_int_t)q->batch, "precision",
        volt_precision_name(plan->precision), "machine", a->machine ? a->machine->name : NULL,
        "source", a->machine ? a->machine->source : NULL, "flops_per_s", plan->rate, "measured",
        (int)plan->measured, "link", link_object(&q->links.near), "link_between_hosts",
        link_object(&q->links.far), "host_ranks", q->links.host_ranks, "memory_bytes",
        (json_int_t)q->memory, "predicted_one_rank_s", plan->one_rank_s, "best",
        plan->best >= 0 ? volt_mesh_text(best, plan->row[plan->best].size) : NULL, "meshes",
        rows, "limits", limits_array(plan)));
}

/* No mesh has so many ranks: which axes end where, and how many it could be. */
static volt_status fail_ranks(const volt_mesh_plan *plan)
{
    const volt_mesh_limit *l = plan->limit;

    return volt_fail(
        VOLT_EINVAL,
        "no mesh of this network has %d ranks: there are at most %d along data, %d "
        "along z, %d along y and %d along x; the nearest number that one has is %d",
        plan->ranks, l[VOLT_MESH_DATA].most, l[VOLT_MESH_Z].most, l[VOLT_MESH_Y].most,
        l[VOLT_MESH_X].most, plan->nearest);
}

static volt_status run(cli *c)
{
    volt_mesh_plan_options q = volt_mesh_plan_defaults();
    const mesh_options *o = c->options;
    volt_mesh_plan *plan = NULL;
    subject s = {0};
    answer a = {.c = c, .s = &s, .q = &q};
    volt_status st;

    if (!o->ranks)
        return volt_fail(VOLT_EINVAL, "volt mesh needs the number of ranks: --ranks N");
    VOLT_TRY(st, done, set_machine(&q, &a.machine, o));
    VOLT_TRY(st, done, open_subject(&s, c));
    set_data(&s);
    VOLT_TRY(st, done, set_training(&q, &s, c));
    VOLT_TRY(st, done, volt_mesh_choose(&plan, &s.config->net, &q));
    cli_end_progress(c);
    a.plan = plan;
    if (!plan->rows) {
        st = fail_ranks(plan);
        goto done;
    }
    if (c->json)
        st = print_json(&a);
    else
        print_text(&a);
done:
    volt_mesh_plan_free(plan);
    clear(&s);
    return st;
}

const cli_command cmd_mesh = {
    .name = "mesh",
    .section = CLI_TRAINING,
    .one_line = "list meshes of ranks with memory, messages and time",
    .args = "RUN|DATASET|PLAN",
    .min_args = 0,
    .max_args = 1,
    .about =
        "Compiles the network of a run, a data set or a plans.json for every mesh of N ranks: "
        "samples of the batch along data, parts of the volume along z, y and x. For each it "
        "prints the bytes that a rank holds, the bytes and messages that it sends in a step, "
        "and "
        "a predicted time, and marks the fastest that fits into memory.\n\n"
        "Memory is what 'volt train' with that mesh, as many --threads and the usual "
        "--loader-threads announces, batches included. Bytes and messages are exactly those of "
        "a training step. Ranks that split samples take turns: where K ranks do, one of K "
        "batches is made whole by this rank, which then scatters it; 'messages' are those of "
        "such a step. Not counted is what training sends besides steps: at its start, for "
        "validation and comparisons after each epoch, and for each checkpoint.\n\n"
        "Times are predictions: from "
        "the rate at which this machine trains the network, or from --rate or --step, and from "
        "latency and bandwidth of the links. --machine takes both from published figures. "
        "docs/parallel.md says which mesh is good when.",
    .example = "volt mesh Task01_BrainTumour --ranks 8 --memory 80G\n"
               "volt mesh runs/brats --ranks 64 --machine h100+infiniband\n"
               "volt mesh work/brats/plans.json --ranks 4 --link 100Gb/s,5us --step 5.8s",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, mesh_options),
    .run = run,
};
