#include "io/nnunet_summary.h"

#include <string.h>
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/json/json.h"

/* nnU-Net's, in the order of their names, as Python sorts keys. */
static const volt_score scores[] = {VOLT_SCORE_DICE,   VOLT_SCORE_FN,   VOLT_SCORE_FP,
                                    VOLT_SCORE_IOU,    VOLT_SCORE_TN,   VOLT_SCORE_TP,
                                    VOLT_SCORE_N_PRED, VOLT_SCORE_N_REF};

/* `object`, or NULL (released) when filling it failed. */
static json_t *if_whole(json_t *object, int failures)
{
    if (failures == 0)
        return object;
    json_decref(object);
    return NULL;
}

/* One class's scores; the counts of a case are integers, their means are not. */
static json_t *scores_object(const double *values, bool whole)
{
    json_t *object = json_object();
    int failures = 0;

    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
        const volt_score s = scores[i];

        failures += json_object_set_new(object, volt_score_name(s),
                                        whole && volt_score_is_count(s)
                                            ? json_integer((json_int_t)values[s])
                                            : volt_json_number(values[s])) != 0;
    }
    return if_whole(object, failures);
}

static json_t *case_object(const volt_summary *s, const volt_summary_case *c,
                           const int32_t *order)
{
    json_t *object = json_object(), *metrics = json_object();
    int failures = 0;

    for (int32_t i = 0; i < s->regions; i++) {
        double values[VOLT_SCORE_COUNT];

        for (int k = 0; k < VOLT_SCORE_COUNT; k++)
            values[k] = volt_score_of(&c->metrics[order[i]], (volt_score)k);
        failures += json_object_set_new(metrics, s->region_keys[order[i]],
                                        scores_object(values, true)) != 0;
    }
    failures += json_object_set_new(object, "metrics", if_whole(metrics, failures)) != 0;
    failures += json_object_set_new(object, "prediction_file",
                                    volt_json_string(c->prediction_file)) != 0;
    failures +=
        json_object_set_new(object, "reference_file", volt_json_string(c->reference_file)) != 0;
    return if_whole(object, failures);
}

static json_t *summary_object(const volt_summary *s, const int32_t *order)
{
    json_t *root = json_object(), *mean = json_object(), *cases = json_array();
    int failures = 0;

    for (int32_t i = 0; i < s->regions; i++)
        failures += json_object_set_new(mean, s->region_keys[order[i]],
                                        scores_object(s->mean[order[i]], false)) != 0;
    for (int64_t i = 0; i < s->count; i++)
        failures += json_array_append_new(cases, case_object(s, &s->cases[i], order)) != 0;
    failures += json_object_set_new(root, "foreground_mean",
                                    scores_object(s->foreground_mean, false)) != 0;
    failures += json_object_set_new(root, "mean", mean) != 0;
    failures += json_object_set_new(root, "metric_per_case", cases) != 0;
    return if_whole(root, failures);
}

/* Turns every value `null` into NaN. Strings have no line ends, so a line that ends in null is
 * not inside one. Returns the new length. */
static size_t name_undefined(char *text, size_t bytes)
{
    static const char null[] = "null";
    size_t to = 0;

    for (size_t from = 0; from < bytes;) {
        const char *rest = text + from;

        if (strncmp(rest, null, 4) == 0 &&
            (rest[4] == '\n' || (rest[4] == ',' && rest[5] == '\n'))) {
            memcpy(text + to, "NaN", 3);
            to += 3;
            from += 4;
        } else {
            text[to++] = text[from++];
        }
    }
    return to;
}

/* Regions in the order of their keys. */
static void sort_regions(int32_t *order, const volt_summary *s)
{
    for (int32_t i = 0; i < s->regions; i++) {
        int32_t at = i;

        for (; at > 0 && strcmp(s->region_keys[order[at - 1]], s->region_keys[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

volt_status volt_summary_write(const char *path, const volt_summary *summary)
{
    int32_t *order = NULL;
    json_t *root = NULL;
    char *text = NULL;
    size_t bytes = 0;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc(&order, (size_t)summary->regions * sizeof *order, "a summary"));
    sort_regions(order, summary);
    root = summary_object(summary, order);
    VOLT_TRY(st, done, volt_json_dump(&text, &bytes, root));
    st = volt_write_file(path, text, name_undefined(text, bytes));
done:
    volt_free(text);
    json_decref(root);
    volt_free(order);
    return st;
}
