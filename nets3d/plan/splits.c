#include "nets3d/plan/splits.h"

#include <stdlib.h>
#include <string.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/report.h"
#include "base/random/mersenne.h"
#include "base/core/plural.h"
#include "base/core/utf8.h"
#include "io/json/json.h"

enum { SEED = 12345 };

/* 0..count-1 in the order of RandomState(seed).shuffle. */
static volt_status shuffled(uint32_t **out, int64_t count, uint32_t seed)
{
    volt_mersenne m;
    volt_status st = volt_alloc(out, (size_t)count * sizeof **out, "a split");

    if (st != VOLT_OK)
        return st;
    volt_mersenne_seed(&m, seed);
    volt_mersenne_permutation(&m, *out, count);
    return VOLT_OK;
}

void volt_split_clear(volt_split *s)
{
    volt_free(s->train);
    volt_free(s->val);
    *s = (volt_split){0};
}

void volt_splits_clear(volt_splits *s)
{
    for (int i = 0; i < s->folds; i++)
        volt_split_clear(&s->fold[i]);
    volt_free(s->fold);
    *s = (volt_splits){0};
}

static volt_status check_count(int64_t cases)
{
    if (cases < 2 || cases > INT32_MAX)
        return volt_fail(VOLT_EINVAL,
                         "%lld case%s cannot be split into training and validation; at least 2 "
                         "are needed",
                         (long long)cases, volt_s(cases));
    return VOLT_OK;
}

/* The cases marked in `is_val` and the others, both ascending. */
static volt_status split_by_mark(volt_split *out, const char *is_val, int64_t cases)
{
    volt_split s = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&s.train, (size_t)cases, sizeof *s.train, "a split"));
    VOLT_TRY(st, done, volt_alloc_zero(&s.val, (size_t)cases, sizeof *s.val, "a split"));
    for (int64_t i = 0; i < cases; i++) {
        if (is_val[i])
            s.val[s.vals++] = i;
        else
            s.train[s.trains++] = i;
    }
    *out = s;
    s = (volt_split){0};
done:
    volt_split_clear(&s);
    return st;
}

volt_status volt_splits_kfold(volt_splits *out, int64_t cases)
{
    const int folds = (int)(cases < VOLT_FOLDS ? cases : VOLT_FOLDS);
    volt_splits s = {0};
    uint32_t *order = NULL;
    int64_t start = 0;
    char *is_val = NULL;
    volt_status st;

    VOLT_TRY(st, done, check_count(cases));
    VOLT_TRY(st, done, shuffled(&order, cases, SEED));
    VOLT_TRY(st, done, volt_alloc_zero(&s.fold, (size_t)folds, sizeof *s.fold, "the folds"));
    s.folds = folds;
    VOLT_TRY(st, done, volt_alloc_zero(&is_val, (size_t)cases, 1, "the folds"));
    for (int f = 0; f < folds; f++) {
        const int64_t size = cases / folds + (f < cases % folds);
        memset(is_val, 0, (size_t)cases);
        for (int64_t i = start; i < start + size; i++)
            is_val[order[i]] = 1;
        VOLT_TRY(st, done, split_by_mark(&s.fold[f], is_val, cases));
        start += size;
    }
    *out = s;
    s = (volt_splits){0};
done:
    volt_free(is_val);
    volt_free(order);
    volt_splits_clear(&s);
    return st;
}

volt_status volt_split_random(volt_split *out, int64_t cases, int64_t fold)
{
    uint32_t *order = NULL;
    int64_t trains;
    char *is_val = NULL;
    volt_status st;

    VOLT_TRY(st, done, check_count(cases));
    if (fold < 0 || fold > INT32_MAX - SEED) {
        st = volt_fail(VOLT_EINVAL, "fold %lld does not exist", (long long)fold);
        goto done;
    }
    VOLT_TRY(st, done, shuffled(&order, cases, (uint32_t)(SEED + fold)));
    VOLT_TRY(st, done, volt_alloc_zero(&is_val, (size_t)cases, 1, "a split"));
    trains = (int64_t)((double)cases * 0.8);
    for (int64_t i = trains; i < cases; i++)
        is_val[order[i]] = 1;
    st = split_by_mark(out, is_val, cases);
done:
    volt_free(is_val);
    volt_free(order);
    return st;
}

static json_t *id_list(const int64_t *index, int64_t count, const volt_dataset *ds)
{
    json_t *list = json_array();

    for (int64_t i = 0; list && i < count; i++) {
        if (json_array_append_new(list, json_string(ds->cases.item[index[i]].id)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

volt_status volt_splits_write(const char *path, const volt_splits *s, const volt_dataset *ds)
{
    json_t *root = NULL;
    volt_status st;

    for (int64_t i = 0; i < ds->cases.count; i++) { /* a changed name would stand for no case */
        const char *id = ds->cases.item[i].id;

        if (!volt_is_utf8(id, strlen(id)))
            return volt_fail(
                VOLT_EDATA,
                "%s cannot hold the name of case %s, which is not UTF-8; rename its "
                "files",
                path, id);
    }
    root = json_array();
    for (int f = 0; root && f < s->folds; f++) {
        json_t *fold = json_object();
        const volt_split *split = &s->fold[f];
        if (json_object_set_new(fold, "train", id_list(split->train, split->trains, ds)) ||
            json_object_set_new(fold, "val", id_list(split->val, split->vals, ds)) ||
            json_array_append(root, fold)) {
            json_decref(root);
            root = NULL;
        }
        json_decref(fold);
    }
    st = root ? volt_json_save(path, root)
              : volt_fail(VOLT_ENOMEM, "out of memory for %s", path);
    json_decref(root);
    return st;
}

/* Marks the listed cases; a case must not be marked yet. */
static volt_status mark_ids(char *mark, char as, const volt_json_at *fold, const char *key,
                            const volt_dataset *ds)
{
    volt_json_at list, item;
    const char *id;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&list, fold, key));
    VOLT_TRY(st, done, volt_json_length(&count, &list, 1, (size_t)ds->cases.count));
    for (size_t i = 0; i < count; i++) {
        int64_t index;
        VOLT_TRY(st, done, volt_json_item(&item, &list, i));
        VOLT_TRY(st, done, volt_json_text(&id, &item, 4096));
        index = volt_dataset_find(ds, id);
        if (index < 0)
            return volt_json_fail(&item, "is \"%s\"; the data set in %s has no such case", id,
                                  ds->folder);
        if (mark[index])
            return volt_json_fail(&item, "is \"%s\", which is in this fold already", id);
        mark[index] = as;
    }
done:
    return st;
}

static volt_status collect(int64_t **out, int64_t *count, const char *mark, char as,
                           int64_t cases)
{
    volt_status st = volt_alloc_zero(out, (size_t)cases, sizeof **out, "a split");

    for (int64_t i = 0; st == VOLT_OK && i < cases; i++) {
        if (mark[i] == as)
            (*out)[(*count)++] = i;
    }
    return st;
}

volt_status volt_splits_read(volt_splits *out, const char *path, const volt_dataset *ds)
{
    const int64_t cases = ds->cases.count;
    volt_json doc = {0};
    volt_json_at root, fold;
    volt_splits s = {0};
    char *mark = NULL;
    size_t folds;
    volt_status st;

    VOLT_TRY(st, done, volt_json_load(&doc, path));
    root = volt_json_root(&doc);
    VOLT_TRY(st, done, volt_json_length(&folds, &root, 1, 10000));
    VOLT_TRY(st, done, volt_alloc_zero(&s.fold, folds, sizeof *s.fold, "the folds"));
    s.folds = (int)folds;
    VOLT_TRY(st, done, volt_alloc_zero(&mark, (size_t)cases, 1, "the folds"));
    for (size_t f = 0; f < folds; f++) {
        volt_split *split = &s.fold[f];
        memset(mark, 0, (size_t)cases);
        VOLT_TRY(st, done, volt_json_item(&fold, &root, f));
        VOLT_TRY(st, done, mark_ids(mark, 't', &fold, "train", ds));
        VOLT_TRY(st, done, mark_ids(mark, 'v', &fold, "val", ds));
        VOLT_TRY(st, done, collect(&split->train, &split->trains, mark, 't', cases));
        VOLT_TRY(st, done, collect(&split->val, &split->vals, mark, 'v', cases));
    }
    *out = s;
    s = (volt_splits){0};
done:
    volt_free(mark);
    volt_splits_clear(&s);
    volt_json_close(&doc);
    return st;
}

/* Every case in both lists. */
static volt_status split_all(volt_split *out, int64_t cases)
{
    volt_split s = {0};
    volt_status st;

    if (cases < 1)
        return volt_fail(VOLT_EINVAL, "the data set has no case to train on");
    VOLT_TRY(st, done, volt_alloc_zero(&s.train, (size_t)cases, sizeof *s.train, "a split"));
    VOLT_TRY(st, done, volt_alloc_zero(&s.val, (size_t)cases, sizeof *s.val, "a split"));
    for (int64_t i = 0; i < cases; i++)
        s.train[i] = s.val[i] = i;
    s.trains = s.vals = cases;
    *out = s;
    s = (volt_split){0};
done:
    volt_split_clear(&s);
    return st;
}

/* The folds of `path`; where that file does not exist, those that the data set brings along or
 * KFold's. *from is the file they are read from, NULL for KFold's; the caller owns it. */
static volt_status find(volt_splits *out, char **from, const char *path, const volt_dataset *ds)
{
    char *own = NULL;
    volt_status st;

    *from = NULL;
    VOLT_TRY(st, done, volt_path_join(&own, ds->folder, "splits_final.json"));
    if (volt_path_exists(path))
        VOLT_TRY(st, done, volt_strdup(from, path));
    else if (volt_path_exists(own))
        VOLT_TRY(st, done, volt_strdup(from, own));
    st = *from ? volt_splits_read(out, *from, ds) : volt_splits_kfold(out, ds->cases.count);
done:
    volt_free(own);
    return st;
}

/* Says so when a fold is not among those of the file, or leaves cases out. */
static void report(const volt_splits *s, const char *from, const volt_dataset *ds, int fold,
                   const volt_callbacks *callbacks)
{
    const int64_t cases = ds->cases.count;
    int64_t left;

    if (fold >= s->folds) {
        volt_report(callbacks, VOLT_LOG_WARNING,
                    "fold %d: %s has %d fold%s, 0 to %d; a random split of 80 %% and 20 %% of "
                    "the cases is used, with the seed %d",
                    fold, from ? from : ds->folder, s->folds, volt_s(s->folds), s->folds - 1,
                    SEED + fold);
        return;
    }
    left = cases - s->fold[fold].trains - s->fold[fold].vals;
    if (left > 0)
        volt_report(callbacks, VOLT_LOG_WARNING,
                    "fold %d: %lld of %lld case%s of %s %s in neither list of %s", fold,
                    (long long)left, (long long)cases, volt_s(cases), ds->folder,
                    left == 1 ? "is" : "are", from);
}

static bool same_cases(const int64_t *a, int64_t as, const int64_t *b, int64_t bs)
{
    return as == bs && (as == 0 || memcmp(a, b, (size_t)as * sizeof *a) == 0);
}

static bool same_fold(const volt_splits *a, const volt_splits *b, int fold)
{
    const volt_split *x, *y;

    if (fold >= a->folds || fold >= b->folds)
        return a->folds == b->folds;
    x = &a->fold[fold];
    y = &b->fold[fold];
    return same_cases(x->train, x->trains, y->train, y->trains) &&
           same_cases(x->val, x->vals, y->val, y->vals);
}

/* Says so when the data set brings another fold along than the one in `path`, which is used:
 * it was edited or added after the first training. */
static volt_status report_other(const volt_splits *s, const char *path, const volt_dataset *ds,
                                int fold, const volt_callbacks *callbacks)
{
    volt_splits other = {0};
    char *own = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&own, ds->folder, "splits_final.json"));
    if (fold < 0 || !volt_path_exists(path) || !volt_path_exists(own))
        goto done;
    st = volt_splits_read(&other, own, ds);
    if (st == VOLT_ENOMEM)
        goto done;
    if (st != VOLT_OK || !same_fold(s, &other, fold))
        volt_report(callbacks, VOLT_LOG_WARNING,
                    "fold %d is that of %s, not that of %s, which differs; delete the first "
                    "file to use the second",
                    fold, path, own);
    st = VOLT_OK;
done:
    volt_splits_clear(&other);
    volt_free(own);
    return st;
}

volt_status volt_splits_are_own(bool *out, const char *path, const volt_dataset *ds)
{
    volt_splits stored = {0}, own = {0};
    char *brought = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_splits_read(&stored, path, ds));
    VOLT_TRY(st, done, volt_path_join(&brought, ds->folder, "splits_final.json"));
    *out = volt_path_exists(brought);
    if (*out)
        goto done;
    VOLT_TRY(st, done, volt_splits_kfold(&own, ds->cases.count));
    *out = stored.folds == own.folds;
    for (int f = 0; f < stored.folds && *out; f++)
        *out = same_fold(&stored, &own, f);
done:
    volt_free(brought);
    volt_splits_clear(&own);
    volt_splits_clear(&stored);
    return st;
}

volt_status volt_split_check(const volt_dataset *ds, const char *path, int fold)
{
    volt_splits s = {0};
    char *from = NULL;
    volt_status st;

    if (fold == VOLT_FOLD_ALL)
        return VOLT_OK;
    st = find(&s, &from, path, ds);
    volt_splits_clear(&s);
    volt_free(from);
    return st;
}

static volt_status split_for_fold(volt_split *out, const volt_dataset *ds, const char *path,
                                  int fold, bool write, const volt_callbacks *callbacks)
{
    volt_splits s = {0};
    char *from = NULL;
    volt_status st;

    if (!ds || !path || !*path)
        return volt_fail(VOLT_EINVAL, "a split needs a data set and the path of its file");
    if (fold == VOLT_FOLD_ALL)
        return split_all(out, ds->cases.count);
    VOLT_TRY(st, done, find(&s, &from, path, ds));
    if (write && !volt_path_exists(path))
        VOLT_TRY(st, done, volt_splits_write(path, &s, ds));
    if (fold >= 0)
        report(&s, from, ds, fold, callbacks);
    VOLT_TRY(st, done, report_other(&s, path, ds, fold, callbacks));
    if (fold < 0 || fold >= s.folds) {
        st = volt_split_random(out, ds->cases.count, fold);
        goto done;
    }
    *out = s.fold[fold];
    s.fold[fold] = (volt_split){0};
done:
    volt_free(from);
    volt_splits_clear(&s);
    return st;
}

volt_status volt_split_for_fold(volt_split *out, const volt_dataset *ds, const char *path,
                                int fold, const volt_callbacks *callbacks)
{
    return split_for_fold(out, ds, path, fold, true, callbacks);
}

volt_status volt_split_find(volt_split *out, const volt_dataset *ds, const char *path, int fold,
                            const volt_callbacks *callbacks)
{
    return split_for_fold(out, ds, path, fold, false, callbacks);
}
