#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "apps/bench/bench.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "base/threads.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"
#include "nets3d/program.h"
#include "nets3d/models/model_internal.h"

typedef struct bench_net_options {
    const char *net, *device, *precision;
    int mode;
    cli_list patch;
    int64_t batch, repeat;
    bool steps;
} bench_net_options;

enum { INFER, TRAIN }; /* words of --mode */

static const cli_option options[] = {
    {"--net", 0, CLI_TEXT, offsetof(bench_net_options, net), "NAME", "hippocampus", 0, 0,
     "hippocampus, brats, brats_whole, mlperf or liver2d"},
    {"--mode", 0, CLI_CHOICE, offsetof(bench_net_options, mode), "infer|train", "infer", 0, 0,
     "forward pass, or training step with loss, gradients and SGD"},
    {"--precision", 0, CLI_WORD, offsetof(bench_net_options, precision), BENCH_PRECISIONS,
     "fp32", 0, 0, "precision of activations and weights; fp16 and tf32 need a GPU"},
    {"--patch", 0, CLI_INTS, offsetof(bench_net_options, patch), "[D,]H,W", NULL, 1, 4096,
     "input size in voxels [the network's usual patch]"},
    {"--batch", 0, CLI_INT, offsetof(bench_net_options, batch), "N", NULL, 1, 4096,
     "batch size [training: the network's usual; inference: 1]"},
    {"--repeat", 0, CLI_INT, offsetof(bench_net_options, repeat), "R", "5", 1, 10000,
     "timed runs, after one warm-up run"},
    {"--steps", 0, CLI_FLAG, offsetof(bench_net_options, steps), NULL, NULL, 0, 0,
     "also list every step with its kernel and its time in one more run"},
    {"--device", 0, CLI_TEXT, offsetof(bench_net_options, device), "NAME", "cpu", 0, 0,
     "cpu, or reference (plain C, slow)"},
};

/* Everything one run needs; owned. */
typedef struct bench_net {
    volt_device *device;
    volt_graph *graph;
    volt_program *program;
    volt_optimizer *optimizer;
    volt_network net;
    volt_program_options run;
    volt_loss_options loss;
    double lr;
    float *input;
    int16_t *labels;
    uint32_t step;
} bench_net;

static volt_status infer(void *user)
{
    bench_net *b = user;

    return volt_program_forward(b->program, b->input, b->step++);
}

static volt_status train_step(void *user)
{
    bench_net *b = user;
    volt_status st;

    VOLT_TRY(st, done, volt_program_forward(b->program, b->input, b->step++));
    VOLT_TRY(st, done, volt_program_loss(b->program, &b->loss, b->labels, true));
    VOLT_TRY(st, done, volt_program_backward(b->program));
    VOLT_TRY(st, done, volt_optimizer_step(b->optimizer, b->lr));
    VOLT_TRY(st, done, volt_program_pack(b->program));
    st = volt_optimizer_norm(b->optimizer, NULL);
done:
    return st;
}

static volt_status choose(bench_net *b, const cli *c)
{
    const bench_net_options *o = c->options;
    int64_t batch = 0;
    int skip = 3 - o->patch.count; /* two numbers are H, W */
    volt_status st;

    b->run = volt_program_defaults();
    VOLT_TRY(st, done, bench_precision(&b->run.precision, o->precision));
    VOLT_TRY(st, done, volt_network_preset(&b->net, b->run.extent, &batch, o->net));
    for (int a = 0; a < 3 && o->patch.count; a++)
        b->run.extent[a] = a < skip ? 1 : (int64_t)o->patch.v[a - skip];
    b->run.n = o->batch ? o->batch : o->mode == TRAIN ? batch : 1;
    b->run.mode = o->mode == TRAIN ? VOLT_TRAIN : VOLT_INFER;
    b->run.threads = volt_threads_or_default((int)c->threads);
done:
    return st;
}

/* Normally distributed input and random labels, as in the PyTorch script. */
static volt_status make_input(bench_net *b)
{
    int64_t voxels = b->run.n * b->run.extent[0] * b->run.extent[1] * b->run.extent[2];
    int64_t values = voxels * volt_network_in_channels(&b->net);
    volt_rng rng = volt_rng_open(1, 0, 0, VOLT_RNG_TEST);
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&b->input, (size_t)values * sizeof *b->input, "input"));
    VOLT_TRY(st, done, volt_alloc(&b->labels, (size_t)voxels * sizeof *b->labels, "labels"));
    for (int64_t i = 0; i < values; i++)
        b->input[i] = (float)volt_rng_normal(&rng);
    for (int64_t i = 0; i < voxels; i++)
        b->labels[i] = (int16_t)volt_rng_below(&rng, volt_network_out_channels(&b->net));
done:
    return st;
}

static volt_status build(bench_net *b, const bench_net_options *o)
{
    volt_optimizer_settings sgd = volt_optimizer_nnunet();
    float *flat = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_device_open(&b->device, o->device));
    b->run.keep_forms = b->device->keeps_forms;
    VOLT_TRY(st, done,
             volt_network_build(&b->graph, &b->net, false)); /* as in the PyTorch script */
    VOLT_TRY(st, done, volt_program_create(&b->program, b->graph, b->device, &b->run));
    VOLT_TRY(st, done,
             volt_alloc(&flat, (size_t)volt_graph_param_elements(b->graph) * sizeof *flat,
                        "parameters"));
    volt_init_parameters(flat, b->graph, 1);
    VOLT_TRY(st, done, volt_program_load(b->program, flat));
    b->lr = sgd.lr;
    b->loss = volt_loss_nnunet(volt_graph_output_count(b->graph), true);
    if (o->mode == TRAIN)
        st = volt_optimizer_create(&b->optimizer, volt_program_parameters(b->program), &sgd);
done:
    volt_free(flat);
    return st;
}

static json_t *fields(const bench_net *b, const bench_net_options *o)
{
    volt_program_memory m;

    volt_program_memory_of(b->program, &m);
    return json_pack("{s:s, s:s, s:s, s:o, s:I, s:i, s:s, s:I}", "net", o->net, "mode",
                     o->mode == TRAIN ? "train" : "infer", "dtype", o->precision, "patch",
                     volt_json_array_of_ints(b->run.extent, 3), "batch", (json_int_t)b->run.n,
                     "threads", b->run.threads, "device", b->device->library, "announced_mib",
                     (json_int_t)(m.total >> 20));
}

static void print_memory(const bench_net *b)
{
    volt_program_memory m;
    double mib = 1024.0 * 1024;

    volt_program_memory_of(b->program, &m);
    printf("estimated: %.0f MiB = parameters %.0f + packed %.0f + gradients %.0f + activations "
           "%.0f + scratch %.0f\n",
           (double)m.total / mib, (double)m.parameters / mib, (double)m.packed / mib,
           (double)m.gradients / mib, (double)m.activations / mib, (double)m.scratch / mib);
}

static volt_status profile(bench_net *b, const bench_work *work)
{
    volt_program_profile(b->program, true);
    return work->run(work->user);
}

/* The list of steps with the times of the profiled run; NULL without memory. */
static json_t *steps_json(const bench_net *b)
{
    json_t *list = json_array();

    for (int i = 0; list && i < volt_program_step_count(b->program); i++) {
        volt_step_info s;

        volt_program_step(b->program, i, &s);
        if (json_array_append_new(
                list, json_pack("{s:s, s:s, s:f, s:f, s:f, s:I}", "name", s.name, "kernel",
                                s.kernel, "seconds", s.seconds, "flops", s.flops, "bytes",
                                s.bytes, "arena_bytes", (json_int_t)s.arena_bytes)) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* Every step on a line. */
static void print_steps(const bench_net *b)
{
    for (int i = 0; i < volt_program_step_count(b->program); i++) {
        volt_step_info s;

        volt_program_step(b->program, i, &s);
        printf("%9.3f ms %8.1f GF/s %7.1f GB/s %7.0f MiB  %-60s %s\n", s.seconds * 1e3,
               s.seconds > 0 ? s.flops / s.seconds * 1e-9 : 0,
               s.seconds > 0 ? s.bytes / s.seconds * 1e-9 : 0,
               (double)s.arena_bytes / (1024 * 1024), s.name, s.kernel);
    }
}

/* The line of the measurement; with `steps` also the list. */
static volt_status print(const bench_net *b, const cli *c, const bench_times *t)
{
    const bench_net_options *o = c->options;
    json_t *root = fields(b, o);
    char what[96];
    volt_status st;

    if (root && o->steps && c->json && json_object_set_new(root, "steps", steps_json(b)) != 0) {
        json_decref(root);
        root = NULL;
    }
    snprintf(what, sizeof what, "%s %s %s, batch %" PRId64, o->net,
             o->mode == TRAIN ? "train" : "infer", o->precision, b->run.n);
    st = bench_print(c, what, root, t);
    if (st == VOLT_OK && o->steps && !c->json)
        print_steps(b);
    return st;
}

static volt_status run(cli *c)
{
    const bench_net_options *o = c->options;
    bench_net b = {0};
    bench_work work = {o->mode == TRAIN ? train_step : infer, &b};
    bench_times t;
    volt_status st;

    VOLT_TRY(st, done, choose(&b, c));
    VOLT_TRY(st, done, build(&b, o));
    VOLT_TRY(st, done, make_input(&b));
    if (!c->json && !c->quiet)
        print_memory(&b);
    VOLT_TRY(st, done, bench_measure(&t, c, o->repeat, &work));
    if (o->steps)
        VOLT_TRY(st, done, profile(&b, &work));
    st = print(&b, c, &t);
done:
    volt_free(b.labels);
    volt_free(b.input);
    volt_optimizer_free(b.optimizer);
    volt_program_free(b.program);
    volt_graph_free(b.graph);
    volt_network_clear(&b.net);
    volt_device_close(b.device);
    return st;
}

const cli_command cmd_bench_net = {
    .name = "bench net",
    .section = CLI_EVALUATION,
    .one_line = "benchmark a network: inference or training step",
    .args = "",
    .min_args = 0,
    .max_args = 0,
    .about = "Times the U-Nets of docs/performance.md on random input.",
    .example = "volt bench net --net brats --mode train --precision bf16 --batch 1 --json",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, bench_net_options),
    .run = run,
};
