#include "nets3d/predict/failures.h"

#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"

void volt_predict_failures_clear(volt_predict_failures *f)
{
    for (int64_t i = 0; i < f->count; i++) {
        volt_free(f->item[i].id);
        volt_free(f->item[i].sentence);
    }
    volt_free(f->item);
    *f = (volt_predict_failures){0};
}

bool volt_predict_may_go_on(volt_status st, bool writing)
{
    switch (st) {
    case VOLT_EDATA:
    case VOLT_EFORMAT:
    case VOLT_ENOTSUP:
    case VOLT_ENUMERIC:
        return true;
    case VOLT_EIO: /* an unreadable file, or a full disk */
        return !writing;
    case VOLT_EINVAL: /* an option, or a mask that the format cannot hold */
        return writing;
    default:
        return false;
    }
}

volt_status volt_predict_failures_add(volt_predict_failures *f, const char *id, volt_status st)
{
    volt_predict_failure new = {.status = st};
    const size_t used = (size_t)f->count * sizeof *f->item;
    volt_status own;

    VOLT_TRY(own, done, volt_strdup(&new.sentence, volt_last_error()));
    VOLT_TRY(own, done, volt_strdup(&new.id, id));
    VOLT_TRY(own, done, volt_realloc(&f->item, used, used + sizeof *f->item, "failures"));
    f->item[f->count++] = new;
    return VOLT_OK;
done:
    volt_free(new.id);
    volt_free(new.sentence);
    return own;
}

bool volt_predict_failures_have(const volt_predict_failures *f, const char *id)
{
    for (int64_t i = 0; i < f->count; i++) {
        if (strcmp(f->item[i].id, id) == 0)
            return true;
    }
    return false;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const volt_predict_failure *)a)->id, ((const volt_predict_failure *)b)->id);
}

void volt_predict_failures_sort(volt_predict_failures *f)
{
    if (f->count > 1)
        qsort(f->item, (size_t)f->count, sizeof *f->item, by_id);
}
