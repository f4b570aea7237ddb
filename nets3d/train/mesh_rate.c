#include "nets3d/train/mesh_rate.h"

#include <math.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/rng.h"
#include "base/system/file.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/optimizer.h"

/* A step on so many voxels takes about a second on two cores; its rate is close to that of
 * larger ones. */
#define MOST_VOXELS (64 * 64 * 64)
enum { REPEATS = 2 };

/* What is measured; owned. */
typedef struct trial {
    const volt_graph *graph;
    volt_program *program;
    volt_optimizer *optimizer;
    volt_loss_options loss;
    float *flat, *input;
    int16_t *labels;
} trial;

static void clear(trial *t)
{
    volt_optimizer_free(t->optimizer);
    volt_program_free(t->program);
    volt_free(t->flat);
    volt_free(t->input);
    volt_free(t->labels);
}

/* Halves the longest axis that stays a multiple of the divisor. */
static bool make_smaller(int64_t extent[3], const int64_t divisor[3])
{
    int longest = -1;

    for (int a = 0; a < 3; a++) {
        if (extent[a] % (2 * divisor[a]) == 0 && (longest < 0 || extent[a] > extent[longest]))
            longest = a;
    }
    if (longest < 0)
        return false;
    extent[longest] /= 2;
    return true;
}

static volt_status fill(trial *t, int64_t channels, int64_t classes, const int64_t extent[3])
{
    const int64_t voxels = extent[0] * extent[1] * extent[2];
    volt_rng rng = volt_rng_open(1, 0, 0, VOLT_RNG_TEST);
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc(&t->flat, (size_t)volt_graph_param_elements(t->graph) * sizeof *t->flat,
                        "parameters"));
    VOLT_TRY(st, done,
             volt_alloc(&t->input, (size_t)(voxels * channels) * sizeof *t->input, "input"));
    VOLT_TRY(st, done, volt_alloc(&t->labels, (size_t)voxels * sizeof *t->labels, "labels"));
    volt_init_parameters(t->flat, t->graph, 1);
    for (int64_t i = 0; i < voxels * channels; i++)
        t->input[i] = (float)volt_rng_range(&rng, -1, 1);
    for (int64_t i = 0; i < voxels; i++)
        t->labels[i] = (int16_t)volt_rng_below(&rng, classes);
done:
    return st;
}

static volt_status train_once(trial *t, double *pass_s, double *update_s)
{
    const double start = volt_seconds();
    double middle;
    volt_loss_result result = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_program_forward(t->program, t->input, 0));
    VOLT_TRY(st, done, volt_program_loss(t->program, &t->loss, t->labels, true));
    VOLT_TRY(st, done, volt_program_backward(t->program));
    VOLT_TRY(st, done, volt_program_loss_result(t->program, &result)); /* waits */
    middle = volt_seconds();
    VOLT_TRY(st, done, volt_optimizer_step(t->optimizer, 1e-3));
    VOLT_TRY(st, done, volt_optimizer_norm(t->optimizer, NULL));
    *pass_s = fmin(*pass_s, middle - start);
    *update_s = fmin(*update_s, volt_seconds() - middle);
done:
    return st;
}

static double flops_of(const volt_program *p)
{
    double flops = 0;

    for (int i = 0; i < volt_program_step_count(p); i++) {
        volt_step_info s;

        volt_program_step(p, i, &s);
        flops += s.flops;
    }
    return flops;
}

static volt_status measure(trial *t, volt_mesh_rate *out)
{
    double pass_s = INFINITY, update_s = INFINITY;
    volt_status st = VOLT_OK;

    for (int i = 0; i <= REPEATS && st == VOLT_OK; i++) {
        if (i == 1) /* the first warms up */
            pass_s = update_s = INFINITY;
        st = train_once(t, &pass_s, &update_s);
    }
    if (st == VOLT_OK)
        *out = (volt_mesh_rate){flops_of(t->program) / pass_s, update_s};
    return st;
}

volt_status volt_mesh_measure(volt_mesh_rate *out, const volt_graph *graph,
                              const volt_device *device, const volt_network *net,
                              const volt_program_options *options,
                              volt_optimizer_kind optimizer)
{
    const volt_optimizer_settings settings = volt_optimizer_usual(optimizer);
    const int64_t channels = volt_network_in_channels(net);
    volt_program_options o = *options;
    int64_t divisor[3];
    trial t = {.graph = graph};
    volt_status st;

    o.n = 1;
    o.samples = 0;
    o.mesh = NULL;
    o.accumulate = false; /* an update follows each pass */
    volt_network_divisor(divisor, net);
    while (o.extent[0] * o.extent[1] * o.extent[2] > MOST_VOXELS &&
           make_smaller(o.extent, divisor))
        ;
    VOLT_TRY(st, done, fill(&t, channels, volt_network_out_channels(net), o.extent));
    VOLT_TRY(st, done, volt_program_create(&t.program, graph, device, &o));
    VOLT_TRY(st, done, volt_program_load(t.program, t.flat));
    t.loss = volt_loss_nnunet(volt_graph_output_count(graph), false);
    VOLT_TRY(
        st, done,
        volt_optimizer_create(&t.optimizer, volt_program_parameters(t.program), &settings));
    st = measure(&t, out);
done:
    clear(&t);
    return st;
}
