#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* cpu_set_t */
#endif
#include "apps/bench/scaling.h"

#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "apps/bench/bench.h"
#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/mem.h"
#include "base/system/file.h"
#include "base/threads.h"
#include "base/version.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/models/model_internal.h"
#include "parallel/ranks.h"
#include "show/svg.h"

typedef struct scaling_options {
    const char *net, *mesh, *precision, *output;
    cli_list patch, ranks;
    int64_t batch, repeat;
    int mode, over;
} scaling_options;

#define AT(field) offsetof(scaling_options, field)
static const cli_option options[] = {
    {"--net", 0, CLI_TEXT, AT(net), "NAME", "hippocampus", 0, 0,
     "hippocampus, brats, brats_whole, mlperf or liver2d"},
    {"--ranks", 0, CLI_INTS, AT(ranks), "N[,N,...]", NULL, 1, VOLT_RANKS_MAX,
     "numbers of ranks; the smallest is what others are compared with [1 and those of --mesh; "
     "else 1, 2, 4, ... up to the processors, or to the processes that a launcher started]"},
    {"--mode", 0, CLI_CHOICE, AT(mode), "strong|weak|both", "both", 0, 0,
     "strong: the same batch and patch on more ranks; weak: more samples, or a larger patch, "
     "so that each rank has as much as one alone"},
    {"--over", 0, CLI_CHOICE, AT(over), "data|space|both", "both", 0, 0,
     "data: ranks share the samples of a batch; space: they split every sample"},
    {"--mesh", 0, CLI_TEXT, AT(mesh), "MESH", NULL, 0, 0,
     "how as many ranks as it has share the work, such as z=4 or data=2,y=2 [with --over data "
     "the samples; else the longest axes are cut]"},
    {"--precision", 0, CLI_WORD, AT(precision), BENCH_PRECISIONS, "fp32", 0, 0,
     "precision of activations and weights; fp16 and tf32 need a GPU"},
    {"--patch", 0, CLI_INTS, AT(patch), "[D,]H,W", NULL, 1, 4096,
     "input size in voxels, for weak scaling that of one rank [the network's usual patch]"},
    {"--batch", 0, CLI_INT, AT(batch), "N", NULL, 1, 65536,
     "samples: of all ranks together; for weak scaling over data, of each [strong scaling over "
     "data: the largest number of ranks; else 1]"},
    {"--repeat", 0, CLI_INT, AT(repeat), "R", "5", 0, 10000,
     "timed steps, after one warm-up step; 0: that step alone, which is enough for memory"},
    {"--output", 'o', CLI_TEXT, AT(output), "DIR", NULL, 0, 0,
     "folder for scaling.json and the plot scaling.svg; created if absent"},
};

static const char *const mode_names[] = {"strong", "weak"}, *const over_names[] = {"data",
                                                                                   "space"};

/* A row of the table: its figures are those of the ranks that they are worst for. */
typedef struct row {
    scaling_case what;
    scaling_rank *rank; /* (ranks); owned, or another row's that measured the same */
    bool owned;
    volt_link link;
    double step_s, waited_s, predicted_s, efficiency, predicted_efficiency;
    int64_t messages, bytes, predicted_messages, predicted_bytes, peak_bytes, announced_bytes;
} row;

enum { MOST_ROWS = SCALING_MODES * SCALING_OVERS * CLI_LIST_MAX };

/* One run of the command; owned. */
typedef struct bench {
    cli *c;
    const scaling_options *o;
    int ranks[CLI_LIST_MAX]; /* ascending */
    int counts;
    int mesh[VOLT_MESH_AXES]; /* of so many ranks; */
    int mesh_ranks;           /* 0 = none is given */
    volt_precision precision;
    int threads;      /* of one rank */
    int64_t patch[3]; /* of one sample, before it grows */
    volt_network net;
    volt_graph *graph;
    volt_device *device;
    row *rows;
    int row_count;
    char library[64]; /* that carried the messages */
} bench;

static void clear(bench *b)
{
    for (int i = 0; i < b->row_count; i++) {
        if (b->rows[i].owned)
            volt_free(b->rows[i].rank);
    }
    volt_free(b->rows);
    volt_graph_free(b->graph);
    volt_network_clear(&b->net);
    volt_device_close(b->device);
}

/* ---- what to measure ---- */

static int compare_ints(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

/* Which axes a mesh has decides what is measured. */
static bool over_given(const bench *b, scaling_over over)
{
    const int *m = b->mesh;
    const bool cuts = m[VOLT_MESH_Z] * m[VOLT_MESH_Y] * m[VOLT_MESH_X] > 1;

    if (b->mesh_ranks)
        return cuts == (over == SCALING_SPACE);
    return b->o->over == SCALING_OVERS || b->o->over == (int)over;
}

static volt_status choose_mesh(bench *b)
{
    const scaling_options *o = b->o;
    volt_status st = VOLT_OK;

    if (!o->mesh)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_mesh_parse(b->mesh, o->mesh, 0));
    if (b->mesh[VOLT_MESH_STAGE] > 1)
        return volt_fail(VOLT_EINVAL, "--mesh %s: stages are not measured", o->mesh);
    b->mesh_ranks = volt_mesh_ranks(b->mesh);
    if (b->mesh_ranks < 1 || b->mesh_ranks > VOLT_RANKS_MAX)
        return volt_fail(VOLT_EINVAL, "--mesh %s: up to %d ranks can be measured", o->mesh,
                         VOLT_RANKS_MAX);
    if (o->over != SCALING_OVERS && !over_given(b, (scaling_over)o->over))
        return volt_fail(VOLT_EINVAL, "--mesh %s does not go with --over %s", o->mesh,
                         over_names[o->over]);
done:
    return st;
}

/* Ascending, each once. */
static volt_status choose_ranks(bench *b)
{
    const cli_list *given = &b->o->ranks;
    const int size = volt_comm_size(b->c->comm);
    const int most = b->c->comm ? size : volt_default_threads();
    int count = 0;

    for (int i = 0; i < given->count; i++)
        b->ranks[count++] = (int)given->v[i];
    if (b->mesh_ranks) {
        if (!given->count)
            b->ranks[count++] = 1;
        b->ranks[count < CLI_LIST_MAX ? count++ : count - 1] = b->mesh_ranks;
    } else if (!given->count) {
        for (int n = 1; n <= most && n <= VOLT_RANKS_MAX; n *= 2)
            b->ranks[count++] = n;
        if (b->c->comm && b->ranks[count - 1] != size)
            b->ranks[count++] = size;
    }
    qsort(b->ranks, (size_t)count, sizeof *b->ranks, compare_ints);
    for (int i = 0; i < count; i++) {
        if (b->counts == 0 || b->ranks[i] != b->ranks[b->counts - 1])
            b->ranks[b->counts++] = b->ranks[i];
    }
    if (b->c->comm && b->ranks[b->counts - 1] > size)
        return volt_fail(VOLT_EINVAL, "--%s has %d, but the launcher started %d process%s",
                         b->ranks[b->counts - 1] == b->mesh_ranks ? "mesh" : "ranks",
                         b->ranks[b->counts - 1], size, size == 1 ? "" : "es");
    return VOLT_OK;
}

/* Ranks that may use the same processors divide them; the same number for all rows. */
static volt_status choose_threads(bench *b)
{
    volt_comm *comm = b->c->comm;
    const int size = volt_comm_size(comm);
    cpu_set_t own, *all = NULL;
    int sharing = b->ranks[b->counts - 1];
    volt_status st = VOLT_OK;

    if (b->c->threads || !comm)
        goto done;
    CPU_ZERO(&own);
    (void)sched_getaffinity(0, sizeof own, &own);
    VOLT_TRY(st, done, volt_alloc_zero(&all, (size_t)size, sizeof *all, "processors of ranks"));
    VOLT_TRY(st, done, volt_comm_all_gather(comm, all, &own, sizeof own));
    sharing = 0;
    for (int i = 0; i < size; i++)
        sharing +=
            CPU_EQUAL(&own, &all[i]) &&
            strcmp(volt_comm_host(comm, i), volt_comm_host(comm, volt_comm_rank(comm))) == 0;
done:
    b->threads = (int)b->c->threads;
    if (!b->threads)
        b->threads = volt_default_threads() > sharing ? volt_default_threads() / sharing : 1;
    volt_free(all);
    return st;
}

/* Cuts the longest axis of the parts for each prime factor, the largest first. */
static void cut_space(int size[VOLT_MESH_AXES], const int64_t patch[3], int ranks)
{
    int factor[32], factors = 0;

    for (int p = 2; ranks > 1; p++) {
        for (; ranks % p == 0; ranks /= p)
            factor[factors++] = p;
    }
    while (factors-- > 0) {
        int best = 0;

        for (int a = 1; a < 3; a++) {
            if (patch[a] * size[VOLT_MESH_Z + best] > patch[best] * size[VOLT_MESH_Z + a])
                best = a;
        }
        size[VOLT_MESH_Z + best] *= factor[factors];
    }
}

static volt_status set_case(scaling_case *out, const bench *b, scaling_mode mode,
                            scaling_over over, int ranks)
{
    const bool weak = mode == SCALING_WEAK;
    scaling_case s = {.mode = mode, .over = over, .ranks = ranks, .size = {1, 1, 1, 1, 1}};

    if (ranks == b->mesh_ranks)
        memcpy(s.size, b->mesh, sizeof s.size);
    else if (over == SCALING_DATA)
        s.size[VOLT_MESH_DATA] = ranks;
    else
        cut_space(s.size, b->patch, ranks);
    for (int a = 0; a < 3; a++)
        s.extent[a] = b->patch[a] * (weak ? s.size[VOLT_MESH_Z + a] : 1);
    s.samples = b->o->batch ? b->o->batch : 1;
    if (weak)
        s.samples *= s.size[VOLT_MESH_DATA];
    else if (!b->o->batch && over == SCALING_DATA)
        s.samples = b->ranks[b->counts - 1];
    else if (!b->o->batch && b->mesh_ranks)
        s.samples = b->mesh[VOLT_MESH_DATA];
    if (s.samples < s.size[VOLT_MESH_DATA])
        return volt_fail(VOLT_EINVAL,
                         "--batch %" PRId64 ": %d ranks cannot share so few samples; give "
                         "%d or more, or --over space",
                         s.samples, s.size[VOLT_MESH_DATA], s.size[VOLT_MESH_DATA]);
    *out = s;
    return VOLT_OK;
}

static volt_status list_rows(bench *b)
{
    const scaling_options *o = b->o;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&b->rows, MOST_ROWS, sizeof *b->rows, "rows"));
    for (int m = 0; m < SCALING_MODES; m++) {
        for (int v = 0; v < SCALING_OVERS; v++) {
            if ((o->mode != SCALING_MODES && o->mode != m) || !over_given(b, (scaling_over)v))
                continue;
            for (int i = 0; i < b->counts; i++)
                VOLT_TRY(st, done,
                         set_case(&b->rows[b->row_count++].what, b, (scaling_mode)m,
                                  (scaling_over)v, b->ranks[i]));
        }
    }
done:
    return st;
}

static volt_status open_network(bench *b)
{
    const cli_list *patch = &b->o->patch;
    const int skip = 3 - patch->count; /* two numbers are H, W */
    int64_t batch;
    volt_status st;

    VOLT_TRY(st, done, bench_precision(&b->precision, b->o->precision));
    VOLT_TRY(st, done, volt_network_preset(&b->net, b->patch, &batch, b->o->net));
    for (int a = 0; a < 3 && patch->count; a++)
        b->patch[a] = a < skip ? 1 : (int64_t)patch->v[a - skip];
    VOLT_TRY(st, done, volt_device_open(&b->device, "cpu"));
    st = volt_network_build(&b->graph, &b->net, false); /* as `volt bench net` */
done:
    return st;
}

/* The row that a row is compared with. */
static row *first_of(const bench *b, const row *r)
{
    row *first = b->rows;

    while (first->what.mode != r->what.mode || first->what.over != r->what.over)
        first++;
    return first;
}

static scaling_task task_of(const bench *b, row *r)
{
    const row *first = first_of(b, r);
    scaling_task task = {.row = &r->what,
                         .graph = b->graph,
                         .device = b->device,
                         .precision = b->precision,
                         .threads = b->threads,
                         .repeat = b->o->repeat,
                         .callbacks = &b->c->callbacks,
                         .rank = r->rank};

    if (first != r && first->rank) /* not on ranks without rows of their own */
        task.rate = first->rank[0].flops / first->rank[0].compute_s;
    return task;
}

/* Before hours of measurement: whether every mesh can be, and fits into memory. */
static volt_status check_rows(bench *b)
{
    const size_t there = volt_mem_available();
    volt_status st = VOLT_OK;

    for (int i = 0; i < b->row_count; i++) {
        row *r = &b->rows[i];
        const scaling_task task = task_of(b, r);
        const int here = b->c->comm ? volt_comm_host_ranks(b->c->comm) : r->what.ranks;
        char mesh[VOLT_MESH_TEXT];
        int64_t bytes = 0;

        VOLT_TRY(st, done, scaling_rehearse(&bytes, &task));
        bytes *= here < r->what.ranks ? here : r->what.ranks;
        if (there && (uint64_t)bytes > there)
            return volt_fail(VOLT_ENOMEM,
                             "the ranks of mesh %s need %" PRId64 " MiB on one host, which has "
                             "%zu MiB; take a smaller --patch or fewer --ranks",
                             volt_mesh_text(mesh, r->what.size), bytes >> 20, there >> 20);
    }
done:
    return st;
}

/* ---- measuring ---- */

/* A row that has measured the same on one rank; NULL: none. */
static const row *same_row(const bench *b, const row *r)
{
    for (const row *other = b->rows; other < r; other++) {
        if (r->what.ranks == 1 && other->what.ranks == 1 &&
            r->what.samples == other->what.samples &&
            memcmp(r->what.extent, other->what.extent, sizeof r->what.extent) == 0)
            return other;
    }
    return NULL;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Of all ranks, the worst. */
static void summarize(row *r, const row *first)
{
    double predicted = 0;

    for (int i = 0; i < r->what.ranks; i++) {
        const scaling_rank *s = &r->rank[i];

        r->step_s = fmax(r->step_s, s->step_s);
        r->waited_s = fmax(r->waited_s, s->waited_s);
        predicted = fmax(predicted, s->compute_s + s->wait_s);
        r->messages = most(r->messages, s->messages);
        r->bytes = most(r->bytes, s->bytes);
        r->predicted_messages = most(r->predicted_messages, s->predicted_messages);
        r->predicted_bytes = most(r->predicted_bytes, s->predicted_bytes);
        r->peak_bytes = most(r->peak_bytes, s->peak_bytes);
        r->announced_bytes = most(r->announced_bytes, s->announced_bytes);
    }
    r->predicted_s = predicted + first->rank[0].update_s;
    r->efficiency = first->step_s / r->step_s;
    r->predicted_efficiency = first->predicted_s / r->predicted_s;
    if (r->what.mode == SCALING_STRONG) {
        r->efficiency *= (double)first->what.ranks / r->what.ranks;
        r->predicted_efficiency *= (double)first->what.ranks / r->what.ranks;
    }
}

/* On threads of this process, or on the first of the processes while the others wait. */
static volt_status train(const bench *b, scaling_task *task)
{
    const int ranks = task->row->ranks;
    volt_comm *world = b->c->comm, *comm = NULL;
    volt_status st;

    if (!world)
        return volt_ranks_run(ranks, scaling_train, task);
    VOLT_TRY(st, done,
             volt_comm_split(&comm, world, volt_comm_rank(world) < ranks ? 0 : -1,
                             volt_comm_rank(world)));
    if (comm)
        VOLT_TRY(st, done, scaling_train(comm, task));
    st = volt_comm_barrier(world);
done:
    volt_comm_close(comm);
    return st;
}

static volt_status measure_row(bench *b, row *r)
{
    const row *same = same_row(b, r);
    scaling_task task;
    char mesh[VOLT_MESH_TEXT];
    volt_status st = VOLT_OK;

    volt_report(&b->c->callbacks, VOLT_LOG_INFO, "%s scaling over %s: %s",
                mode_names[r->what.mode], over_names[r->what.over],
                volt_mesh_text(mesh, r->what.size));
    if (same) {
        r->rank = same->rank;
    } else {
        VOLT_TRY(st, done,
                 volt_alloc_zero(&r->rank, (size_t)r->what.ranks, sizeof *r->rank,
                                 "figures of ranks"));
        r->owned = true;
        task = task_of(b, r);
        VOLT_TRY(st, done, train(b, &task));
        r->link = task.link;
    }
    if (cli_leads(b->c))
        summarize(r, first_of(b, r));
done:
    return st;
}

/* ---- the answer ---- */

static void print_head(const bench *b, const row *r)
{
    char growth[64] = "";
    const scaling_case *s = &r->what;
    const bool weak = s->mode == SCALING_WEAK;

    snprintf(growth, sizeof growth, "%" PRId64 " x %" PRId64 " x %" PRId64, b->patch[0],
             b->patch[1], b->patch[2]);
    printf("\n%s scaling over %s: %s %s, patch %s%s, batch %" PRId64 "%s, %d thread%s a rank\n",
           mode_names[s->mode], over_names[s->over], b->o->net, b->o->precision, growth,
           weak && s->over == SCALING_SPACE ? " a rank" : "",
           s->samples / (weak && s->over == SCALING_DATA ? s->ranks : 1),
           weak && s->over == SCALING_DATA ? " a rank" : "", b->threads, volt_s(b->threads));
    printf("  %5s  %-14s %10s %10s %10s  %10s %7s  %9s %12s  %11s %11s\n", "ranks", "mesh",
           "step", "predicted", "efficiency", "waiting", "", "messages", "bytes", "memory",
           "announced");
}

static void print_row(const row *r)
{
    char mesh[VOLT_MESH_TEXT];

    printf("  %5d  %-14s %8.4f s %8.4f s %10.3f  %8.4f s %5.1f %%  %9" PRId64 " %12" PRId64
           "  %7.1f MiB %7.1f MiB\n",
           r->what.ranks, volt_mesh_text(mesh, r->what.size), r->step_s, r->predicted_s,
           r->efficiency, r->waited_s, 100 * r->waited_s / r->step_s, r->messages, r->bytes,
           (double)r->peak_bytes / 1048576, (double)r->announced_bytes / 1048576);
}

static void print_text(const bench *b)
{
    printf("%s, messages by %s\n", volt_cpu_name(), b->library);
    for (int i = 0; i < b->row_count; i++) {
        if (first_of(b, &b->rows[i]) == &b->rows[i])
            print_head(b, &b->rows[i]);
        print_row(&b->rows[i]);
    }
    printf("\nStep, waiting and memory: of the rank with most, medians of %" PRId64
           " step%s. Messages and bytes: sent by a rank in a step,\nas the cost model predicts "
           "them exactly. Predicted: from the rate of the first row and the measured links.\n",
           b->o->repeat ? b->o->repeat : 1, volt_s(b->o->repeat ? b->o->repeat : 1));
    if (b->o->output)
        printf("%s/scaling.json, %s/scaling.svg\n", b->o->output, b->o->output);
}

static json_t *ranks_array(const row *r)
{
    json_t *list = json_array();

    for (int i = 0; i < r->what.ranks; i++) {
        const scaling_rank *s = &r->rank[i];

        json_array_append_new(
            list,
            json_pack("{s:I, s:o, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I}", "samples",
                      (json_int_t)s->samples, "part", volt_json_array_of_ints(s->part, 3),
                      "step_s", s->step_s, "update_s", s->update_s, "waiting_s", s->waited_s,
                      "messages", (json_int_t)s->messages, "bytes", (json_int_t)s->bytes,
                      "predicted_messages", (json_int_t)s->predicted_messages,
                      "predicted_bytes", (json_int_t)s->predicted_bytes, "peak_bytes",
                      (json_int_t)s->peak_bytes, "announced_bytes",
                      (json_int_t)s->announced_bytes));
    }
    return list;
}

static json_t *link_object(const volt_link *l)
{
    if (l->bytes_per_s <= 0)
        return json_null();
    return json_pack("{s:f, s:f}", "bytes_per_s", l->bytes_per_s, "latency_s", l->latency_s);
}

static json_t *row_object(const row *r)
{
    const scaling_case *s = &r->what;
    char mesh[VOLT_MESH_TEXT];

    return json_pack(
        "{s:s, s:s, s:s, s:i, s:o, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, "
        "s:I, s:o, s:o}",
        "mode", mode_names[s->mode], "over", over_names[s->over], "mesh",
        volt_mesh_text(mesh, s->size), "ranks", s->ranks, "patch",
        volt_json_array_of_ints(s->extent, 3), "batch", (json_int_t)s->samples, "step_s",
        r->step_s, "predicted_step_s", r->predicted_s, "efficiency", r->efficiency,
        "predicted_efficiency", r->predicted_efficiency, "waiting_s", r->waited_s,
        "waiting_fraction", r->waited_s / r->step_s, "messages", (json_int_t)r->messages,
        "bytes", (json_int_t)r->bytes, "predicted_messages", (json_int_t)r->predicted_messages,
        "predicted_bytes", (json_int_t)r->predicted_bytes, "peak_bytes",
        (json_int_t)r->peak_bytes, "announced_bytes", (json_int_t)r->announced_bytes, "link",
        link_object(&r->link), "per_rank", ranks_array(r));
}

/* NULL without memory. */
static json_t *json_of(const bench *b)
{
    json_t *rows = json_array();

    for (int i = 0; i < b->row_count; i++)
        json_array_append_new(rows, row_object(&b->rows[i]));
    return json_pack("{s:s+, s:s, s:s, s:s, s:s, s:i, s:I, s:s?, s:o}", "peer", "volt ",
                     volt_version(), "processor", volt_cpu_name(), "messages_by", b->library,
                     "net", b->o->net, "dtype", b->o->precision, "threads", b->threads,
                     "repeat", (json_int_t)b->o->repeat, "output", b->o->output, "rows", rows);
}

/* ---- the plot ---- */

enum { VALUES = 3, LINES = SCALING_OVERS * 2 }; /* measured, predicted, waiting */

/* Two panels for each mode: efficiency, and what is waited of a step. */
typedef struct plot {
    double x[SCALING_MODES][SCALING_OVERS][CLI_LIST_MAX];
    double y[SCALING_MODES][SCALING_OVERS][VALUES][CLI_LIST_MAX];
    int points[SCALING_MODES][SCALING_OVERS];
    volt_chart_line line[2 * SCALING_MODES][LINES];
    volt_chart_panel panel[2 * SCALING_MODES];
} plot;

static void collect(plot *p, const bench *b)
{
    for (int i = 0; i < b->row_count; i++) {
        const row *r = &b->rows[i];
        const int m = r->what.mode, v = r->what.over, n = p->points[m][v]++;

        p->x[m][v][n] = r->what.ranks;
        p->y[m][v][0][n] = r->efficiency;
        p->y[m][v][1][n] = r->predicted_efficiency;
        p->y[m][v][2][n] = r->waited_s / r->step_s;
    }
}

static void add_line(plot *p, int panel, scaling_mode m, scaling_over v, int value)
{
    static const char *const names[SCALING_OVERS][VALUES] = {
        {"data", "data, predicted", "data"}, {"space", "space, predicted", "space"}};
    volt_chart_panel *at = &p->panel[panel];

    if (p->points[m][v])
        p->line[panel][at->lines++] = (volt_chart_line){.name = names[v][value],
                                                        .x = p->x[m][v],
                                                        .y = p->y[m][v][value],
                                                        .points = p->points[m][v],
                                                        .color = volt_chart_color(v),
                                                        .width = 2.5,
                                                        .style = value == 1 ? 1 : 0};
}

static volt_chart make_chart(plot *p, const bench *b)
{
    static const char *const titles[SCALING_MODES][2] = {
        {"Strong scaling: efficiency", "Strong scaling: fraction of a step spent waiting"},
        {"Weak scaling: efficiency", "Weak scaling: fraction of a step spent waiting"}};
    int panels = 0;

    collect(p, b);
    for (int m = 0; m < SCALING_MODES; m++) {
        if (!p->points[m][SCALING_DATA] && !p->points[m][SCALING_SPACE])
            continue;
        for (int k = 0; k < 2; k++, panels++) {
            p->panel[panels] = (volt_chart_panel){.title = titles[m][k],
                                                  .line = p->line[panels],
                                                  .include = k == 0 ? 1 : 0,
                                                  .lower = 0,
                                                  .upper = NAN};
            for (int v = 0; v < SCALING_OVERS; v++) {
                for (int value = 2 * k; value < 2 + k; value++)
                    add_line(p, panels, (scaling_mode)m, (scaling_over)v, value);
            }
        }
    }
    return (volt_chart){.x_title = "ranks",
                        .x_integers = true,
                        .panel = p->panel,
                        .panels = panels,
                        .columns = 2};
}

/* Both files or none. */
static volt_status write_files(const bench *b, const json_t *root)
{
    char title[128], *json = NULL, *svg = NULL;
    plot *p = NULL;
    volt_chart chart;
    int64_t width, height;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&p, 1, sizeof *p, "plot"));
    VOLT_TRY(st, done, volt_make_dirs(b->o->output));
    VOLT_TRY(st, done, volt_path_join(&json, b->o->output, "scaling.json"));
    VOLT_TRY(st, done, volt_path_join(&svg, b->o->output, "scaling.svg"));
    chart = make_chart(p, b);
    snprintf(title, sizeof title, "%s %s, %d thread%s a rank, %s", b->o->net, b->o->precision,
             b->threads, volt_s(b->threads), volt_cpu_name());
    chart.title = title;
    volt_chart_size(&width, &height, &chart);
    VOLT_TRY(st, done, volt_svg_write(svg, &chart, width, height));
    st = volt_json_save(json, root);
    if (st != VOLT_OK)
        (void)remove(svg);
done:
    volt_free(svg);
    volt_free(json);
    volt_free(p);
    return st;
}

static volt_status answer(const bench *b)
{
    json_t *root = json_of(b);
    volt_status st = VOLT_OK;

    if (!root)
        return volt_fail(VOLT_ENOMEM, "out of memory for the figures");
    if (b->o->output)
        VOLT_TRY(st, done, write_files(b, root));
    if (b->c->json) {
        st = cli_print_json(root);
        return st;
    }
    print_text(b);
done:
    json_decref(root);
    return st;
}

static volt_status run(cli *c)
{
    bench b = {.c = c, .o = c->options};
    volt_status st;

    VOLT_TRY(st, done, cli_check_output(c, b.o->output, NULL));
    if (b.o->output && cli_leads(c))
        VOLT_TRY(st, done, cli_check_output_folder(b.o->output));
    VOLT_TRY(st, done, choose_mesh(&b));
    VOLT_TRY(st, done, choose_ranks(&b));
    VOLT_TRY(st, done, choose_threads(&b));
    VOLT_TRY(st, done, open_network(&b));
    VOLT_TRY(st, done, list_rows(&b));
    VOLT_TRY(st, done, check_rows(&b));
    snprintf(b.library, sizeof b.library, "%s",
             c->comm ? volt_comm_library(c->comm) : "threads of one process");
    for (int i = 0; i < b.row_count; i++)
        VOLT_TRY(st, done, measure_row(&b, &b.rows[i]));
    cli_end_progress(c);
    if (cli_leads(c))
        st = answer(&b);
done:
    clear(&b);
    return st;
}

const cli_command cmd_bench_scaling = {
    .name = "bench scaling",
    .section = CLI_EVALUATION,
    .one_line = "benchmark training steps on several ranks",
    .args = "[-o DIR]",
    .min_args = 0,
    .max_args = 0,
    .about =
        "Times training steps on random input with different numbers of ranks, which share "
        "samples or split them: seconds and efficiency next to those that the cost model "
        "predicts, seconds spent waiting for messages, messages and bytes, memory. Ranks are "
        "threads of this process, or under mpirun the processes that it started; all rows have "
        "the same number of threads a rank (--threads). --repeat 0 measures the first step, "
        "which "
        "already has all the memory.\n\n"
        "Efficiency is that of the smallest number of ranks, 1 for perfect scaling. "
        "docs/parallel.md says how to measure.",
    .example = "volt bench scaling --net brats --ranks 1,2 --threads 1 -o scaling\n"
               "volt bench scaling --net brats_whole --mesh z=4 --mode strong --repeat 0\n"
               "mpirun -n 4 volt bench scaling --mode strong --over data --json",
    .common = CLI_THREADS | CLI_JSON | CLI_RANKS,
    CLI_OPTIONS(options, scaling_options),
    .run = run,
};
