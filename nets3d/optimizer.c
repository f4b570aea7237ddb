#include "nets3d/optimizer.h"

#include <math.h>

#include "base/mem.h"
#include "base/threads.h"
#include "nets3d/program_internal.h"

struct volt_optimizer {
    volt_optimizer_options options;
    volt_program *program;
    int64_t count; /* parameters */
    int64_t steps; /* done */
    int slots;
    float *slot[2]; /* device arrays: SGD momentum; Adam m, v */
};

volt_optimizer_options volt_optimizer_nnunet(void)
{
    const volt_optimizer_options o = {.kind = VOLT_SGD,
                                      .lr = 1e-2,
                                      .momentum = 0.99,
                                      .beta1 = 0.9,
                                      .beta2 = 0.999,
                                      .eps = 1e-8,
                                      .weight_decay = 3e-5,
                                      .clip_norm = 12,
                                      .schedule = VOLT_SCHEDULE_POLY};

    return o;
}

static int slots_of(volt_optimizer_kind kind)
{
    return kind == VOLT_SGD ? 1 : 2;
}

size_t volt_optimizer_bytes(volt_optimizer_kind kind, int64_t parameters)
{
    return (size_t)slots_of(kind) * (size_t)parameters * sizeof(float);
}

static volt_status check_options(const volt_optimizer_options *o)
{
    const struct {
        const char *name;
        double value, low, high; /* low <= value < high */
    } fields[] = {{"lr", o->lr, 0, HUGE_VAL},
                  {"momentum", o->momentum, 0, 1},
                  {"beta1", o->beta1, 0, 1},
                  {"beta2", o->beta2, 0, 1},
                  {"eps", o->eps, 0, HUGE_VAL},
                  {"weight_decay", o->weight_decay, 0, HUGE_VAL},
                  {"clip_norm", o->clip_norm, 0, HUGE_VAL},
                  {"warmup", o->warmup, 0, 1}};

    if (o->kind != VOLT_SGD && o->kind != VOLT_ADAM && o->kind != VOLT_ADAMW)
        return volt_fail(VOLT_EINVAL, "optimiser kind %d is unknown", (int)o->kind);
    if (o->schedule != VOLT_SCHEDULE_POLY && o->schedule != VOLT_SCHEDULE_COSINE)
        return volt_fail(VOLT_EINVAL, "schedule %d is unknown", (int)o->schedule);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!(fields[i].value >= fields[i].low && fields[i].value < fields[i].high))
            return volt_fail(VOLT_EINVAL, "the optimiser's %s is %g, expected %g <= %s < %g",
                             fields[i].name, fields[i].value, fields[i].low, fields[i].name,
                             fields[i].high);
    }
    return VOLT_OK;
}

volt_status volt_optimizer_create(volt_optimizer **out, volt_program *p,
                                  const volt_optimizer_options *options)
{
    static const float zeros[4096];
    const volt_device *dev = p->device;
    volt_optimizer *o = NULL;
    volt_status st;

    VOLT_TRY(st, done, check_options(options));
    if (!p->gradients) {
        st = volt_fail(VOLT_EINVAL, "an optimiser needs a loaded training program");
        goto done;
    }
    VOLT_TRY(st, done, volt_alloc_zero(&o, 1, sizeof *o, "an optimiser"));
    o->options = *options;
    o->program = p;
    o->count = volt_graph_param_elements(p->graph);
    o->slots = slots_of(options->kind);
    for (int i = 0; i < o->slots; i++) {
        VOLT_TRY(st, done,
                 dev->alloc(dev, (void **)&o->slot[i], (size_t)o->count * sizeof(float),
                            "the optimiser's state"));
        for (int64_t at = 0; at < o->count; at += 4096) {
            const int64_t left = o->count - at < 4096 ? o->count - at : 4096;
            VOLT_TRY(st, done,
                     dev->upload(dev, o->slot[i] + at, zeros, (size_t)left * sizeof *zeros));
        }
    }
    *out = o;
    o = NULL;
done:
    volt_optimizer_free(o);
    return st;
}

void volt_optimizer_free(volt_optimizer *o)
{
    if (!o)
        return;
    for (int i = 0; i < o->slots; i++)
        o->program->device->release(o->program->device, o->slot[i]);
    volt_free(o);
}

double volt_optimizer_rate(const volt_optimizer_options *o, double t)
{
    const double pi = 3.14159265358979323846;

    t = t < 0 ? 0 : t > 1 ? 1 : t;
    if (t < o->warmup)
        return o->lr * t / o->warmup;
    t = (t - o->warmup) / (1 - o->warmup);
    return o->lr *
           (o->schedule == VOLT_SCHEDULE_POLY ? pow(1 - t, 0.9) : 0.5 * (1 + cos(pi * t)));
}

/* As torch.nn.utils.clip_grad_norm_: gradients times clip / (norm + 1e-6) when below 1. */
static double clipping_scale(const volt_optimizer_options *o, double norm)
{
    const double scale = o->clip_norm > 0 ? o->clip_norm / (norm + 1e-6) : 1;

    return scale < 1 ? scale : 1;
}

static volt_status update(volt_optimizer *o, double lr, double scale)
{
    const volt_optimizer_options *k = &o->options;
    volt_program *p = o->program;

    if (k->kind == VOLT_SGD) {
        const volt_sgd_call call = {.weights = p->weights,
                                    .momentum = o->slot[0],
                                    .gradients = p->gradients,
                                    .count = o->count,
                                    .lr = lr,
                                    .mu = k->momentum,
                                    .weight_decay = k->weight_decay,
                                    .gradient_scale = scale,
                                    .threads = p->options.threads};
        return p->device->sgd(p->device, &call);
    }
    const volt_adam_call call = {.weights = p->weights,
                                 .m = o->slot[0],
                                 .v = o->slot[1],
                                 .gradients = p->gradients,
                                 .count = o->count,
                                 .step = o->steps + 1,
                                 .lr = lr,
                                 .beta1 = k->beta1,
                                 .beta2 = k->beta2,
                                 .eps = k->eps,
                                 .weight_decay = k->weight_decay,
                                 .decoupled = k->kind == VOLT_ADAMW,
                                 .gradient_scale = scale,
                                 .threads = p->options.threads};
    return p->device->adam(p->device, &call);
}

volt_status volt_optimizer_step(volt_optimizer *o, double lr, double *gradient_norm)
{
    const volt_program *p = o->program;
    double squares, norm;
    volt_status st;

    VOLT_TRY(st, done,
             p->device->sum_squares(p->device, &squares, p->gradients, o->count,
                                    p->options.threads));
    norm = sqrt(squares);
    if (!isfinite(norm)) {
        st = volt_fail(VOLT_ENUMERIC, "the gradients are not finite");
        goto done;
    }
    VOLT_TRY(st, done, update(o, lr, clipping_scale(&o->options, norm)));
    o->steps++;
    if (gradient_norm)
        *gradient_norm = norm;
done:
    return st;
}

int volt_optimizer_slots(const volt_optimizer *o)
{
    return o->slots;
}

float *volt_optimizer_slot(volt_optimizer *o, int i)
{
    return o->slot[i];
}

int64_t volt_optimizer_steps(const volt_optimizer *o)
{
    return o->steps;
}

void volt_optimizer_set_steps(volt_optimizer *o, int64_t steps)
{
    o->steps = steps;
}
