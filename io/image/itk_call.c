#define _GNU_SOURCE
#include "io/image/itk_call.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/system/file.h"
#include "base/system/own_folder.h"
#include "base/core/alloc.h"
#include "io/image/names.h"

#define HELPER "volt-itk"

struct volt_itk_call {
    pid_t pid; /* 0: waited for already */
    int socket;
    int timeout_s;
    bool writing;
    char *path; /* for messages */
};

/* -- Starting ----------------------------------------------------------------------------- */

/* Where installing and building leave it, seen from volt_own_folder(), so that a whole
 * installation can move. */
static const char *const places[] = {HELPER, VOLT_ITK_FROM_BIN, VOLT_ITK_FROM_LIB};

/* FOLDER/NAME when that can be run, else *out is NULL. */
static volt_status try_helper(char **out, const char *folder, const char *name)
{
    char *path = NULL;
    volt_status st = volt_format(&path, "%s/%s", folder, name);

    *out = NULL;
    if (st == VOLT_OK && access(path, X_OK) == 0) {
        *out = path;
        path = NULL;
    }
    volt_free(path);
    return st;
}

/* An absolute path; *out is NULL if it is not found. Neither PATH nor the current folder is
 * searched: what lies there may be somebody else's. */
static volt_status find_helper(char **out, const char *file)
{
    const char *named = getenv("VOLT_ITK");
    char *own = NULL;
    volt_status st;

    *out = NULL;
    if (named && *named && *named != '/')
        return volt_fail(VOLT_EINVAL, "%s: VOLT_ITK is \"%s\"; an absolute path is expected",
                         file, named);
    if (named && *named)
        return volt_strdup(out, named);
    VOLT_TRY(st, done, volt_own_folder(&own));
    for (size_t i = 0; own && !*out && i < sizeof places / sizeof places[0]; i++)
        VOLT_TRY(st, done, try_helper(out, own, places[i]));
done:
    volt_free(own);
    return st;
}

static int timeout_seconds(void)
{
    const char *text = getenv("VOLT_ITK_TIMEOUT");
    const long seconds = text ? strtol(text, NULL, 10) : 0;

    return seconds >= 1 && seconds <= 86400 ? (int)seconds : 300;
}

/* The helper's arguments. `numbers` holds the texts of two of them. The caller owns *out. */
static volt_status make_arguments(char ***out, char numbers[2][24], const char *verb,
                                  const char *file, const volt_names *voxels, int seconds)
{
    const size_t count = voxels ? voxels->count : 0;
    char **argv = NULL;
    const volt_status st = volt_alloc_zero(&argv, count + 6, sizeof *argv, "arguments");

    if (st != VOLT_OK)
        return st;
    snprintf(numbers[0], sizeof numbers[0], "%zu", volt_mem_available());
    snprintf(numbers[1], sizeof numbers[1], "%d", seconds);
    argv[0] = (char *)HELPER;
    argv[1] = (char *)verb;
    argv[2] = numbers[0];
    argv[3] = numbers[1];
    argv[4] = (char *)file;
    for (size_t i = 0; i < count; i++)
        argv[5 + i] = voxels->name[i];
    *out = argv;
    return VOLT_OK;
}

/* The socket is its standard input and only open file; SIGINT stays blocked. Nothing of the
 * environment reaches it: the loader takes libraries from the paths in the program alone.
 * Returns an errno. */
static int spawn(pid_t *pid, const char *helper, char *const *argv, int socket)
{
    char *const envp[] = {(char *)"LC_ALL=C", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t mask;
    int bad;

    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    if ((bad = posix_spawn_file_actions_init(&actions)) != 0)
        return bad;
    if ((bad = posix_spawnattr_init(&attributes)) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return bad;
    }
    bad |= posix_spawn_file_actions_adddup2(&actions, socket, 0);
    bad |= posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    bad |= posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    bad |= posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    bad |= posix_spawnattr_setsigmask(&attributes, &mask);
    bad |= posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (!bad)
        bad = posix_spawn(pid, helper, &actions, &attributes, argv, envp);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return bad;
}

volt_status volt_itk_start(volt_itk_call **out, const char *verb, const char *file,
                           const volt_names *voxels, const char *path)
{
    volt_itk_call *call = NULL;
    char *helper = NULL, **argv = NULL, numbers[2][24];
    int ends[2] = {-1, -1}, bad;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&call, 1, sizeof *call, "a helper's state"));
    call->socket = -1;
    call->timeout_s = timeout_seconds();
    call->writing = strcmp(verb, "write") == 0;
    VOLT_TRY(st, done, volt_strdup(&call->path, path));
    VOLT_TRY(st, done, find_helper(&helper, path));
    if (!helper) {
        st = volt_fail(VOLT_ENOTSUP,
                       "%s: %s files need the program " HELPER ", which is not "
                       "installed; install the package volt-itk, or libinsighttoolkit5-dev and "
                       "build VOLT again",
                       path, volt_image_ending(path));
        goto done;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        st = volt_fail(VOLT_EIO, "%s: no socket for " HELPER ": %s", path, strerror(errno));
        goto done;
    }
    call->socket = ends[0];
    st = make_arguments(&argv, numbers, verb, file, voxels, call->timeout_s);
    if (st != VOLT_OK) {
        close(ends[1]);
        goto done;
    }
    bad = spawn(&call->pid, helper, argv, ends[1]);
    close(ends[1]);
    if (bad) {
        call->pid = 0;
        st = volt_fail(VOLT_ENOTSUP, "%s: cannot start %s: %s", path, helper, strerror(bad));
        goto done;
    }
    *out = call;
    call = NULL;
done:
    volt_free(argv);
    volt_free(helper);
    volt_itk_abort(&call);
    return st;
}

/* -- Ending ------------------------------------------------------------------------------- */

/* Waits for the helper, which closed its end, or kills it. Returns waitpid's status; -1:
 * unknown. */
static int reap(volt_itk_call *call, bool kill_it)
{
    const struct timespec nap = {.tv_nsec = 1000000};
    const double end = volt_seconds() + call->timeout_s;
    int status = -1;
    pid_t got = 0;

    if (call->pid <= 0)
        return -1;
    while (!kill_it && (got = waitpid(call->pid, &status, WNOHANG)) == 0) {
        nanosleep(&nap, NULL);
        kill_it = volt_seconds() > end;
    }
    if (kill_it) {
        kill(call->pid, SIGKILL);
        while ((got = waitpid(call->pid, &status, 0)) < 0 && errno == EINTR)
            ;
    }
    call->pid = 0;
    return got < 0 ? -1 : status;
}

/* The helper closed its end too early: says why. */
static volt_status fail_gone(volt_itk_call *call)
{
    const char *verb = call->writing ? "writing" : "reading";
    const char *guess = call->writing ? "" : "; the file is probably damaged";
    const volt_status code = call->writing ? VOLT_EIO : VOLT_EFORMAT;
    const int status = reap(call, false);

    if (status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return volt_fail(code,
                         "%s: " HELPER " was stopped after %d s of computing while %s it%s",
                         call->path, call->timeout_s, verb, guess);
    if (status != -1 && WIFSIGNALED(status))
        return volt_fail(code, "%s: " HELPER " crashed while %s it (%s)%s", call->path, verb,
                         strsignal(WTERMSIG(status)), guess);
    return volt_fail(code, "%s: " HELPER " ended while %s it (exit code %d)%s", call->path,
                     verb, status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1, guess);
}

static volt_status fail_silent(volt_itk_call *call)
{
    reap(call, true);
    return volt_fail(call->writing ? VOLT_EIO : VOLT_EFORMAT,
                     "%s: " HELPER " did not respond for %d s and was stopped%s", call->path,
                     call->timeout_s, call->writing ? "" : "; the file is probably damaged");
}

void volt_itk_abort(volt_itk_call **call)
{
    volt_itk_call *c = *call;

    *call = NULL;
    if (!c)
        return;
    if (c->socket >= 0)
        close(c->socket);
    reap(c, true);
    volt_free(c->path);
    volt_free(c);
}

/* -- Talking ------------------------------------------------------------------------------ */

/* Waits until the socket is ready for `events`. */
static volt_status await(volt_itk_call *call, short events)
{
    struct pollfd p = {.fd = call->socket, .events = events};
    const double end = volt_seconds() + call->timeout_s;

    for (;;) {
        const double left = end - volt_seconds();
        const int ready = left > 0 ? poll(&p, 1, (int)(left * 1000) + 1) : 0;
        if (ready > 0)
            return VOLT_OK;
        if (ready == 0)
            return fail_silent(call);
        if (errno != EINTR)
            return volt_fail(VOLT_EIO, "%s: waiting for " HELPER " failed: %s", call->path,
                             strerror(errno));
    }
}

/* At most `bytes`; *got 0: the helper closed its end. */
static volt_status receive_some(size_t *got, volt_itk_call *call, void *data, size_t bytes)
{
    for (;;) {
        ssize_t n;
        const volt_status st = await(call, POLLIN);
        if (st != VOLT_OK)
            return st;
        n = recv(call->socket, data, bytes, MSG_DONTWAIT);
        if (n >= 0 || errno == ECONNRESET) {
            *got = n > 0 ? (size_t)n : 0;
            return VOLT_OK;
        }
        if (errno != EINTR && errno != EAGAIN)
            return volt_fail(VOLT_EIO, "%s: receiving from " HELPER " failed: %s", call->path,
                             strerror(errno));
    }
}

volt_status volt_itk_receive(volt_itk_call *call, void *data, size_t bytes)
{
    for (size_t at = 0, got; at < bytes; at += got) {
        const volt_status st = receive_some(&got, call, (char *)data + at, bytes - at);
        if (st != VOLT_OK)
            return st;
        if (got == 0)
            return fail_gone(call);
    }
    return VOLT_OK;
}

volt_status volt_itk_send(volt_itk_call *call, const void *data, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t n;
        const volt_status st = await(call, POLLOUT);
        if (st != VOLT_OK)
            return st;
        n = send(call->socket, (const char *)data + at, bytes - at,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            at += (size_t)n;
        else if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return VOLT_OK; /* it reads no more; its answer says why */
        else if (n < 0 && errno != EINTR && errno != EAGAIN)
            return volt_fail(VOLT_EIO, "%s: sending to " HELPER " failed: %s", call->path,
                             strerror(errno));
    }
    return VOLT_OK;
}

volt_status volt_itk_end(volt_itk_call **call)
{
    volt_itk_call *c = *call;
    size_t got = 0;
    char more;
    int status;
    volt_status st = receive_some(&got, c, &more, 1);

    if (st == VOLT_OK && got)
        st = volt_fail(VOLT_EFORMAT, "%s: " HELPER " sent more than it announced", c->path);
    if (st == VOLT_OK) {
        status = reap(c, false);
        if (status != -1 && status != 0)
            st = volt_fail(c->writing ? VOLT_EIO : VOLT_EFORMAT,
                           "%s: " HELPER " failed when it exited (%s)", c->path,
                           WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit code");
    }
    volt_itk_abort(call);
    return st;
}

/* -- Judging ------------------------------------------------------------------------------ */

/* Copies text of a message; control characters become blanks. */
static void take_text(char *to, const char *from, size_t room)
{
    size_t i = 0;

    for (; i + 1 < room && from[i]; i++)
        to[i] = (unsigned char)from[i] < ' ' || from[i] == 127 ? ' ' : from[i];
    to[i] = '\0';
}

static volt_status status_of(uint32_t status)
{
    switch (status) {
    case VOLT_EIO:
    case VOLT_ENOMEM:
    case VOLT_ENOTSUP:
    case VOLT_EINVAL:
        return (volt_status)status;
    default:
        return VOLT_EFORMAT;
    }
}

volt_status volt_itk_answer(volt_itk_message *out, volt_itk_call *call)
{
    volt_itk_message m;
    char sentence[sizeof m.sentence];
    const volt_status st = volt_itk_receive(call, &m, sizeof m);

    if (st != VOLT_OK)
        return st;
    if (memcmp(m.magic, VOLT_ITK_MAGIC, sizeof m.magic) != 0)
        return volt_fail(VOLT_ENOTSUP,
                         "%s: " HELPER " is of another version; build and install VOLT as a "
                         "whole",
                         call->path);
    if (m.status != 0) {
        take_text(sentence, m.sentence, sizeof sentence);
        return volt_fail(status_of(m.status), "%s: %s", call->path,
                         *sentence ? sentence : HELPER " failed without a reason");
    }
    *out = m;
    return VOLT_OK;
}
