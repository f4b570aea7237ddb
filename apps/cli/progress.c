#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "apps/cli/cli.h"
#include "base/system/file.h"
#include "base/system/thread_start.h"
#include "base/threads.h"

static const double redraw_s = 1.0 / 6; /* on a terminal */
static const double report_s = 30;      /* in a pipe or a log file */

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
    stop_asked = 1;
    if (number == SIGHUP || number == SIGXCPU) /* a terminal sends the first more than once */
        return;
    signal(SIGINT, SIG_DFL); /* the second one ends the process */
    signal(SIGTERM, SIG_DFL);
}

static void clear_line(cli *c)
{
    if (c->progress.shown)
        fputs("\r\033[K", stderr);
    c->progress.shown = false;
}

static void print_time(char *out, size_t bytes, double s)
{
    long t = (long)(s + 0.5);

    if (t >= 3600)
        snprintf(out, bytes, "%ld:%02ld:%02ld", t / 3600, t / 60 % 60, t % 60);
    else
        snprintf(out, bytes, "%ld:%02ld", t / 60, t % 60);
}

/* "12.1/s", or "3.2 s each" when slow. */
static void print_rate(char *out, size_t bytes, double rate)
{
    if (rate >= 1)
        snprintf(out, bytes, "%.*f/s", rate < 100 ? 1 : 0, rate);
    else
        snprintf(out, bytes, "%.1f s each", 1 / rate);
}

/* "34/195 cases, 12.1/s, 0:13 left"; at the end "195 cases in 16.1 s, 12.1/s". */
static void format_progress(char *out, size_t bytes, const cli_progress *p, double now)
{
    double elapsed = now - p->began;
    const int noun = (int)strlen(p->what) - (p->total == 1); /* "1 case", "2 cases" */
    double made = (double)(p->done - p->first);
    char time[32] = "", rate[48] = "";

    if (made > 0 && elapsed > 0)
        print_rate(rate, sizeof rate, made / elapsed);
    if (p->done >= p->total) {
        snprintf(out, bytes, "%lld %.*s in %.1f s%s%s", (long long)p->total, noun, p->what,
                 elapsed, *rate ? ", " : "", rate);
        return;
    }
    if (*rate)
        print_time(time, sizeof time, (double)(p->total - p->done) * elapsed / made);
    snprintf(out, bytes, "%lld/%lld %.*s%s%s%s%s%s", (long long)p->done, (long long)p->total,
             noun, p->what, *rate ? ", " : "", rate, *rate ? ", " : "", time,
             *rate ? " left" : "");
}

/* Records a report in `p`; false when it repeats the end of finished work. */
static bool take_report(cli_progress *p, const char *what, int64_t done, int64_t total,
                        double now)
{
    bool ended = p->done >= p->total && total != p->total;
    bool fresh = strcmp(p->what, what) != 0 || done < p->done || ended;

    if (done >= total && !fresh && p->done >= p->total)
        return false;
    if (fresh) {
        snprintf(p->what, sizeof p->what, "%s", what);
        p->began = p->drawn = now;
        p->first = done;
    }
    p->total = total; /* a training budget changes it on the way */
    p->done = done;
    return true;
}

/* Units reported while others are in progress are parts of those: "tiles" of one of the
 * "cases". A terminal shows them after the whole; they get no line of their own. */
static void on_progress(void *user, const char *what, int64_t done, int64_t total)
{
    cli *c = user;
    cli_progress *p = &c->progress.whole;
    double now = volt_seconds();
    bool finished;
    char line[160], part[64] = "";

    if (total <= 1)
        return; /* nothing to report */
    if (p->done < p->total && strcmp(p->what, what) != 0) {
        if (!take_report(&c->progress.part, what, done, total, now))
            return;
        snprintf(part, sizeof part, " (%lld/%lld %s)", (long long)done, (long long)total, what);
    } else if (!take_report(p, what, done, total, now)) {
        return;
    }
    finished = p->done >= p->total;
    if (!finished && now - p->drawn < (c->progress.terminal ? redraw_s : report_s))
        return;
    p->drawn = now;
    format_progress(line, sizeof line, p, now);
    if (c->progress.terminal && !finished) {
        fprintf(stderr, "\r%s%s\033[K", line, part);
        c->progress.shown = true;
    } else {
        clear_line(c);
        fprintf(stderr, "%s%s\n", line, part);
    }
}

static void on_log(void *user, volt_log_level level, const char *line)
{
    cli *c = user;
    const char *remedy = cli_remedy(c, line);

    if ((level == VOLT_LOG_INFO && c->quiet) || (level == VOLT_LOG_DETAIL && !c->verbose))
        return;
    clear_line(c);
    fprintf(stderr, "%s%s%s%s\n", level == VOLT_LOG_WARNING ? "volt: warning: " : "", line,
            remedy ? "; " : "", remedy ? remedy : "");
}

static bool is_cancelled(void *user)
{
    cli *c = user;

    if (stop_asked && !c->progress.told_cancel) {
        c->progress.told_cancel = true;
        clear_line(c);
        fputs("volt: stopping after the current step; press Ctrl-C again to quit immediately\n",
              stderr);
    }
    return stop_asked;
}

/* The team of a command, and as many loaders or workers. */
volt_status cli_need_threads(const cli *c)
{
    if (!(c->command->common & CLI_THREADS))
        return VOLT_OK;
    return volt_threads_check(2 * volt_threads_or_default((int)c->threads));
}

void cli_watch(cli *c)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGXCPU, &action, NULL); /* the soft limit; SIGKILL follows at the hard one */
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* nohup */
        sigaction(SIGHUP, &action, NULL);
    c->progress.terminal = isatty(STDERR_FILENO);
    c->callbacks.user = c;
    c->callbacks.progress = c->quiet ? NULL : on_progress;
    c->callbacks.log = on_log;
    c->callbacks.cancelled = is_cancelled;
}

void cli_end_progress(cli *c)
{
    clear_line(c);
    c->progress.whole = c->progress.part = (cli_progress){.what = ""};
}
