/* sandbox.h - what volt-itk may do after it has opened its files: compute, and talk to volt.
 *
 * The helper opens the files it was given, then gives up everything else: limits of memory,
 * time, file sizes and processes, no new privileges, landlock (no file but the given ones), and
 * a seccomp filter (no sockets, no programs, no processes, no files). Libraries still call
 * open() and stat(): the filter turns these into signals, and the handler answers with the
 * descriptors opened before, by the last part of the path.
 *
 * Threads   for processes of one thread.
 */
#ifndef VOLT_IO_ITK_SANDBOX_H
#define VOLT_IO_ITK_SANDBOX_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

/* Opens `path` for reading, to be found by its last part. The file that was given: a link to it
 * is followed, and it can be read in several places at once. Others: neither. Returns an errno,
 * ELOOP for a link, EINVAL for what is no regular file. */
int volt_sandbox_allow_reading(const char *path, bool given);
/* Creates `path`, a new file, for writing. Returns an errno. */
int volt_sandbox_allow_writing(const char *path);

/* Bytes of address space besides what is in use now: `soft` for the time being, at most `hard`.
 */
void volt_sandbox_limit_memory(uint64_t soft, uint64_t hard);
void volt_sandbox_limit_seconds(uint64_t cpu);
/* The largest file that may be written; 0: none. */
void volt_sandbox_limit_files(uint64_t bytes);

/* What the system has: bits of volt_sandbox_enter()'s result, and of a message (protocol.h). */
enum { VOLT_SANDBOX_LANDLOCK = 1, VOLT_SANDBOX_SECCOMP = 2 };
/* Enters it, for good. */
unsigned volt_sandbox_enter(void);

VOLT_END_DECLS
#endif
