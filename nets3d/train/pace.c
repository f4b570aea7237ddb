#include "nets3d/train/pace.h"

#include <stdio.h>
#include <string.h>

#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "nets3d/train/budget.h"

#define ITERATIONS 3         /* after which the pace is known; the first one warms up */
#define FORWARD    (1.0 / 3) /* of an iteration's time: an iteration of validation */
#define SHORT_S    60.0
#define MINUTE     60.0
#define HOUR       3600.0
#define DAY        86400.0

static void duration_text(char out[32], double s)
{
    if (s < 2 * MINUTE)
        snprintf(out, 32, "%.0f s", s);
    else if (s < 2 * HOUR)
        snprintf(out, 32, "%.0f min", s / MINUTE);
    else if (s < 2 * DAY)
        snprintf(out, 32, "%.1f h", s / HOUR);
    else
        snprintf(out, 32, "%.1f days", s / DAY);
}

/* A budget that is clearly shorter than `seconds`. */
static double shorter_budget(double seconds)
{
    return seconds > HOUR           ? 30 * MINUTE
           : seconds >= 20 * MINUTE ? 10 * MINUTE
           : seconds >= 10 * MINUTE ? 5 * MINUTE
                                    : MINUTE;
}

/* Appends what a budget would make of the run, if one is shorter than its `seconds`. */
static void append_budget(char *out, size_t bytes, const volt_train_state *s, double each,
                          int64_t checkpoint_bytes, double seconds)
{
    const double budget = shorter_budget(seconds);
    const volt_speed speed = {.iteration = each,
                              .validation = FORWARD * each,
                              .checkpoint = (double)checkpoint_bytes / VOLT_WRITTEN_PER_S};
    const size_t used = strlen(out);
    volt_train_state fitted = *s;

    if (seconds < 2 * budget || s->iteration > ITERATIONS ||
        volt_budget_schedule(&fitted, &speed, VOLT_BUDGET_USED * budget,
                             s->validation_iterations > 0) != VOLT_OK)
        return;
    snprintf(out + used, bytes - used,
             "; a budget of %.0f min would make it %lld epoch%s of %lld iteration%s",
             budget / MINUTE, (long long)fitted.epochs, volt_s(fitted.epochs),
             (long long)fitted.iterations, volt_s(fitted.iterations));
}

void volt_pace_text(char *out, size_t bytes, const volt_train_state *s, double each,
                    int64_t checkpoint_bytes, int folds_after)
{
    const int64_t left = s->epochs * s->iterations - s->iteration;
    const int64_t checks = (s->epochs - s->epoch) * s->validation_iterations;
    const double seconds = each * ((double)left + FORWARD * (double)checks);
    const double fold = each * ((double)(s->epochs * s->iterations) +
                                FORWARD * (double)(s->epochs * s->validation_iterations));
    const double whole = seconds + folds_after * fold;
    char time[32], folds[96] = "";

    *out = '\0';
    if (!(whole >= SHORT_S))
        return;
    if (folds_after > 0) {
        duration_text(time, whole);
        snprintf(folds, sizeof folds, ", %s with the %d fold%s after it", time, folds_after,
                 volt_s(folds_after));
    }
    duration_text(time, seconds);
    snprintf(out, bytes,
             "%s will take about %s here%s (epochs: %lld of %lld iteration%s, %.2f s each)",
             s->iteration > ITERATIONS ? "the rest"
             : folds_after > 0         ? "this fold"
                                       : "the training",
             time, folds, (long long)(s->epochs - s->epoch), (long long)s->iterations,
             volt_s(s->iterations), each);
    append_budget(out, bytes, s, each, checkpoint_bytes, seconds);
}

void volt_pace_note(volt_session *s)
{
    const double now = volt_seconds();
    char line[400];

    s->here++;
    if (s->here == 1)
        s->paced_from = now;
    if (s->here != ITERATIONS || s->recipe.budget_s > 0)
        return;
    volt_pace_text(line, sizeof line, &s->state, (now - s->paced_from) / (ITERATIONS - 1),
                   volt_session_checkpoint_bytes(s), s->options->folds_after);
    if (*line)
        volt_report(s->cb, VOLT_LOG_INFO, "%s", line);
}
