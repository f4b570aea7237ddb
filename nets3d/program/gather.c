/* Levels that every rank of a volume computes whole.
 *
 * The coarsest levels of a network are small: cut into parts they would be all margins and
 * messages, and the finer levels could only be cut where those are. So values coarser than some
 * stride are GATHERED: every rank of the space has all of them. On the way down a value is
 * gathered from the parts, on the way up its own part is cut out; backward the same the other
 * way round, as every rank has the whole gradient of a gathered value. Both are units of their
 * own kind (VOLT_NODE_REGRID), whose result is the value's TWIN. Parameters of gathered levels
 * are dealt out: one rank computes the gradient of each and the others leave zeros, so that the
 * sum over all ranks is right.
 *
 * Where to gather is weighed: work that ranks repeat against messages, which cost time however
 * small they are.
 */
#include "nets3d/program/ranks.h"

#include <string.h>

#include "base/core/alloc.h"
#include "parallel/mesh/partition.h"

static bool grows(volt_node_kind kind)
{
    return kind == VOLT_NODE_TCONV || kind == VOLT_NODE_UPSAMPLE_NEAREST ||
           kind == VOLT_NODE_UPSAMPLE_LINEAR;
}

static bool shrinks(volt_node_kind kind)
{
    return kind == VOLT_NODE_CONV || kind == VOLT_NODE_MAX_POOL ||
           kind == VOLT_NODE_AVERAGE_POOL;
}

/* Strides of all values against the input; `stride` has space for each node's three. */
static void strides_of(const volt_graph *graph, int64_t (*stride)[3])
{
    for (int i = 0; i < volt_graph_node_count(graph); i++) {
        const volt_node *node = volt_graph_node(graph, i);

        for (int a = 0; a < 3; a++) {
            const int64_t by = node->conv.stride[a];
            int64_t s = node->inputs ? stride[node->in[0]][a] : 1;

            if (shrinks(node->kind))
                s *= by;
            else if (grows(node->kind))
                s = s % by ? 1 : s / by;
            stride[i][a] = s;
        }
    }
}

/* Which values are gathered: those coarser than `limit`, and what is upsampled from such. */
static void find_gathered(const volt_graph *graph, int64_t (*const stride)[3],
                          const int64_t limit[3], bool *gathered)
{
    for (int i = 0; i < volt_graph_node_count(graph); i++) {
        const volt_node *node = volt_graph_node(graph, i);

        gathered[i] = grows(node->kind) && gathered[node->in[0]];
        for (int a = 0; a < 3; a++)
            gathered[i] |= stride[i][a] > limit[a];
    }
}

/* ---- the choice ---- */

/* What one message costs, and one byte, in operations of a core. */
#define OPERATIONS_OF_MESSAGE 2e6
#define OPERATIONS_OF_BYTE    10.0

typedef struct weighing {
    const volt_graph *graph;
    const int64_t *extent;
    int64_t (*stride)[3];
    bool *gathered;
    bool cut[3];
} weighing;

static double voxels_at(const weighing *w, int i)
{
    double voxels = 1;

    for (int a = 0; a < 3; a++)
        voxels *= (double)w->extent[a] / (double)w->stride[i][a];
    return voxels;
}

static double operations_of(const weighing *w, const volt_node *node)
{
    const int64_t *k = node->conv.kernel;
    const int at = node->kind == VOLT_NODE_TCONV ? node->in[0] : node->out;

    if (node->kind != VOLT_NODE_CONV && node->kind != VOLT_NODE_TCONV)
        return (double)node->out_channels * voxels_at(w, node->out);
    return 2.0 * (double)(node->in_channels * node->out_channels * k[0] * k[1] * k[2]) *
           voxels_at(w, at);
}

/* Operations of the rank with the largest part, which has `fraction` of the volume. */
static double weigh(const weighing *w, double fraction)
{
    double sum = 0;

    for (int i = 0; i < volt_graph_node_count(w->graph); i++) {
        const volt_node *node = volt_graph_node(w->graph, i);
        bool reaches = false;

        sum += operations_of(w, node) * (w->gathered[i] ? 1 : fraction);
        for (int a = 0; a < 3; a++)
            reaches |= w->cut[a] && node->conv.kernel[a] > node->conv.stride[a];
        if (!w->gathered[i] &&
            ((node->kind == VOLT_NODE_CONV && reaches) ||
             node->kind == VOLT_NODE_UPSAMPLE_LINEAR || volt_is_norm(node->kind)))
            sum += OPERATIONS_OF_MESSAGE;
        if (node->inputs && w->gathered[i] != w->gathered[node->in[0]])
            sum += OPERATIONS_OF_MESSAGE + OPERATIONS_OF_BYTE * 4 * (double)node->in_channels *
                                               voxels_at(w, node->in[0]);
    }
    return sum;
}

static int64_t common_multiple(int64_t a, int64_t b)
{
    int64_t x = a, y = b;

    while (y) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

/* A partition cut for values up to `limit`, and the part of the volume that its largest part
 * is. */
static volt_status cut_for(const weighing *w, volt_partition *out, const int parts[3],
                           double *fraction)
{
    int64_t align[3] = {1, 1, 1};
    volt_status st;

    for (int i = 0; i < volt_graph_node_count(w->graph); i++)
        for (int a = 0; a < 3 && !w->gathered[i]; a++)
            align[a] = common_multiple(align[a], w->stride[i][a]);
    st = volt_partition_make(out, w->extent, parts, align);
    if (st != VOLT_OK)
        return st;
    *fraction = 1;
    for (int a = 0; a < 3; a++) { /* larger parts come first */
        const int64_t *cut = out->cut[a];
        *fraction *= (double)(cut[1] - cut[0]) / (double)w->extent[a];
    }
    return VOLT_OK;
}

/* Whether no value before i has its strides. */
static bool is_new(const weighing *w, int i)
{
    for (int j = 0; j < i; j++) {
        if (!memcmp(w->stride[j], w->stride[i], sizeof w->stride[i]))
            return false;
    }
    return true;
}

static void set_limit(const weighing *w, int64_t limit[3], const int64_t stride[3])
{
    for (int a = 0; a < 3; a++)
        limit[a] = w->cut[a] ? stride[a] : INT64_MAX;
    find_gathered(w->graph, w->stride, limit, w->gathered);
}

/* The limit that costs least of those where the volume can be cut. */
static volt_status choose(weighing *w, const int parts[3], int64_t limit[3],
                          volt_partition *out)
{
    static const int64_t finest[3] = {1, 1, 1};
    double best = 0, fraction;
    int chosen = -1;

    for (int i = 0; i < volt_graph_node_count(w->graph); i++) {
        volt_partition cut = {0};
        double cost;

        if (!is_new(w, i))
            continue;
        set_limit(w, limit, w->stride[i]);
        if (cut_for(w, &cut, parts, &fraction) != VOLT_OK)
            continue;
        volt_partition_clear(&cut);
        cost = weigh(w, fraction);
        if (chosen < 0 || cost < best) {
            best = cost;
            chosen = i;
        }
    }
    set_limit(w, limit, chosen < 0 ? finest : w->stride[chosen]);
    return cut_for(w, out, parts, &fraction);
}

volt_status volt_program_cut(volt_program_options *o, const volt_graph *graph, int part)
{
    const int *size = o->mesh->size, count = volt_graph_node_count(graph);
    const int parts[3] = {size[VOLT_MESH_Z], size[VOLT_MESH_Y], size[VOLT_MESH_X]};
    weighing w = {.graph = graph, .extent = o->extent};
    volt_partition cut = {0};
    char text[VOLT_MESH_TEXT];
    int64_t limit[3];
    double fraction;
    volt_status st;

    if (!volt_box_is_empty(o->box))
        return volt_fail(VOLT_EINVAL, "a box is given, and a mesh that says which");
    if (parts[0] * parts[1] * parts[2] == 1)
        return VOLT_OK;
    if (size[VOLT_MESH_STAGE] > 1)
        return volt_fail(VOLT_ENOTSUP,
                         "mesh %s: stages cannot be combined with parts of the volume; drop "
                         "stage, or z, y and x",
                         volt_mesh_text(text, size));
    for (int a = 0; a < 3; a++)
        w.cut[a] = parts[a] > 1;
    VOLT_TRY(st, done, volt_alloc(&w.stride, (size_t)count * sizeof *w.stride, "a program"));
    VOLT_TRY(st, done,
             volt_alloc(&w.gathered, (size_t)count * sizeof *w.gathered, "a program"));
    strides_of(graph, w.stride);
    if (o->gather[0] || o->gather[1] || o->gather[2]) {
        set_limit(&w, limit, o->gather);
        for (int a = 0; a < 3; a++)
            limit[a] = limit[a] ? limit[a] : INT64_MAX;
        memcpy(o->gather, limit, sizeof limit);
        find_gathered(graph, w.stride, limit, w.gathered);
        VOLT_TRY(st, done, cut_for(&w, &cut, parts, &fraction));
    } else {
        VOLT_TRY(st, done, choose(&w, parts, o->gather, &cut));
    }
    o->box = volt_partition_box_of(&cut, part);
done:
    volt_partition_clear(&cut);
    volt_free(w.stride);
    volt_free(w.gathered);
    return st;
}

/* ---- units ---- */

volt_status volt_program_mark_gathered(volt_program *p)
{
    const int count = volt_graph_node_count(p->graph);
    int64_t(*stride)[3] = NULL;
    bool *gathered = NULL;
    volt_status st = VOLT_OK;

    if (!p->part || !p->options.gather[0])
        return VOLT_OK;
    VOLT_TRY(st, done, volt_alloc(&stride, (size_t)count * sizeof *stride, "a program"));
    VOLT_TRY(st, done, volt_alloc(&gathered, (size_t)count * sizeof *gathered, "a program"));
    strides_of(p->graph, stride);
    find_gathered(p->graph, stride, p->options.gather, gathered);
    for (int i = 0; i < count; i++) {
        p->values[i].gathered = gathered[i];
        p->gathers |= gathered[i];
    }
done:
    volt_free(gathered);
    volt_free(stride);
    return st;
}

/* Adds the twin of value v as the last unit. */
static void add_twin(volt_program *p, volt_value v)
{
    const volt_value t = p->value_count++;
    volt_node *node = &p->regrids[p->regrid_count++];
    volt_unit *u = &p->units[p->unit_count];
    volt_program_value *twin = &p->values[t], *value = &p->values[v];

    *node = (volt_node){.kind = VOLT_NODE_REGRID,
                        .out = t,
                        .inputs = 1,
                        .in = {v},
                        .in_channels = value->extent[1],
                        .out_channels = value->extent[1],
                        .weight = -1,
                        .bias = -1};
    *u = (volt_unit){.node = node, .inputs = 1, .in = {v}, .out = t, .slope = 1};
    *twin = (volt_program_value){.alias = t,
                                 .unit = p->unit_count++,
                                 .concat = -1,
                                 .needs_gradient = value->needs_gradient,
                                 .gathered = !value->gathered};
    memcpy(twin->extent, value->extent, sizeof twin->extent);
    value->twin = t;
}

/* Which values have a twin: those with a reader that wants them otherwise than they are. */
static void mark_twins(volt_program *p)
{
    for (int i = 0; i < p->value_count; i++)
        p->values[i].twin = -1;
    for (int i = 0; i < p->unit_count; i++) {
        const volt_unit *u = &p->units[i];
        for (int j = 0; j < u->inputs; j++) {
            if (p->values[u->in[j]].gathered != p->values[u->out].gathered)
                p->values[u->in[j]].twin = 0;
        }
    }
    for (int i = 0; i < volt_graph_output_count(p->graph); i++) {
        const volt_value v = p->values[volt_graph_output_value(p->graph, i)].alias;
        if (p->values[v].gathered)
            p->values[v].twin = 0;
    }
}

/* Outputs of gathered values are those of their twins: each rank's own part. */
static void move_outputs(volt_program *p)
{
    for (int i = 0; i < volt_graph_output_count(p->graph); i++) {
        volt_program_value *v = &p->values[volt_graph_output_value(p->graph, i)];
        const volt_value alias = v->alias;

        if (!p->values[alias].gathered)
            continue;
        v->alias = p->values[alias].twin;
        p->values[v->alias].outputs++;
        p->values[alias].outputs--;
    }
}

static void count_readers(volt_program *p)
{
    for (int i = 0; i < p->unit_count; i++)
        p->values[p->units[i].out].consumers = 0;
    for (int i = 0; i < p->unit_count; i++) {
        for (int j = 0; j < p->units[i].inputs; j++)
            p->values[p->units[i].in[j]].consumers++;
    }
}

volt_status volt_program_insert_twins(volt_program *p)
{
    const int count = p->unit_count;
    volt_unit *units = NULL;
    volt_status st = VOLT_OK;

    if (!p->gathers)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_alloc(&units, (size_t)count * sizeof *units, "a program"));
    VOLT_TRY(
        st, done,
        volt_alloc_zero(&p->regrids, (size_t)p->value_count, sizeof *p->regrids, "a program"));
    memcpy(units, p->units, (size_t)count * sizeof *units);
    mark_twins(p);
    p->unit_count = 0;
    for (int i = 0; i < count; i++) {
        volt_unit *u = &p->units[p->unit_count];

        *u = units[i];
        for (int j = 0; j < u->inputs; j++) {
            if (p->values[u->in[j]].gathered != p->values[u->out].gathered)
                u->in[j] = p->values[u->in[j]].twin;
        }
        p->values[u->out].unit = p->unit_count++;
        if (p->values[u->out].twin >= 0)
            add_twin(p, u->out);
    }
    move_outputs(p);
    count_readers(p);
done:
    volt_free(units);
    return st;
}

/* ---- boxes ---- */

/* The first voxel of a value whose label lies at `at` of the input or behind. */
static int64_t first_behind(int64_t at, int64_t extent, int64_t full)
{
    int64_t d = at * extent / full;

    while (d > 0 && (2 * d - 1) * full / (2 * extent) >= at)
        d--;
    while (d < extent && (2 * d + 1) * full / (2 * extent) < at)
        d++;
    return d;
}

volt_box volt_program_own_part(const volt_program *p, const int64_t whole[3])
{
    const int64_t *full = p->options.extent;
    volt_box box;

    for (int a = 0; a < 3; a++) {
        box.low[a] = first_behind(p->options.box.low[a], whole[a], full[a]);
        box.high[a] = first_behind(p->options.box.high[a], whole[a], full[a]);
    }
    return box;
}

/* ---- gradients ---- */

/* Deals the units of gathered levels out to the ranks of the space, each to the one with the
 * least to do so far. `work`: space for a number per rank. */
void volt_program_deal(volt_program *p, double *work)
{
    for (int i = 0; i < p->parts; i++)
        work[i] = 0;
    for (int i = 0; i < p->unit_count; i++) {
        volt_unit *u = &p->units[i];
        const int64_t *e = p->values[u->out].extent;
        int least = 0;

        if (!p->values[u->out].gathered || (u->node->weight < 0 && u->node->bias < 0))
            continue;
        for (int r = 1; r < p->parts; r++)
            least = work[r] < work[least] ? r : least;
        work[least] += (double)(e[0] * e[2] * e[3] * e[4]) *
                       (double)volt_graph_param(p->graph, u->node->weight < 0 ? u->node->bias
                                                                              : u->node->weight)
                           ->count;
        u->dealt = least != volt_comm_rank(p->space);
    }
}
