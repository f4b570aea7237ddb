#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "apps/cli/cli.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "base/version.h"

static atomic_bool ended_in_order;

static void print_error(volt_status st)
{
    const char *sentence = volt_last_error();

    fprintf(stderr, "volt: %s\n", *sentence ? sentence : volt_status_text(st));
}

static int finish(volt_status st)
{
    const bool flushed = fflush(stdout) == 0;
    const char *why = flushed ? "not everything could be written" : strerror(errno);

    if (st == VOLT_OK && (!flushed || ferror(stdout)))
        st = volt_fail(VOLT_EIO, "standard output: %s", why);
    if (fclose(stdout) != 0 && st == VOLT_OK)
        st = volt_fail(VOLT_EIO, "standard output: %s", strerror(errno));
    if (st != VOLT_OK)
        print_error(st);
    atomic_store(&ended_in_order, true);
    return (int)st;
}

/* The library says what is wrong, the command what helps. */
static volt_status add_remedy(const cli *c, volt_status st)
{
    char sentence[2048], remedy[CLI_REMEDY_ROOM];

    if (st == VOLT_OK || !*cli_remedy(remedy, c, volt_last_error()))
        return st;
    snprintf(sentence, sizeof sentence, "%s", volt_last_error());
    return volt_fail(st, "%s%s", sentence, remedy);
}

/* Only OpenMP's runtime calls exit() elsewhere: where the system refuses it memory or a thread.
 * cli_need_threads() looks for both beforehand; limits may still change in between. */
static void on_exit_elsewhere(void)
{
    static const char sentence[] = "volt: the system refused memory or a thread to OpenMP; use "
                                   "fewer threads (--threads)\n";

    if (atomic_load(&ended_in_order))
        return;
    (void)!write(STDERR_FILENO, sentence, sizeof sentence - 1);
    _exit(VOLT_ENOMEM);
}

/* A standard stream that is closed gets its number back: the next file opened would become it,
 * and messages would go into that file. Writing to the stand-in fails, as it should. */
static void open_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY); /* the lowest free one */
    }
}

/* A file that reaches its limit and a reader that has gone become errors of write(). */
static void ignore_signals_of_write(void)
{
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

#define STACK_BYTES ((size_t)1 << 20) /* more than any command's calls use */

/* From the top down, as calls do. */
__attribute__((noinline)) static void touch_stack(void)
{
    volatile char room[STACK_BYTES];

    for (size_t at = sizeof room; at >= 1024; at -= 1024)
        room[at - 1] = 0;
}

/* The kernel ends a process by SIGSEGV if its stack has to grow and RLIMIT_AS is reached; so
 * the stack grows before anything else takes memory. And malloc() would take 64 MiB of
 * addresses for each thread. */
static volt_status prepare_for_limit(void)
{
    struct rlimit memory, stack;
    void *probe;

    if (getrlimit(RLIMIT_AS, &memory) != 0 || memory.rlim_cur == RLIM_INFINITY)
        return VOLT_OK;
#ifdef __GLIBC__
    (void)mallopt(M_ARENA_MAX, 1);
#endif
    if (getrlimit(RLIMIT_STACK, &stack) != 0 || stack.rlim_cur < 2 * STACK_BYTES)
        return VOLT_OK; /* it cannot grow that far */
    probe = mmap(NULL, STACK_BYTES + STACK_BYTES / 4, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe == MAP_FAILED)
        return volt_fail(VOLT_ENOMEM, "no memory for the stack");
    munmap(probe, STACK_BYTES + STACK_BYTES / 4);
    touch_stack();
    return VOLT_OK;
}

/* More threads than processors only take turns. */
static void warn_of_threads(const cli *c)
{
    const int processors = volt_default_threads();

    if (c->threads > processors)
        fprintf(stderr, "volt: warning: --threads %lld: this process may use %d processor%s\n",
                (long long)c->threads, processors, volt_s(processors));
}

/* A command of several processes that has failed ends all of them; what one of them says is the
 * last that is seen. */
static void end_together(const cli *c, volt_status st)
{
    if (!c->comm || st == VOLT_OK)
        return;
    (void)fflush(stdout);
    if (!c->silent)
        print_error(st);
    atomic_store(&ended_in_order, true);
    volt_comm_abort(c->comm, st);
}

/* Another process is gone, and this one does not come to notice. May run in a forked child,
 * where nobody unlocks what other threads had locked: no stdio. */
static void on_lost(void *user, volt_status st, const char *sentence)
{
    const cli *c = user;
    char line[1200];
    const int length = snprintf(line, sizeof line, "%svolt: %.1100s\n",
                                c->progress.shown ? "\n" : "", sentence);

    (void)!write(STDERR_FILENO, line, (size_t)length);
    atomic_store(&ended_in_order, true);
    volt_comm_abort(c->comm, st);
}

static volt_status run(int count, char **argv)
{
    const cli_command *command = NULL;
    cli c = {0};
    int words = 0;
    bool alike = true, speaks;
    volt_status st;

    VOLT_TRY(st, done, cli_find_command(&command, &words, count, argv));
    VOLT_TRY(st, done, cli_parse(&c, command, count - words, argv + words));
    if (c.help) {
        cli_print_help(command);
        goto done;
    }
    if (command->common & CLI_RANKS)
        VOLT_TRY(st, done, cli_open_ranks(&c, count, argv));
    else
        VOLT_TRY(st, done, cli_need_one_process(count, argv));
    alike = false;
    if (cli_leads(&c))
        warn_of_threads(&c);
    volt_comm_watch(c.comm, on_lost, &c);
    cli_watch(&c);
    st = cli_need_threads(&c);
    if (st == VOLT_OK)
        st = volt_comm_same(c.comm, "their commands", command->name, strlen(command->name));
    if (st == VOLT_OK)
        st = command->run(&c);
    st = cli_conclude(&c, st);
    st = add_remedy(&c, st);
    cli_end_progress(&c);
    end_together(&c, st);
done:
    if (alike) /* in all processes: the launcher ends the others once one has said it */
        st = volt_comm_conclude(NULL, st, &speaks);
    volt_comm_close(c.comm);
    cli_free(&c);
    return st;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* Idle threads must sleep, not spin: on a machine where anything else runs, a spinning thread
 * takes the processor from the one it waits for (short parallel loops became a thousand times
 * slower). OpenMP reads its policy before main() and has no call to set it, so the command
 * replaces itself with a new instance whose environment says so; only the command does this,
 * never the library. 'volt help environment' documents it. */
static void let_waiting_threads_sleep(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT"))
        return;
    if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0)
        (void)execv("/proc/self/exe", argv); /* where that fails, go on as we are */
}

int main(int argc, char **argv)
{
    int count = argc - 1;
    char **words = argv + 1;
    volt_status st;

    open_standard_streams();
    ignore_signals_of_write();
    let_waiting_threads_sleep(argv);
    (void)prctl(PR_SET_NAME, "volt"); /* the new instance would be listed as "exe" */
    atexit(on_exit_elsewhere);
    st = prepare_for_limit();
    if (st != VOLT_OK)
        return finish(st);
    if (count == 0)
        return finish(
            volt_fail(VOLT_EINVAL, "no command given; 'volt --help' lists all commands"));
    if (strcmp(words[0], "--version") == 0) {
        printf("volt %s\n", volt_version());
        return finish(VOLT_OK);
    }
    if (is_help(words[0]))
        return finish(cli_help(count - 1, words + 1));
    if (count == 2 && cli_is_group(words[0]) && is_help(words[1]))
        return finish(cli_help(1, words));
    return finish(run(count, words));
}
