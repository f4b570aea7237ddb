#include "nets3d/program/optimizer.h"

#include <math.h>

#include "base/core/alloc.h"
#include "base/threads.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/graph/params.h"

/* Neighbouring parameters with one rate. */
typedef struct segment {
    int64_t offset, count;
    double scale; /* of the rate, > 0 */
} segment;

struct volt_optimizer {
    volt_optimizer_settings options;
    volt_parameters parameters; /* what it updates */
    int64_t steps;              /* done */
    int slots;
    float *slot[2];    /* device arrays: SGD momentum; Adam m, v */
    segment *segments; /* what is updated, ascending */
    int segment_count;
};

volt_optimizer_settings volt_optimizer_nnunet(void)
{
    const volt_optimizer_settings o = {.kind = VOLT_SGD,
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

volt_optimizer_settings volt_optimizer_usual(volt_optimizer_kind kind)
{
    volt_optimizer_settings o = volt_optimizer_nnunet();

    o.kind = kind;
    if (kind != VOLT_SGD) {
        o.lr = 1e-3;
        o.weight_decay = kind == VOLT_ADAMW ? 1e-2 : 0;
    }
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

static volt_status check_options(const volt_optimizer_settings *o)
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
        return volt_fail(VOLT_EINVAL, "optimizer kind %d is unknown", (int)o->kind);
    if (o->schedule < VOLT_SCHEDULE_POLY || o->schedule > VOLT_SCHEDULE_CONSTANT)
        return volt_fail(VOLT_EINVAL, "schedule %d is unknown", (int)o->schedule);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!(fields[i].value >= fields[i].low && fields[i].value < fields[i].high))
            return volt_fail(VOLT_EINVAL, "the optimizer's %s is %g, expected %g <= %s < %g",
                             fields[i].name, fields[i].value, fields[i].low, fields[i].name,
                             fields[i].high);
    }
    return VOLT_OK;
}

volt_status volt_optimizer_create(volt_optimizer **out, volt_parameters p,
                                  const volt_optimizer_settings *options)
{
    static const float zeros[4096];
    const volt_device *dev = p.device;
    volt_optimizer *o = NULL;
    volt_status st;

    VOLT_TRY(st, done, check_options(options));
    if (!p.gradients) {
        st = volt_fail(VOLT_EINVAL, "an optimizer needs a loaded training program");
        goto done;
    }
    VOLT_TRY(st, done, volt_alloc_zero(&o, 1, sizeof *o, "an optimizer"));
    o->options = *options;
    o->parameters = p;
    o->slots = slots_of(options->kind);
    for (int i = 0; i < o->slots; i++) {
        VOLT_TRY(st, done,
                 dev->alloc(dev, (void **)&o->slot[i], (size_t)p.count * sizeof(float),
                            "the optimizer's state"));
        for (int64_t at = 0; at < p.count; at += 4096) {
            const int64_t left = p.count - at < 4096 ? p.count - at : 4096;
            VOLT_TRY(st, done,
                     dev->upload(dev, o->slot[i] + at, zeros, (size_t)left * sizeof *zeros));
        }
    }
    VOLT_TRY(st, done, volt_alloc(&o->segments, sizeof *o->segments, "an optimizer"));
    o->segments[0] = (segment){0, p.count, 1};
    o->segment_count = 1;
    *out = o;
    o = NULL;
done:
    volt_optimizer_free(o);
    return st;
}

volt_status volt_optimizer_set_scales(volt_optimizer *o, const volt_graph *g,
                                      const double *scale)
{
    const int params = volt_graph_param_count(g);
    segment *segments = NULL;
    int count = 0;
    volt_status st;

    for (int i = 0; i < params; i++) {
        if (!(scale[i] >= 0) || !isfinite(scale[i]))
            return volt_fail(VOLT_EINVAL, "the rate of %s is scaled by %g",
                             volt_graph_param(g, i)->name, scale[i]);
    }
    st = volt_alloc_zero(&segments, (size_t)params, sizeof *segments, "an optimizer");
    if (st != VOLT_OK)
        return st;
    for (int i = 0; i < params; i++) {
        const volt_param *p = volt_graph_param(g, i);
        segment *last = count ? &segments[count - 1] : NULL;
        if (scale[i] == 0 || !volt_param_learns(p))
            continue;
        if (last && last->scale == scale[i] && last->offset + last->count == p->offset)
            last->count += p->count;
        else
            segments[count++] = (segment){p->offset, p->count, scale[i]};
    }
    volt_free(o->segments);
    o->segments = segments;
    o->segment_count = count;
    return VOLT_OK;
}

void volt_optimizer_free(volt_optimizer *o)
{
    if (!o)
        return;
    for (int i = 0; i < o->slots; i++)
        o->parameters.device->release(o->parameters.device, o->slot[i]);
    volt_free(o->segments);
    volt_free(o);
}

double volt_optimizer_rate(const volt_optimizer_settings *o, double t)
{
    const double pi = 3.14159265358979323846;

    t = t < 0 ? 0 : t > 1 ? 1 : t;
    if (t < o->warmup)
        return o->lr * t / o->warmup;
    t = (t - o->warmup) / (1 - o->warmup);
    if (o->schedule == VOLT_SCHEDULE_CONSTANT)
        return o->lr;
    return o->lr *
           (o->schedule == VOLT_SCHEDULE_POLY ? pow(1 - t, 0.9) : 0.5 * (1 + cos(pi * t)));
}

/* As torch.nn.utils.clip_grad_norm_: gradients times clip / (norm + 1e-6) when below 1. */
static double clipping_scale(const volt_optimizer_settings *o, double norm)
{
    const double scale = o->clip_norm > 0 ? o->clip_norm / (norm + 1e-6) : 1;

    return scale < 1 ? scale : 1;
}

static volt_status update(volt_optimizer *o, const segment *s, double lr, double scale)
{
    const volt_optimizer_settings *k = &o->options;
    const volt_parameters *p = &o->parameters;

    lr *= s->scale;
    if (k->kind == VOLT_SGD) {
        const volt_sgd_call call = {.weights = p->weights + s->offset,
                                    .momentum = o->slot[0] + s->offset,
                                    .gradients = p->gradients + s->offset,
                                    .count = s->count,
                                    .lr = lr,
                                    .mu = k->momentum,
                                    .weight_decay = k->weight_decay,
                                    .gradient_scale = scale,
                                    .threads = p->threads};
        return p->device->sgd(p->device, &call);
    }
    const volt_adam_call call = {.weights = p->weights + s->offset,
                                 .m = o->slot[0] + s->offset,
                                 .v = o->slot[1] + s->offset,
                                 .gradients = p->gradients + s->offset,
                                 .count = s->count,
                                 .step = o->steps + 1,
                                 .lr = lr,
                                 .beta1 = k->beta1,
                                 .beta2 = k->beta2,
                                 .eps = k->eps,
                                 .weight_decay = k->weight_decay,
                                 .decoupled = k->kind == VOLT_ADAMW,
                                 .gradient_scale = scale,
                                 .threads = p->threads};
    return p->device->adam(p->device, &call);
}

volt_status volt_optimizer_step(volt_optimizer *o, double lr, double *gradient_norm)
{
    const volt_parameters *p = &o->parameters;
    double squares = 0, norm;
    volt_status st = VOLT_OK;

    for (int i = 0; i < o->segment_count; i++) {
        const segment *s = &o->segments[i];
        double part;
        VOLT_TRY(st, done,
                 p->device->sum_squares(p->device, &part, p->gradients + s->offset, s->count,
                                        p->threads));
        squares += part;
    }
    norm = sqrt(squares);
    if (!isfinite(norm)) {
        st = volt_fail(VOLT_ENUMERIC, "the gradients are not finite");
        goto done;
    }
    for (int i = 0; i < o->segment_count; i++)
        VOLT_TRY(st, done, update(o, &o->segments[i], lr, clipping_scale(&o->options, norm)));
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
