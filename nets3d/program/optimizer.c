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
    volt_parameters parameters;   /* what it updates */
    volt_update_scalars *scalars; /* on the device */
    int64_t growth;               /* of the loss scale; 0 = none */
    int slots;
    float *slot[2];    /* on the device: SGD momentum; Adam m, v */
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

static volt_status set_scalar(const volt_optimizer *o, void *scalar, const void *value)
{
    const volt_device *dev = o->parameters.device;

    return dev->upload(dev, scalar, value, 8, o->parameters.stream);
}

volt_status volt_optimizer_create(volt_optimizer **out, volt_parameters p,
                                  const volt_optimizer_settings *options)
{
    static const float zeros[4096];
    static const volt_update_scalars start = {.loss_scale = 1};
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
    VOLT_TRY(st, done,
             dev->alloc(dev, (void **)&o->scalars, sizeof start, "the optimizer's state"));
    VOLT_TRY(st, done, dev->upload(dev, o->scalars, &start, sizeof start, p.stream));
    for (int i = 0; i < o->slots; i++) {
        VOLT_TRY(st, done,
                 dev->alloc(dev, (void **)&o->slot[i], (size_t)p.count * sizeof(float),
                            "the optimizer's state"));
        for (int64_t at = 0; at < p.count; at += 4096) {
            const int64_t left = p.count - at < 4096 ? p.count - at : 4096;
            VOLT_TRY(st, done,
                     dev->upload(dev, o->slot[i] + at, zeros, (size_t)left * sizeof *zeros,
                                 p.stream));
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
    o->parameters.device->release(o->parameters.device, o->scalars);
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

static volt_status update(const volt_optimizer *o, const segment *s)
{
    const volt_optimizer_settings *k = &o->options;
    const volt_parameters *p = &o->parameters;

    if (k->kind == VOLT_SGD) {
        const volt_sgd_call call = {.weights = p->weights + s->offset,
                                    .momentum = o->slot[0] + s->offset,
                                    .gradients = p->gradients + s->offset,
                                    .count = s->count,
                                    .scalars = o->scalars,
                                    .lr_scale = s->scale,
                                    .mu = k->momentum,
                                    .weight_decay = k->weight_decay,
                                    .threads = p->threads};
        return p->device->sgd(p->device, &call, p->stream);
    }
    const volt_adam_call call = {.weights = p->weights + s->offset,
                                 .m = o->slot[0] + s->offset,
                                 .v = o->slot[1] + s->offset,
                                 .gradients = p->gradients + s->offset,
                                 .count = s->count,
                                 .scalars = o->scalars,
                                 .lr_scale = s->scale,
                                 .beta1 = k->beta1,
                                 .beta2 = k->beta2,
                                 .eps = k->eps,
                                 .weight_decay = k->weight_decay,
                                 .decoupled = k->kind == VOLT_ADAMW,
                                 .threads = p->threads};
    return p->device->adam(p->device, &call, p->stream);
}

volt_status volt_optimizer_step(volt_optimizer *o, double lr)
{
    const volt_parameters *p = &o->parameters;
    const volt_update_call begin = {o->scalars, o->options.clip_norm, o->growth};
    const volt_state_call state = {p->state, p->next_state, p->state_count, o->scalars};
    volt_status st;

    VOLT_TRY(st, done, set_scalar(o, &o->scalars->lr, &lr));
    for (int i = 0; i < o->segment_count; i++) {
        const volt_squares_call call = {.sum = &o->scalars->squares,
                                        .x = p->gradients + o->segments[i].offset,
                                        .count = o->segments[i].count,
                                        .threads = p->threads};
        VOLT_TRY(st, done, p->device->sum_squares(p->device, &call, p->stream));
    }
    VOLT_TRY(st, done, p->device->update_begin(p->device, &begin, p->stream));
    for (int i = 0; i < o->segment_count; i++)
        VOLT_TRY(st, done, update(o, &o->segments[i]));
    if (p->state_count)
        st = p->device->update_state(p->device, &state, p->stream);
done:
    return st;
}

volt_status volt_optimizer_scalars(const volt_optimizer *o, volt_update_scalars *out)
{
    const volt_device *dev = o->parameters.device;

    return dev->download(dev, out, o->scalars, sizeof *out, o->parameters.stream);
}

volt_status volt_optimizer_norm(const volt_optimizer *o, double *norm)
{
    volt_update_scalars s;
    volt_status st;

    VOLT_TRY(st, done, volt_optimizer_scalars(o, &s));
    if (s.bad)
        return volt_fail(VOLT_ENUMERIC, "the gradients are not finite");
    if (norm)
        *norm = s.norm;
done:
    return st;
}

volt_status volt_optimizer_set_loss_scale(volt_optimizer *o, double scale, int64_t age,
                                          int64_t growth)
{
    volt_status st;

    if (!(scale > 0) || !isfinite(scale) || age < 0 || growth < 0)
        return volt_fail(VOLT_EINVAL, "a loss scale of %g, growing after %lld steps", scale,
                         (long long)growth);
    o->growth = growth;
    st = set_scalar(o, &o->scalars->loss_scale, &scale);
    return st == VOLT_OK ? set_scalar(o, &o->scalars->since, &age) : st;
}

const double *volt_optimizer_loss_scale(const volt_optimizer *o)
{
    return &o->scalars->loss_scale;
}

int volt_optimizer_slots(const volt_optimizer *o)
{
    return o->slots;
}

float *volt_optimizer_slot(volt_optimizer *o, int i)
{
    return o->slot[i];
}

volt_status volt_optimizer_set_steps(volt_optimizer *o, int64_t steps)
{
    return set_scalar(o, &o->scalars->steps, &steps);
}
