/* walk.h - division of an operand into tasks: voxels of one channel block. Where operands have
 * margins, a task consists of runs that have no gap in any of them; else it is one run. */
#ifndef VOLT_NETS3D_CPU_WALK_H
#define VOLT_NETS3D_CPU_WALK_H
#include "nets3d/cpu/cpu.h"

/* Voxels [first, first + count) of channel block `cb` of sample `n`. */
typedef struct cpu_task {
    int64_t n, cb, chunk, first, count;
} cpu_task;

static inline int64_t cpu_chunks(const cpu_view *v)
{
    return (v->voxels + CPU_CHUNK - 1) / CPU_CHUNK;
}

static inline int64_t cpu_tasks(const cpu_view *v)
{
    return v->n * v->blocks * cpu_chunks(v);
}

static inline cpu_task cpu_task_at(const cpu_view *v, int64_t i)
{
    const int64_t chunks = cpu_chunks(v);
    cpu_task t;

    t.chunk = i % chunks;
    t.cb = i / chunks % v->blocks;
    t.n = i / chunks / v->blocks;
    t.first = t.chunk * CPU_CHUNK;
    t.count = v->voxels - t.first < CPU_CHUNK ? v->voxels - t.first : CPU_CHUNK;
    return t;
}

/* The first run of task `t`, and the one behind run `r` of it; count 0: there is none. */
static inline cpu_task cpu_run_from(const volt_op *op, cpu_task t, int64_t first)
{
    const int64_t end = t.first + t.count, left = op->run_voxels - first % op->run_voxels;

    t.count = end - first < left ? end - first : left;
    t.first = first;
    return t;
}

static inline cpu_task cpu_first_run(const volt_op *op, cpu_task t)
{
    return cpu_run_from(op, t, t.first);
}

static inline cpu_task cpu_next_run(const volt_op *op, cpu_task t, cpu_task r)
{
    return cpu_run_from(op, t, r.first + r.count);
}

/* The runs `r` of task `t`. */
#define CPU_FOR_RUNS(op, t, r)                                                                 \
    for (cpu_task r = cpu_first_run(op, t); r.count; r = cpu_next_run(op, t, r))

/* Elements between the first voxel of a box and voxel `v` of it, in a channel block; `lanes`:
 * elements of a voxel. */
static inline int64_t cpu_voxel(const cpu_view *view, int64_t v, int64_t lanes)
{
    if (view->run == view->voxels)
        return v * lanes;
    return v / view->w / view->h * view->plane_stride +
           v / view->w % view->h * view->row_stride + v % view->w * lanes;
}

/* First element of channel block `cb` of sample `n`. */
static inline int64_t cpu_at(const cpu_view *v, int64_t n, int64_t cb)
{
    return v->offset + n * v->sample_stride + cb * v->block_stride;
}

#endif
