#include "nets3d/run/log.h"

#include <string.h>
#include <time.h>

#include "base/system/file.h"
#include "base/mem.h"
#include "io/json/json.h"

#define LOG_MAX_BYTES ((size_t)64 << 20)

static json_t *dice_object(const volt_epoch_log *e)
{
    json_t *dice = json_object();

    for (int c = 0; c < e->classes; c++)
        json_object_set_new(dice, e->class_name[c], volt_json_number(e->dice[c]));
    return dice;
}

/* "2026-01-31T23:59:59Z" */
static json_t *time_text(int64_t seconds)
{
    const time_t t = (time_t)seconds;
    char text[32];
    struct tm parts;

    if (!gmtime_r(&t, &parts) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts))
        return json_null();
    return json_string(text);
}

static json_t *line_object(const volt_epoch_log *e)
{
    json_t *line = json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:I, s:o, s:o}",
        "epoch", (json_int_t)e->epoch, "iterations", (json_int_t)e->iterations, "train_loss",
        volt_json_number(e->train_loss), "validation_loss",
        volt_json_number(e->validation_loss), "lr", volt_json_number(e->lr), "gradient_norm",
        volt_json_number(e->gradient_norm), "mean_dice", volt_json_number(e->mean_dice),
        "ema_dice", volt_json_number(e->ema_dice), "dice", dice_object(e), "accuracy",
        volt_json_number(e->accuracy), "seconds", volt_json_number(e->seconds),
        "validation_seconds", volt_json_number(e->validation_seconds), "data_wait_seconds",
        volt_json_number(e->data_wait_s), "iterations_per_second",
        volt_json_number(e->iterations_per_second), "peak_bytes", (json_int_t)e->peak_bytes,
        "elapsed_seconds", volt_json_number(e->elapsed_s), "time", time_text(e->time));
    if (line && e->ranks > 1) {
        json_object_set_new(line, "ranks", json_integer(e->ranks));
        json_object_set_new(line, "communication_seconds",
                            volt_json_number(e->communication_s));
    }
    return line;
}

volt_status volt_run_log_append(const char *path, const volt_epoch_log *line)
{
    json_t *object = line_object(line);
    char *text = NULL;
    size_t bytes = 0;
    volt_status st;

    if (!object)
        return volt_fail(VOLT_ENOMEM, "no memory for a line of %s", path);
    VOLT_TRY(st, done, volt_json_dump_line(&text, &bytes, object));
    text[bytes] =
        '\n'; /* instead of the terminator, so that one write appends the whole line */
    st = volt_append_file(path, text, bytes + 1);
done:
    volt_free(text);
    json_decref(object);
    return st;
}

/* Whether the line from `text` to the newline at `end` belongs to an epoch before `epoch`. */
static bool is_kept(const char *text, const char *end, int64_t epoch)
{
    json_t *line = json_loadb(text, (size_t)(end - text), 0, NULL);
    const json_t *value = json_object_get(line, "epoch");
    const bool kept = json_is_integer(value) && json_integer_value(value) < epoch;

    json_decref(line);
    return kept;
}

volt_status volt_run_log_rewind(const char *path, int64_t epoch)
{
    char *text = NULL;
    const char *end, *at;
    size_t bytes = 0;
    volt_status st;

    if (!volt_path_exists(path))
        return VOLT_OK;
    if ((st = volt_read_file(&text, &bytes, path, LOG_MAX_BYTES)) != VOLT_OK)
        return st;
    for (at = text; (end = memchr(at, '\n', bytes - (size_t)(at - text))); at = end + 1) {
        if (!is_kept(at, end, epoch))
            break;
    }
    if ((size_t)(at - text) < bytes)
        st = volt_write_file(path, text, (size_t)(at - text));
    volt_free(text);
    return st;
}
