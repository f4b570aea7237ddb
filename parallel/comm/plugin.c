/* plugin.c - finds and loads a plug-in for MPI, and opens the world of its ranks. */
#define _GNU_SOURCE
#include "parallel/comm/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/system/file.h"
#include "base/system/own_folder.h"
#include "base/version.h"
#include "parallel/comm/comm_internal.h"
#include "parallel/comm/monitor.h"
#include "parallel/launcher.h"

size_t volt_plugin_piece_bytes = (size_t)1 << 30;

/* Which MPI a plug-in is for, what VOLT_MPI calls it, and the Debian package of the MPI. */
typedef struct flavour {
    const char *name, *word, *file, *package;
} flavour;

static const flavour open_mpi = {"Open MPI", "openmpi", "libvolt-mpi.so", "openmpi-bin"};
static const flavour mpich = {"MPICH", "mpich", "libvolt-mpich.so", "mpich"};

/* ---- choice ---- */

bool volt_plugin_launched(void)
{
    volt_launcher l;

    if (volt_launcher_find(&l))
        return l.kind != VOLT_LAUNCHER_NO_MPI;
    /* The first rank of a PMIx launcher that tells no number; others do. */
    return getenv("PMIX_RANK") && !getenv("OMPI_COMM_WORLD_SIZE") &&
           !getenv("SLURM_STEP_NUM_TASKS");
}

/* The plug-ins to try, in this order; tries[1] may be NULL. VOLT_EINVAL: $VOLT_MPI. */
static volt_status choose(const flavour *tries[2])
{
    const char *word = getenv("VOLT_MPI");
    volt_launcher l;

    tries[0] = &open_mpi;
    tries[1] = &mpich;
    if (word && *word) {
        if (strcmp(word, open_mpi.word) != 0 && strcmp(word, mpich.word) != 0)
            return volt_fail(VOLT_EINVAL, "VOLT_MPI is \"%s\"; openmpi or mpich is expected",
                             word);
        tries[0] = strcmp(word, mpich.word) == 0 ? &mpich : &open_mpi;
        tries[1] = NULL;
    } else if (volt_launcher_find(&l) && l.kind == VOLT_LAUNCHER_MPICH) {
        tries[0] = &mpich;
        tries[1] = NULL;
    } else if (volt_launcher_find(&l) && l.kind == VOLT_LAUNCHER_OPEN_MPI) {
        tries[1] = NULL;
    }
    return VOLT_OK;
}

/* srun also starts processes without a way to find each other, in which some MPIs end the
 * process. VOLT_MPI says that there is one. */
static volt_status check_srun(void)
{
    const char *word = getenv("VOLT_MPI");
    volt_launcher l;

    if ((word && *word) || !volt_launcher_find(&l) || strcmp(l.who, "srun") != 0)
        return VOLT_OK;
    for (char **variable = environ; *variable; variable++) {
        if (strncmp(*variable, "PMI", 3) == 0)
            return VOLT_OK;
    }
    return volt_fail(
        VOLT_ENOTSUP,
        "srun started %d processes (%s) that cannot find each other: its type of MPI "
        "must be pmix for Open MPI, pmi2 for MPICH",
        l.processes, l.variable);
}

/* ---- files ---- */

/* The plug-in's path; *out is NULL if it is not there. */
static volt_status find_file(char **out, const char *file)
{
    /* Where building and installing leave it, seen from VOLT's own file. */
    static const char *const places[] = {".", VOLT_PLUGINS_FROM_BIN, VOLT_PLUGINS_FROM_LIB};
    const char *named = getenv("VOLT_PLUGINS");
    char *own = NULL;
    volt_status st = VOLT_OK;

    *out = NULL;
    if (named && *named) {
        if (*named != '/')
            return volt_fail(VOLT_EINVAL,
                             "VOLT_PLUGINS is \"%s\"; an absolute path is expected", named);
        st = volt_format(out, "%s/%s", named, file);
    } else {
        VOLT_TRY(st, done, volt_own_folder(&own));
        for (size_t i = 0; own && !*out && i < sizeof places / sizeof *places; i++) {
            VOLT_TRY(st, done, volt_format(out, "%s/%s/%s", own, places[i], file));
            if (access(*out, R_OK) != 0) {
                volt_free(*out);
                *out = NULL;
            }
        }
    }
    if (st == VOLT_OK && *out && access(*out, R_OK) != 0) {
        volt_free(*out);
        *out = NULL;
    }
done:
    volt_free(own);
    return st;
}

/* Without the path, which dlerror() may have in front. */
static const char *load_error(const char *path)
{
    const char *text = dlerror();
    const size_t n = strlen(path);

    if (!text)
        return "unknown error";
    return strncmp(text, path, n) == 0 && text[n] == ':' ? text + n + 1 : text;
}

/* Loads the plug-in; it stays loaded, as MPI does not bear being unloaded. */
static volt_status load(volt_plugin_start_function **out, const flavour *f)
{
    char *path = NULL;
    void *library, *start;
    const int *abi;
    volt_status st = find_file(&path, f->file);

    if (st != VOLT_OK)
        return st;
    if (!path && getenv("VOLT_PLUGINS") && *getenv("VOLT_PLUGINS"))
        return volt_fail(VOLT_ENOTSUP,
                         "there is no plug-in for %s in %s (VOLT_PLUGINS): %s is missing",
                         f->name, getenv("VOLT_PLUGINS"), f->file);
    if (!path)
        return volt_fail(VOLT_ENOTSUP,
                         "this VOLT has no plug-in for %s (%s): it is built where %s and its "
                         "headers are installed",
                         f->name, f->file, f->name);
    library = dlopen(path, RTLD_NOW | RTLD_GLOBAL); /* MPI's own plug-ins need its names */
    if (!library) {
        st = volt_fail(VOLT_ENOTSUP, "cannot load %s: %s; is %s (%s) installed?", path,
                       load_error(path), f->name, f->package);
        goto done;
    }
    abi = dlsym(library, "volt_plugin_abi");
    start = dlsym(library, "volt_plugin_start");
    if (!abi || !start)
        st = volt_fail(VOLT_ENOTSUP, "%s is not a plug-in of VOLT", path);
    else if (*abi != VOLT_COMM_ABI)
        st = volt_fail(VOLT_ENOTSUP, "%s belongs to another version of VOLT (ABI %d, not %d)",
                       path, *abi, VOLT_COMM_ABI);
    else
        memcpy(out, &start, sizeof start);
done:
    volt_free(path);
    return st;
}

/* ---- the world ---- */

/* What each rank tells all others at the start; the same layout in all versions. */
typedef struct hello {
    char magic[8]; /* "VOLTRANK" */
    uint32_t order, abi;
    char version[40], host[VOLT_COMM_HOST_NAME];
    volt_process process;
    char boot[40]; /* of the host's kernel; "" where the system does not tell */
    int32_t pipe;  /* volt_peer's */
    char padding[256 - 20 - 80 - VOLT_COMM_HOST_NAME - sizeof(volt_process)];
} hello;

static const char magic[8] = {'V', 'O', 'L', 'T', 'R', 'A', 'N', 'K'};

static void read_boot(char *text, size_t room)
{
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (read(fd, text, room - 1) < 0)
        *text = '\0';
    close(fd);
}

static hello own_hello(int pipe)
{
    hello h = {.order = 0x01020304,
               .abi = VOLT_COMM_ABI,
               .process = volt_process_self(),
               .pipe = pipe};

    memcpy(h.magic, magic, sizeof h.magic);
    snprintf(h.version, sizeof h.version, "%s", volt_version());
    if (gethostname(h.host, sizeof h.host - 1) != 0 || !*h.host)
        snprintf(h.host, sizeof h.host, "unknown");
    volt_host_clean(h.host);
    read_boot(h.boot, sizeof h.boot);
    return h;
}

static volt_status check_hello(const hello *all, int size)
{
    for (int i = 0; i < size; i++) {
        const hello *a = &all[0], *b = &all[i];
        if (memcmp(b->magic, magic, sizeof magic) != 0 || b->order != a->order)
            return volt_fail(VOLT_EINVAL,
                             "ranks 0 (%.63s) and %d (%.63s) have other byte orders", a->host,
                             i, b->host);
        if (b->abi != a->abi || strncmp(a->version, b->version, sizeof a->version) != 0)
            return volt_fail(VOLT_EINVAL,
                             "ranks 0 (%.63s) and %d (%.63s) run different versions of VOLT: "
                             "%.39s and %.39s",
                             a->host, i, b->host, a->version, b->version);
    }
    return VOLT_OK;
}

static volt_status meet(volt_comm *c)
{
    volt_world *w = c->world;
    hello own, *all = NULL;
    volt_peer *peer = NULL;
    int pipe[2] = {-1, -1};
    const char **boot = NULL;
    volt_status st;

    for (int i = 0; i < w->size; i++) /* until they are known */
        snprintf(w->host[i].name, sizeof w->host[i].name, i == w->rank ? "this host" : "?");
    volt_comm_set_timeout(c, 120); /* MPI has started on all of them */
    VOLT_TRY(st, done, volt_alloc_zero(&all, (size_t)w->size, sizeof *all, "ranks"));
    VOLT_TRY(st, done, volt_alloc_zero(&peer, (size_t)w->size, sizeof *peer, "ranks"));
    if (w->size > 1 && pipe2(pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        st = volt_fail(VOLT_EIO, "cannot create a pipe: %s", strerror(errno));
        goto done;
    }
    own = own_hello(pipe[0]);
    VOLT_TRY(st, done, volt_comm_all_gather(c, all, &own, sizeof own));
    VOLT_TRY(st, done, check_hello(all, w->size));
    VOLT_TRY(st, done, volt_alloc_zero(&boot, (size_t)w->size, sizeof *boot, "ranks"));
    for (int i = 0; i < w->size; i++) {
        memcpy(w->host[i].name, all[i].host, sizeof w->host[i].name);
        w->host[i].name[VOLT_COMM_HOST_NAME - 1] = '\0';
        boot[i] = all[i].boot;
        peer[i] = (volt_peer){all[i].process, all[i].pipe};
    }
    volt_hosts_tell_apart(w->host, boot, w->size);
    volt_comm_set_timeout(c, 0);
    volt_comm_count_host(c);
    if (w->size > 1) {
        st = volt_monitor_start(w, peer, pipe);
        pipe[0] = pipe[1] = -1;
        if (st != VOLT_OK)
            goto done;
    }
    c->messages = c->bytes = c->waited_ns = 0; /* what follows is the caller's */
done:
    volt_free(boot);
    for (int i = 0; i < 2; i++) {
        if (pipe[i] >= 0)
            close(pipe[i]);
    }
    volt_free(peer);
    volt_free(all);
    return st;
}

/* Ranks that were started together and do not see each other have another MPI's launcher. */
static volt_status check_size(const volt_backend *b, const volt_launcher *l, int size)
{
    char count[24] = "several";

    if (size > 1 || l->kind == VOLT_LAUNCHER_NO_MPI)
        return VOLT_OK;
    if (l->processes > 0)
        snprintf(count, sizeof count, "%d", l->processes);
    return volt_fail(VOLT_ENOTSUP,
                     "%s started %s processes (%s), but %s sees one: the launcher belongs to "
                     "another MPI",
                     l->who, count, l->variable, b->library);
}

static volt_status start(volt_comm **out, volt_plugin_start_function *run, const flavour *f)
{
    static volt_backend table;
    static volt_board board;
    char why[VOLT_COMM_SENTENCE] = "";
    void *state = NULL;
    volt_world *w = NULL;
    volt_comm *c = NULL;
    int rank = 0, size = 0;
    volt_launcher launcher;
    /* Before MPI starts, as that sets variables of its own. */
    const bool launched = volt_launcher_find(&launcher);
    volt_status st = run(&table, &state, &rank, &size, volt_plugin_piece_bytes, why);

    if (st != VOLT_OK)
        return volt_fail(st, "%s: %s", f->name, why);
    volt_board_init(&board);
    st = launched ? check_size(&table, &launcher, size) : VOLT_OK;
    if (st == VOLT_OK)
        st = volt_world_make(&w, &table, state, rank, size, &board);
    if (st != VOLT_OK) {
        table.close(state, false);
        return st;
    }
    st = volt_world_comm(&c, w);
    if (st != VOLT_OK) {
        volt_world_release(w);
        return st;
    }
    st = meet(c);
    if (st != VOLT_OK) { /* of which all ranks know, or none can be told */
        __atomic_store_n(&w->unfinished, 1, __ATOMIC_SEQ_CST);
        volt_comm_close(c);
        return st;
    }
    *out = c;
    return VOLT_OK;
}

volt_status volt_plugin_open(volt_comm **out)
{
    static int opened;
    const flavour *tries[2];
    volt_plugin_start_function *run = NULL;
    char first[VOLT_COMM_SENTENCE];
    volt_status st = choose(tries);

    if (st == VOLT_OK)
        st = check_srun();
    if (st != VOLT_OK)
        return st;
    if (__atomic_exchange_n(&opened, 1, __ATOMIC_SEQ_CST))
        return volt_fail(VOLT_EINVAL, "MPI is opened once per process");
    st = load(&run, tries[0]);
    if (st == VOLT_OK || !tries[1]) {
        if (st == VOLT_OK)
            return start(out, run, tries[0]);
    } else {
        snprintf(first, sizeof first, "%s", volt_last_error());
        if (load(&run, tries[1]) == VOLT_OK)
            return start(out, run, tries[1]);
        volt_set_last_error(first);
    }
    __atomic_store_n(&opened, 0, __ATOMIC_SEQ_CST);
    return st;
}
