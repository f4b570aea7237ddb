// The sandbox of volt-itk: what the helper was given can be read, nothing else can be done.
#include "io/itk/sandbox.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace
{
int failures;

void require(bool good, const char *what)
{
    if (good)
        return;
    std::fprintf(stderr, "failed: %s (%s)\n", what, std::strerror(errno));
    failures++;
}

void write_file(const char *name, const char *text)
{
    std::ofstream(name) << text;
}

std::string read_stream(const char *name)
{
    std::ifstream file(name);
    std::string text;
    std::getline(file, text);
    return text;
}

std::string read_stdio(const char *name)
{
    char text[32] = "";
    std::FILE *file = std::fopen(name, "rb");
    if (!file)
        return "";
    if (!std::fgets(text, sizeof text, file))
        text[0] = '\0';
    std::fclose(file);
    return text;
}

void given_files_are_read()
{
    struct stat info;
    for (int i = 0; i < 10; i++) {
        require(read_stream("given.txt") == "given", "a stream of a given file");
        require(read_stdio("./given.txt") == "given", "stdio of a given file");
    }
    std::ifstream first("given.txt"), second("given.txt");
    std::string a, b;
    std::getline(first, a);
    std::getline(second, b);
    require(a == "given" && b == "given", "two streams of a given file");
    require(stat("given.txt", &info) == 0 && info.st_size == 5, "stat of a given file");
    require(access("given.txt", R_OK) == 0, "access of a given file");
    require(access("given.txt", W_OK) != 0, "a given file cannot be written");
    require(open("given.txt", O_RDWR) < 0, "a given file is not opened for writing");
    require(open("given.txt", O_RDONLY | O_CREAT | O_TRUNC, 0666) >= 0,
            "creating opens what is there");
    require(read_stdio("given.txt") == "given", "and truncates nothing");
}

void nothing_else_is_done(const std::vector<const char *> &paths)
{
    struct stat info;
    char *const argv[] = {const_cast<char *>("/bin/true"), nullptr};
    for (const char *path : paths) {
        require(open(path, O_RDONLY) < 0, path);
        require(read_stream(path).empty(), path);
        require(stat(path, &info) != 0, path);
    }
    require(open("new.txt", O_WRONLY | O_CREAT, 0666) < 0, "creating a file");
    require(open(".", O_RDONLY | O_DIRECTORY) < 0, "opening a folder");
    require(socket(AF_INET, SOCK_STREAM, 0) < 0, "a socket");
    require(socket(AF_UNIX, SOCK_STREAM, 0) < 0, "a local socket");
    require(fork() < 0, "a process");
    require(execv("/bin/true", argv) < 0, "another program");
    require(kill(getppid(), 0) != 0, "a signal");
    require(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) < 0, "tracing");
    require(unlink("given.txt") != 0, "removing a file");
    require(rename("given.txt", "else.txt") != 0, "renaming a file");
    require(chmod("given.txt", 0) != 0, "changing a mode");
    require(mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                MAP_FAILED,
            "new code");
}

[[maybe_unused]] void limits_hold() // not with sanitizers, which take their own memory
{
    struct rlimit memory;
    require(std::calloc(std::size_t(200) << 20, 1) == nullptr, "more memory than allowed");
    void *small = std::calloc(std::size_t(10) << 20, 1);
    require(small != nullptr, "less memory than allowed");
    std::free(small);
    volt_sandbox_limit_memory(std::uint64_t(1) << 40, std::uint64_t(1) << 40);
    require(getrlimit(RLIMIT_AS, &memory) == 0 && memory.rlim_cur < std::uint64_t(1) << 30,
            "the limit of memory stays");
    volt_sandbox_limit_memory(std::uint64_t(90) << 20, std::uint64_t(1) << 40);
    small = std::calloc(std::size_t(80) << 20, 1);
    require(small != nullptr, "memory within the last limit");
    std::free(small);
}
} // namespace

int main()
{
    unlink("link.txt");
    write_file("given.txt", "given");
    write_file("other.txt", "other");
    require(symlink("other.txt", "link.txt") == 0, "a link");
    require(volt_sandbox_allow_reading("given.txt", true) == 0, "opening a file");
    require(volt_sandbox_allow_reading("link.txt", false) == ELOOP, "a link is not followed");
    require(volt_sandbox_allow_reading(".", false) == EINVAL, "a folder is no file");
    require(volt_sandbox_allow_reading("missing.txt", false) == ENOENT, "a missing file");
    volt_sandbox_limit_memory(std::uint64_t(64) << 20, std::uint64_t(100) << 20);
    volt_sandbox_limit_files(0);
    const unsigned entered = volt_sandbox_enter();
    if (!(entered & VOLT_SANDBOX_SECCOMP)) {
        std::printf("skipped: this system or build has no seccomp\n");
        return 77;
    }
    given_files_are_read();
    nothing_else_is_done({"other.txt", "link.txt", "/etc/passwd", "/proc/self/environ",
                          "../../../CMakeCache.txt", "/dev/zero"});
#ifndef __SANITIZE_ADDRESS__
    limits_hold();
#endif
    return failures != 0;
}
