#include "io/dataset/case_workers.h"

#include <math.h>
#include <stdio.h>

#include "base/core/available.h"
#include "base/system/file.h"
#include "base/threads.h"

/* Voxels of a case, before or after resampling, whichever is more; 0: unknown. */
static double largest_voxels(const volt_case *c, const double target[3])
{
    volt_image_header *header = NULL;
    double voxels, spacing[3], growth = 1;
    volt_grid grid;

    if (c->files < 1 || volt_image_info(&header, c->file[0]) != VOLT_OK)
        return 0;
    grid = volt_case_grid(header);
    voxels = (double)volt_grid_voxels(&grid);
    volt_grid_spacing(spacing, &grid);
    volt_image_header_free(header);
    for (int a = 0; target && a < 3; a++)
        growth *= target[a] > 0 ? spacing[a] / target[a] : 1;
    return voxels * fmax(growth, 1);
}

volt_status volt_case_workers(int *out, const volt_dataset *ds, const volt_case_cost *cost,
                              int threads)
{
    const size_t available = volt_mem_available();
    const double each = 4 * cost->image_copies * ds->info.channels + cost->label_bytes;
    double most = 0, fit;
    int64_t largest = 0;

    threads = volt_threads_or_default(threads);
    for (int64_t i = 0; i < ds->cases.count; i++) {
        const double bytes = each * largest_voxels(&ds->cases.item[i], cost->target);
        if (bytes > most) {
            most = bytes;
            largest = i;
        }
    }
    if (most > (double)available) {
        char what[300];
        snprintf(what, sizeof what, "case %.200s, the largest of %.60s",
                 ds->cases.item[largest].id, volt_path_name(ds->folder));
        return volt_mem_check(most < (double)(SIZE_MAX / 2) ? (size_t)most : SIZE_MAX / 2,
                              what);
    }
    fit = most > 0 ? floor(0.5 * (double)available / most) : threads;
    *out = fit < 1 ? 1 : fit < threads ? (int)fit : threads;
    return VOLT_OK;
}
