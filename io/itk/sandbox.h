// sandbox.h - what volt-itk may do after it has opened its files: compute, and talk to volt.
//
// The helper opens the files it was given, then gives up everything else: limits of memory,
// time, file sizes and processes, no new privileges, landlock (no file but the given ones), and
// a seccomp filter (no sockets, no programs, no processes, no files). Libraries still call
// open() and stat(): the filter turns these into signals, and the handler answers with the
// descriptors opened before, by the last part of the path. Not for threads: the process has
// one.
#ifndef VOLT_IO_ITK_SANDBOX_H
#define VOLT_IO_ITK_SANDBOX_H
#include <cstdint>
#include <string>

namespace sandbox
{
// Opens `path` for reading, to be found by its last part. The file that was given: a link to it
// is followed, and it can be read in several places at once. Others: neither.
// Returns an errno, ELOOP for a link, EINVAL for what is no regular file.
int allow_reading(const std::string &path, bool given);
// Creates `path`, a new file, for writing. Returns an errno.
int allow_writing(const std::string &path);

// Bytes of address space besides what is in use now: `soft` for the time being, at most `hard`.
void limit_memory(std::uint64_t soft, std::uint64_t hard);
void limit_seconds(std::uint64_t cpu);
// The largest file that may be written; 0: none.
void limit_files(std::uint64_t bytes);

enum : unsigned { Landlock = 1, Seccomp = 2 };
// Enters it, for good. Returns what the system has of both.
unsigned enter();
} // namespace sandbox

#endif
