#include "io/scores.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/options.h"
#include "io/json/json.h"

static const char *const policies[] = {"nnunet", "monai", "brats"};

static bool is_present(const volt_summary *s, volt_score score)
{
    return (s->surface || !volt_score_is_surface(score)) &&
           (s->lesions || !volt_score_is_lesion(score));
}

static json_t *number(double v, bool whole)
{
    return whole && isfinite(v) ? json_integer((json_int_t)v) : volt_json_number(v);
}

/* A mean with its interval; `undefined` is omitted if it is -1. */
static json_t *mean_object(const volt_summary *s, double mean, volt_interval i,
                           int64_t undefined)
{
    json_t *object = json_object();

    json_object_set_new(object, "mean", number(mean, false));
    if (s->resamples > 0) {
        json_object_set_new(object, "low", number(i.low, false));
        json_object_set_new(object, "high", number(i.high, false));
    }
    if (undefined >= 0)
        json_object_set_new(object, "undefined", json_integer(undefined));
    return object;
}

/* Region -1: over the foreground classes. */
static json_t *means_object(const volt_summary *s, int32_t region)
{
    json_t *object = json_object();

    for (int i = 0; i < VOLT_SCORE_COUNT; i++) {
        if (!is_present(s, (volt_score)i))
            continue;
        json_object_set_new(
            object, volt_score_name((volt_score)i),
            region < 0 ? mean_object(s, s->foreground_mean[i], s->foreground_interval[i], -1)
                       : mean_object(s, s->mean[region][i], s->interval[region][i],
                                     s->undefined[region][i]));
    }
    return object;
}

static json_t *case_object(const volt_summary *s, int64_t index)
{
    const volt_summary_case *c = &s->cases[index];
    json_t *object = json_object(), *classes = json_object();

    for (int32_t r = 0; r < s->regions; r++) {
        json_t *one = json_object();

        for (int i = 0; i < VOLT_SCORE_COUNT; i++) {
            const volt_score score = (volt_score)i;

            if (is_present(s, score))
                json_object_set_new(
                    one, volt_score_name(score),
                    number(volt_score_of(&c->metrics[r], score), volt_score_is_count(score)));
        }
        volt_json_set(classes, s->region_names[r], one);
    }
    json_object_set_new(object, "prediction_file", volt_json_string(c->prediction_file));
    json_object_set_new(object, "reference_file", volt_json_string(c->reference_file));
    json_object_set_new(object, "Dice",
                        number(volt_summary_case_mean(s, index, VOLT_SCORE_DICE), false));
    json_object_set_new(object, "classes", classes);
    return object;
}

static json_t *cases_array(const volt_summary *s)
{
    json_t *array = NULL;
    int64_t *order = NULL;

    if (volt_alloc(&order, (size_t)s->count * sizeof *order, "the order of the cases") !=
            VOLT_OK ||
        volt_summary_worst_first(order, s) != VOLT_OK)
        goto done;
    array = json_array();
    for (int64_t i = 0; i < s->count; i++)
        json_array_append_new(array, case_object(s, order[i]));
done:
    volt_free(order);
    return array;
}

static json_t *confusion_object(const volt_confusion *c)
{
    const int64_t rows = c->values + 1;
    json_t *labels = json_array(), *voxels = json_array();

    for (int64_t i = 0; i < rows; i++) {
        json_array_append_new(labels,
                              i < c->values ? json_integer(c->value[i]) : json_string("other"));
        json_array_append_new(voxels,
                              volt_json_array_of_ints(c->voxels + i * rows, (size_t)rows));
    }
    return json_pack("{s:o, s:o}", "labels", labels, "voxels", voxels);
}

static void add_rules(json_t *root, const volt_scores *s)
{
    const volt_lesion_rule *l = &s->options->lesion;

    json_object_set_new(root, "policy", json_string(policies[s->options->policy]));
    if (s->summary->surface)
        json_object_set_new(root, "nsd_tolerance_mm",
                            volt_json_number(s->options->nsd_tolerance_mm));
    if (s->summary->lesions)
        json_object_set_new(root, "lesion_rule",
                            json_pack("{s:i, s:o, s:o}", "dilation", l->dilation, "min_mm3",
                                      volt_json_number(l->min_mm3), "penalty_mm",
                                      volt_json_number(l->penalty_mm)));
    if (s->summary->resamples > 0)
        json_object_set_new(root, "bootstrap",
                            json_pack("{s:I, s:I, s:f}", "resamples",
                                      (json_int_t)s->summary->resamples, "seed",
                                      (json_int_t)s->seed, "level", 0.95));
    json_object_set_new(root, "cases", json_integer(s->summary->count));
}

/* A new reference; NULL when out of memory. */
static json_t *scores_object(const volt_scores *s)
{
    json_t *root = json_object(), *mean = json_object(), *cases = cases_array(s->summary);

    add_rules(root, s);
    for (int32_t r = 0; r < s->summary->regions; r++)
        volt_json_set(mean, s->summary->region_names[r], means_object(s->summary, r));
    json_object_set_new(root, "mean", mean);
    json_object_set_new(root, "foreground_mean", means_object(s->summary, -1));
    json_object_set_new(root, "worst_first", cases);
    if (s->confusion)
        json_object_set_new(root, "confusion", confusion_object(s->confusion));
    if (!json_object_get(root, "mean") || !cases ||
        (s->confusion && !json_object_get(root, "confusion"))) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static volt_status scores_json(json_t **out, const volt_scores *scores)
{
    volt_metrics_options o = volt_metrics_defaults();
    volt_scores s = *scores;
    const volt_status st = volt_options_take(&o, sizeof o, s.options, "volt_metrics_options");

    if (st != VOLT_OK)
        return st;
    if ((int)o.policy < 0 || o.policy > VOLT_EMPTY_BRATS)
        return volt_fail(VOLT_EINVAL, "there is no empty-mask policy %d", (int)o.policy);
    s.options = &o;
    *out = scores_object(&s);
    return *out ? VOLT_OK : volt_fail(VOLT_ENOMEM, "out of memory for the scores");
}

volt_status volt_scores_write(const char *path, const volt_scores *s)
{
    json_t *root = NULL;
    volt_status st = scores_json(&root, s);

    if (st == VOLT_OK)
        st = volt_json_save(path, root);
    json_decref(root);
    return st;
}

volt_status volt_scores_text(char **out, const volt_scores *s)
{
    json_t *root = NULL;
    size_t bytes;
    volt_status st = scores_json(&root, s);

    if (st == VOLT_OK)
        st = volt_json_dump_line(out, &bytes, root);
    json_decref(root);
    return st;
}

static void put_text(volt_status *st, volt_out *f, const char *text)
{
    if (*st == VOLT_OK)
        *st = volt_out_write(f, text, strlen(text));
}

static void put_number(volt_status *st, volt_out *f, double v)
{
    char text[VOLT_JSON_REAL_BYTES] = "";

    if (isinf(v))
        snprintf(text, sizeof text, "%s", v > 0 ? "inf" : "-inf");
    else if (!isnan(v))
        volt_json_real_text(text, v);
    put_text(st, f, text);
}

static void put_count(volt_status *st, volt_out *f, double v)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, (int64_t)v);
    put_text(st, f, text);
}

/* A field quoted as in RFC 4180. */
static void put_field(volt_status *st, volt_out *f, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        put_text(st, f, text);
        return;
    }
    put_text(st, f, "\"");
    for (; *text; text++)
        put_text(st, f, *text == '"' ? "\"\"" : (char[2]){*text, '\0'});
    put_text(st, f, "\"");
}

static void put_case(volt_status *st, volt_out *f, const volt_summary *s, int64_t index)
{
    const volt_summary_case *c = &s->cases[index];

    for (int32_t r = 0; r < s->regions; r++) {
        put_field(st, f, volt_path_name(c->prediction_file));
        put_text(st, f, ",");
        put_field(st, f, s->region_names[r]);
        for (int i = 0; i < VOLT_SCORE_COUNT; i++) {
            if (!is_present(s, (volt_score)i))
                continue;
            put_text(st, f, ",");
            if (volt_score_is_count((volt_score)i))
                put_count(st, f, volt_score_of(&c->metrics[r], (volt_score)i));
            else
                put_number(st, f, volt_score_of(&c->metrics[r], (volt_score)i));
        }
        put_text(st, f, "\n");
    }
}

volt_status volt_scores_write_csv(const char *path, const volt_summary *summary)
{
    int64_t *order = NULL;
    volt_out *f = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc(&order, (size_t)summary->count * sizeof *order, "the cases' order"));
    VOLT_TRY(st, done, volt_summary_worst_first(order, summary));
    VOLT_TRY(st, done, volt_out_open(&f, path));
    put_text(&st, f, "case,class");
    for (int i = 0; i < VOLT_SCORE_COUNT; i++) {
        if (!is_present(summary, (volt_score)i))
            continue;
        put_text(&st, f, ",");
        put_text(&st, f, volt_score_name((volt_score)i));
    }
    put_text(&st, f, "\n");
    for (int64_t i = 0; i < summary->count; i++)
        put_case(&st, f, summary, order[i]);
    if (st == VOLT_OK)
        st = volt_out_commit(&f);
done:
    volt_out_abort(&f);
    volt_free(order);
    return st;
}

volt_status volt_confusion_write_csv(const char *path, const volt_confusion *c)
{
    char label[24];
    volt_out *f = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_out_open(&f, path));
    put_text(&st, f, "truth");
    for (int64_t row = -1; row <= c->values; row++) {
        for (int64_t column = -1; column <= c->values; column++) {
            const int64_t at = row < 0 ? column : row;

            if (row < 0 && column < 0)
                continue;
            if (row >= 0 && column >= 0)
                snprintf(label, sizeof label, ",%" PRId64,
                         c->voxels[row * (c->values + 1) + column]);
            else
                snprintf(label, sizeof label, at < c->values ? "%s%d" : "%sother",
                         row < 0 ? "," : "", at < c->values ? c->value[at] : 0);
            put_text(&st, f, label);
        }
        put_text(&st, f, "\n");
    }
    if (st == VOLT_OK)
        st = volt_out_commit(&f);
done:
    volt_out_abort(&f);
    return st;
}
