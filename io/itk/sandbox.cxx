#include "io/itk/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#ifdef VOLT_HAVE_SECCOMP
#include <seccomp.h>
#endif

// What sanitizers map is no limit's business, and a search for leaks would need another
// process.
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define VOLT_SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                     \
    __has_feature(memory_sanitizer)
#define VOLT_SANITIZED 1
#endif
#endif
#ifdef VOLT_SANITIZED
extern "C" const char *__asan_default_options();
extern "C" const char *__asan_default_options()
{
    return "detect_leaks=0";
}
#endif

namespace
{
// A file that was opened before.
struct File {
    std::string name;             // the last part of its path
    std::vector<int> descriptors; // of independent positions
    std::size_t next = 0;
    bool writing = false;
};
std::vector<File> files;

constexpr int positions = 4; // a reader may open a header again while it reads it

std::string last_part(const std::string &path)
{
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
}

// -- Landlock --------------------------------------------------------------------------------

// Nothing in the file system but reading and writing the files that are open already.
bool enter_landlock()
{
#ifdef SYS_landlock_create_ruleset
    struct landlock_ruleset_attr rules;
    std::memset(&rules, 0, sizeof rules);
    rules.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; // of its first version
    const int set = static_cast<int>(
        syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules.handled_access_fs), 0));
    if (set < 0)
        return false;
    bool good = true;
    for (const File &f : files) {
        struct landlock_path_beneath_attr rule;
        std::memset(&rule, 0, sizeof rule);
        rule.parent_fd = f.descriptors[0];
        rule.allowed_access =
            LANDLOCK_ACCESS_FS_READ_FILE | (f.writing ? LANDLOCK_ACCESS_FS_WRITE_FILE : 0);
        good = good &&
               syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    }
    good = good && syscall(SYS_landlock_restrict_self, set, 0) == 0;
    close(set);
    return good;
#else
    return false;
#endif
}

// -- Answering system calls ------------------------------------------------------------------

#if defined VOLT_HAVE_SECCOMP && (defined __x86_64__ || defined __aarch64__)
#define VOLT_USE_SECCOMP 1

File *find(const char *path)
{
    const char *slash = std::strrchr(path, '/');
    for (File &f : files) {
        if (f.name == (slash ? slash + 1 : path))
            return &f;
    }
    return nullptr;
}

long answer_open(const char *path, int flags)
{
    File *f = find(path);
    if (!f)
        return -EACCES;
    if ((flags & O_ACCMODE) != O_RDONLY && !f->writing)
        return -EACCES;
    const int from = f->descriptors[f->next++ % f->descriptors.size()];
    const int fd = fcntl(from, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return -errno;
    if ((flags & O_TRUNC) && f->writing && ftruncate(fd, 0) != 0) {
        const long why = errno;
        close(fd);
        return -why;
    }
    lseek(fd, 0, flags & O_APPEND ? SEEK_END : SEEK_SET);
    return fd;
}

long answer_stat(int folder, const char *path, void *to, int flags)
{
    const File *f = *path ? find(path) : nullptr;
    if (!*path && !(flags & AT_EMPTY_PATH))
        return -ENOENT;
    if (*path && !f)
        return -ENOENT;
    const long done = syscall(SYS_fstat, f ? f->descriptors[0] : folder, to);
    return done < 0 ? -errno : done;
}

long answer_access(const char *path, int mode)
{
    const File *f = find(path);
    if (!f)
        return -ENOENT;
    return (mode & X_OK) || ((mode & W_OK) && !f->writing) ? -EACCES : 0;
}

long answer(int number, const unsigned long long *a)
{
    const auto text = [a](int i) { return reinterpret_cast<const char *>(a[i]); };
    switch (number) {
#ifdef SYS_open
    case SYS_open:
        return answer_open(text(0), static_cast<int>(a[1]));
    case SYS_stat:
    case SYS_lstat:
        return answer_stat(-1, text(0), reinterpret_cast<void *>(a[1]), 0);
    case SYS_access:
        return answer_access(text(0), static_cast<int>(a[1]));
#endif
    case SYS_openat:
        return answer_open(text(1), static_cast<int>(a[2]));
    case SYS_newfstatat:
        return answer_stat(static_cast<int>(a[0]), text(1), reinterpret_cast<void *>(a[2]),
                           static_cast<int>(a[3]));
    case SYS_faccessat:
        return answer_access(text(1), static_cast<int>(a[2]));
    default:
        return -EPERM;
    }
}

void on_call(int, siginfo_t *info, void *context)
{
    const int before = errno;
    auto *registers = &static_cast<ucontext_t *>(context)->uc_mcontext;
#ifdef __x86_64__
    auto *g = registers->gregs;
    const unsigned long long a[4] = {static_cast<unsigned long long>(g[REG_RDI]),
                                     static_cast<unsigned long long>(g[REG_RSI]),
                                     static_cast<unsigned long long>(g[REG_RDX]),
                                     static_cast<unsigned long long>(g[REG_R10])};
    g[REG_RAX] = answer(info->si_syscall, a);
#else
    auto *g = registers->regs;
    const unsigned long long a[4] = {g[0], g[1], g[2], g[3]};
    g[0] = static_cast<unsigned long long>(answer(info->si_syscall, a));
#endif
    errno = before;
}

// -- The filter ------------------------------------------------------------------------------

const int allowed[] = {SCMP_SYS(read),
                       SCMP_SYS(write),
                       SCMP_SYS(readv),
                       SCMP_SYS(writev),
                       SCMP_SYS(pread64),
                       SCMP_SYS(pwrite64),
                       SCMP_SYS(lseek),
                       SCMP_SYS(close),
                       SCMP_SYS(fstat),
                       SCMP_SYS(munmap),
                       SCMP_SYS(mremap),
                       SCMP_SYS(brk),
                       SCMP_SYS(madvise),
                       SCMP_SYS(sendto),
                       SCMP_SYS(recvfrom),
                       SCMP_SYS(poll),
                       SCMP_SYS(ppoll),
                       SCMP_SYS(exit),
                       SCMP_SYS(exit_group),
                       SCMP_SYS(rt_sigreturn),
                       SCMP_SYS(rt_sigprocmask),
                       SCMP_SYS(rt_sigaction),
                       SCMP_SYS(futex),
                       SCMP_SYS(clock_gettime),
                       SCMP_SYS(gettimeofday),
                       SCMP_SYS(time),
                       SCMP_SYS(getrandom),
                       SCMP_SYS(gettid),
                       SCMP_SYS(getpid),
                       SCMP_SYS(sched_yield),
                       SCMP_SYS(sched_getaffinity),
                       SCMP_SYS(sysinfo),
                       SCMP_SYS(uname),
                       SCMP_SYS(fcntl),
                       SCMP_SYS(ftruncate),
                       SCMP_SYS(fsync),
                       SCMP_SYS(fdatasync),
                       SCMP_SYS(getcwd),
                       SCMP_SYS(restart_syscall),
                       SCMP_SYS(getrusage),
                       SCMP_SYS(nanosleep),
                       SCMP_SYS(clock_nanosleep)};

// Calls that on_call answers.
const int answered[] = {SCMP_SYS(open),     SCMP_SYS(openat), SCMP_SYS(stat),
                        SCMP_SYS(lstat),    SCMP_SYS(access), SCMP_SYS(newfstatat),
                        SCMP_SYS(faccessat)};

bool add_rules(scmp_filter_ctx filter)
{
    const auto pid = static_cast<scmp_datum_t>(getpid());
    bool good = true;
    for (const int call : allowed)
        good = good && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
    for (const int call : answered)
        good = good && seccomp_rule_add(filter, SCMP_ACT_TRAP, call, 0) == 0;
    // Memory, but no new code; own limits, but nobody else's; abort(), but no other signals.
    for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
        good = good && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                                        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
    good = good &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                            SCMP_A0(SCMP_CMP_EQ, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0(SCMP_CMP_EQ, pid)) == 0;
    return good;
}

bool enter_seccomp()
{
    struct sigaction action;
    std::memset(&action, 0, sizeof action);
    action.sa_sigaction = on_call;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    if (sigaction(SIGSYS, &action, nullptr) != 0)
        return false;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    const bool good = filter && add_rules(filter) && seccomp_load(filter) == 0;
    if (filter)
        seccomp_release(filter);
    return good;
}
#endif

void limit(int what, rlim_t soft, rlim_t hard)
{
    struct rlimit now;
    if (getrlimit(static_cast<__rlimit_resource>(what), &now) != 0)
        return;
    now.rlim_max = std::min(hard, now.rlim_max);
    now.rlim_cur = std::min(soft, now.rlim_max);
    setrlimit(static_cast<__rlimit_resource>(what), &now);
}
int add(const std::string &path, int flags, int copies, bool writing)
{
    File f;
    struct stat info;
    f.name = last_part(path);
    limit(RLIMIT_NOFILE, RLIM_INFINITY, RLIM_INFINITY); // lists of slices are long
    f.writing = writing;
    for (int i = 0; i < copies; i++) {
        const int fd = open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0666);
        if (fd < 0)
            return i > 0 ? 0 : errno;
        f.descriptors.push_back(fd);
        if (i == 0 && (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)))
            return EINVAL;
        if (i == 0)
            files.push_back(f);
        else
            files.back().descriptors.push_back(fd);
    }
    return 0;
}

} // namespace

int volt_sandbox_allow_reading(const char *path, bool given)
{
    return add(path, O_RDONLY | (given ? 0 : O_NOFOLLOW), given ? positions : 1, false);
}

int volt_sandbox_allow_writing(const char *path)
{
    return add(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 1, true);
}

void volt_sandbox_limit_memory(uint64_t soft, uint64_t hard)
{
#ifndef VOLT_SANITIZED
    static std::uint64_t in_use; // bytes of address space before the limits
    const std::uint64_t most = std::uint64_t(1) << 60; // no sum overflows
    if (in_use == 0) {
        unsigned long pages = 0;
        std::FILE *file = std::fopen("/proc/self/statm", "r");
        if (!file || std::fscanf(file, "%lu", &pages) != 1)
            pages = (std::uint64_t(1) << 30) / 4096;
        if (file)
            std::fclose(file);
        in_use = std::uint64_t(pages) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    }
    limit(RLIMIT_AS, in_use + std::min(soft, most), in_use + std::min(hard, most));
#else
    (void)soft;
    (void)hard;
#endif
}

void volt_sandbox_limit_seconds(uint64_t cpu)
{
    limit(RLIMIT_CPU, cpu, cpu);
}

void volt_sandbox_limit_files(uint64_t bytes)
{
    std::signal(SIGXFSZ, SIG_IGN); // the writer reports EFBIG
    limit(RLIMIT_FSIZE, bytes, bytes);
}

unsigned volt_sandbox_enter(void)
{
    unsigned entered = 0;
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_NPROC, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return 0;
    if (enter_landlock())
        entered |= VOLT_SANDBOX_LANDLOCK;
#ifdef VOLT_USE_SECCOMP
    if (enter_seccomp())
        entered |= VOLT_SANDBOX_SECCOMP;
#endif
    return entered;
}
