/* Compiling: from a graph to steps in an arena.
 *
 * A device refuses what it cannot do only when an operator is created, so compiling is a
 * search: the steps are planned with every shortcut (plain inputs and outputs, ranges of
 * buffers, two gradients in one operator), and after a refusal planned again without the one
 * that the refused step used. Devices thus need no table of abilities. A second search weighs
 * memory against recomputing: the plan is tried with several windows (keep.c).
 */
#include "nets3d/program/ranks.h"

#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/core/options.h"
#include "base/threads.h"
#include "nets3d/device/op_spec.h"
#include "nets3d/program/precision.h"

void volt_program_options_init(volt_program_options *o, size_t size)
{
    const volt_program_options defaults = {.n = 1, .precision = VOLT_FP32, .mode = VOLT_INFER};

    volt_options_init(o, size, &defaults, sizeof defaults);
}

static volt_status check_options(const volt_graph *graph, const volt_device *device,
                                 const volt_program_options *o)
{
    if (o->mode != VOLT_INFER && o->mode != VOLT_TRAIN)
        return volt_fail(VOLT_EINVAL, "mode %d is neither training nor inference",
                         (int)o->mode);
    if (o->arenas < 0 || o->arenas > 1024)
        return volt_fail(VOLT_EINVAL, "%d arenas; 1 to 1024 are expected", o->arenas);
    if (o->accumulate && o->mode != VOLT_TRAIN)
        return volt_fail(VOLT_EINVAL, "only training programs accumulate gradients");
    if (o->n < 1)
        return volt_fail(VOLT_EINVAL, "the batch is %lld, expected 1 or more", (long long)o->n);
    for (int axis = 0; axis < 3; axis++) {
        if (o->extent[axis] < 1)
            return volt_fail(VOLT_EINVAL,
                             "the patch has extent %lld along %c, expected 1 or "
                             "more",
                             (long long)o->extent[axis], "dhw"[axis]);
    }
    for (int axis = 0; axis < 3; axis++) {
        const int64_t low = o->box.low[axis], high = o->box.high[axis];
        if (!volt_box_is_empty(o->box) && (low < 0 || high > o->extent[axis]))
            return volt_fail(
                VOLT_EINVAL, "the box %lld..%lld along %c leaves the patch of %lld voxels",
                (long long)low, (long long)high, "dhw"[axis], (long long)o -> extent[axis]);
    }
    for (int axis = 0; axis < 3; axis++) {
        if (o->gather[axis] < 0)
            return volt_fail(VOLT_EINVAL, "gathering beyond a stride of %lld along %c",
                             (long long)o->gather[axis], "dhw"[axis]);
    }
    if (volt_mesh_is_alone(o->mesh) && o->samples && o->samples != o->n)
        return volt_fail(VOLT_EINVAL, "a batch of %lld samples, and the program has %lld",
                         (long long)o->samples, (long long)o->n);
    if (o->norm_samples && o->norm_samples < o->n)
        return volt_fail(VOLT_EINVAL,
                         "statistics of norms over %lld samples, of which the program has %lld",
                         (long long)o->norm_samples, (long long)o->n);
    if (volt_box_is_empty(o->box) && memcmp(&o->box, &(volt_box){{0}, {0}}, sizeof o->box))
        return volt_fail(VOLT_EINVAL, "the box of the patch is empty");
    if (volt_graph_output_count(graph) < 1 || volt_graph_output_count(graph) > 16)
        return volt_fail(VOLT_EINVAL, "the graph has %d outputs, expected 1..16",
                         volt_graph_output_count(graph));
    if (o->mode == VOLT_TRAIN && !device->update_state &&
        volt_graph_param_elements(graph) > volt_graph_learned_elements(graph))
        return volt_fail(VOLT_ENOTSUP, "the %s device does not train running statistics",
                         device->name);
    return volt_precision_check(device, o->precision);
}

/* Steps and buffers for the current window and restrictions. */
static volt_status emit(volt_program *p)
{
    volt_status st;

    volt_program_clear_steps(p);
    VOLT_TRY(st, done, volt_program_decide(p));
    VOLT_TRY(st, done, volt_program_emit_forward(p));
    if (volt_program_trains(p))
        st = volt_program_emit_backward(p);
done:
    return st;
}

/* Holding a value until its next use saves recomputing it, dropping it saves memory: takes the
 * longest window that needs at most 1 % more memory than the best. */
static volt_status choose_window(volt_program *p)
{
    static const int windows[] = {6, 3, 1, 0};
    const int count = volt_program_trains(p) ? (int)(sizeof windows / sizeof *windows) : 1;
    size_t least[4] = {0}, best = SIZE_MAX;
    int chosen = 0;
    volt_status st;

    for (int i = 0; i < count; i++) {
        p->window = windows[i];
        VOLT_TRY(st, done, emit(p));
        least[i] = volt_program_least(p);
        best = least[i] < best ? least[i] : best;
    }
    while (chosen + 1 < count && least[chosen] > best + best / 100)
        chosen++;
    p->window = windows[chosen];
done:
    return st;
}

static volt_status plan(volt_program *p)
{
    volt_status st = VOLT_OK;

    if (!p->part)
        VOLT_TRY(st, done, choose_window(p));
    st = emit(p);
done:
    return st;
}

static bool is_plain(const volt_tensor *t)
{
    return t->n && t->layout == VOLT_PLAIN;
}

/* Whether the device may have refused the step for margins of an operand with this role. */
static bool has_margins(const volt_step *s, volt_operand_role role)
{
    const volt_op_signature *sig = volt_op_signature_of(s->spec.kind);

    for (int i = 0; i < s->operands && s->spec.kind != VOLT_OP_COPY; i++) {
        if (sig->role[i] == role && volt_tensor_has_margins(&s->spec.tensor[i]))
            return true;
    }
    return false;
}

/* Gives up margins of the refused step's outputs, then of its inputs. Transposed convolutions
 * and linear upsampling have no form without those they read. */
static bool give_up_margins(volt_program *p, const volt_step *s)
{
    volt_unit *u = &p->units[s->unit];
    const uint64_t kind = (uint64_t)1 << s->spec.kind;
    const bool tconv =
        s->spec.kind >= VOLT_OP_TCONV_FWD && s->spec.kind <= VOLT_OP_TCONV_BWD_WEIGHTS;
    const bool block =
        memcmp(s->spec.conv.kernel, s->spec.conv.stride, sizeof s->spec.conv.kernel) == 0;
    const bool linear = s->spec.linear && (s->spec.kind == VOLT_OP_UPSAMPLE_FWD ||
                                           s->spec.kind == VOLT_OP_UPSAMPLE_BWD);

    if (has_margins(s, VOLT_ROLE_OUT) && !(u->dense_out & kind))
        u->dense_out |= kind;
    else if (has_margins(s, VOLT_ROLE_IN) && !(u->dense_in & kind) && (!tconv || block) &&
             !linear)
        u->dense_in |= kind;
    else
        return false;
    p->restrictions |= VOLT_NO_MARGINS;
    return true;
}

/* Whether the device takes a refused step without its operand i. */
static bool works_without(const volt_program *p, const volt_step *s, int i)
{
    volt_op_spec spec = s->spec;
    volt_op *op = NULL;
    bool works;

    spec.tensor[i] = (volt_tensor){0};
    works = p->device->op_create(p->device, &op, &spec) == VOLT_OK;
    p->device->op_free(op);
    return works;
}

/* The feature to give up after the device refused a step; 0 = none. */
static unsigned next_restriction(const volt_program *p, const volt_step *s)
{
    const volt_op_signature *sig = volt_op_signature_of(s->spec.kind);
    const bool conv = s->spec.kind <= VOLT_OP_CONV_BWD_WEIGHTS;
    const int last = s->spec.kind == VOLT_OP_CONV_BWD_DATA ? 2 : 3;
    unsigned found = 0;

    if (s->spec.kind == VOLT_OP_CONV_FWD && s->spec.tensor[4].n && works_without(p, s, 4))
        return VOLT_NO_CONV_SUMS;
    if (conv && s->spec.kind != VOLT_OP_CONV_BWD_DATA && is_plain(&s->spec.tensor[0]))
        found |= VOLT_NO_PLAIN_INPUT;
    if (conv && is_plain(&s->spec.tensor[last]))
        found |= VOLT_NO_PLAIN_OUTPUT;
    if ((s->spec.kind == VOLT_OP_NORM_BWD_SUMS || s->spec.kind == VOLT_OP_NORM_BWD_APPLY) &&
        s->spec.tensor[6].n)
        found |= VOLT_NO_SECOND_GRADIENT;
    for (int i = 0; i < s->operands && s->spec.kind != VOLT_OP_COPY; i++) {
        if ((sig->role[i] == VOLT_ROLE_IN || sig->role[i] == VOLT_ROLE_OUT) &&
            s->spec.tensor[i].buffer_c != s->spec.tensor[i].c)
            found |= VOLT_NO_RANGES;
    }
    found &= ~p->restrictions;
    return found & (~found + 1); /* one at a time */
}

/* "encoder.stages.0.0.convs.0.conv" from its weight's name, or the kind and number; a regrid is
 * called what it regrids. */
static volt_status name_unit(const volt_program *p, const volt_unit *u, char **out)
{
    const char *weight;

    if (volt_node_is_regrid(u->node))
        u = &p->units[p->values[u->in[0]].unit];
    else if (volt_node_is_receive(u->node))
        u = volt_program_maker(p, u->out);
    if (u->node->weight < 0)
        return volt_format(out, "%s %d", volt_node_kind_name(u->node->kind), (int)u->out);
    weight = volt_graph_param(p->graph, u->node->weight)->name;
    return volt_format(out, "%.*s", (int)(strlen(weight) - strlen(".weight")), weight);
}

static const char *action_of(const volt_step *s)
{
    switch (s->spec.kind) {
    case VOLT_OP_COPY:
        return "copy";
    case VOLT_OP_NORM_SUMS:
        return "sums";
    case VOLT_OP_NORM_FINISH:
        return "statistics";
    case VOLT_OP_NORM_RUNNING:
        return "running statistics";
    case VOLT_OP_NORM_BWD_SUMS:
        return "backward sums";
    case VOLT_OP_CONV_BWD_DATA:
    case VOLT_OP_TCONV_BWD_DATA:
        return "data gradient";
    case VOLT_OP_CONV_BWD_WEIGHTS:
    case VOLT_OP_TCONV_BWD_WEIGHTS:
        return "weight gradient";
    default:
        return s->again ? "again" : s->backward ? "backward" : "forward";
    }
}

static const char *what_step(const volt_program *p, const volt_step *s)
{
    const bool regrid = s->unit >= 0 && volt_node_is_regrid(p->units[s->unit].node);

    switch (s->kind) {
    case VOLT_STEP_INPUT:
        return "upload";
    case VOLT_STEP_MARGINS:
        return regrid ? "gather" : "margins";
    case VOLT_STEP_MARGINS_END:
        return regrid ? "gather end" : "margins end";
    case VOLT_STEP_SUMS:
        return "sums of all parts";
    case VOLT_STEP_DROPOUT:
        return "factors";
    case VOLT_STEP_BUCKET:
        return "gradients sum";
    case VOLT_STEP_BUCKET_END:
        return "gradients sum end";
    case VOLT_STEP_LOSS:
        return "loss";
    case VOLT_STEP_SEND:
        return s->backward ? "gradient send" : "send";
    case VOLT_STEP_RECEIVE:
        return s->backward ? "gradient receive" : "receive";
    case VOLT_STEP_PACK:
        return s->unit >= 0            ? "pack"
               : p->options.keep_forms ? "update pack"
               : s->backward           ? "backward pass pack"
                                       : "forward pass pack";
    case VOLT_STEP_OPERATOR:
        break;
    }
    return regrid ? "own part" : action_of(s);
}

static volt_status name_steps(volt_program *p)
{
    char *unit = NULL;
    volt_status st = VOLT_OK;

    for (int i = 0; st == VOLT_OK && i < p->step_count; i++) {
        volt_step *s = &p->steps[i];

        if (s->unit < 0) {
            st = volt_strdup(&s->name, what_step(p, s));
            continue;
        }
        VOLT_TRY(st, done, name_unit(p, &p->units[s->unit], &unit));
        st = volt_format(&s->name, "%s %s%s", unit, what_step(p, s),
                         s->part == VOLT_FACES    ? " faces"
                         : s->part == VOLT_INSIDE ? " inside"
                                                  : "");
        volt_free(unit);
        unit = NULL;
    }
done:
    volt_free(unit);
    return st;
}

/* Plans and creates operators, without the features that the device refuses. */
static volt_status compile(volt_program *p)
{
    char sentence[1024]; /* refusals that lead to another way are no failures */
    size_t arena;
    volt_status st;

    snprintf(sentence, sizeof sentence, "%s", volt_last_error());
    volt_free(p->forms); /* of an earlier compilation */
    volt_free(p->packs);
    p->forms = NULL;
    p->packs = NULL;
    for (;;) {
        int refused = -1;
        unsigned restriction;

        VOLT_TRY(st, done, plan(p));
        st = volt_program_create_operators(p, &refused);
        if (st != VOLT_ENOTSUP)
            break;
        restriction = next_restriction(p, &p->steps[refused]);
        if (restriction != VOLT_NO_CONV_SUMS && give_up_margins(p, &p->steps[refused]))
            continue;
        if (!restriction)
            goto done;
        p->restrictions |= restriction;
    }
    if (st != VOLT_OK)
        goto done;
    if (p->space)
        VOLT_TRY(st, done, volt_program_overlap(p));
    VOLT_TRY(st, done, volt_program_arrange(p, &arena));
    VOLT_TRY(st, done, volt_program_account(p, arena));
    if (volt_program_trains(p))
        VOLT_TRY(st, done, volt_program_place_forms(p));
    volt_program_count_live(p);
    VOLT_TRY(st, done, volt_program_verify(p));
    VOLT_TRY(st, done, name_steps(p));
    volt_set_last_error(sentence);
done:
    return st;
}

/* A program with its units and values. */
static volt_status prepare(volt_program **out, const volt_graph *graph,
                           const volt_device *device, const volt_program_options *o)
{
    const size_t values = (size_t)volt_graph_value_count(graph);
    const size_t most = volt_box_is_empty(o->box) ? values : 2 * values; /* with twins */
    volt_program *p = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&p, 1, sizeof *p, "a program"));
    p->graph = graph;
    p->device = device;
    p->options = *o;
    p->options.threads = volt_threads_or_default(o->threads);
    p->options.arenas = o->arenas > 0 ? o->arenas : 1;
    VOLT_TRY(st, done, volt_stream_create(&p->stream, device));
    p->dtype = o->precision == VOLT_BF16_MIXED   ? VOLT_BF16
               : o->precision == VOLT_FP16_MIXED ? VOLT_F16
                                                 : VOLT_F32;
    p->part = !volt_box_is_empty(o->box);
    VOLT_TRY(
        st, done,
        volt_alloc_zero(&p->states, (size_t)p->options.arenas, sizeof *p->states, "a program"));
    VOLT_TRY(st, done, volt_alloc_zero(&p->values, most, sizeof *p->values, "a program"));
    p->value_count = (int)values;
    VOLT_TRY(st, done, volt_alloc_zero(&p->units, most, sizeof *p->units, "a program"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&p->outputs, (size_t)volt_graph_output_count(graph),
                             sizeof *p->outputs, "a program"));
    VOLT_TRY(st, done, volt_program_shapes(p));
    VOLT_TRY(st, done, volt_program_boxes(p));
    volt_program_margins(p);
    *out = p;
    p = NULL;
done:
    volt_program_free(p);
    return st;
}

/* The window that a program for the whole volume has: the same for all parts, which then
 * exchange the same values in the same order. */
static volt_status take_window_of_whole(volt_program *p)
{
    volt_program_options o = p->options;
    volt_program *whole = NULL;
    volt_status st;

    o.box = (volt_box){{0}, {0}};
    VOLT_TRY(st, done, prepare(&whole, p->graph, p->device, &o));
    VOLT_TRY(st, done, choose_window(whole));
    p->window = whole->window;
done:
    volt_program_free(whole);
    return st;
}

/* Boxes and needs of all parts of the volume. */
static volt_status find_peers(volt_program *p, const volt_program_options *options)
{
    volt_program *peer = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc(&p->peers, (size_t)p->parts * (size_t)p->value_count * sizeof *p->peers,
                        "a program"));
    for (int i = 0; i < p->parts; i++) {
        volt_program_options o = *options;

        VOLT_TRY(st, done, volt_program_cut(&o, p->graph, i));
        VOLT_TRY(st, done, prepare(&peer, p->graph, p->device, &o));
        volt_program_take_peer(p, i, peer);
        volt_program_free(peer);
        peer = NULL;
    }
    st = VOLT_OK;
done:
    return st;
}

/* What a rank does by itself until all meet. */
static volt_status prepare_rank(volt_program **out, const volt_graph *graph,
                                const volt_device *device, const volt_program_options *options,
                                const volt_batch_place *batch)
{
    const volt_mesh *mesh = options->mesh;
    volt_program_options o = *options;
    volt_program *p = NULL;
    double *work = NULL;
    volt_status st;

    VOLT_TRY(st, done, check_options(graph, device, &o));
    if (o.samples && o.samples != batch->samples)
        return volt_fail(VOLT_EINVAL, "a batch of %lld samples, and the ranks have %lld",
                         (long long)o.samples, (long long)batch->samples);
    VOLT_TRY(st, done, volt_program_cut(&o, graph, volt_comm_rank(mesh->space)));
    VOLT_TRY(st, done, prepare(&p, graph, device, &o));
    p->world = mesh->world;
    p->samples = batch->samples;
    p->own_first = p->first_sample = batch->first;
    if (p->part) {
        p->space = mesh->space;
        p->parts = volt_comm_size(p->space);
        VOLT_TRY(st, done, volt_alloc(&work, (size_t)p->parts * sizeof *work, "a program"));
        volt_program_deal(p, work);
        VOLT_TRY(st, done, find_peers(p, options));
        VOLT_TRY(st, done, take_window_of_whole(p));
    }
    if (volt_program_trains(p))
        VOLT_TRY(st, done, volt_program_plan_buckets(p));
    *out = p;
    p = NULL;
done:
    volt_free(work);
    volt_program_free(p);
    return st;
}

/* All ranks fail, or none. */
static volt_status create_rank(volt_program **out, const volt_graph *graph,
                               const volt_device *device, const volt_program_options *o)
{
    volt_comm *world = o->mesh->world;
    volt_program *p = NULL;
    volt_program_options own = *o;
    volt_batch_place batch;
    bool again = true;
    volt_status st;

    VOLT_TRY(st, done, volt_program_place_batch(&batch, o->mesh, o->n, o->samples));
    own.norm_samples = batch.samples;
    VOLT_TRY(st, done, volt_comm_agree(world, prepare_rank(&p, graph, device, &own, &batch)));
    VOLT_TRY(st, done, volt_comm_agree(world, volt_program_meet(p, o->mesh)));
    while (again) {
        VOLT_TRY(st, done, volt_comm_agree(world, compile(p)));
        VOLT_TRY(st, done, volt_program_share_restrictions(p, &again));
    }
    VOLT_TRY(st, done, volt_program_compare_exchanges(p));
    VOLT_TRY(st, done, volt_comm_agree(world, volt_program_open_links(p)));
    volt_program_account_host(p);
    volt_free(p->peers);
    p->peers = NULL;
    *out = p;
    p = NULL;
done:
    volt_program_free(p);
    return st;
}

static volt_status create_alone(volt_program **out, const volt_graph *graph,
                                const volt_device *device, const volt_program_options *o)
{
    volt_program *p = NULL;
    volt_status st;

    VOLT_TRY(st, done, check_options(graph, device, o));
    VOLT_TRY(st, done, prepare(&p, graph, device, o));
    if (p->part)
        VOLT_TRY(st, done, take_window_of_whole(p));
    VOLT_TRY(st, done, compile(p));
    *out = p;
    p = NULL;
done:
    volt_program_free(p);
    return st;
}

volt_status volt_program_create(volt_program **out, const volt_graph *graph,
                                const volt_device *device, const volt_program_options *options)
{
    volt_program_options o = volt_program_defaults();
    volt_program *p = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_program_options"));
    if (volt_mesh_is_alone(o.mesh))
        VOLT_TRY(st, done, create_alone(&p, graph, device, &o));
    else
        VOLT_TRY(st, done, create_rank(&p, graph, device, &o));
    p->options.learns = NULL; /* was borrowed */
    for (int i = 0; i < p->step_count; i++)
        p->evaluates_apart |= p->steps[i].when == VOLT_IN_EVALUATION;
    if (volt_device_captures(device))
        VOLT_TRY(st, done,
                 volt_alloc_zero(&p->captures, 2 * (size_t)(p->options.arenas * p->step_count),
                                 sizeof *p->captures, "a program"));
    *out = p;
    p = NULL;
done:
    volt_program_free(p);
    return st;
}

void volt_program_free(volt_program *p)
{
    if (!p)
        return;
    volt_program_settle(p);
    volt_stream_destroy(p->device, p->stream);
    for (int i = 0; p->captures && i < 2 * p->options.arenas * p->step_count; i++)
        p->device->streams->capture_free(p->device, p->captures[i]);
    volt_free(p->captures);
    volt_program_clear_steps(p);
    volt_program_clear_plans(p);
    volt_free(p->exchanges);
    volt_free(p->buckets);
    volt_free(p->peers);
    volt_free(p->regrids);
    volt_free(p->network);
    volt_free(p->stage_values);
    volt_free(p->links);
    volt_free(p->host);
    p->device->release(p->device, p->weights);
    p->device->release(p->device, p->gradients);
    p->device->release(p->device, p->average);
    p->device->release(p->device, p->next);
    p->device->release(p->device, p->packed);
    p->device->release(p->device, p->arenas);
    p->device->release(p->device, p->scratch);
    volt_free(p->parameter_offset);
    volt_free(p->states);
    volt_free(p->outputs);
    volt_free(p->references);
    volt_free(p->pending);
    volt_free(p->buffers);
    volt_free(p->forms);
    volt_free(p->packs);
    volt_free(p->steps);
    volt_free(p->demand);
    volt_free(p->units);
    volt_free(p->values);
    volt_free(p);
}

volt_box volt_program_box(const volt_program *p)
{
    const volt_box box = p->options.box;

    return volt_box_is_empty(box) ? volt_box_of_shape(p->options.extent) : box;
}

void volt_program_gathered(const volt_program *p, int64_t stride[3])
{
    for (int a = 0; a < 3; a++)
        stride[a] = p->space ? p->options.gather[a] : INT64_MAX;
}

void volt_program_memory_of(const volt_program *p, volt_program_memory *out)
{
    *out = p->memory;
}

int volt_program_step_count(const volt_program *p)
{
    return p->step_count;
}

void volt_program_step(const volt_program *p, int i, volt_step_info *out)
{
    const volt_step *s = &p->steps[i];

    *out = (volt_step_info){.name = s->name,
                            .kernel = s->info.kernel ? s->info.kernel : "",
                            .flops = s->info.flops,
                            .bytes = s->info.bytes,
                            .seconds = s->seconds,
                            .arena_bytes = s->live};
    if (p->world)
        volt_program_count_messages(p, s, out);
}
