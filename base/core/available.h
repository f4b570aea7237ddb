/* available.h - compares what a call will need with the memory that is available
 * (volt_mem_available() in base/mem.h).
 *
 * Use       a call that can compute its peak from its arguments, or from headers of files,
 *           checks it before it allocates, starts threads or creates files. volt_alloc() checks
 *           large single blocks itself, because the kernel grants blocks that it cannot fill.
 * Threads   all calls are thread-safe.
 */
#ifndef VOLT_BASE_CORE_AVAILABLE_H
#define VOLT_BASE_CORE_AVAILABLE_H
#include "base/mem.h"
VOLT_BEGIN_DECLS

/* VOLT_ENOMEM if `bytes` more are not available. `what` begins the sentence: "a sample of
 * 8 x 8 x 8 voxels" gives "a sample of 8 x 8 x 8 voxels: this needs 2.0 GiB of memory, but only
 * 512 MiB is available". */
VOLT_MUST_USE volt_status volt_mem_check(size_t bytes, const char *what);

#define VOLT_MEM_WORDS 32
/* Writes a number of bytes as "1.5 MiB", "20 MiB" or "3.2 GiB"; returns `out`. */
const char *volt_mem_words(char out[VOLT_MEM_WORDS], size_t bytes);

/* The least limit, and the least memory left, of the control groups (version 1 or 2) that the
 * file `groups` lists (/proc/self/cgroup), with those above them, below the folder `root`
 * (/sys/fs/cgroup). SIZE_MAX if there is no limit. */
void volt_cgroup_memory(const char *groups, const char *root, size_t *limit, size_t *left);

VOLT_END_DECLS
#endif
