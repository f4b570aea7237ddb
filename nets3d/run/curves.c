#include "nets3d/run_curves.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/json/json.h"
#include "nets3d/recipe.h"
#include "nets3d/run.h"

#define LOG_MAX_BYTES  ((size_t)256 << 20)
#define MAX_EPOCHS     1000000
#define NAME_MAX_BYTES 256

static const char *const keys[VOLT_CURVE_COUNT] = {
    [VOLT_CURVE_EPOCH] = "epoch",
    [VOLT_CURVE_ITERATIONS] = "iterations",
    [VOLT_CURVE_HOURS] = "elapsed_seconds",
    [VOLT_CURVE_TRAIN_LOSS] = "train_loss",
    [VOLT_CURVE_VALIDATION_LOSS] = "validation_loss",
    [VOLT_CURVE_MEAN_DICE] = "mean_dice",
    [VOLT_CURVE_EMA_DICE] = "ema_dice",
    [VOLT_CURVE_ACCURACY] = "accuracy",
    [VOLT_CURVE_LR] = "lr",
    [VOLT_CURVE_SECONDS] = "seconds",
    [VOLT_CURVE_VALIDATION_SECONDS] = "validation_seconds",
    [VOLT_CURVE_DATA_WAIT_SECONDS] = "data_wait_seconds",
};

void volt_run_curves_free(volt_run_curves *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->classes; i++) {
        volt_free(c->class_name[i]);
        volt_free(c->dice[i]);
    }
    for (int i = 0; i < VOLT_CURVE_COUNT; i++)
        volt_free(c->value[i]);
    volt_free(c->dice);
    volt_free(c->class_name);
    volt_free(c->name);
    volt_free(c);
}

/* Epochs while they are read; there is room for the `room` lines counted before. */
typedef struct reader {
    volt_run_curves *c;
    const char *file;
    int64_t room;
} reader;

static volt_status make_curve(double **out, int64_t room)
{
    volt_status st = volt_alloc(out, (size_t)room * sizeof **out, "a run's log");

    for (int64_t i = 0; st == VOLT_OK && i < room; i++)
        (*out)[i] = NAN;
    return st;
}

static volt_status add_class(const reader *r, const char *name)
{
    volt_run_curves *c = r->c;
    const size_t used = (size_t)c->classes;
    volt_status st;

    if (used == VOLT_MAX_CLASSES)
        return volt_fail(VOLT_EFORMAT, "%s: Dice of more than %d classes", r->file,
                         VOLT_MAX_CLASSES);
    VOLT_TRY(st, done,
             volt_realloc(&c->class_name, used * sizeof *c->class_name,
                          (used + 1) * sizeof *c->class_name, "a run's log"));
    VOLT_TRY(st, done,
             volt_realloc(&c->dice, used * sizeof *c->dice, (used + 1) * sizeof *c->dice,
                          "a run's log"));
    c->dice[used] = NULL;
    VOLT_TRY(st, done, volt_strdup(&c->class_name[used], name));
    c->classes++; /* before the last step, so that volt_run_curves_free frees it */
    st = make_curve(&c->dice[used], r->room);
done:
    return st;
}

/* The number at `at`; NaN for null and missing values. */
static volt_status read_value(double *out, const volt_json_at *at)
{
    *out = NAN;
    if (!at->value || json_is_null(at->value))
        return VOLT_OK;
    return volt_json_double(out, at, -1e300, 1e300);
}

static volt_status read_dice(const reader *r, const volt_json_at *line)
{
    volt_json_at object, at;
    const char *name = NULL;
    size_t count = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&object, line, "dice"));
    if (!object.value)
        goto done;
    VOLT_TRY(st, done, volt_json_count(&count, &object));
    for (size_t i = 0; i < count; i++) {
        int k = 0;

        VOLT_TRY(st, done, volt_json_entry(&name, &at, &object, i));
        if (strlen(name) > NAME_MAX_BYTES) {
            st = volt_json_fail(&object, "has a class name of %zu bytes; %d are allowed",
                                strlen(name), NAME_MAX_BYTES);
            goto done;
        }
        while (k < r->c->classes && strcmp(r->c->class_name[k], name) != 0)
            k++;
        if (k == r->c->classes)
            VOLT_TRY(st, done, add_class(r, name));
        VOLT_TRY(st, done, read_value(&r->c->dice[k][r->c->epochs], &at));
    }
done:
    return st;
}

static volt_status read_line(reader *r, const volt_json *doc)
{
    const volt_json_at line = volt_json_root(doc);
    volt_run_curves *c = r->c;
    volt_json_at at;
    volt_status st;

    for (int i = 0; i < VOLT_CURVE_COUNT; i++) {
        VOLT_TRY(st, done, volt_json_optional(&at, &line, keys[i]));
        VOLT_TRY(st, done, read_value(&c->value[i][c->epochs], &at));
    }
    if (isnan(c->value[VOLT_CURVE_EPOCH][c->epochs])) {
        st = volt_json_fail(&line, "has no epoch");
        goto done;
    }
    VOLT_TRY(st, done, read_dice(r, &line));
    c->value[VOLT_CURVE_EPOCH][c->epochs] += 1;
    c->epochs++;
done:
    return st;
}

/* Reads every whole line of the text. */
static volt_status read_lines(reader *r, const char *text, size_t bytes)
{
    const char *at = text, *end;
    char where[512];
    volt_status st = VOLT_OK;

    for (int64_t number = 1; (end = memchr(at, '\n', bytes - (size_t)(at - text))); number++) {
        volt_json doc = {0};

        snprintf(where, sizeof where, "%.480s line %lld", r->file, (long long)number);
        st = volt_json_parse(&doc, at, (size_t)(end - at), where);
        if (st == VOLT_OK)
            st = read_line(r, &doc);
        volt_json_close(&doc);
        if (st != VOLT_OK)
            return st;
        at = end + 1;
    }
    return st;
}

/* Logs without elapsed seconds: the sum of the epochs'. */
static void count_hours(volt_run_curves *c)
{
    const double *train = c->value[VOLT_CURVE_SECONDS];
    const double *validation = c->value[VOLT_CURVE_VALIDATION_SECONDS];
    double *hours = c->value[VOLT_CURVE_HOURS], sum = 0;

    for (int64_t i = 0; i < c->epochs; i++) {
        sum += (isnan(train[i]) ? 0 : train[i]) + (isnan(validation[i]) ? 0 : validation[i]);
        if (isnan(hours[i]))
            hours[i] = sum;
        else
            sum = hours[i];
        hours[i] /= 3600;
    }
}

static volt_status count_lines(int64_t *out, const char *text, size_t bytes, const char *file)
{
    int64_t lines = 0;

    for (size_t i = 0; i < bytes; i++)
        lines += text[i] == '\n';
    if (lines == 0 || lines > MAX_EPOCHS)
        return volt_fail(VOLT_EFORMAT, "%s has %lld complete lines; 1 to %d are expected", file,
                         (long long)lines, MAX_EPOCHS);
    *out = lines;
    return VOLT_OK;
}

volt_status volt_run_curves_read(volt_run_curves **out, const char *run, const char *name)
{
    reader r = {0};
    char *file = NULL, *text = NULL;
    size_t bytes = 0;
    volt_status st;

    st = volt_path_is_dir(run) ? volt_path_join(&file, run, "log.jsonl")
                               : volt_strdup(&file, run);
    if (st != VOLT_OK)
        goto done;
    if (volt_path_is_dir(run) && !volt_path_exists(file)) {
        st = volt_is_run(run)
                 ? volt_fail(VOLT_EDATA,
                             "%s has no log.jsonl: it was imported, or no epoch has ended yet",
                             run)
                 : volt_fail(VOLT_EDATA, "%s is not a run: it contains no log.jsonl", run);
        goto done;
    }
    r.file = file;
    VOLT_TRY(st, done, volt_read_file(&text, &bytes, file, LOG_MAX_BYTES));
    if (bytes > 0 && text[0] != '{') {
        st = volt_fail(VOLT_EFORMAT, "%s is not the log of a run (log.jsonl)", file);
        goto done;
    }
    VOLT_TRY(st, done, count_lines(&r.room, text, bytes, file));
    VOLT_TRY(st, done, volt_alloc_zero(&r.c, 1, sizeof *r.c, "a run's log"));
    VOLT_TRY(st, done, volt_strdup(&r.c->name, name));
    for (int i = 0; i < VOLT_CURVE_COUNT; i++)
        VOLT_TRY(st, done, make_curve(&r.c->value[i], r.room));
    VOLT_TRY(st, done, read_lines(&r, text, bytes));
    count_hours(r.c);
    *out = r.c;
    r.c = NULL;
done:
    volt_run_curves_free(r.c);
    volt_free(text);
    volt_free(file);
    return st;
}

double volt_run_curves_best(int64_t *epoch, const volt_run_curves *c, volt_curve curve,
                            bool least)
{
    double best = NAN;

    *epoch = 0;
    for (int64_t i = 0; i < c->epochs; i++) {
        const double v = c->value[curve][i];

        if (isfinite(v) && (isnan(best) || (least ? v < best : v > best))) {
            best = v;
            *epoch = (int64_t)c->value[VOLT_CURVE_EPOCH][i];
        }
    }
    return best;
}
