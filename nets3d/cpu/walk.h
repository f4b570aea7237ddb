/* walk.h - division of an operand into tasks: runs of voxels of one channel block. */
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

/* First element of channel block `cb` of sample `n`. */
static inline int64_t cpu_at(const cpu_view *v, int64_t n, int64_t cb)
{
    return v->offset + n * v->sample_stride + cb * v->block_stride;
}

#endif
