/* Running a compiled program: memory, parameters, steps.
 *
 * Running allocates nothing, so that memory cannot run out in the middle of a training and the
 * announced bytes hold: every operand's address is fixed when the parameters are loaded.
 * Training packs weights in each pass or after each update, which changes them; inference packs
 * once and holds nothing else. Dropout masks follow from seed and step alone, whatever device
 * draws them.
 */
#include "nets3d/program/on_device.h"
#include "nets3d/program/ranks.h"

#include <string.h>

#include "base/system/file.h"
#include "base/core/options.h"
#include "base/core/alloc.h"
#include "base/rng.h"

static void *buffer_address(const volt_program *p, int buffer)
{
    const volt_buffer *b = &p->buffers[buffer];

    return (b->in_scratch ? p->scratch : p->arena) + b->offset;
}

static void *form_address(const volt_program *p, const volt_form *f)
{
    return f->buffer >= 0 ? buffer_address(p, f->buffer) : p->packed + f->kept_offset;
}

/* Where operand j of a step lies, now that memory is allocated. */
static void *address_of(const volt_program *p, const volt_step *s, int j)
{
    const volt_operand *o = &s->operand[j];
    const int64_t at = o->kind == VOLT_OPERAND_NONE || o->kind == VOLT_OPERAND_BUFFER ||
                               o->kind == VOLT_OPERAND_STATISTICS
                           ? 0
                           : volt_graph_param(p->graph, o->index)->offset;

    switch (o->kind) {
    case VOLT_OPERAND_NONE:
        return NULL;
    case VOLT_OPERAND_BUFFER:
        return buffer_address(p, o->index);
    case VOLT_OPERAND_PARAMETER:
        return volt_program_trains(p) ? (void *)(p->weights + at)
                                      : (void *)(p->packed + p->parameter_offset[o->index]);
    case VOLT_OPERAND_GRADIENT:
        return p->gradients + at;
    case VOLT_OPERAND_NEXT:
        return p->next + (at - volt_graph_learned_elements(p->graph));
    case VOLT_OPERAND_STATISTICS:
        return p->packed + p->units[o->index / 2].packed[o->index % 2];
    case VOLT_OPERAND_WEIGHTS:
        if (!volt_program_trains(p))
            return p->packed + s->packed_offset;
        return s->form >= 0 ? form_address(p, &p->forms[s->form]) : (void *)(p->weights + at);
    }
    return NULL;
}

static void set_pointers(volt_program *p)
{
    p->arena = p->arenas + (size_t)p->arena_number * p->arena_bytes;
    for (int i = 0; i < p->step_count; i++) {
        for (int j = 0; j < p->steps[i].operands; j++)
            p->steps[i].pointer[j] = address_of(p, &p->steps[i], j);
    }
    for (int i = 0; i < p->form_count; i++) {
        const volt_form *f = &p->forms[i];
        p->packs[i] = (volt_pack){f->op, form_address(p, f),
                                  p->weights + volt_graph_param(p->graph, f->param)->offset};
    }
}

static volt_status allocate(volt_program *p)
{
    const volt_device *dev = p->device;
    const volt_program_memory *m = &p->memory;
    const size_t average = p->options.accumulate ? volt_program_gradient_bytes(p) : 0;
    const size_t state = volt_program_trains(p) ? volt_program_state_bytes(p) : 0;
    const struct {
        void **to;
        size_t bytes;
        const char *what;
    } blocks[] = {{(void **)&p->weights, m->parameters - state, "parameters"},
                  {(void **)&p->next, state, "running statistics"},
                  {(void **)&p->gradients, m->gradients - average, "gradients of parameters"},
                  {(void **)&p->average, average, "averaged gradients"},
                  {(void **)&p->packed, m->packed, "packed weights"},
                  {(void **)&p->arenas, m->activations, "activations"},
                  {(void **)&p->scratch, m->scratch, "scratch"}};
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        if (blocks[i].bytes && !*blocks[i].to)
            VOLT_TRY(st, done, dev->alloc(dev, blocks[i].to, blocks[i].bytes, blocks[i].what));
    }
    if (p->host_bytes && !p->host)
        VOLT_TRY(st, done, volt_alloc(&p->host, p->host_bytes, "messages"));
    p->loss = (volt_loss_block *)(p->scratch + p->scratch_bytes);
    p->loss_values = 0;
    set_pointers(p);
done:
    return st;
}

/* Inference: packs each weight from the arena, where it was brought, and copies the vectors. */
static volt_status load_packed(volt_program *p, const float *flat)
{
    const volt_device *dev = p->device;
    volt_status st = VOLT_OK;

    for (int i = 0; i < p->step_count; i++) {
        const volt_step *s = &p->steps[i];
        for (int j = 0; j < s->operands; j++) {
            const volt_operand *o = &s->operand[j];
            const bool pack = o->kind == VOLT_OPERAND_WEIGHTS && s->info.packed_bytes;
            const volt_param *q;

            if (o->kind != VOLT_OPERAND_WEIGHTS && o->kind != VOLT_OPERAND_PARAMETER)
                continue;
            q = volt_graph_param(p->graph, o->index);
            VOLT_TRY(st, done,
                     dev->upload(dev, pack ? p->arena : s->pointer[j], flat + q->offset,
                                 (size_t)q->count * sizeof *flat, p->stream));
            if (pack)
                VOLT_TRY(
                    st, done,
                    dev->op_pack(s->op, s->pointer[j], (const float *)p->arena, p->stream));
        }
        if (s->when == VOLT_AT_LOAD)
            VOLT_TRY(st, done, dev->op_run(s->op, s->pointer, p->scratch, p->stream));
    }
done:
    return st;
}

/* Training: packs so many forms from `first` on. */
static volt_status pack_forms(volt_program *p, int first, int count)
{
    const volt_device *dev = p->device;
    volt_status st = VOLT_OK;

    if (dev->op_pack_many)
        return dev->op_pack_many(dev, p->packs + first, count, p->stream);
    for (int i = first; i < first + count && st == VOLT_OK; i++)
        st = dev->op_pack(p->packs[i].op, p->packs[i].packed, p->packs[i].weights, p->stream);
    return st;
}

/* Training: all parameters, and the state once more as what it becomes. */
static volt_status load_plain(volt_program *p, const float *flat)
{
    const size_t state = volt_program_state_bytes(p);
    volt_status st =
        p->device->upload(p->device, p->weights, flat, p->memory.parameters - state, p->stream);

    if (st == VOLT_OK && state)
        st = p->device->upload(p->device, p->next, flat + volt_graph_learned_elements(p->graph),
                               state, p->stream);
    return st;
}

/* Running variances come from files, too. */
static volt_status check_variances(const volt_program *p, const float *flat)
{
    for (int i = 0; i < volt_graph_node_count(p->graph); i++) {
        const int var = volt_graph_node(p->graph, i)->running_var;
        const volt_param *q = var < 0 ? NULL : volt_graph_param(p->graph, var);

        for (int64_t c = 0; q && c < q->count; c++) {
            if (!(flat[q->offset + c] >= 0))
                return volt_fail(VOLT_EINVAL, "%s has %g at channel %lld, expected 0 or more",
                                 q->name, flat[q->offset + c], (long long)c);
        }
    }
    return VOLT_OK;
}

volt_status volt_program_load(volt_program *p, const float *flat)
{
    volt_status st;

    VOLT_TRY(st, done, check_variances(p, flat));
    p->loaded = false;
    p->state = VOLT_RUN_NONE;
    for (int i = 0; i < p->options.arenas; i++)
        p->states[i] = VOLT_RUN_NONE;
    VOLT_TRY(st, done, allocate(p));
    if (volt_program_trains(p)) {
        VOLT_TRY(st, done, load_plain(p, flat));
        /* Gradients that are always zero are never written again. */
        const int64_t count = volt_graph_learned_elements(p->graph);
        VOLT_TRY(st, done, volt_program_zero(p, p->gradients, count));
        if (p->average)
            VOLT_TRY(st, done, volt_program_zero(p, p->average, count));
        if (p->options.keep_forms && p->form_count)
            VOLT_TRY(st, done, pack_forms(p, 0, p->form_count));
    } else {
        VOLT_TRY(st, done, load_packed(p, flat));
    }
    p->loaded = true;
done:
    return st;
}

volt_status volt_program_save(const volt_program *p, float *flat)
{
    if (!volt_program_trains(p) || !p->loaded)
        return volt_fail(VOLT_EINVAL, "only a loaded training program can give its parameters");
    return p->device->download(p->device, flat, p->weights,
                               p->memory.parameters - volt_program_state_bytes(p), p->stream);
}

/* What one forward pass is given. */
typedef struct forward_pass {
    const float *input;
    uint32_t run; /* number of the dropout masks */
    bool evaluate;
} forward_pass;

/* Whole channels of a sample are zeroed with probability p, the others scaled by 1/(1-p).
 * Stream: (seed, number of the value, run, VOLT_RNG_DROPOUT). In evaluation all factors are 1,
 * so that the program computes what an inference program, which has no dropout, does. */
static volt_status draw_factors(volt_program *p, const volt_step *s, const forward_pass *pass)
{
    const volt_unit *u = &p->units[s->unit];
    const volt_tensor *t = &s->operand[0].tensor;
    const volt_factors_call call = {
        .factors = s->pointer[0],
        .count = volt_tensor_elements(t),
        .first = p->first_sample * t->c,
        .p = pass->evaluate ? 0 : u->node->p,
        .rng = volt_rng_open(p->options.seed, (uint32_t)u->out, pass->run, VOLT_RNG_DROPOUT)};

    return p->device->draw_factors(p->device, &call, p->stream);
}

static volt_status upload_input(volt_program *p, const volt_step *s, const forward_pass *pass)
{
    const size_t count = (size_t)volt_tensor_elements(&s->operand[0].tensor);

    return p->device->upload(p->device, s->pointer[0], pass->input, count * sizeof *pass->input,
                             p->stream);
}

static volt_status run_one(volt_program *p, const volt_step *s, const forward_pass *pass)
{
    switch (s->kind) {
    case VOLT_STEP_OPERATOR:
        return p->device->op_run(s->op, s->pointer, p->scratch, p->stream);
    case VOLT_STEP_PACK:
        return pack_forms(p, s->form, s->forms);
    case VOLT_STEP_DROPOUT:
        return draw_factors(p, s, pass);
    case VOLT_STEP_INPUT:
        return upload_input(p, s, pass);
    case VOLT_STEP_SUMS:
        return p->world ? volt_program_run_sum(p, s) : VOLT_OK;
    case VOLT_STEP_MARGINS:
        return p->space ? volt_program_run_start(p, s) : VOLT_OK;
    case VOLT_STEP_MARGINS_END:
        return volt_program_run_end(p, s);
    case VOLT_STEP_SEND:
        return volt_program_run_start(p, s);
    case VOLT_STEP_RECEIVE: {
        const volt_status st = volt_program_run_start(p, s);
        return st == VOLT_OK ? volt_program_run_end(p, s) : st;
    }
    case VOLT_STEP_BUCKET:
    case VOLT_STEP_BUCKET_END:
        return volt_program_run_bucket(p, s);
    case VOLT_STEP_LOSS:
        break;
    }
    return VOLT_OK;
}

/* Whether the step runs in this pass. */
static bool is_due(const volt_step *s, const forward_pass *pass)
{
    return s->when == VOLT_ALWAYS ||
           s->when == (pass->evaluate ? VOLT_IN_EVALUATION : VOLT_IN_TRAINING);
}

static volt_status run_each(volt_program *p, int first, int last, const forward_pass *pass)
{
    volt_status st = VOLT_OK;

    for (int i = first; st == VOLT_OK && i < last; i++) {
        volt_step *s = &p->steps[i];
        const double start = p->profile ? volt_seconds() : 0;

        s->seconds = 0;
        if (!is_due(s, pass))
            continue;
        st = run_one(p, s, pass);
        if (st == VOLT_OK && p->profile) /* a step ends when the device has done it */
            st = volt_stream_sync(p->device, p->stream);
        if (p->on_their_way)
            volt_comm_progress(p->world);
        s->seconds = p->profile ? volt_seconds() - start : 0;
    }
    return st;
}

/* Whether the step takes something from the host that differs from run to run. */
static bool needs_host(const volt_step *s)
{
    return s->kind != VOLT_STEP_OPERATOR && s->kind != VOLT_STEP_PACK;
}

/* Steps `first` to `end`, which need nothing of the host: recorded the first time, launched
 * since. Every arena has its own record, because addresses are part of it, and evaluation has,
 * where it leaves out steps; those of one arena stay as long as the program. */
static volt_status replay(volt_program *p, int first, int end, const forward_pass *pass)
{
    const volt_stream_table *t = p->device->streams;
    const bool apart = pass->evaluate && p->evaluates_apart;
    const int arena = p->arena_number + (apart ? p->options.arenas : 0);
    volt_capture **slot = &p->captures[arena * p->step_count + first];
    volt_status st, ended;

    if (!*slot) {
        st = t->capture_begin(p->device, p->stream);
        if (st == VOLT_ENOTSUP)
            return run_each(p, first, end, pass);
        VOLT_TRY(st, done, st);
        st = run_each(p, first, end, pass);
        ended = t->capture_end(p->device, p->stream, slot);
        VOLT_TRY(st, done, st);
        VOLT_TRY(st, done, ended);
    }
    st = t->capture_launch(p->device, *slot, p->stream);
done:
    return st;
}

static volt_status run_steps(volt_program *p, int first, int last, const forward_pass *pass)
{
    volt_status st = VOLT_OK;
    int end;

    if (!p->captures || p->profile)
        return run_each(p, first, last, pass);
    for (; first < last && st == VOLT_OK; first = end) {
        end = first;
        while (end < last && !needs_host(&p->steps[end]))
            end++;
        if (end > first) {
            st = replay(p, first, end, pass);
        } else {
            end = first + 1;
            st = run_each(p, first, end, pass);
        }
    }
    return st;
}

volt_status volt_program_run_part(volt_program *p, int first, int last, const float *input)
{
    return run_steps(p, first, last, &(forward_pass){.input = input});
}

static volt_status run_forward(volt_program *p, const forward_pass *pass)
{
    volt_status st;

    if (!p->loaded)
        return volt_fail(VOLT_EINVAL, "the program has no parameters yet");
    p->state = VOLT_RUN_NONE;
    VOLT_TRY(st, done, volt_program_leave(p, volt_program_end_sends(p)));
    st = volt_program_leave(p, run_steps(p, 0, p->loss_step, pass));
    if (st == VOLT_OK)
        p->state = pass->evaluate ? VOLT_RUN_EVALUATED : VOLT_RUN_FORWARD;
done:
    return st;
}

volt_status volt_program_forward(volt_program *p, const float *input, uint32_t step)
{
    return run_forward(p, &(forward_pass){.input = input, .run = step});
}

volt_status volt_program_evaluate(volt_program *p, const float *input)
{
    return run_forward(p, &(forward_pass){.input = input, .evaluate = true});
}

/* ---- outputs ---- */

static float *output_address(const volt_program *p, int i)
{
    if (p->outputs[i].buffer < 0)
        return NULL;
    return (float *)(p->arena + p->buffers[p->outputs[i].buffer].offset);
}

volt_stream *volt_program_stream(const volt_program *p)
{
    return p->stream;
}

const float *volt_program_output_address(const volt_program *p, int i)
{
    return output_address(p, i);
}

static volt_status check_output(const volt_program *p, int i)
{
    if (i < 0 || i >= volt_graph_output_count(p->graph))
        return volt_fail(VOLT_EINVAL, "output %d of %d", i, volt_graph_output_count(p->graph));
    return VOLT_OK;
}

volt_status volt_program_output_shape(const volt_program *p, int i, int64_t shape[5])
{
    const volt_status st = check_output(p, i);

    if (st == VOLT_OK) {
        const volt_value v = p->values[volt_graph_output_value(p->graph, i)].alias;
        memcpy(shape, p->values[v].extent, 5 * sizeof *shape);
    }
    return st;
}

volt_status volt_program_download(volt_program *p, int i, float *to)
{
    const volt_status st = check_output(p, i);

    if (st != VOLT_OK)
        return st;
    if (p->state == VOLT_RUN_NONE)
        return volt_fail(VOLT_EINVAL, "outputs can be read after a forward pass");
    if (!volt_program_has_outputs(p))
        return volt_fail(VOLT_EINVAL, "outputs are with the last stage, and this is stage %d",
                         p->stage);
    return p->device->download(p->device, to, output_address(p, i),
                               (size_t)volt_tensor_elements(&p->outputs[i].tensor) * sizeof *to,
                               p->stream);
}

/* ---- loss ---- */

/* Where labels and levels lie in the whole volume. */
static void place_in_whole(const volt_program *p, volt_loss_call *call)
{
    for (int i = 0; i < call->levels; i++) {
        const volt_program_value *v =
            &p->values[p->values[volt_graph_output_value(p->graph, i)].alias];

        memcpy(call->level[i].whole, v->global, sizeof v->global);
        memcpy(call->level[i].low, v->box.low, sizeof v->box.low);
    }
    memcpy(call->whole, call->level[0].whole, sizeof call->whole);
    memcpy(call->low, call->level[0].low, sizeof call->low);
}

/* The call without labels. */
static volt_loss_call loss_call(const volt_program *p, const volt_loss_options *o,
                                bool gradient)
{
    const volt_tensor *t = &p->outputs[0].tensor;
    volt_loss_call call = {.n = t->n,
                           .c = t->c,
                           .samples = p->samples,
                           .first = p->own_first,
                           .d = t->d,
                           .h = t->h,
                           .w = t->w,
                           .levels = volt_graph_output_count(p->graph),
                           .weight_ce = o->weight_ce,
                           .weight_dice = o->weight_dice,
                           .smooth = o->smooth,
                           .batch_dice = o->batch_dice,
                           .ignore = o->ignore,
                           .sigmoid = o->sigmoid,
                           .regions = o->regions,
                           .values = o->values,
                           .class_weight = o->class_weight,
                           .gradient = gradient,
                           .loss_scale = p->loss_scale,
                           .threads = p->options.threads,
                           .sums = (double *)(p->scratch + p->loss_scratch),
                           .result = p->loss,
                           .scratch = p->scratch};

    for (int i = 0; i < call.levels; i++) {
        t = &p->outputs[i].tensor;
        call.level[i] = (volt_loss_level){.logits = output_address(p, i),
                                          .d = t->d,
                                          .h = t->h,
                                          .w = t->w,
                                          .weight = o->level_weight[i]};
    }
    if (p->part)
        place_in_whole(p, &call);
    return call;
}

static volt_status run_loss(volt_program *p, volt_loss_call *call, const int16_t *labels)
{
    const size_t bytes = (size_t)(call->n * call->d * call->h * call->w) * sizeof *labels;
    volt_status st;

    if (volt_program_has_outputs(p)) {
        int16_t *own = (int16_t *)(p->arena + p->buffers[p->labels].offset);
        VOLT_TRY(st, done, p->device->upload(p->device, own, labels, bytes, p->stream));
        call->labels = own;
    }
    VOLT_TRY(st, done, p->device->loss_sums(p->device, call, p->stream));
    VOLT_TRY(st, done, volt_program_sum_loss(p, call));
    VOLT_TRY(st, done, p->device->loss_gradient(p->device, call, p->stream));
    if (p->profile)
        st = volt_stream_sync(p->device, p->stream);
done:
    return st;
}

volt_status volt_program_loss(volt_program *p, const volt_loss_options *options,
                              const int16_t *labels, bool gradient)
{
    const double start = p->profile ? volt_seconds() : 0;
    volt_loss_options o = volt_loss_defaults();
    volt_loss_call call;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_loss_options"));
    if (p->state != VOLT_RUN_FORWARD && p->state != VOLT_RUN_EVALUATED)
        return volt_fail(VOLT_EINVAL, "a loss needs a forward pass before it");
    if (gradient && !volt_program_trains(p))
        return volt_fail(VOLT_EINVAL, "only training programs have gradients");
    if (gradient && p->state == VOLT_RUN_EVALUATED)
        return volt_fail(VOLT_EINVAL, "a loss after an evaluation has no gradient");
    if (o.regions && (o.values < 1 || o.values > VOLT_LOSS_MAX_VALUES))
        return volt_fail(VOLT_EINVAL, "regions of %d label values; 1 to %d are expected",
                         o.values, VOLT_LOSS_MAX_VALUES);
    p->loss_values = 0;
    call = loss_call(p, &o, gradient);
    VOLT_TRY(st, done, volt_program_leave(p, run_loss(p, &call, labels)));
    p->loss_values = volt_loss_values(&call);
    if (gradient)
        p->state = VOLT_RUN_GRADIENT;
    p->steps[p->loss_step].seconds = p->profile ? volt_seconds() - start : 0;
done:
    return st;
}

static volt_status download_counts(const volt_program *p, const volt_loss_result *result)
{
    const size_t bytes = (size_t)p->outputs[0].tensor.c * sizeof(int64_t);
    int64_t *const to[] = {result->tp, result->fp, result->fn};
    volt_status st = VOLT_OK;

    for (int i = 0; i < 3 && st == VOLT_OK; i++) {
        if (to[i])
            st = p->device->download(p->device, to[i],
                                     (const char *)volt_loss_counts(p->loss) + i * bytes, bytes,
                                     p->stream);
    }
    return st;
}

volt_status volt_program_loss_result(volt_program *p, volt_loss_result *result)
{
    volt_loss_block b;
    volt_status st;

    if (!p->loss_values)
        return volt_fail(VOLT_EINVAL, "a result needs a loss before it");
    VOLT_TRY(st, done, p->device->download(p->device, &b, p->loss, sizeof b, p->stream));
    if (p->world) {
        b.bad_voxel = p->bad_voxel;
        b.bad_label = p->bad_label;
    }
    if (b.bad_labels)
        return volt_fail(VOLT_EINVAL, "label %lld at voxel %lld of the batch, expected 0..%d",
                         (long long)b.bad_label, (long long)b.bad_voxel, p->loss_values - 1);
    VOLT_TRY(st, done, download_counts(p, result));
    result->total = b.total;
    result->voxels = b.voxels;
    for (int i = 0; i < volt_graph_output_count(p->graph); i++)
        result->level[i] = b.value[i];
done:
    return st;
}

void volt_program_scale_loss(volt_program *p, const double *scale)
{
    p->loss_scale = scale;
}

volt_status volt_program_backward(volt_program *p)
{
    if (p->state != VOLT_RUN_GRADIENT)
        return volt_fail(VOLT_EINVAL, "a backward pass needs a loss with gradient before it");
    p->state = VOLT_RUN_NONE;
    const volt_status st = volt_program_leave(p, volt_program_end_sends(p));
    if (st != VOLT_OK)
        return st;
    return volt_program_leave(p, run_steps(p, p->loss_step + 1, p->step_count - p->update_steps,
                                           &(forward_pass){.input = NULL}));
}

volt_status volt_program_pack(volt_program *p)
{
    if (!p->loaded)
        return volt_fail(VOLT_EINVAL, "the program has no parameters yet");
    return run_steps(p, p->step_count - p->update_steps, p->step_count,
                     &(forward_pass){.input = NULL});
}

volt_status volt_program_use(volt_program *p, int arena)
{
    if (arena < 0 || arena >= p->options.arenas)
        return volt_fail(VOLT_EINVAL, "arena %d of %d", arena, p->options.arenas);
    p->states[p->arena_number] = p->state;
    p->state = p->states[arena];
    p->arena_number = arena;
    if (p->arenas)
        set_pointers(p);
    return VOLT_OK;
}

void volt_program_set_first_sample(volt_program *p, int64_t first)
{
    p->first_sample = first;
}

int64_t volt_program_first_sample(const volt_program *p)
{
    return p->own_first;
}

volt_status volt_program_accumulate(volt_program *p, int64_t part, int64_t parts)
{
    volt_status st;

    if (!p->average)
        return volt_fail(VOLT_EINVAL, "the program does not accumulate gradients");
    if (part < 0 || part >= parts)
        return volt_fail(VOLT_EINVAL, "part %lld of %lld", (long long)part, (long long)parts);
    st = p->device->accumulate(p->device, p->average, p->gradients,
                               volt_graph_learned_elements(p->graph), 1.0 / (double)parts,
                               part == 0, p->options.threads, p->stream);
    if (st == VOLT_OK && p->world && part == parts - 1)
        st = volt_program_sum_average(p);
    return volt_program_leave(p, st);
}

volt_parameters volt_program_parameters(const volt_program *p)
{
    const int64_t learned = volt_graph_learned_elements(p->graph);

    return (volt_parameters){.device = p->device,
                             .weights = p->weights,
                             .gradients = p->average ? p->average : p->gradients,
                             .count = learned,
                             .state = p->weights ? p->weights + learned : NULL,
                             .next_state = p->next,
                             .state_count = volt_graph_param_elements(p->graph) - learned,
                             .threads = p->options.threads,
                             .stream = p->stream};
}

void volt_program_profile(volt_program *p, bool on)
{
    p->profile = on;
    for (int i = 0; i < p->step_count; i++)
        p->steps[i].seconds = 0;
}
