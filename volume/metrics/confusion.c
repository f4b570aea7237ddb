#include "volume/confusion.h"

#include <omp.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/threads.h"
#include "volume/grid/labels.h"

/* Values up to which each thread has a matrix of its own. */
#define MOST_PER_THREAD 512

volt_status volt_confusion_create(volt_confusion **out, const int32_t *value, int32_t values)
{
    const size_t bytes = (size_t)values * sizeof *value;
    volt_confusion *c = NULL;
    size_t rows;
    volt_status st;

    if (values < 1)
        return volt_fail(VOLT_EINVAL, "a confusion matrix needs at least 1 label");
    VOLT_TRY(st, done, volt_alloc_zero(&c, 1, sizeof *c, "a confusion matrix"));
    VOLT_TRY(st, done, volt_alloc(&c->value, bytes, "label values"));
    memcpy(c->value, value, bytes);
    c->values = volt_labels_unique(c->value, values);
    rows = (size_t)c->values + 1;
    VOLT_TRY(st, done,
             volt_alloc_zero(&c->voxels, rows * rows, sizeof *c->voxels, "a confusion matrix"));
    *out = c;
    c = NULL;
done:
    volt_confusion_free(c);
    return st;
}

void volt_confusion_free(volt_confusion *c)
{
    if (!c)
        return;
    volt_free(c->voxels);
    volt_free(c->value);
    volt_free(c);
}

/* The row or column of a label. */
static int64_t place_of(const volt_confusion *c, int32_t value)
{
    const int32_t at = volt_labels_index(c->value, c->values, value);

    return at >= 0 ? at : c->values;
}

/* Counts one row of voxels by runs of equal pairs. */
static void count_row(int64_t *voxels, const volt_confusion *c, const int32_t *pred,
                      const int32_t *ref, int64_t nx, const int32_t *ignore)
{
    for (int64_t x = 0, end; x < nx; x = end) {
        for (end = x + 1; end < nx && pred[end] == pred[x] && ref[end] == ref[x]; end++)
            ;
        if (!ignore || ref[x] != *ignore)
            voxels[place_of(c, ref[x]) * (c->values + 1) + place_of(c, pred[x])] += end - x;
    }
}

volt_status volt_confusion_add(volt_confusion *c, const volt_volume *pred,
                               const volt_volume *ref, const int32_t *ignore, int threads)
{
    const int64_t nx = ref->grid.n[2], rows = ref->grid.n[0] * ref->grid.n[1];
    const size_t cells = (size_t)(c->values + 1) * (size_t)(c->values + 1);
    int64_t *part = NULL;
    int32_t *scratch = NULL;
    volt_status st;

    threads = c->values < MOST_PER_THREAD ? volt_threads_or_default(threads) : 1;
    VOLT_TRY(st, done, volt_labels_check_pair(pred, ref));
    VOLT_TRY(st, done, volt_alloc_zero(&part, cells * (size_t)threads, sizeof *part, "counts"));
    VOLT_TRY(st, done,
             volt_alloc(&scratch, (size_t)(2 * nx) * sizeof *scratch * (size_t)threads,
                        "rows of labels"));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const int thread = omp_get_thread_num();
        int32_t *p = scratch + 2 * nx * thread, *r = p + nx;

        volt_label_row(p, pred, row * nx, nx);
        volt_label_row(r, ref, row * nx, nx);
        count_row(part + cells * (size_t)thread, c, p, r, nx, ignore);
    }
    for (size_t i = 0; i < cells * (size_t)threads; i++)
        c->voxels[i % cells] += part[i];
done:
    volt_free(scratch);
    volt_free(part);
    return st;
}
