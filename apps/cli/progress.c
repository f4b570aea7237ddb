#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "apps/cli/cli.h"
#include "base/system/file.h"
#include "base/system/thread_start.h"
#include "base/threads.h"

static const double redraw_s = 1.0 / 6; /* on a terminal */
static const double report_s = 30;      /* in a pipe or a log file */
static const double noticed_s = 1;      /* shorter work is not worth a line */
enum { LINE_MOST = 100, BAR_LEAST = 6, BAR_MOST = 40, NARROWEST = 10 };

enum { TWICE_S = 2 };
static volatile sig_atomic_t stop_asked, terminated; /* first SIGTERM; s, plus 1 */

/* A terminal may send SIGHUP more than once, and Slurm SIGTERM at the end of a job's time: to
 * the step, to the job and through srun. */
static void on_signal(int number)
{
    struct timespec now;

    stop_asked = 1;
    if (number == SIGHUP || number == SIGXCPU)
        return;
    signal(SIGINT, SIG_DFL); /* the second one ends the process */
    if (number == SIGINT) {
        signal(SIGTERM, SIG_DFL);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (terminated && now.tv_sec + 1 - terminated >= TWICE_S) {
        signal(SIGTERM, SIG_DFL);
        raise(SIGTERM);
    }
    if (!terminated)
        terminated = (sig_atomic_t)now.tv_sec + 1;
}

/* Columns of the terminal, as it is now. */
static int terminal_width(void)
{
    const char *given = getenv("COLUMNS");
    struct winsize size = {0};
    int columns = given ? atoi(given) : 0;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
    return columns <= 0 ? 80 : columns < NARROWEST ? NARROWEST : columns;
}

/* A line that was drawn on a wider terminal now takes several. */
static void clear_line(cli *c)
{
    const int rows = c->progress.shown ? (c->progress.width - 1) / terminal_width() : 0;

    if (c->progress.shown && rows > 0)
        fprintf(stderr, "\033[%dA", rows);
    if (c->progress.shown)
        fputs("\r\033[J", stderr);
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

/* How much of the whole is done, 0 to 1, with the part of the unit in progress. Never falls,
 * although a unit may have several parts in turn. */
static double done_fraction(cli *c)
{
    const cli_progress *p = &c->progress.whole, *part = &c->progress.part;
    double done = (double)p->done;

    if (part->total > 1 && p->done < p->total)
        done += (double)part->done / (double)part->total;
    c->progress.fraction = fmax(c->progress.fraction, done / (double)p->total);
    return c->progress.fraction;
}

/* Seconds until the whole is done, by its pace so far; negative if that is not known yet. */
static double seconds_left(cli *c, double now)
{
    const cli_progress *p = &c->progress.whole;
    const double done = done_fraction(c), made = done - (double)p->first / (double)p->total;

    return made > 0 ? (1 - done) / made * (now - p->began) : -1;
}

/* "34/195 cases, 12.1/s, 0:13 left"; at the end "195 cases in 16.1 s, 12.1/s". */
static void format_progress(char *out, size_t bytes, cli *c, double now)
{
    const cli_progress *p = &c->progress.whole;
    const double elapsed = now - p->began, left = seconds_left(c, now);
    const int noun = (int)strlen(p->what) - (p->total == 1); /* "1 case", "2 cases" */
    double made = (double)(p->done - p->first);
    char time[32] = "", rate[48] = "";

    if (made > 0 && elapsed > 0)
        print_rate(rate, sizeof rate, made / elapsed);
    if (p->done >= p->total) {
        /* what a resumed training had done before is not counted */
        snprintf(out, bytes, "%lld %.*s in %.1f s%s%s",
                 (long long)(p->total - (p->first > 1 ? p->first - 1 : 0)), noun, p->what,
                 elapsed, *rate ? ", " : "", rate);
        return;
    }
    if (left >= 0)
        print_time(time, sizeof time, left);
    snprintf(out, bytes, "%lld/%lld %.*s%s%s%s%s%s", (long long)p->done, (long long)p->total,
             noun, p->what, *rate ? ", " : "", rate, *time ? ", " : "", time,
             *time ? " left" : "");
}

/* ---- the bar ---- */

/* "epoch 3/10, loss 0.4121, Dice 0.7103", or "34/195 cases, 3/8 tiles". */
static void describe(char *out, size_t bytes, const cli *c)
{
    const cli_progress *p = &c->progress.whole, *part = &c->progress.part;
    int used;

    if (*c->progress.state && strcmp(c->progress.state_of, p->what) == 0) {
        snprintf(out, bytes, "%s", c->progress.state);
        return;
    }
    used =
        snprintf(out, bytes, "%lld/%lld %s", (long long)p->done, (long long)p->total, p->what);
    if (part->total > 1 && used > 0 && (size_t)used < bytes)
        snprintf(out + used, bytes - (size_t)used, ", %lld/%lld %s", (long long)part->done,
                 (long long)part->total, part->what);
}

/* " 47 %" and, with `left`, "  0:13 left". */
static void print_percent(char *out, size_t bytes, cli *c, double now, bool left)
{
    const double seconds = seconds_left(c, now);
    char time[32];

    snprintf(out, bytes, "%3d %%", (int)(100 * done_fraction(c)));
    if (!left || seconds < 0)
        return;
    print_time(time, sizeof time, seconds);
    snprintf(out + strlen(out), bytes - strlen(out), "  %s left", time);
}

/* Drops the last fact of "a, b, c"; false if it is the only one. */
static bool drop_fact(char *text)
{
    char *comma = strrchr(text, ',');

    if (comma)
        *comma = '\0';
    return comma != NULL;
}

static void append_bar(char *out, size_t bytes, int width, double fraction, bool utf8)
{
    const int full = (int)(fraction * width + 0.5);

    for (int i = 0; i < width; i++) {
        const char *cell = utf8 ? (i < full ? "\u2501" : "\u2500") : (i < full ? "#" : "-");
        snprintf(out + strlen(out), bytes - strlen(out), "%s", cell);
    }
}

/* The line for a terminal of `columns`: facts, bar, percent, time left. The last column stays
 * free. Where there is little room, the bar goes first, then facts from the end, then the time.
 * Returns the columns it takes. */
static int format_bar(char *out, size_t bytes, cli *c, double now, int columns)
{
    const int room = (columns > LINE_MOST ? LINE_MOST : columns) - 1;
    char facts[256], percent[64];
    int bar;

    describe(facts, sizeof facts, c);
    print_percent(percent, sizeof percent, c, now, true);
    while ((int)(strlen(facts) + 2 + strlen(percent)) > room && drop_fact(facts))
        ;
    if ((int)(strlen(facts) + 2 + strlen(percent)) > room)
        print_percent(percent, sizeof percent, c, now, false);
    if ((int)(strlen(facts) + 2 + strlen(percent)) > room)
        facts[0] = '\0';
    bar = room - (int)(strlen(facts) + strlen(percent)) - 4;
    bar = bar > BAR_MOST ? BAR_MOST : bar;
    snprintf(out, bytes, "%s%s", facts, *facts ? "  " : "");
    if (bar >= BAR_LEAST) {
        append_bar(out, bytes, bar, done_fraction(c), c->progress.utf8);
        snprintf(out + strlen(out), bytes - strlen(out), "  ");
    }
    snprintf(out + strlen(out), bytes - strlen(out), "%s", percent);
    return (int)(strlen(facts) + (*facts ? 2 : 0) + (bar >= BAR_LEAST ? (size_t)bar + 2 : 0) +
                 strlen(percent));
}

static void draw_bar(cli *c, double now)
{
    char line[4 * LINE_MOST + 400];
    const int width = format_bar(line, sizeof line, c, now, terminal_width());

    clear_line(c);
    fputs(line, stderr);
    fflush(stderr);
    c->progress.width = width;
    c->progress.shown = true;
}

/* ---- reports ---- */

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

/* A report on the whole: the parts of its last unit are over, and a state that was given before
 * describes it. */
static bool take_whole(cli *c, const char *what, int64_t done, int64_t total, double now)
{
    const cli_progress before = c->progress.whole;

    if (!take_report(&c->progress.whole, what, done, total, now))
        return false;
    if (c->progress.whole.began != before.began ||
        before.total != total) /* other work, or more of it */
        c->progress.fraction = 0;
    c->progress.part = (cli_progress){.what = ""};
    if (!*c->progress.state_of)
        snprintf(c->progress.state_of, sizeof c->progress.state_of, "%s", what);
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
    char line[160];

    if (total <= 1)
        return; /* nothing to report */
    if (p->done < p->total && strcmp(p->what, what) != 0) {
        if (!take_report(&c->progress.part, what, done, total, now))
            return;
    } else if (!take_whole(c, what, done, total, now)) {
        return;
    }
    finished = p->done >= p->total;
    if (!finished && now - p->drawn < (c->progress.terminal ? redraw_s : report_s))
        return;
    p->drawn = now;
    if (c->progress.terminal && !finished) {
        draw_bar(c, now);
        return;
    }
    clear_line(c);
    if (now - p->began < noticed_s)
        return;
    format_progress(line, sizeof line, c, now);
    fprintf(stderr, "%s\n", line);
}

static void on_state(void *user, const char *line)
{
    cli *c = user;

    snprintf(c->progress.state, sizeof c->progress.state, "%s", line);
    c->progress.state_of[0] = '\0';
}

static void on_log(void *user, volt_log_level level, const char *line)
{
    cli *c = user;
    char remedy[CLI_REMEDY_ROOM];

    if ((level == VOLT_LOG_INFO && c->quiet) || (level == VOLT_LOG_DETAIL && !c->verbose))
        return;
    clear_line(c);
    fprintf(stderr, "%s%s%s\n", level == VOLT_LOG_WARNING ? "volt: warning: " : "", line,
            cli_remedy(remedy, c, line));
}

static bool is_cancelled(void *user)
{
    cli *c = user;

    if (stop_asked && !c->progress.told_cancel && cli_leads(c)) {
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

/* Whether the locale's characters are UTF-8, by the first variable that is set. */
static bool is_utf8_locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "UTF-8") || strcasestr(value, "utf8");
    }
    return false;
}

/* A terminal that can move its cursor. */
static bool is_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
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
    c->progress.terminal = is_terminal();
    c->progress.utf8 = is_utf8_locale();
    c->callbacks.user = c;
    c->callbacks.progress = c->quiet ? NULL : on_progress;
    c->callbacks.state = on_state;
    c->callbacks.log = on_log;
    c->callbacks.cancelled = is_cancelled;
    if (!cli_leads(c))
        c->callbacks = (volt_callbacks){.user = c, .cancelled = is_cancelled};
}

void cli_end_progress(cli *c)
{
    clear_line(c);
    c->progress.whole = c->progress.part = (cli_progress){.what = ""};
    c->progress.fraction = 0;
    c->progress.state[0] = c->progress.state_of[0] = '\0';
}
