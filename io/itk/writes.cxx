// Calls of libc that ITK's libraries make to write their files, with the reason of the first
// failure kept. The definitions of a program come before those of libc.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "io/itk/writes.h"

#include <cerrno>
#include <cstdio>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace
{
using close_call = int (*)(FILE *);
using write_call = std::size_t (*)(const void *, std::size_t, std::size_t, FILE *);
close_call real_fclose = nullptr;
write_call real_fwrite = nullptr;
int first = 0; // errno

template <typename Call> void find(Call &call, const char *name)
{
    if (!call)
        call = reinterpret_cast<Call>(dlsym(RTLD_NEXT, name));
}

template <typename Result> Result noted(Result result)
{
    if (result < 0 && errno != EINTR && errno != EAGAIN && first == 0)
        first = errno;
    return result;
}
} // namespace

void volt_writes_watch(void)
{
    find(real_fclose, "fclose");
    find(real_fwrite, "fwrite");
    first = 0;
}

int volt_writes_error(void)
{
    return first;
}

extern "C" {
ssize_t write(int fd, const void *bytes, size_t count)
{
    return noted(static_cast<ssize_t>(syscall(SYS_write, fd, bytes, count)));
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return noted(static_cast<ssize_t>(syscall(SYS_writev, fd, parts, count)));
}

size_t fwrite(const void *bytes, size_t size, size_t count, FILE *file)
{
    find(real_fwrite, "fwrite");
    const size_t written = real_fwrite(bytes, size, count, file);
    if (written < count)
        noted(-1);
    return written;
}

int fclose(FILE *file)
{
    find(real_fclose, "fclose");
    noted(std::fflush(file)); // fclose() reports this, too, but nobody listens
    return noted(real_fclose(file));
}
}
